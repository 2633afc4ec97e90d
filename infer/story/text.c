// SPDX-License-Identifier: Apache-2.0
#include "infer/story/text.h"
#include <inttypes.h>

static bool names(const char *path) // a file, or says words
{
    return path && *path;
}

static tk_status refuse_features(const tk_config *c, const tk_trained *t)
{
    for (int64_t i = 0; i < c->story.n_shots; i++)
        if (names(c->story.shots[i].features))
            return TK_FAIL(TK_INPUT,
                           "shots[%" PRId64 "].features: the model of %s reads the bytes of "
                           "prompts, no text features; leave it out",
                           i, t->path);
    if (!names(c->story.empty_features)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "empty_features: the model of %s reads the bytes of prompts, no text features; "
                   "leave it out",
                   t->path);
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

static tk_status look_at_shots(const tk_config *c, const tk_trained *t, tk_story_text *x)
{
    for (int i = 0; i < x->n_shots; i++) {
        const char *path = c->story.shots[i].features;
        if (!names(path))
            return TK_FAIL(TK_INPUT,
                           "shots[%d].features is missing: the model of %s reads text features; "
                           "name the .npy that its encoder makes of the prompt",
                           i, t->path);
        TK_TRY(look_at_features(path, t, &x->shot[i]));
    }
    return TK_OK;
}

// What guidance leads away from: as the storyboard says, or as the model was trained.
static tk_status look_at_nothing(const tk_config *c, const tk_trained *t, tk_story_text *x)
{
    x->form.empty_rows = t->meta.text.empty ? t->meta.text.empty_rows : 1;
    x->form.empty = t->meta.text.empty;
    if (names(c->story.empty_features)) {
        TK_TRY(look_at_features(c->story.empty_features, t, &x->empty));
        x->form.empty_rows = x->empty.rows;
        x->form.empty = NULL;
        return TK_OK;
    }
    if (!t->meta.bare || c->sample.guidance == 1) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "empty_features is missing: guidance of %g leads away from an empty caption, "
                   "and %s does not say which text features that has; name their .npy, or set "
                   "sample.guidance=1",
                   c->sample.guidance, t->path);
}

tk_status tk_story_text_look(const tk_config *c, const tk_trained *t, tk_arena *a,
                             tk_story_text *out)
{
    *out = (tk_story_text){.n_shots = (int)c->story.n_shots};
    if (t->config.model.text == TK_TEXT_BYTES) return refuse_features(c, t);
    out->form.channels = t->config.model.text_channels;
    if (names(c->story.negative))
        return TK_FAIL(
            TK_INPUT,
            "negative: the model of %s reads text features; name the .npy of what is not "
            "to be seen as empty_features",
            t->path);
    TK_ARENA_NEW(out->shot, a, out->n_shots + 1);
    TK_TRY(look_at_shots(c, t, out));
    return look_at_nothing(c, t, out);
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
