// SPDX-License-Identifier: Apache-2.0
#include "data/scene/physics.h"
#include <math.h>

static const double rest_speed = 0.6;               // m/s; a slower rebound counts as lying still
static const double rolling = 0.12, sliding = 0.40; // friction, of the weight
static const double slow_hit = 0.05;                // m/s; slower things that touch do not knock
static const double still = 1e-9;                   // m/s
static const double moved_water = 0.5; // water that moves with a thing, of what it displaces
static const double air = 0.0012;      // density over that of water

// ---- things ------------------------------------------------------------------------------------

static double volume_of(const tk_thing *o)
{
    const double r3 = o->radius * o->radius * o->radius;
    return o->kind == TK_CRATE ? 8 * r3 : 4.0 / 3 * M_PI * r3;
}

tk_thing tk_thing_of(tk_kind kind, int colour, bool heavy, const double u[3])
{
    static const double smallest[TK_KINDS] = {0.24, 0.22, 0.24};
    static const double largest[TK_KINDS] = {0.31, 0.28, 0.29};
    tk_thing o = {.kind = kind, .colour = colour, .heavy = heavy};
    o.radius = smallest[kind] + (largest[kind] - smallest[kind]) * u[0];
    if (kind == TK_BALLOON) {
        o.heavy = false;
        o.density = air * (0.70 + 0.15 * u[1]);
    } else {
        o.density = heavy ? 1.4 + 0.8 * u[1] : 0.15 + 0.3 * u[1];
        o.restitution = heavy             ? 0.05 + 0.10 * u[2]
                        : kind == TK_BALL ? 0.74 + 0.08 * u[2]
                                          : 0.28 + 0.10 * u[2];
    }
    o.mass = 1000 * o.density * volume_of(&o);
    return o;
}

// Height of a floating ball's centre over the water, of its radius: what lies under it is the
// density's part of the whole, draft^2 (3 - draft) / 4 of a ball of radius 1.
static double ball_level(double density)
{
    double low = 0, high = 2;
    for (int i = 0; i < 60; i++) {
        const double draft = 0.5 * (low + high);
        if (draft * draft * (3 - draft) / 4 < density)
            low = draft;
        else
            high = draft;
    }
    return 1 - low;
}

tk_arc tk_thing_in_water(const tk_thing *o, tk_arc a)
{
    const double r = o->radius, inertia = o->density + moved_water;
    a.vx *= o->density / inertia; // some of the momentum goes to the water that is set moving
    a.vy *= o->density / inertia;
    if (o->density > 1) {
        a.law = TK_LAW_DRAG;
        a.vend = -sqrt((o->density - 1) * TK_GRAVITY * r);
        a.k = TK_GRAVITY * (o->density - 1) / inertia / -a.vend;
        return a;
    }
    const bool ball = o->kind == TK_BALL;
    a.law = TK_LAW_BOB;
    a.level = ball ? r * ball_level(o->density) : r * (1 - 2 * o->density);
    const double area = ball ? M_PI * (r * r - a.level * a.level) : 4 * r * r;
    const double w0 = sqrt(TK_GRAVITY * area / (inertia * volume_of(o)));
    a.k = 0.25 * w0;
    a.w = sqrt(w0 * w0 - a.k * a.k);
    return a;
}

tk_arc tk_thing_rising(const tk_thing *o, tk_arc a)
{
    const double drag = 0.47, lift = air - o->density;
    a.law = TK_LAW_DRAG;
    a.vend = sqrt(8.0 / 3 * lift / air * TK_GRAVITY * o->radius / drag);
    a.k = TK_GRAVITY * lift / (o->density + 0.5 * air) / a.vend;
    return a;
}

