// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Rules between options: what is right alone and wrong together.
#include "core/config/config.h"
#include "tests/support/test.h"
#include <string.h>

// A file that refers to its codec can be written only where it is said where that is; whoever reads
// stored configs is not asked.
static void test_rules__codec_store(void **state)
{
    (void)state;
    static const unsigned writes[] = {TK_CMD_DATA, TK_CMD_PLAN, 0};
    char *refer[] = {"codec.store=refer", "codec.file=/k.h5"};
    for (int i = 0; i < 3; i++)
        for (int n = 1; n < 3; n++) {
            tk_config c;
            tk_config_init(&c);
            const tk_status st = tk_config_parse(&c, writes[i], "a.yaml", "", 0, n, refer);
            assert_int_equal(st, i == 0 && n == 1 ? TK_INPUT : TK_OK);
            if (st != TK_OK) assert_says("codec.file: missing: codec.store refer needs the file");
            tk_config_free(&c);
        }
}

static void test_rules__bad_schedules(void **state)
{
    char *cases[][3] = {
        {"parallel.schedule=1f1b", "parallel.chunks=2", "need parallel.schedule=interleaved"},
        {"parallel.schedule=interleaved", "parallel.chunks=1", "interleaved needs 2 or more runs"}};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tk_config c;
        tk_config_init(&c);
        assert_status(tk_config_parse(&c, TK_CMD_PLAN, "a.yaml", "", 0, 2, cases[i]), TK_INPUT);
        assert_says(cases[i][2]);
        tk_config_free(&c);
    }
}

// Shots remember earlier ones, each once; all that is wrong is said, with what else is.
static void test_rules__remembered_shots(void **state)
{
    (void)state;
    static const char board[] = "checkpoint: x\nshots:\n"
                                "  - {seconds: 1, prompt: a, remember: [0]}\n"
                                "  - seconds: 1\n"
                                "    prompt: b\n"
                                "    remember: [0, 1, 0, 7]\n"
                                "  - {seconds: 1, prompt: c, remember: [-1]}\n"
                                "  - {seconds: 1, prompt: c, remember: the first}\n"
                                "  - {seconds: 1, prompt: d, remember: [3, 0]}\n";
    char *over[] = {"shots[4].remember=0,9"};
    tk_config c;
    tk_config_init(&c);
    assert_status(tk_config_parse(&c, TK_CMD_SAMPLE, "a.yaml", board, strlen(board), 1, over),
                  TK_INPUT);
    assert_says("a.yaml:3:40: shots[0].remember: 0 is no earlier shot: they are counted from 0, "
                "and before shots[0] are 0\n"
                "a.yaml:6:19: shots[1].remember: 1 is no earlier shot: they are counted from 0, "
                "and before shots[1] are 1\n"
                "a.yaml:6:22: shots[1].remember: 0 stands there twice; name it once\n"
                "a.yaml:6:25: shots[1].remember: 7 is no earlier shot: they are counted from 0, "
                "and before shots[1] are 1\n"
                "a.yaml:7:40: shots[2].remember: -1 is not auto, or a list of at most 64 whole "
                "numbers from 0 to 4999\n"
                "a.yaml:8:39: shots[3].remember: the first is not auto, or a list of at most 64 "
                "whole numbers from 0 to 4999\n"
                "command line: shots[4].remember: 9 is no earlier shot: they are counted from 0, "
                "and before shots[4] are 4");
    tk_config_free(&c);
}

static void refused_naming(const char *board, int n, char *const *over, const char *said)
{
    tk_config c;
    tk_config_init(&c);
    assert_status(tk_config_parse(&c, TK_CMD_SAMPLE, "a.yaml", board, strlen(board), n, over),
                  TK_INPUT);
    assert_string_equal(tk_status_message(), said);
    tk_config_free(&c);
}

