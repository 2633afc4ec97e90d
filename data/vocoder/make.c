// SPDX-License-Identifier: Apache-2.0
// Rows to sound: pulses, one a period, each the response of the filter of least phase that has the
// spectrum of its moment; and grains of noise that have it too. Each part of the spectrum is shared
// between both as its voice says. What a pulse or grain adds to a sample does not depend on what
// else is made, and they are added in one order, so that pieces joined are the whole, bit for bit.
#include "data/vocoder/internal.h"
#include <math.h>
#include <string.h>

#define NOTHING 1e-10f // power in the place of none

enum {
    BEFORE = 8
}; // samples of a response before its pulse: what a delay by parts of a sample rings

typedef struct maker {
    const tk_vocoder *sound;
    const tk_vocoder_rows *rows;
    int64_t first, n, stride; // samples
    float *pcm;
    float *power; // (rows, frames, bands) logarithms, without the floor
    float *bands; // scratch (bands)
    float *noise; // from sample `noise_first`
    int64_t noise_first;
    tk_frame frame;
} maker;

static float limited(float x, float low, float high) // not a number: low
{
    return fminf(high, fmaxf(low, x));
}

// Where the rows hold the track's row or frame of that number, of which a row has `each`, or the
// nearest that the track has.
static int64_t near_place(const tk_vocoder_rows *r, int64_t each, int64_t number)
{
    const int64_t all = r->all * each;
    return (number < 0 ? 0 : number < all ? number : all - 1) - r->first * each;
}

// Where sample t lies among middles every `step` samples: after middle *at, at that share.
static float place_at(double t, double step, int64_t *at)
{
    const double x = t / step - 0.5;
    *at = (int64_t)floor(x);
    return (float)(x - floor(x));
}

// The share of each part of the spectrum that repeats, at sample t; the largest of them, and the
// smallest.
static void voices_at(const maker *m, double t, float voice[TK_VOCODER_PARTS], float *most,
                      float *least)
{
    const int64_t parts = m->sound->parts;
    int64_t at;
    const float share = place_at(t, (double)m->sound->hop, &at);
    const float *a = m->rows->voice + near_place(m->rows, 1, at) * parts;
    const float *b = m->rows->voice + near_place(m->rows, 1, at + 1) * parts;
    *most = 0, *least = 1;
    for (int64_t p = 0; p < parts; p++) {
        voice[p] = limited(a[p], 0, 1) * (1 - share) + limited(b[p], 0, 1) * share;
        *most = fmaxf(*most, voice[p]);
        *least = fminf(*least, voice[p]);
    }
}

// Logarithms of power at sample t by bands, of what repeats or of the rest.
static void bands_at(const maker *m, double t, const float voice[TK_VOCODER_PARTS], bool repeats)
{
    const tk_vocoder *s = m->sound;
    int64_t at;
    const float share = place_at(t, s->step, &at);
    const float *a = m->power + near_place(m->rows, s->frames, at) * s->bands;
    const float *b = m->power + near_place(m->rows, s->frames, at + 1) * s->bands;
    for (int64_t k = 0; k < s->bands; k++) {
        const float *v = voice + s->band_part[k];
        const float part = v[0] + (v[1] - v[0]) * s->band_next[k];
        const float kept = fmaxf(1e-4f, repeats ? part : 1 - part);
        m->bands[k] = a[k] + (b[k] - a[k]) * share + logf(kept);
    }
}

// The bands spread over bins; `half` of each logarithm, that of an amplitude.
static float amplitude(const maker *m, int64_t bin)
{
    const float *b = m->bands + m->sound->bin_band[bin];
    return 0.5f * (b[0] + (b[1] - b[0]) * m->sound->bin_next[bin]);
}

