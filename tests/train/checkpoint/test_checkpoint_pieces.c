// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 30 */
// The geometry and the digests under the checkpoints.
#include "tests/support/test.h"
#include "tests/support/tiny.h"
#include "train/checkpoint/internal.h"
#include <math.h>

// Runs of all ranks tile every tensor, and agree with the cut that the model itself uses.
static void runs_tile_the_tensor(void **state)
{
    (void)state;
    tk_arena a;
    tk_param_table t;
    tk_arena_init(&a, 0);
    assert_ok(tk_param_table_build(&tiny_model, &a, &t));
    for (int ranks = 1; ranks <= 4; ranks++)
        for (int k = 0; k < t.n; k++) {
            const tk_param_spec *s = &t.spec[k];
            float *whole = tk_alloc((size_t)(s->rows * s->cols) * sizeof *whole);
            for (int64_t i = 0; i < s->rows * s->cols; i++) whole[i] = (float)i;
            for (int rank = 0; rank < ranks; rank++) {
                const tk_share h = tk_param_share(s, rank, ranks);
                const int64_t n = h.rows * h.cols;
                float *cut = tk_alloc((size_t)n * sizeof *cut + 1);
                tk_share_cut(s, &h, whole, cut);
                for (int64_t at = 0; at < n;) {
                    const int64_t end = at + 7 < n ? at + 7 : n; // ends anywhere
                    const tk_ck_run r = tk_ck_next_run(s, &h, at, end);
                    assert_true(r.local == at && r.n > 0 && at + r.n <= end);
                    for (int64_t i = 0; i < r.n; i++)
                        assert_true(cut[at + i] == (float)(r.global + i));
                    at += r.n;
                }
                tk_free(cut);
            }
            tk_free(whole);
        }
    tk_arena_free(&a);
}

static void digests_add_up_and_notice_everything(void **state)
{
    (void)state;
    float x[100];
    for (int i = 0; i < 100; i++) x[i] = sinf((float)i);
    const uint64_t whole = tk_ck_digest(x, 100, 0);
    for (int cut = 0; cut <= 100; cut++)
        assert_true(whole == tk_ck_digest(x, cut, 0) + tk_ck_digest(x + cut, 100 - cut, cut));
    for (int i = 0; i < 100; i++)
        for (int bit = 0; bit < 32; bit++) {
            float y[100];
            uint32_t u;
            memcpy(y, x, sizeof y);
            memcpy(&u, &y[i], sizeof u);
            u ^= (uint32_t)1 << bit;
            memcpy(&y[i], &u, sizeof u);
            assert_true(whole != tk_ck_digest(y, 100, 0));
        }
    float swapped[100] = {0}, zeros[100] = {0};
    memcpy(swapped, x, sizeof x);
    swapped[3] = x[4];
    swapped[4] = x[3];
    assert_true(whole != tk_ck_digest(swapped, 100, 0));
    assert_true(tk_ck_digest(zeros, 100, 0) != tk_ck_digest(zeros, 99, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_tile_the_tensor),
        cmocka_unit_test(digests_add_up_and_notice_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
