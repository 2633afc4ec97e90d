// SPDX-License-Identifier: Apache-2.0
// Heads: skull, hair, hats, glasses, beards, eyes that blink, and mouths as data/speech says them.
#include "data/film/people.h"
#include <math.h>

static const double lip = 0.065; // of half the head's height

typedef struct tk_head_frame {      // lengths of a head, and where its features have turned to
    double x, y, w, h, turn, front; // front: x of the middle of the face
    tk_rgb skin, hair, dark;
    bool anime;
} tk_head_frame;

static tk_head_frame head_frame(const tk_canvas *c, const tk_person *f)
{
    const tk_face *a = &f->face;
    return (tk_head_frame){.x = a->x,
                           .y = a->y,
                           .w = a->half_width,
                           .h = a->half_height,
                           .turn = f->body.turn,
                           .front = a->x + 0.40 * a->half_width * f->body.turn,
                           .skin = tk_rgb_of(f->who->skin),
                           .hair = tk_rgb_of(f->who->hair),
                           .dark = tk_rgb_hex(0x1c1216),
                           .anime = c->look->style == TK_STYLE_ANIME};
}

// Hair over the skull: an arc `wide` times the head from one temple over the crown to the other,
// and back along the hairline, which is highest in the middle by `arch` of the head.
static tk_film_shape cap_shape(const tk_head_frame *z, double wide, double temple, double line,
                               double arch)
{
    enum { OVER = 17, BACK = 9 };
    double corner[OVER + BACK][2];
    const double a0 = asin(temple / wide), lift = 0.02;
    for (int i = 0; i < OVER; i++) {
        const double a = a0 + (M_PI - 2 * a0) * i / (OVER - 1);
        corner[i][0] = z->x + wide * z->w * cos(a);
        corner[i][1] = z->y + (wide + lift) * z->h * sin(a);
    }
    for (int i = 0; i < BACK; i++) {
        const double u = -1 + 2.0 * (i + 0.5) / BACK, hx = z->x + 0.92 * u * z->w;
        const double v = (hx - z->front) / z->w; // the hairline turns with the face
        corner[OVER + i][0] = hx;
        corner[OVER + i][1] = z->y + z->h * (line + arch * (1 - fmin(1, v * v * 1.3)));
    }
    return tk_shape_polygon(OVER + BACK, corner, 0.02 * z->h);
}

void tk_head_paint_back(tk_canvas *c, const tk_person *f)
{
    const tk_head_frame z = head_frame(c, f);
    if (f->who->hair_style != 2) return;
    const double x = z.x - 0.10 * z.w * z.turn, r = 0.30 * z.w;
    const double corner[6][2] = {
        {x - 0.85 * z.w, z.y + 0.5 * z.h},  {x + 0.85 * z.w, z.y + 0.5 * z.h},
        {x + 0.98 * z.w, z.y - 0.6 * z.h},  {x + 0.85 * z.w, z.y - 1.20 * z.h},
        {x - 0.85 * z.w, z.y - 1.20 * z.h}, {x - 0.98 * z.w, z.y - 0.6 * z.h}};
    const tk_film_part part = {tk_shape_polygon(6, corner, r),
                               tk_fill_lit(tk_rgb_mix(z.hair, (tk_rgb){0, 0, 0}, 0.15), 0.4 * z.w)};
    tk_paint_group(c, 1, &part);
}

static void skull_paint(tk_canvas *c, const tk_head_frame *z)
{
    const tk_fill skin = tk_fill_lit(z->skin, 0.95 * z->w);
    tk_film_part part[3];
    int n = 0;
    for (int side = -1; side <= 1; side += 2) {
        const double hidden = side * z->turn; // the ear on the far side goes behind the head
        if (hidden > 0.6) continue;
        part[n++] = (tk_film_part){
            tk_shape_ellipse(z->x + side * 1.0 * z->w - 0.16 * z->w * z->turn, z->y - 0.05 * z->h,
                             0.15 * z->w, 0.19 * z->h, 0),
            tk_fill_lit(tk_rgb_mix(z->skin, (tk_rgb){0.5f, 0.1f, 0}, 0.12), 0.15 * z->w)};
    }
    part[n++] = (tk_film_part){tk_shape_ellipse(z->x, z->y, z->w, z->h, 0), skin};
    tk_paint_group(c, n, part);
    if (!z->anime) return;
    for (int side = -1; side <= 1; side += 2)
        tk_paint_ellipse(c, z->front + side * 0.58 * z->w * (1 - 0.2 * fabs(z->turn)),
                         z->y - 0.30 * z->h, 0.15 * z->w, 0.08 * z->h,
                         tk_fill_soft((tk_rgb){0.95f, 0.4f, 0.4f}, 0.45, 0.06 * z->w));
}

