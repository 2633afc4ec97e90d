// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/learn/learn.h"
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include <math.h>
#include <string.h>

enum { CLIPS = 420, SHOTS = 4, FPS = 3, KEPT = 6, WAYS = 2 }; // CLIPS: at most
static const double clip_seconds = 4;

tk_setting tk_setting_of(const tk_scene *s, int shot)
{
    return (tk_setting){.style = (int)s->shot[shot].style,
                        .set = (int)s->set,
                        .side = s->shot[shot].reverse,
                        .size = (int)s->shot[shot].size};
}

void tk_frames_of(const tk_scene *s, const tk_media *m, int shot, int64_t *first, int64_t *n)
{
    const tk_shot *h = &s->shot[shot];
    *first = (int64_t)ceil(h->start * m->fps - 1e-6);
    const int64_t end = (int64_t)ceil((h->start + h->seconds) * m->fps - 1e-6);
    if (*first > m->frames) *first = m->frames;
    *n = (end > m->frames ? m->frames : end) - *first;
}

int tk_heads_of(const tk_scene *s, const tk_media *m, double t, tk_head *out)
{
    const tk_view v = tk_scene_view_at(s, m->height, m->width, t);
    int n = 0;
    for (int i = 0; i < s->n_people; i++) {
        const tk_face f = tk_scene_face_at(s, i, t);
        const double turn = tk_scene_body_at(s, i, t).turn, w = f.half_width * v.pixels_per_metre;
        tk_head h = {.r = f.half_height * v.pixels_per_metre,
                     .who = s->person[i],
                     .turn = (int)lround(turn) + 1};
        tk_scene_project(&v, f.x, f.y, &h.x, &h.y);
        if (h.x > w && h.x < (double)m->width - w && h.y > h.r && h.y < (double)m->height - h.r)
            out[n++] = h;
    }
    return n;
}

typedef struct school { // by a way: as it is, through the codec
    const tk_config *config;
    const tk_codec *codec; // NULL: none
    tk_world_config world;
    tk_media_config media; // as filmed
    tk_grid grid;          // of the clip, where there is a codec
    tk_speech *speech;
    uint64_t seed;
    int64_t clips;
    bool shown[CLIPS * WAYS * SHOTS]; // shot k of clip i by way w at (i * WAYS + w) * SHOTS + k
    tk_setting label[CLIPS * WAYS * SHOTS];
    tk_setting_look look[CLIPS * WAYS * SHOTS];
    tk_head_picture picture[CLIPS * WAYS * KEPT];
    uint8_t *rgb; // of those
    tk_team team;
} school;

// A scene, some of its shots seen from the other side, which nobody's answer needs here.
static tk_status write_example(const school *s, int64_t i, tk_scene *out)
{
    TK_TRY(tk_scene_make(&s->world, &s->config->media, s->config->codec.patch_frames, NULL, s->seed,
                         i, out));
    const tk_key key = tk_rng_key(s->seed, TK_RNG_EXAMPLES, (uint64_t)i);
    for (int k = 0; k < out->n_shots; k++)
        out->shot[k].reverse = tk_rng_uniform(key, (uint64_t)k) < 0.35;
    return TK_OK;
}

static void keep_pictures(school *s, int64_t at, const tk_scene *scene, const tk_media *m)
{
    const int64_t bytes = m->height * m->width * 3;
    for (int64_t k = 0; k < KEPT; k++, at++) {
        const int64_t frame = k * m->frames / KEPT;
        tk_head_picture *p = &s->picture[at];
        memcpy(s->rgb + at * bytes, m->rgb + frame * bytes, (size_t)bytes);
        p->rgb = s->rgb + at * bytes;
        const double t = (double)frame / m->fps;
        p->style = (int)tk_scene_style_at(scene, t);
        p->n = tk_heads_of(scene, m, t, p->head);
    }
}

static tk_status show_way(school *s, int64_t i, const tk_scene *scene, const tk_media *m, int way)
{
    for (int k = 0; k < scene->n_shots; k++) {
        const int64_t at = (i * WAYS + way) * SHOTS + k;
        int64_t first, n;
        tk_frames_of(scene, m, k, &first, &n);
        if (n <= 0) continue;
        s->shown[at] = true;
        s->label[at] = tk_setting_of(scene, k);
        TK_TRY(tk_setting_look_at(m->rgb + first * m->height * m->width * 3, n, m->height, m->width,
                                  &s->look[at]));
    }
    keep_pictures(s, (i * WAYS + way) * KEPT, scene, m);
    return TK_OK;
}

