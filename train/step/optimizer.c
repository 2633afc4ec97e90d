// SPDX-License-Identifier: Apache-2.0
#include "train/step/optimizer.h"
#include <float.h>
#include <math.h>
#include <string.h>

double tk_learning_rate(const tk_train_config *c, int64_t step)
{
    const double hold = c->constant * (double)c->steps;
    double rate = c->lr;
    if ((double)step > hold) {
        const double left = (double)c->steps - hold;
        const double gone = left > 0 ? ((double)step - hold) / left : 1;
        rate = c->lr * (1 - (1 - c->lr_floor) * (gone < 1 ? gone : 1));
    }
    if (step < c->warmup) rate *= (double)(step + 1) / (double)c->warmup;
    return rate;
}

double tk_ema_decay(const tk_train_config *c, int64_t updates)
{
    const double ramp = (double)(1 + updates) / (double)(10 + updates);
    return ramp < c->ema ? ramp : c->ema;
}

// ---- opening -----------------------------------------------------------------------------------

static tk_status new_zeros(tk_device *d, int64_t n, tk_tensor *t)
{
    TK_TRY(tk_device_new_for(d, TK_FOR_OPTIMIZER, TK_F32, n, 1, t));
    return tk_device_zero(d, t->data, tk_bytes(t));
}

static tk_status open_state(tk_optimizer *o)
{
    tk_device *d = o->model->device;
    o->master = tk_flat_cut(&o->model->values, o->begin, o->count);
    if (o->model->compute != TK_F32) TK_TRY(new_zeros(d, o->count, &o->master));
    TK_TRY(new_zeros(d, o->count, &o->m));
    TK_TRY(new_zeros(d, o->count, &o->v));
    if (o->config->ema > 0) TK_TRY(new_zeros(d, o->count, &o->ema));
    TK_TRY(new_zeros(d, 1, &o->norm2));
    TK_TRY(new_zeros(d, 4, &o->rates));
    return new_zeros(d, 1, &o->scale);
}

tk_status tk_optimizer_open(tk_optimizer *o, tk_model *model, tk_mesh *mesh,
                            const tk_train_config *c)
{
    *o = (tk_optimizer){.model = model, .mesh = mesh, .config = c};
    TK_TRY(tk_gradients_open(&o->sums, model, mesh));
    o->begin = o->sums.begin;
    o->count = o->sums.count;
    TK_TRY(tk_ranges_make(model, TK_RANGE_ALL, o->begin, o->begin + o->count, &o->sums.arena,
                          &o->update));
    return open_state(o);
}

void tk_optimizer_close(tk_optimizer *o)
{
    if (!o->model) return;
    tk_gradients_release(&o->sums, &o->grad); // of a step that failed
    tk_tensor *state[] = {&o->m, &o->v, &o->ema, &o->norm2, &o->scale, &o->rates};
    for (int i = 0; i < 6; i++) tk_device_free(o->model->device, state[i]);
    if (o->model->compute != TK_F32) tk_device_free(o->model->device, &o->master);
    tk_gradients_close(&o->sums);
    *o = (tk_optimizer){0};
}

int tk_optimizer_flats(const tk_optimizer *o, tk_flat flat[TK_OPTIMIZER_FLATS])
{
    flat[0] = (tk_flat){"model", o->master, o->begin, o->count, true};
    flat[1] = (tk_flat){"adam/m", o->m, o->begin, o->count, true};
    flat[2] = (tk_flat){"adam/v", o->v, o->begin, o->count, true};
    flat[3] = (tk_flat){"ema", o->ema, o->begin, o->count, true};
    return o->config->ema > 0 ? 4 : 3;
}

// ---- a step ------------------------------------------------------------------------------------

tk_status tk_optimizer_put(tk_optimizer *o, tk_transfer *x, int64_t step)
{
    const tk_train_config *t = o->config;
    const double lr = tk_learning_rate(t, step), n = (double)(step + 1);
    o->host[0] = (float)(lr / (1 - pow(t->beta1, n)));
    o->host[1] = (float)(1 / (1 - pow(t->beta2, n)));
    o->host[2] = (float)(lr * t->weight_decay);
    o->host[3] = (float)(1 - tk_ema_decay(t, step));
    return tk_transfer_put(x, o->host, TK_F32, 4, 1, &o->sent);
}

tk_status tk_optimizer_keep(tk_optimizer *o)
{
    o->told = true;
    return tk_device_copy(o->model->device, o->rates.data, o->sent.data, tk_bytes(&o->rates));
}

