// SPDX-License-Identifier: Apache-2.0
// RMS norm over rows or heads, alone and modulated by a table: RMS_NORM, MODULATE. One pass over
// memory each way: y = x * r * w * (1 + scale) + shift, r = 1 / sqrt(mean(x^2) + eps); backward
// gives the gradient of x and, in the same pass, sums for those of w and table
// (core/device/cuda/kernels/segments.cuh).
#include "core/device/cuda/kernels/rows.cuh"
#include "core/device/cuda/kernels/segments.cuh"
#include "core/device/cuda/table.h"

enum {
    FORE_ROWS = 4,                       // of a team in turn: they mostly share a table entry
    SPACE = 2 * TK_WARP * sizeof(float), // bytes of shared memory for sums over a row
    ACROSS = 0,                          // sum of dy * x * r: gradient of scale and w
    UP = 1                               // sum of dy: gradient of shift
};

typedef struct norm_shape {
    int64_t rows;
    int n, team, teams;
    float eps;
    tk_vector w;
    const float *shift, *scale; // entry 0's; NULL: no table
    int64_t pitch;              // from entry to entry
    const int32_t *index;
} norm_shape;

static norm_shape shape_of(const tk_call *c)
{
    const bool plain = c->op == TK_OP_RMS_NORM;
    norm_shape s = {};
    s.n = (int)(plain ? c->i[0] : tk_cols(&c->in[0]));
    s.rows = s.n ? tk_count(&c->in[0]) / s.n : 0;
    s.eps = (float)c->f[0];
    s.w = tk_vector_of(&c->in[1]);
    if (plain) return s;
    s.shift = (const float *)c->in[2].data + c->i[0];
    s.scale = (const float *)c->in[2].data + c->i[1];
    s.pitch = tk_cols(&c->in[2]);
    s.index = (const int32_t *)c->in[3].data;
    return s;
}

// Whether rows of `size` bytes an element go by packs, as far as what both ways read tells.
static bool in_packs(const norm_shape *s, const tk_call *c, size_t size)
{
    return tk_aligned(c->in[0].data, s->n, size) && (uintptr_t)s->w.data % 16 == 0 &&
           tk_aligned(s->shift, s->pitch, sizeof *s->shift) && (uintptr_t)s->scale % 16 == 0;
}

// w * (1 + scale) of table entry `entry`, from column `at` on.
template <int V>
static __device__ inline void load_gain(const norm_shape *s, int64_t entry, int at,
                                        float (&gain)[V])
{
    tk_load_vector<V>(s->w, at, gain);
    if (!s->scale) return;
    float scale[V];
    tk_read<V>(s->scale + entry * s->pitch + at, scale);
    for (int j = 0; j < V; j++) gain[j] *= 1.0f + scale[j];
}

// ---- forward -----------------------------------------------------------------------------------

// One row, or none where `on` is false: every thread takes part in the sum. `kept`: n elements of
// this team; NULL: x is read twice.
template <class T, int V>
static __device__ inline void norm_row(const norm_shape *s, const T *x, T *y, T *kept, int64_t row,
                                       bool on)
{
    const int lane = threadIdx.x % s->team, packs = on ? s->n / V : 0;
    const int64_t entry = on && s->index ? s->index[row] : 0;
    const T *const from = x + row * s->n, *const again = kept ? kept : from;
    float square[1] = {0}, in[V], gain[V];
    for (int p = lane; p < packs; p += s->team) {
        const tk_pack<T, V> pack = tk_load<V>(from + p * V);
        if (kept) tk_store<V>(kept + p * V, pack);
        for (int j = 0; j < V; j++) square[0] += tk_widen(pack.x[j]) * tk_widen(pack.x[j]);
    }
    tk_team_sum(square, s->team, tk_shared<float>());
    const float r = 1.0f / sqrtf(square[0] / (float)s->n + s->eps);
    for (int p = lane; p < packs; p += s->team) {
        tk_read<V>(again + p * V, in);
        load_gain(s, entry, p * V, gain);
        for (int j = 0; j < V; j++) in[j] *= r * gain[j];
        if (s->shift) {
            tk_read<V>(s->shift + entry * s->pitch + p * V, gain);
            for (int j = 0; j < V; j++) in[j] += gain[j];
        }
        tk_write<V>(y + row * s->n + p * V, in);
    }
}

