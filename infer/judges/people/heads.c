// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/people/heads.h"
#include "core/numbers/rng.h"
#include "infer/judges/people/windows.h"
#include <math.h>
#include <string.h>

// A window round a head: cells of a square, a head's half height being 1.
enum {
    HIGH = 14,
    WIDE = 12,
    CELLS = HIGH * WIDE * 3,
    HEADS = TK_HEAD_PEOPLE * TK_HEAD_TURNS,
    NONE = HEADS,               // what is anywhere
    MISTAKEN,                   // what was taken for a head
    TEMPLATES,                  // 32
    SHAKEN = 3,                 // examples made of each head
    ANYWHERE = 3,               // and of what is no head, of each picture
    MISTAKES = 4,               // and at most so many of what was mistaken
    CANDIDATES = TK_HEADS_SEEN, // looked at more closely
    SEARCHED = 4                // every so many pictures are searched for mistakes
};
static const double left = -1.6, top = -2.0, cell = 3.2 / WIDE, finer = 1.17;

typedef struct tk_head_lens {
    float weight[CELLS][TEMPLATES];
    float bias[TEMPLATES];
} tk_head_lens;

// ---- windows -----------------------------------------------------------------------------------

static void see_window(const tk_sums *s, double x, double y, double r, float *out)
{
    tk_sums_cells(s, x + left * r, y + top * r, cell * r, HIGH, WIDE, out);
}

// ---- finding -----------------------------------------------------------------------------------

// Templates are weighed by so many at once, in windows beside each other, so that a weight that was
// fetched is used for several.
enum { BESIDE = 3, LANES = 8, VECTORS = TEMPLATES / LANES };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

// sum (BESIDE, TEMPLATES) of the window whose rows of cells are `row` numbers apart, and of those
// that begin one cell and two farther right.
static void weigh_windows(const tk_head_lens *l, const float *cells, int64_t row, float *sum)
{
    lanes of[BESIDE][VECTORS];
    for (int q = 0; q < BESIDE; q++)
        for (int k = 0; k < VECTORS; k++) of[q][k] = ((const lanes *)l->bias)[k];
    for (int j = 0; j < HIGH; j++)
        for (int i = 0; i < WIDE * 3; i++) {
            const float *v = cells + j * row + i;
            const lanes *w = (const lanes *)l->weight[j * WIDE * 3 + i];
            for (int k = 0; k < VECTORS; k++)
                for (int q = 0; q < BESIDE; q++) of[q][k] += v[3 * q] * w[k];
        }
    memcpy(sum, of, sizeof of);
}

static tk_head choose_template(const float sum[TEMPLATES])
{
    int best = 0;
    for (int k = 1; k < HEADS; k++)
        if (sum[k] > sum[best]) best = k;
    const float none = sum[NONE] > sum[MISTAKEN] ? sum[NONE] : sum[MISTAKEN];
    return (tk_head){.who = best / TK_HEAD_TURNS,
                     .turn = best % TK_HEAD_TURNS,
                     .sure = (double)(sum[best] - none)};
}

// A window alone, its rows WIDE * 3 numbers apart: what it is, and how sure that is.
static tk_head judge_window(const tk_head_lens *l, const float cells[CELLS])
{
    float sum[TEMPLATES];
    memcpy(sum, l->bias, sizeof sum);
    for (int i = 0; i < CELLS; i++)
        for (int k = 0; k < TEMPLATES; k++) sum[k] += cells[i] * l->weight[i][k];
    return choose_template(sum);
}

// Keeps the surest `room`, one of those that lie nearer to each other than a head.
static void keep_head(tk_head h, int room, tk_head *list, int *n)
{
    int at = 0, kept = 0;
    for (int i = 0; i < *n; i++) {
        const bool near = hypot(list[i].x - h.x, list[i].y - h.y) < fmax(list[i].r, h.r);
        if (near && list[i].sure >= h.sure) return;
        if (!near) list[kept++] = list[i];
    }
    *n = kept;
    while (at < *n && list[at].sure >= h.sure) at++;
    if (at == room) return;
    if (*n == room) --*n;
    memmove(list + at + 1, list + at, (size_t)(*n - at) * sizeof *list);
    list[at] = h;
    ++*n;
}

