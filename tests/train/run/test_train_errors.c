// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 150; waits: mostly */
// What a person sees when a training run cannot be: one clear message, the documented exit code.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void bad_input_is_named(void **state)
{
    static const struct {
        int ranks;
        const char *arguments, *words;
    } bad[] = {
        {1, "train", "config file is missing"},
        {1, "train nowhere.yaml", "nowhere.yaml"},
        {1, "train tiny.yaml train.stepz=3", "train.steps"},
        {2, "train tiny.yaml data.files=[none.h5]", "none.h5"},
        {1, "train tiny.yaml data.files=[tiny.yaml]", "tiny.yaml"},
        {1, "train tiny.yaml model.video_channels=30", "model.video_channels=24"},
        {2, "train tiny.yaml model.audio_channels=9", "model.audio_channels=16"},
        {2, "train tiny.yaml parallel.tensor=3", "3"},
        {3, "train tiny.yaml train.batch=2", "train.batch"},
        {1, "train tiny.yaml train.from=nowhere", "nowhere"},
        {1, "train tiny.yaml train.out=clips.h5/run", "clips.h5"},
        {1, "plan tiny.yaml data.files=[none.h5]", "none.h5"},
        {2, "train tiny.yaml parallel.register_buffers=true", "needs device=cuda: what device cpu"},
        {1, "plan tiny.yaml parallel.register_buffers=true", "needs device=cuda: what device cpu"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const int code = runs_talkie(bad[i].ranks, "%s", bad[i].arguments);
        if (code != 2) print_error("%s\n", bad[i].arguments);
        runs_expect(code, 2, bad[i].words);
    }
}

// The lines that were told are those, by how they begin, from the first that begins with `first`.
static void expect_lines(const char *first, const char *const *line, size_t n)
{
    const char *at = strstr(runs_output(), first);
    assert_non_null(at);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(at, line[i], strlen(line[i])) != 0)
            fail_msg("%s\nstands where this is wrong: %s", at, line[i]);
        at = strchr(at, '\n') + 1 + strspn(strchr(at, '\n') + 1, " ");
    }
    if (!strncmp(at, first, strlen(first)) || !strncmp(at, "command line", 12))
        fail_msg("and %s", at);
}

// Options that are wrong end no round: what they name and what others ask for is told with them,
// but not what depends on them.
static void options_and_files_are_told_at_once(void **state)
{
    static const char config[] = "base: tiny.yaml\n"
                                 "data:\n"
                                 "  files:\n"
                                 "    - clips.h5\n"
                                 "    - none.h5\n"
                                 "    - ''\n"
                                 "    - tiny.yaml\n"
                                 "train:\n"
                                 "  batch: 4\n"
                                 "  microbatch: 8\n"
                                 "  lr: fast\n"
                                 "  from: nowhere\n"
                                 "  stepz: 3\n"
                                 "model:\n"
                                 "  audio_channels: many\n"
                                 "  video_channels: 30\n";
    const char *line[] = {
        "both.yaml:5:7: data.files[1]: cannot open none.h5",
        "both.yaml:6:7: data.files[2]: is empty",
        "both.yaml:7:7: data.files[3]: tiny.yaml is not an HDF5 file",
        "both.yaml:10:15: train.microbatch: 8 is more than train.batch 4",
        "both.yaml:11:7: train.lr: fast is not a number",
        "both.yaml:12:9: train.from: no checkpoint at nowhere",
        "both.yaml:13:3: train.stepz: no such option",
        "both.yaml:15:19: model.audio_channels: many is not a whole number",
        "both.yaml:16:19: model.video_channels: 30, but the clips' codec makes 24",
        "command line: train.seed: x is not a whole number",
        "command line: parallel.tensor: the mesh does not fit",
    };
    static const char *const searched[] = {
        "command line: train.lr: x is not a number",
        "command line: plan.search: 7 GPUs cannot share out 6 clips",
        "command line: data.files[0]: cannot open none.h5",
    };
    const size_t n = sizeof line / sizeof *line;
    char machine[PATH_MAX];
    (void)state;
    assert_non_null(realpath("configs/machines/h100.yaml", machine));
    runs_write("both.yaml", config);
    assert_int_equal(runs_talkie(2, "train both.yaml train.seed=x parallel.tensor=3"), 2);
    expect_lines("both.yaml:", line, n);
    // As planned: for any number of ranks, and by whose time?
    assert_int_equal(runs_talkie(1, "plan both.yaml train.seed=x plan.search=8"), 2);
    line[n - 1] = "command line: plan.search: ranks layouts by time: name a machine";
    expect_lines("both.yaml:", line, n);
    assert_int_equal(runs_talkie(1,
                                 "plan tiny.yaml train.lr=x train.batch=6 data.files=none.h5 "
                                 "plan.search=7 plan.machine='%s'",
                                 machine),
                     2);
    expect_lines("command line", searched, 3);
    // What the batch is to be is not known: not whether it is enough for the ranks.
    assert_int_equal(runs_talkie(2, "train tiny.yaml train.batch=x data.files=none.h5"), 2);
    assert_true(runs_said("none.h5") && !runs_said("data ranks"));
}

