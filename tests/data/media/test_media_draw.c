// SPDX-License-Identifier: Apache-2.0
// Contact sheets and plots: what is where in the picture, and odd inputs.
#include "data/media/canvas.h"
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include <math.h>
#include <png.h>

typedef struct image {
    int64_t width, height;
    uint8_t *rgb;
} image;

static image load(const char *path)
{
    png_image p = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&p, path));
    p.format = PNG_FORMAT_RGB;
    image i = {p.width, p.height, malloc(PNG_IMAGE_SIZE(p))};
    assert_non_null(i.rgb);
    assert_true(png_image_finish_read(&p, NULL, i.rgb, 0, NULL));
    return i;
}

static int64_t count(const image *i, int r, int g, int b, int within) // pixels of about that colour
{
    int64_t n = 0;
    for (int64_t k = 0; k < i->width * i->height; k++) {
        const uint8_t *p = i->rgb + k * 3;
        n += abs(p[0] - r) <= within && abs(p[1] - g) <= within && abs(p[2] - b) <= within;
    }
    return n;
}

static void test_sheet(void **state)
{
    (void)state;
    enum { FRAMES = 12, SIDE = 32, RATE = 8000, SAMPLES = 12000 };
    static uint8_t rgb[FRAMES][SIDE][SIDE][3];
    static float pcm[SAMPLES];
    for (int f = 0; f < FRAMES; f++) // the first shot is red, the second one green
        for (int k = 0; k < SIDE * SIDE; k++) (&rgb[f][0][0][0])[k * 3 + (f >= 5)] = 255;
    for (int i = 0; i < SAMPLES; i++) pcm[i] = i / 2000 % 2 ? 0 : sinf((float)i);
    char *caption[] = {"a red wall", NULL};
    const int64_t cut[] = {0, 5};
    assert_ok(whole_file(tk_media_contact_sheet, media_path("sheet.png"), &rgb[0][0][0][0], FRAMES,
                         SIDE, SIDE, 8, pcm, SAMPLES, 1, RATE, 2, cut, caption));
    image i = load(media_path("sheet.png"));
    const int64_t red = count(&i, 255, 0, 0, 2), green = count(&i, 0, 255, 0, 2);
    const double cell = (double)red / 5;
    assert_true(cell > 140 * 140 && cell < 160 * 160);
    assert_near((double)green, 7 * cell, 1);
    free(i.rgb);
}

static void test_sheet__odd_inputs(void **state)
{
    (void)state;
    static uint8_t rgb[3 * 9 * 200 * 3];
    static float pcm[100 * 2];
    for (int i = 0; i < 200; i++) pcm[i] = i % 3 ? NAN : INFINITY;
    char *caption[] = {"\xc3\xa9t\xc3\xa9 \xe6\x98\xa0 and \x01 control", "", NULL};
    const int64_t cut[] = {0, -7, 900};
    const char *path = media_path("odd.png");
    assert_ok(whole_file(tk_media_contact_sheet, path, rgb, 3, 9, 200, 8, pcm, 100, 2, 8000, 3, cut,
                         caption));
    assert_ok(whole_file(tk_media_contact_sheet, path, rgb, 3, 200, 9, 0.5, NULL, 0, 1, 8000, 0,
                         NULL, NULL));
    char longest[5000];
    memset(longest, 'w', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    caption[0] = longest;
    assert_ok(whole_file(tk_media_contact_sheet, path, rgb, 1, 9, 9, 1000, pcm, 1, 1, 8000, 1, cut,
                         caption));
    assert_status(
        whole_file(tk_media_contact_sheet, path, rgb, 0, 9, 9, 8, NULL, 0, 1, 8000, 0, NULL, NULL),
        TK_INPUT);
}

static void test_plot(void **state)
{
    (void)state;
    static double y[3000], bad[50];
    for (int i = 0; i < 3000; i++) y[i] = 2 * exp(-i / 500.0) + 0.1 * sin(i);
    for (int i = 0; i < 50; i++) bad[i] = i % 2 ? NAN : -1;
    const tk_curve curves[] = {{"falling", y, 3000}, {"bad", bad, 50}, {"none", NULL, 0}};
    for (int log_y = 0; log_y < 2; log_y++) {
        assert_ok(tk_media_plot(media_path("plot.png"), "title", "step", 3, curves, log_y));
        image i = load(media_path("plot.png"));
        assert_true(count(&i, 38, 110, 184, 8) > 1000); // the curve in its own colour
        assert_true(count(&i, 255, 255, 255, 0) > i.width * i.height / 2);
        free(i.rgb);
    }
    const double one[] = {5}, huge[] = {1e300, -1e300}, same[] = {0, 0, 0};
    const tk_curve odd[] = {{"one", one, 1}, {"huge", huge, 2}, {"same", same, 3}};
    for (int i = 0; i < 3; i++)
        for (int log_y = 0; log_y < 2; log_y++)
            assert_ok(tk_media_plot(media_path("plot.png"), "", "", 1, &odd[i], log_y));
    assert_ok(tk_media_plot(media_path("plot.png"), NULL, NULL, 0, NULL, false));
}

static void test_text_fit(void **state)
{
    (void)state;
    const char *text = "one two three";
    assert_int_equal(tk_text_fit(14, 1e9, text), strlen(text));
    assert_int_equal(tk_text_fit(14, tk_text_width(14, "one two t"), text), strlen("one two"));
    assert_int_equal(tk_text_fit(14, tk_text_width(14, "on") + 1, text), 2);
    assert_true(tk_text_fit(14, 0.1, text) == 1); // goes on, however narrow
    assert_near(tk_text_width(14, "11"), tk_text_width(14, "88"), 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_sheet__odd_inputs),
        cmocka_unit_test(test_plot),
        cmocka_unit_test(test_text_fit),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
