// SPDX-License-Identifier: Apache-2.0
// What a job that was claimed asks of its worker, and whether it may. Included by infer/served.c
// alone.
#pragma once
#include "infer/served.h"

// Rank 0: h->order, from the job's files as they stand. TK_INPUT with a line for each thing that no
// job may ask for.
tk_status tk_served_order(tk_serving *a, tk_served *h);
