// SPDX-License-Identifier: Apache-2.0
#include "infer/serve.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/filter/ruling.h"
#include "infer/mark/marked.h"
#include "infer/output/people.h"
#include "infer/provenance/signer.h"
#include "infer/served.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// ---- rounds ------------------------------------------------------------------------------------

// A worker whose device or whose ranks are broken is of no use to the next job.
static bool ends_worker(tk_status st)
{
    return st == TK_DEVICE || st == TK_COMM || st == TK_INTERNAL;
}

// Takes h out of the hand, the others move up, and its place stands free for the next.
static tk_status end_served(tk_serving *a, tk_served *h, tk_status st)
{
    char words[TK_SPOOL_WORDS];
    int at = 0;
    while (a->hand[at] != h) at++;
    a->n--;
    for (; at < a->n; at++) a->hand[at] = a->hand[at + 1];
    a->hand[a->n] = h;
    snprintf(words, sizeof words, "%s", st == TK_OK ? "" : tk_status_message());
    // The one is found that made a round fail: others need not be alone for it.
    for (int i = 0; i < a->n && h->alone && st != TK_OK && st != TK_STOPPED; i++)
        a->hand[i]->alone = a->hand[i]->order.again;
    TK_TRY(tk_served_end(a, h, st));
    if (!ends_worker(st)) return TK_OK;
    tk_status_set(st, words);
    return tk_agree(a->world, st);
}

static bool is_finished(const tk_served *h)
{
    return !h->waits && h->jobs.job[0].finished;
}

// Whether one more would be made now, and with the others; else other workers have it sooner.
static bool takes_more(const tk_serving *a)
{
    for (int i = 0; i < a->n; i++)
        if (a->hand[i]->waits || a->hand[i]->alone) return false;
    return a->n < a->o->together;
}

// Claims jobs until the hand is full. *ends: the worker is done.
static tk_status fill_hand(tk_serving *a, bool *ends)
{
    while (takes_more(a)) {
        tk_served *h = a->hand[a->n];
        TK_TRY(tk_agree(a->world, a->world->rank ? TK_OK : tk_served_choose(a, h)));
        TK_TRY(tk_comm_broadcast(a->world, &h->order, sizeof h->order, 0));
        *ends = h->order.what == TK_SERVE_END && a->n == 0;
        if (h->order.what != TK_SERVE_JOB) break;
        const tk_status st = tk_served_begin(a, h);
        a->n++;
        if (st != TK_OK || is_finished(h)) TK_TRY(end_served(a, h, st));
    }
    return TK_OK;
}

// One that waits for others to end begins once nothing else is in hand.
static tk_status begin_waiting(tk_serving *a)
{
    tk_served *h = a->hand[0];
    if (a->n != 1 || !h->waits) return TK_OK;
    a->n = 0;
    const tk_status st = tk_served_begin(a, h);
    a->n = 1;
    return st == TK_OK && !is_finished(h) ? TK_OK : end_served(a, h, st);
}

// Who is in the next round: one alone that was in a round that failed, else all that are at work.
static void choose_round(tk_serving *a)
{
    a->n_round = 0;
    for (int i = 0; i < a->n; i++)
        if (!a->hand[i]->waits) a->round[a->n_round++] = a->hand[i];
    for (int i = 0; i < a->n_round; i++)
        if (a->round[i]->alone) {
            a->round[0] = a->round[i];
            a->n_round = 1;
        }
}

// Ends those whose claims have to end, or all where the worker is asked to stop. Others go on.
static tk_status end_stopped(tk_serving *a, bool all)
{
    bool ends[TK_STUDIO_MOST] = {false};
    const int n = a->n;
    tk_served *hand[TK_STUDIO_MOST];
    for (int i = 0; i < n; i++) ends[i] = all || a->hand[i]->end != TK_CLAIM_GOES_ON;
    TK_TRY(tk_comm_broadcast(a->world, ends, sizeof ends, 0));
    memcpy(hand, a->hand, sizeof hand);
    for (int i = 0; i < n; i++)
        if (ends[i]) TK_TRY(end_served(a, hand[i], TK_STOPPED));
    return TK_OK;
}

