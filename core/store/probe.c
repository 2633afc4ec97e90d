// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // statx
#include "core/store/probe.h"
#include "core/base/aside.h"
#include "core/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED // and then more address space is reserved than any limit would allow
#else
static const rlim_t MEMORY_MAX = (rlim_t)4 << 30;
#endif

static const char PROBE[] = "--probe-h5";
static const char *program;

enum {
    CPU_SECONDS = 10,   // of work: what takes more has no end
    WALL_SECONDS = 120, // of waiting: for a file system, or a turn on a busy machine
    KNOWN = 64,         // files remembered
    UNREADABLE = 1      // exit code: the library itself finds something wrong
};

void tk_h5_probe_by(const char *path)
{
    program = path;
}

bool tk_h5_probing(int argc, char **argv)
{
    return tk_aside_is(argc, argv, PROBE);
}

// ---- the prober --------------------------------------------------------------------------------

// A path comes in, how the process that looked at the file ended goes out, until the asking side
// is gone. The prober itself never reads a file, so it is as good for the last one as for the
// first.

static void limit_prober(void)
{
    const struct rlimit none = {0, 0}, cpu = {CPU_SECONDS, CPU_SECONDS + 5};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &cpu); // each process anew
#ifndef SANITIZED
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    setrlimit(RLIMIT_AS, &memory);
#endif
}

// The process that may die.
static int look_at(const char *path)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(WALL_SECONDS);
    return tk_h5_walk(path) ? 0 : UNREADABLE;
}

int tk_h5_probe_main(void)
{
    char path[PATH_MAX];
    limit_prober();
    for (;;) {
        const ssize_t n = recv(STDIN_FILENO, path, sizeof path - 1, 0);
        if (n <= 0) return n < 0;
        path[n] = 0;
        const pid_t pid = fork();
        if (pid < 0) return 1;
        if (pid == 0) return look_at(path);
        int ended;
        if (waitpid(pid, &ended, 0) != pid) return 1;
        if (send(STDIN_FILENO, &ended, sizeof ended, MSG_NOSIGNAL) != sizeof ended) return 0;
    }
}

// ---- which files are known ---------------------------------------------------------------------

// A file by its place and birth (a number is used again when its file is gone), and for one that
// others made by its content's size and time.
typedef struct known {
    uint64_t number, born, changed;
    uint32_t major, minor;
    uint64_t bytes; // UINT64_MAX: made here, whatever it holds by now
} known;

static known list[KNOWN]; // a ring
static int n_known;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static uint64_t nanoseconds(struct statx_timestamp t)
{
    return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// False where the file system does not tell enough to know a file again.
static bool identify_file(const char *path, bool own, known *k)
{
    struct statx s;
    if (statx(AT_FDCWD, path, 0, STATX_BASIC_STATS | STATX_BTIME, &s)) return false;
    *k = (known){.number = s.stx_ino,
                 .born = nanoseconds(s.stx_btime),
                 .changed = own ? 0 : nanoseconds(s.stx_mtime),
                 .major = s.stx_dev_major,
                 .minor = s.stx_dev_minor,
                 .bytes = own ? UINT64_MAX : s.stx_size};
    return s.stx_mask & STATX_BTIME;
}

static bool is_known(const char *path)
{
    known as[2];
    bool found = false;
    const int ways =
        identify_file(path, false, &as[0]) && identify_file(path, true, &as[1]) ? 2 : 0;
    pthread_mutex_lock(&guard);
    for (int i = 0; i < KNOWN && i < n_known; i++)
        for (int w = 0; w < ways; w++) found |= !memcmp(&list[i], &as[w], sizeof list[i]);
    pthread_mutex_unlock(&guard);
    return found;
}

static void know(const char *path, bool own)
{
    known k;
    if (!identify_file(path, own, &k)) return;
    pthread_mutex_lock(&guard);
    list[n_known++ % KNOWN] = k;
    pthread_mutex_unlock(&guard);
}

void tk_h5_trust(const char *path)
{
    know(path, true);
}

// ---- asking it ---------------------------------------------------------------------------------

// What the prober gets of the environment: the C library's checks of memory that is given back, so
// that what is overwritten does not go unseen.
static const char *const environment[] = {
#ifndef SANITIZED
    "LD_PRELOAD=libc_malloc_debug.so.0",
    "MALLOC_CHECK_=3",
#endif
    "MALLOC_PERTURB_=165",
    "OMP_NUM_THREADS=1",
    "HDF5_USE_FILE_LOCKING=FALSE",
    "ASAN_OPTIONS=detect_leaks=0",
    NULL};

// Starting a process costs far more than looking at a small file, so that one prober serves as long
// as this process lives.
static tk_aside prober;
static pthread_mutex_t asking = PTHREAD_MUTEX_INITIALIZER;

static tk_status start_prober(void)
{
    const tk_aside_start s = {program, PROBE, SOCK_SEQPACKET, environment, "look at HDF5 files"};
    return tk_aside_begin(&s, &prober);
}

// How the process that looked at the file ended, as of waitpid.
static tk_status ask_prober(const char *path, int *ended)
{
    char whole[PATH_MAX]; // the prober stays in the folder it was started in
    ssize_t n;
    if (!realpath(path, whole))
        return TK_FAIL(tk_io_code(errno), "cannot open %s: %s", path, strerror(errno));
    TK_TRY(start_prober());
    n = send(prober.socket, whole, strlen(whole), MSG_NOSIGNAL);
    while (n > 0 && (n = recv(prober.socket, ended, sizeof *ended, 0)) < 0 && errno == EINTR) n = 1;
    if (n == sizeof *ended) return TK_OK;
    tk_aside_end(&prober);
    return TK_FAIL(TK_IO, "lost the process that looks at %s", path);
}

tk_status tk_h5_probe(const char *path)
{
    int ended = 0;
    if (!program || is_known(path)) return TK_OK;
    pthread_mutex_lock(&asking);
    const tk_status st = ask_prober(path, &ended);
    pthread_mutex_unlock(&asking);
    TK_TRY(st);
    const int signal = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    if (signal == SIGALRM)
        return TK_FAIL(TK_IO,
                       "%s: its metadata could not be read within %d seconds: the file system does "
                       "not answer, or this machine is overloaded",
                       path, WALL_SECONDS);
    if (signal == SIGXCPU)
        return TK_FAIL(TK_INPUT, "%s is damaged: reading its metadata has no end (%d seconds)",
                       path, CPU_SECONDS);
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == UNREADABLE)
        return TK_FAIL(TK_INPUT, "%s is damaged: its metadata cannot be read to its end", path);
    if (ended)
        return TK_FAIL(TK_INPUT, "%s is damaged: its metadata makes the HDF5 library fail (%s)",
                       path, signal ? strsignal(signal) : "it gave up");
    know(path, false);
    return TK_OK;
}
