// SPDX-License-Identifier: Apache-2.0
// The stand-in for cuDNN (libcudnn.so.9 of the emulated build), built against the real header:
// attention, forward and backward, on the streams of the stand-in for the CUDA runtime. Its files:
// cudnn.c (descriptors), cudnn_graph.c (graphs that it knows), cudnn_run.c (attention).
//
// A descriptor, attribute or type that is not modelled ends the process with words; a function that
// is not here is not found. A graph whose operations, wiring, sizes, types or strides are not those
// that the library's engine knows is refused: there is no plan for it.
//
// From the environment:
//     STANDIN_CUDNN_VERSION=91700   what it says it is; before 9.18 it needs a zeroed workspace
//     STANDIN_CUDNN_CHANNELS=64     heads of more channels have no plan
#pragma once
#include <cudnn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dn_attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t n;
    void *values;
} dn_attribute;

enum { DN_ATTRIBUTES = 12 };
typedef struct dn_thing { // a descriptor
    uint64_t alive;
    cudnnBackendDescriptorType_t type;
    bool finished;
    int n;
    dn_attribute attribute[DN_ATTRIBUTES];
} dn_thing;

void dn_unmodelled(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
bool dn_refuse(const char *format, ...) __attribute__((format(printf, 1, 2))); // false, with words
int64_t dn_version(void);

// What an attribute holds; NULL (0, none) where it was not set.
const dn_attribute *dn_find(const dn_thing *x, cudnnBackendAttributeName_t name);
int64_t dn_number(const dn_thing *x, cudnnBackendAttributeName_t name); // of an enum, too
const dn_thing *dn_part(const dn_thing *x, cudnnBackendAttributeName_t name);

// What tensors of a graph are for.
typedef enum dn_role {
    DN_NONE,
    DN_Q,
    DN_K,
    DN_V,
    DN_O,
    DN_DO,
    DN_DQ,
    DN_DK,
    DN_DV,
    DN_LSE,
    DN_SUMS,
    DN_DQ_SUMS,
    DN_SCALE,
    DN_ONE,
    DN_NEVER,
    DN_ASK,
    DN_ASKED, // until here there may be memory; from here on it is between
    DN_PRODUCTS,
    DN_ROW_SUMS,
    DN_SCORES,
    DN_SCALED,
    DN_ROW,
    DN_COL,
    DN_ASKS,
    DN_IS_ASKED,
    DN_BOTH,
    DN_MASKED,
    DN_LESS,
    DN_WEIGHTS,
    DN_WEIGHTS_TURNED,
    DN_UP,
    DN_UP_LESS,
    DN_UP_WEIGHTED,
    DN_GRADIENT,
    DN_GRADIENT_TURNED,
    DN_K_ROWS,
    DN_ROLES
} dn_role;

// Attention as it was asked for, by a graph that is known.
typedef struct dn_attention {
    bool back, any_order;
    int64_t documents, heads, channels, ask, asked; // sizes
    const dn_thing *tensor[DN_ROLES];
} dn_attention;

bool dn_know(const dn_thing *graph, dn_attention *out); // with words where it is not known
int64_t dn_workspace(const dn_attention *a);            // bytes
cudnnStatus_t dn_run(const dn_attention *a, const dn_thing *pack, cudaStream_t stream);
