// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 120; cuda: too */
// Products with gathers before them and sums over ranks behind, between real ranks: whatever the
// pieces, and whether they move beside products or not, what the parts give, from as many bytes
// sent. Small integers, so results are exact. On the processor also on a device that runs behind,
// where a wait that lacks shows.
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "tests/support/deferred.h"
#include "tests/support/ranks.h"
#include "tests/support/tested.h"

enum { MOST_RANKS = 8, C = 7, M = 5, WEIGHTS = 3, MOST_ROWS = 64 };
static tk_comm world;

typedef struct rig {
    tk_mesh mesh;
    tk_device device;
    tk_device_comm *comm;
    tk_dtype type;
    int64_t counts[MOST_RANKS], total, begin;
} rig;

// Shares: rising, even, all but the first on the last rank, uneven by one.
static void share_rows(rig *g, int layout)
{
    g->begin = g->total = 0;
    for (int r = 0; r < world.size; r++) {
        g->counts[r] = layout == 0   ? r + 1
                       : layout == 1 ? 4
                       : layout == 2 ? (r == world.size - 1 ? 5 : r == 0)
                                     : tk_split_count(13, world.size, r);
        if (r < world.rank) g->begin += g->counts[r];
        g->total += g->counts[r];
    }
    assert_true(g->total <= MOST_ROWS);
}

static void open_rig(rig *g)
{
    tk_parallel_config p = {.tensor = world.size, .pipeline = 1};
    const size_t pool = tested_is_cuda() ? 0 : (size_t)1 << 24;
    *g = (rig){0};
    assert_ok(tk_mesh_open(&g->mesh, &world, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&g->device, tested_device(), 1, pool));
    assert_ok(tk_mesh_attach(&g->mesh, &g->device));
    g->comm = &g->mesh.axis[TK_AXIS_TENSOR].device;
}

static void close_rig(rig *g)
{
    assert_int_equal(g->device.pool.in_use, 0);
    tk_mesh_close(&g->mesh);
    tk_device_close(&g->device);
}

// ---- numbers -----------------------------------------------------------------------------------

typedef enum number { X, W, DY = W + WEIGHTS, THERE = DY + WEIGHTS } number;

// Element of one of them on rank r; what all ranks have alike is that of rank 0.
static float at(number what, int r, int64_t row, int64_t col)
{
    const int64_t mixed = row * 5 + col * 3 + r * 7 + (int64_t)what * 11;
    return (float)((mixed * mixed + mixed) % (what >= W && what < DY ? 3 : 5) - 1);
}

static tk_tensor put(rig *g, tk_dtype t, number what, int r, int64_t first, int64_t rows,
                     int64_t cols)
{
    static float x[MOST_ROWS * 8];
    static uint16_t half[MOST_ROWS * 8];
    tk_tensor to;
    for (int64_t i = 0; i < rows * cols; i++) {
        x[i] = at(what, r, first + i / cols, i % cols);
        half[i] = tk_bf16_from_float(x[i]);
    }
    assert_ok(tk_device_put(&g->device, t == TK_F32 ? (void *)x : half, t, rows, cols, &to));
    assert_ok(tk_device_sync(&g->device)); // the next call writes them again
    return to;
}

static tk_tensor fresh(rig *g, int64_t rows, int64_t cols)
{
    tk_tensor t;
    assert_ok(tk_device_new(&g->device, g->type, rows, cols, &t));
    return t;
}

typedef float (*wanted)(const rig *g, int k, int64_t row, int64_t col);

// Whether t's element (i, j) is of(k, first + i, j) and what was there before.
static bool holds(rig *g, const tk_tensor *t, wanted of, int k, int64_t first, bool added)
{
    float x[MOST_ROWS * 8];
    uint16_t half[MOST_ROWS * 8];
    const int64_t cols = tk_cols(t);
    bool good = true;
    assert_ok(tk_device_get(&g->device, t, t->dtype == TK_F32 ? (void *)x : half));
    for (int64_t i = 0; i < tk_count(t); i++) {
        const float got = t->dtype == TK_F32 ? x[i] : tk_bf16_to_float(half[i]);
        const int64_t row = first + i / cols, col = i % cols;
        good &= got == of(g, k, row, col) + (added ? at(THERE, world.rank, row, col) : 0);
    }
    return good;
}

// ---- gather_linear -----------------------------------------------------------------------------

