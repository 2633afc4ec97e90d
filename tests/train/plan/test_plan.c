// SPDX-License-Identifier: Apache-2.0
/*TEST nsize: 1; timeout: 60 */
// Plans against figures worked out by hand: FLOPs of a small model, times on machines that have one
// limit each, what goes between ranks, memory.
#include "tests/support/test.h"
#include "train/plan/layout.h"
#include <stdio.h>

enum { TEXT = 1 + 30, VIDEO = 3 * 2 * 4, AUDIO = 2 * 10, ROWS = TEXT + VIDEO + AUDIO, LEVELS = 3 };
enum { H = 48, HEADS = 4, INNER = 4 * 16, FFN = 80, LAYERS = 4, CV = 24, CA = 10, CT = 14 };

static void make_config(tk_config *c, const char *more)
{
    char text[1024];
    tk_config_init(c);
    // 12 frames are 3 latents of 2 x 4 rows; half a second is 9 hops of sound, and the tail.
    snprintf(text, sizeof text,
             "model: {hidden: 48, heads: 4, head_dim: 16, layers: 4, refiner_layers: 1, ffn: 80,\n"
             "  text_channels: 14, freq_dim: 8, time_hidden: 12, time_dim: 10, rope_freq_dim: 2}\n"
             "media: {width: 64, height: 32, fps: 24, sample_rate: 7200, channels: 2}\n"
             "codec: {patch_frames: 4, patch_size: 16, video_channels: 24, audio_hop: 400,\n"
             "  audio_channels: 10}\n"
             "plan: {frames: 12, caption: 30}\n"
             "train: {steps: 4, batch: 4, microbatch: 1, audio_shift: 3, drop_caption: 0}\n"
             "%s",
             more);
    assert_ok(tk_config_parse(c, TK_CMD_PLAN, "test.yaml", text, strlen(text), 0, NULL));
}

static void plan_layout(tk_config *c, const tk_machine *m, tk_arena *a, tk_layout_plan *out)
{
    int ranks;
    tk_plan_of of = {.config = c, .machine = m};
    assert_ok(tk_layout_fill(&c->parallel, &ranks));
    assert_ok(tk_plan_clips(c, &of.loader));
    assert_ok(tk_trainer_match(c, of.loader, (int)c->parallel.data));
    assert_ok(tk_layout_make(&of, ranks, a, out));
    tk_loader_close(of.loader);
}

// ---- FLOPs -------------------------------------------------------------------------------------

static double product(double rows, double in, double out, int times)
{
    return times * 2 * rows * in * out;
}

// Products of a document: forward and the gradients of weights and, where it comes from weights, of
// the input.
static double products(void)
{
    const double block = product(ROWS, H, INNER, 3 * 3) + product(ROWS, INNER, H, 3) +
                         product(ROWS, H, 2 * FFN, 3) + product(ROWS, FFN, H, 3) +
                         product(LEVELS, 10, 18 * H, 3);
    const double refiner = product(TEXT, H, INNER, 3 * 3) + product(TEXT, INNER, H, 3) +
                           product(TEXT, H, 2 * FFN, 3) + product(TEXT, FFN, H, 3);
    const double ends = product(TEXT, CT, H, 3) + product(VIDEO, CV, H, 2) +
                        product(AUDIO, CA, H, 2) + product(LEVELS, 8, 12, 2) +
                        product(LEVELS, 12, 10, 3) + product(LEVELS, 10, 2 * H, 3) +
                        product(VIDEO, H, CV, 3) + product(AUDIO, H, CA, 3);
    return LAYERS * block + refiner + ends;
}

static double attention(void) // of a document, forward
{
    return 4.0 * INNER * (LAYERS * ROWS * ROWS + TEXT * TEXT);
}

static void flops_are_those_of_the_model(void **state)
{
    (void)state;
    for (int recompute = 0; recompute < 2; recompute++) {
        tk_config c;
        tk_arena a;
        tk_layout_plan l;
        make_config(&c, "");
        c.train.recompute = recompute; // which MFU does not count
        tk_arena_init(&a, 0);
        plan_layout(&c, NULL, &a, &l);
        assert_int_equal(l.rows, 4 * ROWS);
        assert_near(l.flops / (4 * (products() + 3 * attention())), 1, 1e-12);
        const tk_cost *cost = l.plan[0].prices.cost;
        assert_near(cost[2 * TK_OP_ATTENTION + 1].flops / (4 * 2 * attention()), 1, 1e-12);
        const double n = (double)l.plan[0].parameters;
        assert_near(cost[2 * TK_OP_ADAMW].read / (16 * n), 1, 1e-3); // and a few numbers
        assert_near(cost[2 * TK_OP_ADAMW].written / (12 * n), 1, 1e-12);
        tk_arena_free(&a);
        tk_config_free(&c);
    }
}

