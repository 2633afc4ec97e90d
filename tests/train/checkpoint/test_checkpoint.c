// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 3 4; timeout: 120 */
// Checkpoints: any layout writes the same file and reads it; damage anywhere is found.
#include "parallel/mpi/comm.h"
#include "parallel/mpi/start.h"
#include "tests/support/test.h"
#include "tests/support/tiny.h"
#include "train/checkpoint/internal.h"
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static tk_comm world, alone; // all ranks; this rank for itself
static char dir[256];        // shared by the ranks
static uint64_t digest;      // that a verified checkpoint told
static tk_codec *codec;
static tk_arena names;

enum { FLATS = 3 }; // model (whole on every data rank), adam/m (shared out over data), ema (whole)
static const char *const groups[FLATS] = {"model", "adam/m", "ema"};

typedef struct rig { // a model with its flats on one layout
    tk_mesh mesh;
    tk_device device;
    tk_model model;
    tk_flat_part part[FLATS][2]; // of the flats; those that are shared out lie in two
    tk_flat flat[FLATS];
} rig;

static float value(int group, int spec, int64_t i)
{
    return sinf((float)(i % 1009) + 0.1f * (float)spec) + (float)group;
}

static void open_rig_of(rig *r, tk_comm *comm, const tk_model_config *c, int T, int P)
{
    tk_parallel_config p = {.tensor = T, .pipeline = P};
    memset(r, 0, sizeof *r);
    assert_ok(tk_mesh_open(&r->mesh, comm, &p, TK_AXIS_DATA));
    assert_ok(tk_device_open(&r->device, &tk_device_ref, 1, (size_t)1 << 28));
    assert_ok(tk_mesh_attach(&r->mesh, &r->device));
    const tk_model_part part = {.device = &r->device,
                                .tensor = &r->mesh.axis[TK_AXIS_TENSOR].device,
                                .stage = r->mesh.axis[TK_AXIS_PIPELINE].rank,
                                .n_stages = r->mesh.axis[TK_AXIS_PIPELINE].degree};
    assert_ok(tk_model_open(&r->model, c, &part));
    const tk_comm *d = &r->mesh.axis[TK_AXIS_DATA].host;
    for (int k = 0; k < FLATS; k++) {
        const bool shared = k == 1;
        const int64_t n = r->model.n_local;
        const int64_t half[2] = {n / 3, n - n / 3};
        for (int i = 0; i < 2; i++)
            r->part[k][i] = (tk_flat_part){i * half[0] + tk_split_begin(half[i], d->size, d->rank),
                                           tk_split_count(half[i], d->size, d->rank),
                                           i ? 0 : tk_split_count(half[1], d->size, d->rank) + 5};
        r->flat[k] = (tk_flat){.group = groups[k],
                               .stretch = shared ? r->part[k] : &r->model.whole,
                               .n = shared ? 2 : 1,
                               .owner = shared || d->rank == 0};
        assert_ok(tk_device_new(&r->device, TK_F32, 1, n + 5, &r->flat[k].x));
        assert_ok(tk_device_zero(&r->device, r->flat[k].x.data, tk_bytes(&r->flat[k].x)));
    }
}

static void open_rig(rig *r, tk_comm *comm, int T, int P)
{
    open_rig_of(r, comm, &tiny_model, T, P);
}

static void close_rig(rig *r)
{
    for (int k = 0; k < FLATS; k++) tk_device_free(&r->device, &r->flat[k].x);
    tk_model_close(&r->model);
    tk_mesh_close(&r->mesh);
    tk_device_close(&r->device);
}

// This rank's share of global tensor `spec`; fresh memory.
static float *wanted(const rig *r, const tk_weight *w, int group)
{
    const tk_param_spec *s = &r->model.table.spec[w->spec];
    float *whole = tk_alloc((size_t)(s->rows * s->cols) * sizeof *whole);
    float *share = tk_alloc((size_t)(w->share.rows * w->share.cols) * sizeof *share + 1);
    for (int64_t i = 0; i < s->rows * s->cols; i++) whole[i] = value(group, w->spec, i);
    tk_share_cut(s, &w->share, whole, share);
    tk_free(whole);
    return share;
}

// Of element e of the flat layout, in the flat; -1: it is not there.
static int64_t place_of(const tk_flat *f, int64_t e)
{
    for (int i = 0; i < f->n; i++) {
        const tk_flat_part *s = &f->stretch[i];
        if (e >= s->begin && e < s->begin + s->count) return s->at + e - s->begin;
    }
    return -1;
}

