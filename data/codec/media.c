// SPDX-License-Identifier: Apache-2.0
#include "data/codec/media.h"
#include <string.h>

int64_t tk_media_samples(const tk_media_config *m, int64_t frames)
{
    return tk_clock_sample(frames, m->sample_rate, m->fps);
}

int64_t tk_media_sample_of(const tk_media_config *m, int64_t frame)
{
    return (frame * m->sample_rate + m->fps / 2) / m->fps;
}

tk_media tk_media_shape(const tk_media_config *m, int64_t frames, int64_t samples)
{
    return (tk_media){.frames = frames,
                      .height = m->height,
                      .width = m->width,
                      .fps = (double)m->fps,
                      .samples = samples,
                      .channels = m->channels,
                      .sample_rate = m->sample_rate};
}

tk_status tk_media_alloc(tk_media *m)
{
    m->rgb = tk_alloc(tk_array_bytes(m->frames * m->height * m->width, 3));
    m->pcm = tk_alloc(tk_array_bytes(m->samples * m->channels, sizeof *m->pcm));
    if (m->rgb && m->pcm) return TK_OK;
    const tk_status st = TK_FAIL(TK_MEMORY, "out of memory for a clip of %lld frames of %lldx%lld",
                                 (long long)m->frames, (long long)m->width, (long long)m->height);
    tk_media_free(m);
    return st;
}

void tk_media_free(tk_media *m)
{
    tk_free(m->rgb);
    tk_free(m->pcm);
    *m = (tk_media){0};
}

static tk_status whole_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    const tk_media *m = ((tk_media_whole *)s)->media;
    *rgb = m->rgb + frame * m->height * m->width * 3;
    return TK_OK;
}

static tk_status whole_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    const tk_media *m = ((tk_media_whole *)s)->media;
    memcpy(pcm, m->pcm + first * m->channels, (size_t)(n * m->channels) * sizeof *pcm);
    return TK_OK;
}

tk_media_whole tk_media_whole_of(const tk_media *m)
{
    tk_media_whole w = {{*m, whole_picture, whole_sound, NULL}, m};
    w.source.shape.rgb = NULL;
    w.source.shape.pcm = NULL;
    if (!m->pcm) w.source.shape.samples = 0;
    return w;
}
