// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2 3; timeout: 120 */
// The engine on a device that runs behind: messages are work on a queue of their own, in order, and
// the stages' work is operators. All schedules give what one rank would; and where any one of the
// engine's waits is left out, that shows.
//
// Run g of the model adds g + 1 to its rows; backward doubles the gradient. Small integers.
#include "core/device/ops/ops.h"
#include "parallel/pipeline.h"
#include "tests/support/deferred.h"
#include "tests/support/ranks.h"

enum { ROWS = 3, HIDDEN = 40, N = ROWS * HIDDEN, MICRO = 7, MOST_CHUNKS = 2 };

static tk_comm world;

typedef struct part { // a run of blocks of a microbatch
    tk_tensor x, y, dy, dx;
} part;

typedef struct toy {
    tk_mesh mesh;
    tk_device device;
    int chunks;
    part part[MOST_CHUNKS][MICRO];
    tk_tensor input[MICRO], seed[MICRO], step[MOST_CHUNKS];
    tk_tensor sum_y, sum_dx, sum_x; // over runs of this stage and microbatches
} toy;

static int run_of(int chunk)
{
    return chunk * world.size + world.rank;
}

static int64_t rows_of(void *ctx, int64_t i)
{
    (void)ctx, (void)i;
    return ROWS;
}

static tk_status add(toy *t, tk_tensor a, tk_tensor b, tk_tensor out)
{
    const tk_call c = {.op = TK_OP_ADD, .in = {a, b}, .out = {out}};
    return tk_op_forward(&t->device, &c);
}

static tk_tensor fresh(toy *t)
{
    tk_tensor x;
    assert_ok(tk_device_new(&t->device, TK_F32, ROWS, HIDDEN, &x));
    return x;
}

static tk_status forward(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    toy *t = ctx;
    part *p = &t->part[a->chunk][a->micro];
    p->x = x->data ? *x : t->input[a->micro];
    p->y = fresh(t);
    TK_TRY(add(t, p->x, t->step[a->chunk], p->y));
    TK_TRY(add(t, t->sum_y, p->y, t->sum_y));
    if (run_of(a->chunk) < world.size * t->chunks - 1) *y = p->y;
    return TK_OK;
}

static tk_status back_inputs(toy *t, const tk_action *a, const tk_tensor *dy)
{
    part *p = &t->part[a->chunk][a->micro];
    const tk_tensor g = dy->data ? *dy : t->seed[a->micro];
    p->dx = fresh(t);
    TK_TRY(add(t, g, g, p->dx));
    return add(t, t->sum_dx, p->dx, t->sum_dx);
}

static tk_status backward(void *ctx, const tk_action *a, const tk_tensor *dy, tk_tensor *dx)
{
    toy *t = ctx;
    part *p = &t->part[a->chunk][a->micro];
    if (a->kind != TK_ACT_WEIGHTS) TK_TRY(back_inputs(t, a, dy));
    if (a->kind != TK_ACT_INPUTS) TK_TRY(add(t, t->sum_x, p->x, t->sum_x));
    if (a->kind != TK_ACT_WEIGHTS && run_of(a->chunk) > 0) *dx = p->dx;
    return TK_OK;
}

static tk_status release(void *ctx, const tk_action *a)
{
    toy *t = ctx;
    part *p = &t->part[a->chunk][a->micro];
    tk_device_free(&t->device, &p->y);
    tk_device_free(&t->device, &p->dx);
    return TK_OK;
}

static float input_at(int64_t i, int64_t e)
{
    return (float)((e * 3 + i) % 5 - 2);
}

static float seed_at(int64_t i, int64_t e)
{
    return (float)((e + i * 2) % 3 - 1);
}

static tk_tensor filled(toy *t, float (*of)(int64_t i, int64_t e), int64_t i, float all)
{
    float x[N];
    tk_tensor out;
    for (int64_t e = 0; e < N; e++) x[e] = of ? of(i, e) : all;
    assert_ok(tk_device_put(&t->device, x, TK_F32, ROWS, HIDDEN, &out));
    assert_ok(tk_device_sync(&t->device)); // x goes
    return out;
}

static void open_toy(toy *t, int chunks, uint64_t seed)
{
    tk_parallel_config p = {.tensor = 1, .pipeline = world.size};
    *t = (toy){.chunks = chunks};
    assert_ok(tk_mesh_open(&t->mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&t->device, &tk_device_cpu, 1, (size_t)1 << 24));
    assert_ok(tk_mesh_attach(&t->mesh, &t->device));
    deferred_start(&t->device, &t->mesh, seed);
    for (int64_t i = 0; i < MICRO; i++) {
        t->input[i] = filled(t, input_at, i, 0);
        t->seed[i] = filled(t, seed_at, i, 0);
    }
    for (int c = 0; c < chunks; c++) t->step[c] = filled(t, NULL, 0, (float)(run_of(c) + 1));
    t->sum_y = filled(t, NULL, 0, 0);
    t->sum_dx = filled(t, NULL, 0, 0);
    t->sum_x = filled(t, NULL, 0, 0);
}

static void close_toy(toy *t)
{
    tk_mesh_close(&t->mesh);
    tk_device_close(&t->device);
}