static tk_status scan(const tk_head_lens *l, const tk_sums *s, int64_t height, int64_t width,
                      int room, tk_head *found, int *n)
{
    *n = 0;
    for (double r = 1.04 * TK_HEAD_LEAST; r < 0.27 * (double)height; r *= finer) {
        const double d = cell * r;
        const int pad = 3, high = (int)((double)height / d) + 2 * pad,
                  wide = (int)((double)width / d) + 2 * pad;
        float *cells, sum[BESIDE][TEMPLATES];
        TK_NEW(cells, (int64_t)high * wide * 3 + (BESIDE - 1) * 3);
        tk_sums_cells(s, -pad * d, -pad * d, d, high, wide, cells);
        for (int j = 0; j + HIGH <= high; j++)
            for (int i = 0; i + WIDE <= wide; i++) {
                if (i % BESIDE == 0) weigh_windows(l, cells + (j * wide + i) * 3, wide * 3, sum[0]);
                tk_head h = choose_template(sum[i % BESIDE]);
                h.x = (i - pad) * d - left * r, h.y = (j - pad) * d - top * r, h.r = r;
                keep_head(h, room, found, n);
            }
        tk_free(cells);
    }
    return TK_OK;
}

// Moves a window to where it is surest: twice the best of 27, ever finer.
static tk_head look_closer(const tk_head_lens *l, const tk_sums *s, tk_head h)
{
    for (double step = 0.13; step > 0.05; step /= 2) {
        const tk_head from = h;
        for (int k = 0; k < 27; k++) {
            float cells[CELLS];
            const double r = from.r * (1 + 0.6 * step * (k / 9 - 1));
            const double x = from.x + step * from.r * (k % 3 - 1),
                         y = from.y + step * from.r * (k / 3 % 3 - 1);
            see_window(s, x, y, r, cells);
            tk_head there = judge_window(l, cells);
            there.x = x, there.y = y, there.r = r;
            if (k == 0 || there.sure > h.sure) h = there;
        }
    }
    return h;
}

tk_status tk_heads_find(const tk_head_finder *h, int style, const uint8_t *rgb, int room,
                        tk_head *found, int *n)
{
    tk_head list[CANDIDATES];
    tk_sums s;
    int listed;
    *n = 0;
    TK_TRY(tk_sums_of(rgb, h->height, h->width, &s));
    const tk_status st = scan(&h->of[style], &s, h->height, h->width, CANDIDATES, list, &listed);
    for (int i = 0; st == TK_OK && i < listed; i++) {
        const tk_head head = look_closer(&h->of[style], &s, list[i]);
        if (head.sure > 0) keep_head(head, room, found, n);
    }
    tk_free(s.at);
    return st;
}

// ---- learning ----------------------------------------------------------------------------------

typedef struct lesson { // of one style
    const tk_head_finder *heads;
    int64_t n;
    const tk_head_picture **picture; // (n)
    double *x;                       // examples (n * EACH, CELLS)
    int *label;                      // (n * EACH), -1: none there
} lesson;
enum { EACH = TK_HEADS * SHAKEN + ANYWHERE + MISTAKES };

static void put_example(lesson *l, int64_t at, const tk_sums *s, double x, double y, double r,
                        int label)
{
    float cells[CELLS];
    see_window(s, x, y, r, cells);
    for (int i = 0; i < CELLS; i++) l->x[at * CELLS + i] = (double)cells[i];
    l->label[at] = label;
}

static bool is_head(const tk_head_picture *p, double x, double y, double r)
{
    for (int i = 0; i < p->n; i++) {
        const tk_head *h = &p->head[i];
        if (fmax(fabs(x - h->x), fabs(y - h->y)) < 0.6 * h->r && fabs(log(r / h->r)) < 0.4)
            return true;
    }
    return false;
}

static bool is_judged(const tk_head_finder *of, const tk_head *h)
{
    const double w = 0.9 * h->r;
    return h->r >= TK_HEAD_LEAST && h->x > w && h->y > h->r && h->x < (double)of->width - w &&
           h->y < (double)of->height - h->r;
}

static tk_status show_heads(lesson *l, int64_t i)
{
    const tk_head_picture *p = l->picture[i];
    const tk_key key = tk_rng_key(0, TK_RNG_EXAMPLES, (uint64_t)i);
    const double high = (double)l->heads->height, wide = (double)l->heads->width;
    uint64_t draw = 0;
    int64_t at = i * EACH;
    tk_sums s;
    TK_TRY(tk_sums_of(p->rgb, l->heads->height, l->heads->width, &s));
    for (int k = 0; k < p->n; k++) {
        const tk_head *h = &p->head[k];
        for (int q = 0; q < SHAKEN && is_judged(l->heads, h); q++) {
            double off[3];
            for (int c = 0; c < 3; c++) off[c] = 2 * tk_rng_uniform(key, draw++) - 1;
            put_example(l, at++, &s, h->x + 0.12 * h->r * off[0], h->y + 0.12 * h->r * off[1],
                        h->r * (1 + 0.08 * off[2]), h->who * TK_HEAD_TURNS + h->turn);
        }
    }
    for (int q = 0; q < ANYWHERE; q++) {
        const double x = wide * tk_rng_uniform(key, draw++), y = high * tk_rng_uniform(key, draw++);
        const double r =
            TK_HEAD_LEAST * pow(0.26 * high / TK_HEAD_LEAST, tk_rng_uniform(key, draw++));
        if (!is_head(p, x, y, r)) put_example(l, at++, &s, x, y, r, NONE);
    }
    tk_free(s.at);
    return TK_OK;
}

