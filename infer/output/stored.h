// SPDX-License-Identifier: Apache-2.0
// Latents that lie there from all that a clip is made from: when it is delivered otherwise, or a
// take is chosen, nothing is sampled again, and its bits are theirs.
#pragma once
#include "infer/reel/latents.h"
#include "infer/story/shots.h"

typedef struct tk_stored {
    const char *path; // NULL: there are none
    uint64_t digest;
    tk_latents_form form;
} tk_stored;

// What the file of a story's latents says in its head.
tk_latents_form tk_stored_form(const tk_story *s, const tk_codec_info *k);
// Of the clip at `output`, whose description says that it was made from what has the digest `made`.
// A file that is not as it names it is said and not taken. Only TK_MEMORY fails.
tk_status tk_stored_look(const char *output, uint64_t made, const tk_latents_form *form,
                         tk_arena *a, tk_stored *out);

// Their rows, as they are asked for: memory is that of what is asked for at once.
typedef struct tk_stored_rows {
    tk_latent_source source; // the first member
    tk_latents_file file;
    float *rows[TK_CODEC_SIDES];
    int64_t room[TK_CODEC_SIDES]; // numbers
} tk_stored_rows;
// TK_INPUT where they are no longer what they were.
tk_status tk_stored_open(const tk_stored *k, tk_stored_rows *out);
void tk_stored_close(tk_stored_rows *r); // of one that is zero: fine
