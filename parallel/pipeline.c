// SPDX-License-Identifier: Apache-2.0
// One engine for all schedules.
//
// What crosses the boundaries of a run of blocks, for a microbatch (rows x hidden, f32):
//   x   from the run before; kept until release
//   y   to the run after; a view of the trainer's, sent as it lies
//   dy  from the run after; freed after backward
//   dx  to the run before; sent from a copy, so that the microbatch can be released at once and not
//       only when that stage finds the time to take it
// All messages of one rank to another are one channel and arrive in the order of sending, which the
// sender's list tells: receives are posted in that order, TK_SCHEDULE_AHEAD actions ahead. The
// replay has shown that stages which send so cannot wait in a circle.
#include "parallel/pipeline.h"
#include "core/base/log.h"

enum { OUTGOING = 2, NEIGHBOURS = 2 }; // copies of dx under way at most

typedef struct flight { // a tensor of the pool that a message fills or empties
    tk_tensor t;
    tk_request req;
    bool posted;
} flight;

typedef struct slot { // a run of a microbatch between its first receive and its release
    flight x, dy;
    tk_request y_sent;
} slot;

typedef struct channel { // what comes from one stage: the actions that it feeds, in order
    int from;
    tk_action *fed; // (n)
    int64_t n, posted;
} channel;

typedef struct engine {
    tk_device_comm *comm;
    tk_device *device;
    const tk_pipeline_work *work;
    tk_schedule schedule;
    channel channel[NEIGHBOURS];
    int n_channels;
    slot *slots; // (microbatches, chunks)
    flight out[OUTGOING];
    int64_t sent; // copies of dx sent so far
} engine;

static slot *slot_of(engine *e, const tk_action *a)
{
    return &e->slots[a->micro * e->schedule.chunks + a->chunk];
}

static flight *input_of(engine *e, const tk_action *a)
{
    slot *s = slot_of(e, a);
    return a->kind == TK_ACT_FORWARD ? &s->x : &s->dy;
}

static tk_status wait_for(engine *e, tk_request *r)
{
    return tk_wait(e->comm, r);
}

static tk_status new_boundary(engine *e, int64_t micro, tk_tensor *t)
{
    int64_t rows = e->work->rows(e->work->ctx, micro);
    return tk_device_new(e->device, TK_F32, rows, e->work->hidden, t);
}

// ---- receiving ---------------------------------------------------------------------------------

static tk_status open_channel(engine *e, int from)
{
    channel *c = &e->channel[e->n_channels++];
    const tk_stage_plan *p = &e->schedule.stage[from];
    c->from = from;
    TK_ARENA_NEW(c->fed, &e->schedule.arena, p->n + 1);
    for (int64_t k = 0; k < p->n; k++) {
        int to;
        if (tk_schedule_feeds(&e->schedule, from, &p->action[k], &to, &c->fed[c->n]) &&
            to == e->comm->rank)
            c->n++;
    }
    return TK_OK;
}

static tk_status receive_next(engine *e, channel *c)
{
    const tk_action *a = &c->fed[c->posted++];
    flight *f = input_of(e, a);
    f->posted = true;
    TK_TRY(new_boundary(e, a->micro, &f->t));
    if (tk_count(&f->t) == 0) return TK_OK;
    return tk_irecv(e->comm, f->t.data, tk_count(&f->t), TK_F32, c->from, &f->req);
}

// Posts the receive of `a`, and those of its channel that come before it.
static tk_status post(engine *e, const tk_action *a)
{
    int from;
    if (!tk_schedule_waits(&e->schedule, e->comm->rank, a, &from) || from == e->comm->rank)
        return TK_OK;
    for (int i = 0; i < e->n_channels; i++) {
        channel *c = &e->channel[i];
        while (c->from == from && c->posted < c->n && !input_of(e, a)->posted)
            TK_TRY(receive_next(e, c));
    }
    return TK_OK;
}

// ---- sending -----------------------------------------------------------------------------------

// The callback must hand over what the neighbour expects.
static tk_status check_boundary(engine *e, const tk_action *a, const tk_tensor *t)
{
    int64_t rows = e->work->rows(e->work->ctx, a->micro);
    if (t->dtype == TK_F32 && t->ndim > 0 && tk_count(t) == rows * e->work->hidden) return TK_OK;
    char shape[80];
    tk_tensor_print_shape(t, shape, sizeof shape);
    return TK_FAIL(TK_INTERNAL, "stage %d hands over %s of microbatch %lld as %s, not (%lld, %lld)",
                   e->comm->rank, a->kind == TK_ACT_FORWARD ? "the rows" : "the gradient",
                   (long long)a->micro, shape, (long long)rows, (long long)e->work->hidden);
}

static tk_status copy(engine *e, int64_t micro, const tk_tensor *from, tk_tensor *to)
{
    TK_TRY(new_boundary(e, micro, to));
    return tk_device_copy(e->device, to->data, from->data, tk_bytes(from));
}

