// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// A process that nobody launched as a rank is a world of one, in which MPI is not started.
#include "parallel/mesh.h"
#include "parallel/mpi/comm.h"
#include "parallel/mpi/deal.h"
#include "tests/support/ranks.h"
#include <mpi.h>

static tk_comm world;

static void mpi_stays_off(void **state)
{
    int on = 1;
    (void)state;
    MPI_Initialized(&on);
    assert_false(on);
    assert_int_equal(world.size, 1);
    assert_int_equal(world.rank, 0);
    assert_string_equal(world.name, "world");
}

static void a_mesh_of_one_computes(void **state)
{
    (void)state;
    tk_parallel_config p = {0};
    tk_mesh mesh;
    tk_device d;
    float host[2] = {3, 4};
    double sum = 5;
    tk_tensor x;
    assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
    assert_int_equal(p.data, 1);
    assert_string_equal(mesh.axis[TK_AXIS_DATA].host.name, "data");
    assert_ok(tk_comm_sum_f64(&mesh.axis[TK_AXIS_DATA].host, &sum, 1));
    assert_float_equal(sum, 5, 0);
    assert_true(mesh.cores >= 1);
    assert_ok(tk_device_open(&d, &tk_device_cpu, 1, (size_t)1 << 20));
    assert_ok(tk_mesh_attach(&mesh, &d));
    assert_ok(tk_device_new(&d, TK_F32, 1, 2, &x));
    assert_ok(tk_device_upload(&d, x.data, host, sizeof host));
    assert_ok(tk_all_reduce(&mesh.world_device, x.data, 2, TK_F32, TK_SUM));
    assert_ok(tk_device_download(&d, host, x.data, sizeof host));
    assert_float_equal(host[1], 4, 0);
    tk_device_free(&d, &x);
    tk_mesh_close(&mesh);
    tk_device_close(&d);
}

static void work_is_dealt_to_one(void **state)
{
    (void)state;
    tk_deal *d;
    int64_t item, sum = 0;
    assert_ok(tk_deal_open(&world, tk_comm_self(), 4, "work", "steps", 4, &d));
    for (;;) {
        assert_ok(tk_deal_next(d, &item));
        if (item < 0) break;
        sum += item;
        tk_deal_step(d);
    }
    assert_int_equal(sum, 6);
    assert_int_equal(tk_deal_done(d), 4);
    assert_ok(tk_deal_close(d, TK_OK));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mpi_stays_off),
        cmocka_unit_test(a_mesh_of_one_computes),
        cmocka_unit_test(work_is_dealt_to_one),
    };
    ranks_run(argc, argv, world, tests);
}
