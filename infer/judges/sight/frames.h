// SPDX-License-Identifier: Apache-2.0
// What pictures are like, frame by frame as they pass: light, colours, how much changes; and what
// follows from that of any footage: where it is cut, whether it flickers, whether its colours
// drift. A mark is a few hundred bytes, so that an hour of film is judged in some megabytes.
#pragma once
#include "core/base/mem.h"
#include <stdint.h>

enum { TK_MARK_SIDE = 16, TK_MARK_TONES = 64 };

typedef struct tk_mark {
    uint8_t small[TK_MARK_SIDE * TK_MARK_SIDE * 3]; // the picture, 16 x 16
    float tones[TK_MARK_TONES];                     // shares of 4 x 4 x 4 colours
    float light;                                    // mean of all pixels, 0 to 1
} tk_mark;

typedef struct tk_frames { // zeroed: no frame yet
    int64_t n, room;
    tk_mark *mark;
} tk_frames;
tk_status tk_frames_add(tk_frames *f, const uint8_t *rgb, int64_t height, int64_t width);
void tk_frames_free(tk_frames *f);

// How different two frames are: half by what is where, half by colours; 0 to 1.
double tk_frames_apart(const tk_frames *f, int64_t i, int64_t j);
// How much frame i differs from the one before in place, 0 to 1; frame 0: 0.
double tk_frames_change(const tk_frames *f, int64_t i);

// First frames of shots found, frame 0 included: at (f->n). Hard cuts; a flash of a frame is none,
// a slow dissolve is none. How many.
int64_t tk_frames_shots(const tk_frames *f, int64_t *at);
// The n frames that differ most from the one before, none beside another, in order: at (n). How
// many there are. Where pictures change all the time cuts are found everywhere; these tell where
// they change most.
int64_t tk_frames_largest(const tk_frames *f, int64_t n, int64_t *at);
// Cuts found that are within `near` frames of one asked for (each used once), over the larger of
// both numbers: 1 where all are there and none besides; no cut asked and none found is 1 of 1.
typedef struct tk_cuts_found {
    int64_t hits, of;
} tk_cuts_found;
tk_cuts_found tk_frames_match_cuts(int64_t n_found, const int64_t *found, int64_t n_asked,
                                   const int64_t *asked, int64_t near);

// Mean of how far a frame's light lies from the middle of its neighbours', within shots; in
// percent of full scale. A fade has none, every second frame brighter has much.
double tk_frames_flicker(const tk_frames *f, int64_t n_shots, const int64_t *shot);
// Colours of a shot against those of the first shot, 0 alike to 1 nothing in common: the mean over
// its frames.
double tk_frames_drift(const tk_frames *f, int64_t n_shots, const int64_t *shot, int64_t k);

// Moments at which motion begins, stops or turns: frames at which what changes rises or falls by
// more than half within a shot, and cuts. at (f->n); how many.
int64_t tk_frames_events(const tk_frames *f, int64_t n_shots, const int64_t *shot, int64_t *at);
