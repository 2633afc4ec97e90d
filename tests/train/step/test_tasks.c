// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// Tasks: which rows each gives, how often each is chosen, and what becomes of clips that cannot.
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include "train/step/documents.h"
#include "train/step/references.h"
#include <math.h>
#include <stdio.h>

// Three shots of 2, 3 and 1 latent frames of 2 x 3 rows, 5 sound latents each frame, stereo.
enum { HIGH = 2, WIDE = 3, FRAMES = 6, EACH = 5, CHANNELS = 2, SHOTS = 3, TAIL = 1 };
enum { PICTURE = FRAMES * HIGH * WIDE, SOUND = (FRAMES * EACH + TAIL) * CHANNELS };
static const tk_codec_info codec = {.patch_frames = 2,
                                    .patch_size = 4,
                                    .fps = 8,
                                    .sample_rate = 8000,
                                    .audio_hop = 400,
                                    .audio_tail = TAIL,
                                    .channels = CHANNELS};
static const tk_shot_rows shots[SHOTS] = {
    {.latent_frames = 2, .audio_rows = 2 * EACH, .target = false},
    {.latent_frames = 3, .audio_rows = 3 * EACH, .start = 0.5, .target = true},
    {.latent_frames = 1, .audio_rows = EACH + TAIL, .start = 1.25, .target = true}};

typedef struct tried { // a task done with the document
    tk_arena arena;
    tk_document doc;
    tk_stream stream;
    const uint8_t *target[TK_MODALITIES]; // (rows) to be made
    int64_t n[TK_MODALITIES];             // of them
} tried;

static tk_key step_key(int64_t step)
{
    return tk_rng_key(7, TK_RNG_TASK, (uint64_t)step);
}

// The rows as the stream has them, which is what the objective looks at.
static void try_task(tried *t, tk_task task, int64_t j)
{
    *t = (tried){0};
    tk_arena_init(&t->arena, 0);
    t->doc = tk_document_on_grid(&codec, HIGH, WIDE, CHANNELS);
    t->doc.shots = shots;
    t->doc.n_shots = SHOTS;
    t->doc.t_video = 0.25;
    t->doc.t_audio = 0.5;
    const tk_task_document of = {.doc = &t->doc, .first = 1, .memory = 1, .codec = &codec};
    assert_true(tk_task_can(task, &of));
    assert_ok(tk_task_give(task, &of, step_key(3), j, &t->arena));
    assert_ok(tk_stream_init(&t->stream, &t->arena, tk_document_rows(&t->doc, NULL), 1, 3));
    assert_ok(tk_stream_append(&t->stream, &t->doc));
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        const tk_stream *s = &t->stream;
        uint8_t *target = tk_arena_alloc(&t->arena, (size_t)s->count[m]);
        const float level[] = {[TK_VIDEO] = 0.25F, [TK_AUDIO] = 0.5F};
        for (int64_t i = 0; i < s->count[m]; i++) {
            const int32_t row = s->row[m][i];
            target[i] = s->target[row];
            t->n[m] += target[i];
            assert_true(s->timestep[s->level[row]] == (target[i] ? level[m] : 1.0F));
        }
        assert_int_equal(tk_document_targets(&t->doc, m), t->n[m]);
        t->target[m] = target;
    }
    // Of the shot before nothing is made.
    for (int i = 0; i < 2 * HIGH * WIDE; i++) assert_false(t->target[TK_VIDEO][i]);
    for (int i = 0; i < 2 * EACH * CHANNELS; i++) assert_false(t->target[TK_AUDIO][i]);
}

static void leave(tried *t)
{
    tk_arena_free(&t->arena);
}

// Rows of a shot that is to be made, of the two modalities.
enum { MADE_PICTURE = 4 * HIGH * WIDE, MADE_SOUND = (4 * EACH + TAIL) * CHANNELS };

static void modalities_are_given_whole(void **state)
{
    static const struct {
        tk_task task;
        int picture, sound;
    } wanted[] = {{TK_TASK_TEXT, MADE_PICTURE, MADE_SOUND},
                  {TK_TASK_CONTINUE, MADE_PICTURE, MADE_SOUND},
                  {TK_TASK_PICTURE_TO_SOUND, 0, MADE_SOUND},
                  {TK_TASK_SOUND_TO_PICTURE, MADE_PICTURE, 0}};
    (void)state;
    for (int k = 0; k < 4; k++) {
        tried t;
        try_task(&t, wanted[k].task, 0);
        assert_int_equal(t.n[TK_VIDEO], wanted[k].picture);
        assert_int_equal(t.n[TK_AUDIO], wanted[k].sound);
        leave(&t);
    }
}

