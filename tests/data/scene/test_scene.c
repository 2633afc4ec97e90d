// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
#include "data/scene/physics.h"
#include "data/scene/scene.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CLIPS = 500, PATCH = 3 };
static const tk_media_config media = {
    .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
static const tk_world_config world = {
    .seconds = 6, .max_shots = 3, .things = 2, .people = 2, .speech = 1, .sets = 4, .styles = 3};

static tk_speech *speech;

static void make_of(const tk_world_config *w, int64_t index, tk_scene *s)
{
    assert_int_equal(tk_scene_make(w, &media, PATCH, speech, 7, index, s), TK_OK);
}

static void make(int64_t index, tk_scene *s)
{
    make_of(&world, index, s);
}

static bool same(const tk_scene *a, const tk_scene *b)
{
    bool all = a->set == b->set && a->shot[0].style == b->shot[0].style && a->light == b->light &&
               a->n_shots == b->n_shots && a->n_people == b->n_people &&
               a->n_things == b->n_things && a->n_events == b->n_events && a->n_arcs == b->n_arcs;
    for (int k = 0; all && k < a->n_shots; k++)
        all = !strcmp(a->shot[k].caption, b->shot[k].caption) &&
              !memcmp(&a->shot[k].from, &b->shot[k].from, sizeof a->shot[k].from) &&
              !memcmp(&a->shot[k].to, &b->shot[k].to, sizeof a->shot[k].to);
    for (int i = 0; all && i < a->n_events; i++)
        all = a->event[i].t == b->event[i].t && a->event[i].speed == b->event[i].speed;
    for (int i = 0; all && i < a->n_arcs; i++)
        all = a->arc[i].t == b->arc[i].t && a->arc[i].x == b->arc[i].x &&
              a->arc[i].vy == b->arc[i].vy && a->arc[i].law == b->arc[i].law;
    for (int i = 0; all && i < a->n_people; i++)
        all = a->person[i] == b->person[i] &&
              tk_scene_body_at(a, i, 2).x == tk_scene_body_at(b, i, 2).x;
    return all;
}

static void test_scene__is_a_pure_function(void **state)
{
    (void)state;
    static tk_scene a, b, other;
    for (int64_t i = 0; i < 50; i++) {
        make(i, &a);
        make(i + 1, &other);
        make(i, &b);
        assert_true(same(&a, &b));
        assert_false(same(&a, &other));
    }
}

static void test_scene__cuts_on_latent_frames(void **state)
{
    (void)state;
    int by_count[TK_SCENE_SHOTS + 1] = {0};
    tk_world_config w = world;
    w.max_shots = TK_SCENE_SHOTS;
    for (int64_t i = 0; i < 2 * CLIPS; i++) {
        static tk_scene s;
        w.cuts = i < CLIPS ? TK_CUTS_EVEN : TK_CUTS_ANY;
        make_of(&w, i % CLIPS, &s);
        double at = 0;
        if (w.cuts == TK_CUTS_EVEN) by_count[s.n_shots]++;
        for (int k = 0; k < s.n_shots; k++) {
            assert_true(s.shot[k].seconds >= 0.75 - 1e-9 || s.n_shots == 1);
            assert_near(s.shot[k].start, at, 1e-12);
            const double latent = s.shot[k].start * (double)media.fps / PATCH;
            assert_near(latent, round(latent), 1e-9);
            at += s.shot[k].seconds;
        }
        assert_near(at, 6, 1e-12);
    }
    for (int n = 6; n <= TK_SCENE_SHOTS; n++) assert_true(by_count[n] > 0);
}

// Cuts lie wherever they leave each shot three latent frames, one place as often as another; even
// ones lie beside the middle.
static void test_cuts__anywhere(void **state)
{
    enum { LATENTS = 16, LEAST = 3 };
    int at[2][LATENTS + 1] = {{0}}, of[2] = {0}, pairs[LATENTS][LATENTS] = {{0}}, of_pairs = 0;
    (void)state;
    for (int any = 0; any < 2; any++)
        for (int64_t i = 0; i < 2 * CLIPS; i++) {
            static tk_scene s;
            tk_world_config w = world;
            w.seconds = 4;
            w.cuts = any ? TK_CUTS_ANY : TK_CUTS_EVEN;
            make_of(&w, i, &s);
            const int first = (int)lround(4 * s.shot[1].start),
                      next = (int)lround(4 * s.shot[2].start);
            if (s.n_shots == 2) at[any][first]++, of[any]++;
            if (any && s.n_shots == 3) pairs[first][next]++, of_pairs++;
        }
    assert_true(of[0] > 100 && of[1] > 100 && of_pairs > 300);
    for (int k = 0; k <= LATENTS; k++) {
        const bool open = k >= LEAST && k <= LATENTS - LEAST;
        assert_true((at[0][k] > 0) == (abs(k - LATENTS / 2) <= 1));
        assert_true((at[1][k] > 0) == open);
        if (open) assert_near(at[1][k] / (double)of[1], 1 / 11.0, 0.07);
    }
    for (int a = 0; a < LATENTS; a++)
        for (int b = 0; b < LATENTS; b++) {
            const bool open = a >= LEAST && b - a >= LEAST && LATENTS - b >= LEAST;
            assert_true((pairs[a][b] > 0) == open);
            if (open) assert_near(pairs[a][b] / (double)of_pairs, 1 / 36.0, 0.02);
        }
}

static bool inside(const tk_view *v, double x, double y, double half_width, double half_height)
{
    double px, py;
    tk_scene_project(v, x, y, &px, &py);
    const double w = half_width * v->pixels_per_metre, h = half_height * v->pixels_per_metre;
    return px - w >= 0 && px + w <= 2 * v->half_width && py - h >= 0 &&
           py + h <= 2 * v->half_height;
}

// What a shot is about is in view as long as it lasts, in frames of any shape.
static void test_camera__holds_its_subject(void **state)
{
    (void)state;
    const int64_t size[][2] = {{96, 64}, {64, 64}, {36, 64}, {96, 64}};
    for (int z = 0; z < 4; z++) {
        int64_t frames = 0, lost = 0, faces = 0, cut = 0;
        for (int64_t i = 0; i < CLIPS / 2; i++) {
            static tk_scene s;
            tk_media_config m = media;
            tk_world_config w = world;
            m.width = size[z][0], m.height = size[z][1];
            w.cuts = z == 3 ? TK_CUTS_ANY : TK_CUTS_EVEN;
            assert_int_equal(tk_scene_make(&w, &m, PATCH, speech, 7, i, &s), TK_OK);
            for (int k = 0; k < s.n_shots; k++) {
                const tk_shot *h = &s.shot[k];
                assert_true(h->person >= 0 || h->thing >= 0);
                for (double t = h->start; t < h->start + h->seconds - 1e-9; t += 1 / 12.0) {
                    const tk_view v = tk_scene_view_at(&s, m.height, m.width, t);
                    if (h->thing >= 0) {
                        const tk_pose p = tk_scene_thing_at(&s, h->thing, t);
                        assert_true(p.seen);
                        frames++, lost += !inside(&v, p.x, p.y, 0, 0);
                    } else {
                        const tk_face f = tk_scene_face_at(&s, h->person, t);
                        frames++, lost += !inside(&v, f.x, f.y, 0, 0);
                        if (h->size != TK_SIZE_CLOSE) continue;
                        faces++, cut += !inside(&v, f.x, f.y, f.half_width, f.half_height);
                    }
                }
            }
        }
        assert_true(faces > 500);
        assert_int_equal(cut, 0);
        assert_true(100 * lost <= frames);
    }
}

// No cut goes to nearly the same picture: it changes the size, the side, or a third of the view.
static void test_cuts__can_be_seen(void **state)
{
    (void)state;
    const int64_t size[][2] = {{96, 64}, {64, 48}, {36, 64}};
    for (int z = 0; z < 3; z++)
        for (int64_t i = 0; i < CLIPS; i++) {
            static tk_scene s;
            tk_media_config m = media;
            tk_world_config w = world;
            m.width = size[z][0], m.height = size[z][1];
            w.max_shots = 6;
            assert_ok(tk_scene_make(&w, &m, PATCH, speech, 11, i, &s));
            for (int k = 1; k < s.n_shots; k++) {
                const tk_camera *a = &s.shot[k - 1].to, *b = &s.shot[k].from;
                const double zoom = a->span > b->span ? a->span / b->span : b->span / a->span;
                const double moved = hypot(a->cx - b->cx, a->cy - b->cy);
                assert_true(s.shot[k].reverse != s.shot[k - 1].reverse || zoom > 1.2 ||
                            3 * moved >= fmax(a->span, b->span));
            }
        }
}

// Every beat is asked often enough, in default clips and in clips of things alone.
static void test_scene__asks_every_claim(void **state)
{
    (void)state;
    int beat[2][TK_BEATS] = {0};
    for (int only = 0; only < 2; only++)
        for (int64_t i = 0; i < CLIPS; i++) {
            static tk_scene s;
            tk_world_config w = world;
            if (only) w.people = 0;
            make_of(&w, i, &s);
            for (int k = 0; k < s.n_shots; k++) beat[only][s.shot[k].beat]++;
        }
    for (int only = 0; only < 2; only++)
        for (int b = TK_BEAT_LOOK; b <= (only ? TK_BEAT_HIT : TK_BEAT_ANSWER); b++) {
            if (only && b == TK_BEAT_LETGO) continue;
            assert_true(beat[only][b] > CLIPS / 40);
        }
}

// What is dropped has landed before the cut, what is to hit has hit.
static void test_beats__end_in_their_shot(void **state)
{
    (void)state;
    for (int64_t i = 0; i < 2 * CLIPS; i++) {
        static tk_scene s;
        tk_world_config w = world;
        w.seconds = 3; // a second a shot
        w.cuts = i < CLIPS ? TK_CUTS_EVEN : TK_CUTS_ANY;
        make_of(&w, i % CLIPS, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_shot *h = &s.shot[k];
            static const tk_event_kind ends[TK_BEATS] = {[TK_BEAT_DROP] = TK_EVENT_IMPACT,
                                                         [TK_BEAT_SPLASH] = TK_EVENT_SPLASH,
                                                         [TK_BEAT_HIT] = TK_EVENT_HIT,
                                                         [TK_BEAT_WALK] = TK_EVENT_STEP};
            if (h->beat != TK_BEAT_DROP && !ends[h->beat]) continue;
            const int who = h->beat == TK_BEAT_WALK ? h->person : h->thing;
            int n = 0;
            for (int e = 0; e < s.n_events; e++)
                n += s.event[e].kind == ends[h->beat] && s.event[e].thing == who &&
                     s.event[e].t > h->start && s.event[e].t < h->start + h->seconds;
            assert_true(n >= (h->beat == TK_BEAT_WALK ? 2 : 1));
        }
    }
}

// No jumps: not at cuts, not at events.
static void test_things__move_without_jumps(void **state)
{
    (void)state;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        for (int o = 0; o < s.n_things; o++)
            for (double t = 0.01; t < 6; t += 0.01) {
                const tk_pose a = tk_scene_thing_at(&s, o, t - 0.01),
                              b = tk_scene_thing_at(&s, o, t);
                assert_false(a.seen && !b.seen);
                if (!a.seen) continue;
                assert_true(hypot(b.x - a.x, b.y - a.y) < 0.12);
            }
    }
}

