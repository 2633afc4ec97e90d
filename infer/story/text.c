// SPDX-License-Identifier: Apache-2.0
#include "infer/story/text.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static bool names(const char *path) // a file, or says words
{
    return path && *path;
}

static const char *features_of(int64_t shot, char name[48])
{
    snprintf(name, 48, "shots[%" PRId64 "].features", shot);
    return name;
}

static void refuse_features(tk_wrong *w, const tk_config *c, const tk_trained *t)
{
    static const char words[] =
        "the model of %.400s reads the bytes of prompts, no text features; leave it out";
    char name[48];
    for (int64_t i = 0; i < c->story.n_shots; i++)
        if (names(c->story.shots[i].features))
            tk_wrong_add(w, features_of(i, name), words, t->path);
    if (names(c->story.empty_features)) tk_wrong_add(w, "empty_features", words, t->path);
}

static tk_status look_at_features(const char *path, const tk_trained *t, tk_npy *n)
{
    TK_TRY(tk_npy_look(path, n));
    if (n->cols == t->config.model.text_channels) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s is %" PRId64 " wide, but the model of %s reads text features of %" PRId64
                   " (model.text_channels): it is of another encoder",
                   path, n->cols, t->path, t->config.model.text_channels);
}

static tk_status look_at_shots(tk_wrong *w, const tk_config *c, const tk_trained *t,
                               tk_story_text *x)
{
    char name[48];
    for (int i = 0; i < x->n_shots; i++) {
        const char *path = c->story.shots[i].features;
        if (names(path))
            TK_TRY(tk_wrong_with(w, features_of(i, name), look_at_features(path, t, &x->shot[i])));
        else
            tk_wrong_add(w, features_of(i, name),
                         "missing: the model of %.400s reads text features; name the .npy that its "
                         "encoder makes of the prompt",
                         t->path);
    }
    return TK_OK;
}

// What guidance leads away from: as the storyboard says, or as the model was trained.
static tk_status look_at_nothing(tk_wrong *w, const tk_config *c, const tk_trained *t,
                                 tk_story_text *x)
{
    x->form.empty_rows = t->meta.text.empty ? t->meta.text.empty_rows : 1;
    x->form.empty = t->meta.text.empty;
    if (names(c->story.empty_features)) {
        TK_TRY(tk_wrong_with(w, "empty_features",
                             look_at_features(c->story.empty_features, t, &x->empty)));
        x->form.empty_rows = x->empty.rows;
        x->form.empty = NULL;
    } else if (t->meta.bare && c->sample.guidance != 1 && !tk_wrong_doubts(w, "sample.guidance"))
        tk_wrong_add(w, "empty_features",
                     "missing: guidance of %g leads away from an empty caption, and %.400s does "
                     "not say which text features that has; name their .npy, or set "
                     "sample.guidance=1",
                     c->sample.guidance, t->path);
    return TK_OK;
}

tk_status tk_story_text_check(tk_wrong *w, const tk_config *c, const tk_trained *t, tk_arena *a,
                              tk_story_text *out)
{
    *out = (tk_story_text){.n_shots = (int)c->story.n_shots};
    if (t->config.model.text == TK_TEXT_BYTES) {
        refuse_features(w, c, t);
        return TK_OK;
    }
    out->form.channels = t->config.model.text_channels;
    if (names(c->story.negative))
        tk_wrong_add(w, "negative",
                     "the model of %.400s reads text features; name the .npy of what is not to be "
                     "seen as empty_features",
                     t->path);
    TK_ARENA_NEW(out->shot, a, out->n_shots + 1);
    TK_TRY(look_at_shots(w, c, t, out));
    return look_at_nothing(w, c, t, out);
}

tk_status tk_story_text_look(const tk_config *c, const tk_trained *t, tk_arena *a,
                             tk_story_text *out)
{
    tk_wrong w = tk_wrong_of(c, "", a);
    TK_TRY(tk_story_text_check(&w, c, t, a, out));
    return tk_wrong_end(&w);
}

// ---- numbers -----------------------------------------------------------------------------------

static tk_status copy_features(const tk_story_text *x, tk_arena *a)
{
    int64_t at = 0;
    for (int i = 0; i < x->n_shots; i++) {
        const int64_t n = x->shot[i].rows * x->form.channels;
        const size_t bytes = tk_array_bytes(n, sizeof(float));
        float *numbers;
        tk_arena_reset(a);
        TK_ARENA_NEW(numbers, a, n);
        TK_TRY(tk_npy_read(&x->shot[i], numbers));
        TK_TRY(tk_pwrite_all(x->fd, x->path, numbers, bytes, at));
        at += (int64_t)bytes;
    }
    return TK_OK;
}

static tk_status keep_features(tk_story_text *x, const char *path)
{
    tk_arena one;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_file_scratch(path, &x->fd));
    x->path = path;
    tk_arena_init(&one, 0);
    const tk_status st = copy_features(x, &one);
    tk_arena_free(&one);
    return st;
}

static tk_status read_empty(tk_story_text *x, tk_arena *a)
{
    float *to;
    if (!x->empty.path) return TK_OK;
    TK_ARENA_NEW(to, a, x->empty.rows * x->form.channels);
    x->form.empty = to;
    return tk_npy_read(&x->empty, to);
}

tk_status tk_story_text_read(const tk_config *c, const tk_trained *t, const char *beside,
                             tk_comm *makers, tk_arena *a, tk_story_text *out)
{
    tk_status st = tk_story_text_look(c, t, a, out);
    if (st == TK_OK) st = read_empty(out, a);
    TK_TRY(tk_agree(makers, st));
    out->makers = makers;
    if (!out->form.channels) return TK_OK;
    if (makers->rank == 0) st = keep_features(out, tk_arena_printf(a, "%s.features", beside));
    return tk_agree(makers, st);
}

// To where the numbers of a window's shots are.
static tk_status read_features(const tk_story_text *x, const tk_window *w, float *to)
{
    int64_t at = 0;
    for (int i = 0, k = 0; i < w->end; i++) {
        const int64_t n = x->shot[i].rows * x->form.channels;
        const size_t bytes = tk_array_bytes(n, sizeof *to);
        if (tk_window_shot(w, k) == i) {
            TK_TRY(tk_pread_all(x->fd, x->path, to, bytes, at));
            to += n;
            k++;
        }
        at += (int64_t)bytes;
    }
    return TK_OK;
}

static tk_status new_features(const tk_story_text *x, const tk_window *w, tk_arena *a, float **out,
                              size_t *bytes)
{
    int64_t n = 0;
    for (int k = 0; k < tk_window_shots(w); k++) n += x->shot[tk_window_shot(w, k)].rows;
    TK_ARENA_NEW(*out, a, n * x->form.channels);
    *bytes = tk_array_bytes(n * x->form.channels, sizeof **out);
    return TK_OK;
}

tk_status tk_story_text_of(const tk_story_text *x, const tk_window *w, tk_arena *a, float **out)
{
    size_t bytes = 0;
    *out = NULL;
    if (!x->makers || !x->form.channels) return TK_OK;
    tk_status st = new_features(x, w, a, out, &bytes);
    if (st == TK_OK && x->path) st = read_features(x, w, *out);
    TK_TRY(tk_agree(x->makers, st));
    return tk_comm_broadcast(x->makers, *out, bytes, 0);
}

void tk_story_text_close(tk_story_text *x)
{
    if (x->path) close(x->fd);
    x->path = NULL;
}
