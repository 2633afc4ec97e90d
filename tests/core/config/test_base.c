// SPDX-License-Identifier: Apache-2.0
// A config that stands on another file: whose value holds, where errors are said to be, and what is
// refused.
/*TEST timeout: 60 */
#include "core/config/load.h"
#include "tests/support/test.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/talkie-base-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static int open_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir) || chdir(dir)) return -1;
    return mkdir("low", 0700);
}

static int close_dir(void **state)
{
    (void)state;
    char line[128];
    snprintf(line, sizeof line, "rm -rf '%s'", dir);
    return system(line);
}

// Loads dir/name as `command` does.
static tk_status load(tk_config *c, unsigned command, const char *name, int n,
                      const char *const *overrides)
{
    char path[128], *argv[4];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (int i = 0; i < n; i++) argv[i] = (char *)overrides[i];
    tk_config_init(c);
    return tk_config_load(c, command, path, n, argv);
}

// `said`: the message from the file's name in the directory on.
static void refused(const char *name, const char *text, const char *said)
{
    tk_config c;
    char words[512];
    put(name, text);
    assert_int_equal(TK_INPUT, load(&c, TK_CMD_PLAN, name, 0, NULL));
    tk_config_free(&c);
    snprintf(words, sizeof words, "%s/%s", dir, said);
    assert_says(words);
}

static void test_base__lies_below(void **state)
{
    (void)state;
    static const char *const last[] = {"train.steps=3"};
    tk_config c, flat;
    put("low/ground.yaml", "train: {lr: 0.5, batch: 8, steps: 1}\n"
                           "data: {files: [a.h5, b.h5]}\n"
                           "shots: [{seconds: 1, prompt: a}, {seconds: 2, prompt: b}]\n");
    put("low/middle.yaml", "base: ground.yaml\ntrain: {batch: 4, microbatch: 2}\n");
    put("top.yaml", "train: {steps: 2, microbatch: 1}\n"
                    "data.files: c.h5\n"
                    "shots: [{seconds: 3, prompt: c}]\n"
                    "base: low/middle.yaml\n"); // wherever it stands in the file
    assert_ok(load(&c, TK_CMD_TRAIN, "top.yaml", 1, last));
    assert_true(c.train.lr == 0.5);
    assert_int_equal(4, c.train.batch);
    assert_int_equal(1, c.train.microbatch);
    assert_int_equal(3, c.train.steps);
    assert_int_equal(1, c.data.n_files);
    assert_string_equal("c.h5", c.data.files[0]);
    assert_int_equal(1, c.story.n_shots);
    assert_string_equal("c", c.story.shots[0].prompt);

    // What is stored knows of no base, and is the same config.
    const char *dump = tk_config_dump(&c, 0, &c.arena);
    assert_null(strstr(dump, "base:"));
    tk_config_init(&flat);
    assert_ok(tk_config_parse(&flat, 0, "stored", dump, strlen(dump), 0, NULL));
    assert_string_equal(dump, tk_config_dump(&flat, 0, &flat.arena));
    tk_config_free(&flat);
    tk_config_free(&c);
}

static void test_base__paths_begin_at_the_file(void **state)
{
    (void)state;
    tk_config c;
    char text[128];
    put("low/ground.yaml", "seed: 7\n");
    assert_int_equal(0, chdir("/"));
    put("low/up.yaml", "base: ../low/./ground.yaml\n");
    assert_ok(load(&c, 0, "low/up.yaml", 0, NULL));
    assert_int_equal(7, c.story.seed);
    tk_config_free(&c);
    snprintf(text, sizeof text, "base: %s/low/ground.yaml\n", dir);
    put("absolute.yaml", text);
    assert_ok(load(&c, 0, "absolute.yaml", 0, NULL));
    assert_int_equal(7, c.story.seed);
    tk_config_free(&c);
    assert_int_equal(0, chdir(dir));
    put("beside.yaml", "base: low/ground.yaml\n");
    tk_config_init(&c);
    assert_ok(tk_config_load(&c, 0, "beside.yaml", 0, NULL)); // a path without a folder
    assert_int_equal(7, c.story.seed);
    tk_config_free(&c);
}

