// SPDX-License-Identifier: Apache-2.0
// The latents of a finished clip as a file that stays beside it, so that it can be gone on from
// without loss: a head, then all video rows, then all audio rows, as floats of this machine's.
//
// Files are read that anybody made: what a head says is held against the file's size, contents
// against a digest that the reader knows from elsewhere (XXH3), and every number is finite.
#pragma once
#include "core/base/files.h"
#include "data/codec/latents.h"

typedef struct tk_latents_form {
    uint64_t codec;                  // digest of the codec that they are of
    int64_t rows[TK_CODEC_SIDES];    // latent frames; audio rows of all channels, with the tail
    int64_t numbers[TK_CODEC_SIDES]; // of one of these
} tk_latents_form;

// All rows of a source, window by window. The caller commits the file.
tk_status tk_latents_write(const tk_file *f, const tk_latents_form *form, tk_latent_source *from);
// What its head says. TK_INPUT naming the file: none of ours, or not of the size that it says.
tk_status tk_latents_look(const char *path, tk_latents_form *form);

// A file whose rows are read as they are wanted: none of them stays in memory.
typedef struct tk_latents_file {
    const char *path; // NULL: closed
    int fd;
    tk_latents_form form;
} tk_latents_file;
// Reads all of it once. `form` is what its head must say; the path stays the caller's. TK_INPUT
// naming the file: it is not of this digest, or damaged.
tk_status tk_latents_open(const char *path, const tk_latents_form *form, uint64_t digest,
                          tk_latents_file *out);
// Rows [first, first + n) of a side.
tk_status tk_latents_get(const tk_latents_file *f, tk_codec_side side, int64_t first, int64_t n,
                         float *to);
void tk_latents_close(tk_latents_file *f); // of one that is zero: fine

// A file without a name, on the disk of `path`, which messages call it by and which stays the
// caller's: its rows are zeros until they are put, and it is gone when it is closed, or its process
// is.
tk_status tk_latents_scratch(const char *path, const tk_latents_form *form, tk_latents_file *out);
tk_status tk_latents_put(const tk_latents_file *f, tk_codec_side side, int64_t first, int64_t n,
                         const float *from);
