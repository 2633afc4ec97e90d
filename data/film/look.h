// SPDX-License-Identifier: Apache-2.0
// How styles draw: what a surface looks like under the scene's light, outlines, and what is done to
// a finished frame. Internal to data/film.
//   natural: soft light, gradients, soft shadows
//   noir:    black and white, hard light from one side, blinds, grain
//   anime:   dark outlines, flat colours with one step to the shade
#pragma once
#include "data/scene/scene.h"

typedef struct tk_rgb {
    float r, g, b;
} tk_rgb;

typedef struct tk_look {
    tk_style style;
    float light[3]; // direction towards the light: right, up, towards the camera; of length 1
    float half[3];  // half way between light and camera
    float outline;  // pixels; 0: none
} tk_look;

tk_look tk_look_of(tk_style style, double light, int64_t height);

// n surface points with normals (nx, ny, the rest towards the camera): their colours, which come in
// as those of the bare surface, r, g, b: (n).
void tk_look_shade(const tk_look *look, int n, const float *nx, const float *ny, float gloss,
                   float *r, float *g, float *b);
// Gradients as the style has them: t (n) in [0, 1] in place.
void tk_look_grade(const tk_look *look, int n, float *t);

static inline tk_rgb tk_rgb_of(const uint8_t c[3])
{
    return (tk_rgb){c[0] / 255.0f, c[1] / 255.0f, c[2] / 255.0f};
}

static inline tk_rgb tk_rgb_hex(uint32_t c)
{
    return (tk_rgb){(float)(c >> 16 & 255) / 255.0f, (float)(c >> 8 & 255) / 255.0f,
                    (float)(c & 255) / 255.0f};
}

static inline tk_rgb tk_rgb_mix(tk_rgb a, tk_rgb b, double t)
{
    const float k = (float)t;
    return (tk_rgb){a.r + (b.r - a.r) * k, a.g + (b.g - a.g) * k, a.b + (b.b - a.b) * k};
}

static inline float tk_unit(float x) // held to [0, 1]
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static inline double tk_ease(double a, double b, double x) // 0 up to a, 1 from b, smooth between
{
    double t = (x - a) / (b - a);
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return t * t * (3 - 2 * t);
}
