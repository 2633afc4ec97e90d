// SPDX-License-Identifier: Apache-2.0
// One file of an import: its caption, its length, its clips. See data/import/internal.h.
#include "core/base/files.h"
#include "core/base/utf8.h"
#include "data/import/internal.h"
#include "data/media/reader.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STILL_SECONDS 1.0 // a still image is not worth more

void tk_import_blame(tk_import_file *f, tk_status st)
{
    if (st == TK_OK || f->status != TK_OK) return;
    f->status = st;
    snprintf(f->words, sizeof f->words, "%s", tk_status_message());
}

// Line breaks and other control characters to single spaces, none at the ends.
static void tidy(char *s)
{
    char *to = s;
    for (const char *p = s; *p; p++) {
        bool blank = (unsigned char)*p <= ' ' || *p == 0x7F;
        if (!blank)
            *to++ = *p;
        else if (to > s && to[-1] != ' ')
            *to++ = ' ';
    }
    if (to > s && to[-1] == ' ') to--;
    *to = 0;
}

// The caption of clip.mp4 is clip.txt beside it, if there is one.
static tk_status read_caption(tk_import_file *f, tk_arena *a)
{
    char *name = tk_import_beside(f->path, "txt", a), *text;
    size_t n, at;
    if (!name) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(name, F_OK) != 0 && errno == ENOENT) return TK_OK;
    TK_TRY(tk_file_read(name, TK_CAPTION_BYTES, a, &text, &n));
    if (!tk_utf8_valid(text, n, &at))
        return TK_FAIL(TK_INPUT, "%s: byte %zu is not UTF-8 text", name, at + 1);
    tidy(text);
    memcpy(f->caption, text, strlen(text) + 1);
    f->has_caption = text[0] != 0;
    return TK_OK;
}

void tk_import_look(tk_import_file *f, const tk_media_config *m)
{
    f->absent = access(f->path, R_OK) != 0;
    tk_import_blame(f, tk_media_probe(f->path, m, STILL_SECONDS, &f->frames, &f->has_audio));
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_import_blame(f, read_caption(f, &a));
    tk_import_blame(f, tk_import_look_at_features(f, &a));
    tk_arena_free(&a);
}

// Packets may promise a few frames more than decode: the last picture stays for at most half a
// second.
static tk_status hold_last(const tk_import_file *f, const tk_media_config *m, int64_t frames,
                           int64_t got, uint8_t *rgb)
{
    const int64_t bytes = m->width * m->height * 3;
    if (got == 0 || frames - got > 1 + m->fps / 2)
        return TK_FAIL(TK_INPUT, "%s is damaged: it ends %.2f seconds before its own index says",
                       f->path, (double)(frames - got) / (double)m->fps);
    for (int64_t i = got; i < frames; i++)
        memcpy(rgb + i * bytes, rgb + (got - 1) * bytes, (size_t)bytes);
    return TK_OK;
}

// *at: seconds into the file where damage begins, if there is any.
static tk_status decode_clip(const tk_import_file *f, const tk_media_config *m, tk_media_reader *r,
                             int64_t frames, tk_import_buffer *b, tk_media *clip, double *at)
{
    int64_t got;
    double from;
    TK_TRY(tk_media_reader_next(r, frames, b->rgb, b->pcm, &got));
    const int64_t bad = tk_media_reader_damage(r, &from);
    if (bad) {
        *at = from;
        return TK_FAIL(TK_INPUT,
                       "%s is damaged at %.2f seconds: %lld packets or pictures do not "
                       "decode",
                       f->path, from, (long long)bad);
    }
    TK_TRY(hold_last(f, m, frames, got, b->rgb));
    *clip = tk_media_shape(m, frames, tk_media_samples(m, frames));
    clip->rgb = b->rgb;
    clip->pcm = b->pcm;
    return TK_OK;
}

// Notes that a clip is left out: where, and for the first one why.
static void lose(tk_import_file *f, double seconds, double at)
{
    const size_t n = strlen(f->where), room = sizeof f->where - n;
    if (f->lost++ == 0) snprintf(f->words, sizeof f->words, "%s", tk_status_message());
    f->lost_seconds += seconds;
    if (room > 24)
        snprintf(f->where + n, room, "%s%.2f", n ? ", " : "", at);
    else if (room > 8 && f->where[n - 1] != '.')
        snprintf(f->where + n, room, " ...");
}

tk_status tk_import_decode(tk_import_file *f, const tk_import_task *t)
{
    const double fps = (double)t->media->fps;
    const int64_t end = f->first_clip + f->clips;
    int64_t left = 0, got, frame = 0; // clips still wanted; first frame of the clip
    for (int64_t i = f->first_clip; i < end; i++) left += !t->wanted || t->wanted[i];
    if (left == 0) return TK_OK;
    tk_media_reader *r;
    tk_status st = tk_media_reader_open(f->path, t->media, STILL_SECONDS, &r), readable = st;
    for (int64_t i = f->first_clip; left > 0; frame += t->frames_of[i++]) {
        const bool want = !t->wanted || t->wanted[i];
        double at = (double)frame / fps;
        tk_media clip;
        if (readable == TK_OK && !want)
            st = readable = tk_media_reader_next(r, t->frames_of[i], NULL, NULL, &got);
        else if (readable == TK_OK)
            st = decode_clip(f, t->media, r, t->frames_of[i], t->buffer, &clip, &at);
        else
            st = readable;
        left -= want;
        if (want && st == TK_OK) st = t->sink(t->ctx, i, &clip);
        if (st == TK_OK) continue;
        if (st != TK_INPUT || !t->skip) break;
        if (want) lose(f, (double)t->frames_of[i] / fps, at);
        st = want ? t->sink(t->ctx, i, NULL) : TK_OK;
        if (st != TK_OK) break;
    }
    if (r) tk_media_reader_facts(r, &f->facts);
    tk_media_reader_close(r);
    if (st != TK_OK) return tk_trace(st, __FILE__, __LINE__, __func__);
    return TK_OK;
}
