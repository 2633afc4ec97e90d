// SPDX-License-Identifier: Apache-2.0
// Captured streams: what they are asked for becomes the nodes of a graph, each behind those that
// streams and events put before it; a launch is one piece of work of its stream, which runs the
// nodes in any order that they allow. What a real runtime refuses inside a capture is refused, and
// makes the capture invalid.
#include "tests/cuda/standin/cudart.h"
#include <stdlib.h>
#include <string.h>

typedef struct graph_node {
    cudart_work *work;
    cudart_nodes behind;
} graph_node;

struct CUgraph_st {
    graph_node *nodes;
    int n, room;
};
struct CUgraphExec_st {
    struct CUgraph_st graph;
    int64_t launched, done;
};

typedef struct cudart_capture {
    struct cudart_capture *next;
    cudaStream_t origin;
    enum cudaStreamCaptureMode mode;
    bool invalid, over;
    struct CUgraph_st *graph;
} cudart_capture;

static cudart_capture *captures; // all there ever were: events tell that they were recorded in one
static cudaStream_t joined[64];  // streams of any of them
static int n_joined;

// ---- sets of nodes -----------------------------------------------------------------------------

void cudart_forget_nodes(cudart_nodes *n)
{
    free(n->at);
    *n = (cudart_nodes){0};
}

static void add_node(cudart_nodes *to, int node)
{
    for (int i = 0; i < to->n; i++)
        if (to->at[i] == node) return;
    to->at = realloc(to->at, (size_t)(to->n + 1) * sizeof *to->at);
    if (!to->at) standin_fault("out of memory for a graph");
    to->at[to->n++] = node;
}

static void add_nodes(cudart_nodes *to, const cudart_nodes *from)
{
    for (int i = 0; i < from->n; i++) add_node(to, from->at[i]);
}

static graph_node *new_node(struct CUgraph_st *g, cudart_work *w, const cudart_nodes *behind)
{
    if (g->n == g->room) {
        g->room = 2 * g->room + 64;
        g->nodes = realloc(g->nodes, (size_t)g->room * sizeof *g->nodes);
        if (!g->nodes) standin_fault("out of memory for a graph");
    }
    graph_node *k = &g->nodes[g->n++];
    *k = (graph_node){.work = w};
    add_nodes(&k->behind, behind);
    return k;
}

static void forget_graph(struct CUgraph_st *g)
{
    for (int i = 0; i < g->n; i++) {
        cudart_forget_nodes(&g->nodes[i].behind);
        free(g->nodes[i].work);
    }
    free(g->nodes);
    *g = (struct CUgraph_st){0};
}

// ---- capturing ---------------------------------------------------------------------------------

static cudaError_t spoil(cudart_capture *c, cudaError_t e)
{
    c->invalid = true;
    return e;
}

cudaError_t cudart_capture_work(cudaStream_t s, cudart_work *w)
{
    cudart_capture *c = s->capture;
    if (c->invalid) {
        free(w);
        return cudart_error(cudaErrorStreamCaptureInvalidated);
    }
    new_node(c->graph, w, &s->last);
    cudart_forget_nodes(&s->last);
    add_node(&s->last, c->graph->n - 1);
    return cudaSuccess;
}

void cudart_capture_record(cudaEvent_t e, cudaStream_t s)
{
    cudart_forget_nodes(&e->last);
    e->capture = s->capture;
    add_nodes(&e->last, &s->last);
}

static void join_stream(cudaStream_t s, cudart_capture *c)
{
    if (n_joined == (int)(sizeof joined / sizeof *joined))
        standin_fault("more streams are captured than the stand-in knows");
    s->capture = c;
    joined[n_joined++] = s;
}

cudaError_t cudart_capture_wait(cudaStream_t s, cudaEvent_t e)
{
    if (e->capture && e->capture->over)
        standin_fault("a wait for an event that was last recorded in a capture that is over");
    if (!e->capture) return spoil(s->capture, cudaErrorStreamCaptureIsolation);
    if (s->capture && s->capture != e->capture) {
        spoil(e->capture, cudaErrorStreamCaptureMerge);
        return spoil(s->capture, cudaErrorStreamCaptureMerge);
    }
    if (e->capture->invalid) return cudaErrorStreamCaptureInvalidated;
    if (!s->capture) join_stream(s, e->capture);
    add_nodes(&s->last, &e->last);
    return cudaSuccess;
}

static enum cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    const enum cudaStreamCaptureMode was = thread_mode;
    CUDART_ENTER();
    thread_mode = *mode;
    *mode = was;
    return cudaSuccess;
}

