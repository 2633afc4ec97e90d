// SPDX-License-Identifier: Apache-2.0
// How rows of the table of options are written: internal to core/config/rows/. A file there holds
// the rows of some sections, in the order in which they are printed, and core/config/table.c puts
// the files in order.
#pragma once
#include "core/config/table.h"

// Rows below are of the struct that OF names.
#define AT(field) offsetof(OF, field)
#define INT(n, field, def, lo, hi, cmds, words)                                                  \
    {                                                                                            \
        .name = n, .kind = TK_OPT_INT, .offset = AT(field), .idef = def, .imin = lo, .imax = hi, \
        .commands = cmds, .help = words                                                          \
    }
#define FLT(n, field, def, lo, hi, cmds, words)                                                    \
    {                                                                                              \
        .name = n, .kind = TK_OPT_FLOAT, .offset = AT(field), .fdef = def, .fmin = lo, .fmax = hi, \
        .commands = cmds, .help = words                                                            \
    }
#define YES(n, field, def, cmds, words)                                                         \
    {                                                                                           \
        .name = n, .kind = TK_OPT_BOOL, .offset = AT(field), .idef = def, .imin = 0, .imax = 1, \
        .commands = cmds, .help = words                                                         \
    }
#define STR(n, field, def, cmds, words)                                                       \
    {                                                                                         \
        .name = n, .kind = TK_OPT_STRING, .offset = AT(field), .sdef = def, .commands = cmds, \
        .help = words                                                                         \
    }
#define PATH(n, field, def, cmds, words)                                                  \
    {                                                                                     \
        .name = n, .kind = TK_OPT_STRING, .offset = AT(field), .sdef = def, .path = true, \
        .commands = cmds, .help = words                                                   \
    }
#define ENUM(n, field, def, last, cmds, words, ...)                                                \
    {                                                                                              \
        .name = n, .kind = TK_OPT_ENUM, .offset = AT(field), .idef = def, .imin = 0, .imax = last, \
        .names = {__VA_ARGS__}, .commands = cmds, .help = words                                    \
    }
#define LIST(n, field, number, most, cmds, words)                                               \
    {                                                                                           \
        .name = n, .kind = TK_OPT_STRINGS, .offset = AT(field), .count = AT(number), .imin = 0, \
        .imax = most, .commands = cmds, .help = words                                           \
    }
#define INTS(n, field, number, lo, hi, cmds, words)                                           \
    {                                                                                         \
        .name = n, .kind = TK_OPT_INTS, .offset = AT(field), .count = AT(number), .imin = lo, \
        .imax = hi, .commands = cmds, .help = words                                           \
    }
#define ITEMS(n, field, number, table, most, cmds, words)                             \
    {                                                                                 \
        .name = n, .kind = TK_OPT_ITEMS, .items = &table, .offset = AT(field),        \
        .count = AT(number), .imin = 0, .imax = most, .commands = cmds, .help = words \
    }

enum {
    // Groups of commands.
    DATA = TK_CMD_DATA,
    SAMPLE = TK_CMD_SAMPLE,
    EVAL = TK_CMD_EVAL,
    TRAINS = TK_CMD_TRAIN | TK_CMD_PLAN | TK_CMD_BENCH,
    BINDS = TRAINS | TK_OPTION_BINDS,
    MEDIA = TK_CMD_DATA | TRAINS | TK_CMD_EVAL,
    WORKERS = TK_CMD_SAMPLE | TK_OPTION_WORKERS,
    SERVES = TK_CMD_SERVE | TK_OPTION_WORKERS,
    MESH = TRAINS | WORKERS | TK_CMD_EVAL | TK_CMD_PARITY,
    SAMPLES = TK_CMD_SAMPLE | TRAINS | TK_CMD_EVAL
};
#define SEED_MAX INT64_MAX

// The rows of an array, as a part of the table.
#define ROWS(rows)                                \
    {                                             \
        rows, (int)(sizeof rows / sizeof rows[0]) \
    }
