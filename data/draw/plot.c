// SPDX-License-Identifier: Apache-2.0
// Curves to PNG: axes, ticks, legend; see data/media/media.h. Long curves are drawn faint as they
// are, with their moving mean on top.
#include "data/draw/draw.h"
#include "data/draw/sheet.h"
#include <float.h>
#include <math.h>
#include <stdio.h>

enum {
    WIDTH = 1000,
    HEIGHT = 560,
    LEFT = 84,
    RIGHT = 28,
    TOP = 56,
    BOTTOM = 64,
    SMOOTH_FROM = 100, // points of a curve from which on its mean is drawn
    SMOOTH_PARTS = 50  // the mean is over 1 / SMOOTH_PARTS of the curve
};

static const tk_ink paper = {255, 255, 255, 1}, text = {45, 50, 60, 1}, faint = {112, 118, 130, 1},
                    grid = {230, 232, 236, 1}, axis = {150, 155, 165, 1};
static const tk_ink curve_ink[] = {{38, 110, 184, 1}, {219, 96, 33, 1}, {44, 140, 92, 1},
                                   {142, 68, 173, 1}, {176, 128, 0, 1}, {90, 98, 112, 1}};

typedef struct tk_axes {
    cairo_t *cr;
    double x1;     // x runs from 0 to x1
    double y0, y1; // on a logarithmic axis: decimal logarithms
    bool log_y;
} tk_axes;

static tk_ink ink_of_curve(int i)
{
    return curve_ink[i % (int)(sizeof curve_ink / sizeof *curve_ink)];
}

static tk_ink lighter(tk_ink i)
{
    i.r = (uint8_t)(255 - (255 - i.r) * 3 / 10);
    i.g = (uint8_t)(255 - (255 - i.g) * 3 / 10);
    i.b = (uint8_t)(255 - (255 - i.b) * 3 / 10);
    return i;
}

static bool drawable(const tk_axes *a, double y)
{
    return isfinite(y) && (!a->log_y || y > 0);
}

static double px(const tk_axes *a, double x)
{
    return LEFT + x / a->x1 * (WIDTH - LEFT - RIGHT);
}

static double py(const tk_axes *a, double y)
{
    double v = a->log_y ? log10(y) : y;
    v = fmin(fmax((v - a->y0) / (a->y1 - a->y0), -1), 2);
    return HEIGHT - BOTTOM - v * (HEIGHT - TOP - BOTTOM);
}

static void find_range(tk_axes *a, int n, const tk_curve *curves)
{
    double low = DBL_MAX, high = -DBL_MAX;
    a->x1 = 1;
    for (int i = 0; i < n; i++) {
        a->x1 = fmax(a->x1, (double)curves[i].n - 1);
        for (int64_t j = 0; j < curves[i].n; j++) {
            double y = curves[i].y[j];
            if (!drawable(a, y)) continue;
            y = a->log_y ? log10(y) : fmin(fmax(y, -1e300), 1e300);
            low = fmin(low, y);
            high = fmax(high, y);
        }
    }
    if (low > high) low = 0, high = 1; // nothing to draw
    double pad = high > low ? (high - low) * 0.05 : a->log_y ? 0.5 : fmax(fabs(high) * 0.1, 1e-12);
    a->y0 = !a->log_y && low >= 0 && low < (high - low) * 0.3 ? 0 : low - pad;
    a->y1 = high + pad;
}

static double nice_step(double range, int most)
{
    double step = pow(10, floor(log10(range / most)));
    static const double factor[] = {1, 2, 2.5, 5, 10};
    for (size_t i = 0; i < sizeof factor / sizeof *factor; i++)
        if (range / (step * factor[i]) <= most) return step * factor[i];
    return step * 10;
}

static void y_tick(tk_axes *a, double value, bool label)
{
    double y = py(a, value);
    if (y < TOP - 0.5 || y > HEIGHT - BOTTOM + 0.5) return;
    tk_draw_fill(a->cr, LEFT, floor(y), WIDTH - LEFT - RIGHT, 1, grid);
    if (!label) return;
    char words[32];
    snprintf(words, sizeof words, "%.5g", fabs(value) < (a->y1 - a->y0) * 1e-9 ? 0 : value);
    tk_draw_text(a->cr, LEFT - 12, y - 5, 11, TK_RIGHT, faint, words);
}

