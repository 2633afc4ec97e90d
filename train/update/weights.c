// SPDX-License-Identifier: Apache-2.0
#include "train/update/weights.h"

tk_status tk_weights_open(tk_weights *w, tk_model *m, tk_mesh *mesh, const tk_buckets *buckets,
                          bool late)
{
    *w = (tk_weights){.model = m, .mesh = mesh, .buckets = buckets, .late = late};
    tk_arena_init(&w->arena, 0);
    TK_ARENA_NEW(w->ready, &w->arena, buckets->n);
    TK_ARENA_NEW(w->pending, &w->arena, buckets->n);
    TK_TRY(tk_event_open(&w->own, m->device));
    for (int i = 0; i < buckets->n; i++) TK_TRY(tk_event_open(&w->ready[i], m->device));
    return TK_OK;
}

void tk_weights_close(tk_weights *w)
{
    if (!w->model) return;
    tk_event_close(&w->own);
    for (int i = 0; w->ready && i < w->buckets->n; i++) tk_event_close(&w->ready[i]);
    tk_arena_free(&w->arena);
    *w = (tk_weights){0};
}

static tk_status broadcast_ranges(const tk_ranges *r, const tk_tensor *flat, tk_device_comm *c)
{
    for (int i = 0; i < r->n; i++) {
        const tk_tensor x = tk_flat_cut(flat, r->range[i].begin, r->range[i].count);
        TK_TRY(tk_broadcast(c, x.data, r->range[i].count, x.dtype, 0));
    }
    return TK_OK;
}

static tk_status spread_bucket(tk_weights *w, int i)
{
    const tk_flat_bucket *k = &w->buckets->bucket[i];
    const tk_tensor *values = &w->model->values;
    tk_axis_row *axis = w->mesh->axis;
    const tk_tensor all = tk_flat_cut(values, k->begin, k->count);
    const tk_tensor own = tk_flat_cut(values, k->own.begin, k->own.count);
    TK_TRY(
        tk_all_gather(&axis[TK_AXIS_DATA].device, own.data, all.data, k->counts, 1, values->dtype));
    TK_TRY(broadcast_ranges(&k->staged, values, &axis[TK_AXIS_PIPELINE].device));
    TK_TRY(broadcast_ranges(&k->copied, values, &axis[TK_AXIS_TENSOR].beside));
    w->pending[i] = true;
    return tk_event_record(&w->ready[i], TK_QUEUE_DATA);
}

tk_status tk_weights_spread(tk_weights *w)
{
    tk_device *d = w->model->device;
    tk_status st = TK_OK;
    if (w->mesh->axis[TK_AXIS_DATA].degree == 1) return TK_OK; // copies were updated alike
    TK_TRY(tk_event_record(&w->own, d->queue));
    TK_TRY(tk_event_wait(&w->own, TK_QUEUE_DATA));
    const tk_queue was = tk_device_on(d, TK_QUEUE_DATA);
    for (int i = 0; i < w->buckets->n && st == TK_OK; i++) st = spread_bucket(w, i);
    tk_device_on(d, was);
    TK_TRY(st);
    return w->late ? TK_OK : tk_weights_settle(w);
}

static tk_status need_bucket(tk_weights *w, int i)
{
    if (!w->pending[i]) return TK_OK;
    w->pending[i] = false;
    return tk_event_wait(&w->ready[i], w->model->device->queue);
}

tk_status tk_weights_need(tk_weights *w, int section)
{
    const int i = tk_buckets_find(w->buckets, section);
    return i < 0 ? TK_OK : need_bucket(w, i);
}

tk_status tk_weights_settle(tk_weights *w)
{
    for (int i = 0; i < w->buckets->n; i++) TK_TRY(need_bucket(w, i));
    return TK_OK;
}
