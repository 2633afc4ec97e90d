// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sight/things.h"
#include <math.h>
#include <string.h>

const char *const tk_hue_name[TK_HUES] = {"red", "yellow", "green", "cyan", "blue", "pink"};
static const double hue_degrees[TK_HUES] = {0, 49, 134, 185, 226, 320};
// A pixel is of a hue if it is so near to it, in degrees, and has so much colour, of 255 and in
// percent of its brightness. Patches are looked for four times: as far as light turns hues; so near
// that neither a wooden floor is yellow nor the sea cyan; so pale as under water; and so vivid that
// what is behind a thing is not, where it is of the same hue.
typedef struct sieve {
    double degrees[TK_HUES];
    int chroma, percent;
} sieve;
enum { SIEVES = 4, NO_HUE = 255 };
static const sieve sieves[SIEVES] = {{{26, 26, 26, 26, 26, 26}, 40, 38},
                                     {{14, 10, 16, 9, 14, 16}, 40, 38},
                                     {{26, 18, 26, 10, 16, 26}, 34, 25},
                                     {{26, 26, 26, 26, 26, 26}, 110, 55}};
static const double sure = 0.8;        // odds from which a patch is believed to be a thing
static const double radius_pixels = 2; // smaller is no shape
static const double radius_least = 0.045, radius_most = 0.36; // of the frame's shorter side

// ---- a picture as hues -------------------------------------------------------------------------

typedef struct canvas { // a picture at some size
    int64_t height, width;
    const uint8_t *rgb;
    uint8_t *hue;   // (height, width) number of the hue, NO_HUE
    int32_t *label; // (height, width) patch, -1 none
    int32_t *stack; // (height, width)
} canvas;

static int highest(const uint8_t *p)
{
    return p[0] > p[1] ? (p[0] > p[2] ? p[0] : p[2]) : (p[1] > p[2] ? p[1] : p[2]);
}

static int lowest(const uint8_t *p)
{
    return p[0] < p[1] ? (p[0] < p[2] ? p[0] : p[2]) : (p[1] < p[2] ? p[1] : p[2]);
}

static double luma(const uint8_t *p)
{
    return (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2]) / 255;
}

static uint8_t hue_number(const uint8_t *p, const sieve *v)
{
    const int high = highest(p), chroma = high - lowest(p);
    if (chroma < v->chroma || chroma * 100 < v->percent * high) return NO_HUE;
    const double c = chroma, sixth = high == p[0]   ? (p[1] - p[2]) / c
                                     : high == p[1] ? 2 + (p[2] - p[0]) / c
                                                    : 4 + (p[0] - p[1]) / c;
    const double degrees = fmod(60 * sixth + 360, 360);
    int best = NO_HUE;
    double least = 360;
    for (int k = 0; k < TK_HUES; k++) {
        const double d = fabs(degrees - hue_degrees[k]), turn = d > 180 ? 360 - d : d;
        if (turn < least && turn < v->degrees[k]) least = turn, best = k;
    }
    return (uint8_t)best;
}

static tk_status open_canvas(const uint8_t *rgb, int64_t height, int64_t width, tk_arena *a,
                             canvas *c)
{
    *c = (canvas){.height = height, .width = width, .rgb = rgb};
    TK_ARENA_NEW(c->hue, a, height * width);
    TK_ARENA_NEW(c->label, a, height * width);
    TK_ARENA_NEW(c->stack, a, height * width);
    return TK_OK;
}

static void mark_hues(canvas *c, const sieve *v)
{
    for (int64_t i = 0; i < c->height * c->width; i++) {
        c->hue[i] = hue_number(c->rgb + 3 * i, v);
        c->label[i] = -1;
    }
}

static tk_status halve(const canvas *from, tk_arena *a, canvas *to)
{
    const int64_t height = from->height / 2, width = from->width / 2;
    uint8_t *rgb;
    TK_ARENA_NEW(rgb, a, height * width * 3);
    for (int64_t j = 0; j < height; j++)
        for (int64_t i = 0; i < width; i++)
            for (int c = 0; c < 3; c++) {
                const uint8_t *p = from->rgb + (2 * j * from->width + 2 * i) * 3 + c;
                const int64_t down = from->width * 3;
                rgb[(j * width + i) * 3 + c] =
                    (uint8_t)((p[0] + p[3] + p[down] + p[down + 3] + 2) / 4);
            }
    return open_canvas(rgb, height, width, a, to);
}

// ---- patches -----------------------------------------------------------------------------------

