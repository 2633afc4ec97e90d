// SPDX-License-Identifier: Apache-2.0
#include "train/command.h"
#include "core/log.h"
#include "train/run.h"
#include <stdio.h>
#include <string.h>

static tk_status load(tk_config *c, unsigned command, const char *usage, int argc, char **argv)
{
    if (argc < 1 || strchr(argv[0], '='))
        return TK_FAIL(TK_INPUT, "a config file is missing; usage: %s", usage);
    return tk_config_load(c, command, argv[0], argc - 1, argv + 1);
}

tk_status tk_train_config_load(tk_comm *world, tk_config *c, unsigned command, const char *usage,
                               int argc, char **argv, bool *done)
{
    *done = false;
    tk_config_init(c);
    for (int i = 0; i < argc; i++) *done |= !strcmp(argv[i], "--help") || !strcmp(argv[i], "-h");
    if (*done) {
        if (world->rank == 0) {
            printf("usage: %s\n\n", usage);
            tk_config_help(command);
        }
        return TK_OK;
    }
    TK_TRY(tk_agree(world, load(c, command, usage, argc, argv)));
    const uint64_t digest = tk_config_digest(c);
    TK_TRY(tk_same(world, "the configuration", &digest, sizeof digest));
    tk_log_open(world->rank, (int)c->log_level);
    return TK_OK;
}

tk_status tk_train_command(tk_comm *world, int argc, char **argv)
{
    tk_config c;
    bool done;
    tk_status st = tk_train_config_load(world, &c, TK_CMD_TRAIN,
                                        "talkie train CONFIG [key=value ...]", argc, argv, &done);
    if (st == TK_OK && !done) st = tk_train_run(world, &c);
    tk_config_free(&c);
    return st;
}
