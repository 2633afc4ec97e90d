// SPDX-License-Identifier: Apache-2.0
// Things: what they are, where they go, what becomes of them over a cut.
#include "infer/judges/sight/things.h"
#include "infer/eval/measure/clip.h"
#include "infer/judges/sight/paths.h"
#include <string.h>

enum { CONTACTS = 64 };
static const double seen_least = 0.35; // of a shot's frames: what counts as seen in it
static const double asked_least = 0.6; // of a shot's frames in which a thing asked for is in view
static const double sync_seconds = 0.080;
static const double apart_most = 0.25; // seconds: a sound that is farther off is another's
static const double stays = 0.35;      // metres
static const double hit_goes = 0.2;    // metres

typedef struct shot { // of a clip
    const tk_shot *asked;
    int64_t first, frames;
    tk_thing_track *track; // (n) what is seen
    int n;
} shot;

static tk_view seen_from(const tk_clip *c, const shot *h, int64_t f)
{
    const double t = (double)(h->first + f) / c->media->fps;
    return tk_scene_view_at(c->scene, c->media->height, c->media->width, t);
}

// ---- what is seen ------------------------------------------------------------------------------

static tk_status see_shot(const tk_clip *c, int k, tk_arena *a, shot *h)
{
    const tk_media *m = c->media;
    *h = (shot){.asked = &c->scene->shot[k]};
    h->first = llround(h->asked->start * m->fps);
    h->frames = llround(h->asked->seconds * m->fps);
    if (h->first > m->frames) h->first = m->frames;
    if (h->first + h->frames > m->frames) h->frames = m->frames - h->first;
    return tk_thing_tracks(&c->learned->things, m->rgb + h->first * m->height * m->width * 3,
                           h->frames, m->height, m->width, seen_least, a, &h->track, &h->n);
}

// Whether thing k is asked for: whether most of it is in view for most of the shot.
static bool in_view(const tk_clip *c, const shot *h, int k)
{
    int64_t seen = 0;
    if (h->asked->style == TK_STYLE_NOIR) return false; // no colours to find it by
    for (int64_t f = 0; f < h->frames; f++) {
        const tk_view v = seen_from(c, h, f);
        const tk_pose p = tk_scene_thing_at(c->scene, k, (double)(h->first + f) / c->media->fps);
        const double r = 0.5 * c->scene->thing[k].radius * v.pixels_per_metre;
        double x, y;
        tk_scene_project(&v, p.x, p.y, &x, &y);
        seen += p.seen && x > r && y > r && x < (double)c->media->width - r &&
                y < (double)c->media->height - r;
    }
    return h->frames > 0 && (double)seen >= asked_least * (double)h->frames;
}

// What is seen in the place of thing k: its hue and kind, else its hue; NULL.
static const tk_thing_track *track_of(const tk_clip *c, const shot *h, int k)
{
    const tk_thing *o = &c->scene->thing[k];
    const tk_thing_track *found = NULL;
    for (int i = h->n - 1; i >= 0; i--) { // the longest is the first
        if (strcmp(tk_hue_name[h->track[i].hue], tk_colour_name[o->colour])) continue;
        if (!found || h->track[i].kind == 1 + (int)o->kind || found->kind != 1 + (int)o->kind)
            found = &h->track[i];
    }
    return found;
}

static bool is_kind(const tk_clip *c, const tk_thing_track *t, int k)
{
    return t && t->kind == 1 + (int)c->scene->thing[k].kind;
}

// Some thing of that kind, of whatever colour.
static bool kind_seen(const tk_clip *c, const shot *h, int k)
{
    for (int i = 0; i < h->n; i++)
        if (is_kind(c, &h->track[i], k)) return true;
    return false;
}

static void measure_looks(tk_clip *c, const shot *h, int k)
{
    const tk_thing_track *t = track_of(c, h, k);
    tk_figures_count(c->f, TK_FIG_COLOUR, t != NULL, 1);
    tk_figures_count(c->f, TK_FIG_KIND, kind_seen(c, h, k), 1);
    tk_figures_count(c->f, TK_FIG_OBJECT, is_kind(c, t, k), 1);
}

// ---- where it is -------------------------------------------------------------------------------

