// SPDX-License-Identifier: Apache-2.0
// The manifest of a storyboard's clip: the model and every media file that it was given are its
// ingredients, with the manifests that these came with.
#pragma once
#include "infer/provenance/manifest.h"
#include "infer/story/given.h"
#include "infer/story/story.h"

typedef struct tk_signing {
    tk_signer *by; // NULL: clips are not signed
    tk_manifest manifest;
    tk_change *change; // of the manifest
    uint8_t latents[TK_MP4_HASH];
    int64_t room; // bytes that its box takes in the file; 0: not signed
    tk_arena arena;
} tk_signing;

// TK_INPUT where the clip could not be signed: asked before the work as well. What it says is kept
// until it is closed, and refers to what it was given.
tk_status tk_signing_open(tk_signing *s, const tk_config *c, const tk_trained *t, const tk_remix *r,
                          const char *output);
// Into the room of a file that is otherwise finished; nothing where clips are not signed. latents:
// the file of them, finished, where they are kept.
tk_status tk_signing_put(tk_signing *s, const tk_file *mp4, const tk_file *latents);
// TK_INPUT where a clip that is gone on from is signed and the latents beside it are not its own:
// its manifest holds and names others, or the film is another than was signed. by: also where it is
// not signed by this certificate's key; NULL: whoever signed it, or nobody.
tk_status tk_signing_check_latents(const tk_parent *p, const tk_provenance_config *by);
void tk_signing_close(tk_signing *s); // fine after open failed
