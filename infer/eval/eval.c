// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/eval.h"
#include "core/base/version.h"
#include "infer/eval/clips.h"
#include "infer/eval/footage.h"
#include "infer/eval/tasks/tasks.h"
#include "train/run/report.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double LEAST_CEILING = 0.5; // of colours seen through the codec, for figures to tell

// Every rank is shown the same.
static tk_status teach(tk_eval *e)
{
    const tk_config *c = &e->config;
    tk_log("judges are shown %lld clips of the world", (long long)c->eval.shown);
    TK_TRY(tk_learn(c, e->trained.meta.codec, e->speech, &e->arena, &e->learned));
    TK_TRY(tk_learn_sounds(c, e->trained.meta.codec, e->speech, &e->arena, &e->learned));
    if (c->world.people > 0)
        TK_TRY(tk_learn_people(c, e->trained.meta.codec, e->speech, &e->arena, &e->learned));
    if (c->world.things == 0) return TK_OK;
    return tk_learn_things(c, e->trained.meta.codec, e->speech, &e->arena, &e->learned.things);
}

static tk_status measure_columns(tk_eval *e, tk_asked_figures *tasks)
{
    const tk_stories all = tk_eval_stories(e);
    const tk_parallel_config *p = &e->config.parallel;
    TK_TRY(tk_session_open(&e->session, &e->mesh, &e->trained, p, e->config.sample.ema != 0));
    TK_TRY(tk_agree(e->world, tk_stories_take_memory(&all, &e->session, p)));
    TK_TRY(tk_session_load(&e->session));
    tk_log("%s at step %lld%s, %lld held-out clips of the world", e->trained.path,
           (long long)e->trained.meta.step, e->session.averaged ? ", averaged weights" : "",
           (long long)e->config.eval.clips);
    TK_TRY(tk_eval_fill(e, TK_EVAL_MODEL));
    TK_TRY(tk_eval_draw(e));
    if (e->config.eval.references) TK_TRY(tk_eval_fill(e, TK_EVAL_WRONG));
    if (e->config.eval.long_shots) TK_TRY(tk_eval_fill(e, TK_EVAL_LAST));
    TK_TRY(tk_eval_fill(e, TK_EVAL_CEILING));
    TK_TRY(tk_asked_fill(e, tasks));
    TK_TRY(tk_agree(e->world, tk_session_untrained(&e->session, (uint64_t)e->config.eval.seed)));
    TK_TRY(tk_eval_fill(e, TK_EVAL_FLOOR));
    return tk_session_describe(&e->session);
}

// ---- the table ---------------------------------------------------------------------------------

// How many.
static int list_columns(const tk_eval *e, tk_column_of_figures list[TK_EVAL_COLUMNS])
{
    int n = 0;
    const tk_eval_config *c = &e->config.eval;
    for (int k = 0; k < TK_EVAL_COLUMNS; k++) {
        if (k == TK_EVAL_WRONG && !c->references) continue;
        if ((k == TK_EVAL_FIRST || k == TK_EVAL_LAST) && !c->long_shots) continue;
        list[n++] = (tk_column_of_figures){tk_eval_column_name[k], &e->column[k]};
    }
    return n;
}

static void print_table(const tk_eval *e)
{
    tk_column_of_figures list[TK_EVAL_COLUMNS];
    const tk_figures *ceiling = &e->column[TK_EVAL_CEILING];
    tk_figures_print(list_columns(e, list), list);
    if (ceiling->of[TK_FIG_COLOUR] > 0 &&
        ceiling->hits[TK_FIG_COLOUR] < LEAST_CEILING * ceiling->of[TK_FIG_COLOUR])
        tk_log_warn(
            "this checkpoint's codec was not fitted on the world and cannot show its colours "
            "(ceiling): the figures say nothing of what the model learned of other clips");
}

