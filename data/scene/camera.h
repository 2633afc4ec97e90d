// SPDX-License-Identifier: Apache-2.0
// Where the camera stands, so that what a shot is about is in view as long as it lasts.
#pragma once
#include "data/scene/scene.h"

#define TK_VIEW_METRES(size) ((size) == TK_SIZE_WIDE ? 3.0 : (size) == TK_SIZE_MEDIUM ? 1.8 : 1.0)

// Metres that the width of a frame of that size shows.
double tk_camera_span(const tk_media_config *m, tk_size size);

// Sets the camera of shot k: of size h->size and move h->move if the shot's subjects can be held in
// view so and the cut to it can be seen (it changes the size, goes to the other side, or moves the
// view by a third of its width), else of another move or size. place >= 0: the thing is to begin in
// that third of the frame. False if there is none.
bool tk_camera_set(tk_scene *s, const tk_media_config *m, int k, int place);
