// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2 3 4; timeout: 60 */
// The mesh: degrees, coordinates, and the words for what does not fit.
#include "parallel/mesh.h"
#include "tests/support/ranks.h"
#include <unistd.h>

static tk_comm world;

// World rank of each member of a line must be what the header says.
static void check_line(tk_comm *line, int first, int stride, int size, int at)
{
    int got[16], mine = world.rank;
    assert_int_equal(line->size, size);
    assert_int_equal(line->rank, at);
    assert_int_equal(tk_comm_all_gather(line, &mine, got, sizeof mine), TK_OK);
    for (int i = 0; i < size; i++) assert_int_equal(got[i], first + i * stride);
}

// A row says the same as its communicator, and its neighbours are a ring.
static void check_axis(const tk_axis_row *a)
{
    assert_string_equal(a->name, a->host.name);
    assert_int_equal(a->rank, a->host.rank);
    assert_int_equal(a->degree, a->host.size);
    assert_int_equal((a->previous + 1) % a->degree, a->rank);
    assert_int_equal((a->rank + 1) % a->degree, a->next);
}

// Those of a stage: tensor ranks of all branches.
static void check_stage(const tk_mesh *m, int T, int P, int G)
{
    const int s = m->axis[TK_AXIS_PIPELINE].rank, d = m->axis[TK_AXIS_DATA].rank;
    int got[16], mine = world.rank, n = 0;
    assert_int_equal(m->stage.size, T * G);
    assert_int_equal(m->stage.rank,
                     m->axis[TK_AXIS_GUIDANCE].rank * T + m->axis[TK_AXIS_TENSOR].rank);
    assert_int_equal(tk_comm_all_gather((tk_comm *)&m->stage, &mine, got, sizeof mine), TK_OK);
    for (int g = 0; g < G; g++)
        for (int t = 0; t < T; t++) assert_int_equal(got[n++], ((d * G + g) * P + s) * T + t);
}

static void check_mesh(int T, int P, int G, int D)
{
    tk_parallel_config p = {.tensor = T, .pipeline = P, .guidance = G, .data = D};
    tk_mesh m;
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_OK);
    const int t = m.axis[TK_AXIS_TENSOR].rank, s = m.axis[TK_AXIS_PIPELINE].rank;
    const int g = m.axis[TK_AXIS_GUIDANCE].rank, d = m.axis[TK_AXIS_DATA].rank;
    const int at = d * G + g; // how many whole models lie before this one
    assert_int_equal(world.rank, (at * P + s) * T + t);
    check_line(&m.axis[TK_AXIS_TENSOR].host, (at * P + s) * T, 1, T, t);
    check_line(&m.axis[TK_AXIS_PIPELINE].host, at * P * T + t, T, P, s);
    check_line(&m.axis[TK_AXIS_GUIDANCE].host, (d * G * P + s) * T + t, P * T, G, g);
    check_line(&m.axis[TK_AXIS_DATA].host, (g * P + s) * T + t, G * P * T, D, d);
    for (int i = 0; i < TK_AXES; i++) check_axis(&m.axis[i]);
    check_line(&m.replica, d * G * P * T, 1, G * P * T, (g * P + s) * T + t);
    check_stage(&m, T, P, G);
    tk_mesh dry; // the plan sees the same coordinates
    tk_mesh_dry(&dry, &p, world.rank);
    for (int i = 0; i < TK_AXES; i++) {
        check_axis(&dry.axis[i]);
        assert_int_equal(dry.axis[i].rank, m.axis[i].rank);
        assert_int_equal(dry.axis[i].degree, m.axis[i].degree);
    }
    assert_int_equal(dry.replica.rank, m.replica.rank);
    assert_int_equal(dry.stage.rank, m.stage.rank);
    assert_int_equal(dry.stage.size, m.stage.size);
    assert_int_equal(dry.world.size, world.size);
    tk_mesh_close(&dry);
    tk_mesh_close(&m);
}

static void test_mesh__coordinates(void **state)
{
    (void)state;
    for (int T = 1; T <= world.size; T++)
        for (int P = 1; P <= world.size / T; P++)
            for (int G = 1; G <= 2; G++)
                if (world.size % (T * P * G) == 0) check_mesh(T, P, G, world.size / T / P / G);
}

static void open_as(int64_t t, int64_t s, int64_t d, tk_axis absorb, const int64_t want[3])
{
    tk_parallel_config p = {.tensor = t, .pipeline = s, .data = d};
    tk_mesh m;
    assert_int_equal(tk_mesh_open(&m, &world, &p, absorb), TK_OK);
    assert_int_equal(p.tensor, want[0]);
    assert_int_equal(p.pipeline, want[1]);
    assert_int_equal(p.data, want[2]);
    tk_mesh_close(&m);
}

