// SPDX-License-Identifier: Apache-2.0
#include "train/update/gradients.h"
#include <string.h>

tk_status tk_gradients_open(tk_gradients *g, tk_model *m, tk_mesh *mesh, const tk_buckets *buckets,
                            bool early)
{
    *g = (tk_gradients){.model = m, .mesh = mesh, .buckets = buckets, .early = early};
    tk_arena_init(&g->arena, 0);
    TK_ARENA_NEW(g->left, &g->arena, buckets->n);
    TK_ARENA_NEW(g->started, &g->arena, buckets->n);
    g->goes = mesh->axis[TK_AXIS_DATA].degree > 1;
    for (int i = 0; i < buckets->n; i++)
        g->goes |= buckets->bucket[i].copied.n + buckets->bucket[i].staged.n > 0;
    tk_gradients_begin(g);
    TK_TRY(tk_event_open(&g->whole, m->device));
    return tk_event_open(&g->done, m->device);
}

void tk_gradients_close(tk_gradients *g)
{
    tk_event_close(&g->whole);
    tk_event_close(&g->done);
    if (g->model) tk_arena_free(&g->arena);
    *g = (tk_gradients){0};
}

void tk_gradients_begin(tk_gradients *g)
{
    for (int i = 0; i < g->buckets->n; i++) {
        g->left[i] = g->buckets->bucket[i].passes;
        g->started[i] = false;
    }
}

static tk_status sum_over(tk_device_comm *c, const tk_tensor *flat, const tk_ranges *r)
{
    for (int i = 0; i < r->n; i++) {
        const tk_tensor x = tk_flat_cut(flat, r->range[i].begin, r->range[i].count);
        TK_TRY(tk_all_reduce(c, x.data, r->range[i].count, TK_F32, TK_SUM));
    }
    return TK_OK;
}

// On the queue of the data ranks, which has waited for the bucket's gradients.
static tk_status sum_bucket(tk_gradients *g, const tk_flat_bucket *k)
{
    const tk_tensor *grads = &g->model->grads;
    tk_axis_row *axis = g->mesh->axis;
    TK_TRY(sum_over(&axis[TK_AXIS_TENSOR].beside, grads, &k->copied));
    TK_TRY(sum_over(&axis[TK_AXIS_PIPELINE].device, grads, &k->staged));
    if (axis[TK_AXIS_DATA].degree == 1) return TK_OK;
    const tk_tensor all = tk_flat_cut(grads, k->begin, k->count);
    const tk_tensor own = tk_flat_cut(grads, k->own.begin, k->own.count);
    return tk_reduce_scatter(&axis[TK_AXIS_DATA].device, all.data, own.data, k->counts, 1, TK_F32);
}

static tk_status start(tk_gradients *g, int i)
{
    tk_device *d = g->model->device;
    if (g->started[i] || !g->goes) return TK_OK;
    g->started[i] = true;
    TK_TRY(tk_event_record(&g->whole, d->queue));
    TK_TRY(tk_event_wait(&g->whole, TK_QUEUE_DATA));
    const tk_queue was = tk_device_on(d, TK_QUEUE_DATA);
    const tk_status st = sum_bucket(g, &g->buckets->bucket[i]);
    tk_device_on(d, was);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_gradients_passed(tk_gradients *g, int section)
{
    const int i = tk_buckets_find(g->buckets, section);
    if (i < 0 || --g->left[i] > 0 || !g->early || g->buckets->bucket[i].staged.n) return TK_OK;
    return start(g, i);
}

tk_status tk_gradients_sum(tk_gradients *g)
{
    tk_device *d = g->model->device;
    if (!g->goes) return TK_OK;
    for (int staged = 0; staged < 2; staged++)
        for (int i = g->buckets->n - 1; i >= 0; i--)
            if (staged == (g->buckets->bucket[i].staged.n > 0)) TK_TRY(start(g, i));
    TK_TRY(tk_event_record(&g->done, TK_QUEUE_DATA));
    return tk_event_wait(&g->done, d->queue);
}
