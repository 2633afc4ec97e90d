// SPDX-License-Identifier: Apache-2.0
// Tables of options: internal to core/config/, to rooms that read files of their own
// (tk_table_load in core/config/load.h), and to tests.
//
// A table describes a struct, a row for each of its options. The config is such a struct. An option
// may be a list of structs (TK_OPT_ITEMS), whose items have a table of their own: "shots" is one,
// and "shots[].prompt" a row of its items' table. A new kind of list is a struct, a table of its
// rows and one row here; reading, overriding, printing and suggesting know nothing of any of them.
#pragma once
#include "core/config/config.h"

typedef enum tk_option_kind {
    TK_OPT_INT,     // int64_t
    TK_OPT_FLOAT,   // double, always finite
    TK_OPT_BOOL,    // int64_t 0 or 1
    TK_OPT_ENUM,    // int64_t index into `names`
    TK_OPT_STRING,  // char *, UTF-8, at most TK_STRING_MAX bytes
    TK_OPT_STRINGS, // char **, and int64_t count; imax = most items
    TK_OPT_INTS,    // int64_t *, and int64_t count, at most TK_INTS_MAX; NULL: auto, not []
    TK_OPT_SIZE,    // int64_t[2]: width, height
    TK_OPT_ITEMS    // array of the struct that `items` describes, and int64_t count; imax as above
} tk_option_kind;

enum {
    TK_STRING_MAX = 4096, // bytes of a string
    TK_INTS_MAX = 64,     // whole numbers of a list
    TK_NAME_MAX = 192,    // bytes of an option's full name, "shots[2].prompt"
    TK_ITEMS_DEPTH = 3    // tables below each other, the outermost included
};

typedef struct tk_rows {
    const struct tk_option *row;
    int n;
} tk_rows;

// Rows are counted from 0 through `first` and then `more`: tk_table_row, tk_table_rows.
typedef struct tk_table {
    const struct tk_option *first;
    int n_first;
    size_t bytes;               // of the struct
    const char *one;            // what an item is called: "shot"
    const tk_rows *const *more; // of files of their own, in order, NULL behind the last; or NULL
} tk_table;

// A table of the rows of an array, which describe a struct of `type`.
#define TK_TABLE(rows, type, name)                                          \
    {                                                                       \
        rows, (int)(sizeof rows / sizeof rows[0]), sizeof(type), name, NULL \
    }

typedef struct tk_option {
    const char *name; // in its table: "train.lr", "fps"; "prompt" of an item
    tk_option_kind kind;
    const tk_table *items; // of ITEMS
    size_t offset, count;  // of the value, and of the number of items of a list
    int64_t idef;          // default of INT, BOOL, ENUM, and of both sides of SIZE
    int64_t imin, imax;    // bounds, inclusive; of INTS those of each number
    double fdef;           // default of FLOAT; below fmin: must be given
    double fmin, fmax;     // bounds, inclusive
    const char *sdef;      // default of STRING
    bool path;             // STRING: a file's; read as an absolute path, beginning at the config
    const char *names[5];  // of ENUM, NULL-terminated
    unsigned commands;     // TK_CMD_ bits, and TK_OPTION_ ones; of an item's row, those of its list
    const char *help;      // one sentence without a full stop
} tk_option;

enum {
    // Of an option without whose value a run is another run: another model, or other losses.
    TK_OPTION_BINDS = 1 << 16,
    // Of one that clips are made by, but that in a spool the worker says, for all of its jobs.
    TK_OPTION_WORKERS = 1 << 17
};

extern const tk_table tk_config_table; // describes tk_config

enum { TK_CMD_ALL = 32767 };
const char *tk_command_name(unsigned command); // "train"; "talkie" when not a single bit

const tk_option *tk_table_row(const tk_table *t, int i);   // NULL behind the last
int tk_table_rows(const tk_table *t);                      // how many
int tk_table_index(const tk_table *t, const tk_option *o); // the i of row o, which is in t
const tk_option *tk_option_find(const tk_table *t, const char *name); // NULL if none
bool tk_option_of(const tk_option *o, unsigned command);              // command 0: every option
bool tk_option_is_section(const tk_table *t, const char *name);       // "train"
int tk_option_section_length(const tk_option *o);                     // "train." of "train.lr": 6
bool tk_option_opens_section(const tk_option *o, const tk_option *before); // before: may be NULL
// The name of today for a section of the config that was called otherwise in the release before;
// else NULL.
const char *tk_option_section_now(const char *name);
const char *tk_option_now(const char *name); // the same for an option, section and all
// The nearest name by edit distance among the options of `command` (0: all), items' rows included
// as "shots[].prompt", or among sections; "": none is near. Good until the thread's next call.
const char *tk_option_nearest(const tk_table *t, const char *name, unsigned command, bool sections);
void tk_table_default(const tk_table *t, void *base);

static inline void *tk_option_at(const tk_option *o, const void *base)
{
    return (char *)base + o->offset;
}
static inline int64_t *tk_option_count_at(const tk_option *o, const void *base)
{
    return (int64_t *)((char *)base + o->count);
}
static inline void *tk_option_item(const tk_option *o, const void *base, int64_t i)
{
    return *(char **)tk_option_at(o, base) + (size_t)i * o->items->bytes;
}

// A walk over all rows in order, those of a list's items after the list itself:
//
//     for (tk_row r = tk_row_first(table); tk_row_next(&r);) ... r.option, r.name ...
typedef struct tk_row {
    const tk_option *option;
    char name[TK_NAME_MAX]; // "shots[].prompt"
    unsigned commands;      // of the outermost list, or of the option
    int depth;              // 0: a row of the table itself
    struct {
        const tk_table *table;
        int next;
        size_t name; // bytes that come before its rows' names
    } level[TK_ITEMS_DEPTH];
} tk_row;
tk_row tk_row_first(const tk_table *t);
bool tk_row_next(tk_row *r);
