// SPDX-License-Identifier: Apache-2.0
// Fitting the linear codec: one pass over clips gathers the covariance of video patches and of
// MDCT frames, their leading eigenvectors become the bases, a second look at some of the clips
// measures what is lost. No iteration over data, no training.
#include "core/device/ops/gemm.h"
#include "data/codec/internal.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 1024,      // rows a product
    PATCHES = 1 << 16, // at most about so many patches are looked at
    MEASURED = 16      // clips the figures are measured on
};

typedef struct moments { // of rows of n numbers
    int64_t n, rows;
    double *sum, *square; // (n), (n, n)
    float *x, *product;   // rows not yet added (BLOCK, n); scratch (n, n)
    int64_t waiting;
} moments;

static tk_status moments_new(moments *s, tk_arena *a, int64_t n)
{
    *s = (moments){.n = n};
    TK_ARENA_NEW(s->sum, a, n);
    TK_ARENA_NEW(s->square, a, n * n);
    TK_ARENA_NEW(s->x, a, BLOCK * n);
    TK_ARENA_NEW(s->product, a, n * n);
    return TK_OK;
}

static tk_status moments_flush(moments *s)
{
    int64_t n = s->n, m = s->waiting;
    if (!m) return TK_OK;
    TK_TRY(tk_gemm(0, 'T', 'N', n, n, m, s->x, n, s->x, n, 0, s->product, n));
    for (int64_t i = 0; i < n * n; i++) s->square[i] += (double)s->product[i];
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < n; i++) s->sum[i] += (double)s->x[r * n + i];
    s->rows += m;
    s->waiting = 0;
    return TK_OK;
}

// Leading axes of the moments gathered, and the scale of each: the inverse root of its deviation,
// all times what makes the variance of the rows one on average. A component that hardly varies is
// scaled as if it did a little, so that it is not blown up.
static tk_status principal(moments *s, bool centred, tk_arena *a, int64_t keep, float *mean,
                           float *basis, float *scale)
{
    int64_t n = s->n;
    double *value, total = 0, count;
    TK_TRY(moments_flush(s));
    count = s->rows ? (double)s->rows : 1;
    TK_ARENA_NEW(value, a, keep);
    for (int64_t i = 0; i < n; i++) s->sum[i] = centred ? s->sum[i] / count : 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            s->product[i * n + j] = (float)(s->square[i * n + j] / count - s->sum[i] * s->sum[j]);
    TK_TRY(tk_pca(s->product, n, keep, basis, value));
    for (int64_t i = 0; mean && i < n; i++) mean[i] = (float)s->sum[i];
    double least = 1e-4 * sqrt(value[0]);
    if (!(least > 1e-7)) least = 1e-7;
    for (int64_t c = 0; c < keep; c++) {
        double deviation = fmax(sqrt(value[c]), least);
        scale[c] = (float)(1 / sqrt(deviation));
        total += value[c] / deviation / (double)keep;
    }
    double unit = total > 0 ? 1 / sqrt(total) : 1;
    for (int64_t c = 0; c < keep; c++) scale[c] *= (float)unit;
    return TK_OK;
}

// Adds every step-th of the n patches.
static tk_status add_video_moments(const tk_codec_info *i, const tk_media *clip, int64_t n,
                                   int64_t step, int64_t phase, moments *s)
{
    for (int64_t p = phase % step; p < n; p += step) {
        tk_codec_gather(i, clip, p, step, 1, s->x + s->waiting * s->n);
        if (++s->waiting == BLOCK) TK_TRY(moments_flush(s));
    }
    return TK_OK;
}

// Adds the n MDCT frames of every channel; frame: scratch (2 * hop).
static tk_status add_audio_moments(int64_t hop, const tk_media *clip, int64_t n, const float *mdct,
                                   float *frame, moments *s)
{
    for (int64_t ch = 0; ch < clip->channels; ch++)
        for (int64_t r = 0; r < n; r++) {
            tk_codec_frames(hop, clip, ch, r, 1, frame);
            TK_TRY(tk_gemm(0, 'N', 'T', 1, hop, 2 * hop, frame, 2 * hop, mdct, 2 * hop, 0,
                           s->x + s->waiting * hop, hop));
            if (++s->waiting == BLOCK) TK_TRY(moments_flush(s));
        }
    return TK_OK;
}

