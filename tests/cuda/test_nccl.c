// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 240; kernels: beat */
// What goes wrong between the GPUs of several ranks, on stand-ins: each is told in words, within
// seconds, with the right exit code. The program runs itself under mpirun in a role given as an
// argument; rank 1 is the one that misbehaves.
#include "core/device/graph.h"
#include "parallel/mpi/start.h"
#include "parallel/nccl/internal.h"
#include "tests/cuda/standin/standin.h"
#include "tests/cuda/told.h"
#include <dlfcn.h>
#include <unistd.h>

enum { N = 5000, SEEDS = 8, MANY = 60, BEFORE = 6 };
static tk_comm world;
static tk_device device;
static tk_device_comm all, comm;
static tk_tensor x, y, z;

static tk_status open_all(void)
{
    TK_TRY(tk_device_open(&device, tk_device_find(TK_DEVICE_CUDA), 1, (size_t)1 << 20));
    TK_TRY(tk_nccl_world(&world, &device, &all));
    TK_TRY(tk_nccl_split(&all, &world, TK_QUEUE_DATA, &comm));
    TK_TRY(tk_device_new(&device, TK_F32, 1, N, &x));
    TK_TRY(tk_device_new(&device, TK_F32, 1, N, &y));
    return tk_device_new(&device, TK_F32, RANKS, N, &z);
}

static void close_all(void)
{
    tk_device_comm_close(&comm);
    tk_device_comm_close(&all);
    tk_device_close(&device);
}

static float value(int rank, int i)
{
    return (float)((i * 7 + rank * 5) % 15 + 1);
}

// ---- order between queues -----------------------------------------------------------------------

static const tk_device_comm_ops *right;

// Its messages go by a stream that is not the communicator's.
static tk_status end_elsewhere(tk_device_comm *c)
{
    c->queue = TK_QUEUE_COPY;
    const tk_status st = right->group_end(c);
    c->queue = TK_QUEUE_DATA;
    return st;
}

// Work of the compute queue, a sum on the communicator's, an exchange, work again. Returns whether
// all numbers are right.
static bool mixed(void)
{
    enum { ELEMENTS = N };
    static float host[ELEMENTS], sum[ELEMENTS], came[ELEMENTS];
    tk_request r[2] = {{0}};
    const int other = 1 - world.rank;
    bool good = true;
    for (int i = 0; i < N; i++) host[i] = value(world.rank, i);
    for (int i = 0; i < BEFORE; i++) assert_ok(tk_device_zero(&device, y.data, sizeof host));
    assert_ok(tk_device_upload(&device, x.data, host, sizeof host));
    assert_ok(tk_group_begin(&comm));
    assert_ok(tk_isend(&comm, x.data, N, TK_F32, other, &r[0]));
    assert_ok(tk_irecv(&comm, y.data, N, TK_F32, other, &r[1]));
    assert_ok(tk_group_end(&comm));
    assert_ok(tk_wait(&comm, &r[1]));
    assert_ok(tk_device_download(&device, came, y.data, sizeof came));
    assert_ok(tk_wait(&comm, &r[0]));
    for (int i = 0; i < BEFORE; i++) assert_ok(tk_device_zero(&device, x.data, sizeof host));
    assert_ok(tk_device_upload(&device, x.data, host, sizeof host));
    assert_ok(tk_all_reduce(&comm, x.data, N, TK_F32, TK_SUM));
    assert_ok(tk_device_download(&device, sum, x.data, sizeof sum));
    assert_ok(tk_device_sync(&device));
    for (int i = 0; i < N; i++) {
        good &= came[i] == value(other, i);
        good &= sum[i] == value(0, i) + value(1, i);
    }
    return good;
}

// Whether it shows in one of `orders` of the streams, on any rank, that rank 1's n-th wait is none.
// When messages come in has its part in that too, so one order alone tells nothing for sure.
static bool shows(int64_t n, int orders, int64_t *waits)
{
    uint64_t wrong = 0;
    for (uint64_t seed = 0; seed < (uint64_t)orders && !wrong; seed++) {
        standin_seed(seed);
        const int64_t before = standin_count().waits;
        standin_leave_out_wait(world.rank == 1 ? n : 0);
        uint64_t bad = !mixed();
        standin_leave_out_wait(0);
        *waits = standin_count().waits - before;
        assert_ok(tk_comm_sum_u64(&world, &bad, 1));
        wrong = bad;
    }
    return wrong > 0;
}

