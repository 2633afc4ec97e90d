// SPDX-License-Identifier: Apache-2.0
// The config and its table as text: the resolved dump, the digest, --help and the reference page.
#include "core/config/load.h"
#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

// ---- the dump ----

// The start of a line: the first line of a list's item (*item) carries its dash.
static void start_line(tk_text *t, int indent, bool *item)
{
    tk_text_addf(t, "%*s%s", *item ? indent - 2 : indent, "", *item ? "- " : "");
    *item = false;
}

// The rows that `command` has, in lines behind `indent` blanks.
static void add_struct(tk_text *t, const tk_table *table, const void *base, unsigned command,
                       int indent, bool item)
{
    const tk_option *before = NULL, *o;
    for (int i = 0; (o = tk_table_row(table, i)); i++) {
        if (!tk_option_of(o, command)) continue;
        const int n = tk_option_section_length(o), inner = indent + (n ? 2 : 0);
        if (n && tk_option_opens_section(o, before)) {
            start_line(t, indent, &item);
            tk_text_addf(t, "%.*s:\n", n - 1, o->name);
        }
        before = o;
        start_line(t, inner, &item);
        tk_text_addf(t, "%s:", o->name + n);
        if (o->kind == TK_OPT_ITEMS && *tk_option_count_at(o, base)) {
            tk_text_add(t, "\n");
            for (int64_t k = 0; k < *tk_option_count_at(o, base); k++)
                add_struct(t, o->items, tk_option_item(o, base, k), 0, inner + 4, true);
            continue;
        }
        tk_text_add(t, " ");
        tk_config_add_value(t, o, base);
        tk_text_add(t, "\n");
    }
}

char *tk_table_dump(const tk_table *table, const void *base, unsigned command, tk_arena *a)
{
    tk_text t = tk_text_in(a);
    add_struct(&t, table, base, command, 0, false);
    return t.s;
}

char *tk_config_dump(const tk_config *c, unsigned command, tk_arena *a)
{
    return tk_table_dump(&tk_config_table, c, command, a);
}

tk_status tk_config_digest(const tk_config *c, uint64_t *out)
{
    tk_arena a;
    tk_arena_init(&a, 0);
    const char *dump = tk_config_dump(c, 0, &a);
    if (dump) *out = XXH3_64bits(dump, strlen(dump));
    tk_arena_free(&a);
    return dump ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for the config");
}

// ---- what differs ----

static void add_change(tk_text *to, const char *name, const char *was, const char *is)
{
    if (!was || !is) to->s = NULL;
    if (!was || !is || !strcmp(was, is)) return;
    const char *const part[] = {"\n  ", name, ": ", was, " -> ", is};
    for (int k = 0; k < 6; k++) tk_text_add(to, part[k]);
}

static void compare_structs(tk_text *to, const tk_table *t, const char *name, const void *before,
                            const void *now);

static const char *format_item(const tk_option *o, const void *base, int64_t i, tk_arena *a)
{
    tk_text t = tk_text_in(a);
    if (i < *tk_option_count_at(o, base))
        tk_config_add_item(&t, o->items, tk_option_item(o, base, i));
    else
        tk_text_add(&t, "none");
    return t.s;
}

static void compare_values(tk_text *to, const tk_option *o, const char *name, const void *before,
                           const void *now)
{
    tk_arena *a = to->arena;
    if (o->kind != TK_OPT_ITEMS) {
        add_change(to, name, tk_config_format(o, before, a), tk_config_format(o, now, a));
        return;
    }
    const int64_t n = *tk_option_count_at(o, before), m = *tk_option_count_at(o, now);
    for (int64_t i = 0; i < n || i < m; i++) {
        char item[TK_NAME_MAX];
        snprintf(item, sizeof item, "%.160s[%" PRId64 "]", name, i);
        if (i < n && i < m)
            compare_structs(to, o->items, item, tk_option_item(o, before, i),
                            tk_option_item(o, now, i));
        else
            add_change(to, item, format_item(o, before, i, a), format_item(o, now, i, a));
    }
}

static void compare_structs(tk_text *to, const tk_table *t, const char *name, const void *before,
                            const void *now)
{
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++) {
        char row[TK_NAME_MAX];
        snprintf(row, sizeof row, "%.95s.%.95s", name, o->name);
        compare_values(to, o, row, before, now);
    }
}

