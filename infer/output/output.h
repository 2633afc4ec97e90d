// SPDX-License-Identifier: Apache-2.0
// What a storyboard leaves behind: OUTPUT.mp4, OUTPUT.png (contact sheet), OUTPUT.latents, where
// they are kept, what film.files asks for (OUTPUT.mkv, a master without loss, OUTPUT.edl,
// OUTPUT.srt), and OUTPUT.json, which says how the clip was made. The JSON comes last: where it is,
// with the digest of what was asked for and of files that are still what they were, the clip is
// finished.
#pragma once
#include "core/base/files.h"
#include "infer/cut/cut.h"
#include "infer/mark/code.h"
#include "infer/story/story.h"

typedef struct tk_provenance {
    const char *storyboard; // file
    const char *output;     // path without suffix, where it is written
    const char *told;       // ... where it will lie once all is done, as the JSON has it
    uint64_t digest;        // of everything the clip depends on
    uint64_t made;          // of everything its latents do
    bool draft;
    const tk_config *config;
    const tk_story *story;
    const tk_references *refs;
    const tk_remix *remix;
    tk_latent_source *latents; // all rows of it
    const tk_cut *cut;         // of which the film is
    const tk_trained *trained;
    const tk_parallel_config *layout;
    bool averaged;
    double seconds; // that sampling took
    // Asked when all is written, before any of it is there; whose failure leaves no clip. NULL:
    // nobody is.
    tk_status (*approve)(void *ctx);
    void *ctx;
} tk_provenance;

// What the mark of a clip of this digest says, where watermark.key has it marked.
tk_mark_message tk_output_mark(const tk_config *c, const tk_story *s, const tk_cut *cut,
                               uint64_t digest);
// Which files an output is, so that outputs and inputs can be compared; makes its folders.
enum { TK_OUTPUT_FILES = 7 };
tk_status tk_output_identify(const char *output, tk_file_id id[TK_OUTPUT_FILES]);
// Whether the folder that an output goes to is there already.
bool tk_output_has_folder(const char *output);
// Before any work: whether its files can be written, are none of the inputs and no one else's, nor
// changed by somebody since. cut: of none, where it is not planned yet.
tk_status tk_output_check(const char *output, const tk_config *c, const tk_cut *cut, int n,
                          char *const *inputs);
tk_status tk_output_finished(const char *output, uint64_t digest, bool *done);
// All of the clip or nothing: what was there before stays until the new clip is whole. Pictures and
// sound are asked for part by part and not kept.
tk_status tk_output_write(const tk_provenance *p, tk_media_source *clip);
