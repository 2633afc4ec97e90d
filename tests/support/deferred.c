// SPDX-License-Identifier: Apache-2.0
#include "tests/support/deferred.h"
#include "core/device/ops.h"
#include "tests/support/test.h"

typedef struct work {
    enum {
        UPLOAD,
        DOWNLOAD,
        COPY,
        COPY_2D,
        ZERO,
        FORE,
        BACK,
        REDUCE,
        GATHER,
        SCATTER,
        BROADCAST
    } what;
    void *to;
    const void *from;
    int64_t n;                           // bytes (of a row), or elements of a collective
    size_t to_stride, from_stride, rows; // COPY_2D
    void *seen;                          // UPLOAD: the host's bytes when it was asked for
    tk_call call;
    void *scratch;   // of the call
    int64_t *counts; // a copy: a call's arguments are read when it is asked for
    tk_comm *comm;
    tk_dtype type;
    tk_reduce how;
    int root;
} work;

static struct {
    tk_device_ops ops;
    tk_kernel kernels[TK_OP_COUNT];
    const tk_comm_ops *comm; // those of the mesh
    work *work;
    int64_t n, room, faults, fail_at;
    bool running;
} queue;

static void *copy_of(const void *x, size_t bytes)
{
    void *y = malloc(bytes ? bytes : 1);
    assert_non_null(y);
    if (bytes) memcpy(y, x, bytes);
    return y;
}

static void forget(work *w)
{
    free(w->seen);
    free(w->counts);
}

static tk_status push(work w)
{
    if (queue.fail_at && --queue.fail_at == 0) {
        forget(&w);
        return TK_FAIL(TK_INTERNAL, "the device refuses, as it was told to");
    }
    if (queue.n == queue.room) {
        queue.room = 2 * queue.room + 64;
        queue.work = realloc(queue.work, (size_t)queue.room * sizeof *queue.work);
        assert_non_null(queue.work);
    }
    queue.work[queue.n++] = w;
    return TK_OK;
}

// ---- running -----------------------------------------------------------------------------------

static tk_status upload(tk_device *d, const work *w)
{
    const size_t bytes = (size_t)w->n;
    if (memcmp(w->from, w->seen, bytes) == 0) return tk_device_cpu.upload(d, w->to, w->from, bytes);
    queue.faults++;
    return TK_FAIL(TK_INTERNAL, "host memory of an upload of %zu bytes changed before it was read",
                   bytes);
}

static tk_status kernel(tk_device *d, const work *w)
{
    const tk_kernel *k = &tk_device_cpu.kernels[w->call.op];
    d->scratch = w->scratch;
    const tk_status st = (w->what == BACK ? k->back : k->fore)(d, &w->call);
    d->scratch = NULL;
    return st;
}

static tk_status run(tk_device *d, const work *w)
{
    const size_t bytes = (size_t)w->n;
    switch (w->what) {
    case UPLOAD:
        return upload(d, w);
    case DOWNLOAD:
        return tk_device_cpu.download(d, w->to, w->from, bytes);
    case COPY:
        return tk_device_cpu.copy(d, w->to, w->from, bytes);
    case COPY_2D:
        return tk_device_cpu.copy_2d(d, w->to, w->to_stride, w->from, w->from_stride, w->rows,
                                     bytes);
    case ZERO:
        return tk_device_cpu.zero(d, w->to, bytes);
    case FORE:
    case BACK:
        return kernel(d, w);
    case REDUCE:
        return queue.comm->all_reduce(w->comm, w->to, w->n, w->type, w->how);
    case GATHER:
        return queue.comm->all_gather(w->comm, w->from, w->to, w->counts, w->n, w->type);
    case SCATTER:
        return queue.comm->reduce_scatter(w->comm, w->from, w->to, w->counts, w->n, w->type);
    case BROADCAST:
        return queue.comm->broadcast(w->comm, w->to, w->n, w->type, w->root);
    }
    return TK_FAIL(TK_INTERNAL, "no such work");
}

// All that is queued, or up to the first failure: what comes after it is dropped.
static tk_status catch_up(tk_device *d)
{
    tk_status st = TK_OK;
    queue.running = true;
    for (int64_t i = 0; i < queue.n; i++) {
        if (st == TK_OK) st = run(d, &queue.work[i]);
        forget(&queue.work[i]);
    }
    queue.running = false;
    queue.n = 0;
    return st;
}

// ---- the device --------------------------------------------------------------------------------

static tk_status later_upload(tk_device *d, void *to, const void *host, size_t bytes)
{
    (void)d;
    return push((work){
        .what = UPLOAD, .to = to, .from = host, .n = (int64_t)bytes, .seen = copy_of(host, bytes)});
}

static tk_status later_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    (void)d;
    return push((work){.what = DOWNLOAD, .to = host, .from = from, .n = (int64_t)bytes});
}

static tk_status later_copy(tk_device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    return push((work){.what = COPY, .to = to, .from = from, .n = (int64_t)bytes});
}

