// SPDX-License-Identifier: Apache-2.0
// Contact sheets and plots: what is where in the picture, and odd inputs.
#include "data/draw/draw.h"
#include "data/draw/sheet.h"
#include "data/media/media.h"
#include "tests/data/media/media_files.h"
#include <math.h>
#include <sys/wait.h>

typedef struct image {
    int64_t width, height;
    uint8_t *rgb;
} image;

static image load(const char *path)
{
    cairo_surface_t *s = cairo_image_surface_create_from_png(path);
    assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
    image i = {cairo_image_surface_get_width(s), cairo_image_surface_get_height(s), NULL};
    i.rgb = malloc((size_t)(i.width * i.height * 3));
    assert_non_null(i.rgb);
    for (int64_t y = 0; y < i.height; y++) {
        const unsigned char *row =
            cairo_image_surface_get_data(s) + y * cairo_image_surface_get_stride(s);
        for (int64_t k = 0; k < i.width * 3; k++) // blue, green, red, nothing
            i.rgb[y * i.width * 3 + k] = row[k / 3 * 4 + 2 - k % 3];
    }
    cairo_surface_destroy(s);
    return i;
}

typedef struct area { // of the pixels of a colour: how many, and first and last column and row
    int64_t n, x0, x1, y0, y1;
} area;

// Pixels of about that colour in a rectangle of the image.
static area within(const image *i, int64_t x0, int64_t x1, int64_t y0, int64_t y1, tk_ink ink,
                   int tolerance)
{
    area a = {0, x1, x0, y1, y0};
    for (int64_t y = y0; y < y1; y++)
        for (int64_t x = x0; x < x1; x++) {
            const uint8_t *p = i->rgb + (y * i->width + x) * 3;
            if (abs(p[0] - ink.r) > tolerance || abs(p[1] - ink.g) > tolerance ||
                abs(p[2] - ink.b) > tolerance)
                continue;
            a = (area){a.n + 1, x < a.x0 ? x : a.x0, x > a.x1 ? x : a.x1, y < a.y0 ? y : a.y0,
                       y > a.y1 ? y : a.y1};
        }
    return a;
}

static area find(const image *i, tk_ink ink, int tolerance)
{
    return within(i, 0, i->width, 0, i->height, ink, tolerance);
}

// Where two images of one size differ.
static area changed(const image *a, const image *b)
{
    area d = {0, a->width, 0, a->height, 0};
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    for (int64_t k = 0; k < a->width * a->height; k++) {
        if (!memcmp(a->rgb + k * 3, b->rgb + k * 3, 3)) continue;
        const int64_t x = k % a->width, y = k / a->width;
        d = (area){d.n + 1, x < d.x0 ? x : d.x0, x > d.x1 ? x : d.x1, y < d.y0 ? y : d.y0,
                   y > d.y1 ? y : d.y1};
    }
    return d;
}

enum { FRAMES = 12, SECOND = 5, SIDE = 32, RATE = 8000, SAMPLES = 12000 };
static uint8_t frames[FRAMES][SIDE][SIDE][3];
static float sound[SAMPLES];

static tk_ink colour(int frame)
{
    return (tk_ink){(uint8_t)(250 - 20 * frame), (uint8_t)(20 * frame), 128, 1};
}

static tk_status write_sheet(const char *name, const tk_media *m, int n, const tk_sheet_shot *shots)
{
    tk_media_whole w = tk_media_whole_of(m);
    return whole_file(tk_draw_sheet, media_path(name), &w.source, n, shots);
}

// A sheet of twelve frames, each of a colour, the second shot from frame 5 on; a quarter of a
// second of sound, a quarter of silence, and so on.
static image sheet(const char *name, const char *caption)
{
    for (int f = 0; f < FRAMES; f++)
        for (int k = 0; k < SIDE * SIDE; k++) {
            uint8_t *p = &frames[f][0][0][0] + k * 3;
            p[0] = colour(f).r, p[1] = colour(f).g, p[2] = colour(f).b;
        }
    for (int i = 0; i < SAMPLES; i++) sound[i] = i / 2000 % 2 ? 0 : sinf((float)i);
    char first[256];
    snprintf(first, sizeof first, "%s", caption);
    const tk_sheet_shot shots[] = {{0, first}, {SECOND, NULL}};
    const tk_media clip = {.frames = FRAMES,
                           .height = SIDE,
                           .width = SIDE,
                           .fps = 8,
                           .rgb = &frames[0][0][0][0],
                           .samples = SAMPLES,
                           .channels = 1,
                           .sample_rate = RATE,
                           .pcm = sound};
    assert_ok(write_sheet(name, &clip, 2, shots));
    return load(media_path(name));
}

