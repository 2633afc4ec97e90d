// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
#include "data/media/reader.h"
#include "data/world/world.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdlib.h>

enum { CLIPS = 200, PATCH = 2 };
static const tk_media_config media = {
    .width = 64, .height = 64, .fps = 8, .sample_rate = 8000, .channels = 1};
static const tk_world_config world = {.seconds = 3, .max_shots = 3};

static void make(int64_t index, tk_stage *s)
{
    tk_world_scene(&world, &media, PATCH, 7, index, s);
}

static bool same(const tk_stage *a, const tk_stage *b)
{
    bool all = a->n_arcs == b->n_arcs && a->n_contacts == b->n_contacts &&
               a->n_shots == b->n_shots && a->object[0].kind == b->object[0].kind &&
               a->object[0].colour == b->object[0].colour;
    for (int k = 0; all && k < a->n_arcs; k++)
        all = a->arc[k].t == b->arc[k].t && a->arc[k].x == b->arc[k].x &&
              a->arc[k].y == b->arc[k].y && a->arc[k].vx == b->arc[k].vx &&
              a->arc[k].vy == b->arc[k].vy;
    for (int k = 0; all && k < a->n_shots; k++)
        all = !strcmp(a->shot[k].caption, b->shot[k].caption) && a->shot[k].cx == b->shot[k].cx;
    return all;
}

static void test_scene__is_a_pure_function(void **state)
{
    (void)state;
    tk_stage a, b, other;
    make(12, &a);
    make(13, &other);
    make(12, &b);
    assert_true(same(&a, &b));
    assert_false(same(&a, &other));
}

static void test_scene__motion_is_analytic_and_contacts_are_exact(void **state)
{
    (void)state;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        const tk_world_object *o = &s.object[0];
        assert_true(s.n_contacts > 0);
        for (int k = 0; k < s.n_contacts; k++) {
            double x, y, before, t = s.contact[k].t, dt = 1e-5;
            tk_world_position(&s, 0, t, &x, &y);
            assert_near(y, o->radius, 1e-9);
            tk_world_position(&s, 0, t - dt, &x, &before);
            assert_near((before - y) / dt, s.contact[k].speed, 1e-3);
            assert_true(k == 0 || t > s.contact[k - 1].t);
        }
        double y[3], x;
        for (int k = 0; k < 3; k++) tk_world_position(&s, 0, 0.1 * k, &x, &y[k]);
        assert_near((y[0] - 2 * y[1] + y[2]) / 0.01, -TK_WORLD_GRAVITY, 1e-9);
    }
}

// The first fall takes the time that the height and gravity say.
static void test_scene__first_contact_by_height(void **state)
{
    (void)state;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        double height = s.object[0].y - s.object[0].radius;
        assert_near(s.contact[0].t, sqrt(2 * height / TK_WORLD_GRAVITY), 1e-12);
    }
}

// Within a take every rebound has the object's restitution; none goes below the floor.
static void test_scene__rebounds(void **state)
{
    (void)state;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        for (int k = 0; k + 1 < s.n_arcs; k++) {
            const tk_world_arc *a = &s.arc[k], *b = &s.arc[k + 1];
            assert_true(b->t > a->t);
            if (b->vy <= 0) continue;
            double speed = fabs(a->vy - TK_WORLD_GRAVITY * (b->t - a->t));
            assert_near(b->vy / speed, s.object[0].restitution, 1e-9);
        }
        for (double t = 0, x, y; t < 3; t += 0.01) {
            tk_world_position(&s, 0, t, &x, &y);
            assert_true(y > s.object[0].radius - 1e-9);
        }
    }
}

static void test_scene__cuts_on_latent_frames(void **state)
{
    (void)state;
    int by_count[TK_WORLD_SHOTS + 1] = {0};
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        double at = 0;
        by_count[s.n_shots]++;
        for (int k = 0; k < s.n_shots; k++) {
            assert_near(s.shot[k].start, at, 1e-12);
            double latent = s.shot[k].start * (double)media.fps / PATCH;
            assert_near(latent, round(latent), 1e-9);
            at += s.shot[k].seconds;
        }
        assert_near(at, 3, 1e-12);
    }
    for (int n = 1; n <= TK_WORLD_SHOTS; n++) assert_true(by_count[n] > 0);
}

