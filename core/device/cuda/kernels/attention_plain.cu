// SPDX-License-Identifier: Apache-2.0
// ATTENTION for any size of head, in fp32 on plain cores.
//
// Threads stand 16 x 16. A tile of own rows against a tile of other rows, 16 R each, is R x R
// scores a thread: own rows R y + i, other rows x + 16 j. Products with what lies along channels
// then take columns 4 x + 64 c. Rows lie in shared memory in fp32, four floats longer than DIM, so
// that neighbours of a column are in other banks.
//
// Forward runs with the greatest score so far and the sum of powers relative to it (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018).
#include "core/device/cuda/kernels/attention.cuh"

enum { SIDE = 16, THREADS = SIDE * SIDE };

static __device__ inline int across_x()
{
    return threadIdx.x % SIDE;
}
static __device__ inline int down_y()
{
    return threadIdx.x / SIDE;
}

// ---- rows between memory and shared memory ----------------------------------------------------

// Up to four elements, of which n are there; the others are 0.
template <class T> static __device__ inline tk_pack<float, 4> four(const T *from, int n, bool wide)
{
    tk_pack<float, 4> x;
    if (wide) {
        const tk_pack<T, 4> as_they_are = tk_load<4>(from);
        for (int i = 0; i < 4; i++) x.x[i] = tk_widen(as_they_are.x[i]);
    } else {
        for (int i = 0; i < 4; i++) x.x[i] = i < n ? tk_widen(from[i]) : 0.0f;
    }
    return x;
}

// to (tile, dim rounded up to 4) = `count` rows from `from` on, then rows of 0.
template <int TILE, int STRIDE, class T>
static __device__ void load_rows(float *to, const T *from, const attention_shape &s, int count)
{
    const int64_t width = (int64_t)s.heads * s.dim;
    const tk_pack<float, 4> nothing = {{0, 0, 0, 0}};
    for (int row = down_y(); row < TILE; row += SIDE)
        for (int col = 4 * across_x(); col < s.dim; col += 4 * SIDE)
            tk_store<4>(to + row * STRIDE + col,
                        row < count ? four(from + row * width + col, s.dim - col, s.wide)
                                    : nothing);
}

// A thread's R x DIM / 16 results, times `by` a row, to rows of `to` or added to them.
template <int R, int DIM, class T>
static __device__ void give_rows(T *to, const float (&x)[R][DIM / SIDE], const float (&by)[R],
                                 const attention_shape &s, int count, bool add)
{
    const int64_t width = (int64_t)s.heads * s.dim;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < DIM / SIDE; j++) {
            const int row = R * down_y() + i, col = 4 * across_x() + j / 4 * 4 * SIDE + j % 4;
            if (row >= count || col >= s.dim) continue;
            T *at = to + row * width + col;
            *at = tk_round<T>((add ? tk_widen(*at) : 0.0f) + x[i][j] * by[i]);
        }
}

// ---- products ---------------------------------------------------------------------------------

// score[i][j] = a's row R y + i . b's row x + 16 j
template <int R, int STRIDE>
static __device__ void scores_of(float (&score)[R][R], const float *a, const float *b, int dim)
{
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) score[i][j] = 0;
    for (int k = 0; k < dim; k += 4) {
        tk_pack<float, 4> x[R], y[R];
        for (int i = 0; i < R; i++) x[i] = tk_load<4>(a + (R * down_y() + i) * STRIDE + k);
        for (int j = 0; j < R; j++) y[j] = tk_load<4>(b + (across_x() + SIDE * j) * STRIDE + k);
        for (int i = 0; i < R; i++)
            for (int j = 0; j < R; j++)
                for (int l = 0; l < 4; l++) score[i][j] += x[i].x[l] * y[j].x[l];
    }
}

// A thread's scores to where all threads see them: `to` (16 R, 16 R), rows 4 floats longer.
template <int R> static __device__ void lay_down(float *to, const float (&score)[R][R])
{
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++)
            to[(R * down_y() + i) * (SIDE * R + 4) + across_x() + SIDE * j] = score[i][j];
}

