// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 180 */
// The judge of words on what voices truly say, in silence and over noise, and on what is no word
// of the list. TK_TEST_FIGURES=file: all voices and all words, with tables into that file (make
// speech); else a sample.
#include "core/numbers/resample.h"
#include "infer/judges/sound/words.h"
#include "tests/infer/judges/spoken.h"
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

// Voices on which TK_EAR_SCORE was fixed: no figure is theirs.
static bool fixed_the_score(int voice)
{
    return voice % 3 == 0;
}

static FILE *figures; // NULL: a sample
static tk_ear *ear;
static tk_speech *speech[2]; // at 16000 and 12000
static tk_arena arena;

static int open_all(void **state)
{
    (void)state;
    const char *words[TK_WORDS], *path = getenv("TK_TEST_FIGURES");
    for (int w = 0; w < TK_WORDS; w++) words[w] = tk_word_text(w);
    if (path) assert_non_null(figures = fopen(path, "a"));
    tk_arena_init(&arena, 1 << 20);
    assert_ok(tk_ear_open(words, TK_WORDS, &ear));
    assert_ok(tk_speech_open(16000, &speech[0]));
    assert_ok(tk_speech_open(12000, &speech[1]));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    tk_ear_close(ear);
    tk_speech_close(speech[0]);
    tk_speech_close(speech[1]);
    tk_arena_free(&arena);
    return figures ? fclose(figures) : 0;
}

static tk_heard hear(const clip *c)
{
    tk_heard h;
    assert_ok(tk_ear_hear(ear, c->pcm, c->samples, 1, c->rate, &arena, &h));
    return h;
}

typedef struct score {
    int right, of, extra;
    double off; // worst error of a begin that was found, seconds
} score;

static void add_score(score *to, const score *s)
{
    to->right += s->right;
    to->of += s->of;
    to->extra += s->extra;
    to->off = test_larger(to->off, s->off);
}

typedef struct condition {
    const char *words;
    int64_t rate;
    noise_kind noise;
    double snr;
    bool connected;           // as flite says two words in one breath, without a pause
    double least, least_each; // shares of words: all figures together, and of each voice
} condition;

static const condition conditions[] = {
    {"16 kHz", 16000, NO_NOISE, 0, false, 0.95, 0.925},
    {"12 kHz", 12000, NO_NOISE, 0, false, 0.92, 0.9},
    {"soundscape, 20 dB", 16000, SOUNDSCAPE, 20, false, 0.75, 0.6},
    {"soundscape, 10 dB", 16000, SOUNDSCAPE, 10, false, 0.25, 0.1},
    {"in one breath", 16000, NO_NOISE, 0, true, 0, 0},
};
enum { CONDITIONS = sizeof conditions / sizeof *conditions };

// The line as flite says it as a whole, which has no words' times.
static void speak_in_one_breath(int voice, const char *text, tk_line *line)
{
    tk_utterance u;
    assert_ok(tk_flite_say(tk_voice_of(voice), text, &arena, &u));
    line->samples = tk_resample_count(u.samples, u.rate, line->rate);
    line->pcm = tk_arena_alloc(&arena, (size_t)line->samples * sizeof *line->pcm);
    assert_non_null(line->pcm);
    assert_ok(tk_resample(u.pcm, u.samples, u.rate, line->rate, line->pcm));
    const double level = level_of_samples(line->pcm, line->samples);
    for (int64_t i = 0; i < line->samples; i++) line->pcm[i] *= (float)(TK_SPEECH_LEVEL / level);
}

// Voice v's line of words w and w + 20.
static void judge_line(const condition *c, int v, int w, score *s, int missed[TK_WORDS])
{
    const int want[2] = {w, w + TK_WORDS / 2};
    char text[64];
    tk_line line;
    snprintf(text, sizeof text, "%s %s", tk_word_text(want[0]), tk_word_text(want[1]));
    assert_ok(tk_speak(speech[c->rate == 12000], v, text, &arena, &line));
    if (c->connected) speak_in_one_breath(v, text, &line);
    const clip k = make_clip(line.pcm, line.samples, c->rate, c->noise, c->snr,
                             (uint64_t)(v * TK_WORDS + w), &arena);
    const tk_heard h = hear(&k);
    const int right = tk_heard_match(&h, want, 2);
    for (int i = 0; i < 2; i++) {
        bool found = false;
        for (int j = 0; j < h.words; j++) {
            if (h.word[j].word != want[i]) continue;
            found = true;
            if (!c->connected)
                s->off = test_larger(s->off, fabs(h.word[j].begin - LEAD - line.word[i].begin));
        }
        missed[want[i]] += !found;
    }
    add_score(s, &(score){right, 2, h.words - right, 0});
}

