// SPDX-License-Identifier: Apache-2.0
#include "train/plan/plan.h"
#include "parallel/forecast.h"
#include "train/run/ceiling.h"
#include "train/run/metrics.h"
#include <string.h>

// Steps gone through, of clips that differ and of clips that are all alike.
enum { PLAN_STEPS = 8, ALIKE_STEPS = 2 };
static const size_t DRY_BYTES = (size_t)1 << 46, REHEARSAL_BYTES = (size_t)1 << 32;

bool tk_plan_on_host(const tk_config *c)
{
    return c->parallel.device != TK_DEVICE_CUDA;
}

tk_status tk_plan_clips(const tk_config *c, tk_loader **l)
{
    const tk_clip_shape shape = {
        .codec = tk_codec_planned(&c->codec, &c->media),
        .frames = c->plan.frames,
        .height = c->media.height,
        .width = c->media.width,
        .latents = c->plan.latents,
        .caption = c->plan.caption,
        .text_channels = c->model.text == TK_TEXT_FEATURES ? c->model.text_channels : 0};
    if (c->plan.frames) return tk_loader_describe(&shape, l);
    return tk_loader_open(&c->data, c->codec.file, tk_comm_self(), l);
}

// ---- the process -------------------------------------------------------------------------------

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

// Where there are rows to train on and a device to do it, a step is trained; where not, it is gone
// through, and on a processor the buffers of large products are made all the same.
tk_status tk_plan_process(const tk_config *c, tk_loader *l, int64_t *bytes)
{
    const tk_config small = minute(c);
    const tk_device_ops *ops = tk_device_find(c->parallel.device);
    const bool host = tk_plan_on_host(c);
    tk_mesh mesh;
    tk_device d = {0}, dry = {0};
    double rate;
    tk_status st = TK_OK;
    tk_mesh_dry(&mesh, &small.parallel, 0);
    tk_device *const steps = host && tk_loader_reads(l) ? &d : &dry;
    const int threads = tk_mesh_threads(&mesh, &c->parallel);
    if (host) TK_TRY_TO(st, done, tk_device_open(&d, ops, threads, REHEARSAL_BYTES));
    TK_TRY_TO(st, done, tk_device_open_dry(&dry, ops, threads, REHEARSAL_BYTES));
    TK_TRY_TO(st, done, tk_mesh_attach(&mesh, steps));
    TK_TRY_TO(st, done, rehearse(&small, &mesh, steps, l));
    if (host) TK_TRY_TO(st, done, tk_gemm_rate(&d, TK_F32, 512, 512, 512, 0, &rate));
done:
    tk_mesh_close(&mesh);
    tk_device_close(&dry);
    tk_device_close(&d); // its pages go back
    *bytes = tk_resident_bytes(NULL);
    return st;
}

// Numbers of the text features of the clip that has most.
static int64_t most_clip_text(const tk_loader *l)
{
    int64_t most = 0;
    for (int64_t i = 0; i < tk_loader_count(l); i++) {
        const int64_t rows = tk_clip_text_rows(tk_loader_info(l, i, NULL));
        const int64_t n = rows * tk_loader_file(l, i)->features.channels;
        if (n > most) most = n;
    }
    return most;
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
    int64_t video, audio;
    tk_loader_most_cited(l, &video, &audio);
    if (t->config->tasks.weight[TK_TASK_REFERENCES] > 0) largest += video + audio;
    const int64_t text =
        t->first && t->config->model.text == TK_TEXT_FEATURES ? most_clip_text(l) : 0;
    return ((c->prefetch + 1 + 2) * t->micro.count * 2 + c->threads) * (largest + text) * 2;
}

// ---- steps -------------------------------------------------------------------------------------

typedef struct heard_steps { // sums over the results of steps
    tk_plan *plan;
    double steps;
} heard_steps;

static void hear_step(void *ctx, const tk_step_result *r)
{
    heard_steps *h = ctx;
    double actions = 0;
    for (int k = 0; k < TK_ACT_KINDS; k++) {
        h->plan->action[k] += r->seconds.action[k];
        actions += r->seconds.action[k];
    }
    h->plan->reduce += r->seconds.reduce;
    h->plan->optimizer += r->seconds.optimizer;
    h->plan->rest += r->seconds.total - actions - r->seconds.data;
    h->plan->action[TK_ACT_FORWARD] += r->seconds.data; // put on the device before the forward
    h->steps++;
}

static void divide_cost(tk_cost *c, double n)
{
    c->calls /= n, c->flops /= n, c->read /= n, c->written /= n, c->seconds /= n;
    for (int b = 0; b < TK_BOUNDS; b++) c->bound[b] /= n;
}

// Of all steps so far. Without data ranks it is sums over
// tensor ranks that go where theirs do.
static void take_exposed(tk_plan *p, const tk_mesh *mesh, const tk_ledger *l)
{
    const bool alone = mesh->axis[TK_AXIS_DATA].degree == 1;
    const tk_axis axis[TK_QUEUES] = {[TK_QUEUE_TENSOR] = TK_AXIS_TENSOR,
                                     [TK_QUEUE_FORWARD] = TK_AXIS_PIPELINE,
                                     [TK_QUEUE_BACKWARD] = TK_AXIS_PIPELINE,
                                     [TK_QUEUE_DATA] = alone ? TK_AXIS_TENSOR : TK_AXIS_DATA};
    for (int q = TK_QUEUE_TENSOR; q <= TK_QUEUE_DATA; q++) p->exposed[axis[q]] += l->waited[q];
}