// Fills the flats with what they should hold, or checks that they do.
static void each_share(rig *r, bool check)
{
    for (int k = 0; k < FLATS; k++)
        for (int i = 0; i < r->model.n_weights; i++) {
            const tk_weight *w = &r->model.weight[i];
            const tk_flat *f = &r->flat[k];
            float *want = wanted(r, w, k), *have = (float *)f->x.data;
            for (int64_t e = 0; e < w->share.rows * w->share.cols; e++) {
                const int64_t at = place_of(f, w->offset + e);
                if (at < 0) continue;
                if (!check)
                    have[at] = want[e];
                else if (memcmp(&have[at], &want[e], sizeof *have))
                    fail_msg("/%s/%s: element %lld of the share", f->group,
                             r->model.table.spec[w->spec].name, (long long)e);
            }
            tk_free(want);
        }
}

static tk_status save_rig(rig *r, const char *path)
{
    tk_checkpoint_meta meta = {
        .step = 100, .config = "model:\n  hidden: 24\n", .codec = codec, .ema_updates = 12.5};
    each_share(r, false);
    return tk_checkpoint_save(path, &r->mesh, &r->model, FLATS, r->flat, &meta);
}

static void save_alone(const char *path)
{
    rig r;
    open_rig(&r, &alone, 1, 1);
    assert_ok(save_rig(&r, path));
    close_rig(&r);
}

static char *in_dir(const char *name) // lives until the end of the program
{
    char *path = tk_arena_printf(&names, "%s/%s", dir, name);
    assert_non_null(path);
    return path;
}

static char *my_path(const char *name) // of a file of this rank's own
{
    char mine[64];
    snprintf(mine, sizeof mine, "rank%d-%s", world.rank, name);
    return in_dir(mine);
}

static unsigned char *slurp(const char *path, size_t *bytes)
{
    struct stat s;
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &s) == 0);
    unsigned char *x = tk_alloc((size_t)s.st_size);
    assert_ok(tk_pread_all(fd, path, x, (size_t)s.st_size, 0));
    close(fd);
    *bytes = (size_t)s.st_size;
    return x;
}

static void sync_ranks(void)
{
    assert_ok(tk_comm_barrier(&world));
}

// ---- any layout --------------------------------------------------------------------------------

static void every_layout_writes_the_same_file(void **state)
{
    (void)state;
    size_t bytes, other;
    if (world.rank == 0) save_alone(in_dir("one.h5"));
    sync_ranks();
    unsigned char *one = slurp(in_dir("one.h5"), &bytes);
    for (int T = 1; T <= world.size; T++)
        for (int P = 1; P <= world.size / T; P++) {
            if (world.size % (T * P) || P > 3) continue; // stages need a block each
            rig r;
            open_rig(&r, &world, T, P);
            assert_ok(save_rig(&r, in_dir("layout.h5")));
            unsigned char *two = slurp(in_dir("layout.h5"), &other);
            assert_true(bytes == other && memcmp(one, two, bytes) == 0);
            tk_free(two);
            close_rig(&r);
        }
    tk_free(one);
    sync_ranks();
}

static void every_layout_reads_it(void **state)
{
    (void)state;
    for (int T = 1; T <= world.size; T++)
        for (int P = 1; P <= world.size / T; P++) {
            if (world.size % (T * P) || P > 3) continue;
            rig r;
            open_rig(&r, &world, T, P);
            assert_ok(tk_checkpoint_load(in_dir("one.h5"), &r.mesh, &r.model, FLATS, r.flat));
            each_share(&r, true);
            close_rig(&r);
        }
    static const char *const group[] = {"adam/v", "ema", "adam/m"};
    for (int i = 0; i < 3; i++) {
        bool has;
        assert_ok(tk_checkpoint_has(in_dir("one.h5"), group[i], &has));
        assert_int_equal(has, i > 0);
        assert_status(tk_checkpoint_has(in_dir("none.h5"), group[i], &has), TK_INPUT);
    }
    sync_ranks();
}

static void the_header_reaches_every_rank(void **state)
{
    (void)state;
    tk_arena a;
    tk_checkpoint_meta meta;
    tk_arena_init(&a, 0);
    assert_ok(tk_checkpoint_open(in_dir("one.h5"), "", &world, &a, &meta));
    assert_int_equal(meta.step, 100);
    assert_string_equal(meta.config, "model:\n  hidden: 24\n");
    assert_true(meta.ema_updates == 12.5);
    assert_true(tk_codec_get_info(meta.codec)->digest == tk_codec_get_info(codec)->digest);
    tk_codec_free(meta.codec);
    tk_arena_free(&a);
    sync_ranks();
}

