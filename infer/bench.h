// SPDX-License-Identifier: Apache-2.0
// talkie bench CONFIG [key=value ...]: speed as fractions of what this machine can do, measured in
// the same run: training and sampling against dnnl_sgemm, the loader against pread, memory against
// the plan, and how long it takes until the first step.
#pragma once
#include "core/config/command.h"

tk_asks tk_bench_ask; // tk_command.ask: what a run of this config would need, but for its folder
tk_status tk_bench_command(tk_comm *world, tk_invocation *in);
