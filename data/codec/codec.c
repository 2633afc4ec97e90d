// SPDX-License-Identifier: Apache-2.0
// Codecs of every kind: what is the same for all of them, and the way to each one's own functions.
#include "data/codec/internal.h"
#include <string.h>

// ---- kinds -------------------------------------------------------------------------------------

enum { MOST_KINDS = 16 };
static const tk_codec_kind *kinds[MOST_KINDS] = {&tk_linear_kind};
static int n_kinds = 1;

tk_status tk_codec_register(const tk_codec_kind *kind)
{
    if (n_kinds == MOST_KINDS || tk_codec_kind_named(kind->name))
        return TK_FAIL(TK_INTERNAL, "a kind of codec named \"%s\" cannot be added", kind->name);
    kinds[n_kinds++] = kind;
    return TK_OK;
}

int tk_codec_kind_number(const tk_codec_kind *kind)
{
    int k = 0;
    while (k < n_kinds && kinds[k] != kind) k++;
    return k;
}

const tk_codec_kind *tk_codec_kind_of(int number)
{
    return number >= 0 && number < n_kinds ? kinds[number] : NULL;
}

const tk_codec_kind *tk_codec_kind_named(const char *name)
{
    for (int k = 0; k < n_kinds; k++)
        if (!strcmp(kinds[k]->name, name)) return kinds[k];
    return NULL;
}

// ---- codecs ------------------------------------------------------------------------------------

tk_status tk_codec_check_info(const tk_codec_info *i, const char *where)
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
    if (i->video_channels > patch)
        return TK_FAIL(TK_INPUT, "%s: %lld video channels of a patch of %lld numbers", where,
                       (long long)i->video_channels, (long long)patch);
    if (i->audio_channels > i->audio_hop)
        return TK_FAIL(TK_INPUT, "%s: %lld audio channels of a hop of %lld samples", where,
                       (long long)i->audio_channels, (long long)i->audio_hop);
    return TK_OK;
}

void tk_codec_free(tk_codec *c)
{
    if (c) c->kind->free(c);
}

const tk_codec_info *tk_codec_get_info(const tk_codec *c)
{
    return &c->info;
}

const char *tk_codec_name(const tk_codec *c)
{
    return c->kind->name;
}

// ---- media to rows and back --------------------------------------------------------------------

int64_t tk_codec_video_context(const tk_codec *c)
{
    return c->kind->video_context;
}

tk_status tk_codec_encode_video(const tk_codec *c, const tk_media *m, float *rows)
{
    tk_grid g;
    TK_TRY(tk_grid_of(&c->info, "a clip", m->frames, m->height, m->width, TK_GRID_WHOLE, &g));
    return c->kind->encode_video(c, m, rows);
}

tk_status tk_codec_decode_video_part(const tk_codec *c, const float *rows, const tk_grid *g,
                                     int64_t first, int64_t n, uint8_t *rgb)
{
    return c->kind->decode_video(c, rows, g, first, n, rgb);
}

tk_status tk_codec_decode_video(const tk_codec *c, const float *rows, const tk_grid *g,
                                uint8_t *rgb)
{
    return tk_codec_decode_video_part(c, rows, g, 0, g->latent_frames, rgb);
}

tk_status tk_codec_encode_audio(const tk_codec *c, const tk_media *m, float *rows)
{
    return c->kind->encode_audio(c, m, rows);
}

tk_status tk_codec_decode_audio_part(const tk_codec *c, const float *rows, int64_t audio_rows,
                                     int64_t channels, int64_t first, int64_t n, float *pcm)
{
    return c->kind->decode_audio(c, rows, audio_rows, channels, first, n, pcm);
}

tk_status tk_codec_decode_audio(const tk_codec *c, const float *rows, int64_t audio_rows,
                                int64_t channels, float *pcm, int64_t samples)
{
    return tk_codec_decode_audio_part(c, rows, audio_rows, channels, 0, samples, pcm);
}
