// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
#include "data/scene/physics.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

static const double g = TK_GRAVITY, half[3] = {0.5, 0.5, 0.5};

static tk_scene empty(int things)
{
    tk_scene s = {.n_things = things, .water_from = INFINITY};
    return s;
}

static tk_arc flight(int thing, double x, double y, double vx, double vy)
{
    return (tk_arc){
        .x = x, .y = y, .vx = vx, .vy = vy, .ay = -g, .law = TK_LAW_FREE, .thing = thing, .by = -1};
}

static tk_motion motion(const tk_scene *s, int thing, double t)
{
    return tk_arc_at(tk_arc_of(s, thing, t), t);
}

// Event n of the thing, of that kind.
static tk_scene_event event(const tk_scene *s, tk_event_kind kind, int n)
{
    for (int i = 0; i < s->n_events; i++)
        if (s->event[i].kind == kind && n-- == 0) return s->event[i];
    fail_msg("no such event");
    return (tk_scene_event){0};
}

static void test_motion__is_the_integral_of_its_speed(void **state)
{
    (void)state;
    const tk_arc arc[] = {
        {.x = 1,
         .y = 2,
         .vx = 3,
         .vy = -1,
         .ax = -2,
         .ay = -4,
         .spin = 2,
         .torque = -3,
         .law = TK_LAW_FREE},
        {.x = 1, .y = 2, .vx = 3, .vy = -4, .vend = -1.3, .k = 2.5, .law = TK_LAW_DRAG},
        {.y = 0.3, .vx = 0.2, .vy = -2, .level = 0.1, .k = 1.2, .w = 5, .law = TK_LAW_BOB},
    };
    const double dt = 1e-4;
    for (int i = 0; i < 3; i++)
        for (double t = dt; t < 2; t += 0.05) {
            const tk_motion a = tk_arc_at(&arc[i], t - dt), b = tk_arc_at(&arc[i], t),
                            c = tk_arc_at(&arc[i], t + dt);
            assert_near((c.x - a.x) / (2 * dt), b.vx, 1e-6);
            assert_near((c.y - a.y) / (2 * dt), b.vy, 1e-6);
            assert_near((c.angle - a.angle) / (2 * dt), b.spin, 1e-6);
            const double accel = (c.vy - a.vy) / (2 * dt);
            if (i == 0) assert_near(accel, -4, 1e-6);
            if (i == 1) assert_near(accel, -2.5 * (b.vy + 1.3), 1e-5);
            if (i == 2) assert_near(accel, -2 * 1.2 * b.vy - (25 + 1.44) * (b.y - 0.1), 1e-4);
        }
}

static void test_bounces__height_time_and_restitution(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.thing[0] = tk_thing_of(TK_BALL, 0, false, half);
    const double r = s.thing[0].radius, e = s.thing[0].restitution;
    assert_true(tk_physics_set(&s, flight(0, 0, r + 1.5, 0, 0), 5));
    const tk_scene_event first = event(&s, TK_EVENT_IMPACT, 0),
                         next = event(&s, TK_EVENT_IMPACT, 1);
    assert_near(first.t, sqrt(2 * 1.5 / g), 1e-12);
    assert_near(first.speed, sqrt(2 * 1.5 * g), 1e-12);
    assert_near(next.t - first.t, 2 * e * first.speed / g, 1e-12);
    assert_near(next.speed, e * first.speed, 1e-12);
    double energy = 1e9; // never grows
    for (double t = 0; t < 5; t += 0.01) {
        const tk_motion m = motion(&s, 0, t);
        const double now = 0.5 * m.vy * m.vy + g * (m.y - r);
        assert_true(m.y >= r - 1e-12 && now <= energy + 1e-9);
        energy = now;
    }
    assert_int_equal(tk_arc_of(&s, 0, 5)->law, TK_LAW_REST);
}

// A fine-step integration with friction at the lowest point finds the same rolling, stop and place.
static void test_ball__slides_rolls_and_stops(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.thing[0] = tk_thing_of(TK_BALL, 0, true, half);
    const double r = s.thing[0].radius, dt = 1e-5;
    assert_true(tk_physics_set(
        &s, tk_thing_on_floor(&s.thing[0], (tk_arc){.vx = 3, .thing = 0, .by = -1}), 9));
    double v = 3, w = 0, x = 0, t = 0;
    for (; v > 0; t += dt) {
        const double slip = v + w * r;
        if (slip > 1e-4) {
            v -= 0.40 * g * dt;
            w -= 2.5 * 0.40 * g / r * dt;
        } else {
            v -= 0.12 * g * dt;
            w = -v / r;
        }
        x += v * dt;
    }
    const tk_arc *end = tk_arc_of(&s, 0, 9);
    assert_int_equal(end->law, TK_LAW_REST);
    assert_near(end->t, t, 2e-3);
    assert_near(end->x, x, 2e-3);
    assert_int_equal(s.n_arcs, 3);
    assert_near(s.arc[1].vx, 3.0 * 5 / 7, 1e-12);
}