static bool is_carried(const tk_scene *s, int thing, double t)
{
    return tk_arc_of(s, thing, t)->law == TK_LAW_CARRIED;
}

// What is carried past another thing passes before it.
static void test_things__do_not_overlap(void **state)
{
    (void)state;
    int64_t met = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        if (s.n_things < 2) continue;
        const double r = s.thing[0].radius + s.thing[1].radius;
        const double near = tk_touch(&s.thing[0], &s.thing[1]);
        for (double t = 0; t < 6; t += 0.01) {
            const tk_pose a = tk_scene_thing_at(&s, 0, t), b = tk_scene_thing_at(&s, 1, t);
            if (!a.seen || !b.seen || is_carried(&s, 0, t) || is_carried(&s, 1, t)) continue;
            const bool ground =
                fabs(a.y - s.thing[0].radius) < 1e-6 && fabs(b.y - s.thing[1].radius) < 1e-6;
            assert_false(fabs(a.y - b.y) < r && fabs(a.x - b.x) < near - 0.08);
            if (ground) assert_true(fabs(a.x - b.x) > near - 1e-6);
            met += fabs(a.x - b.x) < near + 0.05;
        }
    }
    assert_true(met > 0);
}

static void test_steps__land_where_the_walk_is(void **state)
{
    (void)state;
    int steps = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        make(i, &s);
        for (int e = 0; e < s.n_events; e++) {
            const tk_scene_event *k = &s.event[e];
            assert_true(e == 0 || k->t >= s.event[e - 1].t);
            if (k->kind != TK_EVENT_STEP) continue;
            const tk_body before = tk_scene_body_at(&s, k->thing, k->t - 1e-7);
            assert_near(before.x, k->x, 1e-6);
            const double phase = fmod(2 * before.stride, 1);
            assert_true(phase > 1 - 1e-5 || phase < 1e-5);
            steps++;
        }
    }
    assert_true(steps > CLIPS / 2);
}

