// SPDX-License-Identifier: Apache-2.0
// Text features of an import: those of clip.mp4's caption lie in clip.npy beside it, (tokens,
// width), as an encoder outside made them; those of an empty caption in the file that
// import.empty_features names. They are stored as they came: in half precision where all of them
// are.
#include "core/store/npy.h"
#include "data/import/internal.h"
#include <errno.h>
#include <unistd.h>

static tk_import_text text_of(const tk_npy *n)
{
    return (tk_import_text){.rows = n->rows, .channels = n->cols, .half = n->half};
}

tk_status tk_import_look_at_features(tk_import_file *f, tk_arena *a)
{
    tk_npy n;
    const char *path = tk_import_beside(f->path, "npy", a);
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (access(path, F_OK) != 0 && errno == ENOENT) return TK_OK;
    TK_TRY(tk_npy_look(path, &n));
    TK_TRY(tk_npy_check(&n));
    f->text = text_of(&n);
    return TK_OK;
}

// Rank 0, for all: the file of an empty caption's.
static tk_status look_at_empty(tk_import *im)
{
    const char *path = im->c->import.empty_features;
    tk_status st = TK_OK;
    tk_npy n;
    if (!*path) return TK_OK;
    if (im->world->rank == 0) {
        st = tk_npy_look(path, &n);
        if (st == TK_OK) st = tk_npy_check(&n);
        if (st == TK_OK) im->empty = text_of(&n);
    }
    TK_TRY(tk_agree(im->world, st));
    return tk_comm_broadcast(im->world, &im->empty, sizeof im->empty, 0);
}

// Texts of one import are of one encoder, and so of one width. `of`: whose width it is, so far.
static tk_status take_text(tk_import *im, const char *path, const tk_import_text *t,
                           const char **of)
{
    tk_clip_features *f = &im->features;
    if (*of && f->channels != t->channels)
        return TK_FAIL(TK_INPUT,
                       "%s is %lld wide, %s %lld: text features of one import are of one encoder",
                       *of, (long long)f->channels, path, (long long)t->channels);
    f->half = t->half && (f->half || !*of);
    f->channels = t->channels;
    f->feature[f->n++].rows = t->rows;
    if (!*of) *of = path;
    return TK_OK;
}

static tk_status number_texts(tk_import *im)
{
    const char *of = NULL;
    TK_ARENA_NEW(im->features.feature, &im->arena, im->n_files + 1);
    im->features.empty = -1;
    for (int i = 0; i < im->n_files; i++) {
        tk_import_file *f = &im->file[i];
        if (f->left_out || !f->text.rows) continue;
        const char *path = tk_import_beside(f->path, "npy", &im->arena);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        f->text.number = im->features.n;
        TK_TRY(take_text(im, path, &f->text, &of));
    }
    if (!im->empty.rows) return TK_OK;
    if (!im->features.n)
        return TK_FAIL(TK_INPUT,
                       "import.empty_features is %s, but no media file has text features (a .npy "
                       "of the same name) beside it",
                       im->c->import.empty_features);
    im->features.empty = im->features.n;
    return take_text(im, im->c->import.empty_features, &im->empty, &of);
}

tk_status tk_import_number_features(tk_import *im)
{
    TK_TRY(look_at_empty(im));
    return tk_agree(im->world, number_texts(im));
}

static tk_status put_one(tk_import *im, const char *path, int64_t number, tk_arena *a)
{
    const tk_clip_features *f = &im->features;
    tk_npy n;
    float *x;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_npy_look(path, &n));
    if (n.rows != f->feature[number].rows || n.cols != f->channels)
        return TK_FAIL(TK_INPUT, "%s has changed since it was looked at", path);
    TK_ARENA_NEW(x, a, n.rows * n.cols);
    TK_TRY(tk_npy_read(&n, x));
    return tk_clip_writer_put_feature(im->writer, number, x);
}

tk_status tk_import_put_features(tk_import *im)
{
    const int rank = im->world->rank, size = im->world->size;
    tk_status st = TK_OK;
    tk_arena a;
    tk_arena_init(&a, 0);
    for (int i = 0; i < im->n_files && st == TK_OK; i++) {
        const tk_import_file *f = &im->file[i];
        if (f->left_out || !f->text.rows || f->text.number % size != rank) continue;
        tk_arena_reset(&a);
        st = put_one(im, tk_import_beside(f->path, "npy", &a), f->text.number, &a);
    }
    const int64_t empty = im->features.empty;
    if (st == TK_OK && empty >= 0 && empty % size == rank)
        st = put_one(im, im->c->import.empty_features, empty, &a);
    tk_arena_free(&a);
    return tk_agree(im->world, st);
}
