// SPDX-License-Identifier: Apache-2.0
// Figures: how often what was asked for was found, with how sure that is, as a table and as JSON.
#pragma once
#include "core/base/mem.h"
#include <jansson.h>
#include <stdint.h>

// X(figure, name in reports, words)
#define TK_FIGURE_MAP(X)                                                  \
    X(TK_FIG_COLOUR, "colour", "a thing of the prompted colour")          \
    X(TK_FIG_KIND, "kind", "... of the prompted kind")                    \
    X(TK_FIG_OBJECT, "object", "... of both")                             \
    X(TK_FIG_SAME, "same_after_cut", "the same thing after a cut")        \
    X(TK_FIG_STATE, "state", "what lies still, in its place after a cut") \
    X(TK_FIG_GRAVITY, "gravity", "falls within a quarter of gravity")     \
    X(TK_FIG_BOUNCE, "bounce", "bounces as high as it should")            \
    X(TK_FIG_BUOYANCY, "buoyancy", "sinks, floats or rises as it should") \
    X(TK_FIG_COLLISION, "collision", "collisions that keep momentum")     \
    X(TK_FIG_SYNC, "sync", "contacts with a sound within 80 ms")          \
    X(TK_FIG_STYLE, "style", "the prompted style")                        \
    X(TK_FIG_SET, "set", "the prompted set")                              \
    X(TK_FIG_SIZE, "size", "the prompted camera size")                    \
    X(TK_FIG_CUTS, "cuts", "cuts where they were asked for, and no others")

typedef enum tk_figure {
#define X(figure, name, words) figure,
    TK_FIGURE_MAP(X)
#undef X
        TK_FIGURES
} tk_figure;

typedef struct tk_figures { // sums over clips, in whole numbers: hits of tries
    double hits[TK_FIGURES], of[TK_FIGURES];
} tk_figures;

static inline void tk_figures_count(tk_figures *f, tk_figure k, int64_t hits, int64_t of)
{
    f->hits[k] += (double)hits;
    f->of[k] += (double)of;
}
// Mean over the figures that there is something to tell of; NaN if there is none.
double tk_figures_score(const tk_figures *f);

// Where the share lies with 95% certainty (Wilson 1927); 0 to 1 of no tries.
typedef struct tk_interval {
    double low, high;
} tk_interval;
tk_interval tk_figures_interval(double hits, double of);

// Columns side by side, a row for each figure that any of them tells of.
typedef struct tk_column_of_figures {
    const char *name;
    const tk_figures *figures;
} tk_column_of_figures;
void tk_figures_print(int n, const tk_column_of_figures *column);
// {name: {what, COLUMN: {share, low, high, hits, of}, ...}, ...}; NULL: out of memory.
json_t *tk_figures_report(int n, const tk_column_of_figures *column);
