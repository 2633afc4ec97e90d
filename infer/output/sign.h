// SPDX-License-Identifier: Apache-2.0
// The manifest of a storyboard's clip: the model and every media file that it was given are its
// ingredients, with the manifests that these came with.
#pragma once
#include "infer/provenance/manifest.h"
#include "infer/story/story.h"

typedef struct tk_signing {
    tk_signer *by; // NULL: clips are not signed
    tk_manifest manifest;
    int64_t room; // bytes that its box takes in the file; 0: not signed
    tk_arena arena;
} tk_signing;

// TK_INPUT where the clip could not be signed: asked before the work as well. What it says is kept
// until it is closed, and refers to what it was given.
tk_status tk_signing_open(tk_signing *s, const tk_config *c, const tk_trained *t,
                          const char *output);
// Into the room of a file that is otherwise finished; nothing where clips are not signed.
tk_status tk_signing_put(const tk_signing *s, const tk_file *mp4);
void tk_signing_close(tk_signing *s); // fine after open failed
