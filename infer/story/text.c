// SPDX-License-Identifier: Apache-2.0
#include "infer/story/text.h"
#include <inttypes.h>
#include <stdio.h>

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
    } else if (t->meta.bare && c->sample.guidance != 1)
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

tk_status tk_story_text_read(tk_story_text *x, tk_arena *a)
{
    int64_t rows = 0;
    float *to;
    if (!x->form.channels) return TK_OK;
    for (int i = 0; i < x->n_shots; i++) rows += x->shot[i].rows;
    TK_ARENA_NEW(x->rows, a, rows * x->form.channels);
    to = x->rows;
    for (int i = 0; i < x->n_shots; i++) {
        TK_TRY(tk_npy_read(&x->shot[i], to));
        to += x->shot[i].rows * x->form.channels;
    }
    if (!x->empty.path) return TK_OK;
    TK_ARENA_NEW(to, a, x->empty.rows * x->form.channels);
    x->form.empty = to;
    return tk_npy_read(&x->empty, to);
}
