// SPDX-License-Identifier: Apache-2.0
// A codec in HDF5 files and on its way between ranks. It is read from files of others, so every
// number is bounded and checked before it is used.
#include "data/codec/kind.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct field { // an integer of tk_codec_info and its attribute
    const char *name;
    size_t at;
} field;
#define FIELD(name)                          \
    {                                        \
#name, offsetof(tk_codec_info, name) \
    }
static const field fields[] = {FIELD(patch_frames), FIELD(patch_size),     FIELD(video_channels),
                               FIELD(audio_hop),    FIELD(audio_channels), FIELD(fps),
                               FIELD(sample_rate),  FIELD(channels)};
enum { FIELDS = sizeof fields / sizeof *fields };
// The attribute that names a half's kind, and the half in words.
static const struct {
    const char *name, *of;
} sides[TK_CODEC_SIDES] = {{"video", "pictures"}, {"audio", "sound"}};

// The attribute of info's audio_db.
static const char *audio_figure(const tk_half_kind *kind)
{
    return kind->distance ? "audio_lsd_db" : "audio_snr_db";
}

static int64_t array_count(const tk_codec_array *a)
{
    return (a->rows ? a->rows : 1) * a->cols;
}

// XXH3 over the shape and every stored number.
static uint64_t digest(const tk_codec *c)
{
    const tk_codec_info *i = &c->info;
    int64_t shape[] = {i->patch_frames,   i->patch_size, i->video_channels, i->audio_hop,
                       i->audio_channels, i->fps,        i->sample_rate,    i->channels};
    const uint64_t salt =
        (uint64_t)c->half[TK_CODEC_AUDIO]->kind->salt << 32 | c->half[TK_CODEC_VIDEO]->kind->salt;
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    const int n = tk_codec_arrays(c, list);
    uint64_t h = XXH3_64bits_withSeed(shape, sizeof shape, salt);
    for (int k = 0; k < n; k++)
        h = XXH3_64bits_withSeed(list[k].x, (size_t)array_count(&list[k]) * 4, h);
    return h;
}

tk_status tk_codec_complete(tk_codec *c)
{
    for (int s = 0; s < TK_CODEC_SIDES; s++) TK_TRY(c->half[s]->kind->derive(c->half[s]));
    c->info.digest = digest(c);
    return TK_OK;
}

tk_status tk_codec_write(const tk_codec *c, bool refer, hid_t group)
{
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    const int n_arrays = tk_codec_arrays(c, list);
    for (int s = 0; s < TK_CODEC_SIDES; s++)
        TK_TRY(tk_h5_put_attr_str(group, sides[s].name, c->half[s]->kind->name));
    for (int k = 0; k < FIELDS; k++)
        TK_TRY(tk_h5_put_attr_i64(group, fields[k].name,
                                  *(const int64_t *)((const char *)&c->info + fields[k].at)));
    TK_TRY(tk_h5_put_attr_i64(group, "digest", (int64_t)c->info.digest));
    TK_TRY(tk_h5_put_attr_f64(group, "video_psnr_db", c->info.video_psnr_db));
    TK_TRY(
        tk_h5_put_attr_f64(group, audio_figure(c->half[TK_CODEC_AUDIO]->kind), c->info.audio_db));
    TK_TRY(tk_h5_put_attr_f64(group, "video_blockiness", c->info.video_blockiness));
    if (refer) return tk_h5_put_attr_i64(group, "refers", 1);
    for (int k = 0; k < n_arrays; k++) {
        int64_t dim[2] = {list[k].rows ? list[k].rows : list[k].cols, list[k].cols};
        TK_TRY(
            tk_h5_put(group, list[k].name, H5T_NATIVE_FLOAT, list[k].rows ? 2 : 1, dim, list[k].x));
    }
    return TK_OK;
}

// Files written before a codec had two halves name one kind, "linear", for both.
static tk_status read_kinds(hid_t group, tk_arena *a, const tk_half_kind *kind[TK_CODEC_SIDES])
{
    const char *name[TK_CODEC_SIDES];
    char *read, words[256];
    if (H5Aexists(group, "kind") > 0) {
        TK_TRY(tk_h5_get_attr_str(group, "kind", a, &read));
        if (strcmp(read, "linear"))
            return TK_FAIL(TK_INPUT,
                           "codec: kind \"%s\" is not known; files of old have \"linear\"", read);
        name[TK_CODEC_VIDEO] = "patch", name[TK_CODEC_AUDIO] = "mdct";
    } else {
        for (int s = 0; s < TK_CODEC_SIDES; s++) {
            TK_TRY(tk_h5_get_attr_str(group, sides[s].name, a, &read));
            name[s] = read;
        }
    }
    for (int s = 0; s < TK_CODEC_SIDES; s++) {
        kind[s] = tk_codec_kind_named((tk_codec_side)s, name[s]);
        if (!kind[s])
            return TK_FAIL(TK_INPUT, "codec: kind \"%s\" of %s is not known; this talkie has: %s",
                           name[s], sides[s].of,
                           tk_codec_kind_names((tk_codec_side)s, words, sizeof words));
    }
    return TK_OK;
}

