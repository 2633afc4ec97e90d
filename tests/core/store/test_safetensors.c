// SPDX-License-Identifier: Apache-2.0
// safetensors: what is written comes back, rounded as it should be; files that lie are refused in
// words, each for its own reason.
/*TEST timeout: 60 */
#include "core/numbers/half.h"
#include "core/store/safetensors.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/test_safetensors.XXXXXX";
static tk_arena arena;

static const char *in_dir(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void write_bytes(const char *path, const void *x, size_t n)
{
    unlink(path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_ok(tk_pwrite_all(fd, path, x, n, 0));
    close(fd);
}

// A file whose header is `text`, and whose length says `length` (-1: that of the text), with `data`
// zeros behind it.
static const char *forge(const char *name, const char *text, int64_t length, size_t data)
{
    static unsigned char bytes[1 << 16];
    const size_t n = strlen(text);
    const uint64_t said = length < 0 ? n : (uint64_t)length;
    const char *path = in_dir(name);
    assert_true(8 + n + data <= sizeof bytes);
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(said >> 8 * i);
    memcpy(bytes + 8, text, n);
    memset(bytes + 8 + n, 0, data);
    write_bytes(path, bytes, 8 + n + data);
    return path;
}

static void refuse(const char *text, size_t data, const char *words)
{
    tk_safetensors s;
    const char *path = forge("bad.safetensors", text, -1, data);
    if (tk_safe_open(path, &arena, &s) != TK_INPUT) fail_msg("not refused (%s): %s", words, text);
    assert_says(words);
    assert_says("bad.safetensors");
    tk_status_clear();
}

// ---- what is written comes back ----------------------------------------------------------------

static void write_sample(const char *path, tk_safe_tensor t[3], const float *x)
{
    static const tk_safe_note note[2] = {{"format", "test"}, {"b", "line\n\"two\""}};
    char *head;
    int64_t bytes, total;
    t[0] = (tk_safe_tensor){.name = "z.weight", .type = TK_SAFE_BF16, .ndim = 2, .dim = {2, 3}};
    t[1] = (tk_safe_tensor){.name = "none", .type = TK_SAFE_F32, .ndim = 2, .dim = {0, 3}};
    t[2] = (tk_safe_tensor){.name = "a.bias", .type = TK_SAFE_F32, .ndim = 1, .dim = {6}};
    assert_ok(tk_safe_head(2, note, 3, t, &arena, &head, &bytes, &total));
    assert_int_equal(bytes % 8, 0);
    assert_int_equal(total, bytes + 12 + 24);
    write_bytes(path, head, (size_t)bytes);
    const int fd = open(path, O_RDWR);
    for (int k = 0; k < 3; k += 2) {
        assert_ok(tk_safe_put(fd, path, &t[k], 4, 2, x + 4)); // in any order
        assert_ok(tk_safe_put(fd, path, &t[k], 0, 4, x));
    }
    close(fd);
}

static void what_is_written_comes_back(void **state)
{
    static const float x[6] = {1, -2.5f, 3.14159265f, 1e-30f, -0.0f, 1.00390625f};
    const char *path = in_dir("one.safetensors");
    tk_safe_tensor t[3];
    tk_safetensors s;
    float y[6];
    (void)state;
    write_sample(path, t, x);
    assert_ok(tk_safe_open(path, &arena, &s));
    assert_int_equal(s.n, 3);
    assert_string_equal(s.tensor[0].name, "a.bias");
    assert_string_equal(tk_safe_note_of(&s, "b"), "line\n\"two\"");
    assert_null(tk_safe_note_of(&s, "c"));
    assert_null(tk_safe_find(&s, "a"));
    const int fd = open(path, O_RDONLY);
    for (int k = 0; k < 3; k += 2) {
        const tk_safe_tensor *f = tk_safe_find(&s, t[k].name);
        assert_non_null(f);
        assert_int_equal(f->ndim, t[k].ndim);
        assert_int_equal(f->count, 6);
        assert_ok(tk_safe_get(fd, path, f, 0, 6, y));
        for (int i = 0; i < 6; i++) {
            const float want = k ? x[i] : tk_bf16_to_float(tk_bf16_from_float(x[i]));
            assert_memory_equal(&y[i], &want, sizeof want);
        }
        assert_ok(tk_safe_get(fd, path, f, 3, 2, y)); // any stretch
        assert_true(k == 0 || y[0] == x[3]);
    }
    close(fd);
}

// To the even neighbour where a number lies in the middle; fp16 is read exactly.
static void numbers_are_rounded_to_nearest_even(void **state)
{
    static const uint32_t bits[4] = {0x3f808000, 0x3f818000, 0x3f808001, 0xbf808000};
    static const uint16_t want[4] = {0x3f80, 0x3f82, 0x3f81, 0xbf80};
    static const uint16_t half[4] = {0x3c00, 0x0001, 0xfbff, 0x3555};
    tk_safe_tensor t = {.name = "x", .type = TK_SAFE_BF16, .ndim = 1, .dim = {4}, .count = 4};
    const char *path = in_dir("round");
    float x[4];
    uint16_t got[4];
    (void)state;
    write_bytes(path, half, sizeof half);
    const int fd = open(path, O_RDWR);
    t.type = TK_SAFE_F16;
    assert_ok(tk_safe_get(fd, path, &t, 0, 4, x));
    assert_true(x[0] == 1 && x[1] == 0x1p-24f && x[2] == -65504 && x[3] == 0x1.554p-2f);
    t.type = TK_SAFE_BF16;
    for (int i = 0; i < 4; i++) x[i] = tk_float_of(bits[i]);
    assert_ok(tk_safe_put(fd, path, &t, 0, 4, x));
    assert_ok(tk_pread_all(fd, path, got, sizeof got, 0));
    assert_memory_equal(got, want, sizeof want);
    x[2] = NAN;
    assert_status(tk_safe_put(fd, path, &t, 0, 4, x), TK_INPUT);
    assert_says("x: number 2 is nan");
    x[2] = 3.4e38f; // infinite once it is rounded
    assert_status(tk_safe_put(fd, path, &t, 0, 4, x), TK_INPUT);
    t.type = TK_SAFE_F32;
    assert_ok(tk_safe_put(fd, path, &t, 0, 4, x));
    close(fd);
}

// ---- files that lie ----------------------------------------------------------------------------

static void a_length_is_held_against_the_file(void **state)
{
    tk_safetensors s;
    (void)state;
    const int64_t lengths[] = {INT64_MAX, (int64_t)1 << 40, (16 << 20) + 1, 1000, 3};
    const char *const words[] = {"at most", "at most", "at most", "truncated", "not JSON"};
    for (int i = 0; i < 5; i++) {
        assert_status(tk_safe_open(forge("long.safetensors", "{}", lengths[i], 1), &arena, &s),
                      TK_INPUT);
        assert_says(words[i]);
    }
    write_bytes(in_dir("short.safetensors"), "1234567", 7);
    assert_status(tk_safe_open(in_dir("short.safetensors"), &arena, &s), TK_INPUT);
    assert_says("7 bytes");
    assert_status(tk_safe_open(in_dir("absent.safetensors"), &arena, &s), TK_INPUT);
    assert_ok(tk_safe_open(forge("empty.safetensors", "{}  ", -1, 0), &arena, &s));
    assert_int_equal(s.n, 0);
}

#define ENTRY(name, dtype, shape, offsets) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"

static void headers_that_lie_are_refused(void **state)
{
    (void)state;
    refuse("[]", 0, "not a JSON object");
    refuse("{", 0, "not JSON");
    refuse("\xff\xff", 0, "not JSON");
    refuse("{\"a\":1}", 0, "a: not described");
    refuse("{" ENTRY("", "F32", "[]", "[0,4]") "}", 4, "name is empty");
    refuse("{" ENTRY("a\\n", "F32", "[]", "[0,4]") "}", 4, "unprintable");
    refuse("{" ENTRY("a", "F32", "[]", "[0,4]") "," ENTRY("a", "F32", "[]", "[4,8]") "}", 8,
           "duplicate");
    refuse("{" ENTRY("a", "F64", "[1]", "[0,8]") "}", 8, "a: dtype F64 is not known");
    refuse("{\"a\":{\"shape\":[],\"data_offsets\":[0,0]}}", 0, "a: dtype (no text)");
    refuse("{" ENTRY("a", "F32", "[-1]", "[0,4]") "}", 4, "a side of its shape");
    refuse("{" ENTRY("a", "F32", "[1.5]", "[0,4]") "}", 4, "a side of its shape");
    refuse("{" ENTRY("a", "F32", "1", "[0,4]") "}", 4, "not a list");
    refuse("{" ENTRY("a", "F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]") "}", 4, "at most 8");
    refuse("{" ENTRY("a", "F32", "[4294967296,4294967296]", "[0,4]") "}", 4, "can be counted");
    refuse("{" ENTRY("a", "F32", "[2305843009213693952]", "[0,0]") "}", 4, "can be counted");
    refuse("{" ENTRY("a", "F32", "[1]", "[0]") "}", 4, "two whole numbers");
    refuse("{" ENTRY("a", "F32", "[1]", "[-4,0]") "}", 4, "no stretch");
    refuse("{" ENTRY("a", "F32", "[1]", "[4,0]") "}", 4, "no stretch");
    refuse("{" ENTRY("a", "F32", "[2]", "[0,8]") "}", 4, "truncated");
    refuse("{" ENTRY("a", "F32", "[1]", "[0,99999999999999999999]") "}", 4, "not JSON");
    refuse("{" ENTRY("a", "BF16", "[1]", "[0,4]") "}", 4, "are 2 bytes, but data_offsets span 4");
    refuse("{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[2,6]") "}", 6,
           "b begin among those of a");
    refuse("{" ENTRY("a", "F32", "[1]", "[0,4]") "," ENTRY("b", "F32", "[1]", "[0,4]") "}", 4,
           "begin among those of");
    refuse("{" ENTRY("b", "F32", "[1]", "[6,10]") "," ENTRY("a", "F32", "[1]", "[0,4]") "}", 10,
           "2 bytes between a and b");
    refuse("{" ENTRY("a", "F32", "[1]", "[2,6]") "}", 6, "2 bytes between the header and a");
    refuse("{" ENTRY("a", "F32", "[1]", "[0,4]") "}", 5, "1 bytes behind a");
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "texts alone");
    refuse("{\"__metadata__\":[]}", 0, "texts by key");
}

