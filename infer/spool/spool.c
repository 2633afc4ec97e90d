// SPDX-License-Identifier: Apache-2.0
#include "infer/spool/spool.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/spool/internal.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const folders[] = {"new",       "taking", "waiting", "running", "done", "failed",
                                      "cancelled", "cancel", "names",   "workers", "files"};

// ---- opening -----------------------------------------------------------------------------------

tk_status tk_spool_open(tk_spool *s, const char *dir, double lease)
{
    char path[PATH_MAX];
    *s = (tk_spool){0};
    TK_TRY(tk_file_make_folders(dir));
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        return TK_FAIL(tk_io_code(errno), "cannot make the spool %s: %s", dir, tk_io_words(errno));
    if (!realpath(dir, path))
        return TK_FAIL(TK_INPUT, "cannot use the spool %s: %s", dir, strerror(errno));
    if (strlen(path) + 512 > sizeof s->dir)
        return TK_FAIL(TK_INPUT, "the spool's path is too long (at most %zu bytes): %.80s...",
                       sizeof s->dir - 512, path);
    snprintf(s->dir, sizeof s->dir, "%s", path);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        TK_TRY(tk_spool_path(path, s->dir, "%s", folders[i]));
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            return TK_FAIL(tk_io_code(errno), "cannot make %s: %s", path, tk_io_words(errno));
    }
    tk_arena_init(&s->arena, 0);
    return tk_lease_open(&s->lease, s->dir, lease);
}

void tk_spool_close(tk_spool *s)
{
    tk_lease_close(&s->lease);
    tk_arena_free(&s->arena);
    *s = (tk_spool){0};
}

// ---- taking over -------------------------------------------------------------------------------

// A job that its worker lost goes back to those that wait, or has been lost too often. holder: by
// the name of its folder; whose try it was its record says, where who took it over found no room.
static tk_status pass_on(tk_claim *c, const char *holder)
{
    tk_spool_record *r = &c->record;
    char words[200];
    const bool begun = r->state == TK_SPOOL_RUNNING && r->claim == c->entry.claims;
    const char *worker = begun ? r->worker : holder;
    const bool own = !strcmp(worker, c->spool->lease.worker);
    // This worker holds it no more, so it has ended it, and found no room to write down how: no
    // fault of the job's.
    if (begun && own && r->tries > 0) r->tries--;
    tk_spool_record_history(r, c->entry.claims, worker,
                            own ? "the worker could not go on with it"
                                : "the worker was lost, without a sign of life");
    if (tk_spool_cancelled(c->spool, r)) return tk_claim_cancel(c);
    if (r->tries < r->most_tries) return tk_claim_settle(c, TK_SPOOL_WAITING, "");
    snprintf(words, sizeof words,
             "given up: it was begun %" PRId64 " times, and the last worker (%s) was lost with it",
             r->tries, worker);
    return tk_claim_settle(c, TK_SPOOL_FAILED, words);
}

// Renames folder/FROM to folder/TO, which is ours alone.
static tk_status rename_entry(const tk_spool *s, const char *from_folder, const char *from,
                              const tk_spool_entry *to, bool *ours)
{
    char a[TK_SPOOL_PATH], b[TK_SPOOL_PATH], name[TK_SPOOL_PATH];
    tk_spool_moved moved;
    tk_spool_entry_print(to, name, sizeof name);
    TK_TRY(tk_spool_path(a, s->dir, "%s/%s", from_folder, from));
    TK_TRY(tk_spool_path(b, s->dir, "running/%s", name));
    *ours = true;
    if (!strcmp(a, b)) return TK_OK;
    TK_TRY(tk_spool_move(a, b, &moved));
    *ours = moved == TK_SPOOL_MOVED || moved == TK_SPOOL_SEEN;
    return TK_OK;
}

static bool in_hand(const tk_spool *s, const tk_spool_entry *e)
{
    for (int i = 0; i < s->n_hand; i++)
        if (!strcmp(s->hand[i].name, e->name) && s->hand[i].claims == e->claims) return true;
    return false;
}

