// SPDX-License-Identifier: Apache-2.0
#include "infer/command.h"
#include "data/codec/decoder.h"
#include "infer/output/jobs.h"
#include "infer/reel/files.h"
#include "infer/story/forecast.h"
#include "parallel/mpi/deal.h"
#include "parallel/mpi/stop.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct sampling {
    tk_comm *world;
    tk_jobs jobs;
    tk_parallel_config parallel;
    tk_mesh mesh;
    tk_session session;
    struct turn *turns; // (jobs.n)
    tk_deal *deal;
    uint64_t made, unmade; // storyboards of this data rank
    const tk_job *job;     // that is made, or read,
    tk_reel_files reel;    // ... what there is of it
    double stepped;        // when its last step was done
    tk_status failed;      // the first storyboard of this rank that could not be made
    char words[1024];
} sampling;

typedef struct inputs { // of a storyboard
    tk_references refs;
    tk_story_text text;
    tk_story_given given; // where it gives
    bool gives;
} inputs;

// ---- one storyboard ----------------------------------------------------------------------------

static void describe_job(const tk_job *job)
{
    const tk_story *s = &job->story;
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
    if (s->n_windows > 1)
        tk_log("%s: %d shots in %d windows of at most %.4g seconds, earlier shots given as memory",
               job->file, s->n_shots, s->n_windows, s->window);
    for (int i = 1; i < s->n_windows; i++)
        if (s->windows[i].memory == s->windows[i].target)
            tk_log_verbose("%s: shots[%d] fills the window; it is made without memory", job->file,
                           s->windows[i].target);
}

// ---- stopping ----------------------------------------------------------------------------------

// A window that ends so soon is finished first.
static const double soon = 10; // seconds

static tk_status stopped(const sampling *a)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < a->reel.reel.shape.n; i++) kept += a->reel.there[i];
    return TK_FAIL(TK_STOPPED,
                   "%s: stopped on request; %" PRId64 " of %" PRId64 " windows are kept in %s: run "
                   "the same command again to go on",
                   a->job->file, kept, a->reel.reel.shape.n, a->reel.folder);
}

// Collective over the replica: whoever is asked to stop stops all.
static tk_status after_step(void *ctx, int64_t left)
{
    sampling *a = ctx;
    tk_comm *replica = &a->mesh.replica;
    const double now = tk_now(), step = now - a->stepped;
    uint64_t asked = tk_stop_asked();
    bool goes_on = (double)left * step <= soon && left > 0;
    a->stepped = now;
    tk_deal_step(a->deal);
    TK_TRY(tk_comm_sum_u64(replica, &asked, 1));
    if (!asked) return TK_OK;
    TK_TRY(tk_comm_broadcast(replica, &goes_on, sizeof goes_on, 0));
    if (goes_on) return TK_OK;
    const tk_status st = stopped(a);
    tk_status_set_shared(true);
    return st;
}

typedef struct clip_source { // pictures and sound as long as nobody asks to stop
    tk_media_source source;  // the first member
    tk_media_source *of;
    const sampling *a;
} clip_source;

static tk_status next_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    const clip_source *c = (const clip_source *)s;
    return tk_stop_asked() ? stopped(c->a) : c->of->picture(c->of, frame, rgb);
}

static tk_status next_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    const clip_source *c = (const clip_source *)s;
    return tk_stop_asked() ? stopped(c->a) : c->of->sound(c->of, first, n, pcm);
}

// ---- a clip ------------------------------------------------------------------------------------

static tk_status write_clip(sampling *a, const tk_job *job, const tk_references *refs,
                            double seconds)
{
    tk_decoder clip;
    if (a->mesh.replica.rank) return TK_OK;
    TK_TRY(tk_decoder_open(&clip, job->trained->meta.codec, &job->story.grid, &a->reel.source,
                           TK_DECODER_WINDOW));
    const tk_provenance p = {.storyboard = job->file,
                             .output = job->output,
                             .digest = job->digest,
                             .config = &job->config,
                             .story = &job->story,
                             .refs = refs,
                             .trained = job->trained,
                             .layout = &a->parallel,
                             .averaged = a->session.averaged,
                             .seconds = seconds};
    clip_source all = {{clip.source.shape, next_picture, next_sound}, &clip.source, a};
    const tk_status st = tk_output_write(&p, &all.source);
    tk_decoder_close(&clip);
    if (st == TK_OK) tk_reel_files_remove(job->output);
    return st;
}

