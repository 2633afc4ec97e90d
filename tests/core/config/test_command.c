// SPDX-License-Identifier: Apache-2.0
// The one reading of a command line, over a table of the test's own.
#include "core/config/command.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <unistd.h>

static struct seen { // what the command was run with
    int runs, files, overrides;
    char file[3][64], config_file[64], output[64];
    int64_t steps;
} seen;

static tk_status note(tk_comm *world, tk_invocation *in)
{
    (void)world;
    seen.runs++;
    seen.files = in->n_files;
    seen.overrides = in->n_overrides;
    for (int i = 0; i < in->n_files && i < 3; i++) snprintf(seen.file[i], 64, "%s", in->files[i]);
    snprintf(seen.config_file, 64, "%s", in->config_file ? in->config_file : "");
    snprintf(seen.output, 64, "%s", in->config.output);
    seen.steps = in->config.train.steps;
    return TK_OK;
}

static tk_status ask_report(tk_wrong *w, const tk_invocation *in, int ranks)
{
    assert_int_equal(ranks, 1);
    if (!*in->config.output) tk_wrong_add(w, "output", "missing");
    tk_wrong_unmade(w, "eval.checkpoint", in->config.eval.checkpoint);
    return TK_OK;
}

static const tk_command table[] = {
    {.name = "make all",
     .arguments = "[CONFIG.yaml] FILES... -o FILE",
     .help = "makes",
     .wants = "a file",
     .least = 1,
     .most = 2,
     .options = TK_CMD_DATA,
     .config = TK_CONFIG_OPTIONAL,
     .run = note},
    {.name = "learn",
     .arguments = "CONFIG",
     .help = "learns",
     .wants = "a config file",
     .options = TK_CMD_TRAIN,
     .config = TK_CONFIG_FILE,
     .run = note},
    {.name = "show",
     .arguments = "STORY",
     .help = "shows",
     .wants = "a story",
     .least = 1,
     .most = 1,
     .options = TK_CMD_SAMPLE,
     .config = TK_CONFIG_LAYERED,
     .run = note},
    {.name = "turn",
     .arguments = "WHEELS -o FILE",
     .help = "turns",
     .wants = "a wheel",
     .least = 1,
     .most = 3,
     .reads = true,
     .options = TK_CMD_EVAL,
     .config = TK_CONFIG_LAYERED,
     .ask = ask_report,
     .run = note},
    {.name = NULL},
};

enum { MOST = 12 };

// Runs the words of `line`, split at blanks.
static tk_status run(const char *line)
{
    char text[256], *argv[MOST] = {(char *)"talkie"};
    int argc = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *w = strtok(text, " "); w && argc < MOST; w = strtok(NULL, " ")) argv[argc++] = w;
    memset(&seen, 0, sizeof seen);
    return tk_command_run(table, tk_comm_self(), argc, argv);
}

static int make_config(void **state)
{
    (void)state;
    FILE *f = fopen("test_command.yaml", "w");
    if (!f) return -1;
    fputs("train: {steps: 7}\ndata: {files: [a.h5]}\n", f);
    return fclose(f);
}

static int remove_config(void **state)
{
    (void)state;
    return unlink("test_command.yaml");
}

static void test_words__come_in_any_order(void **state)
{
    static const char *const lines[] = {
        "make all test_command.yaml x.mp4 ./y=1.mp4 media.fps=4 -o out.h5",
        "make all --output out.h5 media.fps=4 x.mp4 test_command.yaml ./y=1.mp4",
        "make all output=out.h5 x.mp4 media.fps=4 ./y=1.mp4 test_command.yaml",
    };
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_ok(run(lines[i]));
        assert_int_equal(seen.runs, 1);
        assert_int_equal(seen.files, 2);
        assert_int_equal(seen.overrides, 2);
        assert_string_equal(seen.file[0], "x.mp4");
        assert_string_equal(seen.file[1], "./y=1.mp4");
        assert_string_equal(seen.config_file, "test_command.yaml");
        assert_string_equal(seen.output, "out.h5");
        assert_int_equal(seen.steps, 7);
    }
}

static void test_config__is_loaded_where_the_row_says_so(void **state)
{
    (void)state;
    assert_ok(run("learn train.steps=9 test_command.yaml"));
    assert_int_equal(seen.steps, 9);
    assert_ok(run("make all x.mp4")); // none given: defaults
    assert_string_equal(seen.config_file, "");
    assert_ok(run("show -o here nowhere.yaml")); // the command's own business
    assert_string_equal(seen.file[0], "nowhere.yaml");
    assert_int_equal(seen.overrides, 1);
    assert_string_equal(seen.output, "");
}

