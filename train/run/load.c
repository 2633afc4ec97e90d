// SPDX-License-Identifier: Apache-2.0
#include "train/run/load.h"
#include "core/base/log.h"
#include <string.h>

// Weights that know no codec are trusted to be of the clips' own.
static tk_status check_codec(const tk_trainer *t, const char *path, const tk_checkpoint_meta *m)
{
    const tk_codec *own = tk_loader_codec(t->loader), *codec = m->codec;
    if (!codec && m->weights) {
        if (t->mesh->world.rank == 0)
            tk_log("%s does not say which codec its rows are of; those of the clips are taken for "
                   "such",
                   path);
        return TK_OK;
    }
    if (codec && tk_codec_get_info(codec)->digest == tk_codec_get_info(own)->digest) return TK_OK;
    return TK_FAIL(
        TK_INPUT,
        "%s was trained on clips of another codec than those of data.files: their rows "
        "mean different things. Give clips made with the checkpoint's codec (data world or data "
        "import with codec.from=%s)",
        path, path);
}

// added: the weights know nothing of what an option adds, which begins as in a new model. (As
// zeros, which would leave the model what it was, it stays small: 0.005 after 170 steps, where a
// new model has 0.5.)
static tk_status load_weights(tk_trainer *t, const char *path, bool whole_state, bool added)
{
    tk_optimizer *o = &t->optimizer;
    tk_flat flat[TK_OPTIMIZER_FLATS];
    int n = tk_optimizer_flats(o, flat);
    bool has_ema = false;
    const bool look = t->mesh->world.rank == 0 && n == 4;
    TK_TRY(tk_agree(&t->mesh->world, look ? tk_checkpoint_has(path, "ema", &has_ema) : TK_OK));
    TK_TRY(tk_comm_broadcast(&t->mesh->world, &has_ema, sizeof has_ema, 0));
    if (!has_ema && n == 4) n = 3;
    if (!whole_state) n = 1;
    if (added) TK_TRY(tk_optimizer_init(o, (uint64_t)t->config->train.seed));
    TK_TRY(whole_state ? tk_checkpoint_load(path, t->mesh, &t->model, n, flat)
                       : tk_checkpoint_begin(path, t->mesh, &t->model, flat));
    return tk_optimizer_start(o, n < 4);
}

// What changed since the checkpoint is said; what would make another run of it is refused.
static tk_status compare_configs(const tk_trainer *t, const char *path, const char *stored,
                                 tk_arena *a)
{
    char *binding = NULL, *others = NULL;
    tk_config before;
    tk_config_init(&before);
    const tk_status st = tk_config_parse(&before, 0, path, stored, strlen(stored), 0, NULL);
    if (st != TK_OK) tk_config_free(&before);
    if (st == TK_MEMORY) return st; // says nothing about the options
    if (st != TK_OK) {
        if (t->mesh->world.rank == 0)
            tk_log_warn("the options %s was made with cannot be compared: %s", path,
                        tk_status_message());
        tk_status_clear();
        return TK_OK;
    }
    tk_config_changes(&before, t->config, TK_CMD_TRAIN, a, &binding, &others);
    tk_config_free(&before);
    if (!binding || !others) return TK_FAIL(TK_MEMORY, "out of memory for what changed");
    if (*binding && !t->config->train.changes)
        return TK_FAIL(TK_INPUT,
                       "%s was made with other options; going on would be another run:%s\nGive the "
                       "old values, or train.changes=allow, or train.resume=0 to start anew",
                       path, binding);
    if (*binding || *others) tk_log("changed since %s:%s%s", path, binding, others);
    return TK_OK;
}

// Captions and rows bind as options do; where their files lie does not.
static tk_status compare_clips(const tk_trainer *t, const char *path, uint64_t stored)
{
    if (!stored || stored == tk_loader_digest(t->loader)) return TK_OK;
    if (!t->config->train.changes)
        return TK_FAIL(TK_INPUT,
                       "%s was trained on other clips than those of data.files, or on these in "
                       "another order; going on would be another run\nGive the old files in their "
                       "old order, or train.changes=allow, or train.resume=0 to start anew",
                       path);
    tk_log("changed since %s: the clips of data.files, or their order", path);
    return TK_OK;
}

// Whether a run may begin with weights that know nothing of its numbers of shots.
static bool adds_numbers(const tk_config *now, const tk_config *stored)
{
    return now->model.shots == TK_SHOTS_NUMBERED && stored->model.shots != TK_SHOTS_NUMBERED;
}

// Options that shapes alone do not tell are of the model as well.
static tk_status compare_models(const tk_config *now, const tk_config *stored, bool may_add,
                                const char *path, tk_arena *a)
{
    char *binding, *others;
    tk_config before = *now;
    before.model = stored->model;
    if (may_add && adds_numbers(now, stored)) before.model.shots = now->model.shots;
    tk_config_changes(&before, now, TK_CMD_TRAIN, a, &binding, &others);
    if (!binding || !others) return TK_FAIL(TK_MEMORY, "out of memory for what differs");
    if (!*binding && !*others) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds weights of another model than the config's section model (there -> "
                   "here):%s%s\nGive its values",
                   path, binding, others);
}

// *added, unless NULL: weights may lack what an option adds, and whether they do.
static tk_status check_from(const tk_config *c, const char *path, const char *text, bool *added,
                            tk_arena *a)
{
    tk_config stored;
    tk_config_init(&stored);
    tk_status st = tk_config_parse(&stored, TK_CMD_PLAN, path, text, strlen(text), 0, NULL);
    if (st == TK_OK) st = compare_models(c, &stored, added != NULL, path, a);
    if (added) *added = adds_numbers(c, &stored);
    tk_config_free(&stored);
    return st;
}

tk_status tk_run_same_model(const tk_config *c, const char *path, const char *text, tk_arena *a)
{
    return check_from(c, path, text, NULL, a);
}

tk_status tk_run_look(const tk_config *c, tk_arena *a)
{
    tk_checkpoint_meta meta;
    char *path;
    bool added;
    if (!*c->train.from) return TK_OK;
    TK_TRY(tk_checkpoint_look(c->train.from, a, &path, &meta));
    return check_from(c, path, meta.config, &added, a);
}

tk_status tk_run_load(tk_trainer *t, const char *where, bool whole_state, tk_arena *a, char **from,
                      int64_t *step)
{
    tk_checkpoint_meta meta;
    bool added = false;
    TK_TRY(tk_agree(&t->mesh->world, tk_checkpoint_newest(where, t->config->codec.file,
                                                          &t->mesh->world, a, from, &meta)));
    const char *path = *from;
    tk_status st = tk_agree(&t->mesh->world, check_codec(t, path, &meta));
    tk_codec_free(meta.codec);
    TK_TRY(st);
    if (whole_state) {
        TK_TRY(tk_agree(&t->mesh->world, compare_configs(t, path, meta.config, a)));
        TK_TRY(tk_agree(&t->mesh->world, compare_clips(t, path, meta.clips)));
    } else {
        TK_TRY(tk_agree(&t->mesh->world, check_from(t->config, path, meta.config, &added, a)));
    }
    if (added && t->mesh->world.rank == 0)
        tk_log("model.shots=numbered is new to %s: its learned rows begin as in a new model", path);
    TK_TRY(tk_agree(&t->mesh->world, load_weights(t, path, whole_state, added)));
    *step = meta.step;
    return TK_OK;
}
