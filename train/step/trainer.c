// SPDX-License-Identifier: Apache-2.0
#include "train/step/trainer.h"
#include <stdio.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

typedef struct tk_slot {
    tk_model *run;
    bool first, last; // is it the first / the last run of the model
    tk_stream stream;
    tk_batch batch;
    tk_tape tape;
    tk_value *x;       // rows from the stage before
    tk_value *rows;    // rows for the stage after
    tk_value *loss[2]; // last run
    tk_noisy noisy[2]; // first and last run
} tk_slot;

// ---- opening -----------------------------------------------------------------------------------

static tk_status open_losses(tk_trainer *t)
{
    tk_device *d = t->device;
    t->weight[0] = (float)t->config->train.video_weight;
    t->weight[1] = (float)t->config->train.audio_weight;
    if (!t->last) return TK_OK;
    TK_TRY(tk_device_new(d, TK_F32, t->micro.n, 2, &t->losses));
    for (int k = 0; k < 2; k++) TK_TRY(tk_device_put(d, &t->weight[k], TK_F32, 1, 1, &t->seed[k]));
    return TK_OK;
}

static tk_status open_model(tk_trainer *t)
{
    const int chunks = (int)t->config->parallel.chunks;
    const bool half = t->config->train.precision == TK_PRECISION_BF16;
    const tk_model_part part = {.device = t->device,
                                .tensor = &t->mesh->axis[TK_AXIS_TENSOR].device,
                                .stage = t->mesh->axis[TK_AXIS_PIPELINE].rank,
                                .n_stages = t->mesh->axis[TK_AXIS_PIPELINE].degree,
                                .chunks = chunks,
                                .grads = true,
                                .sends_weights = t->mesh->axis[TK_AXIS_DATA].degree > 1,
                                .sends_grads = t->mesh->world.size > 1,
                                .compute = half ? TK_BF16 : TK_F32};
    TK_TRY(tk_model_open(&t->model, &t->config->model, &part));
    TK_ARENA_NEW(t->run, &t->arena, chunks);
    for (int k = 0; k < chunks; k++) t->run[k] = tk_model_chunk(&t->model, k);
    TK_ARENA_NEW(t->slot, &t->arena, t->micro.n * chunks);
    return TK_OK;
}

static tk_status open_graphs(tk_trainer *t)
{
    const tk_train_config *c = &t->config->train;
    if (!c->graph) return TK_OK;
    if (tk_device_has_graphs(t->device))
        return tk_graphs_open(&t->graphs, t->device, c->graphs, &t->arena);
    return TK_FAIL(TK_INPUT,
                   "train.graph=true needs device=cuda: device %s has no graphs; set "
                   "train.graph=false",
                   t->device->ops->name);
}

tk_status tk_trainer_open(tk_trainer *t, const tk_config *c, tk_mesh *mesh, tk_device *device,
                          tk_loader *loader)
{
    const tk_axis_row *data = &mesh->axis[TK_AXIS_DATA];
    const int stage = mesh->axis[TK_AXIS_PIPELINE].rank;
    const int stages = mesh->axis[TK_AXIS_PIPELINE].degree;
    *t = (tk_trainer){.config = c,
                      .mesh = mesh,
                      .device = device,
                      .loader = loader,
                      .objective = {device, &c->train, &c->model},
                      .first = stage == 0,
                      .last = stage == stages - 1};
    tk_arena_init(&t->arena, 0);
    tk_loader_cites(loader, c->tasks.weight[TK_TASK_REFERENCES] > 0);
    TK_TRY(open_graphs(t));
    device->attention.any_order = !c->train.deterministic;
    t->micro = tk_microbatches_of(&c->train, data->rank, data->degree);
    for (int k = 0; k < 2; k++) {
        tk_staging_init(&t->host[k], device);
        TK_TRY(tk_verdict_open(&t->verdict[k], device, t->micro.n, c->parallel.chunks, &t->arena));
    }
    TK_TRY(open_model(t));
    TK_TRY(tk_optimizer_open(&t->optimizer, &t->model, mesh, &c->train, &c->parallel));
    return open_losses(t);
}

static void close_slot(tk_trainer *t, tk_slot *s)
{
    tk_tape_free(&s->tape);
    for (int k = 0; k < 2; k++) tk_objective_free(&t->objective, &s->noisy[k]);
    tk_batch_close(&s->batch);
    *s = (tk_slot){0};
}

