// SPDX-License-Identifier: Apache-2.0
// A film's sound: soundscape, events and speech, panned, summed and limited.
#include "data/film/sound.h"
#include "core/base/log.h"
#include "data/film/lines.h"
#include <string.h>

static void line_add(const tk_soundtrack *t, const tk_scene_line *line, const tk_line *said)
{
    const int64_t first = llround(line->t * (double)t->media->sample_rate),
                  channels = t->media->channels;
    double gain[2];
    tk_soundtrack_pan(t, tk_scene_body_at(t->scene, line->person, line->t).x, line->t, gain);
    for (int64_t i = 0; i < said->samples && first + i < t->samples; i++)
        for (int64_t c = 0; c < channels; c++)
            t->pcm[(first + i) * channels + c] += (float)gain[c] * said->pcm[i];
}

// Loud sums come up to full scale without reaching it.
static void limit(int64_t n, float *x)
{
    const float knee = 0.85f, room = 0.14f;
    for (int64_t i = 0; i < n; i++) {
        const float a = fabsf(x[i]);
        if (a > knee) x[i] = copysignf(knee + room * tanhf((a - knee) / room), x[i]);
    }
}

tk_status tk_film_sound(const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                        int64_t samples, float *pcm)
{
    const tk_soundtrack t = {s, m, samples, pcm};
    tk_film_lines lines;
    tk_arena arena;
    tk_arena_init(&arena, 0);
    memset(pcm, 0, (size_t)(samples * m->channels) * sizeof *pcm);
    tk_alive();
    const tk_status status = tk_film_lines_make(s, speech, &arena, &lines);
    if (status == TK_OK) {
        if (!s->silent) tk_soundtrack_ambience(&t);
        for (int i = 0; i < s->n_events; i++) tk_soundtrack_event(&t, i);
        for (int i = 0; i < s->n_lines; i++) line_add(&t, &s->line[i], &lines.said[i]);
        limit(samples * m->channels, pcm);
    }
    tk_arena_free(&arena);
    return status;
}

tk_status tk_film_voice(const tk_character *who, tk_speech *speech, const char *text,
                        int64_t samples, float *pcm)
{
    tk_line line;
    tk_arena arena;
    tk_arena_init(&arena, 0);
    memset(pcm, 0, (size_t)samples * sizeof *pcm);
    const tk_status status = tk_speak(speech, who->voice, text, &arena, &line);
    if (status == TK_OK)
        memcpy(pcm, line.pcm,
               (size_t)(line.samples < samples ? line.samples : samples) * sizeof *pcm);
    tk_arena_free(&arena);
    return status;
}
