// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/table.h"
#include "core/device/cuda/cuda.h"

bool tk_cuda_knows_bf16(const tk_call *c, bool back)
{
    (void)c, (void)back;
    return true;
}

const tk_kernel tk_cuda_kernels[TK_OP_COUNT] = {
    [TK_OP_LINEAR] = {tk_cuda_linear, tk_cuda_linear_back, tk_cuda_linear_scratch,
                      tk_cuda_linear_bf16},
    [TK_OP_RMS_NORM] = {tk_cuda_norm, tk_cuda_norm_back, tk_cuda_norm_scratch, tk_cuda_knows_bf16},
    [TK_OP_MODULATE] = {tk_cuda_norm, tk_cuda_norm_back, tk_cuda_norm_scratch, tk_cuda_knows_bf16},
    [TK_OP_GATE_ADD] = {tk_cuda_gate_add, tk_cuda_gate_add_back, tk_cuda_gate_scratch,
                        tk_cuda_knows_bf16},
    [TK_OP_ADD] = {tk_cuda_add, tk_cuda_add_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_SILU] = {tk_cuda_silu, tk_cuda_silu_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_SWIGLU] = {tk_cuda_swiglu, tk_cuda_swiglu_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_ROPE] = {tk_cuda_rope, tk_cuda_rope_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_NORM_ROPE] = {tk_cuda_norm_rope, tk_cuda_norm_rope_back, tk_cuda_norm_rope_scratch,
                         tk_cuda_knows_bf16},
    [TK_OP_SINUSOID] = {tk_cuda_sinusoid, NULL, NULL, NULL},
    [TK_OP_ROPE_TABLE] = {tk_cuda_rope_table, NULL, NULL, NULL},
    [TK_OP_PICK] = {tk_cuda_pick, tk_cuda_pick_back, tk_cuda_pick_scratch, tk_cuda_knows_bf16},
    [TK_OP_SQUARED_ERROR] = {tk_cuda_squared_error, tk_cuda_squared_error_back,
                             tk_cuda_squared_error_scratch, NULL},
    [TK_OP_NORMAL] = {tk_cuda_normal, NULL, NULL, NULL},
    [TK_OP_NOISE] = {tk_cuda_noise, NULL, NULL, NULL},
    [TK_OP_EULER] = {tk_cuda_euler, NULL, NULL, NULL},
    [TK_OP_ADAMW] = {tk_cuda_adamw, NULL, NULL, NULL},
    [TK_OP_EMA] = {tk_cuda_ema, NULL, NULL, NULL},
    [TK_OP_SUM_SQUARES] = {tk_cuda_sum_squares, NULL, tk_cuda_sum_squares_scratch, NULL},
    [TK_OP_CLIP_SCALE] = {tk_cuda_clip_scale, NULL, NULL, NULL},
    [TK_OP_CAST] = {tk_cuda_cast, tk_cuda_cast_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_ATTENTION] = {tk_cuda_attention, tk_cuda_attention_back, tk_cuda_attention_scratch,
                         tk_cuda_knows_bf16, tk_cuda_attention_check},
};
