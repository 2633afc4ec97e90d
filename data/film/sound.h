// SPDX-License-Identifier: Apache-2.0
// The parts of a film's sound, each added to pcm (samples, channels). Internal to data/film.
#pragma once
#include "data/film/film.h"
#include <math.h>

typedef struct tk_soundtrack {
    const tk_scene *scene;
    const tk_media_config *media;
    int64_t samples;
    float *pcm;
} tk_soundtrack;

void tk_soundtrack_ambience(const tk_soundtrack *t);         // data/film/ambience.c
void tk_soundtrack_event(const tk_soundtrack *t, int event); // data/film/events.c

// How loud a sound at x is in each channel as it is filmed at time t.
static inline void tk_soundtrack_pan(const tk_soundtrack *s, double x, double t, double gain[2])
{
    const tk_view v = tk_scene_view_at(s->scene, s->media->height, s->media->width, t);
    const double side = fmax(-1, fmin(1, 0.8 * (x - v.cx) * v.pixels_per_metre / v.half_width));
    gain[0] = s->media->channels == 2 ? cos(0.25 * M_PI * (1 + side)) : 1;
    gain[1] = sin(0.25 * M_PI * (1 + side));
}
