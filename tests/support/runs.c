// SPDX-License-Identifier: Apache-2.0
#include "tests/support/runs.h"
#include "core/store/h5.h"
#include "data/clip/clip.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[PATH_MAX], program[PATH_MAX], env_sh[PATH_MAX];

// Four heads, so that three tensor ranks share them unevenly; three blocks for two stages.
static const char tiny[] = "model: {hidden: 48, heads: 4, head_dim: 16, layers: 3, "
                           "refiner_layers: 1, ffn: 83,\n"
                           "  video_channels: 24, audio_channels: 16, text_channels: 24, text: "
                           "bytes, freq_dim: 32,\n"
                           "  time_hidden: 40, time_dim: 40, rope_freq_dim: 2}\n"
                           "media: {width: 32, height: 24, fps: 4, sample_rate: 4000}\n"
                           "codec: {patch_frames: 2, patch_size: 8, video_channels: 24, audio_hop: "
                           "400, audio_channels: 16,\n"
                           "  fit_clips: 12}\n"
                           "world: {clips: 12, seconds: 2, max_shots: 2}\n"
                           "parallel: {threads: 1}\n"
                           "data: {files: [clips.h5]}\n"
                           "train: {steps: 10, batch: 6, microbatch: 2, warmup: 2, memory: 0.5, "
                           "checkpoint_every: 1000,\n"
                           "  out: run}\n";

// The train section is the caller's.
static const char small[] =
    "model: {hidden: 24, heads: 2, head_dim: 12, layers: 2, refiner_layers: 1, ffn: 20,\n"
    "  text_channels: 8, freq_dim: 8, time_hidden: 12, time_dim: 12, rope_freq_dim: 2,\n"
    "  video_channels: 8, audio_channels: 8}\n"
    "media: {width: 16, height: 16, fps: 4, sample_rate: 4000}\n"
    "codec: {patch_frames: 2, patch_size: 8, video_channels: 8, audio_hop: 400,\n"
    "  audio_channels: 8, fit_clips: 4}\n"
    "world: {clips: 6, seconds: 1, max_shots: 2}\n"
    "parallel: {threads: 1}\n"
    "data: {files: [small.h5]}\n";

// ---- the directory -----------------------------------------------------------------------------

const char *runs_dir(void)
{
    return dir;
}

static void path_of(char *path, const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", dir, name);
}

