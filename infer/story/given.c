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

static tk_status rows_of_span(const tk_story_given *g, const tk_given_span *p, int m, int64_t first,
                              int64_t n, float *to)
{
    const int64_t begin = first > p->first[m] ? first : p->first[m];
    const int64_t end = p->first[m] + p->n[m], last = first + n < end ? first + n : end;
    if (begin >= last) return TK_OK;
    return tk_latents_get(&g->file[p->file], SIDE[m], p->from[m] + begin - p->first[m],
                          last - begin, to + (begin - first) * g->each[m]);
}

static tk_status rows_of_files(const tk_story_given *g, int m, int64_t first, int64_t n, float *to)
{
    memset(to, 0, tk_array_bytes(n * g->each[m], sizeof *to));
    for (int64_t i = 0; i < g->spans; i++) TK_TRY(rows_of_span(g, &g->span[i], m, first, n, to));
    return TK_OK;
}

tk_status tk_story_given_rows(const tk_story_given *g, int m, int64_t first, int64_t n, float *to)
{
    const size_t bytes = tk_array_bytes(n * g->each[m], sizeof *to);
    if (!g->holders) {
        memcpy(to, g->rows[m] + first * g->each[m], bytes);
        return TK_OK;
    }
    TK_TRY(tk_agree(g->holders, g->holders->rank ? TK_OK : rows_of_files(g, m, first, n, to)));
    return tk_comm_broadcast(g->holders, to, bytes, 0);
}

void tk_story_given_close(tk_story_given *g)
{
    for (int i = 0; i < g->files; i++) tk_latents_close(&g->file[i]);
    g->files = 0;
}

bool tk_story_takes(const tk_storyboard *b)
{
    for (int64_t i = 0; i < b->n_shots; i++)
        if (tk_shot_is_taken(&b->shots[i])) return true;
    return false;
}