static void test_mesh__open_degrees(void **state)
{
    (void)state;
    int64_t n = world.size;
    open_as(0, 0, 0, TK_AXIS_DATA, (int64_t[]){1, 1, n});
    open_as(0, 0, 0, TK_AXIS_TENSOR, (int64_t[]){n, 1, 1});
    open_as(1, 0, 1, TK_AXIS_DATA, (int64_t[]){1, n, 1});
    open_as(1, 1, 0, TK_AXIS_TENSOR, (int64_t[]){1, 1, n}); // tensor is fixed, so data takes it
    if (n % 2 == 0) open_as(2, 0, 0, TK_AXIS_DATA, (int64_t[]){2, 1, n / 2});
    for (int64_t g = 0; g <= 2; g++) { // it takes what is asked for, and no more
        tk_parallel_config p = {.guidance = g};
        tk_mesh m;
        char words[128];
        if (n % (g ? g : 1)) continue;
        assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_TENSOR), TK_OK);
        assert_int_equal(p.guidance, g ? g : 1);
        assert_int_equal(p.tensor, n / p.guidance);
        tk_mesh_print(&p, words, sizeof words);
        assert_int_equal(strstr(words, "guidance 2") != NULL, g == 2);
        assert_int_equal(strstr(words, "guidance 1") != NULL, false);
        tk_mesh_close(&m);
    }
}

static void refused(int64_t t, int64_t s, int64_t d, const char *words)
{
    tk_parallel_config p = {.tensor = t, .pipeline = s, .data = d};
    tk_mesh m;
    tk_status_clear();
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_INPUT);
    if (!strstr(tk_status_message(), words)) fail_msg("%s", tk_status_message());
    assert_int_equal(p.tensor, t); // as it was given
    tk_mesh_close(&m);
    tk_status_clear();
}

static void test_mesh__does_not_fit(void **state)
{
    (void)state;
    refused(world.size, 2, 1, "nearest layouts");
    refused(world.size + 1, 0, 0, "nearest layouts");
    refused(INT64_MAX, INT64_MAX, INT64_MAX, "nearest layouts");
    refused(-1, 1, 1, "negative");
    if (world.size == 4) {
        refused(3, 1, 0, "tensor 3 x pipeline 1 x data 1 = 3");
        refused(2, 3, 1, "= 6");
        refused(2, 3, 1, "2 x 2 x 1");
        refused(4, 4, 1, "4 ranks were started");
    }
    if (world.size == 1) refused(2, 1, 1, "but 1 rank was started");
    tk_parallel_config p = {.tensor = 1, .pipeline = 1, .guidance = 2, .data = world.size};
    tk_mesh m;
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_INPUT);
    assert_non_null(strstr(tk_status_message(), "(tensor x pipeline x guidance x data)"));
    p = (tk_parallel_config){.tensor = 1, .pipeline = 1, .data = 2 * world.size}; // never by itself
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_INPUT);
    assert_null(strstr(tk_status_message(), "guidance"));
    tk_status_clear();
}

static void test_mesh__ranks_must_ask_for_the_same(void **state)
{
    (void)state;
    if (world.size == 1) return;
    tk_parallel_config p = {.tensor = world.rank ? 1 : world.size, .pipeline = 0, .data = 0};
    tk_mesh m;
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_INPUT);
    assert_non_null(strstr(tk_status_message(), "parallel.tensor"));
    tk_mesh_close(&m);
    tk_status_clear();
}

static void test_mesh__threads(void **state)
{
    (void)state;
    tk_parallel_config p = {0};
    tk_mesh m;
    assert_int_equal(tk_mesh_open(&m, &world, &p, TK_AXIS_DATA), TK_OK);
    assert_int_equal(m.ranks_on_node, world.size); // the tests run on one node
    double cores = m.cores;
    assert_in_range(tk_mesh_threads(&m, &p), 1, 4096);
    assert_int_equal(tk_comm_sum_f64(&world, &cores, 1), TK_OK);
    assert_true(cores <= sysconf(_SC_NPROCESSORS_ONLN) || m.cores == 1);
    p.threads = 3;
    assert_int_equal(tk_mesh_threads(&m, &p), 3);
    tk_mesh_close(&m);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mesh__coordinates),
        cmocka_unit_test(test_mesh__open_degrees),
        cmocka_unit_test(test_mesh__does_not_fit),
        cmocka_unit_test(test_mesh__ranks_must_ask_for_the_same),
        cmocka_unit_test(test_mesh__threads),
    };
    ranks_run(argc, argv, world, tests);
}
