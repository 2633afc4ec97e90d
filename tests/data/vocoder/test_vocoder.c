// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Sound by source and filter: what goes in sounds alike when it comes back, at every rate, and any
// pieces of it join bit for bit.
#include "data/vocoder/vocoder.h"
#include "tests/support/test.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int64_t rates[] = {8000, 12000, 16000, 24000, 48000};
enum { RATES = 5, SECONDS = 2 };

typedef struct heard {
    tk_arena arena;
    tk_vocoder sound;
    int64_t samples;
    float *x, *y; // before and after
    tk_vocoder_rows rows;
} heard;

static heard listen(int64_t rate, int64_t hop)
{
    heard h = {.samples = rate * SECONDS};
    tk_arena_init(&h.arena, 0);
    assert_ok(tk_vocoder_check(rate, hop, "test"));
    assert_ok(tk_vocoder_new(&h.sound, &h.arena, rate, hop));
    h.x = tk_arena_alloc(&h.arena, (size_t)h.samples * 4);
    h.y = tk_arena_alloc(&h.arena, (size_t)h.samples * 4);
    return h;
}

static tk_key key(void)
{
    return tk_rng_key(0, TK_RNG_SOUND, 0);
}

static void analyse(heard *h)
{
    assert_ok(tk_vocoder_rows_new(&h->sound, &h->arena,
                                  (h->samples + h->sound.hop - 1) / h->sound.hop, &h->rows));
    assert_ok(tk_vocoder_analyse(&h->sound, h->x, h->samples, &h->arena, &h->rows));
}

// There and back.
static void code(heard *h)
{
    analyse(h);
    assert_ok(tk_vocoder_make(&h->sound, &h->rows, key(), 0, h->samples, &h->arena, h->y, 1));
}

static double power_of(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t t = 0; t < n; t++) sum += (double)x[t] * (double)x[t];
    return sum / (double)n;
}

// The largest autocorrelation of x over periods of 60 to 400 Hz.
static double repeats(const float *x, int64_t n, int64_t rate)
{
    double best = 0;
    for (int64_t l = rate / 400; l <= rate / 60; l++) {
        double along = 0, a = 1e-12, b = 1e-12;
        for (int64_t t = 0; t + l < n; t++) {
            along += (double)x[t] * (double)x[t + l];
            a += (double)x[t] * (double)x[t];
            b += (double)x[t + l] * (double)x[t + l];
        }
        best = fmax(best, along / sqrt(a * b));
    }
    return best;
}

// Harmonics of a gliding pitch under three formants.
static void sing(heard *h, double from, double to)
{
    static const double formant[] = {700, 1200, 2600};
    const double rate = (double)h->sound.rate;
    double phase = 0;
    for (int64_t t = 0; t < h->samples; t++) {
        const double hz = from + (to - from) * (double)t / (double)h->samples;
        double sum = 0;
        phase += 2 * M_PI * hz / rate;
        for (int k = 1; k * hz < 0.45 * rate && k * hz < 5000; k++) {
            double size = 0.03;
            for (int f = 0; f < 3; f++) size += exp(-pow((k * hz - formant[f]) / 300, 2)) / (1 + f);
            sum += size * sin(k * phase + 0.5 * k * k);
        }
        h->x[t] = (float)(0.1 * sum);
    }
}

static void vowels_keep_pitch_and_spectrum(void **state)
{
    (void)state;
    static const double pitch[] = {90, 140, 230, 320};
    for (int r = 0; r < RATES; r++)
        for (int p = 0; p < 4; p++) {
            heard h = listen(rates[r], rates[r] / 40);
            double sum = 0, frames = 0;
            sing(&h, pitch[p], pitch[p]);
            code(&h);
            for (int64_t k = 2; k < h.rows.n - 2; k++) {
                assert_near(h.rows.pitch[k], pitch[p], 0.02 * pitch[p]);
                assert_true(h.rows.voice[k * h.sound.parts] > 0.9f);
            }
            assert_near(10 * log10(power_of(h.y, h.samples) / power_of(h.x, h.samples)), 0, 2);
            assert_ok(tk_vocoder_distance(&h.sound, h.x, h.y, h.samples, &h.arena, &sum, &frames));
            assert_true(sum / frames < 3);
            memcpy(h.x, h.y, (size_t)h.samples * 4); // what came back has that pitch too
            analyse(&h);
            for (int64_t k = 2; k < h.rows.n - 2; k++) {
                assert_near(h.rows.pitch[k], pitch[p], 0.02 * pitch[p]);
                assert_true(h.rows.voice[k * h.sound.parts] > 0.9f);
            }
            tk_arena_free(&h.arena);
        }
}

