// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Policies that are wrong, hostile or large; what becomes of what they find, and who is told.
#include "core/base/files.h"
#include "infer/filter/pattern.h"
#include "infer/filter/ruling.h"
#include "tests/support/policy.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *whole_log(tk_arena *a)
{
    char *text;
    size_t bytes;
    assert_ok(tk_file_read(log_path, 1 << 20, a, &text, &bytes));
    return text;
}

static int make_folder(void **state)
{
    (void)state;
    make_filters_folder();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove_filters_folder();
    return 0;
}

// ---- what is no policy -------------------------------------------------------------------------

static void test_what_is_no_policy_is_told_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"", "categories: missing"},
        {"categories: []", "categories: missing"},
        {"categories: [{name: a}]", "policy.yaml:1:14: categories[0]: looks for nothing"},
        {"categories: [{words: [tree]}]", "categories[0].name: missing"},
        {"categories: [{name: a, words: [tree]}, {name: a, words: [b]}]", "one of that name"},
        {"categories: [{name: a, words: [tree], action: burn}]", "action"},
        {"categories: [{name: a, words: [tree], action: role}]", "role: missing"},
        {"categories: [{name: a, words: [tree], role: x}]", "action is not role"},
        {"categories: [{name: a, words: [tree], action: role, role: x}]", "no role of that name"},
        {"roles: [{users: [x]}]\ncategories: [{name: a, words: [tree]}]", "roles[0].name"},
        {"categories: [{name: a, words: ['...']}]", "has no letter"},
        {"categories: [{name: a, words: [tr*ee]}]", "star within"},
        {"categories: [{name: a, patterns: ['(']}]", "is no pattern"},
        {"categories: [{name: a, patterns: ['a{1000}']}]", "the most is 100"},
        {"categories: [{name: a, patterns: ['']}]", "is empty"},
        {"categories: [{name: a, people: [Ada @]}]", "is no handle"},
        {"categories: [{name: a, people: [Ada @../ada]}]", "is no handle"},
        {"categories: [{name: a, people: [Ada @ada @bo]}]", "is no handle"},
        {"categories: [{name: a, people: ['@ada']}]", "has no letter"},
        {"categories: [{name: a, words: [tree], colour: red}]", "no such option"},
        {"model: {hidden: 6}", "policy.yaml:1:1: model: no such option; there are roles, "},
        {"{", "policy.yaml:"},
        {"\xff\xfe", "policy.yaml"},
        {"categories: &a [*a]", "anchors"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        tk_policy *p;
        put_file(policy_path, wrong[i].text);
        assert_status(tk_policy_open(policy_path, &p), TK_INPUT);
        assert_says(wrong[i].says);
        assert_null(p);
    }
    tk_policy *p;
    assert_status(tk_policy_open("/nowhere/policy.yaml", &p), TK_INPUT);
    assert_status(tk_policy_open(filters_folder, &p), TK_INPUT);
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    put_file(policy_path,
             "categories: [{name: a, words: [tree], patterns: [b], people: [Ada @ada]}]");
    tk_status st = TK_MEMORY;
    for (int64_t n = 1; st == TK_MEMORY; n++) {
        tk_policy *p;
        tk_alloc_fail_at(n, true);
        st = tk_policy_open(policy_path, &p);
        tk_alloc_fail_at(0, false);
        assert_true(st == TK_OK || st == TK_MEMORY);
        tk_policy_close(p);
        assert_true(n < 1000);
    }
}

// ---- what becomes of it ------------------------------------------------------------------------

static tk_filter_config config = {policy_path, log_path};
static const char *const files[] = {story_path};

static bool ada_consents(void *ctx, const char *handle)
{
    (void)ctx;
    return !strcmp(handle, "ada");
}

static tk_status rule_on(const tk_ruling_request *r, const char *text)
{
    tk_ruling *ruling;
    TK_TRY(tk_ruling_open(&config, r, &ruling));
    tk_status st = tk_ruling_text(ruling, "story.yaml:1:2: shots[0].prompt", text);
    if (st == TK_OK) st = tk_ruling_verdict(ruling);
    tk_ruling_close(ruling);
    return st;
}

static void write_policy(const char *user)
{
    char text[1024];
    snprintf(text, sizeof text,
             "roles: [{name: press, users: ['%s']}]\n"
             "categories:\n"
             "  - {name: trees, words: [oak, elm*], innocent: [elmo]}\n"
             "  - {name: birds, action: log, words: [raven]}\n"
             "  - {name: fish, action: role, role: press, words: [cod]}\n"
             "  - {name: people, people: [Ada Lovelace @ada, Alan Turing, Bo Oslo@bo]}\n"
             "  - {name: numbers, patterns: ['\\d{3}-\\d{4}']}\n",
             user);
    put_file(policy_path, text);
}

