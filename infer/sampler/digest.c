// SPDX-License-Identifier: Apache-2.0
#include "infer/sampler/digest.h"
#include <string.h>
#include <xxhash.h>

static uint64_t digest_more(uint64_t h, const void *x, int64_t n, size_t each)
{
    return XXH3_64bits_withSeed(x, tk_array_bytes(n, each), h);
}

// One after the other: between the members of a struct lies what nobody wrote.
static uint64_t mix_shot(uint64_t h, const tk_shot_rows *s)
{
    const int64_t counts[] = {s->latent_frames, s->audio_rows, s->target, s->height, s->width};
    h = digest_more(h, counts, sizeof counts / sizeof *counts, sizeof *counts);
    return digest_more(h, &s->start, 1, sizeof s->start);
}

static uint64_t mix_document(uint64_t h, const tk_document *d)
{
    const int64_t counts[] = {d->n_shots, d->height, d->width, d->audio_channels, d->id};
    const double times[] = {d->fps, d->audio_units, d->t_clean};
    int64_t rows[TK_MODALITIES];
    tk_document_rows(d, rows);
    h = digest_more(h, counts, sizeof counts / sizeof *counts, sizeof *counts);
    h = digest_more(h, times, sizeof times / sizeof *times, sizeof *times);
    h = digest_more(h, d->cadence, TK_CADENCE, sizeof *d->cadence);
    for (int k = 0; k < d->n_shots; k++) h = mix_shot(h, &d->shots[k]);
    for (int m = 0; m < TK_MODALITIES; m++) // a mask of zeros: as with none
        if (d->given[m] && memchr(d->given[m], 1, (size_t)rows[m]))
            h = digest_more(h, d->given[m], rows[m], sizeof *d->given[m]);
    return h;
}

static uint64_t mix_text(uint64_t h, const tk_sample_task *t, int branch, int64_t channels)
{
    const int64_t n = t->text_rows[branch];
    h = digest_more(h, t->caption_rows[branch], t->doc.n_shots, sizeof **t->caption_rows);
    if (channels) return digest_more(h, t->features[branch], n * channels, sizeof **t->features);
    return digest_more(h, t->text[branch], n, sizeof **t->text);
}

uint64_t tk_sample_task_digest(const tk_sample_task *t, int64_t text_channels)
{
    const uint64_t walk[] = {t->seed, (uint64_t)t->steps, (uint64_t)t->solver, t->keep_given};
    const double by[] = {t->guidance, t->skip};
    uint64_t h = mix_document(0, &t->doc);
    h = digest_more(h, walk, sizeof walk / sizeof *walk, sizeof *walk);
    h = digest_more(h, by, sizeof by / sizeof *by, sizeof *by);
    h = digest_more(h, t->shift, TK_MODALITIES, sizeof *t->shift);
    for (int k = 0; k < t->doc.n_shots; k++) // the noise of those that are made
        if (t->doc.shots[k].target) h = digest_more(h, &t->shot_id[k], 1, sizeof *t->shot_id);
    for (int b = 0; b < tk_sample_branches(t->guidance); b++) h = mix_text(h, t, b, text_channels);
    return h;
}
