// SPDX-License-Identifier: Apache-2.0
#include "infer/story/given.h"
#include "data/media/media.h"
#include "train/step/documents.h"
#include <math.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};
static const tk_codec_side SIDE[TK_MODALITIES] = {
    [TK_VIDEO] = TK_CODEC_VIDEO, [TK_AUDIO] = TK_CODEC_AUDIO};

static tk_status open_timeline(tk_story_given *g, const tk_story *s, const tk_codec_info *k,
                               tk_arena *a)
{
    *g = (tk_story_given){
        .shot = {.latent_frames = s->grid.latent_frames, .audio_rows = s->grid.audio_rows},
        .each = {[TK_VIDEO] = s->grid.high * s->grid.wide * k->video_channels,
                 [TK_AUDIO] = s->channels * k->audio_channels}};
    g->shot.target = true;
    g->doc = tk_document_on_grid(k, s->grid.high, s->grid.wide, s->channels);
    g->doc.shots = &g->shot;
    g->doc.n_shots = 1;
    return tk_given_open(&g->doc, a, &g->mask);
}

static tk_status new_given_rows(tk_story_given *g, tk_arena *a)
{
    TK_ARENA_NEW(g->rows[TK_VIDEO], a, g->shot.latent_frames * g->each[TK_VIDEO]);
    TK_ARENA_NEW(g->rows[TK_AUDIO], a, g->shot.audio_rows * g->each[TK_AUDIO]);
    return TK_OK;
}

tk_status tk_story_given_open(tk_story_given *g, const tk_story *s, const tk_codec_info *k,
                              tk_arena *a)
{
    TK_TRY(open_timeline(g, s, k, a));
    return new_given_rows(g, a);
}

tk_status tk_story_given_rows(const tk_story_given *g, int m, int64_t first, int64_t n, float *to)
{
    const int64_t each = g->each[m], end = g->first[m] + g->has[m];
    if (!g->file.path) {
        memcpy(to, g->rows[m] + first * each, tk_array_bytes(n * each, sizeof *to));
        return TK_OK;
    }
    const int64_t begin = first > g->first[m] ? first : g->first[m];
    const int64_t here = (first + n < end ? first + n : end) - begin;
    memset(to, 0, tk_array_bytes(n * each, sizeof *to));
    if (here <= 0) return TK_OK;
    return tk_latents_get(&g->file, SIDE[m], begin - g->first[m], here,
                          to + (begin - first) * each);
}

void tk_story_given_close(tk_story_given *g)
{
    tk_latents_close(&g->file);
}

bool tk_story_gives(const tk_storyboard *b)
{
    return b->n_keyframes > 0 || *b->sound || *b->picture || *b->remix.clip;
}

int64_t tk_story_files(const tk_storyboard *b, char ***at)
{
    int64_t n = 0;
#define FILE_AT(place)                             \
    do {                                           \
        if (at) at[n] = (char **)(void *)&(place); \
        n++;                                       \
    } while (0)
    for (int64_t i = 0; i < b->n_references; i++) FILE_AT(b->references[i]);
    for (int64_t k = 0; k < b->n_shots; k++)
        if (b->shots[k].features && *b->shots[k].features) FILE_AT(b->shots[k].features);
    if (b->empty_features && *b->empty_features) FILE_AT(b->empty_features);
    for (int64_t k = 0; k < b->n_shots; k++)
        for (int64_t i = 0; i < b->shots[k].n_references; i++) FILE_AT(b->shots[k].references[i]);
    for (int64_t i = 0; i < b->n_cast; i++) FILE_AT(b->cast[i].file);
    for (int64_t i = 0; i < b->n_keyframes; i++) FILE_AT(b->keyframes[i].picture);
    if (*b->sound) FILE_AT(b->sound);
    if (*b->picture) FILE_AT(b->picture);
    if (*b->remix.clip) FILE_AT(b->remix.clip);
#undef FILE_AT
    return n;
}

// ---- checks ------------------------------------------------------------------------------------

static double end_of_story(const tk_story *s)
{
    return (double)s->grid.latent_frames * s->tick;
}

static tk_status check_keyframes(const tk_storyboard *b, const tk_story *s)
{
    for (int64_t k = 0; k < b->n_keyframes; k++) {
        const tk_keyframe_config *f = &b->keyframes[k];
        if (!*f->picture)
            return TK_FAIL(TK_INPUT, "keyframes[%lld]: no picture: which file is shown at %g s?",
                           (long long)k, f->at);
        if (f->at >= end_of_story(s))
            return TK_FAIL(TK_INPUT,
                           "keyframes[%lld].at: %g is not within the shots, which last %g seconds",
                           (long long)k, f->at, end_of_story(s));
        for (int64_t i = 0; i < k; i++)
            if (floor(b->keyframes[i].at / s->tick) == floor(f->at / s->tick))
                return TK_FAIL(TK_INPUT,
                               "keyframes[%lld].at: %g lies in the same latent frame as "
                               "keyframes[%lld]; a latent frame lasts %g seconds",
                               (long long)k, f->at, (long long)i, s->tick);
    }
    return TK_OK;
}