tk_arc tk_thing_on_floor(const tk_thing *o, tk_arc a)
{
    const bool ball = o->kind == TK_BALL;
    const double slip = a.vx + a.spin * o->radius; // of the lowest point; rolling has none
    const bool slides = ball && fabs(slip) > still;
    a.law = slides || fabs(a.vx) > still ? TK_LAW_FREE : TK_LAW_REST;
    a.y = o->radius, a.vy = a.ax = a.ay = a.torque = 0;
    if (slides) {
        a.ax = -copysign(sliding * TK_GRAVITY, slip);
        a.torque = 2.5 * a.ax / o->radius;
    } else if (a.law == TK_LAW_REST) {
        a.vx = a.spin = 0;
    } else {
        a.ax = -copysign((ball ? rolling : sliding) * TK_GRAVITY, a.vx);
        a.spin = ball ? -a.vx / o->radius : 0;
        a.torque = ball ? -a.ax / o->radius : 0;
    }
    return a;
}

tk_arc tk_thing_on_ramp(const tk_scene *s, int thing, double t)
{
    const double slope = atan2(s->ramp_y, s->ramp_end - s->ramp_x), r = s->thing[thing].radius;
    const double a = 5.0 / 7 * TK_GRAVITY * sin(slope), way = 0.3 * r; // from the upper end
    return (tk_arc){.t = t,
                    .x = s->ramp_x + way * cos(slope) + r * sin(slope),
                    .y = s->ramp_y - way * sin(slope) + r * cos(slope),
                    .ax = a * cos(slope),
                    .ay = -a * sin(slope),
                    .torque = -a / r,
                    .law = TK_LAW_FREE,
                    .thing = thing,
                    .by = -1};
}

double tk_touch(const tk_thing *a, const tk_thing *b)
{
    if (a->kind == TK_BALL && b->kind == TK_BALL) return 2 * sqrt(a->radius * b->radius);
    return a->radius + b->radius;
}

// ---- motion ------------------------------------------------------------------------------------

tk_motion tk_arc_at(const tk_arc *a, double t)
{
    const double dt = t - a->t;
    tk_motion m = {a->x, a->y, a->vx, a->vy, a->angle, a->spin};
    if (a->law == TK_LAW_FREE) {
        m.x += (a->vx + 0.5 * a->ax * dt) * dt, m.vx += a->ax * dt;
        m.y += (a->vy + 0.5 * a->ay * dt) * dt, m.vy += a->ay * dt;
        m.angle += (a->spin + 0.5 * a->torque * dt) * dt, m.spin += a->torque * dt;
    } else if (a->law == TK_LAW_DRAG) {
        const double left = exp(-a->k * dt), gone = (1 - left) / a->k;
        m.x += a->vx * gone, m.vx *= left;
        m.y += a->vend * dt + (a->vy - a->vend) * gone;
        m.vy = a->vend + (a->vy - a->vend) * left;
    } else if (a->law == TK_LAW_BOB) {
        const double left = exp(-a->k * dt), c = cos(a->w * dt), s = sin(a->w * dt);
        const double p = a->y - a->level, q = (a->vy + a->k * p) / a->w;
        m.x += a->vx * (1 - left) / a->k, m.vx *= left;
        m.y = a->level + left * (p * c + q * s);
        m.vy = left * ((q * a->w - a->k * p) * c - (p * a->w + a->k * q) * s);
    } else {
        m.vx = m.vy = m.spin = 0;
    }
    return m;
}

const tk_arc *tk_arc_of(const tk_scene *s, int thing, double t)
{
    const tk_arc *a = NULL;
    for (int i = 0; i < s->n_arcs && s->arc[i].t <= t; i++)
        if (s->arc[i].thing == thing) a = &s->arc[i];
    return a;
}

// ---- what comes next ---------------------------------------------------------------------------

enum {
    CHANGE_NONE,
    CHANGE_LAND,
    CHANGE_SPLASH,
    CHANGE_BED,
    CHANGE_FLOOR,
    CHANGE_ROLL,
    CHANGE_STOP,
    CHANGE_BAD
};

typedef struct news { // of one thing: when its law changes and into what
    double t;
    int what;
} news;

