// SPDX-License-Identifier: Apache-2.0
// talkie data import: see data/import/import.h.
//
// Four steps, with at most one clip per rank in memory (and the clips of the fit on rank 0):
// look at every file (packets only), plan the clips and where they lie, get a codec, then decode,
// encode and write. In the first step and in the last one files are dealt out to the ranks, in the
// last one the longest first; verdicts on files are exchanged after each.
#include "data/import/import.h"
#include "data/clip/internal.h"
#include "data/import/internal.h"
#include "data/media/reader.h"
#include "parallel/mesh.h"
#include <stdio.h>
#include <string.h>

enum {
    FIT_BYTES = 1 << 30, // of media held for the codec's fit
    MEASURED = 16        // clips that a given codec is measured on
};

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
    return TK_OK;
}

// Rank 0: whether the output can be written, found out before hours of decoding.
static tk_status check_output(tk_import *im)
{
    char **inputs, *codec = im->c->codec.from, *file = im->c->codec.file,
                   *empty = im->c->import.empty_features;
    int n = 0;
    TK_ARENA_NEW(inputs, &im->arena, im->n_files + 3);
    for (int i = 0; i < im->n_files; i++) inputs[n++] = (char *)im->file[i].path;
    if (*codec) inputs[n++] = codec;
    if (file && *file) inputs[n++] = file;
    if (*empty) inputs[n++] = empty;
    return tk_clips_check_output(im->c->output, n, inputs);
}

// Codec ---------------------------------------------------------------------------------------

// The given codec, if one is given, and the patch that clips are cut to.
static tk_status find_patch(tk_import *im)
{
    const tk_media_config *m = &im->c->media;
    TK_TRY(tk_codec_given(im->world, &im->c->codec, m, &im->codec));
    im->info = im->codec ? *tk_codec_get_info(im->codec) : tk_codec_planned(&im->c->codec, m);
    if (!tk_grid_divides(&im->info, im->info.patch_frames, m->height, m->width))
        return all_fail(TK_FAIL(TK_INPUT,
                                "media.width %lld and media.height %lld must be multiples of the "
                                "codec's patch of %lld pixels",
                                (long long)m->width, (long long)m->height,
                                (long long)im->info.patch_size));
    const double clip = im->c->import.clip_seconds;
    im->clip_frames = tk_grid_frame(&im->info, tk_grid_latents(&im->info, clip));
    if (im->clip_frames < 1)
        return all_fail(TK_FAIL(TK_INPUT,
                                "import.clip_seconds %g is shorter than the codec's patch of %lld "
                                "frames (%g s)",
                                clip, (long long)im->info.patch_frames, tk_grid_tick(&im->info)));
    return TK_OK;
}

static tk_status keep_for_fit(void *ctx, int64_t i, const tk_media *clip)
{
    tk_import *im = ctx;
    (void)i;
    tk_deal_step(im->deal);
    if (!clip) return TK_OK;
    tk_media *to = &im->fit[im->fit_next];
    *to = *clip;
    const size_t bytes = (size_t)(clip->frames * clip->height * clip->width * 3);
    const size_t floats = (size_t)(clip->samples * clip->channels);
    uint8_t *video;
    float *audio;
    TK_ARENA_NEW(video, &im->arena, (int64_t)bytes);
    TK_ARENA_NEW(audio, &im->arena, (int64_t)floats + 1);
    memcpy(video, clip->rgb, bytes);
    memcpy(audio, clip->pcm, floats * sizeof *audio);
    to->rgb = video;
    to->pcm = audio;
    im->fit_next++;
    return TK_OK;
}

static tk_status give_for_fit(void *ctx, int64_t i, tk_media *clip)
{
    tk_import *im = ctx;
    *clip = im->fit[i];
    return TK_OK;
}

static int64_t clips_to_fit(const tk_import *im, int64_t asked)
{
    const tk_media_config *m = &im->c->media;
    const int64_t clip_bytes = im->clip_frames * m->height * m->width * 3 +
                               tk_media_samples(m, im->clip_frames) * m->channels * 4;
    const int64_t most = FIT_BYTES / clip_bytes;
    const int64_t n = asked < im->n ? asked : im->n;
    return n <= most ? n : most > 1 ? most : 1;
}

