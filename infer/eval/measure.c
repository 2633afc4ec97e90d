// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/measure.h"
#include "infer/judges/detect.h"
#include "infer/judges/frames.h"
#include "infer/judges/onsets.h"
#include "infer/judges/paths.h"
#include <math.h>
#include <string.h>

enum { CONTACTS = 64, ONSETS = 256 };

typedef struct clip {
    const tk_stage *scene;
    const tk_media *media;
    double onset[ONSETS];
    int n_onsets;
    tk_figures *f;
} clip;

static void shot_frames(const clip *c, int k, int64_t *first, int64_t *n)
{
    const tk_world_shot *h = &c->scene->shot[k];
    const double fps = c->media->fps;
    *first = llround(h->start * fps);
    *n = llround(h->seconds * fps);
    if (*first > c->media->frames) *first = c->media->frames;
    if (*first + *n > c->media->frames) *n = c->media->frames - *first;
}

// Contacts seen on a path of shot k that a sound goes with, of those seen; 0 of 1 if none is.
static void count_sync(const clip *c, int k, const tk_path *p)
{
    int64_t at[CONTACTS];
    const int seen = tk_path_contacts(p, CONTACTS, at);
    int heard = 0;
    for (int i = 0; i < seen; i++) {
        const double t = c->scene->shot[k].start + (double)at[i] / p->fps;
        bool hit = false;
        for (int q = 0; q < c->n_onsets; q++) hit |= fabs(c->onset[q] - t) <= 2 / p->fps + 1e-9;
        heard += hit;
    }
    tk_figures_count(c->f, TK_FIG_SYNC, heard, seen ? seen : 1);
}

// Motion is asked of the shots whose true motion the judges can tell.
static tk_status measure_motion(clip *c, int k, int64_t first, const tk_seen *seen, tk_arena *a)
{
    const double fps = (double)c->media->fps;
    const int64_t n = seen->present ? seen->frames : 0;
    double *x, *y, *to;
    int64_t at[CONTACTS];
    TK_ARENA_NEW(x, a, seen->frames);
    TK_ARENA_NEW(y, a, seen->frames);
    TK_ARENA_NEW(to, a, seen->frames);
    for (int64_t f = 0; f < seen->frames; f++) {
        const double t = (double)(first + f) / fps;
        tk_world_position(c->scene, 0, t, &x[f], &y[f]);
        const tk_world_view v = tk_world_view_at(c->scene, c->media->height, c->media->width, t);
        to[f] = v.cy + (v.half_height - seen->y[f]) / v.pixels_per_metre;
    }
    const tk_path path = {seen->frames, fps, x, y}, shown = {n, fps, x, to};
    if (!isnan(tk_path_gravity(&path)))
        tk_figures_count(c->f, TK_FIG_GRAVITY,
                         fabs(tk_path_gravity(&shown) / TK_WORLD_GRAVITY - 1) <= 0.25, 1);
    if (tk_path_contacts(&path, CONTACTS, at) > 0) count_sync(c, k, &shown);
    return TK_OK;
}

static tk_status measure_shots(clip *c, tk_arena *a)
{
    const tk_world_object *o = &c->scene->object[0];
    const int64_t picture = c->media->height * c->media->width * 3;
    tk_seen before = {0};
    for (int k = 0; k < c->scene->n_shots; k++) {
        tk_seen seen;
        int64_t first, n;
        shot_frames(c, k, &first, &n);
        TK_TRY(tk_detect_object(c->media->rgb + first * picture, n, c->media->height,
                                c->media->width, a, &seen));
        const bool colour = seen.present && !strcmp(seen.colour, tk_colour_name[o->colour]);
        const bool kind = seen.present && !strcmp(seen.kind, tk_kind_name[o->kind]);
        tk_figures_count(c->f, TK_FIG_COLOUR, colour, 1);
        tk_figures_count(c->f, TK_FIG_KIND, kind, 1);
        tk_figures_count(c->f, TK_FIG_OBJECT, colour && kind, 1);
        if (k > 0)
            tk_figures_count(c->f, TK_FIG_SAME,
                             seen.present && before.present &&
                                 !strcmp(seen.colour, before.colour) &&
                                 !strcmp(seen.kind, before.kind),
                             1);
        TK_TRY(measure_motion(c, k, first, &seen, a));
        before = seen;
    }
    return TK_OK;
}

// Cuts found within a frame of those asked for.
static tk_status measure_cuts(clip *c, tk_arena *a)
{
    const tk_media *m = c->media;
    tk_frames frames = {0};
    int64_t *found, asked[TK_WORLD_SHOTS];
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

tk_status tk_measure_clip(const tk_stage *s, const tk_media *m, tk_figures *f)
{
    clip c = {.scene = s, .media = m, .f = f};
    tk_arena a;
    TK_TRY(tk_onsets_of(m->pcm, m->samples, m->channels, m->sample_rate, ONSETS, c.onset,
                        &c.n_onsets));
    tk_arena_init(&a, 0);
    tk_status st = measure_shots(&c, &a);
    if (st == TK_OK) st = measure_cuts(&c, &a);
    tk_arena_free(&a);
    return st;
}
