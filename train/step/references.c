// SPDX-License-Identifier: Apache-2.0
#include "train/step/references.h"
#include "core/config/named.h"
#include <string.h>

// ---- on the clock ------------------------------------------------------------------------------

// The first reference that lies at the same time as reference i.
static int64_t first_beside(const tk_reference_rows *r, int64_t i)
{
    const long number = tk_tag_number(r[i].tag, strlen(r[i].tag));
    for (int64_t k = 0; k < i && number >= 0; k++)
        if (tk_tag_number(r[k].tag, strlen(r[k].tag)) == number) return k;
    return i;
}

// Whole latent frames, and seconds beyond them: sums of frames are exact.
typedef struct length {
    int64_t frames;
    double seconds;
} length;

static length length_of(const tk_reference_rows *r, const tk_codec_info *k)
{
    if (r->latent_frames) return (length){.frames = r->latent_frames};
    return (length){.seconds = (double)r->audio_rows * tk_grid_audio_span(k, 1)};
}

static double seconds_of(length l, double tick)
{
    return (double)l.frames * tick + l.seconds;
}

// Of all that lie at the same time as `first`.
static length longest_beside(int64_t n, const tk_reference_rows *r, const tk_codec_info *k,
                             int64_t first)
{
    const double tick = tk_grid_tick(k);
    length most = length_of(&r[first], k);
    for (int64_t i = first + 1; i < n; i++) {
        const length l = length_of(&r[i], k);
        if (first_beside(r, i) == first && seconds_of(l, tick) > seconds_of(most, tick)) most = l;
    }
    return most;
}

void tk_lay_references(int64_t n, const tk_reference_rows *r, const tk_codec_info *k,
                       tk_shot_rows *out)
{
    length before = {0}; // what lies from here to the beginning of media
    for (int64_t i = n; i-- > 0;) {
        if (first_beside(r, i) != i) continue;
        const length l = longest_beside(n, r, k, i);
        before.frames += l.frames;
        before.seconds += l.seconds;
        for (int64_t j = i; j < n; j++)
            if (first_beside(r, j) == i)
                out[j] = (tk_shot_rows){.latent_frames = r[j].latent_frames,
                                        .height = r[j].high,
                                        .width = r[j].wide,
                                        .audio_rows = r[j].audio_rows,
                                        .start = -seconds_of(before, tk_grid_tick(k))};
    }
}

// ---- in captions -------------------------------------------------------------------------------

// The longest word that stands there; NULL: none.
static const char *word_at(const tk_clip_info *info, const char *caption, const char *at)
{
    const char *best = NULL;
    for (int k = 0; k < info->n_citations; k++) {
        const char *word = info->citation[k].word;
        if (tk_word_stands(caption, at, word) && (!best || strlen(word) > strlen(best)))
            best = word;
    }
    return best;
}

// The caption as it is given, into `to` (NULL: nowhere); its bytes.
static size_t cite_caption(const tk_clip_info *info, const char *caption, char *to)
{
    size_t n = 0;
    const char *at = caption;
    while (*at) {
        const char *word = word_at(info, caption, at);
        bool first = true;
        if (!word) {
            if (to) to[n] = *at;
            n++, at++;
            continue;
        }
        for (int k = 0; k < info->n_citations; k++) {
            const tk_clip_citation *c = &info->citation[k];
            char tag[80];
            if (strcmp(c->word, word) != 0) continue;
            const int bytes = snprintf(tag, sizeof tag, "%s<%s>", first ? "" : " ", c->tag);
            if (to) memcpy(to + n, tag, (size_t)bytes);
            n += (size_t)bytes;
            first = false;
        }
        at += strlen(word);
    }
    return n;
}

tk_status tk_cite_captions(const tk_clip_info *info, tk_arena *a, const tk_clip_shot **out)
{
    tk_clip_shot *shot;
    TK_ARENA_NEW(shot, a, info->n_shots);
    for (int k = 0; k < info->n_shots; k++) {
        const char *caption = info->shot[k].caption;
        shot[k] = info->shot[k];
        TK_ARENA_NEW(shot[k].caption, a, (int64_t)cite_caption(info, caption, NULL) + 1);
        cite_caption(info, caption, shot[k].caption);
    }
    *out = shot;
    return TK_OK;
}
