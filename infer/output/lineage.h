// SPDX-License-Identifier: Apache-2.0
// What a clip was made from, as its description tells it: each clip, what was changed or taken of
// it, and the same of that clip, to any depth; each followed by those that it was made from.
//
//   "lineage": [{"clip": "b.mp4", "digest": ..., "mp4": ..., "read": "latents", "shots": [2],
//                "strength": 0.6, "kept": ["sound"], "change": "shot 2 made anew ..."}, ...]
//
// An entry was made into the one before it, and the first into the clip; into another one where it
// says so: "of": 3, counted from 0, or -1, the clip. One that shots were taken of has lists in the
// place of "shots" and "strength", a number each: "as" (the clip's shot), "taken" (its own, -1
// where it was named by seconds), "from", "to" (its seconds), and "kept" ("both", "picture",
// "sound").
//
// What other descriptions tell is copied by these keys alone.
#pragma once
#include "infer/story/remix.h"

// NULL: out of memory.
json_t *tk_lineage_json(const tk_remix *r, const tk_storyboard *b);
