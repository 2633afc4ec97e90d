// SPDX-License-Identifier: Apache-2.0
// `talkie diff RUN RUN`: what differs in the resolved configs of two runs.
#pragma once
#include "core/config/command.h"

// Collective. A run is its directory (config.yaml: what runs there now) or a checkpoint file. Rank
// 0 prints "name: a -> b" lines, the options that make another model or other losses first; an
// option that only one of them has is compared with its default. TK_OK: none differs, TK_DIFFERENT:
// some.
tk_status tk_diff_command(tk_comm *world, tk_invocation *in);
