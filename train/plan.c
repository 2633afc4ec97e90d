// SPDX-License-Identifier: Apache-2.0
#include "train/plan.h"
#include "parallel/replay.h"
#include "train/run/ceiling.h"
#include "train/run/metrics.h"
#include <stdio.h>
#include <string.h>

// Steps looked at, of clips that differ and of clips that are all alike; ranks of which each is.
enum { PLAN_STEPS = 8, ALIKE_STEPS = 2, FEW_RANKS = 16, MOST_RANKS = 1 << 16 };
static const size_t DRY_BYTES = (size_t)1 << 46, REHEARSAL_BYTES = (size_t)1 << 32;

// The config with a model and a batch that weigh nothing.
static tk_config minute(const tk_config *c)
{
    tk_config m = *c;
    m.model.hidden = m.model.ffn = 32;
    m.model.heads = m.model.layers = m.model.refiner_layers = m.model.rope_freq_dim = 1;
    m.model.head_dim = m.model.freq_dim = m.model.time_hidden = m.model.time_dim = 16;
    m.model.text_channels = 16;
    m.train.batch = m.train.microbatch = 1;
    m.parallel.tensor = m.parallel.pipeline = m.parallel.data = m.parallel.chunks = 1;
    m.parallel.schedule = TK_SCHEDULE_1F1B;
    return m;
}

static tk_status rehearse(const tk_config *c, tk_mesh *mesh, tk_device *d, tk_loader *l)
{
    tk_trainer t = {0};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, mesh, d, l));
    TK_TRY_TO(st, done, tk_trainer_init(&t));
    TK_TRY_TO(st, done, tk_trainer_start(&t, 0));
    TK_TRY_TO(st, done, tk_trainer_step(&t, 0, false, TK_OK));
    TK_TRY_TO(st, done, tk_trainer_drain(&t, false, TK_OK));
done:
    tk_trainer_close(&t);
    return st;
}

// Where there are rows to train on, a step is trained; where not, it is gone through, and the
// buffers of large products are made all the same.
tk_status tk_plan_process(const tk_config *c, tk_loader *l, int64_t *bytes)
{
    const tk_config small = minute(c);
    const tk_device_ops *ops = tk_device_find(c->parallel.device);
    tk_mesh mesh;
    tk_device d = {0}, dry = {0};
    double rate;
    tk_status st = TK_OK;
    tk_mesh_dry(&mesh, &small.parallel, 0);
    tk_device *const steps = tk_loader_reads(l) ? &d : &dry;
    const int threads = tk_mesh_threads(&mesh, &c->parallel);
    TK_TRY_TO(st, done, tk_device_open(&d, ops, threads, REHEARSAL_BYTES));
    TK_TRY_TO(st, done, tk_device_open_dry(&dry, ops, threads, REHEARSAL_BYTES));
    TK_TRY_TO(st, done, tk_mesh_attach(&mesh, steps));
    TK_TRY_TO(st, done, rehearse(&small, &mesh, steps, l));
    TK_TRY_TO(st, done, tk_gemm_rate(&d, 512, 512, 512, 0, &rate));
done:
    tk_mesh_close(&mesh);
    tk_device_close(&dry);
    tk_device_close(&d); // its pages go back
    *bytes = tk_resident_bytes(NULL);
    return st;
}

// Rows a rank holds ahead of the step and those of two steps on their way to the device, room for
// the largest clip in every place, and what its threads read into (half precision). Ranks between
// the first and the last stage read none.
static int64_t loader_bytes(const tk_trainer *t)
{
    const tk_loader *l = t->loader;
    const tk_data_config *c = &t->config->data;
    const tk_codec_info *codec = tk_codec_get_info(tk_loader_codec(l));
    int64_t largest = 0;
    if (!t->first && !t->last) return 0;
    for (int64_t i = 0; i < tk_loader_count(l); i++) {
        const tk_bucket *b;
        tk_loader_info(l, i, &b);
        const int64_t numbers = tk_bucket_video_count(b, codec) + tk_bucket_audio_count(b, codec);
        if (numbers > largest) largest = numbers;
    }
    return ((c->prefetch + 1 + 2) * t->micro.count * 2 + c->threads) * largest * 2;
}