typedef struct patch {
    int hue;
    int32_t label;
    int64_t area, left, right, top, bottom; // pixels; right and bottom within
    double x, y;                            // middle
} patch;

// The patch of pixels like the one at `seed`, marked `label`. It bridges gaps of less than `reach`
// pixels: the stripe of a ball, an outline.
static patch flood(canvas *c, int64_t reach, int64_t seed, int32_t label)
{
    const int hue = c->hue[seed];
    patch p = {
        .hue = hue, .label = label, .left = c->width, .top = c->height, .right = -1, .bottom = -1};
    int64_t n = 0;
    c->stack[n++] = (int32_t)seed;
    c->label[seed] = label;
    while (n > 0) {
        const int64_t at = c->stack[--n], j = at / c->width, i = at % c->width;
        p.area++, p.x += (double)i + 0.5, p.y += (double)j + 0.5;
        if (i < p.left) p.left = i;
        if (i > p.right) p.right = i;
        if (j < p.top) p.top = j;
        if (j > p.bottom) p.bottom = j;
        for (int64_t v = j - reach; v <= j + reach; v++)
            for (int64_t u = i - reach; u <= i + reach; u++) {
                const int64_t to = v * c->width + u;
                if (v < 0 || u < 0 || v >= c->height || u >= c->width) continue;
                if (c->label[to] >= 0 || c->hue[to] != hue) continue;
                c->label[to] = label;
                c->stack[n++] = (int32_t)to;
            }
    }
    p.x /= (double)p.area, p.y /= (double)p.area;
    return p;
}

// ---- what a patch is like ----------------------------------------------------------------------

typedef struct total { // of pixels
    double n, x, square;
} total;

static void add_to(total *s, double x)
{
    s->n += 1, s->x += x, s->square += x * x;
}

static double mean(const total *s)
{
    return s->n > 0 ? s->x / s->n : 0;
}

static double deviation(const total *s)
{
    return s->n > 0 ? sqrt(fmax(0, s->square / s->n - mean(s) * mean(s))) : 0;
}

// Skin and hair: warm and not very bright in colour.
static bool is_skin(const uint8_t *p)
{
    return p[0] > p[1] && p[1] >= p[2] && p[0] - p[2] > 18 && p[0] - p[2] < 150 &&
           p[0] < 2 * p[1] + 30;
}

typedef struct look { // sums over a patch and what is around it
    total chroma, light, other, above, below, edge, alike, skin, ring[3];
    double square, weight; // of angles: -0.43 is an upright square, 0 a disk
    double up, down;       // light of its upper and lower half
    total upper, lower;
} look;

static void look_at_pixel(const canvas *c, const patch *p, double radius, int64_t j, int64_t i,
                          look *l)
{
    const int64_t at = j * c->width + i;
    const uint8_t *q = c->rgb + 3 * at;
    const double x = (double)i + 0.5 - p->x, y = (double)j + 0.5 - p->y, r = hypot(x, y) / radius;
    if (c->label[at] == p->label) {
        add_to(&l->chroma, (highest(q) - lowest(q)) / 255.0);
        add_to(&l->light, luma(q));
        add_to(y < 0 ? &l->upper : &l->lower, luma(q));
        l->square += x * x * x * x - 6 * x * x * y * y + y * y * y * y;
        l->weight += (x * x + y * y) * (x * x + y * y);
    } else if (r < 0.75)
        add_to(&l->other, luma(q));
    if (r > 0.95 && r < 1.25 && c->label[at] != p->label) add_to(&l->edge, luma(q));
    if (r > 1.2 && r < 1.7) {
        add_to(&l->alike, c->hue[at] == p->hue);
        for (int k = 0; k < 3; k++) add_to(&l->ring[k], q[k] / 255.0);
        if (fabs(x) < fabs(y)) add_to(y < 0 ? &l->above : &l->below, luma(q));
        if (y < 0 && fabs(x) < fabs(y)) add_to(&l->skin, is_skin(q));
    }
}