static tk_status send(engine *e, const tk_tensor *t, int to, tk_request *r)
{
    if (tk_count(t) == 0) return TK_OK;
    return tk_isend(e->comm, t->data, tk_count(t), TK_F32, to, r);
}

// The result of `a` to the run that waits for it, if there is one; that of another chunk of this
// stage is not a message.
static tk_status hand_on(engine *e, const tk_action *a, const tk_tensor *t)
{
    int to;
    tk_action fed;
    if (!tk_schedule_feeds(&e->schedule, e->comm->rank, a, &to, &fed)) return TK_OK;
    TK_TRY(check_boundary(e, a, t));
    if (to == e->comm->rank) return copy(e, a->micro, t, &input_of(e, &fed)->t);
    if (a->kind == TK_ACT_FORWARD) return send(e, t, to, &slot_of(e, a)->y_sent);
    flight *f = &e->out[e->sent++ % OUTGOING];
    TK_TRY(wait_for(e, &f->req));
    tk_device_free(e->device, &f->t);
    TK_TRY(copy(e, a->micro, t, &f->t));
    return send(e, &f->t, to, &f->req);
}

// ---- running -----------------------------------------------------------------------------------

// What began at `begin` was the trainer's work, not waiting.
static void count_time(engine *e, const tk_action *a, double begin)
{
    if (e->work->seconds) e->work->seconds[a->kind] += tk_now() - begin;
}

static tk_status release(engine *e, const tk_action *a)
{
    slot *s = slot_of(e, a);
    TK_TRY(wait_for(e, &s->y_sent));
    TK_TRY(e->work->release(e->work->ctx, a));
    tk_device_free(e->device, &s->x.t);
    *s = (slot){0};
    return TK_OK;
}

static tk_status run_forward(engine *e, const tk_action *a)
{
    slot *s = slot_of(e, a);
    tk_tensor y = {0};
    TK_TRY(wait_for(e, &s->x.req));
    const double begin = tk_now();
    TK_TRY(e->work->forward(e->work->ctx, a, &s->x.t, &y));
    count_time(e, a, begin);
    TK_TRY(hand_on(e, a, &y));
    if (e->schedule.kind != TK_SCHEDULE_FORWARD || a->micro == 0) return TK_OK;
    // Without a backward, rows that were taken while this microbatch was computed can go.
    return release(e, &(tk_action){TK_ACT_FORWARD, a->chunk, a->micro - 1});
}

static tk_status run_backward(engine *e, const tk_action *a)
{
    slot *s = slot_of(e, a);
    tk_tensor dx = {0};
    TK_TRY(wait_for(e, &s->dy.req));
    TK_TRY(wait_for(e, &s->y_sent)); // dy came back, so y has long arrived
    const double begin = tk_now();
    TK_TRY(e->work->backward(e->work->ctx, a, &s->dy.t, &dx));
    count_time(e, a, begin);
    tk_device_free(e->device, &s->dy.t);
    TK_TRY(hand_on(e, a, &dx));
    return a->kind == TK_ACT_INPUTS ? TK_OK : release(e, a);
}

static tk_status run_all(engine *e)
{
    const tk_stage_plan *p = &e->schedule.stage[e->comm->rank];
    for (int64_t k = 0; k < p->n; k++) {
        const tk_action *a = &p->action[k];
        for (int64_t n = k; n < p->n && n <= k + TK_SCHEDULE_AHEAD; n++)
            TK_TRY(post(e, &p->action[n]));
        TK_TRY(a->kind == TK_ACT_FORWARD ? run_forward(e, a) : run_backward(e, a));
    }
    if (e->schedule.kind == TK_SCHEDULE_FORWARD && p->n) TK_TRY(release(e, &p->action[p->n - 1]));
    for (int k = 0; k < OUTGOING; k++) {
        TK_TRY(wait_for(e, &e->out[k].req));
        tk_device_free(e->device, &e->out[k].t);
    }
    return TK_OK;
}

static tk_status open_engine(engine *e)
{
    const int rank = e->comm->rank, size = e->comm->size;
    TK_TRY(tk_schedule_make(&e->schedule, e->work->schedule, size, e->work->chunks, e->work->n));
    TK_ARENA_NEW(e->slots, &e->schedule.arena, e->work->n * e->work->chunks + 1);
    if (size > 1) TK_TRY(open_channel(e, (rank + size - 1) % size));
    if (size > 2) TK_TRY(open_channel(e, (rank + 1) % size));
    return TK_OK;
}

// After an error messages may still be under way into the buffers: then the run is lost, and the
// memory stays with the pool.
tk_status tk_pipeline_run(tk_mesh *m, tk_device *d, const tk_pipeline_work *w)
{
    engine e = {.comm = &m->axis[TK_AXIS_PIPELINE].device, .device = d, .work = w};
    tk_status st = open_engine(&e);
    if (st == TK_OK) st = run_all(&e);
    tk_schedule_free(&e.schedule);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}
