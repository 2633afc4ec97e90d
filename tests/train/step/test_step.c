// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// What a training step asks of its device, and that it need not be done at once.
#include "core/base/log.h"
#include "core/device/event.h"
#include "core/device/trace.h"
#include "parallel/mpi/start.h"
#include "tests/support/deferred.h"
#include "tests/support/heard.h"
#include "tests/support/runs.h"
#include "train/run/run.h"
#include <unistd.h>

static tk_config config;
static tk_comm world;

static int open_config(void **state)
{
    (void)state;
    runs_open();
    if (chdir(runs_dir())) return 1;
    tk_config_init(&config);
    assert_ok(tk_config_load(&config, TK_CMD_TRAIN, "tiny.yaml", 0, NULL));
    return 0;
}

static int close_config(void **state)
{
    (void)state;
    tk_config_free(&config);
    runs_close();
    return 0;
}

static void open_trainer(tk_trainer *t, const tk_config *c, tk_train_parts *p)
{
    assert_ok(tk_trainer_open(t, c, &p->mesh, &p->device, p->loader));
    assert_ok(tk_trainer_init(t));
    assert_ok(tk_trainer_start(t, 0));
}

// ---- a device that runs behind -----------------------------------------------------------------

enum { STEPS = 10 };

typedef struct way { // to train
    bool behind;
    uint64_t seed;             // of the order, behind
    int64_t fail_at, left_out; // what is refused, which wait is none; 0: nothing
    double told[STEPS][2];     // losses and norms of the steps done
    int64_t n, waits, faults;
} way;

// Steps of several microbatches; stops at the first failure.
static tk_status train(const tk_config *c, way *w)
{
    tk_train_parts p = {0};
    tk_trainer t;
    heard h = {0};
    tk_status st = TK_OK;
    assert_ok(tk_train_parts_open(&p, &world, (tk_config *)c));
    if (w->behind) deferred_start(&p.device, &p.mesh, w->seed);
    open_trainer(&t, c, &p);
    tk_trace_fail_at(w->fail_at);
    if (w->behind) deferred_leave_out(w->left_out);
    tk_trainer_listen(&t, listen, &h);
    for (int64_t s = 0; s < STEPS && st == TK_OK; s++) st = tk_trainer_step(&t, s, false, TK_OK);
    if (st == TK_OK) st = tk_trainer_drain(&t, false, TK_OK);
    tk_trace_fail_at(0);
    w->n = h.n;
    for (int64_t s = 0; s < h.n; s++) {
        w->told[s][0] = h.r[s].loss;
        w->told[s][1] = h.r[s].grad_norm;
    }
    tk_trainer_close(&t);
    if (w->fail_at == 0 && w->left_out == 0) assert_int_equal(p.device.pool.in_use, 0);
    w->waits = w->behind ? deferred_waits() : 0;
    w->faults = w->behind ? deferred_faults() : 0;
    tk_train_parts_close(&p);
    return st;
}

static tk_config several_microbatches(int64_t recompute)
{
    tk_config c = config;
    c.train.batch = 8;
    c.train.microbatch = 2;
    c.train.recompute = recompute;
    return c;
}

static void a_device_that_runs_behind_tells_the_same(void **state)
{
    (void)state;
    for (int64_t recompute = 0; recompute < 2; recompute++) {
        const tk_config c = several_microbatches(recompute);
        way at_once = {.behind = false};
        assert_ok(train(&c, &at_once));
        assert_int_equal(at_once.n, STEPS);
        for (uint64_t seed = 0; seed < 3; seed++) {
            way behind = {.behind = true, .seed = seed};
            assert_ok(train(&c, &behind));
            assert_int_equal(behind.n, STEPS);
            assert_int_equal(behind.faults, 0);
            assert_memory_equal(at_once.told, behind.told, sizeof behind.told);
        }
    }
}

