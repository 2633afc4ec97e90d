// SPDX-License-Identifier: Apache-2.0
// Lips against speech: how open a mouth is seen to be in each frame, how open it is heard to be in
// the samples, and whether the two move together. Both are learned from examples, as differences:
// of one person's pictures from each other, of one clip's instants from each other.
#pragma once
#include "infer/judges/people/heads.h"

enum {
    TK_LIPS_CELLS = 7, // of the mouth's window, high and wide
    TK_LIPS_SEEN = TK_LIPS_CELLS * TK_LIPS_CELLS * 3,
    TK_LIPS_BANDS = 10, // of the sound, from 150 to 5500 Hz
    TK_LIPS_TIMES = 7,  // about an instant
    TK_LIPS_HEARD = TK_LIPS_BANDS * TK_LIPS_TIMES,
    TK_LIPS_HOPS = 100, // a second: instants at which sound is heard
    TK_LIPS_LAG = 40    // hops that sound may be late or early
};
#define TK_LIPS_TOGETHER 0.6 // correlation of lips that go with the sound, at least
#define TK_LIPS_LEAST 4.0    // pixels that lips are wide, at least, to be read

typedef struct tk_lips_sight { // an example
    int style, who;
    float open; // 0 closed .. 1
    float seen[TK_LIPS_SEEN];
} tk_lips_sight;
typedef struct tk_lips_sound { // an example
    int clip;
    float open;
    float heard[TK_LIPS_HEARD];
} tk_lips_sound;

typedef struct tk_lips_reader {
    int styles;
    double *eye; // (styles, TK_LIPS_SEEN)
    double ear[TK_LIPS_HEARD];
} tk_lips_reader;

// The mouth of a head in a picture (height, width, 3).
tk_status tk_lips_look(const tk_head *head, const uint8_t *rgb, int64_t height, int64_t width,
                       float seen[TK_LIPS_SEEN]);
double tk_lips_width(const tk_head *head); // pixels

// What is heard of samples (samples, channels), in `a`; an instant is seconds * TK_LIPS_HOPS.
typedef struct tk_lips_track {
    int64_t hops;
    float *band; // (hops, TK_LIPS_BANDS) nepers
} tk_lips_track;
tk_status tk_lips_listen(const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                         tk_arena *a, tk_lips_track *out);
void tk_lips_hear(const tk_lips_track *t, int64_t hop, float heard[TK_LIPS_HEARD]);

typedef struct tk_lips_clip {
    const uint8_t *rgb;
    int64_t height, width;
    double fps;
    tk_lips_track sound;
} tk_lips_clip;

tk_status tk_lips_learn(int64_t n, const tk_lips_sight *sight, int64_t m,
                        const tk_lips_sound *sound, int styles, tk_arena *a, tk_lips_reader *out);

typedef struct tk_lips {
    int64_t judged;  // frames in which a mouth of TK_LIPS_LEAST pixels is followed: all or none
    double together; // correlation of what is seen and heard, as it is; 0 where nothing is judged
    double best;     // the highest with the sound shifted by up to TK_LIPS_LAG hops
    double late_ms;  // by which the sound is then late; below 0: early
} tk_lips;

// Frames [first, first + frames) of a clip whose rgb (.., height, width, 3) and sound are given
// from its begin; the head was followed through them.
tk_status tk_lips_watch(const tk_lips_reader *l, int style, const tk_head_way *way,
                        const tk_lips_clip *clip, int64_t first, int64_t frames, tk_lips *out);
