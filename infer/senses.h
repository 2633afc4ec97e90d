// SPDX-License-Identifier: Apache-2.0
// What is said in sounds and what can be read in pictures, held against a policy that listens or
// reads as texts are (infer/filter/ruling.h): of files, and of a clip as it passes.
#pragma once
#include "infer/filter/ruling.h"
#include "infer/judges/sight/letters.h"
#include "infer/judges/sound/transcript.h"

// Pictures so many a second are read: what is to be read for longer than that is seen.
enum { TK_SENSES_PICTURES = 2 };

typedef struct tk_senses { // zeroed: neither is open. Of one thread
    tk_transcript *ear;
    tk_letters *eye;
} tk_senses;
// Opens what the policy asks for; fine where it is open. TK_INPUT where words cannot be heard at
// `rate` samples a second, or no text can be read, and the policy wants it: then nothing is made
// of the storyboard `file`.
tk_status tk_senses_open(tk_senses *s, const tk_policy *p, const char *file, int64_t rate);
void tk_senses_close(tk_senses *s);

typedef struct tk_sensed { // one source of sound or pictures; in one place as long as it is sensed
    tk_ruling *ruling;
    const char *file, *what; // storyboard; which source of it: "the clip"
    // Of what was read in it: the picture, in cells, and hashes of the latest texts.
    uint8_t *cells;
    int64_t n_cells;
    uint64_t text[64];
    int64_t texts;
    bool refused; // what was read in it
} tk_sensed;
void tk_sensed_free(tk_sensed *of); // what it holds

// A tk_transcript_said for ctx = the tk_sensed: what is said after a second, to the ruling.
tk_status tk_sensed_said(void *ctx, double second, const char *text);
// A picture rgb (height, width, 3), to be seen after a second. One that looks like the last one
// that was read is not read again, nor is a text looked at twice of the same source; once something
// that is read is refused, nothing more of it is.
tk_status tk_senses_see(tk_senses *s, tk_sensed *of, double second, const uint8_t *rgb,
                        int64_t height, int64_t width);

typedef struct tk_senses_file {
    const char *path;
    double seconds; // of it, at most
    int64_t side;   // its pictures are read at this many pixels at most, either way
    bool pictures;  // whether they are looked at
} tk_senses_file;
// What the policy asks for, of a media file.
tk_status tk_senses_take(tk_senses *s, const tk_senses_file *f, tk_sensed *of);
