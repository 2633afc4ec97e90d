// SPDX-License-Identifier: Apache-2.0
// One file: its header, believed only after it was held against the file's size.
#include "core/store/safetensors.h"
#include "core/numbers/half.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH = 8, HEADER_MAX = 16 << 20, NOTES_MAX = 1000 };

static const struct {
    const char *name;
    int64_t bytes;
} types[TK_SAFE_TYPES] = {[TK_SAFE_F32] = {"F32", 4},
                          [TK_SAFE_BF16] = {"BF16", 2},
                          [TK_SAFE_F16] = {"F16", 2},
                          [TK_SAFE_U8] = {"U8", 1}};

int64_t tk_safe_bytes(tk_safe_type t)
{
    return types[t].bytes;
}

const char *tk_safe_type_name(tk_safe_type t)
{
    return types[t].name;
}

tk_status tk_safe_is(const char *path, bool *is)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(path), m = sizeof suffix - 1;
    unsigned char head[LENGTH + 1];
    struct stat s;
    int fd;
    *is = n > m && !strcmp(path + n - m, suffix);
    if (*is || stat(path, &s) || !S_ISREG(s.st_mode)) return TK_OK;
    TK_TRY(tk_file_open(path, &fd, NULL));
    *is = pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head && head[LENGTH] == '{' &&
          head[LENGTH - 1] == 0;
    close(fd);
    return TK_OK;
}

// ---- a tensor's entry --------------------------------------------------------------------------

typedef struct safe_header { // being read
    const char *path;
    int64_t data, bytes; // where numbers begin; of the file
    tk_arena *arena;
    tk_safetensors *out;
} safe_header;

// Bytes of a name that can be shown: jansson has seen to it that it is UTF-8.
static bool is_name(const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127) return false;
    return n > 0 && n <= TK_SAFE_NAME;
}

static tk_status read_type(const safe_header *h, const json_t *entry, tk_safe_tensor *t)
{
    const char *word = json_string_value(json_object_get(entry, "dtype"));
    for (int k = 0; k < TK_SAFE_TYPES && word; k++)
        if (!strcmp(word, types[k].name)) {
            t->type = (tk_safe_type)k;
            return TK_OK;
        }
    return TK_FAIL(TK_INPUT, "%s: %s: dtype %.20s is not known here; F32, BF16, F16 and U8 are",
                   h->path, t->name, word && is_name(word) ? word : "(no text)");
}

static tk_status read_shape(const safe_header *h, const json_t *entry, tk_safe_tensor *t)
{
    const json_t *shape = json_object_get(entry, "shape");
    const size_t n = json_array_size(shape);
    if (!json_is_array(shape) || n > TK_SAFE_DIM)
        return TK_FAIL(TK_INPUT, "%s: %s: its shape is not a list of at most %d numbers", h->path,
                       t->name, TK_SAFE_DIM);
    t->ndim = (int)n;
    t->count = 1;
    for (int i = 0; i < t->ndim; i++) {
        const json_t *side = json_array_get(shape, (size_t)i);
        t->dim[i] = json_integer_value(side);
        if (!json_is_integer(side) || t->dim[i] < 0)
            return TK_FAIL(TK_INPUT, "%s: %s: a side of its shape is not a whole number from 0",
                           h->path, t->name);
    }
    int64_t bytes = types[t->type].bytes;
    for (int i = 0; i < t->ndim; i++)
        if (__builtin_mul_overflow(t->count, t->dim[i], &t->count) ||
            __builtin_mul_overflow(bytes, t->dim[i], &bytes))
            return TK_FAIL(TK_INPUT, "%s: %s: its shape has more elements than can be counted",
                           h->path, t->name);
    return TK_OK;
}

