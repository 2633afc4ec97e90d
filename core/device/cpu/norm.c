// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: RMS norm, AdaLN modulation and gate, forward and backward.
#include "core/device/cpu/cpu.h"

static float inverse_rms(const float *x, int64_t n, float eps)
{
    float s = 0;
#pragma omp simd reduction(+ : s)
    for (int64_t i = 0; i < n; i++) s += x[i] * x[i];
    return 1.0f / sqrtf(s / (float)n + eps);
}

static void set_unless_add(const tk_call *c, int k)
{
    if (tk_wants(c, k) && !c->add[k]) memset(c->din[k].data, 0, tk_bytes(&c->din[k]));
}

// dx (+)= r * (g - xhat * mean(g * xhat)), xhat = x * r, g = dy * w (w NULL: ones)
static void rms_back(const float *x, const float *dy, const float *w, float r, int64_t n, float *dx,
                     bool add)
{
    float s = 0;
    if (w) {
#pragma omp simd reduction(+ : s)
        for (int64_t i = 0; i < n; i++) s += dy[i] * w[i] * x[i];
    } else {
#pragma omp simd reduction(+ : s)
        for (int64_t i = 0; i < n; i++) s += dy[i] * x[i];
    }
    float mean = s * r * r * r / (float)n;
    if (w) {
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            dx[i] = (add ? dx[i] : 0) + (r * (dy[i] * w[i]) - x[i] * mean);
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; i++) dx[i] = (add ? dx[i] : 0) + (r * dy[i] - x[i] * mean);
    }
}

// ---- RMS norm --------------------------------------------------------------------------------

tk_status tk_cpu_rms_norm(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]);
    float *y = tk_f32(&c->out[0]);
    int64_t n = c->i[0], rows = tk_count(&c->in[0]) / n;
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *from = x + row * n;
        float *to = y + row * n, r = inverse_rms(from, n, (float)c->f[0]);
        if (w) {
#pragma omp simd
            for (int64_t i = 0; i < n; i++) to[i] = from[i] * r * w[i];
        } else {
#pragma omp simd
            for (int64_t i = 0; i < n; i++) to[i] = from[i] * r;
        }
    }
    return TK_OK;
}

// Rows are cut into at most TK_CPU_PARTS parts; each sums its own gradient of w in scratch.
static int64_t parts_of(int64_t rows)
{
    return tk_least(TK_CPU_PARTS, tk_blocks(rows, TK_CPU_ROWS));
}

size_t tk_cpu_norm_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    if (!back || !tk_wants(c, 1)) return 0;
    return (size_t)(parts_of(tk_count(&c->in[0]) / c->i[0]) * c->i[0]) * sizeof(float);
}

tk_status tk_cpu_rms_norm_back(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]), *dy = tk_f32(&c->dout[0]);
    float *dx = tk_f32(&c->din[0]), *dw = tk_f32(&c->din[1]), *part = d->scratch;
    int64_t n = c->i[0], rows = tk_count(&c->in[0]) / n, parts = parts_of(rows);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t p = 0; p < parts; p++) {
        float *sum = dw ? part + p * n : NULL;
        if (sum) memset(sum, 0, (size_t)n * sizeof *sum);
        int64_t begin = tk_split_begin(rows, parts, p);
        for (int64_t row = begin; row < begin + tk_split_count(rows, parts, p); row++) {
            const float *from = x + row * n, *up = dy + row * n;
            float r = inverse_rms(from, n, (float)c->f[0]);
            if (sum) {
#pragma omp simd
                for (int64_t i = 0; i < n; i++) sum[i] += up[i] * from[i] * r;
            }
            if (dx) rms_back(from, up, w, r, n, dx + row * n, c->add[0]);
        }
    }
    set_unless_add(c, 1);
    for (int64_t p = 0; dw && p < parts; p++)
        for (int64_t i = 0; i < n; i++) dw[i] += part[p * n + i];
    return TK_OK;
}

// ---- modulate --------------------------------------------------------------------------------

tk_status tk_cpu_modulate(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]), *table = tk_f32(&c->in[2]);
    const int32_t *index = tk_i32(&c->in[3]);
    float *y = tk_f32(&c->out[0]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *from = x + row * n, *entry = table + index[row] * width;
        const float *shift = entry + c->i[0], *scale = entry + c->i[1];
        float *to = y + row * n, r = inverse_rms(from, n, (float)c->f[0]);
        if (w) {
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                to[i] = from[i] * r * w[i] * (1.0f + scale[i]) + shift[i];
        } else {
#pragma omp simd
            for (int64_t i = 0; i < n; i++) to[i] = from[i] * r * (1.0f + scale[i]) + shift[i];
        }
    }
    return TK_OK;
}

// Per row its inverse rms, and a row of w * (1 + scale) for each block of rows.
size_t tk_cpu_modulate_scratch(const tk_device *d, const tk_call *c, bool back)
{
    (void)d;
    if (!back) return 0;
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    return (size_t)(rows + tk_blocks(rows, TK_CPU_ROWS) * n) * sizeof(float);
}

// One block of rows: the inverse rms of each, and dx where wanted. Consecutive rows mostly share
// their table entry: `gain` (n) = w * (1 + scale) is made anew only where it changes.
static void modulate_back_rows(const tk_call *c, int64_t begin, int64_t end, float *inverse,
                               float *gain)
{
    const float *x = tk_f32(&c->in[0]), *w = tk_f32(&c->in[1]), *dy = tk_f32(&c->dout[0]);
    int64_t n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    int32_t last = -1;
    for (int64_t row = begin; row < end; row++) {
        inverse[row] = inverse_rms(x + row * n, n, (float)c->f[0]);
        if (!tk_wants(c, 0)) continue;
        int32_t entry = tk_i32(&c->in[3])[row];
        const float *scale = tk_f32(&c->in[2]) + entry * width + c->i[1];
        for (int64_t i = 0; entry != last && i < n; i++)
            gain[i] = (w ? w[i] : 1.0f) * (1.0f + scale[i]);
        last = entry;
        rms_back(x + row * n, dy + row * n, gain, inverse[row], n, tk_f32(&c->din[0]) + row * n,
                 c->add[0]);
    }
}

