// SPDX-License-Identifier: Apache-2.0
#include "data/speech/speak.h"
#include "core/numbers/resample.h"
#include <math.h>
#include <pthread.h>
#include <string.h>

struct tk_speech {
    int64_t rate;
    pthread_mutex_t lock;                       // of what follows
    tk_arena arena;                             // of all words
    tk_utterance word[TK_VOICES_ALL][TK_WORDS]; // no samples: not made yet
};

tk_status tk_speech_open(int64_t rate, tk_speech **out)
{
    *out = NULL;
    TK_TRY(tk_flite_open());
    if (rate < 8000)
        return TK_FAIL(TK_INPUT, "speech at %lld samples a second is not understood: at least 8000",
                       (long long)rate);
    tk_speech *s;
    TK_NEW(s, 1);
    s->rate = rate;
    pthread_mutex_init(&s->lock, NULL);
    tk_arena_init(&s->arena, 1 << 20);
    *out = s;
    return TK_OK;
}

void tk_speech_close(tk_speech *s)
{
    if (!s) return;
    tk_arena_free(&s->arena);
    pthread_mutex_destroy(&s->lock);
    tk_free(s);
}

// ---- words ----

// Cuts leave no clicks: the first and last milliseconds swell and fade.
static void fade_ends(float *x, int64_t n, int64_t rate)
{
    const int64_t m = rate / 250 < n / 2 ? rate / 250 : n / 2;
    for (int64_t i = 0; i < m; i++) {
        const float g = (float)(0.5 - 0.5 * cos(M_PI * ((double)i + 0.5) / (double)m));
        x[i] *= g;
        x[n - 1 - i] *= g;
    }
}

static void level_word(float *x, int64_t n)
{
    double sum = 0;
    float peak = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)x[i] * x[i];
        peak = fmaxf(peak, fabsf(x[i]));
    }
    if (peak == 0) return;
    const float gain = fminf(TK_SPEECH_LEVEL / (float)sqrt(sum / (double)n), TK_SPEECH_PEAK / peak);
    for (int64_t i = 0; i < n; i++) x[i] *= gain;
}

static tk_status make_word(tk_speech *s, int voice, int word, tk_arena *raw)
{
    tk_utterance u = {0};
    TK_TRY(tk_flite_say(tk_voice_of(voice), tk_word_text(word), raw, &u));
    tk_utterance w = {.samples = tk_resample_count(u.samples, u.rate, s->rate), .phones = u.phones};
    TK_ARENA_NEW(w.pcm, &s->arena, w.samples);
    TK_ARENA_NEW(w.phone, &s->arena, w.phones);
    TK_TRY(tk_resample(u.pcm, u.samples, u.rate, s->rate, w.pcm));
    memcpy(w.phone, u.phone, (size_t)w.phones * sizeof *w.phone);
    fade_ends(w.pcm, w.samples, s->rate);
    level_word(w.pcm, w.samples);
    s->word[voice][word] = w;
    return TK_OK;
}

// The word as `voice` says it, for as long as `s` lives.
static tk_status find_word(tk_speech *s, int voice, int word, const tk_utterance **out)
{
    tk_status st = TK_OK;
    pthread_mutex_lock(&s->lock);
    if (!s->word[voice][word].samples) {
        tk_arena raw;
        tk_arena_init(&raw, 0);
        st = make_word(s, voice, word, &raw);
        tk_arena_free(&raw);
    }
    pthread_mutex_unlock(&s->lock);
    *out = &s->word[voice][word];
    return st;
}

// ---- lines ----

tk_status tk_speak(tk_speech *s, int voice, const char *text, tk_arena *a, tk_line *out)
{
    if (voice < 0 || voice >= TK_VOICES_ALL)
        return TK_FAIL(TK_INPUT, "there is no voice %d: voices are 0 to %d", voice,
                       TK_VOICES_ALL - 1);
    int word[TK_LINE_WORDS];
    const tk_utterance *said[TK_LINE_WORDS];
    *out = (tk_line){.rate = s->rate};
    TK_TRY(tk_words_of(text, TK_LINE_WORDS, word, &out->words));
    const int64_t pause = llrint(TK_SPEECH_PAUSE * (double)s->rate);
    for (int w = 0; w < out->words; w++) {
        TK_TRY(find_word(s, voice, word[w], &said[w]));
        out->samples += (w ? pause : 0) + said[w]->samples;
        out->phones += said[w]->phones;
    }
    TK_ARENA_NEW(out->pcm, a, out->samples);
    TK_ARENA_NEW(out->word, a, out->words);
    TK_ARENA_NEW(out->phone, a, out->phones);
    int64_t at = 0;
    tk_phone *p = out->phone;
    for (int w = 0; w < out->words; w++) {
        const tk_utterance *u = said[w];
        const double begin = (double)at / (double)s->rate;
        for (int k = 0; k < u->phones; k++, p++) {
            *p = u->phone[k];
            p->begin += begin;
            p->end += begin;
        }
        out->word[w] = (tk_spoken){word[w], begin, p[-1].end};
        memcpy(out->pcm + at, u->pcm, (size_t)u->samples * sizeof *u->pcm);
        at += u->samples + pause;
    }
    return TK_OK;
}
