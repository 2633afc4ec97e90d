// SPDX-License-Identifier: Apache-2.0
// Bytes that are written and read, and JUMBF boxes of them (ISO 19566-5): the shelves of a
// manifest.
//
// A superbox, "jumb", begins with its description ("jumd": a kind, which is a UUID of four letters
// and a constant, and a label) and holds boxes. Readers take bytes of anybody's: nothing is read
// beyond a span, and what does not add up is no box. Descriptions that no hash covers, those of the
// standard's own superboxes, hold nothing beside kind and label.
#pragma once
#include "core/base/mem.h"

enum { TK_MANIFESTS = 1024, TK_LABEL = 256 }; // in a store, at most; bytes of the label of one

typedef struct tk_span { // bytes that somebody else owns
    const uint8_t *x;
    size_t n;
} tk_span;

bool tk_span_same(tk_span a, tk_span b);
bool tk_span_is(tk_span a, const char *text); // without its NUL

// Grows as it is written. Once there is no memory nothing is added and `full` stays true.
typedef struct tk_blob {
    uint8_t *x;
    size_t n, room;
    bool full;
} tk_blob;

void tk_blob_put(tk_blob *b, const void *x, size_t n);
void tk_blob_number(tk_blob *b, uint64_t x, int bytes); // big-endian
tk_status tk_blob_check(const tk_blob *b);              // TK_MEMORY where it is full
void tk_blob_free(tk_blob *b);
static inline tk_span tk_blob_span(const tk_blob *b)
{
    return (tk_span){b->x, b->n};
}

// ---- writing: where the box begins, for its end ------------------------------------------------

size_t tk_box_begin(tk_blob *b, const char type[5]);
size_t tk_superbox_begin(tk_blob *b, const char kind[5], const char *label);
void tk_box_end(tk_blob *b, size_t at); // of both

// ---- reading -----------------------------------------------------------------------------------

typedef struct tk_jumb {
    char type[5];
    tk_span body;  // after the header; of a superbox, what is hashed where others refer to it
    char kind[5];  // of a superbox, else ""; "?" where it is none of ours
    tk_span label; // of a superbox
    tk_span rest;  // of a superbox: the boxes after its description
} tk_jumb;

// The next box of `from`, which moves on behind it; false where no whole box is left. *from is
// empty at a proper end.
bool tk_box_next(tk_span *from, tk_jumb *b);
// The superbox of that label among those of `in`; false: none, or two.
bool tk_superbox_find(tk_span in, tk_span label, tk_jumb *b);
