// SPDX-License-Identifier: Apache-2.0
// Weights alone: a safetensors file of ours or a folder of diffusers' in the place of a checkpoint.
//
// A file of ours says in its __metadata__ all that is needed to open it again: format, version,
// config (YAML, as a checkpoint's), step, a digest of its numbers; and it carries its codec as one
// tensor of bytes, a codec file as it would lie on disk. A folder says which model it is, and no
// more.
#include "core/base/edits.h"
#include "core/config/text.h"
#include "core/store/safetensors.h"
#include "train/checkpoint/internal.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { SHOWN = 4 };

bool tk_ck_is_folder(const char *path)
{
    struct stat s;
    tk_arena a;
    if (stat(path, &s) || !S_ISDIR(s.st_mode)) return false;
    tk_arena_init(&a, 0);
    const char *config = tk_arena_printf(&a, "%s/%s", path, TK_DIFFUSERS_CONFIG);
    const bool is = (config && !stat(config, &s)) || tk_safe_in_folder(path, TK_DIFFUSERS_STEM);
    tk_arena_free(&a);
    return is;
}

tk_status tk_ck_is_weights(const char *path, bool *is)
{
    *is = tk_ck_is_folder(path);
    return *is ? TK_OK : tk_safe_is(path, is);
}

static tk_status open_weights(const char *path, tk_arena *a, tk_safetensors *s)
{
    return tk_ck_is_folder(path) ? tk_safe_open_folder(path, TK_DIFFUSERS_STEM, a, s)
                                 : tk_safe_open(path, a, s);
}

uint64_t tk_ck_digest_all(int64_t n, char *const *name, const uint64_t *sum)
{
    uint64_t all = 0;
    for (int64_t i = 0; i < n; i++) all += XXH3_64bits_withSeed(name[i], strlen(name[i]), sum[i]);
    return all;
}

// ---- what a file says --------------------------------------------------------------------------

static tk_status check_weights_format(const char *path, const tk_safetensors *s)
{
    const char *format = tk_safe_note_of(s, "format"), *version = tk_safe_note_of(s, "version");
    if (!format || strcmp(format, TK_WEIGHTS_FORMAT) || !version || !tk_safe_note_of(s, "config"))
        return TK_FAIL(TK_INPUT,
                       "%s does not say which model its weights are of (its __metadata__ is not "
                       "talkie's): give a file that talkie convert made, or the whole folder that "
                       "this one lies in, with its " TK_DIFFUSERS_CONFIG,
                       path);
    if (atoi(version) != TK_WEIGHTS_VERSION)
        return TK_FAIL(TK_INPUT, "%s is of version %.20s of %s; this talkie reads %d", path,
                       version, TK_WEIGHTS_FORMAT, TK_WEIGHTS_VERSION);
    return TK_OK;
}

static tk_status read_file_meta(const char *path, const tk_safetensors *s, tk_arena *a,
                                tk_checkpoint_meta *out)
{
    const char *step = tk_safe_note_of(s, "step");
    TK_TRY(check_weights_format(path, s));
    out->config = tk_arena_strdup(a, tk_safe_note_of(s, "config"));
    if (!out->config) return TK_FAIL(TK_MEMORY, "out of memory for a config");
    out->step = step ? strtoll(step, NULL, 10) : 0;
    if (out->step < 0) out->step = 0;
    out->bare = tk_safe_note_of(s, "bare") != NULL;
    const char *averaged = tk_safe_note_of(s, "averaged");
    out->averaged = averaged && !strcmp(averaged, "yes");
    return TK_OK;
}

tk_status tk_ck_check_empty(const tk_text_form *f)
{
    enum { MOST = 1 << 16 };
    const bool sane =
        f->empty_rows > 0 && f->empty_rows <= MOST && f->channels > 0 && f->channels <= MOST;
    if (!sane)
        return TK_FAIL(TK_INPUT, TK_EMPTY_FEATURES " of (%lld, %lld) are not possible",
                       (long long)f->empty_rows, (long long)f->channels);
    for (int64_t i = 0; i < f->empty_rows * f->channels; i++)
        if (!isfinite(f->empty[i]))
            return TK_FAIL(TK_INPUT, TK_EMPTY_FEATURES " hold what is no finite number");
    return TK_OK;
}

