// SPDX-License-Identifier: Apache-2.0
#include "infer/gallery/describe.h"
#include "core/base/digest.h"
#include "core/config/config.h"
#include "infer/gallery/clips.h"
#include "infer/output/output.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *tk_gallery_number(const uint8_t *hash, char out[TK_GALLERY_NUMBER])
{
    *out = 0;
    return hash ? tk_bytes_hex(hash, TK_GALLERY_NUMBER / 2, out) : out;
}

// Bytes at most: of the JSON beside a clip; of a caption or style in it, as of a storyboard; of all
// its captions together.
enum { DESCRIPTION = 16 << 20, CAPTION = 4096, CAPTIONS = 128 << 10 };

static const char *member_text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

// ---- what its manifest says --------------------------------------------------------------------

static json_t *ingredients_told(const tk_told_manifest *m)
{
    json_t *all = json_array();
    for (int i = 0; i < m->n; i++) {
        const tk_told_ingredient *s = &m->ingredient[i];
        json_t *own = s->manifest < 0 ? json_null() : json_integer(s->manifest);
        const char *words = *s->words ? s->words : tk_proof_change(m, i);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s, s:o}", "title", s->title,
                                             "relation", s->relation, "type", s->type, "words",
                                             words, "manifest", own));
    }
    return all;
}

static json_t *lineage_told(const tk_proof *p)
{
    json_t *all = json_array();
    for (int i = 0; i < p->n; i++) {
        const tk_told_manifest *m = &p->manifest[i];
        char claim[TK_GALLERY_NUMBER];
        json_array_append_new(all,
                              json_pack("{s:s, s:s, s:s, s:s, s:o}", "label", m->label, "claim",
                                        tk_gallery_number(m->claim, claim), "title", m->title,
                                        "signer", m->signer, "from", ingredients_told(m)));
    }
    return all;
}

// ---- what lies beside it -----------------------------------------------------------------------

// The JSON beside a clip, if it says that it is this clip's; else NULL.
static tk_status read_beside(const tk_told_clip *t, tk_arena *a, json_t **out)
{
    char *text;
    size_t bytes;
    const size_t stem = strlen(t->path) - strlen(".mp4");
    const char *path = tk_arena_printf(a, "%.*s.json", (int)stem, t->path);
    *out = NULL;
    if (!path) return TK_FAIL(TK_MEMORY, "out of memory for a path");
    const tk_status st = tk_file_read(path, DESCRIPTION, a, &text, &bytes);
    if (st == TK_MEMORY) return st;
    tk_status_clear();
    if (st != TK_OK) return TK_OK;
    json_t *root = json_loadb(text, bytes, 0, NULL);
    const json_t *mp4 = json_object_get(root, "mp4"), *size = json_object_get(mp4, "bytes");
    const bool its = !strcmp(member_text(root, "format"), "talkie-clip") &&
                     !strcmp(member_text(mp4, "digest"), t->digest) && json_is_integer(size) &&
                     json_integer_value(size) == t->bytes;
    if (its) *out = root;
    if (!its) json_decref(root);
    return TK_OK;
}

// The first of its letters, in so many bytes at most.
static json_t *first_letters(const char *text, size_t most)
{
    size_t n = strlen(text);
    if (n > most)
        for (n = most; n && ((unsigned char)text[n] & 0xc0) == 0x80; n--) continue;
    return json_stringn(text, n);
}

// Seconds into the film, which lasts so many, at which a shot of the list begins; its end behind
// the last one. Shots that dissolve lie earlier in it than they were made.
static double begin_in_film(const json_t *list, size_t i, double film)
{
    const json_t *shot = json_array_get(list, i), *at = json_object_get(shot, "at");
    if (i >= json_array_size(list)) return film;
    return fmin(fmax(json_number_value(at ? at : json_object_get(shot, "start")), 0), film);
}

// Shots by their captions, without the style where it was put before.
static json_t *shots_told(const json_t *list, const char *style, double film)
{
    json_t *all = json_array();
    const size_t n = strlen(style), shots = json_array_size(list);
    size_t left = CAPTIONS;
    for (size_t i = 0; i < shots && i < TK_GALLERY_SHOTS; i++) {
        const char *caption = member_text(json_array_get(list, i), "caption");
        const double begin = begin_in_film(list, i, film), end = begin_in_film(list, i + 1, film);
        const bool styled = n && !strncmp(caption, style, n) && !strncmp(caption + n, ", ", 2);
        json_t *prompt =
            first_letters(caption + (styled ? n + 2 : 0), left < CAPTION ? left : CAPTION);
        left -= json_string_length(prompt);
        json_array_append_new(all,
                              json_pack("{s:f, s:f, s:b, s:o}", "start", begin, "seconds",
                                        fmax(end - begin, 0), "styled", styled, "prompt", prompt));
    }
    return all;
}

// The style that its storyboard named, from the options it was made with; "" where they cannot be
// read.
static const char *style_in(const json_t *root, tk_config *c)
{
    const char *options = member_text(root, "options");
    const bool read = tk_config_parse(c, 0, "options", options, strlen(options), 0, NULL) == TK_OK;
    if (!read) tk_status_clear();
    return read && c->story.style ? c->story.style : "";
}

static void tell_beside(const json_t *root, double film, json_t *told)
{
    tk_config c;
    tk_config_init(&c);
    const char *style = style_in(root, &c);
    json_object_set_new(told, "style", first_letters(style, CAPTION));
    json_object_set_new(told, "shots", shots_told(json_object_get(root, "shots"), style, film));
    tk_config_free(&c);
}

// ---- both --------------------------------------------------------------------------------------

tk_status tk_gallery_describe(const tk_told_clip *t, tk_arena *a, json_t **out)
{
    json_t *beside;
    TK_TRY(read_beside(t, a, &beside));
    const tk_proof *p = t->proof;
    *out = json_pack("{s:s, s:s, s:s, s:I, s:f, s:I, s:I}", "number", t->number, "name", t->name,
                     "title", p->manifest[0].title, "time", (json_int_t)t->time, "seconds",
                     t->poster->seconds, "width", (json_int_t)t->poster->width, "height",
                     (json_int_t)t->poster->height);
    if (*out && beside) tell_beside(beside, t->poster->seconds, *out);
    json_decref(beside);
    if (*out) json_object_set_new(*out, "marked", json_boolean(t->marked));
    if (*out) json_object_set_new(*out, "trusted", json_boolean(p->state == TK_PROOF_TRUSTED));
    if (!*out || json_object_set_new(*out, "lineage", lineage_told(p)) != 0) {
        json_decref(*out);
        return TK_FAIL(TK_MEMORY, "out of memory for %s", t->path);
    }
    return TK_OK;
}
