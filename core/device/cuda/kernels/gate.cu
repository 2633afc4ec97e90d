// SPDX-License-Identifier: Apache-2.0
// A gated sum: GATE_ADD, out = x + gate * y, the gate out of the row's entry of a table.
//
// A thread takes a pack of columns down a chunk of rows, so that it reads an entry's gate once for
// all rows that follow each other with it. Backward the same, on rows in the order of their entry
// where the table's gradient is wanted (core/device/cuda/kernels/segments.cuh): a thread's sum of
// dout * y over a run of one entry is its columns' partial sum as it stands.
#include "core/device/cuda/kernels/segments.cuh"
#include "core/device/cuda/table.h"

enum { CHUNK = 16, THREADS = 256, ONE = 1 };

typedef struct gate_shape {
    int64_t rows, n;
    const float *gate; // entry 0's
    int64_t pitch;     // from entry to entry
    const int32_t *index;
} gate_shape;

static gate_shape shape_of(const tk_call *c, const tk_tensor *rows)
{
    gate_shape s = {};
    s.rows = tk_rows(rows);
    s.n = tk_cols(rows);
    s.gate = (const float *)c->in[2].data + c->i[0];
    s.pitch = tk_cols(&c->in[2]);
    s.index = (const int32_t *)c->in[3].data;
    return s;
}

// A block for each chunk along x, blocks for all packs of a row along y.
static dim3 grid_of(int64_t chunks, int64_t packs, unsigned *threads)
{
    const int64_t wide = tk_blocks(packs, TK_WARP) * TK_WARP;
    *threads = wide < THREADS ? (unsigned)wide : (unsigned)THREADS;
    return dim3(tk_grid(chunks, 1), packs ? tk_grid(packs, *threads) : 0);
}

static bool in_packs(const gate_shape *s, const void *a, const void *b, size_t size)
{
    return tk_aligned(a, s->n, size) && tk_aligned(b, s->n, size) &&
           tk_aligned(s->gate, s->pitch, sizeof *s->gate);
}

// ---- forward -----------------------------------------------------------------------------------

template <class T, int V>
static __global__ void gate_kernel(gate_shape s, const T *x, const T *y, T *out)
{
    const int64_t at = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * V;
    const int64_t first = (int64_t)blockIdx.x * CHUNK;
    float gate[V], a[V], b[V];
    if (at >= s.n) return;
    int64_t entry = s.index[first];
    tk_read<V>(s.gate + entry * s.pitch + at, gate);
    for (int64_t row = first; row < first + CHUNK && row < s.rows; row++) {
        if (s.index[row] != entry) {
            entry = s.index[row];
            tk_read<V>(s.gate + entry * s.pitch + at, gate);
        }
        tk_read<V>(x + row * s.n + at, a);
        tk_read<V>(y + row * s.n + at, b);
        for (int j = 0; j < V; j++) a[j] += gate[j] * b[j];
        tk_write<V>(out + row * s.n + at, a);
    }
}

template <class T, int V> static tk_status launch_gate(tk_device *d, const tk_call *c, gate_shape s)
{
    unsigned threads;
    const dim3 grid = grid_of(tk_blocks(s.rows, CHUNK), s.n / V, &threads);
    return tk_launch(d, "gate_add", gate_kernel<T, V>, grid, threads, 0, s,
                     (const T *)c->in[0].data, (const T *)c->in[1].data, (T *)c->out[0].data);
}

template <class T> static tk_status gate_as(tk_device *d, const tk_call *c)
{
    const gate_shape s = shape_of(c, &c->out[0]);
    if (in_packs(&s, c->in[0].data, c->in[1].data, sizeof(T)) &&
        tk_aligned(c->out[0].data, s.n, sizeof(T)))
        return launch_gate<T, tk_wide<T>()>(d, c, s);
    return launch_gate<T, 1>(d, c, s);
}

extern "C" tk_status tk_cuda_gate_add(tk_device *d, const tk_call *c)
{
    return c->out[0].dtype == TK_BF16 ? gate_as<tk_bf16>(d, c) : gate_as<float>(d, c);
}

// ---- backward ----------------------------------------------------------------------------------

template <class T> struct gate_grads {
    const T *up, *y;
    T *dx, *dy; // NULL: not wanted
    bool add_x, add_y;
};

