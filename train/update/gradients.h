// SPDX-License-Identifier: Apache-2.0
// Sums of gradients over the mesh, for training and for parity alike.
//
// Backward leaves on each rank: whole gradients of its sharded weights, partial ones of weights
// that tensor ranks or pipeline stages hold alike, all of them partial over data ranks. Here they
// are added up over tensor, pipeline and data ranks, bucket by bucket (train/update/buckets.h), in
// the model's own buffer: afterwards each data rank holds the sums of its shard there, where they
// lie in the flat layout. What else is in that buffer is of no use.
//
//     tk_gradients_begin(&g);             // a step
//     tk_gradients_passed(&g, section);   // told by the tape's marks, in the last backwards
//     tk_gradients_sum(&g);               // what has not been started is; the rest waits for it
//
// A bucket that all of the last backwards have come past is whole. Where `early` holds its sums
// begin then, on the queue of the data ranks, while backward goes on; else all begin in
// tk_gradients_sum. The calls are the same, in the same order but for runs of blocks that take
// turns, so the sums are the same. Buckets that hold weights of all pipeline stages wait for the
// end: other stages have work to do first.
#pragma once
#include "train/update/buckets.h"

typedef struct tk_gradients {
    tk_model *model;
    tk_mesh *mesh;
    const tk_buckets *buckets;
    bool early, goes; // goes: there is something to add up
    int *left;        // (buckets) passes until it is whole
    bool *started;    // (buckets)
    tk_event whole, done;
    tk_arena arena;
} tk_gradients;

// `buckets` must outlive it.
tk_status tk_gradients_open(tk_gradients *g, tk_model *m, tk_mesh *mesh, const tk_buckets *buckets,
                            bool early);
void tk_gradients_close(tk_gradients *g);
void tk_gradients_begin(tk_gradients *g);
tk_status tk_gradients_passed(tk_gradients *g, int section);
tk_status tk_gradients_sum(tk_gradients *g); // collective