// The response of least phase to a pulse `late` samples after x[0], into x: its cepstrum is that of
// the amplitudes, folded onto what comes after the pulse. They fall off below half the pitch, where
// nothing of it is but the mean of its pulses.
static void respond(const maker *m, double late, double hz, float gain)
{
    const tk_fft *fft = &m->sound->fft;
    const tk_frame *f = &m->frame;
    const int64_t half = fft->size / 2;
    const float edge = (float)(0.5 * hz * (double)fft->size / (double)m->sound->rate);
    for (int64_t k = 0; k <= half; k++) f->spectrum[k] = (tk_complex){amplitude(m, k), 0};
    for (int64_t k = 0; (float)k < edge; k++)
        f->spectrum[k].re += logf(fmaxf(0.02f, (float)k / edge));
    tk_fft_inverse(fft, f->spectrum, f->x, f->scratch);
    for (int64_t k = 1; k < half; k++) f->x[k] *= 2;
    memset(f->x + half + 1, 0, (size_t)(half - 1) * sizeof *f->x);
    tk_fft_forward(fft, f->x, f->spectrum, f->scratch);
    for (int64_t k = 0; k <= half; k++) {
        const float size = gain * expf(f->spectrum[k].re);
        const float turn = f->spectrum[k].im - (float)(M_PI * late / (double)half) * (float)k;
        f->spectrum[k] = (tk_complex){size * cosf(turn), size * sinf(turn)};
    }
    f->spectrum[half].im = 0;
    tk_fft_inverse(fft, f->spectrum, f->x, f->scratch);
}

static void add_sample(const maker *m, int64_t t, float x)
{
    if (t >= m->first && t < m->first + m->n) m->pcm[(t - m->first) * m->stride] += x;
}

static void add_pulse(const maker *m, double t, double hz)
{
    const tk_vocoder *s = m->sound;
    const int64_t size = s->size, tail = size / 2, fade = size / 16, start = (int64_t)floor(t);
    float voice[TK_VOCODER_PARTS], most, least;
    if (start + tail <= m->first || start - BEFORE >= m->first + m->n) return;
    voices_at(m, t, voice, &most, &least);
    if (most < 0.02f) return;
    bands_at(m, t, voice, true);
    respond(m, t - (double)start, hz, (float)sqrt((double)s->rate / hz));
    for (int64_t k = -BEFORE; k < tail; k++) {
        const float faded = k > tail - fade ? (float)(tail - k) / (float)fade : 1;
        add_sample(m, start + k, faded * m->frame.x[k < 0 ? k + size : k]);
    }
}

static double pitch_at(const tk_vocoder_rows *r, int64_t row)
{
    return (double)limited(r->pitch[near_place(r, 1, row)], 50, 500);
}

// The pulses of a segment. The pitch runs straight from the middle of a row to that of the next.
static void add_pulses(const maker *m, int64_t segment)
{
    const tk_vocoder *s = m->sound;
    const double hop = (double)s->hop, rate = (double)s->rate;
    const int64_t begin = segment * s->segment, rows = s->segment;
    double cycles = 0, phase = 0, bend = 1;
    for (int pass = 0; pass < 2; pass++) { // count the cycles, then lay them out
        int64_t next = 0;
        for (int64_t k = 0; k <= rows; k++) { // from each row's middle, or the begin, to the next
            const double before = pitch_at(m->rows, begin + k - 1);
            const double after = pitch_at(m->rows, begin + k), middle = 0.5 * (before + after);
            const double from = (k ? before : middle) / rate * bend;
            const double to = (k < rows ? after : middle) / rate * bend;
            const double start = (double)begin * hop + (k ? ((double)k - 0.5) * hop : 0);
            const double length = k && k < rows ? hop : 0.5 * hop;
            const double gained = 0.5 * (from + to) * length;
            for (; pass && (double)next < phase + gained - 1e-9; next++) {
                const double due = fmax(0, (double)next - phase);
                const double root = from * from + 2 * due * (to - from) / length;
                const double t = 2 * due / (from + sqrt(fmax(0, root)));
                add_pulse(m, start + t, rate * (from + (to - from) * t / length));
            }
            phase += gained;
        }
        cycles = fmax(1, round(phase));
        bend = cycles / phase;
        phase = 0;
    }
}