typedef struct trail { // a path and what it lies in
    tk_path path;
    double *x, *y; // (frames)
} trail;

static tk_status new_way(const tk_clip *c, const shot *h, tk_arena *a, trail *w)
{
    TK_ARENA_NEW(w->x, a, h->frames + 1);
    TK_ARENA_NEW(w->y, a, h->frames + 1);
    w->path = (tk_path){h->frames, c->media->fps, w->x, w->y};
    for (int64_t f = 0; f < h->frames; f++) w->x[f] = w->y[f] = NAN;
    return TK_OK;
}

// Seen as `t`, in metres; t NULL: nowhere.
static tk_status seen_way(const tk_clip *c, const shot *h, const tk_thing_track *t, tk_arena *a,
                          trail *w)
{
    TK_TRY(new_way(c, h, a, w));
    for (int64_t f = 0; f < h->frames && t; f++) {
        const tk_view v = seen_from(c, h, f);
        w->x[f] = v.cx + (t->x[f] - v.half_width) / v.pixels_per_metre;
        w->y[f] = v.cy + (v.half_height - t->y[f]) / v.pixels_per_metre;
    }
    return TK_OK;
}

static tk_status true_way(const tk_clip *c, const shot *h, int k, tk_arena *a, trail *w)
{
    TK_TRY(new_way(c, h, a, w));
    for (int64_t f = 0; f < h->frames; f++) {
        const tk_pose p = tk_scene_thing_at(c->scene, k, (double)(h->first + f) / c->media->fps);
        if (p.seen) w->x[f] = p.x, w->y[f] = p.y;
    }
    return TK_OK;
}

// ---- motion ------------------------------------------------------------------------------------

static double last_seen(const double *x, int64_t n)
{
    while (n > 0 && isnan(x[n - 1])) n--;
    return n > 0 ? x[n - 1] : NAN;
}

static double first_seen(const double *x, int64_t n)
{
    int64_t i = 0;
    while (i < n && isnan(x[i])) i++;
    return i < n ? x[i] : NAN;
}

static double goes(const tk_path *p)
{
    return last_seen(p->x, p->n) - first_seen(p->x, p->n);
}

// Contacts seen on a path that a sound goes with, of those seen; 0 of 1 if none is. Contact is as
// often before the frame that is told as after it.
static void count_sync(const tk_clip *c, const shot *h, const tk_path *p)
{
    int64_t at[CONTACTS];
    const int seen = tk_path_contacts(p, CONTACTS, at);
    int heard = 0;
    for (int i = 0; i < seen; i++) {
        const double t = h->asked->start + (double)at[i] / p->fps;
        double apart = INFINITY;
        for (int q = 0; q < c->n_onsets; q++)
            if (fabs(c->onset[q] - t) < fabs(apart)) apart = c->onset[q] - t;
        heard += fabs(apart) <= sync_seconds + 0.5 / p->fps;
        if (fabs(apart) < apart_most) tk_figures_apart(c->f, TK_OFF_CONTACT, 1000 * apart);
    }
    tk_figures_count(c->f, TK_FIG_SYNC, heard, seen ? seen : 1);
}

static void measure_fall(tk_clip *c, const shot *h, const tk_thing *o, const tk_path *seen,
                         const tk_path *asked)
{
    int64_t at[CONTACTS];
    if (tk_near(tk_path_gravity(asked), TK_GRAVITY, 0.1 * TK_GRAVITY))
        tk_figures_count(c->f, TK_FIG_GRAVITY,
                         tk_near(tk_path_gravity(seen), TK_GRAVITY, 0.25 * TK_GRAVITY), 1);
    if (tk_near(tk_path_restitution(asked), o->restitution, 0.2))
        tk_figures_count(c->f, TK_FIG_BOUNCE,
                         tk_near(tk_path_restitution(seen), o->restitution, 0.25), 1);
    if (tk_path_contacts(asked, CONTACTS, at) > 0) count_sync(c, h, seen);
}