static tk_status finish_served(tk_serving *a)
{
    for (int i = 0; i < a->n; i++) {
        tk_served *h = a->hand[i];
        tk_studio_place *p = &h->place;
        if (h->waits || p->window < p->job->story.n_windows) continue;
        a->round[0] = h; // whose progress is asked for while it is written
        TK_TRY(end_served(a, h, tk_studio_finish(&a->by, &p)));
        i--;
    }
    return TK_OK;
}

static tk_status stop_asked_of_any(tk_serving *a, bool *stop)
{
    uint64_t asked = tk_stop_asked();
    TK_TRY(tk_comm_sum_u64(a->world, &asked, 1));
    *stop = asked != 0;
    return TK_OK;
}

// Whose round it was that failed; NULL: that of several, and nobody can say.
static tk_served *find_culprit(const tk_serving *a)
{
    for (int i = 0; i < a->n_round; i++)
        if (a->n_round == 1 || &a->round[i]->place == a->by.refused) return a->round[i];
    return NULL;
}

static void part_round(tk_serving *a, int n)
{
    if (a->world->rank == 0)
        tk_log_warn("%d jobs at once failed, each is tried alone: %s", n, tk_status_message());
    for (int i = 0; i < n; i++) a->round[i]->alone = true;
}

// What a round has come to. Where it failed for one of several, each is tried alone.
static tk_status after_round(tk_serving *a, tk_status st)
{
    const bool failed = st != TK_OK && st != TK_STOPPED;
    tk_served *by = find_culprit(a);
    const int n = a->n_round;
    bool stop = false;
    if (failed && !by && ends_worker(st)) return st; // a try of all of them
    a->n_round = 0;
    if (failed && by) return end_served(a, by, st);
    if (failed) part_round(a, n);
    if (st != TK_OK) tk_status_clear();
    if (st == TK_STOPPED) TK_TRY(stop_asked_of_any(a, &stop));
    TK_TRY(end_stopped(a, stop));
    return stop ? TK_OK : finish_served(a);
}

