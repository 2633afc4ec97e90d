// SPDX-License-Identifier: Apache-2.0
// The seal: every byte of the file that is not tensor data, under one hash.
//
//   ... HDF5 ... | n, n x (address, bytes) of tensor data | hash, length of all this, magic
//
// A flipped byte in metadata, attributes or the codec is found before the HDF5 library reads it;
// a flipped byte in tensor data by the tensor's digest.
#include "train/checkpoint/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

typedef struct extent {
    int64_t address, bytes;
} extent;

typedef struct tail {
    uint64_t hash;
    int64_t length; // of the seal: count, extents and tail
    char magic[8];
} tail;

static const char magic[8] = "TKSEAL1";
enum { SLICE = 1 << 20, MAX_SEAL = 64 << 20 };

typedef struct sealed { // an open file and its seal
    int fd;
    const char *path;
    int64_t size;   // of the file without the seal
    int64_t *table; // n, then n extents
    int64_t n;
    XXH3_state_t *hash;
    unsigned char *slice; // (SLICE)
} sealed;

static tk_status hash_range(sealed *s, int64_t begin, int64_t end)
{
    for (int64_t at = begin; at < end; at += SLICE) {
        const size_t n = (size_t)(end - at < SLICE ? end - at : SLICE);
        TK_TRY(tk_pread_all(s->fd, s->path, s->slice, n, at));
        XXH3_64bits_update(s->hash, s->slice, n);
    }
    return TK_OK;
}

static tk_status hash_all(sealed *s, uint64_t *hash)
{
    int64_t at = 0;
    XXH3_64bits_reset(s->hash);
    for (int64_t i = 0; i < s->n; i++) {
        const extent e = {s->table[1 + 2 * i], s->table[2 + 2 * i]};
        if (e.address < at || e.bytes < 0 || e.bytes > s->size - e.address)
            return TK_FAIL(TK_INPUT, "%s is damaged: its seal does not fit the file", s->path);
        TK_TRY(hash_range(s, at, e.address));
        at = e.address + e.bytes;
    }
    TK_TRY(hash_range(s, at, s->size));
    XXH3_64bits_update(s->hash, s->table, (size_t)(1 + 2 * s->n) * sizeof *s->table);
    *hash = XXH3_64bits_digest(s->hash);
    return TK_OK;
}

