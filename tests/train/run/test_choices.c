// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 60 */
// A run on a device that learns: it rehearses once, all ranks choose alike, and what it computes is
// as if it had not. The device is "cpu", with something to learn of its own.
#include "core/base/files.h"
#include "tests/support/clips.h"
#include "tests/support/heard.h"
#include "tests/support/ranks.h"
#include "train/run/choices.h"
#include "train/run/run.h"
#include "train/run/rundir.h"
#include <stdio.h>
#include <unistd.h>

enum { STEPS = 3 };

static tk_comm world;
static char dir[64], clips[128], file[128];
static const tk_owner owner = {.dir = dir, .staging = dir};

// ---- a device that learns ----------------------------------------------------------------------

static const char OWN[] = "own\n";
static struct {
    int lessons;
    int64_t operators; // while it learned
    char chosen[64];   // "": nothing
} pupil;

static tk_status pupil_learn(tk_device *d, bool on)
{
    pupil.lessons += on;
    pupil.operators = d->trace.calls[TK_TRACE_OPERATOR] - (on ? 0 : pupil.operators);
    return TK_OK;
}

static tk_status pupil_write(tk_device *d, tk_arena *a, char **text)
{
    (void)d;
    *text = *pupil.chosen ? tk_arena_strdup(a, pupil.chosen)
                          : tk_arena_printf(a, "%slearned by %d\n", OWN, world.rank);
    return TK_OK;
}

static tk_status pupil_read(tk_device *d, int n, const char *const text[], int64_t *own)
{
    (void)d;
    *pupil.chosen = 0;
    *own = 0;
    for (int i = n - 1; i >= 0; i--) {
        if (!strcmp(text[i], "other\n")) continue;
        if (strncmp(text[i], OWN, strlen(OWN)) != 0) return TK_FAIL(TK_INPUT, "damaged");
        snprintf(pupil.chosen, sizeof pupil.chosen, "%s", text[i]);
        ++*own;
    }
    return TK_OK;
}

static const tk_device_choice_ops pupil_choices = {pupil_learn, pupil_write, pupil_read};

// ---- a run -------------------------------------------------------------------------------------

static int open_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/talkie-XXXXXX");
    if (world.rank == 0 && !mkdtemp(dir)) return 1;
    if (tk_comm_broadcast(&world, dir, sizeof dir, 0) != TK_OK) return 1;
    snprintf(clips, sizeof clips, "%s/clips.h5", dir);
    snprintf(file, sizeof file, "%s/choices.txt", dir);
    return test_write_clips(&world, clips, 1, 9, -1) != TK_OK;
}

static int close_dir(void **state)
{
    (void)state;
    if (tk_comm_barrier(&world) != TK_OK) return 1;
    if (world.rank) return 0;
    (void)unlink(file);
    return unlink(clips) || rmdir(dir);
}

static void make_config(tk_config *c)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 24, heads: 3, head_dim: 14, layers: 2, refiner_layers: 1, ffn: 21,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: 10, batch: 4, microbatch: 1, warmup: 2}\n"
             "parallel: {threads: 1, pipeline: %d}\n",
             clips, world.size);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

// What is heard of some steps; on a device that learns, with the choices of a run in `dir`.
static heard run_steps(bool learns)
{
    tk_config c;
    tk_train_parts p = {0};
    tk_trainer t;
    heard h = {0};
    make_config(&c);
    assert_ok(tk_train_parts_open(&p, &world, &c));
    tk_device_ops ops = *p.device.ops;
    ops.choices = learns ? &pupil_choices : NULL;
    p.device.ops = &ops;
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    pupil.lessons = 0;
    *pupil.chosen = 0;
    assert_ok(tk_run_choices(&world, &t, &owner, 0));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, &h);
    for (int64_t s = 0; s < STEPS; s++) assert_ok(tk_trainer_step(&t, s, false, TK_OK));
    assert_ok(tk_trainer_drain(&t, false, TK_OK));
    tk_trainer_close(&t);
    assert_int_equal(p.device.pool.in_use, 0);
    tk_train_parts_close(&p);
    tk_config_free(&c);
    assert_int_equal(h.n, STEPS);
    return h;
}

static void write_file(const char *text)
{
    assert_ok(tk_comm_barrier(&world)); // the others have read the one before
    if (world.rank == 0) assert_ok(tk_rundir_text(&owner, "choices.txt", text));
    assert_ok(tk_comm_barrier(&world));
}

static void assert_file(const char *wanted)
{
    tk_arena a;
    char *text;
    size_t n;
    tk_arena_init(&a, 0);
    assert_ok(tk_comm_barrier(&world));
    assert_ok(tk_file_read(file, 1 << 20, &a, &text, &n));
    assert_string_equal(text, wanted);
    tk_arena_free(&a);
}

static void it_rehearses_once_and_leaves_no_trace(void **state)
{
    (void)state;
    const heard plain = run_steps(false);
    for (int again = 0; again < 2; again++) {
        const heard taught = run_steps(true);
        assert_int_equal(pupil.lessons, again == 0);
        if (!again) assert_true(pupil.operators > 0);
        assert_string_equal(pupil.chosen, "own\nlearned by 0\n");
        assert_file("own\nlearned by 0\n");
        for (int s = 0; s < STEPS; s++) {
            assert_true(taught.r[s].loss == plain.r[s].loss);
            assert_true(taught.r[s].grad_norm == plain.r[s].grad_norm);
            assert_true(taught.r[s].rows == plain.r[s].rows);
            assert_true(taught.r[s].flops == plain.r[s].flops);
        }
    }
}

static void the_file_is_taken(void **state)
{
    (void)state;
    write_file("own\nof an earlier run\n");
    run_steps(true);
    assert_int_equal(pupil.lessons, 0);
    assert_string_equal(pupil.chosen, "own\nof an earlier run\n");
}

static void damaged_ones_and_those_of_others_are_made_anew(void **state)
{
    (void)state;
    const char *const bad[] = {"", "nonsense\n", "other\n"};
    for (int i = 0; i < 3; i++) {
        write_file(bad[i]);
        run_steps(true);
        assert_int_equal(pupil.lessons, 1);
        assert_file("own\nlearned by 0\n");
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_rehearses_once_and_leaves_no_trace),
        cmocka_unit_test(the_file_is_taken),
        cmocka_unit_test(damaged_ones_and_those_of_others_are_made_anew),
    };
    ranks_run_with(argc, argv, world, tests, open_dir, close_dir);
}
