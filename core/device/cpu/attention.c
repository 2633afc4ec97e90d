// SPDX-License-Identifier: Apache-2.0
// Fast CPU backend: attention within documents, tile by tile.
//
// Scores exist only as a tile of at most TILE queries x TILE keys per thread. Forward walks the
// key tiles of a query tile with a running maximum and sum (as in Milakov and Gimelshein, "Online
// normalizer calculation for softmax", 2018); backward makes the probabilities of a tile anew from
// the log-sum-exp. One thread does a whole head of a document backward, so that sums over queries
// and keys have one order.
#include "core/device/cpu/cpu.h"
#include "core/device/ops/gemm.h"
#include <omp.h>

enum { TILE = 256 };

typedef struct attention {
    int64_t head_dim, width, heads; // width = heads * head_dim = stride of a row
    int64_t ask, asked;             // rows of the largest tile of queries, of keys
    float scale;
} attention;

// Per thread: scores and their gradients (ask, asked), keys and values transposed (head_dim,
// asked), and per query the running maximum, sum (forward) or do . o (backward: whole document).
typedef struct space {
    float *score, *dscore, *kt, *vt, *row;
} space;

static attention sizes(const tk_call *c)
{
    int64_t width = tk_cols(&c->in[0]);
    return (attention){.head_dim = c->i[0],
                       .width = width,
                       .heads = width / c->i[0],
                       .ask = tk_least(c->i[1], TILE),
                       .asked = tk_least(c->i[2], TILE),
                       .scale = (float)c->f[0]};
}

static int64_t space_floats(const tk_call *c, bool back)
{
    attention a = sizes(c);
    int64_t row = back ? c->i[1] : 2 * a.ask;
    return tk_blocks((back + 1) * (a.ask + a.head_dim) * a.asked + row, 16) * 16;
}

static space space_of(const tk_device *d, const tk_call *c, bool back)
{
    attention a = sizes(c);
    float *p = (float *)d->scratch + omp_get_thread_num() * space_floats(c, back);
    space s = {.score = p};
    s.kt = s.score + a.ask * a.asked;
    s.row = s.kt + a.head_dim * a.asked;
    if (!back) return s;
    s.dscore = s.row;
    s.vt = s.dscore + a.ask * a.asked;
    s.row = s.vt + a.head_dim * a.asked;
    return s;
}

size_t tk_cpu_attention_scratch(const tk_device *d, const tk_call *c, bool back)
{
    return (size_t)(d->threads * space_floats(c, back)) * sizeof(float);
}

// score row (n) := exp(score - new maximum); the running maximum and sum of the query follow.
// Returns what the output so far must be multiplied by.
static float soften(float *score, int64_t n, float *maximum, float *sum)
{
    float top = *maximum, s = 0;
#pragma omp simd reduction(max : top)
    for (int64_t j = 0; j < n; j++) top = score[j] > top ? score[j] : top;
#pragma omp simd reduction(+ : s)
    for (int64_t j = 0; j < n; j++) {
        score[j] = tk_expf(score[j] - top);
        s += score[j];
    }
    float shrink = tk_expf(*maximum - top);
    *maximum = top;
    *sum = *sum * shrink + s;
    return shrink;
}

// Rows x (n, head_dim of a row of ld) := 0.
static void clear_rows(float *x, int64_t ld, int64_t n, int64_t head_dim)
{
    for (int64_t i = 0; i < n; i++) memset(x + i * ld, 0, (size_t)head_dim * sizeof *x);
}

