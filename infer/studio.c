// SPDX-License-Identifier: Apache-2.0
#include "infer/studio.h"
#include "core/base/log.h"
#include "infer/filming.h"
#include "parallel/mpi/stop.h"
#include "train/run/metrics.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- one storyboard ----------------------------------------------------------------------------

// "0 (first with Ada), 4 (one of the last)"
static void list_memory(const tk_window *w, char *out, size_t bytes)
{
    size_t n = 0;
    *out = 0;
    for (int k = 0; k < w->n_memory && n < bytes; k++) {
        char why[TK_MEMORY_WORDS];
        n += (size_t)snprintf(out + n, bytes - n, "%s%d (%s)", k ? ", " : "", w->memory[k].shot,
                              tk_memory_say(&w->memory[k], why));
    }
}

// How many windows are given a shot for each reason; what each is given, where a user asks.
static void describe_memory(const tk_job *job)
{
    const tk_story *s = &job->story;
    int of[TK_MEMORY_WHYS] = {0}, none = 0;
    for (int i = 1; i < s->n_windows; i++) {
        const tk_window *w = &s->windows[i];
        bool has[TK_MEMORY_WHYS] = {false};
        char list[1024];
        for (int k = 0; k < w->n_memory; k++) has[w->memory[k].why] = true;
        for (int why = 0; why < TK_MEMORY_WHYS; why++) of[why] += has[why];
        none += w->n_memory == 0;
        list_memory(w, list, sizeof list);
        tk_log_verbose("%s: shots[%d] is given %s", job->file, w->target,
                       *list ? list : "no memory");
    }
    if (s->n_windows > 1)
        tk_log("%s: memory of %d windows: %d are given the last shots, %d the first with a word of "
               "their prompt, %d others that share one, %d what they ask for, %d nothing "
               "(log.level=verbose names them)",
               job->file, s->n_windows - 1, of[TK_MEMORY_LAST], of[TK_MEMORY_FIRST],
               of[TK_MEMORY_SHARES], of[TK_MEMORY_ASKED], none);
}

static void describe_job(const tk_job *job)
{
    const tk_story *s = &job->story;
    char remix[TK_REMIX_WORDS];
    int first = -1, rounded = 0;
    double asked = 0;
    for (int i = 0; i < s->n_shots; i++) {
        const double off = s->shot[i].seconds - s->shot[i].asked;
        asked += s->shot[i].asked;
        if (off <= 1e-3 && off >= -1e-3) continue;
        if (first < 0) first = i;
        rounded++;
    }
    if (rounded)
        tk_log("%s: %d of %d shots are rounded to latent frames, which last %.4g seconds: "
               "shots[%d] is "
               "%.4g seconds long, not %.4g%s; all together %.4g, asked %.4g",
               job->file, rounded, s->n_shots, s->tick, first, s->shot[first].seconds,
               s->shot[first].asked, rounded > 1 ? ", and so on" : "",
               (double)s->grid.latent_frames * s->tick, asked);
    for (int k = 0; k < job->remix.n; k++)
        tk_log("%s: of %s", job->file, tk_remix_say(&job->remix, &job->config.story, k, remix));
    if (s->n_windows > 1)
        tk_log("%s: %d shots in %d windows of at most %.4g seconds, earlier shots given as memory",
               job->file, s->n_shots, s->n_windows, s->window);
    describe_memory(job);
}

// ---- stopping ----------------------------------------------------------------------------------

// A window that ends so soon is finished first.
static const double soon = 10; // seconds

// Between windows: does everybody who is in one of them still consent?
static tk_status still_lent(tk_studio *a)
{
    tk_comm *replica = &a->mesh.replica;
    for (int i = 0; i < a->n_places; i++) {
        tk_lent *lent = &a->place[i]->job->lent;
        if (!lent->clip) continue;
        const tk_status st = tk_agree(replica, replica->rank ? TK_OK : tk_lent_stands(lent));
        if (st != TK_OK) a->refused = a->place[i];
        TK_TRY(st);
    }
    return TK_OK;
}

