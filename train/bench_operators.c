// SPDX-License-Identifier: Apache-2.0
// Where a training step's time goes on the device, operator by operator, beside what the device
// reaches at best. An event behind each operator, on its queue, tells when it was done.
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/device/event.h"
#include "core/device/ledger.h"
#include "parallel/mpi/start.h"
#include "train/bench.h"
#include "train/run/ceiling.h"
#include "train/run/choices.h"
#include "train/run/run.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 2 * TK_OP_COUNT };

typedef struct line { // an operator, forward or backward
    int64_t calls, bytes;
    double flops, seconds;
} line;

typedef struct mark { // what was done when its event is
    int line;         // -1: no operator
    tk_event event;
} mark;

typedef struct record {
    tk_device *device;
    line lines[LINES];
    mark *marks;
    int n, room;
    tk_status st;
} record;

static int line_of(tk_op op, bool back)
{
    return 2 * (int)op + back;
}

static tk_status next_mark(record *r, mark **out)
{
    TK_ROOM_FOR_ONE(r->marks, r->n, r->room, 1024);
    *out = &r->marks[r->n];
    if (!(*out)->event.device) TK_TRY(tk_event_open(&(*out)->event, r->device));
    r->n++;
    return TK_OK;
}

static tk_status note(record *r, const tk_work *w)
{
    mark *m = NULL;
    if (r->device->queue != TK_QUEUE_COMPUTE) return TK_OK;
    TK_TRY(next_mark(r, &m));
    m->line = w->call ? line_of(w->call->op, w->back) : -1;
    TK_TRY(tk_event_record(&m->event, TK_QUEUE_COMPUTE));
    if (m->line < 0) return TK_OK;
    line *l = &r->lines[m->line];
    l->calls++;
    l->bytes += w->read + w->written;
    l->flops += w->flops;
    return TK_OK;
}

static double note_work(void *ctx, const tk_work *w)
{
    record *r = ctx;
    if (r->st == TK_OK) r->st = note(r, w);
    return 0;
}

// Between two marks lies the operator of the second.
static tk_status sum_times(record *r)
{
    for (int i = 1; i < r->n; i++) {
        double seconds;
        if (r->marks[i].line < 0) continue;
        TK_TRY(tk_event_seconds(&r->marks[i - 1].event, &r->marks[i].event, &seconds));
        r->lines[r->marks[i].line].seconds += seconds;
    }
    return TK_OK;
}

static void record_free(record *r)
{
    for (int i = 0; i < r->room; i++) tk_event_close(&r->marks[i].event);
    tk_free(r->marks);
}

// ---- ceilings ----------------------------------------------------------------------------------

// Bytes a second, read and written, of copies within the device that no cache holds.
static tk_status copy_rate(tk_device *d, double *rate)
{
    enum { TIMES = 4 };
    const int64_t bytes = d->ops->cards ? 256 << 20 : 64 << 20;
    tk_tensor a = {0}, b = {0};
    tk_event from = {0}, to = {0};
    double seconds = 0;
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, bytes / 4, 1, &a));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, bytes / 4, 1, &b));
    TK_TRY_TO(st, done, tk_event_open(&from, d));
    TK_TRY_TO(st, done, tk_event_open(&to, d));
    TK_TRY_TO(st, done, tk_device_zero(d, a.data, (size_t)bytes)); // its pages are there
    TK_TRY_TO(st, done, tk_device_copy(d, b.data, a.data, (size_t)bytes));
    TK_TRY_TO(st, done, tk_event_record(&from, TK_QUEUE_COMPUTE));
    for (int i = 0; i < TIMES; i++)
        TK_TRY_TO(st, done, tk_device_copy(d, b.data, a.data, (size_t)bytes));
    TK_TRY_TO(st, done, tk_event_record(&to, TK_QUEUE_COMPUTE));
    TK_TRY_TO(st, done, tk_device_sync(d));
    TK_TRY_TO(st, done, tk_event_seconds(&from, &to, &seconds));
    *rate = 2.0 * (double)bytes * TIMES / seconds;
done:
    tk_event_close(&from);
    tk_event_close(&to);
    tk_device_free(d, &b);
    tk_device_free(d, &a);
    return st;
}

typedef struct ceilings {
    double flops, bytes; // a second
    int64_t side;        // of the square product that `flops` was measured on
} ceilings;

static tk_status find_ceilings(tk_device *d, tk_dtype type, ceilings *c)
{
    TK_TRY(copy_rate(d, &c->bytes));
    return tk_square_rate(d, type, &c->side, &c->flops);
}

// ---- printing ----------------------------------------------------------------------------------

static const line *sorted_by;

static int longest_line(const void *a, const void *b)
{
    const double x = sorted_by[*(const int *)a].seconds, y = sorted_by[*(const int *)b].seconds;
    return (x < y) - (x > y);
}

