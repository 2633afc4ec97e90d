// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/eval.h"
#include "core/base/version.h"
#include "data/draw/sheet.h"
#include "data/film/film.h"
#include "infer/eval/cited.h"
#include "infer/eval/footage.h"
#include "infer/eval/measure/measure.h"
#include "infer/story/forecast.h"
#include "infer/story/story.h"
#include "parallel/mpi/deal.h"
#include "parallel/mpi/start.h"
#include "train/run/report.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// Made by the model, and made with references to other people (eval.references); the scenes
// themselves, and those through the codec; by an untrained model.
enum { MODEL, WRONG, TRUTH, CEILING, FLOOR, COLUMNS, EXTREMES = 16 };
static const char *const column_name[COLUMNS] = {"model", "wrong", "truth", "ceiling", "floor"};
static const double LEAST_CEILING = 0.5; // of colours seen through the codec, for figures to tell

typedef struct eval {
    tk_comm *world;
    tk_config config; // the checkpoint's, under the config file's, under the overrides
    tk_trained trained;
    const char *report; // where the figures go
    tk_mesh mesh;
    tk_session session;
    tk_deal *deal;
    tk_speech *speech; // NULL: nobody speaks
    tk_learned learned;
    tk_figures column[COLUMNS];
    double *score; // (clips) of the model's, what part of what was asked for was found
    tk_arena arena;
} eval;

// ---- one clip ----------------------------------------------------------------------------------

static tk_status scene_of(const eval *e, int64_t i, tk_scene *s)
{
    const tk_config *c = &e->config;
    return tk_scene_make(&c->world, &c->media, c->codec.patch_frames, e->speech,
                         (uint64_t)c->world.seed, c->eval.first + i, s);
}

// The scene's shot list as a storyboard.
static tk_status describe_scene(const eval *e, const tk_scene *s, int64_t i, tk_arena *a,
                                tk_config *story)
{
    const tk_clip_shot *cited = NULL;
    if (e->config.eval.references) TK_TRY(tk_cited_captions(s, e->speech != NULL, a, &cited));
    *story = e->config;
    TK_ARENA_NEW(story->story.shots, a, s->n_shots);
    story->story.n_shots = s->n_shots;
    story->story.n_references = 0;
    story->story.style = "";
    story->story.seed = e->config.eval.seed + i;
    for (int k = 0; k < s->n_shots; k++)
        story->story.shots[k] =
            (tk_shot_config){.seconds = s->shot[k].seconds,
                             .prompt = cited ? cited[k].caption : (char *)s->shot[k].caption};
    return TK_OK;
}

static tk_status plan_scene(const eval *e, int64_t i, tk_arena *a, tk_scene *s, tk_config *story,
                            tk_story *plan)
{
    TK_TRY(scene_of(e, i, s));
    TK_TRY(describe_scene(e, s, i, a, story));
    return tk_story_plan(story, e->trained.meta.codec, a, plan);
}

static tk_status get_scene(void *ctx, int64_t i, tk_arena *a, tk_config *story, const char **name)
{
    const eval *e = ctx;
    tk_scene *s;
    TK_ARENA_NEW(s, a, 1);
    TK_TRY(scene_of(e, i, s));
    *name = tk_arena_printf(a, "clip %lld", (long long)i);
    if (!*name) return TK_FAIL(TK_MEMORY, "out of memory for a name");
    return describe_scene(e, s, i, a, story);
}

// What the model is given of the scene's people.
static tk_status refer_to(const eval *e, const tk_scene *s, bool wrong, tk_arena *a,
                          tk_references *out)
{
    *out = (tk_references){0};
    if (!e->config.eval.references) return TK_OK;
    return tk_cited_references(s, &e->config.media, e->trained.meta.codec, e->speech, wrong, a,
                               out);
}

static tk_status get_references(void *ctx, int64_t i, tk_arena *a, tk_references *out)
{
    const eval *e = ctx;
    tk_scene *s;
    TK_ARENA_NEW(s, a, 1);
    TK_TRY(scene_of(e, i, s));
    return refer_to(e, s, false, a, out);
}

