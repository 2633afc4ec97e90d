// SPDX-License-Identifier: Apache-2.0
// Fourier transforms of real numbers, of an even size that is a product of small primes. A plan is
// never written to once it is made: threads may share it.
#pragma once
#include "core/base/mem.h"

typedef struct tk_complex {
    float re, im;
} tk_complex;

typedef struct tk_fft {
    int64_t size; // N
    void *forward, *inverse;
    tk_complex *turn; // (N/2 + 1) e^(-2 pi i k / N)
} tk_fft;

tk_status tk_fft_new(tk_fft *f, tk_arena *a, int64_t size); // lives as long as the arena
// x (N) to spectrum (N/2 + 1) and back: the inverse of one is the other. scratch (N/2); x and the
// spectrum lie apart.
void tk_fft_forward(const tk_fft *f, const float *x, tk_complex *spectrum, tk_complex *scratch);
void tk_fft_inverse(const tk_fft *f, const tk_complex *spectrum, float *x, tk_complex *scratch);
