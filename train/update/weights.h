// SPDX-License-Identifier: Apache-2.0
// New weights on their way to all ranks that hold them, bucket by bucket (train/update/buckets.h),
// on the queue of the data ranks.
//
// Each data rank has put its shard where it lies in the model's weights. The shards of all make the
// whole; then one copy of each weight, of the first tensor rank and the first stage, goes to all
// that hold it. Where `late` holds, who reads weights waits for their bucket alone, when he comes
// to them; else for all of them at once. The calls are the same.
//
//     tk_weights_spread(&w);
//     tk_weights_need(&w, section); // told by the tape's marks: the next forward comes to these
//     tk_weights_settle(&w);        // all of them: whoever else reads weights or masters
#pragma once
#include "train/update/buckets.h"

typedef struct tk_weights {
    tk_model *model;
    tk_mesh *mesh;
    const tk_buckets *buckets;
    bool late;
    tk_event own;    // the shard is where it is to be
    tk_event *ready; // (buckets) whole
    bool *pending;   // (buckets) nobody has waited for it
    tk_arena arena;
} tk_weights;

// `buckets` must outlive it.
tk_status tk_weights_open(tk_weights *w, tk_model *m, tk_mesh *mesh, const tk_buckets *buckets,
                          bool late);
void tk_weights_close(tk_weights *w);
tk_status tk_weights_spread(tk_weights *w); // collective; nothing to do with one data rank
tk_status tk_weights_need(tk_weights *w, int section);
tk_status tk_weights_settle(tk_weights *w);
