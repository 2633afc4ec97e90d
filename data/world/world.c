// SPDX-License-Identifier: Apache-2.0
// The world's scenes: what is let go where, how it moves, how it is cut, what the captions say.
#include "data/world/world.h"
#include "core/numbers/rng.h"
#include "data/codec/grid.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const uint8_t tk_colour_rgb[TK_COLOURS][3] = {{214, 40, 40},  {240, 200, 30}, {40, 165, 70},
                                              {40, 200, 215}, {40, 80, 215},  {235, 90, 190}};

// The view: so many metres of the shorter side of the frame, floor at this part of its height.
static const double view_metres[2] = {4.0, 2.7};    // wide, close
static const double place_offset[2] = {0.30, 0.24}; // of the width, from its middle
static const double drop_lowest[2] = {2.15, 1.35};  // metres, centre of the object
static const double drop_range[2] = {0.55, 0.30};
static const double floor_margin = 0.18;
static const double rest_speed = 0.6;  // a slower rebound counts as lying still
static const double lively = 0.30;     // metres a bounce must still rise for "bounces on"
static const double shot_least = 0.75; // seconds

typedef struct draws { // one scene's stream of random numbers
    tk_key key;
    uint64_t n;
} draws;

static double draw_number(draws *d, double low, double high)
{
    return low + (high - low) * tk_rng_uniform(d->key, d->n++);
}

static int pick_of(draws *d, int n)
{
    return (int)tk_rng_below(d->key, d->n++, n);
}

static tk_codec_info clock_of(const tk_media_config *m, int64_t patch_frames)
{
    return (tk_codec_info){.patch_frames = patch_frames, .fps = m->fps};
}

int64_t tk_world_frames(const tk_world_config *s, const tk_media_config *m, int64_t patch_frames)
{
    const tk_codec_info clock = clock_of(m, patch_frames);
    int64_t latent = tk_grid_latents(&clock, s->seconds);
    return tk_grid_frame(&clock, latent < 1 ? 1 : latent);
}

// The flight from `a` until `end` as arcs and contacts, bounce after bounce.
static void fly(tk_stage *s, tk_world_arc a, double end)
{
    const tk_world_object *o = &s->object[a.object];
    s->arc[s->n_arcs++] = a;
    while (!a.rest && s->n_contacts < TK_WORLD_CONTACTS) {
        double drop = a.y - o->radius;
        double speed = sqrt(a.vy * a.vy + 2 * TK_WORLD_GRAVITY * (drop > 0 ? drop : 0));
        double t = a.t + (a.vy + speed) / TK_WORLD_GRAVITY;
        if (t >= end) return;
        s->contact[s->n_contacts++] = (tk_world_contact){t, speed, a.object};
        double up = speed * o->restitution;
        bool rest = up < rest_speed || s->n_contacts == TK_WORLD_CONTACTS;
        a = (tk_world_arc){.t = t,
                           .x = a.x + a.vx * (t - a.t),
                           .y = o->radius,
                           .vx = rest ? 0 : a.vx,
                           .vy = rest ? 0 : up,
                           .object = a.object,
                           .rest = rest};
        s->arc[s->n_arcs++] = a;
    }
}

static const tk_world_arc *arc_at(const tk_stage *s, int object, double t)
{
    const tk_world_arc *a = &s->arc[0];
    for (int i = 0; i < s->n_arcs; i++)
        if (s->arc[i].object == object && s->arc[i].t <= t) a = &s->arc[i];
    return a;
}

void tk_world_position(const tk_stage *s, int object, double t, double *x, double *y)
{
    const tk_world_arc *a = arc_at(s, object, t);
    double dt = a->rest ? 0 : t - a->t;
    *x = a->x + a->vx * dt;
    *y = a->y + a->vy * dt - 0.5 * TK_WORLD_GRAVITY * dt * dt;
}

int tk_world_shot_at(const tk_stage *s, double t)
{
    int k = 0;
    while (k + 1 < s->n_shots && t >= s->shot[k + 1].start - 1e-9) k++;
    return k;
}

// Number of shots and their cuts, in latent frames.
static void cut_shots(const tk_world_config *c, const tk_media_config *m, int64_t patch_frames,
                      draws *d, tk_stage *s)
{
    const tk_codec_info clock = clock_of(m, patch_frames);
    const double tick = tk_grid_tick(&clock);
    const int64_t latent = tk_grid_latent(&clock, tk_world_frames(c, m, patch_frames));
    int64_t least = (int64_t)ceil(shot_least / tick - 1e-6);
    int64_t most = latent / (least < 1 ? 1 : least);
    if (most > c->max_shots) most = c->max_shots;
    if (most > TK_WORLD_SHOTS) most = TK_WORLD_SHOTS;
    double u = draw_number(d, 0, 1); // as many shots as fit in most clips, fewer in some
    s->n_shots = most < 1 ? 1 : (int)most;
    if (s->n_shots > 1 && u < 0.30) s->n_shots--;
    if (s->n_shots > 1 && u < 0.12) s->n_shots--;
    int64_t cut[TK_WORLD_SHOTS + 1] = {0};
    for (int k = 1; k <= s->n_shots; k++) cut[k] = tk_split_begin(latent, s->n_shots, k);
    for (int k = 1; k < s->n_shots; k++) {
        int64_t at = cut[k] + (draw_number(d, 0, 1) < 0.3 ? pick_of(d, 3) - 1 : 0);
        if (at - cut[k - 1] >= least && cut[k + 1] - at >= least) cut[k] = at;
    }
    for (int k = 0; k < s->n_shots; k++) {
        s->shot[k].start = (double)cut[k] * tick;
        s->shot[k].seconds = (double)(cut[k + 1] - cut[k]) * tick;
    }
}

