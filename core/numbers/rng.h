// SPDX-License-Identifier: Apache-2.0
// The one source of randomness: Philox4x32-10, counter based.
//
// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
// A value is a pure function of (seed, purpose, step, global element index), so it does not
// depend on rank count, thread count, order of calls or a restart.
#pragma once
#include <stdint.h>

// Purposes keep streams of one seed apart. Append only: the numbers are part of reproducibility.
typedef enum tk_purpose {
    TK_RNG_WEIGHTS = 1, // initial weights; step = tensor's index in the table of tensors
    TK_RNG_NOISE = 2,   // noise rows; step = training step or sampler document
    TK_RNG_TIME = 3,    // noise level of a document
    TK_RNG_DROP = 4,    // caption dropout
    TK_RNG_ORDER = 5,   // sample order
    TK_RNG_MEMORY = 6,  // which shots of a document are given as memory
    TK_RNG_WORLD = 7,   // the procedural world
    TK_RNG_TEST = 8,
    TK_RNG_TASK = 9,      // which task a document is, and what it gives
    TK_RNG_EXAMPLES = 10, // clips that judges are shown before they judge
    TK_RNG_SOUND = 11,    // noise in sound that is made of rows; step = channel
    TK_RNG_LIKENESS = 12, // whom clips of the world cite, and what voices say to be known by
    TK_RNG_MARK = 13      // marks in clips; step = what of them
} tk_purpose;

typedef struct tk_key { // what a stream is keyed by; pass by value
    uint64_t seed;
    uint32_t purpose;
    uint32_t step;
} tk_key;

static inline tk_key tk_rng_key(uint64_t seed, tk_purpose purpose, uint64_t step)
{
    return (tk_key){seed, (uint32_t)purpose, (uint32_t)step};
}

void tk_philox(tk_key key, uint64_t index, uint32_t out[4]); // the raw block of element `index`
uint64_t tk_rng_u64(tk_key key, uint64_t index);
double tk_rng_uniform(tk_key key, uint64_t index);           // in (0, 1), never 0 or 1
double tk_rng_normal(tk_key key, uint64_t index);            // standard normal (Box-Muller)
int64_t tk_rng_below(tk_key key, uint64_t index, int64_t n); // integer in [0, n)

// x[i] = scale * normal(first + i), i < n. The fast path of tk_rng_normal in fp32; equal to it
// to fp32 rounding, and the same value for an index whatever `first` and `n` cut out.
void tk_rng_fill_normal(tk_key key, uint64_t first, float *x, int64_t n, float scale);

// A permutation of [0, n) evaluated at i, by a keyed Feistel network with cycle walking.
int64_t tk_rng_permute(tk_key key, int64_t i, int64_t n);