static void test_ramp__five_sevenths_and_the_speed_is_kept(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.thing[0] = tk_thing_of(TK_BALL, 0, true, half);
    s.ramp = true, s.ramp_x = -2, s.ramp_y = 0.6, s.ramp_end = -1;
    assert_true(tk_physics_set(&s, tk_thing_on_ramp(&s, 0, 0), 9));
    const double slope = atan2(0.6, 1), r = s.thing[0].radius;
    for (double t = 0.02; t < s.arc[1].t; t += 0.05) {
        const tk_motion m = motion(&s, 0, t);
        assert_near(hypot(m.vx, m.vy), 5.0 / 7 * g * sin(slope) * t, 1e-9);
        assert_near(m.spin * r, -hypot(m.vx, m.vy), 1e-9);
        // the centre keeps its distance from the ramp
        const double off = (m.x + 2) * sin(slope) + (m.y - 0.6) * cos(slope);
        assert_near(off, r, 1e-9);
    }
    const double foot = s.arc[1].t;
    const tk_motion before = motion(&s, 0, foot - 1e-9), after = motion(&s, 0, foot);
    assert_near(before.y, r, 1e-6);
    assert_near(before.x, after.x, 1e-6);
    assert_near(hypot(before.vx, before.vy), after.vx, 1e-6);
    // energy of rolling: (7/10) m v^2 comes from the height
    const double fallen = s.arc[0].y - r;
    assert_near(0.7 * after.vx * after.vx, g * fallen, 1e-9);
    assert_int_equal(tk_arc_of(&s, 0, 9)->law, TK_LAW_REST);
}

static void test_hits__momentum_and_restitution(void **state)
{
    (void)state;
    const tk_kind kind[2] = {TK_BALL, TK_CRATE};
    for (int n = 0; n < 16; n++) {
        tk_scene s = empty(2);
        s.thing[0] = tk_thing_of(kind[n & 1], 0, n >> 1 & 1, half);
        s.thing[1] = tk_thing_of(kind[n >> 2 & 1], 1, n >> 3 & 1, half);
        const double touch = tk_touch(&s.thing[0], &s.thing[1]);
        tk_arc lies = {.x = touch + 0.5, .thing = 1, .by = -1};
        tk_arc comes = {.vx = 2.5, .spin = -2.5 / s.thing[0].radius, .thing = 0, .by = -1};
        if (s.thing[0].kind == TK_CRATE) comes.spin = 0;
        assert_true(tk_physics_set(&s, tk_thing_on_floor(&s.thing[1], lies), 5));
        assert_true(tk_physics_set(&s, tk_thing_on_floor(&s.thing[0], comes), 5));
        const tk_scene_event hit = event(&s, TK_EVENT_HIT, 0);
        assert_int_equal(hit.thing, 0);
        const double dt = 1e-9;
        const tk_motion a = motion(&s, 0, hit.t - dt), c = motion(&s, 0, hit.t);
        const tk_motion b = motion(&s, 1, hit.t - dt), d = motion(&s, 1, hit.t);
        const double p = s.thing[0].mass, q = s.thing[1].mass;
        const double e = 0.5 * (s.thing[0].restitution + s.thing[1].restitution);
        assert_near(d.x - c.x, touch, 1e-9);
        assert_near((p * a.vx + q * b.vx) / (p * c.vx + q * d.vx), 1, 1e-6);
        assert_near((d.vx - c.vx) / (a.vx - b.vx), e, 1e-6);
        assert_near(hit.speed, a.vx, 1e-6);
        double least = 1e9;
        for (double t = 0; t < 5; t += 1e-3)
            least = fmin(least, motion(&s, 1, t).x - motion(&s, 0, t).x - touch);
        assert_true(least > -1e-9);
        assert_int_equal(tk_arc_of(&s, 1, 5)->law, TK_LAW_REST);
    }
}

static void test_water__heavy_sinks_to_the_bed_at_its_speed(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        tk_scene s = empty(1);
        s.water_from = 0, s.bed = -1.2;
        s.thing[0] = tk_thing_of((tk_kind)kind, 0, true, half);
        const double r = s.thing[0].radius, rho = s.thing[0].density;
        assert_true(tk_physics_set(&s, flight(0, 1, r + 1, 0, 0), 9));
        const tk_scene_event in = event(&s, TK_EVENT_SPLASH, 0),
                             bed = event(&s, TK_EVENT_IMPACT, 0);
        assert_near(in.t, sqrt(2 / g), 1e-12);
        assert_near(motion(&s, 0, in.t).y, r, 1e-12);
        assert_near(motion(&s, 0, bed.t - 1e-9).y, s.bed + r, 1e-7);
        assert_near(motion(&s, 0, bed.t).y, s.bed + r, 0);
        // weight less lift moves the thing and the water that goes with it, against the drag
        const tk_arc *a = tk_arc_of(&s, 0, in.t);
        const double pull = g * (rho - 1) / (rho + 0.5), dt = 1e-5;
        double y = r, v = a->vy, t = in.t;
        assert_near(v, -in.speed * rho / (rho + 0.5), 1e-12);
        for (; y > s.bed + r; t += dt) {
            v += (-pull - a->k * v) * dt;
            y += v * dt;
        }
        assert_near(t, bed.t, 1e-4);
        assert_near(-v, bed.speed, 1e-3);
    }
}

