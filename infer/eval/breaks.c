// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/breaks.h"
#include "data/film/film.h"
#include <math.h>
#include <string.h>

const char *const tk_break_name[TK_BREAKS] = {
#define X(kind, name, words) name,
    TK_BREAK_MAP(X)
#undef X
};
const char *const tk_break_words[TK_BREAKS] = {
#define X(kind, name, words) words,
    TK_BREAK_MAP(X)
#undef X
};

// Characters that are in neither the scene nor each other's place.
static void other_people(tk_scene *s)
{
    for (int i = 0; i < s->n_people; i++) s->person[i] = (s->person[i] + 3 + i) % TK_CAST;
    if (s->n_people == 2 && s->person[0] == s->person[1])
        s->person[1] = (s->person[1] + 1) % TK_CAST;
}

// The words of each line in another order of the vocabulary, and half a second later.
static void other_words(tk_scene *s)
{
    for (int i = 0; i < s->n_lines; i++) {
        s->line[i].t += 0.4;
        for (int k = 0; k < s->line[i].n; k++)
            s->line[i].word[k] = (s->line[i].word[k] + 7 + k) % TK_WORDS;
    }
}

static void break_scene(tk_break b, tk_scene *s)
{
    if (b == TK_BREAK_STYLE) s->style = (s->style + 1) % TK_STYLES;
    if (b == TK_BREAK_SET) {
        s->set = (s->set + 1) % TK_SETS;
        s->water_from = s->set == TK_SET_BEACH ? 0 : INFINITY;
    }
    if (b == TK_BREAK_PEOPLE) other_people(s);
    if (b == TK_BREAK_LIPS) other_words(s);
}

// Broken clips are true up to the first cut where something changes there.
static tk_status draw_broken(tk_break b, const tk_scene *s, const tk_media_config *m,
                             tk_speech *speech, tk_media *out)
{
    const int64_t picture = m->height * m->width * 3;
    tk_scene broken = *s;
    break_scene(b, &broken);
    TK_TRY(tk_film_render(&broken, m, speech, out->frames, out->rgb));
    if (b != TK_BREAK_PEOPLE) return TK_OK;
    const double cut = s->n_shots > 1 ? s->shot[1].start : INFINITY;
    const int64_t true_frames =
        (int64_t)fmin((double)out->frames, ceil(cut * (double)m->fps - 1e-6));
    uint8_t *rgb;
    TK_NEW(rgb, out->frames * picture);
    const tk_status st = tk_film_render(s, m, speech, out->frames, rgb);
    memcpy(out->rgb, rgb, (size_t)(true_frames * picture));
    tk_free(rgb);
    return st;
}

static tk_status sound_broken(tk_break b, const tk_scene *s, const tk_media_config *m,
                              tk_speech *speech, tk_media *out)
{
    TK_TRY(tk_film_sound(s, m, speech, out->samples, out->pcm));
    if (b != TK_BREAK_SOUND) return TK_OK;
    const int64_t late = 3 * m->sample_rate / m->fps, c = m->channels;
    const int64_t n = late < out->samples ? late : out->samples;
    memmove(out->pcm + n * c, out->pcm, (size_t)((out->samples - n) * c) * sizeof *out->pcm);
    memset(out->pcm, 0, (size_t)(n * c) * sizeof *out->pcm);
    return TK_OK;
}

tk_status tk_break_film(tk_break b, const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                        int64_t frames, tk_media *out)
{
    *out = tk_media_shape(m, frames, tk_media_samples(m, frames));
    TK_TRY(tk_media_alloc(out));
    tk_status st = draw_broken(b, s, m, speech, out);
    if (st == TK_OK) st = sound_broken(b, s, m, speech, out);
    if (st != TK_OK) tk_media_free(out);
    return st;
}
