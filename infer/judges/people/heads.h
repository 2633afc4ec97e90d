// SPDX-License-Identifier: Apache-2.0
// People: where a head is, whose it is, and which way it looks, from pictures alone. Learned from
// pictures with boxes: linear discriminants of windows, each person and way of looking against what
// is no head, shown once more what they first mistook for one.
#pragma once
#include "infer/judges/classes.h"

typedef struct tk_head {
    double x, y,
        r;         // centre and half of the height, pixels; (0.5, 0.5) is the top left one's centre
    int who, turn; // turn: 0 left, 1 to the camera, 2 right
    double sure;   // how much likelier than none, a logarithm
} tk_head;

enum { TK_HEADS = 2, TK_HEAD_TURNS = 3, TK_HEAD_PEOPLE = 10 };
#define TK_HEAD_LEAST 5.0 // half of the height, pixels, of heads that are looked for

typedef struct tk_head_picture { // an example
    const uint8_t *rgb;
    int style, n;
    tk_head head[TK_HEADS]; // all that can be seen, of any size
} tk_head_picture;

typedef struct tk_head_finder {
    int64_t height, width; // of pictures
    int styles;
    struct tk_head_lens *of; // (styles)
} tk_head_finder;

// All pictures are height x width.
tk_status tk_heads_learn(int64_t n, const tk_head_picture *picture, int styles, int64_t height,
                         int64_t width, tk_arena *a, tk_head_finder *out);
// Heads in a picture, the surest first; none where another one surer is nearer than a head. At most
// `room`; how many.
tk_status tk_heads_find(const tk_head_finder *h, int style, const uint8_t *rgb, int room,
                        tk_head *found, int *n);
// Who is in a shot: what is sure of each person, summed over at most 6 of its frames, a frame's
// surest head for each.
tk_status tk_heads_watch(const tk_head_finder *h, int style, const uint8_t *rgb, int64_t frames,
                         double sure[TK_HEAD_PEOPLE]);