void tk_table_changes(const tk_table *t, const void *before, const void *now, unsigned command,
                      tk_arena *a, char **binding, char **others)
{
    tk_text binds = tk_text_in(a), rest = tk_text_in(a);
    const tk_option *o;
    for (int i = 0; (o = tk_table_row(t, i)); i++) {
        if (tk_option_of(o, command))
            compare_values(o->commands & TK_OPTION_BINDS ? &binds : &rest, o, o->name, before, now);
    }
    *binding = binds.s;
    *others = rest.s;
}

void tk_config_changes(const tk_config *before, const tk_config *now, unsigned command, tk_arena *a,
                       char **binding, char **others)
{
    tk_table_changes(&tk_config_table, before, now, command, a, binding, others);
}

// ---- help and reference ----

static const struct {
    const char *section, *title; // its name, or that of an option without one
} titles[] = {
    {"checkpoint", "Without a section: storyboards, output"},
    {"storyboards", "Without a section: job files"},
    {"device", "Without a section: what computes"},
    {"remix", "What is made anew of a clip (docs/remix.md)"},
    {"job", "A job of a spool"},
    {"serve", "A worker of a spool (talkie serve)"},
    {"jobs", "What is in a spool (talkie jobs)"},
    {"model", "The model"},
    {"parallel", "Ranks and threads"},
    {"media", "What clips are made of"},
    {"codec", "The embedded codec, fitted when clips are made"},
    {"world", "The procedural world (talkie data world)"},
    {"import", "Own media (talkie data import)"},
    {"data", "Training data"},
    {"plan", "What is planned (talkie plan)"},
    {"train", "Training"},
    {"tasks", "What training asks for, by weight"},
    {"preflight", "Whether all ranks are fit (talkie preflight)"},
    {"convert", "Weights to and from safetensors (talkie convert)"},
    {"sample", "Sampling"},
    {"film", "How a clip is delivered (docs/film.md)"},
    {"provenance", "Signatures of clips (docs/provenance.md)"},
    {"watermark", "The mark in clips (docs/watermark.md)"},
    {"consent", "Cameos (talkie cameo)"},
    {"gallery", "The gallery (talkie gallery)"},
    {"filter", "What is refused (docs/filters.md)"},
    {"eval", "Evaluation"},
    {"log", "Log"},
};

// Options without a section have that of the first of those that stand together.
static const char *title_of(const tk_table *t, const tk_option *o)
{
    const tk_option *x, *before = NULL, *first = NULL;
    for (int i = 0; before != o && (x = tk_table_row(t, i)); i++) {
        if (tk_option_opens_section(x, before)) first = x;
        before = x;
    }
    o = first ? first : o;
    const size_t section = (size_t)tk_option_section_length(o);
    const size_t n = section ? section - 1 : strlen(o->name);
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if (strlen(titles[i].section) == n && strncmp(titles[i].section, o->name, n) == 0)
            return titles[i].title;
    return "";
}

static const char *type_words(const tk_option *o, char buf[96])
{
    static const char *const words[] = {
        [TK_OPT_INT] = "integer",
        [TK_OPT_FLOAT] = "number",
        [TK_OPT_BOOL] = "true or false",
        [TK_OPT_STRING] = "string",
        [TK_OPT_STRINGS] = "list of strings",
        [TK_OPT_INTS] = "auto or list of integers",
        [TK_OPT_SIZE] = "width, height",
        [TK_OPT_ITEMS] = "list",
        [TK_OPT_ENUM] = "",
    };
    size_t n = (size_t)snprintf(buf, 96, "%s", words[o->kind]);
    for (int i = 0; o->kind == TK_OPT_ENUM && o->names[i]; i++)
        n += (size_t)snprintf(buf + n, 96 - n, "%s%s", i ? " or " : "", o->names[i]);
    return buf;
}

static const char *bound_words(const tk_option *o, char buf[96])
{
    char lo[32], hi[32];
    buf[0] = 0;
    if (o->kind == TK_OPT_FLOAT) {
        tk_config_format_float(o->fmin, lo);
        tk_config_format_float(o->fmax, hi);
        snprintf(buf, 96, "%s to %s", lo, hi);
    } else if (o->kind == TK_OPT_INT || o->kind == TK_OPT_INTS || o->kind == TK_OPT_SIZE) {
        snprintf(buf, 96, "%" PRId64 " to %" PRId64, o->imin, o->imax);
    } else if (o->kind == TK_OPT_STRINGS || o->kind == TK_OPT_ITEMS) {
        snprintf(buf, 96, "at most %" PRId64, o->imax);
    }
    return buf;
}

