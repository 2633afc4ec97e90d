// SPDX-License-Identifier: Apache-2.0
// Frames: backdrop, shadows, people, things, water, and what the style does to all of it.
#include "core/base/log.h"
#include "data/film/lines.h"
#include "data/film/people.h"
#include <math.h>
#include <string.h>

typedef struct tk_reel { // a film being drawn
    const tk_scene *scene;
    const tk_media_config *media;
    tk_look look;
    tk_film_lines lines;
    tk_canvas back, frame; // the still backdrop, and the frame at hand
    tk_view seen;          // from where `back` was drawn
    int shot;              // in which; -1: not yet
} tk_reel;

static void aim(tk_canvas *c, const tk_view *v)
{
    c->cx = c->eye_x = v->cx;
    c->cy = v->cy;
    c->per = v->pixels_per_metre;
}

// Hard light on the set: bars as through blinds indoors, one beam outdoors; the rest lies in the
// dark.
static void hard_light(tk_canvas *c, tk_set set)
{
    static const float dark[TK_SETS] = {0.47f, 1.15f, 0.50f, 1.00f},
                       bright[TK_SETS] = {0.95f, 2.10f, 1.00f, 1.75f};
    const bool inside = set == TK_SET_ROOM || set == TK_SET_WORKSHOP;
    const double slope = c->look->light[0] < 0 ? -0.16 : 0.16, again = 4.6, reach = 1.9;
    const tk_fill bar = {.alpha = 1, .soft = 0.03f};
    tk_canvas_layer(c, 0.92);
    tk_canvas_mask(c);
    for (int k = -3; k <= 3; k++) {
        const double x = again * k;
        for (double y = 0.85; inside && y < 2.6; y += 0.30) {
            const double from = x - reach, to = x + reach, low = y - slope * reach,
                         high = y + slope * reach;
            const double corner[4][2] = {
                {from, low}, {to, high}, {to, high + 0.15}, {from, low + 0.15}};
            tk_paint_quad(c, corner, bar);
        }
        const double lean = slope > 0 ? 1.9 : -1.9;
        const double beam[4][2] = {
            {x + lean, 3.6}, {x + lean + 0.7, 3.6}, {x + 1.6, -0.9}, {x - 0.6, -0.9}};
        if (!inside) tk_paint_quad(c, beam, bar);
    }
    tk_canvas_light(c, dark[set], bright[set]);
}

static void set_paint(tk_canvas *c, const tk_moment *m)
{
    static void (*const paint[TK_SETS])(tk_canvas *, const tk_moment *) = {
        tk_room_paint, tk_street_paint, tk_beach_paint, tk_workshop_paint};
    paint[m->scene->set](c, m);
    if (c->look->style == TK_STYLE_NOIR) hard_light(c, m->scene->set);
}

static void backdrop(tk_reel *r, const tk_moment *m, const tk_view *v, int shot)
{
    const size_t bytes = (size_t)(r->frame.width * r->frame.height) * 3 * sizeof(float);
    const bool still = shot == r->shot && r->seen.cx == v->cx && r->seen.cy == v->cy &&
                       r->seen.pixels_per_metre == v->pixels_per_metre;
    aim(&r->back, v);
    aim(&r->frame, v);
    if (!still) set_paint(&r->back, m);
    r->seen = *v;
    r->shot = shot;
    memcpy(r->frame.plane[0], r->back.plane[0], bytes);
    if (m->scene->set == TK_SET_BEACH) tk_beach_paint_sea(&r->frame, m);
    tk_canvas_layer(&r->frame, 1);
}

static tk_person figure_of(const tk_reel *r, int person, double t)
{
    tk_person f = {.who = tk_scene_character(r->scene, person),
                   .dressed = tk_scene_dressed(r->scene, person),
                   .body = tk_scene_body_at(r->scene, person, t),
                   .face = tk_scene_face_at(r->scene, person, t),
                   .t = t};
    f.mouth = tk_film_lines_mouth(&r->lines, r->scene, person, t);
    return f;
}

static void person_paint(tk_canvas *c, const tk_person *f)
{
    tk_head_paint_back(c, f);
    tk_arms_paint(c, f, false);
    tk_body_paint(c, f);
    tk_head_paint(c, f);
}

