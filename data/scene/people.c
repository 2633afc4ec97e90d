// SPDX-License-Identifier: Apache-2.0
#include "data/scene/people.h"
#include "data/scene/physics.h"
#include <math.h>

const tk_step *tk_step_of(const tk_scene *s, int person, double t)
{
    const tk_step *p = NULL;
    for (int i = 0; i < s->n_steps; i++)
        if (s->step[i].person == person && (!p || s->step[i].t <= t)) p = &s->step[i];
    return p;
}

bool tk_people_set(tk_scene *s, tk_step step)
{
    if (s->n_steps == TK_SCENE_STEPS) return false;
    int i = s->n_steps++;
    for (; i > 0 && s->step[i - 1].t > step.t; i--) s->step[i] = s->step[i - 1];
    s->step[i] = step;
    return true;
}

bool tk_people_walk(tk_scene *s, int person, double t, int toward, int steps, double speed)
{
    const double x = tk_step_of(s, person, t)->x, each = TK_STEP_LENGTH / speed;
    if (s->n_events + steps > TK_SCENE_EVENTS) return false;
    for (int i = 1; i <= steps; i++)
        s->event[s->n_events++] = (tk_scene_event){.kind = TK_EVENT_STEP,
                                                   .t = t + i * each,
                                                   .x = x + toward * i * TK_STEP_LENGTH,
                                                   .speed = speed,
                                                   .thing = person,
                                                   .other = -1};
    return tk_people_set(s, (tk_step){t, x, toward * speed, person, toward}) &&
           tk_people_set(s, (tk_step){t + steps * each, x + toward * steps * TK_STEP_LENGTH, 0,
                                      person, toward});
}

// The way the person looked before the piece at `now`.
static int facing_before(const tk_scene *s, const tk_step *now)
{
    int facing = now->facing;
    for (const tk_step *p = s->step; p < now; p++)
        if (p->person == now->person) facing = p->facing;
    return facing;
}

static double eased_turn(double u)
{
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * (3 - 2 * u);
}

// Eyes close for a moment every few seconds, each character at its own times.
static double blink_of(int character, double t)
{
    const double every = 2.3 + 0.17 * character, lasts = 0.16;
    const double u = fmod(t + 0.61 * character + 0.9, every) / lasts;
    return u < 1 ? sin(M_PI * u) : 0;
}

static int carried_by(const tk_scene *s, int person, double t)
{
    int thing = -1;
    for (int i = 0; i < s->n_arcs && s->arc[i].t <= t; i++) {
        const tk_arc *a = &s->arc[i];
        if (a->law == TK_LAW_CARRIED && a->by == person)
            thing = a->thing;
        else if (a->thing == thing)
            thing = -1;
    }
    return thing;
}

tk_body tk_scene_body_at(const tk_scene *s, int person, double t)
{
    const tk_step *p = tk_step_of(s, person, t);
    const tk_character *c = tk_scene_character(s, person);
    const double gone = p->vx * (t - p->t);
    tk_body b = {.x = p->x + gone, .facing = p->facing, .stride = -1, .line = -1};
    const double part = eased_turn((t - p->t) / TK_TURN_SECONDS);
    b.turn = p->facing * part + facing_before(s, p) * (1 - part);
    if (p->vx != 0) b.stride = fmod(fabs(gone) / (2 * TK_STEP_LENGTH), 1);
    b.carries = carried_by(s, person, t);
    if (b.carries >= 0) {
        b.hand_x = b.x + b.turn * (0.2 * c->height + s->thing[b.carries].radius);
        b.hand_y = 0.5 * c->height;
    }
    for (int i = 0; i < s->n_lines; i++) {
        const tk_scene_line *l = &s->line[i];
        if (l->person == person && t >= l->t && t < l->t + l->seconds) b.line = i;
    }
    b.blink = blink_of(s->person[person], t);
    return b;
}

tk_pose tk_scene_thing_at(const tk_scene *s, int thing, double t)
{
    const tk_arc *a = tk_arc_of(s, thing, t);
    if (!a) return (tk_pose){0};
    const tk_motion m = tk_arc_at(a, t);
    if (a->law != TK_LAW_CARRIED) return (tk_pose){m.x, m.y, m.angle, true};
    const tk_body b = tk_scene_body_at(s, a->by, t);
    return (tk_pose){b.hand_x, b.hand_y, m.angle, true};
}

tk_face tk_scene_face_at(const tk_scene *s, int person, double t)
{
    const tk_body b = tk_scene_body_at(s, person, t);
    const double h = tk_scene_character(s, person)->height;
    const double bob = b.stride < 0 ? 0 : 0.012 * h * (cos(4 * M_PI * b.stride) - 1);
    tk_face f = {.half_width = 0.150 * h, .half_height = h / 6};
    f.x = b.x + 0.03 * h * b.turn;
    f.y = h - f.half_height + bob;
    f.mouth_x = f.x + 0.40 * f.half_width * b.turn;
    f.mouth_y = f.y - 0.50 * f.half_height;
    f.mouth_width = 0.80 * f.half_width * (1 - 0.30 * fabs(b.turn));
    return f;
}
