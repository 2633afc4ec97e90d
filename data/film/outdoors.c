// SPDX-License-Identifier: Apache-2.0
// The street at night and the beach. Far layers move less than near ones as the camera pans.
#include "data/film/parts.h"
#include <math.h>

enum { HOUSES = 9 };

// A number in [0, 1) of two small integers: which windows are lit, how tall houses are.
static double chance(int a, int b)
{
    uint32_t h = (uint32_t)a * 0x9E3779B1u + (uint32_t)b * 0x85EBCA77u;
    h ^= h >> 15, h *= 0x2C1B3C6Du, h ^= h >> 12, h *= 0x297A2D39u, h ^= h >> 15;
    return h / 4294967296.0;
}

static void night_sky(tk_canvas *c)
{
    double left, right, low, high;
    tk_canvas_layer(c, 0.2);
    tk_canvas_seen(c, &left, &right, &low, &high);
    tk_paint_rect(c, left - 1, low - 1, right + 1, high + 1,
                  tk_fill_graded(tk_rgb_hex(0x38406a), tk_rgb_hex(0x10142e), 0, 0.6, 0, 3.0));
    tk_paint_ellipse(c, 1.15, 2.52, 0.55, 0.55, tk_fill_soft(tk_rgb_hex(0xbfc8ee), 0.25, 0.5));
    tk_paint_ellipse(c, 1.15, 2.52, 0.17, 0.17, tk_fill_flat(tk_rgb_hex(0xe8ebf6)));
    tk_canvas_layer(c, 0.5);
    for (int k = -HOUSES; k <= HOUSES; k++) { // a skyline far away
        const double x = 0.8 * k, high_ = 1.3 + 0.9 * chance(k, 7);
        tk_paint_rect(c, x, 0.2, x + 0.84, high_, tk_fill_flat(tk_rgb_hex(0x232848)));
        for (int w = 0; w < 4; w++)
            if (chance(k, w + 20) > 0.5)
                tk_paint_rect(c, x + 0.15 + 0.3 * (w & 1), 0.9 + 0.28 * (w / 2),
                              x + 0.25 + 0.3 * (w & 1), 1.04 + 0.28 * (w / 2),
                              (tk_fill){.colour = tk_rgb_hex(0xd8a95c), .alpha = 0.55f});
    }
}

// A house front of two storeys with lit and dark windows, door or shop below.
static void house_paint(tk_canvas *c, int k, bool reverse)
{
    static const uint32_t wall[2][3] = {{0x3b3550, 0x453a49, 0x2f3a50},
                                        {0x45403f, 0x363c46, 0x4a3b42}};
    const double x = 2.3 * k, gap = 0.08, top = 2.5 + 0.6 * chance(k, 3 + reverse);
    const tk_rgb base = tk_rgb_hex(wall[reverse][((k % 3) + 3) % 3]);
    tk_paint_rect(
        c, x + gap, TK_WALL_FOOT, x + 2.3 - gap, top,
        tk_fill_graded(base, tk_rgb_mix(base, tk_rgb_hex(0x14162a), 0.6), 0, 0.4, 0, 2.6));
    for (int w = 0; w < 2; w++) {
        const double l = x + 0.38 + 1.02 * w, low = 1.52;
        const bool lit = chance(k, w + 5) > 0.35;
        tk_paint_rect(c, l - 0.05, low - 0.05, l + 0.57, low + 0.65,
                      tk_fill_flat(tk_rgb_hex(0x1d1b2b)));
        tk_paint_rect(
            c, l, low, l + 0.52, low + 0.60,
            lit ? tk_fill_graded(tk_rgb_hex(0xffd88a), tk_rgb_hex(0xe09a45), l, low, l, low + 0.6)
                : tk_fill_flat(tk_rgb_hex(0x27304f)));
        tk_paint_rect(c, l + 0.235, low, l + 0.285, low + 0.60, tk_fill_flat(tk_rgb_hex(0x1d1b2b)));
    }
    if (reverse) { // a shop window with an awning
        tk_paint_rect(c, x + 0.35, 0.42, x + 1.95, 1.12,
                      tk_fill_graded(tk_rgb_hex(0xffe3a6), tk_rgb_hex(0xc9853e), 0, 0.4, 0, 1.1));
        tk_paint_rect(c, x + 1.12, 0.42, x + 1.18, 1.12, tk_fill_flat(tk_rgb_hex(0x2a2130)));
        for (int s = 0; s < 6; s++) {
            const double l = x + 0.26 + 0.30 * s;
            const double strip[4][2] = {
                {l + 0.06, 1.36}, {l + 0.33, 1.36}, {l + 0.30, 1.08}, {l, 1.08}};
            tk_paint_quad(c, strip, tk_fill_flat(tk_rgb_hex(s & 1 ? 0xb9b0a8 : 0x6e3a40)));
        }
    } else {
        tk_paint_rect(c, x + 0.92, TK_WALL_FOOT, x + 1.42, 1.18,
                      tk_fill_flat(tk_rgb_hex(0x241d2b)));
        tk_paint_rect(c, x + 0.98, TK_WALL_FOOT, x + 1.36, 1.10,
                      tk_fill_flat(tk_rgb_hex(0x4c3a35)));
    }
}

