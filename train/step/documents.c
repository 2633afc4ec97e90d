// SPDX-License-Identifier: Apache-2.0
#include "train/step/documents.h"
#include "core/numbers/rng.h"
#include "train/step/references.h"
#include <math.h>
#include <string.h>

void tk_noise_levels(const tk_train_config *c, double x, double *t_video, double *t_audio)
{
    const double sigma = 1 / (1 + exp(c->time_mean + c->time_std * x)); // 1 - sigmoid
    *t_video = 1 - c->video_shift * sigma / (1 + (c->video_shift - 1) * sigma);
    *t_audio = 1 - c->audio_shift * sigma / (1 + (c->audio_shift - 1) * sigma);
}

static int64_t caption_rows(const tk_text_form *f, const tk_clip_shot *s, bool dropped)
{
    if (f->channels) return dropped || !s->feature_rows ? f->empty_rows : s->feature_rows;
    return 1 + (dropped ? 0 : (int64_t)strlen(s->caption));
}

tk_status tk_captions_lay(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                          bool dropped, tk_arena *a, tk_document *d)
{
    const int references = d->n_shots - n_shots;
    int64_t *rows;
    TK_ARENA_NEW(rows, a, d->n_shots);
    d->caption_rows = rows;
    d->text_rows = 0;
    for (int k = 0; k < n_shots; k++)
        d->text_rows += rows[references + k] = caption_rows(f, &shot[k], dropped);
    return TK_OK;
}

int32_t *tk_caption_tokens(int n_shots, const tk_clip_shot *shot, bool dropped, int32_t *to)
{
    for (int k = 0; k < n_shots; k++) {
        *to++ = TK_BYTE_SHOT;
        if (dropped) continue;
        for (const char *s = shot[k].caption; *s; s++) *to++ = (unsigned char)*s;
    }
    return to;
}

float *tk_caption_features(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                           bool dropped, const float *own, float *to)
{
    for (int k = 0; k < n_shots; k++) {
        const int64_t rows = shot[k].feature_rows, n = caption_rows(f, &shot[k], dropped);
        const float *from = dropped || !rows ? f->empty : own;
        const size_t bytes = (size_t)(n * f->channels) * sizeof *to;
        if (from)
            memcpy(to, from, bytes);
        else
            memset(to, 0, bytes);
        to += n * f->channels;
        if (own) own += rows * f->channels;
    }
    return to;
}

tk_document tk_document_on_grid(const tk_codec_info *c, int64_t high, int64_t wide,
                                int64_t channels)
{
    return (tk_document){
        .height = high,
        .width = wide,
        .fps = (double)c->fps,
        .cadence = {c->patch_frames},
        .audio_units = tk_grid_audio_span(c, TK_CLOCK),
        .audio_channels = channels,
        .t_clean = 1,
    };
}

// How many of the first shots are given: 0, or with probability `memory`, and where that is the
// task always, uniformly 1..n-1.
static int given_shots(const tk_train_config *c, tk_task task, int64_t step, int64_t j, int n_shots)
{
    const tk_key key = tk_rng_key((uint64_t)c->seed, TK_RNG_MEMORY, (uint64_t)step);
    if (n_shots < 2) return 0;
    if (task != TK_TASK_CONTINUE && tk_rng_uniform(key, 2 * (uint64_t)j) >= c->memory) return 0;
    return 1 + (int)tk_rng_below(key, 2 * (uint64_t)j + 1, n_shots - 1);
}

typedef struct step_clip { // of a document under way
    const tk_clips *file;
    const tk_clip_info *info;
    const tk_bucket *bucket;
    const tk_codec_info *codec;
} step_clip;

