// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/history.h"
#include "core/base/utf8.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

// Bytes of a log: at most; with which no clip is told of any more, so that its end finds room; with
// which nothing more is begun, so that what was begun does.
enum { BYTES = 72 << 20, END = BYTES - (64 << 10), FULL = 64 << 20 };
static const char lines_name[] = "log", end_name[] = "log.end";

const char *const tk_cameo_event_name[TK_CAMEO_EVENTS] = {"enrolled", "granted", "used",  "made",
                                                          "revoked",  "keyed",   "unmade"};

// ---- reading -----------------------------------------------------------------------------------

typedef struct signed_end {
    bool there;
    int64_t lines;
    char hash[TK_PAPER_VALUE];
} signed_end;

static tk_status read_end(const tk_folder *f, const char *handle,
                          const unsigned char server[TK_SEAL_PUBLIC], tk_arena *a, signed_end *out)
{
    char *text, value[TK_PAPER_VALUE];
    size_t bytes;
    *out = (signed_end){0};
    TK_TRY(tk_folder_read(f, end_name, TK_PAPER_BYTES, a, &text, &bytes, &out->there));
    if (!out->there) return TK_OK;
    const char *at = text;
    if (tk_paper_holds(text, server) && tk_paper_next(&at, "talkie log", value) &&
        tk_paper_next(&at, "handle", value) && !strcmp(value, handle) &&
        tk_paper_number(&at, "lines", &out->lines) && tk_paper_next(&at, "hash", out->hash))
        return TK_OK;
    return TK_FAIL(TK_INPUT, "%s/%s: is not as the server signed it", f->path, end_name);
}

static bool take_line(const char *text, size_t bytes, int64_t n, const char *before, tk_arena *a,
                      tk_cameo_line *out)
{
    json_t *o = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_int_t number, time, user;
    const char *event, *what, *paper, *after, *mark = "";
    bool fits = o && !json_unpack(o, "{s:I, s:I, s:s, s:I, s:s, s:s, s?s, s:s!}", "n", &number,
                                  "time", &time, "event", &event, "user", &user, "what", &what,
                                  "paper", &paper, "mark", &mark, "before", &after);
    fits = fits && number == n && !strcmp(after, before) && strlen(paper) < sizeof out->paper &&
           strlen(mark) < sizeof out->mark;
    int k = 0;
    while (fits && k < TK_CAMEO_EVENTS && strcmp(event, tk_cameo_event_name[k])) k++;
    fits = fits && k < TK_CAMEO_EVENTS;
    if (fits) {
        *out = (tk_cameo_line){(tk_cameo_event)k, time, user, tk_arena_strdup(a, what), "", ""};
        strcpy(out->paper, paper);
        strcpy(out->mark, mark);
    }
    json_decref(o);
    return fits && out->what;
}

// The lines that were signed.
static tk_status take_lines(const tk_folder *f, const char *text, size_t bytes,
                            const signed_end *end, tk_arena *a, tk_history *out)
{
    const char *at = text, *stop = text + bytes;
    TK_ARENA_NEW(out->line, a, end->lines);
    while (out->n < end->lines) {
        const char *newline = memchr(at, '\n', (size_t)(stop - at));
        if (!newline)
            return TK_FAIL(TK_INPUT,
                           "%s/%s: the server signed %lld lines, and there are %lld: lines were "
                           "taken away",
                           f->path, lines_name, (long long)end->lines, (long long)out->n);
        if (!take_line(at, (size_t)(newline - at), out->n + 1, out->last, a, &out->line[out->n]))
            return TK_FAIL(TK_INPUT,
                           "%s/%s: line %lld does not follow the one before: lines were changed, "
                           "taken away or moved",
                           f->path, lines_name, (long long)out->n + 1);
        tk_paper_hash(at, (size_t)(newline - at), out->last);
        out->n++;
        at = newline + 1;
        out->bytes = at - text;
    }
    out->beyond = stop - at;
    if (!strcmp(out->last, end->hash)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s/%s: line %lld is not the last one that the server signed: it was "
                   "changed",
                   f->path, lines_name, (long long)out->n);
}

