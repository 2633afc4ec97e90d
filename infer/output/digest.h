// SPDX-License-Identifier: Apache-2.0
// What a clip depends on, as numbers by which it is known again.
#pragma once
#include "infer/story/story.h"

typedef struct tk_output_digests {
    uint64_t clip;  // of everything that a clip depends on
    uint64_t made;  // of everything that its latents do: not how it is delivered, marked, signed
    uint64_t model; // of what is no storyboard's of that: options, checkpoint, codec
} tk_output_digests;

// Of storyboard, sampling options, checkpoint, codec, references' contents, latents of clips that
// it goes on from; not of the layout, where the output goes, or the program's revision. TK_INPUT
// for a reference that cannot be read.
tk_status tk_output_digest(const tk_config *c, const tk_trained *t, const tk_remix *r,
                           tk_output_digests *out);
