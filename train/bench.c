// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "train/bench.h"
#include "core/base/log.h"
#include "parallel/mpi/start.h"
#include "train/plan/plan.h"
#include "train/run/ceiling.h"
#include "train/run/choices.h"
#include "train/run/metrics.h"
#include "train/run/run.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// ---- training ----------------------------------------------------------------------------------

// Seconds since this process was started; negative where the system does not tell.
static double process_age(void)
{
    char line[1024];
    unsigned long long ticks = 0;
    struct timespec now;
    FILE *f = fopen("/proc/self/stat", "r");
    if (!f) return -1;
    const bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    const char *rest = read ? strrchr(line, ')') : NULL; // a program's name may hold anything
    if (!rest || sscanf(rest,
                        ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                        "%*s %*s %*s %llu",
                        &ticks) != 1)
        return -1;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec -
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

typedef struct figures {
    double flops, seconds; // of the steps, all ranks
    int64_t steps;
    size_t pool;    // bytes: its peak on this rank
    double rows;    // of a microbatch
    int threads;    // of a rank
    double startup; // seconds from the start of the process to the first step
} figures;

static void count_bench_step(void *ctx, const tk_step_result *now)
{
    figures *f = ctx;
    if (now->step == 0) return; // first touch of all memory
    f->flops += now->flops;
    f->seconds += now->seconds.total;
    f->steps++;
    f->rows = (double)now->rows;
}

static tk_status run_timed_steps(tk_trainer *t, int64_t steps, figures *f)
{
    tk_trainer_listen(t, count_bench_step, f);
    for (int64_t s = 0; s < steps; s++) TK_TRY(tk_trainer_step(t, s, false, TK_OK));
    TK_TRY(tk_trainer_drain(t, false, TK_OK));
    f->rows *= (double)t->micro.count / (double)t->docs.n / (double)t->micro.n;
    return TK_OK;
}

static void print_train(int ranks, const figures *f, const tk_plan *plan, bool host, double rate,
                        const char *words)
{
    int64_t peak = (int64_t)f->pool;
    const int64_t planned = host ? plan->total : plan->pool;
    const double reached = f->flops / f->seconds;
    if (host) tk_resident_bytes(&peak);
    printf("startup     %.2f s from the start of the process to the first step\n", f->startup);
    printf("train       %.1f GFLOP/s of model, %.2f of the %.1f GFLOP/s that %s (%d x %d), %.2f ms "
           "a step\n",
           reached / 1e9, reached / rate, rate / 1e9, words, ranks, f->threads,
           1e3 * f->seconds / (double)f->steps);
    printf("memory      %.1f MiB %s at most on rank 0, %.3f of the %.1f MiB planned\n",
           (double)peak / (1 << 20), host ? "resident" : "of the pool",
           (double)peak / (double)planned, (double)planned / (1 << 20));
}

// Collective.
static tk_status compare_train(tk_comm *world, const tk_config *c, const figures *f,
                               tk_train_parts *p, int64_t process)
{
    const char *words;
    tk_plan plan;
    double rate;
    TK_TRY(tk_comm_barrier(world));
    TK_TRY(tk_agree(world, tk_model_ceiling(&p->device, c, (int64_t)f->rows, true, &rate, &words)));
    TK_TRY(tk_comm_sum_f64(world, &rate, 1));
    const tk_plan_of of = {.config = c, .loader = p->loader, .process = process};
    TK_TRY(tk_agree(world, tk_plan_make(&of, world->rank, &plan)));
    if (world->rank == 0) print_train(world->size, f, &plan, tk_plan_on_host(c), rate, words);
    return tk_agree(world,
                    world->rank ? TK_OK : tk_check_fraction("train", f->flops / f->seconds, rate));
}

tk_status tk_bench_train(tk_comm *world, tk_config *c, int64_t steps)
{
    int64_t process = 0;
    tk_train_parts p = {0};
    tk_trainer t = {0};
    figures f = {0};
    tk_status st = tk_train_parts_open(&p, world, c);
    const double begin = tk_now();
    if (st == TK_OK) st = tk_agree(world, tk_plan_process(c, p.loader, &process));
    const double rehearsal = tk_now() - begin;
    if (st == TK_OK) st = tk_agree(world, tk_trainer_open(&t, c, &p.mesh, &p.device, p.loader));
    if (st == TK_OK) st = tk_agree(world, tk_trainer_init(&t));
    if (st == TK_OK) st = tk_agree(world, tk_trainer_start(&t, 0));
    if (st == TK_OK) st = tk_parallel_unless_alone(world, tk_run_choices(world, &t, NULL, 0));
    f.startup = process_age() - rehearsal;
    f.threads = p.device.threads;
    if (st == TK_OK) st = tk_parallel_unless_alone(world, run_timed_steps(&t, steps + 1, &f));
    f.pool = p.device.pool.peak;
    if (st == TK_OK) st = compare_train(world, c, &f, &p, process);
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
    return st;
}

// ---- the loader --------------------------------------------------------------------------------

enum { ROOM = 1 << 20, ROUNDS = 6, MOST_ROUNDS = 36 };
static const double MOST = 1 << 30; // bytes of the files that are read in a round

// Reads from the file's start on until its end, or until *bytes of all files reach MOST.
static tk_status read_for_rate(const char *path, char *buffer, double *bytes)
{
    int fd;
    TK_TRY(tk_file_open(path, &fd, NULL));
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, buffer, ROOM, at)) > 0 && *bytes < MOST) at += n, *bytes += (double)n;
    close(fd);
    return n < 0 ? TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(errno)) : TK_OK;
}

