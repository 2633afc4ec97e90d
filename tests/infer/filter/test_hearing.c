// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// What is said in sounds, held against a policy: words of the shipped one and lines without them,
// by voices of data/speech. TK_TEST_FIGURES=file: all of them, with the figures of docs/filters.md;
// else a sample. TK_TEST_SAY="file.wav:words": says them, for tests/infer/test_listen.sh.
#include "core/numbers/resample.h"
#include "data/speech/speak.h"
#include "infer/filter/policy.h"
#include "infer/filtering.h"
#include "infer/judges/sound/transcript.h"
#include "tests/support/policy.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { RATE = 16000, LEAD = RATE / 2 };

static tk_arena arena;
static tk_transcript *transcript;
static tk_policy *policy;

static const char *const around[] = {"she hides the %s in the kitchen",
                                     "today we talk about %s again", "do you want a %s or not"};
static const char *const innocent[] = {"she hides the letter in the kitchen",
                                       "today we talk about music again",
                                       "do you want a coffee or not",
                                       "the red ball falls into the water",
                                       "where is the captain of this boat",
                                       "we walk along the beach until the sun goes down",
                                       "there is nobody in the room but a cat",
                                       "please close the window before it rains",
                                       "my brother plays the violin every evening",
                                       "the tram stops at the corner near the old house"};
#define LENGTH(x) ((int)(sizeof(x) / sizeof *(x)))

// ---- sounds ------------------------------------------------------------------------------------

typedef struct sound {
    int64_t n;
    float *pcm;
} sound;

// With half a second of nothing before and after.
static sound add_silence(const float *x, int64_t n)
{
    sound s = {n + 2 * LEAD, tk_arena_alloc(&arena, (size_t)(n + 2 * LEAD) * sizeof(float))};
    assert_non_null(s.pcm);
    memset(s.pcm, 0, (size_t)s.n * sizeof *s.pcm);
    memcpy(s.pcm + LEAD, x, (size_t)n * sizeof *x);
    return s;
}

static sound say(int voice, const char *text)
{
    tk_utterance u;
    assert_ok(tk_flite_say(tk_voice_of(voice), text, &arena, &u));
    const int64_t n = tk_resample_count(u.samples, u.rate, RATE);
    float *x = tk_arena_alloc(&arena, (size_t)n * sizeof *x);
    assert_non_null(x);
    assert_ok(tk_resample(u.pcm, u.samples, u.rate, RATE, x));
    return add_silence(x, n);
}

static void put_number(FILE *f, uint32_t x, int bytes)
{
    for (int k = 0; k < bytes; k++) putc((int)(x >> 8 * k & 255), f);
}

static int write_wave(const char *file_and_words)
{
    char path[256], *words;
    snprintf(path, sizeof path, "%s", file_and_words);
    tk_arena_init(&arena, 1 << 20);
    if (!(words = strchr(path, ':'))) return 1;
    *words++ = 0;
    const sound s = say(8, words);
    FILE *f = fopen(path, "wb");
    if (!f) return 1;
    fputs("RIFF", f), put_number(f, 36 + 2 * (uint32_t)s.n, 4), fputs("WAVEfmt ", f);
    put_number(f, 16, 4), put_number(f, 1, 2), put_number(f, 1, 2), put_number(f, RATE, 4);
    put_number(f, 2 * RATE, 4), put_number(f, 2, 2), put_number(f, 16, 2);
    fputs("data", f), put_number(f, 2 * (uint32_t)s.n, 4);
    for (int64_t i = 0; i < s.n; i++)
        put_number(f, (uint16_t)(int16_t)lrintf(32767 * fmaxf(-1, fminf(1, s.pcm[i]))), 2);
    return fclose(f) != 0;
}

// ---- figures -----------------------------------------------------------------------------------

static int hits;
static char all_said[4096];

