// SPDX-License-Identifier: Apache-2.0
// ATTENTION in bf16 on tensor cores, for heads of 64, 96 and 128 channels.
//
// Four warps, each with 16 M own rows, walk over tiles of N 8 rows opposite, which are copied to
// shared memory while the tile before is worked on. Scores and probabilities stay in registers: as
// they come out of one product (c) they go, rounded to bf16, into the next (a). Sums are fp32; what
// is rounded is P before P v and P^T do, and dS before dS k and dS^T q.
//
// Why these sizes. A product of 16 x 8 x 16 takes an SM of Hopper about 1.6 cycles by mma.sync; its
// b are 256 bytes of shared memory, of which an SM reads 128 a cycle. So forward and the pass over
// queries have two tiles of 16 rows a warp (M = 2), which share each b: 1.0 to 2.0 cycles a
// product. The pass over keys keeps two sums in registers; where a head has more than 64 channels
// only M = 1 fits: 2.3 cycles. N is what registers leave room for: at 255 a thread two blocks fit
// an SM, and one multiplies while the other does exponentials.
#include "core/device/cuda/kernels/attention.cuh"
#include "core/device/cuda/kernels/mma.cuh"

enum { WARPS = 4, THREADS = WARPS * TK_WARP };

static __device__ inline int lane()
{
    return threadIdx.x % TK_WARP;
}
static __device__ inline int warp()
{
    return threadIdx.x / TK_WARP;
}
// Row and column of c[0] (see mma.cuh): c[2] is 8 rows further, c[1] and c[3] a column.
static __device__ inline int row_of_c()
{
    return lane() / 4;
}
static __device__ inline int col_of_c()
{
    return lane() % 4 * 2;
}

// ---- products ---------------------------------------------------------------------------------
//
// Rows in shared memory are 16 bytes longer than D, so that eight of them begin in other banks.

// What lies at any address.
static __device__ void copy_singly(tk_bf16 *to, const tk_bf16 *from, bool there)
{
#pragma unroll 1
    for (int i = 0; i < 8; i++) to[i] = there ? from[i] : tk_round<tk_bf16>(0);
}

// ROWS rows, of which `count` are there, the others 0. Four threads a row.
template <int ROWS, int D>
static __device__ void copy_rows(tk_copies &copies, tk_bf16 *to, const tk_bf16 *from, int width,
                                 int count, bool packed)
{
    const int first = threadIdx.x / 4, col = threadIdx.x % 4 * 8;
    to += first * (D + 8) + col;
    from += (int64_t)first * width + col;
#pragma unroll
    for (int row = 0; row < ROWS; row += THREADS / 4) {
#pragma unroll
        for (int j = 0; j < D; j += 32)
            if (packed)
                copies.copy_16(to + row * (D + 8) + j, from + j, first + row < count);
            else
                copy_singly(to + row * (D + 8) + j, from + j, first + row < count);
        from += (int64_t)(THREADS / 4) * width;
    }
}

// c (16 M, 8 N) = a (16 M, D) b (8 N, D)^T
template <int M, int N, int D>
static __device__ void multiply(float (&c)[M][N][4], const tk_bf16 *a, const tk_bf16 *b)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) c[m][n][i] = 0;
    a += lane() % 16 * (D + 8) + lane() / 16 * 8;
    b += (lane() % 8 + lane() / 16 * 8) * (D + 8) + lane() / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < D; k += 16) {
        unsigned x[M][4], y[4];
#pragma unroll
        for (int m = 0; m < M; m++) tk_matrices(x[m], a + m * 16 * (D + 8) + k);
#pragma unroll
        for (int n = 0; n < N; n += 2) {
            tk_matrices(y, b + n * 8 * (D + 8) + k);
#pragma unroll
            for (int m = 0; m < M; m++) {
                tk_mma(c[m][n], x[m], y[0], y[1]);
                tk_mma(c[m][n + 1], x[m], y[2], y[3]);
            }
        }
    }
}