static void print_line(const line *l, int which, double all, const ceilings *c)
{
    printf("  %-14s %-8s %6" PRId64 " calls %10.3f ms %5.1f%%", tk_op_table[which / 2].name,
           which % 2 ? "backward" : "forward", l->calls, 1e3 * l->seconds, 100 * l->seconds / all);
    if (l->flops > 0)
        printf("  %9.1f GFLOP/s, %.2f of products", l->flops / l->seconds / 1e9,
               l->flops / l->seconds / c->flops);
    printf("  %8.1f GB/s, %.2f of copies\n", (double)l->bytes / l->seconds / 1e9,
           (double)l->bytes / l->seconds / c->bytes);
}

static void print_operators(const record *r, const ceilings *c, double step)
{
    int order[LINES], n = 0;
    double all = 0;
    for (int i = 0; i < LINES; i++)
        if (r->lines[i].calls) order[n++] = i, all += r->lines[i].seconds;
    sorted_by = r->lines;
    qsort(order, (size_t)n, sizeof *order, longest_line);
    printf("operators   %.2f ms of a step of %.2f ms on rank 0 (products of %" PRId64
           " cubed: %.1f GFLOP/s, copies: %.1f GB/s; bytes are the least there must be)\n",
           1e3 * all, 1e3 * step, c->side, c->flops / 1e9, c->bytes / 1e9);
    for (int i = 0; i < n; i++) print_line(&r->lines[order[i]], order[i], all, c);
}

// What one step is of, and the memory it takes: of the pool at its peak, and of the device all that
// is taken of it now, by drivers and libraries as well.
static tk_status print_step(const tk_trainer *t, tk_device *d)
{
    int64_t rows[TK_MODALITIES] = {0};
    for (int64_t i = 0; i < t->docs.n; i++)
        for (int m = 0; m < TK_MODALITIES; m++) rows[m] += t->docs.document[i].rows[m];
    printf("step        %" PRId64 " documents, rows: %" PRId64 " video, %" PRId64 " audio, %" PRId64
           " text\n",
           t->docs.n, rows[TK_VIDEO], rows[TK_AUDIO], rows[TK_TEXT]);
    printf("pool        %.1f MiB at most on rank 0\n", (double)d->pool.peak / 0x1p20);
    size_t available, total;
    if (!tk_device_maps(d)) return TK_OK;
    TK_TRY(tk_device_memory(d, &available, &total));
    printf("device      %.1f MiB taken of %.1f\n", (double)(total - available) / 0x1p20,
           (double)total / 0x1p20);
    return TK_OK;
}

// ---- measuring ---------------------------------------------------------------------------------

static void keep_seconds(void *ctx, const tk_step_result *now)
{
    *(double *)ctx = now->seconds.total;
}

// Some steps go before, which touch memory and choose kernels.
static tk_status recorded_step(tk_trainer *t, record *r, double *seconds)
{
    enum { BEFORE = 2 };
    tk_ledger ledger = {.price = note_work, .ctx = r};
    tk_trainer_listen(t, keep_seconds, seconds);
    for (int64_t s = 0; s < BEFORE; s++) TK_TRY(tk_trainer_step(t, s, false, TK_OK));
    TK_TRY(tk_trainer_drain(t, false, TK_OK));
    r->device->ledger = &ledger;
    tk_status st = tk_trainer_step(t, BEFORE, false, TK_OK);
    if (st == TK_OK) st = tk_trainer_drain(t, false, TK_OK);
    r->device->ledger = NULL;
    if (st == TK_OK) st = r->st;
    if (st == TK_OK) st = tk_device_sync(r->device);
    return st == TK_OK ? sum_times(r) : st;
}

tk_status tk_bench_operators(tk_comm *world, tk_config *c)
{
    tk_train_parts p = {0};
    tk_trainer t = {0};
    ceilings best = {0};
    double seconds = 0;
    tk_status st = tk_train_parts_open(&p, world, c);
    record r = {.device = &p.device};
    if (st == TK_OK) st = tk_agree(world, tk_trainer_open(&t, c, &p.mesh, &p.device, p.loader));
    if (st == TK_OK) st = tk_agree(world, tk_trainer_init(&t));
    if (st == TK_OK) st = tk_agree(world, tk_trainer_start(&t, 0));
    if (st == TK_OK) st = tk_parallel_unless_alone(world, tk_run_choices(world, &t, NULL, 0));
    if (st == TK_OK) st = tk_parallel_unless_alone(world, recorded_step(&t, &r, &seconds));
    if (st == TK_OK) st = tk_agree(world, world->rank ? TK_OK : print_step(&t, &p.device));
    tk_trainer_close(&t); // ceilings need memory of their own
    if (st == TK_OK) st = tk_agree(world, find_ceilings(&p.device, tk_product_type(c), &best));
    if (st == TK_OK && world->rank == 0) print_operators(&r, &best, seconds);
    record_free(&r);
    tk_train_parts_close(&p);
    return st;
}
