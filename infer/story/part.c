// SPDX-License-Identifier: Apache-2.0
#include "infer/story/part.h"
#include <string.h>

static tk_media_config clocks_of(const tk_story *s)
{
    return (tk_media_config){.width = s->grid.width,
                             .height = s->grid.height,
                             .fps = s->fps,
                             .sample_rate = s->sample_rate,
                             .channels = s->channels};
}

tk_status tk_given_part_lay(const tk_giver *g, const tk_given_media *m, tk_given_part *p)
{
    const tk_story *s = g->story;
    const int64_t end = m->first + m->n;
    *p = (tk_given_part){
        .g = g, .m = m, .info = tk_codec_get_info(g->codec), .want = clocks_of(s), .grid = s->grid};
    if (m->n < s->grid.latent_frames)
        TK_TRY(tk_grid_of(p->info, m->key, tk_grid_frame(p->info, m->n), s->grid.height,
                          s->grid.width, TK_GRID_WHOLE, &p->grid));
    p->first_row = tk_grid_audio_row(p->info, m->first);
    p->rows = (end < s->grid.latent_frames ? tk_grid_audio_row(p->info, end) : s->grid.audio_rows) -
              p->first_row;
    if (p->grid.audio_rows < p->rows) p->rows = p->grid.audio_rows;
    return TK_OK;
}

static int64_t steps_in(int64_t step, int64_t least)
{
    return least <= step ? step : (least + step - 1) / step * step;
}

// ---- pictures ----------------------------------------------------------------------------------

tk_status tk_pictures_open(const tk_given_part *p, tk_pictures *x)
{
    const tk_grid *g = &p->grid;
    const int64_t second = tk_grid_latent(p->info, p->want.fps - 1) + 1;
    const int64_t step = tk_codec_step(p->g->codec, TK_CODEC_VIDEO, g->high, g->wide);
    const int64_t most = step ? steps_in(step, second) : g->latent_frames;
    const int64_t latents = most < g->latent_frames ? most : g->latent_frames;
    *x = (tk_pictures){
        .p = p, .bytes = g->height * g->width * 3, .window = tk_grid_frame(p->info, latents)};
    x->room = x->window + p->want.fps;
    tk_arena_init(&x->arena, 0);
    if (!p->m->picture) return TK_OK;
    TK_ARENA_NEW(x->rgb, &x->arena, x->room * x->bytes);
    TK_ARENA_NEW(x->rows, &x->arena, latents * g->high * g->wide * p->info->video_channels);
    return TK_OK;
}

static tk_status put_pictures(tk_pictures *x, int64_t n)
{
    const tk_given_part *p = x->p;
    const int64_t latents = tk_grid_latent(p->info, n - 1) + 1;
    tk_media window = tk_media_shape(&p->want, n, 0);
    window.rgb = x->rgb;
    TK_TRY(tk_codec_encode_video_part(p->g->codec, &window, x->at, p->grid.latent_frames, x->rows));
    TK_TRY(tk_latents_put(p->g->to, TK_CODEC_VIDEO, p->m->first + x->at, latents, x->rows));
    x->at += latents;
    x->held -= n;
    memmove(x->rgb, x->rgb + n * x->bytes, (size_t)(x->held * x->bytes));
    return TK_OK;
}

tk_status tk_pictures_add(tk_pictures *x, int64_t n)
{
    x->seen += n;
    if (!x->p->m->picture) return TK_OK;
    x->held += n;
    while (x->held >= x->window) TK_TRY(put_pictures(x, x->window));
    return TK_OK;
}

tk_status tk_pictures_end(tk_pictures *x, const uint8_t *last)
{
    if (!x->p->m->picture) return TK_OK;
    for (int64_t all = x->p->grid.frames; x->seen < all;) {
        memcpy(x->rgb + x->held * x->bytes, last, (size_t)x->bytes);
        TK_TRY(tk_pictures_add(x, 1));
    }
    return x->held ? put_pictures(x, x->held) : TK_OK;
}

// ---- sound -------------------------------------------------------------------------------------

enum { SOUND_ROWS = 1024 }; // of a window, about: seconds

tk_sounds tk_sounds_open(const tk_given_part *p)
{
    const int64_t step = tk_codec_step(p->g->codec, TK_CODEC_AUDIO, p->grid.high, p->grid.wide);
    return (tk_sounds){.p = p, .step = step, .window = step ? steps_in(step, SOUND_ROWS) : 0};
}

void tk_sounds_close(tk_sounds *x)
{
    tk_free(x->pcm);
    tk_latents_close(&x->track);
}

