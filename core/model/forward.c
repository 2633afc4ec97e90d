// SPDX-License-Identifier: Apache-2.0
// The mathematics of the model, written once (MODEL.md has it with shapes).
//
// N rows of the microbatch, n of them this tensor rank's; H hidden; K noise levels. Between blocks
// a rank holds (n, H). Inside attention and feed-forward it holds all N rows of its heads or
// columns: products of gathered rows before, sums over ranks of products after.
//
// Types are decided here, by casts in two places: rows are of the model's type (model->compute)
// from their projections on (`enter`) until before the heads (`heads`). What goes in, the time
// embedding, the AdaLN tables and the velocities are fp32; weights are used as the model holds
// them. All else follows from the operators (core/device/ops/ops.h).
#include "core/model/model.h"
#include <math.h>

typedef struct pass { // what all segments of one forward read; lives in the tape's arena
    tk_model *m;
    const tk_batch *b;
    tk_value **leaf; // (n_weights) this tape's leaves of the local weights
    tk_value *table_row, *level;
    tk_value *cos, *sin, *text_cos, *text_sin;
    tk_documents docs, text_docs;
    tk_value *given, *others, *together, *asked; // picks; NULL where the batch has none
    tk_documents given_docs, other_docs;
    int64_t *adaln_counts; // columns of the AdaLN projection per tensor rank
} pass;

typedef struct block_pass {
    const pass *p;
    const tk_block_weights *weights;
    int64_t number; // among the stage's
    bool hands_on;  // its rows go to another stage
} block_pass;

static tk_value *constant(tk_tape *t, tk_tensor x)
{
    return x.data ? tk_leaf(t, x, NULL) : NULL;
}

static tk_value *weight(const pass *p, int index)
{
    return index < 0 ? NULL : p->leaf[index]; // of another stage or another model
}

static tk_value *apply_linear(tk_tape *t, const pass *p, tk_linear_weights w, tk_value *x)
{
    return tk_linear(t, x, weight(p, w.weight), weight(p, w.bias));
}

// Rows as the blocks take them.
static tk_value *enter(tk_tape *t, const pass *p, tk_value *x)
{
    return tk_cast(t, x, p->m->compute);
}

// For rows or columns that tensor ranks gather.
static tk_tape *to_gather(tk_tape *t, const pass *p)
{
    return tk_to_send(t, p->m->tensor->size > 1);
}

// Queries or keys, normalized per head and turned by their position where there is one.
static tk_value *norm_heads(tk_tape *t, tk_value *x, tk_value *w, double eps, tk_value *cos,
                            tk_value *sin)
{
    return cos ? tk_norm_rope(t, x, w, eps, cos, sin) : tk_rms_norm(t, x, w, eps);
}

static tk_value *ask(tk_tape *t, const pass *p, tk_value *q, tk_value *k, tk_value *v,
                     const tk_documents *docs)
{
    const int64_t d = p->m->config.head_dim;
    return tk_attention(t, q, k, v, docs, d, 1 / sqrt((double)d));
}

static tk_status keep_rows(tk_tape *t, const tk_kept *to, int64_t block, const tk_value *k,
                           const tk_value *v)
{
    TK_TRY(t->status);
    TK_TRY(tk_device_copy(t->device, to->k[block].data, k->t.data, tk_bytes(&k->t)));
    return tk_device_copy(t->device, to->v[block].data, v->t.data, tk_bytes(&v->t));
}

// All rows of a block's stream, with this rank's heads: q, k, v (N, own heads * head_dim).
static tk_value *ask_stream(tk_tape *t, const pass *p, int64_t block, tk_value *q, tk_value *k,
                            tk_value *v)
{
    const tk_batch *b = p->b;
    if (b->keeps) {
        const tk_status st = keep_rows(t, b->keeps, block, k, v);
        if (t->status == TK_OK) t->status = st;
    }
    if (b->kept) {
        k = tk_pick(t, k, constant(t, b->kept->k[block]), NULL, p->asked);
        v = tk_pick(t, v, constant(t, b->kept->v[block]), NULL, p->asked);
    }
    if (!p->given) return ask(t, p, q, k, v, &p->docs);
    tk_value *given =
        ask(t, p, tk_pick(t, q, NULL, NULL, p->given), tk_pick(t, k, NULL, NULL, p->given),
            tk_pick(t, v, NULL, NULL, p->given), &p->given_docs);
    tk_value *others = ask(t, p, tk_pick(t, q, NULL, NULL, p->others), k, v, &p->other_docs);
    return tk_pick(t, given, others, NULL, p->together);
}

enum { REFINER = -1 }; // in place of a block's number