// Latent frame f of the picture: rows of it that are made.
static int made_of(const tried *t, int f)
{
    int n = 0;
    for (int i = 0; i < HIGH * WIDE; i++) n += t->target[TK_VIDEO][f * HIGH * WIDE + i];
    return n;
}

static void a_keyframe_is_one_whole_frame(void **state)
{
    enum { TIMES = 600 };
    int at[FRAMES] = {0};
    (void)state;
    for (int j = 0; j < TIMES; j++) {
        tried t;
        try_task(&t, TK_TASK_KEYFRAME, j);
        assert_int_equal(t.n[TK_VIDEO], MADE_PICTURE - HIGH * WIDE);
        assert_int_equal(t.n[TK_AUDIO], MADE_SOUND);
        for (int f = 2; f < FRAMES; f++) at[f] += made_of(&t, f) == 0;
        leave(&t);
    }
    assert_int_equal(at[2] + at[3] + at[4] + at[5], TIMES);
    const double end = 1 / 3.0 + 1 / 12.0, middle = 1 / 12.0;
    const double wanted[] = {end, middle, middle, end};
    for (int f = 2; f < FRAMES; f++) assert_near(at[f] / (double)TIMES, wanted[f - 2], 0.06);
}

// Picture and sound of the same latent frames, next to each other; the tail goes with the end.
static void a_span_is_made_in_both(void **state)
{
    int lengths = 0, first = 0, last = 0;
    (void)state;
    for (int j = 0; j < 200; j++) {
        tried t;
        int begin = FRAMES, end = 0;
        try_task(&t, TK_TASK_SPAN, j);
        for (int f = 2; f < FRAMES; f++) {
            const int made = made_of(&t, f);
            assert_true(made == 0 || made == HIGH * WIDE);
            if (made && f < begin) begin = f;
            if (made) end = f + 1;
        }
        assert_true(begin < end && end - begin < 4);
        assert_int_equal(t.n[TK_VIDEO], (end - begin) * HIGH * WIDE);
        const int until = end == FRAMES ? SOUND : end * EACH * CHANNELS;
        for (int i = 0; i < SOUND; i++)
            assert_int_equal(t.target[TK_AUDIO][i], i >= begin * EACH * CHANNELS && i < until);
        lengths |= 1 << (end - begin);
        first |= begin == 2;
        last |= end == FRAMES;
        leave(&t);
    }
    assert_int_equal(lengths, 2 + 4 + 8);
    assert_true(first && last);
}

// The same rectangle of each frame, never the whole; of the sound nothing.
static void a_region_is_a_part_of_the_picture(void **state)
{
    uint64_t seen = 0;
    (void)state;
    for (int j = 0; j < 400; j++) {
        tried t;
        try_task(&t, TK_TASK_REGION, j);
        const uint8_t *one = t.target[TK_VIDEO] + 2 * HIGH * WIDE;
        int top = HIGH, bottom = 0, left = WIDE, right = 0, mask = 0;
        for (int f = 3; f < FRAMES; f++)
            assert_memory_equal(t.target[TK_VIDEO] + f * HIGH * WIDE, one, HIGH * WIDE);
        for (int i = 0; i < HIGH * WIDE; i++) {
            const int y = i / WIDE, x = i % WIDE;
            if (!one[i]) continue;
            top = y < top ? y : top;
            left = x < left ? x : left;
            bottom = y + 1 > bottom ? y + 1 : bottom;
            right = x + 1 > right ? x + 1 : right;
            mask |= 1 << i;
        }
        assert_int_equal(t.n[TK_VIDEO], 4 * (bottom - top) * (right - left));
        assert_in_range(t.n[TK_VIDEO], 4, MADE_PICTURE - 1);
        assert_int_equal(t.n[TK_AUDIO], 0);
        seen |= UINT64_C(1) << mask;
        leave(&t);
    }
    assert_int_equal(__builtin_popcountll(seen), 3 * 6 - 1); // rectangles of 2 x 3 but the whole
}

// The same again, and other documents are others.
static void draws_depend_on_step_and_document_alone(void **state)
{
    int differ = 0;
    (void)state;
    for (int j = 0; j < 20; j++) {
        tried a, b, c;
        try_task(&a, TK_TASK_REGION, j);
        try_task(&b, TK_TASK_REGION, j);
        try_task(&c, TK_TASK_REGION, j + 1);
        assert_memory_equal(a.target[TK_VIDEO], b.target[TK_VIDEO], PICTURE);
        differ += memcmp(a.target[TK_VIDEO], c.target[TK_VIDEO], PICTURE) != 0;
        leave(&a), leave(&b), leave(&c);
    }
    assert_true(differ > 10);
}

