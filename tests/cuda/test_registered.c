// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2; timeout: 120 */
// Training with memory registered with NCCL, on emulated GPUs: the numbers that it has without, to
// the bit; all that NCCL is given lies there; and it is as much as was planned.
#include "parallel/forecast.h"
#include "tests/cuda/standin/standin.h"
#include "tests/support/clips.h"
#include "tests/support/heard.h"
#include "tests/support/ranks.h"
#include "train/plan/plan.h"
#include "train/run/run.h"
#include <dlfcn.h>
#include <stdio.h>

enum { STEPS = 2 };

static tk_comm world;
static char clips[TEST_CLIPS_PATH];

static int open_clips(void **state)
{
    (void)state;
    return test_clips_open(&world, 6, clips);
}

static int close_clips(void **state)
{
    (void)state;
    return test_clips_close(&world, clips);
}

static void make_config(tk_config *c, const char *parallel, const char *train, bool registers)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: %d, batch: 2, microbatch: 1, warmup: 1, %s}\n"
             "parallel: {threads: 1, share_gpu: true, register_buffers: %s, %s}\n"
             "device: cuda\n",
             clips, STEPS, train, registers ? "true" : "false", parallel);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

// ---- what NCCL is given ------------------------------------------------------------------------

typedef struct given_bytes { // in other memory, and in registered
    int64_t other, registered;
} given_bytes;

static given_bytes given_so_far(void)
{
    int64_t (*given)(int registered) =
        dlsym(dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD), "standin_nccl_given");
    assert_non_null(given);
    return (given_bytes){given(0), given(1)};
}

// ---- runs --------------------------------------------------------------------------------------

typedef struct outcome {
    heard h;
    given_bytes given;
    float *weights; // (n)
    int64_t n;
} outcome;

static void keep_weights(tk_trainer *t, outcome *o)
{
    const tk_tensor *values = &t->model.values;
    o->n = (int64_t)(tk_bytes(values) / sizeof *o->weights);
    o->weights = malloc(tk_bytes(values));
    assert_non_null(o->weights);
    assert_ok(tk_optimizer_settle(&t->optimizer));
    assert_ok(tk_device_get(t->device, values, o->weights));
}

static void is_as_planned(const tk_config *c, const tk_train_parts *p)
{
    const tk_plan_of of = {.config = c, .loader = p->loader};
    tk_plan plan;
    assert_ok(tk_plan_make(&of, world.rank, &plan));
    assert_int_equal(plan.pool, p->device.pool.peak);
    assert_int_equal(plan.registered, tk_forecast_registered(&p->device));
    for (int i = 0; i < TK_POOL_PURPOSES; i++) {
        assert_int_equal(plan.held[i], p->device.pool.at_peak[i]);
        assert_int_equal(plan.sent[i], p->device.registered.at_peak[i]);
    }
}

static void train(const char *parallel, const char *how, bool registers, uint64_t seed, outcome *o)
{
    tk_config c;
    tk_train_parts p = {0};
    tk_trainer t;
    *o = (outcome){0};
    standin_seed(seed);
    make_config(&c, parallel, how, registers);
    assert_ok(tk_train_parts_open(&p, &world, &c));
    if (registers) assert_ok(tk_mesh_register(&p.mesh, (size_t)2 << 20));
    const given_bytes before = given_so_far();
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, &o->h);
    for (int64_t s = 0; s < STEPS; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    const given_bytes after = given_so_far();
    o->given = (given_bytes){after.other - before.other, after.registered - before.registered};
    keep_weights(&t, o);
    if (registers) is_as_planned(&c, &p);
    tk_trainer_close(&t);
    assert_int_equal(p.device.registered.in_use, 0);
    tk_train_parts_close(&p);
    tk_config_free(&c);
    assert_int_equal(o->h.n, STEPS);
}

static void the_same_registered(const char *parallel, const char *how)
{
    outcome plain, registered;
    train(parallel, how, false, 1, &plain);
    train(parallel, how, true, 2, &registered);
    assert_int_equal(plain.given.registered, 0);
    assert_true(plain.given.other > 0);
    assert_int_equal(registered.given.other, 0);
    assert_int_equal(registered.given.registered, plain.given.other);
    for (int s = 0; s < STEPS; s++) {
        assert_true(plain.h.r[s].loss == registered.h.r[s].loss);
        assert_true(plain.h.r[s].grad_norm == registered.h.r[s].grad_norm);
    }
    assert_int_equal(plain.n, registered.n);
    assert_memory_equal(plain.weights, registered.weights, (size_t)plain.n * sizeof(float));
    free(plain.weights);
    free(registered.weights);
}

static void between_tensor_ranks(void **state)
{
    (void)state;
    the_same_registered("tensor: 2", "precision: fp32");
    the_same_registered("tensor: 2, row_pieces: 2", "precision: bf16, recompute: blocks");
}

static void between_stages(void **state)
{
    (void)state;
    the_same_registered("pipeline: 2, schedule: zb-h1", "precision: bf16");
    the_same_registered("pipeline: 2", "recompute: blocks");
}

static void between_data_ranks(void **state)
{
    (void)state;
    the_same_registered("data: 2", "bucket: 1");
    the_same_registered("data: 2, overlap_gradients: false", "precision: bf16");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(between_tensor_ranks),
        cmocka_unit_test(between_stages),
        cmocka_unit_test(between_data_ranks),
    };
    ranks_run_with(argc, argv, world, tests, open_clips, close_clips);
}
