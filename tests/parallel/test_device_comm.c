// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60; cuda: too */
// Device calls between ranks, over every transport there is: MPI for devices of host memory, NCCL
// for GPUs. Values are small integers, so that sums are exact in every type and every result is
// compared bit for bit; where they are not, the order of sums is held to that of the ranks.
#include "core/base/mem.h"
#include "core/numbers/half.h"
#include "parallel/mpi/comm.h"
#ifdef TK_NCCL
#include "parallel/nccl/comm.h"
#endif
#include "tests/support/ranks.h"
#include "tests/support/values.h"
#include <stdio.h>

enum { MOST_RANKS = 16 };
static tk_comm world;
static tk_device device;
static tk_device_comm all, comm; // over NCCL, `comm` is split off `all`

static int open_mpi(void **state)
{
    (void)state;
    assert_ok(tk_device_open(&device, &tk_device_ref, 1, (size_t)1 << 30));
    assert_ok(tk_mpi_device(&world, &device, TK_QUEUE_DATA, false, &comm));
    return 0;
}

#ifdef TK_NCCL
static int open_nccl(void **state)
{
    (void)state;
    assert_ok(tk_device_open(&device, tk_device_find(TK_DEVICE_CUDA), 1, (size_t)1 << 24));
    assert_ok(tk_nccl_world(&world, &device, &all));
    assert_ok(tk_nccl_split(&all, &world, TK_QUEUE_DATA, &comm));
    return 0;
}
#endif

static int close_all(void **state)
{
    (void)state;
    tk_device_comm_close(&comm);
    tk_device_comm_close(&all);
    tk_device_close(&device);
    return 0;
}

// ---- memory of the device, beside it the host's copy, by which it goes --------------------------

typedef struct buffer {
    tk_tensor there;
    size_t bytes;
    _Alignas(16) char host[];
} buffer;

static buffer *buffer_of(void *x)
{
    return (buffer *)((char *)x - offsetof(buffer, host));
}

static void *take(size_t bytes)
{
    buffer *b = calloc(1, sizeof *b + bytes + 4);
    b->bytes = bytes + 4;
    assert_ok(tk_device_new(&device, TK_I32, 1, (int64_t)(bytes / 4 + 1), &b->there));
    return b->host;
}

static void give(void *x)
{
    tk_device_free(&device, &buffer_of(x)->there);
    free(buffer_of(x));
}

static void *up(void *x) // its address on the device, after an upload
{
    buffer *b = buffer_of(x);
    assert_ok(tk_device_upload(&device, b->there.data, x, b->bytes / 4 * 4));
    assert_ok(tk_device_sync(&device));
    return b->there.data;
}

static void down(void *x)
{
    const buffer *b = buffer_of(x);
    assert_ok(tk_device_download(&device, x, b->there.data, b->bytes / 4 * 4));
    assert_ok(tk_device_sync(&device));
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
    char *x = take((size_t)n * 4 + 4);
    for (int64_t i = 0; i < n; i++) put(x, i, value_of_rank(world.rank, i), t);
    put(x, n, 99, t); // a guard
    assert_ok(tk_all_reduce(&comm, up(x), n, t, r));
    down(x);
    for (int64_t i = 0; i < n; i++) {
        float want = value_of_rank(0, i);
        for (int k = 1; k < world.size; k++)
            want = value_of_rank(k, i) > want ? value_of_rank(k, i) : want;
        if (r == TK_SUM) want = sum_of_values(&world, i);
        assert_true(get(x, i, t) == want);
    }
    assert_true(get(x, n, t) == 99);
    give(x);
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
    if (all.ops) return;
    all_reduce_once(5000017, TK_F32, TK_SUM); // several rounds of scratch
}

static void test_all_reduce__nan_is_the_maximum(void **state)
{
    (void)state;
    for (int bad = 0; bad < world.size; bad++) {
        float *x = take(sizeof *x);
        *x = world.rank == bad ? (float)atof("nan") : 3;
        assert_ok(tk_all_reduce(&comm, up(x), 1, TK_F32, TK_MAX));
        down(x);
        assert_true(*x != *x);
        give(x);
    }
}

// Floats whose sum depends on the order: every rank must still get the same bits.
static void test_all_reduce__same_bits_everywhere(void **state)
{
    (void)state;
    enum { N = 50000 };
    float *x = take(N * sizeof *x);
    for (int i = 0; i < N; i++) x[i] = 1.0f / (float)(1 + i % 97 + world.rank * 31);
    assert_ok(tk_all_reduce(&comm, up(x), N, TK_F32, TK_SUM));
    down(x);
    assert_ok(tk_same(&world, "the sum", x, N * sizeof *x));
    for (int i = 0; i < N; i += 1000) { // and the order is that of the ranks
        float want = 1.0f / (float)(1 + i % 97);
        for (int r = 1; r < world.size; r++) want += 1.0f / (float)(1 + i % 97 + r * 31);
        assert_true(x[i] == want);
    }
    give(x);
}

