// SPDX-License-Identifier: Apache-2.0
// HDF5 files, groups and attributes. Files are written in the 1.8 format, whose metadata carries
// checksums, so that a flipped byte in it is an error and not a wrong address; strings of
// attributes have fixed length for the same reason (they then lie within the checksum).
#include "core/store/internal.h"
#include "core/store/probe.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- files ----

// Plain POSIX files, no locks (many ranks read one file, and some cluster file systems have none),
// and a close that closes everything inside.
static hid_t access_list(void)
{
    hid_t p = H5Pcreate(H5P_FILE_ACCESS);
    if (p < 0) return p;
    H5Pset_fapl_sec2(p);
    H5Pset_fclose_degree(p, H5F_CLOSE_STRONG);
    H5Pset_libver_bounds(p, H5F_LIBVER_V18, H5F_LIBVER_V110);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(p, 0, 1);
#endif
    return p;
}

// Without times in the file: the same content is the same bytes.
static hid_t untimed_plan(hid_t kind)
{
    hid_t plan = H5Pcreate(kind);
    if (plan >= 0) H5Pset_obj_track_times(plan, false);
    return plan;
}

// Is this a regular file that begins as HDF5 does? Said before the library sees it.
static tk_status look_at_head(const char *path)
{
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char head[8];
    int fd;
    TK_TRY(tk_file_open(path, &fd, NULL));
    ssize_t n = pread(fd, head, 8, 0);
    int error = errno;
    close(fd);
    if (n < 0) return TK_FAIL(TK_IO, "cannot read %s: %s", path, strerror(error));
    if (n < 8 || memcmp(head, signature, 8) != 0)
        return TK_FAIL(TK_INPUT, "%s is not an HDF5 file%s", path, n == 0 ? ": it is empty" : "");
    return TK_OK;
}

static tk_status check_format(hid_t file, const char *path, const char *format, int64_t version)
{
    tk_arena a;
    char *found = NULL;
    int64_t have = 0;
    if (H5Aexists(file, "format") <= 0)
        return TK_FAIL(TK_INPUT, "%s is not a %s file: it has no attribute \"format\"", path,
                       format ? format : "talkie");
    tk_arena_init(&a, 0);
    tk_status st = tk_h5_get_attr_str(file, "format", &a, &found);
    if (st == TK_OK && (format ? strcmp(found, format) : strncmp(found, "talkie-", 7)))
        st = TK_FAIL(TK_INPUT, "%s is a \"%.60s\" file; wanted is %s%s%s", path, found,
                     format ? "\"" : "one of talkie's", format ? format : "", format ? "\"" : "");
    tk_arena_free(&a);
    TK_TRY(st);
    if (!format) return TK_OK;
    TK_TRY(tk_h5_get_attr_i64(file, "version", &have));
    if (have < version)
        return TK_FAIL(TK_INPUT,
                       "%s was made by an older talkie (version %lld of %s; wanted is %lld): make "
                       "it again",
                       path, (long long)have, format, (long long)version);
    if (have > version)
        return TK_FAIL(TK_INPUT,
                       "%s was made by a newer talkie (version %lld of %s; this one reads %lld)",
                       path, (long long)have, format, (long long)version);
    return TK_OK;
}

