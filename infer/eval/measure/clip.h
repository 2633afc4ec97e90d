// SPDX-License-Identifier: Apache-2.0
// A clip while it is measured, by the parts that measure it. Internal to infer/eval.
#pragma once
#include "infer/eval/measure/measure.h"
#include <math.h>

enum { TK_CLIP_ONSETS = 256 };

typedef struct tk_clip {
    const tk_learned *learned;
    const tk_scene *scene;
    const tk_media *media;
    const bool *made;             // (shots); NULL: all
    double onset[TK_CLIP_ONSETS]; // seconds at which sounds begin
    int n_onsets;
    tk_figures *counted; // what was made
    tk_figures aside;    // what was not
    tk_figures *f;       // one of them
} tk_clip;

// Each counts what its judges find; memory of what they see from `a`.
tk_status tk_measure_things(tk_clip *c, tk_arena *a); // measure/things.c
tk_status tk_measure_people(tk_clip *c, tk_arena *a); // measure/people.c
tk_status tk_measure_sounds(tk_clip *c, tk_arena *a); // measure/sounds.c

// Whether something that goes on through the shots was asked for in each, and found.
typedef struct tk_series {
    bool asked[TK_SCENE_SHOTS], found[TK_SCENE_SHOTS];
} tk_series;

static inline void tk_series_put(tk_series *s, int shot, bool found)
{
    s->asked[shot] = true;
    s->found[shot] = found;
}
// Counts it as the same over each cut to the next shot that asks for it where both have it, and, in
// stories of TK_SCENE_SHOTS shots, over all of them where the first and the last that ask for it
// do, if half of the story's cuts lie between.
void tk_series_count(tk_clip *c, const tk_series *s, tk_figure cut, tk_figure story);

// From now on what is counted is of this shot, or of both: it counts if one of them was made.
static inline void tk_clip_turn(tk_clip *c, int shot, int other)
{
    const bool made = !c->made || c->made[shot] || c->made[other];
    c->f = made ? c->counted : &c->aside;
}

static inline bool tk_near(double a, double b, double by)
{
    return isfinite(a) && isfinite(b) && fabs(a - b) <= by;
}

// Pictures and samples of a shot.
static inline const uint8_t *tk_clip_pictures(const tk_clip *c, int64_t first)
{
    return c->media->rgb + first * c->media->height * c->media->width * 3;
}
