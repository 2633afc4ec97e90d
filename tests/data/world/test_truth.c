// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// /truth of a clip file, read back and held against the scenes it is of.
#include "core/store/h5.h"
#include "data/scene/scene.h"
#include "data/world/truth.h"
#include "tests/support/test.h"
#include <math.h>
#include <unistd.h>

enum { CLIPS = 20, FPS = 12, FRAMES = 72 };
static tk_config config;
static tk_speech *speech;
static hid_t file;
static tk_arena arena;
static const char name[] = "test_truth.h5";

static const int64_t *integers(const char *path, int64_t rows)
{
    int64_t dim[1] = {rows};
    void *x = NULL;
    assert_ok(tk_h5_get(file, path, H5T_NATIVE_INT64, 1, dim, &arena, &x));
    return x;
}

static const double *reals(const char *path, int ndim, int64_t a, int64_t b, int64_t c)
{
    int64_t dim[3] = {a, b, c};
    void *x = NULL;
    assert_ok(tk_h5_get(file, path, H5T_NATIVE_DOUBLE, ndim, dim, &arena, &x));
    return x;
}

static void make(int64_t clip, tk_scene *s)
{
    assert_ok(tk_scene_make(&config.world, &config.media, config.codec.patch_frames, speech,
                            (uint64_t)config.world.seed, config.world.first + clip, s));
}

static void test_things__are_where_the_scene_has_them(void **state)
{
    (void)state;
    const int64_t *first = integers("truth/clips/first_thing", CLIPS),
                  *n = integers("truth/clips/things", CLIPS),
                  *index = integers("truth/clips/index", CLIPS);
    const int64_t all = first[CLIPS - 1] + n[CLIPS - 1];
    const int64_t *kind = integers("truth/things/kind", all);
    const double *world = reals("truth/things/world", 3, all, FRAMES, 3),
                 *pixel = reals("truth/things/pixel", 3, all, FRAMES, 2);
    int absent = 0;
    for (int64_t k = 0; k < CLIPS; k++) {
        static tk_scene s;
        make(k, &s);
        assert_int_equal(index[k], config.world.first + k);
        assert_int_equal(n[k], s.n_things);
        for (int i = 0; i < s.n_things; i++) {
            const int64_t row = first[k] + i;
            assert_int_equal(kind[row], s.thing[i].kind);
            for (int f = 0; f < FRAMES; f++) {
                const double *w = world + (row * FRAMES + f) * 3,
                             *p = pixel + (row * FRAMES + f) * 2;
                const tk_pose o = tk_scene_thing_at(&s, i, f / (double)FPS);
                assert_int_equal(o.seen, !isnan(w[0]));
                absent += !o.seen;
                if (!o.seen) continue;
                const tk_view v = tk_scene_view_at(&s, 64, 96, f / (double)FPS);
                assert_near(w[1], o.y, 0);
                assert_near((p[0] - 48) / v.pixels_per_metre + v.cx, o.x, 1e-9);
                assert_near((32 - p[1]) / v.pixels_per_metre + v.cy, o.y, 1e-9);
            }
        }
    }
    assert_true(absent > 0);
}