typedef struct course {
    tk_scene *s;
    double now, end;
    bool there[TK_SCENE_THINGS];
    tk_arc arc[TK_SCENE_THINGS]; // that each thing is on
} course;

static bool on_floor(const course *r, int i)
{
    const tk_arc *a = &r->arc[i];
    return r->there[i] && ((a->law == TK_LAW_FREE && a->ay == 0) ||
                           (a->law == TK_LAW_REST && a->y > 0 && a->x < r->s->water_from));
}

// A fall meets the ground, or the water, when the thing's lowest point does.
static news end_of_flight(const course *r, const tk_arc *a)
{
    const double radius = r->s->thing[a->thing].radius, drop = a->y - radius;
    const double speed = sqrt(a->vy * a->vy + 2 * TK_GRAVITY * (drop > 0 ? drop : 0));
    const double t = a->t + (a->vy + speed) / TK_GRAVITY;
    const double beyond = tk_arc_at(a, t).x - r->s->water_from;
    if (fabs(beyond) < radius) return (news){t, CHANGE_BAD};
    return (news){t, beyond > 0 ? CHANGE_SPLASH : CHANGE_LAND};
}

// The foot of the ramp for the centre of a ball: where the lines of its centre on the ramp and on
// the floor cross.
static double ramp_foot(const tk_scene *s, double radius)
{
    const double slope = atan2(s->ramp_y, s->ramp_end - s->ramp_x);
    return s->ramp_end + radius * tan(0.5 * slope);
}

static news end_of_ramp(const course *r, const tk_arc *a)
{
    const double way = ramp_foot(r->s, r->s->thing[a->thing].radius) - a->x;
    const double t = (sqrt(a->vx * a->vx + 2 * a->ax * way) - a->vx) / a->ax;
    return (news){a->t + t, CHANGE_FLOOR};
}

static news end_of_floor(const course *r, const tk_arc *a)
{
    const tk_thing *o = &r->s->thing[a->thing];
    const double decay = -a->ax;
    news next = {INFINITY, CHANGE_NONE};
    if (o->kind == TK_BALL && fabs(a->vx + a->spin * o->radius) > still) {
        const double slip = a->vx + a->spin * o->radius;
        next = (news){a->t + 2 * fabs(slip) / (7 * sliding * TK_GRAVITY), CHANGE_ROLL};
    } else if (decay != 0) {
        next = (news){a->t + a->vx / decay, CHANGE_STOP};
    }
    const double edge = r->s->water_from - o->radius;
    if (next.what != CHANGE_NONE && tk_arc_at(a, next.t).x > edge) next.what = CHANGE_BAD;
    return next;
}

// When a sinking thing reaches the bed: Newton's steps on a curve that bends one way only.
static news end_of_sinking(const course *r, const tk_arc *a)
{
    const double bed = r->s->bed + r->s->thing[a->thing].radius;
    double t = a->t + (a->y - bed) / -a->vend;
    for (int i = 0; i < 50; i++) {
        const tk_motion m = tk_arc_at(a, t);
        const double step = (m.y - bed) / m.vy;
        t -= step;
        if (fabs(step) < 1e-15 * (1 + t)) break;
    }
    return (news){t, CHANGE_BED};
}

static news next_change(const course *r, int i)
{
    const tk_arc *a = &r->arc[i];
    if (r->there[i] && a->law == TK_LAW_FREE)
        return a->ay == -TK_GRAVITY ? end_of_flight(r, a)
               : a->ay != 0         ? end_of_ramp(r, a)
                                    : end_of_floor(r, a);
    if (r->there[i] && a->law == TK_LAW_DRAG && a->vend < 0) return end_of_sinking(r, a);
    return (news){INFINITY, CHANGE_NONE};
}