// ---- what does not fit -------------------------------------------------------------------------

static void expect_refused(tk_comm *comm, const char *path, const tk_model_config *c,
                           const char *group, const char *words)
{
    rig r;
    open_rig_of(&r, comm, c, 1, 1);
    if (group) r.flat[0].group = group;
    assert_status(tk_checkpoint_load(path, &r.mesh, &r.model, 1, r.flat), TK_INPUT);
    assert_says(words);
    close_rig(&r);
    tk_status_clear();
}

static void other_models_and_files_are_refused(void **state)
{
    (void)state;
    tk_model_config wide = tiny_model, deep = tiny_model, shallow = tiny_model;
    tk_model_config numbered = tiny_model;
    wide.ffn = 28;
    deep.layers = 4;
    shallow.layers = 2;
    numbered.shots = TK_SHOTS_NUMBERED;
    const char *path = in_dir("one.h5");
    expect_refused(&world, path, &tiny_model, "adam/v", "has no group /adam/v");
    expect_refused(&world, path, &wide, NULL, "but this model needs");
    expect_refused(&world, path, &deep, NULL, "is missing");
    expect_refused(&world, path, &shallow, NULL, "another model's");
    expect_refused(&world, path, &numbered, NULL, "shot_embed.weight is missing");
    expect_refused(&world, in_dir("none.h5"), &tiny_model, NULL, "none.h5");
    expect_refused(&world, dir, &tiny_model, NULL, "not a regular file");
    if (world.rank == 0) {
        FILE *f = fopen(in_dir("text.h5"), "w");
        for (int i = 0; i < 100; i++) fprintf(f, "this is not a checkpoint\n");
        fclose(f);
        hid_t h;
        assert_ok(tk_h5_create(in_dir("clip.h5"), "talkie-clips", 1, &h));
        assert_ok(tk_h5_close(h, "clip.h5"));
        assert_ok(tk_ck_seal(in_dir("clip.h5"), 0, NULL));
    }
    sync_ranks();
    expect_refused(&world, in_dir("text.h5"), &tiny_model, NULL, "not a whole checkpoint");
    expect_refused(&world, in_dir("clip.h5"), &tiny_model, NULL, "talkie-clips");
}

// ---- damage ------------------------------------------------------------------------------------

static void put_byte(const char *path, size_t at, unsigned char x)
{
    const int fd = open(path, O_WRONLY);
    assert_ok(tk_pwrite_all(fd, path, &x, 1, (int64_t)at));
    close(fd);
}

// Each rank flips its share of the bytes, in a file of its own.
static void a_flipped_byte_is_found_wherever_it_is(void **state)
{
    (void)state;
    const char *path = my_path("flip.h5");
    size_t bytes;
    save_alone(path);
    unsigned char *x = slurp(path, &bytes);
    const size_t stride = bytes / 100 | 1;
    for (size_t k = (size_t)world.rank; k < 220; k += (size_t)world.size) {
        size_t at = k < 100 ? k * stride : k < 160 ? (k - 100) * 29 : bytes - 1 - (k - 160) * 7;
        if (at >= bytes) continue;
        put_byte(path, at, x[at] ^ (unsigned char)(1 << k % 8));
        if (tk_ck_verify(path, &alone, &digest) != TK_INPUT)
            fail_msg("byte %zu of %zu: %s", at, bytes, tk_status_message());
        assert_says(path);
        tk_status_clear();
        put_byte(path, at, x[at]);
    }
    assert_ok(tk_ck_verify(path, &alone, &digest));
    tk_free(x);
    unlink(path);
    sync_ranks();
}

static void the_damaged_tensor_is_named(void **state)
{
    (void)state;
    const char *name = "/ema/proj_in.weight";
    char *path = in_dir("named.h5");
    tk_arena a;
    tk_ck_list list;
    tk_arena_init(&a, 0);
    if (world.rank == 0) {
        save_alone(path);
        assert_ok(tk_ck_list_all(path, &a, &list));
        for (int64_t i = 0; i < list.n; i++)
            if (!strcmp(list.name[i], name)) put_byte(path, (size_t)list.tensor[i].address + 2, 77);
    }
    sync_ranks();
    rig r;
    open_rig(&r, &world, world.size, 1);
    assert_status(tk_checkpoint_load(path, &r.mesh, &r.model, FLATS, r.flat), TK_INPUT);
    assert_says(name);
    assert_status(tk_ck_verify(path, &world, &digest), TK_INPUT);
    assert_says(name);
    close_rig(&r);
    tk_arena_free(&a);
    tk_status_clear();
    sync_ranks();
}