static void describe_patch(const canvas *c, const patch *p, double radius, double *f)
{
    const double wide = (double)(p->right - p->left + 1), high = (double)(p->bottom - p->top + 1);
    const double side = (double)(c->width < c->height ? c->width : c->height);
    const int64_t far = (int64_t)ceil(1.7 * radius), x = (int64_t)p->x, y = (int64_t)p->y;
    look l = {0};
    int k = 0;
    for (int64_t j = y - far; j <= y + far; j++)
        for (int64_t i = x - far; i <= x + far; i++)
            if (j >= 0 && i >= 0 && j < c->height && i < c->width)
                look_at_pixel(c, p, radius, j, i, &l);
    f[k++] = log(radius / side);
    f[k++] = (double)p->area / (wide * high);
    f[k++] = log(wide / high);
    f[k++] = fabs(log(wide / high));
    f[k++] = l.weight > 0 ? l.square / l.weight : 0;
    f[k++] = p->left == 0 || p->right == c->width - 1;
    f[k++] = p->top == 0 || p->bottom == c->height - 1;
    f[k++] = mean(&l.chroma), f[k++] = deviation(&l.chroma);
    f[k++] = mean(&l.light), f[k++] = deviation(&l.light);
    f[k++] = mean(&l.upper) - mean(&l.lower);
    f[k++] = l.other.n / (double)p->area, f[k++] = mean(&l.other);
    f[k++] = deviation(&l.other);
    f[k++] = mean(&l.edge) - mean(&l.light);
    f[k++] = mean(&l.alike);
    f[k++] = mean(&l.skin);
    f[k++] = mean(&l.above) - mean(&l.below);
    for (int q = 0; q < 3; q++) f[k++] = mean(&l.ring[q]);
    f[k++] = deviation(&l.ring[0]) + deviation(&l.ring[1]) + deviation(&l.ring[2]);
    f[k++] = p->y / (double)c->height;
    f[k++] = l.weight > 0 ? fabs(l.square / l.weight + 0.2) : 0;
    f[k++] = deviation(&l.above) + deviation(&l.below);
    tk_assert(k == TK_THING_MEASURES);
    for (int i = 0; i < TK_THING_MEASURES; i++)
        for (int j = 0; j <= i; j++) f[k++] = f[i] * f[j];
    tk_assert(k == TK_THING_FEATURES);
}

// Patches of a canvas, `scale` pixels of the picture to one of its own.
static void sight(canvas *c, const sieve *v, double scale, int64_t reach, tk_sighting *out, int *n)
{
    const double side = (double)(c->width < c->height ? c->width : c->height);
    int32_t labels = 0;
    mark_hues(c, v);
    for (int64_t i = 0; i < c->height * c->width && *n < TK_SIGHTINGS; i++) {
        if (c->hue[i] == NO_HUE || c->label[i] >= 0) continue;
        const patch p = flood(c, reach, i, labels++);
        const double radius = sqrt((double)p.area / M_PI);
        if (radius < fmax(radius_pixels, radius_least * side) || radius > radius_most * side)
            continue;
        tk_sighting *s = &out[(*n)++];
        *s = (tk_sighting){
            .hue = p.hue, .x = p.x * scale, .y = p.y * scale, .radius = radius * scale};
        describe_patch(c, &p, radius, s->feature);
    }
}

tk_status tk_sightings_of(const uint8_t *rgb, int64_t height, int64_t width, tk_arena *a,
                          tk_sighting *out, int *n)
{
    enum { HALVINGS = 3 };
    static const int64_t reach[HALVINGS] = {2, 3, 3};
    canvas c[HALVINGS];
    *n = 0;
    TK_TRY(open_canvas(rgb, height, width, a, &c[0]));
    for (int k = 1; k < HALVINGS; k++) TK_TRY(halve(&c[k - 1], a, &c[k]));
    for (int w = 0; w < SIEVES; w++)
        for (int k = 0; k < HALVINGS; k++) sight(&c[k], &sieves[w], pow(2, k), reach[k], out, n);
    return TK_OK;
}

// ---- examples ----------------------------------------------------------------------------------

static tk_status make_room_for(tk_thing_examples *e, int64_t n)
{
    if (e->n + n <= e->room) return TK_OK;
    const size_t one = TK_THING_FEATURES * sizeof *e->feature;
    const int64_t room = 2 * e->room > e->n + n ? 2 * e->room : e->n + n;
    double *feature = tk_realloc(e->feature, (size_t)e->room * one, (size_t)room * one);
    if (!feature) return TK_FAIL(TK_MEMORY, "out of memory for examples of things");
    e->feature = feature;
    int *label =
        tk_realloc(e->label, (size_t)e->room * sizeof *label, (size_t)room * sizeof *label);
    if (!label) return TK_FAIL(TK_MEMORY, "out of memory for examples of things");
    e->label = label;
    e->room = room;
    return TK_OK;
}

static tk_status append_examples(tk_thing_examples *to, int64_t n, const double *feature,
                                 const int *label)
{
    TK_TRY(make_room_for(to, n));
    memcpy(to->feature + to->n * TK_THING_FEATURES, feature,
           (size_t)n * TK_THING_FEATURES * sizeof *feature);
    memcpy(to->label + to->n, label, (size_t)n * sizeof *label);
    to->n += n;
    return TK_OK;
}