static tk_status run_dry_steps(tk_trainer *t, tk_plan *out)
{
    const int64_t steps = t->config->train.steps;
    const int64_t most = tk_loader_reads(t->loader) ? PLAN_STEPS : ALIKE_STEPS;
    for (int64_t s = 0; s < most && s < steps; s++) {
        const double before = t->device->flops;
        TK_TRY(tk_trainer_step(t, s, false, TK_OK));
        if (s > 0) continue;
        out->flops = t->device->flops - before - t->extra_flops;
        out->rows = t->docs.rows;
    }
    return TK_OK;
}

static tk_status measure_plan(tk_trainer *t, tk_plan *out)
{
    const tk_optimizer *o = &t->optimizer;
    out->parameters = t->model.n_local;
    out->weights = (int64_t)tk_bytes(&t->model.values);
    out->masters = t->model.compute == TK_F32 ? 0 : (int64_t)tk_bytes(&o->master);
    out->gradients = (int64_t)tk_bytes(&t->model.grads);
    out->optimizer = (int64_t)(tk_bytes(&o->m) + tk_bytes(&o->v));
    out->ema = o->ema.data ? (int64_t)tk_bytes(&o->ema) : 0;
    out->loader = loader_bytes(t);
    const int64_t kept = out->weights + out->masters + out->gradients + out->optimizer + out->ema;
    TK_TRY(run_dry_steps(t, out));
    out->activations = (int64_t)t->device->pool.peak - kept;
    out->total = kept + out->activations + out->loader + out->process;
    return TK_OK;
}

tk_status tk_plan_make(const tk_config *c, tk_loader *l, int rank, int64_t process, tk_plan *out)
{
    tk_mesh mesh;
    tk_device device = {0};
    tk_trainer t = {0};
    tk_status st = TK_OK;
    *out = (tk_plan){.process = process};
    tk_mesh_dry(&mesh, &c->parallel, rank);
    TK_TRY_TO(st, done,
              tk_device_open_dry(&device, tk_device_find(c->parallel.device), 1, DRY_BYTES));
    TK_TRY_TO(st, done, tk_mesh_attach(&mesh, &device));
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, &mesh, &device, l));
    TK_TRY_TO(st, done, measure_plan(&t, out));
done:
    tk_trainer_close(&t);
    tk_mesh_close(&mesh);
    if (device.ops) tk_device_close(&device);
    return st;
}

// ---- the command -------------------------------------------------------------------------------

// Degrees left open are 1: there is no world to fill.
static tk_status fill_layout(tk_parallel_config *p, int *ranks)
{
    int64_t product = 1;
    for (int i = 0; i < TK_AXES; i++) {
        int64_t *degree = tk_mesh_degree(p, (tk_axis)i);
        if (*degree < 1) *degree = 1;
        if (*degree > MOST_RANKS || (product *= *degree) > MOST_RANKS)
            return TK_FAIL(TK_INPUT, "plan looks at no more than %d ranks", MOST_RANKS);
    }
    *ranks = (int)product;
    return TK_OK;
}

static double mib(int64_t bytes)
{
    return (double)bytes / (1 << 20);
}

static void print_row(const char *ranks, const tk_plan *p)
{
    printf("%-18s %12lld %10.1f %10.1f %10.1f %10.1f %10.1f %12.1f %8.1f %8.1f %10.1f\n", ranks,
           (long long)p->parameters, mib(p->weights), mib(p->masters), mib(p->gradients),
           mib(p->optimizer), mib(p->ema), mib(p->activations), mib(p->loader), mib(p->process),
           mib(p->total));
}