// Wet ground: darker than the walls, with what shines above drawn out below.
static void wet_ground(tk_canvas *c, bool reverse)
{
    double left, right, low, high;
    tk_canvas_layer(c, 0.95);
    tk_canvas_seen(c, &left, &right, &low, &high);
    tk_paint_rect(c, left - 1, low - 1, right + 1, TK_WALL_FOOT,
                  tk_fill_graded(tk_rgb_hex(0x33344a), tk_rgb_hex(0x20212f), 0, 0.25, 0, -0.7));
    tk_paint_rect(c, left - 1, 0.17, right + 1, TK_WALL_FOOT, tk_fill_flat(tk_rgb_hex(0x4a4a5e)));
    for (int k = -HOUSES; k <= HOUSES; k++) {
        const double x = 2.3 * k + 0.64, lamp = 3.4 * k + (reverse ? 1.5 : -1.1);
        for (int w = 0; w < 2; w++)
            if (chance(k, w + 5) > 0.35)
                tk_paint_ellipse(c, x + 1.02 * w, -0.15, 0.20, 0.42,
                                 tk_fill_soft(tk_rgb_hex(0xe09a45), 0.30, 0.25));
        tk_paint_ellipse(c, lamp, -0.2, 0.30, 0.55, tk_fill_soft(tk_rgb_hex(0xffdf9a), 0.55, 0.35));
    }
}

static void street_lamp(tk_canvas *c, double x)
{
    const tk_fill iron = tk_fill_flat(tk_rgb_hex(0x16161f));
    const double cone[4][2] = {{x - 0.1, 2.25}, {x + 0.1, 2.25}, {x + 0.95, 0.1}, {x - 0.95, 0.1}};
    tk_paint_quad(c, cone, (tk_fill){.colour = tk_rgb_hex(0xffdf9a), .alpha = 0.22f, .soft = 0.4f});
    tk_paint_line(c, x, 0.15, x, 2.3, 0.06, iron);
    tk_paint_rect(c, x - 0.09, 0.12, x + 0.09, 0.35, iron);
    tk_paint_ellipse(c, x, 2.36, 0.75, 0.75, tk_fill_soft(tk_rgb_hex(0xffdf9a), 0.50, 0.75));
    tk_paint_ellipse(c, x, 2.36, 0.13, 0.16, tk_fill_flat(tk_rgb_hex(0xfff4cf)));
    tk_paint_rect(c, x - 0.17, 2.50, x + 0.17, 2.56, iron);
}

void tk_street_paint(tk_canvas *c, const tk_moment *m)
{
    night_sky(c);
    tk_canvas_layer(c, 0.85);
    for (int k = -HOUSES; k <= HOUSES; k++) house_paint(c, k, m->reverse);
    wet_ground(c, m->reverse);
    for (int k = -HOUSES; k <= HOUSES; k++) street_lamp(c, 3.4 * k + (m->reverse ? 1.5 : -1.1));
}

// The beach: sky and clouds, dunes on the other side, sand, and the bank and bed of the water.
static void day_sky(tk_canvas *c)
{
    double left, right, low, high;
    tk_canvas_layer(c, 0.1);
    tk_canvas_seen(c, &left, &right, &low, &high);
    tk_paint_rect(c, left - 1, low - 1, right + 1, high + 1,
                  tk_fill_graded(tk_rgb_hex(0xd3e6ec), tk_rgb_hex(0x6fa9d6), 0, 0.6, 0, 2.9));
    tk_canvas_layer(c, 0.25);
    for (int k = -HOUSES; k <= HOUSES; k++) {
        const double x = 2.2 * k + 0.9 * chance(k, 1), y = 1.9 + 0.7 * chance(k, 2);
        const tk_fill white = {.colour = tk_rgb_hex(0xf4f7f8), .alpha = 0.9f, .soft = 0.05f};
        tk_paint_ellipse(c, x, y, 0.45, 0.10, white);
        tk_paint_ellipse(c, x - 0.12, y + 0.08, 0.20, 0.13, white);
        tk_paint_ellipse(c, x + 0.15, y + 0.06, 0.17, 0.10, white);
    }
}

static void dunes_paint(tk_canvas *c)
{
    tk_canvas_layer(c, 0.6);
    for (int k = -HOUSES; k <= HOUSES; k++) {
        const double x = 1.7 * k;
        tk_paint_ellipse(
            c, x, 0.15, 1.5, 0.55 + 0.35 * chance(k, 11),
            tk_fill_graded(tk_rgb_hex(0xb9a77e), tk_rgb_hex(0xd8c89c), 0, 0.2, 0, 1.0));
    }
    for (int k = -HOUSES; k <= HOUSES; k++) { // a beach hut
        const double x = 3.4 * k - 0.9;
        tk_paint_rect(c, x - 0.42, 0.45, x + 0.42, 1.25, tk_fill_flat(tk_rgb_hex(0xd9d4c4)));
        for (int s = 0; s < 3; s++)
            tk_paint_rect(c, x - 0.32 + 0.28 * s, 0.45, x - 0.20 + 0.28 * s, 1.25,
                          tk_fill_flat(tk_rgb_hex(0x8fa7ad)));
        const double roof[4][2] = {
            {x - 0.55, 1.22}, {x + 0.55, 1.22}, {x + 0.02, 1.62}, {x - 0.02, 1.62}};
        tk_paint_quad(c, roof, tk_fill_flat(tk_rgb_hex(0x7c5a50)));
        tk_paint_rect(c, x - 0.13, 0.45, x + 0.13, 1.00, tk_fill_flat(tk_rgb_hex(0x5d4a44)));
    }
}

