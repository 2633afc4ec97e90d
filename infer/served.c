// SPDX-License-Identifier: Apache-2.0
#include "infer/served.h"
#include "core/base/log.h"
#include "infer/filtering.h"
#include "infer/ordered.h"
#include "infer/reel/files.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

static const double REST_LEAST = 1, REST_MOST = 60; // seconds
static const int64_t ROOM = 64;                     // MiB of a disk that is not full

// ---- choosing, on rank 0 -----------------------------------------------------------------------

static bool wants_job(void *ctx, const tk_spool_entry *e, const char *yaml)
{
    const tk_serving *a = ctx;
    (void)yaml;
    for (int i = 0; i < a->n_left; i++)
        if (!strcmp(a->left[i], e->name)) return false;
    return true;
}

// A job that went wrong; what the spool says to that is no reason to end.
static tk_status tell_spool(tk_status st)
{
    if (st == TK_OK || st == TK_MEMORY) return st;
    tk_log_warn("%s", tk_status_message());
    tk_status_clear();
    return TK_OK;
}

// What ails the disk ails the next job as well: all that wait would be failed in a moment. Twice as
// long each time.
static void rest_from_disk(tk_serving *a)
{
    a->rest = a->rest > 0 ? fmin(2 * a->rest, REST_MOST) : REST_LEAST;
    a->rests_until = tk_now() + a->rest;
    a->full = false;
    tk_log_warn("no job is claimed for %.0f seconds", a->rest);
}

static bool has_room(const char *dir)
{
    struct statvfs s;
    if (statvfs(dir, &s) != 0) return true; // the next job finds out
    return (int64_t)(s.f_bavail * s.f_frsize) >= ROOM << 20 && (s.f_favail || !s.f_files);
}

// After a job that failed by the disk, also as long as that is full: each that is tried loses a try
// by what is no fault of its own.
static bool still_rests(tk_serving *a)
{
    if (a->rest <= 0) return false;
    if (tk_now() < a->rests_until) return true;
    if (has_room(a->spool.dir)) return false;
    if (!a->full)
        tk_log_warn("no job is claimed until the disk of %s has %" PRId64 " MiB free again",
                    a->spool.dir, ROOM);
    a->full = true;
    a->rests_until = tk_now() + a->rest;
    return true;
}

// Every line names the files as they were dropped, wherever they lie while the job is claimed.
static void name_as_dropped(tk_status st, const char *path, const char *dropped)
{
    while (*path && *dropped && strstr(tk_status_message(), path))
        tk_status_renamed(st, path, dropped);
}

static tk_status fail_job(tk_serving *a, tk_served *h, tk_status st)
{
    char words[TK_SPOOL_WORDS];
    const tk_spool_record *r = &h->claim.record;
    const bool again = st != TK_INPUT && st != TK_NUMERIC;
    name_as_dropped(st, h->order.yaml, r->file);
    name_as_dropped(st, h->order.list, r->list);
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_log_warn("job %s: %s", h->claim.entry.name, words);
    tk_status_clear();
    if (st == TK_IO) rest_from_disk(a);
    if (st == TK_IO && !has_room(a->spool.dir)) // no fault of the job's
        return tell_spool(tk_claim_return(&h->claim, words));
    a->failed += !again || r->tries >= r->most_tries;
    return tell_spool(tk_claim_fail(&h->claim, words, again));
}

// *done: nothing waits or runs that this worker could do.
static tk_status find_job(tk_serving *a, tk_served *h, bool *done)
{
    int waiting, running;
    bool got = false;
    TK_TRY(tk_spool_scan(&a->spool));
    while (!still_rests(a)) {
        TK_TRY(tk_spool_next(&a->spool, wants_job, a, &h->claim, &got));
        if (!got) break;
        const tk_status st = tk_served_order(a, h);
        if (st == TK_OK) return TK_OK;
        TK_TRY(fail_job(a, h, st));
    }
    TK_TRY(tk_spool_busy(&a->spool, &waiting, &running));
    *done = running == 0 && waiting <= a->n_left;
    return TK_OK;
}

