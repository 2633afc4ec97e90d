// SPDX-License-Identifier: Apache-2.0
// What a storyboard goes on from: the clip that it remixes, of which a part is made anew, or the
// clips that shots of it are taken of (shots[].clip), which are kept beside those that are made.
#pragma once
#include "infer/story/parent.h"
#include "infer/story/shots.h"

enum { TK_REMIX_CLIPS = 64 };

typedef struct tk_remix {
    tk_parent *parent; // (n) each clip once, in the order of the storyboard
    int n;
    int *of;         // (shots of the storyboard) the parent of one that is taken
    bool told_shots; // the storyboard has its shots from the clip that it remixes
} tk_remix;

// Looks at what the storyboard of *c, of which no shots need be there, goes on from. A storyboard
// without shots gets the clip's, and its size where it says none; remix.prompt becomes the prompt
// of the shots that are made. A shot that is taken gets its place in its clip, its length, and its
// prompt where it says none. What is wrong with it is a line of *w each. To be closed, also where
// it fails.
tk_status tk_remix_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, tk_arena *a,
                        tk_remix *out);
// Once it is laid out: whether shots go beyond the clip that is remixed, which
// c->story.remix.around tells from then on. A line of *w where they cannot.
void tk_remix_check(tk_wrong *w, tk_config *c, const tk_story *s);
// Latent frames [first, first + n) of the storyboard that the clip that is remixed fills.
typedef struct tk_remix_span {
    int64_t first, n;
} tk_remix_span;
tk_remix_span tk_remix_span_of(const tk_remix_config *c, const tk_story *s);
void tk_remix_close(tk_remix *r); // of one that is zero: fine

enum { TK_REMIX_WORDS = 512 };
// "shots 2, 3 made anew from 0.6 of noise, sound kept", or "shot 0 kept as shot 1": what comes of
// parent k; without its name.
const char *tk_remix_change(const tk_remix *r, const tk_storyboard *b, int k,
                            char out[TK_REMIX_WORDS]);
// The same with the clip's name and how it is read.
const char *tk_remix_say(const tk_remix *r, const tk_storyboard *b, int k,
                         char out[TK_REMIX_WORDS]);

// The shots that a remix makes, of seconds each as they were asked for.
bool tk_remix_makes(const tk_storyboard *b, int64_t shot);
