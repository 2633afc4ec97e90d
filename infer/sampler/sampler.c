// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/sampler.h"
#include "infer/sampler/internal.h"
#include "infer/sampler/keep.h"
#include "parallel/messages.h"
#include "parallel/pipeline.h"
#include <stdio.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

tk_model_part tk_sampler_part(tk_mesh *mesh, tk_device *device)
{
    return (tk_model_part){.device = device,
                           .tensor = &mesh->axis[TK_AXIS_TENSOR].device,
                           .stage = mesh->axis[TK_AXIS_PIPELINE].rank,
                           .n_stages = mesh->axis[TK_AXIS_PIPELINE].degree};
}

void tk_sampler_open(tk_sampler *s, tk_mesh *mesh, tk_device *device, tk_model *model)
{
    *s = (tk_sampler){.mesh = mesh, .device = device, .model = model};
    tk_staging_init(&s->host, device);
}

int tk_sample_branches(double guidance)
{
    return guidance == 1 ? 1 : TK_SAMPLE_MOST_BRANCHES;
}

tk_status tk_sample_check_branches(int64_t ranks, double guidance)
{
    if (ranks <= tk_sample_branches(guidance)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "parallel.guidance=%lld: with sample.guidance=1 the model is asked once a step, "
                   "so there is nothing to share out; leave parallel.guidance at 1, or set "
                   "sample.guidance above 1",
                   (long long)ranks);
}

void tk_sampler_close(tk_sampler *s)
{
    tk_staging_free(&s->host);
    *s = (tk_sampler){0};
}

// ---- a step ------------------------------------------------------------------------------------

// This rank's rows of x into the model's input.
static tk_status feed_rows(tk_sampling *r, const tk_micro *b, int m)
{
    const tk_tensor *to = m == TK_VIDEO ? &b->batch.video : &b->batch.audio;
    const tk_flow *f = &r->flow[m];
    const int64_t first = f->begin[tk_group_begin_of(r, b->group)];
    const tk_tensor own =
        tk_tensor_rows(f->x, first + b->batch.own_first[m], b->batch.own_count[m]);
    return tk_device_copy(r->s->device, to->data, own.data, tk_bytes(&own));
}

static int64_t rows_across(void *ctx, int64_t i)
{
    return ((tk_sampling *)ctx)->micro[i].batch.row_count;
}

// A group's rows of what has one for each of all tasks.
static tk_tensor group_rows(const tk_sampling *r, int m, int group, tk_tensor of)
{
    const int64_t *begin = r->flow[m].begin;
    const int64_t first = begin[tk_group_begin_of(r, group)];
    if (!of.data) return of;
    return tk_tensor_rows(of, first, begin[tk_group_end_of(r, group)] - first);
}

// A group's, of n branches from branch k on.
static tk_tensor velocities_of(const tk_sampling *r, int m, int group, int k, int n)
{
    const tk_flow *f = &r->flow[m];
    const int64_t first = f->begin[tk_group_begin_of(r, group)];
    const int64_t rows = f->begin[tk_group_end_of(r, group)] - first;
    return tk_tensor_rows(f->v, r->branches * first + k * rows, n * rows);
}

// Velocities go from each tensor rank of the last stage to the same one of the first, apart from
// the rows that go the other way.
static tk_device_comm *way_back(const tk_sampling *r)
{
    return &r->s->mesh->axis[TK_AXIS_PIPELINE].beside;
}

// One end's part of a microbatch's.
static tk_status ask_for_velocities(tk_sampling *r, tk_micro *b)
{
    tk_device_comm *p = way_back(r);
    TK_TRY(tk_group_begin(p));
    for (int h = 0; h < 2; h++) {
        const int m = MEDIA[h];
        const tk_tensor v = velocities_of(r, m, b->group, b->branch, 1);
        if (tk_count(&v) == 0) continue;
        if (r->last)
            TK_TRY(tk_isend(p, v.data, tk_count(&v), TK_F32, 0, &b->velocity[m]));
        else
            TK_TRY(tk_irecv(p, v.data, tk_count(&v), TK_F32, p->size - 1, &b->velocity[m]));
    }
    return tk_group_end(p);
}

// The first stage asks for the velocities of microbatch i before it begins microbatch i + lag: its
// place in the one order of all messages (parallel/mesh.h). The last stage sends them when it has
// asked for the rows of TK_SCHEDULE_AHEAD microbatches behind i, and each stage in between has sent
// those when it has asked for as many behind them.
static tk_status ask_for_those_before(tk_sampling *r, int64_t micro)
{
    const int64_t lag = (int64_t)(TK_SCHEDULE_AHEAD + 1) * (way_back(r)->size - 1);
    if (lag == 0) return TK_OK;
    for (; r->asked < r->n_micro && r->asked <= micro - lag; r->asked++)
        TK_TRY(ask_for_velocities(r, &r->micro[r->asked]));
    return TK_OK;
}