// Sand: everywhere without water, down to the bed where there is water.
static void sand_paint(tk_canvas *c, const tk_scene *s)
{
    double left, right, low, high;
    tk_canvas_layer(c, 1);
    tk_canvas_seen(c, &left, &right, &low, &high);
    const tk_fill sand =
        tk_fill_graded(tk_rgb_hex(0xcdb98a), tk_rgb_hex(0xe6d7ae), 0, TK_WALL_FOOT, 0, -0.6);
    if (!(s->water_from < right + 2)) {
        tk_paint_rect(c, left - 1, low - 1, right + 1, TK_WALL_FOOT, sand);
        return;
    }
    const double w = s->water_from;
    const double bank[6][2] = {
        {left - 2, TK_WALL_FOOT}, {w - 0.25, TK_WALL_FOOT}, {w, 0.02},
        {w + 0.12, s->bed},       {w + 0.12, low - 1},      {left - 2, low - 1}};
    if (w > left - 2) {
        const tk_film_shape shape = tk_shape_polygon(6, bank, 0);
        tk_paint(c, &shape, &sand);
    }
    tk_paint_rect(
        c, w, low - 1, right + 1, s->bed,
        tk_fill_graded(tk_rgb_hex(0xa99a78), tk_rgb_hex(0x857a63), 0, s->bed, 0, s->bed - 0.4));
}

void tk_beach_paint(tk_canvas *c, const tk_moment *m)
{
    day_sky(c);
    if (m->reverse) dunes_paint(c);
    sand_paint(c, m->scene);
}

double tk_water_level(double x, double t)
{
    return 0.018 * sin(3.1 * x - 2.6 * t) + 0.010 * sin(7.3 * x + 3.9 * t);
}

// The far sea with rows of waves that come on.
void tk_beach_paint_sea(tk_canvas *c, const tk_moment *m)
{
    const double horizon = 0.78;
    double left, right, low, high;
    if (m->reverse) return;
    tk_canvas_layer(c, 0.3);
    tk_canvas_seen(c, &left, &right, &low, &high);
    tk_paint_rect(c, left - 1, TK_WALL_FOOT - 0.02, right + 1, horizon,
                  tk_fill_graded(tk_rgb_hex(0x78b3b8), tk_rgb_hex(0x3f7fa6), 0, 0.25, 0, horizon));
    for (int row = 0; row < 5; row++) {
        const double deep = fmod(row + 0.35 * m->t, 5) / 5, y = horizon - 0.02 - 0.46 * deep * deep;
        const double step = 0.35 + 0.75 * deep, drift = (0.12 + 0.2 * deep) * m->t + 0.37 * row;
        for (double x = floor((left - drift) / step) * step + drift; x < right + step; x += step)
            tk_paint_ellipse(c, x, y, 0.32 * step, 0.006 + 0.016 * deep,
                             (tk_fill){.colour = tk_rgb_hex(0xe3f1f0),
                                       .alpha = (float)(0.65 * fmin(1, 4 * deep)) * 0.9f});
    }
}

// Water in section: what is in it is seen through it, its surface moves.
void tk_water_paint(tk_canvas *c, const tk_moment *m)
{
    double left, right, low, high, corner[TK_CORNERS][2];
    const tk_scene *s = m->scene;
    tk_canvas_layer(c, 1);
    tk_canvas_seen(c, &left, &right, &low, &high);
    const double from = fmax(s->water_from, left - 0.5), to = right + 0.5;
    if (!(s->water_from < to)) return;
    const int n = TK_CORNERS - 2;
    for (int i = 0; i < n; i++) {
        corner[i][0] = from + (to - from) * i / (n - 1);
        corner[i][1] = tk_water_level(corner[i][0], m->t);
    }
    corner[n][0] = to, corner[n + 1][0] = from;
    corner[n][1] = corner[n + 1][1] = s->bed;
    const tk_film_shape water = tk_shape_polygon(n + 2, corner, 0);
    tk_fill fill = tk_fill_graded(tk_rgb_hex(0x5fb4bd), tk_rgb_hex(0x1f5f86), 0, 0, 0, s->bed);
    fill.alpha = 0.32f;
    tk_paint(c, &water, &fill);
    for (int i = 0; i + 1 < n; i++)
        tk_paint_line(c, corner[i][0], corner[i][1], corner[i + 1][0], corner[i + 1][1], 0.025,
                      (tk_fill){.colour = tk_rgb_hex(0xe9f7f6), .alpha = 0.85f});
}
