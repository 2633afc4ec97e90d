// SPDX-License-Identifier: Apache-2.0
// Fitting lapped pictures: principal components of coefficients first, each patch for itself; then
// by turns the waves that come nearest to the pictures given their rows, and the rows given the
// waves. Each turn is closed form. Waves are drawn towards the components by as much as a few
// patches say little about so many numbers, which also keeps them almost orthonormal: what is off
// by a little in a row is off by as little in the picture.
#include "core/base/log.h"
#include "core/device/ops/gemm.h"
#include "data/codec/kinds/axes.h"
#include "data/codec/kinds/lapped.h"
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOKED = 48 << 10, // at most about so many patches are looked at, mirrored ones among them
    TOGETHER = 512,    // about so many of them a product
    ROUNDS = 3
};
// One over the energy that a component is expected to have in each patch beside its own.
static const double stiff = 20;

typedef struct lapped_look {   // a latent frame that the fit looks at
    int64_t high, wide, first; // its first patch of all
    bool mirrored;             // from left to right: it is meant so, but lies as it was
    const uint8_t *rgb;
} lapped_look;

typedef struct lapped_fit {
    tk_lapped *codec;
    tk_arena *arena;
    int64_t clips, step;
    lapped_look *look;
    int64_t n, room, patches; // latent frames, those there is room for, their patches
    float *x, *z;             // coefficients (patches, K) and rows (patches, C)
} lapped_fit;

tk_status tk_lapped_fit_begin(tk_half *h, int64_t n, tk_arena *a, void **out)
{
    lapped_fit *f;
    TK_ARENA_NEW(f, a, 1);
    *f = (lapped_fit){.codec = (tk_lapped *)h, .arena = a, .clips = n, .step = 1};
    *out = f;
    return TK_OK;
}

static tk_status add_look(lapped_fit *f, lapped_look l)
{
    if (f->n == f->room) {
        const int64_t room = 2 * f->room + 16;
        lapped_look *more;
        TK_ARENA_NEW(more, f->arena, room);
        if (f->n) memcpy(more, f->look, (size_t)f->n * sizeof *more);
        f->look = more, f->room = room;
    }
    l.first = f->patches;
    f->look[f->n++] = l;
    f->patches += l.high * l.wide;
    return TK_OK;
}

// Looks at every step-th latent frame, and at it mirrored: the world is as likely the other way
// round, and waves that know it have less to guess from few clips.
tk_status tk_lapped_fit_clip(void *fit, int64_t k, const tk_media *clip, const tk_grid *g)
{
    lapped_fit *f = fit;
    const int64_t each = g->high * g->wide;
    const int64_t bytes = each * tk_codec_patch(&f->codec->half.info);
    if (!k) f->step = (2 * g->video_rows * f->clips + LOOKED - 1) / LOOKED;
    for (int64_t at = k % f->step; at < g->latent_frames; at += f->step) {
        if (f->n && f->patches + 2 * each > 2 * LOOKED) break; // later clips may be larger
        uint8_t *rgb;
        TK_ARENA_NEW(rgb, f->arena, bytes);
        memcpy(rgb, clip->rgb + at * bytes, (size_t)bytes);
        TK_TRY(add_look(f, (lapped_look){.high = g->high, .wide = g->wide, .rgb = rgb}));
        TK_TRY(add_look(
            f, (lapped_look){.high = g->high, .wide = g->wide, .mirrored = true, .rgb = rgb}));
    }
    return TK_OK;
}

// ---- what rows speak of ------------------------------------------------------------------------

typedef struct spread { // of a coefficient
    double variance;
    int64_t place;
} spread;

