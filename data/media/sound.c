// SPDX-License-Identifier: Apache-2.0
// The sound of a file on our clock: see data/media/sound.h.
//
// Decoded frames follow each other through one resampler as long as their times agree with their
// lengths; where the time jumps by more than GAP, the resampler is drained and sound goes on at its
// new place, after silence or over the overlap.
#include "data/media/sound.h"
#include <libavutil/opt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GAP 0.04     // seconds of disagreement that count as a gap and not as rounding
#define SHORT 0.25   // seconds of pictures behind the last sound that are worth a word
#define UNSCALED 1e3 // a sum of coefficients that no mix has: none is scaled down

tk_status tk_sound_open(const char *path, int number, int64_t rate, int64_t channels, tk_sound *s)
{
    *s = (tk_sound){.rate = rate, .channels = channels};
    s->limiter = (tk_limiter){.rate = rate, .channels = channels, .gain = 1, .least = 1};
    TK_TRY(tk_track_open(path, AVMEDIA_TYPE_AUDIO, number, &s->track));
    s->end = !s->track.stream;
    return TK_OK;
}

void tk_sound_close(tk_sound *s)
{
    swr_free(&s->swr);
    tk_track_close(&s->track);
    tk_limiter_free(&s->limiter);
    tk_free(s->fifo);
    tk_free(s->scratch);
    s->fifo = s->scratch = NULL;
}

static tk_status grow_samples(float **x, int64_t *cap, int64_t floats)
{
    if (floats <= *cap) return TK_OK;
    int64_t to = *cap * 2 > floats ? *cap * 2 : floats;
    float *p = tk_realloc(*x, (size_t)*cap * sizeof **x, (size_t)to * sizeof **x);
    if (!p) return TK_FAIL(TK_MEMORY, "out of memory for %lld samples of sound", (long long)to);
    *x = p;
    *cap = to;
    return TK_OK;
}

static void drop_before(tk_sound *s, int64_t first)
{
    int64_t n = first - s->first;
    if (n <= 0) return;
    if (n > s->held) n = s->held;
    s->held -= n;
    if (s->held > 0)
        memmove(s->fifo, s->fifo + n * s->channels,
                (size_t)(s->held * s->channels) * sizeof *s->fifo);
    s->first += n;
    if (s->held == 0) s->first = first;
}

static tk_status append_silence(tk_sound *s, int64_t n)
{
    TK_TRY(grow_samples(&s->fifo, &s->cap, (s->held + n) * s->channels));
    memset(s->fifo + s->held * s->channels, 0, (size_t)(n * s->channels) * sizeof *s->fifo);
    s->held += n;
    return TK_OK;
}

// n samples of swr's output, whose first belongs at s->cursor; what overlaps older sound is
// dropped.
static tk_status append_samples(tk_sound *s, int64_t n)
{
    int64_t skip = s->first + s->held - s->cursor;
    skip = skip < 0 ? 0 : skip > n ? n : skip;
    s->cursor += n;
    const float *from = s->scratch + skip * s->mixed;
    n -= skip;
    TK_TRY(grow_samples(&s->fifo, &s->cap, (s->held + n) * s->channels));
    float *to = s->fifo + s->held * s->channels;
    for (int64_t i = 0; i < n; i++, from += s->mixed)
        for (int64_t c = 0; c < s->channels; c++) {
            float x = s->mixed == 1      ? from[0]
                      : s->channels == 1 ? 0.5F * (from[0] + from[1])
                                         : from[c];
            *to++ = isfinite(x) ? x : 0;
        }
    s->held += n;
    return TK_OK;
}

// Resamples one frame, or with NULL what the resampler still holds.
static tk_status convert(tk_sound *s, const AVFrame *f)
{
    if (!s->swr) return TK_OK;
    int in = f ? f->nb_samples : 0, room = swr_get_out_samples(s->swr, in);
    if (room <= 0) return TK_OK;
    TK_TRY(grow_samples(&s->scratch, &s->scratch_cap, (int64_t)room * s->mixed));
    uint8_t *to = (uint8_t *)s->scratch;
    int got = swr_convert(s->swr, &to, room, f ? (const uint8_t **)f->extended_data : NULL, in);
    if (got < 0)
        return TK_FAIL(TK_INPUT, "%s: its sound cannot be resampled (%s)", s->track.path,
                       tk_av_words(got));
    return append_samples(s, got);
}

// Channels in an order libav cannot name are averaged.
static int mix_evenly(SwrContext *swr, int in, int out)
{
    double matrix[2 * 64];
    if (in > 64) return AVERROR(EINVAL);
    for (int i = 0; i < in * out; i++) matrix[i] = 1.0 / in;
    return swr_set_matrix(swr, matrix, in);
}

// As ITU-R BS.775, with a centre that counts in full on either side.
static int mix_centre(SwrContext *swr, const AVChannelLayout *from, const AVChannelLayout *to)
{
    double matrix[2 * 64];
    const int centre = av_channel_layout_index_from_channel(from, AV_CHAN_FRONT_CENTER);
    if (from->nb_channels > 64) return AVERROR(EINVAL);
    const int e = swr_build_matrix2(from, to, M_SQRT1_2, M_SQRT1_2, 0, UNSCALED, 1, matrix,
                                    from->nb_channels, AV_MATRIX_ENCODING_NONE, NULL);
    for (int i = 0; i < to->nb_channels; i++) matrix[i * from->nb_channels + centre] = 1;
    return e >= 0 ? swr_set_matrix(swr, matrix, from->nb_channels) : e;
}

