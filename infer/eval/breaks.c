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
    for (int i = 0; i < s->n_people; i++) s->clothes[i] = s->person[i];
}

static void other_clothes(tk_scene *s)
{
    for (int i = 0; i < s->n_people; i++) s->clothes[i] = (s->clothes[i] + 4) % TK_CAST;
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

// Colours that none of the things had.
static void other_colours(tk_scene *s)
{
    const int first = s->thing[0].colour, last = s->thing[s->n_things - 1].colour;
    const int by = (last - first + TK_COLOURS) % TK_COLOURS == TK_COLOURS / 2 ? 2 : 3;
    for (int k = 0; k < s->n_things; k++)
        s->thing[k].colour = (s->thing[k].colour + by) % TK_COLOURS;
}

static void sort_arcs(tk_scene *s)
{
    for (int i = 1; i < s->n_arcs; i++) {
        const tk_arc a = s->arc[i];
        int k = i;
        for (; k > 0 && s->arc[k - 1].t > a.t; k--) s->arc[k] = s->arc[k - 1];
        s->arc[k] = a;
    }
}

// Under half of gravity all that falls and swings takes the square root of two as long: from where
// a thing is let go on, the same ways in slower time.
static void half_gravity(tk_scene *s)
{
    const double slower = sqrt(2);
    double from[TK_SCENE_THINGS];
    for (int k = 0; k < TK_SCENE_THINGS; k++) from[k] = INFINITY;
    for (int i = 0; i < s->n_arcs; i++) {
        tk_arc *a = &s->arc[i];
        if (a->law == TK_LAW_CARRIED) continue;
        if (from[a->thing] == INFINITY) from[a->thing] = a->t;
        a->t = from[a->thing] + slower * (a->t - from[a->thing]);
        a->vx /= slower, a->vy /= slower, a->vend /= slower, a->spin /= slower;
        a->k /= slower, a->w /= slower;
        a->ax /= 2, a->ay /= 2, a->torque /= 2;
    }
    sort_arcs(s);
}

static void break_scene(tk_break b, tk_scene *s)
{
    for (int k = 0; b == TK_BREAK_STYLE && k < s->n_shots; k++)
        s->shot[k].style = (s->shot[k].style + 1) % TK_STYLES;
    if (b == TK_BREAK_SET) {
        s->set = (s->set + 1) % TK_SETS;
        s->water_from = s->set == TK_SET_BEACH ? 0 : INFINITY;
    }
    if (b == TK_BREAK_PEOPLE) other_people(s);
    if (b == TK_BREAK_CLOTHES) other_clothes(s);
    if (b == TK_BREAK_LIPS) other_words(s);
    if (b == TK_BREAK_COLOURS && s->n_things > 0) other_colours(s);
    if (b == TK_BREAK_GRAVITY) half_gravity(s);
}

// Broken clips are true up to the first cut where something changes there.
static tk_status draw_broken(tk_break b, const tk_scene *s, const tk_media_config *m,
                             tk_speech *speech, tk_media *out)
{
    const int64_t picture = m->height * m->width * 3;
    tk_scene broken = *s;
    break_scene(b, &broken);
    TK_TRY(tk_film_render(&broken, m, speech, out->frames, out->rgb));
    if (b != TK_BREAK_PEOPLE && b != TK_BREAK_CLOTHES && b != TK_BREAK_COLOURS) return TK_OK;
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

tk_status tk_break_sound(tk_break b, const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                         int64_t samples, float *pcm)
{
    const int64_t c = m->channels;
    tk_scene heard = *s;
    if (b == TK_BREAK_WORDS) other_words(&heard);
    if (b == TK_BREAK_VOICE) other_people(&heard);
    if (b == TK_BREAK_SCAPE) heard.set = (s->set + 1) % TK_SETS;
    memset(pcm, 0, (size_t)(samples * c) * sizeof *pcm);
    if (b == TK_BREAK_SILENCE) return TK_OK;
    TK_TRY(tk_film_sound(&heard, m, speech, samples, pcm));
    if (b != TK_BREAK_SOUND) return TK_OK;
    const int64_t late = 3 * m->sample_rate / m->fps, n = late < samples ? late : samples;
    memmove(pcm + n * c, pcm, (size_t)((samples - n) * c) * sizeof *pcm);
    memset(pcm, 0, (size_t)(n * c) * sizeof *pcm);
    return TK_OK;
}

tk_status tk_break_film(tk_break b, const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                        int64_t frames, tk_media *out)
{
    *out = tk_media_shape(m, frames, tk_media_samples(m, frames));
    TK_TRY(tk_media_alloc(out));
    tk_status st = draw_broken(b, s, m, speech, out);
    if (st == TK_OK) st = tk_break_sound(b, s, m, speech, out->samples, out->pcm);
    if (st != TK_OK) tk_media_free(out);
    return st;
}
