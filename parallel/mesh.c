// SPDX-License-Identifier: Apache-2.0
// The mesh: degrees filled in and checked, then one communicator per axis.
#include "parallel/mesh.h"
#include "parallel/mpi/comm.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- degrees -----------------------------------------------------------------------------------

typedef struct layout {
    int64_t tensor, pipeline, data;
    double distance; // from what was asked for
} layout;

enum { NEAREST = 3 };

static double distance(const tk_parallel_config *p, const layout *l)
{
    const int64_t asked[] = {p->tensor, p->pipeline, p->data};
    const int64_t got[] = {l->tensor, l->pipeline, l->data};
    double sum = 0;
    for (int i = 0; i < 3; i++)
        if (asked[i] > 0) sum += fabs(log((double)got[i] / (double)asked[i]));
    return sum;
}

// best: (NEAREST) in order of distance; returns how many were found.
static int nearest_layouts(const tk_parallel_config *p, int64_t world, layout *best)
{
    int n = 0;
    for (int64_t t = 1; t <= world; t++) {
        if (world % t) continue;
        for (int64_t s = 1; s <= world / t; s++) {
            layout l = {t, s, world / t / s, 0};
            if (world / t % s) continue;
            l.distance = distance(p, &l);
            int at = n < NEAREST ? n++ : NEAREST;
            for (; at > 0 && l.distance < best[at - 1].distance; at--)
                if (at < NEAREST) best[at] = best[at - 1];
            if (at < NEAREST) best[at] = l;
        }
    }
    return n;
}

static tk_status does_not_fit(const tk_parallel_config *p, int64_t world, const char *sum)
{
    layout best[NEAREST];
    char list[256] = "";
    int n = nearest_layouts(p, world, best);
    for (int i = 0; i < n; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%lld x %lld x %lld",
                 i ? ", " : "", (long long)best[i].tensor, (long long)best[i].pipeline,
                 (long long)best[i].data);
    return TK_FAIL(TK_INPUT,
                   "the mesh does not fit: %s, but %lld rank%s started; nearest layouts (tensor x "
                   "pipeline x data) of %lld: %s",
                   sum, (long long)world, world == 1 ? " was" : "s were", (long long)world, list);
}

// The axis that takes what the others leave: `absorb` if it was left open, else another open one.
static int64_t *open_axis(tk_parallel_config *p, tk_axis absorb)
{
    int64_t *axis[] = {&p->tensor, &p->pipeline, &p->data};
    const int order[] = {(int)absorb, TK_AXIS_DATA, TK_AXIS_TENSOR, TK_AXIS_PIPELINE};
    for (int i = 0; i < 4; i++)
        if (*axis[order[i]] == 0) return axis[order[i]];
    return NULL;
}

static tk_status fill_degrees(tk_parallel_config *p, int64_t world, tk_axis absorb)
{
    const tk_parallel_config asked = *p;
    char sum[160];
    int64_t product = 0;
    if (p->tensor < 0 || p->pipeline < 0 || p->data < 0)
        return TK_FAIL(TK_INPUT, "parallel.tensor, .pipeline and .data must not be negative");
    int64_t *open = open_axis(p, absorb);
    if (p->tensor == 0) p->tensor = 1;
    if (p->pipeline == 0) p->pipeline = 1;
    if (p->data == 0) p->data = 1;
    if (p->tensor > world || p->pipeline > world || p->data > world)
        product = INT64_MAX;
    else
        product = p->tensor * p->pipeline *
                  p->data; // at most the cube of the world, which has less than 2^20 ranks
    if (open && product <= world && world % product == 0) {
        *open = world / product;
        return TK_OK;
    }
    if (!open && product == world) return TK_OK;
    int n = snprintf(sum, sizeof sum, "tensor %lld x pipeline %lld x data %lld",
                     (long long)p->tensor, (long long)p->pipeline, (long long)p->data);
    if (product < INT64_MAX)
        snprintf(sum + n, sizeof sum - (size_t)n, " = %lld%s", (long long)product,
                 open ? ", which does not divide the world" : "");
    *p = asked;
    return does_not_fit(p, world, sum);
}

// ---- communicators -----------------------------------------------------------------------------

static tk_status open_axes(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb)
{
    int64_t asked[] = {p->tensor, p->pipeline, p->data, absorb};
    TK_TRY(tk_same(world, "the mesh (parallel.tensor, .pipeline, .data)", asked, sizeof asked));
    TK_TRY(tk_agree(world, fill_degrees(p, world->size, absorb)));
    int T = (int)p->tensor, P = (int)p->pipeline;
    int t = world->rank % T, s = world->rank / T % P, d = world->rank / T / P;
    TK_TRY(tk_mpi_split(world, "tensor", d * P + s, &m->tensor));
    TK_TRY(tk_mpi_split(world, "pipeline", d * T + t, &m->pipeline));
    TK_TRY(tk_mpi_split(world, "data", s * T + t, &m->data));
    TK_TRY(tk_mpi_split(world, "replica", d, &m->replica));
    return tk_mpi_node(world, &m->ranks_on_node, &m->cores);
}

tk_status tk_mesh_open(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb)
{
    memset(m, 0, sizeof *m);
    m->world = *world;
    const tk_status st = open_axes(m, world, p, absorb);
    if (st != TK_OK) tk_mesh_close(m);
    return st;
}

void tk_mesh_dry(tk_mesh *m, const tk_parallel_config *p, int world_rank)
{
    int T = (int)p->tensor, P = (int)p->pipeline, D = (int)p->data;
    int t = world_rank % T, s = world_rank / T % P, d = world_rank / T / P;
    *m = (tk_mesh){.ranks_on_node = 1, .cores = 1};
    tk_comm_dry(&m->world, "world", world_rank, T * P * D);
    tk_comm_dry(&m->tensor, "tensor", t, T);
    tk_comm_dry(&m->pipeline, "pipeline", s, P);
    tk_comm_dry(&m->data, "data", d, D);
    tk_comm_dry(&m->replica, "replica", s * T + t, T * P);
}

void tk_mesh_close(tk_mesh *m)
{
    if (m->tensor.impl) tk_mpi_close(&m->tensor);
    if (m->pipeline.impl) tk_mpi_close(&m->pipeline);
    if (m->data.impl) tk_mpi_close(&m->data);
    if (m->replica.impl) tk_mpi_close(&m->replica);
    memset(m, 0, sizeof *m);
}

int tk_mesh_threads(const tk_mesh *m, const tk_parallel_config *p)
{
    if (p->threads > 0) return (int)p->threads;
    return m->cores > 1 ? m->cores : 1;
}
