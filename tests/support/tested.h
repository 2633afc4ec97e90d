// SPDX-License-Identifier: Apache-2.0
// The device that a test is run on: "cpu", or that of TK_TEST_DEVICE in the environment (tests that
// say "cuda: too", scripts/run_tests.sh).
#pragma once
#include "core/device/device.h"
#include "tests/cuda/standin/standin.h"
#include <stdlib.h>
#include <string.h>

#pragma weak standin_seed
#pragma weak standin_count
#pragma weak standin_leave_out_wait
#pragma weak standin_wall

static inline bool tested_is_cuda(void)
{
    const char *said = getenv("TK_TEST_DEVICE");
    return said && strcmp(said, "cuda") == 0;
}

static inline const tk_device_ops *tested_device(void)
{
    return tk_device_find(tested_is_cuda() ? TK_DEVICE_CUDA : TK_DEVICE_CPU);
}

// Whether it is an emulated GPU, which can be told in what order to run its streams (standin.h).
static inline bool tested_is_emulated(void)
{
    return standin_seed && tested_is_cuda();
}
