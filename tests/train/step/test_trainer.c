// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// The parts of a training step, in this process: documents, objective, optimizer, plan.
#include "core/numbers/rng.h"
#include "parallel/mpi/start.h"
#include "tests/support/heard.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "train/plan/plan.h"
#include "train/run/run.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static tk_config config;
static tk_train_parts parts;
static tk_comm world;

static int open_parts(void **state)
{
    (void)state;
    runs_open();
    if (chdir(runs_dir())) return 1;
    tk_config_init(&config);
    assert_ok(tk_config_load(&config, TK_CMD_TRAIN, "tiny.yaml", 0, NULL));
    assert_ok(tk_train_parts_open(&parts, &world, &config));
    return 0;
}

static int close_parts(void **state)
{
    (void)state;
    tk_train_parts_close(&parts);
    tk_config_free(&config);
    runs_close();
    return 0;
}

// ---- schedules ---------------------------------------------------------------------------------

static void levels_follow_the_shift(void **state)
{
    (void)state;
    tk_train_config c = {.time_mean = -0.5, .time_std = 1, .video_shift = 1, .audio_shift = 3};
    double video, audio;
    tk_noise_levels(&c, 0.7, &video, &audio);
    assert_near(video, 1 / (1 + exp(-0.2)), 1e-12);
    const double sigma = 1 - video;
    assert_near(1 - audio, 3 * sigma / (1 + 2 * sigma), 1e-12);
    assert_true(audio < video); // a larger shift is noisier
}

static void the_rate_rises_holds_and_falls(void **state)
{
    (void)state;
    const tk_train_config c = {
        .lr = 2, .steps = 100, .warmup = 10, .constant = 0.6, .lr_floor = 0.1};
    assert_near(tk_learning_rate(&c, 0), 0.2, 1e-12);
    assert_near(tk_learning_rate(&c, 9), 2, 1e-12);
    assert_near(tk_learning_rate(&c, 60), 2, 1e-12);
    assert_near(tk_learning_rate(&c, 80), 1.1, 1e-12);
    assert_near(tk_learning_rate(&c, 100), 0.2, 1e-12);
    const tk_train_config e = {.ema = 0.9};
    assert_near(tk_ema_decay(&e, 0), 0.1, 1e-12);
    assert_near(tk_ema_decay(&e, 10), 0.55, 1e-12);
    assert_near(tk_ema_decay(&e, 1000), 0.9, 1e-12);
}

static void microbatches_cover_the_batch(void **state)
{
    (void)state;
    for (int64_t batch = 1; batch < 20; batch++)
        for (int ranks = 1; ranks <= batch && ranks < 6; ranks++) {
            const tk_train_config c = {.batch = batch, .microbatch = 3};
            int64_t next = 0;
            for (int r = 0; r < ranks; r++) {
                const tk_microbatches m = tk_microbatches_of(&c, r, ranks);
                for (int64_t i = 0; i < m.n; i++) {
                    assert_int_equal(tk_microbatch_begin(&m, i), next);
                    const int64_t n = tk_microbatch_begin(&m, i + 1) - next;
                    assert_in_range(n, 1, 3);
                    next += n;
                }
            }
            assert_int_equal(next, batch);
        }
}

// ---- documents ---------------------------------------------------------------------------------

static void documents_are_what_the_config_says(void **state)
{
    (void)state;
    tk_config c = config;
    tk_arena a;
    tk_arena_init(&a, 0);
    c.train.batch = 2000;
    c.train.drop_caption = 0.25;
    c.train.memory = 0.5;
    tk_step_documents d, again;
    assert_ok(tk_step_documents_make(parts.loader, &c, 3, &a, &d));
    assert_ok(tk_step_documents_make(parts.loader, &c, 3, &a, &again));
    int dropped = 0, several = 0, given = 0;
    double mean = 0;
    for (int64_t j = 0; j < d.n; j++) {
        const tk_step_document *e = &d.document[j];
        const tk_document *doc = &e->doc;
        assert_memory_equal(&doc->t_video, &again.document[j].doc.t_video, sizeof doc->t_video);
        assert_int_equal(e->sample, again.document[j].sample);
        if (e->dropped) assert_int_equal(doc->text_rows, doc->n_shots);
        if (!e->dropped) assert_true(doc->text_rows > doc->n_shots);
        assert_true(doc->shots[doc->n_shots - 1].target);
        for (int k = 1; k < doc->n_shots; k++)
            assert_true(doc->shots[k].target >= doc->shots[k - 1].target);
        dropped += e->dropped;
        several += doc->n_shots > 1;
        given += !doc->shots[0].target;
        mean += doc->t_video / (double)d.n;
    }
    assert_near(dropped / 2000.0, 0.25, 0.05);
    assert_true(several > 100);
    assert_near((double)given / several, 0.5, 0.1);
    assert_near(mean, 0.4, 0.03); // of sigmoid(normal - 1/2)
    tk_arena_free(&a);
}