static tk_status open_sealed(sealed *s, const char *path, int flags)
{
    struct stat info;
    *s = (sealed){.fd = open(path, flags | O_CLOEXEC | O_NONBLOCK), .path = path};
    if (s->fd < 0) {
        const bool absent = errno == ENOENT || errno == ENOTDIR || errno == EACCES;
        return TK_FAIL(absent ? TK_INPUT : TK_IO, "cannot open checkpoint %s: %s", path,
                       strerror(errno));
    }
    if (fstat(s->fd, &info)) return TK_FAIL(TK_IO, "cannot stat %s: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return TK_FAIL(TK_INPUT, "%s is not a regular file", path);
    s->size = (int64_t)info.st_size;
    s->hash = XXH3_createState();
    if (!s->hash) return TK_FAIL(TK_MEMORY, "out of memory");
    TK_NEW(s->slice, SLICE);
    return TK_OK;
}

static tk_status close_sealed(sealed *s, tk_status st)
{
    if (s->fd >= 0 && close(s->fd) && st == TK_OK)
        st = TK_FAIL(TK_IO, "cannot close %s: %s", s->path, strerror(errno));
    XXH3_freeState(s->hash);
    tk_free(s->slice);
    tk_free(s->table);
    return st;
}

// ---- writing -----------------------------------------------------------------------------------

static int by_address(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    return (x->address > y->address) - (x->address < y->address);
}

static tk_status write_seal(sealed *s, int64_t n, const tk_ck_tensor *tensor)
{
    tail t = {.length = (1 + 2 * n) * (int64_t)sizeof *s->table + (int64_t)sizeof t};
    TK_NEW(s->table, 1 + 2 * n);
    extent *e = (extent *)(s->table + 1);
    for (int64_t i = 0; i < n; i++)
        if (tensor[i].count) // an empty dataset has no place
            e[s->n++] = (extent){tensor[i].address, tensor[i].count * (int64_t)sizeof(float)};
    t.length -= 2 * (n - s->n) * (int64_t)sizeof *s->table;
    s->table[0] = s->n;
    qsort(e, (size_t)s->n, sizeof *e, by_address);
    TK_TRY(hash_all(s, &t.hash));
    memcpy(t.magic, magic, sizeof magic);
    const size_t bytes = (size_t)(1 + 2 * s->n) * sizeof *s->table;
    TK_TRY(tk_pwrite_all(s->fd, s->path, s->table, bytes, s->size));
    return tk_pwrite_all(s->fd, s->path, &t, sizeof t, s->size + (int64_t)bytes);
}

tk_status tk_ck_seal(const char *path, int64_t n, const tk_ck_tensor *tensor)
{
    sealed s;
    tk_status st = open_sealed(&s, path, O_RDWR);
    if (st == TK_OK) st = write_seal(&s, n, tensor);
    st = close_sealed(&s, st);
    TK_TRY(st);
    return TK_OK;
}

// ---- checking ----------------------------------------------------------------------------------

static tk_status check_seal(sealed *s)
{
    tail t;
    uint64_t hash;
    const int64_t least = (int64_t)(sizeof *s->table + sizeof t);
    if (s->size < least)
        return TK_FAIL(TK_INPUT, "%s is not a checkpoint: it has %lld bytes", s->path,
                       (long long)s->size);
    TK_TRY(tk_pread_all(s->fd, s->path, &t, sizeof t, s->size - (int64_t)sizeof t));
    if (memcmp(t.magic, magic, sizeof magic))
        return TK_FAIL(TK_INPUT,
                       "%s is not a whole checkpoint of talkie: truncated, changed by another "
                       "program, or another kind of file",
                       s->path);
    if (t.length < least || t.length > s->size || t.length > MAX_SEAL)
        return TK_FAIL(TK_INPUT, "%s is damaged: its seal has no possible length", s->path);
    const size_t bytes = (size_t)t.length - sizeof t;
    s->size -= t.length;
    if (!(s->table = tk_alloc(bytes))) return TK_FAIL(TK_MEMORY, "out of memory");
    TK_TRY(tk_pread_all(s->fd, s->path, s->table, bytes, s->size));
    s->n = s->table[0];
    if (s->n < 0 || s->n > MAX_SEAL || (size_t)(1 + 2 * s->n) * sizeof *s->table != bytes)
        return TK_FAIL(TK_INPUT, "%s is damaged: its seal has no possible length", s->path);
    TK_TRY(hash_all(s, &hash));
    if (hash != t.hash)
        return TK_FAIL(TK_INPUT,
                       "%s is damaged: its header is not the one that was written (a byte outside "
                       "the tensors differs)",
                       s->path);
    return TK_OK;
}

tk_status tk_ck_check_seal(const char *path)
{
    sealed s;
    tk_status st = open_sealed(&s, path, O_RDONLY);
    if (st == TK_OK) st = check_seal(&s);
    st = close_sealed(&s, st);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_ck_seal_hash(const char *path, uint64_t *hash)
{
    sealed s;
    tail end;
    tk_status st = open_sealed(&s, path, O_RDONLY);
    if (st == TK_OK && s.size < (int64_t)sizeof end)
        st = TK_FAIL(TK_INPUT, "%s: not a checkpoint", path);
    if (st == TK_OK) st = tk_pread_all(s.fd, path, &end, sizeof end, s.size - (int64_t)sizeof end);
    if (st == TK_OK) *hash = end.hash;
    st = close_sealed(&s, st);
    TK_TRY(st);
    return TK_OK;
}
