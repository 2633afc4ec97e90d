// SPDX-License-Identifier: Apache-2.0
// Small kernels for test_dialect.c: some do right, each of the others has one fault.
#pragma once

typedef enum planted {
    PLANTED_REVERSE, // y[t] = x[threads - 1 - t] of the block, through shared memory
    PLANTED_SUMS,    // y[0] = sum x, y[1] = sum x^2, of one block
    PLANTED_LANES,   // what shuffles and votes give, 8 numbers a thread
    PLANTED_RIGHT,   // so many
    PLANTED_NO_BARRIER = PLANTED_RIGHT, // REVERSE
    PLANTED_NO_SECOND_BARRIER,          // SUMS, between the two uses of shared memory
    PLANTED_TAIL,                       // REVERSE, writes one element behind the last
    PLANTED_NO_STORE,                   // REVERSE, of the last thread
    PLANTED_UNWRITTEN,                  // REVERSE, reads shared memory that nobody wrote
    PLANTED_HALF_MASK,                  // a mask that not all its lanes are named by
    PLANTED_OTHER_MASK,                 // lanes of one shuffle with two masks
    PLANTED_FOREIGN_LANE,               // takes from a lane that is not named
    PLANTED_ENDED_LANE,                 // a lane has ended before its shuffle
    PLANTED_ENDED_THREAD,               // and before its barrier
    PLANTED_TWO_BARRIERS,               // threads of a block at two places
    PLANTED_OVERRUN,                    // one element behind the block's shared memory
    PLANTED_UNDERRUN,
    PLANTED_READ_BEHIND, // REVERSE, reads what lies behind the block's shared memory, for nothing
    PLANTED_READ_BEFORE,
    PLANTED_DEEP,            // more on a thread's stack than it has
    PLANTED_MISPLACED_LOAD,  // two numbers at once from where only one may be read
    PLANTED_MISPLACED_STORE, // likewise
    PLANTED_KINDS
} planted;

#ifdef __cplusplus
extern "C"
#endif
    // Runs it over n numbers by blocks of `threads` and waits. Whether the launch was taken.
    int
    planted_run(planted what, const float *x, float *y, int n, int threads);
