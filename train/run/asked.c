// SPDX-License-Identifier: Apache-2.0
#include "train/run/asked.h"
#include "core/base/files.h"
#include "data/clip/loader.h"
#include "parallel/mesh.h"
#include "train/run/load.h"
#include "train/run/rundir.h"
#include "train/step/trainer.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef char option_name[48];

static const char *file_option(option_name name, const char *list, int64_t i)
{
    snprintf(name, sizeof(option_name), "%s[%lld]", list, (long long)i);
    return name;
}

// ---- layouts -----------------------------------------------------------------------------------

static const char *const axes[] = {"parallel.data", "parallel.pipeline", "parallel.tensor",
                                   "parallel.guidance"};
enum { AXES = sizeof axes / sizeof *axes };

// The first of the mesh's degrees that somebody gave.
static const char *given_axis(const tk_config *c)
{
    for (int i = 0; i < AXES; i++)
        if (*tk_config_place(c, axes[i])) return axes[i];
    return axes[0];
}

void tk_run_ask_device(tk_wrong *w, const tk_config *c)
{
    const int64_t device = c->parallel.device;
    if (device == TK_DEVICE_CUDA && !tk_device_find(device))
        tk_wrong_add(w, "device",
                     "this talkie was built without CUDA; build it where nvcc is (make "
                     "CUDA_HOME=...), or take device=cpu");
    if ((device != TK_DEVICE_CPU && device != TK_DEVICE_REF) || tk_wrong_doubts(w, "device"))
        return;
    if (c->parallel.register_buffers)
        tk_wrong_add(w, "parallel.register_buffers",
                     "needs device=cuda: what others send goes over MPI, which sees to that "
                     "itself; set it to false");
    if (c->train.graph)
        tk_wrong_add(w, "train.graph", "needs device=cuda: others have no graphs; set it to false");
}

bool tk_run_knows_layout(const tk_wrong *w)
{
    for (int i = 0; i < AXES; i++)
        if (tk_wrong_doubts(w, axes[i])) return false;
    return true;
}

tk_status tk_run_ask_batch(tk_wrong *w, const tk_config *c, const tk_parallel_config *filled,
                           tk_status made)
{
    if (made == TK_OK) tk_trainer_match_batch(w, c, (int)filled->data);
    return tk_wrong_with(w, given_axis(c), made);
}

tk_status tk_run_ask_layout(tk_wrong *w, const tk_config *c, int ranks)
{
    tk_parallel_config p = c->parallel;
    if (!tk_run_knows_layout(w)) return TK_OK;
    const tk_status st = tk_mesh_fill(&p, ranks, TK_AXIS_DATA);
    return tk_run_ask_batch(w, c, &p, st);
}

// ---- files -------------------------------------------------------------------------------------

// A run that is gone on with needs no weights to begin from.
static bool begins_anew(const tk_wrong *w, const tk_train_config *t)
{
    if (tk_wrong_doubts(w, "train.out") || tk_wrong_doubts(w, "train.resume")) return false;
    return (!t->resume && !tk_rundir_came_back(t->out)) || access(t->out, F_OK);
}

static tk_status ask_weights(tk_wrong *w, const tk_train_config *t)
{
    return *t->from ? tk_wrong_with(w, "train.from", tk_checkpoint_exists(t->from)) : TK_OK;
}

tk_status tk_run_ask_clips(tk_wrong *w, const tk_config *c)
{
    tk_data_config data = c->data;
    if (!c->train.check_every) data.n_check = 0;
    TK_TRY(tk_loader_ask(w, &data));
    if (c->codec.store == TK_CODEC_REFER && *c->codec.file)
        tk_wrong_unread(w, "codec.file", c->codec.file);
    return TK_OK;
}

// ---- what is in them ---------------------------------------------------------------------------

typedef struct clip_files {
    tk_config fit;     // of which channels are filled in
    uint64_t codec;    // of the first that could be read,
    const char *first; // ... its name; NULL: none could
} clip_files;

static void match_file(tk_wrong *w, clip_files *f, const char *option, const char *path,
                       const tk_clips *x)
{
    const tk_codec_info *k = tk_codec_get_info(x->codec);
    if (!f->first) tk_trainer_match_codec(w, &f->fit, k);
    if (f->first && f->codec != k->digest)
        tk_wrong_add(w, option,
                     "%.400s and %.400s were made with different codecs; make one with the codec "
                     "of the other (codec.from=...)",
                     f->first, path);
    if (f->first) return;
    f->first = path;
    f->codec = k->digest;
}

// Those that are not there were told. What a file refers to is not known without codec.file.
static tk_status open_each(tk_wrong *w, const tk_config *c, clip_files *f)
{
    const tk_data_config *d = &c->data;
    *f = (clip_files){.fit = *c};
    for (int64_t i = 0; i < d->n_files + d->n_check && !tk_wrong_doubts(w, "codec.file"); i++) {
        const bool trained = i < d->n_files;
        const int64_t k = trained ? i : i - d->n_files;
        const char *path = trained ? d->files[k] : d->check[k];
        option_name name;
        tk_clips x = {0};
        file_option(name, trained ? "data.files" : "data.check", k);
        if (access(path, R_OK)) continue;
        const tk_status st = tk_clips_open(path, c->codec.file, &x);
        if (st == TK_OK) match_file(w, f, name, path, &x);
        if (st == TK_OK) tk_clips_close(&x);
        TK_TRY(tk_wrong_with(w, name, st));
    }
    return TK_OK;
}

// Weights that are there, of a run that begins: of the config's model?
static tk_status match_weights(tk_wrong *w, const clip_files *f)
{
    const tk_train_config *t = &f->fit.train;
    if (!f->first || !*t->from || access(t->from, F_OK) || tk_wrong_doubts(w, "model"))
        return TK_OK;
    return tk_wrong_with(w, "train.from", tk_run_look(&f->fit, w->arena));
}

tk_status tk_run_ask_inside(tk_wrong *w, const tk_config *c)
{
    clip_files f;
    TK_TRY(open_each(w, c, &f));
    return match_weights(w, &f);
}

// ---- all of it ---------------------------------------------------------------------------------

tk_status tk_run_ask_files(tk_wrong *w, const tk_config *c)
{
    TK_TRY(ask_weights(w, &c->train));
    return tk_run_ask_clips(w, c);
}

tk_status tk_run_ask(tk_wrong *w, const tk_invocation *in, int ranks)
{
    const tk_config *c = &in->config;
    clip_files f;
    const bool anew = begins_anew(w, &c->train);
    tk_run_ask_device(w, c);
    TK_TRY(tk_run_ask_layout(w, c, ranks));
    TK_TRY(tk_run_ask_clips(w, c));
    tk_wrong_unmade(w, "train.out", c->train.out);
    if (anew) TK_TRY(ask_weights(w, &c->train));
    if (!w->n) return TK_OK;
    TK_TRY(open_each(w, c, &f));
    return anew ? match_weights(w, &f) : TK_OK;
}

tk_status tk_run_tell(tk_comm *world, const tk_config *c, tk_status found)
{
    tk_arena a;
    tk_status st = TK_OK;
    clip_files f;
    char words[8192];
    if (found != TK_INPUT) return found;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_arena_init(&a, 0);
    if (world->rank == 0) {
        tk_wrong w = tk_wrong_of(c, "", &a);
        st = open_each(&w, c, &f);
        if (st == TK_OK) st = tk_wrong_end(&w);
        if (st == TK_OK) tk_status_set(st = found, words);
    }
    tk_arena_free(&a);
    return tk_agree(world, st);
}
