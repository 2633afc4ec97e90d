// SPDX-License-Identifier: Apache-2.0
// The config and its table as text: the resolved dump, the digest, --help and the reference page.
#include "core/config/table.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

// A string that grows in an arena; NULL text after a failed allocation, which later calls keep.
typedef struct text {
    tk_arena *a;
    char *s;
    size_t used, room;
} text;

static void add(text *t, const char *s, size_t n)
{
    if (!t->s) return;
    if (t->used + n + 1 > t->room) {
        size_t room = 2 * (t->used + n + 1);
        char *grown = tk_arena_alloc(t->a, room);
        if (grown) memcpy(grown, t->s, t->used);
        t->s = grown;
        t->room = room;
        if (!grown) return;
    }
    memcpy(t->s + t->used, s, n);
    t->used += n;
    t->s[t->used] = 0;
}

__attribute__((format(printf, 2, 3))) static void addf(text *t, const char *fmt, ...)
{
    char buf[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, sizeof buf, fmt, ap);
    va_end(ap);
    add(t, buf, n < (int)sizeof buf ? (size_t)n : sizeof buf - 1);
}

static text text_in(tk_arena *a)
{
    text t = {.a = a, .s = tk_arena_alloc(a, 1024), .room = 1024};
    return t;
}

void tk_config_format_float(double v, char buf[32])
{
    for (int digits = 9; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) return;
    }
}

// Double-quoted YAML. Whatever YAML does not take raw, or would fold as a line break, is escaped.
static void add_string(text *t, const char *s)
{
    add(t, "\"", 1);
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            addf(t, "\\%c", *p);
        else if (*p == '\n')
            add(t, "\\n", 2);
        else if (*p < 32 || *p == 127)
            addf(t, "\\x%02X", *p);
        else if (*p == 0xc2 && p[1] < 0xa0)
            addf(t, "\\x%02X", *++p);
        else if (*p == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8)
            addf(t, "\\u20%02X", p[2] & 0x3f), p += 2;
        else if (*p == 0xef && ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe)))
            addf(t, "\\u%04X", 0xf000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)), p += 2;
        else
            add(t, (const char *)p, 1);
    }
    add(t, "\"", 1);
}

static void add_value(text *t, const tk_option *o, const void *base)
{
    const void *at = tk_option_at(o, base);
    int64_t i = o->kind == TK_OPT_FLOAT ? 0 : *(const int64_t *)at;
    char buf[32];
    switch (o->kind) {
    case TK_OPT_INT:
        addf(t, "%" PRId64, i);
        break;
    case TK_OPT_BOOL:
        addf(t, "%s", i ? "true" : "false");
        break;
    case TK_OPT_ENUM:
        addf(t, "%s", o->names[i]);
        break;
    case TK_OPT_SIZE:
        addf(t, "[%" PRId64 ", %" PRId64 "]", i, ((const int64_t *)at)[1]);
        break;
    case TK_OPT_STRING:
        add_string(t, *(char *const *)at);
        break;
    case TK_OPT_SHOTS:
        add(t, "[]", 2);
        break; // filled ones are written by add_shots
    case TK_OPT_FLOAT:
        tk_config_format_float(*(const double *)at, buf);
        addf(t, "%s", buf);
        break;
    case TK_OPT_STRINGS:
        add(t, "[", 1);
        for (int64_t k = 0; k < *tk_option_count_at(o, base); k++) {
            if (k) add(t, ", ", 2);
            add_string(t, (*(char **const *)at)[k]);
        }
        add(t, "]", 1);
        break;
    }
}

char *tk_config_format(const tk_option *o, const void *base, tk_arena *a)
{
    text t = text_in(a);
    add_value(&t, o, base);
    return t.s;
}

static void add_shots(text *t, const tk_storyboard *s)
{
    for (int64_t i = 0; i < s->n_shots; i++) {
        const char *lead = "  - ";
        for (int k = 0; k < tk_n_options; k++) {
            const tk_option *o = &tk_options[k];
            if (!o->item) continue;
            addf(t, "%s%s: ", lead, strchr(o->name, '.') + 1);
            add_value(t, o, &s->shots[i]);
            add(t, "\n", 1);
            lead = "    ";
        }
    }
}

// Length of the section's name, with its dot; 0 for options without a prefix.
static int section_length(const tk_option *o)
{
    const char *dot = o->item ? NULL : strchr(o->name, '.');
    return dot ? (int)(dot - o->name) + 1 : 0;
}

static bool opens_section(const tk_option *o, const tk_option *before)
{
    int n = section_length(o);
    return !before || section_length(before) != n || strncmp(o->name, before->name, (size_t)n) != 0;
}

char *tk_config_dump(const tk_config *c, unsigned command, tk_arena *a)
{
    text t = text_in(a);
    const tk_option *before = NULL;
    for (int i = 0; i < tk_n_options; i++) {
        const tk_option *o = &tk_options[i];
        if (o->item || !tk_option_of(o, command)) continue;
        int n = section_length(o);
        if (n && opens_section(o, before)) addf(&t, "%.*s:\n", n - 1, o->name);
        before = o;
        addf(&t, "%s%s:", n ? "  " : "", o->name + n);
        if (o->kind == TK_OPT_SHOTS && c->story.n_shots) {
            add(&t, "\n", 1);
            add_shots(&t, &c->story);
            continue;
        }
        add(&t, " ", 1);
        add_value(&t, o, c);
        add(&t, "\n", 1);
    }
    return t.s;
}

