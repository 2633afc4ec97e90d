// SPDX-License-Identifier: Apache-2.0
#include "train/plan/layout.h"
#include "parallel/replay.h"

enum { FEW_RANKS = 16, MOST_RANKS = 1 << 16, ROW_STEPS = 8 };

tk_status tk_layout_fill(tk_parallel_config *p, int *ranks)
{
    int64_t product = 1;
    for (int i = 0; i < TK_AXES; i++) {
        int64_t *degree = tk_mesh_degree(p, (tk_axis)i);
        if (*degree < 1) *degree = 1;
        if (*degree > MOST_RANKS || (product *= *degree) > MOST_RANKS)
            return TK_FAIL(TK_INPUT, "plan looks at no more than %d ranks", MOST_RANKS);
    }
    *ranks = (int)product;
    return TK_OK;
}

// ---- which ranks -------------------------------------------------------------------------------

static int64_t rows_of(const tk_microbatches *m, const tk_step_documents *docs, int64_t i)
{
    int64_t rows = 0;
    for (int64_t j = tk_microbatch_begin(m, i); j < tk_microbatch_begin(m, i + 1); j++)
        rows += tk_document_rows(&docs->document[j].doc, NULL);
    return rows;
}

// The data rank with the most rows in a microbatch of the first steps.
static tk_status find_fullest(const tk_plan_of *of, tk_arena *a, int64_t *fullest)
{
    const tk_train_config *c = &of->config->train;
    const int ranks = (int)of->config->parallel.data;
    const int64_t steps = of->steps ? of->steps : ROW_STEPS;
    int64_t most = -1;
    *fullest = 0;
    for (int64_t s = 0; s < steps && s < c->steps; s++) {
        tk_step_documents docs;
        TK_TRY(tk_step_documents_make(of->loader, of->config, s, a, &docs));
        for (int d = 0; d < ranks; d++) {
            const tk_microbatches m = tk_microbatches_of(c, d, ranks);
            for (int64_t i = 0; i < m.n; i++) {
                const int64_t rows = rows_of(&m, &docs, i);
                if (rows > most) *fullest = d;
                if (rows > most) most = rows;
            }
        }
    }
    return TK_OK;
}

// How many ranks this one is planned for. Of many ranks those are planned that hold most and least:
// of every stage the first and the last rank of its tensor communicator (shares fall with the
// rank), of the data rank `fullest`.
static int stands_for(const tk_parallel_config *p, int ranks, int64_t fullest, int rank)
{
    const int64_t tensor = rank % p->tensor, data = rank / (p->tensor * p->pipeline);
    if (ranks <= FEW_RANKS) return 1;
    if (data != fullest || (tensor > 0 && tensor < p->tensor - 1)) return 0;
    const int64_t lower = p->tensor / 2; // half of them, rounded down, by the last
    return (int)(p->data * (tensor > 0 ? lower : p->tensor - lower));
}

static tk_status plan_ranks(const tk_plan_of *of, tk_arena *a, tk_layout_plan *out)
{
    const tk_parallel_config *p = &of->config->parallel;
    int64_t fullest;
    int n = 0;
    TK_TRY(find_fullest(of, a, &fullest));
    for (int i = 0; i < out->ranks; i++) n += stands_for(p, out->ranks, fullest, i) > 0;
    TK_ARENA_NEW(out->plan, a, n);
    for (int i = 0; i < out->ranks; i++) {
        const int many = stands_for(p, out->ranks, fullest, i);
        tk_plan *plan = &out->plan[out->n];
        if (!many) continue;
        TK_TRY(tk_plan_make(of, i, plan));
        plan->stands_for = many;
        out->n++;
    }
    return TK_OK;
}

// ---- what they say together --------------------------------------------------------------------

static int stage_of(const tk_parallel_config *p, const tk_plan *plan)
{
    return (int)(plan->rank / p->tensor % p->pipeline);
}

