// SPDX-License-Identifier: Apache-2.0
#include "infer/story/story.h"
#include "core/base/log.h"
#include "infer/sampler/digest.h"
#include "parallel/mpi/start.h"
#include <string.h>
#include <xxhash.h>

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

static const int SIDE[TK_MODALITIES] = {[TK_VIDEO] = TK_CODEC_VIDEO, [TK_AUDIO] = TK_CODEC_AUDIO};

// Of shot i, of modality m, on the timeline: the first latent frame or audio row, and how many.
static void shot_span(const tk_story *s, int i, int m, int64_t *first, int64_t *n)
{
    const tk_story_shot *shot = &s->shot[i];
    *first = m == TK_VIDEO ? shot->first_latent : shot->first_audio;
    *n = m == TK_VIDEO ? shot->latents : shot->audio_rows;
}

// Numbers of one of them.
static int64_t numbers_each(const window *w, int m)
{
    const tk_story *s = w->story;
    return w->channels[m] * (m == TK_VIDEO ? s->grid.high * s->grid.wide : s->channels);
}

// Where the rows to make begin among the document's, in numbers. They are the last; the sound of
// the tail is among them.
static int64_t own_begin(const window *w, int m)
{
    int64_t first, n, all = m == TK_AUDIO ? w->story->tail : 0;
    for (int i = w->span.target; i < w->span.end; i++) {
        shot_span(w->story, i, m, &first, &n);
        all += n;
    }
    return w->n_rows[m] * w->channels[m] - all * numbers_each(w, m);
}

// What is given of the shots to make.
static tk_status get_own_rows(const window *w, int m, float *to)
{
    const int64_t numbers = w->n_rows[m] * w->channels[m] - own_begin(w, m);
    int64_t first, n;
    shot_span(w->story, w->span.target, m, &first, &n);
    return tk_story_given_rows(w->given, m, first, numbers / numbers_each(w, m), to);
}

static tk_status give_own_rows(const window *w)
{
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT) TK_TRY(get_own_rows(w, m, w->rows[m] + own_begin(w, m)));
    return TK_OK;
}

// ... which it stays, whatever zero times a velocity is.
static tk_status keep_own_rows(const window *w, tk_arena *a)
{
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        const int64_t each = w->channels[m], begin = own_begin(w, m) / each;
        float *from;
        TK_ARENA_NEW(from, a, (w->n_rows[m] - begin) * each);
        TK_TRY(get_own_rows(w, m, from));
        for (int64_t i = begin; i < w->n_rows[m]; i++)
            if (w->task.doc.given[m][i])
                memcpy(w->rows[m] + i * each, from + (i - begin) * each,
                       (size_t)each * sizeof(float));
    }
    return TK_OK;
}

// to: what follows them.
static tk_status give_references(const window *w, float *to[TK_MODALITIES])
{
    for (int m = 0; m < TK_MODALITIES; m++) {
        to[m] = w->rows[m];
        for (int k = 0; k < w->refs->n && m != TK_TEXT; k++) {
            const tk_reference *r = &w->refs->ref[k];
            const int64_t n =
                m == TK_VIDEO ? r->latents * r->high * r->wide : r->audio_rows * w->story->channels;
            if (!tk_reference_in(r, &w->span)) continue;
            TK_TRY(tk_references_get(w->refs, r, m, n * w->channels[m], to[m]));
            to[m] += n * w->channels[m];
        }
    }
    return TK_OK;
}

static tk_status new_rows(window *w, tk_arena *a)
{
    int64_t count[TK_MODALITIES];
    tk_document_rows(&w->task.doc, count);
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        w->n_rows[m] = count[m];
        TK_ARENA_NEW(w->rows[m], a, count[m] * w->channels[m]);
        w->task.given[m] = w->rows[m];
    }
    return TK_OK;
}

// Collective: the document, with references and what is given. to: where shots made earlier come.
static tk_status lay_story_window(const tk_story_task *t, const tk_codec_info *k, int i, bool holds,
                                  tk_comm *replica, tk_arena *a, window *w,
                                  float *to[TK_MODALITIES])
{
    float *features = NULL;
    *w = (window){.story = t->story,
                  .refs = t->refs,
                  .given = t->given,
                  .span = t->story->windows[i],
                  .channels = {[TK_VIDEO] = k->video_channels, [TK_AUDIO] = k->audio_channels}};
    if (t->text) TK_TRY(tk_story_text_of(t->text, &w->span, a, &features));
    tk_status st = tk_window_task(t, k, i, features, a, &w->task);
    if (st == TK_OK && holds) st = new_rows(w, a);
    TK_TRY(tk_agree(replica, st));
    TK_TRY(tk_agree(replica, holds ? give_references(w, to) : TK_OK));
    return w->given ? tk_agree(replica, holds ? give_own_rows(w) : TK_OK) : TK_OK;
}

