// SPDX-License-Identifier: Apache-2.0
#include "infer/story/giver.h"
#include "data/media/reader.h"
#include <string.h>

typedef struct part { // of the timeline, that a file gives
    const tk_giver *g;
    const tk_given_media *m;
    const tk_codec_info *info;
    tk_media_config want; // its clocks and sizes
    tk_grid grid;
    int64_t first_row, rows; // of sound: its place in the timeline, and how many have room there
} part;

static tk_media_config clocks_of(const tk_story *s)
{
    return (tk_media_config){.width = s->grid.width,
                             .height = s->grid.height,
                             .fps = s->fps,
                             .sample_rate = s->sample_rate,
                             .channels = s->channels};
}

static tk_status lay_part(const tk_giver *g, const tk_given_media *m, part *p)
{
    const tk_story *s = g->story;
    const int64_t end = m->first + m->n;
    *p = (part){
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

typedef struct pictures { // on their way to rows
    const part *p;
    tk_arena arena;
    uint8_t *rgb;          // (room) pictures, of which so many are held
    int64_t room, held;    // ...
    int64_t bytes, window; // of a picture; pictures that are encoded at once
    int64_t seen, at;      // pictures in all; latent frames that are done
    float *rows;           // (a window's)
} pictures;

static tk_status open_pictures(const part *p, pictures *x)
{
    const tk_grid *g = &p->grid;
    const int64_t second = tk_grid_latent(p->info, p->want.fps - 1) + 1;
    const int64_t step = tk_codec_step(p->g->codec, TK_CODEC_VIDEO, g->high, g->wide);
    const int64_t most = step ? steps_in(step, second) : g->latent_frames;
    const int64_t latents = most < g->latent_frames ? most : g->latent_frames;
    *x = (pictures){
        .p = p, .bytes = g->height * g->width * 3, .window = tk_grid_frame(p->info, latents)};
    x->room = x->window + p->want.fps;
    tk_arena_init(&x->arena, 0);
    if (!p->m->picture) return TK_OK;
    TK_ARENA_NEW(x->rgb, &x->arena, x->room * x->bytes);
    TK_ARENA_NEW(x->rows, &x->arena, latents * g->high * g->wide * p->info->video_channels);
    return TK_OK;
}

static tk_status put_pictures(pictures *x, int64_t n)
{
    const part *p = x->p;
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

// n more pictures lie behind those that are held.
static tk_status add_pictures(pictures *x, int64_t n)
{
    x->seen += n;
    if (!x->p->m->picture) return TK_OK;
    x->held += n;
    while (x->held >= x->window) TK_TRY(put_pictures(x, x->window));
    return TK_OK;
}

// The last picture is held to the end. There was one.
static tk_status end_pictures(pictures *x, const uint8_t *last)
{
    if (!x->p->m->picture) return TK_OK;
    for (int64_t all = x->p->grid.frames; x->seen < all;) {
        memcpy(x->rgb + x->held * x->bytes, last, (size_t)x->bytes);
        TK_TRY(add_pictures(x, 1));
    }
    return x->held ? put_pictures(x, x->held) : TK_OK;
}

// ---- sound -------------------------------------------------------------------------------------

typedef struct sounds { // on their way to rows
    const part *p;
    float *pcm;            // (held, channels), in memory of room
    int64_t room, held;    // samples
    int64_t seen;          // samples in all
    int64_t step;          // rows before a window that are encoded with it
    int64_t window;        // rows that are encoded at once; 0: all
    int64_t first, at;     // row that what is held begins with; rows that are done
    tk_latents_file track; // where all are encoded at once: what was seen so far, on disk
} sounds;

enum { SOUND_ROWS = 1024 }; // of a window, about: seconds

static sounds open_sounds(const part *p)
{
    const int64_t step = tk_codec_step(p->g->codec, TK_CODEC_AUDIO, p->grid.high, p->grid.wide);
    return (sounds){.p = p, .step = step, .window = step ? steps_in(step, SOUND_ROWS) : 0};
}

static void close_sounds(sounds *x)
{
    tk_free(x->pcm);
    tk_latents_close(&x->track);
}

// n more samples of a track that is encoded once it is whole. What is not put is silence.
static tk_status keep_track(sounds *x, const float *pcm, int64_t n)
{
    const part *p = x->p;
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
    const part *p = ctx;
    const int64_t room = p->rows - first, fits = n < room ? n : room;
    if (fits <= 0) return TK_OK;
    return tk_latents_put(p->g->to, TK_CODEC_AUDIO, p->first_row + first, fits, rows);
}

static tk_status put_track(sounds *x)
{
    part p = *x->p;
    track_source track = {{tk_media_shape(&p.want, 0, x->seen), NULL, get_track, NULL}, &x->track};
    return tk_codec_encode_track(p.g->codec, &track.source, put_made, &p);
}

// Rows up to `end`, of what is held; then what the next ones do not need goes.
static tk_status put_sounds(sounds *x, int64_t end)
{
    const part *p = x->p;
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

// n more samples (n, channels), those that the timeline has; NULL: silence.
static tk_status add_sounds(sounds *x, const float *pcm, int64_t n)
{
    const part *p = x->p;
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

// Silence to the end, and what is left.
static tk_status end_sounds(sounds *x)
{
    const part *p = x->p;
    while (x->seen < p->grid.samples) TK_TRY(add_sounds(x, NULL, p->want.sample_rate));
    return x->window ? put_sounds(x, p->grid.audio_rows) : put_track(x);
}

// ---- files -------------------------------------------------------------------------------------

static tk_status check_length(const part *p, double seconds)
{
    const double end = (double)p->m->n * p->g->story->tick;
    if (p->m->short_too || seconds + p->g->story->tick >= end) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s lasts %.3g seconds, the shots %.3g; make the shots shorter or give a "
                   "longer file",
                   p->m->key, p->m->path, seconds, end);
}

typedef struct film { // on its way
    const part *p;
    tk_media_reader *reader;
    pictures seen;
    sounds heard;
    uint8_t *last; // picture
    float *pcm;    // of a second
} film;

// A second at a time, so that each window of sound begins on a whole sample.
static tk_status give_seconds(film *f)
{
    const part *p = f->p;
    pictures *x = &f->seen;
    for (int64_t got = 1, n; got > 0 && x->seen < p->grid.frames;) {
        const int64_t before = tk_media_samples(&p->want, x->seen), left = p->grid.frames - x->seen;
        uint8_t *to = p->m->picture ? x->rgb + x->held * x->bytes : NULL;
        n = p->want.fps < left ? p->want.fps : left;
        TK_TRY(tk_media_reader_next(f->reader, n, to, p->m->sound ? f->pcm : NULL, &got));
        if (to && got) memcpy(f->last, to + (got - 1) * x->bytes, (size_t)x->bytes);
        TK_TRY(add_pictures(x, got));
        if (p->m->sound)
            TK_TRY(add_sounds(&f->heard, f->pcm, tk_media_samples(&p->want, x->seen) - before));
        if (got < n) break;
    }
    return tk_media_reader_check(f->reader);
}

static tk_status give_whole(film *f)
{
    const part *p = f->p;
    if (p->m->sound && !p->m->picture && !tk_media_reader_has_audio(f->reader))
        return TK_FAIL(TK_INPUT, "%s: %s has no sound", p->m->key, p->m->path);
    TK_NEW(f->last, f->seen.bytes);
    TK_NEW(f->pcm, (p->want.sample_rate + 1) * p->want.channels);
    TK_TRY(give_seconds(f));
    if (!f->seen.seen) return TK_FAIL(TK_INPUT, "%s: %s has no picture", p->m->key, p->m->path);
    TK_TRY(check_length(p, (double)f->seen.seen / (double)p->want.fps));
    TK_TRY(end_pictures(&f->seen, f->last));
    return p->m->sound ? end_sounds(&f->heard) : TK_OK;
}

tk_status tk_give_film(const tk_giver *g, const tk_given_media *m)
{
    const double seconds = (double)m->n * g->story->tick;
    part p;
    TK_TRY(lay_part(g, m, &p));
    film f = {.p = &p, .heard = open_sounds(&p)};
    tk_status st = open_pictures(&p, &f.seen);
    if (st == TK_OK) st = tk_media_reader_open(m->path, &p.want, seconds, &f.reader);
    if (st == TK_OK) st = give_whole(&f);
    tk_media_reader_close(f.reader);
    tk_arena_free(&f.seen.arena);
    close_sounds(&f.heard);
    tk_free(f.last);
    tk_free(f.pcm);
    return st;
}

static tk_status hear_on(void *ctx, const float *pcm, int64_t n)
{
    return add_sounds(ctx, pcm, n);
}

tk_status tk_give_sound(const tk_giver *g, const tk_given_media *m)
{
    const double seconds = (double)m->n * g->story->tick + g->story->tick;
    part p;
    TK_TRY(lay_part(g, m, &p));
    sounds x = open_sounds(&p);
    tk_status st = tk_media_hear_on(m->path, &p.want, seconds, hear_on, &x);
    if (st == TK_OK) st = check_length(&p, (double)x.seen / (double)p.want.sample_rate);
    if (st == TK_OK) st = end_sounds(&x);
    close_sounds(&x);
    return st;
}

tk_status tk_give_still(const tk_giver *g, const char *path, int64_t at)
{
    const tk_given_media m = {
        .key = path, .path = path, .first = at, .n = 1, .picture = true, .short_too = true};
    part p;
    tk_media still;
    pictures x;
    TK_TRY(lay_part(g, &m, &p));
    TK_TRY(tk_media_read(path, &p.want, g->story->tick, g->story->tick, &still, NULL));
    tk_status st =
        still.frames ? open_pictures(&p, &x) : TK_FAIL(TK_INPUT, "%s has no picture", path);
    if (st == TK_OK) st = end_pictures(&x, still.rgb);
    if (still.frames) tk_arena_free(&x.arena);
    tk_media_free(&still);
    return st;
}
