// SPDX-License-Identifier: Apache-2.0
// Picture and sound of a clip: in memory, or asked for part by part of whoever can make them.
#pragma once
#include "core/base/mem.h"
#include "core/config/config.h"

enum { TK_MEDIA_MAX_SIDE = 16384 }; // pixels, of any picture

typedef struct tk_media {
    int64_t frames, height, width;
    double fps;
    uint8_t *rgb;                           // (frames, height, width, 3)
    int64_t samples, channels, sample_rate; // samples of each channel
    float *pcm;                             // (samples, channels), within [-1, 1]
} tk_media;

// Samples before frame f begins, rounded down: parts of a clip add up to the whole.
static inline int64_t tk_clock_sample(int64_t f, int64_t sample_rate, int64_t fps)
{
    return f * sample_rate / fps;
}
// The same on the clocks of m: samples that go with so many frames; and the sample nearest to where
// a frame begins.
int64_t tk_media_samples(const tk_media_config *m, int64_t frames);
int64_t tk_media_sample_of(const tk_media_config *m, int64_t frame);

// So many frames and samples on the clocks and of the size of m, without memory of their own.
tk_media tk_media_shape(const tk_media_config *m, int64_t frames, int64_t samples);
// Memory for all pictures and samples of its shape; gone with tk_media_free.
tk_status tk_media_alloc(tk_media *m);
void tk_media_free(tk_media *m);

// Media that need not lie in memory as a whole. Whoever makes one puts it first in a struct of its
// own. Frames asked for in order cost least; samples are asked for in any pieces.
typedef struct tk_media_source tk_media_source;
typedef struct tk_shown {
    uint8_t *luma;
    int64_t stride, width, height, frame;
    double fps;
} tk_shown;
struct tk_media_source {
    tk_media shape; // rgb and pcm: none
    // A picture (height, width, 3), there until the next call.
    tk_status (*picture)(tk_media_source *s, int64_t frame, const uint8_t **rgb);
    // Samples [first, first + n) into pcm (n, channels).
    tk_status (*sound)(tk_media_source *s, int64_t first, int64_t n, float *pcm);
    // NULL, or what is to be done to pictures as they are shown, right before they are encoded: its
    // brightness (height, stride) of video range, 16 to 235, at the size that is written, which may
    // be larger than the shape's. Asked for in order.
    tk_status (*shown)(tk_media_source *s, const tk_shown *p);
};

// Media in memory as a source; they stay the caller's. No samples where pcm is NULL.
typedef struct tk_media_whole {
    tk_media_source source; // the first member
    const tk_media *media;
} tk_media_whole;
tk_media_whole tk_media_whole_of(const tk_media *m);
