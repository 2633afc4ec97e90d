// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/solver.h"

double tk_sigma(int64_t k, int64_t n, double shift)
{
    const double sigma = 1 - (double)k / (double)n;
    return shift * sigma / (1 + (shift - 1) * sigma);
}

// From level k to the one after it.
static double step_from(int64_t k, int64_t n, double shift)
{
    return tk_sigma(k, n, shift) - tk_sigma(k + 1, n, shift);
}

static tk_solver_step euler(int64_t k, int64_t n, double shift)
{
    return (tk_solver_step){step_from(k, n, shift), 0};
}

// A step of first + second, of which the rows went `first` by v_k-1. Levels need not lie evenly:
// the velocity is a line through both answers, and so is integrated over the whole step.
static tk_solver_step midpoint(int64_t k, int64_t n, double shift)
{
    if (k % 2 == 0) return euler(k, n, shift);
    const double first = step_from(k - 1, n, shift), whole = first + step_from(k, n, shift);
    const double now = whole * whole / (2 * first);
    return (tk_solver_step){now, whole - now - first};
}

// The line through both answers, integrated over the step after them.
static tk_solver_step multistep(int64_t k, int64_t n, double shift)
{
    if (k == 0) return euler(k, n, shift);
    const double h = step_from(k, n, shift), more = h * h / (2 * step_from(k - 1, n, shift));
    return (tk_solver_step){h + more, -more};
}

static const struct solver {
    tk_solver_step (*at)(int64_t k, int64_t n, double shift);
    bool remembers;
    const char *name;
} SOLVERS[] = {
    [TK_SOLVER_EULER] = {euler, false, "euler"},
    [TK_SOLVER_MIDPOINT] = {midpoint, true, "midpoint"},
    [TK_SOLVER_MULTISTEP] = {multistep, true, "multistep"},
};

tk_solver_step tk_solver_at(tk_solver s, int64_t k, int64_t n, double shift)
{
    return SOLVERS[s].at(k, n, shift);
}

bool tk_solver_remembers(tk_solver s)
{
    return SOLVERS[s].remembers;
}

const char *tk_solver_name(tk_solver s)
{
    return SOLVERS[s].name;
}