static void test_sheet(void **state)
{
    (void)state;
    image i = sheet("sheet.png", "a red wall");
    area last = {0};
    for (int f = 0; f < FRAMES; f++) {
        const area a = find(&i, colour(f), 2);
        const int64_t w = a.x1 - a.x0 + 1, h = a.y1 - a.y0 + 1;
        assert_true(w > 140 && w < 160 && h == w); // square, as the frame is
        assert_int_equal(a.n, w * h);
        if (f == 0 || f == SECOND) {
            assert_true(a.x0 < 40);
            assert_true(f == 0 || a.y0 > last.y1 + 20); // the second shot below the first one
        } else {
            assert_int_equal(a.y0, last.y0); // beside the one before
            assert_true(a.x0 > last.x1 && a.x0 < last.x1 + 12);
        }
        // its time stands below it
        assert_true(within(&i, a.x0, a.x1, a.y1 + 2, a.y1 + 20, (tk_ink){140, 146, 158, 1}, 40).n >
                    10);
        last = a;
    }
    // the sound below all frames: loud, silent, loud, ... along the clip
    const tk_ink shot[] = {{94, 177, 219, 1}, {240, 160, 75, 1}};
    const int64_t top = last.y1 + 25, wide = i.width - 56;
    for (int k = 0; k < 6; k++) {
        const int64_t x = 28 + wide * (2 * k + 1) / 12;
        const int64_t n = within(&i, x - 20, x + 20, top, i.height, shot[0], 2).n +
                          within(&i, x - 20, x + 20, top, i.height, shot[1], 2).n;
        assert_true(k % 2 ? n < 100 : n > 1000);
    }
    free(i.rgb);
}

// Captions in scripts that the font has are drawn in their letters, not as one box like another;
// where they differ is where the caption is. The same caption gives the same file.
static void test_sheet__captions(void **state)
{
    (void)state;
    static const char *const pair[][2] = {
        {"a red wall", "a new ball"},
        {"\xd0\xba\xd1\x80\xd0\xb0\xd1\x81\xd0\xbd\xd1\x8b\xd0\xb9",
         "\xd0\xb7\xd0\xb5\xd0\xbb\xd1\x91\xd0\xbd\xd1\x8b\xd0\xb9"},
        {"\xce\xba\xcf\x8d\xce\xbc\xce\xb1", "\xce\xb2\xcf\x81\xce\xaf\xce\xba"}};
    image none = sheet("none.png", "");
    for (size_t k = 0; k < sizeof pair / sizeof *pair; k++) {
        image one = sheet("one.png", pair[k][0]), two = sheet("two.png", pair[k][1]);
        assert_true(changed(&one, &two).n > 60);
        const area a = changed(&one, &none);
        assert_true(a.n > 200 && a.x0 >= 40 && a.x1 < 300 && a.y1 < 52);
        free(one.rgb);
        free(two.rgb);
    }
    image cjk = sheet("cjk.png", "\xe6\x98\xa0\xe7\x94\xbb"); // boxes, if there is no font for it
    assert_true(changed(&cjk, &none).n > 60);
    size_t a, b;
    sheet("again.png", "\xe6\x98\xa0\xe7\x94\xbb");
    unsigned char *x = media_get(media_path("cjk.png"), &a),
                  *y = media_get(media_path("again.png"), &b);
    assert_int_equal(a, b);
    assert_memory_equal(x, y, a);
    free(x);
    free(y);
    free(cjk.rgb);
    free(none.rgb);
}