static void tasks_are_as_frequent_as_their_weights(void **state)
{
    enum { TIMES = 8000 };
    tk_tasks_config c = {.weight = {4, 0, 1, 2}};
    int seen[TK_TASKS] = {0};
    (void)state;
    for (int j = 0; j < TIMES; j++) seen[tk_task_choose(&c, step_key(j % 7), j)]++;
    for (int t = 0; t < TK_TASKS; t++)
        assert_near(seen[t] / (double)TIMES, c.weight[t] / 7, c.weight[t] > 0 ? 0.02 : 1e-9);
}

// ---- references --------------------------------------------------------------------------------

static tk_reference_rows face(const char *tag, int64_t frames)
{
    return (tk_reference_rows){.tag = tag, .latent_frames = frames, .high = 1, .wide = 2};
}

static tk_reference_rows voice(const char *tag, int64_t rows)
{
    return (tk_reference_rows){.tag = tag, .audio_rows = rows};
}

// A latent frame lasts 1/4 of a second, a row of sound 1/20.
static void references_lie_before_the_start(void **state)
{
    const tk_reference_rows r[] = {face("", 3), voice("voice 7", 6), face("", 2)};
    tk_shot_rows at[3];
    (void)state;
    tk_lay_references(3, r, &codec, at);
    assert_true(at[2].start == -0.5);
    assert_near(at[1].start, -0.5 - 0.3, 1e-12);
    assert_near(at[0].start, -0.5 - 0.3 - 0.75, 1e-12);
    for (int k = 0; k < 3; k++) {
        assert_int_equal(at[k].latent_frames, r[k].latent_frames);
        assert_int_equal(at[k].audio_rows, r[k].audio_rows);
        assert_int_equal(at[k].width, r[k].wide);
        assert_false(at[k].target);
    }
}

// Face and voice of one character; the longer one counts.
static void what_belongs_together_lies_together(void **state)
{
    const tk_reference_rows r[] = {face("face 1", 1), face("face 2", 1), voice("voice 1", 20),
                                   voice("voice 2", 4)};
    tk_shot_rows at[4];
    (void)state;
    tk_lay_references(4, r, &codec, at);
    assert_near(at[1].start, -0.25, 1e-12);
    assert_near(at[3].start, -0.25, 1e-12);
    assert_near(at[0].start, -1.25, 1e-12);
    assert_near(at[2].start, -1.25, 1e-12);
}

static void captions_name_what_is_given(void **state)
{
    static const struct {
        const char *caption, *cited;
    } words[] = {
        {"Bo: Ada waves", "<face 2>: <face 1> <voice 1> waves"},
        {"Bobby and BoBo", "Bobby and BoBo"},
        {"\"Bo!\" Bo", "\"<face 2>!\" <face 2>"},
        {"Bo Peep and B\303\266o", "<face 3> and B\303\266o"},
        {"", ""},
    };
    enum { N = sizeof words / sizeof words[0] };
    tk_clip_citation cited[] = {{0, "face 1", "Ada"},
                                {1, "face 2", "Bo"},
                                {2, "voice 1", "Ada"},
                                {3, "face 3", "Bo Peep"},
                                {4, "face 4", ""}};
    tk_clip_shot shot[N] = {{0}};
    const tk_clip_info info = {.n_shots = N, .shot = shot, .n_citations = 5, .citation = cited};
    const tk_clip_shot *out;
    tk_arena a;
    (void)state;
    tk_arena_init(&a, 0);
    for (int k = 0; k < N; k++) shot[k].caption = (char *)words[k].caption;
    assert_ok(tk_cite_captions(&info, &a, &out));
    for (int k = 0; k < N; k++) assert_string_equal(out[k].caption, words[k].cited);
    tk_arena_free(&a);
}

// A clip of one shot, one latent frame, one patch, without sound: it can be made from text alone.
static void what_a_clip_lacks_rules_tasks_out(void **state)
{
    static const tk_shot_rows least = {.latent_frames = 1, .target = true};
    tk_document doc = tk_document_on_grid(&codec, 1, 1, 1);
    (void)state;
    doc.shots = &least;
    doc.n_shots = 1;
    const tk_task_document of = {.doc = &doc, .codec = &codec};
    for (tk_task t = 0; t < TK_TASKS; t++) assert_int_equal(tk_task_can(t, &of), t == TK_TASK_TEXT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modalities_are_given_whole),
        cmocka_unit_test(a_keyframe_is_one_whole_frame),
        cmocka_unit_test(a_span_is_made_in_both),
        cmocka_unit_test(a_region_is_a_part_of_the_picture),
        cmocka_unit_test(draws_depend_on_step_and_document_alone),
        cmocka_unit_test(tasks_are_as_frequent_as_their_weights),
        cmocka_unit_test(references_lie_before_the_start),
        cmocka_unit_test(what_belongs_together_lies_together),
        cmocka_unit_test(captions_name_what_is_given),
        cmocka_unit_test(what_a_clip_lacks_rules_tasks_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