// sum (16 M, D) += a (16 M, 8 N) rows (8 N, D)
template <int M, int N, int D>
static __device__ void weigh(float (&sum)[M][D / 8][4], const unsigned (&a)[M][N / 2][4],
                             const tk_bf16 *rows)
{
    rows += lane() % 16 * (D + 8) + lane() / 16 * 8;
#pragma unroll
    for (int k = 0; k < N / 2; k++)
#pragma unroll
        for (int n = 0; n < D / 8; n += 2) {
            unsigned y[4];
            tk_matrices_turned(y, rows + k * 16 * (D + 8) + n * 8);
#pragma unroll
            for (int m = 0; m < M; m++) {
                tk_mma(sum[m][n], a[m][k], y[0], y[1]);
                tk_mma(sum[m][n + 1], a[m][k], y[2], y[3]);
            }
        }
}

// Columns from `count` on become `to`.
template <int M, int N> static __device__ void blank(float (&c)[M][N][4], int count, float to)
{
    if (8 * N <= count) return;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                if (8 * n + col_of_c() + i % 2 >= count) c[m][n][i] = to;
}

// What came out of a product as what goes into one.
template <int M, int N>
static __device__ void round_to_a(unsigned (&a)[M][N / 2][4], const float (&c)[M][N][4])
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int h = 0; h < 2; h++)
                a[m][n / 2][n % 2 * 2 + h] = tk_pair(c[m][n][2 * h], c[m][n][2 * h + 1]);
}

// Rows of the warp's, times `by` a row, to rows of `to` (of which `count` are there) or added to
// them.
template <int M, int D>
static __device__ void give_rows(tk_bf16 *to, const float (&x)[M][D / 8][4],
                                 const float (&by)[M][2], int64_t width, int count, bool add)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            const int row = 16 * m + 8 * h + row_of_c();
            if (row >= count) continue;
#pragma unroll
            for (int n = 0; n < D / 8; n++) {
                tk_bf16 *const at = to + row * width + 8 * n + col_of_c();
#pragma unroll
                for (int i = 0; i < 2; i++) {
                    const float y = x[m][n][2 * h + i] * by[m][h];
                    at[i] = tk_round<tk_bf16>(add ? tk_widen(at[i]) + y : y);
                }
            }
        }
}

// ---- forward ----------------------------------------------------------------------------------

