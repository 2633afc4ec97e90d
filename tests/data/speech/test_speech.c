// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Voices: words and the errors for people, the same samples whatever the order and the thread,
// times, levels, rates.
#include "data/speech/speak.h"
#include "tests/support/test.h"
#include <math.h>
#include <pthread.h>

static void words_are_found(void **state)
{
    (void)state;
    int word[4], n;
    assert_ok(tk_words_of("When? No, NEVER!", 4, word, &n));
    assert_int_equal(n, 3);
    assert_string_equal(tk_word_text(word[0]), "when");
    assert_string_equal(tk_word_text(word[2]), "never");
    for (int w = 0; w < TK_WORDS; w++) {
        assert_ok(tk_word_find(tk_word_text(w), strlen(tk_word_text(w)), &word[0]));
        assert_int_equal(word[0], w);
    }
    assert_status(tk_words_of("hello windo", 4, word, &n), TK_INPUT);
    assert_says("nobody can say \"windo\"");
    assert_says("near it are \"window\"");
    assert_status(tk_words_of("h\xc3\xa9llo", 4, word, &n), TK_INPUT);
    assert_status(tk_words_of(" ?! ", 4, word, &n), TK_INPUT);
    assert_says("no words");
    assert_status(tk_words_of("no no no no no", 4, word, &n), TK_INPUT);
    assert_says("more than 4 words");
}

static uint64_t bits_of(const tk_line *line)
{
    uint64_t h = 14695981039346656037u;
    for (int64_t i = 0; i < line->samples; i++) {
        uint32_t b;
        memcpy(&b, &line->pcm[i], sizeof b);
        h = (h ^ b) * 1099511628211u;
    }
    return h;
}

// All voices in pairs of words, from `first` on in steps that reach each once.
enum { LINES = TK_VOICES };
typedef struct order {
    tk_speech *speech; // NULL: one of its own
    int first, step;
    uint64_t bits[LINES];
} order;

static void *speak_in_order(void *arg)
{
    order *o = arg;
    tk_speech *own = NULL;
    tk_arena a;
    tk_arena_init(&a, 0);
    if (!o->speech) assert_ok(tk_speech_open(16000, &own));
    for (int k = 0; k < LINES; k++) {
        const int voice = (o->first + k * o->step) % LINES;
        tk_line line;
        assert_ok(tk_speak(o->speech ? o->speech : own, voice, "stop water", &a, &line));
        o->bits[voice] = bits_of(&line);
    }
    tk_arena_free(&a);
    tk_speech_close(own);
    return NULL;
}

static volatile bool over;
static void *disturb(void *arg)
{
    (void)arg;
    for (unsigned k = 0; !over; k++) {
        if (k % 64 == 0) srand(k);
        (void)rand();
    }
    return NULL;
}

static void the_same_on_any_thread_in_any_order(void **state)
{
    (void)state;
    pthread_t thread[4], other;
    tk_speech *shared;
    assert_ok(tk_speech_open(16000, &shared));
    order alone = {NULL, 0, 1, {0}};
    order o[4] = {{NULL, 3, 7, {0}}, {NULL, 9, 9, {0}}, {shared, 5, 3, {0}}, {shared, 2, 1, {0}}};
    speak_in_order(&alone);
    over = false;
    assert_int_equal(pthread_create(&other, NULL, disturb, NULL), 0);
    for (int k = 0; k < 4; k++)
        assert_int_equal(pthread_create(&thread[k], NULL, speak_in_order, &o[k]), 0);
    for (int k = 0; k < 4; k++) pthread_join(thread[k], NULL);
    over = true;
    pthread_join(other, NULL);
    for (int k = 0; k < 4; k++)
        for (int v = 0; v < LINES; v++) assert_true(o[k].bits[v] == alone.bits[v]);
    for (int v = 0; v < LINES; v++)
        for (int w = 0; w < v; w++) assert_true(alone.bits[v] != alone.bits[w]);
    tk_speech_close(shared);
}

// flite's noise takes nothing from the C library's.
static void rand_is_the_c_librarys(void **state)
{
    (void)state;
    int want[8];
    tk_speech *s;
    tk_arena a;
    tk_line line;
    tk_arena_init(&a, 0);
    srandom(7);
    for (int k = 0; k < 8; k++) want[k] = (int)random();
    srand(7);
    for (int k = 0; k < 4; k++) assert_int_equal(rand(), want[k]);
    assert_ok(tk_speech_open(16000, &s));
    assert_ok(tk_speak(s, 0, "red", &a, &line));
    for (int k = 4; k < 8; k++) assert_int_equal(rand(), want[k]);
    tk_speech_close(s);
    tk_arena_free(&a);
}

static double level_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum / (double)n);
}

