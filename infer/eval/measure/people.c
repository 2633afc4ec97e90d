// SPDX-License-Identifier: Apache-2.0
// People: who is seen, and what they do. Heads count where they are large enough to be told.
#include "infer/eval/measure/clip.h"

enum { LOOKS = 8, HEADS = 4 };        // frames of a shot that are looked at; heads found in one
static const double width_least = 10; // pixels of a head
static const double seen_least = 0.6; // of the frames: that a person is shown
static const double steps_tell = 0.5; // metres of a walk that tell which way it goes

typedef struct sight { // of a shot, LOOKS of its frames
    double t[LOOKS];
    int asked[LOOKS];               // heads that are to be seen
    tk_head there[LOOKS][TK_HEADS]; // those
    int n[LOOKS];
    tk_head found[LOOKS][HEADS];
    double sure[TK_HEAD_PEOPLE]; // of each person, over all of them
} sight;

static tk_status see_people(const tk_clip *c, int shot, sight *s)
{
    const tk_media *m = c->media;
    int64_t first, frames;
    *s = (sight){0};
    tk_frames_of(c->scene, m, shot, &first, &frames);
    for (int k = 0; k < LOOKS && frames > 0; k++) {
        const int64_t frame = first + k * (frames - 1) / (LOOKS - 1);
        s->t[k] = (double)frame / m->fps;
        s->asked[k] = tk_heads_of(c->scene, m, s->t[k], s->there[k]);
        TK_TRY(tk_heads_find(&c->learned->heads, (int)c->scene->style, tk_clip_pictures(c, frame),
                             HEADS, s->found[k], &s->n[k]));
        for (int i = 0; i < s->n[k]; i++)
            s->sure[s->found[k][i].who] += s->found[k][i].sure / LOOKS;
    }
    return TK_OK;
}

static const tk_head *head_of(int n, const tk_head *list, int who)
{
    for (int i = 0; i < n; i++)
        if (list[i].who == who) return &list[i];
    return NULL;
}

static bool large(const tk_head *h)
{
    return h && 1.8 * h->r >= width_least;
}

// Whether a person is to be seen large enough for most of the shot.
static bool is_asked(const sight *s, int who)
{
    int n = 0;
    for (int k = 0; k < LOOKS; k++) n += large(head_of(s->asked[k], s->there[k], who));
    return n >= seen_least * LOOKS;
}

// Whether a person is among the surest, as many as are to be seen.
static bool is_found(const sight *s, int who, int people)
{
    int surer = 0;
    for (int q = 0; q < TK_HEAD_PEOPLE; q++) surer += s->sure[q] > s->sure[who];
    return s->sure[who] > 0 && surer < people;
}

static double metres_of(const tk_clip *c, double x, double t)
{
    const tk_view v = tk_scene_view_at(c->scene, c->media->height, c->media->width, t);
    return v.cx + (x - v.half_width) / v.pixels_per_metre;
}

// How far a person's head goes over the shot, metres; NaN where it is not seen twice.
static double walks(const tk_clip *c, const sight *s, const int n[LOOKS], const tk_head *list,
                    int room, int who)
{
    double first = NAN, last = NAN;
    for (int k = 0; k < LOOKS; k++) {
        const tk_head *h = head_of(n[k], list + k * room, who);
        if (!h) continue;
        last = metres_of(c, h->x, s->t[k]);
        if (isnan(first)) first = last;
    }
    return last - first;
}

static void measure_walk(tk_clip *c, const sight *s, int who)
{
    const double asked = walks(c, s, s->asked, s->there[0], TK_HEADS, who);
    const double seen = walks(c, s, s->n, s->found[0], HEADS, who);
    if (fabs(asked) > steps_tell)
        tk_figures_count(c->f, TK_FIG_ACTION, seen / asked > 0.5 && seen / asked < 2, 1);
}

// The way a person looks at the end of the shot, as it is seen: that of most of the last looks.
static void measure_turn(tk_clip *c, const sight *s, int who, int toward)
{
    int n = 0, right = 0;
    for (int k = LOOKS - 3; k < LOOKS; k++) {
        const tk_head *h = head_of(s->n[k], s->found[k], who);
        n += h != NULL;
        right += h && h->turn == toward + 1;
    }
    tk_figures_count(c->f, TK_FIG_ACTION, 2 * right > n, 1);
}

static void measure_deed(tk_clip *c, const tk_shot *h, const sight *s)
{
    const int who = c->scene->person[h->person];
    if (h->beat == TK_BEAT_WALK) measure_walk(c, s, who);
    if (h->beat == TK_BEAT_TURN) measure_turn(c, s, who, h->toward);
}

tk_status tk_measure_people(tk_clip *c, tk_arena *a)
{
    tk_series face[TK_SCENE_PEOPLE] = {0};
    (void)a;
    if (!c->learned->heads.of) return TK_OK;
    for (int h = 0; h < c->scene->n_shots && c->scene->n_people > 0; h++) {
        sight s;
        int people = 0;
        TK_TRY(see_people(c, h, &s));
        for (int i = 0; i < c->scene->n_people; i++) people += is_asked(&s, c->scene->person[i]);
        for (int i = 0; i < c->scene->n_people; i++) {
            const int who = c->scene->person[i];
            if (!is_asked(&s, who)) continue;
            tk_series_put(&face[i], h, is_found(&s, who, people));
            if (c->scene->shot[h].person != i) continue;
            tk_figures_count(c->f, TK_FIG_WHO, is_found(&s, who, people), 1);
            measure_deed(c, &c->scene->shot[h], &s);
        }
    }
    for (int i = 0; i < c->scene->n_people; i++)
        tk_series_count(c, &face[i], TK_FIG_SAME_FACE, TK_FIG_STORY_FACE);
    return TK_OK;
}