static void words_that_are_spoken_are_heard(void **state)
{
    (void)state;
    int missed[CONDITIONS][TK_WORDS] = {{0}};
    score each[CONDITIONS][TK_VOICES] = {{{0}}}, all[CONDITIONS] = {{0}};
    for (int c = 0; c < CONDITIONS; c++) {
        if (!figures && conditions[c].connected) continue;
        for (int v = 0; v < TK_VOICES; v++)
            for (int w = 0; w < TK_WORDS / 2; w++) {
                if (!figures && (w + 3 * v) % 10 != c) continue;
                judge_line(&conditions[c], v, w, &each[c][v], missed[c]);
                tk_arena_reset(&arena);
            }
        for (int v = 0; v < TK_VOICES; v++)
            if (!figures || !fixed_the_score(v)) add_score(&all[c], &each[c][v]);
    }
    if (figures) {
        fprintf(figures, "\n## Words heard of words spoken\n\n| voice |");
        for (int c = 0; c < CONDITIONS; c++) fprintf(figures, " %s |", conditions[c].words);
        fprintf(figures, "\n|---|---|---|---|---|---|\n");
        for (int v = 0; v < TK_VOICES; v++) {
            fprintf(figures, "| %d%s %s |", v, fixed_the_score(v) ? "*" : "",
                    tk_voice_of(v)->words);
            for (int c = 0; c < CONDITIONS; c++)
                fprintf(figures, " %d of %d |", each[c][v].right, each[c][v].of);
            fprintf(figures, "\n");
        }
        fprintf(figures, "| **all but those with a star** |");
        for (int c = 0; c < CONDITIONS; c++)
            fprintf(figures, " %d of %d (%.1f%%) |", all[c].right, all[c].of,
                    100.0 * all[c].right / all[c].of);
        fprintf(figures, "\n| words beside those |");
        for (int c = 0; c < CONDITIONS; c++) fprintf(figures, " %d |", all[c].extra);
        fprintf(figures, "\n| worst error of a begin, ms |");
        for (int c = 0; c < CONDITIONS; c++)
            if (conditions[c].connected)
                fprintf(figures, " |");
            else
                fprintf(figures, " %.0f |", 1e3 * all[c].off);
        fprintf(figures, "\n\nMissed by some voice:\n");
        for (int c = 0; c < CONDITIONS; c++) {
            fprintf(figures, "- %s:", conditions[c].words);
            for (int w = 0; w < TK_WORDS; w++)
                if (missed[c][w]) fprintf(figures, " %s %d,", tk_word_text(w), missed[c][w]);
            fprintf(figures, " of %d each\n", TK_VOICES);
        }
    }
    for (int c = 0; c < CONDITIONS; c++) {
        if (all[c].right < conditions[c].least * all[c].of)
            fail_msg("%s: %d of %d words", conditions[c].words, all[c].right, all[c].of);
        for (int v = 0; figures && v < TK_VOICES; v++)
            if (each[c][v].right < conditions[c].least_each * each[c][v].of)
                fail_msg("%s, voice %d: %d of %d words", conditions[c].words, v, each[c][v].right,
                         each[c][v].of);
        if (c < 2) assert_true(all[c].off < 0.12);
    }
}

// ---- what is no word of the list ----

static const char *const others[] = {
    "balloon", "hurry",    "heavy",    "floating", "doctor",  "seven",  "eleven",  "morning",
    "evening", "elephant", "computer", "summer",   "winter",  "people", "number",  "question",
    "paper",   "river",    "mountain", "kitchen",  "brother", "dinner", "picture", "twenty"};
enum { OTHERS = sizeof others / sizeof *others };

typedef enum broken {
    SILENT,
    WHITE_NOISE,
    PINK_NOISE,
    HUM,
    OTHER_WORD,
    FIRST_HALF,
    OTHER_LINE
} broken;
static const struct {
    const char *words;
    double most; // right words, of those that were to be spoken
    double any;  // clips in which any word is heard
} breaks[] = {
    [SILENT] = {"silence", 0, 0},
    [WHITE_NOISE] = {"bursts of white noise", 0, 0.05},
    [PINK_NOISE] = {"bursts of pink noise", 0.02, 0.1},
    [HUM] = {"bursts of a hum", 0.02, 0.1},
    [OTHER_WORD] = {"words not in the list", 0.04, 0.35},
    [FIRST_HALF] = {"the first half of the word", 0.5, 0.65},
    [OTHER_LINE] = {"another word of the list", 0.03, 1},
};
enum { BREAKS = sizeof breaks / sizeof *breaks };

