// SPDX-License-Identifier: Apache-2.0
// What the sampler is asked for, as a number by which it is known again.
#pragma once
#include "infer/sampler/sampler.h"

// Of all that a task says, but for the rows that it gives: whether they are the same, the caller
// knows. Where and how it is computed is no part of it, as with the layout, nor is `graph`.
// text_channels: of its text features; 0: it has tokens.
uint64_t tk_sample_task_digest(const tk_sample_task *t, int64_t text_channels);
