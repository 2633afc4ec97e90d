// SPDX-License-Identifier: Apache-2.0
// RMS norm of each head and its rotary embedding in one pass over memory: NORM_ROPE. What lies
// between the two is rounded as it would be if it were written.
#include "core/device/cuda/kernels/heads.cuh"
#include "core/device/cuda/kernels/segments.cuh"
#include "core/device/cuda/table.h"

enum {
    CHUNK = 16,           // rows of a block where nothing is summed over rows
    HEAD = 1,             // buffers of a team: the head,
    HEAD_TURNED_SUMS = 3, // backward also the gradient turned back, and sums for w
};

typedef struct norm_rope {
    tk_heads h;
    tk_vector w;
    float eps;
} norm_rope;

template <class T> static __device__ inline float rounded(float x)
{
    return tk_widen(tk_round<T>(x));
}

// A head, normalized, in the team's buffer: each lane its packs. None where `on` is false.
template <class T, int V>
static __device__ inline void normalize(const norm_rope *f, const T *x, float *buffer, bool on)
{
    const int lane = threadIdx.x % f->h.team, packs = on ? f->h.n / V : 0;
    float square[1] = {0}, in[V], w[V];
    for (int p = lane; p < packs; p += f->h.team) {
        tk_read<V>(x + p * V, in);
        tk_heads_put<V>(buffer, p, in);
        for (int j = 0; j < V; j++) square[0] += in[j] * in[j];
    }
    tk_team_sum(square, f->h.team, NULL);
    const float r = 1.0f / sqrtf(square[0] / (float)f->h.n + f->eps);
    for (int p = lane; p < packs; p += f->h.team) {
        tk_heads_get<V>(buffer, p, in);
        tk_load_vector<V>(f->w, p * V, w);
        for (int j = 0; j < V; j++) in[j] = rounded<T>(in[j] * r * w[j]);
        tk_heads_put<V>(buffer, p, in);
    }
}

template <class T, int V> static __global__ void norm_rope_kernel(norm_rope f, const T *x, T *y)
{
    const tk_heads *const h = &f.h;
    const int team = threadIdx.x / h->team, lane = threadIdx.x % h->team;
    float *const buffer = tk_heads_buffers<V>(h) + team * tk_heads_width<V>(h->n);
    const int64_t first = (int64_t)blockIdx.x * h->block_rows;
    const int rows = (int)(h->rows - first < h->block_rows ? h->rows - first : h->block_rows);
    tk_heads_angles<V>(h, first, rows);
    __syncthreads();
    for (int i = team; i - team < rows * h->heads; i += h->teams) {
        const bool on = i < rows * h->heads;
        const int64_t at = (first * h->heads + i) * h->n;
        float out[V];
        normalize<T, V>(&f, x + at, buffer, on);
        __syncwarp();
        for (int p = lane; on && p < h->n / V; p += h->team) {
            tk_heads_turn<V>(h, buffer, i / h->heads, p, 1, out);
            tk_write<V>(y + at + p * V, out);
        }
        __syncwarp(); // before the next head
    }
}

static bool in_packs(const tk_call *c, const void *other, size_t size)
{
    return tk_aligned(c->in[0].data, c->i[0], size) && tk_aligned(other, c->i[0], size) &&
           (uintptr_t)c->in[1].data % 16 == 0;
}

template <int V> static norm_rope shape_of(const tk_call *c, int buffers)
{
    norm_rope f = {};
    f.h = tk_heads_of<V>(c, &c->in[0], 2, buffers);
    f.w = tk_vector_of(&c->in[1]);
    f.eps = (float)c->f[0];
    return f;
}

template <class T, int V> static tk_status launch_fore(tk_device *d, const tk_call *c)
{
    const norm_rope f = shape_of<V>(c, HEAD);
    return tk_launch(d, "norm_rope", norm_rope_kernel<T, V>, tk_grid(f.h.rows, f.h.block_rows),
                     f.h.team * f.h.teams, tk_heads_bytes<V>(&f.h, HEAD), f,
                     (const T *)c->in[0].data, (T *)c->out[0].data);
}

template <class T> static tk_status fore_as(tk_device *d, const tk_call *c)
{
    if (in_packs(c, c->out[0].data, sizeof(T))) return launch_fore<T, tk_wide<T>()>(d, c);
    return launch_fore<T, 1>(d, c);
}

extern "C" tk_status tk_cuda_norm_rope(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? fore_as<tk_bf16>(d, c) : fore_as<float>(d, c);
}

// ---- backward ----------------------------------------------------------------------------------
//
// g is dy turned back; with u = g * w, dx = r * u - x * r^3 * mean(u * x), as of any norm.

template <class T> struct norm_rope_grads {
    const T *x, *dy;
    T *dx;    // NULL: not wanted
    bool add; // to what is in dx
};