// Each wait is there for a reason: that of the group for what was asked before, that for the
// message received, the sum's for what was asked before it, and of what follows for the sum. That
// for the message sent comes behind the one for its group.
static void play_waits(void)
{
    enum { SENT = 3 };
    int64_t waits, seen = 0;
    assert_false(shows(0, SEEDS, &waits));
    for (int64_t n = 1, all_of_them = waits; n <= all_of_them; n++)
        seen += shows(n, n == SENT ? SEEDS : MANY, &waits);
    printf("%lld of %lld waits show\n", (long long)seen, (long long)waits);
    tk_device_comm_ops wrong = *comm.ops;
    right = comm.ops;
    wrong.group_end = end_elsewhere;
    comm.ops = &wrong;
    printf("another stream shows: %d\n", shows(0, MANY, &waits));
    comm.ops = right;
}

// ---- bytes --------------------------------------------------------------------------------------

// What is counted is what the stand-in has moved.
static void play_bytes(void)
{
    int64_t (*moved)(const char *name) =
        dlsym(dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD), "standin_nccl_sent");
    const int64_t even[RANKS] = {N, N}, uneven[RANKS] = {N - 7, N - 3};
    tk_request r[2];
    assert_non_null(moved);
    assert_ok(tk_all_reduce(&comm, x.data, N, TK_F32, TK_SUM)); // small
    assert_ok(tk_all_reduce(&comm, z.data, RANKS * N, TK_F32, TK_SUM));
    assert_ok(tk_all_gather(&comm, x.data, z.data, even, 1, TK_F32));
    assert_ok(tk_all_gather(&comm, x.data, z.data, uneven, 1, TK_BF16));
    assert_ok(tk_reduce_scatter(&comm, z.data, x.data, uneven, 1, TK_F32));
    assert_ok(tk_broadcast(&comm, x.data, N, TK_F32, 1));
    assert_ok(tk_group_begin(&comm));
    assert_ok(tk_isend(&comm, x.data, N - world.rank, TK_F32, 1 - world.rank, &r[0]));
    assert_ok(tk_irecv(&comm, y.data, N - 1 + world.rank, TK_F32, 1 - world.rank, &r[1]));
    assert_ok(tk_group_end(&comm));
    for (int i = 0; i < 2; i++) assert_ok(tk_wait(&comm, &r[i]));
    assert_ok(tk_device_sync(&device));
    assert_true(comm.bytes_sent > 0);
    assert_int_equal(comm.bytes_sent + all.bytes_sent, moved("world"));
}

// ---- in graphs ----------------------------------------------------------------------------------

// x becomes the sum over ranks of what the other had sent, by all kinds of operations.
static void exchange(void)
{
    const int64_t counts[RANKS] = {N - 100, 100};
    const int other = 1 - world.rank;
    tk_request r[2] = {{0}};
    assert_ok(tk_group_begin(&comm));
    assert_ok(tk_isend(&comm, x.data, N, TK_F32, other, &r[0]));
    assert_ok(tk_irecv(&comm, y.data, N, TK_F32, other, &r[1]));
    assert_ok(tk_group_end(&comm));
    for (int i = 0; i < 2; i++) assert_ok(tk_wait(&comm, &r[i]));
    assert_ok(tk_reduce_scatter(&comm, y.data, x.data, counts, 1, TK_F32));
    assert_ok(tk_all_gather(&comm, x.data, y.data, counts, 1, TK_F32));
    assert_ok(tk_all_reduce(&all, y.data, N, TK_F32, TK_MAX));
    assert_ok(tk_device_copy(&device, x.data, y.data, (size_t)N * sizeof(float)));
}

static tk_status launch(tk_graph *g)
{
    TK_TRY(tk_graph_hold(g));
    return tk_graph_launch(g);
}

