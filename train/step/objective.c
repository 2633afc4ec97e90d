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
    int64_t n;
} staging;

static tk_status stage_rows(const tk_objective *o, const tk_batch *b, const tk_step_documents *d,
                            const tk_clean_rows *clean, int m, tk_arena *a, staging *s)
{
    const tk_stream *st = b->stream;
    const int64_t begin = b->own_first[m], stride = INT32_MAX / o->train->batch;
    const double targets = (double)d->targets[m] * (double)channels_of(o->model, m);
    s->n = b->own_count[m];
    TK_ARENA_NEW(s->key, a, 2 * s->n);
    TK_ARENA_NEW(s->t, a, s->n);
    TK_ARENA_NEW(s->weight, a, s->n);
    int64_t first = 0; // the document's first row among the modality's rows
    for (int64_t k = 0; k < st->n_documents; k++) {
        const tk_step_document *e = &d->document[st->document_id[k]];
        const int64_t last = first + e->rows[m];
        if (e->rows[m] > stride)
            return TK_FAIL(TK_INPUT, "a clip of %lld rows in a batch of %lld is too long",
                           (long long)e->rows[m], (long long)o->train->batch);
        const int64_t from = first > begin ? first : begin;
        for (int64_t i = from; i < last && i < begin + s->n; i++) {
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

// Own rows of x0, a copy for each document they lie in.
static tk_status upload_clean(const tk_objective *o, const tk_batch *b, const tk_step_documents *d,
                              const tk_clean_rows *clean, int m, const tk_tensor *x0)
{
    const size_t row_bytes = (size_t)tk_cols(x0) * sizeof(float);
    const int64_t begin = b->own_first[m], end = begin + b->own_count[m];
    int64_t first = 0;
    for (int64_t k = 0; k < b->stream->n_documents; k++) {
        const int64_t last = first + d->document[b->stream->document_id[k]].rows[m];
        const int64_t from = first > begin ? first : begin, to = last < end ? last : end;
        if (from < to) {
            char *at = (char *)x0->data + (size_t)(from - begin) * row_bytes;
            const size_t bytes = (size_t)(to - from) * row_bytes;
            const float *rows = clean[k].rows[m];
            if (rows)
                TK_TRY(tk_device_upload(o->device, at, rows + (from - first) * tk_cols(x0), bytes));
            else
                TK_TRY(tk_device_zero(o->device, at, bytes));
        }
        first = last;
    }
    return TK_OK;
}

// x_t and v from x0; the noise lives only inside.
static tk_status mix(const tk_objective *o, const staging *s, const tk_tensor *x0,
                     const tk_tensor *x_t, tk_tensor *v)
{
    tk_device *d = o->device;
    tk_tensor key = {0}, t = {0}, noise = {0}, scratch = {0};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_device_put(d, s->key, TK_I32, s->n, 2, &key));
    TK_TRY_TO(st, done, tk_device_put(d, s->t, TK_F32, s->n, 1, &t));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, s->n, tk_cols(x0), &noise));
    if (!x_t->data) TK_TRY_TO(st, done, tk_device_new(d, TK_F32, s->n, tk_cols(x0), &scratch));
    const tk_call normal = {
        .op = TK_OP_NORMAL, .in = {key}, .out = {noise}, .i = {o->train->seed, TK_RNG_NOISE}};
    TK_TRY_TO(st, done, tk_op_forward(d, &normal));
    const tk_call call = {
        .op = TK_OP_NOISE, .in = {*x0, noise, t}, .out = {x_t->data ? *x_t : scratch, *v}};
    TK_TRY_TO(st, done, tk_op_forward(d, &call));
done:
    tk_device_free(d, &scratch);
    tk_device_free(d, &noise);
    tk_device_free(d, &t);
    tk_device_free(d, &key);
    return st;
}

tk_status tk_objective_rows(const tk_objective *o, const tk_batch *b, const tk_step_documents *d,
                            const tk_clean_rows *clean, int m, tk_arena *a, const tk_tensor *x_t,
                            tk_noisy *out)
{
    staging s;
    tk_tensor x0 = {0};
    tk_status st = TK_OK;
    TK_TRY(stage_rows(o, b, d, clean, m, a, &s));
    TK_TRY(tk_device_new(o->device, TK_F32, s.n, channels_of(o->model, m), &out->v));
    TK_TRY(tk_device_put(o->device, s.weight, TK_F32, s.n, 1, &out->weight));
    TK_TRY(tk_device_new(o->device, TK_F32, s.n, channels_of(o->model, m), &x0));
    TK_TRY_TO(st, done, upload_clean(o, b, d, clean, m, &x0));
    TK_TRY_TO(st, done, mix(o, &s, &x0, x_t, &out->v));
done:
    tk_device_free(o->device, &x0);
    return st;
}

void tk_objective_free(const tk_objective *o, tk_noisy *n)
{
    tk_device_free(o->device, &n->weight);
    tk_device_free(o->device, &n->v);
}
