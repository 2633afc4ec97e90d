// SPDX-License-Identifier: Apache-2.0
// A temporary directory of odd media files, made by the ffmpeg program, for the media tests.
#pragma once
#include "tests/support/test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char media_dir[64];

static inline int media_open(void **state)
{
    (void)state;
    snprintf(media_dir, sizeof media_dir, "/tmp/talkie-media-XXXXXX");
    return mkdtemp(media_dir) ? 0 : -1;
}

static inline int media_close(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", media_dir);
    return system(command);
}

// Path of a file in the directory; up to eight at a time.
static inline const char *media_path(const char *name)
{
    static char path[8][256];
    static int k;
    k = (k + 1) % 8;
    snprintf(path[k], sizeof path[k], "%s/%s", media_dir, name);
    return path[k];
}

// Makes `name` with `ffmpeg <args> <name>`; without that program the test is skipped.
static inline const char *media_make(const char *name, const char *args)
{
    char command[2048];
    const char *path = media_path(name);
    snprintf(command, sizeof command, "ffmpeg -nostdin -v error -y %s '%s' </dev/null", args, path);
    if (system("command -v ffmpeg >/dev/null") != 0) {
        media_close(NULL);
        printf("skipped: ffmpeg, which makes its media files, is not here\n");
        exit(77);
    }
    if (system(command) != 0) fail_msg("failed: %s", command);
    return path;
}

static inline const char *media_put(const char *name, const void *bytes, size_t n)
{
    const char *path = media_path(name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline unsigned char *media_get(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *x = malloc(*n + 1);
    assert_non_null(x);
    assert_int_equal(fread(x, 1, *n, f), *n);
    fclose(f);
    return x;
}

// Files in the directory whose name holds `part`.
static inline int media_count(const char *part)
{
    int n = 0;
    DIR *d = opendir(media_dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += strstr(e->d_name, part) != NULL;
    closedir(d);
    return n;
}
