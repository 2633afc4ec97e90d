// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Windows on disk: whoever writes one is killed, or fails, at any arrow of its protocol, and there
// is the whole window or none; nothing is taken that is damaged, of another clip or made otherwise.
#include "infer/reel/files.h"
#include "tests/support/test.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTS = 3, VIDEO = 6, AUDIO = 4 }; // numbers of a latent frame, of an audio row
static tk_reel_part part[PARTS] = {
    {{2, 5}, 0}, {{3, 7}, 0}, {{7, 20}, 0}}; // latent frames, audio rows
static const tk_reel_shape shape = {PARTS, part, {VIDEO, AUDIO}};

static char dir[64], output[128];
static const char *arrow, *const arrows[] = {"begin", "write", "verify", "rename", "done"};
enum { ARROWS = 5, DONE = 4 };

static float number(tk_codec_side side, int64_t i)
{
    return (float)(side * 1000 + i) + 0.25f;
}

// Whose parts are made of that and of their numbers.
static tk_status open_clip(uint64_t digest, tk_reel_files *f)
{
    for (uint64_t i = 0; i < PARTS; i++) part[i].of = 16 * digest + i;
    return tk_reel_files_open(output, &shape, tk_comm_self(), tk_comm_self(), f);
}

static tk_status put(tk_reel_files *f, int64_t i)
{
    static float x[TK_CODEC_SIDES][20 * AUDIO];
    const float *rows[TK_CODEC_SIDES] = {x[0], x[1]};
    for (int k = 0; k < TK_CODEC_SIDES; k++) {
        const int64_t begin = tk_reel_begin(&shape, i, k) * shape.numbers[k];
        for (int64_t n = 0; n < part[i].end[k] * shape.numbers[k] - begin; n++)
            x[k][n] = number(k, begin + n);
    }
    return f->reel.put(&f->reel, i, rows);
}

static void assert_whole(tk_reel_files *f)
{
    float x[20 * AUDIO];
    for (int k = 0; k < TK_CODEC_SIDES; k++)
        for (int64_t first = 0, end = part[PARTS - 1].end[k]; first < end; first++)
            for (int64_t n = 1; n <= end - first; n += 3) {
                tk_row_part seen;
                assert_ok(f->reel.get(&f->reel, k, first, n, x));
                assert_ok(f->source.rows(&f->source, k, first, n, &seen));
                assert_int_equal(seen.first, first);
                for (int64_t i = 0; i < n * shape.numbers[k]; i++) {
                    assert_true(x[i] == number(k, first * shape.numbers[k] + i));
                    assert_true(seen.x[i] == x[i]);
                }
            }
}

// Files in the folder; -1: there is none.
static int files(void)
{
    char folder[256];
    int n = 0;
    snprintf(folder, sizeof folder, "%s.windows", output);
    DIR *d = opendir(folder);
    if (!d) return -1;
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void path_of(uint64_t digest, int64_t i, char path[256])
{
    snprintf(path, 256, "%s.windows/%016llx-%06lld.window", output,
             (unsigned long long)(16 * digest) + (unsigned long long)i, (long long)i);
}

static void whole_parts_are_taken_up_again(void **state)
{
    tk_reel_files f;
    (void)state;
    assert_ok(open_clip(7, &f));
    assert_int_equal(f.kept, 0);
    for (int i = 0; i < PARTS; i++) {
        assert_false(f.reel.has(&f.reel, i));
        assert_ok(put(&f, i));
        assert_true(f.reel.has(&f.reel, i));
    }
    assert_whole(&f);
    tk_reel_files_close(&f);
    assert_ok(open_clip(7, &f));
    assert_int_equal(f.kept, PARTS);
    assert_whole(&f);
    tk_reel_files_close(&f);
    assert_int_equal(files(), PARTS);
    assert_ok(tk_reel_files_remove(output));
    assert_int_equal(files(), -1);
    assert_ok(open_clip(7, &f)); // and nothing is left where nothing was made
    tk_reel_files_close(&f);
    assert_int_equal(files(), -1);
}

static tk_status die(const char *at)
{
    if (!strcmp(at, arrow)) raise(SIGKILL);
    return TK_OK;
}

static tk_status refuse(const char *at)
{
    return strcmp(at, arrow) ? TK_OK : TK_FAIL(TK_IO, "as a test wants it to");
}

static void a_killed_writer_costs_at_most_its_window(void **state)
{
    (void)state;
    for (int k = 0; k < ARROWS; k++) {
        tk_reel_files f;
        int status;
        arrow = arrows[k];
        const pid_t child = fork();
        if (child == 0) {
            tk_reel_files g;
            if (open_clip(7, &g) != TK_OK || put(&g, 0) != TK_OK) _exit(1);
            tk_reel_at = die;
            _exit(put(&g, 1) == TK_OK ? 2 : 3);
        }
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        assert_ok(open_clip(7, &f));
        assert_int_equal(f.kept, k == DONE ? 2 : 1);
        assert_int_equal(f.reel.has(&f.reel, 1), k == DONE);
        for (int i = 1; i < PARTS; i++) assert_ok(put(&f, i));
        assert_whole(&f);
        assert_int_equal(files(), PARTS); // what the dead one left half is gone
        tk_reel_files_close(&f);
        assert_ok(tk_reel_files_remove(output));
    }
}

static void a_failing_writer_costs_at_most_its_window(void **state)
{
    (void)state;
    for (int k = 0; k < ARROWS; k++) {
        tk_reel_files f;
        arrow = arrows[k];
        assert_ok(open_clip(7, &f));
        assert_ok(put(&f, 0));
        tk_reel_at = refuse;
        assert_status(put(&f, 1), TK_IO);
        tk_reel_at = NULL;
        assert_false(f.reel.has(&f.reel, 1));
        assert_int_equal(files(), k == DONE ? 2 : 1);
        for (int i = 1; i < PARTS; i++) assert_ok(put(&f, i));
        assert_whole(&f);
        tk_reel_files_close(&f);
        assert_ok(tk_reel_files_remove(output));
    }
}

static void a_full_disk_leaves_whole_windows(void **state)
{
    const struct rlimit little = {200, RLIM_INFINITY}, any = {RLIM_INFINITY, RLIM_INFINITY};
    tk_reel_files f;
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_ok(open_clip(7, &f));
    assert_ok(put(&f, 0));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    const tk_status st = put(&f, 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &any), 0);
    assert_status(st, TK_IO);
    assert_int_equal(files(), 1);
    tk_reel_files_close(&f);
    assert_ok(tk_reel_files_remove(output));
}

