// SPDX-License-Identifier: Apache-2.0
// talkie train CONFIG [key=value ...]
#pragma once
#include "core/comm.h"
#include "core/config.h"

tk_status tk_train_command(tk_comm *world, int argc, char **argv); // argv: after "train"

// What commands over a training config begin with: --help (*done is set), else loads the config on
// every rank and sees that all ranks read the same. argv: after the command's name.
tk_status tk_train_config_load(tk_comm *world, tk_config *c, unsigned command, const char *usage,
                               int argc, char **argv, bool *done);