static tk_status show_mistakes(lesson *l, int style, int64_t i)
{
    tk_head found[CANDIDATES];
    const tk_head_picture *p = l->picture[i];
    int n, listed = 0;
    tk_sums s;
    TK_TRY(tk_sums_of(p->rgb, l->heads->height, l->heads->width, &s));
    const tk_status st =
        scan(&l->heads->of[style], &s, l->heads->height, l->heads->width, CANDIDATES, found, &n);
    for (int k = 0; st == TK_OK && k < n; k++)
        if (found[k].sure > -2 && !is_head(p, found[k].x, found[k].y, found[k].r))
            put_example(l, (i + 1) * EACH - MISTAKES + listed++, &s, found[k].x, found[k].y,
                        found[k].r, MISTAKEN);
    tk_free(s.at);
    return st;
}

static tk_status learn_lens(lesson *l, tk_head_lens *lens)
{
    tk_arena a;
    tk_classes c;
    tk_arena_init(&a, 0);
    int64_t n = 0;
    double *x = tk_arena_alloc(&a, (size_t)(l->n * EACH * CELLS) * sizeof *x);
    int *label = tk_arena_alloc(&a, (size_t)(l->n * EACH) * sizeof *label);
    tk_status st = x && label ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for examples");
    for (int64_t i = 0; st == TK_OK && i < l->n * EACH; i++) {
        if (l->label[i] < 0) continue;
        memcpy(x + n * CELLS, l->x + i * CELLS, CELLS * sizeof *x);
        label[n++] = l->label[i];
    }
    if (st == TK_OK) st = tk_classes_learn(n, CELLS, TEMPLATES, x, label, 0.1, &a, &c);
    for (int k = 0; st == TK_OK && k < TEMPLATES; k++) {
        double bias = c.shown[k] ? c.bias[k] : -1e6;
        for (int i = 0; i < CELLS; i++) {
            const double w = c.weight[k * CELLS + i] / c.spread[i];
            lens->weight[i][k] = (float)w;
            bias -= w * c.middle[i];
        }
        lens->bias[k] = (float)bias;
    }
    tk_arena_free(&a);
    return st;
}

static tk_status learn_style_of_heads(lesson *l, int style)
{
    tk_team team = {TK_OK, ""};
    for (int64_t i = 0; i < l->n * EACH; i++) l->label[i] = -1;
#pragma omp parallel for schedule(dynamic, 4)
    for (int64_t i = 0; i < l->n; i++)
        if (!tk_team_failed(&team)) tk_team_report(&team, show_heads(l, i));
    TK_TRY(tk_team_result(&team));
    TK_TRY(learn_lens(l, &l->heads->of[style]));
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t i = 0; i < l->n; i += SEARCHED)
        if (!tk_team_failed(&team)) tk_team_report(&team, show_mistakes(l, style, i));
    TK_TRY(tk_team_result(&team));
    return learn_lens(l, &l->heads->of[style]);
}

tk_status tk_heads_learn(int64_t n, const tk_head_picture *picture, int styles, int64_t height,
                         int64_t width, tk_arena *a, tk_head_finder *out)
{
    *out = (tk_head_finder){.height = height, .width = width, .styles = styles};
    TK_ARENA_NEW(out->of, a, styles);
    tk_status st = TK_OK;
    for (int q = 0; q < styles && st == TK_OK; q++) {
        tk_arena own;
        tk_arena_init(&own, 0);
        lesson l = {.heads = out};
        l.picture = tk_arena_alloc(&own, (size_t)n * sizeof(void *));
        for (int64_t i = 0; l.picture && i < n; i++)
            if (picture[i].style == q) l.picture[l.n++] = &picture[i];
        l.x = tk_arena_alloc(&own, (size_t)(l.n * EACH * CELLS) * sizeof(double));
        l.label = tk_arena_alloc(&own, (size_t)(l.n * EACH) * sizeof(int));
        st = l.picture && l.x && l.label ? learn_style_of_heads(&l, q)
                                         : TK_FAIL(TK_MEMORY, "out of memory for examples");
        tk_arena_free(&own);
    }
    return st;
}