// Whether a sum holds what one rank would have found.
static bool right(toy *t, const tk_tensor *sum, bool gradient, int shift)
{
    float x[N];
    bool good = true;
    assert_ok(tk_device_get(&t->device, sum, x));
    for (int64_t e = 0; e < N; e++) {
        float want = 0;
        for (int c = 0; c < t->chunks; c++)
            for (int64_t i = 0; i < MICRO; i++) {
                const int g = run_of(c) + shift, runs = world.size * t->chunks;
                if (gradient)
                    want += seed_at(i, e) * (float)(1 << (runs - g));
                else
                    want += input_at(i, e) + (float)(g * (g + 1) / 2);
            }
        good &= x[e] == want;
    }
    return good;
}

static bool run(toy *t, tk_schedule_kind kind, bool alone)
{
    const tk_pipeline_work w = {.ctx = t,
                                .n = MICRO,
                                .schedule = kind,
                                .chunks = t->chunks,
                                .alone = alone,
                                .rows = rows_of,
                                .hidden = HIDDEN,
                                .type = TK_F32,
                                .forward = forward,
                                .backward = backward,
                                .release = release};
    assert_ok(tk_pipeline_run(&t->mesh, &t->device, &w));
    bool good = right(t, &t->sum_y, false, 1);
    if (kind == TK_SCHEDULE_FORWARD) return good;
    good &= right(t, &t->sum_dx, true, 0);
    return good & right(t, &t->sum_x, false, 0);
}

static void test_behind__equals_serial(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 6; seed++)
        for (int kind = 0; kind <= TK_SCHEDULE_FORWARD; kind++) {
            toy t;
            open_toy(&t, kind == TK_SCHEDULE_INTERLEAVED ? 2 : 1, seed);
            assert_true(run(&t, (tk_schedule_kind)kind, seed % 2));
            assert_int_equal(deferred_faults(), 0);
            close_toy(&t);
        }
}

// How many of `seeds` orders show that this rank's n-th wait is left out.
static int shows(tk_schedule_kind kind, int64_t n, int seeds, int64_t *waits)
{
    int wrong = 0;
    for (int seed = 0; seed < seeds; seed++) {
        toy t;
        open_toy(&t, kind == TK_SCHEDULE_INTERLEAVED ? 2 : 1, (uint64_t)seed);
        const int64_t before = deferred_waits();
        deferred_leave_out(n);
        uint64_t bad = !run(&t, kind, false);
        *waits = deferred_waits() - before;
        deferred_leave_out(0);
        assert_ok(tk_comm_sum_u64(&world, &bad, 1)); // another rank may have got the wrong rows
        wrong += bad > 0;
        close_toy(&t);
    }
    return wrong;
}

// Each wait of the engine is there for a reason, but for those behind a later wait of the same
// kind.
static void test_behind__a_wait_left_out_shows(void **state)
{
    enum { SEEDS = 4 };
    int64_t waits = 0, seen = 0;
    (void)state;
    assert_int_equal(shows(TK_SCHEDULE_1F1B, 0, SEEDS, &waits), 0);
    uint64_t most = (uint64_t)waits, all[8] = {0};
    all[world.rank] = most;
    assert_ok(tk_comm_sum_u64(&world, all, world.size));
    for (int r = 0; r < world.size; r++) most = all[r] > most ? all[r] : most;
    for (int64_t n = 1; n <= (int64_t)most; n++)
        seen += shows(TK_SCHEDULE_1F1B, n, SEEDS, &waits) > 0;
    print_message("%lld of %lld waits show\n", (long long)seen, (long long)most);
    assert_true(3 * seen >= (int64_t)most);
}

// A collective on a queue of its own between operators. How many orders show that a wait is
// missing.
static int sum_shows(int64_t left_out, int64_t *waits)
{
    int wrong = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        toy t;
        float x[N];
        uint64_t bad = 0;
        open_toy(&t, 1, seed);
        const int64_t before = deferred_waits();
        deferred_leave_out(left_out);
        tk_tensor y = fresh(&t);
        assert_ok(add(&t, t.step[0], t.step[0], y));
        assert_ok(tk_all_reduce(&t.mesh.axis[TK_AXIS_PIPELINE].device, y.data, N, TK_F32, TK_SUM));
        assert_ok(add(&t, y, t.step[0], y));
        *waits = deferred_waits() - before;
        deferred_leave_out(0);
        assert_ok(tk_device_get(&t.device, &y, x));
        for (int e = 0; e < N; e++)
            bad |= x[e] != (float)(world.size * (world.size + 1) + world.rank + 1);
        assert_ok(tk_comm_sum_u64(&world, &bad, 1));
        wrong += bad > 0;
        tk_device_free(&t.device, &y);
        close_toy(&t);
    }
    return wrong;
}

static void test_behind__sums_come_between_operators(void **state)
{
    int64_t waits;
    (void)state;
    assert_int_equal(sum_shows(0, &waits), 0);
    assert_int_equal(waits, 2);
    assert_true(sum_shows(2, &waits) > 0); // the first cannot show: this device sums at last
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behind__equals_serial),
        cmocka_unit_test(test_behind__a_wait_left_out_shows),
        cmocka_unit_test(test_behind__sums_come_between_operators),
    };
    ranks_run(argc, argv, world, tests);
}