static float gathered(const rig *g, int k, int64_t row, int64_t col)
{
    (void)g, (void)k;
    return at(X, 0, row, col);
}

static float product(const rig *g, int k, int64_t row, int64_t col)
{
    float s = 0;
    (void)g;
    for (int64_t c = 0; c < C; c++) s += at(X, 0, row, c) * at(W + k, world.rank, col, c);
    return s;
}

static float back_of_rows(const rig *g, int weights, int64_t row, int64_t col)
{
    float s = 0;
    (void)g;
    for (int r = 0; r < world.size; r++)
        for (int k = 0; k < weights; k++)
            for (int64_t m = 0; m < M; m++) s += at(DY + k, r, row, m) * at(W + k, r, m, col);
    return s;
}

static float back_of_weight(const rig *g, int k, int64_t row, int64_t col)
{
    float s = 0;
    for (int64_t n = 0; n < g->total; n++) s += at(DY + k, world.rank, n, row) * at(X, 0, n, col);
    return s;
}

typedef struct way {
    int64_t pieces;
    bool beside, add;
} way;

static void free_all(rig *g, tk_call *c)
{
    for (int k = 0; k < TK_OP_IN; k++)
        tk_device_free(&g->device, &c->in[k]), tk_device_free(&g->device, &c->din[k]);
    for (int k = 0; k < TK_OP_OUT; k++)
        tk_device_free(&g->device, &c->out[k]), tk_device_free(&g->device, &c->dout[k]);
}

static bool gather_is_right(rig *g, int weights, way w)
{
    const int me = world.rank;
    const int64_t own = g->counts[me];
    tk_call c = {
        .op = TK_OP_GATHER_LINEAR, .i = {w.pieces, w.beside}, .comm = g->comm, .counts = g->counts};
    c.in[0] = put(g, g->type, X, 0, g->begin, own, C);
    c.out[WEIGHTS] = fresh(g, g->total, C);
    for (int k = 0; k < weights; k++) {
        c.in[1 + k] = put(g, g->type, W + k, me, 0, M, C);
        c.out[k] = fresh(g, g->total, M);
    }
    assert_ok(tk_op_forward(&g->device, &c));
    bool good = holds(g, &c.out[WEIGHTS], gathered, 0, 0, false);
    for (int k = 0; k < weights; k++) {
        good &= holds(g, &c.out[k], product, k, 0, false);
        c.dout[k] = put(g, g->type, DY + k, me, 0, g->total, M);
        c.din[1 + k] = put(g, TK_F32, THERE, me, 0, M, C);
        c.add[1 + k] = w.add;
    }
    c.din[0] = put(g, g->type, THERE, me, g->begin, own, C);
    c.add[0] = w.add;
    assert_ok(tk_op_backward(&g->device, &c));
    good &= holds(g, &c.din[0], back_of_rows, weights, g->begin, w.add);
    for (int k = 0; k < weights; k++) good &= holds(g, &c.din[1 + k], back_of_weight, k, 0, w.add);
    free_all(g, &c);
    return good;
}

// ---- linear_scatter ----------------------------------------------------------------------------

static float summed(const rig *g, int k, int64_t row, int64_t col)
{
    float s = 0;
    (void)g, (void)k;
    for (int r = 0; r < world.size; r++)
        for (int64_t c = 0; c < C; c++) s += at(X, r, row, c) * at(W, r, col, c);
    return s;
}

static float spread(const rig *g, int k, int64_t row, int64_t col)
{
    float s = 0;
    (void)g, (void)k;
    for (int64_t m = 0; m < M; m++) s += at(DY, 0, row, m) * at(W, world.rank, m, col);
    return s;
}

static float back_of_own_weight(const rig *g, int k, int64_t row, int64_t col)
{
    float s = 0;
    (void)k;
    for (int64_t n = 0; n < g->total; n++) s += at(DY, 0, n, row) * at(X, world.rank, n, col);
    return s;
}

static float gathered_back(const rig *g, int k, int64_t row, int64_t col)
{
    (void)g, (void)k;
    return at(DY, 0, row, col);
}

