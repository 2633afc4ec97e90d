// SPDX-License-Identifier: Apache-2.0
#include "data/codec/grid.h"
#include "core/config/codec.h"
#include <math.h>

bool tk_grid_divides(const tk_codec_info *i, int64_t frames, int64_t height, int64_t width)
{
    return tk_patch_divides(frames, i->patch_frames) && tk_patch_divides(height, i->patch_size) &&
           tk_patch_divides(width, i->patch_size);
}

tk_status tk_grid_of(const tk_codec_info *i, const char *where, int64_t frames, int64_t height,
                     int64_t width, int64_t samples, tk_grid *out)
{
    *out = (tk_grid){.frames = frames, .height = height, .width = width, .samples = samples};
    if (!tk_grid_divides(i, frames, height, width))
        return TK_FAIL(TK_INPUT,
                       "%s: %lld frames of %lldx%lld do not divide into patches of %lld frames of "
                       "%lldx%lld",
                       where, (long long)frames, (long long)width, (long long)height,
                       (long long)i->patch_frames, (long long)i->patch_size,
                       (long long)i->patch_size);
    out->latent_frames = tk_grid_latent(i, frames);
    out->high = height / i->patch_size;
    out->wide = width / i->patch_size;
    out->video_rows = out->latent_frames * out->high * out->wide;
    if (samples == TK_GRID_WHOLE) out->samples = tk_grid_sample(i, out->latent_frames);
    out->audio_rows = tk_grid_audio_rows(i, out->samples);
    return TK_OK;
}

tk_media tk_grid_media(const tk_codec_info *i, const tk_grid *g)
{
    return (tk_media){.frames = g->frames,
                      .height = g->height,
                      .width = g->width,
                      .fps = (double)i->fps,
                      .samples = g->samples,
                      .channels = i->channels,
                      .sample_rate = i->sample_rate};
}

// Rows that hold so many samples.
static int64_t hops(const tk_codec_info *i, int64_t samples)
{
    return (samples + i->audio_hop - 1) / i->audio_hop;
}

int64_t tk_grid_audio_rows(const tk_codec_info *i, int64_t samples)
{
    return hops(i, samples) + i->audio_tail;
}

int64_t tk_grid_side(const tk_codec_info *i, int64_t pixels)
{
    return pixels < i->patch_size ? i->patch_size : pixels / i->patch_size * i->patch_size;
}

int64_t tk_grid_portrait(const tk_codec_info *i, int64_t height, int64_t width)
{
    const int64_t half = (height < width ? height : width) / 2;
    return tk_grid_side(i, half + i->patch_size - 1);
}

int64_t tk_grid_frame(const tk_codec_info *i, int64_t f)
{
    return f * i->patch_frames;
}

int64_t tk_grid_latent(const tk_codec_info *i, int64_t frame)
{
    return frame / i->patch_frames;
}

int64_t tk_grid_sample(const tk_codec_info *i, int64_t f)
{
    return tk_clock_sample(tk_grid_frame(i, f), i->sample_rate, i->fps);
}

int64_t tk_grid_audio_row(const tk_codec_info *i, int64_t f)
{
    return hops(i, tk_grid_sample(i, f));
}

double tk_grid_audio_span(const tk_codec_info *i, int64_t units)
{
    return (double)(units * i->audio_hop) / (double)i->sample_rate;
}

double tk_grid_tick(const tk_codec_info *i)
{
    return (double)i->patch_frames / (double)i->fps;
}

int64_t tk_grid_latents(const tk_codec_info *i, double seconds)
{
    return (int64_t)floor(seconds * (double)i->fps / (double)i->patch_frames + 1e-6);
}
