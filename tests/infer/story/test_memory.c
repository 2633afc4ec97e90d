// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// What prompts name, and which earlier shots a shot is given for it.
#include "infer/story/memory.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tk_arena arena;
static tk_prompts words;

static int open_arena(void **state)
{
    (void)state;
    tk_arena_init(&arena, 0);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    return 0;
}

static int read_prompts(const char *const *prompt)
{
    int n = 0;
    while (prompt[n]) n++;
    assert_ok(tk_prompts_read(n, prompt, &arena, &words));
    return n;
}

// The words of a shot's prompt as "Ada* beach": names with a star.
static const char *words_of(int shot)
{
    static char all[1024];
    size_t n = 0;
    *all = 0;
    for (int k = words.begin[shot]; k < words.begin[shot + 1]; k++) {
        const tk_prompt_word *w = &words.word[words.of[k]];
        assert_true(tk_prompt_word_in(w, shot));
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s%s", n ? " " : "", w->text,
                              w->name ? "*" : "");
    }
    return all;
}

// What shot i is given where each shot has `latents` and `room` are left, as "0 first with Ada, 3
// one of the last".
static const char *given(int i, int64_t latents, int64_t room)
{
    static char all[4096];
    int64_t *each, *score;
    tk_remembered *out;
    size_t n = 0;
    each = test_malloc(sizeof *each * (size_t)words.n_shots);
    score = test_malloc(sizeof *score * (size_t)words.n_shots);
    out = test_malloc(sizeof *out * (size_t)words.n_shots);
    for (int k = 0; k < words.n_shots; k++) each[k] = latents;
    const int chosen = tk_memory_choose(&words, each, i, room, score, out);
    *all = 0;
    for (int k = 0; k < chosen; k++) {
        char why[TK_MEMORY_WORDS];
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%d %s", k ? ", " : "", out[k].shot,
                              tk_memory_say(&out[k], why));
    }
    test_free(each);
    test_free(score);
    test_free(out);
    return all;
}

static void names_are_capitals_and_tags(void **state)
{
    (void)state;
    static const char *const prompts[] = {
        "wide, beach: Ada says \"Hello Eve\" to Bo",
        "The ball of ADA rolls. \xe2\x80\x9cLook, Cy\xe2\x80\x9d, says <face 1>",
        "It is the beach; <face 1>'s dog-cart, 3rd of 12, \xc3\x89va's, an \"unended quote of Di",
        "", NULL};
    read_prompts(prompts);
    assert_string_equal(words_of(0), "wide beach Ada* says to Bo*");
    assert_string_equal(words_of(1), "The ball of Ada* rolls says face 1*");
    assert_string_equal(words_of(2),
                        "It* is The beach face 1* dog cart of \xc3\x89va an unended quote Di*");
    assert_string_equal(words_of(3), "");
}

static void long_words_are_passed_over(void **state)
{
    (void)state;
    char prompt[256] = "Ada ";
    memset(prompt + 4, 'x', TK_WORD_BYTES + 1);
    strcat(prompt, " <");
    memset(prompt + strlen(prompt), 'y', TK_WORD_BYTES + 1);
    strcat(prompt, "> sits");
    read_prompts((const char *const[]){prompt, NULL});
    assert_string_equal(words_of(0), "Ada* sits");
}

static const char *const film[] = {"wide, natural, beach: Ada walks right",    // 0
                                   "close: she turns to us",                   // 1
                                   "wide, natural, kitchen: Bo takes the mug", // 2
                                   "close: Bo drinks",                         // 3
                                   "medium: Bo puts the mug down",             // 4
                                   "wide, noir, street: Cy runs",              // 5
                                   "close: Cy stops",                          // 6
                                   "medium: Ada comes, Cy waves",              // 7
                                   "wide: Cy goes",                            // 8
                                   "medium, beach: Bo says \"Ada!\"",          // 9
                                   "close: the dog",                           // 10
                                   "wide: Ada runs",                           // 11
                                   NULL};

