// SPDX-License-Identifier: Apache-2.0
// Whole files: temporaries that are their writer's alone, what dead runs left, outputs that must
// not be written, inputs that must not be waited for.
#include "core/base/files.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[128];

static const char *in_dir(const char *name) // a few at a time
{
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void spill(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void assert_holds(const char *path, const char *text)
{
    char x[256] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const size_t n = fread(x, 1, sizeof x - 1, f);
    fclose(f);
    x[n] = 0;
    assert_string_equal(x, text);
}

static int temporaries(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, ".part-") != NULL;
    closedir(d);
    return n;
}

static int open_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/talkie-files-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    char command[sizeof dir + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static void write_text(const tk_file *f, const char *text)
{
    assert_ok(tk_pwrite_all(f->fd, f->path, text, strlen(text), 0));
}

// ---- writing -----------------------------------------------------------------------------------

static void test_two_writers_of_one_path(void **state)
{
    (void)state;
    tk_file a, b;
    const char *path = in_dir("x.txt");
    assert_ok(tk_file_begin(&a, path));
    assert_ok(tk_file_begin(&b, path));
    assert_string_not_equal(a.tmp, b.tmp);
    assert_int_equal(temporaries(), 2);
    write_text(&a, "one");
    write_text(&b, "other");
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(tk_file_commit(&a));
    assert_holds(path, "one");
    assert_ok(tk_file_commit(&b));
    assert_holds(path, "other");
    assert_ok(tk_file_begin(&a, path));
    write_text(&a, "lost");
    tk_file_abort(&a);
    tk_file_abort(&a);
    assert_holds(path, "other");
    assert_int_equal(temporaries(), 0);
}

static void test_several_are_committed_as_one(void **state)
{
    (void)state;
    tk_file f[2];
    assert_ok(tk_file_begin(&f[0], in_dir("set.a")));
    assert_ok(tk_file_begin(&f[1], in_dir("set.b")));
    write_text(&f[0], "a");
    write_text(&f[1], "b");
    const int fd = f[1].fd; // writing it to disk fails: neither takes its name
    f[1].fd = -1;
    assert_status(tk_files_commit(2, f), TK_IO);
    close(fd);
    assert_int_not_equal(access(in_dir("set.a"), F_OK), 0);
    assert_int_equal(temporaries(), 0);
    assert_ok(tk_file_begin(&f[0], in_dir("set.a")));
    assert_ok(tk_file_begin(&f[1], in_dir("set.b")));
    assert_ok(tk_files_commit(2, f));
    assert_int_equal(access(in_dir("set.a"), F_OK) | access(in_dir("set.b"), F_OK), 0);
}

// A name that cannot be taken in the middle: those before it are given back, with what they had.
static void test_several_take_all_names_or_none(void **state)
{
    (void)state;
    static const char *const name[] = {"all.srt", "all.edl", "all.json", "all.mp4"};
    for (int bad = 0; bad < 5; bad++) {
        tk_file f[4];
        spill(in_dir("all.srt"), "old");
        spill(in_dir("all.mp4"), "before");
        for (int i = 0; i < 4; i++) {
            assert_ok(tk_file_begin(&f[i], in_dir(name[i])));
            write_text(&f[i], name[i]);
        }
        if (bad < 4) assert_int_equal(unlink(f[bad].tmp), 0); // it cannot be renamed
        if (bad < 4)
            assert_status(tk_files_commit(4, f), TK_IO);
        else
            assert_ok(tk_files_commit(4, f));
        assert_int_equal(temporaries(), 0);
        assert_holds(in_dir("all.srt"), bad < 4 ? "old" : "all.srt");
        assert_holds(in_dir("all.mp4"), bad < 4 ? "before" : "all.mp4");
        assert_int_equal(access(in_dir("all.edl"), F_OK), bad < 4 ? -1 : 0);
        assert_int_equal(access(in_dir("all.json"), F_OK), bad < 4 ? -1 : 0);
        for (int i = 0; i < 4; i++) (void)unlink(in_dir(name[i]));
    }
}

// What has become no file meanwhile is left alone, and so are the others' old ones.
static void test_several_replace_files_alone(void **state)
{
    (void)state;
    tk_file f[2];
    spill(in_dir("pair.a"), "old");
    assert_ok(tk_file_begin(&f[0], in_dir("pair.a")));
    assert_ok(tk_file_begin(&f[1], in_dir("pair.b")));
    assert_int_equal(mkdir(in_dir("pair.b"), 0777), 0);
    assert_status(tk_files_commit(2, f), TK_IO);
    assert_says("not a regular file any more");
    assert_holds(in_dir("pair.a"), "old");
    assert_int_equal(rmdir(in_dir("pair.b")), 0);
    assert_int_equal(unlink(in_dir("pair.a")), 0);
    assert_int_equal(temporaries(), 0);
}

// A run that is killed in the middle of writing, and one that is still at it.
static void test_litter_of_the_dead_goes_and_the_living_keep_theirs(void **state)
{
    (void)state;
    int said[2];
    char byte;
    tk_file mine, next;
    const char *path = in_dir("killed.h5");
    assert_ok(tk_file_begin(&mine, path));
    assert_int_equal(pipe(said), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        tk_file f;
        if (tk_file_begin(&f, path) != TK_OK || write(said[1], "x", 1) != 1) _exit(1);
        pause();
    }
    assert_int_equal(read(said[0], &byte, 1), 1);
    assert_int_equal(temporaries(), 2);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(temporaries(), 2);
    assert_ok(tk_file_begin(&next, path));
    assert_int_equal(temporaries(), 2); // the dead one's is gone
    write_text(&mine, "whole");
    assert_ok(tk_file_commit(&mine));
    assert_holds(path, "whole");
    tk_file_abort(&next);
    assert_int_equal(temporaries(), 0);
}

// What another host left has a lock that may not be seen here: only age tells.
static void test_litter_of_other_hosts_must_be_old(void **state)
{
    (void)state;
    tk_file f;
    const char *young = in_dir("far.h5.part-elsewhere-0123456789abcdef");
    const char *old = in_dir("far.h5.part-elsewhere-0123456789abcde0");
    const char *other = in_dir("far.h5.partial");
    const struct timeval long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
    spill(young, "x");
    spill(old, "x");
    spill(other, "x");
    assert_int_equal(utimes(old, long_ago), 0);
    assert_ok(tk_file_begin(&f, in_dir("far.h5")));
    tk_file_abort(&f);
    assert_int_equal(access(young, F_OK) | access(other, F_OK), 0);
    assert_int_not_equal(access(old, F_OK), 0);
    assert_int_equal(unlink(young), 0);
}

static void test_scratch_has_no_name(void **state)
{
    (void)state;
    const char *path = in_dir("scratch");
    char x[4] = "";
    int fd;
    assert_ok(tk_file_scratch(path, &fd));
    assert_int_equal(temporaries(), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC); // no program that is started has it
    assert_ok(tk_pwrite_all(fd, path, "abc", 3, 7));
    assert_ok(tk_pread_all(fd, path, x, 3, 7));
    assert_string_equal(x, "abc");
    assert_int_equal(close(fd), 0);
    assert_int_equal(tk_file_scratch(in_dir("none/scratch"), &fd), TK_INPUT);
    tk_status_clear();
}

static void test_long_names(void **state)
{
    (void)state;
    char name[300];
    tk_file f;
    memset(name, 'n', sizeof name);
    name[255] = 0;
    assert_ok(tk_file_begin(&f, in_dir(name)));
    assert_ok(tk_file_commit(&f));
    assert_int_equal(access(in_dir(name), F_OK), 0);
    name[255] = 'n', name[256] = 0;
    assert_status(tk_file_begin(&f, in_dir(name)), TK_INPUT);
    assert_says("too long");
    tk_file_abort(&f);
}

static void test_a_link_is_followed(void **state)
{
    (void)state;
    tk_file f;
    struct stat s;
    spill(in_dir("there"), "old");
    assert_int_equal(symlink("there", in_dir("link")), 0);
    assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
    assert_ok(tk_file_begin(&f, in_dir("link")));
    write_text(&f, "new");
    assert_ok(tk_file_commit(&f));
    assert_holds(in_dir("there"), "new");
    assert_int_equal(lstat(in_dir("link"), &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    assert_status(tk_file_begin(&f, in_dir("dangling")), TK_INPUT);
    assert_says("leads nowhere");
}

static void test_disk_full(void **state)
{
    (void)state;
    tk_file f;
    struct rlimit old, low;
    char much[4096] = "";
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    low = old;
    low.rlim_cur = 1000;
    spill(in_dir("full"), "before");
    assert_ok(tk_file_begin(&f, in_dir("full")));
    setrlimit(RLIMIT_FSIZE, &low);
    const tk_status st = tk_pwrite_all(f.fd, f.path, much, sizeof much, 0);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_status(st, TK_IO);
    assert_says("disk full");
    tk_file_abort(&f);
    assert_holds(in_dir("full"), "before");
}

// ---- checking outputs --------------------------------------------------------------------------

static const tk_file_kind kind = {"note", "NOTE", "of talkie", 2};

static void refused(const char *path, int n, char *const *inputs, const char *words)
{
    assert_status(tk_file_check_output(path, &kind, n, inputs), TK_INPUT);
    assert_says(words);
    assert_int_equal(temporaries(), 0);
}

static void test_unusable_outputs(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_dir("folder"), 0777), 0);
    assert_int_equal(mkfifo(in_dir("pipe"), 0666), 0);
    spill(in_dir("file"), "x");
    refused("", 0, NULL, "no name");
    refused(in_dir("folder"), 0, NULL, "is a folder");
    refused(in_dir("folder/"), 0, NULL, "is a folder");
    refused(in_dir("pipe"), 0, NULL, "not a regular file");
    refused("/dev/null", 0, NULL, "not a regular file");
    refused(in_dir("no/x"), 0, NULL, "folder is not there");
    refused(in_dir("file/x"), 0, NULL, "a file stands where");
    refused("/sys/kernel/x", 0, NULL, "not writable");
}

static void test_outputs_that_are_not_ours(void **state)
{
    (void)state;
    enum { BORDER = 1 << 16 };
    static char big[BORDER + 64];
    refused(in_dir("file"), 0, NULL, "not a note of talkie's");
    spill(in_dir("empty"), "");
    assert_ok(tk_file_check_output(in_dir("empty"), &kind, 0, NULL));
    assert_ok(tk_file_check_output(in_dir("absent"), &kind, 0, NULL));
    spill(in_dir("ours"), "..NOTE, one of talkie");
    assert_ok(tk_file_check_output(in_dir("ours"), &kind, 0, NULL));
    spill(in_dir("theirs"), "..NOTES of talk");
    refused(in_dir("theirs"), 0, NULL, "not a note");
    spill(in_dir("theirs"), "a NOTE of talkie");
    assert_ok(tk_file_check_output(in_dir("theirs"), &kind, 0, NULL));
    spill(in_dir("theirs"), "the NOTE of talkie");
    refused(in_dir("theirs"), 0, NULL, "not a note");
    for (int at = BORDER - 20; at <= BORDER; at++) { // words that lie across two pieces
        memset(big, '.', sizeof big - 1);
        memcpy(big + 2, "NOTE", 4);
        memcpy(big + at, "of talkie", 9);
        spill(in_dir("ours"), big);
        assert_ok(tk_file_check_output(in_dir("ours"), &kind, 0, NULL));
    }
}

static void test_an_output_is_no_input(void **state)
{
    (void)state;
    spill(in_dir("in"), "..NOTE of talkie");
    assert_int_equal(link(in_dir("in"), in_dir("hard")), 0);
    assert_int_equal(symlink("in", in_dir("soft")), 0);
    assert_int_equal(symlink(".", in_dir("here")), 0);
    char first[] = "/nowhere/at/all", second[512];
    char *inputs[2] = {first, second};
    snprintf(second, sizeof second, "%s", in_dir("in"));
    static const char *const names[] = {"in", "./in", "here/in", "hard", "soft"};
    for (int i = 0; i < 5; i++) refused(in_dir(names[i]), 2, inputs, "same file as the input");
    assert_ok(tk_file_check_output(in_dir("other"), &kind, 2, inputs));
    tk_file_id a = tk_file_identity(in_dir("here/new")), b = tk_file_identity(in_dir("new"));
    assert_true(tk_file_same(a, b));
    assert_false(tk_file_same(a, tk_file_identity(in_dir("news"))));
    assert_false(tk_file_same(tk_file_identity("/no/x"), tk_file_identity("/no/x")));
}

// ---- reading -----------------------------------------------------------------------------------

static void test_reading(void **state)
{
    (void)state;
    tk_arena a;
    char *text;
    size_t n;
    tk_arena_init(&a, 0);
    spill(in_dir("text"), "\xEF\xBB\xBFhello");
    assert_ok(tk_file_read(in_dir("text"), 8, &a, &text, &n));
    assert_string_equal(text, "hello");
    assert_int_equal(n, 5);
    assert_status(tk_file_read(in_dir("text"), 7, &a, &text, &n), TK_INPUT);
    assert_says("8 bytes");
    spill(in_dir("text"), "");
    assert_ok(tk_file_read(in_dir("text"), 0, &a, &text, &n));
    assert_string_equal(text, "");
    const char *const bad[][2] = {
        {"pipe", "a pipe"}, {"folder", "a directory"}, {"none", "No such"}};
    for (int i = 0; i < 3; i++) {
        assert_status(tk_file_read(in_dir(bad[i][0]), 99, &a, &text, &n), TK_INPUT);
        assert_says(bad[i][1]);
    }
    assert_status(tk_file_read("/dev/zero", 99, &a, &text, &n), TK_INPUT);
    assert_says("a device");
    tk_arena_free(&a);
}

// Where a name leads is asked of the file that is open.
static void test_confined(void **state)
{
    (void)state;
    static const char *const inside[] = {"in/a", "in/./a", "in/sub/../a"}, *const outside[] = {
                                                                               "b", "in/link",
                                                                               "in/../b",
                                                                               "in/away/b"};
    char here[PATH_MAX], path[PATH_MAX + 16], before[PATH_MAX];
    int fd;
    assert_non_null(getcwd(before, sizeof before));
    assert_ok(tk_file_make_folders(in_dir("confined/a")));
    assert_int_equal(chdir(in_dir("confined")), 0);
    assert_int_equal(system("mkdir -p in/sub && echo a >in/a && echo b >b && ln -s ../b in/link && "
                            "ln -s .. in/away"),
                     0);
    assert_non_null(getcwd(here, sizeof here));
    snprintf(path, sizeof path, "%s/in", here);
    tk_file_confine(path);
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
        assert_ok(tk_file_open(inside[i], &fd, NULL));
        close(fd);
    }
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
        assert_status(tk_file_open(outside[i], &fd, NULL), TK_INPUT);
        assert_says("lies outside of");
    }
    snprintf(path, sizeof path, "%s/in/link", here);
    assert_status(tk_file_open(path, &fd, NULL), TK_INPUT);
    snprintf(path, sizeof path, "%s/b", here); // the process's own: nobody else named it
    assert_ok(tk_file_open(path, &fd, NULL));
    close(fd);
    tk_file_confine(NULL);
    assert_ok(tk_file_open("in/link", &fd, NULL));
    close(fd);
    assert_int_equal(chdir(before), 0);
}

