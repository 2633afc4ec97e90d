// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
// The seam between codecs: parts joined are the whole, of talkie's kinds and of tiny ones that is
// made here, which goes through files and broadcasts as well.
#include "data/codec/kind.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <math.h>
#include <unistd.h>

static tk_comm world;

// Pictures: a patch's red of its first pixel times a gain, halved with both neighbours in time.
// Sound: the first sample of a hop.
typedef struct tiny {
    tk_half half;
    float gain[1];
} tiny;

static const tk_half_kind tiny_picture, tiny_sound, other_picture, other_sound;

static tk_status tiny_check(const tk_codec_info *i, const char *where)
{
    if (i->video_channels == 1 && i->audio_channels == 1) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: not tiny", where);
}

static tk_status tiny_new(const tk_half_kind *kind, const tk_codec_info *info, tk_half **out)
{
    tiny *c;
    TK_NEW(c, 1);
    c->half = (tk_half){kind, *info, kind->side == TK_CODEC_VIDEO ? 1 : 0};
    *out = &c->half;
    return TK_OK;
}

static tk_status tiny_new_picture(const tk_codec_info *info, tk_half **out)
{
    return tiny_new(&tiny_picture, info, out);
}

static tk_status tiny_new_sound(const tk_codec_info *info, tk_half **out)
{
    return tiny_new(&tiny_sound, info, out);
}

static tk_status other_new_picture(const tk_codec_info *info, tk_half **out)
{
    return tiny_new(&other_picture, info, out);
}

static tk_status other_new_sound(const tk_codec_info *info, tk_half **out)
{
    return tiny_new(&other_sound, info, out);
}

static void tiny_free(tk_half *h)
{
    tk_free(h);
}

static int tiny_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    list[0] = (tk_codec_array){"gain", ((tiny *)h)->gain, 0, 1, true};
    return 1;
}

static int tiny_no_arrays(const tk_half *h, tk_codec_array list[TK_CODEC_ARRAYS])
{
    (void)h, (void)list;
    return 0;
}

static tk_status tiny_derive(tk_half *h)
{
    (void)h;
    return TK_OK;
}