static tk_status count_hits(void *ctx, double second, const char *text)
{
    tk_policy_hit *hit;
    int n;
    (void)ctx, (void)second;
    TK_TRY(tk_policy_look(policy, text, strlen(text), &arena, &n, &hit));
    hits += n;
    const size_t used = strlen(all_said);
    snprintf(all_said + used, sizeof all_said - used, "%s ", text);
    return TK_OK;
}

static bool is_caught(const sound *s)
{
    hits = 0;
    *all_said = 0;
    assert_ok(tk_transcript_begin(transcript, RATE, 1, count_hits, NULL));
    assert_ok(tk_transcript_add(transcript, s->pcm, s->n));
    assert_ok(tk_transcript_end(transcript));
    return hits > 0;
}

typedef struct score {
    int caught, of; // words that are refused
    int alarms, lines;
} score;

static void add_line(score *to, const sound *s, const char *text, int wanted)
{
    const bool found = is_caught(s);
    if (wanted)
        to->caught += hits < wanted ? hits : wanted, to->of += wanted;
    else
        to->alarms += found, to->lines++;
    if (wanted ? hits < wanted : found)
        print_message("of \"%s\" is heard \"%s\"\n", text, all_said);
}

static void report(const char *what, const score *s)
{
    const char *path = getenv("TK_TEST_FIGURES");
    print_message("%s: %d of %d words heard, %d of %d other lines refused\n", what, s->caught,
                  s->of, s->alarms, s->lines);
    FILE *f = path ? fopen(path, "a") : NULL;
    if (!f) return;
    fprintf(f, "| %s | %d of %d | %d of %d |\n", what, s->caught, s->of, s->alarms, s->lines);
    fclose(f);
}

// Sentences in one breath, as people talk.
static void test_words_of_the_shipped_policy(void **state)
{
    (void)state;
    const bool all = getenv("TK_TEST_FIGURES");
    score s = {0};
    for (int v = all ? 0 : 8; v < (all ? TK_VOICES_ALL : 9); v++) {
        for (int w = 0; w < LENGTH(refused_words); w += all ? 1 : 6) {
            char text[128];
            snprintf(text, sizeof text, around[w % LENGTH(around)], refused_words[w]);
            const sound x = say(v, text);
            add_line(&s, &x, text, 1);
        }
        for (int w = 0; w < LENGTH(innocent); w += all ? 1 : 5) {
            const sound x = say(v, innocent[w]);
            add_line(&s, &x, innocent[w], 0);
        }
    }
    report("sentences", &s);
    assert_true(2 * s.caught >= s.of);
    assert_true(20 * s.alarms <= s.lines);
}

// Two words with a pause between, as the figures of the world talk: half of its vocabulary refused.
static void test_words_of_the_world(void **state)
{
    (void)state;
    const bool all = getenv("TK_TEST_FIGURES");
    tk_policy *shipped = policy;
    tk_speech *speech;
    score s = {0};
    FILE *f = fopen(policy_path, "w");
    assert_non_null(f);
    fputs("categories: [{name: some, words: [", f);
    for (int w = 0; w < TK_WORDS; w += 2) fprintf(f, "%s'%s'", w ? ", " : "", tk_word_text(w));
    fputs("]}]", f);
    fclose(f);
    assert_ok(tk_policy_open(policy_path, &policy));
    assert_ok(tk_speech_open(RATE, &speech));
    for (int v = all ? 0 : 8; v < (all ? TK_VOICES_ALL : 9); v++)
        for (int w = 0; w < TK_WORDS / 2; w += all ? 1 : 5) {
            char text[128];
            tk_line line;
            snprintf(text, sizeof text, "%s %s", tk_word_text(w), tk_word_text(w + TK_WORDS / 2));
            assert_ok(tk_speak(speech, v, text, &arena, &line));
            const sound x = add_silence(line.pcm, line.samples);
            add_line(&s, &x, text, w % 2 ? 0 : 2);
        }
    tk_speech_close(speech);
    tk_policy_close(policy);
    policy = shipped;
    report("words of the world, one by one", &s);
    assert_true(4 * s.caught >= s.of);
    assert_true(5 * s.alarms <= s.lines);
}

