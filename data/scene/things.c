// SPDX-License-Identifier: Apache-2.0
// Beats of things: what falls, rises, rolls, hits and splashes.
#include "data/scene/camera.h"
#include "data/scene/physics.h"
#include "data/scene/plot.h"
#include <math.h>

// Whether a thing of that kind and colour may come in beside what is there: no two of a colour,
// nor, where a shot does not show colours, of a kind; nothing that is held out.
static bool may_be(const tk_plot *p, tk_kind kind, int colour)
{
    const bool held = kind == TK_HELD_KIND && colour == TK_HELD_COLOUR;
    const bool grey = tk_scene_in_style(p->s, TK_STYLE_NOIR);
    if (p->pair && p->s->n_things == 0) return held;
    if (held && p->c->held_out == TK_HELD_WITHOUT) return false;
    for (int i = 0; i < p->s->n_things; i++) {
        const tk_thing *o = &p->s->thing[i];
        if (o->colour == colour || (o->kind == kind && grey)) return false;
    }
    return true;
}

int tk_plot_thing(tk_plot *p, int kinds)
{
    int choice[TK_KINDS * TK_COLOURS], n = 0, chosen[TK_KINDS], n_kinds = 0;
    if (p->s->n_things >= p->things) return -1;
    for (int kind = 0; kind < TK_KINDS; kind++) {
        bool any = false;
        for (int c = 0; c < TK_COLOURS; c++) any |= may_be(p, (tk_kind)kind, c);
        if (any && kinds >> kind & 1) chosen[n_kinds++] = kind;
    }
    if (n_kinds == 0) return -1;
    const int kind = chosen[tk_draw_below(&p->d, n_kinds)];
    for (int c = 0; c < TK_COLOURS; c++)
        if (may_be(p, (tk_kind)kind, c)) choice[n++] = c;
    const int colour = choice[tk_draw_below(&p->d, n)];
    const bool heavy = tk_draw_chance(&p->d, 0.5);
    const double u[3] = {tk_draw(&p->d, 0, 1), tk_draw(&p->d, 0, 1), tk_draw(&p->d, 0, 1)};
    p->s->thing[p->s->n_things] = tk_thing_of((tk_kind)kind, colour, heavy, u);
    return p->s->n_things++;
}

// Whether there is room for a thing of that radius at x at time t.
static bool is_free(const tk_plot *p, int thing, double x, double t)
{
    const tk_scene *s = p->s;
    const double r = s->thing[thing].radius;
    if (s->ramp && x < s->ramp_end + r + 0.2) return false;
    if (fabs(x - s->water_from) < r + 0.15) return false;
    for (int i = 0; i < s->n_people; i++)
        if (fabs(x - tk_scene_body_at(s, i, t).x) <
            0.16 * tk_scene_character(s, i)->height + r + 0.1)
            return false;
    for (int i = 0; i < s->n_things; i++) {
        const tk_pose o = tk_scene_thing_at(s, i, t);
        if (i != thing && o.seen && fabs(o.x - x) < r + s->thing[i].radius + 0.3) return false;
    }
    return true;
}

// A free place in [low, high] for the thing. False if none was found.
static bool find_spot(tk_plot *p, int thing, double t, double low, double high, double *x)
{
    for (int i = 0; i < 6 && low < high; i++) {
        *x = tk_draw_mark(&p->d, low, high);
        if (is_free(p, thing, *x, t)) return true;
    }
    return false;
}

// Things that run into each other in the air, or come in where another is, are no scene.
static bool apart(const tk_plot *p, double from)
{
    const tk_scene *s = p->s;
    if (s->n_things < 2) return true;
    const double near = tk_touch(&s->thing[0], &s->thing[1]) - 1e-6;
    for (double t = from; t < p->end; t += 0.03) {
        const tk_pose a = tk_scene_thing_at(s, 0, t), b = tk_scene_thing_at(s, 1, t);
        if (a.seen && b.seen && fabs(a.x - b.x) < near &&
            fabs(a.y - b.y) < s->thing[0].radius + s->thing[1].radius - 1e-6)
            return false;
    }
    return true;
}

bool tk_plot_go(tk_plot *p, tk_arc a)
{
    return tk_physics_set(p->s, a, p->end) && apart(p, a.t);
}

