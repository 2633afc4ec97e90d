// SPDX-License-Identifier: Apache-2.0
#include "train/update/optimizer.h"
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
    const int64_t n = o->buckets.held;
    const bool own = o->model->compute != TK_F32;
    o->master = o->model->values;
    o->in_master = own ? o->buckets.shard : o->buckets.shard_in_flat;
    if (own) TK_TRY(new_zeros(d, n, &o->master));
    TK_TRY(new_zeros(d, n, &o->m));
    TK_TRY(new_zeros(d, n, &o->v));
    if (o->config->ema > 0) TK_TRY(new_zeros(d, n, &o->ema));
    TK_TRY(tk_device_new_sent(d, TK_FOR_OPTIMIZER, TK_F32, 1, 1, &o->norm2)); // zeroed each step
    TK_TRY(new_zeros(d, 4, &o->rates));
    return new_zeros(d, 1, &o->scale);
}

tk_status tk_optimizer_open(tk_optimizer *o, tk_model *model, tk_mesh *mesh,
                            const tk_train_config *c, const tk_parallel_config *p)
{
    *o = (tk_optimizer){.model = model, .mesh = mesh, .config = c};
    TK_TRY(tk_buckets_open(&o->buckets, model, &mesh->axis[TK_AXIS_DATA], c->bucket));
    TK_TRY(tk_gradients_open(&o->sums, model, mesh, &o->buckets, p->overlap_gradients));
    const bool late = p->overlap_weights && !c->graph; // a graph holds a whole step
    TK_TRY(tk_weights_open(&o->weights, model, mesh, &o->buckets, late));
    return open_state(o);
}

void tk_optimizer_close(tk_optimizer *o)
{
    if (!o->model) return;
    tk_tensor *state[] = {&o->m, &o->v, &o->ema, &o->norm2, &o->scale, &o->rates};
    for (int i = 0; i < 6; i++) tk_device_free(o->model->device, state[i]);
    if (o->model->compute != TK_F32) tk_device_free(o->model->device, &o->master);
    tk_weights_close(&o->weights);
    tk_gradients_close(&o->sums);
    tk_buckets_close(&o->buckets);
    *o = (tk_optimizer){0};
}

tk_status tk_optimizer_settle(tk_optimizer *o)
{
    return tk_weights_settle(&o->weights);
}

