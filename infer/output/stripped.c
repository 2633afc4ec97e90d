// SPDX-License-Identifier: Apache-2.0
#include "infer/output/stripped.h"
#include "data/media/media.h"
#include "infer/cameo/by_mark.h"
#include "infer/mark/find.h"
#include "infer/mark/marked.h"
#include <string.h>

static tk_status look_at_kind(const char *file, tk_media_has *has)
{
    *has = (tk_media_has){0};
    const tk_status st = tk_media_has_pictures(file, &has->pictures);
    if (st == TK_INPUT) tk_status_clear(); // what is no media is told where it is read
    if (st != TK_OK) return st == TK_INPUT ? TK_OK : st;
    return tk_media_look(file, has);
}

static tk_status ask_store(const tk_config *c, const char *mark, tk_arena *a, tk_stripped *out)
{
    tk_cameo_store s;
    tk_handle *who;
    TK_TRY(tk_cameo_store_open(&c->consent, TK_STORE_TO_LOOK, &s));
    const tk_status st = tk_cameo_by_mark(&s, mark, a, &who, &out->n);
    tk_cameo_store_close(&s);
    out->who = who;
    return st;
}

static tk_status read_what_it_says(const tk_config *c, const char *file, bool pictures,
                                   double seconds, tk_arena *a, tk_stripped *out)
{
    tk_mark_key key;
    tk_mark_report m;
    char digits[TK_MARK_DIGITS];
    TK_TRY(tk_mark_key_read(c->watermark.key, &key));
    TK_TRY(pictures ? tk_mark_find(file, key, seconds, &m)
                    : tk_mark_find_sound(file, key, seconds, &m));
    out->bears = m.present;
    if (!m.says) return TK_OK;
    out->says = tk_arena_strdup(a, tk_mark_say(&m.says->message, digits));
    if (!out->says) return TK_FAIL(TK_MEMORY, "out of memory for a mark");
    return *c->consent.store ? ask_store(c, out->says, a, out) : TK_OK;
}

tk_status tk_stripped_look(const tk_config *c, const char *file, double seconds, tk_arena *a,
                           tk_stripped *out)
{
    tk_media_has has;
    *out = (tk_stripped){.knows = *c->watermark.key};
    TK_TRY(look_at_kind(file, &has));
    out->is_film = has.lasts;
    if (!out->knows || !out->is_film) return TK_OK;
    return read_what_it_says(c, file, has.pictures, seconds, a, out);
}