template <class T, int V>
static __global__ void gate_back_kernel(gate_shape s, gate_grads<T> g, tk_segments seg)
{
    const int64_t at = ((int64_t)blockIdx.y * blockDim.x + threadIdx.x) * V;
    const int64_t first = blockIdx.x * seg.chunk;
    const int n = (int)(s.rows - first < seg.chunk ? s.rows - first : seg.chunk);
    if (at >= s.n) return;
    for (int i = 0, run; i < n; i += run) {
        const int64_t entry = s.index[tk_segments_row(&seg, first + i)];
        float gate[V], sum[V], up[V], by[V];
        run = seg.begin ? tk_segments_run(&seg, first + i, n - i, entry) : ONE;
        tk_read<V>(s.gate + entry * s.pitch + at, gate);
        for (int j = 0; j < V; j++) sum[j] = 0;
        for (int k = i; k < i + run; k++) {
            const int64_t to = tk_segments_row(&seg, first + k) * s.n + at;
            tk_read<V>(g.up + to, up);
            if (seg.sums) {
                tk_read<V>(g.y + to, by);
                for (int j = 0; j < V; j++) sum[j] += up[j] * by[j];
            }
            if (g.dx) tk_give<V>(g.dx + to, up, g.add_x);
            for (int j = 0; j < V; j++) up[j] *= gate[j];
            if (g.dy) tk_give<V>(g.dy + to, up, g.add_y);
        }
        if (seg.sums) tk_write<V>(tk_segments_part(&seg, blockIdx.x, entry) + at, sum);
    }
}

static tk_segments segments_of(const tk_call *c, void *scratch, size_t *bytes)
{
    *bytes = 0;
    if (!tk_wants(c, 2)) return tk_segments_none(tk_rows(&c->dout[0]), CHUNK);
    return tk_segments_lay(scratch, tk_rows(&c->dout[0]), tk_rows(&c->in[2]), tk_cols(&c->dout[0]),
                           ONE, ONE, bytes);
}

extern "C" size_t tk_cuda_gate_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    size_t bytes = 0;
    if (back) (void)segments_of(c, NULL, &bytes);
    return bytes;
}

template <class T, int V>
static tk_status launch_back(tk_device *d, gate_shape s, gate_grads<T> g, const tk_segments *seg)
{
    unsigned threads;
    const dim3 grid = grid_of(seg->chunks, s.n / V, &threads);
    return tk_launch(d, "gate_add backward", gate_back_kernel<T, V>, grid, threads, 0, s, g, *seg);
}

template <class T> static tk_status back_as(tk_device *d, const tk_call *c, const tk_segments *seg)
{
    const gate_shape s = shape_of(c, &c->dout[0]);
    gate_grads<T> g = {};
    g.up = (const T *)c->dout[0].data;
    g.y = (const T *)c->in[1].data;
    g.dx = (T *)c->din[0].data;
    g.dy = (T *)c->din[1].data;
    g.add_x = c->add[0];
    g.add_y = c->add[1];
    if (in_packs(&s, g.up, g.y, sizeof(T)) && tk_aligned(g.dx, s.n, sizeof(T)) &&
        tk_aligned(g.dy, s.n, sizeof(T)))
        return launch_back<T, tk_wide<T>()>(d, s, g, seg);
    return launch_back<T, 1>(d, s, g, seg);
}

extern "C" tk_status tk_cuda_gate_add_back(tk_device *d, const tk_call *c)
{
    const int32_t *const index = (const int32_t *)c->in[3].data;
    size_t bytes;
    const tk_segments seg = segments_of(c, d->scratch, &bytes);
    if (tk_wants(c, 2) && !c->add[2]) TK_TRY(d->ops->zero(d, c->din[2].data, tk_bytes(&c->din[2])));
    if (seg.sums) TK_TRY(tk_segments_sort(d, &seg, index));
    TK_TRY(c->dout[0].dtype == TK_BF16 ? back_as<tk_bf16>(d, c, &seg) : back_as<float>(d, c, &seg));
    if (!seg.sums) return TK_OK;
    tk_segment_to to = {};
    to.to = (float *)c->din[2].data + c->i[0];
    to.pitch = tk_cols(&c->in[2]);
    to.add = true;
    return tk_segments_total(d, &seg, 0, to);
}
