// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120; cuda: too */
// Attention keeps to its document: numbers that are not finite in another document, or in memory
// before and behind all rows, change no bit of its results, and nothing is written outside the
// rows. Lengths around the tiles of every kernel; on cpu, or with TK_TEST_DEVICE=cuda on cuda.
#include "core/base/mem.h"
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "core/numbers/rng.h"
#include "tests/support/test.h"
#include <math.h>

enum { DOCS = 6, SICK = 2, AROUND = 8, ROWS = 130 + 64 + 127 + 63 + 65, SEED = 5 };
// Rows of each document that ask. As many are asked as ask in the next.
static const int64_t lengths[DOCS] = {130, 64, 127, 63, 0, 65};

typedef struct problem {
    tk_dtype type;
    int64_t head_dim, channels;
    bool sick; // document SICK holds NaN, and so does what lies around all rows
    tk_device d;
    tk_call c;
    tk_tensor whole[TK_OP_IN + TK_OP_OUT + 4]; // with what lies around; freed with the pool
    int wholes;
} problem;

static void offsets(bool asked, int32_t at[DOCS + 1])
{
    at[0] = 0;
    for (int i = 0; i < DOCS; i++) at[i + 1] = at[i] + (int32_t)lengths[asked ? (i + 1) % DOCS : i];
}

static float number(const problem *p, bool asked, int64_t row, uint64_t i, uint64_t which)
{
    int32_t at[DOCS + 1];
    offsets(asked, at);
    if (row < 0 || row >= ROWS) return p->sick ? NAN : 0;
    if (p->sick && row >= at[SICK] && row < at[SICK + 1]) return NAN;
    return (float)tk_rng_normal(tk_rng_key(SEED, TK_RNG_TEST, which), i);
}

// A tensor of ROWS x cols with AROUND rows before it and behind it.
static tk_tensor give(problem *p, tk_dtype type, bool asked, int64_t cols)
{
    const int64_t n = (ROWS + 2 * AROUND) * cols;
    const int which = p->wholes++;
    const size_t size = tk_dtype_size(type);
    unsigned char *host = tk_alloc((size_t)n * size);
    assert_non_null(host);
    for (int64_t i = 0; i < n; i++) {
        const float x = number(p, asked, i / cols - AROUND, (uint64_t)i, (uint64_t)which);
        const uint16_t half = tk_bf16_from_float(x);
        memcpy(host + (size_t)i * size, type == TK_F32 ? (const void *)&x : &half, size);
    }
    assert_ok(tk_device_put(&p->d, host, type, ROWS + 2 * AROUND, cols, &p->whole[which]));
    assert_ok(tk_device_sync(&p->d)); // before the host memory goes
    tk_free(host);
    char *first = (char *)p->whole[which].data + (size_t)(AROUND * cols) * size;
    return tk_tensor_2d(first, type, ROWS, cols);
}

static const tk_device_ops *tested(void)
{
    const char *device = getenv("TK_TEST_DEVICE");
    return tk_device_find(device && strcmp(device, "cuda") == 0 ? TK_DEVICE_CUDA : TK_DEVICE_CPU);
}

static void run_both_ways(problem *p)
{
    tk_call *c = &p->c;
    int32_t at[DOCS + 1];
    assert_ok(tk_device_open(&p->d, tested(), 1, 1 << 26));
    *c = (tk_call){.op = TK_OP_ATTENTION, .i = {p->head_dim, 130, 130, 0, DOCS}};
    c->f[0] = 1 / sqrt((double)p->head_dim);
    for (int i = 0; i < DOCS; i++) {
        c->i[3] += lengths[i] * lengths[(i + 1) % DOCS];
        c->i[5] += lengths[i] && lengths[(i + 1) % DOCS];
    }
    for (int k = 0; k < 3; k++) c->in[k] = give(p, p->type, k > 0, p->channels);
    for (int k = 3; k < 5; k++) {
        offsets(k == 4, at);
        assert_ok(tk_device_put(&p->d, at, TK_I32, 1, DOCS + 1, &c->in[k]));
        assert_ok(tk_device_sync(&p->d));
        c->in[k] = tk_tensor_1d(c->in[k].data, TK_I32, DOCS + 1);
    }
    c->out[0] = give(p, p->type, false, p->channels);
    c->out[1] = give(p, TK_F32, false, p->channels / p->head_dim);
    c->dout[0] = give(p, p->type, false, p->channels);
    for (int k = 0; k < 3; k++) {
        c->din[k] = give(p, p->type, k > 0, p->channels);
        c->add[k] = k == 1;
    }
    assert_ok(tk_op_forward(&p->d, c));
    assert_ok(tk_op_backward(&p->d, c));
}

