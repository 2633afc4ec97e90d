// SPDX-License-Identifier: Apache-2.0
// The pitch of a track: of each frame the five best peaks of the autocorrelation below about 900
// Hz, of which the smoothest strong path is taken (Viterbi).
#include "data/vocoder/internal.h"
#include <math.h>
#include <string.h>

enum { CHOICES = 5 };

typedef struct candidate {
    float hz, strength, score; // autocorrelation at that period; less for longer ones
} candidate;

// Frames [first, first + held), of which it is not settled yet which choice the best path takes,
// in memory of room. The choices of earlier frames are final, whatever follows.
typedef struct track {
    candidate *choice; // (room, CHOICES)
    int8_t *before;    // (room, CHOICES) which of the last frame's leads there
    float *power;      // (room)
    int64_t first, held, room;
    double sum[CHOICES]; // of the best path to each choice of the last frame
    float *pitch, *sure; // of all frames, the caller's; written as they are settled
} track;

enum { ROOM = 256 }; // frames, to begin with

// The best peaks of r over periods [low, high], the strongest first; missing ones score -1.
static void pick_peaks(const tk_vocoder *s, const float *r, int64_t low, int64_t high,
                       candidate *out)
{
    for (int c = 0; c < CHOICES; c++)
        out[c] = (candidate){(float)((double)s->rate / (double)high), 0, -1};
    for (int64_t l = low; l <= high; l++) {
        const float a = r[l - 1], b = r[l], c = r[l + 1],
                    score = b - 0.15f * (float)l / (float)high;
        if (!(b > a && b >= c) || score <= out[CHOICES - 1].score) continue;
        const float bend = a - 2 * b + c, off = bend < 0 ? 0.5f * (a - c) / bend : 0;
        const candidate found = {(float)s->rate / ((float)l + fmaxf(-0.5f, fminf(0.5f, off))),
                                 fminf(b, 1), score};
        int at = CHOICES - 1;
        for (; at > 0 && out[at - 1].score < score; at--) out[at] = out[at - 1];
        out[at] = found;
    }
}

// Candidates of frame k, which is the next one, by the autocorrelation that its power spectrum is
// the transform of.
static void look_at_frame(const tk_vocoder *s, const tk_vocoder_heard *h, int64_t k, tk_frame *f,
                          track *t)
{
    const double bin = (double)s->rate / (double)s->size;
    const int64_t low = (int64_t)((double)s->rate / TK_VOCODER_HIGHEST);
    const int64_t high = (int64_t)((double)s->rate / TK_VOCODER_LOWEST);
    t->power[t->held] = (float)tk_frame_power(s, h, k, f);
    for (int64_t b = 0; b <= s->size / 2; b++) {
        const double hz = (double)b * bin, soft = hz / 900;
        f->spectrum[b] = (tk_complex){0, 0};
        if (hz >= 50) f->spectrum[b].re = f->power[b] / (float)(1 + soft * soft * soft * soft);
    }
    tk_fft_inverse(&s->fft, f->spectrum, f->x, f->scratch);
    const float whole = f->x[0] + 1e-9f;
    for (int64_t l = low - 1; l <= high + 1; l++) f->x[l] /= whole * fmaxf(0.05f, s->repeat[l]);
    pick_peaks(s, f->x, low, high, t->choice + t->held * CHOICES);
}

// Loudness in dB between two levels, as a number from 0 to 1.
static float loudness(float power, float low, float high)
{
    return fmaxf(0, fminf(1, (10 * log10f(power + 1e-10f) - low) / (high - low)));
}

// Takes the best paths on to the frame that was looked at.
static void go_on(track *t)
{
    const int64_t k = t->held++;
    const candidate *now = t->choice + k * CHOICES, *last = now - CHOICES;
    const float weight = fmaxf(0.01f, loudness(t->power[k], -60, -40)); // quiet ones count little
    const bool begins = t->first + k == 0;
    double next[CHOICES];
    for (int c = 0; c < CHOICES; c++) {
        double best = begins ? 0 : -1e30;
        for (int b = 0; !begins && b < CHOICES; b++) {
            const double jump = fabs(log((double)now[c].hz / (double)last[b].hz));
            const double path = t->sum[b] - 2 * fmin(jump, 0.5);
            if (path > best) best = path, t->before[k * CHOICES + c] = (int8_t)b;
        }
        next[c] = best + (double)(weight * now[c].score);
    }
    for (int c = 0; c < CHOICES; c++) t->sum[c] = next[c];
}

