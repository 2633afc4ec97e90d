// SPDX-License-Identifier: Apache-2.0
// Plans: how cuDNN runs attention of a shape, and the workspace that it takes.
#pragma once
#include "core/device/cuda/cudnn/graph.h"
#include <stddef.h>

// The device that plans are for: one that is there, or a description of one (JSON, as cuDNN writes
// it), for plans that are never run.
typedef struct tk_cudnn_target {
    cudnnHandle_t handle;
    const char *description; // handle NULL
} tk_cudnn_target;

typedef struct tk_cudnn_plan {
    tk_cudnn_shape shape;
    tk_cudnn_parts parts;          // of the graph and of the plan
    cudnnBackendDescriptor_t plan; // NULL: cuDNN has none for this shape,
    char why[256];                 // ... in its words
    int64_t workspace;             // bytes
} tk_cudnn_plan;

// The plan that cuDNN's heuristic names first, of those that can be had. Which one that is,
// version, device and shape decide.
void tk_cudnn_plan_make(const tk_cudnn_target *on, const tk_cudnn_shape *s, tk_cudnn_plan *out);
void tk_cudnn_plan_end(tk_cudnn_plan *p);

// Bytes of workspace that a plan for the shape takes at most, where no cuDNN can be asked: what
// those of 9.19 take on Hopper, and a little more (tests/core/device/test_cudnn_plans.c compares).
int64_t tk_cudnn_workspace(const tk_cudnn_shape *s);
// Of it, what grows with rows and heads.
int64_t tk_cudnn_quadratic(const tk_cudnn_shape *s);
// Channels of a head that there are plans for on Hopper, up to 256, and whose gradients are right:
// multiples of 16. (Those of 9.19 for other multiples of 8 give wrong gradients of the queries.)
bool tk_cudnn_knows_channels(int64_t channels);
