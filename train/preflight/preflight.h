// SPDX-License-Identifier: Apache-2.0
// talkie preflight: are all ranks fit for a long run? Before step 1 it names who is slow, computes
// wrongly or is unlike the others.
//
// Each rank times matrix products, copies within its device and to and from its host, and reading
// data.files; then ranks of a host, neighbouring hosts and all ranks together exchange. What a rank
// reaches is compared with the median of those with the same device. A product of the same numbers
// must have the same bits on all of them, and what was sent and written must come back.
#pragma once
#include "core/config/command.h"

// TK_DIFFERENT (exit code 1) where anything was found, which was printed; -o FILE.json has it all.
tk_asks
    tk_preflight_ask; // tk_command.ask: a device that this build has, a report that can be written
tk_status tk_preflight_command(tk_comm *world, tk_invocation *in);
