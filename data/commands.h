// SPDX-License-Identifier: Apache-2.0
// `talkie data ...`: making clip files and looking into them.
#pragma once
#include "core/config/command.h"

tk_status tk_data_world(tk_comm *world, tk_invocation *in);
tk_status tk_data_import(tk_comm *world, tk_invocation *in);
tk_status tk_data_info(tk_comm *world, tk_invocation *in);
tk_status tk_data_check(tk_comm *world, tk_invocation *in);
