// SPDX-License-Identifier: Apache-2.0
// Whole files: written so that they are complete under their name or not there, and read whole.
//
//     TK_TRY(tk_file_check_output(path, &kind, n, inputs));  // before any work
//     TK_TRY(tk_file_begin(&f, path));                       // a temporary beside path
//     ... write to f.fd, or to f.tmp by its name ...
//     TK_TRY(tk_file_commit(&f));                            // or tk_file_abort(&f)
//
// A temporary is called NAME.part-HOST-RANDOM; it is its writer's alone, however many write one
// path. The writer holds a lock on it (flock), which ends with the writer: a temporary whose lock
// is free is what a dead run left, and the next run that writes the path removes it.
#pragma once
#include "core/base/mem.h"
#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

// ---- writing -----------------------------------------------------------------------------------

typedef struct tk_file {
    const char *path;   // as asked for
    const char *target; // what takes the name: path, or where a link of that name leads
    const char *tmp;    // the temporary; others may open it by this name
    int fd;             // of the temporary, for reading and writing; holds the lock
    tk_arena arena;
} tk_file;

// TK_INPUT, with what would be right, when path cannot be written: no such folder, no right to
// write there, too long, a folder, not a regular file.
tk_status tk_file_begin(tk_file *f, const char *path);
// On disk, then under its name. Whether it succeeds or not, nothing of f is left to close.
tk_status tk_file_commit(tk_file *f);
// Several files as one: all on disk first, then renamed in order, the last being the one that says
// that all are there. Where one cannot be, none is, and what they replaced lies there again.
tk_status tk_files_commit(int n, tk_file *f);
void tk_file_abort(tk_file *f); // removes the temporary; fine after begin failed, commit, abort
// A file without a name on the disk of `path`, for reading and writing, that is gone when it is
// closed or its process is. Fails as tk_file_begin does.
tk_status tk_file_scratch(const char *path, int *fd);
// Disk space for all of an open file of the size it has, so that a full disk is found before hours
// of work and not after; where a file system cannot promise space, the writes will tell. path: for
// messages.
tk_status tk_file_claim(int fd, const char *path);
// So many bytes of one open file, from `at` on, to the beginning of another; path and name: for
// messages.
tk_status tk_file_copy(int from, const char *path, int64_t at, int64_t bytes, int to,
                       const char *name);
// Durable commit of a file written elsewhere on the same file system: fsync, rename, fsync folder.
tk_status tk_commit_file(const char *tmp, const char *path);
// The names in a folder last, where its file system can see to that.
tk_status tk_file_sync_folder(const char *path);
bool tk_file_folder_synced(int fd); // the same of an open one; errno says why not

// Where a file that is not there was looked for: ", looked for from FOLDER on" of a path that does
// not begin with a slash, or "". What is named from the wrong folder is found by seeing which.
typedef char tk_file_seat[PATH_MAX + 32];
const char *tk_file_sought(const char *path, int error, tk_file_seat words);

// ---- before any work ---------------------------------------------------------------------------

// By what a file of ours is known. An output replaces such a file, an empty one, and no other.
typedef struct tk_file_kind {
    const char *name;  // "clip file", for messages
    const char *head;  // the bytes at offset `at`
    const char *words; // are within its first 16 MiB
    int at;
} tk_file_kind;

// Whether the output `path` can be written, tried by beginning it: see tk_file_begin. It must be
// none of the inputs, compared as files, not as names, and not be there unless it is of `kind`.
tk_status tk_file_check_output(const char *path, const tk_file_kind *kind, int n,
                               char *const *inputs);

// Which file a path leads to, whatever names and links it goes by; also of a file not there yet.
typedef struct tk_file_id {
    uint64_t device, number;
    uint64_t name; // hash of its name in the folder `number` where it is not there, else 0
} tk_file_id;
tk_file_id tk_file_identity(const char *path);
bool tk_file_same(tk_file_id a, tk_file_id b); // false where nothing could be found out

// Makes the folders that `path` names before its last '/'.
tk_status tk_file_make_folders(const char *path);
// A folder with all that is in it, `depth` folders deep, itself counted; what is deeper stays, and
// links are removed, never followed. `at` as for openat.
void tk_file_remove_folder(int at, const char *name, int depth);
bool tk_file_is_dot(const char *name); // "." or ".."

// ---- reading -----------------------------------------------------------------------------------

// Opens a regular file; anything else (a pipe, a device, a folder) is TK_INPUT, without waiting.
// *bytes (may be NULL): its size.
tk_status tk_file_open(const char *path, int *fd, int64_t *bytes);
// From here on `path` is opened as the file is now, whatever becomes of it, until all are let go:
// for who looks at what others name, and reads it again later. It is copied into a file without a
// name on the disk of `beside`. Names are compared as they are written. A file without a name
// (/proc/self/fd/3) is held as one that cannot be read. Fails as tk_file_open and
// tk_file_scratch do.
tk_status tk_file_hold(const char *path, const char *beside);
void tk_file_let_go(void);
// For tk_file_hold: takes `fd`, a copy of it; -1: it cannot be read, and `words` say why.
tk_status tk_file_add_held(const char *path, int fd, const char *words);
bool tk_file_is_held(const char *path);
// From here on regular files that are named by relative paths, or by paths that begin with `dir`,
// are opened where they lie in `dir` alone, links and .. followed; TK_INPUT else. For a process
// that opens what others name and may change while it looks. An absolute path without links; NULL:
// no more.
void tk_file_confine(const char *dir);
// A whole text file of at most `most` bytes, without a byte order mark, ended by a NUL that *bytes
// does not count.
tk_status tk_file_read(const char *path, int64_t most, tk_arena *a, char **text, size_t *bytes);
// All bytes or TK_IO naming path and offset; a file that ends too soon is TK_INPUT (truncated).
tk_status tk_pread_all(int fd, const char *path, void *x, size_t bytes, int64_t offset);
tk_status tk_pwrite_all(int fd, const char *path, const void *x, size_t bytes, int64_t offset);

const char *tk_io_words(int error); // strerror, but "disk full" for all ways of being full
tk_status tk_io_code(int error);    // TK_INPUT for wrong paths and rights, else TK_IO
