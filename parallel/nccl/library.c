// SPDX-License-Identifier: Apache-2.0
// The library: found when it is needed, so that talkie starts where it is not.
#include "core/base/mem.h"
#include "parallel/nccl/internal.h"
#include <dlfcn.h>
#include <stdio.h>

tk_nccl_functions tk_nccl;

static void *library;

// 22809 -> 2.28.9
static const char *version_text(int version, char *out, size_t size)
{
    snprintf(out, size, "%d.%d.%d", version / 10000, version / 100 % 100, version % 100);
    return out;
}

static tk_status find_functions(void *from)
{
    static const struct {
        const char *name;
        size_t at;
    } rows[] = {
#define X(name) {"nccl" #name, offsetof(tk_nccl_functions, name)},
        TK_NCCL_FUNCTIONS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        void *f = dlsym(from, rows[i].name);
        if (!f)
            return TK_FAIL(TK_INPUT,
                           "libnccl.so.2 has no function %s: this talkie needs NCCL %d.%d",
                           rows[i].name, NCCL_MAJOR, NCCL_MINOR);
        *(void **)((char *)&tk_nccl + rows[i].at) = f;
    }
    return TK_OK;
}

// The structures that calls take have grown from version to version: not older than the header's.
static tk_status check_version(int version)
{
    char text[32];
    if (version >= NCCL_VERSION(NCCL_MAJOR, NCCL_MINOR, 0)) return TK_OK;
    return TK_FAIL(TK_INPUT,
                   "libnccl.so.2 is NCCL %s, and this talkie was built for %d.%d or later: put a "
                   "newer one ahead in LD_LIBRARY_PATH",
                   version_text(version, text, sizeof text), NCCL_MAJOR, NCCL_MINOR);
}

static tk_status find_library(int *version)
{
    if (!library) {
        void *found = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
        if (!found)
            return TK_FAIL(TK_INPUT,
                           "device=cuda on several ranks needs NCCL (libnccl.so.2), which does not "
                           "load: %s. Install it, or say where it is in LD_LIBRARY_PATH",
                           dlerror());
        const tk_status st = find_functions(found);
        if (st != TK_OK) dlclose(found);
        TK_TRY(st);
        library = found;
    }
    if (tk_nccl.GetVersion(version) != ncclSuccess)
        return TK_FAIL(TK_INPUT, "libnccl.so.2 does not tell its version");
    return check_version(*version);
}

static tk_status same_version(tk_comm *world, int version)
{
    char mine[32], other[32];
    int *all = tk_alloc((size_t)world->size * sizeof *all);
    tk_status st = tk_agree(world, all ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory"));
    if (st == TK_OK) st = tk_comm_all_gather(world, &version, all, sizeof version);
    for (int i = 1; st == TK_OK && i < world->size; i++)
        if (all[i] != all[0])
            st = TK_FAIL(TK_INPUT,
                         "rank 0 has NCCL %s and rank %d has %s: all need the same libnccl.so.2",
                         version_text(all[0], mine, sizeof mine), i,
                         version_text(all[i], other, sizeof other));
    tk_free(all);
    return tk_agree(world, st);
}

tk_status tk_nccl_load(tk_comm *world)
{
    int version = 0;
    TK_TRY(tk_agree(world, find_library(&version)));
    return same_version(world, version);
}