// Grain i: noise under Hann's window around sample i * grain, its spectrum shaped, its phases kept.
static void add_grain(const maker *m, int64_t i)
{
    const tk_vocoder *s = m->sound;
    const tk_frame *f = &m->frame;
    const int64_t length = 2 * s->grain, start = (i - 1) * s->grain;
    const int64_t spread = (s->size - length) / 2;
    float voice[TK_VOCODER_PARTS], most, least, loudest = 0;
    const double t = fmax(0, (double)i * (double)s->grain);
    voices_at(m, t, voice, &most, &least);
    if (least > 0.999f) return;
    bands_at(m, t, voice, false);
    for (int64_t b = 0; b < s->bands; b++) loudest = b ? fmaxf(loudest, m->bands[b]) : m->bands[b];
    if (loudest < logf(2 * NOTHING)) return;
    memset(f->x, 0, (size_t)s->size * sizeof *f->x);
    for (int64_t k = 0; k < length; k++) {
        const double turn = M_PI * ((double)k + 0.5) / (double)s->grain;
        f->x[k] = (float)(0.5 - 0.5 * cos(turn)) * m->noise[start + k - m->noise_first];
    }
    tk_fft_forward(&s->fft, f->x, f->spectrum, f->scratch);
    for (int64_t k = 0; k <= s->size / 2; k++) {
        const float gain = expf(amplitude(m, k));
        f->spectrum[k].re *= gain;
        f->spectrum[k].im *= gain;
    }
    tk_fft_inverse(&s->fft, f->spectrum, f->x, f->scratch);
    for (int64_t k = -spread; k < length + spread; k++)
        add_sample(m, start + k, f->x[k < 0 ? k + s->size : k]);
}

// Logarithms of power without the floor that was added to it.
static void lift_floor(maker *m)
{
    const int64_t numbers = m->rows->n * m->sound->frames * m->sound->bands;
    const float low = logf(TK_VOCODER_FLOOR);
    for (int64_t k = 0; k < numbers; k++) {
        const float power = expf(limited(m->rows->bands[k], low, 5)) - TK_VOCODER_FLOOR;
        m->power[k] = logf(fmaxf(power, NOTHING));
    }
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a >= 0 ? a / b : -((b - 1 - a) / b);
}

tk_status tk_vocoder_make(const tk_vocoder *s, const tk_vocoder_rows *r, tk_key noise,
                          int64_t first, int64_t n, tk_arena *a, float *pcm, int64_t stride)
{
    maker m = {.sound = s, .rows = r, .first = first, .n = n, .stride = stride, .pcm = pcm};
    const int64_t span = s->segment * s->hop, reach = s->size / 2 + s->grain;
    const int64_t grains = floor_divide(first - reach, s->grain);
    const int64_t end = floor_divide(first + n + reach, s->grain) + 1;
    if (n < 1 || r->n < 1) return TK_OK;
    TK_TRY(tk_frame_new(s, a, &m.frame));
    TK_ARENA_NEW(m.power, a, r->n * s->frames * s->bands);
    TK_ARENA_NEW(m.bands, a, s->bands);
    TK_ARENA_NEW(m.noise, a, (end - grains + 2) * s->grain);
    m.noise_first = (grains - 1) * s->grain;
    // Time begins with grain -64, so that no index is negative.
    tk_rng_fill_normal(noise, (uint64_t)(m.noise_first + 64 * s->grain), m.noise,
                       (end - grains + 2) * s->grain, 1);
    lift_floor(&m);
    for (int64_t k = floor_divide(first - s->size / 2, span); k * span < first + n + BEFORE; k++)
        if (k >= 0) add_pulses(&m, k);
    for (int64_t i = grains; i < end; i++) add_grain(&m, i);
    return TK_OK;
}
