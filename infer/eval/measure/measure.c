// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/measure/measure.h"
#include "infer/judges/sight/frames.h"
#include "infer/judges/sight/paths.h"
#include "infer/judges/sight/things.h"
#include "infer/judges/sound/onsets.h"
#include <math.h>
#include <string.h>

enum { CONTACTS = 64, ONSETS = 256 };
static const double seen_least = 0.35; // of a shot's frames: what counts as seen in it
static const double asked_least = 0.6; // of a shot's frames in which a thing asked for is in view
static const double sync_seconds = 0.080;
static const double stays = 0.35; // metres

typedef struct clip {
    const tk_learned *learned;
    const tk_scene *scene;
    const tk_media *media;
    double onset[ONSETS];
    int n_onsets;
    tk_figures *f;
} clip;

typedef struct shot { // of a clip
    const tk_shot *asked;
    int64_t first, frames;
    tk_thing_track *track; // (n) what is seen
    int n;
} shot;

static tk_view seen_from(const clip *c, const shot *h, int64_t f)
{
    const double t = (double)(h->first + f) / c->media->fps;
    return tk_scene_view_at(c->scene, c->media->height, c->media->width, t);
}

// ---- what is seen ------------------------------------------------------------------------------

static tk_status see_shot(const clip *c, int k, tk_arena *a, shot *h)
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
static bool in_view(const clip *c, const shot *h, int k)
{
    int64_t seen = 0;
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
static const tk_thing_track *track_of(const clip *c, const shot *h, int k)
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

static bool is_kind(const clip *c, const tk_thing_track *t, int k)
{
    return t && t->kind == 1 + (int)c->scene->thing[k].kind;
}

// Some thing of that kind, of whatever colour.
static bool kind_seen(const clip *c, const shot *h, int k)
{
    for (int i = 0; i < h->n; i++)
        if (is_kind(c, &h->track[i], k)) return true;
    return false;
}

static void measure_looks(clip *c, const shot *h, int k)
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

static tk_status new_way(const clip *c, const shot *h, tk_arena *a, trail *w)
{
    TK_ARENA_NEW(w->x, a, h->frames + 1);
    TK_ARENA_NEW(w->y, a, h->frames + 1);
    w->path = (tk_path){h->frames, c->media->fps, w->x, w->y};
    for (int64_t f = 0; f < h->frames; f++) w->x[f] = w->y[f] = NAN;
    return TK_OK;
}

// Seen as `t`, in metres; t NULL: nowhere.
static tk_status seen_way(const clip *c, const shot *h, const tk_thing_track *t, tk_arena *a,
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

static tk_status true_way(const clip *c, const shot *h, int k, tk_arena *a, trail *w)
{
    TK_TRY(new_way(c, h, a, w));
    for (int64_t f = 0; f < h->frames; f++) {
        const tk_pose p = tk_scene_thing_at(c->scene, k, (double)(h->first + f) / c->media->fps);
        if (p.seen) w->x[f] = p.x, w->y[f] = p.y;
    }
    return TK_OK;
}

static bool near_to(double a, double b, double by)
{
    return fabs(a - b) <= by; // NaN is near nothing
}

// ---- motion ------------------------------------------------------------------------------------

// Contacts seen on a path that a sound goes with, of those seen; 0 of 1 if none is.
static void count_sync(const clip *c, const shot *h, const tk_path *p)
{
    int64_t at[CONTACTS];
    const int seen = tk_path_contacts(p, CONTACTS, at);
    int heard = 0;
    for (int i = 0; i < seen; i++) {
        // Contact is between the frame that shows it and the one after.
        const double t = h->asked->start + ((double)at[i] + 0.5) / p->fps;
        bool hit = false;
        for (int q = 0; q < c->n_onsets; q++)
            hit |= near_to(c->onset[q], t, sync_seconds + 0.5 / p->fps);
        heard += hit;
    }
    tk_figures_count(c->f, TK_FIG_SYNC, heard, seen ? seen : 1);
}

static void measure_fall(clip *c, const shot *h, const tk_thing *o, const tk_path *seen,
                         const tk_path *asked)
{
    int64_t at[CONTACTS];
    if (near_to(tk_path_gravity(asked), TK_GRAVITY, 0.1 * TK_GRAVITY))
        tk_figures_count(c->f, TK_FIG_GRAVITY,
                         near_to(tk_path_gravity(seen), TK_GRAVITY, 0.25 * TK_GRAVITY), 1);
    if (near_to(tk_path_restitution(asked), o->restitution, 0.2))
        tk_figures_count(c->f, TK_FIG_BOUNCE,
                         near_to(tk_path_restitution(seen), o->restitution, 0.25), 1);
    if (tk_path_contacts(asked, CONTACTS, at) > 0) count_sync(c, h, seen);
}

// Whether it sinks, floats or rises as it is to.
static void measure_buoyancy(clip *c, const shot *h, const tk_path *seen, const tk_path *asked)
{
    const double climbs = tk_path_climbs(seen), settles = tk_path_settles(seen);
    const double should = tk_path_climbs(asked), place = tk_path_settles(asked);
    bool hit;
    if (h->asked->outcome == TK_OUTCOME_RISES)
        hit = climbs > 0.5 * should && climbs < 1.6 * should;
    else if (h->asked->outcome == TK_OUTCOME_SINKS || h->asked->outcome == TK_OUTCOME_FLOATS)
        hit = near_to(settles, place, stays);
    else
        return;
    tk_figures_count(c->f, TK_FIG_BUOYANCY, hit, 1);
}

// Whether a collision keeps momentum and sets the other thing going.
static bool keeps_momentum(const tk_collision *k, double m, double q)
{
    const double before = m * k->before[0] + q * k->before[1];
    const double after = m * k->after[0] + q * k->after[1];
    return near_to(after / before, 1, 0.35) && fabs(k->after[1]) > 0.1;
}

static tk_status measure_collision(clip *c, const shot *h, const tk_path *seen,
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
        !keeps_momentum(&hit, o->mass, p->mass))
        return TK_OK;
    const bool kept = tk_paths_collide(seen, &other.path, 1.1 * reach, &hit) &&
                      keeps_momentum(&hit, o->mass, p->mass);
    tk_figures_count(c->f, TK_FIG_COLLISION, kept, 1);
    return TK_OK;
}

static tk_status measure_motion(clip *c, const shot *h, tk_arena *a)
{
    const int k = h->asked->thing;
    trail seen, asked;
    TK_TRY(seen_way(c, h, track_of(c, h, k), a, &seen));
    TK_TRY(true_way(c, h, k, a, &asked));
    if (h->asked->beat == TK_BEAT_DROP)
        measure_fall(c, h, &c->scene->thing[k], &seen.path, &asked.path);
    measure_buoyancy(c, h, &seen.path, &asked.path);
    return measure_collision(c, h, &seen.path, &asked.path, a);
}

// ---- over cuts ---------------------------------------------------------------------------------

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

static bool rests(const clip *c, int k, double t)
{
    const tk_pose p = tk_scene_thing_at(c->scene, k, t),
                  q = tk_scene_thing_at(c->scene, k, t - 0.3);
    return p.seen && q.seen && hypot(p.x - q.x, p.y - q.y) < 0.02;
}

// Thing k before and after the cut: the same, and, where it rests, in the same place.
static tk_status measure_cut(clip *c, const shot *before, const shot *after, int k, tk_arena *a)
{
    const tk_thing_track *t = track_of(c, before, k), *u = track_of(c, after, k);
    trail w, v;
    tk_figures_count(c->f, TK_FIG_SAME, is_kind(c, t, k) && is_kind(c, u, k), 1);
    if (!rests(c, k, after->asked->start)) return TK_OK;
    TK_TRY(seen_way(c, before, t, a, &w));
    TK_TRY(seen_way(c, after, u, a, &v));
    const double x = last_seen(w.x, before->frames) - first_seen(v.x, after->frames);
    const double y = last_seen(w.y, before->frames) - first_seen(v.y, after->frames);
    tk_figures_count(c->f, TK_FIG_STATE, hypot(x, y) <= stays, 1);
    return TK_OK;
}

// Cuts found within a frame of those asked for.
static tk_status measure_cuts(clip *c, tk_arena *a)
{
    const tk_media *m = c->media;
    tk_frames frames = {0};
    int64_t *found, asked[TK_SCENE_SHOTS];
    tk_status st = TK_OK;
    TK_ARENA_NEW(found, a, m->frames + 1);
    for (int64_t f = 0; f < m->frames && st == TK_OK; f++)
        st = tk_frames_add(&frames, m->rgb + f * m->height * m->width * 3, m->height, m->width);
    for (int k = 1; k < c->scene->n_shots; k++)
        asked[k - 1] = llround(c->scene->shot[k].start * m->fps);
    const int64_t n = tk_frames_shots(&frames, found);
    const tk_cuts_found match =
        tk_frames_match_cuts(n - 1, found + 1, c->scene->n_shots - 1, asked, 1);
    if (st == TK_OK && n > 0) tk_figures_count(c->f, TK_FIG_CUTS, match.hits, match.of);
    tk_frames_free(&frames);
    return st;
}

// ---- how it is filmed --------------------------------------------------------------------------

// Style and set are asked of every shot: what is seen goes on, whether it is said again or not.
static tk_status measure_settings(clip *c)
{
    const tk_media *m = c->media;
    for (int h = 0; h < c->scene->n_shots; h++) {
        const tk_setting asked = tk_setting_of(c->scene, h);
        tk_setting_look look;
        tk_setting found;
        int64_t first, n;
        tk_frames_of(c->scene, m, h, &first, &n);
        if (n <= 0) continue;
        TK_TRY(tk_setting_look_at(m->rgb + first * m->height * m->width * 3, n, m->height, m->width,
                                  &look));
        TK_TRY(tk_settings_find(&c->learned->settings, &look, &found));
        tk_figures_count(c->f, TK_FIG_STYLE, found.style == asked.style, 1);
        tk_figures_count(c->f, TK_FIG_SET, found.set == asked.set, 1);
        tk_figures_count(c->f, TK_FIG_SIZE, found.size == asked.size, 1);
    }
    return TK_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

// In noir there are no colours by which things could be found.
static tk_status measure_things(clip *c, tk_arena *a)
{
    shot now, before = {0};
    for (int h = 0; h < c->scene->n_shots && c->scene->style != TK_STYLE_NOIR; h++) {
        TK_TRY(see_shot(c, h, a, &now));
        for (int k = 0; k < c->scene->n_things; k++) {
            if (!in_view(c, &now, k)) continue;
            measure_looks(c, &now, k);
            if (k == now.asked->thing) TK_TRY(measure_motion(c, &now, a));
            if (h > 0 && in_view(c, &before, k)) TK_TRY(measure_cut(c, &before, &now, k, a));
        }
        before = now;
    }
    return TK_OK;
}

tk_status tk_measure_clip(const tk_learned *l, const tk_scene *s, const tk_media *m, tk_figures *f)
{
    clip c = {.learned = l, .scene = s, .media = m, .f = f};
    tk_arena a;
    TK_TRY(tk_onsets_of(m->pcm, m->samples, m->channels, m->sample_rate, ONSETS, c.onset,
                        &c.n_onsets));
    tk_arena_init(&a, 0);
    tk_status st = measure_things(&c, &a);
    if (st == TK_OK) st = measure_settings(&c);
    if (st == TK_OK) st = measure_cuts(&c, &a);
    tk_arena_free(&a);
    return st;
}
