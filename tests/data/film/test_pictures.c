// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// What is drawn lies where the scene says, can be told apart, and moves as phones say.
#include "data/film/film.h"
#include "data/speech/mouth.h"
#include "tests/support/test.h"
#include <math.h>
#include <pthread.h>

enum { WIDTH = 96, HEIGHT = 64, PIXELS = WIDTH * HEIGHT, BYTES = 3 * PIXELS };
static const tk_media_config media = {
    .width = WIDTH, .height = HEIGHT, .fps = 12, .sample_rate = 16000, .channels = 1};

// A set with nothing in it, filmed by a camera that stands still.
static tk_scene empty_scene(tk_set set, tk_style style, double cx, double cy, double span)
{
    tk_scene s = {.seed = 5, .set = set, .water_from = INFINITY, .light = -0.6};
    s.n_shots = 1;
    s.shot[0] = (tk_shot){.seconds = 60, .style = style, .person = -1, .thing = -1, .other = -1};
    s.shot[0].from = s.shot[0].to = (tk_camera){cx, cy, span};
    return s;
}

static void put_thing(tk_scene *s, tk_kind kind, int colour, double x, double y, double angle)
{
    const int i = s->n_things++;
    s->thing[i] = (tk_thing){.kind = kind,
                             .colour = colour,
                             .radius = 0.28,
                             .mass = 1,
                             .density = 0.5,
                             .restitution = 0.7};
    s->arc[s->n_arcs++] =
        (tk_arc){.x = x, .y = y, .angle = angle, .law = TK_LAW_REST, .thing = i, .by = -1};
}

static void put_person(tk_scene *s, int character, double x, int facing)
{
    const int i = s->n_people++;
    s->person[i] = s->clothes[i] = character;
    s->step[s->n_steps++] = (tk_step){.t = -10, .x = x, .person = i, .facing = facing};
}

static void render_one(const tk_scene *s, uint8_t *rgb)
{
    assert_ok(tk_film_render(s, &media, NULL, 1, rgb));
}

static int difference(const uint8_t *a, const uint8_t *b) // of two pixels, over all channels
{
    return abs(a[0] - b[0]) + abs(a[1] - b[1]) + abs(a[2] - b[2]);
}

// How far the middle of what a thing changes in the picture is from where the scene says, pixels.
static double thing_is_off(tk_set set, tk_style style, tk_kind kind)
{
    uint8_t with[BYTES], without[BYTES];
    const double x = 0.31 - 0.2 * kind, y = 1.72 + 0.11 * set;
    tk_scene s = empty_scene(set, style, 0.1, 1.2, 5.3);
    render_one(&s, without);
    put_thing(&s, kind, ((int)set + (int)kind) % TK_COLOURS, x, y, 0.4);
    render_one(&s, with);
    const tk_view v = tk_scene_view_at(&s, HEIGHT, WIDTH, 0);
    double px, py, sum = 0, sx = 0, sy = 0;
    tk_scene_project(&v, x, y, &px, &py);
    const double r = s.thing[0].radius * v.pixels_per_metre;
    for (int j = 0; j < HEIGHT; j++)
        for (int i = 0; i < WIDTH; i++) {
            const double dx = i + 0.5 - px, dy = j + 0.5 - py;
            const int at = 3 * (j * WIDTH + i);
            if (hypot(dx, dy) > 1.45 * r) continue; // a balloon's string, a shadow
            if (difference(with + at, without + at) > 20) sum++, sx += dx, sy += dy;
        }
    assert_true(sum > 2.2 * r * r);
    return hypot(sx, sy) / sum;
}

static void things_are_where_the_scene_says(void **state)
{
    (void)state;
    for (int set = 0; set < TK_SETS; set++)
        for (int style = 0; style < TK_STYLES; style++)
            for (int kind = 0; kind < TK_KINDS; kind++) {
                // on a wall in hard light a shadow is as plain as the thing
                if (style == TK_STYLE_NOIR && set != TK_SET_BEACH) continue;
                assert_true(thing_is_off((tk_set)set, (tk_style)style, (tk_kind)kind) < 0.7);
            }
}

