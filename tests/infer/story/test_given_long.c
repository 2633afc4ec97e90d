// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// What a storyboard gives takes memory by what it says, not by how long it is: of 1, of 10 and of
// 60 minutes with the same keyframes, regions and sound the same bytes; of more keyframes so many
// more. And each window gets its own part of it.
#include "infer/story/given.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <stdio.h>

// Shots of four seconds; of the codec of tests, 8 frames a second, a frame of 27 x 15 patches.
enum { SECONDS = 4, MOST = 60 * 60 / SECONDS, WIDTH = 27 * 4, HEIGHT = 15 * 4, FRAME = 27 * 15 };
enum { LATENTS = SECONDS * 4, MOST_KEYFRAMES = 2 * MOST };
// Of a keyframe or a remade shot: a box of each modality, in a list that was grown by doubling.
enum { EACH = 2 * 4 * sizeof(tk_given_change) };

static tk_codec *codec;
static tk_config config;
static tk_shot_config shots[MOST];
static char prompt[] = "Ada waves", picture[] = "ada.png", film[] = "ada.mp4", sound[] = "ada.wav";
static tk_keyframe_config keyframes[MOST_KEYFRAMES];
static int64_t remade[MOST];

static int set_up(void **state)
{
    (void)state;
    tk_config_init(&config);
    config.media.width = WIDTH;
    config.media.height = HEIGHT;
    config.sample.window = 3 * SECONDS;
    for (int i = 0; i < MOST; i++)
        shots[i] = (tk_shot_config){.seconds = SECONDS, .prompt = prompt};
    for (int i = 0; i < MOST_KEYFRAMES; i++)
        keyframes[i] = (tk_keyframe_config){.at = i * SECONDS / 2.0, .picture = picture};
    for (int i = 0; i < MOST; i++) remade[i] = i;
    codec = test_codec(1);
    return codec ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    tk_codec_free(codec);
    return 0;
}

typedef struct laid {
    tk_arena of_story, of_given, of_window;
    tk_story story;
    tk_story_given given;
} laid;

// What config.story gives of n shots, none of it read.
static void lay(int n, laid *x)
{
    config.story.shots = shots;
    config.story.n_shots = n;
    tk_arena_init(&x->of_story, 0);
    tk_arena_init(&x->of_given, 0);
    tk_arena_init(&x->of_window, 0);
    assert_ok(tk_story_plan(&config, codec, &x->of_story, &x->story));
    assert_ok(
        tk_story_given_lay(&config, &x->story, tk_codec_get_info(codec), &x->of_given, &x->given));
}

static void leave(laid *x)
{
    tk_arena_free(&x->of_story);
    tk_arena_free(&x->of_given);
    tk_arena_free(&x->of_window);
}

static void give_nothing(void)
{
    config.story.keyframes = keyframes;
    config.story.n_keyframes = 0;
    config.story.sound = config.story.picture = "";
    config.story.remix =
        (tk_remix_config){.clip = "", .shots = remade, .right = 1, .bottom = 1, .strength = 1};
}

static size_t bytes_of(int n)
{
    laid x;
    lay(n, &x);
    const size_t bytes = x.of_given.used;
    leave(&x);
    return bytes;
}

static void hold(const char *what, size_t items)
{
    const size_t bytes[] = {bytes_of(MOST / 60), bytes_of(MOST / 6), bytes_of(MOST)};
    print_message("%s: %zu bytes of a minute, %zu of ten, %zu of an hour\n", what, bytes[0],
                  bytes[1], bytes[2]);
    assert_int_equal(bytes[1], bytes[0]);
    assert_int_equal(bytes[2], bytes[0]);
    assert_true(bytes[0] <= 1024 + items * EACH);
}

static void the_same_is_given_of_any_length(void **state)
{
    (void)state;
    give_nothing();
    config.story.n_keyframes = 20;
    hold("20 keyframes", 20);
    config.story.sound = sound;
    hold("20 keyframes and sound", 21);
    give_nothing();
    config.story.picture = film;
    hold("picture", 1);
    give_nothing();
    config.story.remix.clip = film;
    config.story.remix.left = 0.25;
    config.story.remix.n_shots = 10;
    hold("a region of 10 shots", 10);
    config.story.remix.shots = NULL;
    config.story.remix.n_shots = 0;
    config.story.remix.from = 1;
    hold("a region of the whole", 1);
}

static void more_takes_more(void **state)
{
    (void)state;
    give_nothing();
    config.story.n_keyframes = MOST_KEYFRAMES;
    assert_in_range(bytes_of(MOST), MOST_KEYFRAMES * sizeof(tk_given_change),
                    1024 + MOST_KEYFRAMES * EACH);
    config.story.n_keyframes = 0;
    config.story.remix.clip = film;
    config.story.remix.n_shots = MOST;
    assert_in_range(bytes_of(MOST), MOST * sizeof(tk_given_change), 1024 + MOST * EACH);
}

// Every second shot is made in its right half, beside a keyframe of the first frame of each and of
// its middle one; of the shots between nothing is made.
static void windows_get_their_own_part(void **state)
{
    laid x;
    (void)state;
    give_nothing();
    config.story.n_keyframes = MOST_KEYFRAMES;
    config.story.remix.clip = film;
    config.story.remix.left = 14 / 27.0;
    config.story.remix.n_shots = MOST / 2;
    for (int i = 0; i < MOST / 2; i++) remade[i] = 2 * i;
    lay(MOST, &x);
    assert_int_equal(x.story.grid.latent_frames, (int64_t)MOST * LATENTS);
    for (int i = 1; i < x.story.n_windows; i++) {
        const tk_window *w = &x.story.windows[i];
        const bool made = w->target % 2 == 0;
        const tk_shot_rows shot[] = {
            {.latent_frames = LATENTS, .audio_rows = x.story.shot[0].audio_rows},
            {.latent_frames = LATENTS,
             .audio_rows = x.story.shot[w->target].audio_rows + x.story.tail,
             .target = true}};
        tk_document doc = x.given.doc;
        tk_window one = *w;
        doc.shots = shot;
        doc.n_shots = 2;
        one.n_memory = 0;
        tk_arena_reset(&x.of_window);
        assert_ok(tk_story_give(&x.given, &x.story, &one, 1, &x.of_window, &doc));
        assert_true(x.of_window.used <= 2 * LATENTS * FRAME + 8192);
        for (int r = 0; r < 2 * LATENTS * FRAME; r++) {
            const int f = r / FRAME - LATENTS; // of the shot
            const bool given = f >= 0 && (!made || f % (LATENTS / 2) == 0 || r % 27 < 14);
            if (doc.given[TK_VIDEO][r] != given) fail_msg("shots[%d], row %d", w->target, r);
        }
        assert_int_equal(tk_document_targets(&doc, TK_AUDIO), 0);
        assert_int_equal(tk_story_window_makes(&x.given, &x.story, w), made);
    }
    leave(&x);
    for (int i = 0; i < MOST; i++) remade[i] = i;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_is_given_of_any_length),
        cmocka_unit_test(more_takes_more),
        cmocka_unit_test(windows_get_their_own_part),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
