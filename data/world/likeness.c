// SPDX-License-Identifier: Apache-2.0
#include "data/world/likeness.h"
#include "data/film/film.h"
#include <math.h>
#include <string.h>

static int64_t samples_of_voice(const tk_codec_info *k)
{
    return llround(TK_VOICE_SECONDS * (double)k->sample_rate);
}

tk_likeness_rows tk_likeness_size(bool voice, const tk_codec_info *k, const tk_media_config *m)
{
    if (voice)
        return (tk_likeness_rows){.audio_rows =
                                      tk_grid_audio_rows(k, samples_of_voice(k)) - k->audio_tail};
    const int64_t side = tk_grid_portrait(k, m->height, m->width) / k->patch_size;
    return (tk_likeness_rows){.latents = 1, .high = side, .wide = side};
}

static tk_status make_face(const tk_likeness *l, const tk_codec *codec, const tk_media_config *m,
                           tk_arena *a, float **rows)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const tk_likeness_rows size = tk_likeness_size(false, k, m);
    const int64_t side = tk_grid_portrait(k, m->height, m->width), bytes = side * side * 3;
    tk_grid g;
    TK_TRY(tk_grid_of(k, "portrait", k->patch_frames, side, side, TK_GRID_WHOLE, &g));
    tk_media still = tk_grid_media(k, &g);
    TK_ARENA_NEW(*rows, a, size.high * size.wide * k->video_channels);
    TK_ARENA_NEW(still.rgb, a, still.frames * bytes);
    TK_TRY(tk_film_portrait(&l->who, TK_STYLE_NATURAL, side, still.rgb));
    for (int64_t f = 1; f < still.frames; f++)
        memcpy(still.rgb + f * bytes, still.rgb, (size_t)bytes);
    return tk_codec_encode_video(codec, &still, *rows);
}

// As many words as are over in time, at least one.
static void choose_words(const tk_likeness *l, char *text, size_t room)
{
    enum { TRIES = 10, MOST = 3 };
    tk_draws d = l->words;
    int word[MOST], n = 0;
    for (int i = 0; i < TRIES && n < MOST; i++) {
        word[n] = tk_draw_below(&d, TK_WORDS);
        if (n == 0 || tk_line_seconds(l->who.voice, word, n + 1) < TK_VOICE_SECONDS) n++;
    }
    *text = 0;
    for (int i = 0; i < n; i++) {
        if (i) strncat(text, " ", room - strlen(text) - 1);
        strncat(text, tk_word_text(word[i]), room - strlen(text) - 1);
    }
}

static tk_status make_voice(const tk_likeness *l, const tk_codec *codec, tk_speech *speech,
                            tk_arena *a, float **rows)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const int64_t n = samples_of_voice(k), channels = k->channels;
    tk_media heard = {.samples = n, .channels = channels, .sample_rate = k->sample_rate};
    float *said;
    char text[128];
    if (!speech) return TK_FAIL(TK_INTERNAL, "a sample of a voice is wanted where nobody speaks");
    TK_ARENA_NEW(*rows, a, tk_grid_audio_rows(k, n) * channels * k->audio_channels);
    TK_ARENA_NEW(said, a, n);
    TK_ARENA_NEW(heard.pcm, a, n * channels);
    choose_words(l, text, sizeof text);
    TK_TRY(tk_film_voice(&l->who, speech, text, n, said));
    for (int64_t i = 0; i < n * channels; i++) heard.pcm[i] = said[i / channels];
    return tk_codec_encode_audio(codec, &heard, *rows);
}

tk_status tk_likeness_make(const tk_likeness *l, const tk_codec *codec, const tk_media_config *m,
                           tk_speech *speech, tk_arena *a, float **rows)
{
    return l->voice ? make_voice(l, codec, speech, a, rows) : make_face(l, codec, m, a, rows);
}
