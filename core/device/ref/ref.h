// SPDX-License-Identifier: Apache-2.0
// Reference operators without gradients (step.c), for the table in ref.c. The cpu backend takes
// those that do next to no work (sinusoid, rope_table, clip_scale) from here.
#pragma once
#include "core/device/ops/impl.h"

tk_status tk_ref_normal(tk_device *d, const tk_call *c);
tk_status tk_ref_noise(tk_device *d, const tk_call *c);
tk_status tk_ref_sinusoid(tk_device *d, const tk_call *c);
tk_status tk_ref_rope_table(tk_device *d, const tk_call *c);
tk_status tk_ref_euler(tk_device *d, const tk_call *c);
tk_status tk_ref_adamw(tk_device *d, const tk_call *c);
tk_status tk_ref_ema(tk_device *d, const tk_call *c);
tk_status tk_ref_sum_squares(tk_device *d, const tk_call *c);
tk_status tk_ref_clip_scale(tk_device *d, const tk_call *c);
tk_status tk_ref_cast(tk_device *d, const tk_call *c);
tk_status tk_ref_cast_back(tk_device *d, const tk_call *c);
