// SPDX-License-Identifier: Apache-2.0
// What is fuzzed: readers of files that others made, each through the entry that users reach.
//
// fuzzer.c drives them by libFuzzer (make fuzz), test_replay.c by the corpora and mutants of them
// (make test). HDF5 files are read first by a process that may die, as in talkie: its death on a
// file is an answer, not a finding. A program that runs targets begins as talkie.c does, with
// tk_h5_probing.
#pragma once
#include "core/base/status.h"

typedef struct fuzz_target {
    const char *name;
    void (*read)(const char *path);      // ends the process by abort() if the reader did wrong
    tk_status (*seed)(const char *path); // writes a small valid file; NULL: corpora have them
} fuzz_target;

extern const fuzz_target fuzz_targets[];        // ended by a NULL name
const fuzz_target *fuzz_find(const char *name); // NULL: none of that name

// A reader succeeds or says in words, with the file's name, that the input is bad. Anything else
// is printed and ends the process.
void fuzz_judge(tk_status st, const char *path);
// What a target needs for itself, and must be had.
void fuzz_must(tk_status st, const char *what);
