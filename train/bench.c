// SPDX-License-Identifier: Apache-2.0
#include "train/bench.h"
#include "core/log.h"
#include "train/metrics.h"
#include "train/plan.h"
#include "train/run.h"
#include <dnnl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// ---- GEMM --------------------------------------------------------------------------------------

static tk_status repeat_linear(tk_device *d, const tk_call *c, double seconds, double *rate)
{
    const double before = d->flops;
    TK_TRY(tk_op_forward(d, c)); // not timed: pages are touched, kernels chosen
    const double flops = d->flops - before;
    const double begin = tk_now();
    double now = begin;
    int64_t n = 0;
    do {
        TK_TRY(tk_op_forward(d, c));
        TK_TRY(d->ops->sync(d));
        now = tk_now();
        n++;
    } while (now - begin < seconds);
    *rate = (double)n * flops / (now - begin);
    d->flops = before;
    return TK_OK;
}

tk_status tk_gemm_rate(tk_device *d, int64_t rows, int64_t in, int64_t out, double seconds,
                       double *flops_per_s)
{
    tk_call c = {.op = TK_OP_LINEAR};
    tk_status st = TK_OK;
    *flops_per_s = 0;
    if (!d->ops->computes || rows < 1 || in < 1 || out < 1) return TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, rows, in, &c.in[0]));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, out, in, &c.in[1]));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, rows, out, &c.out[0]));
    TK_TRY_TO(st, done, d->ops->zero(d, c.in[0].data, tk_bytes(&c.in[0])));
    TK_TRY_TO(st, done, d->ops->zero(d, c.in[1].data, tk_bytes(&c.in[1])));
    TK_TRY_TO(st, done, repeat_linear(d, &c, seconds, flops_per_s));
done:
    tk_device_free(d, &c.out[0]);
    tk_device_free(d, &c.in[1]);
    tk_device_free(d, &c.in[0]);
    return st;
}

typedef struct gemm {
    int64_t rows, in, out; // y (rows, out) = x (rows, in) @ w (out, in)^T
    double weight;         // how often in a block
} gemm;

// Seconds of a linear layer's products by dnnl_sgemm alone: y, and with `backward` dx = dy @ w and
// dw = dy^T @ x.
static double linear_seconds(const gemm *g, bool backward, float *x, float *w, float *y)
{
    const double begin = tk_now();
    double now;
    int64_t n = 0;
    do {
        dnnl_sgemm('N', 'T', g->rows, g->out, g->in, 1, x, g->in, w, g->in, 0, y, g->out);
        if (backward) {
            dnnl_sgemm('N', 'N', g->rows, g->in, g->out, 1, y, g->out, w, g->in, 0, x, g->in);
            dnnl_sgemm('T', 'N', g->out, g->in, g->rows, 1, y, g->out, x, g->in, 0, w, g->in);
        }
        now = tk_now();
        n++;
    } while (n < 3 || now - begin < 0.1);
    return (now - begin) / (double)n;
}

tk_status tk_sgemm_rate(const tk_config *c, int64_t rows, bool backward, double *rate)
{
    const tk_model_config *m = &c->model;
    const int64_t T = c->parallel.tensor, inner = tk_split_count(m->heads, T, 0) * m->head_dim;
    const int64_t ffn = tk_split_count(m->ffn, T, 0);
    const gemm shape[] = {{rows, m->hidden, inner, 3},
                          {rows, inner, m->hidden, 1},
                          {rows, m->hidden, 2 * ffn, 1},
                          {rows, ffn, m->hidden, 1}};
    double flops = 0, seconds = 0;
    for (int i = 0; i < 4; i++) {
        const gemm *g = &shape[i];
        float *x = tk_alloc((size_t)(g->rows * g->in) * sizeof *x);
        float *w = tk_alloc((size_t)(g->out * g->in) * sizeof *w);
        float *y = tk_alloc((size_t)(g->rows * g->out) * sizeof *y);
        if (x && w && y) {
            linear_seconds(g, backward, x, w, y); // not counted: warms up
            seconds += g->weight * linear_seconds(g, backward, x, w, y);
            flops +=
                g->weight * (backward ? 6 : 2) * (double)g->rows * (double)g->in * (double)g->out;
        }
        tk_free(x), tk_free(w), tk_free(y);
    }
    *rate = seconds > 0 ? flops / seconds : 0;
    return seconds > 0 ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the GEMM measurement");
}

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
    double rows;           // of a microbatch
    double startup;        // seconds from the start of the process to the first step
} figures;

