// SPDX-License-Identifier: Apache-2.0
// Operations under way. Bytes are copied out of the device's memory when the work begins and into
// it when it ends, so that MPI never touches that memory in between.
#include "core/numbers/half.h"
#include "tests/cuda/standin/nccl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *need(size_t bytes)
{
    void *x = calloc(bytes ? bytes : 1, 1);
    if (!x) standin_fault("out of memory");
    return x;
}

// Bytes that go from rank `from` to rank `to`, and where they lie in the input of `from`.
static size_t part(const standin_op *o, int from, int to, size_t *at)
{
    const size_t all = (size_t)o->launch.count * standin_size((ncclDataType_t)o->launch.type);
    const bool mine = from == o->comm->rank;
    *at = 0;
    switch (o->launch.kind) {
    case STANDIN_SEND:
        return mine && to == o->peer ? all : 0;
    case STANDIN_RECEIVE:
        return !mine && from == o->peer ? all : 0;
    case STANDIN_BROADCAST:
        return from == o->peer ? all : 0;
    case STANDIN_REDUCE_SCATTER:
        *at = (size_t)to * all;
        return all;
    case STANDIN_CLOSING:
        return 0;
    default:
        return all;
    }
}

static void begin_op(standin_op *o)
{
    struct ncclComm *c = o->comm;
    const size_t size = (size_t)c->size;
    size_t total = 0, at;
    for (int to = 0; to < c->size; to++) total += part(o, c->rank, to, &at);
    o->away = need(total);
    o->came = need(size * sizeof *o->came);
    o->request = need(2 * size * sizeof *o->request);
    char *out = o->away;
    for (int k = 0; k < c->size; k++) {
        const int tag = STANDIN_TAG_DATA + c->id;
        o->request[2 * k] = o->request[2 * k + 1] = MPI_REQUEST_NULL;
        const size_t away = part(o, c->rank, k, &at);
        if (away) memcpy(out, (const char *)o->in + at, away);
        if (away && k != c->rank) {
            PMPI_Isend(out, (int)away, MPI_BYTE, c->world_of[k], tag, MPI_COMM_WORLD,
                       &o->request[2 * k]);
            c->sent += (int64_t)away;
        }
        const size_t in = part(o, k, c->rank, &at);
        o->came[k] = need(in);
        if (in && k == c->rank) memcpy(o->came[k], out, in);
        if (in && k != c->rank)
            PMPI_Irecv(o->came[k], (int)in, MPI_BYTE, c->world_of[k], tag, MPI_COMM_WORLD,
                       &o->request[2 * k + 1]);
        out += away;
    }
}

static void add_into(char *sum, const char *x, int64_t n, ncclDataType_t t, ncclRedOp_t how)
{
    for (int64_t i = 0; i < n; i++) {
        if (t == ncclInt32) {
            int32_t *a = (int32_t *)sum + i;
            const int32_t b = ((const int32_t *)x)[i];
            *a = how == ncclMax ? (b > *a ? b : *a) : (int32_t)((uint32_t)*a + (uint32_t)b);
            continue;
        }
        float a, b;
        if (t == ncclFloat32) {
            a = ((const float *)sum)[i], b = ((const float *)x)[i];
        } else {
            a = tk_bf16_to_float(((const uint16_t *)sum)[i]);
            b = tk_bf16_to_float(((const uint16_t *)x)[i]);
        }
        a = how == ncclMax ? (b > a ? b : a) : a + b;
        if (t == ncclFloat32)
            ((float *)sum)[i] = a;
        else
            ((uint16_t *)sum)[i] = tk_bf16_from_float(a); // at every rank, as in a ring
    }
}

static void end_op(standin_op *o)
{
    struct ncclComm *c = o->comm;
    const ncclDataType_t t = (ncclDataType_t)o->launch.type;
    const size_t bytes = (size_t)o->launch.count * standin_size(t);
    switch (o->launch.kind) {
    case STANDIN_ALL_GATHER:
        for (int k = 0; k < c->size; k++)
            memcpy((char *)o->out + (size_t)k * bytes, o->came[k], bytes);
        break;
    case STANDIN_ALL_REDUCE:
    case STANDIN_REDUCE_SCATTER: { // from the rank after the last summand on: an order of a ring's
        const int first = o->launch.kind == STANDIN_ALL_REDUCE ? 1 : c->rank + 1;
        char *sum = o->came[first % c->size];
        for (int k = 1; k < c->size; k++)
            add_into(sum, o->came[(first + k) % c->size], o->launch.count, t,
                     (ncclRedOp_t)o->launch.detail);
        memcpy(o->out, sum, bytes);
        break;
    }
    case STANDIN_BROADCAST:
    case STANDIN_RECEIVE:
        memcpy(o->out, o->came[o->peer], bytes);
        break;
    default:
        break;
    }
}

static void free_op(standin_op *o)
{
    for (int k = 0; k < o->comm->size; k++) free(o->came[k]);
    free(o->came);
    free(o->away);
    free(o->request);
    free(o);
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Whether a message goes over the slow link between two ranks of the world; *longer: seconds.
static bool is_slow(const standin_work *w, double *longer)
{
    const char *said = getenv("STANDIN_NCCL_SLOW");
    int a, b, ms, own = standin_world_rank();
    if (!said || sscanf(said, "%d:%d:%d", &a, &b, &ms) != 3) return false;
    *longer = 1e-3 * ms;
    for (const standin_op *o = w->ops; o; o = o->next) {
        const bool message = o->launch.kind == STANDIN_SEND || o->launch.kind == STANDIN_RECEIVE;
        const int peer = message ? w->comm->world_of[o->peer] : own;
        if ((own == a && peer == b) || (own == b && peer == a)) return true;
    }
    return false;
}

static bool comes_later(standin_work *w)
{
    double longer;
    if (w->ends <= 0) w->ends = is_slow(w, &longer) ? seconds_now() + longer : 1;
    return w->ends > 1 && seconds_now() < w->ends;
}

standin_turn standin_move(standin_work *w)
{
    struct ncclComm *c = w->comm;
    const standin_turn not_yet =
        c->ended ? STANDIN_DONE : STANDIN_NOT_YET; // what is aborted lets go
    int done = 1;
    standin_hear();
    if (w->lost || c->done < w->turn) return not_yet;
    for (standin_op *o = w->ops; o && !w->begun; o = o->next) begin_op(o);
    w->begun = true;
    for (standin_op *o = w->ops; o; o = o->next) {
        int all = 0;
        PMPI_Testall(2 * c->size, o->request, &all, MPI_STATUSES_IGNORE);
        done &= all;
    }
    if (!done || comes_later(w)) return not_yet;
    for (standin_op *o = w->ops, *next; o; o = next) {
        next = o->next;
        end_op(o);
        free_op(o);
    }
    c->done++;
    free(w);
    return STANDIN_DONE;
}
