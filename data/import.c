// SPDX-License-Identifier: Apache-2.0
// talkie data import: see data/import.h.
//
// Four steps, with at most one clip per rank in memory (and the clips of the fit on rank 0):
// look at every file (packets only), plan the clips and where they lie, get a codec, then decode,
// encode and write. Files are shared out over the ranks in the first step in turn, in the last one
// by the clips they give; verdicts on files are exchanged after each.
#include "data/import.h"
#include "core/log.h"
#include "data/clip_internal.h"
#include "data/import_internal.h"
#include "data/media_reader.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIT_BYTES = 1 << 30 }; // of media held for the codec's fit

typedef struct tk_import {
    tk_comm *world;
    const tk_config *c;
    tk_arena arena;
    int n_files;
    tk_import_file *file;
    int64_t patch_frames, patch_size;
    int64_t clip_frames; // of a whole clip
    int64_t n;           // clips
    tk_clip_info *clip;
    int64_t *frames_of; // (n)
    int n_buckets;
    tk_bucket *bucket; // one for each length of clip
    tk_codec *codec;
    tk_clip_writer *writer;
    tk_import_buffer buffer;
    float *video, *audio; // rows of a clip
    bool *wanted;         // (n) for the fit
    tk_media_clip *fit;   // (fitted) copies
    int64_t fitted, fit_next;
    tk_progress progress;
    int64_t done;
} tk_import;

// Where all ranks fail with the same words, no rank is to be named in them.
static tk_status all_fail(tk_status st)
{
    tk_status_set_shared(true);
    return st;
}

static tk_status check_arguments(const tk_import *im)
{
    const char *out = im->c->output;
    if (im->n_files < 1)
        return TK_FAIL(TK_INPUT, "no media to import: name the files, as in "
                                 "`talkie data import clips/*.mp4 -o my.h5`");
    if (!out || !*out) return TK_FAIL(TK_INPUT, "say where to write the clips: -o my.h5");
    for (int i = 0; i < im->n_files; i++)
        if (strcmp(out, im->file[i].path) == 0)
            return TK_FAIL(TK_INPUT, "-o %s would overwrite a file to import", out);
    return TK_OK;
}

// Found out before hours of decoding: whether the output's folder can be written.
static tk_status check_folder(const char *out)
{
    char folder[4096];
    const char *slash = strrchr(out, '/');
    int n = slash ? (int)(slash - out) : 1;
    if (n >= (int)sizeof folder) return TK_FAIL(TK_INPUT, "the output path is too long: %s", out);
    snprintf(folder, sizeof folder, "%.*s", n ? n : 1, slash ? (n ? out : "/") : ".");
    if (access(folder, W_OK | X_OK) != 0)
        return TK_FAIL(TK_INPUT, "cannot write %s: the folder %s is not there or not writable", out,
                       folder);
    return TK_OK;
}

// Codec ---------------------------------------------------------------------------------------

static tk_status read_codec(tk_import *im, const char *path)
{
    hid_t file, group;
    TK_TRY(tk_h5_open(path, TK_CLIP_FORMAT, TK_CLIP_VERSION, &file));
    group = tk_h5_exists(file, "codec") ? H5Gopen2(file, "codec", H5P_DEFAULT) : -1;
    tk_status st = group >= 0 ? tk_codec_read(group, &im->codec)
                              : TK_FAIL(TK_INPUT, "%s has no group \"codec\"", path);
    if (group >= 0) H5Gclose(group);
    H5Fclose(file);
    TK_TRY(st);
    const tk_codec_info *i = tk_codec_get_info(im->codec);
    const tk_media_config *m = &im->c->media;
    if (i->fps != m->fps || i->sample_rate != m->sample_rate || i->channels != m->channels)
        return TK_FAIL(TK_INPUT,
                       "import.codec %s is for %lld fps, %lld Hz and %lld channels; media.fps, "
                       "media.sample_rate and media.channels are %lld, %lld and %lld",
                       path, (long long)i->fps, (long long)i->sample_rate, (long long)i->channels,
                       (long long)m->fps, (long long)m->sample_rate, (long long)m->channels);
    return TK_OK;
}

