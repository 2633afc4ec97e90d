// SPDX-License-Identifier: Apache-2.0
#include "infer/story/window.h"
#include "infer/sampler/text.h"
#include "train/step/references.h"
#include <math.h>

enum { MOST_SHOTS = 5000 }; // of a storyboard; with the largest seed of a shot they key noise

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
    TK_ARENA_NEW(shots, a, t->refs->n + tk_window_shots(span));
    TK_ARENA_NEW(id, a, t->refs->n + tk_window_shots(span));
    TK_TRY(lay_references(t, k, span, a, shots, &n));
    const int own = n;
    int64_t latents = 0;
    for (int j = 0; j < tk_window_shots(span); j++, n++) {
        const int i = tk_window_shot(span, j);
        const tk_story_shot *shot = &s->shot[i];
        shots[n] = (tk_shot_rows){.latent_frames = shot->latents,
                                  .audio_rows = shot->audio_rows,
                                  .start = (double)latents * s->tick,
                                  .target = j >= span->n_memory};
        id[n] = i + MOST_SHOTS * t->config->story.shots[i].seed;
        latents += shot->latents;
    }
    shots[n - 1].audio_rows += s->tail;
    out->shot_id = id;
    out->doc = tk_document_on_grid(k, s->grid.high, s->grid.wide, s->channels);
    out->doc.shots = shots;
    out->doc.n_shots = n;
    return t->given ? tk_story_give(t->given, s, span, own, a, &out->doc) : TK_OK;
}

// What guidance leads away from: no captions, or what the storyboard says.
static tk_status write_other_text(const tk_story_task *t, const tk_text_form *form, int n,
                                  tk_clip_shot *shot, tk_arena *a, tk_sample_task *out)
{
    char *negative = t->config->story.negative;
    const bool says = negative && *negative;
    for (int k = 0; k < n && says; k++) shot[k].caption = negative;
    return tk_sample_text(form, n, shot, NULL, 1, !says, a, out);
}

static tk_status write_text(const tk_story_task *t, const tk_window *span, const float *features,
                            tk_arena *a, tk_sample_task *out)
{
    static const tk_story_text bytes;
    const tk_story_text *text = t->text ? t->text : &bytes;
    const int n = tk_window_shots(span);
    tk_clip_shot *captioned;
    TK_ARENA_NEW(captioned, a, n);
    for (int k = 0; k < n; k++) {
        const int i = tk_window_shot(span, k);
        captioned[k].caption = t->story->shot[i].caption;
        if (text->form.channels) captioned[k].feature_rows = text->shot[i].rows;
    }
    TK_TRY(tk_sample_text(&text->form, n, captioned, features, 0, false, a, out));
    return write_other_text(t, &text->form, n, captioned, a, out);
}

int64_t tk_story_steps(const tk_config *c)
{
    const int64_t n = (int64_t)ceil((double)c->sample.steps * c->story.remix.strength - 1e-9);
    return n < 1 ? 1 : n;
}

tk_status tk_window_task(const tk_story_task *t, const tk_codec_info *k, int i,
                         const float *features, tk_arena *a, tk_sample_task *out)
{
    const tk_config *c = t->config;
    const tk_window *span = &t->story->windows[i];
    *out = (tk_sample_task){
        .seed = (uint64_t)c->story.seed,
        .steps = tk_story_steps(c),
        .skip = 1 - c->story.remix.strength,
        .solver = (tk_solver)c->sample.solver,
        .guidance = c->sample.guidance,
        .graph = c->sample.graph != 0,
        .keep_given = c->sample.keep_given != 0,
        .shift = {[TK_VIDEO] = c->sample.video_shift, [TK_AUDIO] = c->sample.audio_shift}};
    TK_TRY(lay_out_window(t, k, span, a, out));
    return write_text(t, span, features, a, out);
}