// The same as a graph, some times over, in any order of the streams; then one rank alone does it
// without, or both while the graph is under way, or one of its operations never ends.
static tk_status play_graph(const char *then)
{
    enum { LAUNCHES = 3 };
    static float host[N], got[N];
    tk_graph g = {0};
    exchange();
    TK_TRY(tk_device_sync(&device));
    TK_TRY(tk_graph_open(&g, &device));
    TK_TRY(tk_graph_record(&g));
    exchange();
    TK_TRY(tk_graph_end(&g));
    for (int i = 0; i < N; i++) host[i] = value(world.rank, i);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        standin_seed(seed);
        TK_TRY(tk_device_upload(&device, x.data, host, sizeof host));
        for (int k = 0; k < LAUNCHES; k++) TK_TRY(launch(&g));
        TK_TRY(tk_device_get(&device, &x, got));
        for (int i = 0; i < N; i++)
            assert_true(got[i] == (1 << (LAUNCHES - 1)) * (value(0, i) + value(1, i)));
    }
    if (!strcmp(then, "graph alone") && world.rank == 1) exchange();
    if (!strcmp(then, "graph alone") && world.rank == 0) TK_TRY(launch(&g));
    if (!strcmp(then, "graph mixed")) {
        standin_seed(0);
        TK_TRY(launch(&g));
        exchange();
    }
    TK_TRY(tk_device_sync(&device));
    tk_graph_close(&g);
    return TK_OK;
}

// ---- registered memory --------------------------------------------------------------------------

enum { REGISTERED = 2 << 20 };

static void *in_library(const char *name)
{
    void *f = dlsym(dlopen("libnccl.so.2", RTLD_NOW | RTLD_NOLOAD), name);
    assert_non_null(f);
    return f;
}

// x, y and z come to lie in it.
static tk_status use_registered(void)
{
    TK_TRY(tk_nccl_register(&all, REGISTERED));
    TK_TRY(tk_device_new_sent(&device, TK_FOR_ACTIVATIONS, TK_F32, 1, N, &x));
    TK_TRY(tk_device_new_sent(&device, TK_FOR_ACTIVATIONS, TK_F32, 1, N, &y));
    return tk_device_new_sent(&device, TK_FOR_ACTIVATIONS, TK_F32, RANKS, N, &z);
}

// What must not be done with it, by rank 1 alone.
static void misuse(const char *how)
{
    void *const known = ((tk_nccl_impl *)comm.impl)->known, *handle;
    const ncclComm_t c = ((tk_nccl_impl *)comm.impl)->comm;
    ncclResult_t (*const enter)(ncclComm_t, void *, size_t, void **) =
        in_library("ncclCommRegister");
    ncclResult_t (*const forget)(ncclComm_t, void *) = in_library("ncclCommDeregister");
    ncclResult_t (*const give_back)(void *) = in_library("ncclMemFree");
    ncclResult_t (*const destroy)(ncclComm_t) = in_library("ncclCommDestroy");
    char *const base = device.registered.base;
    if (!strcmp(how, "free")) give_back(base);
    if (!strcmp(how, "foreign")) enter(c, device.pool.base, 1 << 16, &handle);
    if (!strcmp(how, "beyond")) enter(c, base + 4096, REGISTERED, &handle);
    if (!strcmp(how, "unaligned")) enter(c, base + 64, 1 << 16, &handle);
    if (!strcmp(how, "left")) destroy(c);
    if (!strcmp(how, "twice")) forget(c, known), forget(c, known);
    if (!strcmp(how, "other")) { // its buffers are the pool's
        tk_device_unregister(&device);
        assert_ok(tk_device_new(&device, TK_F32, 1, N, &x));
    }
}

static tk_status play_registered(const char *how)
{
    TK_TRY(use_registered());
    play_bytes();
    if (world.rank == 1) misuse(how);
    return TK_OK;
}

// ---- work that takes long -----------------------------------------------------------------------

// Over the slow link some seconds in all, for which no host does anything.
enum { EXCHANGES = 40 };

static void exchange_often(void)
{
    for (int i = 0; i < EXCHANGES; i++) {
        tk_request r[2] = {{0}};
        assert_ok(tk_group_begin(&comm));
        assert_ok(tk_isend(&comm, x.data, N, TK_F32, 1 - world.rank, &r[0]));
        assert_ok(tk_irecv(&comm, y.data, N, TK_F32, 1 - world.rank, &r[1]));
        assert_ok(tk_group_end(&comm));
        for (int k = 0; k < 2; k++) assert_ok(tk_wait(&comm, &r[k]));
    }
}

