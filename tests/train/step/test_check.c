// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 200 */
// Held-out losses: the same on every layout, after a restart too, of clips that nothing is trained
// on, and no part of the training.
#include "tests/support/clips.h"
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINES = 3, LEVELS = 5, MOST = 128 };
#define CHECKED                                                                                   \
    "train.batch=4 data.files=cited.h5 model.video_channels=5 model.audio_channels=6 "            \
    "data.hold_out=5 train.check_clips=4 tasks.continue=1 tasks.picture_to_sound=1 tasks.span=1 " \
    "tasks.references=1"

typedef struct held_out { // check.jsonl, all numbers of a line in order
    int64_t step[LINES];
    double loss[LINES][MOST];
    int lines, n[LINES];
} held_out;

static void take_numbers(held_out *h, const json_t *o)
{
    const char *key;
    const json_t *item;
    size_t i;
    if (json_is_number(o)) h->loss[h->lines][h->n[h->lines]++] = json_number_value(o);
    json_array_foreach(o, i, item) take_numbers(h, item);
    json_object_foreach((json_t *)o, key, item) take_numbers(h, item);
}

static void read_checks(const char *run, held_out *h)
{
    char path[4200], line[16384];
    *h = (held_out){0};
    snprintf(path, sizeof path, "%s/%s/check.jsonl", runs_dir(), run);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (; fgets(line, sizeof line, f); h->lines++) {
        assert_in_range(h->lines, 0, LINES - 1);
        json_t *o = json_loads(line, JSON_SORT_KEYS, NULL);
        assert_non_null(o);
        h->step[h->lines] = json_integer_value(json_object_get(o, "step"));
        take_numbers(h, json_object_get(o, "tasks"));
        json_decref(o);
    }
    fclose(f);
}

static int open_runs(void **state)
{
    char clips[4200];
    (void)state;
    runs_open();
    snprintf(clips, sizeof clips, "%s/cited.h5", runs_dir());
    assert_ok(test_write_clips(tk_comm_self(), clips, 1, 14, -1));
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=one train.check_every=4 " CHECKED), 0,
                "held-out loss after step 10");
    return 0;
}

static void is_no_part_of_the_training(void **state)
{
    runs_step with[RUNS_STEPS], without[RUNS_STEPS];
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=without " CHECKED), 0, "");
    assert_int_equal(runs_metrics("one", with), 10);
    assert_int_equal(runs_metrics("without", without), 10);
    for (int i = 0; i < 10; i++) assert_true(with[i].loss == without[i].loss);
}

// A line of every fourth step and the last, of five tasks: clips, mean, five levels of two.
static void tells_each_task_and_level(void **state)
{
    held_out h;
    (void)state;
    read_checks("one", &h);
    assert_int_equal(h.lines, LINES);
    const int64_t steps[] = {4, 8, 10};
    for (int k = 0; k < LINES; k++) {
        assert_int_equal(h.step[k], steps[k]);
        assert_int_equal(h.n[k], 5 * (2 + 2 * LEVELS));
    }
    double change = 0;
    for (int i = 0; i < h.n[0]; i++) change += fabs(h.loss[0][i] - h.loss[2][i]);
    assert_true(change > 1e-3); // the model learned something
}

static void expect_the_same(const char *run)
{
    held_out one, other;
    read_checks("one", &one);
    read_checks(run, &other);
    assert_int_equal(other.lines, LINES);
    for (int k = 0; k < LINES; k++) {
        assert_int_equal(other.step[k], one.step[k]);
        assert_int_equal(other.n[k], one.n[k]);
        for (int i = 0; i < one.n[k]; i++)
            assert_near(other.loss[k][i], one.loss[k][i], 1e-5 * fabs(one.loss[k][i]));
    }
}