// What is under way of them has come, or gone.
static tk_status wait_for_velocities(tk_sampling *r, tk_micro *b)
{
    for (int h = 0; h < 2; h++) TK_TRY(tk_wait(way_back(r), &b->velocity[MEDIA[h]]));
    return TK_OK;
}

static tk_status wait_for_velocities_of_all(tk_sampling *r)
{
    for (int k = 0; k < r->n_micro; k++) TK_TRY(wait_for_velocities(r, &r->micro[k]));
    return TK_OK;
}

// Ranks of guidance give each other what they found of their branches.
static tk_status exchange_velocities(tk_sampling *r, int group)
{
    tk_device_comm *g = &r->s->mesh->axis[TK_AXIS_GUIDANCE].device;
    if (r->own == r->branches) return TK_OK;
    for (int h = 0; h < 2; h++) {
        const int m = MEDIA[h];
        const tk_tensor own = velocities_of(r, m, group, r->begin, r->own);
        const tk_tensor all = velocities_of(r, m, group, 0, r->branches);
        int64_t counts[TK_SAMPLE_MOST_BRANCHES];
        if (tk_count(&all) == 0) continue;
        for (int k = 0; k < g->size; k++)
            counts[k] = tk_rows(&all) / r->branches * tk_split_count(r->branches, g->size, k);
        TK_TRY(tk_all_gather(g, own.data, all.data, counts, tk_cols(&all), TK_F32));
        r->s->exchanged += (int64_t)tk_bytes(&own) * (g->size - 1);
    }
    return TK_OK;
}

// What rows of a group go by.
typedef struct moving {
    const tk_flow *flow;
    double guidance;
    tk_tensor moves, by;
} moving;

// to += factor * velocity, of target rows; with guidance where `captioned` is there.
static tk_status add_velocity(tk_device *d, const moving *g, int factor, tk_tensor v,
                              tk_tensor captioned, tk_tensor to)
{
    const tk_call spread = {
        .op = TK_OP_PICK, .in = {g->flow->down[factor], {0}, {0}, g->moves}, .out = {g->by}};
    const tk_call add = {
        .op = TK_OP_EULER, .in = {v, captioned, g->by}, .out = {to}, .f = {g->guidance}};
    TK_TRY(tk_op_forward(d, &spread));
    return tk_op_forward(d, &add);
}

static tk_status move_rows(tk_sampling *r, int m, int group)
{
    tk_device *d = r->s->device;
    const tk_flow *f = &r->flow[m];
    const moving g = {f, r->task->guidance, group_rows(r, m, group, f->moves),
                      group_rows(r, m, group, f->by)};
    const tk_tensor x = group_rows(r, m, group, f->x);
    const tk_tensor before = group_rows(r, m, group, f->before);
    tk_tensor v = velocities_of(r, m, group, 0, 1), captioned = {0};
    if (tk_count(&x) == 0) return TK_OK;
    if (r->branches == 2) {
        captioned = v;
        v = velocities_of(r, m, group, 1, 1);
    }
    if (!tk_solver_remembers(r->task->solver))
        return add_velocity(d, &g, TK_FLOW_NOW, v, captioned, x);
    TK_TRY(add_velocity(d, &g, TK_FLOW_BEFORE, before, (tk_tensor){0}, x));
    TK_TRY(tk_device_zero(d, before.data, tk_bytes(&before)));
    TK_TRY(add_velocity(d, &g, TK_FLOW_KEEP, v, captioned, before));
    return add_velocity(d, &g, TK_FLOW_NOW, before, (tk_tensor){0}, x);
}

// First stage: the rows of a group by the velocities that the step before found.
static tk_status move_tasks(tk_sampling *r, int group)
{
    if (r->step == 0) return TK_OK;
    for (int k = 0; k < r->own; k++) TK_TRY(wait_for_velocities(r, &r->micro[group * r->own + k]));
    TK_TRY(exchange_velocities(r, group));
    for (int h = 0; h < 2; h++) TK_TRY(move_rows(r, MEDIA[h], group));
    return TK_OK;
}

static tk_status begin_micro(tk_sampling *r, const tk_micro *b)
{
    TK_TRY(ask_for_those_before(r, b - r->micro));
    if (b->branch == r->begin) TK_TRY(move_tasks(r, b->group));
    for (int h = 0; h < 2; h++) TK_TRY(feed_rows(r, b, MEDIA[h]));
    return TK_OK;
}

