// SPDX-License-Identifier: Apache-2.0
// The boxes of an MP4 file: where a manifest lies among them, and the hash that binds it to all
// others (the standard's c2pa.hash.bmff).
#pragma once
#include "infer/provenance/boxes.h"

enum {
    TK_MP4_HASH = 32,                 // bytes of a hash
    TK_MP4_HEAD = 8 + 16 + 4 + 9 + 8, // of a manifest's box, before the store
    TK_MP4_STORE = 16 << 20,          // of a store, at most
};

typedef struct tk_mp4 {
    int64_t bytes;           // of the file
    int64_t room, room_at;   // bytes of a free box right behind ftyp, its place; 0: none
    int stores;              // boxes that hold a manifest store
    int64_t store, store_at; // bytes of the first one, without its head; its place
    int others;              // boxes of the standard's that are no store
    bool torn;               // one does not end within the file: nothing was looked at from there
} tk_mp4;

// Goes through the boxes of a file. TK_INPUT where they do not add up to one of the ISO family; a
// file that has boxes of the standard's and is torn behind them, or in them, was one.
tk_status tk_mp4_look(int fd, const char *path, int64_t bytes, tk_mp4 *out);
// SHA-256 of all boxes but ftyp, mfra and those of the standard's, each behind its place in the
// file.
tk_status tk_mp4_hash(int fd, const char *path, int64_t bytes, uint8_t hash[TK_MP4_HASH]);
// SHA-256 of a whole file, whatever it is.
tk_status tk_mp4_hash_whole(int fd, const char *path, int64_t bytes, uint8_t hash[TK_MP4_HASH]);
// What tk_mp4_hash leaves out, as the assertion says it: an array, in CBOR.
void tk_mp4_exclusions(tk_blob *b);
// The head of a box for a store of `store` bytes.
void tk_mp4_head(tk_blob *b, size_t store);
