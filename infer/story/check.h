// SPDX-License-Identifier: Apache-2.0
// What a storyboard gives, checked before any of it is decoded: a line of *w for each thing that is
// wrong.
#pragma once
#include "core/config/wrong.h"
#include "infer/story/given.h"

// Times, sides, contradictions; files that are not there, are no media, or have no pictures or
// sound where those are wanted: of their frames one is decoded at most. s NULL: it could not be
// laid out.
tk_status tk_story_check(tk_wrong *w, const tk_storyboard *b, const tk_story *s);
// Whether anything is left to make.
tk_status tk_story_check_made(tk_wrong *w, const tk_config *c, const tk_story *s,
                              const tk_codec_info *k);
