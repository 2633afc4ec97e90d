// SPDX-License-Identifier: Apache-2.0
#include "train/parity/parity.h"
#include "core/base/log.h"
#include "core/model/model.h"
#include "parallel/devices.h"
#include "parallel/mpi/start.h"
#include "parallel/pipeline.h"
#include "train/parity/golden.h"
#include "train/run/load.h"
#include "train/update/gradients.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FORWARD_LIMIT 1e-5
#define GRADIENT_LIMIT 1e-4

typedef struct microbatch { // one document in flight: a microbatch
    tk_stream stream;
    int64_t first[TK_MODALITIES]; // of the document's rows in the golden's arrays
    tk_batch batch;
    tk_tape tape;
    tk_value *x;
    tk_forward out;
} microbatch;

typedef struct parity {
    tk_config config;
    tk_arena arena;
    tk_staging host; // what the device reads
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_golden golden;
    microbatch *part; // (documents of this data rank)
    int64_t n_parts;
    tk_buckets buckets;
    tk_gradients sums;
    double output_error[TK_MODALITIES][2]; // sums of squared differences and of squares
    double (*grad_error)[2];               // (table.n) likewise
} parity;

static void compare_numbers(const float *x, const float *y, int64_t n, double sums[2])
{
    for (int64_t i = 0; i < n; i++) {
        const double d = (double)x[i] - y[i];
        sums[0] += d * d;
        sums[1] += (double)y[i] * y[i];
    }
}

// 0 / 0 is no error; a difference from nothing is a whole one. NaN stays NaN.
static double relative(const double sums[2])
{
    if (sums[0] == 0) return 0;
    return sums[1] > 0 ? sqrt(sums[0] / sums[1]) : INFINITY;
}

static int64_t part_rows(void *ctx, int64_t i)
{
    const parity *p = ctx;
    const tk_axis_row *tensor = &p->mesh.axis[TK_AXIS_TENSOR];
    return tk_split_count(p->part[i].stream.rows, tensor->degree, tensor->rank);
}

static tk_status compare_output(parity *p, microbatch *q, int k, const tk_value *v)
{
    const int64_t cols = tk_cols(&v->t), n = tk_count(&v->t);
    const int64_t at = (q->first[k] + q->batch.own_first[k]) * cols;
    float *host;
    TK_ARENA_NEW(host, &p->arena, n);
    TK_TRY(tk_device_get(&p->device, &v->t, host));
    compare_numbers(host, p->golden.output[k] + at, n, p->output_error[k]);
    return TK_OK;
}

static tk_status part_forward(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    parity *p = ctx;
    microbatch *q = &p->part[a->micro];
    const tk_model_config *c = &p->config.model;
    const tk_host_rows in = {
        .video = p->golden.input[TK_VIDEO] + q->first[TK_VIDEO] * c->video_channels,
        .audio = p->golden.input[TK_AUDIO] + q->first[TK_AUDIO] * c->audio_channels,
        .text = p->golden.input[TK_TEXT] + q->first[TK_TEXT] * c->text_channels};
    tk_tape_init(&q->tape, &p->device, TK_TAPE_RECORD);
    TK_TRY(tk_batch_open(&q->batch, &p->model, &q->stream, &in, &p->host));
    q->x = x && x->data ? tk_leaf(&q->tape, *x, &(tk_tensor){0}) : NULL;
    TK_TRY(tk_model_forward(&p->model, &q->tape, &q->batch, q->x, p->config.train.recompute != 0,
                            &q->out));
    if (q->out.rows) {
        *y = q->out.rows->t;
        return TK_OK;
    }
    TK_TRY(compare_output(p, q, TK_VIDEO, q->out.video));
    return compare_output(p, q, TK_AUDIO, q->out.audio);
}

static tk_status part_backward(void *ctx, const tk_action *a, const tk_tensor *dy, tk_tensor *dx)
{
    parity *p = ctx;
    microbatch *q = &p->part[a->micro];
    if (q->out.rows) {
        TK_TRY(tk_tape_backward(&q->tape, 1, &q->out.rows, dy));
    } else {
        tk_value *const root[2] = {q->out.video, q->out.audio};
        static const int modality[2] = {TK_VIDEO, TK_AUDIO};
        tk_tensor seed[2];
        for (int k = 0; k < 2; k++) {
            const int m = modality[k];
            const int64_t cols = tk_cols(&root[k]->t), at = q->first[m] + q->batch.own_first[m];
            TK_TRY(tk_device_put(&p->device, p->golden.cotangent[m] + at * cols, TK_F32,
                                 q->batch.own_count[m], cols, &seed[k]));
        }
        TK_TRY(tk_tape_backward(&q->tape, 2, root, seed));
        for (int k = 0; k < 2; k++) tk_device_free(&p->device, &seed[k]);
    }
    if (q->x) *dx = q->x->grad;
    return TK_OK;
}

