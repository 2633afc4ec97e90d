// SPDX-License-Identifier: Apache-2.0
// Pictures that are not shown as they are stored: interlaced ones, and those of a high dynamic
// range or a wide gamut.
/*TEST timeout: 120 */
#include "data/media/avfilter.h"
#include "data/media/media.h"
#include "data/media/reader.h"
#include "tests/data/media/media_files.h"

// In place of libavfilter's: a build of it that lacks one filter.
static const char *lacking = "";

static __typeof__(avfilter_get_by_name) *all_of_them;

static const AVFilter *all_but_one(const char *name)
{
    return strcmp(name, lacking) == 0 ? NULL : all_of_them(name);
}

static int open_media(void **state)
{
    tk_avfilter *av;
    assert_ok(tk_avfilter_load("this test", &av));
    all_of_them = av->avfilter_get_by_name;
    av->avfilter_get_by_name = all_but_one;
    return media_open(state);
}

static const tk_media_config full = {
    .width = 128, .height = 96, .fps = 25, .sample_rate = 8000, .channels = 1};

static tk_media get(const char *path, int64_t frames)
{
    tk_media m;
    assert_ok(tk_media_read(path, &full, 60, 1, &m, NULL));
    assert_int_equal(m.frames, frames);
    return m;
}

// How much lines differ from the mean of their neighbours, on average.
static double combing(const tk_media *m)
{
    const int64_t row = m->width * 3;
    double sum = 0;
    for (int64_t k = 0; k < m->frames; k++)
        for (int64_t y = 1; y + 1 < m->height; y++)
            for (int64_t x = 0; x < row; x++) {
                const uint8_t *p = m->rgb + (k * m->height + y) * row + x;
                sum += abs(2 * p[0] - p[-row] - p[row]) / 2.0;
            }
    return sum / (double)(m->frames * (m->height - 2) * row);
}

static double mean_of(const tk_media *m, int64_t frame)
{
    const int64_t n = m->height * m->width * 3;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += m->rgb[frame * n + i];
    return sum / (double)n;
}

// A bar that moves 200 pixels a second, 50 fields a second.
#define BARS                                                                              \
    "-f lavfi -i \"color=black:s=128x96:r=50:d=1,format=yuv420p,geq=lum='if(lt(mod(X+200" \
    "*T,64),32),235,16)':cb=128:cr=128"
#define FIELDS ",tinterlace=interleave_top,fieldorder=tff\" -flags +ildct+ilme "
#define CODEC "-pix_fmt yuv420p -c:v mpeg2video -q:v 1 -intra_vlc 1 "

static void test_interlaced(void **state)
{
    (void)state;
    tk_media m = get(media_make("plain.mkv", BARS ",fps=25\" " CODEC), 25);
    const double plain = combing(&m);
    tk_media_free(&m);
    m = get(media_make("interlaced.mkv", BARS FIELDS CODEC), 25);
    assert_true(combing(&m) < plain + 1);
    tk_media_free(&m);
    // the same fields, not flagged, are pictures like any other
    m = get(media_make("combed.mkv", BARS ",tinterlace=interleave_top\" " CODEC), 25);
    assert_true(combing(&m) > plain + 10);
    tk_media_free(&m);
}

// Frame k of the source is as bright as 4 k + 20: none is lost, doubled or moved.
#define STEPS(size, seconds)                               \
    "-f lavfi -i \"color=black:s=" size ":r=25:d=" seconds \
    ",format=yuv420p,geq=lum='20.5+4*N':cb=128:cr=128"
static void check_steps(const tk_media *m, int64_t from, int64_t to, int64_t first)
{
    for (int64_t k = from; k < to; k++)
        assert_near(mean_of(m, k), (double)(4 * (k - first) + 4) * 255 / 219, 2);
}

