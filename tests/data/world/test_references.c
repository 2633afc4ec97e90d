// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 120 */
// Clips of the world that cite people: captions name them by tags, the truth beside the clips says
// who it is, pictures decode to that face and samples to that voice, and to nobody else's.
#include "core/base/log.h"
#include "core/store/h5.h"
#include "data/film/film.h"
#include "data/world/cite.h"
#include "data/world/file.h"
#include "infer/judges/sound/voice.h"
#include "tests/support/ranks.h"
#include "train/step/references.h"
#include <math.h>
#include <unistd.h>

enum { CLIPS = 24, SIDE = 32, BYTES = 3 * SIDE * SIDE, FRAMES = 4, RATE = 16000 };
static tk_comm world;
static tk_config config;
static tk_clips clips;
static tk_arena arena;
static const char name[] = "test_references.h5";
static int64_t *first, *character, *number, *named, *face, *sample;

static int64_t *integers(hid_t file, const char *path)
{
    int64_t dim[1] = {-1};
    void *x = NULL;
    assert_ok(tk_h5_get(file, path, H5T_NATIVE_INT64, 1, dim, &arena, &x));
    return x;
}

static const tk_scene *scene_of(int64_t clip)
{
    static tk_speech *speech;
    static tk_scene s;
    if (!speech) assert_ok(tk_scene_open_speech(&config.world, &config.media, &speech));
    assert_ok(tk_scene_make(&config.world, &config.media, config.codec.patch_frames, speech,
                            (uint64_t)config.world.seed, config.world.first + clip, &s));
    return &s;
}

// ---- who is cited ------------------------------------------------------------------------------

static const tk_clip_citation *citation_of(const tk_clip_info *c, const char *tag, int64_t of)
{
    char want[32];
    snprintf(want, sizeof want, "%s %d", tag, (int)of);
    for (int k = 0; k < c->n_citations; k++)
        if (!strcmp(c->citation[k].tag, want)) return &c->citation[k];
    return NULL;
}

static void test_truth__says_who_is_cited(void **state)
{
    (void)state;
    int cited = 0, by_name = 0, faces = 0, voices = 0, strangers = 0;
    for (int64_t k = 0; k < CLIPS; k++) {
        const tk_clip_info *c = &clips.clip[k];
        int citations = 0;
        for (int i = 0; i < scene_of(k)->n_people; i++) {
            const int64_t row = first[k] + i, ref[2] = {face[row], sample[row]};
            for (int what = 0; what < 2; what++) {
                const tk_clip_citation *x =
                    citation_of(c, what ? "voice" : "face", number[row] ? number[row] : -1);
                assert_int_equal(x != NULL, ref[what] >= 0);
                if (!x) continue;
                const char *who = tk_scene_character(scene_of(k), i)->name;
                if (character[row] == TK_STRANGER) assert_string_equal(x->word, "someone");
                assert_int_equal(x->reference, ref[what]);
                assert_string_equal(x->word, named[row] ? "" : who);
                assert_non_null(strstr(clips.reference[x->reference].name, who));
                assert_non_null(
                    strstr(clips.reference[x->reference].name, what ? "voice" : "face"));
                citations++;
            }
            assert_int_equal(number[row] > 0, ref[0] >= 0 || ref[1] >= 0);
            cited += number[row] > 0;
            by_name += named[row] > 0;
            strangers += number[row] > 0 && character[row] == TK_STRANGER;
            faces += ref[0] >= 0, voices += ref[1] >= 0;
        }
        assert_int_equal(c->n_citations, citations);
    }
    assert_true(strangers >= 3);
    assert_true(cited > CLIPS / 2 && by_name > 0 && by_name < cited / 2);
    assert_true(faces < cited && voices < cited && faces + voices > cited);
}

