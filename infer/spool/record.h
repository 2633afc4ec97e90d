// SPDX-License-Identifier: Apache-2.0
// job.json: what is known of a job, for people and programs that look. Its folder's place is what
// holds; this says the same, and is written before the folder moves on.
#pragma once
#include "core/config/config.h"
#include "infer/spool/entry.h"
#include <jansson.h>

typedef enum tk_spool_state {
    TK_SPOOL_WAITING,
    TK_SPOOL_RUNNING,
    TK_SPOOL_DONE,
    TK_SPOOL_FAILED,
    TK_SPOOL_CANCELLED,
    TK_SPOOL_STATES
} tk_spool_state;
extern const char *const tk_spool_folder[TK_SPOOL_STATES]; // "waiting", ...

enum { TK_SPOOL_HISTORY = 16, TK_SPOOL_WORDS = 2000, TK_SPOOL_USER = 64, TK_SPOOL_FILE = 256 };

typedef struct tk_spool_record {
    char name[TK_SPOOL_NAME + 1];
    char file[TK_SPOOL_FILE]; // as it was called in new/
    char user[TK_SPOOL_USER]; // whose file it is, as the kernel says
    int64_t uid;
    char list[TK_SPOOL_NAME + 1]; // the list that it came of; "" = it was dropped itself
    int64_t storyboards;          // it is a list of so many; 0: a job
    tk_spool_state state;
    int64_t priority;
    int64_t taken, deadline;   // seconds by the file system's clock; deadline 0: none
    int64_t tries, most_tries; // begun and not given back; a job that failed so often stays failed
    char worker[TK_SPOOL_WORKER + 1];
    int64_t claim; // of the worker's, the number in its folder's name
    int64_t done, total;
    char unit[16];
    double seconds_left; // < 0: not known
    int64_t updated;     // by the writer's clock
    char error[TK_SPOOL_WORDS];
    struct tk_spool_try { // how earlier claims ended, oldest first
        int64_t claim;
        char worker[TK_SPOOL_WORKER + 1], words[240];
    } history[TK_SPOOL_HISTORY];
    int n_history;
} tk_spool_record;

tk_spool_record tk_spool_record_new(void); // what a job that says nothing has
// What its file asks for; the deadline counts from `taken`.
void tk_spool_record_ask(tk_spool_record *r, const tk_job_config *c);
// *found: folder/job.json is there and whole; else *r is what a job without it would have.
tk_status tk_spool_record_read(const char *folder, tk_spool_record *r, bool *found);
// What job.json holds; the caller's. NULL: no memory.
json_t *tk_spool_record_object(const tk_spool_record *r);
// The text of job.json, updated now, in `a`, of at most 64 KiB.
tk_status tk_spool_record_print(const tk_spool_record *r, tk_arena *a, char **text);
void tk_spool_record_history(tk_spool_record *r, int64_t claim, const char *worker,
                             const char *words);