static tk_status later_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                               size_t from_stride, size_t rows, size_t bytes)
{
    (void)d;
    return push((work){.what = COPY_2D,
                       .to = to,
                       .from = from,
                       .n = (int64_t)bytes,
                       .to_stride = to_stride,
                       .from_stride = from_stride,
                       .rows = rows});
}

static tk_status later_zero(tk_device *d, void *to, size_t bytes)
{
    (void)d;
    return push((work){.what = ZERO, .to = to, .n = (int64_t)bytes});
}

static tk_status later_call(tk_device *d, const tk_call *c, bool back)
{
    work w = {.what = back ? BACK : FORE, .call = *c, .scratch = d->scratch};
    if (c->comm && c->counts)
        w.call.counts = w.counts = copy_of(c->counts, (size_t)c->comm->size * sizeof *w.counts);
    return push(w);
}

static tk_status later_fore(tk_device *d, const tk_call *c)
{
    return later_call(d, c, false);
}

static tk_status later_back(tk_device *d, const tk_call *c)
{
    return later_call(d, c, true);
}

static void close_queue(tk_device *d)
{
    free(queue.work);
    queue.work = NULL;
    queue.n = queue.room = 0;
    tk_device_cpu.close(d);
}

// ---- its communicators -------------------------------------------------------------------------

static tk_device *device; // whose stream collectives are enqueued on

static tk_status later_all_reduce(tk_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce r)
{
    if (queue.running) return queue.comm->all_reduce(c, x, n, t, r);
    return push((work){.what = REDUCE, .comm = c, .to = x, .n = n, .type = t, .how = r});
}

static tk_status later_move(tk_comm *c, int what, const void *in, void *out, const int64_t *counts,
                            int64_t width, tk_dtype t)
{
    work w = {.what = (unsigned)what, .comm = c, .from = in, .to = out, .n = width, .type = t};
    w.counts = copy_of(counts, (size_t)c->size * sizeof *counts);
    return push(w);
}

static tk_status later_all_gather(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                  int64_t width, tk_dtype t)
{
    if (queue.running) return queue.comm->all_gather(c, in, out, counts, width, t);
    return later_move(c, GATHER, in, out, counts, width, t);
}

static tk_status later_reduce_scatter(tk_comm *c, const void *in, void *out, const int64_t *counts,
                                      int64_t width, tk_dtype t)
{
    if (queue.running) return queue.comm->reduce_scatter(c, in, out, counts, width, t);
    return later_move(c, SCATTER, in, out, counts, width, t);
}

static tk_status later_broadcast(tk_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    if (queue.running) return queue.comm->broadcast(c, x, n, t, root);
    return push((work){.what = BROADCAST, .comm = c, .to = x, .n = n, .type = t, .root = root});
}

static tk_status send(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to, tk_request *r)
{
    TK_TRY(catch_up(device));
    return queue.comm->isend(c, x, n, t, to, r);
}

static tk_status receive(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    TK_TRY(catch_up(device));
    return queue.comm->irecv(c, x, n, t, from, r);
}

static void defer_mesh(tk_mesh *m)
{
    static tk_comm_ops ops;
    tk_comm *line[TK_AXES + 2] = {&m->replica, &m->world};
    for (int i = 0; i < TK_AXES; i++) line[i + 2] = &m->axis[i].host;
    queue.comm = m->world.ops;
    ops = *queue.comm;
    ops.all_reduce = later_all_reduce;
    ops.all_gather = later_all_gather;
    ops.reduce_scatter = later_reduce_scatter;
    ops.broadcast = later_broadcast;
    ops.isend = send;
    ops.irecv = receive;
    for (int i = 0; i < TK_AXES + 2; i++) {
        assert_ptr_equal(line[i]->ops, queue.comm);
        line[i]->ops = &ops;
    }
}

void deferred_start(tk_device *d, tk_mesh *m)
{
    const tk_kernel *cpu = tk_device_cpu.kernels;
    assert_ptr_equal(d->ops, &tk_device_cpu);
    assert_null(queue.work);
    queue.ops = tk_device_cpu;
    queue.ops.name = "deferred";
    queue.ops.close = close_queue;
    queue.ops.upload = later_upload;
    queue.ops.download = later_download;
    queue.ops.copy = later_copy;
    queue.ops.copy_2d = later_copy_2d;
    queue.ops.zero = later_zero;
    queue.ops.sync = catch_up;
    queue.ops.kernels = queue.kernels;
    for (int k = 0; k < TK_OP_COUNT; k++)
        queue.kernels[k] = (tk_kernel){.fore = cpu[k].fore ? later_fore : NULL,
                                       .back = cpu[k].back ? later_back : NULL,
                                       .scratch = cpu[k].scratch};
    queue.faults = queue.fail_at = 0;
    device = d;
    d->ops = &queue.ops;
    defer_mesh(m);
}

void deferred_fail_at(int64_t n)
{
    queue.fail_at = n;
}

int64_t deferred_faults(void)
{
    return queue.faults;
}