void tk_trainer_close(tk_trainer *t)
{
    if (!t->config) return;
    (void)tk_device_sync(t->device); // it may still read what is freed here
    tk_graphs_close(&t->graphs);
    tk_device_free(t->device, &t->losses);
    for (int k = 0; k < 2; k++) tk_device_free(t->device, &t->seed[k]);
    tk_optimizer_close(&t->optimizer);
    tk_model_close(&t->model);
    for (int k = 0; k < 2; k++) {
        tk_verdict_close(&t->verdict[k]);
        tk_staging_free(&t->host[k]);
    }
    tk_arena_free(&t->arena);
    *t = (tk_trainer){0};
}

tk_status tk_trainer_init(tk_trainer *t)
{
    TK_TRY(tk_optimizer_init(&t->optimizer, (uint64_t)t->config->train.seed));
    return tk_optimizer_start(&t->optimizer, true);
}

// Rows of clips are needed where noise goes in and where the loss comes out.
static bool reads_rows(const tk_trainer *t)
{
    return (t->first || t->last) && tk_device_computes(t->device) && !t->rehearsing;
}

tk_status tk_trainer_start(tk_trainer *t, int64_t first_step)
{
    if (!reads_rows(t)) return TK_OK;
    tk_loader_texts(t->loader, t->first && t->config->model.text == TK_TEXT_FEATURES);
    return tk_loader_start(t->loader, (uint64_t)t->config->train.seed, first_step,
                           t->config->train.batch, t->micro.begin, t->micro.begin + t->micro.count);
}

// ---- a microbatch ------------------------------------------------------------------------------

static tk_slot *slot_at(const tk_trainer *t, int64_t micro, int64_t chunk)
{
    return &t->slot[micro * t->config->parallel.chunks + chunk];
}

static tk_slot *slot_of(const tk_trainer *t, const tk_action *a)
{
    return slot_at(t, a->micro, a->chunk);
}

// The step itself: every rank has this slot.
static bool opens_step(int64_t micro, int64_t chunk)
{
    return micro == 0 && chunk == 0;
}

// A failure of the data must not leave other ranks waiting inside the step: it goes on with no
// rows, and everybody is told before its end. So with a failure of another part of this rank.
static void remember_bad(tk_trainer *t, tk_status st)
{
    if (st == TK_OK || t->bad != TK_OK) return;
    t->bad = st;
    snprintf(t->bad_words, sizeof t->bad_words, "%s", tk_status_message());
}

static void take_rows(tk_trainer *t, const tk_slot *s, int64_t begin, int64_t end,
                      tk_clean_rows *clean)
{
    for (int64_t j = begin; j < end; j++) clean[j - begin].ok = t->rehearsing;
    if (!reads_rows(t)) return;
    for (int64_t j = begin; j < end; j++) {
        tk_sample sample;
        tk_clean_rows *c = &clean[j - begin];
        const tk_status st = tk_loader_take(t->loader, t->docs.step, j, &sample);
        remember_bad(t, st);
        if (st != TK_OK) continue;
        c->ok = sample.ok;
        c->rows[TK_VIDEO] = sample.video;
        c->rows[TK_AUDIO] = sample.audio;
        c->rows[TK_TEXT] = sample.text;
        c->cited[TK_VIDEO] = sample.cited[0];
        c->cited[TK_AUDIO] = sample.cited[1];
        if (!sample.ok && s->first) t->now->skipped++;
    }
}

