// SPDX-License-Identifier: Apache-2.0
#include "train/step/gradients.h"

// ---- which elements ----------------------------------------------------------------------------

static bool belongs(const tk_model *m, const tk_param_spec *s, tk_range_kind kind)
{
    const bool copied = s->axis < 0 && m->tensor->size > 1;
    const bool staged = s->where == TK_ON_ALL && m->n_stages > 1;
    switch (kind) {
    case TK_RANGE_ALL:
        return true;
    case TK_RANGE_COUNTED:
        return !(copied && m->tensor->rank > 0) && !(staged && m->stage > 0);
    case TK_RANGE_STAGED:
        return staged;
    case TK_RANGE_COPIED:
        return copied;
    }
    return false;
}

tk_status tk_ranges_make(const tk_model *m, tk_range_kind kind, int64_t begin, int64_t end,
                         tk_arena *a, tk_ranges *out)
{
    bool open = false; // the last range may grow
    *out = (tk_ranges){0};
    TK_ARENA_NEW(out->range, a, m->n_weights);
    for (int i = 0; i < m->n_weights; i++) {
        const tk_weight *k = &m->weight[i];
        const tk_param_spec *s = &m->table.spec[k->spec];
        int64_t from = k->offset, to = k->offset + k->share.rows * k->share.cols;
        if (from < begin) from = begin;
        if (to > end) to = end;
        open &= belongs(m, s, kind);
        if (from >= to || !belongs(m, s, kind)) continue;
        const bool decay = kind == TK_RANGE_ALL && s->decay;
        tk_range *last = out->n ? &out->range[out->n - 1] : NULL;
        if (open && last->decay == decay)
            last->count += to - from;
        else
            out->range[out->n++] = (tk_range){from, to - from, decay};
        open = true;
    }
    return TK_OK;
}

tk_tensor tk_flat_cut(const tk_tensor *flat, int64_t at, int64_t count)
{
    char *data = (char *)flat->data + (size_t)at * tk_dtype_size(flat->dtype);
    return tk_tensor_2d(data, flat->dtype, count, 1);
}

// ---- sums --------------------------------------------------------------------------------------

tk_status tk_gradients_open(tk_gradients *g, tk_model *m, tk_mesh *mesh)
{
    const int ranks = mesh->axis[TK_AXIS_DATA].degree, rank = mesh->axis[TK_AXIS_DATA].rank;
    *g = (tk_gradients){.model = m, .mesh = mesh};
    tk_arena_init(&g->arena, 0);
    TK_ARENA_NEW(g->counts, &g->arena, ranks);
    for (int i = 0; i < ranks; i++) g->counts[i] = tk_split_count(m->n_local, ranks, i);
    g->begin = tk_split_begin(m->n_local, ranks, rank);
    g->count = g->counts[rank];
    const int64_t end = g->begin + g->count;
    TK_TRY(tk_ranges_make(m, TK_RANGE_COUNTED, g->begin, end, &g->arena, &g->counted));
    TK_TRY(tk_ranges_make(m, TK_RANGE_STAGED, 0, m->n_local, &g->arena, &g->staged));
    return tk_ranges_make(m, TK_RANGE_COPIED, 0, m->n_local, &g->arena, &g->copied);
}

void tk_gradients_close(tk_gradients *g)
{
    if (g->model) tk_arena_free(&g->arena);
    *g = (tk_gradients){0};
}

static tk_status sum_over(tk_device_comm *c, const tk_tensor *flat, const tk_ranges *r)
{
    for (int i = 0; i < r->n; i++) {
        const tk_tensor x = tk_flat_cut(flat, r->range[i].begin, r->range[i].count);
        TK_TRY(tk_all_reduce(c, x.data, r->range[i].count, TK_F32, TK_SUM));
    }
    return TK_OK;
}

tk_status tk_gradients_sum(tk_gradients *g, tk_tensor *shard)
{
    tk_model *m = g->model;
    tk_device_comm *data = &g->mesh->axis[TK_AXIS_DATA].device;
    TK_TRY(sum_over(m->tensor, &m->grads, &g->copied));
    TK_TRY(sum_over(&g->mesh->axis[TK_AXIS_PIPELINE].device, &m->grads, &g->staged));
    *shard = m->grads;
    if (data->size == 1) return TK_OK;
    TK_TRY(tk_device_new_for(m->device, TK_FOR_MESSAGES, TK_F32, g->count, 1, shard));
    return tk_reduce_scatter(data, m->grads.data, shard->data, g->counts, 1, TK_F32);
}

void tk_gradients_release(tk_gradients *g, tk_tensor *shard)
{
    if (shard->data != g->model->grads.data) tk_device_free(g->model->device, shard);
    *shard = (tk_tensor){0};
}
