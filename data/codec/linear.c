// SPDX-License-Identifier: Apache-2.0
// The linear codec in use: rows from media and back. Everything is a matrix
// product over blocks of patches or frames, so memory stays bounded whatever the clip's size.
#include "core/device/ops/gemm.h"
#include "data/codec/internal.h"
#include <math.h>
#include <string.h>

enum { BLOCK = 256 }; // patches or frames a product

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

static void free_linear(tk_codec *codec)
{
    tk_linear *c = (tk_linear *)codec;
    tk_arena_free(&c->arena);
    tk_free(c);
}

static tk_status new_arrays(tk_linear *c)
{
    const tk_codec_info *i = &c->codec.info;
    int64_t patch = tk_codec_patch(i);
    TK_ARENA_NEW(c->video_mean, &c->arena, patch);
    TK_ARENA_NEW(c->video_basis, &c->arena, i->video_channels * patch);
    TK_ARENA_NEW(c->video_scale, &c->arena, i->video_channels);
    TK_ARENA_NEW(c->audio_basis, &c->arena, i->audio_channels * i->audio_hop);
    TK_ARENA_NEW(c->audio_scale, &c->arena, i->audio_channels);
    return TK_OK;
}

tk_status tk_linear_new(const tk_codec_info *info, tk_linear **out)
{
    tk_linear *c;
    *out = NULL;
    TK_NEW(c, 1);
    c->codec = (tk_codec){&tk_linear_kind, *info};
    c->codec.info.audio_tail = 1; // frames lap: row r spans samples (r - 1) * hop to (r + 1) * hop
    tk_arena_init(&c->arena, 0);
    tk_status st = new_arrays(c);
    if (st != TK_OK)
        free_linear(&c->codec);
    else
        *out = c;
    return st;
}

static tk_status create(const tk_codec_info *info, tk_codec **out)
{
    tk_linear *c;
    const tk_status st = tk_linear_new(info, &c);
    *out = c ? &c->codec : NULL;
    return st;
}

static int list_arrays(const tk_codec *codec, tk_codec_array out[TK_CODEC_ARRAYS])
{
    const tk_linear *c = (const tk_linear *)codec;
    const tk_codec_info *i = &codec->info;
    int64_t patch = tk_codec_patch(i);
    out[0] = (tk_codec_array){"video_mean", c->video_mean, 0, patch, false};
    out[1] = (tk_codec_array){"video_basis", c->video_basis, i->video_channels, patch, false};
    out[2] = (tk_codec_array){"video_scale", c->video_scale, 0, i->video_channels, true};
    out[3] =
        (tk_codec_array){"audio_basis", c->audio_basis, i->audio_channels, i->audio_hop, false};
    out[4] = (tk_codec_array){"audio_scale", c->audio_scale, 0, i->audio_channels, true};
    return 5;
}

