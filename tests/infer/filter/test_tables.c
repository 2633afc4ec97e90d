// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The policy that ships against texts: tables of evasions and of innocents, evasions that are drawn
// anew each day, captions of the world, a dictionary.
#include "core/base/files.h"
#include "data/scene/scene.h"
#include "infer/filter/policy.h"
#include "tests/support/disguise.h"
#include "tests/support/filters.h"
#include "tests/support/test.h"
#include <ctype.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const char policy_file[] = "configs/policies/shipped.yaml";
static const char dictionary[] = "/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict";
enum { DRAWN = 5000, SCENES = 1000, WORDS = 10000, SHOWN = 30 };

static tk_policy *policy;

// The categories that a text is caught by, "" for none.
static void caught_by(const char *text, char out[512])
{
    tk_arena a;
    tk_policy_hit *hit;
    int n;
    *out = 0;
    tk_arena_init(&a, 0);
    assert_ok(tk_policy_look(policy, text, strlen(text), &a, &n, &hit));
    for (int k = 0; k < n; k++) {
        const size_t used = strlen(out);
        snprintf(out + used, 512 - used, "%s;", policy->categories[hit[k].rule->category].name);
    }
    tk_arena_free(&a);
}

// In tables "\n" stands for the end of a line.
static void unescape(char *s)
{
    for (char *p; (p = strstr(s, "\\n")); memmove(p + 1, p + 2, strlen(p + 1))) *p = '\n';
}

static void read_table(const char *path, void (*each)(char *line, void *ctx), void *ctx)
{
    tk_arena a;
    char *text, *rest;
    size_t bytes;
    tk_arena_init(&a, 0);
    assert_ok(tk_file_read(path, 1 << 20, &a, &text, &bytes));
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (*line == '#') continue;
        unescape(line);
        each(line, ctx);
    }
    tk_arena_free(&a);
}

typedef struct count {
    int n, wrong;
    int met; // what two that follow each other say together and neither by itself
    char before[512];
} count;

static void judge_evasion(char *line, void *ctx)
{
    count *c = ctx;
    char *text = strchr(line, '\t'), by[512], want[128];
    assert_non_null(text);
    *text++ = 0;
    snprintf(want, sizeof want, "%s;", line);
    caught_by(text, by);
    c->n++;
    if (strstr(by, want)) return;
    if (++c->wrong <= SHOWN) print_message("not caught by %s: \"%s\" (%s)\n", line, text, by);
}

static void test_evasions(void **state)
{
    (void)state;
    count c = {0};
    read_table("tests/infer/filter/evasions.txt", judge_evasion, &c);
    print_message("%d evasions, %d not caught\n", c.n, c.wrong);
    assert_true(c.n >= 200);
    assert_true(100 * c.wrong <= c.n);
}

// As prompts of a storyboard are.
static void judge_meeting(count *c, const char *line)
{
    char both[1100], by[512];
    snprintf(both, sizeof both, "%s %.500s", c->before, line);
    caught_by(both, by);
    if (*c->before && *by && ++c->met <= SHOWN) print_message("met in %s: \"%s\"\n", by, both);
    snprintf(c->before, sizeof c->before, "%s", line);
}

static void judge_innocent(char *line, void *ctx)
{
    count *c = ctx;
    char by[512];
    caught_by(line, by);
    c->n++;
    if (!*by) return judge_meeting(c, line);
    *c->before = 0;
    if (++c->wrong <= SHOWN) print_message("wrongly caught by %s: \"%s\"\n", by, line);
}

static void test_innocents(void **state)
{
    (void)state;
    count c = {0};
    read_table("tests/infer/filter/innocents.txt", judge_innocent, &c);
    print_message("%d innocent texts, %d caught, %d pairs\n", c.n, c.wrong, c.met);
    assert_true(c.n >= 200);
    assert_true(100 * c.wrong <= c.n);
    assert_true(100 * c.met <= c.n);
}

