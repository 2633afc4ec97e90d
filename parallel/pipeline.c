// SPDX-License-Identifier: Apache-2.0
// One engine for all schedules.
//
// What crosses the boundaries of a run of blocks, for a microbatch (rows x hidden):
//   x   from the run before; kept until release
//   y   to the run after; a view of the trainer's, sent as it lies
//   dy  from the run after; freed after backward
//   dx  to the run before; sent from a copy, so that the microbatch can be released at once and not
//       only when that stage finds the time to take it
// Messages are asked for between actions, in the groups and the order of parallel/messages.h. The
// device waits for a message where its tensor is used or given back, or for each group at once; the
// host waits nowhere.
#include "parallel/pipeline.h"
#include "parallel/messages.h"

enum { OUTGOING = 2 }; // copies of dx under way at most

typedef struct flight { // a tensor of the pool that a message fills or empties
    tk_tensor t;
    tk_request req;
} flight;

typedef struct slot { // a run of a microbatch between its first receive and its release
    flight x, dy;
    tk_request y_sent;
} slot;

typedef struct engine {
    int stage, stages;
    tk_device_comm *forward, *backward; // of rows, and of their gradients
    tk_device *device;
    const tk_pipeline_work *work;
    tk_schedule schedule;
    const tk_message_list *list; // of this stage
    int64_t asked;               // messages asked for
    slot *slots;                 // (microbatches, chunks)
    flight out[OUTGOING];
    int64_t sent;            // copies of dx sent so far
    tk_tensor result;        // of the last action, for another stage: its message is
    tk_request *result_sent; // yet to be asked for
} engine;

static slot *flight_slot_of(engine *e, const tk_action *a)
{
    return &e->slots[a->micro * e->schedule.chunks + a->chunk];
}

static flight *input_of(engine *e, const tk_action *a)
{
    slot *s = flight_slot_of(e, a);
    return a->kind == TK_ACT_FORWARD ? &s->x : &s->dy;
}

// The communicator of what an action is given or gives.
static tk_device_comm *comm_of(const engine *e, const tk_action *a)
{
    return a->kind == TK_ACT_FORWARD ? e->forward : e->backward;
}

static tk_status new_boundary(engine *e, int64_t micro, tk_tensor *t)
{
    int64_t rows = e->work->rows(e->work->ctx, micro);
    return tk_device_new_for(e->device, TK_FOR_MESSAGES, e->work->type, rows, e->work->hidden, t);
}

// ---- messages ----------------------------------------------------------------------------------

// The callback must hand over what the neighbour expects.
static tk_status check_boundary(engine *e, const tk_action *a, const tk_tensor *t)
{
    int64_t rows = e->work->rows(e->work->ctx, a->micro);
    if (t->dtype == e->work->type && t->ndim > 0 && tk_count(t) == rows * e->work->hidden)
        return TK_OK;
    char shape[80], wanted[80];
    const tk_tensor w = tk_tensor_2d(NULL, e->work->type, rows, e->work->hidden);
    tk_tensor_print_shape(t, shape, sizeof shape);
    tk_tensor_print_shape(&w, wanted, sizeof wanted);
    return TK_FAIL(TK_INTERNAL, "stage %d hands over %s of microbatch %lld as %s, not %s", e->stage,
                   a->kind == TK_ACT_FORWARD ? "the rows" : "the gradient", (long long)a->micro,
                   shape, wanted);
}

static tk_status copy(engine *e, int64_t micro, const tk_tensor *from, tk_tensor *to)
{
    TK_TRY(new_boundary(e, micro, to));
    return tk_device_copy(e->device, to->data, from->data, tk_bytes(from));
}

// Sends the result of the last action, or receives the input of a later one. No rows are no
// message.
static tk_status ask_for(engine *e, const tk_message *m)
{
    tk_device_comm *c = comm_of(e, &m->action);
    if (m->sends) {
        const tk_tensor *t = &e->result;
        return tk_isend(c, t->data, tk_count(t), t->dtype, m->peer, e->result_sent);
    }
    flight *f = input_of(e, &m->action);
    TK_TRY(new_boundary(e, m->action.micro, &f->t));
    return tk_irecv(c, f->t.data, tk_count(&f->t), f->t.dtype, m->peer, &f->req);
}

// The group from message `from` on, of which e->asked is one behind the last.
static tk_status wait_for_group(engine *e, tk_device_comm *c, int64_t from)
{
    for (int64_t i = from; i < e->asked; i++) {
        const tk_message *m = &e->list->message[i];
        TK_TRY(tk_wait(c, m->sends ? e->result_sent : &input_of(e, &m->action)->req));
    }
    return TK_OK;
}

