// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 180 */
// The judge of voices: learns them from some words and tells them apart by others, in silence and
// over noise; what has no voice is nobody. TK_TEST_FIGURES=file: all words, with tables into that
// file (make speech); else a sample.
#include "infer/judges/sound/voice.h"
#include "tests/infer/judges/spoken.h"
#include <stdio.h>

enum { LEARNED = 10, ASKED = 10 }; // lines of each voice, no word of which is in both
static FILE *figures;
static tk_speech *speech;
static tk_arena arena;
static tk_speakers *speakers;
static tk_voiceprint learned[TK_VOICES * LEARNED];

// Line k of 20: words k and k + 20.
static tk_voiceprint print_line(int voice, int k, noise_kind noise, double snr, int64_t rate)
{
    char text[64];
    tk_line line;
    tk_arena a;
    tk_voiceprint p;
    tk_speech *s = speech;
    tk_arena_init(&a, 1 << 20);
    if (rate != 16000) assert_ok(tk_speech_open(rate, &s));
    snprintf(text, sizeof text, "%s %s", tk_word_text(k), tk_word_text(k + TK_WORDS / 2));
    assert_ok(tk_speak(s, voice, text, &a, &line));
    const clip c =
        make_clip(line.pcm, line.samples, rate, noise, snr, (uint64_t)(k + 100 * voice), &a);
    assert_ok(tk_voiceprint_of(c.pcm, c.samples, rate, &a, &p));
    if (s != speech) tk_speech_close(s);
    tk_arena_free(&a);
    return p;
}

static int learn_voices(void **state)
{
    (void)state;
    const char *path = getenv("TK_TEST_FIGURES");
    int label[TK_VOICES * LEARNED];
    if (path) assert_non_null(figures = fopen(path, "a"));
    tk_arena_init(&arena, 0);
    assert_ok(tk_speech_open(16000, &speech));
    for (int v = 0, i = 0; v < TK_VOICES; v++)
        for (int k = 0; k < LEARNED; k++, i++) {
            learned[i] = print_line(v, k, NO_NOISE, 0, 16000);
            label[i] = v;
        }
    assert_ok(tk_speakers_learn(learned, label, TK_VOICES * LEARNED, TK_VOICES, &arena, &speakers));
    return 0;
}

static int forget_voices(void **state)
{
    (void)state;
    tk_speech_close(speech);
    tk_arena_free(&arena);
    return figures ? fclose(figures) : 0;
}

static void tell_confusions(const char *where, int who[TK_VOICES][TK_VOICES + 1], int right, int of)
{
    fprintf(figures, "\n%s: %d of %d (%.1f%%; by chance %.0f%%)\n\n| voice |", where, right, of,
            100.0 * right / of, 100.0 / TK_VOICES);
    for (int v = 0; v < TK_VOICES; v++) fprintf(figures, " %d |", v);
    fprintf(figures, " nobody |\n|---|");
    for (int v = 0; v <= TK_VOICES; v++) fprintf(figures, "---|");
    for (int v = 0; v < TK_VOICES; v++) {
        fprintf(figures, "\n| %d |", v);
        for (int w = 0; w <= TK_VOICES; w++)
            if (who[v][w])
                fprintf(figures, " %d |", who[v][w]);
            else
                fprintf(figures, " |");
    }
    fprintf(figures, "\n");
}

static void voices_are_told_apart(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        noise_kind noise;
        double snr;
        double least;
    } heard[] = {{"In silence", NO_NOISE, 0, 0.95},
                 {"Over the soundscape, 20 dB", SOUNDSCAPE, 20, 0.95},
                 {"Over the soundscape, 10 dB", SOUNDSCAPE, 10, 0.85}};
    if (figures)
        fprintf(figures,
                "\n## Who speaks\n\nLearned from %d lines of each voice, asked about %d others.\n",
                LEARNED, ASKED);
    for (int c = 0; c < (figures ? 3 : 2); c++) {
        int who[TK_VOICES][TK_VOICES + 1] = {{0}}, right = 0, of = 0;
        for (int v = 0; v < TK_VOICES; v++)
            for (int k = LEARNED; k < LEARNED + ASKED; k += figures ? 1 : 4, of++) {
                const tk_voiceprint p = print_line(v, k, heard[c].noise, heard[c].snr, 16000);
                const int w = tk_speakers_who(speakers, &p);
                who[v][w < 0 ? TK_VOICES : w]++;
                right += w == v;
            }
        if (figures) tell_confusions(heard[c].words, who, right, of);
        if (right < heard[c].least * of) fail_msg("%s: %d of %d", heard[c].words, right, of);
    }
}