static void test_scene__captions_say_what_is_there(void **state)
{
    (void)state;
    size_t bytes = 0, shots = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            const tk_world_shot *h = &s.shot[k];
            assert_non_null(strstr(h->caption, tk_colour_name[s.object[0].colour]));
            assert_non_null(strstr(h->caption, tk_kind_name[s.object[0].kind]));
            assert_non_null(strstr(h->caption, h->close ? "close:" : "wide:"));
            assert_true(k > 0 || h->fresh);
            bytes += strlen(h->caption), shots++;
            if (!h->fresh) continue;
            assert_non_null(strstr(h->caption, tk_place_name[h->place]));
            double x, y, px, py;
            const tk_world_view v = tk_world_view_at(&s, media.height, media.width, h->start);
            tk_world_position(&s, 0, h->start, &x, &y);
            tk_world_project(&v, x, y, &px, &py);
            assert_int_equal((int)(px * 3 / (double)media.width), h->place);
            assert_true(py > 0.4 * s.object[0].radius * v.pixels_per_metre);
        }
    }
    assert_true(bytes <= 30 * shots);
}

// Something moves in every shot.
static void test_scene__every_shot_has_motion(void **state)
{
    (void)state;
    for (int64_t i = 0; i < CLIPS; i++) {
        tk_stage s;
        make(i, &s);
        for (int k = 0; k < s.n_shots; k++) {
            double low = 1e9, high = -1e9, x, y;
            for (double t = s.shot[k].start; t < s.shot[k].start + s.shot[k].seconds; t += 0.02) {
                tk_world_position(&s, 0, t, &x, &y);
                low = fmin(low, y), high = fmax(high, y);
            }
            assert_true(high - low > 0.15);
        }
    }
}

// How strongly a pixel has the object's hue: its colourfulness, the set being nearly grey.
static double weight(const uint8_t *p)
{
    int high = p[0] > p[1] ? p[0] : p[1], low = p[0] < p[1] ? p[0] : p[1];
    high = p[2] > high ? p[2] : high, low = p[2] < low ? p[2] : low;
    return high - low > 70 ? 1 : 0;
}

static void test_render__centroid_is_the_projection(void **state)
{
    (void)state;
    const tk_media_config m = {.width = 160, .height = 96, .fps = 8};
    int64_t frames = tk_world_frames(&world, &m, PATCH);
    assert_int_equal(frames, 24);
    uint8_t *rgb = malloc((size_t)(frames * m.width * m.height * 3));
    double worst = 0;
    for (int64_t i = 0; i < 12; i++) {
        tk_stage s;
        tk_world_scene(&world, &m, PATCH, 7, i, &s);
        tk_world_render(&s, &m, frames, rgb);
        for (int64_t f = 0; f < frames; f++) {
            double t = (double)f / 8, x, y, px, py, sx = 0, sy = 0, n = 0;
            const uint8_t *p = rgb + f * m.width * m.height * 3;
            for (int64_t j = 0; j < m.width * m.height; j++) {
                double w = weight(p + 3 * j);
                n += w, sx += w * ((double)(j % m.width) + 0.5);
                sy += w * ((double)(j / m.width) + 0.5);
            }
            tk_world_position(&s, 0, t, &x, &y);
            const tk_world_view v = tk_world_view_at(&s, m.height, m.width, t);
            tk_world_project(&v, x, y, &px, &py);
            double r = s.object[0].radius * v.pixels_per_metre;
            if (py - r < 0 || px - r < 0 || px + r > (double)m.width) continue; // cut off
            assert_true(n > r * r);
            worst = fmax(worst, hypot(sx / n - px, sy / n - py) / r);
        }
    }
    assert_true(worst < 0.12); // highlights are white, so that the coloured part leans a little
    free(rgb);
}

