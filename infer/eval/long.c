// SPDX-License-Identifier: Apache-2.0
#include "infer/eval/long.h"
#include "infer/eval/cited.h"
#include "infer/eval/measure/measure.h"

tk_status tk_eval_tell_again(const tk_eval *e, const tk_eval_clip *once, int64_t shots, tk_arena *a,
                             tk_eval_clip *out)
{
    const int64_t n = once->story.story.n_shots, asked = (shots + n - 1) / n;
    const int64_t tellings = asked < 2 ? 2 : asked, latents = once->plan.grid.latent_frames;
    tk_shot_config *told;
    TK_ARENA_NEW(told, a, tellings * n);
    for (int64_t k = 0; k < tellings * n; k++) told[k] = once->story.story.shots[k % n];
    *out = *once;
    out->story.story.shots = told;
    out->story.story.n_shots = tellings * n;
    TK_TRY(tk_story_plan(&out->story, e->trained.meta.codec, a, &out->plan));
    if (out->plan.grid.latent_frames == tellings * latents) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "a scene of %lld latent frames has %lld when told %lld times",
                   (long long)latents, (long long)out->plan.grid.latent_frames,
                   (long long)tellings);
}

// The telling that begins at a shot, of which `once` is the plan; `x` are the whole story's
// latents.
static tk_status decode_telling(const tk_eval *e, const tk_eval_clip *once, const tk_story *all,
                                const tk_latents *x, int64_t shot, tk_media *out)
{
    const tk_codec_info *k = tk_codec_get_info(e->trained.meta.codec);
    const tk_story_shot *from = &all->shot[shot];
    const tk_latents own = {
        .rows = {[TK_VIDEO] = x->rows[TK_VIDEO] + from->first_latent * all->grid.high *
                                                      all->grid.wide * k->video_channels,
                 [TK_AUDIO] =
                     x->rows[TK_AUDIO] + from->first_audio * all->channels * k->audio_channels}};
    return tk_story_decode(&once->plan, e->trained.meta.codec, &own, out);
}

static tk_status measure_telling(tk_eval *e, const tk_scene *s, const tk_media *m,
                                 tk_eval_column column)
{
    tk_figures f = {0};
    TK_TRY(tk_measure_clip(&e->learned, s, m, NULL, &f));
    if (e->config.world.held_out == TK_HELD_ONLY) tk_keep_held_out(s, &f);
    tk_figures_add(&e->column[column], &f);
    return TK_OK;
}

static tk_status measure_long(tk_eval *e, const tk_eval_clip *once, const tk_story *all,
                              const tk_latents *x)
{
    const int64_t end = all->n_shots - once->plan.n_shots;
    tk_media first, last;
    TK_TRY(decode_telling(e, once, all, x, 0, &first));
    tk_status st = decode_telling(e, once, all, x, end, &last);
    if (st == TK_OK) {
        st = measure_telling(e, &once->scene, &first, TK_EVAL_FIRST);
        if (st == TK_OK) st = measure_telling(e, &once->scene, &last, TK_EVAL_LAST);
        if (st == TK_OK) tk_measure_drift(&once->scene, &first, &last, &e->column[TK_EVAL_LAST]);
        tk_media_free(&last);
    }
    tk_media_free(&first);
    return st;
}

static tk_status plan_both(const tk_eval *e, int64_t i, tk_arena *a, tk_eval_clip *once,
                           tk_eval_clip *story)
{
    TK_TRY(tk_eval_plan(e, i, tk_eval_captions_of(e), a, once));
    return tk_eval_tell_again(e, once, e->config.eval.long_shots, a, story);
}

tk_status tk_eval_take_long(tk_eval *e, int64_t i, tk_arena *a)
{
    tk_references refs;
    tk_eval_clip *once, *story;
    tk_latents x;
    tk_comm *replica = &e->mesh.replica;
    once = tk_arena_alloc(a, sizeof *once);
    story = tk_arena_alloc(a, sizeof *story);
    tk_status st = once && story ? plan_both(e, i, a, once, story)
                                 : TK_FAIL(TK_MEMORY, "out of memory for a story");
    TK_TRY(tk_agree(replica, st));
    TK_TRY(tk_agree(replica, tk_eval_refer(e, &once->scene, false, a, &refs)));
    const tk_story_task task = {.config = &story->story,
                                .story = &story->plan,
                                .refs = &refs,
                                .step_done = tk_eval_step,
                                .ctx = e->deal};
    TK_TRY(tk_story_sample(&e->session, &task, a, &x));
    return tk_agree(replica, replica->rank ? TK_OK : measure_long(e, once, &story->plan, &x));
}

tk_status tk_eval_drift_of_codec(tk_eval *e, const tk_eval_clip *clip, const tk_media *film,
                                 const tk_latents *x)
{
    tk_media coded;
    tk_measure_drift(&clip->scene, film, film, &e->column[TK_EVAL_TRUTH]);
    TK_TRY(tk_story_decode(&clip->plan, e->trained.meta.codec, x, &coded));
    tk_measure_drift(&clip->scene, film, &coded, &e->column[TK_EVAL_CEILING]);
    tk_media_free(&coded);
    return TK_OK;
}
