// SPDX-License-Identifier: Apache-2.0
#include "train/step/check.h"
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};
const double tk_check_level[TK_CHECK_LEVELS] = {0.1, 0.3, 0.5, 0.7, 0.9};

typedef struct check_slot { // a microbatch in a run of blocks
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
    tk_noisy noisy[2];
    bool open;
} check_slot;

typedef struct checking { // one task at one level
    tk_check *c;
    const tk_objective *objective;
    tk_step_documents docs;
    tk_microbatches micro;
    check_slot *slot; // (micro.n, chunks)
    tk_tensor losses; // (micro.n, 2); last stage
} checking;

// ---- documents ---------------------------------------------------------------------------------

tk_status tk_check_documents(const tk_loader *l, const tk_config *c, tk_task task, double level,
                             tk_arena *a, tk_step_documents *out)
{
    tk_config one = *c;
    for (int t = 0; t < TK_TASKS; t++) one.tasks.weight[t] = t == (int)task;
    one.train.memory = one.train.drop_caption = 0;
    TK_TRY(tk_step_documents_make(l, &one, 0, a, out));
    for (int64_t j = 0; j < out->n; j++) {
        tk_step_document *d = &out->document[j];
        d->doc.t_video = d->doc.t_audio = level;
        if (!d->unfit) continue;
        for (int k = 0; k < 2; k++) {
            out->targets[MEDIA[k]] -= d->targets[MEDIA[k]];
            d->targets[MEDIA[k]] = 0;
        }
    }
    return TK_OK;
}

// ---- a microbatch ------------------------------------------------------------------------------

static void close_check_slot(checking *k, check_slot *s)
{
    if (!s->open) return;
    tk_tape_free(&s->tape);
    for (int i = 0; i < 2; i++) tk_objective_free(k->objective, &s->noisy[i]);
    tk_batch_close(&s->batch);
    *s = (check_slot){0};
}

static tk_status take_check_rows(checking *k, int64_t begin, int64_t end, tk_clean_rows *clean)
{
    for (int64_t j = begin; j < end; j++) {
        tk_clean_rows *c = &clean[j - begin];
        tk_sample sample;
        TK_TRY(tk_loader_take(k->c->loader, 0, j, &sample));
        c->ok = sample.ok && !k->docs.document[j].unfit;
        c->rows[TK_VIDEO] = sample.video;
        c->rows[TK_AUDIO] = sample.audio;
        c->rows[TK_TEXT] = sample.text;
        c->cited[TK_VIDEO] = sample.cited[0];
        c->cited[TK_AUDIO] = sample.cited[1];
    }
    return TK_OK;
}

static tk_status open_check_slot(checking *k, const tk_action *a, check_slot *s, tk_model *run,
                                 bool first, bool last)
{
    const int64_t begin = tk_microbatch_begin(&k->micro, a->micro),
                  end = tk_microbatch_begin(&k->micro, a->micro + 1);
    tk_staging *host = &k->c->host;
    tk_clean_rows *clean;
    tk_host_rows in = {0};
    s->open = true;
    tk_tape_init(&s->tape, k->c->trainer->device, TK_TAPE_RUN);
    TK_ARENA_NEW(clean, &host->arena, end - begin);
    TK_TRY(
        tk_step_stream(k->c->loader, &k->docs, begin, end, &host->arena, &s->stream, &in.tokens));
    if (first || last) TK_TRY(take_check_rows(k, begin, end, clean));
    if (first && k->docs.text.channels)
        TK_TRY(tk_step_features(k->c->loader, &k->docs, begin, end, clean, &host->arena, &in.text));
    TK_TRY(tk_batch_begin(&s->batch, run, &s->stream, &in, host));
    for (int i = 0; i < 2 && (first || last); i++)
        TK_TRY(tk_objective_put(k->objective, &s->batch, &k->docs, clean, MEDIA[i], first, last,
                                &s->noisy[i]));
    TK_TRY(tk_batch_send(&s->batch));
    for (int i = 0; i < 2 && (first || last); i++)
        TK_TRY(tk_objective_mix(k->objective, &s->noisy[i]));
    s->batch.video = s->noisy[0].x_t;
    s->batch.audio = s->noisy[1].x_t;
    return TK_OK;
}

