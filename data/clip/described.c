// SPDX-License-Identifier: Apache-2.0
// Clips that are nowhere: a shape alone, for plans of runs whose data is yet to be made.
#include "core/base/mem.h"
#include "data/clip/internal.h"
#include "data/codec/kind.h"
#include <string.h>

// What is known of a codec before it is fitted. It has no halves: nothing is encoded.
static tk_status describe_codec(const tk_codec_info *info, tk_codec **out)
{
    tk_codec *c = tk_alloc(sizeof *c);
    if (!c) return TK_FAIL(TK_MEMORY, "out of memory for a codec");
    *c = (tk_codec){.info = *info};
    *out = c;
    return TK_OK;
}

static tk_status describe_bucket(const tk_clip_shape *s, tk_bucket *b)
{
    const tk_codec_info *i = &s->codec;
    const int64_t patch = i->patch_frames; // whole patches, where latents do not follow from frames
    const int64_t frames = s->latents ? (s->frames + patch - 1) / patch * patch : s->frames;
    tk_grid g;
    TK_TRY(tk_grid_of(i, "plan.frames", frames, s->height, s->width, TK_GRID_WHOLE, &g));
    *b = (tk_bucket){.frames = s->frames,
                     .height = s->height,
                     .width = s->width,
                     .latent_frames = s->latents ? s->latents : g.latent_frames,
                     .high = g.high,
                     .wide = g.wide,
                     .audio_rows = g.audio_rows,
                     .audio_channels = i->channels,
                     .slots = 1};
    b->video_bytes = 2 * tk_bucket_video_count(b, i);
    b->audio_bytes = 2 * tk_bucket_audio_count(b, i);
    return TK_OK;
}

static tk_status describe_clip(const tk_clip_shape *s, tk_clips *c)
{
    const tk_bucket *b = c->bucket;
    char *caption;
    tk_clip_info *clip;
    tk_clip_shot *shot;
    TK_ARENA_NEW(caption, &c->arena, s->caption + 1);
    TK_ARENA_NEW(clip, &c->arena, 1);
    TK_ARENA_NEW(shot, &c->arena, 1);
    memset(caption, 'a', (size_t)s->caption);
    *shot = (tk_clip_shot){.seconds = (double)s->frames / (double)s->codec.fps,
                           .latent_frames = b->latent_frames,
                           .audio_rows = b->audio_rows,
                           .feature_rows = s->text_channels ? s->caption : 0,
                           .caption = caption};
    *clip = (tk_clip_info){.name = "a described clip", .n_shots = 1, .shot = shot};
    c->features = (tk_clip_features){.channels = s->text_channels, .empty = -1};
    c->clip = clip;
    c->n = 1;
    return TK_OK;
}

tk_status tk_clips_describe(const tk_clip_shape *s, tk_clips *out)
{
    *out = (tk_clips){.path = "described clips", .config = ""};
    tk_arena_init(&out->arena, 0);
    TK_TRY(describe_codec(&s->codec, &out->codec));
    TK_ARENA_NEW(out->bucket, &out->arena, 1);
    out->n_buckets = 1;
    TK_TRY(describe_bucket(s, out->bucket));
    return describe_clip(s, out);
}