// The time of the first such event of the thing from t on, INFINITY if there is none.
static double first_event(const tk_scene *s, tk_event_kind kind, int thing, double t)
{
    double first = INFINITY;
    for (int i = 0; i < s->n_events; i++) {
        const tk_scene_event *e = &s->event[i];
        if (e->kind == kind && e->thing == thing && e->t >= t) first = fmin(first, e->t);
    }
    return first;
}

static tk_shot *begin_shot(tk_plot *p, int k, tk_beat beat, int thing, double medium)
{
    tk_shot *h = &p->s->shot[k];
    h->beat = beat;
    h->thing = thing;
    h->size = tk_draw_chance(&p->d, medium) ? TK_SIZE_MEDIUM : TK_SIZE_WIDE;
    return h;
}

// The highest that a fall may begin so that it ends within a part of the shot.
static double fall_within(const tk_shot *h, double part, double high)
{
    const double t = part * h->seconds;
    return fmin(high, 0.5 * TK_GRAVITY * t * t);
}

bool tk_beat_drop(tk_plot *p, int k)
{
    const int i = tk_plot_thing(p, 1 << TK_BALL | 1 << TK_CRATE);
    if (i < 0) return false;
    tk_shot *h = begin_shot(p, k, TK_BEAT_DROP, i, 0.35);
    const double r = p->s->thing[i].radius, low = h->size == TK_SIZE_WIDE ? 1.0 : 0.75;
    const double fall =
        fall_within(h, 0.62, tk_draw(&p->d, low, h->size == TK_SIZE_WIDE ? 2.0 : 1.1));
    const int place = tk_draw_below(&p->d, TK_PLACES);
    tk_arc a = {.t = h->start,
                .y = r + fall,
                .vx = tk_draw(&p->d, -0.1, 0.1),
                .ay = -TK_GRAVITY,
                .law = TK_LAW_FREE,
                .thing = i,
                .by = -1};
    const double edge = fmin(p->stage, p->s->water_from) - r - 0.4;
    if (!find_spot(p, i, h->start, -p->stage + r, edge, &a.x) || !tk_plot_go(p, a)) return false;
    if (!tk_camera_set(p->s, p->m, k, place)) return false;
    const tk_view v = tk_scene_view_at(p->s, p->m->height, p->m->width, h->start);
    h->place = (int)floor(3 * (0.5 + (a.x - v.cx) * v.pixels_per_metre / (double)p->m->width));
    return h->place >= 0 && h->place < TK_PLACES;
}

bool tk_beat_rise(tk_plot *p, int k)
{
    const int i = tk_plot_thing(p, 1 << TK_BALLOON);
    if (i < 0) return false;
    tk_shot *h = begin_shot(p, k, TK_BEAT_RISE, i, 0.35);
    tk_arc a = {.t = h->start,
                .y = p->s->thing[i].radius + tk_draw(&p->d, 0.05, 0.4),
                .thing = i,
                .by = -1};
    const double side = fmin(p->stage, p->s->water_from) - 0.5;
    if (!find_spot(p, i, h->start, -p->stage + 0.4, side, &a.x)) return false;
    return tk_plot_go(p, tk_thing_rising(&p->s->thing[i], a)) && tk_camera_set(p->s, p->m, k, -1);
}

bool tk_beat_ramp(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    const int i = s->ramp ? tk_plot_thing(p, 1 << TK_BALL) : -1;
    if (i < 0) return false;
    tk_shot *h = begin_shot(p, k, TK_BEAT_RAMP, i, 0);
    h->move = tk_draw_chance(&p->d, 0.3) ? TK_MOVE_PAN : TK_MOVE_NONE;
    if (!tk_plot_go(p, tk_thing_on_ramp(s, i, h->start))) return false;
    double foot = INFINITY;
    for (int n = s->n_arcs - 1; n >= 0; n--)
        if (s->arc[n].thing == i && s->arc[n].t > h->start) foot = s->arc[n].t;
    if (foot > h->start + 0.8 * h->seconds) return false;
    const double hit =
        fmin(first_event(s, TK_EVENT_HIT, 0, h->start), first_event(s, TK_EVENT_HIT, 1, h->start));
    if (hit < h->start + h->seconds) h->other = 1 - i;
    return tk_camera_set(s, p->m, k, -1);
}