static bool is_held(const tk_scene *s)
{
    bool any = s->set == TK_HELD_SET;
    for (int i = 0; i < s->n_people; i++) any |= tk_is_held_out(s->person[i]);
    for (int i = 0; i < s->n_things; i++)
        any |= s->thing[i].kind == TK_HELD_KIND && s->thing[i].colour == TK_HELD_COLOUR;
    return any;
}

static void test_options__held_out(void **state)
{
    (void)state;
    int with = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        static tk_scene s;
        tk_world_config w = world;
        make_of(&w, i, &s);
        assert_false(is_held(&s));
        w.held_out = TK_HELD_ONLY;
        make_of(&w, i, &s);
        assert_true(is_held(&s));
        w.held_out = TK_HELD_WITH;
        make_of(&w, i, &s);
        with += is_held(&s);
        w = (tk_world_config){.seconds = 3,
                              .max_shots = 2,
                              .things = 1,
                              .sets = 1,
                              .styles = 1,
                              .held_out = TK_HELD_ONLY};
        make_of(&w, i, &s);
        assert_true(is_held(&s));
        assert_int_equal(s.n_people, 0);
        assert_int_equal(s.set, TK_SET_ROOM);
        assert_int_equal(s.shot[0].style, TK_STYLE_NATURAL);
        w.things = 0, w.people = 1, w.held_out = TK_HELD_WITHOUT;
        make_of(&w, i, &s);
        assert_true(s.n_people == 1 && s.n_things == 0);
    }
    assert_true(with > CLIPS / 5 && with < 4 * CLIPS / 5);
}

