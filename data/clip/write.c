// SPDX-License-Identifier: Apache-2.0
// Writing clip files in parallel. Rank 0 lays all rows out in a temporary file and keeps it open;
// every rank pwrites the samples it made; at the end rank 0 gathers the digests, writes the index
// and renames the file. Where a sample lies depends on the plan only, so the bytes do not depend
// on the number of ranks.
#include "core/base/files.h"
#include "core/base/version.h"
#include "core/numbers/half.h"
#include "data/clip/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

struct tk_clip_writer {
    tk_comm *comm;
    char *path;
    tk_file out;     // rank 0 only
    const char *tmp; // its name while it is written
    hid_t file;      // rank 0 only, else -1
    int fd;
    const tk_codec *codec;
    bool refer;
    int n_buckets;
    tk_bucket *bucket; // own copy; digest zero where this rank wrote nothing
    int64_t n, put;
    const tk_clip_info *clip; // the caller's
    int64_t n_references;
    tk_clip_reference *reference; // own copies, as with buckets
    uint64_t *reference_digest;   // (n_references, 2) on their way to rank 0
    tk_clip_features features;    // own copies
    uint64_t *feature_digest;     // (features.n) on their way to rank 0
    uint64_t *skipped;            // (n) 1 = left out by this rank; after gathering, by any
    tk_arena arena;
};

static tk_status lay_out_bucket(tk_clip_writer *w, hid_t at, tk_bucket *b)
{
    const tk_codec_info *i = tk_codec_get_info(w->codec);
    int64_t video[5] = {b->slots, b->latent_frames, b->high, b->wide, i->video_channels};
    int64_t audio[4] = {b->slots, b->audio_rows, b->audio_channels, i->audio_channels};
    int64_t digest[2] = {b->slots, 2};
    char name[80];
    tk_bucket_name(b, name);
    hid_t group, half = tk_clip_half_type();
    tk_status st = tk_h5_group(at, name, &group);
    if (st == TK_OK) {
        st = tk_h5_layout(group, "video", half, 5, video, &b->video_address);
        if (st == TK_OK) st = tk_h5_layout(group, "audio", half, 4, audio, &b->audio_address);
        if (st == TK_OK)
            st = tk_h5_layout(group, "digest", H5T_STD_U64LE, 2, digest, &b->digest_address);
        H5Gclose(group);
    }
    H5Tclose(half);
    TK_TRY(st);
    return TK_OK;
}

