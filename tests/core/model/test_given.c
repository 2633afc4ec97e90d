// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// What is given, told in boxes: of any window the rows that a mask of the whole would have, to the
// bit, whatever became given and not given again; and no memory for rows.
#include "core/model/given.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"

// Two shots before, one of them a reference of another size, then two of 7 and 6 latent frames.
enum { HIGH = 3, WIDE = 4, CHANNELS = 2, BEFORE = 2, FIRST = 7, FRAMES = 13, SOUND = 29 };
enum { EARLIER_PICTURE = 2 * 2 + 2 * HIGH * WIDE, EARLIER_SOUND = 5 };
static const tk_shot_rows shots[] = {
    {.latent_frames = 2, .height = 1, .width = 2, .audio_rows = 0, .start = -1},
    {.latent_frames = 2, .audio_rows = EARLIER_SOUND},
    {.latent_frames = FIRST, .audio_rows = 15, .target = true},
    {.latent_frames = FRAMES - FIRST, .audio_rows = SOUND - 15, .target = true}};
static const tk_document document = {
    .n_shots = 4, .shots = shots, .height = HIGH, .width = WIDE, .audio_channels = CHANNELS};

typedef struct mask { // a byte a row, of the whole
    uint8_t picture[FRAMES][HIGH][WIDE], sound[SOUND][CHANNELS];
} mask;

static tk_arena arena;
static uint64_t drawn;

static int64_t draw(int64_t below)
{
    return tk_rng_below(tk_rng_key(5, TK_RNG_TEST, 0), drawn++, below);
}

// Also ones that reach beyond what is there.
static void span(int64_t of, int64_t *begin, int64_t *end)
{
    *begin = draw(of + 1) - 1;
    *end = *begin + draw(of - *begin + 2);
}

static void change_some(tk_given *g, mask *x)
{
    const bool sound = draw(3) == 0, given = draw(3) != 0;
    tk_given_box b = {0};
    span(sound ? SOUND : FRAMES, &b.begin, &b.end);
    if (!sound) span(HIGH, &b.top, &b.bottom), span(WIDE, &b.left, &b.right);
    if (draw(4) == 0) b = g->whole[sound ? TK_AUDIO : TK_VIDEO];
    assert_ok(tk_give(g, sound ? TK_AUDIO : TK_VIDEO, &b, given));
    for (int64_t f = 0; f < (sound ? SOUND : FRAMES); f++) {
        if (f < b.begin || f >= b.end) continue;
        if (sound) memset(x->sound[f], given, CHANNELS);
        for (int64_t i = 0; i < HIGH * WIDE && !sound; i++)
            if (i / WIDE >= b.top && i / WIDE < b.bottom && i % WIDE >= b.left &&
                i % WIDE < b.right)
                x->picture[f][i / WIDE][i % WIDE] = given;
    }
}

// Whether of the window any row is left.
static bool check_window(const tk_given *g, const mask *x, int modality)
{
    const bool sound = modality == TK_AUDIO;
    const int64_t all = sound ? SOUND : FRAMES, each = sound ? CHANNELS : HIGH * WIDE;
    const uint8_t *whole = sound ? &x->sound[0][0] : &x->picture[0][0][0];
    const int64_t begin = draw(all), end = begin + 1 + draw(all - begin);
    uint8_t row[FRAMES * HIGH * WIDE + SOUND * CHANNELS];
    memset(row, 7, sizeof row);
    tk_given_rows(g, modality, begin, end, row);
    assert_memory_equal(row, whole + begin * each, (size_t)((end - begin) * each));
    assert_int_equal(row[(end - begin) * each], 7);
    const bool leaves = memchr(row, 0, (size_t)((end - begin) * each)) != NULL;
    assert_int_equal(tk_given_leaves(g, modality, begin, end), leaves);
    return leaves;
}