// The given codec, if one is given, and the patch that clips are cut to.
static tk_status find_patch(tk_import *im)
{
    const char *path = im->c->import.codec;
    const tk_media_config *m = &im->c->media;
    im->patch_frames = im->c->codec.patch_frames;
    im->patch_size = im->c->codec.patch_size;
    if (path && *path) {
        tk_status st = im->world->rank == 0 ? read_codec(im, path) : TK_OK;
        TK_TRY(tk_agree(im->world, st));
        TK_TRY(tk_codec_broadcast(im->world, &im->codec, 0));
        im->patch_frames = tk_codec_get_info(im->codec)->patch_frames;
        im->patch_size = tk_codec_get_info(im->codec)->patch_size;
    }
    if (m->width % im->patch_size || m->height % im->patch_size)
        return all_fail(TK_FAIL(TK_INPUT,
                                "media.width %lld and media.height %lld must be multiples of the "
                                "codec's patch of %lld pixels",
                                (long long)m->width, (long long)m->height,
                                (long long)im->patch_size));
    const double patches = (double)m->fps / (double)im->patch_frames;
    im->clip_frames =
        (int64_t)floor(im->c->import.clip_seconds * patches + 1e-6) * im->patch_frames;
    if (im->clip_frames < 1)
        return all_fail(TK_FAIL(TK_INPUT,
                                "import.clip_seconds %g is shorter than the codec's patch of %lld "
                                "frames (%g s)",
                                im->c->import.clip_seconds, (long long)im->patch_frames,
                                1 / patches));
    return TK_OK;
}

static tk_status keep_for_fit(void *ctx, int64_t i, const tk_media_clip *clip)
{
    tk_import *im = ctx;
    (void)i;
    tk_media_clip *to = &im->fit[im->fit_next];
    *to = *clip;
    const size_t bytes = (size_t)(clip->frames * clip->height * clip->width * 3);
    const size_t floats = (size_t)(clip->samples * clip->channels);
    uint8_t *video;
    float *audio;
    TK_ARENA_NEW(video, &im->arena, bytes);
    TK_ARENA_NEW(audio, &im->arena, floats + 1);
    memcpy(video, clip->video, bytes);
    memcpy(audio, clip->audio, floats * sizeof *audio);
    to->video = video;
    to->audio = audio;
    tk_progress_at(&im->progress, ++im->fit_next, "");
    return TK_OK;
}

static tk_status give_for_fit(void *ctx, int64_t i, tk_media_clip *clip)
{
    const tk_import *im = ctx;
    *clip = im->fit[i];
    return TK_OK;
}

// Rank 0: clips spread evenly over all of them, decoded and held.
static tk_status fit_codec(tk_import *im)
{
    const tk_media_config *m = &im->c->media;
    const int64_t clip_bytes = im->clip_frames * m->height * m->width * 3 +
                               tk_media_samples(m, im->clip_frames) * m->channels * 4;
    int64_t most = FIT_BYTES / clip_bytes;
    im->fitted = im->c->codec.fit_clips < im->n ? im->c->codec.fit_clips : im->n;
    if (im->fitted > most) im->fitted = most > 1 ? most : 1;
    TK_ARENA_NEW(im->wanted, &im->arena, im->n);
    TK_ARENA_NEW(im->fit, &im->arena, im->fitted);
    for (int64_t j = 0; j < im->fitted; j++) im->wanted[j * im->n / im->fitted] = true;
    tk_progress_begin(&im->progress, "fitting the codec", "clips", im->fitted);
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        tk_import_blame(
            f, tk_import_decode(f, m, im->frames_of, im->wanted, &im->buffer, keep_for_fit, im));
    }
    tk_progress_end(&im->progress);
    if (im->fit_next < im->fitted) return TK_OK; // some file is bad: its verdict says so
    return tk_codec_fit(&im->c->codec, m, give_for_fit, im, im->fitted, &im->codec);
}

// Files ---------------------------------------------------------------------------------------

// Every rank learns what the rank `owner(i)` found out about file i.
static tk_status share_verdicts(tk_import *im, bool planned)
{
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        const char *path = f->path; // an address of this rank
        int owner = planned ? f->rank : i % im->world->size;
        TK_TRY(im->world->ops->host_broadcast(im->world, f, sizeof *f, owner));
        f->path = path;
    }
    return TK_OK;
}