// What prompts name is given: each name that is not is told once a text, at the text, with what is.
static void test_rules__names(void **state)
{
    (void)state;
    refused_naming(
        "checkpoint: x\n"
        "style: a <mood 7>\n"
        "cast: [{tag: face 1, file: a.png}, {tag: dog, file: b.png}]\n"
        "cameo: [\"@bo\", cy:voice]\n"
        "shots:\n"
        "  - {seconds: 1, prompt: <face 1> <dog> <voice 1> <voice 2>}\n"
        "  - seconds: 1\n"
        "    prompt: \"<face 2>, <face 2>, @ada's \\\"no @dan, <face 9>\\\" @Cy\"\n",
        0, NULL,
        "a.yaml:2:8: style: <mood 7> names a reference that is not given; there are "
        "<face 1>, <dog>, <face 1>, <voice 1> and <voice 2>. One is given as cast: "
        "[{tag: mood 7, file: FILE}], or by who lends it as cameo: [HANDLE]\n"
        "a.yaml:8:13: shots[1].prompt: <face 2> names a reference that is not given; "
        "there are <face 1>, <dog>, <face 1>, <voice 1> and <voice 2>. One is given as "
        "cast: [{tag: face 2, file: FILE}], or by who lends it as cameo: [HANDLE]\n"
        "a.yaml:8:13: shots[1].prompt: @ada is not of cameo; name there who lends face "
        "and voice, as cameo: [\"@ada\"], and write <face 3> in prompts. (Words that are "
        "spoken or read stand in quotes)\n"
        "a.yaml:8:13: shots[1].prompt: <face 9> names a reference that is not given; "
        "there are <face 1>, <dog>, <face 1>, <voice 1> and <voice 2>. One is given as "
        "cast: [{tag: face 9, file: FILE}], or by who lends it as cameo: [HANDLE]\n"
        "a.yaml:8:13: shots[1].prompt: @cy is <voice 2> in prompts: write that");
    char *over[] = {"shots[0].camera=<eye 2>", "negative=@me"};
    refused_naming(
        "checkpoint: x\nshots: [{seconds: 1, prompt: a}]\n", 2, over,
        "command line: negative: @me is not of cameo; name there who lends face and "
        "voice, as cameo: [\"@me\"], and write <face 1> in prompts. (Words that are "
        "spoken or read stand in quotes)\n"
        "command line: shots[0].camera: <eye 2> names a reference that is not given; "
        "there is none. One is given as cast: [{tag: eye 2, file: FILE}], or by who lends "
        "it as cameo: [HANDLE]");
}

// What is no name is left alone, and so are stored configs.
static void test_rules__no_names(void **state)
{
    (void)state;
    static const char board[] =
        "checkpoint: x\nshots:\n"
        "  - {seconds: 1, prompt: 'a < b and c > d, a@b.org @ 5 @2pm <so> <> <'}\n"
        "  - {seconds: 1, prompt: 'Ada says \"@bo\", then \xe2\x80\x9c@cy\xe2\x80\x9d'}\n";
    static const char stored[] = "shots: [{seconds: 1, prompt: '<face 1> @bo'}]\n";
    tk_config c;
    tk_config_init(&c);
    assert_ok(tk_config_parse(&c, TK_CMD_SAMPLE, "a.yaml", board, strlen(board), 0, NULL));
    assert_ok(tk_config_parse(&c, TK_CMD_PLAN | TK_CMD_SAMPLE, "a.yaml", stored, strlen(stored), 0,
                              NULL));
    tk_config_free(&c);
}

// No shell reads a config, nor train.out=~/run: a run of days would lie in a folder called ~.
static void test_rules__no_home(void **state)
{
    static const char text[] = "data: {files: [a.h5, ~/b.h5]}\ntrain: {out: ./~/run}\n";
    char *over[] = {"train.from=~/run"};
    tk_config c;
    (void)state;
    tk_config_init(&c);
    assert_status(tk_config_parse(&c, TK_CMD_TRAIN, "a.yaml", text, strlen(text), 1, over),
                  TK_INPUT);
    assert_says("a.yaml:1:22: data.files[1]: begins with ~/");
    assert_says("command line: train.from: begins with ~/");
    assert_null(strstr(tk_status_message(), "train.out"));
    tk_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__codec_store),      cmocka_unit_test(test_rules__bad_schedules),
        cmocka_unit_test(test_rules__remembered_shots), cmocka_unit_test(test_rules__names),
        cmocka_unit_test(test_rules__no_names),         cmocka_unit_test(test_rules__no_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