// ---- times -------------------------------------------------------------------------------------

static tk_product_rate product_rate = {TK_PRECISION_FP32, 1, {1e30, 0, ""}};
static tk_attention_rate attention_rate = {TK_PRECISION_FP32, {1e30, 0, ""}, {1e30, 0, ""}};
static tk_peak_rate peak = {TK_PRECISION_FP32, {1e12, 0, ""}};
static tk_link links[2] = {{TK_LINK_NODE, 0, {1e30, 0, ""}}, {TK_LINK_NETWORK, 0, {1e30, 0, ""}}};

// Nothing takes time.
static tk_machine boundless(void)
{
    product_rate.rate.value = attention_rate.fore.value = attention_rate.back.value = 1e30;
    for (int k = 0; k < 2; k++) links[k].rate.value = 1e30, links[k].latency = 0;
    return (tk_machine){.gpus = 8,
                        .memory = {1e9, 0, ""},
                        .copy = {1e30, 0, ""},
                        .share = {1, 0, ""},
                        .host = {1e30, 0, ""},
                        .product = &product_rate,
                        .attention = &attention_rate,
                        .peak = &peak,
                        .link = links,
                        .n_product = 1,
                        .n_attention = 1,
                        .n_peak = 1,
                        .n_link = 2};
}

static double seconds_on(const tk_machine *m, const char *more, tk_layout_plan *l, tk_arena *a)
{
    tk_config c;
    make_config(&c, more);
    plan_layout(&c, m, a, l);
    tk_config_free(&c);
    return l->seconds;
}

static void one_limit_makes_the_time(void **state)
{
    tk_layout_plan l;
    tk_arena a;
    (void)state;
    tk_arena_init(&a, 0);
    tk_machine m = boundless();
    product_rate.rate.value = 1e9;
    assert_near(seconds_on(&m, "", &l, &a) / (4 * products() / 1e9), 1, 1e-9);
    assert_near(l.mfu, l.flops / (l.seconds * 1e12), 1e-12);
    assert_int_equal(tk_cost_bound(&l.plan[0].prices.cost[2 * TK_OP_LINEAR]), TK_BOUND_PRODUCTS);
    m = boundless();
    attention_rate.fore.value = 1e9, attention_rate.back.value = 2e9;
    assert_near(seconds_on(&m, "", &l, &a) / (4 * attention() * (1e-9 + 2 / 2e9)), 1, 1e-9);
    m = boundless();
    m.copy.value = 1e9, m.share.value = 0.5;
    seconds_on(&m, "", &l, &a);
    double moved = 0;
    for (int i = 0; i < 2 * TK_OP_COUNT; i++)
        moved += (l.plan[0].prices.cost[i].read + l.plan[0].prices.cost[i].written) / 0.5e9;
    for (int i = 2 * TK_OP_COUNT; i < 2 * TK_OP_COUNT + 2; i++) // copies go at the whole rate
        moved += (l.plan[0].prices.cost[i].read + l.plan[0].prices.cost[i].written) / 1e9;
    assert_near(l.seconds / moved, 1, 0.01); // but for what is copied between steps
    assert_int_equal(l.spare, (int64_t)1e9 - l.plan[0].total);
    tk_arena_free(&a);
}

// Equal stages: products alone take a time, a message some of it.
static void stages_wait_for_each_other(void **state)
{
    static const char two[] = "parallel: {pipeline: 2}\n";
    tk_layout_plan l;
    tk_arena a;
    (void)state;
    tk_arena_init(&a, 0);
    tk_machine m = boundless();
    product_rate.rate.value = 1e9;
    const double without = seconds_on(&m, two, &l, &a), idle = l.idle;
    assert_true(idle > 0.1 && idle < 0.5);
    links[0].latency = 1e-3;
    const double with = seconds_on(&m, two, &l, &a);
    assert_true(l.idle > idle);
    assert_near(l.plan[0].message, 1e-3, 1e-9);
    assert_true(with - without > 1.9e-3 && with - without < 10e-3); // there and back, at least
    tk_arena_free(&a);
}

