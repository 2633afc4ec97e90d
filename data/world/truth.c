// SPDX-License-Identifier: Apache-2.0
// The ground truth of the clips as plain tables (data/world/file.h lists them). Scenes are pure
// functions of their index, so they are made again here instead of being gathered: once to count
// the rows, once to write them.
#include "data/world/truth.h"
#include "core/store/h5.h"
#include "data/scene/scene.h"
#include "data/speech/mouth.h"
#include "data/world/track.h"
#include <math.h>

enum { COLUMNS = 16 };

typedef struct table { // columns of one group: integers first, then reals
    const char *group, *const *name;
    int integers, reals;
    int64_t n;
    int64_t *i[COLUMNS];
    double *f[COLUMNS];
} table;

enum { CLIPS, THINGS, PEOPLE, SHOTS, LINES, EVENTS, TABLES };
static const char *const clip_names[] = {
    "index",        "set",    "style",      "ramp",       "first_thing", "things",
    "first_person", "people", "first_line", "lines",      "first_event", "events",
    "ramp_x",       "ramp_y", "ramp_end",   "water_from", "bed",         "light"};
static const char *const thing_names[] = {"kind",    "colour",      "heavy", "radius",
                                          "density", "restitution", "mass"};
static const char *const person_names[] = {"character", "voice",  "number", "named",
                                           "face",      "sample", "height"};
static const char *const shot_names[] = {
    "size",   "move", "reverse", "beat",    "outcome", "person",    "thing", "other", "place",
    "toward", "line", "style",   "from_cx", "from_cy", "from_span", "to_cx", "to_cy", "to_span"};
static const char *const line_names[] = {"person", "words",  "word_0", "word_1",
                                         "word_2", "sample", "begin",  "end"};
static const char *const event_names[] = {"kind", "of", "other", "sample", "t", "x", "speed"};

typedef struct truth {
    const tk_config *c;
    tk_speech *speech;
    const tk_world_cited *cited; // NULL: nobody is
    int64_t frames;
    table table[TABLES];
    tk_tracks tracks;
} truth;

static tk_status make_scene(const truth *t, int64_t k, tk_scene *s)
{
    const tk_config *c = t->c;
    return tk_scene_make(&c->world, &c->media, c->codec.patch_frames, t->speech,
                         (uint64_t)c->world.seed, c->world.first + k, s);
}

static void put_row(table *t, const int64_t *integer, const double *real)
{
    for (int k = 0; k < t->integers; k++) t->i[k][t->n] = integer[k];
    for (int k = 0; k < t->reals; k++) t->f[k][t->n] = real[k];
    t->n++;
}

static int64_t sample_of(const truth *t, double at)
{
    return llround(at * (double)t->c->media.sample_rate);
}

static void add_clip(truth *t, const tk_scene *s)
{
    const table *of = t->table;
    put_row(&t->table[CLIPS],
            (int64_t[]){s->index, s->set, s->shot[0].style, s->ramp, of[THINGS].n, s->n_things,
                        of[PEOPLE].n, s->n_people, of[LINES].n, s->n_lines, of[EVENTS].n,
                        s->n_events},
            (double[]){s->ramp_x, s->ramp_y, s->ramp_end, s->water_from, s->bed, s->light});
}

static void add_shots(truth *t, const tk_scene *s)
{
    for (int k = 0; k < s->n_shots; k++) {
        const tk_shot *h = &s->shot[k];
        const tk_camera *a = &h->from, *b = &h->to;
        put_row(&t->table[SHOTS],
                (int64_t[]){h->size, h->move, h->reverse, h->beat, h->outcome, h->person, h->thing,
                            h->other, h->place, h->toward, h->n_lines ? h->first_line : -1,
                            h->style},
                (double[]){a->cx, a->cy, a->span, b->cx, b->cy, b->span});
    }
}

