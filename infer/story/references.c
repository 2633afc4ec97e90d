// SPDX-License-Identifier: Apache-2.0
#include "infer/story/references.h"
#include "core/base/log.h"
#include "data/media/reader.h"
#include <string.h>

// Pictures of whole latent frames, the last one repeated where the file ends too soon.
static tk_status encode_pictures(const tk_media *m, const tk_codec *codec, tk_arena *a,
                                 tk_reference *r)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const int64_t picture = m->height * m->width * 3;
    tk_media given = *m;
    tk_grid g;
    given.frames = tk_grid_frame(k, r->latents);
    TK_TRY(tk_grid_of(k, r->path, given.frames, m->height, m->width, TK_GRID_WHOLE, &g));
    TK_ARENA_NEW(r->video, a, g.video_rows * k->video_channels);
    TK_NEW(given.rgb, given.frames * picture);
    for (int64_t i = 0; i < given.frames; i++) {
        const int64_t from = i < m->frames ? i : m->frames - 1;
        memcpy(given.rgb + i * picture, m->rgb + from * picture, (size_t)picture);
    }
    const tk_status st = tk_codec_encode_video(codec, &given, r->video);
    tk_free(given.rgb);
    return st;
}

// Sound of the same length, silence where the file has less; the tail of its end is left out, since
// something follows.
static tk_status encode_sound(const tk_media *m, const tk_codec *codec, tk_arena *a,
                              tk_reference *r)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    tk_media given = *m;
    given.samples = r->latents ? tk_grid_sample(k, r->latents) : m->samples;
    const int64_t rows = tk_grid_audio_rows(k, given.samples);
    const int64_t have = m->samples < given.samples ? m->samples : given.samples;
    TK_ARENA_NEW(r->audio, a, rows * m->channels * k->audio_channels);
    TK_NEW(given.pcm, given.samples * m->channels);
    memcpy(given.pcm, m->pcm, (size_t)(have * m->channels) * sizeof *given.pcm);
    const tk_status st = tk_codec_encode_audio(codec, &given, r->audio);
    tk_free(given.pcm);
    return st;
}

// Of a file of so many frames, at the size and the rates of the storyboard.
static void size_reference(const tk_story *s, const tk_codec_info *k, int64_t frames, bool sounds,
                           tk_reference *r)
{
    const int64_t most = tk_grid_latents(k, s->window);
    r->latents = tk_grid_latent(k, frames);
    if (r->latents < 1) r->latents = 1;
    if (r->latents > most) r->latents = most;
    if (sounds) r->audio_rows = tk_grid_audio_row(k, r->latents);
}

static tk_media_config picture_of(const tk_story *s)
{
    return (tk_media_config){.width = s->grid.width,
                             .height = s->grid.height,
                             .fps = s->fps,
                             .sample_rate = s->sample_rate,
                             .channels = s->channels};
}

static double reference_seconds(const tk_story *s, const tk_codec_info *k, const tk_reference *r)
{
    return r->latents ? (double)r->latents * s->tick
                      : (double)r->audio_rows * tk_grid_audio_span(k, 1);
}

// Of a file without pictures; its tail is left out.
static tk_status hear_reference(const tk_story *s, const tk_codec_info *k, tk_reference *r,
                                tk_media *m)
{
    const tk_media_config want = picture_of(s);
    TK_TRY(tk_media_hear(r->path, &want, (double)tk_grid_latents(k, s->window) * s->tick, m));
    r->audio_rows = tk_grid_audio_rows(k, m->samples) - k->audio_tail;
    return TK_OK;
}

static tk_status read_sound(const tk_story *s, const tk_codec *codec, tk_arena *a, tk_reference *r)
{
    tk_media m;
    TK_TRY(hear_reference(s, tk_codec_get_info(codec), r, &m));
    const tk_status st = encode_sound(&m, codec, a, r);
    tk_media_free(&m);
    return st;
}

