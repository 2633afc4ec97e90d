// SPDX-License-Identifier: Apache-2.0
#include "data/codec/seams.h"
#include <math.h>
#include <stdlib.h>

// Steps from the n bytes of a line, or of the ends of one, to those `far` bytes on.
static double steps(const uint8_t *from, int64_t n, int64_t far)
{
    int64_t sum = 0;
    for (int64_t k = 0; k < n; k++) sum += abs(from[k] - from[k + far]);
    return (double)sum;
}

void tk_seams_add(tk_seams *s, const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                  int64_t patch_size)
{
    const int64_t line = width * 3;
    for (int64_t f = 0; f < frames; f++)
        for (int64_t y = 0; y < height; y++, rgb += line) {
            for (int64_t x = 0; x + 1 < width; x++) {
                const int edge = (x + 1) % patch_size == 0 ? 0 : 1;
                s->step[edge] += steps(rgb + x * 3, 3, 3), s->count[edge] += 3;
            }
            if (y + 1 == height) continue;
            const int edge = (y + 1) % patch_size == 0 ? 0 : 1;
            s->step[edge] += steps(rgb, line, line), s->count[edge] += (double)line;
        }
}

double tk_seams_blockiness(const tk_seams *s)
{
    const double across = s->step[0] / s->count[0], elsewhere = s->step[1] / s->count[1];
    return s->count[0] > 0 && s->count[1] > 0 && elsewhere > 0 ? across / elsewhere : NAN;
}
