// SPDX-License-Identifier: Apache-2.0
// CBOR by libcbor's encoders and its decoder of single heads: no tree is built, and reading takes
// no memory, whatever the bytes claim. Items without a length of their own are not taken: the
// standard has manifests in the deterministic form.
#pragma once
#include "infer/provenance/boxes.h"

void tk_cbor_map(tk_blob *b, size_t pairs); // its keys and values come next
void tk_cbor_array(tk_blob *b, size_t items);
void tk_cbor_text(tk_blob *b, const char *text);
void tk_cbor_bytes(tk_blob *b, const void *x, size_t n);
void tk_cbor_int(tk_blob *b, int64_t x);
void tk_cbor_tag(tk_blob *b, uint64_t tag); // of the next item
void tk_cbor_null(tk_blob *b);

typedef enum tk_cbor_kind {
    TK_CBOR_UINT,
    TK_CBOR_NEGATIVE, // -1 - number
    TK_CBOR_BYTES,
    TK_CBOR_TEXT,
    TK_CBOR_ARRAY, // of number items
    TK_CBOR_MAP,   // of number pairs
    TK_CBOR_TAG,
    TK_CBOR_NULL,
    TK_CBOR_OTHER // floats, booleans, what is not defined
} tk_cbor_kind;

typedef struct tk_cbor {
    tk_cbor_kind kind;
    uint64_t number;
    tk_span string; // of bytes and texts
} tk_cbor;

// The head of the next item, and of bytes and texts all of it; *from moves on. False where none is
// left or it is malformed.
bool tk_cbor_next(tk_span *from, tk_cbor *item);
// The next item with all that is in it, however deep; *from moves on.
bool tk_cbor_whole(tk_span *from, tk_span *item);
// The value of a key of the map that `map` holds; false: it is none, or has no such key, or twice.
bool tk_cbor_find(tk_span map, const char *key, tk_span *value);
// What a span holds, where it is a text (bytes), or else nothing.
tk_span tk_cbor_get_text(tk_span item);
tk_span tk_cbor_get_bytes(tk_span item);
// The text under a key of a map, likewise.
tk_span tk_cbor_find_text(tk_span map, const char *key);
tk_span tk_cbor_find_bytes(tk_span map, const char *key);
// How many items an array holds; *items is what to go through by tk_cbor_whole. 0 where it is none.
uint64_t tk_cbor_items(tk_span array, tk_span *items);