static tk_status measure_media(eval *e, const tk_scene *scene, const tk_media *clip, int column)
{
    tk_figures f = {0};
    TK_TRY(tk_measure_clip(&e->learned, scene, clip, &f));
    if (e->config.world.held_out == TK_HELD_ONLY) tk_keep_held_out(scene, &f);
    tk_figures_add(&e->column[column], &f);
    if (column == MODEL) e->score[scene->index - e->config.eval.first] = tk_figures_score(&f);
    return TK_OK;
}

static tk_status measure_latents(eval *e, const tk_scene *scene, const tk_story *plan,
                                 const tk_latents *x, int column)
{
    tk_media clip;
    TK_TRY(tk_story_decode(plan, e->trained.meta.codec, x, &clip));
    const tk_status st = measure_media(e, scene, &clip, column);
    tk_media_free(&clip);
    return st;
}

// PNG of a clip beside the report, its captions under its shots.
static tk_status draw_latents(const eval *e, const char *path, const tk_story *plan,
                              const tk_latents *x)
{
    const tk_codec_info *k = tk_codec_get_info(e->trained.meta.codec);
    tk_sheet_shot shot[TK_SCENE_SHOTS];
    tk_media clip;
    tk_file f;
    for (int i = 0; i < plan->n_shots; i++)
        shot[i] =
            (tk_sheet_shot){tk_grid_frame(k, plan->shot[i].first_latent), plan->shot[i].caption};
    TK_TRY(tk_story_decode(plan, e->trained.meta.codec, x, &clip));
    tk_media_whole whole = tk_media_whole_of(&clip);
    tk_status st = tk_file_begin(&f, path);
    if (st == TK_OK) st = tk_draw_sheet(&f, &whole.source, plan->n_shots, shot);
    if (st == TK_OK)
        st = tk_file_commit(&f);
    else
        tk_file_abort(&f);
    tk_media_free(&clip);
    return st;
}

// Collective over the replica: the model's clip of scene i is measured, or drawn to `path`.
static tk_status take_sampled(eval *e, int column, int64_t i, const char *path, tk_arena *a)
{
    tk_references refs;
    tk_scene scene;
    tk_config story;
    tk_story plan;
    tk_latents x;
    tk_comm *replica = &e->mesh.replica;
    TK_TRY(tk_agree(replica, plan_scene(e, i, a, &scene, &story, &plan)));
    TK_TRY(tk_agree(replica, refer_to(e, &scene, column == WRONG, a, &refs)));
    const tk_story_task task = {
        .config = &story, .story = &plan, .refs = &refs, .step_done = tk_deal_step, .ctx = e->deal};
    TK_TRY(tk_story_sample(&e->session, &task, a, &x));
    tk_status st = TK_OK;
    if (replica->rank == 0)
        st =
            path ? draw_latents(e, path, &plan, &x) : measure_latents(e, &scene, &plan, &x, column);
    return tk_agree(replica, st);
}

// The scene itself is measured, and made into latents.
static tk_status film_scene(eval *e, const tk_scene *s, const tk_story *plan, const tk_latents *x)
{
    const tk_codec *codec = e->trained.meta.codec;
    const tk_media_config *m = &e->config.media;
    tk_media clip = tk_grid_media(tk_codec_get_info(codec), &plan->grid);
    TK_TRY(tk_media_alloc(&clip));
    tk_status st = tk_film_render(s, m, e->speech, clip.frames, clip.rgb);
    if (st == TK_OK) st = tk_film_sound(s, m, e->speech, clip.samples, clip.pcm);
    if (st == TK_OK) st = measure_media(e, s, &clip, TRUTH);
    if (st == TK_OK) st = tk_codec_encode_video(codec, &clip, x->rows[TK_VIDEO]);
    if (st == TK_OK) st = tk_codec_encode_audio(codec, &clip, x->rows[TK_AUDIO]);
    tk_media_free(&clip);
    return st;
}

