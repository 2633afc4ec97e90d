// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Where things were given, and what can be asked of a config whose options are wrong.
#include "core/config/wrong.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/talkie-wrong-XXXXXX";

// What is read is folder "a.yaml"; messages call it so.
static void put(const char *text)
{
    FILE *f = fopen("a.yaml", "w");
    assert_non_null(f);
    assert_int_equal(strlen(text), fwrite(text, 1, strlen(text), f));
    assert_int_equal(0, fclose(f));
}

// Each item of a list has its own place, whichever way it is written; the last that gives the list
// counts.
static void test_wrong__items_have_places(void **state)
{
    (void)state;
    char *over[] = {"data.check=[x.h5, y.h5]"};
    tk_config c;
    put("data:\n"
        "  files:\n"
        "    - a.h5\n"
        "    - b.h5\n"
        "  check: [c.h5,\n"
        "          d.h5]\n"
        "remix: {shots: [0, 2]}\n"
        "film:\n"
        "  files: srt\n");
    tk_config_init(&c);
    assert_ok(tk_config_load(&c, 0, "a.yaml", 0, NULL));
    assert_string_equal("a.yaml:3:5", tk_config_place(&c, "data.files"));
    assert_string_equal("a.yaml:3:7", tk_config_place(&c, "data.files[0]"));
    assert_string_equal("a.yaml:4:7", tk_config_place(&c, "data.files[1]"));
    assert_string_equal("", tk_config_place(&c, "data.files[2]"));
    assert_string_equal("a.yaml:6:11", tk_config_place(&c, "data.check[1]"));
    assert_string_equal("a.yaml:7:20", tk_config_place(&c, "remix.shots[1]"));
    assert_string_equal("a.yaml:9:10", tk_config_place(&c, "film.files[0]"));
    assert_string_equal("", tk_config_place(&c, "film.files[1]"));
    assert_ok(tk_config_load(&c, 0, NULL, 1, over));
    assert_string_equal("a.yaml:4:7", tk_config_place(&c, "data.files[1]"));
    assert_string_equal("command line", tk_config_place(&c, "data.check[0]"));
    tk_config_free(&c);
}

// So has what is wrong with one.
static void test_wrong__items_are_told_in_their_places(void **state)
{
    (void)state;
    tk_config c;
    put("checkpoint: x\n"
        "shots:\n"
        "  - {seconds: 1, prompt: a}\n"
        "film:\n"
        "  files:\n"
        "    - srt\n"
        "    - wav\n"
        "    - srt\n"
        "remix:\n"
        "  clip: x.mp4\n"
        "  shots: [0,\n"
        "    7]\n");
    tk_config_init(&c);
    assert_status(tk_config_load(&c, TK_CMD_SAMPLE, "a.yaml", 0, NULL), TK_INPUT);
    assert_string_equal("a.yaml:7:7: film.files: \"wav\" is none of master, edl and srt\n"
                        "a.yaml:8:7: film.files: srt stands there twice; name it once\n"
                        "a.yaml:12:5: remix.shots: 7 is none of the 1 shots, which are counted "
                        "from 0",
                        tk_status_message());
    tk_config_free(&c);
}

typedef struct gathered {
    tk_config c;
    tk_arena a;
    tk_wrong w;
} gathered;

static void gather(gathered *g, const char *text, int n, char *const *over)
{
    put(text);
    tk_arena_init(&g->a, 0);
    tk_config_init(&g->c);
    g->w = tk_wrong_of(NULL, "", &g->a);
    assert_ok(tk_config_gather(&g->w, &g->c, TK_CMD_TRAIN, "a.yaml", n, over));
}

static void let_go(gathered *g)
{
    tk_config_free(&g->c);
    tk_arena_free(&g->a);
}

