// SPDX-License-Identifier: Apache-2.0
// A finished frame becomes bytes: what the style does to all of it, vignette, contrast and grain.
#include "core/numbers/philox.h"
#include "data/film/parts.h"

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
        rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = byte_of(y + 0.012f * g[at & 3]);
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

void tk_film_develop(const tk_canvas *c, uint64_t seed, int64_t index, int64_t frame, uint8_t *rgb)
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
