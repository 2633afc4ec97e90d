// SPDX-License-Identifier: Apache-2.0
#include "data/media/rows.h"
#include "data/media/reader.h"
#include <string.h>

static tk_status encode_pictures(const char *path, const tk_media *m, const tk_codec *codec,
                                 tk_arena *a, tk_media_rows *r)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const int64_t picture = m->height * m->width * 3;
    tk_media given = *m;
    tk_grid g;
    given.frames = tk_grid_frame(k, r->latents);
    TK_TRY(tk_grid_of(k, path, given.frames, m->height, m->width, TK_GRID_WHOLE, &g));
    TK_ARENA_NEW(r->video, a, g.video_rows * k->video_channels);
    TK_NEW(given.rgb, given.frames * picture);
    for (int64_t i = 0; i < given.frames; i++) {
        const int64_t from = i < m->frames ? i : m->frames - 1;
        memcpy(given.rgb + i * picture, m->rgb + from * picture, (size_t)picture);
    }
    const tk_status st = tk_codec_encode_video(codec, &given, r->video);
    tk_free(given.rgb);
    return st;
}

// Silence where the file has less.
static tk_status encode_sound(const tk_media *m, const tk_codec *codec, tk_arena *a,
                              tk_media_rows *r)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    tk_media given = *m;
    given.samples = r->latents ? tk_grid_sample(k, r->latents) : m->samples;
    const int64_t rows = tk_grid_audio_rows(k, given.samples);
    const int64_t have = m->samples < given.samples ? m->samples : given.samples;
    TK_ARENA_NEW(r->audio, a, rows * m->channels * k->audio_channels);
    TK_NEW(given.pcm, given.samples * m->channels);
    memcpy(given.pcm, m->pcm, (size_t)(have * m->channels) * sizeof *given.pcm);
    const tk_status st = tk_codec_encode_audio(codec, &given, r->audio);
    tk_free(given.pcm);
    return st;
}

// The size that the file's pictures are given at. What is silent and no longer than a latent frame
// is a single picture.
static tk_status frame_of(const char *path, const tk_media_rows_want *want, const tk_codec_info *k,
                          tk_media_config *out)
{
    const double tick = tk_grid_tick(k);
    int64_t frames;
    bool sounds;
    *out = want->size;
    if (!want->tagged) return TK_OK;
    TK_TRY(tk_media_probe(path, out, tick, &frames, &sounds));
    if (!sounds && frames <= k->patch_frames)
        out->width = out->height = tk_grid_portrait(k, out->height, out->width);
    return TK_OK;
}

static void size_rows(const tk_codec_info *k, const tk_media_config *frame, int64_t most,
                      int64_t frames, bool sounds, tk_media_rows *r)
{
    r->latents = tk_grid_latent(k, frames);
    if (r->latents < 1) r->latents = 1;
    if (r->latents > most) r->latents = most;
    r->high = frame->height / k->patch_size;
    r->wide = frame->width / k->patch_size;
    if (sounds) r->audio_rows = tk_grid_audio_row(k, r->latents);
}

// Of a file without pictures.
static tk_status hear_rows(const char *path, const tk_media_rows_want *want, const tk_codec_info *k,
                           tk_media_rows *r, tk_media *m)
{
    TK_TRY(tk_media_hear(path, &want->size, (double)want->most * tk_grid_tick(k), m));
    r->audio_rows = tk_grid_audio_rows(k, m->samples) - k->audio_tail;
    return TK_OK;
}

static tk_status read_sound(const char *path, const tk_media_rows_want *want, const tk_codec *codec,
                            tk_arena *a, tk_media_rows *r)
{
    tk_media m;
    TK_TRY(hear_rows(path, want, tk_codec_get_info(codec), r, &m));
    const tk_status st = encode_sound(&m, codec, a, r);
    tk_media_free(&m);
    return st;
}

tk_status tk_media_rows_read(const char *path, const tk_media_rows_want *want,
                             const tk_codec *codec, tk_arena *a, tk_media_rows *out)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const double tick = tk_grid_tick(k);
    tk_media_config frame;
    tk_media m;
    tk_media_origin origin;
    tk_status st = TK_OK;
    bool pictures;
    *out = (tk_media_rows){0};
    TK_TRY(tk_media_has_pictures(path, &pictures));
    if (!pictures) return read_sound(path, want, codec, a, out);
    TK_TRY(frame_of(path, want, k, &frame));
    TK_TRY(tk_media_read(path, &frame, (double)want->most * tick, tick, &m, &origin));
    size_rows(k, &frame, want->most, m.frames, origin.has_audio, out);
    out->seconds = origin.seconds;
    TK_TRY_TO(st, done, m.frames > 0 ? TK_OK : TK_FAIL(TK_INPUT, "%s: no picture", path));
    TK_TRY_TO(st, done, encode_pictures(path, &m, codec, a, out));
    if (origin.has_audio) TK_TRY_TO(st, done, encode_sound(&m, codec, a, out));
done:
    tk_media_free(&m);
    return st;
}

tk_status tk_media_rows_measure(const char *path, const tk_media_rows_want *want,
                                const tk_codec_info *k, tk_media_rows *out)
{
    int64_t frames;
    bool pictures, sounds;
    tk_media m;
    *out = (tk_media_rows){0};
    TK_TRY(tk_media_has_pictures(path, &pictures));
    if (pictures) {
        tk_media_config frame;
        TK_TRY(frame_of(path, want, k, &frame));
        TK_TRY(tk_media_probe(path, &frame, tk_grid_tick(k), &frames, &sounds));
        size_rows(k, &frame, want->most, frames, sounds, out);
        out->seconds = (double)frames / (double)frame.fps;
        return TK_OK;
    }
    TK_TRY(hear_rows(path, want, k, out, &m));
    tk_media_free(&m);
    return TK_OK;
}
