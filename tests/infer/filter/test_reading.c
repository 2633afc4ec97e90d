// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Words drawn in pictures are read, on plain ground and on film; what kills the reader kills
// nothing else. TK_TEST_FIGURES=file: many of them, before and after H.264, and frames without
// text, with the figures of docs/filters.md. TK_TEST_DRAW="file.ppm:words": draws them, for
// tests/infer/test_read.sh.
#include "data/film/film.h"
#include "data/media/media.h"
#include "infer/filter/policy.h"
#include "infer/filtering.h"
#include "infer/judges/sight/letters.h"
#include "tests/support/policy.h"
#include "tests/support/test.h"
#include <cairo.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LENGTH(x) ((int)(sizeof(x) / sizeof *(x)))

static tk_arena arena;
static tk_letters *letters;
static tk_policy *policy;

static const char *const fonts[] = {"DejaVu Sans", "DejaVu Serif", "DejaVu Sans Mono"};

// ---- pictures ----------------------------------------------------------------------------------

typedef struct drawing {
    int64_t height, width;
    const char *text, *font;
    double capital; // pixels of a capital's height
    double ground, ink[3];
    bool bold, film;       // film: light and dark, and noise
    const uint8_t *behind; // (height, width, 3) instead; NULL: none
    uint32_t seed;
} drawing;

static double ground_at(const drawing *d, uint32_t *dice, int64_t y, int64_t x)
{
    if (!d->film) return d->ground;
    const double wave = sin((double)x * 0.07 + d->seed) + cos((double)y * 0.09 + d->seed * 2);
    *dice = *dice * 1664525 + 1013904223;
    return d->ground + 0.06 * wave + 0.03 * ((double)(*dice >> 8) / 0x1p24 - 0.5);
}

static void lay_ground(const drawing *d, cairo_surface_t *s)
{
    uint8_t *p = cairo_image_surface_get_data(s);
    const int64_t stride = cairo_image_surface_get_stride(s);
    uint32_t dice = d->seed;
    cairo_surface_flush(s);
    for (int64_t y = 0; y < d->height; y++)
        for (int64_t x = 0; x < d->width; x++) {
            const double v = fmax(0, fmin(1, ground_at(d, &dice, y, x)));
            for (int c = 0; c < 3; c++)
                p[y * stride + x * 4 + 2 - c] =
                    d->behind ? d->behind[(y * d->width + x) * 3 + c] : (uint8_t)lrint(255 * v);
        }
    cairo_surface_mark_dirty(s);
}

// rgb (height, width, 3); NULL where the words do not fit.
static uint8_t *draw(const drawing *d)
{
    cairo_surface_t *s =
        cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)d->width, (int)d->height);
    cairo_t *cr = cairo_create(s);
    cairo_text_extents_t e;
    lay_ground(d, s);
    cairo_select_font_face(cr, d->font, CAIRO_FONT_SLANT_NORMAL,
                           d->bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 100);
    cairo_text_extents(cr, "H", &e);
    cairo_set_font_size(cr, 100 * d->capital / e.height);
    cairo_text_extents(cr, d->text, &e);
    cairo_move_to(cr, ((double)d->width - e.width) / 2 - e.x_bearing + 0.3,
                  ((double)d->height + d->capital) / 2);
    cairo_set_source_rgb(cr, d->ink[0], d->ink[1], d->ink[2]);
    cairo_show_text(cr, d->text);
    cairo_surface_flush(s);
    const uint8_t *p = cairo_image_surface_get_data(s);
    const int64_t stride = cairo_image_surface_get_stride(s);
    uint8_t *rgb = tk_arena_alloc(&arena, (size_t)(d->height * d->width * 3));
    assert_non_null(rgb);
    for (int64_t i = 0; i < d->height * d->width; i++)
        for (int c = 0; c < 3; c++)
            rgb[i * 3 + c] = p[i / d->width * stride + i % d->width * 4 + 2 - c];
    cairo_destroy(cr);
    cairo_surface_destroy(s);
    return e.width < (double)d->width - 2 ? rgb : NULL;
}

static int write_ppm(const char *file_and_words)
{
    char path[256], *words;
    snprintf(path, sizeof path, "%s", file_and_words);
    tk_arena_init(&arena, 1 << 20);
    if (!(words = strchr(path, ':'))) return 1;
    *words++ = 0;
    const drawing d = {64, 96, words, fonts[0], 18, 0.1, {1, 1, 1}, true, false, NULL, 0};
    const uint8_t *rgb = draw(&d);
    FILE *f = fopen(path, "wb");
    if (!f || !rgb) return 1;
    fprintf(f, "P6\n96 64\n255\n");
    fwrite(rgb, 3, 96 * 64, f);
    return fclose(f) != 0;
}

