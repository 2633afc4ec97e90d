// SPDX-License-Identifier: Apache-2.0
#include "train/run/choices.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "train/run/rundir.h"
#include <string.h>
#include <unistd.h>

static const char NAME[] = "choices.txt";

// Rank 0's file, on all ranks; NULL where there is none. One that cannot be read is as a damaged
// one.
static tk_status share_file(tk_comm *world, const tk_owner *o, tk_arena *a, char **text)
{
    enum { MOST = 64 << 20 };
    size_t n = 0; // with the NUL
    tk_status st = TK_OK;
    *text = NULL;
    if (world->rank == 0 && o) {
        const char *path = tk_arena_printf(a, "%s/%s", o->dir, NAME);
        if (!path) st = TK_FAIL(TK_MEMORY, "out of memory for a path");
        if (st == TK_OK && !access(path, F_OK)) {
            st = tk_file_read(path, MOST, a, text, &n);
            if (st == TK_OK) n++;
            if (st == TK_INPUT || st == TK_IO) st = TK_OK, n = 1, *text = tk_arena_strdup(a, "");
        }
    }
    TK_TRY(tk_agree(world, st));
    TK_TRY(tk_comm_broadcast(world, &n, sizeof n, 0));
    if (!n) return TK_OK;
    if (world->rank) *text = tk_arena_alloc(a, n);
    TK_TRY(tk_agree(world, *text ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for %s", NAME)));
    return tk_comm_broadcast(world, *text, n, 0);
}

// *lack: ranks whose devices have nothing in the file.
static tk_status take_file(tk_comm *world, tk_device *d, const tk_owner *o, tk_arena *a,
                           uint64_t *lack)
{
    char *text;
    int64_t own = 0;
    TK_TRY(share_file(world, o, a, &text));
    const char *const given = text;
    tk_status st = text ? tk_device_choose(d, 1, &given, &own) : TK_OK;
    const bool damaged = st == TK_INPUT && text;
    if (damaged) st = TK_OK;
    TK_TRY(tk_agree(world, st));
    *lack = own == 0;
    TK_TRY(tk_comm_sum_u64(world, lack, 1));
    if (*lack && text && world->rank == 0)
        tk_log("%s/%s is %s: matrix products are timed anew", o->dir, NAME,
               damaged ? "damaged" : "of another GPU or another version of its library");
    return TK_OK;
}

// Every rank's text, of rank r at *text + r * *each.
static tk_status gather_texts(tk_comm *world, const char *mine, tk_arena *a, char **text,
                              size_t *each)
{
    const size_t bytes = strlen(mine) + 1;
    size_t *size = tk_arena_alloc(a, tk_array_bytes(world->size, sizeof *size));
    TK_TRY(tk_agree(world, size ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for sizes")));
    TK_TRY(tk_comm_all_gather(world, &bytes, size, sizeof bytes));
    *each = 0;
    for (int r = 0; r < world->size; r++) *each = size[r] > *each ? size[r] : *each;
    char *padded = tk_arena_alloc(a, *each);
    *text = tk_arena_alloc(a, tk_array_bytes(world->size, *each));
    const bool there = padded && *text;
    TK_TRY(tk_agree(world, there ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for choices")));
    memcpy(padded, mine, bytes);
    return tk_comm_all_gather(world, padded, *text, *each);
}

// From now on all ranks choose what the lowest one did that has met a shape.
static tk_status agree_choices(tk_comm *world, tk_device *d, tk_arena *a, int64_t *n)
{
    char *mine = NULL, *all = NULL;
    const char **text;
    size_t each = 0;
    TK_TRY(tk_agree(world, tk_device_learned(d, a, &mine)));
    TK_TRY(gather_texts(world, mine, a, &all, &each));
    TK_ARENA_NEW(text, a, world->size);
    for (int r = 0; r < world->size; r++) text[r] = all + (size_t)r * each;
    return tk_agree(world, tk_device_choose(d, world->size, text, n));
}

static tk_status write_choices_file(tk_device *d, const tk_owner *o, tk_arena *a)
{
    char *text;
    TK_TRY(tk_device_learned(d, a, &text));
    return tk_rundir_text(o, NAME, text);
}

static tk_status rehearse_and_agree(tk_comm *world, tk_trainer *t, const tk_owner *o, int64_t first,
                                    tk_arena *a)
{
    tk_device *d = t->device;
    const double begin = tk_now();
    int64_t n = 0;
    TK_TRY(tk_device_learn(d, true));
    TK_TRY(tk_trainer_rehearse(t, first));
    TK_TRY(tk_device_learn(d, false));
    TK_TRY(agree_choices(world, d, a, &n));
    if (n) tk_log("%lld shapes of matrix products timed in %.1f s", (long long)n, tk_now() - begin);
    return tk_agree(world, world->rank || !o ? TK_OK : write_choices_file(d, o, a));
}

tk_status tk_run_choices(tk_comm *world, tk_trainer *t, const tk_owner *o, int64_t first)
{
    tk_arena a;
    uint64_t lack = 0;
    if (!tk_device_learns(t->device)) return TK_OK;
    tk_arena_init(&a, 0);
    tk_status st = take_file(world, t->device, o, &a, &lack);
    if (st == TK_OK && lack) st = rehearse_and_agree(world, t, o, first, &a);
    tk_arena_free(&a);
    TK_TRY(st);
    return TK_OK;
}
