// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 300 */
// A training step on an emulated GPU: what it makes the host wait for, and that it tells the same
// whatever is late.
#include "core/device/ops/impl.h"
#include "core/device/trace.h"
#include "parallel/mpi/start.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include "tests/support/tested.h"
#include "train/plan/plan.h"
#include "train/run/run.h"
#include "train/step/forecast.h"
#include <unistd.h>

static tk_config config;
static tk_comm world;

static int open_config(void **state)
{
    (void)state;
    runs_open();
    setenv("TALKIE_POISON", "1", 1);
    if (chdir(runs_dir())) return 1;
    tk_config_init(&config);
    assert_ok(tk_config_load(&config, TK_CMD_TRAIN, "tiny.yaml", 0, NULL));
    config.parallel.device = TK_DEVICE_CUDA;
    config.train.batch = 2;
    config.train.microbatch = 1;
    config.model.layers = 1;
    runs_expect(runs_talkie(1, "data world tiny.yaml world.clips=1 -o one.h5"), 0, "");
    return 0;
}

static int close_config(void **state)
{
    (void)state;
    tk_config_free(&config);
    runs_close();
    return 0;
}

// Who does attention there, and what `auto` has become, is known to the forecast: here the memory
// is full in the gradient of attention.
static void the_forecast_knows_the_device(void **state)
{
    (void)state;
    tk_config c = config;
    tk_train_parts p = {0};
    tk_trainer t;
    tk_forecast f, own;
    c.parallel.device = TK_DEVICE_AUTO;
    c.train.precision = TK_PRECISION_BF16;
    c.train.batch = c.train.microbatch = 4;
    c.train.steps = 2; // those gone through are those done
    c.model.ffn = 8;
    assert_ok(tk_train_parts_open(&p, &world, &c));
    assert_true(p.device.attention.version > 0);
    assert_ok(tk_forecast_training(&c, 0, p.loader, &p.device, &f));
    tk_device without = p.device;
    without.attention.by = TK_ATTENTION_OWN;
    assert_ok(tk_forecast_training(&c, 0, p.loader, &without, &own));
    assert_true(f.pool > own.pool);
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    for (int64_t s = 0; s < 2; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    assert_int_equal(p.device.pool.peak, f.pool);
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
}

// The host waits once a step, for the end of the step before; nothing of what it asks for makes a
// real device wait: all memory was made before, as it was forecast, and what crosses over is
// pinned.
static void a_step_waits_once(void **state)
{
    (void)state;
    for (int half = 0; half < 2; half++) {
        tk_config c = config;
        tk_train_parts p = {0};
        tk_trainer t;
        tk_forecast f;
        c.train.precision = half ? TK_PRECISION_BF16 : TK_PRECISION_FP32;
        standin_seed((uint64_t)half); // 0: all that is asked for waits
        assert_ok(tk_train_parts_open(&p, &world, &c));
        assert_ok(tk_forecast_training(&c, 0, p.loader, &p.device, &f));
        assert_ok(tk_forecast_take_pool(&f, &c, 0, p.loader, &p.device));
        assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
        assert_ok(tk_forecast_take_staging(&f, &t));
        assert_ok(tk_trainer_init(&t));
        assert_ok(tk_trainer_start(&t, 0));
        const int64_t *calls = p.device.trace.calls, syncs = calls[TK_TRACE_SYNC];
        for (int64_t s = 0; s < 6; s++) {
            const int64_t waits = calls[TK_TRACE_HOST_WAIT];
            const standin_counts before = standin_count();
            assert_ok(tk_trainer_step(&t, s, false, TK_OK));
            const standin_counts after = standin_count();
            assert_int_equal(calls[TK_TRACE_HOST_WAIT] - waits, s > 0);
            assert_int_equal(calls[TK_TRACE_SYNC], syncs);
            assert_int_equal(after.pageable - before.pageable, 0);
            assert_int_equal(after.allocations - before.allocations, 0);
        }
        assert_ok(tk_trainer_drain(&t, false, TK_OK));
        assert_int_equal(p.device.pool.peak, f.pool);
        tk_trainer_close(&t);
        assert_int_equal(p.device.pool.in_use, 0);
        tk_train_parts_close(&p);
    }
}

// ---- as a graph ---------------------------------------------------------------------------------

enum { GRAPH_STEPS = 6 }; // of one shape: asked for, recorded, and the others replayed

typedef struct session {
    tk_config config;
    tk_train_parts parts;
    tk_trainer trainer;
} session;

// On the one clip of one.h5.
static void open_session(session *s, bool graph)
{
    static char *one[] = {"one.h5"};
    *s = (session){.config = config};
    s->config.data.files = one;
    s->config.data.n_files = 1;
    s->config.train.drop_caption = s->config.train.memory = 0;
    s->config.train.graph = graph;
    assert_ok(tk_train_parts_open(&s->parts, &world, &s->config));
    assert_ok(tk_trainer_open(&s->trainer, &s->config, &s->parts.mesh, &s->parts.device,
                              s->parts.loader));
    assert_ok(tk_trainer_init(&s->trainer));
    assert_ok(tk_trainer_start(&s->trainer, 0));
}

static void close_session(session *s)
{
    tk_trainer_close(&s->trainer);
    assert_int_equal(s->parts.device.pool.in_use, 0);
    tk_train_parts_close(&s->parts);
}

// A replayed step is one launch for the host, and what surrounds it.
static void a_replayed_step_is_few_calls(void **state)
{
    (void)state;
    session s;
    int64_t calls[GRAPH_STEPS], launches[GRAPH_STEPS];
    open_session(&s, true);
    standin_seed(0);
    const double before = s.parts.device.flops;
    double flops = 0;
    for (int64_t i = 0; i < GRAPH_STEPS; i++) {
        const int64_t *traced = s.parts.device.trace.calls, waits = traced[TK_TRACE_HOST_WAIT];
        const standin_counts from = standin_count();
        assert_ok(tk_trainer_step(&s.trainer, i, false, TK_OK));
        const standin_counts to = standin_count();
        calls[i] = traced[TK_TRACE_OPERATOR];
        launches[i] = to.launches - from.launches;
        assert_int_equal(traced[TK_TRACE_HOST_WAIT] - waits, i > 0);
        assert_int_equal(to.pageable - from.pageable, 0);
        if (i == 0) flops = s.parts.device.flops - before;
        if (i < 2) continue;
        assert_int_equal(calls[i], calls[1]); // no operator is asked for
        const int64_t asked_in_vain = to.host_waits - from.host_waits;
        assert_in_range(to.calls - from.calls - asked_in_vain, 1, 80);
    }
    assert_in_range(launches[0], 200, 5000);
    assert_int_equal(launches[1], launches[0]); // into the graph
    assert_int_equal(s.trainer.graphs.replayed, GRAPH_STEPS - 2);
    assert_true(s.parts.device.flops - before == GRAPH_STEPS * flops);
    assert_ok(tk_trainer_drain(&s.trainer, false, TK_OK));
    close_session(&s);
}

// What is planned is what recording and replaying touch: graphs take no memory of the pool's.
static void the_plan_knows_of_graphs(void **state)
{
    (void)state;
    session s;
    tk_plan plan;
    open_session(&s, true);
    tk_plan_of of = {.config = &s.config, .loader = s.parts.loader};
    assert_ok(tk_plan_make(&of, 0, &plan));
    for (int64_t i = 0; i < 4; i++) assert_ok(tk_trainer_step(&s.trainer, i, false, TK_OK));
    assert_int_equal(plan.pool, s.parts.device.pool.peak);
    for (int i = 0; i < TK_POOL_PURPOSES; i++)
        assert_int_equal(plan.held[i], s.parts.device.pool.at_peak[i]);
    assert_ok(tk_trainer_drain(&s.trainer, false, TK_OK));
    close_session(&s);
}

// ---- faults that must show ----------------------------------------------------------------------

static double losses[GRAPH_STEPS];
static int64_t step_now;
static tk_status (*right_noise)(tk_device *d, const tk_call *c);

static void keep_loss(void *ctx, const tk_step_result *r)
{
    (void)ctx;
    losses[r->step] = r->loss;
}

// Noise keyed by what the host knows of the step when it asks.
static tk_status baked_noise(tk_device *d, const tk_call *c)
{
    tk_call keyed = *c;
    keyed.i[0] += step_now;
    return right_noise(d, &keyed);
}

// Whether losses are the same in graphs as without.
static bool graphs_change_nothing(bool baked)
{
    double asked[GRAPH_STEPS];
    for (int graph = 0; graph < 2; graph++) {
        static tk_kernel kernels[TK_OP_COUNT];
        session s;
        open_session(&s, graph != 0);
        memcpy(kernels, s.parts.device.kernels, sizeof kernels);
        right_noise = kernels[TK_OP_NORMAL].fore;
        if (baked) kernels[TK_OP_NORMAL].fore = baked_noise;
        s.parts.device.kernels = kernels;
        tk_trainer_listen(&s.trainer, keep_loss, NULL);
        for (step_now = 0; step_now < GRAPH_STEPS; step_now++)
            assert_ok(tk_trainer_step(&s.trainer, step_now, false, TK_OK));
        assert_ok(tk_trainer_drain(&s.trainer, false, TK_OK));
        assert_int_equal(s.trainer.graphs.replayed, graph ? GRAPH_STEPS - 2 : 0);
        if (!graph) memcpy(asked, losses, sizeof losses);
        close_session(&s);
    }
    return memcmp(asked, losses, sizeof losses) == 0;
}

static void a_number_baked_in_shows(void **state)
{
    (void)state;
    assert_true(graphs_change_nothing(false));
    assert_false(graphs_change_nothing(true));
}

// Others may use the memory of a graph that rests, but not keep it.
static void memory_of_a_graph_is_not_kept(void **state)
{
    (void)state;
    session s;
    tk_tensor x;
    open_session(&s, true);
    for (int64_t i = 0; i < 3; i++) assert_ok(tk_trainer_step(&s.trainer, i, false, TK_OK));
    assert_ok(tk_device_new(&s.parts.device, TK_F32, 1024, 1, &x));
    tk_device_free(&s.parts.device, &x);
    assert_ok(tk_trainer_step(&s.trainer, 3, false, TK_OK));
    assert_ok(tk_device_new(&s.parts.device, TK_F32, 1024, 1, &x));
    assert_int_equal(tk_trainer_step(&s.trainer, 4, false, TK_OK), TK_INTERNAL);
    assert_says("somebody else has taken them");
    tk_device_free(&s.parts.device, &x);
    close_session(&s);
}

// Whatever call fails while a step is recorded or launched, some of them: nothing is left.
static void any_call_of_a_graph_may_fail(void **state)
{
    enum { APART = 211, FEW_APART = 7 }; // of many calls, and of few
    (void)state;
    for (int64_t step = 1; step < 3; step++) {
        tk_status st = TK_INTERNAL;
        for (int64_t n = 1; st != TK_OK; n += step == 1 ? APART : FEW_APART) {
            session s;
            open_session(&s, true);
            for (int64_t i = 0; i < step; i++)
                assert_ok(tk_trainer_step(&s.trainer, i, false, TK_OK));
            const int64_t before = tk_trace_count();
            tk_trace_fail_at(n);
            st = tk_trainer_step(&s.trainer, step, false, TK_OK);
            if (st != TK_OK) assert_says("as a test wants it to");
            tk_trace_fail_at(0);
            assert_true(st == TK_OK || tk_trace_count() - before >= n);
            close_session(&s);
        }
    }
}

// The last: a device that has failed is of no use to the process any more.
static void a_failure_inside_says_the_step(void **state)
{
    (void)state;
    session s;
    open_session(&s, true);
    for (int64_t i = 0; i < 4; i++) assert_ok(tk_trainer_step(&s.trainer, i, false, TK_OK));
    standin_fail(cudaErrorIllegalAddress);
    assert_int_equal(tk_trainer_drain(&s.trainer, false, TK_OK), TK_DEVICE);
    assert_says("step 4, done as a graph: GPU 0");
    close_session(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_forecast_knows_the_device),
        cmocka_unit_test(a_step_waits_once),
        cmocka_unit_test(a_replayed_step_is_few_calls),
        cmocka_unit_test(the_plan_knows_of_graphs),
        cmocka_unit_test(a_number_baked_in_shows),
        cmocka_unit_test(memory_of_a_graph_is_not_kept),
        cmocka_unit_test(any_call_of_a_graph_may_fail),
        cmocka_unit_test(a_failure_inside_says_the_step),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, open_config, close_config);
    tk_parallel_stop();
    return failed;
}