// Sums over steps become the mean of a step; sums over its actions that of an action.
static void take_means(tk_plan *p, double steps, int64_t runs)
{
    for (int i = 0; i < TK_COST_ROWS; i++) divide_cost(&p->prices.cost[i], steps);
    divide_cost(&p->prices.send, steps);
    for (int i = 0; i <= TK_AXES; i++) {
        tk_group_cost *g = &p->prices.group[i];
        g->calls /= steps, g->sent /= steps, g->seconds /= steps;
    }
    for (int i = 0; i < TK_AXES; i++) p->exposed[i] /= steps;
    for (int k = 0; k < TK_ACT_KINDS; k++) p->action[k] /= steps * (double)runs;
    p->rest /= steps, p->reduce /= steps, p->optimizer /= steps;
}

// Of the microbatch with the most rows.
static int64_t boundary_bytes(const tk_trainer *t)
{
    const int64_t most = tk_microbatch_most_rows(&t->micro, &t->docs);
    const int64_t own = tk_split_count(most, t->mesh->axis[TK_AXIS_TENSOR].degree, 0);
    return own * t->config->model.hidden * (int64_t)tk_dtype_size(t->model.compute);
}

static tk_status run_dry_steps(tk_trainer *t, int64_t most, tk_plan *out)
{
    const int64_t all = t->config->train.steps, runs = t->micro.n * t->config->parallel.chunks;
    heard_steps h = {.plan = out};
    tk_trainer_listen(t, hear_step, &h);
    TK_TRY(tk_weights_spread(&t->optimizer.weights)); // the first step comes after another one
    tk_prices_init(&out->prices, out->prices.machine, t->mesh); // without what opening took
    memset(t->device->ledger->waited, 0, sizeof t->device->ledger->waited);
    if (!most) most = tk_loader_reads(t->loader) ? PLAN_STEPS : ALIKE_STEPS;
    for (int64_t s = 0; s < most && s < all; s++) {
        const double before = t->device->flops;
        TK_TRY(tk_trainer_step(t, s, false, TK_OK));
        if (s > 0) continue;
        out->flops = t->device->flops - before - t->extra_flops;
        out->rows = t->docs.rows;
        if (out->prices.machine && t->mesh->axis[TK_AXIS_PIPELINE].degree > 1)
            out->message = tk_price_message(&out->prices, boundary_bytes(t));
    }
    take_exposed(out, t->mesh, t->device->ledger);
    TK_TRY(tk_trainer_drain(t, false, TK_OK));
    take_means(out, h.steps, runs);
    return TK_OK;
}

// Of the device: what the machine says is taken beside the pool.
static int64_t context_bytes(const tk_machine *m, const tk_mesh *mesh)
{
    double bytes = m ? m->context.value : 0;
    int several = mesh->world.size > 1;
    for (int i = 0; i < TK_AXES; i++)
        several += (mesh->axis[i].device.size > 1) + (mesh->axis[i].beside.size > 1);
    if (m) bytes += several * m->communicator.value;
    return (int64_t)bytes;
}

static tk_status measure_plan(const tk_plan_of *of, tk_trainer *t, tk_plan *out)
{
    out->parameters = t->model.n_local;
    out->loader = loader_bytes(t);
    out->context = context_bytes(of->machine, t->mesh);
    TK_TRY(run_dry_steps(t, of->steps, out));
    out->pool = (int64_t)t->device->pool.peak;
    out->registered = (int64_t)tk_forecast_registered(t->device);
    for (int k = 0; k < TK_POOL_PURPOSES; k++) {
        out->held[k] = (int64_t)t->device->pool.at_peak[k];
        out->sent[k] = (int64_t)t->device->registered.at_peak[k];
    }
    out->total = out->pool + out->registered + out->context;
    if (tk_plan_on_host(of->config)) out->total += out->loader + out->process;
    return TK_OK;
}

tk_status tk_plan_make(const tk_plan_of *of, int rank, tk_plan *out)
{
    const tk_config *c = of->config;
    tk_mesh mesh;
    tk_device device = {0};
    tk_trainer t = {0};
    tk_status st = TK_OK;
    *out = (tk_plan){.rank = rank, .stands_for = 1, .process = of->process};
    tk_mesh_dry(&mesh, &c->parallel, rank);
    tk_prices_init(&out->prices, of->machine, &mesh);
    tk_ledger ledger = tk_prices_ledger(&out->prices);
    TK_TRY_TO(st, done,
              tk_device_open_dry(&device, tk_device_find(c->parallel.device), 1, DRY_BYTES));
    TK_TRY_TO(
        st, done,
        tk_device_attend(&device, c->parallel.attention, c->parallel.attention_workspace << 20));
    device.ledger = &ledger;
    TK_TRY_TO(st, done, tk_mesh_attach(&mesh, &device));
    if (c->parallel.register_buffers) TK_TRY_TO(st, done, tk_mesh_register(&mesh, DRY_BYTES));
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, &mesh, &device, of->loader));
    TK_TRY_TO(st, done, measure_plan(of, &t, out));
done:
    tk_trainer_close(&t);
    tk_mesh_close(&mesh);
    if (device.ops) tk_device_close(&device);
    out->prices.mesh = NULL; // it is gone
    return st;
}
