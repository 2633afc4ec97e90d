// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 500 */
// Ten training steps on every kind of layout: the losses of one rank, and its weights.
#include "tests/support/clips.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>

typedef struct layout {
    const char *name;
    int tensor, pipeline, data;
    const char *more;
} layout;

static const layout layouts[] = {
    {"tensor 2", 2, 1, 1, ""},
    {"pipeline 2", 1, 2, 1, ""},
    {"data 2", 1, 1, 2, ""},
    {"tensor 3, which 4 heads do not divide into", 3, 1, 1, ""},
    {"tensor 2 x pipeline 2", 2, 2, 1, ""},
    {"tensor 2 x data 2", 2, 1, 2, "train.recompute=blocks"},
    {"pipeline 2 x data 2", 1, 2, 2, "train.microbatch=1"},
    {"tensor 2 x pipeline 2 x data 2", 2, 2, 2, ""},
    {"tensor 5, of which one has no head, x data 2", 5, 1, 2, ""},
    {"pipeline 3 x data 1, one document a microbatch", 1, 3, 1, "train.microbatch=1"},
    {"pipeline 2, interleaved", 1, 2, 1,
     "parallel.schedule=interleaved parallel.chunks=2 train.microbatch=1"},
    {"pipeline 3 x data 1, interleaved, recomputed", 1, 3, 1,
     "parallel.schedule=interleaved parallel.chunks=2 train.microbatch=1 train.recompute=blocks"},
    {"tensor 2 x pipeline 2 x data 2, interleaved", 2, 2, 2,
     "parallel.schedule=interleaved parallel.chunks=2"},
    {"pipeline 2, backward in halves", 1, 2, 1, "parallel.schedule=zb-h1 train.microbatch=1"},
    {"tensor 2 x pipeline 3, backward in halves, recomputed", 2, 3, 1,
     "parallel.schedule=zb-h1 train.microbatch=1 train.recompute=blocks"},
    {"one rank, its model in chunks", 1, 1, 1, "parallel.schedule=interleaved parallel.chunks=3"},
    {"one rank, all documents in one microbatch", 1, 1, 1, "train.microbatch=6"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0] };

static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=one"), 0, "");
    return 0;
}

static double relative(double a, double b)
{
    return fabs(a - b) / fabs(b);
}

static void computes_what_one_rank_computes(void **state)
{
    const layout *l = *state;
    runs_step one[RUNS_STEPS], many[RUNS_STEPS];
    const int code =
        runs_talkie(l->tensor * l->pipeline * l->data,
                    "train tiny.yaml train.out=many train.resume=false parallel.tensor=%d "
                    "parallel.pipeline=%d parallel.data=%d %s",
                    l->tensor, l->pipeline, l->data, l->more);
    runs_expect(code, 0, "");
    assert_int_equal(runs_metrics("one", one), 10);
    assert_int_equal(runs_metrics("many", many), 10);
    for (int i = 0; i < 10; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        assert_near(relative(many[i].loss_video, one[i].loss_video), 0, 1e-5);
        assert_near(relative(many[i].loss_audio, one[i].loss_audio), 0, 1e-5);
        assert_near(relative(many[i].grad_norm, one[i].grad_norm), 0, 1e-4);
    }
    const char *groups[] = {"model", "ema"};
    for (int g = 0; g < 2; g++)
        assert_near(runs_distance("one/step-00000010.h5", "many/step-00000010.h5", groups[g]), 0,
                    1e-4);
}

// The test above can fail: another seed is another run.
static void another_seed_differs(void **state)
{
    runs_step one[RUNS_STEPS], other[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=other train.seed=2 train.steps=2"), 0,
                "");
    runs_metrics("one", one);
    assert_int_equal(runs_metrics("other", other), 2);
    assert_true(relative(other[0].loss, one[0].loss) > 1e-4);
}

// A checkpoint of one layout goes on in another.
static void any_layout_goes_on(void **state)
{
    runs_step one[RUNS_STEPS], on[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(4, "train tiny.yaml train.out=on train.checkpoint_every=5 "
                               "parallel.tensor=2 parallel.pipeline=2 train.keep=5"),
                0, "");
    char command[8192];
    snprintf(command, sizeof command, "rm '%s'/on/step-00000010.h5", runs_dir());
    assert_int_equal(system(command), 0);
    runs_expect(runs_talkie(3, "train tiny.yaml train.out=on parallel.data=3"), 0, "resuming");
    runs_metrics("one", one);
    assert_int_equal(runs_metrics("on", on), 10);
    for (int i = 0; i < 10; i++) assert_near(relative(on[i].loss, one[i].loss), 0, 1e-5);
    assert_near(runs_distance("one/step-00000010.h5", "on/step-00000010.h5", "model"), 0, 1e-4);
}

