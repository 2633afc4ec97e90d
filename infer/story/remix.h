// SPDX-License-Identifier: Apache-2.0
// The clip that a storyboard remixes, as it lies there: its film, its description, its latents.
//
// A clip of talkie's has OUTPUT.json beside it, which names it by its digest: where that is the
// film's, the clip is known, and so are its shots, what it was made from, and the digest of
// OUTPUT.latents, from which it is remixed to the bit. Any other film, and one that was changed
// since, is decoded and encoded.
#pragma once
#include "infer/reel/latents.h"
#include "infer/story/shots.h"
#include <jansson.h>

typedef struct tk_remix {
    const char *clip; // the film; NULL: nothing is remixed
    json_t *told;     // its description; NULL: it is no clip of talkie's, or not as it was made
    int64_t frames;   // of a known clip
    bool told_shots;  // the storyboard has its shots from there
    // Beside it; NULL: the film is encoded.
    const char *latents;
    tk_latents_form form;
    uint64_t digest; // of the file
} tk_remix;

// Looks at what the storyboard of *c, of which no shots need be there, remixes. A storyboard
// without shots gets the clip's, and its size where it says none; remix.prompt becomes the prompt
// of the shots that are made. What is wrong with it is a line of *w each. To be closed, also
// where it fails.
tk_status tk_remix_look(tk_wrong *w, tk_config *c, const tk_codec_info *k, tk_arena *a,
                        tk_remix *out);
// Once it is laid out: whether shots go beyond the clip, which c->story.remix.around tells from
// then on. A line of *w where they cannot.
void tk_remix_check(tk_wrong *w, const tk_remix *r, tk_config *c, const tk_story *s);
// Latent frames [first, first + n) of the storyboard that the clip fills.
typedef struct tk_remix_span {
    int64_t first, n;
} tk_remix_span;
tk_remix_span tk_remix_span_of(const tk_remix_config *c, const tk_story *s);
void tk_remix_close(tk_remix *r); // of one that is zero: fine

enum { TK_REMIX_WORDS = 256 };
// "shots 2, 3 made anew from 0.6 of noise, sound kept", or what else is made; without the clip.
const char *tk_remix_change(const tk_remix_config *c, char out[TK_REMIX_WORDS]);
// The same with the clip's name and how it is read.
const char *tk_remix_say(const tk_remix *r, const tk_storyboard *b, char out[TK_REMIX_WORDS]);

// The shots that a remix makes, of seconds each as they were asked for.
bool tk_remix_makes(const tk_storyboard *b, int64_t shot);
// A file beside a clip: its path with another suffix, ".json". NULL: out of memory.
char *tk_remix_beside(const char *clip, const char *suffix, tk_arena *a);
