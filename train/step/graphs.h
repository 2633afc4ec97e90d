// SPDX-License-Identifier: Apache-2.0
// Steps done again: one whose shape returns is recorded as a graph of the device, and from then on
// launched, by one call instead of thousands.
//
// A shape is all that decides what a step asks of its device: how many rows of what kind each
// document has, on all data ranks. So it is the same on all ranks without a message, as are which
// shapes came when, and which graphs are kept: all ranks ask, record or launch alike. What is
// another number each time (clips, keys of noise, rates) is in the step's inputs, one transfer to
// where it was when the graph was recorded.
//
// A graph is recorded when a shape comes for the second time. Where as many are kept as may be, the
// one that was not launched for longest makes way, if it was not since the shape came before: of
// shapes that come in turn some are kept rather than each driven out by the next.
#pragma once
#include "core/device/graph.h"
#include "core/device/transfer.h"
#include "train/step/documents.h"
#include "train/step/verdict.h"

typedef struct tk_shape { // a digest; shapes that differ have others
    uint64_t half[2];
} tk_shape;
// own: given rows ask given ones alone, so that it matters how many there are.
tk_status tk_shape_of(const tk_step_documents *d, const tk_train_config *c, bool own,
                      int data_ranks, tk_arena *a, tk_shape *out);

typedef struct tk_step_graph {
    tk_shape shape;
    tk_graph graph;
    tk_tensor inputs;   // where the step's transfer was
    double extra_flops; // of the step: recomputation
    int64_t used;       // the step that launched it last, counted from 1
} tk_step_graph;

typedef struct tk_graphs {
    tk_device *device;
    tk_step_graph *kept; // (n) of at most `most`
    int n, most;
    struct tk_shape_seen *seen; // the shapes that came last
    int n_seen;
    int64_t steps, recorded, replayed; // so far
    bool graphs;                       // whether the last step was one
} tk_graphs;

// A dry device records nothing. `a` must live until it is closed.
tk_status tk_graphs_open(tk_graphs *r, tk_device *d, int64_t most, tk_arena *a);
void tk_graphs_close(tk_graphs *r); // the device has been synced; one that is zero is fine

typedef struct tk_graphs_step { // what a step consists of
    void *ctx;
    tk_shape shape;
    tk_staging *host;
    // Fills the inputs, which are all that it sends to the device.
    tk_status (*fill)(void *ctx, tk_transfer *inputs);
    tk_status (*sent)(void *ctx); // what they were filled from is free
    // Asks for everything, in whose midst the step before is heard where `hears`.
    tk_status (*ask)(void *ctx, bool hears);
    // The host waits for the end of the step before.
    tk_status (*hear)(void *ctx);
    double *extra_flops; // added up in `ask`
    tk_comm *world;
} tk_graphs_step;

// Collective. One step, in whatever way: *way, told before `hear`, tells it. What fails in a graph
// says so.
tk_status tk_graphs_do(tk_graphs *g, const tk_graphs_step *s, tk_transfer *inputs,
                       tk_step_way *way);