// All that the host knows of it, ready to be sent.
static tk_status fill_slot(tk_trainer *t, int64_t micro, int64_t chunk)
{
    const int64_t begin = tk_microbatch_begin(&t->micro, micro),
                  end = tk_microbatch_begin(&t->micro, micro + 1);
    tk_slot *s = slot_at(t, micro, chunk);
    tk_arena *a = &t->host[t->turn].arena;
    tk_host_rows in = {0};
    tk_clean_rows *clean;
    TK_ARENA_NEW(clean, a, end - begin);
    TK_TRY(tk_step_stream(t->loader, &t->docs, begin, end, a, &s->stream, &in.tokens));
    s->run = &t->run[chunk];
    s->first = s->run->stage == 0;
    s->last = s->run->stage == s->run->n_stages - 1;
    const int media = s->first || s->last ? 2 : 0; // whose rows are read here
    if (media) take_rows(t, s, begin, end, clean);
    if (s->first && t->docs.text.channels)
        TK_TRY(tk_step_features(t->loader, &t->docs, begin, end, clean, a, &in.text));
    TK_TRY(tk_batch_begin(&s->batch, s->run, &s->stream, &in, &t->host[t->turn]));
    tk_tape_init(&s->tape, t->device, TK_TAPE_RECORD);
    s->tape.watch = tk_optimizer_watch(&t->optimizer, micro == t->micro.n - 1 && !t->rehearsing);
    for (int k = 0; k < media; k++)
        TK_TRY(tk_objective_put(&t->objective, &s->batch, &t->docs, clean, MEDIA[k], s->first,
                                s->last, &s->noisy[k]));
    if (!opens_step(micro, chunk)) return TK_OK;
    return tk_optimizer_put(&t->optimizer, &s->batch.transfer, t->docs.step);
}

static tk_status open_slot(tk_trainer *t, tk_slot *s, const tk_action *a)
{
    if (!t->inputs.device) TK_TRY(fill_slot(t, a->micro, a->chunk));
    TK_TRY(tk_batch_send(&s->batch));
    if (opens_step(a->micro, a->chunk)) TK_TRY(tk_optimizer_keep(&t->optimizer));
    const int media = s->first || s->last ? 2 : 0;
    for (int k = 0; k < media; k++) TK_TRY(tk_objective_mix(&t->objective, &s->noisy[k]));
    s->batch.video = s->noisy[0].x_t;
    s->batch.audio = s->noisy[1].x_t;
    return TK_OK;
}

static tk_status make_losses(tk_trainer *t, tk_slot *s, const tk_forward *out, int64_t i)
{
    tk_value *prediction[2] = {out->video, out->audio};
    for (int k = 0; k < 2; k++) {
        s->loss[k] =
            tk_squared_error(&s->tape, prediction[k], tk_leaf(&s->tape, s->noisy[k].v, NULL),
                             tk_leaf(&s->tape, s->noisy[k].weight, NULL));
        TK_TRY(s->tape.status);
        char *to = (char *)t->losses.data + (size_t)(2 * i + k) * sizeof(float);
        TK_TRY(tk_device_copy(t->device, to, s->loss[k]->t.data, sizeof(float)));
    }
    return TK_OK;
}

// Rows of microbatch i that cross a stage boundary on this tensor rank.
static int64_t boundary_rows(void *ctx, int64_t i)
{
    const tk_trainer *t = ctx;
    int64_t rows = 0;
    for (int64_t j = tk_microbatch_begin(&t->micro, i); j < tk_microbatch_begin(&t->micro, i + 1);
         j++)
        rows += tk_document_rows(&t->docs.document[j].doc, NULL);
    const tk_axis_row *tensor = &t->mesh->axis[TK_AXIS_TENSOR];
    return tk_split_count(rows, tensor->degree, tensor->rank);
}

// In a graph there are no marks.
static tk_status mark(tk_trainer *t, tk_part part)
{
    if (t->device->recording) return TK_OK;
    return tk_times_mark(&t->verdict[t->turn].times, part);
}

static tk_status forward_of_micro(tk_trainer *t, tk_slot *s, int64_t micro, tk_tensor *y)
{
    const bool recompute = t->config->train.recompute != 0;
    tk_forward out = {0};
    TK_TRY(tk_model_forward(s->run, &s->tape, &s->batch, s->x, recompute, &out));
    if (s->last) return make_losses(t, s, &out, micro);
    s->rows = tk_keep(&s->tape, out.rows);
    *y = s->rows->t;
    return TK_OK;
}

static tk_status forward(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    tk_trainer *t = ctx;
    tk_slot *s = slot_of(t, a);
    tk_tensor fresh = {0}; // the gradient of x is allocated by the tape
    TK_TRY(mark(t, TK_PART_BETWEEN));
    TK_TRY(open_slot(t, s, a));
    TK_TRY(mark(t, TK_PART_DATA));
    if (!s->first) s->x = tk_leaf(&s->tape, *x, &fresh);
    TK_TRY(forward_of_micro(t, s, a->micro, y));
    return mark(t, TK_PART_ACTION + a->kind);
}

