// SPDX-License-Identifier: Apache-2.0
// Painting in metres: shapes known by their signed distance, so that edges are smooth at any size
// and a shape's centre lies where it is said to lie. Internal to data/film.
//
// Shapes are painted one over the other. What a colour becomes under the light depends on the style
// (data/film/look.h), so that the same figure is drawn with soft light, hard light or outlines.
#pragma once
#include "core/base/mem.h"
#include "data/film/look.h"

enum { TK_CORNERS = 48 };
typedef enum tk_outline { TK_RECT, TK_ELLIPSE, TK_CAPSULE, TK_POLYGON } tk_outline;
typedef struct tk_film_shape {
    tk_outline kind;
    int n;
    float x[TK_CORNERS], y[TK_CORNERS]; // rect, ellipse: centre, radii; capsule: two ends
    float c, s;                         // of an ellipse's angle
    float r[2];                         // of a capsule's ends; a polygon is widened by r[0]
} tk_film_shape;

typedef enum tk_pattern {
    TK_PLAIN,  // `colour`
    TK_GRADED, // from `colour` at a to `other` at b
    TK_BANDED  // `other` in a band through a, which is as wide as twice the way to b and along it
} tk_pattern;
typedef struct tk_fill {
    tk_pattern pattern;
    tk_rgb colour, other;
    float ax, ay, bx, by; // metres
    float alpha;
    float soft;  // metres over which the edge fades; 0: as sharp as pixels allow
    float bevel; // metres from the edge within which the surface turns away; 0: it is not lit
    float gloss; // 0 dull .. 1
} tk_fill;
typedef struct tk_film_part {
    tk_film_shape shape;
    tk_fill fill;
} tk_film_part;

// A picture under way. A point (x, y) of a layer shows at
// (width / 2 + (x - cx) * per, height / 2 - (y - cy) * per).
typedef struct tk_canvas {
    int64_t width, height;
    float *plane[4]; // red, green, blue in [0, 1], and a mask: (height, width) each
    double cx, cy, per;
    double eye_x; // where the camera is: layers behind the plane move less than it
    bool masking; // shapes are gathered in the mask instead of being painted
    const tk_look *look;
} tk_canvas;

tk_status tk_canvas_new(tk_canvas *c, int64_t height, int64_t width); // the caller frees it
void tk_canvas_free(tk_canvas *c);
// From here on a layer is painted that moves `near` times as much as the plane as the camera pans.
void tk_canvas_layer(tk_canvas *c, double near);
// What can be seen of the layer, metres.
void tk_canvas_seen(const tk_canvas *c, double *left, double *right, double *low, double *high);
void tk_canvas_mask(tk_canvas *c); // an empty mask, into which is painted until tk_canvas_shade
// The mask's shadow falls on the picture: `part` of the light goes, `tint` stays.
void tk_canvas_shade(tk_canvas *c, float part, tk_rgb tint);
void tk_canvas_light(tk_canvas *c, float dark,
                     float bright); // by so much, where the mask is 0 or 1

tk_film_shape tk_shape_rect(double left, double low, double right, double high);
tk_film_shape tk_shape_ellipse(double x, double y, double rx, double ry, double angle);
tk_film_shape tk_shape_capsule(double x0, double y0, double r0, double x1, double y1, double r1);
// Corners (x, y) in turn, rounded and widened by `round`.
tk_film_shape tk_shape_polygon(int n, const double (*corner)[2], double round);
tk_film_shape tk_shape_box(double x, double y, double half_width, double half_height, double angle,
                           double round);

tk_fill tk_fill_flat(tk_rgb colour);
tk_fill tk_fill_lit(tk_rgb colour, double bevel); // by the scene's light
tk_fill tk_fill_soft(tk_rgb colour, double alpha, double soft);
tk_fill tk_fill_graded(tk_rgb a, tk_rgb b, double ax, double ay, double bx, double by);

void tk_paint(tk_canvas *c, const tk_film_shape *shape, const tk_fill *fill);
void tk_paint_rect(tk_canvas *c, double left, double low, double right, double high, tk_fill fill);
void tk_paint_ellipse(tk_canvas *c, double x, double y, double rx, double ry, tk_fill fill);
void tk_paint_line(tk_canvas *c, double x0, double y0, double x1, double y1, double width,
                   tk_fill fill);
void tk_paint_quad(tk_canvas *c, const double corner[4][2], tk_fill fill);
// Parts in turn; styles with outlines draw one round all of them first.
void tk_paint_group(tk_canvas *c, int n, const tk_film_part *part);