// ---- shards ------------------------------------------------------------------------------------

#define ONE(name) "{" ENTRY(name, "F32", "[1]", "[0,4]") "}"

static void index_says(const char *map)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"metadata\":{},\"weight_map\":%s}", map);
    write_bytes(in_dir("f/w.safetensors.index.json"), text, strlen(text));
}

static void refuse_index(const char *map, const char *words)
{
    tk_safetensors s;
    index_says(map);
    assert_status(tk_safe_open_folder(in_dir("f"), "w", &arena, &s), TK_INPUT);
    assert_says(words);
    tk_status_clear();
}

static void shards_are_one_set(void **state)
{
    tk_safetensors s;
    (void)state;
    mkdir(in_dir("f"), 0700);
    assert_false(tk_safe_in_folder(in_dir("f"), "w"));
    assert_status(tk_safe_open_folder(in_dir("f"), "w", &arena, &s), TK_INPUT);
    assert_says("neither");
    forge("f/w-1.safetensors", ONE("b"), -1, 4);
    forge("f/w-2.safetensors", ONE("a"), -1, 4);
    index_says("{\"b\":\"w-1.safetensors\",\"a\":\"w-2.safetensors\"}");
    assert_true(tk_safe_in_folder(in_dir("f"), "w"));
    assert_ok(tk_safe_open_folder(in_dir("f"), "w", &arena, &s));
    assert_int_equal(s.n, 2);
    assert_int_equal(s.n_files, 2);
    assert_int_equal(tk_safe_find(&s, "a")->file, 1);
    assert_int_equal(tk_safe_find(&s, "b")->file, 0);
    refuse_index("{\"b\":\"../w-1.safetensors\"}", "no *.safetensors file of this very folder");
    refuse_index("{\"b\":\"/etc/passwd\"}", "no *.safetensors file of this very folder");
    refuse_index("{\"b\":\"..\"}", "no *.safetensors file of this very folder");
    refuse_index("{\"b\":1}", "(no text)");
    refuse_index("{\"b\":\"w-1.safetensors\",\"a\":\"w-3.safetensors\",\"c\":\"w-4.safetensors\"}",
                 "2 of which are not there: w-3.safetensors, w-4.safetensors");
    refuse_index("{\"b\":\"w-1.safetensors\",\"a\":\"w-1.safetensors\"}",
                 "1 tensors are not in the files it names for them: a");
    refuse_index("{\"b\":\"w-2.safetensors\"}", "does not look for there: a");
    refuse_index("[]", "no weight_map");
    write_bytes(in_dir("f/w.safetensors.index.json"), "{", 1);
    assert_status(tk_safe_open_folder(in_dir("f"), "w", &arena, &s), TK_INPUT);
    assert_says("w.safetensors.index.json:1:1: not JSON");
    forge("f/w.safetensors", ONE("a"), -1, 4);
    assert_status(tk_safe_open_folder(in_dir("f"), "w", &arena, &s), TK_INPUT);
    assert_says("holds both");
    unlink(in_dir("f/w.safetensors.index.json"));
    assert_ok(tk_safe_open_folder(in_dir("f"), "w", &arena, &s));
    assert_int_equal(s.n, 1);
}

