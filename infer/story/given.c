// SPDX-License-Identifier: Apache-2.0
#include "infer/story/given.h"
#include "core/config/wrong.h"
#include "data/media/media.h"
#include "infer/story/giver.h"
#include "train/step/documents.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};
static const tk_codec_side SIDE[TK_MODALITIES] = {
    [TK_VIDEO] = TK_CODEC_VIDEO, [TK_AUDIO] = TK_CODEC_AUDIO};

static void open_timeline(tk_story_given *g, const tk_story *s, const tk_codec_info *k, tk_arena *a)
{
    *g = (tk_story_given){
        .shot = {.latent_frames = s->grid.latent_frames, .audio_rows = s->grid.audio_rows},
        .each = {[TK_VIDEO] = s->grid.high * s->grid.wide * k->video_channels,
                 [TK_AUDIO] = s->channels * k->audio_channels}};
    g->shot.target = true;
    g->doc = tk_document_on_grid(k, s->grid.high, s->grid.wide, s->channels);
    g->doc.shots = &g->shot;
    g->doc.n_shots = 1;
    tk_given_open(&g->doc, 0, a, &g->what);
}

tk_status tk_story_given_open(tk_story_given *g, const tk_story *s, const tk_codec_info *k,
                              tk_arena *a)
{
    open_timeline(g, s, k, a);
    TK_ARENA_NEW(g->rows[TK_VIDEO], a, g->shot.latent_frames * g->each[TK_VIDEO]);
    TK_ARENA_NEW(g->rows[TK_AUDIO], a, g->shot.audio_rows * g->each[TK_AUDIO]);
    return TK_OK;
}

static tk_status rows_of_file(const tk_story_given *g, int m, int64_t first, int64_t n, float *to)
{
    const int64_t each = g->each[m], end = g->first[m] + g->has[m];
    const int64_t begin = first > g->first[m] ? first : g->first[m];
    const int64_t here = (first + n < end ? first + n : end) - begin;
    memset(to, 0, tk_array_bytes(n * each, sizeof *to));
    if (here <= 0) return TK_OK;
    return tk_latents_get(&g->file, SIDE[m], begin - g->first[m], here,
                          to + (begin - first) * each);
}

tk_status tk_story_given_rows(const tk_story_given *g, int m, int64_t first, int64_t n, float *to)
{
    const size_t bytes = tk_array_bytes(n * g->each[m], sizeof *to);
    if (!g->holders) {
        memcpy(to, g->rows[m] + first * g->each[m], bytes);
        return TK_OK;
    }
    TK_TRY(tk_agree(g->holders, g->holders->rank ? TK_OK : rows_of_file(g, m, first, n, to)));
    return tk_comm_broadcast(g->holders, to, bytes, 0);
}

void tk_story_given_close(tk_story_given *g)
{
    tk_latents_close(&g->file);
}

bool tk_story_gives(const tk_storyboard *b)
{
    return b->n_keyframes > 0 || *b->sound || *b->picture || *b->remix.clip;
}

// at: NULL, or where they are kept. wanted: of which one the option is told, that has name and two
// numbers.
static int64_t walk_files(const tk_storyboard *b, char ***at, int64_t wanted, char *option)
{
    int64_t n = 0;
#define FILE_AT(place, ...)                                                      \
    do {                                                                         \
        if (at) at[n] = (char **)(void *)&(place);                               \
        if (n == wanted) snprintf(option, sizeof(tk_story_option), __VA_ARGS__); \
        n++;                                                                     \
    } while (0)
    for (int64_t i = 0; i < b->n_references; i++)
        FILE_AT(b->references[i], "references[%" PRId64 "]", i);
    for (int64_t k = 0; k < b->n_shots; k++)
        if (b->shots[k].features && *b->shots[k].features)
            FILE_AT(b->shots[k].features, "shots[%" PRId64 "].features", k);
    if (b->empty_features && *b->empty_features) FILE_AT(b->empty_features, "empty_features");
    for (int64_t k = 0; k < b->n_shots; k++)
        for (int64_t i = 0; i < b->shots[k].n_references; i++)
            FILE_AT(b->shots[k].references[i], "shots[%" PRId64 "].references[%" PRId64 "]", k, i);
    for (int64_t i = 0; i < b->n_cast; i++) FILE_AT(b->cast[i].file, "cast[%" PRId64 "].file", i);
    for (int64_t i = 0; i < b->n_keyframes; i++)
        FILE_AT(b->keyframes[i].picture, "keyframes[%" PRId64 "].picture", i);
    if (*b->sound) FILE_AT(b->sound, "sound");
    if (*b->picture) FILE_AT(b->picture, "picture");
    if (*b->remix.clip) FILE_AT(b->remix.clip, "remix.clip");
#undef FILE_AT
    return n;
}