static tk_status read_offsets(const safe_header *h, const json_t *entry, tk_safe_tensor *t)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    const int64_t begin = json_integer_value(from), end = json_integer_value(to);
    const int64_t all = h->bytes - h->data, wanted = t->count * types[t->type].bytes;
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return TK_FAIL(TK_INPUT, "%s: %s: data_offsets must be two whole numbers, [begin, end]",
                       h->path, t->name);
    if (begin < 0 || end < begin)
        return TK_FAIL(TK_INPUT, "%s: %s: data_offsets [%lld, %lld] are no stretch of the file",
                       h->path, t->name, (long long)begin, (long long)end);
    if (end > all)
        return TK_FAIL(TK_INPUT,
                       "%s: %s: its numbers end at byte %lld of the data, of which the file has "
                       "%lld: it is truncated, or its header lies",
                       h->path, t->name, (long long)end, (long long)all);
    if (end - begin != wanted)
        return TK_FAIL(TK_INPUT,
                       "%s: %s: %lld elements of %s are %lld bytes, but data_offsets span %lld",
                       h->path, t->name, (long long)t->count, types[t->type].name,
                       (long long)wanted, (long long)(end - begin));
    t->address = h->data + begin;
    return TK_OK;
}

static tk_status read_entry(const safe_header *h, const char *name, const json_t *entry,
                            tk_safe_tensor *t)
{
    if (!is_name(name))
        return TK_FAIL(TK_INPUT,
                       "%s: a tensor's name is empty, longer than %d bytes or unprintable", h->path,
                       TK_SAFE_NAME);
    if (!json_is_object(entry))
        return TK_FAIL(TK_INPUT, "%s: %s: not described by dtype, shape and data_offsets", h->path,
                       name);
    t->name = tk_arena_strdup(h->arena, name);
    if (!t->name) return TK_FAIL(TK_MEMORY, "out of memory for names of tensors");
    TK_TRY(read_type(h, entry, t));
    TK_TRY(read_shape(h, entry, t));
    return read_offsets(h, entry, t);
}

// ---- the header as a whole ---------------------------------------------------------------------

static tk_status read_notes(const safe_header *h, json_t *notes)
{
    const char *key;
    json_t *value;
    const size_t n = json_object_size(notes);
    if (!json_is_object(notes) || n > NOTES_MAX)
        return TK_FAIL(TK_INPUT, "%s: __metadata__ is not a list of at most %d texts by key",
                       h->path, NOTES_MAX);
    TK_ARENA_NEW(h->out->note, h->arena, (int64_t)n);
    json_object_foreach(notes, key, value)
    {
        if (!json_is_string(value))
            return TK_FAIL(TK_INPUT, "%s: __metadata__ may hold texts alone", h->path);
        tk_safe_note *to = &h->out->note[h->out->n_notes++];
        to->key = tk_arena_strdup(h->arena, key);
        to->value = tk_arena_strdup(h->arena, json_string_value(value));
        if (!to->key || !to->value) return TK_FAIL(TK_MEMORY, "out of memory for __metadata__");
    }
    return TK_OK;
}

static int by_place(const void *x, const void *y)
{
    const tk_safe_tensor *a = x, *b = y;
    if (a->address != b->address) return a->address < b->address ? -1 : 1;
    return (a->count > b->count) - (a->count < b->count); // empty ones first
}

static int by_name(const void *x, const void *y)
{
    return strcmp(((const tk_safe_tensor *)x)->name, ((const tk_safe_tensor *)y)->name);
}

// End to end, all of the file's data. Leaves the tensors by name.
static tk_status check_layout(const safe_header *h)
{
    tk_safetensors *s = h->out;
    int64_t at = h->data;
    const char *before = "the header";
    if (s->n) qsort(s->tensor, (size_t)s->n, sizeof *s->tensor, by_place);
    for (int i = 0; i < s->n; i++) {
        const tk_safe_tensor *t = &s->tensor[i];
        if (t->address < at)
            return TK_FAIL(TK_INPUT, "%s: the numbers of %s begin among those of %s", h->path,
                           t->name, before);
        if (t->address > at)
            return TK_FAIL(TK_INPUT, "%s: %lld bytes between %s and %s belong to no tensor",
                           h->path, (long long)(t->address - at), before, t->name);
        at += t->count * types[t->type].bytes;
        before = t->name;
    }
    if (at != h->bytes)
        return TK_FAIL(TK_INPUT, "%s: %lld bytes behind %s belong to no tensor", h->path,
                       (long long)(h->bytes - at), before);
    if (s->n) qsort(s->tensor, (size_t)s->n, sizeof *s->tensor, by_name);
    return TK_OK;
}