// Queries [row, row + n) of head `head` over the keys [begin, end).
static tk_status attend(const tk_call *c, const attention *a, space s, int64_t row, int64_t n,
                        int64_t head, int64_t begin, int64_t end)
{
    int64_t at = head * a->head_dim, tiles = tk_blocks(end - begin, TILE), ld = a->width;
    const float *q = tk_f32(&c->in[0]) + row * ld + at;
    float *o = tk_f32(&c->out[0]) + row * ld + at, *lse = tk_f32(&c->out[1]) + row * a->heads;
    float *maximum = s.row, *sum = s.row + n;
    for (int64_t i = 0; i < n; i++) maximum[i] = -INFINITY, sum[i] = 0;
    if (begin == end) {
        clear_rows(o, ld, n, a->head_dim);
        for (int64_t i = 0; i < n; i++) lse[i * a->heads + head] = 0;
        return TK_OK;
    }
    for (int64_t t = 0; t < tiles; t++) {
        int64_t key = begin + tk_split_begin(end - begin, tiles, t);
        int64_t m = tk_split_count(end - begin, tiles, t);
        tk_transpose(tk_f32(&c->in[1]) + key * ld + at, ld, m, a->head_dim, s.kt, m);
        TK_TRY(tk_gemm_one('N', 'N', n, m, a->head_dim, a->scale, q, ld, s.kt, m, 0, s.score, m));
        for (int64_t i = 0; i < n; i++) {
            float shrink = soften(s.score + i * m, m, maximum + i, sum + i);
            for (int64_t j = 0; t > 0 && j < a->head_dim; j++) o[i * ld + j] *= shrink;
        }
        TK_TRY(tk_gemm_one('N', 'N', n, a->head_dim, m, 1, s.score, m,
                           tk_f32(&c->in[2]) + key * ld + at, ld, t > 0, o, ld));
    }
    for (int64_t i = 0; i < n; i++) {
        float inverse = 1.0f / sum[i];
        for (int64_t j = 0; j < a->head_dim; j++) o[i * ld + j] *= inverse;
        lse[i * a->heads + head] = maximum[i] + logf(sum[i]);
    }
    return TK_OK;
}

tk_status tk_cpu_attention(tk_device *d, const tk_call *c)
{
    attention a = sizes(c);
    const int32_t *ask = tk_i32(&c->in[3]), *asked = tk_i32(&c->in[4]);
    int64_t most = tk_blocks(c->i[1], TILE); // query tiles of the longest document
    int threads = tk_cpu_threads(d, c->i[3] * a.width);
    tk_team team = {TK_OK, ""};
#pragma omp parallel num_threads(threads)
    {
        space s = space_of(d, c, false);
#pragma omp for collapse(3) schedule(dynamic)
        for (int64_t doc = 0; doc < c->i[4]; doc++)
            for (int64_t head = 0; head < a.heads; head++)
                for (int64_t t = 0; t < most; t++) {
                    int64_t begin = ask[doc], rows = ask[doc + 1] - begin;
                    int64_t tiles = tk_blocks(rows, TILE);
                    if (t >= tiles) continue;
                    tk_team_report(&team, attend(c, &a, s, begin + tk_split_begin(rows, tiles, t),
                                                 tk_split_count(rows, tiles, t), head, asked[doc],
                                                 asked[doc + 1]));
                }
    }
    return tk_team_result(&team);
}

// ---- backward --------------------------------------------------------------------------------

// Tiles of scores to probabilities, and dscore (dP) to the gradient of the unscaled scores:
// p = exp(score - lse), dscore = p * (dP - across) * scale.
static void harden(const attention *a, space s, const float *lse, const float *across, int64_t n,
                   int64_t m)
{
    for (int64_t i = 0; i < n; i++) {
        float *p = s.score + i * m, *g = s.dscore + i * m, top = lse[i * a->heads], by = across[i];
        float scale = a->scale;
#pragma omp simd
        for (int64_t j = 0; j < m; j++) {
            p[j] = tk_expf(p[j] - top);
            g[j] = p[j] * (g[j] - by) * scale;
        }
    }
}

