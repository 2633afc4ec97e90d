// SPDX-License-Identifier: Apache-2.0
// Looks for a mark in a media file's pictures and in its sound. Memory does not grow with the file.
#pragma once
#include "infer/mark/found.h"
#include "infer/mark/key.h"

typedef struct tk_mark_report {
    tk_mark_found picture, sound; // not looked at where the file has none; of all its sound tracks
    bool present;                 // in either
    const tk_mark_found *says;    // the one whose message is to be believed; NULL: none
} tk_mark_report;

// In the first `most` seconds (INFINITY: in all). TK_INPUT for a file without pictures or that is
// no media.
tk_status tk_mark_find(const char *path, tk_mark_key key, double most, tk_mark_report *out);
// The same of a file of sound alone.
tk_status tk_mark_find_sound(const char *path, tk_mark_key key, double most, tk_mark_report *out);
