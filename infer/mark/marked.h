// SPDX-License-Identifier: Apache-2.0
// A clip with a mark in its pictures and its sound, part by part: what goes to the encoder is
// marked, pictures that are asked for otherwise (contact sheets) are not.
#pragma once
#include "core/config/wrong.h"
#include "infer/mark/picture.h"
#include "infer/mark/sound.h"

typedef struct tk_marked {
    tk_media_source source; // the first member
    tk_media_source *of;    // the caller's
    tk_mark_key key;
    tk_mark_message message;
    double strength;
    tk_mark_picture picture; // once the first is shown
    tk_mark_sound sound;     // once the first is heard
    tk_arena arena;
} tk_marked;

// The key of clips that the options say are to be marked. TK_INPUT for one that is none, and for a
// payload that is no number.
tk_status tk_mark_open_key(const tk_watermark_config *c, tk_mark_key *out);
// The same, looked at only, before the work: lines about watermark.key and watermark.payload.
tk_status tk_mark_ask(tk_wrong *w, const tk_watermark_config *c);
// What the options let the clip of this digest say.
uint64_t tk_mark_payload(const tk_watermark_config *c, uint64_t clip);
// 64 bits from 10 seconds and 144 rows and columns on, else the 16 lowest.
tk_mark_message tk_mark_message_for(const tk_media *shape, uint64_t payload);
void tk_marked_open(tk_marked *m, tk_mark_key key, tk_mark_message message, double strength,
                    tk_media_source *of);
void tk_marked_close(tk_marked *m); // a zeroed one is fine
