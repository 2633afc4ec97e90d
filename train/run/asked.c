// SPDX-License-Identifier: Apache-2.0
#include "train/run/asked.h"
#include "core/base/files.h"
#include "core/config/wrong.h"
#include "data/clip/loader.h"
#include "parallel/mesh.h"
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

// The first of the mesh's degrees that somebody gave.
static const char *given_axis(const tk_config *c)
{
    static const char *const axis[] = {"parallel.data", "parallel.pipeline", "parallel.tensor",
                                       "parallel.guidance"};
    for (size_t i = 0; i < sizeof axis / sizeof *axis; i++)
        if (*tk_config_place(c, axis[i])) return axis[i];
    return axis[0];
}

static tk_status ask_layout(tk_wrong *w, const tk_config *c, int ranks)
{
    tk_parallel_config p = c->parallel;
    const bool host = p.device == TK_DEVICE_CPU || p.device == TK_DEVICE_REF;
    if (host && p.register_buffers)
        tk_wrong_add(w, "parallel.register_buffers",
                     "needs device=cuda: what others send goes over MPI, which sees to that "
                     "itself; set it to false");
    if (host && c->train.graph)
        tk_wrong_add(w, "train.graph", "needs device=cuda: others have no graphs; set it to false");
    if (!ranks) return TK_OK;
    const tk_status st = tk_mesh_fill(&p, ranks, TK_AXIS_DATA);
    if (st == TK_OK) tk_trainer_match_batch(w, c, (int)p.data);
    return tk_wrong_with(w, given_axis(c), st);
}

// ---- files -------------------------------------------------------------------------------------

static void ask_file(tk_wrong *w, const char *option, const char *path)
{
    if (access(path, R_OK))
        tk_wrong_add(w, option, "cannot open %.400s: %s; name a file that can be read", path,
                     strerror(errno));
}

// What is not there yet is made; what is may be neither a file nor somebody else's.
static void ask_folder(tk_wrong *w, const char *option, const char *path)
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
    if (stat(at, &s) == 0 && !S_ISDIR(s.st_mode))
        tk_wrong_add(w, option, "%.400s is no folder; name a folder for the run", at);
    else if (error)
        tk_wrong_add(w, option, "nothing can be written in %.400s: %s", at, strerror(error));
}

// A run that is gone on with needs no weights to begin from.
static void ask_weights(tk_wrong *w, const tk_train_config *t)
{
    if (!*t->from || (t->resume && access(t->out, F_OK) == 0)) return;
    if (access(t->from, F_OK))
        tk_wrong_add(w, "train.from", "no checkpoint at %.400s: %s", t->from, strerror(errno));
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

// Those that are not there were told.
static tk_status open_each(tk_wrong *w, const tk_config *c)
{
    const tk_data_config *d = &c->data;
    clip_files f = {.fit = *c};
    for (int64_t i = 0; i < d->n_files + d->n_check; i++) {
        const bool trained = i < d->n_files;
        const int64_t k = trained ? i : i - d->n_files;
        const char *path = trained ? d->files[k] : d->check[k];
        option_name name;
        tk_clips x = {0};
        file_option(name, trained ? "data.files" : "data.check", k);
        if (access(path, R_OK)) continue;
        const tk_status st = tk_clips_open(path, c->codec.file, &x);
        if (st == TK_OK) match_file(w, &f, name, path, &x);
        if (st == TK_OK) tk_clips_close(&x);
        TK_TRY(tk_wrong_with(w, name, st));
    }
    return TK_OK;
}

// ---- all of it ---------------------------------------------------------------------------------

static tk_status ask_whole(tk_wrong *w, const tk_config *c, int ranks)
{
    tk_data_config data = c->data;
    if (!c->train.check_every) data.n_check = 0;
    TK_TRY(ask_layout(w, c, ranks));
    TK_TRY(tk_loader_ask(w, &data));
    if (c->codec.store == TK_CODEC_REFER && *c->codec.file)
        ask_file(w, "codec.file", c->codec.file);
    ask_folder(w, "train.out", c->train.out);
    ask_weights(w, &c->train);
    return w->n ? open_each(w, c) : TK_OK;
}

tk_status tk_run_ask(tk_comm *world, const tk_config *c, int ranks)
{
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    if (world->rank == 0) {
        tk_wrong w = tk_wrong_of(c, "", &a);
        st = ask_whole(&w, c, ranks);
        if (st == TK_OK) st = tk_wrong_end(&w);
    }
    tk_arena_free(&a);
    return tk_agree(world, st);
}

tk_status tk_run_tell(tk_comm *world, const tk_config *c, tk_status found)
{
    tk_arena a;
    tk_status st = TK_OK;
    char words[8192];
    if (found != TK_INPUT) return found;
    snprintf(words, sizeof words, "%s", tk_status_message());
    tk_arena_init(&a, 0);
    if (world->rank == 0) {
        tk_wrong w = tk_wrong_of(c, "", &a);
        st = open_each(&w, c);
        if (st == TK_OK) st = tk_wrong_end(&w);
        if (st == TK_OK) tk_status_set(st = found, words);
    }
    tk_arena_free(&a);
    return tk_agree(world, st);
}