// When two things on a floor touch, INFINITY if they do not on these arcs.
static double next_hit(const course *r)
{
    if (r->s->n_things < 2 || !on_floor(r, 0) || !on_floor(r, 1)) return INFINITY;
    const tk_motion p = tk_arc_at(&r->arc[0], r->now), q = tk_arc_at(&r->arc[1], r->now);
    const double side = q.x > p.x ? 1 : -1;
    const double a0 = r->arc[0].law == TK_LAW_FREE ? r->arc[0].ax : 0;
    const double a1 = r->arc[1].law == TK_LAW_FREE ? r->arc[1].ax : 0;
    const double gap = fmax(side * (q.x - p.x) - tk_touch(&r->s->thing[0], &r->s->thing[1]), 0);
    const double v = side * (q.vx - p.vx), a = side * (a1 - a0); // of the gap
    const double d = v * v - 2 * a * gap;
    if (v < -still) return d < 0 ? INFINITY : r->now + 2 * gap / (-v + sqrt(d));
    return a < 0 ? r->now + (v + sqrt(d)) / -a : INFINITY;
}

// ---- the run -----------------------------------------------------------------------------------

static bool begin_arc(course *r, tk_arc a)
{
    r->arc[a.thing] = a;
    r->there[a.thing] = true;
    if (r->s->n_arcs == TK_SCENE_ARCS) return false;
    r->s->arc[r->s->n_arcs++] = a;
    return true;
}

static bool add_event(course *r, tk_event_kind kind, double x, double speed, int thing, int other)
{
    if (r->s->n_events == TK_SCENE_EVENTS) return false;
    r->s->event[r->s->n_events++] = (tk_scene_event){kind, r->now, x, speed, thing, other};
    return true;
}

static tk_arc floor_arc(const course *r, int i, tk_motion m)
{
    return tk_thing_on_floor(&r->s->thing[i], (tk_arc){.t = r->now,
                                                       .x = m.x,
                                                       .vx = m.vx,
                                                       .angle = m.angle,
                                                       .spin = m.spin,
                                                       .thing = i,
                                                       .by = -1});
}

static bool land(course *r, int i, tk_motion m)
{
    const tk_thing *o = &r->s->thing[i];
    const double up = -m.vy * o->restitution;
    if (!add_event(r, TK_EVENT_IMPACT, m.x, -m.vy, i, -1)) return false;
    if (up < rest_speed) return begin_arc(r, floor_arc(r, i, m));
    return begin_arc(r, (tk_arc){.t = r->now,
                                 .x = m.x,
                                 .y = o->radius,
                                 .vx = m.vx,
                                 .vy = up,
                                 .ay = -TK_GRAVITY,
                                 .angle = m.angle,
                                 .spin = m.spin,
                                 .law = TK_LAW_FREE,
                                 .thing = i,
                                 .by = -1});
}

static bool take_change(course *r, int i, int what)
{
    const double radius = r->s->thing[i].radius;
    tk_motion m = tk_arc_at(&r->arc[i], r->now);
    tk_arc a = {.t = r->now,
                .x = m.x,
                .y = m.y,
                .vx = m.vx,
                .vy = m.vy,
                .angle = m.angle,
                .law = TK_LAW_REST,
                .thing = i,
                .by = -1};
    switch (what) {
    case CHANGE_LAND:
        return land(r, i, m);
    case CHANGE_SPLASH:
        a.y = radius;
        return add_event(r, TK_EVENT_SPLASH, m.x, -m.vy, i, -1) &&
               begin_arc(r, tk_thing_in_water(&r->s->thing[i], a));
    case CHANGE_BED:
        a.y = r->s->bed + radius;
        a.vx = a.vy = 0;
        return add_event(r, TK_EVENT_IMPACT, m.x, -m.vy, i, -1) && begin_arc(r, a);
    case CHANGE_FLOOR: // the bend is round: the speed is kept, and turned
        m.x = ramp_foot(r->s, radius);
        m.vx = copysign(hypot(m.vx, m.vy), m.vx);
        m.spin = -m.vx / radius;
        return begin_arc(r, floor_arc(r, i, m));
    case CHANGE_ROLL:
        m.spin = -m.vx / radius;
        return begin_arc(r, floor_arc(r, i, m));
    case CHANGE_STOP:
        m.vx = m.spin = 0;
        return begin_arc(r, floor_arc(r, i, m));
    default:
        return false;
    }
}

