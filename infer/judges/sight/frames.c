// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/frames.h"
#include "core/base/list.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- marks -------------------------------------------------------------------------------------

// Row or column of the small picture that pixel i of n falls into.
static int64_t small_of(int64_t i, int64_t n)
{
    return i * TK_MARK_SIDE / n;
}

// The small picture: means of what falls into each pixel; nearest where the picture is smaller.
static void shrink(const uint8_t *rgb, int64_t height, int64_t width, uint8_t *small)
{
    uint32_t sum[TK_MARK_SIDE * TK_MARK_SIDE][3] = {{0}}, n[TK_MARK_SIDE * TK_MARK_SIDE] = {0};
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++) {
            const int64_t k = small_of(j, height) * TK_MARK_SIDE + small_of(i, width);
            for (int c = 0; c < 3; c++) sum[k][c] += rgb[(j * width + i) * 3 + c];
            n[k]++;
        }
    for (int64_t k = 0; k < TK_MARK_SIDE * TK_MARK_SIDE; k++) {
        const int64_t j = k / TK_MARK_SIDE * height / TK_MARK_SIDE;
        const int64_t i = k % TK_MARK_SIDE * width / TK_MARK_SIDE;
        for (int c = 0; c < 3; c++)
            small[k * 3 + c] = n[k] ? (uint8_t)(sum[k][c] / n[k]) : rgb[(j * width + i) * 3 + c];
    }
}

// Adds a pixel to the colours nearest to it, in parts, so that a slow change is a small one.
static void add_tone(const uint8_t *p, float share, float *tones)
{
    int low[3];
    float part[3];
    for (int c = 0; c < 3; c++) {
        const float x = (float)p[c] * (3 / 255.0f);
        low[c] = x < 2 ? (int)x : 2;
        part[c] = x - (float)low[c];
    }
    for (int k = 0; k < 8; k++) {
        float w = share;
        int at = 0;
        for (int c = 0; c < 3; c++) {
            const int high = k >> c & 1;
            w *= high ? part[c] : 1 - part[c];
            at = 4 * at + low[c] + high;
        }
        tones[at] += w;
    }
}

static void mark_picture(const uint8_t *rgb, int64_t height, int64_t width, tk_mark *m)
{
    const int64_t pixels = height * width;
    double light = 0;
    memset(m, 0, sizeof *m);
    shrink(rgb, height, width, m->small);
    for (int64_t i = 0; i < pixels; i++, rgb += 3) {
        add_tone(rgb, 1 / (float)pixels, m->tones);
        light += 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
    }
    m->light = (float)(light / (255 * (double)pixels));
}

tk_status tk_frames_add(tk_frames *f, const uint8_t *rgb, int64_t height, int64_t width)
{
    TK_ROOM_FOR_ONE(f->mark, f->n, f->room, 64);
    mark_picture(rgb, height, width, &f->mark[f->n++]);
    return TK_OK;
}

void tk_frames_free(tk_frames *f)
{
    tk_free(f->mark);
    *f = (tk_frames){0};
}

// ---- differences -------------------------------------------------------------------------------

static double place_apart(const tk_mark *a, const tk_mark *b)
{
    int64_t sum = 0;
    for (size_t k = 0; k < sizeof a->small; k++) sum += abs(a->small[k] - b->small[k]);
    return (double)sum / (255.0 * sizeof a->small);
}

static double tones_apart(const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < TK_MARK_TONES; k++) sum += fabs((double)a[k] - (double)b[k]);
    return 0.5 * sum;
}

double tk_frames_apart(const tk_frames *f, int64_t i, int64_t j)
{
    const tk_mark *a = &f->mark[i], *b = &f->mark[j];
    return 0.5 * place_apart(a, b) + 0.5 * tones_apart(a->tones, b->tones);
}

double tk_frames_change(const tk_frames *f, int64_t i)
{
    return i > 0 ? place_apart(&f->mark[i - 1], &f->mark[i]) : 0;
}

// ---- shots -------------------------------------------------------------------------------------

enum { NEAR = 4 };                     // frames on either side that a cut is compared with
static const double cut_least = 0.065; // apart: more than a head that turns
static const double border_least =
    0.25; // of the picture's border: more than what moves in it changes