static void beard_paint(tk_canvas *c, const tk_head_frame *z, const tk_person *f)
{
    const double x = z->x, low = z->y - 1.08 * z->h, mx = f->face.mouth_x, my = f->face.mouth_y;
    const double corner[10][2] = {{x - 0.99 * z->w, z->y - 0.10 * z->h},
                                  {x - 0.86 * z->w, z->y - 0.58 * z->h},
                                  {x - 0.48 * z->w, low + 0.04 * z->h},
                                  {x, low - 0.02 * z->h},
                                  {x + 0.48 * z->w, low + 0.04 * z->h},
                                  {x + 0.86 * z->w, z->y - 0.58 * z->h},
                                  {x + 0.99 * z->w, z->y - 0.10 * z->h},
                                  {mx + 0.55 * z->w, my + 0.10 * z->h},
                                  {mx, my + 0.34 * z->h},
                                  {mx - 0.55 * z->w, my + 0.10 * z->h}};
    const tk_film_part part = {tk_shape_polygon(10, corner, 0.02 * z->h),
                               tk_fill_lit(z->hair, 0.3 * z->w)};
    tk_paint_group(c, 1, &part);
    // the skin round the lips, so that the mouth is read
    tk_paint_ellipse(c, mx, my, 0.47 * f->face.mouth_width + 0.12 * z->w, 0.24 * z->h,
                     tk_fill_flat(tk_rgb_mix(z->skin, (tk_rgb){0.3f, 0.1f, 0.1f}, 0.12)));
}

static void hair_paint(tk_canvas *c, const tk_head_frame *z, int style, bool hat)
{
    static const struct {
        double wide, temple, line, arch;
    } of[5] = {{1.02, 0.30, 0.46, 0.20},   // cropped
               {1.10, 0.02, 0.30, 0.20},   // short
               {1.12, -0.25, 0.28, 0.30},  // long
               {1.08, 0.00, 0.36, 0.22},   // bun
               {1.12, -0.05, 0.34, 0.16}}; // curls
    const tk_fill lit = tk_fill_lit(z->hair, 0.32 * z->w);
    tk_film_part part[12];
    int n = 0;
    if (style == 3 && !hat)
        part[n++] =
            (tk_film_part){tk_shape_ellipse(z->x - 0.25 * z->w * z->turn, z->y + 1.20 * z->h,
                                            0.42 * z->w, 0.36 * z->h, 0),
                           lit};
    for (int k = 0; style == 4 && k < 9; k++) {
        const double a = (-0.08 + 1.16 * k / 8.0) * M_PI, r = 0.30 * z->w;
        if (hat && sin(a) > 0.5) continue;
        part[n++] =
            (tk_film_part){tk_shape_ellipse(z->x + 1.04 * z->w * cos(a),
                                            z->y + 0.98 * z->h * sin(a) + 0.08 * z->h, r, r, 0),
                           tk_fill_lit(z->hair, r)};
    }
    part[n++] = (tk_film_part){
        cap_shape(z, of[style].wide, of[style].temple, of[style].line, of[style].arch), lit};
    tk_paint_group(c, n, part);
}