template <class T, int V>
static __global__ void __launch_bounds__(TK_TEAM_MOST, 2)
    norm_kernel(norm_shape s, const T *x, T *y, bool keep)
{
    const int team = threadIdx.x / s.team;
    T *const kept = keep ? (T *)(tk_shared<char>() + SPACE) + team * s.n : NULL;
    const int64_t first = (int64_t)blockIdx.x * s.teams * FORE_ROWS + team;
    for (int i = 0; i < FORE_ROWS; i++) {
        const int64_t row = first + (int64_t)i * s.teams;
        norm_row<T, V>(&s, x, y, kept, row, row < s.rows);
    }
}

template <class T, int V> static tk_status launch_norm(tk_device *d, const tk_call *c, norm_shape s)
{
    const tk_teams t = tk_teams_of(s.n, V);
    const size_t rows = (size_t)t.teams * (size_t)s.n * sizeof(T);
    const bool keep = SPACE + rows <= TK_SHARED_MOST;
    s.team = t.team;
    s.teams = t.teams;
    return tk_launch(d, tk_op_table[c->op].name, norm_kernel<T, V>,
                     tk_grid(s.rows, (int64_t)t.teams * FORE_ROWS), t.threads,
                     SPACE + (keep ? rows : 0), s, (const T *)c->in[0].data, (T *)c->out[0].data,
                     keep);
}

template <class T> static tk_status norm_as(tk_device *d, const tk_call *c)
{
    const norm_shape s = shape_of(c);
    if (in_packs(&s, c, sizeof(T)) && tk_aligned(c->out[0].data, s.n, sizeof(T)))
        return launch_norm<T, tk_wide<T>()>(d, c, s);
    return launch_norm<T, 1>(d, c, s);
}

extern "C" tk_status tk_cuda_norm(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? norm_as<tk_bf16>(d, c) : norm_as<float>(d, c);
}

// ---- sums over rows ----------------------------------------------------------------------------
//
// A block takes a chunk of rows. Each team adds up columns in shared memory of its own, each lane
// those of its packs; where a run of rows of one entry ends, the block adds up its teams. In shared
// memory the packs' first quads lie side by side, then their second ones: no two lanes of a quarter
// warp want one bank.

typedef struct norm_sums {
    float *mine; // (sums, n) of this team; NULL: none are wanted
    int packs, n, sums;
} norm_sums;

// sum `which` of pack p += x
template <int V>
static __device__ inline void sum_up(const norm_sums *s, int which, int p, const float (&x)[V])
{
    constexpr int W = V < 4 ? V : 4;
    for (int q = 0; q < V / W; q++) {
        float *const at = s->mine + which * s->n + (q * s->packs + p) * W;
        float sum[W];
        tk_read<W>(at, sum);
        for (int j = 0; j < W; j++) sum[j] += x[q * W + j];
        tk_write<W>(at, sum);
    }
}

static __device__ inline void clear_sums(float *x, int n)
{
    for (int i = threadIdx.x; i < n; i += blockDim.x) x[i] = 0;
    __syncthreads();
}

// What `teams` teams have summed up, from (teams, sums, n) in shared memory to (sums, n).
template <int V>
static __device__ inline void flush_sums(const norm_sums *s, const float *all, int teams, float *to)
{
    constexpr int W = V < 4 ? V : 4;
    const int quads = s->n / W;
    __syncthreads();
    for (int i = threadIdx.x; i < s->sums * quads; i += blockDim.x) {
        const int which = i / quads, q = i % quads / s->packs, p = i % quads % s->packs;
        float sum[W], more[W];
        tk_read<W>(all + i * W, sum);
        for (int t = 1; t < teams; t++) {
            tk_read<W>(all + t * s->sums * s->n + i * W, more);
            for (int j = 0; j < W; j++) sum[j] += more[j];
        }
        tk_write<W>(to + which * s->n + p * V + q * W, sum);
    }
    __syncthreads();
}

// ---- backward: with g = dy * gain, dx = r * g - x * r^3 * mean(g * x) ---------------------------

