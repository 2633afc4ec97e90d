// SPDX-License-Identifier: Apache-2.0
// Attention as a graph of cuDNN's operations.
//
// Tensors are seen as (documents, heads, rows, channels), rows of a document being as many as its
// length says, from where its offset says on: the arrays are those of the operator (core/device/
// ops.h), (N, all_heads * channels), and nothing is copied or padded. Forward is one operation.
// Backward is made of products, sums and operations on elements, wired and laid as cuDNN's engine
// knows them: it finds the pattern or refuses the graph.
#pragma once
#include "core/device/cuda/cudnn/calls.h"

typedef enum tk_cudnn_way {
    TK_CUDNN_FORE,
    TK_CUDNN_BACK,          // the same bits each time; scores of the gradient lie in the workspace
    TK_CUDNN_BACK_ANY_ORDER // the gradient of q is summed up as it comes
} tk_cudnn_way;

// What a plan is for. All numbers, no padding: compared as bytes.
typedef struct tk_cudnn_shape {
    int64_t way; // a tk_cudnn_way
    int64_t documents, heads, channels;
    int64_t all_heads;  // of a row: it is all_heads * channels elements
    int64_t ask, asked; // rows of a document, at most: at least 128
} tk_cudnn_shape;

// Tensors that a graph is run on, by these numbers.
typedef enum tk_cudnn_tensor {
    TK_CUDNN_Q = 1, // bf16: q, k, v, o, do, dq, dk, dv
    TK_CUDNN_K,
    TK_CUDNN_V,
    TK_CUDNN_O,
    TK_CUDNN_DO,
    TK_CUDNN_DQ,
    TK_CUDNN_DK,
    TK_CUDNN_DV,
    TK_CUDNN_LSE,          // f32 (N, all_heads)
    TK_CUDNN_SUMS,         // f32 (N, all_heads): of do * o, written first
    TK_CUDNN_DQ_SUMS,      // f32 (N, all_heads * channels), of BACK_ANY_ORDER
    TK_CUDNN_ASK_AT,       // i64 (documents + 1): element of q at which a document begins,
    TK_CUDNN_ASKED_AT,     // of k and v,
    TK_CUDNN_LSE_AT,       // of lse
    TK_CUDNN_ASK,          // i32 (documents): rows of it that ask
    TK_CUDNN_ASKED,        // ... and that are asked
    TK_CUDNN_SCALE,        // f32 in host memory: of the scores,
    TK_CUDNN_ONE,          // 1,
    TK_CUDNN_NEVER,        // minus infinity
    TK_CUDNN_TENSORS,      // how many numbers there are
    TK_CUDNN_VIRTUAL = 100 // from here on: what is between
} tk_cudnn_tensor;

// The finished operation graph, of parts that go to `p`; p->status tells whether there is one.
// handle NULL: for a plan that is made without a device.
cudnnBackendDescriptor_t tk_cudnn_graph(tk_cudnn_parts *p, cudnnHandle_t handle,
                                        const tk_cudnn_shape *s);
