// SPDX-License-Identifier: Apache-2.0
#include "data/codec/kinds/lapped.h"
#include "core/device/ops/gemm.h"
#include "data/codec/kinds/axes.h"
#include <math.h>
#include <string.h>

enum {
    BLOCK = 256,     // about so many patches a product
    STEPS = 3,       // of conjugate gradients: waves are almost orthonormal
    PER_CHANNEL = 6, // coefficients that rows speak of, for each of a row's numbers
    MOST_CHANNELS = 256
};

// Where the patches that a row reaches lie, from its own: lines down, patches to the right.
static const int reach[TK_LAPPED_NEAR][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 0},
                                             {0, 1},   {1, -1}, {1, 0},  {1, 1}};

// ---- waves -------------------------------------------------------------------------------------

// Where the row is that reaches patch (y, x) by way o: its number in its latent frame, or -1.
static int64_t row_that_reaches(const tk_lapped_shape *s, int64_t y, int64_t x, int o)
{
    const int64_t from_y = y - reach[o][0], from_x = x - reach[o][1];
    if (from_y < 0 || from_y >= s->high || from_x < 0 || from_x >= s->wide) return -1;
    return from_y * s->wide + from_x;
}

void tk_lapped_gather(const tk_lapped_shape *s, int64_t channels, const float *z, float *near)
{
    const int64_t each = s->high * s->wide;
    for (int64_t f = 0; f < s->frames; f++, z += each * channels)
        for (int64_t p = 0; p < each; p++)
            for (int o = 0; o < TK_LAPPED_NEAR; o++, near += channels) {
                const int64_t from = row_that_reaches(s, p / s->wide, p % s->wide, o);
                if (from < 0)
                    memset(near, 0, (size_t)channels * sizeof *near);
                else
                    memcpy(near, z + from * channels, (size_t)channels * sizeof *near);
            }
}

// The transpose: every row is the sum of what it was gathered into.
static void gather_back(const tk_lapped_shape *s, int64_t channels, const float *near, float *z)
{
    const int64_t each = s->high * s->wide;
    memset(z, 0, (size_t)(tk_lapped_patches(s) * channels) * sizeof *z);
    for (int64_t f = 0; f < s->frames; f++, z += each * channels)
        for (int64_t p = 0; p < each; p++)
            for (int o = 0; o < TK_LAPPED_NEAR; o++, near += channels) {
                const int64_t to = row_that_reaches(s, p / s->wide, p % s->wide, o);
                for (int64_t c = 0; to >= 0 && c < channels; c++) z[to * channels + c] += near[c];
            }
}

tk_status tk_lapped_make(const tk_lapped_waves *w, const tk_lapped_shape *s, const float *z,
                         float *scratch, float *coefficients)
{
    const int64_t n = tk_lapped_patches(s), all = TK_LAPPED_NEAR * w->channels;
    tk_lapped_gather(s, w->channels, z, scratch);
    return tk_gemm(0, 'N', 'N', n, w->kept, all, scratch, all, w->x, w->kept, 0, coefficients,
                   w->kept);
}

// The transpose of tk_lapped_make.
static tk_status take_waves(const tk_lapped_waves *w, const tk_lapped_shape *s,
                            const float *coefficients, float *scratch, float *z)
{
    const int64_t n = tk_lapped_patches(s), all = TK_LAPPED_NEAR * w->channels;
    TK_TRY(tk_gemm(0, 'N', 'T', n, all, w->kept, coefficients, w->kept, w->x, w->kept, 0, scratch,
                   all));
    gather_back(s, w->channels, scratch, z);
    return TK_OK;
}

// One step of a latent frame's conjugate gradients, of n numbers: along p, of whose waves the
// squares sum to `along`; q is what is taken of those, or NULL in the last step.
static void step_along(int64_t n, double along, const float *q, float *z, float *r, float *p)
{
    const double before = tk_dot_product(r, r, n);
    if (!(before > 0) || !(along > 0)) return; // it is there
    const float far = (float)(before / along);
    for (int64_t i = 0; i < n; i++) z[i] += far * p[i];
    if (!q) return;
    for (int64_t i = 0; i < n; i++) r[i] -= far * q[i];
    const float keep = (float)(tk_dot_product(r, r, n) / before);
    for (int64_t i = 0; i < n; i++) p[i] = r[i] + keep * p[i];
}

tk_status tk_lapped_solve(const tk_lapped_waves *w, const tk_lapped_shape *s,
                          const float *coefficients, float *scratch, float *z)
{
    const int64_t n = tk_lapped_patches(s), each = s->high * s->wide;
    const int64_t numbers = n * w->channels, of_frame = each * w->channels;
    float *r = scratch, *p = r + numbers, *q = p + numbers, *made = q + numbers;
    float *near = made + n * w->kept;
    TK_TRY(take_waves(w, s, coefficients, near, r));
    memcpy(p, r, (size_t)numbers * sizeof *p);
    memset(z, 0, (size_t)numbers * sizeof *z);
    for (int k = 1; k <= STEPS; k++) {
        TK_TRY(tk_lapped_make(w, s, p, near, made));
        if (k < STEPS) TK_TRY(take_waves(w, s, made, near, q));
        for (int64_t f = 0; f < s->frames; f++) {
            const float *waves = made + f * each * w->kept;
            const int64_t at = f * of_frame;
            step_along(of_frame, tk_dot_product(waves, waves, each * w->kept),
                       k < STEPS ? q + at : NULL, z + at, r + at, p + at);
        }
    }
    return TK_OK;
}

