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
    assert_says("a.yaml:7:40: shots[2].remember: -1 is not auto, or a list of at most 64 whole "
                "numbers from 0 to 4999\n"
                "a.yaml:8:39: shots[3].remember: the first is not auto, or a list of at most 64 "
                "whole numbers from 0 to 4999\n"
                "a.yaml:3:39: shots[0].remember: 0 is no earlier shot: they are counted from 0, "
                "and before shots[0] are 0\n"
                "a.yaml:6:15: shots[1].remember: 1 is no earlier shot: they are counted from 0, "
                "and before shots[1] are 1\n"
                "a.yaml:6:15: shots[1].remember: 0 stands there twice\n"
                "a.yaml:6:15: shots[1].remember: 7 is no earlier shot: they are counted from 0, "
                "and before shots[1] are 1\n"
                "command line: shots[4].remember: 9 is no earlier shot: they are counted from 0, "
                "and before shots[4] are 4");
    tk_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__codec_store),
        cmocka_unit_test(test_rules__bad_schedules),
        cmocka_unit_test(test_rules__remembered_shots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
