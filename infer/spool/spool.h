// SPDX-License-Identifier: Apache-2.0
// A spool: a folder of jobs on a file system that many machines share, and the workers that do
// them. It needs no locks, no clocks that agree and no server: only that rename is atomic. Nothing
// here knows what a job does.
//
//     new/NAME.yaml                      dropped here by a rename, see below
//     taking/NAME,WORKER/                being looked at by a worker, for an instant
//     waiting/PRIORITY,TIME,NAME,N/      in the order in which ls shows them
//     running/PRIORITY,TIME,NAME,N,WORKER/   claimed N times by now, the last time by WORKER
//     done/NAME/   failed/NAME/   cancelled/NAME/
//     cancel/NAME                        asks that job NAME be cancelled
//     names/NAME                         names that were given, each to one job for ever
//     workers/WORKER/heartbeat           touched by a worker that lives
//     files/                             what jobs may cite
//
// A file that lists storyboards (of files/) becomes a job for each of them, in whose folder it lies
// as NAME.list.yaml, and lies in done/ itself then.
//
// To drop a job: cp story.yaml SPOOL/new/.story.yaml && mv SPOOL/new/.story.yaml
// SPOOL/new/story.yaml Names that begin with a dot are nobody's business yet. A second job of a
// name is called NAME-2.
//
// A job is one folder with NAME.yaml, job.json and what comes of it. Where the folder lies is its
// state, and only renames of it change that, so it is always in one state. job.json (record.h) says
// the same in more words; whoever holds the folder writes it, before the folder goes on.
//
// Whoever works on a job holds a folder under a name of its own, (N, WORKER), which comes never
// again. A worker whose heartbeat is older than its lease has lost what it held: another renames
// the folder to a name of its own. Every path of the old holder leads nowhere from then on, so that
// what it still does, commit included, fails by itself, however late it goes on. Work may be done
// twice; a result is committed once. Ages are differences between times that the file system gave
// to two files, one of them touched for that just now.
//
// A rename that reports failure though it was done (over NFS, when an answer is lost) is told by
// its goal, which is nobody else's.
#pragma once
#include "core/config/config.h"
#include "infer/spool/lease.h"
#include "infer/spool/record.h"

enum {
    TK_SPOOL_JOBS = 10000,   // looked at in a folder; those beyond wait for their turn
    TK_SPOOL_NEW = 500,      // taken in at a time
    TK_SPOOL_YAML = 1 << 20, // bytes of a job's file
    TK_SPOOL_LIST = 1000,    // storyboards of a list
    TK_SPOOL_HAND = 64,      // jobs that a worker has claimed at once
};

// In a job's folder, behind its name: the list that it came of.
#define TK_SPOOL_LIST_FILE ".list.yaml"

typedef struct tk_spool {
    char dir[TK_SPOOL_PATH];
    tk_lease lease;
    bool open;                          // lists may name files outside of files/; false until set
    uint64_t named;                     // temporaries made
    tk_spool_entry hand[TK_SPOOL_HAND]; // claims of its own that have not ended
    int n_hand;
    char warned[256]; // the last trouble that was told, which is not told again
    int stuck;        // of new/ by the last scan: what this worker may not move, others' folders
    int stuck_told;   // the most of them that was told
    tk_arena arena;   // of one scan
} tk_spool;

typedef enum tk_claim_end { // why a claim has to end before its job does
    TK_CLAIM_GOES_ON,
    TK_CLAIM_LOST, // another worker has the job
    TK_CLAIM_CANCELLED,
    TK_CLAIM_LATE // its deadline has passed
} tk_claim_end;

typedef struct tk_claim { // a job in this worker's hands
    tk_spool *spool;
    tk_spool_entry entry;
    char dir[TK_SPOOL_PATH];  // its folder; paths in it are good as long as the claim
    char yaml[TK_SPOOL_PATH]; // its file there
    tk_spool_record record;
    double until;       // of tk_now, its deadline, negative too; infinite: none
    double told, asked; // when it last wrote job.json and looked around
    double began_at;    // of tk_now, and what was done by then
    int64_t began_done;
} tk_claim;

// Makes what is missing of the folders and begins to show signs of life. `lease`: seconds without
// one after which this worker's jobs are others'. TK_INPUT where `dir` cannot be used.
tk_status tk_spool_open(tk_spool *s, const char *dir, double lease);
void tk_spool_close(tk_spool *s); // of one that is zero: fine

// Takes in what is new, takes over from the dead, cancels what waits. Of one job that is broken in
// any way its job.json tells, in failed/; what cannot be moved is told and left, the others go on.
tk_status tk_spool_scan(tk_spool *s);

// Whether a file that a job names lies in files/, links and .. followed, by a path that begins
// there. TK_INPUT with why not. It may lie elsewhere when it is opened: see tk_file_confine.
tk_status tk_spool_inside(const tk_spool *s, const char *path);

// What a job asks for, over what *c holds: its storyboard, over the list that it came of (NULL:
// of none). Without what they stand on (base:), which could be anywhere: TK_INPUT.
tk_status tk_spool_layer(tk_config *c, const char *list, const char *list_text, size_t list_bytes,
                         const char *name, const char *text, size_t bytes);

// Which of the waiting jobs is wanted; NULL: the first. `yaml`: its file, which may be gone by now.
typedef bool tk_spool_want(void *ctx, const tk_spool_entry *e, const char *yaml);
// Claims the first waiting job that is wanted. *got: there was one. At most TK_SPOOL_HAND are held;
// each until one of the calls below that end a claim, whatever that gives.
tk_status tk_spool_next(tk_spool *s, tk_spool_want *want, void *ctx, tk_claim *c, bool *got);
// Whether anything waits or runs, of anybody's, but for what this worker may not move.
tk_status tk_spool_busy(tk_spool *s, int *waiting, int *running);

// The job's file, in `a`. From then on it is this worker's own copy under the same name and with
// the same mode: who dropped it may have it open still, or write to it by its name in the spool,
// and what was looked at is what is to be made. TK_FENCED where another worker has the job.
tk_status tk_claim_read(tk_claim *c, tk_arena *a, char **text, size_t *bytes);

// Tells how far it is, as often as it likes; looks now and then whether the claim is to end.
tk_claim_end tk_claim_progress(tk_claim *c, int64_t done, int64_t total, const char *unit);

// Each ends the claim, also where it fails: what it has not done the next scan finds. TK_FENCED
// where another worker has the job, whatever this one has done.
tk_status tk_claim_commit(tk_claim *c); // what lies in its folder is the result
// again: it is worth another try, if any is left; else the job is failed.
tk_status tk_claim_fail(tk_claim *c, const char *words, bool again);
// For others, as if never begun; words: why, "" if that is nothing to know.
tk_status tk_claim_return(tk_claim *c, const char *words);
tk_status tk_claim_cancel(tk_claim *c);
// As tk_claim_progress said: lost, cancelled or too late.
tk_status tk_claim_stop(tk_claim *c, tk_claim_end why);
