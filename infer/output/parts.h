// SPDX-License-Identifier: Apache-2.0
// The files of a clip: which there are, whether they are as they were made, whether they may be
// written over. Internal to infer/output.
#pragma once
#include "infer/output/output.h"
#include <jansson.h>

// In the order in which they take their names.
typedef enum tk_output_part {
    TK_PART_LATENTS,
    TK_PART_MP4,
    TK_PART_PNG,
    TK_PART_MASTER,
    TK_PART_EDL,
    TK_PART_SRT,
    TK_PART_JSON,
    TK_PARTS = TK_OUTPUT_FILES
} tk_output_part;

extern const char *const tk_part_name[TK_OUTPUT_FILES]; // in film.files and in the JSON
bool tk_part_asked(const tk_config *c, tk_output_part k);
char *tk_part_path(const char *output, tk_output_part k, tk_arena *a); // NULL: out of memory

// What lies there as a clip's description; NULL: nothing that can be read.
tk_status tk_part_told(const char *output, tk_arena *a, json_t **root);
// Whether the file is what a description names.
tk_status tk_part_same(const json_t *root, tk_output_part k, const char *path, bool *same);

// A list of shots, TK_PART_EDL or TK_PART_SRT, into a file that is begun.
tk_status tk_part_write_list(const tk_file *f, tk_output_part k, const tk_cut *cut,
                             const char *output);

// Parts of a clip that was there before, and are asked for no longer, by their paths: latents are
// nobody's any more, and so is the rest where it is as its description names it. NULL: stays.
tk_status tk_parts_stale(const char *output, const tk_config *c, tk_arena *a,
                         const char *stale[TK_OUTPUT_FILES]);
