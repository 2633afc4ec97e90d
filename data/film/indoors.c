// SPDX-License-Identifier: Apache-2.0
// The room and the workshop: a wall with what hangs on it, a floor. Each has another wall for
// reverse shots. Colours are muted, so that people and things stand out.
#include "data/film/parts.h"
#include <math.h>

enum { REPEATS = 3 };            // walls repeat to either side
static const double again = 5.2; // metres after which they do

typedef struct tk_wall { // colours of a wall and the floor before it
    uint32_t high, low, skirting, far, near, seam;
} tk_wall;

// Wall and floor with seams running away from the camera.
static void wall_paint(tk_canvas *c, const tk_wall *w)
{
    double left, right, low, high;
    tk_canvas_layer(c, 0.92);
    tk_canvas_seen(c, &left, &right, &low, &high);
    const double foot = TK_WALL_FOOT;
    tk_paint_rect(c, left - 1, foot, right + 1, high + 1,
                  tk_fill_graded(tk_rgb_hex(w->low), tk_rgb_hex(w->high), 0, foot, 0, 2.6));
    tk_paint_rect(c, left - 1, low - 1, right + 1, foot,
                  tk_fill_graded(tk_rgb_hex(w->far), tk_rgb_hex(w->near), 0, foot, 0, -0.7));
    const tk_rgb seam = tk_rgb_hex(w->seam);
    for (double x = floor(left / 2) * 0.45 - 4; x < right + 4; x += 0.45) {
        const double down = -1.2, out = 1.9; // towards a point at eye height
        const double corner[4][2] = {{x - 0.006, foot},
                                     {x + 0.006, foot},
                                     {c->cx + (x - c->cx) * out + 0.02, down},
                                     {c->cx + (x - c->cx) * out - 0.02, down}};
        tk_paint_quad(c, corner, (tk_fill){.colour = seam, .alpha = 0.55f});
    }
    tk_paint_rect(c, left - 1, foot, right + 1, foot + 0.11, tk_fill_flat(tk_rgb_hex(w->skirting)));
    tk_paint_rect(c, left - 1, foot - 0.06, right + 1, foot + 0.03,
                  tk_fill_soft((tk_rgb){0, 0, 0}, 0.35, 0.06));
}

static void framed(tk_canvas *c, double left, double low, double right, double high, double frame,
                   uint32_t wood, tk_fill inside)
{
    tk_paint_rect(c, left - 0.02, low - 0.07, right + 0.06, high - 0.02,
                  tk_fill_soft((tk_rgb){0, 0, 0}, 0.30, 0.08)); // its shadow on the wall
    tk_paint_rect(c, left, low, right, high, tk_fill_flat(tk_rgb_hex(wood)));
    tk_paint_rect(c, left + frame, low + frame, right - frame, high - frame, inside);
}

static void window_paint(tk_canvas *c, double x)
{
    const double l = x - 0.62, r = x + 0.62, low = 0.95, high = 2.25;
    framed(c, l, low, r, high, 0.08, 0xf3eee2,
           tk_fill_graded(tk_rgb_hex(0xcfe3ee), tk_rgb_hex(0x8fbcdc), 0, 1.2, 0, 2.2));
    tk_paint_rect(c, l + 0.08, low + 0.08, r - 0.08, 1.30, tk_fill_flat(tk_rgb_hex(0x9fb78d)));
    tk_paint_ellipse(c, x + 0.25, 1.32, 0.22, 0.10, tk_fill_flat(tk_rgb_hex(0x88a57c)));
    tk_paint_rect(c, x - 0.03, low, x + 0.03, high, tk_fill_flat(tk_rgb_hex(0xf3eee2)));
    tk_paint_rect(c, l, 1.62, r, 1.68, tk_fill_flat(tk_rgb_hex(0xf3eee2)));
    tk_paint_rect(c, l - 0.10, low - 0.06, r + 0.10, low + 0.02,
                  tk_fill_flat(tk_rgb_hex(0xe6ddcb)));
    for (int side = -1; side <= 1; side += 2) { // curtains
        const double edge = x + side * 0.78, inner = x + side * 0.50;
        const double corner[4][2] = {
            {edge, 2.40}, {x + side * 0.36, 2.40}, {inner, 0.86}, {edge, 0.86}};
        tk_paint_quad(
            c, corner,
            tk_fill_graded(tk_rgb_hex(0xa88f86), tk_rgb_hex(0xc7b1a4), edge, 0, inner, 0));
    }
    tk_paint_line(c, x - 0.90, 2.42, x + 0.90, 2.42, 0.05, tk_fill_flat(tk_rgb_hex(0x5b4636)));
}

