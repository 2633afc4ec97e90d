// SPDX-License-Identifier: Apache-2.0
#include "core/numbers/rng.h"
#include "infer/sampler/internal.h"
#include "infer/sampler/keep.h"
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

// ---- the stream --------------------------------------------------------------------------------

// Documents differ in text alone. Levels that no schedule has keep the two modalities apart in the
// stream even where their sigmas meet; each step writes the true ones over them.
static tk_status make_stream(tk_sampling *r)
{
    const tk_sample_task *t = r->task;
    int64_t rows = 0;
    for (int d = 0; d < r->n_documents; d++) {
        r->doc[d] = t->doc;
        r->doc[d].text_rows = t->text_rows[d];
        r->doc[d].t_clean = 1;
        r->doc[d].t_video = -1;
        r->doc[d].t_audio = -2;
        if (r->kept.rows) r->doc[d].laid = TK_LAID_OTHERS;
        rows += tk_document_rows(&r->doc[d], NULL);
    }
    if (rows > INT32_MAX / 2)
        return TK_FAIL(TK_INPUT, "%lld rows at once are too many; lower size or sample.window",
                       (long long)rows);
    TK_TRY(tk_stream_init(&r->stream, &r->s->host.arena, rows, r->n_documents, TK_MODALITIES));
    for (int d = 0; d < r->n_documents; d++) TK_TRY(tk_stream_append(&r->stream, &r->doc[d]));
    for (int64_t i = 0; i < r->stream.n_levels; i++) {
        if (r->stream.timestep[i] == -1) r->level[TK_VIDEO] = i;
        if (r->stream.timestep[i] == -2) r->level[TK_AUDIO] = i;
    }
    return TK_OK;
}

// The documents' text, one after the other; features are of the first stage's alone.
static tk_status join_text(tk_sampling *r, tk_host_rows *in)
{
    const tk_sample_task *t = r->task;
    const tk_model_config *c = &r->s->model->config;
    const bool features = c->text == TK_TEXT_FEATURES;
    const size_t row = features ? (size_t)c->text_channels * sizeof(float) : sizeof(int32_t);
    char *to;
    if (features && !r->first) return TK_OK;
    TK_ARENA_NEW(to, &r->s->host.arena, r->stream.count[TK_TEXT] * (int64_t)row);
    in->text = features ? (const float *)(void *)to : NULL;
    in->tokens = features ? NULL : (const int32_t *)(void *)to;
    for (int d = 0; d < r->n_documents; d++) {
        const size_t bytes = (size_t)t->text_rows[d] * row;
        memcpy(to, features ? (const void *)t->features[d] : t->text[d], bytes);
        to += bytes;
    }
    return TK_OK;
}

// Rows of modality m in the stream rows each tensor rank holds.
static tk_status count_rows(tk_sampling *r, int m)
{
    const tk_stream *s = &r->stream;
    const int ranks = r->s->mesh->axis[TK_AXIS_TENSOR].degree;
    int64_t i = 0;
    TK_ARENA_NEW(r->flow[m].counts, &r->s->host.arena, ranks);
    for (int k = 0; k < ranks; k++) {
        const int64_t end = tk_split_begin(s->rows, ranks, k) + tk_split_count(s->rows, ranks, k);
        const int64_t begin = i;
        while (i < s->count[m] && s->row[m][i] < end) i++;
        r->flow[m].counts[k] = i - begin;
    }
    return TK_OK;
}

static tk_status measure_flow(tk_sampling *r, int m)
{
    const tk_document *d = &r->task->doc;
    const tk_model_config *c = &r->s->model->config;
    tk_flow *f = &r->flow[m];
    int64_t rows[TK_MODALITIES], i = 0;
    const bool all = r->kept.rows == 0;
    f->channels = m == TK_VIDEO ? c->video_channels : c->audio_channels;
    tk_document_rows(d, rows);
    TK_ARENA_NEW(f->target, &r->s->host.arena, rows[m] + 1);
    for (int k = 0; k < d->n_shots; k++)
        for (const int64_t end = i + tk_shot_count(d, k, m); i < end; i++)
            if (tk_row_is_target(d, k, m, i) || all)
                f->target[f->rows++] = tk_row_is_target(d, k, m, i);
    return count_rows(r, m);
}