// Bytes a second of plain preads of the clip files from their beginning to their end.
static tk_status pread_rate(const tk_config *c, double *rate)
{
    char *buffer;
    tk_status st = TK_OK;
    TK_NEW(buffer, ROOM);
    memset(buffer, 1, ROOM); // its pages are there before the clock runs
    double bytes = 0, begin = tk_now();
    for (int64_t i = 0; i < c->data.n_files && st == TK_OK; i++)
        st = read_for_rate(c->data.files[i], buffer, &bytes);
    *rate = bytes / (tk_now() - begin);
    tk_free(buffer);
    return st;
}

// The same of plain preads of the very samples that the loader reads, in its order: the rate it
// would have if checking, widening and handing over cost nothing. `raw`: room for the largest part.
static tk_status sample_rate(tk_loader *l, const tk_config *c, const tk_microbatches *m, void *raw,
                             double *rate)
{
    const tk_bucket *b;
    const double begin = tk_now();
    double bytes = 0, now = begin;
    for (int64_t step = 0; now < begin + 0.1; step++, now = tk_now())
        for (int64_t j = m->begin; j < m->begin + m->count; j++) {
            int64_t index = tk_loader_sample(l, (uint64_t)c->train.seed, step, c->train.batch, j);
            TK_TRY(tk_loader_read_raw(l, index, raw));
            tk_loader_info(l, index, &b);
            bytes += (double)(b->video_bytes + b->audio_bytes);
        }
    *rate = bytes / (now - begin);
    return TK_OK;
}

static tk_status take_step(tk_loader *l, const tk_microbatches *m, int64_t step)
{
    tk_sample s;
    for (int64_t j = m->begin; j < m->begin + m->count; j++) TK_TRY(tk_loader_take(l, step, j, &s));
    tk_loader_release(l, step);
    return TK_OK;
}