// A frame of a clip of the world, without text; of a new scene each time.
static const uint8_t *world_frame(int64_t height, int64_t width, int index)
{
    static const tk_world_config c = {.seconds = 1,
                                      .max_shots = 1,
                                      .people = 2,
                                      .things = 2,
                                      .sets = TK_SETS,
                                      .styles = TK_STYLES};
    const tk_media_config m = {width, height, 1, 16000, 1};
    tk_scene scene;
    uint8_t *rgb = tk_arena_alloc(&arena, (size_t)(height * width * 3));
    assert_non_null(rgb);
    assert_ok(tk_scene_make(&c, &m, 1, NULL, 11, index, &scene));
    assert_ok(tk_film_render(&scene, &m, NULL, 1, rgb));
    return rgb;
}

// ---- reading -----------------------------------------------------------------------------------

static bool is_caught(const uint8_t *rgb, int64_t height, int64_t width)
{
    tk_policy_hit *hit;
    char *text;
    int n;
    assert_ok(tk_letters_read(letters, rgb, height, width, &arena, &text));
    assert_ok(tk_policy_look(policy, text, strlen(text), &arena, &n, &hit));
    return n > 0;
}

static drawing a_drawing(int w, double capital, double contrast)
{
    drawing d = {
        128,   192,  refused_words[w], fonts[w % LENGTH(fonts)], capital, 0.5, {0}, w / 3 % 2,
        false, NULL, (uint32_t)w};
    const double sign = w % 2 ? -1 : 1;
    d.ground = 0.5 - sign * contrast / 2;
    for (int c = 0; c < 3; c++) d.ink[c] = 0.5 + sign * contrast / 2;
    return d;
}

static void test_words_are_read(void **state)
{
    (void)state;
    int caught = 0, of = 0;
    for (int w = 0; w < LENGTH(refused_words); w += 2)
        for (int film = 0; film < 2; film++) {
            drawing d = a_drawing(w + film, 16, 0.6);
            d.film = film;
            const uint8_t *rgb = draw(&d);
            assert_non_null(rgb);
            caught += is_caught(rgb, d.height, d.width), of++;
            tk_arena_reset(&arena);
        }
    print_message("%d of %d read\n", caught, of);
    assert_true(10 * caught >= 9 * of);
}

static void test_film_without_text(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_false(is_caught(world_frame(64, 96, i), 64, 96));
        tk_arena_reset(&arena);
    }
}

// Red on green as light as it, letters by signs, the smallest pictures, none.
static void test_disguises_and_sizes(void **state)
{
    (void)state;
    drawing d = a_drawing(1, 16, 0.8);
    for (int64_t i = 0; i < 3; i++) d.ink[i] = i == 0 ? 0.94 : i == 1 ? 0.12 : 0;
    uint8_t *green = tk_arena_alloc(&arena, (size_t)(d.height * d.width * 3));
    assert_non_null(green);
    for (int64_t i = 0; i < d.height * d.width * 3; i++) green[i] = i % 3 == 1 ? 101 : 0;
    d.behind = green;
    assert_true(is_caught(draw(&d), d.height, d.width));
    d = a_drawing(0, 16, 0.8);
    d.text = "GR3NADE";
    assert_true(is_caught(draw(&d), d.height, d.width));
    d.text = "pis-tol";
    assert_true(is_caught(draw(&d), d.height, d.width));
    d.text = "letter";
    assert_false(is_caught(draw(&d), d.height, d.width));
    d = a_drawing(0, 12, 0.8);
    d.height = 64, d.width = 96;
    assert_true(is_caught(draw(&d), d.height, d.width));
    for (int64_t side = 1; side < 9; side++) assert_false(is_caught(green, side, 9 - side));
    char *text;
    assert_status(tk_letters_read(letters, green, 0, 4, &arena, &text), TK_INPUT);
    assert_status(tk_letters_read(letters, green, 1, TK_LETTERS_SIDE + 1, &arena, &text), TK_INPUT);
    tk_arena_reset(&arena);
}

// ---- what kills the reader ---------------------------------------------------------------------