static void test_one_out_per_one_in(void **state)
{
    (void)state;
    tk_media m =
        get(media_make("steps.mkv", STEPS("128x96", "2") "\" -flags +ildct+ilme " CODEC), 50);
    check_steps(&m, 0, 50, 0);
    tk_media_free(&m);
    m = get(media_make("one.mkv", STEPS("128x96", "0.04") "\" -flags +ildct+ilme " CODEC), 25);
    check_steps(&m, 0, 1, 0); // a still
    tk_media_free(&m);
}

// Parts of a stream: interlaced or not, of one size or another. The decoder keeps the last picture
// before a change of size to itself.
static void test_changes_inside(void **state)
{
    (void)state;
    const char *part[] = {STEPS("128x96", "0.4") "\" " CODEC,
                          STEPS("128x96", "0.4") "\" -flags +ildct+ilme " CODEC,
                          STEPS("64x48", "0.4") "\" -flags +ildct+ilme " CODEC};
    const int order[] = {0, 1, 0, 2, 1, 2, 0}, frames[] = {10, 10, 9, 9, 9, 9, 10};
    unsigned char *all = NULL;
    size_t total = 0;
    for (int i = 0; i < 7; i++) {
        size_t n;
        unsigned char *x = media_get(media_make("part.m2v", part[order[i]]), &n);
        all = realloc(all, total + n);
        assert_non_null(all);
        memcpy(all + total, x, n);
        total += n;
        free(x);
    }
    tk_media m = get(media_put("parts.m2v", all, total), 66);
    for (int64_t i = 0, at = 0; i < 7; at += frames[i++]) check_steps(&m, at, at + frames[i], at);
    tk_media_free(&m);
    free(all);
}

// PNG's interlaced pixels are a whole picture.
static void test_png(void **state)
{
    (void)state;
    const char *picture = "-f lavfi -i testsrc2=s=128x96 -frames:v 1 ";
    char args[256];
    snprintf(args, sizeof args, "%s-flags +ildct", picture);
    tk_media a = get(media_make("plain.png", picture), 25),
             b = get(media_make("adam7.png", args), 25);
    assert_memory_equal(a.rgb, b.rgb, (size_t)(128 * 96 * 3));
    tk_media_free(&a);
    tk_media_free(&b);
}

static void check_colour(const char *path, int r, int g, int b, int most)
{
    tk_media m;
    assert_ok(tk_media_read(path, &full, 60, 1, &m, NULL));
    const uint8_t *p = m.rgb + (48 * m.width + 64) * 3;
    if (abs(p[0] - r) > most || abs(p[1] - g) > most || abs(p[2] - b) > most)
        fail_msg("%s: (%d, %d, %d) and not (%d, %d, %d)", path, p[0], p[1], p[2], r, g, b);
    tk_media_free(&m);
}

// An SDR colour as it is in another kind of picture, white at 203 nits.
static const char *converted(const char *colour, const char *transfer, const char *primaries,
                             const char *matrix, const char *pixels)
{
    char args[1024], name[64];
    snprintf(name, sizeof name, "%s-%s-%s.mkv", transfer, primaries, colour);
    snprintf(args, sizeof args,
             "-f lavfi -i color=0x%s:s=64x48:r=25:d=0.2,format=gbrp,zscale=tin=bt709:pin=bt709:min="
             "gbr:rin=full:npl=203:t=%s:p=%s:m=%s:r=limited,format=%s -c:v ffv1 -color_trc %s "
             "-color_primaries %s -colorspace %s -color_range tv",
             colour, transfer, primaries, matrix, pixels, transfer, primaries, matrix);
    return media_make(name, args);
}

static void test_high_range_and_wide_gamut(void **state)
{
    (void)state;
    const struct {
        const char *transfer, *primaries, *matrix, *pixels;
    } kind[] = {{"smpte2084", "bt2020", "bt2020nc", "yuv420p10le"},
                {"arib-std-b67", "bt2020", "bt2020nc", "yuv422p10le"},
                {"smpte2084", "smpte432", "bt709", "yuv444p12le"},
                {"bt2020-10", "bt2020", "bt2020nc", "yuv420p10le"},
                {"bt709", "smpte432", "bt709", "yuv444p10le"}};
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++) {
#define AS(colour) \
    converted(colour, kind[i].transfer, kind[i].primaries, kind[i].matrix, kind[i].pixels)
        check_colour(AS("FFFFFF"), 252, 252, 252, 3);
        check_colour(AS("808080"), 128, 128, 128, 2);
        check_colour(AS("C83C1E"), 200, 60, 30, 3);
        check_colour(AS("1E3CC8"), 30, 60, 200, 4);
#undef AS
    }
}

