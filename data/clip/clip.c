// SPDX-License-Identifier: Apache-2.0
// Opening clip files and reading samples. A file may come from anywhere, so the index is believed
// only after every count, number and address in it has been checked; then a sample is one pread per
// modality and no HDF5 call.
#include "data/clip/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

int64_t tk_bucket_video_count(const tk_bucket *b, const tk_codec_info *i)
{
    return b->latent_frames * b->high * b->wide * i->video_channels;
}

int64_t tk_bucket_audio_count(const tk_bucket *b, const tk_codec_info *i)
{
    return b->audio_rows * b->audio_channels * i->audio_channels;
}

void tk_bucket_name(const tk_bucket *b, char out[80])
{
    snprintf(out, 80, "%lldx%lldx%lld", (long long)b->frames, (long long)b->height,
             (long long)b->width);
}

tk_status tk_bucket_check(tk_bucket *b, const tk_codec_info *i, const char *where)
{
    char name[80];
    tk_bucket_name(b, name);
    const int64_t large = 1 << 20;
    bool sane = b->frames > 0 && b->frames <= large && b->height > 0 && b->height <= large &&
                b->width > 0 && b->width <= large && b->audio_rows > 0 &&
                b->audio_rows <= large * 64 && b->audio_channels >= 1 && b->audio_channels <= 2 &&
                b->slots > 0;
    tk_grid g = {0};
    sane = sane && tk_grid_divides(i, b->frames, b->height, b->width) &&
           tk_grid_of(i, where, b->frames, b->height, b->width, TK_GRID_WHOLE, &g) == TK_OK;
    if (!sane || b->latent_frames != g.latent_frames || b->high != g.high || b->wide != g.wide)
        return TK_FAIL(TK_INPUT,
                       "%s: bucket %s with rows (%lld, %lld, %lld) of video and (%lld, %lld) of "
                       "audio does not go with its codec's patches of %lld frames of %lldx%lld",
                       where, name, (long long)b->latent_frames, (long long)b->high,
                       (long long)b->wide, (long long)b->audio_rows, (long long)b->audio_channels,
                       (long long)i->patch_frames, (long long)i->patch_size,
                       (long long)i->patch_size);
    int64_t patches;
    TK_TRY(tk_mul_size(b->latent_frames * b->high, b->wide, &patches));
    TK_TRY(tk_mul_size(patches, i->video_channels * 2, &b->video_bytes));
    b->audio_bytes = tk_bucket_audio_count(b, i) * 2;
    if (b->video_bytes > (int64_t)1 << 40 || b->audio_bytes > (int64_t)1 << 40)
        return TK_FAIL(TK_INPUT, "%s: a sample of bucket %s has %lld bytes", where, name,
                       (long long)(b->video_bytes + b->audio_bytes));
    return TK_OK;
}

tk_status tk_clip_check(const tk_clip_info *c, int n_buckets, const tk_bucket *buckets,
                        const char *path)
{
    if (c->bucket < 0 || c->bucket >= n_buckets)
        return TK_FAIL(TK_INPUT, "%s: clip \"%s\" is in bucket %d of %d", path, c->name, c->bucket,
                       n_buckets);
    const tk_bucket *b = &buckets[c->bucket];
    if (c->slot < 0 || c->slot >= b->slots)
        return TK_FAIL(TK_INPUT, "%s: clip \"%s\" is in slot %lld of %lld", path, c->name,
                       (long long)c->slot, (long long)b->slots);
    if (c->n_shots < 1 || c->n_shots > TK_CLIP_SHOTS)
        return TK_FAIL(TK_INPUT, "%s: clip \"%s\" has %d shots; 1 to %d are possible", path,
                       c->name, c->n_shots, TK_CLIP_SHOTS);
    int64_t frames = 0, rows = 0;
    for (int k = 0; k < c->n_shots; k++) {
        const tk_clip_shot *s = &c->shot[k];
        if (s->latent_frames < 1 || s->latent_frames > b->latent_frames || s->audio_rows < 0 ||
            s->audio_rows > b->audio_rows || !isfinite(s->start) || !isfinite(s->seconds) ||
            s->start < 0 || s->seconds <= 0)
            return TK_FAIL(TK_INPUT,
                           "%s: shot %d of clip \"%s\" (%g s at %g s, %lld latent frames, %lld "
                           "audio rows) is not possible",
                           path, k + 1, c->name, s->seconds, s->start, (long long)s->latent_frames,
                           (long long)s->audio_rows);
        frames += s->latent_frames, rows += s->audio_rows;
    }
    if (frames != b->latent_frames || rows != b->audio_rows)
        return TK_FAIL(TK_INPUT,
                       "%s: the shots of clip \"%s\" have %lld latent frames and %lld audio rows "
                       "together, the clip has %lld and %lld",
                       path, c->name, (long long)frames, (long long)rows,
                       (long long)b->latent_frames, (long long)b->audio_rows);
    return TK_OK;
}

