// SPDX-License-Identifier: Apache-2.0
// One rank reads a clip file's index, the others receive it: packed into one block of bytes,
// broadcast, and taken apart on the other side. All ranks run the same binary, so the block has the
// layout of this machine.
#include "data/clip/internal.h"
#include <string.h>

typedef struct counts { // heads the block
    int64_t clips, shots, buckets, words, bytes;
} counts;

typedef struct clip_record {
    int64_t bucket, slot, shots, name; // name: offset among the words
} clip_record;

typedef struct shot_record {
    double start, seconds;
    int64_t frames, rows, caption;
} shot_record;

typedef struct view { // the parts of a block
    clip_record *clip;
    shot_record *shot;
    tk_bucket *bucket;
    uint64_t *digest;
    char *words;
} view;

static int64_t digests(const tk_clips *c)
{
    int64_t n = 0;
    for (int k = 0; k < c->n_buckets; k++) n += 2 * c->bucket[k].slots;
    return n;
}

static counts count_index(const tk_clips *c)
{
    counts n = {.clips = c->n, .buckets = c->n_buckets, .words = (int64_t)strlen(c->config) + 1};
    for (int64_t k = 0; k < c->n; k++) {
        n.words += (int64_t)strlen(c->clip[k].name) + 1;
        n.shots += c->clip[k].n_shots;
        for (int j = 0; j < c->clip[k].n_shots; j++)
            n.words += (int64_t)strlen(c->clip[k].shot[j].caption) + 1;
    }
    n.bytes = n.clips * (int64_t)sizeof(clip_record) + n.shots * (int64_t)sizeof(shot_record) +
              n.buckets * (int64_t)sizeof(tk_bucket) + digests(c) * 8 + n.words;
    return n;
}

static view view_block(char *block, const counts *n)
{
    view v;
    v.clip = (clip_record *)block;
    v.shot = (shot_record *)(v.clip + n->clips);
    v.bucket = (tk_bucket *)(v.shot + n->shots);
    v.digest = (uint64_t *)(v.bucket + n->buckets);
    v.words = block + n->bytes - n->words;
    return v;
}

static int64_t add_word(view *v, int64_t *at, const char *word)
{
    int64_t start = *at, size = (int64_t)strlen(word) + 1;
    memcpy(v->words + start, word, (size_t)size);
    *at += size;
    return start;
}

static void pack(const tk_clips *c, const counts *n, char *block)
{
    view v = view_block(block, n);
    int64_t word = 0, shot = 0, digest = 0;
    add_word(&v, &word, c->config);
    for (int64_t k = 0; k < c->n; k++) {
        const tk_clip_info *i = &c->clip[k];
        v.clip[k] = (clip_record){i->bucket, i->slot, i->n_shots, add_word(&v, &word, i->name)};
        for (int j = 0; j < i->n_shots; j++) {
            const tk_clip_shot *s = &i->shot[j];
            v.shot[shot++] = (shot_record){s->start, s->seconds, s->latent_frames, s->audio_rows,
                                           add_word(&v, &word, s->caption)};
        }
    }
    for (int k = 0; k < c->n_buckets; k++) {
        v.bucket[k] = c->bucket[k];
        memcpy(v.digest + digest, c->bucket[k].digest, (size_t)c->bucket[k].slots * 16);
        digest += 2 * c->bucket[k].slots;
    }
}

// The block lives in c's arena, and what is taken apart points into it.
static tk_status unpack(char *block, const counts *n, tk_clips *c)
{
    view v = view_block(block, n);
    tk_clip_shot *shot;
    int64_t digest = 0, at = 0;
    TK_ARENA_NEW(shot, &c->arena, n->shots);
    TK_ARENA_NEW(c->clip, &c->arena, n->clips);
    c->n = n->clips, c->config = v.words;
    c->n_buckets = (int)n->buckets, c->bucket = v.bucket;
    for (int64_t k = 0; k < n->shots; k++) {
        const shot_record *s = &v.shot[k];
        shot[k] = (tk_clip_shot){.start = s->start,
                                 .seconds = s->seconds,
                                 .latent_frames = s->frames,
                                 .audio_rows = s->rows,
                                 .caption = v.words + s->caption};
    }
    for (int64_t k = 0; k < n->clips; k++) {
        const clip_record *r = &v.clip[k];
        c->clip[k] = (tk_clip_info){.name = v.words + r->name,
                                    .bucket = (int)r->bucket,
                                    .slot = r->slot,
                                    .n_shots = (int)r->shots,
                                    .shot = shot + at};
        at += r->shots;
    }
    for (int k = 0; k < c->n_buckets; k++) {
        c->bucket[k].digest = v.digest + digest;
        digest += 2 * c->bucket[k].slots;
    }
    return TK_OK;
}

static tk_status share_index(tk_comm *comm, const char *path, tk_clips *c)
{
    bool first = comm->rank == 0;
    counts n = {0};
    char *block = NULL;
    tk_status st = TK_OK;
    if (first) n = count_index(c);
    TK_TRY(tk_comm_broadcast(comm, &n, sizeof n, 0));
    block = tk_arena_alloc(&c->arena, (size_t)n.bytes);
    if (!block) st = TK_FAIL(TK_MEMORY, "out of memory for the index of %s", path);
    TK_TRY(tk_agree(comm, st));
    if (first) pack(c, &n, block);
    TK_TRY(tk_clip_broadcast(comm, block, n.bytes));
    TK_TRY(tk_codec_broadcast(comm, &c->codec, 0));
    if (!first) {
        st = unpack(block, &n, c);
        c->path = tk_arena_strdup(&c->arena, path);
        if (st == TK_OK && !c->path) st = TK_FAIL(TK_MEMORY, "out of memory opening %s", path);
        if (st == TK_OK) st = tk_clip_identify(c);
    }
    return tk_agree(comm, st);
}

tk_status tk_clips_open_shared(tk_comm *comm, const char *path, const char *codec_file,
                               tk_clips *out)
{
    tk_status st = TK_OK;
    if (comm->rank == 0) {
        st = tk_clips_open(path, codec_file, out);
    } else {
        *out = (tk_clips){0};
        tk_arena_init(&out->arena, 0);
    }
    TK_TRY(tk_agree(comm, st));
    if (comm->size > 1) {
        st = share_index(comm, path, out);
        if (st == TK_OK) st = tk_references_share(comm, out);
        if (st == TK_OK) st = tk_features_share(comm, out);
        if (st != TK_OK) tk_clips_close(out);
    }
    return st;
}
