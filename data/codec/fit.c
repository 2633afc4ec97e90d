// SPDX-License-Identifier: Apache-2.0
// Fitting a codec: one pass over clips, which each half's kind looks at in its own way, and a
// second look at some of the clips that measures what is lost.
#include "data/codec/kind.h"
#include "data/codec/seams.h"
#include <math.h>
#include <stdio.h>

enum { MEASURED = 16 }; // clips the figures are measured on

// What clips lost by encode and decode: squared error and numbers of pixels; squared error and
// squared signal of sound, or distances and how many.
typedef struct loss {
    double video, pixels, audio, power;
    tk_seams seams, own; // of what comes back, and of the clips
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
    tk_seams_add(&l->seams, rgb, clip->frames, clip->height, clip->width, i->patch_size);
    tk_seams_add(&l->own, clip->rgb, clip->frames, clip->height, clip->width, i->patch_size);
    const tk_half *half = c->half[TK_CODEC_AUDIO];
    if (half->kind->distance) return half->kind->distance(half, clip, pcm, &l->audio, &l->power);
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
    const double blockiness = tk_seams_blockiness(&l.seams) / tk_seams_blockiness(&l.own);
    c->info.video_blockiness = isfinite(blockiness) ? blockiness : 0;
    c->info.video_psnr_db = fmin(99, -10 * log10(fmax(video, 1e-12)));
    if (c->half[TK_CODEC_AUDIO]->kind->distance)
        c->info.audio_db = audio;
    else
        c->info.audio_db = fmin(99, -10 * log10(fmax(audio, 1e-12)));
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

static tk_status fit_halves(tk_codec *c, tk_codec_clips clips, void *ctx, int64_t n, tk_arena *a)
{
    void *fit[TK_CODEC_SIDES];
    for (int s = 0; s < TK_CODEC_SIDES; s++)
        TK_TRY(c->half[s]->kind->fit_begin(c->half[s], n, a, &fit[s]));
    for (int64_t k = 0; k < n; k++) {
        tk_media clip;
        tk_grid g;
        char where[32];
        TK_TRY(clips(ctx, k, &clip));
        snprintf(where, sizeof where, "clip %lld", (long long)k);
        TK_TRY(tk_grid_of(&c->info, where, clip.frames, clip.height, clip.width, clip.samples, &g));
        for (int s = 0; s < TK_CODEC_SIDES; s++)
            TK_TRY(c->half[s]->kind->fit_clip(fit[s], k, &clip, &g));
    }
    for (int s = 0; s < TK_CODEC_SIDES; s++) TK_TRY(c->half[s]->kind->fit_end(fit[s]));
    return tk_codec_complete(c);
}

tk_status tk_codec_fit(const tk_codec_config *c, const tk_media_config *m, tk_codec_clips clips,
                       void *ctx, int64_t n, tk_codec **out)
{
    const tk_codec_info info = tk_codec_planned(c, m);
    const tk_half_kind *const kind[] = {tk_codec_kind_of(TK_CODEC_VIDEO, (int)c->video),
                                        tk_codec_kind_of(TK_CODEC_AUDIO, (int)c->audio)};
    tk_arena scratch;
    tk_status st;
    *out = NULL;
    if (n < 1) return TK_FAIL(TK_INPUT, "a codec is fitted on one clip at least");
    tk_arena_init(&scratch, 0);
    TK_TRY_TO(st, done, tk_codec_new(&info, kind, "codec", out));
    TK_TRY_TO(st, done, fit_halves(*out, clips, ctx, n, &scratch));
    TK_TRY_TO(st, done, tk_codec_measure(*out, clips, ctx, n));
done:
    if (st != TK_OK) {
        tk_codec_free(*out);
        *out = NULL;
    }
    tk_arena_free(&scratch);
    return st;
}