// What each line of the log says: its decisions in order, "refused, logged".
static void read_decisions(char out[512])
{
    tk_arena a;
    char *rest;
    *out = 0;
    tk_arena_init(&a, 0);
    for (char *line = strtok_r(whole_log(&a), "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *o = json_loads(line, 0, NULL);
        const size_t n = strlen(out);
        assert_non_null(o);
        assert_non_null(json_object_get(o, "time"));
        assert_non_null(json_object_get(o, "users"));
        snprintf(out + n, 512 - n, "%s%s", n ? ", " : "",
                 json_string_value(json_object_get(o, "decision")));
        json_decref(o);
    }
    tk_arena_free(&a);
}

static void test_decisions(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1};
    const tk_ruling_request consented = {
        .clip = "clip", .files = files, .n_files = 1, .consents = ada_consents};
    char got[512], own[32];
    unlink(log_path);
    write_policy("4294967");
    assert_ok(rule_on(&r, "a meadow"));
    assert_status(rule_on(&r, "an o a k and Elms, raven; a c0d, 555-1234"), TK_INPUT);
    assert_says("story.yaml:1:2: shots[0].prompt: refused (trees, word \"oak\"): \"o a k\"");
    assert_says("(trees, word \"elm*\"): \"Elm\"");
    assert_says("(fish, word \"cod\"): \"c0d\"");
    assert_says("(numbers, pattern");
    assert_ok(rule_on(&r, "Elmo and a raven"));
    assert_status(rule_on(&r, "Ada Lovelace"), TK_INPUT);
    assert_says("person \"Ada Lovelace\", who has not consented: cameo does not name @ada, face");
    assert_ok(rule_on(&consented, "Ada Lovelace"));
    assert_status(rule_on(&consented, "Ada Lovelace and Alan Turing"), TK_INPUT);
    assert_says("(people, person \"Alan Turing\", who has not consented): \"Alan Turing\"");
    assert_status(rule_on(&consented, "Ada Lovelace and Bo 0slo"), TK_INPUT);
    assert_says("does not name @bo");
    snprintf(own, sizeof own, "%u", getuid());
    write_policy(own);
    assert_ok(rule_on(&r, "a cod"));
    read_decisions(got);
    assert_string_equal(got, "passed, refused, refused, logged, refused, refused, logged, passed, "
                             "refused, consented, passed, consented, refused, consented, refused, "
                             "allowed, passed");
}

// Who asks is whose the file is, whoever reads it.
static void test_roles_are_the_owner_s(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1};
    const tk_ruling_request nobody = {.clip = "clip"};
    if (getuid() != 0) skip(); // none may give files away
    write_policy("0");
    assert_ok(rule_on(&r, "a cod"));
    assert_status(rule_on(&nobody, "a cod"), TK_INPUT);
    assert_int_equal(chown(story_path, 12345, 12345), 0);
    assert_status(rule_on(&r, "a cod"), TK_INPUT);
    write_policy("12345");
    assert_ok(rule_on(&r, "a cod"));
    assert_int_equal(chown(story_path, 0, 0), 0);
    assert_status(rule_on(&r, "a cod"), TK_INPUT);
    write_policy("root");
    assert_ok(rule_on(&r, "a cod"));
}

static void test_without_a_policy_nothing_is_asked(void **state)
{
    (void)state;
    const tk_filter_config none = {"", ""};
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1};
    tk_ruling *ruling;
    assert_ok(tk_ruling_open(&none, &r, &ruling));
    assert_null(ruling);
    assert_ok(tk_ruling_text(ruling, "here", "an oak"));
    assert_ok(tk_ruling_verdict(ruling));
}

static void test_what_cannot_be_logged_does_not_go_on(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1};
    tk_filter_config to = {policy_path, ""};
    tk_ruling *ruling;
    write_policy("0");
    assert_status(tk_ruling_open(&to, &r, &ruling), TK_INPUT);
    assert_says("filter.log: missing");
    to.log = filters_folder;
    assert_status(tk_ruling_open(&to, &r, &ruling), TK_INPUT);
    unlink(log_path);
    assert_int_equal(symlink("/dev/null", log_path), 0);
    to.log = log_path;
    assert_status(tk_ruling_open(&to, &r, &ruling), TK_INPUT);
    assert_says("link");
    unlink(log_path);
    assert_int_equal(mkfifo(log_path, 0600), 0);
    assert_status(tk_ruling_open(&to, &r, &ruling), TK_INPUT);
    assert_says("no regular file");
    unlink(log_path);
}

// A line that its writer left unfinished stays by itself.
static void test_log_lines_are_whole(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "cl\xffip", .files = files, .n_files = 1};
    tk_arena a;
    tk_arena_init(&a, 0);
    write_policy("0");
    put_file(log_path, "{\"time\":");
    assert_ok(rule_on(&r, "a meadow"));
    const char *text = whole_log(&a);
    assert_true(!strncmp(text, "{\"time\":\n{", 10));
    assert_int_equal(text[strlen(text) - 1], '\n');
    assert_non_null(strstr(text, "\"cl?ip\"")); // of a name that is no text
    tk_arena_free(&a);
    unlink(log_path);
}