// What stands in the place of `word`, of its length where that means anything.
static clip break_word(broken how, int voice, int word)
{
    const uint64_t seed = (uint64_t)(1000 * voice + word);
    const int spoken = how == OTHER_LINE ? (word + 7 + voice) % TK_WORDS : word;
    tk_line line;
    tk_utterance u = {0};
    assert_ok(tk_speak(speech[0], voice, tk_word_text(spoken), &arena, &line));
    float *x = line.pcm;
    int64_t n = line.samples;
    if (how == WHITE_NOISE || how == PINK_NOISE)
        make_noise(how == WHITE_NOISE ? WHITE : PINK, seed, 16000, x, n);
    for (int64_t i = 0; how == HUM && i < n; i++)
        x[i] = (float)(sin(2 * M_PI * (100 + 5 * word) * (double)i / 16000) +
                       0.3 * sin(6 * M_PI * (100 + 5 * word) * (double)i / 16000));
    if (how == FIRST_HALF) n /= 2;
    if (how == OTHER_WORD) {
        assert_ok(tk_flite_say(tk_voice_of(voice), others[word % OTHERS], &arena, &u));
        x = u.pcm, n = u.samples;
    }
    const double level = how == SILENT ? 0 : TK_SPEECH_LEVEL / level_of_samples(x, n);
    for (int64_t i = 0; i < n; i++) x[i] *= (float)level;
    return make_clip(x, n, 16000, how == SILENT ? NO_NOISE : PINK, 50, seed, &arena);
}

static void what_is_no_word_is_none(void **state)
{
    (void)state;
    if (figures)
        fprintf(figures,
                "\n## What was not spoken\n\n| instead of the word | clips | that word | any "
                "word |\n|---|---|---|---|\n");
    for (int b = 0; b < BREAKS; b++) {
        int of = 0, right = 0, any = 0;
        for (int v = 0; v < TK_VOICES; v++)
            for (int w = 0; w < TK_WORDS; w++) {
                if (fixed_the_score(v) || (!figures && (w + 3 * v) % 10 != 0)) continue;
                const clip c = break_word((broken)b, v, w);
                const tk_heard h = hear(&c);
                of++;
                right += tk_heard_match(&h, &w, 1);
                any += h.words > 0;
                tk_arena_reset(&arena);
            }
        if (figures)
            fprintf(figures, "| %s | %d | %d (%.1f%%) | %d (%.1f%%) |\n", breaks[b].words, of,
                    right, 100.0 * right / of, any, 100.0 * any / of);
        const double slack = figures ? 0 : 2; // of the sample's 24
        if (right > breaks[b].most * of + slack || any > breaks[b].any * of + slack)
            fail_msg("%s: %d of %d are the word, %d some word", breaks[b].words, right, of, any);
    }
}

// ---- odd input ----

static void odd_input(void **state)
{
    (void)state;
    static float x[48000];
    tk_heard h;
    assert_ok(tk_ear_hear(ear, x, 0, 1, 16000, &arena, &h));
    assert_int_equal(h.words + h.others, 0);
    assert_ok(tk_ear_hear(ear, (float[]){1}, 1, 1, 16000, &arena, &h));
    assert_int_equal(h.words, 0);
    assert_status(tk_ear_hear(ear, x, 8000, 1, 8000, &arena, &h), TK_INPUT);
    assert_says("cannot be judged at 8000 samples a second");
    assert_status(tk_ear_hear(ear, x, 8000, 1, -1, &arena, &h), TK_INPUT);
    x[17] = NAN;
    assert_status(tk_ear_hear(ear, x, 16000, 1, 16000, &arena, &h), TK_INPUT);
    assert_says("sample 17 is no number");
    x[17] = INFINITY;
    assert_status(tk_ear_hear(ear, x, 16000, 1, 16000, &arena, &h), TK_INPUT);
    for (int i = 0; i < 48000; i++) x[i] = i % 200 < 100 ? 3e38F : -3e38F;
    assert_ok(tk_ear_hear(ear, x, 48000, 1, 16000, &arena, &h));
    assert_int_equal(h.words, 0);
    tk_arena_reset(&arena);
}

static void odd_lists_are_refused(void **state)
{
    (void)state;
    tk_ear *e;
    assert_status(tk_ear_open((const char *[]){"hello", "xyzzyq"}, 2, &e), TK_INPUT);
    assert_says("\"xyzzyq\" is not in pocketsphinx' dictionary");
    assert_null(e);
    assert_status(tk_ear_open((const char *[]){"a | b"}, 1, &e), TK_INPUT);
    assert_status(tk_ear_open(NULL, 0, &e), TK_INPUT);
    tk_ear_close(NULL);
}

