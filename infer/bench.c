// SPDX-License-Identifier: Apache-2.0
#include "infer/bench.h"
#include "core/base/log.h"
#include "infer/sampler/text.h"
#include "parallel/mpi/start.h"
#include "train/bench.h"
#include "train/run/asked.h"
#include "train/run/ceiling.h"
#include "train/run/run.h"
#include <stdio.h>

enum { STEPS = 8 };

// ---- sampling ----------------------------------------------------------------------------------

typedef struct sampled {
    tk_model model;
    tk_sampler sampler;
    int64_t rows; // of the longest stream
    double flops, seconds;
    int64_t exchanged; // bytes of velocities that this rank gave those of other branches
    int threads;
    tk_arena arena;
} sampled;

// A clip as long as the first of the data, from its captions, by random weights.
static tk_status make_task(tk_train_parts *p, const tk_config *c, sampled *s, tk_sample_task *t)
{
    const tk_bucket *b;
    const tk_clip_info *info = tk_loader_info(p->loader, 0, &b);
    tk_text_form form = {0};
    tk_shot_rows *shots;
    int64_t *id;
    TK_ARENA_NEW(shots, &s->arena, info->n_shots);
    TK_ARENA_NEW(id, &s->arena, info->n_shots);
    *t = (tk_sample_task){
        .shot_id = id,
        .seed = 1,
        .steps = STEPS,
        .solver = (tk_solver)c->sample.solver,
        .guidance = c->sample.guidance,
        .graph = c->sample.graph != 0,
        .keep_given = c->sample.keep_given != 0,
        .shift = {[TK_VIDEO] = c->sample.video_shift, [TK_AUDIO] = c->sample.audio_shift}};
    t->doc = tk_document_on_grid(tk_codec_get_info(tk_loader_codec(p->loader)), b->high, b->wide,
                                 b->audio_channels);
    t->doc.shots = shots;
    t->doc.n_shots = info->n_shots;
    for (int k = 0; k < info->n_shots; k++) {
        const tk_clip_shot *from = &info->shot[k];
        shots[k] = (tk_shot_rows){.latent_frames = from->latent_frames,
                                  .audio_rows = from->audio_rows,
                                  .start = from->start,
                                  .target = true};
        id[k] = k;
    }
    TK_TRY(c->model.text == TK_TEXT_FEATURES ? tk_loader_text_form(p->loader, &form) : TK_OK);
    for (int d = 0; d < 2; d++) {
        TK_TRY(tk_sample_text(&form, info->n_shots, info->shot, NULL, d, d == 1, &s->arena, t));
        t->doc.text_rows = t->text_rows[d];
        const int64_t rows = tk_document_rows(&t->doc, NULL);
        if (d < tk_sample_branches(t->guidance) && rows > s->rows) s->rows = rows;
    }
    return TK_OK;
}

static tk_status new_clip(const tk_config *c, sampled *s, const tk_sample_task *t,
                          float *out[TK_MODALITIES])
{
    int64_t count[TK_MODALITIES];
    tk_document_rows(&t->doc, count);
    TK_ARENA_NEW(out[TK_VIDEO], &s->arena, count[TK_VIDEO] * c->model.video_channels);
    TK_ARENA_NEW(out[TK_AUDIO], &s->arena, count[TK_AUDIO] * c->model.audio_channels);
    return TK_OK;
}

// Collective. A rank that fails alone while sampling takes the others down.
static tk_status time_sampling(tk_comm *world, tk_train_parts *p, const tk_config *c, sampled *s)
{
    tk_sample_task t;
    float *out[TK_MODALITIES] = {0};
    tk_status st = make_task(p, c, s, &t);
    if (st == TK_OK) st = new_clip(c, s, &t, out);
    TK_TRY(tk_agree(world, st));
    st = tk_sampler_run(&s->sampler, &t, out, NULL, NULL); // not timed: first touch of all memory
    const double flops = p->device.flops, begin = tk_now();
    s->exchanged = -s->sampler.exchanged;
    if (st == TK_OK) st = tk_sampler_run(&s->sampler, &t, out, NULL, NULL);
    TK_TRY(tk_parallel_unless_alone(world, st));
    s->seconds = tk_now() - begin;
    s->flops = p->device.flops - flops;
    s->exchanged += s->sampler.exchanged;
    s->threads = tk_mesh_threads(&p->mesh, &c->parallel);
    return TK_OK;
}

static tk_status print_sampling(tk_comm *world, const tk_config *c, tk_device *d, sampled *s)
{
    const char *words;
    double rate, sums[2];
    TK_TRY(tk_comm_barrier(world));
    TK_TRY(tk_agree(world, tk_model_ceiling(d, c, s->rows, false, &rate, &words)));
    sums[0] = rate, sums[1] = s->flops;
    TK_TRY(tk_comm_sum_f64(world, sums, 2));
    if (world->rank) return TK_OK;
    const double reached = sums[1] / s->seconds;
    printf("sample      %.1f GFLOP/s of model, %.2f of the %.1f GFLOP/s that %s (%.1f ms a "
           "step, %d times %lld rows)\n",
           reached / 1e9, reached / sums[0], sums[0] / 1e9, words, 1e3 * s->seconds / STEPS,
           tk_sample_branches(c->sample.guidance), (long long)s->rows);
    return tk_check_fraction("sample", reached, sums[0]);
}