// The shape of dataset `name` (ndim given) and where its bytes are; it must be of the given type.
static tk_status locate(hid_t at, const char *name, hid_t type, int ndim, int64_t *dim,
                        int64_t *address, int64_t *bytes)
{
    int have;
    TK_TRY(tk_h5_shape(at, name, ndim, &have, dim));
    if (have != ndim)
        return TK_FAIL(TK_INPUT, "%s has %d dimensions; %d are right", name, have, ndim);
    hid_t d = H5Dopen2(at, name, H5P_DEFAULT), stored = H5Dget_type(d);
    bool same = H5Tequal(stored, type) > 0;
    H5Tclose(stored);
    H5Dclose(d);
    if (!same) return TK_FAIL(TK_INPUT, "%s is of another type than this format's", name);
    return tk_h5_address(at, name, address, bytes);
}

static tk_status read_bucket(hid_t group, const char *name, const tk_codec_info *i, tk_arena *a,
                             tk_bucket *b)
{
    long long f, h, w;
    int end = 0;
    if (sscanf(name, "%lldx%lldx%lld%n", &f, &h, &w, &end) != 3 || name[end])
        return TK_FAIL(TK_INPUT, "bucket \"%.64s\" is not named frames x height x width", name);
    int64_t video[5], audio[4], digest[2] = {0, 2}, video_all, audio_all, digest_all, expected;
    hid_t half = tk_clip_half_type();
    tk_status st;
    TK_TRY_TO(st, done, locate(group, "video", half, 5, video, &b->video_address, &video_all));
    TK_TRY_TO(st, done, locate(group, "audio", half, 4, audio, &b->audio_address, &audio_all));
    TK_TRY_TO(st, done,
              locate(group, "digest", H5T_STD_U64LE, 2, digest, &b->digest_address, &digest_all));
    b->frames = f, b->height = h, b->width = w;
    b->slots = video[0], b->latent_frames = video[1], b->high = video[2], b->wide = video[3];
    b->audio_rows = audio[1], b->audio_channels = audio[2];
    if (video[4] != i->video_channels || audio[3] != i->audio_channels || audio[0] != b->slots ||
        digest[0] != b->slots || digest[1] != 2)
        TK_TRY_TO(st, done,
                  TK_FAIL(TK_INPUT,
                          "bucket %s: shapes of video, audio and digest do not go "
                          "together, or not with the codec",
                          name));
    TK_TRY_TO(st, done, tk_bucket_check(b, i, "clip file"));
    TK_TRY_TO(st, done, tk_mul_size(b->video_bytes, b->slots, &expected));
    bool whole = expected == video_all && b->audio_bytes * b->slots == audio_all;
    if (!whole) TK_TRY_TO(st, done, TK_FAIL(TK_INPUT, "bucket %s is not stored whole", name));
    void *x;
    TK_TRY_TO(st, done, tk_h5_get(group, "digest", H5T_NATIVE_UINT64, 2, digest, a, &x));
    b->digest = x;
done:
    H5Tclose(half);
    return st;
}

