// SPDX-License-Identifier: Apache-2.0
#include "infer/spool/entry.h"
#include "core/base/files.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- names -------------------------------------------------------------------------------------

static bool fits_name(char c)
{
    return isalnum((unsigned char)c) || (c && strchr(".-_+", c));
}

bool tk_spool_name_fits(const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n > TK_SPOOL_NAME || name[0] == '.' || name[0] == '-') return false;
    for (const char *p = name; *p; p++)
        if (!fits_name(*p) || (unsigned char)*p > 127) return false;
    return true;
}

void tk_spool_name_clean(const char *from, char name[TK_SPOOL_NAME + 1])
{
    enum { LEAVE = 8 }; // for a number behind it
    snprintf(name, TK_SPOOL_NAME + 1 - LEAVE, "%s", *from ? from : "_");
    for (char *p = name; *p; p++)
        if (!fits_name(*p) || (unsigned char)*p > 127) *p = '_';
    if (*name == '.' || *name == '-') *name = '_';
}

// Takes what stands before the next ',' (or the end) out of *text; NULL: nothing is left.
static const char *next_part(const char **text, char *part, size_t room)
{
    const char *from = *text;
    if (!from) return NULL;
    const char *comma = strchr(from, ',');
    const size_t n = comma ? (size_t)(comma - from) : strlen(from);
    *text = comma ? comma + 1 : NULL;
    if (n == 0 || n >= room) return NULL;
    memcpy(part, from, n);
    part[n] = 0;
    return part;
}

static bool read_number(const char **text, int64_t most, int64_t *x)
{
    char part[24], *end;
    if (!next_part(text, part, sizeof part) || !isdigit((unsigned char)*part)) return false;
    errno = 0;
    *x = strtoll(part, &end, 10);
    return errno == 0 && *end == 0 && *x <= most;
}

bool tk_spool_entry_read(const char *text, tk_spool_entry *e)
{
    int64_t priority;
    *e = (tk_spool_entry){0};
    if (!read_number(&text, TK_SPOOL_PRIORITIES - 1, &priority)) return false;
    e->priority = (int)priority;
    if (!next_part(&text, e->time, sizeof e->time) || !next_part(&text, e->name, sizeof e->name) ||
        !tk_spool_name_fits(e->name) || !read_number(&text, INT32_MAX, &e->claims))
        return false;
    return !text || (next_part(&text, e->worker, sizeof e->worker) && !text);
}

void tk_spool_entry_print(const tk_spool_entry *e, char *to, size_t room)
{
    snprintf(to, room, "%d,%s,%s,%" PRId64 "%s%s", e->priority, e->time, e->name, e->claims,
             *e->worker ? "," : "", e->worker);
}

bool tk_spool_taking_read(const char *text, tk_spool_entry *e)
{
    *e = (tk_spool_entry){0};
    return next_part(&text, e->name, sizeof e->name) &&
           next_part(&text, e->worker, sizeof e->worker) && !text;
}

tk_status tk_spool_path(char path[TK_SPOOL_PATH], const char *dir, const char *fmt, ...)
{
    const int n = snprintf(path, TK_SPOOL_PATH, "%s/", dir);
    va_list ap;
    va_start(ap, fmt);
    const int m = n < TK_SPOOL_PATH ? vsnprintf(path + n, (size_t)(TK_SPOOL_PATH - n), fmt, ap) : 0;
    va_end(ap);
    if (n + m < TK_SPOOL_PATH) return TK_OK;
    return TK_FAIL(TK_INPUT, "%.60s...: a path of the spool is too long (at most %d bytes)", dir,
                   TK_SPOOL_PATH - 1);
}

// ---- folders -----------------------------------------------------------------------------------

static int by_bytes(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

// In order, those beyond `most` forgotten.
static void keep_first(tk_spool_names *all, int most)
{
    if (all->n) qsort(all->name, (size_t)all->n, sizeof *all->name, by_bytes);
    all->more |= all->n > most;
    if (all->n > most) all->n = most;
}

// A folder gives its entries in any order, and it may hold far more than are wanted.
tk_status tk_spool_names_read(const char *dir, const char *folder, int most, tk_arena *a,
                              tk_spool_names *out)
{
    char path[TK_SPOOL_PATH];
    *out = (tk_spool_names){0};
    TK_TRY(tk_spool_path(path, dir, "%s", folder));
    TK_ARENA_NEW(out->name, a, 2 * most);
    DIR *d = opendir(path);
    if (!d && (errno == ENOENT || errno == ESTALE)) return TK_OK;
    if (!d) return TK_FAIL(tk_io_code(errno), "cannot read %s: %s", path, tk_io_words(errno));
    tk_status st = TK_OK;
    for (struct dirent *e; (e = readdir(d)) && st == TK_OK;) {
        if (e->d_name[0] == '.') continue;
        out->all++;
        if (out->more && strcmp(e->d_name, out->name[most - 1]) > 0) continue;
        out->name[out->n] = tk_arena_strdup(a, e->d_name);
        if (!out->name[out->n++]) st = TK_FAIL(TK_MEMORY, "out of memory reading %s", path);
        if (out->n == 2 * most && st == TK_OK) keep_first(out, most);
    }
    closedir(d);
    if (st == TK_OK) keep_first(out, most);
    return st;
}
