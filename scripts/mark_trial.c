// SPDX-License-Identifier: Apache-2.0
// What the campaign of marks (scripts/mark_campaign.py) cannot do by talkie and ffmpeg:
//
//     mark_trial world INDEX SECONDS WIDTH HEIGHT OUT.mp4       a clip of the world
//     mark_trial mark KEY PAYLOAD IN.mp4 WIDTH HEIGHT SECONDS RATE OUT.mp4
//                     its first seconds, marked ("-": not) and written as talkie writes clips;
//                     tells PSNR of pictures as shown (RGB) and dB of sound over what was changed
//     mark_trial blind SEED FIRST N IN.mp4 SECONDS              log10 p of keys FIRST .. FIRST + N
//     - 1
//                     in windows of the file, one after the other: "picture sound" a line
#include "core/numbers/rng.h"
#include "data/film/film.h"
#include "data/media/media.h"
#include "infer/mark/listen.h"
#include "infer/mark/look.h"
#include "infer/mark/marked.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct compared {   // a marked clip, and how far it is from what it was
    tk_media_source source; // the first member
    tk_marked marked;
    tk_media_source *bare;
    double pixels, square; // of luma
    double power, changed; // of sound
} compared;

static tk_status compared_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    compared *c = (compared *)s;
    return c->bare->picture(c->bare, frame, rgb);
}

static tk_status compared_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    compared *c = (compared *)s;
    float *bare;
    TK_NEW(bare, n * s->shape.channels);
    TK_TRY(c->bare->sound(c->bare, first, n, bare));
    TK_TRY(c->marked.source.sound(&c->marked.source, first, n, pcm));
    for (int64_t i = 0; i < n * s->shape.channels; i++) {
        c->power += (double)(bare[i] * bare[i]);
        c->changed += (double)((pcm[i] - bare[i]) * (pcm[i] - bare[i]));
    }
    tk_free(bare);
    return TK_OK;
}

static tk_status compared_shown(tk_media_source *s, const tk_shown *p)
{
    compared *c = (compared *)s;
    uint8_t *bare;
    TK_NEW(bare, p->stride * p->height);
    memcpy(bare, p->luma, (size_t)(p->stride * p->height));
    TK_TRY(c->marked.source.shown(&c->marked.source, p));
    for (int64_t y = 0; y < p->height; y++)
        for (int64_t x = 0; x < p->width; x++) {
            const double d = p->luma[y * p->stride + x] - bare[y * p->stride + x];
            c->square += d * d;
        }
    c->pixels += (double)(p->width * p->height);
    tk_free(bare);
    return TK_OK;
}

static tk_status write_clip_to(const char *path, tk_media_source *clip)
{
    tk_file f;
    TK_TRY(tk_file_begin(&f, path));
    tk_status st = tk_media_write_mp4(&f, clip, "", 0);
    if (st == TK_OK) st = tk_file_commit(&f);
    tk_file_abort(&f);
    return st;
}

static tk_status mark_file(char **v)
{
    const tk_media_config m = {.width = atoll(v[5]),
                               .height = atoll(v[6]),
                               .fps = 24,
                               .sample_rate = atoll(v[8]),
                               .channels = 1};
    tk_media media;
    tk_mark_key key;
    TK_TRY(tk_media_read(v[4], &m, atof(v[7]), 1, &media, NULL));
    tk_media_whole whole = tk_media_whole_of(&media);
    if (!strcmp(v[2], "-")) return write_clip_to(v[9], &whole.source);
    compared c = {.source = {media, compared_picture, compared_sound, compared_shown},
                  .bare = &whole.source};
    TK_TRY(tk_mark_key_read(v[2], &key));
    tk_marked_open(&c.marked, key, tk_mark_message_for(&media, strtoull(v[3], NULL, 16)), 1,
                   &whole.source);
    TK_TRY(write_clip_to(v[9], &c.source));
    // 219 steps of video range are the 255 of the picture shown.
    printf("%.3f %.3f\n", 10 * log10(219. * 219 * c.pixels / c.square),
           10 * log10(c.power / c.changed));
    tk_marked_close(&c.marked);
    tk_media_free(&media);
    return TK_OK;
}