// What moves beside the work and what does not: times on, and off, of a layout with the option.
static void what_overlaps_hides(void **state)
{
    static const struct {
        const char *layout, *option;
        tk_axis axis;
    } cases[] = {
        {"tensor: 2, row_pieces: 2", "overlap_rows", TK_AXIS_TENSOR},
        {"pipeline: 2", "overlap_messages", TK_AXIS_PIPELINE},
        {"data: 2", "overlap_gradients", TK_AXIS_DATA},
        {"data: 2", "overlap_weights", TK_AXIS_DATA},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double seconds[2], exposed[2], all[2];
        for (int on = 0; on < 2; on++) {
            tk_layout_plan l;
            tk_arena a;
            char text[256];
            tk_arena_init(&a, 0);
            const tk_machine m = boundless();
            product_rate.rate.value = 1e9;
            links[0].latency = 1e-4;
            snprintf(text, sizeof text, "parallel: {%s, %s: %s}\n", cases[i].layout,
                     cases[i].option, on ? "true" : "false");
            seconds[on] = seconds_on(&m, text, &l, &a);
            exposed[on] = tk_layout_exposed(&l, cases[i].axis);
            all[on] = l.plan[l.slowest].prices.group[cases[i].axis].seconds;
            tk_arena_free(&a);
        }
        assert_near(all[0], all[1], 1e-12); // the same messages
        assert_true(exposed[1] < exposed[0]);
        // But for what the ranks of a layout do not share.
        assert_near((seconds[0] - seconds[1]) / (exposed[0] - exposed[1]), 1, 1e-3);
    }
}

// Nothing of it overlapping, all of it is seen.
static void what_does_not_overlap_is_seen(void **state)
{
    static const char *const layouts[] = {
        "parallel: {tensor: 2, row_pieces: 2, overlap_rows: false, overlap_gradients: false}\n",
        "parallel: {data: 2, overlap_gradients: false, overlap_weights: false}\n"};
    static const tk_axis axis[] = {TK_AXIS_TENSOR, TK_AXIS_DATA};
    (void)state;
    for (int i = 0; i < 2; i++) {
        tk_layout_plan l;
        tk_arena a;
        tk_arena_init(&a, 0);
        const tk_machine m = boundless();
        product_rate.rate.value = 1e9;
        links[0].latency = 1e-4;
        seconds_on(&m, layouts[i], &l, &a);
        assert_near(tk_layout_exposed(&l, axis[i]), l.plan[l.slowest].prices.group[axis[i]].seconds,
                    1e-9);
        tk_arena_free(&a);
    }
}

// ---- between ranks -----------------------------------------------------------------------------

static double seconds_between(const tk_machine *m, int tensor, int pipeline, int data, tk_axis axis,
                              tk_work_kind kind, int64_t bytes)
{
    const tk_parallel_config p = {.tensor = tensor, .pipeline = pipeline, .data = data};
    tk_mesh mesh;
    tk_prices prices;
    tk_mesh_dry(&mesh, &p, 0);
    tk_prices_init(&prices, m, &mesh);
    tk_device_comm *c = &mesh.axis[axis].device;
    c->size = mesh.axis[axis].degree;
    const tk_ledger l = tk_prices_ledger(&prices);
    return l.price(l.ctx, &(tk_work){.kind = kind, .comm = c, .bytes = bytes, .sent = bytes});
}

