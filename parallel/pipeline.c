// SPDX-License-Identifier: Apache-2.0
// 1F1B and the forward-only schedule.
//
// What crosses a boundary of stage s, for microbatch i (rows(i) x hidden, f32):
//   x[i]   from s-1; received one microbatch ahead of its use; kept until release of i
//   y[i]   to s+1; a view of the trainer's, sent as it lies
//   dy[i]  from s+1; its receive is posted as soon as y[i] is on its way; freed after backward of i
//   dx[i]  to s-1; sent from a copy, so that microbatch i can be released at once and not only when
//          stage s-1 finds the time to take it
// No message is waited for before the other side was bound to have posted its half, so stages
// cannot wait in a circle.
#include "parallel/pipeline.h"

enum { OUTGOING = 2 }; // copies of dx under way at most

typedef struct flight { // a tensor of the pool that a message fills or empties
    tk_tensor t;
    tk_request req;
} flight;

typedef struct slot { // a microbatch between its first receive and its release
    flight x, dy;
    tk_tensor y;
    tk_request y_sent;
} slot;

typedef struct schedule {
    tk_comm *comm;
    tk_device *device;
    const tk_pipeline_work *work;
    bool first, last;
    int64_t posted; // receives of x posted so far
    int64_t n_slots;
    slot *slots; // microbatch i uses slot i % n_slots
    flight out[OUTGOING];
    int64_t sent; // copies of dx sent so far
} schedule;

static slot *slot_of(schedule *s, int64_t i)
{
    return &s->slots[i % s->n_slots];
}

static tk_status new_boundary(schedule *s, int64_t i, tk_tensor *t)
{
    int64_t rows = s->work->rows(s->work->ctx, i);
    return tk_device_new(s->device, TK_F32, rows, s->work->hidden, t);
}

static tk_status receive(schedule *s, int64_t i, int from, flight *f)
{
    TK_TRY(new_boundary(s, i, &f->t));
    if (tk_count(&f->t) == 0) return TK_OK;
    return s->comm->ops->irecv(s->comm, f->t.data, tk_count(&f->t), TK_F32, from, &f->req);
}

static tk_status send(schedule *s, const tk_tensor *t, int to, tk_request *r)
{
    if (tk_count(t) == 0) return TK_OK;
    return s->comm->ops->isend(s->comm, t->data, tk_count(t), TK_F32, to, r);
}

static tk_status wait_for(schedule *s, tk_request *r)
{
    return s->comm->ops->wait(s->comm, r);
}

// The callback must hand over what the neighbour expects.
static tk_status check_boundary(schedule *s, int64_t i, const char *what, const tk_tensor *t)
{
    int64_t rows = s->work->rows(s->work->ctx, i);
    if (t->dtype == TK_F32 && t->ndim > 0 && tk_count(t) == rows * s->work->hidden) return TK_OK;
    char shape[80];
    tk_tensor_print_shape(t, shape, sizeof shape);
    return TK_FAIL(TK_INTERNAL, "stage %d hands over %s of microbatch %lld as %s, not (%lld, %lld)",
                   s->comm->rank, what, (long long)i, shape, (long long)rows,
                   (long long)s->work->hidden);
}

static tk_status post_x(schedule *s, int64_t until)
{
    if (s->first) return TK_OK;
    for (; s->posted < until && s->posted < s->work->n; s->posted++)
        TK_TRY(receive(s, s->posted, s->comm->rank - 1, &slot_of(s, s->posted)->x));
    return TK_OK;
}

static tk_status run_forward(schedule *s, int64_t i, bool with_backward)
{
    slot *m = slot_of(s, i);
    TK_TRY(post_x(s, i + 2));
    TK_TRY(wait_for(s, &m->x.req));
    m->y = (tk_tensor){0};
    TK_TRY(s->work->forward(s->work->ctx, i, &m->x.t, &m->y));
    if (s->last) return TK_OK;
    TK_TRY(check_boundary(s, i, "the rows", &m->y));
    TK_TRY(send(s, &m->y, s->comm->rank + 1, &m->y_sent));
    if (!with_backward) return TK_OK;
    return receive(s, i, s->comm->rank + 1, &m->dy);
}

