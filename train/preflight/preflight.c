// SPDX-License-Identifier: Apache-2.0
#include "train/preflight/preflight.h"
#include "core/base/log.h"
#include "parallel/devices.h"
#include "parallel/mpi/start.h"
#include "train/preflight/print.h"
#include "train/run/asked.h"
#include <string.h>
#include <unistd.h>

typedef struct preflight {
    tk_comm *world;
    const tk_config *config;
    tk_mesh mesh;
    tk_device device;
    tk_flight_gauge gauge;
    tk_flight_rank own, *all; // (ranks)
    int each;                 // ranks of a host
    tk_flight_whole whole;
    tk_flight_verdicts verdicts;
    tk_arena arena;
} preflight;

static tk_status gather_ranks(preflight *f)
{
    return tk_comm_all_gather(f->world, &f->own, f->all, sizeof f->own);
}

// The ranks of a host are those of the tensor axis, whatever layout the run is to have.
static tk_status open_flight(preflight *f)
{
    tk_comm *w = f->world;
    f->all = tk_arena_alloc(&f->arena, tk_array_bytes(w->size, sizeof *f->all));
    TK_TRY(tk_agree(w, f->all ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the ranks")));
    f->own = (tk_flight_rank){.near = -1, .far = -1, .wrong_from = -1};
    if (gethostname(f->own.host, sizeof f->own.host - 1)) strcpy(f->own.host, "?");
    TK_TRY(gather_ranks(f));
    f->each = tk_flight_ranks_of_host(f->all, w->size);
    tk_parallel_config p = f->config->parallel;
    p.tensor = f->each;
    p.data = w->size / f->each;
    p.pipeline = p.chunks = 1;
    p.schedule = TK_SCHEDULE_1F1B;
    TK_TRY(tk_mesh_open(&f->mesh, w, &p, TK_AXIS_DATA));
    TK_TRY(tk_devices_open(&f->mesh, &p, 0, &f->device));
    return tk_agree(w, tk_flight_gauge_open(&f->gauge, &f->mesh, &f->device, f->config));
}

static tk_status measure_flight(preflight *f)
{
    tk_log("preflight: each rank by itself, then what is between them");
    TK_TRY(tk_flight_alone(&f->gauge, &f->own));
    TK_TRY(tk_flight_host(&f->gauge, &f->own));
    TK_TRY(tk_flight_between(&f->gauge, f->each, &f->own, &f->whole));
    return gather_ranks(f);
}

// All have the same before them, and find the same.
static tk_status conclude(preflight *f, const char *output)
{
    double *middle = NULL;
    const double slow = f->config->preflight.slow;
    tk_status st = tk_flight_medians(f->all, f->world->size, &f->arena, &middle);
    if (st == TK_OK) st = tk_flight_judge(f->all, f->world->size, middle, slow, &f->verdicts);
    TK_TRY(tk_agree(f->world, st));
    const tk_flight_report r = {.config = f->config,
                                .all = f->all,
                                .middle = middle,
                                .n = f->world->size,
                                .each = f->each,
                                .side = f->gauge.side,
                                .whole = f->whole,
                                .verdicts = &f->verdicts};
    if (f->world->rank == 0) tk_flight_print(&r);
    TK_TRY(tk_agree(f->world, f->world->rank ? TK_OK : tk_flight_write(&r, output)));
    if (!f->verdicts.n) return TK_OK;
    st = TK_FAIL(TK_DIFFERENT,
                 "preflight found %d thing%s, printed above: mend them, or leave those hosts out",
                 f->verdicts.n, f->verdicts.n == 1 ? "" : "s");
    tk_status_set_shared(true);
    return st;
}

static tk_status run_flight(preflight *f, const char *output)
{
    TK_TRY(open_flight(f));
    TK_TRY(tk_parallel_unless_alone(f->world, measure_flight(f)));
    return conclude(f, output);
}

tk_status tk_preflight_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    (void)ranks; // any number can be looked at
    tk_run_ask_device(w, &in->config);
    return tk_wrong_with(w, "output", tk_flight_check_output(in->config.output));
}

tk_status tk_preflight_command(tk_comm *world, tk_invocation *in)
{
    preflight f = {.world = world, .config = &in->config};
    tk_arena_init(&f.arena, 0);
    f.verdicts.arena = &f.arena;
    const tk_status st = run_flight(&f, in->config.output);
    tk_flight_gauge_close(&f.gauge);
    tk_mesh_detach(&f.mesh);
    if (f.device.ops) tk_device_close(&f.device);
    tk_mesh_close(&f.mesh);
    tk_arena_free(&f.arena);
    return st;
}
