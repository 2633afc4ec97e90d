// SPDX-License-Identifier: Apache-2.0
#include "infer/story/references.h"
#include "core/base/log.h"
#include "data/media/rows.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

// ---- reading -----------------------------------------------------------------------------------

static bool of_one_shot(const tk_reference *r)
{
    return r->shot >= 0;
}

// n numbers at *end, which is moved behind them.
static tk_status file_numbers(const tk_references *x, const float *from, int64_t n, int64_t *end)
{
    const size_t bytes = tk_array_bytes(n, sizeof *from);
    if (n) TK_TRY(tk_pwrite_all(x->fd, x->path, from, bytes, *end));
    *end += (int64_t)bytes;
    return TK_OK;
}

static tk_status file_reference(const tk_references *x, const tk_story *s, const tk_codec *codec,
                                tk_arena *a, tk_reference *r, int64_t *end)
{
    const tk_codec_info *k = tk_codec_get_info(codec);
    TK_TRY(read_one(s, codec, a, r));
    r->at[TK_VIDEO] = *end;
    TK_TRY(file_numbers(x, r->video, r->latents * r->high * r->wide * k->video_channels, end));
    r->at[TK_AUDIO] = *end;
    TK_TRY(file_numbers(x, r->audio, r->audio_rows * s->channels * k->audio_channels, end));
    r->video = r->audio = NULL;
    return TK_OK;
}

static tk_status file_own(const tk_story *s, const tk_codec *codec, const char *path,
                          tk_references *x)
{
    tk_arena one;
    int64_t end = 0;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_file_scratch(path, &x->fd));
    x->path = path;
    tk_status st = TK_OK;
    tk_arena_init(&one, 0);
    for (int i = 0; i < x->n && st == TK_OK; i++) {
        tk_arena_reset(&one);
        if (of_one_shot(&x->ref[i])) st = file_reference(x, s, codec, &one, &x->ref[i], &end);
    }
    tk_arena_free(&one);
    return st;
}

// What the first rank found of the sizes of those of one shot.
static tk_status share_sizes(tk_comm *makers, tk_arena *a, tk_references *x)
{
    enum { SIZES = 4 };
    const size_t bytes = tk_array_bytes(SIZES * x->n, sizeof(int64_t));
    int64_t *size = tk_arena_alloc(a, bytes);
    TK_TRY(tk_agree(makers, size ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for references")));
    for (int i = 0; i < x->n; i++) {
        const tk_reference *r = &x->ref[i];
        const int64_t of[SIZES] = {r->latents, r->high, r->wide, r->audio_rows};
        memcpy(size + SIZES * i, of, sizeof of);
    }
    TK_TRY(tk_comm_broadcast(makers, size, bytes, 0));
    for (int i = 0; i < x->n; i++) {
        const int64_t *of = size + SIZES * i;
        tk_reference *r = &x->ref[i];
        if (of_one_shot(r))
            r->latents = of[0], r->high = of[1], r->wide = of[2], r->audio_rows = of[3];
    }
    return TK_OK;
}

static tk_status read_shared(const tk_story *s, const tk_codec *codec, tk_arena *a,
                             tk_references *x)
{
    for (int i = 0; i < x->n; i++)
        if (!of_one_shot(&x->ref[i])) TK_TRY(read_one(s, codec, a, &x->ref[i]));
    return TK_OK;
}

tk_status tk_references_read(const tk_config *c, const tk_story *s, const tk_codec *codec,
                             const char *beside, const tk_story_given_ranks *ranks, tk_arena *a,
                             tk_references *out)
{
    bool own = false;
    tk_status st = list_references(c, s, a, out);
    if (st == TK_OK) st = read_shared(s, codec, a, out);
    TK_TRY(tk_agree(ranks->replica, st));
    for (int i = 0; i < out->n; i++) own |= of_one_shot(&out->ref[i]);
    if (!own) return TK_OK;
    out->holders = ranks->holders;
    if (ranks->replica->rank == 0)
        st = file_own(s, codec, tk_arena_printf(a, "%s.references", beside), out);
    TK_TRY(tk_agree(ranks->replica, st));
    return share_sizes(ranks->replica, a, out);
}

tk_status tk_references_get(const tk_references *all, const tk_reference *r, int m, int64_t n,
                            float *to)
{
    const size_t bytes = tk_array_bytes(n, sizeof *to);
    tk_status st = TK_OK;
    if (n == 0) return TK_OK;
    if (!of_one_shot(r)) {
        memcpy(to, m == TK_VIDEO ? r->video : r->audio, bytes);
        return TK_OK;
    }
    if (all->path) st = tk_pread_all(all->fd, all->path, to, bytes, r->at[m]);
    TK_TRY(tk_agree(all->holders, st));
    return tk_comm_broadcast(all->holders, to, bytes, 0);
}

void tk_references_close(tk_references *x)
{
    if (x->path) close(x->fd);
    x->path = NULL;
}

// ---- sizes -------------------------------------------------------------------------------------

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
