// SPDX-License-Identifier: Apache-2.0
// What a clip was remixed from, as its description tells it: the clip, what was changed of it, and
// the same of that clip, to any depth; the nearest first.
//
//   "lineage": [{"clip": "b.mp4", "digest": ..., "mp4": ..., "read": "latents", "shots": [2],
//                "strength": 0.6, "kept": ["sound"], "change": "shot 2 made anew ..."}, ...]
//
// What other descriptions tell is copied by the keys above alone.
#pragma once
#include "infer/story/remix.h"

// NULL: out of memory.
json_t *tk_lineage_json(const tk_remix *r, const tk_storyboard *b);