// ---- objective ---------------------------------------------------------------------------------

typedef struct objective {
    tk_model model;
    tk_objective o;
    tk_step_documents docs;
    tk_stream stream;
    tk_batch batch;
    tk_arena arena;
    tk_staging host;
    tk_clean_rows *clean;
    tk_noisy noisy;
    int64_t n, channels;
    float *x0, *x, *v, *weight;
} objective;

static float *fetch(objective *t, const tk_tensor *x)
{
    float *host = tk_arena_alloc(&t->arena, tk_bytes(x));
    assert_non_null(host);
    assert_ok(tk_device_get(&parts.device, x, host));
    return host;
}

static void open_objective(objective *t, const tk_config *all, int m, bool in, bool out)
{
    const tk_train_config *c = &all->train;
    *t = (objective){.o = {&parts.device, c, &all->model}};
    const int32_t *tokens;
    tk_arena_init(&t->arena, 0);
    tk_staging_init(&t->host, &parts.device);
    const tk_model_part part = {.device = &parts.device,
                                .tensor = &parts.mesh.axis[TK_AXIS_TENSOR].device};
    assert_ok(tk_model_open(&t->model, &config.model, &part));
    assert_ok(tk_step_documents_make(parts.loader, all, 0, &t->arena, &t->docs));
    assert_ok(tk_step_stream(parts.loader, &t->docs, 0, c->batch, &t->arena, &t->stream, &tokens));
    const tk_host_rows rows_in = {.tokens = tokens};
    assert_ok(tk_batch_begin(&t->batch, &t->model, &t->stream, &rows_in, &t->host));
    t->n = t->batch.own_count[m];
    t->channels = m == TK_VIDEO ? config.model.video_channels : config.model.audio_channels;
    t->x0 = tk_arena_alloc(&t->arena, (size_t)(t->n * t->channels) * sizeof(float));
    t->clean = tk_arena_alloc(&t->arena, (size_t)c->batch * sizeof *t->clean);
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 0), 0, t->x0, t->n * t->channels, 1);
    const float *rows = t->x0;
    for (int64_t j = 0; j < c->batch; j++) {
        t->clean[j].ok = j != 1;
        t->clean[j].rows[m] = rows;
        rows += t->docs.document[j].rows[m] * t->channels;
    }
    assert_ok(tk_objective_put(&t->o, &t->batch, &t->docs, t->clean, m, in, out, &t->noisy));
    assert_ok(tk_batch_send(&t->batch));
    assert_ok(tk_objective_mix(&t->o, &t->noisy));
    if (in) t->x = fetch(t, &t->noisy.x_t);
    if (out) t->v = fetch(t, &t->noisy.v);
    if (out) t->weight = fetch(t, &t->noisy.weight);
}

static void close_objective(objective *t)
{
    tk_objective_free(&t->o, &t->noisy);
    tk_batch_close(&t->batch);
    tk_model_close(&t->model);
    tk_staging_free(&t->host);
    tk_arena_free(&t->arena);
    assert_int_equal(parts.device.pool.in_use, 0);
}

// x_t = t x0 + (1 - t) (x0 - v); given rows are clean; the noise is standard normal; weights add up
// to one over the targets, without the unreadable document.
static void check_objective(int m)
{
    tk_config c = config;
    objective t;
    c.train.batch = 8;
    c.train.memory = 1;
    for (int k = 0; k < TK_TASKS; k++) c.tasks.weight[k] = 1;
    open_objective(&t, &c, m, true, true);
    double weight = 0, sum = 0, squares = 0;
    int64_t given = 0;
    for (int64_t i = 0; i < t.n; i++) {
        const int32_t row = t.stream.row[m][i];
        const double level = (double)t.stream.timestep[t.stream.level[row]];
        for (int64_t k = i * t.channels; k < (i + 1) * t.channels; k++) {
            const double x0 = (double)t.x0[k], noise = x0 - (double)t.v[k];
            assert_near((double)t.x[k], level * x0 + (1 - level) * noise, 1e-5);
            sum += noise;
            squares += noise * noise;
        }
        if (!t.stream.target[row]) assert_true(t.weight[i] == 0 && level == 1);
        if (t.stream.document[row] == 1) assert_true(t.weight[i] == 0);
        given += !t.stream.target[row];
        weight += (double)t.weight[i] * (double)t.channels;
    }
    const double numbers = (double)(t.n * t.channels);
    assert_true(given > 0);
    assert_near(sum / numbers, 0, 5 / sqrt(numbers));
    assert_near(squares / numbers, 1, 8 / sqrt(numbers));
    assert_near(weight, 1 - (double)t.docs.document[1].targets[m] / (double)t.docs.targets[m],
                1e-5);
    close_objective(&t);
}