static void six_colours_are_told_apart(void **state)
{
    (void)state;
    uint8_t rgb[BYTES];
    double mean[TK_COLOURS][3];
    for (int style = 0; style < TK_STYLES; style += 2)
        for (int kind = 0; kind < TK_KINDS; kind++) {
            for (int k = 0; k < TK_COLOURS; k++) {
                tk_scene s = empty_scene(TK_SET_STREET, (tk_style)style, 0, 1, 3);
                put_thing(&s, (tk_kind)kind, k, 0, 1, 1.2);
                render_one(&s, rgb);
                for (int c = 0; c < 3; c++) {
                    mean[k][c] = 0;
                    for (int j = HEIGHT / 2 - 4; j < HEIGHT / 2 + 4; j++)
                        for (int i = WIDTH / 2 - 4; i < WIDTH / 2 + 4; i++)
                            mean[k][c] += rgb[3 * (j * WIDTH + i) + c] / 64.0;
                }
            }
            for (int a = 0; a < TK_COLOURS; a++)
                for (int b = 0; b < a; b++) {
                    double far = 0;
                    for (int c = 0; c < 3; c++) far += pow(mean[a][c] - mean[b][c], 2);
                    assert_true(sqrt(far) > 45);
                }
        }
}

static double luma(const uint8_t *p)
{
    return 0.3 * p[0] + 0.59 * p[1] + 0.11 * p[2];
}

static void styles_are_drawn_as_such(void **state)
{
    (void)state;
    static uint8_t rgb[TK_STYLES][BYTES];
    for (int set = 0; set < TK_SETS; set++) {
        int dark[TK_STYLES] = {0}, grey[TK_STYLES] = {0};
        for (int style = 0; style < TK_STYLES; style++) {
            tk_scene s = empty_scene((tk_set)set, (tk_style)style, 0, 1.2, 3);
            put_person(&s, 4, -0.3, 1);
            put_thing(&s, TK_BALL, 1, 0.7, 1.3, 0);
            render_one(&s, rgb[style]);
            for (int i = 0; i < PIXELS; i++) {
                const uint8_t *p = &rgb[style][3 * i];
                grey[style] += p[0] == p[1] && p[1] == p[2];
                const double x = i % WIDTH + 0.5 - (48 + 0.7 * 32),
                             y = i / WIDTH + 0.5 - (32 - 0.1 * 32);
                const double from = fabs(hypot(x, y) - 0.28 * 32 - 0.3); // the ball's outline
                dark[style] += from < 1 && luma(p) < 90;
            }
        }
        assert_int_equal(grey[TK_STYLE_NOIR], PIXELS);
        assert_true(grey[TK_STYLE_NATURAL] < PIXELS / 4 && grey[TK_STYLE_ANIME] < PIXELS / 4);
        assert_true(dark[TK_STYLE_ANIME] > 30);
        if (set != TK_SET_STREET) assert_true(dark[TK_STYLE_NATURAL] < 10); // there all is dark
    }
}

// A shot is drawn in its own style, whatever those before it are drawn in.
static void each_shot_has_its_style(void **state)
{
    (void)state;
    enum { SECOND = 12 };
    static uint8_t both[2 * SECOND * BYTES], one[2 * SECOND * BYTES];
    for (int style = 0; style < TK_STYLES; style++)
        for (int next = 0; next < TK_STYLES; next++) {
            tk_scene s = empty_scene(TK_SET_ROOM, (tk_style)style, 0, 1.2, 3);
            put_person(&s, 4, -0.3, 1);
            s.n_shots = 2;
            s.shot[1] = s.shot[0];
            s.shot[0].seconds = s.shot[1].start = 1;
            s.shot[1].style = (tk_style)next;
            assert_ok(tk_film_render(&s, &media, NULL, 2 * SECOND, both));
            for (int k = 0; k < 2; k++) {
                s.shot[0].style = s.shot[1].style = (tk_style)(k ? next : style);
                assert_ok(tk_film_render(&s, &media, NULL, 2 * SECOND, one));
                // A row of the backdrop lets a little through of the one before it.
                for (int i = k * SECOND * BYTES; i < (k + 1) * SECOND * BYTES; i++)
                    assert_true(abs(both[i] - one[i]) <= 8);
            }
        }
}

