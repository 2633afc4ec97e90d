// SPDX-License-Identifier: Apache-2.0
// The table of options, whose rows are in core/config/rows/. Everything that knows an option's
// name, type, default or bounds reads it here.
#include "core/config/table.h"
#include "core/base/edits.h"
#include <stdio.h>
#include <string.h>

extern const tk_rows tk_story_rows, tk_model_rows, tk_train_rows, tk_sample_rows;

static const tk_rows *const config_rows[] = {&tk_story_rows, &tk_model_rows, &tk_train_rows,
                                             &tk_sample_rows, NULL};
const tk_table tk_config_table = {.bytes = sizeof(tk_config), .one = "config", .more = config_rows};

const tk_option *tk_table_row(const tk_table *t, int i)
{
    if (i < t->n_first) return &t->first[i];
    i -= t->n_first;
    for (const tk_rows *const *part = t->more; part && *part; i -= (*part++)->n)
        if (i < (*part)->n) return &(*part)->row[i];
    return NULL;
}

int tk_table_rows(const tk_table *t)
{
    int n = t->n_first;
    for (const tk_rows *const *part = t->more; part && *part; part++) n += (*part)->n;
    return n;
}

int tk_table_index(const tk_table *t, const tk_option *o)
{
    int i = 0;
    while (tk_table_row(t, i) != o) i++;
    return i;
}

const char *tk_command_name(unsigned command)
{
    switch (command) {
    case TK_CMD_DATA:
        return "talkie data";
    case TK_CMD_TRAIN:
        return "talkie train";
    case TK_CMD_SAMPLE:
        return "talkie sample";
    case TK_CMD_PLAN:
        return "talkie plan";
    case TK_CMD_PARITY:
        return "talkie parity";
    case TK_CMD_BENCH:
        return "talkie bench";
    case TK_CMD_EVAL:
        return "talkie eval";
    case TK_CMD_PREFLIGHT:
        return "talkie preflight";
    case TK_CMD_CONVERT:
        return "talkie convert";
    case TK_CMD_SERVE:
        return "talkie serve";
    case TK_CMD_VERIFY:
        return "talkie verify";
    case TK_CMD_JOBS:
        return "talkie jobs";
    case TK_CMD_CAMEO:
        return "talkie cameo";
    case TK_CMD_GALLERY:
        return "talkie gallery";
    case TK_CMD_LOOK:
        return "talkie data info/check";
    default:
        return "talkie";
    }
}

const tk_option *tk_option_find(const tk_table *t, const char *name)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)) && strcmp(o->name, name) != 0;) i++;
    return o;
}

bool tk_option_of(const tk_option *o, unsigned command)
{
    return command == 0 || (o->commands & command) != 0;
}

bool tk_option_is_section(const tk_table *t, const char *name)
{
    const size_t n = strlen(name);
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++)
        if (n > 0 && strncmp(o->name, name, n) == 0 && o->name[n] == '.') return true;
    return false;
}

int tk_option_section_length(const tk_option *o)
{
    const char *dot = strchr(o->name, '.');
    return dot ? (int)(dot - o->name) + 1 : 0;
}

bool tk_option_opens_section(const tk_option *o, const tk_option *before)
{
    const int n = tk_option_section_length(o);
    return !before || tk_option_section_length(before) != n ||
           strncmp(o->name, before->name, (size_t)n) != 0;
}

const char *tk_option_section_now(const char *name)
{
    static const char *const now[][2] = {{"stage", "world"}, {"remake", "remix"}};
    for (size_t i = 0; i < sizeof now / sizeof *now; i++)
        if (!strcmp(name, now[i][0])) return now[i][1];
    return NULL;
}

const char *tk_option_now(const char *name)
{
    static const char *const now[][2] = {{"train.init", "train.from"},
                                         {"import.codec", "codec.from"}};
    for (size_t i = 0; i < sizeof now / sizeof *now; i++)
        if (!strcmp(name, now[i][0])) return now[i][1];
    return NULL;
}

static void set_default(const tk_option *o, void *base)
{
    void *at = tk_option_at(o, base);
    switch (o->kind) {
    case TK_OPT_INT:
    case TK_OPT_BOOL:
    case TK_OPT_ENUM:
        *(int64_t *)at = o->idef;
        break;
    case TK_OPT_FLOAT:
        *(double *)at = o->fdef;
        break;
    case TK_OPT_STRING:
        *(const char **)at = o->sdef;
        break; // a literal, never written to
    case TK_OPT_SIZE:
        ((int64_t *)at)[0] = ((int64_t *)at)[1] = o->idef;
        break;
    case TK_OPT_STRINGS:
    case TK_OPT_INTS:
    case TK_OPT_ITEMS:
        *(void **)at = NULL;
        *tk_option_count_at(o, base) = 0;
        break;
    }
}

void tk_table_default(const tk_table *t, void *base)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++) set_default(o, base);
}

// ---- a walk over all rows ----

tk_row tk_row_first(const tk_table *t)
{
    return (tk_row){.level = {{.table = t}}};
}

bool tk_row_next(tk_row *r)
{
    const tk_option *last = r->option;
    if (last && last->kind == TK_OPT_ITEMS && r->depth + 1 < TK_ITEMS_DEPTH) {
        size_t n = strlen(r->name);
        n += (size_t)snprintf(r->name + n, sizeof r->name - n, "[].");
        r->level[++r->depth].table = last->items;
        r->level[r->depth].next = 0;
        r->level[r->depth].name = n;
    }
    while (!(r->option = tk_table_row(r->level[r->depth].table, r->level[r->depth].next))) {
        if (r->depth == 0) return false;
        r->depth--;
    }
    r->level[r->depth].next++;
    const size_t n = r->level[r->depth].name;
    snprintf(r->name + n, sizeof r->name - n, "%s", r->option->name);
    if (r->depth == 0) r->commands = r->option->commands;
    return true;
}

// ---- suggestions ----

// What a typing error leaves near: a third of the letters at most.
static bool is_near(int distance, const char *name)
{
    return distance <= ((int)strlen(name) + 2) / 3;
}

// How far a name is from one that was given; -1: not near, as "train.foo" from "train.from", which
// share their section alone. The right last part in the wrong section, or in none, is nearly right.
static int distance_between(const char *given, const char *name, bool section)
{
    const char *of_given = strrchr(given, '.'), *of_name = strrchr(name, '.');
    const char *part = of_given ? of_given + 1 : given;
    const int whole = tk_edit_distance(given, name);
    if (section || (!of_given && is_near(whole, given))) return is_near(whole, given) ? whole : -1;
    const int last = tk_edit_distance(part, of_name ? of_name + 1 : name);
    if (!is_near(last, part)) return -1;
    return whole <= last ? whole : last + 1;
}

const char *tk_option_nearest(const tk_table *t, const char *name, unsigned command, bool sections)
{
    static _Thread_local char nearest[TK_NAME_MAX];
    int least = 1 << 30;
    nearest[0] = 0;
    for (tk_row r = tk_row_first(t); tk_row_next(&r);) {
        const char *dot = strrchr(r.name, '.');
        if ((command && !(r.commands & command)) || (sections && (!dot || r.depth))) continue;
        char own[TK_NAME_MAX];
        snprintf(own, sizeof own, "%.*s", sections ? (int)(dot - r.name) : TK_NAME_MAX, r.name);
        const int d = distance_between(name, own, sections);
        if (d < 0 || d >= least) continue;
        least = d;
        strcpy(nearest, own);
    }
    return nearest;
}
