// SPDX-License-Identifier: Apache-2.0
// Sums of gradients over the mesh, for training and for parity alike.
//
// Backward leaves on each rank: whole gradients of its sharded weights, partial ones of weights
// that tensor ranks or pipeline stages hold alike, all of them partial over data ranks. Here they
// are added up over tensor, pipeline and data ranks, each data rank keeping an even contiguous
// range of the flat layout: its shard.
#pragma once
#include "core/model/model.h"
#include "parallel/mesh.h"

typedef struct tk_range {
    int64_t begin, count; // elements of the flat layout
    bool decay;
} tk_range;

typedef struct tk_ranges {
    tk_range *range;
    int n;
} tk_ranges;

typedef enum tk_range_kind {
    TK_RANGE_ALL,     // of all weights, told apart by weight decay
    TK_RANGE_COUNTED, // each weight of the model once, however many ranks hold it
    TK_RANGE_STAGED,  // of weights that all pipeline stages hold
    TK_RANGE_COPIED,  // of weights that every tensor rank holds whole
} tk_range_kind;
// The elements of [begin, end) of that kind, in as few ranges as possible: neighbours in the table
// of tensors make one, so that ranks cut alike even where the share of a weight between is empty.
tk_status tk_ranges_make(const tk_model *m, tk_range_kind kind, int64_t begin, int64_t end,
                         tk_arena *a, tk_ranges *out);

typedef struct tk_gradients {
    tk_model *model;
    tk_mesh *mesh;
    int64_t *counts;          // (data ranks) elements of each one's shard
    int64_t begin, count;     // own shard
    tk_ranges counted;        // of the shard: elements this rank counts in norms and comparisons
    tk_ranges staged, copied; // of the whole
    tk_arena arena;
} tk_gradients;
tk_status tk_gradients_open(tk_gradients *g, tk_model *m, tk_mesh *mesh);
void tk_gradients_close(tk_gradients *g);
// Collective. *shard (count) becomes this shard's gradient; give it back with tk_gradients_release.
tk_status tk_gradients_sum(tk_gradients *g, tk_tensor *shard);
void tk_gradients_release(tk_gradients *g, tk_tensor *shard);

// `count` elements of a flat buffer from element `at`, as (count, 1).
tk_tensor tk_flat_cut(const tk_tensor *flat, int64_t at, int64_t count);