// sum += weights (16 R, 16 R) @ rows (16 R, dim)
template <int R, int DIM>
static __device__ void weigh(float (&sum)[R][DIM / SIDE], const float *weights, const float *rows,
                             int dim)
{
    for (int k = 0; k < SIDE * R; k += 4) {
        tk_pack<float, 4> w[R];
        for (int i = 0; i < R; i++)
            w[i] = tk_load<4>(weights + (R * down_y() + i) * (SIDE * R + 4) + k);
        for (int c = 0; c < DIM / (4 * SIDE); c++) {
            const int col = 4 * across_x() + c * 4 * SIDE;
            if (col >= dim) break;
            for (int l = 0; l < 4; l++) {
                const tk_pack<float, 4> x = tk_load<4>(rows + (k + l) * (DIM + 4) + col);
                for (int i = 0; i < R; i++)
                    for (int j = 0; j < 4; j++) sum[i][4 * c + j] += w[i].x[l] * x.x[j];
            }
        }
    }
}

// ---- forward ----------------------------------------------------------------------------------

static __device__ inline float most_of_row(float x)
{
    for (int far = SIDE / 2; far; far /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, far));
    return x;
}
static __device__ inline float sum_of_row(float x)
{
    for (int far = SIDE / 2; far; far /= 2) x += __shfl_xor_sync(0xffffffffu, x, far);
    return x;
}

// score := 2^(score - greatest so far), 0 beyond `count` columns; `sum` and what was made of the
// tiles before follow the greatest.
template <int R, int N>
static __device__ void soften(float (&score)[R][R], float scale, int count, float (&top)[R],
                              float (&sum)[R], float (&o)[R][N])
{
    for (int i = 0; i < R; i++) {
        float most = top[i], s = 0;
        for (int j = 0; j < R; j++) {
            score[i][j] = across_x() + SIDE * j < count ? score[i][j] * scale : -INFINITY;
            most = fmaxf(most, score[i][j]);
        }
        most = most_of_row(most);
        for (int j = 0; j < R; j++) {
            score[i][j] = exp2f(score[i][j] - most);
            s += score[i][j];
        }
        const float shrink = exp2f(top[i] - most);
        top[i] = most;
        sum[i] = sum[i] * shrink + sum_of_row(s);
        for (int j = 0; j < N; j++) o[i][j] *= shrink;
    }
}

// What tiles of 16 R rows take.
template <int DIM, int R> struct tiles {
    enum { TILE = SIDE * R, STRIDE = DIM + 4, WEIGHTS = TILE * (TILE + 4) }; // floats
    static constexpr size_t FORE = (2 * TILE * STRIDE + WEIGHTS) * sizeof(float);
    static constexpr size_t BACK = (4 * TILE * STRIDE + 2 * WEIGHTS) * sizeof(float);
};

template <class T, int DIM, int R> static __global__ void fore_kernel(attention_fore<T> a)
{
    enum { TILE = tiles<DIM, R>::TILE, STRIDE = tiles<DIM, R>::STRIDE };
    float *q = tk_shared<float>(), *kv = q + TILE * STRIDE, *p = kv + TILE * STRIDE;
    const attention_tile t = attention_tile_of(a.ask, a.asked, a.s.docs, TILE);
    if (t.count <= 0) return;
    const int head = blockIdx.y;
    const int64_t width = (int64_t)a.s.heads * a.s.dim, own = t.begin * width + head * a.s.dim;
    float o[R][DIM / SIDE] = {}, top[R], sum[R] = {};
    for (int i = 0; i < R; i++) top[i] = -INFINITY;
    load_rows<TILE, STRIDE>(q, a.q + own, a.s, t.count);
    for (int key = 0; key < t.others; key += TILE) {
        const int64_t other = (t.other + key) * width + head * a.s.dim;
        float score[R][R];
        load_rows<TILE, STRIDE>(kv, a.k + other, a.s, t.others - key);
        __syncthreads();
        scores_of<R, STRIDE>(score, q, kv, a.s.dim);
        soften(score, a.s.scale * attention_log2e, t.others - key, top, sum, o);
        lay_down<R>(p, score);
        __syncthreads();
        load_rows<TILE, STRIDE>(kv, a.v + other, a.s, t.others - key);
        __syncthreads();
        weigh<R, DIM>(o, p, kv, a.s.dim);
        __syncthreads();
    }
    float by[R];
    for (int i = 0; i < R; i++) {
        const int row = R * down_y() + i;
        by[i] = t.others ? 1.0f / sum[i] : 0.0f;
        if (across_x() == 0 && row < t.count)
            a.lse[(t.begin + row) * a.s.heads + head] =
                t.others ? (top[i] + log2f(sum[i])) * attention_ln2 : 0.0f;
    }
    give_rows<R, DIM>(a.o + own, o, by, a.s, t.count, false);
}

