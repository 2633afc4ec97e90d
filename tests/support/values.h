// SPDX-License-Identifier: Apache-2.0
// What ranks hold in the tests of communicators: small integers, so that sums are exact in every
// type.
#pragma once
#include "core/comm/comm.h"

// Element i of a rank's array: in [-7, 7], every rank different.
static inline float value_of_rank(int rank, int64_t i)
{
    return (float)((i * 7 + rank * 5 + i / 13) % 15 - 7);
}

static inline float sum_of_values(const tk_comm *c, int64_t i)
{
    float s = 0;
    for (int r = 0; r < c->size; r++) s += value_of_rank(r, i);
    return s;
}
