// SPDX-License-Identifier: Apache-2.0
// The stage: a procedural world of balls and crates under gravity on a lit floor, filmed in one to
// three shots with sound, captioned, with exact ground truth. A pure function of (seed, index):
// endless data and held-out data for nothing.
#pragma once
#include "data/codec.h"

typedef enum tk_kind { TK_BALL, TK_CRATE, TK_KINDS } tk_kind;
enum { TK_COLOURS = 6, TK_STAGE_SHOTS = 3, TK_STAGE_CONTACTS = 32, TK_STAGE_OBJECTS = 2 };
extern const char *const tk_colour_name[TK_COLOURS];
extern const uint8_t tk_colour_rgb[TK_COLOURS][3];
extern const char *const tk_kind_name[TK_KINDS];

typedef struct tk_stage_object {
    tk_kind kind;
    int colour;
    double radius;       // metres (half side of a crate)
    double x, y, vx, vy; // metres, m/s at time 0; y up, floor at 0
    double restitution;  // 0 = inelastic, stays down; e.g. 0.7 = bounces
} tk_stage_object;

typedef struct tk_stage_contact {
    double t, speed;
    int object;
} tk_stage_contact; // seconds, m/s at impact; sound begins at round(t * sample_rate)

typedef struct tk_stage_shot {
    double start, seconds;
    bool close;          // close-up or wide
    double cx, cy, span; // camera centre and width of view, metres
    char caption[128];
} tk_stage_shot;

typedef struct tk_scene { // ground truth of a clip
    uint64_t seed;
    int64_t index;
    int n_objects;
    tk_stage_object object[TK_STAGE_OBJECTS];
    int n_shots;
    tk_stage_shot shot[TK_STAGE_SHOTS];
    int n_contacts;
    tk_stage_contact contact[TK_STAGE_CONTACTS]; // in time order
} tk_scene;

// The scene of clip `index`. Cuts fall on latent-frame boundaries (multiples of patch_frames /
// fps).
void tk_stage_scene(const tk_stage_config *s, const tk_media_config *m, int64_t patch_frames,
                    uint64_t seed, int64_t index, tk_scene *out);
// Position of an object at time t (analytic between contacts).
void tk_stage_position(const tk_scene *s, int object, double t, double *x, double *y);
// Renders: rgb (frames, height, width, 3), pcm (samples, channels) in [-1, 1].
void tk_stage_render(const tk_scene *s, const tk_media_config *m, int64_t frames, uint8_t *rgb);
void tk_stage_sound(const tk_scene *s, const tk_media_config *m, int64_t samples, float *pcm);
// World to pixel coordinates of the shot showing at time t.
void tk_stage_project(const tk_scene *s, const tk_media_config *m, double t, double x, double y,
                      double *px, double *py, double *pixels_per_metre);
// A scene that a caption describes, for tests and eval prompts: the caption of shot k is
// s->shot[k].caption.
