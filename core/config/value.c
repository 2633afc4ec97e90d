// SPDX-License-Identifier: Apache-2.0
// One option's value: from text with checks and words, and back to text.
#include "core/base/utf8.h"
#include "core/config/load.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static const char AUTOMATIC[] = "auto"; // a list of whole numbers that is left to the program

// ---- to text ----

void tk_config_format_float(double v, char buf[32])
{
    for (int digits = 9; digits <= 17; digits++) {
        snprintf(buf, 32, "%.*g", digits, v);
        if (strtod(buf, NULL) == v) return;
    }
}

// Double-quoted YAML. Whatever YAML does not take raw, or would fold as a line break, is escaped.
static void add_string(tk_text *t, const char *s)
{
    tk_text_add(t, "\"");
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p == '"' || *p == '\\')
            tk_text_addf(t, "\\%c", *p);
        else if (*p == '\n')
            tk_text_add(t, "\\n");
        else if (*p < 32 || *p == 127)
            tk_text_addf(t, "\\x%02X", *p);
        else if (*p == 0xc2 && p[1] < 0xa0)
            tk_text_addf(t, "\\x%02X", *++p);
        else if (*p == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8)
            tk_text_addf(t, "\\u20%02X", p[2] & 0x3f), p += 2;
        else if (*p == 0xef && ((p[1] == 0xbb && p[2] == 0xbf) || (p[1] == 0xbf && p[2] >= 0xbe)))
            tk_text_addf(t, "\\u%04X", 0xf000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu)), p += 2;
        else
            tk_text_add_bytes(t, (const char *)p, 1);
    }
    tk_text_add(t, "\"");
}

void tk_config_add_item(tk_text *t, const tk_table *table, const void *item)
{
    const tk_option *o;
    for (int k = 0; (o = tk_table_row(table, k)); k++) {
        tk_text_addf(t, "%s%s: ", k ? ", " : "{", o->name);
        tk_config_add_value(t, o, item);
    }
    tk_text_add(t, "}");
}

static void add_ints(tk_text *t, const int64_t *list, int64_t n)
{
    tk_text_add(t, list ? "[" : AUTOMATIC);
    for (int64_t k = 0; k < n; k++) tk_text_addf(t, "%s%" PRId64, k ? ", " : "", list[k]);
    if (list) tk_text_add(t, "]");
}

void tk_config_add_value(tk_text *t, const tk_option *o, const void *base)
{
    const void *at = tk_option_at(o, base);
    const int64_t i = o->kind == TK_OPT_FLOAT ? 0 : *(const int64_t *)at;
    char buf[32];
    switch (o->kind) {
    case TK_OPT_INT:
        tk_text_addf(t, "%" PRId64, i);
        break;
    case TK_OPT_BOOL:
        tk_text_addf(t, "%s", i ? "true" : "false");
        break;
    case TK_OPT_ENUM:
        tk_text_addf(t, "%s", o->names[i]);
        break;
    case TK_OPT_SIZE:
        tk_text_addf(t, "[%" PRId64 ", %" PRId64 "]", i, ((const int64_t *)at)[1]);
        break;
    case TK_OPT_STRING:
        add_string(t, *(char *const *)at);
        break;
    case TK_OPT_ITEMS:
        tk_text_add(t, "[");
        for (int64_t k = 0; k < *tk_option_count_at(o, base); k++) {
            if (k) tk_text_add(t, ", ");
            tk_config_add_item(t, o->items, tk_option_item(o, base, k));
        }
        tk_text_add(t, "]");
        break;
    case TK_OPT_FLOAT:
        tk_config_format_float(*(const double *)at, buf);
        tk_text_addf(t, "%s", buf);
        break;
    case TK_OPT_STRINGS:
        tk_text_add(t, "[");
        for (int64_t k = 0; k < *tk_option_count_at(o, base); k++) {
            if (k) tk_text_add(t, ", ");
            add_string(t, (*(char **const *)at)[k]);
        }
        tk_text_add(t, "]");
        break;
    case TK_OPT_INTS:
        add_ints(t, *(int64_t *const *)at, *tk_option_count_at(o, base));
        break;
    }
}

char *tk_config_format(const tk_option *o, const void *base, tk_arena *a)
{
    tk_text t = tk_text_in(a);
    tk_config_add_value(&t, o, base);
    return t.s;
}

// ---- from text ----

