// SPDX-License-Identifier: Apache-2.0
#include "infer/story/giver.h"
#include "data/media/reader.h"
#include "infer/story/part.h"
#include <string.h>

static tk_status check_length(const tk_given_part *p, double seconds)
{
    const double end = (double)p->m->n * p->g->story->tick;
    if (p->m->short_too || seconds + p->g->story->tick >= end) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s: %s lasts %.3g seconds, the shots %.3g; make the shots shorter or give a "
                   "longer file",
                   p->m->key, p->m->path, seconds, end);
}

typedef struct film { // on its way
    const tk_given_part *p;
    tk_media_reader *reader;
    tk_pictures seen;
    tk_sounds heard;
    uint8_t *last; // picture
    float *pcm;    // of a second
} film;

// A second at a time, so that each window of sound begins on a whole sample.
static tk_status give_seconds(film *f)
{
    const tk_given_part *p = f->p;
    tk_pictures *x = &f->seen;
    for (int64_t got = 1, n; got > 0 && x->seen < p->grid.frames;) {
        const int64_t before = tk_media_samples(&p->want, x->seen), left = p->grid.frames - x->seen;
        uint8_t *to = p->m->picture ? x->rgb + x->held * x->bytes : NULL;
        n = p->want.fps < left ? p->want.fps : left;
        TK_TRY(tk_media_reader_next(f->reader, n, to, p->m->sound ? f->pcm : NULL, &got));
        if (to && got) memcpy(f->last, to + (got - 1) * x->bytes, (size_t)x->bytes);
        TK_TRY(tk_pictures_add(x, got));
        if (p->m->sound)
            TK_TRY(tk_sounds_add(&f->heard, f->pcm, tk_media_samples(&p->want, x->seen) - before));
        if (got < n) break;
    }
    return tk_media_reader_check(f->reader);
}

static tk_status give_whole(film *f)
{
    const tk_given_part *p = f->p;
    if (p->m->sound && !p->m->picture && !tk_media_reader_has_audio(f->reader))
        return TK_FAIL(TK_INPUT, "%s: %s has no sound", p->m->key, p->m->path);
    TK_NEW(f->last, f->seen.bytes);
    TK_NEW(f->pcm, (p->want.sample_rate + 1) * p->want.channels);
    TK_TRY(give_seconds(f));
    if (!f->seen.seen) return TK_FAIL(TK_INPUT, "%s: %s has no picture", p->m->key, p->m->path);
    TK_TRY(check_length(p, (double)f->seen.seen / (double)p->want.fps));
    TK_TRY(tk_pictures_end(&f->seen, f->last));
    return p->m->sound ? tk_sounds_end(&f->heard) : TK_OK;
}

tk_status tk_give_film(const tk_giver *g, const tk_given_media *m)
{
    const double seconds = (double)m->n * g->story->tick;
    tk_given_part p;
    TK_TRY(tk_given_part_lay(g, m, &p));
    film f = {.p = &p, .heard = tk_sounds_open(&p)};
    tk_status st = tk_pictures_open(&p, &f.seen);
    if (st == TK_OK) st = tk_media_reader_open(m->path, &p.want, seconds, &f.reader);
    if (st == TK_OK) st = give_whole(&f);
    tk_media_reader_close(f.reader);
    tk_arena_free(&f.seen.arena);
    tk_sounds_close(&f.heard);
    tk_free(f.last);
    tk_free(f.pcm);
    return st;
}

static tk_status hear_on(void *ctx, const float *pcm, int64_t n)
{
    return tk_sounds_add(ctx, pcm, n);
}

tk_status tk_give_sound(const tk_giver *g, const tk_given_media *m)
{
    const double seconds = (double)m->n * g->story->tick + g->story->tick;
    tk_given_part p;
    TK_TRY(tk_given_part_lay(g, m, &p));
    tk_sounds x = tk_sounds_open(&p);
    tk_status st = tk_media_hear_on(m->path, 0, &p.want, seconds, hear_on, &x);
    if (st == TK_OK) st = check_length(&p, (double)x.seen / (double)p.want.sample_rate);
    if (st == TK_OK) st = tk_sounds_end(&x);
    tk_sounds_close(&x);
    return st;
}

tk_status tk_give_still(const tk_giver *g, const char *path, int64_t at)
{
    const tk_given_media m = {
        .key = path, .path = path, .first = at, .n = 1, .picture = true, .short_too = true};
    tk_given_part p;
    tk_media still;
    tk_pictures x;
    TK_TRY(tk_given_part_lay(g, &m, &p));
    TK_TRY(tk_media_read(path, &p.want, g->story->tick, g->story->tick, &still, NULL));
    tk_status st =
        still.frames ? tk_pictures_open(&p, &x) : TK_FAIL(TK_INPUT, "%s has no picture", path);
    if (st == TK_OK) st = tk_pictures_end(&x, still.rgb);
    if (still.frames) tk_arena_free(&x.arena);
    tk_media_free(&still);
    return st;
}
