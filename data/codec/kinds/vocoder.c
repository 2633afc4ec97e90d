// SPDX-License-Identifier: Apache-2.0
// The kind of sound "vocoder": rows are what a source and a filter make sound of
// (data/vocoder/vocoder.h). A row is the principal components of its frames' bands, then the
// logarithm of its pitch, then the voice of each part of the spectrum; each number by itself has
// unit variance, so that an error in one weighs as much as in another, whatever its share of the
// power. What comes back sounds alike and is not the same wave.
#include "data/vocoder/vocoder.h"
#include "data/codec/kinds/axes.h"
#include "data/codec/kinds/kinds.h"
#include <math.h>
#include <string.h>

// Deviations that are taken for this at least, so that what hardly varies is not blown up: of a
// component, of a logarithm of Hz or a voice.
#define LEAST_COMPONENT 0.1
#define LEAST_VOICE 0.02

enum {
    ROWS = 256,     // made at once
    PIECE = 1 << 14 // samples of a track asked for at once
};

// B = numbers of a row's bands, C = components kept, V = 1 + parts.
typedef struct vocoder {
    tk_half half; // the first member
    tk_arena arena;
    tk_vocoder sound;
    int64_t numbers, kept, voices; // B, C, V
    float *mean;                   // stored: (B)
    float *basis;                  // stored: (C, B) orthonormal rows
    float *deviation;              // stored: (C) of each component
    float *voice_mean;             // stored: (V) of the logarithm of the pitch, and of the voices
    float *voice_deviation;        // stored: (V)
} vocoder;

static tk_status vocoder_check(const tk_codec_info *i, const char *where)
{
    TK_TRY(tk_vocoder_check(i->sample_rate, i->audio_hop, where));
    const tk_vocoder s = tk_vocoder_shape(i->sample_rate, i->audio_hop);
    const int64_t least = s.parts + 2, most = s.frames * s.bands + s.parts + 1;
    if (i->audio_channels >= least && i->audio_channels <= most) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %lld audio channels; a vocoder's rows of %lld samples at %lld Hz have %lld "
                   "to %lld: pitch, %lld voices and the components of %lld x %lld bands",
                   where, (long long)i->audio_channels, (long long)i->audio_hop,
                   (long long)i->sample_rate, (long long)least, (long long)most, (long long)s.parts,
                   (long long)s.frames, (long long)s.bands);
}

static void vocoder_free(tk_half *h)
{
    vocoder *c = (vocoder *)h;
    tk_arena_free(&c->arena);
    tk_free(c);
}

static tk_status vocoder_memory(vocoder *c)
{
    const tk_codec_info *i = &c->half.info;
    TK_TRY(tk_vocoder_new(&c->sound, &c->arena, i->sample_rate, i->audio_hop));
    c->half.context = tk_vocoder_context(&c->sound);
    c->numbers = c->sound.frames * c->sound.bands;
    c->voices = 1 + c->sound.parts;
    c->kept = i->audio_channels - c->voices;
    TK_ARENA_NEW(c->mean, &c->arena, c->numbers);
    TK_ARENA_NEW(c->basis, &c->arena, c->kept * c->numbers);
    TK_ARENA_NEW(c->deviation, &c->arena, c->kept);
    TK_ARENA_NEW(c->voice_mean, &c->arena, c->voices);
    TK_ARENA_NEW(c->voice_deviation, &c->arena, c->voices);
    return TK_OK;
}

static tk_status vocoder_create(const tk_codec_info *info, tk_half **out)
{
    vocoder *c;
    TK_NEW(c, 1);
    c->half = (tk_half){.kind = &tk_vocoder_kind, .info = *info};
    tk_arena_init(&c->arena, 0);
    const tk_status st = vocoder_memory(c);
    if (st != TK_OK) vocoder_free(&c->half);
    *out = st == TK_OK ? &c->half : NULL;
    return st;
}

static int vocoder_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    const vocoder *c = (const vocoder *)h;
    list[0] = (tk_codec_array){"audio_mean", c->mean, 0, c->numbers, false};
    list[1] = (tk_codec_array){"audio_basis", c->basis, c->kept, c->numbers, false};
    list[2] = (tk_codec_array){"audio_deviation", c->deviation, 0, c->kept, true};
    list[3] = (tk_codec_array){"voice_mean", c->voice_mean, 0, c->voices, false};
    list[4] = (tk_codec_array){"voice_deviation", c->voice_deviation, 0, c->voices, true};
    return 5;
}