// ---- backward ---------------------------------------------------------------------------------

// score := P = exp(scale * score - lse), rise := dS = P * (rise - across) * scale; 0 outside.
template <int R, bool KEYS, class T>
static __device__ void slopes(float (&score)[R][R], float (&rise)[R][R], const attention_back<T> &a,
                              const attention_tile &t, int other)
{
    const float scale = a.s.scale * attention_log2e;
    for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) {
            const int row = R * down_y() + i, col = other + across_x() + SIDE * j;
            const bool there = row < t.count && col < t.others;
            const int64_t query = KEYS ? t.other + col : t.begin + row;
            const int64_t at = query * a.s.heads + blockIdx.y;
            const float lse = there ? a.lse[at] : 0.0f, across = there ? a.across[at] : 0.0f;
            const float p = there ? exp2f(score[i][j] * scale - lse * attention_log2e) : 0.0f;
            score[i][j] = p;
            rise[i][j] = there ? p * (rise[i][j] - across) * a.s.scale : 0.0f;
        }
}

template <class T, int DIM, int R, bool KEYS>
static __global__ void back_kernel(attention_back<T> a)
{
    typedef tiles<DIM, R> size;
    enum { TILE = size::TILE, STRIDE = size::STRIDE };
    float *own[2], *others[2], *ds = tk_shared<float>(), *p = ds + size::WEIGHTS;
    for (int i = 0; i < 2; i++) own[i] = p + size::WEIGHTS + i * TILE * STRIDE;
    for (int i = 0; i < 2; i++) others[i] = own[1] + (i + 1) * TILE * STRIDE;
    const attention_tile t = attention_tile_of(a.own_at, a.other_at, a.s.docs, TILE);
    if (t.count <= 0) return;
    const int64_t width = (int64_t)a.s.heads * a.s.dim, column = (int64_t)blockIdx.y * a.s.dim;
    float sum[2][R][DIM / SIDE] = {};
    for (int i = 0; i < 2; i++)
        load_rows<TILE, STRIDE>(own[i], a.own[i] + t.begin * width + column, a.s, t.count);
    for (int other = 0; other < t.others; other += TILE) {
        float score[R][R], rise[R][R];
        for (int i = 0; i < 2; i++)
            load_rows<TILE, STRIDE>(others[i], a.other[i] + (t.other + other) * width + column, a.s,
                                    t.others - other);
        __syncthreads();
        scores_of<R, STRIDE>(score, own[0], others[0], a.s.dim);
        scores_of<R, STRIDE>(rise, own[1], others[1], a.s.dim);
        slopes<R, KEYS>(score, rise, a, t, other);
        lay_down<R>(ds, rise);
        if (KEYS) lay_down<R>(p, score);
        __syncthreads();
        weigh<R, DIM>(sum[0], ds, others[0], a.s.dim);
        if (KEYS) weigh<R, DIM>(sum[1], p, others[1], a.s.dim);
        __syncthreads();
    }
    float one[R];
    for (int i = 0; i < R; i++) one[i] = 1;
    const int64_t to = t.begin * width + column;
    if (a.to[0]) give_rows<R, DIM>(a.to[0] + to, sum[0], one, a.s, t.count, a.add[0]);
    if (KEYS && a.to[1]) give_rows<R, DIM>(a.to[1] + to, sum[1], one, a.s, t.count, a.add[1]);
}

