// SPDX-License-Identifier: Apache-2.0
// Rows that tensor ranks share unequally: how fast the communicator brings them together as they
// are, beside equal shares, and beside shares padded to the longest that are put together after.
#include "core/base/mem.h"
#include "core/device/event.h"
#include "parallel/mpi/start.h"
#include "train/bench.h"
#include "train/run/ceiling.h"
#include "train/run/run.h"
#include <stdio.h>

enum { ROUNDS = 5, TIMES = 4, WAYS = 3 };

typedef struct shares {
    tk_device *device;
    tk_device_comm *comm;
    tk_dtype type;
    int64_t each, width;     // rows of the shorter shares, elements of a row
    int64_t *equal, *longer; // rows of each rank: all alike; rank 0 has one more
    int64_t *padded;         // and all as many as that
    tk_tensor all, parts;    // rows of all ranks; the same, padded
    double seconds[WAYS];    // the best of some rounds
} shares;

static tk_status gather_shares(const shares *s, const int64_t *counts, void *out)
{
    return tk_all_gather(s->comm, s->parts.data, out, counts, s->width, s->type);
}

// Shares of equal length come to parts and from there, without the rows too many, to where they
// belong.
static tk_status gather_padded(const shares *s)
{
    const size_t row = (size_t)s->width * tk_dtype_size(s->type);
    char *from = s->parts.data, *to = s->all.data;
    TK_TRY(tk_all_gather(s->comm, to, from, s->padded, s->width, s->type));
    for (int i = 0; i < s->comm->size; i++) {
        TK_TRY(tk_device_copy(s->device, to, from, (size_t)s->longer[i] * row));
        from += (size_t)s->padded[i] * row;
        to += (size_t)s->longer[i] * row;
    }
    return TK_OK;
}

static tk_status gather_some(const shares *s, int way)
{
    for (int i = 0; i < TIMES; i++)
        TK_TRY(way == 0   ? gather_shares(s, s->equal, s->all.data)
               : way == 1 ? gather_shares(s, s->longer, s->all.data)
                          : gather_padded(s));
    return TK_OK;
}

static tk_status time_ways(shares *s, tk_event *from, tk_event *to)
{
    for (int round = 0; round <= ROUNDS; round++) // the first touches memory
        for (int way = 0; way < WAYS; way++) {
            double seconds = 0;
            TK_TRY(tk_event_record(from, TK_QUEUE_COMPUTE));
            TK_TRY(gather_some(s, way));
            TK_TRY(tk_event_record(to, TK_QUEUE_COMPUTE));
            TK_TRY(tk_device_sync(s->device));
            TK_TRY(tk_event_seconds(from, to, &seconds));
            if (round == 1 || (round > 1 && seconds < s->seconds[way])) s->seconds[way] = seconds;
        }
    return TK_OK;
}

static tk_status open_shares(shares *s, tk_event *from, tk_event *to)
{
    const int n = s->comm->size;
    const int64_t bytes = 8 << 20; // of all rows, nearly
    s->each = bytes / (n * s->width * (int64_t)tk_dtype_size(s->type)) + 1;
    const int64_t room = n * (s->each + 1);
    TK_NEW(s->equal, 3 * n);
    s->longer = s->equal + n, s->padded = s->longer + n;
    for (int i = 0; i < n; i++) {
        s->equal[i] = s->each;
        s->longer[i] = s->each + (i == 0);
        s->padded[i] = s->each + 1;
    }
    TK_TRY(tk_device_new(s->device, s->type, room, s->width, &s->all));
    TK_TRY(tk_device_new(s->device, s->type, room, s->width, &s->parts));
    TK_TRY(tk_device_zero(s->device, s->all.data, tk_bytes(&s->all)));
    TK_TRY(tk_device_zero(s->device, s->parts.data, tk_bytes(&s->parts)));
    TK_TRY(tk_event_open(from, s->device));
    return tk_event_open(to, s->device);
}

static void print_shares(const shares *s)
{
    const double bytes = (double)s->comm->size * (double)s->each * (double)s->width * TIMES *
                         (double)tk_dtype_size(s->type);
    printf(
        "gathers     %.1f MiB of rows over %d tensor ranks: %.2f GB/s in equal shares; where one "
        "is a row longer %.2f as they are, %.2f padded to the longest and put together\n",
        bytes / TIMES / 0x1p20, s->comm->size, bytes / s->seconds[0] / 1e9,
        bytes / s->seconds[1] / 1e9, bytes / s->seconds[2] / 1e9);
}

tk_status tk_bench_shares(tk_comm *world, tk_config *c)
{
    tk_train_parts p = {0};
    tk_event from = {0}, to = {0};
    tk_status st = tk_train_parts_open(&p, world, c);
    shares s = {.device = &p.device,
                .comm = &p.mesh.axis[TK_AXIS_TENSOR].device,
                .type = tk_product_type(c),
                .width = c->model.hidden};
    if (st == TK_OK) st = tk_agree(world, open_shares(&s, &from, &to));
    if (st == TK_OK) st = tk_parallel_unless_alone(world, time_ways(&s, &from, &to));
    if (st == TK_OK && world->rank == 0) print_shares(&s);
    tk_event_close(&from);
    tk_event_close(&to);
    if (p.device.ops) {
        tk_device_free(&p.device, &s.parts);
        tk_device_free(&p.device, &s.all);
    }
    tk_free(s.equal);
    tk_train_parts_close(&p);
    return st;
}
