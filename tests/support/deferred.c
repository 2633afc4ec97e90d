// SPDX-License-Identifier: Apache-2.0
#include "tests/support/deferred_work.h"
#include "tests/support/test.h"
#include <time.h>

typedef struct list {
    work *work;
    int64_t head, n, room;
} list;

enum { PINNED = 64 };

static struct {
    tk_device_ops ops;
    tk_kernel kernels[TK_OP_COUNT];
    list list[TK_QUEUES];
    ticket *tickets;
    int64_t turns_asked, turns_done;
    int64_t faults, waits;
    int64_t left_out, kept; // the first wait that is left out, and the next that is not
    uint64_t random;
    bool lazy, failed;
    tk_queue favourite;
    struct {
        void *at;
        size_t bytes;
    } pinned[PINNED];
} later;
static tk_device *device;

void *deferred_copy(const void *x, size_t bytes)
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
    free(w->group);
}

static int draw(int n)
{
    later.random = later.random * 6364136223846793005ull + 1442695040888963407ull;
    return (int)((later.random >> 33) % (uint64_t)n);
}

// ---- doing -------------------------------------------------------------------------------------

static tk_status upload(tk_device *d, const work *w)
{
    const size_t bytes = (size_t)w->n;
    if (memcmp(w->from, w->seen, bytes) == 0) return tk_device_cpu.upload(d, w->to, w->from, bytes);
    later.faults++;
    return TK_FAIL(TK_INTERNAL, "host memory of an upload of %zu bytes changed before it was read",
                   bytes);
}

// Words that are next to nothing as floats, and small as indices.
static tk_status poison(void *x, size_t bytes)
{
    for (uint32_t *w = x; bytes >= sizeof *w; bytes -= sizeof *w) *w++ = 1;
    return TK_OK;
}

static tk_status kernel(tk_device *d, const work *w)
{
    const tk_kernel *k = &tk_device_cpu.kernels[w->call.op];
    void *const scratch = d->scratch;
    d->scratch = w->scratch;
    const tk_status st = (w->what == BACK ? k->back : k->fore)(d, &w->call);
    d->scratch = scratch;
    return st;
}

static tk_status record(const work *w)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    w->event->at = (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    w->event->done = w->recording;
    return TK_OK;
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
    case POISON:
        return poison(w->to, bytes);
    case FORE:
    case BACK:
        return kernel(d, w);
    case REDUCE:
        return w->comm->ops->all_reduce(w->comm, w->to, w->n, w->type, w->how);
    case GATHER:
        return w->comm->ops->all_gather(w->comm, w->from, w->to, w->counts, w->n, w->type);
    case SCATTER:
        return w->comm->ops->reduce_scatter(w->comm, w->from, w->to, w->counts, w->n, w->type);
    case BROADCAST:
        return w->comm->ops->broadcast(w->comm, w->to, w->n, w->type, w->root);
    case MESSAGES:
        return deferred_exchange(w);
    case ADD_PARTS:
        return w->comm->ops->add_parts(w->comm, &w->parts);
    case RECORD:
        return record(w);
    case WAIT:
        return TK_OK;
    }
    return TK_FAIL(TK_INTERNAL, "no such work");
}

// Whether the first work of a queue may run now. Collectives take turns as they were asked for, so
// that ranks agree, up to a turn, and only where the host waits for it.
static bool ready(tk_queue q, int64_t turns)
{
    const list *l = &later.list[q];
    if (l->head == l->n) return false;
    const work *w = &l->work[l->head];
    if (w->turn && (w->turn > turns || w->turn != later.turns_done + 1)) return false;
    return w->what != WAIT || w->event->done >= w->recording;
}

// Runs one thing of a queue that may run, a favourite's for a while; false if there is none. After
// a failure nothing but events comes about.
static bool step(tk_device *d, int64_t turns, tk_status *st)
{
    if (draw(12) == 0) later.favourite = (tk_queue)draw(TK_QUEUES);
    tk_queue q = later.favourite;
    for (int k = 0; k < TK_QUEUES && !ready(q, turns); k++) q = (q + 1) % TK_QUEUES;
    if (!ready(q, turns)) return false;
    list *l = &later.list[q];
    work w = l->work[l->head++];
    if (l->head == l->n) l->head = l->n = 0;
    if (w.turn) later.turns_done++;
    if (!later.failed || w.what == RECORD) *st = run(d, &w);
    if (*st != TK_OK) later.failed = true;
    forget(&w);
    return true;
}

// Behind what work of queue q lies that makes the event: its number from the head of the queue, and
// one; 0: it is done, or lies elsewhere.
static int64_t place_of(tk_queue q, const ticket *event, int64_t recording)
{
    const list *l = &later.list[q];
    for (int64_t k = l->head; k < l->n; k++)
        if (l->work[k].what == RECORD && l->work[k].event == event &&
            l->work[k].recording == recording)
            return k - l->head + 1;
    return 0;
}

