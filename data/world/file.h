// SPDX-License-Identifier: Apache-2.0
// `talkie data world`: clips of the world into a clip file, over all ranks.
#pragma once
#include "core/comm/comm.h"
#include "core/config/command.h"

// Collective. Fits a codec on the first clips, films, encodes and writes c->world.clips of them
// to c->output, with the ground truth in /truth. Tables are groups of columns; numbers of sets,
// styles and so on are those of data/scene/scene.h, words are those of data/speech/words.h.
//   clips   index, set, style, ramp, first_thing, things, first_person, people, first_line, lines,
//           first_event, events i64: rows of the other tables; ramp_x, ramp_y, ramp_end,
//           water_from, bed, light f64: metres
//   things  kind, colour, heavy i64; radius, density, restitution, mass f64
//           world (things, frames, 3): x, y (metres), angle; NaN while it is not there
//           pixel (things, frames, 2): its centre in the picture
//   people  character, voice i64: a stranger is the one after the cast; height f64
//           number i64: of the tags that the clip cites the person by, <face 1> <voice 1>; 0: not
//           named i64: 1: captions go on with the name where the tags are cited
//           face, sample i64: which of /references are the face and the sample of the voice; -1
//           x (people, frames): metres; head, mouth (people, frames, 4): left, top, right, bottom,
//           pixels; open (people, frames): the mouth, 0 to 1
//   shots   size, move, reverse, beat, outcome, person, thing, other, place, toward, line, style
//   i64;
//           from_cx, from_cy, from_span, to_cx, to_cy, to_span f64 (as in /shots, in their order)
//   lines   person, words, word_0, word_1, word_2, sample i64; begin, end f64: seconds
//   events  kind, of, other, sample i64; t, x, speed f64
// Attributes of /truth: seed, gravity. People, things and lines are counted within their clip.
tk_status tk_world_run(tk_comm *world, tk_config *c);
// Of its command: where the clips go to, their codec, their size, who speaks in them.
tk_asks tk_world_ask;