// The bytes of tensor `t` with what lies around it, for the caller to free.
static unsigned char *bytes_of(problem *p, const tk_tensor *t, size_t *row)
{
    *row = (size_t)tk_cols(t) * tk_dtype_size(t->dtype);
    tk_tensor whole =
        tk_tensor_2d((char *)t->data - AROUND * *row, t->dtype, ROWS + 2 * AROUND, tk_cols(t));
    unsigned char *host = tk_alloc(tk_bytes(&whole));
    assert_non_null(host);
    assert_ok(tk_device_get(&p->d, &whole, host));
    return host;
}

// Is element i of what lies at `x` NaN?
static bool is_nan(const unsigned char *x, tk_dtype type, size_t i)
{
    uint16_t half;
    float y;
    memcpy(&half, x + 2 * i, sizeof half);
    if (type == TK_BF16) return isnan(tk_bf16_to_float(half));
    memcpy(&y, x + 4 * i, sizeof y);
    return isnan(y);
}

static void same_but_for_the_sick(problem *well, problem *sick, const tk_tensor *a,
                                  const tk_tensor *b, bool asked)
{
    size_t row;
    int32_t at[DOCS + 1];
    offsets(asked, at);
    unsigned char *x = bytes_of(well, a, &row), *y = bytes_of(sick, b, &row);
    const size_t n = (size_t)tk_cols(a);
    for (int64_t r = -AROUND; r < ROWS + AROUND; r++) {
        const size_t from = (size_t)(r + AROUND) * row;
        if (r >= at[SICK] && r < at[SICK + 1]) continue;
        if (r >= 0 && r < ROWS && memcmp(x + from, y + from, row) != 0)
            fail_msg("row %d differs with NaN in document %d", (int)r, SICK);
        const bool outside = r < 0 || r >= ROWS;
        for (size_t i = 0; i < n; i++)
            if (is_nan(y + from, a->dtype, i) != outside)
                fail_msg("row %d of %d is %s", (int)r, ROWS, outside ? "written" : "NaN");
    }
    tk_free(x);
    tk_free(y);
}

static void keeps_to_documents(tk_dtype type, int64_t head_dim, int64_t channels)
{
    problem well = {.type = type, .head_dim = head_dim, .channels = channels}, sick = well;
    sick.sick = true;
    run_both_ways(&well);
    run_both_ways(&sick);
    for (int k = 0; k < 2; k++)
        same_but_for_the_sick(&well, &sick, &well.c.out[k], &sick.c.out[k], false);
    for (int k = 0; k < 3; k++)
        same_but_for_the_sick(&well, &sick, &well.c.din[k], &sick.c.din[k], k > 0);
    tk_device_close(&well.d);
    tk_device_close(&sick.d);
}

static void test_attention__keeps_to_documents(void **state)
{
    (void)state;
    keeps_to_documents(TK_F32, 20, 40);
    keeps_to_documents(TK_F32, 129, 129);
    keeps_to_documents(TK_BF16, 37, 37);
}

static void test_attention__keeps_to_documents_on_tensor_cores(void **state)
{
    (void)state;
    keeps_to_documents(TK_BF16, 64, 128);
    keeps_to_documents(TK_BF16, 128, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention__keeps_to_documents),
        cmocka_unit_test(test_attention__keeps_to_documents_on_tensor_cores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