static void set_camera(tk_world_shot *h, const tk_media_config *m, double cx)
{
    double side = (double)(m->width < m->height ? m->width : m->height);
    double metres = view_metres[h->close], per_metre = side / metres;
    h->span = (double)m->width / per_metre;
    h->cx = cx;
    h->cy = 0.5 * (double)m->height / per_metre - floor_margin * metres;
}

// Lets the object go at the start of shot k.
static void let_object_go(tk_stage *s, const tk_media_config *m, draws *d, int k, double end)
{
    tk_world_shot *h = &s->shot[k];
    const tk_world_object *o = &s->object[0];
    h->fresh = true;
    h->place = pick_of(d, TK_PLACES);
    set_camera(h, m, h->close ? draw_number(d, -1, 1) : 0);
    double aside = (h->place - 1) * place_offset[h->close] * h->span;
    double y = drop_lowest[h->close] + draw_number(d, 0, drop_range[h->close]);
    if (!h->close) aside += draw_number(d, -0.1, 0.1);
    fly(s,
        (tk_world_arc){.t = h->start,
                       .x = h->cx + aside,
                       .y = y + (o->kind == TK_CRATE ? -0.05 : 0),
                       .vx = draw_number(d, -0.1, 0.1)},
        end);
}

// True if the bounces that go on at time t are worth another shot.
static bool still_lively(const tk_stage *s, double t)
{
    const tk_world_arc *a = arc_at(s, 0, t);
    double apex = a->y - s->object[0].radius + a->vy * a->vy / (2 * TK_WORLD_GRAVITY);
    return apex >= lively;
}

static void write_caption(const tk_stage *s, tk_world_shot *h)
{
    const tk_world_object *o = &s->object[0];
    bool bouncy = o->restitution > 0.5;
    snprintf(h->caption, sizeof h->caption, "%s: %s %s %s %s", h->close ? "close" : "wide",
             tk_colour_name[o->colour], tk_kind_name[o->kind], bouncy ? "bounces" : "drops",
             h->fresh ? tk_place_name[h->place] : "on");
}

void tk_world_scene(const tk_world_config *c, const tk_media_config *m, int64_t patch_frames,
                    uint64_t seed, int64_t index, tk_stage *out)
{
    draws d = {tk_rng_key(seed, TK_RNG_WORLD, (uint64_t)index), 0};
    *out = (tk_stage){.seed = seed, .index = index, .n_objects = 1};
    tk_world_object *o = &out->object[0];
    o->kind = pick_of(&d, TK_WORLD_KINDS);
    o->colour = pick_of(&d, TK_COLOURS);
    o->radius = o->kind == TK_BALL ? draw_number(&d, 0.46, 0.58) : draw_number(&d, 0.40, 0.51);
    bool bouncy = pick_of(&d, 2);
    o->restitution = bouncy ? draw_number(&d, 0.76, 0.84) : draw_number(&d, 0.05, 0.15);
    cut_shots(c, m, patch_frames, &d, out);
    bool close = pick_of(&d, 3) == 0;
    for (int k = 0; k < out->n_shots; k++) {
        tk_world_shot *h = &out->shot[k];
        h->close = close;
        double end = h->start + h->seconds;
        bool goes_on = k > 0 && draw_number(&d, 0, 1) < 0.6 && still_lively(out, h->start);
        // A take runs until the next one begins, so it is flown to the end of the clip here and
        // cut back if the next shot lets the object go anew.
        if (!goes_on) {
            while (out->n_contacts && out->contact[out->n_contacts - 1].t >= h->start)
                out->n_contacts--;
            while (out->n_arcs && out->arc[out->n_arcs - 1].t >= h->start) out->n_arcs--;
            const tk_world_shot *last = &out->shot[out->n_shots - 1];
            let_object_go(out, m, &d, k, last->start + last->seconds);
        } else {
            double x, y;
            tk_world_position(out, 0, 0.5 * (h->start + end), &x, &y);
            set_camera(h, m, h->close ? x : 0);
        }
        write_caption(out, h);
        if (draw_number(&d, 0, 1) < 0.9) close = !close;
    }
    o->x = out->arc[0].x, o->y = out->arc[0].y;
    o->vx = out->arc[0].vx, o->vy = out->arc[0].vy;
}
