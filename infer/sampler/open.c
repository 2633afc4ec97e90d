// SPDX-License-Identifier: Apache-2.0
#include "core/numbers/rng.h"
#include "infer/sampler/internal.h"
#include "infer/sampler/keep.h"
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

// ---- the stream --------------------------------------------------------------------------------

// Documents of branches differ in text alone. Levels that no schedule has keep the two modalities
// apart in the stream even where their sigmas meet; each step writes the true ones over them.
static tk_document document_of(const tk_sampling *r, int branch, int task)
{
    tk_document d = r->tasks[task]->doc;
    d.text_rows = r->tasks[task]->text_rows[branch];
    d.caption_rows = r->tasks[task]->caption_rows[branch];
    d.t_clean = 1;
    d.t_video = -1;
    d.t_audio = -2;
    if (r->kept.rows) d.laid = TK_LAID_OTHERS;
    return d;
}

static int64_t rows_in_group(const tk_sampling *r, int branch, int group)
{
    int64_t rows = 0;
    for (int i = tk_group_begin_of(r, group); i < tk_group_end_of(r, group); i++) {
        const tk_document d = document_of(r, branch, i);
        rows += tk_document_rows(&d, NULL);
    }
    return rows;
}

static tk_status make_stream(tk_sampling *r, tk_micro *b)
{
    const int begin = tk_group_begin_of(r, b->group), end = tk_group_end_of(r, b->group);
    const int64_t rows = rows_in_group(r, b->branch, b->group);
    if (rows > INT32_MAX / 2)
        return TK_FAIL(TK_INPUT, "%lld rows at once are too many; lower size or sample.window",
                       (long long)rows);
    TK_TRY(tk_stream_init(&b->stream, &r->s->host.arena, rows, end - begin, TK_MODALITIES));
    for (int i = begin; i < end; i++) {
        const tk_document d = document_of(r, b->branch, i);
        TK_TRY(tk_stream_append(&b->stream, &d));
    }
    for (int64_t i = 0; i < b->stream.n_levels; i++) {
        if (b->stream.timestep[i] == -1) b->level[TK_VIDEO] = i;
        if (b->stream.timestep[i] == -2) b->level[TK_AUDIO] = i;
    }
    return TK_OK;
}

// On one stage all tasks are one group. On several, as many microbatches as keep all stages at
// work: the last one of a group comes back while those of the other groups are taken, and before
// the first stage is through with these.
static int count_groups(const tk_sampling *r)
{
    const int stages = r->s->mesh->axis[TK_AXIS_PIPELINE].degree;
    const int enough = 1 + (stages - 1 + r->own - 1) / r->own;
    return r->n_tasks < enough ? r->n_tasks : enough;
}

static tk_status make_micros(tk_sampling *r)
{
    r->groups = count_groups(r);
    const int n = r->groups * r->own;
    TK_ARENA_NEW(r->micro, &r->notes, n);
    for (int g = 0; g < r->groups; g++)
        for (int b = 0; b < r->branches; b++) r->rows += rows_in_group(r, b, g);
    for (; r->n_micro < n; r->n_micro++) {
        tk_micro *b = &r->micro[r->n_micro];
        *b = (tk_micro){.group = r->n_micro / r->own, .branch = r->begin + r->n_micro % r->own};
        tk_tape_init(&b->tape, r->s->device, TK_TAPE_RUN);
    }
    for (int k = 0; k < n; k++) TK_TRY(make_stream(r, &r->micro[k]));
    return TK_OK;
}

