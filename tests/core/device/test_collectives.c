// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3; timeout: 60 */
// The collectives of the model among real ranks, on every backend and in both types of activations:
// forward, gradients, gradients that are added to, and what they leave behind. Values are small
// integers, so results are exact.
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "parallel/mpi/comm.h"
#include "tests/support/ranks.h"

enum { MOST_RANKS = 4, ROWS = 5, COLS = 7 };
static tk_comm world;

typedef struct rig {
    tk_device device;
    tk_device_comm comm;
    tk_dtype type;
    int64_t counts[MOST_RANKS], total, begin; // shares of the ranks; those before this one's
} rig;

// Element (row, column) of what rank r holds.
static float value(int r, int64_t row, int64_t col)
{
    return (float)((row * 5 + col * 3 + r * 7) % 11 - 5);
}

static float sum_of(int64_t row, int64_t col)
{
    float s = 0;
    for (int r = 0; r < world.size; r++) s += value(r, row, col);
    return s;
}

// Shares of layout k: rising, even, all on the last rank.
static void open_rig(rig *g, const tk_device_ops *ops, tk_dtype type, int k)
{
    *g = (rig){.type = type};
    assert_ok(tk_device_open(&g->device, ops, 2, (size_t)1 << 26));
    if (world.size > 1)
        assert_ok(tk_mpi_device(&world, &g->device, TK_QUEUE_COMPUTE, false, &g->comm));
    else
        tk_device_comm_self(&g->comm, &world, &g->device);
    for (int r = 0; r < world.size; r++) {
        g->counts[r] = k == 0 ? r + 1 : k == 1 ? 2 : r == world.size - 1 ? 3 : 0;
        if (r < world.rank) g->begin += g->counts[r];
        g->total += g->counts[r];
    }
}

static void close_rig(rig *g)
{
    assert_int_equal(g->device.pool.in_use, 0);
    tk_device_comm_close(&g->comm);
    tk_device_close(&g->device);
}

// What a tensor holds: its element (i, j) is f(first row + i, first column + j).
typedef struct wanted {
    float (*of)(const rig *g, int64_t row, int64_t col);
    int64_t row, col; // the first ones
} wanted;

static float mine(const rig *g, int64_t row, int64_t col)
{
    (void)g;
    return value(world.rank, row, col);
}

static float same(const rig *g, int64_t row, int64_t col)
{
    (void)g;
    return value(9, row, col);
}

static float summed(const rig *g, int64_t row, int64_t col)
{
    (void)g;
    return sum_of(row, col);
}

static tk_tensor put(rig *g, int64_t rows, int64_t cols, wanted w)
{
    uint16_t half[64 * COLS];
    float x[64 * COLS];
    tk_tensor t;
    assert_true(rows * cols <= 64 * COLS);
    for (int64_t i = 0; i < rows * cols; i++) {
        x[i] = w.of ? w.of(g, w.row + i / cols, w.col + i % cols) : 99;
        half[i] = tk_bf16_from_float(x[i]);
    }
    assert_ok(
        tk_device_put(&g->device, g->type == TK_F32 ? (void *)x : half, g->type, rows, cols, &t));
    return t;
}

static void holds(rig *g, const tk_tensor *t, wanted w, float and_also)
{
    uint16_t half[64 * COLS];
    float x[64 * COLS];
    const int64_t cols = tk_cols(t);
    assert_ok(tk_device_get(&g->device, t, g->type == TK_F32 ? (void *)x : half));
    for (int64_t i = 0; i < tk_count(t); i++) {
        const float got = g->type == TK_F32 ? x[i] : tk_bf16_to_float(half[i]);
        assert_true(got == w.of(g, w.row + i / cols, w.col + i % cols) + and_also);
    }
}