// Attention of this rank's rows x (n, H), `counts` of them on each: all rows by its heads, then its
// rows of the output projection.
static tk_value *attend_block(tk_tape *t, const pass *p, const tk_block_weights *w, tk_value *x,
                              const int64_t *counts, int64_t block)
{
    const tk_model_config *c = &p->m->config;
    tk_value *cos = block == REFINER ? p->text_cos : p->cos;
    tk_value *sin = block == REFINER ? p->text_sin : p->sin;
    tk_value *const to[] = {weight(p, w->to_q), weight(p, w->to_k), weight(p, w->to_v)};
    tk_value *qkv[3];
    tk_gather_linear(t, x, p->m->tensor, counts, to, 3, qkv);
    tk_value *q = norm_heads(t, qkv[0], weight(p, w->norm_q), c->qk_norm_eps, cos, sin);
    tk_value *k = norm_heads(t, qkv[1], weight(p, w->norm_k), c->qk_norm_eps, cos, sin);
    tk_value *o = block == REFINER ? ask(t, p, q, k, qkv[2], &p->text_docs)
                                   : ask_stream(t, p, block, q, k, qkv[2]);
    return tk_linear_scatter(t, o, weight(p, w->to_out), p->m->tensor, counts);
}

static tk_value *feed_forward(tk_tape *t, const pass *p, const tk_block_weights *w, tk_value *x,
                              const int64_t *counts)
{
    tk_value *const in[] = {weight(p, w->ff_in)};
    tk_value *h;
    tk_gather_linear(t, x, p->m->tensor, counts, in, 1, &h);
    return tk_linear_scatter(t, tk_swiglu(t, h), weight(p, w->ff_out), p->m->tensor, counts);
}

// One refiner block on this rank's text rows: pre-norm, no AdaLN.
static tk_value *refine(tk_tape *t, const pass *p, const tk_block_weights *w, tk_value *x)
{
    tk_model *m = p->m;
    const int64_t *counts = p->b->text_counts;
    tk_value *h = tk_rms_norm(to_gather(t, p), x, weight(p, w->norm1), m->config.norm_eps);
    h = attend_block(t, p, w, h, counts, REFINER);
    x = tk_add(t, x, h);
    h = tk_rms_norm(to_gather(t, p), x, weight(p, w->norm2), m->config.norm_eps);
    return tk_add(t, x, feed_forward(t, p, w, h, counts));
}

// To each row of this rank's x (n, H) what tells of which shot it is.
static tk_value *add_numbers(tk_tape *t, const pass *p, tk_value *x)
{
    tk_value *table = weight(p, p->m->named.shot_embed);
    return tk_add(t, x, enter(t, p, tk_pick(t, table, NULL, NULL, constant(t, p->b->number))));
}

// Text, video and audio rows into the stream: this rank's (n, H).
static tk_value *embed(tk_tape *t, const void *ctx, tk_value *const in[], int n_in)
{
    const pass *p = ctx;
    const tk_batch *b = p->b;
    tk_model *m = p->m;
    const tk_model_weights *w = &m->named;
    (void)in, (void)n_in;
    tk_value *text = constant(t, b->text);
    if (m->config.text == TK_TEXT_BYTES)
        text = tk_pick(t, weight(p, w->text_embed), NULL, NULL, text);
    text = enter(t, p, apply_linear(t, p, w->context_embedder, text));
    for (int64_t i = 0; i < m->config.refiner_layers; i++)
        text = refine(t, p, &w->refiner[i], text);
    text = tk_rms_norm(to_gather(t, p), text, weight(p, w->refiner_norm), m->config.final_norm_eps);
    text = tk_gather_rows(t, text, m->tensor, b->text_counts);
    tk_value *video = enter(t, p, apply_linear(t, p, w->proj_in, constant(t, b->video)));
    tk_value *audio = enter(t, p, apply_linear(t, p, w->audio_proj_in, constant(t, b->audio)));
    tk_value *x = tk_pick(t, video, text, audio, constant(t, b->pack)); // order of modality numbers
    return m->config.shots == TK_SHOTS_NUMBERED ? add_numbers(t, p, x) : x;
}

// SiLU of the timestep embedding, (K, time_dim): what every AdaLN projection reads.
static tk_value *time_embedding(tk_tape *t, const void *ctx, tk_value *const in[], int n_in)
{
    const pass *p = ctx;
    (void)in, (void)n_in;
    tk_value *s = tk_sinusoid(t, constant(t, p->b->timestep), p->m->config.freq_dim);
    s = tk_silu(t, apply_linear(t, p, p->m->named.time_1, s));
    return tk_silu(t, apply_linear(t, p, p->m->named.time_2, s));
}

// One block on this rank's rows. in: x (n, H), time embedding (K, time_dim).
static tk_value *block(tk_tape *t, const void *ctx, tk_value *const in[], int n_in)
{
    const block_pass *bp = ctx;
    const pass *p = bp->p;
    tk_model *m = p->m;
    const int64_t H = m->config.hidden, *counts = p->b->row_counts;
    const double eps = m->config.norm_eps;
    const tk_block_weights *w = bp->weights;
    (void)n_in;

    tk_value *table = apply_linear(to_gather(t, p), p, w->adaln, in[1]);
    table = tk_gather_cols(t, table, m->tensor, p->adaln_counts);
    table = tk_reshape(t, table, p->b->stream->n_levels * TK_MODALITIES, 6 * H);

    tk_value *x = in[0];
    tk_value *h =
        tk_modulate(to_gather(t, p), x, weight(p, w->norm1), table, p->table_row, 0, H, eps);
    h = attend_block(t, p, w, h, counts, bp->number);
    x = tk_gate_add(t, x, h, table, p->table_row, 2 * H);
    h = tk_modulate(to_gather(t, p), x, weight(p, w->norm2), table, p->table_row, 3 * H, 4 * H,
                    eps);
    h = feed_forward(t, p, w, h, counts);
    return tk_gate_add(tk_to_send(t, bp->hands_on), x, h, table, p->table_row, 5 * H);
}

