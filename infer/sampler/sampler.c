// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/sampler.h"
#include "core/device/graph.h"
#include "core/numbers/rng.h"
#include "infer/sampler/keep.h"
#include "parallel/pipeline.h"
#include <stdio.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

// Of velocities: of this step, of the one before, and to keep them until the next.
enum { NOW, BEFORE, KEEP, FACTORS };

typedef struct flow {        // a modality on this rank
    int64_t rows, channels;  // of one document's, those in the stream
    uint8_t *target;         // (rows) to be made; others are given
    int64_t *counts;         // (tensor ranks) rows of the stream each one holds
    tk_tensor x;             // first stage: (rows, channels)
    tk_tensor v;             // ends: (documents * rows, channels) velocities
    tk_tensor moves;         // first stage: (rows, 2) i32, picks of `down`: is it a target?
    tk_tensor before;        // like x, where the solver remembers: velocities of the step before
    tk_tensor down[FACTORS]; // first stage: (2) what rows go by in this step: {0, factor}
    tk_tensor by;            // first stage: (rows) one of the factors, of each row
    tk_tensor key;           // first stage: (rows, 2) of the noise that x starts as
} flow;

typedef struct sampling_run {
    tk_sampler *s;
    const tk_sample_task *task;
    int n_documents;
    bool first, last;
    tk_document doc[2];
    tk_arena notes; // of what is kept
    tk_kept kept;   // given rows, which are not in the stream then
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
    flow flow[TK_MODALITIES];
    int64_t level[TK_MODALITIES]; // index of a modality's target level in the stream's
    tk_tensor each; // (steps, levels + 4 FACTORS) what is another number each step: noise levels,
                    // and `down` of video and audio
    tk_tensor now;  // (1, levels + 4 FACTORS) the same of this step
    tk_graph graph;
} sampling_run;

tk_model_part tk_sampler_part(tk_mesh *mesh, tk_device *device)
{
    return (tk_model_part){.device = device,
                           .tensor = &mesh->axis[TK_AXIS_TENSOR].device,
                           .stage = mesh->axis[TK_AXIS_PIPELINE].rank,
                           .n_stages = mesh->axis[TK_AXIS_PIPELINE].degree};
}

void tk_sampler_open(tk_sampler *s, tk_mesh *mesh, tk_device *device, tk_model *model)
{
    *s = (tk_sampler){.mesh = mesh, .device = device, .model = model};
    tk_staging_init(&s->host, device);
}

void tk_sampler_close(tk_sampler *s)
{
    tk_staging_free(&s->host);
    *s = (tk_sampler){0};
}

// ---- the stream --------------------------------------------------------------------------------

// Documents differ in text alone. Levels that no schedule has keep the two modalities apart in the
// stream even where their sigmas meet; each step writes the true ones over them.
static tk_status make_stream(sampling_run *r)
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
static tk_status join_text(sampling_run *r, tk_host_rows *in)
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
static tk_status count_rows(sampling_run *r, int m)
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

