// SPDX-License-Identifier: Apache-2.0
#include "data/codec/decoder.h"

enum { LEAST = 4, PER_CONTEXT = 8 }; // latent frames of a window; for each one of context

// Rows [first, end) of a side that has so many.
static tk_status rows_within(tk_decoder *d, tk_codec_side side, int64_t first, int64_t end,
                             int64_t all, tk_row_part *out)
{
    if (first < 0) first = 0;
    if (end > all) end = all;
    return d->rows->rows(d->rows, side, first, end - first, out);
}

static tk_status decode_window(tk_decoder *d, int64_t latent)
{
    const bool next = latent == d->first + d->n; // else it is a picture here and there
    const int64_t most = next ? d->window : 1, left = d->grid.latent_frames - latent;
    const int64_t n = left < most ? left : most;
    d->first = latent;
    d->n = 0; // until it is there
    const int64_t context = tk_codec_video_context(d->codec);
    tk_row_part rows;
    TK_TRY(rows_within(d, TK_CODEC_VIDEO, latent - context, latent + n + context,
                       d->grid.latent_frames, &rows));
    TK_TRY(tk_codec_decode_video_part(d->codec, rows, &d->grid, latent, n, d->rgb));
    d->n = n;
    return TK_OK;
}

static tk_status picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    tk_decoder *d = (tk_decoder *)s;
    const tk_codec_info *i = tk_codec_get_info(d->codec);
    const int64_t latent = tk_grid_latent(i, frame);
    if (latent < d->first || latent >= d->first + d->n) TK_TRY(decode_window(d, latent));
    const int64_t at = frame - tk_grid_frame(i, d->first);
    *rgb = d->rgb + at * d->grid.height * d->grid.width * 3;
    return TK_OK;
}

static tk_status sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    tk_decoder *d = (tk_decoder *)s;
    const tk_codec_info *i = tk_codec_get_info(d->codec);
    const int64_t context = tk_codec_audio_context(d->codec), all = d->grid.audio_rows;
    const int64_t last = (first + n - 1) / i->audio_hop + i->audio_tail + context;
    tk_row_part rows;
    TK_TRY(rows_within(d, TK_CODEC_AUDIO, first / i->audio_hop - context, last + 1, all, &rows));
    return tk_codec_decode_audio_part(d->codec, rows, all, s->shape.channels, first, n, pcm);
}

tk_status tk_decoder_open(tk_decoder *d, const tk_codec *codec, const tk_grid *grid,
                          tk_latent_source *rows, int64_t window)
{
    const tk_codec_info *i = tk_codec_get_info(codec);
    *d = (tk_decoder){.source = {tk_grid_media(i, grid), picture, sound},
                      .codec = codec,
                      .rows = rows,
                      .grid = *grid,
                      .window = window};
    if (window == TK_DECODER_WINDOW)
        d->window = LEAST + PER_CONTEXT * tk_codec_video_context(codec);
    if (d->window > grid->latent_frames) d->window = grid->latent_frames;
    TK_NEW(d->rgb, tk_grid_frame(i, d->window) * grid->height * grid->width * 3);
    return TK_OK;
}

void tk_decoder_close(tk_decoder *d)
{
    tk_free(d->rgb);
    d->rgb = NULL;
}