// Last stage.
static tk_status keep_velocities(tk_sampling *r, tk_micro *b, const tk_forward *found)
{
    tk_value *const velocity[TK_MODALITIES] = {
        [TK_VIDEO] = found->video, [TK_AUDIO] = found->audio};
    TK_TRY(wait_for_velocities(r, b)); // those of the step before
    for (int h = 0; h < 2; h++) {
        const int m = MEDIA[h];
        const tk_tensor v = velocities_of(r, m, b->group, b->branch, 1);
        tk_value *all = tk_gather_rows(&b->tape, velocity[m], r->s->model->tensor, b->counts[m]);
        TK_TRY(b->tape.status);
        TK_TRY(tk_device_copy(r->s->device, v.data, all->t.data, tk_bytes(&v)));
    }
    return r->first ? TK_OK : ask_for_velocities(r, b);
}

static tk_status forward_stage(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    tk_sampling *r = ctx;
    tk_micro *b = &r->micro[a->micro];
    tk_forward out;
    if (r->first) TK_TRY(begin_micro(r, b));
    tk_value *in = r->first ? NULL : tk_leaf(&b->tape, *x, NULL);
    TK_TRY(tk_model_forward(r->s->model, &b->tape, &b->batch, in, false, &out));
    if (r->last) return keep_velocities(r, b, &out);
    *y = out.rows->t;
    return TK_OK;
}

static tk_status release_slot(void *ctx, const tk_action *a)
{
    tk_tape_reset(&((tk_sampling *)ctx)->micro[a->micro].tape);
    return TK_OK;
}

// Velocities come back while the next step begins, but in a graph, which waits for nothing from
// outside it.
static tk_status ask_sampler_step(tk_sampling *r)
{
    const tk_pipeline_work work = {.ctx = r,
                                   .n = r->n_micro,
                                   .schedule = TK_SCHEDULE_FORWARD,
                                   .chunks = 1,
                                   .rows = rows_across,
                                   .hidden = r->s->model->config.hidden,
                                   .type = r->s->model->compute,
                                   .forward = forward_stage,
                                   .release = release_slot};
    r->asked = 0;
    TK_TRY(tk_pipeline_run(r->s->mesh, r->s->device, &work));
    if (r->first) TK_TRY(ask_for_those_before(r, INT64_MAX));
    return r->task->graph ? wait_for_velocities_of_all(r) : TK_OK;
}

// ---- steps as a graph --------------------------------------------------------------------------

static tk_status check_graphs(const tk_sampling *r)
{
    const tk_device *d = r->s->device;
    if (!r->task->graph || tk_device_has_graphs(d)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "sample.graph=true needs device=cuda: device %s has no graphs; set "
                   "sample.graph=false",
                   d->ops->name);
}

static tk_status record_sampling(tk_sampling *r)
{
    TK_TRY(tk_graph_open(&r->graph, r->s->device));
    TK_TRY(tk_graph_record(&r->graph));
    TK_TRY(ask_sampler_step(r));
    return tk_graph_end(&r->graph);
}

// The step before was asked for: what NCCL does beside graphs and for them must not meet. Recording
// asks nothing of other ranks that would have to wait: who fails says so to all.
static tk_status record_on_all(tk_sampling *r)
{
    TK_TRY(tk_device_sync(r->s->device));
    if (!tk_device_computes(r->s->device)) return TK_OK;
    const tk_status st = tk_agree(&r->s->mesh->replica, record_sampling(r));
    if (st != TK_OK) tk_graph_close(&r->graph);
    TK_TRY(st);
    r->s->recorded++;
    return TK_OK;
}

static tk_status set_step(tk_sampling *r, int64_t step)
{
    const tk_tensor now = tk_tensor_rows(r->each, step, 1);
    r->step = step;
    return tk_device_copy(r->s->device, r->now.data, now.data, tk_bytes(&now));
}

static tk_status do_step(tk_sampling *r, int64_t step)
{
    TK_TRY(set_step(r, step));
    if (r->task->graph && step == 1) TK_TRY(record_on_all(r));
    r->s->steps++;
    r->s->rows += r->rows;
    r->s->spared += r->branches * r->kept.rows;
    if (!r->graph.device) return ask_sampler_step(r);
    TK_TRY(tk_graph_hold(&r->graph));
    r->s->replayed += step > 1;
    return tk_graph_launch(&r->graph);
}

// The rows by the last step, n. What NCCL does for graphs is done before it does anything beside
// them.
static tk_status end_steps(tk_sampling *r, int64_t n)
{
    if (r->graph.device) TK_TRY(tk_device_sync(r->s->device));
    TK_TRY(set_step(r, n));
    for (int g = 0; g < r->groups && r->first; g++) TK_TRY(move_tasks(r, g));
    return wait_for_velocities_of_all(r);
}

// ---- all of them -------------------------------------------------------------------------------

