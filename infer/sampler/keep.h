// SPDX-License-Identifier: Apache-2.0
// Given rows once a task: where model.given is own, their keys and values depend on nothing but
// themselves, so that they are computed before the first step and asked in all of them, by the
// document with captions and by that without.
#pragma once
#include "infer/sampler/sampler.h"

// Rows of the document that are given and can be kept; 0 where they ask more than each other.
int64_t tk_sampler_kept_rows(const tk_sampler *s, const tk_sample_task *t);
// Collective over the mesh's replica. Keys and values of these, of which there are some, for the
// blocks of this stage. `a` must live until `out` is closed, also where this fails.
tk_status tk_sampler_keep(tk_sampler *s, const tk_sample_task *t, tk_arena *a, tk_kept *out);