// One message for all bad files; the same on every rank.
static tk_status judge(const tk_import *im)
{
    char list[7000] = "";
    size_t used = 0;
    int bad = 0, told = 0;
    tk_status code = TK_INPUT;
    for (int i = 0; i < im->n_files; i++) {
        const tk_import_file *f = &im->file[i];
        if (f->status == TK_OK) continue;
        if (f->status != TK_INPUT && code == TK_INPUT) code = f->status;
        bad++;
        if (used + sizeof f->words + 8 > sizeof list) continue;
        used += (size_t)snprintf(list + used, sizeof list - used, "\n  %s", f->words);
        told++;
    }
    if (!bad) return TK_OK;
    if (bad > told) snprintf(list + used, sizeof list - used, "\n  and %d more", bad - told);
    return all_fail(TK_FAIL(code, "%d of %d file%s cannot be imported; nothing was written:%s", bad,
                            im->n_files, im->n_files == 1 ? "" : "s", list));
}

static tk_status look_at_files(tk_import *im)
{
    int mine = (im->n_files - im->world->rank + im->world->size - 1) / im->world->size, done = 0;
    tk_progress_begin(&im->progress, "looking at media", "files", mine);
    for (int i = im->world->rank; i < im->n_files; i += im->world->size) {
        tk_import_look(&im->file[i], &im->c->media);
        tk_progress_at(&im->progress, ++done, "");
    }
    tk_progress_end(&im->progress);
    TK_TRY(share_verdicts(im, false));
    return judge(im);
}

// Plan ----------------------------------------------------------------------------------------

// Frames of the shorter clip after the last whole one; 0 = none.
static int64_t rest_of(const tk_import *im, const tk_import_file *f)
{
    const int64_t rest = f->frames % im->clip_frames;
    if ((double)rest / (double)im->c->media.fps < im->c->import.min_seconds - 1e-6) return 0;
    return rest / im->patch_frames * im->patch_frames;
}

// The bucket for clips of that length, made if it is not there; arrays have room for all lengths.
static int bucket_of(tk_import *im, int64_t frames)
{
    const tk_media_config *m = &im->c->media;
    for (int k = 0; k < im->n_buckets; k++)
        if (im->bucket[k].frames == frames) return k;
    im->bucket[im->n_buckets] = (tk_bucket){.frames = frames,
                                            .height = m->height,
                                            .width = m->width,
                                            .latent_frames = frames / im->patch_frames,
                                            .high = m->height / im->patch_size,
                                            .wide = m->width / im->patch_size,
                                            .audio_channels = m->channels};
    return im->n_buckets++;
}

static tk_status plan_clip(tk_import *im, const tk_import_file *f, int64_t i, int64_t frames)
{
    const double fps = (double)im->c->media.fps;
    tk_clip_info *c = &im->clip[i];
    im->frames_of[i] = frames;
    c->bucket = bucket_of(im, frames);
    c->slot = im->bucket[c->bucket].slots++;
    c->n_shots = 1;
    c->name = tk_arena_printf(&im->arena, "%s @ %.2f s", f->path,
                              (double)((i - f->first_clip) * im->clip_frames) / fps);
    if (!c->name) return TK_FAIL(TK_MEMORY, "out of memory for %lld clips", (long long)im->n);
    TK_ARENA_NEW(c->shot, &im->arena, 1);
    c->shot[0] = (tk_clip_shot){.seconds = (double)frames / fps,
                                .latent_frames = frames / im->patch_frames,
                                .caption = (char *)f->caption};
    return TK_OK;
}

typedef struct tk_order {
    int64_t clips;
    int file;
} tk_order;

static int by_clips(const void *a, const void *b)
{
    const tk_order *x = a, *y = b;
    if (x->clips != y->clips) return x->clips < y->clips ? 1 : -1;
    return x->file - y->file;
}