// All rows of a task's document; given ones that were kept are the task's.
static tk_status download_rows(tk_sampling *r, int of, int m, float *out)
{
    const tk_sample_task *task = r->tasks[of];
    const tk_document *doc = &task->doc;
    const tk_flow *f = &r->flow[m];
    const int64_t rows = f->begin[of + 1] - f->begin[of];
    const size_t row = (size_t)f->channels * sizeof(float);
    const tk_tensor x = tk_tensor_rows(f->x, f->begin[of], rows);
    float *made = out;
    if (r->kept.rows) TK_ARENA_NEW(made, &r->notes, rows * f->channels + 1);
    TK_TRY(tk_device_download(r->s->device, made, x.data, tk_bytes(&x)));
    if (!r->kept.rows) return TK_OK;
    TK_TRY(tk_device_sync(r->s->device));
    for (int64_t i = 0, k = 0; k < doc->n_shots; k++)
        for (const int64_t end = i + tk_shot_count(doc, (int)k, m); i < end; i++)
            if (tk_row_is_target(doc, (int)k, m, i)) {
                memcpy(out + i * f->channels, made, row);
                made += f->channels;
            } else if (task->given[m] != out) {
                memcpy(out + i * f->channels, task->given[m] + i * f->channels, row);
            }
    return TK_OK;
}

static tk_status all_steps(tk_sampling *r, tk_status (*step_done)(void *ctx, int64_t left),
                           void *ctx)
{
    enum { ALIKE = 2 }; // the first one, and all others
    tk_device *d = r->s->device;
    int64_t k = 0;
    tk_status st = TK_OK;
    for (; k < r->task->steps && (tk_device_computes(d) || k < ALIKE); k++) {
        snprintf(d->during, sizeof d->during, "sampling step %lld of %lld", (long long)k + 1,
                 (long long)r->task->steps);
        TK_TRY(do_step(r, k));
        if (step_done && k + 1 < r->task->steps) st = step_done(ctx, r->task->steps - k - 1);
        if (st == TK_OK) continue;
        (void)wait_for_velocities_of_all(r); // all ranks end here, and have asked for the same
        return st;
    }
    return end_steps(r, k);
}

static tk_status run_sampling(tk_sampling *r, float *const *const *out,
                              tk_status (*step_done)(void *ctx, int64_t left), void *ctx)
{
    TK_TRY(check_graphs(r));
    TK_TRY(tk_sampling_open(r));
    TK_TRY(all_steps(r, step_done, ctx));
    for (int i = 0; i < r->n_tasks && r->first && tk_device_computes(r->s->device); i++)
        for (int h = 0; h < 2; h++) TK_TRY(download_rows(r, i, MEDIA[h], out[i][MEDIA[h]]));
    return tk_device_sync(r->s->device);
}

bool tk_sampler_together(const tk_sampler *s, const tk_sample_task *a, const tk_sample_task *b)
{
    return a->steps == b->steps && a->solver == b->solver && a->guidance == b->guidance &&
           a->graph == b->graph && !a->skip && !b->skip &&
           !memcmp(a->shift, b->shift, sizeof a->shift) && !tk_sampler_kept_rows(s, a) &&
           !tk_sampler_kept_rows(s, b);
}

tk_status tk_sampler_run_all(tk_sampler *s, int n, const tk_sample_task *const *tasks,
                             float *const *const *out,
                             tk_status (*step_done)(void *ctx, int64_t left), void *ctx)
{
    const tk_axis_row *stage = &s->mesh->axis[TK_AXIS_PIPELINE];
    const tk_axis_row *line = &s->mesh->axis[TK_AXIS_GUIDANCE];
    const int branches = tk_sample_branches(tasks[0]->guidance);
    tk_sampling r = {.s = s,
                     .tasks = tasks,
                     .task = tasks[0],
                     .n_tasks = n,
                     .branches = branches,
                     .begin = (int)tk_split_begin(branches, line->degree, line->rank),
                     .own = (int)tk_split_count(branches, line->degree, line->rank),
                     .first = stage->rank == 0,
                     .last = stage->rank == stage->degree - 1};
    TK_TRY(tk_sample_check_branches(line->degree, tasks[0]->guidance));
    tk_arena_init(&r.notes, 0);
    const tk_status st = run_sampling(&r, out, step_done, ctx);
    tk_sampling_close(&r);
    return st == TK_OK ? st : tk_trace(st, __FILE__, __LINE__, __func__);
}

tk_status tk_sampler_run(tk_sampler *s, const tk_sample_task *t, float *const out[TK_MODALITIES],
                         tk_status (*step_done)(void *ctx, int64_t left), void *ctx)
{
    return tk_sampler_run_all(s, 1, &t, &out, step_done, ctx);
}
