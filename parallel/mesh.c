// SPDX-License-Identifier: Apache-2.0
// The mesh: degrees filled in and checked, then one communicator per axis.
#include "parallel/mesh.h"
#include "parallel/mpi/comm.h"
#ifdef TK_NCCL
#include "parallel/nccl/comm.h"
#endif
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

// The axes, the fastest first. An axis more is a row more.
static const struct {
    const char *name;
    size_t degree;           // where it stands in tk_parallel_config
    tk_queue device, beside; // queues of its communicators; TK_QUEUES: it has none beside
    bool as_asked;           // it takes nothing of what the others leave
} axes[TK_AXES] = {
    [TK_AXIS_TENSOR] = {"tensor", offsetof(tk_parallel_config, tensor), TK_QUEUE_TENSOR,
                        TK_QUEUE_DATA},
    [TK_AXIS_PIPELINE] = {"pipeline", offsetof(tk_parallel_config, pipeline), TK_QUEUE_FORWARD,
                          TK_QUEUE_BACKWARD},
    [TK_AXIS_GUIDANCE] = {"guidance", offsetof(tk_parallel_config, guidance), TK_QUEUE_DATA,
                          TK_QUEUES, true},
    [TK_AXIS_DATA] = {"data", offsetof(tk_parallel_config, data), TK_QUEUE_DATA, TK_QUEUES},
};

int64_t *tk_mesh_degree(tk_parallel_config *p, tk_axis axis)
{
    return (int64_t *)((char *)p + axes[axis].degree);
}

bool tk_axis_absorbs(tk_axis axis)
{
    return !axes[axis].as_asked;
}

int64_t tk_axis_sent(const tk_axis_row *a)
{
    return a->device.bytes_sent + a->beside.bytes_sent;
}

// ---- degrees -----------------------------------------------------------------------------------

typedef struct layout {
    int64_t degree[TK_AXES];
    double distance; // from what was asked for
} layout;

typedef struct nearest { // layouts in order of distance
    layout best[3];
    int n;
} nearest;

static layout layout_of(const tk_parallel_config *p)
{
    tk_parallel_config copy = *p;
    layout l = {0};
    for (int i = 0; i < TK_AXES; i++) {
        l.degree[i] = *tk_mesh_degree(&copy, (tk_axis)i);
        if (axes[i].as_asked && l.degree[i] == 0) l.degree[i] = 1;
    }
    return l;
}

static double distance(const layout *asked, const layout *got)
{
    double sum = 0;
    for (int i = 0; i < TK_AXES; i++)
        if (asked->degree[i] > 0)
            sum += fabs(log((double)got->degree[i] / (double)asked->degree[i]));
    return sum;
}

static void keep(nearest *k, const layout *l)
{
    const int room = (int)(sizeof k->best / sizeof *k->best);
    int at = k->n < room ? k->n++ : room;
    for (; at > 0 && l->distance < k->best[at - 1].distance; at--)
        if (at < room) k->best[at] = k->best[at - 1];
    if (at < room) k->best[at] = *l;
}

// All ways to share `ranks` among the axes from `axis` on; l: the degrees of those before.
static void find_nearest(const layout *asked, layout *l, int axis, int64_t ranks, nearest *k)
{
    if (axis == TK_AXES - 1) {
        l->degree[axis] = ranks;
        l->distance = distance(asked, l);
        keep(k, l);
        return;
    }
    for (int64_t n = 1; n <= ranks; n++) {
        if (ranks % n) continue;
        if (axes[axis].as_asked && n > 1 && n != asked->degree[axis]) continue;
        l->degree[axis] = n;
        find_nearest(asked, l, axis + 1, ranks / n, k);
    }
}

