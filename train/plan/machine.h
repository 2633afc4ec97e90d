// SPDX-License-Identifier: Apache-2.0
// A machine, as a file tells of it (configs/machines/): what plans take their times from.
//
// Every figure says whether it was measured, and where, or is assumed. Rates are FLOP/s and
// bytes/s, bytes read and written counted alike.
#pragma once
#include "core/config/config.h"

typedef enum tk_basis { TK_MEASURED, TK_ASSUMED } tk_basis;

typedef struct tk_rating {
    double value;
    int64_t basis; // tk_basis
    char *source;
} tk_rating;

typedef struct tk_product_rate { // of matrix products whose shortest side is at least `side`
    int64_t precision, side;     // tk_precision
    tk_rating rate;
} tk_product_rate;

typedef struct tk_attention_rate { // backward counted as twice the forward's FLOPs
    int64_t precision;
    tk_rating fore, back; // of one basis
} tk_attention_rate;

typedef struct tk_peak_rate { // what MFU is a share of
    int64_t precision;
    tk_rating rate;
} tk_peak_rate;

typedef enum tk_link_place { TK_LINK_NODE, TK_LINK_NETWORK } tk_link_place;
typedef struct tk_link { // of a GPU to others
    int64_t place;       // tk_link_place
    double latency;      // seconds of a message
    tk_rating rate;      // each way
} tk_link;

typedef struct tk_machine {
    char *name;
    int64_t gpus;           // of a node
    tk_rating memory;       // bytes of a GPU
    tk_rating context;      // of them: taken by the driver and libraries before any work,
    tk_rating communicator; // ... and by each communicator of several ranks
    tk_rating copy;         // rate of copies within the device
    tk_rating share;        // of that rate, what other kernels reach
    tk_rating host;         // rate of copies from the host
    tk_rating launch;       // seconds of the shortest kernel
    tk_product_rate *product;
    tk_attention_rate *attention;
    tk_peak_rate *peak;
    tk_link *link;
    int64_t n_product, n_attention, n_peak, n_link;
    tk_arena arena;
} tk_machine;

// TK_INPUT with file, line and column of all that is wrong, or naming what the file lacks. After a
// failure there is nothing to free.
tk_status tk_machine_load(tk_machine *m, const char *file);
void tk_machine_free(tk_machine *m);

// Of the class that a product with that shortest side is in.
const tk_rating *tk_machine_product(const tk_machine *m, int64_t precision, int64_t side);
const tk_attention_rate *tk_machine_attention(const tk_machine *m, int64_t precision);
const tk_rating *tk_machine_peak(const tk_machine *m, int64_t precision);
const tk_link *tk_machine_link(const tk_machine *m, tk_link_place place);
int tk_machine_assumed(const tk_machine *m, int *figures); // how many of its figures are assumed