// Nothing of a person but hair, hat and ears lies beside the head's box, and the face fills it.
static void heads_are_in_their_boxes(void **state)
{
    (void)state;
    uint8_t with[BYTES], without[BYTES];
    for (int who = 0; who < TK_CAST; who++)
        for (int facing = -1; facing <= 1; facing++) {
            tk_scene s = empty_scene(TK_SET_BEACH, TK_STYLE_NATURAL, 0, 1.1, 3);
            render_one(&s, without);
            put_person(&s, who, 0.2, facing);
            render_one(&s, with);
            const tk_face f = tk_scene_face_at(&s, 0, 0);
            const tk_view v = tk_scene_view_at(&s, HEIGHT, WIDTH, 0);
            double px, py, inside = 0, covered = 0;
            tk_scene_project(&v, f.x, f.y, &px, &py);
            for (int j = 0; j < HEIGHT; j++)
                for (int i = 0; i < WIDTH; i++) {
                    const double x = (i + 0.5 - px) / (f.half_width * v.pixels_per_metre),
                                 y = (j + 0.5 - py) / (f.half_height * v.pixels_per_metre);
                    const int at = 3 * (j * WIDTH + i);
                    const bool drawn = difference(with + at, without + at) > 24;
                    if (hypot(x, y) < 0.92) inside++, covered += drawn;
                    if (fabs(x) > 1.75 && y > -1.7 && y < 0.9) assert_false(drawn);
                }
            assert_true(covered > 0.9 * inside);
        }
}

// Part of the mouth's box that is darker than it is at rest, by frame; and how open phones say.
static double lips_follow(tk_speech *speech, int who, int facing, tk_style style)
{
    enum { FRAMES = 40 };
    tk_media_config often = media;
    often.fps = 24;
    static uint8_t rgb[FRAMES][BYTES];
    tk_scene s = empty_scene(TK_SET_ROOM, style, 0, 1.15, 1.6);
    put_person(&s, who, 0, facing);
    int found = 0, n = 0;
    assert_ok(tk_words_of("beautiful captain", TK_SCENE_WORDS, s.line[0].word, &n));
    s.n_lines = 1;
    s.line[0].t = 0.35, s.line[0].seconds = 1.5, s.line[0].n = n;
    tk_arena arena;
    tk_arena_init(&arena, 0);
    tk_line said;
    assert_ok(tk_speak(speech, tk_characters[who].voice, "beautiful captain", &arena, &said));
    assert_ok(tk_film_render(&s, &often, speech, FRAMES, rgb[0]));
    const tk_face f = tk_scene_face_at(&s, 0, 0);
    const tk_view v = tk_scene_view_at(&s, HEIGHT, WIDTH, 0);
    double px, py, sx = 0, sy = 0, sxx = 0, syy = 0, sxy = 0;
    tk_scene_project(&v, f.mouth_x, f.mouth_y, &px, &py);
    const double hw = 0.6 * f.mouth_width * v.pixels_per_metre,
                 hh = 0.48 * f.half_height * v.pixels_per_metre;
    for (int k = 0; k < FRAMES; k++) {
        double darker = 0;
        for (int j = 0; j < HEIGHT; j++)
            for (int i = 0; i < WIDTH; i++) {
                if (fabs(i + 0.5 - px) > hw || fabs(j + 0.5 - py) > hh) continue;
                const int at = 3 * (j * WIDTH + i);
                darker += fmax(0, luma(&rgb[0][at]) - luma(&rgb[k][at]));
            }
        const double open = (double)tk_mouth_at(&said, k / 24.0 - s.line[0].t).opening;
        found += open > 0.2;
        sx += open, sy += darker, sxx += open * open, syy += darker * darker, sxy += open * darker;
    }
    tk_arena_free(&arena);
    assert_true(found >= 5);
    return (FRAMES * sxy - sx * sy) / sqrt((FRAMES * sxx - sx * sx) * (FRAMES * syy - sy * sy));
}

