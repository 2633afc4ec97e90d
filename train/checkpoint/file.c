// SPDX-License-Identifier: Apache-2.0
// The HDF5 side of a checkpoint: laying it out and finding things in it, on one rank.
#include "core/base/files.h"
#include "core/base/version.h"
#include "train/checkpoint/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const groups[] = {"model", "ema", "adam/m", "adam/v"};
enum { GROUPS = sizeof groups / sizeof *groups, MAX_TENSORS = 1 << 20 };

// ---- writing -----------------------------------------------------------------------------------

// "adam/m": every level is made.
static tk_status make_group(hid_t file, const char *path, hid_t *out)
{
    char name[64];
    const char *slash = strchr(path, '/');
    if (!slash) return tk_h5_group(file, path, out);
    hid_t outer;
    snprintf(name, sizeof name, "%.*s", (int)(slash - path), path);
    TK_TRY(tk_h5_group(file, name, &outer));
    tk_status st = tk_h5_group(outer, slash + 1, out);
    H5Gclose(outer);
    return st;
}

static tk_status put_tensor(hid_t group, const tk_param_spec *s, tk_ck_tensor *t)
{
    const int64_t dim[2] = {s->rows, s->cols};
    TK_TRY(tk_h5_layout(group, s->name, H5T_IEEE_F32LE, s->ndim, dim, &t->address));
    hid_t set = H5Dopen2(group, s->name, H5P_DEFAULT);
    if (set < 0) return TK_FAIL(TK_IO, "cannot open the dataset %s just made", s->name);
    tk_status st = tk_h5_put_attr_i64(set, "digest", (int64_t)t->digest);
    H5Dclose(set);
    return st;
}

static tk_status put_group(hid_t file, const char *path, const tk_param_table *table,
                           tk_ck_tensor *tensor)
{
    hid_t group;
    tk_status st = TK_OK;
    TK_TRY(make_group(file, path, &group));
    for (int i = 0; i < table->n && st == TK_OK; i++)
        st = put_tensor(group, &table->spec[i], &tensor[i]);
    H5Gclose(group);
    return st;
}

static tk_status put_codec(hid_t file, const tk_codec *codec, bool refer)
{
    hid_t group;
    if (!codec) return TK_OK;
    TK_TRY(tk_h5_group(file, "codec", &group));
    tk_status st = tk_codec_write(codec, refer, group);
    H5Gclose(group);
    return st;
}

// What is not so is not said.
static tk_status put_flag(hid_t file, const char *name, bool is)
{
    return is ? tk_h5_put_attr_i64(file, name, 1) : TK_OK;
}

static tk_status get_flag(hid_t file, const char *name, bool *is)
{
    int64_t x = 0;
    if (H5Aexists(file, name) > 0) TK_TRY(tk_h5_get_attr_i64(file, name, &x));
    *is = x != 0;
    return TK_OK;
}

static tk_status put_meta(hid_t file, const tk_checkpoint_meta *meta)
{
    hid_t progress;
    TK_TRY(put_flag(file, "weights", meta->weights));
    TK_TRY(put_flag(file, "averaged", meta->averaged));
    TK_TRY(put_flag(file, "bare", meta->bare));
    TK_TRY(tk_h5_put_attr_i64(file, "step", meta->step));
    TK_TRY(tk_h5_put_attr_str(file, "config", meta->config ? meta->config : ""));
    TK_TRY(tk_h5_put_attr_str(file, "git", tk_revision()));
    TK_TRY(tk_h5_group(file, "progress", &progress));
    tk_status st = tk_h5_put_attr_f64(progress, "ema_updates", meta->ema_updates);
    if (st == TK_OK && meta->clips)
        st = tk_h5_put_attr_i64(progress, "clips", (int64_t)meta->clips);
    H5Gclose(progress);
    TK_TRY(st);
    const int64_t shape[] = {meta->text.empty_rows, meta->text.channels};
    if (meta->text.empty)
        TK_TRY(tk_h5_put(file, TK_EMPTY_FEATURES, H5T_NATIVE_FLOAT, 2, shape, meta->text.empty));
    return put_codec(file, meta->codec, meta->refer);
}

static tk_status claim_space(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return TK_FAIL(TK_IO, "cannot open %s: %s", path, strerror(errno));
    const tk_status st = tk_file_claim(fd, path);
    close(fd);
    return st;
}

tk_status tk_ck_lay_out(const char *path, const tk_checkpoint_meta *meta,
                        const tk_param_table *table, int n, const tk_flat *flat,
                        tk_ck_tensor *tensor)
{
    hid_t file;
    TK_TRY(tk_h5_create(path, TK_CHECKPOINT_FORMAT, TK_CHECKPOINT_VERSION, &file));
    tk_status st = put_meta(file, meta);
    for (int k = 0; k < n && st == TK_OK; k++)
        st = put_group(file, flat[k].group, table, tensor + (int64_t)k * table->n);
    tk_status closed = tk_h5_close(file, path);
    TK_TRY(st != TK_OK ? st : closed);
    TK_TRY(tk_ck_seal(path, (int64_t)n * table->n, tensor));
    return claim_space(path);
}