static tk_status read_text(const tk_job *job, tk_arena *a, tk_story_text *text)
{
    TK_TRY(tk_story_text_look(&job->config, job->trained, a, text));
    return tk_story_text_read(text, a);
}

// Collective: what the storyboard's windows are made from.
static tk_status read_inputs(sampling *a, const tk_job *job, tk_arena *arena, inputs *in)
{
    tk_comm *replica = &a->mesh.replica;
    const tk_codec *codec = job->trained->meta.codec;
    TK_TRY(
        tk_agree(replica, tk_references_read(&job->config, &job->story, codec, arena, &in->refs)));
    TK_TRY(tk_agree(replica, read_text(job, arena, &in->text)));
    in->gives = tk_story_gives(&job->config.story);
    if (!in->gives) return TK_OK;
    return tk_agree(replica,
                    tk_story_given_read(&job->config, &job->story, codec, arena, &in->given));
}

static tk_status open_reel(sampling *a, const tk_job *job, tk_arena *arena, tk_reel_files *out)
{
    tk_axis_row *tensor = &a->mesh.axis[TK_AXIS_TENSOR];
    tk_comm *holders = a->mesh.axis[TK_AXIS_PIPELINE].rank ? NULL : &tensor->host;
    tk_reel_shape shape;
    TK_TRY(tk_agree(
        &a->mesh.replica,
        tk_story_reel(&job->story, tk_codec_get_info(job->trained->meta.codec), arena, &shape)));
    return tk_reel_files_open(job->output, job->digest, &shape, &a->mesh.replica, holders, out);
}

static tk_status make_story_clip(sampling *a, const tk_job *job, tk_arena *arena)
{
    inputs in;
    const double begin = a->stepped = tk_now();
    TK_TRY(read_inputs(a, job, arena, &in));
    const tk_story_task task = {.config = &job->config,
                                .story = &job->story,
                                .refs = &in.refs,
                                .text = &in.text,
                                .given = in.gives ? &in.given : NULL,
                                .step_done = after_step,
                                .ctx = a};
    a->job = job;
    TK_TRY(open_reel(a, job, arena, &a->reel));
    tk_status st = tk_story_make(&a->session, &task, &a->reel.reel);
    if (st == TK_OK)
        st = tk_agree(&a->mesh.replica, write_clip(a, job, &in.refs, tk_now() - begin));
    tk_reel_files_close(&a->reel);
    TK_TRY(st);
    tk_log("%s.mp4, .png, .json: %.4g seconds of clip in %.1f seconds", job->output,
           (double)job->story.grid.latent_frames * job->story.tick, tk_now() - begin);
    return TK_OK;
}

