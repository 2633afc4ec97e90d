// SPDX-License-Identifier: Apache-2.0
// The files of written weights, on rank 0: laid out before there are numbers, finished after.
#include "core/base/version.h"
#include "core/store/safetensors.h"
#include "train/checkpoint/internal.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NOTES = 8, CONFIG_MAX = 1 << 20, TELLING = 2 }; // files that tell: index and config.json

// ---- a folder ----------------------------------------------------------------------------------

// What runs that died left in a folder is no content.
static tk_status look_for_content(const char *folder)
{
    DIR *d = opendir(folder);
    tk_status st = TK_OK;
    if (!d) return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", folder, tk_io_words(errno));
    for (struct dirent *e; st == TK_OK && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && !strstr(e->d_name, ".part-"))
            st = TK_FAIL(TK_INPUT,
                         "%s is there already and holds %s: name a folder that is not there, or an "
                         "empty one",
                         folder, e->d_name);
    closedir(d);
    return st;
}

static tk_status make_folder(tk_ck_export *x)
{
    if (mkdir(x->to, 0777) == 0) {
        x->made_folder = true;
        return TK_OK;
    }
    if (errno == EEXIST) return look_for_content(x->to);
    return TK_FAIL(tk_io_code(errno), "cannot make the folder %s: %s", x->to, tk_io_words(errno));
}

// ---- laying out --------------------------------------------------------------------------------

static void describe_weight(const tk_param_spec *s, tk_safe_type type, tk_safe_tensor *t)
{
    *t =
        (tk_safe_tensor){.name = s->name, .type = type, .ndim = s->ndim, .dim = {s->rows, s->cols}};
    t->count = s->rows * s->cols;
}

// Which file each tensor goes to; how many files.
static int share_out_files(const tk_ck_export *x)
{
    int file = 0;
    int64_t bytes = 0;
    for (int i = 0; i < x->table.n; i++) {
        tk_safe_tensor *t = &x->tensor[i];
        const int64_t own = t->count * tk_safe_bytes(t->type);
        if (x->form->folder && bytes && bytes + own > x->form->shard) {
            file++;
            bytes = 0;
        }
        bytes += own;
        t->file = file;
    }
    return file + 1;
}

static const char *name_shard(tk_ck_export *x, int i, int n)
{
    if (!x->form->folder) return x->to;
    if (n == 1) return tk_arena_printf(&x->arena, "%s/%s.safetensors", x->to, TK_DIFFUSERS_STEM);
    return tk_arena_printf(&x->arena, "%s/%s-%05d-of-%05d.safetensors", x->to, TK_DIFFUSERS_STEM,
                           i + 1, n);
}

static tk_status begin_file(tk_ck_export *x, const char *path)
{
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_file_begin(&x->file[x->n_files], path));
    x->n_files++;
    return TK_OK;
}

static tk_status begin_shards(tk_ck_export *x, int n)
{
    TK_ARENA_NEW(x->file, &x->arena, n + TELLING);
    TK_ARENA_NEW(x->head, &x->arena, n);
    TK_ARENA_NEW(x->head_bytes, &x->arena, n);
    TK_ARENA_NEW(x->target_files.path, &x->arena, n);
    for (int i = 0; i < n; i++) {
        TK_TRY(begin_file(x, name_shard(x, i, n)));
        x->target_files.path[x->target_files.n++] = x->file[i].tmp;
    }
    return TK_OK;
}

// The notes of file `f`; how many.
static int list_notes(tk_ck_export *x, uint64_t digest, tk_safe_note note[NOTES])
{
    const bool averaged = x->form->average || x->meta->averaged;
    int n = 0;
    if (x->form->folder) {
        note[n++] = (tk_safe_note){"format", "pt"};
        return n;
    }
    note[n++] = (tk_safe_note){"format", TK_WEIGHTS_FORMAT};
    note[n++] = (tk_safe_note){"version", tk_arena_printf(&x->arena, "%d", TK_WEIGHTS_VERSION)};
    note[n++] = (tk_safe_note){"config", x->meta->config};
    note[n++] = (tk_safe_note){"step", tk_arena_printf(&x->arena, "%" PRId64, x->meta->step)};
    note[n++] = (tk_safe_note){"averaged", averaged ? "yes" : "no"};
    note[n++] = (tk_safe_note){"digest", tk_arena_printf(&x->arena, "%016" PRIx64, digest)};
    note[n++] = (tk_safe_note){"revision", tk_revision()};
    if (x->meta->bare) note[n++] = (tk_safe_note){"bare", "yes"};
    return n;
}

