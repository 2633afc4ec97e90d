// SPDX-License-Identifier: Apache-2.0
// What texts name that is given beside them: references by their tags, <face 1>; people by their
// handles, @ada. Nothing else of a text is a name here.
//
//     tk_named x;
//     for (tk_naming of = {.at = prompt}; tk_named_next(&of, &x);) ...
#pragma once
#include "core/config/config.h"

typedef struct tk_named {
    const char *text; // of a tag what stands between its brackets, of a handle what is behind the @
    size_t bytes;
    bool person; // a handle
} tk_named;

typedef struct tk_naming { // a text that is gone through
    const char *at;        // what is left of it
    const char *spoken;    // where what is being spoken ends; NULL: nothing is
    bool within;           // what is left begins within a word
} tk_naming;

// Bytes between the brackets of the tag that begins at s; 0: none begins there. Neither begins nor
// ends in a space, so that "a < b and c > d" has none.
size_t tk_tag_bytes(const char *s);
// The number that a tag ends in, "face 12"; -1: none. Those of one number are of one character.
long tk_tag_number(const char *tag, size_t bytes);
// Whether it is a reference's name though none is given by it: it ends in a number. Other words in
// brackets, <so>, may be just words.
bool tk_tag_is_meant(const char *tag, size_t bytes);
// Behind what is spoken, if it begins at s, with what stands between its quotes; else s.
const char *tk_skip_spoken(const char *s, const char **text, size_t *bytes);

// The next of a text; false: no more. Handles that are spoken are words, tags are tags there too,
// as in training.
bool tk_named_next(tk_naming *of, tk_named *out);

// Does that word stand at `at` in the text, alone: between what is no letter of any script and no
// digit?
bool tk_word_stands(const char *text, const char *at, const char *word);

// Whether a storyboard gives a reference under a tag, of its cast or of somebody of `cameo`.
bool tk_tag_given(const tk_storyboard *b, const char *tag, size_t bytes);
// Somebody's place in `cameo`, from 1; 0: not there.
int64_t tk_cameo_number(const tk_storyboard *b, const char *handle, size_t bytes);
// Whether the i-th of `cameo` lends a face or a voice, by what stands there.
bool tk_cameo_lends(const tk_storyboard *b, int64_t i, const char *kind);

enum { TK_TAGS_WORDS = 160 };
// "there are <face 1> and <voice 1>", "there is none"; of many the first ones.
const char *tk_tags_say(const tk_storyboard *b, char out[TK_TAGS_WORDS]);
