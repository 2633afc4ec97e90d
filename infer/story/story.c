// SPDX-License-Identifier: Apache-2.0
#include "infer/story/story.h"
#include "parallel/mpi/start.h"
#include <stdio.h>
#include <string.h>

typedef struct window { // one document, from the story's timeline and back
    const tk_story *story;
    const tk_references *refs;
    const tk_story_given *given; // NULL: nothing
    tk_window span;
    tk_sample_task task;
    float *rows[TK_MODALITIES];
    int64_t n_rows[TK_MODALITIES], channels[TK_MODALITIES];
} window;

// ---- rows --------------------------------------------------------------------------------------

// Rows of shot i of the story in the timeline, of modality m: first and number.
static void shot_span(const tk_story *s, int i, int m, int64_t *first, int64_t *n)
{
    const tk_story_shot *shot = &s->shot[i];
    const int64_t each = m == TK_VIDEO ? s->grid.high * s->grid.wide : s->channels;
    *first = each * (m == TK_VIDEO ? shot->first_latent : shot->first_audio);
    *n = each * (m == TK_VIDEO ? shot->latents : shot->audio_rows);
}

// What is given of the shots to make; the sound of the tail with it.
static void give_own_rows(const window *w, int m)
{
    const int64_t channels = w->channels[m];
    int64_t first, n, all = 0;
    for (int i = w->span.target; i < w->span.end; i++) {
        shot_span(w->story, i, m, &first, &n);
        all += n;
    }
    if (m == TK_AUDIO) all += w->story->tail * w->story->channels;
    shot_span(w->story, w->span.target, m, &first, &n);
    memcpy(w->rows[m] + (w->n_rows[m] - all) * channels, w->given->rows[m] + first * channels,
           tk_array_bytes(all * channels, 4));
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
            m == TK_VIDEO ? r->latents * r->high * r->wide : r->audio_rows * s->channels;
        if (n) memcpy(to, m == TK_VIDEO ? r->video : r->audio, tk_array_bytes(n * channels, 4));
        to += n * channels;
    }
    for (int i = w->span.memory; i < w->span.target; i++) {
        int64_t first, n;
        shot_span(s, i, m, &first, &n);
        memcpy(to, x->rows[m] + first * channels, tk_array_bytes(n * channels, 4));
        to += n * channels;
    }
    if (w->given) give_own_rows(w, m);
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

static bool has_targets(const tk_document *d)
{
    return tk_document_targets(d, TK_VIDEO) + tk_document_targets(d, TK_AUDIO) > 0;
}

static tk_status sample_window(tk_session *s, window *w, tk_arena *a, tk_latents *x,
                               void (*step_done)(void *ctx), void *ctx)
{
    const bool first = s->mesh->axis[TK_AXIS_PIPELINE].rank == 0;
    int64_t count[TK_MODALITIES];
    tk_document_rows(&w->task.doc, count);
    for (int m = 0; m < TK_MODALITIES && first; m++) {
        if (m == TK_TEXT) continue;
        w->n_rows[m] = count[m];
        TK_TRY(give_rows(w, m, x, a));
    }
    if (has_targets(&w->task.doc))
        TK_TRY(tk_sampler_run(&s->sampler, &w->task, w->rows, step_done, ctx));
    else // all of it is given
        for (int64_t k = 0; k < w->task.steps && step_done; k++) step_done(ctx);
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
    const tk_story *story = t->story;
    const tk_codec_info *k = tk_codec_get_info(s->trained->meta.codec);
    *out = (tk_latents){0};
    tk_status st =
        s->mesh->axis[TK_AXIS_PIPELINE].rank == 0 ? new_timeline(story, k, a, out) : TK_OK;
    TK_TRY(tk_agree(&s->mesh->replica, st));
    for (int i = 0; i < story->n_windows; i++) {
        tk_arena scratch;
        tk_arena_init(&scratch, 1 << 20);
        window w = {.story = story,
                    .refs = t->refs,
                    .given = t->given,
                    .span = story->windows[i],
                    .channels = {[TK_VIDEO] = k->video_channels, [TK_AUDIO] = k->audio_channels}};
        st = tk_window_task(t, k, i, &scratch, &w.task);
        if (st == TK_OK) st = sample_window(s, &w, &scratch, out, t->step_done, t->ctx);
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
