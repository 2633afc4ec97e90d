// SPDX-License-Identifier: Apache-2.0
// A scene while it is written: beat after beat, shot after shot.
#pragma once
#include "data/scene/draws.h"

typedef struct tk_plot {
    const tk_world_config *c;
    const tk_media_config *m;
    tk_draws d;
    tk_scene *s;
    tk_speech *speech; // NULL: nobody speaks
    tk_status status;  // of speech
    double end;        // of the clip, seconds
    double stage;      // half of what a wide shot shows, metres
    int things;        // that the clip may have
    bool pair;         // the first thing is of the held-out kind and colour
} tk_plot;

// A beat fills shot k from the state that the world is in, and sets its camera. False if it does
// not fit; the scene is then to be restored.
typedef bool (*tk_beat_writer)(tk_plot *p, int k);
bool tk_beat_drop(tk_plot *p, int k);
bool tk_beat_rise(tk_plot *p, int k);
bool tk_beat_ramp(tk_plot *p, int k);
bool tk_beat_splash(tk_plot *p, int k);
bool tk_beat_hit(tk_plot *p, int k);
bool tk_beat_letgo(tk_plot *p, int k);
bool tk_beat_walk(tk_plot *p, int k);
bool tk_beat_turn(tk_plot *p, int k);
bool tk_beat_say(tk_plot *p, int k);
bool tk_beat_ask(tk_plot *p, int k);
bool tk_beat_answer(tk_plot *p, int k); // what was asked in the shot before
bool tk_beat_look_at_thing(tk_plot *p, int k);
bool tk_beat_look_at_person(tk_plot *p, int k);

// Thing `a.thing` moves so from a.t on. False if it comes in another's way.
bool tk_plot_go(tk_plot *p, tk_arc a);
// Somebody who is of no cast.
tk_character tk_plot_stranger(tk_draws *d);
// In what is left of shot k from time t on, its person says something about what she did.
bool tk_plot_remark(tk_plot *p, int k, double t);
// A new thing, of any of the kinds in the mask (1 << kind) that may be; -1 if none may.
int tk_plot_thing(tk_plot *p, int kinds);
// Puts people, and what one of them carries, where they are at the begin.
bool tk_plot_people(tk_plot *p, int people, bool carries);
// Writes all shots.
bool tk_plot_write(tk_plot *p);
// Says what happens in shot k. False if that has no words or takes too many bytes.
bool tk_plot_caption(tk_plot *p, int k);
