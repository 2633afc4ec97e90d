// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/keep.h"
#include "parallel/pipeline.h"
#include <string.h>

typedef struct keeping {
    tk_sampler *s;
    const tk_sample_task *task;
    tk_document doc; // the given rows alone, which no caption and no noise changes
    bool first, last;
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
} keeping;

int64_t tk_sampler_kept_rows(const tk_sampler *s, const tk_sample_task *t)
{
    int64_t n = 0, count[TK_MODALITIES];
    if (s->model->config.given != TK_GIVEN_OWN || !t->keep_given) return 0;
    tk_document_rows(&t->doc, count);
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT) n += count[m] - tk_document_targets(&t->doc, m);
    return n;
}

// The given rows of a modality out of all that the task has; zeros where nothing is computed.
static tk_status gather_given(keeping *k, int m, int64_t channels, float **out)
{
    const tk_document *d = &k->task->doc;
    const float *from = k->task->given[m];
    const size_t row = (size_t)channels * sizeof *from;
    int64_t i = 0;
    TK_ARENA_NEW(*out, &k->s->host.arena, k->stream.count[m] * channels + 1);
    if (!tk_device_computes(k->s->device)) return TK_OK;
    float *to = *out;
    for (int shot = 0; shot < d->n_shots; shot++)
        for (const int64_t end = i + tk_shot_count(d, shot, m); i < end; i++) {
            if (tk_row_is_target(d, shot, m, i)) continue;
            memcpy(to, from + i * channels, row);
            to += channels;
        }
    return TK_OK;
}

// Media rows to be made that lie before each given row: of a shot its sound, then its pictures.
static tk_status count_before(const tk_document *d, int64_t n, tk_arena *a, const int64_t **out)
{
    static const int order[2] = {TK_AUDIO, TK_VIDEO};
    int64_t *before, given = 0, made = 0, row[TK_MODALITIES] = {0};
    TK_ARENA_NEW(before, a, n);
    for (int k = 0; k < d->n_shots; k++)
        for (int h = 0; h < 2; h++) {
            int64_t *i = &row[order[h]];
            for (const int64_t end = *i + tk_shot_count(d, k, order[h]); *i < end; ++*i)
                if (tk_row_is_target(d, k, order[h], *i))
                    made++;
                else
                    before[given++] = made;
        }
    *out = before;
    return TK_OK;
}

static tk_status open_keeping(keeping *k)
{
    tk_arena *a = &k->s->host.arena;
    const tk_model_config *c = &k->s->model->config;
    float *video = NULL, *audio = NULL;
    k->doc = k->task->doc;
    k->doc.text_rows = 0;
    k->doc.t_clean = k->doc.t_video = k->doc.t_audio = 1;
    k->doc.laid = TK_LAID_GIVEN;
    TK_TRY(tk_stream_init(&k->stream, a, tk_document_rows(&k->doc, NULL), 1, 1));
    TK_TRY(tk_stream_append(&k->stream, &k->doc));
    if (k->first) {
        TK_TRY(gather_given(k, TK_VIDEO, c->video_channels, &video));
        TK_TRY(gather_given(k, TK_AUDIO, c->audio_channels, &audio));
    }
    const int32_t no_tokens = 0;
    const float no_text = 0;
    const tk_host_rows in = {
        .video = video, .audio = audio, .tokens = &no_tokens, .text = &no_text};
    return tk_batch_open(&k->batch, k->s->model, &k->stream, &in, &k->s->host);
}

static int64_t given_across(void *ctx, int64_t i)
{
    (void)i;
    return ((keeping *)ctx)->batch.row_count;
}

static tk_status forward_given(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    keeping *k = ctx;
    tk_forward out;
    (void)a;
    tk_value *in = k->first ? NULL : tk_leaf(&k->tape, *x, NULL);
    TK_TRY(tk_model_forward(k->s->model, &k->tape, &k->batch, in, false, &out));
    if (!k->last) *y = out.rows->t;
    return TK_OK;
}

static tk_status release_given(void *ctx, const tk_action *a)
{
    (void)a;
    tk_tape_reset(&((keeping *)ctx)->tape);
    return TK_OK;
}

static tk_status compute_given(keeping *k, tk_arena *a, tk_kept *out)
{
    const tk_pipeline_work work = {.ctx = k,
                                   .n = 1,
                                   .schedule = TK_SCHEDULE_FORWARD,
                                   .chunks = 1,
                                   .rows = given_across,
                                   .hidden = k->s->model->config.hidden,
                                   .type = k->s->model->compute,
                                   .forward = forward_given,
                                   .release = release_given};
    TK_TRY(open_keeping(k));
    TK_TRY(tk_kept_open(out, k->s->model, k->stream.rows, a));
    TK_TRY(count_before(&k->task->doc, out->rows, a, &out->before));
    k->batch.keeps = out;
    TK_TRY(tk_pipeline_run(k->s->mesh, k->s->device, &work));
    return tk_device_sync(k->s->device);
}

tk_status tk_sampler_keep(tk_sampler *s, const tk_sample_task *t, tk_arena *a, tk_kept *out)
{
    const tk_axis_row *stage = &s->mesh->axis[TK_AXIS_PIPELINE];
    keeping k = {
        .s = s, .task = t, .first = stage->rank == 0, .last = stage->rank == stage->degree - 1};
    tk_tape_init(&k.tape, s->device, TK_TAPE_RUN);
    const tk_status st = compute_given(&k, a, out);
    (void)tk_device_sync(s->device); // where it failed it may still read the staging
    tk_tape_free(&k.tape);
    tk_batch_close(&k.batch);
    tk_staging_reset(&s->host);
    return st;
}
