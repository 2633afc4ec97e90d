// SPDX-License-Identifier: Apache-2.0
// The insides of the kind of pictures "lapped", shared by its use (lapped.c) and its fit
// (lapped_fit.c).
//
// The coefficients of patches (lap.h) that vary most, less their means, are what rows speak of. A
// row's numbers put waves of their own into its patch and into the patches beside it; the rows of a
// picture are those whose waves together come nearest to it, so that what one row has told its
// neighbours need not tell again.
#pragma once
#include "data/codec/kinds/kinds.h"
#include "data/codec/kinds/lap.h"

enum { TK_LAPPED_NEAR = 9, TK_LAPPED_SELF = 4 }; // patches that a row reaches; which is its own

typedef struct tk_lapped_shape { // patches of so many latent frames, in that order
    int64_t frames, high, wide;
} tk_lapped_shape;

static inline int64_t tk_lapped_patches(const tk_lapped_shape *s)
{
    return s->frames * s->high * s->wide;
}

typedef struct tk_lapped_waves {
    int64_t channels, kept; // C numbers of a row; K coefficients of a patch
    const float *x;         // (NEAR * C, K): what number c of patch p's row puts into the patch
                            // to which p lies as beside[o] says: row o * C + c
} tk_lapped_waves;

// All numbers are zero where no patch is. Scratch: (n, NEAR * C).
// coefficients (n, K) of rows z (n, C).
tk_status tk_lapped_make(const tk_lapped_waves *w, const tk_lapped_shape *s, const float *z,
                         float *scratch, float *coefficients);
// The rows (n, C) whose waves come nearest to coefficients (n, K), by conjugate gradients from
// zero. Scratch: (n, NEAR * C + 3 * C + K).
tk_status tk_lapped_solve(const tk_lapped_waves *w, const tk_lapped_shape *s,
                          const float *coefficients, float *scratch, float *z);
// Rows of a patch and of those beside it: near (n, NEAR * C).
void tk_lapped_gather(const tk_lapped_shape *s, int64_t channels, const float *z, float *near);

// N = numbers of a patch.
typedef struct tk_lapped {
    tk_half half; // the first member
    tk_arena arena;
    tk_lap lap;
    int64_t kept; // K
    float *mean;  // stored: (N) of all coefficients
    float *place; // stored: (K) which of them rows speak of: rising whole numbers
    float *waves; // stored: (NEAR * C, K)
    float *scale; // stored: (C) number of the waves -> number of a row
    float *out;   // derived: (NEAR * C, K) of a row's numbers
    int64_t *at;  // derived: (K) place
} tk_lapped;

// What rows speak of, (n, K), out of all coefficients of one latent frame (lap.h), less the means.
void tk_lapped_pick(const tk_lapped *c, int64_t high, int64_t wide, const float *all,
                    float *coefficients);

tk_status tk_lapped_fit_begin(tk_half *h, int64_t n, tk_arena *a, void **out);
tk_status tk_lapped_fit_clip(void *fit, int64_t k, const tk_media *clip, const tk_grid *g);
tk_status tk_lapped_fit_end(void *fit);
