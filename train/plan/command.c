// SPDX-License-Identifier: Apache-2.0
#include "train/plan/command.h"
#include "train/plan/print.h"
#include "train/run/asked.h"
#include "train/run/load.h"

// The layouts of plan.search GPUs.
static tk_status search_layouts(tk_config *c, const tk_plan_of *of, tk_arena *a)
{
    tk_search search;
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

// ---- what is wrong -----------------------------------------------------------------------------

// Whether the GPUs can share out the work in any way.
static tk_status ask_search(tk_wrong *w, const tk_config *c, const tk_machine *m)
{
    static const char *const by[] = {"train.batch", "model.heads", "model.layers", "plan.search"};
    const tk_plan_of of = {.config = c, .machine = m};
    for (size_t i = 0; i < sizeof by / sizeof *by; i++)
        if (tk_wrong_doubts(w, by[i])) return TK_OK;
    return tk_wrong_with(w, "plan.search", tk_search_ask(&of, (int)c->plan.search, w->arena));
}

static tk_status ask_machine(tk_wrong *w, const tk_config *c)
{
    tk_machine machine = {0};
    tk_status st = TK_OK;
    const char *file = c->plan.machine;
    if (c->plan.search && !*file && !tk_wrong_doubts(w, "plan.machine"))
        tk_wrong_add(w, "plan.search",
                     "ranks layouts by time: name a machine "
                     "(plan.machine=configs/machines/h100.yaml)");
    if (!*file || tk_wrong_doubts(w, "plan.machine")) return TK_OK;
    st = tk_machine_load(&machine, file);
    if (st != TK_OK) return tk_wrong_with(w, "plan.machine", st);
    if (c->plan.search) st = ask_search(w, c, &machine);
    tk_machine_free(&machine);
    return st;
}

static tk_status ask_degrees(tk_wrong *w, const tk_config *c)
{
    tk_parallel_config p = c->parallel;
    int ranks;
    if (!tk_run_knows_layout(w) || c->plan.search) return TK_OK;
    if (p.guidance > 1)
        tk_wrong_add(w, "parallel.guidance",
                     "training has no branches of guidance to share out; it is an option of "
                     "sample, serve, eval and of a storyboard's plan, leave it at 1 here");
    const tk_status st = tk_layout_fill(&p, &ranks);
    return tk_run_ask_batch(w, c, &p, st);
}

static tk_status ask_plan(tk_wrong *w, const tk_invocation *in, int ranks)
{
    tk_config c = in->config;
    (void)ranks; // the layout's are others
    const bool described = c.plan.frames || tk_wrong_doubts(w, "plan.frames");
    if (described) c.data.n_files = c.data.n_check = 0;
    tk_run_ask_device(w, &c);
    TK_TRY(ask_degrees(w, &c));
    TK_TRY(ask_machine(w, &c));
    TK_TRY(tk_run_ask_files(w, &c));
    return w->n ? tk_run_ask_inside(w, &c) : TK_OK;
}

// ---- the command -------------------------------------------------------------------------------

tk_status tk_plan_command(tk_comm *world, tk_invocation *in)
{
    const tk_status st = tk_command_config(world, in, TK_CMD_PLAN, ask_plan);
    TK_TRY(tk_config_agree(world, st, &in->config));
    return tk_agree(world, world->rank ? TK_OK : plan_all(&in->config));
}