// Also this worker's own that it does not work on: a claim that an answer got lost of.
static tk_status take_job_over(tk_spool *s, const char *name, int64_t now)
{
    tk_spool_entry e, mine;
    tk_claim c;
    bool ours;
    if (!tk_spool_entry_read(name, &e) || !*e.worker) return TK_OK;
    const bool own = !strcmp(e.worker, s->lease.worker);
    if (own ? in_hand(s, &e) : tk_lease_held(&s->lease, e.worker, now)) return TK_OK;
    mine = e;
    snprintf(mine.worker, sizeof mine.worker, "%s", s->lease.worker);
    tk_spool_at("lapsed");
    TK_TRY(rename_entry(s, "running", name, &mine, &ours));
    if (!ours) return TK_OK;
    tk_spool_at("takeover");
    tk_log_verbose("job %s: taken over from %s, which shows no sign of life", e.name, e.worker);
    TK_TRY(tk_claim_hold(s, &mine, &c));
    return pass_on(&c, e.worker);
}

static tk_status bury_workers(tk_spool *s, int64_t now)
{
    tk_spool_names all;
    TK_TRY(tk_spool_names_read(s->dir, "workers", TK_SPOOL_JOBS, &s->arena, &all));
    for (int i = 0; i < all.n; i++)
        if (!tk_lease_held(&s->lease, all.name[i], now)) tk_lease_bury(&s->lease, all.name[i]);
    return TK_OK;
}

// ---- cancelling those that wait ----------------------------------------------------------------

static tk_status cancel_waiting(tk_spool *s, const char *name)
{
    tk_spool_entry e, mine;
    tk_claim c;
    bool ours;
    if (!tk_spool_entry_read(name, &e) || *e.worker) return TK_OK;
    mine = e;
    mine.claims++;
    snprintf(mine.worker, sizeof mine.worker, "%s", s->lease.worker);
    TK_TRY(rename_entry(s, "waiting", name, &mine, &ours));
    if (!ours) return TK_OK;
    tk_spool_at("claim");
    TK_TRY(tk_claim_hold(s, &mine, &c));
    return tk_spool_cancelled(s, &c.record) ? tk_claim_cancel(&c)
                                            : tk_claim_settle(&c, TK_SPOOL_WAITING, "");
}

// Whether the job that a request names may still come or is being worked on.
static bool may_be_cancelled(const tk_spool *s, const char *name)
{
    char path[TK_SPOOL_PATH];
    static const char *const ends[] = {"done", "failed", "cancelled"};
    if (tk_spool_path(path, s->dir, "new/%s.yaml", name) == TK_OK && access(path, F_OK) == 0)
        return true;
    for (int i = 0; i < 3; i++)
        if (tk_spool_path(path, s->dir, "%s/%s", ends[i], name) == TK_OK && access(path, F_OK) == 0)
            return false;
    return tk_spool_path(path, s->dir, "names/%s", name) == TK_OK && access(path, F_OK) == 0;
}

static tk_status cancel_all(tk_spool *s)
{
    tk_spool_names asked, waiting = {0};
    TK_TRY(tk_spool_names_read(s->dir, "cancel", TK_SPOOL_NEW, &s->arena, &asked));
    if (asked.n) TK_TRY(tk_spool_names_read(s->dir, "waiting", TK_SPOOL_JOBS, &s->arena, &waiting));
    for (int i = 0; i < asked.n; i++) {
        bool found = false;
        for (int k = 0; k < waiting.n; k++) {
            tk_spool_entry e;
            if (!tk_spool_entry_read(waiting.name[k], &e) || strcmp(e.name, asked.name[i]))
                continue;
            found = true;
            TK_TRY(tk_spool_go_on(s, cancel_waiting(s, waiting.name[k])));
        }
        if (!found && !may_be_cancelled(s, asked.name[i])) tk_spool_cancel_done(s, asked.name[i]);
        tk_status_clear();
    }
    return TK_OK;
}