// Rows of an empty caption's text features.
static tk_status read_empty_tensor(const char *path, const tk_safe_tensor *t, tk_arena *a,
                                   tk_text_form *out)
{
    int fd;
    float *x;
    if (t->type != TK_SAFE_F32 || t->ndim != 2)
        return TK_FAIL(TK_INPUT, "%s: the tensor %s is not of F32 in 2 dimensions", path, t->name);
    TK_ARENA_NEW(x, a, t->count);
    TK_TRY(tk_file_open(path, &fd, NULL));
    const tk_status st = tk_pread_all(fd, path, x, tk_array_bytes(t->count, sizeof *x), t->address);
    close(fd);
    TK_TRY(st);
    *out = (tk_text_form){.channels = t->dim[1], .empty_rows = t->dim[0], .empty = x};
    return tk_status_in_file(tk_ck_check_empty(out), path);
}

tk_status tk_ck_weights_meta(const char *path, const char *codec_file, tk_arena *a,
                             tk_checkpoint_meta *out)
{
    tk_safetensors s;
    const tk_safe_tensor *codec = NULL;
    *out = (tk_checkpoint_meta){.weights = true};
    TK_TRY(open_weights(path, a, &s));
    if (tk_ck_is_folder(path)) {
        out->bare = true;
        TK_TRY(tk_ck_diffusers_read(path, a, &out->config));
    } else {
        TK_TRY(read_file_meta(path, &s, a, out));
        codec = tk_safe_find(&s, TK_CODEC_TENSOR);
        const tk_safe_tensor *empty = tk_safe_find(&s, TK_EMPTY_FEATURES);
        if (empty) TK_TRY(read_empty_tensor(path, empty, a, &out->text));
    }
    if (!codec_file) return TK_OK;
    if (codec) return tk_codec_in_tensor(path, codec, a, &out->codec);
    return *codec_file ? tk_codec_open(codec_file, &out->codec) : TK_OK;
}

// ---- its tensors -------------------------------------------------------------------------------

static tk_ck_tensor place_of_weight(const tk_safe_tensor *t)
{
    return (tk_ck_tensor){
        .address = t->address, .count = t->count, .file = t->file, .type = (int32_t)t->type};
}

static bool goes_with_model(const tk_safe_tensor *t)
{
    return (t->type == TK_SAFE_U8 && !strcmp(t->name, TK_CODEC_TENSOR)) ||
           !strcmp(t->name, TK_EMPTY_FEATURES);
}

static bool fits(const tk_safe_tensor *t, const tk_param_spec *s)
{
    return t->type != TK_SAFE_U8 && t->ndim == s->ndim && t->dim[0] == s->rows &&
           (t->ndim == 1 || t->dim[1] == s->cols);
}

// What is wrong with a set, in three lists of names, of which the first few are shown.
typedef struct wrongs {
    tk_text missing, unknown, other;
    int n_missing, n_unknown, n_other;
} wrongs;

static bool show_one(tk_text *to, int *n)
{
    if (*n) tk_text_addf(to, *n < SHOWN ? ", " : *n == SHOWN ? ", ..." : "");
    return (*n)++ < SHOWN;
}

static bool in_table(const tk_param_table *table, const char *name)
{
    for (int i = 0; i < table->n; i++)
        if (!strcmp(table->spec[i].name, name)) return true;
    return false;
}

// The unknown tensor whose name is most like one that is missing; NULL: none is.
static const char *nearest_stranger(const tk_safetensors *s, const bool *known, const char *name)
{
    const char *best = NULL;
    int least = (int)strlen(name) / 2;
    for (int i = 0; i < s->n; i++) {
        const int d = known[i] ? least : tk_edit_distance(name, s->tensor[i].name);
        if (d >= least) continue;
        least = d;
        best = s->tensor[i].name;
    }
    return best;
}

static void add_missing(wrongs *w, const tk_safetensors *s, const bool *known, const char *name)
{
    if (!show_one(&w->missing, &w->n_missing)) return;
    const char *like = nearest_stranger(s, known, name);
    tk_text_add(&w->missing, name);
    if (like) tk_text_addf(&w->missing, " (the nearest is %s)", like);
}