static bool has_centre(const AVChannelLayout *l)
{
    return l->nb_channels > 1 && av_channel_layout_index_from_channel(l, AV_CHAN_FRONT_CENTER) >= 0;
}

static tk_status open_resampler(tk_sound *s, const AVFrame *f)
{
    swr_free(&s->swr);
    const int in = f->ch_layout.nb_channels;
    s->mixed = in == 1 ? 1 : 2;
    AVChannelLayout from = {0}, to = {0};
    av_channel_layout_default(&to, s->mixed);
    int e = f->ch_layout.order == AV_CHANNEL_ORDER_UNSPEC
                ? (av_channel_layout_default(&from, in), 0)
                : av_channel_layout_copy(&from, &f->ch_layout);
    const bool nameless = from.order == AV_CHANNEL_ORDER_UNSPEC;
    if (e >= 0)
        e = swr_alloc_set_opts2(&s->swr, &to, AV_SAMPLE_FMT_FLT, (int)s->rate, &from, f->format,
                                f->sample_rate, 0, NULL);
    if (e >= 0) e = av_opt_set_double(s->swr, "rematrix_maxval", UNSCALED, 0);
    if (e >= 0) e = av_opt_set_sample_fmt(s->swr, "internal_sample_fmt", AV_SAMPLE_FMT_FLTP, 0);
    if (e >= 0 && nameless) e = mix_evenly(s->swr, in, s->mixed);
    if (e >= 0 && !nameless && has_centre(&from)) e = mix_centre(s->swr, &from, &to);
    if (e >= 0) e = swr_init(s->swr);
    if (av_channel_layout_describe(&from, s->layout, sizeof s->layout) < 0 || nameless)
        snprintf(s->layout, sizeof s->layout, "%d channels", in);
    av_channel_layout_uninit(&from);
    if (e < 0)
        return TK_FAIL(TK_INPUT, "%s: sound of %d channels at %d Hz cannot be resampled (%s)",
                       s->track.path, in, f->sample_rate, tk_av_words(e));
    s->in_rate = f->sample_rate;
    s->in_format = f->format;
    s->in_channels = in;
    return TK_OK;
}

// The frame in s->track.frame, if it begins before `until`; else it stays pending.
static tk_status take_frame(tk_sound *s, int64_t until)
{
    const AVFrame *f = s->track.frame;
    if (f->sample_rate <= 0 || f->ch_layout.nb_channels <= 0)
        return TK_FAIL(TK_INPUT, "%s: sound without a rate or channels", s->track.path);
    const bool changed = !s->swr || f->sample_rate != s->in_rate || f->format != s->in_format ||
                         f->ch_layout.nb_channels != s->in_channels;
    const double at = (s->track.time - s->origin) * (double)s->rate;
    if (changed || fabs(s->track.time - s->expected) > GAP) {
        TK_TRY(convert(s, NULL));
        TK_TRY(open_resampler(s, f));
        s->cursor = llrint(fmax(-1e15, fmin(at, 1e15)));
        s->expected = s->track.time;
    }
    int64_t gap = s->cursor - (s->first + s->held), room = until - (s->first + s->held);
    const int64_t fill = gap < room ? gap : room > 0 ? room : 0;
    if (gap > 0) TK_TRY(append_silence(s, fill));
    if ((double)gap > GAP * (double)s->rate) s->silence += (double)fill / (double)s->rate;
    if (gap > 0 && gap >= room) return TK_OK;
    TK_TRY(convert(s, f));
    s->expected += s->track.duration;
    s->pending = false;
    return TK_OK;
}

static tk_status decode_until(tk_sound *s, int64_t until)
{
    while (!s->end && s->first + s->held < until) {
        bool end = false;
        if (!s->pending) {
            TK_TRY(tk_track_next(&s->track, &end));
            s->pending = !end;
        }
        if (end) {
            TK_TRY(convert(s, NULL));
            s->end = true;
            s->last = s->first + s->held;
        } else {
            TK_TRY(take_frame(s, until));
        }
    }
    return TK_OK;
}

tk_status tk_sound_pull(tk_sound *s, int64_t first, int64_t n, float *pcm)
{
    drop_before(s, first); // the fifo now begins exactly at `first`
    if (!pcm) return TK_OK;
    const int64_t all = n + tk_limiter_ahead(&s->limiter);
    while (!s->end && s->held < all) {
        int64_t until = s->first + s->held + s->rate; // a second at a time
        TK_TRY(decode_until(s, until < first + all ? until : first + all));
    }
    const int64_t have = s->held < n ? s->held : n;
    memset(pcm, 0, (size_t)(n * s->channels) * sizeof *pcm);
    return tk_limiter_run(&s->limiter, s->fifo, s->held, have, pcm);
}

void tk_sound_note(const tk_sound *s, double shown, tk_facts *facts)
{
    const double left = shown - (double)s->last / (double)s->rate;
    const double down = -20 * log10(s->limiter.least);
    if (s->swr && s->in_channels > s->channels)
        tk_facts_note(facts, TK_FACT_DOWNMIXED, "%s", s->layout);
    if (s->swr && s->in_rate != s->rate) tk_facts_note(facts, TK_FACT_RESAMPLED, "%d", s->in_rate);
    if (down >= 0.05) tk_facts_note(facts, TK_FACT_LIMITED, "%.1f", down);
    if (s->silence >= 0.005) tk_facts_note(facts, TK_FACT_GAPS, "%.2f", s->silence);
    if (s->end && left >= SHORT) tk_facts_note(facts, TK_FACT_SHORT, "%.2f", left);
}