static tk_status keep_losses(checking *k, check_slot *s, int64_t micro, const tk_forward *out)
{
    tk_value *prediction[2] = {out->video, out->audio};
    for (int i = 0; i < 2; i++) {
        const tk_value *loss =
            tk_squared_error(&s->tape, prediction[i], tk_leaf(&s->tape, s->noisy[i].v, NULL),
                             tk_leaf(&s->tape, s->noisy[i].weight, NULL));
        TK_TRY(s->tape.status);
        char *to = (char *)k->losses.data + (size_t)(2 * micro + i) * sizeof(float);
        TK_TRY(tk_device_copy(k->c->trainer->device, to, loss->t.data, sizeof(float)));
    }
    return TK_OK;
}

static check_slot *check_slot_of(const checking *k, const tk_action *a)
{
    return &k->slot[a->micro * k->c->config.parallel.chunks + a->chunk];
}

static tk_status check_forward(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    checking *k = ctx;
    check_slot *s = check_slot_of(k, a);
    tk_model *run = &k->c->trainer->run[a->chunk];
    const bool first = run->stage == 0, last = run->stage == run->n_stages - 1;
    tk_forward out = {0};
    TK_TRY(open_check_slot(k, a, s, run, first, last));
    tk_value *in = first ? NULL : tk_leaf(&s->tape, *x, NULL);
    TK_TRY(tk_model_forward(run, &s->tape, &s->batch, in, false, &out));
    if (last) return keep_losses(k, s, a->micro, &out);
    *y = out.rows->t;
    return TK_OK;
}

static tk_status check_release(void *ctx, const tk_action *a)
{
    close_check_slot(ctx, check_slot_of(ctx, a));
    return TK_OK;
}

static int64_t check_boundary_rows(void *ctx, int64_t i)
{
    const checking *k = ctx;
    const tk_axis_row *tensor = &k->c->trainer->mesh->axis[TK_AXIS_TENSOR];
    int64_t rows = 0;
    for (int64_t j = tk_microbatch_begin(&k->micro, i); j < tk_microbatch_begin(&k->micro, i + 1);
         j++)
        rows += tk_document_rows(&k->docs.document[j].doc, NULL);
    return tk_split_count(rows, tensor->degree, tensor->rank);
}

// ---- a task at a level -------------------------------------------------------------------------

static tk_status forward_check(checking *k)
{
    const tk_trainer *t = k->c->trainer;
    const tk_pipeline_work work = {.ctx = k,
                                   .n = k->micro.n,
                                   .schedule = TK_SCHEDULE_FORWARD,
                                   .chunks = (int)t->config->parallel.chunks,
                                   .alone = !t->config->parallel.overlap_messages,
                                   .rows = check_boundary_rows,
                                   .hidden = t->config->model.hidden,
                                   .type = t->model.compute,
                                   .forward = check_forward,
                                   .release = check_release};
    return tk_pipeline_run(t->mesh, t->device, &work);
}

// This rank's losses, of which there are some on the last stage.
static tk_status fetch_losses(const checking *k, double loss[2])
{
    float *host;
    if (!k->losses.data) return TK_OK;
    TK_ARENA_NEW(host, &k->c->host.arena, 2 * k->micro.n);
    TK_TRY(tk_device_get(k->c->trainer->device, &k->losses, host));
    for (int64_t i = 0; i < 2 * k->micro.n; i++) loss[i % 2] += (double)host[i];
    return TK_OK;
}

static tk_status check_documents(checking *k, double loss[2])
{
    tk_trainer *t = k->c->trainer;
    const int64_t slots = k->micro.n * t->config->parallel.chunks;
    TK_ARENA_NEW(k->slot, &k->c->host.arena, slots + 1);
    if (t->last && k->micro.n) TK_TRY(tk_device_new(t->device, TK_F32, k->micro.n, 2, &k->losses));
    tk_status st = forward_check(k);
    if (st == TK_OK) st = fetch_losses(k, loss);
    if (st == TK_OK) st = tk_device_sync(t->device);
    for (int64_t i = 0; i < slots; i++) close_check_slot(k, &k->slot[i]);
    tk_device_free(t->device, &k->losses);
    return st;
}

// Adds this rank's losses.
static tk_status check_task(tk_check *c, tk_task task, int level, tk_check_losses *out)
{
    const tk_axis_row *data = &c->trainer->mesh->axis[TK_AXIS_DATA];
    const tk_objective objective = {c->trainer->device, &c->config.train, &c->config.model};
    checking k = {.c = c, .objective = &objective};
    tk_staging_reset(&c->host);
    TK_TRY(tk_check_documents(c->loader, &c->config, task, tk_check_level[level], &c->host.arena,
                              &k.docs));
    out->clips[task] = k.docs.n - k.docs.tasks.unfit;
    if (!out->clips[task]) return TK_OK;
    k.micro = tk_microbatches_of(&c->config.train, data->rank, data->degree);
    return check_documents(&k, out->loss[task][level]);
}

