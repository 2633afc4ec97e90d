// SPDX-License-Identifier: Apache-2.0
// References: media files given to the model as clean rows at times before 0; those of the cast
// have tags, by which prompts name them.
#pragma once
#include "infer/story/shots.h"

typedef struct tk_reference {
    const char *path;
    const char *tag;      // "": none
    bool lent;            // by somebody's cameo: its path is of this process alone
    int shot;             // documents that make this shot are given it; -1: all
    int64_t latents;      // latent frames; 0 where the file has no pictures
    int64_t high, wide;   // rows of each
    int64_t audio_rows;   // audio latents; 0 where the file has no sound
    float *video, *audio; // rows; in the arena
} tk_reference;

typedef struct tk_references {
    int n;
    tk_reference *ref;
} tk_references;

// A line of *w each where a window is given more than TK_REFERENCE_WINDOWS of what it holds. Their
// sizes are measured where there are enough of them.
enum { TK_REFERENCE_WINDOWS = 4 };
tk_status tk_references_check(tk_wrong *w, const tk_config *c, const tk_story *s,
                              const tk_codec_info *k);

// Reads the references of a storyboard that was checked at its size and rates and encodes them;
// pictures that prompts name are portraits (data/media/rows.h). Each is cut to what a window holds.
tk_status tk_references_read(const tk_config *c, const tk_story *s, const tk_codec *codec,
                             tk_arena *a, tk_references *out);

// The same of their sizes alone, without rows and without reading all of a file.
tk_status tk_references_measure(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                                tk_arena *a, tk_references *out);

// Does document w of the story get this reference?
bool tk_reference_in(const tk_reference *r, const tk_window *w);
