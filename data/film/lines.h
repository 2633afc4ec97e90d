// SPDX-License-Identifier: Apache-2.0
// What is said in a scene, made once for a film. Internal to data/film.
#pragma once
#include "data/film/film.h"
#include "data/speech/mouth.h"

typedef struct tk_film_lines {
    int n;
    tk_line said[TK_SCENE_LINES]; // of each of the scene's lines
} tk_film_lines;

tk_status tk_film_lines_make(const tk_scene *s, tk_speech *speech, tk_arena *a, tk_film_lines *out);
tk_mouth tk_film_lines_mouth(const tk_film_lines *l, const tk_scene *s, int person, double t);