// Hard shadows on a wall near behind: silhouettes, away from the light.
static void wall_shadows(tk_canvas *c, const tk_moment *m, int n, const tk_person *figure)
{
    if (m->scene->set == TK_SET_BEACH) return;
    const double away = c->look->light[0] < 0 ? 0.42 : -0.42, cx = c->cx, cy = c->cy;
    tk_canvas_mask(c);
    c->cx = cx - away, c->cy = cy + 0.06;
    for (int i = 0; i < n; i++) {
        person_paint(c, &figure[i]);
        tk_arms_paint(c, &figure[i], true);
    }
    for (int i = 0; i < m->scene->n_things; i++) tk_thing_paint(c, m, i);
    c->cx = cx, c->cy = cy;
    tk_canvas_shade(c, 0.50f, (tk_rgb){0, 0, 0});
}

static void shadows(tk_canvas *c, const tk_moment *m, int n, const tk_person *figure)
{
    if (c->look->style == TK_STYLE_NOIR) wall_shadows(c, m, n, figure);
    tk_canvas_mask(c);
    for (int i = 0; i < n; i++)
        tk_ground_shadow(c, m->scene, figure[i].body.x, 0.17 * figure[i].who->height, 0);
    for (int i = 0; i < m->scene->n_things; i++) tk_thing_shadow(c, m, i);
    tk_canvas_shade(c, c->look->style == TK_STYLE_NOIR ? 0.85f : 0.55f,
                    (tk_rgb){0.10f, 0.08f, 0.16f});
}

static void frame_paint(tk_reel *r, double t)
{
    const tk_scene *s = r->scene;
    const int shot = tk_scene_shot_at(s, t);
    const tk_view v = tk_scene_view_at(s, r->media->height, r->media->width, t);
    const tk_moment m = {s, t, s->shot[shot].reverse};
    tk_canvas *c = &r->frame;
    tk_person figure[TK_SCENE_PEOPLE];
    const int64_t high = r->media->height, wide = r->media->width;
    if (shot != r->shot)
        r->look = tk_look_of(s->shot[shot].style, s->light, high < wide ? high : wide);
    for (int i = 0; i < s->n_people; i++) figure[i] = figure_of(r, i, t);
    backdrop(r, &m, &v, shot);
    tk_ramp_paint(c, &m);
    shadows(c, &m, s->n_people, figure);
    for (int i = 0; i < s->n_people; i++) person_paint(c, &figure[i]);
    for (int i = 0; i < s->n_things; i++) tk_thing_paint(c, &m, i);
    for (int i = 0; i < s->n_people; i++) tk_arms_paint(c, &figure[i], true);
    tk_water_paint(c, &m);
    tk_splash_paint(c, &m);
}

tk_status tk_film_render(const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                         int64_t frames, uint8_t *rgb)
{
    tk_reel r = {.scene = s, .media = m, .shot = -1};
    tk_arena arena;
    tk_arena_init(&arena, 0);
    tk_status status = tk_film_lines_make(s, speech, &arena, &r.lines);
    if (status == TK_OK) status = tk_canvas_new(&r.back, m->height, m->width);
    if (status == TK_OK) status = tk_canvas_new(&r.frame, m->height, m->width);
    r.back.look = r.frame.look = &r.look;
    for (int64_t i = 0; status == TK_OK && i < frames; i++) {
        tk_alive();
        frame_paint(&r, (double)i / (double)m->fps);
        tk_film_develop(&r.frame, s->seed, s->index, i, rgb + i * m->height * m->width * 3);
    }
    tk_canvas_free(&r.back);
    tk_canvas_free(&r.frame);
    tk_arena_free(&arena);
    return status;
}

tk_status tk_film_portrait(const tk_character *who, tk_style style, int64_t side, uint8_t *rgb)
{
    const double h = who->height, r = h / 6;
    const tk_look look = tk_look_of(style, -0.5, side);
    tk_canvas c = {0};
    TK_TRY(tk_canvas_new(&c, side, side));
    c.look = &look;
    c.cx = c.eye_x = 0;
    c.cy = h - 1.0 * r;
    c.per = (double)side / (3.1 * r);
    const tk_person f = {.who = who,
                         .dressed = who,
                         .body = {.stride = -1, .carries = -1, .line = -1},
                         .face = {.y = h - r,
                                  .half_width = 0.150 * h,
                                  .half_height = r,
                                  .mouth_y = h - 1.5 * r,
                                  .mouth_width = 0.120 * h},
                         .mouth = {.width = 0.5f}};
    tk_paint_rect(
        &c, -2, 0, 2, 4,
        tk_fill_graded(tk_rgb_hex(0x8d9299), tk_rgb_hex(0xc2c6ca), 0, c.cy - r, 0, c.cy + r));
    person_paint(&c, &f);
    tk_film_develop(&c, (uint64_t)who->voice, 0, 0, rgb);
    tk_canvas_free(&c);
    return TK_OK;
}
