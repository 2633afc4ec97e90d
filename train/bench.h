// SPDX-License-Identifier: Apache-2.0
// Measurements of training: against the GEMM rate, the disk, and the plan.
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"

// Collective. Trains `steps` steps of the config without writing anything and prints the model
// FLOP/s over the GEMM rate of the same shapes and threads, and peak memory over the plan's.
tk_status tk_bench_train(tk_comm *world, tk_config *c, int64_t steps);
// Collective. Prints where the time of a training step goes on rank 0's device, operator by
// operator, beside the rates of a large product and of copies within the device.
tk_status tk_bench_operators(tk_comm *world, tk_config *c);
// Collective, on several tensor ranks. Prints the rate at which rows of the model's width come
// together from shares of which one is longer, as the communicator does it and padded to the
// longest, beside that of equal shares.
tk_status tk_bench_shares(tk_comm *world, tk_config *c);
// Collective, on ranks that are all one pipeline. Prints, for every schedule, the time of a step's
// forwards and backwards beside that of one rank alone over the stages, and the part of it in which
// stages stand idle: as measured; as the replay has it if a forward and each half of a backward
// take the same time; as it has it for the durations measured, on as many stages and, the whole
// model cut evenly, on four and eight. Medians of some rounds, in each all of it in turn.
tk_status tk_bench_pipeline(tk_comm *world, const tk_config *c);
// Collective. Prints the rate at which the loader hands out clips over the rates of plain preads of
// the same clips in the same order and of the files from end to end: in turn, best of some rounds.
tk_status tk_bench_loader(tk_comm *world, tk_config *c);
