// SPDX-License-Identifier: Apache-2.0
#include "core/device/graph.h"
#include "core/device/trace.h"

bool tk_device_has_graphs(const tk_device *d)
{
    return (d->stands_for ? d->stands_for : d->ops)->graphs != NULL;
}

static tk_status check_state(const tk_graph *g, int state, const char *what)
{
    if (g->device && (int)g->state == state) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "a graph is to %s at another time than it can", what);
}

// ---- its memory --------------------------------------------------------------------------------

static void give_memory_back(tk_graph *g, int held)
{
    for (int i = 0; i < held; i++) {
        tk_tensor x = g->recording.memory[i];
        tk_device_free(g->device, &x);
    }
}

static tk_status take_all(tk_graph *g)
{
    tk_status st = TK_OK;
    int held = 0;
    for (; held < g->recording.n && st == TK_OK; held++) {
        const tk_tensor *x = &g->recording.memory[held];
        st = tk_pool_take(tk_device_pool_of(g->device, x->data), TK_QUEUE_COMPUTE,
                          TK_FOR_ACTIVATIONS, x->data, tk_bytes(x));
    }
    if (st != TK_OK) give_memory_back(g, held - 1);
    TK_TRY(st);
    return TK_OK;
}

// ---- queues that come together -----------------------------------------------------------------

// The queue of operators runs behind all others.
static tk_status gather_queues(tk_graph *g)
{
    for (tk_queue q = 0; q < TK_QUEUES; q++) {
        if (q == TK_QUEUE_COMPUTE) continue;
        TK_TRY(tk_event_record(&g->meet, q));
        TK_TRY(tk_event_wait(&g->meet, TK_QUEUE_COMPUTE));
    }
    return TK_OK;
}

// And they behind it.
static tk_status spread_queues(tk_graph *g)
{
    TK_TRY(tk_event_record(&g->meet, TK_QUEUE_COMPUTE));
    for (tk_queue q = 0; q < TK_QUEUES; q++)
        if (q != TK_QUEUE_COMPUTE) TK_TRY(tk_event_wait(&g->meet, q));
    return TK_OK;
}

// ---- recording ---------------------------------------------------------------------------------

tk_status tk_graph_open(tk_graph *g, tk_device *d)
{
    if (!d->ops->graphs || d->recording)
        return TK_FAIL(TK_INTERNAL, "device %s: it has no graphs, or another is open",
                       d->ops->name);
    *g = (tk_graph){.device = d};
    tk_status st = tk_event_open(&g->meet, d);
    if (st == TK_OK) st = gather_queues(g);
    if (st != TK_OK) tk_graph_close(g);
    TK_TRY(st);
    d->recording = &g->recording;
    return TK_OK;
}

tk_status tk_graph_record(tk_graph *g)
{
    tk_device *d = g->device;
    TK_TRY(check_state(g, TK_GRAPH_OPEN, "record"));
    TK_TRY(tk_trace_call(d, TK_TRACE_GRAPH, 0));
    TK_TRY(d->ops->graphs->begin(d));
    g->state = TK_GRAPH_RECORDING;
    g->recording.on = true;
    g->flops = d->flops;
    return spread_queues(g);
}

static tk_status end_recording(tk_graph *g)
{
    tk_device *d = g->device;
    TK_TRY(gather_queues(g));
    TK_TRY(tk_trace_call(d, TK_TRACE_GRAPH, 0));
    g->state = TK_GRAPH_READY; // whatever becomes of it, the device records no more
    g->recording.on = false;
    return d->ops->graphs->end(d, &g->impl);
}

tk_status tk_graph_end(tk_graph *g)
{
    TK_TRY(check_state(g, TK_GRAPH_RECORDING, "end"));
    TK_TRY(end_recording(g));
    g->device->recording = NULL;
    g->flops = g->device->flops - g->flops;
    g->device->flops -= g->flops; // nothing was done
    return TK_OK;
}

void tk_graph_close(tk_graph *g)
{
    tk_device *d = g->device;
    if (!d) return;
    if (g->state == TK_GRAPH_RECORDING) (void)d->ops->graphs->end(d, &g->impl);
    if (g->state == TK_GRAPH_HELD) give_memory_back(g, g->recording.n);
    if (g->impl) d->ops->graphs->close(d, g->impl);
    if (d->recording == &g->recording) d->recording = NULL;
    tk_event_close(&g->meet);
    tk_recording_free(&g->recording);
    *g = (tk_graph){0};
}

// ---- launching ---------------------------------------------------------------------------------

tk_status tk_graph_hold(tk_graph *g)
{
    TK_TRY(check_state(g, TK_GRAPH_READY, "hold its memory"));
    TK_TRY(gather_queues(g));
    TK_TRY(take_all(g));
    g->state = TK_GRAPH_HELD;
    return TK_OK;
}

tk_status tk_graph_launch(tk_graph *g)
{
    tk_device *d = g->device;
    TK_TRY(check_state(g, TK_GRAPH_HELD, "be launched"));
    TK_TRY(tk_trace_call(d, TK_TRACE_GRAPH, 0));
    TK_TRY(d->ops->graphs->launch(d, g->impl));
    const tk_queue was = tk_device_on(d, TK_QUEUE_COMPUTE);
    give_memory_back(g, g->recording.n);
    tk_device_on(d, was);
    g->state = TK_GRAPH_READY;
    d->flops += g->flops;
    return TK_OK;
}
