// SPDX-License-Identifier: Apache-2.0
#include "infer/story/references.h"
#include "core/base/log.h"
#include "data/media/rows.h"
#include <stdio.h>

static tk_media_rows_want rows_asked(const tk_story *s, const tk_codec_info *k,
                                     const tk_reference *r)
{
    return (tk_media_rows_want){.size = {.width = s->grid.width,
                                         .height = s->grid.height,
                                         .fps = s->fps,
                                         .sample_rate = s->sample_rate,
                                         .channels = s->channels},
                                .most = tk_grid_latents(k, s->window),
                                .tagged = *r->tag != 0};
}

static double reference_seconds(const tk_story *s, const tk_codec_info *k, const tk_reference *r)
{
    return r->latents ? (double)r->latents * s->tick
                      : (double)r->audio_rows * tk_grid_audio_span(k, 1);
}

static void take_rows_of(tk_reference *r, const tk_media_rows *x)
{
    r->latents = x->latents;
    r->high = x->high;
    r->wide = x->wide;
    r->audio_rows = x->audio_rows;
    r->video = x->video;
    r->audio = x->audio;
}

// At the size and the rates of the storyboard.
static tk_status read_one(const tk_story *s, const tk_codec *codec, tk_arena *a, tk_reference *r)
{
    const tk_media_rows_want want = rows_asked(s, tk_codec_get_info(codec), r);
    tk_media_rows x;
    TK_TRY(tk_media_rows_read(r->path, &want, codec, a, &x));
    take_rows_of(r, &x);
    if (x.seconds > (double)r->latents * s->tick + s->tick)
        tk_log("%s: its first %.3g of %.3g seconds are given", r->path,
               (double)r->latents * s->tick, x.seconds);
    return TK_OK;
}

static tk_status measure_reference(const tk_story *s, const tk_codec_info *k, tk_reference *r)
{
    const tk_media_rows_want want = rows_asked(s, k, r);
    tk_media_rows x;
    TK_TRY(tk_media_rows_measure(r->path, &want, k, &x));
    take_rows_of(r, &x);
    return TK_OK;
}

bool tk_reference_in(const tk_reference *r, const tk_window *w)
{
    return r->shot < 0 || (r->shot >= w->target && r->shot < w->end);
}

// Of the references that a window is given.
static double seconds_in(const tk_story *s, const tk_codec_info *info, const tk_references *all,
                         const tk_window *w)
{
    double seconds = 0;
    for (int k = 0; k < all->n; k++)
        if (tk_reference_in(&all->ref[k], w)) seconds += reference_seconds(s, info, &all->ref[k]);
    return seconds;
}

// What of the storyboard gives most of them.
static const char *given_by(const tk_storyboard *b, int shot, char name[48])
{
    snprintf(name, 48, "shots[%d].references", shot);
    if (b->shots[shot].n_references) return name;
    return b->n_references >= b->n_cast ? "references" : "cast";
}

// What all windows are given is told once.
static void check_reference_room(tk_wrong *wrong, const tk_config *c, const tk_story *s,
                                 const tk_codec_info *info, const tk_references *all)
{
    bool told = false;
    for (int i = 0; i < s->n_windows; i++) {
        const int shot = s->windows[i].target;
        char name[48];
        const double seconds = seconds_in(s, info, all, &s->windows[i]);
        const bool own = c->story.shots[shot].n_references > 0;
        if (seconds <= TK_REFERENCE_WINDOWS * s->window + 1e-6 || (told && !own)) continue;
        told = told || !own;
        tk_wrong_add(wrong, given_by(&c->story, shot, name),
                     "%.3g seconds of media are given to shots[%d]; at most %.3g are possible",
                     seconds, shot, TK_REFERENCE_WINDOWS * s->window);
    }
}

static tk_status list_references(const tk_config *c, const tk_story *s, tk_arena *a,
                                 tk_references *out)
{
    int64_t n = c->story.n_references + c->story.n_cast + c->story.n_lent;
    for (int i = 0; i < s->n_shots; i++) n += s->shot[i].n_references;
    *out = (tk_references){0};
    TK_ARENA_NEW(out->ref, a, n);
    for (int64_t k = 0; k < c->story.n_references; k++)
        out->ref[out->n++] = (tk_reference){.path = c->story.references[k], .tag = "", .shot = -1};
    for (int64_t k = 0; k < c->story.n_cast; k++)
        out->ref[out->n++] =
            (tk_reference){.path = c->story.cast[k].file, .tag = c->story.cast[k].tag, .shot = -1};
    for (int64_t k = 0; k < c->story.n_lent; k++)
        out->ref[out->n++] = (tk_reference){
            .path = c->story.lent[k].file, .tag = c->story.lent[k].tag, .lent = true, .shot = -1};
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
    return TK_OK;
}

tk_status tk_references_measure(const tk_config *c, const tk_story *s, const tk_codec_info *k,
                                tk_arena *a, tk_references *out)
{
    TK_TRY(list_references(c, s, a, out));
    for (int i = 0; i < out->n; i++) TK_TRY(measure_reference(s, k, &out->ref[i]));
    return TK_OK;
}

// Each is no longer than a window.
static bool may_be_too_many(const tk_story *s, const tk_references *all)
{
    for (int i = 0; i < s->n_windows; i++) {
        int n = 0;
        for (int k = 0; k < all->n; k++) n += tk_reference_in(&all->ref[k], &s->windows[i]);
        if (n > TK_REFERENCE_WINDOWS) return true;
    }
    return false;
}

tk_status tk_references_check(tk_wrong *w, const tk_config *c, const tk_story *s,
                              const tk_codec_info *k)
{
    tk_arena a;
    tk_references all;
    tk_arena_init(&a, 0);
    tk_status st = list_references(c, s, &a, &all);
    const bool many = st == TK_OK && may_be_too_many(s, &all);
    for (int i = 0; i < all.n && many && st == TK_OK; i++)
        st = measure_reference(s, k, &all.ref[i]);
    if (many && st == TK_OK) check_reference_room(w, c, s, k, &all);
    tk_arena_free(&a);
    return st;
}
