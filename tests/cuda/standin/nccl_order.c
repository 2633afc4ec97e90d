// SPDX-License-Identifier: Apache-2.0
// Whether ranks launch the same, in the same order: each tells every other rank that a launch
// concerns, when it is launched. Collectives have one order between any two ranks, over all their
// communicators; messages have one in each direction.
#include "tests/cuda/standin/nccl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLLECTIVES, OUTWARDS, INWARDS, LISTS };

typedef struct list {
    standin_launch *item;
    size_t first, n, cap;
} list;

typedef struct peer {
    list own[LISTS], theirs[LISTS]; // that have no counterpart yet
    int64_t met[LISTS];
} peer;

typedef struct letter {
    struct letter *next;
    standin_launch launch;
    MPI_Request request;
} letter;

static peer *peers;
static letter *letters;

static void add(list *l, const standin_launch *x)
{
    if (l->first + l->n == l->cap) {
        if (l->n) memmove(l->item, l->item + l->first, l->n * sizeof *l->item);
        l->first = 0;
        if (2 * l->n >= l->cap) {
            l->cap = l->cap ? 2 * l->cap : 64;
            l->item = realloc(l->item, l->cap * sizeof *l->item);
            if (!l->item) standin_fault("out of memory");
        }
    }
    l->item[l->first + l->n++] = *x;
}

static bool same(const standin_launch *a, const standin_launch *b)
{
    const bool messages = a->kind + b->kind == STANDIN_SEND + STANDIN_RECEIVE && a->kind != b->kind;
    return (messages || a->kind == b->kind) && a->comm == b->comm && a->type == b->type &&
           a->count == b->count && a->captured == b->captured && a->registered == b->registered &&
           (messages || a->detail == b->detail);
}

static void match(int rank, int which)
{
    peer *p = &peers[rank];
    list *a = &p->own[which], *b = &p->theirs[which];
    while (a->n && b->n) {
        const standin_launch *x = &a->item[a->first], *y = &b->item[b->first];
        char own[128], theirs[128];
        p->met[which]++;
        if (!same(x, y))
            standin_fault("rank %d launches %s as its number %lld with rank %d, which launches %s",
                          standin_world_rank(), standin_describe(x, own, sizeof own),
                          (long long)p->met[which], rank,
                          standin_describe(y, theirs, sizeof theirs));
        a->first++, a->n--;
        b->first++, b->n--;
    }
}

static void need_peers(void)
{
    int size;
    if (peers) return;
    PMPI_Comm_size(MPI_COMM_WORLD, &size);
    peers = calloc((size_t)size, sizeof *peers);
    if (!peers) standin_fault("out of memory");
}

void standin_told(const standin_launch *l, int rank)
{
    letter *x = malloc(sizeof *x);
    const int which = l->kind == STANDIN_SEND      ? OUTWARDS
                      : l->kind == STANDIN_RECEIVE ? INWARDS
                                                   : COLLECTIVES;
    if (!x) standin_fault("out of memory");
    need_peers();
    *x = (letter){.next = letters, .launch = *l};
    letters = x;
    PMPI_Isend(&x->launch, (int)sizeof x->launch, MPI_BYTE, rank, STANDIN_TAG_ORDER, MPI_COMM_WORLD,
               &x->request);
    add(&peers[rank].own[which], l);
    match(rank, which);
}

void standin_hear(void)
{
    need_peers();
    for (int there = 1; there;) {
        MPI_Status s;
        standin_launch l;
        PMPI_Iprobe(MPI_ANY_SOURCE, STANDIN_TAG_ORDER, MPI_COMM_WORLD, &there, &s);
        if (!there) break;
        PMPI_Recv(&l, (int)sizeof l, MPI_BYTE, s.MPI_SOURCE, STANDIN_TAG_ORDER, MPI_COMM_WORLD,
                  MPI_STATUS_IGNORE);
        const int which = l.kind == STANDIN_SEND      ? INWARDS
                          : l.kind == STANDIN_RECEIVE ? OUTWARDS
                                                      : COLLECTIVES;
        add(&peers[s.MPI_SOURCE].theirs[which], &l);
        match(s.MPI_SOURCE, which);
    }
    for (letter **p = &letters; *p;) {
        int done = 0;
        letter *x = *p;
        PMPI_Test(&x->request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            p = &x->next;
            continue;
        }
        *p = x->next;
        free(x);
    }
}