static void test_sheet__odd_inputs(void **state)
{
    (void)state;
    static uint8_t rgb[3 * 9 * 200 * 3];
    static float pcm[100 * 2];
    for (int i = 0; i < 200; i++) pcm[i] = i % 3 ? NAN : INFINITY;
    tk_sheet_shot shots[] = {
        {0, "\xc3\xa9t\xc3\xa9 \xe6\x98\xa0 and \x01 control"}, {-7, "cut \xe6\x98"}, {900, NULL}};
    const tk_media loud = {.frames = 3,
                           .height = 9,
                           .width = 200,
                           .fps = 8,
                           .rgb = rgb,
                           .samples = 100,
                           .channels = 2,
                           .sample_rate = 8000,
                           .pcm = pcm};
    tk_media mute = loud;
    assert_ok(write_sheet("odd.png", &loud, 3, shots));
    mute.height = 200, mute.width = 9, mute.fps = 0.5, mute.pcm = NULL, mute.channels = 1;
    assert_ok(write_sheet("odd.png", &mute, 0, NULL));
    char longest[5000];
    memset(longest, 'w', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    shots[0].caption = longest;
    tk_media least = loud;
    least.frames = least.samples = least.channels = 1, least.width = 9, least.fps = 1000;
    assert_ok(write_sheet("odd.png", &least, 1, shots));
    least.frames = 0;
    assert_status(write_sheet("odd.png", &least, 0, NULL), TK_INPUT);
}

static const tk_ink blue = {38, 110, 184, 1}, grey = {150, 155, 165, 1},
                    ink_of_text = {45, 50, 60, 1};

static image plot(const char *title, const char *label, const char *name, const double *y,
                  int64_t n, bool log_y)
{
    const tk_curve curve = {name, y, n};
    assert_ok(tk_draw_plot(media_path("plot.png"), title, label, 1, &curve, log_y));
    return load(media_path("plot.png"));
}

// What the axes span: from the column to the row that have most of their colour.
static area find_axes(const image *i)
{
    area left = {0}, bottom = {0};
    for (int64_t x = 0; x < i->width; x++) {
        const area a = within(i, x, x + 1, 0, i->height, grey, 3);
        if (a.n > left.n) left = a;
    }
    for (int64_t y = 0; y < i->height; y++) {
        const area a = within(i, 0, i->width, y, y + 1, grey, 3);
        if (a.n > bottom.n) bottom = a;
    }
    return (area){left.n + bottom.n, left.x0, bottom.x1, left.y0, bottom.y0};
}

// A straight line falls from the upper left corner of the axes to the lower right one, on a linear
// axis, and an exponential one does on a logarithmic axis.
static void test_plot(void **state)
{
    (void)state;
    enum { N = 50 };
    double y[N];
    for (int log_y = 0; log_y < 2; log_y++) {
        for (int i = 0; i < N; i++) y[i] = log_y ? pow(10, -4.0 * i / (N - 1)) : N - 1 - i;
        image i = plot("title", "step", "falling", y, N, log_y);
        const area axes = find_axes(&i);
        const int64_t wide = axes.x1 - axes.x0, x0 = axes.x0, bottom = axes.y1,
                      high = bottom - axes.y0;
        assert_true(wide > 800 && high > 400);
        double before = 0;
        for (int k = 1; k < 30; k++) { // further right is the legend
            const int64_t x = x0 + 1 + wide * k / 40;
            const area a = within(&i, x, x + 1, axes.y0, bottom, blue, 60);
            const double at = (double)(bottom - (a.y0 + a.y1) / 2) / (double)high;
            assert_true(a.n > 0 && a.y1 - a.y0 < 8);
            assert_near(at, 0.045 + 0.91 * (1 - k / 40.0), 0.05);
            assert_true(k == 1 || at < before);
            before = at;
        }
        // figures beside the axes
        const tk_ink faint = {112, 118, 130, 1};
        assert_true(within(&i, 0, x0 - 5, axes.y0 - 8, bottom + 8, faint, 40).n > 200);
        assert_true(within(&i, x0 - 20, i.width, bottom + 8, bottom + 28, faint, 40).n > 200);
        free(i.rgb);
    }
}

// Each of the words is drawn, and where it belongs.
static void test_plot__words(void **state)
{
    (void)state;
    const double y[] = {3, 2, 1};
    image base = plot("title", "step", "loss", y, 3, false);
    const struct {
        const char *title, *label, *name;
        int64_t x0, x1, y0, y1; // where it may change the picture
    } other[] = {{"eight", "step", "loss", 80, 300, 0, 50},
                 {"title", "time", "loss", 400, 700, 520, 560},
                 {"title", "step", "gain", 700, 1000, 50, 130}};
    assert_true(find(&base, ink_of_text, 30).n > 100);
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        image i = plot(other[k].title, other[k].label, other[k].name, y, 3, false);
        const area a = changed(&base, &i);
        assert_true(a.n > 30 && a.x0 >= other[k].x0 && a.x1 < other[k].x1);
        assert_true(a.y0 >= other[k].y0 && a.y1 < other[k].y1);
        free(i.rgb);
    }
    free(base.rgb);
}