static void door_paint(tk_canvas *c, double x)
{
    framed(c, x - 0.50, TK_WALL_FOOT, x + 0.50, 2.30, 0.07, 0xd8d0bf,
           tk_fill_graded(tk_rgb_hex(0x7b5b43), tk_rgb_hex(0x8d6a4e), 0, 0.3, 0, 2.2));
    for (int k = 0; k < 2; k++)
        tk_paint_rect(c, x - 0.30, 0.50 + 0.92 * k, x + 0.30, 1.20 + 0.86 * k,
                      tk_fill_flat(tk_rgb_hex(0x6a4d38)));
    tk_paint_ellipse(c, x + 0.36, 1.22, 0.045, 0.045, tk_fill_lit(tk_rgb_hex(0xd9bd6b), 0.045));
}

static void picture_paint(tk_canvas *c, double x)
{
    framed(c, x - 0.34, 1.25, x + 0.34, 1.85, 0.06, 0x5a4231, tk_fill_flat(tk_rgb_hex(0xe9dfc8)));
    tk_paint_ellipse(c, x + 0.10, 1.62, 0.08, 0.08, tk_fill_flat(tk_rgb_hex(0xd7a45c)));
    const double hill[4][2] = {
        {x - 0.28, 1.31}, {x - 0.10, 1.58}, {x + 0.05, 1.40}, {x + 0.28, 1.31}};
    tk_paint_quad(c, hill, tk_fill_flat(tk_rgb_hex(0x7d8f86)));
}

static void shelf_paint(tk_canvas *c, double x, double y)
{
    static const uint32_t spine[7] = {0x8a5a4a, 0x6f7d6a, 0xb59a66, 0x5d6a80,
                                      0x9c8577, 0x7a5f74, 0xa39a7e};
    for (int k = 0; k < 7; k++) {
        const double l = x - 0.46 + 0.12 * k, high = y + 0.22 + 0.05 * ((k * 3) % 4);
        tk_paint_rect(c, l, y, l + 0.105, high, tk_fill_flat(tk_rgb_hex(spine[k])));
    }
    tk_paint_rect(c, x - 0.60, y - 0.06, x + 0.60, y, tk_fill_flat(tk_rgb_hex(0x5a4231)));
    tk_paint_rect(c, x - 0.60, y - 0.18, x + 0.60, y - 0.04,
                  tk_fill_soft((tk_rgb){0, 0, 0}, 0.28, 0.08));
}

void tk_room_paint(tk_canvas *c, const tk_moment *m)
{
    static const tk_wall front = {0xd6c6aa, 0xb9a483, 0xe8e0d0, 0x7a5334, 0xb07e50, 0x5f3f27},
                         other = {0xb3bba6, 0x929c86, 0xe0dccc, 0x6d4a30, 0xa4744a, 0x553923};
    wall_paint(c, m->reverse ? &other : &front);
    for (int k = -REPEATS; k <= REPEATS; k++) {
        const double x = again * k;
        if (m->reverse) {
            door_paint(c, x - 1.15);
            shelf_paint(c, x + 1.05, 1.45);
        } else {
            window_paint(c, x - 1.15);
            picture_paint(c, x + 1.15);
        }
    }
    if (m->reverse) return;
    for (int k = -REPEATS; k <= REPEATS; k++) { // the window's light on the floor
        const double x = again * k - 0.6;
        const double corner[4][2] = {
            {x - 0.5, 0.20}, {x + 0.5, 0.20}, {x + 0.9, -0.5}, {x - 0.4, -0.5}};
        tk_paint_quad(c, corner,
                      (tk_fill){.colour = {1, 0.93f, 0.75f}, .alpha = 0.30f, .soft = 0.12f});
    }
}

