// SPDX-License-Identifier: Apache-2.0
// PICK: rows out of up to three sources. Backward, picks are sorted by the row they took, and each
// row of a source adds up the gradients of its picks in the order of these: written once, read
// once.
#include "core/device/cuda/kernels/flat.cuh"
#include "core/device/cuda/kernels/order.h"
#include "core/device/cuda/table.h"

// ---- forward -----------------------------------------------------------------------------------

namespace
{
template <class T> struct pick {
    const T *first, *second, *third;
    const int32_t *index; // (N, 2): source, row
    T *out;
    int64_t cols;
    template <int V> __device__ void at(int64_t i) const
    {
        const int64_t row = i / cols;
        const int32_t source = index[2 * row], from = index[2 * row + 1];
        const T *x = source == 0 ? first : source == 1 ? second : third;
        tk_store<V>(out + i, tk_load<V>(x + from * cols + i % cols));
    }
};
} // namespace

template <class T> static tk_status pick_as(tk_device *d, const tk_call *c)
{
    constexpr int V = tk_wide<T>();
    const int64_t cols = tk_cols(&c->out[0]);
    const pick<T> work = {(const T *)c->in[0].data, (const T *)c->in[1].data,
                          (const T *)c->in[2].data, tk_i32(&c->in[3]),
                          (T *)c->out[0].data,      cols};
    return tk_flat<V>(d, "pick", work, tk_count(&c->out[0]),
                      tk_head_of_rows<V>(cols, work.first, work.second, work.third, work.out));
}

extern "C" tk_status tk_cuda_pick(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? pick_as<tk_bf16>(d, c) : pick_as<float>(d, c);
}

// ---- backward ----------------------------------------------------------------------------------

namespace
{
// Keys of picks: rows of the sources whose gradients are wanted, laid end to end, then nobody's.
struct pick_keys {
    const int32_t *index;
    int32_t *key;
    int64_t first[3]; // key of a source's row 0; -1: not wanted
    int64_t nobody;
    template <int V> __device__ void at(int64_t i) const
    {
        const int32_t source = index[2 * i];
        const int64_t at = source == 0 ? first[0] : source == 1 ? first[1] : first[2];
        key[i] = (int32_t)(at < 0 ? nobody : at + index[2 * i + 1]);
    }
};

// T of the picks' gradients, U of the source's.
template <class T, class U> struct pick_back {
    const T *up;
    const int32_t *place, *begin; // begin: from the source's first row on
    U *to;
    int64_t cols;
    bool more;
    template <int V> __device__ void at(int64_t i) const
    {
        const int64_t row = i / cols, col = i % cols;
        const int32_t end = begin[row + 1];
        float sum[V], x[V];
        if (more && begin[row] == end) return;
        for (int j = 0; j < V; j++) sum[j] = 0.0f;
        for (int32_t k = begin[row]; k < end; k++) {
            tk_read<V>(up + place[k] * cols + col, x);
            for (int j = 0; j < V; j++) sum[j] += x[j];
        }
        tk_give<V>(to + i, sum, more);
    }
};
} // namespace

// The same where rows are picked many times: a block for a row and TK_WARP packs of it, of which
// each warp sums up every SHARES-th pick, and the first one those sums.
enum { SHARES = 8 };

template <class T, class U, int V>
static __global__ void pick_often_kernel(pick_back<T, U> work, int64_t across)
{
    const int64_t row = blockIdx.x / across;
    const int warp = threadIdx.x / TK_WARP, lane = threadIdx.x % TK_WARP;
    const int64_t col = (blockIdx.x % across * TK_WARP + lane) * V;
    const int32_t end = work.begin[row + 1];
    float *sums = tk_shared<float>(), x[V]; // (V, SHARES, TK_WARP)
    float sum[V];
    for (int j = 0; j < V; j++) sum[j] = 0.0f;
    for (int32_t k = work.begin[row] + warp; k < end && col < work.cols; k += SHARES) {
        tk_read<V>(work.up + work.place[k] * work.cols + col, x);
        for (int j = 0; j < V; j++) sum[j] += x[j];
    }
    for (int j = 0; j < V; j++) sums[(j * SHARES + warp) * TK_WARP + lane] = sum[j];
    __syncthreads();
    if (warp || col >= work.cols || (work.more && work.begin[row] == end)) return;
    for (int j = 0; j < V; j++)
        for (int w = 1; w < SHARES; w++) sum[j] += sums[(j * SHARES + w) * TK_WARP + lane];
    tk_give<V>(work.to + row * work.cols + col, sum, work.more);
}

