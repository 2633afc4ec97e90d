// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// What a gallery's page is told of shots by the JSON beside a clip, which is anybody's, and what
// comes of it: captions that are seen whole, a remix that asks for what was asked for.
#include "infer/gallery/clips.h"
#include "tests/infer/gallery/films.h"
#include "tests/support/browser.h"
#include <time.h>

#define LONG                                                                                 \
    "Bo walks on the beach, where the waves come in one after the other and carry sand and " \
    "shells "                                                                                \
    "away, while the sun goes down behind the pier and gulls quarrel over what a child has " \
    "dropped, "                                                                              \
    "and nobody looks"

static const film one = {"clips/one.mp4", 1, NULL, 3, "noir", {LONG, NULL}};
static char clips[200], site[200];

static int open_films(void **state)
{
    if (signed_open(state) != 0) return -1;
    snprintf(clips, sizeof clips, "%s", signed_path("clips"));
    snprintf(site, sizeof site, "%s", signed_path("site"));
    mkdir(clips, 0700);
    film_make(&one);
    return 0;
}

static int close_films(void **state)
{
    return signed_close(state);
}

static json_t *built(void)
{
    assert_ok(gallery_by(clips, site, "", ""));
    return gallery_told(site);
}

static const json_t *clip_of(const json_t *told)
{
    return json_array_get(json_object_get(told, "clips"), 0);
}

// The JSON beside one.mp4 says of its shots what `list` says.
static void tell_shots(const signed_file *as_made, json_t *list)
{
    json_t *root = json_loadb((const char *)as_made->x, as_made->n, 0, NULL);
    assert_int_equal(json_object_set_new(root, "shots", list), 0);
    assert_int_equal(json_dump_file(root, signed_path("clips/one.json"), 0), 0);
    json_decref(root);
}

static double number_in(const json_t *told, size_t shot, const char *key)
{
    const json_t *shots = json_object_get(clip_of(told), "shots");
    return json_number_value(json_object_get(json_array_get(shots, shot), key));
}

// Shots lie where the film has them, whatever is said; of words no more than a storyboard's.
static void shots_are_those_of_the_film(void **state)
{
    signed_file kept;
    char word[10002];
    (void)state;
    signed_read("clips/one.json", &kept);
    tell_shots(&kept, json_pack("[{s:f, s:f, s:f}, {s:f, s:f, s:f}]", "start", 0.0, "at", 0.0,
                                "seconds", 1.5, "start", 1.5, "at", 0.75, "seconds", 1.25));
    json_t *told = built();
    assert_near(number_in(told, 0, "seconds"), 0.75, 1e-9);
    assert_near(number_in(told, 1, "start"), 0.75, 1e-9);
    assert_near(number_in(told, 1, "seconds"), 1.25, 0.1);
    json_decref(told);
    tell_shots(&kept, json_pack("[{s:f}, {s:f}, {s:s, s:[]}, i, n]", "start", -5.0, "start", 1e300,
                                "start", "x", "caption", 7));
    told = built();
    for (size_t i = 0; i < 5; i++) {
        assert_in_range((int)number_in(told, i, "start"), 0, 2);
        assert_in_range((int)number_in(told, i, "seconds"), 0, 2);
    }
    json_decref(told);
    json_t *many = json_array();
    for (int i = 0; i < 5000; i++) memcpy(word + 1 + 2 * i, "\xc3\xa9", 2);
    word[0] = 'x'; // so that letters lie over the ends of what is taken
    word[10001] = 0;
    for (int i = 0; i < 1200; i++) json_array_append_new(many, json_pack("{s:s}", "caption", word));
    tell_shots(&kept, many);
    told = built();
    const json_t *shots = json_object_get(clip_of(told), "shots");
    size_t all = 0;
    for (size_t i = 0; i < json_array_size(shots); i++)
        all += strlen(text_in(json_array_get(shots, i), "prompt"));
    assert_int_equal(json_array_size(shots), TK_GALLERY_SHOTS);
    assert_int_equal(strlen(text_in(json_array_get(shots, 0), "prompt")), 4095);
    assert_int_equal(all, 128 << 10);
    json_decref(told);
    signed_write("clips/one.json", kept.x, kept.n);
}

// A clock that was wrong takes nobody's place, and no page down.
static void no_clip_is_of_the_future(void **state)
{
    static const int64_t when[] = {9000000000, -9000000000};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const struct timeval times[2] = {{.tv_sec = when[i]}, {.tv_sec = when[i]}};
        assert_int_equal(utimes(signed_path("clips/one.mp4"), times), 0);
        json_t *told = built();
        const json_t *time_told = json_object_get(clip_of(told), "time");
        assert_true(json_integer_value(time_told) >= 0);
        assert_true(json_integer_value(time_told) <= time(NULL));
        json_decref(told);
    }
}

// Height of the tallest box of a caption that is shown, in pixels; 0: there is none.
static double caption_height(browser *b)
{
    json_t *all = browser_call(b, "DOM.getFlattenedDocument",
                               json_pack("{s:i, s:b}", "depth", -1, "pierce", 1));
    const json_t *nodes = json_object_get(all, "nodes");
    double height = 0;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i), *told = json_object_get(node, "attributes");
        bool its = false;
        for (size_t k = 0; k < json_array_size(told); k++)
            its |= !strcmp(json_string_value(json_array_get(told, k)),
                           "-webkit-media-text-track-display");
        if (!its) continue;
        json_t *box = browser_call(b, "DOM.getBoxModel",
                                   json_pack("{s:O}", "nodeId", json_object_get(node, "nodeId")));
        height = fmax(height,
                      json_number_value(json_object_get(json_object_get(box, "model"), "height")));
        json_decref(box);
    }
    json_decref(all);
    return height;
}

#define FILM "document.querySelector('.slide.current video')"

// A caption has as many lines as it needs, and leaves its picture to be seen.
static void long_captions_are_seen_whole(void **state)
{
    char page[300];
    (void)state;
    json_decref(built());
    browser *b = browser_open();
    if (!b) skip();
    snprintf(page, sizeof page, "file://%s/index.html", site);
    browser_size(b, 390, 844, true);
    browser_show(b, page);
    browser_wait(b, FILM "?.textTracks[0]?.activeCues?.length === 1");
    assert_int_equal(browser_number(b, FILM ".textTracks[0].activeCues[0].text.length"), 202);
    usleep(300000);
    json_decref(browser_call(b, "DOM.enable", NULL));
    assert_in_range((int)caption_height(b), 100, 250);
    // A long word costs no time.
    assert_true(browser_number(b, "(() => { const t = performance.now(); "
                                  "talkie.captionOf('a'.repeat(100000)); return performance.now() "
                                  "- t; })()") < 1000);
    // What its style adds to a prompt is asked for again; where room is scarce fields keep theirs.
    browser_size(b, 390, 420, true);
    browser_key(b, "r");
    browser_wait(b, "document.querySelector('.outlet')?.clientHeight > 200");
    assert_true(browser_true(b, "document.getElementById('remix-prompt').value.startsWith('noir, "
                                "Bo walks')"));
    browser_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shots_are_those_of_the_film),
        cmocka_unit_test(no_clip_is_of_the_future),
        cmocka_unit_test(long_captions_are_seen_whole),
    };
    return cmocka_run_group_tests(tests, open_films, close_films);
}
