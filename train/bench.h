// SPDX-License-Identifier: Apache-2.0
// Measurements of training: against the GEMM rate, the disk, and the plan.
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"

// Collective. Trains `steps` steps of the config without writing anything and prints the model
// FLOP/s over the GEMM rate of the same shapes and threads, and peak memory over the plan's.
tk_status tk_bench_train(tk_comm *world, tk_config *c, int64_t steps);
// Collective. Prints the rate at which the loader hands out clips over the rates of plain preads of
// the same clips in the same order and of the files from end to end: in turn, best of some rounds.
tk_status tk_bench_loader(tk_comm *world, tk_config *c);