// Options that are wrong end no round: the others can be asked about, those not.
static void test_wrong__asked_beyond_the_options(void **state)
{
    (void)state;
    char *over[] = {"train.seed=x"};
    gathered g;
    gather(&g,
           "data: {files: [a.h5, '', [b.h5], d.h5]}\n"
           "train:\n"
           "  batch: many\n"
           "  lr: 1e-3\n"
           "modle: {hidden: 64}\n",
           1, over);
    assert_int_equal(4, g.c.data.n_files);
    assert_string_equal("a.h5", g.c.data.files[0]);
    assert_string_equal("", g.c.data.files[1]);
    assert_string_equal("", g.c.data.files[2]);
    assert_string_equal("d.h5", g.c.data.files[3]);
    assert_true(tk_wrong_doubts(&g.w, "train.batch") && tk_wrong_doubts(&g.w, "train"));
    assert_true(tk_wrong_doubts(&g.w, "data.files[1]") && tk_wrong_doubts(&g.w, "data.files"));
    assert_true(tk_wrong_doubts(&g.w, "model.hidden")); // modle may be it
    assert_true(tk_wrong_doubts(&g.w, "train.seed"));
    assert_false(tk_wrong_doubts(&g.w, "train.lr") || tk_wrong_doubts(&g.w, "train.bat"));
    assert_false(tk_wrong_doubts(&g.w, "data.files[0]"));
    tk_wrong_add(&g.w, "train.batch", "is too few");     // which is not known,
    tk_wrong_add(&g.w, "data.files[2]", "is not there"); // nor this,
    tk_wrong_add(&g.w, "model.hidden", "is too few");    // nor this
    tk_wrong_add(&g.w, "data.files[3]", "is not there");
    tk_wrong_add(&g.w, "train.out", "is no folder"); // not given, and that is known
    assert_status(tk_wrong_end(&g.w), TK_INPUT);
    assert_string_equal("a.yaml:1:22: data.files[1]: is empty; name something, or leave it out\n"
                        "a.yaml:1:26: data.files[2]: wants a string, not a list or keys\n"
                        "a.yaml:1:34: data.files[3]: is not there\n"
                        "a.yaml:3:10: train.batch: many is not a whole number from 1 to 1048576\n"
                        "a.yaml:5:1: modle: no such section; did you mean model?\n"
                        "command line: train.seed: x is not a whole number from 0 to "
                        "9223372036854775807\n"
                        "train.out: is no folder",
                        tk_status_message());
    let_go(&g);
}

// Of a file that is not read to its end only what was given is known.
static void test_wrong__what_was_not_read_is_not_asked(void **state)
{
    (void)state;
    char *over[] = {"data.files=[a.h5]"};
    gathered g;
    gather(&g, "train: {batch: 8\ndata: [\n", 1, over);
    assert_true(tk_wrong_doubts(&g.w, "train.batch"));
    assert_false(tk_wrong_doubts(&g.w, "data.files"));
    tk_wrong_add(&g.w, "train.out", "is no folder"); // nobody knows
    tk_wrong_add(&g.w, "data.files[0]", "is not there");
    assert_status(tk_wrong_end(&g.w), TK_INPUT);
    assert_says("a.yaml:");
    assert_says("not YAML");
    assert_says("command line: data.files[0]: is not there");
    assert_null(strstr(tk_status_message(), "train.out"));
    let_go(&g);
    gather(&g, "base: nowhere.yaml\ntrain: {batch: 8}\n", 0, NULL);
    assert_false(tk_wrong_doubts(&g.w, "train.batch"));
    assert_true(tk_wrong_doubts(&g.w, "train.microbatch"));
    assert_status(tk_wrong_end(&g.w), TK_INPUT);
    assert_says("a.yaml:1:7: base: ");
    let_go(&g);
}

static void test_wrong__a_file_that_is_not_there_is_a_failure(void **state)
{
    (void)state;
    tk_config c;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_config_init(&c);
    tk_wrong w = tk_wrong_of(NULL, "", &a);
    assert_status(tk_config_gather(&w, &c, TK_CMD_TRAIN, "nowhere.yaml", 0, NULL), TK_INPUT);
    assert_says("nowhere.yaml");
    tk_config_free(&c);
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong__items_have_places),
        cmocka_unit_test(test_wrong__items_are_told_in_their_places),
        cmocka_unit_test(test_wrong__asked_beyond_the_options),
        cmocka_unit_test(test_wrong__what_was_not_read_is_not_asked),
        cmocka_unit_test(test_wrong__a_file_that_is_not_there_is_a_failure),
    };
    if (!mkdtemp(dir) || chdir(dir)) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return unlink("a.yaml") || chdir("/") || rmdir(dir) || failed;
}
