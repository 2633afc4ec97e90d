// SPDX-License-Identifier: Apache-2.0
// Functions of NCCL that the stand-in does not model, under their names alone: nccl.h is not
// included here.
#include "tests/cuda/standin/standin.h"

#define NOT_MODELLED(name)                                                            \
    void name(void);                                                                  \
    void name(void)                                                                   \
    {                                                                                 \
        standin_fault("NCCL: " #name " is not modelled (tests/cuda/standin/nccl.c)"); \
    }

NOT_MODELLED(ncclAlltoAll)
NOT_MODELLED(ncclBcast)
NOT_MODELLED(ncclCommCount)
NOT_MODELLED(ncclCommCuDevice)
NOT_MODELLED(ncclCommInitAll)
NOT_MODELLED(ncclCommInitRank)
NOT_MODELLED(ncclCommInitRankScalable)
NOT_MODELLED(ncclCommRevoke)
NOT_MODELLED(ncclCommShrink)
NOT_MODELLED(ncclCommUserRank)
NOT_MODELLED(ncclCommWindowDeregister)
NOT_MODELLED(ncclCommWindowRegister)
NOT_MODELLED(ncclGather)
NOT_MODELLED(ncclGroupSimulateEnd)
NOT_MODELLED(ncclRedOpCreatePreMulSum)
NOT_MODELLED(ncclRedOpDestroy)
NOT_MODELLED(ncclReduce)
NOT_MODELLED(ncclResetDebugInit)
NOT_MODELLED(ncclScatter)
