// SPDX-License-Identifier: Apache-2.0
#include "infer/serve.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/filter/ruling.h"
#include "infer/filtering.h"
#include "infer/mark/marked.h"
#include "infer/provenance/signer.h"
#include "infer/spool/spool.h"
#include "infer/story/given.h"
#include "infer/studio.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LEFT = 1000 };

typedef enum serve_what { SERVE_WAIT, SERVE_JOB, SERVE_END } serve_what;

typedef struct serve_order { // from rank 0 to all
    serve_what what;
    char list[TK_SPOOL_PATH]; // that the job came of; "" = none
    char yaml[TK_SPOOL_PATH], output[TK_SPOOL_PATH];
    char told_yaml[TK_SPOOL_PATH], told_output[TK_SPOOL_PATH]; // where they lie when it is done
    bool default_checkpoint;
} serve_order;

typedef struct serving {
    tk_comm *world;
    const tk_serve_config *o;
    char checkpoint[PATH_MAX]; // of jobs that name none; "" = they must
    char **overrides;          // for every job; room for two more
    int n_overrides;
    tk_studio by;
    tk_trained trained; // whose weights the studio holds, where has
    tk_arena arena;     // of it
    bool has;
    tk_job *job; // in hand
    bool unfit;  // it needs more memory than there is here
    int64_t steps, total;
    // Of rank 0.
    tk_spool spool;
    tk_claim claim;
    tk_claim_end end;
    double worked; // when it last had a job
    int n_left, made, failed;
    char left[LEFT][TK_SPOOL_NAME + 1]; // that do not fit here
} serving;

// ---- choosing, on rank 0 -----------------------------------------------------------------------

static bool wants_job(void *ctx, const tk_spool_entry *e, const char *yaml)
{
    const serving *a = ctx;
    (void)yaml;
    for (int i = 0; i < a->n_left; i++)
        if (!strcmp(a->left[i], e->name)) return false;
    return true;
}

// What is read of a clip that is remixed lies beside it.
static tk_status check_beside(const serving *a, const char *clip, tk_arena *arena)
{
    static const char *const suffix[] = {".json", ".latents"};
    for (int i = 0; i < 2 && *clip; i++) {
        const char *path = tk_remix_beside(clip, suffix[i], arena);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (access(path, F_OK) == 0) TK_TRY(tk_spool_inside(&a->spool, path));
    }
    return TK_OK;
}

static tk_status check_paths(const serving *a, tk_config *c, tk_arena *arena)
{
    char ***at;
    const int64_t n = tk_story_files(&c->story, NULL);
    if (a->o->open) return TK_OK;
    TK_ARENA_NEW(at, arena, n + 1);
    tk_story_files(&c->story, at);
    for (int64_t i = 0; i < n; i++) TK_TRY(tk_spool_inside(&a->spool, *at[i]));
    TK_TRY(check_beside(a, c->story.remix.clip, arena));
    if (*c->story.checkpoint) TK_TRY(tk_spool_inside(&a->spool, c->story.checkpoint));
    return *c->codec.file ? tk_spool_inside(&a->spool, c->codec.file) : TK_OK;
}

// What a job may ask of a worker; `c`: as its file has it.
static tk_status check_claimed(const serving *a, tk_config *c, tk_arena *arena)
{
    if (c->jobs.n_storyboards)
        return TK_FAIL(TK_INPUT, "storyboards: its file was made a list after it was taken in");
    if (strchr(c->story.output, '/'))
        return TK_FAIL(TK_INPUT,
                       "output: \"%s\": a clip goes into its job's folder; give a name without '/'",
                       c->story.output);
    if (*c->provenance.key || *c->provenance.chain)
        return TK_FAIL(TK_INPUT,
                       "provenance: whose key signs is the worker's to say; leave it out");
    if (*c->watermark.key || *c->watermark.payload)
        return TK_FAIL(TK_INPUT,
                       "watermark: what marks a clip is the worker's to say; leave it out");
    if (*c->consent.store || *c->consent.keys || *c->consent.registrar || *c->consent.hook)
        return TK_FAIL(TK_INPUT,
                       "consent: where cameos are kept is the worker's to say; leave it out");
    if (*c->filter.policy || *c->filter.log)
        return TK_FAIL(TK_INPUT, "filter: what is refused is the worker's to say; leave it out");
    if (!*c->story.checkpoint && !*a->checkpoint)
        return TK_FAIL(TK_INPUT, "checkpoint: missing, and the worker was started without one");
    return check_paths(a, c, arena);
}