// One head: x and dx begin at `at`, dy lies in `head`. `turned`: a buffer for g; `sums`: where the
// gradient of w is added up, NULL: not wanted.
template <class T, int V>
static __device__ inline void head_back(const norm_rope *f, const norm_rope_grads<T> *g, int64_t at,
                                        int row, const float *head, float *turned, float *sums,
                                        bool on)
{
    const int lane = threadIdx.x % f->h.team, packs = on ? f->h.n / V : 0;
    float sum[2] = {0, 0}, in[V], up[V], w[V]; // of x^2, of u * x
    for (int p = lane; p < packs; p += f->h.team) {
        tk_heads_turn<V>(&f->h, head, row, p, -1, up);
        tk_read<V>(g->x + at + p * V, in);
        tk_load_vector<V>(f->w, p * V, w);
        for (int j = 0; j < V; j++) {
            up[j] = rounded<T>(up[j]);
            sum[0] += in[j] * in[j];
            sum[1] += up[j] * w[j] * in[j];
        }
        tk_heads_put<V>(turned, p, up);
    }
    tk_team_sum(sum, f->h.team, NULL);
    const float r = 1.0f / sqrtf(sum[0] / (float)f->h.n + f->eps);
    const float by = sum[1] / (float)f->h.n * r * r * r;
    for (int p = lane; p < packs; p += f->h.team) {
        tk_heads_get<V>(turned, p, up);
        tk_read<V>(g->x + at + p * V, in);
        tk_load_vector<V>(f->w, p * V, w);
        for (int j = 0; j < V; j++) w[j] = r * (up[j] * w[j]) - in[j] * by;
        if (g->dx) tk_give<V>(g->dx + at + p * V, w, g->add);
        if (!sums) continue;
        tk_heads_get<V>(sums, p, w);
        for (int j = 0; j < V; j++) w[j] += up[j] * in[j] * r;
        tk_heads_put<V>(sums, p, w);
    }
}

// A few rows, from row `first` on.
template <class T, int V>
static __device__ inline void rows_back(const norm_rope *f, const norm_rope_grads<T> *g,
                                        int64_t first, int rows, float *buffers, bool sums)
{
    const tk_heads *const h = &f->h;
    const int team = threadIdx.x / h->team, lane = threadIdx.x % h->team;
    const int width = tk_heads_width<V>(h->n);
    float *const head = buffers + team * HEAD_TURNED_SUMS * width;
    __syncthreads(); // of the angles before
    tk_heads_angles<V>(h, first, rows);
    __syncthreads();
    for (int i = team; i - team < rows * h->heads; i += h->teams) {
        const bool on = i < rows * h->heads;
        const int64_t at = (first * h->heads + i) * h->n;
        float up[V];
        for (int p = lane; on && p < h->n / V; p += h->team) {
            tk_read<V>(g->dy + at + p * V, up);
            tk_heads_put<V>(head, p, up);
        }
        __syncwarp();
        head_back<T, V>(f, g, at, on ? i / h->heads : 0, head, head + width,
                        sums ? head + 2 * width : NULL, on);
        __syncwarp(); // before the next head
    }
}

template <class T, int V>
static __global__ void norm_rope_back_kernel(norm_rope f, norm_rope_grads<T> g, tk_segments seg)
{
    const int width = tk_heads_width<V>(f.h.n), each = HEAD_TURNED_SUMS * width;
    float *const buffers = tk_heads_buffers<V>(&f.h), *const sums = buffers + 2 * width;
    const int64_t first = blockIdx.x * seg.chunk;
    const int n = (int)(f.h.rows - first < seg.chunk ? f.h.rows - first : seg.chunk);
    for (int i = threadIdx.x; i < f.h.teams * width; i += blockDim.x)
        sums[i / width * each + i % width] = 0;
    for (int at = 0; at < n; at += f.h.block_rows)
        rows_back<T, V>(&f, &g, first + at, n - at < f.h.block_rows ? n - at : f.h.block_rows,
                        buffers, seg.sums);
    __syncthreads();
    for (int c = threadIdx.x; seg.sums && c < f.h.n; c += blockDim.x) {
        float sum = 0;
        for (int t = 0; t < f.h.teams; t++) sum += sums[t * each + tk_heads_at<V>(c)];
        tk_segments_part(&seg, blockIdx.x, 0)[c] = sum;
    }
}

static tk_segments segments_of(const tk_call *c, void *scratch, size_t *bytes)
{
    *bytes = 0;
    if (!tk_wants(c, 1)) return tk_segments_none(tk_rows(&c->in[0]), CHUNK);
    return tk_segments_lay(scratch, tk_rows(&c->in[0]), 0, c->i[0], 1, 1, bytes);
}

extern "C" size_t tk_cuda_norm_rope_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    size_t bytes = 0;
    if (back) (void)segments_of(c, NULL, &bytes);
    return bytes;
}

template <class T, int V>
static tk_status launch_back(tk_device *d, const tk_call *c, const tk_segments *seg)
{
    const norm_rope f = shape_of<V>(c, HEAD_TURNED_SUMS);
    const norm_rope_grads<T> g = {(const T *)c->in[0].data, (const T *)c->dout[0].data,
                                  (T *)c->din[0].data, c->add[0]};
    return tk_launch(d, "norm_rope backward", norm_rope_back_kernel<T, V>, tk_grid(seg->chunks, 1),
                     f.h.team * f.h.teams, tk_heads_bytes<V>(&f.h, HEAD_TURNED_SUMS), f, g, *seg);
}

template <class T> static tk_status back_as(tk_device *d, const tk_call *c, const tk_segments *seg)
{
    if (in_packs(c, c->dout[0].data, sizeof(T)) && tk_aligned(c->din[0].data, c->i[0], sizeof(T)))
        return launch_back<T, tk_wide<T>()>(d, c, seg);
    return launch_back<T, 1>(d, c, seg);
}

extern "C" tk_status tk_cuda_norm_rope_back(tk_device *d, const tk_call *c)
{
    size_t bytes;
    const tk_segments seg = segments_of(c, d->scratch, &bytes);
    TK_TRY(c->dout[0].dtype == TK_BF16 ? back_as<tk_bf16>(d, c, &seg) : back_as<float>(d, c, &seg));
    tk_segment_to to = {};
    to.to = (float *)c->din[1].data;
    to.add = c->add[1];
    return seg.sums ? tk_segments_total(d, &seg, 0, to) : TK_OK;
}