static void links_are_those_between_the_ranks(void **state)
{
    tk_machine m = boundless();
    (void)state;
    links[0].rate.value = 400e9, links[0].latency = 1e-6;
    links[1].rate.value = 50e9, links[1].latency = 1e-5;
    const int64_t n = 1 << 30;
    const double gib = 0x1p30;
    // eight in a node; two a node away; eight of four nodes, two of them in each
    assert_near(seconds_between(&m, 8, 1, 1, TK_AXIS_TENSOR, TK_WORK_ALL_GATHER, n),
                gib * 7 / 8 / 400e9 + 3e-6, 1e-12);
    assert_near(seconds_between(&m, 8, 1, 2, TK_AXIS_DATA, TK_WORK_REDUCE_SCATTER, n),
                gib / 2 / 50e9 + 1e-5, 1e-12);
    assert_near(seconds_between(&m, 4, 1, 8, TK_AXIS_DATA, TK_WORK_ALL_REDUCE, n),
                2 * gib * 7 / 8 / 100e9 + 6e-5, 1e-12);
    assert_near(seconds_between(&m, 16, 1, 1, TK_AXIS_TENSOR, TK_WORK_ALL_GATHER, n),
                gib * 15 / 16 / 400e9 + 4e-5, 1e-12); // 8 ports carry what NVLink does
    assert_near(seconds_between(&m, 4, 2, 1, TK_AXIS_PIPELINE, TK_WORK_SEND, n), gib / 400e9 + 1e-6,
                1e-12);
    assert_near(seconds_between(&m, 8, 2, 1, TK_AXIS_PIPELINE, TK_WORK_SEND, n), gib / 50e9 + 1e-5,
                1e-12);
    assert_near(seconds_between(&m, 8, 2, 1, TK_AXIS_TENSOR, TK_WORK_SEND, n), gib / 400e9 + 1e-6,
                1e-12); // rows of tensor ranks, which are in one node
}

// ---- many ranks --------------------------------------------------------------------------------

// Those that are planned stand for all.
static void few_ranks_tell_of_many(void **state)
{
    tk_config c;
    tk_arena a;
    tk_layout_plan l;
    (void)state;
    make_config(&c, "parallel: {tensor: 3, pipeline: 2, data: 4}\n");
    tk_arena_init(&a, 0);
    plan_layout(&c, NULL, &a, &l);
    assert_int_equal(l.ranks, 24);
    assert_int_equal(l.n, 4); // two of three tensor ranks on each of two stages
    int all = 0;
    for (int i = 0; i < l.n; i++) all += l.plan[i].stands_for;
    assert_int_equal(all, 24);
    tk_plan other;
    tk_plan_of of = {.config = &c};
    assert_ok(tk_plan_clips(&c, &of.loader));
    for (int rank = 0; rank < 24; rank++) {
        assert_ok(tk_plan_make(&of, rank, &other));
        assert_true(other.total <= l.plan[l.fullest].total);
    }
    tk_loader_close(of.loader);
    tk_arena_free(&a);
    tk_config_free(&c);
}

// What ranks send lies apart, as much on each as on the one that needs most.
static void what_is_sent_is_planned_apart(void **state)
{
    tk_arena a;
    tk_layout_plan l[2];
    (void)state;
    if (!tk_device_find(TK_DEVICE_CUDA)) skip();
    tk_arena_init(&a, 0);
    for (int on = 0; on < 2; on++) {
        tk_config c;
        char text[160];
        snprintf(text, sizeof text,
                 "device: cuda\n"
                 "parallel: {tensor: 2, pipeline: 2, data: 2, schedule: zb-h1,\n"
                 "  register_buffers: %s}\n",
                 on ? "true" : "false");
        make_config(&c, text);
        plan_layout(&c, NULL, &a, &l[on]);
        tk_config_free(&c);
    }
    const tk_plan *most = &l[1].plan[l[1].sender];
    for (int r = 0; r < l[1].n; r++) {
        const tk_plan *p = &l[1].plan[r], *plain = &l[0].plan[r];
        assert_int_equal(plain->registered, 0);
        assert_int_equal(p->registered, most->registered);
        assert_int_equal(p->total, p->pool + p->registered + p->context);
        assert_int_equal(p->held[TK_FOR_MESSAGES], 0);
        assert_int_equal(p->sent[TK_FOR_WEIGHTS], plain->held[TK_FOR_WEIGHTS]);
        assert_int_equal(p->sent[TK_FOR_GRADIENTS], plain->held[TK_FOR_GRADIENTS]);
        assert_true(p->sent[TK_FOR_GRADIENTS] <= most->sent[TK_FOR_GRADIENTS]);
        assert_true(p->sent[TK_FOR_MESSAGES] > 0 && p->sent[TK_FOR_ACTIVATIONS] > 0);
    }
    tk_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flops_are_those_of_the_model),
        cmocka_unit_test(one_limit_makes_the_time),
        cmocka_unit_test(stages_wait_for_each_other),
        cmocka_unit_test(what_overlaps_hides),
        cmocka_unit_test(what_does_not_overlap_is_seen),
        cmocka_unit_test(links_are_those_between_the_ranks),
        cmocka_unit_test(few_ranks_tell_of_many),
        cmocka_unit_test(what_is_sent_is_planned_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
