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
    out->candidate[out->n] =
        (tk_candidate){.number = out->n, .parallel = *p, .microbatch = microbatch};
    out->n++;
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

// The config of a candidate with at most n microbatches.
static tk_config shortened(const tk_config *c, const tk_candidate *k, int64_t n)
{
    tk_config s = *c;
    s.parallel = k->parallel;
    s.train.microbatch = k->microbatch;
    s.train.steps = 1;
    const int64_t clips = n * k->microbatch * k->parallel.data;
    if (s.train.batch > clips) s.train.batch = clips;
    return s;
}

// The stages gone through, for n microbatches, and how many runs each holds then at most.
typedef struct sample_of_stages {
    int stage[LOOKED_AT];
    tk_plan plan[LOOKED_AT];
    int64_t alive[LOOKED_AT];
} sample_of_stages;

static tk_status count_alive_runs(const tk_candidate *k, int64_t n, const int stage[LOOKED_AT],
                                  int64_t alive[LOOKED_AT])
{
    tk_schedule s;
    tk_replay r;
    TK_TRY(tk_schedule_make(&s, (tk_schedule_kind)k->parallel.schedule, (int)k->parallel.pipeline,
                            (int)k->parallel.chunks, n));
    const tk_status st = tk_schedule_replay(&s, &(tk_replay_costs){0}, &r);
    for (int i = 0; i < LOOKED_AT && st == TK_OK; i++) alive[i] = r.most[stage[i]];
    tk_schedule_free(&s);
    return st;
}

static tk_status go_through(const searching *s, const tk_candidate *k, int64_t n,
                            sample_of_stages *out)
{
    const int stages = (int)k->parallel.pipeline;
    const tk_config c = shortened(s->of->config, k, n);
    tk_plan_of of = *s->of;
    of.config = &c;
    of.steps = 1;
    out->stage[0] = 0, out->stage[1] = stages > 2, out->stage[2] = stages - 1;
    for (int i = 0; i < LOOKED_AT; i++) {
        if (i > 0 && out->stage[i] == out->stage[i - 1])
            out->plan[i] = out->plan[i - 1];
        else
            TK_TRY(tk_plan_make(&of, out->stage[i] * (int)k->parallel.tensor, &out->plan[i]));
    }
    return count_alive_runs(k, tk_microbatches_of(&c.train, 0, (int)k->parallel.data).n, out->stage,
                            out->alive);
}

// Of two samples, by how much each run that is held more makes a number larger.
static int64_t extended(int64_t one, int64_t two, int64_t held_one, int64_t held_two, int64_t held)
{
    if (held <= held_two || held_two <= held_one) return two;
    return two + (two - one) * (held - held_two) / (held_two - held_one);
}

// All stages register as much as the one that needs most.
static int64_t most_registered(const sample_of_stages *one, const sample_of_stages *two,
                               const int64_t alive[LOOKED_AT])
{
    int64_t most = 0;
    for (int i = 0; i < LOOKED_AT; i++) {
        const int64_t bytes = extended(one->plan[i].registered, two->plan[i].registered,
                                       one->alive[i], two->alive[i], alive[i]);
        if (bytes > most) most = bytes;
    }
    return most;
}

// What the fullest of the stages holds with n microbatches; one: NULL, when two is for as many.
static tk_status take_memory(const searching *s, const sample_of_stages *one,
                             const sample_of_stages *two, int64_t n, tk_candidate *k)
{
    const sample_of_stages *from = one ? one : two;
    int64_t alive[LOOKED_AT];
    k->total = 0;
    TK_TRY(count_alive_runs(k, n, two->stage, alive));
    const int64_t registered = most_registered(from, two, alive);
    for (int i = 0; i < LOOKED_AT; i++) {
        const tk_plan *x = &from->plan[i], *y = &two->plan[i];
        const int64_t total = x->context + registered +
                              extended(x->pool, y->pool, from->alive[i], two->alive[i], alive[i]);
        if (total <= k->total) continue;
        k->total = total;
        for (int p = 0; p < TK_POOL_PURPOSES; p++)
            k->held[p] = extended(x->held[p], y->held[p], from->alive[i], two->alive[i], alive[i]);
    }
    k->spare = (int64_t)s->of->machine->memory.value - k->total;
    return TK_OK;
}