// Collective.
static tk_status open_window(const tk_story_task *t, const tk_codec_info *k, int i, bool holds,
                             tk_comm *replica, tk_reel *reel, tk_arena *a, window *w)
{
    float *to[TK_MODALITIES] = {0};
    TK_TRY(lay_story_window(t, k, i, holds, replica, a, w, to));
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        for (int j = 0; j < w->span.n_memory; j++) {
            int64_t first, n;
            shot_span(w->story, w->span.memory[j].shot, m, &first, &n);
            TK_TRY(reel->get(reel, SIDE[m], first, n, to[m]));
            if (holds) to[m] += n * numbers_each(w, m);
        }
    }
    return TK_OK;
}

// ---- the reel ----------------------------------------------------------------------------------

tk_status tk_story_reel(const tk_story *s, const tk_codec_info *k, tk_arena *a, tk_reel_shape *out)
{
    tk_reel_part *part;
    TK_ARENA_NEW(part, a, s->n_windows);
    for (int i = 0; i < s->n_windows; i++) {
        const tk_story_shot *last = &s->shot[s->windows[i].end - 1];
        part[i].end[TK_CODEC_VIDEO] = last->first_latent + last->latents;
        part[i].end[TK_CODEC_AUDIO] = last->first_audio + last->audio_rows;
    }
    part[s->n_windows - 1].end[TK_CODEC_AUDIO] += s->tail;
    *out = (tk_reel_shape){
        .n = s->n_windows,
        .part = part,
        .numbers = {[TK_CODEC_VIDEO] = s->grid.high * s->grid.wide * k->video_channels,
                    [TK_CODEC_AUDIO] = s->channels * k->audio_channels}};
    return TK_OK;
}

// The rows that were made; of the tail only the track's own.
static tk_status put_window(const window *w, int i, bool holds, tk_reel *reel)
{
    const float *rows[TK_CODEC_SIDES];
    for (int m = 0; m < TK_MODALITIES && holds; m++)
        if (m != TK_TEXT) rows[SIDE[m]] = w->rows[m] + own_begin(w, m);
    return reel->put(reel, i, holds ? rows : NULL);
}

// ---- what windows are made of ------------------------------------------------------------------

// Bits of rows that the document is given, beside those of shots made earlier, which end where `to`
// says that they begin: of references; of the shots to make, or all of these where their walk
// begins at them.
static uint64_t mix_given_rows(const window *w, float *const to[TK_MODALITIES], uint64_t h)
{
    for (int m = 0; m < TK_MODALITIES; m++) {
        if (m == TK_TEXT) continue;
        const uint8_t *given = w->task.doc.given[m];
        const int64_t each = w->channels[m];
        h = XXH3_64bits_withSeed(w->rows[m], (size_t)(to[m] - w->rows[m]) * sizeof(float), h);
        for (int64_t i = own_begin(w, m) / each; i < w->n_rows[m] && w->given; i++)
            if ((given && given[i]) || w->task.skip > 0)
                h = XXH3_64bits_withSeed(w->rows[m] + i * each, (size_t)each * sizeof(float), h);
    }
    return h;
}

// Those of shots made earlier are what their windows are made of. Of several shots but the first
// window makes none.
static uint64_t mix_memory(const window *w, const tk_reel_part *part, uint64_t h)
{
    const int first = w->story->windows[0].end;
    for (int k = 0; k < w->span.n_memory; k++) {
        const int shot = w->span.memory[k].shot, of = shot < first ? 0 : shot - first + 1;
        const uint64_t from[] = {part[of].of, (uint64_t)(shot - w->story->windows[of].target)};
        h = XXH3_64bits_withSeed(from, sizeof from, h);
    }
    return h;
}

// Of a rank that holds rows.
static uint64_t digest_of_window(const window *w, float *const to[TK_MODALITIES],
                                 const tk_reel_shape *s, int i, int64_t text_channels,
                                 uint64_t common)
{
    uint64_t of[TK_CODEC_SIDES + 2] = {common, tk_sample_task_digest(&w->task, text_channels)};
    for (int k = 0; k < TK_CODEC_SIDES; k++) // with the tail, or without
        of[2 + k] = (uint64_t)(s->part[i].end[k] - tk_reel_begin(s, i, k));
    return mix_memory(w, s->part, mix_given_rows(w, to, XXH3_64bits(of, sizeof of)));
}