static int by_falling_variance(const void *a, const void *b)
{
    const spread *x = a, *y = b;
    if (x->variance != y->variance) return x->variance > y->variance ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static int by_coefficient(const void *a, const void *b)
{
    const spread *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

typedef struct transforming { // of a look: scratch, and the coefficients
    uint8_t *rgb;
    float *spare, *all;
} transforming;

static tk_status transform(const lapped_fit *f, const lapped_look *l, const transforming *t)
{
    const tk_codec_info *i = &f->codec->half.info;
    const int64_t height = l->high * i->patch_size, width = l->wide * i->patch_size;
    const int64_t pixels = l->mirrored ? i->patch_frames * height * width : 0;
    for (int64_t p = 0; p < pixels; p++)
        memcpy(t->rgb + 3 * p, l->rgb + 3 * (p / width * width + width - 1 - p % width), 3);
    return tk_lap_forward(&f->codec->lap, l->mirrored ? t->rgb : l->rgb, height, width, t->spare,
                          t->all);
}

static void add_spread(const tk_codec_info *i, const lapped_look *l, const float *all, double *sum,
                       double *square)
{
    const int64_t size = i->patch_size, width = l->wide * size;
    const int64_t lines = 3 * i->patch_frames * l->high * size;
    for (int64_t y = 0; y < lines; y++)
        for (int64_t x = 0; x < width; x++) {
            const int64_t plane = y / (l->high * size);
            const int64_t k = (plane * size + y % size) * size + x % size;
            const double v = (double)all[y * width + x];
            sum[k] += v;
            square[k] += v * v;
        }
}

// The coefficients that vary most, and the means of all.
static tk_status choose_coefficients(lapped_fit *f, const transforming *t)
{
    tk_lapped *c = f->codec;
    const int64_t patch = tk_codec_patch(&c->half.info);
    const double n = (double)f->patches;
    double *sum, *square;
    spread *order;
    TK_ARENA_NEW(sum, f->arena, patch);
    TK_ARENA_NEW(square, f->arena, patch);
    TK_ARENA_NEW(order, f->arena, patch);
    for (int64_t k = 0; k < f->n; k++) {
        TK_TRY(transform(f, &f->look[k], t));
        add_spread(&c->half.info, &f->look[k], t->all, sum, square);
    }
    for (int64_t m = 0; m < patch; m++) {
        c->mean[m] = (float)(sum[m] / n);
        order[m] = (spread){square[m] / n - sum[m] / n * (sum[m] / n), m};
    }
    qsort(order, (size_t)patch, sizeof *order, by_falling_variance);
    qsort(order, (size_t)c->kept, sizeof *order, by_coefficient);
    for (int64_t k = 0; k < c->kept; k++)
        c->at[k] = order[k].place, c->place[k] = (float)order[k].place;
    return TK_OK;
}

// Patches of the largest look.
static int64_t most_patches(const lapped_fit *f)
{
    int64_t most = 0;
    for (int64_t k = 0; k < f->n; k++)
        if (f->look[k].high * f->look[k].wide > most) most = f->look[k].high * f->look[k].wide;
    return most;
}

static tk_status pick_all(lapped_fit *f)
{
    const int64_t numbers = most_patches(f) * tk_codec_patch(&f->codec->half.info);
    transforming t;
    TK_ARENA_NEW(t.rgb, f->arena, numbers);
    TK_ARENA_NEW(t.spare, f->arena, numbers);
    TK_ARENA_NEW(t.all, f->arena, numbers);
    TK_TRY(choose_coefficients(f, &t));
    for (int64_t k = 0; k < f->n; k++) {
        const lapped_look *l = &f->look[k];
        TK_TRY(transform(f, l, &t));
        tk_lapped_pick(f->codec, l->high, l->wide, t.all, f->x + l->first * f->codec->kept);
    }
    return TK_OK;
}

// ---- waves and rows, by turns ------------------------------------------------------------------

// The looks from `first` on that are of one shape, as many as go together.
static tk_lapped_shape batch_at(const lapped_fit *f, int64_t first)
{
    const lapped_look *l = &f->look[first];
    tk_lapped_shape s = {1, l->high, l->wide};
    const int64_t most = TOGETHER / (l->high * l->wide);
    while (s.frames < most && first + s.frames < f->n && l[s.frames].high == l->high &&
           l[s.frames].wide == l->wide)
        s.frames++;
    return s;
}

typedef struct equations { // of waves: M = NEAR * C unknowns for each of K coefficients
    int64_t m;
    double *square, *cross; // near^T near (M, M), x^T near (K, M)
    double lost;            // squares of what rows and waves of before do not give
    float *near, *made;     // of a batch: (n, M), (n, K)
    float *square_of, *cross_of;
    float *solving; // tk_lapped_solve's
} equations;

static tk_status new_equations(const lapped_fit *f, equations *e)
{
    const int64_t channels = f->codec->half.info.video_channels, kept = f->codec->kept;
    const int64_t most = most_patches(f) < TOGETHER ? TOGETHER : most_patches(f);
    *e = (equations){.m = TK_LAPPED_NEAR * channels};
    TK_ARENA_NEW(e->square, f->arena, e->m * e->m);
    TK_ARENA_NEW(e->cross, f->arena, kept * e->m);
    TK_ARENA_NEW(e->square_of, f->arena, e->m * e->m);
    TK_ARENA_NEW(e->cross_of, f->arena, kept * e->m);
    TK_ARENA_NEW(e->near, f->arena, most * e->m);
    TK_ARENA_NEW(e->made, f->arena, most * kept);
    TK_ARENA_NEW(e->solving, f->arena, most * (e->m + 3 * channels + kept));
    return TK_OK;
}

static void add_in_double(double *sum, const float *x, int64_t n)
{
    for (int64_t k = 0; k < n; k++) sum[k] += (double)x[k];
}

// Adds a batch: its rows as they are, and what they give with the waves of before.
static tk_status add_batch(const lapped_fit *f, const tk_lapped_shape *s, int64_t first,
                           equations *e)
{
    const tk_lapped *c = f->codec;
    const int64_t channels = c->half.info.video_channels, kept = c->kept, n = tk_lapped_patches(s);
    const tk_lapped_waves waves = {channels, kept, c->waves};
    const float *x = f->x + first * kept;
    TK_TRY(tk_lapped_make(&waves, s, f->z + first * channels, e->near, e->made));
    TK_TRY(
        tk_gemm(0, 'T', 'N', e->m, e->m, n, e->near, e->m, e->near, e->m, 0, e->square_of, e->m));
    TK_TRY(tk_gemm(0, 'T', 'N', kept, e->m, n, x, kept, e->near, e->m, 0, e->cross_of, e->m));
    add_in_double(e->square, e->square_of, e->m * e->m);
    add_in_double(e->cross, e->cross_of, kept * e->m);
    for (int64_t k = 0; k < n * kept; k++) {
        const double off = (double)x[k] - (double)e->made[k];
        e->lost += off * off;
    }
    return TK_OK;
}

// The waves (M, K) that give the coefficients best, drawn towards the components.
static tk_status best_waves(const lapped_fit *f, const float *components, equations *e)
{
    tk_lapped *c = f->codec;
    const int64_t channels = c->half.info.video_channels, kept = c->kept;
    const double pull = stiff * e->lost / (double)f->patches + 1e-6;
    double *own = e->cross + TK_LAPPED_SELF * channels;
    for (int64_t i = 0; i < e->m; i++) e->square[i * e->m + i] += pull;
    for (int64_t k = 0; k < kept; k++)
        for (int64_t i = 0; i < channels; i++)
            own[k * e->m + i] += pull * (double)components[i * kept + k];
    const int m = (int)e->m;
    int code = LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', m, e->square, m);
    if (code == 0)
        code = LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'L', m, (int)kept, e->square, m, e->cross, m);
    if (code != 0) return tk_lapack_status(code, "waves of lapped pictures");
    for (int64_t i = 0; i < e->m; i++)
        for (int64_t k = 0; k < kept; k++) c->waves[i * kept + k] = (float)e->cross[k * e->m + i];
    return TK_OK;
}

static tk_status take_turn(const lapped_fit *f, const float *components, equations *e)
{
    const tk_lapped *c = f->codec;
    const int64_t channels = c->half.info.video_channels, kept = c->kept;
    const tk_lapped_waves waves = {channels, kept, c->waves};
    memset(e->square, 0, (size_t)(e->m * e->m) * sizeof *e->square);
    memset(e->cross, 0, (size_t)(e->m * kept) * sizeof *e->cross);
    e->lost = 0;
    tk_lapped_shape s;
    for (int64_t k = 0; k < f->n; k += s.frames) {
        s = batch_at(f, k);
        TK_TRY(add_batch(f, &s, f->look[k].first, e));
    }
    TK_TRY(best_waves(f, components, e));
    for (int64_t k = 0; k < f->n; k += s.frames) {
        s = batch_at(f, k);
        const int64_t first = f->look[k].first;
        TK_TRY(
            tk_lapped_solve(&waves, &s, f->x + first * kept, e->solving, f->z + first * channels));
        tk_alive();
    }
    return TK_OK;
}

// Components (C, K) of the coefficients of patches, and the rows that they give.
static tk_status begin(const lapped_fit *f, float *components, double *variance)
{
    tk_lapped *c = f->codec;
    const int64_t channels = c->half.info.video_channels, kept = c->kept;
    tk_moments moments;
    TK_TRY(tk_moments_new(&moments, f->arena, kept));
    for (int64_t p = 0; p < f->patches; p++) {
        memcpy(tk_moments_row(&moments), f->x + p * kept, (size_t)kept * sizeof *f->x);
        TK_TRY(tk_moments_add(&moments));
    }
    TK_TRY(tk_moments_axes(&moments, false, channels, NULL, components, variance));
    memcpy(c->waves + TK_LAPPED_SELF * channels * kept, components,
           (size_t)(channels * kept) * sizeof *components);
    return tk_gemm(0, 'N', 'T', f->patches, channels, kept, f->x, kept, components, kept, 0, f->z,
                   channels);
}

tk_status tk_lapped_fit_end(void *fit)
{
    lapped_fit *f = fit;
    tk_lapped *c = f->codec;
    const int64_t channels = c->half.info.video_channels;
    equations e;
    float *components;
    double *variance;
    TK_ARENA_NEW(f->x, f->arena, f->patches * c->kept);
    TK_ARENA_NEW(f->z, f->arena, f->patches * channels);
    TK_ARENA_NEW(components, f->arena, channels * c->kept);
    TK_ARENA_NEW(variance, f->arena, channels);
    TK_TRY(pick_all(f));
    TK_TRY(begin(f, components, variance));
    TK_TRY(new_equations(f, &e));
    for (int k = 0; k < ROUNDS; k++) TK_TRY(take_turn(f, components, &e));
    memset(variance, 0, (size_t)channels * sizeof *variance);
    for (int64_t k = 0; k < f->patches * channels; k++)
        variance[k % channels] += (double)f->z[k] * (double)f->z[k] / (double)f->patches;
    tk_root_scales(variance, channels, c->scale);
    return TK_OK;
}