static void rows_flow_from_noise_to_data(void **state)
{
    (void)state;
    check_objective(TK_VIDEO);
    check_objective(TK_AUDIO);
}

// A first stage makes the same x_t alone, a last one the same v.
static void ends_make_what_they_need(void **state)
{
    objective both, in, out;
    (void)state;
    open_objective(&both, &config, TK_VIDEO, true, true);
    const size_t bytes = (size_t)(both.n * both.channels) * sizeof(float);
    float *x = malloc(bytes), *v = malloc(bytes);
    assert_true(x && v && bytes);
    memcpy(x, both.x, bytes);
    memcpy(v, both.v, bytes);
    close_objective(&both);
    open_objective(&in, &config, TK_VIDEO, true, false);
    assert_memory_equal(in.x, x, bytes);
    assert_null(in.noisy.v.data);
    close_objective(&in);
    open_objective(&out, &config, TK_VIDEO, false, true);
    assert_memory_equal(out.v, v, bytes);
    assert_null(out.noisy.x_t.data);
    close_objective(&out);
    free(x);
    free(v);
}

// ---- the step ----------------------------------------------------------------------------------

static void open_trainer_on(tk_trainer *t, const tk_config *c, tk_train_parts *p)
{
    assert_ok(tk_trainer_open(t, c, &p->mesh, &p->device, p->loader));
    assert_ok(tk_trainer_init(t));
    assert_ok(tk_trainer_start(t, 0));
}

static void open_trainer(tk_trainer *t, const tk_config *c)
{
    open_trainer_on(t, c, &parts);
}

static void loss_falls(void **state)
{
    enum { MOST = 60 };
    (void)state;
    tk_config c = config;
    tk_trainer t;
    heard h = {0};
    double first = 0, last = 0;
    c.train.steps = MOST;
    c.train.lr = 5e-3;
    open_trainer(&t, &c);
    tk_trainer_listen(&t, listen, &h);
    for (int64_t s = 0; s < MOST; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    for (int64_t s = 0; s < MOST; s++) {
        const tk_step_result *r = &h.r[s];
        assert_near(r->loss, r->loss_of[TK_VIDEO] + 0.5 * r->loss_of[TK_AUDIO], 1e-9);
        if (s < 5) first += r->loss;
        if (s >= MOST - 5) last += r->loss;
        assert_int_equal(r->skipped, 0);
    }
    assert_true(last < 0.7 * first);
    tk_trainer_close(&t);
}

// A step's result is told while the next one is under way; draining tells what is left, once.
static void results_come_once_in_order(void **state)
{
    tk_trainer t;
    heard h = {0};
    (void)state;
    open_trainer(&t, &config);
    tk_trainer_listen(&t, listen, &h);
    for (int64_t s = 0; s < 5; s++) {
        const int64_t before = h.n;
        assert_ok(tk_trainer_step(&t, s, false, TK_OK));
        assert_int_equal(h.n - before, s != 0 && s != 3);
        if (s == 2) assert_ok(tk_trainer_drain(&t, false, TK_OK));
    }
    for (int k = 0; k < 2; k++) assert_ok(tk_trainer_drain(&t, false, TK_OK));
    assert_int_equal(h.n, 5);
    for (int64_t s = 0; s < 5; s++) {
        assert_int_equal(h.r[s].step, s);
        assert_true(h.r[s].loss > 0 && h.r[s].grad_norm > 0 && h.r[s].flops > 0);
    }
    tk_trainer_close(&t);
}

static void a_wish_to_stop_is_known_at_once(void **state)
{
    tk_trainer t;
    (void)state;
    open_trainer(&t, &config);
    assert_ok(tk_trainer_step(&t, 0, false, TK_OK));
    assert_false(t.stop);
    assert_ok(tk_trainer_step(&t, 1, true, TK_OK));
    assert_true(t.stop);
    tk_trainer_close(&t);
}

// By the step after the next at the latest, by draining at once.
static void bad_numbers_stop_before_anything_is_kept(void **state)
{
    const float nan = NAN;
    (void)state;
    for (int drained = 0; drained < 2; drained++) {
        tk_trainer t;
        heard h = {0};
        open_trainer(&t, &config);
        tk_trainer_listen(&t, listen, &h);
        assert_ok(tk_trainer_step(&t, 0, false, TK_OK));
        assert_ok(tk_device_upload(&parts.device, t.model.values.data, &nan, sizeof nan));
        assert_ok(tk_trainer_step(&t, 1, false, TK_OK));
        assert_status(drained ? tk_trainer_drain(&t, false, TK_OK)
                              : tk_trainer_step(&t, 2, false, TK_OK),
                      TK_NUMERIC);
        assert_says("step 2");
        assert_true(tk_status_shared());
        assert_int_equal(h.n, 2);
        assert_true(tk_step_finite(&h.r[0]) && !tk_step_finite(&h.r[1]));
        tk_trainer_close(&t);
    }
}

// As listen, with a failure of its own that it keeps to itself.
static void listen_and_fail(void *ctx, const tk_step_result *r)
{
    listen(ctx, r);
    (void)TK_FAIL(TK_INPUT, "the listener is deaf");
}

// Other parts' failures are told in the step that hears of them, after the result before it.
static void a_failure_told_to_a_step_ends_it(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        tk_trainer t;
        heard h = {0};
        open_trainer(&t, &config);
        tk_trainer_listen(&t, listen_and_fail, &h);
        if (!first) assert_ok(tk_trainer_step(&t, 0, false, TK_OK));
        const tk_status mine = TK_FAIL(TK_IO, "the disk is full");
        assert_status(tk_trainer_step(&t, !first, false, mine), TK_IO);
        assert_says("the disk is full");
        assert_int_equal(h.n, !first);
        tk_trainer_close(&t);
    }
}

