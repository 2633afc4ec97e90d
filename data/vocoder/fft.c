// SPDX-License-Identifier: Apache-2.0
// By kissfft's complex transform of half the size: even and odd samples are its real and imaginary
// parts, and its plans are not written to.
#include "data/vocoder/fft.h"
#include <kiss_fft.h>
#include <math.h>
#include <stdbool.h>

static tk_status new_plan(tk_arena *a, int64_t size, bool inverse, void **plan)
{
    size_t bytes = 0;
    char *memory;
    kiss_fft_alloc((int)size, inverse, NULL, &bytes);
    TK_ARENA_NEW(memory, a, (int64_t)bytes);
    *plan = kiss_fft_alloc((int)size, inverse, memory, &bytes);
    return *plan ? TK_OK
                 : TK_FAIL(TK_INTERNAL, "no Fourier transform of size %lld", (long long)size);
}

tk_status tk_fft_new(tk_fft *f, tk_arena *a, int64_t size)
{
    *f = (tk_fft){.size = size};
    TK_TRY(new_plan(a, size / 2, false, &f->forward));
    TK_TRY(new_plan(a, size / 2, true, &f->inverse));
    TK_ARENA_NEW(f->turn, a, size / 2 + 1);
    for (int64_t k = 0; k <= size / 2; k++) {
        const double angle = -2 * M_PI * (double)k / (double)size;
        f->turn[k] = (tk_complex){(float)cos(angle), (float)sin(angle)};
    }
    return TK_OK;
}

// The transforms E and O of even and odd samples are (Z[k] + Z*[M - k]) / 2 and
// (Z[k] - Z*[M - k]) / 2i, of M = N/2; the spectrum is E + turn O.
void tk_fft_forward(const tk_fft *f, const float *x, tk_complex *spectrum, tk_complex *scratch)
{
    const int64_t half = f->size / 2;
    kiss_fft(f->forward, (const kiss_fft_cpx *)x, (kiss_fft_cpx *)scratch);
    for (int64_t k = 0; k <= half; k++) {
        const tk_complex a = scratch[k == half ? 0 : k], b = scratch[k ? half - k : 0];
        const tk_complex even = {0.5f * (a.re + b.re), 0.5f * (a.im - b.im)};
        const tk_complex odd = {0.5f * (a.im + b.im), 0.5f * (b.re - a.re)}, t = f->turn[k];
        spectrum[k] = (tk_complex){even.re + t.re * odd.re - t.im * odd.im,
                                   even.im + t.re * odd.im + t.im * odd.re};
    }
}

void tk_fft_inverse(const tk_fft *f, const tk_complex *spectrum, float *x, tk_complex *scratch)
{
    const int64_t half = f->size / 2;
    const float scale = 1 / (float)f->size;
    for (int64_t k = 0; k < half; k++) {
        const tk_complex a = spectrum[k], b = spectrum[half - k], t = f->turn[k];
        const tk_complex even = {a.re + b.re, a.im - b.im}, turned = {a.re - b.re, a.im + b.im};
        const tk_complex odd = {turned.re * t.re + turned.im * t.im,
                                turned.im * t.re - turned.re * t.im};
        scratch[k] = (tk_complex){scale * (even.re - odd.im), scale * (even.im + odd.re)};
    }
    kiss_fft(f->inverse, (const kiss_fft_cpx *)scratch, (kiss_fft_cpx *)x);
}
