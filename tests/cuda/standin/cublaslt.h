// SPDX-License-Identifier: Apache-2.0
// The stand-in for cuBLASLt (libcublasLt.so.13 of the emulated build), built against the real
// header: products as plain loops, on the streams of the stand-in for the CUDA runtime. Its files:
// cublaslt.c (descriptions), cublaslt_choose.c (algorithms), cublaslt_multiply.c (a product).
//
// What the library's header forbids is refused with the status that it names and words on stderr.
// An attribute or value that is not modelled ends the process with words; a function that is not
// here is not found.
//
// From the environment:
//     STANDIN_CUBLASLT_VERSION=120000  what it says it is
//     STANDIN_CUBLASLT_ONLY=2          only this algorithm starts
//     STANDIN_CUBLASLT_WRONG=RANK      on that rank of the world a product's last number is wrong
//     STANDIN_CUBLASLT_FAST=2:10       every algorithm but this one takes 10 milliseconds longer
//     STANDIN_CUBLASLT_MEMORY=4        MiB of the device that it takes when it is opened
#pragma once
#include <cublasLt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cublasLtContext {
    uint64_t alive;
    void *memory; // of the device; NULL: none
    size_t bytes;
};
typedef struct lt_desc {
    uint64_t alive;
    int32_t turn_a, turn_b; // cublasOperation_t
    uint32_t epilogue;
    const void *bias;
    int32_t bias_type; // -1: that of D
} lt_desc;
typedef struct lt_layout {
    uint64_t alive;
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
} lt_layout;
typedef struct lt_preference {
    uint64_t alive;
    uint64_t workspace;
    uint32_t reductions;
    uint32_t align[4]; // a, b, c, d
} lt_preference;
enum { LT_ALIVE = 0x1e7a11fe };
// Bytes: where a workspace begins, whether the algorithm needs it or not.
enum { LT_WORKSPACE_ALIGN = 256 };

// A product as it was asked for, column-major: d (m, n) = op(a) (m, k) @ op(b) (k, n) + ...
typedef struct lt_problem {
    int64_t m, n, k;
    bool turn_a, turn_b;
    cudaDataType_t type, to; // of a and b, of c and d
    int64_t ld_a, ld_b, ld_c, ld_d;
    const void *bias; // of type `to`
} lt_problem;

// The kinds of algorithm. In the order that the heuristic prefers: those that give other bits each
// time, or round between, come first, for whoever does not rule them out.
typedef enum lt_kind {
    LT_INPLACE,
    LT_ROUNDED,
    LT_PLAIN,
    LT_SPLIT,
    LT_NARROW,
    LT_WIDE,
    LT_KINDS
} lt_kind;

bool lt_refuse(const char *format, ...) __attribute__((format(printf, 1, 2))); // false, with words
void lt_unmodelled(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
size_t lt_size(cudaDataType_t t);

// The problem that these descriptions tell, or the status that refuses it.
cublasStatus_t lt_problem_of(cublasLtHandle_t handle, const void *desc, const void *a,
                             const void *b, const void *c, const void *d, lt_problem *out);
// The kind of an algorithm that fits, and the bytes of workspace that it needs.
cublasStatus_t lt_kind_of(const cublasLtMatmulAlgo_t *algo, const lt_problem *p, lt_kind *kind,
                          size_t *workspace);
uint32_t lt_alignment(lt_kind kind, cudaDataType_t t); // bytes: of addresses and of columns
