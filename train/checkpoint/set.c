// SPDX-License-Identifier: Apache-2.0
// The files that tensors lie in: rank 0 finds them, every rank reads them.
#define _GNU_SOURCE // stpcpy
#include "train/checkpoint/internal.h"
#include <string.h>

tk_status tk_ck_one_file(const char *path, tk_arena *a, tk_ck_files *files)
{
    TK_ARENA_NEW(files->path, a, 1);
    files->path[0] = tk_arena_strdup(a, path);
    files->n = 1;
    return files->path[0] ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a path");
}

// Their names end to end, each with its zero.
static tk_status join_names(const tk_ck_files *files, tk_arena *a, int64_t told[2], char **all)
{
    told[0] = files->n;
    for (int i = 0; i < files->n; i++) told[1] += (int64_t)strlen(files->path[i]) + 1;
    char *to = tk_arena_alloc(a, (size_t)told[1]);
    if (!to) return TK_FAIL(TK_MEMORY, "out of memory for names of files");
    *all = to;
    for (int i = 0; i < files->n; i++) to = stpcpy(to, files->path[i]) + 1;
    return TK_OK;
}

static tk_status make_room_for_names(const int64_t told[2], tk_arena *a, tk_ck_files *files,
                                     char **all)
{
    TK_ARENA_NEW(files->path, a, told[0]);
    TK_ARENA_NEW(*all, a, told[1]);
    return TK_OK;
}

tk_status tk_ck_share_files(tk_comm *world, tk_arena *a, tk_ck_files *files)
{
    const bool first = world->rank == 0;
    int64_t told[2] = {0};
    char *all = NULL;
    if (world->size == 1) return TK_OK;
    TK_TRY(tk_agree(world, first ? join_names(files, a, told, &all) : TK_OK));
    TK_TRY(tk_comm_broadcast(world, told, sizeof told, 0));
    TK_TRY(tk_agree(world, first ? TK_OK : make_room_for_names(told, a, files, &all)));
    TK_TRY(tk_comm_broadcast(world, all, (size_t)told[1], 0));
    files->n = (int)told[0];
    for (int i = 0; i < files->n && !first; i++, all += strlen(all) + 1) files->path[i] = all;
    return TK_OK;
}
