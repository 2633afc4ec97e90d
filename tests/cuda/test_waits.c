// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 200 */
// Gradients summed and weights gathered in buckets beside the work of emulated GPUs: each wait that
// orders a bucket is left out once, and the numbers of a run are then others in some order of the
// streams, or the stand-in finds memory in use that must not be. The program runs itself under
// mpirun with a fault to plant.
#include "tests/cuda/standin/standin.h"
#include "tests/support/clips.h"
#include "tests/support/heard.h"
#include "tests/support/ranks.h"
#include "train/run/run.h"
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

// Heads begin as zeros: the first update changes them alone, the second all weights, which the
// third step needs.
enum { RANKS = 2, STEPS = 3, SEEDS = 40 };
// Buckets that are looked at: those whose operators take longest. Exit codes of a run.
enum { FIRST = 2, SHOWN = 3, STANDIN_ABORTS = 134 };

static tk_comm world;
static tk_config config;
static char dir[64], clips[128];

static int open_clips(void)
{
    char text[1024];
    snprintf(dir, sizeof dir, "/tmp/talkie-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return 1;
    if (tk_comm_broadcast(&world, dir, sizeof dir, 0) != TK_OK) return 1;
    snprintf(clips, sizeof clips, "%s/clips.h5", dir);
    tk_config_init(&config);
    snprintf(text, sizeof text,
             "device: cuda\n"
             "model: {hidden: 16, heads: 1, head_dim: 8, layers: 2, refiner_layers: 1, ffn: 8,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 8, time_dim: 8, rope_freq_dim: 1}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: 10, batch: 2, microbatch: 1, warmup: 1, bucket: 1}\n"
             "parallel: {threads: 1, data: 2, share_gpu: true}\n",
             clips);
    assert_ok(tk_config_parse(&config, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
    return test_write_clips(&world, clips, 1, 4, -1) != TK_OK;
}

static int close_clips(void)
{
    tk_config_free(&config);
    if (tk_comm_barrier(&world) != TK_OK) return 1;
    return world.rank == 0 && (unlink(clips) || rmdir(dir));
}

// ---- a wait less -------------------------------------------------------------------------------

static struct {
    const tk_device_ops *right;
    const tk_event *event; // NULL: all waits are as they should be
    int64_t nth;           // wait for it, of a queue, that is none; 0: the next
} left_out;

static tk_status wait_unless_left_out(tk_event *e, tk_queue q)
{
    if (e == left_out.event && left_out.nth-- == 0) return TK_OK;
    return left_out.right->event_wait(e, q);
}

typedef enum fault {
    NOTHING,
    BEFORE_SUM,    // of a bucket: for the backward that makes its gradients
    AFTER_SUMS,    // of the optimizer, for the sums
    BEFORE_GATHER, // for the optimizer
    AFTER_GATHER,  // of the next forward, for a bucket
} fault;

static void leave_out(const tk_optimizer *o, fault f, int bucket)
{
    const tk_event *events[] = {[BEFORE_SUM] = &o->sums.whole,
                                [AFTER_SUMS] = &o->sums.done,
                                [BEFORE_GATHER] = &o->weights.own,
                                [AFTER_GATHER] = &o->weights.ready[bucket]};
    left_out.event = f ? events[f] : NULL;
    left_out.nth = f == BEFORE_SUM ? bucket : 0;
}

// ---- runs --------------------------------------------------------------------------------------

static void train(tk_train_parts *p, uint64_t seed, fault f, int bucket, heard *h)
{
    tk_trainer t;
    *h = (heard){0};
    standin_seed(seed);
    assert_ok(tk_trainer_open(&t, &config, &p->mesh, &p->device, p->loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, h);
    for (int64_t s = 0; s < STEPS; s++) {
        if (s == (f == AFTER_GATHER ? 2 : 1)) leave_out(&t.optimizer, f, bucket);
        assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    }
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    if (f) assert_true(left_out.nth < 0); // there was such a wait
    left_out.event = NULL;
    assert_ok(tk_device_sync(&p->device));
    tk_trainer_close(&t);
    assert_int_equal(h->n, STEPS);
}

static bool same_numbers(const heard *a, const heard *b)
{
    bool same = true;
    for (int s = 0; s < STEPS; s++)
        same &= a->r[s].loss == b->r[s].loss && a->r[s].grad_norm == b->r[s].grad_norm;
    uint64_t differs = !same;
    assert_ok(tk_comm_sum_u64(&world, &differs, 1));
    return differs == 0;
}

// One process of RANKS. Returns SHOWN where the fault makes other numbers in one of the orders.
static int play(fault f, int bucket, int argc, char **argv)
{
    tk_train_parts p = {0};
    heard right, other;
    bool same = true;
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    if (open_clips()) return 1;
    assert_ok(tk_train_parts_open(&p, &world, &config));
    const tk_device_ops *ops = p.device.ops;
    tk_device_ops watched = *ops;
    watched.event_wait = wait_unless_left_out;
    left_out.right = ops;
    p.device.ops = &watched;
    train(&p, 0, NOTHING, 0, &right);
    for (int seed = 0; seed < (f ? SEEDS : 2) && same; seed++) {
        train(&p, (uint64_t)seed, f, bucket, &other);
        same = same_numbers(&right, &other);
    }
    p.device.ops = ops;
    tk_train_parts_close(&p);
    if (close_clips()) return 1;
    tk_parallel_stop();
    return same ? 0 : SHOWN;
}

// ---- the test ----------------------------------------------------------------------------------

static char self[4096];

// What it printed is shown where its exit code is not among those awaited. Ranks that wait for each
// other say so and end.
static void run_with(fault f, int bucket, int awaited, int awaited_too)
{
    char command[8192], said[4096];
    size_t n = 0;
    snprintf(command, sizeof command,
             "TALKIE_COMM_TIMEOUT=20 mpirun --oversubscribe -n %d '%s' %d %d 2>&1", RANKS, self,
             (int)f, bucket);
    FILE *out = popen(command, "r");
    assert_non_null(out);
    for (size_t got; (got = fread(said + n, 1, sizeof said - 1 - n, out)) > 0;)
        n = n + got < sizeof said - 1 ? n + got : 0; // the end of it
    said[n] = 0;
    const int status = pclose(out), code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
    if (code != awaited && code != awaited_too)
        fail_msg("exit code %d with fault %d for bucket %d: %s", code, (int)f, bucket, said);
}

static void without_a_fault_nothing_shows(void **state)
{
    (void)state;
    run_with(NOTHING, 0, 0, 0);
}

static void a_wait_left_out_shows(void **state)
{
    const fault *f = *state;
    const bool each = *f == BEFORE_SUM || *f == AFTER_GATHER;
    for (int bucket = 0; bucket < (each ? FIRST : 1); bucket++)
        run_with(*f, bucket, SHOWN, STANDIN_ABORTS);
}

int main(int argc, char **argv)
{
    static fault faults[] = {BEFORE_SUM, AFTER_SUMS, BEFORE_GATHER, AFTER_GATHER};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_fault_nothing_shows),
        {"gradients are summed before they are there", a_wait_left_out_shows, NULL, NULL,
         &faults[0]},
        {"the optimizer reads before they are summed", a_wait_left_out_shows, NULL, NULL,
         &faults[1]},
        {"weights are gathered before they are there", a_wait_left_out_shows, NULL, NULL,
         &faults[2]},
        {"the forward reads before they are gathered", a_wait_left_out_shows, NULL, NULL,
         &faults[3]},
    };
    if (argc > 2) return play((fault)atoi(argv[1]), atoi(argv[2]), argc, argv);
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
