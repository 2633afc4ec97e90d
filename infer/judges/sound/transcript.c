// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/transcript.h"
#include "core/base/log.h"
#include "core/numbers/resample.h"
#include "infer/judges/sound/sphinx.h"
#include <math.h>
#include <string.h>

#define QUIET 1e-3F // full scale 1: a piece that is never louder has no words

struct tk_transcript {
    tk_sphinx *sphinx;
    int64_t rate, channels;
    tk_transcript_said *said;
    void *ctx;
    float *x;            // (most) one channel at `rate`: the piece that is collected
    int64_t n, most;     // samples of it
    int64_t first;       // ... whose first is this one of the sound
    int64_t heard;       // samples of x that the piece before had as well
    tk_arena sound, one; // x; what one piece takes
};

tk_status tk_transcript_ready(int64_t rate)
{
    TK_TRY(tk_sphinx_knows_english());
    if (rate >= TK_TRANSCRIPT_RATE) return TK_OK;
    return TK_FAIL(
        TK_INPUT, "no word can be heard at %lld samples a second: the recognizer needs at least %d",
        (long long)rate, TK_TRANSCRIPT_RATE);
}

tk_status tk_transcript_open(tk_transcript **out)
{
    tk_transcript *t;
    *out = NULL;
    TK_NEW(t, 1);
    tk_arena_init(&t->sound, 0);
    tk_arena_init(&t->one, 1 << 20);
    const tk_status st = tk_sphinx_open_english(&t->sphinx);
    if (st == TK_OK)
        *out = t;
    else
        tk_transcript_close(t);
    return st;
}

void tk_transcript_close(tk_transcript *t)
{
    if (!t) return;
    tk_sphinx_close(t->sphinx);
    tk_arena_free(&t->sound);
    tk_arena_free(&t->one);
    tk_free(t);
}

tk_status tk_transcript_begin(tk_transcript *t, int64_t rate, int64_t channels,
                              tk_transcript_said *said, void *ctx)
{
    if (rate < 1 || channels < 1)
        return TK_FAIL(TK_INPUT, "sound of %lld channels at %lld samples a second",
                       (long long)channels, (long long)rate);
    tk_arena_reset(&t->sound);
    t->rate = rate;
    t->channels = channels;
    t->said = said;
    t->ctx = ctx;
    t->n = t->first = t->heard = 0;
    t->most = (int64_t)(TK_TRANSCRIPT_PIECE * (double)rate);
    TK_ARENA_NEW(t->x, &t->sound, t->most + 1);
    return TK_OK;
}

// The piece at the recognizer's rate, at a level that it is used to; *n 0: it is silent. What is
// without any noise it hears worse: each sample is off by up to 3 of 32767.
static tk_status level_piece(tk_transcript *t, int16_t **out, int64_t *n)
{
    float *y, peak = 0;
    *n = tk_resample_count(t->n, t->rate, TK_SPHINX_RATE);
    TK_ARENA_NEW(y, &t->one, *n + 1);
    TK_ARENA_NEW(*out, &t->one, *n + 1);
    TK_TRY(tk_resample(t->x, t->n, t->rate, TK_SPHINX_RATE, y));
    for (int64_t i = 0; i < *n; i++) peak = fmaxf(peak, fabsf(y[i]));
    if (peak < QUIET) *n = 0;
    uint32_t dice = 1;
    for (int64_t i = 0; i < *n; i++) {
        dice = dice * 1664525 + 1013904223;
        const float dither = (float)(dice >> 16) / 65536 * 6 - 3;
        (*out)[i] = (int16_t)lrintf(y[i] / peak * 0.6F * 32767 + dither);
    }
    return TK_OK;
}

static tk_status write_piece(tk_transcript *t)
{
    int16_t *x = NULL;
    int64_t n;
    char *said;
    tk_arena_reset(&t->one);
    tk_alive();
    TK_TRY(level_piece(t, &x, &n));
    TK_TRY(tk_sphinx_write(t->sphinx, x, n, &t->one, &said));
    return *said ? t->said(t->ctx, (double)t->first / (double)t->rate, said) : TK_OK;
}

// What the next piece shares with this one stays.
static void keep_shared(tk_transcript *t)
{
    int64_t shared = (int64_t)(TK_TRANSCRIPT_SHARED * (double)t->rate);
    if (shared >= t->n) shared = 0;
    memmove(t->x, t->x + t->n - shared, (size_t)shared * sizeof *t->x);
    t->first += t->n - shared;
    t->n = t->heard = shared;
}

tk_status tk_transcript_add(tk_transcript *t, const float *pcm, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float sum = 0;
        for (int64_t c = 0; c < t->channels; c++) sum += pcm[i * t->channels + c];
        if (t->n == t->most) {
            TK_TRY(write_piece(t));
            keep_shared(t);
        }
        t->x[t->n++] = isfinite(sum) ? fmaxf(-8, fminf(8, sum / (float)t->channels)) : 0;
    }
    return TK_OK;
}

tk_status tk_transcript_end(tk_transcript *t)
{
    const bool news = t->n > t->heard;
    if (news) TK_TRY(write_piece(t));
    t->n = t->heard = 0;
    return TK_OK;
}