// An option that names a file: from the config that says so on, from here on the command line, and
// absolute in either case, so that the text of it means the same anywhere.
static void test_base__file_names_are_absolute(void **state)
{
    (void)state;
    static const char *const here[] = {"codec.file=x.h5"};
    tk_config c;
    char whole[128], text[5000] = "codec: {file: ";
    put("low/ground.yaml", "codec: {file: k.h5}\n");
    put("top.yaml", "base: low/ground.yaml\n");
    snprintf(whole, sizeof whole, "%s/low/k.h5", dir);
    assert_ok(load(&c, 0, "top.yaml", 0, NULL));
    assert_string_equal(c.codec.file, whole);
    const char *dump = tk_config_dump(&c, 0, &c.arena);
    assert_non_null(dump);
    assert_ok(tk_config_parse(&c, 0, "elsewhere/a.h5", dump, strlen(dump), 0, NULL));
    assert_string_equal(c.codec.file, whole);
    tk_config_free(&c);
    snprintf(whole, sizeof whole, "%s/x.h5", dir);
    assert_ok(load(&c, 0, "top.yaml", 1, here));
    assert_string_equal(c.codec.file, whole);
    tk_config_free(&c);
    tk_config_init(&c);
    assert_ok(tk_config_load(&c, 0, "low/ground.yaml", 0, NULL)); // a config named relatively
    snprintf(whole, sizeof whole, "%s/low/k.h5", dir);
    assert_string_equal(c.codec.file, whole);
    tk_config_free(&c);
    put("nofile.yaml", "base: top.yaml\ncodec: {file: ''}\n");
    assert_ok(load(&c, 0, "nofile.yaml", 0, NULL));
    assert_string_equal(c.codec.file, "");
    tk_config_free(&c);
    memset(text + strlen(text), 'k', 4090);
    strcat(text, "}\n");
    refused("long.yaml", text, "long.yaml:1:15: codec.file: is, with its folder, longer than 4096");
}

static void test_base__errors_name_the_file_they_are_in(void **state)
{
    (void)state;
    tk_config c;
    char want[1024];
    put("low/ground.yaml", "train:\n  lrr: 3\n  batch: 2\n  steps: none\n  steps: 5\n");
    put("top.yaml", "base: low/ground.yaml\ntrain:\n  microbatch: 9\n  steps: 1\n  lr: -1\n");
    assert_int_equal(TK_INPUT, load(&c, TK_CMD_PLAN, "top.yaml", 0, NULL));
    tk_config_free(&c);
    snprintf(want, sizeof want,
             "%s/low/ground.yaml:2:3: train.lrr: no such option; did you mean train.lr?\n"
             "%s/low/ground.yaml:4:10: train.steps: none is not a whole number from 1 to "
             "1000000000\n"
             "%s/low/ground.yaml:5:3: train.steps: given twice; first at line 4\n"
             "%s/top.yaml:3:15: train.microbatch: 9 is more than train.batch 2\n"
             "%s/top.yaml:5:7: train.lr: -1 is not a number from 0 to 10",
             dir, dir, dir, dir, dir);
    assert_string_equal(want, tk_status_message());
    // A rule broken by the base's values alone is the base's; what is missing, the file's.
    put("low/ground.yaml", "train: {batch: 2,\n  microbatch: 3}\n");
    put("top.yaml", "base: low/ground.yaml\n");
    assert_int_equal(TK_INPUT, load(&c, TK_CMD_TRAIN, "top.yaml", 0, NULL));
    tk_config_free(&c);
    snprintf(want, sizeof want,
             "%s/low/ground.yaml:2:15: train.microbatch: 3 is more than train.batch 2\n"
             "%s/top.yaml: data.files: missing: name the clip files to train on",
             dir, dir);
    assert_string_equal(want, tk_status_message());
}