tk_status tk_history_read(const tk_folder *f, const char *handle,
                          const unsigned char server[TK_SEAL_PUBLIC], tk_arena *a, tk_history *out)
{
    signed_end end;
    char *text = "";
    size_t bytes = 0;
    bool there;
    *out = (tk_history){0};
    TK_TRY(read_end(f, handle, server, a, &end));
    TK_TRY(tk_folder_read(f, lines_name, BYTES, a, &text, &bytes, &there));
    if (end.lines > (int64_t)bytes)
        return TK_FAIL(TK_INPUT, "%s/%s: the server signed %lld lines, which are gone", f->path,
                       lines_name, (long long)end.lines);
    if (there && bytes && !end.there)
        return TK_FAIL(TK_INPUT, "%s/%s: is gone, which says what the log's last line is", f->path,
                       end_name);
    return take_lines(f, text, bytes, &end, a, out);
}

// ---- writing -----------------------------------------------------------------------------------

static tk_status line_text(const tk_history *h, const tk_cameo_line *x, tk_arena *a, char **out)
{
    char *what = tk_arena_strdup(a, x->what);
    if (!what) return TK_FAIL(TK_MEMORY, "out of memory for a log's line");
    tk_utf8_clean(what, strlen(what)); // a file may be named by any bytes
    json_t *o = json_pack("{s:I, s:I, s:s, s:I, s:s, s:s, s:s*, s:s}", "n", (json_int_t)h->n + 1,
                          "time", (json_int_t)x->time, "event", tk_cameo_event_name[x->event],
                          "user", (json_int_t)x->user, "what", what, "paper", x->paper, "mark",
                          *x->mark ? x->mark : NULL, "before", h->last);
    const size_t bytes = o ? json_dumpb(o, NULL, 0, JSON_COMPACT) : 0;
    *out = bytes ? tk_arena_alloc(a, bytes + 2) : NULL;
    if (*out && json_dumpb(o, *out, bytes, JSON_COMPACT) != bytes) *out = NULL;
    json_decref(o);
    return *out ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a log's line");
}

static tk_status write_end(const tk_folder *f, const char *handle, const tk_seal_pair *server,
                           int64_t lines, const char *hash, tk_arena *a)
{
    char *paper, *end = tk_arena_printf(a, "talkie log: 1\nhandle: %s\nlines: %lld\nhash: %s\n",
                                        handle, (long long)lines, hash);
    if (!end) return TK_FAIL(TK_MEMORY, "out of memory for a log's end");
    TK_TRY(tk_paper_sign(end, server, a, &paper));
    return tk_folder_write(f, end_name, 0644, paper, strlen(paper));
}

tk_status tk_history_takes(const tk_history *h, const char *handle, tk_cameo_event event)
{
    const bool of_clip = event == TK_CAMEO_MADE || event == TK_CAMEO_UNMADE;
    if (event == TK_CAMEO_REVOKED || h->bytes < (of_clip ? END : FULL)) return TK_OK;
    return TK_FAIL(
        TK_INPUT,
        "@%s: its log is full, with %lld bytes: nothing more is done with this cameo but "
        "to revoke it; another handle begins another log",
        handle, (long long)h->bytes);
}

tk_status tk_history_add(const tk_folder *f, const char *handle, const tk_seal_pair *server,
                         const tk_history *h, const tk_cameo_line *line, tk_arena *a)
{
    char *text, hash[TK_PAPER_HASH];
    const tk_cameo_line *first = h->n ? h->line : line; // of who enrolled
    const int64_t owner = first->event == TK_CAMEO_ENROLLED ? first->user : -1;
    TK_TRY(tk_history_takes(h, handle, line->event));
    TK_TRY(line_text(h, line, a, &text));
    const size_t n = strlen(text);
    tk_paper_hash(text, n, hash);
    text[n] = '\n';
    if (h->n == 0) TK_TRY(write_end(f, handle, server, 0, "", a));
    TK_TRY(tk_folder_append_for(f, owner, lines_name, h->bytes, text, n + 1));
    return write_end(f, handle, server, h->n + 1, hash, a);
}