static tk_status make_world(char **v)
{
    char seconds[64], width[64], height[64];
    char *overrides[] = {
        seconds, width, height, "media.fps=24", "media.sample_rate=16000", "world.max_shots=3"};
    tk_config c;
    tk_media media;
    tk_speech *speech;
    snprintf(seconds, sizeof seconds, "world.seconds=%s", v[3]);
    snprintf(width, sizeof width, "media.width=%s", v[4]);
    snprintf(height, sizeof height, "media.height=%s", v[5]);
    tk_config_init(&c);
    TK_TRY(tk_config_load(&c, TK_CMD_DATA, NULL, 6, overrides));
    const int64_t frames = tk_scene_frames(&c.world, &c.media, 2);
    tk_scene *scene = tk_alloc(sizeof *scene);
    media = tk_media_shape(&c.media, frames, tk_media_samples(&c.media, frames));
    TK_TRY(tk_media_alloc(&media));
    TK_TRY(tk_scene_open_speech(&c.world, &c.media, &speech));
    TK_TRY(tk_scene_make(&c.world, &c.media, 2, speech, 77, atoll(v[2]), scene));
    TK_TRY(tk_film_render(scene, &c.media, speech, frames, media.rgb));
    TK_TRY(tk_film_sound(scene, &c.media, speech, media.samples, media.pcm));
    tk_media_whole whole = tk_media_whole_of(&media);
    TK_TRY(write_clip_to(v[6], &whole.source));
    tk_media_free(&media);
    tk_free(scene);
    return TK_OK;
}

// Keys that marked nothing.
static tk_mark_key blind_key(uint64_t seed, int64_t i)
{
    const tk_key by = tk_rng_key(seed, TK_RNG_TEST, 1);
    return (tk_mark_key){tk_rng_u64(by, (uint64_t)(2 * i)), tk_rng_u64(by, (uint64_t)(2 * i + 1))};
}

typedef struct blinded {
    uint64_t seed;
    int64_t first, end;      // keys
    int64_t frames, windows; // of a window; of the media
} blinded;

// Both halves of window w of the media, under each key that is its turn.
static tk_status look_blind(const tk_media *m, const blinded *b, int64_t w)
{
    const int64_t from = w * b->frames;
    const float *pcm = m->pcm + from * TK_MARK_LISTEN_RATE / TK_MARK_LOOK_FPS;
    tk_mark_look *look;
    tk_mark_listen *listen;
    tk_arena a;
    tk_arena_init(&a, 1 << 20);
    TK_TRY(tk_mark_look_open(&a, blind_key(b->seed, 0), m->width, m->height, &look));
    TK_TRY(tk_mark_listen_open(&a, blind_key(b->seed, 0), &listen));
    for (int64_t i = from; i < from + b->frames; i++)
        tk_mark_look_at(look, m->rgb + i * m->height * m->width * 3);
    for (int64_t i = 0; i < b->frames * TK_MARK_LISTEN_RATE / TK_MARK_LOOK_FPS;
         i += TK_MARK_LISTEN_HOP)
        tk_mark_listen_to(listen, pcm + i);
    for (int64_t i = b->first; i < b->end; i++) {
        if (i % b->windows != w) continue;
        const tk_mark_found picture = tk_mark_look_under(look, blind_key(b->seed, i)),
                            sound = tk_mark_listen_under(listen, blind_key(b->seed, i));
        printf("%.3f %.3f %.3f %.3f\n", picture.log10p, sound.log10p, picture.z, sound.z);
    }
    tk_arena_free(&a);
    return TK_OK;
}

static tk_status blind(char **v)
{
    tk_media_config m = {
        .fps = TK_MARK_LOOK_FPS, .sample_rate = TK_MARK_LISTEN_RATE, .channels = 1};
    blinded b = {(uint64_t)atoll(v[2]), .first = atoll(v[3])};
    tk_media media;
    int64_t width, height;
    b.end = b.first + atoll(v[4]);
    b.frames = (int64_t)(atof(v[6]) * TK_MARK_LOOK_FPS);
    TK_TRY(tk_media_size(v[5], &width, &height));
    tk_mark_look_size(width, height, &m.width, &m.height);
    TK_TRY(tk_media_read(v[5], &m, 600, 1, &media, NULL));
    b.windows = media.frames / b.frames;
    for (int64_t w = 0; w < b.windows; w++) TK_TRY(look_blind(&media, &b, w));
    tk_media_free(&media);
    return TK_OK;
}

int main(int n, char **v)
{
    tk_status st = TK_FAIL(TK_INPUT, "see the head of scripts/mark_trial.c");
    if (n == 10 && !strcmp(v[1], "mark")) st = mark_file(v);
    if (n == 7 && !strcmp(v[1], "world")) st = make_world(v);
    if (n == 7 && !strcmp(v[1], "blind")) st = blind(v);
    if (st != TK_OK) fprintf(stderr, "mark_trial: %s\n", tk_status_message());
    return st == TK_OK ? 0 : 2;
}
