// SPDX-License-Identifier: Apache-2.0
#include "core/device/event.h"
#include "core/device/recording.h"
#include "core/device/trace.h"

static tk_status check_event(const tk_event *e, const char *what)
{
    if (e->device) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s: the event is not open", what);
}

tk_status tk_event_open(tk_event *e, tk_device *d)
{
    *e = (tk_event){.device = d};
    const tk_status st = d->ops->event_open(e);
    if (st != TK_OK) *e = (tk_event){0};
    TK_TRY(st);
    return TK_OK;
}

void tk_event_close(tk_event *e)
{
    if (e->device) e->device->ops->event_close(e);
    *e = (tk_event){0};
}

tk_status tk_event_record(tk_event *e, tk_queue q)
{
    TK_TRY(check_event(e, "recording"));
    TK_TRY(tk_trace_call(e->device, TK_TRACE_EVENT, 0));
    TK_TRY(e->device->ops->event_record(e, q));
    e->mark = tk_pool_record(&e->device->pool, q);
    (void)tk_pool_record(&e->device->registered, q); // the same
    e->recorded = true;
    return TK_OK;
}

tk_status tk_event_wait(tk_event *e, tk_queue q)
{
    TK_TRY(check_event(e, "waiting on a queue"));
    if (!e->recorded) return TK_OK;
    TK_TRY(tk_trace_call(e->device, TK_TRACE_WAIT, 0));
    TK_TRY(e->device->ops->event_wait(e, q));
    tk_pool_wait(&e->device->pool, q, &e->mark);
    tk_pool_wait(&e->device->registered, q, &e->mark);
    return TK_OK;
}

tk_status tk_event_sync(tk_event *e)
{
    TK_TRY(check_event(e, "waiting"));
    if (!e->recorded) return TK_OK;
    TK_TRY(tk_recording_forbids(e->device, "a wait for an event"));
    TK_TRY(e->device->ops->event_sync(e));
    tk_pool_wait_host(&e->device->pool, &e->mark);
    tk_pool_wait_host(&e->device->registered, &e->mark);
    return tk_trace_call(e->device, TK_TRACE_HOST_WAIT, 0);
}

// What it says is not told to the pool: offsets must not depend on how fast a device is.
tk_status tk_event_done(tk_event *e, bool *done)
{
    TK_TRY(check_event(e, "asking"));
    *done = true;
    return e->recorded ? e->device->ops->event_done(e, done) : TK_OK;
}

tk_status tk_event_seconds(tk_event *from, tk_event *to, double *seconds)
{
    bool done[2];
    TK_TRY(tk_event_done(from, &done[0]));
    TK_TRY(tk_event_done(to, &done[1]));
    if (!from->recorded || !to->recorded || !done[0] || !done[1])
        return TK_FAIL(TK_INTERNAL, "the time between two events, one of which is not done");
    return from->device->ops->event_seconds(from, to, seconds);
}