static tk_status make_round(tk_serving *a)
{
    tk_studio_place *place[TK_STUDIO_MOST];
    TK_TRY(finish_served(a)); // of which an earlier run made all windows
    choose_round(a);
    if (a->n_round == 0) return TK_OK;
    for (int i = 0; i < a->n_round; i++) {
        tk_served *h = a->round[i];
        place[i] = &h->place;
        h->steps = h->place.window * tk_story_steps(&h->place.job->config);
    }
    const tk_status st = tk_studio_round(&a->by, a->n_round, place);
    // The one that was first comes last: who cannot be with it is first in its turn.
    tk_served *first = a->hand[0];
    TK_TRY(after_round(a, st));
    if (a->n > 1 && a->hand[0] == first && !a->hand[a->n - 1]->waits) {
        for (int i = 1; i < a->n; i++) a->hand[i - 1] = a->hand[i];
        a->hand[a->n - 1] = first;
    }
    return TK_OK;
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
static tk_status tell_stopped(tk_serving *a)
{
    int waiting, running;
    TK_TRY(tk_spool_busy(&a->spool, &waiting, &running));
    if (waiting == 0) return TK_OK;
    return TK_FAIL(TK_STOPPED,
                   "stopped on request; %d jobs wait in %s: run the same command again to go on",
                   waiting, a->spool.dir);
}

// Rank 0: what owners of cameos wish, also of those in no job. A store that cannot be read now is
// no reason to end: no job with somebody in it is made until it can be.
static tk_status take_up_wishes(tk_serving *a)
{
    tk_cameo_store store;
    if (!a->consent.store) return TK_OK;
    tk_status st = tk_cameo_store_open(&a->consent, TK_STORE_TO_USE, &store);
    if (st == TK_OK) {
        st = tk_people_take_wishes(&store);
        tk_cameo_store_close(&store);
    }
    if (st != TK_OK && st != TK_MEMORY) {
        if (!a->wishes_unread)
            tk_log_warn("wishes of owners are not read: %s", tk_status_message());
        tk_status_clear();
    }
    a->wishes_unread = st != TK_OK;
    return st == TK_MEMORY ? st : TK_OK;
}

static tk_status serve_all(tk_serving *a)
{
    bool stop, ends = false;
    for (;;) {
        TK_TRY(stop_asked_of_any(a, &stop));
        if (stop) TK_TRY(end_stopped(a, true));
        if (!stop) TK_TRY(tk_agree(a->world, a->world->rank ? TK_OK : take_up_wishes(a)));
        if (!stop) TK_TRY(fill_hand(a, &ends));
        if (stop || ends) break;
        TK_TRY(begin_waiting(a));
        if (a->n)
            TK_TRY(make_round(a));
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
static tk_status add_path(tk_serving *a, const char *name, const char *path, tk_arena *arena)
{
    char here[PATH_MAX];
    if (!getcwd(here, sizeof here)) return TK_FAIL(TK_INPUT, "%s: no working directory", name);
    char *option = *path == '/' ? tk_arena_printf(arena, "%s=%s", name, path)
                                : tk_arena_printf(arena, "%s=%s/%s", name, here, path);
    if (!option) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    a->overrides[a->n_overrides++] = option;
    return TK_OK;
}

static tk_status take_mark(tk_serving *a, tk_wrong *w, const tk_watermark_config *c)
{
    if (!*c->key) return TK_OK;
    if (a->world->rank == 0) TK_TRY(tk_mark_ask(w, c));
    TK_TRY(add_path(a, "watermark.key", c->key, w->arena));
    char *payload = tk_arena_printf(w->arena, "watermark.payload=%s", c->payload);
    char *strength = tk_arena_printf(w->arena, "watermark.strength=%.17g", c->strength);
    if (!payload || !strength) return TK_FAIL(TK_MEMORY, "out of memory for an option");
    a->overrides[a->n_overrides++] = payload;
    a->overrides[a->n_overrides++] = strength;
    return TK_OK;
}

// The policy that every job is held against, checked before there is one.
static tk_status take_policy(tk_serving *a, tk_wrong *w, const tk_filter_config *c)
{
    const tk_ruling_request nobody = {.clip = ""};
    tk_ruling *f = NULL;
    if (!*c->policy) return TK_OK;
    if (a->world->rank == 0) {
        const tk_status st = tk_ruling_open(c, &nobody, &f);
        if (st == TK_OK) tk_ruling_close(f);
        TK_TRY(tk_wrong_with(w, "filter.policy", st));
    }
    TK_TRY(add_path(a, "filter.policy", c->policy, w->arena));
    return add_path(a, "filter.log", c->log, w->arena);
}

// The keys that every clip is signed by, checked before there is one.
static tk_status take_keys(tk_serving *a, tk_wrong *w, const tk_provenance_config *c)
{
    if (!*c->key) return TK_OK;
    if (a->world->rank == 0) TK_TRY(tk_signer_ask(w, c));
    TK_TRY(add_path(a, "provenance.key", c->key, w->arena));
    return add_path(a, "provenance.chain", c->chain, w->arena);
}

// The path as jobs name it stands in the place of the worker's.
static tk_status add_store_path(tk_serving *a, const char *name, char **path, tk_arena *arena)
{
    if (!**path) return TK_OK;
    TK_TRY(add_path(a, name, *path, arena));
    *path = a->overrides[a->n_overrides - 1] + strlen(name) + 1;
    return TK_OK;
}

static tk_status take_store(tk_serving *a, tk_wrong *w, const tk_consent_config *c)
{
    tk_cameo_store store;
    if (!*c->store) return TK_OK;
    if (a->world->rank == 0) {
        const tk_status st = tk_cameo_store_open(c, TK_STORE_TO_USE, &store);
        if (st == TK_OK) tk_cameo_store_close(&store);
        TK_TRY(tk_wrong_with(w, "consent.store", st));
    }
    a->consent = *c;
    TK_TRY(add_store_path(a, "consent.store", &a->consent.store, w->arena));
    TK_TRY(add_store_path(a, "consent.keys", &a->consent.keys, w->arena));
    TK_TRY(add_store_path(a, "consent.registrar", &a->consent.registrar, w->arena));
    return add_store_path(a, "consent.hook", &a->consent.hook, w->arena);
}

// Options of the worker's own are none of its jobs'.
static tk_status sort_overrides(tk_serving *a, const tk_invocation *in, tk_wrong *w)
{
    static const char *const own[] = {"serve.",      "job.",       "checkpoint=", "output=", "log.",
                                      "provenance.", "watermark.", "consent.",    "filter."};
    TK_ARENA_NEW(a->overrides, w->arena, in->n_overrides + 13);
    for (int i = 0; i < in->n_overrides; i++) {
        bool is_own = false;
        for (size_t k = 0; k < sizeof own / sizeof *own; k++)
            is_own |= !strncmp(in->overrides[i], own[k], strlen(own[k]));
        if (!is_own) a->overrides[a->n_overrides++] = in->overrides[i];
    }
    return TK_OK;
}

// What the worker has for all of its jobs; lines of w for all that is wrong with it.
static tk_status take_options(tk_serving *a, const tk_config *c, tk_wrong *w)
{
    if (c->parallel.data > 1)
        tk_wrong_add(w, "parallel.data",
                     "%" PRId64
                     ": a worker's jobs are on all its ranks; start more workers instead",
                     c->parallel.data);
    if (*c->story.checkpoint && !realpath(c->story.checkpoint, a->checkpoint))
        tk_wrong_add(w, "checkpoint", "cannot use %s", c->story.checkpoint);
    if (!tk_wrong_doubts(w, "consent")) TK_TRY(take_store(a, w, &c->consent));
    if (!tk_wrong_doubts(w, "filter")) TK_TRY(take_policy(a, w, &c->filter));
    if (!tk_wrong_doubts(w, "provenance")) TK_TRY(take_keys(a, w, &c->provenance));
    return tk_wrong_doubts(w, "watermark") ? TK_OK : take_mark(a, w, &c->watermark);
}

// Paths that jobs name begin at the spool's files, and lead nowhere else: `open` lets them.
static tk_status go_to_files(const char *dir, bool open)
{
    char path[TK_SPOOL_PATH], here[PATH_MAX];
    TK_TRY(tk_spool_path(path, dir, "files"));
    if (chdir(path) != 0 || !getcwd(here, sizeof here))
        return TK_FAIL(TK_INPUT, "cannot enter %s", path);
    tk_file_confine(open ? NULL : here);
    return TK_OK;
}

static tk_status new_hand(tk_serving *a, tk_arena *arena)
{
    tk_served *all;
    TK_ARENA_NEW(all, arena, a->o->together);
    for (int i = 0; i < a->o->together; i++) a->hand[i] = &all[i];
    return TK_OK;
}

static tk_status open_worker(tk_serving *a, tk_invocation *in)
{
    tk_config *c = &in->config;
    tk_wrong w = tk_wrong_of(c, "", &in->arena);
    tk_status st =
        tk_config_gather(&w, c, TK_CMD_SERVE | TK_CMD_SAMPLE, NULL, in->n_overrides, in->overrides);
    if (st == TK_OK) st = sort_overrides(a, in, &w);
    if (st == TK_OK) st = take_options(a, c, &w);
    if (st == TK_OK) st = tk_wrong_end(&w);
    TK_TRY(tk_config_agree(a->world, st, c));
    a->o = &c->serve;
    TK_TRY(tk_agree(a->world, new_hand(a, &in->arena)));
    a->by.parallel = c->parallel;
    a->by.step_done = tk_served_step;
    a->by.writing = tk_served_writing;
    a->by.ctx = a;
    if (a->world->rank == 0) st = tk_spool_open(&a->spool, in->files[0], c->serve.lease);
    TK_TRY(tk_agree(a->world, st));
    a->spool.open = a->o->open != 0;
    if (a->world->rank == 0)
        tk_log("%s: works on what is dropped into %s/new", in->files[0], in->files[0]);
    TK_TRY(tk_agree(a->world, go_to_files(in->files[0], a->spool.open)));
    tk_studio_layout(&a->by.parallel, a->world->size, 1);
    return tk_mesh_open(&a->by.mesh, a->world, &a->by.parallel, TK_AXIS_TENSOR);
}

tk_status tk_serve_command(tk_comm *world, tk_invocation *in)
{
    tk_serving *a = tk_alloc(sizeof *a);
    const tk_status room = tk_agree(world, a ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"));
    if (room != TK_OK) {
        tk_free(a);
        return room;
    }
    a->world = world;
    tk_arena_init(&a->arena, 0);
    a->worked = tk_now();
    tk_status st = tk_stop_watch();
    if (st == TK_OK) st = open_worker(a, in);
    if (st == TK_OK) st = serve_all(a);
    for (int i = 0; i < a->n; i++) tk_served_drop(a, a->hand[i], st);
    tk_served_close_weights(a);
    if (a->by.mesh.world.size) tk_mesh_close(&a->by.mesh);
    if (world->rank == 0) tk_spool_close(&a->spool);
    tk_arena_free(&a->arena);
    tk_free(a);
    return st;
}
