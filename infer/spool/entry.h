// SPDX-License-Identifier: Apache-2.0
// Names of a spool's entries, and folders read in order.
#pragma once
#include "core/base/mem.h"

enum {
    TK_SPOOL_NAME = 80,    // bytes of a job's name
    TK_SPOOL_WORKER = 100, // of a worker's
    TK_SPOOL_PATH = 1024,  // of any path in a spool
    TK_SPOOL_PRIORITIES = 10
};

typedef struct tk_spool_entry { // PRIORITY,TIME,NAME,CLAIMS and, of running jobs, WORKER
    int priority;               // 0 first
    char time[16];              // it was taken in, "20261126-203101", as the file system has it
    char name[TK_SPOOL_NAME + 1];
    int64_t claims;
    char worker[TK_SPOOL_WORKER + 1]; // "" of one that waits
} tk_spool_entry;

bool tk_spool_entry_read(const char *text, tk_spool_entry *e); // false: it is no such name
void tk_spool_entry_print(const tk_spool_entry *e, char *to, size_t room);
// "NAME,WORKER" of taking/.
bool tk_spool_taking_read(const char *text, tk_spool_entry *e);

// Letters, digits, '.', '-', '_', '+'; neither '.' nor '-' first; not too long.
bool tk_spool_name_fits(const char *name);
// The nearest name that fits.
void tk_spool_name_clean(const char *from, char name[TK_SPOOL_NAME + 1]);

// dir/rest, printf style; TK_INPUT where it is too long.
tk_status tk_spool_path(char path[TK_SPOOL_PATH], const char *dir, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct tk_spool_names {
    char **name; // in order of their bytes
    int n, all;  // all: with others beyond `most`
    bool more;   // there are such
} tk_spool_names;
// Entries of dir/folder but those that begin with a dot, the first `most` of them; none of a folder
// that is not there.
tk_status tk_spool_names_read(const char *dir, const char *folder, int most, tk_arena *a,
                              tk_spool_names *out);
