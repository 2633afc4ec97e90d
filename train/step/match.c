// SPDX-License-Identifier: Apache-2.0
// Whether the config and the data go together.
#include "train/step/trainer.h"
#include <string.h>

// Rows are as wide as the clips' codec makes them; a width that was asked for must be that.
static tk_status match_channels(const char *key, const char *what, int64_t *width, int64_t data)
{
    const int64_t model = *width ? *width : data;
    *width = model;
    if (model == data) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is %lld, but the clips' codec makes %lld channels a row of %s; set %s=%lld "
                   "or make the data anew with codec.%s=%lld",
                   key, (long long)model, (long long)data, what, key, (long long)data,
                   key + strlen("model."), (long long)model);
}

// Text rows are as wide as the encoder made them.
static tk_status match_text(const tk_config *c, const tk_loader *l)
{
    tk_text_form form;
    if (c->model.text == TK_TEXT_BYTES) return TK_OK;
    TK_TRY(tk_loader_text_form(l, &form));
    if (form.channels == c->model.text_channels) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "model.text_channels is %lld, but the clips' text features are %lld wide; set "
                   "model.text_channels=%lld",
                   (long long)c->model.text_channels, (long long)form.channels,
                   (long long)form.channels);
}

tk_status tk_trainer_match(tk_config *c, const tk_loader *l, int data_ranks)
{
    const tk_codec_info *i = tk_codec_get_info(tk_loader_codec(l));
    TK_TRY(match_channels("model.video_channels", "video", &c->model.video_channels,
                          i->video_channels));
    TK_TRY(match_channels("model.audio_channels", "audio", &c->model.audio_channels,
                          i->audio_channels));
    TK_TRY(match_text(c, l));
    if (c->train.batch < data_ranks)
        return TK_FAIL(TK_INPUT,
                       "train.batch is %lld documents, fewer than the %d data ranks; every data "
                       "rank needs at least one",
                       (long long)c->train.batch, data_ranks);
    return TK_OK;
}
