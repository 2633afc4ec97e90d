// SPDX-License-Identifier: Apache-2.0
#include "infer/output/stripped.h"
#include "data/media/reader.h"
#include "infer/cameo/by_mark.h"
#include "infer/mark/find.h"
#include "infer/mark/marked.h"
#include <string.h>

// A still gives one picture, or as many as are asked for.
static tk_status look_at_kind(const char *file, bool *media, bool *pictures, bool *film)
{
    const tk_media_config some = {
        .width = 16, .height = 16, .fps = 10, .sample_rate = 16000, .channels = 1};
    int64_t frames;
    bool sounds;
    *media = *film = false;
    const tk_status st = tk_media_has_pictures(file, pictures);
    if (st == TK_INPUT) tk_status_clear(); // what is no media is told where it is read
    if (st != TK_OK) return st == TK_INPUT ? TK_OK : st;
    *media = *film = true;
    if (!*pictures) return TK_OK;
    TK_TRY(tk_media_probe(file, &some, 1 / (double)some.fps, &frames, &sounds));
    *film = frames > 1 || sounds;
    return TK_OK;
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
    bool media, pictures;
    *out = (tk_stripped){.knows = *c->watermark.key};
    TK_TRY(look_at_kind(file, &media, &pictures, &out->is_film));
    if (!out->knows || !out->is_film) return TK_OK;
    return read_what_it_says(c, file, pictures, seconds, a, out);
}