// The default as one writes it; "" for empty strings and lists, and for what must be given.
static const char *default_words(const tk_option *o, char buf[96])
{
    buf[0] = 0;
    switch (o->kind) {
    case TK_OPT_INT:
        snprintf(buf, 96, "%" PRId64, o->idef);
        break;
    case TK_OPT_BOOL:
        snprintf(buf, 96, "%s", o->idef ? "true" : "false");
        break;
    case TK_OPT_ENUM:
        snprintf(buf, 96, "%s", o->names[o->idef]);
        break;
    case TK_OPT_SIZE:
        snprintf(buf, 96, "[%" PRId64 ", %" PRId64 "]", o->idef, o->idef);
        break;
    case TK_OPT_STRING:
        snprintf(buf, 96, "%s", o->sdef);
        break;
    case TK_OPT_FLOAT:
        if (o->fdef >= o->fmin) tk_config_format_float(o->fdef, buf);
        break;
    case TK_OPT_INTS:
        snprintf(buf, 96, "auto");
        break;
    case TK_OPT_STRINGS:
    case TK_OPT_ITEMS:
        break;
    }
    return buf;
}

// Whether the row is the first below a heading of its own; items' rows stay below their list's.
static bool opens(const tk_row *r, const tk_option **before)
{
    if (r->depth) return false;
    const bool first = tk_option_opens_section(r->option, *before);
    *before = r->option;
    return first;
}

void tk_table_help(FILE *f, const tk_table *t, unsigned command)
{
    const tk_option *before = NULL;
    fprintf(f,
            "Options, in the config file (which may stand on another: \"base: other.yaml\") or as "
            "key=value:\n");
    for (tk_row r = tk_row_first(t); tk_row_next(&r);) {
        const tk_option *o = r.option;
        if (command && !(r.commands & command)) continue;
        if (opens(&r, &before)) fprintf(f, "\n%s\n", title_of(t, o));
        char type[96], bound[96], def[96];
        bound_words(o, bound);
        default_words(o, def);
        fprintf(f, "  %-24s %s\n  %-24s   %s%s%s%s%s\n", r.name, o->help, "", type_words(o, type),
                *bound ? ", " : "", bound, *def ? "; default " : "", def);
    }
}

void tk_table_reference(FILE *f, const tk_table *t)
{
    const tk_option *before = NULL;
    fprintf(
        f, "# Options\n\nGenerated from the table of options (`core/config/rows/`) by "
           "`talkie --options`.\n\nEvery option can stand in a YAML file, its section as a "
           "mapping, or on the command line as `key=value`,\nwhich wins over the file. Lists "
           "on the command line are separated by commas; shots are `shots[0].prompt=...`.\n"
           "A file may stand on another: `base: other.yaml`, a path relative to the file that says "
           "so. Its values lie over\nthe other's, lists whole; what is stored with outputs is the "
           "result.\n");
    for (tk_row r = tk_row_first(t); tk_row_next(&r);) {
        const tk_option *o = r.option;
        if (opens(&r, &before))
            fprintf(f,
                    "\n## %s\n\n| option | type | default | bounds | meaning | commands |\n"
                    "|---|---|---|---|---|---|\n",
                    title_of(t, o));
        char type[96], bound[96], def[96];
        default_words(o, def);
        fprintf(f, "| `%s` | %s | %s%s%s | %s | %s |", r.name, type_words(o, type), *def ? "`" : "",
                def, *def ? "`" : "", bound_words(o, bound), o->help);
        for (unsigned bit = 1; bit < TK_CMD_ALL; bit <<= 1)
            if (r.commands & bit) fprintf(f, " %s", tk_command_name(bit) + strlen("talkie "));
        fprintf(f, " |\n");
    }
}

void tk_config_help(unsigned command)
{
    tk_table_help(stdout, &tk_config_table, command);
}

void tk_config_reference(void)
{
    tk_table_reference(stdout, &tk_config_table);
}