// A storyboard that cannot be made does not stop the others; the end tells. Who is asked to stop
// makes no other.
static tk_status one_job(sampling *a, const tk_job *job)
{
    tk_arena arena;
    tk_arena_init(&arena, 1 << 20);
    describe_job(job);
    const tk_status st = make_story_clip(a, job, &arena);
    tk_arena_free(&arena);
    a->made += st == TK_OK;
    a->unmade += st != TK_OK;
    if (st == TK_OK || st == TK_STOPPED) return st;
    if (a->jobs.many && a->mesh.replica.rank == 0)
        tk_log_warn("%s: %s", job->file, tk_status_message());
    if (a->failed != TK_OK) return TK_OK;
    a->failed = st;
    snprintf(a->words, sizeof a->words, "%s", tk_status_message());
    return TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

// One storyboard is shared by all ranks; several are spread over as many data ranks as divide the
// world. Degrees that were asked for stand, and data takes the rest.
static void choose_layout(sampling *a, int64_t todo)
{
    tk_parallel_config *p = &a->parallel;
    const int64_t world = a->world->size;
    for (int i = 0; i < TK_AXES; i++)
        if (*tk_mesh_degree(p, (tk_axis)i)) return;
    p->data = todo < 1 ? 1 : todo < world ? todo : world;
    while (world % p->data) p->data--;
}

typedef struct turn { // a job of a group, and how long it takes, about
    int job;
    int64_t work;
} turn;

static int longest_first(const void *x, const void *y)
{
    const turn *a = x, *b = y;
    if (a->work != b->work) return a->work < b->work ? 1 : -1;
    return a->job - b->job;
}

// The storyboards of one checkpoint (and of averaged weights or not); returns how many.
static int find_turns(const sampling *a, const tk_trained *t, bool ema, turn *turns, int64_t *steps)
{
    int n = 0;
    *steps = 0;
    for (int i = 0; i < a->jobs.n; i++) {
        const tk_job *job = &a->jobs.job[i];
        if (job->finished || job->trained != t || job->config.sample.ema != ema) continue;
        const int64_t own = job->story.n_windows * job->config.sample.steps;
        const int64_t rows = job->story.grid.video_rows;
        turns[n++] = (turn){i, own * rows};
        *steps += own;
    }
    qsort(turns, (size_t)n, sizeof *turns, longest_first);
    return n;
}

static tk_status get_job(void *ctx, int64_t i, tk_arena *arena, tk_config *out, const char **name)
{
    const sampling *a = ctx;
    const tk_job *job = &a->jobs.job[a->turns[i].job];
    (void)arena;
    *out = job->config;
    *name = job->file;
    return TK_OK;
}

// The device, the memory for the first n turns, the weights.
static tk_status open_group(sampling *a, const tk_trained *t, bool ema, int n)
{
    const tk_stories all = {.ctx = a, .n = n, .get = get_job};
    char mesh[128];
    TK_TRY(tk_session_open(&a->session, &a->mesh, t, &a->parallel, ema));
    TK_TRY(tk_agree(a->world, tk_stories_take_memory(&all, &a->session, &a->parallel)));
    TK_TRY(tk_session_load(&a->session));
    tk_log("%s at step %" PRId64 "%s; %s", t->path, t->meta.step,
           a->session.averaged ? ", averaged weights" : "",
           tk_mesh_print(&a->parallel, mesh, sizeof mesh));
    return TK_OK;
}

// They are dealt out to the data ranks, the longest ones first.
static tk_status sample_group(sampling *a, const tk_trained *t, bool ema)
{
    turn *turns = a->turns;
    int64_t steps, item = 0;
    const int n = find_turns(a, t, ema, turns, &steps);
    if (n == 0) return TK_OK;
    tk_status st = open_group(a, t, ema, n);
    if (st == TK_OK)
        st = tk_deal_open(a->world, &a->mesh.replica, n, "sample", "steps", steps, &a->deal);
    if (st == TK_OK) {
        while (st == TK_OK && (st = tk_deal_next(a->deal, &item)) == TK_OK && item >= 0)
            st = one_job(a, &a->jobs.job[turns[item].job]);
        st = tk_deal_close(a->deal, st);
    }
    if (st == TK_OK) st = tk_session_describe(&a->session);
    tk_session_close(&a->session);
    return st;
}

// How a job file went, over all data ranks.
static tk_status sum_up(sampling *a, int todo)
{
    const int own = a->mesh.replica.rank == 0;
    uint64_t sums[2] = {own ? a->made : 0, own ? a->unmade : 0};
    TK_TRY(tk_comm_sum_u64(a->world, sums, 2));
    tk_log("%llu clips made, %d finished before, %llu failed", (unsigned long long)sums[0],
           a->jobs.n - todo, (unsigned long long)sums[1]);
    return TK_OK;
}

static tk_status sample_all(sampling *a)
{
    int todo = 0;
    for (int i = 0; i < a->jobs.n; i++) {
        const tk_job *job = &a->jobs.job[i];
        todo += !job->finished;
        if (!job->finished) continue;
        tk_log("%s: finished already, %s.mp4", job->file, job->output);
        if (a->world->rank == 0) tk_reel_files_remove(job->output); // a run died before it did
    }
    a->turns = tk_arena_alloc(&a->jobs.arena, (size_t)a->jobs.n * sizeof *a->turns);
    TK_TRY(tk_agree(a->world, a->turns ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the jobs")));
    a->parallel = a->jobs.top.parallel;
    choose_layout(a, todo);
    TK_TRY(tk_mesh_open(&a->mesh, a->world, &a->parallel, TK_AXIS_TENSOR));
    for (int i = 0; i < a->jobs.n_trained && todo; i++)
        for (int ema = 1; ema >= 0; ema--) TK_TRY(sample_group(a, &a->jobs.trained[i], ema != 0));
    if (a->jobs.many) TK_TRY(sum_up(a, todo));
    if (a->failed != TK_OK) tk_status_set(a->failed, a->words);
    return tk_agree(a->world, a->failed);
}

tk_status tk_sample_command(tk_comm *world, tk_invocation *in)
{
    sampling a = {.world = world};
    tk_stop_watch();
    TK_TRY(tk_jobs_open(&a.jobs, world, in->files[0], in->n_overrides, in->overrides));
    const tk_status st = sample_all(&a);
    tk_mesh_close(&a.mesh);
    tk_jobs_close(&a.jobs);
    return st;
}
