// SPDX-License-Identifier: Apache-2.0
#include "core/model/given.h"
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

tk_status tk_given_open(tk_document *d, tk_arena *a, tk_given *g)
{
    int64_t rows[TK_MODALITIES];
    *g = (tk_given){0};
    tk_document_rows(d, rows);
    for (int k = 0; k < 2; k++) {
        const int m = MEDIA[k];
        TK_ARENA_NEW(g->row[m], a, rows[m] + 1);
        d->given[m] = g->row[m];
    }
    return TK_OK;
}

int64_t tk_given_length(const tk_document *d, int shot, int modality)
{
    int64_t n = 0;
    for (int k = shot; k < d->n_shots; k++)
        n += modality == TK_VIDEO ? d->shots[k].latent_frames : d->shots[k].audio_rows;
    return n;
}

tk_given_box tk_given_whole(const tk_document *d, int shot, int modality)
{
    return (tk_given_box){
        .end = tk_given_length(d, shot, modality), .bottom = d->height, .right = d->width};
}

void tk_give(const tk_document *d, int shot, int modality, const tk_given_box *box, bool given,
             tk_given *g)
{
    const bool sound = modality == TK_AUDIO;
    const tk_given_box b = *box;
    const int64_t high = sound ? 1 : d->height, wide = sound ? d->audio_channels : d->width;
    const int64_t top = sound ? 0 : b.top, bottom = sound ? 1 : b.bottom;
    const int64_t left = sound ? 0 : b.left, right = sound ? wide : b.right;
    uint8_t *at = g->row[modality];
    for (int k = 0; k < shot; k++) at += tk_shot_count(d, k, modality);
    for (int64_t f = b.begin; f < b.end; f++)
        for (int64_t y = top; y < bottom; y++)
            if (left < right)
                memset(at + (f * high + y) * wide + left, given, (size_t)(right - left));
}
