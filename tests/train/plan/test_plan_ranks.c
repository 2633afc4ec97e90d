// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2 4; timeout: 60; cuda: too */
// What a plan counts is what ranks count that train: bytes they hand over, group by group, and who
// holds the memory at its peak. On the emulated GPU also what its NCCL has moved.
#include "tests/support/shared.h"
#include "tests/support/tested.h"
#include "train/plan/plan.h"
#include "train/run/run.h"
#include <dlfcn.h>
#include <stdio.h>

enum { STEPS = 2 };

static void make_config(tk_config *c, int tensor, int pipeline, const char *more,
                        const char *precision)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 24, heads: 3, head_dim: 14, layers: 4, refiner_layers: 1, ffn: 21,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: %d, batch: 6, microbatch: 1, warmup: 2, memory: 0.5, precision: %s}\n"
             "parallel: {threads: 1, share_gpu: true, tensor: %d, pipeline: %d%s}\n"
             "device: %s\n",
             clips, STEPS, precision, tensor, pipeline, more, tested_device()->name);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

// Bytes, over an axis or over the world.
static int64_t sent_over(const tk_mesh *m, int i)
{
    return i < TK_AXES ? tk_axis_sent(&m->axis[i]) : m->world_device.bytes_sent;
}

// The same as those saw it who moved it, where they tell.
static void moved_over(const tk_mesh *m, int64_t bytes[TK_AXES])
{
    int64_t (*moved)(const char *name) = NULL;
    if (tested_is_emulated())
        moved = dlsym(dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD), "standin_nccl_sent");
    assert_true(moved || !tested_is_emulated());
    for (int i = 0; i < TK_AXES; i++)
        bytes[i] = moved ? moved(m->axis[i].name) : tk_axis_sent(&m->axis[i]);
}

static void compare(const tk_plan *plan, const tk_train_parts *p, const int64_t before[],
                    const int64_t moved_before[])
{
    int64_t moved[TK_AXES];
    moved_over(&p->mesh, moved);
    for (int i = 0; i < TK_AXES; i++)
        assert_near(plan->prices.group[i].sent, (double)(moved[i] - moved_before[i]) / STEPS, 1e-9);
    for (int i = 0; i <= TK_AXES; i++) {
        const int ranks = i < TK_AXES ? p->mesh.axis[i].degree : p->mesh.world.size;
        const double sent = (double)(sent_over(&p->mesh, i) - before[i]) / STEPS;
        if (ranks > 1) assert_true(plan->prices.group[i].calls > 0);
        assert_near(plan->prices.group[i].sent, sent, 1e-9);
    }
    assert_int_equal(plan->pool, p->device.pool.peak);
    for (int i = 0; i < TK_POOL_PURPOSES; i++)
        assert_int_equal(plan->held[i], p->device.pool.at_peak[i]);
}

static void train_as_planned(int tensor, int pipeline, const char *more, const char *precision)
{
    tk_config c;
    tk_train_parts p = {0};
    tk_trainer t;
    tk_plan plan;
    int64_t before[TK_AXES + 1], moved[TK_AXES];
    make_config(&c, tensor, pipeline, more, precision);
    assert_ok(tk_train_parts_open(&p, &world, &c));
    const tk_plan_of of = {.config = &c, .loader = p.loader};
    assert_ok(tk_plan_make(&of, world.rank, &plan));
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    for (int i = 0; i <= TK_AXES; i++) before[i] = sent_over(&p.mesh, i);
    assert_ok(tk_device_sync(&p.device));
    moved_over(&p.mesh, moved);
    for (int64_t s = 0; s < STEPS; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    assert_ok(tk_device_sync(&p.device));
    compare(&plan, &p, before, moved);
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
    tk_config_free(&c);
}

static void on_every_layout(const char *precision)
{
    train_as_planned(2, 1, "", precision);
    train_as_planned(2, 1, ", row_pieces: 2", precision);
    if (world.size == 4) train_as_planned(4, 1, ", row_pieces: 1", precision);
    train_as_planned(1, 2, "", precision);
    train_as_planned(1, 2, ", schedule: interleaved, chunks: 2", precision);
    train_as_planned(1, 2, ", schedule: zb-h1", precision);
    train_as_planned(1, 1, "", precision);
}

// What counts is the same on each device; kernels of an emulated one run a thread at a time.
static void ranks_hand_over_what_was_planned(void **state)
{
    (void)state;
    if (!tested_is_cuda())
        on_every_layout("fp32");
    else if (world.size == 2)
        train_as_planned(1, 2, ", schedule: zb-h1", "fp32");
    else
        train_as_planned(2, 2, ", row_pieces: 2", "fp32");
}

static void also_in_bf16(void **state)
{
    (void)state;
    if (!tested_is_cuda())
        on_every_layout("bf16");
    else
        train_as_planned(2, 1, "", "bf16");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranks_hand_over_what_was_planned),
        cmocka_unit_test(also_in_bf16),
    };
    ranks_run_with(argc, argv, world, tests, open_clips, close_clips);
}
