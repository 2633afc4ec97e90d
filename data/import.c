// SPDX-License-Identifier: Apache-2.0
// talkie data import: see data/import.h.
//
// Four steps, with at most one clip per rank in memory (and the clips of the fit on rank 0):
// look at every file (packets only), plan the clips and where they lie, get a codec, then decode,
// encode and write. Files are shared out over the ranks in the first step in turn, in the last one
// by the clips they give; verdicts on files are exchanged after each.
#include "data/import.h"
#include "data/clip_internal.h"
#include "data/import_internal.h"
#include "data/media_reader.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FIT_BYTES = 1 << 30 }; // of media held for the codec's fit

static double pulse_seconds = 2;

void tk_import_set_pulse(double seconds)
{
    pulse_seconds = seconds;
}

// Where all ranks fail with the same words, no rank is to be named in them.
static tk_status all_fail(tk_status st)
{
    tk_status_set_shared(true);
    return st;
}

// Phases: ranks work for very different times, and one that waits too long in a collective call is
// taken for a sign of a lost rank. So while any rank works, all meet every few seconds: those at
// work in tick, those that are done in end_phase.
static tk_status pulse(tk_import *im, bool busy, bool *anyone)
{
    uint64_t x[2] = {busy, (uint64_t)im->done};
    TK_TRY(im->world->ops->host_sum_u64(im->world, x, 2));
    *anyone = x[0] > 0;
    im->others = (int64_t)x[1] - im->done;
    im->heard = tk_now();
    tk_progress_at(&im->progress, im->done + im->others, "");
    return TK_OK;
}

static void begin_phase(tk_import *im, const char *what, const char *unit, int64_t total)
{
    im->done = im->others = 0;
    im->heard = tk_now();
    tk_progress_begin(&im->progress, what, unit, total);
}

static tk_status meet(tk_import *im)
{
    bool anyone;
    return tk_now() - im->heard < pulse_seconds ? TK_OK : pulse(im, true, &anyone);
}

static tk_status tick(tk_import *im) // a step is done
{
    im->done++;
    tk_progress_at(&im->progress, im->done + im->others, "");
    return meet(im);
}

static tk_status end_phase(tk_import *im)
{
    bool anyone = true;
    while (anyone) TK_TRY(pulse(im, false, &anyone));
    tk_progress_end(&im->progress);
    return TK_OK;
}

static tk_status check_arguments(const tk_import *im)
{
    const char *out = im->c->output;
    if (im->n_files < 1)
        return TK_FAIL(TK_INPUT, "no media to import: name the files, as in "
                                 "`talkie data import clips/*.mp4 -o my.h5`");
    if (!out || !*out) return TK_FAIL(TK_INPUT, "say where to write the clips: -o my.h5");
    return TK_OK;
}

// Rank 0: whether the output can be written, found out before hours of decoding.
static tk_status check_output(tk_import *im)
{
    char **inputs, *codec = im->c->import.codec;
    int n = 0;
    TK_ARENA_NEW(inputs, &im->arena, im->n_files + 1);
    for (int i = 0; i < im->n_files; i++) inputs[n++] = (char *)im->file[i].path;
    if (codec && *codec) inputs[n++] = codec;
    return tk_clips_check_output(im->c->output, n, inputs);
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
    im->fit_next++;
    return tick(im);
}

static tk_status give_for_fit(void *ctx, int64_t i, tk_media_clip *clip)
{
    tk_import *im = ctx;
    *clip = im->fit[i];
    return meet(im);
}

static int64_t clips_to_fit(const tk_import *im)
{
    const tk_media_config *m = &im->c->media;
    const int64_t clip_bytes = im->clip_frames * m->height * m->width * 3 +
                               tk_media_samples(m, im->clip_frames) * m->channels * 4;
    const int64_t most = FIT_BYTES / clip_bytes, asked = im->c->codec.fit_clips;
    const int64_t n = asked < im->n ? asked : im->n;
    return n <= most ? n : most > 1 ? most : 1;
}

// Rank 0: clips spread evenly over all of them, decoded and held.
static tk_status fit_codec(tk_import *im)
{
    const tk_media_config *m = &im->c->media;
    TK_ARENA_NEW(im->wanted, &im->arena, im->n);
    TK_ARENA_NEW(im->fit, &im->arena, im->fitted);
    for (int64_t j = 0; j < im->fitted; j++) im->wanted[j * im->n / im->fitted] = true;
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        tk_import_blame(
            f, tk_import_decode(f, m, im->frames_of, im->wanted, &im->buffer, keep_for_fit, im));
    }
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
    begin_phase(im, "looking at media", "files", im->n_files);
    for (int i = im->world->rank; i < im->n_files; i += im->world->size) {
        tk_import_look(&im->file[i], &im->c->media);
        TK_TRY(tick(im));
    }
    TK_TRY(end_phase(im));
    TK_TRY(share_verdicts(im, false));
    return judge(im);
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
    return tick(im);
}

// The codec, the same on all ranks: the given one, or one fitted by rank 0.
static tk_status get_codec(tk_import *im)
{
    if (im->codec) return TK_OK;
    im->fitted = clips_to_fit(im);
    begin_phase(im, "fitting the codec", "clips", im->fitted);
    tk_status st = im->world->rank == 0 ? fit_codec(im) : TK_OK;
    TK_TRY(end_phase(im));
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
    char *yaml = tk_config_dump(im->c, TK_CMD_DATA, &im->arena);
    tk_status st = yaml ? complete_plan(im) : TK_FAIL(TK_MEMORY, "out of memory");
    TK_TRY(tk_agree(im->world, st));
    TK_TRY(tk_clip_writer_open(im->world, im->c->output, yaml, im->codec, im->n_buckets, im->bucket,
                               im->n, im->clip, &im->writer));
    begin_phase(im, "importing", "clips", im->n);
    for (int i = 0; i < im->n_files; i++)
        if (f[i].rank == im->world->rank)
            tk_import_blame(&im->file[i], tk_import_decode(&f[i], &im->c->media, im->frames_of,
                                                           NULL, &im->buffer, encode_and_put, im));
    TK_TRY(end_phase(im));
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
    st = im->world->rank == 0 ? check_output(im) : TK_OK;
    TK_TRY(tk_agree(im->world, st));
    TK_TRY(find_patch(im));
    TK_TRY(look_at_files(im));
    TK_TRY(tk_agree(im->world, tk_import_plan(im)));
    tk_import_tell_plan(im);
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