// Sums of bf16 are those of fp32 in rank order, rounded once: rounding after each rank would lose
// what all but the first one give.
static void test_sums_of_bf16__are_rounded_once(void **state)
{
    (void)state;
    enum { N = 40000 }; // long enough for an exchange in two halves
    int64_t counts[MOST_RANKS] = {N};
    uint16_t *x = take(N * sizeof *x), *part = take(N * sizeof *part);
    for (int way = 0; way < 2; way++) {
        for (int i = 0; i < N; i++)
            x[i] = tk_bf16_from_float(world.rank ? 0.4f : 128.0f + (float)(i % 64));
        void *there = up(x), *share = up(part);
        if (way == 0) assert_ok(tk_all_reduce(&comm, there, N, TK_BF16, TK_SUM));
        if (way == 1) assert_ok(tk_reduce_scatter(&comm, there, share, counts, 1, TK_BF16));
        down(x);
        down(part);
        for (int i = 0; i < N && (way == 0 || world.rank == 0); i++) {
            const float some = tk_bf16_to_float(tk_bf16_from_float(0.4f));
            float want = 128.0f + (float)(i % 64);
            for (int r = 1; r < world.size; r++) want += some;
            assert_int_equal((way ? part : x)[i], tk_bf16_from_float(want));
        }
    }
    give(x);
    give(part);
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
    char *full = take((size_t)total * 4 + 4), *part = take((size_t)mine * 4 + 4);
    for (int64_t i = 0; i < mine; i++) put(part, i, value_of_rank(9, begin + i), t);
    put(full, total, 99, t);
    void *there = up(full), *share = up(part);
    assert_ok(tk_all_gather(&comm, share, there, counts, 1, t));
    down(full);
    for (int64_t i = 0; i < total; i++) assert_true(get(full, i, t) == value_of_rank(9, i));
    assert_true(get(full, total, t) == 99);

    for (int64_t i = 0; i < total; i++) put(full, i, value_of_rank(world.rank, i), t);
    put(part, mine, 99, t);
    up(full);
    up(part);
    assert_ok(tk_reduce_scatter(&comm, there, share, counts, 1, t));
    down(full);
    down(part);
    for (int64_t i = 0; i < mine; i++)
        assert_true(get(part, i, t) == sum_of_values(&world, begin + i));
    assert_true(get(part, mine, t) == 99);
    for (int64_t i = 0; i < total; i++)
        assert_true(get(full, i, t) == value_of_rank(world.rank, i));
    give(full);
    give(part);
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
    tk_comm_set_parts(5000);
    gather_and_scatter(3, 2501, TK_F32);
    all_reduce_once(20011, TK_F32, TK_SUM);
    tk_mpi_set_max_message((size_t)1 << 30);
    tk_comm_set_parts((size_t)1 << 26);
}

static void test_broadcast__from_every_rank(void **state)
{
    (void)state;
    float *x = take(3 * sizeof *x);
    for (int root = 0; root < world.size; root++) {
        for (int i = 0; i < 3; i++) x[i] = value_of_rank(world.rank, i);
        assert_ok(tk_broadcast(&comm, up(x), 3, TK_F32, root));
        down(x);
        for (int i = 0; i < 3; i++) assert_true(x[i] == value_of_rank(root, i));
    }
    give(x);
}

// Messages in a ring, several under way at once, waited for out of order, one of them empty.
static void test_send__ring(void **state)
{
    (void)state;
    enum { N = 30011, MANY = 5 };
    if (world.size == 1) return;
    int to = (world.rank + 1) % world.size, from = (world.rank + world.size - 1) % world.size;
    float *out = take(MANY * N * sizeof *out), *in = take(MANY * N * sizeof *in);
    tk_request s[MANY], r[MANY];
    for (int pieces = 0; pieces < 2; pieces++) {
        tk_mpi_set_max_message(pieces ? 4096 : (size_t)1 << 30);
        memset(in, 0, MANY * N * sizeof *in);
        int64_t sent = comm.bytes_sent;
        for (int k = 0; k < MANY; k++)
            for (int64_t i = 0; k != 2 && i < N - k; i++)
                out[k * N + i] = value_of_rank(world.rank, i + k);
        float *away = up(out), *here = up(in);
        assert_ok(tk_group_begin(&comm));
        for (int k = 0; k < MANY; k++)
            assert_ok(tk_irecv(&comm, here + k * N, k == 2 ? 0 : N - k, TK_F32, from, &r[k]));
        for (int k = 0; k < MANY; k++)
            assert_ok(tk_isend(&comm, away + k * N, k == 2 ? 0 : N - k, TK_F32, to, &s[k]));
        assert_ok(tk_group_end(&comm));
        for (int k = MANY; k-- > 0;) {
            assert_ok(tk_wait(&comm, &r[k]));
            assert_ok(tk_wait(&comm, &s[k]));
        }
        down(in);
        for (int k = MANY; k-- > 0;) {
            for (int64_t i = 0; k != 2 && i < N - k; i++)
                assert_true(in[k * N + i] == value_of_rank(from, i + k));
        }
        assert_int_equal(comm.bytes_sent - sent, 4 * (4 * N - 0 - 1 - 3 - 4));
    }
    tk_mpi_set_max_message((size_t)1 << 30);
    give(out);
    give(in);
}