// Each file to the rank with the least to do, long files first.
static tk_status share_out(tk_import *im)
{
    tk_order *order;
    int64_t *load;
    TK_ARENA_NEW(order, &im->arena, im->n_files);
    TK_ARENA_NEW(load, &im->arena, im->world->size);
    for (int i = 0; i < im->n_files; i++) order[i] = (tk_order){im->file[i].clips, i};
    qsort(order, (size_t)im->n_files, sizeof *order, by_clips);
    for (int i = 0; i < im->n_files; i++) {
        int least = 0;
        for (int r = 1; r < im->world->size; r++)
            if (load[r] < load[least]) least = r;
        im->file[order[i].file].rank = least;
        load[least] += order[i].clips;
    }
    return TK_OK;
}

static tk_status plan(tk_import *im)
{
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        f->first_clip = im->n;
        f->clips = f->frames / im->clip_frames + (rest_of(im, f) > 0);
        im->n += f->clips;
    }
    if (im->n == 0)
        return TK_FAIL(TK_INPUT, "no clips: every file is shorter than import.min_seconds (%g s)",
                       im->c->import.min_seconds);
    TK_ARENA_NEW(im->clip, &im->arena, im->n);
    TK_ARENA_NEW(im->frames_of, &im->arena, im->n);
    TK_ARENA_NEW(im->bucket, &im->arena, im->clip_frames / im->patch_frames);
    for (int i = 0; i < im->n_files; i++) {
        const tk_import_file *f = &im->file[i];
        const int64_t whole = f->frames / im->clip_frames;
        for (int64_t k = 0; k < f->clips; k++)
            TK_TRY(
                plan_clip(im, f, f->first_clip + k, k < whole ? im->clip_frames : rest_of(im, f)));
    }
    const tk_media_config *m = &im->c->media;
    TK_ARENA_NEW(im->buffer.rgb, &im->arena, im->clip_frames * m->height * m->width * 3);
    TK_ARENA_NEW(im->buffer.pcm, &im->arena,
                 tk_media_samples(m, im->clip_frames) * m->channels + 1);
    return share_out(im);
}

// What a person should know before the long part begins.
static void tell_plan(const tk_import *im)
{
    int silent = 0, bare = 0, none = 0;
    const char *first_bare = "", *first_none = "";
    for (int i = im->n_files; i-- > 0;) {
        const tk_import_file *f = &im->file[i];
        silent += !f->has_audio;
        if (!f->has_caption) bare++, first_bare = f->path;
        if (!f->clips) none++, first_none = f->path;
    }
    if (bare)
        tk_log("%d of %d files have no caption (a .txt of the same name beside them), so theirs is "
               "empty: %s%s",
               bare, im->n_files, first_bare, bare > 1 ? " ..." : "");
    if (none)
        tk_log("%d of %d files are too short for a clip of import.min_seconds (%g s): %s%s", none,
               im->n_files, im->c->import.min_seconds, first_none, none > 1 ? " ..." : "");
    if (silent) tk_log("%d of %d files have no sound: silence", silent, im->n_files);
}

// Work ----------------------------------------------------------------------------------------

// Rows' shapes are the codec's: known once there is one.
static tk_status complete_plan(tk_import *im)
{
    const tk_codec_info *info = tk_codec_get_info(im->codec);
    for (int k = 0; k < im->n_buckets; k++)
        im->bucket[k].audio_rows =
            tk_codec_audio_rows(im->codec, tk_media_samples(&im->c->media, im->bucket[k].frames));
    for (int64_t i = 0; i < im->n; i++)
        im->clip[i].shot[0].audio_rows = im->bucket[im->clip[i].bucket].audio_rows;
    int64_t video = 0, audio = 0;
    for (int k = 0; k < im->n_buckets; k++) {
        const tk_bucket *b = &im->bucket[k];
        const int64_t v = tk_bucket_video_count(b, info), a = tk_bucket_audio_count(b, info);
        video = v > video ? v : video;
        audio = a > audio ? a : audio;
    }
    TK_ARENA_NEW(im->video, &im->arena, video);
    TK_ARENA_NEW(im->audio, &im->arena, audio);
    return TK_OK;
}

static tk_status encode_and_put(void *ctx, int64_t i, const tk_media_clip *clip)
{
    tk_import *im = ctx;
    TK_TRY(tk_codec_encode_video(im->codec, clip->video, clip->frames, clip->height, clip->width,
                                 im->video));
    TK_TRY(tk_codec_encode_audio(im->codec, clip->audio, clip->samples, clip->channels, im->audio));
    TK_TRY(tk_clip_writer_put(im->writer, i, im->video, im->audio));
    tk_progress_at(&im->progress, ++im->done, "");
    return TK_OK;
}

