// SPDX-License-Identifier: Apache-2.0
// Which algorithm does the products of which shape: a table, and its text.
//
// The text is a file of a run's: a line that says what it is, a line for each choice (GPU, version
// of cuBLASLt, shape, the algorithm in the library's own words) and a last one with a sum over all
// before. Choices for other GPUs and versions are kept and never used.
#pragma once
#include "core/base/mem.h"
#include "core/device/cuda/blas.h"
#include <cublasLt.h>

// What algorithms are told apart by. All numbers, no padding: compared as bytes.
typedef struct tk_cuda_shape {
    int64_t rows, cols, depth;
    uint32_t kind;  // types and transposes
    uint32_t align; // of the addresses of a, b, d and bias: a byte each, the power of two
} tk_cuda_shape;

tk_cuda_shape tk_cuda_shape_of(const tk_cuda_product *p);
// The shape that stands for its like: rows of activations, whose number changes from step to step,
// to three bits after the first.
tk_cuda_shape tk_cuda_shape_class(const tk_cuda_shape *s);

// In the place of a shape: who does attention. none: our own kernels; else the first word of `algo`
// is cuDNN's version.
extern const tk_cuda_shape tk_cuda_attention_choice;

typedef struct tk_cuda_choice {
    tk_cuda_shape shape;
    char gpu[80];
    uint64_t version;
    bool none; // no algorithm of the library's: the plain kernel
    cublasLtMatmulAlgo_t algo;
} tk_cuda_choice;

// Of one GPU's name and version of the library, with those of others beside.
typedef struct tk_cuda_choices {
    char gpu[80];
    uint64_t version;
    tk_cuda_choice *list;
    int64_t n, cap;
    int32_t *index; // (slots) places in the list + 1, by a hash of the shape; of own ones alone
    int64_t slots;
} tk_cuda_choices;

void tk_cuda_choices_free(tk_cuda_choices *c); // GPU and version stay
const tk_cuda_choice *tk_cuda_choices_find(const tk_cuda_choices *c, const tk_cuda_shape *s);
// Of the table's GPU and version; the first one for a shape stays.
tk_status tk_cuda_choices_add(tk_cuda_choices *c, const tk_cuda_choice *choice);
int64_t tk_cuda_choices_own(const tk_cuda_choices *c); // how many products are of that
tk_status tk_cuda_choices_write(const tk_cuda_choices *c, tk_arena *a, char **text);
// Adds those of a text. TK_INPUT when it is damaged.
tk_status tk_cuda_choices_read(tk_cuda_choices *c, const char *text);