static __device__ inline float most_of_row(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
static __device__ inline float sum_of_row(float x)
{
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// score := 2^(scale * (score - greatest so far)); this lane's part of the sum and what was made of
// the tiles before follow the greatest. In long documents it is seldom that one of a warp's rows
// finds a greater one: only then is there anything to multiply.
template <int M, int N, int D>
static __device__ void soften(float (&score)[M][N][4], float scale, float (&top)[M][2],
                              float (&sum)[M][2], float (&o)[M][D / 8][4])
{
#pragma unroll
    for (int m = 0; m < M; m++) {
        float shrink[2];
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float most = top[m][h], s = 0;
#pragma unroll
            for (int n = 0; n < N; n++)
                most = fmaxf(most, fmaxf(score[m][n][2 * h], score[m][n][2 * h + 1]));
            most = most_of_row(most);
            const float from = most * scale;
#pragma unroll
            for (int n = 0; n < N; n++)
#pragma unroll
                for (int i = 2 * h; i < 2 * h + 2; i++) {
                    score[m][n][i] = tk_exp2(score[m][n][i] * scale - from);
                    s += score[m][n][i];
                }
            shrink[h] = tk_exp2(top[m][h] * scale - from);
            top[m][h] = most;
            sum[m][h] = sum[m][h] * shrink[h] + s;
        }
        if (!__any_sync(0xffffffffu, shrink[0] != 1 || shrink[1] != 1)) continue;
#pragma unroll
        for (int n = 0; n < D / 8; n++)
#pragma unroll
            for (int i = 0; i < 4; i++) o[m][n][i] *= shrink[i / 2];
    }
}

template <int D> struct fore_sizes {
    enum { M = 2, N = D > 96 ? 4 : 8, OWN = WARPS * 16 * M, OTHER = 8 * N, STRIDE = D + 8 };
    enum { BYTES = (OWN + 4 * OTHER) * STRIDE * (int)sizeof(tk_bf16) };
};

// The two kinds of rows opposite, from row `first` on, to `to`, as a batch of copies.
template <int OTHER, int D>
static __device__ void copy_others(tk_copies &copies, tk_bf16 *to, const tk_bf16 *one,
                                   const tk_bf16 *two, int first, int width, int count, bool packed)
{
    const int64_t at = (int64_t)first * width + blockIdx.y * D;
    copy_rows<OTHER, D>(copies, to, one + at, width, count, packed);
    copy_rows<OTHER, D>(copies, to + OTHER * (D + 8), two + at, width, count, packed);
    copies.end();
}

template <int D>
static __global__ void __launch_bounds__(THREADS, 2) fore_kernel(attention_fore<tk_bf16> a)
{
    typedef fore_sizes<D> size;
    enum { M = size::M, N = size::N, OWN = size::OWN, OTHER = size::OTHER };
    enum { TILE = OTHER * size::STRIDE };
    tk_bf16 *const q = tk_shared<tk_bf16>(), *const kv = q + OWN * size::STRIDE;
    const attention_tile t = attention_tile_of(a.ask, a.asked, a.s.docs, OWN);
    if (t.count <= 0) return;
    const int width = a.s.heads * D, mine = warp() * 16 * M;
    const float scale = a.s.scale * attention_log2e; // > 0
    tk_copies copies;
    float o[M][D / 8][4] = {}, top[M][2], sum[M][2] = {};
    for (int m = 0; m < M; m++) top[m][0] = top[m][1] = -INFINITY;
    copy_rows<OWN, D>(copies, q, a.q + (int64_t)t.begin * width + blockIdx.y * D, width, t.count,
                      a.s.packed);
    copy_others<OTHER, D>(copies, kv, a.k, a.v, t.other, width, t.others, a.s.packed);
    for (int key = 0; key < t.others; key += OTHER) {
        const int next = key + OTHER;
        const tk_bf16 *const k = kv + key / OTHER % 2 * 2 * TILE;
        copies.template wait<0>();
        __syncthreads(); // also: nobody works on the tile before any more
        if (next < t.others)
            copy_others<OTHER, D>(copies, kv + next / OTHER % 2 * 2 * TILE, a.k, a.v,
                                  t.other + next, width, t.others - next, a.s.packed);
        float score[M][N][4];
        unsigned p[M][N / 2][4];
        multiply<M, N, D>(score, q + mine * size::STRIDE, k);
        blank<M, N>(score, t.others - key, -INFINITY);
        soften<M, N, D>(score, scale, top, sum, o);
        round_to_a<M, N>(p, score);
        weigh<M, N, D>(o, p, k + TILE);
    }
    float by[M][2];
    for (int m = 0; m < M; m++)
        for (int h = 0; h < 2; h++) {
            const int row = mine + 16 * m + 8 * h + row_of_c();
            const float all = sum_of_row(sum[m][h]);
            by[m][h] = t.others ? 1.0f / all : 0.0f;
            if (col_of_c() == 0 && row < t.count)
                a.lse[(int64_t)(t.begin + row) * a.s.heads + blockIdx.y] =
                    t.others ? (top[m][h] * scale + log2f(all)) * attention_ln2 : 0.0f;
        }
    give_rows<M, D>(a.o + (int64_t)(t.begin + mine) * width + blockIdx.y * D, o, by, width,
                    t.count - mine, false);
}

// ---- backward ---------------------------------------------------------------------------------

// Of keys (two sums) and of queries (one). LESS: for blocks that may not have as much shared
// memory.
template <int D, bool KEYS, bool LESS> struct back_sizes {
    enum { M = LESS || (KEYS && D > 64) ? 1 : 2, N = !LESS && KEYS == (D > 64) ? 8 : 4 };
    enum { OWN = WARPS * 16 * M, OTHER = 8 * N, STRIDE = D + 8, TILE = OTHER * STRIDE };
    enum { BYTES = (2 * OWN + 4 * OTHER) * STRIDE * (int)sizeof(tk_bf16) + 4 * OTHER * 4 };
};

// What belongs to queries: of own rows in registers, of rows opposite in shared memory.
template <int M> struct query_numbers {
    float lse[M][2], across[M][2];
    const float *lses, *acrosses;
};

template <bool KEYS, int M>
static __device__ inline float lse_of(const query_numbers<M> &x, int m, int n, int i)
{
    return KEYS ? x.lses[8 * n + col_of_c() + i % 2] : x.lse[m][i / 2];
}
template <bool KEYS, int M>
static __device__ inline float across_of(const query_numbers<M> &x, int m, int n, int i)
{
    return KEYS ? x.acrosses[8 * n + col_of_c() + i % 2] : x.across[m][i / 2];
}

// score := P = exp(scale * score - lse), of which `count` columns are there
template <bool KEYS, int M, int N>
static __device__ void powers(float (&score)[M][N][4], const query_numbers<M> &x, float scale,
                              int count)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                score[m][n][i] =
                    tk_exp2(score[m][n][i] * scale - lse_of<KEYS>(x, m, n, i) * attention_log2e);
    blank<M, N>(score, count, 0);
}

