// SPDX-License-Identifier: Apache-2.0
// Codecs of every kind: what is the same for all of them, and the way to each half's own functions.
#include "data/codec/kinds/kinds.h"
#include <stdio.h>
#include <string.h>

// ---- kinds -------------------------------------------------------------------------------------

enum { MOST_KINDS = 16 };
static const tk_half_kind *kinds[TK_CODEC_SIDES][MOST_KINDS] = {
    {[TK_PICTURE_PATCH] = &tk_patch_kind, [TK_PICTURE_LAPPED] = &tk_lapped_kind},
    {[TK_SOUND_MDCT] = &tk_mdct_kind, [TK_SOUND_VOCODER] = &tk_vocoder_kind},
};

tk_status tk_codec_register(const tk_half_kind *kind)
{
    int k = 0;
    while (k < MOST_KINDS && kinds[kind->side][k]) k++;
    if (k == MOST_KINDS || tk_codec_kind_named(kind->side, kind->name))
        return TK_FAIL(TK_INTERNAL, "a kind of codec named \"%s\" cannot be added", kind->name);
    kinds[kind->side][k] = kind;
    return TK_OK;
}

int tk_codec_kind_number(const tk_half_kind *kind)
{
    int k = 0;
    while (k < MOST_KINDS && kinds[kind->side][k] != kind) k++;
    return k;
}

const tk_half_kind *tk_codec_kind_of(tk_codec_side side, int number)
{
    return number >= 0 && number < MOST_KINDS ? kinds[side][number] : NULL;
}

const tk_half_kind *tk_codec_kind_named(tk_codec_side side, const char *name)
{
    for (int k = 0; k < MOST_KINDS && kinds[side][k]; k++)
        if (!strcmp(kinds[side][k]->name, name)) return kinds[side][k];
    return NULL;
}

const char *tk_codec_kind_names(tk_codec_side side, char *words, size_t size)
{
    size_t n = 0;
    words[0] = 0;
    for (int k = 0; k < MOST_KINDS && kinds[side][k] && n < size; k++)
        n += (size_t)snprintf(words + n, size - n, k ? ", %s" : "%s", kinds[side][k]->name);
    return words;
}

// ---- codecs ------------------------------------------------------------------------------------

tk_codec_info tk_codec_planned(const tk_codec_config *c, const tk_media_config *m)
{
    return (tk_codec_info){.patch_frames = c->patch_frames,
                           .patch_size = c->patch_size,
                           .video_channels = c->video_channels,
                           .audio_hop = c->audio_hop,
                           .audio_channels = c->audio_channels,
                           .audio_tail = kinds[TK_CODEC_AUDIO][c->audio]->tail,
                           .fps = m->fps,
                           .sample_rate = m->sample_rate,
                           .channels = m->channels};
}

static tk_status check_info(const tk_codec_info *i, const char *where)
{
    struct {
        const char *name;
        int64_t value, low, high;
    } bound[] = {
        {"patch_frames", i->patch_frames, 1, 64},
        {"patch_size", i->patch_size, 1, 64},
        {"audio_hop", i->audio_hop, 1, TK_CODEC_HOP},
        {"fps", i->fps, 1, 1000},
        {"sample_rate", i->sample_rate, 100, 1000000},
        {"channels", i->channels, 1, 2},
        {"video_channels", i->video_channels, 1, TK_CODEC_CHANNELS},
        {"audio_channels", i->audio_channels, 1, TK_CODEC_CHANNELS},
    };
    for (size_t k = 0; k < sizeof bound / sizeof *bound; k++)
        if (bound[k].value < bound[k].low || bound[k].value > bound[k].high)
            return TK_FAIL(TK_INPUT, "%s: %s is %lld; it must lie in %lld..%lld", where,
                           bound[k].name, (long long)bound[k].value, (long long)bound[k].low,
                           (long long)bound[k].high);
    int64_t patch = tk_codec_patch(i);
    if (patch > TK_CODEC_PATCH)
        return TK_FAIL(TK_INPUT,
                       "%s: a patch of %lld frames of %lldx%lld has %lld numbers; at "
                       "most %d are possible",
                       where, (long long)i->patch_frames, (long long)i->patch_size,
                       (long long)i->patch_size, (long long)patch, TK_CODEC_PATCH);
    return TK_OK;
}

tk_status tk_codec_new(const tk_codec_info *info, const tk_half_kind *const kind[TK_CODEC_SIDES],
                       const char *where, tk_codec **out)
{
    tk_codec *c;
    tk_status st = TK_OK;
    *out = NULL;
    TK_TRY(check_info(info, where));
    for (int s = 0; s < TK_CODEC_SIDES; s++) TK_TRY(kind[s]->check(info, where));
    TK_NEW(c, 1);
    c->info = *info;
    c->info.audio_tail = kind[TK_CODEC_AUDIO]->tail;
    for (int s = 0; s < TK_CODEC_SIDES && st == TK_OK; s++)
        st = kind[s]->create(&c->info, &c->half[s]);
    if (st == TK_OK)
        *out = c;
    else
        tk_codec_free(c);
    return st;
}