static void test_render__deterministic_bytes(void **state)
{
    (void)state;
    tk_stage s;
    make(5, &s);
    size_t bytes = 24 * 64 * 64 * 3;
    uint8_t *a = malloc(bytes), *b = malloc(bytes);
    tk_world_render(&s, &media, 24, a);
    tk_world_render(&s, &media, 24, b);
    assert_memory_equal(a, b, bytes);
    tk_world_render(&s, &media, 10, b); // frames do not depend on how many there are
    assert_memory_equal(a, b, 10 * 64 * 64 * 3);
    free(a);
    free(b);
}

// Every contact's sound starts at round(t * rate): with that contact taken away the sound is the
// same up to the sample before, and differs from that sample on.
static void test_sound__starts_at_the_sample_of_contact(void **state)
{
    (void)state;
    int64_t n = tk_media_samples(&media, 24);
    assert_int_equal(n, 24000);
    float *with = malloc((size_t)n * 4), *without = malloc((size_t)n * 4);
    for (int64_t i = 0; i < 40; i++) {
        tk_stage s, less;
        make(i, &s);
        tk_world_sound(&s, &media, n, with);
        for (int k = 0; k < s.n_contacts; k++) {
            int64_t at = llround(s.contact[k].t * 8000);
            less = s;
            less.contact[k].t = 1e6;
            tk_world_sound(&less, &media, n, without);
            assert_memory_equal(with, without, (size_t)at * 4);
            assert_true(with[at] != without[at]);
            assert_true(fabsf(with[at + 8] - without[at + 8]) > 0.001f);
        }
    }
    free(with);
    free(without);
}

static void test_sound__louder_when_faster_and_in_range(void **state)
{
    (void)state;
    float *pcm = malloc(24000 * 4), peak[2] = {0};
    tk_stage s;
    make(3, &s);
    s.n_contacts = 1;
    for (int k = 0; k < 2; k++) {
        s.contact[0] = (tk_world_contact){.t = 0.5, .speed = k ? 6 : 3};
        tk_world_sound(&s, &media, 24000, pcm);
        for (int i = 0; i < 24000; i++) peak[k] = fmaxf(peak[k], fabsf(pcm[i]));
    }
    assert_near(peak[1] / peak[0], 2, 1e-3);
    assert_true(peak[1] < 1);
    free(pcm);
}

static void test_sound__pans_in_stereo(void **state)
{
    (void)state;
    tk_media_config m = media;
    m.channels = 2;
    float *pcm = malloc(2 * 24000 * 4);
    for (int64_t i = 0; i < 40; i++) {
        tk_stage s;
        double power[2] = {0}, x, y;
        make(i, &s);
        s.n_contacts = 1;
        tk_world_position(&s, 0, s.contact[0].t, &x, &y);
        tk_world_sound(&s, &m, 24000, pcm);
        for (int k = 0; k < 2 * 24000; k++) power[k & 1] += (double)(pcm[k] * pcm[k]);
        if (fabs(x) > 0.2) assert_true((power[1] > power[0]) == (x > 0));
    }
    free(pcm);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scene__is_a_pure_function),
        cmocka_unit_test(test_scene__motion_is_analytic_and_contacts_are_exact),
        cmocka_unit_test(test_scene__first_contact_by_height),
        cmocka_unit_test(test_scene__rebounds),
        cmocka_unit_test(test_scene__cuts_on_latent_frames),
        cmocka_unit_test(test_scene__captions_say_what_is_there),
        cmocka_unit_test(test_scene__every_shot_has_motion),
        cmocka_unit_test(test_render__centroid_is_the_projection),
        cmocka_unit_test(test_render__deterministic_bytes),
        cmocka_unit_test(test_sound__starts_at_the_sample_of_contact),
        cmocka_unit_test(test_sound__louder_when_faster_and_in_range),
        cmocka_unit_test(test_sound__pans_in_stereo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