// rise := dS = P * (rise - across), but for the scale of scores
template <bool KEYS, int M, int N>
static __device__ void slopes(float (&rise)[M][N][4], const float (&p)[M][N][4],
                              const query_numbers<M> &x)
{
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int n = 0; n < N; n++)
#pragma unroll
            for (int i = 0; i < 4; i++)
                rise[m][n][i] = p[m][n][i] * (rise[m][n][i] - across_of<KEYS>(x, m, n, i));
}

// Rows opposite from t.other + `first` on, and what belongs to them as queries, as a batch.
template <int D, bool KEYS, bool LESS>
static __device__ void copy_opposite(tk_copies &copies, tk_bf16 *to, float *numbers,
                                     const attention_back<tk_bf16> &a, const attention_tile &t,
                                     int first)
{
    enum { OTHER = back_sizes<D, KEYS, LESS>::OTHER };
    const int count = t.others - first, row = t.other + first;
    if (KEYS)
        for (int i = threadIdx.x; i < 2 * OTHER; i += THREADS) {
            const int r = i % OTHER;
            const int64_t at = (int64_t)(row + (r < count ? r : 0)) * a.s.heads + blockIdx.y;
            copies.copy_4(numbers + i, (i < OTHER ? a.lse : a.across) + at, r < count);
        }
    copy_others<OTHER, D>(copies, to, a.other[0], a.other[1], row, a.s.heads * D, count,
                          a.s.packed);
}

template <int D, bool KEYS, bool LESS>
static __global__ void __launch_bounds__(THREADS, 2) back_kernel(attention_back<tk_bf16> a)
{
    typedef back_sizes<D, KEYS, LESS> size;
    enum { M = size::M, N = size::N, OWN = size::OWN, OTHER = size::OTHER, TILE = size::TILE };
    tk_bf16 *const own = tk_shared<tk_bf16>(), *const others = own + 2 * OWN * size::STRIDE;
    float *const numbers = reinterpret_cast<float *>(others + 4 * TILE);
    const attention_tile t = attention_tile_of(a.own_at, a.other_at, a.s.docs, OWN);
    if (t.count <= 0) return;
    const int width = a.s.heads * D, mine = warp() * 16 * M;
    tk_copies copies;
    query_numbers<M> x = {};
    float sum[M][D / 8][4] = {}, of_p[M][KEYS ? D / 8 : 1][4] = {};
    for (int i = 0; i < 2 * M && !KEYS; i++) {
        const int row = mine + 8 * i + row_of_c();
        const int64_t at = (int64_t)(t.begin + row) * a.s.heads + blockIdx.y;
        x.lse[i / 2][i % 2] = row < t.count ? a.lse[at] : 0.0f;
        x.across[i / 2][i % 2] = row < t.count ? a.across[at] : 0.0f;
    }
    copy_others<OWN, D>(copies, own, a.own[0], a.own[1], t.begin, width, t.count, a.s.packed);
    copy_opposite<D, KEYS, LESS>(copies, others, numbers, a, t, 0);
    for (int first = 0; first < t.others; first += OTHER) {
        const int next = first + OTHER, stage = first / OTHER % 2;
        const tk_bf16 *const other = others + stage * 2 * TILE;
        copies.template wait<0>();
        __syncthreads(); // also: nobody works on the tile before any more
        if (next < t.others)
            copy_opposite<D, KEYS, LESS>(copies, others + (1 - stage) * 2 * TILE,
                                         numbers + (1 - stage) * 2 * OTHER, a, t, next);
        x.lses = numbers + stage * 2 * OTHER, x.acrosses = x.lses + OTHER;
        float p[M][N][4], rise[M][N][4];
        unsigned half[M][N / 2][4];
        multiply<M, N, D>(p, own + mine * size::STRIDE, other);
        powers<KEYS, M, N>(p, x, a.s.scale * attention_log2e, t.others - first);
        if constexpr (KEYS) {
            round_to_a<M, N>(half, p);
            weigh<M, N, D>(of_p, half, other + TILE);
        }
        multiply<M, N, D>(rise, own + (OWN + mine) * size::STRIDE, other + TILE);
        slopes<KEYS, M, N>(rise, p, x);
        round_to_a<M, N>(half, rise);
        weigh<M, N, D>(sum, half, other);
    }
    float by[M][2], one[M][2];
    for (int i = 0; i < 2 * M; i++) by[i / 2][i % 2] = a.s.scale, one[i / 2][i % 2] = 1;
    const int64_t to = (int64_t)(t.begin + mine) * width + blockIdx.y * D;
    if (a.to[0]) give_rows<M, D>(a.to[0] + to, sum, by, width, t.count - mine, a.add[0]);
    if constexpr (KEYS)
        if (a.to[1]) give_rows<M, D>(a.to[1] + to, of_p, one, width, t.count - mine, a.add[1]);
}