static bool scatter_is_right(rig *g, bool later, way w)
{
    const int me = world.rank;
    const int64_t own = g->counts[me];
    tk_call c = {.op = TK_OP_LINEAR_SCATTER,
                 .i = {w.pieces, w.beside},
                 .in = {put(g, g->type, X, me, 0, g->total, C), put(g, g->type, W, me, 0, M, C)},
                 .out = {fresh(g, own, M)},
                 .comm = g->comm,
                 .counts = g->counts};
    assert_ok(tk_op_forward(&g->device, &c));
    bool good = holds(g, &c.out[0], summed, 0, g->begin, false);
    c.dout[0] = put(g, g->type, DY, 0, g->begin, own, M);
    if (later) c.dout[1] = fresh(g, g->total, M);
    c.din[0] = put(g, g->type, THERE, me, 0, g->total, C);
    if (!later) c.din[1] = put(g, TK_F32, THERE, me, 0, M, C);
    c.add[0] = c.add[1] = w.add;
    assert_ok(tk_op_backward(&g->device, &c));
    good &= holds(g, &c.din[0], spread, 0, 0, w.add);
    if (later) good &= holds(g, &c.dout[1], gathered_back, 0, 0, false);
    if (!later) good &= holds(g, &c.din[1], back_of_own_weight, 0, 0, w.add);
    free_all(g, &c);
    return good;
}

// ---- the tests ---------------------------------------------------------------------------------

static void test_rows__any_pieces_give_what_the_parts_give(void **state)
{
    static const way ways[] = {{0, false, false}, {0, false, true}, {1, true, false},
                               {1, false, true},  {2, true, true},  {7, true, false}};
    const int by = tested_is_cuda() ? 3 : 1; // an emulated one takes its time
    rig g;
    (void)state;
    open_rig(&g);
    for (int type = 0; type < 2; type++)
        for (int layout = 0; layout < 4; layout += by) {
            int64_t sent[sizeof ways / sizeof *ways];
            g.type = type ? TK_BF16 : TK_F32;
            share_rows(&g, layout);
            for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
                const int64_t before = g.comm->bytes_sent;
                assert_true(gather_is_right(&g, i % 2 ? 1 : WEIGHTS, ways[i]));
                assert_true(scatter_is_right(&g, i % 2, ways[i]));
                sent[i] = g.comm->bytes_sent - before;
                assert_int_equal(sent[i], sent[0]);
            }
            // gathers and sums there and back: twice its own rows to each other rank, and twice
            // each other rank's
            const int64_t own = g.counts[world.rank], others = g.total - own;
            assert_int_equal(sent[0], ((world.size - 1) * own + others) * (C + M) *
                                          (int64_t)tk_dtype_size(g.type));
        }
    close_rig(&g);
}

// ---- on a device that runs behind --------------------------------------------------------------

// Waits left out: two from number `left_out` on, of what comes and of what is sent; 0: none.
static bool right_behind(uint64_t seed, int64_t left_out, bool beside, int64_t *waits)
{
    rig g;
    uint64_t bad = 0;
    open_rig(&g);
    g.type = TK_F32;
    share_rows(&g, 3);
    deferred_start(&g.device, &g.mesh, seed);
    const int64_t before = deferred_waits();
    if (left_out) deferred_leave_out_two(left_out);
    bad += !gather_is_right(&g, WEIGHTS, (way){1, beside, false});
    bad += !scatter_is_right(&g, false, (way){1, beside, false});
    *waits = deferred_waits() - before;
    deferred_leave_out(0);
    if (!left_out) assert_int_equal(deferred_faults(), 0);
    assert_ok(tk_comm_sum_u64(&world, &bad, 1));
    close_rig(&g);
    return bad == 0;
}

// Of each of the four exchanges of two ranks the device waits once before it sends, and once each
// for what comes and for what is sent. Without the latter two, somebody reads what has not come.
static void test_rows__behind_a_wait_left_out_shows(void **state)
{
    enum { SEEDS = 3, EXCHANGES = 4, WAITS = 3 };
    int64_t waits = 0;
    (void)state;
    if (tested_is_cuda() || world.size != 2) return;
    for (uint64_t seed = 0; seed < 2 * SEEDS; seed++) {
        assert_true(right_behind(seed, 0, seed % 2, &waits));
        assert_int_equal(waits, EXCHANGES * WAITS);
    }
    for (int64_t n = 0; n < EXCHANGES; n++) {
        bool shows = false;
        for (uint64_t seed = 0; seed < SEEDS && !shows; seed++)
            shows = !right_behind(seed, n * WAITS + 2, true, &waits);
        assert_true(shows);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows__any_pieces_give_what_the_parts_give),
        cmocka_unit_test(test_rows__behind_a_wait_left_out_shows),
    };
    ranks_run(argc, argv, world, tests);
}