// ---- the codec ---------------------------------------------------------------------------------

static tk_status lapped_check(const tk_codec_info *i, const char *where)
{
    const int64_t patch = tk_codec_patch(i);
    if (i->video_channels > patch)
        return TK_FAIL(TK_INPUT, "%s: %lld video channels of a patch of %lld numbers", where,
                       (long long)i->video_channels, (long long)patch);
    if (i->video_channels > MOST_CHANNELS)
        return TK_FAIL(TK_INPUT, "%s: %lld video channels; lapped pictures have at most %d", where,
                       (long long)i->video_channels, MOST_CHANNELS);
    return TK_OK;
}

static void lapped_free(tk_half *h)
{
    tk_lapped *c = (tk_lapped *)h;
    tk_arena_free(&c->arena);
    tk_free(c);
}

static tk_status lapped_memory(tk_lapped *c)
{
    const tk_codec_info *i = &c->half.info;
    const int64_t patch = tk_codec_patch(i), all = TK_LAPPED_NEAR * i->video_channels;
    c->kept = PER_CHANNEL * i->video_channels < patch ? PER_CHANNEL * i->video_channels : patch;
    TK_ARENA_NEW(c->mean, &c->arena, patch);
    TK_ARENA_NEW(c->place, &c->arena, c->kept);
    TK_ARENA_NEW(c->at, &c->arena, c->kept);
    TK_ARENA_NEW(c->waves, &c->arena, all * c->kept);
    TK_ARENA_NEW(c->out, &c->arena, all * c->kept);
    TK_ARENA_NEW(c->scale, &c->arena, i->video_channels);
    return tk_lap_new(&c->lap, &c->arena, i->patch_frames, i->patch_size);
}

static tk_status lapped_create(const tk_codec_info *info, tk_half **out)
{
    tk_lapped *c;
    *out = NULL;
    TK_NEW(c, 1);
    c->half = (tk_half){.kind = &tk_lapped_kind, .info = *info};
    tk_arena_init(&c->arena, 0);
    const tk_status st = lapped_memory(c);
    if (st != TK_OK)
        lapped_free(&c->half);
    else
        *out = &c->half;
    return st;
}

static int lapped_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    const tk_lapped *c = (const tk_lapped *)h;
    const int64_t kept = h->info.video_channels, patch = tk_codec_patch(&h->info);
    list[0] = (tk_codec_array){"video_mean", c->mean, 0, patch, false};
    list[1] = (tk_codec_array){"video_place", c->place, 0, c->kept, false};
    list[2] = (tk_codec_array){"video_waves", c->waves, TK_LAPPED_NEAR * kept, c->kept, false};
    list[3] = (tk_codec_array){"video_scale", c->scale, 0, kept, true};
    return 4;
}

static tk_status lapped_derive(tk_half *h)
{
    tk_lapped *c = (tk_lapped *)h;
    const int64_t channels = h->info.video_channels, patch = tk_codec_patch(&h->info);
    for (int64_t k = 0, least = 0; k < c->kept; k++) {
        const float place = c->place[k];
        if (!(place >= (float)least && place < (float)patch) || place != truncf(place))
            return TK_FAIL(
                TK_INPUT,
                "codec/video_place: number %lld is %g; it must be a whole one, more than "
                "the one before and less than %lld",
                (long long)k, (double)place, (long long)patch);
        c->at[k] = (int64_t)place;
        least = c->at[k] + 1;
    }
    for (int64_t k = 0; k < TK_LAPPED_NEAR * channels * c->kept; k++)
        c->out[k] = c->waves[k] / c->scale[k / c->kept % channels];
    return TK_OK;
}

// ---- rows --------------------------------------------------------------------------------------

// Where coefficient `place` of patch (0, 0) lies in a latent frame's, and how far the next patches.
static int64_t coefficient_place(const tk_codec_info *i, int64_t height, int64_t width,
                                 int64_t place)
{
    const int64_t size = i->patch_size, line = place / size;
    return line / size * height * width + line % size * width + place % size;
}

void tk_lapped_pick(const tk_lapped *c, int64_t high, int64_t wide, const float *all,
                    float *coefficients)
{
    const tk_codec_info *i = &c->half.info;
    const int64_t size = i->patch_size, height = high * size, width = wide * size;
    for (int64_t k = 0; k < c->kept; k++) {
        const float *from = all + coefficient_place(i, height, width, c->at[k]);
        for (int64_t y = 0; y < high; y++)
            for (int64_t x = 0; x < wide; x++)
                coefficients[(y * wide + x) * c->kept + k] =
                    from[y * size * width + x * size] - c->mean[c->at[k]];
    }
}