// Adds a run's sums of dy (`up`) and dy * xhat (`across`) over columns [col, col + width) to the
// gradients of w and of the table's entry.
static void modulate_flush(const tk_call *c, int32_t entry, int64_t col, int64_t width,
                           const float *up, const float *across)
{
    const float *w = tk_f32(&c->in[1]);
    int64_t at = entry * tk_cols(&c->in[2]) + col;
    const float *scale = tk_f32(&c->in[2]) + at + c->i[1];
    float *dw = tk_f32(&c->din[1]), *dtable = tk_f32(&c->din[2]);
    for (int64_t j = 0; j < width; j++) {
        if (dw) dw[col + j] += across[j] * (1.0f + scale[j]);
        if (!dtable) continue;
        dtable[at + c->i[0] + j] += up[j];
        dtable[at + c->i[1] + j] += across[j] * (w ? w[col + j] : 1.0f);
    }
}

// One block of columns over all rows, flushed wherever the table entry changes.
static void modulate_back_columns(const tk_call *c, const float *inverse, int64_t col)
{
    const float *x = tk_f32(&c->in[0]), *dy = tk_f32(&c->dout[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    int64_t width = tk_least(TK_CPU_COLUMNS, n - col);
    float up[TK_CPU_COLUMNS] = {0}, across[TK_CPU_COLUMNS] = {0};
    for (int64_t row = 0; row < rows; row++) {
        const float *g = dy + row * n + col, *from = x + row * n + col;
        float r = inverse[row];
#pragma omp simd
        for (int64_t j = 0; j < width; j++) {
            up[j] += g[j];
            across[j] += g[j] * (from[j] * r);
        }
        if (row + 1 < rows && index[row + 1] == index[row]) continue;
        modulate_flush(c, index[row], col, width, up, across);
        memset(up, 0, sizeof up);
        memset(across, 0, sizeof across);
    }
}

tk_status tk_cpu_modulate_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]);
    float *inverse = d->scratch, *gain = inverse + rows;
    int64_t blocks = tk_blocks(rows, TK_CPU_ROWS);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t b = 0; b < blocks; b++)
        modulate_back_rows(c, b * TK_CPU_ROWS, tk_least(rows, (b + 1) * TK_CPU_ROWS), inverse,
                           gain + b * n);
    if (!tk_wants(c, 1) && !tk_wants(c, 2)) return TK_OK;
    set_unless_add(c, 1);
    set_unless_add(c, 2);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < n; col += TK_CPU_COLUMNS) modulate_back_columns(c, inverse, col);
    return TK_OK;
}

// ---- gate ------------------------------------------------------------------------------------

tk_status tk_cpu_gate_add(tk_device *d, const tk_call *c)
{
    const float *x = tk_f32(&c->in[0]), *y = tk_f32(&c->in[1]), *table = tk_f32(&c->in[2]);
    float *out = tk_f32(&c->out[0]);
    int64_t rows = tk_rows(&c->in[0]), n = tk_cols(&c->in[0]), width = tk_cols(&c->in[2]);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = table + tk_i32(&c->in[3])[row] * width + c->i[0];
        const float *a = x + row * n, *b = y + row * n;
        float *to = out + row * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) to[i] = a[i] + gate[i] * b[i];
    }
    return TK_OK;
}

// One block of columns over all rows: dx, dy, and the gate's gradient run by run.
static void gate_back_columns(const tk_call *c, int64_t col)
{
    const float *y = tk_f32(&c->in[1]), *table = tk_f32(&c->in[2]), *g = tk_f32(&c->dout[0]);
    const int32_t *index = tk_i32(&c->in[3]);
    float *dx = tk_f32(&c->din[0]), *dy = tk_f32(&c->din[1]), *dtable = tk_f32(&c->din[2]);
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]), pitch = tk_cols(&c->in[2]);
    int64_t width = tk_least(TK_CPU_COLUMNS, n - col);
    float sum[TK_CPU_COLUMNS] = {0};
    for (int64_t row = 0; row < rows; row++) {
        int64_t at = row * n + col, entry = index[row] * pitch + c->i[0] + col;
        const float *up = g + at, *gate = table + entry, *by = y + at;
        if (dx) {
            float *to = dx + at;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) to[j] = (c->add[0] ? to[j] : 0) + up[j];
        }
        if (dy) {
            float *to = dy + at;
#pragma omp simd
            for (int64_t j = 0; j < width; j++) to[j] = (c->add[1] ? to[j] : 0) + up[j] * gate[j];
        }
        if (!dtable) continue;
#pragma omp simd
        for (int64_t j = 0; j < width; j++) sum[j] += up[j] * by[j];
        if (row + 1 < rows && index[row + 1] == index[row]) continue;
        for (int64_t j = 0; j < width; j++) dtable[entry + j] += sum[j];
        memset(sum, 0, sizeof sum);
    }
}

tk_status tk_cpu_gate_add_back(tk_device *d, const tk_call *c)
{
    int64_t rows = tk_rows(&c->dout[0]), n = tk_cols(&c->dout[0]);
    set_unless_add(c, 2);
    int threads = tk_cpu_threads(d, rows * n);
#pragma omp parallel for num_threads(threads)
    for (int64_t col = 0; col < n; col += TK_CPU_COLUMNS) gate_back_columns(c, col);
    return TK_OK;
}