// The pitch that was asked of the synthesizer is the one that is heard.
static void pitch_is_that_of_the_voice(void **state)
{
    (void)state;
    if (figures)
        fprintf(figures, "\n## Voices\n\n| voice | | speaker | pitch asked for, Hz | heard | "
                         "spread, octaves |\n|---|---|---|---|---|---|\n");
    for (int v = 0; v < TK_VOICES; v++) {
        double hz = 0, spread = 0;
        for (int k = 0; k < LEARNED; k++) {
            hz += log(learned[v * LEARNED + k].hz) / LEARNED;
            spread += learned[v * LEARNED + k].spread / LEARNED;
        }
        hz = exp(hz);
        const tk_voice *is = tk_voice_of(v);
        if (figures)
            fprintf(figures, "| %d | %s | %s | %.0f | %.0f | %.2f |\n", v, is->words, is->speaker,
                    is->pitch, hz, spread);
        if (fabs(log(hz / is->pitch)) > log(1.2)) fail_msg("voice %d: %.0f Hz", v, hz);
    }
}

// Another rate, level and line: the same voice.
static void prints_are_of_voices_not_of_words(void **state)
{
    (void)state;
    const tk_voiceprint low = print_line(3, 11, NO_NOISE, 0, 12000),
                        same = print_line(3, 17, NO_NOISE, 0, 16000),
                        other = print_line(4, 17, NO_NOISE, 0, 16000);
    assert_int_equal(tk_speakers_who(speakers, &low), 3);
    assert_int_equal(tk_speakers_who(speakers, &same), 3);
    assert_int_equal(tk_speakers_who(speakers, &other), 4);
}

static void what_has_no_voice_is_nobody(void **state)
{
    (void)state;
    tk_voiceprint p;
    const clip silent = make_clip(NULL, 16000, 16000, NO_NOISE, 0, 1, &arena),
               white = make_clip(NULL, 16000, 16000, WHITE, 0, 2, &arena),
               pink = make_clip(NULL, 16000, 16000, PINK, 0, 3, &arena);
    const clip *all[] = {&silent, &white, &pink};
    for (int k = 0; k < 3; k++) {
        assert_ok(tk_voiceprint_of(all[k]->pcm, all[k]->samples, 16000, &arena, &p));
        assert_int_equal(tk_speakers_who(speakers, &p), -1);
    }
}

static void odd_input_is_refused(void **state)
{
    (void)state;
    tk_voiceprint p, two[2] = {learned[0], learned[1]};
    tk_speakers *s;
    float x[200] = {0};
    assert_ok(tk_voiceprint_of(x, 0, 16000, &arena, &p));
    assert_ok(tk_voiceprint_of(x, 1, 48000, &arena, &p));
    assert_int_equal(tk_speakers_who(speakers, &p), -1);
    assert_status(tk_voiceprint_of(x, 200, 8000, &arena, &p), TK_INPUT);
    assert_says("8000 samples a second");
    x[3] = NAN;
    assert_status(tk_voiceprint_of(x, 200, 16000, &arena, &p), TK_INPUT);
    assert_says("sample 3 is no number");
    assert_status(tk_speakers_learn(two, (int[]){0, 1}, 2, 2, &arena, &s), TK_INPUT);
    assert_says("speaker 0 has 1 labelled samples");
    assert_status(tk_speakers_learn(two, (int[]){0, 2}, 2, 2, &arena, &s), TK_INPUT);
    assert_status(tk_speakers_learn(two, (int[]){0, 0}, 2, 0, &arena, &s), TK_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pitch_is_that_of_the_voice), cmocka_unit_test(voices_are_told_apart),
        cmocka_unit_test(prints_are_of_voices_not_of_words),
        cmocka_unit_test(what_has_no_voice_is_nobody), cmocka_unit_test(odd_input_is_refused)};
    return cmocka_run_group_tests(tests, learn_voices, forget_voices);
}