static void draw_y_ticks(tk_axes *a)
{
    if (!a->log_y) {
        double step = nice_step(a->y1 - a->y0, 7);
        for (double v = ceil(a->y0 / step); v * step <= a->y1; v++) y_tick(a, v * step, true);
        return;
    }
    const double decades = a->y1 - a->y0;
    const int every = (int)fmax(1, ceil(decades / 8));
    for (int d = (int)floor(a->y0); d <= (int)ceil(a->y1); d++)
        for (int k = 1; k < 10; k++) {
            bool half = k == 2 || k == 5, label = k == 1 ? d % every == 0
                                                  : half ? decades < 2.2
                                                         : decades < 0.7;
            if (k == 1 || decades < 4) y_tick(a, k * pow(10, d), label);
        }
}

static void draw_x_ticks(tk_axes *a)
{
    double step = fmax(1, nice_step(a->x1, 8));
    for (double v = 0; v * step <= a->x1 * (1 + 1e-9); v++) {
        char words[32];
        double x = px(a, v * step);
        snprintf(words, sizeof words, "%.10g", v * step);
        tk_draw_fill(a->cr, floor(x), TOP, 1, HEIGHT - TOP - BOTTOM, grid);
        tk_draw_fill(a->cr, floor(x), HEIGHT - BOTTOM, 1, 6, axis);
        tk_draw_text(a->cr, x, HEIGHT - BOTTOM + 13, 11, TK_CENTRE, faint, words);
    }
}

static void draw_frame(tk_axes *a, const char *title, const char *x_label)
{
    draw_x_ticks(a);
    draw_y_ticks(a);
    tk_draw_fill(a->cr, LEFT - 1, TOP, 1.5, HEIGHT - TOP - BOTTOM, axis);
    tk_draw_fill(a->cr, LEFT - 1, HEIGHT - BOTTOM, WIDTH - LEFT - RIGHT + 1, 1.5, axis);
    tk_draw_text(a->cr, LEFT, 20, 16, TK_LEFT, text, title ? title : "");
    tk_draw_text(a->cr, LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 24, 12, TK_CENTRE, text,
                 x_label ? x_label : "");
}

// A polyline through y(j), j = 0, stride, ...; gaps where a value cannot be drawn. Curves with more
// points than pixels are drawn by the extremes of each pixel column.
static void draw_line(tk_axes *a, const double *y, int64_t n, double thickness, tk_ink ink)
{
    const int64_t columns = WIDTH - LEFT - RIGHT, step = n > 2 * columns ? n / columns : 1;
    bool pen = false;
    for (int64_t j = 0; j < n; j += step) {
        double low = DBL_MAX, high = -DBL_MAX;
        for (int64_t k = j; k < n && k < j + step; k++)
            if (drawable(a, y[k])) low = fmin(low, y[k]), high = fmax(high, y[k]);
        const bool some = low <= high;
        const double x = px(a, (double)j);
        if (some && !pen) cairo_move_to(a->cr, x, py(a, high));
        if (some && pen) cairo_line_to(a->cr, x, py(a, high));
        if (some && (low < high || !pen)) cairo_line_to(a->cr, x, py(a, low));
        pen = some;
    }
    tk_draw_ink(a->cr, ink);
    cairo_set_line_width(a->cr, thickness);
    cairo_stroke(a->cr);
}

// Moving mean over `window` values, of those that can be drawn.
static void smooth(const tk_axes *a, const double *y, int64_t n, int64_t window, double *out)
{
    double sum = 0;
    int64_t count = 0, from = 0, to = 0;
    for (int64_t j = 0; j < n; j++) {
        for (; to < n && to <= j + window / 2; to++)
            if (drawable(a, y[to])) sum += y[to], count++;
        for (; from < j - window / 2; from++)
            if (drawable(a, y[from])) sum -= y[from], count--;
        out[j] = count ? sum / (double)count : NAN;
    }
}