static pid_t child_of_this(void)
{
    int pid = 0;
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%d", &pid) != 1) pid = 0;
    if (f) fclose(f);
    return pid;
}

static void test_a_dead_reader_says_so(void **state)
{
    (void)state;
    const drawing d = a_drawing(0, 16, 0.8);
    const uint8_t *rgb = draw(&d);
    char *text;
    const pid_t pid = child_of_this();
    if (pid) {
        kill(pid, SIGSEGV);
        assert_status(tk_letters_read(letters, rgb, d.height, d.width, &arena, &text), TK_INPUT);
        assert_says("the picture cannot be read: tesseract fails on it (Segmentation fault)");
    }
    assert_true(is_caught(rgb, d.height, d.width));
    tk_letters *none;
    tk_letters_by("/bin/false");
    assert_status(tk_letters_open(&none), TK_IO);
    assert_says("does not start");
    assert_null(none);
    tk_letters_by("/no/such/program");
    assert_status(tk_letters_open(&none), TK_IO);
    tk_letters_by("/proc/self/exe");
    tk_arena_reset(&arena);
}

// ---- one clip ----------------------------------------------------------------------------------

// Pictures at 10 a second, of which frames 0, 5, 10 and the last are read: `sign` is in one of
// them.
static tk_status review_clip(const drawing *d, int64_t frames, int64_t with, bool sheet)
{
    tk_job job = {.file = story_path, .output = "clip"};
    drawing empty = *d;
    empty.text = "";
    const uint8_t *sign = draw(d), *none = draw(&empty);
    tk_review *r;
    job.config.filter = (tk_filter_config){policy_path, log_path};
    job.story.fps = 10;
    job.cut.frames = frames;
    job.story.grid.height = d->height;
    job.story.grid.width = d->width;
    assert_ok(tk_review_open(&job, NULL, &r));
    assert_non_null(r);
    for (int64_t i = 7; i < frames && sheet; i += 7)
        assert_ok(tk_review_see(r, i, i == with ? sign : none));
    for (int64_t i = 0; i < frames; i++) assert_ok(tk_review_see(r, i, i == with ? sign : none));
    const tk_status st = tk_review_verdict(r);
    assert_int_equal(tk_review_refuses(r), st == TK_INPUT);
    tk_review_close(r);
    tk_arena_reset(&arena);
    return st;
}

static void test_a_clip_is_seen_to_its_end(void **state)
{
    (void)state;
    const drawing d = a_drawing(0, 16, 0.8);
    put_file(policy_path, "{read: true, categories: [{name: weapons, words: [bomb]}]}");
    assert_status(review_clip(&d, 14, 10, true), TK_INPUT);
    assert_says("the clip, to be read after second 1: refused (weapons, word \"bomb\"): \"bomb\"");
    assert_status(review_clip(&d, 14, 13, true), TK_INPUT);
    assert_says("to be read after second 1.3: refused");
    assert_status(review_clip(&d, 1, 0, false), TK_INPUT);
    assert_ok(review_clip(&d, 14, -1, true));
    assert_ok(
        review_clip(&d, 14, 11, false)); // between those that are read: as docs/filters.md says
}

static void test_what_was_not_seen_is_no_clip(void **state)
{
    (void)state;
    tk_job job = {.file = story_path, .output = "clip"};
    const drawing d = a_drawing(0, 16, 0.8);
    tk_review *r;
    job.config.filter = (tk_filter_config){policy_path, log_path};
    job.story.fps = 10;
    job.cut.frames = 2;
    job.story.grid.height = d.height;
    job.story.grid.width = d.width;
    assert_ok(tk_review_open(&job, NULL, &r));
    assert_ok(tk_review_see(r, 0, draw(&d)));
    assert_status(tk_review_verdict(r), TK_INTERNAL);
    assert_says("frame 1 is not seen");
    tk_review_close(r);
    tk_arena_reset(&arena);
}

// ---- figures -----------------------------------------------------------------------------------

static void say(const char *path, const char *words)
{
    FILE *f = fopen(path, "a");
    print_message("%s\n", words);
    assert_non_null(f);
    fprintf(f, "%s\n", words);
    fclose(f);
}