// Code values from the standards themselves: PQ's 203 nits, HLG's 75 %, and far brighter.
static void test_levels(void **state)
{
    (void)state;
    const struct {
        const char *transfer, *luma;
        int want, most;
    } level[] = {{"smpte2084", "573", 250, 4},
                 {"smpte2084", "940", 255, 1},
                 {"arib-std-b67", "721", 250, 4},
                 {"arib-std-b67", "940", 254, 1},
                 {"smpte2084", "64", 0, 0}};
    for (size_t i = 0; i < sizeof level / sizeof *level; i++) {
        char args[512];
        snprintf(
            args, sizeof args,
            "-f lavfi -i color=black:s=64x48:r=25:d=0.2,format=yuv420p10le,geq=lum=%s:cb=512:cr="
            "512 -c:v ffv1 -color_trc %s -color_primaries bt2020 -colorspace bt2020nc "
            "-color_range tv",
            level[i].luma, level[i].transfer);
        check_colour(media_make("level.mkv", args), level[i].want, level[i].want, level[i].want,
                     level[i].most);
        // transfer alone says enough
        snprintf(
            args, sizeof args,
            "-f lavfi -i color=black:s=64x48:r=25:d=0.2,format=yuv420p10le,geq=lum=%s:cb=512:cr="
            "512 -c:v ffv1 -color_trc %s",
            level[i].luma, level[i].transfer);
        check_colour(media_make("bare.mkv", args), level[i].want, level[i].want, level[i].want,
                     level[i].most);
    }
}

// Transparent parts stay so on the way: half of white, over black.
static void test_transparent(void **state)
{
    (void)state;
    check_colour(media_make("clear.mkv", "-f lavfi -i color=white:s=64x48:r=25:d=0.2,format="
                                         "yuva444p10le,geq=lum=573:cb=512:cr=512:a=512 -c:v ffv1 "
                                         "-color_trc smpte2084 -color_primaries bt2020 -colorspace "
                                         "bt2020nc -color_range tv"),
                 126, 126, 126, 3);
}

static void refuses(const char *path, const char *filter, const char *what)
{
    tk_media m;
    int64_t frames;
    bool has_audio;
    lacking = filter;
    assert_status(tk_media_read(path, &full, 60, 1, &m, NULL), TK_INPUT);
    assert_says(filter);
    assert_says(what);
    assert_says(strrchr(path, '/') + 1);
    assert_status(tk_media_probe(path, &full, 1, &frames, &has_audio), TK_INPUT);
    assert_says(filter);
    lacking = "";
}

static void test_filters_lacking(void **state)
{
    (void)state;
    const char *pq = converted("808080", "smpte2084", "bt2020", "bt2020nc", "yuv420p10le");
    refuses(pq, "zscale", "tone-mapped");
    refuses(pq, "tonemap", "tone-mapped");
    refuses(converted("808080", "bt709", "smpte432", "bt709", "yuv444p10le"), "zscale", "gamut");
    refuses(media_make("fields.mkv", BARS FIELDS CODEC), "bwdif", "deinterlaced");
    lacking = "zscale"; // others do not need it
    tk_media m = get(media_path("fields.mkv"), 25);
    tk_media_free(&m);
    lacking = "";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_interlaced),
        cmocka_unit_test(test_one_out_per_one_in),
        cmocka_unit_test(test_changes_inside),
        cmocka_unit_test(test_png),
        cmocka_unit_test(test_high_range_and_wide_gamut),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_transparent),
        cmocka_unit_test(test_filters_lacking),
    };
    return cmocka_run_group_tests(tests, open_media, media_close);
}