static tk_status tiny_encode_video(const tk_half *h, const tk_media *m, int64_t first, int64_t all,
                                   float *rows)
{
    (void)first, (void)all;
    const int64_t size = h->info.patch_size;
    tk_grid g;
    TK_TRY(tk_grid_of(&h->info, "", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    for (int64_t r = 0; r < g.video_rows; r++) {
        const int64_t f = r / (g.high * g.wide), y = r / g.wide % g.high, x = r % g.wide;
        const int64_t line = tk_grid_frame(&h->info, f) * g.height + y * size;
        rows[r] = (float)m->rgb[(line * g.width + x * size) * 3] * ((const tiny *)h)->gain[0];
    }
    return TK_OK;
}

static tk_status tiny_decode_video(const tk_half *h, tk_row_part rows, const tk_grid *g,
                                   int64_t first, int64_t n, uint8_t *rgb)
{
    const int64_t size = h->info.patch_size, pictures = tk_grid_frame(&h->info, 1);
    for (int64_t f = first; f < first + n; f++)
        for (int64_t p = 0; p < pictures * g->height * g->width; p++) {
            const int64_t y = p / g->width % g->height / size, x = p % g->width / size;
            float v = 0;
            for (int64_t k = f - 1; k <= f + 1; k++) {
                const int64_t at = k < 0 ? 0 : k < g->latent_frames ? k : g->latent_frames - 1;
                v += (k == f ? 0.5f : 0.25f) *
                     rows.x[((at - rows.first) * g->high + y) * g->wide + x];
            }
            memset(rgb, (int)(v / ((const tiny *)h)->gain[0]), 3);
            rgb += 3;
        }
    return TK_OK;
}

static tk_status tiny_encode_audio(const tk_half *h, const tk_media *m, float *rows)
{
    const int64_t channels = m->channels;
    for (int64_t k = 0; k < tk_grid_audio_rows(&h->info, m->samples) * channels; k++)
        rows[k] = m->pcm[k / channels * h->info.audio_hop * channels + k % channels];
    return TK_OK;
}

static tk_status tiny_decode_audio(const tk_half *h, tk_row_part rows, int64_t audio_rows,
                                   int64_t channels, int64_t first, int64_t n, float *pcm)
{
    (void)audio_rows;
    for (int64_t k = 0; k < n * channels; k++)
        pcm[k] = rows.x[((first + k / channels) / h->info.audio_hop - rows.first) * channels +
                        k % channels];
    return TK_OK;
}

static const tk_half_kind tiny_picture = {.side = TK_CODEC_VIDEO,
                                          .name = "tiny",
                                          .salt = 1,
                                          .check = tiny_check,
                                          .create = tiny_new_picture,
                                          .free = tiny_free,
                                          .arrays = tiny_arrays,
                                          .derive = tiny_derive,
                                          .encode_video = tiny_encode_video,
                                          .decode_video = tiny_decode_video};
static const tk_half_kind tiny_sound = {.side = TK_CODEC_AUDIO,
                                        .name = "tiny",
                                        .salt = 1,
                                        .check = tiny_check,
                                        .create = tiny_new_sound,
                                        .free = tiny_free,
                                        .arrays = tiny_no_arrays,
                                        .derive = tiny_derive,
                                        .encode_audio = tiny_encode_audio,
                                        .decode_audio = tiny_decode_audio};

// Kinds that differ from the tiny ones in nothing but what tells kinds apart.
static const tk_half_kind other_picture = {.side = TK_CODEC_VIDEO,
                                           .name = "other",
                                           .salt = 2,
                                           .check = tiny_check,
                                           .create = other_new_picture,
                                           .free = tiny_free,
                                           .arrays = tiny_arrays,
                                           .derive = tiny_derive};
static const tk_half_kind other_sound = {.side = TK_CODEC_AUDIO,
                                         .name = "other",
                                         .salt = 2,
                                         .check = tiny_check,
                                         .create = other_new_sound,
                                         .free = tiny_free,
                                         .arrays = tiny_no_arrays,
                                         .derive = tiny_derive};

static const tk_codec_info tiny_info = {.patch_frames = 2,
                                        .patch_size = 4,
                                        .video_channels = 1,
                                        .audio_hop = 8,
                                        .audio_channels = 1,
                                        .fps = 8,
                                        .sample_rate = 1000,
                                        .channels = 1};

static tk_codec *new_codec(const tk_half_kind *picture, const tk_half_kind *sound)
{
    const tk_half_kind *const kind[] = {picture, sound};
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    tk_codec *c;
    assert_ok(tk_codec_new(&tiny_info, kind, "test", &c));
    for (int n = tk_codec_arrays(c, list) - 1; n >= 0; n--)
        for (int64_t k = 0; k < (list[n].rows ? list[n].rows : 1) * list[n].cols; k++)
            list[n].x[k] = 0.5f;
    assert_ok(tk_codec_complete(c));
    return c;
}

static tk_codec *new_tiny(void)
{
    return new_codec(&tiny_picture, &tiny_sound);
}

#define OLD_DIGEST UINT64_C(0x30af3b4f09be46f0) // of test_codec(3)
enum { LATENTS = 9, HIGH = 3, WIDE = 5, SAMPLES = 1237, CHANNELS = 2 };

static tk_grid grid_of(const tk_codec *c)
{
    const tk_codec_info *i = tk_codec_get_info(c);
    tk_grid g;
    assert_ok(tk_grid_of(i, "test", tk_grid_frame(i, LATENTS), HIGH * i->patch_size,
                         WIDE * i->patch_size, SAMPLES, &g));
    return g;
}

// Every part of the given length, with rows that are not numbers wherever a part does not look.
static void check_video(const tk_codec *c, const float *rows, int64_t part)
{
    const tk_codec_info *i = tk_codec_get_info(c);
    const int64_t each = HIGH * WIDE * i->video_channels, context = tk_codec_video_context(c);
    const int64_t bytes = tk_grid_frame(i, 1) * HIGH * WIDE * i->patch_size * i->patch_size * 3;
    const tk_grid g = grid_of(c);
    uint8_t *whole = malloc((size_t)(LATENTS * bytes)), *joined = malloc((size_t)(LATENTS * bytes));
    float *seen = malloc((size_t)(LATENTS * each) * 4);
    assert_ok(tk_codec_decode_video(c, rows, &g, whole));
    for (int64_t f = 0; f < LATENTS; f += part) {
        const int64_t n = LATENTS - f < part ? LATENTS - f : part;
        const int64_t from = f < context ? 0 : f - context; // what is before it is not there
        for (int64_t k = from * each; k < LATENTS * each; k++)
            seen[k - from * each] = k / each >= f + n + context ? NAN : rows[k];
        assert_ok(
            tk_codec_decode_video_part(c, (tk_row_part){seen, from}, &g, f, n, joined + f * bytes));
    }
    assert_memory_equal(whole, joined, (size_t)(LATENTS * bytes));
    free(whole), free(joined), free(seen);
}

static void check_audio(const tk_codec *c, const float *rows, int64_t part)
{
    const tk_codec_info *i = tk_codec_get_info(c);
    const int64_t all = tk_grid_audio_rows(i, SAMPLES), each = CHANNELS * i->audio_channels;
    float whole[SAMPLES * CHANNELS], joined[SAMPLES * CHANNELS];
    float *seen = malloc((size_t)(all * each) * 4);
    assert_ok(tk_codec_decode_audio(c, rows, all, CHANNELS, whole, SAMPLES));
    for (int64_t t = 0; t < SAMPLES; t += part) {
        const int64_t n = SAMPLES - t < part ? SAMPLES - t : part;
        const int64_t context = tk_codec_audio_context(c), begin = t / i->audio_hop - context;
        const int64_t last = (t + n - 1) / i->audio_hop + i->audio_tail + context;
        const int64_t from = begin < 0 ? 0 : begin;
        for (int64_t k = from * each; k < all * each; k++)
            seen[k - from * each] = k / each > last ? NAN : rows[k];
        assert_ok(tk_codec_decode_audio_part(c, (tk_row_part){seen, from}, all, CHANNELS, t, n,
                                             joined + t * CHANNELS));
    }
    assert_memory_equal(whole, joined, sizeof whole);
    free(seen);
}

// Rows, pixels and samples of one and of the other.
static void check_same_coding(const tk_codec *a, const tk_codec *b)
{
    const tk_codec *const codec[] = {a, b};
    enum { FRAMES = 4, SIDE = 8, SHORT = 500 };
    static uint8_t rgb[FRAMES * SIDE * SIDE * 3], shown[2][sizeof rgb];
    static float pcm[SHORT], heard[2][SHORT], video[2][TEST_VIDEO], audio[2][64 * 6];
    const tk_media clip = {.frames = FRAMES,
                           .height = SIDE,
                           .width = SIDE,
                           .rgb = rgb,
                           .samples = SHORT,
                           .channels = 1,
                           .pcm = pcm};
    tk_grid g;
    for (size_t k = 0; k < sizeof rgb; k++) rgb[k] = (uint8_t)(k * k % 251);
    for (int k = 0; k < SHORT; k++) pcm[k] = 0.5f * sinf(0.3f * (float)k);
    for (int k = 0; k < 2; k++) {
        const tk_codec *c = codec[k];
        assert_ok(tk_grid_of(tk_codec_get_info(c), "", FRAMES, SIDE, SIDE, SHORT, &g));
        assert_ok(tk_codec_encode_video(c, &clip, video[k]));
        assert_ok(tk_codec_encode_audio(c, &clip, audio[k]));
        assert_ok(tk_codec_decode_video(c, video[k], &g, shown[k]));
        assert_ok(tk_codec_decode_audio(c, audio[k], g.audio_rows, 1, heard[k], SHORT));
    }
    assert_true(g.video_rows * 5 == TEST_VIDEO && g.audio_rows == 64);
    assert_memory_equal(video[0], video[1], sizeof video[0]);
    assert_memory_equal(audio[0], audio[1], sizeof audio[0]);
    assert_memory_equal(shown[0], shown[1], sizeof shown[0]);
    assert_memory_equal(heard[0], heard[1], sizeof heard[0]);
}

static void check_parts(tk_codec *c)
{
    static float rows[1 << 14];
    for (int k = 0; k < 1 << 14; k++) rows[k] = 0.3f + 0.2f * sinf((float)(k * k % 977));
    for (int64_t part = 1; part <= LATENTS; part++) check_video(c, rows, part);
    const int64_t lengths[] = {1, 7, 8, 100, 250, 511, 512, SAMPLES};
    for (int k = 0; k < 8; k++) check_audio(c, rows, lengths[k]);
    tk_codec_free(c);
}

static void parts_of_patch_and_mdct_join(void **state)
{
    (void)state;
    check_parts(test_codec(3));
}

// Pictures of parts of `steps` steps are those of the whole, and a step is about a product, however
// patches divide into products.
static void check_encoded_pictures(const tk_codec *c, int64_t high, int64_t wide, int64_t steps)
{
    enum { PRODUCT = 256 };
    const tk_codec_info *i = tk_codec_get_info(c);
    const int64_t step = tk_codec_step(c, TK_CODEC_VIDEO, high, wide);
    const int64_t latents = 5 * step / 2 + 2 * PRODUCT / (high * wide) + 1;
    const int64_t pixels = high * wide * i->patch_size * i->patch_size;
    const int64_t each = high * wide * i->video_channels, frames = tk_grid_frame(i, latents);
    tk_media clip = {
        .frames = frames, .height = high * i->patch_size, .width = wide * i->patch_size};
    float *whole = malloc((size_t)(latents * each) * sizeof *whole);
    float *joined = malloc((size_t)(latents * each) * sizeof *whole);
    uint8_t *rgb = malloc((size_t)(frames * pixels * 3));
    assert_in_range(step, 1, 1 + PRODUCT / (high * wide));
    for (int64_t k = 0; k < frames * pixels * 3; k++) rgb[k] = (uint8_t)(k * k % 251);
    clip.rgb = rgb;
    assert_ok(tk_codec_encode_video(c, &clip, whole));
    for (int64_t f = 0, part = steps * step; f < latents; f += part) {
        const int64_t n = latents - f < part ? latents - f : part;
        clip.frames = tk_grid_frame(i, n);
        clip.rgb = rgb + tk_grid_frame(i, f) * pixels * 3;
        assert_ok(tk_codec_encode_video_part(c, &clip, f, latents, joined + f * each));
    }
    assert_memory_equal(whole, joined, (size_t)(latents * each) * sizeof *whole);
    free(whole), free(joined), free(rgb);
}

// Sound likewise, each part with a step before it.
static void check_encoded_sound(const tk_codec *c, int64_t steps)
{
    const tk_codec_info *i = tk_codec_get_info(c);
    const int64_t step = tk_codec_step(c, TK_CODEC_AUDIO, 1, 1),
                  each = CHANNELS * i->audio_channels;
    const int64_t samples = (5 * step / 2) * i->audio_hop + 3, all = tk_grid_audio_rows(i, samples);
    tk_media track = {.channels = CHANNELS, .sample_rate = i->sample_rate};
    float *pcm = malloc((size_t)(samples * CHANNELS) * sizeof *pcm);
    float *whole = malloc((size_t)(all * each) * sizeof *whole);
    float *part = malloc((size_t)((all + step) * each) * sizeof *part);
    assert_true(step > 0);
    for (int64_t k = 0; k < samples * CHANNELS; k++) pcm[k] = sinf((float)(k * k % 977));
    track.samples = samples;
    track.pcm = pcm;
    assert_ok(tk_codec_encode_audio(c, &track, whole));
    for (int64_t r = 0; r < all; r += steps * step) {
        const int64_t before = r ? step : 0, from = (r - before) * i->audio_hop;
        const int64_t end = (r + steps * step) * i->audio_hop;
        const bool last = end >= samples;
        const int64_t n = last ? all - r : steps * step;
        track.samples = (last ? samples : end) - from;
        track.pcm = pcm + from * CHANNELS;
        assert_ok(tk_codec_encode_audio(c, &track, part));
        assert_memory_equal(whole + r * each, part + before * each,
                            (size_t)(n * each) * sizeof *whole);
        if (last) break;
    }
    free(pcm), free(whole), free(part);
}

static void encoded_parts_join(void **state)
{
    (void)state;
    tk_codec *c = test_codec(3);
    const int64_t size[][2] = {{1, 1}, {3, 5}, {8, 12}, {17, 16}};
    for (int k = 0; k < 4; k++)
        for (int64_t steps = 1; steps <= 7; steps += 3)
            check_encoded_pictures(c, size[k][0], size[k][1], steps);
    for (int64_t steps = 1; steps <= 2; steps++) check_encoded_sound(c, steps);
    tk_codec_free(c);
    c = new_tiny();
    assert_int_equal(tk_codec_step(c, TK_CODEC_VIDEO, 2, 2), 0);
    assert_int_equal(tk_codec_step(c, TK_CODEC_AUDIO, 2, 2), 0);
    tk_codec_free(c);
}

static void parts_of_tiny_join(void **state)
{
    (void)state;
    check_parts(new_tiny());
}

// Encoded, stored, read, shared and decoded by functions that know nothing of its kind.
static void tiny_goes_through_files_and_ranks(void **state)
{
    (void)state;
    char path[] = "/tmp/tk_kinds_XXXXXX";
    hid_t file, group;
    tk_codec *c = new_tiny(), *back = NULL;
    uint8_t rgb[4 * 8 * 8 * 3], shown[4 * 8 * 8 * 3];
    const tk_media clip = {.frames = 4, .height = 8, .width = 8, .rgb = rgb};
    const tk_grid g = {
        .frames = 4, .height = 8, .width = 8, .latent_frames = 2, .high = 2, .wide = 2};
    float rows[8];
    close(mkstemp(path));
    assert_ok(tk_h5_create(path, "talkie-test", 1, &file));
    assert_ok(tk_h5_group(file, "codec", &group));
    assert_ok(tk_codec_write(c, false, group));
    if (world.rank == 0) assert_ok(tk_codec_read(group, NULL, &back));
    assert_ok(tk_codec_broadcast(&world, &back, 0));
    assert_string_equal(tk_codec_name(back, TK_CODEC_VIDEO), "tiny");
    assert_string_equal(tk_codec_name(back, TK_CODEC_AUDIO), "tiny");
    assert_int_equal(tk_codec_get_info(back)->audio_tail, 0);
    assert_true(tk_codec_get_info(back)->digest == tk_codec_get_info(c)->digest);
    memset(rgb, 200, sizeof rgb);
    assert_ok(tk_codec_encode_video(back, &clip, rows));
    assert_ok(tk_codec_decode_video(back, rows, &g, shown));
    assert_memory_equal(rgb, shown, sizeof rgb);
    tk_codec_free(back);
    H5Adelete(group, "audio");
    assert_ok(tk_h5_put_attr_str(group, "audio", "vast"));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("kind \"vast\" of sound is not known; this talkie has: mdct, vocoder, tiny");
    H5Gclose(group);
    assert_ok(tk_h5_close(file, path));
    tk_codec_free(c);
    unlink(path);
}

// The same info and no arrays: kinds alone tell codecs apart, on either side.
static void digests_know_the_kinds(void **state)
{
    (void)state;
    static const tk_half_kind *const kind[][2] = {{&tiny_picture, &tiny_sound},
                                                  {&tiny_picture, &other_sound},
                                                  {&other_picture, &tiny_sound},
                                                  {&other_picture, &other_sound}};
    uint64_t digest[4];
    for (int k = 0; k < 4; k++) {
        tk_codec *c = new_codec(kind[k][0], kind[k][1]);
        digest[k] = tk_codec_get_info(c)->digest;
        tk_codec_free(c);
        for (int j = 0; j < k; j++) assert_true(digest[j] != digest[k]);
    }
}

static void kinds_check_their_shapes(void **state)
{
    (void)state;
    const tk_half_kind *const kind[] = {&tiny_picture, &tiny_sound};
    tk_codec_info info = tiny_info;
    tk_codec *c;
    info.audio_channels = 2;
    assert_status(tk_codec_new(&info, kind, "here", &c), TK_INPUT);
    assert_says("here: not tiny");
    assert_null(c);
}

// What talkie wrote when a codec was one kind, "linear": read as the codec it was, with the digest
// it had then.
static void files_of_one_kind_open(void **state)
{
    (void)state;
    char path[] = "/tmp/tk_kinds_XXXXXX";
    hid_t file, group;
    tk_codec *c = test_codec(3), *back;
    assert_true(tk_codec_get_info(c)->digest == OLD_DIGEST);
    close(mkstemp(path));
    assert_ok(tk_h5_create(path, "talkie-test", 1, &file));
    assert_ok(tk_h5_group(file, "codec", &group));
    assert_ok(tk_codec_write(c, false, group));
    H5Adelete(group, "video"), H5Adelete(group, "audio");
    assert_ok(tk_h5_put_attr_str(group, "kind", "linear"));
    assert_ok(tk_codec_read(group, NULL, &back));
    assert_string_equal(tk_codec_name(back, TK_CODEC_VIDEO), "patch");
    assert_string_equal(tk_codec_name(back, TK_CODEC_AUDIO), "mdct");
    assert_true(tk_codec_get_info(back)->digest == OLD_DIGEST);
    check_same_coding(c, back);
    tk_codec_free(back);
    H5Adelete(group, "kind");
    assert_ok(tk_h5_put_attr_str(group, "kind", "cubic"));
    assert_status(tk_codec_read(group, NULL, &back), TK_INPUT);
    assert_says("cubic");
    H5Gclose(group);
    assert_ok(tk_h5_close(file, path));
    tk_codec_free(c);
    unlink(path);
}

static void names_are_taken_once(void **state)
{
    (void)state;
    assert_status(tk_codec_register(&tiny_picture), TK_INTERNAL);
    assert_status(tk_codec_register(&tiny_sound), TK_INTERNAL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_patch_and_mdct_join),
        cmocka_unit_test(encoded_parts_join),
        cmocka_unit_test(parts_of_tiny_join),
        cmocka_unit_test(tiny_goes_through_files_and_ranks),
        cmocka_unit_test(digests_know_the_kinds),
        cmocka_unit_test(kinds_check_their_shapes),
        cmocka_unit_test(files_of_one_kind_open),
        cmocka_unit_test(names_are_taken_once),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    if (tk_codec_register(&tiny_picture) != TK_OK) return 1;
    if (tk_codec_register(&tiny_sound) != TK_OK) return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
