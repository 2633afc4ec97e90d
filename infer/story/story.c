// SPDX-License-Identifier: Apache-2.0
#include "infer/story/story.h"
#include "parallel/mpi/start.h"
#include "train/step/documents.h"
#include <stdio.h>
#include <string.h>

typedef struct window { // one document, from the story's timeline and back
    const tk_story *story;
    const tk_references *refs;
    const tk_codec_info *codec;
    tk_window span;
    tk_sample_task task;
    tk_shot_rows *shots;
    int n_refs; // the first shots of the document
    float *rows[TK_MODALITIES];
    int64_t n_rows[TK_MODALITIES], channels[TK_MODALITIES];
} window;

// ---- the document ------------------------------------------------------------------------------

// References end where media time begins; memory and targets follow from there on.
static tk_status lay_out_window(window *w, tk_arena *a)
{
    const tk_story *s = w->story;
    const tk_window *span = &w->span;
    int64_t *id, before = 0;
    int n = 0;
    for (int k = 0; k < w->refs->n; k++)
        if (tk_reference_in(&w->refs->ref[k], span)) before += w->refs->ref[k].latents;
    TK_ARENA_NEW(w->shots, a, w->refs->n + span->end - span->memory);
    TK_ARENA_NEW(id, a, w->refs->n + span->end - span->memory);
    for (int k = 0; k < w->refs->n; k++) {
        const tk_reference *r = &w->refs->ref[k];
        if (!tk_reference_in(r, span)) continue;
        w->shots[n++] = (tk_shot_rows){.latent_frames = r->latents,
                                       .audio_rows = r->audio_rows,
                                       .start = -(double)before * s->tick};
        before -= r->latents;
    }
    w->n_refs = n;
    for (int i = span->memory; i < span->end; i++, n++) {
        const tk_story_shot *shot = &s->shot[i];
        w->shots[n] = (tk_shot_rows){.latent_frames = shot->latents,
                                     .audio_rows = shot->audio_rows,
                                     .start = shot->start - s->shot[span->memory].start,
                                     .target = i >= span->target};
        id[n] = i;
    }
    w->shots[n - 1].audio_rows += s->tail;
    w->task.shot_id = id;
    w->task.doc = tk_document_on_grid(w->codec, s->grid.high, s->grid.wide, s->channels);
    w->task.doc.shots = w->shots;
    w->task.doc.n_shots = n;
    return TK_OK;
}

static tk_status write_text(window *w, tk_arena *a)
{
    const int n = w->span.end - w->span.memory;
    tk_clip_shot *captioned;
    TK_ARENA_NEW(captioned, a, n);
    for (int i = 0; i < n; i++) captioned[i].caption = w->story->shot[w->span.memory + i].caption;
    for (int d = 0; d < 2; d++) {
        int32_t *text;
        w->task.text_rows[d] = tk_caption_rows(n, captioned, d == 1);
        TK_ARENA_NEW(text, a, w->task.text_rows[d]);
        tk_caption_tokens(n, captioned, d == 1, text);
        w->task.text[d] = text;
    }
    return TK_OK;
}

// ---- rows --------------------------------------------------------------------------------------

// Rows of shot i of the story in the timeline, of modality m: first and number.
static void shot_span(const tk_story *s, int i, int m, int64_t *first, int64_t *n)
{
    const tk_story_shot *shot = &s->shot[i];
    const int64_t each = m == TK_VIDEO ? s->grid.high * s->grid.wide : s->channels;
    *first = each * (m == TK_VIDEO ? shot->first_latent : shot->first_audio);
    *n = each * (m == TK_VIDEO ? shot->latents : shot->audio_rows);
}

static tk_status give_rows(window *w, int m, const tk_latents *x, tk_arena *a)
{
    const tk_story *s = w->story;
    const int64_t channels = w->channels[m];
    TK_ARENA_NEW(w->rows[m], a, w->n_rows[m] * channels);
    float *to = w->rows[m];
    for (int k = 0; k < w->refs->n; k++) {
        const tk_reference *r = &w->refs->ref[k];
        if (!tk_reference_in(r, &w->span)) continue;
        const int64_t n =
            m == TK_VIDEO ? r->latents * s->grid.high * s->grid.wide : r->audio_rows * s->channels;
        if (n) memcpy(to, m == TK_VIDEO ? r->video : r->audio, tk_array_bytes(n * channels, 4));
        to += n * channels;
    }
    for (int i = w->span.memory; i < w->span.target; i++) {
        int64_t first, n;
        shot_span(s, i, m, &first, &n);
        memcpy(to, x->rows[m] + first * channels, tk_array_bytes(n * channels, 4));
        to += n * channels;
    }
    w->task.given[m] = w->rows[m];
    return TK_OK;
}

