// SPDX-License-Identifier: Apache-2.0
// This program started anew beside itself, for work on what others made that may kill it or never
// end: only that process dies.
//
//     int main(int argc, char **argv) {
//         if (tk_aside_is(argc, argv, "--probe-h5")) return ...;  // before anything else
//
// The new process has one end of a socket as its standard input, says nothing on its output and
// stderr, has no other open files, and is in a group of its own: an interrupt at the keyboard is
// nothing to it. It ends when the other end is closed, also by the death of who holds that.
#pragma once
#include "core/base/status.h"
#include <sys/types.h>

typedef struct tk_aside { // zeroed: none
    pid_t pid, owner;     // a fork of the owner has none of its own
    int socket;           // the asking end
} tk_aside;

bool tk_aside_is(int argc, char **argv, const char *word);

typedef struct tk_aside_start {
    const char *program, *word;   // its path; what it is told to be
    int kind;                     // of the socket: SOCK_SEQPACKET, SOCK_STREAM
    const char *const *variables; // NAME=value, NULL at the end; at most 8. All else of the
                                  // environment stays here, but LD_LIBRARY_PATH
    const char *purpose;          // "look at HDF5 files", for messages
} tk_aside_start;
// Fine where it runs already. TK_IO where no process can be started.
tk_status tk_aside_begin(const tk_aside_start *s, tk_aside *a);
// Kills it. How it had ended by itself, or by this, as of waitpid; fine where none runs: 0.
int tk_aside_end(tk_aside *a);
