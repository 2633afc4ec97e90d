// SPDX-License-Identifier: Apache-2.0
// From files and overrides to storyboards ready to be sampled.
#pragma once
#include "core/config/command.h"
#include "core/config/text.h"
#include "infer/output/digest.h"
#include "infer/output/lent.h"
#include "infer/output/output.h"
#include "infer/output/stored.h"

typedef struct tk_job {
    const char *file; // storyboard
    tk_config config; // the checkpoint's, under the job file's, the storyboard's, the overrides
    tk_trained *trained;
    tk_remix remix; // clips that it goes on from
    tk_story story;
    tk_cut cut;   // of which the film is
    char *output; // without suffix
    tk_lent lent; // to it, by people
    // What the clip's JSON calls storyboard and output, where they do not stay where they are;
    // NULL: file, and what was asked for.
    const char *told_file, *told_output;
    const int64_t *uid; // of whom this process asks for; NULL: of whose the files are
    tk_output_digests digest;
    int64_t take;        // whose noise it has, from 1 on; 0: none's
    bool is_take, draft; // its output is called so
    tk_stored stored;    // latents that need not be made
    bool finished;       // by an earlier run
} tk_job;

typedef struct tk_jobs {
    tk_config top;    // of the file on the command line
    bool many;        // it is a job file
    int n, n_trained; // clips; checkpoints
    tk_job *job;
    tk_trained *trained; // the checkpoints, each once
    tk_text wrong;       // with any of them, lines
    tk_arena arena;
} tk_jobs;

// Collective. Reads `file` and all it names, plans every storyboard and finds out which are
// finished. All errors that can be found before sampling are found here, and told at once, each
// with the place of its option (core/config/wrong.h).
tk_status tk_jobs_open(tk_jobs *j, tk_comm *world, const char *file, int n, char *const *overrides);
// For a spool's worker. Of a list the one storyboard `file`, which lies anywhere; NULL: all that it
// lists, or `list` is a storyboard. uid: who asks for it, which must stay where it is.
tk_status tk_jobs_open_for(tk_jobs *j, tk_comm *world, const char *list, const char *file,
                           const int64_t *uid, int n, char *const *overrides);
// The same without a look at outputs: none counts as finished, and no folder is made.
tk_status tk_jobs_read(tk_jobs *j, tk_comm *world, const char *file, int n, char *const *overrides);
// One rank: whether a clip's latents lie there already, for job->stored; those of a take that is
// chosen, too. Memory comes from `a`.
tk_status tk_job_find_stored(tk_job *job, tk_arena *a);
void tk_jobs_close(tk_jobs *j);
