// SPDX-License-Identifier: Apache-2.0
// What a storyboard gives of the clip that it asks for: keyframes, its sound, its picture, all but
// a part that is made anew, shots of other clips. Given rows come out as they went in.
//
// The storyboard's timeline is a document of one shot, and what is given of it are boxes of its
// rows, told by the calls that training's tasks tell theirs by (train/step/tasks.h). They take
// memory by what the storyboard says, not by its length; masks there are only of windows:
//
//     tk_story_given_open(&g, &story, info, arena);
//     TK_TRY(tk_give_modality(&g.what, TK_AUDIO));   // and g.rows[TK_AUDIO] to be filled
#pragma once
#include "infer/story/remix.h"
#include "train/step/tasks.h"

// Rows of the timeline that a file has: latent frames, audio rows of all channels.
typedef struct tk_given_span {
    int file;
    int64_t first[TK_MODALITIES], n[TK_MODALITIES]; // of the timeline
    int64_t from[TK_MODALITIES];                    // of the file, the first of them
} tk_given_span;

typedef struct tk_story_given {
    tk_shot_rows shot;
    tk_document doc;             // the timeline
    tk_given what;               // of it
    int64_t each[TK_MODALITIES]; // numbers of a latent frame, of an audio row of all channels
    float *rows[TK_MODALITIES];  // (rows, channels) of it, read where they are given
    // Or these ranks hold none, and the first of them has files, of which spans lie on it, where
    // they lie over each other the later ones.
    tk_comm *holders;
    tk_latents_file *file; // (files)
    int files;
    tk_given_span *span; // (spans)
    int64_t spans;
} tk_story_given;

// Nothing is given, rows are zeros. `out` must stay where it is.
tk_status tk_story_given_open(tk_story_given *out, const tk_story *s, const tk_codec_info *k,
                              tk_arena *a);

// Whether the storyboard gives anything; whether it takes shots of other clips.
bool tk_story_gives(const tk_storyboard *b);
bool tk_story_takes(const tk_storyboard *b);
// Whether of a shot that is taken the picture, or the sound, is kept.
bool tk_shot_keeps(const tk_shot_config *s, int modality);
// What it gives, without reading any of it: rows are NULL. TK_INPUT where nothing is left to make,
// unless shots are taken: a film may be cut together of nothing else.
tk_status tk_story_given_lay(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                             tk_arena *a, tk_story_given *out);
// Collective over those who make the clip: the same, read and encoded by the first of them into
// files without a name beside `beside`, or of the latents that were found with a clip that is gone
// on from, which stay where they are; of one that is remixed all rows are there, also of what is
// made.
// TK_INPUT, a line each with the place of its option, for files that are too short or damaged. To
// be closed, also where it fails.
typedef struct tk_story_given_ranks {
    tk_comm *replica, *holders; // all; of them those that hold rows, rank 0 first, NULL: not this
} tk_story_given_ranks;
tk_status tk_story_given_read(const tk_config *c, const tk_story *s, const tk_remix *r,
                              const tk_codec *codec, const char *beside,
                              const tk_story_given_ranks *ranks, tk_arena *a, tk_story_given *out);
// Of modality m, latent frames or audio rows of all channels [first, first + n) of the timeline;
// zeros where nothing is given. Collective over the holders, where there are any.
tk_status tk_story_given_rows(const tk_story_given *g, int m, int64_t first, int64_t n, float *to);
void tk_story_given_close(tk_story_given *g); // of one that is zero: fine

// The mask of a window's document, whose shots from `own` on are the window's.
tk_status tk_story_give(const tk_story_given *g, const tk_story *s, const tk_window *w, int own,
                        tk_arena *a, tk_document *doc);

// Whether a window has rows that are made: tk_story_give's mask of it has a 0.
bool tk_story_window_makes(const tk_story_given *g, const tk_story *s, const tk_window *w);

// The files that a storyboard names, references included: where their names are kept, in order.
// Room for tk_story_files(b, NULL) of them.
int64_t tk_story_files(const tk_storyboard *b, char ***at);
// The option that names the i-th of them, "shots[2].references[0]".
typedef char tk_story_option[80];
const char *tk_story_file_option(const tk_storyboard *b, int64_t i, tk_story_option out);
// Whether one before the i-th is the same, by its name: shots may be of one clip.
bool tk_story_file_again(char **const *at, int64_t i);
// Seconds of a file that shots are taken of, from its beginning on; 0: none are.
double tk_story_file_reach(const tk_storyboard *b, const char *file);
