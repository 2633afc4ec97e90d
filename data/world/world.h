// SPDX-License-Identifier: Apache-2.0
// The world: a procedural world of balls and crates under gravity on a lit floor, filmed in one to
// three shots with sound, captioned, with exact ground truth. A pure function of (seed, index):
// endless data and held-out data for nothing.
//
// Captions are short lines in the manner of a shot list, since every byte is a row of the model:
//     "wide: red ball bounces left"     the object is let go at the start of the shot and bounces
//     "close: blue crate drops middle"  it is let go, lands with a thud and stays
//     "close: red ball bounces on"      time runs on through the cut: the same bounces go on
// Heavy objects would lie still after a cut, so their next shot is another drop of the same object.
#pragma once
#include "data/codec/codec.h"
#include "data/scene/scene.h"

enum {
    TK_WORLD_KINDS = 2, // of tk_kind: balls and crates
    TK_WORLD_SHOTS = 3,
    TK_WORLD_CONTACTS = 64,
    TK_WORLD_OBJECTS = 1,
    TK_WORLD_ARCS = TK_WORLD_CONTACTS + TK_WORLD_SHOTS
};
extern const uint8_t tk_colour_rgb[TK_COLOURS][3];
#define TK_WORLD_GRAVITY 9.81 // m/s^2

typedef struct tk_world_object {
    tk_kind kind;
    int colour;
    double radius;       // metres (half side of a crate)
    double x, y, vx, vy; // metres, m/s at time 0; y up, floor at 0
    double restitution;  // speed after an impact over speed before: about 0.1 or 0.8
} tk_world_object;

typedef struct tk_world_contact {
    double t, speed; // seconds, m/s at impact; sound begins at round(t * sample_rate)
    int object;
} tk_world_contact;

// Free flight from time t on, until the object's next arc begins; at rest: nothing moves.
typedef struct tk_world_arc {
    double t, x, y, vx, vy;
    int object;
    bool rest;
} tk_world_arc;

typedef struct tk_world_shot {
    double start, seconds;
    bool close;          // close-up or wide
    bool fresh;          // an object is let go at the start of the shot
    int place;           // where the object is let go, of the frame (fresh shots)
    double cx, cy, span; // camera centre and width of view, metres
    char caption[128];
} tk_world_shot;

typedef struct tk_stage { // ground truth of a clip
    uint64_t seed;
    int64_t index;
    int n_objects;
    tk_world_object object[TK_WORLD_OBJECTS];
    int n_shots;
    tk_world_shot shot[TK_WORLD_SHOTS];
    int n_contacts;
    tk_world_contact contact[TK_WORLD_CONTACTS]; // in time order
    int n_arcs;
    tk_world_arc arc[TK_WORLD_ARCS]; // in time order
} tk_stage;

// Frames of a clip: s->seconds cut to whole latent frames, at least one.
int64_t tk_world_frames(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames);

// The scene of clip `index`. Cuts fall on latent-frame boundaries (multiples of patch_frames /
// fps).
void tk_world_scene(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames,
                    uint64_t seed, int64_t index, tk_stage *out);
// Position of an object at time t (analytic between contacts).
void tk_world_position(const tk_stage *s, int object, double t, double *x, double *y);
// The shot showing at time t.
int tk_world_shot_at(const tk_stage *s, double t);
// Renders: rgb (frames, height, width, 3), pcm (samples, channels) in [-1, 1]. Frame i shows time
// i / fps.
void tk_world_render(const tk_stage *s, const tk_media_config *m, int64_t frames, uint8_t *rgb);
void tk_world_sound(const tk_stage *s, const tk_media_config *m, int64_t samples, float *pcm);
// How a shot is seen: world to pixel coordinates, the centre of the top left pixel being (0.5,
// 0.5). Of pictures height x width the shot showing at time t.
typedef struct tk_world_view {
    double cx, cy, half_width, half_height, pixels_per_metre;
} tk_world_view;
tk_world_view tk_world_view_at(const tk_stage *s, int64_t height, int64_t width, double t);
void tk_world_project(const tk_world_view *v, double x, double y, double *px, double *py);
