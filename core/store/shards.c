// SPDX-License-Identifier: Apache-2.0
// A folder in the layout of diffusers: one file, or shards and an index that says where each tensor
// lies. The index is held against the shards, both ways.
#include "core/store/safetensors.h"
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INDEX_MAX = 16 << 20, SHARDS_MAX = 10000, SHOWN = 8, WORDS = 700 };

static char *whole_name(const char *folder, const char *stem, tk_arena *a)
{
    return tk_arena_printf(a, "%s/%s.safetensors", folder, stem);
}

static char *index_name(const char *folder, const char *stem, tk_arena *a)
{
    return tk_arena_printf(a, "%s/%s.safetensors.index.json", folder, stem);
}

static bool is_there(const char *path)
{
    return path && access(path, F_OK) == 0;
}

bool tk_safe_in_folder(const char *folder, const char *stem)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const bool there =
        is_there(whole_name(folder, stem, &a)) || is_there(index_name(folder, stem, &a));
    tk_arena_free(&a);
    return there;
}

// ---- the index ---------------------------------------------------------------------------------

typedef struct shards { // being read
    const char *folder, *index;
    tk_arena *arena;
    json_t *map;       // tensor -> file
    const char **file; // (n) names of the files, each once, ascending
    int n;
    tk_safetensors *out; // all their tensors
} shards;

static int by_words(const void *x, const void *y)
{
    return strcmp(*(const char *const *)x, *(const char *const *)y);
}

// A file of the folder itself, whatever an index says.
static bool stays_inside(const char *name)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(name), m = sizeof suffix - 1;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127 || name[i] == '/') return false;
    return n > m && n <= TK_SAFE_NAME && name[0] != '.' && !strcmp(name + n - m, suffix);
}

static tk_status list_files(shards *s)
{
    const char *tensor;
    json_t *value;
    const size_t n = json_object_size(s->map);
    TK_ARENA_NEW(s->file, s->arena, (int64_t)n);
    int all = 0;
    json_object_foreach(s->map, tensor, value)
    {
        const char *name = json_string_value(value);
        if (!name || !stays_inside(name))
            return TK_FAIL(TK_INPUT,
                           "%s: %.200s lies in \"%.80s\": that is no *.safetensors file of this "
                           "very folder",
                           s->index, tensor, name ? name : "(no text)");
        s->file[all++] = name;
    }
    if (all) qsort(s->file, (size_t)all, sizeof *s->file, by_words);
    for (int i = 0; i < all; i++)
        if (!s->n || strcmp(s->file[s->n - 1], s->file[i])) s->file[s->n++] = s->file[i];
    if (s->n > SHARDS_MAX)
        return TK_FAIL(TK_INPUT, "%s names %d files; at most %d are possible here", s->index, s->n,
                       SHARDS_MAX);
    return TK_OK;
}

// Names for a message, the first few of them.
typedef struct names {
    char words[WORDS];
    int n;
} names;

static void add_name(names *l, const char *name)
{
    const size_t at = strlen(l->words);
    if (l->n++ < SHOWN)
        snprintf(l->words + at, sizeof l->words - at, "%s%.80s", at ? ", " : "", name);
    else if (l->n == SHOWN + 1)
        snprintf(l->words + at, sizeof l->words - at, " and more");
}

static tk_status check_shards_there(const shards *s)
{
    names missing = {0};
    for (int i = 0; i < s->n; i++)
        if (!is_there(tk_arena_printf(s->arena, "%s/%s", s->folder, s->file[i])))
            add_name(&missing, s->file[i]);
    if (!missing.n) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s names %d files, %d of which are not there: %s", s->index, s->n,
                   missing.n, missing.words);
}

// ---- the files ---------------------------------------------------------------------------------

static tk_status take_tensors(shards *s, int file, const tk_safetensors *shard)
{
    names strangers = {0};
    for (int i = 0; i < shard->n; i++) {
        const tk_safe_tensor *t = &shard->tensor[i];
        const char *in = json_string_value(json_object_get(s->map, t->name));
        if (!in || strcmp(in, s->file[file])) {
            add_name(&strangers, t->name);
            continue;
        }
        s->out->tensor[s->out->n] = *t;
        s->out->tensor[s->out->n++].file = file;
    }
    if (!strangers.n) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s holds %d tensors that %s does not look for there: %s",
                   shard->path[0], strangers.n, s->index, strangers.words);
}

static int by_shard_tensor(const void *x, const void *y)
{
    return strcmp(((const tk_safe_tensor *)x)->name, ((const tk_safe_tensor *)y)->name);
}

static tk_status check_all_found(const shards *s)
{
    names missing = {0};
    const char *tensor;
    json_t *value;
    json_object_foreach(s->map, tensor, value)
    {
        (void)value;
        if (!tk_safe_find(s->out, tensor)) add_name(&missing, tensor);
    }
    if (!missing.n) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s: %d tensors are not in the files it names for them: %s", s->index,
                   missing.n, missing.words);
}

static tk_status read_files(shards *s)
{
    tk_safetensors *out = s->out;
    TK_ARENA_NEW(out->tensor, s->arena, (int64_t)json_object_size(s->map));
    TK_ARENA_NEW(out->path, s->arena, s->n);
    for (int i = 0; i < s->n; i++) {
        tk_safetensors shard;
        char *path = tk_arena_printf(s->arena, "%s/%s", s->folder, s->file[i]);
        if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
        TK_TRY(tk_safe_open(path, s->arena, &shard));
        TK_TRY(take_tensors(s, i, &shard));
        out->path[out->n_files++] = path;
    }
    if (out->n) qsort(out->tensor, (size_t)out->n, sizeof *out->tensor, by_shard_tensor);
    return check_all_found(s);
}

static tk_status read_shards(shards *s, json_t *root)
{
    s->map = json_object_get(root, "weight_map");
    if (!json_is_object(s->map) || !json_object_size(s->map))
        return TK_FAIL(TK_INPUT, "%s has no weight_map, tensors to files", s->index);
    TK_TRY(list_files(s));
    TK_TRY(check_shards_there(s));
    return read_files(s);
}

static tk_status open_index(shards *s)
{
    char *text;
    size_t bytes;
    json_error_t error;
    TK_TRY(tk_file_read(s->index, INDEX_MAX, s->arena, &text, &bytes));
    json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return TK_FAIL(TK_INPUT, "%s:%d:%d: not JSON: %.120s", s->index, error.line, error.column,
                       error.text);
    const tk_status st = read_shards(s, root);
    json_decref(root);
    return st;
}

tk_status tk_safe_open_folder(const char *folder, const char *stem, tk_arena *a,
                              tk_safetensors *out)
{
    const char *whole = whole_name(folder, stem, a), *index = index_name(folder, stem, a);
    *out = (tk_safetensors){0};
    if (!whole || !index) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    if (is_there(whole) && is_there(index))
        return TK_FAIL(TK_INPUT,
                       "%s holds both %s.safetensors and %s.safetensors.index.json: nobody can "
                       "tell which of them is meant; move one away",
                       folder, stem, stem);
    if (is_there(whole)) return tk_safe_open(whole, a, out);
    if (!is_there(index))
        return TK_FAIL(TK_INPUT, "%s holds neither %s.safetensors nor %s.safetensors.index.json",
                       folder, stem, stem);
    shards s = {.folder = folder, .index = index, .arena = a, .out = out};
    return open_index(&s);
}