tk_status tk_served_choose(tk_serving *a, tk_served *h)
{
    bool done = false;
    h->order.what = TK_SERVE_WAIT;
    h->end = TK_CLAIM_GOES_ON;
    if (tk_stop_asked() || tk_now() < a->rests_until) return TK_OK;
    const tk_status st = find_job(a, h, &done);
    if (st == TK_IO) {
        TK_TRY(tell_spool(st));
        rest_from_disk(a);
    } else {
        TK_TRY(st);
    }
    if (h->order.what == TK_SERVE_JOB) return TK_OK;
    const bool idle = a->o->idle > 0 && tk_now() - a->worked > a->o->idle;
    if (idle || (a->o->once && done)) h->order.what = TK_SERVE_END;
    return TK_OK;
}

// ---- a job, on all ranks -----------------------------------------------------------------------

static void ask_claim(tk_served *h)
{
    const tk_job *job = h->place.job; // NULL: it waits
    const int64_t total = job ? job->story.n_windows * tk_story_steps(&job->config) : 0;
    if (h->end == TK_CLAIM_GOES_ON)
        h->end = tk_claim_progress(&h->claim, job ? h->steps : 0, total, "steps");
}

// Those that are not made now are asked after as well: they end behind the round.
bool tk_served_step(void *ctx)
{
    tk_serving *a = ctx;
    bool stops = false;
    if (a->world->rank) return false;
    for (int i = 0; i < a->n_round; i++) a->round[i]->steps += a->by.taken[i];
    for (int i = 0; i < a->n; i++) ask_claim(a->hand[i]);
    for (int i = 0; i < a->n_round; i++)
        stops |= a->by.taken[i] && a->round[i]->end != TK_CLAIM_GOES_ON;
    return stops;
}

bool tk_served_writing(void *ctx)
{
    tk_serving *a = ctx;
    ask_claim(a->round[0]);
    return a->round[0]->end != TK_CLAIM_GOES_ON;
}

static tk_status get_served(void *ctx, int64_t i, tk_arena *arena, tk_config *out,
                            const char **name)
{
    const tk_serving *a = ctx;
    const tk_served *h = i == 0 ? a->opening : a->hand[i - 1];
    (void)arena;
    *out = h->jobs.job[0].config;
    *name = h->jobs.job[0].file;
    return TK_OK;
}

// The job that is opened, and those in hand.
static tk_stories stories_at_work(tk_serving *a)
{
    return (tk_stories){.ctx = a, .n = a->n + 1, .get = get_served, .at_once = a->n > 0};
}

void tk_served_close_weights(tk_serving *a)
{
    tk_session_close(&a->by.session);
    if (a->has) tk_trained_close(&a->trained);
    tk_arena_free(&a->arena);
    tk_arena_init(&a->arena, 0);
    a->has = false;
}

static tk_status find_need(tk_serving *a)
{
    const tk_stories all = {.ctx = a, .n = 1, .get = get_served};
    tk_served *h = a->opening;
    if (!a->o->memory || h->need) return TK_OK;
    TK_TRY(tk_agree(a->world, tk_studio_need(&a->by, &all, &h->need)));
    return tk_comm_most(a->world, &h->need);
}

static tk_status admit(tk_serving *a)
{
    TK_TRY(find_need(a));
    if (a->opening->need <= (size_t)a->o->memory << 20) return TK_OK;
    a->opening->unfit = true;
    return TK_FAIL(TK_MEMORY,
                   "needs %.1f MiB of a rank, more than serve.memory of this worker (%" PRId64
                   " MiB); left to others",
                   (double)a->opening->need / (1 << 20), a->o->memory);
}