static bool need_event(int64_t needed[TK_QUEUES], const ticket *event, int64_t recording)
{
    bool more = false;
    for (int q = 0; q < TK_QUEUES; q++) {
        const int64_t n = place_of((tk_queue)q, event, recording);
        if (n <= needed[q]) continue;
        needed[q] = n;
        more = true;
    }
    return more;
}

// The last turn of a collective that the event comes after.
static int64_t turns_before(const ticket *event, int64_t recording)
{
    int64_t needed[TK_QUEUES] = {0}, turns = 0;
    for (bool more = need_event(needed, event, recording); more;) {
        more = false;
        for (int q = 0; q < TK_QUEUES; q++)
            for (int64_t k = 0; k < needed[q]; k++) {
                const work *w = &later.list[q].work[later.list[q].head + k];
                if (w->turn > turns) turns = w->turn;
                if (w->what == WAIT) more |= need_event(needed, w->event, w->recording);
            }
    }
    return turns;
}

// Runs until the event is done, or until nothing is left (NULL).
static tk_status catch_up(tk_device *d, const ticket *event, int64_t recording)
{
    tk_status st = later.failed ? TK_FAIL(TK_INTERNAL, "the device has failed before") : TK_OK;
    const int64_t turns = event ? turns_before(event, recording) : INT64_MAX;
    while (!event || event->done < recording)
        if (!step(d, draw(2) ? turns : 0, &st) && !step(d, INT64_MAX, &st)) break;
    assert_true(!event || event->done >= recording);
    for (int q = 0; q < TK_QUEUES && !event; q++) assert_int_equal(later.list[q].n, 0);
    return st;
}

// ---- asking ------------------------------------------------------------------------------------

void deferred_push(tk_queue q, work w)
{
    list *l = &later.list[q];
    if (w.what != ADD_PARTS && w.comm && w.comm->size > 1) w.turn = ++later.turns_asked;
    if (l->n == l->room) {
        l->room = 2 * l->room + 64;
        l->work = realloc(l->work, (size_t)l->room * sizeof *l->work);
        assert_non_null(l->work);
    }
    l->work[l->n++] = w;
}

// Puts work on the device's queue, and now and then does some of what is there.
tk_status deferred_ask(work w)
{
    tk_status st = TK_OK;
    deferred_push(device->queue, w);
    for (int k = later.lazy ? 0 : draw(4); k > 0 && st == TK_OK; k--)
        if (!step(device, 0, &st)) break;
    return st;
}

// Whether uploads or downloads that touch this host memory are still to be done.
static bool waits_for(const void *host, size_t bytes)
{
    const uintptr_t begin = (uintptr_t)host;
    for (int q = 0; q < TK_QUEUES; q++)
        for (int64_t k = later.list[q].head; k < later.list[q].n; k++) {
            const work *w = &later.list[q].work[k];
            const uintptr_t at = (uintptr_t)(w->what == UPLOAD ? w->from : w->to);
            if (w->what != UPLOAD && w->what != DOWNLOAD) continue;
            if (at < begin + bytes && begin < at + (uintptr_t)w->n) return true;
        }
    return false;
}

static tk_status later_upload(tk_device *d, void *to, const void *host, size_t bytes)
{
    (void)d;
    return deferred_ask((work){.what = UPLOAD,
                               .to = to,
                               .from = host,
                               .n = (int64_t)bytes,
                               .seen = deferred_copy(host, bytes)});
}

static tk_status later_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    (void)d;
    if (!waits_for(host, bytes)) memset(host, 0xa5, bytes); // nothing is read before it has come
    return deferred_ask((work){.what = DOWNLOAD, .to = host, .from = from, .n = (int64_t)bytes});
}

static tk_status later_copy(tk_device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    return deferred_ask((work){.what = COPY, .to = to, .from = from, .n = (int64_t)bytes});
}

