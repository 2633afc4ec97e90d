// SPDX-License-Identifier: Apache-2.0
// A clip of the world measured against what its captions ask for.
#pragma once
#include "core/config/config.h"
#include "data/world/world.h"
#include "infer/eval/figures.h"

// A clip made for the scene's captions and shot lengths. Contacts are those seen in the clip
// itself; which shots are measured for motion follows from the scene.
tk_status tk_measure_clip(const tk_stage *s, const tk_media *clip, tk_figures *f);