static void make_directory(void)
{
    const char *given = getenv("TALKIE");
    assert_non_null(realpath(given ? given : "build/talkie", program));
    assert_non_null(realpath("scripts/env.sh", env_sh));
    snprintf(dir, sizeof dir, "%s/talkie-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(dir));
}

void runs_open(void)
{
    make_directory();
    runs_write("tiny.yaml", tiny);
    runs_expect(runs_talkie(1, "data world tiny.yaml -o clips.h5"), 0, "");
}

void runs_open_small(const char *train)
{
    char text[sizeof small + 256];
    make_directory();
    snprintf(text, sizeof text, "%strain: {%s}\n", small, train);
    runs_write("small.yaml", text);
    runs_expect(runs_talkie(1, "data world small.yaml -o small.h5"), 0, "");
}

void runs_close(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

int runs_set_up(void **state)
{
    (void)state;
    runs_open();
    return 0;
}

int runs_tear_down(void **state)
{
    (void)state;
    runs_close();
    return 0;
}

// ---- running -----------------------------------------------------------------------------------

pid_t runs_shell(const char *command)
{
    fflush(NULL);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        execl("/bin/bash", "bash", "-c", command, (char *)NULL);
        _exit(127);
    }
    return pid;
}

void runs_do(const char *command)
{
    char line[PATH_MAX + 8192];
    snprintf(line, sizeof line, "cd '%s' && %s", dir, command);
    assert_int_equal(system(line), 0);
}

void runs_write(const char *name, const char *text)
{
    char path[PATH_MAX];
    path_of(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

// Leaks of the program are not looked for: Open MPI has some.
static pid_t start(int ranks, const char *arguments)
{
    char command[4 * PATH_MAX], mpirun[64] = "";
    if (ranks > 1) snprintf(mpirun, sizeof mpirun, "mpirun -n %d", ranks);
    snprintf(command, sizeof command,
             "cd '%s' && . '%s' %d && export OMP_NUM_THREADS=1 "
             "ASAN_OPTIONS=\"$ASAN_OPTIONS:detect_leaks=0\" && exec %s '%s' %s >out 2>&1",
             dir, env_sh, ranks, mpirun, program, arguments);
    return runs_shell(command);
}

pid_t runs_start(int ranks, const char *fmt, ...)
{
    char arguments[PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, ap);
    va_end(ap);
    return start(ranks, arguments);
}

int runs_wait(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) assert_int_equal(errno, EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int runs_talkie(int ranks, const char *fmt, ...)
{
    char arguments[PATH_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, ap);
    va_end(ap);
    return runs_wait(start(ranks, arguments));
}

const char *runs_output(void)
{
    static char text[1 << 16];
    char path[PATH_MAX];
    path_of(path, "out");
    FILE *f = fopen(path, "r");
    const size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[n] = 0;
    return text;
}

bool runs_said(const char *text)
{
    return strstr(runs_output(), text) != NULL;
}

void runs_print(void)
{
    print_error("%s", runs_output());
}

void runs_expect(int got, int want, const char *text)
{
    if (got == want && runs_said(text)) return;
    runs_print();
    fail_msg("exit code %d, not %d, or the words \"%s\" are missing", got, want, text);
}

// ---- reading back ------------------------------------------------------------------------------

int runs_metrics(const char *run, runs_step steps[RUNS_STEPS])
{
    char path[PATH_MAX], line[4096];
    snprintf(path, sizeof path, "%s/%s/metrics.jsonl", dir, run);
    FILE *f = fopen(path, "r");
    if (!f) return 0;
    int n = 0;
    while (n < RUNS_STEPS && fgets(line, sizeof line, f)) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        const json_t *seconds = json_object_get(o, "seconds");
        steps[n++] = (runs_step){.step = json_integer_value(json_object_get(o, "step")),
                                 .skipped = json_integer_value(json_object_get(o, "skipped")),
                                 .peak_bytes = json_integer_value(json_object_get(o, "peak_bytes")),
                                 .loss = json_number_value(json_object_get(o, "loss")),
                                 .loss_video = json_number_value(json_object_get(o, "loss_video")),
                                 .loss_audio = json_number_value(json_object_get(o, "loss_audio")),
                                 .grad_norm = json_number_value(json_object_get(o, "grad_norm")),
                                 .seconds = json_number_value(json_object_get(seconds, "total"))};
        json_decref(o);
    }
    fclose(f);
    return n;
}

typedef struct weights {
    hid_t file, other;
    const char *group;
    double worst;
    int n;
} weights;

static herr_t compare(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
    weights *w = ctx;
    tk_arena a;
    char path[256];
    int64_t dim[2] = {-1, -1}, shape[4];
    int ndim;
    void *x, *y;
    (void)group, (void)info;
    snprintf(path, sizeof path, "%s/%s", w->group, name);
    tk_arena_init(&a, 0);
    assert_ok(tk_h5_shape(w->file, path, 4, &ndim, shape));
    assert_ok(tk_h5_get(w->file, path, H5T_NATIVE_FLOAT, ndim, dim, &a, &x));
    assert_ok(tk_h5_get(w->other, path, H5T_NATIVE_FLOAT, ndim, dim, &a, &y));
    int64_t n = 1;
    for (int i = 0; i < ndim; i++) n *= dim[i];
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        const double p = (double)((float *)x)[i], q = (double)((float *)y)[i];
        difference += (p - q) * (p - q);
        norm += p * p;
    }
    w->worst = test_larger(w->worst, difference == 0 ? 0 : sqrt(difference / norm));
    w->n++;
    tk_arena_free(&a);
    return 0;
}

double runs_distance(const char *a, const char *b, const char *group)
{
    char path[2][PATH_MAX];
    weights w = {.group = group};
    path_of(path[0], a);
    path_of(path[1], b);
    assert_ok(tk_h5_open(path[0], "talkie-checkpoint", 1, &w.file));
    assert_ok(tk_h5_open(path[1], "talkie-checkpoint", 1, &w.other));
    hid_t g = H5Gopen2(w.file, group, H5P_DEFAULT);
    assert_true(g >= 0);
    assert_true(H5Literate(g, H5_INDEX_NAME, H5_ITER_INC, NULL, compare, &w) >= 0);
    assert_true(w.n > 10);
    H5Gclose(g);
    assert_ok(tk_h5_close(w.file, path[0]));
    assert_ok(tk_h5_close(w.other, path[1]));
    return w.worst;
}

int64_t runs_newest(const char *run)
{
    char path[PATH_MAX];
    long long step, newest = -1;
    path_of(path, run);
    DIR *d = opendir(path);
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d));) {
        int end = 0;
        if (sscanf(e->d_name, "step-%lld.h5%n", &step, &end) == 1 && end && !e->d_name[end] &&
            step > newest)
            newest = step;
    }
    closedir(d);
    return newest;
}

void runs_flip(const char *file, int64_t at)
{
    char path[PATH_MAX];
    struct stat s;
    unsigned char byte;
    path_of(path, file);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &s) == 0);
    if (at < 0) at = s.st_size / 2;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

void runs_damage(const char *file, int n)
{
    char path[PATH_MAX];
    tk_clips clips;
    path_of(path, file);
    assert_ok(tk_clips_open(path, NULL, &clips));
    assert_true(n <= clips.n);
    for (int i = 0; i < n; i++) {
        const tk_bucket *b = &clips.bucket[clips.clip[i].bucket];
        runs_flip(file, b->video_address + clips.clip[i].slot * b->video_bytes + 17);
    }
    tk_clips_close(&clips);
}
