// SPDX-License-Identifier: Apache-2.0
#include "train/run/run.h"
#include "core/base/log.h"
#include "core/base/version.h"
#include "parallel/devices.h"
#include "parallel/mpi/start.h"
#include "parallel/mpi/stop.h"
#include "train/run/asked.h"
#include "train/run/ceiling.h"
#include "train/run/check_file.h"
#include "train/run/choices.h"
#include "train/run/load.h"
#include "train/run/metrics.h"
#include "train/run/rundir.h"
#include "train/step/forecast.h"
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef struct run {
    tk_comm *world;
    tk_config *config;
    tk_train_parts parts;
    tk_forecast forecast; // of this rank's memory; zero where it is taken as it is touched
    tk_trainer trainer;
    tk_metrics metrics;     // rank 0
    tk_check check;         // with train.check_every
    tk_check_file held_out; // rank 0
    tk_owner owner;         // of rank 0; the others know its place
    tk_progress progress;
    tk_arena arena;
    char *yaml;           // resolved config, stored with every checkpoint
    int64_t first;        // first step of this run
    int64_t saved;        // steps done at the newest checkpoint of this run; -1: none
    bool owes_check;      // of the last step: a wish to stop ended it
    double saving;        // seconds of the checkpoint before this step
    int64_t clips, unfit; // of the steps so far; clips that could not do their task
    tk_status pending;    // of rank 0's files, told to all in the next step
    char pending_words[512];
} run;

// ---- opening -----------------------------------------------------------------------------------

tk_status tk_train_parts_open(tk_train_parts *p, tk_comm *world, tk_config *c)
{
    TK_TRY(tk_mesh_open(&p->mesh, world, &c->parallel, TK_AXIS_DATA));
    TK_TRY(tk_agree(world, tk_loader_open(&c->data, c->codec.file, world, &p->loader)));
    TK_TRY(tk_agree(world, tk_trainer_match(c, p->loader, p->mesh.axis[TK_AXIS_DATA].degree)));
    return tk_devices_open(&p->mesh, &c->parallel, 0, &p->device);
}

void tk_train_parts_close(tk_train_parts *p)
{
    tk_mesh_detach(&p->mesh);
    if (p->device.ops) tk_device_close(&p->device);
    if (p->loader) tk_loader_close(p->loader);
    tk_mesh_close(&p->mesh);
    *p = (tk_train_parts){0};
}

// ---- weights to start from ---------------------------------------------------------------------

static tk_status still_owner(const void *owner)
{
    return tk_owner_check(owner);
}

// Resumes, or takes weights from train.from, or makes fresh ones. Sets r->first.
static tk_status start_weights(run *r)
{
    const tk_train_config *c = &r->config->train;
    int64_t step = 0;
    char *path;
    bool resume;
    TK_TRY(tk_rundir_open(r->world, c->out, c->resume != 0, &r->owner, &resume));
    tk_parallel_watch(still_owner, &r->owner);
    if (resume && !c->resume)
        tk_log("train.resume=0: this job has begun %s anew before; it goes on", c->out);
    if (resume) {
        TK_TRY(tk_run_load(&r->trainer, c->out, true, &r->arena, &path, &step));
        tk_log("resuming %s at step %lld of %lld", path, (long long)step, (long long)c->steps);
        r->first = r->saved = step;
        return TK_OK;
    }
    r->saved = -1;
    if (!*c->from) return tk_agree(r->world, tk_trainer_init(&r->trainer));
    TK_TRY(tk_run_load(&r->trainer, c->from, false, &r->arena, &path, &step));
    tk_log("starting from the weights of %s", path);
    return TK_OK;
}

