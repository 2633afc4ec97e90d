// SPDX-License-Identifier: Apache-2.0
#include "train/plan/command.h"
#include "train/plan/print.h"
#include "train/run/load.h"

// The layouts of plan.search GPUs.
static tk_status search_layouts(tk_config *c, const tk_plan_of *of, tk_arena *a)
{
    tk_search search;
    if (!of->machine)
        return TK_FAIL(TK_INPUT, "plan.search ranks layouts by time: name a machine "
                                 "(plan.machine=configs/machines/h100.yaml)");
    TK_TRY(tk_trainer_match(c, of->loader, 1));
    TK_TRY(tk_run_look(c, a));
    TK_TRY(tk_search_make(of, (int)c->plan.search, a, &search));
    tk_search_print(of, &search);
    return TK_OK;
}

static tk_status plan_layout(tk_config *c, tk_plan_of *of, tk_arena *a)
{
    tk_param_table table;
    tk_layout_plan layout;
    int ranks = 0;
    if (c->parallel.guidance > 1)
        return TK_FAIL(TK_INPUT,
                       "parallel.guidance=%lld: training has no branches of guidance to share out; "
                       "it is an option of sample, serve, eval and of a storyboard's plan, leave "
                       "it at 1 here",
                       (long long)c->parallel.guidance);
    TK_TRY(tk_layout_fill(&c->parallel, &ranks));
    TK_TRY(tk_trainer_match(c, of->loader, (int)c->parallel.data));
    TK_TRY(tk_run_look(c, a));
    TK_TRY(tk_param_table_build(&c->model, a, &table));
    TK_TRY(tk_plan_process(c, of->loader, &of->process));
    TK_TRY(tk_layout_make(of, ranks, a, &layout));
    tk_layout_print(of, &layout, tk_param_count(&table));
    return TK_OK;
}

static tk_status plan_all(tk_config *c)
{
    tk_machine machine = {0};
    tk_plan_of of = {.config = c};
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    if (c->plan.machine[0]) {
        TK_TRY_TO(st, done, tk_machine_load(&machine, c->plan.machine));
        of.machine = &machine;
    }
    TK_TRY_TO(st, done, tk_plan_clips(c, &of.loader));
    TK_TRY_TO(st, done, c->plan.search ? search_layouts(c, &of, &a) : plan_layout(c, &of, &a));
done:
    if (of.loader) tk_loader_close(of.loader);
    tk_machine_free(&machine);
    tk_arena_free(&a);
    return st;
}

tk_status tk_plan_command(tk_comm *world, tk_invocation *in)
{
    return tk_agree(world, world->rank ? TK_OK : plan_all(&in->config));
}
