// SPDX-License-Identifier: Apache-2.0
// Beats of people: where they stand, walk and turn, and what they let go.
#include "data/scene/camera.h"
#include "data/scene/people.h"
#include "data/scene/physics.h"
#include "data/scene/plot.h"
#include <math.h>

static const double before_edge = 0.1; // metres that people keep from the water

// How far apart two people stand.
static double distance_of(const tk_plot *p)
{
    return fmin(1.7, 0.72 * p->stage);
}

// The part of the stage where people may be.
static void walkable(const tk_plot *p, double *low, double *high)
{
    *low = p->s->ramp ? p->s->ramp_end + 0.6 : -1.3 * p->stage;
    *high = fmin(1.3 * p->stage, p->s->water_from - before_edge);
}

bool tk_plot_people(tk_plot *p, int people, bool carries)
{
    tk_scene *s = p->s;
    double low, high, apart = people > 1 ? distance_of(p) : 0;
    walkable(p, &low, &high);
    low = fmax(low, -0.6 * p->stage), high = fmin(high, 0.6 * p->stage);
    const bool edge = carries && s->set == TK_SET_BEACH;
    double x = edge ? high - apart : tk_draw_mark(&p->d, low, fmax(low, high - apart));
    for (int i = 0; i < people; i++) {
        const int facing = people > 1 ? 1 - 2 * i : edge ? 1 : tk_draw_below(&p->d, 3) - 1;
        tk_step step = {0, x + i * apart, 0, i, facing};
        if (edge && people > 1) step = (tk_step){0, x + (1 - i) * apart, 0, i, 1};
        if (carries && i == 0 && step.facing == 0) step.facing = 1;
        if (!tk_people_set(s, step)) return false;
    }
    s->n_people = people;
    if (!carries) return true;
    const int thing = tk_plot_thing(p, ~0);
    return thing >= 0 && tk_physics_set(s, (tk_arc){.law = TK_LAW_CARRIED, .thing = thing}, p->end);
}

static tk_shot *begin_act(tk_plot *p, int k, tk_beat beat, int person)
{
    tk_shot *h = &p->s->shot[k];
    h->beat = beat;
    h->person = person;
    return h;
}

bool tk_beat_letgo(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    int who = -1;
    for (int i = 0; i < s->n_people; i++)
        if (tk_scene_body_at(s, i, s->shot[k].start).carries >= 0) who = i;
    if (who < 0) return false;
    tk_shot *h = begin_act(p, k, TK_BEAT_LETGO, who);
    h->size = tk_draw_chance(&p->d, 0.4) ? TK_SIZE_MEDIUM : TK_SIZE_WIDE;
    const double t = h->start + fmin(tk_draw(&p->d, 0.1, 0.4), 0.25 * h->seconds);
    const tk_body b = tk_scene_body_at(s, who, t);
    if (b.turn != b.facing || b.stride >= 0) return false;
    h->thing = b.carries;
    const tk_thing *o = &s->thing[h->thing];
    tk_arc a = {.t = t,
                .x = b.hand_x,
                .y = b.hand_y,
                .ay = -TK_GRAVITY,
                .law = TK_LAW_FREE,
                .thing = h->thing,
                .by = -1};
    if (o->kind == TK_BALLOON) {
        a.ay = 0;
        a = tk_thing_rising(o, a);
    }
    if (!tk_plot_go(p, a)) return false;
    return tk_plot_remark(p, k, t + tk_draw(&p->d, 0.5, 0.8)) && tk_camera_set(s, p->m, k, -1);
}

bool tk_beat_walk(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (s->n_people == 0) return false;
    const int who = tk_draw_below(&p->d, s->n_people);
    tk_shot *h = begin_act(p, k, TK_BEAT_WALK, who);
    const double each = tk_draw(&p->d, 0.34, 0.44), lead = tk_draw(&p->d, 0, 0.1);
    const int most = (int)((h->seconds - lead - 0.02) / each);
    const int steps = most > 8 ? 8 : most;
    h->toward = tk_draw_chance(&p->d, 0.5) ? 1 : -1;
    double low, high;
    walkable(p, &low, &high);
    const double x = tk_scene_body_at(s, who, h->start).x;
    for (int i = 0; i < s->n_people; i++) { // they do not walk through each other
        const double there = tk_scene_body_at(s, i, h->start).x;
        if (i != who && there > x) high = fmin(high, there - 0.8);
        if (i != who && there < x) low = fmax(low, there + 0.8);
    }
    const double to = x + h->toward * steps * TK_STEP_LENGTH;
    if (steps < 2 || to < low || to > high) return false;
    if (!tk_people_walk(s, who, h->start + lead, h->toward, steps, TK_STEP_LENGTH / each))
        return false;
    h->size = tk_draw_chance(&p->d, 0.4) ? TK_SIZE_MEDIUM : TK_SIZE_WIDE;
    h->move = tk_draw_chance(&p->d, 0.5) ? TK_MOVE_PAN : TK_MOVE_NONE;
    return tk_plot_remark(p, k, h->start + lead + steps * each + tk_draw(&p->d, 0.1, 0.2)) &&
           tk_camera_set(s, p->m, k, -1);
}

bool tk_beat_turn(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (s->n_people == 0) return false;
    const int who = tk_draw_below(&p->d, s->n_people);
    tk_shot *h = begin_act(p, k, TK_BEAT_TURN, who);
    const double t = h->start + fmin(tk_draw(&p->d, 0.15, 0.6), 0.5 * h->seconds);
    const tk_body b = tk_scene_body_at(s, who, h->start);
    const int toward = tk_draw_below(&p->d, 3) - 1;
    h->toward = b.carries >= 0 ? -b.facing : toward;
    if (b.stride >= 0 || h->toward == b.facing || h->seconds < 0.6) return false;
    if (!tk_people_set(s, (tk_step){t, b.x, 0, who, h->toward})) return false;
    h->size = tk_draw_chance(&p->d, 0.5) ? TK_SIZE_CLOSE : TK_SIZE_MEDIUM;
    return tk_plot_remark(p, k, t + TK_TURN_SECONDS + tk_draw(&p->d, 0, 0.2)) &&
           tk_camera_set(s, p->m, k, -1);
}

bool tk_beat_look_at_person(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (s->n_people == 0) return false;
    tk_shot *h = begin_act(p, k, TK_BEAT_LOOK, tk_draw_below(&p->d, s->n_people));
    h->size = (tk_size)tk_draw_below(&p->d, TK_SIZES);
    h->move = tk_draw_chance(&p->d, 0.3) ? TK_MOVE_PUSH : TK_MOVE_NONE;
    return tk_camera_set(s, p->m, k, -1);
}