// Before the codec and after it.
static tk_status measure_truth(eval *e, int64_t i, tk_arena *a)
{
    const tk_codec_info *k = tk_codec_get_info(e->trained.meta.codec);
    tk_scene scene;
    tk_config story;
    tk_story plan;
    tk_latents x = {0};
    TK_TRY(plan_scene(e, i, a, &scene, &story, &plan));
    if (e->mesh.replica.rank) return TK_OK;
    TK_ARENA_NEW(x.rows[TK_VIDEO], a, plan.grid.video_rows * k->video_channels);
    TK_ARENA_NEW(x.rows[TK_AUDIO], a, plan.grid.audio_rows * plan.channels * k->audio_channels);
    TK_TRY(film_scene(e, &scene, &plan, &x));
    return measure_latents(e, &scene, &plan, &x, CEILING);
}

// ---- all clips ---------------------------------------------------------------------------------

static tk_status measure_one(eval *e, int column, int64_t i)
{
    tk_arena a;
    tk_arena_init(&a, 1 << 20);
    const tk_status st =
        column == CEILING ? measure_truth(e, i, &a) : take_sampled(e, column, i, NULL, &a);
    tk_arena_free(&a);
    if (column == CEILING) tk_deal_step(e->deal);
    return st;
}

// The other replicas may be at work for long, and what they would make is of no use any more: one
// that fails says so and takes them down.
static tk_status fail_for_all(const eval *e, tk_status st)
{
    const tk_comm *replica = &e->mesh.replica;
    if (st == TK_OK || replica->size == e->world->size || replica->rank) return st;
    tk_status_set_shared(false); // it is within the replica only
    return tk_parallel_unless_alone(e->world, st);
}

// Hits are counted in whole numbers, so that sums do not depend on who measured what.
static tk_status sum_figures(eval *e, int column)
{
    tk_figures *f = &e->column[column];
    TK_TRY(tk_comm_sum_f64(e->world, f->hits, TK_FIGURES));
    TK_TRY(tk_comm_sum_f64(e->world, f->of, TK_FIGURES));
    return tk_comm_sum_f64(e->world, f->offset[0], TK_OFFSETS * TK_OFFSET_BINS);
}

static tk_status fill_column(eval *e, int column)
{
    const int64_t n = e->config.eval.clips;
    int64_t i = 0;
    tk_status st = tk_deal_open(e->world, &e->mesh.replica, n, column_name[column],
                                column == CEILING ? "clips" : "steps",
                                column == CEILING ? n : n * e->config.sample.steps, &e->deal);
    TK_TRY(st);
    while (st == TK_OK && (st = tk_deal_next(e->deal, &i)) == TK_OK && i >= 0)
        st = measure_one(e, column, i);
    TK_TRY(tk_deal_close(e->deal, fail_for_all(e, st)));
    if (column == MODEL) TK_TRY(tk_comm_sum_f64(e->world, e->score, (int)n));
    if (column == CEILING) TK_TRY(sum_figures(e, TRUTH));
    return sum_figures(e, column);
}

// The clip of the best (sign 1) or the worst (-1) score that is not among the n chosen; the first
// of several alike.
static int64_t pick_clip(const eval *e, double sign, int n, const int64_t *chosen)
{
    int64_t best = -1;
    for (int64_t i = 0; i < e->config.eval.clips; i++) {
        bool taken = false;
        for (int k = 0; k < n; k++) taken |= chosen[k] == i;
        if (!taken && (best < 0 || sign * e->score[i] > sign * e->score[best])) best = i;
    }
    return best;
}

// "eval.json" -> "eval-best-1.png"
static const char *name_picture(const eval *e, int k, tk_arena *a)
{
    const char *end = strrchr(e->report, '.'), *slash = strrchr(e->report, '/');
    const int n =
        (int)(end && (!slash || end > slash) ? end - e->report : (ptrdiff_t)strlen(e->report));
    return tk_arena_printf(a, "%.*s-%s-%d.png", n, e->report, k % 2 ? "worst" : "best", k / 2 + 1);
}

