// SPDX-License-Identifier: Apache-2.0
// Painting by signed distance. See data/film/paint.h. A line of pixels at a time: distances and
// directions to the edge, then colours, then the picture, each in a loop that vectorizes.
#include "data/film/paint.h"
#include <math.h>
#include <string.h>

enum { STRIP = 256 }; // pixels of a line painted together

// Of a strip of pixels: metres outside the edge (negative: inside), and the unit direction
// outwards.
typedef struct tk_strip {
    int n;
    float d[STRIP], gx[STRIP], gy[STRIP], x[STRIP], y;
} tk_strip;

tk_status tk_canvas_new(tk_canvas *c, int64_t height, int64_t width)
{
    *c = (tk_canvas){.width = width, .height = height, .per = 1};
    TK_NEW(c->plane[0], 4 * height * width);
    for (int k = 1; k < 4; k++) c->plane[k] = c->plane[0] + k * height * width;
    return TK_OK;
}

void tk_canvas_free(tk_canvas *c)
{
    tk_free(c->plane[0]);
    *c = (tk_canvas){0};
}

void tk_canvas_layer(tk_canvas *c, double near)
{
    c->cx = c->eye_x * near;
}

void tk_canvas_seen(const tk_canvas *c, double *left, double *right, double *low, double *high)
{
    const double w = 0.5 * (double)c->width / c->per, h = 0.5 * (double)c->height / c->per;
    *left = c->cx - w, *right = c->cx + w;
    *low = c->cy - h, *high = c->cy + h;
}

void tk_canvas_mask(tk_canvas *c)
{
    memset(c->plane[3], 0, (size_t)(c->width * c->height) * sizeof(float));
    c->masking = true;
}

void tk_canvas_shade(tk_canvas *c, float part, tk_rgb tint)
{
    const float keep[3] = {tint.r, tint.g, tint.b}, *mask = c->plane[3];
    c->masking = false;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < c->width * c->height; i++)
            c->plane[k][i] *= 1 - part * mask[i] * (1 - keep[k]);
}

void tk_canvas_light(tk_canvas *c, float dark, float bright)
{
    c->masking = false;
    for (int k = 0; k < 3; k++)
        for (int64_t i = 0; i < c->width * c->height; i++)
            c->plane[k][i] = tk_unit(c->plane[k][i] * (dark + (bright - dark) * c->plane[3][i]));
}

// Shapes ------------------------------------------------------------------------------------------

tk_film_shape tk_shape_rect(double left, double low, double right, double high)
{
    return (tk_film_shape){.kind = TK_RECT,
                           .x = {(float)(0.5 * (left + right)), (float)(0.5 * (right - left))},
                           .y = {(float)(0.5 * (low + high)), (float)(0.5 * (high - low))}};
}

tk_film_shape tk_shape_ellipse(double x, double y, double rx, double ry, double angle)
{
    return (tk_film_shape){.kind = TK_ELLIPSE,
                           .x = {(float)x, (float)fmax(rx, 1e-4)},
                           .y = {(float)y, (float)fmax(ry, 1e-4)},
                           .c = (float)cos(angle),
                           .s = (float)sin(angle)};
}

tk_film_shape tk_shape_capsule(double x0, double y0, double r0, double x1, double y1, double r1)
{
    return (tk_film_shape){.kind = TK_CAPSULE,
                           .x = {(float)x0, (float)x1},
                           .y = {(float)y0, (float)y1},
                           .r = {(float)r0, (float)r1}};
}

tk_film_shape tk_shape_polygon(int n, const double (*corner)[2], double round)
{
    tk_film_shape s = {
        .kind = TK_POLYGON, .n = n < TK_CORNERS ? n : TK_CORNERS, .r = {(float)round}};
    for (int i = 0; i < s.n; i++) {
        s.x[i] = (float)corner[i][0];
        s.y[i] = (float)corner[i][1];
    }
    return s;
}

tk_film_shape tk_shape_box(double x, double y, double half_width, double half_height, double angle,
                           double round)
{
    static const int side[4][2] = {{-1, -1}, {1, -1}, {1, 1}, {-1, 1}};
    const double c = cos(angle), s = sin(angle);
    double corner[4][2];
    for (int i = 0; i < 4; i++) {
        const double u = side[i][0] * (half_width - round), v = side[i][1] * (half_height - round);
        corner[i][0] = x + c * u - s * v;
        corner[i][1] = y + s * u + c * v;
    }
    return tk_shape_polygon(4, corner, round);
}

