// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// A codec in a file of its own: written once, kept, and the only one that a reference to it takes.
#include "data/codec/codec.h"
#include "tests/support/clips.h"
#include "tests/support/test.h"
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

static char dir[] = "/tmp/talkie-codec-XXXXXX";

static char *in_dir(const char *name)
{
    static char path[8][96];
    static int k;
    k = (k + 1) % 8;
    snprintf(path[k], sizeof path[k], "%s/%s", dir, name);
    return path[k];
}

static int open_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    char line[128];
    snprintf(line, sizeof line, "rm -rf '%s'", dir);
    return system(line);
}

static tk_status keep(const tk_codec *c, int64_t store, const char *name)
{
    const tk_codec_config config = {.file = in_dir(name), .store = store};
    return tk_codec_keep(&config, c);
}

static const char *hex(const tk_codec *c)
{
    static char text[2][17];
    static int k;
    k = !k;
    snprintf(text[k], sizeof text[k], "%016" PRIx64, tk_codec_get_info(c)->digest);
    return text[k];
}

static void test_keep(void **state)
{
    (void)state;
    tk_codec *a = test_codec(1), *b = test_codec(2);
    assert_ok(keep(a, TK_CODEC_CARRY, "kept.h5")); // nobody refers to it
    assert_int_equal(access(in_dir("kept.h5"), F_OK), -1);
    assert_ok(keep(a, TK_CODEC_REFER, "kept.h5"));
    assert_int_equal(access(in_dir("kept.h5"), F_OK), 0);
    assert_ok(keep(a, TK_CODEC_REFER, "kept.h5"));
    assert_status(keep(b, TK_CODEC_REFER, "kept.h5"), TK_INPUT);
    assert_says("kept.h5");
    assert_says(hex(a));
    assert_says(hex(b));
    assert_says("name another codec.file");
    assert_true(keep(a, TK_CODEC_REFER, "no/where.h5") != TK_OK);
    assert_says("no/where.h5");
    tk_codec_free(a);
    tk_codec_free(b);
}

// The group "codec" of a file that refers to `c`, and what comes of reading it with a codec file.
static tk_status read_reference(const tk_codec *c, const char *file, tk_codec **out)
{
    hid_t h5, group;
    assert_ok(tk_h5_create(in_dir("refers.h5"), "talkie-test", 1, &h5));
    assert_ok(tk_h5_group(h5, "codec", &group));
    assert_ok(tk_codec_write(c, true, group));
    assert_false(tk_h5_exists(group, "video_basis"));
    const tk_status st = tk_codec_read(group, file, out);
    H5Gclose(group);
    assert_ok(tk_h5_close(h5, in_dir("refers.h5")));
    return st;
}

static void test_reference(void **state)
{
    (void)state;
    tk_codec *a = test_codec(1), *b = test_codec(2), *back;
    assert_ok(keep(a, TK_CODEC_REFER, "a.h5"));
    assert_ok(keep(b, TK_CODEC_REFER, "b.h5"));
    assert_ok(read_reference(a, in_dir("a.h5"), &back));
    assert_string_equal(hex(back), hex(a));
    tk_codec_free(back);

    assert_status(read_reference(a, NULL, &back), TK_INPUT);
    assert_null(back);
    assert_says(hex(a));
    assert_says("codec.file=FILE");
    assert_status(read_reference(a, "", &back), TK_INPUT);

    assert_status(read_reference(a, in_dir("b.h5"), &back), TK_INPUT);
    assert_null(back);
    assert_says(hex(a));
    assert_says(hex(b));
    assert_says("b.h5");
    assert_says("name the file that holds codec");

    assert_status(read_reference(a, in_dir("nowhere.h5"), &back), TK_INPUT);
    assert_says(hex(a));
    assert_says("nowhere.h5");
    assert_status(read_reference(a, in_dir("refers.h5"), &back), TK_INPUT); // no codec file
    assert_says("refers.h5");
    tk_codec_free(a);
    tk_codec_free(b);
}

// Bytes of a codec file that are not what they were are found out, or change nothing.
static void test_damage(void **state)
{
    (void)state;
    tk_codec *a = test_codec(1), *back;
    assert_ok(keep(a, TK_CODEC_REFER, "whole.h5"));
    FILE *f = fopen(in_dir("whole.h5"), "rb");
    assert_non_null(f);
    static char bytes[1 << 16];
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_true(n > 1000 && n < sizeof bytes);
    for (size_t at = 0; at < n; at += 97) {
        bytes[at] ^= 4;
        f = fopen(in_dir("bad.h5"), "wb");
        assert_int_equal(fwrite(bytes, 1, n, f), n);
        fclose(f);
        bytes[at] ^= 4;
        if (read_reference(a, in_dir("bad.h5"), &back) == TK_OK)
            assert_string_equal(hex(back), hex(a));
        else
            assert_says(hex(a));
        tk_codec_free(back);
    }
    tk_codec_free(a);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    tk_codec *a = test_codec(1), *back = NULL;
    assert_ok(keep(a, TK_CODEC_REFER, "memory.h5"));
    tk_status st = TK_MEMORY;
    int64_t nth = 1;
    for (; st == TK_MEMORY && nth < 1000; nth++) {
        tk_alloc_fail_at(nth, false);
        st = read_reference(a, in_dir("memory.h5"), &back);
        tk_alloc_fail_at(0, false);
        assert_true((st == TK_OK) == (back != NULL));
        tk_codec_free(back);
    }
    assert_ok(st);
    assert_true(nth > 3);
    tk_codec_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
