// SPDX-License-Identifier: Apache-2.0
#include "parallel/replay.h"
#include "parallel/messages.h"

enum { FORWARD, BACKWARD, WEIGHTS, PHASES }; // whole backwards and those for inputs are one phase

typedef struct replay {
    const tk_schedule *s;
    tk_replay_costs costs;
    const tk_message_list *list; // (stages) moved alone; NULL: they move beside the work
    double *end;                 // (runs, micro, PHASES) when it ended; negative: not yet
    int64_t *at;                 // (stages) actions done
    double *clock;               // (stages) end of the last of them
    int64_t *alive, *most;       // (stages)
    int64_t *moved;              // (stages) messages that have moved alone
    double *met; // (runs, micro, PHASES, 2) when who takes an input, and who gives it, came to its
} replay;        // ... message; negative: not yet

static int phase_of(tk_action_kind kind)
{
    return kind == TK_ACT_FORWARD ? FORWARD : kind == TK_ACT_WEIGHTS ? WEIGHTS : BACKWARD;
}

static int64_t index_of(const replay *r, int stage, const tk_action *a)
{
    return ((int64_t)a->chunk * r->s->stages + stage) * r->s->micro + a->micro;
}

static double *end_of(const replay *r, int stage, const tk_action *a, int phase)
{
    return &r->end[index_of(r, stage, a) * PHASES + phase];
}

static tk_status refuse_action(int stage, const tk_action *a, const char *why)
{
    char what[96];
    tk_action_print(a, what, sizeof what);
    return TK_FAIL(TK_INTERNAL, "schedule: stage %d: %s %s", stage, what, why);
}

static tk_status new_replay(replay *r, tk_schedule *s, const tk_replay_costs *costs,
                            const tk_message_list *list)
{
    const int64_t P = s->stages, n = P * s->chunks * s->micro + 1;
    *r = (replay){.s = s, .costs = *costs, .list = list};
    TK_ARENA_NEW(r->end, &s->arena, n * PHASES);
    TK_ARENA_NEW(r->at, &s->arena, P);
    TK_ARENA_NEW(r->clock, &s->arena, P);
    TK_ARENA_NEW(r->alive, &s->arena, P);
    TK_ARENA_NEW(r->most, &s->arena, P);
    TK_ARENA_NEW(r->moved, &s->arena, P);
    TK_ARENA_NEW(r->met, &s->arena, n * PHASES * 2);
    for (int64_t i = 0; i < n * PHASES; i++) r->end[i] = r->met[2 * i] = r->met[2 * i + 1] = -1;
    return TK_OK;
}

// ---- every action once -------------------------------------------------------------------------

static tk_status check_run(const replay *r, int stage, int chunk, int64_t micro,
                           const unsigned char *seen)
{
    const bool trains = r->s->kind != TK_SCHEDULE_FORWARD;
    const bool whole = seen[TK_ACT_BACKWARD], half = seen[TK_ACT_INPUTS] || seen[TK_ACT_WEIGHTS];
    tk_action a = {TK_ACT_FORWARD, chunk, micro};
    if (!seen[TK_ACT_FORWARD]) return refuse_action(stage, &a, "is missing");
    a.kind = TK_ACT_BACKWARD;
    if (whole && half) return refuse_action(stage, &a, "is there whole and in halves");
    if (trains && !whole && !half) return refuse_action(stage, &a, "is missing");
    if (!half) return TK_OK;
    a.kind = seen[TK_ACT_INPUTS] ? TK_ACT_WEIGHTS : TK_ACT_INPUTS;
    return seen[a.kind] ? TK_OK : refuse_action(stage, &a, "is missing");
}

static tk_status check_lists(const replay *r)
{
    const tk_schedule *s = r->s;
    unsigned char *seen;
    TK_ARENA_NEW(seen, &((tk_schedule *)s)->arena,
                 s->stages * s->chunks * s->micro * TK_ACT_KINDS + 1);
    for (int i = 0; i < s->stages; i++)
        for (int64_t k = 0; k < s->stage[i].n; k++) {
            const tk_action *a = &s->stage[i].action[k];
            if (a->chunk < 0 || a->chunk >= s->chunks || a->micro < 0 || a->micro >= s->micro)
                return refuse_action(i, a, "does not exist");
            if (seen[index_of(r, i, a) * TK_ACT_KINDS + a->kind]++)
                return refuse_action(i, a, "is there twice");
        }
    for (int i = 0; i < s->stages; i++)
        for (int c = 0; c < s->chunks; c++)
            for (int64_t m = 0; m < s->micro; m++) {
                const tk_action a = {TK_ACT_FORWARD, c, m};
                TK_TRY(check_run(r, i, c, m, &seen[index_of(r, i, &a) * TK_ACT_KINDS]));
            }
    return TK_OK;
}

// ---- time and memory ---------------------------------------------------------------------------

