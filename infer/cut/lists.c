// SPDX-License-Identifier: Apache-2.0
#include "infer/cut/lists.h"
#include "core/config/text.h"
#include "infer/story/prompts.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

// Letters of a reel's name; most of a line of subtitles; that to begin to speak takes the time of.
enum { REEL = 8, LINE = 42, BEGINNING = 10 };

// Continued bytes of a letter in UTF-8 are not counted.
static int64_t letters_in(const char *s, size_t bytes)
{
    int64_t n = 0;
    for (size_t i = 0; i < bytes; i++) n += ((unsigned char)s[i] & 0xc0) != 0x80;
    return n;
}

// In one line: blanks for whatever breaks it.
static void add_one_line(tk_text *t, const char *s, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        tk_text_add_bytes(t, (unsigned char)s[i] < ' ' || s[i] == 127 ? " " : s + i, 1);
}

static tk_status put_text_file(const tk_file *f, const tk_text *t)
{
    if (!t->s) return TK_FAIL(TK_MEMORY, "out of memory for %s", f->path);
    return tk_pwrite_all(f->fd, f->path, t->s, t->used, 0);
}

// ---- EDL ---------------------------------------------------------------------------------------

static void add_timecode(tk_text *t, int64_t frame, int64_t fps)
{
    const int64_t s = frame / fps;
    tk_text_addf(t, " %02" PRId64 ":%02" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60,
                 s % 60, frame % fps);
}

// What may stand there: capital letters, digits and _.
static void name_reel(const char *name, char reel[REEL + 1])
{
    for (int i = 0; i < REEL; i++) {
        const char c = *name;
        const bool small = c >= 'a' && c <= 'z';
        const bool fits = small || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        reel[i] = (char)(!c ? ' ' : small ? c - 'a' + 'A' : fits ? c : '_');
        if (c) name++;
    }
    reel[REEL] = 0;
}

static void add_times(tk_text *t, const tk_cut *c, int64_t from, int64_t at, int64_t frames)
{
    add_timecode(t, from, c->fps);
    add_timecode(t, from + frames, c->fps);
    add_timecode(t, at, c->fps);
    add_timecode(t, at + frames, c->fps);
    tk_text_add(t, "\n");
}

// A shot until the next one begins. One that dissolves in has two lines: where the shot before is
// left, and the shot itself with how many frames that takes.
static void add_cut(tk_text *t, const tk_cut *c, int i, const char *name, const char *reel)
{
    const tk_cut_shot *s = &c->shot[i];
    const int64_t end = i + 1 < c->n ? s[1].at : c->frames;
    const char *track = c->channels == 2 ? "AA/V" : "B";
    if (s->dissolve) {
        tk_text_addf(t, "%03d  %s %-5s C       ", i + 1, reel, track);
        add_times(t, c, s[-1].from + s->at - s[-1].at, s->at, 0);
        tk_text_addf(t, "%03d  %s %-5s D    %03" PRId64, i + 1, reel, track, s->dissolve);
    } else {
        tk_text_addf(t, "%03d  %s %-5s C       ", i + 1, reel, track);
    }
    add_times(t, c, s->from, s->at, end - s->at);
    tk_text_add(t, "* FROM CLIP NAME: ");
    add_one_line(t, name, strlen(name));
    tk_text_addf(t, ".mp4\n* COMMENT: SHOT %d: ", i);
    add_one_line(t, s->prompt, strlen(s->prompt));
    if (s->fade_in) tk_text_addf(t, "\n* COMMENT: FADE IN %" PRId64 " FRAMES", s->fade_in);
    if (s->fade_out) tk_text_addf(t, "\n* COMMENT: FADE OUT %" PRId64 " FRAMES", s->fade_out);
    tk_text_add(t, "\n");
}

tk_status tk_cut_write_edl(const tk_file *f, const tk_cut *c, const char *name)
{
    char reel[REEL + 1];
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_text t = tk_text_in(&a);
    name_reel(name, reel);
    tk_text_add(&t, "TITLE: ");
    add_one_line(&t, name, strlen(name));
    tk_text_add(&t, "\nFCM: NON-DROP FRAME\n\n");
    for (int i = 0; i < c->n; i++) add_cut(&t, c, i, name, reel);
    const tk_status st = put_text_file(f, &t);
    tk_arena_free(&a);
    return st;
}

// ---- subtitles ---------------------------------------------------------------------------------

static void add_moment(tk_text *t, double seconds)
{
    const int64_t ms = llrint(seconds * 1000);
    tk_text_addf(t, "%02" PRId64 ":%02" PRId64 ":%02" PRId64 ",%03" PRId64, ms / 3600000,
                 ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}

// Broken between words where it is longer than a line.
static void add_spoken(tk_text *t, const char *s, size_t bytes)
{
    int64_t used = 0;
    for (size_t i = 0; i < bytes;) {
        size_t n = 0;
        while (i + n < bytes && (unsigned char)s[i + n] > ' ') n++;
        const int64_t word = letters_in(s + i, n);
        if (n && used) tk_text_add(t, used + 1 + word > LINE ? "\n" : " ");
        if (n) used = used && used + 1 + word <= LINE ? used + 1 + word : word;
        add_one_line(t, s + i, n);
        for (i += n; i < bytes && (unsigned char)s[i] <= ' ';) i++;
    }
}

static bool says_something(const char *s, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)s[i] > ' ') return true;
    return false;
}

// Of the time of a shot, in letters.
static int64_t cue_time(const char *line, size_t bytes)
{
    return BEGINNING + letters_in(line, bytes);
}

static int64_t cue_times(const char *prompt)
{
    const char *text;
    size_t bytes;
    int64_t n = 0;
    while (tk_prompt_spoken(&prompt, &text, &bytes))
        if (says_something(text, bytes)) n += cue_time(text, bytes);
    return n;
}

// The lines of shot i, from number *n on: from the middle of one dissolve to that of the next.
static void add_cues(tk_text *t, const tk_cut *c, int i, int *n)
{
    const tk_cut_shot *s = &c->shot[i];
    const double until =
        i + 1 < c->n ? (double)s[1].at + (double)s[1].dissolve / 2 : (double)c->frames;
    const double since = (double)s->at + (double)s->dissolve / 2;
    const char *at = s->prompt, *text;
    size_t bytes;
    const int64_t all = cue_times(at);
    const double begin = since / (double)c->fps;
    const double each = all ? (until - since) / (double)c->fps / (double)all : 0;
    int64_t before = 0;
    while (tk_prompt_spoken(&at, &text, &bytes)) {
        if (!says_something(text, bytes)) continue;
        tk_text_addf(t, "%d\n", ++*n);
        add_moment(t, begin + (double)before * each);
        tk_text_add(t, " --> ");
        before += cue_time(text, bytes);
        add_moment(t, begin + (double)before * each);
        tk_text_add(t, "\n");
        add_spoken(t, text, bytes);
        tk_text_add(t, "\n\n");
    }
}

tk_status tk_cut_write_srt(const tk_file *f, const tk_cut *c)
{
    int n = 0;
    tk_arena a;
    tk_arena_init(&a, 0);
    tk_text t = tk_text_in(&a);
    for (int i = 0; i < c->n; i++) add_cues(&t, c, i, &n);
    const tk_status st = put_text_file(f, &t);
    tk_arena_free(&a);
    return st;
}