// What shape covers, metres.
static void shape_bounds(const tk_film_shape *s, float low[2], float high[2])
{
    if (s->kind == TK_RECT || s->kind == TK_ELLIPSE) {
        const float rx = s->x[1], ry = s->y[1];
        const float w =
            s->kind == TK_RECT ? rx : sqrtf(rx * rx * s->c * s->c + ry * ry * s->s * s->s);
        const float h =
            s->kind == TK_RECT ? ry : sqrtf(rx * rx * s->s * s->s + ry * ry * s->c * s->c);
        low[0] = s->x[0] - w, high[0] = s->x[0] + w;
        low[1] = s->y[0] - h, high[1] = s->y[0] + h;
        return;
    }
    const int n = s->kind == TK_CAPSULE ? 2 : s->n;
    const float r = s->kind == TK_CAPSULE ? fmaxf(s->r[0], s->r[1]) : s->r[0];
    low[0] = low[1] = 1e9f, high[0] = high[1] = -1e9f;
    for (int i = 0; i < n; i++) {
        low[0] = fminf(low[0], s->x[i] - r), high[0] = fmaxf(high[0], s->x[i] + r);
        low[1] = fminf(low[1], s->y[i] - r), high[1] = fmaxf(high[1], s->y[i] + r);
    }
}

static void rect_distance(const tk_film_shape *s, tk_strip *z)
{
    const float v = z->y - s->y[0], dv = fabsf(v) - s->y[1], up = v < 0 ? -1 : 1;
    for (int i = 0; i < z->n; i++) {
        const float u = z->x[i] - s->x[0], du = fabsf(u) - s->x[1];
        z->d[i] = du > dv ? du : dv;
        z->gx[i] = du > dv ? (u < 0 ? -1 : 1) : 0;
        z->gy[i] = du > dv ? 0 : up;
    }
}

static void ellipse_distance(const tk_film_shape *s, tk_strip *z)
{
    const float ix = 1 / s->x[1], iy = 1 / s->y[1], v = z->y - s->y[0];
    for (int i = 0; i < z->n; i++) {
        const float u = z->x[i] - s->x[0];
        const float a = (s->c * u + s->s * v) * ix, b = (s->c * v - s->s * u) * iy;
        const float far = sqrtf(a * a + b * b), ga = a * ix, gb = b * iy;
        const float steep = sqrtf(ga * ga + gb * gb) + 1e-9f;
        z->d[i] = far * (far - 1) / steep;
        z->gx[i] = (s->c * ga - s->s * gb) / steep;
        z->gy[i] = (s->s * ga + s->c * gb) / steep;
    }
}

static void capsule_distance(const tk_film_shape *s, tk_strip *z)
{
    const float ex = s->x[1] - s->x[0], ey = s->y[1] - s->y[0], v = z->y - s->y[0];
    const float per = 1 / (ex * ex + ey * ey + 1e-9f);
    for (int i = 0; i < z->n; i++) {
        const float u = z->x[i] - s->x[0];
        const float t = tk_unit((u * ex + v * ey) * per), a = u - t * ex, b = v - t * ey;
        const float far = sqrtf(a * a + b * b) + 1e-9f;
        z->d[i] = far - (s->r[0] + t * (s->r[1] - s->r[0]));
        z->gx[i] = a / far;
        z->gy[i] = b / far;
    }
}

static void polygon_distance(const tk_film_shape *s, tk_strip *z)
{
    float sign[STRIP];
    for (int i = 0; i < z->n; i++) z->d[i] = 1e18f, sign[i] = 1;
    for (int k = 0, j = s->n - 1; k < s->n; j = k++) {
        const float ex = s->x[j] - s->x[k], ey = s->y[j] - s->y[k], v = z->y - s->y[k];
        const float per = 1 / (ex * ex + ey * ey + 1e-12f);
        const bool above = v >= 0, below = z->y < s->y[j];
        for (int i = 0; i < z->n; i++) {
            const float u = z->x[i] - s->x[k];
            const float t = tk_unit((u * ex + v * ey) * per), a = u - t * ex, b = v - t * ey;
            const float far = a * a + b * b;
            const bool less = far < z->d[i];
            z->d[i] = less ? far : z->d[i];
            z->gx[i] = less ? a : z->gx[i];
            z->gy[i] = less ? b : z->gy[i];
            const bool left = ex * v > ey * u;
            sign[i] = above == below && below == left ? -sign[i] : sign[i];
        }
    }
    for (int i = 0; i < z->n; i++) {
        const float far = sqrtf(z->d[i]) + 1e-9f, out = sign[i] / far;
        z->d[i] = sign[i] * far - s->r[0];
        z->gx[i] *= out;
        z->gy[i] *= out;
    }
}

