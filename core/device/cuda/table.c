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
    [TK_OP_SINUSOID] = {tk_cuda_sinusoid, NULL, NULL, NULL},
    [TK_OP_ROPE_TABLE] = {tk_cuda_rope_table, NULL, NULL, NULL},
    [TK_OP_CAST] = {tk_cuda_cast, tk_cuda_cast_back, NULL, tk_cuda_knows_bf16},
    [TK_OP_ATTENTION] = {tk_cuda_attention, tk_cuda_attention_back, tk_cuda_attention_scratch,
                         tk_cuda_knows_bf16},
};