static bool skips(const tk_import *im)
{
    return im->c->import.bad == TK_BAD_SKIP;
}

static tk_import_task task_of(tk_import *im, const bool *wanted, tk_import_sink sink)
{
    return (tk_import_task){.media = &im->c->media,
                            .skip = skips(im),
                            .frames_of = im->frames_of,
                            .wanted = wanted,
                            .buffer = &im->buffer,
                            .sink = sink,
                            .ctx = im};
}

// Rank 0: clips spread evenly over all of them, decoded and held, for the codec to be fitted or,
// where one is given, measured on. Damage met here is met again, and told, where clips are written.
static tk_status fit_import_codec(tk_import *im)
{
    const tk_media_config *m = &im->c->media;
    TK_ARENA_NEW(im->wanted, &im->arena, im->n);
    TK_ARENA_NEW(im->fit, &im->arena, im->fitted);
    for (int64_t j = 0; j < im->fitted; j++) im->wanted[j * im->n / im->fitted] = true;
    const tk_import_task task = task_of(im, im->wanted, keep_for_fit);
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file f = im->file[i];
        tk_import_blame(&im->file[i], tk_import_decode(&f, &task));
    }
    if (im->fit_next < im->fitted && !skips(im)) return TK_OK; // a file's verdict says why
    if (im->fit_next == 0)
        return TK_FAIL(TK_INPUT,
                       "none of the %lld clips that the codec would be fitted or measured on is "
                       "whole: %s",
                       (long long)im->fitted, tk_status_message());
    if (im->codec) return tk_codec_measure(im->codec, give_for_fit, im, im->fit_next);
    return tk_codec_fit(&im->c->codec, m, give_for_fit, im, im->fit_next, &im->codec);
}

// Files ---------------------------------------------------------------------------------------

// Deals all files out, in the order given (NULL: as they are), to `work`; then every rank learns
// what was found out about each. `steps`, `unit`: of progress.
static tk_status deal_files(tk_import *im, const char *what, const char *unit, int64_t steps,
                            const int *order, void (*work)(tk_import *im, tk_import_file *f))
{
    tk_comm *world = im->world;
    int64_t i = 0;
    memset(im->owner, 0, (size_t)im->n_files * sizeof *im->owner);
    TK_TRY(tk_deal_open(world, tk_comm_self(), im->n_files, what, unit, steps, &im->deal));
    tk_status st = TK_OK;
    while ((st = tk_deal_next(im->deal, &i)) == TK_OK && i >= 0) {
        const int f = order ? order[i] : (int)i;
        im->owner[f] = (uint64_t)world->rank;
        work(im, &im->file[f]);
    }
    TK_TRY(tk_deal_close(im->deal, st));
    TK_TRY(tk_comm_sum_u64(world, im->owner, im->n_files));
    for (int f = 0; f < im->n_files; f++) {
        const char *path = im->file[f].path; // an address of this rank
        TK_TRY(tk_comm_broadcast(world, &im->file[f], sizeof im->file[f], (int)im->owner[f]));
        im->file[f].path = path;
    }
    return TK_OK;
}

// One message for all bad files; the same on every rank. Those that are bad input only are left
// out, where that is wished and others remain; a name that leads to no file is no matter of choice.
static tk_status judge(tk_import *im)
{
    char list[7000] = "";
    size_t used = 0;
    int bad = 0, told = 0, good = 0, absent = 0;
    tk_status code = TK_INPUT;
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        good += f->status == TK_OK && !f->left_out;
        if (f->status == TK_OK) continue;
        if (f->status != TK_INPUT && code == TK_INPUT) code = f->status;
        absent += f->absent;
        bad++;
        if (used + sizeof f->words + 8 > sizeof list) continue;
        used += (size_t)snprintf(list + used, sizeof list - used, "\n  %s", f->words);
        told++;
    }
    if (!bad) return TK_OK;
    if (bad > told) snprintf(list + used, sizeof list - used, "\n  and %d more", bad - told);
    if (code == TK_INPUT && skips(im) && good > 0 && !absent) {
        tk_log("%d of %d files cannot be imported and are left out (import.bad: skip):%s", bad,
               im->n_files, list);
        for (int i = 0; i < im->n_files; i++)
            if (im->file[i].status != TK_OK)
                im->file[i].left_out = true, im->file[i].status = TK_OK, im->file[i].frames = 0;
        return TK_OK;
    }
    return all_fail(TK_FAIL(code, "%d of %d file%s cannot be imported; nothing was written:%s", bad,
                            im->n_files, im->n_files == 1 ? "" : "s", list));
}

