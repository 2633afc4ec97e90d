// SPDX-License-Identifier: Apache-2.0
// Motion told from true paths of the world's things at 12 frames a second, from paths of which the
// answer is known, and from wrong motion.
#include "core/numbers/rng.h"
#include "data/scene/scene.h"
#include "infer/judges/sight/paths.h"
#include "tests/support/test.h"
#include <math.h>

enum { CLIPS = 600, FRAMES = 64 };
static const tk_media_config media = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
static const tk_world_config world = {
    .seconds = 4, .max_shots = 3, .things = 2, .sets = TK_SETS, .styles = TK_STYLES};

typedef struct way {
    double x[FRAMES], y[FRAMES];
    tk_path path;
} way;

// The true path of a thing over a shot, `slow` times as slow.
static void true_way(const tk_scene *s, const tk_shot *h, int thing, double slow, way *w)
{
    const int64_t n = llround(h->seconds * (double)media.fps);
    for (int64_t f = 0; f < n; f++) {
        const tk_pose p = tk_scene_thing_at(s, thing, h->start + (double)f / (12 * slow));
        w->x[f] = p.seen ? p.x : NAN, w->y[f] = p.seen ? p.y : NAN;
    }
    w->path = (tk_path){n, 12, w->x, w->y};
}

static bool close_to(double a, double b, double by)
{
    return fabs(a - b) <= by;
}

typedef struct tally {
    int right, all;
} tally;

static void count(tally *t, bool right)
{
    t->right += right;
    t->all++;
}

static void expect(const char *what, tally t, int least, double share)
{
    print_message("%s: %d of %d\n", what, t.right, t.all);
    assert_true(t.all >= least && t.right >= share * t.all);
}

static bool keeps(const tk_collision *c, double m, double q)
{
    const double before = m * c->before[0] + q * c->before[1],
                 after = m * c->after[0] + q * c->after[1];
    return close_to(after / before, 1, 0.35) && fabs(c->after[1]) > 0.1;
}

// Places as far off as they are seen to be: a fifth of a pixel and more.
static void blur(way *w, tk_key key)
{
    for (int64_t i = 0; i < w->path.n; i++) w->x[i] += 0.012 * tk_rng_normal(key, (uint64_t)i);
}

// On true ways, and where these are blurred.
static void judge_hit(const tk_scene *s, const tk_shot *h, tally *hits, tally *blurred)
{
    const tk_thing *o = &s->thing[h->thing], *p = &s->thing[h->other];
    const double reach = 1.05 * (o->radius + p->radius);
    const uint64_t at = (uint64_t)(s->index * TK_SCENE_SHOTS + (h - s->shot));
    way w, v;
    tk_collision c;
    true_way(s, h, h->thing, 1, &w);
    true_way(s, h, h->other, 1, &v);
    if (!tk_paths_collide(&w.path, &v.path, reach, &c)) return;
    if (fabs(c.before[0]) < 1.5) return;                   // too slow to be told from friction
    if (!(fabs(v.x[v.path.n - 1] - v.x[0]) > 0.2)) return; // hardly set going
    count(hits, keeps(&c, o->mass, p->mass));
    blur(&w, tk_rng_key(5, TK_RNG_TEST, at));
    blur(&v, tk_rng_key(6, TK_RNG_TEST, at));
    count(blurred, tk_paths_collide(&w.path, &v.path, reach, &c) && keeps(&c, o->mass, p->mass));
}