// The path to choice `at` of held frame k is the best one: all frames up to it are settled.
static void settle_path(track *t, int64_t k, int at)
{
    const int64_t gone = k + 1, left = t->held - gone;
    for (; k >= 0; k--) {
        const candidate c = t->choice[k * CHOICES + at];
        t->pitch[t->first + k] = c.hz;
        t->sure[t->first + k] =
            fmaxf(0, fminf(1, (c.strength - 0.4f) / 0.4f)) * loudness(t->power[k], -55, -45);
        at = t->before[k * CHOICES + at];
    }
    memmove(t->choice, t->choice + gone * CHOICES, (size_t)(left * CHOICES) * sizeof *t->choice);
    memmove(t->before, t->before + gone * CHOICES, (size_t)(left * CHOICES) * sizeof *t->before);
    memmove(t->power, t->power + gone, (size_t)left * sizeof *t->power);
    t->first += gone;
    t->held = left;
}

// Settles what lies before the last frame in which the best paths to all choices meet: whichever of
// them turns out to be the best goes through there.
static void settle_what_meets(track *t)
{
    int at[CHOICES];
    for (int c = 0; c < CHOICES; c++) at[c] = c;
    for (int64_t k = t->held - 1; k >= 0; k--) {
        bool meet = true;
        for (int c = 1; c < CHOICES; c++) meet = meet && at[c] == at[0];
        if (meet) {
            settle_path(t, k, at[0]);
            return;
        }
        for (int c = 0; c < CHOICES; c++) at[c] = t->before[k * CHOICES + at[c]];
    }
}

static void settle_all(track *t)
{
    int at = 0;
    for (int c = 1; c < CHOICES; c++)
        if (t->sum[c] > t->sum[at]) at = c;
    settle_path(t, t->held - 1, at);
}

static tk_status grow_track(track *t, tk_arena *a)
{
    const track was = *t;
    t->room = was.room ? 2 * was.room : ROOM;
    TK_ARENA_NEW(t->choice, a, t->room * CHOICES);
    TK_ARENA_NEW(t->before, a, t->room * CHOICES);
    TK_ARENA_NEW(t->power, a, t->room);
    if (!was.held) return TK_OK;
    memcpy(t->choice, was.choice, (size_t)(was.held * CHOICES) * sizeof *t->choice);
    memcpy(t->before, was.before, (size_t)(was.held * CHOICES) * sizeof *t->before);
    memcpy(t->power, was.power, (size_t)was.held * sizeof *t->power);
    return TK_OK;
}

// Room for a frame: where half of it is not enough for what is not settled, more.
static tk_status make_room_for_frame(track *t, tk_arena *a)
{
    if (t->held < t->room) return TK_OK;
    settle_what_meets(t);
    return 2 * t->held < t->room ? TK_OK : grow_track(t, a);
}

// Unsure pitches by a straight line of logarithms between sure ones, 120 Hz where there is none.
static void fill_in(int64_t n, const float *sure, float *pitch)
{
    int64_t last = -1;
    for (int64_t k = 0; k <= n; k++) {
        if (k < n && !(sure[k] > 0.5f)) continue;
        const float from = last < 0 ? (k < n ? pitch[k] : 120) : pitch[last];
        const float to = k < n ? pitch[k] : from;
        for (int64_t j = last + 1; j < k; j++)
            pitch[j] = from * powf(to / from, (float)(j - last) / (float)(k - last));
        last = k;
    }
}

static tk_status find_path(const tk_vocoder *s, tk_vocoder_heard *h, int64_t n, tk_arena *scratch,
                           track *t)
{
    tk_frame f;
    TK_TRY(tk_frame_new(s, scratch, &f));
    for (int64_t k = 0; k < n; k++) {
        TK_TRY(make_room_for_frame(t, scratch));
        TK_TRY(tk_heard_frame(s, k, h));
        look_at_frame(s, h, k, &f, t);
        go_on(t);
    }
    settle_all(t);
    return TK_OK;
}

tk_status tk_vocoder_listen(const tk_vocoder *s, const tk_vocoder_sound *x, int64_t rows,
                            tk_arena *a, tk_vocoder_pitch *out)
{
    const int64_t n = rows * s->frames;
    tk_arena scratch;
    tk_vocoder_heard h;
    *out = (tk_vocoder_pitch){.frames = n};
    if (!n) return TK_OK;
    TK_ARENA_NEW(out->hz, a, n);
    TK_ARENA_NEW(out->sure, a, n);
    track t = {.pitch = out->hz, .sure = out->sure};
    tk_arena_init(&scratch, 0);
    tk_status st = tk_heard_new(s, x, &scratch, &h);
    if (st == TK_OK) st = find_path(s, &h, n, &scratch, &t);
    tk_arena_free(&scratch);
    if (st == TK_OK) fill_in(n, out->sure, out->hz);
    return st;
}