// Tensors of a file lie side by side in x->tensor: those from *at on, which goes behind them.
static tk_status make_head(tk_ck_export *x, int file, int n_tensors, uint64_t digest, int *at,
                           int64_t *total)
{
    tk_safe_note note[NOTES];
    const int n_notes = list_notes(x, digest, note), from = *at;
    for (int i = 0; i < n_notes; i++)
        if (!note[i].value) return TK_FAIL(TK_MEMORY, "out of memory for a header");
    while (*at < n_tensors && x->tensor[*at].file == file) ++*at;
    return tk_safe_head(n_notes, note, *at - from, x->tensor + from, &x->arena, &x->head[file],
                        &x->head_bytes[file], total);
}

static tk_status claim_bytes(const tk_file *f, int64_t total)
{
    if (ftruncate(f->fd, total))
        return TK_FAIL(TK_IO, "cannot write %s: %s", f->path, tk_io_words(errno));
    return tk_file_claim(f->fd, f->path);
}

static tk_status write_heads(tk_ck_export *x, int n_tensors, uint64_t digest)
{
    int at = 0;
    for (int i = 0; i < x->target_files.n; i++) {
        int64_t total;
        TK_TRY(make_head(x, i, n_tensors, digest, &at, &total));
        TK_TRY(
            tk_pwrite_all(x->file[i].fd, x->file[i].path, x->head[i], (size_t)x->head_bytes[i], 0));
        TK_TRY(claim_bytes(&x->file[i], total));
    }
    return TK_OK;
}

// The bytes of the codec as a file, which lies beside the temporary under its name and more.
static tk_status read_codec_bytes(tk_ck_export *x, char **bytes, size_t *n)
{
    const char *path = tk_arena_printf(&x->arena, "%s.codec", x->file[0].tmp);
    int fd;
    int64_t size;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_codec_save(path, x->meta->codec));
    tk_status st = tk_file_open(path, &fd, &size);
    if (st == TK_OK) {
        *n = (size_t)size;
        *bytes = tk_arena_alloc(&x->arena, *n);
        st = *bytes ? tk_pread_all(fd, path, *bytes, *n, 0)
                    : TK_FAIL(TK_MEMORY, "out of memory for a codec");
        close(fd);
    }
    unlink(path);
    return st;
}

// What goes with the model's numbers: behind them, in the same file.
typedef struct extra {
    void *x;
    size_t bytes;
} extra;
enum { EXTRAS = 2 };

static tk_status add_extras(tk_ck_export *x, extra e[EXTRAS])
{
    const tk_checkpoint_meta *m = x->meta;
    int n = x->table.n;
    if (m->codec) {
        char *bytes = NULL;
        TK_TRY(read_codec_bytes(x, &bytes, &e[n - x->table.n].bytes));
        e[n - x->table.n].x = bytes;
        x->tensor[n] = (tk_safe_tensor){.name = TK_CODEC_TENSOR, .type = TK_SAFE_U8, .ndim = 1};
        x->tensor[n].dim[0] = (int64_t)e[n - x->table.n].bytes;
        n++;
    }
    if (m->text.empty) {
        e[n - x->table.n] = (extra){(void *)m->text.empty,
                                    tk_array_bytes(m->text.empty_rows * m->text.channels, 4)};
        x->tensor[n++] = (tk_safe_tensor){.name = TK_EMPTY_FEATURES,
                                          .type = TK_SAFE_F32,
                                          .ndim = 2,
                                          .dim = {m->text.empty_rows, m->text.channels}};
    }
    x->n_tensors = n;
    return TK_OK;
}

static tk_status lay_out_numbers(tk_ck_export *x)
{
    extra e[EXTRAS] = {{0}};
    const int n = x->table.n;
    x->n_tensors = n;
    if (!x->form->folder) TK_TRY(add_extras(x, e));
    TK_TRY(write_heads(x, x->n_tensors, 0));
    for (int i = 0; i < n; i++)
        x->target[i] = (tk_ck_tensor){.address = x->tensor[i].address,
                                      .count = x->tensor[i].count,
                                      .file = x->tensor[i].file,
                                      .type = (int32_t)x->tensor[i].type};
    for (int i = n; i < x->n_tensors; i++)
        TK_TRY(
            tk_pwrite_all(x->file[0].fd, x->to, e[i - n].x, e[i - n].bytes, x->tensor[i].address));
    return TK_OK;
}

