// SPDX-License-Identifier: Apache-2.0
// What judges of things are shown: patches of clips, and which thing each is.
#include "infer/judges/sight/things.h"
#include "core/base/log.h"
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "infer/eval/learn/learn.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { EVERY = 8 }; // frames from one that is looked at to the next

typedef struct lessons {
    const tk_config *c;
    const tk_codec *codec;
    tk_speech *speech;
    tk_grid grid;
    uint64_t seed;
    tk_thing_examples *things; // (clips)
} lessons;

// The clip of a scene: pictures alone.
static tk_status film_lesson(const lessons *s, int64_t i, tk_scene *scene, tk_media *clip)
{
    const tk_config *c = s->c;
    tk_world_config world = c->world;
    world.held_out = TK_HELD_WITH; // judges know all there is
    TK_TRY(tk_scene_make(&world, &c->media, c->codec.patch_frames, s->speech, s->seed, i, scene));
    *clip = tk_media_shape(&c->media, s->grid.frames, 0);
    TK_TRY(tk_media_alloc(clip));
    return tk_film_render(scene, &c->media, s->speech, clip->frames, clip->rgb);
}

// ---- things ------------------------------------------------------------------------------------

// The thing of a patch's hue that lies where it does, as a class; 0: none.
static int thing_class(const tk_scene *s, const tk_media *clip, double t, const tk_sighting *p)
{
    const tk_view v = tk_scene_view_at(s, clip->height, clip->width, t);
    for (int k = 0; k < s->n_things; k++) {
        const tk_thing *o = &s->thing[k];
        const tk_pose at = tk_scene_thing_at(s, k, t);
        const double r = o->radius * v.pixels_per_metre;
        double x, y;
        if (!at.seen || strcmp(tk_colour_name[o->colour], tk_hue_name[p->hue])) continue;
        tk_scene_project(&v, at.x, at.y, &x, &y);
        if (hypot(x - p->x, y - p->y) < 0.5 * r && p->radius > 0.6 * r && p->radius < 1.5 * r)
            return 1 + (int)o->kind;
    }
    return 0;
}

static tk_status show_things(const tk_scene *s, const tk_media *clip, tk_thing_examples *e)
{
    const int64_t picture = clip->height * clip->width * 3;
    tk_sighting *seen;
    tk_status st = TK_OK;
    TK_NEW(seen, TK_SIGHTINGS);
    for (int64_t f = 0; f < clip->frames && st == TK_OK; f += EVERY) {
        const double t = (double)f / (double)clip->fps;
        int n = 0;
        tk_arena a;
        if (tk_scene_style_at(s, t) == TK_STYLE_NOIR) continue;
        tk_arena_init(&a, 0);
        st = tk_sightings_of(clip->rgb + f * picture, clip->height, clip->width, &a, seen, &n);
        for (int k = 0; k < n && st == TK_OK; k++)
            st = tk_thing_examples_add(e, &seen[k], thing_class(s, clip, t, &seen[k]));
        tk_arena_free(&a);
    }
    tk_free(seen);
    return st;
}

// ---- lessons -----------------------------------------------------------------------------------

static tk_status give_lesson(lessons *s, int64_t i)
{
    tk_scene scene;
    tk_media clip = {0};
    tk_status st = film_lesson(s, i, &scene, &clip);
    if (st == TK_OK) st = show_things(&scene, &clip, &s->things[i]);
    if (st == TK_OK && s->codec) st = tk_media_through_codec(s->codec, &s->grid, &clip);
    if (st == TK_OK && s->codec) st = show_things(&scene, &clip, &s->things[i]);
    tk_media_free(&clip);
    return st;
}

static tk_status give_lessons(lessons *s)
{
    tk_team team = {TK_OK, ""};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < s->c->eval.shown; i++) {
        if (!tk_team_failed(&team)) tk_team_report(&team, give_lesson(s, i));
        if (omp_get_thread_num() == 0) tk_alive();
    }
    return tk_team_result(&team);
}

static tk_status learn_from_all(const lessons *s, tk_arena *a, tk_classes *out)
{
    tk_thing_examples all = {0};
    tk_status st = TK_OK;
    for (int64_t i = 0; i < s->c->eval.shown && st == TK_OK; i++)
        st = tk_thing_examples_join(&all, &s->things[i]);
    if (st == TK_OK)
        st = tk_classes_learn(all.n, TK_THING_FEATURES, 1 + TK_KINDS, all.feature, all.label, 1e-3,
                              a, out);
    tk_thing_examples_free(&all);
    return st;
}

tk_status tk_learn_things(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_classes *out)
{
    lessons s = {.c = c, .codec = codec, .speech = speech};
    const tk_codec_info info =
        codec ? *tk_codec_get_info(codec) : tk_codec_planned(&c->codec, &c->media);
    s.seed = tk_rng_u64(tk_rng_key((uint64_t)c->world.seed, TK_RNG_EXAMPLES, 0), 1);
    TK_TRY(tk_grid_of(&info, "media", tk_scene_frames(&c->world, &c->media, c->codec.patch_frames),
                      c->media.height, c->media.width, TK_GRID_WHOLE, &s.grid));
    TK_NEW(s.things, c->eval.shown);
    tk_status st = give_lessons(&s);
    if (st == TK_OK) st = learn_from_all(&s, a, out);
    for (int64_t i = 0; i < c->eval.shown; i++) tk_thing_examples_free(&s.things[i]);
    tk_free(s.things);
    return st;
}
