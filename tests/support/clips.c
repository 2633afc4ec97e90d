// SPDX-License-Identifier: Apache-2.0
#include "tests/support/clips.h"
#include "core/numbers/rng.h"
#include "data/codec/kinds/kinds.h"
#include <fcntl.h>
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const tk_bucket test_bucket = {.frames = 4,
                               .height = 8,
                               .width = 8,
                               .latent_frames = 2,
                               .high = 2,
                               .wide = 2,
                               .audio_rows = 9,
                               .audio_channels = 1};

float *test_codec_array(const tk_codec *c, const char *name)
{
    tk_codec_array list[2 * TK_CODEC_ARRAYS];
    for (int k = tk_codec_arrays(c, list) - 1; k >= 0; k--)
        if (!strcmp(list[k].name, name)) return list[k].x;
    return NULL;
}

tk_codec *test_codec(uint64_t seed)
{
    tk_codec_info info = {.patch_frames = 2,
                          .patch_size = 4,
                          .video_channels = 5,
                          .audio_hop = 8,
                          .audio_channels = 6,
                          .fps = 8,
                          .sample_rate = 1000,
                          .channels = 1};
    const tk_half_kind *const kind[] = {&tk_patch_kind, &tk_mdct_kind};
    tk_codec *c;
    if (tk_codec_new(&info, kind, "test", &c) != TK_OK) return NULL;
    tk_key key = tk_rng_key(seed, TK_RNG_TEST, 9);
    tk_rng_fill_normal(key, 0, test_codec_array(c, "video_basis"), 5 * tk_codec_patch(&info), 1);
    tk_rng_fill_normal(key, 1 << 20, test_codec_array(c, "audio_basis"), 6 * 8, 1);
    for (int k = 0; k < 5; k++) test_codec_array(c, "video_scale")[k] = 1;
    for (int k = 0; k < 6; k++) test_codec_array(c, "audio_scale")[k] = 1;
    return tk_codec_complete(c) == TK_OK ? c : NULL;
}

void test_rows(int64_t i, float *video, float *audio)
{
    for (int64_t k = 0; k < TEST_VIDEO; k++)
        video[k] = (float)((i * 131 + k * 7) % 1024 - 512) / 64;
    for (int64_t k = 0; k < TEST_AUDIO; k++)
        audio[k] = (float)((i * 37 + k * 11) % 1024 - 512) / 64;
}

const tk_clip_reference test_references[TEST_REFERENCES] = {
    {.name = "a face", .latent_frames = 1, .high = 2, .wide = 2},
    {.name = "a voice", .audio_rows = 3},
    {.name = "a film", .latent_frames = 2, .high = 1, .wide = 2, .audio_rows = 4}};
static const tk_clip_citation citations[] = {{1, "voice 1", "first"}, {0, "face 1", "first"}};

void test_reference_rows(int64_t r, float *video, float *audio)
{
    for (int64_t k = 0; k < TEST_REFERENCE; k++) {
        video[k] = (float)(r * 64 + k) / 32;
        audio[k] = -(float)(r * 128 + k) / 16;
    }
}

// Every third clip is in the second bucket, which is half as wide.
static void plan(int64_t n, tk_bucket bucket[2], tk_clip_info *clip, tk_clip_shot (*shot)[2],
                 char (*name)[32])
{
    bucket[0] = bucket[1] = test_bucket;
    bucket[1].width = 4, bucket[1].wide = 1;
    for (int64_t i = 0; i < n; i++) {
        int b = i % 3 == 2;
        snprintf(name[i], sizeof name[i], "clip %lld", (long long)i);
        shot[i][0] = (tk_clip_shot){
            .seconds = 0.25, .latent_frames = 1, .audio_rows = 4, .caption = "first"};
        shot[i][1] = (tk_clip_shot){.start = 0.25,
                                    .seconds = 0.25,
                                    .latent_frames = 1,
                                    .audio_rows = 5,
                                    .caption = "second"};
        clip[i] = (tk_clip_info){
            .name = name[i], .bucket = b, .slot = bucket[b].slots++, .n_shots = 2, .shot = shot[i]};
        if (i % 4 == 3) continue; // it cites nothing
        clip[i].n_citations = 2;
        clip[i].citation = (tk_clip_citation *)citations;
    }
}