// ---- reading -----------------------------------------------------------------------------------

tk_status tk_ck_open(const char *path, hid_t *file)
{
    TK_TRY(tk_ck_check_seal(path));
    return tk_h5_open(path, TK_CHECKPOINT_FORMAT, TK_CHECKPOINT_VERSION, file);
}

static tk_status read_empty_features(hid_t file, tk_arena *a, tk_text_form *out)
{
    int64_t shape[] = {-1, -1};
    void *x;
    if (!tk_h5_exists(file, TK_EMPTY_FEATURES)) return TK_OK;
    TK_TRY(tk_h5_get(file, TK_EMPTY_FEATURES, H5T_NATIVE_FLOAT, 2, shape, a, &x));
    *out = (tk_text_form){.channels = shape[1], .empty_rows = shape[0], .empty = x};
    return tk_ck_check_empty(out);
}

static tk_status read_open_meta(hid_t file, const char *codec_file, tk_arena *a,
                                tk_checkpoint_meta *out)
{
    hid_t group;
    TK_TRY(tk_h5_get_attr_i64(file, "step", &out->step));
    TK_TRY(tk_h5_get_attr_str(file, "config", a, &out->config));
    if (out->step < 0) return TK_FAIL(TK_INPUT, "its step is %lld", (long long)out->step);
    TK_TRY(tk_h5_group(file, "progress", &group));
    int64_t clips = 0;
    tk_status st = tk_h5_get_attr_f64(group, "ema_updates", &out->ema_updates);
    if (st == TK_OK && H5Aexists(group, "clips") > 0)
        st = tk_h5_get_attr_i64(group, "clips", &clips);
    out->clips = (uint64_t)clips;
    H5Gclose(group);
    TK_TRY(st);
    TK_TRY(read_empty_features(file, a, &out->text));
    TK_TRY(get_flag(file, "weights", &out->weights));
    TK_TRY(get_flag(file, "averaged", &out->averaged));
    TK_TRY(get_flag(file, "bare", &out->bare));
    const bool carries = tk_h5_exists(file, "codec");
    if (codec_file && *codec_file && out->weights && !carries)
        return tk_codec_open(codec_file, &out->codec);
    if (!codec_file || !carries) return TK_OK;
    TK_TRY(tk_h5_group(file, "codec", &group));
    out->refer = tk_codec_refers(group);
    st = tk_codec_read(group, codec_file, &out->codec);
    H5Gclose(group);
    return st;
}

tk_status tk_ck_read_meta(const char *path, const char *codec_file, tk_arena *a,
                          tk_checkpoint_meta *out)
{
    hid_t file;
    bool weights;
    *out = (tk_checkpoint_meta){0};
    TK_TRY(tk_ck_is_weights(path, &weights));
    if (weights) return tk_ck_weights_meta(path, codec_file, a, out);
    TK_TRY(tk_ck_open(path, &file));
    tk_status st = read_open_meta(file, codec_file, a, out);
    tk_h5_close(file, path);
    TK_TRY(tk_status_in_file(st, path));
    return TK_OK;
}

// A dataset's place and digest; dim (ndim) as the file has it.
static tk_status get_tensor(hid_t group, const char *name, int *ndim, int64_t dim[2],
                            tk_ck_tensor *t)
{
    int64_t bytes, digest;
    TK_TRY(tk_h5_shape(group, name, 2, ndim, dim));
    TK_TRY(tk_h5_address(group, name, &t->address, &bytes));
    t->count = 1;
    for (int i = 0; i < *ndim; i++) TK_TRY(tk_mul_size(t->count, dim[i], &t->count));
    if (bytes / (int64_t)sizeof(float) != t->count || bytes % (int64_t)sizeof(float))
        return TK_FAIL(TK_INPUT, "%s is not of 4-byte numbers", name);
    hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    if (set < 0) return TK_FAIL(TK_INPUT, "%s cannot be opened", name);
    tk_status st = tk_h5_get_attr_i64(set, "digest", &digest);
    H5Dclose(set);
    t->digest = (uint64_t)digest;
    return st;
}

static tk_status find_tensor(hid_t group, const char *path, const char *in, const tk_param_spec *s,
                             tk_ck_tensor *t)
{
    int64_t dim[2] = {1, 1};
    int ndim = 0;
    if (!tk_h5_exists(group, s->name))
        return TK_FAIL(TK_INPUT, "%s: /%s/%s is missing: it holds another model than the config",
                       path, in, s->name);
    TK_TRY(get_tensor(group, s->name, &ndim, dim, t));
    if (ndim == s->ndim && dim[0] == s->rows && (ndim == 1 || dim[1] == s->cols)) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: /%s/%s is (%lld, %lld), but this model needs (%lld, %lld)", path,
                   in, s->name, (long long)dim[0], (long long)dim[1], (long long)s->rows,
                   (long long)s->cols);
}