// Phones lie where they sound: each vowel is louder than the closures of plosives before it.
static void check_phones(const tk_line *l)
{
    for (int p = 0; p < l->phones; p++) {
        const double begin = l->phone[p].begin, d = l->phone[p].end - begin;
        const int64_t from = (int64_t)((begin + 0.2 * d) * (double)l->rate);
        const double level = level_of(l->pcm + from, (int64_t)(0.5 * d * (double)l->rate));
        const char *name = l->phone[p].name;
        const bool vowel = strchr("aeiou", name[0]), plosive = p == 0 && strchr("ptk", name[0]);
        if ((vowel && level < 0.02) || (plosive && level > 0.04))
            fail_msg("%s at %.3f s of a line: %.3f", name, begin, level);
    }
}

static void check_line(const tk_line *l, int words)
{
    assert_int_equal(l->words, words);
    assert_near(l->word[0].begin, 0, 0);
    int p = 0;
    int64_t heard = 0;
    for (int w = 0; w < words; w++) {
        const tk_spoken *s = &l->word[w];
        const int64_t from = llrint(s->begin * (double)l->rate),
                      end = llrint(s->end * (double)l->rate);
        assert_true(s->end - s->begin > 0.15 && s->end - s->begin < 1.2);
        assert_near(l->phone[p].begin, s->begin, 1e-9);
        while (p + 1 < l->phones && l->phone[p].end < s->end - 1e-9) {
            assert_true(l->phone[p].end > l->phone[p].begin);
            assert_near(l->phone[p].end, l->phone[p + 1].begin, 1e-9);
            p++;
        }
        assert_near(l->phone[p++].end, s->end, 1e-9);
        float peak = 0;
        for (int64_t i = from; i < end && i < l->samples; i++)
            peak = (float)test_larger(peak, fabsf(l->pcm[i]));
        assert_true(peak <= TK_SPEECH_PEAK + 1e-6F);
        if (peak < TK_SPEECH_PEAK - 1e-6F)
            assert_near(level_of(l->pcm + from, end - from), TK_SPEECH_LEVEL, 2e-3);
        heard = from;
        if (w + 1 == words) break;
        assert_near(l->word[w + 1].begin - s->end, TK_SPEECH_PAUSE, 2.0 / 12000);
        for (int64_t i = end + 1 + l->rate / 8000;
             i < llrint(l->word[w + 1].begin * (double)l->rate); i++)
            assert_true(l->pcm[i] == 0);
    }
    assert_int_equal(p, l->phones);
    assert_near((double)l->samples, l->word[words - 1].end * (double)l->rate,
                (double)l->rate / 8000);
    assert_true(heard < l->samples);
}

static void lines_have_words_phones_and_times(void **state)
{
    (void)state;
    static const char *const lines[] = {"hello captain", "why", "stop no water table"};
    static const int words[] = {2, 1, 4};
    for (int r = 0; r < 3; r++) {
        tk_speech *s;
        tk_arena a;
        tk_arena_init(&a, 0);
        assert_ok(tk_speech_open((int64_t[]){16000, 12000, 44100}[r], &s));
        for (int v = r; v < TK_VOICES; v += 3)
            for (int k = 0; k < 3; k++) {
                tk_line line, again;
                assert_ok(tk_speak(s, v, lines[k], &a, &line));
                check_line(&line, words[k]);
                check_phones(&line);
                assert_ok(tk_speak(s, v, lines[k], &a, &again));
                assert_true(bits_of(&again) == bits_of(&line));
            }
        tk_speech_close(s);
        tk_arena_free(&a);
    }
}

static void odd_requests_are_refused(void **state)
{
    (void)state;
    tk_speech *s;
    tk_arena a;
    tk_line line;
    tk_arena_init(&a, 0);
    assert_status(tk_speech_open(4000, &s), TK_INPUT);
    assert_null(s);
    assert_ok(tk_speech_open(16000, &s));
    assert_status(tk_speak(s, TK_VOICES_ALL, "yes", &a, &line), TK_INPUT);
    assert_says("no voice 22");
    assert_status(tk_speak(s, 0, "yess", &a, &line), TK_INPUT);
    assert_says("\"yes\"");
    tk_speech_close(s);
    tk_speech_close(NULL);
    tk_arena_free(&a);
}

// Each allocation fails once: a message, and the next call says it all.
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        tk_speech *s = NULL;
        tk_arena a;
        tk_line line;
        tk_arena_init(&a, 0);
        tk_alloc_fail_at(nth, false);
        tk_status st = tk_speech_open(12000, &s);
        if (st == TK_OK) st = tk_speak(s, 7, "red", &a, &line);
        tk_alloc_fail_at(0, false);
        if (st != TK_OK) {
            assert_status(st, TK_MEMORY);
            if (s) assert_ok(tk_speak(s, 7, "red", &a, &line));
        }
        tk_speech_close(s);
        tk_arena_free(&a);
        if (st == TK_OK) {
            assert_true(nth > 5);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_are_found),
                                       cmocka_unit_test(the_same_on_any_thread_in_any_order),
                                       cmocka_unit_test(rand_is_the_c_librarys),
                                       cmocka_unit_test(lines_have_words_phones_and_times),
                                       cmocka_unit_test(odd_requests_are_refused),
                                       cmocka_unit_test(memory_may_end_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
