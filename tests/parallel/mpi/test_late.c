// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2 3; timeout: 60 */
// Collectives over MPI that a thread makes beside the host: the host goes on while another rank has
// not come, queues and events hold the order, numbers and bytes are those of the host's own calls.
#include "core/base/log.h"
#include "parallel/mesh.h"
#include "parallel/mpi/comm.h"
#include "tests/support/ranks.h"
#include <unistd.h>

enum { N = 4099, MANY = 40, MOST_RANKS = 4 };

static tk_comm world;
static tk_device device;
static tk_device_comm data, forward, plain;
static tk_tensor x, y, all; // (N) each; (ranks x N)
static int64_t counts[MOST_RANKS];

static int open_all(void **state)
{
    (void)state;
    assert_true(tk_mpi_threads());
    assert_ok(tk_device_open(&device, &tk_device_cpu, 1, (size_t)1 << 26));
    assert_ok(tk_mpi_device(&world, &device, TK_QUEUE_DATA, true, &data));
    assert_ok(tk_mpi_device(&world, &device, TK_QUEUE_FORWARD, true, &forward));
    assert_ok(tk_mpi_device(&world, &device, TK_QUEUE_TENSOR, false, &plain));
    assert_ok(tk_device_new(&device, TK_F32, 1, N, &x));
    assert_ok(tk_device_new(&device, TK_F32, 1, N, &y));
    assert_ok(tk_device_new(&device, TK_F32, world.size, N, &all));
    for (int r = 0; r < world.size; r++) counts[r] = 1;
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tk_device_comm_close(&data);
    tk_device_comm_close(&forward);
    tk_device_comm_close(&plain);
    tk_device_close(&device);
    return 0;
}

// In the order of the queue of the moment.
static void fill(tk_tensor *t, float v)
{
    float host[N];
    for (int i = 0; i < N; i++) host[i] = v + (float)(i % 7);
    assert_ok(tk_device_upload(&device, t->data, host, sizeof host));
}

static void holds(const tk_tensor *t, int64_t row, float v, float times)
{
    float host[N];
    assert_ok(tk_device_download(&device, host, (const char *)t->data + (size_t)row * sizeof host,
                                 sizeof host));
    for (int i = 0; i < N; i++) assert_true(host[i] == v + times * (float)(i % 7));
}

static float of_rank(int rank)
{
    return (float)(10 * rank + 1);
}

static float sum_of_ranks(void)
{
    float v = 0;
    for (int r = 0; r < world.size; r++) v += of_rank(r);
    return v;
}

static void on_data(void (*f)(tk_event *), tk_event *e)
{
    const tk_queue was = tk_device_on(&device, TK_QUEUE_DATA);
    f(e);
    tk_device_on(&device, was);
}

static void ask_sum(tk_event *e)
{
    assert_ok(tk_all_reduce(&data, x.data, N, TK_F32, TK_SUM));
    assert_ok(tk_event_record(e, TK_QUEUE_DATA));
}

static void ask_gather(tk_event *e)
{
    assert_ok(tk_all_gather(&data, x.data, all.data, counts, N, TK_F32));
    assert_ok(tk_event_record(e, TK_QUEUE_DATA));
}

// Rank 1 comes to the sum only when the others have gone on behind it.
static void the_host_goes_on(void **state)
{
    tk_event e = {0};
    bool done;
    (void)state;
    assert_ok(tk_event_open(&e, &device));
    fill(&x, of_rank(world.rank));
    if (world.rank != 1) on_data(ask_sum, &e);
    fill(&y, 5);
    assert_ok(tk_event_done(&e, &done));
    assert_int_equal(done, world.rank == 1); // there it was never recorded
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 1) on_data(ask_sum, &e);
    assert_ok(tk_event_wait(&e, TK_QUEUE_COMPUTE));
    assert_ok(tk_event_done(&e, &done));
    assert_true(done);
    holds(&x, 0, sum_of_ranks(), (float)world.size);
    holds(&y, 0, 5, 1);
    tk_event_close(&e);
}

