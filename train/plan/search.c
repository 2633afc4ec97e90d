// SPDX-License-Identifier: Apache-2.0
#include "train/plan/search.h"
#include "parallel/replay.h"
#include <stdlib.h>

enum { MOST_CANDIDATES = 1 << 14, LOOKED_AT = 3 };

typedef struct searching {
    const tk_plan_of *of;
    tk_search *out;
    int64_t parameters;
    double flops; // of a clip
} searching;

// ---- which there are ---------------------------------------------------------------------------

static tk_status add_candidate(searching *s, const tk_parallel_config *p, int64_t microbatch)
{
    tk_search *out = s->out;
    if (out->n == MOST_CANDIDATES)
        return TK_FAIL(TK_INPUT, "plan.search: more than %d layouts", MOST_CANDIDATES);
    out->candidate[out->n++] = (tk_candidate){.parallel = *p, .microbatch = microbatch};
    return TK_OK;
}

static tk_status add_microbatches(searching *s, const tk_parallel_config *p)
{
    for (int64_t m = 1; m <= 4 && m * p->data <= s->of->config->train.batch; m *= 2)
        TK_TRY(add_candidate(s, p, m));
    return TK_OK;
}

static tk_status add_schedules(searching *s, tk_parallel_config p)
{
    p.schedule = TK_SCHEDULE_1F1B;
    p.chunks = 1;
    TK_TRY(add_microbatches(s, &p));
    if (p.pipeline == 1) return TK_OK;
    p.schedule = TK_SCHEDULE_ZB_H1;
    TK_TRY(add_microbatches(s, &p));
    p.schedule = TK_SCHEDULE_INTERLEAVED;
    for (p.chunks = 2; p.chunks <= 4 && p.chunks * p.pipeline <= s->of->config->model.layers;
         p.chunks *= 2)
        TK_TRY(add_microbatches(s, &p));
    return TK_OK;
}

static tk_status add_all(searching *s, int64_t gpus)
{
    const tk_config *c = s->of->config;
    tk_parallel_config p = c->parallel;
    for (int64_t t = 1; t <= c->model.heads && t <= s->of->machine->gpus; t++) {
        if (gpus % t) continue;
        for (int64_t k = 1; k <= c->model.layers && k <= gpus / t; k++) {
            if (gpus / t % k) continue;
            p.tensor = t, p.pipeline = k, p.data = gpus / t / k;
            if (p.data <= c->train.batch) TK_TRY(add_schedules(s, p));
        }
    }
    if (s->out->n) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "plan.search: %lld GPUs cannot share out %lld clips a step (train.batch) and "
                   "%lld blocks; give a larger train.batch or fewer GPUs",
                   (long long)gpus, (long long)c->train.batch, (long long)c->model.layers);
}

// ---- one of them -------------------------------------------------------------------------------

// What a rank holds at least: its part of weights, gradients, and the optimizer's shard.
static void weigh_weights(const searching *s, tk_candidate *k)
{
    const tk_train_config *t = &s->of->config->train;
    const bool half = t->precision == TK_PRECISION_BF16;
    const int64_t own = s->parameters / (k->parallel.tensor * k->parallel.pipeline);
    k->held[TK_FOR_WEIGHTS] = own * (half ? 2 : 4);
    k->held[TK_FOR_GRADIENTS] = own * 4;
    k->held[TK_FOR_OPTIMIZER] = own / k->parallel.data * 4 * (2 + half + (t->ema > 0));
    for (int i = 0; i < TK_POOL_PURPOSES; i++) k->total += k->held[i];
}

// The config with so many microbatches only that the stages hold all they ever do.
static tk_config shortened(const tk_config *c, const tk_candidate *k, int64_t *n)
{
    tk_config s = *c;
    s.parallel = k->parallel;
    s.train.microbatch = k->microbatch;
    s.train.steps = 1;
    *n = tk_microbatches_of(&s.train, 0, (int)k->parallel.data).n;
    const int64_t deep = k->parallel.pipeline * (k->parallel.chunks > 1 ? 2 : 1) + 1;
    if (*n > deep) s.train.batch = deep * k->microbatch * k->parallel.data;
    return s;
}

static void take_fullest(const searching *s, const tk_plan *p, tk_candidate *k)
{
    if (p->total <= k->total) return;
    k->total = p->total;
    k->context = p->context;
    for (int i = 0; i < TK_POOL_PURPOSES; i++) k->held[i] = p->held[i];
    k->spare = (int64_t)s->of->machine->memory.value - k->total;
}

