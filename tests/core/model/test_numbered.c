// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// model.shots=numbered: rows tell of which shot they are. (Its gradients:
// tests/core/model/test_model.c; on every layout: tests/train/step/test_layouts.c and
// tests/infer/sampler/test_sampler.c.)
#include "tests/core/model/rig.h"

enum { SHOTS = 7, ROWS = 64, FRAMES = 4 };

static tk_document pictures(int n, const tk_shot_rows *shots, const int64_t *captions)
{
    int64_t text = 0;
    for (int k = 0; k < n && captions; k++) text += captions[k];
    return (tk_document){.text_rows = text,
                         .caption_rows = captions,
                         .n_shots = n,
                         .shots = shots,
                         .height = 1,
                         .width = 1,
                         .fps = 8,
                         .cadence = {2},
                         .audio_units = 1,
                         .audio_channels = 1,
                         .t_video = 0.3,
                         .t_audio = 0.6,
                         .t_clean = 1};
}

// Two references, two shots of memory and a shot to make: captions go with their shots, and with
// the rest of the text nothing.
static void shots_and_captions_are_counted(void **state)
{
    static const tk_shot_rows shots[5] = {{.latent_frames = 1, .start = -0.5},
                                          {.audio_rows = 2, .start = -0.25},
                                          {.latent_frames = 1, .audio_rows = 1},
                                          {.latent_frames = 2, .start = 0.25},
                                          {.latent_frames = 1, .start = 0.75, .target = true}};
    static const int64_t captions[5] = {0, 0, 3, 1, 2};
    static const int32_t want[] = {1, 1, 1, 2, 3, 3, 0, 0, 0, 0, 0, 1, 1, 2, 2, 3};
    tk_arena a;
    tk_stream s;
    tk_document d = pictures(5, shots, captions);
    (void)state;
    d.text_rows += 2; // of none
    tk_arena_init(&a, 0);
    assert_ok(tk_stream_init(&s, &a, ROWS, 3, 3));
    assert_ok(tk_stream_append(&s, &d));
    enum { ALL = sizeof want / sizeof *want, GIVEN = 7 };
    assert_int_equal(s.rows, ALL);
    assert_memory_equal(s.number, want, sizeof want);
    d.caption_rows = NULL;
    d.laid = TK_LAID_GIVEN; // as they are kept: of text nothing, of shots the same
    assert_ok(tk_stream_append(&s, &d));
    assert_int_equal(s.rows, ALL + GIVEN);
    assert_memory_equal(s.number + ALL, want + 8, GIVEN * sizeof *want);
    d.caption_rows = captions;
    d.text_rows = 5;
    assert_int_equal(tk_stream_append(&s, &d), TK_INTERNAL);
    assert_says("captions of 6 rows in a document of 5 of text");
    tk_arena_free(&a);
}

// Velocities of the document's FRAMES pictures.
static void ask_model(rig *r, const tk_document *d, float *out)
{
    const tk_model_config *c = &r->model.config;
    tk_stream s;
    tk_batch b = {0};
    tk_tape t;
    tk_forward f;
    assert_ok(tk_stream_init(&s, &r->arena, ROWS, 1, 3));
    assert_ok(tk_stream_append(&s, d));
    assert_int_equal(s.count[TK_VIDEO], FRAMES);
    const float none = 0;
    const tk_host_rows in = {
        .video = noise(r, FRAMES * c->video_channels, 11), .audio = &none, .tokens = r->tokens};
    tk_tape_init(&t, &r->device, TK_TAPE_RUN);
    assert_ok(tk_batch_open(&b, &r->model, &s, &in, &r->host));
    assert_ok(tk_model_forward(&r->model, &t, &b, NULL, false, &f));
    assert_ok(tk_device_get(&r->device, &f.video->t, out));
    tk_tape_free(&t);
    tk_batch_close(&b);
}

// The same pictures at the same times, cut elsewhere: nothing else tells the model.
static void the_model_is_told_where_a_cut_lies(void **state)
{
    static const tk_shot_rows early[2] = {{.latent_frames = 1, .target = true},
                                          {.latent_frames = 3, .start = 0.25, .target = true}};
    static const tk_shot_rows late[2] = {{.latent_frames = 3, .target = true},
                                         {.latent_frames = 1, .start = 0.75, .target = true}};
    static const int64_t one[2] = {2, 3}, other[2] = {3, 2};
    (void)state;
    for (int k = 0; k < 6; k++) {
        rig r;
        float is[3][FRAMES * 8];
        const bool numbered = k & 1;
        open_kind(&r, (kind){.ops = k & 2 ? &tk_device_cpu : &tk_device_ref,
                             .compute = k & 4 ? TK_BF16 : TK_F32,
                             .threads = 1,
                             .numbered = numbered});
        const size_t bytes = (size_t)(FRAMES * r.model.config.video_channels) * sizeof(float);
        const tk_document d[3] = {pictures(2, early, one), pictures(2, late, one),
                                  pictures(2, late, other)};
        for (int i = 0; i < 3; i++) ask_model(&r, &d[i], is[i]);
        assert_int_equal(memcmp(is[0], is[1], bytes) != 0, numbered);
        assert_int_equal(memcmp(is[1], is[2], bytes) != 0, numbered);
        close_rig(&r);
    }
}

// Numbers come round again, so a storyboard's shots may be more than training's: neighbours
// differ all the same.
static void neighbours_always_differ(void **state)
{
    tk_shot_rows shots[SHOTS];
    rig r;
    (void)state;
    for (int k = 0; k < SHOTS; k++)
        shots[k] = (tk_shot_rows){.latent_frames = 1, .start = 0.25 * k, .target = true};
    const tk_document d = pictures(SHOTS, shots, NULL);
    open_kind(&r, (kind){.ops = &tk_device_ref, .threads = 1, .numbered = true});
    tk_stream s;
    tk_batch b = {0};
    int32_t pick[SHOTS][2];
    const float *video = noise(&r, SHOTS * r.model.config.video_channels, 11);
    const tk_host_rows in = {.video = video, .audio = video, .tokens = r.tokens};
    assert_ok(tk_stream_init(&s, &r.arena, ROWS, 1, 3));
    assert_ok(tk_stream_append(&s, &d));
    assert_ok(tk_batch_open(&b, &r.model, &s, &in, &r.host));
    assert_ok(tk_device_get(&r.device, &b.number, pick));
    for (int k = 0; k < SHOTS; k++) {
        assert_int_equal(s.number[k], k + 1);
        assert_in_range(pick[k][1], 1, TK_SHOT_NUMBERS - 1);
        if (k > 0) assert_int_not_equal(pick[k][1], pick[k - 1][1]);
    }
    tk_batch_close(&b);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shots_and_captions_are_counted),
        cmocka_unit_test(the_model_is_told_where_a_cut_lies),
        cmocka_unit_test(neighbours_always_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