// Flips a bit of clip i's stored video.
static tk_status damage(const char *path, int64_t i)
{
    tk_clips c;
    TK_TRY(tk_clips_open(path, NULL, &c));
    const tk_bucket *b = &c.bucket[c.clip[i].bucket];
    int64_t at = b->video_address + c.clip[i].slot * b->video_bytes + 3;
    int fd = open(path, O_RDWR);
    unsigned char byte;
    tk_status st = tk_pread_all(fd, path, &byte, 1, at);
    byte ^= 16;
    if (st == TK_OK) st = tk_pwrite_all(fd, path, &byte, 1, at);
    close(fd);
    tk_clips_close(&c);
    return st;
}

static tk_status write_all(tk_comm *comm, tk_clip_writer *w, int64_t n)
{
    float video[TEST_VIDEO], audio[TEST_AUDIO];
    tk_status st = TK_OK;
    for (int64_t r = comm->rank; r < TEST_REFERENCES && st == TK_OK; r += comm->size) {
        test_reference_rows(r, video, audio);
        st = tk_clip_writer_put_reference(w, r, video, audio);
    }
    for (int64_t i = comm->rank; i < n && st == TK_OK; i += comm->size) {
        test_rows(i, video, audio);
        st = tk_clip_writer_put(w, i, video, audio);
    }
    st = tk_agree(comm, st);
    if (st == TK_OK) return tk_clip_writer_commit(w, NULL, NULL);
    tk_clip_writer_abort(w);
    return st;
}

typedef struct planned { // what a writer is told of n clips; memory is the arena's
    tk_arena arena;
    tk_bucket bucket[2];
    tk_clip_info *clip;
    tk_clip_shot (*shot)[2];
    char (*name)[32];
} planned;

static tk_status open_plan(planned *p, int64_t n)
{
    tk_arena_init(&p->arena, 0);
    TK_ARENA_NEW(p->clip, &p->arena, n + 1);
    TK_ARENA_NEW(p->shot, &p->arena, n + 1);
    TK_ARENA_NEW(p->name, &p->arena, n + 1);
    plan(n, p->bucket, p->clip, p->shot, p->name);
    return TK_OK;
}

tk_status test_write_clips(tk_comm *comm, const char *path, uint64_t codec, int64_t n,
                           int64_t broken)
{
    planned p;
    tk_clip_writer *w;
    TK_TRY(open_plan(&p, n));
    tk_codec *c = test_codec(codec);
    const tk_clip_plan all = {.path = path,
                              .config = "test: yes\n",
                              .codec = c,
                              .n_buckets = n > 2 ? 2 : 1,
                              .buckets = p.bucket,
                              .n = n,
                              .clips = p.clip,
                              .n_references = TEST_REFERENCES,
                              .references = test_references};
    tk_status st = tk_clip_writer_open(comm, &all, &w);
    if (st == TK_OK) st = write_all(comm, w, n);
    if (st == TK_OK && broken >= 0 && comm->rank == 0) st = damage(path, broken);
    tk_codec_free(c);
    tk_arena_free(&p.arena);
    return tk_agree(comm, st);
}

// ---- with text features ------------------------------------------------------------------------

void test_feature_rows(int64_t k, float *x)
{
    for (int64_t i = 0; i < test_feature_counts[k] * TEST_TEXT; i++)
        x[i] = (float)((i * 7 + k * 5) % 11 - 5) / 4 + (k == 0 ? 1.0f : k == 1 ? -1.0f : 0.0f);
}

