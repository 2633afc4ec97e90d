// SPDX-License-Identifier: Apache-2.0
// CAST between f32 and bf16. Its gradient is cast the other way.
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/table.h"

namespace
{
template <class From, class To> struct cast {
    const From *from;
    To *to;
    bool more; // added to what is there
    template <int V> __device__ void at(int64_t i) const
    {
        float x[V];
        tk_read<V>(from + i, x);
        tk_give<V>(to + i, x, more);
    }
};
} // namespace

template <class From, class To>
static tk_status cast_as(tk_device *d, const tk_tensor *from, const tk_tensor *to, bool more)
{
    const cast<From, To> work = {(const From *)from->data, (To *)to->data, more};
    return tk_flat<tk_wide<tk_bf16>()>(d, "cast", work, tk_count(from),
                                       tk_head(work.from, work.to));
}

static tk_status cast_any(tk_device *d, const tk_tensor *from, const tk_tensor *to, bool more)
{
    return from->dtype == TK_BF16 ? cast_as<tk_bf16, float>(d, from, to, more)
                                  : cast_as<float, tk_bf16>(d, from, to, more);
}

extern "C" tk_status tk_cuda_cast(tk_device *d, const tk_call *c)
{
    return cast_any(d, &c->in[0], &c->out[0], false);
}

extern "C" tk_status tk_cuda_cast_back(tk_device *d, const tk_call *c)
{
    return cast_any(d, &c->dout[0], &c->din[0], c->add[0]);
}
