// SPDX-License-Identifier: Apache-2.0
// What is said in a sound of any length, written down as it passes.
//
//     TK_TRY(tk_transcript_open(&t));                        // once, for any number of sounds
//     TK_TRY(tk_transcript_begin(t, 16000, 1, said, ctx));
//     TK_TRY(tk_transcript_add(t, pcm, n)); ...              // in order
//     TK_TRY(tk_transcript_end(t));                          // said was called for all of it
//     tk_transcript_close(t);
//
// The sound is heard in pieces that overlap, so that no word is cut by all of them; memory does not
// grow with its length. The recognizer knows the words of its dictionary and writes down the
// likeliest row of them: of words that are said it misses some, and of noise it makes words that
// nobody said (docs/filters.md says how often).
#pragma once
#include "core/base/mem.h"

enum { TK_TRANSCRIPT_RATE = 12000 }; // samples a second, at least: see infer/judges/sound/words.h
#define TK_TRANSCRIPT_PIECE 10.0     // seconds that are heard at a time,
#define TK_TRANSCRIPT_SHARED 2.0     // ... and of them with the next piece

// What is said in a piece, in lower case, which begins so many seconds after the sound does.
typedef tk_status tk_transcript_said(void *ctx, double second, const char *text);

typedef struct tk_transcript tk_transcript; // of one thread

// TK_INPUT where sound of so many samples a second cannot be written down: too few of them, no
// recognizer or no model of English on this machine, a build without speech. Costs nothing.
tk_status tk_transcript_ready(int64_t rate);
// TK_INPUT likewise. Takes about a second and 200 MB.
tk_status tk_transcript_open(tk_transcript **out);
// TK_INPUT for rates below 1 and sound without channels; what is below TK_TRANSCRIPT_RATE is heard
// badly.
tk_status tk_transcript_begin(tk_transcript *t, int64_t rate, int64_t channels,
                              tk_transcript_said *said, void *ctx);
// pcm (n, channels), taken together to one. What is no number is silence. Failures of `said` are
// passed on.
tk_status tk_transcript_add(tk_transcript *t, const float *pcm, int64_t n);
tk_status tk_transcript_end(tk_transcript *t);
void tk_transcript_close(tk_transcript *t); // NULL is fine
