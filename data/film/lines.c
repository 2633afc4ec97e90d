// SPDX-License-Identifier: Apache-2.0
#include "data/film/lines.h"
#include <string.h>

tk_status tk_film_lines_make(const tk_scene *s, tk_speech *speech, tk_arena *a, tk_film_lines *out)
{
    *out = (tk_film_lines){.n = s->n_lines};
    if (s->n_lines > 0 && !speech)
        return TK_FAIL(TK_INTERNAL, "a scene in which people speak is filmed without voices");
    for (int i = 0; i < s->n_lines; i++) {
        const tk_scene_line *l = &s->line[i];
        char text[256] = "";
        for (int k = 0; k < l->n; k++) {
            if (k) strncat(text, " ", sizeof text - strlen(text) - 1);
            strncat(text, tk_word_text(l->word[k]), sizeof text - strlen(text) - 1);
        }
        TK_TRY(tk_speak(speech, tk_scene_character(s, l->person)->voice, text, a, &out->said[i]));
    }
    return TK_OK;
}

tk_mouth tk_film_lines_mouth(const tk_film_lines *l, const tk_scene *s, int person, double t)
{
    for (int i = 0; i < l->n; i++) {
        const double at = t - s->line[i].t,
                     length = (double)l->said[i].samples / (double)l->said[i].rate;
        if (s->line[i].person == person && at > -TK_MOUTH_REST && at < length + TK_MOUTH_REST)
            return tk_mouth_at(&l->said[i], at);
    }
    return (tk_mouth){.width = 0.5f};
}

tk_status tk_film_mouths(const tk_scene *s, tk_speech *speech, int64_t frames, double fps,
                         float *open)
{
    tk_film_lines lines;
    tk_arena a;
    tk_arena_init(&a, 0);
    const tk_status st = tk_film_lines_make(s, speech, &a, &lines);
    for (int64_t f = 0; st == TK_OK && f < frames; f++)
        for (int i = 0; i < s->n_people; i++)
            *open++ = tk_film_lines_mouth(&lines, s, i, (double)f / fps).opening;
    tk_arena_free(&a);
    return st;
}