static tk_status show(school *s, int64_t i)
{
    tk_scene scene;
    TK_TRY(write_example(s, i, &scene));
    tk_media m = tk_media_shape(&s->media, s->grid.frames, 0);
    TK_TRY(tk_media_alloc(&m));
    tk_status st = tk_film_render(&scene, &s->media, s->speech, m.frames, m.rgb);
    if (st == TK_OK) st = show_way(s, i, &scene, &m, 0);
    if (st == TK_OK && s->codec) st = tk_media_through_codec(s->codec, &s->grid, &m);
    if (st == TK_OK && s->codec) st = show_way(s, i, &scene, &m, 1);
    tk_media_free(&m);
    return st;
}

static tk_status learn_settings(school *s, tk_arena *a, tk_settings *out)
{
    const tk_setting counts = {(int)s->world.styles, (int)s->world.sets, 2, TK_SIZES};
    int64_t n = 0;
    for (int64_t i = 0; i < s->clips * WAYS * SHOTS; i++) {
        if (!s->shown[i]) continue;
        s->look[n] = s->look[i];
        s->label[n++] = s->label[i];
    }
    return tk_settings_learn(n, s->look, s->label, counts, a, out);
}

static tk_status learn_heads(school *s, tk_arena *a, tk_head_finder *out)
{
    int64_t n = 0;
    for (int64_t i = 0; i < s->clips * WAYS * KEPT; i++)
        if (s->picture[i].rgb) s->picture[n++] = s->picture[i];
    return tk_heads_learn(n, s->picture, (int)s->world.styles, s->media.height, s->media.width, a,
                          out);
}

// 140 of each style where c->eval.shown is 150.
static int64_t count_examples(const tk_config *c)
{
    const int64_t n = 140 * c->world.styles * c->eval.shown / 150;
    return n < 1 ? 1 : n > CLIPS ? CLIPS : n;
}

// Few frames a second will do, but a codec wants its own.
static tk_status open_school(const tk_config *c, const tk_codec *codec, tk_speech *speech,
                             school *s)
{
    *s = (school){.config = c, .codec = codec, .media = c->media, .speech = speech};
    s->clips = count_examples(c);
    s->world = (tk_world_config){.seconds = clip_seconds,
                                 .max_shots = SHOTS,
                                 .things = c->world.things,
                                 .people = c->world.people,
                                 .sets = c->world.sets,
                                 .styles = c->world.styles,
                                 .held_out = TK_HELD_WITH};
    s->seed = tk_rng_u64(tk_rng_key((uint64_t)c->world.seed, TK_RNG_EXAMPLES, 0), 0);
    if (codec)
        return tk_grid_of(tk_codec_get_info(codec), "media",
                          tk_scene_frames(&s->world, &c->media, c->codec.patch_frames),
                          c->media.height, c->media.width, TK_GRID_WHOLE, &s->grid);
    s->media.fps = FPS;
    s->grid.frames = (int64_t)(clip_seconds * FPS);
    return TK_OK;
}

static tk_status show_all(school *s, tk_arena *own, tk_arena *a, tk_learned *out)
{
    TK_ARENA_NEW(s->rgb, own, s->clips * WAYS * KEPT * s->media.height * s->media.width * 3);
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < s->clips; i++)
        if (!tk_team_failed(&s->team)) tk_team_report(&s->team, show(s, i));
    TK_TRY(tk_team_result(&s->team));
    TK_TRY(learn_settings(s, a, &out->settings));
    return s->world.people == 0 ? TK_OK : learn_heads(s, a, &out->heads);
}

tk_status tk_learn(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                   tk_learned *out)
{
    tk_arena own;
    tk_arena_init(&own, 0);
    school *s = tk_arena_alloc(&own, sizeof *s);
    tk_status st = s ? open_school(c, codec, speech, s) : TK_FAIL(TK_MEMORY, "out of memory");
    if (st == TK_OK) st = show_all(s, &own, a, out);
    tk_arena_free(&own);
    return st;
}
