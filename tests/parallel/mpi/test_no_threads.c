// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 2; timeout: 60 */
// An MPI that may be called by one thread alone: what would go beside the work holds it up, and is
// told to.
#include "parallel/mesh.h"
#include "parallel/mpi/comm.h"
#include "tests/support/ranks.h"
#include <mpi.h>

static tk_comm world;

// In MPI's place, which it asks for less.
int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    (void)required;
    return PMPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, provided);
}

static void collectives_hold_up_the_host(void **state)
{
    (void)state;
    assert_false(tk_mpi_threads());
    for (int beside = 0; beside < 2; beside++) {
        tk_parallel_config p = {.tensor = 1, .pipeline = 1, .data = 2, .overlap_weights = beside};
        tk_mesh mesh;
        tk_device d;
        tk_tensor x;
        tk_event e = {0};
        bool done;
        assert_ok(tk_mesh_open(&mesh, &world, &p, TK_AXIS_DATA));
        assert_ok(tk_device_open(&d, &tk_device_cpu, 1, (size_t)1 << 20));
        assert_ok(tk_mesh_attach(&mesh, &d));
        assert_int_equal(tk_mesh_holds_up(&mesh), beside);
        assert_ok(tk_device_put(&d, &(float){2}, TK_F32, 1, 1, &x));
        assert_ok(tk_event_open(&e, &d));
        tk_device_on(&d, TK_QUEUE_DATA);
        assert_ok(tk_all_reduce(&mesh.axis[TK_AXIS_DATA].device, x.data, 1, TK_F32, TK_SUM));
        assert_ok(tk_event_record(&e, TK_QUEUE_DATA));
        assert_ok(tk_event_done(&e, &done));
        assert_true(done);
        assert_true(*(const float *)x.data == 4);
        tk_device_on(&d, TK_QUEUE_COMPUTE);
        tk_event_close(&e);
        tk_mesh_close(&mesh);
        tk_device_close(&d);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(collectives_hold_up_the_host)};
    ranks_run(argc, argv, world, tests);
}