// Without any one of the waits the run is another one, or ends.
static void every_wait_is_needed(void **state)
{
    const tk_config c = several_microbatches(0);
    way whole = {.behind = true};
    (void)state;
    assert_ok(train(&c, &whole));
    assert_int_equal(whole.waits, STEPS);
    for (int64_t n = 1; n <= whole.waits; n++) {
        way less = {.behind = true, .left_out = n};
        const tk_status st = train(&c, &less);
        assert_true(st != TK_OK || less.faults || memcmp(less.told, whole.told, sizeof less.told));
    }
}

// Whatever is refused: what was asked for before it still finds its host memory.
static void a_refusal_leaves_host_memory_until_it_is_read(void **state)
{
    (void)state;
    tk_config c = config;
    c.train.microbatch = 2;
    for (int64_t n = 1; n < 1000; n = 2 * n + 5) {
        way w = {.behind = true, .fail_at = n};
        assert_true(train(&c, &w) != TK_OK);
        assert_says("as a test wants it to");
        assert_int_equal(w.faults, 0);
    }
}

// ---- what a step asks of the device ------------------------------------------------------------

// The host waits for the device once: for the end of the step before.
static void a_step_waits_once(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        const tk_config c = several_microbatches(0);
        tk_train_parts p = {0};
        tk_trainer t;
        assert_ok(tk_train_parts_open(&p, &world, (tk_config *)&c));
        if (behind) deferred_start(&p.device, &p.mesh, 0);
        open_trainer(&t, &c, &p);
        const int64_t *calls = p.device.trace.calls, before = calls[TK_TRACE_SYNC];
        for (int64_t s = 0; s < 4; s++) {
            const int64_t waits = calls[TK_TRACE_HOST_WAIT];
            assert_ok(tk_trainer_step(&t, s, false, TK_OK));
            assert_int_equal(calls[TK_TRACE_HOST_WAIT] - waits, s > 0);
            assert_int_equal(calls[TK_TRACE_SYNC], before);
        }
        tk_trainer_close(&t);
        tk_train_parts_close(&p);
    }
}

// What a step reads from the host crosses over in one piece for each microbatch and run of blocks.
static void a_microbatch_is_one_upload(void **state)
{
    (void)state;
    for (int64_t chunks = 1; chunks <= 3; chunks += 2) {
        tk_config c = config;
        tk_train_parts p = {0};
        tk_trainer t;
        c.train.microbatch = 2;
        c.parallel.chunks = chunks;
        c.parallel.schedule = chunks > 1 ? TK_SCHEDULE_INTERLEAVED : TK_SCHEDULE_1F1B;
        assert_ok(tk_train_parts_open(&p, &world, &c));
        open_trainer(&t, &c, &p);
        const int64_t *uploads = &p.device.trace.calls[TK_TRACE_UPLOAD];
        for (int64_t s = 0; s < 3; s++) {
            const int64_t before = *uploads;
            assert_ok(tk_trainer_step(&t, s, false, TK_OK));
            assert_int_equal(*uploads - before, 3 * chunks);
        }
        tk_trainer_close(&t);
        tk_train_parts_close(&p);
    }
}

// ---- a step that can be recorded ---------------------------------------------------------------

static const tk_kernel *spied_on;
static uint64_t given; // digest of the numbers that operators were given by the host

static void note_bytes(const void *x, size_t n)
{
    for (size_t i = 0; i < n; i++) given = (given ^ ((const unsigned char *)x)[i]) * 0x100000001b3u;
}

static void note_numbers(const tk_call *c)
{
    note_bytes(&c->op, sizeof c->op);
    note_bytes(c->f, sizeof c->f);
    if (c->op != TK_OP_ATTENTION) note_bytes(c->i, sizeof c->i); // its are shapes
}

static tk_status spy_on_fore(tk_device *d, const tk_call *c)
{
    note_numbers(c);
    return spied_on[c->op].fore(d, c);
}

static tk_status spy_on_back(tk_device *d, const tk_call *c)
{
    note_numbers(c);
    return spied_on[c->op].back(d, c);
}