// A stream's text, of one task after the other; of one task where it lies.
static tk_status join_text(const tk_sampling *r, const tk_micro *b, tk_host_rows *in)
{
    const tk_model_config *c = &r->s->model->config;
    const int begin = tk_group_begin_of(r, b->group), end = tk_group_end_of(r, b->group);
    const bool features = c->text == TK_TEXT_FEATURES;
    const size_t row = features ? (size_t)c->text_channels * sizeof(float) : sizeof(int32_t);
    char *to;
    in->text = r->tasks[begin]->features[b->branch];
    in->tokens = r->tasks[begin]->text[b->branch];
    if (end - begin == 1 || (features && !r->first)) return TK_OK;
    TK_ARENA_NEW(to, &r->s->host.arena, b->stream.count[TK_TEXT] * (int64_t)row);
    in->text = features ? (const float *)(void *)to : NULL;
    in->tokens = features ? NULL : (const int32_t *)(void *)to;
    for (int i = begin; i < end; i++) {
        const tk_sample_task *t = r->tasks[i];
        const size_t bytes = (size_t)t->text_rows[b->branch] * row;
        if (bytes)
            memcpy(to, features ? (const void *)t->features[b->branch] : t->text[b->branch], bytes);
        to += bytes;
    }
    return TK_OK;
}

// Rows of modality m in the stream rows each tensor rank holds.
static tk_status count_rows(tk_sampling *r, tk_micro *b, int m)
{
    const tk_stream *s = &b->stream;
    const int ranks = r->s->mesh->axis[TK_AXIS_TENSOR].degree;
    int64_t i = 0;
    TK_ARENA_NEW(b->counts[m], &r->s->host.arena, ranks);
    for (int k = 0; k < ranks; k++) {
        const int64_t end = tk_split_begin(s->rows, ranks, k) + tk_split_count(s->rows, ranks, k);
        const int64_t begin = i;
        while (i < s->count[m] && s->row[m][i] < end) i++;
        b->counts[m][k] = i - begin;
    }
    return TK_OK;
}

static tk_status measure_flow(tk_sampling *r, int m)
{
    const tk_model_config *c = &r->s->model->config;
    tk_flow *f = &r->flow[m];
    int64_t rows[TK_MODALITIES], most = 0;
    const bool all = r->kept.rows == 0;
    f->channels = m == TK_VIDEO ? c->video_channels : c->audio_channels;
    for (int t = 0; t < r->n_tasks; t++) {
        tk_document_rows(&r->tasks[t]->doc, rows);
        most += rows[m];
    }
    TK_ARENA_NEW(f->target, &r->s->host.arena, most + 1);
    TK_ARENA_NEW(f->begin, &r->s->host.arena, r->n_tasks + 1);
    for (int t = 0; t < r->n_tasks; t++) {
        const tk_document *d = &r->tasks[t]->doc;
        int64_t i = 0;
        f->begin[t] = f->rows;
        for (int k = 0; k < d->n_shots; k++)
            for (const int64_t end = i + tk_shot_count(d, k, m); i < end; i++)
                if (tk_row_is_target(d, k, m, i) || all)
                    f->target[f->rows++] = tk_row_is_target(d, k, m, i);
    }
    f->begin[r->n_tasks] = f->rows;
    for (int k = 0; k < r->n_micro; k++) TK_TRY(count_rows(r, &r->micro[k], m));
    return TK_OK;
}

// ---- what the device is told, in one transfer --------------------------------------------------

enum { DOWN = 2 }; // numbers of a factor: of rows that stay, of those that go

static tk_walk walk_of(const tk_sample_task *t, int m)
{
    return (tk_walk){.n = t->steps, .shift = t->shift[m], .skip = t->skip};
}

// What microbatches have in common goes with the first of them.
static tk_transfer *shared(tk_sampling *r)
{
    return &r->micro[0].batch.transfer;
}

// Noise levels of step k, of all own streams; returns what is behind them.
static float *write_levels(const tk_sampling *r, int64_t k, float *at)
{
    const tk_sample_task *t = r->task;
    for (int b = 0; b < r->n_micro; b++) {
        const tk_stream *s = &r->micro[b].stream;
        memcpy(at, s->timestep, (size_t)s->n_levels * sizeof *at);
        for (int h = 0; h < 2; h++) {
            const tk_walk walk = walk_of(t, MEDIA[h]);
            at[r->micro[b].level[MEDIA[h]]] = (float)(1 - tk_sigma(k, &walk));
        }
        at += s->n_levels;
    }
    return at;
}