tk_status tk_thing_examples_add(tk_thing_examples *e, const tk_sighting *s, int label)
{
    return append_examples(e, 1, s->feature, &label);
}

tk_status tk_thing_examples_join(tk_thing_examples *to, const tk_thing_examples *e)
{
    return e->n ? append_examples(to, e->n, e->feature, e->label) : TK_OK;
}

void tk_thing_examples_free(tk_thing_examples *e)
{
    tk_free(e->feature);
    tk_free(e->label);
    *e = (tk_thing_examples){0};
}

// ---- tracks ------------------------------------------------------------------------------------

static tk_status new_track(int64_t frames, int hue, int kind, tk_arena *a, tk_thing_track *t)
{
    *t = (tk_thing_track){.hue = hue, .kind = kind, .frames = frames};
    TK_ARENA_NEW(t->x, a, frames);
    TK_ARENA_NEW(t->y, a, frames);
    TK_ARENA_NEW(t->radius, a, frames);
    for (int64_t f = 0; f < frames; f++) t->x[f] = t->y[f] = t->radius[f] = NAN;
    return TK_OK;
}

// The surest sighting of each hue and kind in frame f.
static tk_status track_frame(const tk_classes *classes, const uint8_t *rgb, int64_t height,
                             int64_t width, int64_t f, tk_thing_track *all)
{
    const int kinds = (int)classes->classes - 1;
    tk_sighting seen[TK_SIGHTINGS];
    double odds[16], best[TK_HUES * 16] = {0};
    tk_arena a;
    int n = 0;
    tk_arena_init(&a, 0);
    const tk_status st = tk_sightings_of(rgb, height, width, &a, seen, &n);
    tk_arena_free(&a);
    for (int i = 0; i < n; i++) {
        const int class = tk_classes_find(classes, seen[i].feature, odds);
        if (class < 1 || odds[class] < sure) continue;
        const int k = seen[i].hue * kinds + class - 1;
        tk_thing_track *t = &all[k];
        if (odds[class] <= best[k]) continue;
        if (best[k] == 0) t->seen++;
        best[k] = odds[class];
        t->x[f] = seen[i].x, t->y[f] = seen[i].y, t->radius[f] = seen[i].radius;
    }
    return st;
}

// Whether they are seen in two places of one picture.
static bool are_two(const tk_thing_track *s, const tk_thing_track *t)
{
    for (int64_t f = 0; f < s->frames; f++)
        if (hypot(s->x[f] - t->x[f], s->y[f] - t->y[f]) > s->radius[f] + t->radius[f]) return true;
    return false; // NaN is not more
}

// Of track k's hue, what is taken for other kinds: where that is never beside it, it is the same
// thing, blurred or half out of the picture, and fills the gaps of its way.
static void fill_gaps(tk_thing_track *all, int kinds, int k)
{
    tk_thing_track *t = &all[k];
    for (int j = k / kinds * kinds; j < (k / kinds + 1) * kinds; j++) {
        const tk_thing_track *s = &all[j];
        if (j == k || are_two(s, t)) continue;
        for (int64_t f = 0; f < t->frames; f++)
            if (isnan(t->x[f])) t->x[f] = s->x[f], t->y[f] = s->y[f], t->radius[f] = s->radius[f];
    }
}

tk_status tk_thing_tracks(const tk_classes *classes, const uint8_t *rgb, int64_t frames,
                          int64_t height, int64_t width, double least, tk_arena *a,
                          tk_thing_track **out, int *n)
{
    const int kinds = (int)classes->classes - 1, all = TK_HUES * kinds;
    *n = 0;
    TK_ARENA_NEW(*out, a, all);
    for (int k = 0; k < all; k++)
        TK_TRY(new_track(frames, k / kinds, k % kinds + 1, a, &(*out)[k]));
    for (int64_t f = 0; f < frames; f++)
        TK_TRY(track_frame(classes, rgb + f * height * width * 3, height, width, f, *out));
    for (int k = 0; k < all; k++)
        if ((double)(*out)[k].seen >= least * (double)frames) fill_gaps(*out, kinds, k);
    for (int k = 0; k < all; k++)
        if ((double)(*out)[k].seen >= least * (double)frames && (*out)[k].seen > 0) {
            const tk_thing_track t = (*out)[k];
            int at = (*n)++;
            for (; at > 0 && (*out)[at - 1].seen < t.seen; at--) (*out)[at] = (*out)[at - 1];
            (*out)[at] = t;
        }
    return TK_OK;
}