// One byte after the other of a file, and its end.
static void damage(int64_t at)
{
    char path[256], x;
    path_of(7, 1, path);
    const int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    if (at < 0) {
        assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_END) - 1), 0);
    } else {
        assert_int_equal(pread(fd, &x, 1, at), 1);
        x ^= 4;
        assert_int_equal(pwrite(fd, &x, 1, at), 1);
    }
    close(fd);
}

static void damaged_windows_are_made_again(void **state)
{
    char path[256];
    (void)state;
    tk_reel_files f;
    assert_ok(open_clip(7, &f));
    for (int i = 0; i < PARTS; i++) assert_ok(put(&f, i));
    tk_reel_files_close(&f);
    path_of(7, 1, path);
    const int fd = open(path, O_RDONLY);
    const int64_t bytes = lseek(fd, 0, SEEK_END);
    close(fd);
    for (int64_t at = -1; at < bytes; at += 1 + at / 60) {
        damage(at);
        assert_ok(open_clip(7, &f));
        if (f.kept != PARTS - 1) fail_msg("byte %lld is not missed", (long long)at);
        assert_false(f.reel.has(&f.reel, 1));
        assert_ok(put(&f, 1));
        assert_whole(&f);
        tk_reel_files_close(&f);
    }
    assert_ok(tk_reel_files_remove(output));
}

static void nothing_of_another_clip_is_taken(void **state)
{
    char mine[256], path[256], other[256];
    (void)state;
    tk_reel_files f;
    assert_ok(open_clip(7, &f));
    for (int i = 0; i < PARTS; i++) assert_ok(put(&f, i));
    tk_reel_files_close(&f);
    // The same clip but for a part.
    part[1].of += 100;
    assert_ok(tk_reel_files_open(output, &shape, tk_comm_self(), tk_comm_self(), &f));
    assert_int_equal(f.kept, PARTS - 1);
    assert_false(f.reel.has(&f.reel, 1));
    assert_int_equal(files(), PARTS - 1);
    tk_reel_files_close(&f);
    assert_ok(open_clip(7, &f));
    assert_int_equal(f.kept, PARTS - 1);
    assert_ok(put(&f, 1));
    tk_reel_files_close(&f);
    // Under the names of another clip, or of another window.
    path_of(7, 0, path);
    path_of(8, 0, other);
    assert_int_equal(rename(path, other), 0);
    path_of(7, 1, path);
    path_of(8, 2, other);
    assert_int_equal(rename(path, other), 0);
    snprintf(mine, sizeof mine, "%s.windows/mine", output);
    const int fd = open(mine, O_CREAT | O_WRONLY, 0666);
    assert_true(fd >= 0);
    close(fd);
    assert_ok(open_clip(8, &f));
    assert_int_equal(f.kept, 0);
    assert_int_equal(files(), 3); // those two, of which none is taken; window 2 of clip 7 is gone
    tk_reel_files_close(&f);
    assert_ok(tk_reel_files_remove(output));
    assert_int_equal(files(), 1); // what is not ours
    assert_int_equal(unlink(mine), 0);
    assert_ok(tk_reel_files_remove(output));
}

static void a_file_in_the_folders_place_is_named(void **state)
{
    char path[256];
    tk_reel_files f;
    (void)state;
    snprintf(path, sizeof path, "%s.windows", output);
    close(open(path, O_CREAT | O_WRONLY, 0666));
    assert_status(open_clip(7, &f), TK_INPUT);
    assert_says("a file of that name is there");
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/talkie-reel-XXXXXX");
    if (!mkdtemp(dir)) return -1;
    snprintf(output, sizeof output, "%s/clip", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(dir); // nothing may be left
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_parts_are_taken_up_again),
        cmocka_unit_test(a_killed_writer_costs_at_most_its_window),
        cmocka_unit_test(a_failing_writer_costs_at_most_its_window),
        cmocka_unit_test(a_full_disk_leaves_whole_windows),
        cmocka_unit_test(damaged_windows_are_made_again),
        cmocka_unit_test(nothing_of_another_clip_is_taken),
        cmocka_unit_test(a_file_in_the_folders_place_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