static void a_glide_is_followed(void **state)
{
    (void)state;
    heard h = listen(16000, 400);
    sing(&h, 110, 220);
    code(&h);
    for (int64_t k = 2; k < h.rows.n - 2; k++) {
        const double due = 110 + 110 * ((double)k + 0.5) / (double)h.rows.n;
        assert_near(h.rows.pitch[k], due, 0.02 * due);
    }
    tk_arena_free(&h.arena);
}

static void noise_stays_noise(void **state)
{
    (void)state;
    for (int r = 0; r < RATES; r++) {
        heard h = listen(rates[r], rates[r] / 40);
        double voice = 0, sum = 0, frames = 0;
        tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 3), 0, h.x, h.samples, 0.05f);
        code(&h);
        for (int64_t k = 0; k < h.rows.n * h.sound.parts; k++) voice += (double)h.rows.voice[k];
        assert_true(voice / (double)(h.rows.n * h.sound.parts) < 0.05);
        assert_true(repeats(h.y + h.samples / 4, h.samples / 4, rates[r]) < 0.1);
        assert_near(10 * log10(power_of(h.y, h.samples) / power_of(h.x, h.samples)), 0, 1);
        assert_ok(tk_vocoder_distance(&h.sound, h.x, h.y, h.samples, &h.arena, &sum, &frames));
        assert_true(sum / frames < 8); // two draws of the same noise are apart as well
        tk_arena_free(&h.arena);
    }
}

// The first sample from which 3 ms hold a tenth of the loudest 3 ms.
static int64_t onset_of(const float *x, int64_t n, int64_t rate)
{
    const int64_t span = 3 * rate / 1000;
    double loudest = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t t = 0; t + span <= n; t += 2) {
            const double power = power_of(x + t, span);
            if (pass && power > 0.1 * loudest) return t + span / 2;
            if (!pass) loudest = test_larger(loudest, power);
        }
    return -1;
}

static void knocks_come_when_they_did(void **state)
{
    (void)state;
    double sum = 0;
    static const double partial[][3] = {{1, 0.6, 44}, {1.6, 0.28, 64}, {2.7, 0.12, 100}};
    for (int r = 0; r < RATES; r++)
        for (int k = 0; k < 6; k++) {
            heard h = listen(rates[r], rates[r] / 40);
            const double rate = (double)rates[r], base = 150 + 120 * k;
            const int64_t at = h.samples / 3 + k * rates[r] / 37;
            for (int64_t t = at; t < h.samples; t++)
                for (int p = 0; p < 3; p++) {
                    const double s = (double)(t - at) / rate;
                    h.x[t] += (float)(0.3 * partial[p][1] * exp(-partial[p][2] * s) *
                                      sin(2 * M_PI * base * partial[p][0] * s));
                }
            code(&h);
            const int64_t before = onset_of(h.x, h.samples, rates[r]);
            const int64_t after = onset_of(h.y, h.samples, rates[r]);
            assert_near((double)(after - before) / rate, 0, 0.01);
            const double change = 10 * log10(power_of(h.y, h.samples) / power_of(h.x, h.samples));
            assert_near(change, 0, 5); // of a single one: part of it is noise, drawn anew
            sum += change;
            tk_arena_free(&h.arena);
        }
    assert_near(sum / (6 * RATES), 0, 2);
}

static void silence_stays_silent(void **state)
{
    (void)state;
    heard h = listen(16000, 400);
    code(&h);
    for (int64_t t = 0; t < h.samples; t++) assert_true(fabsf(h.y[t]) < 1e-5f);
    tk_arena_free(&h.arena);
}

