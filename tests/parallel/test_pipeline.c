// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// All pipeline schedules on a toy: run g of the model multiplies by its weight and adds the
// microbatch's number. Integers throughout, so the result equals the serial one bit for bit.
#include "parallel/pipeline.h"
#include "parallel/replay.h"
#include "tests/support/ranks.h"

enum { HIDDEN = 300, MAX_MICRO = 9, MAX_CHUNKS = 3 };

static tk_comm world;

typedef struct part { // a run of blocks of a microbatch
    tk_tensor x, y, dx, dy;
    bool alive, halved;
} part;

typedef struct toy {
    tk_mesh mesh;
    tk_device device;
    int chunks;
    part part[MAX_CHUNKS][MAX_MICRO];
    int n_alive, most_alive, backwards[MAX_CHUNKS];
    double output, weight_grad[MAX_CHUNKS], first_grad; // sums over all elements
    int64_t fail_at;
    int64_t beside; // messages under way where work begins, added up
} toy;

static float weight(int run)
{
    return (float)(run % 2 ? -2 : 3);
}

static float input(int64_t i, int64_t e)
{
    return (float)((e * 3 + i) % 5 - 2);
}

static float seed(int64_t i, int64_t e) // gradient of the last run's output
{
    return (float)((e + i * 2) % 3 - 1);
}

// The last tensor rank has no rows in every third microbatch; other ranks have several.
static int64_t rows_of(void *ctx, int64_t i)
{
    toy *t = ctx;
    const tk_axis_row *tensor = &t->mesh.axis[TK_AXIS_TENSOR];
    const bool last = tensor->rank == tensor->degree - 1;
    return i % 3 == 0 && last && tensor->degree > 1 ? 0 : 1 + i + 2 * tensor->rank;
}

static int stages_of(const toy *t)
{
    return t->mesh.axis[TK_AXIS_PIPELINE].degree;
}

static int run_of(const toy *t, int chunk)
{
    return chunk * stages_of(t) + t->mesh.axis[TK_AXIS_PIPELINE].rank;
}

static bool is_last(const toy *t, int chunk)
{
    return run_of(t, chunk) == stages_of(t) * t->chunks - 1;
}

// A transport that keeps its requests itself and hands out numbers: who looks into a request
// instead of waiting for it reads garbage.
enum { REQUESTS = 64 };
static const tk_device_comm_ops *transport;
static tk_request kept[REQUESTS];

static tk_request *keep(tk_request *r)
{
    for (int i = 0; i < REQUESTS; i++)
        if (!kept[i].impl) {
            *r = (tk_request){.id = i + 1};
            return &kept[i];
        }
    fail_msg("more than %d messages under way", REQUESTS);
    return NULL;
}

static tk_status numbered_isend(tk_device_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                                tk_request *r)
{
    return transport->isend(c, x, n, t, to, keep(r));
}

static tk_status numbered_irecv(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int from,
                                tk_request *r)
{
    return transport->irecv(c, x, n, t, from, keep(r));
}

static tk_status numbered_wait(tk_device_comm *c, tk_request *r)
{
    if (!r->id) return TK_OK;
    TK_TRY(transport->wait(c, &kept[r->id - 1]));
    *r = (tk_request){0};
    return TK_OK;
}

static void number_requests(tk_device_comm *c)
{
    static tk_device_comm_ops ops;
    transport = c->ops;
    ops = *transport;
    ops.isend = numbered_isend;
    ops.irecv = numbered_irecv;
    ops.wait = numbered_wait;
    c->ops = &ops;
}

static int64_t under_way(void)
{
    int64_t n = 0;
    for (int i = 0; i < REQUESTS; i++) n += kept[i].impl != NULL;
    return n;
}

static tk_status forward(void *ctx, const tk_action *a, const tk_tensor *x, tk_tensor *y)
{
    toy *t = ctx;
    const int64_t i = a->micro, rows = rows_of(t, i);
    const int run = run_of(t, a->chunk);
    part *p = &t->part[a->chunk][i];
    t->beside += under_way();
    if (i == t->fail_at) return TK_FAIL(TK_NUMERIC, "microbatch %d is bad", (int)i);
    assert_false(p->alive);
    p->alive = true;
    if (++t->n_alive > t->most_alive) t->most_alive = t->n_alive;
    assert_int_equal(x->data == NULL, run == 0);
    if (x->data) assert_int_equal(tk_count(x), rows * HIDDEN);
    p->x = *x;
    TK_TRY(tk_device_new(&t->device, TK_F32, rows, HIDDEN, &p->y));
    TK_TRY(tk_device_new(&t->device, TK_F32, rows, HIDDEN, &p->dx));
    TK_TRY(tk_device_new(&t->device, TK_F32, rows, HIDDEN, &p->dy));
    for (int64_t e = 0; e < rows * HIDDEN; e++) {
        float v = x->data ? ((float *)x->data)[e] : input(i, e);
        v = v * weight(run) + (float)i;
        ((float *)p->y.data)[e] = v;
        if (is_last(t, a->chunk)) t->output += v * (double)(e % 7);
    }
    if (!is_last(t, a->chunk)) *y = p->y;
    return TK_OK;
}