#define MIXED                                                                                    \
    "tasks.continue=1 tasks.keyframe=1 tasks.picture_to_sound=1 tasks.sound_to_picture=1 "       \
    "tasks.span=1 tasks.region=1 tasks.references=2 data.files=cited.h5 model.video_channels=5 " \
    "model.audio_channels=6"

// So do tasks that give different rows, in one stream, and a run that goes on elsewhere.
static void tasks_are_the_same_everywhere(void **state)
{
    runs_step text[RUNS_STEPS], one[RUNS_STEPS], many[RUNS_STEPS];
    char clips[4200];
    (void)state;
    snprintf(clips, sizeof clips, "%s/cited.h5", runs_dir());
    assert_ok(test_write_clips(tk_comm_self(), clips, 1, 12, -1));
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=text data.files=cited.h5 "
                               "model.video_channels=5 model.audio_channels=6"),
                0, "");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=mixed " MIXED), 0, "");
    runs_expect(runs_talkie(4, "train tiny.yaml train.out=some train.checkpoint_every=5 "
                               "train.keep=5 parallel.tensor=2 parallel.pipeline=2 " MIXED),
                0, "");
    runs_do("rm some/step-00000010.h5");
    runs_expect(runs_talkie(2, "train tiny.yaml train.out=some parallel.data=2 train.microbatch=3 "
                               "train.recompute=blocks " MIXED),
                0, "resuming");
    runs_metrics("text", text);
    assert_int_equal(runs_metrics("mixed", one), 10);
    assert_int_equal(runs_metrics("some", many), 10);
    for (int i = 0; i < 10; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        assert_true(relative(text[i].loss, one[i].loss) > 1e-4);
    }
    assert_near(runs_distance("mixed/step-00000010.h5", "some/step-00000010.h5", "model"), 0, 1e-4);
}

#define OWN MIXED " model.given=own"

// And where given rows ask given ones alone, which is another model.
static void given_rows_are_the_same_everywhere(void **state)
{
    runs_step all[RUNS_STEPS], one[RUNS_STEPS], many[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=own " OWN), 0, "");
    runs_expect(runs_talkie(4, "train tiny.yaml train.out=apart parallel.tensor=2 "
                               "parallel.pipeline=2 train.recompute=blocks " OWN),
                0, "");
    runs_metrics("mixed", all);
    assert_int_equal(runs_metrics("own", one), 10);
    assert_int_equal(runs_metrics("apart", many), 10);
    for (int i = 0; i < 10; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        if (i > 0) assert_true(relative(all[i].loss, one[i].loss) > 1e-6);
    }
    assert_near(runs_distance("own/step-00000010.h5", "apart/step-00000010.h5", "model"), 0, 1e-4);
}

#define NUMBERED MIXED " model.shots=numbered"

// And where rows tell of which shot they are.
static void numbered_shots_are_the_same_everywhere(void **state)
{
    runs_step alike[RUNS_STEPS], one[RUNS_STEPS], many[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=numbered " NUMBERED), 0, "");
    runs_expect(runs_talkie(4, "train tiny.yaml train.out=shared parallel.tensor=2 "
                               "parallel.pipeline=2 parallel.schedule=zb-h1 train.microbatch=1 "
                               "train.recompute=blocks " NUMBERED),
                0, "");
    runs_metrics("mixed", alike);
    assert_int_equal(runs_metrics("numbered", one), 10);
    assert_int_equal(runs_metrics("shared", many), 10);
    for (int i = 0; i < 10; i++) {
        assert_near(relative(many[i].loss, one[i].loss), 0, 1e-5);
        if (i > 0) assert_true(relative(alike[i].loss, one[i].loss) > 1e-6);
    }
    assert_near(runs_distance("numbered/step-00000010.h5", "shared/step-00000010.h5", "model"), 0,
                1e-4);
}

int main(void)
{
    struct CMUnitTest tests[LAYOUTS + 5] = {{0}};
    for (int i = 0; i < LAYOUTS; i++) {
        tests[i].name = layouts[i].name;
        tests[i].test_func = computes_what_one_rank_computes;
        tests[i].initial_state = (void *)&layouts[i];
    }
    tests[LAYOUTS] = (struct CMUnitTest)cmocka_unit_test(another_seed_differs);
    tests[LAYOUTS + 1] = (struct CMUnitTest)cmocka_unit_test(any_layout_goes_on);
    tests[LAYOUTS + 2] = (struct CMUnitTest)cmocka_unit_test(tasks_are_the_same_everywhere);
    tests[LAYOUTS + 3] = (struct CMUnitTest)cmocka_unit_test(given_rows_are_the_same_everywhere);
    tests[LAYOUTS + 4] =
        (struct CMUnitTest)cmocka_unit_test(numbered_shots_are_the_same_everywhere);
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