// How many ranks this one is planned for. Of many ranks those are planned that hold most and least:
// of every stage the first and the last rank of its tensor communicator (shares fall with the
// rank), of the data rank `fullest`.
static int stands_for(const tk_config *c, int ranks, int64_t fullest, int rank)
{
    const tk_parallel_config *p = &c->parallel;
    const int64_t tensor = rank % p->tensor, data = rank / (p->tensor * p->pipeline);
    if (ranks <= FEW_RANKS) return 1;
    if (data != fullest || (tensor > 0 && tensor < p->tensor - 1)) return 0;
    const int64_t lower = p->tensor / 2; // half of them, rounded down, by the last
    return (int)(p->data * (tensor > 0 ? lower : p->tensor - lower));
}

// The data rank with the most rows in a microbatch of the steps looked at.
static tk_status find_fullest(const tk_config *c, const tk_loader *l, tk_arena *a, int64_t *fullest)
{
    int64_t most = -1;
    *fullest = 0;
    for (int64_t s = 0; s < PLAN_STEPS && s < c->train.steps; s++) {
        tk_step_documents docs;
        TK_TRY(tk_step_documents_make(l, &c->train, s, a, &docs));
        for (int d = 0; d < (int)c->parallel.data; d++) {
            const tk_microbatches m = tk_microbatches_of(&c->train, d, (int)c->parallel.data);
            for (int64_t i = 0; i < m.n; i++) {
                int64_t rows = 0;
                for (int64_t j = tk_microbatch_begin(&m, i); j < tk_microbatch_begin(&m, i + 1);
                     j++)
                    rows += tk_document_rows(&docs.document[j].doc, NULL);
                if (rows <= most) continue;
                most = rows;
                *fullest = d;
            }
        }
    }
    return TK_OK;
}

static bool same_bytes(const tk_plan *a, const tk_plan *b)
{
    return a->parameters == b->parameters && a->optimizer == b->optimizer &&
           a->activations == b->activations && a->loader == b->loader;
}

// One line for all ranks that need the same, named by their numbers.
static void print_ranks(const tk_plan *plan, int ranks)
{
    printf("\nMiB of a rank\n%-18s %12s %10s %10s %10s %10s %10s %12s %8s %8s %10s\n", "ranks",
           "parameters", "weights", "masters", "gradients", "optimizer", "ema", "activations",
           "loader", "process", "total");
    for (int i = 0; i < ranks; i++) {
        char names[64];
        int n = 0, used = 0;
        bool known = !plan[i].stands_for;
        for (int k = 0; k < i && !known; k++)
            known = plan[k].stands_for && same_bytes(&plan[k], &plan[i]);
        if (known) continue;
        for (int k = i; k < ranks; k++) {
            if (!plan[k].stands_for || !same_bytes(&plan[k], &plan[i])) continue;
            if (n++ < 4)
                used +=
                    snprintf(names + used, sizeof names - (size_t)used, "%s%d", used ? "," : "", k);
        }
        if (n > 4) snprintf(names + used, sizeof names - (size_t)used, ",.. (%d)", n);
        print_row(names, &plan[i]);
    }
}

// What the schedule leaves idle, were all stages and microbatches equal.
static tk_status print_schedule(const tk_config *c)
{
    const tk_parallel_config *p = &c->parallel;
    const tk_schedule_kind kind = (tk_schedule_kind)p->schedule;
    const int64_t n = tk_microbatches_of(&c->train, 0, (int)p->data).n;
    tk_schedule s;
    tk_replay r;
    if (p->pipeline == 1) return TK_OK;
    TK_TRY(tk_schedule_make(&s, kind, (int)p->pipeline, (int)p->chunks, n));
    const tk_status st = tk_schedule_replay(&s, NULL, &r);
    tk_schedule_free(&s);
    TK_TRY(st);
    printf("schedule    %s, %lld microbatches on %lld x %lld runs of blocks: stages idle %.1f%%\n",
           tk_schedule_name(kind), (long long)n, (long long)p->pipeline, (long long)p->chunks,
           100 * r.bubble);
    return TK_OK;
}