static double actions_of(const tk_plan *p)
{
    double s = 0;
    for (int k = 0; k < TK_ACT_KINDS; k++) s += p->action[k];
    return s;
}

// All register as much as the one that needs most.
static void share_registered(tk_layout_plan *l)
{
    for (int i = 0; i < l->n; i++)
        if (l->plan[i].registered > l->plan[l->sender].registered) l->sender = i;
    const int64_t most = l->n ? l->plan[l->sender].registered : 0;
    for (int i = 0; i < l->n; i++) {
        l->plan[i].total += most - l->plan[i].registered;
        l->plan[i].registered = most;
    }
}

static void sum_over_ranks(const tk_plan_of *of, tk_layout_plan *l)
{
    for (int i = 0; i < l->n; i++) {
        const tk_plan *p = &l->plan[i];
        l->flops += p->stands_for * p->flops;
        if (p->rows > l->rows) l->rows = p->rows;
        if (p->total > l->plan[l->fullest].total) l->fullest = i;
        if (actions_of(p) > actions_of(&l->plan[l->slowest])) l->slowest = i;
    }
    if (of->machine) l->spare = (int64_t)of->machine->memory.value - l->plan[l->fullest].total;
}

// Each stage at the pace of the slowest of its ranks that were planned; without a machine as if all
// stages and microbatches were equal.
static tk_status replay_step(const tk_plan_of *of, tk_layout_plan *l)
{
    const tk_parallel_config *p = &of->config->parallel;
    const int64_t n = tk_microbatches_of(&of->config->train, 0, (int)p->data).n;
    tk_replay_costs costs = {.alone = !p->overlap_messages}, none = {0};
    double rest = 0, *cost;
    tk_schedule s;
    tk_replay r, without;
    TK_TRY(
        tk_schedule_make(&s, (tk_schedule_kind)p->schedule, (int)p->pipeline, (int)p->chunks, n));
    cost = tk_arena_alloc(&s.arena, (size_t)(p->pipeline * TK_ACT_KINDS) * sizeof *cost);
    tk_status st = cost ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a schedule");
    for (int i = 0; i < l->n && st == TK_OK; i++) {
        const tk_plan *plan = &l->plan[i];
        double *of_stage = &cost[stage_of(p, plan) * (int)TK_ACT_KINDS];
        for (int k = 0; k < TK_ACT_KINDS; k++)
            if (plan->action[k] > of_stage[k]) of_stage[k] = plan->action[k];
        if (plan->rest > rest) rest = plan->rest;
        if (plan->message > costs.message) costs.message = plan->message;
    }
    if (of->machine) costs.action = none.action = cost;
    if (st == TK_OK) st = tk_schedule_replay(&s, &none, &without);
    if (st == TK_OK) st = tk_schedule_replay(&s, &costs, &r);
    tk_schedule_free(&s);
    TK_TRY(st);
    l->idle = r.bubble;
    if (!of->machine) return TK_OK;
    l->pipeline = r.makespan;
    l->messages = r.makespan - without.makespan;
    l->seconds = r.makespan + rest;
    return TK_OK;
}

tk_status tk_layout_make(const tk_plan_of *of, int ranks, tk_arena *a, tk_layout_plan *out)
{
    *out = (tk_layout_plan){.ranks = ranks};
    TK_TRY(plan_ranks(of, a, out));
    share_registered(out);
    sum_over_ranks(of, out);
    TK_TRY(replay_step(of, out));
    if (!of->machine) return TK_OK;
    const tk_rating *peak = tk_machine_peak(of->machine, of->config->train.precision);
    if (peak) out->mfu = out->flops / (out->seconds * ranks * peak->value);
    return TK_OK;
}

// What messages of stages cost is seen where their schedule is replayed; all else on a rank.
double tk_layout_exposed(const tk_layout_plan *l, int group)
{
    const tk_plan *p = &l->plan[l->slowest];
    if (group == TK_AXES) return p->prices.group[group].seconds;
    return p->exposed[group] + (group == TK_AXIS_PIPELINE ? l->messages : 0);
}
