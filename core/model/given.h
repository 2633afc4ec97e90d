// SPDX-License-Identifier: Apache-2.0
// Which rows of a document's own shots are given and not made: a mask for each modality, filled in
// boxes. A task of training and what a storyboard gives are nothing but such masks.
#pragma once
#include "core/model/stream.h"

typedef struct tk_given_box {         // of rows of one modality; ends are excluded
    int64_t begin, end;               // latent frames, or audio latents
    int64_t top, bottom, left, right; // rows of a latent frame; sound has none: the whole
} tk_given_box;

typedef struct tk_given {
    uint8_t *row[TK_MODALITIES]; // (rows of the modality): 1 is given
} tk_given;

// Nothing is given yet. Shots of *d must be there; the document's masks are these from now on.
tk_status tk_given_open(tk_document *d, tk_arena *a, tk_given *g);

// Latent frames, or audio latents, of shots [shot, the last].
int64_t tk_given_length(const tk_document *d, int shot, int modality);
// All of these shots.
tk_given_box tk_given_whole(const tk_document *d, int shot, int modality);
// Rows in the box become given, or not given. Its times count from the beginning of `shot`; it may
// reach over later shots, which are of the document's size.
void tk_give(const tk_document *d, int shot, int modality, const tk_given_box *box, bool given,
             tk_given *g);
