// SPDX-License-Identifier: Apache-2.0
// Which files of a folder may be clips: see infer/gallery/clips.h.
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/gallery/clips.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { FOLDERS_DEEP = 8 };

typedef struct clip_search {
    tk_arena *arena;
    char **path; // (room)
    int64_t n;
} clip_search;

static bool may_be_clip(const char *name)
{
    const size_t n = strlen(name);
    return n > 4 && !strcasecmp(name + n - 4, ".mp4");
}

static tk_status look_into(clip_search *f, const char *folder, int depth);

static tk_status look_at_entry(clip_search *f, const char *folder, const char *name, int depth)
{
    struct stat info;
    if (name[0] == '.') return TK_OK;
    const size_t n = strlen(folder);
    char *path =
        tk_arena_printf(f->arena, "%s%s%s", folder, n && folder[n - 1] == '/' ? "" : "/", name);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (lstat(path, &info) != 0) return TK_OK; // gone meanwhile
    if (S_ISDIR(info.st_mode))
        return depth > 0 && !tk_site_is_one(path) ? look_into(f, path, depth - 1) : TK_OK;
    if (!may_be_clip(name)) return TK_OK;
    if (f->n == TK_GALLERY_FILES)
        return TK_FAIL(TK_INPUT, "%s: more than %d MP4 files; make a gallery of a part of it",
                       folder, TK_GALLERY_FILES);
    f->path[f->n++] = path;
    return TK_OK;
}

static tk_status look_into(clip_search *f, const char *folder, int depth)
{
    DIR *d = opendir(folder);
    tk_status st = TK_OK;
    if (!d) return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", folder, tk_io_words(errno));
    for (struct dirent *e; st == TK_OK && (e = readdir(d));) {
        tk_alive();
        st = look_at_entry(f, folder, e->d_name, depth);
    }
    closedir(d);
    return st;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

tk_status tk_gallery_find(const char *folder, tk_arena *a, char ***path, int64_t *n)
{
    clip_search f = {.arena = a};
    TK_ARENA_NEW(f.path, a, TK_GALLERY_FILES);
    TK_TRY(look_into(&f, folder, FOLDERS_DEEP));
    qsort(f.path, (size_t)f.n, sizeof *f.path, by_path);
    *path = f.path;
    *n = f.n;
    return TK_OK;
}
