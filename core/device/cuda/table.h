// SPDX-License-Identifier: Apache-2.0
// The kernels of the device "cuda", a line for each file of them.
#pragma once
#include "core/device/ops/impl.h"

#ifdef __cplusplus
extern "C" {
#endif
extern const tk_kernel tk_cuda_kernels[TK_OP_COUNT];

typedef tk_status tk_cuda_kernel(tk_device *d, const tk_call *c);
typedef size_t tk_cuda_scratch(const tk_device *d, const tk_call *c, bool back);
// norm.cu, gate.cu
tk_cuda_kernel tk_cuda_norm, tk_cuda_norm_back, tk_cuda_gate_add, tk_cuda_gate_add_back;
tk_cuda_scratch tk_cuda_norm_scratch, tk_cuda_gate_scratch;
tk_cuda_kernel tk_cuda_rope, tk_cuda_rope_back;           // rope.cu
tk_cuda_kernel tk_cuda_norm_rope, tk_cuda_norm_rope_back; // norm_rope.cu
tk_cuda_scratch tk_cuda_norm_rope_scratch;
tk_cuda_kernel tk_cuda_sinusoid, tk_cuda_rope_table; // angles.cu
// linear.c
tk_cuda_kernel tk_cuda_linear, tk_cuda_linear_back;
tk_cuda_scratch tk_cuda_linear_scratch;
bool tk_cuda_linear_bf16(const tk_call *c, bool back);
// elementwise.cu
tk_cuda_kernel tk_cuda_add, tk_cuda_add_back, tk_cuda_silu, tk_cuda_silu_back;
tk_cuda_kernel tk_cuda_swiglu, tk_cuda_swiglu_back; // swiglu.cu
tk_cuda_kernel tk_cuda_cast, tk_cuda_cast_back;     // cast.cu
// attention.c, and what it chooses of: kernels/attention.cu, cudnn/attention.h
typedef tk_status tk_cuda_asked(const tk_device *d, const tk_call *c, bool back);
tk_cuda_kernel tk_cuda_attention, tk_cuda_attention_back;
tk_cuda_scratch tk_cuda_attention_scratch;
tk_cuda_asked tk_cuda_attention_check;
tk_cuda_kernel tk_cuda_attention_own, tk_cuda_attention_own_back;
tk_cuda_scratch tk_cuda_attention_own_scratch;
tk_cuda_asked tk_cuda_attention_own_check;
// pick.cu, loss.cu
tk_cuda_kernel tk_cuda_pick, tk_cuda_pick_back;
tk_cuda_scratch tk_cuda_pick_scratch;
tk_cuda_kernel tk_cuda_squared_error, tk_cuda_squared_error_back;
tk_cuda_scratch tk_cuda_squared_error_scratch;
tk_cuda_kernel tk_cuda_normal, tk_cuda_noise, tk_cuda_euler; // noise.cu
// optimizer.cu
tk_cuda_kernel tk_cuda_adamw, tk_cuda_ema, tk_cuda_sum_squares, tk_cuda_clip_scale;
tk_cuda_scratch tk_cuda_sum_squares_scratch;
#ifdef __cplusplus
}
#endif