static tk_status exchange_long(void)
{
    exchange_often();
    return tk_device_sync(&device);
}

static tk_status exchange_long_graph(void)
{
    tk_graph g = {0};
    TK_TRY(tk_graph_open(&g, &device));
    TK_TRY(tk_graph_record(&g));
    exchange_often();
    TK_TRY(tk_graph_end(&g));
    TK_TRY(launch(&g));
    TK_TRY(tk_device_sync(&device));
    tk_graph_close(&g);
    return TK_OK;
}

// ---- roles --------------------------------------------------------------------------------------

static tk_status sums(int n)
{
    for (int i = 0; i < n; i++) TK_TRY(tk_all_reduce(&comm, x.data, N, TK_F32, TK_SUM));
    return tk_device_sync(&device);
}

static tk_status play_role(const char *role)
{
    const int64_t counts[RANKS] = {N, N};
    if (!strcmp(role, "waits")) play_waits();
    if (!strcmp(role, "bytes")) play_bytes();
    if (!strncmp(role, "graph", strlen("graph"))) return play_graph(role);
    if (!strncmp(role, "memory ", strlen("memory ")))
        TK_TRY(play_registered(role + strlen("memory ")));
    if (!strcmp(role, "order")) { // a sum and a gather, by rank 1 the other way round
        if (world.rank == 0) TK_TRY(tk_broadcast(&all, x.data, N, TK_F32, 0));
        TK_TRY(tk_all_gather(&comm, x.data, z.data, counts, 1, TK_F32));
        if (world.rank == 1) TK_TRY(tk_broadcast(&all, x.data, N, TK_F32, 0));
    }
    if (!strcmp(role, "count")) TK_TRY(tk_broadcast(&all, x.data, N - world.rank, TK_F32, 0));
    if (!strcmp(role, "silent") && world.rank == 1) sleep(30);
    if (!strcmp(role, "long")) TK_TRY(exchange_long());
    if (!strcmp(role, "long graph")) TK_TRY(exchange_long_graph());
    return sums(5);
}

static int play(const char *role, int argc, char **argv)
{
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    tk_status st = open_all();
    if (st == TK_OK) st = play_role(role);
    if (st == TK_OK) close_all();
    return tk_parallel_end(&world, st);
}

// ---- what is said -------------------------------------------------------------------------------

static void test_bytes__are_those_that_are_moved(void **state)
{
    outcome o;
    (void)state;
    run_role("", "bytes", &o);
    if (o.code) fail_msg("%s", o.words);
}

static void test_failure__names_rank_host_and_operation(void **state)
{
    char host[256] = "", words[512];
    (void)state;
    gethostname(host, sizeof host - 1);
    snprintf(words, sizeof words,
             "talkie: rank 1: world rank 1 (rank 1 of 2 of the world communicator) on host %s: "
             "NCCL failed ",
             host);
    expect("STANDIN_NCCL_ERROR=1:4", "sums", 5, words);
    expect("STANDIN_NCCL_ERROR=1:4", "sums", 5, "all_reduce");
    expect("STANDIN_NCCL_ERROR=1:1", "sums", 5, "injected by STANDIN_NCCL_ERROR");
}

static void test_hang__ends_when_nobody_is_at_work(void **state)
{
    (void)state;
    expect("STANDIN_NCCL_HANG=1:3", "sums", 5, " s in all_reduce for world rank ");
    expect("", "silent", 5, "for world rank 1 on host ");
}

// The limit is for ranks of which none is at work: a GPU that comes on is, be it in a graph; one in
// the midst of long work that then hangs is not.
static void test_long_work__is_no_hang(void **state)
{
    static const char *const roles[] = {"long", "long graph"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        outcome o;
        run_role("TALKIE_COMM_TIMEOUT=4 STANDIN_NCCL_SLOW=0:1:200", roles[i], &o);
        if (o.code || o.seconds < 8) // twice the limit
            fail_msg("%s: exit code %d after %.1f s: %s", roles[i], o.code, o.seconds, o.words);
        expect("STANDIN_NCCL_SLOW=0:1:100 STANDIN_NCCL_HANG=1:20", roles[i], 5,
               "and nobody is at work");
    }
}

static void test_start__of_two_ranks_that_seem_one(void **state)
{
    (void)state;
    expect("NCCL_HOSTID=same", "sums", 5, "two ranks of one host have one GPU");
}