static tk_status replay_stages(const tk_candidate *k, const tk_plan plan[LOOKED_AT], int64_t n,
                               const tk_replay_costs *costs, tk_replay *out)
{
    tk_replay_costs of_stages = *costs;
    const int stages = (int)k->parallel.pipeline;
    tk_schedule s;
    double *cost;
    TK_TRY(tk_schedule_make(&s, (tk_schedule_kind)k->parallel.schedule, stages,
                            (int)k->parallel.chunks, n));
    cost = tk_arena_alloc(&s.arena, (size_t)(stages * (int)TK_ACT_KINDS) * sizeof *cost);
    tk_status st = cost ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a schedule");
    for (int i = 0; i < stages && st == TK_OK; i++) {
        const tk_plan *p = &plan[i == 0 ? 0 : i == stages - 1 ? LOOKED_AT - 1 : 1];
        for (int a = 0; a < TK_ACT_KINDS; a++) cost[i * (int)TK_ACT_KINDS + a] = p->action[a];
    }
    of_stages.action = cost;
    if (st == TK_OK) st = tk_schedule_replay(&s, &of_stages, out);
    tk_schedule_free(&s);
    return st;
}

static tk_status time_step(const searching *s, const tk_plan plan[LOOKED_AT], int64_t n,
                           tk_candidate *k)
{
    const tk_config *c = s->of->config;
    const tk_rating *peak = tk_machine_peak(s->of->machine, c->train.precision);
    const int64_t gpus = k->parallel.tensor * k->parallel.pipeline * k->parallel.data;
    double rest = 0;
    tk_replay_costs costs = {.alone = !c->parallel.overlap_messages};
    tk_replay r;
    for (int i = 0; i < LOOKED_AT; i++) {
        if (plan[i].rest > rest) rest = plan[i].rest;
        if (plan[i].message > costs.message) costs.message = plan[i].message;
    }
    TK_TRY(replay_stages(k, plan, n, &costs, &r));
    k->seconds = r.makespan + rest;
    k->idle = r.bubble;
    if (peak)
        k->mfu = s->flops * (double)c->train.batch / (k->seconds * (double)gpus * peak->value);
    return TK_OK;
}

// Goes through one and two microbatches, and `whole` through as many as the stages ever hold.
static tk_status try_candidate(const searching *s, tk_candidate *k, bool whole)
{
    const tk_config c = shortened(s->of->config, k, INT32_MAX);
    const int64_t n = tk_microbatches_of(&c.train, 0, (int)k->parallel.data).n;
    const int64_t deep = k->parallel.pipeline * (k->parallel.chunks > 1 ? 2 : 1) + 1;
    sample_of_stages one, two;
    if (!whole) {
        weigh_weights(s, k);
        k->spare = (int64_t)s->of->machine->memory.value - k->total;
        if (k->spare < 0) return TK_OK; // whatever else it needs
        TK_TRY(go_through(s, k, 1, &one));
    }
    TK_TRY(go_through(s, k, whole ? deep : 2, &two));
    TK_TRY(take_memory(s, whole ? NULL : &one, &two, n, k));
    k->whole = whole;
    return time_step(s, two.plan, n, k);
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
    return a->number < b->number ? -1 : 1;
}

static bool same_layout(const tk_candidate *a, const tk_candidate *b)
{
    const tk_parallel_config *x = &a->parallel, *y = &b->parallel;
    return x->tensor == y->tensor && x->pipeline == y->pipeline && x->schedule == y->schedule &&
           x->chunks == y->chunks;
}

// Where a layout does not fit, it is left out with more clips at once.
static tk_status try_layouts(searching *s)
{
    tk_search *out = s->out;
    int64_t kept = 0;
    for (int64_t i = 0; i < out->n; i++) {
        tk_candidate k = out->candidate[i];
        const tk_candidate *before = &out->candidate[kept - 1];
        if (kept && before->spare < 0 && same_layout(before, &k)) continue;
        TK_TRY(try_candidate(s, &k, false));
        out->candidate[kept++] = k;
    }
    out->n = kept;
    return TK_OK;
}

// The first of the list are gone through whole, until they are first all the same.
static tk_status settle_best(searching *s)
{
    tk_search *out = s->out;
    for (bool moved = true; moved;) {
        moved = false;
        qsort(out->candidate, (size_t)out->n, sizeof *out->candidate, by_rank);
        for (int64_t i = 0; i < out->n && i < TK_SEARCH_BEST; i++) {
            tk_candidate *k = &out->candidate[i];
            if (k->whole || k->spare < 0) continue;
            TK_TRY(try_candidate(s, k, true));
            moved = true;
        }
    }
    return TK_OK;
}

tk_status tk_search_ask(const tk_plan_of *of, int gpus, tk_arena *a)
{
    tk_search any = {0};
    TK_ARENA_NEW(any.candidate, a, MOST_CANDIDATES);
    searching s = {.of = of, .out = &any};
    return add_all(&s, gpus);
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
    TK_TRY(try_layouts(&s));
    TK_TRY(settle_best(&s));
    for (int64_t i = 0; i < out->n; i++) out->fit += out->candidate[i].spare >= 0;
    return TK_OK;
}