// The model's best and worst clips, sampled again, as contact sheets. Worked on by the first
// replica: they are few.
static tk_status draw_extremes(eval *e)
{
    const int64_t most = 2 * e->config.eval.pictures;
    const int n = (int)(most < e->config.eval.clips ? most : e->config.eval.clips);
    int64_t chosen[2 * EXTREMES], i = 0;
    tk_status st = TK_OK;
    for (int k = 0; k < n; k++) chosen[k] = pick_clip(e, k % 2 ? -1 : 1, k, chosen);
    TK_TRY(tk_deal_open(e->world, &e->mesh.replica, n, "pictures", "steps",
                        n * e->config.sample.steps, &e->deal));
    while (st == TK_OK && (st = tk_deal_next(e->deal, &i)) == TK_OK && i >= 0) {
        tk_arena a;
        tk_arena_init(&a, 1 << 20);
        const char *path = name_picture(e, (int)i, &a);
        st = path ? take_sampled(e, MODEL, chosen[i], path, &a)
                  : TK_FAIL(TK_MEMORY, "out of memory for a path");
        tk_arena_free(&a);
    }
    return tk_deal_close(e->deal, fail_for_all(e, st));
}

// Every rank is shown the same.
static tk_status teach(eval *e)
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

static tk_status measure_columns(eval *e)
{
    const tk_stories all = {.ctx = e,
                            .n = e->config.eval.clips,
                            .get = get_scene,
                            .refer = get_references,
                            .fixed = true};
    const tk_parallel_config *p = &e->config.parallel;
    TK_TRY(tk_session_open(&e->session, &e->mesh, &e->trained, p, e->config.sample.ema != 0));
    TK_TRY(tk_agree(e->world, tk_stories_take_memory(&all, &e->session, p)));
    TK_TRY(tk_session_load(&e->session));
    tk_log("%s at step %lld%s, %lld held-out clips of the world", e->trained.path,
           (long long)e->trained.meta.step, e->session.averaged ? ", averaged weights" : "",
           (long long)e->config.eval.clips);
    TK_TRY(fill_column(e, MODEL));
    TK_TRY(draw_extremes(e));
    if (e->config.eval.references) TK_TRY(fill_column(e, WRONG));
    TK_TRY(fill_column(e, CEILING));
    TK_TRY(tk_agree(e->world, tk_session_untrained(&e->session, (uint64_t)e->config.eval.seed)));
    TK_TRY(fill_column(e, FLOOR));
    return tk_session_describe(&e->session);
}

// ---- the table ---------------------------------------------------------------------------------

// How many.
static int list_columns(const eval *e, tk_column_of_figures list[COLUMNS])
{
    int n = 0;
    for (int k = 0; k < COLUMNS; k++)
        if (k != WRONG || e->config.eval.references)
            list[n++] = (tk_column_of_figures){column_name[k], &e->column[k]};
    return n;
}

static void print_table(const eval *e)
{
    tk_column_of_figures list[COLUMNS];
    const tk_figures *ceiling = &e->column[CEILING];
    tk_figures_print(list_columns(e, list), list);
    if (ceiling->of[TK_FIG_COLOUR] > 0 &&
        ceiling->hits[TK_FIG_COLOUR] < LEAST_CEILING * ceiling->of[TK_FIG_COLOUR])
        tk_log_warn(
            "this checkpoint's codec was not fitted on the world and cannot show its colours "
            "(ceiling): the figures say nothing of what the model learned of other clips");
}

static json_t *make_report(const eval *e)
{
    tk_column_of_figures list[COLUMNS];
    const tk_config *c = &e->config;
    const int n = list_columns(e, list);
    return json_pack("{s:s, s:i, s:s, s:I, s:s, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:f}, s:{s:I, "
                     "s:s, s:f, s:f, s:f, s:b}, "
                     "s:o}",
                     "format", "talkie-eval", "version", 3, "checkpoint", e->trained.path, "step",
                     (json_int_t)e->trained.meta.step, "revision", tk_revision(), "clips", "number",
                     (json_int_t)c->eval.clips, "first", (json_int_t)c->eval.first, "world_seed",
                     (json_int_t)c->world.seed, "seed", (json_int_t)c->eval.seed, "width",
                     (json_int_t)c->media.width, "height", (json_int_t)c->media.height, "seconds",
                     c->world.seconds, "sample", "steps", (json_int_t)c->sample.steps, "solver",
                     tk_solver_name((tk_solver)c->sample.solver), "guidance", c->sample.guidance,
                     "video_shift", c->sample.video_shift, "audio_shift", c->sample.audio_shift,
                     "averaged", (int)e->session.averaged, "figures", tk_figures_report(n, list));
}