static void hat_paint(tk_canvas *c, const tk_head_frame *z, const tk_person *f)
{
    const tk_rgb cloth = tk_rgb_of(f->who->top), dark = tk_rgb_mix(cloth, (tk_rgb){0, 0, 0}, 0.30);
    const double y = z->y + 0.42 * z->h, dir = fabs(z->turn) < 0.3 ? 0 : z->turn;
    if (f->who->hat == 1) { // a cap: a dome and a peak towards where the face looks
        tk_film_part part[2] = {
            {cap_shape(z, 1.16, 0.42, 0.42, 0.02), tk_fill_lit(cloth, 0.5 * z->w)},
            {tk_shape_ellipse(z->x + 0.85 * z->w * dir, y, z->w * (0.85 - 0.15 * fabs(dir)),
                              0.13 * z->h, 0),
             tk_fill_lit(dark, 0.12 * z->h)}};
        tk_paint_group(c, 2, part);
        return;
    }
    const double corner[4][2] = {{z->x - 0.82 * z->w, y},
                                 {z->x + 0.82 * z->w, y},
                                 {z->x + 0.62 * z->w, y + 0.72 * z->h},
                                 {z->x - 0.62 * z->w, y + 0.72 * z->h}};
    const double band[4][2] = {{z->x - 0.88 * z->w, y},
                               {z->x + 0.88 * z->w, y},
                               {z->x + 0.83 * z->w, y + 0.24 * z->h},
                               {z->x - 0.83 * z->w, y + 0.24 * z->h}};
    tk_film_part part[3] = {
        {tk_shape_polygon(4, corner, 0.12 * z->w), tk_fill_lit(cloth, 0.5 * z->w)},
        {tk_shape_polygon(4, band, 0), tk_fill_flat(tk_rgb_mix(cloth, (tk_rgb){0, 0, 0}, 0.6))},
        {tk_shape_ellipse(z->x, y, 1.55 * z->w, 0.15 * z->h, 0), tk_fill_lit(cloth, 0.14 * z->h)}};
    tk_paint_group(c, 3, part);
}

static void eye_paint(tk_canvas *c, const tk_head_frame *z, const tk_person *f, double x,
                      double narrow)
{
    const double y = z->y + 0.04 * z->h, open = 1 - 0.92 * f->body.blink;
    const double rx = (z->anime ? 0.24 : 0.205) * z->w * narrow,
                 ry = (z->anime ? 0.30 : 0.185) * z->h * open;
    const double look = 0.30 * rx * z->turn;
    tk_paint_ellipse(c, x, y, rx, ry, tk_fill_flat(tk_rgb_hex(0xfaf8f4)));
    if (z->anime) {
        const tk_rgb iris = tk_rgb_mix(z->hair, tk_rgb_hex(0x3f6fb0), 0.6);
        tk_paint_ellipse(c, x + look, y - 0.05 * ry, 0.72 * rx, 0.88 * ry, tk_fill_flat(iris));
        tk_paint_ellipse(c, x + look, y + 0.10 * ry, 0.50 * rx, 0.62 * ry, tk_fill_flat(z->dark));
        tk_paint_ellipse(c, x + look - 0.25 * rx, y + 0.40 * ry, 0.24 * rx, 0.22 * ry,
                         tk_fill_flat(tk_rgb_hex(0xffffff)));
        tk_paint_line(c, x - rx, y + 0.75 * ry, x + rx, y + 0.75 * ry, 0.10 * z->h,
                      tk_fill_flat(z->dark));
    } else {
        tk_paint_ellipse(c, x + look, y - 0.04 * ry, 0.66 * rx, fmin(0.74 * rx, ry),
                         tk_fill_flat(z->dark));
        tk_paint_ellipse(c, x + look + 0.22 * rx, y + 0.30 * ry, 0.20 * rx, 0.20 * ry,
                         tk_fill_flat(tk_rgb_hex(0xffffff)));
        tk_paint_line(c, x - rx, y + 0.92 * ry, x + rx, y + 0.92 * ry, 0.05 * z->h,
                      tk_fill_flat(tk_rgb_mix(z->skin, z->dark, 0.65)));
    }
    tk_paint_line(c, x - 1.1 * rx, y + 0.30 * z->h, x + 1.1 * rx, y + 0.32 * z->h, 0.065 * z->h,
                  tk_fill_flat(tk_rgb_mix(z->hair, z->dark, 0.35)));
}