int tk_optimizer_flats(const tk_optimizer *o, tk_flat flat[TK_OPTIMIZER_FLATS])
{
    const tk_buckets *b = &o->buckets;
    flat[0] = (tk_flat){"model", o->master, o->in_master, b->n_shard, true};
    flat[1] = (tk_flat){"adam/m", o->m, b->shard, b->n_shard, true};
    flat[2] = (tk_flat){"adam/v", o->v, b->shard, b->n_shard, true};
    flat[3] = (tk_flat){"ema", o->ema, b->shard, b->n_shard, true};
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
static tk_status measure(tk_optimizer *o)
{
    tk_device *d = o->model->device;
    tk_device_comm *world = &o->mesh->world_device;
    const tk_ranges *counted = &o->buckets.counted;
    TK_TRY(tk_device_zero(d, o->norm2.data, sizeof(float)));
    for (int i = 0; i < counted->n; i++) {
        const tk_range *r = &counted->range[i];
        const tk_call c = {.op = TK_OP_SUM_SQUARES,
                           .in = {tk_flat_cut(&o->model->grads, r->begin, r->count)},
                           .out = {o->norm2}};
        TK_TRY(tk_op_forward(d, &c));
    }
    if (world->size > 1) TK_TRY(tk_all_reduce(world, o->norm2.data, 1, TK_F32, TK_SUM));
    const double most = o->config->clip > 0 ? o->config->clip : FLT_MAX;
    const tk_call c = {.op = TK_OP_CLIP_SCALE, .in = {o->norm2}, .out = {o->scale}, .f = {most}};
    return tk_op_forward(d, &c);
}

static tk_tensor master_of(const tk_optimizer *o, const tk_range *r)
{
    const bool own = o->model->compute != TK_F32;
    return tk_flat_cut(&o->master, own ? r->at : r->begin, r->count);
}

static tk_status update(tk_optimizer *o)
{
    const tk_train_config *t = o->config;
    tk_device *d = o->model->device;
    for (int i = 0; i < o->buckets.update.n; i++) {
        const tk_range *r = &o->buckets.update.range[i];
        const tk_call adamw = {.op = TK_OP_ADAMW,
                               .in = {tk_flat_cut(&o->model->grads, r->begin, r->count),
                                      {0},
                                      o->scale,
                                      tk_flat_cut(&o->rates, 0, 3)},
                               .out = {master_of(o, r), tk_flat_cut(&o->m, r->at, r->count),
                                       tk_flat_cut(&o->v, r->at, r->count)},
                               .f = {t->beta1, t->beta2, t->eps, r->decay}};
        TK_TRY(tk_op_forward(d, &adamw));
    }
    return TK_OK;
}

// The shard's stretch i, of the masters and of the average.
static tk_tensor master_stretch(const tk_optimizer *o, int i)
{
    return tk_flat_cut(&o->master, o->in_master[i].at, o->in_master[i].count);
}

static tk_tensor average_stretch(const tk_optimizer *o, int i)
{
    return tk_flat_cut(&o->ema, o->buckets.shard[i].at, o->buckets.shard[i].count);
}

static tk_status average(tk_optimizer *o)
{
    if (o->config->ema <= 0) return TK_OK;
    for (int i = 0; i < o->buckets.n_shard; i++) {
        const tk_call ema = {.op = TK_OP_EMA,
                             .in = {master_stretch(o, i), tk_flat_cut(&o->rates, 3, 1)},
                             .out = {average_stretch(o, i)}};
        if (o->in_master[i].count) TK_TRY(tk_op_forward(o->model->device, &ema));
    }
    return TK_OK;
}

// The shard in the numbers that the model computes in, where they lie among its weights; from there
// they go to all that hold them.
static tk_status spread(tk_optimizer *o)
{
    const tk_model *m = o->model;
    for (int i = 0; i < o->buckets.n_shard && m->compute != TK_F32; i++) {
        const tk_flat_part *s = &o->buckets.shard[i];
        const tk_call cast = {.op = TK_OP_CAST,
                              .in = {master_stretch(o, i)},
                              .out = {tk_flat_cut(&m->values, s->begin, s->count)}};
        if (s->count) TK_TRY(tk_op_forward(m->device, &cast));
    }
    return tk_weights_spread(&o->weights);
}

tk_status tk_optimizer_init(tk_optimizer *o, uint64_t seed)
{
    for (int i = 0; i < o->buckets.n_shard; i++) {
        const tk_tensor x = master_stretch(o, i);
        TK_TRY(tk_model_init_range(o->model, &x, o->in_master[i].begin, seed));
    }
    return TK_OK;
}

tk_status tk_optimizer_start(tk_optimizer *o, bool fresh)
{
    for (int i = 0; i < o->buckets.n_shard && fresh && o->config->ema > 0; i++) {
        const tk_tensor from = master_stretch(o, i), to = average_stretch(o, i);
        TK_TRY(tk_device_copy(o->model->device, to.data, from.data, tk_bytes(&to)));
    }
    TK_TRY(spread(o));
    return tk_optimizer_settle(o);
}

static tk_status reach_section(void *optimizer, int section)
{
    return tk_weights_need(&((tk_optimizer *)optimizer)->weights, section);
}

static tk_status pass_section(void *optimizer, int section)
{
    return tk_gradients_passed(&((tk_optimizer *)optimizer)->sums, section);
}

tk_watch tk_optimizer_watch(tk_optimizer *o, bool last)
{
    return (tk_watch){o, reach_section, last ? pass_section : NULL};
}

tk_status tk_optimizer_reduce(tk_optimizer *o)
{
    return tk_gradients_sum(&o->sums);
}

tk_status tk_optimizer_step(tk_optimizer *o)
{
    if (!o->told) return TK_FAIL(TK_INTERNAL, "the optimizer was not told the rates of this step");
    o->told = false;
    TK_TRY(tk_optimizer_settle(o));
    TK_TRY(measure(o));
    TK_TRY(update(o));
    TK_TRY(average(o));
    return spread(o);
}
