// SPDX-License-Identifier: Apache-2.0
// What judges of clothes and lips are shown: close and medium views of people who talk all the
// time, each in anybody's clothes, as they are and as the codec shows them.
#include "core/base/log.h"
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "data/scene/camera.h"
#include "infer/eval/learn/learn.h"
#include <math.h>
#include <omp.h>
#include <string.h>

enum { SHOTS = 3, VIEWS = 2, PEOPLE = TK_SCENE_PEOPLE };

typedef struct sitting { // of one clip, each of VIEWS views: as it is, through the codec
    int sights, sounds, clothed;
    tk_lips_sight *sight;
    tk_lips_sound *sound;
    tk_clothes_example *clothes;
} sitting;

typedef struct gallery {
    const tk_config *config;
    const tk_codec *codec; // NULL: none
    tk_speech *speech;     // NULL: mouths stay shut
    tk_world_config world;
    tk_grid grid;
    uint64_t seed;
    int64_t clips;
    sitting *sitting; // (clips)
} gallery;

// ---- scenes ------------------------------------------------------------------------------------

typedef struct dice {
    tk_key key;
    uint64_t thrown;
} dice;

static double draw_between(dice *d, double a, double b)
{
    return a + (b - a) * tk_rng_uniform(d->key, d->thrown++);
}

static int below(dice *d, int n)
{
    const int k = (int)draw_between(d, 0, n);
    return k < n ? k : n - 1;
}

// Words without end, said in turn.
static void let_talk(const gallery *s, dice *d, tk_scene *scene)
{
    const double every = 0.65, lasts = 0.5;
    scene->n_lines = 0;
    for (double t = draw_between(d, 0.05, 0.4);
         s->speech && scene->n_people > 0 && scene->n_lines < TK_SCENE_LINES &&
         t + lasts < s->world.seconds;
         t += every) {
        tk_scene_line *l = &scene->line[scene->n_lines];
        *l = (tk_scene_line){
            .t = t, .seconds = lasts, .person = scene->n_lines % scene->n_people, .n = 1};
        l->word[0] = below(d, TK_WORDS);
        scene->n_lines++;
    }
}

// A view in which a person's head is whole, from close to medium.
static tk_camera choose_view(const gallery *s, dice *d, const tk_scene *scene, double t)
{
    const tk_media_config *m = &s->config->media;
    const tk_face f = tk_scene_face_at(scene, below(d, scene->n_people), t);
    tk_camera c = {.span = tk_camera_span(m, TK_SIZE_CLOSE) *
                           exp(draw_between(d, -0.03, below(d, 4) ? 0.70 : 1.20))};
    const double high = c.span * (double)m->height / (double)m->width;
    const double aside = fmax(0.5 * c.span - 1.5 * f.half_width, 0),
                 up = fmax(0.5 * high - 1.1 * f.half_height, 0);
    c.cx = f.x + draw_between(d, -aside, aside);
    c.cy = f.y - draw_between(d, -0.2 * up, up);
    return c;
}

static tk_status write_sitting(const gallery *s, int64_t i, tk_scene *out)
{
    const tk_config *c = s->config;
    dice d = {tk_rng_key(s->seed, TK_RNG_EXAMPLES, (uint64_t)i), 0};
    TK_TRY(tk_scene_make(&s->world, &c->media, c->codec.patch_frames, NULL, s->seed, i, out));
    for (int k = 0; k < out->n_people; k++) {
        do out->person[k] = below(&d, TK_CAST);
        while (k > 0 && out->person[k] == out->person[0]);
        out->clothes[k] = below(&d, TK_CAST);
    }
    let_talk(s, &d, out);
    if (out->n_people == 0) return TK_OK;
    out->n_shots = SHOTS;
    for (int k = 0; k < SHOTS; k++) {
        const double lasts = s->world.seconds / SHOTS, t = k * lasts;
        const tk_camera view = choose_view(s, &d, out, t + 0.5 * lasts);
        out->shot[k] = (tk_shot){.start = t,
                                 .seconds = lasts,
                                 .style = (tk_style)(i % TK_STYLES),
                                 .reverse = below(&d, 3) == 0,
                                 .from = view,
                                 .to = view,
                                 .person = -1,
                                 .thing = -1,
                                 .other = -1};
    }
    return TK_OK;
}

// ---- what is shown of them ---------------------------------------------------------------------