static tk_status draw_curve(tk_axes *a, const tk_curve *c, tk_ink ink, int64_t *window)
{
    *window = c->n >= SMOOTH_FROM ? c->n / SMOOTH_PARTS : 1;
    draw_line(a, c->y, c->n, *window > 1 ? 1.2 : 2, *window > 1 ? lighter(ink) : ink);
    if (*window == 1) return TK_OK;
    double *mean;
    TK_NEW(mean, c->n);
    smooth(a, c->y, c->n, *window, mean);
    draw_line(a, mean, c->n, 2.4, ink);
    tk_free(mean);
    return TK_OK;
}

// Points of the curves inside a rectangle: the legend goes where there are fewest.
static int64_t points_in(const tk_axes *a, int n, const tk_curve *curves, double x, double y,
                         double w, double h)
{
    int64_t count = 0;
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; j < curves[i].n; j++) {
            if (!drawable(a, curves[i].y[j])) continue;
            double u = px(a, (double)j), v = py(a, curves[i].y[j]);
            count += u >= x && u <= x + w && v >= y && v <= y + h;
        }
    return count;
}

static void place_legend(const tk_axes *a, int n, const tk_curve *curves, double w, double h,
                         double *x, double *y)
{
    const double at[4][2] = {{WIDTH - RIGHT - w - 6, TOP + 6},
                             {LEFT + 8, TOP + 6},
                             {WIDTH - RIGHT - w - 6, HEIGHT - BOTTOM - h - 8},
                             {LEFT + 8, HEIGHT - BOTTOM - h - 8}};
    int64_t fewest = INT64_MAX;
    for (int i = 0; i < 4; i++) {
        int64_t k = points_in(a, n, curves, at[i][0], at[i][1], w, h);
        if (k >= fewest) continue;
        fewest = k;
        *x = at[i][0];
        *y = at[i][1];
    }
}

static void draw_legend(tk_axes *a, int n, const tk_curve *curves, int64_t window)
{
    double widest = 0, x = 0, y = 0;
    char note[64] = "";
    if (window > 1) snprintf(note, sizeof note, "bold: mean of %lld", (long long)window);
    for (int i = 0; i < n; i++)
        widest = fmax(widest, tk_draw_text_width(a->cr, 12, curves[i].name));
    widest = fmax(widest + 34, tk_draw_text_width(a->cr, 9, note));
    const double high = n * 22 + (*note ? 18 : 0) + 10;
    place_legend(a, n, curves, widest + 18, high, &x, &y);
    tk_ink cover = paper;
    cover.alpha = 0.85F;
    tk_draw_fill(a->cr, x, y, widest + 18, high, cover);
    x += 9;
    y += 9;
    for (int i = 0; i < n; i++, y += 22) {
        tk_draw_fill(a->cr, x + 1, y + 4, 22, 4, ink_of_curve(i));
        tk_draw_text(a->cr, x + 34, y, 12, TK_LEFT, text, curves[i].name);
    }
    if (*note) tk_draw_text(a->cr, x, y + 2, 9, TK_LEFT, faint, note);
}

static tk_status draw_all(tk_axes *a, const char *title, const char *x_label, int n,
                          const tk_curve *curves)
{
    int64_t window = 1, widest = 1;
    find_range(a, n, curves);
    draw_frame(a, title, x_label);
    for (int i = 0; i < n; i++) {
        TK_TRY(draw_curve(a, &curves[i], ink_of_curve(i), &window));
        widest = window > widest ? window : widest;
    }
    draw_legend(a, n, curves, widest);
    return TK_OK;
}

tk_status tk_draw_plot(const char *path, const char *title, const char *x_label, int n_curves,
                       const tk_curve *curves, bool log_y)
{
    tk_axes a = {.cr = tk_draw_new(WIDTH, HEIGHT, paper), .log_y = log_y};
    tk_file f = {.fd = -1};
    tk_status st;
    TK_TRY_TO(st, done, draw_all(&a, title, x_label, n_curves, curves));
    TK_TRY_TO(st, done, tk_file_begin(&f, path));
    TK_TRY_TO(st, done, tk_draw_write(a.cr, &f));
    TK_TRY_TO(st, done, tk_file_commit(&f));
done:
    tk_file_abort(&f);
    cairo_destroy(a.cr);
    return st;
}
