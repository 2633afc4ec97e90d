// SPDX-License-Identifier: Apache-2.0
// A part of a storyboard's timeline that a file gives: its pictures and its sound on their way to
// rows, window by window, whoever reads them (giver.c). Internal to infer/story.
#pragma once
#include "infer/story/giver.h"

typedef struct tk_given_part {
    const tk_giver *g;
    const tk_given_media *m;
    const tk_codec_info *info;
    tk_media_config want; // its clocks and sizes
    tk_grid grid;
    int64_t first_row, rows; // of sound: its place in the timeline, and how many have room there
} tk_given_part;

// TK_INPUT for pictures that do not divide into patches.
tk_status tk_given_part_lay(const tk_giver *g, const tk_given_media *m, tk_given_part *out);

typedef struct tk_pictures { // on their way to rows
    const tk_given_part *p;
    tk_arena arena;
    uint8_t *rgb;          // (room) pictures, of which so many are held
    int64_t room, held;    // ...
    int64_t bytes, window; // of a picture; pictures that are encoded at once
    int64_t seen, at;      // pictures in all; latent frames that are done
    float *rows;           // (a window's)
} tk_pictures;

// Where no picture is wanted they are counted and none is held. Whoever opened it frees the arena.
tk_status tk_pictures_open(const tk_given_part *p, tk_pictures *out);
// n more pictures, of a second at most, lie in rgb behind those that are held.
tk_status tk_pictures_add(tk_pictures *x, int64_t n);
// The last picture is held to the end. There was one.
tk_status tk_pictures_end(tk_pictures *x, const uint8_t *last);

typedef struct tk_sounds { // on their way to rows
    const tk_given_part *p;
    float *pcm;            // (held, channels), in memory of room
    int64_t room, held;    // samples
    int64_t seen;          // samples in all
    int64_t step;          // rows before a window that are encoded with it
    int64_t window;        // rows that are encoded at once; 0: all
    int64_t first, at;     // row that what is held begins with; rows that are done
    tk_latents_file track; // where all are encoded at once: what was seen so far, on disk
} tk_sounds;

tk_sounds tk_sounds_open(const tk_given_part *p);
// n more samples (n, channels), those that the timeline has; NULL: silence.
tk_status tk_sounds_add(tk_sounds *x, const float *pcm, int64_t n);
// Silence to the end, and what is left.
tk_status tk_sounds_end(tk_sounds *x);
void tk_sounds_close(tk_sounds *x);