// Pieces of several lengths, of rows with the context that is promised and not one more.
static void pieces_join(void **state)
{
    (void)state;
    static const struct {
        int64_t rate, hop;
    } shape[] = {{16000, 400}, {8000, 400}, {12000, 300}, {24000, 200}};
    for (int q = 0; q < 4; q++) {
        heard h = listen(shape[q].rate, shape[q].hop);
        const int64_t hop = h.sound.hop, context = tk_vocoder_context(&h.sound);
        const int64_t each = h.sound.frames * h.sound.bands;
        sing(&h, 130, 190);
        tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 4), 0, h.x, h.samples / 3, 0.05f);
        code(&h);
        float *joined = calloc((size_t)h.samples, 4);
        const int64_t lengths[] = {37, 1000, hop, 7 * hop + 1, shape[q].rate, h.samples};
        for (int64_t t = 0, n, k = 0; t < h.samples; t += n, k++) {
            n = lengths[k % 6] < h.samples - t ? lengths[k % 6] : h.samples - t;
            const int64_t begin = t / hop > context ? t / hop - context : 0;
            const int64_t end = (t + n - 1) / hop + context + 1;
            tk_vocoder_rows part = {begin,
                                    (end < h.rows.n ? end : h.rows.n) - begin,
                                    h.rows.n,
                                    h.rows.bands + begin * each,
                                    h.rows.pitch + begin,
                                    h.rows.voice + begin * h.sound.parts};
            tk_vocoder_rows own; // so that a sanitizer sees what lies beside them
            assert_ok(tk_vocoder_rows_new(&h.sound, &h.arena, part.n, &own));
            own.first = begin, own.all = h.rows.n;
            memcpy(own.bands, part.bands, (size_t)(part.n * each) * 4);
            memcpy(own.pitch, part.pitch, (size_t)part.n * 4);
            memcpy(own.voice, part.voice, (size_t)(part.n * h.sound.parts) * 4);
            assert_ok(tk_vocoder_make(&h.sound, &own, key(), t, n, &h.arena, joined + t, 1));
        }
        assert_memory_equal(joined, h.y, (size_t)h.samples * 4);
        free(joined);
        tk_arena_free(&h.arena);
    }
}

// Rows of anything at all, as a model that has learned little makes them.
static void wild_rows_make_finite_sound(void **state)
{
    (void)state;
    static const float wild[] = {0, 1e30f, -1e30f, INFINITY, -INFINITY, NAN, 3, -20};
    heard h = listen(16000, 400);
    analyse(&h);
    for (int64_t k = 0; k < h.rows.n * h.sound.frames * h.sound.bands; k++)
        h.rows.bands[k] = wild[k * k % 8];
    for (int64_t k = 0; k < h.rows.n; k++) h.rows.pitch[k] = wild[(k + 3) % 8];
    for (int64_t k = 0; k < h.rows.n * h.sound.parts; k++) h.rows.voice[k] = wild[k * 3 % 8];
    assert_ok(tk_vocoder_make(&h.sound, &h.rows, key(), 0, h.samples, &h.arena, h.y, 1));
    for (int64_t t = 0; t < h.samples; t++) assert_true(isfinite(h.y[t]));
    tk_arena_free(&h.arena);
}

static void odd_shapes_are_refused(void **state)
{
    (void)state;
    assert_status(tk_vocoder_check(7999, 200, "here"), TK_INPUT);
    assert_says("here: a vocoder needs 8000 to 96000 samples a second, not 7999");
    assert_status(tk_vocoder_check(16000, 79, "here"), TK_INPUT);
    assert_status(tk_vocoder_check(16000, 1601, "here"), TK_INPUT);
    assert_ok(tk_vocoder_check(16000, 80, "here"));
    assert_ok(tk_vocoder_check(16000, 1600, "here"));
}

// Against sums of cosines and sines.
static void transforms_are_fourier(void **state)
{
    (void)state;
    enum { N = 24 };
    tk_arena a;
    tk_fft f;
    float x[N], back[N];
    tk_complex spectrum[N / 2 + 1], scratch[N / 2];
    tk_arena_init(&a, 0);
    assert_ok(tk_fft_new(&f, &a, N));
    tk_rng_fill_normal(tk_rng_key(1, TK_RNG_TEST, 5), 0, x, N, 1);
    tk_fft_forward(&f, x, spectrum, scratch);
    for (int k = 0; k <= N / 2; k++) {
        double re = 0, im = 0;
        for (int t = 0; t < N; t++) {
            re += (double)x[t] * cos(2 * M_PI * k * t / N);
            im -= (double)x[t] * sin(2 * M_PI * k * t / N);
        }
        assert_near(spectrum[k].re, re, 1e-5);
        assert_near(spectrum[k].im, im, 1e-5);
    }
    tk_fft_inverse(&f, spectrum, back, scratch);
    for (int t = 0; t < N; t++) assert_near(back[t], x[t], 1e-6);
    tk_arena_free(&a);
}

// ---- tracks that do not lie in memory ----------------------------------------------------------

enum { LONG = 30 * 8000, AT_ONCE = 1 << 16, FRAME = 100 }; // samples: of it, got at once, a frame's

typedef struct long_track { // behind so many samples of silence
    int64_t lead, asked;
    const float *x; // (LONG)
} long_track;

static tk_status get_piece(void *ctx, int64_t first, int64_t n, float *x)
{
    long_track *t = ctx;
    assert_true(first >= 0 && n > 0 && n <= AT_ONCE && first + n <= t->lead + LONG);
    for (int64_t k = first; k < first + n; k++) x[k - first] = k < t->lead ? 0 : t->x[k - t->lead];
    t->asked += n;
    return TK_OK;
}

