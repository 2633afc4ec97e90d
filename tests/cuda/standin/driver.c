// SPDX-License-Identifier: Apache-2.0
// A driver that is none, for cuDNN where there is no GPU (libcuda.so.1 of tests/core/device/
// test_cudnn_plans.c): so that it makes plans for a device that is described to it. It says that
// there is no device, takes compiled kernels and runs none. What cuDNN only looks up ends the
// process when it is called.
#include <cuda.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef cuDeviceGetCount

CUresult cuInit(unsigned flags)
{
    (void)flags;
    return CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version)
{
    *version = CUDA_VERSION;
    return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *n)
{
    *n = 0;
    return CUDA_ERROR_NO_DEVICE;
}

CUresult cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *options,
                           void **values, unsigned n, CUlibraryOption *more, void **more_values,
                           unsigned n_more)
{
    static char loaded;
    void *const at = &loaded;
    (void)code, (void)options, (void)values, (void)n, (void)more, (void)more_values, (void)n_more;
    memcpy(library, &at, sizeof *library);
    return CUDA_SUCCESS;
}

CUresult cuLibraryUnload(CUlibrary library)
{
    (void)library;
    return CUDA_SUCCESS;
}

CUresult cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name)
{
    (void)name;
    memcpy(kernel, &library, sizeof *kernel);
    return CUDA_SUCCESS;
}

// Called under many names: never.
void driver_lacks(void);
void driver_lacks(void)
{
    fprintf(stderr, "a driver that is none was asked for something of a device\n");
    abort();
}

#define LACKS(name) __asm__(".globl " #name "\n.set " #name ", driver_lacks");
LACKS(cuCtxGetCurrent)
LACKS(cuCtxGetDevice)
LACKS(cuCtxGetLimit)
LACKS(cuCtxPopCurrent)
LACKS(cuCtxPushCurrent)
LACKS(cuDeviceGet)
LACKS(cuDeviceGetAttribute)
LACKS(cuDevicePrimaryCtxRelease)
LACKS(cuDevicePrimaryCtxReset)
LACKS(cuDevicePrimaryCtxRetain)
LACKS(cuFuncGetAttribute)
LACKS(cuFuncSetAttribute)
LACKS(cuGetErrorName)
LACKS(cuGetErrorString)
LACKS(cuKernelGetAttribute)
LACKS(cuKernelSetAttribute)
LACKS(cuLaunchCooperativeKernel)
LACKS(cuLaunchKernel)
LACKS(cuLaunchKernelEx)
LACKS(cuLibraryLoadFromFile)
LACKS(cuLinkAddData)
LACKS(cuLinkAddData_v2)
LACKS(cuLinkAddFile_v2)
LACKS(cuLinkComplete)
LACKS(cuLinkCreate)
LACKS(cuLinkCreate_v2)
LACKS(cuLinkDestroy)
LACKS(cuMemcpyDtoH_v2)
LACKS(cuModuleGetFunction)
LACKS(cuModuleGetGlobal_v2)
LACKS(cuModuleLoadData)
LACKS(cuModuleLoadDataEx)
LACKS(cuModuleLoadFatBinary)
LACKS(cuModuleUnload)
LACKS(cuOccupancyMaxActiveBlocksPerMultiprocessor)
LACKS(cuOccupancyMaxPotentialClusterSize)
LACKS(cuStreamGetCtx)
LACKS(cuStreamSynchronize)
LACKS(cuTensorMapEncodeTiled)
