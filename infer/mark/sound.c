// SPDX-License-Identifier: Apache-2.0
// Hop j of the sound is the sum of frames j and j + 1, each of two hops under the root of a raised
// cosine, before and after its spectrum is changed: the squares of both add up to one.
#include "infer/mark/sound.h"
#include <math.h>
#include <string.h>

// The shorter, the louder: as much is to be found in less.
static double decibels_of(double seconds)
{
    return seconds < 5 ? 3.5 : seconds < TK_MARK_SPEAKS_FROM ? 2.5 : 2;
}

static void set_gains(tk_mark_sound *m, tk_mark_key key, tk_mark_message message, double strength)
{
    tk_mark_chip chip[TK_MARK_CELLS];
    int8_t sign[TK_MARK_SIGNS];
    const tk_media *s = &m->of->shape;
    const double seconds = (double)s->samples / (double)s->sample_rate;
    const double full = decibels_of(seconds) * strength;
    const bool speaks = seconds >= TK_MARK_SPEAKS_FROM;
    tk_mark_chips(key, chip);
    tk_mark_encode(message, sign);
    for (int i = 0; i < TK_MARK_CELLS; i++) {
        const int says = speaks && chip[i].says >= 0 ? sign[chip[i].says] : 1;
        m->gain[i] = (float)pow(10, chip[i].sign * says * full / 20);
    }
}

tk_status tk_mark_sound_open(tk_mark_sound *m, tk_arena *a, tk_mark_key key,
                             tk_mark_message message, double strength, tk_media_source *of)
{
    const int64_t rate = of->shape.sample_rate, channels = of->shape.channels;
    const int64_t hop = (int64_t)rint((double)rate * TK_MARK_HOP);
    *m = (tk_mark_sound){.of = of, .hop = hop, .block = -1};
    TK_ARENA_NEW(m->band, a, hop + 1);
    TK_ARENA_NEW(m->window, a, 2 * hop);
    TK_ARENA_NEW(m->in, a, 2 * hop * channels);
    TK_ARENA_NEW(m->out, a, 2 * hop * channels);
    TK_ARENA_NEW(m->x, a, 2 * hop);
    TK_ARENA_NEW(m->spectrum, a, hop + 1);
    TK_ARENA_NEW(m->scratch, a, hop);
    TK_TRY(tk_fft_new(&m->fft, a, 2 * hop));
    for (int64_t i = 0; i < 2 * hop; i++)
        m->window[i] = (float)sin(M_PI * ((double)i + 0.5) / (double)(2 * hop));
    for (int64_t k = 0; k <= hop; k++) {
        const double hz = (double)(k * rate) / (double)(2 * hop);
        m->band[k] = -1;
        for (int b = 0; b < TK_MARK_BANDS; b++)
            if (hz >= tk_mark_band_edge(b) && hz < tk_mark_band_edge(b + 1)) m->band[k] = b;
    }
    set_gains(m, key, message, strength);
    return TK_OK;
}

// Hop j of the source into the second half of `in`; silence beyond its ends.
static tk_status take_hop(tk_mark_sound *m, int64_t j)
{
    const tk_media *s = &m->of->shape;
    const int64_t block = m->hop * s->channels, first = j * m->hop;
    const int64_t left = s->samples - first, n = left < m->hop ? left : m->hop;
    memmove(m->in, m->in + block, (size_t)block * sizeof *m->in);
    memset(m->in + block, 0, (size_t)block * sizeof *m->in);
    return j < 0 || n <= 0 ? TK_OK : m->of->sound(m->of, first, n, m->in + block);
}

// Adds frame j, whose middle is where hop j begins, to `out`.
static void add_frame(tk_mark_sound *m, int64_t j)
{
    const tk_media *s = &m->of->shape;
    const double seconds = (double)(j * m->hop) / (double)s->sample_rate;
    const int64_t slot = (int64_t)floor(seconds / (TK_MARK_HOP * TK_MARK_HOPS) + 1e-6);
    const float *gain = m->gain + slot % TK_MARK_SLOTS * TK_MARK_BANDS;
    for (int64_t c = 0; c < s->channels; c++) {
        for (int64_t i = 0; i < 2 * m->hop; i++)
            m->x[i] = m->window[i] * m->in[i * s->channels + c];
        tk_fft_forward(&m->fft, m->x, m->spectrum, m->scratch);
        for (int64_t k = 0; k <= m->hop; k++) {
            if (m->band[k] < 0) continue;
            m->spectrum[k].re *= gain[m->band[k]];
            m->spectrum[k].im *= gain[m->band[k]];
        }
        tk_fft_inverse(&m->fft, m->spectrum, m->x, m->scratch);
        for (int64_t i = 0; i < 2 * m->hop; i++)
            m->out[i * s->channels + c] += m->window[i] * m->x[i];
    }
}

// Hop j into the first half of `out`.
static tk_status make_hop(tk_mark_sound *m, int64_t j)
{
    const int64_t block = m->hop * m->of->shape.channels;
    if (j == m->block) return TK_OK;
    if (m->block < 0 || j != m->block + 1) { // from anew
        memset(m->in, 0, (size_t)(2 * block) * sizeof *m->in);
        memset(m->out, 0, (size_t)(2 * block) * sizeof *m->out);
        m->block = -1;
        TK_TRY(take_hop(m, j - 1));
        TK_TRY(take_hop(m, j));
        add_frame(m, j);
    }
    memmove(m->out, m->out + block, (size_t)block * sizeof *m->out);
    memset(m->out + block, 0, (size_t)block * sizeof *m->out);
    TK_TRY(take_hop(m, j + 1));
    add_frame(m, j + 1);
    m->block = j;
    return TK_OK;
}

tk_status tk_mark_sound_get(tk_mark_sound *m, int64_t first, int64_t n, float *pcm)
{
    const int64_t channels = m->of->shape.channels;
    while (n > 0) {
        const int64_t j = first / m->hop, from = first % m->hop;
        const int64_t take = m->hop - from < n ? m->hop - from : n;
        TK_TRY(make_hop(m, j));
        memcpy(pcm, m->out + from * channels, (size_t)(take * channels) * sizeof *pcm);
        pcm += take * channels;
        first += take;
        n -= take;
    }
    return TK_OK;
}