// eval.json beside the checkpoint, unless output= says otherwise.
static const char *name_report(eval *e)
{
    const char *output = e->config.output, *slash = strrchr(e->trained.path, '/');
    if (output && *output) return output;
    return tk_arena_printf(&e->arena, "%.*seval.json",
                           slash ? (int)(slash + 1 - e->trained.path) : 0, e->trained.path);
}

// Rank 0, before any work.
static tk_status check_report(eval *e, const tk_invocation *in)
{
    static const tk_file_kind kind = {
        .name = "report", .at = 0, .head = "{", .words = "\"talkie-eval\""};
    static const tk_file_kind picture = {
        .name = "contact sheet", .at = 0, .head = "\x89PNG", .words = "IHDR"};
    char *const inputs[] = {e->trained.path, in->files[0]};
    TK_TRY(tk_file_check_output(e->report, &kind, 2, inputs));
    for (int k = 0; k < 2 * e->config.eval.pictures; k++) {
        const char *path = name_picture(e, k, &e->arena);
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
static tk_status find_checkpoint(eval *e, const tk_invocation *in, tk_config *c, char **where)
{
    const char *file = config_file(in);
    TK_TRY(tk_config_load(c, TK_CMD_EVAL, file, in->n_overrides, in->overrides));
    *where = tk_arena_strdup(&e->arena, !file                 ? in->files[0]
                                        : *c->eval.checkpoint ? c->eval.checkpoint
                                                              : c->train.out);
    return *where ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
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

static tk_status load_config(eval *e, const tk_invocation *in)
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
    if (c->sample.window <= 0) c->sample.window = trained; // longer clips are sampled shot by shot
    return TK_OK;
}

static tk_status make_place(eval *e)
{
    TK_ARENA_NEW(e->score, &e->arena, e->config.eval.clips);
    e->report = name_report(e);
    return e->report ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

static tk_status run_eval(eval *e, tk_invocation *in)
{
    char *where = NULL;
    tk_comm *w = e->world;
    TK_TRY(tk_config_agree(w, find_checkpoint(e, in, &in->config, &where), &in->config));
    TK_TRY(tk_trained_open(where, in->config.codec.file, w, &e->arena, &e->trained));
    tk_status st = tk_config_agree(w, load_config(e, in), &e->config);
    if (st == TK_OK) st = tk_agree(w, make_place(e));
    if (st == TK_OK) st = tk_agree(w, w->rank ? TK_OK : check_report(e, in));
    if (st == TK_OK)
        st = tk_agree(w, tk_scene_open_speech(&e->config.world, &e->config.media, &e->speech));
    if (st == TK_OK) st = tk_mesh_open(&e->mesh, w, &e->config.parallel, TK_AXIS_DATA);
    if (st == TK_OK) st = tk_agree(w, teach(e));
    if (st == TK_OK) st = measure_columns(e);
    if (st == TK_OK && w->rank == 0) print_table(e);
    if (st == TK_OK) st = tk_agree(w, w->rank ? TK_OK : tk_report_write(e->report, make_report(e)));
    tk_session_close(&e->session);
    tk_mesh_close(&e->mesh);
    tk_trained_close(&e->trained);
    tk_learned_close(&e->learned);
    tk_speech_close(e->speech);
    return st;
}

tk_status tk_eval_command(tk_comm *world, tk_invocation *in)
{
    eval e = {.world = world};
    if (tk_footage_is(in->files[0])) return tk_footage_eval(world, in);
    tk_config_init(&e.config);
    tk_arena_init(&e.arena, 0);
    const tk_status st = run_eval(&e, in);
    tk_config_free(&e.config);
    tk_arena_free(&e.arena);
    return st;
}