// Bytes a second that the loader's threads read, check and widen while steps are taken as fast as
// they come. Two turns of its ring go before, uncounted: threads start and memory is touched.
static tk_status loader_rate(tk_loader *l, const tk_config *c, const tk_microbatches *m,
                             double *rate)
{
    const int64_t before = 2 * (c->data.prefetch + 1);
    double begin = 0, now = 0;
    int64_t bytes = 0;
    TK_TRY(tk_loader_start(l, (uint64_t)c->train.seed, 0, c->train.batch, m->begin,
                           m->begin + m->count));
    for (int64_t step = 0; m->count && (step < 2 * before || now < begin + 0.1); step++) {
        if (step == before) begin = tk_now(), bytes = tk_loader_bytes(l);
        TK_TRY(take_step(l, m, step));
        now = tk_now();
    }
    *rate = m->count ? (double)(tk_loader_bytes(l) - bytes) / (now - begin) : 0;
    // Threads stop: the next measurement has the cores to itself.
    return tk_loader_start(l, 0, 0, c->train.batch, 0, 0);
}

static int64_t largest_part(const tk_loader *l)
{
    int64_t most = 1;
    const tk_bucket *b;
    for (int64_t i = 0; i < tk_loader_count(l); i++) {
        tk_loader_info(l, i, &b);
        int64_t part = b->video_bytes > b->audio_bytes ? b->video_bytes : b->audio_bytes;
        most = part > most ? part : most;
    }
    return most;
}

// Rates of plain preads of whole files, of samples, and of the loader. Rank 0 measures the first
// two alone.
static tk_status measure_round(tk_comm *world, tk_train_parts *p, const tk_config *c, char *raw,
                               double now[3])
{
    const tk_axis_row *data = &p->mesh.axis[TK_AXIS_DATA];
    const tk_microbatches m = tk_microbatches_of(&c->train, data->rank, data->degree);
    tk_status st = TK_OK;
    now[0] = now[1] = 0;
    if (world->rank == 0) {
        st = pread_rate(c, &now[0]);
        if (st == TK_OK) st = sample_rate(p->loader, c, &m, raw, &now[1]);
    }
    TK_TRY(tk_agree(world, st));
    return tk_agree(world, loader_rate(p->loader, c, &m, &now[2]));
}

// Best of the rounds but the first, which fills the page cache. Whatever else the machine does
// makes rates smaller, never larger: while the loader stands above its ceiling, that has not yet
// been seen undisturbed, and there are more rounds.
static tk_status measure_loader(tk_comm *world, tk_train_parts *p, const tk_config *c, char *raw,
                                double best[3])
{
    bool more = true;
    for (int round = 0; more; round++) {
        double now[3];
        TK_TRY(measure_round(world, p, c, raw, now));
        for (int i = 0; i < 3 && round; i++) best[i] = now[i] > best[i] ? now[i] : best[i];
        more = round + 1 < ROUNDS || (best[2] > best[1] && round + 1 < MOST_ROUNDS);
        TK_TRY(tk_comm_broadcast(world, &more, sizeof more, 0));
    }
    return TK_OK;
}

tk_status tk_bench_loader(tk_comm *world, tk_config *c)
{
    tk_train_parts p = {0};
    double best[3] = {0}; // bytes a second
    char *raw = NULL;
    tk_status st = tk_train_parts_open(&p, world, c);
    if (st == TK_OK) {
        raw = tk_alloc((size_t)largest_part(p.loader));
        st = tk_agree(world, raw ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the bench"));
    }
    if (st == TK_OK) st = measure_loader(world, &p, c, raw, best);
    if (st == TK_OK && world->rank == 0)
        printf("loader      %.1f MB/s of checked and widened clips, %.2f of the %.1f MB/s of plain "
               "pread of the same clips, %.2f of the %.1f MB/s of the files from end to end\n",
               best[2] / 1e6, best[2] / best[1], best[1] / 1e6, best[2] / best[0], best[0] / 1e6);
    if (st == TK_OK)
        st = tk_agree(world, world->rank ? TK_OK : tk_check_fraction("loader", best[2], best[1]));
    tk_free(raw);
    tk_train_parts_close(&p);
    return st;
}
