// SPDX-License-Identifier: Apache-2.0
// Times, and all that is made of them, carry an asterisk where figures of the machine are assumed.
#include "train/plan/print.h"
#include <stdio.h>
#include <string.h>

static double mib(double bytes)
{
    return bytes / 0x1p20;
}

static const char *star_of(const tk_rating *f)
{
    return f && f->basis == TK_ASSUMED ? "*" : "";
}

// Of what is made of many figures.
static const char *star_of_all(const tk_machine *m)
{
    int all;
    return tk_machine_assumed(m, &all) ? "*" : "";
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void tk_machine_print_assumed(const tk_machine *m, const char *file)
{
    int all;
    const int assumed = tk_machine_assumed(m, &all);
    if (assumed)
        printf("\n* planned, not measured: %d of the %d figures of %s are assumed\n", assumed, all,
               last_part(file));
}

// ---- memory ------------------------------------------------------------------------------------

// Columns in order; bytes between blocks of the pool come after them.
static const tk_pool_purpose COLUMNS[TK_POOL_PURPOSES] = {TK_FOR_WEIGHTS,   TK_FOR_GRADIENTS,
                                                          TK_FOR_OPTIMIZER, TK_FOR_ACTIVATIONS,
                                                          TK_FOR_WORKSPACE, TK_FOR_MESSAGES};

static int64_t between_blocks(const tk_plan *p)
{
    int64_t bytes = p->pool;
    for (int k = 0; k < TK_POOL_PURPOSES; k++) bytes -= p->held[k];
    return bytes;
}

static void print_row(const char *ranks, const tk_plan *p, bool host)
{
    printf("%-18s %12lld", ranks, (long long)p->parameters);
    for (int k = 0; k < TK_POOL_PURPOSES; k++) printf(" %11.1f", mib((double)p->held[COLUMNS[k]]));
    printf(" %8.1f", mib((double)between_blocks(p)));
    if (p->registered) printf(" %10.1f", mib((double)p->registered));
    if (!host) printf(" %8.1f", mib((double)p->context));
    if (host) printf(" %8.1f %8.1f", mib((double)p->loader), mib((double)p->process));
    printf(" %10.1f", mib((double)p->total));
    if (!host) printf(" %10.1f", mib((double)(p->loader + p->process)));
    printf("\n");
}

static void print_heading(bool host, bool registers)
{
    printf("\nMiB of a rank%s\n%-18s %12s", host ? "" : "'s GPU, and of its host", "ranks",
           "parameters");
    for (int k = 0; k < TK_POOL_PURPOSES; k++) printf(" %11s", tk_pool_purpose_name(COLUMNS[k]));
    printf(" %8s", "between");
    if (registers) printf(" %10s", "registered");
    if (host)
        printf(" %8s %8s %10s\n", "loader", "process", "total");
    else
        printf(" %8s %10s %10s\n", "context", "total", "host");
}

static bool same_bytes(const tk_plan *a, const tk_plan *b)
{
    return a->parameters == b->parameters && a->pool == b->pool && a->loader == b->loader &&
           memcmp(a->held, b->held, sizeof a->held) == 0;
}

// One line for all ranks that need the same, named by their numbers.
static void print_ranks(const tk_layout_plan *l, bool host)
{
    print_heading(host, l->plan[0].registered > 0);
    for (int i = 0; i < l->n; i++) {
        char names[64];
        int n = 0, used = 0;
        bool known = false;
        for (int k = 0; k < i && !known; k++) known = same_bytes(&l->plan[k], &l->plan[i]);
        if (known) continue;
        for (int k = i; k < l->n; k++) {
            if (!same_bytes(&l->plan[k], &l->plan[i])) continue;
            if (n++ < 4)
                used += snprintf(names + used, sizeof names - (size_t)used, "%s%d", used ? "," : "",
                                 l->plan[k].rank);
        }
        if (n > 4) snprintf(names + used, sizeof names - (size_t)used, ",.. (%d)", n);
        print_row(names, &l->plan[i], host);
    }
}

// Who is taken to do attention, of whom no library is asked.
static void print_attention(const tk_config *c)
{
    if (c->parallel.attention != TK_ATTENTION_OWN && c->train.precision == TK_PRECISION_BF16)
        printf("attention   by cuDNN where it takes it, its workspace by a formula (attention=own: "
               "by our own kernels, which take none)\n");
}

static void print_registered(const tk_layout_plan *l)
{
    const tk_plan *p = &l->plan[l->sender];
    size_t sent[TK_POOL_PURPOSES];
    char who[256];
    if (!p->registered) return;
    for (int k = 0; k < TK_POOL_PURPOSES; k++) sent[k] = (size_t)p->sent[k];
    tk_pool_print(sent, who, sizeof who);
    printf(
        "registered  %.1f MiB of it on each rank for what is sent, as much as rank %d needs: %s\n",
        mib((double)p->registered), p->rank, who);
}

static void print_memory(const tk_plan_of *of, const tk_layout_plan *l)
{
    double all = 0;
    for (int i = 0; i < l->n; i++) all += (double)l->plan[i].stands_for * (double)l->plan[i].total;
    printf("memory      %.1f MiB on the fullest rank, %.1f MiB in all",
           mib((double)l->plan[l->fullest].total), mib(all));
    if (of->machine && l->spare >= 0)
        printf("; %.1f MiB%s of a GPU to spare", mib((double)l->spare),
               star_of(&of->machine->memory));
    if (of->machine && l->spare < 0)
        printf("; does not fit: %.1f MiB%s short", mib(-(double)l->spare),
               star_of(&of->machine->memory));
    printf("\n");
    print_registered(l);
    if (l->n < l->ranks)
        printf(
            "planned     %d ranks: of every stage the first and the last of its tensor ranks, of "
            "the data rank with the most rows at once; the others hold no more\n",
            l->n);
}

// ---- work and time -----------------------------------------------------------------------------

static void print_cost(const tk_cost *c, const char *name, bool timed)
{
    printf("%-22s %9.0f %11.4g %11.1f %11.1f", name, c->calls, c->flops, mib(c->read),
           mib(c->written));
    if (timed)
        printf(" %10.3f  %s", 1e3 * c->seconds,
               c->seconds > 0 ? tk_bound_name(tk_cost_bound(c)) : "");
    printf("\n");
}

static void print_costs(const tk_plan_of *of, const tk_plan *p)
{
    const bool timed = of->machine != NULL;
    printf("\nA step of rank %d%s: bytes that must be read and written at least\n%-22s %9s %11s "
           "%11s %11s",
           p->rank, timed ? ", the slowest" : "", "work", "calls", "FLOP", "MiB read",
           "MiB written");
    if (timed) printf(" %10s  bound by", of->machine && *star_of_all(of->machine) ? "ms*" : "ms");
    printf("\n");
    for (int i = 0; i < TK_COST_ROWS; i++) {
        char name[48];
        if (p->prices.cost[i].calls > 0)
            print_cost(&p->prices.cost[i], tk_cost_name(i, name), timed);
    }
}

static void print_groups(const tk_plan_of *of, const tk_layout_plan *l)
{
    const tk_plan *p = &l->plan[l->slowest];
    static const char *const names[TK_AXES + 1] = {"tensor", "pipeline", "guidance", "data",
                                                   "world"};
    const bool timed = of->machine != NULL;
    double calls = 0;
    for (int i = 0; i <= TK_AXES; i++) calls += p->prices.group[i].calls;
    if (calls <= 0) return;
    printf("\nBetween ranks, in a step of rank %d\n%-22s %9s %11s %14s", p->rank, "group", "ranks",
           "messages", "MiB sent");
    if (timed && *star_of_all(of->machine)) printf(" %10s %10s", "ms*", "exposed*");
    if (timed && !*star_of_all(of->machine)) printf(" %10s %10s", "ms", "exposed");
    printf("\n");
    for (int i = 0; i <= TK_AXES; i++) {
        const tk_group_cost *g = &p->prices.group[i];
        tk_parallel_config c = of->config->parallel;
        const int64_t ranks =
            i < TK_AXES ? *tk_mesh_degree(&c, (tk_axis)i) : c.tensor * c.pipeline * c.data;
        if (g->calls <= 0) continue;
        printf("%-22s %9lld %11.0f %14.3f", names[i], (long long)ranks, g->calls, mib(g->sent));
        if (timed) printf(" %10.3f %10.3f", 1e3 * g->seconds, 1e3 * tk_layout_exposed(l, i));
        printf("\n");
    }
}

static void print_time(const tk_plan_of *of, const tk_layout_plan *l)
{
    const tk_machine *m = of->machine;
    const char *star = star_of_all(m);
    const tk_plan *p = &l->plan[l->slowest];
    printf("machine     %s (%s)\n", m->name, last_part(of->config->plan.machine));
    printf("time        %.4g s%s a step: %.4g s forwards and backwards, %.4g s sums of gradients, "
           "%.4g s optimizer\n",
           l->seconds, star, l->pipeline, p->reduce, p->optimizer);
    printf("run         %.4g days%s\n", l->seconds * (double)of->config->train.steps / 86400, star);
    if (l->mfu > 0)
        printf("MFU         %.1f%%%s of %.4g TFLOP/s%s a GPU\n", 100 * l->mfu, star,
               tk_machine_peak(m, of->config->train.precision)->value / 1e12,
               star_of(tk_machine_peak(m, of->config->train.precision)));
}

static void print_schedule(const tk_plan_of *of, const tk_layout_plan *l)
{
    const tk_parallel_config *p = &of->config->parallel;
    const int64_t n = tk_microbatches_of(&of->config->train, 0, (int)p->data).n;
    if (p->pipeline == 1) return;
    printf(
        "schedule    %s, %lld microbatches on %lld x %lld runs of blocks: stages idle %.1f%%%s\n",
        tk_schedule_name((tk_schedule_kind)p->schedule), (long long)n, (long long)p->pipeline,
        (long long)p->chunks, 100 * l->idle, of->machine ? star_of_all(of->machine) : "");
}

void tk_layout_print(const tk_plan_of *of, const tk_layout_plan *l, int64_t parameters)
{
    const tk_train_config *c = &of->config->train;
    const bool host = tk_plan_on_host(of->config);
    char mesh[128];
    print_schedule(of, l);
    printf("layout      %s: %d rank%s\n", tk_mesh_print(&of->config->parallel, mesh, sizeof mesh),
           l->ranks, l->ranks == 1 ? "" : "s");
    printf("parameters  %lld\n", (long long)parameters);
    printf("step        %lld clips, %lld rows, %.4g FLOP\n", (long long)c->batch,
           (long long)l->rows, l->flops);
    printf("run         %lld steps, %.4g FLOP\n", (long long)c->steps, l->flops * (double)c->steps);
    if (of->machine) print_time(of, l);
    if (!host) print_attention(of->config);
    print_memory(of, l);
    print_ranks(l, host);
    print_costs(of, &l->plan[l->slowest]);
    print_groups(of, l);
    if (of->machine) tk_machine_print_assumed(of->machine, of->config->plan.machine);
}

// ---- layouts ranked ----------------------------------------------------------------------------

// "short by 1234.5: activations 70000.0", in MiB.
static void print_missing(const tk_candidate *k)
{
    int most = 0;
    for (int i = 1; i < TK_POOL_PURPOSES; i++)
        if (k->held[i] > k->held[most]) most = i;
    printf("  short by %.1f: %s %.1f", mib(-(double)k->spare), tk_pool_purpose_name(most),
           mib((double)k->held[most]));
}

static void print_candidate(const tk_candidate *k)
{
    const tk_parallel_config *p = &k->parallel;
    if (k->seconds > 0)
        printf("%9.3f %6.1f %6.1f", k->seconds, 100 * k->mfu, 100 * k->idle);
    else
        printf("%9s %6s %6s", "-", "-", "-");
    printf(" %7lld %9lld %6lld  %-11s %7lld %11lld %10.1f", (long long)p->tensor,
           (long long)p->pipeline, (long long)p->data,
           tk_schedule_name((tk_schedule_kind)p->schedule), (long long)p->chunks,
           (long long)k->microbatch, mib((double)k->total));
    if (k->spare < 0) print_missing(k);
    printf("\n");
}

static void print_candidates(const tk_plan_of *of, const tk_candidate *k, int64_t n)
{
    const char *star = star_of_all(of->machine);
    printf("%8s%1s %5s%1s %5s%1s %7s %9s %6s  %-11s %7s %11s %10s\n", "seconds", star, "MFU%", star,
           "idle%", star, "tensor", "pipeline", "data", "schedule", "chunks", "microbatch", "MiB");
    for (int64_t i = 0; i < n && i < TK_SEARCH_BEST; i++) print_candidate(&k[i]);
}

void tk_search_print(const tk_plan_of *of, const tk_search *s)
{
    const tk_config *c = of->config;
    printf("search      %lld GPUs, %s (%s); %lld clips a step: %lld layouts, of which %lld fit\n\n",
           (long long)c->plan.search, of->machine->name, last_part(c->plan.machine),
           (long long)c->train.batch, (long long)s->n, (long long)s->fit);
    if (s->fit) print_candidates(of, s->candidate, s->fit);
    if (s->fit < s->n) {
        printf("\nDo not fit into %.1f MiB%s, and what they lack:\n",
               mib(of->machine->memory.value), star_of(&of->machine->memory));
        print_candidates(of, s->candidate + s->fit, s->n - s->fit);
    }
    tk_machine_print_assumed(of->machine, c->plan.machine);
}