static void a_truncated_file_is_refused(void **state)
{
    (void)state;
    const char *path = my_path("short.h5");
    struct stat s;
    save_alone(path);
    assert_int_equal(stat(path, &s), 0);
    const int64_t cut[] = {1, 8, 24, 25, 1000, s.st_size / 2, s.st_size - 100, s.st_size};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        if (truncate(path, s.st_size - cut[i])) fail();
        assert_status(tk_ck_verify(path, &alone, &digest), TK_INPUT);
        assert_says(path);
        tk_status_clear();
    }
    unlink(path);
    sync_ranks();
}

// ---- directories -------------------------------------------------------------------------------

static void newest_falls_back(void **state)
{
    (void)state;
    tk_arena a;
    char *path, *run = in_dir("run");
    tk_checkpoint_meta meta;
    tk_arena_init(&a, 0);
    assert_status(tk_checkpoint_newest(run, "", &world, &a, &path, &meta), TK_INPUT);
    sync_ranks();
    if (world.rank == 0) {
        mkdir(run, 0777);
        save_alone(in_dir("run/step-00000005.h5"));
        save_alone(in_dir("run/step-00000040.h5"));
        save_alone(in_dir("run/step-00000300.h5"));
        save_alone(in_dir("run/step-x.h5")); // not one of ours
        fclose(fopen(in_dir("run/step-00000301.h5.tmp"), "w"));
    }
    sync_ranks();
    assert_ok(tk_checkpoint_newest(run, "", &world, &a, &path, &meta));
    assert_string_equal(path, in_dir("run/step-00000300.h5"));
    sync_ranks();
    if (world.rank == 0) put_byte(path, 5000, 99);
    sync_ranks();
    assert_ok(tk_checkpoint_newest(run, "", &world, &a, &path, &meta));
    assert_string_equal(path, in_dir("run/step-00000040.h5"));
    assert_status(
        tk_checkpoint_newest(in_dir("run/step-00000300.h5"), "", &world, &a, &path, &meta),
        TK_INPUT);
    assert_says("damaged");
    sync_ranks();
    if (world.rank == 0) assert_ok(tk_checkpoint_prune(run, 40, 1));
    sync_ranks();
    assert_int_equal(access(in_dir("run/step-00000300.h5"), F_OK), 0);
    assert_int_equal(access(in_dir("run/step-00000040.h5"), F_OK), 0);
    assert_int_equal(access(in_dir("run/step-x.h5"), F_OK), 0);
    assert_int_not_equal(access(in_dir("run/step-00000005.h5"), F_OK), 0);
    assert_int_not_equal(access(in_dir("run/step-00000301.h5.tmp"), F_OK), 0);
    sync_ranks();
    if (world.rank == 0) unlink(in_dir("run/step-00000040.h5"));
    sync_ranks();
    assert_status(tk_checkpoint_newest(run, "", &world, &a, &path, &meta), TK_INPUT);
    assert_says("none of the 1 checkpoints");
    tk_arena_free(&a);
    tk_status_clear();
    sync_ranks();
}

// ---- full disk ---------------------------------------------------------------------------------

