// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2 4 8; timeout: 120 */
// Gradients summed while backward goes on, and weights gathered while the next forward does: the
// same numbers and bytes as one after the other, on devices that run behind; begun when they can
// be; and a wait left out shows.
#include "tests/support/deferred.h"
#include "tests/support/heard.h"
#include "tests/support/shared.h"
#include "train/run/run.h"
#include <stdio.h>

enum { STEPS = 3, CALLS = 64, SEEDS = 12 };

typedef struct layout {
    int tensor, pipeline;
    const char *more, *precision;
    int64_t bucket;
} layout;

static void make_config(tk_config *c, const layout *l, bool early, bool late)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 24, heads: 3, head_dim: 14, layers: 4, refiner_layers: 1, ffn: 21,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: 10, batch: 8, microbatch: 2, warmup: 1, memory: 0.5, bucket: %lld,\n"
             "  precision: %s}\n"
             "parallel: {threads: 1, tensor: %d, pipeline: %d, overlap_gradients: %s,\n"
             "  overlap_weights: %s%s}\n",
             clips, (long long)l->bucket, l->precision, l->tensor, l->pipeline,
             early ? "true" : "false", late ? "true" : "false", l->more);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

// ---- what is asked of the data ranks -----------------------------------------------------------

static struct {
    const tk_device_comm_ops *ops;
    double flops[CALLS]; // that the device had been asked for at each sum of gradients of a step
    int n, leave_out;    // the wait after that sum; -1: none
} heard_sums;

static tk_status hear_sum(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                          int64_t width, tk_dtype t)
{
    assert_true(heard_sums.n < CALLS);
    if (heard_sums.n == heard_sums.leave_out) deferred_leave_out(1);
    heard_sums.flops[heard_sums.n++] = c->device->flops;
    return heard_sums.ops->reduce_scatter(c, in, out, counts, width, t);
}

static void listen_to_sums(tk_device_comm *c)
{
    static tk_device_comm_ops ops;
    heard_sums.ops = c->ops;
    ops = *c->ops;
    ops.reduce_scatter = hear_sum;
    c->ops = &ops;
}

// ---- runs --------------------------------------------------------------------------------------

enum { NOTHING = -1, WEIGHTS = -2 }; // left out; else the wait after a sum of that number

typedef struct outcome {
    heard h;
    int64_t sent[TK_AXES];
    int buckets, during; // of the last step: sums of gradients begun while backward went on
    int pending;         // buckets of weights that nobody had waited for after it
} outcome;

static void read_step(const tk_trainer *t, outcome *o)
{
    const tk_optimizer *p = &t->optimizer;
    o->buckets = heard_sums.n;
    o->during = o->pending = 0;
    for (int i = 0; i < heard_sums.n; i++) o->during += heard_sums.flops[i] < t->device->flops;
    for (int i = 0; i < p->buckets.n; i++) o->pending += p->weights.pending[i];
}

// Seed of the order in which work is done; negative: at once.
static void train(const layout *l, bool early, bool late, int seed, int left_out, outcome *o)
{
    tk_config c;
    tk_train_parts p = {0};
    tk_trainer t;
    *o = (outcome){0};
    make_config(&c, l, early, late);
    assert_ok(tk_train_parts_open(&p, &world, &c));
    if (seed >= 0) deferred_start(&p.device, &p.mesh, (uint64_t)seed);
    listen_to_sums(&p.mesh.axis[TK_AXIS_DATA].device);
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, &o->h);
    for (int64_t s = 0; s < STEPS; s++) {
        heard_sums.n = 0;
        heard_sums.leave_out = s == 1 ? left_out : NOTHING;
        if (s == 1 && left_out == WEIGHTS)
            memset(t.optimizer.weights.pending, 0,
                   (size_t)t.optimizer.buckets.n * sizeof *t.optimizer.weights.pending);
        const int64_t waits = p.device.trace.calls[TK_TRACE_HOST_WAIT];
        assert_ok(tk_trainer_step(&t, s, false, TK_OK));
        assert_int_equal(p.device.trace.calls[TK_TRACE_HOST_WAIT] - waits, s > 0);
    }
    read_step(&t, o);
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    for (int i = 0; i < TK_AXES; i++) o->sent[i] = tk_axis_sent(&p.mesh.axis[i]);
    tk_trainer_close(&t);
    assert_int_equal(p.device.pool.in_use, 0);
    tk_train_parts_close(&p);
    tk_config_free(&c);
    assert_int_equal(o->h.n, STEPS);
}

static bool same_numbers(const outcome *a, const outcome *b)
{
    bool same = true;
    for (int s = 0; s < STEPS; s++)
        same &= a->h.r[s].loss == b->h.r[s].loss && a->h.r[s].grad_norm == b->h.r[s].grad_norm;
    return same;
}

static void the_same_beside(const layout *l)
{
    outcome after, beside;
    train(l, false, false, -1, NOTHING, &after);
    assert_int_equal(after.during, 0);
    assert_int_equal(after.pending, 0);
    for (int k = world.size > 4 ? 3 : 1; k < 4; k++)
        for (int seed = -1; seed < (k == 3) + (world.size < 8); seed++) {
            train(l, k & 1, k & 2, seed, NOTHING, &beside);
            assert_true(same_numbers(&after, &beside));
            if (seed < 0) // the deferred device's own communicators count
                assert_memory_equal(after.sent, beside.sent, sizeof after.sent);
            assert_int_equal(after.buckets, beside.buckets);
            // All but those of the first and of all stages, which end with backward.
            if (k & 1) assert_true(beside.during >= beside.buckets - 2 && beside.during > 0);
            if (k & 2) assert_int_equal(beside.pending, beside.buckets);
        }
}

static void on_every_layout(void **state)
{
    static const layout two[] = {{1, 1, "", "fp32", 1}, {1, 1, "", "bf16", 5000}};
    static const layout four[] = {{2, 1, "", "fp32", 1},
                                  {1, 2, "", "bf16", 1},
                                  {1, 2, ", schedule: interleaved, chunks: 2", "fp32", 1},
                                  {1, 2, ", schedule: zb-h1", "fp32", 1}};
    static const layout eight[] = {{2, 2, "", "fp32", 1}};
    (void)state;
    if (world.size == 2)
        for (int i = 0; i < 2; i++) the_same_beside(&two[i]);
    if (world.size == 4)
        for (int i = 0; i < 4; i++) the_same_beside(&four[i]);
    if (world.size == 8) the_same_beside(&eight[0]);
}

// In some order of the queues the numbers are others.
static void shows(bool early, int left_out)
{
    static const layout l = {1, 1, "", "fp32", 1};
    outcome right, wrong;
    bool seen = false;
    train(&l, early, true, 0, NOTHING, &right);
    for (int seed = 0; seed < SEEDS && !seen; seed++) {
        train(&l, early, true, seed, left_out, &wrong);
        uint64_t differs = !same_numbers(&right, &wrong);
        assert_ok(tk_comm_sum_u64(&world, &differs, 1));
        seen = differs > 0;
    }
    if (!seen) fail_msg("what was left out (%d) did not show", left_out);
}

static void a_wait_left_out_shows(void **state)
{
    (void)state;
    if (world.size != 2) return;
    shows(true, 0);       // of the queue of the data ranks, for the gradients of a bucket
    shows(false, 6);      // of the optimizer, for the last of the sums
    shows(true, WEIGHTS); // of the next forward, for its weights
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_every_layout),
        cmocka_unit_test(a_wait_left_out_shows),
    };
    ranks_run_with(argc, argv, world, tests, open_clips, close_clips);
}
