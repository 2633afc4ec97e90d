// SPDX-License-Identifier: Apache-2.0
// Reads of a media file that fail are told as that: no end of the film, and no fault of the file's.
/*TEST timeout: 120 */
#define _GNU_SOURCE
#include "data/media/reader.h"
#include "tests/data/media/media_files.h"
#include <dlfcn.h>
#include <errno.h>

static int64_t reads, fails_at, fails_with; // of this process, by place in a file

ssize_t pread(int fd, void *x, size_t bytes, off_t at) // in the place of the C library's
{
    ssize_t (*next)(int, void *, size_t, off_t) = dlsym(RTLD_NEXT, "pread");
    if (++reads != fails_at) return next(fd, x, bytes, at);
    errno = (int)fails_with;
    return -1;
}

static const tk_media_config small = {
    .width = 32, .height = 32, .fps = 8, .sample_rate = 8000, .channels = 1};

static tk_status probe(const char *path)
{
    int64_t frames;
    bool has_audio;
    return tk_media_probe(path, &small, 1, &frames, &has_audio);
}

static tk_status decode(const char *path)
{
    tk_media m;
    const tk_status st = tk_media_read(path, &small, 60, 1, &m, NULL);
    tk_media_free(&m);
    return st;
}

// What comes of it where each read in turn fails once.
static void each_fails(tk_status (*take)(const char *path), const char *path, int error,
                       tk_status want)
{
    reads = fails_at = 0;
    assert_ok(take(path));
    const int64_t n = reads;
    assert_true(n > 8);
    for (int64_t k = 1; k <= n; k++) {
        reads = 0, fails_at = k, fails_with = error;
        const tk_status st = take(path);
        fails_at = 0;
        if (st != want)
            fail_msg("%s, read %d of %d: %d (%s)", path, (int)k, (int)n, st, tk_status_message());
        if (want) assert_says("cannot read ");
        if (want) assert_says(strerror(error));
    }
}

static void read_that_fails_is_told(void **state)
{
    (void)state;
    const char *name[] = {"film.mp4", "film.mkv", "film.ts", "film.avi"};
    for (int i = 0; i < 4; i++) {
        const char *path = media_make(name[i], "-f lavfi -i testsrc2=s=160x120:r=24:d=3 -f lavfi "
                                               "-i sine=d=3 -c:v mpeg4 -q:v 2 -c:a aac");
        each_fails(probe, path, EIO, TK_IO);
        each_fails(decode, path, EIO, TK_IO);
        each_fails(decode, path, EINTR, TK_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(read_that_fails_is_told)};
    return cmocka_run_group_tests(tests, media_open, media_close);
}
