// SPDX-License-Identifier: Apache-2.0
// The table of tensors, built row by row in the order of the forward pass.
#include "core/model/params.h"
#include "core/model/stream.h"
#include "core/numbers/rng.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ADALN_CHUNKS = 6 }; // shift, scale, gate for attention; shift, scale, gate for feed-forward

typedef struct builder {
    tk_param_table *table;
    int cap;
} builder;

static tk_param_spec *add_spec(builder *b, const char *prefix, const char *name, int64_t rows,
                               int64_t cols, tk_stage_of where, int64_t block)
{
    tk_assert(b->table->n < b->cap);
    tk_param_spec *s = &b->table->spec[b->table->n++];
    snprintf(s->name, sizeof s->name, "%s%s", prefix, name);
    s->ndim = cols ? 2 : 1;
    s->rows = rows;
    s->cols = cols ? cols : 1;
    s->axis = -1;
    s->unit = 1;
    s->parts = 1;
    s->where = where;
    s->block = block;
    s->decay = cols > 0;
    s->init = cols ? TK_INIT_NORMAL : TK_INIT_ZERO;
    s->init_std = cols ? 1.0 / sqrt((double)cols) : 0;
    return s;
}

static void add_norm(builder *b, const char *prefix, const char *name, int64_t n, tk_stage_of where,
                     int64_t block)
{
    add_spec(b, prefix, name, n, 0, where, block)->init = TK_INIT_ONE;
}

static void add_linear(builder *b, const char *name, int64_t out, int64_t in, tk_stage_of where)
{
    char weight[64], bias[64];
    snprintf(weight, sizeof weight, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    add_spec(b, "", weight, out, in, where, 0);
    add_spec(b, "", bias, out, 0, where, 0);
}

static void shard(tk_param_spec *s, int axis, int64_t unit, int parts)
{
    s->axis = axis;
    s->unit = unit;
    s->parts = parts;
}

// Attention and feed-forward weights, shared by refiner blocks and main blocks. `depth` is the
// number of residual branches below the stream's end: the projections into the stream start that
// much smaller.
static void add_transformer(builder *b, const tk_model_config *m, const char *prefix,
                            tk_stage_of where, int64_t block, int64_t depth)
{
    const int64_t H = m->hidden, inner = m->heads * m->head_dim, F = m->ffn;
    const double small = 1.0 / sqrt(2.0 * (double)depth);
    add_norm(b, prefix, "norm1.weight", H, where, block);
    shard(add_spec(b, prefix, "attn.to_q.weight", inner, H, where, block), 0, m->head_dim, 1);
    shard(add_spec(b, prefix, "attn.to_k.weight", inner, H, where, block), 0, m->head_dim, 1);
    shard(add_spec(b, prefix, "attn.to_v.weight", inner, H, where, block), 0, m->head_dim, 1);
    add_norm(b, prefix, "attn.norm_q.weight", m->head_dim, where, block);
    add_norm(b, prefix, "attn.norm_k.weight", m->head_dim, where, block);
    tk_param_spec *out = add_spec(b, prefix, "attn.to_out.0.weight", H, inner, where, block);
    shard(out, 1, m->head_dim, 1);
    out->init_std *= small;
    add_norm(b, prefix, "norm2.weight", H, where, block);
    shard(add_spec(b, prefix, "ff.net.0.proj.weight", 2 * F, H, where, block), 0, 1, 2);
    out = add_spec(b, prefix, "ff.net.2.weight", H, F, where, block);
    shard(out, 1, 1, 1);
    out->init_std *= small;
}

static void add_inputs(builder *b, const tk_model_config *m)
{
    const int64_t H = m->hidden;
    add_linear(b, "proj_in", H, m->video_channels, TK_ON_FIRST);
    add_linear(b, "audio_proj_in", H, m->audio_channels, TK_ON_FIRST);
    if (m->text == TK_TEXT_BYTES) {
        tk_param_spec *s =
            add_spec(b, "", "text_embed.weight", TK_BYTES, m->text_channels, TK_ON_FIRST, 0);
        s->init_std = 1;
        s->decay = false;
    }
    add_linear(b, "context_embedder", H, m->text_channels, TK_ON_FIRST);
    for (int64_t i = 0; i < m->refiner_layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "token_refiner.refiner_blocks.%lld.", (long long)i);
        add_transformer(b, m, prefix, TK_ON_FIRST, i, m->refiner_layers);
    }
    add_norm(b, "", "token_refiner.final_norm.weight", H, TK_ON_FIRST, 0);
    if (m->shots == TK_SHOTS_NUMBERED) {
        tk_param_spec *s = add_spec(b, "", "shot_embed.weight", TK_SHOT_NUMBERS, H, TK_ON_FIRST, 0);
        s->init_std = 0.5; // beside rows of unit variance
        s->decay = false;
        s->added = true;
    }
    add_linear(b, "time_embedder.linear_1", m->time_hidden, m->freq_dim, TK_ON_ALL);
    add_linear(b, "time_embedder.linear_2", m->time_dim, m->time_hidden, TK_ON_ALL);
}

