// SPDX-License-Identifier: Apache-2.0
// What people say to us and to each other.
#include "data/scene/camera.h"
#include "data/scene/people.h"
#include "data/scene/plot.h"
#include <math.h>

static const double quiet_end = 0.06; // seconds of a shot after its last word

typedef struct phrases {
    int n;
    const char *of[16];
} phrases;

static const phrases questions = {12,
                                  {"why", "when", "today", "tomorrow", "again", "together", "okay",
                                   "happy", "why water", "when tonight", "blue crate",
                                   "orange window"}},
                     answers = {14,
                                {"yes", "no", "inside", "never", "ready", "okay", "please",
                                 "thanks", "sorry", "tomorrow", "yes please", "never again",
                                 "red table", "no thanks"}},
                     after_deed = {10,
                                   {"sorry", "careful", "nothing", "happy", "beautiful", "stop",
                                    "watch", "goodbye", "again", "no"}};

// From one to three words of the vocabulary, all equally often; of a phrase if there is one.
static bool draw_words(tk_plot *p, const phrases *from, int most, tk_scene_line *l)
{
    if (from && tk_draw_chance(&p->d, 0.6)) {
        const char *text = from->of[tk_draw_below(&p->d, from->n)];
        p->status = tk_words_of(text, TK_SCENE_WORDS, l->word, &l->n);
        return p->status == TK_OK;
    }
    const double u = tk_draw(&p->d, 0, 1);
    l->n = u < 0.55 ? 1 : u < 0.85 ? 2 : 3;
    if (l->n > most) l->n = most;
    for (int i = 0; i < l->n; i++) l->word[i] = tk_draw_below(&p->d, TK_WORDS);
    return true;
}

// The shot's person speaks from time t on, as many words as the shot has time for.
static bool speak_from(tk_plot *p, int k, double t, const phrases *from)
{
    tk_scene *s = p->s;
    tk_shot *h = &s->shot[k];
    if (!p->speech || s->n_lines == TK_SCENE_LINES) return false;
    tk_scene_line *l = &s->line[s->n_lines];
    const int voice = tk_scene_character(s, h->person)->voice;
    for (int most = TK_SCENE_WORDS; most > 0; most--) {
        *l = (tk_scene_line){.t = t, .person = h->person};
        if (!draw_words(p, from, most, l)) return false;
        l->seconds = tk_line_seconds(voice, l->word, l->n);
        if (t + l->seconds + quiet_end > h->start + h->seconds) continue;
        h->first_line = s->n_lines++;
        h->n_lines = 1;
        return true;
    }
    return false;
}

bool tk_plot_remark(tk_plot *p, int k, double t)
{
    if (p->speech && tk_draw_chance(&p->d, 0.5)) speak_from(p, k, t, &after_deed);
    return p->status == TK_OK;
}

static tk_shot *begin_talk(tk_plot *p, int k, tk_beat beat, int person)
{
    tk_shot *h = &p->s->shot[k];
    h->beat = beat;
    h->person = person;
    h->size = tk_draw_chance(&p->d, 0.5) ? TK_SIZE_CLOSE : TK_SIZE_MEDIUM;
    return h;
}

bool tk_beat_say(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    tk_shot *h = begin_talk(p, k, TK_BEAT_SAY, tk_draw_below(&p->d, s->n_people));
    if (tk_draw_chance(&p->d, 0.1)) h->size = TK_SIZE_WIDE;
    if (tk_draw_chance(&p->d, 0.25)) h->move = TK_MOVE_PUSH;
    const double lead = fmin(tk_draw(&p->d, 0.08, 0.4), 0.2 * h->seconds);
    return speak_from(p, k, h->start + lead, NULL) && tk_camera_set(s, p->m, k, -1);
}

// The person looks at the other one, turning if need be.
static bool face_other(tk_plot *p, int k, int person)
{
    tk_scene *s = p->s;
    const double t = s->shot[k].start;
    const tk_body me = tk_scene_body_at(s, person, t);
    const int facing = tk_scene_body_at(s, 1 - person, t).x > me.x ? 1 : -1;
    return me.facing == facing || tk_people_set(s, (tk_step){t, me.x, 0, person, facing});
}

bool tk_beat_ask(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (k + 1 == s->n_shots) return false; // nobody could answer
    tk_shot *h = begin_talk(p, k, TK_BEAT_ASK, tk_draw_below(&p->d, 2));
    h->other = 1 - h->person;
    const double lead = fmin(tk_draw(&p->d, 0.08, 0.3), 0.2 * h->seconds);
    return face_other(p, k, h->person) && face_other(p, k, h->other) &&
           speak_from(p, k, h->start + lead, &questions) && tk_camera_set(s, p->m, k, -1);
}

bool tk_beat_answer(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    const tk_shot *asked = &s->shot[k - 1];
    tk_shot *h = begin_talk(p, k, TK_BEAT_ANSWER, asked->other);
    h->other = asked->person;
    h->size = asked->size;
    h->reverse = true;
    const double lead = fmin(tk_draw(&p->d, 0.08, 0.3), 0.2 * h->seconds);
    return speak_from(p, k, h->start + lead, &answers) && tk_camera_set(s, p->m, k, -1);
}
