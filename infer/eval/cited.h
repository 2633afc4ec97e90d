// SPDX-License-Identifier: Apache-2.0
// Scenes whose people are given by reference: captions that name them by tags alone, and rows of
// their faces and voices; or, to see what references are worth, those of others.
#pragma once
#include "data/clip/clip.h"
#include "data/scene/scene.h"
#include "infer/eval/figures.h"
#include "infer/story/references.h"

// The scene's shots with captions in which people are <face 1> <voice 1>, <face 2> ...; without
// speech (`speaks` false) there are no voices. In `a`.
tk_status tk_cited_captions(const tk_scene *s, bool speaks, tk_arena *a, const tk_clip_shot **out);

// What these tags stand for, rows and all, at the codec's rates and for frames of m's size.
// `wrong`: each is of somebody of the cast who is not in the scene. In `a`.
tk_status tk_cited_references(const tk_scene *s, const tk_media_config *m, const tk_codec *codec,
                              tk_speech *speech, bool wrong, tk_arena *a, tk_references *out);

// Where every scene has something that is held out of training: of people, sets and things only
// figures of those that are held out stay.
void tk_keep_held_out(const tk_scene *s, tk_figures *f);