static tk_status release(schedule *s, int64_t i)
{
    slot *m = slot_of(s, i);
    TK_TRY(s->work->release(s->work->ctx, i));
    tk_device_free(s->device, &m->x.t);
    *m = (slot){0};
    return TK_OK;
}

static tk_status send_dx(schedule *s, int64_t i, const tk_tensor *dx)
{
    flight *f = &s->out[s->sent++ % OUTGOING];
    TK_TRY(wait_for(s, &f->req));
    tk_device_free(s->device, &f->t);
    TK_TRY(new_boundary(s, i, &f->t));
    TK_TRY(tk_device_copy(s->device, f->t.data, dx->data, tk_bytes(dx)));
    return send(s, &f->t, s->comm->rank - 1, &f->req);
}

static tk_status run_backward(schedule *s, int64_t i)
{
    slot *m = slot_of(s, i);
    tk_tensor dx = {0};
    TK_TRY(wait_for(s, &m->dy.req));
    TK_TRY(wait_for(s, &m->y_sent)); // dy came back, so y has long arrived
    TK_TRY(s->work->backward(s->work->ctx, i, &m->dy.t, &dx));
    tk_device_free(s->device, &m->dy.t);
    if (!s->first) {
        TK_TRY(check_boundary(s, i, "the gradient", &dx));
        TK_TRY(send_dx(s, i, &dx));
    }
    return release(s, i);
}

static tk_status open_schedule(schedule *s, tk_mesh *m, tk_device *d, const tk_pipeline_work *w,
                               int64_t alive)
{
    *s = (schedule){.comm = &m->pipeline, .device = d, .work = w};
    s->first = m->pipeline.rank == 0;
    s->last = m->pipeline.rank == m->pipeline.size - 1;
    s->n_slots = alive + 2; // and those whose rows are received ahead
    TK_NEW(s->slots, s->n_slots);
    return TK_OK;
}

// After an error messages may still be under way into these buffers: then the run is lost, and the
// memory stays with the pool.
static void close_schedule(schedule *s)
{
    tk_free(s->slots);
}

static tk_status train_all(schedule *s)
{
    int64_t n = s->work->n, ahead = s->comm->size - s->comm->rank - 1;
    if (ahead > n) ahead = n;
    for (int64_t i = 0; i < ahead; i++) TK_TRY(run_forward(s, i, true));
    for (int64_t i = ahead; i < n; i++) {
        TK_TRY(run_forward(s, i, true));
        TK_TRY(run_backward(s, i - ahead));
    }
    for (int64_t i = n - ahead; i < n; i++) TK_TRY(run_backward(s, i));
    for (int k = 0; k < OUTGOING; k++) {
        TK_TRY(wait_for(s, &s->out[k].req));
        tk_device_free(s->device, &s->out[k].t);
    }
    return TK_OK;
}

tk_status tk_pipeline_train(tk_mesh *m, tk_device *d, const tk_pipeline_work *w)
{
    schedule s;
    TK_TRY(open_schedule(&s, m, d, w, m->pipeline.size - m->pipeline.rank));
    tk_status st = train_all(&s);
    close_schedule(&s);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}

// Microbatch i - 1 is released once its rows were taken; meanwhile i is computed.
static tk_status forward_all(schedule *s)
{
    for (int64_t i = 0; i < s->work->n; i++) {
        TK_TRY(run_forward(s, i, false));
        if (i == 0) continue;
        TK_TRY(wait_for(s, &slot_of(s, i - 1)->y_sent));
        TK_TRY(release(s, i - 1));
    }
    if (s->work->n == 0) return TK_OK;
    TK_TRY(wait_for(s, &slot_of(s, s->work->n - 1)->y_sent));
    return release(s, s->work->n - 1);
}

tk_status tk_pipeline_forward(tk_mesh *m, tk_device *d, const tk_pipeline_work *w)
{
    schedule s;
    TK_TRY(open_schedule(&s, m, d, w, 2));
    tk_status st = forward_all(&s);
    close_schedule(&s);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}
