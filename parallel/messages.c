// SPDX-License-Identifier: Apache-2.0
#include "parallel/messages.h"

typedef struct input { // what an action waits for from another stage
    int64_t posted;    // before this action of its stage; -1: not yet
    double at, came;   // when it was posted, and when it had come; negative: not yet
} input;

typedef struct sender { // a stage's results for others, in order
    int64_t n;
    int *to;
    tk_action *fed; // action of stage `to`
} sender;

typedef struct posting {
    tk_schedule *s;
    input *input;   // (stages, chunks, micro, 2)
    sender *sender; // (stages)
    int64_t *next;  // (stages, stages) the first of the sender's results that is not posted
    int64_t *at;    // (stages) actions done
    bool *ran;      // (stages) the next one ran, and its result is to be sent
    double *clock;  // (stages)
    tk_message_list *list;
} posting;

static tk_status refuse_order(const tk_schedule *s, int stage, int64_t k, const char *why)
{
    char what[96];
    tk_action_print(&s->stage[stage].action[k], what, sizeof what);
    return TK_FAIL(TK_INTERNAL, "schedule: stage %d: %s %s", stage, what, why);
}

// Of what may come from another stage: a forward's input or a backward's.
static int64_t message_index_of(const tk_schedule *s, int stage, const tk_action *a)
{
    const int64_t n = ((int64_t)stage * s->chunks + a->chunk) * s->micro + a->micro;
    return 2 * n + (a->kind != TK_ACT_FORWARD);
}

static int64_t indices(const tk_schedule *s)
{
    return 2 * (int64_t)s->stages * s->chunks * s->micro;
}

static input *message_input_of(const posting *r, int stage, const tk_action *a)
{
    return &r->input[message_index_of(r->s, stage, a)];
}

// Whether `a` waits for another stage, and for which.
static bool waits(const tk_schedule *s, int stage, const tk_action *a, int *from)
{
    return tk_schedule_waits(s, stage, a, from) && *from != stage;
}

// ---- moving ------------------------------------------------------------------------------------

static tk_status open_run(posting *r, tk_schedule *s)
{
    const int64_t P = s->stages, inputs = indices(s);
    *r = (posting){.s = s};
    TK_ARENA_NEW(r->input, &s->arena, inputs + 1);
    TK_ARENA_NEW(r->sender, &s->arena, P);
    TK_ARENA_NEW(r->next, &s->arena, P * P);
    TK_ARENA_NEW(r->at, &s->arena, P);
    TK_ARENA_NEW(r->ran, &s->arena, P);
    TK_ARENA_NEW(r->clock, &s->arena, P);
    TK_ARENA_NEW(r->list, &s->arena, P);
    for (int64_t i = 0; i < inputs; i++) r->input[i] = (input){-1, -1, -1};
    for (int i = 0; i < P; i++) {
        const tk_stage_plan *p = &s->stage[i];
        sender *out = &r->sender[i];
        TK_ARENA_NEW(out->to, &s->arena, p->n + 1);
        TK_ARENA_NEW(out->fed, &s->arena, p->n + 1);
        TK_ARENA_NEW(r->list[i].message, &s->arena, 2 * p->n + 1); // each action takes and gives
        for (int64_t k = 0; k < p->n; k++)
            if (tk_schedule_feeds(s, i, &p->action[k], &out->to[out->n], &out->fed[out->n]) &&
                out->to[out->n] != i)
                out->n++;
    }
    return TK_OK;
}

// Posts the receive of action k, and those that the same stage sends before it.
static void post(posting *r, int stage, int64_t k)
{
    const tk_stage_plan *p = &r->s->stage[stage];
    int from;
    if (k >= p->n || !waits(r->s, stage, &p->action[k], &from)) return;
    const input *wanted = message_input_of(r, stage, &p->action[k]);
    const sender *out = &r->sender[from];
    int64_t *next = &r->next[from * r->s->stages + stage];
    for (; wanted->posted < 0 && *next < out->n; (*next)++) {
        if (out->to[*next] != stage) continue;
        input *in = message_input_of(r, stage, &out->fed[*next]);
        in->posted = r->at[stage];
        in->at = r->clock[stage];
    }
}