// ---- the round ---------------------------------------------------------------------------------

tk_status tk_spool_scan(tk_spool *s)
{
    tk_spool_names running;
    int64_t now;
    tk_arena_reset(&s->arena);
    TK_TRY(tk_lease_now(&s->lease, &now));
    TK_TRY(tk_spool_take_in(s, now));
    TK_TRY(tk_spool_names_read(s->dir, "running", TK_SPOOL_JOBS, &s->arena, &running));
    for (int i = 0; i < running.n; i++)
        TK_TRY(tk_spool_go_on(s, take_job_over(s, running.name[i], now)));
    TK_TRY(cancel_all(s));
    return bury_workers(s, now);
}

// *good: the job in hand is to be done; else it went where it belongs.
static tk_status begin_claim(tk_claim *c, bool *good)
{
    tk_spool_record *r = &c->record;
    tk_status st = TK_OK;
    *good = false;
    if (tk_spool_cancelled(c->spool, r))
        st = tk_claim_cancel(c);
    else if (tk_now() > c->until)
        st = tk_claim_fail(c, "its deadline passed while it waited", false);
    else if (r->tries >= r->most_tries)
        st = tk_claim_settle(c, TK_SPOOL_FAILED, "given up: it was begun as often as it may be");
    else
        *good = true;
    if (!*good) return st;
    r->state = TK_SPOOL_RUNNING;
    r->tries++;
    r->claim = c->entry.claims;
    r->done = r->total = 0;
    *r->error = 0;
    snprintf(r->worker, sizeof r->worker, "%s", c->spool->lease.worker);
    return tk_spool_write_record(c->spool, c->dir, r);
}

static tk_status try_claim(tk_spool *s, const char *name, const tk_spool_entry *e, tk_claim *c,
                           bool *got)
{
    tk_spool_entry mine = *e;
    mine.claims++;
    snprintf(mine.worker, sizeof mine.worker, "%s", s->lease.worker);
    TK_TRY(rename_entry(s, "waiting", name, &mine, got));
    if (!*got) return TK_OK;
    tk_spool_at("claim");
    tk_status st = tk_claim_hold(s, &mine, c);
    if (st == TK_OK) st = begin_claim(c, got);
    if (st != TK_OK) *got = false;
    return tk_spool_go_on(s, st);
}

tk_status tk_spool_next(tk_spool *s, tk_spool_want *want, void *ctx, tk_claim *c, bool *got)
{
    tk_spool_names waiting;
    tk_arena_reset(&s->arena);
    *got = false;
    if (s->n_hand == TK_SPOOL_HAND) return TK_OK;
    TK_TRY(tk_spool_names_read(s->dir, "waiting", TK_SPOOL_JOBS, &s->arena, &waiting));
    for (int i = 0; i < waiting.n && !*got; i++) {
        tk_spool_entry e;
        char yaml[TK_SPOOL_PATH];
        if (!tk_spool_entry_read(waiting.name[i], &e) || *e.worker) continue;
        TK_TRY(tk_spool_path(yaml, s->dir, "waiting/%s/%s.yaml", waiting.name[i], e.name));
        if (want && !want(ctx, &e, yaml)) continue;
        TK_TRY(try_claim(s, waiting.name[i], &e, c, got));
    }
    if (*got) s->hand[s->n_hand++] = c->entry;
    return TK_OK;
}

tk_status tk_spool_busy(tk_spool *s, int *waiting, int *running)
{
    tk_spool_names all;
    int n = 0;
    static const char *const before[] = {"new", "taking", "waiting"};
    tk_arena_reset(&s->arena);
    for (int i = 0; i < 3; i++) {
        TK_TRY(tk_spool_names_read(s->dir, before[i], TK_SPOOL_JOBS, &s->arena, &all));
        n += all.n;
    }
    TK_TRY(tk_spool_names_read(s->dir, "running", TK_SPOOL_JOBS, &s->arena, &all));
    *waiting = n > s->stuck ? n - s->stuck : 0;
    *running = all.n;
    return TK_OK;
}