static bool has_its_weights(const tk_serving *a)
{
    const tk_job *job = &a->opening->jobs.job[0];
    const tk_trained *t = job->trained;
    return a->has && !strcmp(a->trained.path, t->path) &&
           a->trained.meta.digest == t->meta.digest &&
           a->by.session.ema == (job->config.sample.ema && t->has_ema);
}

// Of a device whose memory is planned: whether it has what all of them need in one step.
static tk_status look_for_room(tk_serving *a, bool *has)
{
    const tk_stories all = stories_at_work(a);
    const tk_status st = tk_studio_make_room(&a->by, &all);
    *has = st == TK_OK;
    if (st != TK_MEMORY) return st;
    tk_log("%s waits for those in hand: %s", a->opening->jobs.job[0].file, tk_status_message());
    tk_status_clear();
    return TK_OK;
}

// Whether all ranks of the worker would have something to do; else it is for one of other ranks.
static tk_status has_work_for_all(tk_serving *a, tk_served *h)
{
    const tk_job *job = &h->jobs.job[0];
    const int64_t ranks = a->by.parallel.guidance;
    h->unfit = !job->finished && !job->stored.path &&
               ranks > tk_sample_branches(job->config.sample.guidance);
    if (!h->unfit) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "with sample.guidance=1 the model is asked once a step, so there is nothing to "
                   "share out among parallel.guidance=%" PRId64 " of this worker; left to others",
                   ranks);
}

// Beside others it begins with their weights alone, and where all of them have the memory that
// each would need by itself, and the device that of all at once.
static tk_status decide_to_wait(tk_serving *a)
{
    tk_served *h = a->opening;
    size_t sum = 0;
    bool has = true;
    if (a->n == 0) return TK_OK;
    h->waits = !has_its_weights(a);
    if (h->waits) return TK_OK;
    TK_TRY(find_need(a));
    for (int i = 0; i < a->n; i++) sum += a->hand[i]->need;
    const size_t most = (size_t)a->o->memory << 20;
    h->waits = h->need <= most && sum + h->need > most;
    if (!h->waits) TK_TRY(look_for_room(a, &has));
    h->waits |= !has;
    return TK_OK;
}

// With weights that are open. Beside others it has found room already.
static tk_status join_hand(tk_serving *a)
{
    const tk_stories all = stories_at_work(a);
    TK_TRY(admit(a));
    if (a->n) return TK_OK;
    const tk_status st = tk_studio_make_room(&a->by, &all);
    a->opening->unfit = st == TK_MEMORY;
    return st;
}

// The weights that the job wants are open afterwards, those that are stay so.
static tk_status open_for_job(tk_serving *a)
{
    const tk_job *job = &a->opening->jobs.job[0];
    const tk_stories all = stories_at_work(a);
    if (has_its_weights(a)) return join_hand(a);
    tk_served_close_weights(a);
    TK_TRY(tk_trained_open(job->trained->where, job->config.codec.file, a->world, &a->arena,
                           &a->trained));
    a->has = true;
    tk_status st = tk_studio_open_device(&a->by, &a->trained, job->config.sample.ema);
    if (st == TK_OK) st = admit(a);
    if (st == TK_OK) {
        st = tk_studio_load(&a->by, &all);
        a->opening->unfit = st == TK_MEMORY;
    }
    if (st != TK_OK) tk_served_close_weights(a);
    return st;
}

static tk_status open_jobs(tk_serving *a, tk_served *h)
{
    const tk_serve_order *o = &h->order;
    char output[TK_SPOOL_PATH + 16], checkpoint[PATH_MAX + 16];
    int n = a->n_overrides;
    snprintf(output, sizeof output, "output=%s", o->output);
    snprintf(checkpoint, sizeof checkpoint, "checkpoint=%s", a->checkpoint);
    a->overrides[n++] = output;
    if (o->default_checkpoint) a->overrides[n++] = checkpoint;
    const bool listed = *o->list != 0;
    TK_TRY(tk_jobs_open_for(&h->jobs, a->world, listed ? o->list : o->yaml, listed ? o->yaml : NULL,
                            &o->uid, n, a->overrides));
    h->jobs.job[0].told_file = o->told_yaml;
    h->jobs.job[0].told_output = o->told_output;
    return TK_OK;
}

