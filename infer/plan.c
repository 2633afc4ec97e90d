// SPDX-License-Identifier: Apache-2.0
#include "infer/plan.h"
#include "infer/filtering.h"
#include "infer/output/jobs.h"
#include "infer/story/window.h"
#include "parallel/forecast.h"
#include "train/plan/command.h"
#include "train/plan/layout.h"
#include "train/plan/print.h"
#include "train/run/ceiling.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// Windows of a storyboard that are gone through at most, the others are taken to be like them; and
// those that have a line of their own.
enum { GONE_THROUGH = 100, SHOWN = 20 };
static const size_t HOST_BYTES = (size_t)1
                                 << 32; // of the pool that the product's rate is measured in
static const double RATE_SECONDS = 0.2; // for which it is

typedef struct window_plan { // on a rank
    int64_t rows, given;     // of a step's stream; of them of media, given in each of its documents
    double flops, seconds;   // of all its steps
} window_plan;

typedef struct story_plan {
    const tk_job *job;
    const tk_machine *machine; // NULL: none
    tk_references refs;
    tk_story_text text;
    tk_story_given given; // where it gives
    bool gives;
    int made;  // windows in which something is made
    int every; // of so many of them one is gone through
    // Of the rank looked at:
    tk_forecast need;
    double flops, seconds; // of all windows
} story_plan;

// ---- a rank ------------------------------------------------------------------------------------

typedef struct dry_sampling {
    tk_dry_rank rank;
    tk_prices prices;
    tk_ledger ledger;
    tk_model model;
    tk_sampler sampler;
} dry_sampling;

static double latest(const tk_ledger *l)
{
    double most = 0;
    for (int q = 0; q < TK_QUEUES; q++)
        if (l->clock[q] > most) most = l->clock[q];
    return most;
}

// Of a step's stream, and of what is done once a window: all steps are the same work.
static tk_status measure_window(const story_plan *p, dry_sampling *d, int i, tk_arena *a,
                                window_plan *out)
{
    const tk_job *job = p->job;
    const tk_story_task of = {.config = &job->config,
                              .story = &job->story,
                              .refs = &p->refs,
                              .text = &p->text,
                              .given = p->gives ? &p->given : NULL};
    float *const nothing[TK_MODALITIES] = {0};
    tk_sample_task t;
    double flops[3], at[3];
    *out = (window_plan){0};
    TK_TRY(tk_window_task(&of, tk_codec_get_info(job->trained->meta.codec), i, NULL, a, &t));
    const int64_t steps = t.steps;
    for (int n = 0; n < 3; n++) {
        flops[n] = d->rank.device.flops;
        at[n] = latest(&d->ledger);
        t.steps = n + 1;
        if (n < 2) TK_TRY(tk_sampler_run(&d->sampler, &t, nothing, NULL, NULL));
    }
    const double once = flops[1] - flops[0], step = flops[2] - flops[1] - once;
    const double first = at[1] - at[0], next = at[2] - at[1] - first;
    out->flops = once + (double)(steps - 1) * step;
    out->seconds = first + (double)(steps - 1) * next;
    int64_t count[TK_MODALITIES];
    for (int k = 0; k < tk_sample_branches(t.guidance); k++) {
        t.doc.text_rows = t.text_rows[k];
        out->rows += tk_document_rows(&t.doc, count);
    }
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT) out->given += count[m] - tk_document_targets(&t.doc, m);
    return TK_OK;
}

static void print_window(const story_plan *p, int i, const window_plan *w)
{
    const tk_window *span = &p->job->story.windows[i];
    char shots[32];
    if (span->end - span->target > 1)
        snprintf(shots, sizeof shots, "%d to %d", span->target, span->end - 1);
    else
        snprintf(shots, sizeof shots, "%d", span->target);
    printf("%-12s %8" PRId64 " %8" PRId64 " %11.4g", shots, w->rows, w->given, w->flops);
    if (p->machine) printf(" %10.3f", w->seconds);
    for (int k = 0; k < span->n_memory; k++) {
        char why[TK_MEMORY_WORDS];
        printf("%s%d (%s)", k ? ", " : "  ", span->memory[k].shot,
               tk_memory_say(&span->memory[k], why));
    }
    printf("\n");
}