// All that is asked for before action k.
static tk_status ask_messages(engine *e, int64_t k)
{
    while (e->asked < e->list->n && e->list->message[e->asked].at == k) {
        const int64_t from = e->asked;
        const tk_message *m = &e->list->message[from];
        tk_device_comm *c = comm_of(e, &m->action);
        TK_TRY(tk_group_begin(c));
        do {
            m = &e->list->message[e->asked++];
            TK_TRY(ask_for(e, m));
        } while (!m->ends);
        TK_TRY(tk_group_end(c));
        if (e->work->alone) TK_TRY(wait_for_group(e, c, from));
    }
    return TK_OK;
}

// The result of `a` to the run that waits for it, if there is one; that of another chunk of this
// stage is not a message.
static tk_status hand_on(engine *e, const tk_action *a, const tk_tensor *t)
{
    int to;
    tk_action fed;
    if (!tk_schedule_feeds(&e->schedule, e->stage, a, &to, &fed)) return TK_OK;
    TK_TRY(check_boundary(e, a, t));
    if (to == e->stage) return copy(e, a->micro, t, &input_of(e, &fed)->t);
    e->result = *t;
    e->result_sent = &flight_slot_of(e, a)->y_sent;
    if (a->kind == TK_ACT_FORWARD) return TK_OK;
    flight *f = &e->out[e->sent++ % OUTGOING];
    TK_TRY(tk_wait(e->backward, &f->req));
    tk_device_free(e->device, &f->t);
    TK_TRY(copy(e, a->micro, t, &f->t));
    e->result = f->t;
    e->result_sent = &f->req;
    return TK_OK;
}

// ---- running -----------------------------------------------------------------------------------

static tk_status release_flight(engine *e, const tk_action *a)
{
    slot *s = flight_slot_of(e, a);
    TK_TRY(tk_wait(e->forward, &s->y_sent));
    TK_TRY(e->work->release(e->work->ctx, a));
    tk_device_free(e->device, &s->x.t);
    *s = (slot){0};
    return TK_OK;
}

static tk_status run_forward(engine *e, const tk_action *a)
{
    slot *s = flight_slot_of(e, a);
    tk_tensor y = {0};
    TK_TRY(tk_wait(e->forward, &s->x.req));
    TK_TRY(e->work->forward(e->work->ctx, a, &s->x.t, &y));
    TK_TRY(hand_on(e, a, &y));
    if (e->schedule.kind != TK_SCHEDULE_FORWARD || a->micro == 0) return TK_OK;
    // Without a backward, rows that were taken while this microbatch was computed can go.
    return release_flight(e, &(tk_action){TK_ACT_FORWARD, a->chunk, a->micro - 1});
}

static tk_status run_backward(engine *e, const tk_action *a)
{
    slot *s = flight_slot_of(e, a);
    tk_tensor dx = {0};
    TK_TRY(tk_wait(e->backward, &s->dy.req));
    TK_TRY(tk_wait(e->forward, &s->y_sent)); // dy came back, so y has long arrived
    TK_TRY(e->work->backward(e->work->ctx, a, &s->dy.t, &dx));
    tk_device_free(e->device, &s->dy.t);
    TK_TRY(hand_on(e, a, &dx));
    return a->kind == TK_ACT_INPUTS ? TK_OK : release_flight(e, a);
}

static tk_status run_all(engine *e)
{
    const tk_stage_plan *p = &e->schedule.stage[e->stage];
    for (int64_t k = 0; k < p->n; k++) {
        const tk_action *a = &p->action[k];
        TK_TRY(ask_messages(e, k));
        TK_TRY(a->kind == TK_ACT_FORWARD ? run_forward(e, a) : run_backward(e, a));
    }
    TK_TRY(ask_messages(e, p->n));
    for (int c = 0; e->schedule.kind == TK_SCHEDULE_FORWARD && p->n && c < e->work->chunks; c++)
        TK_TRY(release_flight(e, &(tk_action){TK_ACT_FORWARD, c, e->work->n - 1}));
    for (int k = 0; k < OUTGOING; k++) {
        TK_TRY(tk_wait(e->backward, &e->out[k].req));
        tk_device_free(e->device, &e->out[k].t);
    }
    return TK_OK;
}

static tk_status open_engine(engine *e)
{
    tk_message_list *lists;
    TK_TRY(
        tk_schedule_make(&e->schedule, e->work->schedule, e->stages, e->work->chunks, e->work->n));
    TK_ARENA_NEW(e->slots, &e->schedule.arena, e->work->n * e->work->chunks + 1);
    TK_TRY(tk_messages_make(&e->schedule, &lists));
    e->list = &lists[e->stage];
    return TK_OK;
}

// After an error messages may still be under way into the buffers: then the run is lost, and the
// memory stays with the pool.
tk_status tk_pipeline_run(tk_mesh *m, tk_device *d, const tk_pipeline_work *w)
{
    tk_axis_row *line = &m->axis[TK_AXIS_PIPELINE];
    engine e = {.stage = line->rank,
                .stages = line->degree,
                .forward = &line->device,
                .backward = &line->beside,
                .device = d,
                .work = w};
    tk_status st = open_engine(&e);
    if (st == TK_OK) st = run_all(&e);
    tk_schedule_free(&e.schedule);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}
