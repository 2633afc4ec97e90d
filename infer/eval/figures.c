// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/figures.h"
#include <math.h>
#include <stdio.h>

static const struct row {
    tk_figure_section section;
    const char *name, *words;
} rows[TK_FIGURES] = {
#define X(figure, section, name, words) {TK_FIGURES_##section, name, words},
    TK_FIGURE_MAP(X)
#undef X
};

static const char *const headings[TK_FIGURE_SECTIONS] = {
#define X(section, heading) heading,
    TK_FIGURE_SECTION_MAP(X)
#undef X
};

static const struct offset_row {
    const char *name, *words;
    double bin;
} offset_rows[TK_OFFSETS] = {
#define X(offset, name, bin, words) {name, words, bin},
    TK_OFFSET_MAP(X)
#undef X
};

// ---- numbers -----------------------------------------------------------------------------------

void tk_figures_apart(tk_figures *f, tk_offset k, double by)
{
    const double at = round(by / offset_rows[k].bin) + TK_OFFSET_BINS / 2;
    f->offset[k][(int)fmax(0, fmin(TK_OFFSET_BINS - 1, at))]++;
}

void tk_figures_add(tk_figures *to, const tk_figures *f)
{
    for (int k = 0; k < TK_FIGURES; k++) to->hits[k] += f->hits[k], to->of[k] += f->of[k];
    for (int k = 0; k < TK_OFFSETS; k++)
        for (int b = 0; b < TK_OFFSET_BINS; b++) to->offset[k][b] += f->offset[k][b];
}

static double offsets_of(const tk_figures *f, int k)
{
    double n = 0;
    for (int b = 0; b < TK_OFFSET_BINS; b++) n += f->offset[k][b];
    return n;
}

double tk_figures_quantile(const tk_figures *f, tk_offset k, double part)
{
    double left = part * offsets_of(f, k);
    if (left <= 0) return NAN;
    int b = 0;
    while (b < TK_OFFSET_BINS - 1 && left > f->offset[k][b]) left -= f->offset[k][b++];
    const double within = f->offset[k][b] > 0 ? left / f->offset[k][b] : 0.5;
    return offset_rows[k].bin * ((double)b - 0.5 + within - TK_OFFSET_BINS / 2);
}

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

// ---- the table ---------------------------------------------------------------------------------

static bool tells(int n, const tk_column_of_figures *column, int k)
{
    for (int c = 0; c < n; c++)
        if (column[c].figures->of[k] > 0) return true;
    return false;
}

static bool tells_offset(int n, const tk_column_of_figures *column, int k)
{
    for (int c = 0; c < n; c++)
        if (offsets_of(column[c].figures, k) > 0) return true;
    return false;
}

static void print_figure(int n, const tk_column_of_figures *column, int k)
{
    printf("  %-44s", rows[k].words);
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

static void print_offset(int n, const tk_column_of_figures *column, int k)
{
    printf("  %-44s", offset_rows[k].words);
    for (int c = 0; c < n; c++) {
        const tk_figures *f = column[c].figures;
        const double of = offsets_of(f, k);
        const int digits = offset_rows[k].bin < 1 ? 2 : 0;
        char text[64] = "-";
        if (of > 0)
            snprintf(text, sizeof text, "%.*f (%.*f-%.*f) of %.0f", digits,
                     tk_figures_quantile(f, k, 0.5), digits, tk_figures_quantile(f, k, 0.25),
                     digits, tk_figures_quantile(f, k, 0.75), of);
        printf("  %-19s", text);
    }
    printf("\n");
}

void tk_figures_print(int n, const tk_column_of_figures *column)
{
    printf("%-46s", "");
    for (int c = 0; c < n; c++) printf("  %-19s", column[c].name);
    printf("\n");
    int under = -1;
    for (int k = 0; k < TK_FIGURES; k++) {
        if (!tells(n, column, k)) continue;
        if ((int)rows[k].section != under) printf("%s\n", headings[under = (int)rows[k].section]);
        print_figure(n, column, k);
    }
    bool any = false;
    for (int k = 0; k < TK_OFFSETS; k++) {
        if (!tells_offset(n, column, k)) continue;
        if (!any) printf("medians (and quartiles)\n");
        any = true;
        print_offset(n, column, k);
    }
}

// ---- the report --------------------------------------------------------------------------------

static void report_offset(json_t *all, int n, const tk_column_of_figures *column, int k)
{
    json_t *row = json_pack("{s:s}", "what", offset_rows[k].words);
    for (int c = 0; c < n; c++) {
        const tk_figures *f = column[c].figures;
        const double of = offsets_of(f, k);
        if (of > 0)
            json_object_set_new(row, column[c].name,
                                json_pack("{s:f, s:f, s:f, s:I}", "median",
                                          tk_figures_quantile(f, k, 0.5), "low",
                                          tk_figures_quantile(f, k, 0.25), "high",
                                          tk_figures_quantile(f, k, 0.75), "of", (json_int_t)of));
    }
    json_object_set_new(all, offset_rows[k].name, row);
}

json_t *tk_figures_report(int n, const tk_column_of_figures *column)
{
    json_t *all = json_object();
    for (int k = 0; k < TK_FIGURES; k++) {
        if (!tells(n, column, k)) continue;
        json_t *row =
            json_pack("{s:s, s:s}", "section", headings[rows[k].section], "what", rows[k].words);
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
    for (int k = 0; k < TK_OFFSETS; k++)
        if (tells_offset(n, column, k)) report_offset(all, n, column, k);
    return all;
}
