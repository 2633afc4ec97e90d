// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE // statx, descriptors closed from the third on
#include "core/store/probe.h"
#include "core/store/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED
#endif

static const char PROBE[] = "--probe-h5";
static const char *program;

enum {
    CPU_SECONDS = 10,
    WALL_SECONDS = 40,
    NUMBERS_MAX = 4 << 20, // bytes read of a dataset of plain numbers
    OTHERS_MAX = 64 << 20, // ... and of anything else
    KNOWN = 64,            // files remembered
    UNREADABLE = 1         // exit code: the library itself finds something wrong
};
static const rlim_t MEMORY_MAX = (rlim_t)4 << 30;

void tk_h5_probe_by(const char *path)
{
    program = path;
}

bool tk_h5_probing(int argc, char **argv)
{
    return argc == 3 && !strcmp(argv[1], PROBE);
}

// ---- the process that may die ------------------------------------------------------------------

// Reads up to `most` bytes' worth of elements through the library's own conversions.
static void read_values(hid_t type, hid_t space, hid_t at, bool attribute)
{
    const hid_t native = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = native >= 0 ? H5Tget_size(native) : 0;
    const H5T_class_t class = H5Tget_class(type);
    const bool numbers = class == H5T_INTEGER || class == H5T_FLOAT;
    const size_t most = numbers && !attribute ? NUMBERS_MAX : OTHERS_MAX;
    void *x = n > 0 && size > 0 && (size_t)n <= most / size ? tk_alloc((size_t)n * size) : NULL;
    if (x) {
        const herr_t got = attribute ? H5Aread(at, native, x)
                                     : H5Dread(at, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
        if (got >= 0) H5Dvlen_reclaim(native, space, H5P_DEFAULT, x);
        tk_free(x);
    }
    if (native >= 0) H5Tclose(native);
}

static herr_t walk_attribute(hid_t at, const char *name, const H5A_info_t *info, void *ctx)
{
    (void)info, (void)ctx;
    const hid_t attribute = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
    if (attribute < 0) return -1;
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (type >= 0 && space >= 0) read_values(type, space, attribute, true);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

static void walk_dataset(hid_t dataset)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    const hid_t plan = H5Dget_create_plist(dataset);
    if (plan >= 0) {
        H5Pget_layout(plan);
        H5Pget_external_count(plan);
        H5Pget_nfilters(plan);
        H5Pclose(plan);
    }
    H5Dget_offset(dataset);
    H5Dget_storage_size(dataset);
    if (type >= 0 && space >= 0) read_values(type, space, dataset, false);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
}

static herr_t walk_object(hid_t root, const char *name, const H5O_info_t *info, void *ctx)
{
    (void)info, (void)ctx;
    if (H5Lexists(root, name, H5P_DEFAULT) < 0 && strcmp(name, ".") != 0) return 0;
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0) return -1;
    H5G_info_t group;
    if (H5Iget_type(object) == H5I_GROUP) H5Gget_info(object, &group);
    const herr_t all =
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, walk_attribute, NULL);
    if (H5Iget_type(object) == H5I_DATASET) walk_dataset(object);
    H5Oclose(object);
    return all;
}

// Links in the order of their names are gathered and sorted by the library first, which is more of
// it that can fail than following them where they lie.
static herr_t walk_link(hid_t root, const char *name, const H5L_info_t *info, void *ctx)
{
    (void)root, (void)name, (void)info, (void)ctx;
    return 0;
}

int tk_h5_probe_main(const char *path)
{
    const struct rlimit none = {0, 0}, cpu = {CPU_SECONDS, CPU_SECONDS + 5};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &cpu);
#ifndef SANITIZED // which reserve far more than they use
    const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
    setrlimit(RLIMIT_AS, &memory);
#endif
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    H5set_free_list_limits(0, 0, 0, 0, 0, 0); // blocks go back at once, and are checked
    tk_h5_quiet();
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return 0; // the caller meets the same, and has words for it
    H5Aexists(file, "format");
    const bool all =
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, walk_object, NULL, H5O_INFO_ALL) >= 0 &&
        H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, walk_link, NULL) >= 0;
    H5Fclose(file);
    H5close();
    return all ? 0 : UNREADABLE;
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
static bool identify(const char *path, bool own, known *k)
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
    const int ways = identify(path, false, &as[0]) && identify(path, true, &as[1]) ? 2 : 0;
    pthread_mutex_lock(&guard);
    for (int i = 0; i < KNOWN && i < n_known; i++)
        for (int w = 0; w < ways; w++) found |= !memcmp(&list[i], &as[w], sizeof list[i]);
    pthread_mutex_unlock(&guard);
    return found;
}