// Two things that hardly move against each other do not knock: they go on together, the rear one
// pushing the other if that would be slower.
static bool go_on_together(course *r, tk_motion p, tk_motion q)
{
    const tk_thing *o = r->s->thing;
    const double mass = o[0].mass + o[1].mass;
    double v = (o[0].mass * p.vx + o[1].mass * q.vx) / mass;
    if (fabs(v) < slow_hit) v = 0;
    p.vx = q.vx = v;
    p.spin = -v / o[0].radius, q.spin = -v / o[1].radius;
    tk_arc a = floor_arc(r, 0, p), b = floor_arc(r, 1, q);
    if ((q.x > p.x ? 1 : -1) * (b.ax - a.ax) < 0) {
        a.ax = b.ax = (o[0].mass * a.ax + o[1].mass * b.ax) / mass;
        a.torque = o[0].kind == TK_BALL ? -a.ax / o[0].radius : 0;
        b.torque = o[1].kind == TK_BALL ? -b.ax / o[1].radius : 0;
    }
    return begin_arc(r, a) && begin_arc(r, b);
}

static bool collide(course *r)
{
    const tk_thing *a = &r->s->thing[0], *b = &r->s->thing[1];
    tk_motion p = tk_arc_at(&r->arc[0], r->now), q = tk_arc_at(&r->arc[1], r->now);
    const double met = p.vx - q.vx;
    if (fabs(met) < slow_hit) return go_on_together(r, p, q);
    const double e = 0.5 * (a->restitution + b->restitution);
    const double impulse = (1 + e) * met * a->mass * b->mass / (a->mass + b->mass);
    p.vx -= impulse / a->mass;
    q.vx += impulse / b->mass;
    const bool first = fabs(r->arc[0].vx) > fabs(r->arc[1].vx); // who runs into whom
    return add_event(r, TK_EVENT_HIT, 0.5 * (p.x + q.x), fabs(met), first ? 0 : 1, first ? 1 : 0) &&
           begin_arc(r, floor_arc(r, 0, p)) && begin_arc(r, floor_arc(r, 1, q));
}

// One event after another until the end.
static bool run_on(course *r)
{
    for (;;) {
        news first = {INFINITY, CHANGE_NONE};
        int which = 0;
        for (int i = 0; i < r->s->n_things; i++) {
            const news next = next_change(r, i);
            if (next.t < first.t) first = next, which = i;
        }
        const double hit = next_hit(r);
        if (fmin(hit, first.t) >= r->end) return true;
        r->now = fmax(r->now, fmin(hit, first.t));
        if (!(hit <= first.t ? collide(r) : take_change(r, which, first.what))) return false;
    }
}

// Forgets what happens to things after time t, and what thing `thing` does at t.
static void forget(tk_scene *s, double t, int thing)
{
    int arcs = 0, events = 0;
    for (int i = 0; i < s->n_arcs; i++)
        if (s->arc[i].t < t || (s->arc[i].t == t && s->arc[i].thing != thing))
            s->arc[arcs++] = s->arc[i];
    for (int i = 0; i < s->n_events; i++)
        if (s->event[i].kind == TK_EVENT_STEP || s->event[i].t <= t)
            s->event[events++] = s->event[i];
    s->n_arcs = arcs, s->n_events = events;
}

bool tk_physics_set(tk_scene *s, tk_arc a, double end)
{
    course r = {.s = s, .now = a.t, .end = end};
    for (int i = 0; i < s->n_things; i++) {
        const tk_arc *old = tk_arc_of(s, i, a.t);
        r.there[i] = old != NULL;
        if (old) r.arc[i] = *old;
    }
    forget(s, a.t, a.thing);
    return begin_arc(&r, a) && run_on(&r);
}