static tk_status check_part(const tk_storyboard *b, const tk_story *s)
{
    const tk_remix_config *r = &b->remix;
    const double to = r->to > 0 ? r->to : end_of_story(s);
    if (!*r->clip) return TK_OK;
    if (b->n_keyframes || *b->sound || *b->picture)
        return TK_FAIL(TK_INPUT, "remix: its clip gives all that is not made anew; leave "
                                 "keyframes, sound and picture out");
    if (!r->shots && (r->from >= to || to > end_of_story(s) + s->tick))
        return TK_FAIL(TK_INPUT,
                       "remix: from %g to %g seconds is no part of the shots, which last %g",
                       r->from, to, end_of_story(s));
    if (r->left >= r->right || r->top >= r->bottom)
        return TK_FAIL(TK_INPUT,
                       "remix: left %g to right %g, top %g to bottom %g is no part of the frame",
                       r->left, r->right, r->top, r->bottom);
    return TK_OK;
}

static tk_status check_cast(const tk_storyboard *b)
{
    for (int64_t k = 0; k < b->n_cast; k++) {
        const tk_cast_config *x = &b->cast[k];
        const size_t n = strlen(x->tag);
        const bool edged = n && (x->tag[0] == ' ' || x->tag[n - 1] == ' ');
        if (!n || !*x->file || edged || strpbrk(x->tag, "<>\n"))
            return TK_FAIL(TK_INPUT,
                           "cast[%lld] wants a tag, as \"face 1\", and a file; it has \"%s\" and "
                           "\"%s\"",
                           (long long)k, x->tag, x->file);
        for (int64_t i = 0; i < k; i++)
            if (!strcmp(b->cast[i].tag, x->tag))
                return TK_FAIL(TK_INPUT, "cast[%lld] and cast[%lld] are both <%s>", (long long)i,
                               (long long)k, x->tag);
    }
    return TK_OK;
}

tk_status tk_story_given_check(const tk_storyboard *b, const tk_story *s)
{
    if (*b->sound && *b->picture)
        return TK_FAIL(TK_INPUT, "sound and picture are both given: nothing is left to make; leave "
                                 "one of them out");
    if (*b->picture && b->n_keyframes)
        return TK_FAIL(TK_INPUT, "picture gives all frames; leave keyframes out");
    TK_TRY(check_cast(b));
    TK_TRY(check_keyframes(b, s));
    return check_part(b, s);
}

// ---- which rows --------------------------------------------------------------------------------

typedef struct remade { // of a clip, that is made anew
    tk_given_box box;   // latent frames, rows of them
    bool whole;         // of the frame
    bool picture, sound;
} remade;

// Latent frames [begin, end) of it become what is made.
static void make_part(tk_story_given *g, const tk_codec_info *k, const remade *p, int64_t begin,
                      int64_t end)
{
    const int64_t frames = g->shot.latent_frames;
    tk_given_box box = p->box, sound = {.begin = tk_grid_audio_row(k, begin)};
    box.begin = begin;
    box.end = end;
    sound.end = end < frames ? tk_grid_audio_row(k, end) : g->shot.audio_rows;
    if (p->picture) tk_give(&g->doc, 0, TK_VIDEO, &box, false, &g->mask);
    if (p->sound && p->whole) tk_give(&g->doc, 0, TK_AUDIO, &sound, false, &g->mask);
}

// Whole latent frames and patches that it touches.
static remade remade_of(const tk_remix_config *r, const tk_story *s)
{
    const tk_grid *grid = &s->grid;
    remade p = {.picture = true, .sound = true};
    p.box.top = (int64_t)floor(r->top * (double)grid->high + 1e-9);
    p.box.bottom = (int64_t)ceil(r->bottom * (double)grid->high - 1e-9);
    p.box.left = (int64_t)floor(r->left * (double)grid->wide + 1e-9);
    p.box.right = (int64_t)ceil(r->right * (double)grid->wide - 1e-9);
    p.whole = p.box.top == 0 && p.box.left == 0 && p.box.bottom == grid->high &&
              p.box.right == grid->wide;
    for (int64_t k = 0; k < r->n_keep; k++) {
        p.picture = p.picture && strcmp(r->keep[k], "picture") != 0;
        p.sound = p.sound && strcmp(r->keep[k], "sound") != 0;
    }
    return p;
}

