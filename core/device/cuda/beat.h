// SPDX-License-Identifier: Apache-2.0
// Beats: how far a GPU has come in its work, told while it is at work, so that long work can be
// told from work that never ends.
//
// With some of a queue's events goes a beat, a kernel that raises a number in pinned
// memory of the host, in a graph at each of its launches. While the host waits, a number that has
// changed says that the GPU came on; nothing waits for it, and nothing else depends on it.
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
#include "core/device/device.h"

// From now on, to the end of the process, devices beat.
tk_status tk_cuda_beats_start(void);
// An event is recorded on queue q: every few of them, a beat before it.
tk_status tk_cuda_beat(tk_device *d, tk_queue q);
// Whether any device of this process has come on since this was last asked.
bool tk_cuda_comes_on(void);

// kernels/beat.cu, on the queue of the moment.
tk_status tk_cuda_beat_once(tk_device *d, volatile uint32_t *number);

#ifdef __cplusplus
}
#endif
