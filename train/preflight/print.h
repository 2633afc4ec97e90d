// SPDX-License-Identifier: Apache-2.0
// What preflight says: a table for people, a file for programs.
#pragma once
#include "train/preflight/measure.h"

typedef struct tk_flight_report {
    const tk_config *config;
    const tk_flight_rank *all; // (n)
    const double *middle;      // of tk_flight_medians
    int n, each;               // ranks, and those of a host
    int64_t side;              // of the product
    tk_flight_whole whole;
    const tk_flight_verdicts *verdicts;
} tk_flight_report;

void tk_flight_print(const tk_flight_report *r);
// TK_INPUT, before any work, where `path` cannot be written.
tk_status tk_flight_check_output(const char *path);
tk_status tk_flight_write(const tk_flight_report *r, const char *path);
