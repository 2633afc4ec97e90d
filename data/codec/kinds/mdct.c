// SPDX-License-Identifier: Apache-2.0
// The kind of sound "mdct": linear and closed form. Rows are principal components of MDCT frames,
// fitted on data once (no training), each component scaled, rows of unit variance overall.
// Everything is a matrix product over blocks of frames, so memory stays bounded whatever the
// track's length.
#include "core/device/ops/gemm.h"
#include "data/codec/kinds/axes.h"
#include "data/codec/kinds/kinds.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 256 }; // frames a product

// N = audio_hop, C = components kept. Frames lap: row r spans samples (r - 1) N to (r + 1) N.
typedef struct mdct {
    tk_half half; // the first member
    tk_arena arena;
    float *basis;    // stored: (C, N) orthonormal rows
    float *scale;    // stored: (C) component -> row
    float *in, *out; // derived: (C, 2N) each: rows = frame in^T; frame = rows out, frames added
} mdct;

void tk_mdct_basis(int64_t n, float *basis)
{
    double step = M_PI / (double)n, size = sqrt(2.0 / (double)n);
    for (int64_t k = 0; k < n; k++)
        for (int64_t t = 0; t < 2 * n; t++) {
            double window = sin(0.5 * step * ((double)t + 0.5));
            double turn = ((double)t + 0.5 + 0.5 * (double)n) * ((double)k + 0.5);
            basis[k * 2 * n + t] = (float)(size * window * cos(step * turn));
        }
}

static tk_status mdct_check(const tk_codec_info *i, const char *where)
{
    if (i->audio_channels <= i->audio_hop) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: %lld audio channels of a hop of %lld samples", where,
                   (long long)i->audio_channels, (long long)i->audio_hop);
}

static void mdct_free(tk_half *h)
{
    mdct *c = (mdct *)h;
    tk_arena_free(&c->arena);
    tk_free(c);
}

static tk_status mdct_memory(mdct *c)
{
    const int64_t kept = c->half.info.audio_channels, hop = c->half.info.audio_hop;
    TK_ARENA_NEW(c->basis, &c->arena, kept * hop);
    TK_ARENA_NEW(c->scale, &c->arena, kept);
    TK_ARENA_NEW(c->in, &c->arena, kept * 2 * hop);
    TK_ARENA_NEW(c->out, &c->arena, kept * 2 * hop);
    return TK_OK;
}

static tk_status mdct_create(const tk_codec_info *info, tk_half **out)
{
    mdct *c;
    TK_NEW(c, 1);
    c->half = (tk_half){.kind = &tk_mdct_kind, .info = *info};
    tk_arena_init(&c->arena, 0);
    const tk_status st = mdct_memory(c);
    if (st != TK_OK) mdct_free(&c->half);
    *out = st == TK_OK ? &c->half : NULL;
    return st;
}

static int mdct_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    const mdct *c = (const mdct *)h;
    const int64_t kept = h->info.audio_channels;
    list[0] = (tk_codec_array){"audio_basis", c->basis, kept, h->info.audio_hop, false};
    list[1] = (tk_codec_array){"audio_scale", c->scale, 0, kept, true};
    return 2;
}

static tk_status mdct_derive(tk_half *h)
{
    mdct *c = (mdct *)h;
    const int64_t kept = h->info.audio_channels, hop = h->info.audio_hop, frame = 2 * hop;
    float *basis;
    TK_NEW(basis, hop * frame);
    tk_mdct_basis(hop, basis);
    const tk_status st =
        tk_gemm(0, 'N', 'N', kept, frame, hop, c->basis, hop, basis, frame, 0, c->in, frame);
    tk_free(basis);
    TK_TRY(st);
    for (int64_t k = 0; k < kept * frame; k++) {
        const float plain = c->in[k], scale = c->scale[k / frame];
        c->in[k] = plain * scale;
        c->out[k] = plain / scale;
    }
    return TK_OK;
}

void tk_codec_frames(int64_t hop, const tk_media *m, int64_t channel, int64_t first, int64_t n,
                     float *x)
{
    for (int64_t r = first; r < first + n; r++)
        for (int64_t t = (r - 1) * hop; t < (r + 1) * hop; t++)
            *x++ = t >= 0 && t < m->samples ? m->pcm[t * m->channels + channel] : 0;
}

// ---- fit ---------------------------------------------------------------------------------------

typedef struct mdct_fit {
    mdct *codec;
    tk_moments moments;
    float *basis, *frame; // (N, 2N); scratch (2N)
    double *variance;     // scratch (C)
} mdct_fit;

static tk_status mdct_fit_begin(tk_half *h, int64_t n, tk_arena *a, void **out)
{
    const int64_t hop = h->info.audio_hop;
    mdct_fit *f;
    (void)n;
    TK_ARENA_NEW(f, a, 1);
    f->codec = (mdct *)h;
    TK_TRY(tk_moments_new(&f->moments, a, hop));
    TK_ARENA_NEW(f->basis, a, 2 * hop * hop);
    TK_ARENA_NEW(f->frame, a, 2 * hop);
    TK_ARENA_NEW(f->variance, a, h->info.audio_channels);
    tk_mdct_basis(hop, f->basis);
    *out = f;
    return TK_OK;
}