// Tools on a board, in outline: what they are can be seen from their shape.
static void tools_paint(tk_canvas *c, double x)
{
    const tk_fill steel = tk_fill_flat(tk_rgb_hex(0xaab0b4)),
                  wood = tk_fill_flat(tk_rgb_hex(0x8c5f35));
    framed(c, x - 1.05, 1.05, x + 1.05, 2.05, 0.05, 0x4d3f31, tk_fill_flat(tk_rgb_hex(0xb39a75)));
    tk_paint_line(c, x - 0.78, 1.22, x - 0.78, 1.75, 0.06, wood); // hammer
    tk_paint_rect(c, x - 0.94, 1.72, x - 0.62, 1.86, steel);
    const double blade[4][2] = {
        {x - 0.45, 1.88}, {x - 0.20, 1.88}, {x - 0.28, 1.32}, {x - 0.36, 1.32}};
    tk_paint_quad(c, blade, steel); // saw
    tk_paint_rect(c, x - 0.46, 1.18, x - 0.20, 1.36, wood);
    tk_paint_line(c, x + 0.12, 1.25, x + 0.12, 1.72, 0.08, steel); // wrench
    tk_paint_ellipse(c, x + 0.12, 1.80, 0.11, 0.11, steel);
    tk_paint_ellipse(c, x + 0.12, 1.85, 0.05, 0.07, tk_fill_flat(tk_rgb_hex(0xb39a75)));
    tk_paint_line(c, x + 0.48, 1.22, x + 0.48, 1.45, 0.10, wood); // screwdriver
    tk_paint_line(c, x + 0.48, 1.45, x + 0.48, 1.86, 0.035, steel);
    tk_paint_line(c, x + 0.80, 1.20, x + 0.80, 1.50, 0.06, wood); // brush
    tk_paint_rect(c, x + 0.72, 1.50, x + 0.88, 1.80, tk_fill_flat(tk_rgb_hex(0x5a4a3c)));
}

static void bench_paint(tk_canvas *c, double x)
{
    const tk_rgb wood = tk_rgb_hex(0x80592f), dark = tk_rgb_hex(0x4f3820);
    for (int side = -1; side <= 1; side += 2)
        tk_paint_rect(c, x + side * 1.05 - 0.07, 0.20, x + side * 1.05 + 0.07, 0.78,
                      tk_fill_flat(dark));
    tk_paint_rect(c, x - 1.1, 0.36, x + 1.1, 0.42, tk_fill_flat(dark));
    tk_paint_rect(c, x - 1.25, 0.60, x + 1.25, 0.76, tk_fill_soft((tk_rgb){0, 0, 0}, 0.35, 0.08));
    tk_paint_rect(c, x - 1.25, 0.74, x + 1.25, 0.84, tk_fill_graded(dark, wood, 0, 0.72, 0, 0.82));
    const tk_fill iron = tk_fill_flat(tk_rgb_hex(0x50565c));
    tk_paint_rect(c, x + 0.72, 0.84, x + 0.98, 0.98, iron); // vice
    tk_paint_rect(c, x + 0.66, 0.96, x + 0.80, 1.04, iron);
    tk_paint_rect(c, x + 0.90, 0.96, x + 1.04, 1.04, iron);
    tk_paint_rect(c, x - 0.95, 0.84, x - 0.65, 0.97, tk_fill_flat(tk_rgb_hex(0x9a8f6e))); // a tin
}