// The way back: all coefficients are their means, and those that rows speak of are added.
static void put(const tk_lapped *c, int64_t high, int64_t wide, const float *coefficients,
                float *all)
{
    const tk_codec_info *i = &c->half.info;
    const int64_t size = i->patch_size, height = high * size, width = wide * size;
    for (int64_t m = 0, next = 0; m < tk_codec_patch(i); m++) {
        float *to = all + coefficient_place(i, height, width, m);
        const bool spoken = next < c->kept && c->at[next] == m;
        const float *add = coefficients + next;
        for (int64_t y = 0; y < high; y++)
            for (int64_t x = 0; x < wide; x++)
                to[y * size * width + x * size] =
                    c->mean[m] + (spoken ? add[(y * wide + x) * c->kept] : 0);
        next += spoken;
    }
}

static tk_status encode_frames(const tk_lapped *c, const tk_media *m, int64_t first,
                               const tk_lapped_shape *s, float *scratch, float *rows)
{
    const tk_codec_info *i = &c->half.info;
    const int64_t frame = i->patch_frames * m->height * m->width * 3, each = s->high * s->wide;
    const int64_t channels = i->video_channels;
    const tk_lapped_waves waves = {channels, c->kept, c->waves};
    float *all = scratch, *spare = all + frame, *coefficients = spare + frame;
    for (int64_t f = 0; f < s->frames; f++) {
        TK_TRY(
            tk_lap_forward(&c->lap, m->rgb + (first + f) * frame, m->height, m->width, spare, all));
        tk_lapped_pick(c, s->high, s->wide, all, coefficients + f * each * c->kept);
    }
    TK_TRY(
        tk_lapped_solve(&waves, s, coefficients, coefficients + s->frames * each * c->kept, rows));
    for (int64_t k = 0; k < s->frames * each * channels; k++) rows[k] *= c->scale[k % channels];
    return TK_OK;
}

// Latent frames whose products are one: waves lap in space alone.
static int64_t lapped_step(const tk_half *half, int64_t high, int64_t wide)
{
    (void)half;
    return 1 + BLOCK / (high * wide);
}

static tk_status lapped_encode(const tk_half *half, const tk_media *m, int64_t first, int64_t all,
                               float *rows)
{
    (void)first, (void)all; // its products begin where its steps do
    const tk_lapped *c = (const tk_lapped *)half;
    const tk_codec_info *i = &half->info;
    tk_grid g;
    float *scratch;
    TK_TRY(tk_grid_of(i, "a clip", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    const int64_t each = g.high * g.wide, together = lapped_step(half, g.high, g.wide);
    const int64_t of_patch = c->kept * 2 + i->video_channels * (TK_LAPPED_NEAR + 3);
    TK_NEW(scratch, 2 * each * tk_codec_patch(i) + together * each * of_patch);
    tk_status st = TK_OK;
    for (int64_t f = 0; f < g.latent_frames && st == TK_OK; f += together) {
        const int64_t left = g.latent_frames - f;
        const tk_lapped_shape s = {left < together ? left : together, g.high, g.wide};
        st = encode_frames(c, m, f, &s, scratch, rows + f * each * i->video_channels);
    }
    tk_free(scratch);
    return st;
}

// One latent frame after the other, so that its products are of the same shape, and its bits the
// same, whatever part it is decoded in.
static tk_status lapped_decode(const tk_half *half, tk_row_part rows, const tk_grid *g,
                               int64_t first, int64_t n, uint8_t *rgb)
{
    const tk_lapped *c = (const tk_lapped *)half;
    const tk_codec_info *i = &half->info;
    const int64_t each = g->high * g->wide, numbers = each * tk_codec_patch(i);
    const tk_lapped_shape s = {1, g->high, g->wide};
    const tk_lapped_waves waves = {i->video_channels, c->kept, c->out};
    float *all;
    TK_NEW(all, 2 * numbers + each * (c->kept + TK_LAPPED_NEAR * i->video_channels));
    float *spare = all + numbers, *coefficients = spare + numbers;
    tk_status st = TK_OK;
    for (int64_t f = 0; f < n && st == TK_OK; f++) {
        st =
            tk_lapped_make(&waves, &s, rows.x + (first + f - rows.first) * each * i->video_channels,
                           coefficients + each * c->kept, coefficients);
        if (st == TK_OK) put(c, g->high, g->wide, coefficients, all);
        if (st == TK_OK)
            st = tk_lap_inverse(&c->lap, all, g->height, g->width, spare, rgb + f * numbers);
    }
    tk_free(all);
    return st;
}

const tk_half_kind tk_lapped_kind = {.side = TK_CODEC_VIDEO,
                                     .name = "lapped",
                                     .salt = 1,
                                     .check = lapped_check,
                                     .create = lapped_create,
                                     .free = lapped_free,
                                     .arrays = lapped_arrays,
                                     .derive = lapped_derive,
                                     .fit_begin = tk_lapped_fit_begin,
                                     .fit_clip = tk_lapped_fit_clip,
                                     .fit_end = tk_lapped_fit_end,
                                     .encode_video = lapped_encode,
                                     .step = lapped_step,
                                     .decode_video = lapped_decode};