// ---- one clip ----------------------------------------------------------------------------------

static tk_job a_job(int64_t rate)
{
    tk_job job = {.file = story_path, .output = "clip"};
    job.config.filter = (tk_filter_config){policy_path, log_path};
    job.story.sample_rate = rate;
    job.story.channels = 2;
    return job;
}

// Twelve seconds of two channels in parts that do not end where pieces do, some of them twice.
static void test_a_clip_is_heard_to_its_end(void **state)
{
    (void)state;
    const tk_job job = a_job(RATE);
    const sound s = say(8, "today we talk about cocaine again");
    const int64_t n = 12 * RATE, at = n - s.n;
    float *pcm = tk_arena_alloc(&arena, (size_t)(2 * n) * sizeof *pcm);
    tk_review *h;
    assert_non_null(pcm);
    memset(pcm, 0, (size_t)(2 * n) * sizeof *pcm);
    for (int64_t i = 0; i < s.n; i++) pcm[2 * (at + i)] = s.pcm[i];
    put_file(policy_path, "{listen: true, categories: [{name: drugs, words: [cocaine]}]}");
    for (int spoken = 0; spoken < 2; spoken++) {
        assert_ok(tk_review_open(&job, NULL, &h));
        assert_non_null(h);
        const int64_t end = spoken ? n : at;
        for (int64_t first = 0; first < end; first += 10000) {
            const int64_t part = end - first < 12345 ? end - first : 12345;
            assert_ok(tk_review_hear(h, first, part, pcm + 2 * first));
        }
        assert_status(tk_review_verdict(h), spoken ? TK_INPUT : TK_OK);
        assert_int_equal(tk_review_refuses(h), spoken);
        tk_review_close(h);
    }
    assert_says("the clip, said after second 8: refused (drugs, word \"cocaine\"): \"cocaine\"");
    assert_ok(tk_review_open(&job, NULL, &h));
    assert_status(tk_review_hear(h, 1, 5, pcm), TK_INTERNAL);
    tk_review_close(h);
}

static void test_nobody_listens_where_the_policy_does_not(void **state)
{
    (void)state;
    tk_job job = a_job(4000);
    tk_review *h;
    put_file(policy_path, "{categories: [{name: drugs, words: [cocaine]}]}");
    assert_ok(tk_review_open(&job, NULL, &h));
    assert_null(h);
    assert_ok(tk_review_hear(h, 0, 1, NULL));
    assert_ok(tk_review_verdict(h));
    put_file(policy_path, "{listen: true, categories: [{name: drugs, words: [cocaine]}]}");
    assert_status(tk_review_open(&job, NULL, &h), TK_INPUT);
    assert_says("no word can be heard at 4000 samples a second");
    assert_null(h);
}

static int begin(void **state)
{
    (void)state;
    tk_arena_init(&arena, 1 << 20);
    make_filters_folder();
    assert_ok(tk_policy_open("configs/policies/shipped.yaml", &policy));
    assert_ok(tk_transcript_open(&transcript));
    return 0;
}

static int end(void **state)
{
    (void)state;
    tk_transcript_close(transcript);
    tk_policy_close(policy);
    tk_arena_free(&arena);
    remove_filters_folder();
    return 0;
}

int main(void)
{
    const char *words = getenv("TK_TEST_SAY");
    if (words) return write_wave(words);
    skip_without_filters();
    if (tk_transcript_ready(RATE) != TK_OK) {
        printf("skipped: %s\n", tk_status_message());
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_of_the_shipped_policy),
        cmocka_unit_test(test_words_of_the_world),
        cmocka_unit_test(test_a_clip_is_heard_to_its_end),
        cmocka_unit_test(test_nobody_listens_where_the_policy_does_not),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