static void is_the_same_on_every_layout(void **state)
{
    static const struct {
        int ranks;
        const char *options;
    } layouts[] = {
        {4, "parallel.tensor=2 parallel.pipeline=2"},
        {2, "parallel.data=2 train.microbatch=1"},
        {1, "parallel.schedule=interleaved parallel.chunks=3"},
        {3, "parallel.pipeline=3 parallel.schedule=interleaved parallel.chunks=2 "
            "train.microbatch=1"},
        {2, "parallel.pipeline=2 parallel.schedule=zb-h1 train.microbatch=1"},
    };
    (void)state;
    for (int k = 0; k < 5; k++) {
        runs_expect(runs_talkie(layouts[k].ranks,
                                "train tiny.yaml train.out=many train.resume=false "
                                "train.check_every=4 %s " CHECKED,
                                layouts[k].options),
                    0, "");
        expect_the_same("many");
    }
}

// A run that goes on from step 5 has forgotten what it told of later ones.
static void every_step_stands_there_once(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=again train.check_every=4 "
                               "train.checkpoint_every=5 train.keep=5 " CHECKED),
                0, "");
    runs_do("rm again/step-00000010.h5");
    runs_expect(runs_talkie(2, "train tiny.yaml train.out=again train.check_every=4 " CHECKED), 0,
                "resuming");
    expect_the_same("again");
}

// A run that was ended before or in the check of its last step has not told it: the one that goes
// on does.
static void what_a_stop_left_off_is_made_up_for(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=owes train.check_every=4 "
                               "train.checkpoint_every=4 train.keep=5 " CHECKED),
                0, "");
    runs_do("rm owes/step-00000010.h5 && sed -i 2,3d owes/check.jsonl");
    runs_expect(runs_talkie(2, "train tiny.yaml train.out=owes train.check_every=4 " CHECKED), 0,
                "held-out loss after step 8");
    expect_the_same("owes");
}

// A check of some seconds that hears TERM while it runs: no longer than one task at one level is it
// waited for.
static void a_check_hears_of_a_stop(void **state)
{
    char clips[4200];
    held_out h;
    (void)state;
    snprintf(clips, sizeof clips, "%s/many.h5", runs_dir());
    assert_ok(test_write_clips(tk_comm_self(), clips, 1, 400, -1));
    const char *train = "train tiny.yaml train.out=stopped data.files=cited.h5 data.check=many.h5 "
                        "train.check_clips=400 train.steps=2 train.check_every=2 "
                        "model.video_channels=5 model.audio_channels=6 train.batch=4";
    const pid_t run = runs_start(1, "%s", train);
    runs_do("for i in $(seq 600); do [ -e stopped/step-00000002.h5 ] && break; sleep 0.05; done; "
            "test -e stopped/step-00000002.h5 && ! test -e stopped/check.jsonl");
    kill(run, SIGTERM);
    runs_expect(runs_wait(run), 75, "stopped on request after step 2 of 2");
    runs_do("! test -e stopped/check.jsonl");
    runs_expect(runs_talkie(1, "%s", train), 0, "held-out loss after step 2");
    read_checks("stopped", &h);
    assert_int_equal(h.lines, 1);
    runs_expect(runs_talkie(1, "%s", train), 0, "nothing to do");
}

static void clips_that_are_trained_on_are_refused(void **state)
{
    (void)state;
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=no train.check_every=4"), 2,
                "needs clips that are not trained on");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=no train.check_every=4 "
                               "data.check=clips.h5"),
                2, "is trained on too");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=no train.check_every=4 "
                               "data.check=cited.h5"),
                2, "with another codec");
    runs_expect(runs_talkie(1, "train tiny.yaml train.out=no data.hold_out=12"), 2,
                "some must be left");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_no_part_of_the_training),
        cmocka_unit_test(tells_each_task_and_level),
        cmocka_unit_test(is_the_same_on_every_layout),
        cmocka_unit_test(every_step_stands_there_once),
        cmocka_unit_test(what_a_stop_left_off_is_made_up_for),
        cmocka_unit_test(a_check_hears_of_a_stop),
        cmocka_unit_test(clips_that_are_trained_on_are_refused),
    };
    return cmocka_run_group_tests(tests, open_runs, runs_tear_down);
}
