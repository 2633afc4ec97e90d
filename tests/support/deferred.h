// SPDX-License-Identifier: Apache-2.0
// A device that runs behind, as an accelerator does: "cpu", but work is put on the queue it was
// asked for on and done some time later, in the order of the queue, and between queues in any
// order that events allow, drawn from the seed. Seed 0 does nothing before the host waits; others
// do some of it between.
//
// What must not be relied on is spoiled: host memory is read and written only when the work is
// done (a download's is overwritten when it is asked for, an upload whose host memory has changed
// by then fails, and pinned memory freed before is a fault), and pool memory given back is
// overwritten in the order of the queue it was given back on. So a wait that lacks shows as a
// difference or a fault. Collectives and groups of messages are done in the order they were asked
// for, each blocking those behind it until the other ranks do their part. One such device at a
// time.
//
//     tk_device_open(&device, &tk_device_cpu, ...);
//     tk_mesh_attach(&mesh, &device); // or no mesh, NULL
//     deferred_start(&device, &mesh, seed); // until the mesh is detached and the device is closed
#pragma once
#include "core/device/device.h"
#include "parallel/mesh.h"

void deferred_start(tk_device *d, tk_mesh *m, uint64_t seed);
void deferred_leave_out(int64_t n);     // the n-th wait from now on is none; 0: all are
void deferred_leave_out_two(int64_t n); // ... and the one after it
int64_t deferred_waits(void);           // waits for events and messages since the start
int64_t deferred_faults(void);          // host memory that did not stay as it had to
