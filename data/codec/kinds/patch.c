// SPDX-License-Identifier: Apache-2.0
// The kind of pictures "patch": linear and closed form. Rows are principal components of patches,
// fitted on data once (no training), each component scaled, rows of unit variance overall.
// Everything is a matrix product over blocks of patches, so memory stays bounded whatever the
// clip's size.
#include "core/device/ops/gemm.h"
#include "data/codec/kinds/axes.h"
#include "data/codec/kinds/kinds.h"
#include <string.h>

enum {
    BLOCK = 256,      // patches a product
    LOOKED = 1 << 16, // at most about so many patches are looked at by the fit
};

// P = numbers of a patch, C = components kept.
typedef struct patches {
    tk_half half; // the first member
    tk_arena arena;
    float *mean;     // stored: (P)
    float *basis;    // stored: (C, P) orthonormal rows
    float *scale;    // stored: (C) component -> row
    float *in, *out; // derived: (C, P) each: rows = (patch - mean) in^T; patch = rows out + mean
} patches;

static tk_status patch_check(const tk_codec_info *i, const char *where)
{
    const int64_t patch = tk_codec_patch(i);
    if (i->video_channels <= patch) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: %lld video channels of a patch of %lld numbers", where,
                   (long long)i->video_channels, (long long)patch);
}

static void patch_free(tk_half *h)
{
    patches *c = (patches *)h;
    tk_arena_free(&c->arena);
    tk_free(c);
}

static tk_status patch_memory(patches *c)
{
    const int64_t kept = c->half.info.video_channels, patch = tk_codec_patch(&c->half.info);
    TK_ARENA_NEW(c->mean, &c->arena, patch);
    TK_ARENA_NEW(c->basis, &c->arena, kept * patch);
    TK_ARENA_NEW(c->scale, &c->arena, kept);
    TK_ARENA_NEW(c->in, &c->arena, kept * patch);
    TK_ARENA_NEW(c->out, &c->arena, kept * patch);
    return TK_OK;
}

static tk_status patch_create(const tk_codec_info *info, tk_half **out)
{
    patches *c;
    TK_NEW(c, 1);
    c->half = (tk_half){.kind = &tk_patch_kind, .info = *info};
    tk_arena_init(&c->arena, 0);
    const tk_status st = patch_memory(c);
    if (st != TK_OK) patch_free(&c->half);
    *out = st == TK_OK ? &c->half : NULL;
    return st;
}

static int patch_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    const patches *c = (const patches *)h;
    const int64_t kept = h->info.video_channels, patch = tk_codec_patch(&h->info);
    list[0] = (tk_codec_array){"video_mean", c->mean, 0, patch, false};
    list[1] = (tk_codec_array){"video_basis", c->basis, kept, patch, false};
    list[2] = (tk_codec_array){"video_scale", c->scale, 0, kept, true};
    return 3;
}

static tk_status patch_derive(tk_half *h)
{
    patches *c = (patches *)h;
    const int64_t patch = tk_codec_patch(&h->info);
    for (int64_t k = 0; k < h->info.video_channels * patch; k++) {
        c->in[k] = c->basis[k] * c->scale[k / patch];
        c->out[k] = c->basis[k] / c->scale[k / patch];
    }
    return TK_OK;
}

// Start of patch p of the clip in rgb, in bytes.
static int64_t patch_start(const tk_codec_info *i, int64_t height, int64_t width, int64_t p)
{
    int64_t wide = width / i->patch_size, high = height / i->patch_size;
    int64_t f = p / (high * wide), y = p / wide % high, x = p % wide;
    return ((f * i->patch_frames * height + y * i->patch_size) * width + x * i->patch_size) * 3;
}

// Patches [first, first + n) of a clip taken every `step`, as numbers in [-1, 1]: x (n, P).
static void gather_patches(const tk_codec_info *i, const tk_media *m, int64_t first, int64_t step,
                           int64_t n, float *x)
{
    int64_t line = i->patch_size * 3;
    for (int64_t p = 0; p < n; p++) {
        const uint8_t *from = m->rgb + patch_start(i, m->height, m->width, first + p * step);
        for (int64_t f = 0; f < i->patch_frames; f++)
            for (int64_t y = 0; y < i->patch_size; y++, x += line) {
                const uint8_t *s = from + (f * m->height + y) * m->width * 3;
                for (int64_t k = 0; k < line; k++) x[k] = (float)s[k] / 127.5f - 1;
            }
    }
}

// The way back: patches [first, first + n) into rgb, rounded and clamped.
static void scatter_patches(const tk_codec_info *i, const float *x, int64_t height, int64_t width,
                            int64_t first, int64_t n, uint8_t *rgb)
{
    int64_t line = i->patch_size * 3;
    for (int64_t p = 0; p < n; p++) {
        uint8_t *to = rgb + patch_start(i, height, width, first + p);
        for (int64_t f = 0; f < i->patch_frames; f++)
            for (int64_t y = 0; y < i->patch_size; y++, x += line) {
                uint8_t *s = to + (f * height + y) * width * 3;
                for (int64_t k = 0; k < line; k++) {
                    float v = (x[k] + 1) * 127.5f + 0.5f;
                    s[k] = v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0; // NaN gives 0
                }
            }
    }
}

// ---- fit ---------------------------------------------------------------------------------------

typedef struct patch_fit {
    patches *codec;
    tk_moments moments;
    int64_t clips, step;
    double *variance; // scratch (C)
} patch_fit;

