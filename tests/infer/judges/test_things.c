// SPDX-License-Identifier: Apache-2.0
// Things of the world's clips: what they are found to be against what they are.
#include "data/film/film.h"
#include "infer/eval/learn/learn.h"
#include "infer/judges/sight/things.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum {
    WIDTH = 96,
    HEIGHT = 64,
    PICTURE = WIDTH * HEIGHT * 3,
    FPS = 12,
    LEARNED = 150,
    JUDGED = 60
};
static const tk_media_config media = {
    .width = WIDTH, .height = HEIGHT, .fps = FPS, .sample_rate = 16000, .channels = 1};
static const tk_world_config world = {
    .seconds = 4, .max_shots = 3, .people = 2, .things = 2, .sets = TK_SETS, .styles = TK_STYLES};

typedef struct clip {
    tk_scene scene;
    int64_t frames;
    uint8_t *rgb;
} clip;

static void make_clip(int64_t index, clip *c)
{
    assert_int_equal(tk_scene_make(&world, &media, 4, NULL, 5, index, &c->scene), TK_OK);
    c->frames = tk_scene_frames(&world, &media, 4);
    c->rgb = tk_alloc((size_t)(c->frames * PICTURE));
    assert_non_null(c->rgb);
    assert_int_equal(tk_film_render(&c->scene, &media, NULL, c->frames, c->rgb), TK_OK);
}

// Where thing k is at time t, in pixels; how large. False: not there.
static bool place_of(const clip *c, int k, double t, double *x, double *y, double *r)
{
    const tk_view v = tk_scene_view_at(&c->scene, HEIGHT, WIDTH, t);
    const tk_pose p = tk_scene_thing_at(&c->scene, k, t);
    tk_scene_project(&v, p.x, p.y, x, y);
    *r = c->scene.thing[k].radius * v.pixels_per_metre;
    return p.seen;
}

static bool in_frame(const clip *c, int k, double t)
{
    double x, y, r;
    return place_of(c, k, t, &x, &y, &r) && x > 0.5 * r && y > 0.5 * r && x < WIDTH - 0.5 * r &&
           y < HEIGHT - 0.5 * r;
}

static bool is_of_hue(const clip *c, int k, int hue)
{
    return !strcmp(tk_colour_name[c->scene.thing[k].colour], tk_hue_name[hue]);
}

typedef struct tally {
    int64_t things, found, shown, frames, near, extra, shots; // shown: times in view; frames: seen
    int64_t gaps; // of tracks, in which something of the hue is seen
} tally;

static void judge_thing(const clip *c, int64_t first, int k, const tk_thing_track *t, tally *sum)
{
    for (int64_t f = 0; f < t->frames; f++) {
        double x, y, r;
        const double at = (double)(first + f) / FPS;
        if (!in_frame(c, k, at)) continue;
        sum->shown++;
        if (isnan(t->x[f])) continue;
        place_of(c, k, at, &x, &y, &r);
        sum->frames++;
        sum->near += hypot(x - t->x[f], y - t->y[f]) < 2;
    }
}

// Whether a thing of that hue, of whatever kind, is surely seen in a picture.
static bool hue_seen(const tk_classes *classes, const uint8_t *rgb, int hue)
{
    tk_sighting seen[TK_SIGHTINGS];
    double odds[16];
    bool found = false;
    tk_arena a;
    int n = 0;
    tk_arena_init(&a, 0);
    assert_ok(tk_sightings_of(rgb, HEIGHT, WIDTH, &a, seen, &n));
    tk_arena_free(&a);
    for (int i = 0; i < n; i++) {
        const int class = tk_classes_find(classes, seen[i].feature, odds);
        found |= seen[i].hue == hue && class > 0 && odds[class] > 0.9;
    }
    return found;
}