// Output norm and heads. x (n, H), time embedding -> velocities of own video and audio rows.
static void heads(tk_tape *t, const pass *p, tk_value *x, tk_value *time, tk_forward *out)
{
    tk_model *m = p->m;
    tk_value *table = apply_linear(t, p, m->named.norm_out_table, time);
    x = tk_modulate(t, x, weight(p, m->named.norm_out), table, p->level, 0, m->config.hidden,
                    m->config.final_norm_eps);
    tk_value *video = tk_pick(t, x, NULL, NULL, constant(t, p->b->unpack[TK_VIDEO]));
    tk_value *audio = tk_pick(t, x, NULL, NULL, constant(t, p->b->unpack[TK_AUDIO]));
    out->video = apply_linear(t, p, m->named.proj_out, tk_cast(t, video, TK_F32));
    out->audio = apply_linear(t, p, m->named.audio_proj_out, tk_cast(t, audio, TK_F32));
}

static tk_documents documents(tk_tape *t, const tk_asking *r)
{
    tk_value *ask = constant(t, r->ask);
    return (tk_documents){.ask = ask,
                          .asked = r->asked.data ? constant(t, r->asked) : ask,
                          .count = tk_count(&r->ask) - 1,
                          .longest_ask = r->longest_ask,
                          .longest_asked = r->longest_asked,
                          .products = r->products,
                          .filled = r->filled};
}

// Given rows that ask each other, and the rows beside them that ask all.
static void open_apart(tk_tape *t, const tk_batch *b, pass *p)
{
    p->given = constant(t, b->given_rows);
    p->others = constant(t, b->other_rows);
    p->together = constant(t, b->together);
    p->given_docs = documents(t, &b->given_docs);
    p->other_docs = documents(t, &b->other_docs);
}

static tk_status open_pass(tk_model *m, tk_tape *t, const tk_batch *b, pass **out)
{
    pass *p;
    TK_ARENA_NEW(p, &t->arena, 1);
    p->m = m;
    p->b = b;
    p->table_row = constant(t, b->table_row);
    p->level = constant(t, b->level);
    p->cos = constant(t, b->cos);
    p->sin = constant(t, b->sin);
    p->text_cos = constant(t, b->text_cos);
    p->text_sin = constant(t, b->text_sin);
    p->docs = documents(t, &b->docs);
    p->text_docs = documents(t, &b->text_docs);
    p->asked = constant(t, b->asked_rows);
    if (b->given_rows.data) open_apart(t, b, p);
    const int ranks = m->tensor->size;
    TK_ARENA_NEW(p->adaln_counts, &t->arena, ranks);
    for (int r = 0; r < ranks; r++)
        p->adaln_counts[r] = tk_split_count(6 * TK_MODALITIES * m->config.hidden, ranks, r);
    TK_ARENA_NEW(p->leaf, &t->arena, m->n_weights);
    for (int i = 0; i < m->n_weights; i++) {
        const tk_weight *w = &m->weight[i];
        const bool grad = t->mode == TK_TAPE_RECORD && w->grad.data;
        p->leaf[i] = tk_leaf(t, w->value, grad ? &w->grad : NULL);
    }
    *out = p;
    return t->status;
}

tk_status tk_model_forward(tk_model *m, tk_tape *t, const tk_batch *b, tk_value *x, bool recompute,
                           tk_forward *out)
{
    pass *p;
    *out = (tk_forward){NULL, NULL, NULL};
    TK_TRY(open_pass(m, t, b, &p));
    if (m->stage == 0) {
        tk_tape_mark(t, TK_SECTION_INPUTS);
        x = tk_segment(t, embed, p, NULL, 0, false);
    }
    tk_tape_mark(t, TK_SECTION_TIME);
    tk_value *time = tk_segment(t, time_embedding, p, NULL, 0, false);
    block_pass *bp;
    TK_ARENA_NEW(bp, &t->arena, m->block_end - m->block_begin + 1);
    for (int64_t i = m->block_begin; i < m->block_end && t->status == TK_OK; i++, bp++) {
        *bp = (block_pass){p, &m->named.block[i], i - m->block_begin,
                           m->stage < m->n_stages - 1 && i == m->block_end - 1};
        tk_value *before = x;
        tk_tape_mark(t, TK_SECTION_BLOCKS + (int)i);
        x = tk_segment(t, block, bp, (tk_value *const[]){x, time}, 2, recompute);
        tk_tape_done(t, before);
    }
    if (m->stage < m->n_stages - 1) {
        out->rows = tk_keep(t, x);
        return t->status;
    }
    tk_tape_mark(t, tk_model_outputs(m));
    heads(t, p, x, time, out);
    return t->status;
}
