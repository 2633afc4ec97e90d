// SPDX-License-Identifier: Apache-2.0
#include "data/codec/kinds/lap.h"
#include "core/device/ops/gemm.h"
#include <math.h>
#include <string.h>

// Light and two differences of colours, orthonormal.
static const float colours[3][3] = {{0.577350269f, 0.577350269f, 0.577350269f},
                                    {0.707106781f, 0, -0.707106781f},
                                    {0.408248290f, -0.816496581f, 0.408248290f}};

// ---- the transform along one side --------------------------------------------------------------

// Wave k of the cosine transform of n samples at sample t; turned: of the one whose waves begin a
// half later (type 4).
static double wave(int64_t n, int64_t k, int64_t t, bool turned)
{
    const double step = M_PI / (double)n * ((double)t + 0.5);
    const double size = sqrt((!turned && k == 0 ? 1.0 : 2.0) / (double)n);
    return size * cos(step * (turned ? (double)k + 0.5 : (double)k));
}

// How the r samples on either side of an edge are mixed: m (2r, 2r), orthonormal. Sums of samples
// that mirror each other stay; their differences go through J C2^T C4 J, J turning the order round.
static void edge_mix(int64_t r, double *m)
{
    for (int64_t i = 0; i < r; i++)
        for (int64_t j = 0; j < r; j++) {
            double v = 0;
            for (int64_t k = 0; k < r; k++)
                v += wave(r, k, r - 1 - i, false) * wave(r, k, r - 1 - j, true);
            const double sum = 0.5 * (i == j), difference = 0.5 * v;
            // sample i after the edge, and its mirror before it
            double *after = m + (r + i) * 2 * r, *before = m + (r - 1 - i) * 2 * r;
            before[r - 1 - j] = after[r + j] = sum + difference;
            before[r + j] = after[r - 1 - j] = sum - difference;
        }
}

// Row k: what wave k of a patch takes of the samples from `reach` before it to as many after it.
static tk_status side_waves(const tk_lap *l, int sides, tk_arena *scratch, float *out)
{
    const int64_t n = l->size, r = l->reach, window = n + 2 * r;
    double *mix, *mixed; // (2r, 2r); the patch's samples once mixed with those beside (n, window)
    TK_ARENA_NEW(mix, scratch, 4 * r * r + 1);
    TK_ARENA_NEW(mixed, scratch, n * window);
    edge_mix(r, mix);
    for (int64_t t = 0; t < n; t++) mixed[t * window + r + t] = 1;
    for (int64_t t = 0; t < r; t++) {
        if (sides & TK_LAP_BEFORE)
            memcpy(mixed + t * window, mix + (r + t) * 2 * r, (size_t)(2 * r) * sizeof *mix);
        if (sides & TK_LAP_AFTER)
            memcpy(mixed + (n - r + t) * window + n, mix + t * 2 * r,
                   (size_t)(2 * r) * sizeof *mix);
    }
    for (int64_t k = 0; k < n; k++)
        for (int64_t j = 0; j < window; j++) {
            double x = 0;
            for (int64_t t = 0; t < n; t++) x += wave(n, k, t, false) * mixed[t * window + j];
            out[k * window + j] = (float)x;
        }
    return TK_OK;
}

tk_status tk_lap_new(tk_lap *l, tk_arena *a, int64_t frames, int64_t size)
{
    tk_arena scratch;
    tk_status st = TK_OK;
    *l = (tk_lap){.frames = frames, .size = size, .reach = size / 2};
    TK_ARENA_NEW(l->time, a, frames * frames);
    for (int64_t k = 0; k < frames; k++)
        for (int64_t t = 0; t < frames; t++)
            l->time[k * frames + t] = (float)wave(frames, k, t, false);
    for (int sides = 0; sides < 4; sides++)
        TK_ARENA_NEW(l->side[sides], a, size * (size + 2 * l->reach));
    tk_arena_init(&scratch, 0);
    for (int sides = 0; sides < 4 && st == TK_OK; sides++)
        st = side_waves(l, sides, &scratch, l->side[sides]);
    tk_arena_free(&scratch);
    return st;
}

// ---- pictures ----------------------------------------------------------------------------------

typedef struct lap_window { // of a patch along one side of the picture
    const float *waves;     // (size, ld), from the window's first sample on
    int64_t ld, first, n;
} lap_window;

// That of patch p of `pixels` in a line.
static lap_window window_of(const tk_lap *l, int64_t pixels, int64_t p)
{
    const int64_t at = p * l->size, ld = l->size + 2 * l->reach;
    const bool before = p > 0, after = at + l->size < pixels;
    const int sides = (before ? TK_LAP_BEFORE : 0) | (after ? TK_LAP_AFTER : 0);
    const int64_t skipped = before ? 0 : l->reach;
    return (lap_window){.waves = l->side[sides] + skipped,
                        .ld = ld,
                        .first = at - l->reach + skipped,
                        .n = ld - skipped - (after ? 0 : l->reach)};
}