static const double cut_steeper = 2.5;                        // times the motion around
static const double moved_least = 0.065, moved_steeper = 1.7; // of what motion does not explain
static const double cut_lasting = 0.6; // part of the step that is still there a frame later
static const int cell_change = 5;      // of 255, beyond film grain

static int compare_steps(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Part of the picture's border, an eighth of it wide, that changes from frame i to frame j: what is
// filmed is in the middle, and the border changes where the camera does.
static double border_apart(const tk_frames *f, int64_t i, int64_t j)
{
    enum { IN = TK_MARK_SIDE / 8, OUT = TK_MARK_SIDE - IN };
    const uint8_t *a = f->mark[i].small, *b = f->mark[j].small;
    int n = 0, all = 0;
    for (int k = 0; k < TK_MARK_SIDE * TK_MARK_SIDE; k++, a += 3, b += 3) {
        const int x = k % TK_MARK_SIDE, y = k / TK_MARK_SIDE;
        if (x >= IN && x < OUT && y >= IN && y < OUT) continue;
        n += abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]) > 3 * cell_change;
        all++;
    }
    return (double)n / all;
}

// How far apart the frames are where both show the same, if one is the other moved by (x, y) cells.
static double shifted_apart(const tk_mark *a, const tk_mark *b, int x, int y)
{
    const int side = TK_MARK_SIDE, wide = side - abs(x), high = side - abs(y);
    int64_t sum = 0;
    for (int j = y < 0 ? -y : 0, row = 0; row < high; row++, j++) {
        const int i = x < 0 ? -x : 0;
        const uint8_t *p = a->small + ((int64_t)j * side + i) * 3,
                      *q = b->small + ((int64_t)(j + y) * side + i + x) * 3;
        for (int k = 0; k < 3 * wide; k++) sum += abs(p[k] - q[k]);
    }
    return (double)sum / (255.0 * 3 * wide * high);
}

// What no motion of the camera explains: how far apart they are when moved as fits best.
static double moved_apart(const tk_frames *f, int64_t i, int64_t j)
{
    enum { FAR = 2 }; // cells
    double least = 1;
    for (int y = -FAR; y <= FAR; y++)
        for (int x = -FAR; x <= FAR; x++)
            least = fmin(least, shifted_apart(&f->mark[i], &f->mark[j], x, y));
    return least;
}

typedef double measure(const tk_frames *f, int64_t i, int64_t j); // of how frames differ

static double step_at(const tk_frames *f, measure *m, int64_t i)
{
    return i > 0 && i < f->n ? m(f, i - 1, i) : 0;
}

// The steps nearest to frame i on the side of `way`, -1 or 1, but those of held frames, which film
// at a lower rate than it is read at has.
static int steps_beside(const tk_frames *f, measure *m, int64_t i, int way, double *to)
{
    int n = 0;
    for (int64_t k = i + way; k > 0 && k < f->n && n < NEAR && llabs(k - i) <= 4 * NEAR; k += way) {
        if (memcmp(f->mark[k].small, f->mark[k - 1].small, sizeof f->mark[k].small) == 0) continue;
        to[n++] = step_at(f, m, k);
    }
    return n;
}

// The usual step around frame i: the median of its neighbours'; none where hardly anything changes.
static double usual_step(const tk_frames *f, measure *m, int64_t i)
{
    double near[2 * NEAR];
    int n = steps_beside(f, m, i, -1, near);
    n += steps_beside(f, m, i, 1, near + n);
    qsort(near, (size_t)n, sizeof *near, compare_steps);
    return n >= 3 ? near[n / 2] : 0;
}

static bool steps_out(const tk_frames *f, measure *m, double least, double steeper, int64_t i)
{
    const double step = step_at(f, m, i);
    if (step < least || step_at(f, m, i + 1) > step || step_at(f, m, i - 1) >= step) return false;
    if (step < steeper * usual_step(f, m, i)) return false;
    // A flash is gone a frame later.
    return i + 1 == f->n || m(f, i - 1, i + 1) >= cut_lasting * step;
}