// What rows go down by in step k.
static void write_factors(const tk_sample_task *t, int64_t k, float *down)
{
    for (int h = 0; h < 2; h++, down += TK_FLOW_FACTORS * DOWN) {
        const tk_walk walk = walk_of(t, MEDIA[h]);
        const tk_solver_step go = tk_solver_at(t->solver, k, &walk);
        down[TK_FLOW_NOW * DOWN] = (float)go.now;
        down[TK_FLOW_BEFORE * DOWN] = (float)go.before;
        down[TK_FLOW_KEEP * DOWN] = 1;
    }
}

static tk_status put_steps(tk_sampling *r)
{
    const tk_sample_task *t = r->task;
    int64_t width = 2 * DOWN * TK_FLOW_FACTORS;
    float *each;
    for (int b = 0; b < r->n_micro; b++) width += r->micro[b].stream.n_levels;
    TK_ARENA_NEW(each, &r->s->host.arena, (t->steps + 1) * width);
    for (int64_t k = 0; k <= t->steps; k++) {
        float *down = write_levels(r, k, each + k * width) + 1;
        if (k > 0) write_factors(t, k - 1, down);
    }
    return tk_transfer_put(shared(r), each, TK_F32, t->steps + 1, width, &r->each);
}

// Given rows stay.
static tk_status put_moves(tk_sampling *r, int m)
{
    tk_flow *f = &r->flow[m];
    int32_t *moves;
    TK_ARENA_NEW(moves, &r->s->host.arena, 2 * f->rows);
    for (int64_t i = 0; i < f->rows; i++) moves[2 * i + 1] = f->target[i];
    return tk_transfer_put(shared(r), moves, TK_I32, f->rows, 2, &f->moves);
}

static int32_t *key_rows(const tk_sampling *r, const tk_sample_task *t, int m, int32_t *key)
{
    const bool all = r->kept.rows == 0;
    int64_t row = 0;
    for (int k = 0; k < t->doc.n_shots; k++)
        for (int64_t i = 0, n = tk_shot_count(&t->doc, k, m); i < n; i++, row++) {
            if (!all && !tk_row_is_target(&t->doc, k, m, row)) continue;
            *key++ = (int32_t)(2 * t->shot_id[k] + (m == TK_AUDIO));
            *key++ = (int32_t)i;
        }
    return key;
}

static tk_status put_keys(tk_sampling *r, int m)
{
    tk_flow *f = &r->flow[m];
    int32_t *key, *at;
    TK_ARENA_NEW(key, &r->s->host.arena, 2 * f->rows);
    at = key;
    for (int i = 0; i < r->n_tasks; i++) at = key_rows(r, r->tasks[i], m, at);
    return tk_transfer_put(shared(r), key, TK_I32, f->rows, 2, &f->key);
}

// How clean rows begin, where those to be made begin as what was there.
static tk_status put_begins(tk_sampling *r, int m)
{
    tk_flow *f = &r->flow[m];
    const tk_walk walk = walk_of(r->task, m);
    float *t;
    if (r->task->skip == 0) return TK_OK;
    TK_ARENA_NEW(t, &r->s->host.arena, f->rows + 1);
    for (int64_t i = 0; i < f->rows; i++) t[i] = f->target[i] ? (float)(1 - tk_sigma(0, &walk)) : 1;
    return tk_transfer_put(shared(r), t, TK_F32, f->rows, 1, &f->begins);
}

