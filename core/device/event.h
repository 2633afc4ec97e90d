// SPDX-License-Identifier: Apache-2.0
// Events: the order between queues, between a queue and the host, and time.
//
// An event is recorded on a queue, and is done when all work asked for on that queue before is.
// Recording again moves it; whoever waits waits for the last recording before the wait. One that
// was never recorded is done. Times are taken by the device, where the event lies in its queue.
//
//     tk_event ready = {0};
//     tk_event_open(&ready, d);
//     tk_queue was = tk_device_on(d, TK_QUEUE_COPY);
//     tk_device_upload(d, x.data, host, bytes);
//     tk_event_record(&ready, TK_QUEUE_COPY);
//     tk_device_on(d, was);
//     tk_event_wait(&ready, TK_QUEUE_COMPUTE); // operators after this read x; the host goes on
#pragma once
#include "core/device/device.h"

typedef struct tk_event {
    tk_device *device;  // NULL: not open
    tk_queue_mark mark; // what whoever waits runs behind
    bool recorded;
    double at; // seconds of the clock of a planned step
    void *impl;
} tk_event;

tk_status tk_event_open(tk_event *e, tk_device *d); // e is all zero
void tk_event_close(tk_event *e);                   // does not wait; an event that is zero is fine
tk_status tk_event_record(tk_event *e, tk_queue q);
tk_status tk_event_wait(tk_event *e, tk_queue q); // the queue waits; never the host
tk_status tk_event_sync(tk_event *e);             // the host waits
tk_status tk_event_done(tk_event *e, bool *done); // asks; nobody waits
// From one event to another, both recorded with whatever lies between: done, or TK_INTERNAL.
tk_status tk_event_seconds(tk_event *from, tk_event *to, double *seconds);