static json_t *make_report(const tk_eval *e, const tk_asked_figures *tasks)
{
    tk_column_of_figures list[TK_EVAL_COLUMNS];
    const tk_config *c = &e->config;
    const int n = list_columns(e, list);
    json_t *report =
        json_pack("{s:s, s:i, s:s, s:I, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:I}, s:{s:I, "
                  "s:s, s:f, s:f, s:f, s:b}, "
                  "s:o}",
                  "format", "talkie-eval", "version", 3, "checkpoint", e->trained.path, "step",
                  (json_int_t)e->trained.meta.step, "revision", tk_revision(), "clips", "number",
                  (json_int_t)c->eval.clips, "first", (json_int_t)c->eval.first, "world_seed",
                  (json_int_t)c->world.seed, "seed", (json_int_t)c->eval.seed, "width",
                  (json_int_t)c->media.width, "height", (json_int_t)c->media.height, "seconds",
                  c->world.seconds, "long", (json_int_t)c->eval.long_shots, "sample", "steps",
                  (json_int_t)c->sample.steps, "solver",
                  tk_solver_name((tk_solver)c->sample.solver), "guidance", c->sample.guidance,
                  "video_shift", c->sample.video_shift, "audio_shift", c->sample.audio_shift,
                  "averaged", (int)e->session.averaged, "figures", tk_figures_report(n, list));
    json_t *asked = tk_asked_report(tasks);
    if (asked && json_object_set_new(report, "tasks", asked)) {
        json_decref(report);
        return NULL;
    }
    return report;
}

// eval.json beside the checkpoint, unless output= says otherwise.
static const char *name_report(tk_eval *e)
{
    const char *output = e->config.output, *slash = strrchr(e->trained.path, '/');
    if (output && *output) return output;
    return tk_arena_printf(&e->arena, "%.*seval.json",
                           slash ? (int)(slash + 1 - e->trained.path) : 0, e->trained.path);
}

static const tk_file_kind report_of_model = {
    .name = "report", .at = 0, .head = "{", .words = "\"talkie-eval\""};

// Rank 0, before any work.
static tk_status check_report(tk_eval *e, const tk_invocation *in)
{
    static const tk_file_kind picture = {
        .name = "contact sheet", .at = 0, .head = "\x89PNG", .words = "IHDR"};
    char *const inputs[] = {e->trained.path, in->files[0]};
    TK_TRY(tk_file_check_output(e->report, &report_of_model, 2, inputs));
    for (int k = 0; k < 2 * e->config.eval.pictures; k++) {
        const char *path = tk_eval_picture(e, k, &e->arena);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        TK_TRY(tk_file_check_output(path, &picture, 2, inputs));
    }
    return TK_OK;
}

// ---- the command -------------------------------------------------------------------------------