static tk_status read_info(hid_t group, tk_arena *a, const tk_half_kind *kind[TK_CODEC_SIDES],
                           tk_codec_info *info)
{
    TK_TRY(read_kinds(group, a, kind));
    for (int k = 0; k < FIELDS; k++)
        TK_TRY(tk_h5_get_attr_i64(group, fields[k].name, (int64_t *)((char *)info + fields[k].at)));
    if (H5Aexists(group, "video_blockiness") > 0) // files of old do not say
        TK_TRY(tk_h5_get_attr_f64(group, "video_blockiness", &info->video_blockiness));
    TK_TRY(tk_h5_get_attr_f64(group, "video_psnr_db", &info->video_psnr_db));
    return tk_h5_get_attr_f64(group, audio_figure(kind[TK_CODEC_AUDIO]), &info->audio_db);
}

static tk_status read_arrays(hid_t group, tk_arena *a, tk_codec *c)
{
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    const int n_arrays = tk_codec_arrays(c, list);
    for (int k = 0; k < n_arrays; k++) {
        int64_t dim[2] = {list[k].rows ? list[k].rows : list[k].cols, list[k].cols};
        void *x;
        TK_TRY(tk_h5_get(group, list[k].name, H5T_NATIVE_FLOAT, list[k].rows ? 2 : 1, dim, a, &x));
        int64_t n = array_count(&list[k]);
        memcpy(list[k].x, x, (size_t)n * sizeof(float));
        for (int64_t i = 0; i < n; i++)
            if (!isfinite(list[k].x[i]) || (list[k].positive && list[k].x[i] < 1e-20f))
                return TK_FAIL(TK_INPUT, "codec/%s: number %lld is %g", list[k].name, (long long)i,
                               (double)list[k].x[i]);
    }
    int64_t digest;
    TK_TRY(tk_h5_get_attr_i64(group, "digest", &digest));
    TK_TRY(tk_codec_complete(c));
    if ((uint64_t)digest != c->info.digest)
        return TK_FAIL(TK_INPUT, "codec: damaged (its digest differs)");
    return TK_OK;
}

static tk_status read_carried(hid_t group, tk_codec **out)
{
    tk_arena scratch;
    tk_codec_info info = {0};
    const tk_half_kind *kind[TK_CODEC_SIDES];
    tk_status st;
    *out = NULL;
    tk_arena_init(&scratch, 0);
    TK_TRY_TO(st, done, read_info(group, &scratch, kind, &info));
    TK_TRY_TO(st, done, tk_codec_new(&info, kind, "codec", out));
    TK_TRY_TO(st, done, read_arrays(group, &scratch, *out));
done:
    if (st != TK_OK) {
        tk_codec_free(*out);
        *out = NULL;
    }
    tk_arena_free(&scratch);
    return st;
}

bool tk_codec_refers(hid_t group)
{
    return H5Aexists(group, "refers") > 0;
}

// ---- codec files -------------------------------------------------------------------------------

#define CODEC_FORMAT "talkie-codec"
enum { CODEC_VERSION = 1 };

tk_status tk_codec_open(const char *path, tk_codec **out)
{
    hid_t file, group = -1;
    *out = NULL;
    TK_TRY(tk_h5_open(path, CODEC_FORMAT, CODEC_VERSION, &file));
    if (tk_h5_exists(file, "codec")) group = H5Gopen2(file, "codec", H5P_DEFAULT);
    tk_status st = group < 0 || tk_codec_refers(group) ? TK_FAIL(TK_INPUT, "it holds no codec")
                                                       : read_carried(group, out);
    if (group >= 0) H5Gclose(group);
    H5Fclose(file);
    return tk_status_in_file(st, path);
}

tk_status tk_codec_save(const char *path, const tk_codec *codec)
{
    tk_file f;
    hid_t file, group;
    tk_status st, closed;
    TK_TRY(tk_file_begin(&f, path));
    TK_TRY_TO(st, done, tk_h5_create(f.tmp, CODEC_FORMAT, CODEC_VERSION, &file));
    st = tk_h5_group(file, "codec", &group);
    if (st == TK_OK) {
        st = tk_codec_write(codec, false, group);
        H5Gclose(group);
    }
    closed = tk_h5_close(file, f.tmp);
    TK_TRY_TO(st, done, st == TK_OK ? closed : st);
    TK_TRY_TO(st, done, tk_file_commit(&f));
done:
    tk_file_abort(&f);
    return st;
}

