// SPDX-License-Identifier: Apache-2.0
// The sound of a file on our clock: resampled, mixed to our channels, gaps filled with silence.
// Internal to data/media/*.c.
//
// More than two channels are mixed to two by the coefficients of ITU-R BS.775 (front 1, each
// surround 0.71, no low frequency channel), except that the centre is 1: what it says is as loud as
// if it had been recorded for two loudspeakers, the same samples in both. Nothing is scaled down
// afterwards; where the sum is louder than full scale, it is limited. One channel is the mean of
// two.
#pragma once
#include "data/media/facts.h"
#include "data/media/limiter.h"
#include "data/media/track.h"
#include <libswresample/swresample.h>

typedef struct tk_sound {
    tk_track track;
    int64_t rate, channels; // wanted
    double origin;          // time of sample 0 on the file's clock
    SwrContext *swr;
    int in_rate, in_format, in_channels; // what swr was made for
    char layout[32];                     // its name
    int mixed; // channels swr gives: those of a source of one or two, else two
    tk_limiter limiter;
    float *fifo;    // (held, channels): samples [first, first + held), not limited yet
    float *scratch; // swr's output
    int64_t first, held, cap, scratch_cap;
    int64_t cursor;  // where swr's next sample belongs
    double expected; // time at which the next decoded frame should begin
    double silence;  // seconds put into gaps
    int64_t last;    // samples there are, up to the last sound; known at the end
    bool pending;    // track.frame is decoded and waits for its turn
    bool end;
} tk_sound;

// number: of the file's sound tracks, as in data/media/track.h.
tk_status tk_sound_open(const char *path, int number, int64_t rate, int64_t channels,
                        tk_sound *out);
// Samples [first, first + n) into pcm (n, channels), NULL = skip them; `first` never goes back.
// Silence where the file has no sound.
tk_status tk_sound_pull(tk_sound *s, int64_t first, int64_t n, float *pcm);
// What was done so far. shown: seconds of pictures, of which the last may be without sound.
void tk_sound_note(const tk_sound *s, double shown, tk_facts *facts);
void tk_sound_close(tk_sound *s);
