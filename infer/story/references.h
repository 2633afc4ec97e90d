// SPDX-License-Identifier: Apache-2.0
// References: media files given to the model as clean rows at times before 0; those of the cast
// have tags, by which prompts name them.
#pragma once
#include "infer/story/given.h"

typedef struct tk_reference {
    const char *path;
    const char *tag;           // "": none
    bool lent;                 // by somebody's cameo: its path is of this process alone
    int shot;                  // documents that make this shot are given it; -1: all
    int64_t latents;           // latent frames; 0 where the file has no pictures
    int64_t high, wide;        // rows of each
    int64_t audio_rows;        // audio latents; 0 where the file has no sound
    float *video, *audio;      // rows, in the arena; a shot's own lie in the file,
    int64_t at[TK_MODALITIES]; // ... from these bytes on
} tk_reference;

typedef struct tk_references {
    int n;
    tk_reference *ref;
    // Where shots have some of their own: those of whom the first has the file; path NULL: not this
    // rank.
    tk_comm *holders;
    const char *path;
    int fd;
} tk_references;

// A line of *w each where a window is given more than TK_REFERENCE_WINDOWS of what it holds. Their
// sizes are measured where there are enough of them.
enum { TK_REFERENCE_WINDOWS = 4 };
tk_status tk_references_check(tk_wrong *w, const tk_config *c, const tk_story *s,
                              const tk_codec_info *k);

// Collective over those who make the clip: reads the references of a storyboard that was checked at
// its size and rates and encodes them; pictures that prompts name are portraits
// (data/media/rows.h). Each is cut to what a window holds. Those of all windows each rank has in
// `a`; those of one shot, of which a long storyboard may have many, the first rank puts into a file
// without a name beside `beside`. To be closed, also where it fails.
tk_status tk_references_read(const tk_config *c, const tk_story *s, const tk_codec *codec,
                             const char *beside, const tk_story_given_ranks *ranks, tk_arena *a,
                             tk_references *out);
// The first n numbers of a reference's rows of modality m. Collective over the holders, where it is
// a shot's own.
tk_status tk_references_get(const tk_references *all, const tk_reference *r, int m, int64_t n,
                            float *to);
void tk_references_close(tk_references *x); // of one that is zero: fine

// The same of their sizes alone, without rows and without reading all of a file.
tk_status tk_references_measure(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                                tk_arena *a, tk_references *out);

// Does document w of the story get this reference?
bool tk_reference_in(const tk_reference *r, const tk_window *w);
