// SPDX-License-Identifier: Apache-2.0
#include "core/base/mem.h"
#include "infer/eval/learn/learn.h"

static tk_status code_pictures(const tk_codec *c, const tk_grid *g, tk_media *m)
{
    float *rows;
    TK_NEW(rows, g->video_rows * tk_codec_get_info(c)->video_channels);
    tk_status st = tk_codec_encode_video(c, m, rows);
    if (st == TK_OK) st = tk_codec_decode_video(c, rows, g, m->rgb);
    tk_free(rows);
    return st;
}

static tk_status code_sound(const tk_codec *c, const tk_grid *g, tk_media *m)
{
    float *rows;
    TK_NEW(rows, g->audio_rows * m->channels * tk_codec_get_info(c)->audio_channels);
    tk_status st = tk_codec_encode_audio(c, m, rows);
    if (st == TK_OK)
        st = tk_codec_decode_audio(c, rows, g->audio_rows, m->channels, m->pcm, m->samples);
    tk_free(rows);
    return st;
}

tk_status tk_media_through_codec(const tk_codec *c, const tk_grid *g, tk_media *m)
{
    if (m->frames > 0) TK_TRY(code_pictures(c, g, m));
    return m->samples > 0 ? code_sound(c, g, m) : TK_OK;
}
