// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// The communicator over MPI. Values are small integers, so that sums are exact in every type and
// every result is compared bit for bit.
#include "core/base/mem.h"
#include "core/numbers/half.h"
#include "parallel/mpi/comm.h"
#include "tests/support/ranks.h"
#include <stdio.h>

enum { MOST_RANKS = 16 };
static tk_comm world;

// Element i of rank r's array: an integer in [-7, 7], every rank different.
static float value(int rank, int64_t i)
{
    return (float)((i * 7 + rank * 5 + i / 13) % 15 - 7);
}

static float sum_of(int64_t i)
{
    float s = 0;
    for (int r = 0; r < world.size; r++) s += value(r, i);
    return s;
}

static void put(void *x, int64_t i, float v, tk_dtype t)
{
    if (t == TK_F32)
        ((float *)x)[i] = v;
    else if (t == TK_BF16)
        ((uint16_t *)x)[i] = tk_bf16_from_float(v);
    else
        ((int32_t *)x)[i] = (int32_t)v;
}

static float get(const void *x, int64_t i, tk_dtype t)
{
    if (t == TK_F32) return ((const float *)x)[i];
    if (t == TK_BF16) return tk_bf16_to_float(((const uint16_t *)x)[i]);
    return (float)((const int32_t *)x)[i];
}

static const tk_dtype types[] = {TK_F32, TK_BF16, TK_I32};

static void all_reduce_once(int64_t n, tk_dtype t, tk_reduce r)
{
    char *x = tk_alloc((size_t)n * 4 + 4);
    for (int64_t i = 0; i < n; i++) put(x, i, value(world.rank, i), t);
    put(x, n, 99, t); // a guard
    assert_int_equal(tk_all_reduce(&world, x, n, t, r), TK_OK);
    for (int64_t i = 0; i < n; i++) {
        float want = value(0, i);
        for (int k = 1; k < world.size; k++) want = value(k, i) > want ? value(k, i) : want;
        if (r == TK_SUM) want = sum_of(i);
        assert_true(get(x, i, t) == want);
    }
    assert_true(get(x, n, t) == 99);
    tk_free(x);
}

static void test_all_reduce__exact(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 1, 2, 3, 1000, 16385, 100003};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int t = 0; t < 3; t++) {
            all_reduce_once(sizes[i], types[t], TK_SUM);
            all_reduce_once(sizes[i], types[t], TK_MAX);
        }
    all_reduce_once(5000017, TK_F32, TK_SUM); // several rounds of scratch
}

static void test_all_reduce__nan_is_the_maximum(void **state)
{
    (void)state;
    for (int bad = 0; bad < world.size; bad++) {
        float x = world.rank == bad ? (float)atof("nan") : 3;
        assert_int_equal(tk_all_reduce(&world, &x, 1, TK_F32, TK_MAX), TK_OK);
        assert_true(x != x);
    }
}

// Floats whose sum depends on the order: every rank must still get the same bits.
static void test_all_reduce__same_bits_everywhere(void **state)
{
    (void)state;
    enum { N = 50000 };
    float *x = tk_alloc(N * sizeof *x);
    for (int i = 0; i < N; i++) x[i] = 1.0f / (float)(1 + i % 97 + world.rank * 31);
    assert_int_equal(tk_all_reduce(&world, x, N, TK_F32, TK_SUM), TK_OK);
    assert_int_equal(tk_same(&world, "the sum", x, N * sizeof *x), TK_OK);
    for (int i = 0; i < N; i += 1000) { // and the order is that of the ranks
        float want = 1.0f / (float)(1 + i % 97);
        for (int r = 1; r < world.size; r++) want += 1.0f / (float)(1 + i % 97 + r * 31);
        assert_true(x[i] == want);
    }
    tk_free(x);
}

// Shares of rank i for layout k: even, rising, all on one, none at all.
static void fill_counts(int64_t *counts, int k, int64_t unit)
{
    for (int i = 0; i < world.size; i++) {
        counts[i] = k == 0 ? unit : k == 1 ? unit * i : k == 2 ? 0 : unit + i % 2;
        if (k == 2 && i == world.size - 1) counts[i] = unit;
        if (k == 4) counts[i] = 0;
    }
}

