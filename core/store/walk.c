// SPDX-License-Identifier: Apache-2.0
// Reading all of a file's metadata, and values with it, through every part of the library that
// reading the file later goes through. For the process that may die of it (probe.c).
#include "core/store/internal.h"
#include <string.h>

enum {
    NUMBERS_MAX = 4 << 20, // bytes read of a dataset of plain numbers
    OTHERS_MAX = 64 << 20  // ... and of anything else
};

// Reads up to `most` bytes' worth of elements through the library's own conversions.
static void read_values(hid_t type, hid_t space, hid_t at, bool attribute)
{
    const hid_t native = H5Tget_native_type(type, H5T_DIR_DEFAULT);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = native >= 0 ? H5Tget_size(native) : 0;
    const H5T_class_t class = H5Tget_class(type);
    const bool numbers = class == H5T_INTEGER || class == H5T_FLOAT;
    const size_t most = numbers && !attribute ? NUMBERS_MAX : OTHERS_MAX;
    void *x = n > 0 && size > 0 && (size_t)n <= most / size ? tk_alloc((size_t)n * size) : NULL;
    if (x) {
        const herr_t got = attribute ? H5Aread(at, native, x)
                                     : H5Dread(at, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
        if (got >= 0) H5Dvlen_reclaim(native, space, H5P_DEFAULT, x);
        tk_free(x);
    }
    if (native >= 0) H5Tclose(native);
}

static herr_t walk_attribute(hid_t at, const char *name, const H5A_info_t *info, void *ctx)
{
    (void)info, (void)ctx;
    const hid_t attribute = H5Aexists(at, name) > 0 ? H5Aopen(at, name, H5P_DEFAULT) : -1;
    if (attribute < 0) return -1;
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    if (type >= 0 && space >= 0) read_values(type, space, attribute, true);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    H5Aclose(attribute);
    return 0;
}

static void walk_dataset(hid_t dataset)
{
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    const hid_t plan = H5Dget_create_plist(dataset);
    if (plan >= 0) {
        H5Pget_layout(plan);
        H5Pget_external_count(plan);
        H5Pget_nfilters(plan);
        H5Pclose(plan);
    }
    H5Dget_offset(dataset);
    H5Dget_storage_size(dataset);
    if (type >= 0 && space >= 0) read_values(type, space, dataset, false);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
}

static herr_t walk_object(hid_t root, const char *name, const H5O_info_t *info, void *ctx)
{
    (void)info, (void)ctx;
    if (H5Lexists(root, name, H5P_DEFAULT) < 0 && strcmp(name, ".") != 0) return 0;
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    if (object < 0) return -1;
    H5G_info_t group;
    if (H5Iget_type(object) == H5I_GROUP) H5Gget_info(object, &group);
    const herr_t all =
        H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, walk_attribute, NULL);
    if (H5Iget_type(object) == H5I_DATASET) walk_dataset(object);
    H5Oclose(object);
    return all;
}

// Links in the order of their names are gathered and sorted by the library first, which is more of
// it that can fail than following them where they lie.
static herr_t walk_link(hid_t root, const char *name, const H5L_info_t *info, void *ctx)
{
    (void)root, (void)name, (void)info, (void)ctx;
    return 0;
}

bool tk_h5_walk(const char *path)
{
    H5set_free_list_limits(0, 0, 0, 0, 0, 0); // blocks go back at once, and are checked
    tk_h5_quiet();
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) return true; // the caller meets the same, and has words for it
    H5Aexists(file, "format");
    const bool all =
        H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, walk_object, NULL, H5O_INFO_ALL) >= 0 &&
        H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, walk_link, NULL) >= 0;
    H5Fclose(file);
    H5close();
    return all;
}