// Two channels, another level, what was heard before: the same words at the same times.
static void the_same_words_every_time(void **state)
{
    (void)state;
    tk_line line;
    assert_ok(tk_speak(speech[0], 3, "captain why", &arena, &line));
    const clip c = make_clip(line.pcm, line.samples, 16000, SOUNDSCAPE, 30, 5, &arena);
    const tk_heard first = hear(&c);
    assert_int_equal(first.words, 2);
    float *two = tk_arena_alloc(&arena, (size_t)c.samples * 2 * sizeof *two);
    for (int64_t i = 0; i < c.samples; i++) two[2 * i] = 0.25F * c.pcm[i];
    tk_heard h;
    const clip noise = make_clip(NULL, 16000, 16000, PINK, 0, 6, &arena);
    hear(&noise);
    assert_ok(tk_ear_hear(ear, two, c.samples, 2, 16000, &arena, &h));
    assert_int_equal(h.words, 2);
    const tk_heard again = hear(&c);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(h.word[i].word, first.word[i].word);
        assert_memory_equal(&again.word[i], &first.word[i], sizeof first.word[i]);
    }
    tk_arena_reset(&arena);
}

static int quiet_hear(const clip *c, int times)
{
    for (int k = 0; k < times; k++) {
        tk_heard h;
        assert_ok(tk_ear_hear(ear, c->pcm, c->samples, 1, 16000, &arena, &h));
        tk_arena_reset(&arena);
    }
    return (int)(mallinfo2().uordblks >> 10);
}

// What the recognizer holds does not grow with what it has heard, nor does it write.
static void nothing_leaks_and_nothing_is_said(void **state)
{
    (void)state;
    tk_arena own;
    tk_line line;
    tk_arena_init(&own, 0);
    assert_ok(tk_speak(speech[0], 1, "water stop", &own, &line));
    const clip c = make_clip(line.pcm, line.samples, 16000, NO_NOISE, 0, 5, &own);
    FILE *said = tmpfile();
    const int saved = dup(2);
    assert_int_equal(dup2(fileno(said), 2), 2);
    const int before = quiet_hear(&c, 4), after = quiet_hear(&c, 12);
    dup2(saved, 2);
    close(saved);
    assert_int_equal(ftell(said) + lseek(fileno(said), 0, SEEK_END), 0);
    fclose(said);
    assert_true(after - before < 64); // KiB
    tk_arena_free(&own);
}

static void ten_minutes(void **state)
{
    (void)state;
    tk_line line;
    assert_ok(tk_speak(speech[0], 2, "goodbye", &arena, &line));
    const int64_t n = 600 * 16000;
    float *x = tk_alloc((size_t)n * sizeof *x);
    tk_heard h;
    memcpy(x + n - line.samples - 8000, line.pcm, (size_t)line.samples * sizeof *x);
    assert_ok(tk_ear_hear(ear, x, n, 1, 16000, &arena, &h));
    assert_int_equal(h.words, 1);
    assert_string_equal(tk_word_text(h.word[0].word), "goodbye");
    assert_near(h.word[0].begin, (double)(n - line.samples - 8000) / 16000, 0.12);
    tk_free(x);
    tk_arena_reset(&arena);
}

static void matches_are_in_order(void **state)
{
    (void)state;
    tk_heard_word w[] = {{.word = 4}, {.word = 9}, {.word = 4}, {.word = 2}};
    const tk_heard h = {4, 0, w};
    assert_int_equal(tk_heard_match(&h, (int[]){4, 9, 2}, 3), 3);
    assert_int_equal(tk_heard_match(&h, (int[]){9, 4, 9}, 3), 2);
    assert_int_equal(tk_heard_match(&h, (int[]){4, 4, 4}, 3), 2);
    assert_int_equal(tk_heard_match(&h, (int[]){2, 9}, 2), 1);
    assert_int_equal(tk_heard_match(&h, (int[]){7}, 1), 0);
    assert_int_equal(tk_heard_match(&(tk_heard){0}, (int[]){7}, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(matches_are_in_order),
                                       cmocka_unit_test(words_that_are_spoken_are_heard),
                                       cmocka_unit_test(what_is_no_word_is_none),
                                       cmocka_unit_test(odd_input),
                                       cmocka_unit_test(odd_lists_are_refused),
                                       cmocka_unit_test(the_same_words_every_time),
                                       cmocka_unit_test(nothing_leaks_and_nothing_is_said),
                                       cmocka_unit_test(ten_minutes)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