static tk_status read_buckets(hid_t file, tk_clips *c)
{
    int64_t n;
    char **name;
    TK_TRY(tk_h5_get_strings(file, "index/buckets", &c->arena, &n, &name));
    if (n < 1 || n > 65536)
        return TK_FAIL(TK_INPUT, "index/buckets: %lld buckets; 1 to 65536 are possible",
                       (long long)n);
    TK_ARENA_NEW(c->bucket, &c->arena, n);
    c->n_buckets = (int)n;
    for (int k = 0; k < c->n_buckets; k++) {
        char path[96];
        snprintf(path, sizeof path, "buckets/%.80s", name[k]);
        if (!tk_h5_exists(file, path))
            return TK_FAIL(TK_INPUT, "%s is not there, but index/buckets names it", path);
        hid_t group = H5Gopen2(file, path, H5P_DEFAULT);
        if (group < 0) return TK_FAIL(TK_INPUT, "%s is not a group", path);
        tk_status st =
            read_bucket(group, name[k], tk_codec_get_info(c->codec), &c->arena, &c->bucket[k]);
        H5Gclose(group);
        TK_TRY(st);
    }
    return TK_OK;
}

static tk_status read_shots(hid_t file, tk_arena *a, int64_t *n, tk_clip_shot **out)
{
    double *start, *seconds;
    int64_t *frames, *rows, captions;
    char **caption;
    *n = -1;
    TK_TRY(tk_clip_column(file, "shots/start", H5T_NATIVE_DOUBLE, a, n, &start));
    TK_TRY(tk_clip_column(file, "shots/seconds", H5T_NATIVE_DOUBLE, a, n, &seconds));
    TK_TRY(tk_clip_column(file, "shots/latent_frames", H5T_NATIVE_INT64, a, n, &frames));
    TK_TRY(tk_clip_column(file, "shots/audio_rows", H5T_NATIVE_INT64, a, n, &rows));
    TK_TRY(tk_h5_get_strings(file, "shots/caption", a, &captions, &caption));
    if (captions != *n)
        return TK_FAIL(TK_INPUT, "shots: %lld captions of %lld shots", (long long)captions,
                       (long long)*n);
    TK_ARENA_NEW(*out, a, *n + 1);
    for (int64_t k = 0; k < *n; k++)
        (*out)[k] = (tk_clip_shot){.start = start[k],
                                   .seconds = seconds[k],
                                   .latent_frames = frames[k],
                                   .audio_rows = rows[k],
                                   .caption = caption[k]};
    return TK_OK;
}

static tk_status read_index(hid_t file, tk_clips *c)
{
    tk_arena *a = &c->arena;
    int64_t n = -1, names, n_shots, *bucket, *slot, *first, *shots;
    char **name;
    tk_clip_shot *shot;
    TK_TRY(tk_clip_column(file, "index/bucket", H5T_NATIVE_INT64, a, &n, &bucket));
    TK_TRY(tk_clip_column(file, "index/slot", H5T_NATIVE_INT64, a, &n, &slot));
    TK_TRY(tk_clip_column(file, "index/first_shot", H5T_NATIVE_INT64, a, &n, &first));
    TK_TRY(tk_clip_column(file, "index/shots", H5T_NATIVE_INT64, a, &n, &shots));
    TK_TRY(tk_h5_get_strings(file, "index/name", a, &names, &name));
    TK_TRY(read_shots(file, a, &n_shots, &shot));
    if (n < 1 || names != n)
        return TK_FAIL(TK_INPUT, "index: %lld clips with %lld names", (long long)n,
                       (long long)names);
    TK_ARENA_NEW(c->clip, a, n);
    c->n = n;
    for (int64_t k = 0; k < n; k++) {
        bool inside = first[k] >= 0 && shots[k] >= 1 && shots[k] <= TK_CLIP_SHOTS &&
                      first[k] <= n_shots - shots[k] && bucket[k] >= 0 && bucket[k] < c->n_buckets;
        if (!inside)
            return TK_FAIL(TK_INPUT,
                           "index: clip %lld (bucket %lld, shots %lld from %lld on) points outside "
                           "the file's tables",
                           (long long)k, (long long)bucket[k], (long long)shots[k],
                           (long long)first[k]);
        c->clip[k] = (tk_clip_info){.name = name[k],
                                    .bucket = (int)bucket[k],
                                    .slot = slot[k],
                                    .n_shots = (int)shots[k],
                                    .shot = shot + first[k]};
        TK_TRY(tk_clip_check(&c->clip[k], c->n_buckets, c->bucket, c->path));
    }
    return TK_OK;
}