static void test_captions__name_by_tags_alone(void **state)
{
    (void)state;
    int tagged = 0;
    for (int64_t k = 0; k < CLIPS; k++) {
        const tk_clip_shot *shot;
        assert_ok(tk_cite_captions(&clips.clip[k], &arena, &shot));
        for (int i = 0; i < scene_of(k)->n_people; i++) {
            const int64_t row = first[k] + i;
            const char *who = tk_scene_character(scene_of(k), i)->name;
            char tag[32];
            snprintf(tag, sizeof tag, "<%s %d>", face[row] >= 0 ? "face" : "voice",
                     (int)number[row]);
            for (int h = 0; h < clips.clip[k].n_shots; h++) {
                const char *said = clips.clip[k].shot[h].caption, *given = shot[h].caption;
                const bool was = strstr(said, who) != NULL, tags = number[row] && !named[row];
                assert_null(strstr(said, "<"));
                assert_int_equal(strstr(given, who) != NULL, was && !tags);
                assert_int_equal(number[row] && strstr(given, tag) != NULL, was && tags);
                tagged += was && tags;
            }
        }
    }
    assert_true(tagged > 5);
}

// ---- what references show ----------------------------------------------------------------------

static double apart(const uint8_t *a, const uint8_t *b)
{
    double sum = 0;
    for (int i = 0; i < BYTES; i++) sum += abs(a[i] - b[i]);
    return sum / BYTES;
}

// Whose picture it is: of the cast's or the stranger's of that clip.
static const char *face_in(const uint8_t *rgb, const tk_character *stranger)
{
    static uint8_t portrait[BYTES];
    double near = INFINITY;
    const char *who = NULL;
    for (int c = 0; c <= TK_CAST; c++) {
        const tk_character *one = c < TK_CAST ? &tk_characters[c] : stranger;
        assert_ok(tk_film_portrait(one, TK_STYLE_NATURAL, SIDE, portrait));
        const double far = apart(rgb, portrait);
        if (far < near) near = far, who = one->name;
    }
    return who;
}

static void decode_face(int64_t r, uint8_t *rgb)
{
    const tk_clip_reference *x = &clips.reference[r];
    const tk_codec_info *k = tk_codec_get_info(clips.codec);
    float *rows = tk_arena_alloc(&arena, (size_t)(2 * x->bytes[0]));
    void *raw = tk_arena_alloc(&arena, (size_t)x->bytes[0]);
    tk_grid g;
    assert_int_equal(tk_grid_portrait(k, config.media.height, config.media.width), SIDE);
    assert_ok(tk_grid_of(k, "face", FRAMES, SIDE, SIDE, TK_GRID_WHOLE, &g));
    assert_ok(tk_clips_read_reference(&clips, r, rows, NULL, raw));
    assert_ok(tk_codec_decode_video(clips.codec, rows, &g, rgb));
}

static void test_faces__decode_to_the_person(void **state)
{
    (void)state;
    static uint8_t rgb[FRAMES * BYTES];
    int faces = 0, strangers = 0;
    for (int64_t k = 0; k < CLIPS; k++) {
        const tk_scene *s = scene_of(k);
        for (int i = 0; i < s->n_people; i++) {
            const int64_t row = first[k] + i;
            if (face[row] < 0) continue;
            decode_face(face[row], rgb);
            const tk_character *who = tk_scene_character(s, i);
            const tk_character *other = who == &s->stranger ? who : &tk_characters[0];
            for (int f = 0; f < FRAMES; f++)
                assert_string_equal(face_in(rgb + f * BYTES, other), who->name);
            faces++, strangers += who == &s->stranger;
        }
    }
    assert_true(faces > CLIPS / 2 && strangers >= 3);
    for (int64_t r = 0; r < clips.n_references; r++) // the cast's are stored once each
        for (int64_t q = 0; q < r; q++)
            assert_true(strcmp(clips.reference[r].name, clips.reference[q].name) ||
                        strstr(clips.reference[r].name, "someone"));
}

static tk_voiceprint print_of(const float *pcm, int64_t n)
{
    tk_voiceprint p;
    assert_ok(tk_voiceprint_of(pcm, n, RATE, &arena, &p));
    return p;
}

