// SPDX-License-Identifier: Apache-2.0
// The detectors on the world's own clips, whose truth is known, and on noise.
#include "core/numbers/rng.h"
#include "data/media/reader.h"
#include "data/world/world.h"
#include "infer/judges/detect.h"
#include "infer/judges/onsets.h"
#include "tests/support/test.h"
#include <math.h>
#include <string.h>

enum { CLIPS = 60 };
static const tk_world_config world = {.clips = CLIPS, .seed = 7, .seconds = 3, .max_shots = 3};
static const tk_media_config media = {
    .width = 64, .height = 64, .fps = 8, .sample_rate = 8000, .channels = 1};

typedef struct clip {
    tk_stage scene;
    int64_t frames, samples;
    uint8_t *rgb;
    float *pcm;
} clip;

static clip make(const tk_media_config *m, int64_t index)
{
    clip c;
    tk_world_scene(&world, m, 2, (uint64_t)world.seed, index, &c.scene);
    c.frames = tk_world_frames(&world, m, 2);
    c.samples = tk_media_samples(m, c.frames);
    c.rgb = tk_alloc((size_t)(c.frames * m->height * m->width * 3));
    c.pcm = tk_alloc((size_t)(c.samples * m->channels) * sizeof *c.pcm);
    assert_true(c.rgb && c.pcm);
    tk_world_render(&c.scene, m, c.frames, c.rgb);
    tk_world_sound(&c.scene, m, c.samples, c.pcm);
    return c;
}

static void drop(clip *c)
{
    tk_free(c->rgb);
    tk_free(c->pcm);
}

static int64_t frame_of(const tk_media_config *m, double t)
{
    return llround(t * (double)m->fps);
}

// Object, colour, kind and place of every shot of the world, at two sizes and rates.
static void test_objects(void **state)
{
    (void)state;
    const tk_media_config large = {
        .width = 128, .height = 96, .fps = 16, .sample_rate = 16000, .channels = 2};
    const tk_media_config *const both[] = {&media, &large};
    for (int b = 0; b < 2; b++) {
        const tk_media_config *m = both[b];
        int shots = 0, wrong = 0;
        double off = 0, pixels = 0;
        for (int64_t i = 0; i < CLIPS; i++) {
            clip c = make(m, i);
            for (int k = 0; k < c.scene.n_shots; k++, shots++) {
                tk_arena a;
                tk_seen s;
                const int64_t first = frame_of(m, c.scene.shot[k].start),
                              n = frame_of(m, c.scene.shot[k].seconds);
                tk_arena_init(&a, 0);
                assert_int_equal(tk_detect_object(c.rgb + first * m->height * m->width * 3, n,
                                                  m->height, m->width, &a, &s),
                                 TK_OK);
                wrong += !s.present || strcmp(s.colour, tk_colour_name[c.scene.object[0].colour]) ||
                         strcmp(s.kind, tk_kind_name[c.scene.object[0].kind]);
                for (int64_t f = 0; f < n; f++) {
                    double x, y, px, py;
                    const double t = (double)(first + f) / (double)m->fps;
                    tk_world_position(&c.scene, 0, t, &x, &y);
                    const tk_world_view v = tk_world_view_at(&c.scene, m->height, m->width, t);
                    tk_world_project(&v, x, y, &px, &py);
                    if (py < 0.6 * v.pixels_per_metre || isnan(s.y[f])) continue; // partly outside
                    off += fabs(px - s.x[f]) + fabs(py - s.y[f]);
                    pixels += 2;
                }
                tk_arena_free(&a);
            }
            drop(&c);
        }
        print_message("%dx%d: %d of %d shots wrong, centroids off by %.2f pixels\n", (int)m->width,
                      (int)m->height, wrong, shots, off / pixels);
        assert_true(wrong * 100 <= shots);
        assert_true(off / pixels < 0.6);
    }
}

// A track as tk_detect_object gives it, from the truth.
static int onsets(const float *pcm, int64_t samples, int64_t rate, double t[64])
{
    int n;
    assert_int_equal(tk_onsets_of(pcm, samples, 1, rate, 64, t, &n), TK_OK);
    return n;
}

static void test_onsets(void **state)
{
    (void)state;
    int contacts = 0, found = 0, heard = 0, extra = 0;
    for (int64_t i = 0; i < CLIPS; i++) {
        clip c = make(&media, i);
        double t[64];
        const int n = onsets(c.pcm, c.samples, media.sample_rate, t);
        for (int q = 0; q < c.scene.n_contacts; q++) {
            const tk_world_contact *touch = &c.scene.contact[q];
            bool hit = false;
            if (touch->t > 2.95 || touch->speed < 2.5) continue;
            contacts++;
            for (int k = 0; k < n; k++) hit |= fabs(t[k] - touch->t) < 0.03;
            found += hit;
        }
        for (int k = 0; k < n; k++) {
            bool hit = false;
            heard++;
            for (int q = 0; q < c.scene.n_contacts; q++)
                hit |= fabs(t[k] - c.scene.contact[q].t) < 0.03;
            extra += !hit;
        }
        drop(&c);
    }
    print_message("%d of %d contacts heard, %d of %d sounds without one\n", found, contacts, extra,
                  heard);
    assert_true(contacts > 50 && found * 100 >= contacts * 95);
    assert_true(extra * 50 <= heard);
}

// In noise there is no object and no sound begins.
static void test_noise(void **state)
{
    (void)state;
    enum { FRAMES = 8, SIDE = 64, SAMPLES = 8000 };
    const tk_key key = tk_rng_key(3, TK_RNG_TEST, 0);
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3];
    static float pcm[SAMPLES];
    tk_arena a;
    tk_seen s;
    double t[64];
    tk_arena_init(&a, 0);
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (uint8_t)tk_rng_below(key, i, 256);
    for (int i = 0; i < SAMPLES; i++)
        pcm[i] = 0.2f * (float)tk_rng_normal(key, 1u << 24 | (unsigned)i);
    assert_int_equal(tk_detect_object(rgb, FRAMES, SIDE, SIDE, &a, &s), TK_OK);
    assert_false(s.present);
    assert_true(onsets(pcm, SAMPLES, 8000, t) <= 1); // its own beginning
    memset(rgb, 128, sizeof rgb);
    memset(pcm, 0, sizeof pcm);
    assert_int_equal(tk_detect_object(rgb, FRAMES, SIDE, SIDE, &a, &s), TK_OK);
    assert_false(s.present);
    assert_int_equal(onsets(pcm, SAMPLES, 8000, t), 0);
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_objects),
                                       cmocka_unit_test(test_onsets), cmocka_unit_test(test_noise)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
