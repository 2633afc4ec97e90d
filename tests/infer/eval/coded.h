// SPDX-License-Identifier: Apache-2.0
// A codec fitted on clips of the world, through which tests pass what they judge.
#pragma once
#include "infer/eval/breaks.h"
#include "infer/eval/learn/learn.h"
#include "tests/support/test.h"

typedef struct coded_clips { // what it is fitted on, one after the other
    const tk_config *config;
    tk_speech *speech;
    tk_media media;
} coded_clips;

static inline tk_status shoot_coded(void *ctx, int64_t i, tk_media *out)
{
    coded_clips *s = ctx;
    const tk_config *c = s->config;
    tk_scene scene;
    tk_media_free(&s->media);
    TK_TRY(tk_scene_make(&c->world, &c->media, c->codec.patch_frames, s->speech, 21, i, &scene));
    TK_TRY(tk_break_film(TK_BREAK_NONE, &scene, &c->media, s->speech,
                         tk_scene_frames(&c->world, &c->media, c->codec.patch_frames), &s->media));
    *out = s->media;
    return TK_OK;
}

// Clips of the size that the judges are for, of all that the world has.
static inline void judged_world(tk_config *c)
{
    tk_config_init(c);
    c->media = (tk_media_config){
        .width = 96, .height = 64, .fps = 12, .sample_rate = 16000, .channels = 1};
    c->world.seconds = 4, c->world.max_shots = 4, c->world.held_out = TK_HELD_WITH;
}

// Lapped, PATCH=4: of so many frames a patch (2). `whole`: patches and sound as of a model that
// speaks; else small patches, and sound that keeps its wave: as many numbers, soon fitted. The
// config's codec is set too.
static inline tk_status fit_codec(tk_config *c, tk_speech *speech, bool whole, tk_codec **out)
{
    coded_clips clips = {.config = c, .speech = speech};
    const int64_t side = whole ? 16 : 8;
    c->codec.patch_frames = getenv("PATCH") ? atoll(getenv("PATCH")) : 2;
    c->codec.patch_size = side;
    c->codec.video_channels = 48 * c->codec.patch_frames * side * side / 256;
    c->codec.video = TK_PICTURE_LAPPED;
    c->codec.audio_hop = 400;
    c->codec.audio = whole ? TK_SOUND_VOCODER : TK_SOUND_MDCT;
    c->codec.audio_channels = whole ? 29 : 64;
    const tk_status st =
        tk_codec_fit(&c->codec, &c->media, shoot_coded, &clips, whole ? 80 : 12, out);
    tk_media_free(&clips.media);
    return st;
}

static inline void pass_through(const tk_codec *codec, tk_media *m)
{
    tk_grid g;
    assert_ok(tk_grid_of(tk_codec_get_info(codec), "test", m->frames, m->height, m->width,
                         TK_GRID_WHOLE, &g));
    assert_ok(tk_media_through_codec(codec, &g, m));
}
