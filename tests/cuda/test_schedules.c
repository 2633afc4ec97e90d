// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1 2; timeout: 120 */
// Training on emulated GPUs whose streams run in orders drawn at random: the same losses and norms
// to the bit, whatever is late. TK_TEST_SEEDS says which orders of each layout, else three; `make
// schedules` looks at 2,000.
#include "tests/cuda/standin/standin.h"
#include "tests/support/clips.h"
#include "tests/support/heard.h"
#include "tests/support/ranks.h"
#include "train/run/run.h"
#include <stdio.h>
#include <stdlib.h>

enum { STEPS = 3, SEEDS = 3, LEFT_OUT = 4, ORDERS = 3 };

static tk_comm world;
static char clips[TEST_CLIPS_PATH];

typedef struct layout {
    int ranks;
    const char *name, *train, *parallel;
} layout;

static const layout layouts[] = {
    {1, "one rank", "microbatch: 1, recompute: blocks", ""},
    {1, "one rank, bf16, graphs", "microbatch: 2, precision: bf16, graph: true", ""},
    {2, "tensor 2", "microbatch: 1", "tensor: 2, row_pieces: 2"},
    {2, "tensor 2, graphs", "microbatch: 2, graph: true", "tensor: 2"},
    {2, "pipeline 2", "microbatch: 1, recompute: blocks", "pipeline: 2"},
    {2, "pipeline 2, backward in halves", "microbatch: 1", "pipeline: 2, schedule: zb-h1"},
    {2, "data 2", "microbatch: 1, bucket: 1", "data: 2"},
    {2, "data 2, bf16", "microbatch: 1, bucket: 1, precision: bf16", "data: 2"},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0], DATA_2 = 6 };

static int open_clips(void **state)
{
    (void)state;
    setenv("STANDIN_CUBLASLT_FAST", "4", 1); // whichever is timed: one algorithm, the same bits
    setenv("TALKIE_POISON", "1", 1);
    return test_clips_open(&world, 1, clips);
}

static int close_clips(void **state)
{
    (void)state;
    return test_clips_close(&world, clips);
}

static void make_config(tk_config *c, const layout *l)
{
    char text[1024];
    tk_config_init(c);
    snprintf(text, sizeof text,
             "model: {hidden: 16, heads: 2, head_dim: 8, layers: 2, refiner_layers: 1, ffn: 12,\n"
             "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 1}\n"
             "data: {files: [%s], threads: 1}\n"
             "train: {steps: 10, batch: 2, warmup: 1, lr: 1e-2, memory: 0, drop_caption: 0, %s}\n"
             "device: cuda\n"
             "parallel: {threads: 1, share_gpu: true%s%s}\n",
             clips, l->train, *l->parallel ? ", " : "", l->parallel);
    assert_ok(tk_config_parse(c, TK_CMD_TRAIN, "test.yaml", text, strlen(text), 0, NULL));
}

typedef struct outcome {
    tk_status status;
    heard h;
    int64_t waits; // of streams of this rank for events, in step 1
} outcome;

// In the order of that seed, another on each rank; in step 1 rank 0 is without that wait of a
// stream (0: with all).
static void train(const layout *l, uint64_t seed, int64_t left_out, outcome *o)
{
    tk_config c;
    tk_train_parts p = {0};
    tk_trainer t;
    *o = (outcome){TK_OK, {{{0}}, 0}, 0};
    make_config(&c, l);
    standin_seed(seed ? seed * (uint64_t)world.size + (uint64_t)world.rank : 0);
    assert_ok(tk_train_parts_open(&p, &world, &c));
    assert_ok(tk_trainer_open(&t, &c, &p.mesh, &p.device, p.loader));
    assert_ok(tk_trainer_init(&t));
    assert_ok(tk_trainer_start(&t, 0));
    tk_trainer_listen(&t, listen, &o->h);
    for (int64_t s = 0; s < STEPS && o->status == TK_OK; s++) {
        const int64_t before = standin_count().waits;
        if (s == 1 && world.rank == 0) standin_leave_out_wait(left_out);
        o->status = tk_trainer_step(&t, s, false, TK_OK);
        standin_leave_out_wait(0);
        if (s == 1) o->waits = standin_count().waits - before;
    }
    if (o->status == TK_OK) o->status = tk_trainer_drain(&t, false, TK_OK);
    tk_trainer_close(&t);
    assert_int_equal(p.device.pool.in_use, 0);
    tk_train_parts_close(&p);
    tk_config_free(&c);
}

static bool same_numbers(const outcome *a, const outcome *b)
{
    bool same = a->status == b->status && a->h.n == STEPS && b->h.n == STEPS;
    for (int s = 0; s < STEPS && same; s++)
        same = a->h.r[s].loss == b->h.r[s].loss && a->h.r[s].grad_norm == b->h.r[s].grad_norm;
    return same;
}

// From and to which seed orders are looked at: "17-250" in TK_TEST_SEEDS, "250" from 1.
static void read_seeds(uint64_t *first, uint64_t *last)
{
    const char *said = getenv("TK_TEST_SEEDS"), *dash = said ? strchr(said, '-') : NULL;
    *first = dash ? strtoull(said, NULL, 10) : 1;
    *last = said ? strtoull(dash ? dash + 1 : said, NULL, 10) : SEEDS;
    assert_true(*first >= 1 && *first <= *last);
}

static void gives_the_same_in_any_order(void **state)
{
    const layout *l = *state;
    outcome at_once, other;
    uint64_t seed, last;
    read_seeds(&seed, &last);
    train(l, 0, 0, &at_once);
    assert_ok(at_once.status);
    for (; seed <= last; seed++) {
        train(l, seed, 0, &other);
        assert_ok(other.status);
        if (!same_numbers(&at_once, &other))
            fail_msg("the order of seed %llu gives other numbers", (unsigned long long)seed);
    }
}

// So the orders find what is missing: not every time, as many a wait is for what others have waited
// for as well.
static void a_wait_left_out_shows(void **state)
{
    const layout *l = *state;
    outcome whole, without;
    int shown = 0;
    train(l, 0, 0, &whole);
    assert_ok(tk_comm_broadcast(&world, &whole.waits, sizeof whole.waits, 0));
    const int64_t apart = whole.waits / LEFT_OUT;
    assert_true(apart > 0);
    for (int64_t n = 1; n <= whole.waits; n += apart) {
        bool same = true;
        for (uint64_t seed = 0; same && seed < ORDERS; seed++) {
            train(l, seed, n, &without);
            same = same_numbers(&whole, &without);
            tk_status_clear();
        }
        shown += !same;
    }
    assert_true(shown > 0);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[LAYOUTS + 1] = {{0}};
    size_t n = 0;
    if (tk_parallel_start(&argc, &argv, &world) != TK_OK) return 1;
    for (int i = 0; i < LAYOUTS; i++) {
        const layout *l = &layouts[i];
        if (l->ranks != world.size) continue;
        tests[n++] = (struct CMUnitTest){
            .name = l->name, .test_func = gives_the_same_in_any_order, .initial_state = (void *)l};
    }
    if (world.size == 2)
        tests[n++] = (struct CMUnitTest){.name = "a wait left out shows",
                                         .test_func = a_wait_left_out_shows,
                                         .initial_state = (void *)&layouts[DATA_2]};
    if (_cmocka_run_group_tests("schedules", tests, n, open_clips, close_clips))
        tk_parallel_abort(1);
    tk_parallel_stop();
    return 0;
}