static void back_inputs(toy *t, const tk_action *a, const tk_tensor *dy)
{
    part *p = &t->part[a->chunk][a->micro];
    assert_int_equal(dy->data == NULL, is_last(t, a->chunk));
    for (int64_t e = 0; e < rows_of(t, a->micro) * HIDDEN; e++) {
        float g = dy->data ? ((float *)dy->data)[e] : seed(a->micro, e);
        ((float *)p->dy.data)[e] = g;
        g *= weight(run_of(t, a->chunk));
        ((float *)p->dx.data)[e] = g;
        if (run_of(t, a->chunk) == 0) t->first_grad += (double)g * (double)(e % 5);
    }
}

static void back_weights(toy *t, const tk_action *a)
{
    part *p = &t->part[a->chunk][a->micro];
    assert_int_equal(a->micro, t->backwards[a->chunk]++); // in order
    for (int64_t e = 0; e < rows_of(t, a->micro) * HIDDEN; e++) {
        float x = p->x.data ? ((float *)p->x.data)[e] : input(a->micro, e);
        t->weight_grad[a->chunk] += (double)((float *)p->dy.data)[e] * x;
    }
}

static tk_status backward(void *ctx, const tk_action *a, const tk_tensor *dy, tk_tensor *dx)
{
    toy *t = ctx;
    part *p = &t->part[a->chunk][a->micro];
    t->beside += under_way();
    assert_true(p->alive);
    assert_int_equal(p->halved, a->kind == TK_ACT_WEIGHTS);
    p->halved = a->kind == TK_ACT_INPUTS;
    if (a->kind != TK_ACT_WEIGHTS) back_inputs(t, a, dy);
    if (a->kind != TK_ACT_INPUTS) back_weights(t, a);
    if (a->kind == TK_ACT_WEIGHTS) assert_null(dy->data);
    if (a->kind != TK_ACT_WEIGHTS && run_of(t, a->chunk) > 0) *dx = p->dx;
    return TK_OK;
}

static tk_status release(void *ctx, const tk_action *a)
{
    toy *t = ctx;
    part *p = &t->part[a->chunk][a->micro];
    assert_true(p->alive);
    assert_false(p->halved);
    t->n_alive--;
    // whoever still sends this sends garbage
    for (int64_t e = 0; e < rows_of(t, a->micro) * HIDDEN; e++)
        ((float *)p->y.data)[e] = ((float *)p->dx.data)[e] = 1e30f;
    tk_device_free(&t->device, &p->y);
    tk_device_free(&t->device, &p->dx);
    tk_device_free(&t->device, &p->dy);
    *p = (part){0};
    return TK_OK;
}

static void open_toy(toy *t, int tensor, int pipeline, int chunks, bool dry)
{
    tk_parallel_config p = {.tensor = tensor, .pipeline = pipeline};
    memset(t, 0, sizeof *t);
    t->fail_at = -1;
    t->chunks = chunks;
    p.data = world.size / tensor / pipeline;
    if (dry)
        tk_mesh_dry(&t->mesh, &p, world.rank);
    else
        assert_ok(tk_mesh_open(&t->mesh, &world, &p, TK_AXIS_DATA));
    assert_int_equal(tk_device_open(&t->device, &tk_device_ref, 1, (size_t)1 << 28), TK_OK);
    assert_ok(tk_mesh_attach(&t->mesh, &t->device));
    number_requests(&t->mesh.axis[TK_AXIS_PIPELINE].device);
    number_requests(&t->mesh.axis[TK_AXIS_PIPELINE].beside);
}

static void close_toy(toy *t)
{
    assert_int_equal(t->device.pool.in_use, 0); // nothing was left behind
    tk_mesh_close(&t->mesh);
    tk_device_close(&t->device);
}

static tk_pipeline_work work_of(toy *t, tk_schedule_kind kind, int64_t n)
{
    return (tk_pipeline_work){.ctx = t,
                              .n = n,
                              .schedule = kind,
                              .chunks = t->chunks,
                              .rows = rows_of,
                              .hidden = HIDDEN,
                              .forward = forward,
                              .backward = backward,
                              .release = release};
}

