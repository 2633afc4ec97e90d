// SPDX-License-Identifier: Apache-2.0
// The communicators of the deferred device: their calls are work on its queues.
#include "tests/support/deferred_work.h"
#include "tests/support/test.h"

enum { MOST_MESSAGES = 8 }; // of a group

static tk_device *device;

// A group is done when all of it is, as on a queue.
tk_status deferred_exchange(const work *w)
{
    tk_request r[MOST_MESSAGES] = {{0}};
    TK_TRY(w->comm->ops->group_begin(w->comm));
    for (int64_t i = 0; i < w->n; i++) {
        const message *m = &w->group[i];
        if (m->sends)
            TK_TRY(w->comm->ops->isend(w->comm, m->x, m->n, m->type, m->peer, &r[i]));
        else
            TK_TRY(w->comm->ops->irecv(w->comm, m->x, m->n, m->type, m->peer, &r[i]));
    }
    TK_TRY(w->comm->ops->group_end(w->comm));
    for (int64_t i = 0; i < w->n; i++) TK_TRY(w->comm->ops->wait(w->comm, &r[i]));
    return TK_OK;
}

// The communicator that moves the bytes.
static tk_device_comm *inner(const tk_device_comm *c)
{
    return c->impl;
}

static tk_status later_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    return deferred_ask(
        (work){.what = REDUCE, .comm = inner(c), .to = x, .n = n, .type = t, .how = r});
}

static tk_status later_move(tk_device_comm *c, int what, const void *in, void *out,
                            const int64_t *counts, int64_t width, tk_dtype t)
{
    work w = {.what = (unsigned)what, .comm = inner(c), .from = in, .to = out, .n = width};
    w.type = t;
    w.counts = deferred_copy(counts, (size_t)c->size * sizeof *counts);
    return deferred_ask(w);
}

static tk_status later_all_gather(tk_device_comm *c, const void *in, void *out,
                                  const int64_t *counts, int64_t width, tk_dtype t)
{
    return later_move(c, GATHER, in, out, counts, width, t);
}

static tk_status later_reduce_scatter(tk_device_comm *c, const void *in, void *out,
                                      const int64_t *counts, int64_t width, tk_dtype t)
{
    return later_move(c, SCATTER, in, out, counts, width, t);
}

static tk_status later_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    return deferred_ask(
        (work){.what = BROADCAST, .comm = inner(c), .to = x, .n = n, .type = t, .root = root});
}

// The messages of the group that is open, of the communicator it belongs to.
static struct {
    message message[MOST_MESSAGES];
    int64_t n;
    ticket *done;
} group;

static tk_status group_begin(tk_device_comm *c)
{
    (void)c;
    group.n = 0;
    group.done = deferred_ticket();
    return TK_OK;
}

static tk_status group_end(tk_device_comm *c)
{
    TK_TRY(deferred_ask(
        (work){.what = MESSAGES,
               .comm = inner(c),
               .n = group.n,
               .group = deferred_copy(group.message, (size_t)group.n * sizeof *group.message)}));
    deferred_push(device->queue,
                  (work){.what = RECORD, .event = group.done, .recording = ++group.done->asked});
    return TK_OK;
}

static tk_status add_message(message m, tk_request *r)
{
    assert_true(group.n < MOST_MESSAGES);
    group.message[group.n++] = m;
    r->impl = group.done;
    return TK_OK;
}

static tk_status send(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                      tk_request *r)
{
    (void)c;
    return add_message((message){true, (void *)x, n, t, to}, r);
}

static tk_status receive(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    (void)c;
    return add_message((message){false, x, n, t, from}, r);
}

static tk_status wait_for(tk_device_comm *c, tk_request *r)
{
    const ticket *t = r->impl;
    (void)c;
    if (t && !deferred_left_out())
        deferred_push(device->queue, (work){.what = WAIT, .event = (ticket *)t, .recording = 1});
    *r = (tk_request){0};
    return TK_OK;
}

static tk_status later_add_parts(tk_device_comm *c, const tk_parts *p)
{
    return deferred_ask((work){.what = ADD_PARTS, .comm = inner(c), .parts = *p});
}

static void close_comm(tk_device_comm *c)
{
    tk_device_comm_close(inner(c));
    free(c->impl);
}

static void defer(tk_device_comm *c)
{
    static const tk_device_comm_ops ops = {
        .all_reduce = later_all_reduce,
        .all_gather = later_all_gather,
        .reduce_scatter = later_reduce_scatter,
        .broadcast = later_broadcast,
        .group_begin = group_begin,
        .isend = send,
        .irecv = receive,
        .group_end = group_end,
        .wait = wait_for,
        .add_parts = later_add_parts,
        .close = close_comm,
    };
    c->impl = deferred_copy(c, sizeof *c);
    c->ops = &ops;
}

void deferred_mesh(tk_mesh *m, tk_device *d)
{
    device = d;
    for (int i = 0; i < TK_AXES; i++) {
        defer(&m->axis[i].device);
        if (m->axis[i].beside.ops) defer(&m->axis[i].beside);
    }
    defer(&m->world_device);
}
