// SPDX-License-Identifier: Apache-2.0
// main() of a test that runs under mpirun: ranks that did not fail may be waiting for one that did,
// so a failure takes all down.
#pragma once
#include "parallel/mpi/start.h"
#include "tests/support/test.h"

#define ranks_run(argc, argv, world, tests) ranks_run_with(argc, argv, world, tests, NULL, NULL)

// Before the first test and after the last one `open` and `close` are called; NULL: nothing.
#define ranks_run_with(argc, argv, world, tests, open, close)                 \
    do {                                                                      \
        setenv("TALKIE_COMM_TIMEOUT", "20", 0);                               \
        if (tk_parallel_start(&(argc), &(argv), &(world)) != TK_OK) return 1; \
        if (cmocka_run_group_tests(tests, open, close)) tk_parallel_abort(1); \
        tk_parallel_stop();                                                   \
        return 0;                                                             \
    } while (0)