static bool is_checkpoint(const char *path)
{
    static const char *const suffix[] = {".h5", ".safetensors"};
    struct stat st;
    const size_t n = strlen(path);
    for (int i = 0; i < 2; i++) {
        const size_t m = strlen(suffix[i]);
        if (n > m && !strcmp(path + n - m, suffix[i])) return true;
    }
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// The file on the command line: NULL where it is the checkpoint itself.
static const char *config_file(const tk_invocation *in)
{
    return is_checkpoint(in->files[0]) ? NULL : in->files[0];
}

// Which checkpoint: named itself, or by eval.checkpoint, or where the config trains to.
static tk_status find_checkpoint(tk_eval *e, const tk_invocation *in, tk_config *c, char **where)
{
    const char *file = config_file(in);
    TK_TRY(tk_config_load(c, TK_CMD_EVAL, file, in->n_overrides, in->overrides));
    *where = tk_arena_strdup(&e->arena, !file                 ? in->files[0]
                                        : *c->eval.checkpoint ? c->eval.checkpoint
                                                              : c->train.out);
    return *where ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

static tk_status ask_checkpoint(tk_wrong *w, const tk_config *c)
{
    const bool said = *c->eval.checkpoint;
    return tk_wrong_with(w, said ? "eval.checkpoint" : "train.out",
                         tk_checkpoint_exists(said ? c->eval.checkpoint : c->train.out));
}

tk_status tk_eval_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    const tk_config *c = &in->config;
    const bool films = tk_footage_is(in->files[0]);
    const bool named = !films && config_file(in) && access(in->files[0], R_OK) == 0;
    const tk_file_kind *kind = films ? &tk_footage_report : &report_of_model;
    (void)ranks; // any number shares the clips
    if (named && !tk_wrong_doubts(w, "eval.checkpoint")) TK_TRY(ask_checkpoint(w, c));
    if (!*c->output) return TK_OK;
    return tk_wrong_with(w, "output", tk_file_check_output(c->output, kind, 1, in->files));
}

// Pictures may have another size than those the model was trained with; the codec fixes the rest.
static tk_status take_media(tk_config *c, const tk_codec_info *k, const char *path)
{
    const tk_media_config *m = &c->media;
    if (m->fps != k->fps || m->sample_rate != k->sample_rate || m->channels != k->channels)
        return TK_FAIL(TK_INPUT,
                       "media: %lld frames a second, %lld samples a second and %lld channels are "
                       "asked for, but the codec of %s makes %lld, %lld and %lld",
                       (long long)m->fps, (long long)m->sample_rate, (long long)m->channels, path,
                       (long long)k->fps, (long long)k->sample_rate, (long long)k->channels);
    if (m->width % k->patch_size || m->height % k->patch_size)
        return TK_FAIL(
            TK_INPUT,
            "media: %lld x %lld pixels are no whole patches: the codec of %s has patches "
            "of %lld",
            (long long)m->width, (long long)m->height, path, (long long)k->patch_size);
    return TK_OK;
}

static tk_status load_config(tk_eval *e, const tk_invocation *in)
{
    tk_config *c = &e->config;
    const tk_trained *t = &e->trained;
    if (t->config.model.text != TK_TEXT_BYTES)
        return TK_FAIL(TK_INPUT,
                       "%s: this model reads an encoder's text features, and the world's captions "
                       "have none: eval judges models of model.text=bytes",
                       t->path);
    TK_TRY(
        tk_config_parse(c, TK_CMD_PLAN, t->path, t->meta.config, strlen(t->meta.config), 0, NULL));
    const double trained = c->world.seconds;
    const tk_codec_info *k = tk_codec_get_info(t->meta.codec);
    c->parallel = t->config.parallel;
    c->media = t->config.media;
    c->media.fps = k->fps;
    c->media.sample_rate = k->sample_rate;
    c->media.channels = k->channels;
    TK_TRY(tk_config_load(c, TK_CMD_EVAL, config_file(in), in->n_overrides, in->overrides));
    c->model = t->config.model;
    c->codec = t->config.codec;
    c->codec.patch_frames = k->patch_frames;
    TK_TRY(take_media(c, k, t->path));
    TK_TRY(tk_sample_check_branches(c->parallel.guidance, c->sample.guidance));
    if (c->sample.window <= 0) c->sample.window = trained; // longer clips are sampled shot by shot
    return TK_OK;
}

static tk_status make_place(tk_eval *e)
{
    TK_ARENA_NEW(e->score, &e->arena, e->config.eval.clips);
    e->report = name_report(e);
    return e->report ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

static tk_status run_eval(tk_eval *e, tk_invocation *in)
{
    char *where = NULL;
    tk_comm *w = e->world;
    tk_asked_figures tasks = {0};
    TK_TRY(tk_config_agree(w, find_checkpoint(e, in, &in->config, &where), &in->config));
    TK_TRY(tk_trained_open(where, in->config.codec.file, w, &e->arena, &e->trained));
    tk_status st = tk_config_agree(w, load_config(e, in), &e->config);
    if (st == TK_OK) st = tk_agree(w, tk_asked_read(&e->config.eval, &tasks));
    if (st == TK_OK) st = tk_agree(w, make_place(e));
    if (st == TK_OK) st = tk_agree(w, w->rank ? TK_OK : check_report(e, in));
    if (st == TK_OK)
        st = tk_agree(w, tk_scene_open_speech(&e->config.world, &e->config.media, &e->speech));
    if (st == TK_OK) st = tk_mesh_open(&e->mesh, w, &e->config.parallel, TK_AXIS_DATA);
    if (st == TK_OK) st = tk_agree(w, teach(e));
    if (st == TK_OK) st = measure_columns(e, &tasks);
    if (st == TK_OK && w->rank == 0) print_table(e);
    if (st == TK_OK && w->rank == 0) tk_asked_print(&tasks);
    if (st == TK_OK)
        st = tk_agree(w, w->rank ? TK_OK : tk_report_write(e->report, make_report(e, &tasks)));
    tk_session_close(&e->session);
    tk_mesh_close(&e->mesh);
    tk_trained_close(&e->trained);
    tk_learned_close(&e->learned);
    tk_speech_close(e->speech);
    return st;
}

tk_status tk_eval_command(tk_comm *world, tk_invocation *in)
{
    tk_eval e = {.world = world};
    if (tk_footage_is(in->files[0])) return tk_footage_eval(world, in);
    tk_config_init(&e.config);
    tk_arena_init(&e.arena, 0);
    const tk_status st = run_eval(&e, in);
    tk_config_free(&e.config);
    tk_arena_free(&e.arena);
    return st;
}