// What this rank must have found, computed without a pipeline.
static void serial(const toy *t, int64_t n, bool with_backward)
{
    double output = 0, weight_grad[MAX_CHUNKS] = {0}, first_grad = 0;
    const int runs = stages_of(t) * t->chunks;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t e = 0; e < rows_of((void *)t, i) * HIDDEN; e++) {
            float x[16], g = seed(i, e);
            x[0] = input(i, e);
            for (int s = 0; s < runs; s++) x[s + 1] = x[s] * weight(s) + (float)i;
            if (is_last(t, t->chunks - 1)) output += x[runs] * (double)(e % 7);
            for (int s = runs - 1; s >= 0; s--) {
                const int chunk = s / stages_of(t);
                if (run_of(t, chunk) == s) weight_grad[chunk] += (double)g * x[s];
                g *= weight(s);
            }
            if (run_of(t, 0) == 0) first_grad += (double)g * (double)(e % 5);
        }
    }
    assert_true(t->output == output);
    for (int c = 0; c < t->chunks; c++)
        assert_true(t->weight_grad[c] == (with_backward ? weight_grad[c] : 0));
    assert_true(t->first_grad == (with_backward ? first_grad : 0));
}

// As many alive as the replay says.
static int64_t alive_of(const toy *t, tk_schedule_kind kind, int64_t n)
{
    tk_schedule s;
    tk_replay r;
    const int me = t->mesh.axis[TK_AXIS_PIPELINE].rank;
    assert_ok(tk_schedule_make(&s, kind, stages_of(t), t->chunks, n));
    assert_ok(tk_schedule_replay(&s, &(tk_replay_costs){0}, &r));
    const int64_t most = kind == TK_SCHEDULE_FORWARD ? (n < 2 ? n : 2) : r.most[me];
    tk_schedule_free(&s);
    return most;
}

// alone: the stages wait for messages at once, and then none is under way where they work.
static void run_layout(int tensor, int pipeline, tk_schedule_kind kind, int chunks, bool alone)
{
    static const int64_t counts[] = {0, 1, 2, 3, 4, 8, MAX_MICRO};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int64_t n = counts[k];
        toy t;
        open_toy(&t, tensor, pipeline, chunks, false);
        tk_pipeline_work w = work_of(&t, kind, n);
        w.alone = alone;
        assert_ok(tk_pipeline_run(&t.mesh, &t.device, &w));
        serial(&t, n, kind != TK_SCHEDULE_FORWARD);
        assert_int_equal(t.most_alive, alive_of(&t, kind, n));
        assert_true(t.beside == 0 || !alone);
        assert_true(t.beside > 0 || alone || n < 4 || pipeline == 1 || rows_of(&t, 0) == 0);
        close_toy(&t);
    }
}

static void test_pipeline__equals_serial(void **state)
{
    (void)state;
    for (int P = 1; P <= world.size; P++)
        for (int T = 1; T <= world.size / P; T++) {
            if (world.size % (P * T) != 0) continue;
            for (int alone = 0; alone < 2; alone++) {
                run_layout(T, P, TK_SCHEDULE_FORWARD, 1, alone);
                run_layout(T, P, TK_SCHEDULE_1F1B, 1, alone);
                run_layout(T, P, TK_SCHEDULE_ZB_H1, 1, alone);
                for (int v = 2; v <= MAX_CHUNKS; v++)
                    run_layout(T, P, TK_SCHEDULE_INTERLEAVED, v, alone);
            }
        }
}

static void test_pipeline__failing_microbatch(void **state)
{
    (void)state;
    if (world.size > 1) return; // the others would wait: then the caller takes the run down
    toy t;
    open_toy(&t, 1, 1, 1, false);
    t.fail_at = 2;
    tk_pipeline_work w = work_of(&t, TK_SCHEDULE_1F1B, 4);
    assert_int_equal(tk_pipeline_run(&t.mesh, &t.device, &w), TK_NUMERIC);
    assert_string_equal(tk_status_message(), "microbatch 2 is bad");
    assert_int_equal(t.backwards[0], 2);
    close_toy(&t);
    tk_status_clear();
}

// The dry run takes the same road and moves nothing.
static void test_pipeline__dry_run_needs_as_much_memory(void **state)
{
    (void)state;
    toy t;
    open_toy(&t, 1, world.size, 2, false);
    tk_pipeline_work w = work_of(&t, TK_SCHEDULE_INTERLEAVED, MAX_MICRO);
    assert_int_equal(tk_pipeline_run(&t.mesh, &t.device, &w), TK_OK);
    size_t peak = t.device.pool.peak;
    close_toy(&t);
    open_toy(&t, 1, world.size, 2, true);
    assert_int_equal(tk_pipeline_run(&t.mesh, &t.device, &w), TK_OK);
    assert_int_equal(t.device.pool.peak, peak);
    close_toy(&t);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline__equals_serial),
        cmocka_unit_test(test_pipeline__failing_microbatch),
        cmocka_unit_test(test_pipeline__dry_run_needs_as_much_memory),
    };
    ranks_run(argc, argv, world, tests);
}