static void print_plan(const tk_config *c, const tk_plan *plan, int ranks, int64_t parameters)
{
    double flops = 0;
    int64_t most = 0, all = 0, rows = 0;
    int planned = 0;
    char mesh[128];
    for (int i = 0; i < ranks; i++) {
        flops += plan[i].stands_for * plan[i].flops;
        all += plan[i].stands_for * plan[i].total;
        planned += plan[i].stands_for > 0;
        if (plan[i].total > most) most = plan[i].total;
        if (plan[i].rows > rows) rows = plan[i].rows;
    }
    printf("layout      %s: %d rank%s\n", tk_mesh_print(&c->parallel, mesh, sizeof mesh), ranks,
           ranks == 1 ? "" : "s");
    printf("parameters  %lld\n", (long long)parameters);
    printf("step        %lld clips, %lld rows, %.4g FLOP\n", (long long)c->train.batch,
           (long long)rows, flops);
    printf("run         %lld steps, %.4g FLOP\n", (long long)c->train.steps,
           flops * (double)c->train.steps);
    printf("memory      %.1f MiB on the fullest rank, %.1f MiB in all\n", mib(most), mib(all));
    if (planned < ranks)
        printf(
            "planned     %d ranks: of every stage the first and the last of its tensor ranks, of "
            "the data rank with the most rows at once; the others hold no more\n",
            planned);
    print_ranks(plan, ranks);
}

// The clips of data.files, or those that the config describes.
static tk_status open_clips(const tk_config *c, tk_loader **l)
{
    const tk_clip_shape shape = {.codec = tk_codec_planned(&c->codec, &c->media),
                                 .frames = c->plan.frames,
                                 .height = c->media.height,
                                 .width = c->media.width,
                                 .latents = c->plan.latents,
                                 .caption = c->plan.caption};
    if (c->plan.frames) return tk_loader_describe(&shape, l);
    return tk_loader_open(&c->data, c->codec.file, tk_comm_self(), l);
}

static tk_status plan_ranks(const tk_config *c, tk_loader *l, tk_arena *a, int ranks,
                            tk_plan **plans)
{
    int64_t process = 0, fullest;
    tk_plan *plan;
    TK_TRY(find_fullest(c, l, a, &fullest));
    TK_ARENA_NEW(plan, a, ranks);
    TK_TRY(tk_plan_process(c, l, &process));
    for (int i = 0; i < ranks; i++) {
        const int n = stands_for(c, ranks, fullest, i);
        if (n) TK_TRY(tk_plan_make(c, l, i, process, &plan[i]));
        plan[i].stands_for = n;
    }
    *plans = plan;
    return TK_OK;
}

static tk_status plan_all(tk_config *c)
{
    tk_loader *l = NULL;
    tk_arena a;
    tk_plan *plan = NULL;
    tk_param_table table;
    int ranks = 0;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    TK_TRY_TO(st, done, fill_layout(&c->parallel, &ranks));
    TK_TRY_TO(st, done, open_clips(c, &l));
    TK_TRY_TO(st, done, tk_trainer_match(c, l, (int)c->parallel.data));
    TK_TRY_TO(st, done, tk_param_table_build(&c->model, &a, &table));
    TK_TRY_TO(st, done, plan_ranks(c, l, &a, ranks, &plan));
    TK_TRY_TO(st, done, print_schedule(c));
    print_plan(c, plan, ranks, tk_param_count(&table));
done:
    if (l) tk_loader_close(l);
    tk_arena_free(&a);
    return st;
}

tk_status tk_plan_command(tk_comm *world, tk_invocation *in)
{
    return tk_agree(world, world->rank ? TK_OK : plan_all(&in->config));
}