static void add_outputs(builder *b, const tk_model_config *m)
{
    const int64_t H = m->hidden;
    add_norm(b, "", "norm_out.norm.weight", H, TK_ON_LAST, 0);
    const int first = b->table->n;
    add_linear(b, "norm_out.linear", 2 * H, m->time_dim, TK_ON_LAST);
    add_linear(b, "proj_out", m->video_channels, H, TK_ON_LAST);
    add_linear(b, "audio_proj_out", m->audio_channels, H, TK_ON_LAST);
    for (int i = first; i < b->table->n; i++) b->table->spec[i].init = TK_INIT_ZERO;
}

tk_status tk_param_table_build(const tk_model_config *m, tk_arena *a, tk_param_table *out)
{
    builder b = {out, (int)(32 + 10 * m->refiner_layers + 12 * m->layers)};
    out->n = 0;
    TK_ARENA_NEW(out->spec, a, b.cap);
    add_inputs(&b, m);
    for (int64_t i = 0; i < m->layers; i++) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "transformer_blocks.%lld.", (long long)i);
        add_transformer(&b, m, prefix, TK_ON_BLOCK, i, m->layers);
        const int64_t rows = ADALN_CHUNKS * TK_MODALITIES * m->hidden;
        tk_param_spec *w =
            add_spec(&b, prefix, "adaln_proj.linear.weight", rows, m->time_dim, TK_ON_BLOCK, i);
        w->init = TK_INIT_ZERO;
        shard(w, 0, 1, 1);
        tk_param_spec *bias =
            add_spec(&b, prefix, "adaln_proj.linear.bias", rows, 0, TK_ON_BLOCK, i);
        bias->init = TK_INIT_GATES;
        shard(bias, 0, 1, 1);
    }
    add_outputs(&b, m);
    return TK_OK;
}

int64_t tk_param_count(const tk_param_table *t)
{
    int64_t n = 0;
    for (int i = 0; i < t->n; i++) n += t->spec[i].rows * t->spec[i].cols;
    return n;
}

tk_share tk_param_share(const tk_param_spec *s, int rank, int ranks)
{
    tk_share h = {s->rows, s->cols, 1, {{0, 0, s->axis == 1 ? s->cols : s->rows}}};
    if (s->axis < 0) return h;
    const int64_t whole = s->axis == 0 ? s->rows / s->parts : s->cols; // of one part
    const int64_t units = whole / s->unit;
    const int64_t begin = tk_split_begin(units, ranks, rank) * s->unit;
    const int64_t count = tk_split_count(units, ranks, rank) * s->unit;
    h.n_pieces = s->parts;
    for (int i = 0; i < s->parts; i++) h.piece[i] = (tk_piece){i * whole + begin, i * count, count};
    if (s->axis == 0)
        h.rows = s->parts * count;
    else
        h.cols = count;
    return h;
}

// Element k (in the global row-major order) of a tensor whose values do not come from the
// generator.
static float constant_value(const tk_param_spec *s, int64_t row)
{
    if (s->init == TK_INIT_ONE) return 1;
    if (s->init == TK_INIT_ZERO) return 0;
    const int64_t hidden = s->rows / (ADALN_CHUNKS * TK_MODALITIES);
    return row / hidden % 3 == 2 ? 1 : 0; // gates start open
}

void tk_param_initialize(const tk_param_table *t, int index, const tk_share *share, uint64_t seed,
                         float *out)
{
    const tk_param_spec *s = &t->spec[index];
    const tk_key key = tk_rng_key(seed, TK_RNG_WEIGHTS, (uint64_t)index);
    for (int p = 0; p < share->n_pieces; p++) {
        const tk_piece *piece = &share->piece[p];
        const int64_t rows = s->axis == 1 ? share->rows : piece->count;
        for (int64_t i = 0; i < rows; i++) {
            const int64_t grow = s->axis == 1 ? i : piece->global + i;
            const int64_t gcol = s->axis == 1 ? piece->global : 0;
            float *row = out + (s->axis == 1 ? i : piece->local + i) * share->cols;
            if (s->init == TK_INIT_NORMAL)
                tk_rng_fill_normal(key, (uint64_t)(grow * s->cols + gcol), row, share->cols,
                                   (float)s->init_std);
            else
                for (int64_t j = 0; j < share->cols; j++) row[j] = constant_value(s, grow);
        }
    }
}

void tk_share_cut(const tk_param_spec *s, const tk_share *share, const float *whole, float *out)
{
    for (int p = 0; p < share->n_pieces; p++) {
        const tk_piece *piece = &share->piece[p];
        if (s->axis != 1) {
            memcpy(out + piece->local * s->cols, whole + piece->global * s->cols,
                   (size_t)(piece->count * s->cols) * sizeof *out);
            continue;
        }
        for (int64_t i = 0; i < share->rows; i++)
            memcpy(out + i * share->cols + piece->local, whole + i * s->cols + piece->global,
                   (size_t)piece->count * sizeof *out);
    }
}
