// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/figures.h"
#include <math.h>
#include <stdio.h>

static const struct row {
    const char *name, *words;
} rows[TK_FIGURES] = {
#define X(figure, name, words) {name, words},
    TK_FIGURE_MAP(X)
#undef X
};

static double share_of(const tk_figures *f, int k)
{
    return f->of[k] > 0 ? f->hits[k] / f->of[k] : 0;
}

double tk_figures_score(const tk_figures *f)
{
    double sum = 0;
    int n = 0;
    for (int k = 0; k < TK_FIGURES; k++)
        if (f->of[k] > 0) sum += share_of(f, k), n++;
    return n ? sum / n : NAN;
}

tk_interval tk_figures_interval(double hits, double of)
{
    const double z = 1.959964; // 95% of a normal lie within
    if (of <= 0) return (tk_interval){0, 1};
    const double p = hits / of, q = z * z / of;
    const double middle = (p + q / 2) / (1 + q);
    const double half = z / (1 + q) * sqrt(p * (1 - p) / of + q / (4 * of));
    return (tk_interval){fmax(0, middle - half), fmin(1, middle + half)};
}

static bool tells(int n, const tk_column_of_figures *column, int k)
{
    for (int c = 0; c < n; c++)
        if (column[c].figures->of[k] > 0) return true;
    return false;
}

void tk_figures_print(int n, const tk_column_of_figures *column)
{
    printf("%-46s", "");
    for (int c = 0; c < n; c++) printf("  %-19s", column[c].name);
    printf("\n");
    for (int k = 0; k < TK_FIGURES; k++) {
        if (!tells(n, column, k)) continue;
        printf("%-46s", rows[k].words);
        for (int c = 0; c < n; c++) {
            const tk_figures *f = column[c].figures;
            const tk_interval i = tk_figures_interval(f->hits[k], f->of[k]);
            char text[64];
            snprintf(text, sizeof text, f->of[k] > 0 ? "%.0f%% (%.0f-%.0f) of %.0f" : "-",
                     100 * share_of(f, k), 100 * i.low, 100 * i.high, f->of[k]);
            printf("  %-19s", text);
        }
        printf("\n");
    }
}

json_t *tk_figures_report(int n, const tk_column_of_figures *column)
{
    json_t *all = json_object();
    for (int k = 0; k < TK_FIGURES; k++) {
        if (!tells(n, column, k)) continue;
        json_t *row = json_pack("{s:s}", "what", rows[k].words);
        for (int c = 0; c < n; c++) {
            const tk_figures *f = column[c].figures;
            const tk_interval i = tk_figures_interval(f->hits[k], f->of[k]);
            json_object_set_new(row, column[c].name,
                                json_pack("{s:f, s:f, s:f, s:I, s:I}", "share", share_of(f, k),
                                          "low", i.low, "high", i.high, "hits",
                                          (json_int_t)f->hits[k], "of", (json_int_t)f->of[k]));
        }
        json_object_set_new(all, rows[k].name, row);
    }
    return all;
}