static tk_status lay_out_checkpoint(tk_ck_export *x)
{
    const tk_flat flat = {.group = "model"};
    tk_checkpoint_meta meta = *x->meta;
    meta.weights = true;
    meta.averaged = x->form->average || meta.averaged;
    meta.refer = false;
    for (int i = 0; i < x->table.n; i++)
        x->target[i] =
            (tk_ck_tensor){.count = x->source[i].count, .digest = x->sum[i], .type = TK_SAFE_F32};
    return tk_ck_lay_out(x->file[0].tmp, &meta, &x->table, 1, &flat, x->target);
}

tk_status tk_ck_export_lay_out(tk_ck_export *x)
{
    const tk_safe_type type = x->form->bf16 ? TK_SAFE_BF16 : TK_SAFE_F32;
    TK_ARENA_NEW(x->tensor, &x->arena, x->table.n + EXTRAS);
    for (int i = 0; i < x->table.n; i++) describe_weight(&x->table.spec[i], type, &x->tensor[i]);
    if (x->form->folder) TK_TRY(make_folder(x));
    TK_TRY(begin_shards(x, share_out_files(x)));
    return x->form->checkpoint ? lay_out_checkpoint(x) : lay_out_numbers(x);
}

// ---- finishing ---------------------------------------------------------------------------------

static tk_status add_text(tk_ck_export *x, const char *name, const char *text)
{
    if (!text) return TK_FAIL(TK_MEMORY, "out of memory for %s", name);
    TK_TRY(begin_file(x, tk_arena_printf(&x->arena, "%s/%s", x->to, name)));
    return tk_pwrite_all(x->file[x->n_files - 1].fd, name, text, strlen(text), 0);
}

static tk_status add_index(tk_ck_export *x)
{
    json_int_t total = 0;
    json_t *map = json_object();
    for (int i = 0; i < x->table.n; i++) {
        const tk_safe_tensor *t = &x->tensor[i];
        total += t->count * tk_safe_bytes(t->type);
        json_object_set_new(map, t->name, json_string(strrchr(x->file[t->file].path, '/') + 1));
    }
    json_t *root = json_pack("{s:{s:I}, s:o}", "metadata", "total_size", total, "weight_map", map);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    const tk_status st = add_text(x, TK_DIFFUSERS_STEM ".safetensors.index.json", text);
    free(text); // style: allow, jansson's
    return st;
}

// As it came, where it came from such a folder: it may say more than our options do.
static tk_status add_config(tk_ck_export *x)
{
    char *text;
    size_t bytes;
    if (!tk_ck_is_folder(x->from)) {
        TK_TRY(tk_ck_diffusers_text(x->config, &x->arena, &text));
    } else {
        const char *path = tk_arena_printf(&x->arena, "%s/%s", x->from, TK_DIFFUSERS_CONFIG);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        TK_TRY(tk_file_read(path, CONFIG_MAX, &x->arena, &text, &bytes));
    }
    return add_text(x, TK_DIFFUSERS_CONFIG, text);
}

static tk_status tell_digest(tk_ck_export *x)
{
    char **name;
    const int n = x->table.n;
    TK_ARENA_NEW(name, &x->arena, n);
    for (int i = 0; i < n; i++) name[i] = x->table.spec[i].name;
    return write_heads(x, x->n_tensors, tk_ck_digest_all(n, name, x->sum));
}

tk_status tk_ck_export_finish(tk_ck_export *x)
{
    if (!x->form->folder && !x->form->checkpoint) TK_TRY(tell_digest(x));
    if (x->form->folder && x->target_files.n > 1) TK_TRY(add_index(x));
    if (x->form->folder) TK_TRY(add_config(x));
    const int n = x->n_files;
    x->n_files = 0;
    TK_TRY(tk_files_commit(n, x->file));
    x->made_folder = false;
    return TK_OK;
}

void tk_ck_export_drop(tk_ck_export *x)
{
    for (int i = 0; i < x->n_files; i++) tk_file_abort(&x->file[i]);
    if (x->made_folder) rmdir(x->to);
}