static void test_captions_of_the_world(void **state)
{
    (void)state;
    const tk_world_config world = {.clips = SCENES,
                                   .seed = 7,
                                   .seconds = 4,
                                   .max_shots = 3,
                                   .things = 2,
                                   .people = 2,
                                   .soundscapes = 1,
                                   .sets = TK_SETS,
                                   .styles = TK_STYLES,
                                   .held_out = TK_HELD_WITH};
    const tk_media_config media = {96, 64, 12, 16000, 1};
    tk_scene *s;
    count c = {0};
    assert_non_null(s = tk_alloc(sizeof *s));
    for (int64_t i = 0; i < SCENES; i++) {
        assert_ok(tk_scene_make(&world, &media, 4, NULL, 7, i, s));
        for (int k = 0; k < s->n_shots; k++) judge_innocent(s->shot[k].caption, &c);
    }
    tk_free(s);
    print_message("%d captions of the world, %d caught, %d pairs\n", c.n, c.wrong, c.met);
    assert_true(c.n >= SCENES);
    assert_int_equal(c.wrong, 0);
    assert_int_equal(c.met, 0);
}

// Whether the policy has the word itself, by a search that knows no disguises.
static bool has_word(const char *word)
{
    for (int64_t i = 0; i < policy->n_categories; i++)
        for (int64_t k = 0; k < policy->categories[i].n_words; k++) {
            const char *w = policy->categories[i].words[k], *star = strchr(w, '*');
            if (star ? !strncasecmp(w, word, (size_t)(star - w)) : !strcasecmp(w, word))
                return true;
        }
    return false;
}

// Every so many words of the recognizer's dictionary.
static void test_dictionary(void **state)
{
    (void)state;
    char line[512];
    count c = {0};
    int all = 0, of = 0;
    FILE *f = fopen(dictionary, "r");
    if (!f) {
        print_message("%s is not here: no words\n", dictionary);
        skip();
    }
    while (fgets(line, sizeof line, f)) all++;
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        if (of++ % (all / WORDS) || c.n == WORDS) continue;
        line[strcspn(line, " (\n")] = 0;
        if (has_word(line)) continue;
        judge_innocent(line, &c);
    }
    fclose(f);
    print_message("%d words of %d, %d caught, %d pairs\n", c.n, all, c.wrong, c.met);
    assert_true(c.n > WORDS * 9 / 10);
    assert_true(100 * c.wrong <= c.n);
}

// A word or a name of the policy, as it is written, without stars.
static int any_word(disguises *d, char out[128])
{
    for (;;) {
        const int i = (int)draw(d, (uint64_t)policy->n_categories);
        const tk_policy_category *c = &policy->categories[i];
        const int64_t n = c->n_words + c->n_people;
        if (!n) continue;
        const int64_t k = (int64_t)draw(d, (uint64_t)n);
        snprintf(out, 128, "%s", k < c->n_words ? c->words[k] : c->people[k - c->n_words]);
        out[strcspn(out, "*")] = 0;
        return i;
    }
}

static void test_evasions_of_the_day(void **state)
{
    (void)state;
    const char *said = getenv("TK_SEED");
    const uint64_t seed = said ? strtoull(said, NULL, 10) : (uint64_t)time(NULL) / 86400;
    disguises d = {seed};
    count c = {0};
    for (int i = 0; i < DRAWN; i++) {
        static char text[DISGUISED], whole[DISGUISED + 128];
        static const char *const frames[] = {"%s", "A picture of a %s at noon.", "Ada says \"%s\"",
                                             "wide: %s, then rain", "no %s!"};
        char word[128], by[512], want[128];
        const int category = any_word(&d, word);
        const char *way = disguise(&d, word, text), *frame = frames[draw(&d, 5)];
        const char *at = strstr(frame, "%s");
        snprintf(whole, sizeof whole, "%.*s%s%s", (int)(at - frame), frame, text, at + 2);
        snprintf(want, sizeof want, "%s;", policy->categories[category].name);
        caught_by(whole, by);
        c.n++;
        if (strstr(by, want)) continue;
        if (++c.wrong <= SHOWN)
            print_message("not caught (%s, \"%s\"): \"%s\"\n", way, word, whole);
    }
    print_message("%d evasions of seed %llu (TK_SEED), %d not caught\n", c.n,
                  (unsigned long long)seed, c.wrong);
    assert_true(100 * c.wrong <= c.n);
}

static int open_policy(void **state)
{
    (void)state;
    assert_ok(tk_policy_open(policy_file, &policy));
    return 0;
}

static int close_policy(void **state)
{
    (void)state;
    tk_policy_close(policy);
    return 0;
}

int main(void)
{
    skip_without_filters();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evasions),
        cmocka_unit_test(test_innocents),
        cmocka_unit_test(test_captions_of_the_world),
        cmocka_unit_test(test_dictionary),
        cmocka_unit_test(test_evasions_of_the_day),
    };
    return cmocka_run_group_tests(tests, open_policy, close_policy);
}