static void lips_follow_the_phones(void **state)
{
    (void)state;
    tk_speech *speech;
    assert_ok(tk_speech_open(16000, &speech));
    double mean = 0;
    for (int who = 0; who < TK_CAST; who++)
        for (int style = 0; style < TK_STYLES; style++) {
            const double r = lips_follow(speech, who, who % 3 - 1, (tk_style)style);
            assert_true(r >= (style == TK_STYLE_NOIR ? 0.80 : 0.93)); // dark skin in the dark
            mean += r / (TK_CAST * TK_STYLES);
        }
    assert_true(mean >= 0.95);
    tk_speech_close(speech);
}

static void portraits_differ(void **state)
{
    (void)state;
    enum { SIDE = 32 };
    static uint8_t face[TK_CAST][3 * SIDE * SIDE];
    for (int style = 0; style < TK_STYLES; style++) {
        for (int k = 0; k < TK_CAST; k++)
            assert_ok(tk_film_portrait(&tk_characters[k], (tk_style)style, SIDE, face[k]));
        for (int a = 0; a < TK_CAST; a++)
            for (int b = 0; b < a; b++) {
                double far = 0;
                for (int i = 0; i < 3 * SIDE * SIDE; i++) far += abs(face[a][i] - face[b][i]);
                assert_true(far / (3 * SIDE * SIDE) > 8);
            }
    }
}

typedef struct thread_work {
    const tk_scene *scene;
    uint8_t rgb[4 * BYTES];
    tk_status status;
} thread_work;

static void *render_on_thread(void *arg)
{
    thread_work *w = arg;
    w->status = tk_film_render(w->scene, &media, NULL, 4, w->rgb);
    return NULL;
}

static void same_bytes_on_any_thread(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static thread_work work[THREADS];
    pthread_t thread[THREADS];
    for (int style = 0; style < TK_STYLES; style++) {
        tk_scene s = empty_scene(TK_SET_BEACH, (tk_style)style, 0, 1.2, 5);
        s.water_from = 0.5, s.bed = -1.2;
        s.shot[0].to.cx = 0.8; // a pan
        put_person(&s, 1, -0.5, 1);
        put_thing(&s, TK_CRATE, 3, 1.2, -0.3, 0.2);
        for (int k = 0; k < THREADS; k++) {
            work[k].scene = &s;
            assert_int_equal(pthread_create(&thread[k], NULL, render_on_thread, &work[k]), 0);
        }
        for (int k = 0; k < THREADS; k++) {
            pthread_join(thread[k], NULL);
            assert_ok(work[k].status);
            assert_memory_equal(work[k].rgb, work[0].rgb, sizeof work[0].rgb);
        }
        assert_memory_not_equal(work[0].rgb, work[0].rgb + BYTES, BYTES);
    }
}

static void failures_are_told(void **state)
{
    (void)state;
    uint8_t rgb[BYTES];
    tk_scene s = empty_scene(TK_SET_ROOM, TK_STYLE_NATURAL, 0, 1, 3);
    put_person(&s, 0, 0, 1);
    for (int nth = 1; nth <= 2; nth++) { // the backdrop, the frame
        tk_alloc_fail_at(nth, false);
        assert_status(tk_film_render(&s, &media, NULL, 1, rgb), TK_MEMORY);
        tk_alloc_fail_at(0, false);
    }
    s.n_lines = 1, s.line[0].n = 1;
    assert_status(tk_film_render(&s, &media, NULL, 1, rgb), TK_INTERNAL);
    assert_says("without voices");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(things_are_where_the_scene_says),
        cmocka_unit_test(six_colours_are_told_apart),
        cmocka_unit_test(styles_are_drawn_as_such),
        cmocka_unit_test(each_shot_has_its_style),
        cmocka_unit_test(heads_are_in_their_boxes),
        cmocka_unit_test(lips_follow_the_phones),
        cmocka_unit_test(portraits_differ),
        cmocka_unit_test(same_bytes_on_any_thread),
        cmocka_unit_test(failures_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