static void gather_and_scatter(int k, int64_t unit, tk_dtype t)
{
    int64_t counts[MOST_RANKS], total = 0, begin = 0;
    fill_counts(counts, k, unit);
    for (int i = 0; i < world.size; i++) {
        if (i < world.rank) begin += counts[i];
        total += counts[i];
    }
    int64_t mine = counts[world.rank];
    char *full = tk_alloc((size_t)total * 4 + 4), *part = tk_alloc((size_t)mine * 4 + 4);
    for (int64_t i = 0; i < mine; i++) put(part, i, value(9, begin + i), t);
    put(full, total, 99, t);
    assert_int_equal(tk_all_gather(&world, part, full, counts, 1, t), TK_OK);
    for (int64_t i = 0; i < total; i++) assert_true(get(full, i, t) == value(9, i));
    assert_true(get(full, total, t) == 99);

    for (int64_t i = 0; i < total; i++) put(full, i, value(world.rank, i), t);
    put(part, mine, 99, t);
    assert_int_equal(tk_reduce_scatter(&world, full, part, counts, 1, t), TK_OK);
    for (int64_t i = 0; i < mine; i++) assert_true(get(part, i, t) == sum_of(begin + i));
    assert_true(get(part, mine, t) == 99);
    for (int64_t i = 0; i < total; i++) assert_true(get(full, i, t) == value(world.rank, i));
    tk_free(full);
    tk_free(part);
}

static void test_gather_scatter__uneven_counts(void **state)
{
    (void)state;
    for (int k = 0; k < 5; k++)
        for (int t = 0; t < 3; t++) {
            gather_and_scatter(k, 1, types[t]);
            gather_and_scatter(k, 37, types[t]);
            gather_and_scatter(k, 76801, types[t]);
        }
}

static void test_messages__longer_than_one_piece(void **state)
{
    (void)state;
    tk_mpi_set_max_message(1000);
    gather_and_scatter(3, 2501, TK_F32);
    all_reduce_once(20011, TK_F32, TK_SUM);
    char *x = tk_alloc(5001);
    if (world.rank == 0) memset(x, 'a', 5001);
    assert_int_equal(tk_comm_broadcast(&world, x, 5001, 0), TK_OK);
    assert_int_equal(x[5000], 'a');
    tk_free(x);
    tk_mpi_set_max_message((size_t)1 << 30);
}

static void test_broadcast__from_every_rank(void **state)
{
    (void)state;
    for (int root = 0; root < world.size; root++) {
        float x[3] = {value(world.rank, 0), value(world.rank, 1), value(world.rank, 2)};
        assert_int_equal(tk_broadcast(&world, x, 3, TK_F32, root), TK_OK);
        for (int i = 0; i < 3; i++) assert_true(x[i] == value(root, i));
    }
}

// Messages in a ring, several under way at once, waited for out of order, one of them empty.
static void test_send__ring(void **state)
{
    (void)state;
    enum { N = 30011, MANY = 5 };
    if (world.size == 1) return;
    int to = (world.rank + 1) % world.size, from = (world.rank + world.size - 1) % world.size;
    float *out = tk_alloc(MANY * N * sizeof *out), *in = tk_alloc(MANY * N * sizeof *in);
    tk_request s[MANY], r[MANY];
    for (int pieces = 0; pieces < 2; pieces++) {
        tk_mpi_set_max_message(pieces ? 4096 : (size_t)1 << 30);
        memset(in, 0, MANY * N * sizeof *in);
        int64_t sent = world.bytes_sent;
        for (int k = 0; k < MANY; k++) {
            int64_t n = k == 2 ? 0 : N - k;
            assert_int_equal(tk_irecv(&world, in + k * N, n, TK_F32, from, &r[k]), TK_OK);
        }
        for (int k = 0; k < MANY; k++) {
            int64_t n = k == 2 ? 0 : N - k;
            for (int64_t i = 0; i < n; i++) out[k * N + i] = value(world.rank, i + k);
            assert_int_equal(tk_isend(&world, out + k * N, n, TK_F32, to, &s[k]), TK_OK);
        }
        for (int k = MANY; k-- > 0;) {
            assert_int_equal(tk_wait(&world, &r[k]), TK_OK);
            assert_int_equal(tk_wait(&world, &s[k]), TK_OK);
            for (int64_t i = 0; k != 2 && i < N - k; i++)
                assert_true(in[k * N + i] == value(from, i + k));
        }
        assert_int_equal(world.bytes_sent - sent, 4 * (4 * N - 0 - 1 - 3 - 4));
    }
    tk_mpi_set_max_message((size_t)1 << 30);
    tk_free(out);
    tk_free(in);
}