static void give_but_part(tk_story_given *g, const tk_remix_config *r, const tk_story *s,
                          const tk_codec_info *k)
{
    const remade p = remade_of(r, s),
                 whole = {.box = {.bottom = s->grid.high, .right = s->grid.wide},
                          .whole = true,
                          .picture = true,
                          .sound = true};
    const tk_remix_span span = tk_remix_span_of(r, s);
    const int64_t all = s->grid.latent_frames;
    for (int i = 0; i < 2; i++) tk_give_modality(&g->doc, 0, MEDIA[i], &g->mask);
    for (int64_t i = 0; i < r->n_shots; i++) {
        const tk_story_shot *shot = &s->shot[r->shots[i]];
        make_part(g, k, &p, shot->first_latent, shot->first_latent + shot->latents);
    }
    if (span.first > 0) make_part(g, k, &whole, 0, span.first);
    if (span.first + span.n < all) make_part(g, k, &whole, span.first + span.n, all);
    const bool nothing = span.n < all && r->from <= 0 && r->to <= 0; // but what goes beyond it
    if (r->shots || nothing) return;
    const double to = r->to > 0 ? r->to : end_of_story(s);
    const int64_t last = (int64_t)ceil(to / s->tick - 1e-9);
    make_part(g, k, &p, (int64_t)floor(r->from / s->tick + 1e-9), last < all ? last : all);
}

static int64_t latent_of(const tk_keyframe_config *f, const tk_story *s)
{
    return (int64_t)floor(f->at / s->tick + 1e-9);
}

static tk_status lay_masks(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                           tk_story_given *g)
{
    if (*b->sound) tk_give_modality(&g->doc, 0, TK_AUDIO, &g->mask);
    if (*b->picture) tk_give_modality(&g->doc, 0, TK_VIDEO, &g->mask);
    if (*b->remix.clip) give_but_part(g, &b->remix, s, k);
    for (int64_t i = 0; i < b->n_keyframes; i++)
        tk_give_frame(&g->doc, 0, latent_of(&b->keyframes[i], s), &g->mask);
    for (int i = 0; i < 2; i++) g->made[MEDIA[i]] = tk_document_targets(&g->doc, MEDIA[i]);
    if (g->made[TK_VIDEO] + g->made[TK_AUDIO] > 0) return TK_OK;
    return TK_FAIL(TK_INPUT, "all of the clip is given: nothing is left to make");
}

tk_status tk_story_given_lay(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                             tk_arena *a, tk_story_given *out)
{
    TK_TRY(open_timeline(out, s, k, a));
    return lay_masks(&c->story, s, k, out);
}

// ---- reading -----------------------------------------------------------------------------------

typedef struct giver { // of a storyboard
    const tk_story *s;
    const tk_codec *codec;
    const tk_codec_info *info;
    tk_media_config want;
    tk_story_given *g;
} giver;

// A file of the timeline's length; a little less is held, as its last picture and as silence.
static tk_status check_length(const giver *v, const char *key, const char *path, double seconds)
{
    if (seconds + v->s->tick >= end_of_story(v->s)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s lasts %.3g seconds, the shots %.3g; make the shots shorter or give a "
                   "longer file",
                   key, path, seconds, end_of_story(v->s));
}

// Pictures for the whole timeline, as m has them.
static tk_status give_pictures(const giver *v, const tk_media *m)
{
    const tk_grid *grid = &v->s->grid;
    const int64_t picture = grid->height * grid->width * 3;
    tk_media all = tk_grid_media(v->info, grid);
    tk_status st = TK_OK;
    all.samples = 0;
    TK_NEW(all.rgb, grid->frames * picture);
    for (int64_t i = 0; i < grid->frames; i++)
        memcpy(all.rgb + i * picture, m->rgb + (i < m->frames ? i : m->frames - 1) * picture,
               (size_t)picture);
    st = tk_codec_encode_video(v->codec, &all, v->g->rows[TK_VIDEO]);
    tk_free(all.rgb);
    return st;
}

static tk_status give_sounds(const giver *v, const tk_media *m)
{
    const tk_grid *grid = &v->s->grid;
    tk_media all = tk_grid_media(v->info, grid);
    const int64_t have = m->samples < grid->samples ? m->samples : grid->samples;
    TK_NEW(all.pcm, grid->samples * m->channels);
    memcpy(all.pcm, m->pcm, (size_t)(have * m->channels) * sizeof *all.pcm);
    const tk_status st = tk_codec_encode_audio(v->codec, &all, v->g->rows[TK_AUDIO]);
    tk_free(all.pcm);
    return st;
}

