// SPDX-License-Identifier: Apache-2.0
// The text of a task of the sampler.
#pragma once
#include "infer/sampler/sampler.h"
#include "train/step/documents.h"

// The captions of its shots into t, for its document d: 0 of what is asked for, 1 of what guidance
// leads away from. The document's shots must be there, the last n_shots these. dropped: none of
// them. own: text features of all shots that have some, in turn; NULL: zeros. Memory comes from
// `a`.
tk_status tk_sample_text(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                         const float *own, int d, bool dropped, tk_arena *a, tk_sample_task *t);