cudaError_t cudart_capture_forbids(cudaStream_t s, cudaEvent_t e)
{
    if (s && s->capture) return spoil(s->capture, cudaErrorStreamCaptureUnsupported);
    if (e && e->capture && !e->capture->over) return spoil(e->capture, cudaErrorCapturedEvent);
    if (thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    for (cudart_capture *c = captures; c; c = c->next)
        if (!c->over && c->mode != cudaStreamCaptureModeRelaxed)
            return spoil(c, cudaErrorStreamCaptureUnsupported);
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode)
{
    CUDART_ENTER();
    if (s->capture) return cudart_error(cudaErrorIllegalState);
    cudart_capture *c = calloc(1, sizeof *c);
    if (c) c->graph = calloc(1, sizeof *c->graph);
    if (!c || !c->graph) return cudart_error(cudaErrorMemoryAllocation);
    c->origin = s;
    c->mode = mode;
    c->next = captures;
    captures = c;
    join_stream(s, c);
    return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t s, enum cudaStreamCaptureStatus *status)
{
    CUDART_ENTER();
    *status = !s->capture           ? cudaStreamCaptureStatusNone
              : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}

static void reach(const struct CUgraph_st *g, int node, bool *reached)
{
    if (reached[node]) return;
    reached[node] = true;
    for (int i = 0; i < g->nodes[node].behind.n; i++)
        reach(g, g->nodes[node].behind.at[i], reached);
}

// Whether the origin runs behind all that was captured.
static bool all_joined(const struct CUgraph_st *g, const cudart_nodes *last)
{
    bool *reached = calloc((size_t)g->n + 1, sizeof *reached), all = true;
    if (!reached) standin_fault("out of memory for a graph");
    for (int i = 0; i < last->n; i++) reach(g, last->at[i], reached);
    for (int i = 0; i < g->n; i++) all &= reached[i];
    free(reached);
    return all;
}

static void end_capture(cudart_capture *c)
{
    c->over = true;
    for (int i = 0; i < n_joined;) {
        cudaStream_t s = joined[i];
        if (s->capture != c) {
            i++;
            continue;
        }
        s->capture = NULL;
        cudart_forget_nodes(&s->last);
        joined[i] = joined[--n_joined];
    }
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    CUDART_ENTER();
    cudart_capture *c = s->capture;
    *graph = NULL;
    if (!c) return cudart_error(cudaErrorIllegalState);
    if (c->origin != s) return cudart_error(spoil(c, cudaErrorStreamCaptureUnmatched));
    cudaError_t e = cudaSuccess;
    if (c->invalid)
        e = cudaErrorStreamCaptureInvalidated;
    else if (!all_joined(c->graph, &s->last))
        e = cudaErrorStreamCaptureUnjoined;
    end_capture(c);
    if (e == cudaSuccess) {
        *graph = c->graph;
    } else {
        forget_graph(c->graph);
        free(c->graph);
    }
    c->graph = NULL;
    return cudart_error(e);
}

// ---- graphs ------------------------------------------------------------------------------------

cudaError_t cudaGraphDestroy(cudaGraph_t g)
{
    CUDART_ENTER();
    forget_graph(g);
    free(g);
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t g, unsigned long long flags)
{
    CUDART_ENTER();
    if (flags) CUDART_REFUSE("cudaGraphInstantiate with flags %#llx is not known", flags);
    *exec = calloc(1, sizeof **exec);
    if (!*exec) return cudart_error(cudaErrorMemoryAllocation);
    for (int i = 0; i < g->n; i++)
        new_node(&(*exec)->graph, cudart_copy_work(g->nodes[i].work), &g->nodes[i].behind);
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    CUDART_ENTER();
    if (exec->done < exec->launched) standin_fault("a graph is destroyed before it has run");
    forget_graph(&exec->graph);
    free(exec);
    return cudaSuccess;
}

typedef struct launch {
    cudaGraphExec_t exec;
    int64_t number;
    int left;
    cudart_work *work[]; // NULL: done
} launch;

static bool may_run(const launch *l, int node)
{
    const cudart_nodes *behind = &l->exec->graph.nodes[node].behind;
    for (int i = 0; i < behind->n; i++)
        if (l->work[behind->at[i]]) return false;
    return l->work[node] != NULL;
}

// One node, any of those that may run.
static standin_turn run_launch(void *what)
{
    launch *const l = *(launch **)what;
    const int n = l->exec->graph.n, from = n ? (int)standin_draw((uint64_t)n) : 0;
    if (l->exec->done + 1 != l->number) return STANDIN_NOT_YET;
    for (int k = 0; k < n && l->left; k++) {
        const int i = (from + k) % n;
        if (!may_run(l, i)) continue;
        cudart_now_runs(l->work[i]->name);
        const standin_turn turn = l->work[i]->run(l->work[i]->what);
        if (turn == STANDIN_NOT_YET) continue;
        if (turn == STANDIN_MORE) return turn;
        free(l->work[i]);
        l->work[i] = NULL;
        if (--l->left) return STANDIN_MORE;
    }
    if (l->left) return STANDIN_NOT_YET;
    l->exec->done++;
    free(l);
    return STANDIN_DONE;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
    CUDART_ENTER();
    if (s->capture) CUDART_REFUSE("a graph is launched inside a capture");
    const int n = exec->graph.n;
    launch *l = calloc(1, sizeof *l + (size_t)n * sizeof *l->work);
    if (!l) return cudart_error(cudaErrorMemoryAllocation);
    *l = (launch){.exec = exec, .number = ++exec->launched, .left = n};
    for (int i = 0; i < n; i++) {
        l->work[i] = cudart_copy_work(exec->graph.nodes[i].work);
        if (l->work[i]->renew) l->work[i]->renew(l->work[i]->what);
    }
    return cudart_push(s, cudart_new_work("graph", run_launch, &l, sizeof l));
}
