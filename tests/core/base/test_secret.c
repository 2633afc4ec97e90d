// SPDX-License-Identifier: Apache-2.0
// Keys: whose files are read, and what of them a core dump has.
#include "core/base/secret.h"
#include "tests/support/core_dump.h"
#include <fcntl.h>
#include <sys/stat.h>

enum { ADA = 1001, BO = 1002, MOST = 4096 };

static char dir[] = "/tmp/talkie-secret-XXXXXX", path[64], other[64];

static int open_folder(void **state)
{
    (void)state;
    if (!mkdtemp(dir) || chmod(dir, 0755)) return -1;
    snprintf(path, sizeof path, "%s/key", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    return rmdir(dir);
}

static void put(mode_t mode)
{
    unlink(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 40; i++) assert_true(fputc('A' + i * 7 % 50, f) != EOF);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void refused(const char *words)
{
    tk_secret s;
    assert_status(tk_secret_read("some.key", path, MOST, &s), TK_INPUT);
    assert_says(words);
    assert_says(path);
    assert_null(s.x);
}

static void taken(void)
{
    tk_secret s;
    assert_ok(tk_secret_read("some.key", path, MOST, &s));
    assert_int_equal(s.bytes, 40);
    assert_memory_equal(s.x, "AHOV", 4);
    assert_int_equal(s.x[40], 0);
    tk_secret_forget(&s);
    assert_null(s.x);
}

static void test_modes(void **state)
{
    (void)state;
    char words[200];
    for (mode_t mode = 0; mode <= 0777; mode++) {
        if (!(mode & 0400)) continue; // who is not root could not open it
        put(mode);
        if (!(mode & 077)) {
            taken();
            continue;
        }
        snprintf(words, sizeof words, "some.key: %s has mode %04o: others than its owner may ",
                 path, mode);
        refused(words);
        snprintf(words, sizeof words, "it; chmod 600 %s,", path);
        refused(words);
    }
    put(0640);
    refused("may read it");
    put(0602);
    refused("may write it");
    put(0606);
    refused("may read and write it");
    put(0611);
    refused("may run it");
    // A name for a shell.
    snprintf(other, sizeof other, "%s/my key", dir);
    assert_int_equal(rename(path, other), 0);
    tk_secret s;
    assert_status(tk_secret_read("some.key", other, MOST, &s), TK_INPUT);
    snprintf(words, sizeof words, "; chmod 600 '%s', and", other);
    assert_says(words);
    assert_int_equal(rename(other, path), 0);
    snprintf(other, sizeof other, "%s/other", dir);
    // As the message says.
    assert_int_equal(chmod(path, 0600), 0);
    taken();
}

static void test_kinds(void **state)
{
    (void)state;
    tk_secret s;
    unlink(path);
    refused("cannot open");
    assert_int_equal(mkfifo(path, 0600), 0);
    refused("is a pipe");
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    refused("is a directory");
    rmdir(path);
    put(0600);
    assert_status(tk_secret_read("some.key", path, 39, &s), TK_INPUT);
    assert_says("40 bytes; at most 39");
    assert_ok(tk_secret_read("some.key", path, 40, &s));
    tk_secret_forget(&s);
    // A link is its file.
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
    taken();
    assert_int_equal(chmod(other, 0644), 0);
    refused("has mode 0644");
    assert_int_equal(truncate(other, 0), 0);
    assert_int_equal(chmod(other, 0600), 0);
    assert_ok(tk_secret_read("some.key", path, MOST, &s));
    assert_int_equal(s.bytes, 0);
    tk_secret_forget(&s);
}

// Opened by root, so that it is not the kernel that refuses; who runs this is asked then.
static void test_owners(void **state)
{
    (void)state;
    const struct {
        uid_t owner, user;
        mode_t mode;
        const char *refused; // NULL: it is read
    } cases[] = {
        {ADA, ADA, 0600, NULL},
        {ADA, ADA, 0400, NULL},
        {ADA, ADA, 0640, "has mode 0640"},
        {ADA, 0, 0600, NULL},
        {ADA, 0, 0604, "has mode 0604"},
        {BO, ADA, 0600, "is a key of user 1002 (mode 0600), and this runs as user 1001"},
        {BO, ADA, 0644, "install -m 600"},
        {0, ADA, 0600, NULL},
        {0, ADA, 0440, NULL},
        {0, ADA, 0640, NULL},
        {0, ADA, 0660, "may write it; chmod 640"},
        {0, ADA, 0644, "has mode 0644"},
        {0, 0, 0640, "has mode 0640"},
    };
    if (getuid() != 0) skip(); // none may give files away
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        tk_secret s;
        put(cases[i].mode);
        assert_int_equal(chown(path, cases[i].owner, (gid_t)-1), 0);
        const int fd = open(path, O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(seteuid(cases[i].user), 0);
        const tk_status st = tk_secret_take(fd, "some.key", path, MOST, &s);
        assert_int_equal(seteuid(0), 0);
        close(fd);
        assert_status(st, cases[i].refused ? TK_INPUT : TK_OK);
        if (cases[i].refused) assert_says(cases[i].refused);
        tk_secret_forget(&s);
    }
}

static void test_core_dumps(void **state)
{
    (void)state;
    uint8_t masked[40];
    char *plain = tk_alloc(3 * 4096);
    tk_secret s;
    assert_non_null(plain);
    put(0600);
    for (int i = 0; i < 40; i++) masked[i] = (uint8_t)('A' + i * 7 % 50);
    core_mask(masked, sizeof masked);
    assert_int_equal(core_count(masked, sizeof masked, false), 0);
    assert_ok(tk_secret_read("some.key", path, MOST, &s));
    assert_int_equal(core_count(masked, sizeof masked, false), 0);
    assert_int_equal(core_count(masked, sizeof masked, true), 1);
    memcpy(plain, s.x, 40); // what is looked for is found
    assert_int_equal(core_count(masked, sizeof masked, false), 1);
    memset(plain, 0, 40);
    tk_secret_forget(&s);
    assert_int_equal(core_count(masked, sizeof masked, false), 0);
    assert_int_equal(core_count(masked, sizeof masked, true), 0);
    tk_free(plain);
    // Whole pages, and room for the NUL.
    for (size_t bytes = 4095; bytes <= 4097; bytes++) {
        assert_ok(tk_secret_new(bytes, &s));
        assert_int_equal((uintptr_t)s.x % 4096, 0);
        assert_true(s.pages > bytes);
        tk_secret_forget(&s);
    }
    tk_alloc_fail_at(1, false);
    assert_status(tk_secret_read("some.key", path, MOST, &s), TK_MEMORY);
    assert_null(s.x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_core_dumps),
    };
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
