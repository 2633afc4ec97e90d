// SPDX-License-Identifier: Apache-2.0
// A clip of the world measured against what its captions ask for.
#pragma once
#include "core/config/config.h"
#include "data/world/world.h"

typedef enum tk_figure {
    TK_FIG_COLOUR,  // shots with an object of the prompted colour
    TK_FIG_KIND,    // ... of the prompted kind
    TK_FIG_OBJECT,  // ... both
    TK_FIG_SAME,    // cuts with the same object, colour and kind, before and after
    TK_FIG_GRAVITY, // shots with a fall that fall within a quarter of g
    TK_FIG_SYNC,    // contacts seen in shots that have some, with a sound within two frames
    TK_FIGURES
} tk_figure;
extern const char *const tk_figure_name[TK_FIGURES], *const tk_figure_words[TK_FIGURES];

typedef struct tk_figures { // sums over clips; hits of tries
    double hits[TK_FIGURES], of[TK_FIGURES];
} tk_figures;

// A clip made for the scene's captions and shot lengths. Contacts are those seen in the clip
// itself; which shots are measured for motion follows from the scene.
tk_status tk_measure_clip(const tk_scene *s, const tk_media *clip, tk_figures *f);
