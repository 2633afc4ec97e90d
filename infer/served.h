// SPDX-License-Identifier: Apache-2.0
// A job in a worker's hands, from its claim to its end. Included by infer/serve.c and
// infer/served.c alone.
#pragma once
#include "infer/spool/spool.h"
#include "infer/studio.h"
#include <limits.h>

enum { TK_SERVE_LEFT = TK_SPOOL_JOBS }; // all that a worker looks at

typedef enum tk_serve_what { TK_SERVE_WAIT, TK_SERVE_JOB, TK_SERVE_END } tk_serve_what;

typedef struct tk_serve_order { // from rank 0 to all
    tk_serve_what what;
    char list[TK_SPOOL_PATH]; // that the job came of; "" = none
    char yaml[TK_SPOOL_PATH], output[TK_SPOOL_PATH];
    char told_yaml[TK_SPOOL_PATH], told_output[TK_SPOOL_PATH]; // where they lie when it is done
    int64_t uid;                                               // of whose wish it is
    bool default_checkpoint;
    bool again; // it was begun before, and its worker was lost with it or failed
} tk_serve_order;

typedef struct tk_served {
    tk_serve_order order;
    tk_jobs jobs; // the one, unless it waits
    tk_studio_place place;
    bool waits;  // for others to end: it wants other weights, or the memory that they have
    bool alone;  // it is made alone: a round that it was in has failed, here or elsewhere
    bool unfit;  // it needs more memory than there is here
    size_t need; // bytes of a rank, by serve.memory; 0: not asked for
    // Of rank 0.
    tk_claim claim;
    tk_claim_end end;
    int64_t steps; // done of it
} tk_served;

typedef struct tk_serving {
    tk_comm *world;
    const tk_serve_config *o;
    char checkpoint[PATH_MAX]; // of jobs that name none; "" = they must
    char **overrides;          // for every job; room for two more
    int n_overrides;
    tk_studio by;
    tk_trained trained; // whose weights the studio holds, where has
    tk_arena arena;     // of it
    bool has;
    tk_served *hand[TK_STUDIO_MOST], *round[TK_STUDIO_MOST]; // the jobs in hand; those of a round
    int n, n_round;
    tk_served *opening; // whose memory is asked for
    // Of rank 0.
    tk_spool spool;
    tk_consent_config consent; // where cameos are kept; store NULL: nowhere
    bool wishes_unread;        // that was said
    double worked;             // when it last had a job
    double rest, rests_until;  // seconds without a claim behind a job that failed by the disk
    bool full;                 // that it rests for the disk is full was said
    int n_left, next_left, made, failed;
    char left[TK_SERVE_LEFT][TK_SPOOL_NAME + 1]; // that do not fit here
} tk_serving;

// Rank 0: claims a job that this worker can do, if one waits, or says what else is to be done. A
// worker that was asked to stop claims none. Where the spool's disk fails it rests, as after a job.
tk_status tk_served_choose(tk_serving *a, tk_served *h);
// Collective. Takes up the job of h->order: people who lend to it and the filter's policy are
// asked, in this turn. h->waits: nothing was done yet, begin it again once no other is in hand;
// h->jobs.job[0].finished: nothing is to be done. After a failure it is to be ended.
tk_status tk_served_begin(tk_serving *a, tk_served *h);
// Collective. The job ends, as `st` says how it went. Where the spool cannot be told so, that is
// said, and its next scan finds the job.
tk_status tk_served_end(tk_serving *a, tk_served *h, tk_status st);
// What a worker that fails by `st` has in hand: others go on with it. It counts as a try of those
// that were in the round that failed.
void tk_served_drop(tk_serving *a, tk_served *h, tk_status st);
void tk_served_close_weights(tk_serving *a);
// The studio's, with the tk_serving.
bool tk_served_step(void *ctx);
bool tk_served_writing(void *ctx);