static void post_ahead(posting *r, int stage)
{
    for (int64_t k = 0; k <= TK_SCHEDULE_AHEAD; k++) post(r, stage, r->at[stage] + k);
}

static double unit_cost_of(const tk_action *a)
{
    return a->kind == TK_ACT_BACKWARD ? 2 : 1;
}

// When the stage can be done with its next action, or with sending its result; negative: it waits.
static double done_at(const posting *r, int stage)
{
    const tk_stage_plan *p = &r->s->stage[stage];
    int other;
    tk_action fed;
    if (r->at[stage] == p->n) return -1;
    const tk_action *a = &p->action[r->at[stage]];
    if (r->ran[stage]) {
        tk_schedule_feeds(r->s, stage, a, &other, &fed);
        const double posted = message_input_of(r, other, &fed)->at;
        return posted < 0 || posted > r->clock[stage] ? posted : r->clock[stage];
    }
    if (!waits(r->s, stage, a, &other)) return r->clock[stage] + unit_cost_of(a);
    const double came = message_input_of(r, stage, a)->came;
    if (came < 0) return -1;
    return (came > r->clock[stage] ? came : r->clock[stage]) + unit_cost_of(a);
}

static void add_message(tk_message_list *l, tk_message m)
{
    const tk_message *before = l->n ? &l->message[l->n - 1] : NULL;
    if (before && before->at > m.at) m.at = before->at;
    l->message[l->n++] = m;
}

// The stage's action, or its message.
static void step_stage(posting *r, int stage, double now)
{
    const tk_action *a = &r->s->stage[stage].action[r->at[stage]];
    int to;
    tk_action fed;
    const bool sends = tk_schedule_feeds(r->s, stage, a, &to, &fed) && to != stage;
    r->clock[stage] = now;
    if (sends && !r->ran[stage]) {
        r->ran[stage] = true;
        return;
    }
    if (sends) {
        input *in = message_input_of(r, to, &fed);
        in->came = now;
        add_message(&r->list[stage], (tk_message){true, to, *a, r->at[stage] + 1, false});
        add_message(&r->list[to], (tk_message){false, stage, fed, in->posted, false});
    }
    r->ran[stage] = false;
    r->at[stage]++;
    post_ahead(r, stage);
}

// A group is sends and at most one receive, all asked for at once and of one direction: who waits
// for what it receives waits for nothing that is received later.
static void end_groups(tk_message_list *l)
{
    for (int64_t i = 0; i < l->n; i++) {
        tk_message *m = &l->message[i];
        m->ends = !m->sends || i + 1 == l->n || m[1].at != m->at ||
                  tk_message_is_forward(m) != tk_message_is_forward(m + 1);
    }
}

tk_status tk_messages_make(tk_schedule *s, tk_message_list **out)
{
    posting r;
    TK_TRY(open_run(&r, s));
    for (int i = 0; i < s->stages; i++) post_ahead(&r, i);
    for (;;) {
        int first = -1;
        double soonest = -1;
        for (int i = 0; i < s->stages; i++) {
            const double t = done_at(&r, i);
            if (t < 0 || (first >= 0 && t >= soonest)) continue;
            first = i;
            soonest = t;
        }
        if (first < 0) break;
        step_stage(&r, first, soonest);
    }
    for (int i = 0; i < s->stages; i++) {
        if (r.at[i] < s->stage[i].n)
            return refuse_order(s, i, r.at[i],
                                "waits in a circle of sends whose receives nobody posts");
        end_groups(&r.list[i]);
    }
    *out = r.list;
    return TK_OK;
}

// ---- checking ----------------------------------------------------------------------------------

typedef struct queues {
    const tk_schedule *s;
    const tk_message_list *list;
    int64_t *at;    // (stages) actions done
    int64_t *first; // (stages, 2) of the group that is next, or under way; by direction
    bool **moved;   // (stages, messages)
    bool *came;     // (stages, chunks, micro, 2) the group of this input is done
    bool alone;     // groups and actions begin when all groups asked for before are done
} queues;

