// SPDX-License-Identifier: Apache-2.0
// A spool in a folder of its own, for tests of one: its workers, all of this process, and what is
// done there by a shell.
#pragma once
#include "infer/spool/internal.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <unistd.h>

static char dir[64];

// n workers of a new spool. 0, or -1, as set-up and tear-down of tests.
static inline int open_there(int n, tk_spool *const worker[])
{
    snprintf(dir, sizeof dir, "/tmp/spool-XXXXXX");
    tk_spool_seam = (tk_spool_seams){0};
    if (!mkdtemp(dir)) return -1;
    for (int i = 0; i < n; i++)
        if (tk_spool_open(worker[i], dir, 60) != TK_OK) return -1;
    return 0;
}

static inline int close_there(int n, tk_spool *const worker[])
{
    char command[128];
    tk_spool_seam = (tk_spool_seams){0};
    for (int i = 0; i < n; i++) tk_spool_close(worker[i]);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

// A command line of the shell, in the spool, that succeeds.
static inline void do_there(const char *what)
{
    char command[4200];
    snprintf(command, sizeof command, "cd %s && { %s; }", dir, what);
    if (system(command) != 0) fail_msg("%s", what);
}