static tk_status time_step(const searching *s, const tk_plan plan[LOOKED_AT], int64_t n,
                           tk_candidate *k)
{
    const tk_parallel_config *p = &k->parallel;
    const int stages = (int)p->pipeline;
    double rest = 0, message = 0;
    double *cost;
    tk_schedule schedule;
    tk_replay r;
    for (int i = 0; i < LOOKED_AT; i++) {
        if (plan[i].rest > rest) rest = plan[i].rest;
        if (plan[i].message > message) message = plan[i].message;
    }
    TK_TRY(tk_schedule_make(&schedule, (tk_schedule_kind)p->schedule, stages, (int)p->chunks, n));
    cost = tk_arena_alloc(&schedule.arena, (size_t)(stages * (int)TK_ACT_KINDS) * sizeof *cost);
    tk_status st = cost ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a schedule");
    for (int i = 0; i < stages && st == TK_OK; i++)
        for (int a = 0; a < TK_ACT_KINDS; a++)
            cost[i * (int)TK_ACT_KINDS + a] = plan[i == 0            ? 0
                                                   : i == stages - 1 ? LOOKED_AT - 1
                                                                     : 1]
                                                  .action[a];
    if (st == TK_OK) st = tk_schedule_replay(&schedule, cost, message, &r);
    tk_schedule_free(&schedule);
    TK_TRY(st);
    const int64_t gpus = p->tensor * p->pipeline * p->data;
    const tk_rating *peak = tk_machine_peak(s->of->machine, s->of->config->train.precision);
    k->seconds = r.makespan + rest;
    k->idle = r.bubble;
    if (peak)
        k->mfu = s->flops * (double)s->of->config->train.batch /
                 (k->seconds * (double)gpus * peak->value);
    return TK_OK;
}

static tk_status try_candidate(const searching *s, tk_candidate *k)
{
    const int stages = (int)k->parallel.pipeline;
    const int stage[LOOKED_AT] = {0, stages > 2 ? 1 : 0, stages - 1};
    int64_t n;
    const tk_config c = shortened(s->of->config, k, &n);
    tk_plan_of of = *s->of;
    tk_plan plan[LOOKED_AT];
    of.config = &c;
    of.steps = 1;
    weigh_weights(s, k);
    k->spare = (int64_t)s->of->machine->memory.value - k->total;
    if (k->spare < 0) return TK_OK; // whatever else it needs
    k->total = 0;
    for (int i = 0; i < LOOKED_AT; i++) {
        if (i > 0 && stage[i] == stage[0])
            plan[i] = plan[0];
        else
            TK_TRY(tk_plan_make(&of, stage[i] * (int)k->parallel.tensor, &plan[i]));
        take_fullest(s, &plan[i], k);
    }
    return time_step(s, plan, n, k);
}

// FLOPs of a clip, by one that a single rank goes through.
static tk_status count_flops(searching *s)
{
    tk_config c = *s->of->config;
    tk_plan_of of = *s->of;
    tk_plan plan;
    c.parallel.tensor = c.parallel.pipeline = c.parallel.data = c.parallel.chunks = 1;
    c.parallel.schedule = TK_SCHEDULE_1F1B;
    c.train.batch = c.train.microbatch = c.train.steps = 1;
    of.config = &c;
    TK_TRY(tk_plan_make(&of, 0, &plan));
    s->flops = plan.flops;
    return TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

static int by_rank(const void *x, const void *y)
{
    const tk_candidate *a = x, *b = y;
    const bool fits_a = a->spare >= 0, fits_b = b->spare >= 0;
    if (fits_a != fits_b) return fits_a ? -1 : 1;
    if ((a->seconds > 0) != (b->seconds > 0)) return a->seconds > 0 ? -1 : 1;
    if (a->seconds != b->seconds) return a->seconds < b->seconds ? -1 : 1;
    if (a->spare != b->spare) return a->spare > b->spare ? -1 : 1;
    return (a > b) - (a < b);
}

tk_status tk_search_make(const tk_plan_of *of, int gpus, tk_arena *a, tk_search *out)
{
    tk_param_table table;
    *out = (tk_search){0};
    TK_ARENA_NEW(out->candidate, a, MOST_CANDIDATES);
    TK_TRY(tk_param_table_build(&of->config->model, a, &table));
    searching s = {.of = of, .out = out, .parameters = tk_param_count(&table)};
    TK_TRY(count_flops(&s));
    TK_TRY(add_all(&s, gpus));
    for (int64_t i = 0; i < out->n; i++) TK_TRY(try_candidate(&s, &out->candidate[i]));
    qsort(out->candidate, (size_t)out->n, sizeof *out->candidate, by_rank);
    for (int64_t i = 0; i < out->n; i++) out->fit += out->candidate[i].spare >= 0;
    return TK_OK;
}
