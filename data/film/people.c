// SPDX-License-Identifier: Apache-2.0
// Bodies: legs by the stride, arms that swing, hang or carry, a trunk that breathes. Lengths are
// parts of a person's height; a head is a third of it.
#include "data/film/people.h"
#include <math.h>

static const double hip = 0.325, shoulder = 0.615;

// Where the body's axis is at a height, lifted and lowered with the head.
static double bob_of(const tk_person *f)
{
    return f->face.y - (f->who->height - f->face.half_height);
}

static double body_width(const tk_person *f) // narrower from the side
{
    return f->who->height * (1 - 0.28 * fabs(f->body.turn));
}

// The joint between two limbs of equal length from a to b, bent towards `bend`.
static void joint(const double a[2], const double b[2], double length, double bend, double out[2])
{
    const double dx = b[0] - a[0], dy = b[1] - a[1], far = hypot(dx, dy);
    const double rest = length * length - 0.25 * far * far, off = rest > 0 ? sqrt(rest) : 0;
    out[0] = 0.5 * (a[0] + b[0]) - bend * off * dy / (far + 1e-9);
    out[1] = 0.5 * (a[1] + b[1]) + bend * off * dx / (far + 1e-9);
}

// Ankle of leg k (0 or 1): on the ground and going back while the body goes over it, then lifted
// and carried forward. Feet are TK_STEP_LENGTH apart when one lands.
static void ankle_of(const tk_person *f, int k, double out[2])
{
    const double h = f->who->height, w = body_width(f), foot = 0.045 * h;
    out[0] = f->body.x + (k ? 1 : -1) * 0.070 * w * (1 - 0.45 * fabs(f->body.turn));
    out[1] = foot;
    if (f->body.stride < 0) return;
    const double u = fmod(f->body.stride + 0.5 * k, 1), half = 0.5 * TK_STEP_LENGTH;
    const double swing = u < 0.5 ? 1 - 4 * u : -cos(2 * M_PI * (u - 0.5));
    out[0] = f->body.x + f->body.facing * half * swing;
    out[1] += u < 0.5 ? 0 : 0.055 * h * sin(2 * M_PI * (u - 0.5));
}

static void leg_paint(tk_canvas *c, const tk_person *f, int k)
{
    const double h = f->who->height, w = body_width(f), turn = f->body.turn;
    double knee[2], ankle[2],
        top[2] = {f->body.x + (k ? 1 : -1) * 0.052 * w * (1 - 0.6 * fabs(turn)),
                  hip * h + bob_of(f)};
    ankle_of(f, k, ankle);
    joint(top, ankle, 0.5 * (hip - 0.045) * h * 1.03, turn < 0 ? -1 : turn > 0 ? 1 : 0, knee);
    const tk_rgb cloth = tk_rgb_of(f->dressed->bottom);
    const tk_film_part part[3] = {
        {tk_shape_ellipse(ankle[0] + 0.028 * h * turn, ankle[1] - 0.012 * h, 0.066 * h, 0.036 * h,
                          0),
         tk_fill_lit(tk_rgb_hex(0x2f2622), 0.03 * h)},
        {tk_shape_capsule(top[0], top[1], 0.064 * h, knee[0], knee[1], 0.055 * h),
         tk_fill_lit(cloth, 0.06 * h)},
        {tk_shape_capsule(knee[0], knee[1], 0.055 * h, ankle[0], ankle[1] + 0.02 * h, 0.045 * h),
         tk_fill_lit(cloth, 0.055 * h)}};
    tk_paint_group(c, 3, part);
}

static void trunk_paint(tk_canvas *c, const tk_person *f)
{
    const double h = f->who->height, w = body_width(f), x = f->body.x, b = bob_of(f);
    const double breath = 1 + 0.012 * sin(1.7 * f->t + f->who->voice),
                 lean = 0.012 * h * f->body.turn;
    const tk_rgb cloth = tk_rgb_of(f->dressed->top), skin = tk_rgb_of(f->who->skin);
    const double r = 0.035 * h, s = 0.122 * w * breath - r, waist = 0.100 * w - r,
                 low = 0.112 * w - r;
    const double corner[6][2] = {
        {x - s + lean, 0.640 * h + b - r}, {x + s + lean, 0.640 * h + b - r},
        {x + waist, 0.46 * h + b},         {x + low, 0.315 * h + b + r},
        {x - low, 0.315 * h + b + r},      {x - waist, 0.46 * h + b}};
    const tk_film_part part[3] = {
        {tk_shape_ellipse(x, 0.325 * h + b, 0.112 * w, 0.05 * h, 0),
         tk_fill_lit(tk_rgb_of(f->dressed->bottom), 0.05 * h)},
        {tk_shape_polygon(6, corner, r), tk_fill_lit(cloth, 0.10 * h)},
        {tk_shape_capsule(x + lean, 0.635 * h + b, 0.048 * h, f->face.x,
                          f->face.y - 0.7 * f->face.half_height, 0.048 * h),
         tk_fill_lit(tk_rgb_mix(skin, (tk_rgb){0, 0, 0}, 0.18), 0.06 * h)}};
    tk_paint_group(c, 3, part);
    // an open collar, or a scarf's edge: it parts neck from trunk
    tk_paint_ellipse(c, x + lean, 0.632 * h + b, 0.062 * w, 0.020 * h,
                     tk_fill_flat(tk_rgb_mix(cloth, (tk_rgb){0, 0, 0}, 0.35)));
}

