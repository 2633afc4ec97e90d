// SPDX-License-Identifier: Apache-2.0
#include "core/base/log.h"
#include "parallel/mpi/start.h"
#include "parallel/replay.h"
#include "train/bench.h"
#include "train/run/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 5, STEPS = 3 }; // steps that are timed in a round

typedef struct way { // to run the microbatches of a step
    tk_schedule_kind kind;
    int chunks;
} way;
static const way WAYS[] = {
    {TK_SCHEDULE_1F1B, 1}, {TK_SCHEDULE_INTERLEAVED, 2}, {TK_SCHEDULE_ZB_H1, 1}};
enum { N_WAYS = sizeof WAYS / sizeof *WAYS };

typedef struct share { // of a rank, in all timed steps of a round: seconds
    double wall;       // forwards and backwards, waiting included
    double action[TK_ACT_KINDS];
} share;

enum { IDEAL, MEASURED, RATIO, IDLE, REPLAYED, ON_FOUR, ON_EIGHT, FIGURES };

typedef struct pipeline_bench {
    tk_comm *world;
    tk_config config; // as one pipeline of all ranks
    int64_t micro;    // microbatches of a step
    share *shares;    // (ranks)
    double *cost;     // (stages, TK_ACT_KINDS)
    double figure[N_WAYS][FIGURES][ROUNDS];
    tk_arena arena;
} pipeline_bench;

// ---- measuring ---------------------------------------------------------------------------------

static void count_step(void *ctx, const tk_step_result *now)
{
    share *own = ctx;
    if (now->step == 0) return; // first touch of all memory
    own->wall += now->seconds.data + now->seconds.compute;
    for (int k = 0; k < TK_ACT_KINDS; k++) own->action[k] += now->seconds.action[k];
    own->action[TK_ACT_FORWARD] += now->seconds.data; // forwards begin with it
}

static tk_status time_steps(tk_trainer *t, share *own)
{
    tk_trainer_listen(t, count_step, own);
    for (int64_t s = 0; s <= STEPS; s++) TK_TRY(tk_trainer_step(t, s, false, TK_OK));
    return tk_trainer_drain(t, false, TK_OK);
}

// Collective over `ranks`.
static tk_status time_training(tk_comm *ranks, tk_config *c, share *own)
{
    tk_train_parts p = {0};
    tk_trainer t = {0};
    *own = (share){0};
    tk_status st = tk_train_parts_open(&p, ranks, c);
    if (st == TK_OK) st = tk_agree(ranks, tk_trainer_open(&t, c, &p.mesh, &p.device, p.loader));
    if (st == TK_OK) st = tk_agree(ranks, tk_trainer_init(&t));
    if (st == TK_OK) st = tk_agree(ranks, tk_trainer_start(&t, 0));
    if (st == TK_OK) st = tk_parallel_unless_alone(ranks, time_steps(&t, own));
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
    return st;
}

// Rank 0 alone, on as many threads as a stage has; the others wait. `alone`: of one rank.
static tk_status time_alone(pipeline_bench *b, tk_comm *alone, double *seconds)
{
    tk_config c = b->config;
    share own = {0};
    tk_status st = TK_OK;
    c.parallel.pipeline = c.parallel.chunks = 1;
    c.parallel.schedule = TK_SCHEDULE_1F1B;
    if (b->world->rank == 0) st = time_training(alone, &c, &own);
    *seconds = own.wall / STEPS;
    return tk_agree(b->world, st);
}

static tk_status time_way(pipeline_bench *b, const way *w)
{
    tk_config c = b->config;
    share own;
    c.parallel.schedule = w->kind;
    c.parallel.chunks = w->chunks;
    TK_TRY(time_training(b->world, &c, &own));
    return tk_comm_all_gather(b->world, &own, b->shares, sizeof own);
}

// ---- replaying ---------------------------------------------------------------------------------

static tk_status replay(const pipeline_bench *b, const way *w, int stages, const double *cost,
                        double *idle)
{
    tk_schedule s;
    tk_replay r = {0};
    *idle = 0;
    TK_TRY(tk_schedule_make(&s, w->kind, stages, w->chunks, b->micro));
    const tk_status st = tk_schedule_replay(&s, &(tk_replay_costs){cost, 0, false}, &r);
    tk_schedule_free(&s);
    *idle = r.bubble;
    return st;
}

// By what an action of each kind took on average on each stage.
static tk_status replay_measured(pipeline_bench *b, const way *w, double *idle)
{
    const double actions = (double)(STEPS * b->micro * w->chunks);
    for (int i = 0; i < b->world->size; i++)
        for (int k = 0; k < TK_ACT_KINDS; k++)
            b->cost[i * TK_ACT_KINDS + k] = b->shares[i].action[k] / actions;
    return replay(b, w, b->world->size, b->cost, idle);
}

