// SPDX-License-Identifier: Apache-2.0
// Long stories of an evaluation (eval.long): a held-out scene told again and again until there are
// so many shots, sampled as any storyboard that is longer than a window is. The first telling and
// the last are asked what the scene's captions ask for, each in a column of its own, and the last
// one's colours are held against the first one's. Internal to infer/eval.
#pragma once
#include "infer/eval/clips.h"

// The scene of `once` as a storyboard of at least `shots` shots, two tellings at least, whole ones.
// Memory comes from `a`, that of `once`, which
// may be `out`, is shared. TK_INPUT where it cannot be planned.
tk_status tk_eval_tell_again(const tk_eval *e, const tk_eval_clip *once, int64_t shots, tk_arena *a,
                             tk_eval_clip *out);
// Collective over the replica: story i is sampled and measured.
tk_status tk_eval_take_long(tk_eval *e, int64_t i, tk_arena *a);
// What the codec does to the colours of the scene's own film, into the ceiling's column.
tk_status tk_eval_drift_of_codec(tk_eval *e, const tk_eval_clip *clip, const tk_media *film,
                                 const tk_latents *x);