const int64_t test_feature_counts[TEST_FEATURES] = {3, 2, 1};

// Of clip i: all of one sign.
static void signed_rows(int64_t i, float *video, float *audio)
{
    test_rows(1, video, audio);
    const float sign = i % 2 ? -1 : 1;
    for (int64_t k = 0; k < TEST_VIDEO; k++) video[k] = sign * fabsf(video[k]) / 4;
    for (int64_t k = 0; k < TEST_AUDIO; k++) audio[k] = sign * fabsf(audio[k]) / 4;
}

static tk_status write_featured(tk_comm *comm, tk_clip_writer *w, int64_t n)
{
    float video[TEST_VIDEO], audio[TEST_AUDIO], text[3 * TEST_TEXT];
    tk_status st = TK_OK;
    for (int64_t k = comm->rank; k < TEST_FEATURES && st == TK_OK; k += comm->size) {
        test_feature_rows(k, text);
        st = tk_clip_writer_put_feature(w, k, text);
    }
    for (int64_t i = comm->rank; i < n && st == TK_OK; i += comm->size) {
        signed_rows(i, video, audio);
        st = tk_clip_writer_put(w, i, video, audio);
    }
    st = tk_agree(comm, st);
    if (st == TK_OK) return tk_clip_writer_commit(w, NULL, NULL);
    tk_clip_writer_abort(w);
    return st;
}

static void give_features(int64_t n, int swapped, tk_clip_shot (*shot)[2])
{
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < 2; k++) {
            if (k == 1 && i % 4 == 3) continue;
            shot[i][k].feature = k == 1 && i % 4 == 2 ? 2 : (i + swapped) % 2;
            shot[i][k].feature_rows = test_feature_counts[shot[i][k].feature];
        }
}

tk_status test_write_featured_clips(tk_comm *comm, const char *path, int64_t n, bool half,
                                    bool swapped)
{
    planned p;
    tk_clip_writer *w;
    tk_clip_feature feature[TEST_FEATURES];
    for (int k = 0; k < TEST_FEATURES; k++)
        feature[k] = (tk_clip_feature){.rows = test_feature_counts[k]};
    const tk_clip_features features = {
        .n = TEST_FEATURES, .channels = TEST_TEXT, .half = half, .empty = 2, .feature = feature};
    TK_TRY(open_plan(&p, n));
    for (int64_t i = 0; i < n; i++) p.clip[i].n_citations = 0;
    give_features(n, swapped, p.shot);
    tk_codec *c = test_codec(1);
    const tk_clip_plan all = {.path = path,
                              .config = "test: yes\n",
                              .codec = c,
                              .n_buckets = n > 2 ? 2 : 1,
                              .buckets = p.bucket,
                              .n = n,
                              .clips = p.clip,
                              .features = &features};
    tk_status st = tk_clip_writer_open(comm, &all, &w);
    if (st == TK_OK) st = write_featured(comm, w, n);
    tk_codec_free(c);
    tk_arena_free(&p.arena);
    return tk_agree(comm, st);
}

int test_clips_open(tk_comm *comm, int64_t n, char path[TEST_CLIPS_PATH])
{
    char dir[] = "/tmp/talkie-XXXXXX";
    if (comm->rank == 0 && !mkdtemp(dir)) return 1;
    if (tk_comm_broadcast(comm, dir, sizeof dir, 0) != TK_OK) return 1;
    snprintf(path, TEST_CLIPS_PATH, "%s/clips.h5", dir);
    return test_write_clips(comm, path, 1, n, -1) != TK_OK;
}

int test_clips_close(tk_comm *comm, const char *path)
{
    char of[TEST_CLIPS_PATH];
    snprintf(of, sizeof of, "%s", path);
    if (tk_comm_barrier(comm) != TK_OK) return 1;
    return comm->rank == 0 && (unlink(path) || rmdir(dirname(of)));
}
