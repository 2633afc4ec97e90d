// SPDX-License-Identifier: Apache-2.0
// One prober looks at many files: a file that kills the library spoils neither the prober nor what
// it says of the next, and where there is none any more, one is started.
/*TEST timeout: 60 */
#include "core/store/probe.h"
#include "tests/support/test.h"
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    FILES = 8,
    FATAL_OFFSET = 2076,
    FATAL_BYTE = 32
}; // where HDF5 1.10.8 reads what is not there

static char dir[] = "/tmp/test_probe.XXXXXX", good[FILES][64], bad[64];

static void write_file(const char *path, const char *x, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(x, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

// Copies of a golden: a file that was looked at already would not be looked at again.
static int make_files(void **state)
{
    (void)state;
    static char x[1 << 20];
    FILE *f = fopen("tests/golden/documents.h5", "rb");
    if (!f || !mkdtemp(dir)) return 1;
    const size_t bytes = fread(x, 1, sizeof x, f);
    fclose(f);
    for (int i = 0; i < FILES; i++) {
        snprintf(good[i], sizeof good[i], "%s/good%d.h5", dir, i);
        write_file(good[i], x, bytes);
    }
    x[FATAL_OFFSET] = FATAL_BYTE;
    snprintf(bad, sizeof bad, "%s/bad.h5", dir);
    write_file(bad, x, bytes);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES; i++) unlink(good[i]);
    unlink(bad);
    return rmdir(dir);
}

// The only child of a process that has one thread; 0 if there is none.
static pid_t only_child_of(pid_t parent)
{
    char path[64];
    int pid = 0, another = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    const int n = fscanf(f, "%d %d", &pid, &another);
    fclose(f);
    assert_true(n < 2);
    return n == 1 ? pid : 0;
}

static pid_t only_child(void)
{
    return only_child_of(getpid());
}

static void many_files_one_prober(void **state)
{
    (void)state;
    assert_int_equal(only_child(), 0);
    assert_ok(tk_h5_probe(good[0]));
    const pid_t prober = only_child();
    assert_int_not_equal(prober, 0);
    assert_ok(tk_h5_probe(good[1]));
    for (int again = 0; again < 2; again++) {
        assert_status(tk_h5_probe(bad), TK_INPUT);
        assert_says("bad.h5 is damaged");
    }
    assert_ok(tk_h5_probe(good[2]));
    assert_int_equal(only_child(), prober);
}

static void a_name_counts_from_the_folder_of_the_caller(void **state)
{
    (void)state;
    char from[256];
    assert_non_null(getcwd(from, sizeof from));
    assert_int_equal(chdir(dir), 0);
    const tk_status whole = tk_h5_probe("good3.h5"), damaged = tk_h5_probe("bad.h5");
    assert_int_equal(chdir(from), 0);
    assert_int_equal(whole, TK_OK);
    assert_int_equal(damaged, TK_INPUT);
}

static void a_lost_prober_is_said_and_replaced(void **state)
{
    (void)state;
    const pid_t prober = only_child();
    assert_int_equal(kill(prober, SIGKILL), 0);
    assert_status(tk_h5_probe(good[4]), TK_IO);
    assert_says("good4.h5");
    assert_int_equal(only_child(), 0);
    assert_ok(tk_h5_probe(good[4]));
    assert_int_not_equal(only_child(), prober);
}

// A pipe that nobody writes to is a file system that does not answer; a fork sends the alarm early.
static void what_could_not_be_looked_at_is_not_called_damaged(void **state)
{
    (void)state;
    char silent[64];
    snprintf(silent, sizeof silent, "%s/silent.h5", dir);
    assert_int_equal(mkfifo(silent, 0600), 0);
    assert_ok(tk_h5_probe(good[7]));
    const pid_t prober = only_child(), impatient = fork();
    if (impatient == 0) {
        pid_t looking;
        while (!(looking = only_child_of(prober))) usleep(1000);
        _exit(kill(looking, SIGALRM) != 0);
    }
    const tk_status st = tk_h5_probe(silent);
    unlink(silent);
    assert_int_equal(waitpid(impatient, NULL, 0), impatient);
    assert_status(st, TK_IO);
    assert_says("silent.h5: its metadata could not be read within 120 seconds");
    assert_int_equal(only_child(), prober);
}

// It has a prober of its own, which ends with it.
static void a_fork_asks_its_own(void **state)
{
    (void)state;
    const pid_t prober = only_child();
    int said[2], own = 0, ended;
    assert_int_equal(pipe(said), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); // the prober of a fork that is gone
    const pid_t fork_of_this = fork();
    if (fork_of_this == 0) {
        const bool fine = tk_h5_probe(bad) == TK_INPUT && tk_h5_probe(good[5]) == TK_OK;
        own = only_child();
        _exit(!fine || write(said[1], &own, sizeof own) != sizeof own);
    }
    assert_int_equal(read(said[0], &own, sizeof own), sizeof own);
    close(said[0]), close(said[1]);
    assert_int_equal(waitpid(fork_of_this, &ended, 0), fork_of_this);
    assert_int_equal(ended, 0);
    assert_int_not_equal(own, 0);
    assert_int_not_equal(own, prober);
    assert_int_equal(waitpid(own, &ended, 0), own); // or the test has no end
    assert_ok(tk_h5_probe(good[6]));
    assert_int_equal(only_child(), prober);
}

int main(int argc, char **argv)
{
    if (tk_h5_probing(argc, argv)) return tk_h5_probe_main();
    tk_h5_probe_by("/proc/self/exe");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_files_one_prober),
        cmocka_unit_test(a_name_counts_from_the_folder_of_the_caller),
        cmocka_unit_test(a_lost_prober_is_said_and_replaced),
        cmocka_unit_test(what_could_not_be_looked_at_is_not_called_damaged),
        cmocka_unit_test(a_fork_asks_its_own),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