// Who revokes takes finished windows away at once, and the folder that the next one was to be
// written into: then that is the reason, not that they are gone.
static tk_status unless_revoked(tk_studio *a, tk_status st)
{
    char words[8192];
    if (st != TK_INPUT && st != TK_IO) return st;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_status_clear();
    TK_TRY(still_lent(a));
    tk_status_set(st, words);
    return tk_agree(&a->mesh.replica, st);
}

// Stages of a pipeline that wait for each other after each step would have nothing under way where
// the next one begins: there each learns a step later what the others were asked.
static tk_status ask_replica(tk_studio *a, bool mine, int64_t left, bool *asked)
{
    tk_comm *replica = &a->mesh.replica;
    const bool later = a->mesh.axis[TK_AXIS_PIPELINE].degree > 1 && left > 0;
    uint64_t before = 0, now = 0;
    if (replica->summing) TK_TRY(tk_comm_sum_end(replica, &before));
    if (!before) TK_TRY(tk_comm_sum_begin(replica, mine));
    if (!before && !later) TK_TRY(tk_comm_sum_end(replica, &now));
    *asked = before || now;
    return TK_OK;
}

// What was begun by a round that failed.
static tk_status forget_asked(tk_studio *a, tk_status st)
{
    uint64_t asked;
    if (a->mesh.replica.summing) TK_TRY(tk_comm_sum_end(&a->mesh.replica, &asked));
    return st;
}

// Collective over the replica: whoever is asked to stop stops all.
static tk_status after_step(void *ctx, int64_t left)
{
    tk_studio *a = ctx;
    tk_comm *replica = &a->mesh.replica;
    const double now = tk_now(), step = now - a->stepped;
    bool asked = a->step_done && a->step_done(a->ctx);
    bool goes_on = (double)left * step <= soon && left > 0;
    a->stepped = now;
    if (left == 0) TK_TRY(still_lent(a));
    TK_TRY(ask_replica(a, asked || tk_stop_asked(), left, &asked));
    if (!asked) return TK_OK;
    TK_TRY(tk_comm_broadcast(replica, &goes_on, sizeof goes_on, 0));
    if (goes_on) return TK_OK;
    const tk_status st = tk_studio_stopped(a);
    tk_status_set_shared(true);
    return st;
}

// ---- a clip ------------------------------------------------------------------------------------

// Who holds rows: the ranks of the first pipeline stage. NULL: not this one.
static tk_comm *row_holders(tk_studio *a)
{
    return a->mesh.axis[TK_AXIS_PIPELINE].rank ? NULL : &a->mesh.stage;
}

// Collective: what the storyboard's windows are made from.
static tk_status read_inputs(tk_studio *a, tk_studio_place *p)
{
    tk_comm *replica = &a->mesh.replica;
    const tk_job *job = p->job;
    const tk_codec *codec = job->trained->meta.codec;
    const tk_story_given_ranks ranks = {replica, row_holders(a)};
    TK_TRY(tk_references_read(&job->config, &job->story, codec, job->output, &ranks, &p->arena,
                              &p->refs));
    TK_TRY(
        tk_story_text_read(&job->config, job->trained, job->output, replica, &p->arena, &p->text));
    if (!tk_story_gives(&job->config.story)) return TK_OK;
    p->task.given = &p->given;
    return tk_story_given_read(&job->config, &job->story, &job->remix, codec, job->output, &ranks,
                               &p->arena, &p->given);
}

static void close_inputs(tk_studio_place *p)
{
    tk_references_close(&p->refs);
    tk_story_text_close(&p->text);
    tk_story_given_close(&p->given);
}

