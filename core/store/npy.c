// SPDX-License-Identifier: Apache-2.0
#include "core/store/npy.h"
#include "core/numbers/half.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "\x93NUMPY"
enum { MAGIC_BYTES = 6, START = 12, HEAD_MAX = 4096, PIECE = 1 << 14, WORD = 64 };

typedef struct head { // of a file under way
    const char *path;
    int64_t file_bytes;
    char text[HEAD_MAX + 1]; // a Python dictionary
} head;

// ---- the dictionary ----------------------------------------------------------------------------

static const char *skip_blanks(const char *s)
{
    while (isspace((unsigned char)*s)) s++;
    return s;
}

// What follows 'key': in the dictionary; NULL: no such key.
static const char *value_of(const head *h, const char *key)
{
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(h->text, quoted);
    if (!at) return NULL;
    at = skip_blanks(at + strlen(quoted));
    return *at == ':' ? skip_blanks(at + 1) : NULL;
}

static tk_status read_npy_type(const head *h, tk_npy *n)
{
    const char *at = value_of(h, "descr");
    char word[WORD] = "";
    if (at) sscanf(at, "'%63[^']'", word);
    n->half = !strcmp(word, "<f2");
    if (n->half || !strcmp(word, "<f4")) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds numbers of type \"%.32s\"; text features are float32 (\"<f4\") or "
                   "float16 (\"<f2\"): save x.astype(numpy.float32)",
                   h->path,
                   *word ? word
                   : at  ? at
                         : "none");
}

static tk_status check_order(const head *h)
{
    const char *at = value_of(h, "fortran_order");
    if (at && !strncmp(at, "False", 5)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   at && !strncmp(at, "True", 4)
                       ? "%s is stored column after column (Fortran order); save "
                         "numpy.ascontiguousarray(x)"
                       : "%s does not say the order of its numbers (fortran_order): it is damaged",
                   h->path);
}

static tk_status refuse_shape(const head *h, const char *shape)
{
    const char *end = shape ? strchr(shape, ')') : NULL;
    return TK_FAIL(TK_INPUT,
                   "%s is of shape %.*s; text features are (tokens, width), 1 to %d of each",
                   h->path, end && end - shape < WORD ? (int)(end + 1 - shape) : WORD,
                   shape ? shape : "none", TK_NPY_ROWS);
}

static tk_status read_npy_shape(const head *h, tk_npy *n)
{
    const char *shape = value_of(h, "shape"), *at = shape;
    int64_t *const side[] = {&n->rows, &n->cols};
    if (!at || *at++ != '(') return refuse_shape(h, shape);
    for (int i = 0; i < 2; i++) {
        char *end;
        errno = 0;
        *side[i] = strtoll(at, &end, 10);
        if (end == at || errno || *side[i] < 1 || *side[i] > TK_NPY_ROWS)
            return refuse_shape(h, shape);
        at = skip_blanks(end);
        if (i == 0 && *at++ != ',') return refuse_shape(h, shape);
    }
    if (*at == ',') at = skip_blanks(at + 1);
    return *at == ')' ? TK_OK : refuse_shape(h, shape);
}

// ---- the file ----------------------------------------------------------------------------------

static int64_t npy_bytes(const tk_npy *n)
{
    return n->rows * n->cols * (n->half ? 2 : 4);
}

// Magic, version, length of the dictionary, in 2 bytes or from version 2 on in 4; the dictionary.
static tk_status read_head(int fd, head *h, int64_t *at)
{
    unsigned char start[START];
    if (h->file_bytes < START)
        return TK_FAIL(TK_INPUT, "%s is no .npy file: it has %" PRId64 " bytes", h->path,
                       h->file_bytes);
    TK_TRY(tk_pread_all(fd, h->path, start, sizeof start, 0));
    if (memcmp(start, MAGIC, MAGIC_BYTES))
        return TK_FAIL(TK_INPUT, "%s is no .npy file; numpy.save makes them", h->path);
    if (start[6] < 1 || start[6] > 3)
        return TK_FAIL(TK_INPUT, "%s is of version %d of .npy; 1 to 3 can be read", h->path,
                       start[6]);
    const bool wide = start[6] > 1;
    const uint32_t bytes = (uint32_t)start[8] | (uint32_t)start[9] << 8 |
                           (wide ? (uint32_t)start[10] << 16 | (uint32_t)start[11] << 24 : 0);
    const int64_t begin = wide ? 12 : 10;
    if (bytes > HEAD_MAX || begin + bytes > h->file_bytes)
        return TK_FAIL(TK_INPUT, "%s: its head of %" PRIu32 " bytes is not possible", h->path,
                       bytes);
    TK_TRY(tk_pread_all(fd, h->path, h->text, bytes, begin));
    for (uint32_t i = 0; i < bytes; i++) // messages show some of it
        if (!isprint((unsigned char)h->text[i]) && h->text[i] != '\n') h->text[i] = '?';
    *at = begin + bytes;
    return TK_OK;
}

static tk_status look_at_npy(int fd, head *h, tk_npy *n)
{
    TK_TRY(read_head(fd, h, &n->at));
    TK_TRY(read_npy_type(h, n));
    TK_TRY(check_order(h));
    TK_TRY(read_npy_shape(h, n));
    const int64_t have = h->file_bytes - n->at;
    if (have == npy_bytes(n)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "%s holds %" PRId64 " bytes of numbers, but (%" PRId64 ", %" PRId64
                   ") of %s are %" PRId64 ": it is %s",
                   h->path, have, n->rows, n->cols, n->half ? "float16" : "float32", npy_bytes(n),
                   have < npy_bytes(n) ? "cut off" : "damaged");
}

tk_status tk_npy_look(const char *path, tk_npy *out)
{
    int fd;
    head h = {.path = path};
    *out = (tk_npy){.path = path};
    TK_TRY(tk_file_open(path, &fd, &h.file_bytes));
    const tk_status st = look_at_npy(fd, &h, out);
    close(fd);
    return st;
}

// Numbers [first, first + k).
static tk_status read_piece(int fd, const tk_npy *n, int64_t first, int64_t k, float *x)
{
    uint16_t half[PIECE];
    bool finite = true;
    const int64_t each = n->half ? 2 : 4;
    TK_TRY(tk_pread_all(fd, n->path, n->half ? (void *)half : x, (size_t)(k * each),
                        n->at + first * each));
    if (n->half)
        finite = tk_fp16_widen(half, k, x);
    else
        for (int64_t i = 0; i < k; i++) finite = finite && isfinite(x[i]);
    if (finite) return TK_OK;
    for (int64_t i = 0; i < k; i++)
        if (!isfinite(x[i]))
            return TK_FAIL(TK_INPUT,
                           "%s: number %" PRId64 " of row %" PRId64 " (from 0) is not finite",
                           n->path, (first + i) % n->cols, (first + i) / n->cols);
    return TK_OK;
}

// x: NULL: nowhere.
static tk_status read_npy_numbers(const tk_npy *n, float *x)
{
    int fd;
    float piece[PIECE];
    const int64_t all = n->rows * n->cols;
    TK_TRY(tk_file_open(n->path, &fd, NULL));
    tk_status st = TK_OK;
    for (int64_t i = 0; i < all && st == TK_OK; i += PIECE)
        st = read_piece(fd, n, i, all - i < PIECE ? all - i : PIECE, x ? x + i : piece);
    close(fd);
    return st;
}

tk_status tk_npy_check(const tk_npy *n)
{
    return read_npy_numbers(n, NULL);
}

tk_status tk_npy_read(const tk_npy *n, float *x)
{
    return read_npy_numbers(n, x);
}