// What the clip cites, before its own shots, and captions that name it.
static tk_status lay_citations(const step_clip *c, tk_shot_rows *shots, tk_step_document *d,
                               tk_arena *a)
{
    const tk_clip_info *info = c->info;
    tk_reference_rows *rows;
    TK_ARENA_NEW(rows, a, info->n_citations);
    for (int k = 0; k < info->n_citations; k++) {
        const tk_clip_reference *r = &c->file->reference[info->citation[k].reference];
        rows[k] = (tk_reference_rows){.tag = info->citation[k].tag,
                                      .latent_frames = r->latent_frames,
                                      .high = r->high,
                                      .wide = r->wide,
                                      .audio_rows = r->audio_rows};
    }
    tk_lay_references(info->n_citations, rows, c->codec, shots);
    for (int k = 0; k < info->n_citations; k++)
        for (int m = 0; m < TK_MODALITIES; m++) d->cited[m] += tk_shot_count(&d->doc, k, m);
    return tk_cite_captions(info, a, &d->shot);
}

static tk_status make_shots(tk_step_document *d, const step_clip *c, int references, int given,
                            tk_arena *a)
{
    const tk_clip_info *info = c->info;
    const tk_bucket *b = c->bucket;
    tk_shot_rows *shots;
    int64_t frames = 0, audio = 0;
    TK_ARENA_NEW(shots, a, references + info->n_shots);
    d->doc.shots = shots;
    d->doc.n_shots = references + info->n_shots;
    if (references) TK_TRY(lay_citations(c, shots, d, a));
    shots += references;
    for (int k = 0; k < info->n_shots; k++) {
        const tk_clip_shot *s = &info->shot[k];
        shots[k] = (tk_shot_rows){.latent_frames = s->latent_frames,
                                  .audio_rows = s->audio_rows,
                                  .start = s->start,
                                  .target = k >= given};
        frames += s->latent_frames;
        audio += s->audio_rows;
    }
    if (frames != b->latent_frames || audio != b->audio_rows)
        return TK_FAIL(TK_INPUT,
                       "%s: its shots have %lld latent frames and %lld audio rows, the clip "
                       "has %lld and %lld",
                       info->name, (long long)frames, (long long)audio, (long long)b->latent_frames,
                       (long long)b->audio_rows);
    return TK_OK;
}

// A clip that cannot do the task chosen for it is made from its captions.
static tk_status choose_task(const tk_config *c, const step_clip *of_clip, int64_t step,
                             tk_arena *a, tk_step_document *d)
{
    const tk_clip_info *info = of_clip->info;
    const int64_t j = d->doc.id;
    const tk_key key = tk_rng_key((uint64_t)c->train.seed, TK_RNG_TASK, (uint64_t)step);
    const tk_task task = tk_task_choose(&c->tasks, key, j);
    const int memory = given_shots(&c->train, task, step, j, info->n_shots);
    const int references = task == TK_TASK_REFERENCES ? info->n_citations : 0;
    const tk_task_document of = {.doc = &d->doc,
                                 .first = references + memory,
                                 .memory = memory,
                                 .references = references,
                                 .codec = of_clip->codec};
    TK_TRY(make_shots(d, of_clip, references, memory, a));
    d->unfit = !tk_task_can(task, &of);
    d->task = d->unfit ? TK_TASK_TEXT : task;
    return tk_task_give(d->task, &of, key, j, a);
}

static tk_status make_document(const tk_loader *l, const tk_config *config,
                               const tk_text_form *form, int64_t step, int64_t j, tk_arena *a,
                               tk_step_document *d)
{
    const tk_train_config *c = &config->train;
    const uint64_t seed = (uint64_t)c->seed;
    step_clip of = {.codec = tk_codec_get_info(tk_loader_codec(l))};
    d->sample = tk_loader_sample(l, seed, step, c->batch, j);
    of.info = tk_loader_info(l, d->sample, &of.bucket);
    of.file = tk_loader_file(l, d->sample);
    const tk_key drop = tk_rng_key(seed, TK_RNG_DROP, (uint64_t)step);
    const tk_key time = tk_rng_key(seed, TK_RNG_TIME, (uint64_t)step);
    d->dropped = tk_rng_uniform(drop, (uint64_t)j) < c->drop_caption;
    d->doc =
        tk_document_on_grid(of.codec, of.bucket->high, of.bucket->wide, of.bucket->audio_channels);
    d->doc.id = j;
    d->shot = of.info->shot;
    tk_noise_levels(c, tk_rng_normal(time, (uint64_t)j), &d->doc.t_video, &d->doc.t_audio);
    TK_TRY(choose_task(config, &of, step, a, d));
    TK_TRY(tk_captions_lay(form, of.info->n_shots, d->shot, d->dropped, a, &d->doc));
    tk_document_rows(&d->doc, d->rows);
    d->targets[TK_VIDEO] = tk_document_targets(&d->doc, TK_VIDEO);
    d->targets[TK_AUDIO] = tk_document_targets(&d->doc, TK_AUDIO);
    return TK_OK;
}