static tk_status part_release(void *ctx, const tk_action *a)
{
    parity *p = ctx;
    tk_tape_free(&p->part[a->micro].tape);
    tk_batch_close(&p->part[a->micro].batch);
    return TK_OK;
}

static tk_status set_weights(parity *p)
{
    for (int i = 0; i < p->model.n_weights; i++) {
        const tk_weight *w = &p->model.weight[i];
        const tk_param_spec *s = &p->model.table.spec[w->spec];
        float *host;
        TK_ARENA_NEW(host, &p->arena, w->share.rows * w->share.cols);
        tk_share_cut(s, &w->share, p->golden.weight[w->spec], host);
        TK_TRY(tk_model_set(&p->model, i, host));
    }
    return tk_device_sync(&p->device);
}

// The elements [begin, begin + n) of the flat layout, all of weight `w`, against the golden's.
static tk_status compare_part(parity *p, const tk_weight *w, int64_t begin, int64_t n)
{
    const tk_tensor sums = tk_flat_cut(&p->model.grads, begin, n);
    const tk_param_spec *s = &p->model.table.spec[w->spec];
    float *want, *got;
    TK_ARENA_NEW(got, &p->arena, n);
    TK_TRY(tk_device_get(&p->device, &sums, got));
    TK_ARENA_NEW(want, &p->arena, w->share.rows * w->share.cols);
    tk_share_cut(s, &w->share, p->golden.grad[w->spec], want);
    compare_numbers(got, want + begin - w->offset, n, p->grad_error[w->spec]);
    return TK_OK;
}

// Every element is judged once: by the rank that counts it.
static tk_status compare_grads(parity *p)
{
    for (int k = 0; k < p->buckets.counted.n; k++)
        for (int i = 0; i < p->model.n_weights; i++) {
            const tk_range *r = &p->buckets.counted.range[k];
            const tk_weight *w = &p->model.weight[i];
            const int64_t end = w->offset + w->share.rows * w->share.cols;
            const int64_t from = w->offset > r->begin ? w->offset : r->begin;
            const int64_t to = end < r->begin + r->count ? end : r->begin + r->count;
            if (from < to) TK_TRY(compare_part(p, w, from, to - from));
        }
    return TK_OK;
}

static tk_status report_errors(parity *p, const char *path)
{
    tk_comm *w = &p->mesh.world;
    const tk_param_table *table = &p->model.table;
    TK_TRY(tk_comm_sum_f64(w, &p->output_error[0][0], 2 * TK_MODALITIES));
    TK_TRY(tk_comm_sum_f64(w, &p->grad_error[0][0], 2 * table->n));
    const double video = relative(p->output_error[TK_VIDEO]),
                 audio = relative(p->output_error[TK_AUDIO]);
    int worst = 0, bad = 0;
    for (int i = 0; i < table->n; i++) {
        const double e = relative(p->grad_error[i]);
        if (!(e <= relative(p->grad_error[worst]))) worst = i;
        if (!(e <= GRADIENT_LIMIT)) bad++;
        if (w->rank == 0 && p->config.log_level > 1)
            printf("  %-56s gradient %.2e\n", table->spec[i].name, e);
    }
    const double gradient = relative(p->grad_error[worst]);
    if (w->rank == 0)
        printf("parity %s: video %.2e, audio %.2e (limit %.0e); %d gradients, worst %.2e at %s "
               "(limit %.0e)\n",
               path, video, audio, FORWARD_LIMIT, table->n, gradient, table->spec[worst].name,
               GRADIENT_LIMIT);
    if (!(video <= FORWARD_LIMIT) || !(audio <= FORWARD_LIMIT) || bad)
        return TK_FAIL(TK_NUMERIC,
                       "%s: parity not reached: video %.2e, audio %.2e, %d of %d gradients off",
                       path, video, audio, bad, table->n);
    return TK_OK;
}

// This rank's part of the golden.
static tk_status read_golden(parity *p, const char *path, const tk_invocation *in,
                             tk_param_table *table)
{
    TK_TRY(tk_golden_open(path, &p->arena, &p->golden));
    TK_TRY(tk_config_parse(&p->config, TK_CMD_PARITY, path, p->golden.config,
                           strlen(p->golden.config), in->n_overrides, in->overrides));
    TK_TRY(tk_param_table_build(&p->config.model, &p->arena, table));
    TK_ARENA_NEW(p->grad_error, &p->arena, table->n);
    return tk_golden_read(path, &p->arena, &p->config.model, table, &p->golden);
}

