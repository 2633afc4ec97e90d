// SPDX-License-Identifier: Apache-2.0
// Balls, crates and balloons, the ramp, shadows on the ground, and what water throws up.
#include "data/film/parts.h"
#include <math.h>

// As named by tk_colour_name, far apart in every style that has colours.
const uint8_t tk_film_colour[TK_COLOURS][3] = {{218, 38, 38},  {244, 204, 26}, {38, 168, 66},
                                               {44, 206, 220}, {38, 74, 214},  {240, 98, 190}};

static tk_rgb times(tk_rgb c, float k)
{
    return (tk_rgb){tk_unit(c.r * k), tk_unit(c.g * k), tk_unit(c.b * k)};
}

// In black and white things are lighter than they would be, so that they stand out in the dark.
static tk_rgb thing_colour(const tk_canvas *c, const tk_thing *o)
{
    const tk_rgb colour = tk_rgb_of(tk_film_colour[o->colour]);
    const double pale = c->look->style == TK_STYLE_NOIR ? 0.28 : 0;
    return tk_rgb_mix(colour, (tk_rgb){1, 1, 1}, pale);
}

// A light ball has a white stripe, a heavy one a dark one: rolling is seen by it.
static void ball_paint(tk_canvas *c, const tk_thing *o, const tk_pose *p)
{
    const double r = o->radius, half = 0.20 * r;
    tk_fill f = tk_fill_lit(thing_colour(c, o), r);
    f.gloss = o->heavy ? 0.25f : 0.9f;
    f.pattern = TK_BANDED;
    f.other = tk_rgb_hex(o->heavy ? 0x2e2e34 : 0xf6f2ea);
    f.ax = (float)p->x, f.ay = (float)p->y;
    f.bx = (float)(p->x - half * sin(p->angle)), f.by = (float)(p->y + half * cos(p->angle));
    const tk_film_part part = {tk_shape_ellipse(p->x, p->y, r, r, 0), f};
    tk_paint_group(c, 1, &part);
}

// Light over a flat face: brighter towards the light.
static tk_fill face_fill(const tk_canvas *c, tk_rgb colour, double x, double y, double r)
{
    const double lx = (double)c->look->light[0] * r, ly = (double)c->look->light[1] * r;
    const float dark = c->look->style == TK_STYLE_NOIR ? 0.45f : 0.80f;
    return tk_fill_graded(times(colour, 1.12f), times(colour, dark), x + lx, y + ly, x - lx,
                          y - ly);
}

// Boards in a frame with one across; heavy ones have iron corners.
static void crate_paint(tk_canvas *c, const tk_thing *o, const tk_pose *p)
{
    const double r = o->radius, cosine = cos(p->angle), sine = sin(p->angle), w = 0.15 * r;
    const tk_rgb colour = thing_colour(c, o);
    const tk_film_part outer = {tk_shape_box(p->x, p->y, r, r, p->angle, 0.04 * r),
                                face_fill(c, colour, p->x, p->y, r)};
    tk_paint_group(c, 1, &outer);
    const tk_film_shape inner = tk_shape_box(p->x, p->y, r - 2 * w, r - 2 * w, p->angle, 0);
    const tk_fill planks = face_fill(c, times(colour, 0.70f), p->x, p->y, r);
    tk_paint(c, &inner, &planks);
    for (int k = -1; k <= 1; k += 2) { // joints between planks
        const double u = 0.24 * r * k, v = r - 2 * w;
        tk_paint_line(c, p->x + cosine * u + sine * v, p->y + sine * u - cosine * v,
                      p->x + cosine * u - sine * v, p->y + sine * u + cosine * v, 0.035 * r,
                      tk_fill_flat(times(colour, 0.45f)));
    }
    const double e = r - 2 * w, ux = cosine * e - sine * e, uy = sine * e + cosine * e;
    tk_paint_line(c, p->x - ux, p->y - uy, p->x + ux, p->y + uy, 1.5 * w,
                  face_fill(c, colour, p->x, p->y, r));
    for (int k = 0; o->heavy && k < 4; k++) {
        const double u = (k & 1 ? 1 : -1) * (r - w), v = (k & 2 ? 1 : -1) * (r - w);
        const tk_film_shape iron = tk_shape_box(p->x + cosine * u - sine * v,
                                                p->y + sine * u + cosine * v, w, w, p->angle, 0);
        const tk_fill grey = tk_fill_flat(tk_rgb_hex(0x35363c));
        tk_paint(c, &iron, &grey);
    }
}

