// SPDX-License-Identifier: Apache-2.0
// The linear codec in use: rows from media and back, and its place in files. Everything is a matrix
// product over blocks of patches or frames, so memory stays bounded whatever the clip's size.
#include "core/device/gemm.h"
#include "data/codec/internal.h"
#include <math.h>
#include <string.h>
#include <xxhash.h>

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

tk_status tk_codec_check_info(const tk_codec_info *i, const char *where)
{
    struct {
        const char *name;
        int64_t value, low, high;
    } bound[] = {
        {"patch_frames", i->patch_frames, 1, 64},
        {"patch_size", i->patch_size, 1, 64},
        {"audio_hop", i->audio_hop, 1, TK_CODEC_HOP},
        {"fps", i->fps, 1, 1000},
        {"sample_rate", i->sample_rate, 100, 1000000},
        {"channels", i->channels, 1, 2},
        {"video_channels", i->video_channels, 1, TK_CODEC_CHANNELS},
        {"audio_channels", i->audio_channels, 1, TK_CODEC_CHANNELS},
    };
    for (size_t k = 0; k < sizeof bound / sizeof *bound; k++)
        if (bound[k].value < bound[k].low || bound[k].value > bound[k].high)
            return TK_FAIL(TK_INPUT, "%s: %s is %lld; it must lie in %lld..%lld", where,
                           bound[k].name, (long long)bound[k].value, (long long)bound[k].low,
                           (long long)bound[k].high);
    int64_t patch = tk_codec_patch(i);
    if (patch > TK_CODEC_PATCH)
        return TK_FAIL(TK_INPUT,
                       "%s: a patch of %lld frames of %lldx%lld has %lld numbers; at "
                       "most %d are possible",
                       where, (long long)i->patch_frames, (long long)i->patch_size,
                       (long long)i->patch_size, (long long)patch, TK_CODEC_PATCH);
    if (i->video_channels > patch)
        return TK_FAIL(TK_INPUT, "%s: %lld video channels of a patch of %lld numbers", where,
                       (long long)i->video_channels, (long long)patch);
    if (i->audio_channels > i->audio_hop)
        return TK_FAIL(TK_INPUT, "%s: %lld audio channels of a hop of %lld samples", where,
                       (long long)i->audio_channels, (long long)i->audio_hop);
    return TK_OK;
}

static tk_status new_arrays(tk_codec *c)
{
    const tk_codec_info *i = &c->info;
    int64_t patch = tk_codec_patch(i);
    TK_ARENA_NEW(c->video_mean, &c->arena, patch);
    TK_ARENA_NEW(c->video_basis, &c->arena, i->video_channels * patch);
    TK_ARENA_NEW(c->video_scale, &c->arena, i->video_channels);
    TK_ARENA_NEW(c->audio_basis, &c->arena, i->audio_channels * i->audio_hop);
    TK_ARENA_NEW(c->audio_scale, &c->arena, i->audio_channels);
    return TK_OK;
}

tk_status tk_codec_new(const tk_codec_info *info, tk_codec **out)
{
    tk_codec *c;
    *out = NULL;
    TK_NEW(c, 1);
    c->info = *info;
    c->info.audio_tail = 1; // frames lap: row r spans samples (r - 1) * hop to (r + 1) * hop
    tk_arena_init(&c->arena, 0);
    tk_status st = new_arrays(c);
    if (st != TK_OK)
        tk_codec_free(c);
    else
        *out = c;
    return st;
}

void tk_codec_free(tk_codec *c)
{
    if (!c) return;
    tk_arena_free(&c->arena);
    tk_free(c);
}

const tk_codec_info *tk_codec_get_info(const tk_codec *c)
{
    return &c->info;
}

// XXH3 over the shape and every stored number.
static uint64_t digest(const tk_codec *c)
{
    const tk_codec_info *i = &c->info;
    int64_t patch = tk_codec_patch(i);
    int64_t shape[] = {i->patch_frames,   i->patch_size, i->video_channels, i->audio_hop,
                       i->audio_channels, i->fps,        i->sample_rate,    i->channels};
    uint64_t h = XXH3_64bits(shape, sizeof shape);
    h = XXH3_64bits_withSeed(c->video_mean, (size_t)patch * 4, h);
    h = XXH3_64bits_withSeed(c->video_basis, (size_t)(i->video_channels * patch) * 4, h);
    h = XXH3_64bits_withSeed(c->video_scale, (size_t)i->video_channels * 4, h);
    h = XXH3_64bits_withSeed(c->audio_basis, (size_t)(i->audio_channels * i->audio_hop) * 4, h);
    return XXH3_64bits_withSeed(c->audio_scale, (size_t)i->audio_channels * 4, h);
}

tk_status tk_codec_derive(tk_codec *c)
{
    const tk_codec_info *i = &c->info;
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
    c->info.digest = digest(c);
    return TK_OK;
}

// Start of patch p of the clip in rgb, in bytes.
static int64_t patch_start(const tk_codec_info *i, int64_t height, int64_t width, int64_t p)
{
    int64_t wide = width / i->patch_size, high = height / i->patch_size;
    int64_t f = p / (high * wide), y = p / wide % high, x = p % wide;
    return ((f * i->patch_frames * height + y * i->patch_size) * width + x * i->patch_size) * 3;
}