static tk_status read_clip_file(hid_t file, const char *codec_file, tk_clips *c)
{
    TK_TRY(tk_h5_get_attr_str(file, "config", &c->arena, &c->config));
    hid_t group = tk_h5_exists(file, "codec") ? H5Gopen2(file, "codec", H5P_DEFAULT) : -1;
    if (group < 0) return TK_FAIL(TK_INPUT, "%s has no group \"codec\"", c->path);
    tk_status st = tk_codec_read(group, codec_file, &c->codec);
    H5Gclose(group);
    TK_TRY(st);
    TK_TRY(read_buckets(file, c));
    TK_TRY(read_index(file, c));
    TK_TRY(tk_references_read_index(file, c));
    return tk_features_read_index(file, c);
}

tk_status tk_clips_open(const char *path, const char *codec_file, tk_clips *out)
{
    hid_t file = -1;
    tk_status st;
    *out = (tk_clips){0};
    tk_arena_init(&out->arena, 1 << 20);
    TK_TRY_TO(st, fail, tk_h5_open(path, TK_CLIP_FORMAT, TK_CLIP_VERSION, &file));
    out->path = tk_arena_strdup(&out->arena, path);
    if (!out->path) TK_TRY_TO(st, fail, TK_FAIL(TK_MEMORY, "out of memory opening %s", path));
    TK_TRY_TO(st, fail, read_clip_file(file, codec_file, out));
    H5Fclose(file);
    file = -1;
    TK_TRY_TO(st, fail, tk_clip_identify(out));
    return TK_OK;
fail:
    if (file >= 0) H5Fclose(file);
    tk_clips_close(out);
    return tk_status_in_file(st, path);
}

void tk_clips_close(tk_clips *c)
{
    if (c->id.number) tk_clip_forget(c);
    tk_codec_free(c->codec);
    tk_arena_free(&c->arena);
    *c = (tk_clips){0};
}

tk_clip_part tk_clip_part_of(const tk_bucket *b, const tk_clip_info *s, bool sound)
{
    const int64_t bytes = sound ? b->audio_bytes : b->video_bytes;
    const int64_t first = sound ? b->audio_address : b->video_address;
    return (tk_clip_part){.what = sound ? "audio" : "video",
                          .address = first + s->slot * bytes,
                          .bytes = bytes,
                          .digest = &b->digest[2 * s->slot + sound]};
}

tk_status tk_clips_read(const tk_clips *c, int64_t i, float *video, float *audio, void *raw)
{
    const tk_clip_info *s = &c->clip[i];
    const tk_bucket *b = &c->bucket[s->bucket];
    const tk_clip_part part[] = {tk_clip_part_of(b, s, false), tk_clip_part_of(b, s, true)};
    if (video) TK_TRY(tk_clip_part_read(c, s->name, &part[0], raw, video));
    if (audio) TK_TRY(tk_clip_part_read(c, s->name, &part[1], raw, audio));
    return TK_OK;
}