static bool is_one(const char *path)
{
    bool is;
    assert_ok(tk_safe_is(path, &is));
    return is;
}

static void it_is_known_by_its_beginning(void **state)
{
    (void)state;
    assert_true(is_one("any.safetensors"));
    assert_true(is_one(forge("unnamed", "{}", -1, 0)));
    write_bytes(in_dir("other"), "\x89HDF\r\n\x1a\n{", 9);
    assert_false(is_one(in_dir("other")));
    assert_false(is_one(in_dir("nowhere")));
    assert_false(is_one(dir));
}

// One that cannot be opened is not taken for another kind.
static void a_file_that_cannot_be_opened_is_a_failure(void **state)
{
    struct rlimit before;
    bool is;
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit least = {0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &least), 0);
    const tk_status st = tk_safe_is(in_dir("other"), &is);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_status(st, TK_IO);
    assert_says("other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_comes_back),
        cmocka_unit_test(numbers_are_rounded_to_nearest_even),
        cmocka_unit_test(a_length_is_held_against_the_file),
        cmocka_unit_test(headers_that_lie_are_refused),
        cmocka_unit_test(shards_are_one_set),
        cmocka_unit_test(it_is_known_by_its_beginning),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_a_failure),
    };
    if (!mkdtemp(dir)) return 1;
    tk_arena_init(&arena, 0);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    char command[64];
    tk_arena_free(&arena);
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command) || failed;
}