// What an option wants, in words.
static const char *wanted(const tk_option *o, char buf[TK_WANTED])
{
    enum { ROOM = TK_WANTED };
    char lo[32], hi[32];
    size_t n = 0;
    switch (o->kind) {
    case TK_OPT_INT:
        snprintf(buf, ROOM, "a whole number from %" PRId64 " to %" PRId64, o->imin, o->imax);
        break;
    case TK_OPT_FLOAT:
        tk_config_format_float(o->fmin, lo);
        tk_config_format_float(o->fmax, hi);
        snprintf(buf, ROOM, "a number from %s to %s", lo, hi);
        break;
    case TK_OPT_BOOL:
        snprintf(buf, ROOM, "true or false");
        break;
    case TK_OPT_ENUM:
        n = (size_t)snprintf(buf, ROOM, "one of");
        for (int i = 0; o->names[i]; i++)
            n += (size_t)snprintf(buf + n, ROOM - n, "%s %s", i ? "," : "", o->names[i]);
        break;
    case TK_OPT_STRING:
        snprintf(buf, ROOM, "a string");
        break;
    case TK_OPT_STRINGS:
        snprintf(buf, ROOM, "a list of strings");
        break;
    case TK_OPT_INTS:
        snprintf(buf, ROOM,
                 "%s, or a list of at most %d whole numbers from %" PRId64 " to %" PRId64,
                 AUTOMATIC, TK_INTS_MAX, o->imin, o->imax);
        break;
    case TK_OPT_SIZE:
        snprintf(buf, ROOM,
                 "width and height as [64, 64] or 64x64, each from %" PRId64 " to %" PRId64,
                 o->imin, o->imax);
        break;
    case TK_OPT_ITEMS:
        snprintf(buf, ROOM, "a list of %ss", o->items->one);
        break;
    }
    return buf;
}

bool tk_config_takes(const char *option, double x, char want[TK_WANTED])
{
    const tk_option *o = tk_option_find(&tk_config_table, option);
    tk_assert(o && (o->kind == TK_OPT_INT || o->kind == TK_OPT_FLOAT));
    wanted(o, want);
    if (o->kind == TK_OPT_FLOAT) return x >= o->fmin && x <= o->fmax;
    return x >= (double)o->imin && x <= (double)o->imax && x == floor(x);
}

static tk_status unfit(tk_loading *l, const tk_option *o, const tk_yaml_node *v, const char *name,
                       bool *ok)
{
    char want[TK_WANTED], shown[96];
    *ok = false;
    wanted(o, want);
    if (v->kind == TK_NODE_MAPPING)
        return tk_config_error(l, v->at, name, "wants %s, not keys", want);
    if (v->kind == TK_NODE_SEQUENCE)
        return tk_config_error(l, v->at, name, "wants %s, not this list", want);
    if (v->bytes == 0 && !v->quoted)
        return tk_config_error(l, v->at, name, "has no value; give %s", want);
    tk_config_shown(v->text, v->bytes, shown);
    return tk_config_error(l, v->at, name, "%s%s%s is not %s", v->quoted ? "\"" : "", shown,
                           v->quoted ? "\"" : "", want);
}

// Numbers: false when the text is not one. A float that overflows is infinite.
static bool read_float(const char *s, size_t bytes, double *out)
{
    if (bytes == 0 || bytes > 63 || strspn(s, "0123456789+-.eE") != bytes) return false;
    char *end;
    *out = strtod(s, &end);
    return end == s + bytes;
}

static bool read_int(const char *s, size_t bytes, int64_t *out)
{
    if (bytes == 0 || bytes > 63 || strspn(s, "0123456789+-.eE") != bytes) return false;
    char *end;
    errno = 0;
    *out = strtoll(s, &end, 10);
    if (end == s + bytes) return errno == 0;
    double d; // 1e6 is whole as well
    if (!read_float(s, bytes, &d) || d != floor(d) || fabs(d) > 9007199254740992.0) return false;
    *out = (int64_t)d;
    return true;
}

static bool one_of(const char *s, const char *const *words)
{
    for (; *words; words++)
        if (strcasecmp(s, *words) == 0) return true;
    return false;
}

static tk_status set_int(tk_loading *l, const tk_option *o, int64_t *at, const tk_yaml_node *v,
                         const char *name, bool *ok)
{
    int64_t x;
    if (v->kind != TK_NODE_SCALAR || v->quoted || !read_int(v->text, v->bytes, &x) || x < o->imin ||
        x > o->imax)
        return unfit(l, o, v, name, ok);
    *at = x;
    return TK_OK;
}

