// SPDX-License-Identifier: Apache-2.0
// How a call of ATTENTION is cut into runs of plans: by documents and by heads, until the workspace
// of each fits the budget. Shapes alone decide, so that all ranks, a plan without a device and a
// run that goes on cut alike.
#pragma once
#include "core/device/cuda/cudnn/plan.h"
#include "core/device/ops/impl.h"

typedef struct tk_cudnn_cut {
    tk_cudnn_shape largest; // run: with so many documents and heads at most
    int64_t documents;      // in which some ask and some are asked: there are others
} tk_cudnn_cut;

// Rows of a document are rounded up, to a multiple of 128 and four bits after the first, so that
// few plans, which take about a second each to make, do for all steps. False, with words, where
// cuDNN does not take the call or one document and head does not fit. The call has heads.
bool tk_cudnn_cut_of(const tk_call *c, bool back, const tk_attention_way *way, tk_cudnn_cut *out,
                     char *why, size_t room);
// Documents of the next run where `left` are to be done: a power of two.
int64_t tk_cudnn_next(const tk_cudnn_cut *cut, int64_t left);