// What is wrong with a config and what it names is told at once, by one rank, each thing at its
// place, in the order of the file; nothing is made before.
static void all_of_a_config_is_told_at_once(void **state)
{
    static const char config[] = "base: tiny.yaml\n"
                                 "device: cpu\n"
                                 "parallel:\n"
                                 "  register_buffers: true\n"
                                 "data:\n"
                                 "  files: [clips.h5, none.h5, tiny.yaml, ./clips.h5, other.h5]\n"
                                 "train:\n"
                                 "  out: clips.h5/run\n"
                                 "  batch: 1\n"
                                 "  microbatch: 1\n"
                                 "  from: nowhere\n"
                                 "model:\n"
                                 "  audio_channels: 9\n"
                                 "  video_channels: 30\n";
    static const char *const line[] = {
        "bad.yaml:4:21: parallel.register_buffers: needs device=cuda",
        "bad.yaml:6:21: data.files[1]: cannot open none.h5",
        "bad.yaml:6:30: data.files[2]: tiny.yaml is not an HDF5 file",
        "bad.yaml:6:41: data.files[3]: data.files[0] clips.h5 and data.files[3] ./clips.h5 are the "
        "same file",
        "bad.yaml:6:53: data.files[4]: clips.h5 and other.h5 were made with different codecs",
        "bad.yaml:8:8: train.out: clips.h5 is no folder",
        "bad.yaml:9:10: train.batch: 1 documents, fewer than the 2 data ranks",
        "bad.yaml:11:9: train.from: no checkpoint at nowhere",
        "bad.yaml:13:19: model.audio_channels: 9, but the clips' codec makes 16",
        "bad.yaml:14:19: model.video_channels: 30, but the clips' codec makes 24",
    };
    (void)state;
    runs_write("bad.yaml", config);
    runs_expect(runs_talkie(1, "data world tiny.yaml codec.patch_size=4 -o other.h5"), 0, "");
    assert_int_equal(runs_talkie(2, "train bad.yaml"), 2);
    expect_lines("bad.yaml:", line, sizeof line / sizeof *line);
    runs_do("! test -e run");
    // A layout and a file that is not what it is called, which only a look into it tells.
    assert_int_equal(runs_talkie(2, "train tiny.yaml train.batch=6 parallel.tensor=3"), 2);
    assert_true(runs_said("command line: parallel.tensor: the mesh does not fit"));
    assert_int_equal(runs_talkie(2, "train tiny.yaml data.files=[clips.h5,tiny.yaml,other.h5]"), 2);
    assert_true(runs_said("command line: data.files[1]: tiny.yaml"));
    assert_true(runs_said("command line: data.files[2]: clips.h5 and other.h5 were made with"));
}

// A damaged clip is left out and counted; when all are, the run stops.
static void damaged_clips_are_skipped(void **state)
{
    runs_step steps[RUNS_STEPS];
    (void)state;
    runs_do("cp clips.h5 one.h5");
    runs_damage("one.h5", 3);
    runs_expect(runs_talkie(2, "train tiny.yaml data.files=[one.h5] train.out=skip "
                               "parallel.pipeline=2"),
                0, "");
    const int n = runs_metrics("skip", steps);
    assert_int_equal(n, 10);
    int64_t skipped = 0;
    for (int i = 0; i < n; i++) skipped += steps[i].skipped;
    assert_true(skipped > 0 && skipped < 60);
}

static void too_many_damaged_clips_stop_the_run(void **state)
{
    (void)state;
    runs_do("cp clips.h5 all.h5");
    runs_damage("all.h5", 12);
    for (int ranks = 1; ranks <= 2; ranks++) {
        const int code =
            runs_talkie(ranks,
                        "train tiny.yaml data.files=[all.h5] train.out=stop data.max_bad=3 "
                        "parallel.pipeline=%d",
                        ranks);
        runs_expect(code, 2, "all.h5");
    }
}

// More shards than a process may have open; the same one three times is named.
static void many_shards(void **state)
{
    struct rlimit before, few;
    (void)state;
    runs_do("for i in $(seq 100 169); do cp clips.h5 shard-$i.h5; done; "
            "echo \"data: {files: [$(echo shard-*.h5 | tr ' ' ,)]}\" >many.yaml; "
            "sed '/^data:/d' tiny.yaml >>many.yaml");
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int code = runs_talkie(1, "train many.yaml train.out=many train.steps=2");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    runs_expect(code, 0, "");
    runs_step step[RUNS_STEPS];
    assert_int_equal(runs_metrics("many", step), 2);
    assert_int_equal(step[1].skipped, 0);
    runs_expect(runs_talkie(2, "train tiny.yaml data.files=[clips.h5,shard-100.h5,./clips.h5]"), 2,
                "data.files[0] clips.h5 and data.files[2] ./clips.h5 are the same file");
}

static void a_full_disk_is_said(void **state)
{
    (void)state;
    char line[8192];
    const char *talkie = getenv("TALKIE") ? getenv("TALKIE") : "build/talkie";
    char *program = realpath(talkie, NULL);
    assert_non_null(program);
    // A limit of 12 KiB a file: the config fits, sixty lines of metrics do not.
    snprintf(line, sizeof line,
             "cd '%s' && exec mpirun -n 1 bash -c \"trap '' XFSZ; ulimit -f 12; exec '%s' train "
             "tiny.yaml train.out=full train.steps=60\" >out 2>&1",
             runs_dir(), program);
    free(program);
    const int status = system(line);
    runs_expect(WEXITSTATUS(status), 4, "full/metrics.jsonl");
    assert_int_equal(runs_newest("full"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_input_is_named),
        cmocka_unit_test(all_of_a_config_is_told_at_once),
        cmocka_unit_test(options_and_files_are_told_at_once),
        cmocka_unit_test(damaged_clips_are_skipped),
        cmocka_unit_test(too_many_damaged_clips_stop_the_run),
        cmocka_unit_test(many_shards),
        cmocka_unit_test(a_full_disk_is_said),
    };
    return cmocka_run_group_tests(tests, runs_set_up, runs_tear_down);
}
