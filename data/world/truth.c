// SPDX-License-Identifier: Apache-2.0
// The ground truth of the clips as plain tables (data/world/file.h lists them). Scenes are pure
// functions of their index, so they are made again here instead of being gathered.
#include "data/world/truth.h"
#include "core/store/h5.h"
#include <math.h>

typedef struct table { // columns of one group: integers first, then reals
    const char *group, *const *name;
    int integers, reals;
    int64_t n;
    int64_t *i[8];
    double *f[8];
} table;

static const char *const clip_names[] = {"index", "first_object", "objects", "first_contact",
                                         "contacts"};
static const char *const object_names[] = {"kind", "colour", "radius", "restitution",
                                           "x",    "y",      "vx",     "vy"};
static const char *const contact_names[] = {"object", "sample", "t", "speed"};
static const char *const shot_names[] = {"close", "fresh", "place", "cx", "cy", "span"};

typedef struct truth {
    const tk_config *c;
    int64_t frames;
    table clip, object, contact, shot;
    double *world, *pixel; // (objects, frames, 2)
} truth;

static tk_status allocate(table *t, tk_arena *a)
{
    for (int k = 0; k < t->integers; k++) TK_ARENA_NEW(t->i[k], a, t->n + 1);
    for (int k = 0; k < t->reals; k++) TK_ARENA_NEW(t->f[k], a, t->n + 1);
    t->n = 0;
    return TK_OK;
}

static void scene_of_clip(const truth *t, int64_t k, tk_stage *s)
{
    const tk_config *c = t->c;
    tk_world_scene(&c->world, &c->media, c->codec.patch_frames, (uint64_t)c->world.seed,
                   c->world.first + k, s);
}

static void add_object(truth *t, const tk_stage *s, int object)
{
    const tk_world_object *o = &s->object[object];
    int64_t k = t->object.n++;
    const tk_media_config *m = &t->c->media;
    double real[] = {o->radius, o->restitution, o->x, o->y, o->vx, o->vy};
    t->object.i[0][k] = o->kind, t->object.i[1][k] = o->colour;
    for (int r = 0; r < t->object.reals; r++) t->object.f[r][k] = real[r];
    for (int64_t f = 0; f < t->frames; f++) {
        double *w = t->world + 2 * (k * t->frames + f), *p = t->pixel + 2 * (k * t->frames + f);
        double at = (double)f / (double)m->fps;
        tk_world_position(s, object, at, &w[0], &w[1]);
        const tk_world_view v = tk_world_view_at(s, m->height, m->width, at);
        tk_world_project(&v, w[0], w[1], &p[0], &p[1]);
    }
}

static void add_scene(truth *t, const tk_stage *s)
{
    int64_t k = t->clip.n++;
    int64_t row[] = {s->index, t->object.n, s->n_objects, t->contact.n, s->n_contacts};
    for (int i = 0; i < t->clip.integers; i++) t->clip.i[i][k] = row[i];
    for (int i = 0; i < s->n_objects; i++) add_object(t, s, i);
    for (int i = 0; i < s->n_contacts; i++) {
        int64_t n = t->contact.n++;
        t->contact.i[0][n] = s->contact[i].object;
        t->contact.i[1][n] = llround(s->contact[i].t * (double)t->c->media.sample_rate);
        t->contact.f[0][n] = s->contact[i].t, t->contact.f[1][n] = s->contact[i].speed;
    }
    for (int i = 0; i < s->n_shots; i++) {
        const tk_world_shot *h = &s->shot[i];
        int64_t n = t->shot.n++;
        t->shot.i[0][n] = h->close, t->shot.i[1][n] = h->fresh, t->shot.i[2][n] = h->place;
        t->shot.f[0][n] = h->cx, t->shot.f[1][n] = h->cy, t->shot.f[2][n] = h->span;
    }
}

static tk_status write_table(hid_t at, const table *t)
{
    hid_t group;
    tk_status st = TK_OK;
    TK_TRY(tk_h5_group(at, t->group, &group));
    for (int k = 0; k < t->integers && st == TK_OK; k++)
        st = tk_h5_put(group, t->name[k], H5T_NATIVE_INT64, 1, &t->n, t->i[k]);
    for (int k = 0; k < t->reals && st == TK_OK; k++)
        st = tk_h5_put(group, t->name[t->integers + k], H5T_NATIVE_DOUBLE, 1, &t->n, t->f[k]);
    H5Gclose(group);
    return st;
}

static tk_status write_tables(hid_t group, const truth *t)
{
    int64_t dim[3] = {t->object.n, t->frames, 2};
    TK_TRY(tk_h5_put_attr_i64(group, "seed", t->c->world.seed));
    TK_TRY(tk_h5_put_attr_f64(group, "gravity", TK_WORLD_GRAVITY));
    TK_TRY(write_table(group, &t->clip));
    TK_TRY(write_table(group, &t->object));
    TK_TRY(write_table(group, &t->contact));
    TK_TRY(write_table(group, &t->shot));
    TK_TRY(tk_h5_put(group, "objects/world", H5T_NATIVE_DOUBLE, 3, dim, t->world));
    return tk_h5_put(group, "objects/pixel", H5T_NATIVE_DOUBLE, 3, dim, t->pixel);
}

static tk_status collect(truth *t, tk_arena *a)
{
    tk_stage s;
    for (int64_t k = 0; k < t->c->world.clips; k++) {
        scene_of_clip(t, k, &s);
        t->clip.n++;
        t->object.n += s.n_objects, t->contact.n += s.n_contacts, t->shot.n += s.n_shots;
    }
    TK_ARENA_NEW(t->world, a, t->object.n * t->frames * 2);
    TK_ARENA_NEW(t->pixel, a, t->object.n * t->frames * 2);
    TK_TRY(allocate(&t->clip, a));
    TK_TRY(allocate(&t->object, a));
    TK_TRY(allocate(&t->contact, a));
    TK_TRY(allocate(&t->shot, a));
    for (int64_t k = 0; k < t->c->world.clips; k++) {
        scene_of_clip(t, k, &s);
        add_scene(t, &s);
    }
    return TK_OK;
}

tk_status tk_world_write_truth(void *config, hid_t file)
{
    const tk_config *c = config;
    truth t = {.c = c,
               .frames = tk_world_frames(&c->world, &c->media, c->codec.patch_frames),
               .clip = {"clips", clip_names, 5, 0},
               .object = {"objects", object_names, 2, 6},
               .contact = {"contacts", contact_names, 2, 2},
               .shot = {"shots", shot_names, 3, 3}};
    tk_arena a;
    hid_t group;
    tk_arena_init(&a, 1 << 20);
    tk_status st = collect(&t, &a);
    if (st == TK_OK) st = tk_h5_group(file, "truth", &group);
    if (st == TK_OK) {
        st = write_tables(group, &t);
        H5Gclose(group);
    }
    tk_arena_free(&a);
    return st;
}
