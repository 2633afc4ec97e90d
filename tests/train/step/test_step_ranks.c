// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2 4; timeout: 60 */
// Training on devices that run behind, over ranks: the same numbers as on devices that do not, and
// the host waits once a step.
#include "tests/support/deferred.h"
#include "tests/support/heard.h"
#include "tests/support/shared.h"
#include "train/run/run.h"
#include <stdio.h>

enum { STEPS = 4 };

static void make_config(tk_config *c, int tensor, int pipeline, const char *more)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 24, heads: 3, head_dim: 14, layers: 4, refiner_layers: 1, ffn: 21,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: 10, batch: 6, microbatch: 1, warmup: 2, memory: 0.5}\n"
             "parallel: {threads: 1, tensor: %d, pipeline: %d%s}\n",
             clips, tensor, pipeline, more);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

// For the end of the step before, and for nothing else.
static void step_waits_once(tk_trainer *t, int64_t step)
{
    const int64_t *calls = t->device->trace.calls;
    const int64_t waits = calls[TK_TRACE_HOST_WAIT], syncs = calls[TK_TRACE_SYNC];
    assert_ok(tk_trainer_step(t, step, false, TK_OK));
    assert_int_equal(calls[TK_TRACE_HOST_WAIT] - waits, step > 0);
    assert_int_equal(calls[TK_TRACE_SYNC], syncs);
}

// Seed of the order in which work is done; negative: at once.
static void train(tk_config *c, int seed, heard *h)
{
    tk_train_parts p = {0};
    tk_trainer t;
    *h = (heard){0};
    assert_ok(tk_train_parts_open(&p, &world, c));
    if (seed >= 0) deferred_start(&p.device, &p.mesh, (uint64_t)seed);
    assert_ok(tk_trainer_open(&t, c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, h);
    for (int64_t s = 0; s < STEPS; s++) step_waits_once(&t, s);
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    tk_trainer_close(&t);
    assert_int_equal(p.device.pool.in_use, 0);
    if (seed >= 0) assert_int_equal(deferred_faults(), 0);
    tk_train_parts_close(&p);
    assert_int_equal(h->n, STEPS);
}

static void the_same_behind(int tensor, int pipeline, const char *more)
{
    for (int seed = 0; seed < 3; seed++) {
        heard at_once, behind;
        tk_config c;
        make_config(&c, tensor, pipeline, more);
        train(&c, -1, &at_once);
        train(&c, seed, &behind);
        for (int s = 0; s < STEPS; s++) {
            assert_true(behind.r[s].loss == at_once.r[s].loss);
            assert_true(behind.r[s].grad_norm == at_once.r[s].grad_norm);
        }
        tk_config_free(&c);
    }
}

static void shares_of_tensors(void **state)
{
    (void)state;
    the_same_behind(2, 1, "");
}

static void stages_of_a_pipeline(void **state)
{
    (void)state;
    the_same_behind(1, 2, "");
    the_same_behind(1, 2, ", schedule: interleaved, chunks: 2");
    the_same_behind(1, 2, ", schedule: zb-h1");
}

static void shards_of_the_data(void **state)
{
    (void)state;
    the_same_behind(1, 1, "");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_of_tensors),
        cmocka_unit_test(stages_of_a_pipeline),
        cmocka_unit_test(shards_of_the_data),
    };
    ranks_run_with(argc, argv, world, tests, open_clips, close_clips);
}