static void what_a_prompt_names_is_given(void **state)
{
    (void)state;
    read_prompts(film);
    assert_string_equal(given(0, 1, 9), "");
    assert_string_equal(given(1, 1, 9), "0 one of the last");
    // The last, then the first of whom it names, then those that share most; the latest of equals.
    assert_string_equal(given(7, 1, 1), "6 one of the last");
    assert_string_equal(given(7, 1, 2), "0 first with Ada, 6 one of the last");
    assert_string_equal(given(7, 1, 3), "0 first with Ada, 5 first with Cy, 6 one of the last");
    assert_string_equal(
        given(7, 1, 4),
        "0 first with Ada, 4 first with medium, 5 first with Cy, 6 one of the last");
    // Of a set, whose word few prompts have, the first; what is spoken names nobody.
    assert_string_equal(given(9, 1, 3), "0 first with beach, 2 first with Bo, 8 one of the last");
    assert_string_equal(given(9, 1, 5), "0 first with beach, 2 first with Bo, 3 shares Bo, "
                                        "4 first with medium, 8 one of the last");
    // Nothing is shared: the last ones.
    assert_string_equal(given(10, 1, 3), "7 one of the last, 8 one of the last, 9 one of the last");
    assert_string_equal(given(11, 1, 4),
                        "0 first with Ada, 5 first with runs, 7 shares Ada, 10 one of the last");
}

static void who_does_not_fit_is_passed_over(void **state)
{
    (void)state;
    const int64_t latents[] = {3, 1, 1, 1};
    int64_t score[4];
    tk_remembered out[4];
    read_prompts((const char *const[]){"Ada", "Bo", "it", "Ada, Bo", NULL});
    assert_int_equal(tk_memory_choose(&words, latents, 3, 3, score, out), 2);
    assert_int_equal(out[0].shot, 1);
    assert_string_equal(out[0].word, "Bo");
    assert_int_equal(out[1].shot, 2);
    assert_int_equal(tk_memory_choose(&words, latents, 3, 4, score, out), 2); // 0, 2: none is left
    assert_int_equal(out[0].shot, 0);
    assert_int_equal(tk_memory_choose(&words, latents, 3, 0, score, out), 0);
}

// Whatever prompts say: earlier shots, each once, in order, no more than fit.
static void any_choice_fits(void **state)
{
    (void)state;
    enum { SHOTS = 60 };
    static const char *const some[] = {"Ada",  "Bo",       "beach", "the mug",
                                       "runs", "<face 1>", "\"Cy\""};
    char text[SHOTS][64];
    const char *prompt[SHOTS + 1] = {0};
    int64_t latents[SHOTS], score[SHOTS];
    tk_remembered out[SHOTS];
    srand(5);
    for (int i = 0; i < SHOTS; i++) {
        snprintf(text[i], sizeof text[i], "%s, %s: %s", some[rand() % 7], some[rand() % 7],
                 some[rand() % 7]);
        prompt[i] = text[i];
        latents[i] = 1 + rand() % 4;
    }
    const int n = read_prompts(prompt);
    for (int i = 0; i < n; i++)
        for (int64_t room = 0; room < 40; room += 3) {
            int64_t used = 0;
            const int chosen = tk_memory_choose(&words, latents, i, room, score, out);
            for (int k = 0; k < chosen; k++) {
                assert_true(out[k].shot < i && (k == 0 || out[k].shot > out[k - 1].shot));
                used += latents[out[k].shot];
            }
            assert_true(used <= room);
            if (i && latents[i - 1] <= room) assert_int_equal(out[chosen - 1].shot, i - 1);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_capitals_and_tags),
        cmocka_unit_test(long_words_are_passed_over),
        cmocka_unit_test(what_a_prompt_names_is_given),
        cmocka_unit_test(who_does_not_fit_is_passed_over),
        cmocka_unit_test(any_choice_fits),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