tk_status tk_codec_keep(const tk_codec_config *c, const tk_codec *codec)
{
    tk_codec *there;
    if (c->store == TK_CODEC_CARRY) return TK_OK;
    if (access(c->file, F_OK) != 0 && errno == ENOENT) return tk_codec_save(c->file, codec);
    TK_TRY(tk_codec_open(c->file, &there));
    const uint64_t held = there->info.digest;
    tk_codec_free(there);
    if (held == codec->info.digest) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "codec.file: %s holds codec %016" PRIx64
                   ", but what is to refer to it has codec "
                   "%016" PRIx64 "; name another codec.file (it is written if it is not there)",
                   c->file, held, codec->info.digest);
}

// The codec that a group refers to, with the figures of that group's file.
static tk_status read_referred(hid_t group, const char *file, tk_arena *a, tk_codec **out)
{
    const tk_half_kind *kind[TK_CODEC_SIDES];
    tk_codec_info info = {0};
    int64_t digest;
    TK_TRY(read_info(group, a, kind, &info));
    TK_TRY(tk_h5_get_attr_i64(group, "digest", &digest));
    if (!file || !*file)
        return TK_FAIL(TK_INPUT,
                       "it refers to codec %016" PRIx64
                       " and does not carry it; name the file that "
                       "holds that codec: codec.file=FILE",
                       (uint64_t)digest);
    tk_status st = tk_codec_open(file, out);
    if (st != TK_OK) {
        char words[1024];
        snprintf(words, sizeof words,
                 "it refers to codec %016" PRIx64 ", and codec.file does not give it: %s; name the "
                 "file that holds that codec",
                 (uint64_t)digest, tk_status_message());
        tk_status_set(st, words);
        return st;
    }
    const uint64_t held = (*out)->info.digest;
    if (held != (uint64_t)digest)
        return TK_FAIL(TK_INPUT,
                       "it refers to codec %016" PRIx64
                       ", but codec.file %s holds codec %016" PRIx64
                       "; name the file that holds codec %016" PRIx64,
                       (uint64_t)digest, file, held, (uint64_t)digest);
    (*out)->info.video_psnr_db = info.video_psnr_db;
    (*out)->info.audio_db = info.audio_db;
    (*out)->info.video_blockiness = info.video_blockiness;
    return TK_OK;
}

tk_status tk_codec_read(hid_t group, const char *file, tk_codec **out)
{
    tk_arena scratch;
    *out = NULL;
    if (!tk_codec_refers(group)) return read_carried(group, out);
    tk_arena_init(&scratch, 0);
    const tk_status st = read_referred(group, file, &scratch, out);
    tk_arena_free(&scratch);
    if (st == TK_OK) return TK_OK;
    tk_codec_free(*out);
    *out = NULL;
    return st;
}

// ---- between ranks -----------------------------------------------------------------------------

tk_status tk_codec_broadcast(tk_comm *comm, tk_codec **c, int root)
{
    struct {
        tk_codec_info info;
        int kind[TK_CODEC_SIDES];
    } told = {0};
    const tk_half_kind *kind[TK_CODEC_SIDES];
    tk_status st = TK_OK;
    bool mine = comm->rank == root;
    if (comm->size == 1) return TK_OK;
    if (mine)
        told.info = (*c)->info;
    else
        *c = NULL;
    for (int s = 0; mine && s < TK_CODEC_SIDES; s++)
        told.kind[s] = tk_codec_kind_number((*c)->half[s]->kind);
    TK_TRY(tk_comm_broadcast(comm, &told, sizeof told, root));
    for (int s = 0; s < TK_CODEC_SIDES; s++)
        kind[s] = tk_codec_kind_of((tk_codec_side)s, told.kind[s]);
    if (!mine) st = tk_codec_new(&told.info, kind, "codec", c);
    TK_TRY_TO(st, fail, tk_agree(comm, st));
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    const int n_arrays = tk_codec_arrays(*c, list);
    for (int k = 0; k < n_arrays; k++)
        TK_TRY_TO(st, fail,
                  tk_comm_broadcast(comm, list[k].x, (size_t)array_count(&list[k]) * sizeof(float),
                                    root));
    if (!mine) st = tk_codec_complete(*c);
    TK_TRY_TO(st, fail, tk_agree(comm, st));
    return TK_OK;
fail:
    if (!mine) {
        tk_codec_free(*c);
        *c = NULL;
    }
    return st;
}
