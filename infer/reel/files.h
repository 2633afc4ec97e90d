// SPDX-License-Identifier: Apache-2.0
// A reel on disk, beside the output of its clip: OUTPUT.windows/DIGEST-NUMBER.window, a file for
// each part that is whole. Who is killed and started again makes the parts that are missing, and
// the same bits, since parts hold the very numbers that were made.
//
//     temporary -> on disk -> read back and held against its digest -> renamed -> folder on disk
//
// A file says what its part was made of, by the digest of all that the part depends on: so a clip
// that is asked for otherwise keeps those that come out the same. Nothing is taken that differs,
// files of other parts are removed, and what is damaged is said and made again. On disk lie the
// latents of one clip at most, and one temporary.
#pragma once
#include "core/comm/comm.h"
#include "infer/reel/reel.h"

typedef struct tk_reel_files {
    tk_reel reel;              // the first member
    tk_latent_source source;   // of rank 0: all parts are there
    tk_comm *replica;          // who makes the clip
    tk_comm *holders;          // of them those that hold rows, rank 0 first; NULL: not this one
    const char *clip, *folder; // for messages; of the files
    bool *there;               // (n) parts
    int64_t kept;              // parts that an earlier run made
    // On rank 0: the part last read, and what `source` gave of each side.
    int64_t part;
    float *rows, *given[TK_CODEC_SIDES];
    int64_t room[TK_CODEC_SIDES]; // numbers
    tk_arena arena;
} tk_reel_files;

// Collective over the replica; its first rank knows what parts are made of. Finds those that an
// earlier run made; says so, and what of them is damaged. After a failure there is nothing to
// close.
tk_status tk_reel_files_open(const char *output, const tk_reel_shape *s, tk_comm *replica,
                             tk_comm *holders, tk_reel_files *out);
// The clip is whole: the files are no longer needed. Rank 0. TK_MEMORY: they are left.
tk_status tk_reel_files_remove(const char *output);
// What is whole stays on disk.
void tk_reel_files_close(tk_reel_files *f);

// Seam for tests: called at each arrow above ("begin", "write", "verify", "rename", "done"); a
// failure that it returns is the step's.
extern tk_status (*tk_reel_at)(const char *arrow);
