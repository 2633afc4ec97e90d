// SPDX-License-Identifier: Apache-2.0
// References of an import: pictures and sounds that clips of a file cite. What clip.mp4 cites is
// told by clip.references beside it, a line each:
//
//     <face 1> Ada: ada.png
//     <voice 1> Ada: voices/ada.wav
//
// the tag, the word of the captions that it stands for (which may be left out), and the file, a
// relative path beginning at the list. A file that several lists name is stored once.
#include "core/base/files.h"
#include "core/base/utf8.h"
#include "core/config/named.h"
#include "data/clip/internal.h"
#include "data/import/internal.h"
#include "data/media/rows.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { LIST_BYTES = 64 << 10, MOST_TOLD = 10 };

// ---- lists -------------------------------------------------------------------------------------

char *tk_import_beside(const char *path, const char *suffix, tk_arena *a)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    const int stem = (int)(dot && (!slash || dot > slash + 1) ? dot - path : (long)strlen(path));
    return tk_arena_printf(a, "%.*s.%s", stem, path, suffix);
}

static char *path_of_list(const char *media, tk_arena *a)
{
    return tk_import_beside(media, "references", a);
}

// Rank 0: the list of file f; NULL: there is none.
static tk_status read_list(const tk_import_file *f, tk_arena *a, char **text)
{
    size_t n, at;
    *text = NULL;
    const char *path = path_of_list(f->path, a);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(path, F_OK) != 0 && errno == ENOENT) return TK_OK;
    TK_TRY(tk_file_read(path, LIST_BYTES, a, text, &n));
    if (!tk_utf8_valid(*text, n, &at))
        return TK_FAIL(TK_INPUT, "%s: byte %zu is not UTF-8 text", path, at + 1);
    return TK_OK;
}

// The number of a reference, new or known.
static tk_status number_reference(tk_import *im, const char *media, const char *name, int *out)
{
    const char *slash = strrchr(media, '/');
    char *path = *name == '/' || !slash
                     ? tk_arena_strdup(&im->arena, name)
                     : tk_arena_printf(&im->arena, "%.*s%s", (int)(slash + 1 - media), media, name);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    for (int64_t k = 0; k < im->n_references; k++)
        if (!strcmp(im->reference[k].name, path)) {
            *out = (int)k;
            return TK_OK;
        }
    tk_clip_reference *grown;
    TK_ARENA_NEW(grown, &im->arena, im->n_references + 1);
    if (im->n_references) memcpy(grown, im->reference, (size_t)im->n_references * sizeof *grown);
    grown[im->n_references] = (tk_clip_reference){.name = path};
    im->reference = grown;
    *out = (int)im->n_references++;
    return TK_OK;
}

static char *trim(char *s)
{
    while (*s == ' ' || *s == '\t') s++;
    for (size_t n = strlen(s); n && strchr(" \t\r", s[n - 1]); n--) s[n - 1] = 0;
    return s;
}

static tk_status parse_line(const char *list, int number, char *line, tk_clip_citation *c,
                            char **named)
{
    char *tag = trim(line), *end = strchr(tag, '>'), *colon = end ? strchr(end, ':') : NULL;
    if (*tag != '<' || !colon || !*trim(colon + 1))
        return TK_FAIL(TK_INPUT,
                       "%s:%d: \"%.80s\" is not of the form <face 1> Ada: ada.png (tag, word of "
                       "the captions, file)",
                       list, number, line);
    *end = *colon = 0;
    c->tag = tag + 1;
    c->word = trim(end + 1);
    *named = trim(colon + 1);
    return TK_OK;
}

// One line more than `to` has.
static tk_status read_citation(tk_import *im, const tk_import_file *f, char *line, int number,
                               tk_import_cited *to)
{
    const char *list = path_of_list(f->path, &im->arena);
    tk_clip_citation *c = &to->citation[to->n];
    char *named = NULL;
    TK_TRY(parse_line(list, number, line, c, &named));
    if (!tk_citation_is_named(c))
        return TK_FAIL(TK_INPUT,
                       "%s:%d: <%.80s> %.80s: a tag, as \"face 1\", and its word have at most %d "
                       "bytes each",
                       list, number, c->tag, c->word, TK_CLIP_TAG);
    for (int k = 0; k < to->n; k++)
        if (!strcmp(to->citation[k].tag, c->tag))
            return TK_FAIL(TK_INPUT, "%s:%d: there are two references <%s>", list, number, c->tag);
    TK_TRY(number_reference(im, f->path, named, &c->reference));
    to->n++;
    return TK_OK;
}

