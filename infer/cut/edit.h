// SPDX-License-Identifier: Apache-2.0
// A clip as it is made, on its way to the film that is delivered: shots that dissolve into each
// other and fade, part by part. Pictures are mixed in the numbers that are shown, sound so that its
// power stays (as sine and cosine); what fades gets darker and softer together. Memory: the frames
// of the longest dissolve.
#pragma once
#include "data/codec/media.h"
#include "infer/cut/cut.h"

typedef struct tk_edit {
    tk_media_source source;  // the first member
    tk_media_source *of;     // the caller's
    const tk_cut *cut;       // the caller's
    int shot;                // that was asked for last
    int tail_of;             // shot whose beginning `tail` is mixed with; -1: none
    uint8_t *tail;           // (dissolve, height, width, 3) last frames of the shot before it
    uint8_t *mixed;          // (height, width, 3)
    float *under;            // (room, channels) of the shot before
    int64_t tail_room, room; // frames, samples
} tk_edit;

void tk_edit_open(tk_edit *e, const tk_cut *cut, tk_media_source *of);
void tk_edit_close(tk_edit *e); // a zeroed one is fine
