// SPDX-License-Identifier: Apache-2.0
// What a clip depends on, as numbers by which it is known again.
#pragma once
#include "infer/story/story.h"

// Digests of what a clip, and of what its latents depend on (`made`: not on how it is delivered,
// marked and signed): storyboard, sampling options, checkpoint, codec, references'
// contents, latents of clips that it goes on from; not on the layout, where the output goes, or the
// program's revision. TK_INPUT for a reference that cannot be read.
tk_status tk_output_digest(const tk_config *c, const tk_trained *t, const tk_remix *r,
                           uint64_t *out, uint64_t *made);