// A clip's JSON outlives the claim: it names what is in it by the place of jobs that are done.
static tk_status name_files(const serving *a, const char *clip, serve_order *o)
{
    const char *name = a->claim.entry.name, *dir = a->spool.dir;
    TK_TRY(tk_spool_path(o->output, a->claim.dir, "%s", clip));
    TK_TRY(tk_spool_path(o->told_output, dir, "done/%s/%s", name, clip));
    return tk_spool_path(o->told_yaml, dir, "done/%s/%s.yaml", name, name);
}

// The job's files as they stand; they may not stand on others (base:), which could be anywhere.
static tk_status read_job(const serving *a, serve_order *o, tk_arena *arena, tk_config *c)
{
    char *text, *list = NULL;
    size_t bytes, list_bytes = 0;
    TK_TRY(tk_file_read(a->claim.yaml, TK_SPOOL_YAML, arena, &text, &bytes));
    if (*a->claim.record.list) {
        TK_TRY(tk_spool_path(o->list, a->claim.dir, "%s" TK_SPOOL_LIST_FILE, a->claim.entry.name));
        TK_TRY(tk_file_read(o->list, TK_SPOOL_YAML, arena, &list, &list_bytes));
    }
    return tk_spool_layer(c, list ? a->claim.record.list : NULL, list, list_bytes,
                          a->claim.record.file, text, bytes);
}

static tk_status order_job(serving *a, serve_order *o)
{
    tk_config c;
    tk_arena arena;
    const char *name = a->claim.entry.name;
    tk_arena_init(&arena, 0);
    tk_config_init(&c);
    *o->list = 0;
    tk_status st = read_job(a, o, &arena, &c);
    if (st == TK_OK) st = check_claimed(a, &c, &arena);
    if (st == TK_OK) {
        o->what = SERVE_JOB;
        o->default_checkpoint = !*c.story.checkpoint;
        snprintf(o->yaml, sizeof o->yaml, "%s", a->claim.yaml);
        st = name_files(a, *c.story.output ? c.story.output : name, o);
    }
    tk_config_free(&c);
    tk_arena_free(&arena);
    return st;
}

// A job that went wrong; what the spool says to that is no reason to end.
static tk_status tell_spool(serving *a, tk_status st)
{
    if (st == TK_OK || st == TK_MEMORY) return st;
    tk_log_warn("%s", tk_status_message());
    tk_status_clear();
    a->end = TK_CLAIM_GOES_ON;
    return TK_OK;
}

static tk_status fail_job(serving *a, tk_status st)
{
    char words[TK_SPOOL_WORDS];
    const bool again = st != TK_INPUT && st != TK_NUMERIC;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_log_warn("job %s: %s", a->claim.entry.name, words);
    tk_status_clear();
    a->failed++;
    return tell_spool(a, tk_claim_fail(&a->claim, words, again));
}

static tk_status choose_job(serving *a, bool stop, serve_order *o)
{
    int waiting, running;
    bool got = false;
    o->what = stop ? SERVE_END : SERVE_WAIT;
    if (stop) return TK_OK;
    TK_TRY(tk_spool_scan(&a->spool));
    for (;;) {
        TK_TRY(tk_spool_next(&a->spool, wants_job, a, &a->claim, &got));
        if (!got) break;
        const tk_status st = order_job(a, o);
        if (st == TK_OK) return TK_OK;
        TK_TRY(fail_job(a, st));
    }
    TK_TRY(tk_spool_busy(&a->spool, &waiting, &running));
    const bool idle = a->o->idle > 0 && tk_now() - a->worked > a->o->idle;
    if (idle || (a->o->once && running == 0 && waiting <= a->n_left)) o->what = SERVE_END;
    return TK_OK;
}

// ---- a job, on all ranks -----------------------------------------------------------------------

static bool after_serve_step(void *ctx)
{
    serving *a = ctx;
    if (a->world->rank) return false;
    if (a->steps < 0) a->steps = a->by.reel.kept * tk_story_steps(&a->job->config);
    a->end = tk_claim_progress(&a->claim, ++a->steps, a->total, "steps");
    return a->end != TK_CLAIM_GOES_ON;
}

static bool while_writing(void *ctx)
{
    serving *a = ctx;
    a->end = tk_claim_progress(&a->claim, a->steps, a->total, "steps");
    return a->end != TK_CLAIM_GOES_ON;
}

