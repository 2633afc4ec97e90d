// SPDX-License-Identifier: Apache-2.0
// Graphs: work of all queues recorded once, instead of being done, and then done as often as it is
// launched, by one call of the host's. It does the same each time, at the same addresses: what is
// another number each time lies in device memory that is filled before the launch.
//
//     tk_graph_open(&g, d);                 // what the pool gives from here on is the graph's
//     tk_device_new(d, ..., &x);            // for what is filled from outside
//     tk_graph_record(&g);                  // nothing is done from here on
//     ... operators, collectives, events, memory taken and given back ...
//     tk_graph_end(&g);
//     tk_device_free(d, &x);                // all that it has taken is given back
//     for (;;) {
//         tk_graph_hold(&g);                // its memory is as it was
//         tk_device_upload(d, x.data, ...); // another time with other numbers
//         tk_graph_launch(&g);              // on the queue of operators; its memory is given back
//     }
//
// All queues come together where a recording begins and where it ends: a graph runs behind what was
// asked of any queue before its launch, and before what is asked of the queue of operators after.
// Events recorded inside are not to be waited for outside, nor those from before inside. The host
// does not wait, upload or download inside; that is refused.
//
// A graph owns no memory while it rests: it finds free what it had taken while it was recorded, so
// graphs of many shapes take no more than the greatest of them. Whoever takes such memory in the
// meantime must have given it back before the next launch: tk_graph_hold says so if not.
#pragma once
#include "core/device/event.h"
#include "core/device/recording.h"

typedef struct tk_graph {
    tk_device *device; // NULL: not open
    enum { TK_GRAPH_OPEN, TK_GRAPH_RECORDING, TK_GRAPH_READY, TK_GRAPH_HELD } state;
    tk_recording recording; // its memory stays noted
    tk_event meet;          // of queues that come together
    double flops;           // of a launch, as d->flops counts
    void *impl;
} tk_graph;

bool tk_device_has_graphs(const tk_device *d); // a dry one: that which it stands for

// Not on a device without graphs; one at a time. g is all zero.
tk_status tk_graph_open(tk_graph *g, tk_device *d);
tk_status tk_graph_record(tk_graph *g);
tk_status tk_graph_end(tk_graph *g);
tk_status tk_graph_hold(tk_graph *g);
tk_status tk_graph_launch(tk_graph *g);
// In any state, also in the midst of recording, which is then forgotten; not while the device may
// still be at it. One that is zero is fine.
void tk_graph_close(tk_graph *g);
