// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/choices.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- shapes -------------------------------------------------------------------------------------

// The power of two that an address is a multiple of, up to what the pool gives all blocks.
static uint32_t alignment(const void *x)
{
    enum { MOST = 6 };
    const int zeros = x ? __builtin_ctzll((uintptr_t)x) : MOST;
    return (uint32_t)(zeros < MOST ? zeros : MOST);
}

enum { HALF_A = 1, HALF_B = 2, HALF_D = 4, TURNED_A = 8, TURNED_B = 16, BIAS = 32, HALF_BIAS = 64 };

tk_cuda_shape tk_cuda_shape_of(const tk_cuda_product *p)
{
    uint32_t kind = 0;
    if (p->a.type == TK_BF16) kind |= HALF_A;
    if (p->b.type == TK_BF16) kind |= HALF_B;
    if (p->d.type == TK_BF16) kind |= HALF_D;
    if (p->a.transposed) kind |= TURNED_A;
    if (p->b.transposed) kind |= TURNED_B;
    if (p->bias) kind |= BIAS | (p->bias_type == TK_BF16 ? HALF_BIAS : 0);
    return (tk_cuda_shape){.rows = p->rows,
                           .cols = p->cols,
                           .depth = p->depth,
                           .kind = kind,
                           .align = alignment(p->a.data) | alignment(p->b.data) << 8 |
                                    alignment(p->d.data) << 16 | alignment(p->bias) << 24};
}

const tk_cuda_shape tk_cuda_attention_choice = {.kind = 1 << 16};

static int64_t coarse(int64_t n)
{
    const int bits = n > 0 ? 64 - __builtin_clzll((uint64_t)n) : 0, keep = 4;
    return bits > keep ? n >> (bits - keep) << (bits - keep) : n;
}

tk_cuda_shape tk_cuda_shape_class(const tk_cuda_shape *s)
{
    tk_cuda_shape c = *s;
    if (s->kind & TURNED_A) // a weight's gradient sums over the rows
        c.depth = coarse(s->depth);
    else
        c.rows = coarse(s->rows);
    return c;
}

// ---- the table ----------------------------------------------------------------------------------

static uint64_t fold(uint64_t h, const void *x, size_t bytes) // FNV-1a
{
    const unsigned char *at = x;
    for (size_t i = 0; i < bytes; i++) h = (h ^ at[i]) * 0x100000001b3u;
    return h;
}
static const uint64_t NOTHING = 0xcbf29ce484222325u;

void tk_cuda_choices_free(tk_cuda_choices *c)
{
    tk_free(c->list);
    tk_free(c->index);
    c->list = NULL;
    c->index = NULL;
    c->n = c->cap = c->slots = 0;
}

// Where a shape is, or would be.
static int32_t *place_of(const tk_cuda_choices *c, const tk_cuda_shape *s)
{
    uint64_t at = fold(NOTHING, s, sizeof *s);
    for (at ^= at >> 32;; at++) {
        int32_t *slot = &c->index[at & (uint64_t)(c->slots - 1)];
        if (!*slot || !memcmp(&c->list[*slot - 1].shape, s, sizeof *s)) return slot;
    }
}

const tk_cuda_choice *tk_cuda_choices_find(const tk_cuda_choices *c, const tk_cuda_shape *s)
{
    const int32_t place = c->slots ? *place_of(c, s) : 0;
    return place ? &c->list[place - 1] : NULL;
}

static bool is_own(const tk_cuda_choices *c, const tk_cuda_choice *x)
{
    return x->version == c->version && !strcmp(x->gpu, c->gpu);
}

static tk_status grow(tk_cuda_choices *c)
{
    enum { FIRST = 64 };
    if (c->n < c->cap) return TK_OK;
    const int64_t cap = c->cap ? 2 * c->cap : FIRST;
    tk_cuda_choice *list = tk_realloc(c->list, (size_t)c->cap * sizeof *list, //
                                      (size_t)cap * sizeof *list);
    if (!list) return TK_FAIL(TK_MEMORY, "out of memory for choices of matrix products");
    c->list = list;
    int32_t *index;
    TK_NEW(index, 2 * cap);
    tk_free(c->index);
    c->index = index;
    c->cap = cap;
    c->slots = 2 * cap;
    for (int64_t i = 0; i < c->n; i++)
        if (is_own(c, &list[i])) *place_of(c, &list[i].shape) = (int32_t)i + 1;
    return TK_OK;
}

