// SPDX-License-Identifier: Apache-2.0
// Reading a struct that a table describes: internal to core/config/ and its tests, but for
// tk_table_load, by which other rooms read files of their own. Files of this room use only those
// before them in this list:
//
//     table, text    options; growing strings
//     places         where options were given
//     wrong          what is wrong: lines with their places
//     report         ... of what is read
//     value, yaml    one value from and to text; YAML text to nodes
//     apply          nodes and overrides to the struct
//     base           a file over the one it stands on
//     named          what texts of a storyboard name
//     check, print   rules between options; the whole as text
//     job            what a job may say
//     texts          strings with the places they come from
//     config         all of it, for the program
#pragma once
#include "core/config/table.h"
#include "core/config/text.h"
#include "core/config/wrong.h"
#include <stdio.h>

enum {
    TK_YAML_MAX = 1 << 20,   // bytes of a file
    TK_YAML_DEPTH = 32,      // nested lists and mappings
    TK_YAML_NODES = 1 << 16, // values in a file
    TK_ERRORS_MAX = 50,      // error lines; more help nobody
    TK_BASES_MAX = 8         // files below a config, each the base of the one before
};

typedef struct tk_place { // where something was written
    const char *file;     // NULL: on the command line
    int line, column;     // from 1; 0: of the file as a whole
} tk_place;

// A value as YAML or the command line gives it.
typedef enum tk_node_kind { TK_NODE_SCALAR, TK_NODE_SEQUENCE, TK_NODE_MAPPING } tk_node_kind;
typedef struct tk_yaml_node {
    tk_node_kind kind;
    bool quoted; // scalars: written in quotes or as a block
    tk_place at;
    const char *text; // scalars
    size_t bytes;
    struct tk_yaml_node *first, *last, *next; // children: items, or key, value, key, value ...
} tk_yaml_node;

typedef struct tk_source { // where a value came from
    tk_place at;
    bool given, bad; // bad: an error was reported about it, or about what it holds
    int64_t n_items;
    struct tk_source *item; // of a list: its items
    struct tk_source *row;  // of a struct: the rows of its table
} tk_source;

typedef struct tk_loading {
    const tk_table *table; // describes
    void *base;            // the struct that is read, which holds defaults or an earlier reading
    tk_arena *arena;       // of its strings and lists
    unsigned command;
    const char *file; // name of the YAML text in messages
    tk_arena scratch; // nodes, sources and error lines, gone when loading ends
    tk_source source; // of the struct
    tk_wrong *wrong;  // errors; NULL before tk_loading_open: they are the loading's own
    tk_wrong own;     // ... then these
    int n_errors;     // of this loading
    // The names of a section and of an option as they are now, if one was given as it was before.
    const char *renamed, *renamed_option;
} tk_loading;

// ---- places ----

const char *tk_place_words(tk_place at, tk_arena *a); // "a.yaml:3:12"; NULL: out of memory
tk_status tk_config_note_place(tk_config *c, const char *name, tk_place at);

// ---- report ----

// Adds the line "file:line:column: name: words": what `name` is to be is not known then. Fails only
// for want of memory.
tk_status tk_config_error(tk_loading *l, tk_place at, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
bool tk_config_full(const tk_loading *l); // of errors: what follows would not be shown
// Text of a user's for a message: clipped, control characters and broken UTF-8 replaced.
const char *tk_config_shown(const char *text, size_t bytes, char buf[96]);

// ---- value, yaml ----

// Sets an option of `base`, any but a list of structs, from a node; `name` for messages. *ok is
// false when an error line was added instead.
tk_status tk_config_set(tk_loading *l, const tk_option *o, void *base, const tk_yaml_node *value,
                        const char *name, bool *ok);
// The value in YAML, on one line.
char *tk_config_format(const tk_option *o, const void *base, tk_arena *a);
void tk_config_add_value(tk_text *t, const tk_option *o, const void *base);
void tk_config_add_item(tk_text *t, const tk_table *table, const void *item); // {a: 1, b: 2}
void tk_config_format_float(double v, char buf[32]); // shortest that reads back the same
// YAML text to nodes under the caps above; file NULL: the text is an override's. *root is NULL when
// the text holds no document or is not YAML (an error line says why).
tk_status tk_config_read_yaml(tk_loading *l, const char *text, size_t bytes, const char *file,
                              tk_yaml_node **root);

// ---- apply ----

// Before all else: l has its table, base, arena, command and file. Its scratch is freed by whoever
// opened it.
tk_status tk_loading_open(tk_loading *l);
tk_status tk_config_apply(tk_loading *l, const tk_yaml_node *root); // a file's mapping
tk_status tk_config_override(tk_loading *l, const char *key_value); // one "key=value"

// ---- base ----

// A file's mapping over that of its base, if it names one. path NULL: text that is no file.
tk_status tk_config_apply_file(tk_loading *l, const char *path, tk_yaml_node *root);

// ---- texts ----

// Notes the places of what was just read into the config that l reads.
tk_status tk_config_note_places(const tk_loading *l);

// ---- config ----

// A file that is no config: l has its table, base (which gets defaults first), arena and file.
// check adds an error line for what else is wrong, once the file was read to its end. One TK_INPUT
// message of all lines.
tk_status tk_table_load(tk_loading *l, tk_status (*check)(tk_loading *l));

// ---- check, print ----

tk_status tk_config_check(tk_loading *l); // rules between options of tk_config that were read well
tk_status tk_config_check_named(tk_loading *l); // of them: what prompts name is given
// As tk_config_dump and tk_config_changes, for any table's struct.
char *tk_table_dump(const tk_table *t, const void *base, unsigned command, tk_arena *a);
void tk_table_changes(const tk_table *t, const void *before, const void *now, unsigned command,
                      tk_arena *a, char **binding, char **others);
void tk_table_help(FILE *f, const tk_table *t, unsigned command);
void tk_table_reference(FILE *f, const tk_table *t);
