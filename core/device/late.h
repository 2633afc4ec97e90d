// SPDX-License-Identifier: Apache-2.0
// Queues of a device in host memory that have a thread.
//
// Such a device does what it is asked for at once, whatever the queue, so that events are done when
// they are recorded. A transport whose calls wait for other ranks would hold up the host, and all
// queues with it: it posts a job to one queue instead, and the thread of that queue does its jobs
// one after another. From then on the queue may be late. Events recorded on it are done when the
// jobs before them are; another queue that has a thread waits for them there, and for a queue that
// has none the host waits, since what it asks for next is done at once. It also waits for a queue's
// jobs before it does anything else on that queue itself.
//
// Threads begin with the first job of their queue and end with the device. A device's functions are
// called by one thread, as ever; jobs touch nothing of it but memory that nobody else uses
// meanwhile, by the order of queues and events.
#pragma once
#include "core/device/event.h"

tk_status tk_late_post(tk_device *d, tk_queue q, const tk_late_job *job);
void tk_late_reach(tk_device *d, tk_queue q);
tk_status tk_late_sync(tk_device *d);
void tk_late_close(tk_device *d); // jobs asked for so far are done first

tk_status tk_late_event_open(tk_event *e);
void tk_late_event_close(tk_event *e);
tk_status tk_late_event_record(tk_event *e, tk_queue q);
tk_status tk_late_event_wait(tk_event *e, tk_queue q);
tk_status tk_late_event_sync(tk_event *e);
tk_status tk_late_event_done(tk_event *e, bool *done);
tk_status tk_late_event_seconds(tk_event *from, tk_event *to, double *seconds);