static tk_status get_served(void *ctx, int64_t i, tk_arena *arena, tk_config *out,
                            const char **name)
{
    const serving *a = ctx;
    (void)arena, (void)i;
    *out = a->job->config;
    *name = a->job->file;
    return TK_OK;
}

static void close_weights(serving *a)
{
    tk_session_close(&a->by.session);
    if (a->has) tk_trained_close(&a->trained);
    tk_arena_free(&a->arena);
    tk_arena_init(&a->arena, 0);
    a->has = false;
}

static tk_status admit(serving *a, const tk_stories *all)
{
    size_t need;
    const size_t most = (size_t)a->o->memory << 20;
    if (!most) return TK_OK;
    TK_TRY(tk_agree(a->world, tk_studio_need(&a->by, all, &need)));
    TK_TRY(tk_comm_most(a->world, &need));
    if (need <= most) return TK_OK;
    a->unfit = true;
    return TK_FAIL(TK_MEMORY,
                   "needs %.1f MiB of a rank, more than serve.memory of this worker (%" PRId64
                   " MiB); left to others",
                   (double)need / (1 << 20), a->o->memory);
}

// The weights that the job wants are open afterwards, those that are stay so.
static tk_status open_for_job(serving *a)
{
    const tk_trained *t = a->job->trained;
    const tk_stories all = {.ctx = a, .n = 1, .get = get_served};
    const bool ema = a->job->config.sample.ema;
    const bool same = a->has && !strcmp(a->trained.path, t->path) &&
                      a->trained.meta.digest == t->meta.digest &&
                      a->by.session.ema == (ema && t->has_ema);
    if (same) return admit(a, &all);
    close_weights(a);
    TK_TRY(tk_trained_open(t->where, a->job->config.codec.file, a->world, &a->arena, &a->trained));
    a->has = true;
    tk_status st = tk_studio_open_device(&a->by, &a->trained, ema);
    if (st == TK_OK) st = admit(a, &all);
    if (st == TK_OK) {
        st = tk_studio_load(&a->by, &all);
        a->unfit = st == TK_MEMORY;
    }
    if (st != TK_OK) close_weights(a);
    return st;
}

static tk_status make_job(serving *a, const serve_order *o)
{
    tk_jobs jobs;
    char output[TK_SPOOL_PATH + 16], checkpoint[PATH_MAX + 16];
    int n = a->n_overrides;
    snprintf(output, sizeof output, "output=%s", o->output);
    snprintf(checkpoint, sizeof checkpoint, "checkpoint=%s", a->checkpoint);
    a->overrides[n++] = output;
    if (o->default_checkpoint) a->overrides[n++] = checkpoint;
    TK_TRY(*o->list ? tk_jobs_open_listed(&jobs, a->world, o->list, o->yaml, n, a->overrides)
                    : tk_jobs_open(&jobs, a->world, o->yaml, n, a->overrides));
    jobs.job[0].told_file = o->told_yaml;
    jobs.job[0].told_output = o->told_output;
    a->job = &jobs.job[0];
    a->steps = -1;
    a->total = a->job->story.n_windows * tk_story_steps(&a->job->config);
    tk_status st = tk_filter_jobs(&jobs, a->world, &a->claim.record.uid, false);
    if (st == TK_OK && !a->job->finished) st = open_for_job(a);
    if (st == TK_OK && !a->job->finished) st = tk_studio_make(&a->by, a->job);
    a->job = NULL;
    tk_jobs_close(&jobs);
    return st;
}

// Rank 0: how a claim ends that all ranks have worked on.
static tk_status end_claim(serving *a, tk_status st)
{
    tk_claim *c = &a->claim;
    char words[TK_SPOOL_WORDS];
    if (st == TK_OK) {
        st = tk_claim_commit(c);
        a->made += st == TK_OK;
        return tell_spool(a, st);
    }
    if (a->unfit) {
        snprintf(words, sizeof words, "%s", tk_status_message());
        tk_log_warn("job %s: %s", c->entry.name, words);
        tk_status_clear();
        if (a->n_left < LEFT)
            snprintf(a->left[a->n_left++], sizeof a->left[0], "%s", c->entry.name);
        return tell_spool(a, tk_claim_return(c, words));
    }
    if (st != TK_STOPPED) return fail_job(a, st);
    tk_status_clear();
    if (a->end == TK_CLAIM_GOES_ON) return tell_spool(a, tk_claim_return(c, ""));
    st = tk_claim_stop(c, a->end);
    return a->end == TK_CLAIM_LOST ? tell_spool(a, st) : st;
}