static void test_order__another_one_is_named(void **state)
{
    (void)state;
    expect("", "order", 134,
           "launches an all-gather of 5000 numbers of type 7 over communicator 1");
    expect("", "count", 134, "which launches a broadcast of 4999 numbers");
}

static void test_version__is_checked_before_anything_begins(void **state)
{
    (void)state;
    expect("STANDIN_NCCL_VERSION=1:22700", "sums", 2,
           "talkie: rank 1: libnccl.so.2 is NCCL 2.27.0, and this talkie was built for 2.");
    expect("STANDIN_NCCL_VERSION=1:23012", "sums", 2, " and rank 1 has 2.30.12: all need the same");
}

static void test_streams__what_is_not_waited_for_shows(void **state)
{
    outcome o;
    int seen = 0, waits = 0, elsewhere = 0;
    (void)state;
    run_role("", "waits", &o);
    assert_int_equal(o.code, 0);
    const char *at = strstr(o.words, " waits show"), *other = strstr(o.words, "another stream");
    assert_non_null(at);
    while (at > o.words && at[-1] != '\n') at--;
    assert_int_equal(sscanf(at, "%d of %d waits show", &seen, &waits), 2);
    assert_int_equal(waits, 5);
    assert_int_equal(seen, 4);
    assert_non_null(other);
    assert_int_equal(sscanf(other, "another stream shows: %d", &elsewhere), 1);
    assert_true(elsewhere > 0);
}

static void test_graph__is_the_same_on_all_ranks(void **state)
{
    (void)state;
    expect("", "graph", 0, "");
    expect("", "graph alone", 134, ", in a graph");
    expect("", "graph mixed", 134, "is at work for a graph and beside it");
    expect("STANDIN_NCCL_HANG=1:20", "graph", 5, "for world rank ");
    expect("STANDIN_NCCL_ERROR=1:20", "graph", 5, "injected by STANDIN_NCCL_ERROR");
}

static void test_memory__is_registered_once_and_given_back(void **state)
{
    char all_of_it[128];
    outcome o;
    (void)state;
    run_role("STANDIN_NCCL_TELL=1", "memory good", &o);
    if (o.code) fail_msg("%s", o.words);
    for (int r = 0; r < RANKS; r++) {
        snprintf(all_of_it, sizeof all_of_it, "stand-in: rank %d: NCCL was given ", r);
        assert_non_null(strstr(o.words, all_of_it));
    }
    assert_non_null(strstr(o.words, "bytes in registered memory, 0 in other"));
    expect("", "memory free", 134, "is freed while it is registered with communicator ");
    expect("", "memory foreign", 134, "are registered, which are not NCCL's");
    expect("", "memory beyond", 134, "are registered, which are not NCCL's");
    expect("", "memory unaligned", 134, "is registered, within a page");
    expect("", "memory left", 134, "is destroyed while memory is registered with it");
    expect("", "memory twice", 134, "was not registered with communicator ");
    expect("", "memory other", 134, ", in registered memory");
}

static void test_memory__that_cannot_be_registered_is_told(void **state)
{
    (void)state;
    expect("NCCL_LOCAL_REGISTER=0", "memory good", 2, "NCCL_LOCAL_REGISTER=0 or ");
    expect("TK_CUDA_MEMORY=2", "memory good", 3, "NCCL cannot take 2.0 MiB for what is sent");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes__are_those_that_are_moved),
        cmocka_unit_test(test_failure__names_rank_host_and_operation),
        cmocka_unit_test(test_hang__ends_when_nobody_is_at_work),
        cmocka_unit_test(test_long_work__is_no_hang),
        cmocka_unit_test(test_start__of_two_ranks_that_seem_one),
        cmocka_unit_test(test_order__another_one_is_named),
        cmocka_unit_test(test_version__is_checked_before_anything_begins),
        cmocka_unit_test(test_graph__is_the_same_on_all_ranks),
        cmocka_unit_test(test_streams__what_is_not_waited_for_shows),
        cmocka_unit_test(test_memory__is_registered_once_and_given_back),
        cmocka_unit_test(test_memory__that_cannot_be_registered_is_told),
    };
    if (argc > 1) return play(argv[1], argc, argv);
    if (!realpath(argv[0], self)) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