static tk_status send_micro(tk_sampling *r, int k)
{
    tk_micro *b = &r->micro[k];
    tk_host_rows in = {.kept = r->kept.rows ? &r->kept : NULL};
    TK_TRY(join_text(r, b, &in));
    TK_TRY(tk_batch_begin(&b->batch, r->s->model, &b->stream, &in, &r->s->host));
    if (k == 0) TK_TRY(put_steps(r));
    for (int h = 0; h < 2 && r->first && k == 0; h++) {
        TK_TRY(put_moves(r, MEDIA[h]));
        TK_TRY(put_keys(r, MEDIA[h]));
        TK_TRY(put_begins(r, MEDIA[h]));
    }
    return tk_batch_send(&b->batch);
}

// ---- memory on the device ----------------------------------------------------------------------

// Runs of a task's given rows.
static tk_status upload_given(tk_sampling *r, int task, int m)
{
    const tk_flow *f = &r->flow[m];
    const size_t row = (size_t)f->channels * sizeof(float);
    const int64_t begin = f->begin[task], last = f->begin[task + 1];
    for (int64_t end, i = begin; i < last; i = end) {
        for (end = i + 1; end < last && f->target[end] == f->target[i]; end++) {
        }
        if (f->target[i]) continue;
        TK_TRY(tk_device_upload(r->s->device, (char *)f->x.data + (size_t)i * row,
                                r->tasks[task]->given[m] + (i - begin) * f->channels,
                                (size_t)(end - i) * row));
    }
    return TK_OK;
}

// What is there of the rows in the stream.
static tk_status upload_clean(tk_sampling *r, int m, const tk_tensor *clean)
{
    const tk_document *doc = &r->task->doc;
    const tk_flow *f = &r->flow[m];
    const float *from = r->task->given[m];
    if (!tk_device_computes(r->s->device)) return TK_OK;
    if (r->kept.rows) { // those to be made alone
        float *to;
        TK_ARENA_NEW(to, &r->notes, f->rows * f->channels + 1);
        from = to;
        for (int64_t i = 0, k = 0; k < doc->n_shots; k++)
            for (const int64_t end = i + tk_shot_count(doc, (int)k, m); i < end; i++) {
                if (!tk_row_is_target(doc, (int)k, m, i)) continue;
                memcpy(to, r->task->given[m] + i * f->channels, (size_t)f->channels * sizeof *to);
                to += f->channels;
            }
    }
    return tk_device_upload(r->s->device, clean->data, from, tk_bytes(clean));
}

// x, which is noise: that much of it in what is there.
static tk_status mix_clean(tk_sampling *r, int m)
{
    tk_device *d = r->s->device;
    const tk_flow *f = &r->flow[m];
    tk_tensor clean = {0}, noise = {0}, unread = {0};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, f->rows, f->channels, &clean));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, f->rows, f->channels, &noise));
    TK_TRY_TO(st, done, tk_device_new(d, TK_F32, f->rows, f->channels, &unread));
    TK_TRY_TO(st, done, upload_clean(r, m, &clean));
    TK_TRY_TO(st, done, tk_device_copy(d, noise.data, f->x.data, tk_bytes(&noise)));
    const tk_call mix = {.op = TK_OP_NOISE, .in = {clean, noise, f->begins}, .out = {f->x, unread}};
    TK_TRY_TO(st, done, tk_op_forward(d, &mix));
done:
    tk_device_free(d, &clean);
    tk_device_free(d, &noise);
    tk_device_free(d, &unread);
    return st;
}

// x: noise on the target rows, or a part of it, and what is given on the others.
static tk_status start_rows(tk_sampling *r, int m)
{
    tk_device *d = r->s->device;
    const tk_flow *f = &r->flow[m];
    for (int i = 0; i < r->n_tasks; i++) {
        const int64_t n = f->begin[i + 1] - f->begin[i];
        const tk_call normal = {.op = TK_OP_NORMAL,
                                .in = {tk_tensor_rows(f->key, f->begin[i], n)},
                                .out = {tk_tensor_rows(f->x, f->begin[i], n)},
                                .i = {(int64_t)r->tasks[i]->seed, TK_RNG_NOISE}};
        TK_TRY(tk_op_forward(d, &normal));
    }
    if (r->task->skip > 0 && f->rows > 0) TK_TRY(mix_clean(r, m)); // it is the only one
    for (int i = 0; i < r->n_tasks && tk_device_computes(d); i++) TK_TRY(upload_given(r, i, m));
    return TK_OK;
}