void tk_body_paint(tk_canvas *c, const tk_person *f)
{
    const int far = f->body.turn > 0 ? 0 : 1; // the leg farther from the camera comes first
    leg_paint(c, f, far);
    leg_paint(c, f, !far);
    trunk_paint(c, f);
}

// Hand of arm k: on the thing it carries, raised in speech, or hanging and swinging against the
// legs.
static void hand_of(const tk_person *f, int k, double out[2])
{
    const double h = f->who->height, w = body_width(f), side = k ? 1 : -1, turn = f->body.turn;
    if (f->body.carries >= 0) {
        const double reach = f->body.hand_x - f->body.x, near = turn < 0 ? -1 : 1;
        out[0] =
            f->body.x + near * fmin(0.24 * h, fabs(reach)) + side * 0.03 * h * (1 - fabs(turn));
        out[1] = f->body.hand_y - (k ? 0.06 : 0.02) * h;
        return;
    }
    out[0] = f->body.x + side * 0.165 * w * (1 - 0.75 * fabs(turn)) + 0.02 * h * turn;
    out[1] = 0.345 * h + bob_of(f) + 0.004 * h * sin(1.7 * f->t);
    if (f->body.stride >= 0) {
        const double swing = (k ? 1 : -1) * cos(2 * M_PI * f->body.stride);
        out[0] = f->body.x + 0.02 * h * turn + 0.15 * h * swing * f->body.facing;
        out[1] += 0.03 * h * swing * swing;
    } else if (f->body.line >= 0 && k == (turn >= 0)) {
        out[0] = f->body.x + side * 0.19 * w * (1 - 0.6 * fabs(turn)) + 0.15 * h * turn;
        out[1] = 0.51 * h + bob_of(f) + 0.02 * h * sin(6.5 * f->t);
    }
}

static void arm_paint(tk_canvas *c, const tk_person *f, int k)
{
    const double h = f->who->height, w = body_width(f), side = k ? 1 : -1, turn = f->body.turn;
    double hand[2], elbow[2];
    const double top[2] = {f->body.x + side * 0.112 * w * (1 - 0.75 * fabs(turn)) +
                               0.012 * h * turn,
                           (shoulder - 0.012) * h + bob_of(f)};
    hand_of(f, k, hand);
    const double bend = fabs(turn) < 0.3 ? side : turn > 0 ? -1 : 1; // elbows out, or back
    joint(top, hand, 0.138 * h, bend, elbow);
    const tk_rgb cloth = tk_rgb_of(f->dressed->top);
    const tk_film_part part[3] = {
        {tk_shape_ellipse(hand[0], hand[1], 0.042 * h, 0.042 * h, 0),
         tk_fill_lit(tk_rgb_of(f->who->skin), 0.04 * h)},
        {tk_shape_capsule(top[0], top[1], 0.048 * h, elbow[0], elbow[1], 0.042 * h),
         tk_fill_lit(cloth, 0.045 * h)},
        {tk_shape_capsule(elbow[0], elbow[1], 0.042 * h, 0.75 * hand[0] + 0.25 * elbow[0],
                          0.75 * hand[1] + 0.25 * elbow[1], 0.037 * h),
         tk_fill_lit(cloth, 0.042 * h)}};
    tk_paint_group(c, 3, part);
}

void tk_arms_paint(tk_canvas *c, const tk_person *f, bool front)
{
    const bool turned = fabs(f->body.turn) > 0.3;
    const int near = f->body.turn > 0 ? 1 : 0; // the arm nearer to the camera
    for (int k = 0; k < 2; k++) {
        const bool before = f->body.carries >= 0 ? (turned ? k == near : true)
                            : turned             ? k == near
                                                 : f->body.line >= 0 && k == (f->body.turn >= 0);
        if (before == front) arm_paint(c, f, k);
    }
}