static void add_other(wrongs *w, const tk_safe_tensor *t, const tk_param_spec *s)
{
    if (!show_one(&w->other, &w->n_other)) return;
    tk_text_addf(&w->other, "%s is %s (", t->name, tk_safe_type_name(t->type));
    for (int i = 0; i < t->ndim; i++)
        tk_text_addf(&w->other, "%s%" PRId64, i ? ", " : "", t->dim[i]);
    if (s->ndim == 1)
        tk_text_addf(&w->other, "), not (%" PRId64 ")", s->rows);
    else
        tk_text_addf(&w->other, "), not (%" PRId64 ", %" PRId64 ")", s->rows, s->cols);
}

static void tell_list(tk_text *to, int n, const char *what, const char *names)
{
    if (!n) return;
    tk_text_addf(to, "%s %s %d: ", to->used ? ";" : "", what, n);
    tk_text_add(to, names ? names : "");
}

static tk_status tell_wrongs(const char *path, const wrongs *w, tk_arena *a)
{
    tk_text all = tk_text_in(a);
    if (!w->n_missing && !w->n_unknown && !w->n_other) return TK_OK;
    tell_list(&all, w->n_missing, "missing are", w->missing.s);
    tell_list(&all, w->n_unknown, "unknown are", w->unknown.s);
    tell_list(&all, w->n_other, "of other shapes are", w->other.s);
    return all.s && w->missing.s && w->unknown.s && w->other.s
               ? TK_FAIL(TK_INPUT, "%s holds another model. Of its tensors%s", path, all.s)
               : TK_FAIL(TK_MEMORY, "out of memory for what is wrong");
}

static tk_status find_all(const char *path, const tk_safetensors *s, const tk_param_table *table,
                          bool may_add, tk_arena *a, tk_ck_tensor *tensor)
{
    wrongs w = {tk_text_in(a), tk_text_in(a), tk_text_in(a), 0, 0, 0};
    bool *known;
    TK_ARENA_NEW(known, a, s->n);
    for (int i = 0; i < s->n; i++) {
        known[i] = goes_with_model(&s->tensor[i]) || in_table(table, s->tensor[i].name);
        if (!known[i] && show_one(&w.unknown, &w.n_unknown))
            tk_text_add(&w.unknown, s->tensor[i].name);
    }
    for (int i = 0; i < table->n; i++) {
        const tk_param_spec *spec = &table->spec[i];
        const tk_safe_tensor *t = tk_safe_find(s, spec->name);
        if (!t && may_add && spec->added)
            tensor[i] = tk_ck_none(spec);
        else if (!t)
            add_missing(&w, s, known, spec->name);
        else if (!fits(t, spec))
            add_other(&w, t, spec);
        else
            tensor[i] = place_of_weight(t);
    }
    return tell_wrongs(path, &w, a);
}

static tk_status take_weight_files(const tk_safetensors *s, tk_ck_files *files)
{
    *files = (tk_ck_files){s->n_files, s->path};
    return TK_OK;
}

tk_status tk_ck_weights_find(const char *path, const tk_param_table *table, const char *group,
                             bool may_add, tk_arena *a, tk_ck_tensor *tensor, tk_ck_files *files)
{
    tk_safetensors s;
    if (strcmp(group, "model"))
        return TK_FAIL(TK_INPUT, "%s holds weights alone, no /%s: no run can go on from it", path,
                       group);
    TK_TRY(open_weights(path, a, &s));
    TK_TRY(find_all(path, &s, table, may_add, a, tensor));
    return take_weight_files(&s, files);
}

tk_status tk_ck_weights_list(const char *path, tk_arena *a, tk_ck_list *out)
{
    tk_safetensors s;
    TK_TRY(open_weights(path, a, &s));
    out->weights = true;
    out->told = tk_ck_is_folder(path) ? NULL : tk_safe_note_of(&s, "digest");
    TK_ARENA_NEW(out->tensor, a, s.n);
    TK_ARENA_NEW(out->name, a, s.n);
    for (int i = 0; i < s.n; i++) {
        if (s.tensor[i].type == TK_SAFE_U8 || goes_with_model(&s.tensor[i])) continue;
        out->tensor[out->n] = place_of_weight(&s.tensor[i]);
        out->name[out->n++] = (char *)s.tensor[i].name;
    }
    return take_weight_files(&s, &out->files);
}