static tk_status set_float(tk_loading *l, const tk_option *o, double *at, const tk_yaml_node *v,
                           const char *name, bool *ok)
{
    double x;
    if (v->kind != TK_NODE_SCALAR || v->quoted || !read_float(v->text, v->bytes, &x) ||
        !isfinite(x) || x < o->fmin || x > o->fmax)
        return unfit(l, o, v, name, ok);
    *at = x == 0 ? 0 : x; // no negative zero, which would print differently
    return TK_OK;
}

static tk_status set_named(tk_loading *l, const tk_option *o, int64_t *at, const tk_yaml_node *v,
                           const char *name, bool *ok)
{
    static const char *const yes[] = {"true", "yes", "on", "1", NULL};
    static const char *const no[] = {"false", "no", "off", "0", NULL};
    int64_t x = -1;
    if (v->kind != TK_NODE_SCALAR || strlen(v->text) != v->bytes) return unfit(l, o, v, name, ok);
    if (o->kind == TK_OPT_BOOL) {
        x = one_of(v->text, yes) ? 1 : one_of(v->text, no) ? 0 : -1;
    } else if (!read_int(v->text, v->bytes, &x)) {
        x = -1;
        for (int i = 0; o->names[i]; i++)
            if (strcmp(v->text, o->names[i]) == 0) x = i;
    }
    if (x < o->imin || x > o->imax) return unfit(l, o, v, name, ok);
    *at = x;
    return TK_OK;
}

static tk_status set_string(tk_loading *l, char **at, const tk_yaml_node *v, const char *name,
                            bool *ok)
{
    static const char *const none[] = {"", "~", "null", NULL};
    const char *words = NULL;
    if (v->kind != TK_NODE_SCALAR)
        words = "wants a string, not a list or keys";
    else if (v->bytes > TK_STRING_MAX)
        words = "is longer than 4096 bytes";
    else if (strlen(v->text) != v->bytes)
        words = "has a zero byte in it";
    else if (!tk_utf8_valid(v->text, v->bytes, NULL))
        words = "is not valid UTF-8";
    else if (!strncmp(v->text, "~/", 2)) // a run would lie in a folder called ~
        words =
            "begins with ~/, which a shell makes a home of, and nobody here: write the whole path "
            "($HOME/... on a command line), or ./~/... for a folder of that name";
    if (words) {
        *ok = false;
        return tk_config_error(l, v->at, name, "%s", words);
    }
    char *s = tk_arena_strdup(l->arena, !v->quoted && one_of(v->text, none) ? "" : v->text);
    if (!s) return TK_FAIL(TK_MEMORY, "out of memory (%zu bytes)", v->bytes);
    *at = s;
    return TK_OK;
}

// The file that an option names: in a config a relative path begins at the config, on the command
// line where the program runs. Absolute, so that it means the same wherever it is written to.
static tk_status place_path(tk_loading *l, char **at, const tk_yaml_node *v, const char *name,
                            bool *ok)
{
    char here[PATH_MAX] = "";
    const char *file = v->at.file ? v->at.file : "", *slash = strrchr(file, '/');
    if (!**at || **at == '/') return TK_OK;
    if (*file != '/' && !getcwd(here, sizeof here))
        return TK_FAIL(TK_IO, "cannot tell the current directory: %s", strerror(errno));
    const int folder = slash ? (int)(slash + 1 - file) : 0;
    char *whole =
        tk_arena_printf(l->arena, "%s%s%.*s%s", here, *here ? "/" : "", folder, file, *at);
    if (!whole) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    *ok = strlen(whole) <= TK_STRING_MAX;
    if (!*ok) return tk_config_error(l, v->at, name, "is, with its folder, longer than 4096 bytes");
    *at = whole;
    return TK_OK;
}

