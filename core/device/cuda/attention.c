// SPDX-License-Identifier: Apache-2.0
// ATTENTION of the device "cuda": by cuDNN where that is the device's way and it takes the call,
// else by our own kernels.
#include "core/device/cuda/cudnn/attention.h"
#include "core/device/cuda/table.h"

#ifdef TK_CUDNN
static bool is_cudnn(const tk_device *d, const tk_call *c, bool back)
{
    bool takes = false;
    return tk_cudnn_takes(d, c, back, &takes) == TK_OK && takes;
}

tk_status tk_cuda_attention_check(const tk_device *d, const tk_call *c, bool back)
{
    bool takes = false;
    TK_TRY(tk_cudnn_takes(d, c, back, &takes));
    return takes ? TK_OK : tk_cuda_attention_own_check(d, c, back);
}

size_t tk_cuda_attention_scratch(const tk_device *d, const tk_call *c, bool back)
{
    return is_cudnn(d, c, back) ? tk_cudnn_scratch(d, c, back)
                                : tk_cuda_attention_own_scratch(d, c, back);
}

tk_status tk_cuda_attention(tk_device *d, const tk_call *c)
{
    return is_cudnn(d, c, false) ? tk_cudnn_attention(d, c) : tk_cuda_attention_own(d, c);
}

tk_status tk_cuda_attention_back(tk_device *d, const tk_call *c)
{
    return is_cudnn(d, c, true) ? tk_cudnn_attention_back(d, c) : tk_cuda_attention_own_back(d, c);
}
#else
tk_status tk_cuda_attention_check(const tk_device *d, const tk_call *c, bool back)
{
    return tk_cuda_attention_own_check(d, c, back);
}

size_t tk_cuda_attention_scratch(const tk_device *d, const tk_call *c, bool back)
{
    return tk_cuda_attention_own_scratch(d, c, back);
}

tk_status tk_cuda_attention(tk_device *d, const tk_call *c)
{
    return tk_cuda_attention_own(d, c);
}

tk_status tk_cuda_attention_back(tk_device *d, const tk_call *c)
{
    return tk_cuda_attention_own_back(d, c);
}

tk_status tk_cuda_attends(tk_device *d, int64_t *version)
{
    (void)d;
    *version = 0;
    return TK_FAIL(TK_INPUT, "attention=cudnn: this talkie was built without cuDNN; build it where "
                             "cudnn.h is, or take attention=own");
}

void tk_cudnn_close(tk_cuda *c)
{
    (void)c;
}
#endif