// A disk without room for one checkpoint is found out before the first step, not after many.
static tk_status check_disk_room(const run *r)
{
    const char *out = r->config->train.out;
    tk_flat flat[TK_OPTIMIZER_FLATS];
    struct statvfs disk;
    const int flats = tk_optimizer_flats(&r->trainer.optimizer, flat);
    const double wanted =
        (double)tk_param_count(&r->trainer.model.table) * flats * (double)sizeof(float);
    if (statvfs(out, &disk)) return TK_OK; // not every file system tells
    const double bytes = (double)disk.f_bavail * (double)disk.f_frsize;
    if (bytes >= wanted) return TK_OK;
    return TK_FAIL(
        TK_IO,
        "train.out: a checkpoint takes %.4g MB, and the disk of %s has %.4g MB free; make "
        "room, or give another train.out",
        wanted / 1e6, out, bytes / 1e6);
}

static tk_status open_run_files(run *r)
{
    const tk_owner *o = &r->owner;
    if (r->world->rank) return TK_OK;
    TK_TRY(check_disk_room(r));
    TK_TRY(tk_codec_keep(&r->config->codec, tk_loader_codec(r->parts.loader)));
    if (!r->config->train.resume && r->saved < 0) TK_TRY(tk_rundir_begin_anew(o));
    TK_TRY(tk_rundir_text(o, "config.yaml", r->yaml));
    TK_TRY(tk_rundir_text(o, "revision.txt", tk_revision()));
    if (r->config->train.check_every) TK_TRY(tk_check_file_open(&r->held_out, o, r->first));
    return tk_metrics_open(&r->metrics, o, r->first);
}

static tk_status microbatch_rows(run *r, int64_t *rows)
{
    const tk_train_config *c = &r->config->train;
    tk_step_documents d;
    TK_TRY(tk_step_documents_make(r->parts.loader, r->config, r->first, &r->arena, &d));
    *rows = d.rows * (c->microbatch < d.n ? c->microbatch : d.n) / d.n;
    return TK_OK;
}

// Collective. What GEMMs of the model's main shape reach on all ranks together: what rates are
// compared with.
static tk_status measure_gemm(run *r, double *rate)
{
    const tk_config *c = r->config;
    tk_comm *w = r->world;
    int64_t rows = 0;
    TK_TRY(tk_agree(w, microbatch_rows(r, &rows)));
    TK_TRY(tk_comm_barrier(w));
    TK_TRY(tk_agree(
        w,
        tk_gemm_rate(&r->parts.device, TK_F32, rows, c->model.hidden,
                     2 * tk_split_count(c->model.ffn, r->parts.mesh.axis[TK_AXIS_TENSOR].degree, 0),
                     0.05, rate)));
    return tk_comm_sum_f64(w, rate, 1);
}

// What the clips are like goes into the stored config, so that a checkpoint tells what its model
// was trained on: the picture of the longest clips, and their length as the window of sampling.
static void describe_clips(tk_config *c, const tk_loader *l)
{
    const tk_codec_info *codec = tk_codec_get_info(tk_loader_codec(l));
    const tk_bucket *longest = NULL;
    for (int64_t i = 0; i < tk_loader_count(l); i++) {
        const tk_bucket *b;
        tk_loader_info(l, i, &b);
        if (!longest || b->frames > longest->frames) longest = b;
    }
    if (!longest) return;
    c->media = (tk_media_config){.width = longest->width,
                                 .height = longest->height,
                                 .fps = codec->fps,
                                 .sample_rate = codec->sample_rate,
                                 .channels = longest->audio_channels};
    if (c->sample.window == 0) c->sample.window = (double)longest->frames / (double)codec->fps;
}

static tk_status forecast_memory(run *r)
{
    if (!tk_device_maps(&r->parts.device)) return TK_OK;
    return tk_forecast_training(r->config, r->world->rank, r->parts.loader, &r->parts.device,
                                &r->forecast);
}

static tk_status take_pool(run *r)
{
    if (!tk_device_maps(&r->parts.device)) return TK_OK;
    return tk_forecast_take_pool(&r->forecast, r->config, r->world->rank, r->parts.loader,
                                 &r->parts.device);
}

// Collective. A device whose memory is mapped as it is needed gets all of it now, or the run ends
// here. Of what is registered all ranks have as much.
static tk_status take_device_memory(run *r)
{
    const tk_parallel_config *p = &r->config->parallel;
    TK_TRY(tk_agree(r->world, forecast_memory(r)));
    if (p->register_buffers) TK_TRY(tk_comm_most(r->world, &r->forecast.registered));
    TK_TRY(tk_agree(r->world, take_pool(r)));
    if (p->register_buffers) TK_TRY(tk_mesh_register(&r->parts.mesh, r->forecast.registered));
    return TK_OK;
}