static tk_status backward_of_micro(tk_trainer *t, tk_slot *s, const tk_action *a,
                                   const tk_tensor *dy)
{
    if (a->kind == TK_ACT_WEIGHTS) return tk_tape_backward_weights(&s->tape);
    tk_status (*const back)(tk_tape *, int, tk_value *const[], const tk_tensor[]) =
        a->kind == TK_ACT_INPUTS ? tk_tape_backward_inputs : tk_tape_backward;
    return s->last ? back(&s->tape, 2, s->loss, t->seed) : back(&s->tape, 1, &s->rows, dy);
}

static tk_status backward(void *ctx, const tk_action *a, const tk_tensor *dy, tk_tensor *dx)
{
    tk_trainer *t = ctx;
    tk_slot *s = slot_of(t, a);
    TK_TRY(mark(t, TK_PART_BETWEEN));
    const double replayed = s->tape.replayed;
    TK_TRY(backward_of_micro(t, s, a, dy));
    t->extra_flops += s->tape.replayed - replayed;
    if (!s->first && a->kind != TK_ACT_WEIGHTS) *dx = s->x->grad;
    return mark(t, TK_PART_ACTION + a->kind);
}

static tk_status release_micro(void *ctx, const tk_action *a)
{
    tk_trainer *t = ctx;
    close_slot(t, slot_of(t, a));
    return TK_OK;
}

// ---- a step ------------------------------------------------------------------------------------

static void close_slots(tk_trainer *t)
{
    for (int64_t i = 0; i < t->micro.n * t->config->parallel.chunks; i++)
        if (t->slot[i].tape.device) close_slot(t, &t->slot[i]);
}

static tk_status run_microbatches(tk_trainer *t)
{
    const tk_pipeline_work work = {.ctx = t,
                                   .n = t->micro.n,
                                   .schedule = (tk_schedule_kind)t->config->parallel.schedule,
                                   .chunks = (int)t->config->parallel.chunks,
                                   .alone = !t->config->parallel.overlap_messages,
                                   .rows = boundary_rows,
                                   .hidden = t->config->model.hidden,
                                   .type = t->model.compute,
                                   .forward = forward,
                                   .backward = backward,
                                   .release = release_micro};
    TK_TRY(tk_model_zero_grads(&t->model));
    tk_gradients_begin(&t->optimizer.sums);
    const tk_status st = tk_pipeline_run(t->mesh, t->device, &work);
    close_slots(t); // left open by a failure
    TK_TRY(st);
    return mark(t, TK_PART_BETWEEN);
}

// The one wait of the step, for the end of the one before, while the device has work to do: its
// losses and norm, summed up over the world together with what ranks have to tell each other now.
static tk_status hear_verdict(tk_trainer *t, tk_verdict *v)
{
    tk_step_result *r = &v->now;
    tk_comm *world = &t->mesh->world;
    const bool open = v->open, counts = t->first && t->mesh->axis[TK_AXIS_TENSOR].rank == 0;
    enum { VIDEO, AUDIO, SKIPPED, FLOPS, STOP, FAILED, SUMS };
    if (open) TK_TRY(tk_verdict_read(v));
    double sum[SUMS] = {[STOP] = t->asked_to_stop, [FAILED] = t->bad != TK_OK};
    if (open) {
        sum[VIDEO] = r->loss_of[TK_VIDEO];
        sum[AUDIO] = r->loss_of[TK_AUDIO];
        sum[SKIPPED] = counts ? (double)r->skipped : 0;
        sum[FLOPS] = r->flops;
    }
    TK_TRY(tk_comm_sum_f64(world, sum, SUMS));
    t->stop = sum[STOP] > 0;
    if (open) {
        r->loss_of[TK_VIDEO] = sum[VIDEO];
        r->loss_of[TK_AUDIO] = sum[AUDIO];
        r->loss =
            t->config->train.video_weight * sum[VIDEO] + t->config->train.audio_weight * sum[AUDIO];
        r->skipped = (int64_t)sum[SKIPPED];
        r->flops = sum[FLOPS];
        if (t->hear) t->hear(t->hear_ctx, r);
        TK_TRY(tk_step_check_finite(r, &t->config->train));
    }
    if (sum[FAILED] == 0) return TK_OK;
    if (t->bad != TK_OK) tk_status_set(t->bad, t->bad_words);
    return tk_agree(world, t->bad);
}

static tk_status hear_before(void *trainer)
{
    tk_trainer *t = trainer;
    TK_TRY(hear_verdict(t, &t->verdict[t->turn ^ 1]));
    return mark(t, TK_PART_VERDICT);
}

