// SPDX-License-Identifier: Apache-2.0
// `talkie data ...`: making clip files and looking into them.
#pragma once
#include "core/comm.h"

// argv[0] is the word after "data".
tk_status tk_data_command(tk_comm *world, int argc, char **argv);
