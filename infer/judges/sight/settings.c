// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/settings.h"
#include <math.h>
#include <string.h>

enum { LOOKS = 6, CELLS_HIGH = 8, CELLS_WIDE = 12, TONES = 64 };

typedef struct frame { // being looked at
    int64_t height, width;
    const uint8_t *rgb;
    double *luma; // (height, width), 0 to 1
    double *manner, *layout;
} frame;

static double luma_at(const frame *f, int64_t y, int64_t x)
{
    return f->luma[y * f->width + x];
}

static void find_luma(frame *f)
{
    for (int64_t i = 0; i < f->height * f->width; i++) {
        const uint8_t *p = f->rgb + 3 * i;
        f->luma[i] = (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / 255;
    }
}

// ---- manners -----------------------------------------------------------------------------------

static double chroma_at(const frame *f, int64_t i)
{
    const uint8_t *p = f->rgb + 3 * i;
    const int high = p[0] > p[1] ? (p[0] > p[2] ? p[0] : p[2]) : (p[1] > p[2] ? p[1] : p[2]);
    const int low = p[0] < p[1] ? (p[0] < p[2] ? p[0] : p[2]) : (p[1] < p[2] ? p[1] : p[2]);
    return (high - low) / 255.0;
}

// Light and chroma of all pixels; share of pixels of a gradient below three and above two steps.
static int look_at_steps(const frame *f, double *v)
{
    const double n = (double)(f->height * f->width);
    const double m = (double)((f->height - 1) * (f->width - 1));
    double sum = 0, square = 0;
    for (int64_t i = 0; i < f->height * f->width; i++) {
        const double c = chroma_at(f, i);
        sum += f->luma[i], square += f->luma[i] * f->luma[i];
        v[2] += c / n;
        v[3] += (c > 0.05) / n;
    }
    v[0] = sum / n;
    v[1] = sqrt(fmax(0, square / n - sum / n * sum / n));
    for (int64_t y = 0; y + 1 < f->height; y++)
        for (int64_t x = 0; x + 1 < f->width; x++) {
            const double here = luma_at(f, y, x), step = fmax(fabs(luma_at(f, y, x + 1) - here),
                                                              fabs(luma_at(f, y + 1, x) - here));
            static const double below[] = {0.004, 0.012, 0.03}, above[] = {0.1, 0.25};
            for (int k = 0; k < 3; k++) v[4 + k] += (step < below[k]) / m;
            for (int k = 0; k < 2; k++) v[7 + k] += (step > above[k]) / m;
        }
    return 9;
}

// Roughness: how far pixels lie from the mean of their neighbours; dark lines: pixels darker than
// those two to either side.
static int look_at_grain(const frame *f, double *v)
{
    const double n = (double)((f->height - 4) * (f->width - 4));
    double mean = 0;
    for (int64_t y = 2; y + 2 < f->height; y++)
        for (int64_t x = 2; x + 2 < f->width; x++) {
            const double here = luma_at(f, y, x);
            const double rough = fabs(4 * here - luma_at(f, y - 1, x) - luma_at(f, y + 1, x) -
                                      luma_at(f, y, x - 1) - luma_at(f, y, x + 1));
            const double across = fmin(luma_at(f, y, x - 2), luma_at(f, y, x + 2)) - here;
            const double along = fmin(luma_at(f, y - 2, x), luma_at(f, y + 2, x)) - here;
            const double line = fmax(across, along);
            static const double below[] = {0.004, 0.01, 0.02, 0.04, 0.1};
            for (int k = 0; k < 5; k++) v[1 + k] += (rough < below[k]) / n;
            v[6] += (line > 0.1) / n;
            v[7] += (line > 0.2) / n;
            v[8] += (line > 0.15 && here < 0.2) / n;
            mean += rough / n;
        }
    v[0] = log(0.002 + mean);
    return 9;
}

// ---- layout ------------------------------------------------------------------------------------

static void look_at_layout(const frame *f, double *v)
{
    double tones[TONES] = {0}, *edges = v + CELLS_HIGH * CELLS_WIDE * 3;
    const int64_t h = f->height, w = f->width;
    const double cell = (double)(h * w) / (CELLS_HIGH * CELLS_WIDE), row = (double)(h * w) / 8;
    for (int64_t y = 0; y < h; y++)
        for (int64_t x = 0; x < w; x++) {
            const uint8_t *p = f->rgb + 3 * (y * w + x);
            const int64_t high = y * CELLS_HIGH / h, at = high * CELLS_WIDE + x * CELLS_WIDE / w;
            for (int c = 0; c < 3; c++) v[3 * at + c] += p[c] / 255.0 / cell;
            tones[(p[0] >> 6) * 16 + (p[1] >> 6) * 4 + (p[2] >> 6)]++;
            const double here = luma_at(f, y, x);
            if (x + 1 < w) edges[2 * high] += fabs(luma_at(f, y, x + 1) - here) / row;
            if (y + 1 < h) edges[2 * high + 1] += fabs(luma_at(f, y + 1, x) - here) / row;
        }
    for (int k = 0; k < TONES; k++) edges[16 + k] += sqrt(tones[k] / (double)(h * w));
}

tk_status tk_setting_look_at(const uint8_t *rgb, int64_t frames, int64_t height, int64_t width,
                             tk_setting_look *out)
{
    frame f = {.height = height, .width = width};
    const int64_t looks = frames < LOOKS ? frames : LOOKS;
    TK_NEW(f.luma, height * width);
    memset(out, 0, sizeof *out);
    for (int64_t k = 0; k < looks; k++) {
        double manner[TK_SETTING_MANNERS] = {0}, layout[TK_SETTING_LAYOUT] = {0};
        f.rgb = rgb + k * frames / looks * height * width * 3;
        find_luma(&f);
        look_at_grain(&f, manner + look_at_steps(&f, manner));
        look_at_layout(&f, layout);
        for (int i = 0; i < TK_SETTING_MANNERS; i++) out->manner[i] += manner[i] / (double)looks;
        for (int i = 0; i < TK_SETTING_LAYOUT; i++) out->layout[i] += layout[i] / (double)looks;
    }
    tk_free(f.luma);
    return TK_OK;
}

// ---- what was learned --------------------------------------------------------------------------

static int label_of_place(const tk_setting *counts, const tk_setting *s)
{
    return (s->set * counts->side + s->side) * counts->size + s->size;
}

// What tells styles: manners, their products, for what counts as sharp or flat is another thing in
// pictures that a codec has blurred, and the layout.
enum { STYLE_SEEN = TK_SETTING_MANNERS * (TK_SETTING_MANNERS + 3) / 2 + TK_SETTING_LAYOUT };

static void see_style(const tk_setting_look *look, double *x)
{
    const double *m = look->manner;
    for (int i = 0; i < TK_SETTING_MANNERS; i++) {
        *x++ = m[i];
        for (int k = 0; k <= i; k++) *x++ = m[i] * m[k];
    }
    memcpy(x, look->layout, sizeof look->layout);
}

static tk_status learn_style(int64_t n, const tk_setting_look *look, const tk_setting *label,
                             double *x, int *of, tk_arena *a, tk_settings *s)
{
    for (int64_t i = 0; i < n; i++) {
        see_style(&look[i], x + i * STYLE_SEEN);
        of[i] = label[i].style * s->counts.set + label[i].set;
    }
    return tk_classes_learn(n, STYLE_SEEN, s->counts.style * s->counts.set, x, of, 1e-3, a,
                            &s->style);
}

tk_status tk_settings_learn(int64_t n, const tk_setting_look *look, const tk_setting *label,
                            tk_setting counts, tk_arena *a, tk_settings *out)
{
    double *x;
    int *of;
    *out = (tk_settings){.counts = counts};
    TK_ARENA_NEW(out->layout, a, counts.style);
    TK_ARENA_NEW(x, a, n * STYLE_SEEN);
    TK_ARENA_NEW(of, a, n);
    TK_TRY(learn_style(n, look, label, x, of, a, out));
    for (int q = 0; q < counts.style; q++) {
        int64_t shown = 0;
        for (int64_t i = 0; i < n; i++) {
            if (label[i].style != q) continue;
            memcpy(x + shown * TK_SETTING_LAYOUT, look[i].layout, sizeof look[i].layout);
            of[shown++] = label_of_place(&counts, &label[i]);
        }
        TK_TRY(tk_classes_learn(shown, TK_SETTING_LAYOUT, counts.set * counts.side * counts.size, x,
                                of, 0.1, a, &out->layout[q]));
    }
    return TK_OK;
}

static int likeliest(int n, const double *odds)
{
    int best = 0;
    for (int k = 1; k < n; k++)
        if (odds[k] > odds[best]) best = k;
    return best;
}

tk_status tk_settings_find(const tk_settings *s, const tk_setting_look *look, tk_setting *out)
{
    const tk_setting *of = &s->counts;
    const int places = of->set * of->side * of->size;
    double *odds, *sum, seen[STYLE_SEEN];
    tk_arena a;
    tk_arena_init(&a, 0);
    *out = (tk_setting){-1, -1, -1, -1};
    see_style(look, seen);
    tk_status st = TK_OK;
    odds = tk_arena_alloc(&a, (size_t)(places + of->style * of->set) * sizeof *odds);
    sum = tk_arena_alloc(&a, (size_t)(places + of->style) * sizeof *sum);
    if (!odds || !sum) st = TK_FAIL(TK_MEMORY, "out of memory for a judge");
    if (st == TK_OK && tk_classes_find(&s->style, seen, odds) >= 0) {
        for (int k = 0; k < of->style * of->set; k++) sum[k / of->set] += odds[k];
        out->style = likeliest(of->style, sum);
    }
    if (out->style >= 0 && tk_classes_find(&s->layout[out->style], look->layout, odds) >= 0) {
        memset(sum, 0, (size_t)(places + of->style) * sizeof *sum);
        for (int k = 0; k < places; k++) sum[k / of->size] += odds[k]; // set and side
        const int wall = likeliest(of->set * of->side, sum);
        out->set = wall / of->side, out->side = wall % of->side;
        memset(sum, 0, (size_t)(places + of->style) * sizeof *sum);
        for (int k = 0; k < places; k++) sum[k % of->size] += odds[k];
        out->size = likeliest(of->size, sum);
    }
    tk_arena_free(&a);
    return st;
}