tk_status tk_h5_open(const char *path, const char *format, int64_t version, hid_t *file)
{
    tk_h5_quiet();
    *file = -1;
    TK_TRY(look_at_head(path));
    TK_TRY(tk_h5_probe(path));
    hid_t access = access_list();
    hid_t f = access < 0 ? -1 : H5Fopen(path, H5F_ACC_RDONLY, access);
    const tk_h5_cause c = tk_h5_find_cause(); // the next call forgets it
    H5Pclose(access);
    if (f < 0) return TK_FAIL(TK_INPUT, "%s is truncated or damaged (%s)", path, c.words);
    tk_status st = check_format(f, path, format, version);
    if (st != TK_OK)
        H5Fclose(f);
    else
        *file = f;
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_create(const char *path, const char *format, int64_t version, hid_t *file)
{
    tk_h5_quiet();
    *file = -1;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
    if (fd < 0) return TK_FAIL(tk_io_code(errno), "cannot create %s: %s", path, tk_io_words(errno));
    close(fd);
    hid_t access = access_list(), plan = untimed_plan(H5P_FILE_CREATE);
    hid_t f = access < 0 || plan < 0 ? -1 : H5Fcreate(path, H5F_ACC_TRUNC, plan, access);
    H5Pclose(plan);
    H5Pclose(access);
    if (f < 0) {
        const tk_h5_cause c = tk_h5_find_cause();
        return TK_FAIL(TK_IO, "cannot create %s: %s", path,
                       c.error ? tk_io_words(c.error) : c.words);
    }
    tk_h5_trust(path);
    tk_status st = tk_h5_put_attr_str(f, "format", format);
    if (st == TK_OK) st = tk_h5_put_attr_i64(f, "version", version);
    if (st != TK_OK)
        H5Fclose(f);
    else
        *file = f;
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_close(hid_t file, const char *path)
{
    tk_h5_quiet();
    // Flush apart: its failure has the system's reason, and close must be tried all the same.
    tk_status st = H5Fflush(file, H5F_SCOPE_LOCAL) < 0
                       ? tk_h5_fail(TK_IO, file, NULL, "cannot write the file to its end")
                       : TK_OK;
    if (H5Fclose(file) < 0 && st == TK_OK)
        st = TK_FAIL(TK_IO, "cannot close %s: the last writes failed", path);
    TK_TRY(st);
    return TK_OK;
}

// ---- groups ----

tk_status tk_h5_group(hid_t at, const char *name, hid_t *out)
{
    tk_h5_quiet();
    if (tk_h5_exists(at, name)) {
        *out = H5Gopen2(at, name, H5P_DEFAULT);
        return *out < 0 ? tk_h5_fail(TK_INPUT, at, name, "is not a readable group") : TK_OK;
    }
    hid_t plan = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(plan, false); // the same content is the same bytes
    *out = H5Gcreate2(at, name, H5P_DEFAULT, plan, H5P_DEFAULT);
    H5Pclose(plan);
    return *out < 0 ? tk_h5_fail(TK_INPUT, at, name, "missing, and cannot be made") : TK_OK;
}

bool tk_h5_exists(hid_t at, const char *name)
{
    tk_h5_quiet();
    return H5Lexists(at, name, H5P_DEFAULT) > 0 && H5Oexists_by_name(at, name, H5P_DEFAULT) > 0;
}

// ---- attributes ----

static tk_status put_attr(hid_t at, const char *name, hid_t type, const void *x)
{
    tk_h5_quiet();
    hid_t space = H5Screate(H5S_SCALAR);
    if (H5Aexists(at, name) > 0) H5Adelete(at, name);
    hid_t attr = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attr >= 0 && H5Awrite(attr, type, x) >= 0;
    tk_status st = ok ? TK_OK : tk_h5_fail(TK_IO, at, name, "cannot write the attribute");
    if (attr >= 0) H5Aclose(attr);
    H5Sclose(space);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_put_attr_i64(hid_t at, const char *name, int64_t v)
{
    return put_attr(at, name, H5T_NATIVE_INT64, &v);
}

tk_status tk_h5_put_attr_f64(hid_t at, const char *name, double v)
{
    return put_attr(at, name, H5T_NATIVE_DOUBLE, &v);
}

tk_status tk_h5_put_attr_str(hid_t at, const char *name, const char *s)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(s) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    tk_status st = put_attr(at, name, type, s);
    H5Tclose(type);
    return st;
}

// Opens a scalar attribute of one of two classes.
static tk_status open_attr(hid_t at, const char *name, H5T_class_t a, H5T_class_t b,
                           const char *want, hid_t *attr, hid_t *type)
{
    tk_h5_quiet();
    char where[512];
    *attr = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
    if (*attr < 0) return tk_h5_fail(TK_INPUT, at, name, "the attribute is missing");
    *type = H5Aget_type(*attr);
    hid_t space = H5Aget_space(*attr);
    H5T_class_t c = *type < 0 ? H5T_NO_CLASS : H5Tget_class(*type);
    bool scalar = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0) H5Sclose(space);
    if (scalar && (c == a || c == b)) return TK_OK;
    if (*type >= 0) H5Tclose(*type);
    H5Aclose(*attr);
    return TK_FAIL(TK_INPUT, "%s: the attribute must be %s", tk_h5_where(at, name, where), want);
}

static tk_status get_number(hid_t at, const char *name, H5T_class_t a, H5T_class_t b,
                            const char *want, hid_t memory, void *x)
{
    hid_t attr, type;
    TK_TRY(open_attr(at, name, a, b, want, &attr, &type));
    bool ok = H5Aread(attr, memory, x) >= 0;
    tk_status st = ok ? TK_OK : tk_h5_fail(TK_INPUT, at, name, "cannot read the attribute");
    H5Tclose(type);
    H5Aclose(attr);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_get_attr_i64(hid_t at, const char *name, int64_t *v)
{
    return get_number(at, name, H5T_INTEGER, H5T_INTEGER, "one integer", H5T_NATIVE_INT64, v);
}

tk_status tk_h5_get_attr_f64(hid_t at, const char *name, double *v)
{
    return get_number(at, name, H5T_FLOAT, H5T_INTEGER, "one number", H5T_NATIVE_DOUBLE, v);
}

// Variable-length strings of other writers: the library allocates, we copy within the bound.
static tk_status read_variable(hid_t at, const char *name, hid_t attr, tk_arena *a, char **s)
{
    char *text = NULL;
    hid_t memory = H5Tcopy(H5T_C_S1);
    H5Tset_size(memory, H5T_VARIABLE);
    hid_t type = H5Aget_type(attr);
    H5Tset_cset(memory, H5Tget_cset(type)); // converting between character sets is refused
    H5Tclose(type);
    tk_status st = H5Aread(attr, memory, &text) >= 0
                       ? TK_OK
                       : tk_h5_fail(TK_INPUT, at, name, "cannot read the attribute");
    size_t n = st == TK_OK && text ? strnlen(text, TK_H5_STRING_MAX + 1) : 0;
    if (n > TK_H5_STRING_MAX) st = tk_h5_fail(TK_INPUT, at, name, "is longer than 1 MiB");
    if (st == TK_OK && !(*s = tk_arena_strdup(a, text ? text : "")))
        st = TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)", n);
    if (text) H5free_memory(text);
    H5Tclose(memory);
    return st;
}

static tk_status read_fixed(hid_t at, const char *name, hid_t attr, hid_t type, tk_arena *a,
                            char **s)
{
    size_t n = H5Tget_size(type);
    if (n == 0 || n > TK_H5_STRING_MAX)
        return tk_h5_fail(TK_INPUT, at, name, "is longer than 1 MiB");
    TK_ARENA_NEW(*s, a, (int64_t)n + 1);
    hid_t memory = H5Tcopy(H5T_C_S1); // one byte more, for the end
    H5Tset_size(memory, n + 1);
    H5Tset_cset(memory, H5Tget_cset(type));
    bool ok = H5Aread(attr, memory, *s) >= 0;
    H5Tclose(memory);
    return ok ? TK_OK : tk_h5_fail(TK_INPUT, at, name, "cannot read the attribute");
}

tk_status tk_h5_get_attr_str(hid_t at, const char *name, tk_arena *a, char **s)
{
    hid_t attr, type;
    *s = NULL;
    TK_TRY(open_attr(at, name, H5T_STRING, H5T_STRING, "one string", &attr, &type));
    tk_status st = H5Tis_variable_str(type) > 0 ? read_variable(at, name, attr, a, s)
                                                : read_fixed(at, name, attr, type, a, s);
    H5Tclose(type);
    H5Aclose(attr);
    TK_TRY(st);
    return TK_OK;
}