bool tk_story_gives(const tk_storyboard *b)
{
    return b->n_keyframes > 0 || *b->sound || *b->picture || *b->remix.clip || tk_story_takes(b);
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
    for (int64_t k = 0; k < b->n_shots; k++)
        if (tk_shot_is_taken(&b->shots[k])) FILE_AT(b->shots[k].clip, "shots[%" PRId64 "].clip", k);
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

bool tk_story_file_again(char **const *at, int64_t i)
{
    for (int64_t k = 0; k < i; k++)
        if (!strcmp(*at[k], *at[i])) return true;
    return false;
}

double tk_story_file_reach(const tk_storyboard *b, const char *file)
{
    double until = 0;
    for (int64_t i = 0; i < b->n_shots; i++)
        if (tk_shot_is_taken(&b->shots[i]) && !strcmp(b->shots[i].clip, file))
            until = fmax(until, b->shots[i].taken_until);
    return until;
}

// ---- which rows --------------------------------------------------------------------------------

typedef struct remade { // of a clip, that is made anew
    tk_given_box box;   // latent frames, rows of them
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
    return p->sound ? tk_give(&g->what, TK_AUDIO, &sound, false) : TK_OK;
}

// Whole patches that it touches. A part of the frame keeps its sound.
static remade remade_of(const tk_remix_config *r, const tk_story *s)
{
    const tk_grid *grid = &s->grid;
    remade p = {.picture = true, .sound = !tk_remix_is_part(r)};
    p.box.top = (int64_t)floor(r->top * (double)grid->high + 1e-9);
    p.box.bottom = (int64_t)ceil(r->bottom * (double)grid->high - 1e-9);
    p.box.left = (int64_t)floor(r->left * (double)grid->wide + 1e-9);
    p.box.right = (int64_t)ceil(r->right * (double)grid->wide - 1e-9);
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
    return make_part(g, k, &p, tk_story_latent_at(s, r->from), last < all ? last : all);
}

bool tk_shot_keeps(const tk_shot_config *s, int modality)
{
    const char *name = modality == TK_VIDEO ? "picture" : "sound";
    return s->n_keep == 0 || !strcmp(s->keep[0], name) ||
           (s->n_keep > 1 && !strcmp(s->keep[1], name));
}

// Where shot i, which is taken, lies on the timeline and in its clip. Rows of sound begin where
// latent frames do, each on its own clock: a clip has a row less at times, but for its tail.
static tk_given_span span_of_shot(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                                  int i)
{
    const tk_shot_config *taken = &b->shots[i];
    const tk_story_shot *shot = &s->shot[i];
    const int64_t from = tk_grid_audio_row(k, taken->taken_from);
    const int64_t has = tk_grid_audio_row(k, taken->taken_from + taken->taken) + s->tail - from;
    const int64_t rows = shot->audio_rows + (i == s->n_shots - 1 ? s->tail : 0);
    return (tk_given_span){
        .first = {[TK_VIDEO] = shot->first_latent, [TK_AUDIO] = shot->first_audio},
        .n = {[TK_VIDEO] = tk_shot_keeps(taken, TK_VIDEO) ? shot->latents : 0,
              [TK_AUDIO] = !tk_shot_keeps(taken, TK_AUDIO) ? 0
                           : rows < has                    ? rows
                                                           : has},
        .from = {[TK_VIDEO] = taken->taken_from, [TK_AUDIO] = from}};
}

static tk_status give_taken(tk_story_given *g, const tk_storyboard *b, const tk_story *s,
                            const tk_codec_info *k)
{
    for (int i = 0; i < b->n_shots; i++) {
        if (!tk_shot_is_taken(&b->shots[i])) continue;
        const tk_given_span p = span_of_shot(b, s, k, i);
        for (int j = 0; j < 2; j++) {
            tk_given_box box = g->what.whole[MEDIA[j]];
            box.begin = p.first[MEDIA[j]];
            box.end = box.begin + p.n[MEDIA[j]];
            if (p.n[MEDIA[j]]) TK_TRY(tk_give(&g->what, MEDIA[j], &box, true));
        }
    }
    return TK_OK;
}

static tk_status lay_boxes(const tk_storyboard *b, const tk_story *s, const tk_codec_info *k,
                           tk_story_given *g)
{
    bool makes = tk_story_takes(b); // a film may be cut together of shots alone that are taken
    if (*b->sound) TK_TRY(tk_give_modality(&g->what, TK_AUDIO));
    if (*b->picture) TK_TRY(tk_give_modality(&g->what, TK_VIDEO));
    if (*b->remix.clip) TK_TRY(give_but_part(g, &b->remix, s, k));
    TK_TRY(give_taken(g, b, s, k));
    for (int64_t i = 0; i < b->n_keyframes; i++)
        TK_TRY(tk_give_frame(&g->what, tk_story_latent_at(s, b->keyframes[i].at)));
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

// What is given of all of the timeline, of files: rows come to lie in a file of it.
static tk_status give_media(tk_wrong *w, const tk_storyboard *b, const tk_giver *v)
{
    const tk_given_media sound = {
        .key = "sound", .path = b->sound, .n = v->story->grid.latent_frames, .sound = true};
    const tk_given_media picture = {
        .key = "picture", .path = b->picture, .n = v->story->grid.latent_frames, .picture = true};
    bool pictures = false;
    if (*b->sound) TK_TRY(tk_wrong_with(w, "sound", tk_media_has_pictures(b->sound, &pictures)));
    if (*b->sound)
        TK_TRY(tk_wrong_with(w, "sound",
                             pictures ? tk_give_film(v, &sound) : tk_give_sound(v, &sound)));
    if (*b->picture) TK_TRY(tk_wrong_with(w, "picture", tk_give_film(v, &picture)));
    for (int64_t k = 0; k < b->n_keyframes; k++) {
        char name[48];
        snprintf(name, sizeof name, "keyframes[%" PRId64 "].picture", k);
        TK_TRY(tk_wrong_with(w, name,
                             tk_give_still(v, b->keyframes[k].picture,
                                           tk_story_latent_at(v->story, b->keyframes[k].at))));
    }
    return TK_OK;
}

typedef struct given_reading { // of what a storyboard gives
    tk_wrong *wrong;
    const tk_storyboard *board;
    const tk_story *story;
    const tk_remix *remix;
    const tk_codec *codec;
    const char *scratch; // the path that files without a name are called by
    tk_story_given *g;
} given_reading;

// Rows of a timeline of n latent frames, none of which is there yet.
static tk_status open_scratch(const given_reading *r, const tk_grid *grid, tk_latents_file *out)
{
    tk_latents_form form = {.codec = tk_codec_get_info(r->codec)->digest};
    form.rows[TK_CODEC_VIDEO] = grid->latent_frames;
    form.rows[TK_CODEC_AUDIO] = grid->audio_rows;
    for (int i = 0; i < 2; i++) form.numbers[SIDE[MEDIA[i]]] = r->g->each[MEDIA[i]];
    TK_TRY(tk_latents_scratch(r->scratch, &form, out));
    r->g->files++;
    return TK_OK;
}

static tk_status read_beside_clips(const given_reading *r)
{
    tk_story_given *g = r->g;
    const tk_storyboard *b = r->board;
    const tk_grid *grid = &r->story->grid;
    const tk_giver v = {r->story, r->codec, &g->file[g->files]};
    if (!*b->sound && !*b->picture && !b->n_keyframes) return TK_OK;
    TK_TRY(open_scratch(r, grid, &g->file[g->files]));
    g->span[g->spans++] =
        (tk_given_span){.file = g->files - 1,
                        .n = {[TK_VIDEO] = grid->latent_frames, [TK_AUDIO] = grid->audio_rows}};
    return give_media(r->wrong, b, &v);
}

// The film of a clip, as far as it is wanted, on a timeline of its own.
static tk_status encode_parent(const given_reading *r, const tk_parent *p, int64_t latents,
                               tk_latents_file *to)
{
    const tk_codec_info *k = tk_codec_get_info(r->codec);
    tk_story own = *r->story;
    const tk_giver v = {&own, r->codec, to};
    const tk_given_media film = {.key = p->option,
                                 .path = p->clip,
                                 .n = latents,
                                 .picture = true,
                                 .sound = true,
                                 .short_too = true};
    TK_TRY(tk_grid_of(k, p->option, tk_grid_frame(k, latents), own.grid.height, own.grid.width,
                      TK_GRID_WHOLE, &own.grid));
    TK_TRY(open_scratch(r, &own.grid, to));
    return tk_wrong_with(r->wrong, p->option, tk_give_film(&v, &film));
}

// Where the clip that is remixed lies on the timeline: its sound as far as it has some.
static void add_remixed_span(const given_reading *r)
{
    tk_story_given *g = r->g;
    const tk_remix_span at = tk_remix_span_of(&r->board->remix, r->story);
    const int64_t sound = tk_grid_audio_row(tk_codec_get_info(r->codec), at.first);
    const int64_t has = g->file[g->files - 1].form.rows[TK_CODEC_AUDIO];
    const int64_t room = r->story->grid.audio_rows - sound;
    g->span[g->spans++] =
        (tk_given_span){.file = g->files - 1,
                        .first = {[TK_VIDEO] = at.first, [TK_AUDIO] = sound},
                        .n = {[TK_VIDEO] = at.n, [TK_AUDIO] = has < room ? has : room}};
}

static void add_taken_spans(const given_reading *r, int parent)
{
    tk_story_given *g = r->g;
    for (int i = 0; i < r->board->n_shots; i++) {
        if (!tk_shot_is_taken(&r->board->shots[i]) || r->remix->of[i] != parent) continue;
        tk_given_span p = span_of_shot(r->board, r->story, tk_codec_get_info(r->codec), i);
        p.file = g->files - 1;
        g->span[g->spans++] = p;
    }
}

// Latent frames of a clip that are wanted, from its beginning on.
static int64_t wanted_of(const given_reading *r, int parent)
{
    int64_t n = 0;
    if (*r->board->remix.clip) return tk_remix_span_of(&r->board->remix, r->story).n;
    for (int i = 0; i < r->board->n_shots; i++) {
        const tk_shot_config *s = &r->board->shots[i];
        if (tk_shot_is_taken(s) && r->remix->of[i] == parent && s->taken_from + s->taken > n)
            n = s->taken_from + s->taken;
    }
    return n;
}

static tk_status read_parent(const given_reading *r, int k)
{
    const tk_parent *p = &r->remix->parent[k];
    tk_story_given *g = r->g;
    tk_latents_file *to = &g->file[g->files];
    if (p->latents) {
        TK_TRY(tk_latents_open(p->latents, &p->form, p->digest, to));
        g->files++;
    } else
        TK_TRY(encode_parent(r, p, wanted_of(r, k), to));
    if (*r->board->remix.clip)
        add_remixed_span(r);
    else
        add_taken_spans(r, k);
    return TK_OK;
}

static tk_status read_given(const given_reading *r, tk_arena *a)
{
    TK_ARENA_NEW(r->g->file, a, r->remix->n + 1);
    TK_ARENA_NEW(r->g->span, a, r->story->n_shots + 2);
    TK_TRY(read_beside_clips(r));
    for (int k = 0; k < r->remix->n; k++) TK_TRY(read_parent(r, k));
    return tk_wrong_end(r->wrong);
}

tk_status tk_story_given_read(const tk_config *c, const tk_story *s, const tk_remix *r,
                              const tk_codec *codec, const char *beside,
                              const tk_story_given_ranks *ranks, tk_arena *a, tk_story_given *out)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    tk_wrong w = tk_wrong_of(c, "", a);
    const char *scratch = tk_arena_printf(a, "%s.given", beside);
    const given_reading of = {&w, &c->story, s, r, codec, scratch, out};
    open_timeline(out, s, k, a);
    tk_status st = lay_boxes(&c->story, s, k, out);
    if (st == TK_OK && !scratch) st = TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_agree(ranks->replica, st));
    out->holders = ranks->holders;
    if (ranks->replica->rank == 0) st = read_given(&of, a);
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