static tk_status open_bench_model(tk_train_parts *p, const tk_config *c, sampled *s)
{
    const tk_model_part part = tk_sampler_part(&p->mesh, &p->device);
    tk_sampler_open(&s->sampler, &p->mesh, &p->device, &s->model);
    TK_TRY(tk_model_open(&s->model, &c->model, &part));
    return tk_model_init_weights(&s->model, (uint64_t)c->train.seed);
}

// `told`: beside its ceiling. Of s only the figures are left.
static tk_status bench_sampling(tk_comm *world, tk_config *c, bool told, sampled *s)
{
    tk_train_parts p = {0};
    *s = (sampled){0};
    tk_arena_init(&s->arena, 0);
    tk_status st = tk_train_parts_open(&p, world, c);
    if (st == TK_OK) st = tk_agree(world, open_bench_model(&p, c, s));
    if (st == TK_OK) st = time_sampling(world, &p, c, s);
    if (st == TK_OK && told) st = tk_agree(world, print_sampling(world, c, &p.device, s));
    tk_sampler_close(&s->sampler);
    if (s->model.device) tk_model_close(&s->model);
    tk_train_parts_close(&p);
    tk_arena_free(&s->arena);
    return st;
}

// ---- branches of guidance ----------------------------------------------------------------------

enum { ROUNDS = 3 };

static void print_branches(const sampled *one, const sampled *two, double other)
{
    const double most = two->flops > other ? two->flops : other;
    printf("branches    %.1f ms a step of 2 ranks, %.1f ms of one with as many threads (%d): %.2f "
           "times as fast, the best of %d; %.4g and %.4g of %.4g GFLOP a step (%.2f times less on "
           "the fuller), %.1f KiB given away by each\n",
           1e3 * two->seconds / STEPS, 1e3 * one->seconds / STEPS, two->threads,
           one->seconds / two->seconds, ROUNDS, two->flops / STEPS / 1e9, other / STEPS / 1e9,
           one->flops / STEPS / 1e9, one->flops / most, (double)two->exchanged / STEPS / 1024);
}

static void take_best(const sampled *s, sampled *best)
{
    if (best->seconds == 0 || s->seconds < best->seconds) *best = *s;
}

// Two ranks with a branch each beside rank 0 with both, on as many threads; the other waits then.
// `alone`: of one rank.
static tk_status time_branches(tk_comm *world, tk_comm *alone, const tk_config *c, sampled *one,
                               sampled *two)
{
    for (int round = 0; round < ROUNDS; round++) {
        tk_config whole = *c, shared = *c;
        tk_status st = TK_OK;
        sampled s;
        shared.parallel.guidance = 2;
        TK_TRY(bench_sampling(world, &shared, false, &s));
        take_best(&s, two);
        whole.parallel.threads = s.threads;
        if (world->rank == 0) st = bench_sampling(alone, &whole, false, &s);
        TK_TRY(tk_agree(world, st));
        take_best(&s, one);
    }
    return TK_OK;
}

static tk_status bench_branches(tk_comm *world, const tk_config *c)
{
    tk_config plain = *c;
    sampled one = {0}, two = {0};
    tk_mesh mesh;
    double flops[2];
    plain.parallel.tensor = plain.parallel.pipeline = plain.parallel.data = 1;
    tk_parallel_config layout = plain.parallel;
    layout.data = 2;
    TK_TRY(tk_mesh_open(&mesh, world, &layout, TK_AXIS_DATA));
    const tk_status st = time_branches(world, &mesh.axis[TK_AXIS_TENSOR].host, &plain, &one, &two);
    tk_mesh_close(&mesh);
    TK_TRY(st);
    TK_TRY(tk_comm_all_gather(world, &two.flops, flops, sizeof two.flops));
    if (world->rank == 0) print_branches(&one, &two, flops[1]);
    return TK_OK;
}

tk_status tk_bench_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    tk_run_ask_device(w, &in->config);
    TK_TRY(tk_run_ask_layout(w, &in->config, ranks));
    return tk_run_ask_clips(w, &in->config);
}

tk_status tk_bench_command(tk_comm *world, tk_invocation *in)
{
    tk_config *c = &in->config;
    TK_TRY(tk_bench_train(world, c, STEPS)); // first: it counts from the start of the process
    TK_TRY(tk_bench_operators(world, c));
    sampled own;
    TK_TRY(bench_sampling(world, c, true, &own));
    if (world->size == 2 && c->sample.guidance != 1) TK_TRY(bench_branches(world, c));
    if (c->parallel.tensor > 1) TK_TRY(tk_bench_shares(world, c));
    if (world->size > 1 && c->parallel.pipeline == world->size) TK_TRY(tk_bench_pipeline(world, c));
    return tk_bench_loader(world, c);
}