// Whether it sinks, floats or rises as it is to.
static void measure_buoyancy(tk_clip *c, const shot *h, const tk_path *seen, const tk_path *asked)
{
    const double climbs = tk_path_climbs(seen), settles = tk_path_settles(seen);
    const double should = tk_path_climbs(asked), place = tk_path_settles(asked);
    bool hit;
    if (h->asked->outcome == TK_OUTCOME_RISES)
        hit = climbs > 0.5 * should && climbs < 1.6 * should;
    else if (h->asked->outcome == TK_OUTCOME_SINKS || h->asked->outcome == TK_OUTCOME_FLOATS)
        hit = tk_near(settles, place, stays);
    else
        return;
    tk_figures_count(c->f, TK_FIG_BUOYANCY, hit, 1);
}

// Whether a collision keeps momentum and sets the other thing going.
static bool keeps_momentum(const tk_collision *k, double m, double q)
{
    const double before = m * k->before[0] + q * k->before[1];
    const double after = m * k->after[0] + q * k->after[1];
    return tk_near(after / before, 1, 0.35) && fabs(k->after[1]) > 0.1;
}

// A thing that hardly goes after the blow has a speed that pictures do not show.
static tk_status measure_collision(tk_clip *c, const shot *h, const tk_path *seen,
                                   const tk_path *asked, tk_arena *a)
{
    const int k = h->asked->thing, q = h->asked->other;
    trail other, true_other;
    tk_collision hit;
    if (h->asked->outcome != TK_OUTCOME_HITS || q < 0) return TK_OK;
    const tk_thing *o = &c->scene->thing[k], *p = &c->scene->thing[q];
    const double reach = 1.05 * (o->radius + p->radius);
    TK_TRY(seen_way(c, h, track_of(c, h, q), a, &other));
    TK_TRY(true_way(c, h, q, a, &true_other));
    if (!tk_paths_collide(asked, &true_other.path, reach, &hit) || fabs(hit.before[0]) < 1.5 ||
        !(fabs(goes(&true_other.path)) > hit_goes) || !keeps_momentum(&hit, o->mass, p->mass))
        return TK_OK;
    const bool kept = tk_paths_collide(seen, &other.path, 1.1 * reach, &hit) &&
                      keeps_momentum(&hit, o->mass, p->mass);
    tk_figures_count(c->f, TK_FIG_COLLISION, kept, 1);
    return TK_OK;
}

// ---- what comes of it ---------------------------------------------------------------------------

// How high it goes above where it was before, and how deep below; metres.
static double climb_of(const tk_path *p, double sign)
{
    double from = INFINITY, most = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (isnan(p->y[i])) continue;
        from = fmin(from, sign * p->y[i]);
        most = fmax(most, sign * p->y[i] - from);
    }
    return most;
}

static bool lies_still(const tk_path *p)
{
    const int64_t from = p->n - (int64_t)ceil(p->fps / 4);
    const tk_path end = {.n = p->n - from, .fps = p->fps, .x = p->x + from, .y = p->y + from};
    return from >= 0 && fmax(climb_of(&end, 1), climb_of(&end, -1)) < 0.15;
}

// Whether it goes where it is to, at least half as far and not twice as far; `least`: metres that
// tell.
static bool goes_as_far(double seen, double asked, double least)
{
    return fabs(asked) > least && seen / asked > 0.5 && seen / asked < 2;
}

// Whether on the way `seen` it comes to what the shot says. On its own way, `asked` itself, it does
// where the shot shows enough of it.
static bool shows_outcome(tk_outcome what, bool let_go, const tk_path *seen, const tk_path *asked)
{
    const double rise = climb_of(seen, 1), fall = climb_of(seen, -1);
    switch (what) {
    case TK_OUTCOME_BOUNCES:
        return goes_as_far(rise, climb_of(asked, 1), 0.15);
    case TK_OUTCOME_RISES:
        return goes_as_far(rise, climb_of(asked, 1), 0.15);
    case TK_OUTCOME_FALLS:
        return goes_as_far(fall, climb_of(asked, -1), 0.2);
    case TK_OUTCOME_LIES:
        return lies_still(seen) && rise < 0.3 &&
               (!let_go || goes_as_far(fall, climb_of(asked, -1), 0.2));
    case TK_OUTCOME_SINKS:
    case TK_OUTCOME_FLOATS:
        return tk_near(tk_path_settles(seen), tk_path_settles(asked), stays);
    case TK_OUTCOME_ROLLS:
    case TK_OUTCOME_SLIDES:
    case TK_OUTCOME_HITS: // of the other thing: it is set going
        return goes_as_far(goes(seen), goes(asked), 0.2);
    default:
        return false;
    }
}