void tk_codec_gather(const tk_codec_info *i, const uint8_t *rgb, int64_t height, int64_t width,
                     int64_t first, int64_t step, int64_t n, float *x)
{
    int64_t line = i->patch_size * 3;
    for (int64_t p = 0; p < n; p++) {
        const uint8_t *from = rgb + patch_start(i, height, width, first + p * step);
        for (int64_t f = 0; f < i->patch_frames; f++)
            for (int64_t y = 0; y < i->patch_size; y++, x += line) {
                const uint8_t *s = from + (f * height + y) * width * 3;
                for (int64_t k = 0; k < line; k++) x[k] = (float)s[k] / 127.5f - 1;
            }
    }
}

// The way back: patches [first, first + n) into rgb, rounded and clamped.
static void scatter(const tk_codec_info *i, const float *x, int64_t height, int64_t width,
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

tk_status tk_codec_encode_video(const tk_codec *c, const uint8_t *rgb, int64_t frames,
                                int64_t height, int64_t width, float *rows)
{
    const tk_codec_info *i = &c->info;
    tk_grid g;
    TK_TRY(tk_grid_of(i, "a clip", frames, height, width, TK_GRID_WHOLE, &g));
    int64_t patch = tk_codec_patch(i), n = g.video_rows;
    float *x;
    TK_NEW(x, BLOCK * patch);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < n && st == TK_OK; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        tk_codec_gather(i, rgb, height, width, at, 1, m, x);
        for (int64_t p = 0; p < m; p++)
            for (int64_t k = 0; k < patch; k++) x[p * patch + k] -= c->video_mean[k];
        st = tk_gemm(0, 'N', 'T', m, i->video_channels, patch, x, patch, c->video_in, patch, 0,
                     rows + at * i->video_channels, i->video_channels);
    }
    tk_free(x);
    return st;
}

tk_status tk_codec_decode_video(const tk_codec *c, const float *rows, int64_t latent_frames,
                                int64_t high, int64_t wide, uint8_t *rgb)
{
    const tk_codec_info *i = &c->info;
    int64_t patch = tk_codec_patch(i), n = latent_frames * high * wide;
    float *x;
    TK_NEW(x, BLOCK * patch);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < n && st == TK_OK; at += BLOCK) {
        int64_t m = n - at < BLOCK ? n - at : BLOCK;
        st = tk_gemm(0, 'N', 'N', m, patch, i->video_channels, rows + at * i->video_channels,
                     i->video_channels, c->video_out, patch, 0, x, patch);
        for (int64_t p = 0; p < m; p++)
            for (int64_t k = 0; k < patch; k++) x[p * patch + k] += c->video_mean[k];
        scatter(i, x, high * i->patch_size, wide * i->patch_size, at, m, rgb);
    }
    tk_free(x);
    return st;
}

void tk_codec_frames(int64_t hop, const float *pcm, int64_t samples, int64_t channels,
                     int64_t channel, int64_t first, int64_t n, float *x)
{
    for (int64_t r = first; r < first + n; r++)
        for (int64_t t = (r - 1) * hop; t < (r + 1) * hop; t++)
            *x++ = t >= 0 && t < samples ? pcm[t * channels + channel] : 0;
}

tk_status tk_codec_encode_audio(const tk_codec *c, const float *pcm, int64_t samples,
                                int64_t channels, float *rows)
{
    int64_t hop = c->info.audio_hop, kept = c->info.audio_channels, frame = 2 * hop;
    int64_t n = tk_grid_audio_rows(&c->info, samples);
    float *x;
    TK_NEW(x, BLOCK * frame);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < n && st == TK_OK; at += BLOCK)
        for (int64_t ch = 0; ch < channels && st == TK_OK; ch++) {
            int64_t m = n - at < BLOCK ? n - at : BLOCK;
            tk_codec_frames(hop, pcm, samples, channels, ch, at, m, x);
            st = tk_gemm(0, 'N', 'T', m, kept, frame, x, frame, c->audio_in, frame, 0,
                         rows + (at * channels + ch) * kept, channels * kept);
        }
    tk_free(x);
    return st;
}

tk_status tk_codec_decode_audio(const tk_codec *c, const float *rows, int64_t audio_rows,
                                int64_t channels, float *pcm, int64_t samples)
{
    int64_t hop = c->info.audio_hop, kept = c->info.audio_channels, frame = 2 * hop;
    float *x;
    TK_NEW(x, BLOCK * frame);
    memset(pcm, 0, (size_t)(samples * channels) * sizeof *pcm);
    tk_status st = TK_OK;
    for (int64_t at = 0; at < audio_rows && st == TK_OK; at += BLOCK)
        for (int64_t ch = 0; ch < channels && st == TK_OK; ch++) {
            int64_t m = audio_rows - at < BLOCK ? audio_rows - at : BLOCK;
            st = tk_gemm(0, 'N', 'N', m, frame, kept, rows + (at * channels + ch) * kept,
                         channels * kept, c->audio_out, frame, 0, x, frame);
            for (int64_t k = 0; k < m * frame; k++) {
                int64_t t = (at + k / frame - 1) * hop + k % frame;
                if (t >= 0 && t < samples) pcm[t * channels + ch] += x[k];
            }
        }
    for (int64_t k = 0; k < samples * channels; k++) pcm[k] = fmaxf(-1, fminf(1, pcm[k]));
    tk_free(x);
    return st;
}