// One tile: queries [row, row + n), keys [key, key + m), keys and values transposed in s.
// first_q, first_k: the tile is the first to reach these keys, these queries.
static tk_status tile_back(const tk_call *c, const attention *a, space s, const float *across,
                           int64_t row, int64_t n, int64_t key, int64_t m, int64_t head,
                           bool first_q, bool first_k)
{
    int64_t ld = a->width, dim = a->head_dim, from = row * ld + head * dim;
    int64_t to = key * ld + head * dim;
    const float *q = tk_f32(&c->in[0]) + from, *up = tk_f32(&c->dout[0]) + from;
    TK_TRY(tk_gemm_one('N', 'N', n, m, dim, a->scale, q, ld, s.kt, m, 0, s.score, m));
    TK_TRY(tk_gemm_one('N', 'N', n, m, dim, 1, up, ld, s.vt, m, 0, s.dscore, m));
    harden(a, s, tk_f32(&c->out[1]) + row * a->heads + head, across, n, m);
    if (tk_wants(c, 2))
        TK_TRY(tk_gemm_one('T', 'N', m, dim, n, 1, s.score, m, up, ld, !first_q || c->add[2],
                           tk_f32(&c->din[2]) + to, ld));
    if (tk_wants(c, 1))
        TK_TRY(tk_gemm_one('T', 'N', m, dim, n, 1, s.dscore, m, q, ld, !first_q || c->add[1],
                           tk_f32(&c->din[1]) + to, ld));
    if (tk_wants(c, 0))
        TK_TRY(tk_gemm_one('N', 'N', n, dim, m, 1, s.dscore, m, tk_f32(&c->in[1]) + to, ld,
                           !first_k || c->add[0], tk_f32(&c->din[0]) + from, ld));
    return TK_OK;
}

// Gradients that no pair of rows reaches: of rows that ask nobody, or whom nobody asks.
static void clear_head(const tk_call *c, const attention *a, int k, int64_t begin, int64_t rows,
                       int64_t head)
{
    if (tk_wants(c, k) && !c->add[k])
        clear_rows(tk_f32(&c->din[k]) + begin * a->width + head * a->head_dim, a->width, rows,
                   a->head_dim);
}

// A head of the queries [ask, ask + rows) over the keys [asked, asked + keys).
static tk_status head_back(const tk_call *c, const attention *a, space s, int64_t ask, int64_t rows,
                           int64_t asked, int64_t keys, int64_t head)
{
    int64_t tiles = tk_blocks(rows, TILE), key_tiles = tk_blocks(keys, TILE);
    int64_t ld = a->width, dim = a->head_dim;
    if (!rows || !keys) {
        clear_head(c, a, 0, ask, rows, head);
        clear_head(c, a, 1, asked, keys, head);
        clear_head(c, a, 2, asked, keys, head);
        return TK_OK;
    }
    for (int64_t i = 0; i < rows; i++) {
        const float *o = tk_f32(&c->out[0]) + (ask + i) * ld + head * dim;
        const float *up = tk_f32(&c->dout[0]) + (ask + i) * ld + head * dim;
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t j = 0; j < dim; j++) sum += o[j] * up[j];
        s.row[i] = sum;
    }
    for (int64_t k = 0; k < key_tiles; k++) {
        int64_t key = tk_split_begin(keys, key_tiles, k), m = tk_split_count(keys, key_tiles, k);
        int64_t at = (asked + key) * ld + head * dim;
        tk_transpose(tk_f32(&c->in[1]) + at, ld, m, dim, s.kt, m);
        tk_transpose(tk_f32(&c->in[2]) + at, ld, m, dim, s.vt, m);
        for (int64_t t = 0; t < tiles; t++) {
            int64_t row = tk_split_begin(rows, tiles, t), n = tk_split_count(rows, tiles, t);
            TK_TRY(tile_back(c, a, s, s.row + row, ask + row, n, asked + key, m, head, t == 0,
                             k == 0));
        }
    }
    return TK_OK;
}

tk_status tk_cpu_attention_back(tk_device *d, const tk_call *c)
{
    attention a = sizes(c);
    const int32_t *ask = tk_i32(&c->in[3]), *asked = tk_i32(&c->in[4]);
    int threads = tk_cpu_threads(d, c->i[3] * a.width);
    tk_team team = {TK_OK, ""};
#pragma omp parallel num_threads(threads)
    {
        space s = space_of(d, c, true);
#pragma omp for collapse(2) schedule(dynamic)
        for (int64_t doc = 0; doc < c->i[4]; doc++)
            for (int64_t head = 0; head < a.heads; head++)
                tk_team_report(&team, head_back(c, &a, s, ask[doc], ask[doc + 1] - ask[doc],
                                                asked[doc], asked[doc + 1] - asked[doc], head));
    }
    return tk_team_result(&team);
}
