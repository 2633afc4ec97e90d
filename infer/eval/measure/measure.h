// SPDX-License-Identifier: Apache-2.0
// A clip of the world measured against what its captions ask for.
#pragma once
#include "data/codec/media.h"
#include "data/scene/scene.h"
#include "infer/eval/figures.h"
#include "infer/eval/learn/learn.h"

// A clip made for the scene's captions and shot lengths. What is seen of things is turned into
// metres by the camera that was asked for. Asked is what the scene's own truth, seen at the same
// frames, would show: a fall too short to tell is asked of nobody. Nor is what was not learned.
// made: whether each shot was; others are only what is compared with over cuts. NULL: all were.
tk_status tk_measure_clip(const tk_learned *l, const tk_scene *s, const tk_media *clip,
                          const bool *made, tk_figures *f);

// The scene told twice, as the begin and the end of a long story: how far the mean colours of each
// shot have gone, of full scale, in red, green or blue, whichever is most. Beyond the limit they
// drifted: it lies below the median between shots of different scenes in one set and style, and far
// below that between sets (tests/infer/eval/test_drift.c).
#define TK_DRIFT_LIMIT 0.04
void tk_measure_drift(const tk_scene *s, const tk_media *first, const tk_media *last,
                      tk_figures *f);