// The same work on other stages, each with an equal part of it.
static tk_status replay_even(const pipeline_bench *b, const way *w, int stages, double *idle)
{
    enum { MOST = 8 };
    double cost[MOST * TK_ACT_KINDS] = {0};
    for (int i = 0; i < stages; i++)
        for (int k = 0; k < TK_ACT_KINDS; k++)
            for (int from = 0; from < b->world->size; from++)
                cost[i * TK_ACT_KINDS + k] += b->shares[from].action[k] / stages;
    return replay(b, w, stages, cost, idle);
}

static tk_status find_figures(pipeline_bench *b, int i, int round, double alone)
{
    const int stages = b->world->size;
    double wall = 0, busy = 0, idle[3];
    for (int r = 0; r < stages; r++) {
        if (b->shares[r].wall > wall) wall = b->shares[r].wall;
        for (int k = 0; k < TK_ACT_KINDS; k++) busy += b->shares[r].action[k];
    }
    TK_TRY(replay_measured(b, &WAYS[i], &idle[0]));
    TK_TRY(replay_even(b, &WAYS[i], 4, &idle[1]));
    TK_TRY(replay_even(b, &WAYS[i], 8, &idle[2]));
    const double all[FIGURES] = {[IDEAL] = alone / stages,
                                 [MEASURED] = wall / STEPS,
                                 [RATIO] = alone / stages / (wall / STEPS),
                                 [IDLE] = 1 - busy / (stages * wall),
                                 [REPLAYED] = idle[0],
                                 [ON_FOUR] = idle[1],
                                 [ON_EIGHT] = idle[2]};
    for (int f = 0; f < FIGURES; f++) b->figure[i][f][round] = all[f];
    return TK_OK;
}

// ---- printing ----------------------------------------------------------------------------------

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double x[ROUNDS])
{
    qsort(x, ROUNDS, sizeof *x, by_size);
    return x[ROUNDS / 2];
}

static tk_status print_way(pipeline_bench *b, int i)
{
    double unit, mid[FIGURES];
    TK_TRY(replay(b, &WAYS[i], b->world->size, NULL, &unit));
    for (int f = 0; f < FIGURES; f++) mid[f] = median(b->figure[i][f]);
    printf("  %-12s %7.1f ms %7.1f ms %6.2f %11.1f%% %9.1f%% %9.1f%% %7.1f%% %7.1f%%\n",
           tk_schedule_name(WAYS[i].kind), 1e3 * mid[IDEAL], 1e3 * mid[MEASURED], mid[RATIO],
           100 * mid[IDLE], 100 * unit, 100 * mid[REPLAYED], 100 * mid[ON_FOUR],
           100 * mid[ON_EIGHT]);
    return TK_OK;
}

static tk_status print_all(pipeline_bench *b)
{
    const int stages = b->world->size;
    printf(
        "pipeline    %d stages, %lld microbatches a step; medians of %d rounds, each schedule in "
        "turn with one rank alone, whose time over %d is ideal\n",
        stages, (long long)b->micro, ROUNDS, stages);
    printf("  %-12s %-28s %-24s replayed with durations measured\n", "", "forwards and backwards",
           "stages idle");
    printf("  %-12s %10s %10s %6s %12s %10s %7d stages %7s %8s\n", "schedule", "ideal", "measured",
           "ratio", "measured", "unit costs", stages, "4", "8");
    for (int i = 0; i < N_WAYS; i++) TK_TRY(print_way(b, i));
    return TK_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

// A mesh in which a rank's tensor communicator holds no other rank.
static tk_status open_bench(pipeline_bench *b, tk_mesh *mesh)
{
    const int ranks = b->world->size;
    TK_TRY(tk_mesh_open(mesh, b->world, &b->config.parallel, TK_AXIS_DATA));
    b->config.parallel.threads = tk_mesh_threads(mesh, &b->config.parallel);
    b->micro = tk_microbatches_of(&b->config.train, 0, 1).n;
    TK_ARENA_NEW(b->shares, &b->arena, ranks);
    TK_ARENA_NEW(b->cost, &b->arena, ranks * TK_ACT_KINDS);
    return TK_OK;
}

static tk_status run_rounds(pipeline_bench *b, tk_mesh *mesh)
{
    for (int round = 0; round < ROUNDS; round++) {
        double alone;
        TK_TRY(time_alone(b, &mesh->axis[TK_AXIS_TENSOR].host, &alone));
        TK_TRY(tk_comm_broadcast(b->world, &alone, sizeof alone, 0));
        for (int i = 0; i < N_WAYS; i++) {
            TK_TRY(time_way(b, &WAYS[i]));
            TK_TRY(find_figures(b, i, round, alone));
        }
    }
    return tk_agree(b->world, b->world->rank ? TK_OK : print_all(b));
}

tk_status tk_bench_pipeline(tk_comm *world, const tk_config *c)
{
    pipeline_bench b = {.world = world, .config = *c};
    tk_mesh mesh = {0};
    tk_arena_init(&b.arena, 0);
    tk_status st = tk_agree(world, open_bench(&b, &mesh));
    if (st == TK_OK) st = run_rounds(&b, &mesh);
    tk_mesh_close(&mesh);
    tk_arena_free(&b.arena);
    return st;
}