static void test_options__nothing_to_film(void **state)
{
    (void)state;
    static tk_scene s;
    tk_world_config w = world;
    w.things = w.people = 0;
    assert_int_equal(tk_scene_make(&w, &media, PATCH, speech, 1, 0, &s), TK_INPUT);
}

// Clips as other tests make them, of a second and of a few pixels, and long ones.
static void test_scene__of_any_length(void **state)
{
    (void)state;
    const tk_media_config tiny = {.width = 16, .height = 16, .fps = 4, .sample_rate = 4000};
    const double seconds[] = {0.1, 0.5, 1, 2.5, 12, 40};
    for (int n = 0; n < 6; n++)
        for (int64_t i = 0; i < 600; i++) {
            static tk_scene s;
            tk_world_config w = world;
            w.cuts = i < 300 ? TK_CUTS_EVEN : TK_CUTS_ANY;
            w.seconds = seconds[n];
            w.max_shots = 1 + i % TK_SCENE_SHOTS;
            w.speech = i & 1;
            w.things = i % 3, w.people = (i / 3) % 3;
            if (w.things == 0 && w.people == 0) continue;
            assert_int_equal(tk_scene_make(&w, &tiny, 2, speech, 1, i, &s), TK_OK);
            assert_true(s.n_shots >= 1 && s.n_shots <= w.max_shots);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scene__is_a_pure_function),
        cmocka_unit_test(test_scene__cuts_on_latent_frames),
        cmocka_unit_test(test_cuts__anywhere),
        cmocka_unit_test(test_camera__holds_its_subject),
        cmocka_unit_test(test_cuts__can_be_seen),
        cmocka_unit_test(test_scene__asks_every_claim),
        cmocka_unit_test(test_beats__end_in_their_shot),
        cmocka_unit_test(test_things__move_without_jumps),
        cmocka_unit_test(test_things__do_not_overlap),
        cmocka_unit_test(test_steps__land_where_the_walk_is),
        cmocka_unit_test(test_options__held_out),
        cmocka_unit_test(test_options__nothing_to_film),
        cmocka_unit_test(test_scene__of_any_length),
    };
    if (tk_scene_open_speech(&world, &media, &speech) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tk_speech_close(speech);
    return failed;
}
