// SPDX-License-Identifier: Apache-2.0
// Which rows of a document's own shots are given and not made, told in boxes: a task of training
// and what a storyboard gives are nothing but lists of them. They take memory by their number, not
// by the rows they hold; a mask there is only of a document that the model is asked with:
//
//     tk_given_open(&timeline, 0, arena, &g);
//     TK_TRY(tk_give(&g, TK_AUDIO, &g.whole[TK_AUDIO], true));
//     TK_TRY(tk_given_mask(&g, begin, first, scratch, &window));
#pragma once
#include "core/model/stream.h"

typedef struct tk_given_box {         // of rows of one modality; ends are excluded
    int64_t begin, end;               // latent frames, or audio latents
    int64_t top, bottom, left, right; // rows of a latent frame; of sound, what `whole` has
} tk_given_box;

typedef struct tk_given_change {
    int modality;
    bool given; // what the rows in the box become
    tk_given_box box;
} tk_given_change;

typedef struct tk_given {              // of shots [first, the last] of a document
    tk_given_box whole[TK_MODALITIES]; // all that can be given; times count from their beginning
    int64_t before;                    // latent frames of the shots before them
    tk_given_change *change;           // (n) a later one has its way over earlier ones
    int64_t n, room;
    tk_arena *arena; // of the changes
} tk_given;

// Latent frames, or audio latents, of shots [shot, the last].
int64_t tk_given_length(const tk_document *d, int shot, int modality);

// Of shots [first, the last] of *d, which are of the document's size, nothing is given yet.
void tk_given_open(const tk_document *d, int first, tk_arena *a, tk_given *g);
// Rows in the box, as far as they are there, become given, or not given. Of a box of sound only
// times count. TK_MEMORY.
tk_status tk_give(tk_given *g, int modality, const tk_given_box *box, bool given);

// Whether of latent frames, or audio latents, [begin, end) any row is not given.
bool tk_given_leaves(const tk_given *g, int modality, int64_t begin, int64_t end);
// Of latent frames, or audio latents, [begin, end), which are there: 1 for each row that is given,
// 0 for each other.
void tk_given_rows(const tk_given *g, int modality, int64_t begin, int64_t end, uint8_t *row);
// The masks of *d, in `a`: its shots from `first` on are those that begin at begin[modality]; of
// shots before, nothing is given. TK_MEMORY.
tk_status tk_given_mask(const tk_given *g, const int64_t begin[TK_MODALITIES], int first,
                        tk_arena *a, tk_document *d);