static bool makes(const story_plan *p, int i)
{
    const tk_story *s = &p->job->story;
    return !p->gives || tk_story_window_makes(&p->given, s, &s->windows[i]);
}

static tk_status plan_windows(story_plan *p, dry_sampling *d, bool shows)
{
    const int n = p->job->story.n_windows;
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    if (shows)
        printf("\n%-12s %8s %8s %11s%s  earlier shots that are given\n", "shots", "rows", "given",
               "FLOP", p->machine ? "    seconds" : "");
    for (int i = 0, made = 0, shown = 0; i < n && st == TK_OK; i++) {
        window_plan w;
        const int left = p->made - made, like = left < p->every ? left : p->every;
        if (!makes(p, i) || made++ % p->every) continue;
        tk_arena_reset(&a);
        st = measure_window(p, d, i, &a, &w);
        p->flops += like * w.flops;
        p->seconds += like * w.seconds;
        if (st == TK_OK && shows && shown++ < SHOWN) print_window(p, i, &w);
    }
    if (shows && p->made < n)
        printf("%d of %d windows are given as a whole: nothing of them is made\n", n - p->made, n);
    if (shows && (p->every > 1 || p->made > SHOWN))
        printf("... %d windows in all%s\n", p->made,
               p->every > 1 ? ", of which some were gone through; the others are like them" : "");
    tk_arena_free(&a);
    return st;
}

static tk_status plan_rank(story_plan *p, const tk_parallel_config *parallel, int rank, bool shows)
{
    const tk_config *c = &p->job->config;
    const tk_device like = {.ops = tk_device_find(parallel->device), .steady = true};
    dry_sampling d = {0};
    p->flops = p->seconds = 0;
    TK_TRY(tk_dry_rank_open(&d.rank, parallel, rank, &like));
    tk_prices_init(&d.prices, p->machine, &d.rank.mesh);
    d.ledger = tk_prices_ledger(&d.prices);
    d.rank.device.ledger = &d.ledger;
    const tk_model_part part = tk_sampler_part(&d.rank.mesh, &d.rank.device);
    tk_sampler_open(&d.sampler, &d.rank.mesh, &d.rank.device, &d.model);
    tk_status st = tk_device_attend(&d.rank.device, c->parallel.attention,
                                    c->parallel.attention_workspace << 20);
    if (st == TK_OK) st = tk_model_open(&d.model, &p->job->trained->config.model, &part);
    if (st == TK_OK) st = plan_windows(p, &d, shows);
    tk_dry_rank_tell(&d.rank, &p->need);
    p->need.staging = d.sampler.host.most;
    tk_sampler_close(&d.sampler);
    if (d.model.device) tk_model_close(&d.model);
    tk_dry_rank_close(&d.rank);
    return st;
}

// ---- a storyboard ------------------------------------------------------------------------------

// What is given of it, and in how many windows something is left to make.
static tk_status lay_given(story_plan *p, tk_arena *a)
{
    const tk_job *job = p->job;
    p->gives = tk_story_gives(&job->config.story);
    if (p->gives)
        TK_TRY(tk_story_given_lay(&job->config, &job->story,
                                  tk_codec_get_info(job->trained->meta.codec), a, &p->given));
    for (int i = 0; i < job->story.n_windows; i++) p->made += makes(p, i);
    p->every = 1 + (p->made - 1) / GONE_THROUGH;
    return TK_OK;
}

static void print_need(const story_plan *p, int rank)
{
    char who[256];
    tk_pool_print(p->need.held, who, sizeof who);
    printf("memory      %.1f MiB of rank %d's device (%s)",
           (double)(p->need.pool + p->need.registered) / 0x1p20, rank, who);
    printf(", and %.1f MiB of its host to fill it\n", (double)p->need.staging / 0x1p20);
}

