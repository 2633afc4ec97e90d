// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/look.h"
#include "infer/mark/window.h"
#include <kiss_fftnd.h>
#include <math.h>
#include <string.h>

enum { SCALES = TK_MARK_SCALES, OF_VIEW = TK_MARK_OF_VIEW };

typedef struct look_up {   // of the transform, between four of its points
    int at[4], against[4]; // at the line's frequency; at the opposite one
    float weight[4];
} look_up;

struct tk_mark_look {
    int64_t wide, high, pad_wide, pad_high;
    look_up *where;                 // (PAIRS, SCALES, LINES), by wave
    kiss_fftnd_cfg whole;           // transform of a picture
    float *luma, *before;           // (high, wide) as shown, now and before
    float *field_of, *flat;         // (high, wide)
    double *sums;                   // ((high + 1), (wide + 1))
    kiss_fft_cpx *field, *spectrum; // (pad_high, pad_wide); re: what it shows, im: what changed
    kiss_fft_cpx *shown;            // (PAIRS, SCALES, LINES, WAYS), by wave
    bool begun;                     // there is a picture before
    tk_mark_window window;
};

// ---- opening -----------------------------------------------------------------------------------

void tk_mark_look_size(int64_t width, int64_t height, int64_t *wide, int64_t *high)
{
    const double k = (double)TK_MARK_ROWS / (double)(width < height ? width : height);
    const double most = 4 * TK_MARK_ROWS;
    *wide = (int64_t)rint(fmin((double)width * k, most));
    *high = (int64_t)rint(fmin((double)height * k, most));
}

// Twice as long, of factors 2, 3 and 5.
static int64_t padded(int64_t n)
{
    for (int64_t m = 2 * n;; m++) {
        int64_t rest = m;
        for (int p = 2; p <= 5; p++)
            while (rest % p == 0) rest /= p;
        if (rest == 1) return m;
    }
}

// Bilinear, of frequencies kx and ky turns per tile of `side` points.
static look_up look_up_at(const tk_mark_look *l, int kx, int ky, double side)
{
    const double u = kx * (double)l->pad_wide / side, v = ky * (double)l->pad_high / side;
    const int64_t x = (int64_t)floor(u), y = (int64_t)floor(v);
    const float px = (float)(u - floor(u)), py = (float)(v - floor(v));
    look_up out;
    for (int i = 0; i < 4; i++) {
        const int64_t cx = (x + i % 2 + l->pad_wide) % l->pad_wide;
        const int64_t cy = (y + i / 2 + l->pad_high) % l->pad_high;
        out.at[i] = (int)(cy * l->pad_wide + cx);
        out.against[i] = (int)((l->pad_high - cy) % l->pad_high * l->pad_wide +
                               (l->pad_wide - cx) % l->pad_wide);
        out.weight[i] = (i % 2 ? px : 1 - px) * (i / 2 ? py : 1 - py);
    }
    return out;
}

static tk_status new_transform(tk_mark_look *l, tk_arena *a)
{
    const int dims[2] = {(int)l->pad_high, (int)l->pad_wide};
    size_t bytes = 0;
    char *memory;
    kiss_fftnd_alloc(dims, 2, 0, NULL, &bytes);
    TK_ARENA_NEW(memory, a, (int64_t)bytes);
    l->whole = kiss_fftnd_alloc(dims, 2, 0, memory, &bytes);
    return l->whole ? TK_OK : TK_FAIL(TK_INTERNAL, "no Fourier transform");
}

tk_status tk_mark_look_open(tk_arena *a, tk_mark_key key, int64_t wide, int64_t high,
                            tk_mark_look **out)
{
    tk_mark_look *l;
    TK_ARENA_NEW(l, a, 1);
    l->wide = wide;
    l->high = high;
    l->pad_wide = padded(wide);
    l->pad_high = padded(high);
    TK_TRY(tk_mark_window_open(a, key, &l->window));
    TK_TRY(new_transform(l, a));
    TK_ARENA_NEW(l->where, a, (int64_t)TK_MARK_PAIRS * OF_VIEW);
    TK_ARENA_NEW(l->shown, a, (int64_t)TK_MARK_PAIRS * OF_VIEW * TK_MARK_WAYS);
    TK_ARENA_NEW(l->luma, a, wide * high);
    TK_ARENA_NEW(l->before, a, wide * high);
    TK_ARENA_NEW(l->field_of, a, wide * high);
    TK_ARENA_NEW(l->flat, a, wide * high);
    TK_ARENA_NEW(l->sums, a, (wide + 1) * (high + 1));
    TK_ARENA_NEW(l->field, a, l->pad_wide * l->pad_high);
    TK_ARENA_NEW(l->spectrum, a, l->pad_wide * l->pad_high);
    for (int k = 0; k < TK_MARK_LINES; k++)
        for (int i = 0; i < TK_MARK_PAIRS * SCALES; i++) {
            const tk_mark_line *line = &l->window.line[k];
            int x, y;
            tk_mark_seen_at(i / SCALES, line, &x, &y);
            l->where[i * TK_MARK_LINES + line->wave] =
                look_up_at(l, x, y, TK_MARK_TILE * tk_mark_scale(i % SCALES));
        }
    *out = l;
    return TK_OK;
}