static tk_status measure_action(tk_clip *c, const shot *h, const trail *seen, const trail *asked,
                                tk_arena *a)
{
    const tk_outcome what = h->asked->outcome;
    const bool let_go = h->asked->beat != TK_BEAT_LOOK;
    const tk_path *found = &seen->path, *true_one = &asked->path;
    trail other, true_other;
    if (what == TK_OUTCOME_HITS) {
        if (h->asked->other < 0) return TK_OK;
        TK_TRY(seen_way(c, h, track_of(c, h, h->asked->other), a, &other));
        TK_TRY(true_way(c, h, h->asked->other, a, &true_other));
        found = &other.path, true_one = &true_other.path;
    }
    if (shows_outcome(what, let_go, true_one, true_one))
        tk_figures_count(c->f, TK_FIG_ACTION, shows_outcome(what, let_go, found, true_one), 1);
    return TK_OK;
}

static tk_status measure_motion(tk_clip *c, const shot *h, tk_arena *a)
{
    const int k = h->asked->thing;
    trail seen, asked;
    TK_TRY(seen_way(c, h, track_of(c, h, k), a, &seen));
    TK_TRY(true_way(c, h, k, a, &asked));
    if (h->asked->beat == TK_BEAT_DROP)
        measure_fall(c, h, &c->scene->thing[k], &seen.path, &asked.path);
    measure_buoyancy(c, h, &seen.path, &asked.path);
    TK_TRY(measure_action(c, h, &seen, &asked, a));
    return measure_collision(c, h, &seen.path, &asked.path, a);
}

// ---- over cuts ---------------------------------------------------------------------------------

static bool rests(const tk_clip *c, int k, double t)
{
    const tk_pose p = tk_scene_thing_at(c->scene, k, t),
                  q = tk_scene_thing_at(c->scene, k, t - 0.3);
    return p.seen && q.seen && hypot(p.x - q.x, p.y - q.y) < 0.02;
}

// What lies still is in its place after the cut.
static tk_status measure_cut(tk_clip *c, const shot *before, const shot *after, int k, tk_arena *a)
{
    const tk_thing_track *t = track_of(c, before, k), *u = track_of(c, after, k);
    trail w, v;
    if (!rests(c, k, after->asked->start)) return TK_OK;
    TK_TRY(seen_way(c, before, t, a, &w));
    TK_TRY(seen_way(c, after, u, a, &v));
    const double x = last_seen(w.x, before->frames) - first_seen(v.x, after->frames);
    const double y = last_seen(w.y, before->frames) - first_seen(v.y, after->frames);
    tk_figures_count(c->f, TK_FIG_STATE, hypot(x, y) <= stays, 1);
    return TK_OK;
}

tk_status tk_measure_things(tk_clip *c, tk_arena *a)
{
    tk_series same[TK_SCENE_THINGS] = {0};
    shot now, before = {0};
    if (c->learned->things.classes == 0) return TK_OK;
    for (int h = 0; h < c->scene->n_shots; h++) {
        TK_TRY(see_shot(c, h, a, &now));
        for (int k = 0; k < c->scene->n_things; k++) {
            if (!in_view(c, &now, k)) continue;
            tk_clip_turn(c, h, h);
            measure_looks(c, &now, k);
            tk_series_put(&same[k], h, is_kind(c, track_of(c, &now, k), k));
            if (k == now.asked->thing) TK_TRY(measure_motion(c, &now, a));
            if (h == 0 || !in_view(c, &before, k)) continue;
            tk_clip_turn(c, h - 1, h);
            TK_TRY(measure_cut(c, &before, &now, k, a));
        }
        before = now;
    }
    for (int k = 0; k < c->scene->n_things; k++)
        tk_series_count(c, &same[k], TK_FIG_SAME, TK_FIG_STORY_OBJECT);
    return TK_OK;
}