// When the action may begin; negative: something that it waits for has not ended.
static double ready_at(const replay *r, int stage, const tk_action *a)
{
    int from;
    double t = r->clock[stage];
    if (a->kind != TK_ACT_FORWARD) {
        const double own = *end_of(r, stage, a, phase_of(a->kind) - 1);
        if (own < 0) return -1;
    }
    if (!tk_schedule_waits(r->s, stage, a, &from)) return t;
    tk_action other = *a; // the same of the run before, or after
    if (a->kind == TK_ACT_FORWARD && stage == 0) other.chunk--;
    if (a->kind != TK_ACT_FORWARD && stage == r->s->stages - 1) other.chunk++;
    double there = *end_of(r, from, &other, phase_of(a->kind));
    if (there < 0) return there;
    if (from != stage && !r->list) there += r->costs.message;
    return there > t ? there : t;
}

static double cost_of(const replay *r, int stage, tk_action_kind kind)
{
    if (r->costs.action) return r->costs.action[stage * (int)TK_ACT_KINDS + (int)kind];
    return kind == TK_ACT_BACKWARD ? 2 : 1;
}

static tk_status count_alive(replay *r, int stage, const tk_action *a)
{
    if (a->kind == TK_ACT_FORWARD) r->alive[stage]++;
    if (a->kind == TK_ACT_BACKWARD || a->kind == TK_ACT_WEIGHTS) r->alive[stage]--;
    if (r->alive[stage] > r->most[stage]) r->most[stage] = r->alive[stage];
    if (r->alive[stage] <= r->s->stage[stage].most) return TK_OK;
    return refuse_action(stage, a, "holds more than the stage's bound");
}

// Names the first action that never comes to run.
static tk_status check_finished(const replay *r, const char *why)
{
    for (int i = 0; i < r->s->stages; i++)
        if (r->at[i] < r->s->stage[i].n)
            return refuse_action(i, &r->s->stage[i].action[r->at[i]], why);
    return TK_OK;
}

// When the stage, or its peer in it, came to a message.
static double *met_at(const replay *r, int stage, const tk_message *m, bool own)
{
    tk_action a = m->action;
    int taker = stage;
    if (m->sends) tk_schedule_feeds(r->s, stage, &m->action, &taker, &a);
    return &r->met[(index_of(r, taker, &a) * PHASES + phase_of(a.kind)) * 2 + (m->sends == own)];
}

// A group ends when each of its messages has moved, which it does once both stages have come to it.
// False where a peer has not; told: a message that this stage has come to now.
static bool group_ends(const replay *r, int stage, int64_t *next, double *end, bool *told)
{
    const tk_message *first = &r->list[stage].message[r->moved[stage]], *m = first;
    bool all = true;
    *end = r->clock[stage];
    do {
        double *own = met_at(r, stage, m, true);
        const double peer = *met_at(r, stage, m, false);
        *told |= *own < 0;
        *own = r->clock[stage];
        all &= peer >= 0;
        if ((peer > *own ? peer : *own) + r->costs.message > *end)
            *end = (peer > *own ? peer : *own) + r->costs.message;
    } while (!m++->ends);
    *next = r->moved[stage] + (m - first);
    return all;
}

// The groups that the stage asks for before its next action; false where one has not moved.
static bool move_groups(replay *r, int stage, bool *told)
{
    const tk_message_list *l = r->list ? &r->list[stage] : &(tk_message_list){0};
    int64_t *moved = &r->moved[stage], next;
    double end;
    while (*moved < l->n && l->message[*moved].at <= r->at[stage]) {
        if (!group_ends(r, stage, &next, &end, told)) return false;
        *moved = next;
        r->clock[stage] = end;
    }
    return true;
}

static tk_status run_time(replay *r)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < r->s->stages; i++)
            for (; move_groups(r, i, &moved) && r->at[i] < r->s->stage[i].n; r->at[i]++) {
                const tk_action *a = &r->s->stage[i].action[r->at[i]];
                const double begin = ready_at(r, i, a);
                if (begin < 0) break;
                r->clock[i] = begin + cost_of(r, i, a->kind);
                *end_of(r, i, a, phase_of(a->kind)) = r->clock[i];
                TK_TRY(count_alive(r, i, a));
                moved = true;
            }
    }
    return check_finished(r, "waits for what comes later");
}

tk_status tk_schedule_replay(tk_schedule *s, const tk_replay_costs *costs, tk_replay *out)
{
    replay r;
    tk_message_list *list;
    double busy = 0;
    *out = (tk_replay){0};
    TK_TRY(new_replay(&r, s, costs, NULL));
    TK_TRY(check_lists(&r));
    TK_TRY(run_time(&r));
    TK_TRY(tk_messages_make(s, &list));
    TK_TRY(tk_messages_check(s, list, costs->alone));
    if (costs->alone) {
        TK_TRY(new_replay(&r, s, costs, list));
        TK_TRY(run_time(&r));
    }
    out->most = r.most;
    for (int i = 0; i < s->stages; i++) {
        if (r.clock[i] > out->makespan) out->makespan = r.clock[i];
        for (int64_t k = 0; k < s->stage[i].n; k++)
            busy += cost_of(&r, i, s->stage[i].action[k].kind);
    }
    if (out->makespan > 0) out->bubble = 1 - busy / (s->stages * out->makespan);
    return TK_OK;
}
