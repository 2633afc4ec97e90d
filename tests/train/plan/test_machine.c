// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// Machine files: the shipped one, what is wrong in others, and who asks for what.
#include "tests/support/test.h"
#include "train/plan/machine.h"
#include <stdio.h>
#include <unistd.h>

static char path[64];

static tk_status try_text(const char *text, tk_machine *m)
{
    snprintf(path, sizeof path, "/tmp/talkie-machine-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    const tk_status st = tk_machine_load(m, path);
    unlink(path);
    return st;
}

// The message begins with the file; `words` follow it, with line and column.
static void refused(const char *text, const char *words)
{
    char whole[512];
    tk_machine m;
    assert_status(try_text(text, &m), TK_INPUT);
    snprintf(whole, sizeof whole, "%s:%s", path, words);
    assert_says(whole);
    tk_status_clear();
}

#define FIGURES                                                                  \
    "memory: {bytes: 8e9}\ncontext: {bytes: 1e8}\ncommunicator: {bytes: 1e7}\n"  \
    "copy: {rate: 1e12, basis: measured, source: here}\nkernels: {share: 0.5}\n" \
    "host: {rate: 1e10}\nlaunch: {seconds: 1e-6}\n"
#define RATES                                                            \
    "products:\n  - {precision: bf16, side: 64, rate: 1e14}\n"           \
    "  - {precision: bf16, side: 1024, rate: 4e14, basis: measured}\n"   \
    "attention:\n  - {precision: bf16, forward: 2e14, backward: 1e14}\n" \
    "peaks:\n  - {precision: bf16, rate: 1e15}\n"
#define LINKS "links:\n  - {place: node, rate: 1e11, latency: 1e-6}\n"

static void figures_are_found(void **state)
{
    tk_machine m;
    int all;
    (void)state;
    assert_ok(try_text("name: small\ngpus: 4\n" FIGURES RATES LINKS, &m));
    assert_int_equal(m.gpus, 4);
    assert_near(m.copy.value, 1e12, 0);
    assert_int_equal(m.copy.basis, TK_MEASURED);
    assert_string_equal(m.copy.source, "here");
    assert_near(tk_machine_product(&m, TK_PRECISION_BF16, 2048)->value, 4e14, 0);
    assert_near(tk_machine_product(&m, TK_PRECISION_BF16, 1023)->value, 1e14, 0);
    assert_near(tk_machine_product(&m, TK_PRECISION_BF16, 3)->value, 1e14, 0); // below all classes
    assert_null(tk_machine_product(&m, TK_PRECISION_FP32, 1024));
    assert_near(tk_machine_attention(&m, TK_PRECISION_BF16)->back.value, 1e14, 0);
    assert_null(tk_machine_peak(&m, TK_PRECISION_FP32));
    assert_null(tk_machine_link(&m, TK_LINK_NETWORK));
    assert_int_equal(tk_machine_assumed(&m, &all), 10);
    assert_int_equal(all, 12);
    tk_machine_free(&m);
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    (void)state;
    refused("gpus: 4\n" FIGURES RATES LINKS "cpoy: {rate: 1}\n",
            "18:1: cpoy: no such section; did you mean copy?");
    refused("gpus: 0\n" FIGURES RATES LINKS, "1:7: gpus: ");
    refused(FIGURES RATES "links:\n  - {place: moon, rate: 1e11, latency: 1e-6}\n",
            "16:13: links[0].place: ");
    refused(FIGURES RATES "links:\n  - {place: node, rate: fast, latency: 1e-6}\n",
            "16:25: links[0].rate: ");
    refused(FIGURES RATES "links:\n  - {place: node, latency: 1e-6}\n",
            "16:5: links[0].rate: missing: bytes/s of a GPU, each way");
    refused(FIGURES LINKS, " products: missing: rates of matrix products");
    refused(RATES LINKS, " copy.rate: missing: bytes/s, read and written, of copies");
    refused("- 8\n", "1:1: not a machine: wants keys, such as \"name:\"");
    refused("a: {\n", "2:1: ");
}

static void the_shipped_one_marks_what_is_measured(void **state)
{
    tk_machine m;
    int all;
    (void)state;
    assert_ok(tk_machine_load(&m, "configs/machines/h100.yaml"));
    assert_int_equal(m.copy.basis, TK_MEASURED);
    const tk_rating *large = tk_machine_product(&m, TK_PRECISION_BF16, 8192);
    assert_int_equal(large->basis, TK_MEASURED);
    assert_near(large->value, 798e12, 0);
    const int assumed = tk_machine_assumed(&m, &all);
    assert_int_equal(all - assumed, 2); // and no more than these two
    tk_machine_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_found),
        cmocka_unit_test(what_is_wrong_is_told_with_its_place),
        cmocka_unit_test(the_shipped_one_marks_what_is_measured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
