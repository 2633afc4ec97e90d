// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 3; timeout: 60 */
#include "core/numbers/rng.h"
#include "data/clip/internal.h"
#include "parallel/mpi/start.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLIPS = 20 };
static tk_comm world;
static char base[64]; // names of this run's files begin with it, the same on all ranks

static char *file_named(const char *name)
{
    static char path[96];
    snprintf(path, sizeof path, "%s_%s.h5", base, name);
    return path;
}

static char *slurp(const char *path, long *bytes)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *bytes = ftell(f);
    rewind(f);
    char *text = malloc((size_t)*bytes + 1);
    assert_int_equal(fread(text, 1, (size_t)*bytes, f), *bytes);
    fclose(f);
    return text;
}

static void spill(const char *path, const char *text, long bytes)
{
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(text, 1, (size_t)bytes, f), bytes);
    fclose(f);
}

static void check_references(const tk_clips *c)
{
    float video[TEST_REFERENCE], audio[TEST_REFERENCE], v[TEST_REFERENCE], a[TEST_REFERENCE];
    char raw[2 * TEST_REFERENCE];
    assert_int_equal(c->n_references, TEST_REFERENCES);
    for (int64_t r = 0; r < TEST_REFERENCES; r++) {
        const tk_clip_reference *have = &c->reference[r], *want = &test_references[r];
        assert_string_equal(have->name, want->name);
        assert_int_equal(have->latent_frames, want->latent_frames);
        assert_int_equal(have->bytes[0], 2 * 5 * want->latent_frames * want->high * want->wide);
        assert_int_equal(have->bytes[1], 2 * 6 * want->audio_rows);
        test_reference_rows(r, video, audio);
        assert_ok(tk_clips_read_reference(c, r, v, a, raw));
        assert_memory_equal(v, video, (size_t)have->bytes[0] * 2);
        assert_memory_equal(a, audio, (size_t)have->bytes[1] * 2);
    }
}

static void check_contents(const tk_clips *c)
{
    float video[TEST_VIDEO], audio[TEST_AUDIO], v[TEST_VIDEO], a[TEST_AUDIO];
    char raw[2 * (TEST_VIDEO + TEST_AUDIO)], name[32];
    assert_int_equal(c->n, CLIPS);
    assert_int_equal(c->n_buckets, 2);
    assert_string_equal(c->config, "test: yes\n");
    for (int64_t i = 0; i < c->n; i++) {
        const tk_clip_info *k = &c->clip[i];
        const tk_bucket *b = &c->bucket[k->bucket];
        snprintf(name, sizeof name, "clip %d", (int)i);
        assert_string_equal(k->name, name);
        assert_int_equal(k->n_shots, 2);
        assert_string_equal(k->shot[1].caption, "second");
        assert_int_equal(k->shot[1].audio_rows, 5);
        assert_int_equal(b->width, i % 3 == 2 ? 4 : 8);
        test_rows(i, video, audio);
        assert_ok(tk_clips_read(c, i, v, a, raw));
        assert_memory_equal(v, video, (size_t)b->video_bytes * 2);
        assert_memory_equal(a, audio, (size_t)b->audio_bytes * 2);
        assert_ok(tk_clips_read(c, i, NULL, a, raw));
        assert_int_equal(k->n_citations, i % 4 == 3 ? 0 : 2);
        if (!k->n_citations) continue;
        assert_int_equal(k->citation[0].reference, 1);
        assert_string_equal(k->citation[0].tag, "voice 1");
        assert_string_equal(k->citation[1].tag, "face 1");
        assert_string_equal(k->citation[1].word, "first");
    }
    check_references(c);
}

