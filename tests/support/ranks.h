// SPDX-License-Identifier: Apache-2.0
// main() of a test that runs under mpirun: ranks that did not fail may be waiting for one that did,
// so a failure takes all down.
#pragma once
#include "core/device/device.h"
#include "parallel/mpi/start.h"
#include "tests/support/test.h"

// Whether every rank has a GPU that it can open, or a stand-in for one. Collective.
static inline bool ranks_have_gpus(tk_comm *world)
{
    const tk_device_ops *ops = tk_device_find(TK_DEVICE_CUDA);
    tk_device d;
    uint64_t without = !ops || tk_device_open(&d, ops, 1, (size_t)1 << 20) != TK_OK;
    if (!without) tk_device_close(&d);
    tk_status_clear();
    assert_ok(tk_comm_sum_u64(world, &without, 1));
    return without == 0;
}

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