static tk_status open_reel(tk_studio *a, tk_studio_place *p)
{
    const tk_job *job = p->job;
    const tk_codec_info *k = tk_codec_get_info(job->trained->meta.codec);
    tk_comm *replica = &a->mesh.replica;
    tk_reel_shape shape;
    TK_TRY(tk_agree(replica, tk_story_reel(&job->story, k, &p->arena, &shape)));
    TK_TRY(tk_story_tell_windows(&a->mesh, &p->task, k, job->digest.model, &shape));
    return tk_reel_files_open(job->output, &shape, replica, row_holders(a), &p->reel);
}

// Windows that are there, made by this run or by an earlier one.
static void pass_kept(tk_studio_place *p)
{
    if (p->job->stored.path) return;
    while (p->window < p->job->story.n_windows && p->reel.reel.has(&p->reel.reel, p->window))
        p->window++;
}

// All windows are there, in the latents of a clip.
static tk_status open_stored(tk_studio *a, tk_studio_place *p)
{
    const tk_job *job = p->job;
    tk_status st = TK_OK;
    if (a->mesh.replica.rank == 0) {
        tk_log("%s: its latents lie there already, %s: nothing is sampled", job->file,
               job->stored.path);
        st = tk_stored_open(&job->stored, &p->stored);
    }
    p->window = job->story.n_windows;
    return tk_agree(&a->mesh.replica, st);
}

static tk_status own_output(tk_studio *a, tk_studio_place *p)
{
    tk_job *job = p->job;
    const bool owns = a->mesh.replica.rank == 0 && !job->uid;
    return tk_agree(&a->mesh.replica,
                    owns ? tk_reel_owner_take(job->output, job->file, &p->arena, &p->owner)
                         : TK_OK);
}

static tk_status begin_place(tk_studio *a, tk_studio_place *p)
{
    tk_job *job = p->job;
    const bool first = a->mesh.replica.rank == 0;
    TK_TRY(own_output(a, p));
    p->task = (tk_story_task){.config = &job->config,
                              .story = &job->story,
                              .refs = &p->refs,
                              .text = &p->text,
                              .step_done = after_step,
                              .ctx = a};
    TK_TRY(read_inputs(a, p));
    TK_TRY(
        tk_agree(&a->mesh.replica, first ? tk_lent_tell(&job->lent, TK_CAMEO_USED, NULL) : TK_OK));
    if (job->stored.path) return open_stored(a, p);
    return open_reel(a, p);
}

tk_status tk_studio_begin(tk_studio *a, tk_job *job, tk_studio_place *p)
{
    *p = (tk_studio_place){.job = job, .begun = tk_now()};
    tk_arena_init(&p->arena, 1 << 20);
    describe_job(job);
    const tk_status st = begin_place(a, p);
    if (st == TK_OK) {
        pass_kept(p);
    } else {
        close_inputs(p);
        tk_reel_owner_release(&p->owner);
        tk_arena_free(&p->arena);
        p->job = NULL;
    }
    return st;
}

static void take_up(tk_studio *a, int n, tk_studio_place *const *place)
{
    a->place = place;
    a->n_places = n;
    a->refused = NULL;
    a->stepped = tk_now();
    memset(a->taken, 0, sizeof a->taken);
}

tk_status tk_studio_round(tk_studio *a, int n, tk_studio_place *const *place)
{
    tk_story_part part[TK_STUDIO_MOST] = {{0}};
    take_up(a, n, place);
    TK_TRY(still_lent(a)); // since others may have been made, or written, meanwhile
    for (int i = 0; i < n; i++)
        part[i] = (tk_story_part){&place[i]->task, place[i]->window, &place[i]->reel.reel};
    tk_status st = forget_asked(a, tk_story_make_together(&a->session, n, part, a->taken));
    st = unless_revoked(a, st);
    for (int i = 0; i < n; i++) pass_kept(place[i]); // also of a round that failed behind them
    return st;
}

