// SPDX-License-Identifier: Apache-2.0
// Internal to core/config/ and its tests: the table of options and the state of one
// loading.
#pragma once
#include "core/config/config.h"
#include <stdio.h>

typedef enum tk_option_kind {
    TK_OPT_INT,     // int64_t
    TK_OPT_FLOAT,   // double, always finite
    TK_OPT_BOOL,    // int64_t 0 or 1
    TK_OPT_ENUM,    // int64_t index into `names`
    TK_OPT_STRING,  // char *, UTF-8, at most TK_STRING_MAX bytes
    TK_OPT_STRINGS, // char **, and int64_t count; imax = most items
    TK_OPT_SIZE,    // int64_t[2]: width, height
    TK_OPT_SHOTS    // tk_shot_config *, and int64_t count; the items' options are rows "shots[].x"
} tk_option_kind;

enum {
    TK_STRING_MAX = 4096,    // bytes of a string
    TK_YAML_MAX = 1 << 20,   // bytes of a file
    TK_YAML_DEPTH = 32,      // nested lists and mappings
    TK_YAML_NODES = 1 << 16, // values in a file
    TK_ERRORS_MAX = 50       // error lines; more help nobody
};

typedef struct tk_option {
    const char *name; // "train.lr", "fps", "shots[].prompt"
    tk_option_kind kind;
    bool item;            // of tk_shot_config; else of tk_config
    size_t offset, count; // of the value, and of the number of items of a list
    int64_t idef;         // default of INT, BOOL, ENUM, and of both sides of SIZE
    int64_t imin, imax;   // bounds, inclusive
    double fdef;          // default of FLOAT
    double fmin, fmax;    // bounds, inclusive
    const char *sdef;     // default of STRING
    const char *names[5]; // of ENUM, NULL-terminated
    unsigned commands;    // TK_CMD_ bits, and TK_OPTION_BINDS
    const char *help;     // one sentence without a full stop
} tk_option;

// Of an option without whose value a run is another run: another model, or other losses.
enum { TK_OPTION_BINDS = 1 << 16 };

extern const tk_option tk_options[];
extern const int tk_n_options;

enum { TK_CMD_ALL = 255 };
const char *tk_command_name(unsigned command);     // "train"; "talkie" when not a single bit
const tk_option *tk_option_find(const char *name); // "train.lr", "shots[].prompt"; NULL if none
bool tk_option_of(const tk_option *o, unsigned command); // command 0: every option
// Nearest option by edit distance among those of `command` (0: all); sections: nearest section
// name.
const char *tk_option_nearest(const char *name, unsigned command, bool sections);
bool tk_option_is_section(const char *name); // "train"
// The name of today for a section that was called otherwise in the release before; else NULL.
const char *tk_option_section_now(const char *name);
void tk_option_default(const tk_option *o, void *base);
static inline void *tk_option_at(const tk_option *o, const void *base)
{
    return (char *)base + o->offset;
}
static inline int64_t *tk_option_count_at(const tk_option *o, const void *base)
{
    return (int64_t *)((char *)base + o->count);
}

// A value as YAML or the command line gives it, with its place.
typedef enum tk_node_kind { TK_NODE_SCALAR, TK_NODE_SEQUENCE, TK_NODE_MAPPING } tk_node_kind;
typedef struct tk_node {
    tk_node_kind kind;
    bool quoted;      // scalars: written in quotes or as a block
    int line, column; // from 1; 0 = the command line
    const char *text; // scalars
    size_t bytes;
    struct tk_node *first, *last, *next; // children: items, or key, value, key, value ...
} tk_node;

typedef struct tk_source { // where a value came from
    int line, column;      // 0 = the command line
    bool given, bad;       // bad: an error was reported about it
} tk_source;

typedef struct tk_loading {
    tk_config *config;
    unsigned command;
    const char *file;  // name of the YAML text in messages
    tk_arena scratch;  // nodes, sources and error lines, gone when loading ends
    tk_source *source; // (tk_n_options)
    tk_source *shot;   // (shots) of the items
    char *errors;      // lines
    size_t errors_used, errors_room;
    int n_errors;
    const char *renamed; // the name of a section as it was before, if one was given so
} tk_loading;

// Adds the line "file:line:column: name: words". Fails only for want of memory.
tk_status tk_config_error(tk_loading *l, int line, int column, const char *name, const char *fmt,
                          ...) __attribute__((format(printf, 5, 6)));
// Text of a user's for a message: clipped, control characters and broken UTF-8 replaced.
const char *tk_config_shown(const char *text, size_t bytes, char buf[96]);

// YAML text to nodes under the caps above. *root is NULL when the text holds no document or is
// not YAML (an error line says why).
tk_status tk_config_read_yaml(tk_loading *l, const char *text, size_t bytes, int line,
                              tk_node **root);
// Sets an option of `base` (tk_config or tk_shot_config) from a node; `name` for messages. *ok is
// false when an error line was added instead.
tk_status tk_config_set(tk_loading *l, const tk_option *o, void *base, const tk_node *value,
                        const char *name, bool *ok);
tk_status tk_config_set_shots(tk_loading *l, const tk_node *value, bool *ok);
tk_status tk_config_apply(tk_loading *l, const tk_node *root);      // a file's mapping
tk_status tk_config_override(tk_loading *l, const char *key_value); // one "key=value"
tk_status tk_config_check(tk_loading *l); // rules between options, of those that were read well
// The value in YAML, as the dump has it.
char *tk_config_format(const tk_option *o, const void *base, tk_arena *a);
void tk_config_format_float(double v, char buf[32]); // shortest that reads back the same
void tk_config_print_reference(FILE *f);
void tk_config_print_help(FILE *f, unsigned command);