// Things in the frame for most of a shot are to be found in it, and nothing else.
static void judge_shot(const tk_classes *classes, const clip *c, const tk_shot *h, tally *sum)
{
    const int64_t first = llround(h->start * FPS), frames = llround(h->seconds * FPS);
    tk_thing_track *track;
    tk_arena a;
    int n;
    tk_arena_init(&a, 0);
    assert_int_equal(tk_thing_tracks(classes, c->rgb + first * PICTURE, frames, HEIGHT, WIDTH, 0.35,
                                     &a, &track, &n),
                     TK_OK);
    sum->shots++;
    for (int q = 0; q < n; q++) {
        bool there = false;
        for (int k = 0; k < c->scene.n_things; k++) there |= is_of_hue(c, k, track[q].hue);
        sum->extra += !there;
        for (int64_t f = 0; f < frames; f++)
            sum->gaps += isnan(track[q].x[f]) &&
                         hue_seen(classes, c->rgb + (first + f) * PICTURE, track[q].hue);
    }
    for (int k = 0; k < c->scene.n_things; k++) {
        int64_t seen = 0;
        for (int64_t f = 0; f < frames; f++) seen += in_frame(c, k, (double)(first + f) / FPS);
        if (seen * 10 < frames * 6) continue;
        bool hit = false;
        for (int q = 0; q < n; q++) {
            if (!is_of_hue(c, k, track[q].hue) || track[q].kind != 1 + (int)c->scene.thing[k].kind)
                continue;
            hit = true;
            judge_thing(c, first, k, &track[q], sum);
        }
        sum->things++;
        sum->found += hit;
    }
    tk_arena_free(&a);
}

static void test_things(void **state)
{
    (void)state;
    tally sum = {0};
    tk_config config;
    tk_classes classes;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_config_init(&config);
    config.world = world, config.media = media, config.eval.shown = LEARNED;
    config.codec.patch_frames = 4, config.codec.patch_size = 16;
    assert_int_equal(tk_learn_things(&config, NULL, NULL, &a, &classes), TK_OK);
    tk_config_free(&config);
    for (int64_t i = 0; i < JUDGED; i++) {
        clip c;
        make_clip(i, &c);
        for (int k = 0; k < c.scene.n_shots; k++)
            if (c.scene.shot[k].style != TK_STYLE_NOIR)
                judge_shot(&classes, &c, &c.scene.shot[k], &sum);
        tk_free(c.rgb);
    }
    print_message(
        "%lld of %lld things found, %lld of %lld times; %lld of these within 2 pixels; %lld seen "
        "that are not there in %lld shots; %lld gaps in which something is\n",
        (long long)sum.found, (long long)sum.things, (long long)sum.frames, (long long)sum.shown,
        (long long)sum.near, (long long)sum.extra, (long long)sum.shots, (long long)sum.gaps);
    assert_true(sum.things > 50 && sum.found * 100 >= sum.things * 92);
    assert_in_range(sum.gaps, 0, 2);
    assert_true(sum.near * 100 >= sum.frames * 97 && sum.extra * 20 <= sum.shots);
    tk_arena_free(&a);
}

// A thing before what has its hue and is duller, the sea, is seen for itself.
static void test_before_its_like(void **state)
{
    (void)state;
    static const uint8_t sea[3] = {82, 150, 178}, ball[3] = {32, 214, 232};
    static tk_sighting s[TK_SIGHTINGS];
    static uint8_t rgb[PICTURE];
    tk_arena a;
    int n, seen = 0;
    tk_arena_init(&a, 0);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        memcpy(rgb + (size_t)i * 3, hypot(i % WIDTH - 50, i / WIDTH - 30) < 9 ? ball : sea, 3);
    assert_int_equal(tk_sightings_of(rgb, HEIGHT, WIDTH, &a, s, &n), TK_OK);
    for (int k = 0; k < n; k++)
        seen += !strcmp(tk_hue_name[s[k].hue], "cyan") && fabs(s[k].radius - 9) < 1 &&
                hypot(s[k].x - 50.5, s[k].y - 30.5) < 1;
    assert_true(seen > 0);
    tk_arena_free(&a);
}

// Grey pictures have no things, pictures of any size are looked at.
static void test_none(void **state)
{
    (void)state;
    static tk_sighting s[TK_SIGHTINGS];
    static uint8_t grey[PICTURE];
    tk_arena a;
    int n;
    tk_arena_init(&a, 0);
    for (int i = 0; i < PICTURE; i++) grey[i] = (uint8_t)(i / 3 * 7);
    assert_int_equal(tk_sightings_of(grey, HEIGHT, WIDTH, &a, s, &n), TK_OK);
    assert_int_equal(n, 0);
    for (int side = 1; side < 12; side++) {
        for (int i = 0; i < side * side; i++)
            grey[3 * i] = 200, grey[3 * i + 1] = grey[3 * i + 2] = 20;
        assert_int_equal(tk_sightings_of(grey, side, side, &a, s, &n), TK_OK);
    }
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_things),
                                       cmocka_unit_test(test_before_its_like),
                                       cmocka_unit_test(test_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
