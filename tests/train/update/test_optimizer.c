// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 4; timeout: 60 */
// The optimizer where the model computes in bf16: fp32 masters go the way that fp32 weights go, and
// the model's weights are those, rounded, on every rank.
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/ranks.h"
#include "tests/support/tiny.h"
#include "train/update/optimizer.h"

enum { STEPS = 3 };

static tk_comm world;

typedef struct rig {
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_optimizer optimizer;
} rig;

static const tk_train_config train = {.steps = 100,
                                      .lr = 1e-2,
                                      .beta1 = 0.9,
                                      .beta2 = 0.95,
                                      .eps = 1e-8,
                                      .weight_decay = 0.1,
                                      .clip = 1,
                                      .constant = 1,
                                      .ema = 0.9,
                                      .bucket = 1};

static void open_rig(rig *r, int T, int P, tk_dtype compute)
{
    tk_parallel_config p = {.tensor = T, .pipeline = P};
    *r = (rig){0};
    assert_ok(tk_mesh_open(&r->mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&r->device, &tk_device_ref, 1, (size_t)1 << 28));
    assert_ok(tk_mesh_attach(&r->mesh, &r->device));
    const tk_model_part part = {.device = &r->device,
                                .tensor = &r->mesh.axis[TK_AXIS_TENSOR].device,
                                .stage = r->mesh.axis[TK_AXIS_PIPELINE].rank,
                                .n_stages = r->mesh.axis[TK_AXIS_PIPELINE].degree,
                                .grads = true,
                                .compute = compute};
    assert_ok(tk_model_open(&r->model, &tiny_model, &part));
    assert_ok(tk_optimizer_open(&r->optimizer, &r->model, &r->mesh, &train, &p));
    assert_ok(tk_optimizer_init(&r->optimizer, 7));
    assert_ok(tk_optimizer_start(&r->optimizer, true));
}

static void close_rig(rig *r)
{
    tk_optimizer_close(&r->optimizer);
    tk_model_close(&r->model);
    assert_int_equal(r->device.pool.in_use, 0);
    tk_mesh_close(&r->mesh);
    tk_device_close(&r->device);
}

// The same gradients whatever the model computes in: another share of them on each data rank, and
// of weights that several ranks hold alike another one on each of those.
static void step(rig *r, int64_t s)
{
    float *g = r->model.grads.data;
    const tk_key key = tk_rng_key((uint64_t)(3 + world.rank), TK_RNG_TEST, (uint64_t)s);
    tk_rng_fill_normal(key, 0, g, r->model.n_local, 1);
    tk_staging host;
    tk_transfer x;
    tk_staging_init(&host, &r->device);
    tk_transfer_begin(&x, &host);
    assert_ok(tk_optimizer_put(&r->optimizer, &x, s));
    assert_ok(tk_transfer_send(&x));
    assert_ok(tk_optimizer_keep(&r->optimizer));
    tk_transfer_free(&x);
    assert_ok(tk_optimizer_reduce(&r->optimizer));
    assert_ok(tk_optimizer_step(&r->optimizer));
    assert_ok(tk_optimizer_settle(&r->optimizer));
    assert_ok(tk_device_sync(&r->device));
    tk_staging_free(&host);
}

static void weights_are_masters_rounded(const rig *half, const rig *full)
{
    const uint16_t *h = half->model.values.data;
    const float *f = full->model.values.data;
    for (int64_t i = 0; i < half->model.n_local; i++)
        if (h[i] != tk_bf16_from_float(f[i]))
            fail_msg("weight %lld is %g, its master %.9g", (long long)i, tk_bf16_to_float(h[i]),
                     f[i]);
}

static void same_layout(int T, int P)
{
    rig half, full;
    if (world.size % (T * P)) return;
    open_rig(&full, T, P, TK_F32);
    open_rig(&half, T, P, TK_BF16);
    weights_are_masters_rounded(&half, &full);
    const tk_optimizer *a = &half.optimizer, *b = &full.optimizer;
    for (int64_t s = 0; s < STEPS; s++) {
        step(&half, s);
        step(&full, s);
        weights_are_masters_rounded(&half, &full);
        assert_memory_equal(a->norm2.data, b->norm2.data, sizeof(float));
        for (int i = 0; i < a->buckets.counted.n; i++) { // what a checkpoint of this rank holds
            const tk_range *r = &a->buckets.counted.range[i];
            const size_t bytes = (size_t)r->count * sizeof(float);
            assert_memory_equal((float *)a->master.data + r->at, (float *)b->master.data + r->begin,
                                bytes);
            assert_memory_equal((float *)a->ema.data + r->at, (float *)b->ema.data + r->at, bytes);
        }
    }
    close_rig(&half);
    close_rig(&full);
}

static void masters_take_the_steps_of_fp32_weights(void **state)
{
    (void)state;
    same_layout(1, 1);
    same_layout(2, 1);
    same_layout(1, 2);
    same_layout(2, 2);
}

// fp32 copies of all weights would make bf16 dearer than fp32: masters are of the shard, and
// weights travel in two bytes.
static void what_a_rank_holds_and_sends(void **state)
{
    (void)state;
    rig half, full;
    open_rig(&half, 1, 1, TK_BF16);
    open_rig(&full, 1, 1, TK_F32);
    const int64_t n = half.model.n_local;
    assert_int_equal(tk_bytes(&half.model.values), 2 * n);
    assert_int_equal(tk_bytes(&half.optimizer.master), 4 * half.optimizer.buckets.held);
    assert_ptr_equal(full.optimizer.master.data, full.model.values.data);
    const int64_t before[2] = {half.mesh.axis[TK_AXIS_DATA].device.bytes_sent,
                               full.mesh.axis[TK_AXIS_DATA].device.bytes_sent};
    step(&half, 0);
    step(&full, 0);
    const int64_t less = (full.mesh.axis[TK_AXIS_DATA].device.bytes_sent - before[1]) -
                         (half.mesh.axis[TK_AXIS_DATA].device.bytes_sent - before[0]);
    int64_t gathered = 0; // elements this rank sends
    for (int i = 0; i < half.optimizer.buckets.n_shard && world.size > 1; i++)
        gathered += half.optimizer.buckets.shard[i].count;
    assert_true(less >= 2 * gathered);
    assert_true(world.size == 1 || less > 0);
    close_rig(&half);
    close_rig(&full);
}

// What another step was told is not taken again.
static void a_step_without_rates_is_refused(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, 1, 1, TK_F32);
    step(&r, 0);
    assert_ok(tk_optimizer_reduce(&r.optimizer));
    assert_status(tk_optimizer_step(&r.optimizer), TK_INTERNAL);
    close_rig(&r);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masters_take_the_steps_of_fp32_weights),
        cmocka_unit_test(what_a_rank_holds_and_sends),
        cmocka_unit_test(a_step_without_rates_is_refused),
    };
    ranks_run(argc, argv, world, tests);
}
