// SPDX-License-Identifier: Apache-2.0
// How calls of attention are cut for cuDNN: no run takes more workspace than the budget, all
// documents and heads have their run, and what cannot be is refused in words. No cuDNN is needed.
#include "core/device/ops/impl.h"
#include "tests/support/test.h"
#include <stdio.h>

#ifdef TK_CUDNN
#include "core/device/cuda/cudnn/attention.h"
#include "core/device/cuda/cudnn/cut.h"

static const int64_t MIB = 1 << 20;

static tk_call call(int64_t documents, int64_t rows, int64_t heads, int64_t channels, bool back)
{
    tk_call c = {.op = TK_OP_ATTENTION,
                 .i = {channels, rows, rows, rows * rows, documents, documents}};
    void *at = (void *)(uintptr_t)4096;
    for (int k = 0; k < 3; k++)
        c.in[k] = tk_tensor_2d(at, TK_BF16, documents * rows, heads * channels);
    c.out[0] = c.in[0];
    if (back) c.dout[0] = c.in[0];
    return c;
}

static int64_t tiled(int64_t rows)
{
    return (rows + 127) / 128 * 128;
}

// Every run of the cut, by what was said of it. Returns how many runs there are.
static int64_t expect_runs(const tk_cudnn_cut *cut, int64_t budget, int64_t rows)
{
    const tk_cudnn_shape *s = &cut->largest;
    int64_t runs = 0, done = 0;
    assert_int_equal(s->all_heads % s->heads, 0);
    assert_true(s->ask >= rows && s->ask <= tiled(rows) + rows / 16);
    for (int64_t n; done < cut->documents; done += n, runs += s->all_heads / s->heads) {
        n = tk_cudnn_next(cut, cut->documents - done);
        tk_cudnn_shape run = *s;
        run.documents = n;
        assert_true(n > 0 && n <= s->documents && (n & (n - 1)) == 0);
        assert_true(tk_cudnn_workspace(&run) <= budget);
    }
    assert_int_equal(done, cut->documents);
    return runs;
}

static void cuts_fit_the_budget(void **state)
{
    (void)state;
    static const int64_t budgets[] = {3072, 700, 256, 40};
    static const int64_t documents[] = {1, 3, 12, 32}, rows[] = {100, 1024, 1500, 4096};
    for (int b = 0; b < 4; b++)
        for (int d = 0; d < 4; d++)
            for (int r = 0; r < 4; r++)
                for (int64_t heads = 1; heads <= 56; heads += 11) {
                    char why[256];
                    tk_cudnn_cut cut;
                    const tk_attention_way way = {.workspace = budgets[b] * MIB};
                    const tk_call c = call(documents[d], rows[r], heads, 128, true);
                    if (tk_cudnn_cut_of(&c, true, &way, &cut, why, sizeof why))
                        expect_runs(&cut, way.workspace, rows[r]);
                    else // one head of one document is too much
                        assert_true(2 * rows[r] * rows[r] > way.workspace * 3 / 4);
                }
}

// 32 documents of 1,024 rows and 20 heads go at once where there is room for 1,280 MiB; one of
// 32,768 rows goes head by head; forward is never cut.
static void cuts_of_known_shapes(void **state)
{
    (void)state;
    char why[256];
    tk_cudnn_cut cut;
    const tk_attention_way way = {.workspace = 3072 * MIB},
                           any = {.workspace = MIB, .any_order = true};
    tk_call c = call(32, 1024, 20, 128, true);
    assert_true(tk_cudnn_cut_of(&c, true, &way, &cut, why, sizeof why));
    assert_int_equal(expect_runs(&cut, way.workspace, 1024), 1);
    c = call(1, 32768, 20, 128, true);
    assert_true(tk_cudnn_cut_of(&c, true, &way, &cut, why, sizeof why));
    assert_int_equal(expect_runs(&cut, way.workspace, 32768), 20);
    assert_true(tk_cudnn_cut_of(&c, true, &any, &cut, why, sizeof why));
    assert_int_equal(expect_runs(&cut, MIB, 32768), 1);
    c = call(1, 32768, 20, 128, false);
    assert_true(tk_cudnn_cut_of(&c, false, &way, &cut, why, sizeof why));
    assert_int_equal(expect_runs(&cut, MIB, 32768), 1);
    c = call(1, 38144, 56, 128, true); // a clip of configs/h3-33b.yaml
    assert_true(tk_cudnn_cut_of(&c, true, &way, &cut, why, sizeof why));
}

static void expect_refusal(const tk_call *c, bool back, int64_t budget, const char *words)
{
    char why[256] = "";
    tk_cudnn_cut cut;
    const tk_attention_way way = {.workspace = budget};
    assert_false(tk_cudnn_cut_of(c, back, &way, &cut, why, sizeof why));
    if (!strstr(why, words)) fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void refusals_say_what_would_be_right(void **state)
{
    (void)state;
    tk_call c = call(1, 32768, 20, 128, true);
    expect_refusal(&c, true, 1024 * MIB,
                   "takes 2048 MiB of workspace, and attention_workspace is 1024");
    c = call(4, 100, 2, 20, false);
    expect_refusal(&c, false, 1024 * MIB, "these have 20 (model.head_dim)");
    c = call(4, 100, 2, 24, true); // whose gradients it gets wrong
    expect_refusal(&c, true, 1024 * MIB, "these have 24");
    c = call(4, 100, 2, 264, false);
    expect_refusal(&c, false, 1024 * MIB, "these have 264");
    c = call(4, 100, 2, 64, false);
    c.out[0].dtype = TK_F32;
    expect_refusal(&c, false, 1024 * MIB, "train.precision");
    c = call(4, 100, 2, 64, false);
    c.in[1].data = (void *)(uintptr_t)4098;
    expect_refusal(&c, false, 1024 * MIB, "multiples of 16 bytes");
}

// A rank has no heads where there are more ranks than heads: there is nothing to cut, nor to
// refuse.
static void a_rank_without_heads_has_nothing_of_it(void **state)
{
    (void)state;
    static const int64_t by[] = {TK_ATTENTION_AUTO, TK_ATTENTION_CUDNN};
    for (int i = 0; i < 4; i++) {
        const bool back = i % 2;
        const tk_device dry = {.attention = {.by = by[i / 2], .workspace = 1024 * MIB}};
        const tk_call c = call(4, 100, 0, 64, back);
        bool takes = true;
        assert_ok(tk_cudnn_takes(&dry, &c, back, &takes));
        assert_false(takes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cuts_fit_the_budget),
                                       cmocka_unit_test(cuts_of_known_shapes),
                                       cmocka_unit_test(refusals_say_what_would_be_right),
                                       cmocka_unit_test(a_rank_without_heads_has_nothing_of_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    printf("built without cuDNN\n");
    return 77;
}
#endif