static void windows_are_those_of_a_whole_mask(void **state)
{
    int full = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        tk_given g;
        mask x = {0};
        tk_given_open(&document, BEFORE, &arena, &g);
        assert_int_equal(g.before, 4);
        assert_int_equal(g.whole[TK_VIDEO].end, FRAMES);
        assert_int_equal(g.whole[TK_AUDIO].end, SOUND);
        for (int64_t n = draw(30); n > 0; n--) {
            change_some(&g, &x);
            full += !check_window(&g, &x, TK_VIDEO);
            check_window(&g, &x, TK_AUDIO);
        }
        tk_arena_reset(&arena);
    }
    assert_true(full > 300);
}

// Shots before are none of what is given.
static void masks_begin_with_their_shots(void **state)
{
    static const int64_t begin[TK_MODALITIES] = {[TK_VIDEO] = 5, [TK_AUDIO] = 20};
    const tk_shot_rows window[] = {shots[0], shots[1], {.latent_frames = 3, .audio_rows = 6}};
    tk_document doc = document;
    tk_given g;
    mask x = {0};
    (void)state;
    doc.shots = window;
    doc.n_shots = 3;
    tk_given_open(&document, BEFORE, &arena, &g);
    while (g.n < 20) change_some(&g, &x);
    assert_ok(tk_given_mask(&g, begin, BEFORE, &arena, &doc));
    for (int i = 0; i < EARLIER_PICTURE; i++) assert_int_equal(doc.given[TK_VIDEO][i], 0);
    for (int i = 0; i < EARLIER_SOUND * CHANNELS; i++) assert_int_equal(doc.given[TK_AUDIO][i], 0);
    assert_memory_equal(doc.given[TK_VIDEO] + EARLIER_PICTURE, x.picture[5], 3 * HIGH * WIDE);
    assert_memory_equal(doc.given[TK_AUDIO] + EARLIER_SOUND * CHANNELS, x.sound[20], 6 * CHANNELS);
    tk_arena_reset(&arena);
}

static void memory_is_by_changes_not_by_rows(void **state)
{
    const tk_shot_rows day = {.latent_frames = 1 << 20, .audio_rows = 1 << 22, .target = true};
    tk_document doc = document;
    tk_given g;
    (void)state;
    doc.shots = &day;
    doc.n_shots = 1;
    doc.height = doc.width = 1 << 10;
    tk_given_open(&doc, 0, &arena, &g);
    assert_int_equal(arena.used, 0);
    for (int64_t n = 0; n < 1000; n++) {
        const tk_given_box b = {.begin = n, .end = day.latent_frames - n, .bottom = 1, .right = 2};
        assert_ok(tk_give(&g, TK_VIDEO, &b, n % 2));
    }
    assert_true(arena.used <= 4 * 1000 * sizeof *g.change); // doubled, and what it grew out of
    assert_true(tk_given_leaves(&g, TK_VIDEO, 0, day.latent_frames));
    assert_true(tk_given_leaves(&g, TK_AUDIO, 0, day.audio_rows));
    assert_ok(tk_give(&g, TK_VIDEO, &g.whole[TK_VIDEO], true));
    assert_false(tk_given_leaves(&g, TK_VIDEO, 0, day.latent_frames));
    tk_arena_reset(&arena);
}

static void want_of_memory_is_told(void **state)
{
    tk_given g;
    (void)state;
    tk_arena_free(&arena);
    tk_arena_init(&arena, 0);
    tk_given_open(&document, BEFORE, &arena, &g);
    tk_alloc_fail_at(1, true);
    const tk_status st = tk_give(&g, TK_VIDEO, &g.whole[TK_VIDEO], true);
    tk_alloc_fail_at(0, false);
    assert_status(st, TK_MEMORY);
    assert_int_equal(g.n, 0);
    assert_ok(tk_give(&g, TK_VIDEO, &g.whole[TK_VIDEO], true));
    assert_false(tk_given_leaves(&g, TK_VIDEO, 0, FRAMES));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_those_of_a_whole_mask),
        cmocka_unit_test(masks_begin_with_their_shots),
        cmocka_unit_test(memory_is_by_changes_not_by_rows),
        cmocka_unit_test(want_of_memory_is_told),
    };
    tk_arena_init(&arena, 0);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tk_arena_free(&arena);
    return failed;
}
