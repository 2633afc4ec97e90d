// SPDX-License-Identifier: Apache-2.0
// A device that runs behind, as an accelerator does: "cpu", but uploads, downloads, copies, zeros,
// kernels and collectives are queued and run, in order, when the device is synced (or a message
// between ranks is sent). Host memory is read and written only then; an upload whose host memory
// has changed since it was asked for fails. One such device at a time.
//
//     tk_device_open(&device, &tk_device_cpu, ...);
//     deferred_start(&device, &mesh); // until the device is closed
#pragma once
#include "core/device/device.h"
#include "parallel/mesh.h"

void deferred_start(tk_device *d, tk_mesh *m);
void deferred_fail_at(int64_t n); // the n-th thing queued from now on is refused; 0: none
int64_t deferred_faults(void);    // uploads since the start whose host memory had changed