static void test_plot__odd_curves(void **state)
{
    (void)state;
    static double y[3000], bad[50];
    for (int i = 0; i < 3000; i++) y[i] = 2 * exp(-i / 500.0) + 0.1 * sin(i);
    for (int i = 0; i < 50; i++) bad[i] = i % 2 ? NAN : -1;
    const tk_curve curves[] = {{"falling", y, 3000}, {"bad", bad, 50}, {"none", NULL, 0}};
    for (int log_y = 0; log_y < 2; log_y++) {
        assert_ok(tk_draw_plot(media_path("plot.png"), "title", "step", 3, curves, log_y));
        image i = load(media_path("plot.png"));
        assert_true(find(&i, blue, 8).n > 1000); // the curve in its own colour
        assert_true(find(&i, (tk_ink){255, 255, 255, 1}, 0).n > i.width * i.height / 2);
        free(i.rgb);
    }
    const double one[] = {5}, huge[] = {1e300, -1e300}, same[] = {0, 0, 0};
    const tk_curve odd[] = {{"one", one, 1}, {"huge", huge, 2}, {"same", same, 3}};
    for (int i = 0; i < 3; i++)
        for (int log_y = 0; log_y < 2; log_y++)
            assert_ok(tk_draw_plot(media_path("plot.png"), "", "", 1, &odd[i], log_y));
    assert_ok(tk_draw_plot(media_path("plot.png"), NULL, NULL, 0, NULL, false));
}

static const tk_ink white = {255, 255, 255, 1};

static int lines_of(cairo_t *cr, double width, int most, const char *line)
{
    const tk_column c = {.size = 14, .step = 20, .width = width, .most = most, .ink = white};
    return tk_draw_lines(cr, &c, line);
}

static void test_lines(void **state)
{
    (void)state;
    const char *text = "one two three";
    cairo_t *cr = tk_draw_new(10, 10, white);
    const double one = tk_draw_text_width(cr, 14, "one"), all = tk_draw_text_width(cr, 14, text);
    assert_int_equal(lines_of(cr, all + 1, 9, text), 1);
    assert_int_equal(lines_of(cr, all - 1, 9, text), 2);
    assert_int_equal(lines_of(cr, one + 5, 9, "one one one"), 3);
    assert_int_equal(lines_of(cr, 0.1, 9, text),
                     9); // goes on, however narrow
    assert_int_equal(lines_of(cr, one + 5, 2, text), 2);
    assert_int_equal(lines_of(cr, one, 9, ""), 0);
    assert_near(tk_draw_text_width(cr, 14, "11"), tk_draw_text_width(cr, 14, "88"), 1e-9);
    assert_int_equal(cairo_status(cr), CAIRO_STATUS_SUCCESS);
    cairo_destroy(cr);
}

// On a host without any font, runs go on and pictures have words in what cairo brings. In a process
// of its own, before fontconfig has looked for fonts in this one.
static void test_no_fonts(void **state)
{
    (void)state;
    const char *fonts = media_put("fonts.conf", "<fontconfig/>", 13);
    const double y[] = {3, 2, 1};
    const tk_curve curve = {"loss", y, 3};
    const pid_t child = fork();
    if (child == 0) {
        setenv("FONTCONFIG_FILE", fonts, 1);
        _exit(tk_draw_plot(media_path("bare.png"), "a title", "", 1, &curve, false) != TK_OK);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    image i = load(media_path("bare.png"));
    assert_true(within(&i, 80, 300, 0, 50, ink_of_text, 60).n > 50);
    free(i.rgb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_fonts), // first: see there
        cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_sheet__captions),
        cmocka_unit_test(test_sheet__odd_inputs),
        cmocka_unit_test(test_plot),
        cmocka_unit_test(test_plot__words),
        cmocka_unit_test(test_plot__odd_curves),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, media_open, media_close);
}
