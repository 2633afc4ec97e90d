// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/clips.h"
#include "data/draw/sheet.h"
#include "infer/eval/cited.h"
#include "infer/eval/long.h"
#include "infer/eval/measure/measure.h"
#include "parallel/mpi/start.h"
#include <string.h>

enum { EXTREMES = 16 };

const char *const tk_eval_column_name[TK_EVAL_COLUMNS] = {"model", "wrong",   "first", "last",
                                                          "truth", "ceiling", "floor"};

// ---- as they are asked of the model ------------------------------------------------------------

// The clips, then where they are asked for the long stories of the same scenes.
static tk_status get_scene(void *ctx, int64_t i, tk_arena *a, tk_config *story, const char **name)
{
    const tk_eval *e = ctx;
    const int64_t scene = i % e->config.eval.clips;
    tk_eval_clip *clip;
    TK_ARENA_NEW(clip, a, 1);
    *name = tk_arena_printf(a, "%s %lld", scene < i ? "the long story of clip" : "clip",
                            (long long)scene);
    if (!*name) return TK_FAIL(TK_MEMORY, "out of memory for a name");
    TK_TRY(tk_eval_plan(e, scene, tk_eval_captions_of(e), a, clip));
    if (scene < i) TK_TRY(tk_eval_tell_again(e, clip, e->config.eval.long_shots, a, clip));
    *story = clip->story;
    return TK_OK;
}

static tk_status get_references(void *ctx, int64_t i, tk_arena *a, tk_references *out)
{
    const tk_eval *e = ctx;
    tk_scene *s;
    TK_ARENA_NEW(s, a, 1);
    TK_TRY(tk_eval_scene(e, i % e->config.eval.clips, s));
    return tk_eval_refer(e, s, false, a, out);
}

static tk_status measure_media(tk_eval *e, const tk_scene *scene, const tk_media *clip,
                               tk_eval_column column)
{
    tk_figures f = {0};
    TK_TRY(tk_measure_clip(&e->learned, scene, clip, NULL, &f));
    if (e->config.world.held_out == TK_HELD_ONLY) tk_keep_held_out(scene, &f);
    tk_figures_add(&e->column[column], &f);
    if (column == TK_EVAL_MODEL)
        e->score[scene->index - e->config.eval.first] = tk_figures_score(&f);
    return TK_OK;
}

static tk_status measure_latents(tk_eval *e, const tk_scene *scene, const tk_story *plan,
                                 const tk_latents *x, tk_eval_column column)
{
    tk_media clip;
    TK_TRY(tk_story_decode(plan, e->trained.meta.codec, x, &clip));
    const tk_status st = measure_media(e, scene, &clip, column);
    tk_media_free(&clip);
    return st;
}

