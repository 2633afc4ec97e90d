// SPDX-License-Identifier: Apache-2.0
// Whether the config and the data go together.
#include "train/step/trainer.h"
#include <string.h>

// Rows are as wide as the clips' codec makes them; a width that was asked for must be that.
static void match_channels(tk_wrong *w, const char *key, const char *what, int64_t *width,
                           int64_t data)
{
    const int64_t model = *width ? *width : data;
    *width = model;
    if (model != data)
        tk_wrong_add(w, key,
                     "%lld, but the clips' codec makes %lld channels a row of %s; set %s=%lld "
                     "or make the data anew with codec.%s=%lld",
                     (long long)model, (long long)data, what, key, (long long)data,
                     key + strlen("model."), (long long)model);
}

void tk_trainer_match_codec(tk_wrong *w, tk_config *c, const tk_codec_info *k)
{
    match_channels(w, "model.video_channels", "video", &c->model.video_channels, k->video_channels);
    match_channels(w, "model.audio_channels", "audio", &c->model.audio_channels, k->audio_channels);
}

void tk_trainer_match_batch(tk_wrong *w, const tk_config *c, int data_ranks)
{
    if (c->train.batch < data_ranks)
        tk_wrong_add(w, "train.batch",
                     "%lld documents, fewer than the %d data ranks; every data rank needs at "
                     "least one",
                     (long long)c->train.batch, data_ranks);
}

// Text rows are as wide as the encoder made them.
static tk_status match_text(tk_wrong *w, const tk_config *c, const tk_loader *l)
{
    tk_text_form form;
    if (c->model.text == TK_TEXT_BYTES) return TK_OK;
    const tk_status st = tk_loader_text_form(l, &form);
    if (st != TK_OK) return tk_wrong_with(w, "model.text", st);
    if (form.channels != c->model.text_channels)
        tk_wrong_add(w, "model.text_channels",
                     "%lld, but the clips' text features are %lld wide; set "
                     "model.text_channels=%lld",
                     (long long)c->model.text_channels, (long long)form.channels,
                     (long long)form.channels);
    return TK_OK;
}

tk_status tk_trainer_match(tk_config *c, const tk_loader *l, int data_ranks)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_wrong w = tk_wrong_of(c, "", &a);
    tk_trainer_match_codec(&w, c, tk_codec_get_info(tk_loader_codec(l)));
    tk_status st = match_text(&w, c, l);
    tk_trainer_match_batch(&w, c, data_ranks);
    if (st == TK_OK) st = tk_wrong_end(&w);
    tk_arena_free(&a);
    return st;
}
