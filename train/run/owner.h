// SPDX-License-Identifier: Apache-2.0
// Who owns a run directory: one run at a time, and none that was taken for dead can still write.
//
//     DIR/owner/TOKEN/   the owner's: heartbeat, and what it stages before a rename into DIR
//     DIR/fenced.TOKEN/  what was DIR/owner of a run that another one took over from
//
// TOKEN names the process: host, machine, pid, start, time, job, restart count. DIR/owner comes by
// a rename that succeeds for one newcomer, and goes by a rename to a name of its own. From then on
// every path of the old owner's staging leads nowhere, so a commit that it had checked before fails
// by itself, however late.
//
// An owner is alive if its process is (same host), or if its heartbeat is seen to change within
// three periods; clocks are never compared. A later restart of the same Slurm job takes over
// at once: Slurm has given up the earlier one, even where that does not know it yet.
#pragma once
#include "core/base/mem.h"
#include "core/base/ticker.h"
#include <stdatomic.h>
#include <stdbool.h>

typedef struct tk_owner {
    const char *dir, *token, *staging; // staging: DIR/owner/TOKEN
    atomic_bool fenced;                // seen by the heartbeat
    tk_ticker heart;
    long long beats;
    tk_arena arena;
} tk_owner;

// On one rank; `dir` is there. TK_INPUT with the owner's host, pid and start if that is alive.
tk_status tk_owner_take(tk_owner *o, const char *dir);
tk_status tk_owner_check(const tk_owner *o); // TK_FENCED if another run has taken over
// How writing there went; TK_FENCED where it failed because another run has taken over.
tk_status tk_owner_blame(const tk_owner *o, tk_status st);
// What is staged as `name` takes this name in the directory, as tk_commit_file does.
tk_status tk_owner_commit(const tk_owner *o, const char *name);
// Whether this process is of a later restart of the Slurm job that the token's was of.
bool tk_owner_restarts(const char *token);
void tk_owner_release(tk_owner *o); // gives the directory free; fine on a zeroed one