// About as far off as a head is that was found.
static tk_head shaken(dice *d, tk_head h)
{
    h.x += 0.06 * h.r * draw_between(d, -1, 1);
    h.y += 0.06 * h.r * draw_between(d, -1, 1);
    h.r *= 1 + 0.05 * draw_between(d, -1, 1);
    return h;
}

static tk_status show_people(dice *d, const tk_scene *scene, const tk_media *m, int64_t frame,
                             const float *open, sitting *l)
{
    tk_head head[TK_HEADS];
    const uint8_t *rgb = m->rgb + frame * m->height * m->width * 3;
    const double t = (double)frame / m->fps;
    const int n = tk_heads_of(scene, m, t, head), style = (int)tk_scene_style_at(scene, t);
    for (int k = 0; k < n; k++) {
        const int who = scene->n_people > 1 && scene->person[1] == head[k].who;
        const tk_head h = shaken(d, head[k]);
        if (head[k].r < TK_HEAD_LEAST) continue;
        tk_clothes_example *c = &l->clothes[l->clothed++];
        c->style = style, c->clothes = scene->clothes[who];
        TK_TRY(tk_clothes_look(&h, rgb, m->height, m->width, c->seen));
        if (!open || tk_lips_width(&h) < TK_LIPS_LEAST) continue;
        tk_lips_sight *e = &l->sight[l->sights++];
        e->style = style, e->who = h.who, e->open = open[frame * scene->n_people + who];
        TK_TRY(tk_lips_look(&h, rgb, m->height, m->width, e->seen));
    }
    return TK_OK;
}

static tk_status show_sound(const tk_scene *scene, const tk_media *m, int clip, const float *open,
                            tk_arena *a, sitting *l)
{
    tk_lips_track track;
    TK_TRY(tk_lips_listen(m->pcm, m->samples, m->channels, m->sample_rate, a, &track));
    for (int64_t f = 0; f < m->frames; f++) {
        tk_lips_sound *e = &l->sound[l->sounds++];
        e->clip = clip, e->open = 0;
        for (int k = 0; k < scene->n_people; k++)
            e->open = fmaxf(e->open, open[f * scene->n_people + k]);
        tk_lips_hear(&track, llround((double)f / m->fps * TK_LIPS_HOPS), e->heard);
    }
    return TK_OK;
}

static tk_status show_clip(const gallery *s, int64_t i, const tk_scene *scene, const tk_media *m,
                           const float *open, tk_arena *a, sitting *l)
{
    dice d = {tk_rng_key(s->seed, TK_RNG_EXAMPLES, (uint64_t)(s->clips + i)), 0};
    for (int64_t f = 0; f < m->frames; f++) {
        TK_TRY(show_people(&d, scene, m, f, open, l));
    }
    return open ? show_sound(scene, m, (int)i, open, a, l) : TK_OK;
}

// ---- sittings ----------------------------------------------------------------------------------

static tk_status new_sitting(const gallery *s, tk_arena *a, sitting *l)
{
    const int64_t frames = VIEWS * s->grid.frames;
    TK_ARENA_NEW(l->sight, a, frames * PEOPLE);
    TK_ARENA_NEW(l->clothes, a, frames * PEOPLE);
    TK_ARENA_NEW(l->sound, a, frames);
    return TK_OK;
}

static tk_status film_sitting(const gallery *s, const tk_scene *scene, tk_media *m, tk_arena *a,
                              float **open)
{
    const tk_media_config *config = &s->config->media;
    *m = tk_media_shape(config, s->grid.frames, s->grid.samples);
    TK_TRY(tk_media_alloc(m));
    TK_TRY(tk_film_render(scene, config, s->speech, m->frames, m->rgb));
    TK_TRY(tk_film_sound(scene, config, s->speech, m->samples, m->pcm));
    if (scene->n_lines == 0) return TK_OK;
    TK_ARENA_NEW(*open, a, m->frames * scene->n_people);
    return tk_film_mouths(scene, s->speech, m->frames, m->fps, *open);
}

