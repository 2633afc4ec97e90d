// SPDX-License-Identifier: Apache-2.0
// What a dry run's work costs on a machine: the ledger of its device, and tables of what was asked
// for.
//
//     tk_prices_init(&p, &machine, &mesh);    // machine NULL: counts alone, no times
//     tk_ledger ledger = tk_prices_ledger(&p);
//     device.ledger = &ledger;
//
// A product takes its FLOPs at the rate of its class, attention its own at that of attention, all
// else the bytes it must move at what kernels reach of the copy rate; nothing takes less than that
// either, or than a launch. What ranks send each other goes at the rate of the slowest link between
// them: rings, as NCCL makes them, with all the links that a node's ranks of the group have.
#pragma once
#include "core/device/ledger.h"
#include "parallel/mesh.h"
#include "train/plan/machine.h"

typedef enum tk_bound { // what a time is made of
    TK_BOUND_PRODUCTS,
    TK_BOUND_ATTENTION,
    TK_BOUND_MEMORY,
    TK_BOUND_LAUNCH,
    TK_BOUND_HOST,
    TK_BOUND_LINK,
    TK_BOUND_LATENCY,
    TK_BOUNDS
} tk_bound;
const char *tk_bound_name(tk_bound b); // "copy rate"

typedef struct tk_cost { // of one kind of work; sums over calls
    double calls, flops, read, written, seconds;
    double bound[TK_BOUNDS]; // of the seconds: those that it bounds
} tk_cost;

typedef struct tk_group_cost {   // of one communicator
    double calls, sent, seconds; // collectives and messages, bytes that this rank hands over
} tk_group_cost;

// Rows of tables: operators forward and backward, then the other kinds of work on the device.
enum { TK_COST_ROWS = 2 * TK_OP_COUNT + 3 };

typedef struct tk_prices {
    const tk_machine *machine; // NULL: none
    const tk_mesh *mesh;
    tk_cost cost[TK_COST_ROWS];
    tk_group_cost group[TK_AXES + 1]; // by axis; last: the world
    tk_cost send;                     // of the groups together
} tk_prices;

void tk_prices_init(tk_prices *p, const tk_machine *m, const tk_mesh *mesh);
tk_ledger tk_prices_ledger(tk_prices *p);
const char *tk_cost_name(int row, char out[48]); // "linear backward"
tk_bound tk_cost_bound(const tk_cost *c);        // what bounds most of its time
// Seconds of a message of so many bytes from a pipeline stage to the next; there is a machine.
double tk_price_message(const tk_prices *p, int64_t bytes);