static void balloon_paint(tk_canvas *c, const tk_thing *o, const tk_pose *p, double t)
{
    const double r = o->radius, foot = p->y - 1.04 * r;
    const tk_rgb colour = thing_colour(c, o);
    double x = p->x, y = foot - 0.10 * r;
    for (int k = 1; k <= 6; k++) { // the string hangs and sways
        const double nx = p->x + 0.07 * r * k * sin(0.9 * k - 2.2 * t) * 0.5,
                     ny = foot - 0.30 * r * k;
        tk_paint_line(c, x, y, nx, ny, 0.05 * r, tk_fill_flat(tk_rgb_hex(0xe9e4da)));
        x = nx, y = ny;
    }
    tk_fill skin = tk_fill_lit(colour, r);
    skin.gloss = 1;
    const double knot[3][2] = {{p->x, foot + 0.06 * r},
                               {p->x - 0.14 * r, foot - 0.12 * r},
                               {p->x + 0.14 * r, foot - 0.12 * r}};
    const tk_film_part part[2] = {
        {tk_shape_polygon(3, knot, 0), tk_fill_flat(times(colour, 0.75f))},
        {tk_shape_ellipse(p->x, p->y, 0.90 * r, 1.04 * r, 0), skin}};
    tk_paint_group(c, 2, part);
}

// Anime draws the way that a fast thing has come.
static void speed_lines(tk_canvas *c, const tk_moment *m, int thing, const tk_pose *p)
{
    const tk_pose before = tk_scene_thing_at(m->scene, thing, m->t - 0.04);
    const double dx = p->x - before.x, dy = p->y - before.y, far = hypot(dx, dy);
    if (c->look->style != TK_STYLE_ANIME || c->masking || !before.seen) return;
    if (far < 0.04 * 2.2 || far > 1) return; // slower than 2.2 m/s, or put elsewhere
    const double r = m->scene->thing[thing].radius, ux = dx / far, uy = dy / far;
    for (int k = -1; k <= 1; k++) {
        const double off = 0.62 * r * k, back = r * (k ? 0.9 : 1.15),
                     end = back + (k ? 2.2 : 3.2) * far;
        const tk_film_shape line =
            tk_shape_capsule(p->x - uy * off - ux * back, p->y + ux * off - uy * back, 0.022,
                             p->x - uy * off - ux * end, p->y + ux * off - uy * end, 0.004);
        const tk_fill white = {.colour = {1, 1, 1}, .alpha = 0.75f};
        tk_paint(c, &line, &white);
    }
}

void tk_thing_paint(tk_canvas *c, const tk_moment *m, int thing)
{
    const tk_thing *o = &m->scene->thing[thing];
    const tk_pose p = tk_scene_thing_at(m->scene, thing, m->t);
    if (!p.seen) return;
    speed_lines(c, m, thing, &p);
    if (o->kind == TK_BALL)
        ball_paint(c, o, &p);
    else if (o->kind == TK_CRATE)
        crate_paint(c, o, &p);
    else
        balloon_paint(c, o, &p, m->t);
}