// ---- what the device is told, in one transfer --------------------------------------------------

enum { DOWN = 2 }; // numbers of a factor: of rows that stay, of those that go

static tk_status put_steps(tk_sampling *r)
{
    const tk_sample_task *t = r->task;
    const int64_t levels = r->stream.n_levels, width = levels + 2 * DOWN * TK_FLOW_FACTORS;
    float *at;
    TK_ARENA_NEW(at, &r->s->host.arena, t->steps * width);
    for (int64_t k = 0; k < t->steps; k++, at += width) {
        memcpy(at, r->stream.timestep, (size_t)levels * sizeof *at);
        for (int h = 0; h < 2; h++) {
            const double shift = t->shift[MEDIA[h]];
            const tk_solver_step go = tk_solver_at(t->solver, k, t->steps, shift);
            float *down = at + levels + h * TK_FLOW_FACTORS * DOWN + 1;
            at[r->level[MEDIA[h]]] = (float)(1 - tk_sigma(k, t->steps, shift));
            down[TK_FLOW_NOW * DOWN] = (float)go.now;
            down[TK_FLOW_BEFORE * DOWN] = (float)go.before;
            down[TK_FLOW_KEEP * DOWN] = 1;
        }
    }
    at -= t->steps * width;
    return tk_transfer_put(&r->batch.transfer, at, TK_F32, t->steps, width, &r->each);
}

// Given rows stay.
static tk_status put_moves(tk_sampling *r, int m)
{
    tk_flow *f = &r->flow[m];
    int32_t *moves;
    TK_ARENA_NEW(moves, &r->s->host.arena, 2 * f->rows);
    for (int64_t i = 0; i < f->rows; i++) moves[2 * i + 1] = f->target[i];
    return tk_transfer_put(&r->batch.transfer, moves, TK_I32, f->rows, 2, &f->moves);
}

static tk_status put_keys(tk_sampling *r, int m)
{
    const tk_sample_task *t = r->task;
    tk_flow *f = &r->flow[m];
    int32_t *key;
    TK_ARENA_NEW(key, &r->s->host.arena, 2 * f->rows);
    const bool all = r->kept.rows == 0;
    int64_t at = 0, row = 0;
    for (int k = 0; k < t->doc.n_shots; k++)
        for (int64_t i = 0, n = tk_shot_count(&t->doc, k, m); i < n; i++, row++) {
            if (!all && !tk_row_is_target(&t->doc, k, m, row)) continue;
            key[2 * at] = (int32_t)(2 * t->shot_id[k] + (m == TK_AUDIO));
            key[2 * at++ + 1] = (int32_t)i;
        }
    return tk_transfer_put(&r->batch.transfer, key, TK_I32, f->rows, 2, &f->key);
}

static tk_status send_all(tk_sampling *r)
{
    tk_host_rows in = {.kept = r->kept.rows ? &r->kept : NULL};
    TK_TRY(join_text(r, &in));
    TK_TRY(tk_batch_begin(&r->batch, r->s->model, &r->stream, &in, &r->s->host));
    TK_TRY(put_steps(r));
    for (int h = 0; h < 2 && r->first; h++) {
        TK_TRY(put_moves(r, MEDIA[h]));
        TK_TRY(put_keys(r, MEDIA[h]));
    }
    return tk_batch_send(&r->batch);
}

// ---- memory on the device ----------------------------------------------------------------------

