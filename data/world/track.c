// SPDX-License-Identifier: Apache-2.0
#include "data/world/track.h"
#include "core/store/h5.h"
#include "data/speech/mouth.h"
#include <math.h>
#include <stdio.h>

tk_status tk_tracks_new(int64_t things, int64_t people, int64_t frames, tk_arena *a, tk_tracks *t)
{
    t->frames = frames;
    TK_ARENA_NEW(t->place, a, things * frames * 3 + 1);
    TK_ARENA_NEW(t->pixel, a, things * frames * 2 + 1);
    TK_ARENA_NEW(t->head, a, people * frames * 4 + 1);
    TK_ARENA_NEW(t->mouth, a, people * frames * 4 + 1);
    TK_ARENA_NEW(t->open, a, people * frames + 1);
    TK_ARENA_NEW(t->feet, a, people * frames + 1);
    return TK_OK;
}

void tk_track_thing(tk_tracks *t, const tk_scene *s, const tk_media_config *m, int i, int64_t row)
{
    for (int64_t f = 0; f < t->frames; f++) {
        const double at = (double)f / (double)m->fps;
        double *w = t->place + 3 * (row * t->frames + f), *p = t->pixel + 2 * (row * t->frames + f);
        const tk_pose o = tk_scene_thing_at(s, i, at);
        const tk_view v = tk_scene_view_at(s, m->height, m->width, at);
        w[0] = o.seen ? o.x : NAN, w[1] = o.seen ? o.y : NAN, w[2] = o.seen ? o.angle : NAN;
        tk_scene_project(&v, w[0], w[1], &p[0], &p[1]);
    }
}

static void put_box(const tk_view *v, double x, double y, double half_width, double half_height,
                    double *box)
{
    tk_scene_project(v, x - half_width, y + half_height, &box[0], &box[1]);
    tk_scene_project(v, x + half_width, y - half_height, &box[2], &box[3]);
}

// The lines of person i, said again for their phones.
static tk_status say_again(const tk_scene *s, tk_speech *speech, int i, tk_arena *a, tk_line *said)
{
    for (int k = 0; k < s->n_lines; k++) {
        const tk_scene_line *l = &s->line[k];
        char text[128];
        size_t n = 0;
        if (l->person != i) continue;
        for (int w = 0; w < l->n; w++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s ", tk_word_text(l->word[w]));
        TK_TRY(tk_speak(speech, tk_scene_character(s, i)->voice, text, a, &said[k]));
    }
    return TK_OK;
}

static void track_face(tk_tracks *t, const tk_scene *s, const tk_media_config *m,
                       const tk_line *said, int i, int64_t row)
{
    for (int64_t f = 0; f < t->frames; f++) {
        const double at = (double)f / (double)m->fps;
        const int64_t n = row * t->frames + f;
        const tk_body b = tk_scene_body_at(s, i, at);
        const tk_face face = tk_scene_face_at(s, i, at);
        const tk_view v = tk_scene_view_at(s, m->height, m->width, at);
        t->feet[n] = b.x;
        t->open[n] =
            b.line < 0 ? 0 : (double)tk_mouth_at(&said[b.line], at - s->line[b.line].t).opening;
        put_box(&v, face.x, face.y, face.half_width, face.half_height, t->head + 4 * n);
        put_box(&v, face.mouth_x, face.mouth_y, 0.5 * face.mouth_width,
                0.32 * face.half_height * t->open[n], t->mouth + 4 * n);
    }
}

tk_status tk_track_person(tk_tracks *t, const tk_scene *s, const tk_media_config *m,
                          tk_speech *speech, int i, int64_t row)
{
    tk_line said[TK_SCENE_LINES] = {0};
    tk_arena a;
    tk_arena_init(&a, 0);
    const tk_status st = say_again(s, speech, i, &a, said);
    if (st == TK_OK) track_face(t, s, m, said, i, row);
    tk_arena_free(&a);
    return st;
}

static tk_status write_track(hid_t group, const char *name, int64_t rows, int64_t frames,
                             int64_t numbers, const double *x)
{
    const int64_t dim[3] = {rows, frames, numbers};
    return tk_h5_put(group, name, H5T_NATIVE_DOUBLE, numbers > 1 ? 3 : 2, dim, x);
}

tk_status tk_tracks_write(const tk_tracks *t, hid_t group, int64_t things, int64_t people)
{
    TK_TRY(write_track(group, "things/world", things, t->frames, 3, t->place));
    TK_TRY(write_track(group, "things/pixel", things, t->frames, 2, t->pixel));
    TK_TRY(write_track(group, "people/x", people, t->frames, 1, t->feet));
    TK_TRY(write_track(group, "people/head", people, t->frames, 4, t->head));
    TK_TRY(write_track(group, "people/mouth", people, t->frames, 4, t->mouth));
    return write_track(group, "people/open", people, t->frames, 1, t->open);
}
