// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/words.h"
#include "core/base/log.h"
#include "core/numbers/resample.h"
#include "infer/judges/sound/pitch.h"
#include "infer/judges/sound/sphinx.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = TK_SPHINX_RATE, HOP = RATE / TK_PITCH_HOP };
enum { NEAR = 75, EDGE = 2 }; // frames: what lies around one; what is left out of a piece
#define SILENCE -65.0         // dB of full scale: silence
#define ABOVE_NOISE 6.0       // dB over the noise around: sound
#define BELOW_VOICE 30.0      // dB below the loudest voice around: silence, whatever the noise
#define QUIETEST 8            // the noise is as loud as one frame in so many, the quietest
#define AROUND 0.15           // seconds of what is around a piece, at most, heard with it
#define VOICE 6               // voiced frames that a word has at least
#define CHANGE 0.6            // dB, standard deviation of a word's tilt, at least: a tone has none

struct tk_ear {
    tk_sphinx *sphinx;
};

tk_status tk_ear_open(const char *const *words, int n, tk_ear **out)
{
    *out = NULL;
    tk_sphinx *s;
    TK_TRY(tk_sphinx_open(words, n, &s));
    tk_ear *e = tk_alloc(sizeof *e);
    if (!e) {
        tk_sphinx_close(s);
        return TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)", sizeof *e);
    }
    e->sphinx = s;
    *out = e;
    return TK_OK;
}

void tk_ear_close(tk_ear *e)
{
    if (!e) return;
    tk_sphinx_close(e->sphinx);
    tk_free(e);
}

// ---- samples ----

typedef struct sound {
    int64_t samples, frames;
    float *x;     // (samples) one channel at RATE
    float *db;    // (frames) level above 150 Hz
    float *tilt;  // (frames) dB
    float *pitch; // (frames) Hz, 0: not voiced
} sound;

static tk_status take_channels(const float *pcm, int64_t samples, int64_t channels, tk_arena *a,
                               float **out)
{
    TK_ARENA_NEW(*out, a, samples);
    for (int64_t i = 0; i < samples; i++) {
        float sum = 0;
        for (int64_t c = 0; c < channels; c++) sum += pcm[i * channels + c];
        if (!isfinite(sum))
            return TK_FAIL(TK_INPUT, "sample %lld is no number: no word can be heard",
                           (long long)i);
        (*out)[i] = fmaxf(-8, fminf(8, sum / (float)channels));
    }
    return TK_OK;
}

// Levels of frames: of samples less what is below 150 Hz, by one pole. Tilt is the level of their
// differences over it: how high the sound is.
static void measure_levels(sound *s)
{
    const double c = exp(-2 * M_PI * 150 / RATE);
    double last = 0, y = 0;
    for (int64_t f = 0; f < s->frames; f++) {
        double sum = 1e-10, steps = 1e-10;
        for (int64_t i = f * HOP; i < (f + 1) * HOP; i++) {
            const double now = c * (y + s->x[i] - last);
            steps += (now - y) * (now - y);
            sum += now * now;
            last = s->x[i];
            y = now;
        }
        s->db[f] = (float)(10 * log10(sum / HOP));
        s->tilt[f] = (float)(10 * log10(steps / sum));
    }
}

static tk_status take_sound(const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                            tk_arena *a, sound *out)
{
    float *x;
    TK_TRY(take_channels(pcm, samples, channels, a, &x));
    out->samples = tk_resample_count(samples, rate, RATE);
    TK_ARENA_NEW(out->x, a, out->samples);
    TK_TRY(tk_resample(x, samples, rate, RATE, out->x));
    out->frames = out->samples / HOP;
    TK_ARENA_NEW(out->db, a, out->frames);
    TK_ARENA_NEW(out->tilt, a, out->frames);
    measure_levels(out);
    tk_pitch p;
    TK_TRY(tk_pitch_of(out->x, out->samples, RATE, a, &p));
    out->pitch = p.hz;
    out->frames = out->frames < p.frames ? out->frames : p.frames;
    return TK_OK;
}

// ---- pieces ----

