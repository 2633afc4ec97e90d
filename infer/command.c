// SPDX-License-Identifier: Apache-2.0
#include "infer/command.h"
#include "infer/filtering.h"
#include "infer/studio.h"
#include "parallel/mpi/deal.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sampling {
    tk_comm *world;
    tk_jobs jobs;
    tk_studio by;
    struct turn *turns; // (jobs.n)
    tk_deal *deal;
    uint64_t made, unmade; // storyboards of this data rank
    tk_status failed;      // the first storyboard of this rank that could not be made
    char words[8192];
} sampling;

static bool deal_step(void *ctx)
{
    const sampling *a = ctx;
    tk_deal_step(a->deal);
    return false;
}

// A storyboard that cannot be made does not stop the others; the end tells. Who is asked to stop
// makes no other.
static tk_status one_job(sampling *a, tk_job *job)
{
    const tk_status st = tk_studio_make(&a->by, job);
    a->made += st == TK_OK;
    a->unmade += st != TK_OK;
    if (st == TK_OK || st == TK_STOPPED) return st;
    if (a->jobs.n > 1 && a->by.mesh.replica.rank == 0)
        tk_log_warn("%s: %s", job->file, tk_status_message());
    if (a->failed != TK_OK) return TK_OK;
    a->failed = st;
    snprintf(a->words, sizeof a->words, "%s", tk_status_message());
    return TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

typedef struct turn { // a job of a group, and how long it takes, about
    int job;
    int64_t work;
} turn;

static int longest_first(const void *x, const void *y)
{
    const turn *a = x, *b = y;
    if (a->work != b->work) return a->work < b->work ? 1 : -1;
    return a->job - b->job;
}

// The storyboards of one checkpoint (and of averaged weights or not); returns how many.
static int find_turns(const sampling *a, const tk_trained *t, bool ema, turn *turns, int64_t *steps)
{
    int n = 0;
    *steps = 0;
    for (int i = 0; i < a->jobs.n; i++) {
        const tk_job *job = &a->jobs.job[i];
        if (job->finished || job->trained != t || job->config.sample.ema != ema) continue;
        const int64_t own = job->story.n_windows * tk_story_steps(&job->config);
        const int64_t rows = job->story.grid.video_rows;
        turns[n++] = (turn){i, own * rows};
        *steps += own;
    }
    qsort(turns, (size_t)n, sizeof *turns, longest_first);
    return n;
}

static tk_status get_job(void *ctx, int64_t i, tk_arena *arena, tk_config *out, const char **name)
{
    const sampling *a = ctx;
    const tk_job *job = &a->jobs.job[a->turns[i].job];
    (void)arena;
    *out = job->config;
    *name = job->file;
    return TK_OK;
}

// They are dealt out to the data ranks, the longest ones first.
static tk_status sample_group(sampling *a, const tk_trained *t, bool ema)
{
    turn *turns = a->turns;
    int64_t steps, item = 0;
    const int n = find_turns(a, t, ema, turns, &steps);
    if (n == 0) return TK_OK;
    const tk_stories all = {.ctx = a, .n = n, .get = get_job};
    tk_status st = tk_studio_open(&a->by, t, ema, &all);
    if (st == TK_OK)
        st = tk_deal_open(a->world, &a->by.mesh.replica, n, "sample", "steps", steps, &a->deal);
    if (st == TK_OK) {
        while (st == TK_OK && (st = tk_deal_next(a->deal, &item)) == TK_OK && item >= 0)
            st = one_job(a, &a->jobs.job[turns[item].job]);
        st = tk_deal_close(a->deal, st);
    }
    if (st == TK_OK) st = tk_session_describe(&a->by.session);
    tk_session_close(&a->by.session);
    return st;
}

// How a job file went, over all data ranks.
static tk_status sum_up(sampling *a, int todo)
{
    const int own = a->by.mesh.replica.rank == 0;
    uint64_t sums[2] = {own ? a->made : 0, own ? a->unmade : 0};
    TK_TRY(tk_comm_sum_u64(a->world, sums, 2));
    tk_log("%llu clips made, %d finished before, %llu failed", (unsigned long long)sums[0],
           a->jobs.n - todo, (unsigned long long)sums[1]);
    return TK_OK;
}

// Rank 0: what a run left that died before it could. Whoever makes another clip there by now keeps
// its own.
static tk_status remove_left(const tk_job *job)
{
    if (tk_reel_owner_look(job->output) != TK_OK) {
        tk_status_clear();
        return TK_OK;
    }
    TK_TRY(tk_reel_files_remove(job->output));
    tk_reel_owner_bury(job->output);
    return TK_OK;
}

static tk_status sample_all(sampling *a)
{
    int todo = 0;
    tk_status st = TK_OK;
    for (int i = 0; i < a->jobs.n; i++) {
        const tk_job *job = &a->jobs.job[i];
        todo += !job->finished;
        if (!job->finished) continue;
        tk_log("%s: finished already, %s.mp4", job->file, job->output);
        if (a->world->rank == 0 && st == TK_OK) st = remove_left(job);
    }
    TK_TRY(tk_agree(a->world, st));
    a->turns = tk_arena_alloc(&a->jobs.arena, (size_t)a->jobs.n * sizeof *a->turns);
    TK_TRY(tk_agree(a->world, a->turns ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the jobs")));
    a->by.parallel = a->jobs.top.parallel;
    tk_studio_layout(&a->by.parallel, a->world->size, todo);
    TK_TRY(tk_mesh_open(&a->by.mesh, a->world, &a->by.parallel, TK_AXIS_TENSOR));
    for (int i = 0; i < a->jobs.n_trained && todo; i++)
        for (int ema = 1; ema >= 0; ema--) TK_TRY(sample_group(a, &a->jobs.trained[i], ema != 0));
    if (a->jobs.many || a->jobs.n > 1) TK_TRY(sum_up(a, todo));
    if (a->failed != TK_OK) tk_status_set(a->failed, a->words);
    return tk_agree(a->world, a->failed);
}

tk_status tk_sample_command(tk_comm *world, tk_invocation *in)
{
    sampling a = {.world = world};
    a.by.step_done = deal_step;
    a.by.ctx = &a;
    TK_TRY(tk_stop_watch());
    TK_TRY(tk_jobs_open(&a.jobs, world, in->files[0], in->n_overrides, in->overrides));
    tk_status st = tk_filter_jobs(&a.jobs, world, NULL, false);
    if (st == TK_OK) st = sample_all(&a);
    tk_mesh_close(&a.by.mesh);
    tk_jobs_close(&a.jobs);
    return st;
}
