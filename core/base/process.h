// SPDX-License-Identifier: Apache-2.0
// Which process it was, for whoever finds what it left: its host, and what tells it from others of
// the same pid there.
#pragma once
#include <stdbool.h>

typedef struct tk_process {
    char host[64];              // without '/', ',' and blanks
    unsigned long long machine; // hash of boot and process namespace: where a pid means the same
    long long pid, ticks;       // ticks since boot at its start
} tk_process;

tk_process tk_process_self(void);
// Whether it is of this machine, so that tk_process_runs can tell.
bool tk_process_here(const tk_process *p);
bool tk_process_runs(const tk_process *p); // stopped ones do; the remains of one (a zombie) do not
// Copies a name for use in names of files: without '/', ',' and blanks.
void tk_process_plain(char *to, unsigned room, const char *from);