static void test_write__same_bytes_on_any_number_of_ranks(void **state)
{
    (void)state;
    assert_ok(test_write_clips(&world, file_named("all"), 1, CLIPS, -1));
    if (world.rank == 0) {
        long n, m;
        char *all = slurp(file_named("all"), &n);
        assert_ok(test_write_clips(tk_comm_self(), file_named("one"), 1, CLIPS, -1));
        char *one = slurp(file_named("one"), &m);
        assert_int_equal(n, m);
        assert_memory_equal(all, one, (size_t)n);
        assert_int_equal(access(strcat(file_named("all"), ".part"), F_OK), -1);
        free(all), free(one);
        unlink(file_named("one"));
    }
    tk_clips c;
    assert_ok(tk_agree(&world, TK_OK));
    assert_ok(tk_clips_open_shared(&world, file_named("all"), NULL, &c));
    check_contents(&c);
    tk_clips_close(&c);
    assert_ok(tk_agree(&world, TK_OK));
    if (world.rank == 0) unlink(file_named("all"));
}

static void test_open__missing_is_said_on_all_ranks(void **state)
{
    (void)state;
    tk_clips c;
    assert_status(tk_clips_open_shared(&world, file_named("nowhere"), NULL, &c), TK_INPUT);
    assert_says("nowhere");
}

static void test_write__bad_rows_and_forgotten_clips_leave_no_file(void **state)
{
    (void)state;
    tk_bucket b = test_bucket;
    b.slots = 2;
    tk_clip_shot s = {.seconds = 0.5, .latent_frames = 2, .audio_rows = 9, .caption = "only"};
    tk_clip_info info[2] = {{.name = "a", .n_shots = 1, .shot = &s},
                            {.name = "b", .slot = 1, .n_shots = 1, .shot = &s}};
    tk_codec *codec = test_codec(1);
    tk_clip_writer *w;
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    tk_clip_plan plan = {.path = file_named("bad"),
                         .config = "",
                         .codec = codec,
                         .n_buckets = 1,
                         .buckets = &b,
                         .n = 2,
                         .clips = info};
    assert_ok(tk_clip_writer_open(&world, &plan, &w));
    test_rows(0, video, audio);
    video[7] = NAN;
    assert_status(tk_clip_writer_put(w, 0, video, audio), TK_INPUT);
    assert_says("\"a\"");
    video[7] = 70000; // infinite in half precision
    assert_status(tk_clip_writer_put(w, 0, video, audio), TK_INPUT);
    assert_status(tk_clip_writer_commit(w, NULL, NULL), TK_INTERNAL); // none were written
    assert_ok(tk_agree(&world, TK_OK)); // rank 0 has taken the file away
    assert_int_equal(access(file_named("bad"), F_OK), -1);
    assert_int_equal(access(strcat(file_named("bad"), ".part"), F_OK), -1);
    plan.path = file_named("bad");
    s.latent_frames = 3; // more than the clip has
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    s.latent_frames = 2, b.wide = 3; // not the codec's rows of that width
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    plan.path = "/nowhere/x.h5", plan.n = 0;
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    b.wide = 2, plan.n = 2;
    assert_int_not_equal(tk_clip_writer_open(&world, &plan, &w), TK_OK);
    assert_null(w);
    tk_codec_free(codec);
}

static void test_read__damage_is_found_and_named(void **state)
{
    (void)state;
    tk_clips c;
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    char raw[2 * (TEST_VIDEO + TEST_AUDIO)];
    char *path = file_named("damaged");
    assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, 6));
    assert_ok(tk_clips_open(path, NULL, &c));
    for (int64_t i = 0; i < CLIPS; i++)
        assert_status(tk_clips_read(&c, i, video, audio, raw), i == 6 ? TK_INPUT : TK_OK);
    assert_status(tk_clips_read(&c, 6, video, audio, raw), TK_INPUT);
    assert_says("clip 6");
    assert_says(path);
    tk_clips_close(&c);
    unlink(path);
}

