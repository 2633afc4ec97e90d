// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// Pipeline schedules on a toy: stage s multiplies by its weight and adds the microbatch's number.
// Integers throughout, so the result equals the serial one bit for bit.
#include "parallel/pipeline.h"
#include "tests/support/ranks.h"

enum { HIDDEN = 300, MAX_MICRO = 9 };

static tk_comm world;

typedef struct toy {
    tk_mesh mesh;
    tk_device device;
    tk_tensor x[MAX_MICRO], y[MAX_MICRO], dx[MAX_MICRO];
    bool alive[MAX_MICRO];
    int n_alive, most_alive, backwards;
    double output, weight_grad, first_grad; // sums over all elements
    int64_t fail_at;
} toy;

static float weight(int stage)
{
    return (float)(stage % 2 ? -2 : 3);
}

static float input(int64_t i, int64_t e)
{
    return (float)((e * 3 + i) % 5 - 2);
}

static float seed(int64_t i, int64_t e) // gradient of the last stage's output
{
    return (float)((e + i * 2) % 3 - 1);
}

// The last tensor rank has no rows in every third microbatch; other ranks have several.
static int64_t rows_of(void *ctx, int64_t i)
{
    toy *t = ctx;
    bool last = t->mesh.tensor.rank == t->mesh.tensor.size - 1;
    return i % 3 == 0 && last && t->mesh.tensor.size > 1 ? 0 : 1 + i + 2 * t->mesh.tensor.rank;
}

static bool is_last(const toy *t)
{
    return t->mesh.pipeline.rank == t->mesh.pipeline.size - 1;
}

static tk_status forward(void *ctx, int64_t i, const tk_tensor *x, tk_tensor *y)
{
    toy *t = ctx;
    int64_t rows = rows_of(t, i);
    if (i == t->fail_at) return TK_FAIL(TK_NUMERIC, "microbatch %d is bad", (int)i);
    assert_false(t->alive[i]);
    t->alive[i] = true;
    if (++t->n_alive > t->most_alive) t->most_alive = t->n_alive;
    assert_int_equal(x->data == NULL, t->mesh.pipeline.rank == 0);
    if (x->data) assert_int_equal(tk_count(x), rows * HIDDEN);
    t->x[i] = *x;
    TK_TRY(tk_device_new(&t->device, TK_F32, rows, HIDDEN, &t->y[i]));
    TK_TRY(tk_device_new(&t->device, TK_F32, rows, HIDDEN, &t->dx[i]));
    for (int64_t e = 0; e < rows * HIDDEN; e++) {
        float v = x->data ? ((float *)x->data)[e] : input(i, e);
        v = v * weight(t->mesh.pipeline.rank) + (float)i;
        ((float *)t->y[i].data)[e] = v;
        if (is_last(t)) t->output += v * (double)(e % 7);
    }
    if (!is_last(t)) *y = t->y[i];
    return TK_OK;
}

static tk_status backward(void *ctx, int64_t i, const tk_tensor *dy, tk_tensor *dx)
{
    toy *t = ctx;
    assert_true(t->alive[i]);
    assert_int_equal(i, t->backwards++); // in order
    assert_int_equal(dy->data == NULL, is_last(t));
    for (int64_t e = 0; e < rows_of(t, i) * HIDDEN; e++) {
        float x = t->x[i].data ? ((float *)t->x[i].data)[e] : input(i, e);
        float g = dy->data ? ((float *)dy->data)[e] : seed(i, e);
        t->weight_grad += (double)g * x;
        g *= weight(t->mesh.pipeline.rank);
        ((float *)t->dx[i].data)[e] = g;
        if (t->mesh.pipeline.rank == 0) t->first_grad += (double)g * (double)(e % 5);
    }
    if (t->mesh.pipeline.rank > 0) *dx = t->dx[i];
    return TK_OK;
}

static tk_status release(void *ctx, int64_t i)
{
    toy *t = ctx;
    assert_true(t->alive[i]);
    t->alive[i] = false;
    t->n_alive--;
    for (int64_t e = 0; e < rows_of(t, i) * HIDDEN; e++) // whoever still sends this sends garbage
        ((float *)t->y[i].data)[e] = ((float *)t->dx[i].data)[e] = 1e30f;
    tk_device_free(&t->device, &t->y[i]);
    tk_device_free(&t->device, &t->dx[i]);
    return TK_OK;
}

// A transport that keeps its requests itself and hands out numbers: who looks into a request
// instead of waiting for it reads garbage.
enum { REQUESTS = 64 };
static const tk_comm_ops *transport;
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

static tk_status numbered_isend(tk_comm *c, const void *x, int64_t n, tk_dtype t, int to,
                                tk_request *r)
{
    return transport->isend(c, x, n, t, to, keep(r));
}

static tk_status numbered_irecv(tk_comm *c, void *x, int64_t n, tk_dtype t, int from, tk_request *r)
{
    return transport->irecv(c, x, n, t, from, keep(r));
}