static void features_paint(tk_canvas *c, const tk_head_frame *z, const tk_person *f)
{
    const double apart = 0.42 * z->w, squeeze = 0.28 * fabs(z->turn);
    for (int side = -1; side <= 1; side += 2) {
        const double far = side * z->turn > 0 ? squeeze : 0.3 * squeeze;
        eye_paint(c, z, f, z->front + side * apart * (1 - far), 1 - far);
    }
    const double nx = z->front + 0.14 * z->w * z->turn, ny = z->y - 0.18 * z->h;
    const tk_rgb shade = tk_rgb_mix(z->skin, tk_rgb_hex(0x6a2a1a), 0.38);
    if (z->anime)
        tk_paint_line(c, nx, ny, nx + 0.04 * z->w, ny - 0.04 * z->h, 0.04 * z->h,
                      tk_fill_flat(shade));
    else
        tk_paint_ellipse(c, nx, ny, 0.10 * z->w, 0.075 * z->h, tk_fill_flat(shade));
    if (!f->who->glasses) return;
    const tk_fill frame = tk_fill_flat(tk_rgb_hex(0x17171c));
    for (int side = -1; side <= 1; side += 2) {
        const double far = side * z->turn > 0 ? squeeze : 0.3 * squeeze;
        const double x = z->front + side * apart * (1 - far), y = z->y + 0.04 * z->h,
                     r = 0.34 * z->w * (1 - far);
        for (int k = 0; k < 16; k++) { // a ring
            const double a = k * M_PI / 8, b = (k + 1) * M_PI / 8;
            tk_paint_line(c, x + r * cos(a), y + 0.34 * z->h * sin(a), x + r * cos(b),
                          y + 0.34 * z->h * sin(b), 0.055 * z->h, frame);
        }
        tk_paint_line(c, x + side * r, y + 0.05 * z->h, z->x + side * 0.98 * z->w, y + 0.08 * z->h,
                      0.05 * z->h, frame);
    }
    tk_paint_line(c, z->front - 0.10 * z->w, z->y + 0.06 * z->h, z->front + 0.10 * z->w,
                  z->y + 0.06 * z->h, 0.05 * z->h, frame);
}

void tk_mouth_paint(tk_canvas *c, const tk_person *f)
{
    const tk_head_frame z = head_frame(c, f);
    const tk_mouth *m = &f->mouth;
    const double wide =
        m->width < 0.5f ? 0.64 + 0.72 * (double)m->width : 0.82 + 0.36 * (double)m->width;
    const double rx = 0.5 * f->face.mouth_width * wide, ry = 0.42 * z.h * (double)m->opening;
    const double x = f->face.mouth_x, y = f->face.mouth_y, thick = lip * z.h;
    const tk_rgb red = tk_rgb_mix(z.skin, tk_rgb_hex(0xc24a58), z.anime ? 0.40 : 0.55);
    if (ry < 0.05 * z.h) { // lips that are closed: a line whose corners lie higher
        const double rise = 0.10 * z.h * (1 - ry / (0.05 * z.h));
        double at[5][2];
        for (int k = 0; k < 5; k++) {
            const double u = 0.5 * k - 1;
            at[k][0] = x + u * rx;
            at[k][1] = y - 0.4 * rise + rise * u * u;
        }
        for (int pass = 0; pass < 2; pass++)
            for (int k = 0; k < 4; k++)
                tk_paint_line(c, at[k][0], at[k][1], at[k + 1][0], at[k + 1][1],
                              pass ? 2 * fmax(ry, 0.030 * z.h) : 2 * (ry + thick),
                              tk_fill_flat(pass ? tk_rgb_hex(0x16050a) : red));
        return;
    }
    tk_paint_ellipse(c, x, y, rx + 0.4 * thick, ry + thick, tk_fill_flat(red));
    tk_fill inside = tk_fill_flat(tk_rgb_hex(0x16050a));
    if (m->teeth > 0.15f) { // a band below the upper lip
        inside.pattern = TK_BANDED;
        inside.other = tk_rgb_hex(0xf4efe6);
        inside.ax = inside.bx = (float)x, inside.ay = (float)(y + ry);
        inside.by = (float)(y + ry * (1 - 0.36 * (double)m->teeth));
    }
    tk_paint_ellipse(c, x, y, rx, ry, inside);
    if (m->tongue > 0.2f && ry > 0.08 * z.h)
        tk_paint_ellipse(c, x, y - 0.55 * ry, 0.55 * rx, 0.36 * ry * (double)m->tongue,
                         tk_fill_flat(tk_rgb_hex(0x7a2a36)));
}

void tk_head_paint(tk_canvas *c, const tk_person *f)
{
    const tk_head_frame z = head_frame(c, f);
    skull_paint(c, &z);
    if (c->masking) {
        hair_paint(c, &z, f->who->hair_style, f->who->hat > 0);
        if (f->who->hat) hat_paint(c, &z, f);
        return;
    }
    if (f->who->beard) beard_paint(c, &z, f);
    features_paint(c, &z, f);
    tk_mouth_paint(c, f);
    hair_paint(c, &z, f->who->hair_style, f->who->hat > 0);
    if (f->who->hat) hat_paint(c, &z, f);
}