static void assert_opens(const char *path, const char *text)
{
    char x[64] = "";
    int fd;
    int64_t bytes;
    assert_ok(tk_file_open(path, &fd, &bytes));
    assert_int_equal(bytes, strlen(text));
    assert_ok(tk_pread_all(fd, path, x, (size_t)bytes, 0));
    assert_string_equal(x, text);
    close(fd);
}

// Whoever changes a file after it was looked at changes nothing of what is read.
static void test_held(void **state)
{
    (void)state;
    char path[512], none[512];
    int fd;
    snprintf(path, sizeof path, "%s", in_dir("held"));
    snprintf(none, sizeof none, "%s", in_dir("not-there"));
    spill(path, "first");
    assert_ok(tk_file_hold(path, in_dir("out")));
    assert_ok(tk_file_hold(none, in_dir("out")));
    assert_int_equal(temporaries(), 0);
    assert_int_equal(truncate(path, 2), 0); // written in place,
    assert_opens(path, "first");
    spill(in_dir("other"), "second");
    assert_int_equal(rename(in_dir("other"), path), 0); // another in its place,
    assert_ok(tk_file_hold(path, in_dir("out")));
    assert_opens(path, "first");
    assert_opens(path, "first");
    unlink(path); // none any more,
    assert_opens(path, "first");
    spill(none, "late"); // or one where there was none
    assert_status(tk_file_open(none, &fd, NULL), TK_INPUT);
    assert_says("No such file");
    assert_int_equal(fd, -1);
    tk_file_let_go();
    assert_opens(none, "late");
    assert_status(tk_file_open(path, &fd, NULL), TK_INPUT);
    assert_status(tk_file_hold(none, in_dir("nowhere/out")), TK_INPUT);
    tk_file_let_go();
    tk_file_let_go();
}