// By the machine's figures; without one by the rate of products on this host, which the rest of a
// model does not reach.
static tk_status tell_time(const story_plan *p)
{
    const tk_parallel_config *o = &p->job->config.parallel;
    const double clip = (double)p->job->story.grid.latent_frames * p->job->story.tick;
    double rate = 0;
    tk_device d = {0};
    tk_mesh mesh;
    int all;
    if (p->machine) {
        printf(
            "time        %.4g seconds%s for %.4g seconds of clip, without decoding and encoding\n",
            p->seconds, tk_machine_assumed(p->machine, &all) ? "*" : "", clip);
        return TK_OK;
    }
    if (o->device == TK_DEVICE_CUDA) return TK_OK;
    const tk_parallel_config alone = {.tensor = 1, .pipeline = 1, .data = 1};
    tk_mesh_dry(&mesh, &alone, 0);
    const int threads = tk_mesh_threads(&mesh, o);
    tk_mesh_close(&mesh);
    TK_TRY(tk_device_open(&d, tk_device_find(o->device), threads, HOST_BYTES));
    const tk_status st = tk_gemm_rate(&d, TK_F32, 512, 512, 512, RATE_SECONDS, &rate);
    tk_device_close(&d);
    if (st == TK_OK && rate > 0)
        printf("time        at least %.4g seconds for %.4g seconds of clip: products alone, at the "
               "%.1f GFLOP/s that %d thread%s of this host reach\n",
               p->flops / rate, clip, rate / 1e9, threads, threads == 1 ? "" : "s");
    return st;
}

static tk_status tell_story(const tk_job *job, const tk_machine *m, tk_arena *a)
{
    const tk_story *s = &job->story;
    tk_parallel_config parallel = job->config.parallel;
    story_plan p = {.job = job, .machine = m};
    char mesh[128], remix[TK_REMIX_WORDS];
    int ranks;
    parallel.data = 1; // a storyboard is one replica's
    TK_TRY(tk_layout_fill(&parallel, &ranks));
    TK_TRY(tk_references_measure(&job->config, s, tk_codec_get_info(job->trained->meta.codec), a,
                                 &p.refs));
    TK_TRY(tk_story_text_look(&job->config, job->trained, a, &p.text));
    TK_TRY(lay_given(&p, a));
    printf("storyboard  %s: %d shots in %d windows of at most %.4g seconds\n", job->file,
           s->n_shots, s->n_windows, s->window);
    printf("clip        %" PRId64 " frames of %" PRId64 "x%" PRId64 ", %" PRId64
           " a second; %s%s\n",
           job->cut.frames, s->grid.width, s->grid.height, s->fps, job->output, ".mp4");
    if (job->stored.path)
        printf("latents     lie in %s already: nothing is sampled, unlike below\n",
               job->stored.path);
    for (int k = 0; k < job->remix.n; k++)
        printf("%-12s%s\n", k ? "" : "remix",
               tk_remix_say(&job->remix, &job->config.story, k, remix));
    printf("layout      %s: %d rank%s for it\n", tk_mesh_print(&parallel, mesh, sizeof mesh), ranks,
           ranks == 1 ? "" : "s");
    for (int k = ranks > 1 ? 1 : 0; k >= 0; k--) { // shares fall with the rank
        TK_TRY(plan_rank(&p, &parallel, k ? ranks - 1 : 0, k == 0));
        print_need(&p, k ? ranks - 1 : 0);
    }
    printf("work        %.4g FLOP of rank 0, %" PRId64 " steps a window\n", p.flops,
           tk_story_steps(&job->config));
    return tell_time(&p);
}

static tk_status plan_stories(const tk_jobs *jobs, const char *file)
{
    tk_machine machine = {0};
    tk_arena a;
    tk_status st = TK_OK;
    if (*file) TK_TRY(tk_machine_load(&machine, file));
    tk_arena_init(&a, 0);
    for (int i = 0; i < jobs->n && st == TK_OK; i++) {
        if (i) printf("\n");
        tk_arena_reset(&a);
        st = tk_job_find_stored(&jobs->job[i], &a);
        if (st != TK_OK) break;
        st = tk_status_in_file(tell_story(&jobs->job[i], *file ? &machine : NULL, &a),
                               jobs->job[i].file);
    }
    if (st == TK_OK && *file) tk_machine_print_assumed(&machine, file);
    tk_arena_free(&a);
    if (*file) tk_machine_free(&machine);
    return st;
}