// Whether the file of a line can be opened, where the line is the first that names it.
static void ask_named(tk_wrong *w, tk_import *im, const tk_import_file *f, int number,
                      int64_t known, const tk_clip_citation *c)
{
    const char *named = im->reference[c->reference].name;
    if (c->reference >= known && access(named, R_OK))
        tk_wrong_add(w, "", "%s:%d: cannot open %.400s: %s", path_of_list(f->path, &im->arena),
                     number, named, strerror(errno));
}

// The lines of a list. What is wrong ends it, or with w is a line of w.
static tk_status read_lines(tk_import *im, const tk_import_file *f, char *text, tk_wrong *w,
                            tk_import_cited *to)
{
    int number = 0;
    bool full = false;
    TK_ARENA_NEW(to->citation, &im->arena, TK_CLIP_CITATIONS);
    for (char *line = text, *next; line && *line && !full; line = next) {
        const int64_t known = im->n_references;
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        number++;
        if (!*trim(line)) continue;
        full = to->n == TK_CLIP_CITATIONS;
        const tk_status st =
            full ? TK_FAIL(TK_INPUT, "%s:%d: more than %d references",
                           path_of_list(f->path, &im->arena), number, TK_CLIP_CITATIONS)
                 : read_citation(im, f, line, number, to);
        if (st != TK_OK) TK_TRY(w ? tk_wrong_with(w, "", st) : st);
        if (st == TK_OK && w) ask_named(w, im, f, number, known, &to->citation[to->n - 1]);
    }
    return TK_OK;
}

static tk_status ask_lines(tk_wrong *w, tk_import *im, const tk_import_file *f)
{
    char *text;
    tk_import_cited cited = {0};
    const tk_status st = read_list(f, &im->arena, &text);
    return st == TK_OK ? read_lines(im, f, text, w, &cited) : tk_wrong_with(w, "", st);
}

tk_status tk_import_ask_references(tk_wrong *w, const char *media)
{
    tk_import im = {0};
    tk_import_file *f = NULL;
    tk_arena_init(&im.arena, 0);
    f = tk_arena_alloc(&im.arena, sizeof *f);
    tk_status st = f ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a file's name");
    if (f) f->path = media;
    if (f) st = ask_lines(w, &im, f);
    tk_arena_free(&im.arena);
    return st;
}

// ---- sizes -------------------------------------------------------------------------------------

static tk_media_rows_want rows_wanted(const tk_import *im)
{
    return (tk_media_rows_want){
        .size = im->c->media, .most = tk_grid_latent(&im->info, im->clip_frames), .tagged = true};
}

static tk_status measure_all(tk_import *im)
{
    const tk_media_rows_want want = rows_wanted(im);
    for (int64_t k = 0; k < im->n_references; k++) {
        tk_clip_reference *r = &im->reference[k];
        tk_media_rows x;
        TK_TRY(tk_media_rows_measure(r->name, &want, &im->info, &x));
        r->latent_frames = x.latents;
        r->high = x.high;
        r->wide = x.wide;
        r->audio_rows = x.audio_rows;
    }
    return TK_OK;
}