static void limit_files(rlim_t bytes)
{
    struct rlimit l = {bytes, RLIM_INFINITY};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

// The disk is full for one rank, at one of several lengths; what was there before stays.
static void a_full_disk_leaves_the_old_checkpoint(void **state)
{
    (void)state;
    static const rlim_t limit[] = {0, 1000, 20000, 100000};
    char *path = in_dir("full.h5");
    signal(SIGXFSZ, SIG_IGN);
    if (world.rank == 0) save_alone(path);
    sync_ranks();
    for (size_t k = 0; k < 2 * sizeof limit / sizeof *limit; k++) {
        const bool there = k % 2;
        char *to = there ? path : in_dir("fresh.h5");
        rig r;
        open_rig(&r, &world, world.size, 1);
        if (world.rank == (int)k / 2 % world.size) limit_files(limit[k / 2]);
        const tk_status st = save_rig(&r, to);
        limit_files(RLIM_INFINITY);
        assert_int_equal(st, TK_IO);
        tk_status_clear();
        char tmp[600];
        snprintf(tmp, sizeof tmp, "%s.tmp", to);
        sync_ranks();
        assert_int_not_equal(access(tmp, F_OK), 0);
        if (there)
            assert_ok(tk_ck_verify(path, &world, &digest));
        else
            assert_int_not_equal(access(to, F_OK), 0);
        close_rig(&r);
    }
}

// The n-th allocation of the last rank fails, for every n until saving and loading get by without
// it: all ranks say so, nothing is left behind.
static void running_out_of_memory_is_agreed_upon(void **state)
{
    (void)state;
    char *path = in_dir("memory.h5");
    rig r;
    open_rig(&r, &world, world.size, 1);
    each_share(&r, false);
    const tk_checkpoint_meta meta = {.step = 1, .config = "", .codec = codec};
    int failures = 0;
    for (int nth = 1, done = 0; !done; nth++) {
        if (world.rank == world.size - 1) tk_alloc_fail_at(nth, false);
        tk_status st = tk_checkpoint_save(path, &r.mesh, &r.model, FLATS, r.flat, &meta);
        if (st == TK_OK) {
            st = tk_checkpoint_load(path, &r.mesh, &r.model, FLATS, r.flat);
            done = st == TK_OK;
        } else {
            assert_int_not_equal(access(path, F_OK), 0);
        }
        tk_alloc_fail_at(0, false);
        if (st != TK_OK) assert_int_equal(st, TK_MEMORY);
        failures += st != TK_OK;
        tk_status_clear();
        sync_ranks();
        if (world.rank == 0) unlink(path);
        sync_ranks();
    }
    assert_true(failures > 5);
    close_rig(&r);
}

static void a_directory_that_is_not_there(void **state)
{
    (void)state;
    rig r;
    open_rig(&r, &world, 1, 1);
    const tk_status st = save_rig(&r, in_dir("no/such/step-00000001.h5"));
    assert_true(st == TK_INPUT || st == TK_IO);
    assert_says("no/such");
    close_rig(&r);
    tk_status_clear();
}

// ---- the codec, and main ------------------------------------------------------------------------

static tk_status noise_clip(void *ctx, int64_t i, tk_media *clip)
{
    static uint8_t video[8 * 16 * 16 * 3];
    static float audio[4000];
    (void)ctx;
    for (size_t k = 0; k < sizeof video; k++) video[k] = (uint8_t)(k * 37 + (size_t)i * 11 + k / 7);
    for (int k = 0; k < 4000; k++) audio[k] = sinf((float)k * 0.1f * (float)(i + 1)) * 0.3f;
    *clip = (tk_media){.frames = 8,
                       .height = 16,
                       .width = 16,
                       .rgb = video,
                       .samples = 4000,
                       .channels = 1,
                       .pcm = audio};
    return TK_OK;
}

static int set_up(void **state)
{
    (void)state;
    const tk_codec_config c = {.patch_frames = 2,
                               .patch_size = 8,
                               .video_channels = 4,
                               .audio_hop = 100,
                               .audio_channels = 8,
                               .fit_clips = 3};
    const tk_media_config m = {
        .width = 16, .height = 16, .fps = 8, .sample_rate = 4000, .channels = 1};
    tk_arena_init(&names, 0);
    snprintf(dir, sizeof dir, "/tmp/talkie-checkpoint-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return -1;
    if (tk_comm_broadcast(&world, dir, sizeof dir, 0) != TK_OK) return -1;
    if (tk_mpi_split(&world, "alone", world.rank, &alone) != TK_OK) return -1;
    return tk_codec_fit(&c, &m, noise_clip, NULL, 3, &codec) == TK_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[400];
    tk_codec_free(codec);
    tk_mpi_close(&alone);
    tk_arena_free(&names);
    if (tk_comm_barrier(&world) != TK_OK) return -1;
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return world.rank == 0 ? system(command) : 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_writes_the_same_file),
        cmocka_unit_test(every_layout_reads_it),
        cmocka_unit_test(the_header_reaches_every_rank),
        cmocka_unit_test(other_models_and_files_are_refused),
        cmocka_unit_test(a_flipped_byte_is_found_wherever_it_is),
        cmocka_unit_test(the_damaged_tensor_is_named),
        cmocka_unit_test(a_truncated_file_is_refused),
        cmocka_unit_test(newest_falls_back),
        cmocka_unit_test(a_full_disk_leaves_the_old_checkpoint),
        cmocka_unit_test(running_out_of_memory_is_agreed_upon),
        cmocka_unit_test(a_directory_that_is_not_there),
    };
    setenv("TALKIE_COMM_TIMEOUT", "20", 0);
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    if (failed) tk_parallel_abort(1); // ranks that did not fail may be waiting
    tk_parallel_stop();
    return 0;
}