static tk_status read_one(const tk_story *s, const tk_codec *codec, tk_arena *a, tk_reference *r)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    const tk_media_config want = picture_of(s);
    const double most = (double)tk_grid_latents(k, s->window) * s->tick;
    tk_media m;
    tk_media_origin origin;
    tk_status st = TK_OK;
    bool pictures;
    TK_TRY(tk_media_has_pictures(r->path, &pictures));
    if (!pictures) return read_sound(s, codec, a, r);
    TK_TRY(tk_media_read(r->path, &want, most, s->tick, &m, &origin));
    size_reference(s, k, m.frames, origin.has_audio, r);
    if (origin.seconds > (double)r->latents * s->tick + s->tick)
        tk_log("%s: its first %.3g of %.3g seconds are given", r->path,
               (double)r->latents * s->tick, origin.seconds);
    TK_TRY_TO(st, done, m.frames > 0 ? TK_OK : TK_FAIL(TK_INPUT, "%s: no picture", r->path));
    TK_TRY_TO(st, done, encode_pictures(&m, codec, a, r));
    if (origin.has_audio) TK_TRY_TO(st, done, encode_sound(&m, codec, a, r));
done:
    tk_media_free(&m);
    return st;
}

static tk_status measure_reference(const tk_story *s, const tk_codec_info *k, tk_reference *r)
{
    const tk_media_config want = picture_of(s);
    int64_t frames;
    bool pictures, sounds;
    TK_TRY(tk_media_has_pictures(r->path, &pictures));
    if (!pictures) {
        tk_media m;
        TK_TRY(hear_reference(s, k, r, &m));
        tk_media_free(&m);
        return TK_OK;
    }
    TK_TRY(tk_media_probe(r->path, &want, s->tick, &frames, &sounds));
    size_reference(s, k, frames, sounds, r);
    return TK_OK;
}

bool tk_reference_in(const tk_reference *r, const tk_window *w)
{
    return r->shot < 0 || (r->shot >= w->target && r->shot < w->end);
}

static tk_status check_reference_room(const tk_story *s, const tk_codec_info *info,
                                      const tk_references *all)
{
    for (int i = 0; i < s->n_windows; i++) {
        double seconds = 0;
        for (int k = 0; k < all->n; k++)
            if (tk_reference_in(&all->ref[k], &s->windows[i]))
                seconds += reference_seconds(s, info, &all->ref[k]);
        if (seconds > TK_REFERENCE_WINDOWS * s->window + 1e-6)
            return TK_FAIL(TK_INPUT,
                           "references: %.3g seconds of media are given to shots[%d]; at most %.3g "
                           "are possible",
                           seconds, s->windows[i].target, TK_REFERENCE_WINDOWS * s->window);
    }
    return TK_OK;
}

static tk_status list_references(const tk_config *c, const tk_story *s, tk_arena *a,
                                 tk_references *out)
{
    int64_t n = c->story.n_references + c->story.n_cast;
    for (int i = 0; i < s->n_shots; i++) n += s->shot[i].n_references;
    *out = (tk_references){0};
    TK_ARENA_NEW(out->ref, a, n);
    for (int64_t k = 0; k < c->story.n_references; k++)
        out->ref[out->n++] = (tk_reference){.path = c->story.references[k], .tag = "", .shot = -1};
    for (int64_t k = 0; k < c->story.n_cast; k++)
        out->ref[out->n++] =
            (tk_reference){.path = c->story.cast[k].file, .tag = c->story.cast[k].tag, .shot = -1};
    for (int i = 0; i < s->n_shots; i++)
        for (int64_t k = 0; k < s->shot[i].n_references; k++)
            out->ref[out->n++] =
                (tk_reference){.path = s->shot[i].references[k], .tag = "", .shot = i};
    return TK_OK;
}

tk_status tk_references_read(const tk_config *c, const tk_story *s, const tk_codec *codec,
                             tk_arena *a, tk_references *out)
{
    TK_TRY(list_references(c, s, a, out));
    for (int k = 0; k < out->n; k++) TK_TRY(read_one(s, codec, a, &out->ref[k]));
    return check_reference_room(s, tk_codec_get_info(codec), out);
}

tk_status tk_references_measure(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                                tk_arena *a, tk_references *out)
{
    TK_TRY(list_references(c, s, a, out));
    for (int i = 0; i < out->n; i++) TK_TRY(measure_reference(s, k, &out->ref[i]));
    return check_reference_room(s, k, out);
}