// The codec, the same on all ranks: the given one, or one fitted by rank 0.
static tk_status get_codec(tk_import *im)
{
    if (im->codec) return TK_OK;
    tk_status st = im->world->rank == 0 ? fit_codec(im) : TK_OK;
    TK_TRY(tk_agree(im->world, st));
    for (int i = 0; i < im->n_files; i++) { // what it found out about files
        tk_import_file *f = &im->file[i];
        int32_t status = f->status;
        TK_TRY(im->world->ops->host_broadcast(im->world, &status, sizeof status, 0));
        f->status = (tk_status)status;
        if (status == TK_OK) continue;
        TK_TRY(im->world->ops->host_broadcast(im->world, f->words, sizeof f->words, 0));
    }
    TK_TRY(judge(im));
    return tk_codec_broadcast(im->world, &im->codec, 0);
}

static tk_status work(tk_import *im)
{
    const tk_import_file *f = im->file;
    int64_t mine = 0;
    char *yaml = tk_config_dump(im->c, TK_CMD_DATA, &im->arena);
    tk_status st = yaml ? complete_plan(im) : TK_FAIL(TK_MEMORY, "out of memory");
    TK_TRY(tk_agree(im->world, st));
    TK_TRY(tk_clip_writer_open(im->world, im->c->output, yaml, im->codec, im->n_buckets, im->bucket,
                               im->n, im->clip, &im->writer));
    for (int i = 0; i < im->n_files; i++) mine += f[i].rank == im->world->rank ? f[i].clips : 0;
    tk_progress_begin(&im->progress, "importing", "clips", mine);
    for (int i = 0; i < im->n_files; i++)
        if (f[i].rank == im->world->rank)
            tk_import_blame(&im->file[i], tk_import_decode(&f[i], &im->c->media, im->frames_of,
                                                           NULL, &im->buffer, encode_and_put, im));
    tk_progress_end(&im->progress);
    TK_TRY(share_verdicts(im, true));
    TK_TRY(judge(im));
    tk_clip_writer *w = im->writer;
    im->writer = NULL; // the commit frees it, also when it fails
    return tk_clip_writer_commit(w, NULL, NULL);
}

static void tell_end(const tk_import *im)
{
    const tk_codec_info *i = tk_codec_get_info(im->codec);
    double seconds = 0;
    for (int64_t k = 0; k < im->n; k++) seconds += im->clip[k].shot[0].seconds;
    tk_log("%s: %lld clips, %.1f seconds, from %d files; codec: video %.1f dB, sound %.1f dB",
           im->c->output, (long long)im->n, seconds, im->n_files, i->video_psnr_db,
           i->audio_snr_db);
}

static tk_status run(tk_import *im, char **files)
{
    tk_import_file *file = tk_arena_alloc(&im->arena, (size_t)(im->n_files + 1) * sizeof *file);
    tk_status st = file ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for %d files", im->n_files);
    TK_TRY(tk_agree(im->world, st));
    im->file = file;
    for (int i = 0; i < im->n_files; i++) file[i].path = files[i];
    if ((st = check_arguments(im)) != TK_OK) return all_fail(st);
    st = im->world->rank == 0 ? check_folder(im->c->output) : TK_OK;
    TK_TRY(tk_agree(im->world, st));
    TK_TRY(find_patch(im));
    TK_TRY(look_at_files(im));
    TK_TRY(tk_agree(im->world, plan(im)));
    tell_plan(im);
    TK_TRY(get_codec(im));
    TK_TRY(work(im));
    tell_end(im);
    return TK_OK;
}

tk_status tk_import_run(tk_comm *world, tk_config *c, int n_files, char **files)
{
    tk_import im = {.world = world, .c = c, .n_files = n_files < 0 ? 0 : n_files};
    tk_arena_init(&im.arena, 1 << 20);
    tk_status st = run(&im, files);
    tk_clip_writer_abort(im.writer);
    tk_codec_free(im.codec);
    tk_arena_free(&im.arena);
    return st;
}
