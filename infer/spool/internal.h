// SPDX-License-Identifier: Apache-2.0
// What the files of the spool share; nobody else includes this.
//   entry.c    names of entries
//   lease.c    signs of life
//   record.c   job.json
//   move.c     renames, and what became of them
//   publish.c  names of new jobs, and where they go
//   intake.c   what is new
//   list.c     a list of storyboards, which becomes jobs
//   claim.c    a job in a worker's hands, and how it ends
//   spool.c    the worker's round: take in, take over, claim
#pragma once
#include "infer/spool/spool.h"
#include <time.h>

// What programs of the tests put in the place of the world; all NULL else.
typedef struct tk_spool_seams {
    int (*rename)(const char *from, const char *to);
    void (*at)(const char *point); // called between any two steps that others could see
    bool (*held)(bool held);       // has the last word on a lease
} tk_spool_seams;
extern tk_spool_seams tk_spool_seam;
void tk_spool_at(const char *point);

typedef enum tk_spool_moved {
    TK_SPOOL_MOVED,
    TK_SPOOL_SEEN, // rename failed, but it is at `to`: done by us if nobody else gives that name
    TK_SPOOL_GONE, // it was at `from` no more
    TK_SPOOL_TAKEN // something else is at `to`
} tk_spool_moved;

// Renames a folder or file, and finds out what became of it whatever rename says. TK_IO where it is
// still at `from` for a reason that time does not cure.
tk_status tk_spool_move(const char *from, const char *to, tk_spool_moved *moved);

// Writes folder/job.json whole or not at all. TK_FENCED where the folder is gone.
tk_status tk_spool_write_record(tk_spool *s, const char *folder, const tk_spool_record *r);

// Removes what an earlier holder of a folder had begun to write when it lost it. Nothing comes to
// it later: the paths by which it could are gone.
void tk_spool_sweep(const char *folder);

// After a step for one job: others go on though it failed. Not where memory ran out.
tk_status tk_spool_go_on(tk_spool *s, tk_status st);

// Whether its user or the spool's owner asks that the job be cancelled.
bool tk_spool_cancelled(const tk_spool *s, const tk_spool_record *r);
void tk_spool_cancel_done(const tk_spool *s, const char *name);

// A name for a job that nobody has had: `want`, or want-2, want-3, ...
tk_status tk_spool_give_name(const tk_spool *s, const char *want, char name[TK_SPOOL_NAME + 1]);
// One just given, of a job that could not be written down under it: the next try has it again.
void tk_spool_take_name_back(const tk_spool *s, const char *name);

// Whether what a path leads to, links and .. followed, lies in files/.
tk_status tk_spool_leads_inside(const tk_spool *s, const char *path);

// The job goes where its record says. when: it came, seconds.
tk_status tk_spool_publish(tk_spool *s, const char *folder, const tk_spool_record *r, time_t when);

// A list in this worker's folder of taking/, from wherever it has come to: its jobs go where they
// belong, each once, then the list to done/. TK_FENCED where the folder is another's by now.
tk_status tk_spool_become(tk_spool *s, const char *folder, tk_spool_record *r, time_t when);

// Takes in new/; goes on with what is in taking/ of this worker and of the dead. now: by the file
// system's clock, ns.
tk_status tk_spool_take_in(tk_spool *s, int64_t now);

// Holds a job whose folder is the worker's own now, running/ENTRY.
tk_status tk_claim_hold(tk_spool *s, const tk_spool_entry *e, tk_claim *c);
// The job goes on to where `state` lies. TK_FENCED where it is another's.
tk_status tk_claim_settle(tk_claim *c, tk_spool_state state, const char *words);
