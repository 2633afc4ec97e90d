// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/people/windows.h"
#include <math.h>
#include <string.h>

tk_status tk_sums_of(const uint8_t *rgb, int64_t height, int64_t width, tk_sums *s)
{
    s->margin = height / 2;
    s->high = height + 2 * s->margin, s->wide = width + 2 * s->margin;
    TK_NEW(s->at, (s->high + 1) * (s->wide + 1) * 3);
    const int64_t row = (s->wide + 1) * 3;
    for (int64_t y = 0; y < s->high; y++) {
        int64_t from = y - s->margin;
        from = from < 0 ? 0 : from >= height ? height - 1 : from;
        double line[3] = {0};
        for (int64_t x = 0; x < s->wide; x++) {
            int64_t at = x - s->margin;
            at = at < 0 ? 0 : at >= width ? width - 1 : at;
            double *to = s->at + (y + 1) * row + (x + 1) * 3;
            for (int c = 0; c < 3; c++) {
                line[c] += rgb[(from * width + at) * 3 + c] / 255.0;
                to[c] = to[c - row] + line[c];
            }
        }
    }
    return TK_OK;
}

static void sum_at(const tk_sums *s, double x, double y, double out[3])
{
    x = fmin(fmax(x + (double)s->margin, 0), (double)s->wide - 1e-6);
    y = fmin(fmax(y + (double)s->margin, 0), (double)s->high - 1e-6);
    const int64_t i = (int64_t)x, j = (int64_t)y, row = (s->wide + 1) * 3;
    const double u = x - (double)i, v = y - (double)j, *p = s->at + j * row + i * 3;
    for (int c = 0; c < 3; c++)
        out[c] = (1 - v) * ((1 - u) * p[c] + u * p[c + 3]) +
                 v * ((1 - u) * p[c + row] + u * p[c + row + 3]);
}

// Means of high x wide cells of side d from (x, y) on.
void tk_sums_cells(const tk_sums *s, double x, double y, double d, int high, int wide, float *out)
{
    for (int j = 0; j < high; j++) {
        double before[2][3], now[2][3];
        for (int k = 0; k < 2; k++) sum_at(s, x, y + (j + k) * d, before[k]);
        for (int i = 0; i < wide; i++, out += 3) {
            for (int k = 0; k < 2; k++) sum_at(s, x + (i + 1) * d, y + (j + k) * d, now[k]);
            for (int c = 0; c < 3; c++)
                out[c] = (float)((now[1][c] - now[0][c] - before[1][c] + before[0][c]) / (d * d));
            memcpy(before, now, sizeof now);
        }
    }
}