// A worker that died between a clip and its job's end has left what was kept of it.
static tk_status forget_windows(tk_serving *a, const tk_job *job)
{
    return tk_agree(a->world, a->world->rank ? TK_OK : tk_reel_files_remove(job->output));
}

static tk_status begin_served(tk_serving *a, tk_served *h)
{
    h->waits = h->unfit = false;
    h->alone = h->order.again;
    h->need = 0;
    h->steps = 0;
    TK_TRY(open_jobs(a, h));
    tk_job *job = &h->jobs.job[0];
    a->opening = h;
    TK_TRY(has_work_for_all(a, h));
    if (!job->finished) TK_TRY(decide_to_wait(a));
    if (h->waits) { // all is asked anew when its turn comes
        tk_jobs_close(&h->jobs);
        return TK_OK;
    }
    TK_TRY(tk_filter_jobs(&h->jobs, a->world, job->uid, false));
    if (job->finished) return forget_windows(a, job);
    TK_TRY(open_for_job(a));
    return tk_studio_begin(&a->by, job, &h->place);
}

// What its files hold is read in this turn; latents stay open.
tk_status tk_served_begin(tk_serving *a, tk_served *h)
{
    const tk_status st = begin_served(a, h);
    tk_file_let_go();
    return st;
}

// The longest left is forgotten for it: by then others have it, most likely.
static void leave_job(tk_serving *a, const char *name)
{
    snprintf(a->left[a->next_left], sizeof a->left[0], "%s", name);
    a->next_left = (a->next_left + 1) % TK_SERVE_LEFT;
    if (a->n_left < TK_SERVE_LEFT) a->n_left++;
}

// Rank 0: how a claim ends that all ranks have worked on.
static tk_status end_claim(tk_serving *a, tk_served *h, tk_status st)
{
    tk_claim *c = &h->claim;
    char words[TK_SPOOL_WORDS];
    if (st == TK_OK) {
        st = tk_claim_commit(c);
        a->made += st == TK_OK;
        if (st == TK_OK) a->rest = 0;
        return tell_spool(st);
    }
    if (h->unfit) {
        snprintf(words, sizeof words, "%s", tk_status_message());
        tk_log_warn("job %s: %s", c->entry.name, words);
        tk_status_clear();
        leave_job(a, c->entry.name);
        return tell_spool(tk_claim_return(c, words));
    }
    if (st != TK_STOPPED) return fail_job(a, h, st);
    tk_status_clear();
    if (h->end == TK_CLAIM_GOES_ON) return tell_spool(tk_claim_return(c, ""));
    return tell_spool(tk_claim_stop(c, h->end));
}

tk_status tk_served_end(tk_serving *a, tk_served *h, tk_status st)
{
    tk_studio_leave(&h->place);
    if (h->jobs.job) tk_jobs_close(&h->jobs);
    a->worked = tk_now();
    return tk_agree(a->world, a->world->rank ? TK_OK : end_claim(a, h, st));
}

void tk_served_drop(tk_serving *a, tk_served *h, tk_status st)
{
    char words[TK_SPOOL_WORDS];
    const bool shared = tk_status_shared();
    bool in_round = false;
    for (int i = 0; i < a->n_round; i++) in_round |= a->round[i] == h;
    tk_studio_leave(&h->place);
    if (h->jobs.job) tk_jobs_close(&h->jobs);
    if (a->world->rank) return;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_status_clear();
    if ((in_round ? tk_claim_fail(&h->claim, words, true) : tk_claim_return(&h->claim, "")) !=
        TK_OK)
        tk_status_clear(); // its lease ends with this worker
    tk_status_set(st, words);
    tk_status_set_shared(shared);
}