// Every pair of neighbours exchanges in one group, whoever asks for what first.
static void test_group__both_ways_at_once(void **state)
{
    (void)state;
    enum { N = 300007 }; // far more than is sent without a receive
    const int next = (world.rank + 1) % world.size;
    const int previous = (world.rank + world.size - 1) % world.size;
    if (world.size == 1) return;
    float *out = take(N * sizeof *out), *in = take(2 * N * sizeof *in);
    for (int64_t i = 0; i < N; i++) out[i] = value_of_rank(world.rank, i);
    for (int first = 0; first < 2; first++) {
        tk_request r[4] = {{0}};
        memset(in, 0, 2 * N * sizeof *in);
        float *away = up(out), *here = up(in);
        assert_ok(tk_group_begin(&comm));
        for (int k = 0; k < 2; k++) {
            const bool sends = (world.rank + k + first) % 2;
            if (sends) assert_ok(tk_isend(&comm, away, N, TK_F32, next, &r[0]));
            if (sends) assert_ok(tk_isend(&comm, away, N, TK_F32, previous, &r[1]));
            if (!sends) assert_ok(tk_irecv(&comm, here, N, TK_F32, previous, &r[2]));
            if (!sends) assert_ok(tk_irecv(&comm, here + N, N, TK_F32, next, &r[3]));
        }
        assert_ok(tk_group_end(&comm));
        for (int k = 0; k < 4; k++) assert_ok(tk_wait(&comm, &r[k]));
        down(in);
        for (int64_t i = 0; i < N; i++) assert_true(in[i] == value_of_rank(previous, i));
        for (int64_t i = 0; i < N; i++) assert_true(in[N + i] == value_of_rank(next, i));
    }
    give(out);
    give(in);
}

// The host's calls and the device's do not meet, though both are between the same ranks.
static void test_calls__of_host_and_device_are_apart(void **state)
{
    (void)state;
    enum { N = 100003 };
    if (world.size == 1) return;
    const int to = (world.rank + 1) % world.size, from = (world.rank + world.size - 1) % world.size;
    float *out = take(N * sizeof *out), *in = take(N * sizeof *in);
    tk_request sent, came;
    for (int64_t i = 0; i < N; i++) out[i] = value_of_rank(world.rank, i);
    float *away = up(out), *here = up(in);
    assert_ok(tk_group_begin(&comm));
    assert_ok(tk_irecv(&comm, here, N, TK_F32, from, &came));
    assert_ok(tk_comm_barrier(&world));
    assert_ok(tk_isend(&comm, away, N, TK_F32, to, &sent));
    assert_ok(tk_group_end(&comm));
    for (int i = 0; i < 3; i++) {
        double sum = 1;
        assert_ok(tk_comm_sum_f64(&world, &sum, 1));
        assert_true(sum == world.size);
    }
    assert_ok(tk_wait(&comm, &came));
    assert_ok(tk_wait(&comm, &sent));
    down(in);
    for (int64_t i = 0; i < N; i++) assert_true(in[i] == value_of_rank(from, i));
    give(out);
    give(in);
}

// Every sort of call to the ends of what it may be, in a group of its own for each transport.
int main(int argc, char **argv)
{
    int failed = 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_reduce__exact),
        cmocka_unit_test(test_all_reduce__nan_is_the_maximum),
        cmocka_unit_test(test_all_reduce__same_bits_everywhere),
        cmocka_unit_test(test_sums_of_bf16__are_rounded_once),
        cmocka_unit_test(test_gather_scatter__uneven_counts),
        cmocka_unit_test(test_messages__longer_than_one_piece),
        cmocka_unit_test(test_broadcast__from_every_rank),
        cmocka_unit_test(test_send__ring),
        cmocka_unit_test(test_group__both_ways_at_once),
        cmocka_unit_test(test_calls__of_host_and_device_are_apart),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    failed |= cmocka_run_group_tests_name("mpi", tests, open_mpi, close_all);
#ifdef TK_NCCL
    if (world.size > 1 && ranks_have_gpus(&world))
        failed |= cmocka_run_group_tests_name("nccl", tests, open_nccl, close_all);
#endif
    if (failed) tk_parallel_abort(1);
    tk_parallel_stop();
    return 0;
}