template <class T> struct norm_grads {
    const T *x, *dy;
    T *dx;      // NULL: not wanted
    bool add;   // to what is in dx
    bool apart; // sums lie in shared memory; else right where they go, of the only team of a block
    bool keep;  // x and dy are kept there for the second look
};

// As norm_row; `kept`: 2 * n elements.
template <class T, int V>
static __device__ inline void norm_row_back(const norm_shape *s, const norm_grads<T> *g,
                                            const norm_sums *sums, T *kept, int64_t row, bool on)
{
    const int lane = threadIdx.x % s->team, packs = on ? s->n / V : 0;
    const int64_t entry = on && s->index ? s->index[row] : 0;
    const T *const x = g->x + row * s->n, *const dy = g->dy + row * s->n;
    const T *const x_again = kept ? kept : x, *const dy_again = kept ? kept + s->n : dy;
    float sum[2] = {0, 0}, in[V], up[V], gain[V]; // of x^2, of dy * gain * x
    for (int p = lane; p < packs; p += s->team) {
        const tk_pack<T, V> px = tk_load<V>(x + p * V), pdy = tk_load<V>(dy + p * V);
        if (kept) tk_store<V>(kept + p * V, px), tk_store<V>(kept + s->n + p * V, pdy);
        load_gain(s, entry, p * V, gain);
        for (int j = 0; j < V; j++) {
            sum[0] += tk_widen(px.x[j]) * tk_widen(px.x[j]);
            sum[1] += tk_widen(pdy.x[j]) * gain[j] * tk_widen(px.x[j]);
        }
    }
    tk_team_sum(sum, s->team, tk_shared<float>());
    const float r = 1.0f / sqrtf(sum[0] / (float)s->n + s->eps);
    const float by = sum[1] / (float)s->n * r * r * r;
    for (int p = lane; p < packs; p += s->team) {
        tk_read<V>(x_again + p * V, in);
        tk_read<V>(dy_again + p * V, up);
        if (g->dx) {
            load_gain(s, entry, p * V, gain);
            for (int j = 0; j < V; j++) gain[j] = r * (up[j] * gain[j]) - in[j] * by;
            tk_give<V>(g->dx + row * s->n + p * V, gain, g->add);
        }
        if (!sums->mine) continue;
        if (sums->sums > UP) sum_up(sums, UP, p, up);
        for (int j = 0; j < V; j++) up[j] *= in[j] * r;
        sum_up(sums, ACROSS, p, up);
    }
}

template <class T, int V>
static __global__ void __launch_bounds__(TK_TEAM_MOST, 2)
    norm_back_kernel(norm_shape s, norm_grads<T> g, tk_segments seg)
{
    float *const all = tk_shared<float>() + SPACE / sizeof(float);
    const int64_t first = blockIdx.x * seg.chunk;
    const int n = (int)(s.rows - first < seg.chunk ? s.rows - first : seg.chunk);
    const int team = threadIdx.x / s.team, width = seg.sums * s.n;
    T *const rows = (T *)(all + (g.apart ? s.teams * width : 0));
    T *const kept = g.keep ? rows + team * 2 * s.n : NULL;
    norm_sums sums = {NULL, s.n / V, s.n, seg.sums};
    for (int at = 0, run; at < n; at += run) {
        const int64_t entry = seg.begin ? s.index[tk_segments_row(&seg, first + at)] : 0;
        float *const to = width ? tk_segments_part(&seg, blockIdx.x, entry) : NULL;
        run = tk_segments_run(&seg, first + at, n - at, entry);
        if (width) {
            sums.mine = (g.apart ? all : to) + team * width;
            clear_sums(g.apart ? all : to, s.teams * width);
        }
        for (int i = team; i - team < run; i += s.teams) {
            const int64_t row = i < run ? tk_segments_row(&seg, first + at + i) : 0;
            norm_row_back<T, V>(&s, &g, &sums, kept, row, i < run);
        }
        if (width && g.apart) flush_sums<V>(&sums, all, s.teams, to);
    }
}