static tk_status numbered_wait(tk_comm *c, tk_request *r)
{
    if (!r->id) return TK_OK;
    TK_TRY(transport->wait(c, &kept[r->id - 1]));
    *r = (tk_request){0};
    return TK_OK;
}

static void number_requests(tk_comm *c)
{
    static tk_comm_ops ops;
    transport = c->ops;
    ops = *transport;
    ops.isend = numbered_isend;
    ops.irecv = numbered_irecv;
    ops.wait = numbered_wait;
    c->ops = &ops;
}

static void open_toy(toy *t, int tensor, int pipeline)
{
    tk_parallel_config p = {.tensor = tensor, .pipeline = pipeline};
    memset(t, 0, sizeof *t);
    t->fail_at = -1;
    assert_int_equal(tk_mesh_open(&t->mesh, &world, &p, TK_AXIS_DATA), TK_OK);
    number_requests(&t->mesh.pipeline);
    assert_int_equal(tk_device_open(&t->device, &tk_device_ref, 1, (size_t)1 << 28), TK_OK);
}

static void close_toy(toy *t)
{
    assert_int_equal(t->device.pool.in_use, 0); // nothing was left behind
    tk_device_close(&t->device);
    tk_mesh_close(&t->mesh);
}

static tk_pipeline_work work_of(toy *t, int64_t n)
{
    return (tk_pipeline_work){t, n, rows_of, HIDDEN, forward, backward, release};
}

// What this rank must have found, computed without a pipeline.
static void serial(const toy *t, int64_t n, bool with_backward)
{
    double output = 0, weight_grad = 0, first_grad = 0;
    int stages = t->mesh.pipeline.size, me = t->mesh.pipeline.rank;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t e = 0; e < rows_of((void *)t, i) * HIDDEN; e++) {
            float v = input(i, e), x = 0, g = seed(i, e);
            for (int s = 0; s < stages; s++) {
                if (s == me) x = v;
                v = v * weight(s) + (float)i;
            }
            if (is_last(t)) output += v * (double)(e % 7);
            for (int s = stages - 1; s > me; s--) g *= weight(s);
            weight_grad += (double)g * x;
            if (me == 0) first_grad += (double)g * weight(0) * (double)(e % 5);
        }
    }
    assert_true(t->output == output);
    assert_true(t->weight_grad == (with_backward ? weight_grad : 0));
    assert_true(t->first_grad == (with_backward ? first_grad : 0));
}

static void run_layout(int tensor, int pipeline)
{
    static const int64_t counts[] = {0, 1, 2, 3, MAX_MICRO};
    for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) {
        int64_t n = counts[k];
        toy t;
        open_toy(&t, tensor, pipeline);
        tk_pipeline_work w = work_of(&t, n);
        assert_int_equal(tk_pipeline_train(&t.mesh, &t.device, &w), TK_OK);
        serial(&t, n, true);
        int64_t most = t.mesh.pipeline.size - t.mesh.pipeline.rank;
        assert_int_equal(t.most_alive, most < n ? most : n);
        close_toy(&t);

        open_toy(&t, tensor, pipeline);
        w = work_of(&t, n);
        assert_int_equal(tk_pipeline_forward(&t.mesh, &t.device, &w), TK_OK);
        serial(&t, n, false);
        assert_int_equal(t.backwards, 0);
        close_toy(&t);
    }
}

static void test_pipeline__equals_serial(void **state)
{
    (void)state;
    for (int P = 1; P <= world.size; P++)
        for (int T = 1; T <= world.size / P; T++)
            if (world.size % (P * T) == 0) run_layout(T, P);
}

static void test_pipeline__failing_microbatch(void **state)
{
    (void)state;
    if (world.size > 1) return; // the others would wait: then the caller takes the run down
    toy t;
    open_toy(&t, 1, 1);
    t.fail_at = 2;
    tk_pipeline_work w = work_of(&t, 4);
    assert_int_equal(tk_pipeline_train(&t.mesh, &t.device, &w), TK_NUMERIC);
    assert_string_equal(tk_status_message(), "microbatch 2 is bad");
    assert_int_equal(t.backwards, 2);
    close_toy(&t);
    tk_status_clear();
}

// The dry run takes the same road and moves nothing.
static void test_pipeline__dry_run_needs_as_much_memory(void **state)
{
    (void)state;
    toy t;
    open_toy(&t, 1, world.size);
    tk_pipeline_work w = work_of(&t, MAX_MICRO);
    assert_int_equal(tk_pipeline_train(&t.mesh, &t.device, &w), TK_OK);
    size_t peak = t.device.pool.peak;
    tk_parallel_config p = {.tensor = 1, .pipeline = world.size, .data = 1};
    tk_mesh real = t.mesh;
    tk_mesh_dry(&t.mesh, &p, world.rank);
    tk_device_close(&t.device);
    assert_int_equal(tk_device_open(&t.device, &tk_device_ref, 1, (size_t)1 << 28), TK_OK);
    t.backwards = 0;
    assert_int_equal(tk_pipeline_train(&t.mesh, &t.device, &w), TK_OK);
    assert_int_equal(t.device.pool.peak, peak);
    t.mesh = real;
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