// The first message of that direction from number i on.
static int64_t seek(const tk_message_list *l, int64_t i, int forward)
{
    while (i < l->n && tk_message_is_forward(&l->message[i]) != forward) i++;
    return i;
}

// The stage's first message, of either direction, whose group is not done.
static int64_t first_of(const queues *q, int stage)
{
    const int64_t back = seek(&q->list[stage], q->first[2 * stage], 0);
    const int64_t there = seek(&q->list[stage], q->first[2 * stage + 1], 1);
    return back < there ? back : there;
}

// The message of the stage's present group that goes to or comes from `peer` next; -1: none.
static int64_t present(const queues *q, int stage, int forward, bool sends, int peer)
{
    const tk_message_list *l = &q->list[stage];
    int64_t i = seek(l, q->first[2 * stage + forward], forward);
    if (q->alone && i > first_of(q, stage)) return -1;
    for (; i < l->n && l->message[i].at <= q->at[stage]; i++) {
        const tk_message *m = &l->message[i];
        if (m->sends == sends && m->peer == peer && !q->moved[stage][i]) return i;
        if (m->ends) break;
    }
    return -1;
}

// Moves what the stage's group sends, where it is received; then goes on to the next group.
static bool move(queues *q, int stage, int forward)
{
    const tk_message_list *l = &q->list[stage];
    bool any = false, all = true;
    for (int peer = 0; peer < q->s->stages; peer++) {
        const int64_t out = present(q, stage, forward, true, peer);
        const int64_t in = out < 0 ? -1 : present(q, peer, forward, false, stage);
        if (in < 0) continue;
        q->moved[stage][out] = q->moved[peer][in] = any = true;
    }
    const int64_t begin = seek(l, q->first[2 * stage + forward], forward);
    int64_t i = begin;
    for (; i < l->n && all; i++) {
        all = q->moved[stage][i];
        if (l->message[i].ends) break;
    }
    if (begin == l->n || !all) return any;
    const int64_t end = q->first[2 * stage + forward] = i < l->n ? i + 1 : i;
    for (i = begin; i < end; i++)
        if (!l->message[i].sends)
            q->came[message_index_of(q->s, stage, &l->message[i].action)] = true;
    return true;
}

// Runs the stage's next action where the group of its input is done.
static bool act(queues *q, int stage)
{
    const tk_stage_plan *p = &q->s->stage[stage];
    const tk_message_list *l = &q->list[stage];
    const int64_t first = first_of(q, stage);
    int from;
    if (q->at[stage] == p->n) return false;
    if (q->alone && first < l->n && l->message[first].at <= q->at[stage]) return false;
    const tk_action *a = &p->action[q->at[stage]];
    if (waits(q->s, stage, a, &from) && !q->came[message_index_of(q->s, stage, a)]) return false;
    q->at[stage]++;
    return true;
}

tk_status tk_messages_check(tk_schedule *s, const tk_message_list *lists, bool alone)
{
    queues q = {.s = s, .list = lists, .alone = alone};
    TK_ARENA_NEW(q.at, &s->arena, s->stages);
    TK_ARENA_NEW(q.first, &s->arena, 2 * s->stages);
    TK_ARENA_NEW(q.moved, &s->arena, s->stages);
    TK_ARENA_NEW(q.came, &s->arena, indices(s) + 1);
    for (int i = 0; i < s->stages; i++) TK_ARENA_NEW(q.moved[i], &s->arena, lists[i].n + 1);
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < s->stages; i++) any |= move(&q, i, 0) | move(&q, i, 1) | act(&q, i);
    }
    for (int i = 0; i < s->stages; i++) {
        if (q.at[i] < s->stage[i].n)
            return refuse_order(s, i, q.at[i], "waits in a circle of groups of messages");
        for (int forward = 0; forward < 2; forward++) {
            const int64_t left = seek(&lists[i], q.first[2 * i + forward], forward);
            if (left < lists[i].n)
                return TK_FAIL(TK_INTERNAL, "schedule: stage %d: message %lld is met by none", i,
                               (long long)left);
        }
    }
    return TK_OK;
}