tk_status tk_studio_finish(tk_studio *a, tk_studio_place *const *place)
{
    tk_studio_place *p = *place;
    const tk_job *job = p->job;
    int64_t most;
    take_up(a, 1, place);
    TK_TRY(still_lent(a));
    TK_TRY(tk_agree(&a->mesh.replica, tk_studio_film(a, p)));
    tk_resident_bytes(&most);
    tk_log(
        "%s.mp4, .png, .json: %.4g seconds of clip in %.1f seconds, with at most %.1f MiB of the "
        "host's memory",
        job->output, (double)job->cut.frames / (double)job->cut.fps, tk_now() - p->begun,
        (double)most / 0x1p20);
    return TK_OK;
}

void tk_studio_leave(tk_studio_place *p)
{
    if (!p->job) return;
    tk_reel_files_close(&p->reel);
    tk_stored_close(&p->stored);
    close_inputs(p);
    tk_reel_owner_release(&p->owner);
    tk_arena_free(&p->arena);
    p->job = NULL;
}

// Steps of windows that an earlier run made are told as well: they are among those that were
// planned.
static void tell_kept(tk_studio *a, const tk_studio_place *p, int from)
{
    const int64_t n = (p->window - from) * tk_story_steps(&p->job->config);
    for (int64_t i = 0; i < n && a->step_done; i++) a->step_done(a->ctx);
}

tk_status tk_studio_make(tk_studio *a, tk_job *job)
{
    tk_studio_place place, *const at = &place;
    tk_status st = tk_studio_begin(a, job, &place);
    if (st != TK_OK) return st;
    tell_kept(a, at, 0);
    while (st == TK_OK && at->window < job->story.n_windows) {
        const int window = at->window + 1;
        st = tk_studio_round(a, 1, &at);
        if (st == TK_OK) tell_kept(a, at, window);
    }
    if (st == TK_OK) st = tk_studio_finish(a, &at);
    tk_studio_leave(&place);
    return st;
}

// ---- opening -----------------------------------------------------------------------------------

void tk_studio_layout(tk_parallel_config *p, int64_t world, int64_t jobs)
{
    int64_t as_asked = 1;
    for (int i = 0; i < TK_AXES; i++) {
        const int64_t degree = *tk_mesh_degree(p, (tk_axis)i);
        if (degree && tk_axis_absorbs((tk_axis)i)) return;
        if (degree) as_asked *= degree;
    }
    const int64_t most = world / as_asked;
    if (most * as_asked != world) return; // the mesh says so
    p->data = jobs < 1 ? 1 : jobs < most ? jobs : most;
    while (most % p->data) p->data--;
}

tk_status tk_studio_open_device(tk_studio *a, const tk_trained *t, bool ema)
{
    return tk_session_open(&a->session, &a->mesh, t, &a->parallel, ema);
}

tk_status tk_studio_make_room(tk_studio *a, const tk_stories *all)
{
    return tk_agree(&a->mesh.world, tk_stories_take_memory(all, &a->session, &a->parallel));
}

tk_status tk_studio_load(tk_studio *a, const tk_stories *all)
{
    const tk_trained *t = a->session.trained;
    char mesh[128];
    TK_TRY(tk_studio_make_room(a, all));
    TK_TRY(tk_session_load(&a->session));
    tk_log("%s at step %" PRId64 "%s; %s", t->path, t->meta.step,
           a->session.averaged ? ", averaged weights" : "",
           tk_mesh_print(&a->parallel, mesh, sizeof mesh));
    return TK_OK;
}

tk_status tk_studio_open(tk_studio *a, const tk_trained *t, bool ema, const tk_stories *all)
{
    TK_TRY(tk_studio_open_device(a, t, ema));
    return tk_studio_load(a, all);
}

tk_status tk_studio_need(const tk_studio *a, const tk_stories *all, size_t *bytes)
{
    tk_forecast need;
    TK_TRY(tk_stories_forecast(all, &a->session, &a->parallel, &need));
    *bytes = need.pool + need.registered;
    return TK_OK;
}
