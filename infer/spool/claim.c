// SPDX-License-Identifier: Apache-2.0
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/spool/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double ask_every = 1, tell_every = 2; // seconds

// ---- holding -----------------------------------------------------------------------------------

void tk_spool_sweep(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));)
        if (!strncmp(e->d_name, ".job.json.", 10) || strstr(e->d_name, ".part-"))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

tk_status tk_claim_hold(tk_spool *s, const tk_spool_entry *e, tk_claim *c)
{
    char name[TK_SPOOL_PATH];
    int64_t now;
    bool found;
    *c = (tk_claim){.spool = s, .entry = *e};
    tk_spool_entry_print(e, name, sizeof name);
    TK_TRY(tk_spool_path(c->dir, s->dir, "running/%s", name));
    TK_TRY(tk_spool_path(c->yaml, c->dir, "%s.yaml", e->name));
    tk_spool_sweep(c->dir);
    TK_TRY(tk_spool_record_read(c->dir, &c->record, &found));
    snprintf(c->record.name, sizeof c->record.name, "%s", e->name);
    c->record.priority = e->priority;
    TK_TRY(tk_lease_now(&s->lease, &now));
    c->until =
        c->record.deadline ? tk_now() + (double)c->record.deadline - (double)now * 1e-9 : INFINITY;
    return TK_OK;
}

// ---- its file ----------------------------------------------------------------------------------

static tk_status write_copy(const tk_claim *c, const char *path, mode_t mode, const char *text,
                            size_t bytes)
{
    unlink(path); // of another try
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == ENOENT || errno == ESTALE
                   ? TK_FAIL(TK_FENCED, "%s is another worker's now", c->dir)
                   : TK_FAIL(tk_io_code(errno), "cannot write %s: %s", path, tk_io_words(errno));
    tk_status st = tk_pwrite_all(fd, path, text, bytes, 0);
    if (st == TK_OK && (fchmod(fd, (mode & 0777) | 0600) != 0 || fsync(fd) != 0))
        st = TK_FAIL(TK_IO, "cannot write %s: %s", path, tk_io_words(errno));
    close(fd);
    if (st == TK_OK && rename(path, c->yaml) != 0)
        st = TK_FAIL(TK_IO, "cannot rename %s: %s", path, tk_io_words(errno));
    if (st != TK_OK) unlink(path);
    return st;
}

tk_status tk_claim_read(tk_claim *c, tk_arena *a, char **text, size_t *bytes)
{
    char path[TK_SPOOL_PATH];
    struct stat s;
    TK_TRY(tk_spool_path(path, c->dir, "%s.yaml.part-%s", c->entry.name, c->spool->lease.worker));
    TK_TRY(tk_file_read(c->yaml, TK_SPOOL_YAML, a, text, bytes));
    if (lstat(c->yaml, &s) != 0) return TK_FAIL(TK_FENCED, "%s is another worker's now", c->dir);
    return write_copy(c, path, s.st_mode, *text, *bytes);
}

// ---- cancelling --------------------------------------------------------------------------------

void tk_spool_cancel_done(const tk_spool *s, const char *name)
{
    char path[TK_SPOOL_PATH];
    if (tk_spool_path(path, s->dir, "cancel/%s", name) == TK_OK && unlink(path) != 0) rmdir(path);
    tk_status_clear();
}

bool tk_spool_cancelled(const tk_spool *s, const tk_spool_record *r)
{
    char path[TK_SPOOL_PATH];
    struct stat asks, owner;
    if (tk_spool_path(path, s->dir, "cancel/%s", r->name) != TK_OK) {
        tk_status_clear();
        return false;
    }
    if (lstat(path, &asks) != 0 || stat(s->dir, &owner) != 0) return false;
    if (asks.st_uid == 0 || asks.st_uid == owner.st_uid || (int64_t)asks.st_uid == r->uid)
        return true;
    tk_log_warn("job %s is %s's: only they and the spool's owner can cancel it", r->name,
                *r->user ? r->user : "somebody else");
    tk_spool_cancel_done(s, r->name);
    return false;
}

// ---- progress ----------------------------------------------------------------------------------

static bool still_there(const char *path)
{
    struct stat s;
    return lstat(path, &s) == 0;
}

static void tell_progress(tk_claim *c, double now)
{
    tk_spool_record *r = &c->record;
    if (c->began_at <= 0) {
        c->began_at = now;
        c->began_done = r->done;
    }
    const int64_t made = r->done - c->began_done;
    r->seconds_left =
        made > 0 ? (now - c->began_at) / (double)made * (double)(r->total - r->done) : -1;
    c->told = now;
    // Work does not end because nobody can be told: the commit finds out whether it was in vain.
    if (tk_spool_write_record(c->spool, c->dir, r) != TK_OK) tk_status_clear();
}

tk_claim_end tk_claim_progress(tk_claim *c, int64_t done, int64_t total, const char *unit)
{
    const double now = tk_now();
    c->record.done = done;
    c->record.total = total;
    snprintf(c->record.unit, sizeof c->record.unit, "%s", unit);
    if (now - c->asked < ask_every) return TK_CLAIM_GOES_ON;
    c->asked = now;
    if (!still_there(c->dir)) return TK_CLAIM_LOST;
    if (tk_spool_cancelled(c->spool, &c->record)) return TK_CLAIM_CANCELLED;
    if (now > c->until) return TK_CLAIM_LATE;
    if (now - c->told >= tell_every) tell_progress(c, now);
    return TK_CLAIM_GOES_ON;
}

