// SPDX-License-Identifier: Apache-2.0
// The flat layout of a rank's weights, cut into buckets: what is summed, updated and gathered as
// one over data ranks, so that it can be done for one bucket while others are still at work.
//
// A bucket is made of whole sections of the model (core/model/model.h) that follow each other and
// belong to one run of blocks; it is closed once it holds as many elements as were asked for. So
// data ranks, which hold the same, cut alike. A section that every run computes is a bucket of its
// own. The elements of a bucket are dealt evenly over the data ranks, in order; what a rank gets of
// all buckets is its shard. Shares begin at every eighth element of the layout, where 16 bytes can
// be read at once, and lie in the shard's buffers as far behind such a place as in the layout.
//
// With one data rank the shard is the layout, whatever the buckets.
#pragma once
#include "core/model/model.h"
#include "parallel/mesh.h"

typedef struct tk_range {
    int64_t begin, count; // elements of the flat layout
    int64_t at;           // where they lie in a buffer of the shard (of the whole: begin)
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
// The elements of n stretches of that kind, in as few ranges as possible: neighbours in the table
// of tensors make one, so that ranks cut alike even where the share of a weight between is empty.
tk_status tk_ranges_make(const tk_model *m, tk_range_kind kind, const tk_flat_part *stretch, int n,
                         tk_arena *a, tk_ranges *out);

typedef struct tk_flat_bucket {
    int64_t begin, count;
    int first, last;          // sections
    int passes;               // of backwards past its sections, until its gradients are whole
    int64_t *counts;          // (data ranks) elements of each one's share
    tk_flat_part own;         // this rank's
    tk_ranges copied, staged; // of the whole bucket
} tk_flat_bucket;

typedef struct tk_buckets {
    tk_flat_bucket *bucket; // (n) in the order of the layout
    int n;
    tk_flat_part *shard;         // (n_shard) the shares of this rank, those that adjoin as one
    tk_flat_part *shard_in_flat; // (n_shard) the same where they lie in buffers of the whole layout
    int n_shard;
    int64_t held;              // elements of a buffer of the shard, the same on all data ranks
    tk_ranges counted, update; // of the shard: what this rank counts in norms; by weight decay
    tk_arena arena;
} tk_buckets;

// `most` elements or more close a bucket; data: the axis of that name.
tk_status tk_buckets_open(tk_buckets *b, const tk_model *m, const tk_axis_row *data, int64_t most);
void tk_buckets_close(tk_buckets *b);
int tk_buckets_find(const tk_buckets *b, int section); // its number; -1: this rank holds none of it

// `count` elements of a flat buffer from element `at`, as (count, 1).
tk_tensor tk_flat_cut(const tk_tensor *flat, int64_t at, int64_t count);