static tk_status run_steps(tk_trainer *t, int64_t steps, figures *f)
{
    tk_step_result now;
    for (int64_t s = 0; s < steps; s++) {
        TK_TRY(tk_trainer_step(t, s, false, TK_OK, &now));
        if (s == 0) continue; // first touch of all memory
        f->flops += now.flops;
        f->seconds += now.seconds.total;
        f->rows =
            (double)now.rows / (double)t->docs.n * (double)t->micro.count / (double)t->micro.n;
    }
    return TK_OK;
}

static tk_status print_train(tk_comm *world, const tk_config *c, const figures *f, tk_loader *l,
                             int64_t process)
{
    tk_plan plan;
    int64_t peak;
    double rate;
    tk_resident_bytes(&peak);
    TK_TRY(world->ops->barrier(world));
    TK_TRY(tk_sgemm_rate(c, (int64_t)f->rows, true, &rate));
    TK_TRY(world->ops->host_sum_f64(world, &rate, 1));
    TK_TRY(tk_plan_make(c, l, world->rank, process, &plan));
    if (world->rank) return TK_OK;
    const double reached = f->flops / f->seconds;
    printf("startup     %.2f s from the start of the process to the first step\n", f->startup);
    printf("train       %.1f GFLOP/s of model, %.2f of the %.1f GFLOP/s that dnnl_sgemm reaches on "
           "its shapes\n",
           reached / 1e9, reached / rate, rate / 1e9);
    printf("memory      %.1f MiB resident at most on rank 0, %.3f of the %.1f MiB planned\n",
           (double)peak / (1 << 20), (double)peak / (double)plan.total,
           (double)plan.total / (1 << 20));
    return TK_OK;
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
    f.startup = process_age() - rehearsal;
    if (st == TK_OK) st = run_steps(&t, steps + 1, &f);
    if (st == TK_OK) st = print_train(world, c, &f, p.loader, process);
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
    return st;
}

// ---- the loader --------------------------------------------------------------------------------

static tk_status read_file(const char *path, char *buffer, size_t room, double *bytes)
{
    const int fd = open(path, O_RDONLY);
    if (fd < 0) return TK_FAIL(TK_INPUT, "cannot open %s: %s", path, strerror(errno));
    ssize_t n;
    off_t at = 0;
    while ((n = pread(fd, buffer, room, at)) > 0) at += n;
    close(fd);
    *bytes += (double)at;
    return n < 0 ? TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(errno)) : TK_OK;
}

// Bytes a second of plain preads of all clip files, the second time round: from memory, as the
// loader's are.
static tk_status pread_rate(const tk_config *c, double *rate)
{
    enum { ROOM = 1 << 20 };
    char *buffer;
    double bytes = 0, begin = 0;
    tk_status st = TK_OK;
    TK_NEW(buffer, ROOM);
    for (int round = 0; round < 2 && st == TK_OK; round++) {
        bytes = 0;
        begin = tk_now();
        for (int64_t i = 0; i < c->data.n_files && st == TK_OK; i++)
            st = read_file(c->data.files[i], buffer, ROOM, &bytes);
    }
    *rate = bytes / (tk_now() - begin);
    tk_free(buffer);
    return st;
}

static tk_status take_steps(tk_loader *l, const tk_config *c, const tk_microbatches *m,
                            int64_t steps, double *rate)
{
    tk_sample s;
    const uint64_t seed = (uint64_t)c->train.seed;
    const double begin = tk_now();
    TK_TRY(tk_loader_start(l, seed, 0, c->train.batch, m->begin, m->begin + m->count));
    for (int64_t step = 0; step < steps; step++) {
        for (int64_t j = m->begin; j < m->begin + m->count; j++)
            TK_TRY(tk_loader_take(l, step, j, &s));
        tk_loader_release(l, step);
    }
    *rate = (double)tk_loader_bytes(l) / (tk_now() - begin);
    return TK_OK;
}

tk_status tk_bench_loader(tk_comm *world, tk_config *c, int64_t steps)
{
    tk_train_parts p = {0};
    double plain = 0, loader = 0;
    tk_status st = tk_train_parts_open(&p, world, c);
    if (st == TK_OK) st = tk_agree(world, world->rank ? TK_OK : pread_rate(c, &plain));
    if (st == TK_OK) {
        const tk_microbatches m = tk_microbatches_of(&c->train, p.mesh.data.rank, p.mesh.data.size);
        st = tk_agree(world, take_steps(p.loader, c, &m, steps, &loader));
    }
    if (st == TK_OK && world->rank == 0)
        printf("loader      %.1f MB/s of checked and widened clips, %.2f of the %.1f MB/s of plain "
               "pread\n",
               loader / 1e6, loader / plain, plain / 1e6);
    tk_train_parts_close(&p);
    return st;
}