static void test_water__light_floats_as_archimedes_says(void **state)
{
    (void)state;
    for (int n = 0; n < 8; n++) {
        tk_scene s = empty(1);
        const double u[3] = {0.3, 0.25 * (n >> 1), 0.5};
        s.water_from = 0, s.bed = -1.2;
        s.thing[0] = tk_thing_of(n & 1 ? TK_CRATE : TK_BALL, 0, false, u);
        const double r = s.thing[0].radius, rho = s.thing[0].density;
        assert_true(tk_physics_set(&s, flight(0, 1, r + 1.2, 0, 0), 30));
        const double level = motion(&s, 0, 29.9).y, draft = r - level;
        const double whole = n & 1 ? 8 * r * r * r : 4.0 / 3 * M_PI * r * r * r;
        const double under = n & 1 ? 4 * r * r * draft : M_PI * draft * draft * (3 * r - draft) / 3;
        assert_near(under / whole, rho, 1e-6);
        double low = 0;
        int crossings = 0;
        for (double t = event(&s, TK_EVENT_SPLASH, 0).t, last = 1; t < 4; t += 0.001) {
            const double off = motion(&s, 0, t).y - level;
            low = fmin(low, off);
            if (off * last < 0) crossings++, last = off;
        }
        assert_true(crossings >= 3 && low < -0.1 && low + level > s.bed + r);
    }
}

static void test_balloon__reaches_its_speed_and_never_passes_it(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.thing[0] = tk_thing_of(TK_BALLOON, 0, false, half);
    const tk_thing *o = &s.thing[0];
    assert_true(tk_physics_set(&s, tk_thing_rising(o, (tk_arc){.y = 0.5, .by = -1}), 30));
    const tk_motion slow = motion(&s, 0, 0.001), fast = motion(&s, 0, 10);
    // lift starts it, with half of the air it displaces; drag as of a ball (0.47) ends its gain
    assert_near(slow.vy / 0.001, g * (0.0012 - o->density) / (o->density + 0.0006), 0.02);
    const double drag = 0.5 * 0.0012 * fast.vy * fast.vy * 0.47 * M_PI * o->radius * o->radius;
    const double lift = (0.0012 - o->density) * 4.0 / 3 * M_PI * pow(o->radius, 3) * g;
    assert_near(drag / lift, 1, 1e-3);
    for (double t = 0, last = -1; t < 5; last = motion(&s, 0, t).vy, t += 0.1)
        assert_true(motion(&s, 0, t).vy > last);
}

static void test_set__leaves_the_past_alone(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.thing[0] = tk_thing_of(TK_BALL, 0, false, half);
    assert_true(tk_physics_set(&s, flight(0, 0, 2, 0, 0), 5));
    const tk_scene before = s;
    tk_arc a = flight(0, 1, 3, 0, 0);
    a.t = 1.5;
    assert_true(tk_physics_set(&s, a, 5));
    for (double t = 0; t < 1.5; t += 0.1)
        assert_near(motion(&s, 0, t).y, motion(&before, 0, t).y, 0);
    assert_near(motion(&s, 0, 1.5).y, 3, 0);
    for (int i = 1; i < s.n_events; i++) assert_true(s.event[i].t > s.event[i - 1].t);
}

static void test_set__refuses_the_edge_of_the_water(void **state)
{
    (void)state;
    tk_scene s = empty(1);
    s.water_from = 1, s.bed = -1.2;
    s.thing[0] = tk_thing_of(TK_BALL, 0, false, half);
    assert_false(tk_physics_set(&s, flight(0, 0.9, 2, 0, 0), 5));
    s = empty(1);
    s.water_from = 1;
    assert_false(
        tk_physics_set(&s, tk_thing_on_floor(&s.thing[0], (tk_arc){.x = 0, .vx = 3, .by = -1}), 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_motion__is_the_integral_of_its_speed),
        cmocka_unit_test(test_bounces__height_time_and_restitution),
        cmocka_unit_test(test_ball__slides_rolls_and_stops),
        cmocka_unit_test(test_ramp__five_sevenths_and_the_speed_is_kept),
        cmocka_unit_test(test_hits__momentum_and_restitution),
        cmocka_unit_test(test_water__heavy_sinks_to_the_bed_at_its_speed),
        cmocka_unit_test(test_water__light_floats_as_archimedes_says),
        cmocka_unit_test(test_balloon__reaches_its_speed_and_never_passes_it),
        cmocka_unit_test(test_set__leaves_the_past_alone),
        cmocka_unit_test(test_set__refuses_the_edge_of_the_water),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