static tk_status open_flow(tk_sampling *r, int m)
{
    tk_device *d = r->s->device;
    tk_flow *f = &r->flow[m];
    if (r->first || r->last)
        TK_TRY(tk_device_new(d, TK_F32, r->branches * f->rows, f->channels, &f->v));
    if (!r->first) return TK_OK;
    TK_TRY(tk_device_new(d, TK_F32, f->rows, f->channels, &f->x));
    TK_TRY(tk_device_new(d, TK_F32, f->rows, 1, &f->by));
    if (tk_solver_remembers(r->task->solver)) {
        TK_TRY(tk_device_new(d, TK_F32, f->rows, f->channels, &f->before));
        TK_TRY(tk_device_zero(d, f->before.data, tk_bytes(&f->before)));
    }
    for (int k = 0; k < r->n_micro; k++) {
        tk_batch *b = &r->micro[k].batch;
        TK_TRY(tk_device_new(d, TK_F32, b->own_count[m], f->channels,
                             m == TK_VIDEO ? &b->video : &b->audio));
    }
    return start_rows(r, m);
}

static tk_status open_now(tk_sampling *r)
{
    int64_t levels = 0;
    TK_TRY(tk_device_new(r->s->device, TK_F32, tk_cols(&r->each), 1, &r->now));
    for (int k = 0; k < r->n_micro; k++) {
        tk_micro *b = &r->micro[k];
        b->batch.timestep = tk_tensor_rows(r->now, levels, b->stream.n_levels);
        levels += b->stream.n_levels;
    }
    for (int i = 0; i < 2 * TK_FLOW_FACTORS; i++)
        r->flow[MEDIA[i / TK_FLOW_FACTORS]].down[i % TK_FLOW_FACTORS] =
            tk_tensor_rows(r->now, levels + DOWN * i, DOWN);
    return TK_OK;
}

tk_status tk_sampling_open(tk_sampling *r)
{
    if (tk_sampler_kept_rows(r->s, r->task))
        TK_TRY(tk_sampler_keep(r->s, r->task, &r->notes, &r->kept));
    TK_TRY(make_micros(r));
    for (int h = 0; h < 2; h++) TK_TRY(measure_flow(r, MEDIA[h]));
    for (int k = 0; k < r->n_micro; k++) TK_TRY(send_micro(r, k));
    TK_TRY(open_now(r));
    for (int h = 0; h < 2; h++) TK_TRY(open_flow(r, MEDIA[h]));
    return TK_OK;
}

void tk_sampling_close(tk_sampling *r)
{
    tk_device *d = r->s->device;
    (void)tk_device_sync(d); // it may still read the staging and the task
    tk_graph_close(&r->graph);
    for (int k = 0; k < r->n_micro; k++) tk_tape_free(&r->micro[k].tape);
    for (int h = 0; h < 2; h++) {
        tk_flow *f = &r->flow[MEDIA[h]];
        tk_device_free(d, &f->x);
        tk_device_free(d, &f->v);
        tk_device_free(d, &f->by);
        tk_device_free(d, &f->before);
    }
    tk_device_free(d, &r->now);
    for (int k = 0; k < r->n_micro; k++) {
        tk_batch *b = &r->micro[k].batch;
        tk_device_free(d, &b->video);
        tk_device_free(d, &b->audio);
        tk_batch_close(b);
    }
    tk_kept_close(&r->kept);
    tk_arena_free(&r->notes);
    tk_staging_reset(&r->s->host);
}