// n more samples of a track that is encoded once it is whole. What is not put is silence.
static tk_status keep_track(tk_sounds *x, const float *pcm, int64_t n)
{
    const tk_given_part *p = x->p;
    const tk_latents_form form = {.rows = {[TK_CODEC_AUDIO] = p->grid.samples},
                                  .numbers = {[TK_CODEC_AUDIO] = p->want.channels}};
    if (!x->track.path) TK_TRY(tk_latents_scratch(p->g->to->path, &form, &x->track));
    if (pcm) TK_TRY(tk_latents_put(&x->track, TK_CODEC_AUDIO, x->seen, n, pcm));
    x->seen += n;
    return TK_OK;
}

typedef struct track_source {
    tk_media_source source; // the first member
    const tk_latents_file *file;
} track_source;

static tk_status get_track(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    return tk_latents_get(((track_source *)s)->file, TK_CODEC_AUDIO, first, n, pcm);
}

static tk_status put_made(void *ctx, int64_t first, int64_t n, const float *rows)
{
    const tk_given_part *p = ctx;
    const int64_t room = p->rows - first, fits = n < room ? n : room;
    if (fits <= 0) return TK_OK;
    return tk_latents_put(p->g->to, TK_CODEC_AUDIO, p->first_row + first, fits, rows);
}

static tk_status put_track(tk_sounds *x)
{
    tk_given_part p = *x->p;
    track_source track = {{tk_media_shape(&p.want, 0, x->seen), NULL, get_track, NULL}, &x->track};
    return tk_codec_encode_track(p.g->codec, &track.source, put_made, &p);
}

// Rows up to `end`, of what is held; then what the next ones do not need goes.
static tk_status put_sounds(tk_sounds *x, int64_t end)
{
    const tk_given_part *p = x->p;
    const int64_t hop = p->info->audio_hop, channels = p->want.channels;
    const int64_t numbers = channels * p->info->audio_channels;
    tk_media window = tk_media_shape(&p->want, 0, x->held);
    float *rows;
    window.pcm = x->pcm;
    TK_NEW(rows, tk_grid_audio_rows(p->info, x->held) * numbers);
    tk_status st = tk_codec_encode_audio(p->g->codec, &window, rows);
    const int64_t last = end < p->rows ? end : p->rows;
    if (st == TK_OK && last > x->at)
        st = tk_latents_put(p->g->to, TK_CODEC_AUDIO, p->first_row + x->at, last - x->at,
                            rows + (x->at - x->first) * numbers);
    tk_free(rows);
    TK_TRY(st);
    const int64_t gone = (end - x->step - x->first) * hop;
    x->at = end;
    if (gone <= 0 || gone > x->held) return TK_OK;
    x->first = end - x->step;
    x->held -= gone;
    memmove(x->pcm, x->pcm + gone * channels, (size_t)(x->held * channels) * sizeof *x->pcm);
    return TK_OK;
}

tk_status tk_sounds_add(tk_sounds *x, const float *pcm, int64_t n)
{
    const tk_given_part *p = x->p;
    const int64_t channels = p->want.channels, hop = p->info->audio_hop;
    const int64_t left = p->grid.samples - x->seen, more = n < left ? n : left;
    if (!x->window) return keep_track(x, pcm, more);
    if (x->held + more > x->room) {
        const int64_t twice = 2 * x->room, need = x->held + more;
        const int64_t room = twice > need ? twice : need;
        float *grown = tk_realloc(x->pcm, (size_t)(x->room * channels) * sizeof *grown,
                                  (size_t)(room * channels) * sizeof *grown);
        if (!grown) return TK_FAIL(TK_MEMORY, "out of memory for the sound of %s", p->m->path);
        x->pcm = grown;
        x->room = room;
    }
    float *to = x->pcm + x->held * channels;
    if (pcm)
        memcpy(to, pcm, (size_t)(more * channels) * sizeof *to);
    else
        memset(to, 0, (size_t)(more * channels) * sizeof *to);
    x->held += more;
    x->seen += more;
    while (x->seen >= (x->at + x->window) * hop + hop && x->seen < p->grid.samples)
        TK_TRY(put_sounds(x, x->at + x->window));
    return TK_OK;
}

tk_status tk_sounds_end(tk_sounds *x)
{
    const tk_given_part *p = x->p;
    while (x->seen < p->grid.samples) TK_TRY(tk_sounds_add(x, NULL, p->want.sample_rate));
    return x->window ? put_sounds(x, p->grid.audio_rows) : put_track(x);
}