// The document's target rows into the timeline; of the tail only the track's own.
static void take_target_rows(const window *w, int m, const tk_latents *x)
{
    const tk_story *s = w->story;
    const int64_t channels = w->channels[m];
    int64_t first, n, begin = w->n_rows[m];
    for (int i = w->span.target; i < w->span.end; i++) {
        shot_span(s, i, m, &first, &n);
        begin -= n;
    }
    if (m == TK_AUDIO) begin -= s->tail * s->channels;
    const float *from = w->rows[m] + begin * channels;
    for (int i = w->span.target; i < w->span.end; i++) {
        shot_span(s, i, m, &first, &n);
        if (m == TK_AUDIO && i == s->n_shots - 1) n += s->tail * s->channels;
        memcpy(x->rows[m] + first * channels, from, tk_array_bytes(n * channels, 4));
        from += n * channels;
    }
}

// ---- sampling ----------------------------------------------------------------------------------

static tk_status sample_window(tk_session *s, window *w, tk_arena *a, tk_latents *x,
                               void (*step_done)(void *ctx), void *ctx)
{
    const bool first = s->mesh->axis[TK_AXIS_PIPELINE].rank == 0;
    const tk_sampler on = {s->mesh, &s->device, &s->model};
    int64_t count[TK_MODALITIES];
    TK_TRY(lay_out_window(w, a));
    TK_TRY(write_text(w, a));
    tk_document_rows(&w->task.doc, count);
    for (int m = 0; m < TK_MODALITIES && first; m++) {
        if (m == TK_TEXT) continue;
        w->n_rows[m] = count[m];
        TK_TRY(give_rows(w, m, x, a));
    }
    TK_TRY(tk_sampler_run(&on, &w->task, w->rows, step_done, ctx));
    if (!first) return TK_OK;
    take_target_rows(w, TK_VIDEO, x);
    take_target_rows(w, TK_AUDIO, x);
    return TK_OK;
}

static tk_status new_timeline(const tk_story *s, const tk_codec_info *k, tk_arena *a, tk_latents *x)
{
    TK_ARENA_NEW(x->rows[TK_VIDEO], a, s->grid.video_rows * k->video_channels);
    TK_ARENA_NEW(x->rows[TK_AUDIO], a, s->grid.audio_rows * s->channels * k->audio_channels);
    return TK_OK;
}

tk_status tk_story_sample(tk_session *s, const tk_story_task *t, tk_arena *a, tk_latents *out)
{
    const tk_config *c = t->config;
    const tk_story *story = t->story;
    const tk_codec_info *k = tk_codec_get_info(s->trained->meta.codec);
    *out = (tk_latents){0};
    tk_status st =
        s->mesh->axis[TK_AXIS_PIPELINE].rank == 0 ? new_timeline(story, k, a, out) : TK_OK;
    TK_TRY(tk_agree(&s->mesh->replica, st));
    for (int i = 0; i < story->n_windows; i++) {
        tk_arena scratch;
        tk_arena_init(&scratch, 1 << 20);
        window w = {
            .story = story,
            .refs = t->refs,
            .codec = k,
            .span = story->windows[i],
            .task =
                {.seed = (uint64_t)c->story.seed,
                 .steps = c->sample.steps,
                 .guidance = c->sample.guidance,
                 .shift = {[TK_VIDEO] = c->sample.video_shift, [TK_AUDIO] = c->sample.audio_shift}},
            .channels = {[TK_VIDEO] = k->video_channels, [TK_AUDIO] = k->audio_channels}};
        st = sample_window(s, &w, &scratch, out, t->step_done, t->ctx);
        tk_arena_free(&scratch);
        TK_TRY(tk_parallel_unless_alone(&s->mesh->replica, st));
    }
    return TK_OK;
}

// ---- media -------------------------------------------------------------------------------------

tk_status tk_story_decode(const tk_story *s, const tk_codec *codec, const tk_latents *x,
                          tk_media *out)
{
    tk_status st;
    *out = tk_grid_media(tk_codec_get_info(codec), &s->grid);
    TK_TRY(tk_media_alloc(out));
    TK_TRY_TO(st, fail, tk_codec_decode_video(codec, x->rows[TK_VIDEO], &s->grid, out->rgb));
    TK_TRY_TO(st, fail,
              tk_codec_decode_audio(codec, x->rows[TK_AUDIO], s->grid.audio_rows, out->channels,
                                    out->pcm, out->samples));
    return TK_OK;
fail:
    tk_media_free(out);
    return st;
}