static void know(const char *path, bool own)
{
    known k;
    if (!identify(path, own, &k)) return;
    pthread_mutex_lock(&guard);
    list[n_known++ % KNOWN] = k;
    pthread_mutex_unlock(&guard);
}

void tk_h5_trust(const char *path)
{
    know(path, true);
}

// ---- asking it ---------------------------------------------------------------------------------

// What the process gets of the environment: where libraries lie, and the C library's checks of
// memory that is given back, so that what is overwritten does not go unseen.
enum { VARIABLES = 8 };
static void environment(char *out[VARIABLES], char *path_variable, size_t bytes)
{
    const char *libraries = getenv("LD_LIBRARY_PATH");
    int n = 0;
#ifndef SANITIZED
    out[n++] = (char *)"LD_PRELOAD=libc_malloc_debug.so.0";
    out[n++] = (char *)"MALLOC_CHECK_=3";
#endif
    out[n++] = (char *)"MALLOC_PERTURB_=165";
    out[n++] = (char *)"OMP_NUM_THREADS=1";
    out[n++] = (char *)"HDF5_USE_FILE_LOCKING=FALSE";
    out[n++] = (char *)"ASAN_OPTIONS=detect_leaks=0";
    if (libraries && strlen(libraries) + 32 < bytes) {
        snprintf(path_variable, bytes, "LD_LIBRARY_PATH=%s", libraries);
        out[n++] = path_variable;
    }
    out[n] = NULL;
}

// In a group of its own: an interrupt at the keyboard is not a damaged file.
static tk_status start(const char *path, pid_t *pid)
{
    char *const words[] = {(char *)"talkie", (char *)PROBE, (char *)path, NULL};
    char *variables[VARIABLES], path_variable[4096];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    environment(variables, path_variable, sizeof path_variable);
    if (posix_spawn_file_actions_init(&actions)) return TK_FAIL(TK_MEMORY, "out of memory");
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    const int error = posix_spawn(pid, program, &actions, &attributes, words, variables);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error)
        return TK_FAIL(TK_IO, "cannot start a process to look at %s: %s", path, strerror(error));
    return TK_OK;
}

// Its end, or TK_INPUT after the most it may take.
static tk_status await(pid_t pid, const char *path, int *status)
{
    struct timespec pause = {0, 500000};
    for (double waited = 0; waited < WALL_SECONDS; waited += (double)pause.tv_nsec * 1e-9) {
        const pid_t got = waitpid(pid, status, WNOHANG);
        if (got == pid) return TK_OK;
        if (got < 0 && errno != EINTR)
            return TK_FAIL(TK_IO, "lost the process that looks at %s: %s", path, strerror(errno));
        nanosleep(&pause, NULL);
        if (waited > 0.1) pause.tv_nsec = 10000000;
    }
    kill(pid, SIGKILL);
    waitpid(pid, status, 0);
    return TK_FAIL(TK_INPUT, "%s is damaged: reading its metadata has no end (%d seconds)", path,
                   WALL_SECONDS);
}

tk_status tk_h5_probe(const char *path)
{
    pid_t pid;
    int status = 0;
    if (!program || is_known(path)) return TK_OK;
    TK_TRY(start(path, &pid));
    TK_TRY(await(pid, path, &status));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        return TK_FAIL(TK_INPUT, "%s is damaged: reading its metadata has no end (%d seconds)",
                       path, CPU_SECONDS);
    if (WIFEXITED(status) && WEXITSTATUS(status) == UNREADABLE)
        return TK_FAIL(TK_INPUT, "%s is damaged: its metadata cannot be read to its end", path);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        return TK_FAIL(TK_INPUT, "%s is damaged: its metadata makes the HDF5 library fail (%s)",
                       path, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it gave up");
    know(path, false);
    return TK_OK;
}