int64_t tk_story_files(const tk_storyboard *b, char ***at)
{
    return walk_files(b, at, -1, NULL);
}

const char *tk_story_file_option(const tk_storyboard *b, int64_t i, tk_story_option out)
{
    *out = 0;
    walk_files(b, NULL, i, out);
    return out;
}

// ---- which rows --------------------------------------------------------------------------------

typedef struct remade { // of a clip, that is made anew
    tk_given_box box;   // latent frames, rows of them
    bool whole;         // of the frame
    bool picture, sound;
} remade;

// Latent frames [begin, end) of it become what is made.
static tk_status make_part(tk_story_given *g, const tk_codec_info *k, const remade *p,
                           int64_t begin, int64_t end)
{
    const int64_t frames = g->shot.latent_frames;
    tk_given_box box = p->box, sound = {.begin = tk_grid_audio_row(k, begin)};
    box.begin = begin;
    box.end = end;
    sound.end = end < frames ? tk_grid_audio_row(k, end) : g->shot.audio_rows;
    if (p->picture) TK_TRY(tk_give(&g->what, TK_VIDEO, &box, false));
    return p->sound && p->whole ? tk_give(&g->what, TK_AUDIO, &sound, false) : TK_OK;
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

static tk_status give_but_part(tk_story_given *g, const tk_remix_config *r, const tk_story *s,
                               const tk_codec_info *k)
{
    const remade p = remade_of(r, s),
                 whole = {.box = {.bottom = s->grid.high, .right = s->grid.wide},
                          .whole = true,
                          .picture = true,
                          .sound = true};
    const tk_remix_span span = tk_remix_span_of(r, s);
    const int64_t all = s->grid.latent_frames;
    for (int i = 0; i < 2; i++) TK_TRY(tk_give_modality(&g->what, MEDIA[i]));
    for (int64_t i = 0; i < r->n_shots; i++) {
        const tk_story_shot *shot = &s->shot[r->shots[i]];
        TK_TRY(make_part(g, k, &p, shot->first_latent, shot->first_latent + shot->latents));
    }
    if (span.first > 0) TK_TRY(make_part(g, k, &whole, 0, span.first));
    if (span.first + span.n < all) TK_TRY(make_part(g, k, &whole, span.first + span.n, all));
    const bool nothing = span.n < all && r->from <= 0 && r->to <= 0; // but what goes beyond it
    if (r->shots || nothing) return TK_OK;
    const double to = r->to > 0 ? r->to : tk_story_end(s);
    const int64_t last = (int64_t)ceil(to / s->tick - 1e-9);
    return make_part(g, k, &p, (int64_t)floor(r->from / s->tick + 1e-9), last < all ? last : all);
}

static int64_t latent_of(const tk_keyframe_config *f, const tk_story *s)
{
    return (int64_t)floor(f->at / s->tick + 1e-9);
}

static tk_status lay_boxes(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                           tk_story_given *g)
{
    bool makes = false;
    if (*b->sound) TK_TRY(tk_give_modality(&g->what, TK_AUDIO));
    if (*b->picture) TK_TRY(tk_give_modality(&g->what, TK_VIDEO));
    if (*b->remix.clip) TK_TRY(give_but_part(g, &b->remix, s, k));
    for (int64_t i = 0; i < b->n_keyframes; i++)
        TK_TRY(tk_give_frame(&g->what, latent_of(&b->keyframes[i], s)));
    for (int i = 0; i < 2; i++)
        makes |= tk_given_leaves(&g->what, MEDIA[i], 0, g->what.whole[MEDIA[i]].end);
    return makes ? TK_OK : TK_FAIL(TK_INPUT, "all of the clip is given: nothing is left to make");
}

tk_status tk_story_given_lay(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                             tk_arena *a, tk_story_given *out)
{
    open_timeline(out, s, k, a);
    return lay_boxes(&c->story, s, k, out);
}

// ---- reading -----------------------------------------------------------------------------------

// What is given, of files: rows come to lie in a file of the timeline's.
static tk_status give_media(tk_wrong *w, const tk_storyboard *b, const tk_giver *v,
                            const tk_remix *r)
{
    const tk_remix_span at = tk_remix_span_of(&b->remix, v->story);
    const tk_given_media sound = {
        .key = "sound", .path = b->sound, .n = v->story->grid.latent_frames, .sound = true};
    const tk_given_media picture = {
        .key = "picture", .path = b->picture, .n = v->story->grid.latent_frames, .picture = true};
    const tk_given_media clip = {.key = "remix.clip",
                                 .path = r->clip,
                                 .first = at.first,
                                 .n = at.n,
                                 .picture = true,
                                 .sound = true,
                                 .short_too = true};
    bool pictures = false;
    if (*b->sound) TK_TRY(tk_wrong_with(w, "sound", tk_media_has_pictures(b->sound, &pictures)));
    if (*b->sound)
        TK_TRY(tk_wrong_with(w, "sound",
                             pictures ? tk_give_film(v, &sound) : tk_give_sound(v, &sound)));
    if (*b->picture) TK_TRY(tk_wrong_with(w, "picture", tk_give_film(v, &picture)));
    if (*b->remix.clip) TK_TRY(tk_wrong_with(w, "remix.clip", tk_give_film(v, &clip)));
    for (int64_t k = 0; k < b->n_keyframes; k++) {
        char name[48];
        snprintf(name, sizeof name, "keyframes[%" PRId64 "].picture", k);
        TK_TRY(tk_wrong_with(
            w, name,
            tk_give_still(v, b->keyframes[k].picture, latent_of(&b->keyframes[k], v->story))));
    }
    return tk_wrong_end(w);
}

static tk_status encode_media(tk_wrong *w, const tk_storyboard *b, const tk_story *s,
                              const tk_remix *r, const tk_codec *codec, const char *beside,
                              tk_arena *a, tk_story_given *g)
{
    const tk_giver v = {s, codec, &g->file};
    tk_latents_form form = {.codec = tk_codec_get_info(codec)->digest};
    const char *path = tk_arena_printf(a, "%s.given", beside);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    form.rows[TK_CODEC_VIDEO] = g->has[TK_VIDEO] = s->grid.latent_frames;
    form.rows[TK_CODEC_AUDIO] = g->has[TK_AUDIO] = s->grid.audio_rows;
    for (int i = 0; i < 2; i++) form.numbers[SIDE[MEDIA[i]]] = g->each[MEDIA[i]];
    TK_TRY(tk_latents_scratch(path, &form, &g->file));
    return give_media(w, b, &v, r);
}

// The latents that were found with a clip, where it lies on the timeline.
static tk_status open_latents(const tk_storyboard *b, const tk_story *s, const tk_remix *r,
                              const tk_codec_info *k, tk_story_given *g)
{
    const tk_remix_span at = tk_remix_span_of(&b->remix, s);
    const int64_t sound = tk_grid_audio_row(k, at.first);
    const int64_t has = r->form.rows[TK_CODEC_AUDIO], room = s->grid.audio_rows - sound;
    g->first[TK_VIDEO] = at.first;
    g->has[TK_VIDEO] = at.n;
    g->first[TK_AUDIO] = sound;
    g->has[TK_AUDIO] = has < room ? has : room;
    return tk_latents_open(r->latents, &r->form, r->digest, &g->file);
}

tk_status tk_story_given_read(const tk_config *c, const tk_story *s, const tk_remix *r,
                              const tk_codec *codec, const char *beside,
                              const tk_story_given_ranks *ranks, tk_arena *a, tk_story_given *out)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    tk_wrong w = tk_wrong_of(c, "", a);
    open_timeline(out, s, k, a);
    tk_status st = lay_boxes(&c->story, s, k, out);
    TK_TRY(tk_agree(ranks->replica, st));
    out->holders = ranks->holders;
    if (ranks->replica->rank == 0)
        st = r->latents ? open_latents(&c->story, s, r, k, out)
                        : encode_media(&w, &c->story, s, r, codec, beside, a, out);
    return tk_agree(ranks->replica, st);
}

// ---- a window ----------------------------------------------------------------------------------

// Sound of the shots to make goes on into the tail, which is the next shot's in the timeline.
tk_status tk_story_give(const tk_story_given *g, const tk_story *s, const tk_window *w, int own,
                        tk_arena *a, tk_document *doc)
{
    const tk_story_shot *first = &s->shot[w->target];
    const int64_t begin[TK_MODALITIES] = {
        [TK_VIDEO] = first->first_latent, [TK_AUDIO] = first->first_audio};
    return tk_given_mask(&g->what, begin, own + w->n_memory, a, doc);
}

bool tk_story_window_makes(const tk_story_given *g, const tk_story *s, const tk_window *w)
{
    const tk_story_shot *first = &s->shot[w->target], *last = &s->shot[w->end - 1];
    const int64_t end = last->first_audio + last->audio_rows + (w->end == s->n_shots ? s->tail : 0);
    return tk_given_leaves(&g->what, TK_VIDEO, first->first_latent,
                           last->first_latent + last->latents) ||
           tk_given_leaves(&g->what, TK_AUDIO, first->first_audio, end);
}