static tk_status sit(gallery *s, int64_t i)
{
    tk_scene scene;
    tk_media m = {0};
    float *open = NULL;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = write_sitting(s, i, &scene);
    if (st == TK_OK) st = film_sitting(s, &scene, &m, &a, &open);
    if (st == TK_OK) st = show_clip(s, i, &scene, &m, open, &a, &s->sitting[i]);
    if (st == TK_OK && s->codec) st = tk_media_through_codec(s->codec, &s->grid, &m);
    if (st == TK_OK && s->codec) st = show_clip(s, i, &scene, &m, open, &a, &s->sitting[i]);
    tk_media_free(&m);
    tk_arena_free(&a);
    return st;
}

static tk_status sit_all(gallery *s)
{
    tk_team team = {TK_OK, ""};
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < s->clips; i++) {
        if (!tk_team_failed(&team)) tk_team_report(&team, sit(s, i));
        if (omp_get_thread_num() == 0) tk_alive();
    }
    return tk_team_result(&team);
}

typedef struct sittings { // all of them, one after the other
    int64_t sights, sounds, clothed;
    tk_lips_sight *sight;
    tk_lips_sound *sound;
    tk_clothes_example *clothes;
} sittings;

static tk_status join_sittings(const gallery *s, tk_arena *a, sittings *all)
{
    for (int64_t i = 0; i < s->clips; i++) {
        const sitting *l = &s->sitting[i];
        all->sights += l->sights, all->sounds += l->sounds;
        all->clothed += l->clothed;
    }
    TK_ARENA_NEW(all->sight, a, all->sights + 1);
    TK_ARENA_NEW(all->sound, a, all->sounds + 1);
    TK_ARENA_NEW(all->clothes, a, all->clothed + 1);
    all->sights = all->sounds = all->clothed = 0;
    for (int64_t i = 0; i < s->clips; i++) {
        const sitting *l = &s->sitting[i];
        for (int k = 0; k < l->sights; k++) all->sight[all->sights++] = l->sight[k];
        for (int k = 0; k < l->sounds; k++) all->sound[all->sounds++] = l->sound[k];
        for (int k = 0; k < l->clothed; k++) all->clothes[all->clothed++] = l->clothes[k];
    }
    return TK_OK;
}

static tk_status learn_from_sittings(const gallery *s, tk_arena *own, tk_arena *a, tk_learned *out)
{
    sittings all = {0};
    TK_TRY(join_sittings(s, own, &all));
    TK_TRY(tk_clothes_learn(all.clothed, all.clothes, TK_STYLES, a, &out->clothes));
    return tk_lips_learn(all.sights, all.sight, all.sounds, all.sound, TK_STYLES, a, &out->lips);
}

// Shots of about a third of a second, of whole latent frames.
static tk_status open_gallery(const tk_config *c, const tk_codec *codec, tk_speech *speech,
                              gallery *s)
{
    const tk_codec_info info =
        codec ? *tk_codec_get_info(codec) : tk_codec_planned(&c->codec, &c->media);
    const int64_t latent = info.patch_frames > 0 ? info.patch_frames : 1;
    const int64_t frames = SHOTS * latent * ((c->media.fps + 3 * latent - 1) / (3 * latent));
    *s = (gallery){.config = c, .codec = codec, .speech = speech};
    s->world = (tk_world_config){.seconds = (double)frames / (double)c->media.fps,
                                 .max_shots = 1,
                                 .things = TK_SCENE_THINGS,
                                 .people = TK_SCENE_PEOPLE,
                                 .sets = TK_SETS,
                                 .styles = TK_STYLES,
                                 .held_out = TK_HELD_WITH};
    s->seed = tk_rng_u64(tk_rng_key((uint64_t)c->world.seed, TK_RNG_EXAMPLES, 0), 3);
    s->clips = 1 + 2 * c->eval.shown;
    return tk_grid_of(&info, "media", frames, c->media.height, c->media.width, TK_GRID_WHOLE,
                      &s->grid);
}

tk_status tk_learn_people(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_learned *out)
{
    gallery s;
    tk_arena own;
    TK_TRY(open_gallery(c, codec, speech, &s));
    tk_arena_init(&own, 0);
    s.sitting = tk_arena_alloc(&own, (size_t)s.clips * sizeof *s.sitting);
    tk_status st = s.sitting ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for sittings");
    for (int64_t i = 0; i < s.clips && st == TK_OK; i++) st = new_sitting(&s, &own, &s.sitting[i]);
    if (st == TK_OK) st = sit_all(&s);
    if (st == TK_OK) st = learn_from_sittings(&s, &own, a, out);
    tk_arena_free(&own);
    return st;
}
