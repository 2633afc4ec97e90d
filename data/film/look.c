// SPDX-License-Identifier: Apache-2.0
// Light and shade of the styles. See data/film/look.h.
#include "data/film/look.h"
#include <math.h>

tk_look tk_look_of(tk_style style, double light, int64_t height)
{
    const double side = light < 0 ? -1 : 1;
    double d[3] = {0.85 * light, 0.62, 0.60};
    if (style == TK_STYLE_NOIR) d[0] = 0.95 * side, d[1] = 0.42, d[2] = 0.22;
    const double long_ = sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
    tk_look l = {.style = style};
    for (int k = 0; k < 3; k++) l.light[k] = (float)(d[k] / long_);
    const float hz = l.light[2] + 1,
                h = 1 / sqrtf(l.light[0] * l.light[0] + l.light[1] * l.light[1] + hz * hz);
    l.half[0] = l.light[0] * h, l.half[1] = l.light[1] * h, l.half[2] = hz * h;
    if (style == TK_STYLE_ANIME) l.outline = fmaxf(0.75f, 0.0105f * (float)height);
    return l;
}

static float ramp(float low, float high, float x)
{
    return tk_unit((x - low) / (high - low));
}

static void shade_natural(const tk_look *l, int n, const float *nx, const float *ny, float gloss,
                          float *r, float *g, float *b)
{
    for (int i = 0; i < n; i++) {
        const float nz = sqrtf(fmaxf(0, 1 - nx[i] * nx[i] - ny[i] * ny[i]));
        const float f = nx[i] * l->light[0] + ny[i] * l->light[1] + nz * l->light[2];
        const float t = tk_unit(0.42f + 0.62f * f); // light reaches round the edge
        float s = fmaxf(0, nx[i] * l->half[0] + ny[i] * l->half[1] + nz * l->half[2]);
        s *= s, s *= s, s *= s, s *= s, s *= s;
        s *= 0.75f * gloss;
        r[i] = tk_unit(r[i] * (0.50f + 0.56f * t) + s);
        g[i] = tk_unit(g[i] * (0.48f + 0.57f * t) + s);
        b[i] = tk_unit(b[i] * (0.54f + 0.48f * t) + s);
    }
}

// Hard light with a bright rim; dark surfaces are lifted, so that they are seen at all.
static void shade_noir(const tk_look *l, int n, const float *nx, const float *ny, float gloss,
                       float *r, float *g, float *b)
{
    const float side = l->light[0] < 0 ? -1 : 1;
    for (int i = 0; i < n; i++) {
        const float nz = sqrtf(fmaxf(0, 1 - nx[i] * nx[i] - ny[i] * ny[i]));
        const float f = nx[i] * l->light[0] + ny[i] * l->light[1] + nz * l->light[2];
        const float k = 0.42f + 0.82f * ramp(0.00f, 0.34f, f);
        float s = fmaxf(0, nx[i] * l->half[0] + ny[i] * l->half[1] + nz * l->half[2]);
        s *= s, s *= s, s *= s, s *= s;
        s = 0.6f * gloss * s + 0.22f * ramp(0.55f, 0.85f, nx[i] * side);
        r[i] = tk_unit((0.14f + 0.86f * r[i]) * k + s);
        g[i] = tk_unit((0.14f + 0.86f * g[i]) * k + s);
        b[i] = tk_unit((0.14f + 0.86f * b[i]) * k + s);
    }
}

static void shade_anime(const tk_look *l, int n, const float *nx, const float *ny, float gloss,
                        float *r, float *g, float *b)
{
    for (int i = 0; i < n; i++) {
        const float nz = sqrtf(fmaxf(0, 1 - nx[i] * nx[i] - ny[i] * ny[i]));
        const float f = nx[i] * l->light[0] + ny[i] * l->light[1] + nz * l->light[2];
        const float t = ramp(0.10f, 0.18f, f);
        const float h = nx[i] * l->half[0] + ny[i] * l->half[1] + nz * l->half[2];
        const float s = 0.85f * ramp(0.955f, 0.965f, h) * (gloss > 0.4f ? 1 : 0);
        r[i] = tk_unit(r[i] * (0.68f + 0.34f * t) + s);
        g[i] = tk_unit(g[i] * (0.64f + 0.38f * t) + s);
        b[i] = tk_unit(b[i] * (0.76f + 0.26f * t) + s);
    }
}

void tk_look_shade(const tk_look *look, int n, const float *nx, const float *ny, float gloss,
                   float *r, float *g, float *b)
{
    static void (*const shade[TK_STYLES])(const tk_look *, int, const float *, const float *, float,
                                          float *, float *,
                                          float *) = {shade_natural, shade_noir, shade_anime};
    shade[look->style](look, n, nx, ny, gloss, r, g, b);
}

void tk_look_grade(const tk_look *look, int n, float *t)
{
    if (look->style != TK_STYLE_ANIME) return;
    for (int i = 0; i < n; i++) // three flat bands
        t[i] = 0.5f * (ramp(0.30f, 0.33f, t[i]) + ramp(0.67f, 0.70f, t[i]));
}
