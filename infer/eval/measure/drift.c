// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/measure/clip.h"

// Mean red, green and blue of shot h, 0 to 1.
static void mean_colour(const tk_scene *s, const tk_media *m, int h, double mean[3])
{
    const int64_t picture = m->height * m->width;
    int64_t first, n;
    tk_frames_of(s, m, h, &first, &n);
    const uint8_t *rgb = m->rgb + first * picture * 3;
    uint64_t sum[3] = {0};
    for (int64_t i = 0; i < n * picture; i++)
        for (int c = 0; c < 3; c++) sum[c] += rgb[3 * i + c];
    for (int c = 0; c < 3; c++) mean[c] = (double)sum[c] / (255.0 * (double)(n * picture));
}

void tk_measure_drift(const tk_scene *s, const tk_media *first, const tk_media *last, tk_figures *f)
{
    for (int h = 0; h < s->n_shots; h++) {
        double was[3], is[3], most = 0;
        int64_t at, n;
        tk_frames_of(s, first, h, &at, &n);
        if (n <= 0) continue;
        mean_colour(s, first, h, was);
        mean_colour(s, last, h, is);
        for (int c = 0; c < 3; c++) most = fmax(most, fabs(is[c] - was[c]));
        tk_figures_count(f, TK_FIG_DRIFT, most <= TK_DRIFT_LIMIT, 1);
        tk_figures_apart(f, TK_OFF_DRIFT, most);
    }
}