// Of a still picture as much as is wanted.
static tk_status read_film(const giver *v, const char *key, const char *path, tk_media *m,
                           bool *sounds)
{
    tk_media_origin origin;
    TK_TRY(tk_media_read(path, &v->want, end_of_story(v->s), end_of_story(v->s), m, &origin));
    *sounds = origin.has_audio;
    tk_status st = m->frames ? TK_OK : TK_FAIL(TK_INPUT, "%s: %s has no picture", key, path);
    if (st == TK_OK) st = check_length(v, key, path, (double)m->frames / (double)v->s->fps);
    if (st != TK_OK) tk_media_free(m);
    return st;
}

static tk_status read_picture(const giver *v, const char *path)
{
    tk_media m;
    bool sounds;
    TK_TRY(read_film(v, "picture", path, &m, &sounds));
    const tk_status st = give_pictures(v, &m);
    tk_media_free(&m);
    return st;
}

static tk_status read_story_sound(const giver *v, const char *path)
{
    tk_media m;
    bool pictures, sounds = true;
    TK_TRY(tk_media_has_pictures(path, &pictures));
    if (pictures)
        TK_TRY(read_film(v, "sound", path, &m, &sounds));
    else
        TK_TRY(tk_media_hear(path, &v->want, end_of_story(v->s) + v->s->tick, &m));
    tk_status st = sounds ? TK_OK : TK_FAIL(TK_INPUT, "sound: %s has no sound", path);
    if (st == TK_OK)
        st = check_length(v, "sound", path, (double)m.samples / (double)v->s->sample_rate);
    if (st == TK_OK) st = give_sounds(v, &m);
    tk_media_free(&m);
    return st;
}

// The first picture of a file, held for a latent frame.
static tk_status read_keyframe(const giver *v, const tk_keyframe_config *f)
{
    const tk_grid *grid = &v->s->grid;
    const int64_t at = latent_of(f, v->s);
    const int64_t picture = grid->height * grid->width * 3;
    tk_media m, held;
    tk_grid one;
    TK_TRY(tk_grid_of(v->info, f->picture, tk_grid_frame(v->info, 1), grid->height, grid->width,
                      TK_GRID_WHOLE, &one));
    TK_TRY(tk_media_read(f->picture, &v->want, v->s->tick, v->s->tick, &m, NULL));
    tk_status st = m.frames ? TK_OK : TK_FAIL(TK_INPUT, "%s has no picture", f->picture);
    held = tk_grid_media(v->info, &one);
    held.samples = 0;
    held.rgb = tk_alloc((size_t)(one.frames * picture));
    if (st == TK_OK && !held.rgb) st = TK_FAIL(TK_MEMORY, "out of memory for a picture");
    for (int64_t i = 0; i < one.frames && st == TK_OK; i++)
        memcpy(held.rgb + i * picture, m.rgb, (size_t)picture);
    if (st == TK_OK)
        st = tk_codec_encode_video(v->codec, &held,
                                   v->g->rows[TK_VIDEO] +
                                       at * grid->high * grid->wide * v->info->video_channels);
    tk_free(held.rgb);
    tk_media_free(&m);
    return st;
}

// A part of the timeline as media of its own: the rows go to its place.
static tk_status give_span(const giver *v, const tk_media *m, const tk_remix_span *at)
{
    const tk_story *s = v->s;
    const int64_t each = s->channels * v->info->audio_channels;
    const int64_t first = tk_grid_audio_row(v->info, at->first);
    const bool last = at->first + at->n == s->grid.latent_frames;
    const int64_t room =
        last ? s->grid.audio_rows - first : tk_grid_audio_row(v->info, at->first + at->n) - first;
    tk_story part = *s; // as long as it
    tk_story_given own = {0};
    const giver w = {.s = &part, .codec = v->codec, .info = v->info, .g = &own};
    TK_TRY(tk_grid_of(v->info, "remix.clip", tk_grid_frame(v->info, at->n), s->grid.height,
                      s->grid.width, TK_GRID_WHOLE, &part.grid));
    own.rows[TK_VIDEO] =
        v->g->rows[TK_VIDEO] + at->first * s->grid.high * s->grid.wide * v->info->video_channels;
    TK_NEW(own.rows[TK_AUDIO], part.grid.audio_rows * each);
    tk_status st = give_pictures(&w, m);
    if (st == TK_OK) st = give_sounds(&w, m);
    const int64_t n = part.grid.audio_rows < room ? part.grid.audio_rows : room;
    if (st == TK_OK)
        memcpy(v->g->rows[TK_AUDIO] + first * each, own.rows[TK_AUDIO],
               tk_array_bytes(n * each, sizeof(float)));
    tk_free(own.rows[TK_AUDIO]);
    return st;
}

