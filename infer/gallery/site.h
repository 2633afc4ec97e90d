// SPDX-License-Identifier: Apache-2.0
// A gallery's folder, whole under its name or as it was before:
//
//     TK_TRY(tk_site_begin(&s, path));               // a folder beside path, the writer's alone
//     ... tk_site_take, tk_site_put ...
//     TK_TRY(tk_site_commit(&s));                    // or tk_site_abort(&s)
//
//     index.html, gallery.css, *.js     pages.h
//     clips.js                          what is told of the clips (clips.h); marks the folder as
//                                       ours
//     clips/NUMBER.mp4                  NUMBER: 32 hexadecimal digits of the clip's bytes
//     posters/NUMBER.jpg
//
// A site that is there is exchanged for the new one in one step and then removed. Nothing else is
// replaced: a folder in which anything lies that is not in this list is refused, and left alone.
#pragma once
#include "core/base/mem.h"

#define TK_SITE_CLIPS "clips.js"
#define TK_SITE_HEAD "// talkie-site 1" // clips.js begins so

typedef struct tk_site {
    const char *path;   // as asked for
    const char *target; // what takes the name: path, or where a link of that name leads
    const char *tmp;    // the folder that is written
    int fd;             // of it; holds its lock, which ends with the writer
    bool replaces;      // a site is there
    tk_arena arena;
} tk_site;

// TK_INPUT where `path` cannot be written or is there and no site of ours. What dead runs left of
// this path is removed.
tk_status tk_site_begin(tk_site *s, const char *path);
// The same without making anything, not even the folders above.
tk_status tk_site_check(const char *path);
// Whether a folder is a site, whole or being written: clips in it are copies of others.
bool tk_site_is_one(const char *folder);

// The file `from` as `name` in the site: a second name of it (a hard link) where it is this user's
// alone to write and the file system has that, else a copy with the same time. *path: it, in the
// arena of the site. A link leads to what it names. TK_INPUT where `from` cannot be read or is no
// regular file.
tk_status tk_site_take(tk_site *s, const char *from, const char *name, const char **path);
tk_status tk_site_rename(tk_site *s, const char *from, const char *to); // within it
void tk_site_drop(tk_site *s, const char *name);                        // what was taken
tk_status tk_site_put(tk_site *s, const char *name, const void *x, size_t bytes);

// On disk, then under its name. Whether it succeeds or not, nothing of s is left to close.
tk_status tk_site_commit(tk_site *s);
void tk_site_abort(tk_site *s); // removes what was written; fine after begin failed, commit, abort