static void test_bad_lines__are_refused_before_the_command_runs(void **state)
{
    static const struct {
        const char *line, *words;
    } bad[] = {
        {"cook", "there is no command 'cook'"},
        {"make some", "there is no `talkie make some`; there are all"},
        {"make all", "a file is missing; usage: talkie make all [CONFIG.yaml] FILES... -o FILE"},
        {"make all a b c", "c: one file too many; usage: talkie make all"},
        {"learn", "a config file is missing; usage: talkie learn CONFIG"},
        {"learn nowhere.yaml", "nowhere.yaml"},
        {"learn test_command.yaml train.stepz=1", "train.steps"},
        {"learn test_command.yaml -o x", "output: not an option of talkie train"},
        {"learn test_command.yaml other.yaml", "other.yaml: one file too many"},
        {"show", "a story is missing"},
        {"show a.yaml -o", "-o needs the name of a file"},
        {"show a.yaml -x", "-x is not known here"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_status(run(bad[i].line), TK_INPUT);
        assert_says(bad[i].words);
        assert_int_equal(seen.runs, 0);
    }
}

// What is named is looked for before a command reads its config, and told with what is wrong
// besides.
static void test_files__that_are_read_are_there(void **state)
{
    (void)state;
    assert_ok(run("turn test_command.yaml -o x"));
    assert_int_equal(seen.runs, 1);
    assert_string_equal(seen.output, "");                          // the command's own business
    assert_ok(run("turn test_command.yaml eval.clips=none -o x")); // and this
    assert_status(
        run("turn no.h5 test_command.yaml neither.h5 eval.clips=none eval.checkpoint=x/y"),
        TK_INPUT);
    char here[200], want[1024];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(want, sizeof want,
             "command line: eval.clips: none is not a whole number from 1 to 1000000\n"
             "command line: cannot open no.h5, looked for from %s on: No such file or directory; "
             "give a wheel that can be "
             "read\n"
             "command line: cannot open neither.h5, looked for from %s on: No such file or "
             "directory; give a wheel that can be "
             "read\n"
             "output: missing",
             here, here);
    assert_string_equal(tk_status_message(), want);
    assert_int_equal(seen.runs, 0);
    assert_status(run("turn test_command.yaml -o x eval.checkpoint=test_command.yaml/y"), TK_INPUT);
    assert_says("command line: eval.checkpoint: test_command.yaml is no folder; name a folder");
}

// What the line prints on standard output.
static const char *printed(const char *line)
{
    static char text[32768];
    fflush(stdout);
    const int before = dup(STDOUT_FILENO);
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
    const tk_status st = run(line);
    fflush(stdout);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    close(before);
    assert_ok(st);
    rewind(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void test_help__is_printed_wherever_it_is_asked_for(void **state)
{
    (void)state;
    assert_non_null(strstr(printed("--help"), "talkie learn CONFIG"));
    assert_non_null(strstr(printed("make"), "talkie make all"));
    assert_null(strstr(printed("make --help"), "talkie learn"));
    assert_non_null(strstr(printed("learn --help"), "train.steps"));
    assert_non_null(strstr(printed("learn a b c -h"), "train.steps"));
    assert_non_null(strstr(printed("make all --help"), "output"));
    assert_int_equal(seen.runs, 0);
}

static void test_memory__running_out_is_said(void **state)
{
    (void)state;
    const int64_t before = tk_alloc_count();
    assert_ok(run("make all test_command.yaml x.mp4 -o out.h5"));
    const int64_t n = tk_alloc_count() - before;
    assert_true(n > 3);
    for (int64_t nth = 1; nth <= n; nth++) {
        tk_alloc_fail_at(nth, false);
        assert_status(run("make all test_command.yaml x.mp4 -o out.h5"), TK_MEMORY);
        tk_alloc_fail_at(0, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words__come_in_any_order),
        cmocka_unit_test(test_config__is_loaded_where_the_row_says_so),
        cmocka_unit_test(test_bad_lines__are_refused_before_the_command_runs),
        cmocka_unit_test(test_files__that_are_read_are_there),
        cmocka_unit_test(test_help__is_printed_wherever_it_is_asked_for),
        cmocka_unit_test(test_memory__running_out_is_said),
    };
    return cmocka_run_group_tests(tests, make_config, remove_config);
}