static tk_status derive(tk_codec *codec)
{
    tk_linear *c = (tk_linear *)codec;
    const tk_codec_info *i = &codec->info;
    int64_t patch = tk_codec_patch(i), hop = i->audio_hop, frame = 2 * hop;
    float *mdct;
    TK_ARENA_NEW(c->video_in, &c->arena, i->video_channels * patch);
    TK_ARENA_NEW(c->video_out, &c->arena, i->video_channels * patch);
    TK_ARENA_NEW(c->audio_in, &c->arena, i->audio_channels * frame);
    TK_ARENA_NEW(c->audio_out, &c->arena, i->audio_channels * frame);
    for (int64_t k = 0; k < i->video_channels * patch; k++) {
        c->video_in[k] = c->video_basis[k] * c->video_scale[k / patch];
        c->video_out[k] = c->video_basis[k] / c->video_scale[k / patch];
    }
    TK_NEW(mdct, hop * frame);
    tk_mdct_basis(hop, mdct);
    tk_status st = tk_gemm(0, 'N', 'N', i->audio_channels, frame, hop, c->audio_basis, hop, mdct,
                           frame, 0, c->audio_in, frame);
    tk_free(mdct);
    TK_TRY(st);
    for (int64_t k = 0; k < i->audio_channels * frame; k++) {
        float plain = c->audio_in[k], scale = c->audio_scale[k / frame];
        c->audio_in[k] = plain * scale;
        c->audio_out[k] = plain / scale;
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

void tk_codec_gather(const tk_codec_info *i, const tk_media *m, int64_t first, int64_t step,
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

static tk_status encode_video(const tk_codec *codec, const tk_media *m, float *rows)
{
    const tk_linear *c = (const tk_linear *)codec;
    const tk_codec_info *i = &codec->info;
    tk_grid g;
    float *x;
    TK_TRY(tk_grid_of(i, "a clip", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    const int64_t patch = tk_codec_patch(i), all = g.video_rows;
    TK_NEW(x, BLOCK * patch);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < all && st == TK_OK; at += BLOCK) {
        int64_t n = all - at < BLOCK ? all - at : BLOCK;
        tk_codec_gather(i, m, at, 1, n, x);
        for (int64_t p = 0; p < n; p++)
            for (int64_t k = 0; k < patch; k++) x[p * patch + k] -= c->video_mean[k];
        st = tk_gemm(0, 'N', 'T', n, i->video_channels, patch, x, patch, c->video_in, patch, 0,
                     rows + at * i->video_channels, i->video_channels);
    }
    tk_free(x);
    return st;
}

// One latent frame after the other, so that its products are of the same shape, and its bits the
// same, whatever part it is decoded in.
static tk_status decode_video(const tk_codec *codec, const float *rows, const tk_grid *g,
                              int64_t first, int64_t n, uint8_t *rgb)
{
    const tk_linear *c = (const tk_linear *)codec;
    const tk_codec_info *i = &codec->info;
    const int64_t patch = tk_codec_patch(i), kept = i->video_channels, each = g->high * g->wide;
    float *x;
    TK_NEW(x, BLOCK * patch);
    tk_status st = TK_OK;
    rows += first * each * kept;
    for (int64_t f = 0; f < n; f++)
        for (int64_t at = 0; at < each && st == TK_OK; at += BLOCK) {
            int64_t m = each - at < BLOCK ? each - at : BLOCK, from = f * each + at;
            st = tk_gemm(0, 'N', 'N', m, patch, kept, rows + from * kept, kept, c->video_out, patch,
                         0, x, patch);
            for (int64_t p = 0; p < m; p++)
                for (int64_t k = 0; k < patch; k++) x[p * patch + k] += c->video_mean[k];
            scatter_patches(i, x, g->height, g->width, from, m, rgb);
        }
    tk_free(x);
    return st;
}

void tk_codec_frames(int64_t hop, const tk_media *m, int64_t channel, int64_t first, int64_t n,
                     float *x)
{
    for (int64_t r = first; r < first + n; r++)
        for (int64_t t = (r - 1) * hop; t < (r + 1) * hop; t++)
            *x++ = t >= 0 && t < m->samples ? m->pcm[t * m->channels + channel] : 0;
}

static tk_status encode_audio(const tk_codec *codec, const tk_media *m, float *rows)
{
    const tk_linear *c = (const tk_linear *)codec;
    int64_t hop = codec->info.audio_hop, kept = codec->info.audio_channels, frame = 2 * hop;
    int64_t all = tk_grid_audio_rows(&codec->info, m->samples);
    float *x;
    TK_NEW(x, BLOCK * frame);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < all && st == TK_OK; at += BLOCK)
        for (int64_t ch = 0; ch < m->channels && st == TK_OK; ch++) {
            int64_t n = all - at < BLOCK ? all - at : BLOCK;
            tk_codec_frames(hop, m, ch, at, n, x);
            st = tk_gemm(0, 'N', 'T', n, kept, frame, x, frame, c->audio_in, frame, 0,
                         rows + (at * m->channels + ch) * kept, m->channels * kept);
        }
    tk_free(x);
    return st;
}

typedef struct stretch { // samples [first, first + n) of a track, and the rows that sound in them
    const float *rows;
    int64_t begin, end; // rows
    int64_t first, n, channels;
    float *pcm;
} stretch;

// Adds what rows [at, at + BLOCK) of a channel sound like, as far as they are the part's. The
// product is of all BLOCK rows always, and at is a multiple of BLOCK, so that a row's bits do not
// depend on the part. x: scratch (BLOCK, 2N + Ca).
static tk_status add_block(const tk_linear *c, const stretch *p, int64_t channel, int64_t at,
                           float *x)
{
    const int64_t hop = c->codec.info.audio_hop, kept = c->codec.info.audio_channels;
    const int64_t frame = 2 * hop, begin = p->begin > at ? p->begin : at;
    const int64_t end = p->end < at + BLOCK ? p->end : at + BLOCK;
    float *y = x + BLOCK * frame;
    memset(y, 0, (size_t)(BLOCK * kept) * sizeof *y);
    for (int64_t r = begin; r < end; r++)
        memcpy(y + (r - at) * kept, p->rows + (r * p->channels + channel) * kept,
               (size_t)kept * sizeof *y);
    TK_TRY(tk_gemm(0, 'N', 'N', BLOCK, frame, kept, y, kept, c->audio_out, frame, 0, x, frame));
    for (int64_t r = begin; r < end; r++)
        for (int64_t k = 0; k < frame; k++) {
            const int64_t t = (r - 1) * hop + k - p->first;
            if (t >= 0 && t < p->n) p->pcm[t * p->channels + channel] += x[(r - at) * frame + k];
        }
    return TK_OK;
}

static tk_status decode_audio(const tk_codec *codec, const float *rows, int64_t audio_rows,
                              int64_t channels, int64_t first, int64_t n, float *pcm)
{
    const tk_linear *c = (const tk_linear *)codec;
    const int64_t hop = codec->info.audio_hop, kept = codec->info.audio_channels;
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

const tk_codec_kind tk_linear_kind = {.name = "linear",
                                      .create = create,
                                      .free = free_linear,
                                      .arrays = list_arrays,
                                      .derive = derive,
                                      .encode_video = encode_video,
                                      .decode_video = decode_video,
                                      .encode_audio = encode_audio,
                                      .decode_audio = decode_audio};
