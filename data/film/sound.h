// SPDX-License-Identifier: Apache-2.0
// The parts of a film's sound, each added to pcm (samples, channels). Internal to data/film.
#pragma once
#include "data/film/film.h"

typedef struct tk_soundtrack {
    const tk_scene *scene;
    const tk_media_config *media;
    int64_t samples;
    float *pcm;
} tk_soundtrack;

// How loud a sound at x is in each channel as it is filmed at time t.
void tk_soundtrack_pan(const tk_soundtrack *t, double x, double at, double gain[2]);
void tk_soundtrack_ambience(const tk_soundtrack *t);         // data/film/ambience.c
void tk_soundtrack_event(const tk_soundtrack *t, int event); // data/film/events.c
