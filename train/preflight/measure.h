// SPDX-License-Identifier: Apache-2.0
// Measuring for preflight: all ranks at once, so that what they share is shared as in a run.
//
// Every rank makes the same calls. A rank that fails in one while others already wait for it does
// so alone: tk_parallel_unless_alone.
#pragma once
#include "core/config/config.h"
#include "parallel/mesh.h"
#include "train/preflight/findings.h"

enum { TK_FLIGHT_LEAST = 3, TK_FLIGHT_MOST = 1024 }; // times that a thing is done

typedef struct tk_flight_gauge {
    tk_mesh *mesh;
    tk_device *device;
    const tk_config *config;
    int64_t side;   // of the product
    size_t bytes;   // of copies and messages
    uint32_t *host; // bytes, as the device likes them for copies
    tk_tensor a, b; // bytes each, of the device
    double times[TK_FLIGHT_MOST];
} tk_flight_gauge;

tk_status tk_flight_gauge_open(tk_flight_gauge *g, tk_mesh *m, tk_device *d, const tk_config *c);
void tk_flight_gauge_close(tk_flight_gauge *g); // before the device is closed; all zero is fine

// Seconds that `work` takes, device included: the median, of as many times as preflight.seconds
// allow, or of exactly `times` of them (0: not so). It is done once before, not timed. All ranks
// begin together.
tk_status tk_flight_time(tk_flight_gauge *g, tk_status (*work)(void *ctx), void *ctx, int times,
                         double *seconds);

int tk_flight_shorter(const void *a, const void *b); // doubles, for qsort

// The rank's device by itself; then, libraries having been loaded, its host and what it sees of
// disks.
tk_status tk_flight_alone(tk_flight_gauge *g, tk_flight_rank *own);
tk_status tk_flight_host(tk_flight_gauge *g, tk_flight_rank *own);
// What is between ranks; hosts follow each other, of `each` ranks.
typedef struct tk_flight_whole { // bytes/s of all ranks at once
    double sum;                  // of an all-reduce
    double ring;                 // of messages around the ring of all ranks
} tk_flight_whole;
tk_status tk_flight_between(tk_flight_gauge *g, int each, tk_flight_rank *own,
                            tk_flight_whole *all);
