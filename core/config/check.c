// SPDX-License-Identifier: Apache-2.0
// Rules between options. A rule is left out when one of its options was already reported.
#include "core/config/codec.h"
#include "core/config/load.h"
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

static const tk_source *source(const tk_loading *l, const char *name)
{
    return &l->source.row[tk_table_index(l->table, tk_option_find(l->table, name))];
}

static tk_place place_of_source(const tk_loading *l, const tk_source *s)
{
    return s->given ? s->at : (tk_place){.file = l->file};
}

static tk_place place_of_item(const tk_loading *l, const tk_source *list, int64_t k)
{
    return k < list->n_items ? list->item[k].at : place_of_source(l, list);
}

// The config that is read.
static const tk_config *config(const tk_loading *l)
{
    return l->base;
}

// Adds an error line about `name` (and `other`, may be NULL) at the place where the first of them
// that was given was given, unless either is already known to be bad.
__attribute__((format(printf, 5, 6))) static tk_status
broken(tk_loading *l, bool is_broken, const char *name, const char *other, const char *fmt, ...)
{
    const tk_source *a = source(l, name), *b = other ? source(l, other) : a;
    if (!is_broken || a->bad || b->bad) return TK_OK;
    const tk_source *at = a->given ? a : b;
    char words[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    return tk_config_error(l, place_of_source(l, at), name, "%s", words);
}

static tk_status check_model(tk_loading *l)
{
    const tk_model_config *m = &config(l)->model;
    TK_TRY(broken(l, 6 * m->rope_freq_dim > m->head_dim, "model.rope_freq_dim", "model.head_dim",
                  "6 * %" PRId64 " rotary channels do not fit model.head_dim %" PRId64,
                  m->rope_freq_dim, m->head_dim));
    const bool golden = l->command == TK_CMD_PARITY; // there is no codec to ask
    TK_TRY(broken(l, golden && m->video_channels == 0, "model.video_channels", NULL,
                  "a golden file must say it"));
    TK_TRY(broken(l, golden && m->audio_channels == 0, "model.audio_channels", NULL,
                  "a golden file must say it"));
    return broken(l, m->freq_dim % 2 != 0, "model.freq_dim", NULL,
                  "%" PRId64 " is odd; cosines and sines need an even number", m->freq_dim);
}

static tk_status check_media(tk_loading *l)
{
    const tk_media_config *m = &config(l)->media;
    const tk_codec_config *c = &config(l)->codec;
    TK_TRY(broken(l, !tk_patch_divides(m->width, c->patch_size), "media.width", "codec.patch_size",
                  "%" PRId64 " is not a multiple of codec.patch_size %" PRId64, m->width,
                  c->patch_size));
    TK_TRY(broken(l, !tk_patch_divides(m->height, c->patch_size), "media.height",
                  "codec.patch_size", "%" PRId64 " is not a multiple of codec.patch_size %" PRId64,
                  m->height, c->patch_size));
    const int64_t values = tk_patch_numbers(c->patch_frames, c->patch_size);
    TK_TRY(broken(l, c->video_channels > values, "codec.video_channels", "codec.patch_size",
                  "%" PRId64 " is more than the %" PRId64 " values of a patch", c->video_channels,
                  values));
    TK_TRY(broken(l, c->audio == TK_SOUND_MDCT && c->audio_channels > c->audio_hop,
                  "codec.audio_channels", "codec.audio_hop",
                  "%" PRId64 " is more than the %" PRId64 " samples of codec.audio_hop",
                  c->audio_channels, c->audio_hop));
    const tk_import_config *i = &config(l)->import;
    return broken(l, i->min_seconds > i->clip_seconds, "import.min_seconds", "import.clip_seconds",
                  "%g is more than import.clip_seconds %g", i->min_seconds, i->clip_seconds);
}

// Whoever writes files that refer to their codec has to say where it is.
static tk_status check_store(tk_loading *l)
{
    const tk_codec_config *c = &config(l)->codec;
    const bool writes = l->command == TK_CMD_DATA || l->command == TK_CMD_TRAIN;
    return broken(l, writes && c->store == TK_CODEC_REFER && !c->file[0], "codec.file",
                  "codec.store", "missing: codec.store refer needs the file that holds the codec");
}

static tk_status check_train(tk_loading *l)
{
    const tk_train_config *t = &config(l)->train;
    TK_TRY(broken(l, t->microbatch > t->batch, "train.microbatch", "train.batch",
                  "%" PRId64 " is more than train.batch %" PRId64, t->microbatch, t->batch));
    const tk_data_config *d = &config(l)->data;
    TK_TRY(broken(l, t->check_every > 0 && !d->n_check && !d->hold_out, "train.check_every",
                  "data.hold_out",
                  "needs clips that are not trained on: data.hold_out=16, or files of their own as "
                  "data.check"));
    TK_TRY(broken(l, !t->out[0], "train.out", NULL, "must name a directory, as runs/first"));
    return broken(l, l->command == TK_CMD_TRAIN && config(l)->data.n_files == 0, "data.files", NULL,
                  "missing: name the clip files to train on");
}

static tk_status check_tasks(tk_loading *l)
{
    double all = 0;
    for (int t = 0; t < TK_TASKS; t++) all += config(l)->tasks.weight[t];
    return broken(l, !(all > 0), "tasks.text", NULL,
                  "all tasks have the weight 0; give one of them more, as tasks.text=1");
}

static tk_status check_parallel(tk_loading *l)
{
    const tk_parallel_config *p = &config(l)->parallel;
    const bool interleaved = p->schedule == TK_SCHEDULE_INTERLEAVED;
    TK_TRY(broken(l, interleaved && p->chunks < 2, "parallel.chunks", "parallel.schedule",
                  "parallel.schedule interleaved needs 2 or more runs of blocks on a stage"));
    return broken(l, !interleaved && p->chunks > 1, "parallel.chunks", "parallel.schedule",
                  "%" PRId64 " runs of blocks on a stage need parallel.schedule=interleaved",
                  p->chunks);
}

// What cuDNN's attention never does, told before anything is opened.
static tk_status check_attention(tk_loading *l)
{
    const tk_config *c = config(l);
    const bool wanted = c->parallel.attention == TK_ATTENTION_CUDNN;
    const bool trains = l->command & (TK_CMD_TRAIN | TK_CMD_PLAN | TK_CMD_BENCH);
    const int64_t device = c->parallel.device;
    TK_TRY(broken(l, wanted && (device == TK_DEVICE_CPU || device == TK_DEVICE_REF), "attention",
                  "device", "cuDNN computes on GPUs: attention=cudnn needs device=cuda"));
    TK_TRY(broken(l, wanted && trains && c->train.precision == TK_PRECISION_FP32, "attention",
                  "train.precision",
                  "cuDNN's attention is in bf16: attention=cudnn needs train.precision=bf16"));
    return broken(l, wanted && trains && c->model.head_dim % 16 != 0, "attention", "model.head_dim",
                  "cuDNN's attention knows heads of 16, 32, 48, ... channels: model.head_dim is "
                  "%" PRId64,
                  c->model.head_dim);
}

// Where an option of a shot was given, and of a list the k-th of it; or the shot.
static tk_place place_in_shot(const tk_loading *l, const tk_source *shot, const char *option,
                              int64_t k)
{
    const tk_table *t = tk_option_find(l->table, "shots")->items;
    const tk_source *own =
        shot->row ? &shot->row[tk_table_index(t, tk_option_find(t, option))] : shot;
    return own->given ? place_of_item(l, own, k) : place_of_source(l, shot);
}

// Each number that a shot cannot remember.
static tk_status check_remembered(tk_loading *l, int64_t i, const tk_source *shot)
{
    const tk_shot_config *s = &config(l)->story.shots[i];
    char name[48];
    for (int64_t k = 0; k < s->n_remember; k++) {
        const tk_place at = place_in_shot(l, shot, "remember", k);
        bool twice = false;
        for (int64_t j = 0; j < k; j++) twice = twice || s->remember[j] == s->remember[k];
        snprintf(name, sizeof name, "shots[%" PRId64 "].remember", i);
        if (s->remember[k] >= i)
            TK_TRY(tk_config_error(l, at, name,
                                   "%" PRId64 " is no earlier shot: they are counted from 0, and "
                                   "before shots[%" PRId64 "] are %" PRId64,
                                   s->remember[k], i, i));
        else if (twice)
            TK_TRY(tk_config_error(l, at, name, "%" PRId64 " stands there twice; name it once",
                                   s->remember[k]));
    }
    return TK_OK;
}

// A shot of another clip: which part of it, and what is kept.
static tk_status check_taken(tk_loading *l, int64_t i, const tk_source *shot)
{
    const tk_shot_config *s = &config(l)->story.shots[i];
    char name[32];
    snprintf(name, sizeof name, "shots[%" PRId64 "]", i);
    if (s->shot < 0 && s->seconds == 0)
        TK_TRY(tk_config_error(l, place_of_source(l, shot), name,
                               "which part of the clip? say shot: 0 for its first shot, or from "
                               "and seconds"));
    for (int64_t k = 0; k < s->n_keep; k++)
        if (strcmp(s->keep[k], "sound") && strcmp(s->keep[k], "picture"))
            TK_TRY(tk_config_error(l, place_in_shot(l, shot, "keep", k), name,
                                   "keep: \"%.60s\" cannot be kept; sound or picture can",
                                   s->keep[k]));
    if (s->n_keep == 2 && !strcmp(s->keep[0], s->keep[1]))
        TK_TRY(tk_config_error(l, place_in_shot(l, shot, "keep", 1), name,
                               "keep: %.60s stands there twice; name it once", s->keep[0]));
    return check_remembered(l, i, shot);
}

static tk_status check_shot(tk_loading *l, int64_t i)
{
    const tk_shot_config *s = &config(l)->story.shots[i];
    const tk_source *list = source(l, "shots"), *at = list->item ? &list->item[i] : list;
    char name[32];
    snprintf(name, sizeof name, "shots[%" PRId64 "]", i);
    if (at->bad) return TK_OK;
    if (tk_shot_is_taken(s)) return check_taken(l, i, at);
    if (s->seconds == 0)
        TK_TRY(
            tk_config_error(l, place_of_source(l, at), name, "no seconds: how long is the shot?"));
    if (!s->prompt[0])
        TK_TRY(tk_config_error(l, place_of_source(l, at), name, "no prompt: what is to be seen?"));
    const char *without = s->shot >= 0 ? "shot" : s->from > 0 ? "from" : s->n_keep ? "keep" : NULL;
    if (without)
        TK_TRY(tk_config_error(l, place_in_shot(l, at, without, 0), name,
                               "%s without clip: which clip is it taken of?", without));
    return check_remembered(l, i, at);
}

static tk_status check_remixed_shots(tk_loading *l)
{
    const tk_storyboard *b = &config(l)->story;
    const tk_remix_config *r = &b->remix;
    const tk_source *at = source(l, "remix.shots");
    for (int64_t k = 0; k < r->n_shots && !at->bad; k++) {
        bool twice = false;
        for (int64_t j = 0; j < k; j++) twice = twice || r->shots[j] == r->shots[k];
        if (twice)
            TK_TRY(tk_config_error(l, place_of_item(l, at, k), "remix.shots",
                                   "%" PRId64 " stands there twice; name it once", r->shots[k]));
        else if (b->n_shots && r->shots[k] >= b->n_shots)
            TK_TRY(tk_config_error(l, place_of_item(l, at, k), "remix.shots",
                                   "%" PRId64 " is none of the %" PRId64
                                   " shots, which are counted from 0",
                                   r->shots[k], b->n_shots));
    }
    TK_TRY(broken(l, r->at >= b->n_shots && b->n_shots, "remix.at", NULL,
                  "%" PRId64 " is none of the %" PRId64 " shots, which are counted from 0", r->at,
                  b->n_shots));
    TK_TRY(broken(l, r->at > 0 && !b->n_shots, "remix.at", NULL,
                  "the shots are the clip's own: list them, with those before it"));
    const bool both = r->shots && (r->from > 0 || r->to > 0);
    return broken(l, both, "remix.shots", NULL,
                  "says already what is made: leave remix.from and remix.to out");
}

static tk_status check_kept(tk_loading *l)
{
    const tk_remix_config *r = &config(l)->story.remix;
    const tk_source *at = source(l, "remix.keep");
    bool picture = false;
    for (int64_t k = 0; k < r->n_keep && !at->bad; k++) {
        const bool is_picture = !strcmp(r->keep[k], "picture");
        picture = picture || is_picture;
        if (!is_picture && strcmp(r->keep[k], "sound"))
            TK_TRY(tk_config_error(l, place_of_item(l, at, k), "remix.keep",
                                   "\"%.60s\" cannot be kept; sound or picture can", r->keep[k]));
    }
    TK_TRY(broken(l, r->n_keep > 1, "remix.keep", NULL,
                  "sound and picture are both kept: nothing is left to make"));
    return broken(l, picture && tk_remix_is_part(r), "remix.keep", NULL,
                  "the picture is kept: leave remix.left, right, top and bottom out");
}

// What there is to say of a clip that is not named.
static const char *without_clip(const tk_remix_config *r)
{
    if (r->shots) return "remix.shots";
    if (r->from > 0 || r->to > 0) return r->from > 0 ? "remix.from" : "remix.to";
    if (r->at > 0) return "remix.at";
    if (r->left > 0 || r->top > 0) return r->left > 0 ? "remix.left" : "remix.top";
    if (r->right < 1 || r->bottom < 1) return r->right < 1 ? "remix.right" : "remix.bottom";
    return *r->prompt        ? "remix.prompt"
           : r->strength < 1 ? "remix.strength"
           : r->n_keep       ? "remix.keep"
                             : NULL;
}

static tk_status check_remix(tk_loading *l)
{
    const tk_remix_config *r = &config(l)->story.remix;
    const char *name = *r->clip ? NULL : without_clip(r);
    if (l->command != TK_CMD_SAMPLE) return TK_OK; // it is stored, or of a job that is looked at
    if (name) return broken(l, true, name, NULL, "without remix.clip: which clip is made anew?");
    TK_TRY(check_remixed_shots(l));
    return check_kept(l);
}

static tk_status check_film(tk_loading *l)
{
    static const char *const kind[] = {"master", "edl", "srt"};
    const tk_film_config *f = &config(l)->film;
    const tk_source *at = source(l, "film.files");
    if (l->command != TK_CMD_SAMPLE) return TK_OK; // it is stored, or of a job that is looked at
    for (int64_t k = 0; k < f->n_files && !at->bad; k++) {
        bool known = false, twice = false;
        for (int i = 0; i < 3; i++) known = known || !strcmp(f->files[k], kind[i]);
        for (int64_t j = 0; j < k; j++) twice = twice || !strcmp(f->files[j], f->files[k]);
        if (!known)
            TK_TRY(tk_config_error(l, place_of_item(l, at, k), "film.files",
                                   "\"%.60s\" is none of master, edl and srt", f->files[k]));
        else if (twice)
            TK_TRY(tk_config_error(l, place_of_item(l, at, k), "film.files",
                                   "%s stands there twice; name it once", f->files[k]));
    }
    return TK_OK;
}

static tk_status check_story(tk_loading *l)
{
    const tk_storyboard *s = &config(l)->story;
    bool job = config(l)->jobs.n_storyboards > 0, sampling = l->command == TK_CMD_SAMPLE;
    for (int64_t i = 0; i < s->n_shots; i++) TK_TRY(check_shot(l, i));
    TK_TRY(broken(l, (s->size[0] == 0) != (s->size[1] == 0), "size", NULL,
                  "give both width and height, or 0 for both (as trained)"));
    TK_TRY(broken(l, job && s->n_shots > 0, "shots", "storyboards",
                  "a job file (storyboards:) has no shots of its own"));
    TK_TRY(broken(l, sampling && !job && s->n_shots == 0 && !*s->remix.clip, "shots", "storyboards",
                  "missing: a storyboard has at least one shot"));
    TK_TRY(check_remix(l));
    TK_TRY(check_film(l));
    if (sampling) TK_TRY(tk_config_check_named(l)); // else it is stored
    TK_TRY(broken(l, s->takes && s->take > s->takes, "take", "takes",
                  "%" PRId64 " is none of the %" PRId64 " takes, which are counted from 1", s->take,
                  s->takes));
    TK_TRY(broken(l, sampling && *s->negative && config(l)->sample.guidance == 1, "negative",
                  "sample.guidance", "without guidance nothing leads away from it; leave it out"));
    return broken(l, sampling && !job && !s->checkpoint[0], "checkpoint", "storyboards",
                  "missing: name a checkpoint or a run directory");
}

static tk_status check_provenance(tk_loading *l)
{
    const tk_provenance_config *p = &config(l)->provenance;
    return broken(l, !*p->key != !*p->chain, "provenance.key", "provenance.chain",
                  "provenance.key and provenance.chain are given together, or neither is");
}

static tk_status check_watermark(tk_loading *l)
{
    const tk_watermark_config *w = &config(l)->watermark;
    return broken(l, *w->payload && !*w->key, "watermark.payload", "watermark.key",
                  "without watermark.key nothing is marked");
}

tk_status tk_config_check(tk_loading *l)
{
    TK_TRY(check_model(l));
    TK_TRY(check_media(l));
    TK_TRY(check_store(l));
    TK_TRY(check_train(l));
    TK_TRY(check_tasks(l));
    TK_TRY(check_parallel(l));
    TK_TRY(check_attention(l));
    TK_TRY(check_provenance(l));
    TK_TRY(check_watermark(l));
    return check_story(l);
}