static void test_references__damage_is_found_and_named(void **state)
{
    (void)state;
    float v[TEST_REFERENCE], a[TEST_REFERENCE];
    char raw[2 * TEST_REFERENCE], byte = 77, *path = file_named("hurt");
    tk_clips c;
    assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, -1));
    assert_ok(tk_clips_open(path, NULL, &c));
    const int fd = open(path, O_RDWR);
    assert_ok(tk_pwrite_all(fd, path, &byte, 1, c.reference[1].address[1] + 3));
    close(fd);
    for (int64_t r = 0; r < TEST_REFERENCES; r++)
        assert_status(tk_clips_read_reference(&c, r, v, a, raw), r == 1 ? TK_INPUT : TK_OK);
    assert_status(tk_clips_read_reference(&c, 1, v, a, raw), TK_INPUT);
    assert_says("audio of \"a voice\"");
    tk_clips_close(&c);
    unlink(path);
}

// Files of before have none.
static void test_references__files_without_them_open(void **state)
{
    (void)state;
    static const char *const newer[] = {"references", "citations", "index/first_citation",
                                        "index/citations"};
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    char raw[2 * (TEST_VIDEO + TEST_AUDIO)], *path = file_named("old");
    tk_clips c;
    assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, -1));
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    for (int k = 0; k < 4; k++) assert_true(H5Ldelete(file, newer[k], H5P_DEFAULT) >= 0);
    H5Fclose(file);
    assert_ok(tk_clips_open(path, NULL, &c));
    assert_int_equal(c.n_references, 0);
    assert_int_equal(c.clip[0].n_citations, 0);
    assert_ok(tk_clips_read(&c, 0, video, audio, raw));
    tk_clips_close(&c);
    unlink(path);
}

static void test_references__plans_that_cannot_be_are_refused(void **state)
{
    (void)state;
    tk_bucket b = test_bucket;
    b.slots = 1;
    tk_clip_shot s = {.seconds = 0.5, .latent_frames = 2, .audio_rows = 9, .caption = "only"};
    tk_clip_citation cited[] = {{0, "face 1", ""}, {1, "face 1", ""}};
    tk_clip_info info = {"a", 0, 0, 1, &s, 2, cited};
    tk_clip_reference none = {.name = "nothing at all"};
    tk_codec *codec = test_codec(1);
    tk_clip_writer *w;
    tk_clip_plan plan = {.path = file_named("none"),
                         .config = "",
                         .codec = codec,
                         .n_buckets = 1,
                         .buckets = &b,
                         .n = 1,
                         .clips = &info,
                         .n_references = TEST_REFERENCES,
                         .references = test_references};
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    assert_says("two references <face 1>");
    cited[1].tag = "face <2>";
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    assert_says("face <2>");
    cited[1] = (tk_clip_citation){TEST_REFERENCES, "face 2", ""};
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    assert_says("reference 3 of 3");
    info.n_citations = 0;
    plan.n_references = 1;
    plan.references = &none;
    assert_status(tk_clip_writer_open(&world, &plan, &w), TK_INPUT);
    assert_says("nothing at all");
    tk_codec_free(codec);
}

static void test_open__truncated_and_foreign_files_are_refused(void **state)
{
    (void)state;
    long n;
    tk_clips c;
    char *path = file_named("cut");
    assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, -1));
    char *text = slurp(path, &n);
    for (long cut = 0; cut < n; cut += 1 + n / 37) {
        spill(path, text, cut);
        assert_status(tk_clips_open(path, NULL, &c), TK_INPUT);
        assert_says(path);
    }
    spill(path, "hello, world", 12);
    assert_status(tk_clips_open(path, NULL, &c), TK_INPUT);
    hid_t file;
    assert_ok(tk_h5_create(path, "talkie-golden", 1, &file));
    assert_ok(tk_h5_close(file, path));
    assert_status(tk_clips_open(path, NULL, &c), TK_INPUT);
    assert_ok(tk_h5_create(path, TK_CLIP_FORMAT, TK_CLIP_VERSION + 1, &file));
    assert_ok(tk_h5_close(file, path));
    assert_status(tk_clips_open(path, NULL, &c), TK_INPUT);
    free(text);
    unlink(path);
}