static tk_status read_root(safe_header *h, json_t *root)
{
    const char *name;
    json_t *entry;
    if (!json_is_object(root))
        return TK_FAIL(TK_INPUT, "%s: its header is not a JSON object", h->path);
    TK_ARENA_NEW(h->out->tensor, h->arena, (int64_t)json_object_size(root));
    json_object_foreach(root, name, entry)
    {
        if (!strcmp(name, "__metadata__"))
            TK_TRY(read_notes(h, entry));
        else
            TK_TRY(read_entry(h, name, entry, &h->out->tensor[h->out->n++]));
    }
    return check_layout(h);
}

static tk_status parse_text(safe_header *h, const char *text, size_t bytes)
{
    json_error_t error;
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return TK_FAIL(TK_INPUT, "%s: its header is not JSON: %.120s (line %d, column %d)", h->path,
                       error.text, error.line, error.column);
    const tk_status st = read_root(h, root);
    json_decref(root);
    return st;
}

static tk_status read_header(safe_header *h, int fd)
{
    unsigned char length[LENGTH];
    char *text;
    uint64_t n = 0;
    if (h->bytes < LENGTH)
        return TK_FAIL(TK_INPUT, "%s is no safetensors file: it has %lld bytes", h->path,
                       (long long)h->bytes);
    TK_TRY(tk_pread_all(fd, h->path, length, LENGTH, 0));
    for (int i = LENGTH - 1; i >= 0; i--) n = n << 8 | length[i];
    if (n > HEADER_MAX)
        return TK_FAIL(TK_INPUT,
                       "%s is no safetensors file, or damaged: its header would have %llu bytes; "
                       "at most %d are possible here",
                       h->path, (unsigned long long)n, HEADER_MAX);
    if ((int64_t)n > h->bytes - LENGTH)
        return TK_FAIL(TK_INPUT,
                       "%s is truncated or damaged: its header would have %llu bytes, the file has "
                       "%lld",
                       h->path, (unsigned long long)n, (long long)h->bytes);
    h->data = LENGTH + (int64_t)n;
    TK_NEW(text, (int64_t)n + 1);
    tk_status st = tk_pread_all(fd, h->path, text, (size_t)n, LENGTH);
    if (st == TK_OK) st = parse_text(h, text, (size_t)n);
    tk_free(text);
    return st;
}

tk_status tk_safe_open(const char *path, tk_arena *a, tk_safetensors *out)
{
    safe_header h = {.path = path, .arena = a, .out = out};
    int fd;
    *out = (tk_safetensors){.n_files = 1};
    TK_ARENA_NEW(out->path, a, 1);
    out->path[0] = tk_arena_strdup(a, path);
    if (!out->path[0]) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    TK_TRY(tk_file_open(path, &fd, &h.bytes));
    const tk_status st = read_header(&h, fd);
    close(fd);
    TK_TRY(st);
    return TK_OK;
}

const tk_safe_tensor *tk_safe_find(const tk_safetensors *s, const char *name)
{
    const tk_safe_tensor key = {.name = name};
    return s->n ? bsearch(&key, s->tensor, (size_t)s->n, sizeof key, by_name) : NULL;
}

const char *tk_safe_note_of(const tk_safetensors *s, const char *key)
{
    for (int i = 0; i < s->n_notes; i++)
        if (!strcmp(s->note[i].key, key)) return s->note[i].value;
    return NULL;
}

// ---- numbers -----------------------------------------------------------------------------------

// The halves lie behind the middle of x, so that none is written over before it was read.
static void widen_in_place(float *x, int64_t n, tk_safe_type type)
{
    const char *halves = (const char *)x + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, halves + 2 * i, sizeof h);
        x[i] = type == TK_SAFE_BF16 ? tk_bf16_to_float(h) : tk_fp16_to_float(h);
    }
}

tk_status tk_safe_get(int fd, const char *path, const tk_safe_tensor *t, int64_t first, int64_t n,
                      float *x)
{
    const int64_t each = types[t->type].bytes;
    if (t->type == TK_SAFE_U8)
        return TK_FAIL(TK_INPUT, "%s: %s holds bytes (U8), not numbers", path, t->name);
    char *to = (char *)x + (4 - each) * n;
    TK_TRY(tk_pread_all(fd, path, to, (size_t)(n * each), t->address + first * each));
    if (each == 2) widen_in_place(x, n, t->type);
    return TK_OK;
}
