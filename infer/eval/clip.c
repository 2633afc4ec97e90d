// SPDX-License-Identifier: Apache-2.0
// One clip: what is asked of the model, and the truth.
#include "data/film/film.h"
#include "infer/eval/cited.h"
#include "infer/eval/clips.h"

tk_status tk_eval_scene(const tk_eval *e, int64_t i, tk_scene *s)
{
    const tk_config *c = &e->config;
    return tk_scene_make(&c->world, &c->media, c->codec.patch_frames, e->speech,
                         (uint64_t)c->world.seed, c->eval.first + i, s);
}

// The scene's shot list as a storyboard.
static tk_status describe_scene(const tk_eval *e, const tk_scene *s, int64_t i,
                                tk_eval_captions captions, tk_arena *a, tk_config *story)
{
    const tk_clip_shot *cited = NULL;
    if (captions == TK_CAPTIONS_CITED) TK_TRY(tk_cited_captions(s, e->speech != NULL, a, &cited));
    *story = e->config;
    TK_ARENA_NEW(story->story.shots, a, s->n_shots);
    story->story.n_shots = s->n_shots;
    story->story.n_references = 0;
    story->story.style = "";
    story->story.seed = e->config.eval.seed + i;
    for (int k = 0; k < s->n_shots; k++)
        story->story.shots[k] =
            (tk_shot_config){.seconds = s->shot[k].seconds,
                             .prompt = cited                           ? cited[k].caption
                                       : captions == TK_CAPTIONS_PLAIN ? (char *)s->shot[k].caption
                                                                       : ""};
    return TK_OK;
}

tk_status tk_eval_plan(const tk_eval *e, int64_t i, tk_eval_captions captions, tk_arena *a,
                       tk_eval_clip *out)
{
    TK_TRY(tk_eval_scene(e, i, &out->scene));
    TK_TRY(describe_scene(e, &out->scene, i, captions, a, &out->story));
    return tk_story_plan(&out->story, e->trained.meta.codec, a, &out->plan);
}

tk_eval_captions tk_eval_captions_of(const tk_eval *e)
{
    return e->config.eval.references ? TK_CAPTIONS_CITED : TK_CAPTIONS_PLAIN;
}

tk_status tk_eval_refer(const tk_eval *e, const tk_scene *s, bool wrong, tk_arena *a,
                        tk_references *out)
{
    *out = (tk_references){0};
    if (!e->config.eval.references) return TK_OK;
    return tk_cited_references(s, &e->config.media, e->trained.meta.codec, e->speech, wrong, a,
                               out);
}

tk_status tk_eval_film(const tk_eval *e, const tk_scene *s, const tk_story *plan, tk_media *out)
{
    const tk_media_config *m = &e->config.media;
    *out = tk_grid_media(tk_codec_get_info(e->trained.meta.codec), &plan->grid);
    TK_TRY(tk_media_alloc(out));
    tk_status st = tk_film_render(s, m, e->speech, out->frames, out->rgb);
    if (st == TK_OK) st = tk_film_sound(s, m, e->speech, out->samples, out->pcm);
    if (st != TK_OK) tk_media_free(out);
    return st;
}

tk_status tk_eval_encode(const tk_eval *e, const tk_media *m, const tk_story *plan, tk_arena *a,
                         tk_latents *out)
{
    const tk_codec *codec = e->trained.meta.codec;
    const tk_codec_info *k = tk_codec_get_info(codec);
    TK_ARENA_NEW(out->rows[TK_VIDEO], a, plan->grid.video_rows * k->video_channels);
    TK_ARENA_NEW(out->rows[TK_AUDIO], a,
                 plan->grid.audio_rows * plan->channels * k->audio_channels);
    TK_TRY(tk_codec_encode_video(codec, m, out->rows[TK_VIDEO]));
    return tk_codec_encode_audio(codec, m, out->rows[TK_AUDIO]);
}

tk_status tk_eval_step(void *deal, int64_t left)
{
    (void)left;
    tk_deal_step(deal);
    return TK_OK;
}
