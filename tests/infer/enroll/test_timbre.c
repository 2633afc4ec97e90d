// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Words of one stranger are told from words of two, by how the voices of the cast say each word.
#include "data/speech/speak.h"
#include "data/speech/voices.h"
#include "infer/enroll/timbre.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EXAMPLES = TK_VOICES_ALL * TK_WORDS, KNOWN = TK_VOICES * TK_WORDS, PHRASE = 4, EACH = 4 };
static tk_timbre timbre[EXAMPLES]; // of word i % TK_WORDS by voice i / TK_WORDS
static int word_of[EXAMPLES], voice_of[EXAMPLES];
static tk_timbres known; // by the cast
static tk_arena arena;

static int begin(void **state)
{
    (void)state;
    tk_speech *s;
    tk_arena_init(&arena, 0);
    if (tk_speech_open(TK_TIMBRE_RATE, &s) != TK_OK) return 1;
    for (int i = 0; i < EXAMPLES; i++) {
        tk_arena own;
        tk_line l;
        tk_arena_init(&own, 0);
        word_of[i] = i % TK_WORDS, voice_of[i] = i / TK_WORDS;
        if (i >= KNOWN && word_of[i] % EACH) continue; // enough of strangers
        if (tk_speak(s, voice_of[i], tk_word_text(word_of[i]), &own, &l) != TK_OK ||
            tk_timbre_of(l.pcm, l.samples, &own, &timbre[i]) != TK_OK)
            return 1;
        tk_arena_free(&own);
    }
    tk_speech_close(s);
    return tk_timbres_learn(timbre, word_of, voice_of, KNOWN, TK_WORDS, TK_VOICES, &arena,
                            &known) != TK_OK;
}

static int end(void **state)
{
    (void)state;
    tk_arena_free(&arena);
    return 0;
}

// Words first, first + 12, ...; those from `cut` on by b, the others by a.
static double apart(int a, int b, int first, int cut)
{
    tk_timbre t[PHRASE];
    int word[PHRASE];
    for (int k = 0; k < PHRASE; k++) {
        word[k] = (first + 3 * EACH * k) % TK_WORDS;
        t[k] = timbre[(k < cut ? a : b) * TK_WORDS + word[k]];
    }
    return tk_timbres_apart(&known, t, word, PHRASE);
}

// Strangers, whom nothing was learned of: of one speaker's voices at several pitches nothing is
// asked.
static void test_strangers(void **state)
{
    (void)state;
    const double most = 5.8; // the witness'
    int one = 0, ones = 0, two = 0, twos = 0;
    for (int a = TK_VOICES; a < TK_VOICES_ALL; a++)
        for (int first = 0; first < TK_WORDS; first += EACH) {
            one += apart(a, a, first, PHRASE) <= most, ones++;
            for (int b = TK_VOICES; b < TK_VOICES_ALL; b++) {
                if (!strcmp(tk_voice_of(a)->speaker, tk_voice_of(b)->speaker)) continue;
                two += apart(a, b, first, 1 + first / EACH % 3) <= most, twos++;
            }
        }
    printf("one voice: %d of %d; two: %d of %d\n", one, ones, two, twos);
    assert_true(100 * one >= 90 * ones);
    assert_true(100 * two <= 2 * twos);
}

// A part is a part wherever it lies: the same words in another order are as far apart.
static void test_order(void **state)
{
    (void)state;
    const int a = 0, b = 4, word[3] = {1, 8, 20}, turned[3] = {8, 1, 20};
    const tk_timbre x = timbre[a * TK_WORDS + 1], y = timbre[b * TK_WORDS + 8],
                    z = timbre[a * TK_WORDS + 20];
    const tk_timbre t[3] = {x, y, z}, u[3] = {y, x, z};
    assert_near(tk_timbres_apart(&known, t, word, 3), tk_timbres_apart(&known, u, turned, 3), 1e-9);
    assert_near(tk_timbres_apart(&known, t, word, 1), 0, 0);
}

static void test_nothing(void **state)
{
    (void)state;
    static const float silence[8000];
    tk_timbre t[2] = {timbre[0], timbre[1]};
    tk_timbres none;
    assert_ok(tk_timbre_of(silence, 8000, &arena, &t[1]));
    assert_int_equal(t[1].voiced, 0);
    assert_true(isinf(tk_timbres_apart(&known, t, word_of, 2)));
    assert_ok(tk_timbre_of(silence, 0, &arena, &t[1]));
    assert_int_equal(t[1].voiced, 0);
    assert_status(
        tk_timbres_learn(timbre, word_of, voice_of, TK_WORDS - 1, TK_WORDS, 1, &arena, &none),
        TK_INPUT);
    assert_says("word 39");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strangers),
                                       cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_nothing)};
    return cmocka_run_group_tests(tests, begin, end);
}