static void test_many_refusals_are_counted(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1, .dry = true};
    tk_ruling *ruling;
    write_policy("0");
    assert_ok(tk_ruling_open(&config, &r, &ruling));
    for (int i = 0; i < 500; i++) assert_ok(tk_ruling_text(ruling, "place", "an oak"));
    assert_status(tk_ruling_verdict(ruling), TK_INPUT);
    assert_says("and 460 more");
    tk_ruling_close(ruling);
    assert_int_equal(access(log_path, F_OK), -1); // dry
}

// ---- what is hostile or large ------------------------------------------------------------------

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// A pattern of exponential cost ends as refused, and soon.
static void test_patterns_that_take_too_long_refuse(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1, .dry = true};
    char text[4001];
    put_file(policy_path, "categories: [{name: a, action: log, patterns: ['(a+)+$', '(x|xx)*y']}]");
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    text[sizeof text - 2] = '.';
    const double begin = processor_seconds();
    assert_status(rule_on(&r, text), TK_INPUT);
    assert_says("took too long");
    tk_ruling *ruling;
    assert_ok(tk_ruling_open(&config, &r, &ruling));
    for (int i = 0; i < 2000; i++) assert_ok(tk_ruling_text(ruling, "place", text));
    assert_status(tk_ruling_verdict(ruling), TK_INPUT);
    tk_ruling_close(ruling);
    print_message("2000 such texts: %.2f s\n", processor_seconds() - begin);
    assert_true(processor_seconds() - begin < 20);
}

static void test_texts_of_any_bytes(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1, .dry = true};
    char *text = tk_alloc(1 << 20);
    tk_ruling *ruling;
    write_policy("0");
    assert_non_null(text);
    assert_ok(tk_ruling_open(&config, &r, &ruling));
    for (int byte = 1; byte < 256; byte += 3) {
        memset(text, byte, 40000);
        text[40000] = 0;
        assert_ok(tk_ruling_text(ruling, "place", text));
    }
    assert_false(tk_ruling_refuses(ruling));
    memset(text, '.', 40000);
    memcpy(text + 16384 - 3, "o.a.k", 5); // over the end of a piece
    assert_ok(tk_ruling_text(ruling, "place", text));
    assert_true(tk_ruling_refuses(ruling));
    tk_ruling_close(ruling);
    tk_free(text);
}

// 10,000 words against a storyboard of an hour: 3,600 shots.
static void test_ten_thousand_words(void **state)
{
    (void)state;
    const tk_ruling_request r = {.clip = "clip", .files = files, .n_files = 1, .dry = true};
    static const char *const part[] = {"ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "zu"};
    FILE *f = fopen(policy_path, "w");
    tk_ruling *ruling;
    assert_non_null(f);
    fprintf(f, "categories: [{name: a, words: [");
    for (int i = 0; i < 10000; i++)
        fprintf(f, "%s%s%s%s%s", i ? ", q" : "q", part[i / 1000], part[i / 100 % 10],
                part[i / 10 % 10], part[i % 10]);
    fprintf(f, "]}]");
    fclose(f);
    const double begin = processor_seconds();
    assert_ok(tk_ruling_open(&config, &r, &ruling));
    const double opened = processor_seconds();
    assert_int_equal(tk_ruling_policy(ruling)->words, 10000);
    for (int i = 0; i < 3600; i++) {
        char prompt[400];
        snprintf(prompt, sizeof prompt,
                 "wide, natural, street: Ada walks left and says \"the red ball %d\", then turns; "
                 "behind her the qba ke li, a dog, 3 cats & rain on the roof of the old house, "
                 "thunder far away, and a tram that rings its bell twice at the corner",
                 i);
        assert_ok(tk_ruling_text(ruling, "place", prompt));
    }
    assert_false(tk_ruling_refuses(ruling));
    print_message("10000 words: %.3f s to open; 3600 prompts: %.3f s\n", opened - begin,
                  processor_seconds() - opened);
    assert_true(processor_seconds() - begin < 10);
    assert_ok(tk_ruling_text(ruling, "place", "a q.b.a.m.o.k.3.z.u"));
    assert_true(tk_ruling_refuses(ruling));
    tk_ruling_close(ruling);
}

int main(void)
{
    skip_without_filters();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_policy_is_told_with_its_place),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_roles_are_the_owner_s),
        cmocka_unit_test(test_without_a_policy_nothing_is_asked),
        cmocka_unit_test(test_what_cannot_be_logged_does_not_go_on),
        cmocka_unit_test(test_log_lines_are_whole),
        cmocka_unit_test(test_many_refusals_are_counted),
        cmocka_unit_test(test_patterns_that_take_too_long_refuse),
        cmocka_unit_test(test_texts_of_any_bytes),
        cmocka_unit_test(test_ten_thousand_words),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