int tk_codec_arrays(const tk_codec *c, tk_codec_array list[2 * TK_CODEC_ARRAYS])
{
    int n = 0;
    for (int s = 0; s < TK_CODEC_SIDES; s++) n += c->half[s]->kind->arrays(c->half[s], list + n);
    return n;
}

void tk_codec_free(tk_codec *c)
{
    if (!c) return;
    for (int s = 0; s < TK_CODEC_SIDES; s++)
        if (c->half[s]) c->half[s]->kind->free(c->half[s]);
    tk_free(c);
}

const tk_codec_info *tk_codec_get_info(const tk_codec *c)
{
    return &c->info;
}

const char *tk_codec_name(const tk_codec *c, tk_codec_side side)
{
    return c->half[side]->kind->name;
}

const char *tk_codec_audio_figure(const tk_codec *c)
{
    return c->half[TK_CODEC_AUDIO]->kind->distance ? "dB log-spectral distance" : "dB";
}

// ---- media to rows and back --------------------------------------------------------------------

int64_t tk_codec_video_context(const tk_codec *c)
{
    return c->half[TK_CODEC_VIDEO]->context;
}

int64_t tk_codec_audio_context(const tk_codec *c)
{
    return c->half[TK_CODEC_AUDIO]->context;
}

int64_t tk_codec_step(const tk_codec *c, tk_codec_side side, int64_t high, int64_t wide)
{
    const tk_half *h = c->half[side];
    return h->kind->step ? h->kind->step(h, high, wide) : 0;
}

tk_status tk_codec_encode_video_part(const tk_codec *c, const tk_media *m, int64_t first,
                                     int64_t all, float *rows)
{
    const tk_half *h = c->half[TK_CODEC_VIDEO];
    tk_grid g;
    TK_TRY(tk_grid_of(&c->info, "a clip", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    return h->kind->encode_video(h, m, first, all, rows);
}

tk_status tk_codec_encode_video(const tk_codec *c, const tk_media *m, float *rows)
{
    return tk_codec_encode_video_part(c, m, 0, tk_grid_latent(&c->info, m->frames), rows);
}

tk_status tk_codec_decode_video_part(const tk_codec *c, tk_row_part rows, const tk_grid *g,
                                     int64_t first, int64_t n, uint8_t *rgb)
{
    const tk_half *h = c->half[TK_CODEC_VIDEO];
    return h->kind->decode_video(h, rows, g, first, n, rgb);
}

tk_status tk_codec_decode_video(const tk_codec *c, const float *rows, const tk_grid *g,
                                uint8_t *rgb)
{
    return tk_codec_decode_video_part(c, (tk_row_part){rows, 0}, g, 0, g->latent_frames, rgb);
}

tk_status tk_codec_encode_audio(const tk_codec *c, const tk_media *m, float *rows)
{
    const tk_half *h = c->half[TK_CODEC_AUDIO];
    return h->kind->encode_audio(h, m, rows);
}

tk_status tk_codec_decode_audio_part(const tk_codec *c, tk_row_part rows, int64_t audio_rows,
                                     int64_t channels, int64_t first, int64_t n, float *pcm)
{
    const tk_half *h = c->half[TK_CODEC_AUDIO];
    return h->kind->decode_audio(h, rows, audio_rows, channels, first, n, pcm);
}

tk_status tk_codec_decode_audio(const tk_codec *c, const float *rows, int64_t audio_rows,
                                int64_t channels, float *pcm, int64_t samples)
{
    return tk_codec_decode_audio_part(c, (tk_row_part){rows, 0}, audio_rows, channels, 0, samples,
                                      pcm);
}

// By a kind that knows no parts.
static tk_status encode_whole(const tk_half *h, tk_media_source *track, tk_codec_rows_made made,
                              void *ctx)
{
    const int64_t all = tk_grid_audio_rows(&h->info, track->shape.samples);
    tk_media m = track->shape;
    tk_arena a;
    tk_arena_init(&a, 0);
    float *rows =
        tk_arena_alloc(&a, tk_array_bytes(all * m.channels * h->info.audio_channels, sizeof *rows));
    m.pcm = tk_arena_alloc(&a, tk_array_bytes(m.samples * m.channels, sizeof *m.pcm));
    tk_status st = rows && m.pcm ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory to encode sound");
    if (st == TK_OK) st = track->sound(track, 0, m.samples, m.pcm);
    if (st == TK_OK) st = h->kind->encode_audio(h, &m, rows);
    if (st == TK_OK) st = made(ctx, 0, all, rows);
    tk_arena_free(&a);
    return st;
}

tk_status tk_codec_encode_track(const tk_codec *c, tk_media_source *track, tk_codec_rows_made made,
                                void *ctx)
{
    const tk_half *h = c->half[TK_CODEC_AUDIO];
    return (h->kind->encode_track ? h->kind->encode_track : encode_whole)(h, track, made, ctx);
}