static void look_at_file(tk_import *im, tk_import_file *f)
{
    tk_import_look(f, &im->c->media);
    tk_deal_step(im->deal);
}

static tk_status look_at_files(tk_import *im)
{
    TK_TRY(deal_files(im, "looking at media", "files", im->n_files, NULL, look_at_file));
    return judge(im);
}

// Work ----------------------------------------------------------------------------------------

// Room for the rows of the largest clip.
static tk_status make_import_room(tk_import *im)
{
    const tk_codec_info *info = tk_codec_get_info(im->codec);
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

static tk_status encode_and_put(void *ctx, int64_t i, const tk_media *clip)
{
    tk_import *im = ctx;
    if (!clip) {
        tk_clip_writer_skip(im->writer, i);
        tk_deal_step(im->deal);
        return TK_OK;
    }
    TK_TRY(tk_codec_encode_video(im->codec, clip, im->video));
    TK_TRY(tk_codec_encode_audio(im->codec, clip, im->audio));
    TK_TRY(tk_clip_writer_put(im->writer, i, im->video, im->audio));
    tk_deal_step(im->deal);
    return TK_OK;
}

// The codec, the same on all ranks: the given one, or one fitted by rank 0; its figures are those
// of these clips.
static tk_status get_codec(tk_import *im)
{
    const bool given = im->codec != NULL;
    im->fitted = clips_to_fit(im, given ? MEASURED : im->c->codec.fit_clips);
    TK_TRY(tk_deal_open(im->world, tk_comm_self(), 0,
                        given ? "measuring the codec" : "fitting the codec", "clips", im->fitted,
                        &im->deal));
    TK_TRY(tk_deal_close(im->deal, im->world->rank == 0 ? fit_import_codec(im) : TK_OK));
    for (int i = 0; i < im->n_files; i++) { // what it found out about files
        tk_import_file *f = &im->file[i];
        int32_t status = f->status;
        TK_TRY(tk_comm_broadcast(im->world, &status, sizeof status, 0));
        f->status = (tk_status)status;
        if (status == TK_OK) continue;
        TK_TRY(tk_comm_broadcast(im->world, f->words, sizeof f->words, 0));
    }
    TK_TRY(judge(im));
    TK_TRY(tk_agree(im->world, im->world->rank ? TK_OK : tk_codec_keep(&im->c->codec, im->codec)));
    if (im->world->rank) tk_codec_free(im->codec);
    return tk_codec_broadcast(im->world, &im->codec, 0);
}

static void import_file(tk_import *im, tk_import_file *f)
{
    const tk_import_task task = task_of(im, NULL, encode_and_put);
    tk_import_blame(f, tk_import_decode(f, &task));
}

// A line for a file that something was changed in or left out of.
static void tell_file(const tk_import_file *f)
{
    char words[512];
    tk_facts_words(&f->facts, words, sizeof words);
    if (f->left_out || (!words[0] && !f->lost)) return;
    if (f->lost)
        tk_log("%s: %s%s%lld of its %lld clips hold damage and are left out (import.bad: skip), at "
               "%s seconds: %s",
               f->path, words, words[0] ? "; " : "", (long long)f->lost, (long long)f->clips,
               f->where, f->words);
    else
        tk_log("%s: %s", f->path, words);
}

// What was done to each file; a failure if nothing remains.
static tk_status tell_files(const tk_import *im)
{
    const char *why = "";
    int64_t lost = 0;
    for (int i = 0; i < im->n_files; i++) {
        const tk_import_file *f = &im->file[i];
        lost += f->lost;
        if (f->lost) why = f->words;
        tell_file(f);
    }
    if (lost < im->n) return TK_OK;
    return all_fail(TK_FAIL(TK_INPUT, "no clip is without damage; nothing was written: %s", why));
}

static tk_status import_files(tk_import *im)
{
    char *yaml = tk_config_dump(im->c, TK_CMD_DATA, &im->arena);
    tk_status st = yaml ? make_import_room(im) : TK_FAIL(TK_MEMORY, "out of memory");
    TK_TRY(tk_agree(im->world, st));
    const tk_clip_plan plan = {.path = im->c->output,
                               .config = yaml,
                               .codec = im->codec,
                               .refer = im->c->codec.store == TK_CODEC_REFER,
                               .n_buckets = im->n_buckets,
                               .buckets = im->bucket,
                               .n = im->n,
                               .clips = im->clip,
                               .n_references = im->n_references,
                               .references = im->reference,
                               .features = &im->features};
    TK_TRY(tk_clip_writer_open(im->world, &plan, &im->writer));
    TK_TRY(tk_import_put_references(im));
    TK_TRY(tk_import_put_features(im));
    TK_TRY(deal_files(im, "importing", "clips", im->n, im->order, import_file));
    TK_TRY(judge(im));
    TK_TRY(tell_files(im));
    tk_clip_writer *w = im->writer;
    im->writer = NULL; // the commit frees it, also when it fails
    return tk_clip_writer_commit(w, NULL, NULL);
}

static void tell_end(const tk_import *im)
{
    const tk_codec_info *i = tk_codec_get_info(im->codec);
    double seconds = 0;
    int64_t n = im->n;
    int files = im->n_files;
    for (int64_t k = 0; k < im->n; k++) seconds += im->clip[k].shot[0].seconds;
    for (int f = 0; f < im->n_files; f++) {
        n -= im->file[f].lost, seconds -= im->file[f].lost_seconds;
        files -= im->file[f].left_out;
    }
    tk_log("%s: %lld clips, %.1f seconds, from %d files; codec: video %.1f dB, sound %.1f %s",
           im->c->output, (long long)n, seconds, files, i->video_psnr_db, i->audio_db,
           tk_codec_audio_figure(im->codec));
}

static tk_status take_files(tk_import *im, char **files)
{
    TK_ARENA_NEW(im->file, &im->arena, im->n_files + 1);
    TK_ARENA_NEW(im->owner, &im->arena, im->n_files + 1);
    for (int i = 0; i < im->n_files; i++) im->file[i].path = files[i];
    return TK_OK;
}

static tk_status run_import(tk_import *im, char **files)
{
    tk_status st;
    TK_TRY(tk_agree(im->world, take_files(im, files)));
    if ((st = check_arguments(im)) != TK_OK) return all_fail(st);
    st = im->world->rank == 0 ? check_output(im) : TK_OK;
    TK_TRY(tk_agree(im->world, st));
    TK_TRY(tk_mesh_take_threads(im->world, im->c->parallel.threads, NULL));
    TK_TRY(find_patch(im));
    TK_TRY(look_at_files(im));
    TK_TRY(tk_import_cite(im));
    TK_TRY(tk_import_number_features(im));
    TK_TRY(tk_agree(im->world, tk_import_plan(im)));
    tk_import_tell_plan(im);
    if (im->world->rank == 0) tk_import_tell_cited(im);
    TK_TRY(get_codec(im));
    TK_TRY(import_files(im));
    tell_end(im);
    return TK_OK;
}

tk_status tk_import_run(tk_comm *world, tk_config *c, int n_files, char **files)
{
    tk_import im = {.world = world, .c = c, .n_files = n_files < 0 ? 0 : n_files};
    tk_arena_init(&im.arena, 1 << 20);
    tk_status st = run_import(&im, files);
    tk_clip_writer_abort(im.writer);
    tk_codec_free(im.codec);
    tk_arena_free(&im.arena);
    return st;
}
