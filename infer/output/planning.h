// SPDX-License-Identifier: Apache-2.0
// From a storyboard's file and what lies over and under it to a job that can be made. Included by
// infer/output/jobs.c alone.
#pragma once
#include "infer/output/jobs.h"

typedef struct tk_planning { // a job, on a rank
    tk_jobs *j;
    tk_job *job;
    tk_wrong wrong;  // with it
    tk_config peek;  // its files' options alone
    bool acts;       // on the one rank that changes files
    bool writes;     // its clip is to be made
    const char *top; // the file on the command line
    int n;
    char *const *overrides;
} tk_planning;

// A file named by another: as it stands, else beside the one that names it.
tk_status tk_planning_find(char **path, const char *named_by, tk_arena *a);
// Job file, storyboard and overrides on top of what `c` has. The job file's list is no option of
// the storyboard's. What is wrong with the job file is told with each, but once.
tk_status tk_planning_layers(const tk_jobs *j, tk_wrong *w, const char *top, const char *file,
                             int n, char *const *overrides, tk_config *c);
// Rank 0: its files, and what keys they are signed and marked by.
tk_status tk_planning_check_writable(tk_wrong *w, const tk_job *job, const char *top);
// Collective. Its checkpoint, its options, all that can be found of it before anything is made.
tk_status tk_planning_open(tk_planning *p, tk_comm *world);
