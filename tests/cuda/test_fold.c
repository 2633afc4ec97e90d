// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60; kernels: fold */
// Sums and maxima over ranks (core/device/cuda/kernels/fold.h) against plain loops, to the bit: all
// types, numbers of ranks and places of one's own part, packs and single elements, nothing beyond
// the end.
#include "core/base/mem.h"
#include "core/device/cuda/kernels/fold.h"
#include "core/numbers/half.h"
#include "tests/support/test.h"
#include <math.h>

// Elements before and behind each tensor that nobody may write to; elements at most, ranks.
enum { EDGE = 16, MOST = 5003, RANKS = 5 };

typedef struct fold_case {
    tk_dtype type;
    int64_t n, stride;
    int rank, size; // rank == size: all parts lie with the others
    bool sums, moved, in_place;
} fold_case;

typedef union number {
    float f;
    int32_t i;
    uint16_t h;
} number;

static number number_at(tk_dtype t, int rank, int64_t i)
{
    static const float odd[] = {NAN, -0.0f, 0.0f, INFINITY, -INFINITY};
    const int32_t x = (int32_t)((i * 7919 + rank * 104729) % 20011 - 10000);
    const float f = i % 97 == rank ? odd[i / 97 % 5] : (float)x * 0.37f;
    number y = {.f = f};
    if (t == TK_I32) y.i = (int32_t)((uint32_t)x * 214013u); // sums of them wrap around
    if (t == TK_BF16) y.i = 0, y.h = tk_bf16_from_float(f);
    return y;
}

static void set(void *x, tk_dtype t, int64_t i, number y)
{
    if (t == TK_BF16)
        ((uint16_t *)x)[i] = y.h;
    else
        ((int32_t *)x)[i] = y.i;
}

static float wide(tk_dtype t, number x)
{
    return t == TK_BF16 ? tk_bf16_to_float(x.h) : x.f;
}

static number folded(const fold_case *c, int64_t i)
{
    number y = number_at(c->type, 0, i), part;
    float sum = wide(c->type, y);
    for (int r = 1; r < c->size; r++) {
        part = number_at(c->type, r, i);
        const float more = wide(c->type, part);
        if (c->type == TK_I32)
            y.i = c->sums        ? (int32_t)((uint32_t)y.i + (uint32_t)part.i)
                  : part.i > y.i ? part.i
                                 : y.i;
        sum = c->sums ? sum + more : more > sum || isnan(more) ? more : sum;
    }
    if (c->type == TK_F32) y.f = sum;
    if (c->type == TK_BF16) y.h = tk_bf16_from_float(sum);
    return y;
}

static bool same(tk_dtype t, const void *x, int64_t i, number y)
{
    if (t == TK_I32) return ((const int32_t *)x)[i] == y.i;
    number got = {.i = 0};
    if (t == TK_F32)
        got.f = ((const float *)x)[i];
    else
        got.h = ((const uint16_t *)x)[i];
    if (isnan(wide(t, y))) return isnan(wide(t, got));
    return t == TK_F32 ? got.i == y.i : got.h == y.h;
}

// n elements between edges, on the device; returns where they begin there.
static char *put(tk_device *d, const fold_case *c, const void *host, int64_t n, tk_tensor *all)
{
    const size_t size = tk_dtype_size(c->type);
    assert_ok(tk_device_put(d, host, c->type, 1, n + 2 * EDGE, all));
    assert_ok(tk_device_sync(d));
    return (char *)all->data + (EDGE + c->moved) * size;
}

static void check(tk_device *d, const fold_case *c)
{
    static char others[4 * (RANKS * (MOST + 64) + 2 * EDGE)], own[4 * (MOST + 64 + 2 * EDGE)],
        out[4 * (MOST + 64 + 2 * EDGE)];
    const size_t size = tk_dtype_size(c->type);
    const int64_t shift = EDGE + c->moved, all_others = c->stride * c->size;
    tk_tensor there[3];
    memset(others, 0x55, sizeof others), memset(own, 0x55, sizeof own),
        memset(out, 0x55, sizeof out);
    for (int r = 0; r < c->size; r++)
        for (int64_t i = 0; i < c->n; i++) {
            const int64_t place = (r < c->rank ? r : r - 1) * c->stride;
            const number x = number_at(c->type, r, i);
            if (r == c->rank)
                set(own, c->type, shift + i, x);
            else
                set(others, c->type, shift + place + i, x);
        }
    tk_cuda_parts p = {.n = c->n, .stride = c->stride, .rank = c->rank, .size = c->size};
    p.type = c->type, p.sums = c->sums;
    p.own = put(d, c, own, c->n, &there[0]);
    p.others = put(d, c, others, all_others, &there[1]);
    p.out = put(d, c, out, c->n, &there[2]);
    if (c->in_place) p.out = (char *)there[0].data + shift * (int64_t)size;
    assert_ok(tk_cuda_fold(d, &p));
    assert_ok(tk_device_get(d, &there[c->in_place ? 0 : 2], out));
    for (int64_t i = 0; i < c->n; i++)
        if (!same(c->type, out, shift + i, folded(c, i)))
            fail_msg("type %d, %lld elements, rank %d of %d: element %lld", c->type,
                     (long long)c->n, c->rank, c->size, (long long)i);
    for (size_t i = 0; i < (size_t)shift * size; i++) assert_int_equal(out[i], 0x55);
    for (size_t i = (size_t)(shift + c->n) * size; i < (size_t)(c->n + 2 * EDGE) * size; i++)
        assert_int_equal(out[i], 0x55);
    for (int i = 0; i < 3; i++) tk_device_free(d, &there[i]);
}

static void test_fold__is_what_plain_loops_give(void **state)
{
    static const struct {
        int64_t n, stride;
    } sizes[] = {{0, 0}, {1, 1}, {7, 8}, {64, 64}, {64, 65}, {MOST, MOST}, {MOST - 3, MOST - 3}};
    static const tk_dtype types[] = {TK_F32, TK_BF16, TK_I32};
    tk_device d;
    (void)state;
    assert_ok(tk_device_open(&d, tk_device_find(TK_DEVICE_CUDA), 1, 1 << 22));
    for (int i = 0; i < 7; i++)
        for (int t = 0; t < 3; t++)
            for (int way = 0; way < 8; way++)
                for (int size = 1; size <= RANKS; size += 2)
                    for (int rank = 0; rank <= size; rank++) {
                        fold_case c = {types[t], sizes[i].n, sizes[i].stride, rank,
                                       size,     way & 1,    way & 2,         way & 4};
                        if (rank == size) c.in_place = false;
                        check(&d, &c);
                    }
    tk_device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fold__is_what_plain_loops_give)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