// ---- the command -------------------------------------------------------------------------------

// Whether the file asks for clips. What is wrong with it is told where it is read as what it is.
static tk_status look_for_clips(tk_invocation *in, bool *asks)
{
    tk_config peek;
    tk_config_init(&peek);
    tk_wrong w = tk_wrong_of(&peek, "", &in->arena);
    const tk_status st = tk_config_gather(&w, &peek, 0, in->files[0], 0, NULL);
    const tk_storyboard *b = &peek.story;
    const bool meant = !w.partial && tk_wrong_doubts(&w, "shots");
    *asks = b->n_shots || peek.jobs.n_storyboards || *b->remix.clip || meant;
    tk_config_free(&peek);
    return st;
}

// Overrides of plan.* are no options of sampling: they go to the config, the others stay.
static tk_status take_own_overrides(tk_wrong *w, tk_invocation *in)
{
    char **own;
    int n = 0, others = 0;
    TK_ARENA_NEW(own, &in->arena, in->n_overrides + 1);
    for (int i = 0; i < in->n_overrides; i++)
        if (!strncmp(in->overrides[i], "plan.", 5))
            own[n++] = in->overrides[i];
        else
            in->overrides[others++] = in->overrides[i];
    in->n_overrides = others;
    return tk_config_gather(w, &in->config, TK_CMD_PLAN, NULL, n, own);
}

// The others ask about a training.
static void refuse_other_questions(tk_wrong *w, const tk_config *c)
{
    static const char *const other[] = {"plan.frames", "plan.latents", "plan.caption",
                                        "plan.search"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        if (*tk_config_place(c, other[i]))
            tk_wrong_add(w, other[i],
                         "asks about a training; of storyboards give plan.machine alone");
}

static tk_status ask_own_machine(tk_wrong *w, const char *file)
{
    tk_machine machine = {0};
    if (!*file) return TK_OK;
    const tk_status st = tk_machine_load(&machine, file);
    if (st == TK_OK) tk_machine_free(&machine);
    return tk_wrong_with(w, "plan.machine", st);
}

// Collective. With what is wrong with the options of plan.* what is wrong with the storyboards.
static tk_status read_stories(tk_comm *world, tk_invocation *in, tk_jobs *jobs)
{
    tk_wrong w = tk_wrong_of(&in->config, "", &in->arena);
    TK_TRY(tk_agree(world, take_own_overrides(&w, in)));
    if (world->rank == 0) refuse_other_questions(&w, &in->config);
    TK_TRY(tk_agree(world, world->rank ? TK_OK : ask_own_machine(&w, in->config.plan.machine)));
    tk_status st = tk_jobs_read(jobs, world, in->files[0], in->n_overrides, in->overrides);
    const bool read = st == TK_OK;
    st = tk_wrong_with(&w, "", st);
    st = tk_agree(world, st == TK_OK ? tk_wrong_end(&w) : st);
    if (st != TK_OK && read) tk_jobs_close(jobs);
    return st;
}

static tk_status plan_clips(tk_comm *world, tk_invocation *in)
{
    tk_jobs jobs;
    TK_TRY(read_stories(world, in, &jobs));
    const char *own = in->config.plan.machine, *said = jobs.job[0].config.plan.machine;
    tk_status st = tk_agree(world, world->rank ? TK_OK : plan_stories(&jobs, *own ? own : said));
    if (st == TK_OK) st = tk_filter_jobs(&jobs, world, NULL, true);
    tk_jobs_close(&jobs);
    return st;
}

tk_status tk_plan_any_command(tk_comm *world, tk_invocation *in)
{
    bool clips = false;
    TK_TRY(tk_agree(world, world->rank ? TK_OK : look_for_clips(in, &clips)));
    TK_TRY(tk_comm_broadcast(world, &clips, sizeof clips, 0));
    if (clips) return plan_clips(world, in);
    in->config_file = in->files[0];
    return tk_plan_command(world, in);
}