template <class T, class U, int V>
static tk_status pick_often(tk_device *d, const pick_back<T, U> &work, int64_t rows)
{
    const int64_t across = tk_blocks(work.cols, V * TK_WARP);
    return tk_launch(d, "pick, backward", pick_often_kernel<T, U, V>, (unsigned)(rows * across),
                     SHARES * TK_WARP, V * SHARES * TK_WARP * sizeof(float), work, across);
}

template <class T, class U>
static tk_status pick_back_as(tk_device *d, const tk_call *c, int k, const tk_cuda_order *order,
                              int64_t first)
{
    constexpr int V = tk_wide<T>();
    const tk_tensor *din = &c->din[k];
    const int64_t cols = tk_cols(din), rows = tk_rows(din);
    const pick_back<T, U> work = {(const T *)c->dout[0].data,
                                  order->place,
                                  order->begin + first,
                                  (U *)din->data,
                                  cols,
                                  c->add[k]};
    const int head = tk_head_of_rows<V>(cols, work.up, work.to);
    enum { OFTEN = 4, MOST = INT32_MAX }; // times, on average; blocks
    const bool often = tk_rows(&c->dout[0]) >= OFTEN * rows && rows * cols <= MOST;
    if (often)
        return head ? pick_often<T, U, 1>(d, work, rows) : pick_often<T, U, V>(d, work, rows);
    return tk_flat<V>(d, "pick, backward", work, rows * cols, head);
}

static tk_status pick_back_source(tk_device *d, const tk_call *c, int k, const tk_cuda_order *order,
                                  int64_t first)
{
    const bool half = c->din[k].dtype == TK_BF16;
    if (c->dout[0].dtype != TK_BF16) return pick_back_as<float, float>(d, c, k, order, first);
    return half ? pick_back_as<tk_bf16, tk_bf16>(d, c, k, order, first)
                : pick_back_as<tk_bf16, float>(d, c, k, order, first);
}

// Rows of all sources whose gradients are wanted.
static int64_t rows_wanted(const tk_call *c)
{
    int64_t rows = 0;
    for (int k = 0; k < 3; k++)
        if (tk_wants(c, k)) rows += tk_rows(&c->din[k]);
    return rows;
}

extern "C" size_t tk_cuda_pick_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    if (!back) return 0;
    const int64_t n = tk_rows(&c->dout[0]);
    return (size_t)n * sizeof(int32_t) + tk_cuda_sort_bytes(n, rows_wanted(c) + 1);
}

extern "C" tk_status tk_cuda_pick_back(tk_device *d, const tk_call *c)
{
    const int64_t n = tk_rows(&c->dout[0]), rows = rows_wanted(c);
    pick_keys keys = {tk_i32(&c->in[3]), (int32_t *)d->scratch, {-1, -1, -1}, rows};
    tk_cuda_order order;
    for (int64_t k = 0, first = 0; k < 3; k++) {
        if (!tk_wants(c, (int)k)) continue;
        keys.first[k] = first;
        first += tk_rows(&c->din[k]);
    }
    TK_TRY(tk_flat<1>(d, "pick, keys", keys, n, 0));
    TK_TRY(tk_cuda_sort(d, keys.key, n, rows + 1, keys.key + n, &order));
    for (int k = 0; k < 3; k++)
        if (tk_wants(c, k)) TK_TRY(pick_back_source(d, c, k, &order, keys.first[k]));
    return TK_OK;
}
