// SPDX-License-Identifier: Apache-2.0
// What preflight has found of every rank, and what is to be said of it. Nothing here measures.
#pragma once
#include "core/base/mem.h"

// Rates, more is better, of one rank in the company of all.
typedef enum tk_flight_figure {
    TK_FLIGHT_PRODUCT,  // FLOP/s of a large square matrix product
    TK_FLIGHT_COPY,     // bytes/s, read and written, of copies within the device
    TK_FLIGHT_UPLOAD,   // bytes/s from the host
    TK_FLIGHT_DOWNLOAD, // bytes/s to the host
    TK_FLIGHT_FILES,    // bytes/s of data.files
    TK_FLIGHT_SUM,      // bytes/s of an all-reduce over the ranks of the host, each host by itself
    TK_FLIGHT_NEAR,     // bytes/s to and from the next rank of the host, each pair by itself
    TK_FLIGHT_FAR,      // bytes/s to and from the same rank of the next host, two hosts at a time
    TK_FLIGHT_FIGURES
} tk_flight_figure;

typedef struct tk_flight_figure_row {
    const char *name, *unit;
    double scale;       // of the unit
    const char *what;   // "matrix products"
    const char *reason; // what a slow one may come from
} tk_flight_figure_row;
extern const tk_flight_figure_row tk_flight_figures[TK_FLIGHT_FIGURES];

// What should be the same everywhere, in words.
typedef enum tk_flight_fact {
    TK_FLIGHT_DEVICE,
    TK_FLIGHT_KERNEL,
    TK_FLIGHT_SOFTWARE, // drivers and libraries of the device
    TK_FLIGHT_FACTS
} tk_flight_fact;
extern const char *const tk_flight_fact_name[TK_FLIGHT_FACTS];

typedef struct tk_flight_rank { // plain bytes: every rank gets those of all
    char host[64];
    char fact[TK_FLIGHT_FACTS][160];
    double figure[TK_FLIGHT_FIGURES]; // 0: not measured
    int near, far;                    // the other ends of its links, -1: none
    uint64_t product;                 // digest of a product of the same numbers on all ranks
    bool unsteady;                    // the same product gave other bits the second time
    int64_t bad_bytes;                // of memory: other than they were written
    bool wrong_sum;                   // the all-reduce gave wrong numbers
    int wrong_from;                   // what came from that rank is not what it sent; -1: none
    double ahead;                     // seconds of its clock
    double memory, disk;              // bytes free: of the host, of the disk of train.out
    bool lost;                        // a file of rank 0's in train.out is not there
} tk_flight_rank;

// middle[f * n + i]: the median of figure f among ranks with rank i's device that measured it; of
// links among all. The larger of the middle two where their number is even: of two ranks the slower
// is slow. 0: nobody measured it.
tk_status tk_flight_medians(const tk_flight_rank *all, int n, tk_arena *a, double **middle);

// Ranks of each host, where all hosts have as many and those of a host follow each other; else 1,
// as if each rank had a host of its own.
int tk_flight_ranks_of_host(const tk_flight_rank *all, int n);

typedef struct tk_flight_verdicts {
    char **line; // in words, each naming ranks and hosts
    int n, room;
    tk_arena *arena;
} tk_flight_verdicts;
// What is slower than `slow` of the median, or wrong, or different; none: all is well.
tk_status tk_flight_judge(const tk_flight_rank *all, int n, const double *middle, double slow,
                          tk_flight_verdicts *v);
