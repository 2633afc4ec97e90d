// SPDX-License-Identifier: Apache-2.0
#include "tests/support/npy.h"
#include "core/numbers/half.h"
#include "tests/support/test.h"
#include <stdio.h>

void test_forge_npy(const char *path, const char *text, const void *numbers, size_t bytes)
{
    const size_t n = strlen(text);
    const unsigned char start[10] = {0x93, 'N', 'U', 'M',      'P',
                                     'Y',  1,   0,   n & 0xff, (n >> 8) & 0xff};
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(start, 1, sizeof start, f), sizeof start);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fwrite(numbers, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

// numpy fills the head up with blanks to a multiple of 64 bytes, and ends it with a new line.
static void head_of(int64_t rows, int64_t cols, bool half, char *to, size_t room)
{
    int n = snprintf(to, room, "{'descr': '<f%d', 'fortran_order': False, 'shape': (%lld, %lld), }",
                     half ? 2 : 4, (long long)rows, (long long)cols);
    while ((n + 10 + 1) % 64) to[n++] = ' ';
    to[n++] = '\n';
    to[n] = 0;
}

void test_write_npy(const char *path, int64_t rows, int64_t cols, bool half, const float *x)
{
    char head[256];
    const int64_t n = rows * cols;
    head_of(rows, cols, half, head, sizeof head);
    if (!half) {
        test_forge_npy(path, head, x, (size_t)n * 4);
        return;
    }
    uint16_t *h = malloc((size_t)n * 2); // style: allow, a test's
    assert_non_null(h);
    tk_fp16_narrow(x, n, h);
    test_forge_npy(path, head, h, (size_t)n * 2);
    free(h); // style: allow, a test's
}
