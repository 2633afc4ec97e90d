// SPDX-License-Identifier: Apache-2.0
// The front door: one row for each command, one way of reading a command line for all of them.
//
//     talkie NAME [--help | -h] [-o FILE | --output FILE] [key=value ...] [CONFIG.yaml] [FILES ...]
//
// in any order. A word with '=' before any '/' is an override, others are files; -o FILE is
// output=FILE. Where a command takes its config from a file, the front door loads it, and all ranks
// agree that it is right, with all that it names, and that they hold the same one, before the
// command runs.
#pragma once
#include "core/comm/comm.h"
#include "core/config/wrong.h"

typedef struct tk_invocation tk_invocation;

typedef enum tk_config_from {
    TK_CONFIG_FILE,     // the first file, which must be given
    TK_CONFIG_OPTIONAL, // the first *.yaml or *.yml, if any; else defaults
    TK_CONFIG_LAYERED   // the command's own business: the file's over a checkpoint's or a golden's
} tk_config_from;

// What is wrong with what a config names and asks for, beyond its options: lines of w, found by
// looks that cost little and write nothing. On rank 0 alone, of so many ranks. Options may be wrong
// themselves (tk_wrong_doubts). Of LAYERED commands in->config has what the command line says, and
// the config file, if one is given.
typedef tk_status tk_asks(tk_wrong *w, const tk_invocation *in, int ranks);

typedef struct tk_command {
    const char *name;      // "train", "data import"
    const char *was;       // its name in the release before, still taken; NULL: none
    const char *arguments; // as in the usage line, without key=value
    const char *help;      // one line
    const char *wants;     // what is missing when too few files are given: "a clip file"
    int least, most;       // files, beside the config
    bool reads;            // those: they are there, or it does not begin
    unsigned options;      // TK_CMD_ bit: whose options it takes
    tk_config_from config;
    tk_asks *ask; // NULL: nothing beyond the options
    tk_status (*run)(tk_comm *world, tk_invocation *in);
} tk_command;

struct tk_invocation { // a command line, read
    const tk_command *command;
    tk_config config; // TK_CONFIG_LAYERED: defaults
    const char *config_file;
    char **files, **overrides;
    int n_files, n_overrides;
    tk_arena arena;
};

extern const tk_command tk_commands[]; // the program's: talkie.c

// Collective. Runs what the words after the program's name ask for. table: ends with a row without
// a name. Rank 0 prints help; errors of the command line are the same on every rank.
tk_status tk_command_run(const tk_command *table, tk_comm *world, int argc, char **argv);

// The config of in->config_file (NULL: none) and the overrides, with the options of `command`:
// TK_INPUT with all that is wrong with them and, on rank 0, that `ask` finds.
tk_status tk_command_config(const tk_comm *world, tk_invocation *in, unsigned command,
                            tk_asks *ask);

// Collective. `loaded`: how loading *c went on this rank. All ranks agree on it and hold the same
// config, and its log.level holds from here on.
tk_status tk_config_agree(tk_comm *world, tk_status loaded, const tk_config *c);