static tk_status set_strings(tk_loading *l, const tk_option *o, void *base, const tk_yaml_node *v,
                             const char *name, bool *ok)
{
    if (v->kind == TK_NODE_MAPPING) return unfit(l, o, v, name, ok);
    bool single = v->kind == TK_NODE_SCALAR; // one string is a list of one; nothing, of none
    const tk_yaml_node *item = single ? v->bytes ? v : NULL : v->first;
    int64_t n = 0, i = 0;
    for (const tk_yaml_node *x = item; x; x = single ? NULL : x->next) n++;
    if (n > o->imax) {
        *ok = false;
        return tk_config_error(l, v->at, name, "has %" PRId64 " items; the most is %" PRId64, n,
                               o->imax);
    }
    char **list;
    TK_ARENA_NEW(list, l->arena, n ? n : 1);
    for (; i < n; i++, item = item->next) {
        char which[TK_NAME_MAX];
        snprintf(which, sizeof which, "%.160s[%" PRId64 "]", name, i);
        TK_TRY(set_string(l, &list[i], item, which, ok));
        if (!list[i] || list[i][0]) continue;
        *ok = false;
        TK_TRY(tk_config_error(l, item->at, which, "is empty; name something, or leave it out"));
    }
    for (i = 0; i < n; i++) // those that are right are looked at all the same
        if (!list[i]) list[i] = "";
    *(char ***)tk_option_at(o, base) = n ? list : NULL;
    *tk_option_count_at(o, base) = n;
    return TK_OK;
}

// One number is a list of one.
static tk_status set_ints(tk_loading *l, const tk_option *o, void *base, const tk_yaml_node *v,
                          const char *name, bool *ok)
{
    const tk_yaml_node *x = v->kind == TK_NODE_SEQUENCE ? v->first : v;
    const bool automatic =
        v->kind == TK_NODE_SCALAR && !v->quoted && strcmp(v->text, AUTOMATIC) == 0;
    int64_t n = 0, *list = NULL;
    if (v->kind == TK_NODE_MAPPING) return unfit(l, o, v, name, ok);
    if (!automatic) TK_ARENA_NEW(list, l->arena, TK_INTS_MAX);
    for (; x && !automatic; x = v->kind == TK_NODE_SEQUENCE ? x->next : NULL) {
        const bool room = n < TK_INTS_MAX;
        if (!room || x->kind != TK_NODE_SCALAR || !read_int(x->text, x->bytes, &list[n]) ||
            list[n] < o->imin || list[n] > o->imax)
            return unfit(l, o, room ? x : v, name, ok);
        n++;
    }
    *(int64_t **)tk_option_at(o, base) = list;
    *tk_option_count_at(o, base) = n;
    return TK_OK;
}

static tk_status set_size(tk_loading *l, const tk_option *o, int64_t *at, const tk_yaml_node *v,
                          const char *name, bool *ok)
{
    int64_t x[2] = {0, 0};
    bool good = false;
    if (v->kind == TK_NODE_SCALAR) {
        size_t w = strcspn(v->text, "x,");
        char width[32];
        snprintf(width, sizeof width, "%.*s", (int)(w < 31 ? w : 31), v->text);
        good = w < v->bytes && read_int(width, strlen(width), &x[0]) &&
               read_int(v->text + w + 1, v->bytes - w - 1, &x[1]);
    } else if (v->kind == TK_NODE_SEQUENCE && v->first && v->first->next == v->last) {
        const tk_yaml_node *a = v->first, *b = v->last;
        good = a->kind == TK_NODE_SCALAR && b->kind == TK_NODE_SCALAR && a != b &&
               read_int(a->text, a->bytes, &x[0]) && read_int(b->text, b->bytes, &x[1]);
    }
    for (int i = 0; i < 2; i++) good = good && x[i] >= o->imin && x[i] <= o->imax;
    if (!good) return unfit(l, o, v, name, ok);
    at[0] = x[0];
    at[1] = x[1];
    return TK_OK;
}

tk_status tk_config_set(tk_loading *l, const tk_option *o, void *base, const tk_yaml_node *v,
                        const char *name, bool *ok)
{
    void *at = tk_option_at(o, base);
    *ok = true;
    switch (o->kind) {
    case TK_OPT_INT:
        return set_int(l, o, at, v, name, ok);
    case TK_OPT_FLOAT:
        return set_float(l, o, at, v, name, ok);
    case TK_OPT_BOOL:
    case TK_OPT_ENUM:
        return set_named(l, o, at, v, name, ok);
    case TK_OPT_STRING:
        TK_TRY(set_string(l, at, v, name, ok));
        return o->path && *ok ? place_path(l, at, v, name, ok) : TK_OK;
    case TK_OPT_STRINGS:
        return set_strings(l, o, base, v, name, ok);
    case TK_OPT_INTS:
        return set_ints(l, o, base, v, name, ok);
    case TK_OPT_SIZE:
        return set_size(l, o, at, v, name, ok);
    case TK_OPT_ITEMS:
        break; // read by apply.c, item by item
    }
    return TK_FAIL(TK_INTERNAL, "option %s of kind %d has no value to set", name, (int)o->kind);
}
