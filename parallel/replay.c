// SPDX-License-Identifier: Apache-2.0
#include "parallel/replay.h"
#include "parallel/messages.h"

enum { FORWARD, BACKWARD, WEIGHTS, PHASES }; // whole backwards and those for inputs are one phase

typedef struct replay {
    const tk_schedule *s;
    const double *cost;
    double message;
    double *end;           // (runs, micro, PHASES) when it ended; negative: not yet
    int64_t *at;           // (stages) actions done
    double *clock;         // (stages) end of the last of them
    int64_t *alive, *most; // (stages)
} replay;

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

static tk_status new_replay(replay *r, tk_schedule *s, const double *cost, double message)
{
    const int64_t P = s->stages, n = P * s->chunks * s->micro + 1;
    *r = (replay){.s = s, .cost = cost, .message = message};
    TK_ARENA_NEW(r->end, &s->arena, n * PHASES);
    TK_ARENA_NEW(r->at, &s->arena, P);
    TK_ARENA_NEW(r->clock, &s->arena, P);
    TK_ARENA_NEW(r->alive, &s->arena, P);
    TK_ARENA_NEW(r->most, &s->arena, P);
    for (int64_t i = 0; i < n * PHASES; i++) r->end[i] = -1;
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
    if (from != stage) there += r->message;
    return there > t ? there : t;
}

static double cost_of(const replay *r, int stage, tk_action_kind kind)
{
    if (r->cost) return r->cost[stage * (int)TK_ACT_KINDS + (int)kind];
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

static tk_status run_time(replay *r)
{
    for (bool moved = true; moved;) {
        moved = false;
        for (int i = 0; i < r->s->stages; i++)
            for (; r->at[i] < r->s->stage[i].n; r->at[i]++) {
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

static tk_status run_messages(tk_schedule *s)
{
    tk_message_list *lists;
    TK_TRY(tk_messages_make(s, &lists));
    return tk_messages_check(s, lists, false);
}

tk_status tk_schedule_replay(tk_schedule *s, const double *cost, double message, tk_replay *out)
{
    replay r;
    double busy = 0;
    *out = (tk_replay){0};
    TK_TRY(new_replay(&r, s, cost, message));
    TK_TRY(check_lists(&r));
    TK_TRY(run_time(&r));
    out->most = r.most;
    for (int i = 0; i < s->stages; i++) {
        if (r.clock[i] > out->makespan) out->makespan = r.clock[i];
        for (int64_t k = 0; k < s->stage[i].n; k++)
            busy += cost_of(&r, i, s->stage[i].action[k].kind);
    }
    if (out->makespan > 0) out->bubble = 1 - busy / (s->stages * out->makespan);
    return run_messages(s);
}