// Where there is no room for the copy, that is said of the copy: its output may need none at all.
static void test_held__needs_room(void **state)
{
    (void)state;
    char path[512];
    struct rlimit all, few;
    snprintf(path, sizeof path, "%s", in_dir("held"));
    spill(path, "first");
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = all;
    few.rlim_cur = 2;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    const tk_status st = tk_file_hold(path, in_dir("out"));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_status(st, TK_IO);
    assert_says("a copy of ");
    assert_says("held beside ");
    assert_int_equal(temporaries(), 0);
    assert_opens(path, "first"); // as it lies there
    unlink(path);
}

// What a process keeps in files without names is not read for those who name them by /proc.
static void test_held__has_a_name(void **state)
{
    (void)state;
    char path[64], link_to[300];
    int own, fd;
    assert_ok(tk_file_scratch(in_dir("out"), &own));
    assert_int_equal(write(own, "a face", 6), 6);
    snprintf(path, sizeof path, "/proc/self/fd/%d", own);
    snprintf(link_to, sizeof link_to, "%s", in_dir("link-to-own"));
    assert_int_equal(symlink(path, link_to), 0);
    assert_opens(path, "a face"); // for itself it may
    const char *const by[] = {path, link_to};
    for (int i = 0; i < 2; i++) {
        assert_ok(tk_file_hold(by[i], in_dir("out")));
        assert_status(tk_file_open(by[i], &fd, NULL), TK_INPUT);
        assert_says("a process keeps it for itself");
    }
    tk_file_let_go();
    unlink(link_to);
    close(own);
}

static void test_folders(void **state)
{
    (void)state;
    assert_ok(tk_file_make_folders(in_dir("a/b//c/name")));
    assert_int_equal(access(in_dir("a/b/c"), F_OK), 0);
    assert_int_not_equal(access(in_dir("a/b/c/name"), F_OK), 0);
    assert_ok(tk_file_make_folders("name"));
    assert_status(tk_file_make_folders(in_dir("file/b/name")), TK_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_writers_of_one_path),
        cmocka_unit_test(test_several_are_committed_as_one),
        cmocka_unit_test(test_several_take_all_names_or_none),
        cmocka_unit_test(test_several_replace_files_alone),
        cmocka_unit_test(test_litter_of_the_dead_goes_and_the_living_keep_theirs),
        cmocka_unit_test(test_litter_of_other_hosts_must_be_old),
        cmocka_unit_test(test_scratch_has_no_name),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_a_link_is_followed),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_unusable_outputs),
        cmocka_unit_test(test_outputs_that_are_not_ours),
        cmocka_unit_test(test_an_output_is_no_input),
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_confined),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_held__has_a_name),
        cmocka_unit_test(test_held__needs_room),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