static tk_speakers *learn_voices(void)
{
    enum { LINES = 6, SAMPLES = RATE * 3 / 2 };
    static tk_voiceprint print[TK_CAST * LINES];
    static float pcm[SAMPLES];
    static const char *const line[LINES] = {"orange window",     "never again", "red table",
                                            "beautiful captain", "yes please",  "blue crate"};
    int label[TK_CAST * LINES];
    tk_speech *speech;
    tk_speakers *known;
    assert_ok(tk_speech_open(RATE, &speech));
    for (int i = 0; i < TK_CAST * LINES; i++) {
        label[i] = i / LINES;
        assert_ok(tk_film_voice(&tk_characters[label[i]], speech, line[i % LINES], SAMPLES, pcm));
        print[i] = print_of(pcm, SAMPLES);
    }
    assert_ok(tk_speakers_learn(print, label, TK_CAST * LINES, TK_CAST, &arena, &known));
    tk_speech_close(speech);
    return known;
}

static void test_samples__are_of_the_voice(void **state)
{
    (void)state;
    const int64_t n = llround(TK_VOICE_SECONDS * RATE);
    const tk_speakers *known = learn_voices();
    static float pcm[RATE * 2];
    int right = 0, of = 0;
    for (int64_t r = 0; r < clips.n_references; r++) {
        const tk_clip_reference *x = &clips.reference[r];
        if (!x->audio_rows || strstr(x->name, "someone")) continue;
        float *rows = tk_arena_alloc(&arena, (size_t)(2 * x->bytes[1]));
        void *raw = tk_arena_alloc(&arena, (size_t)x->bytes[1]);
        assert_ok(tk_clips_read_reference(&clips, r, NULL, rows, raw));
        assert_ok(tk_codec_decode_audio(clips.codec, rows, x->audio_rows, 1, pcm, n));
        const tk_voiceprint p = print_of(pcm, n);
        const int who = tk_speakers_who(known, &p);
        right += who >= 0 && strstr(x->name, tk_characters[who].name) != NULL;
        of++;
    }
    assert_true(of >= 5);
    assert_true(right >= 0.8 * of);
}

// ---- the file ----------------------------------------------------------------------------------

static int set_up(void **state)
{
    (void)state;
    tk_log_open(0, 0);
    tk_config_init(&config);
    tk_arena_init(&arena, 0);
    static const char *const options[] = {"output=test_references.h5",
                                          "world.clips=24",
                                          "world.seconds=2",
                                          "world.max_shots=2",
                                          "world.references=0.8",
                                          "world.strangers=0.4",
                                          "media.width=64",
                                          "media.height=48",
                                          "media.sample_rate=16000",
                                          "codec.video=lapped",
                                          "codec.patch_frames=4",
                                          "codec.patch_size=16",
                                          "codec.video_channels=96",
                                          "codec.fit_clips=4"};
    assert_ok(tk_config_load(&config, TK_CMD_DATA, NULL, sizeof options / sizeof *options,
                             (char **)options));
    assert_ok(tk_world_run(&world, &config));
    assert_ok(tk_clips_open(name, NULL, &clips));
    const hid_t file = H5Fopen(name, H5F_ACC_RDONLY, H5P_DEFAULT);
    first = integers(file, "truth/clips/first_person");
    character = integers(file, "truth/people/character");
    number = integers(file, "truth/people/number");
    named = integers(file, "truth/people/named");
    face = integers(file, "truth/people/face");
    sample = integers(file, "truth/people/sample");
    return H5Fclose(file) < 0;
}

static int tear_down(void **state)
{
    (void)state;
    tk_clips_close(&clips);
    unlink(name);
    tk_config_free(&config);
    tk_arena_free(&arena);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth__says_who_is_cited),
        cmocka_unit_test(test_captions__name_by_tags_alone),
        cmocka_unit_test(test_faces__decode_to_the_person),
        cmocka_unit_test(test_samples__are_of_the_voice),
    };
    ranks_run_with(argc, argv, world, tests, set_up, tear_down);
}
