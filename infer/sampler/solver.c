// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/solver.h"

double tk_sigma(int64_t k, const tk_walk *w)
{
    const double sigma = (1 - w->skip) * (1 - (double)k / (double)w->n);
    return w->shift * sigma / (1 + (w->shift - 1) * sigma);
}

// From level k to the one after it.
static double step_from(int64_t k, const tk_walk *w)
{
    return tk_sigma(k, w) - tk_sigma(k + 1, w);
}

static tk_solver_step euler(int64_t k, const tk_walk *w)
{
    return (tk_solver_step){step_from(k, w), 0};
}

// A step of first + second, of which the rows went `first` by v_k-1. Levels need not lie evenly:
// the velocity is a line through both answers, and so is integrated over the whole step.
static tk_solver_step midpoint(int64_t k, const tk_walk *w)
{
    if (k % 2 == 0) return euler(k, w);
    const double first = step_from(k - 1, w), whole = first + step_from(k, w);
    const double now = whole * whole / (2 * first);
    return (tk_solver_step){now, whole - now - first};
}

// The line through both answers, integrated over the step after them.
static tk_solver_step multistep(int64_t k, const tk_walk *w)
{
    if (k == 0) return euler(k, w);
    const double h = step_from(k, w), more = h * h / (2 * step_from(k - 1, w));
    return (tk_solver_step){h + more, -more};
}

static const struct solver {
    tk_solver_step (*at)(int64_t k, const tk_walk *w);
    bool remembers;
    const char *name;
} SOLVERS[] = {
    [TK_SOLVER_EULER] = {euler, false, "euler"},
    [TK_SOLVER_MIDPOINT] = {midpoint, true, "midpoint"},
    [TK_SOLVER_MULTISTEP] = {multistep, true, "multistep"},
};

tk_solver_step tk_solver_at(tk_solver s, int64_t k, const tk_walk *w)
{
    return SOLVERS[s].at(k, w);
}

bool tk_solver_remembers(tk_solver s)
{
    return SOLVERS[s].remembers;
}

const char *tk_solver_name(tk_solver s)
{
    return SOLVERS[s].name;
}