static tk_status add_any(tk_cuda_choices *c, const tk_cuda_choice *x)
{
    const bool own = is_own(c, x);
    if (own && tk_cuda_choices_find(c, &x->shape)) return TK_OK;
    for (int64_t i = 0; !own && i < c->n; i++)
        if (c->list[i].version == x->version && !strcmp(c->list[i].gpu, x->gpu) &&
            !memcmp(&c->list[i].shape, &x->shape, sizeof x->shape))
            return TK_OK;
    TK_TRY(grow(c));
    c->list[c->n++] = *x;
    if (own) *place_of(c, &x->shape) = (int32_t)c->n;
    return TK_OK;
}

tk_status tk_cuda_choices_add(tk_cuda_choices *c, const tk_cuda_choice *choice)
{
    tk_cuda_choice x = *choice;
    memcpy(x.gpu, c->gpu, sizeof x.gpu);
    x.version = c->version;
    return add_any(c, &x);
}

int64_t tk_cuda_choices_own(const tk_cuda_choices *c)
{
    int64_t n = 0;
    for (int64_t i = 0; i < c->n; i++)
        n += is_own(c, &c->list[i]) && c->list[i].shape.kind != tk_cuda_attention_choice.kind;
    return n;
}

// ---- text ---------------------------------------------------------------------------------------

static const char HEAD[] = "talkie products 1\n";
enum { WORDS = sizeof(cublasLtMatmulAlgo_t) / sizeof(uint64_t) };

tk_status tk_cuda_choices_write(const tk_cuda_choices *c, tk_arena *a, char **text)
{
    enum { LINE = 512 };
    const size_t room = sizeof HEAD + LINE * (size_t)(c->n + 1);
    TK_ARENA_NEW(*text, a, (int64_t)room);
    char *at = stpcpy(*text, HEAD), *end = *text + room;
    for (int64_t i = 0; i < c->n; i++) {
        const tk_cuda_choice *x = &c->list[i];
        const tk_cuda_shape *s = &x->shape;
        at += snprintf(at, (size_t)(end - at),
                       "%" PRId64 " %" PRId64 " %" PRId64 " %" PRIx32 " %" PRIx32 " %d", s->rows,
                       s->cols, s->depth, s->kind, s->align, x->none);
        for (int k = 0; k < WORDS; k++)
            at += snprintf(at, (size_t)(end - at), " %" PRIx64, x->algo.data[k]);
        at += snprintf(at, (size_t)(end - at), " %" PRIu64 " %s\n", x->version, x->gpu);
    }
    snprintf(at, (size_t)(end - at), "sum %016" PRIx64 "\n",
             fold(NOTHING, *text, (size_t)(at - *text)));
    return TK_OK;
}

// Whether the last line holds the sum of all before it. *end: where it begins.
static bool is_whole(const char *text, const char **end)
{
    char wanted[32];
    if (strncmp(text, HEAD, strlen(HEAD)) != 0) return false;
    const char *last = strstr(text, "\nsum ");
    if (!last) return false;
    *end = last + 1;
    snprintf(wanted, sizeof wanted, "sum %016" PRIx64 "\n",
             fold(NOTHING, text, (size_t)(*end - text)));
    return !strcmp(*end, wanted);
}

static bool read_line(const char *line, tk_cuda_choice *x)
{
    tk_cuda_shape *s = &x->shape;
    int none = 0, used = 0;
    if (sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNx32 " %" SCNx32 " %d%n", &s->rows,
               &s->cols, &s->depth, &s->kind, &s->align, &none, &used) != 6)
        return false;
    x->none = none != 0;
    for (int k = 0; k < WORDS; k++) {
        line += used;
        if (sscanf(line, "%" SCNx64 "%n", &x->algo.data[k], &used) != 1) return false;
    }
    return sscanf(line + used, "%" SCNu64 " %79[^\n]", &x->version, x->gpu) == 2;
}

tk_status tk_cuda_choices_read(tk_cuda_choices *c, const char *text)
{
    const char *end = NULL;
    if (!is_whole(text, &end))
        return TK_FAIL(TK_INPUT, "the choices of matrix products are damaged");
    for (const char *line = text + strlen(HEAD); line < end; line = strchr(line, '\n') + 1) {
        tk_cuda_choice x = {.none = false};
        if (!read_line(line, &x))
            return TK_FAIL(TK_INPUT, "the choices of matrix products are of another version");
        TK_TRY(add_any(c, &x));
    }
    return TK_OK;
}