// ---- ends --------------------------------------------------------------------------------------

static tk_status lost_to_another(const tk_claim *c)
{
    return TK_FAIL(TK_FENCED,
                   "job %s: this worker's lease ran out and another has the job; nothing of this "
                   "try is kept",
                   c->entry.name);
}

// Whether what is at `to` got there by this claim.
static tk_status moved_by_us(const tk_claim *c, const char *to)
{
    tk_spool_record r;
    bool found;
    TK_TRY(tk_spool_record_read(to, &r, &found));
    if (found && r.claim == c->entry.claims && !strcmp(r.worker, c->spool->lease.worker))
        return TK_OK;
    return lost_to_another(c);
}

// It is in hand no more, however its end goes.
static void release_claim(const tk_claim *c)
{
    tk_spool *s = c->spool;
    for (int i = 0; i < s->n_hand; i++)
        if (!strcmp(s->hand[i].name, c->entry.name) && s->hand[i].claims == c->entry.claims)
            s->hand[i--] = s->hand[--s->n_hand];
}

// What is the job's own of the files in its folder.
static bool came_with_job(const tk_claim *c, const char *file)
{
    const size_t n = strlen(c->entry.name);
    if (!strcmp(file, "job.json")) return true;
    return !strncmp(file, c->entry.name, n) &&
           (!strcmp(file + n, ".yaml") || !strcmp(file + n, TK_SPOOL_LIST_FILE));
}

// Of a job that comes to nothing: what was made of it by now, windows in a folder of theirs, too.
// By paths, which lead nowhere once another worker has the job.
static void remove_made(const tk_claim *c)
{
    char path[PATH_MAX];
    DIR *d = opendir(c->dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (tk_file_is_dot(e->d_name) || came_with_job(c, e->d_name)) continue;
        snprintf(path, sizeof path, "%s/%s", c->dir, e->d_name);
        if (unlink(path) != 0) tk_file_remove_folder(AT_FDCWD, path, 1);
    }
    if (d) closedir(d);
}

tk_status tk_claim_settle(tk_claim *c, tk_spool_state state, const char *words)
{
    tk_spool *s = c->spool;
    release_claim(c);
    tk_spool_record *r = &c->record;
    char to[TK_SPOOL_PATH], folder[TK_SPOOL_PATH], name[TK_SPOOL_PATH];
    tk_spool_moved moved;
    tk_spool_entry left = c->entry;
    const bool ends = state != TK_SPOOL_WAITING;
    *left.worker = 0;
    tk_spool_entry_print(&left, name, sizeof name);
    TK_TRY(tk_spool_path(folder, s->dir, "%s", tk_spool_folder[state]));
    TK_TRY(tk_spool_path(to, folder, "%s", ends ? left.name : name));
    r->state = state;
    r->claim = c->entry.claims;
    r->seconds_left = state == TK_SPOOL_DONE ? 0 : -1;
    snprintf(r->worker, sizeof r->worker, "%s", ends ? s->lease.worker : "");
    snprintf(r->error, sizeof r->error, "%s", words);
    if (ends && state != TK_SPOOL_DONE) remove_made(c); // first: a full disk has room then
    const tk_status st = tk_spool_write_record(s, c->dir, r);
    if (st == TK_FENCED) return lost_to_another(c);
    TK_TRY(st);
    tk_spool_at("settle");
    TK_TRY(tk_spool_move(c->dir, to, &moved));
    tk_spool_at("settled");
    if (moved == TK_SPOOL_GONE) return lost_to_another(c);
    if (moved == TK_SPOOL_TAKEN)
        return TK_FAIL(TK_IO, "job %s: %s is there already, and no worker put it there", left.name,
                       to);
    if (moved == TK_SPOOL_SEEN && ends) TK_TRY(moved_by_us(c, to));
    if (ends) tk_spool_cancel_done(s, left.name);
    return tk_file_sync_folder(folder);
}

tk_status tk_claim_commit(tk_claim *c)
{
    if (c->record.total) c->record.done = c->record.total;
    return tk_claim_settle(c, TK_SPOOL_DONE, "");
}

tk_status tk_claim_fail(tk_claim *c, const char *words, bool again)
{
    tk_spool_record *r = &c->record;
    tk_spool_record_history(r, c->entry.claims, c->spool->lease.worker, words);
    const bool another = again && r->tries < r->most_tries;
    return tk_claim_settle(c, another ? TK_SPOOL_WAITING : TK_SPOOL_FAILED, words);
}

tk_status tk_claim_return(tk_claim *c, const char *words)
{
    if (c->record.tries > 0) c->record.tries--;
    return tk_claim_settle(c, TK_SPOOL_WAITING, words);
}

tk_status tk_claim_cancel(tk_claim *c)
{
    return tk_claim_settle(c, TK_SPOOL_CANCELLED, "cancelled on request");
}

tk_status tk_claim_stop(tk_claim *c, tk_claim_end why)
{
    if (why == TK_CLAIM_CANCELLED) return tk_claim_cancel(c);
    if (why == TK_CLAIM_LATE)
        return tk_claim_fail(c, "its deadline passed before it was done", false);
    if (why == TK_CLAIM_LOST) release_claim(c);
    return why == TK_CLAIM_LOST ? lost_to_another(c) : tk_claim_return(c, "");
}