static void count_document(tk_step_documents *all, const tk_step_document *d)
{
    for (int m = 0; m < TK_MODALITIES; m++) {
        all->rows += d->rows[m];
        all->targets[m] += d->targets[m];
        all->tasks.targets[d->task] += d->targets[m];
    }
    all->tasks.documents[d->task]++;
    all->tasks.unfit += d->unfit;
}

tk_status tk_step_documents_make(const tk_loader *l, const tk_config *c, int64_t step, tk_arena *a,
                                 tk_step_documents *out)
{
    *out = (tk_step_documents){.step = step, .n = c->train.batch};
    TK_ARENA_NEW(out->document, a, c->train.batch);
    if (c->model.text == TK_TEXT_FEATURES) TK_TRY(tk_loader_text_form(l, &out->text));
    for (int64_t j = 0; j < c->train.batch; j++) {
        tk_step_document *d = &out->document[j];
        TK_TRY(make_document(l, c, &out->text, step, j, a, d));
        count_document(out, d);
    }
    return TK_OK;
}

tk_status tk_step_stream(const tk_loader *l, const tk_step_documents *d, int64_t begin, int64_t end,
                         tk_arena *a, tk_stream *s, const int32_t **tokens)
{
    int64_t rows = 0, text = 0;
    int32_t *to = NULL;
    for (int64_t j = begin; j < end; j++) {
        rows += tk_document_rows(&d->document[j].doc, NULL);
        text += d->document[j].rows[TK_TEXT];
    }
    if (rows > INT32_MAX)
        return TK_FAIL(TK_INPUT,
                       "a microbatch of %lld rows is too large; lower train.microbatch (now "
                       "%lld documents)",
                       (long long)rows, (long long)(end - begin));
    TK_TRY(tk_stream_init(s, a, rows, end - begin, 3 * (end - begin)));
    if (!d->text.channels) TK_ARENA_NEW(to, a, text);
    *tokens = to;
    for (int64_t j = begin; j < end; j++) {
        const tk_step_document *e = &d->document[j];
        const tk_bucket *b;
        TK_TRY(tk_stream_append(s, &e->doc));
        const tk_clip_info *info = tk_loader_info(l, e->sample, &b);
        if (to) to = tk_caption_tokens(info->n_shots, e->shot, e->dropped, to);
    }
    return TK_OK;
}

tk_microbatches tk_microbatches_of(const tk_train_config *c, int rank, int ranks)
{
    tk_microbatches m = {tk_split_begin(c->batch, ranks, rank),
                         tk_split_count(c->batch, ranks, rank), 0};
    m.n = (m.count + c->microbatch - 1) / c->microbatch;
    return m;
}

int64_t tk_microbatch_begin(const tk_microbatches *m, int64_t i)
{
    return m->begin + (m->n ? tk_split_begin(m->count, m->n, i) : 0);
}

int64_t tk_microbatch_most_rows(const tk_microbatches *m, const tk_step_documents *d)
{
    int64_t most = 0;
    for (int64_t i = 0; i < m->n; i++) {
        int64_t rows = 0;
        for (int64_t j = tk_microbatch_begin(m, i); j < tk_microbatch_begin(m, i + 1); j++)
            rows += tk_document_rows(&d->document[j].doc, NULL);
        if (rows > most) most = rows;
    }
    return most;
}
