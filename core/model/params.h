// SPDX-License-Identifier: Apache-2.0
// The table of tensors: every weight of the model, by its public name.
//
// The table is a pure function of the model config and drives allocation, sharding, checkpoints,
// import and export, and the parameter count of `plan`. A weight is a matrix (rows, cols) or a
// vector (rows, 1 column). Linear weights are (out, in), as published.
#pragma once
#include "core/config/config.h"
#include "core/numbers/tensor.h"

// GATES: the bias of AdaLN, 1 at the gates and 0 elsewhere.
typedef enum tk_init { TK_INIT_ZERO, TK_INIT_ONE, TK_INIT_NORMAL, TK_INIT_GATES } tk_init;
typedef enum tk_stage_of {
    TK_ON_FIRST,
    TK_ON_BLOCK,
    TK_ON_LAST,
    TK_ON_ALL
} tk_stage_of; // pipeline stages holding it

typedef struct tk_param_spec {
    char name[128];
    int ndim;           // 1 or 2
    int64_t rows, cols; // cols = 1 for vectors
    int axis;           // sharded over tensor ranks along 0 or 1; -1: on every rank whole
    int64_t unit;       // shares are multiples of it (head_dim for head-wise weights)
    int parts;          // axis 0 is `parts` equal pieces, each shared out on its own (SwiGLU: 2)
    tk_init init;
    double init_std;
    bool decay; // weight decay applies
    bool added; // by an option, which may be new to the weights that training begins with
    tk_stage_of where;
    int64_t block; // of TK_ON_BLOCK
} tk_param_spec;

typedef struct tk_param_table {
    tk_param_spec *spec;
    int n;
} tk_param_table;

tk_status tk_param_table_build(const tk_model_config *m, tk_arena *a, tk_param_table *out);
int64_t tk_param_count(const tk_param_table *t); // elements of the whole model

// This rank's share of a weight: up to `parts` pieces of the global tensor along the axis.
typedef struct tk_piece {
    int64_t global, local, count;
} tk_piece; // begin in the global axis, begin in the share, length
typedef struct tk_share {
    int64_t rows, cols; // of the share (may be 0)
    int n_pieces;
    tk_piece piece[2];
} tk_share;
tk_share tk_param_share(const tk_param_spec *s, int rank, int ranks);

// Fills a share (rows x cols fp32, host memory) with its initial values: element (i, j) of the
// global tensor is a pure function of (seed, tensor index, i * cols + j).
void tk_param_initialize(const tk_param_table *t, int index, const tk_share *share, uint64_t seed,
                         float *out);

// A share of a whole tensor (rows x cols), host memory.
void tk_share_cut(const tk_param_spec *s, const tk_share *share, const float *whole, float *out);
