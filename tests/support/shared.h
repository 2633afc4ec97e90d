// SPDX-License-Identifier: Apache-2.0
// The ranks of a test and nine clips that they share: set-up and tear-down for ranks_run_with.
#pragma once
#include "tests/support/clips.h"
#include "tests/support/ranks.h"

static tk_comm world;
static char clips[TEST_CLIPS_PATH];

static int open_clips(void **state)
{
    (void)state;
    return test_clips_open(&world, 9, clips);
}

static int close_clips(void **state)
{
    (void)state;
    return test_clips_close(&world, clips);
}