static tk_status measure_flow(sampling_run *r, int m)
{
    const tk_document *d = &r->task->doc;
    const tk_model_config *c = &r->s->model->config;
    flow *f = &r->flow[m];
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

static tk_status put_steps(sampling_run *r)
{
    const tk_sample_task *t = r->task;
    const int64_t levels = r->stream.n_levels, width = levels + 2 * DOWN * FACTORS;
    float *at;
    TK_ARENA_NEW(at, &r->s->host.arena, t->steps * width);
    for (int64_t k = 0; k < t->steps; k++, at += width) {
        memcpy(at, r->stream.timestep, (size_t)levels * sizeof *at);
        for (int h = 0; h < 2; h++) {
            const double shift = t->shift[MEDIA[h]];
            const tk_solver_step go = tk_solver_at(t->solver, k, t->steps, shift);
            float *down = at + levels + h * FACTORS * DOWN + 1;
            at[r->level[MEDIA[h]]] = (float)(1 - tk_sigma(k, t->steps, shift));
            down[NOW * DOWN] = (float)go.now;
            down[BEFORE * DOWN] = (float)go.before;
            down[KEEP * DOWN] = 1;
        }
    }
    at -= t->steps * width;
    return tk_transfer_put(&r->batch.transfer, at, TK_F32, t->steps, width, &r->each);
}

// Given rows stay.
static tk_status put_moves(sampling_run *r, int m)
{
    flow *f = &r->flow[m];
    int32_t *moves;
    TK_ARENA_NEW(moves, &r->s->host.arena, 2 * f->rows);
    for (int64_t i = 0; i < f->rows; i++) moves[2 * i + 1] = f->target[i];
    return tk_transfer_put(&r->batch.transfer, moves, TK_I32, f->rows, 2, &f->moves);
}

static tk_status put_keys(sampling_run *r, int m)
{
    const tk_sample_task *t = r->task;
    flow *f = &r->flow[m];
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

static tk_status send_all(sampling_run *r)
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
static tk_status upload_given(sampling_run *r, int m)
{
    const flow *f = &r->flow[m];
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
static tk_status start_rows(sampling_run *r, int m)
{
    const tk_sample_task *t = r->task;
    tk_device *d = r->s->device;
    const flow *f = &r->flow[m];
    const tk_call normal = {
        .op = TK_OP_NORMAL, .in = {f->key}, .out = {f->x}, .i = {(int64_t)t->seed, TK_RNG_NOISE}};
    TK_TRY(tk_op_forward(d, &normal));
    return tk_device_computes(d) ? upload_given(r, m) : TK_OK;
}

static tk_status open_flow(sampling_run *r, int m)
{
    tk_device *d = r->s->device;
    flow *f = &r->flow[m];
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

static tk_status open_now(sampling_run *r)
{
    const int64_t levels = r->stream.n_levels;
    TK_TRY(tk_device_new(r->s->device, TK_F32, tk_cols(&r->each), 1, &r->now));
    r->batch.timestep = tk_tensor_rows(r->now, 0, levels);
    for (int i = 0; i < 2 * FACTORS; i++)
        r->flow[MEDIA[i / FACTORS]].down[i % FACTORS] =
            tk_tensor_rows(r->now, levels + DOWN * i, DOWN);
    return TK_OK;
}

static tk_status open_sampling(sampling_run *r)
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

static void close_sampling(sampling_run *r)
{
    tk_device *d = r->s->device;
    (void)tk_device_sync(d); // it may still read the staging and the task
    tk_graph_close(&r->graph);
    tk_tape_free(&r->tape);
    for (int h = 0; h < 2; h++) {
        flow *f = &r->flow[MEDIA[h]];
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

// ---- a step ------------------------------------------------------------------------------------

// This rank's rows of x, once for each document they lie in, into the model's input.
static tk_status feed_rows(sampling_run *r, int m)
{
    tk_device *d = r->s->device;
    const flow *f = &r->flow[m];
    const tk_tensor *to = m == TK_VIDEO ? &r->batch.video : &r->batch.audio;
    const int64_t begin = r->batch.own_first[m], end = begin + r->batch.own_count[m];
    const size_t row = (size_t)f->channels * sizeof(float);
    for (int k = 0; k < r->n_documents; k++) {
        const int64_t base = k * f->rows;
        const int64_t from = begin > base ? begin : base;
        const int64_t until = end < base + f->rows ? end : base + f->rows;
        if (from >= until) continue;
        TK_TRY(tk_device_copy(d, (char *)to->data + (size_t)(from - begin) * row,
                              (const char *)f->x.data + (size_t)(from - base) * row,
                              (size_t)(until - from) * row));
    }
    return TK_OK;
}

static int64_t rows_across(void *ctx, int64_t i)
{
    (void)i;
    return ((sampling_run *)ctx)->batch.row_count;
}

static tk_status forward_stage(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    sampling_run *r = ctx;
    tk_forward out;
    (void)a;
    tk_value *in = r->first ? NULL : tk_leaf(&r->tape, *x, NULL);
    TK_TRY(tk_model_forward(r->s->model, &r->tape, &r->batch, in, false, &out));
    if (!r->last) {
        *y = out.rows->t;
        return TK_OK;
    }
    tk_value *const velocity[TK_MODALITIES] = {[TK_VIDEO] = out.video, [TK_AUDIO] = out.audio};
    for (int h = 0; h < 2; h++) {
        const flow *f = &r->flow[MEDIA[h]];
        tk_value *all =
            tk_gather_rows(&r->tape, velocity[MEDIA[h]], r->s->model->tensor, f->counts);
        TK_TRY(r->tape.status);
        tk_device *d = r->s->device;
        TK_TRY(tk_device_copy(d, f->v.data, all->t.data, tk_bytes(&f->v)));
    }
    return TK_OK;
}

static tk_status release_slot(void *ctx, const tk_action *a)
{
    (void)a;
    tk_tape_reset(&((sampling_run *)ctx)->tape);
    return TK_OK;
}

// Velocities from each tensor rank of the last stage to the same one of the first.
static tk_status return_velocities(sampling_run *r)
{
    tk_device_comm *p = &r->s->mesh->axis[TK_AXIS_PIPELINE].device;
    if (p->size == 1 || (!r->first && !r->last)) return TK_OK;
    for (int h = 0; h < 2; h++) {
        const tk_tensor *v = &r->flow[MEDIA[h]].v;
        tk_request req = {0};
        if (tk_count(v) == 0) continue;
        if (r->last)
            TK_TRY(tk_isend(p, v->data, tk_count(v), TK_F32, 0, &req));
        else
            TK_TRY(tk_irecv(p, v->data, tk_count(v), TK_F32, p->size - 1, &req));
        TK_TRY(tk_wait(p, &req));
    }
    return TK_OK;
}

// to += factor * velocity, of target rows; with guidance where `captioned` is there.
static tk_status add_velocity(sampling_run *r, const flow *f, int factor, tk_tensor v,
                              tk_tensor captioned, tk_tensor to)
{
    tk_device *d = r->s->device;
    const tk_call spread = {
        .op = TK_OP_PICK, .in = {f->down[factor], {0}, {0}, f->moves}, .out = {f->by}};
    const tk_call add = {
        .op = TK_OP_EULER, .in = {v, captioned, f->by}, .out = {to}, .f = {r->task->guidance}};
    TK_TRY(tk_op_forward(d, &spread));
    return tk_op_forward(d, &add);
}

static tk_status move_rows(sampling_run *r, int m)
{
    tk_device *d = r->s->device;
    const flow *f = &r->flow[m];
    if (f->rows == 0) return TK_OK;
    tk_tensor v = tk_tensor_rows(f->v, 0, f->rows), captioned = {0};
    if (r->n_documents == 2) {
        captioned = v;
        v = tk_tensor_rows(f->v, f->rows, f->rows);
    }
    if (!tk_solver_remembers(r->task->solver)) return add_velocity(r, f, NOW, v, captioned, f->x);
    TK_TRY(add_velocity(r, f, BEFORE, f->before, (tk_tensor){0}, f->x));
    TK_TRY(tk_device_zero(d, f->before.data, tk_bytes(&f->before)));
    TK_TRY(add_velocity(r, f, KEEP, v, captioned, f->before));
    return add_velocity(r, f, NOW, f->before, (tk_tensor){0}, f->x);
}

static tk_status ask_sampler_step(sampling_run *r)
{
    tk_device *d = r->s->device;
    const tk_pipeline_work work = {.ctx = r,
                                   .n = 1,
                                   .schedule = TK_SCHEDULE_FORWARD,
                                   .chunks = 1,
                                   .rows = rows_across,
                                   .hidden = r->s->model->config.hidden,
                                   .type = r->s->model->compute,
                                   .forward = forward_stage,
                                   .release = release_slot};
    for (int h = 0; h < 2 && r->first; h++) TK_TRY(feed_rows(r, MEDIA[h]));
    TK_TRY(tk_pipeline_run(r->s->mesh, d, &work));
    TK_TRY(return_velocities(r));
    for (int h = 0; h < 2 && r->first; h++) TK_TRY(move_rows(r, MEDIA[h]));
    return TK_OK;
}

// ---- steps as a graph --------------------------------------------------------------------------

static tk_status check_graphs(const sampling_run *r)
{
    const tk_device *d = r->s->device;
    if (!r->task->graph || tk_device_has_graphs(d)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "sample.graph=true needs device=cuda: device %s has no graphs; set "
                   "sample.graph=false",
                   d->ops->name);
}

static tk_status record_sampling(sampling_run *r)
{
    TK_TRY(tk_graph_open(&r->graph, r->s->device));
    TK_TRY(tk_graph_record(&r->graph));
    TK_TRY(ask_sampler_step(r));
    return tk_graph_end(&r->graph);
}

// The step before was asked for: what NCCL does beside graphs and for them must not meet. Recording
// asks nothing of other ranks that would have to wait: who fails says so to all.
static tk_status record_on_all(sampling_run *r)
{
    TK_TRY(tk_device_sync(r->s->device));
    if (!tk_device_computes(r->s->device)) return TK_OK;
    const tk_status st = tk_agree(&r->s->mesh->replica, record_sampling(r));
    if (st != TK_OK) tk_graph_close(&r->graph);
    TK_TRY(st);
    r->s->recorded++;
    return TK_OK;
}

static tk_status do_step(sampling_run *r, int64_t step)
{
    const tk_tensor now = tk_tensor_rows(r->each, step, 1);
    TK_TRY(tk_device_copy(r->s->device, r->now.data, now.data, tk_bytes(&now)));
    if (r->task->graph && step == 1) TK_TRY(record_on_all(r));
    r->s->steps++;
    r->s->rows += r->stream.rows;
    r->s->spared += r->n_documents * r->kept.rows;
    if (!r->graph.device) return ask_sampler_step(r);
    TK_TRY(tk_graph_hold(&r->graph));
    r->s->replayed += step > 1;
    return tk_graph_launch(&r->graph);
}

// ---- all of them -------------------------------------------------------------------------------

// All rows of the document; given ones that were kept are the task's.
static tk_status download_rows(sampling_run *r, int m, float *out)
{
    const tk_document *doc = &r->task->doc;
    const flow *f = &r->flow[m];
    const size_t row = (size_t)f->channels * sizeof(float);
    float *made = out;
    if (r->kept.rows) TK_ARENA_NEW(made, &r->notes, f->rows * f->channels + 1);
    TK_TRY(tk_device_download(r->s->device, made, f->x.data, tk_bytes(&f->x)));
    if (!r->kept.rows) return TK_OK;
    TK_TRY(tk_device_sync(r->s->device));
    for (int64_t i = 0, k = 0; k < doc->n_shots; k++)
        for (const int64_t end = i + tk_shot_count(doc, (int)k, m); i < end; i++)
            if (tk_row_is_target(doc, (int)k, m, i)) {
                memcpy(out + i * f->channels, made, row);
                made += f->channels;
            } else if (r->task->given[m] != out) {
                memcpy(out + i * f->channels, r->task->given[m] + i * f->channels, row);
            }
    return TK_OK;
}

static tk_status all_steps(sampling_run *r, float *const out[TK_MODALITIES],
                           void (*step_done)(void *ctx), void *ctx)
{
    TK_TRY(check_graphs(r));
    enum { ALIKE = 2 }; // the first one, and all others
    TK_TRY(open_sampling(r));
    tk_device *d = r->s->device;
    const bool computes = tk_device_computes(d);
    for (int64_t k = 0; k < r->task->steps && (computes || k < ALIKE); k++) {
        snprintf(d->during, sizeof d->during, "sampling step %lld of %lld", (long long)k + 1,
                 (long long)r->task->steps);
        TK_TRY(do_step(r, k));
        if (step_done) step_done(ctx);
    }
    for (int h = 0; h < 2 && r->first && computes; h++)
        TK_TRY(download_rows(r, MEDIA[h], out[MEDIA[h]]));
    return tk_device_sync(d);
}

tk_status tk_sampler_run(tk_sampler *s, const tk_sample_task *t, float *const out[TK_MODALITIES],
                         void (*step_done)(void *ctx), void *ctx)
{
    const tk_axis_row *stage = &s->mesh->axis[TK_AXIS_PIPELINE];
    sampling_run r = {.s = s,
                      .task = t,
                      .n_documents = t->guidance == 1 ? 1 : 2,
                      .first = stage->rank == 0,
                      .last = stage->rank == stage->degree - 1};
    tk_arena_init(&r.notes, 0);
    tk_tape_init(&r.tape, s->device, TK_TAPE_RUN);
    const tk_status st = all_steps(&r, out, step_done, ctx);
    close_sampling(&r);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}