static tk_status rows_are_sent(void *trainer)
{
    tk_trainer *t = trainer;
    if (reads_rows(t)) tk_loader_release(t->loader, t->docs.step); // all were copied
    return TK_OK;
}

static tk_status ask_step(void *trainer, bool hears)
{
    tk_trainer *t = trainer;
    TK_TRY(run_microbatches(t));
    if (!t->inputs.device) TK_TRY(rows_are_sent(t));
    if (hears) TK_TRY(hear_before(t));
    TK_TRY(tk_optimizer_reduce(&t->optimizer));
    TK_TRY(mark(t, TK_PART_REDUCE));
    return tk_optimizer_step(&t->optimizer);
}

static tk_status fill_inputs(void *trainer, tk_transfer *inputs)
{
    tk_trainer *t = trainer;
    for (int64_t i = 0; i < t->micro.n; i++)
        for (int64_t k = 0; k < t->config->parallel.chunks; k++) {
            TK_TRY(fill_slot(t, i, k));
            tk_transfer_join(inputs, &slot_at(t, i, k)->batch.transfer);
        }
    return TK_OK;
}

static tk_status step_in_graphs(tk_trainer *t)
{
    tk_graphs_step s = {.ctx = t,
                        .host = &t->host[t->turn],
                        .fill = fill_inputs,
                        .sent = rows_are_sent,
                        .ask = ask_step,
                        .hear = hear_before,
                        .extra_flops = &t->extra_flops,
                        .world = &t->mesh->world};
    TK_TRY(tk_shape_of(&t->docs, &t->config->train, t->config->model.given == TK_GIVEN_OWN,
                       t->mesh->axis[TK_AXIS_DATA].degree, &s.host->arena, &s.shape));
    const tk_status st = tk_graphs_do(&t->graphs, &s, &t->inputs, &t->now->way);
    close_slots(t); // of a step that was not asked for call by call
    tk_transfer_free(&t->inputs);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_trainer_step(tk_trainer *t, int64_t step, bool stop, tk_status mine)
{
    const double flops = t->device->flops;
    const tk_train_config *c = &t->config->train;
    tk_verdict *v = &t->verdict[t->turn ^= 1];
    t->asked_to_stop = stop;
    snprintf(t->device->during, sizeof t->device->during, "training step %lld",
             (long long)step + 1);
    t->now = &v->now;
    *t->now = (tk_step_result){.step = step, .lr = tk_learning_rate(c, step)};
    t->extra_flops = 0;
    remember_bad(t, mine);
    tk_staging_reset(&t->host[t->turn]);
    TK_TRY(tk_times_begin(&v->times));
    TK_TRY(tk_step_documents_make(t->loader, t->config, step, &t->host[t->turn].arena, &t->docs));
    t->now->rows = t->docs.rows;
    t->now->tasks = t->docs.tasks;
    TK_TRY(mark(t, TK_PART_DATA));
    TK_TRY(c->graph ? step_in_graphs(t) : ask_step(t, true));
    t->now->flops = t->device->flops - flops - t->extra_flops;
    return tk_verdict_ask(v, &t->losses, &t->optimizer.norm2);
}

// The next step takes the other places.
tk_status tk_trainer_rehearse(tk_trainer *t, int64_t step)
{
    tk_verdict *v = &t->verdict[t->turn];
    t->now = &v->now;
    t->rehearsing = true;
    tk_staging_reset(&t->host[t->turn]);
    tk_status st = tk_times_begin(&v->times);
    if (st == TK_OK)
        st = tk_step_documents_make(t->loader, t->config, step, &t->host[t->turn].arena, &t->docs);
    if (st == TK_OK) st = run_microbatches(t);
    if (st == TK_OK) st = tk_device_sync(t->device);
    t->rehearsing = false;
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_trainer_drain(tk_trainer *t, bool stop, tk_status mine)
{
    t->asked_to_stop = stop;
    remember_bad(t, mine);
    TK_TRY(tk_optimizer_settle(&t->optimizer));
    return hear_verdict(t, &t->verdict[t->turn]);
}

void tk_trainer_listen(tk_trainer *t, void (*told)(void *ctx, const tk_step_result *r), void *ctx)
{
    t->hear = told;
    t->hear_ctx = ctx;
}