// ---- a picture ---------------------------------------------------------------------------------

// out: the mean of x over the box of 2 r + 1 points around each, cut at the edges.
static void blur(const tk_mark_look *l, const float *x, bool squares, int r, float *out)
{
    const int64_t w = l->wide, h = l->high;
    double *sums = l->sums;
    for (int64_t y = 0; y < h; y++) {
        double row = 0;
        for (int64_t i = 0; i < w; i++) {
            const double v = (double)x[y * w + i];
            row += squares ? v * v : v;
            sums[(y + 1) * (w + 1) + i + 1] = sums[y * (w + 1) + i + 1] + row;
        }
    }
    for (int64_t y = 0; y < h; y++) {
        const int64_t y0 = y < r ? 0 : y - r, y1 = y + r + 1 > h ? h : y + r + 1;
        for (int64_t i = 0; i < w; i++) {
            const int64_t x0 = i < r ? 0 : i - r, x1 = i + r + 1 > w ? w : i + r + 1;
            const double *a = sums + y0 * (w + 1), *b = sums + y1 * (w + 1);
            out[y * w + i] =
                (float)((b[x1] - b[x0] - a[x1] + a[x0]) / (double)((y1 - y0) * (x1 - x0)));
        }
    }
}

// What differs from its surroundings in `field_of`, by how much things differ there, its middle at
// point 0 of the field.
static void flatten(tk_mark_look *l, bool changes)
{
    const int64_t w = l->wide, h = l->high, n = w * h;
    float *x = l->field_of;
    blur(l, x, false, 4, l->flat);
    for (int64_t i = 0; i < n; i++) x[i] -= l->flat[i];
    blur(l, x, true, 7, l->flat);
    for (int64_t i = 0; i < n; i++) {
        const float busy = sqrtf(fmaxf(l->flat[i], 0)) + 1;
        const float v = fminf(fmaxf(x[i] / busy, -2), 2);
        const int64_t to_x = (i % w - w / 2 + l->pad_wide) % l->pad_wide;
        const int64_t to_y = (i / w - h / 2 + l->pad_high) % l->pad_high;
        kiss_fft_cpx *to = &l->field[to_y * l->pad_wide + to_x];
        if (changes)
            to->i = v;
        else
            to->r = v;
    }
}

// What an encoder skips it shows as it was: there the mark stands still, and what is turned back by
// the drift cancels. What it did write anew is what changed; both are looked at, in one transform.
static void fill_field(tk_mark_look *l, const uint8_t *rgb)
{
    const int64_t n = l->wide * l->high;
    float *before = l->luma;
    l->luma = l->before;
    l->before = before;
    for (int64_t i = 0; i < n; i++)
        l->luma[i] = 0.2126f * rgb[3 * i] + 0.7152f * rgb[3 * i + 1] + 0.0722f * rgb[3 * i + 2];
    memcpy(l->field_of, l->luma, (size_t)n * sizeof *l->luma);
    flatten(l, false);
    for (int64_t i = 0; i < n; i++) l->field_of[i] = l->begun ? l->luma[i] - before[i] : 0;
    flatten(l, true);
    l->begun = true;
}

// Of both ways, twice: fields are real, so that their transforms are told apart by symmetry.
static void look_up_in(const kiss_fft_cpx *spectrum, const look_up *w, kiss_fft_cpx v[TK_MARK_WAYS])
{
    kiss_fft_cpx a = {0, 0}, b = {0, 0};
    for (int i = 0; i < 4; i++) {
        a.r += w->weight[i] * spectrum[w->at[i]].r;
        a.i += w->weight[i] * spectrum[w->at[i]].i;
        b.r += w->weight[i] * spectrum[w->against[i]].r;
        b.i += w->weight[i] * spectrum[w->against[i]].i;
    }
    v[0] = (kiss_fft_cpx){a.r + b.r, a.i - b.i};
    v[1] = (kiss_fft_cpx){a.i + b.i, b.r - a.r};
}

void tk_mark_look_at(tk_mark_look *l, const uint8_t *rgb)
{
    fill_field(l, rgb);
    kiss_fftnd(l->whole, l->field, l->spectrum);
    for (int i = 0; i < TK_MARK_PAIRS * OF_VIEW; i++)
        look_up_in(l->spectrum, &l->where[i], l->shown + i * TK_MARK_WAYS);
    tk_mark_window_add(&l->window, l->shown);
}

tk_mark_found tk_mark_look_under(tk_mark_look *l, tk_mark_key key)
{
    return tk_mark_window_under(&l->window, key);
}

tk_mark_found tk_mark_look_end(tk_mark_look *l)
{
    tk_mark_window_end(&l->window);
    tk_mark_found f = tk_mark_window_best(&l->window);
    f.said = tk_mark_decode(l->window.soft, &f.message);
    return f;
}