// Adds the frames of every channel.
static tk_status mdct_fit_clip(void *fit, int64_t k, const tk_media *clip, const tk_grid *g)
{
    mdct_fit *f = fit;
    const int64_t hop = f->codec->half.info.audio_hop;
    (void)k;
    for (int64_t ch = 0; ch < clip->channels; ch++)
        for (int64_t r = 0; r < g->audio_rows; r++) {
            tk_codec_frames(hop, clip, ch, r, 1, f->frame);
            TK_TRY(tk_gemm(0, 'N', 'T', 1, hop, 2 * hop, f->frame, 2 * hop, f->basis, 2 * hop, 0,
                           tk_moments_row(&f->moments), hop));
            TK_TRY(tk_moments_add(&f->moments));
        }
    return TK_OK;
}

static tk_status mdct_fit_end(void *fit)
{
    mdct_fit *f = fit;
    mdct *c = f->codec;
    const int64_t kept = c->half.info.audio_channels;
    TK_TRY(tk_moments_axes(&f->moments, false, kept, NULL, c->basis, f->variance));
    tk_root_scales(f->variance, kept, c->scale);
    return TK_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static int64_t mdct_step(const tk_half *half, int64_t high, int64_t wide)
{
    (void)half, (void)high, (void)wide;
    return BLOCK;
}

static tk_status mdct_encode(const tk_half *half, const tk_media *m, float *rows)
{
    const mdct *c = (const mdct *)half;
    int64_t hop = half->info.audio_hop, kept = half->info.audio_channels, frame = 2 * hop;
    int64_t all = tk_grid_audio_rows(&half->info, m->samples);
    float *x;
    TK_NEW(x, BLOCK * frame);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < all && st == TK_OK; at += BLOCK)
        for (int64_t ch = 0; ch < m->channels && st == TK_OK; ch++) {
            int64_t n = all - at < BLOCK ? all - at : BLOCK;
            tk_codec_frames(hop, m, ch, at, n, x);
            st = tk_gemm(0, 'N', 'T', n, kept, frame, x, frame, c->in, frame, 0,
                         rows + (at * m->channels + ch) * kept, m->channels * kept);
        }
    tk_free(x);
    return st;
}

typedef struct stretch { // samples [first, first + n) of a track, and the rows that sound in them
    tk_row_part rows;
    int64_t begin, end; // rows
    int64_t first, n, channels;
    float *pcm;
} stretch;

// Adds what rows [at, at + BLOCK) of a channel sound like, as far as they are the part's. The
// product is of all BLOCK rows always, and at is a multiple of BLOCK, so that a row's bits do not
// depend on the part. x: scratch (BLOCK, 2N + Ca).
static tk_status add_block(const mdct *c, const stretch *p, int64_t channel, int64_t at, float *x)
{
    const int64_t hop = c->half.info.audio_hop, kept = c->half.info.audio_channels;
    const int64_t frame = 2 * hop, begin = p->begin > at ? p->begin : at;
    const int64_t end = p->end < at + BLOCK ? p->end : at + BLOCK;
    float *y = x + BLOCK * frame;
    memset(y, 0, (size_t)(BLOCK * kept) * sizeof *y);
    for (int64_t r = begin; r < end; r++)
        memcpy(y + (r - at) * kept,
               p->rows.x + ((r - p->rows.first) * p->channels + channel) * kept,
               (size_t)kept * sizeof *y);
    TK_TRY(tk_gemm(0, 'N', 'N', BLOCK, frame, kept, y, kept, c->out, frame, 0, x, frame));
    for (int64_t r = begin; r < end; r++)
        for (int64_t k = 0; k < frame; k++) {
            const int64_t t = (r - 1) * hop + k - p->first;
            if (t >= 0 && t < p->n) p->pcm[t * p->channels + channel] += x[(r - at) * frame + k];
        }
    return TK_OK;
}

static tk_status mdct_decode(const tk_half *half, tk_row_part rows, int64_t audio_rows,
                             int64_t channels, int64_t first, int64_t n, float *pcm)
{
    const mdct *c = (const mdct *)half;
    const int64_t hop = half->info.audio_hop, kept = half->info.audio_channels;
    const int64_t last = (first + n + hop - 1) / hop + 1;
    const stretch p = {.rows = rows,
                       .begin = first / hop,
                       .end = last < audio_rows ? last : audio_rows,
                       .first = first,
                       .n = n,
                       .channels = channels,
                       .pcm = pcm};
    float *x;
    TK_NEW(x, BLOCK * (2 * hop + kept));
    memset(pcm, 0, (size_t)(n * channels) * sizeof *pcm);
    tk_status st = TK_OK;
    for (int64_t at = p.begin / BLOCK * BLOCK; at < p.end; at += BLOCK)
        for (int64_t ch = 0; ch < channels && st == TK_OK; ch++) st = add_block(c, &p, ch, at, x);
    for (int64_t k = 0; k < n * channels; k++) pcm[k] = fmaxf(-1, fminf(1, pcm[k]));
    tk_free(x);
    return st;
}

const tk_half_kind tk_mdct_kind = {.side = TK_CODEC_AUDIO,
                                   .name = "mdct",
                                   .tail = 1,
                                   .check = mdct_check,
                                   .create = mdct_create,
                                   .free = mdct_free,
                                   .arrays = mdct_arrays,
                                   .derive = mdct_derive,
                                   .fit_begin = mdct_fit_begin,
                                   .fit_clip = mdct_fit_clip,
                                   .fit_end = mdct_fit_end,
                                   .encode_audio = mdct_encode,
                                   .step = mdct_step,
                                   .decode_audio = mdct_decode};