// Squared norm of the whole gradient, and the factor that clips it.
static tk_status measure(tk_optimizer *o, const tk_tensor *grad)
{
    tk_device *d = o->model->device;
    tk_device_comm *world = &o->mesh->world_device;
    TK_TRY(tk_device_zero(d, o->norm2.data, sizeof(float)));
    for (int i = 0; i < o->sums.counted.n; i++) {
        const tk_range *r = &o->sums.counted.range[i];
        const tk_call c = {.op = TK_OP_SUM_SQUARES,
                           .in = {tk_flat_cut(grad, r->begin - o->begin, r->count)},
                           .out = {o->norm2}};
        TK_TRY(tk_op_forward(d, &c));
    }
    if (world->size > 1) TK_TRY(tk_all_reduce(world, o->norm2.data, 1, TK_F32, TK_SUM));
    const double most = o->config->clip > 0 ? o->config->clip : FLT_MAX;
    const tk_call c = {.op = TK_OP_CLIP_SCALE, .in = {o->norm2}, .out = {o->scale}, .f = {most}};
    return tk_op_forward(d, &c);
}

static tk_status update(tk_optimizer *o, const tk_tensor *grad)
{
    const tk_train_config *t = o->config;
    tk_device *d = o->model->device;
    for (int i = 0; i < o->update.n; i++) {
        const tk_range *r = &o->update.range[i];
        const int64_t at = r->begin - o->begin;
        const tk_call adamw = {
            .op = TK_OP_ADAMW,
            .in = {tk_flat_cut(grad, at, r->count), {0}, o->scale, tk_flat_cut(&o->rates, 0, 3)},
            .out = {tk_flat_cut(&o->master, at, r->count), tk_flat_cut(&o->m, at, r->count),
                    tk_flat_cut(&o->v, at, r->count)},
            .f = {t->beta1, t->beta2, t->eps, r->decay}};
        TK_TRY(tk_op_forward(d, &adamw));
    }
    if (t->ema <= 0 || !o->count) return TK_OK;
    const tk_call ema = {
        .op = TK_OP_EMA, .in = {o->master, tk_flat_cut(&o->rates, 3, 1)}, .out = {o->ema}};
    return tk_op_forward(d, &ema);
}

static tk_status broadcast_ranges(const tk_ranges *r, const tk_tensor *flat, tk_device_comm *c)
{
    for (int i = 0; i < r->n; i++) {
        const tk_tensor x = tk_flat_cut(flat, r->range[i].begin, r->range[i].count);
        TK_TRY(tk_broadcast(c, x.data, r->range[i].count, x.dtype, 0));
    }
    return TK_OK;
}

// The masters in the numbers that the model computes in.
static tk_status narrow(tk_optimizer *o, const tk_tensor *to)
{
    tk_device *d = o->model->device;
    const tk_call cast = {.op = TK_OP_CAST, .in = {o->master}, .out = {*to}};
    if (to->dtype != o->master.dtype) return tk_op_forward(d, &cast);
    if (to->data == o->master.data) return TK_OK;
    return tk_device_copy(d, to->data, o->master.data, tk_bytes(to));
}

// The shards of all data ranks make the whole.
static tk_status gather_shards(tk_optimizer *o)
{
    tk_model *m = o->model;
    tk_tensor shard = {0};
    TK_TRY(tk_device_new_for(m->device, TK_FOR_MESSAGES, m->compute, o->count, 1, &shard));
    tk_status st = narrow(o, &shard);
    if (st == TK_OK)
        st = tk_all_gather(&o->mesh->axis[TK_AXIS_DATA].device, shard.data, m->values.data,
                           o->sums.counts, 1, m->compute);
    tk_device_free(m->device, &shard);
    TK_TRY(st);
    return TK_OK;
}

// New weights to every data rank, then one copy of each weight to all that hold it.
static tk_status spread(tk_optimizer *o)
{
    tk_model *m = o->model;
    const tk_tensor own = tk_flat_cut(&m->values, o->begin, o->count);
    if (o->mesh->axis[TK_AXIS_DATA].degree == 1)
        return narrow(o, &own); // copies were updated alike
    TK_TRY(gather_shards(o));
    TK_TRY(broadcast_ranges(&o->sums.staged, &m->values, &o->mesh->axis[TK_AXIS_PIPELINE].device));
    return broadcast_ranges(&o->sums.copied, &m->values, &o->mesh->axis[TK_AXIS_TENSOR].device);
}

tk_status tk_optimizer_start(tk_optimizer *o, bool fresh)
{
    TK_TRY(spread(o));
    if (!fresh || o->config->ema <= 0) return TK_OK;
    return tk_device_copy(o->model->device, o->ema.data, o->master.data, tk_bytes(&o->master));
}

tk_status tk_optimizer_reduce(tk_optimizer *o)
{
    return tk_gradients_sum(&o->sums, &o->grad);
}

tk_status tk_optimizer_step(tk_optimizer *o)
{
    if (!o->told) return TK_FAIL(TK_INTERNAL, "the optimizer was not told the rates of this step");
    o->told = false;
    TK_TRY(measure(o, &o->grad));
    TK_TRY(update(o, &o->grad));
    tk_gradients_release(&o->sums, &o->grad);
    return spread(o);
}