// ---- launches ---------------------------------------------------------------------------------

template <int D> static tk_status fore_of(tk_device *d, const tk_call *c)
{
    typedef fore_sizes<D> size;
    static_assert(size::BYTES <= attention_shared, "tiles fit everywhere");
    const attention_fore<tk_bf16> a = attention_fore_of<tk_bf16>(c);
    const dim3 grid(attention_blocks(tk_rows(&c->in[0]), c->i[4], size::OWN), a.s.heads);
    return tk_launch(d, "attention", fore_kernel<D>, grid, THREADS, size::BYTES, a);
}

template <int D, bool KEYS, bool LESS> static tk_status back_by(tk_device *d, const tk_call *c)
{
    typedef back_sizes<D, KEYS, LESS> size;
    const attention_back<tk_bf16> a = attention_back_of<tk_bf16>(d, c, KEYS);
    if (!a.to[0] && !a.to[1]) return TK_OK;
    const dim3 grid(attention_blocks(tk_rows(&c->in[KEYS]), c->i[4], size::OWN), a.s.heads);
    return tk_launch(d, KEYS ? "attention of keys" : "attention of queries",
                     back_kernel<D, KEYS, LESS>, grid, THREADS, size::BYTES, a);
}

template <int D, bool KEYS> static tk_status back_pass(tk_device *d, const tk_call *c)
{
    constexpr size_t bytes = back_sizes<D, KEYS, false>::BYTES;
    constexpr size_t less = back_sizes<D, KEYS, true>::BYTES;
    static_assert(less <= attention_shared, "smaller tiles fit everywhere");
    if constexpr (bytes > attention_shared)
        if (!attention_fits(d, bytes)) return back_by<D, KEYS, true>(d, c);
    return back_by<D, KEYS, false>(d, c);
}

template <int D> static tk_status back_of(tk_device *d, const tk_call *c)
{
    TK_TRY((back_pass<D, true>(d, c)));
    return back_pass<D, false>(d, c);
}

bool tk_cuda_attention_tensor_knows(const tk_call *c)
{
    return c->in[0].dtype == TK_BF16 && c->f[0] > 0 &&
           (c->i[0] == 64 || c->i[0] == 96 || c->i[0] == 128);
}

tk_status tk_cuda_attention_tensor(tk_device *d, const tk_call *c)
{
    return c->i[0] == 64   ? fore_of<64>(d, c)
           : c->i[0] == 96 ? fore_of<96>(d, c)
                           : fore_of<128>(d, c);
}

tk_status tk_cuda_attention_tensor_back(tk_device *d, const tk_call *c)
{
    return c->i[0] == 64   ? back_of<64>(d, c)
           : c->i[0] == 96 ? back_of<96>(d, c)
                           : back_of<128>(d, c);
}