// Runs of given rows.
static tk_status upload_given(tk_sampling *r, int m)
{
    const tk_flow *f = &r->flow[m];
    const size_t row = (size_t)f->channels * sizeof(float);
    for (int64_t end, i = 0; i < f->rows; i = end) {
        for (end = i + 1; end < f->rows && f->target[end] == f->target[i]; end++) {
        }
        if (f->target[i]) continue;
        TK_TRY(tk_device_upload(r->s->device, (char *)f->x.data + (size_t)i * row,
                                r->task->given[m] + i * f->channels, (size_t)(end - i) * row));
    }
    return TK_OK;
}

// x: noise on the target rows, what is given on the others.
static tk_status start_rows(tk_sampling *r, int m)
{
    const tk_sample_task *t = r->task;
    tk_device *d = r->s->device;
    const tk_flow *f = &r->flow[m];
    const tk_call normal = {
        .op = TK_OP_NORMAL, .in = {f->key}, .out = {f->x}, .i = {(int64_t)t->seed, TK_RNG_NOISE}};
    TK_TRY(tk_op_forward(d, &normal));
    return tk_device_computes(d) ? upload_given(r, m) : TK_OK;
}

static tk_status open_flow(tk_sampling *r, int m)
{
    tk_device *d = r->s->device;
    tk_flow *f = &r->flow[m];
    if (r->first || r->last)
        TK_TRY(tk_device_new(d, TK_F32, r->n_documents * f->rows, f->channels, &f->v));
    if (!r->first) return TK_OK;
    TK_TRY(tk_device_new(d, TK_F32, f->rows, f->channels, &f->x));
    TK_TRY(tk_device_new(d, TK_F32, f->rows, 1, &f->by));
    if (tk_solver_remembers(r->task->solver)) {
        TK_TRY(tk_device_new(d, TK_F32, f->rows, f->channels, &f->before));
        TK_TRY(tk_device_zero(d, f->before.data, tk_bytes(&f->before)));
    }
    TK_TRY(tk_device_new(d, TK_F32, r->batch.own_count[m], f->channels,
                         m == TK_VIDEO ? &r->batch.video : &r->batch.audio));
    return start_rows(r, m);
}

static tk_status open_now(tk_sampling *r)
{
    const int64_t levels = r->stream.n_levels;
    TK_TRY(tk_device_new(r->s->device, TK_F32, tk_cols(&r->each), 1, &r->now));
    r->batch.timestep = tk_tensor_rows(r->now, 0, levels);
    for (int i = 0; i < 2 * TK_FLOW_FACTORS; i++)
        r->flow[MEDIA[i / TK_FLOW_FACTORS]].down[i % TK_FLOW_FACTORS] =
            tk_tensor_rows(r->now, levels + DOWN * i, DOWN);
    return TK_OK;
}

tk_status tk_sampling_open(tk_sampling *r)
{
    if (tk_sampler_kept_rows(r->s, r->task))
        TK_TRY(tk_sampler_keep(r->s, r->task, &r->notes, &r->kept));
    TK_TRY(make_stream(r));
    for (int h = 0; h < 2; h++) TK_TRY(measure_flow(r, MEDIA[h]));
    TK_TRY(send_all(r));
    TK_TRY(open_now(r));
    for (int h = 0; h < 2; h++) TK_TRY(open_flow(r, MEDIA[h]));
    return TK_OK;
}

void tk_sampling_close(tk_sampling *r)
{
    tk_device *d = r->s->device;
    (void)tk_device_sync(d); // it may still read the staging and the task
    tk_graph_close(&r->graph);
    tk_tape_free(&r->tape);
    for (int h = 0; h < 2; h++) {
        tk_flow *f = &r->flow[MEDIA[h]];
        tk_device_free(d, &f->x);
        tk_device_free(d, &f->v);
        tk_device_free(d, &f->by);
        tk_device_free(d, &f->before);
    }
    tk_device_free(d, &r->now);
    tk_device_free(d, &r->batch.video);
    tk_device_free(d, &r->batch.audio);
    tk_batch_close(&r->batch);
    tk_kept_close(&r->kept);
    tk_arena_free(&r->notes);
    tk_staging_reset(&r->s->host);
}
