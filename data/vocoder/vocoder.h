// SPDX-License-Identifier: Apache-2.0
// A source and a filter: sound as a smooth spectrum, a pitch, and how periodic each part of the
// spectrum is, a few numbers every 12.5 ms or so; and sound made of these again. It sounds alike;
// the samples are not the same.
//
// A track is cut into rows of `hop` samples, a row into `frames` frames. Each frame has `bands`
// logarithms of power on a mel scale from 0 to half the rate; each row a pitch in Hz, which goes on
// through what has none, and for each of `parts` parts of the spectrum (up to 1, 2 and 4 kHz, and
// above) the share of its power that repeats with the pitch, 0 to 1.
//
// Making is a pure function of nearby rows and of absolute time, so that a track can be made in any
// pieces: noise is keyed by the sample. Pulses are laid out segment by segment, of about a second:
// the pitch is bent by half a cycle a segment at most, so that each begins with a pulse.
#pragma once
#include "core/numbers/rng.h"
#include "data/vocoder/fft.h"

enum { TK_VOCODER_PARTS = 4 }; // at most

typedef struct tk_vocoder {
    int64_t rate, hop, frames; // Hz; samples a row; frames a row
    double step;               // samples a frame
    int64_t bands, parts;
    int64_t window, size; // samples: of a frame that is analysed; of its transform
    int64_t grain;        // samples from one grain of noise to the next
    int64_t segment;      // rows
    tk_fft fft;
    float *hann, *repeat; // (window); its autocorrelation (window), 1 first
    // A band's weights over bins, which add up to one: (bands) each and (all of them)
    int64_t *band_first, *band_bins;
    float **band_weight;
    int64_t part_end[TK_VOCODER_PARTS]; // bins: a part ends before it
    int64_t *bin_band;  // (size / 2 + 1): a bin lies between this band and the next,
    float *bin_next;    // the next's share
    int64_t *band_part; // (bands): likewise between this part and the next
    float *band_next;
} tk_vocoder;

// Whether sound of that rate can be cut into such rows; TK_INPUT, beginning with `where`.
tk_status tk_vocoder_check(int64_t rate, int64_t hop, const char *where);
// The numbers of rows alone, and all that follows from them. It lives as long as the arena and is
// never written to: threads may share it.
tk_vocoder tk_vocoder_shape(int64_t rate, int64_t hop);
tk_status tk_vocoder_new(tk_vocoder *s, tk_arena *a, int64_t rate, int64_t hop);

// Rows [first, first + n) of a track of `all` rows.
typedef struct tk_vocoder_rows {
    int64_t first, n, all;
    float *bands; // (n, frames, bands)
    float *pitch; // (n)
    float *voice; // (n, parts)
} tk_vocoder_rows;
tk_status tk_vocoder_rows_new(const tk_vocoder *s, tk_arena *a, int64_t n, tk_vocoder_rows *out);

// All rows of x (samples), zero after its end; r has room for them. a: scratch.
tk_status tk_vocoder_analyse(const tk_vocoder *s, const float *x, int64_t samples, tk_arena *a,
                             tk_vocoder_rows *r);

// The same of a track that need not lie in memory as a whole, in two passes over it: first the
// pitch, of which each moment's depends on all others, then rows, part by part. They are the same,
// bit for bit.
typedef struct tk_vocoder_sound {
    int64_t samples;
    // Samples [first, first + n), within the track, into x. In any pieces, and again.
    tk_status (*get)(void *ctx, int64_t first, int64_t n, float *x);
    void *ctx;
} tk_vocoder_sound;
typedef struct tk_vocoder_pitch { // of each frame of a track
    int64_t frames;
    float *hz, *sure; // (frames): how sure it is, 0 to 1
} tk_vocoder_pitch;
// The pitch of a track of so many rows: 8 bytes a frame in `a`. The rest of what it takes grows
// only as long as the best ways through what was heard so far begin apart: these meet within
// seconds.
tk_status tk_vocoder_listen(const tk_vocoder *s, const tk_vocoder_sound *x, int64_t rows,
                            tk_arena *a, tk_vocoder_pitch *out);
// Rows [r->first, r->first + r->n), of which r has room for them. a: scratch.
tk_status tk_vocoder_analyse_part(const tk_vocoder *s, const tk_vocoder_sound *x,
                                  const tk_vocoder_pitch *pitch, tk_arena *a, tk_vocoder_rows *r);
// Samples [first, first + n), added to pcm every `stride`. r holds the rows that these lie in, and
// tk_vocoder_context more on either side, as far as the track has them. a: scratch.
int64_t tk_vocoder_context(const tk_vocoder *s); // rows
tk_status tk_vocoder_make(const tk_vocoder *s, const tk_vocoder_rows *r, tk_key noise,
                          int64_t first, int64_t n, tk_arena *a, float *pcm, int64_t stride);

// How far the bands of y are from those of x, in dB: the root of the mean square, over bands, added
// up over frames into *sum, and these counted in *frames.
tk_status tk_vocoder_distance(const tk_vocoder *s, const float *x, const float *y, int64_t samples,
                              tk_arena *a, double *sum, double *frames);