static void add_lines(truth *t, const tk_scene *s)
{
    for (int k = 0; k < s->n_lines; k++) {
        const tk_scene_line *l = &s->line[k];
        int64_t row[] = {l->person, l->n, -1, -1, -1, sample_of(t, l->t)};
        for (int w = 0; w < l->n; w++) row[2 + w] = l->word[w];
        put_row(&t->table[LINES], row, (double[]){l->t, l->t + l->seconds});
    }
    for (int k = 0; k < s->n_events; k++) {
        const tk_scene_event *e = &s->event[k];
        put_row(&t->table[EVENTS], (int64_t[]){e->kind, e->thing, e->other, sample_of(t, e->t)},
                (double[]){e->t, e->x, e->speed});
    }
}

static tk_status add_person(truth *t, const tk_scene *s, int64_t k, int i)
{
    const tk_character *c = tk_scene_character(s, i);
    const tk_world_citing none = {.face = -1, .voice = -1},
                          *by = t->cited ? &t->cited->clip[k][i] : &none;
    TK_TRY(tk_track_person(&t->tracks, s, &t->c->media, t->speech, i, t->table[PEOPLE].n));
    put_row(&t->table[PEOPLE],
            (int64_t[]){s->person[i], c->voice, by->number, by->named, by->face, by->voice},
            (double[]){c->height});
    return TK_OK;
}

static tk_status add_scene(truth *t, const tk_scene *s, int64_t k)
{
    const tk_media_config *m = &t->c->media;
    add_clip(t, s);
    add_shots(t, s);
    add_lines(t, s);
    for (int i = 0; i < s->n_things; i++) {
        const tk_thing *o = &s->thing[i];
        tk_track_thing(&t->tracks, s, m, i, t->table[THINGS].n);
        put_row(&t->table[THINGS], (int64_t[]){o->kind, o->colour, o->heavy},
                (double[]){o->radius, o->density, o->restitution, o->mass});
    }
    for (int i = 0; i < s->n_people; i++) TK_TRY(add_person(t, s, k, i));
    return TK_OK;
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
    TK_TRY(tk_h5_put_attr_i64(group, "seed", t->c->world.seed));
    TK_TRY(tk_h5_put_attr_f64(group, "gravity", TK_GRAVITY));
    for (int k = 0; k < TABLES; k++) TK_TRY(write_table(group, &t->table[k]));
    return tk_tracks_write(&t->tracks, group, t->table[THINGS].n, t->table[PEOPLE].n);
}

static tk_status count_all(truth *t, tk_arena *a)
{
    tk_scene s;
    for (int64_t k = 0; k < t->c->world.clips; k++) {
        TK_TRY(make_scene(t, k, &s));
        const int64_t rows[TABLES] = {1, s.n_things, s.n_people, s.n_shots, s.n_lines, s.n_events};
        for (int n = 0; n < TABLES; n++) t->table[n].n += rows[n];
    }
    TK_TRY(tk_tracks_new(t->table[THINGS].n, t->table[PEOPLE].n, t->frames, a, &t->tracks));
    for (int n = 0; n < TABLES; n++) {
        table *of = &t->table[n];
        for (int k = 0; k < of->integers; k++) TK_ARENA_NEW(of->i[k], a, of->n + 1);
        for (int k = 0; k < of->reals; k++) TK_ARENA_NEW(of->f[k], a, of->n + 1);
        of->n = 0;
    }
    return TK_OK;
}

static tk_status collect(truth *t, tk_arena *a)
{
    tk_scene s;
    TK_TRY(count_all(t, a));
    for (int64_t k = 0; k < t->c->world.clips; k++) {
        TK_TRY(make_scene(t, k, &s));
        TK_TRY(add_scene(t, &s, k));
    }
    return TK_OK;
}

tk_status tk_world_write_truth(void *of, hid_t file)
{
    const tk_truth_of *clips = of;
    const tk_config *c = clips->config;
    truth t = {.c = c,
               .speech = clips->speech,
               .cited = clips->cited,
               .frames = tk_scene_frames(&c->world, &c->media, c->codec.patch_frames),
               .table = {{"clips", clip_names, 12, 6},
                         {"things", thing_names, 3, 4},
                         {"people", person_names, 6, 1},
                         {"shots", shot_names, 12, 6},
                         {"lines", line_names, 6, 2},
                         {"events", event_names, 4, 3}}};
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
