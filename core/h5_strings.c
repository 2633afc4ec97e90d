// SPDX-License-Identifier: Apache-2.0
// Lists of variable-length strings in HDF5.
//
// Writing is the library's. Reading is ours: HDF5 1.10 copies a string of the global heap into a
// buffer sized by the reference to it and does not compare the two lengths, so that a damaged file
// writes beyond the buffer. Here both are read with pread and checked.
//
// In the file: a reference is length u32, address of a heap collection u64, index u32; a collection
// is "GCOL", version u8, 3 bytes, size u64, then objects: index u16, 6 bytes, size u64, the bytes
// padded to 8; index 0 is free room. All little-endian.
#include "core/h5_internal.h"
#include <stdio.h>
#include <string.h>

enum { REFERENCE = 16, HEAD = 16, KEPT = 32 };

tk_status tk_h5_put_strings(hid_t at, const char *name, int64_t n, char *const *s)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    tk_status st = tk_h5_put(at, name, type, 1, &n, s);
    H5Tclose(type);
    return st;
}

typedef struct collection {
    int64_t address, bytes;
    unsigned char *data;
} collection;

typedef struct strings {
    int fd;
    const char *where;
    int64_t file_bytes;
    int64_t budget;        // bytes of collections still to be read, or the file sends us in circles
    int64_t room;          // bytes of strings that the file can still hold
    collection kept[KEPT]; // collections lately read; the library fills some at a time
    int next;
    tk_arena scratch, *out;
} strings;

static uint64_t little(const unsigned char *p, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

static tk_status damaged(const strings *r, int64_t i)
{
    return TK_FAIL(TK_INPUT, "%s is damaged: string %lld is not where it should be", r->where,
                   (long long)i);
}

static tk_status read_collection(strings *r, int64_t i, uint64_t address, collection **out)
{
    unsigned char head[HEAD];
    for (int k = 0; k < KEPT; k++) {
        *out = &r->kept[k];
        if (r->kept[k].data && (uint64_t)r->kept[k].address == address) return TK_OK;
    }
    if (address > (uint64_t)r->file_bytes - HEAD) return damaged(r, i);
    TK_TRY(tk_pread_all(r->fd, r->where, head, HEAD, (int64_t)address));
    uint64_t bytes = little(head + 8, 8);
    if (memcmp(head, "GCOL\1", 5) != 0 || bytes < HEAD ||
        bytes > (uint64_t)r->file_bytes - address || (int64_t)bytes > r->budget)
        return damaged(r, i);
    collection *c = &r->kept[r->next];
    r->next = (r->next + 1) % KEPT;
    r->budget -= (int64_t)bytes;
    tk_free(c->data);
    c->data = tk_alloc(bytes);
    if (!c->data) return TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)", (size_t)bytes);
    c->address = (int64_t)address;
    c->bytes = (int64_t)bytes;
    *out = c;
    return tk_pread_all(r->fd, r->where, c->data, bytes, (int64_t)address);
}

// The object's bytes within the collection; NULL if it has none of this index.
static const unsigned char *find_object(const collection *c, uint64_t index, uint64_t *bytes)
{
    for (int64_t at = HEAD; at + HEAD <= c->bytes;) {
        uint64_t own = little(c->data + at, 2), size = little(c->data + at + 8, 8);
        if (own == 0 || size > (uint64_t)(c->bytes - at - HEAD)) return NULL;
        *bytes = size;
        if (own == index) return c->data + at + HEAD;
        at += HEAD + (int64_t)((size + 7) & ~(uint64_t)7);
    }
    return NULL;
}

static tk_status read_one(strings *r, int64_t i, const unsigned char *reference, char **s)
{
    uint64_t length = little(reference, 4), address = little(reference + 4, 8), bytes = 0;
    const unsigned char *object = NULL;
    if (length && address) {
        collection *c;
        TK_TRY(read_collection(r, i, address, &c));
        object = find_object(c, little(reference + 12, 4), &bytes);
        if (!object || length > bytes || length > TK_H5_STRING_MAX || (int64_t)length > r->room)
            return damaged(r, i);
        r->room -= (int64_t)length;
    } else if (length) {
        return damaged(r, i);
    }
    TK_ARENA_NEW(*s, r->out, length + 1);
    if (object) memcpy(*s, object, length);
    return TK_OK;
}

