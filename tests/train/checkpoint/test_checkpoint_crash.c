// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 120 */
// A save that is killed at any arrow of its protocol leaves the checkpoint before it, or itself
// whole; never half of one under its name. The program runs itself under mpirun to be killed.
#include "core/base/log.h"
#include "parallel/mpi/start.h"
#include "tests/support/test.h"
#include "train/checkpoint/internal.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char self[4096], dir[64];
static const char *die_at;
static tk_comm world;

static const tk_model_config model_config = {.hidden = 16,
                                             .heads = 2,
                                             .head_dim = 8,
                                             .layers = 2,
                                             .refiner_layers = 1,
                                             .ffn = 16,
                                             .video_channels = 4,
                                             .audio_channels = 4,
                                             .text_channels = 4,
                                             .freq_dim = 8,
                                             .time_hidden = 8,
                                             .time_dim = 8,
                                             .rope_freq_dim = 1,
                                             .rope_theta = 1e4,
                                             .norm_eps = 1e-6,
                                             .qk_norm_eps = 1e-6,
                                             .final_norm_eps = 1e-6};

// Saves a model all of whose weights come from `seed`, over all ranks as tensor ranks.
static tk_status save(const char *path, int64_t seed)
{
    tk_parallel_config p = {0};
    tk_mesh mesh;
    tk_device device;
    tk_model m;
    TK_TRY(tk_mesh_open(&mesh, &world, &p, TK_AXIS_TENSOR));
    TK_TRY(tk_device_open(&device, &tk_device_ref, 1, (size_t)1 << 26));
    TK_TRY(tk_mesh_attach(&mesh, &device));
    TK_TRY(tk_model_open(
        &m, &model_config,
        &(tk_model_part){.device = &device, .tensor = &mesh.axis[TK_AXIS_TENSOR].device}));
    TK_TRY(tk_model_init_weights(&m, (uint64_t)seed));
    const tk_flat flat = {"model", m.values, &m.whole, 1, true};
    const tk_checkpoint_meta meta = {.step = seed, .config = "model: {}\n"};
    TK_TRY(tk_checkpoint_save(path, &mesh, &m, 1, &flat, &meta));
    tk_model_close(&m);
    tk_mesh_close(&mesh);
    tk_device_close(&device);
    return TK_OK;
}

static void die(const char *arrow)
{
    if (!strcmp(arrow, die_at)) raise(SIGKILL);
}

// argv: path seed arrow. Saves under mpirun, killed at the arrow.
static int play(int argc, char **argv)
{
    const char *path = argv[1];
    const int64_t seed = atoll(argv[2]);
    die_at = argv[3];
    tk_ck_at = die;
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    const tk_status st = save(path, seed);
    if (st != TK_OK) {
        fprintf(stderr, "%s\n", tk_status_message());
        tk_parallel_abort(tk_status_exit_code(st));
    }
    tk_parallel_stop();
    return 0;
}

static int run(const char *arrow, const char *name, int seed)
{
    char command[8192];
    snprintf(command, sizeof command,
             "TALKIE_COMM_TIMEOUT=20 mpirun --oversubscribe -n 2 '%s' %s/%s %d %s >/dev/null 2>&1",
             self, dir, name, seed, arrow);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int64_t newest_step(void)
{
    tk_arena a;
    char *path;
    tk_checkpoint_meta meta;
    tk_arena_init(&a, 0);
    assert_ok(tk_checkpoint_newest(dir, "", tk_comm_self(), &a, &path, &meta));
    const int64_t step = meta.step;
    tk_arena_free(&a);
    return step;
}

static bool exists(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void a_killed_save_costs_at_most_itself(void **state)
{
    (void)state;
    static const char *const arrows[] = {"digest", "layout", "write", "verify", "rename", "done"};
    assert_int_equal(run("none", "step-00000001.h5", 1), 0);
    assert_int_equal(newest_step(), 1);
    for (size_t i = 0; i < sizeof arrows / sizeof *arrows; i++) {
        const bool whole = !strcmp(arrows[i], "done");
        assert_int_not_equal(run(arrows[i], "step-00000002.h5", 2), 0);
        assert_int_equal(newest_step(), whole ? 2 : 1);
        assert_int_equal(exists("step-00000002.h5"), whole);
        // The next save writes over what was left, and over a checkpoint of the same name.
        assert_int_equal(run("none", "step-00000002.h5", 2), 0);
        assert_int_equal(newest_step(), 2);
        assert_false(exists("step-00000002.h5.tmp"));
        char path[128];
        snprintf(path, sizeof path, "%s/step-00000002.h5", dir);
        assert_int_equal(unlink(path), 0);
    }
}

// A run with train.keep=1: a checkpoint takes the place of the one before, some times.
static void rotate(const char *good)
{
    char now[128], before[128] = "";
    for (int step = 10; step < 25; step++) {
        snprintf(now, sizeof now, "%s/step-%08d.h5", dir, step);
        if (link(good, now)) _exit(1);
        if (*before) unlink(before);
        memcpy(before, now, sizeof before);
        usleep(30000);
    }
    _exit(0);
}

static void the_newest_is_found_while_a_run_removes_old_ones(void **state)
{
    char good[64];
    (void)state;
    assert_int_equal(run("none", "good.h5", 1), 0);
    snprintf(good, sizeof good, "%s/good.h5", dir);
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) rotate(good);
    while (!exists("step-00000010.h5")) usleep(100); // found before it goes, or a later one
    int status;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        tk_arena a;
        char *path;
        tk_checkpoint_meta meta;
        tk_arena_init(&a, 0);
        assert_ok(tk_checkpoint_newest(dir, "", tk_comm_self(), &a, &path, &meta));
        tk_arena_free(&a);
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/talkie-crash-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return system(command);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_save_costs_at_most_itself),
        cmocka_unit_test(the_newest_is_found_while_a_run_removes_old_ones),
    };
    if (argc > 3) return play(argc, argv);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 1;
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
