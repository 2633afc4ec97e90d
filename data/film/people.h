// SPDX-License-Identifier: Apache-2.0
// How people are drawn: bodies (data/film/people.c) and heads (data/film/face.c). Internal to
// data/film.
#pragma once
#include "data/film/parts.h"
#include "data/speech/mouth.h"

typedef struct tk_person {             // a person at a moment, as drawn
    const tk_character *who, *dressed; // as whom
    tk_body body;
    tk_face face;
    tk_mouth mouth;
    double t;
} tk_person;

// Arms of a person who carries something, or whose side is turned to the camera, lie before the
// body; `front` says which are painted.
void tk_body_paint(tk_canvas *c, const tk_person *f);
void tk_arms_paint(tk_canvas *c, const tk_person *f, bool front);
void tk_head_paint_back(tk_canvas *c, const tk_person *f); // hair that lies behind the body
void tk_head_paint(tk_canvas *c, const tk_person *f);
void tk_mouth_paint(tk_canvas *c, const tk_person *f);