void tk_ground_shadow(tk_canvas *c, const tk_scene *s, double x, double half_width, double above)
{
    if (x > s->water_from) return;
    const bool soft = c->look->style == TK_STYLE_NATURAL, noir = c->look->style == TK_STYLE_NOIR;
    const double high = above < 0 ? 0 : above;
    const double wide = half_width * (noir ? 1.5 : 1.12) * (1 + 0.18 * high);
    const double away = -(double)c->look->light[0] * (noir ? 0.9 : 0.35) * half_width - 0.10 * high;
    tk_fill f = tk_fill_flat((tk_rgb){0, 0, 0});
    f.alpha = (float)(0.9 / (1 + 1.3 * high));
    f.soft = soft ? (float)(0.16 * wide * (1 + high)) : 0;
    tk_paint_ellipse(c, x + away, 0.0, wide, (soft ? 0.30 : 0.20) * wide, f);
}

void tk_thing_shadow(tk_canvas *c, const tk_moment *m, int thing)
{
    const tk_thing *o = &m->scene->thing[thing];
    const tk_pose p = tk_scene_thing_at(m->scene, thing, m->t);
    if (p.seen) tk_ground_shadow(c, m->scene, p.x, o->radius, p.y - o->radius);
}

void tk_ramp_paint(tk_canvas *c, const tk_moment *m)
{
    const tk_scene *s = m->scene;
    if (!s->ramp) return;
    tk_canvas_layer(c, 1);
    const double corner[3][2] = {{s->ramp_x, 0}, {s->ramp_x, s->ramp_y}, {s->ramp_end, 0}};
    const tk_rgb wood = tk_rgb_hex(0x9a7a55), dark = tk_rgb_hex(0x5f4930);
    const tk_film_part side = {tk_shape_polygon(3, corner, 0),
                               tk_fill_graded(wood, dark, 0, s->ramp_y, 0, 0)};
    tk_paint_group(c, 1, &side);
    for (int k = 1; k < 4; k++) { // props
        const double x = s->ramp_x + (s->ramp_end - s->ramp_x) * k / 4.0;
        tk_paint_line(c, x, 0.01, x, s->ramp_y * (1 - k / 4.0) - 0.03, 0.03, tk_fill_flat(dark));
    }
    tk_paint_line(c, s->ramp_x, s->ramp_y - 0.025, s->ramp_end, -0.02, 0.05,
                  tk_fill_flat(tk_rgb_hex(0xc9a878)));
}

// Drops and rings of one splash, `dt` seconds after it.
static void splash_of(tk_canvas *c, const tk_scene_event *e, double dt, double size)
{
    const double strong = 0.45 + 0.55 * fmin(1, e->speed / 5), fade = 1 - dt / 0.9;
    const tk_rgb white = tk_rgb_hex(0xeaf7f8);
    for (int k = 0; k < 9; k++) { // thrown up and out, the outer ones lower
        const double u = (k - 4) / 4.0, vx = 0.9 * u * strong,
                     vy = (3.2 - 1.0 * fabs(u) + 0.4 * ((k * 5) % 3)) * strong;
        const double x = e->x + 0.7 * size * u + vx * dt, y = vy * dt - 0.5 * TK_GRAVITY * dt * dt;
        if (y > -0.02)
            tk_paint_ellipse(c, x, y, 0.22 * size * strong, 0.28 * size * strong,
                             (tk_fill){.colour = white, .alpha = 0.95f});
    }
    for (int k = 0; k < 2; k++) { // rings on the surface, seen from the side
        const double r = size + (1.5 - 0.5 * k) * dt;
        for (int side = -1; side <= 1; side += 2)
            tk_paint_ellipse(c, e->x + side * r, 0.01, 0.16, 0.045 * (1 - 0.3 * k),
                             (tk_fill){.colour = white, .alpha = (float)(0.9 * fade)});
    }
}

void tk_splash_paint(tk_canvas *c, const tk_moment *m)
{
    const tk_scene *s = m->scene;
    for (int i = 0; i < s->n_events; i++) {
        const tk_scene_event *e = &s->event[i];
        const double dt = m->t - e->t;
        if (e->kind == TK_EVENT_SPLASH && dt >= 0 && dt < 0.9)
            splash_of(c, e, dt, s->thing[e->thing].radius);
    }
}