static tk_status open_training(run *r)
{
    tk_comm *w = r->world;
    tk_arena_init(&r->arena, 0);
    TK_TRY(tk_run_tell(w, r->config, tk_train_parts_open(&r->parts, w, r->config)));
    describe_clips(r->config, r->parts.loader);
    r->yaml = tk_config_dump(r->config, TK_CMD_TRAIN | TK_CMD_EVAL, &r->arena);
    TK_TRY(tk_agree(w, r->yaml ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the config")));
    TK_TRY(take_device_memory(r));
    TK_TRY(tk_agree(w, tk_trainer_open(&r->trainer, r->config, &r->parts.mesh, &r->parts.device,
                                       r->parts.loader)));
    TK_TRY(tk_agree(w, tk_forecast_take_staging(&r->forecast, &r->trainer)));
    TK_TRY(start_weights(r));
    TK_TRY(tk_agree(w, open_run_files(r)));
    if (r->config->train.check_every) TK_TRY(tk_agree(w, tk_check_open(&r->check, &r->trainer)));
    if (r->first >= r->config->train.steps) return TK_OK;
    TK_TRY(tk_parallel_unless_alone(w, tk_run_choices(w, &r->trainer, &r->owner, r->first)));
    double rate = 0;
    TK_TRY(measure_gemm(r, &rate));
    r->metrics.gemm = rate;
    return tk_agree(w, tk_trainer_start(&r->trainer, r->first));
}

// All stop looking at the owner before rank 0 gives the directory free. A rank that failed alone
// cannot meet the others: it is about to take them down.
static void close_training(run *r, tk_status st)
{
    tk_parallel_watch(NULL, NULL);
    if (st == TK_OK || tk_status_shared()) (void)tk_comm_barrier(r->world);
    tk_metrics_close(&r->metrics);
    tk_check_file_close(&r->held_out);
    tk_check_close(&r->check);
    tk_owner_release(&r->owner);
    tk_trainer_close(&r->trainer);
    tk_train_parts_close(&r->parts);
    tk_arena_free(&r->arena);
}

// What is said of a failure is what it was, not what then would not close.
static void end_training(run *r, tk_status st)
{
    char words[8192];
    const bool shared = tk_status_shared();
    snprintf(words, sizeof words, "%s", tk_status_message());
    close_training(r, st);
    if (st == TK_OK) return;
    tk_status_set(st, words);
    tk_status_set_shared(shared);
}

// ---- the loop ----------------------------------------------------------------------------------

static void keep_pending(run *r, tk_status st)
{
    if (st == TK_OK || r->pending != TK_OK) return;
    r->pending = st;
    snprintf(r->pending_words, sizeof r->pending_words, "%s", tk_status_message());
}

// Collective. A save that fails because the directory is another run's now says that.
static tk_status check_run_owner(run *r, tk_status saved)
{
    char words[512];
    if (saved != TK_OK && r->world->size > 1 && !tk_status_shared()) return saved;
    snprintf(words, sizeof words, "%s", tk_status_message());
    TK_TRY(tk_agree(r->world, r->world->rank ? TK_OK : tk_owner_check(&r->owner)));
    if (saved == TK_OK) return TK_OK;
    tk_status_set(saved, words);
    tk_status_set_shared(true);
    return saved;
}

static tk_status save_run(run *r, int64_t done)
{
    const tk_train_config *c = &r->config->train;
    tk_flat flat[TK_OPTIMIZER_FLATS];
    const int n = tk_optimizer_flats(&r->trainer.optimizer, flat);
    tk_checkpoint_meta meta = {.step = done,
                               .config = r->yaml,
                               .codec = (tk_codec *)tk_loader_codec(r->parts.loader),
                               .refer = r->config->codec.store == TK_CODEC_REFER,
                               .ema_updates = (double)done,
                               .clips = tk_loader_digest(r->parts.loader),
                               .staging = r->owner.staging};
    tk_arena a;
    const double begin = tk_now();
    if (r->config->model.text == TK_TEXT_FEATURES)
        TK_TRY(tk_loader_text_form(r->parts.loader, &meta.text));
    if (r->world->rank == 0) keep_pending(r, tk_metrics_sync(&r->metrics));
    tk_arena_init(&a, 0);
    const char *path = tk_arena_printf(&a, "%s/step-%08lld.h5", c->out, (long long)done);
    tk_status st = path ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
    st = check_run_owner(r, tk_agree(r->world, st));
    if (st == TK_OK)
        st = check_run_owner(
            r, tk_checkpoint_save(path, &r->parts.mesh, &r->trainer.model, n, flat, &meta));
    tk_arena_free(&a);
    TK_TRY(st);
    r->saved = done;
    if (r->world->rank == 0) {
        keep_pending(r, tk_checkpoint_prune(c->out, done, c->keep));
        keep_pending(r, tk_metrics_plot(&r->metrics));
    }
    r->saving = tk_now() - begin;
    return TK_OK;
}

// A step's result. Its line is written before the checkpoint of its step: a run that dies between
// the two goes on with every step in the file.
static void report_step(void *ctx, const tk_step_result *now)
{
    run *r = ctx;
    const tk_train_config *c = &r->config->train;
    const int64_t done = now->step + 1;
    const bool finite = tk_step_finite(now);
    char note[96];
    if (r->world->rank) return;
    r->clips += c->batch;
    r->unfit += now->tasks.unfit;
    if (done % c->log_every == 0 || done == c->steps || !finite)
        keep_pending(r, tk_metrics_write(&r->metrics, now, r->saving));
    r->saving = 0;
    if (!finite) return; // the run ends with words
    snprintf(note, sizeof note, "loss %.4f (video %.4f, audio %.4f)", now->loss,
             now->loss_of[TK_VIDEO], now->loss_of[TK_AUDIO]);
    tk_progress_at(&r->progress, done - r->first, note);
}

// What this rank has to tell the others in the next step.
static tk_status pending(run *r)
{
    if (r->owner.fenced) keep_pending(r, tk_owner_check(&r->owner));
    if (r->pending != TK_OK) tk_status_set(r->pending, r->pending_words);
    return r->pending;
}

// A step that is judged bad is known to all; its line may be missing for a reason of its own.
static tk_status judged(const run *r, tk_status st)
{
    if (st == TK_NUMERIC && r->pending != TK_OK) tk_log_warn("%s", r->pending_words);
    return tk_parallel_unless_alone(r->world, st);
}

static bool is_check_due(const tk_train_config *c, int64_t done)
{
    return c->check_every && (done % c->check_every == 0 || done >= c->steps);
}

// Collective. A rank that fails alone takes the others down. A wish to stop ends it: what it takes
// may be more than a run is given to end in order, and the run that goes on makes it.
static tk_status check_held_out_clips(run *r, int64_t done)
{
    bool whole = false;
    if (!r->trainer.stop)
        TK_TRY(tk_parallel_unless_alone(r->world, tk_check_run(&r->check, tk_stop_asked, &whole)));
    r->owes_check = !whole;
    r->trainer.stop |= !whole;
    if (whole && r->world->rank == 0)
        keep_pending(r, tk_check_file_add(&r->held_out, done, &r->check.now));
    return TK_OK;
}

static tk_status train_one_step(run *r, int64_t step)
{
    const tk_train_config *c = &r->config->train;
    const int64_t done = step + 1;
    tk_trainer *t = &r->trainer;
    TK_TRY(judged(r, tk_trainer_step(t, step, tk_stop_asked(), pending(r))));
    const bool checks = is_check_due(c, done);
    const bool saves = done % c->checkpoint_every == 0 || done >= c->steps || t->stop;
    if (!saves && !checks) return TK_OK;
    TK_TRY(judged(r, tk_trainer_drain(t, tk_stop_asked(), pending(r))));
    if (saves) TK_TRY(save_run(r, done));
    if (checks) TK_TRY(check_held_out_clips(r, done));
    return t->stop && r->saved < done ? save_run(r, done) : TK_OK;
}

// Collective. The check of the step that this run goes on from, where the run before stopped
// without it.
static tk_status make_check_owed(run *r)
{
    uint64_t owed = r->world->rank == 0 && r->first > 0 &&
                    is_check_due(&r->config->train, r->first) &&
                    tk_check_file_step(&r->held_out) < r->first;
    TK_TRY(tk_comm_sum_u64(r->world, &owed, 1));
    return owed ? check_held_out_clips(r, r->first) : TK_OK;
}

static void describe_graphs(const tk_graphs *g)
{
    if (!g->steps) return;
    tk_log("graphs: %lld of %lld steps replayed (%.0f%%), %lld recorded for shapes that returned",
           (long long)g->replayed, (long long)g->steps,
           100 * (double)g->replayed / (double)g->steps, (long long)g->recorded);
}

static void describe_tasks(const run *r)
{
    if (!r->unfit) return;
    tk_log("tasks: %lld of %lld clips could not do the task chosen for them (one shot, one latent "
           "frame, no sound or no references) and were made from their captions",
           (long long)r->unfit, (long long)r->clips);
}

static tk_status loop(run *r)
{
    const tk_train_config *c = &r->config->train;
    tk_status st = make_check_owed(r);
    if (st != TK_OK) return st;
    if (r->first >= c->steps && !r->owes_check) {
        tk_log("%s is at step %lld of %lld already; nothing to do", c->out, (long long)r->first,
               (long long)c->steps);
        return TK_OK;
    }
    tk_progress_begin(&r->progress, "train", "steps", c->steps - r->first);
    int64_t step = r->first;
    tk_trainer_listen(&r->trainer, report_step, r);
    for (; step < c->steps && st == TK_OK && !r->trainer.stop; step++) st = train_one_step(r, step);
    tk_progress_end(&r->progress);
    describe_graphs(&r->trainer.graphs);
    describe_tasks(r);
    TK_TRY(st);
    if (r->pending != TK_OK) tk_status_set(r->pending, r->pending_words);
    TK_TRY(tk_agree(r->world, r->pending));
    if (step >= c->steps && !r->owes_check) return TK_OK;
    st = TK_FAIL(TK_STOPPED,
                 "stopped on request after step %lld of %lld; %s holds a checkpoint: run the same "
                 "command%s to go on",
                 (long long)step, (long long)c->steps, c->out,
                 c->resume ? "" : " with train.resume=1");
    tk_status_set_shared(true);
    return st;
}

static void describe_run(const run *r)
{
    const tk_parallel_config *p = &r->config->parallel;
    char mesh[128];
    tk_log("%.2f million parameters, %lld clips; %s; %s, %d thread%s a rank; revision %s",
           (double)tk_param_count(&r->trainer.model.table) / 1e6,
           (long long)tk_loader_count(r->parts.loader), tk_mesh_print(p, mesh, sizeof mesh),
           r->parts.device.ops->name, r->parts.device.threads,
           r->parts.device.threads == 1 ? "" : "s", tk_revision());
    if (tk_mesh_holds_up(&r->parts.mesh))
        tk_log("sums of gradients and gathers of weights hold up the work: this MPI gives no "
               "MPI_THREAD_MULTIPLE, so that no thread beside it can make them");
}

tk_status tk_train_run(tk_comm *world, tk_config *c)
{
    run r = {.world = world, .config = c};
    tk_status st = tk_stop_watch();
    if (st == TK_OK) st = open_training(&r);
    if (st == TK_OK) {
        describe_run(&r);
        st = loop(&r);
    }
    if (st == TK_OK) tk_log("weights in %s, curve in %s/loss.png", c->train.out, c->train.out);
    end_training(&r, st);
    return st;
}

tk_status tk_train_command(tk_comm *world, tk_invocation *in)
{
    return tk_train_run(world, &in->config);
}