// A worker whose device or whose ranks are broken is of no use to the next job.
static bool ends_worker(tk_status st)
{
    return st == TK_DEVICE || st == TK_COMM || st == TK_INTERNAL;
}

static tk_status serve_job(serving *a, const serve_order *o)
{
    char words[TK_SPOOL_WORDS];
    a->unfit = false;
    a->end = TK_CLAIM_GOES_ON;
    const tk_status st = make_job(a, o);
    snprintf(words, sizeof words, "%s", st == TK_OK ? "" : tk_status_message());
    TK_TRY(tk_agree(a->world, a->world->rank ? TK_OK : end_claim(a, st)));
    a->worked = tk_now();
    if (!ends_worker(st)) return TK_OK;
    tk_status_set(st, words);
    return tk_agree(a->world, st);
}

// ---- the worker --------------------------------------------------------------------------------

static void wait_a_while(double seconds)
{
    const double until = tk_now() + seconds;
    while (tk_now() < until && !tk_stop_asked()) {
        tk_alive();
        nanosleep(&(struct timespec){.tv_nsec = seconds < 0.1 ? 10000000 : 100000000}, NULL);
    }
}

// How a worker ends that was asked to stop: jobs that wait are for another, or for it again.
static tk_status tell_stopped(serving *a)
{
    int waiting, running;
    TK_TRY(tk_spool_busy(&a->spool, &waiting, &running));
    if (waiting == 0) return TK_OK;
    return TK_FAIL(TK_STOPPED,
                   "stopped on request; %d jobs wait in %s: run the same command again to go on",
                   waiting, a->spool.dir);
}

static tk_status serve_all(serving *a)
{
    uint64_t stop;
    for (;;) {
        static serve_order o;
        stop = tk_stop_asked();
        o = (serve_order){0};
        TK_TRY(tk_comm_sum_u64(a->world, &stop, 1));
        TK_TRY(tk_agree(a->world, a->world->rank ? TK_OK : choose_job(a, stop != 0, &o)));
        TK_TRY(tk_comm_broadcast(a->world, &o, sizeof o, 0));
        if (o.what == SERVE_END) break;
        if (o.what == SERVE_JOB)
            TK_TRY(serve_job(a, &o));
        else
            wait_a_while(a->o->poll);
    }
    if (a->world->rank == 0)
        tk_log("%d jobs done, %d failed%s", a->made, a->failed,
               a->n_left ? "; some were left to others" : "");
    return stop ? tk_agree(a->world, a->world->rank ? TK_OK : tell_stopped(a)) : TK_OK;
}

// A path of the worker's as jobs must name it, who stand in the spool's files. Rank 0 alone need
// have such a file.
static tk_status add_path(serving *a, const char *name, const char *path, tk_arena *arena)
{
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return TK_FAIL(TK_INPUT, "%s: no working directory", name);
    char *option = *path == '/' ? tk_arena_printf(arena, "%s=%s", name, path)
                                : tk_arena_printf(arena, "%s=%s/%s", name, here, path);
    if (!option) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    a->overrides[a->n_overrides++] = option;
    return TK_OK;
}

static tk_status take_mark(serving *a, const tk_watermark_config *c, tk_arena *arena)
{
    tk_mark_key key;
    if (!*c->key) return TK_OK;
    if (a->world->rank == 0) TK_TRY(tk_mark_open_key(c, &key));
    TK_TRY(add_path(a, "watermark.key", c->key, arena));
    if (!*c->payload) return TK_OK;
    char *option = tk_arena_printf(arena, "watermark.payload=%s", c->payload);
    if (!option) return TK_FAIL(TK_MEMORY, "out of memory for an option");
    a->overrides[a->n_overrides++] = option;
    return TK_OK;
}

// The policy that every job is held against, checked before there is one.
static tk_status take_policy(serving *a, const tk_filter_config *c, tk_arena *arena)
{
    const tk_ruling_request nobody = {.clip = ""};
    tk_ruling *f;
    if (!*c->policy) return TK_OK;
    if (a->world->rank == 0) {
        TK_TRY(tk_ruling_open(c, &nobody, &f));
        tk_ruling_close(f);
    }
    TK_TRY(add_path(a, "filter.policy", c->policy, arena));
    return add_path(a, "filter.log", c->log, arena);
}

