// SPDX-License-Identifier: Apache-2.0
// What a storyboard gives, checked as far as no file need be read.
#pragma once
#include "infer/story/shots.h"
#include "infer/story/wrong.h"

// Times, sides, contradictions, files that are not there: a line of *w each.
void tk_story_check(tk_wrong *w, const tk_storyboard *b, const tk_story *s);