static tk_status vocoder_derive(tk_half *h)
{
    (void)h;
    return TK_OK;
}

// One channel of pcm, which is like m's own.
static tk_status take_channel(const tk_media *m, const float *pcm, int64_t channel, tk_arena *a,
                              float **x)
{
    TK_ARENA_NEW(*x, a, m->samples + 1);
    for (int64_t t = 0; t < m->samples; t++) (*x)[t] = pcm[t * m->channels + channel];
    return TK_OK;
}

// The rows of one channel of a track.
static tk_status analyse_channel(const vocoder *c, const tk_media *m, int64_t channel, tk_arena *a,
                                 tk_vocoder_rows *r)
{
    float *x;
    TK_TRY(take_channel(m, m->pcm, channel, a, &x));
    TK_TRY(tk_vocoder_rows_new(&c->sound, a, tk_grid_audio_rows(&c->half.info, m->samples), r));
    return tk_vocoder_analyse(&c->sound, x, m->samples, a, r);
}

// Voice v of row r: 0 is the logarithm of its pitch.
static float voice_of(const vocoder *c, const tk_vocoder_rows *r, int64_t row, int64_t v)
{
    return v ? r->voice[row * c->sound.parts + v - 1] : logf(r->pitch[row]);
}

// ---- fit ---------------------------------------------------------------------------------------

typedef struct vocoder_fit {
    vocoder *codec;
    tk_moments moments;
    tk_arena clip;
    double *variance;     // scratch (C)
    double *sum, *square; // (V)
    double rows;
} vocoder_fit;

static tk_status vocoder_fit_begin(tk_half *h, int64_t n, tk_arena *a, void **out)
{
    vocoder *c = (vocoder *)h;
    vocoder_fit *f;
    (void)n;
    TK_ARENA_NEW(f, a, 1);
    f->codec = c;
    TK_TRY(tk_moments_new(&f->moments, a, c->numbers));
    TK_ARENA_NEW(f->variance, a, c->kept);
    TK_ARENA_NEW(f->sum, a, c->voices);
    TK_ARENA_NEW(f->square, a, c->voices);
    *out = f;
    return TK_OK;
}

static tk_status add_rows(vocoder_fit *f, const tk_vocoder_rows *r)
{
    const vocoder *c = f->codec;
    for (int64_t row = 0; row < r->n; row++) {
        float *to = tk_moments_row(&f->moments);
        for (int64_t k = 0; k < c->numbers; k++) to[k] = r->bands[row * c->numbers + k];
        TK_TRY(tk_moments_add(&f->moments));
        for (int64_t v = 0; v < c->voices; v++) {
            const double x = (double)voice_of(c, r, row, v);
            f->sum[v] += x;
            f->square[v] += x * x;
        }
    }
    f->rows += (double)r->n;
    return TK_OK;
}

static tk_status vocoder_fit_clip(void *fit, int64_t k, const tk_media *clip, const tk_grid *g)
{
    vocoder_fit *f = fit;
    tk_status st = TK_OK;
    (void)k, (void)g;
    for (int64_t ch = 0; ch < clip->channels && st == TK_OK; ch++) {
        tk_arena scratch;
        tk_vocoder_rows r;
        tk_arena_init(&scratch, 0);
        st = analyse_channel(f->codec, clip, ch, &scratch, &r);
        if (st == TK_OK) st = add_rows(f, &r);
        tk_arena_free(&scratch);
    }
    return st;
}

