// SPDX-License-Identifier: Apache-2.0
// Where options were given. A config is read from several files, one over the other, and what is
// known of a file is gone once it is read: places are noted then, as a list of which the last of a
// name counts.
#include "core/config/load.h"
#include <string.h>
#include <xxhash.h>

struct tk_config_places {
    uint64_t name; // hash of one option's: there may be thousands to be looked for
    const char *at;
    struct tk_config_places *next;
};

const char *tk_place_words(tk_place at, tk_arena *a)
{
    if (!at.file) return TK_COMMAND_LINE;
    if (!at.line) return tk_arena_printf(a, "%.255s", at.file);
    return tk_arena_printf(a, "%.255s:%d:%d", at.file, at.line, at.column);
}

tk_status tk_config_note_place(tk_config *c, const char *name, tk_place at)
{
    struct tk_config_places *p;
    TK_ARENA_NEW(p, &c->arena, 1);
    p->name = XXH3_64bits(name, strlen(name));
    p->at = tk_place_words(at, &c->arena);
    if (!p->at) return TK_FAIL(TK_MEMORY, "out of memory for places");
    p->next = c->places;
    c->places = p;
    return TK_OK;
}

const char *tk_config_place(const tk_config *c, const char *name)
{
    const uint64_t wanted = XXH3_64bits(name, strlen(name));
    for (const struct tk_config_places *p = c->places; p; p = p->next)
        if (p->name == wanted) return p->at;
    return "";
}
