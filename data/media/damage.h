// SPDX-License-Identifier: Apache-2.0
// Where a stream does not decode: stretches of its time, in order. Internal to data/media/*.c.
#pragma once
#include "core/base/mem.h"

typedef struct tk_stretch {
    double from, to; // seconds; `to` is INFINITY until it ends
    int64_t n;       // packets and pictures in it that did not decode
} tk_stretch;

typedef struct tk_damage { // 24 bytes a stretch: memory grows with the damage, not with the file
    tk_stretch *stretch;
    int64_t n, cap;
} tk_damage;

// One more that did not decode: in the stretch that has not ended, or else in a new one.
tk_status tk_damage_add(tk_damage *d, double from);
bool tk_damage_open(const tk_damage *d);
void tk_damage_end(tk_damage *d, double to); // if one is open
// Packets and pictures of the stretches that reach into [from, to); *at = where damage begins
// there.
int64_t tk_damage_within(const tk_damage *d, double from, double to, double *at);
void tk_damage_free(tk_damage *d);