// Rank 0's lists and sizes to all: they read what it has read.
static tk_status share_list(tk_import *im, int file, char *text)
{
    int64_t bytes = text ? (int64_t)strlen(text) + 1 : 0;
    TK_TRY(tk_comm_broadcast(im->world, &bytes, sizeof bytes, 0));
    if (!bytes) return TK_OK;
    if (im->world->rank) text = tk_arena_alloc(&im->arena, (size_t)bytes);
    TK_TRY(tk_agree(im->world, text ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a list")));
    TK_TRY(tk_comm_broadcast(im->world, text, (size_t)bytes, 0));
    return tk_agree(im->world, read_lines(im, &im->file[file], text, NULL, &im->cited[file]));
}

tk_status tk_import_cite(tk_import *im)
{
    TK_ARENA_NEW(im->cited, &im->arena, im->n_files + 1);
    for (int i = 0; i < im->n_files; i++) {
        char *text = NULL;
        const tk_import_file *f = &im->file[i];
        if (f->left_out) continue;
        TK_TRY(tk_agree(im->world, im->world->rank ? TK_OK : read_list(f, &im->arena, &text)));
        TK_TRY(share_list(im, i, text));
    }
    if (!im->n_references) return TK_OK;
    TK_TRY(tk_agree(im->world, im->world->rank ? TK_OK : measure_all(im)));
    for (int64_t k = 0; k < im->n_references; k++) {
        tk_clip_reference *r = &im->reference[k];
        int64_t size[] = {r->latent_frames, r->high, r->wide, r->audio_rows};
        TK_TRY(tk_comm_broadcast(im->world, size, sizeof size, 0));
        r->latent_frames = size[0], r->high = size[1], r->wide = size[2], r->audio_rows = size[3];
    }
    return TK_OK;
}

// ---- names -------------------------------------------------------------------------------------

static bool is_cited(const tk_import_cited *all, const tk_named *x)
{
    for (int k = 0; k < all->n; k++) {
        const char *tag = all->citation[k].tag;
        if (strlen(tag) == x->bytes && !memcmp(tag, x->text, x->bytes)) return true;
    }
    return false;
}

// The first tag of the caption that nothing is cited by.
static bool find_uncited(const tk_import_file *f, const tk_import_cited *all, tk_named *x)
{
    for (tk_naming of = {.at = f->caption}; tk_named_next(&of, x);)
        if (!x->person && tk_tag_is_meant(x->text, x->bytes) && !is_cited(all, x)) return true;
    return false;
}

static bool caption_names(const char *caption, const tk_clip_citation *c)
{
    const size_t bytes = strlen(c->tag);
    tk_named x;
    for (tk_naming of = {.at = caption}; tk_named_next(&of, &x);)
        if (!x.person && x.bytes == bytes && !memcmp(x.text, c->tag, bytes)) return true;
    for (const char *at = caption; *at; at++)
        if (tk_word_stands(caption, at, c->word)) return true;
    return false;
}

// The first citation that the caption does not name, nor another one of its character.
static const tk_clip_citation *find_unnamed(const tk_import_file *f, const tk_import_cited *all)
{
    for (int k = 0; k < all->n; k++) {
        const tk_clip_citation *c = &all->citation[k];
        const long number = tk_tag_number(c->tag, strlen(c->tag));
        bool named = false;
        for (int i = 0; i < all->n && !named; i++) {
            const tk_clip_citation *d = &all->citation[i];
            const bool one =
                i == k || (number >= 0 && number == tk_tag_number(d->tag, strlen(d->tag)));
            named = one && caption_names(f->caption, d);
        }
        if (!named) return c;
    }
    return NULL;
}

void tk_import_tell_cited(const tk_import *im)
{
    int uncited = 0, unnamed = 0;
    for (int i = 0; i < im->n_files; i++) {
        const tk_import_file *f = &im->file[i];
        const tk_import_cited *all = &im->cited[i];
        const tk_clip_citation *c;
        tk_named x;
        if (f->left_out || !f->clips || !f->has_caption) continue;
        if (find_uncited(f, all, &x) && uncited++ < MOST_TOLD)
            tk_log_warn("%s: its caption names <%.*s>, which no line of its .references gives: add "
                        "\"<%.*s>: FILE\" there, or take the name out of the .txt",
                        f->path, (int)(x.bytes < 60 ? x.bytes : 60), x.text,
                        (int)(x.bytes < 60 ? x.bytes : 60), x.text);
        if ((c = find_unnamed(f, all)) && unnamed++ < MOST_TOLD)
            tk_log_warn(
                "%s: its .references gives <%.60s>%s%.60s, which its caption does not name: "
                "write it there, or take the line out",
                f->path, c->tag, *c->word ? " for " : "", c->word);
    }
    const int more = (uncited > MOST_TOLD ? uncited - MOST_TOLD : 0) +
                     (unnamed > MOST_TOLD ? unnamed - MOST_TOLD : 0);
    if (more) tk_log_warn("%d more captions do not go together with their .references", more);
}

tk_status tk_import_put_references(tk_import *im)
{
    const tk_media_rows_want want = rows_wanted(im);
    tk_status st = TK_OK;
    for (int64_t k = im->world->rank; k < im->n_references && st == TK_OK; k += im->world->size) {
        tk_arena a;
        tk_media_rows x;
        tk_arena_init(&a, 0);
        st = tk_media_rows_read(im->reference[k].name, &want, im->codec, &a, &x);
        if (st == TK_OK && (x.latents != im->reference[k].latent_frames ||
                            x.audio_rows != im->reference[k].audio_rows))
            st = TK_FAIL(TK_INPUT, "%s does not hold what its index says", im->reference[k].name);
        if (st == TK_OK) st = tk_clip_writer_put_reference(im->writer, k, x.video, x.audio);
        tk_arena_free(&a);
    }
    return tk_agree(im->world, st);
}