static void spy_on(tk_device *d)
{
    static tk_kernel spies[TK_OP_COUNT];
    spied_on = d->kernels;
    memcpy(spies, spied_on, sizeof spies);
    for (int i = 0; i < TK_OP_COUNT; i++) {
        if (spies[i].fore) spies[i].fore = spy_on_fore;
        if (spies[i].back) spies[i].back = spy_on_back;
    }
    d->kernels = spies;
}

// What is another number each step lies in device memory: whoever records a step's work and does it
// again is right.
static void operators_are_told_the_same_in_each_step(void **state)
{
    (void)state;
    tk_train_parts p = {0};
    tk_trainer t;
    uint64_t before = 0;
    assert_ok(tk_train_parts_open(&p, &world, &config));
    spy_on(&p.device);
    open_trainer(&t, &config, &p);
    for (int64_t s = 0; s < 4; s++) {
        given = 0xcbf29ce484222325u;
        assert_ok(tk_trainer_step(&t, s, false, TK_OK));
        assert_true(s == 0 || given == before);
        before = given;
    }
    tk_trainer_close(&t);
    tk_train_parts_close(&p);
}

// ---- times -------------------------------------------------------------------------------------

static double waited;       // seconds
static tk_device_ops timed; // those whose waits are

static tk_status timed_event_sync(tk_event *e)
{
    const double begin = tk_now();
    const tk_status st = timed.event_sync(e);
    waited += tk_now() - begin;
    return st;
}

static void time_waits(tk_device *d)
{
    static tk_device_ops timing;
    timed = timing = *d->ops;
    timing.event_sync = timed_event_sync;
    d->ops = &timing;
    waited = 0;
}

// Seconds are those of the work, not of asking for it: a device that does all of it while the host
// waits tells as many as the host has waited. They add up, and actions stand for what they are.
static void seconds_are_those_of_the_work(void **state)
{
    (void)state;
    for (int halves = 0; halves < 2; halves++) {
        tk_config c = several_microbatches(0);
        tk_train_parts p = {0};
        tk_trainer t;
        heard h = {0};
        double total = 0;
        if (halves) c.parallel.schedule = TK_SCHEDULE_ZB_H1;
        assert_ok(tk_train_parts_open(&p, &world, &c));
        deferred_start(&p.device, &p.mesh, 0);
        open_trainer(&t, &c, &p);
        assert_ok(tk_device_sync(&p.device)); // what opening asked for
        time_waits(&p.device);
        tk_trainer_listen(&t, listen, &h);
        for (int64_t s = 0; s < 4; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
        assert_ok(tk_trainer_drain(&t, false, TK_OK));
        for (int64_t s = 0; s < h.n; s++) {
            const tk_step_result *r = &h.r[s];
            const double *action = r->seconds.action;
            const double sum = action[TK_ACT_FORWARD] + action[TK_ACT_BACKWARD] +
                               action[TK_ACT_INPUTS] + action[TK_ACT_WEIGHTS];
            assert_true(action[TK_ACT_FORWARD] > 0 && r->seconds.optimizer > 0);
            assert_true((action[TK_ACT_BACKWARD] > 0) == !halves);
            assert_true((action[TK_ACT_INPUTS] > 0) == halves);
            assert_true((action[TK_ACT_WEIGHTS] > 0) == halves);
            assert_true(sum <= r->seconds.compute && r->seconds.compute < r->seconds.total);
            total += r->seconds.total;
        }
        assert_true(total < waited && total > waited / 2);
        tk_trainer_close(&t);
        tk_train_parts_close(&p);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_that_runs_behind_tells_the_same),
        cmocka_unit_test(every_wait_is_needed),
        cmocka_unit_test(a_refusal_leaves_host_memory_until_it_is_read),
        cmocka_unit_test(a_step_waits_once),
        cmocka_unit_test(a_microbatch_is_one_upload),
        cmocka_unit_test(operators_are_told_the_same_in_each_step),
        cmocka_unit_test(seconds_are_those_of_the_work),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, open_config, close_config);
    tk_parallel_stop();
    return failed;
}
