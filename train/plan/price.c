// SPDX-License-Identifier: Apache-2.0
#include "train/plan/price.h"
#include <stdio.h>
#include <string.h>

const char *tk_bound_name(tk_bound b)
{
    static const char *const names[TK_BOUNDS] = {
        [TK_BOUND_PRODUCTS] = "product rate", [TK_BOUND_ATTENTION] = "attention rate",
        [TK_BOUND_MEMORY] = "copy rate",      [TK_BOUND_LAUNCH] = "launch",
        [TK_BOUND_HOST] = "host link",        [TK_BOUND_LINK] = "link",
        [TK_BOUND_LATENCY] = "latency",
    };
    return names[b];
}

typedef struct price { // the longest of what a piece of work needs
    double seconds;
    tk_bound bound;
} price;

static void at_least(price *p, double seconds, tk_bound bound)
{
    if (seconds > p->seconds) *p = (price){seconds, bound};
}

// ---- work of the device ------------------------------------------------------------------------

static int64_t precision_of(tk_dtype t)
{
    return t == TK_BF16 ? TK_PRECISION_BF16 : TK_PRECISION_FP32;
}

static int64_t smaller_side(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void price_products(const tk_machine *m, const tk_work *w, price *p)
{
    const tk_call *c = w->call;
    const tk_tensor *weight = c->in[1].ndim ? &c->in[1] : &c->din[1];
    const tk_tensor *y = w->back ? &c->dout[0] : &c->out[0];
    const int64_t side = smaller_side(smaller_side(tk_rows(y), tk_rows(weight)), tk_cols(weight));
    const tk_rating *rate = tk_machine_product(m, precision_of(y->dtype), side);
    const int products = w->back ? (c->din[0].data != NULL) + (c->din[1].data != NULL) : 1;
    if (rate) at_least(p, w->flops / rate->value, TK_BOUND_PRODUCTS);
    at_least(p, products * m->launch.value, TK_BOUND_LAUNCH);
}

static void price_attention(const tk_machine *m, const tk_work *w, price *p)
{
    const tk_tensor *y = w->back ? &w->call->dout[0] : &w->call->out[0];
    const tk_attention_rate *rate = tk_machine_attention(m, precision_of(y->dtype));
    if (!rate) return;
    at_least(p, w->flops / (w->back ? rate->back : rate->fore).value, TK_BOUND_ATTENTION);
}

static price price_on_device(const tk_machine *m, const tk_work *w)
{
    price p = {0, TK_BOUND_LAUNCH};
    const double bytes = (double)(w->read + w->written);
    const bool copies = w->kind == TK_WORK_COPY || w->kind == TK_WORK_ZERO;
    if (w->kind == TK_WORK_TRANSFER) {
        at_least(&p, bytes / m->host.value, TK_BOUND_HOST);
        return p;
    }
    if (w->kind == TK_WORK_OPERATOR && w->call->op == TK_OP_LINEAR) price_products(m, w, &p);
    if (w->kind == TK_WORK_OPERATOR && w->call->op == TK_OP_ATTENTION) price_attention(m, w, &p);
    at_least(&p, bytes / (m->copy.value * (copies ? 1 : m->share.value)), TK_BOUND_MEMORY);
    at_least(&p, m->launch.value, TK_BOUND_LAUNCH);
    return p;
}

static int row_of(const tk_work *w)
{
    if (w->kind == TK_WORK_OPERATOR) return 2 * (int)w->call->op + w->back;
    return 2 * TK_OP_COUNT + (int)w->kind - (int)TK_WORK_COPY;
}

// ---- between ranks -----------------------------------------------------------------------------

typedef struct route {
    double rate, latency;
} route;

static route route_of_link(const tk_machine *m, bool inside)
{
    const tk_link *l = tk_machine_link(m, inside ? TK_LINK_NODE : TK_LINK_NETWORK);
    if (!l) l = m->link; // there is one kind
    return (route){l->rate.value, l->latency};
}

// Between `ranks` ranks that lie `stride` apart, nodes filled in the order of the world: rings that
// use the links of all the ranks that lie in a node together.
static route route_of_ring(const tk_machine *m, int64_t ranks, int64_t stride)
{
    const route node = route_of_link(m, true);
    route r = route_of_link(m, false);
    if (ranks * stride <= m->gpus) return node;
    const int64_t together = stride < m->gpus ? m->gpus / stride : 1;
    r.rate *= (double)together;
    if (together > 1 && node.rate < r.rate) r.rate = node.rate;
    return r;
}

// Ranks between neighbours of an axis, which may be that behind the last: the world's.
static int64_t stride_of(const tk_mesh *m, int axis)
{
    int64_t stride = 1;
    for (int i = 0; i < axis && axis < TK_AXES; i++) stride *= m->axis[i].degree;
    return stride;
}

static int axis_of(const tk_mesh *m, const tk_device_comm *c)
{
    int i = 0;
    while (i < TK_AXES && c != &m->axis[i].device && c != &m->axis[i].beside) i++;
    return i;
}

// A message between neighbours of the pipeline: inside a node only if all of its stages are.
static route route_of_message(const tk_prices *p)
{
    const tk_axis_row *pipeline = &p->mesh->axis[TK_AXIS_PIPELINE];
    const int64_t ranks = pipeline->degree * stride_of(p->mesh, TK_AXIS_PIPELINE);
    return route_of_link(p->machine, ranks <= p->machine->gpus);
}

double tk_price_message(const tk_prices *p, int64_t bytes)
{
    const route r = route_of_message(p);
    return (double)bytes / r.rate + r.latency;
}

static price price_between(const tk_prices *p, const tk_work *w, int axis)
{
    const int64_t n = w->comm->size;
    const bool alone = w->kind == TK_WORK_SEND, twice = w->kind == TK_WORK_ALL_REDUCE;
    const route r = alone && axis == TK_AXIS_PIPELINE
                        ? route_of_message(p)
                        : route_of_ring(p->machine, n, stride_of(p->mesh, axis));
    double moved = (double)w->bytes, steps = alone;
    if (!alone && w->kind != TK_WORK_BROADCAST)
        moved *= (twice ? 2 : 1) * (double)(n - 1) / (double)n; // through each link of the ring
    for (int64_t k = 1; !alone && k < n; k *= 2) steps += twice ? 2 : 1; // trees, for what is short
    const double link = moved / r.rate, latency = steps * r.latency;
    return (price){link + latency, latency > link ? TK_BOUND_LATENCY : TK_BOUND_LINK};
}

// ---- the ledger --------------------------------------------------------------------------------

static void enter_cost(tk_cost *c, const tk_work *w, const price *p)
{
    c->calls++;
    c->flops += w->flops;
    c->read += (double)w->read;
    c->written += (double)w->written;
    c->seconds += p->seconds;
    c->bound[p->bound] += p->seconds;
}

static double price_work(void *ctx, const tk_work *w)
{
    tk_prices *p = ctx;
    price s = {0, TK_BOUND_LAUNCH};
    if (!w->comm) {
        if (p->machine) s = price_on_device(p->machine, w);
        enter_cost(&p->cost[row_of(w)], w, &s);
        return s.seconds;
    }
    const int axis = axis_of(p->mesh, w->comm);
    tk_group_cost *g = &p->group[axis];
    if (p->machine) s = price_between(p, w, axis);
    g->calls++;
    g->sent += (double)w->sent;
    g->seconds += s.seconds;
    enter_cost(&p->send, w, &s);
    return s.seconds;
}

void tk_prices_init(tk_prices *p, const tk_machine *m, const tk_mesh *mesh)
{
    *p = (tk_prices){.machine = m, .mesh = mesh};
}

tk_ledger tk_prices_ledger(tk_prices *p)
{
    return (tk_ledger){.price = price_work, .ctx = p};
}

const char *tk_cost_name(int row, char out[48])
{
    static const char *const others[] = {"copies", "zeros", "host copies"};
    if (row >= 2 * TK_OP_COUNT) return others[row - 2 * TK_OP_COUNT];
    snprintf(out, 48, "%s%s", tk_op_table[row / 2].name, row % 2 ? " backward" : "");
    return out;
}

tk_bound tk_cost_bound(const tk_cost *c)
{
    tk_bound most = TK_BOUND_PRODUCTS;
    for (int b = 1; b < TK_BOUNDS; b++)
        if (c->bound[b] > c->bound[most]) most = (tk_bound)b;
    return most;
}