static int by_level(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

// Mean of a frame and both its neighbours: one click or gap of a frame is none.
static double smooth_level(const sound *s, int64_t f)
{
    double sum = 0;
    int n = 0;
    for (int64_t k = f - 1; k <= f + 1; k++)
        if (k >= 0 && k < s->frames) sum += s->db[k], n++;
    return sum / n;
}

// The level above which there is sound of a voice at frame f: well above the noise, and not too far
// below the voice, around it. INFINITY where there is no voice.
static double threshold_at(const sound *s, int64_t f)
{
    float around[2 * NEAR + 1];
    int64_t n = 0;
    double voice = -INFINITY;
    for (int64_t k = f - NEAR < 0 ? 0 : f - NEAR; k <= f + NEAR && k < s->frames; k++) {
        around[n++] = s->db[k];
        if (s->pitch[k] > 0 && llabs(k - f) <= NEAR / 2) voice = fmax(voice, s->db[k]);
    }
    if (voice < SILENCE) return INFINITY;
    qsort(around, (size_t)n, sizeof *around, by_level);
    return fmax(voice - BELOW_VOICE, around[n / QUIETEST] + ABOVE_NOISE);
}

typedef struct sounding { // frames [begin, end)
    int64_t begin, end;
} sounding;

static tk_status find_pieces(const sound *s, tk_arena *a, sounding **out, int64_t *n)
{
    *n = 0;
    TK_ARENA_NEW(*out, a, s->frames / 2 + 1);
    for (int64_t f = 0; f < s->frames; f++) {
        if (smooth_level(s, f) < threshold_at(s, f)) continue;
        sounding *last = *n ? *out + *n - 1 : NULL;
        if (last && (double)(f - last->end) < TK_EAR_GAP * TK_PITCH_HOP)
            last->end = f + 1;
        else
            (*out)[(*n)++] = (sounding){f, f + 1};
    }
    return TK_OK;
}

// Whether a piece has the length of a word, a voice, and more than one sound: its tilt, away from
// where it begins and ends, is not that of a tone or a noise.
static bool like_a_word(const sound *s, const sounding *p)
{
    const int64_t n = p->end - p->begin;
    const double seconds = (double)n / TK_PITCH_HOP;
    if (seconds < TK_EAR_SHORTEST || seconds > TK_EAR_LONGEST || n <= 2 * EDGE) return false;
    int voiced = 0;
    double sum = 0, squares = 0;
    for (int64_t f = p->begin; f < p->end; f++) voiced += s->pitch[f] > 0;
    for (int64_t f = p->begin + EDGE; f < p->end - EDGE; f++) {
        sum += s->tilt[f];
        squares += (double)s->tilt[f] * s->tilt[f];
    }
    const double m = (double)(n - 2 * EDGE), mean = sum / m;
    return voiced >= VOICE && squares / m - mean * mean > CHANGE * CHANGE;
}

// ---- hearing ----

// Samples [from, end) at a level that the recognizer is used to.
static tk_status take_piece(const sound *s, int64_t from, int64_t end, tk_arena *a, int16_t **out)
{
    float peak = 1e-6F;
    for (int64_t i = from; i < end; i++) peak = fmaxf(peak, fabsf(s->x[i]));
    TK_ARENA_NEW(*out, a, end - from);
    for (int64_t i = from; i < end; i++)
        (*out)[i - from] = (int16_t)lrintf(s->x[i] / peak * 0.6F * 32767);
    return TK_OK;
}

// The word in piece k, with what is around it up to halfway to its neighbours.
static tk_status hear_piece(tk_ear *e, const sound *s, const sounding *all, int64_t n, int64_t k,
                            tk_arena *a, tk_sphinx_heard *out)
{
    const int64_t most = (int64_t)(AROUND * TK_PITCH_HOP);
    int64_t begin = all[k].begin - most, end = all[k].end + most;
    const int64_t before = k ? (all[k - 1].end + all[k].begin) / 2 : 0,
                  after = k + 1 < n ? (all[k].end + all[k + 1].begin) / 2 : s->frames;
    if (begin < before) begin = before;
    if (end > after) end = after;
    int16_t *x;
    TK_TRY(take_piece(s, begin * HOP, end * HOP, a, &x));
    TK_TRY(tk_sphinx_hear(e->sphinx, x, (end - begin) * HOP, out));
    out->begin += (double)begin / TK_PITCH_HOP;
    out->end += (double)begin / TK_PITCH_HOP;
    return TK_OK;
}

tk_status tk_ear_hear(tk_ear *e, const float *pcm, int64_t samples, int64_t channels, int64_t rate,
                      tk_arena *a, tk_heard *out)
{
    *out = (tk_heard){0};
    if (rate < TK_EAR_RATE)
        return TK_FAIL(TK_INPUT,
                       "words cannot be judged at %lld samples a second: the recognizer needs what "
                       "lies above %lld Hz too, at least %d samples a second",
                       (long long)rate, (long long)rate / 2, TK_EAR_RATE);
    if (channels < 1) return TK_FAIL(TK_INPUT, "sound without channels");
    sound s = {0};
    sounding *p = NULL;
    int64_t n;
    TK_TRY(take_sound(pcm, samples, channels, rate, a, &s));
    TK_TRY(find_pieces(&s, a, &p, &n));
    TK_ARENA_NEW(out->word, a, n);
    for (int64_t k = 0; k < n; k++) {
        tk_sphinx_heard h = {.word = -1};
        tk_alive();
        if (like_a_word(&s, &p[k])) TK_TRY(hear_piece(e, &s, p, n, k, a, &h));
        if (h.word < 0 || h.score < TK_EAR_SCORE)
            out->others++;
        else
            out->word[out->words++] = (tk_heard_word){h.word, h.begin, h.end, h.score};
    }
    return TK_OK;
}

int tk_heard_match(const tk_heard *h, const int *want, int n)
{
    // Longest common subsequence, word by word of what was heard.
    int best[65] = {0};
    if (n > 64) n = 64;
    for (int i = 0; i < h->words; i++) {
        int before = 0; // best[k] before this word
        for (int k = 0; k < n; k++) {
            const int old = best[k + 1];
            if (h->word[i].word == want[k]) best[k + 1] = before + 1;
            if (best[k] > best[k + 1]) best[k + 1] = best[k];
            before = old;
        }
    }
    return best[n];
}