// x of (rows, cols) becomes y of (out_rows, out_cols), and dy of that dx.
static void check(rig *g, tk_op op, tk_tensor x, tk_tensor out, wanted y, tk_tensor dout, wanted dx)
{
    tk_call c = {.op = op, .in = {x}, .out = {out}, .comm = &g->comm, .counts = g->counts};
    assert_ok(tk_op_forward(&g->device, &c));
    holds(g, &c.out[0], y, 0);
    for (int added = 0; added < 2; added++) {
        tk_tensor din = put(g, tk_rows(&x), tk_cols(&x), (wanted){0});
        c.dout[0] = dout;
        c.din[0] = din;
        c.add[0] = added;
        assert_ok(tk_op_backward(&g->device, &c));
        holds(g, &din, dx, added ? 99 : 0);
        tk_device_free(&g->device, &din);
    }
    tk_device_free(&g->device, &x);
    tk_device_free(&g->device, &out);
    tk_device_free(&g->device, &dout);
}

static void check_all(rig *g)
{
    const int64_t own = g->counts[world.rank], all = g->total, at = g->begin;
    const int64_t sent = g->comm.bytes_sent;
    check(g, TK_OP_GATHER_ROWS, put(g, own, COLS, (wanted){same, at, 0}),
          put(g, all, COLS, (wanted){0}), (wanted){same, 0, 0},
          put(g, all, COLS, (wanted){mine, 0, 0}), (wanted){summed, at, 0});
    check(g, TK_OP_SCATTER_SUM, put(g, all, COLS, (wanted){mine, 0, 0}),
          put(g, own, COLS, (wanted){0}), (wanted){summed, at, 0},
          put(g, own, COLS, (wanted){same, at, 0}), (wanted){same, 0, 0});
    check(g, TK_OP_GATHER_COLS, put(g, ROWS, own, (wanted){same, 0, at}),
          put(g, ROWS, all, (wanted){0}), (wanted){same, 0, 0},
          put(g, ROWS, all, (wanted){mine, 0, 0}), (wanted){summed, 0, at});
    if (world.size == 1) assert_int_equal(g->comm.bytes_sent, sent);
    if (world.size > 1) assert_true(g->comm.bytes_sent > sent);
}

static void test_collectives__on_every_backend(void **state)
{
    static const tk_device_ops *const backends[] = {&tk_device_ref, &tk_device_cpu};
    (void)state;
    for (int b = 0; b < 2; b++)
        for (int type = 0; type < 2; type++)
            for (int k = 0; k < 3; k++) {
                rig g;
                open_rig(&g, backends[b], type ? TK_BF16 : TK_F32, k);
                check_all(&g);
                close_rig(&g);
            }
}

// A dry run takes as much memory and sends as much as this rank gives away.
static void test_collectives__dry(void **state)
{
    rig g;
    tk_comm host;
    tk_device_comm dry;
    const int64_t counts[3] = {3, 2, 0};
    (void)state;
    open_rig(&g, &tk_device_cpu, TK_F32, 0);
    tk_device_comm_close(&g.comm);
    tk_device_close(&g.device);
    assert_ok(tk_device_open_dry(&g.device, &tk_device_cpu, 1, (size_t)1 << 26));
    tk_comm_dry(&host, "tensor", 1, 3);
    tk_device_comm_dry(&dry, &host, &g.device, TK_QUEUE_COMPUTE);
    tk_call c = {.op = TK_OP_GATHER_COLS, .comm = &dry, .counts = counts};
    assert_ok(tk_device_new(&g.device, TK_F32, ROWS, 2, &c.in[0]));
    assert_ok(tk_device_new(&g.device, TK_F32, ROWS, 5, &c.out[0]));
    assert_ok(tk_op_forward(&g.device, &c));
    assert_int_equal(dry.bytes_sent, 4 * ROWS * (2 * 2));
    const size_t used = g.device.pool.in_use;
    assert_int_equal(g.device.pool.peak, used + (4 * ROWS * 5 + 63) / 64 * 64); // the blocks
    c.dout[0] = c.out[0];
    c.din[0] = c.in[0];
    assert_ok(tk_op_backward(&g.device, &c));
    assert_int_equal(dry.bytes_sent, 4 * ROWS * (2 * 2 + 3));
    tk_device_close(&g.device);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_collectives__on_every_backend),
        cmocka_unit_test(test_collectives__dry),
    };
    ranks_run(argc, argv, world, tests);
}