static void test_host__sums_and_gather(void **state)
{
    (void)state;
    enum { N = 5000 }; // more than one window
    double *d = tk_alloc(N * sizeof *d);
    uint64_t *u = tk_alloc(N * sizeof *u);
    for (int i = 0; i < N; i++) {
        d[i] = value(world.rank, i);
        u[i] = UINT64_MAX - (uint64_t)world.rank; // wraps
    }
    assert_int_equal(tk_comm_sum_f64(&world, d, N), TK_OK);
    assert_int_equal(tk_comm_sum_u64(&world, u, N), TK_OK);
    uint64_t want = 0;
    for (int r = 0; r < world.size; r++) want += UINT64_MAX - (uint64_t)r;
    for (int i = 0; i < N; i++) {
        assert_true(d[i] == sum_of(i));
        assert_true(u[i] == want);
    }
    for (size_t bytes = 3; bytes < 200000; bytes *= 40) {
        unsigned char *in = tk_alloc(bytes), *out = tk_alloc(bytes * (size_t)world.size);
        memset(in, world.rank + 1, bytes);
        assert_int_equal(tk_comm_all_gather(&world, in, out, bytes), TK_OK);
        for (size_t i = 0; i < bytes * (size_t)world.size; i++)
            assert_int_equal(out[i], i / bytes + 1);
        tk_free(in);
        tk_free(out);
    }
    assert_int_equal(tk_comm_barrier(&world), TK_OK);
    tk_free(d);
    tk_free(u);
}

static void test_agree__message_of_the_failing_rank(void **state)
{
    (void)state;
    for (int bad = 0; bad < world.size; bad++) {
        char want[64];
        tk_status mine = TK_OK;
        tk_status_clear();
        if (world.rank >= bad) mine = TK_FAIL(TK_IO, "disk of rank %d is full", world.rank);
        assert_int_equal(tk_agree(&world, mine), TK_IO);
        snprintf(want, sizeof want, "disk of rank %d is full", bad);
        assert_non_null(strstr(tk_status_message(), want));
    }
    tk_status_clear();
    assert_int_equal(tk_agree(&world, TK_OK), TK_OK);
}

static void test_same__names_the_ranks_that_differ(void **state)
{
    (void)state;
    int64_t x[2] = {1, 2};
    assert_int_equal(tk_same(&world, "the config", x, sizeof x), TK_OK);
    if (world.size == 1) return;
    if (world.rank == world.size - 1) x[1] = 3;
    assert_int_equal(tk_same(&world, "the config", x, sizeof x), TK_INPUT);
    assert_true(tk_status_shared()); // so that it is said once
    assert_non_null(strstr(tk_status_message(), "the config"));
    tk_status_clear();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_reduce__exact),
        cmocka_unit_test(test_all_reduce__nan_is_the_maximum),
        cmocka_unit_test(test_all_reduce__same_bits_everywhere),
        cmocka_unit_test(test_gather_scatter__uneven_counts),
        cmocka_unit_test(test_messages__longer_than_one_piece),
        cmocka_unit_test(test_broadcast__from_every_rank),
        cmocka_unit_test(test_send__ring),
        cmocka_unit_test(test_host__sums_and_gather),
        cmocka_unit_test(test_agree__message_of_the_failing_rank),
        cmocka_unit_test(test_same__names_the_ranks_that_differ),
    };
    ranks_run(argc, argv, world, tests);
}