static void test_base__what_is_refused(void **state)
{
    (void)state;
    tk_config c;
    char name[32], text[64], want[256], *override[] = {"base=x.yaml"};
    refused("own.yaml", "seed: 1\nbase: own.yaml\n", "own.yaml:2:7: base: ");
    assert_says("own.yaml stands on this file itself: a circle");
    put("low/b.yaml", "base: ../a.yaml\n");
    put("a.yaml", "base: low/b.yaml\n");
    assert_int_equal(TK_INPUT, load(&c, 0, "a.yaml", 0, NULL));
    tk_config_free(&c);
    snprintf(want, sizeof want, "%s/low/b.yaml:1:7: base: %s/low/../a.yaml stands on this file",
             dir, dir);
    assert_says(want);
    // A link is the file it leads to.
    assert_int_equal(0, symlink("linked.yaml", "link.yaml"));
    refused("linked.yaml", "base: link.yaml\n", "linked.yaml:1:7: base: ");
    assert_says("a circle");

    refused("top.yaml", "base: none.yaml\ntrain: {lrr: 1}\n", "top.yaml:1:7: base: cannot open ");
    assert_says("none.yaml: No such file");
    assert_says("top.yaml:2:9: train.lrr"); // all errors at once
    refused("top.yaml", "base: low\n", "top.yaml:1:7: base: ");
    assert_says("directory");
    refused("top.yaml", "base:\n", "top.yaml:1:6: base: has no value");
    refused("top.yaml", "base: [a.yaml]\n", "top.yaml:1:7: base: wants a string");
    refused("top.yaml", "base: low/b.yaml\nbase: a.yaml\n", "top.yaml:2:1: base: given twice");
    put("broken.yaml", "train: [\n");
    put("list.yaml", "- a\n");
    refused("top.yaml", "base: broken.yaml\n", "broken.yaml:2:1: not YAML");
    refused("top.yaml", "base: list.yaml\n", "list.yaml:1:1: not a config");

    for (int i = 0; i <= TK_BASES_MAX + 1; i++) {
        snprintf(name, sizeof name, "%d.yaml", i);
        snprintf(text, sizeof text, i ? "base: %d.yaml\n" : "seed: 5\n", i - 1);
        put(name, text);
    }
    snprintf(name, sizeof name, "%d.yaml", TK_BASES_MAX);
    assert_ok(load(&c, 0, name, 0, NULL));
    assert_int_equal(5, c.story.seed);
    tk_config_free(&c);
    snprintf(name, sizeof name, "%d.yaml", TK_BASES_MAX + 1);
    assert_int_equal(TK_INPUT, load(&c, 0, name, 0, NULL));
    assert_says("1.yaml:1:7: base: more than 8 files stand on each other");
    tk_config_free(&c);

    tk_config_init(&c);
    assert_int_equal(TK_INPUT, tk_config_parse(&c, 0, "stored", "base: 0.yaml\n", 13, 1, override));
    assert_says("stored:1:7: base: only a file on disk can stand on another\n"
                "command line: base: stands in a file only");
    tk_config_free(&c);
}

static void test_base__allocation_fails(void **state)
{
    (void)state;
    put("low/ground.yaml", "seed: 7\n");
    put("top.yaml", "base: low/ground.yaml\n");
    for (int64_t i = 1;; i++) {
        tk_config c;
        tk_alloc_fail_at(i, true);
        const tk_status st = load(&c, 0, "top.yaml", 0, NULL);
        tk_alloc_fail_at(0, false);
        const int64_t seed = c.story.seed;
        tk_config_free(&c);
        if (st == TK_MEMORY) continue;
        assert_ok(st);
        assert_int_equal(7, seed);
        assert_true(i > 3);
        break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base__lies_below),
        cmocka_unit_test(test_base__paths_begin_at_the_file),
        cmocka_unit_test(test_base__file_names_are_absolute),
        cmocka_unit_test(test_base__errors_name_the_file_they_are_in),
        cmocka_unit_test(test_base__what_is_refused),
        cmocka_unit_test(test_base__allocation_fails),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