// ---- all of them -------------------------------------------------------------------------------

static bool is_checked(const tk_check *c, tk_task t)
{
    return t == TK_TASK_TEXT || c->trainer->config->tasks.weight[t] > 0;
}

static tk_status is_wanted(const tk_check *c, bool (*stop)(void), bool *wanted)
{
    uint64_t stops = stop();
    TK_TRY(tk_comm_sum_u64(&c->trainer->mesh->world, &stops, 1));
    *wanted = stops == 0;
    return TK_OK;
}

static tk_status check_all_tasks(tk_check *c, bool (*stop)(void), bool *whole)
{
    const tk_axis_row *data = &c->trainer->mesh->axis[TK_AXIS_DATA];
    const tk_microbatches m = tk_microbatches_of(&c->config.train, data->rank, data->degree);
    TK_TRY(tk_loader_start(c->loader, (uint64_t)c->config.train.seed, 0, c->config.train.batch,
                           m.begin, m.begin + m.count));
    for (tk_task t = 0; t < TK_TASKS; t++)
        for (int level = 0; level < TK_CHECK_LEVELS && is_checked(c, t); level++) {
            TK_TRY(is_wanted(c, stop, whole));
            if (!*whole) return TK_OK;
            TK_TRY(check_task(c, t, level, &c->now));
        }
    return TK_OK;
}

tk_status tk_check_run(tk_check *c, bool (*stop)(void), bool *whole)
{
    const tk_train_config *w = &c->config.train;
    c->now = (tk_check_losses){0};
    TK_TRY(check_all_tasks(c, stop, whole));
    if (!*whole) return TK_OK;
    TK_TRY(tk_comm_sum_f64(&c->trainer->mesh->world, &c->now.loss[0][0][0],
                           TK_TASKS * TK_CHECK_LEVELS * 2));
    for (int t = 0; t < TK_TASKS; t++)
        for (int i = 0; i < TK_CHECK_LEVELS; i++)
            c->now.mean[t] +=
                (w->video_weight * c->now.loss[t][i][0] + w->audio_weight * c->now.loss[t][i][1]) /
                TK_CHECK_LEVELS;
    return TK_OK;
}

// ---- opening -----------------------------------------------------------------------------------

static tk_status match_codecs(const tk_check *c)
{
    const tk_codec_info *trained = tk_codec_get_info(tk_loader_codec(c->trainer->loader));
    if (tk_codec_get_info(tk_loader_codec(c->loader))->digest == trained->digest) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "data.check: %s was made with another codec than the clips that are trained on; "
                   "make it with theirs (codec.from=...)",
                   c->config.data.files[0]);
}

static tk_status match_features(const tk_check *c)
{
    tk_text_form form, trained;
    TK_TRY(tk_loader_text_form(c->trainer->loader, &trained));
    TK_TRY(tk_loader_text_form(c->loader, &form));
    if (form.channels == trained.channels) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "data.check: the text features of %s are %lld wide, those that are trained on "
                   "%lld",
                   c->config.data.files[0], (long long)form.channels, (long long)trained.channels);
}

static tk_status open_clips(tk_check *c, tk_comm *world)
{
    tk_data_config *d = &c->config.data;
    if (!d->n_check) return tk_loader_open_held_out(d, c->config.codec.file, world, &c->loader);
    d->files = d->check;
    d->n_files = d->n_check;
    d->hold_out = 0;
    return tk_loader_open(d, c->config.codec.file, world, &c->loader);
}

tk_status tk_check_open(tk_check *c, tk_trainer *t)
{
    tk_comm *world = &t->mesh->world;
    *c = (tk_check){.trainer = t, .config = *t->config};
    tk_staging_init(&c->host, t->device);
    c->config.data.prefetch = 1;
    TK_TRY(open_clips(c, world));
    TK_TRY(tk_agree(world, match_codecs(c)));
    const int64_t have = tk_loader_count(c->loader);
    c->config.train.batch =
        have < t->config->train.check_clips ? have : t->config->train.check_clips;
    tk_loader_cites(c->loader, t->config->tasks.weight[TK_TASK_REFERENCES] > 0);
    if (t->config->model.text == TK_TEXT_BYTES) return TK_OK;
    tk_loader_texts(c->loader, t->first);
    return tk_agree(world, match_features(c));
}

void tk_check_close(tk_check *c)
{
    if (!c->trainer) return;
    if (c->loader) tk_loader_close(c->loader);
    tk_staging_free(&c->host);
    *c = (tk_check){0};
}