// Silence, a voice that glides, two voices at once so faint that a change of pitch costs more than
// it gains for long, noise: which way is the best is open for a while.
static void fill_long_track(float *x)
{
    double first = 0, second = 0;
    tk_rng_fill_normal(key(), 0, x, LONG, 1);
    for (int64_t t = 0; t < LONG; t++) {
        const double at = (double)t / 8000, loud = fmod(at, 10);
        double voices = 0;
        first += 2 * M_PI * (130 + 50 * sin(at)) / 8000;
        second += 2 * M_PI * (190 + 20 * cos(0.7 * at)) / 8000;
        for (int k = 1; k < 9; k++) voices += (sin(k * first) + (loud > 4) * sin(k * second)) / k;
        x[t] *= loud > 9 ? 0.05f : loud > 4 ? 1e-5f : 1e-3f;
        x[t] += (float)(loud < 1.5 ? 0 : loud < 4 ? 0.1 : loud < 9 ? 0.0003 : 0) * (float)voices;
        if (loud < 1.5) x[t] = 0;
    }
}

// Asked for twice, a little at a time, in parts of any length: the rows of the whole.
static void parts_are_the_whole(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 256, 31, 2, 300};
    heard h = listen(8000, 200);
    const int64_t rows = LONG / 200, bands = h.sound.frames * h.sound.bands;
    float *x = tk_arena_alloc(&h.arena, LONG * sizeof *x);
    long_track t = {.x = x};
    const tk_vocoder_sound track = {LONG, get_piece, &t};
    tk_vocoder_rows whole, part;
    tk_vocoder_pitch pitch;
    fill_long_track(x);
    assert_ok(tk_vocoder_rows_new(&h.sound, &h.arena, rows, &whole));
    assert_ok(tk_vocoder_analyse(&h.sound, x, LONG, &h.arena, &whole));
    assert_ok(tk_vocoder_listen(&h.sound, &track, rows, &h.arena, &pitch));
    assert_true(t.asked < LONG + LONG / 4);
    for (int64_t at = 0, k = 0; at < rows; at += part.n, k++) {
        const int64_t n = lengths[k % 5] < rows - at ? lengths[k % 5] : rows - at;
        assert_ok(tk_vocoder_rows_new(&h.sound, &h.arena, n, &part));
        part.first = at, part.all = rows;
        assert_ok(tk_vocoder_analyse_part(&h.sound, &track, &pitch, &h.arena, &part));
        assert_memory_equal(part.pitch, whole.pitch + at, (size_t)n * sizeof *part.pitch);
        assert_memory_equal(part.bands, whole.bands + at * bands,
                            (size_t)(n * bands) * sizeof *part.bands);
        assert_memory_equal(part.voice, whole.voice + at * h.sound.parts,
                            (size_t)(n * h.sound.parts) * sizeof *part.voice);
    }
    tk_arena_free(&h.arena);
}

// Silence before a track shifts the places at which its pitch is settled so far, and nothing else.
static void pitch_is_settled_the_same_anywhere(void **state)
{
    (void)state;
    heard h = listen(8000, 200);
    float *x = tk_arena_alloc(&h.arena, LONG * sizeof *x);
    tk_vocoder_pitch alone;
    fill_long_track(x);
    for (int64_t lead = 0; lead < 1500; lead += 370) { // frames
        long_track t = {.lead = lead * FRAME, .x = x};
        const tk_vocoder_sound track = {t.lead + LONG, get_piece, &t};
        tk_vocoder_pitch pitch;
        assert_ok(tk_vocoder_listen(&h.sound, &track, (t.lead + LONG) / 200, &h.arena, &pitch));
        assert_int_equal(pitch.frames, lead + LONG / FRAME);
        if (!lead) alone = pitch;
        assert_memory_equal(pitch.hz + lead, alone.hz, LONG / FRAME * sizeof *pitch.hz);
        assert_memory_equal(pitch.sure + lead, alone.sure, LONG / FRAME * sizeof *pitch.sure);
    }
    tk_arena_free(&h.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_are_fourier),
        cmocka_unit_test(vowels_keep_pitch_and_spectrum),
        cmocka_unit_test(a_glide_is_followed),
        cmocka_unit_test(noise_stays_noise),
        cmocka_unit_test(knocks_come_when_they_did),
        cmocka_unit_test(silence_stays_silent),
        cmocka_unit_test(pieces_join),
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(pitch_is_settled_the_same_anywhere),
        cmocka_unit_test(wild_rows_make_finite_sound),
        cmocka_unit_test(odd_shapes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
