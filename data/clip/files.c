// SPDX-License-Identifier: Apache-2.0
// Descriptors of clip files: opened when a sample is read, kept while there is room, the one unused
// longest closed for the next. So any number of files can be open, whatever the limit of
// descriptors is, and few files stay open throughout.
#include "data/clip/internal.h"
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 256, LEAST = 4, SHARE = 4 }; // descriptors kept; of the limit, one in SHARE

typedef struct kept {
    tk_file_id id; // number 0: free
    int fd, users;
    uint64_t used; // when, by the clock below
} kept;

static struct {
    pthread_mutex_t lock;
    kept file[MOST];
    int room;
    uint64_t clock;
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int room_for_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > MOST * SHARE) return MOST;
    const int share = (int)limit.rlim_cur / SHARE;
    return share < LEAST ? LEAST : share;
}

// It was there before: whatever is wrong now may be so on this machine alone, and is no damage.
static tk_status open_same(const tk_clips *c, int *fd)
{
    struct stat s;
    const tk_status st = tk_file_open(c->path, fd, NULL);
    if (st != TK_OK) {
        char words[512];
        snprintf(words, sizeof words, "%s", tk_status_message());
        return TK_FAIL(TK_IO, "a file in use: %s", words);
    }
    if (fstat(*fd, &s) == 0 && s.st_dev == c->id.device && s.st_ino == c->id.number) return TK_OK;
    close(*fd);
    return TK_FAIL(TK_IO, "%s was replaced by another file while it was in use", c->path);
}

static bool holds_file(const kept *f, tk_file_id id)
{
    return f->id.number && tk_file_same(f->id, id);
}

static void vacate(kept *f)
{
    if (f->id.number) close(f->fd);
    *f = (kept){.fd = -1};
}

// The place of that file, or one to put it: free, or of the file unused longest; NULL: all in use.
static kept *find_place(tk_file_id id)
{
    kept *best = NULL;
    if (files.room == 0) files.room = room_for_files();
    for (int k = 0; k < files.room; k++) {
        kept *f = &files.file[k];
        if (holds_file(f, id)) return f;
        if (f->users == 0 && (!best || (best->id.number && f->used < best->used))) best = f;
    }
    return best;
}

// What is opened here is kept, so that few files are opened once.
tk_status tk_clip_identify(tk_clips *c)
{
    struct stat s = {0};
    int fd;
    TK_TRY(tk_file_open(c->path, &fd, NULL));
    const bool known = fstat(fd, &s) == 0;
    c->id = (tk_file_id){.device = s.st_dev, .number = s.st_ino};
    pthread_mutex_lock(&files.lock);
    kept *f = known ? find_place(c->id) : NULL;
    const bool keep = f && !holds_file(f, c->id);
    if (keep) {
        vacate(f);
        *f = (kept){.id = c->id, .fd = fd, .used = ++files.clock};
    }
    pthread_mutex_unlock(&files.lock);
    if (!keep) close(fd);
    return known ? TK_OK : TK_FAIL(TK_IO, "cannot read %s", c->path);
}

static tk_status take_descriptor(const tk_clips *c, kept **place, int *fd)
{
    tk_status st = TK_OK;
    pthread_mutex_lock(&files.lock);
    kept *f = find_place(c->id);
    if (f && !holds_file(f, c->id)) {
        vacate(f);
        st = open_same(c, &f->fd);
        if (st == TK_OK) f->id = c->id;
    }
    if (f && st == TK_OK) {
        *fd = f->fd;
        f->users++;
        f->used = ++files.clock;
    }
    pthread_mutex_unlock(&files.lock);
    *place = f;
    return f || st != TK_OK ? st : open_same(c, fd); // not kept
}

tk_status tk_clip_pread(const tk_clips *c, void *x, int64_t bytes, int64_t address)
{
    kept *place;
    int fd = -1;
    TK_TRY(take_descriptor(c, &place, &fd));
    const tk_status st = tk_pread_all(fd, c->path, x, (size_t)bytes, address);
    if (!place) {
        close(fd);
        return st;
    }
    pthread_mutex_lock(&files.lock);
    place->users--;
    pthread_mutex_unlock(&files.lock);
    return st;
}

void tk_clip_forget(const tk_clips *c)
{
    pthread_mutex_lock(&files.lock);
    for (int k = 0; k < files.room; k++) {
        kept *f = &files.file[k];
        if (!f->users && holds_file(f, c->id)) vacate(f);
    }
    pthread_mutex_unlock(&files.lock);
}

tk_status tk_clip_broadcast(tk_comm *comm, void *x, int64_t bytes)
{
    const int64_t piece = 1 << 28; // a broadcast counts in int
    for (int64_t at = 0; at < bytes; at += piece)
        TK_TRY(tk_comm_broadcast(comm, (char *)x + at,
                                 (size_t)(bytes - at < piece ? bytes - at : piece), 0));
    return TK_OK;
}