// Mouths lie in their heads, and open while their owner speaks, not otherwise.
static void test_people__open_their_mouths_when_they_speak(void **state)
{
    (void)state;
    const int64_t *first = integers("truth/clips/first_person", CLIPS),
                  *n = integers("truth/clips/people", CLIPS),
                  *first_line = integers("truth/clips/first_line", CLIPS),
                  *lines = integers("truth/clips/lines", CLIPS);
    const int64_t all = first[CLIPS - 1] + n[CLIPS - 1];
    const int64_t said = first_line[CLIPS - 1] + lines[CLIPS - 1];
    const int64_t *who = integers("truth/lines/person", said);
    const double *begin = reals("truth/lines/begin", 1, said, 0, 0),
                 *end = reals("truth/lines/end", 1, said, 0, 0);
    const double *head = reals("truth/people/head", 3, all, FRAMES, 4),
                 *mouth = reals("truth/people/mouth", 3, all, FRAMES, 4),
                 *open = reals("truth/people/open", 2, all, FRAMES, 0);
    int opened = 0;
    assert_true(said > CLIPS / 2);
    for (int64_t k = 0; k < CLIPS; k++)
        for (int64_t i = 0; i < n[k]; i++)
            for (int64_t f = 0; f < FRAMES; f++) {
                const int64_t at = (first[k] + i) * FRAMES + f;
                const double *h = head + 4 * at, *m = mouth + 4 * at;
                assert_true(h[0] < h[2] && h[1] < h[3]);
                assert_true(m[0] > h[0] && m[1] > h[1] && m[2] < h[2] && m[3] < h[3]);
                bool speaks = false;
                for (int64_t l = first_line[k]; l < first_line[k] + lines[k]; l++)
                    speaks |= who[l] == i && f >= begin[l] * FPS && f <= end[l] * FPS;
                assert_true(speaks || open[at] == 0);
                opened += open[at] > 0.3;
            }
    assert_true(opened > CLIPS);
}

static void test_events__are_at_their_samples(void **state)
{
    (void)state;
    const int64_t *first = integers("truth/clips/first_event", CLIPS),
                  *n = integers("truth/clips/events", CLIPS);
    const int64_t all = first[CLIPS - 1] + n[CLIPS - 1];
    const int64_t *sample = integers("truth/events/sample", all),
                  *kind = integers("truth/events/kind", all);
    for (int64_t k = 0; k < CLIPS; k++) {
        static tk_scene s;
        make(k, &s);
        assert_int_equal(n[k], s.n_events);
        for (int i = 0; i < s.n_events; i++) {
            assert_int_equal(sample[first[k] + i], llround(s.event[i].t * 16000));
            assert_int_equal(kind[first[k] + i], s.event[i].kind);
        }
    }
}

static void test_shots__are_in_order(void **state)
{
    (void)state;
    int64_t shots = 0, row = 0;
    static tk_scene s;
    for (int64_t k = 0; k < CLIPS; k++) make(k, &s), shots += s.n_shots;
    const int64_t *beat = integers("truth/shots/beat", shots),
                  *outcome = integers("truth/shots/outcome", shots),
                  *line = integers("truth/shots/line", shots);
    for (int64_t k = 0; k < CLIPS; k++) {
        make(k, &s);
        for (int i = 0; i < s.n_shots; i++, row++) {
            assert_int_equal(beat[row], s.shot[i].beat);
            assert_int_equal(outcome[row], s.shot[i].outcome);
            assert_int_equal(line[row], s.shot[i].n_lines ? s.shot[i].first_line : -1);
        }
    }
}

static int set_up(void **state)
{
    (void)state;
    tk_config_init(&config);
    tk_arena_init(&arena, 0);
    config.media = (tk_media_config){
        .width = 96, .height = 64, .fps = FPS, .sample_rate = 16000, .channels = 1};
    config.world.clips = CLIPS, config.world.first = 5, config.world.seconds = 6;
    config.codec.patch_frames = 3;
    if (tk_scene_open_speech(&config.world, &config.media, &speech) != TK_OK || !speech) return 1;
    file = H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    tk_truth_of of = {&config, speech, NULL};
    return file < 0 || tk_world_write_truth(&of, file) != TK_OK || H5Fflush(file, H5F_SCOPE_LOCAL);
}

static int tear_down(void **state)
{
    (void)state;
    H5Fclose(file);
    unlink(name);
    tk_speech_close(speech);
    tk_arena_free(&arena);
    tk_config_free(&config);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_things__are_where_the_scene_has_them),
        cmocka_unit_test(test_people__open_their_mouths_when_they_speak),
        cmocka_unit_test(test_events__are_at_their_samples),
        cmocka_unit_test(test_shots__are_in_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