// ---- launches ---------------------------------------------------------------------------------

template <class T, int DIM, int R> static tk_status fore_by(tk_device *d, const tk_call *c)
{
    typedef tiles<DIM, R> size;
    const attention_fore<T> a = attention_fore_of<T>(c);
    const dim3 grid(attention_blocks(tk_rows(&c->in[0]), c->i[4], size::TILE), a.s.heads);
    return tk_launch(d, "attention", fore_kernel<T, DIM, R>, grid, THREADS, size::FORE, a);
}

template <class T, int DIM> static tk_status fore_as(tk_device *d, const tk_call *c)
{
    enum { R = 4 };
    constexpr size_t bytes = tiles<DIM, R>::FORE, less = tiles<DIM, R / 2>::FORE;
    static_assert(less <= attention_shared, "half as many rows fit everywhere");
    if constexpr (bytes > attention_shared)
        if (!attention_fits(d, bytes)) return fore_by<T, DIM, R / 2>(d, c);
    return fore_by<T, DIM, R>(d, c);
}

template <class T, int DIM, int R, bool KEYS>
static tk_status back_by(tk_device *d, const tk_call *c)
{
    typedef tiles<DIM, R> size;
    const attention_back<T> a = attention_back_of<T>(d, c, KEYS);
    if (!a.to[0] && !a.to[1]) return TK_OK;
    const dim3 grid(attention_blocks(tk_rows(&c->in[KEYS]), c->i[4], size::TILE), a.s.heads);
    return tk_launch(d, KEYS ? "attention of keys" : "attention of queries",
                     back_kernel<T, DIM, R, KEYS>, grid, THREADS, size::BACK, a);
}

template <class T, int DIM, bool KEYS> static tk_status back_pass(tk_device *d, const tk_call *c)
{
    enum { R = DIM <= 128 ? 4 : 2 };
    constexpr size_t bytes = tiles<DIM, R>::BACK, less = tiles<DIM, R / 2>::BACK;
    static_assert(less <= attention_shared, "half as many rows fit everywhere");
    if constexpr (bytes > attention_shared)
        if (!attention_fits(d, bytes)) return back_by<T, DIM, R / 2, KEYS>(d, c);
    return back_by<T, DIM, R, KEYS>(d, c);
}

template <class T, int DIM> static tk_status back_as(tk_device *d, const tk_call *c)
{
    TK_TRY((back_pass<T, DIM, true>(d, c)));
    return back_pass<T, DIM, false>(d, c);
}

tk_status tk_cuda_attention_plain(tk_device *d, const tk_call *c)
{
    const bool half = c->out[0].dtype == TK_BF16;
    if (c->i[0] <= 64) return half ? fore_as<tk_bf16, 64>(d, c) : fore_as<float, 64>(d, c);
    if (c->i[0] <= 128) return half ? fore_as<tk_bf16, 128>(d, c) : fore_as<float, 128>(d, c);
    return half ? fore_as<tk_bf16, 256>(d, c) : fore_as<float, 256>(d, c);
}

tk_status tk_cuda_attention_plain_back(tk_device *d, const tk_call *c)
{
    const bool half = c->dout[0].dtype == TK_BF16;
    if (c->i[0] <= 64) return half ? back_as<tk_bf16, 64>(d, c) : back_as<float, 64>(d, c);
    if (c->i[0] <= 128) return half ? back_as<tk_bf16, 128>(d, c) : back_as<float, 128>(d, c);
    return half ? back_as<tk_bf16, 256>(d, c) : back_as<float, 256>(d, c);
}