bool tk_beat_splash(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (s->set != TK_SET_BEACH) return false;
    const int i = tk_plot_thing(p, 1 << TK_BALL | 1 << TK_CRATE);
    if (i < 0) return false;
    tk_shot *h = begin_shot(p, k, TK_BEAT_SPLASH, i, 0);
    const double r = s->thing[i].radius;
    tk_arc a = {.t = h->start,
                .y = r + fall_within(h, 0.4, tk_draw(&p->d, 0.6, 1.4)),
                .vx = tk_draw(&p->d, -0.1, 0.1),
                .ay = -TK_GRAVITY,
                .law = TK_LAW_FREE,
                .thing = i,
                .by = -1};
    const double from = s->water_from + r + 0.2;
    if (!find_spot(p, i, h->start, from, from + 0.9 * p->stage, &a.x) || !tk_plot_go(p, a))
        return false;
    return tk_camera_set(s, p->m, k, -1);
}

// A thing that lies on the floor all through, or a new one that does; -1 if there is none.
static int find_lying(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    tk_shot *h = &s->shot[k];
    if (s->n_things == 1) {
        const tk_arc *a = tk_arc_of(s, 0, h->start);
        return a && a->law == TK_LAW_REST && a->y > 0 && s->thing[0].kind != TK_BALLOON ? 0 : -1;
    }
    const int i = s->n_things == 0 ? tk_plot_thing(p, 1 << TK_BALL | 1 << TK_CRATE) : -1;
    tk_arc a = {.t = k == 0 ? 0 : h->start, .thing = i, .by = -1};
    const double edge = fmin(0.5 * p->stage, s->water_from - 1.5);
    if (i < 0 || !find_spot(p, i, a.t, -0.5 * p->stage, edge, &a.x)) return -1;
    return tk_physics_set(s, tk_thing_on_floor(&s->thing[i], a), p->end) ? i : -1;
}

bool tk_beat_hit(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (p->things < 2) return false;
    const int target = find_lying(p, k);
    const int kinds = tk_draw_chance(&p->d, 0.75) ? 1 << TK_BALL : 1 << TK_BALL | 1 << TK_CRATE;
    const int i = target < 0 ? -1 : tk_plot_thing(p, kinds);
    if (i < 0) return false;
    tk_shot *h = begin_shot(p, k, TK_BEAT_HIT, i, 0.25);
    h->other = target;
    const int side = tk_draw_chance(&p->d, 0.5) ? 1 : -1;
    const double gap = tk_draw(&p->d, 0.3, fmin(0.8, 0.7 * h->seconds));
    const double v = side * tk_draw(&p->d, 2.0, 2.8), r = s->thing[i].radius;
    const double touch = tk_touch(&s->thing[i], &s->thing[target]);
    tk_arc a = {.t = h->start, .vx = v, .thing = i, .by = -1};
    a.x = tk_arc_of(s, target, h->start)->x - side * (touch + gap);
    a.spin = s->thing[i].kind == TK_BALL ? -v / r : 0;
    if (s->ramp && a.x < s->ramp_end + r) return false;
    if (a.x > s->water_from - r || !tk_plot_go(p, tk_thing_on_floor(&s->thing[i], a))) return false;
    const double hit = first_event(s, TK_EVENT_HIT, i, h->start);
    return hit < h->start + 0.6 * h->seconds && tk_camera_set(s, p->m, k, -1);
}

// What has become of a thing, if there is something to see.
bool tk_beat_look_at_thing(tk_plot *p, int k)
{
    tk_scene *s = p->s;
    if (s->n_things == 0) return false;
    const int i = tk_draw_below(&p->d, s->n_things);
    tk_shot *h = &s->shot[k];
    const tk_arc *a = tk_arc_of(s, i, h->start);
    if (!a || a->law == TK_LAW_CARRIED) return false;
    const tk_arc *end = tk_arc_of(s, i, h->start + h->seconds);
    if (a->law == TK_LAW_REST && end != a) return false; // what another runs into does not just lie
    if (s->thing[i].kind == TK_BALLOON && tk_scene_thing_at(s, i, h->start + h->seconds).y > 7)
        return false;
    const bool seen = k > 0 && h[-1].beat == TK_BEAT_LOOK && h[-1].thing == i;
    if (seen && a->law == TK_LAW_REST && tk_draw_chance(&p->d, 0.8)) return false;
    h->beat = TK_BEAT_LOOK;
    h->thing = i;
    h->size = (tk_size)(tk_draw_chance(&p->d, 0.6) ? TK_SIZE_CLOSE : tk_draw_below(&p->d, 2));
    h->move = tk_draw_chance(&p->d, 0.25) ? TK_MOVE_PUSH : TK_MOVE_NONE;
    return tk_camera_set(s, p->m, k, -1);
}