__attribute__((format(printf, 3, 4))) static void append(char *text, size_t size,
                                                         const char *format, ...)
{
    const size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

// An axis that few use is left out where it is not.
static bool is_told(const layout *l, int axis)
{
    return !axes[axis].as_asked || l->degree[axis] > 1;
}

char *tk_mesh_print(const tk_parallel_config *p, char *out, size_t size)
{
    const layout l = layout_of(p);
    out[0] = 0;
    for (int i = 0; i < TK_AXES; i++)
        if (is_told(&l, i))
            append(out, size, "%s%s %lld", i ? " x " : "", axes[i].name,
                   (long long)(l.degree[i] ? l.degree[i] : 1));
    return out;
}

static tk_status does_not_fit(const layout *asked, int64_t world, const char *sum)
{
    nearest k = {0};
    layout l = {0};
    char names[128] = "", list[256] = "";
    find_nearest(asked, &l, 0, world, &k);
    for (int i = 0; i < TK_AXES; i++)
        if (is_told(asked, i)) append(names, sizeof names, "%s%s", i ? " x " : "", axes[i].name);
    for (int n = 0; n < k.n; n++)
        for (int i = 0; i < TK_AXES; i++)
            if (is_told(asked, i))
                append(list, sizeof list, "%s%lld",
                       i   ? " x "
                       : n ? ", "
                           : "",
                       (long long)k.best[n].degree[i]);
    return TK_FAIL(TK_INPUT,
                   "the mesh does not fit: %s, but %lld rank%s started; nearest layouts (%s) of "
                   "%lld: %s",
                   sum, (long long)world, world == 1 ? " was" : "s were", names, (long long)world,
                   list);
}

// The axis that takes what the others leave: `absorb` if it was left open, else data, else the
// first open one; -1: none is.
static int open_axis(const layout *l, tk_axis absorb)
{
    if (l->degree[absorb] == 0) return (int)absorb;
    if (l->degree[TK_AXIS_DATA] == 0) return TK_AXIS_DATA;
    for (int i = 0; i < TK_AXES; i++)
        if (l->degree[i] == 0) return i;
    return -1;
}

// Of all degrees, those left open counted as 1; INT64_MAX where one is more than the world has.
static int64_t product_of(const layout *l, int64_t world)
{
    int64_t product = 1;
    for (int i = 0; i < TK_AXES; i++) {
        const int64_t n = l->degree[i] ? l->degree[i] : 1;
        if (n > world || product > INT64_MAX / n) return INT64_MAX;
        product *= n;
    }
    return product;
}

tk_status tk_mesh_fill(tk_parallel_config *p, int64_t world, tk_axis absorb)
{
    const layout asked = layout_of(p);
    char sum[256] = "";
    for (int i = 0; i < TK_AXES; i++)
        if (asked.degree[i] < 0)
            return TK_FAIL(TK_INPUT, "parallel.%s must not be negative", axes[i].name);
    const int open = open_axis(&asked, absorb);
    const int64_t product = product_of(&asked, world);
    if (open >= 0 ? product <= world && world % product == 0 : product == world) {
        for (int i = 0; i < TK_AXES; i++)
            *tk_mesh_degree(p, (tk_axis)i) = asked.degree[i] ? asked.degree[i]
                                             : i == open     ? world / product
                                                             : 1;
        return TK_OK;
    }
    tk_mesh_print(p, sum, sizeof sum);
    if (product < INT64_MAX) append(sum, sizeof sum, " = %lld", (long long)product);
    if (product < INT64_MAX && open >= 0)
        append(sum, sizeof sum, ", which does not divide the world");
    return does_not_fit(&asked, world, sum);
}

// ---- communicators -----------------------------------------------------------------------------

// Where a rank of the world stands; the communicators are not there yet.
static void place_rank(tk_mesh *m, const tk_parallel_config *p, int world_rank)
{
    const layout l = layout_of(p);
    *m = (tk_mesh){.ranks_on_node = 1,
                   .cores = 1,
                   .row_pieces = p->row_pieces,
                   .overlap_rows = p->overlap_rows,
                   .overlap_sums = p->overlap_gradients || p->overlap_weights};
    for (int i = 0, rest = world_rank; i < TK_AXES; i++) {
        const int n = (int)l.degree[i], rank = rest % n;
        m->axis[i] = (tk_axis_row){.name = axes[i].name,
                                   .rank = rank,
                                   .degree = n,
                                   .previous = (rank + n - 1) % n,
                                   .next = (rank + 1) % n};
        rest /= n;
    }
}

// Axes along which ranks share a stage of one replica.
#define BESIDE_A_STAGE (1U << TK_AXIS_TENSOR | 1U << TK_AXIS_GUIDANCE)

// The rank among those that stand where this rank does on all axes of `without`.
static int rank_in(const tk_mesh *m, unsigned without, int *size)
{
    int rank = 0;
    *size = 1;
    for (int i = 0; i < TK_AXES; i++) {
        if (without >> i & 1) continue;
        rank += m->axis[i].rank * *size;
        *size *= m->axis[i].degree;
    }
    return rank;
}

static tk_status open_axes(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb)
{
    struct {
        layout degrees;
        int64_t absorb;
    } asked = {layout_of(p), (int64_t)absorb};
    int others;
    TK_TRY(tk_same(world, "the mesh (parallel.tensor, .pipeline, .guidance, .data)", &asked,
                   sizeof asked));
    TK_TRY(tk_agree(world, tk_mesh_fill(p, world->size, absorb)));
    place_rank(m, p, world->rank);
    m->world = *world;
    for (int i = 0; i < TK_AXES; i++)
        TK_TRY(tk_mpi_split(world, axes[i].name, rank_in(m, 1U << i, &others), &m->axis[i].host));
    TK_TRY(tk_mpi_split(world, "replica", m->axis[TK_AXIS_DATA].rank, &m->replica));
    TK_TRY(tk_mpi_split(world, "stage", rank_in(m, BESIDE_A_STAGE, &others), &m->stage));
    return tk_mpi_node(world, &m->ranks_on_node, &m->rank_on_node, &m->cores);
}

tk_status tk_mesh_open(tk_mesh *m, tk_comm *world, tk_parallel_config *p, tk_axis absorb)
{
    memset(m, 0, sizeof *m);
    const tk_status st = open_axes(m, world, p, absorb);
    if (st != TK_OK) tk_mesh_close(m);
    return st;
}

void tk_mesh_dry(tk_mesh *m, const tk_parallel_config *p, int world_rank)
{
    int size;
    place_rank(m, p, world_rank);
    for (int i = 0; i < TK_AXES; i++) {
        tk_axis_row *a = &m->axis[i];
        tk_comm_dry(&a->host, a->name, a->rank, a->degree);
    }
    const int replica_rank = rank_in(m, 1U << TK_AXIS_DATA, &size);
    tk_comm_dry(&m->replica, "replica", replica_rank, size);
    const int stage_rank = rank_in(m, ~BESIDE_A_STAGE, &size);
    tk_comm_dry(&m->stage, "stage", stage_rank, size);
    rank_in(m, 0, &size);
    tk_comm_dry(&m->world, "world", world_rank, size);
}

// ---- the transport ------------------------------------------------------------------------------

static bool over_nccl(const tk_mesh *m, const tk_device *d)
{
    return d->ops == tk_device_find(TK_DEVICE_CUDA) && m->world.size > 1;
}

#ifdef TK_NCCL
static tk_status attach_nccl(tk_mesh *m, tk_device *d)
{
    return tk_nccl_world(&m->world, d, &m->world_device);
}

static tk_status register_nccl(tk_mesh *m, size_t bytes)
{
    return tk_nccl_register(&m->world_device, bytes);
}
#else
static tk_status attach_nccl(tk_mesh *m, tk_device *d)
{
    return tk_agree(&m->world, TK_FAIL(TK_INPUT,
                                       "this talkie was built without NCCL (nccl.h), by which the "
                                       "GPUs of several ranks reach each other: build it with "
                                       "NCCL, or run device=%s on one rank",
                                       d->ops->name));
}

static tk_status register_nccl(tk_mesh *m, size_t bytes)
{
    (void)m, (void)bytes; // nothing was attached
    return TK_OK;
}
#endif

// The one place that chooses a transport.
static tk_status attach(tk_mesh *m, tk_comm *host, tk_device *d, tk_queue q, tk_device_comm *out)
{
    if (host->size == 1)
        tk_device_comm_self(out, host, d);
    else if (tk_comm_is_dry(host))
        tk_device_comm_dry(out, host, d, q);
#ifdef TK_NCCL
    else if (over_nccl(m, d))
        return tk_nccl_split(&m->world_device, host, q, out);
#endif
    else
        return tk_agree(&m->world, tk_mpi_device(host, d, q, m->overlap_sums, out));
    return TK_OK;
}

static tk_status attach_axis(tk_mesh *m, tk_device *d, int i)
{
    tk_axis_row *a = &m->axis[i];
    TK_TRY(attach(m, &a->host, d, axes[i].device, &a->device));
    if (axes[i].beside == TK_QUEUES) return TK_OK;
    return attach(m, &a->host, d, axes[i].beside, &a->beside);
}

static tk_status attach_all(tk_mesh *m, tk_device *d)
{
    if (over_nccl(m, d)) TK_TRY(attach_nccl(m, d));
    for (int i = 0; i < TK_AXES; i++) TK_TRY(attach_axis(m, d, i));
    return over_nccl(m, d) ? TK_OK : attach(m, &m->world, d, TK_QUEUE_COMPUTE, &m->world_device);
}

tk_status tk_mesh_attach(tk_mesh *m, tk_device *d)
{
    if (m->world_device.ops)
        return TK_FAIL(TK_INTERNAL, "a mesh takes one device at a time, and has device %s",
                       m->world_device.device->ops->name);
    tk_device_comm *tensor = &m->axis[TK_AXIS_TENSOR].device;
    const tk_status st = attach_all(m, d);
    tensor->row_pieces = m->row_pieces;
    tensor->beside = m->overlap_rows;
    if (st != TK_OK) tk_mesh_detach(m);
    return st;
}

tk_status tk_mesh_register(tk_mesh *m, size_t bytes)
{
    tk_device *d = m->world_device.device;
    const tk_device_ops *like = d->stands_for ? d->stands_for : d->ops;
    if (like != tk_device_find(TK_DEVICE_CUDA))
        return tk_agree(&m->world,
                        TK_FAIL(TK_INPUT,
                                "parallel.register_buffers=true needs device=cuda: what device %s "
                                "sends goes over MPI, which sees to that itself; set it to false",
                                like->name));
    if (m->world.size == 1) return TK_OK;
    if (tk_comm_is_dry(&m->world)) return tk_device_register(d, NULL, bytes);
    return register_nccl(m, bytes);
}

bool tk_mesh_holds_up(const tk_mesh *m)
{
    const tk_device_comm *c = &m->axis[TK_AXIS_DATA].device;
    return m->overlap_sums && c->size > 1 && !over_nccl(m, c->device) && !c->late;
}

void tk_mesh_detach(tk_mesh *m)
{
    for (int i = 0; i < TK_AXES; i++) {
        tk_device_comm_close(&m->axis[i].device);
        tk_device_comm_close(&m->axis[i].beside);
    }
    tk_device_comm_close(&m->world_device);
}

void tk_mesh_close(tk_mesh *m)
{
    tk_mesh_detach(m);
    for (int i = 0; i < TK_AXES; i++) tk_mpi_close(&m->axis[i].host);
    tk_mpi_close(&m->replica);
    tk_mpi_close(&m->stage);
    memset(m, 0, sizeof *m);
}

int tk_mesh_threads(const tk_mesh *m, const tk_parallel_config *p)
{
    if (p->threads > 0) return (int)p->threads;
    return m->cores > 1 ? m->cores : 1;
}

tk_status tk_mesh_take_threads(tk_comm *world, int64_t asked, int *threads)
{
    tk_parallel_config p = {.tensor = 1, .pipeline = 1, .threads = asked, .chunks = 1};
    tk_mesh mesh;
    TK_TRY(tk_mesh_open(&mesh, world, &p, TK_AXIS_DATA));
    const int n = tk_mesh_threads(&mesh, &p);
    tk_mesh_close(&mesh);
    omp_set_num_threads(n);
    if (threads) *threads = n;
    return TK_OK;
}