static bool is_cut(const tk_frames *f, int64_t i)
{
    return steps_out(f, border_apart, border_least, cut_steeper, i) ||
           steps_out(f, tk_frames_apart, cut_least, cut_steeper, i) ||
           steps_out(f, moved_apart, moved_least, moved_steeper, i);
}

int64_t tk_frames_shots(const tk_frames *f, int64_t *at)
{
    int64_t n = 0;
    for (int64_t i = 0; i < f->n; i++)
        if (i == 0 || is_cut(f, i)) at[n++] = i;
    return n;
}

// The largest step to a frame that is not beside one of those at (n); 0: there is none.
static int64_t largest_beside(const tk_frames *f, int64_t n, const int64_t *at)
{
    int64_t best = 0;
    double most = -1;
    for (int64_t i = 1; i < f->n; i++) {
        bool is_free = true;
        for (int64_t k = 0; k < n; k++) is_free &= llabs(at[k] - i) > 1;
        const double step = is_free ? tk_frames_apart(f, i - 1, i) : -1;
        if (step > most) most = step, best = i;
    }
    return best;
}

int64_t tk_frames_largest(const tk_frames *f, int64_t n, int64_t *at)
{
    int64_t found = 0;
    for (int64_t i; found < n && (i = largest_beside(f, found, at)) > 0;) {
        int64_t k = found++;
        for (; k > 0 && at[k - 1] > i; k--) at[k] = at[k - 1];
        at[k] = i;
    }
    return found;
}

tk_cuts_found tk_frames_match_cuts(int64_t n_found, const int64_t *found, int64_t n_asked,
                                   const int64_t *asked, int64_t near)
{
    int64_t hits = 0, next = 0;
    for (int64_t i = 0; i < n_asked; i++) {
        while (next < n_found && found[next] < asked[i] - near) next++;
        if (next < n_found && found[next] <= asked[i] + near) hits++, next++;
    }
    const int64_t of = n_found > n_asked ? n_found : n_asked;
    return of ? (tk_cuts_found){hits, of} : (tk_cuts_found){1, 1};
}

// ---- what lasts --------------------------------------------------------------------------------

static int64_t shot_end(const tk_frames *f, int64_t n_shots, const int64_t *shot, int64_t k)
{
    return k + 1 < n_shots ? shot[k + 1] : f->n;
}

double tk_frames_flicker(const tk_frames *f, int64_t n_shots, const int64_t *shot)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < n_shots; k++)
        for (int64_t i = shot[k] + 1; i + 1 < shot_end(f, n_shots, shot, k); i++, n++)
            sum += fabs((double)f->mark[i].light -
                        0.5 * ((double)f->mark[i - 1].light + (double)f->mark[i + 1].light));
    return n ? 100 * sum / (double)n : 0;
}

static void mean_tones(const tk_frames *f, int64_t begin, int64_t end, float *tones)
{
    memset(tones, 0, TK_MARK_TONES * sizeof *tones);
    for (int64_t i = begin; i < end; i++)
        for (int k = 0; k < TK_MARK_TONES; k++)
            tones[k] += f->mark[i].tones[k] / (float)(end - begin);
}

double tk_frames_drift(const tk_frames *f, int64_t n_shots, const int64_t *shot, int64_t k)
{
    float first[TK_MARK_TONES], later[TK_MARK_TONES];
    mean_tones(f, shot[0], shot_end(f, n_shots, shot, 0), first);
    mean_tones(f, shot[k], shot_end(f, n_shots, shot, k), later);
    return tones_apart(first, later);
}

// ---- moments -----------------------------------------------------------------------------------

static const double still = 0.002; // a change that cannot be seen

int64_t tk_frames_events(const tk_frames *f, int64_t n_shots, const int64_t *shot, int64_t *at)
{
    int64_t n = 0;
    for (int64_t k = 0; k < n_shots; k++) {
        if (k) at[n++] = shot[k];
        for (int64_t i = shot[k] + 2; i < shot_end(f, n_shots, shot, k); i++) {
            const double a = tk_frames_change(f, i - 1) + still, b = tk_frames_change(f, i) + still;
            if (b > 2 * a || a > 2 * b) at[n++] = i;
        }
    }
    return n;
}
