// SPDX-License-Identifier: Apache-2.0
// A spool seen from outside, by whoever may read it. Nothing is written into it: who looks is no
// worker. Jobs move on while they are looked at; each is told of once, as far along as it was seen,
// and what is gone by then is no error.
#pragma once
#include "infer/spool/record.h"

typedef struct tk_spool_job {
    const char *name;     // of one that is fresh: its file's in new/, any bytes
    const char *folder;   // of the spool: "running/5,...", "new/walk.yaml"
    bool fresh;           // in new/ or taking/: nothing else is known of it
    tk_spool_state state; // by where it lies, whatever its job.json says
    tk_spool_entry entry; // of one that waits or runs
    int64_t since;        // seconds by the file system's clock: its folder was last changed
    bool lost;            // it runs, and its worker shows no sign of life, by this machine's clock
} tk_spool_job;

typedef struct tk_spool_view {
    tk_spool_job *job; // (n) that run, wait (the next one first), are fresh; failed, cancelled,
                       // done, of these the last one first
    int n, fresh, count[TK_SPOOL_STATES];
    int beyond; // counted and not among them: of a folder TK_SPOOL_JOBS are, of ended jobs the
                // newest
} tk_spool_view;

// TK_INPUT where `dir` is no spool.
tk_status tk_spool_look(const char *dir, tk_arena *a, tk_spool_view *v);
// What its job.json tells, as far as that is of the claim that was seen; where there is none, or no
// more, what the job's place tells.
tk_status tk_spool_look_at(const char *dir, const tk_spool_job *j, tk_spool_record *r);

// Asks that a job be cancelled, in the name of who runs this: whoever has the job does so at its
// next step, once. TK_INPUT with why not: there is none, it has ended, or is somebody else's.
tk_status tk_spool_cancel(const char *dir, const char *name);
