// SPDX-License-Identifier: Apache-2.0
#include "core/model/given.h"
#include <string.h>

static const int MEDIA[2] = {TK_VIDEO, TK_AUDIO};

int64_t tk_given_length(const tk_document *d, int shot, int modality)
{
    int64_t n = 0;
    for (int k = shot; k < d->n_shots; k++)
        n += modality == TK_VIDEO ? d->shots[k].latent_frames : d->shots[k].audio_rows;
    return n;
}

void tk_given_open(const tk_document *d, int first, tk_arena *a, tk_given *g)
{
    *g = (tk_given){.arena = a};
    g->whole[TK_VIDEO] = (tk_given_box){
        .end = tk_given_length(d, first, TK_VIDEO), .bottom = d->height, .right = d->width};
    g->whole[TK_AUDIO] = (tk_given_box){
        .end = tk_given_length(d, first, TK_AUDIO), .bottom = 1, .right = d->audio_channels};
    g->before = tk_given_length(d, 0, TK_VIDEO) - g->whole[TK_VIDEO].end;
}

// ---- boxes -------------------------------------------------------------------------------------

static bool has_none(const tk_given_box *b)
{
    return b->begin >= b->end || b->top >= b->bottom || b->left >= b->right;
}

static int64_t more(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t less(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

// The box of what lies in two.
static tk_given_box in_both(const tk_given_box *a, const tk_given_box *b)
{
    return (tk_given_box){.begin = more(a->begin, b->begin),
                          .end = less(a->end, b->end),
                          .top = more(a->top, b->top),
                          .bottom = less(a->bottom, b->bottom),
                          .left = more(a->left, b->left),
                          .right = less(a->right, b->right)};
}

enum { AROUND = 6 };

// What is left of *b around *in, which lies in it.
static void cut_around(const tk_given_box *b, const tk_given_box *in, tk_given_box out[AROUND])
{
    for (int k = 0; k < AROUND; k++) out[k] = k < 2 ? *b : *in;
    out[0].end = in->begin;
    out[1].begin = in->end;
    for (int k = 2; k < 4; k++) out[k].left = b->left, out[k].right = b->right;
    out[2].top = b->top, out[2].bottom = in->top;
    out[3].top = in->bottom, out[3].bottom = b->bottom;
    out[4].left = b->left, out[4].right = in->left;
    out[5].left = in->right, out[5].right = b->right;
}

// ---- what is given -----------------------------------------------------------------------------

static tk_status make_room_for_change(tk_given *g)
{
    const int64_t room = g->room ? 2 * g->room : 4;
    tk_given_change *grown;
    if (g->n < g->room) return TK_OK;
    TK_ARENA_NEW(grown, g->arena, room);
    if (g->n) memcpy(grown, g->change, tk_array_bytes(g->n, sizeof *grown));
    g->change = grown;
    g->room = room;
    return TK_OK;
}

tk_status tk_give(tk_given *g, int modality, const tk_given_box *box, bool given)
{
    const tk_given_box *whole = &g->whole[modality];
    tk_given_box asked = *whole;
    if (modality == TK_VIDEO) asked = *box;
    asked.begin = box->begin;
    asked.end = box->end;
    const tk_given_change c = {modality, given, in_both(&asked, whole)};
    if (has_none(&c.box)) return TK_OK;
    TK_TRY(make_room_for_change(g));
    g->change[g->n++] = c;
    return TK_OK;
}

// Whether of a box any row is not given by the first n changes: the last of them that touches it
// says so of what they share, the ones before of what lies around.
static bool leaves_some(const tk_given *g, int modality, int64_t n, const tk_given_box *of)
{
    if (has_none(of)) return false;
    while (n-- > 0) {
        const tk_given_change *c = &g->change[n];
        const tk_given_box in = in_both(of, &c->box);
        if (c->modality != modality || has_none(&in)) continue;
        if (!c->given) return true;
        tk_given_box around[AROUND];
        cut_around(of, &in, around);
        for (int k = 0; k < AROUND; k++)
            if (leaves_some(g, modality, n, &around[k])) return true;
        return false;
    }
    return true;
}

bool tk_given_leaves(const tk_given *g, int modality, int64_t begin, int64_t end)
{
    enum { PIECE = 64 }; // latent frames or audio latents, so that boxes are not cut too often
    tk_given_box of = g->whole[modality];
    bool some = false;
    for (int64_t at = begin; at < end && !some; at += PIECE) {
        of.begin = at;
        of.end = less(at + PIECE, end);
        some = leaves_some(g, modality, g->n, &of);
    }
    return some;
}

void tk_given_rows(const tk_given *g, int modality, int64_t begin, int64_t end, uint8_t *row)
{
    tk_given_box all = g->whole[modality];
    const int64_t high = all.bottom, wide = all.right;
    all.begin = begin;
    all.end = end;
    memset(row, 0, tk_array_bytes(end - begin, (size_t)(high * wide)));
    for (int64_t k = 0; k < g->n; k++) {
        const tk_given_change *c = &g->change[k];
        const tk_given_box in = in_both(&all, &c->box);
        if (c->modality != modality || has_none(&in)) continue;
        for (int64_t f = in.begin; f < in.end; f++)
            for (int64_t y = in.top; y < in.bottom; y++)
                memset(row + ((f - begin) * high + y) * wide + in.left, c->given,
                       (size_t)(in.right - in.left));
    }
}

tk_status tk_given_mask(const tk_given *g, const int64_t begin[TK_MODALITIES], int first,
                        tk_arena *a, tk_document *d)
{
    int64_t rows[TK_MODALITIES];
    tk_document_rows(d, rows);
    for (int k = 0; k < 2; k++) {
        const int m = MEDIA[k];
        uint8_t *mask;
        int64_t before = 0;
        TK_ARENA_NEW(mask, a, rows[m] + 1);
        for (int i = 0; i < first; i++) before += tk_shot_count(d, i, m);
        tk_given_rows(g, m, begin[m], begin[m] + tk_given_length(d, first, m), mask + before);
        d->given[m] = mask;
    }
    return TK_OK;
}
