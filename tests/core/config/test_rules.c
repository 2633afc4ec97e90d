// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Rules between options: what is right alone and wrong together.
#include "core/config/config.h"
#include "tests/support/test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules__codec_store),
        cmocka_unit_test(test_rules__bad_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
