// SPDX-License-Identifier: Apache-2.0
// Light and shade of the styles. See data/film/look.h.
#include "core/numbers/philox.h"
#include "data/film/paint.h"
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
        const float k = 0.38f + 0.82f * ramp(0.00f, 0.34f, f);
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

// Grain of four pixels, about normal: sums of bytes, of mean 0 and deviation 1.
static void grain_of(uint64_t key, int64_t frame, int64_t block, float out[4])
{
    uint32_t c[4] = {(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)frame, 0x67726169u};
    tk_philox_rounds((uint32_t)key, (uint32_t)(key >> 32), c);
    for (int k = 0; k < 4; k++) {
        const uint32_t w = c[k], sum = (w & 255) + (w >> 8 & 255) + (w >> 16 & 255) + (w >> 24);
        out[k] = ((float)sum - 510) * (1 / 147.8f);
    }
}

// Light kept at a point of the frame, u and v in [-1, 1]: less towards the corners.
static float vignette(float u, float v, float part)
{
    const float d = (u * u + v * v) * 0.5f;
    return 1 - part * d * d;
}

static uint8_t byte_of(float x)
{
    return (uint8_t)(tk_unit(x) * 255 + 0.5f);
}

static void develop_noir(const tk_canvas *c, uint64_t key, int64_t frame, int64_t j, uint8_t *rgb)
{
    float g[4] = {0};
    const float v = 2 * ((float)j + 0.5f) / (float)c->height - 1;
    for (int64_t i = 0, at = j * c->width; i < c->width; i++, at++) {
        if (i == 0 || (at & 3) == 0) grain_of(key, frame, at >> 2, g);
        const float u = 2 * ((float)i + 0.5f) / (float)c->width - 1;
        float y = 0.30f * c->plane[0][at] + 0.59f * c->plane[1][at] + 0.11f * c->plane[2][at];
        y = tk_unit(y * vignette(u, v, 0.55f));
        y = 0.35f * y + 0.65f * y * y * (3 - 2 * y); // more contrast
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = byte_of(y + 0.026f * g[at & 3]);
    }
}

static void develop_colour(const tk_canvas *c, int64_t j, float part, float vivid, uint8_t *rgb)
{
    const float v = 2 * ((float)j + 0.5f) / (float)c->height - 1;
    for (int64_t i = 0, at = j * c->width; i < c->width; i++, at++) {
        const float u = 2 * ((float)i + 0.5f) / (float)c->width - 1, k = vignette(u, v, part);
        const float r = c->plane[0][at], g = c->plane[1][at], b = c->plane[2][at];
        const float y = 0.30f * r + 0.59f * g + 0.11f * b;
        rgb[3 * i] = byte_of((y + (r - y) * vivid) * k);
        rgb[3 * i + 1] = byte_of((y + (g - y) * vivid) * k);
        rgb[3 * i + 2] = byte_of((y + (b - y) * vivid) * k);
    }
}

void tk_look_develop(const tk_canvas *c, uint64_t seed, int64_t index, int64_t frame, uint8_t *rgb)
{
    const uint64_t key = seed * 0x9E3779B97F4A7C15u ^ (uint64_t)index;
    for (int64_t j = 0; j < c->height; j++) {
        uint8_t *to = rgb + j * c->width * 3;
        if (c->look->style == TK_STYLE_NOIR)
            develop_noir(c, key, frame, j, to);
        else if (c->look->style == TK_STYLE_ANIME)
            develop_colour(c, j, 0, 1.15f, to);
        else
            develop_colour(c, j, 0.16f, 1, to);
    }
}