// Nothing is left in the pool, and the dry run told what would be touched.
static void the_plan_is_what_happens(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        tk_config c = config;
        tk_train_parts p = {0};
        tk_trainer t;
        heard h = {0};
        tk_plan plan;
        c.train.recompute = k & 1;
        c.train.precision = k & 2 ? TK_PRECISION_BF16 : TK_PRECISION_FP32;
        c.train.steps = 8;
        for (int i = 1; i < TK_TASKS; i++) c.tasks.weight[i] = k & 1;
        assert_ok(tk_train_parts_open(&p, &world, &c));
        const tk_plan_of of = {.config = &c, .loader = p.loader};
        assert_ok(tk_plan_make(&of, 0, &plan));
        open_trainer_on(&t, &c, &p);
        tk_trainer_listen(&t, listen, &h);
        for (int64_t s = 0; s < c.train.steps; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
        assert_near(plan.flops / h.r[0].flops, 1, 1e-9);
        assert_int_equal(plan.rows, h.r[0].rows);
        assert_int_equal(plan.pool, p.device.pool.peak);
        for (int i = 0; i < TK_POOL_PURPOSES; i++)
            assert_int_equal(plan.held[i], p.device.pool.at_peak[i]);
        tk_trainer_close(&t);
        assert_int_equal(p.device.pool.in_use, 0);
        tk_train_parts_close(&p);
    }
}

static void the_option_chooses_the_device(void **state)
{
    (void)state;
    const tk_device_ops *const ops[] = {
        [TK_DEVICE_AUTO] = &tk_device_cpu, [TK_DEVICE_CPU] = &tk_device_cpu, &tk_device_ref};
    for (int64_t kind = TK_DEVICE_AUTO; kind <= TK_DEVICE_REF; kind++) {
        tk_config c = config;
        tk_train_parts p = {0};
        c.parallel.device = kind;
        assert_ok(tk_train_parts_open(&p, &world, &c));
        assert_ptr_equal(p.device.ops, ops[kind]);
        tk_train_parts_close(&p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_follow_the_shift),
        cmocka_unit_test(the_rate_rises_holds_and_falls),
        cmocka_unit_test(microbatches_cover_the_batch),
        cmocka_unit_test(documents_are_what_the_config_says),
        cmocka_unit_test(rows_flow_from_noise_to_data),
        cmocka_unit_test(ends_make_what_they_need),
        cmocka_unit_test(loss_falls),
        cmocka_unit_test(results_come_once_in_order),
        cmocka_unit_test(a_wish_to_stop_is_known_at_once),
        cmocka_unit_test(bad_numbers_stop_before_anything_is_kept),
        cmocka_unit_test(a_failure_told_to_a_step_ends_it),
        cmocka_unit_test(the_option_chooses_the_device),
        cmocka_unit_test(the_plan_is_what_happens),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, open_parts, close_parts);
    tk_parallel_stop();
    return failed;
}
