// SPDX-License-Identifier: Apache-2.0
#include "infer/story/window.h"
#include "infer/sampler/text.h"
#include "train/step/references.h"

static tk_status lay_references(const tk_story_task *t, const tk_codec_info *k,
                                const tk_window *span, tk_arena *a, tk_shot_rows *shots, int *n)
{
    tk_reference_rows *rows;
    TK_ARENA_NEW(rows, a, t->refs->n + 1);
    for (int i = 0; i < t->refs->n; i++) {
        const tk_reference *r = &t->refs->ref[i];
        if (!tk_reference_in(r, span)) continue;
        rows[(*n)++] = (tk_reference_rows){.tag = r->tag,
                                           .latent_frames = r->latents,
                                           .high = r->high,
                                           .wide = r->wide,
                                           .audio_rows = r->audio_rows};
    }
    tk_lay_references(*n, rows, k, shots);
    return TK_OK;
}

static tk_status lay_out_window(const tk_story_task *t, const tk_codec_info *k,
                                const tk_window *span, tk_arena *a, tk_sample_task *out)
{
    const tk_story *s = t->story;
    tk_shot_rows *shots;
    int64_t *id;
    int n = 0;
    TK_ARENA_NEW(shots, a, t->refs->n + span->end - span->memory);
    TK_ARENA_NEW(id, a, t->refs->n + span->end - span->memory);
    TK_TRY(lay_references(t, k, span, a, shots, &n));
    const int own = n;
    for (int i = span->memory; i < span->end; i++, n++) {
        const tk_story_shot *shot = &s->shot[i];
        shots[n] = (tk_shot_rows){.latent_frames = shot->latents,
                                  .audio_rows = shot->audio_rows,
                                  .start = shot->start - s->shot[span->memory].start,
                                  .target = i >= span->target};
        id[n] = i;
    }
    shots[n - 1].audio_rows += s->tail;
    out->shot_id = id;
    out->doc = tk_document_on_grid(k, s->grid.high, s->grid.wide, s->channels);
    out->doc.shots = shots;
    out->doc.n_shots = n;
    return t->given ? tk_story_give(t->given, s, span, own, a, &out->doc) : TK_OK;
}

static tk_status write_text(const tk_story_task *t, const tk_window *span, tk_arena *a,
                            tk_sample_task *out)
{
    static const tk_story_text bytes;
    const tk_story_text *text = t->text ? t->text : &bytes;
    const bool features = text->form.channels > 0;
    const int n = span->end - span->memory;
    const float *own = text->rows;
    tk_clip_shot *captioned;
    TK_ARENA_NEW(captioned, a, n);
    for (int i = 0; i < span->memory && own; i++) own += text->shot[i].rows * text->form.channels;
    for (int i = 0; i < n; i++) {
        captioned[i].caption = t->story->shot[span->memory + i].caption;
        if (features) captioned[i].feature_rows = text->shot[span->memory + i].rows;
    }
    for (int d = 0; d < 2; d++) TK_TRY(tk_sample_text(&text->form, n, captioned, own, d, a, out));
    return TK_OK;
}

tk_status tk_window_task(const tk_story_task *t, const tk_codec_info *k, int i, tk_arena *a,
                         tk_sample_task *out)
{
    const tk_config *c = t->config;
    const tk_window *span = &t->story->windows[i];
    *out = (tk_sample_task){
        .seed = (uint64_t)c->story.seed,
        .steps = c->sample.steps,
        .solver = (tk_solver)c->sample.solver,
        .guidance = c->sample.guidance,
        .graph = c->sample.graph != 0,
        .keep_given = c->sample.keep_given != 0,
        .shift = {[TK_VIDEO] = c->sample.video_shift, [TK_AUDIO] = c->sample.audio_shift}};
    TK_TRY(lay_out_window(t, k, span, a, out));
    return write_text(t, span, a, out);
}