// What a backward sums up over rows; `bytes` of scratch for it.
static tk_segments segments_of(const tk_call *c, const norm_shape *s, void *scratch, size_t *bytes)
{
    const int V = c->dout[0].dtype == TK_BF16 ? tk_wide<tk_bf16>() : tk_wide<float>();
    const int teams = tk_teams_of(s->n, V).teams;
    *bytes = 0;
    if (!tk_wants(c, 1) && !tk_wants(c, 2)) return tk_segments_none(s->rows, teams * FORE_ROWS);
    return tk_segments_lay(scratch, s->rows, s->index ? tk_rows(&c->in[2]) : 0, s->n,
                           tk_wants(c, 2) ? UP + 1 : ACROSS + 1, teams, bytes);
}

extern "C" size_t tk_cuda_norm_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    size_t bytes = 0;
    if (!back) return 0;
    const norm_shape s = shape_of(c);
    (void)segments_of(c, &s, NULL, &bytes);
    return bytes;
}

template <class T, int V>
static tk_status launch_back(tk_device *d, const tk_call *c, norm_shape s, const tk_segments *seg)
{
    const tk_teams t = tk_teams_of(s.n, V);
    const size_t n = (size_t)t.teams * (size_t)s.n;
    const size_t sums = n * (size_t)seg->sums * sizeof(float), rows = 2 * n * sizeof(T);
    norm_grads<T> g = {};
    g.x = (const T *)c->in[0].data;
    g.dy = (const T *)c->dout[0].data;
    g.dx = (T *)c->din[0].data;
    g.add = c->add[0];
    g.apart = SPACE + sums <= TK_SHARED_MOST;
    g.keep = SPACE + (g.apart ? sums : 0) + rows <= TK_SHARED_MOST;
    s.team = t.team;
    s.teams = t.teams;
    return tk_launch(d, tk_op_table[c->op].name, norm_back_kernel<T, V>, tk_grid(seg->chunks, 1),
                     t.threads, SPACE + (g.apart ? sums : 0) + (g.keep ? rows : 0), s, g, *seg);
}

// Sums that do not fit shared memory are kept as they lie in memory, which is so for packs of 1.
template <class T> static tk_status back_as(tk_device *d, const tk_call *c, const tk_segments *seg)
{
    const norm_shape s = shape_of(c);
    const size_t sums = (size_t)seg->sums * (size_t)s.n * sizeof(float);
    if (in_packs(&s, c, sizeof(T)) && tk_aligned(c->dout[0].data, s.n, sizeof(T)) &&
        tk_aligned(c->din[0].data, s.n, sizeof(T)) && SPACE + sums <= TK_SHARED_MOST)
        return launch_back<T, tk_wide<T>()>(d, c, s, seg);
    return launch_back<T, 1>(d, c, s, seg);
}

// Sums over chunks become gradients of w and table.
static tk_status finish_back(tk_device *d, const tk_call *c, const norm_shape *s,
                             const tk_segments *seg)
{
    float *const dw = (float *)c->din[1].data, *const table = (float *)c->din[2].data;
    tk_segment_to to = {};
    if (!s->index) {
        to.to = dw;
        to.add = c->add[1];
        return tk_segments_total(d, seg, ACROSS, to);
    }
    to.pitch = s->pitch;
    to.add = true;
    if (table) to.to = table + c->i[0];
    if (table) TK_TRY(tk_segments_total(d, seg, UP, to));
    if (table) to.to = table + c->i[1];
    to.times = s->w;
    to.keep = dw != NULL;
    TK_TRY(tk_segments_total(d, seg, ACROSS, to));
    return dw ? tk_segments_weigh(d, seg, s->scale, s->pitch, dw, c->add[1]) : TK_OK;
}

extern "C" tk_status tk_cuda_norm_back(tk_device *d, const tk_call *c)
{
    const norm_shape s = shape_of(c);
    size_t bytes;
    const tk_segments seg = segments_of(c, &s, d->scratch, &bytes);
    if (tk_wants(c, 2) && !c->add[2]) TK_TRY(d->ops->zero(d, c->din[2].data, tk_bytes(&c->din[2])));
    if (seg.begin) TK_TRY(tk_segments_sort(d, &seg, s.index));
    TK_TRY(c->dout[0].dtype == TK_BF16 ? back_as<tk_bf16>(d, c, &seg) : back_as<float>(d, c, &seg));
    return seg.sums ? finish_back(d, c, &s, &seg) : TK_OK;
}