static tk_status find_group(hid_t file, const char *path, const char *name,
                            const tk_param_table *table, bool may_add, tk_ck_tensor *tensor)
{
    hid_t group;
    H5G_info_t info;
    tk_status st = TK_OK;
    int n = 0; // of the table's that are there
    if (!tk_h5_exists(file, name)) return TK_FAIL(TK_INPUT, "%s has no group /%s", path, name);
    TK_TRY(tk_h5_group(file, name, &group));
    for (int i = 0; i < table->n && st == TK_OK; i++) {
        const tk_param_spec *s = &table->spec[i];
        const bool none = may_add && s->added && !tk_h5_exists(group, s->name);
        if (none)
            tensor[i] = tk_ck_none(s);
        else
            st = find_tensor(group, path, name, s, &tensor[i]);
        n += !none;
    }
    if (st == TK_OK && (H5Gget_info(group, &info) < 0 || info.nlinks != (hsize_t)n))
        st = TK_FAIL(TK_INPUT,
                     "%s: /%s holds %lld tensors, but this model has %d: it is another model's",
                     path, name, (long long)info.nlinks, n);
    H5Gclose(group);
    return st;
}

tk_status tk_ck_find(const char *path, const tk_param_table *table, int n, const tk_flat *flat,
                     bool may_add, tk_arena *a, tk_ck_tensor *tensor, tk_ck_files *files)
{
    hid_t file;
    bool weights;
    tk_status st = TK_OK;
    TK_TRY(tk_ck_is_weights(path, &weights));
    if (weights)
        return tk_ck_weights_find(path, table, flat[n - 1].group, may_add, a, tensor, files);
    TK_TRY(tk_ck_one_file(path, a, files));
    TK_TRY(tk_ck_open(path, &file));
    for (int k = 0; k < n && st == TK_OK; k++)
        st = find_group(file, path, flat[k].group, table, may_add, tensor + (int64_t)k * table->n);
    tk_h5_close(file, path);
    TK_TRY(tk_status_in_file(st, path));
    return TK_OK;
}

// ---- listing -----------------------------------------------------------------------------------

typedef struct visit {
    tk_ck_list *list;
    const char *group;
} visit;

static tk_status list_one(hid_t group, const char *in, const char *name, tk_ck_list *l)
{
    int64_t dim[2];
    int ndim;
    if (l->n == l->cap) {
        const int64_t cap = l->cap ? 2 * l->cap : 256;
        if (cap > MAX_TENSORS) return TK_FAIL(TK_INPUT, "more than %d tensors", MAX_TENSORS);
        tk_ck_tensor *t;
        char **names;
        TK_ARENA_NEW(t, l->arena, cap);
        TK_ARENA_NEW(names, l->arena, cap);
        if (l->n) memcpy(t, l->tensor, (size_t)l->n * sizeof *t);
        if (l->n) memcpy(names, l->name, (size_t)l->n * sizeof *names);
        l->tensor = t;
        l->name = names;
        l->cap = cap;
    }
    TK_TRY(get_tensor(group, name, &ndim, dim, &l->tensor[l->n]));
    l->name[l->n] = tk_arena_printf(l->arena, "/%s/%s", in, name);
    if (!l->name[l->n]) return TK_FAIL(TK_MEMORY, "out of memory");
    l->n++;
    return TK_OK;
}

static herr_t on_link(hid_t group, const char *name, const H5L_info_t *info, void *ctx)
{
    visit *v = ctx;
    (void)info;
    v->list->status = list_one(group, v->group, name, v->list);
    return v->list->status == TK_OK ? 0 : -1;
}

static tk_status list_group(hid_t file, const char *path, const char *name, tk_ck_list *l)
{
    hid_t group;
    visit v = {l, name};
    if (!tk_h5_exists(file, name)) return TK_OK;
    TK_TRY(tk_h5_group(file, name, &group));
    const herr_t r = H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, NULL, on_link, &v);
    H5Gclose(group);
    if (l->status != TK_OK) return l->status;
    return r < 0 ? TK_FAIL(TK_INPUT, "%s: /%s cannot be listed", path, name) : TK_OK;
}

tk_status tk_ck_list_all(const char *path, tk_arena *a, tk_ck_list *out)
{
    hid_t file;
    bool weights;
    tk_status st = TK_OK;
    *out = (tk_ck_list){.arena = a};
    TK_TRY(tk_ck_is_weights(path, &weights));
    if (weights) return tk_ck_weights_list(path, a, out);
    TK_TRY(tk_ck_one_file(path, a, &out->files));
    TK_TRY(tk_ck_open(path, &file));
    for (int k = 0; k < GROUPS && st == TK_OK; k++) st = list_group(file, path, groups[k], out);
    if (st == TK_OK && !tk_h5_exists(file, "model"))
        st = TK_FAIL(TK_INPUT, "%s has no group /model", path);
    tk_h5_close(file, path);
    TK_TRY(tk_status_in_file(st, path));
    return TK_OK;
}

tk_status tk_checkpoint_has(const char *path, const char *group, bool *has)
{
    hid_t file;
    bool weights;
    *has = !strcmp(group, "model");
    TK_TRY(tk_ck_is_weights(path, &weights));
    if (weights) return TK_OK;
    TK_TRY(tk_ck_open(path, &file));
    *has = tk_h5_exists(file, group);
    return tk_h5_close(file, path);
}
