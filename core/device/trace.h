// SPDX-License-Identifier: Apache-2.0
// What devices are asked for passes here: it is counted, and a test may let any of it fail, so that
// everything above is seen to cope.
#pragma once
#include "core/device/device.h"

// Counts a call of a device and its bytes (0 where it moves none). Fails where a test wants it to:
// TK_MEMORY for TK_TRACE_NEW, else TK_INTERNAL. A device that fails to wait has nothing left to do:
// such a call is made before it is traced.
tk_status tk_trace_call(tk_device *d, tk_trace_kind kind, size_t bytes);
const char *tk_trace_name(tk_trace_kind kind); // "upload"

void tk_trace_fail_at(int64_t nth); // test seam: 1 = the next call, of whichever device; 0 = off
int64_t tk_trace_count(void);       // calls of all devices so far (to loop a test over all of them)