// A disk that fills up at any point: an error of the disk, and no file is left.
static void test_write__full_disk_leaves_no_file(void **state)
{
    (void)state;
    struct stat whole;
    struct rlimit before, limit;
    char *path = file_named("full"), part[120];
    snprintf(part, sizeof part, "%s.part", path);
    assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, -1));
    assert_int_equal(stat(path, &whole), 0);
    unlink(path);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (off_t at = 1; at < whole.st_size; at += whole.st_size / 23) {
        limit = (struct rlimit){(rlim_t)at, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        tk_status st = test_write_clips(tk_comm_self(), path, 1, CLIPS, -1);
        setrlimit(RLIMIT_FSIZE, &before);
        assert_int_equal(st, TK_IO);
        assert_int_equal(access(path, F_OK), -1);
        assert_int_equal(access(part, F_OK), -1);
    }
}

typedef struct lie { // entry `at` of an integer column set to `value`
    const char *column;
    int64_t at, value;
} lie;

static void test_open__lying_index_is_refused(void **state)
{
    (void)state;
    static const lie lies[] = {
        {"index/bucket", 3, 2},
        {"index/bucket", 3, -1},
        {"index/slot", 0, 1 << 20},
        {"index/slot", 0, -1},
        {"index/first_shot", 5, -1},
        {"index/first_shot", 5, 1LL << 62},
        {"index/shots", 5, 0},
        {"index/shots", 5, 1LL << 40},
        {"shots/latent_frames", 0, 2},
        {"shots/latent_frames", 0, -1},
        {"shots/audio_rows", 1, 1 << 30},
        {"shots/audio_rows", 1, 4},
        {"references/latent_frames", 0, -1},
        {"references/latent_frames", 1, 1},
        {"references/high", 0, 3},
        {"references/audio_rows", 1, 1 << 30},
        {"index/first_citation", 2, 1LL << 62},
        {"index/citations", 2, -1},
        {"index/citations", 2, 1000},
        {"citations/reference", 4, TEST_REFERENCES},
        {"citations/reference", 4, -1},
    };
    char *path = file_named("lies");
    tk_clips c;
    for (size_t k = 0; k < sizeof lies / sizeof *lies; k++) {
        assert_ok(test_write_clips(tk_comm_self(), path, 1, CLIPS, -1));
        hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
        hid_t set = H5Dopen2(file, lies[k].column, H5P_DEFAULT);
        int64_t column[2 * CLIPS];
        H5Dread(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, column);
        column[lies[k].at] = lies[k].value;
        H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, column);
        H5Dclose(set);
        H5Fclose(file);
        assert_status(tk_clips_open(path, NULL, &c), TK_INPUT);
        assert_says(path);
    }
    unlink(path);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest together[] = {
        cmocka_unit_test(test_write__same_bytes_on_any_number_of_ranks),
        cmocka_unit_test(test_open__missing_is_said_on_all_ranks),
        cmocka_unit_test(test_write__bad_rows_and_forgotten_clips_leave_no_file),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(test_read__damage_is_found_and_named),
        cmocka_unit_test(test_references__damage_is_found_and_named),
        cmocka_unit_test(test_references__files_without_them_open),
        cmocka_unit_test(test_references__plans_that_cannot_be_are_refused),
        cmocka_unit_test(test_open__truncated_and_foreign_files_are_refused),
        cmocka_unit_test(test_write__full_disk_leaves_no_file),
        cmocka_unit_test(test_open__lying_index_is_refused),
    };
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int64_t id = getpid();
    if (tk_comm_broadcast(&world, &id, sizeof id, 0) != TK_OK) return 1;
    snprintf(base, sizeof base, "/tmp/tk_clip_%lld", (long long)id);
    int failed = cmocka_run_group_tests(together, NULL, NULL);
    if (world.size == 1) failed += cmocka_run_group_tests(alone, NULL, NULL);
    tk_parallel_stop();
    return failed;
}
