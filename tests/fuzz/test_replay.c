// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// The fuzz targets without a fuzzer: corpora, and mutants of them that are the same every time.
//
//     test_replay TARGET FILE...     replays files (what `make fuzz` found, say)
//
// A target has two seconds for mutants. The one being read is kept at NAME below, so that it is
// there when its reader dies.
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/store/probe.h"
#include "tests/fuzz/targets.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CORPUS = 64, ROOM = 1 << 20, SECONDS = 2, HANGS = 60 };

typedef struct input {
    unsigned char *x;
    size_t bytes;
} input;

static char name[512]; // of the file being read: $BUILD/tests/fuzz/TARGET.mutant

static void hung(int signal_number)
{
    static const char words[] = "no end: its reader hangs, see the file *.mutant\n";
    (void)signal_number;
    if (write(2, words, sizeof words - 1)) _exit(1);
    _exit(1);
}

static void spill(const void *x, size_t bytes)
{
    unlink(name); // a file of its own each time
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_ok(tk_pwrite_all(fd, name, x, bytes, 0));
    close(fd);
}

static input slurp(const char *path)
{
    input in = {.x = NULL};
    struct stat s;
    const int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &s) == 0 && s.st_size <= ROOM);
    in.bytes = (size_t)s.st_size;
    in.x = malloc(in.bytes + 1);
    assert_ok(tk_pread_all(fd, path, in.x, in.bytes, 0));
    close(fd);
    return in;
}

static void replay(const fuzz_target *t, const void *x, size_t bytes)
{
    spill(x, bytes);
    alarm(HANGS);
    t->read(name);
    alarm(0);
}

// ---- mutants -----------------------------------------------------------------------------------

static uint64_t draw(uint64_t *state, uint64_t below)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return below ? (*state >> 33) % below : 0;
}

// One edit of x, which has room for ROOM bytes; returns its new length.
static size_t edit(unsigned char *x, size_t n, uint64_t *state)
{
    static const unsigned char odd[] = {0, 1, 0x7f, 0x80, 0xff, '\n', ':', '-', '"', '{', '[', ' '};
    const size_t at = draw(state, n), to = draw(state, n), left = n - (at > to ? at : to);
    const size_t len = draw(state, left < 64 ? left : 64);
    switch (n ? draw(state, 7) : 0) {
    case 1:
        x[at] ^= (unsigned char)(1u << draw(state, 8));
        break;
    case 2:
        x[at] = odd[draw(state, sizeof odd)];
        break;
    case 3: // a number of up to eight bytes
        memset(x + at, draw(state, 2) ? 0xff : 0, len < 8 ? len : 8);
        break;
    case 4:
        memmove(x + to, x + at, len);
        break;
    case 5:
        memmove(x + at, x + at + len, n - at - len);
        return n - len;
    case 6:
        if (n + len > ROOM) break;
        memmove(x + at + len, x + at, n - at);
        return n + len;
    default:
        if (n) x[at] = (unsigned char)draw(state, 256);
        if (draw(state, 64) == 0) return at;
    }
    return n;
}

static void mutate(const fuzz_target *t, int n, const input *corpus)
{
    unsigned char *x = malloc(ROOM);
    const double end = tk_now() + SECONDS;
    int64_t k = 0;
    for (; tk_now() < end; k++) {
        const input *from = &corpus[k % n];
        uint64_t state = (uint64_t)k * 0x9e3779b97f4a7c15u + 7;
        size_t bytes = from->bytes;
        memcpy(x, from->x, bytes);
        for (uint64_t e = draw(&state, 4) + 1; e; e--) bytes = edit(x, bytes, &state);
        replay(t, x, bytes);
    }
    free(x);
    printf("%s: %d files, %lld mutants\n", t->name, n, (long long)k);
    assert_true(k > 0);
}

// ---- corpora -----------------------------------------------------------------------------------

static int read_corpus(const fuzz_target *t, input corpus[CORPUS])
{
    char path[512];
    int n = 0;
    if (t->seed) {
        unlink(name);
        assert_ok(t->seed(name));
        corpus[n++] = slurp(name);
    }
    snprintf(path, sizeof path, "tests/fuzz/corpus/%s", t->name);
    struct dirent **entry;
    const int entries = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < entries; i++) {
        snprintf(path, sizeof path, "tests/fuzz/corpus/%s/%s", t->name, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && n < CORPUS) corpus[n++] = slurp(path);
        free(entry[i]);
    }
    if (entries >= 0) free(entry);
    return n;
}

static void every_file_and_mutant_is_answered(void **state)
{
    const fuzz_target *t = *state;
    const char *build = getenv("BUILD");
    input corpus[CORPUS];
    snprintf(name, sizeof name, "%s/tests/fuzz/%s.mutant", build ? build : "build", t->name);
    const int n = read_corpus(t, corpus);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) replay(t, corpus[i].x, corpus[i].bytes);
    mutate(t, n, corpus);
    for (int i = 0; i < n; i++) free(corpus[i].x);
    unlink(name);
}

static int replay_files(int argc, char **argv)
{
    const fuzz_target *t = fuzz_find(argv[1]);
    if (!t) return 64;
    snprintf(name, sizeof name, "/tmp/talkie-replay-%d", (int)getpid());
    for (int i = 2; i < argc; i++) {
        const input in = slurp(argv[i]);
        printf("%s\n", argv[i]);
        replay(t, in.x, in.bytes);
        free(in.x);
    }
    unlink(name);
    return 0;
}

int main(int argc, char **argv)
{
    if (tk_h5_probing(argc, argv)) return tk_h5_probe_main();
    tk_h5_probe_by("/proc/self/exe");
    tk_log_open(0, 0);
    signal(SIGALRM, hung);
    if (argc > 2) return replay_files(argc, argv);
    struct CMUnitTest tests[32];
    int n = 0;
    for (const fuzz_target *t = fuzz_targets; t->name; t++)
        tests[n++] =
            (struct CMUnitTest){t->name, every_file_and_mutant_is_answered, NULL, NULL, (void *)t};
    return _cmocka_run_group_tests("replay", tests, (size_t)n, NULL, NULL);
}