static tk_status read_variable(strings *r, int64_t n, int64_t address, char **s)
{
    unsigned char *references;
    TK_ARENA_NEW(references, &r->scratch, n * REFERENCE);
    TK_TRY(tk_pread_all(r->fd, r->where, references, (size_t)(n * REFERENCE), address));
    for (int64_t i = 0; i < n; i++) TK_TRY(read_one(r, i, references + i * REFERENCE, &s[i]));
    return TK_OK;
}

// Strings of one length, padded with zeros: rows of bytes.
static tk_status read_fixed(strings *r, int64_t n, size_t each, int64_t address, char **s)
{
    char *row;
    if (each == 0 || each > TK_H5_STRING_MAX)
        return TK_FAIL(TK_INPUT, "%s: strings of %zu bytes; the most is 1 MiB", r->where, each);
    for (int64_t i = 0; i < n; i++) {
        TK_ARENA_NEW(row, r->out, each + 1);
        TK_TRY(tk_pread_all(r->fd, r->where, row, each, address + i * (int64_t)each));
        s[i] = row;
    }
    return TK_OK;
}

static tk_status check_kind(hid_t at, const char *name, hid_t *set, hid_t *type)
{
    char where[512];
    tk_h5_where(at, name, where);
    if (!tk_h5_exists(at, name)) return TK_FAIL(TK_INPUT, "%s is missing", where);
    *set = H5Dopen2(at, name, H5P_DEFAULT);
    if (*set < 0) return tk_h5_fail(TK_INPUT, at, name, "is not a readable dataset");
    *type = H5Dget_type(*set);
    if (*type < 0 || H5Tget_class(*type) != H5T_STRING)
        return TK_FAIL(TK_INPUT, "%s does not hold strings", where);
    hid_t plan = H5Dget_create_plist(*set);
    bool contiguous = plan >= 0 && H5Pget_layout(plan) == H5D_CONTIGUOUS;
    if (plan >= 0) H5Pclose(plan);
    return contiguous ? TK_OK : TK_FAIL(TK_INPUT, "%s is not contiguous", where);
}

// Addresses of 8 bytes counted from the start of the file, as all but ancient files have.
static bool usual_addresses(hid_t at)
{
    size_t address = 0, size = 0;
    hsize_t user = 1;
    hid_t file = H5Iget_file_id(at);
    hid_t plan = file < 0 ? -1 : H5Fget_create_plist(file);
    bool usual = plan >= 0 && H5Pget_sizes(plan, &address, &size) >= 0 && address == 8 &&
                 size == 8 && H5Pget_userblock(plan, &user) >= 0 && user == 0;
    if (plan >= 0) H5Pclose(plan);
    if (file >= 0) H5Fclose(file);
    return usual;
}

static tk_status read_set(hid_t at, const char *name, hid_t set, hid_t type, tk_arena *a,
                          int64_t *n, char ***out)
{
    char where[512];
    int64_t bytes, address;
    TK_TRY(tk_h5_bounded(at, name, set, n, &bytes, &address));
    strings r = {.fd = tk_h5_fd(at), .where = tk_h5_where(at, name, where), .out = a};
    r.file_bytes = tk_h5_file_bytes(at);
    r.budget = 64 * r.file_bytes;
    r.room = r.file_bytes;
    bool variable = H5Tis_variable_str(type) > 0;
    if (r.fd < 0 || (variable && !usual_addresses(at)))
        return TK_FAIL(TK_INPUT, "%s: strings cannot be read from this kind of HDF5 file", where);
    H5Fflush(at, H5F_SCOPE_LOCAL); // what was just written, when the file is being written
    tk_arena_init(&r.scratch, 0);
    tk_status st = (*out = tk_arena_alloc(a, ((size_t)*n + 1) * sizeof **out))
                       ? TK_OK
                       : TK_FAIL(TK_MEMORY, "out of memory (%lld strings)", (long long)*n);
    if (st == TK_OK && *n)
        st = variable ? read_variable(&r, *n, address, *out)
                      : read_fixed(&r, *n, H5Tget_size(type), address, *out);
    for (int k = 0; k < KEPT; k++) tk_free(r.kept[k].data);
    tk_arena_free(&r.scratch);
    return st;
}

tk_status tk_h5_get_strings(hid_t at, const char *name, tk_arena *a, int64_t *n, char ***s)
{
    tk_h5_quiet();
    hid_t set = -1, type = -1;
    *n = 0;
    *s = NULL;
    tk_status st = check_kind(at, name, &set, &type);
    if (st == TK_OK) st = read_set(at, name, set, type, a, n, s);
    if (type >= 0) H5Tclose(type);
    if (set >= 0) H5Dclose(set);
    TK_TRY(st);
    return TK_OK;
}