static void test_world(void **state)
{
    (void)state;
    tally falls = {0, 0}, slow = {0, 0}, bounces = {0, 0}, thuds = {0, 0}, sinks = {0, 0},
          floats = {0, 0}, rises = {0, 0}, hits = {0, 0}, blurred = {0, 0};
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_scene s;
        assert_int_equal(tk_scene_make(&world, &media, 4, NULL, 3, i, &s), TK_OK);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            way w, v;
            if (h->thing < 0) continue;
            const tk_thing *o = &s.thing[h->thing];
            true_way(&s, h, h->thing, 1, &w);
            const double g = tk_path_gravity(&w.path), e = tk_path_restitution(&w.path);
            const bool falls_freely = h->beat == TK_BEAT_DROP;
            if (falls_freely && !isnan(g)) {
                count(&falls, close_to(g, TK_GRAVITY, 0.1 * TK_GRAVITY));
                true_way(&s, h, h->thing, sqrt(2), &v); // half of gravity
                const double half = tk_path_gravity(&v.path);
                if (!isnan(half)) count(&slow, close_to(half, TK_GRAVITY, 0.25 * TK_GRAVITY));
            }
            if (h->beat == TK_BEAT_DROP && !isnan(e))
                count(o->restitution > 0.5 ? &bounces : &thuds, close_to(e, o->restitution, 0.2));
            if (h->outcome == TK_OUTCOME_SINKS)
                count(&sinks, tk_path_climbs(&w.path) < -0.1 || tk_path_settles(&w.path) < -0.5);
            if (h->outcome == TK_OUTCOME_FLOATS)
                count(&floats, fabs(tk_path_settles(&w.path)) < 0.3);
            if (h->outcome == TK_OUTCOME_RISES) count(&rises, tk_path_climbs(&w.path) > 0.3);
            if (h->outcome == TK_OUTCOME_HITS && h->other >= 0) judge_hit(&s, h, &hits, &blurred);
        }
    }
    expect("falls at g", falls, 50, 0.97);
    expect("falls at half of it taken for g", slow, 40, 0);
    assert_true(slow.right * 20 <= slow.all);
    expect("bounces", bounces, 30, 0.95);
    expect("thuds", thuds, 30, 0.95);
    expect("sinks", sinks, 20, 0.95);
    expect("floats", floats, 20, 0.95);
    expect("rises", rises, 20, 0.95);
    expect("collisions keep momentum", hits, 15, 0.95);
    expect("collisions of which places are not known better", blurred, 15, 0.85);
}

// Contacts against the world's impacts, in frames from the frame that is told: as often before it
// as after it.
static void test_contacts(void **state)
{
    (void)state;
    double sum = 0, most = 0;
    int n = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_scene s;
        assert_int_equal(tk_scene_make(&world, &media, 4, NULL, 3, i, &s), TK_OK);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            int64_t at[8];
            way w;
            if (h->beat != TK_BEAT_DROP) continue;
            true_way(&s, h, h->thing, 1, &w);
            const int found = tk_path_contacts(&w.path, 8, at);
            for (int c = 0; c < found; c++) {
                const double t = h->start + (double)at[c] / 12;
                double off = INFINITY;
                for (int e = 0; e < s.n_events; e++)
                    if (s.event[e].kind == TK_EVENT_IMPACT && fabs(s.event[e].t - t) < fabs(off))
                        off = s.event[e].t - t;
                sum += 12 * off, most = test_larger(most, fabs(12 * off)), n++;
            }
        }
    }
    print_message("%d contacts: %.2f frames after the one told, at most %.2f from it\n", n, sum / n,
                  most);
    assert_true(n >= 50 && fabs(sum / n) < 0.2 && most <= 1);
}

static void test_known(void **state)
{
    (void)state;
    static const double factor[] = {0.5, 2, 0};
    double x[FRAMES] = {0}, y[FRAMES];
    const tk_path six = {6, 8, x, y}, eight = {8, 8, x, y};
    for (int q = 0; q < 3; q++) {
        for (int i = 0; i < 8; i++) // without gravity: a steady glide
            y[i] = 5 -
                   (factor[q] > 0 ? 0.5 * factor[q] * TK_GRAVITY * (i / 8.0) * (i / 8.0) : 0.5 * i);
        assert_true(close_to(tk_path_gravity(&six), factor[q] * TK_GRAVITY, 0.05));
    }
    for (int i = 0; i < 8; i++) y[i] = 1 + (i % 2) * 0.01; // lies still
    assert_true(isnan(tk_path_gravity(&eight)) && isnan(tk_path_restitution(&eight)));
    assert_int_equal(tk_path_contacts(&eight, 8, (int64_t[8]){0}), 0);
    // One stops at the other, which stays where it is: momentum is lost.
    double still[FRAMES] = {0};
    const tk_path other = {12, 12, still, still};
    tk_collision c;
    for (int i = 0; i < 12; i++) x[i] = i < 5 ? 1.7 - 0.2 * i : 0.7, y[i] = 0;
    const tk_path runs = {12, 12, x, y};
    assert_true(tk_paths_collide(&runs, &other, 0.75, &c) && c.at == 5);
    assert_true(close_to(c.before[0], -2.4, 0.1) && close_to(c.after[0], 0, 1e-9) &&
                close_to(c.after[1], 0, 1e-9));
    for (int i = 0; i < 8; i++) x[i] = y[i] = NAN; // never seen
    assert_true(isnan(tk_path_gravity(&eight)) && isnan(tk_path_settles(&eight)) &&
                isnan(tk_path_climbs(&eight)));
    assert_false(tk_paths_collide(&eight, &eight, 1, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_world),
                                       cmocka_unit_test(test_contacts),
                                       cmocka_unit_test(test_known)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
