// SPDX-License-Identifier: Apache-2.0
// Writing: the header first, since it says where everything lies; numbers in any order after it.
#include "core/numbers/half.h"
#include "core/store/safetensors.h"
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LENGTH = 8 };

static json_t *describe_tensor(const tk_safe_tensor *t, int64_t begin, int64_t end)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->ndim; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->dim[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", tk_safe_type_name(t->type), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static json_t *describe_notes(int n, const tk_safe_note *note)
{
    json_t *o = json_object();
    for (int i = 0; i < n; i++) json_object_set_new(o, note[i].key, json_string(note[i].value));
    return o;
}

// The length, the text, blanks so that numbers begin at a multiple of 8.
static tk_status pad_head(const char *text, tk_arena *a, char **head, int64_t *bytes)
{
    const size_t n = strlen(text), padded = (n + 7) & ~(size_t)7;
    TK_ARENA_NEW(*head, a, (int64_t)(LENGTH + padded));
    for (int i = 0; i < LENGTH; i++) (*head)[i] = (char)((uint64_t)padded >> 8 * i & 0xff);
    memcpy(*head + LENGTH, text, n);
    memset(*head + LENGTH + n, ' ', padded - n);
    *bytes = (int64_t)(LENGTH + padded);
    return TK_OK;
}

tk_status tk_safe_head(int n_notes, const tk_safe_note *note, int n, tk_safe_tensor *tensor,
                       tk_arena *a, char **head, int64_t *bytes, int64_t *total)
{
    int64_t at = 0;
    json_t *root = json_object();
    if (n_notes) json_object_set_new(root, "__metadata__", describe_notes(n_notes, note));
    for (int i = 0; i < n; i++) {
        tk_safe_tensor *t = &tensor[i];
        t->count = 1;
        for (int k = 0; k < t->ndim; k++) t->count *= t->dim[k];
        t->address = at;
        at += t->count * tk_safe_bytes(t->type);
        json_object_set_new(root, t->name, describe_tensor(t, t->address, at));
    }
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    if (!text) return TK_FAIL(TK_MEMORY, "out of memory for a header of safetensors");
    const tk_status st = pad_head(text, a, head, bytes);
    free(text); // style: allow, jansson's
    TK_TRY(st);
    for (int i = 0; i < n; i++) tensor[i].address += *bytes;
    *total = *bytes + at;
    return TK_OK;
}

static tk_status check_holds(const char *path, const tk_safe_tensor *t, int64_t first, int64_t n,
                             const float *x)
{
    for (int64_t i = 0; i < n; i++) {
        const bool wide = t->type == TK_SAFE_BF16;
        if (isfinite(x[i]) && (!wide || isfinite(tk_bf16_to_float(tk_bf16_from_float(x[i])))))
            continue;
        return TK_FAIL(TK_INPUT, "%s: %s: number %lld is %g, which %s cannot hold as a weight",
                       path, t->name, (long long)(first + i), (double)x[i],
                       tk_safe_type_name(t->type));
    }
    return TK_OK;
}

tk_status tk_safe_put(int fd, const char *path, const tk_safe_tensor *t, int64_t first, int64_t n,
                      const float *x)
{
    const int64_t each = tk_safe_bytes(t->type), address = t->address + first * each;
    uint16_t *half;
    TK_TRY(check_holds(path, t, first, n, x));
    if (t->type == TK_SAFE_F32) return tk_pwrite_all(fd, path, x, (size_t)(n * each), address);
    if (t->type != TK_SAFE_BF16)
        return TK_FAIL(TK_INTERNAL, "weights are not written as %s", tk_safe_type_name(t->type));
    TK_NEW(half, n);
    for (int64_t i = 0; i < n; i++) half[i] = tk_bf16_from_float(x[i]);
    const tk_status st = tk_pwrite_all(fd, path, half, (size_t)(n * each), address);
    tk_free(half);
    return st;
}
