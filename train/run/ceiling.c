// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "train/run/ceiling.h"
#include "core/base/log.h"
#include "core/device/ops/ops.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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
        TK_TRY(tk_device_sync(d));
        now = tk_now();
        n++;
    } while (now - begin < seconds);
    *rate = (double)n * flops / (now - begin);
    d->flops = before;
    return TK_OK;
}

tk_status tk_gemm_rate(tk_device *d, tk_dtype t, int64_t rows, int64_t in, int64_t out,
                       double seconds, double *flops_per_s)
{
    tk_call c = {.op = TK_OP_LINEAR};
    tk_status st = TK_OK;
    *flops_per_s = 0;
    if (!tk_device_computes(d) || rows < 1 || in < 1 || out < 1) return TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, t, rows, in, &c.in[0]));
    TK_TRY_TO(st, done, tk_device_new(d, t, out, in, &c.in[1]));
    TK_TRY_TO(st, done, tk_device_new(d, t, rows, out, &c.out[0]));
    TK_TRY_TO(st, done, tk_device_zero(d, c.in[0].data, tk_bytes(&c.in[0])));
    TK_TRY_TO(st, done, tk_device_zero(d, c.in[1].data, tk_bytes(&c.in[1])));
    TK_TRY_TO(st, done, repeat_linear(d, &c, seconds, flops_per_s));
done:
    tk_device_free(d, &c.out[0]);
    tk_device_free(d, &c.in[1]);
    tk_device_free(d, &c.in[0]);
    return st;
}

// Three matrices of fp32 take at most a 64th of a card's memory.
int64_t tk_square_side(tk_device *d)
{
    enum { MOST = 8192, LEAST = 256, HOST = 1024 };
    size_t available, total = 0;
    if (!d->ops->cards) return HOST;
    if (tk_device_memory(d, &available, &total) != TK_OK) tk_status_clear();
    int64_t side = MOST;
    while (side > LEAST && 3 * 64 * side * side * (int64_t)sizeof(float) > (int64_t)total)
        side /= 2;
    return side;
}

tk_status tk_square_rate(tk_device *d, tk_dtype t, int64_t *side, double *flops_per_s)
{
    *side = tk_square_side(d);
    return tk_gemm_rate(d, t, *side, *side, *side, 0.1, flops_per_s);
}

typedef struct products { // arguments of gemm_ceiling
    char text[64][24];
    char *argv[65];
    int n;
} products;

static void add_number(products *p, int64_t x)
{
    snprintf(p->text[p->n], sizeof p->text[0], "%lld", (long long)x);
    p->argv[p->n] = p->text[p->n];
    p->n++;
}

static void add_product(products *p, int64_t times, int64_t m, int64_t n, int64_t k)
{
    add_number(p, times), add_number(p, m), add_number(p, n), add_number(p, k);
}

// y (rows, out) = x (rows, in) @ w (out, in)^T; with `backward` dx = dy @ w and dw = dy^T @ x.
static void add_layer(products *p, int64_t times, int64_t rows, int64_t in, int64_t out,
                      bool backward)
{
    add_product(p, times, rows, out, in);
    if (!backward) return;
    add_product(p, times, rows, in, out);
    add_product(p, times, out, in, rows);
}

// The program gemm_ceiling, which lies beside this one.
static tk_status ceiling_path(char path[PATH_MAX])
{
    static const char name[] = "gemm_ceiling";
    const ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof name - 1);
    if (n <= 0) return TK_FAIL(TK_IO, "cannot find this program: %s", strerror(errno));
    path[n] = 0;
    snprintf(strrchr(path, '/') + 1, sizeof name, "%s", name);
    return TK_OK;
}

// Starts it and reads the one number that it says.
static tk_status ask_ceiling(char *const argv[], double *rate)
{
    char path[PATH_MAX], said[64] = "";
    int pipes[2], status = -1, err;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;
    TK_TRY(ceiling_path(path));
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return TK_FAIL(TK_IO, "cannot make a pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO);
    sigemptyset(&none); // a signal that is for this program's listener ends that one
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &none);
    err = posix_spawn(&pid, path, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(pipes[1]);
    if (err == 0) {
        size_t have = 0;
        ssize_t n;
        while (have + 1 < sizeof said &&
               (n = read(pipes[0], said + have, sizeof said - 1 - have)) > 0)
            have += (size_t)n;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    close(pipes[0]);
    if (err)
        return TK_FAIL(TK_IO, "cannot start %s: %s; make builds it beside talkie", path,
                       strerror(err));
    if (status != 0 || sscanf(said, "%lf", rate) != 1 || !(*rate > 0))
        return TK_FAIL(TK_IO, "%s said no rate (wait status %d)", path, status);
    return TK_OK;
}

tk_status tk_gemm_ceiling(const tk_config *c, int threads, int64_t rows, bool backward,
                          double *rate)
{
    const tk_model_config *m = &c->model;
    const int64_t T = c->parallel.tensor, inner = tk_split_count(m->heads, T, 0) * m->head_dim;
    const int64_t ffn = tk_split_count(m->ffn, T, 0);
    products p = {.n = 0};
    p.argv[p.n++] = "gemm_ceiling";
    add_number(&p, threads);
    add_layer(&p, 3, rows, m->hidden, inner, backward);
    add_layer(&p, 1, rows, inner, m->hidden, backward);
    add_layer(&p, 1, rows, m->hidden, 2 * ffn, backward);
    add_layer(&p, 1, rows, ffn, m->hidden, backward);
    return ask_ceiling(p.argv, rate);
}

tk_status tk_check_fraction(const char *what, double reached, double ceiling)
{
    if (reached <= ceiling) return TK_OK;
    return TK_FAIL(
        TK_NUMERIC,
        "%s: %.3g is %.2f of a ceiling of %.3g. More than all cannot be: one of the two was "
        "measured wrongly, or the machine was busy with something else. Do not use these "
        "figures; measure again on an idle machine",
        what, reached, reached / ceiling, ceiling);
}

tk_dtype tk_product_type(const tk_config *c)
{
    return c->train.precision == TK_PRECISION_BF16 ? TK_BF16 : TK_F32;
}

tk_status tk_model_ceiling(tk_device *d, const tk_config *c, int64_t rows, bool backward,
                           double *rate, const char **words)
{
    int64_t side;
    *words = "dnnl_sgemm reaches on its shapes and threads";
    if (!d->ops->cards) return tk_gemm_ceiling(c, d->threads, rows, backward, rate);
    *words = "its large square product reaches";
    return tk_square_rate(d, tk_product_type(c), &side, rate);
}
