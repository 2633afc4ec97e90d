// SPDX-License-Identifier: Apache-2.0
#include "data/media/media.h"
#include "data/media/reader.h"

// A still gives one picture, or as many as are asked for.
tk_status tk_media_look(const char *path, tk_media_has *out)
{
    const tk_media_config some = {
        .width = 16, .height = 16, .fps = 10, .sample_rate = 16000, .channels = 1};
    int64_t frames = 0;
    *out = (tk_media_has){.sound = true};
    TK_TRY(tk_media_has_pictures(path, &out->pictures));
    if (out->pictures)
        TK_TRY(tk_media_probe(path, &some, 1 / (double)some.fps, &frames, &out->sound));
    out->lasts = frames > 1 || out->sound;
    return TK_OK;
}
