// SPDX-License-Identifier: Apache-2.0
#include "core/config/wrong.h"
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMMAND_LINE = INT_MAX - 1, NOWHERE = INT_MAX }; // files that are none

tk_wrong tk_wrong_of(const tk_config *c, const char *file, tk_arena *a)
{
    return (tk_wrong){.config = c, .file = file, .arena = a};
}

static const char *nearest_place(const tk_config *c, const char *option)
{
    char name[160];
    const char *place = c ? tk_config_place(c, option) : "";
    snprintf(name, sizeof name, "%s", option);
    for (size_t n = strlen(name); c && !*place && n-- > 0;) { // its item, its list
        const bool ends = name[n] == '.' || name[n] == '[';
        if (ends) name[n] = 0;
        if (ends) place = tk_config_place(c, name);
    }
    return place;
}

// Bytes of the file's name in a place, "a.yaml:3:12"; 0: it names no line of a file.
static size_t file_bytes(const char *place)
{
    size_t n = strlen(place);
    for (int i = 0; i < 2; i++) {
        const size_t end = n;
        while (n > 0 && place[n - 1] >= '0' && place[n - 1] <= '9') n--;
        if (n == end || n < 2 || place[n - 1] != ':') return 0;
        n--;
    }
    return n;
}

// Files come in the order in which they were told of first.
static void find_order(const tk_wrong *w, tk_wrong_line *x)
{
    const size_t n = file_bytes(x->place);
    x->file = strcmp(x->place, TK_COMMAND_LINE) ? NOWHERE : COMMAND_LINE;
    if (!n) return;
    x->file = w->n;
    sscanf(x->place + n, ":%d:%d", &x->line, &x->column);
    for (int i = 0; i < w->n; i++)
        if (file_bytes(w->line[i].place) == n && !strncmp(w->line[i].place, x->place, n)) {
            x->file = w->line[i].file;
            return;
        }
}

static tk_wrong_line *one_more(tk_wrong *w)
{
    if (w->n == w->room) {
        const int room = w->room ? 2 * w->room : 16;
        tk_wrong_line *more = tk_arena_alloc(w->arena, (size_t)room * sizeof *more);
        w->lost = w->lost || !more;
        if (w->lost) return NULL;
        if (w->n) memcpy(more, w->line, (size_t)w->n * sizeof *more);
        w->line = more;
        w->room = room;
    }
    return &w->line[w->n];
}

static void add_line(tk_wrong *w, const char *place, const char *words)
{
    tk_wrong_line *x = one_more(w);
    w->lost = w->lost || !place || !words;
    if (w->lost) return;
    *x = (tk_wrong_line){.place = place, .words = words, .number = w->n};
    find_order(w, x);
    if (!*place) x->place = w->file;
    w->n++;
}

tk_status tk_wrong_at(tk_wrong *w, const char *place, const char *option, const char *words)
{
    add_line(w, tk_arena_strdup(w->arena, place),
             tk_arena_printf(w->arena, "%s%s%s", option, *option ? ": " : "", words));
    return w->lost ? TK_FAIL(TK_MEMORY, "out of memory for messages") : TK_OK;
}

// ---- what is not known -------------------------------------------------------------------------

tk_status tk_wrong_doubt(tk_wrong *w, const char *option)
{
    tk_wrong_option *x;
    TK_ARENA_NEW(x, w->arena, 1);
    x->name = tk_arena_strdup(w->arena, option);
    if (!x->name) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    x->next = w->doubt;
    w->doubt = x;
    return TK_OK;
}

// Whether `name` is a part of `whole`: "train.batch" of "train", "shots[2].prompt" of "shots".
static bool is_part(const char *name, const char *whole)
{
    const size_t n = strlen(whole);
    return !strncmp(name, whole, n) && (name[n] == '.' || name[n] == '[');
}

static bool may_stand_unread(const tk_wrong *w, const char *option)
{
    return w->partial && w->config && !*tk_config_place(w->config, option);
}

bool tk_wrong_doubts(const tk_wrong *w, const char *option)
{
    if (may_stand_unread(w, option)) return true;
    for (const tk_wrong_option *x = w->doubt; x; x = x->next)
        if (!strcmp(x->name, option) || is_part(x->name, option) || is_part(option, x->name))
            return true;
    return false;
}

