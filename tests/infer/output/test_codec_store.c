// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Clip files and checkpoints that refer to their codec: the same training and the same clips as
// with a codec carried, and one clear message where the codec is not the right one.
#include "tests/support/runs.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *name, long *n)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", runs_dir(), name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = ftell(f);
    rewind(f);
    char *x = malloc((size_t)*n + 1);
    assert_int_equal(fread(x, 1, (size_t)*n, f), *n);
    fclose(f);
    return x;
}

// `runs/refer.yaml` names codec.h5, which lies beside it; `runs/other.h5` is another codec's.
static int open_runs(void **state)
{
    (void)state;
    runs_open();
    runs_do("mkdir runs");
    runs_write("runs/refer.yaml", "base: ../tiny.yaml\ncodec: {file: codec.h5, store: refer}\n"
                                  "data: {files: [refer.h5]}\ntrain: {steps: 2, out: refer}\n");
    runs_write("two.yaml", "shots:\n"
                           "  - {seconds: 1, prompt: \"wide: a ball\"}\n"
                           "  - {seconds: 0.9, prompt: \"close: it\"}\n"
                           "sample: {steps: 2}\n");
    runs_expect(runs_talkie(1, "data world runs/refer.yaml world.seed=2 codec.file=runs/other.h5 "
                               "-o gone.h5"),
                0, "");
    runs_expect(runs_talkie(2, "data world runs/refer.yaml -o refer.h5"), 0, "");
    runs_do("test -s runs/codec.h5 && test -s runs/other.h5 && "
            "test $(stat -c %s refer.h5) -lt $(stat -c %s clips.h5)");
    runs_expect(runs_talkie(1, "train tiny.yaml train.steps=2 train.out=carry"), 0, "");
    runs_expect(runs_talkie(1, "train runs/refer.yaml"), 0, "");
    return 0;
}

static int close_runs(void **state)
{
    (void)state;
    runs_close();
    return 0;
}

// The clip's digest, which depends on the checkpoint file's bytes, stands in the metadata alone.
static void assert_same_clip(const char *a, const char *b)
{
    char name[64];
    long n, m, different = 0;
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "%s.%s", a, k ? "mp4" : "png");
        char *x = read_file(name, &n);
        snprintf(name, sizeof name, "%s.%s", b, k ? "mp4" : "png");
        char *y = read_file(name, &m);
        assert_int_equal(n, m);
        for (long i = 0; i < n; i++) different += x[i] != y[i];
        assert_true(different <= (k ? 16 : 0));
        free(x), free(y);
    }
}

static void the_right_file_gives_the_same(void **state)
{
    (void)state;
    assert_true(runs_distance("carry/step-00000002.h5", "refer/step-00000002.h5", "model") == 0);
    runs_expect(runs_talkie(1, "sample two.yaml checkpoint=carry -o carried"), 0, "");
    runs_expect(
        runs_talkie(1, "sample two.yaml checkpoint=refer codec.file=runs/codec.h5 -o referred"), 0,
        "");
    assert_same_clip("carried", "referred");
    // A storyboard names it from where it lies itself; and where the file lies is not what a clip
    // is.
    runs_write("runs/two.yaml", "base: ../two.yaml\ncheckpoint: refer\ncodec: {file: codec.h5}\n");
    runs_expect(runs_talkie(1, "sample runs/two.yaml -o referred"), 0, "finished already");
    runs_expect(runs_talkie(1, "data check refer.h5 codec.file=runs/codec.h5"), 0, "all whole");
    runs_expect(runs_talkie(1, "data info refer.h5 codec.file=runs/codec.h5"), 0, "dB");
    runs_expect(runs_talkie(1, "plan runs/refer.yaml"), 0, "MiB");
    runs_expect(runs_talkie(1, "train runs/refer.yaml train.steps=3"), 0, "resuming");
    runs_expect(runs_talkie(1, "diff carry/step-00000002.h5 refer/step-00000002.h5"), 1,
                "codec.store");
}

static void no_file_and_a_wrong_one_are_refused(void **state)
{
    (void)state;
    static const char *const commands[] = {"sample two.yaml checkpoint=refer -o no",
                                           "data check refer.h5", "data info refer.h5",
                                           "train tiny.yaml data.files=refer.h5 train.out=no"};
    for (int k = 0; k < 4; k++) {
        runs_expect(runs_talkie(1, "%s", commands[k]), 2, "does not carry it");
        assert_true(runs_said("codec.file=FILE"));
        runs_expect(runs_talkie(1, "%s codec.file=runs/nowhere.h5", commands[k]), 2,
                    "runs/nowhere.h5");
        runs_expect(runs_talkie(1, "%s codec.file=runs/other.h5", commands[k]), 2,
                    "runs/other.h5 holds codec");
        assert_true(runs_said("it refers to codec") && runs_said("name the file that holds codec"));
    }
    runs_expect(runs_talkie(2, "train runs/refer.yaml codec.file=runs/other.h5"), 2,
                "runs/other.h5 holds codec");
    runs_expect(runs_talkie(1, "data world runs/refer.yaml codec.file=runs/other.h5 -o no.h5"), 2,
                "name another codec.file");
    runs_expect(runs_talkie(1, "data world runs/refer.yaml codec.file=no.h5 -o no.h5"), 2, "no.h5");
    runs_expect(runs_talkie(1, "train tiny.yaml codec.store=refer train.out=no"), 2,
                "codec.store refer needs the file");
    runs_do("test ! -e no.h5 && test ! -e no.mp4 && ! ls no/*.h5 2>/dev/null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_file_gives_the_same),
        cmocka_unit_test(no_file_and_a_wrong_one_are_refused),
    };
    return cmocka_run_group_tests(tests, open_runs, close_runs);
}
