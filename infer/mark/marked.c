// SPDX-License-Identifier: Apache-2.0
#include "infer/mark/marked.h"
#include <stdlib.h>
#include <string.h>

static const double whole_seconds = 10;

static tk_status check_payload(const tk_watermark_config *c)
{
    const size_t digits = strspn(c->payload, "0123456789abcdefABCDEF");
    if (digits <= 16 && !c->payload[digits]) return TK_OK;
    return TK_FAIL(TK_INPUT, "watermark.payload: %s: up to 16 hexadecimal digits are right",
                   c->payload);
}

tk_status tk_mark_open_key(const tk_watermark_config *c, tk_mark_key *out)
{
    TK_TRY(check_payload(c));
    return tk_mark_key_read(c->key, out);
}

tk_status tk_mark_ask(tk_wrong *w, const tk_watermark_config *c)
{
    tk_mark_key key;
    TK_TRY(tk_wrong_with(w, "watermark.payload", check_payload(c)));
    return tk_wrong_with(w, "watermark.key", tk_mark_key_read(c->key, &key));
}

uint64_t tk_mark_payload(const tk_watermark_config *c, uint64_t clip)
{
    return *c->payload ? strtoull(c->payload, NULL, 16) : clip;
}

tk_mark_message tk_mark_message_for(const tk_media *shape, uint64_t payload)
{
    const int64_t side = shape->width < shape->height ? shape->width : shape->height;
    const bool small =
        side < TK_MARK_ROWS || (double)shape->frames < whole_seconds * shape->fps - 0.5;
    return (tk_mark_message){small ? payload & 0xffff : payload, small};
}

static tk_status marked_picture(tk_media_source *s, int64_t frame, const uint8_t **rgb)
{
    tk_marked *m = (tk_marked *)s;
    return m->of->picture(m->of, frame, rgb);
}

static tk_status marked_shown(tk_media_source *s, const tk_shown *p)
{
    tk_marked *m = (tk_marked *)s;
    const tk_mark_picture *known = &m->picture; // a master may have another size than the MP4
    if (!known->tile || known->width != p->width || known->height != p->height)
        TK_TRY(tk_mark_picture_open(&m->picture, &m->arena, m->key, m->message, p->width, p->height,
                                    p->fps, m->strength));
    tk_mark_picture_put(&m->picture, p->luma, p->stride, p->frame);
    return TK_OK;
}

static tk_status marked_sound(tk_media_source *s, int64_t first, int64_t n, float *pcm)
{
    tk_marked *m = (tk_marked *)s;
    if (!m->sound.of)
        TK_TRY(tk_mark_sound_open(&m->sound, &m->arena, m->key, m->message, m->strength, m->of));
    return tk_mark_sound_get(&m->sound, first, n, pcm);
}

void tk_marked_open(tk_marked *m, tk_mark_key key, tk_mark_message message, double strength,
                    tk_media_source *of)
{
    *m = (tk_marked){.source = {of->shape, marked_picture, marked_sound, marked_shown},
                     .of = of,
                     .key = key,
                     .message = message,
                     .strength = strength};
    tk_arena_init(&m->arena, 0);
}

void tk_marked_close(tk_marked *m)
{
    if (m->arena.block_bytes) tk_arena_free(&m->arena);
    *m = (tk_marked){0};
}
