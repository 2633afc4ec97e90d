// SPDX-License-Identifier: Apache-2.0
// HDF5 datasets: whole arrays, and datasets laid out for others to pwrite and pread.
#include "core/base/log.h"
#include "core/store/internal.h"
#include <stdio.h>
#include <string.h>

enum { MAX_DIM = 8 };

// "(3, 64)" with -1 as "any"
static const char *shape_words(int ndim, const int64_t *dim, char buf[192])
{
    size_t n = (size_t)snprintf(buf, 192, "(");
    for (int i = 0; i < ndim; i++) {
        const char *comma = i ? ", " : "";
        if (dim[i] < 0)
            n += (size_t)snprintf(buf + n, 192 - n, "%sany", comma);
        else
            n += (size_t)snprintf(buf + n, 192 - n, "%s%lld", comma, (long long)dim[i]);
    }
    snprintf(buf + n, 192 - n, ")");
    return buf;
}

static tk_status make_dataset(hid_t at, const char *name, hid_t type, int ndim, const int64_t *dim,
                              bool laid_out, hid_t *out)
{
    hsize_t size[MAX_DIM] = {0};
    *out = -1;
    if (ndim < 0 || ndim > MAX_DIM)
        return TK_FAIL(TK_INTERNAL, "dataset %s with %d dimensions", name, ndim);
    for (int i = 0; i < ndim; i++) size[i] = (hsize_t)dim[i];
    hid_t space = ndim ? H5Screate_simple(ndim, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(plan, H5D_CONTIGUOUS);
    H5Pset_obj_track_times(plan, false); // the same content is the same bytes
    if (laid_out) {
        H5Pset_alloc_time(plan, H5D_ALLOC_TIME_EARLY);
        H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
    }
    *out = H5Dcreate2(at, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
    tk_status st = *out < 0 ? tk_h5_fail(TK_IO, at, name, "cannot make the dataset") : TK_OK;
    H5Pclose(plan);
    if (space >= 0) H5Sclose(space);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_put(hid_t at, const char *name, hid_t type, int ndim, const int64_t *dim,
                    const void *x)
{
    tk_h5_quiet();
    hid_t set;
    int64_t n = 1;
    TK_TRY(make_dataset(at, name, type, ndim, dim, false, &set));
    for (int i = 0; i < ndim; i++) n *= dim[i];
    tk_status st = TK_OK;
    if (n && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) < 0)
        st = tk_h5_fail(TK_IO, at, name, "cannot write the dataset");
    H5Dclose(set);
    tk_alive();
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_layout(hid_t at, const char *name, hid_t file_type, int ndim, const int64_t *dim,
                       int64_t *address)
{
    tk_h5_quiet();
    hid_t set;
    int64_t n = 1;
    *address = 0;
    TK_TRY(make_dataset(at, name, file_type, ndim, dim, true, &set));
    for (int i = 0; i < ndim; i++) n *= dim[i];
    haddr_t offset = n ? H5Dget_offset(set) : 0;
    tk_status st = TK_OK;
    if (offset == HADDR_UNDEF)
        st = tk_h5_fail(TK_IO, at, name, "no room was allocated in the file");
    else
        *address = (int64_t)offset;
    H5Dclose(set);
    TK_TRY(st);
    return TK_OK;
}

// ---- reading, within bounds ----

static tk_status open_set(hid_t at, const char *name, hid_t *set)
{
    char where[512];
    tk_h5_quiet();
    *set = -1;
    if (!tk_h5_exists(at, name))
        return TK_FAIL(TK_INPUT, "%s is missing", tk_h5_where(at, name, where));
    *set = H5Dopen2(at, name, H5P_DEFAULT);
    return *set < 0 ? tk_h5_fail(TK_INPUT, at, name, "is not a readable dataset") : TK_OK;
}

static tk_status get_shape(hid_t at, const char *name, hid_t set, int max_dim, int *ndim,
                           int64_t *dim)
{
    char where[512];
    hsize_t size[H5S_MAX_RANK];
    hid_t space = H5Dget_space(set);
    bool simple =
        space >= 0 && H5Sis_simple(space) > 0 && H5Sget_simple_extent_type(space) != H5S_NULL;
    int n = simple ? H5Sget_simple_extent_ndims(space) : -1;
    if (n >= 0 && n <= max_dim) H5Sget_simple_extent_dims(space, size, NULL);
    if (space >= 0) H5Sclose(space);
    tk_h5_where(at, name, where);
    if (n < 0) return TK_FAIL(TK_INPUT, "%s has no shape that can be read", where);
    if (n > max_dim)
        return TK_FAIL(TK_INPUT, "%s has %d dimensions; at most %d are wanted", where, n, max_dim);
    for (int i = 0; i < n; i++) {
        if (size[i] > (hsize_t)INT64_MAX) return TK_FAIL(TK_INPUT, "%s is impossibly large", where);
        dim[i] = (int64_t)size[i];
    }
    *ndim = n;
    return TK_OK;
}

tk_status tk_h5_shape(hid_t at, const char *name, int max_dim, int *ndim, int64_t *dim)
{
    hid_t set;
    TK_TRY(open_set(at, name, &set));
    tk_status st = get_shape(at, name, set, max_dim, ndim, dim);
    H5Dclose(set);
    TK_TRY(st);
    return TK_OK;
}

// How the data lies in the file: contiguous, filtered, or in a way that is not believed (in other
// files, or made up from other datasets).
static tk_status get_layout(hid_t at, const char *name, hid_t set, bool *contiguous, bool *filtered)
{
    hid_t plan = H5Dget_create_plist(set);
    if (plan < 0) return tk_h5_fail(TK_INPUT, at, name, "has no readable layout");
    H5D_layout_t layout = H5Pget_layout(plan);
    bool elsewhere = layout < 0 || layout == H5D_VIRTUAL || H5Pget_external_count(plan) > 0;
    *contiguous = layout == H5D_CONTIGUOUS;
    *filtered = H5Pget_nfilters(plan) > 0;
    H5Pclose(plan);
    return elsewhere ? tk_h5_fail(TK_INPUT, at, name, "keeps its data outside this file") : TK_OK;
}

// Elements and bytes of data that the file really has, and the file offset where it is contiguous
// (0 elements, or not contiguous: 0).
static tk_status bounded(hid_t at, const char *name, hid_t set, int64_t *elements, int64_t *bytes,
                         int64_t *address)
{
    char where[512];
    int ndim;
    int64_t dim[MAX_DIM], n = 1;
    bool contiguous, filtered;
    TK_TRY(get_shape(at, name, set, MAX_DIM, &ndim, dim));
    for (int i = 0; i < ndim; i++) TK_TRY(tk_mul_size(n, dim[i], &n));
    TK_TRY(get_layout(at, name, set, &contiguous, &filtered));
    hid_t type = H5Dget_type(set);
    size_t each = type < 0 ? 0 : H5Tget_size(type);
    if (type >= 0) H5Tclose(type);
    if (each == 0) return tk_h5_fail(TK_INPUT, at, name, "has no readable type");
    TK_TRY(tk_mul_size(n, (int64_t)each, bytes));
    int64_t file = tk_h5_file_bytes(at), stored = (int64_t)H5Dget_storage_size(set);
    haddr_t offset = contiguous && n ? H5Dget_offset(set) : 0;
    bool lies_outside = stored < 0 || stored > file || offset == HADDR_UNDEF ||
                        (contiguous && (int64_t)offset > file - stored);
    bool too_little = *bytes / (filtered ? TK_H5_RATIO_MAX : 1) > stored;
    tk_h5_where(at, name, where);
    if (lies_outside || too_little)
        return TK_FAIL(TK_INPUT,
                       "%s is incomplete: %lld bytes are wanted, %lld are stored, in a file of "
                       "%lld",
                       where, (long long)*bytes, (long long)stored, (long long)file);
    *elements = n;
    *address = (int64_t)offset;
    return TK_OK;
}

static tk_status check_shape(hid_t at, const char *name, hid_t set, int ndim, int64_t *dim)
{
    char where[512], want[192], have[192];
    int64_t found[MAX_DIM];
    int n;
    TK_TRY(get_shape(at, name, set, MAX_DIM, &n, found));
    bool same = n == ndim;
    for (int i = 0; i < n && same; i++) same = dim[i] < 0 || dim[i] == found[i];
    if (!same)
        return TK_FAIL(TK_INPUT, "%s has shape %s; wanted is %s", tk_h5_where(at, name, where),
                       shape_words(n, found, have), shape_words(ndim, dim, want));
    memcpy(dim, found, (size_t)n * sizeof *dim);
    return TK_OK;
}

static tk_status check_class(hid_t at, const char *name, hid_t set, hid_t memory)
{
    char where[512];
    hid_t type = H5Dget_type(set);
    H5T_class_t have = type < 0 ? H5T_NO_CLASS : H5Tget_class(type), want = H5Tget_class(memory);
    if (type >= 0) H5Tclose(type);
    if (have == want) return TK_OK;
    return TK_FAIL(TK_INPUT, "%s does not hold %s", tk_h5_where(at, name, where),
                   want == H5T_FLOAT     ? "floating-point numbers"
                   : want == H5T_INTEGER ? "integers"
                                         : "what is wanted of it");
}

static tk_status get_set(hid_t at, const char *name, hid_t set, hid_t type, int ndim, int64_t *dim,
                         tk_arena *a, void **x)
{
    int64_t n, bytes, address;
    TK_TRY(check_class(at, name, set, type));
    TK_TRY(check_shape(at, name, set, ndim, dim));
    TK_TRY(bounded(at, name, set, &n, &bytes, &address));
    TK_TRY(tk_mul_size(n, (int64_t)H5Tget_size(type), &bytes));
    char *values;
    TK_ARENA_NEW(values, a, bytes ? bytes : 1);
    if (n && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0)
        return tk_h5_fail(TK_INPUT, at, name, "cannot be read");
    *x = values;
    return TK_OK;
}

tk_status tk_h5_get(hid_t at, const char *name, hid_t type, int ndim, int64_t *dim, tk_arena *a,
                    void **x)
{
    hid_t set;
    *x = NULL;
    TK_TRY(open_set(at, name, &set));
    tk_status st = get_set(at, name, set, type, ndim, dim, a, x);
    H5Dclose(set);
    tk_alive();
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_address(hid_t at, const char *name, int64_t *address, int64_t *bytes)
{
    hid_t set;
    int64_t n;
    bool contiguous = false, filtered = false;
    TK_TRY(open_set(at, name, &set));
    tk_status st = get_layout(at, name, set, &contiguous, &filtered);
    if (st == TK_OK && (!contiguous || filtered))
        st = tk_h5_fail(TK_INPUT, at, name, "is not contiguous and unfiltered");
    if (st == TK_OK) st = bounded(at, name, set, &n, bytes, address);
    H5Dclose(set);
    TK_TRY(st);
    return TK_OK;
}

// ---- lists of strings --------------------------------------------------------------------------

tk_status tk_h5_put_strings(hid_t at, const char *name, int64_t n, char *const *s)
{
    int64_t bytes = 0, end = 0;
    tk_arena scratch;
    char *all;
    for (int64_t i = 0; i < n; i++) bytes += (int64_t)strlen(s[i]) + 1;
    tk_arena_init(&scratch, 0);
    tk_status st = (all = tk_arena_alloc(&scratch, (size_t)bytes + 1))
                       ? TK_OK
                       : TK_FAIL(TK_MEMORY, "out of memory (%lld bytes)", (long long)bytes);
    for (int64_t i = 0; i < n && st == TK_OK; i++) end = stpcpy(all + end, s[i]) + 1 - all;
    if (st == TK_OK) st = tk_h5_put(at, name, H5T_NATIVE_UINT8, 1, &bytes, all);
    tk_arena_free(&scratch);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_h5_get_strings(hid_t at, const char *name, tk_arena *a, int64_t *n, char ***s)
{
    char where[512];
    void *values;
    int64_t bytes = -1, from = 0;
    *n = 0;
    *s = NULL;
    TK_TRY(tk_h5_get(at, name, H5T_NATIVE_UINT8, 1, &bytes, a, &values));
    char *all = values;
    if (bytes && all[bytes - 1])
        return TK_FAIL(TK_INPUT, "%s: its last string has no end", tk_h5_where(at, name, where));
    for (int64_t i = 0; i < bytes; i++) *n += !all[i];
    TK_ARENA_NEW(*s, a, *n + 1);
    for (int64_t i = 0; i < *n; i++) {
        (*s)[i] = all + from;
        from += (int64_t)strlen(all + from) + 1;
    }
    return TK_OK;
}