static tk_status fit_linear(tk_linear *c, tk_codec_clips clips, void *ctx, int64_t n, tk_arena *a)
{
    const tk_codec_info *i = &c->codec.info;
    int64_t hop = i->audio_hop, step = 1;
    moments video, audio;
    tk_grid g;
    char where[32];
    float *mdct, *frame;
    TK_TRY(moments_new(&video, a, tk_codec_patch(i)));
    TK_TRY(moments_new(&audio, a, hop));
    TK_ARENA_NEW(mdct, a, 2 * hop * hop);
    TK_ARENA_NEW(frame, a, 2 * hop);
    tk_mdct_basis(hop, mdct);
    for (int64_t k = 0; k < n; k++) {
        tk_media clip;
        TK_TRY(clips(ctx, k, &clip));
        snprintf(where, sizeof where, "clip %lld", (long long)k);
        TK_TRY(tk_grid_of(i, where, clip.frames, clip.height, clip.width, clip.samples, &g));
        if (!k) step = (g.video_rows * n + PATCHES - 1) / PATCHES;
        TK_TRY(add_video_moments(i, &clip, g.video_rows, step, k, &video));
        TK_TRY(add_audio_moments(hop, &clip, g.audio_rows, mdct, frame, &audio));
    }
    TK_TRY(principal(&video, true, a, i->video_channels, c->video_mean, c->video_basis,
                     c->video_scale));
    TK_TRY(principal(&audio, false, a, i->audio_channels, NULL, c->audio_basis, c->audio_scale));
    return tk_codec_complete(&c->codec);
}

// Squared error and squared signal of one clip after encode and decode.
typedef struct loss {
    double video, pixels, audio, power;
} loss;

static tk_status measure_clip(const tk_codec *c, const tk_media *clip, tk_arena *a, loss *l)
{
    const tk_codec_info *i = &c->info;
    tk_grid g;
    TK_TRY(tk_grid_of(i, "a clip", clip->frames, clip->height, clip->width, clip->samples, &g));
    int64_t bytes = clip->frames * clip->height * clip->width * 3;
    int64_t numbers = clip->samples * clip->channels;
    float *video, *audio, *pcm;
    uint8_t *rgb;
    TK_ARENA_NEW(video, a, g.video_rows * i->video_channels);
    TK_ARENA_NEW(audio, a, g.audio_rows * clip->channels * i->audio_channels);
    TK_ARENA_NEW(rgb, a, bytes);
    TK_ARENA_NEW(pcm, a, numbers + 1);
    TK_TRY(tk_codec_encode_video(c, clip, video));
    TK_TRY(tk_codec_decode_video(c, video, &g, rgb));
    TK_TRY(tk_codec_encode_audio(c, clip, audio));
    TK_TRY(tk_codec_decode_audio(c, audio, g.audio_rows, clip->channels, pcm, clip->samples));
    l->pixels += (double)bytes;
    for (int64_t k = 0; k < bytes; k++) {
        double d = (double)rgb[k] - (double)clip->rgb[k];
        l->video += d * d;
    }
    for (int64_t k = 0; k < numbers; k++) {
        double d = (double)pcm[k] - (double)clip->pcm[k];
        l->audio += d * d;
        l->power += (double)clip->pcm[k] * (double)clip->pcm[k];
    }
    return TK_OK;
}

static tk_status measure_clips(tk_codec *c, tk_codec_clips clips, void *ctx, int64_t n, tk_arena *a)
{
    loss l = {0};
    for (int64_t k = 0; k < n && k < MEASURED; k++) {
        tk_media clip;
        TK_TRY(clips(ctx, k, &clip));
        TK_TRY(measure_clip(c, &clip, a, &l));
        tk_arena_reset(a);
    }
    // Figures are capped at 99 dB: what is exact has no finite one.
    double video = l.video / l.pixels / (255.0 * 255.0),
           audio = l.power > 0 ? l.audio / l.power : 0;
    c->info.video_psnr_db = fmin(99, -10 * log10(fmax(video, 1e-12)));
    c->info.audio_snr_db = fmin(99, -10 * log10(fmax(audio, 1e-12)));
    return TK_OK;
}

tk_status tk_codec_measure(tk_codec *c, tk_codec_clips clips, void *ctx, int64_t n)
{
    tk_arena scratch;
    tk_arena_init(&scratch, 0);
    const tk_status st = measure_clips(c, clips, ctx, n, &scratch);
    tk_arena_free(&scratch);
    return st;
}

tk_status tk_codec_fit(const tk_codec_config *c, const tk_media_config *m, tk_codec_clips clips,
                       void *ctx, int64_t n, tk_codec **out)
{
    const tk_codec_info info = tk_codec_planned(c, m);
    tk_arena scratch;
    tk_linear *linear;
    tk_status st;
    *out = NULL;
    if (n < 1) return TK_FAIL(TK_INPUT, "a codec is fitted on one clip at least");
    TK_TRY(tk_codec_check_info(&info, "codec"));
    tk_arena_init(&scratch, 0);
    TK_TRY_TO(st, done, tk_linear_new(&info, &linear));
    *out = &linear->codec;
    TK_TRY_TO(st, done, fit_linear(linear, clips, ctx, n, &scratch));
    TK_TRY_TO(st, done, tk_codec_measure(*out, clips, ctx, n));
done:
    if (st != TK_OK) {
        tk_codec_free(*out);
        *out = NULL;
    }
    tk_arena_free(&scratch);
    return st;
}