// Fills -------------------------------------------------------------------------------------------

tk_fill tk_fill_flat(tk_rgb colour)
{
    return (tk_fill){.colour = colour, .alpha = 1};
}

tk_fill tk_fill_lit(tk_rgb colour, double bevel)
{
    return (tk_fill){.colour = colour, .alpha = 1, .bevel = (float)bevel};
}

tk_fill tk_fill_soft(tk_rgb colour, double alpha, double soft)
{
    return (tk_fill){.colour = colour, .alpha = (float)alpha, .soft = (float)soft};
}

tk_fill tk_fill_graded(tk_rgb a, tk_rgb b, double ax, double ay, double bx, double by)
{
    return (tk_fill){.colour = a,
                     .other = b,
                     .ax = (float)ax,
                     .ay = (float)ay,
                     .bx = (float)bx,
                     .by = (float)by,
                     .alpha = 1,
                     .pattern = TK_GRADED};
}

// Part of each pixel that is covered, in place of distances.
static void strip_cover(tk_strip *z, const tk_fill *f, float per)
{
    // A soft edge lies inside the shape, so that nothing is seen of it outside.
    const float slope = f->soft > 0 ? 1 / (f->soft + 1 / per) : per;
    const float at = f->soft > 0 ? 0.5f / per : 0;
    for (int i = 0; i < z->n; i++) {
        float t = f->soft > 0 ? tk_unit((at - z->d[i]) * slope) : tk_unit(0.5f - z->d[i] * slope);
        z->d[i] = f->alpha * (f->soft > 0 ? t * t * (3 - 2 * t) : t);
    }
}

// Colours of the bare surface: r, g, b (n).
static void strip_colour(const tk_canvas *c, const tk_strip *z, const tk_fill *f, float *r,
                         float *g, float *b)
{
    if (f->pattern == TK_PLAIN) {
        for (int i = 0; i < z->n; i++) r[i] = f->colour.r, g[i] = f->colour.g, b[i] = f->colour.b;
        return;
    }
    const float ex = f->bx - f->ax, ey = f->by - f->ay, per = 1 / (ex * ex + ey * ey + 1e-12f);
    const float dr = f->other.r - f->colour.r, dg = f->other.g - f->colour.g,
                db = f->other.b - f->colour.b, v = (z->y - f->ay) * ey;
    float t[STRIP];
    if (f->pattern == TK_GRADED) {
        for (int i = 0; i < z->n; i++) t[i] = tk_unit(((z->x[i] - f->ax) * ex + v) * per);
        tk_look_grade(c->look, z->n, t);
    } else {
        const float half = sqrtf(ex * ex + ey * ey), sharp = (float)c->per;
        for (int i = 0; i < z->n; i++)
            t[i] = tk_unit(0.5f + (1 - fabsf(((z->x[i] - f->ax) * ex + v) * per)) * half * sharp);
    }
    for (int i = 0; i < z->n; i++) {
        r[i] = f->colour.r + dr * t[i];
        g[i] = f->colour.g + dg * t[i];
        b[i] = f->colour.b + db * t[i];
    }
}

// The surface turns away towards the edge: directions become normals.
static void strip_turn(tk_strip *z, float bevel)
{
    const float per = 1 / bevel;
    for (int i = 0; i < z->n; i++) {
        const float m = tk_unit(1 + z->d[i] * per);
        z->gx[i] *= m;
        z->gy[i] *= m;
    }
}

