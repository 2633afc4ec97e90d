// SPDX-License-Identifier: Apache-2.0
// `talkie data world`: clips of the world into a clip file, over all ranks.
#pragma once
#include "core/comm/comm.h"
#include "core/config/config.h"

// Collective. Fits a codec on the first clips, renders, encodes and writes c->world.clips of them
// to c->output, with the ground truth in /truth:
//   /truth/clips/{index, first_object, objects, first_contact, contacts}        (clips) i64
//   /truth/objects/{kind, colour} i64, {radius, restitution, x, y, vx, vy} f64  (objects)
//   /truth/objects/world   (objects, frames, 2) f64: where the object is in each frame, metres
//   /truth/objects/pixel   (objects, frames, 2) f64: the same in pixels of the picture
//   /truth/contacts/{object, sample} i64, {t, speed} f64                        (contacts)
//   /truth/shots/{close, fresh, place} i64, {cx, cy, span} f64                  (shots, as in
//   /shots)
// Attributes of /truth: seed, gravity. Objects of contacts count within their clip.
tk_status tk_world_run(tk_comm *world, tk_config *c);
