// SPDX-License-Identifier: Apache-2.0
#include "train/run/diff.h"
#include "train/checkpoint/checkpoint.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// ---- two configs -------------------------------------------------------------------------------

static tk_status read_directory(const char *where, tk_arena *a, tk_config *c)
{
    const char *file = tk_arena_printf(a, "%s/config.yaml", where);
    if (!file) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    return tk_config_load(c, 0, file, 0, NULL);
}

static tk_status read_checkpoint(const char *where, tk_arena *a, tk_config *c)
{
    tk_checkpoint_meta meta;
    TK_TRY(tk_checkpoint_open(where, NULL, tk_comm_self(), a, &meta));
    if (!meta.config) return TK_FAIL(TK_INPUT, "%s: this checkpoint has no config", where);
    return tk_config_parse(c, 0, where, meta.config, strlen(meta.config), 0, NULL);
}

static tk_status read_run_config(const char *where, tk_arena *a, tk_config *c)
{
    struct stat s;
    if (stat(where, &s)) return TK_FAIL(TK_INPUT, "no run at %s: %s", where, strerror(errno));
    return S_ISDIR(s.st_mode) ? read_directory(where, a, c) : read_checkpoint(where, a, c);
}

// ---- what differs ------------------------------------------------------------------------------

// Prints the lines of tk_config_changes, which begin with a line break and blanks; how many.
static int print_lines(const char *changes)
{
    int n = 0;
    for (const char *at = changes; *at; n++) {
        at += strspn(at, "\n ");
        const size_t length = strcspn(at, "\n");
        printf("%.*s\n", (int)length, at);
        at += length;
    }
    return n;
}

static tk_status compare_both(tk_invocation *in, tk_config run[2])
{
    char *binding, *others;
    for (int i = 0; i < 2; i++) TK_TRY(read_run_config(in->files[i], &in->arena, &run[i]));
    tk_config_changes(&run[0], &run[1], 0, &in->arena, &binding, &others);
    if (!binding || !others) return TK_FAIL(TK_MEMORY, "out of memory for what differs");
    const int binds = print_lines(binding), rest = print_lines(others);
    if (!binds && !rest) return TK_OK;
    return TK_FAIL(TK_DIFFERENT,
                   "%s and %s differ in %d options, %d of which make another model or "
                   "other losses",
                   in->files[0], in->files[1], binds + rest, binds);
}

static tk_status compare_runs(tk_invocation *in)
{
    tk_config run[2];
    for (int i = 0; i < 2; i++) tk_config_init(&run[i]);
    const tk_status st = compare_both(in, run);
    for (int i = 0; i < 2; i++) tk_config_free(&run[i]);
    return st;
}

tk_status tk_diff_command(tk_comm *world, tk_invocation *in)
{
    const tk_status loaded =
        tk_config_load(&in->config, in->command->options, NULL, in->n_overrides, in->overrides);
    TK_TRY(tk_config_agree(world, loaded, &in->config));
    return tk_agree(world, world->rank == 0 ? compare_runs(in) : TK_OK);
}