// What is asked of the queue after a collective sees its result, whoever does it.
static void a_queue_is_in_order(void **state)
{
    tk_event e = {0};
    (void)state;
    assert_ok(tk_event_open(&e, &device));
    for (int i = 0; i < MANY; i++) {
        const tk_queue was = tk_device_on(&device, TK_QUEUE_DATA);
        fill(&x, of_rank(world.rank));
        ask_sum(&e);
        ask_gather(&e);
        assert_ok(tk_device_copy(&device, y.data, all.data, N * sizeof(float)));
        holds(&y, 0, sum_of_ranks(), (float)world.size);
        holds(&all, world.size - 1, sum_of_ranks(), (float)world.size);
        tk_device_on(&device, was);
    }
    tk_event_close(&e);
}

// A queue that waits for another one's collective, and is waited for by it again: as sums over
// pipeline ranks within those of data ranks.
static void queues_wait_for_each_other(void **state)
{
    tk_event e = {0}, early = {0}; // closed while it is still to be done
    (void)state;
    assert_ok(tk_event_open(&e, &device));
    assert_ok(tk_event_open(&early, &device));
    for (int i = 0; i < MANY; i++) {
        fill(&x, of_rank(world.rank));
        if (i % 2 == world.rank % 2) usleep(300);
        const tk_queue was = tk_device_on(&device, TK_QUEUE_DATA);
        assert_ok(tk_all_reduce(&data, x.data, N, TK_F32, TK_SUM));
        assert_ok(tk_event_record(&early, TK_QUEUE_DATA));
        assert_ok(tk_broadcast(&forward, x.data, N, TK_F32, 0)); // what all have
        assert_ok(tk_all_gather(&data, x.data, all.data, counts, N, TK_F32));
        assert_ok(tk_event_record(&e, TK_QUEUE_DATA));
        tk_device_on(&device, was);
        if (i == MANY - 1) tk_event_close(&early);
        assert_ok(tk_event_wait(&e, TK_QUEUE_COMPUTE));
        for (int r = 0; r < world.size; r++) holds(&all, r, sum_of_ranks(), (float)world.size);
    }
    tk_event_close(&e);
}

// Times are those of the queue: the later event waits for a rank that comes late.
static void events_tell_when(void **state)
{
    tk_event from = {0}, to = {0};
    double seconds;
    (void)state;
    assert_ok(tk_event_open(&from, &device));
    assert_ok(tk_event_open(&to, &device));
    assert_ok(tk_comm_barrier(&world));
    if (world.rank == 1) usleep(50 * 1000);
    assert_ok(tk_event_record(&from, TK_QUEUE_DATA));
    on_data(ask_sum, &to);
    assert_ok(tk_event_sync(&to));
    assert_ok(tk_event_seconds(&from, &to, &seconds));
    assert_true(world.rank == 1 ? seconds >= 0 : seconds > 0.01);
    tk_event_close(&from);
    tk_event_close(&to);
}

// Those that an operator waits for are the host's, as are all of a communicator that is not late;
// and the bytes are the same.
static void others_are_done_on_return(void **state)
{
    tk_event e = {0};
    bool done;
    (void)state;
    assert_ok(tk_event_open(&e, &device));
    tk_device_comm *const comms[] = {&data, &plain};
    int64_t sent[2];
    for (int i = 0; i < 2; i++) {
        sent[i] = comms[i]->bytes_sent;
        fill(&x, of_rank(world.rank));
        if (i) tk_device_on(&device, TK_QUEUE_DATA);
        assert_ok(tk_all_reduce(comms[i], x.data, N, TK_F32, TK_SUM));
        assert_ok(tk_event_record(&e, TK_QUEUE_COMPUTE));
        assert_ok(tk_event_done(&e, &done));
        assert_true(done);
        holds(&x, 0, sum_of_ranks(), (float)world.size);
        tk_device_on(&device, TK_QUEUE_COMPUTE);
        sent[i] = comms[i]->bytes_sent - sent[i];
        assert_true(sent[i] > 0);
    }
    assert_int_equal(sent[0], sent[1]);
    on_data(ask_gather, &e);
    assert_ok(tk_device_sync(&device));
    assert_ok(tk_event_done(&e, &done));
    assert_true(done);
    tk_event_close(&e);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_goes_on),           cmocka_unit_test(a_queue_is_in_order),
        cmocka_unit_test(queues_wait_for_each_other), cmocka_unit_test(events_tell_when),
        cmocka_unit_test(others_are_done_on_return),
    };
    ranks_run_with(argc, argv, world, tests, open_all, close_all);
}
