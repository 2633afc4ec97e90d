// SPDX-License-Identifier: Apache-2.0
// This rank's share of the model: which weights, where they lie, how they start and travel.
// The mathematics is in core/model/forward.c.
#include "core/model/model.h"
#include <string.h>

static bool on_stage(const tk_model *m, const tk_param_spec *s)
{
    switch (s->where) {
    case TK_ON_FIRST:
        return m->stage == 0;
    case TK_ON_LAST:
        return m->stage == m->n_stages - 1;
    case TK_ON_BLOCK:
        return tk_model_holds(m, s->block);
    case TK_ON_ALL:
        return true;
    }
    return false;
}

// Lists the local weights and their offsets into the flat buffers.
static tk_status lay_out(tk_model *m)
{
    TK_ARENA_NEW(m->weight, &m->arena, m->table.n);
    for (int i = 0; i < m->table.n; i++) {
        const tk_param_spec *s = &m->table.spec[i];
        if (!on_stage(m, s)) continue;
        tk_weight *w = &m->weight[m->n_weights];
        w->spec = i;
        w->share = tk_param_share(s, m->tensor->rank, m->tensor->size);
        w->offset = m->n_local;
        m->n_local += w->share.rows * w->share.cols;
        m->n_weights++;
    }
    m->whole.count = m->n_local;
    return TK_OK;
}

int tk_model_outputs(const tk_model *m)
{
    return TK_SECTION_BLOCKS + (int)m->config.layers;
}

int tk_model_section(const tk_model *m, const tk_weight *w)
{
    const tk_param_spec *s = &m->table.spec[w->spec];
    switch (s->where) {
    case TK_ON_FIRST:
        return TK_SECTION_INPUTS;
    case TK_ON_ALL:
        return TK_SECTION_TIME;
    case TK_ON_BLOCK:
        return TK_SECTION_BLOCKS + (int)s->block;
    case TK_ON_LAST:
        break;
    }
    return tk_model_outputs(m);
}

static tk_tensor view_of(const tk_model *m, const tk_weight *w, const tk_tensor *flat)
{
    const tk_param_spec *s = &m->table.spec[w->spec];
    char *p = (char *)flat->data + (size_t)w->offset * tk_dtype_size(flat->dtype);
    return s->ndim == 1 ? tk_tensor_1d(p, flat->dtype, w->share.rows)
                        : tk_tensor_2d(p, flat->dtype, w->share.rows, w->share.cols);
}

static tk_status new_flat(tk_model *m, tk_pool_purpose purpose, bool sends, tk_dtype t,
                          tk_tensor *flat)
{
    TK_TRY((sends ? tk_device_new_sent : tk_device_new_for)(m->device, purpose, t, 1, m->n_local,
                                                            flat));
    *flat = tk_tensor_1d(flat->data, t, m->n_local);
    return tk_device_zero(m->device, flat->data, tk_bytes(flat));
}

tk_status tk_model_open(tk_model *m, const tk_model_config *c, const tk_model_part *part)
{
    *m = (tk_model){.config = *c,
                    .device = part->device,
                    .tensor = part->tensor,
                    .stage = part->stage,
                    .n_stages = part->n_stages ? part->n_stages : 1,
                    .chunks = part->chunks ? part->chunks : 1,
                    .compute = part->compute};
    tk_arena_init(&m->arena, 0);
    m->block_begin = tk_stage_begin(&m->config, m->stage, m->n_stages * m->chunks);
    m->block_end = tk_stage_begin(&m->config, m->stage + 1, m->n_stages * m->chunks);
    TK_TRY(tk_param_table_build(c, &m->arena, &m->table));
    TK_TRY(lay_out(m));
    TK_TRY(tk_model_name_weights(m));
    TK_TRY(new_flat(m, TK_FOR_WEIGHTS, part->sends_weights, m->compute, &m->values));
    if (part->grads) TK_TRY(new_flat(m, TK_FOR_GRADIENTS, part->sends_grads, TK_F32, &m->grads));
    for (int i = 0; i < m->n_weights; i++) {
        tk_weight *w = &m->weight[i];
        w->value = view_of(m, w, &m->values);
        if (part->grads) w->grad = view_of(m, w, &m->grads);
    }
    return TK_OK;
}

void tk_model_close(tk_model *m)
{
    if (m->device) {
        tk_device_free(m->device, &m->values);
        tk_device_free(m->device, &m->grads);
    }
    tk_arena_free(&m->arena);
    memset(m, 0, sizeof *m);
}

// Elements of x that are among those of weight w, from its initial values.
static tk_status init_piece(tk_model *m, const tk_weight *w, const tk_tensor *x, int64_t begin,
                            uint64_t seed)
{
    const int64_t n = w->share.rows * w->share.cols;
    int64_t from = begin - w->offset, to = from + tk_count(x);
    if (from < 0) from = 0;
    if (to > n) to = n;
    if (from >= to) return TK_OK;
    float *host = tk_alloc((size_t)n * sizeof *host);
    if (!host) return TK_FAIL(TK_MEMORY, "out of memory for initial weights");
    tk_param_initialize(&m->table, w->spec, &w->share, seed, host);
    float *at = (float *)x->data + (w->offset + from - begin);
    tk_status s = tk_device_upload(m->device, at, host + from, (size_t)(to - from) * sizeof *host);
    if (s == TK_OK) s = tk_device_sync(m->device);
    tk_free(host);
    return s;
}

tk_status tk_model_init_range(tk_model *m, const tk_tensor *x, int64_t begin, uint64_t seed)
{
    if (!tk_device_computes(m->device)) return TK_OK;
    for (int i = 0; i < m->n_weights; i++) TK_TRY(init_piece(m, &m->weight[i], x, begin, seed));
    return TK_OK;
}

tk_status tk_model_init_weights(tk_model *m, uint64_t seed)
{
    return tk_model_init_range(m, &m->values, 0, seed);
}

tk_status tk_model_zero_grads(tk_model *m)
{
    return tk_device_zero(m->device, m->grads.data, tk_bytes(&m->grads));
}

tk_status tk_model_set(tk_model *m, int weight, const float *host)
{
    const tk_tensor *t = &m->weight[weight].value;
    return tk_device_upload(m->device, t->data, host, tk_bytes(t));
}
