// SPDX-License-Identifier: Apache-2.0
// People: who is seen, what they wear, whether their lips go with what they say, and what they do.
// Heads count where they are large enough to be told.
#include "infer/eval/measure/clip.h"

static const double width_least = 10; // pixels of a head
static const double seen_least = 0.6; // of the frames: that a person is shown
static const double steps_tell = 0.5; // metres of a walk that tell which way it goes

typedef struct sight { // of a shot
    int64_t first, frames;
    int style;
    tk_head_sightings found;
    double sure[TK_HEAD_PEOPLE];               // of each person, over all looks
    tk_head there[TK_HEADS_WATCHED][TK_HEADS]; // heads that are to be seen in these looks
    int asked[TK_HEADS_WATCHED];
} sight;

static double look_time(const tk_clip *c, const sight *s, int look)
{
    return (double)(s->first + s->found.frame[look]) / c->media->fps;
}

static tk_status see_people(const tk_clip *c, int shot, sight *s)
{
    *s = (sight){.style = (int)c->scene->shot[shot].style};
    tk_frames_of(c->scene, c->media, shot, &s->first, &s->frames);
    TK_TRY(tk_heads_watch(&c->learned->heads, s->style, tk_clip_pictures(c, s->first), s->frames,
                          &s->found));
    tk_heads_who(&s->found, s->sure);
    for (int k = 0; k < s->found.n; k++)
        s->asked[k] = tk_heads_of(c->scene, c->media, look_time(c, s, k), s->there[k]);
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

// Whether a person is to be seen large enough for most of the shot, and, where `speaks`, its lips.
static bool is_asked(const sight *s, int who, bool speaks)
{
    int n = 0;
    for (int k = 0; k < s->found.n; k++) {
        const tk_head *h = head_of(s->asked[k], s->there[k], who);
        n += large(h) && (!speaks || tk_lips_width(h) >= TK_LIPS_LEAST);
    }
    return n > 0 && n >= seen_least * s->found.n;
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

// How far a person's head goes over the shot, metres; NaN where it is not seen twice. `list` has
// `room` heads for each look, of which there are n.
static double walks(const tk_clip *c, const sight *s, const int *n, const tk_head *list, int room,
                    int who)
{
    double first = NAN, last = NAN;
    for (int k = 0; k < s->found.n; k++) {
        const tk_head *h = head_of(n[k], list + k * room, who);
        if (!h) continue;
        last = metres_of(c, h->x, look_time(c, s, k));
        if (isnan(first)) first = last;
    }
    return last - first;
}

static void measure_walk(tk_clip *c, const sight *s, int who)
{
    const double asked = walks(c, s, s->asked, s->there[0], TK_HEADS, who);
    const double seen = walks(c, s, s->found.heads, s->found.head[0], TK_HEADS_SEEN, who);
    if (fabs(asked) > steps_tell)
        tk_figures_count(c->f, TK_FIG_ACTION, seen / asked > 0.5 && seen / asked < 2, 1);
}

// The way a person looks at the end of the shot, as it is seen: that of most of the last looks.
static void measure_turn(tk_clip *c, const sight *s, int who, int toward)
{
    int n = 0, right = 0;
    for (int k = s->found.n > 3 ? s->found.n - 3 : 0; k < s->found.n; k++) {
        const tk_head *h = head_of(s->found.heads[k], s->found.head[k], who);
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

// ---- clothes and lips --------------------------------------------------------------------------

static tk_status find_clothes(const tk_clip *c, const sight *s, const tk_head_way *way, int *worn)
{
    double sure[TK_CLOTHES];
    return tk_clothes_watch(&c->learned->clothes, s->style, way, tk_clip_pictures(c, s->first),
                            c->media->height, c->media->width, sure, worn);
}

// Of one who is to speak in the shot: whether the sound is in step with the lips, and how far from
// it.
static tk_status measure_lips(tk_clip *c, const sight *s, const tk_head_way *way,
                              const tk_lips_clip *clip)
{
    tk_lips lips;
    TK_TRY(tk_lips_watch(&c->learned->lips, s->style, way, clip, s->first, s->frames, &lips));
    const bool near = lips.judged > 0 && fabs(lips.late_ms) <= 1000 / clip->fps;
    tk_figures_count(c->f, TK_FIG_LIPS, near && lips.together >= TK_LIPS_TOGETHER, 1);
    tk_figures_apart(c->f, TK_OFF_TOGETHER, lips.together);
    if (lips.best >= TK_LIPS_TOGETHER) tk_figures_apart(c->f, TK_OFF_LIPS, lips.late_ms);
    return TK_OK;
}

static bool is_to_speak(const tk_clip *c, int shot, const sight *s, int i)
{
    const tk_shot *h = &c->scene->shot[shot];
    return h->n_lines > 0 && c->scene->line[h->first_line].person == i &&
           is_asked(s, c->scene->person[i], true);
}

// ---- all of it ---------------------------------------------------------------------------------

typedef struct persons { // of a clip, while its shots go by
    tk_series face[TK_SCENE_PEOPLE], clothes[TK_SCENE_PEOPLE];
    tk_lips_clip lips;
} persons;

// Person i, who is to be seen in the shot with others, `people` in all.
static tk_status measure_person(tk_clip *c, int shot, const sight *s, int i, int people, persons *p)
{
    const int who = c->scene->person[i];
    const bool found = is_found(s, who, people);
    tk_head_way way;
    int worn;
    tk_heads_follow(&s->found, who, &way);
    if (way.n == 0) tk_heads_follow(&s->found, -1, &way);
    TK_TRY(find_clothes(c, s, &way, &worn));
    tk_series_put(&p->face[i], shot, found);
    tk_series_put(&p->clothes[i], shot, worn == c->scene->clothes[i]);
    tk_figures_count(c->f, TK_FIG_CLOTHES, worn == c->scene->clothes[i], 1);
    if (is_to_speak(c, shot, s, i)) TK_TRY(measure_lips(c, s, &way, &p->lips));
    if (c->scene->shot[shot].person != i) return TK_OK;
    tk_figures_count(c->f, TK_FIG_WHO, found, 1);
    measure_deed(c, &c->scene->shot[shot], s);
    return TK_OK;
}

static tk_status measure_shot(tk_clip *c, int shot, persons *p)
{
    sight s;
    int people = 0;
    TK_TRY(see_people(c, shot, &s));
    tk_clip_turn(c, shot, shot);
    for (int i = 0; i < c->scene->n_people; i++) people += is_asked(&s, c->scene->person[i], false);
    for (int i = 0; i < c->scene->n_people; i++)
        if (is_asked(&s, c->scene->person[i], false))
            TK_TRY(measure_person(c, shot, &s, i, people, p));
    return TK_OK;
}

// In noir faces and clothes can hardly be told (docs/judges.md).
tk_status tk_measure_people(tk_clip *c, tk_arena *a)
{
    const tk_media *m = c->media;
    persons p = {.lips = {.rgb = m->rgb, .height = m->height, .width = m->width, .fps = m->fps}};
    if (!c->learned->heads.of || c->scene->n_people == 0) return TK_OK;
    TK_TRY(tk_lips_listen(m->pcm, m->samples, m->channels, m->sample_rate, a, &p.lips.sound));
    for (int h = 0; h < c->scene->n_shots; h++)
        if (c->scene->shot[h].style != TK_STYLE_NOIR) TK_TRY(measure_shot(c, h, &p));
    for (int i = 0; i < c->scene->n_people; i++) {
        tk_series_count(c, &p.face[i], TK_FIG_SAME_FACE, TK_FIG_STORY_FACE);
        tk_series_count(c, &p.clothes[i], TK_FIG_SAME_CLOTHES, TK_FIG_STORY_CLOTHES);
    }
    return TK_OK;
}
