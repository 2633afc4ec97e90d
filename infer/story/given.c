// SPDX-License-Identifier: Apache-2.0
#include "infer/story/given.h"
#include "data/media/media.h"
#include "train/step/documents.h"
#include <math.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

tk_status tk_story_given_open(tk_story_given *g, const tk_story *s, const tk_codec_info *k,
                              tk_arena *a)
{
    *g = (tk_story_given){
        .shot = {.latent_frames = s->grid.latent_frames, .audio_rows = s->grid.audio_rows}};
    g->shot.target = true;
    g->doc = tk_document_on_grid(k, s->grid.high, s->grid.wide, s->channels);
    g->doc.shots = &g->shot;
    g->doc.n_shots = 1;
    TK_TRY(tk_given_open(&g->doc, a, &g->mask));
    const int64_t channels[] = {[TK_VIDEO] = k->video_channels, [TK_AUDIO] = k->audio_channels};
    for (int i = 0; i < 2; i++)
        TK_ARENA_NEW(g->rows[MEDIA[i]], a,
                     tk_shot_count(&g->doc, 0, MEDIA[i]) * channels[MEDIA[i]]);
    return TK_OK;
}

bool tk_story_gives(const tk_storyboard *b)
{
    return b->n_keyframes > 0 || *b->sound || *b->picture || *b->remake.clip;
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
    if (*b->remake.clip) FILE_AT(b->remake.clip);
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

static tk_status check_remake(const tk_storyboard *b, const tk_story *s)
{
    const tk_remake_config *r = &b->remake;
    const double to = r->to > 0 ? r->to : end_of_story(s);
    if (!*r->clip) return TK_OK;
    if (b->n_keyframes || *b->sound || *b->picture)
        return TK_FAIL(TK_INPUT, "remake: its clip gives all that is not made anew; leave "
                                 "keyframes, sound and picture out");
    if (r->from >= to || to > end_of_story(s) + s->tick)
        return TK_FAIL(TK_INPUT,
                       "remake: from %g to %g seconds is no part of the shots, which last %g",
                       r->from, to, end_of_story(s));
    if (r->left >= r->right || r->top >= r->bottom)
        return TK_FAIL(TK_INPUT,
                       "remake: left %g to right %g, top %g to bottom %g is no part of the frame",
                       r->left, r->right, r->top, r->bottom);
    return TK_OK;
}

static tk_status check_cast(const tk_storyboard *b)
{
    for (int64_t k = 0; k < b->n_cast; k++) {
        const tk_cast_config *x = &b->cast[k];
        if (!*x->tag || !*x->file || strpbrk(x->tag, "<>"))
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
    return check_remake(b, s);
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
    TK_TRY(st);
    tk_give_modality(&v->g->doc, 0, TK_VIDEO, &v->g->mask);
    return TK_OK;
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
    TK_TRY(st);
    tk_give_modality(&v->g->doc, 0, TK_AUDIO, &v->g->mask);
    return TK_OK;
}

// The first picture of a file, held for a latent frame.
static tk_status read_keyframe(const giver *v, const tk_keyframe_config *f)
{
    const tk_grid *grid = &v->s->grid;
    const int64_t at = (int64_t)floor(f->at / v->s->tick + 1e-9);
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
    TK_TRY(st);
    tk_give_frame(&v->g->doc, 0, at, &v->g->mask);
    return TK_OK;
}

// Whole latent frames and patches that the part touches.
static void give_but_part(const giver *v, const tk_remake_config *r)
{
    const tk_grid *grid = &v->s->grid;
    const double to = r->to > 0 ? r->to : end_of_story(v->s);
    const int64_t last = (int64_t)ceil(to / v->s->tick - 1e-9);
    tk_given_box box = {.begin = (int64_t)floor(r->from / v->s->tick + 1e-9),
                        .end = last < grid->latent_frames ? last : grid->latent_frames,
                        .top = (int64_t)floor(r->top * (double)grid->high + 1e-9),
                        .bottom = (int64_t)ceil(r->bottom * (double)grid->high - 1e-9),
                        .left = (int64_t)floor(r->left * (double)grid->wide + 1e-9),
                        .right = (int64_t)ceil(r->right * (double)grid->wide - 1e-9)};
    const bool whole =
        box.top == 0 && box.left == 0 && box.bottom == grid->high && box.right == grid->wide;
    if (whole)
        tk_give_but_span(&v->g->doc, 0, v->info, box.begin, box.end, &v->g->mask);
    else
        tk_give_but_region(&v->g->doc, 0, &box, &v->g->mask);
}

static tk_status read_remake(const giver *v, const tk_remake_config *r)
{
    tk_media m;
    bool sounds;
    TK_TRY(read_film(v, "remake.clip", r->clip, &m, &sounds));
    tk_status st = give_pictures(v, &m);
    if (st == TK_OK) st = give_sounds(v, &m);
    tk_media_free(&m);
    TK_TRY(st);
    give_but_part(v, r);
    return TK_OK;
}

static void count_made(tk_story_given *g)
{
    for (int i = 0; i < 2; i++) g->made[MEDIA[i]] = tk_document_targets(&g->doc, MEDIA[i]);
}

tk_status tk_story_given_read(const tk_config *c, const tk_story *s, const tk_codec *codec,
                              tk_arena *a, tk_story_given *out)
{
    const tk_storyboard *b = &c->story;
    giver v = {.s = s, .codec = codec, .info = tk_codec_get_info(codec), .g = out};
    v.want = (tk_media_config){.width = s->grid.width,
                               .height = s->grid.height,
                               .fps = s->fps,
                               .sample_rate = s->sample_rate,
                               .channels = s->channels};
    TK_TRY(tk_story_given_open(out, s, v.info, a));
    if (*b->sound) TK_TRY(read_story_sound(&v, b->sound));
    if (*b->picture) TK_TRY(read_picture(&v, b->picture));
    if (*b->remake.clip) TK_TRY(read_remake(&v, &b->remake));
    for (int64_t k = 0; k < b->n_keyframes; k++) TK_TRY(read_keyframe(&v, &b->keyframes[k]));
    count_made(out);
    if (out->made[TK_VIDEO] + out->made[TK_AUDIO] == 0)
        return TK_FAIL(TK_INPUT, "all of the clip is given: nothing is left to make");
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
