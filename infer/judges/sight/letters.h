// SPDX-License-Identifier: Apache-2.0
// What can be read in a picture, by tesseract.
//
//     int main(int argc, char **argv) {
//         if (tk_letters_asked(argc, argv)) return tk_letters_main();  // before anything else
//         tk_letters_by("/proc/self/exe");
//     ...
//     TK_TRY(tk_letters_open(&l));                       // once, for any number of pictures
//     TK_TRY(tk_letters_read(l, rgb, height, width, arena, &text));
//     tk_letters_close(l);
//
// Pictures are read in a process of their own (core/base/aside.h), with one thread, a bound on its
// memory, and one on the time that a picture takes: what kills the reader kills nothing here. A
// picture is read several times, as it is, by what is brighter, darker or of another colour than
// what is around it, and by what is near one grey, so that letters are found on film
// (infer/judges/sight/legible.h). What was read before changes nothing of what is read after. It
// knows the Latin script and English, and of what has no letters makes some, mostly none that mean
// anything (docs/filters.md says how often).
#pragma once
#include "core/base/mem.h"

enum { TK_LETTERS_SIDE = 4096 }; // pixels of a picture, at most, either way

typedef struct tk_letters tk_letters; // of one thread

bool tk_letters_asked(int argc, char **argv);
int tk_letters_main(void); // the exit code
void tk_letters_by(const char *program);

// TK_INPUT where nothing can be read on this machine: no library, no data of the language, a build
// without tesseract. TK_IO where its process does not start. Takes some tenths of a second.
tk_status tk_letters_open(tk_letters **out);
// rgb (height, width, 3). The blocks of text of all readings, each once, in `a`; "" where there is
// none. TK_INPUT where the picture takes the reader's life, or too long (the next one is read all
// the same), and for pictures of no or too many pixels.
tk_status tk_letters_read(tk_letters *l, const uint8_t *rgb, int64_t height, int64_t width,
                          tk_arena *a, char **text);
void tk_letters_close(tk_letters *l); // NULL is fine