static tk_status patch_fit_begin(tk_half *h, int64_t n, tk_arena *a, void **out)
{
    patch_fit *f;
    TK_ARENA_NEW(f, a, 1);
    *f = (patch_fit){.codec = (patches *)h, .clips = n, .step = 1};
    TK_TRY(tk_moments_new(&f->moments, a, tk_codec_patch(&h->info)));
    TK_ARENA_NEW(f->variance, a, h->info.video_channels);
    *out = f;
    return TK_OK;
}

// Adds every step-th patch.
static tk_status patch_fit_clip(void *fit, int64_t k, const tk_media *clip, const tk_grid *g)
{
    patch_fit *f = fit;
    if (!k) f->step = (g->video_rows * f->clips + LOOKED - 1) / LOOKED;
    for (int64_t p = k % f->step; p < g->video_rows; p += f->step) {
        gather_patches(&f->codec->half.info, clip, p, f->step, 1, tk_moments_row(&f->moments));
        TK_TRY(tk_moments_add(&f->moments));
    }
    return TK_OK;
}

static tk_status patch_fit_end(void *fit)
{
    patch_fit *f = fit;
    patches *c = f->codec;
    const int64_t kept = c->half.info.video_channels;
    TK_TRY(tk_moments_axes(&f->moments, true, kept, c->mean, c->basis, f->variance));
    tk_root_scales(f->variance, kept, c->scale);
    return TK_OK;
}

// ---- rows --------------------------------------------------------------------------------------

// Patches [from, to) of the whole, of the product of n that begins with patch `at`: their rows have
// the same bits whatever patches of others stand for the rest, if they stand at the same places. m
// begins with patch `own`. x (n, P), z (n, C): scratch.
static tk_status encode_product(const patches *c, const tk_media *m, int64_t own, int64_t at,
                                int64_t n, int64_t from, int64_t to, float *x, float *z)
{
    const tk_codec_info *i = &c->half.info;
    const int64_t patch = tk_codec_patch(i);
    gather_patches(i, m, from - own, 1, to - from, x + (from - at) * patch);
    for (int64_t p = from - at; p < to - at; p++)
        for (int64_t k = 0; k < patch; k++) x[p * patch + k] -= c->mean[k];
    return tk_gemm(0, 'N', 'T', n, i->video_channels, patch, x, patch, c->in, patch, 0, z,
                   i->video_channels);
}

// Products are those of the whole, wherever a part begins and ends.
static tk_status patch_encode(const tk_half *half, const tk_media *m, int64_t first, int64_t all,
                              float *rows)
{
    const patches *c = (const patches *)half;
    const tk_codec_info *i = &half->info;
    const int64_t channels = i->video_channels;
    tk_grid g;
    float *x;
    TK_TRY(tk_grid_of(i, "a clip", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    const int64_t each = g.high * g.wide, own = first * each, end = own + g.video_rows;
    TK_NEW(x, BLOCK * (tk_codec_patch(i) + channels));
    float *z = x + BLOCK * tk_codec_patch(i);
    tk_status st = TK_OK;
    for (int64_t at = own / BLOCK * BLOCK; at < end && st == TK_OK; at += BLOCK) {
        const int64_t left = all * each - at, n = left < BLOCK ? left : BLOCK;
        const int64_t from = at < own ? own : at, to = at + n < end ? at + n : end;
        st = encode_product(c, m, own, at, n, from, to, x, z);
        memcpy(rows + (from - own) * channels, z + (from - at) * channels,
               (size_t)((to - from) * channels) * sizeof *rows);
    }
    tk_free(x);
    return st;
}

// Any part.
static int64_t patch_step(const tk_half *half, int64_t high, int64_t wide)
{
    (void)half, (void)high, (void)wide;
    return 1;
}

// One latent frame after the other, so that its products are of the same shape, and its bits the
// same, whatever part it is decoded in.
static tk_status patch_decode(const tk_half *half, tk_row_part rows, const tk_grid *g,
                              int64_t first, int64_t n, uint8_t *rgb)
{
    const patches *c = (const patches *)half;
    const tk_codec_info *i = &half->info;
    const int64_t patch = tk_codec_patch(i), kept = i->video_channels, each = g->high * g->wide;
    float *x;
    TK_NEW(x, BLOCK * patch);
    tk_status st = TK_OK;
    const float *own = rows.x + (first - rows.first) * each * kept;
    for (int64_t f = 0; f < n; f++)
        for (int64_t at = 0; at < each && st == TK_OK; at += BLOCK) {
            int64_t m = each - at < BLOCK ? each - at : BLOCK, from = f * each + at;
            st = tk_gemm(0, 'N', 'N', m, patch, kept, own + from * kept, kept, c->out, patch, 0, x,
                         patch);
            for (int64_t p = 0; p < m; p++)
                for (int64_t k = 0; k < patch; k++) x[p * patch + k] += c->mean[k];
            scatter_patches(i, x, g->height, g->width, from, m, rgb);
        }
    tk_free(x);
    return st;
}

const tk_half_kind tk_patch_kind = {.side = TK_CODEC_VIDEO,
                                    .name = "patch",
                                    .check = patch_check,
                                    .create = patch_create,
                                    .free = patch_free,
                                    .arrays = patch_arrays,
                                    .derive = patch_derive,
                                    .fit_begin = patch_fit_begin,
                                    .fit_clip = patch_fit_clip,
                                    .fit_end = patch_fit_end,
                                    .encode_video = patch_encode,
                                    .step = patch_step,
                                    .decode_video = patch_decode};
