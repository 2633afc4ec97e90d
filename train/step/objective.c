// SPDX-License-Identifier: Apache-2.0
#include "train/step/objective.h"
#include "core/numbers/rng.h"
#include <string.h>

static int64_t channels_of(const tk_model_config *c, int m)
{
    return m == TK_VIDEO ? c->video_channels : c->audio_channels;
}

// What the device needs to know of this rank's rows of a modality.
typedef struct staging {
    int32_t *key;  // (n, 2): step and first index of TK_OP_NORMAL
    float *t;      // (n) noise level
    float *weight; // (n)
} staging;

static tk_status stage_rows(const tk_objective *o, const tk_batch *b, const tk_step_documents *d,
                            const tk_clean_rows *clean, int m, staging *s)
{
    const tk_stream *st = b->stream;
    const int64_t begin = b->own_first[m], n = b->own_count[m];
    const int64_t stride = INT32_MAX / o->train->batch;
    const double targets = (double)d->targets[m] * (double)channels_of(o->model, m);
    tk_arena *a = &b->transfer.host->arena;
    TK_ARENA_NEW(s->key, a, 2 * n);
    TK_ARENA_NEW(s->t, a, n);
    TK_ARENA_NEW(s->weight, a, n);
    int64_t first = 0; // the document's first row among the modality's rows
    for (int64_t k = 0; k < st->n_documents; k++) {
        const tk_step_document *e = &d->document[st->document_id[k]];
        const int64_t last = first + e->rows[m];
        if (e->rows[m] > stride)
            return TK_FAIL(TK_INPUT, "a clip of %lld rows in a batch of %lld is too long",
                           (long long)e->rows[m], (long long)o->train->batch);
        const int64_t from = first > begin ? first : begin;
        for (int64_t i = from; i < last && i < begin + n; i++) {
            const int32_t row = st->row[m][i];
            s->key[2 * (i - begin)] = (int32_t)(2 * d->step + (m == TK_AUDIO));
            s->key[2 * (i - begin) + 1] = (int32_t)(e->doc.id * stride + i - first);
            s->t[i - begin] = st->timestep[st->level[row]];
            s->weight[i - begin] = st->target[row] && clean[k].ok ? (float)(1 / targets) : 0;
        }
        first = last;
    }
    return TK_OK;
}

// Rows [first, last) of the modality, as far as they are own ones, from x, of which they are all.
static tk_status put_piece(tk_batch *b, int m, const float *x, int64_t first, int64_t last,
                           int64_t channels)
{
    const int64_t begin = b->own_first[m], end = begin + b->own_count[m];
    const int64_t from = first > begin ? first : begin, to = last < end ? last : end;
    if (from >= to) return TK_OK;
    return tk_transfer_fill(&b->transfer, x ? x + (from - first) * channels : NULL,
                            (size_t)((to - from) * channels) * sizeof(float));
}

// Own rows of x0, a piece for each document they lie in, and one for its references.
static tk_status put_clean(tk_batch *b, const tk_step_documents *d, const tk_clean_rows *clean,
                           int m, int64_t channels, tk_tensor *x0)
{
    int64_t first = 0;
    TK_TRY(tk_transfer_new(&b->transfer, TK_F32, b->own_count[m], channels, x0));
    for (int64_t k = 0; k < b->stream->n_documents; k++) {
        const tk_step_document *e = &d->document[b->stream->document_id[k]];
        const int64_t own = first + e->cited[m], last = first + e->rows[m];
        TK_TRY(put_piece(b, m, clean[k].cited[m], first, own, channels));
        TK_TRY(put_piece(b, m, clean[k].rows[m], own, last, channels));
        first = last;
    }
    return TK_OK;
}

tk_status tk_objective_put(const tk_objective *o, tk_batch *b, const tk_step_documents *d,
                           const tk_clean_rows *clean, int m, bool in, bool out, tk_noisy *n)
{
    tk_transfer *x = &b->transfer;
    const int64_t rows = b->own_count[m];
    staging s = {0};
    *n = (tk_noisy){.in = in, .out = out};
    TK_TRY(stage_rows(o, b, d, clean, m, &s));
    TK_TRY(tk_transfer_put(x, s.key, TK_I32, rows, 2, &n->key));
    TK_TRY(tk_transfer_put(x, s.t, TK_F32, rows, 1, &n->t));
    if (out) TK_TRY(tk_transfer_put(x, s.weight, TK_F32, rows, 1, &n->weight));
    return put_clean(b, d, clean, m, channels_of(o->model, m), &n->clean);
}

// The results of mixing, x_t and v, from x0; the noise lives only inside.
static tk_status mix(const tk_objective *o, const tk_noisy *n, const tk_tensor *x_t,
                     const tk_tensor *v)
{
    tk_device *d = o->device;
    tk_tensor noise;
    tk_status st = TK_OK;
    TK_TRY(tk_device_new(d, TK_F32, tk_rows(&n->clean), tk_cols(&n->clean), &noise));
    const tk_call normal = {
        .op = TK_OP_NORMAL, .in = {n->key}, .out = {noise}, .i = {o->train->seed, TK_RNG_NOISE}};
    TK_TRY_TO(st, done, tk_op_forward(d, &normal));
    const tk_call call = {.op = TK_OP_NOISE, .in = {n->clean, noise, n->t}, .out = {*x_t, *v}};
    TK_TRY_TO(st, done, tk_op_forward(d, &call));
done:
    tk_device_free(d, &noise);
    return st;
}

// Nobody reads the clean rows again, so that one of the results takes their place: no more memory
// is held than without a transfer that must be freed whole.
tk_status tk_objective_mix(const tk_objective *o, tk_noisy *n)
{
    tk_device *d = o->device;
    const int64_t rows = tk_rows(&n->clean), channels = tk_cols(&n->clean);
    tk_tensor x_t = {0}, v = {0};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, rows, channels, &v));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, rows, channels, &x_t));
    TK_TRY_TO(st, done, mix(o, n, &x_t, &v));
    const tk_tensor *stays = n->in ? &x_t : &v;
    TK_TRY_TO(st, done, tk_device_copy(d, n->clean.data, stays->data, tk_bytes(stays)));
    *(n->in ? &n->x_t : &n->v) = n->clean;
    if (n->in && n->out) n->v = v, v = (tk_tensor){0};
done:
    tk_device_free(d, &x_t);
    tk_device_free(d, &v);
    return st;
}

void tk_objective_free(const tk_objective *o, tk_noisy *n)
{
    if (n->v.data != n->clean.data) tk_device_free(o->device, &n->v);
    *n = (tk_noisy){0};
}

tk_status tk_step_features(const tk_loader *l, const tk_step_documents *d, int64_t begin,
                           int64_t end, const tk_clean_rows *clean, tk_arena *a, const float **out)
{
    int64_t rows = 0;
    float *to;
    for (int64_t j = begin; j < end; j++) rows += d->document[j].rows[TK_TEXT];
    TK_ARENA_NEW(to, a, rows * d->text.channels);
    *out = to;
    for (int64_t j = begin; j < end; j++) {
        const tk_step_document *e = &d->document[j];
        const int n_shots = tk_loader_info(l, e->sample, NULL)->n_shots;
        to = tk_caption_features(&d->text, n_shots, e->shot, e->dropped,
                                 clean[j - begin].rows[TK_TEXT], to);
    }
    return TK_OK;
}