static void strip_blend(const tk_canvas *c, const tk_strip *z, const tk_fill *f, int64_t first)
{
    float *to = c->plane[3] + first;
    if (c->masking) {
        for (int i = 0; i < z->n; i++) to[i] = to[i] > z->d[i] ? to[i] : z->d[i];
        return;
    }
    float colour[3][STRIP];
    strip_colour(c, z, f, colour[0], colour[1], colour[2]);
    if (f->bevel > 0)
        tk_look_shade(c->look, z->n, z->gx, z->gy, f->gloss, colour[0], colour[1], colour[2]);
    for (int k = 0; k < 3; k++) {
        to = c->plane[k] + first;
        for (int i = 0; i < z->n; i++) to[i] += (colour[k][i] - to[i]) * z->d[i];
    }
}

static int64_t pixel_held(double x, int64_t low, int64_t high)
{
    return x < (double)low ? low : x > (double)high ? high : (int64_t)x;
}

// Paints shape widened by `wider` metres.
static void paint_wider(tk_canvas *c, const tk_film_shape *shape, const tk_fill *fill, float wider)
{
    static void (*const distance[])(const tk_film_shape *, tk_strip *) = {
        rect_distance, ellipse_distance, capsule_distance, polygon_distance};
    const double per = c->per, mx = 0.5 * (double)c->width, my = 0.5 * (double)c->height;
    float low[2], high[2];
    shape_bounds(shape, low, high);
    const double left = mx + ((double)(low[0] - wider) - c->cx) * per - 1,
                 right = mx + ((double)(high[0] + wider) - c->cx) * per + 2,
                 top = my - ((double)(high[1] + wider) - c->cy) * per - 1,
                 bottom = my - ((double)(low[1] - wider) - c->cy) * per + 2;
    const int64_t i0 = pixel_held(left, 0, c->width), i1 = pixel_held(right, 0, c->width),
                  j0 = pixel_held(top, 0, c->height), j1 = pixel_held(bottom, 0, c->height);
    tk_strip z;
    for (int64_t j = j0; j < j1; j++)
        for (int64_t i = i0; i < i1; i += STRIP) {
            z.n = i1 - i < STRIP ? (int)(i1 - i) : STRIP;
            z.y = (float)(c->cy - ((double)j + 0.5 - my) / per);
            for (int k = 0; k < z.n; k++)
                z.x[k] = (float)(c->cx + ((double)(i + k) + 0.5 - mx) / per);
            distance[shape->kind](shape, &z);
            if (wider != 0)
                for (int k = 0; k < z.n; k++) z.d[k] -= wider;
            if (fill->bevel > 0 && !c->masking) strip_turn(&z, fill->bevel);
            strip_cover(&z, fill, (float)per);
            strip_blend(c, &z, fill, j * c->width + i);
        }
}

void tk_paint(tk_canvas *c, const tk_film_shape *shape, const tk_fill *fill)
{
    paint_wider(c, shape, fill, 0);
}

void tk_paint_rect(tk_canvas *c, double left, double low, double right, double high, tk_fill fill)
{
    const tk_film_shape s = tk_shape_rect(left, low, right, high);
    tk_paint(c, &s, &fill);
}

void tk_paint_ellipse(tk_canvas *c, double x, double y, double rx, double ry, tk_fill fill)
{
    const tk_film_shape s = tk_shape_ellipse(x, y, rx, ry, 0);
    tk_paint(c, &s, &fill);
}

void tk_paint_line(tk_canvas *c, double x0, double y0, double x1, double y1, double width,
                   tk_fill fill)
{
    const tk_film_shape s = tk_shape_capsule(x0, y0, 0.5 * width, x1, y1, 0.5 * width);
    tk_paint(c, &s, &fill);
}

void tk_paint_quad(tk_canvas *c, const double corner[4][2], tk_fill fill)
{
    const tk_film_shape s = tk_shape_polygon(4, corner, 0);
    tk_paint(c, &s, &fill);
}

void tk_paint_group(tk_canvas *c, int n, const tk_film_part *part)
{
    static const tk_fill ink = {.colour = {0.09f, 0.07f, 0.13f}, .alpha = 1};
    const float wider = c->look->outline / (float)c->per;
    for (int i = 0; wider > 0 && !c->masking && i < n; i++)
        if (part[i].fill.alpha > 0.6f) paint_wider(c, &part[i].shape, &ink, wider);
    for (int i = 0; i < n; i++) paint_wider(c, &part[i].shape, &part[i].fill, 0);
}
