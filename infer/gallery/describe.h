// SPDX-License-Identifier: Apache-2.0
// What a gallery's page is told of a clip, as JSON:
//
//     number, name, title, time, seconds, width, height
//     style, shots: [{start, seconds, styled, prompt}]
//     marked, trusted
//     lineage: [{label, claim, title, signer, from: [{title, relation, type, words, manifest}]}]
//
// The second line is of the JSON beside the clip, if it is this clip's: its folder's word, of which
// no more is taken than a storyboard could have. start, seconds: of the film; styled: the style is
// put before the prompt. The manifest vouches for the last line; `marked`: the mark was asked for
// and is there.
#pragma once
#include "data/media/media.h"
#include "infer/provenance/proof.h"
#include <jansson.h>

enum { TK_GALLERY_NUMBER = 33 }; // bytes of a number in words, with its NUL
// Of a clip's bytes, or of a claim: half of their SHA-256, in 32 digits; "" where that is NULL.
// Nobody makes another of the same. Returns `out`.
const char *tk_gallery_number(const uint8_t *hash, char out[TK_GALLERY_NUMBER]);

typedef struct tk_told_clip {
    const char *path;    // its file, beside which its JSON is looked for
    const char *name;    // of the file, without folders, UTF-8
    const char *number;  // of its bytes
    const char *digest;  // of its bytes, by which the JSON beside it knows it
    int64_t bytes, time; // time: seconds since 1970
    const tk_proof *proof;
    bool marked;
    const tk_media_poster *poster;
} tk_told_clip;

// *out is the caller's. `a` is for what is read on the way. TK_MEMORY alone.
tk_status tk_gallery_describe(const tk_told_clip *t, tk_arena *a, json_t **out);
