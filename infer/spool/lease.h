// SPDX-License-Identifier: Apache-2.0
// Signs of life of a spool's workers: SPOOL/workers/WORKER/heartbeat, touched by a thread.
#pragma once
#include "core/base/ticker.h"
#include "infer/spool/entry.h"

typedef struct tk_lease {
    const char *spool;
    char worker[TK_SPOOL_WORKER + 1]; // "HOST-PID-HASH": nobody else's, ever
    char line[256];                   // of the heartbeat's file: who it is, and the lease
    double seconds;
    tk_ticker heart;
} tk_lease;

// `spool` stays the caller's.
tk_status tk_lease_open(tk_lease *l, const char *spool, double seconds);
void tk_lease_close(tk_lease *l); // fine on a zeroed one

// The time by the file system's clock, in nanoseconds: what it gives to a file touched now.
tk_status tk_lease_now(tk_lease *l, int64_t *now);
// Whether `worker` is at work: its heartbeat is younger than its lease, seen from `now`, and, where
// it is a process of this machine, that is there.
bool tk_lease_held(const tk_lease *l, const char *worker, int64_t now);
// Removes what a worker left that is not held.
void tk_lease_bury(const tk_lease *l, const char *worker);
