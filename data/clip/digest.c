// SPDX-License-Identifier: Apache-2.0
// What a training's clips are, in a number.
#include "data/clip/ahead.h"
#include "data/clip/internal.h"
#include <string.h>
#include <xxhash.h>

static uint64_t digest_on(uint64_t h, const void *x, size_t bytes)
{
    return XXH3_64bits_withSeed(x, bytes, h);
}

static uint64_t words_digest_on(uint64_t h, const char *s)
{
    return digest_on(h, s, strlen(s) + 1);
}

static uint64_t digest_shot(uint64_t h, const tk_clips *c, const tk_clip_shot *s)
{
    const double at[] = {s->start, s->seconds};
    const uint64_t features = s->feature_rows ? c->features.feature[s->feature].digest : 0;
    const int64_t rows[] = {s->latent_frames, s->audio_rows, s->feature_rows};
    h = digest_on(h, at, sizeof at);
    h = digest_on(h, rows, sizeof rows);
    h = digest_on(h, &features, sizeof features);
    return words_digest_on(h, s->caption);
}

static uint64_t digest_clip(uint64_t h, const tk_clips *c, const tk_clip_info *i)
{
    const tk_bucket *b = &c->bucket[i->bucket];
    const int64_t shape[] = {b->frames,  b->height,     b->width,      b->latent_frames,
                             b->high,    b->wide,       b->audio_rows, b->audio_channels,
                             i->n_shots, i->n_citations};
    h = digest_on(h, shape, sizeof shape);
    h = digest_on(h, b->digest + 2 * i->slot, 2 * sizeof *b->digest);
    for (int k = 0; k < i->n_shots; k++) h = digest_shot(h, c, &i->shot[k]);
    for (int k = 0; k < i->n_citations; k++) {
        const tk_clip_reference *r = &c->reference[i->citation[k].reference];
        h = digest_on(h, r->digest, sizeof r->digest);
        h = words_digest_on(words_digest_on(h, i->citation[k].tag), i->citation[k].word);
    }
    return h;
}

uint64_t tk_loader_digest(const tk_loader *l)
{
    const tk_clip_features *f = &l->file[0].features; // all files' empty captions have the same
    uint64_t h = f->n && f->empty >= 0 ? f->feature[f->empty].digest : 0;
    for (int64_t i = l->base; i < l->base + l->n; i++)
        h = digest_clip(h, tk_loader_file(l, i), tk_loader_info(l, i, NULL));
    return h;
}
