// SPDX-License-Identifier: Apache-2.0
#include "core/numbers/tensor.h"
#include "core/base/status.h"
#include <stdio.h>
#include <string.h>

tk_tensor tk_tensor_1d(void *data, tk_dtype t, int64_t n)
{
    return (tk_tensor){.data = data, .dtype = t, .ndim = 1, .dim = {n}};
}

tk_tensor tk_tensor_2d(void *data, tk_dtype t, int64_t rows, int64_t cols)
{
    return (tk_tensor){.data = data, .dtype = t, .ndim = 2, .dim = {rows, cols}};
}

tk_tensor tk_tensor_rows(tk_tensor t, int64_t begin, int64_t count)
{
    tk_assert(t.ndim == 2 && begin >= 0 && count >= 0 && begin + count <= t.dim[0]);
    if (t.data) t.data = (char *)t.data + (size_t)(begin * t.dim[1]) * tk_dtype_size(t.dtype);
    t.dim[0] = count;
    return t;
}

tk_tensor tk_tensor_reshape(tk_tensor t, int64_t rows, int64_t cols)
{
    tk_assert(tk_count(&t) == rows * cols);
    return tk_tensor_2d(t.data, t.dtype, rows, cols);
}

void tk_tensor_print_shape(const tk_tensor *t, char *buf, size_t n)
{
    static const char *const names[] = {[TK_F32] = "f32", [TK_BF16] = "bf16", [TK_I32] = "i32"};
    char dims[TK_MAX_DIM * 24] = "";
    size_t used = 0;
    for (int i = 0; i < t->ndim && i < TK_MAX_DIM; i++)
        used += (size_t)snprintf(dims + used, sizeof dims - used, "%s%lld", i ? ", " : "",
                                 (long long)t->dim[i]);
    snprintf(buf, n, "(%s) %s", dims, names[t->dtype]);
}