// Rank 0: the temporary file with room for all rows, on the disk too; nothing of the index yet.
static tk_status lay_out_file(tk_clip_writer *w, const char *config_yaml)
{
    hid_t group;
    TK_TRY(tk_file_begin(&w->out, w->path));
    w->tmp = w->out.tmp;
    TK_TRY(tk_h5_create(w->tmp, TK_CLIP_FORMAT, TK_CLIP_VERSION, &w->file));
    TK_TRY(tk_h5_put_attr_str(w->file, "config", config_yaml));
    TK_TRY(tk_h5_put_attr_str(w->file, "revision", tk_revision()));
    TK_TRY(tk_h5_group(w->file, "codec", &group));
    tk_status st = tk_codec_write(w->codec, w->refer, group);
    H5Gclose(group);
    TK_TRY(st);
    TK_TRY(tk_h5_group(w->file, "buckets", &group));
    for (int k = 0; k < w->n_buckets && st == TK_OK; k++)
        st = lay_out_bucket(w, group, &w->bucket[k]);
    H5Gclose(group);
    TK_TRY(st);
    if (w->n_references) TK_TRY(tk_references_lay_out(w->file, w->n_references, w->reference));
    if (w->features.n) TK_TRY(tk_features_lay_out(w->file, &w->features));
    if (H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        return TK_FAIL(TK_IO, "cannot write %s: %s", w->tmp, strerror(errno));
    return tk_file_claim(w->out.fd, w->path);
}

static tk_status take_references(tk_clip_writer *w, const tk_clip_plan *p)
{
    w->n_references = p->n_references;
    TK_ARENA_NEW(w->reference, &w->arena, w->n_references + 1);
    TK_ARENA_NEW(w->reference_digest, &w->arena, 2 * w->n_references + 1);
    for (int64_t k = 0; k < w->n_references; k++) {
        tk_clip_reference *r = &w->reference[k];
        *r = p->references[k];
        memset(r->digest, 0, sizeof r->digest);
        TK_TRY(tk_reference_check(r, tk_codec_get_info(w->codec), p->path));
    }
    for (int64_t k = 0; k < w->n; k++)
        TK_TRY(tk_citations_check(&w->clip[k], w->n_references, p->path));
    return TK_OK;
}

static tk_status take_features(tk_clip_writer *w, const tk_clip_plan *p)
{
    if (p->features) w->features = *p->features;
    const int64_t n = w->features.n;
    TK_ARENA_NEW(w->features.feature, &w->arena, n + 1);
    TK_ARENA_NEW(w->feature_digest, &w->arena, n + 1);
    for (int64_t k = 0; k < n; k++)
        w->features.feature[k] = (tk_clip_feature){.rows = p->features->feature[k].rows};
    if (n) TK_TRY(tk_features_check(&w->features, p->path));
    for (int64_t k = 0; k < w->n; k++)
        TK_TRY(tk_clip_features_check(&w->clip[k], &w->features, p->path));
    return TK_OK;
}

static tk_status take_plan(tk_clip_writer *w, const tk_clip_plan *p)
{
    w->codec = p->codec, w->refer = p->refer;
    w->n_buckets = p->n_buckets, w->n = p->n, w->clip = p->clips;
    w->path = tk_arena_strdup(&w->arena, p->path);
    if (!w->path) return TK_FAIL(TK_MEMORY, "out of memory writing %s", p->path);
    if (w->n < 1 || w->n_buckets < 1)
        return TK_FAIL(TK_INPUT, "%s: there are no clips to write", p->path);
    TK_ARENA_NEW(w->skipped, &w->arena, w->n);
    TK_ARENA_NEW(w->bucket, &w->arena, w->n_buckets);
    for (int k = 0; k < w->n_buckets; k++) {
        w->bucket[k] = p->buckets[k];
        TK_TRY(tk_bucket_check(&w->bucket[k], tk_codec_get_info(w->codec), p->path));
        TK_ARENA_NEW(w->bucket[k].digest, &w->arena, 2 * w->bucket[k].slots);
    }
    for (int64_t k = 0; k < w->n; k++)
        TK_TRY(tk_clip_check(&w->clip[k], w->n_buckets, w->bucket, p->path));
    TK_TRY(take_references(w, p));
    return take_features(w, p);
}

// The name that rank 0 writes under to all.
static tk_status share_name(tk_clip_writer *w)
{
    const bool first = w->comm->rank == 0;
    int64_t bytes = first ? (int64_t)strlen(w->tmp) + 1 : 0;
    TK_TRY(tk_comm_broadcast(w->comm, &bytes, sizeof bytes, 0));
    char *name = tk_arena_alloc(&w->arena, (size_t)bytes);
    TK_TRY(tk_agree(w->comm, name ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path")));
    if (first) memcpy(name, w->tmp, (size_t)bytes);
    w->tmp = name;
    return tk_comm_broadcast(w->comm, name, (size_t)bytes, 0);
}

// Rank 0's addresses to all, and the file open everywhere.
static tk_status share_addresses(tk_clip_writer *w)
{
    TK_TRY(share_name(w));
    for (int k = 0; k < w->n_buckets; k++) {
        tk_bucket *b = &w->bucket[k];
        int64_t address[3] = {b->video_address, b->audio_address, b->digest_address};
        TK_TRY(tk_comm_broadcast(w->comm, address, sizeof address, 0));
        b->video_address = address[0], b->audio_address = address[1];
        b->digest_address = address[2];
    }
    for (int m = 0; m < 2 && w->n_references; m++) {
        int64_t begin = w->reference[0].address[m];
        TK_TRY(tk_comm_broadcast(w->comm, &begin, sizeof begin, 0));
        tk_references_place(w->n_references, w->reference, m, begin);
    }
    if (w->features.n) {
        int64_t begin = w->features.feature[0].address;
        TK_TRY(tk_comm_broadcast(w->comm, &begin, sizeof begin, 0));
        tk_features_place(&w->features, begin);
    }
    w->fd = open(w->tmp, O_WRONLY | O_CLOEXEC);
    tk_status st = TK_OK;
    if (w->fd < 0) st = TK_FAIL(TK_IO, "cannot open %s: %s", w->tmp, strerror(errno));
    return tk_agree(w->comm, st);
}

tk_status tk_clips_check_output(const char *path, int n, char *const *inputs)
{
    static const tk_file_kind kind = {
        .name = "clip file", .at = 0, .head = "\x89HDF", .words = TK_CLIP_FORMAT};
    return tk_file_check_output(path, &kind, n, inputs);
}

tk_status tk_clip_writer_open(tk_comm *comm, const tk_clip_plan *plan, tk_clip_writer **out)
{
    tk_clip_writer *w = *out = tk_alloc(sizeof *w);
    tk_status st = w ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory writing %s", plan->path);
    if (w) {
        *w = (tk_clip_writer){.comm = comm, .file = -1, .fd = -1, .out.fd = -1};
        tk_arena_init(&w->arena, 0);
        st = take_plan(w, plan);
    }
    TK_TRY_TO(st, fail, tk_agree(comm, st));
    if (comm->rank == 0) st = lay_out_file(w, plan->config);
    TK_TRY_TO(st, fail, tk_agree(comm, st));
    TK_TRY_TO(st, fail, share_addresses(w));
    return TK_OK;
fail:
    tk_clip_writer_abort(w);
    *out = NULL;
    return st;
}

// One modality: narrow, where it is stored narrow, digest, write.
static tk_status write_part(const tk_clip_writer *w, const char *name, const tk_clip_part *p,
                            const float *x, uint16_t *raw)
{
    if (!p->bytes) return TK_OK;
    const void *stored = p->wide ? (const void *)x : raw;
    if (!p->wide && !tk_fp16_narrow(x, p->bytes / 2, raw))
        return TK_FAIL(TK_INPUT, "the %s of \"%s\" has rows that are not finite or too large",
                       p->what, name);
    *p->digest = XXH3_64bits(stored, (size_t)p->bytes);
    return tk_pwrite_all(w->fd, w->tmp, stored, (size_t)p->bytes, p->address);
}

tk_status tk_clip_writer_put(tk_clip_writer *w, int64_t i, const float *video, const float *audio)
{
    const tk_clip_info *s = &w->clip[i];
    const tk_bucket *b = &w->bucket[s->bucket];
    const tk_clip_part part[] = {tk_clip_part_of(b, s, false), tk_clip_part_of(b, s, true)};
    int64_t most = b->video_bytes > b->audio_bytes ? b->video_bytes : b->audio_bytes;
    uint16_t *raw;
    TK_NEW(raw, most / 2);
    tk_status st = write_part(w, s->name, &part[0], video, raw);
    if (st == TK_OK) st = write_part(w, s->name, &part[1], audio, raw);
    tk_free(raw);
    TK_TRY(st);
    __atomic_fetch_add(&w->put, 1, __ATOMIC_RELAXED);
    return TK_OK;
}

tk_status tk_clip_writer_put_reference(tk_clip_writer *w, int64_t i, const float *video,
                                       const float *audio)
{
    tk_clip_reference *r = &w->reference[i];
    const tk_clip_part part[] = {{"video", r->address[0], r->bytes[0], &r->digest[0], false},
                                 {"audio", r->address[1], r->bytes[1], &r->digest[1], false}};
    uint16_t *raw;
    TK_NEW(raw, (r->bytes[0] > r->bytes[1] ? r->bytes[0] : r->bytes[1]) / 2);
    tk_status st = write_part(w, r->name, &part[0], video, raw);
    if (st == TK_OK) st = write_part(w, r->name, &part[1], audio, raw);
    tk_free(raw);
    TK_TRY(st);
    __atomic_fetch_add(&w->put, 1, __ATOMIC_RELAXED);
    return TK_OK;
}

tk_status tk_clip_writer_put_feature(tk_clip_writer *w, int64_t k, const float *x)
{
    const tk_clip_part part = tk_feature_part(&w->features, k);
    uint16_t *raw;
    TK_NEW(raw, part.bytes / 2);
    const tk_status st = write_part(w, "a caption", &part, x, raw);
    tk_free(raw);
    TK_TRY(st);
    __atomic_fetch_add(&w->put, 1, __ATOMIC_RELAXED);
    return TK_OK;
}

void tk_clip_writer_skip(tk_clip_writer *w, int64_t i)
{
    w->skipped[i] = 1;
    __atomic_fetch_add(&w->put, 1, __ATOMIC_RELAXED);
}

static tk_status sum(tk_clip_writer *w, uint64_t *x, int64_t n)
{
    const int64_t piece = 1 << 20;
    for (int64_t at = 0; at < n; at += piece)
        TK_TRY(tk_comm_sum_u64(w->comm, x + at, (int)(n - at < piece ? n - at : piece)));
    return TK_OK;
}

static tk_status gather_reference_digests(tk_clip_writer *w)
{
    uint64_t *all = w->reference_digest;
    for (int64_t k = 0; k < w->n_references; k++)
        memcpy(all + 2 * k, w->reference[k].digest, sizeof w->reference[k].digest);
    TK_TRY(sum(w, all, 2 * w->n_references));
    for (int64_t k = 0; k < w->n_references; k++)
        memcpy(w->reference[k].digest, all + 2 * k, sizeof w->reference[k].digest);
    return TK_OK;
}

static tk_status gather_feature_digests(tk_clip_writer *w)
{
    uint64_t *all = w->feature_digest;
    for (int64_t k = 0; k < w->features.n; k++) all[k] = w->features.feature[k].digest;
    TK_TRY(sum(w, all, w->features.n));
    for (int64_t k = 0; k < w->features.n; k++) w->features.feature[k].digest = all[k];
    return TK_OK;
}

// What each rank did to all: each slot was written by one rank and its digest is zero elsewhere.
static tk_status gather_digests(tk_clip_writer *w)
{
    for (int k = 0; k < w->n_buckets; k++)
        TK_TRY(sum(w, w->bucket[k].digest, 2 * w->bucket[k].slots));
    TK_TRY(gather_reference_digests(w));
    TK_TRY(gather_feature_digests(w));
    TK_TRY(sum(w, w->skipped, w->n));
    uint64_t put = (uint64_t)w->put;
    TK_TRY(tk_comm_sum_u64(w->comm, &put, 1));
    const int64_t all = w->n + w->n_references + w->features.n;
    if (put != (uint64_t)all)
        return TK_FAIL(TK_INTERNAL,
                       "%s: %lld of %lld clips, references and text features were written", w->path,
                       (long long)put, (long long)all);
    return TK_OK;
}

static tk_status write_index(tk_clip_writer *w, hid_t at, tk_arena *a)
{
    int64_t n = 0, *bucket, *slot, *first, *shots, at_shot = 0;
    char **name, **buckets;
    TK_ARENA_NEW(bucket, a, w->n);
    TK_ARENA_NEW(slot, a, w->n);
    TK_ARENA_NEW(first, a, w->n);
    TK_ARENA_NEW(shots, a, w->n);
    TK_ARENA_NEW(name, a, w->n);
    TK_ARENA_NEW(buckets, a, w->n_buckets);
    for (int64_t k = 0; k < w->n; k++) {
        const tk_clip_info *c = &w->clip[k];
        if (w->skipped[k]) continue;
        bucket[n] = c->bucket, slot[n] = c->slot, name[n] = c->name;
        first[n] = at_shot, shots[n++] = c->n_shots;
        at_shot += c->n_shots;
    }
    for (int k = 0; k < w->n_buckets; k++) {
        TK_ARENA_NEW(buckets[k], a, 80);
        tk_bucket_name(&w->bucket[k], buckets[k]);
    }
    TK_TRY(tk_clip_put_column(at, "bucket", n, bucket));
    TK_TRY(tk_clip_put_column(at, "slot", n, slot));
    TK_TRY(tk_clip_put_column(at, "first_shot", n, first));
    TK_TRY(tk_clip_put_column(at, "shots", n, shots));
    TK_TRY(tk_h5_put_strings(at, "name", n, name));
    return tk_h5_put_strings(at, "buckets", w->n_buckets, buckets);
}

static tk_status write_shots(tk_clip_writer *w, hid_t at, tk_arena *a)
{
    int64_t n = 0, i = 0, *frames, *rows;
    double *start, *seconds;
    char **caption;
    for (int64_t k = 0; k < w->n; k++) n += w->skipped[k] ? 0 : w->clip[k].n_shots;
    TK_ARENA_NEW(frames, a, n);
    TK_ARENA_NEW(rows, a, n);
    TK_ARENA_NEW(start, a, n);
    TK_ARENA_NEW(seconds, a, n);
    TK_ARENA_NEW(caption, a, n);
    for (int64_t k = 0; k < w->n; k++)
        for (int j = 0; j < w->clip[k].n_shots && !w->skipped[k]; j++, i++) {
            const tk_clip_shot *s = &w->clip[k].shot[j];
            frames[i] = s->latent_frames, rows[i] = s->audio_rows;
            start[i] = s->start, seconds[i] = s->seconds, caption[i] = s->caption;
        }
    TK_TRY(tk_h5_put(at, "start", H5T_NATIVE_DOUBLE, 1, &n, start));
    TK_TRY(tk_h5_put(at, "seconds", H5T_NATIVE_DOUBLE, 1, &n, seconds));
    TK_TRY(tk_clip_put_column(at, "latent_frames", n, frames));
    TK_TRY(tk_clip_put_column(at, "audio_rows", n, rows));
    return tk_h5_put_strings(at, "caption", n, caption);
}

static tk_status write_references(tk_clip_writer *w, hid_t at, tk_arena *a)
{
    return tk_references_write(w->file, at, w->n_references, w->reference, w->n, w->clip,
                               w->skipped, a);
}

static tk_status write_features(tk_clip_writer *w, hid_t at, tk_arena *a)
{
    return tk_features_write(w->file, at, &w->features, w->n, w->clip, w->skipped, a);
}

static tk_status write_group(tk_clip_writer *w, const char *name,
                             tk_status (*write)(tk_clip_writer *, hid_t, tk_arena *))
{
    tk_arena scratch;
    hid_t group;
    TK_TRY(tk_h5_group(w->file, name, &group));
    tk_arena_init(&scratch, 0);
    tk_status st = write(w, group, &scratch);
    tk_arena_free(&scratch);
    H5Gclose(group);
    return st;
}

// Rank 0: digests, index, what the caller adds; then the file takes its name.
static tk_status finish(tk_clip_writer *w, tk_status (*extra)(void *ctx, hid_t file), void *ctx)
{
    for (int k = 0; k < w->n_buckets; k++) {
        const tk_bucket *b = &w->bucket[k];
        TK_TRY(tk_pwrite_all(w->fd, w->tmp, b->digest, (size_t)b->slots * 16, b->digest_address));
    }
    TK_TRY(write_group(w, "index", write_index));
    TK_TRY(write_group(w, "shots", write_shots));
    if (w->n_references) TK_TRY(write_group(w, "references", write_references));
    if (w->features.n) TK_TRY(write_group(w, "features", write_features));
    if (extra) TK_TRY(extra(ctx, w->file));
    hid_t file = w->file;
    w->file = -1;
    TK_TRY(tk_h5_close(file, w->tmp));
    return tk_file_commit(&w->out);
}

tk_status tk_clip_writer_commit(tk_clip_writer *w, tk_status (*extra)(void *ctx, hid_t file),
                                void *ctx)
{
    tk_status st = gather_digests(w);
    // What a rank wrote must be on the disk before rank 0 gives the file its name.
    if (st == TK_OK && fsync(w->fd) < 0)
        st = TK_FAIL(TK_IO, "cannot write %s: %s", w->tmp, strerror(errno));
    TK_TRY_TO(st, fail, tk_agree(w->comm, st));
    if (w->comm->rank == 0) st = finish(w, extra, ctx);
    TK_TRY_TO(st, fail, tk_agree(w->comm, st));
    close(w->fd);
    tk_arena_free(&w->arena);
    tk_free(w);
    return TK_OK;
fail:
    tk_clip_writer_abort(w);
    return st;
}

void tk_clip_writer_abort(tk_clip_writer *w)
{
    if (!w) return;
    if (w->file >= 0) H5Fclose(w->file);
    if (w->fd >= 0) close(w->fd);
    tk_file_abort(&w->out);
    tk_arena_free(&w->arena);
    tk_free(w);
}