// What was told, or may not be so at all.
static bool says_nothing(const tk_wrong *w, const char *option, const char *place)
{
    if (w->partial && !*place) return true;
    for (const tk_wrong_option *x = w->doubt; x; x = x->next)
        if (!strcmp(x->name, option) || (!*place && is_part(option, x->name))) return true;
    return false;
}

// ---- what is asked after ------------------------------------------------------------------------

static void add_wrong(tk_wrong *w, const char *option, const char *words)
{
    const char *place = nearest_place(w->config, option);
    const size_t n = file_bytes(place), named = strlen(w->file);
    const bool own = n == named && !strncmp(place, w->file, n);
    if (says_nothing(w, option, place)) return;
    const char *all = w->listed && *place && !own
                          ? tk_arena_printf(w->arena, "%s: %s (%s)", option, words, w->file)
                          : tk_arena_printf(w->arena, "%s%s%s", option, *option ? ": " : "", words);
    add_line(w, tk_arena_strdup(w->arena, place), all);
}

void tk_wrong_add(tk_wrong *w, const char *option, const char *fmt, ...)
{
    char words[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(words, sizeof words, fmt, ap);
    va_end(ap);
    add_wrong(w, option, words);
}

bool tk_wrong_unread(tk_wrong *w, const char *option, const char *path)
{
    if (access(path, R_OK) == 0) return false;
    tk_wrong_add(w, option, "cannot open %.400s: %s; name a file that can be read", path,
                 strerror(errno));
    return true;
}

bool tk_wrong_unmade(tk_wrong *w, const char *option, const char *path)
{
    char at[PATH_MAX];
    struct stat s;
    snprintf(at, sizeof at, "%s", path);
    while (stat(at, &s) && (errno == ENOENT || errno == ENOTDIR) && strcmp(at, ".") != 0) {
        char *slash = strrchr(at, '/');
        if (!slash) strcpy(at, ".");
        if (slash) slash[slash == at] = 0;
    }
    const int error = access(at, W_OK | X_OK) ? errno : 0;
    const bool file = stat(at, &s) == 0 && !S_ISDIR(s.st_mode);
    if (file) tk_wrong_add(w, option, "%.400s is no folder; name a folder", at);
    if (!file && error)
        tk_wrong_add(w, option, "nothing can be written in %.400s: %s", at, strerror(error));
    return file || error;
}

tk_status tk_wrong_with(tk_wrong *w, const char *option, tk_status st)
{
    const char *words = tk_status_message();
    const size_t n = strlen(option);
    if (st != TK_INPUT) return st;
    if (n && !strncmp(words, option, n) && words[n] == ':' && words[n + 1] == ' ') words += n + 2;
    add_wrong(w, option, words);
    tk_status_clear();
    return TK_OK;
}

static int in_file_order(const void *x, const void *y)
{
    const tk_wrong_line *a = x, *b = y;
    if (a->file != b->file) return a->file < b->file ? -1 : 1;
    if (a->line != b->line) return a->line < b->line ? -1 : 1;
    if (a->column != b->column) return a->column < b->column ? -1 : 1;
    return a->number - b->number;
}

tk_status tk_wrong_end(const tk_wrong *w)
{
    tk_text all = tk_text_in(w->arena);
    if (!w->lost && w->n) qsort(w->line, (size_t)w->n, sizeof *w->line, in_file_order);
    for (int i = 0; i < w->n && i < TK_WRONG_LINES && !w->lost; i++) {
        const tk_wrong_line *x = &w->line[i];
        const char *const part[] = {i ? "\n" : "", x->place, *x->place ? ": " : "", x->words};
        for (size_t k = 0; k < sizeof part / sizeof *part; k++) tk_text_add(&all, part[k]);
    }
    if (w->n > TK_WRONG_LINES) tk_text_add(&all, "\nand more errors after these");
    if (w->lost || !all.s) return TK_FAIL(TK_MEMORY, "out of memory for messages");
    return w->n ? TK_FAIL(TK_INPUT, "%s", all.s) : TK_OK;
}