// Along the lines of x, (lines, width), into y; and along the columns, (planes, height, width).
static tk_status waves_of_lines(const tk_lap *l, const float *x, int64_t lines, int64_t width,
                                float *y)
{
    for (int64_t p = 0; p * l->size < width; p++) {
        const lap_window w = window_of(l, width, p);
        TK_TRY(tk_gemm_one('N', 'T', lines, l->size, w.n, 1, x + w.first, width, w.waves, w.ld, 0,
                           y + p * l->size, width));
    }
    return TK_OK;
}

static tk_status waves_of_columns(const tk_lap *l, const float *x, int64_t planes, int64_t height,
                                  int64_t width, float *y)
{
    for (int64_t k = 0; k < planes; k++, x += height * width, y += height * width)
        for (int64_t p = 0; p * l->size < height; p++) {
            const lap_window w = window_of(l, height, p);
            TK_TRY(tk_gemm_one('N', 'N', l->size, width, w.n, 1, w.waves, w.ld, x + w.first * width,
                               width, 0, y + p * l->size * width, width));
        }
    return TK_OK;
}

// The ways back add what each patch's waves give.
static tk_status lines_of_waves(const tk_lap *l, const float *y, int64_t lines, int64_t width,
                                float *x)
{
    memset(x, 0, (size_t)(lines * width) * sizeof *x);
    for (int64_t p = 0; p * l->size < width; p++) {
        const lap_window w = window_of(l, width, p);
        TK_TRY(tk_gemm_one('N', 'N', lines, w.n, l->size, 1, y + p * l->size, width, w.waves, w.ld,
                           1, x + w.first, width));
    }
    return TK_OK;
}

static tk_status columns_of_waves(const tk_lap *l, const float *y, int64_t planes, int64_t height,
                                  int64_t width, float *x)
{
    memset(x, 0, (size_t)(planes * height * width) * sizeof *x);
    for (int64_t k = 0; k < planes; k++, x += height * width, y += height * width)
        for (int64_t p = 0; p * l->size < height; p++) {
            const lap_window w = window_of(l, height, p);
            TK_TRY(tk_gemm_one('T', 'N', w.n, width, l->size, 1, w.waves, w.ld,
                               y + p * l->size * width, width, 1, x + w.first * width, width));
        }
    return TK_OK;
}

// Along the frames of each colour: `way` is 'N' into waves, 'T' back.
static tk_status frames_and_waves(const tk_lap *l, char way, const float *x, int64_t pixels,
                                  float *y)
{
    const int64_t n = l->frames, each = n * pixels;
    for (int64_t c = 0; c < 3; c++)
        TK_TRY(tk_gemm_one(way, 'N', n, pixels, n, 1, l->time, n, x + c * each, pixels, 0,
                           y + c * each, pixels));
    return TK_OK;
}

tk_status tk_lap_forward(const tk_lap *l, const uint8_t *rgb, int64_t height, int64_t width,
                         float *scratch, float *coefficients)
{
    const int64_t planes = 3 * l->frames, each = l->frames * height * width;
    for (int64_t p = 0; p < each; p++, rgb += 3) {
        const float r = (float)rgb[0] / 127.5f - 1, g = (float)rgb[1] / 127.5f - 1,
                    b = (float)rgb[2] / 127.5f - 1;
        for (int64_t c = 0; c < 3; c++)
            scratch[c * each + p] = colours[c][0] * r + colours[c][1] * g + colours[c][2] * b;
    }
    TK_TRY(waves_of_lines(l, scratch, planes * height, width, coefficients));
    TK_TRY(frames_and_waves(l, 'N', coefficients, height * width, scratch));
    return waves_of_columns(l, scratch, planes, height, width, coefficients);
}

static uint8_t pixel_of(float x)
{
    const float v = (x + 1) * 127.5f + 0.5f;
    return v >= 255 ? 255 : v > 0 ? (uint8_t)v : 0; // NaN gives 0
}

tk_status tk_lap_inverse(const tk_lap *l, float *coefficients, int64_t height, int64_t width,
                         float *scratch, uint8_t *rgb)
{
    const int64_t planes = 3 * l->frames, each = l->frames * height * width;
    float *x = coefficients;
    TK_TRY(columns_of_waves(l, x, planes, height, width, scratch));
    TK_TRY(frames_and_waves(l, 'T', scratch, height * width, x));
    TK_TRY(lines_of_waves(l, x, planes * height, width, scratch));
    for (int64_t p = 0; p < each; p++)
        for (int64_t k = 0; k < 3; k++)
            *rgb++ = pixel_of(colours[0][k] * scratch[p] + colours[1][k] * scratch[each + p] +
                              colours[2][k] * scratch[2 * each + p]);
    return TK_OK;
}