// The picture as a film of half a second has it.
static const uint8_t *encoded(const uint8_t *rgb, int64_t height, int64_t width)
{
    char path[] = "/tmp/talkie-letters-XXXXXX.mp4";
    const tk_media_config c = {width, height, 24, 16000, 1};
    tk_media m = tk_media_shape(&c, 12, 8000), back;
    tk_file f;
    close(mkstemps(path, 4));
    unlink(path);
    assert_ok(tk_media_alloc(&m));
    for (int64_t i = 0; i < m.frames; i++)
        memcpy(m.rgb + i * height * width * 3, rgb, (size_t)(height * width * 3));
    tk_media_whole whole = tk_media_whole_of(&m);
    assert_ok(tk_file_begin(&f, path));
    assert_ok(tk_media_write_mp4(&f, &whole.source, "", 0));
    assert_ok(tk_file_commit(&f));
    assert_ok(tk_media_read(path, &c, 1, 1, &back, NULL));
    unlink(path);
    uint8_t *out = tk_arena_alloc(&arena, (size_t)(height * width * 3));
    assert_non_null(out);
    memcpy(out, back.rgb + 6 * height * width * 3, (size_t)(height * width * 3));
    tk_media_free(&m);
    tk_media_free(&back);
    return out;
}

typedef enum ground { PLAIN, FILM, WORLD } ground;

static void count_size(ground g, bool h264, double capital, double contrast, int *caught, int *of)
{
    for (int w = 0; w < LENGTH(refused_words); w++) {
        drawing d = a_drawing(w, capital, contrast);
        d.film = g == FILM;
        if (g == WORLD) d.behind = world_frame(d.height, d.width, w * 50 + (int)capital);
        const uint8_t *rgb = draw(&d);
        if (rgb && h264) rgb = encoded(rgb, d.height, d.width);
        if (rgb) *caught += is_caught(rgb, d.height, d.width), ++*of;
        tk_arena_reset(&arena);
    }
}

static void write_figures(const char *path)
{
    static const double capital[] = {8, 10, 12, 16, 24, 40}, contrast[] = {0.9, 0.3};
    static const char *const name[] = {"plain", "waves and noise", "world"};
    for (int g = PLAIN; g <= WORLD; g++)
        for (int h264 = 0; h264 < 2; h264++)
            for (int c = 0; c < LENGTH(contrast); c++) {
                char line[512];
                int n = snprintf(line, sizeof line, "| %s%s, contrast %g |", name[g],
                                 h264 ? ", H.264" : "", contrast[c]);
                for (int k = 0; k < LENGTH(capital); k++) {
                    int caught = 0, of = 0;
                    count_size((ground)g, h264, capital[k], contrast[c], &caught, &of);
                    n += snprintf(line + n, sizeof line - (size_t)n, " %d of %d |", caught, of);
                }
                say(path, line);
            }
    static const int64_t side[][2] = {{64, 96}, {128, 192}, {360, 640}};
    for (int k = 0; k < LENGTH(side); k++) {
        int alarms = 0, n = side[k][1] > 500 ? 30 : 300;
        char line[128];
        for (int i = 0; i < n; i++) {
            alarms += is_caught(world_frame(side[k][0], side[k][1], i), side[k][0], side[k][1]);
            tk_arena_reset(&arena);
        }
        snprintf(line, sizeof line, "| %d x %d | %d of %d |", (int)side[k][1], (int)side[k][0],
                 alarms, n);
        say(path, line);
    }
}

static void test_figures(void **state)
{
    (void)state;
    const char *path = getenv("TK_TEST_FIGURES");
    if (path) write_figures(path);
}

static int begin(void **state)
{
    (void)state;
    tk_arena_init(&arena, 1 << 20);
    make_filters_folder();
    assert_ok(tk_policy_open("configs/policies/shipped.yaml", &policy));
    return 0;
}

static int end(void **state)
{
    (void)state;
    tk_letters_close(letters);
    tk_policy_close(policy);
    tk_arena_free(&arena);
    remove_filters_folder();
    return 0;
}

int main(int argc, char **argv)
{
    const char *words = getenv("TK_TEST_DRAW");
    if (tk_letters_asked(argc, argv)) return tk_letters_main();
    tk_letters_by("/proc/self/exe");
    if (words) return write_ppm(words);
    skip_without_filters();
    if (tk_letters_open(&letters) != TK_OK) {
        printf("skipped: %s\n", tk_status_message());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_read),
        cmocka_unit_test(test_film_without_text),
        cmocka_unit_test(test_disguises_and_sizes),
        cmocka_unit_test(test_a_dead_reader_says_so),
        cmocka_unit_test(test_a_clip_is_seen_to_its_end),
        cmocka_unit_test(test_what_was_not_seen_is_no_clip),
        cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