static void lamp_paint(tk_canvas *c, double x)
{
    const double cone[4][2] = {
        {x - 0.18, 2.30}, {x + 0.18, 2.30}, {x + 1.25, 0.3}, {x - 1.25, 0.3}};
    tk_paint_quad(c, cone, (tk_fill){.colour = {1, 0.86f, 0.55f}, .alpha = 0.20f, .soft = 0.35f});
    tk_paint_line(c, x, 2.5, x, 4, 0.03, tk_fill_flat(tk_rgb_hex(0x22201e)));
    const double shade[4][2] = {
        {x - 0.09, 2.52}, {x + 0.09, 2.52}, {x + 0.32, 2.28}, {x - 0.32, 2.28}};
    tk_paint_quad(c, shade, tk_fill_flat(tk_rgb_hex(0x3c5a4c)));
    tk_paint_ellipse(c, x, 2.27, 0.13, 0.07, tk_fill_flat(tk_rgb_hex(0xfff2c0)));
    tk_paint_ellipse(c, x, 2.25, 0.42, 0.36, tk_fill_soft((tk_rgb){1, 0.90f, 0.6f}, 0.45, 0.4));
}

static void bricks_paint(tk_canvas *c)
{
    double left, right, low, high;
    tk_canvas_seen(c, &left, &right, &low, &high);
    const tk_fill joint = {.colour = tk_rgb_hex(0x4c3d35), .alpha = 0.7f};
    int row = 0;
    for (double y = TK_WALL_FOOT + 0.11; y < 3.4; y += 0.26, row++) {
        if (y < low - 0.3 || y > high) continue;
        tk_paint_rect(c, left - 1, y - 0.012, right + 1, y + 0.012, joint);
        for (double x = floor(left / 0.6 - 1) * 0.6 + (row & 1 ? 0.3 : 0); x < right + 0.6;
             x += 0.6)
            tk_paint_rect(c, x - 0.012, y, x + 0.012, y + 0.26, joint);
    }
}

static void tins_paint(tk_canvas *c, double x)
{
    static const uint32_t paint[5] = {0x8d6f63, 0x6b7a70, 0x9b8b62, 0x646d82, 0x86707e};
    for (int row = 0; row < 2; row++) {
        const double y = 0.98 + 0.62 * row;
        for (int k = 0; k < 5; k++) {
            const double l = x - 0.68 + 0.29 * k;
            tk_paint_rect(
                c, l, y, l + 0.22, y + 0.28,
                tk_fill_graded(tk_rgb_hex(0xb9b9b4), tk_rgb_hex(0x73746f), l, 0, l + 0.22, 0));
            tk_paint_rect(c, l, y + 0.06, l + 0.22, y + 0.20,
                          tk_fill_flat(tk_rgb_hex(paint[(k + 2 * row) % 5])));
        }
        tk_paint_rect(c, x - 0.85, y - 0.07, x + 0.85, y, tk_fill_flat(tk_rgb_hex(0x4a3522)));
        tk_paint_rect(c, x - 0.85, y - 0.20, x + 0.85, y - 0.05,
                      tk_fill_soft((tk_rgb){0, 0, 0}, 0.30, 0.08));
    }
}

static void planks_paint(tk_canvas *c)
{
    double left, right, low, high;
    tk_canvas_seen(c, &left, &right, &low, &high);
    for (double x = floor(left / 0.38) * 0.38; x < right + 0.4; x += 0.38)
        tk_paint_rect(c, x - 0.010, TK_WALL_FOOT, x + 0.010, high + 1,
                      (tk_fill){.colour = tk_rgb_hex(0x3f362c), .alpha = 0.65f});
}

void tk_workshop_paint(tk_canvas *c, const tk_moment *m)
{
    static const tk_wall front = {0x7d7163, 0x5e5449, 0x463c32, 0x55534f, 0x86837c, 0x484643},
                         other = {0x8a6656, 0x6a4d42, 0x4c4039, 0x4f4d4a, 0x7e7b75, 0x434140};
    wall_paint(c, m->reverse ? &other : &front);
    if (m->reverse)
        bricks_paint(c);
    else
        planks_paint(c);
    for (int k = -REPEATS; k <= REPEATS; k++) {
        const double x = again * k;
        if (m->reverse) {
            tins_paint(c, x + 0.7);
        } else {
            tools_paint(c, x - 0.7);
            bench_paint(c, x - 0.6);
        }
        lamp_paint(c, x + (m->reverse ? -1.0 : 1.4));
    }
}