// PNG of a clip beside the report, its captions under its shots.
static tk_status draw_latents(const tk_eval *e, const char *path, const tk_story *plan,
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
static tk_status take_sampled(tk_eval *e, tk_eval_column column, int64_t i, const char *path,
                              tk_arena *a)
{
    tk_references refs;
    tk_eval_clip clip;
    tk_latents x;
    tk_comm *replica = &e->mesh.replica;
    TK_TRY(tk_agree(replica, tk_eval_plan(e, i, tk_eval_captions_of(e), a, &clip)));
    TK_TRY(tk_agree(replica, tk_eval_refer(e, &clip.scene, column == TK_EVAL_WRONG, a, &refs)));
    const tk_story_task task = {.config = &clip.story,
                                .story = &clip.plan,
                                .refs = &refs,
                                .step_done = tk_eval_step,
                                .ctx = e->deal};
    TK_TRY(tk_story_sample(&e->session, &task, a, &x));
    tk_status st = TK_OK;
    if (replica->rank == 0)
        st = path ? draw_latents(e, path, &clip.plan, &x)
                  : measure_latents(e, &clip.scene, &clip.plan, &x, column);
    return tk_agree(replica, st);
}

// Before the codec and after it. Of a replica its first rank alone.
static tk_status measure_truth(tk_eval *e, int64_t i, tk_arena *a)
{
    tk_eval_clip clip;
    tk_media film;
    tk_latents x = {0};
    TK_TRY(tk_eval_plan(e, i, tk_eval_captions_of(e), a, &clip));
    TK_TRY(tk_eval_film(e, &clip.scene, &clip.plan, &film));
    tk_status st = measure_media(e, &clip.scene, &film, TK_EVAL_TRUTH);
    if (st == TK_OK) st = tk_eval_encode(e, &film, &clip.plan, a, &x);
    if (st == TK_OK && e->config.eval.long_shots) st = tk_eval_drift_of_codec(e, &clip, &film, &x);
    tk_media_free(&film);
    TK_TRY(st);
    return measure_latents(e, &clip.scene, &clip.plan, &x, TK_EVAL_CEILING);
}

// ---- all clips ---------------------------------------------------------------------------------

tk_stories tk_eval_stories(tk_eval *e)
{
    return (tk_stories){.ctx = e,
                        .n = e->config.eval.clips * (e->config.eval.long_shots ? 2 : 1),
                        .get = get_scene,
                        .refer = get_references,
                        .fixed = true};
}

static tk_status measure_one(tk_eval *e, tk_eval_column column, int64_t i)
{
    tk_comm *replica = &e->mesh.replica;
    tk_arena a;
    tk_arena_init(&a, 1 << 20);
    const tk_status st = column == TK_EVAL_CEILING
                             ? tk_agree(replica, replica->rank ? TK_OK : measure_truth(e, i, &a))
                         : column == TK_EVAL_LAST ? tk_eval_take_long(e, i, &a)
                                                  : take_sampled(e, column, i, NULL, &a);
    tk_arena_free(&a);
    if (column == TK_EVAL_CEILING) tk_deal_step(e->deal);
    return st;
}

tk_status tk_eval_failed(const tk_eval *e, tk_status st)
{
    const tk_comm *replica = &e->mesh.replica;
    if (st == TK_OK || replica->size == e->world->size || replica->rank) return st;
    tk_status_set_shared(false); // it is within the replica only
    return tk_parallel_unless_alone(e->world, st);
}

// Hits are counted in whole numbers, so that sums do not depend on who measured what.
tk_status tk_eval_sum(const tk_eval *e, tk_figures *f)
{
    TK_TRY(tk_comm_sum_f64(e->world, f->hits, TK_FIGURES));
    TK_TRY(tk_comm_sum_f64(e->world, f->of, TK_FIGURES));
    return tk_comm_sum_f64(e->world, f->offset[0], TK_OFFSETS * TK_OFFSET_BINS);
}

static tk_status count_windows(const tk_eval *e, tk_eval_column column, int64_t i, tk_arena *a,
                               int64_t *windows)
{
    tk_eval_clip clip;
    TK_TRY(tk_eval_plan(e, i, tk_eval_captions_of(e), a, &clip));
    if (column == TK_EVAL_LAST)
        TK_TRY(tk_eval_tell_again(e, &clip, e->config.eval.long_shots, a, &clip));
    *windows = clip.plan.n_windows;
    return TK_OK;
}

tk_status tk_eval_count_steps(const tk_eval *e, tk_eval_column column, int64_t n,
                              const int64_t *clips, int64_t *steps)
{
    *steps = 0;
    for (int64_t k = 0; k < n; k++) {
        int64_t windows = 0;
        tk_arena a;
        tk_arena_init(&a, 1 << 16);
        const tk_status st = count_windows(e, column, clips ? clips[k] : k, &a, &windows);
        tk_arena_free(&a);
        TK_TRY(st);
        *steps += windows * e->config.sample.steps;
    }
    return TK_OK;
}

tk_status tk_eval_fill(tk_eval *e, tk_eval_column column)
{
    const int64_t n = e->config.eval.clips;
    const bool filmed = column == TK_EVAL_CEILING;
    int64_t i = 0, steps = n;
    tk_status st = filmed ? TK_OK : tk_eval_count_steps(e, column, n, NULL, &steps);
    TK_TRY(tk_agree(e->world, st));
    TK_TRY(tk_deal_open(e->world, &e->mesh.replica, n, tk_eval_column_name[column],
                        filmed ? "clips" : "steps", steps, &e->deal));
    while (st == TK_OK && (st = tk_deal_next(e->deal, &i)) == TK_OK && i >= 0)
        st = measure_one(e, column, i);
    TK_TRY(tk_deal_close(e->deal, tk_eval_failed(e, st)));
    if (column == TK_EVAL_MODEL) TK_TRY(tk_comm_sum_f64(e->world, e->score, (int)n));
    if (filmed) TK_TRY(tk_eval_sum(e, &e->column[TK_EVAL_TRUTH]));
    if (column == TK_EVAL_LAST) TK_TRY(tk_eval_sum(e, &e->column[TK_EVAL_FIRST]));
    return tk_eval_sum(e, &e->column[column]);
}

// The clip of the best (sign 1) or the worst (-1) score that is not among the n chosen; the first
// of several alike.
static int64_t pick_clip(const tk_eval *e, double sign, int n, const int64_t *chosen)
{
    int64_t best = -1;
    for (int64_t i = 0; i < e->config.eval.clips; i++) {
        bool taken = false;
        for (int k = 0; k < n; k++) taken |= chosen[k] == i;
        if (!taken && (best < 0 || sign * e->score[i] > sign * e->score[best])) best = i;
    }
    return best;
}

const char *tk_eval_picture(const tk_eval *e, int k, tk_arena *a)
{
    const char *end = strrchr(e->report, '.'), *slash = strrchr(e->report, '/');
    const int n =
        (int)(end && (!slash || end > slash) ? end - e->report : (ptrdiff_t)strlen(e->report));
    return tk_arena_printf(a, "%.*s-%s-%d.png", n, e->report, k % 2 ? "worst" : "best", k / 2 + 1);
}

tk_status tk_eval_draw(tk_eval *e)
{
    const int64_t most = 2 * e->config.eval.pictures;
    const int n = (int)(most < e->config.eval.clips ? most : e->config.eval.clips);
    if (n == 0) return TK_OK;
    int64_t chosen[2 * EXTREMES], i = 0, steps;
    for (int k = 0; k < n; k++) chosen[k] = pick_clip(e, k % 2 ? -1 : 1, k, chosen);
    tk_status st = tk_eval_count_steps(e, TK_EVAL_MODEL, n, chosen, &steps);
    TK_TRY(tk_agree(e->world, st));
    TK_TRY(tk_deal_open(e->world, &e->mesh.replica, n, "pictures", "steps", steps, &e->deal));
    while (st == TK_OK && (st = tk_deal_next(e->deal, &i)) == TK_OK && i >= 0) {
        tk_arena a;
        tk_arena_init(&a, 1 << 20);
        const char *path = tk_eval_picture(e, (int)i, &a);
        st = path ? take_sampled(e, TK_EVAL_MODEL, chosen[i], path, &a)
                  : TK_FAIL(TK_MEMORY, "out of memory for a path");
        tk_arena_free(&a);
    }
    return tk_deal_close(e->deal, tk_eval_failed(e, st));
}