void tk_config_changes(const tk_config *before, const tk_config *now, unsigned command, tk_arena *a,
                       char **binding, char **others)
{
    text t[2] = {text_in(a), text_in(a)};
    for (int k = 0; k < 2; k++)
        if (t[k].s) t[k].s[0] = 0;
    for (int i = 0; i < tk_n_options; i++) {
        const tk_option *o = &tk_options[i];
        if (o->item || o->kind == TK_OPT_SHOTS || !tk_option_of(o, command)) continue;
        const char *was = tk_config_format(o, before, a), *is = tk_config_format(o, now, a);
        text *to = &t[!(o->commands & TK_OPTION_BINDS)];
        if (!was || !is) to->s = NULL;
        if (!was || !is || !strcmp(was, is)) continue;
        const char *const part[] = {"\n  ", o->name, ": ", was, " -> ", is};
        for (int k = 0; k < 6; k++) add(to, part[k], strlen(part[k]));
    }
    *binding = t[0].s;
    *others = t[1].s;
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

// ---- help and reference ----

static const struct {
    const char *section, *title;
} titles[] = {
    {"", "Without a section: storyboards, job files, output"},
    {"model", "The model"},
    {"parallel", "Ranks and threads"},
    {"media", "What clips are made of"},
    {"codec", "The embedded codec, fitted when clips are made"},
    {"world", "The procedural world (talkie data world)"},
    {"import", "Own media (talkie data import)"},
    {"data", "Training data"},
    {"train", "Training"},
    {"sample", "Sampling"},
    {"eval", "Evaluation"},
    {"log", "Log"},
};

static const char *title_of(const tk_option *o)
{
    int n = section_length(o);
    for (size_t i = 0; i < sizeof titles / sizeof titles[0]; i++)
        if ((int)strlen(titles[i].section) == (n ? n - 1 : 0) &&
            strncmp(titles[i].section, o->name, n ? (size_t)n - 1 : 0) == 0)
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
        [TK_OPT_SIZE] = "width, height",
        [TK_OPT_SHOTS] = "list",
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
    } else if (o->kind == TK_OPT_INT || o->kind == TK_OPT_SIZE) {
        snprintf(buf, 96, "%" PRId64 " to %" PRId64, o->imin, o->imax);
    } else if (o->kind == TK_OPT_STRINGS || o->kind == TK_OPT_SHOTS) {
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
    case TK_OPT_STRINGS:
    case TK_OPT_SHOTS:
        break;
    }
    return buf;
}

void tk_config_print_help(FILE *f, unsigned command)
{
    const tk_option *before = NULL;
    fprintf(f, "Options, in the config file or as key=value:\n");
    for (int i = 0; i < tk_n_options; i++) {
        const tk_option *o = &tk_options[i];
        if (!tk_option_of(o, command)) continue;
        if (opens_section(o, before)) fprintf(f, "\n%s\n", title_of(o));
        before = o;
        char type[96], bound[96], def[96];
        bound_words(o, bound);
        default_words(o, def);
        fprintf(f, "  %-24s %s\n  %-24s   %s%s%s%s%s\n", o->name, o->help, "", type_words(o, type),
                *bound ? ", " : "", bound, *def ? "; default " : "", def);
    }
}

void tk_config_print_reference(FILE *f)
{
    const tk_option *before = NULL;
    fprintf(f, "# Options\n\nGenerated from the table of options (`core/config/table.c`) by "
               "`talkie --options`.\n\nEvery option can stand in a YAML file, its section as a "
               "mapping, or on the command line as `key=value`,\nwhich wins over the file. Lists "
               "on the command line are separated by commas; shots are `shots[0].prompt=...`.\n");
    for (int i = 0; i < tk_n_options; i++) {
        const tk_option *o = &tk_options[i];
        if (opens_section(o, before))
            fprintf(f,
                    "\n## %s\n\n| option | type | default | bounds | meaning | commands |\n"
                    "|---|---|---|---|---|---|\n",
                    title_of(o));
        before = o;
        char type[96], bound[96], def[96];
        default_words(o, def);
        fprintf(f, "| `%s` | %s | %s%s%s | %s | %s |", o->name, type_words(o, type),
                *def ? "`" : "", def, *def ? "`" : "", bound_words(o, bound), o->help);
        for (unsigned bit = 1; bit < TK_CMD_ALL; bit <<= 1)
            if (o->commands & bit) fprintf(f, " %s", tk_command_name(bit) + strlen("talkie "));
        fprintf(f, " |\n");
    }
}

void tk_config_help(unsigned command)
{
    tk_config_print_help(stdout, command);
}

void tk_config_reference(void)
{
    tk_config_print_reference(stdout);
}
