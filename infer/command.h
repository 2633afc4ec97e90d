// SPDX-License-Identifier: Apache-2.0
// talkie sample STORYBOARD.yaml|JOBS.yaml [key=value ...]
#pragma once
#include "core/comm.h"

tk_status tk_sample_command(tk_comm *world, int argc, char **argv); // argv: after "sample"
