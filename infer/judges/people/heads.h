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

// A shot is watched in at most TK_HEADS_WATCHED of its frames, evenly chosen from the first to the
// last; what was seen in them says who is in it, where a head goes, and what else is asked of
// people.
enum { TK_HEADS_WATCHED = 8, TK_HEADS_SEEN = 4 };
typedef struct tk_head_sightings {
    int n; // frames
    int64_t frame[TK_HEADS_WATCHED];
    int heads[TK_HEADS_WATCHED];
    tk_head head[TK_HEADS_WATCHED][TK_HEADS_SEEN]; // the surest first
} tk_head_sightings;
int64_t tk_heads_frame(int64_t frames, int k); // the k-th of them; tk_heads_frames of them
int tk_heads_frames(int64_t frames);
// rgb: (frames, height, width, 3) of the shot.
tk_status tk_heads_watch(const tk_head_finder *h, int style, const uint8_t *rgb, int64_t frames,
                         tk_head_sightings *out);
// The person surest to be in the shot, -1: nobody. sure: what is sure of each, summed over frames.
int tk_heads_who(const tk_head_sightings *s, double sure[TK_HEAD_PEOPLE]);

typedef struct tk_head_way { // one head through a shot
    int n;                   // sightings; 0: there is none
    int64_t frame[TK_HEADS_WATCHED];
    tk_head head[TK_HEADS_WATCHED];
    double x[2], y[2], r[2]; // at frame 0, and by how much they change with each frame
} tk_head_way;
// Follows the head seen as `who`'s (-1: the surest) along the straight way that most of its
// sightings lie on: what lies elsewhere is left out.
void tk_heads_follow(const tk_head_sightings *s, int who, tk_head_way *out);
tk_head tk_heads_at(const tk_head_way *w, int64_t frame); // where it is in any frame