static tk_status open_latents(const giver *v, const tk_remix *r, const tk_remix_span *at)
{
    tk_story_given *g = v->g;
    const int64_t sound = tk_grid_audio_row(v->info, at->first);
    const int64_t has = r->form.rows[TK_CODEC_AUDIO], room = v->s->grid.audio_rows - sound;
    g->first[TK_VIDEO] = at->first;
    g->has[TK_VIDEO] = at->n;
    g->first[TK_AUDIO] = sound;
    g->has[TK_AUDIO] = has < room ? has : room;
    return tk_latents_open(r->latents, &r->form, r->digest, &g->file);
}

static tk_status read_clip(const giver *v, const tk_remix *r, const tk_remix_config *c)
{
    const tk_remix_span at = tk_remix_span_of(c, v->s);
    const double seconds = (double)at.n * v->s->tick;
    tk_media m;
    if (r->latents) return open_latents(v, r, &at);
    TK_TRY(tk_media_read(r->clip, &v->want, seconds, seconds, &m, NULL));
    const tk_status st =
        m.frames ? give_span(v, &m, &at) : TK_FAIL(TK_INPUT, "%s has no picture", r->clip);
    tk_media_free(&m);
    return st;
}

tk_status tk_story_given_read(const tk_config *c, const tk_story *s, const tk_remix *r,
                              const tk_codec *codec, tk_arena *a, tk_story_given *out)
{
    const tk_storyboard *b = &c->story;
    giver v = {.s = s, .codec = codec, .info = tk_codec_get_info(codec), .g = out};
    v.want = (tk_media_config){.width = s->grid.width,
                               .height = s->grid.height,
                               .fps = s->fps,
                               .sample_rate = s->sample_rate,
                               .channels = s->channels};
    TK_TRY(open_timeline(out, s, v.info, a));
    TK_TRY(lay_masks(b, s, v.info, out));
    if (!r->latents) TK_TRY(new_given_rows(out, a));
    if (*b->sound) TK_TRY(read_story_sound(&v, b->sound));
    if (*b->picture) TK_TRY(read_picture(&v, b->picture));
    if (*b->remix.clip) TK_TRY(read_clip(&v, r, &b->remix));
    for (int64_t k = 0; k < b->n_keyframes; k++) TK_TRY(read_keyframe(&v, &b->keyframes[k]));
    return TK_OK;
}

// ---- a window ----------------------------------------------------------------------------------

// Sound of the shots to make goes on into the tail, which is the next shot's in the timeline.
tk_status tk_story_give(const tk_story_given *g, const tk_story *s, const tk_window *w, int own,
                        tk_arena *a, tk_document *doc)
{
    tk_given mask;
    int64_t begin[TK_MODALITIES] = {0}, from[TK_MODALITIES], n[TK_MODALITIES];
    TK_TRY(tk_given_open(doc, a, &mask));
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < own + w->n_memory; k++)
            begin[MEDIA[i]] += tk_shot_count(doc, k, MEDIA[i]);
    from[TK_VIDEO] = s->shot[w->target].first_latent * s->grid.high * s->grid.wide;
    from[TK_AUDIO] = s->shot[w->target].first_audio * s->channels;
    tk_document_rows(doc, n);
    for (int i = 0; i < 2; i++)
        memcpy(mask.row[MEDIA[i]] + begin[MEDIA[i]], g->mask.row[MEDIA[i]] + from[MEDIA[i]],
               (size_t)(n[MEDIA[i]] - begin[MEDIA[i]]));
    return TK_OK;
}

bool tk_story_window_makes(const tk_story_given *g, const tk_story *s, const tk_window *w)
{
    const tk_story_shot *first = &s->shot[w->target], *last = &s->shot[w->end - 1];
    const int64_t frame = s->grid.high * s->grid.wide;
    const int64_t latents = last->first_latent + last->latents - first->first_latent;
    const int64_t end = last->first_audio + last->audio_rows + (w->end == s->n_shots ? s->tail : 0);
    return memchr(g->mask.row[TK_VIDEO] + first->first_latent * frame, 0,
                  (size_t)(latents * frame)) ||
           memchr(g->mask.row[TK_AUDIO] + first->first_audio * s->channels, 0,
                  (size_t)((end - first->first_audio) * s->channels));
}