static tk_status vocoder_fit_end(void *fit)
{
    vocoder_fit *f = fit;
    vocoder *c = f->codec;
    const double rows = fmax(1, f->rows);
    TK_TRY(tk_moments_axes(&f->moments, true, c->kept, c->mean, c->basis, f->variance));
    for (int64_t k = 0; k < c->kept; k++)
        c->deviation[k] = (float)fmax(LEAST_COMPONENT, sqrt(f->variance[k]));
    for (int64_t v = 0; v < c->voices; v++) {
        const double mean = f->sum[v] / rows, variance = f->square[v] / rows - mean * mean;
        c->voice_mean[v] = (float)mean;
        c->voice_deviation[v] = (float)fmax(LEAST_VOICE, sqrt(fmax(0, variance)));
    }
    return TK_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static void encode_row(const vocoder *c, const tk_vocoder_rows *r, int64_t row, float *out)
{
    const float *bands = r->bands + row * c->numbers;
    for (int64_t k = 0; k < c->kept; k++) {
        const float *axis = c->basis + k * c->numbers;
        double along = 0;
        for (int64_t b = 0; b < c->numbers; b++)
            along += (double)axis[b] * (double)(bands[b] - c->mean[b]);
        out[k] = (float)along / c->deviation[k];
    }
    for (int64_t v = 0; v < c->voices; v++)
        out[c->kept + v] = (voice_of(c, r, row, v) - c->voice_mean[v]) / c->voice_deviation[v];
}

typedef struct one_channel { // of a track, as a sound of its own
    tk_media_source *track;
    int64_t channel;
    float *piece; // (PIECE, channels)
} one_channel;

static tk_status get_channel(void *ctx, int64_t first, int64_t n, float *x)
{
    const one_channel *c = ctx;
    const int64_t channels = c->track->shape.channels;
    for (int64_t some, at = 0; at < n; at += some) {
        some = n - at < PIECE ? n - at : PIECE;
        TK_TRY(c->track->sound(c->track, first + at, some, c->piece));
        for (int64_t t = 0; t < some; t++) x[at + t] = c->piece[t * channels + c->channel];
    }
    return TK_OK;
}

typedef struct heard_track { // whose rows are made part by part
    const vocoder *c;
    int64_t rows, channels;
    one_channel *channel;    // (channels)
    tk_vocoder_sound *sound; // (channels)
    tk_vocoder_pitch *pitch; // (channels)
} heard_track;

static tk_status listen(const vocoder *c, tk_media_source *track, tk_arena *a, heard_track *t)
{
    const int64_t samples = track->shape.samples, channels = track->shape.channels;
    *t = (heard_track){
        .c = c, .rows = tk_grid_audio_rows(&c->half.info, samples), .channels = channels};
    TK_ARENA_NEW(t->channel, a, channels);
    TK_ARENA_NEW(t->sound, a, channels);
    TK_ARENA_NEW(t->pitch, a, channels);
    for (int64_t ch = 0; ch < channels; ch++) {
        t->channel[ch] = (one_channel){.track = track, .channel = ch};
        TK_ARENA_NEW(t->channel[ch].piece, a, PIECE * channels);
        t->sound[ch] = (tk_vocoder_sound){samples, get_channel, &t->channel[ch]};
        TK_TRY(tk_vocoder_listen(&c->sound, &t->sound[ch], t->rows, a, &t->pitch[ch]));
    }
    return TK_OK;
}

// Rows [at, at + n) of every channel into rows (n, channels, audio_channels). a: scratch.
static tk_status encode_part(const heard_track *t, int64_t at, int64_t n, tk_arena *a, float *rows)
{
    const vocoder *c = t->c;
    for (int64_t ch = 0; ch < t->channels; ch++) {
        tk_vocoder_rows r;
        TK_TRY(tk_vocoder_rows_new(&c->sound, a, n, &r));
        r.first = at, r.all = t->rows;
        TK_TRY(tk_vocoder_analyse_part(&c->sound, &t->sound[ch], &t->pitch[ch], a, &r));
        for (int64_t row = 0; row < n; row++)
            encode_row(c, &r, row, rows + (row * t->channels + ch) * c->half.info.audio_channels);
    }
    return TK_OK;
}

static tk_status encode_parts(const heard_track *t, tk_arena *a, tk_codec_rows_made made, void *ctx)
{
    float *rows;
    TK_ARENA_NEW(rows, a, ROWS * t->channels * t->c->half.info.audio_channels);
    for (int64_t n, at = 0; at < t->rows; at += n) {
        tk_arena scratch;
        n = t->rows - at < ROWS ? t->rows - at : ROWS;
        tk_arena_init(&scratch, 0);
        tk_status st = encode_part(t, at, n, &scratch, rows);
        tk_arena_free(&scratch);
        if (st == TK_OK) st = made(ctx, at, n, rows);
        TK_TRY(st);
    }
    return TK_OK;
}

static tk_status vocoder_encode_track(const tk_half *h, tk_media_source *track,
                                      tk_codec_rows_made made, void *ctx)
{
    heard_track t;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_status st = listen((const vocoder *)h, track, &a, &t);
    if (st == TK_OK) st = encode_parts(&t, &a, made, ctx);
    tk_arena_free(&a);
    return st;
}

typedef struct rows_in_memory {
    float *rows;
    int64_t each; // numbers of a row
} rows_in_memory;

static tk_status keep_in_memory(void *ctx, int64_t first, int64_t n, const float *rows)
{
    const rows_in_memory *r = ctx;
    memcpy(r->rows + first * r->each, rows, tk_array_bytes(n * r->each, sizeof *rows));
    return TK_OK;
}

static tk_status vocoder_encode(const tk_half *h, const tk_media *m, float *rows)
{
    tk_media_whole track = tk_media_whole_of(m);
    rows_in_memory to = {rows, m->channels * h->info.audio_channels};
    return vocoder_encode_track(h, &track.source, keep_in_memory, &to);
}

static void decode_row(const vocoder *c, const float *row, float *bands, float *pitch, float *voice)
{
    for (int64_t b = 0; b < c->numbers; b++) bands[b] = c->mean[b];
    for (int64_t k = 0; k < c->kept; k++) {
        const float along = row[k] * c->deviation[k], *axis = c->basis + k * c->numbers;
        for (int64_t b = 0; b < c->numbers; b++) bands[b] += along * axis[b];
    }
    row += c->kept;
    *pitch = expf(row[0] * c->voice_deviation[0] + c->voice_mean[0]);
    for (int64_t v = 1; v < c->voices; v++)
        voice[v - 1] = row[v] * c->voice_deviation[v] + c->voice_mean[v];
}

// Samples [first, first + n) of one channel, of rows with that context.
static tk_status make_channel(const vocoder *c, tk_row_part rows, int64_t audio_rows,
                              int64_t channels, int64_t channel, int64_t first, int64_t n,
                              float *pcm, tk_arena *a)
{
    const int64_t hop = c->sound.hop, context = c->half.context, each = c->half.info.audio_channels;
    const int64_t begin = first / hop > context ? first / hop - context : 0;
    const int64_t last = (first + n - 1) / hop + context + 1;
    const int64_t end = last < audio_rows ? last : audio_rows;
    tk_vocoder_rows r;
    TK_TRY(tk_vocoder_rows_new(&c->sound, a, end > begin ? end - begin : 0, &r));
    r.first = begin, r.all = audio_rows;
    for (int64_t k = 0; k < r.n; k++)
        decode_row(c, rows.x + ((begin + k - rows.first) * channels + channel) * each,
                   r.bands + k * c->numbers, r.pitch + k, r.voice + k * c->sound.parts);
    return tk_vocoder_make(&c->sound, &r, tk_rng_key(0, TK_RNG_SOUND, (uint64_t)channel), first, n,
                           a, pcm + channel, channels);
}

static tk_status vocoder_decode(const tk_half *h, tk_row_part rows, int64_t audio_rows,
                                int64_t channels, int64_t first, int64_t n, float *pcm)
{
    const vocoder *c = (const vocoder *)h;
    tk_status st = TK_OK;
    for (int64_t k = 0; k < n * channels; k++) pcm[k] = 0;
    for (int64_t ch = 0; ch < channels && n > 0 && st == TK_OK; ch++) {
        tk_arena scratch;
        tk_arena_init(&scratch, 0);
        st = make_channel(c, rows, audio_rows, channels, ch, first, n, pcm, &scratch);
        tk_arena_free(&scratch);
    }
    for (int64_t k = 0; k < n * channels; k++) pcm[k] = fmaxf(-1, fminf(1, pcm[k]));
    return st;
}

static tk_status vocoder_distance(const tk_half *h, const tk_media *m, const float *pcm,
                                  double *sum, double *count)
{
    const vocoder *c = (const vocoder *)h;
    tk_status st = TK_OK;
    for (int64_t ch = 0; ch < m->channels && st == TK_OK; ch++) {
        tk_arena scratch;
        tk_arena_init(&scratch, 0);
        float *was, *is;
        st = take_channel(m, m->pcm, ch, &scratch, &was);
        if (st == TK_OK) st = take_channel(m, pcm, ch, &scratch, &is);
        if (st == TK_OK)
            st = tk_vocoder_distance(&c->sound, was, is, m->samples, &scratch, sum, count);
        tk_arena_free(&scratch);
    }
    return st;
}

const tk_half_kind tk_vocoder_kind = {.side = TK_CODEC_AUDIO,
                                      .name = "vocoder",
                                      .salt = 1,
                                      .check = vocoder_check,
                                      .create = vocoder_create,
                                      .free = vocoder_free,
                                      .arrays = vocoder_arrays,
                                      .derive = vocoder_derive,
                                      .fit_begin = vocoder_fit_begin,
                                      .fit_clip = vocoder_fit_clip,
                                      .fit_end = vocoder_fit_end,
                                      .encode_audio = vocoder_encode,
                                      .encode_track = vocoder_encode_track,
                                      .decode_audio = vocoder_decode,
                                      .distance = vocoder_distance};
