// SPDX-License-Identifier: Apache-2.0
// Whether an output may be written, found out before any work; folders. See core/base/files.h.
#include "core/base/files.h"
#include "core/base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { MARK_WITHIN = 16 << 20, PIECE = 1 << 16 };

// ---- which file --------------------------------------------------------------------------------

tk_file_id tk_file_identity(const char *path)
{
    struct stat s;
    char folder[PATH_MAX] = "."; // no memory, which might run out: there is no failure to report
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (stat(path, &s) == 0) return (tk_file_id){.device = s.st_dev, .number = s.st_ino};
    if (slash && (size_t)(name - path) >= sizeof folder) return (tk_file_id){0};
    if (slash) snprintf(folder, sizeof folder, "%.*s", (int)(name - path), path);
    if (!*name || stat(folder, &s) != 0) return (tk_file_id){0};
    return (tk_file_id){s.st_dev, s.st_ino, XXH3_64bits(name, strlen(name)) | 1};
}

bool tk_file_same(tk_file_id a, tk_file_id b)
{
    return a.number && a.device == b.device && a.number == b.number && a.name == b.name;
}

static tk_status check_inputs(const char *path, int n, char *const *inputs)
{
    const tk_file_id output = tk_file_identity(path);
    for (int i = 0; i < n; i++)
        if (tk_file_same(output, tk_file_identity(inputs[i])))
            return TK_FAIL(TK_INPUT,
                           "cannot write %s: it is the same file as the input %s; name another "
                           "output",
                           path, inputs[i]);
    return TK_OK;
}

// ---- is it ours --------------------------------------------------------------------------------

static bool holds_words(const char *x, size_t n, const char *words)
{
    const size_t m = strlen(words);
    for (const char *p = x, *end = x + n; (size_t)(end - p) >= m; p++) {
        p = memchr(p, words[0], (size_t)(end - p) - m + 1);
        if (!p) return false;
        if (!memcmp(p, words, m)) return true;
    }
    return false;
}

// Goes through the file in pieces that overlap by the length of the words.
static tk_status look_for_mark(int fd, const char *path, int64_t bytes, const tk_file_kind *kind,
                               bool *ours)
{
    const int64_t head = (int64_t)strlen(kind->head), step = PIECE - (int64_t)strlen(kind->words);
    const int64_t most = bytes < MARK_WITHIN ? bytes : MARK_WITHIN;
    char *piece;
    TK_NEW(piece, PIECE);
    tk_status st = TK_OK;
    bool begins = false, found = false;
    for (int64_t at = 0; at < most && st == TK_OK && !found; at += step) {
        const int64_t n = most - at < PIECE ? most - at : PIECE;
        st = tk_pread_all(fd, path, piece, (size_t)n, at);
        if (st != TK_OK) break;
        if (at == 0)
            begins = n >= kind->at + head && !memcmp(piece + kind->at, kind->head, (size_t)head);
        if (!begins) break;
        found = holds_words(piece, (size_t)n, kind->words);
    }
    *ours = begins && found;
    tk_free(piece);
    return st;
}

static tk_status check_whose(const char *path, const tk_file_kind *kind)
{
    struct stat s;
    int fd;
    int64_t bytes;
    bool ours = true;
    if (stat(path, &s) != 0 || s.st_size == 0) return TK_OK;
    TK_TRY(tk_file_open(path, &fd, &bytes));
    const tk_status st = look_for_mark(fd, path, bytes, kind, &ours);
    close(fd);
    TK_TRY(st);
    if (!ours)
        return TK_FAIL(TK_INPUT,
                       "cannot write %s: it is there already and not a %s of talkie's; name "
                       "another output, or move it away",
                       path, kind->name);
    return TK_OK;
}

tk_status tk_file_check_output(const char *path, const tk_file_kind *kind, int n,
                               char *const *inputs)
{
    tk_file f;
    TK_TRY(check_inputs(path, n, inputs));
    TK_TRY(tk_file_begin(&f, path));
    tk_file_abort(&f);
    return check_whose(path, kind);
}

// ---- folders -----------------------------------------------------------------------------------

tk_status tk_file_make_folders(const char *path)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    char *folder = tk_arena_strdup(&a, path);
    tk_status st = folder ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
    for (char *s = folder + 1; st == TK_OK && *folder && *s; s++) {
        if (*s != '/') continue;
        *s = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            st = TK_FAIL(tk_io_code(errno), "cannot make the folder %s: %s", folder,
                         tk_io_words(errno));
        *s = '/';
    }
    tk_arena_free(&a);
    return st;
}

bool tk_file_is_dot(const char *name)
{
    return !strcmp(name, ".") || !strcmp(name, "..");
}

void tk_file_remove_folder(int at, const char *name, int depth)
{
    const int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d && fd >= 0) close(fd);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (tk_file_is_dot(e->d_name)) continue;
        tk_alive();
        if (unlinkat(fd, e->d_name, 0) != 0 && depth > 1)
            tk_file_remove_folder(fd, e->d_name, depth - 1);
    }
    if (d) closedir(d);
    unlinkat(at, name, AT_REMOVEDIR);
}