static tk_status cut_documents(parity *p)
{
    const tk_axis_row *data = &p->mesh.axis[TK_AXIS_DATA];
    const int64_t begin = tk_split_begin(p->golden.documents, data->degree, data->rank);
    p->n_parts = tk_split_count(p->golden.documents, data->degree, data->rank);
    TK_ARENA_NEW(p->part, &p->arena, p->n_parts + 1);
    for (int64_t i = 0; i < p->n_parts; i++)
        TK_TRY(tk_golden_stream(&p->golden, begin + i, begin + i + 1, &p->arena, &p->part[i].stream,
                                p->part[i].first));
    return TK_OK;
}

static tk_status open_golden_model(parity *p)
{
    TK_TRY(cut_documents(p));
    tk_staging_init(&p->host, &p->device);
    const tk_model_part held = {.device = &p->device,
                                .tensor = &p->mesh.axis[TK_AXIS_TENSOR].device,
                                .stage = p->mesh.axis[TK_AXIS_PIPELINE].rank,
                                .n_stages = p->mesh.axis[TK_AXIS_PIPELINE].degree,
                                .grads = true};
    TK_TRY(tk_model_open(&p->model, &p->config.model, &held));
    TK_TRY(tk_buckets_open(&p->buckets, &p->model, &p->mesh.axis[TK_AXIS_DATA], INT64_MAX));
    TK_TRY(tk_gradients_open(&p->sums, &p->model, &p->mesh, &p->buckets, false));
    return *p->config.story.checkpoint ? TK_OK : set_weights(p);
}

// Collective. Weights from elsewhere, of which the golden's would be no other.
static tk_status load_checkpoint_weights(parity *p)
{
    const char *where = p->config.story.checkpoint;
    tk_comm *w = &p->mesh.world;
    tk_checkpoint_meta meta;
    char *path;
    if (!*where) return TK_OK;
    TK_TRY(tk_agree(w, tk_checkpoint_newest(where, NULL, w, &p->arena, &path, &meta)));
    TK_TRY(tk_agree(w, tk_run_same_model(&p->config, path, meta.config, &p->arena)));
    tk_flat flat = {
        .group = "model", .x = p->model.values, .stretch = &p->model.whole, .n = 1, .owner = true};
    TK_TRY(tk_agree(w, tk_checkpoint_load(path, &p->mesh, &p->model, 1, &flat)));
    tk_log("with the weights of %s", path);
    return TK_OK;
}

// Inside, ranks wait for each other: one that fails alone takes the others down.
static tk_status forward_and_backward(parity *p)
{
    const tk_pipeline_work work = {.ctx = p,
                                   .n = p->n_parts,
                                   .schedule = TK_SCHEDULE_1F1B,
                                   .chunks = 1,
                                   .rows = part_rows,
                                   .hidden = p->config.model.hidden,
                                   .type = p->model.compute,
                                   .forward = part_forward,
                                   .backward = part_backward,
                                   .release = part_release};
    TK_TRY(tk_pipeline_run(&p->mesh, &p->device, &work));
    return tk_gradients_sum(&p->sums);
}

static tk_status run_parity(parity *p, tk_comm *world, const tk_invocation *in)
{
    const char *path = in->files[0];
    tk_param_table table;
    TK_TRY(tk_config_agree(world, read_golden(p, path, in, &table), &p->config));
    TK_TRY(tk_mesh_open(&p->mesh, world, &p->config.parallel, TK_AXIS_DATA));
    TK_TRY(tk_devices_open(&p->mesh, &p->config.parallel, 0, &p->device));
    TK_TRY(tk_agree(world, open_golden_model(p)));
    TK_TRY(load_checkpoint_weights(p));
    TK_TRY(tk_parallel_unless_alone(world, forward_and_backward(p)));
    TK_TRY(tk_agree(world, compare_grads(p)));
    return tk_agree(world, report_errors(p, path));
}

tk_status tk_parity_command(tk_comm *world, tk_invocation *in)
{
    parity p = {0};
    tk_config_init(&p.config);
    tk_arena_init(&p.arena, 0);
    const tk_status st = run_parity(&p, world, in);
    tk_gradients_close(&p.sums);
    tk_buckets_close(&p.buckets);
    if (p.model.device) tk_model_close(&p.model);
    tk_mesh_close(&p.mesh);
    if (p.device.ops) (void)tk_device_sync(&p.device); // it may still read what is freed here
    tk_staging_free(&p.host);
    if (p.device.ops) tk_device_close(&p.device);
    tk_arena_free(&p.arena);
    tk_config_free(&p.config);
    return st;
}