static tk_status later_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                               size_t from_stride, size_t rows, size_t bytes)
{
    (void)d;
    return deferred_ask((work){.what = COPY_2D,
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
    return deferred_ask((work){.what = ZERO, .to = to, .n = (int64_t)bytes});
}

static void later_freed(tk_device *d, void *x, size_t bytes)
{
    deferred_push(d->queue, (work){.what = POISON, .to = x, .n = (int64_t)bytes});
}

static tk_status later_call(tk_device *d, const tk_call *c, bool back)
{
    return deferred_ask((work){.what = back ? BACK : FORE, .call = *c, .scratch = d->scratch});
}

static tk_status later_fore(tk_device *d, const tk_call *c)
{
    return later_call(d, c, false);
}

static tk_status later_back(tk_device *d, const tk_call *c)
{
    return later_call(d, c, true);
}

static tk_status everything(tk_device *d)
{
    return catch_up(d, NULL, 0);
}

// ---- pinned memory -----------------------------------------------------------------------------

static void *host_new(tk_device *d, size_t bytes)
{
    int i = 0;
    while (i < PINNED && later.pinned[i].at) i++;
    assert_true(i < PINNED);
    later.pinned[i].at = tk_device_cpu.host_new(d, bytes);
    later.pinned[i].bytes = bytes;
    return later.pinned[i].at;
}

// Whatever is still to be read or written there is a fault.
static void host_free(tk_device *d, void *x)
{
    int i = 0;
    while (i < PINNED && later.pinned[i].at != x) i++;
    assert_true(i < PINNED);
    later.faults += waits_for(x, later.pinned[i].bytes);
    later.pinned[i].at = NULL;
    tk_device_cpu.host_free(d, x);
}

// ---- events ------------------------------------------------------------------------------------

ticket *deferred_ticket(void)
{
    ticket *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->next = later.tickets; // freed with the device: work that is still there may look at it
    later.tickets = t;
    return t;
}

static tk_status event_open(tk_event *e)
{
    e->impl = deferred_ticket();
    return TK_OK;
}

static void event_close(tk_event *e)
{
    (void)e;
}

// Each recording has a ticket of its own: recordings on several queues are done in any order.
static tk_status event_record(tk_event *e, tk_queue q)
{
    ticket *t = deferred_ticket();
    e->impl = t;
    deferred_push(q, (work){.what = RECORD, .event = t, .recording = ++t->asked});
    return TK_OK;
}

bool deferred_left_out(void)
{
    later.waits++;
    return later.waits >= later.left_out && later.waits < later.kept;
}

static tk_status event_wait(tk_event *e, tk_queue q)
{
    ticket *t = e->impl;
    if (!deferred_left_out())
        deferred_push(q, (work){.what = WAIT, .event = t, .recording = t->asked});
    return TK_OK;
}

static tk_status event_sync(tk_event *e)
{
    const ticket *t = e->impl;
    return deferred_left_out() ? TK_OK : catch_up(e->device, t, t->asked);
}

static tk_status event_done(tk_event *e, bool *done)
{
    const ticket *t = e->impl;
    tk_status st = TK_OK;
    for (int k = draw(4); k > 0 && t->done < t->asked; k--)
        if (!step(e->device, false, &st)) break;
    *done = t->done >= t->asked;
    return st;
}

static tk_status event_seconds(tk_event *from, tk_event *to, double *seconds)
{
    *seconds = ((const ticket *)to->impl)->at - ((const ticket *)from->impl)->at;
    return TK_OK;
}

static void close_device(tk_device *d)
{
    for (int q = 0; q < TK_QUEUES; q++) {
        free(later.list[q].work);
        later.list[q] = (list){0};
    }
    while (later.tickets) {
        ticket *t = later.tickets;
        later.tickets = t->next;
        free(t);
    }
    tk_device_cpu.close(d);
}

static void defer_device(tk_device *d)
{
    const tk_kernel *cpu = tk_device_cpu.kernels;
    tk_device_ops *o = &later.ops;
    *o = tk_device_cpu;
    o->name = "deferred";
    o->close = close_device;
    o->upload = later_upload;
    o->download = later_download;
    o->copy = later_copy;
    o->copy_2d = later_copy_2d;
    o->zero = later_zero;
    o->freed = later_freed;
    o->host_new = host_new;
    o->host_free = host_free;
    o->event_open = event_open;
    o->event_close = event_close;
    o->event_record = event_record;
    o->event_wait = event_wait;
    o->event_sync = event_sync;
    o->event_done = event_done;
    o->event_seconds = event_seconds;
    o->sync = everything;
    o->post = NULL;
    o->reach = NULL;
    o->kernels = later.kernels;
    for (int k = 0; k < TK_OP_COUNT; k++) {
        later.kernels[k] = cpu[k];
        if (cpu[k].fore) later.kernels[k].fore = later_fore;
        if (cpu[k].back) later.kernels[k].back = later_back;
    }
    d->ops = o;
    d->kernels = o->kernels;
    device = d;
}

void deferred_start(tk_device *d, tk_mesh *m, uint64_t seed)
{
    assert_ptr_equal(d->ops, &tk_device_cpu);
    assert_null(later.tickets);
    memset(&later, 0, sizeof later);
    later.lazy = seed == 0;
    later.random = seed * 0x9e3779b97f4a7c15ull + 1;
    defer_device(d);
    if (m) deferred_mesh(m, d);
}

void deferred_leave_out(int64_t n)
{
    later.left_out = later.waits + n;
    later.kept = later.left_out + (n > 0);
}

void deferred_leave_out_two(int64_t n)
{
    deferred_leave_out(n);
    later.kept++;
}

int64_t deferred_waits(void)
{
    return later.waits;
}

int64_t deferred_faults(void)
{
    return later.faults;
}