// The keys that every clip is signed by, checked before there is one.
static tk_status take_keys(serving *a, const tk_provenance_config *c, tk_arena *arena)
{
    tk_signer *by;
    if (!*c->key) return TK_OK;
    if (a->world->rank == 0) {
        TK_TRY(tk_signer_open(c, &by));
        tk_signer_close(by);
    }
    TK_TRY(add_path(a, "provenance.key", c->key, arena));
    return add_path(a, "provenance.chain", c->chain, arena);
}

static tk_status take_store(serving *a, const tk_consent_config *c, tk_arena *arena)
{
    tk_cameo_store store;
    if (!*c->store) return TK_OK;
    if (a->world->rank == 0) {
        TK_TRY(tk_cameo_store_open(c, TK_STORE_TO_USE, &store));
        tk_cameo_store_close(&store);
    }
    TK_TRY(add_path(a, "consent.store", c->store, arena));
    if (*c->keys) TK_TRY(add_path(a, "consent.keys", c->keys, arena));
    if (*c->registrar) TK_TRY(add_path(a, "consent.registrar", c->registrar, arena));
    return *c->hook ? add_path(a, "consent.hook", c->hook, arena) : TK_OK;
}

// Options of the worker's own are none of its jobs'.
static tk_status sort_overrides(serving *a, const tk_invocation *in, const tk_config *c,
                                tk_arena *arena)
{
    static const char *const own[] = {"serve.",      "job.",       "checkpoint=", "output=", "log.",
                                      "provenance.", "watermark.", "consent.",    "filter."};
    TK_ARENA_NEW(a->overrides, arena, in->n_overrides + 12);
    for (int i = 0; i < in->n_overrides; i++) {
        bool is_own = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            is_own |= !strncmp(in->overrides[i], own[k], strlen(own[k]));
        if (!is_own) a->overrides[a->n_overrides++] = in->overrides[i];
    }
    if (c->parallel.data > 1)
        return TK_FAIL(TK_INPUT,
                       "parallel.data=%" PRId64 ": a worker does one job at a time, on "
                       "all its ranks; start more workers instead",
                       c->parallel.data);
    if (*c->story.checkpoint && !realpath(c->story.checkpoint, a->checkpoint))
        return TK_FAIL(TK_INPUT, "checkpoint: cannot use %s", c->story.checkpoint);
    TK_TRY(take_store(a, &c->consent, arena));
    TK_TRY(take_policy(a, &c->filter, arena));
    TK_TRY(take_keys(a, &c->provenance, arena));
    return take_mark(a, &c->watermark, arena);
}

// Paths that jobs name begin at the spool's files.
static tk_status go_to_files(const char *dir)
{
    char path[TK_SPOOL_PATH];
    TK_TRY(tk_spool_path(path, dir, "files"));
    return chdir(path) == 0 ? TK_OK : TK_FAIL(TK_INPUT, "cannot enter %s", path);
}

static tk_status open_worker(serving *a, tk_invocation *in)
{
    tk_config *c = &in->config;
    tk_status st =
        tk_config_load(c, TK_CMD_SERVE | TK_CMD_SAMPLE, NULL, in->n_overrides, in->overrides);
    TK_TRY(tk_config_agree(a->world, st, c));
    a->o = &c->serve;
    TK_TRY(tk_agree(a->world, sort_overrides(a, in, c, &in->arena)));
    a->by.parallel = c->parallel;
    a->by.step_done = after_serve_step;
    a->by.writing = while_writing;
    a->by.ctx = a;
    if (a->world->rank == 0) st = tk_spool_open(&a->spool, in->files[0], c->serve.lease);
    TK_TRY(tk_agree(a->world, st));
    a->spool.open = a->o->open != 0;
    TK_TRY(tk_agree(a->world, go_to_files(in->files[0])));
    tk_studio_layout(&a->by.parallel, a->world->size, 1);
    return tk_mesh_open(&a->by.mesh, a->world, &a->by.parallel, TK_AXIS_TENSOR);
}

tk_status tk_serve_command(tk_comm *world, tk_invocation *in)
{
    serving *a = tk_alloc(sizeof *a);
    const tk_status room = tk_agree(world, a ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"));
    if (room != TK_OK) {
        tk_free(a);
        return room;
    }
    a->world = world;
    tk_arena_init(&a->arena, 0);
    tk_stop_watch();
    a->worked = tk_now();
    tk_status st = open_worker(a, in);
    if (st == TK_OK) st = serve_all(a);
    close_weights(a);
    if (a->by.mesh.world.size) tk_mesh_close(&a->by.mesh);
    if (world->rank == 0) tk_spool_close(&a->spool);
    tk_arena_free(&a->arena);
    tk_free(a);
    return st;
}