tk_status tk_story_tell_windows(tk_mesh *mesh, const tk_story_task *t, const tk_codec_info *k,
                                uint64_t common, tk_reel_shape *s)
{
    const bool holds = mesh->axis[TK_AXIS_PIPELINE].rank == 0;
    tk_status st = TK_OK;
    tk_arena one;
    tk_arena_init(&one, 1 << 20);
    for (int i = 0; i < s->n && st == TK_OK; i++) {
        float *to[TK_MODALITIES] = {0};
        window w;
        tk_arena_reset(&one);
        st = lay_story_window(t, k, i, holds, &mesh->replica, &one, &w, to);
        if (st == TK_OK && holds)
            s->part[i].of =
                digest_of_window(&w, to, s, i, t->text ? t->text->form.channels : 0, common);
        tk_alive();
    }
    tk_arena_free(&one);
    return st;
}

// ---- sampling ----------------------------------------------------------------------------------

// Whether any of its rows are made. The tail that its document has of the next shot's sound is none
// of them.
static bool makes_rows(const window *w)
{
    return !w->given || tk_story_window_makes(w->given, w->story, &w->span);
}

// The last n steps of a window, without doing them.
static tk_status tell_steps(const tk_story_task *t, int64_t n)
{
    while (n-- > 0 && t->step_done) TK_TRY(t->step_done(t->ctx, n));
    return TK_OK;
}

// The steps of n windows at once, which are ready for them.
static tk_status run_windows(tk_session *s, int n, window *const *w, const tk_story_task *t,
                             tk_arena *a)
{
    const tk_sample_task **task;
    float *const **rows;
    TK_ARENA_NEW(task, a, n);
    TK_ARENA_NEW(rows, a, n);
    for (int i = 0; i < n; i++) {
        task[i] = &w[i]->task;
        rows[i] = w[i]->rows;
    }
    return tk_parallel_unless_alone(
        &s->mesh->replica, tk_sampler_run_all(&s->sampler, n, task, rows, t->step_done, t->ctx));
}

static tk_status make_windows(tk_session *s, int n, const tk_story_part *part, bool *taken,
                              tk_arena *a)
{
    const tk_codec_info *k = tk_codec_get_info(s->trained->meta.codec);
    tk_comm *replica = &s->mesh->replica;
    const bool holds = s->mesh->axis[TK_AXIS_PIPELINE].rank == 0;
    window *all, **run;
    int n_run = 0;
    TK_ARENA_NEW(all, a, n);
    TK_ARENA_NEW(run, a, n);
    for (int i = 0; i < n; i++) {
        const tk_story_task *t = part[i].task;
        window *w = &all[i];
        TK_TRY(open_window(t, k, part[i].window, holds, replica, part[i].reel, a, w));
        taken[i] = i == 0 || (makes_rows(&all[0]) && makes_rows(w) &&
                              tk_sampler_together(&s->sampler, &all[0].task, &w->task));
        if (taken[i]) run[n_run++] = w;
    }
    if (makes_rows(&all[0]))
        TK_TRY(run_windows(s, n_run, run, part[0].task, a));
    else // all of it is given
        TK_TRY(tell_steps(part[0].task, all[0].task.steps - 1));
    for (int i = 0; i < n; i++) {
        if (taken[i] && all[i].given)
            TK_TRY(tk_agree(replica, holds ? keep_own_rows(&all[i], a) : TK_OK));
        if (taken[i]) TK_TRY(put_window(&all[i], part[i].window, holds, part[i].reel));
    }
    return TK_OK;
}

tk_status tk_story_make_together(tk_session *s, int n, const tk_story_part *part, bool *taken)
{
    tk_arena scratch;
    tk_arena_init(&scratch, 1 << 20);
    const tk_status st = make_windows(s, n, part, taken, &scratch);
    tk_arena_free(&scratch);
    TK_TRY(st);
    return tell_steps(part[0].task, 1);
}

tk_status tk_story_make(tk_session *s, const tk_story_task *t, tk_reel *reel)
{
    for (int i = 0; i < t->story->n_windows; i++) {
        const tk_story_part part = {t, i, reel};
        bool taken;
        if (reel->has(reel, i))
            TK_TRY(tell_steps(t, tk_story_steps(t->config)));
        else
            TK_TRY(tk_story_make_together(s, 1, &part, &taken));
    }
    return TK_OK;
}

tk_status tk_story_sample(tk_session *s, const tk_story_task *t, tk_arena *a, tk_latents *out)
{
    const tk_codec_info *k = tk_codec_get_info(s->trained->meta.codec);
    tk_reel_shape shape;
    tk_reel_memory reel = {0};
    *out = (tk_latents){0};
    tk_status st = tk_story_reel(t->story, k, a, &shape);
    if (st == TK_OK)
        st = tk_reel_in_memory(&shape, s->mesh->axis[TK_AXIS_PIPELINE].rank == 0, a, &reel);
    TK_TRY(tk_agree(&s->mesh->replica, st));
    TK_TRY(tk_story_make(s, t, &reel.reel));
    for (int m = 0; m < TK_MODALITIES; m++)
        if (m != TK_TEXT) out->rows[m] = reel.rows[SIDE[m]];
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
