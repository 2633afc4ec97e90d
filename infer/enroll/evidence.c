// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/evidence.h"
#include <cairo.h>
#include <math.h>
#include <string.h>

// ---- the face ----------------------------------------------------------------------------------

typedef struct png_bytes {
    unsigned char *x;
    size_t n, room;
} png_bytes;

static cairo_status_t take_png(void *ctx, const unsigned char *x, unsigned int n)
{
    png_bytes *p = ctx;
    if (p->n + n > p->room) return CAIRO_STATUS_WRITE_ERROR;
    memcpy(p->x + p->n, x, n);
    p->n += n;
    return CAIRO_STATUS_SUCCESS;
}

// A square of `side` pixels from (left, top) on, its edges continued where that is outside.
static cairo_surface_t *cut_square(const uint8_t *rgb, int64_t all, int left, int top, int side)
{
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, side, side);
    unsigned char *to = cairo_image_surface_get_data(s);
    for (int y = 0; y < side && to; y++) {
        uint32_t *row = (uint32_t *)(void *)(to + y * cairo_image_surface_get_stride(s));
        const int64_t py = top + y < 0 ? 0 : top + y < all ? top + y : all - 1;
        for (int x = 0; x < side; x++) {
            const int64_t px = left + x < 0 ? 0 : left + x < all ? left + x : all - 1;
            const uint8_t *p = rgb + (py * all + px) * 3;
            row[x] = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        }
    }
    cairo_surface_mark_dirty(s);
    return s;
}

tk_status tk_evidence_face(const uint8_t *rgb, const tk_head *head, tk_arena *a, const void **out,
                           size_t *bytes)
{
    enum { MOST = TK_EVIDENCE_LARGER * TK_WITNESS_SIDE };
    const double k = TK_EVIDENCE_LARGER, half = fmin(1.3 * head->r * k, MOST / 2);
    const int side = (int)(2 * half) > 1 ? (int)(2 * half) : 1;
    png_bytes p = {.room = (size_t)(4 * side * side + 4096)};
    TK_ARENA_NEW(p.x, a, (int64_t)p.room);
    cairo_surface_t *s =
        cut_square(rgb, MOST, (int)(head->x * k - half), (int)(head->y * k - half), side);
    const bool written = cairo_surface_write_to_png_stream(s, take_png, &p) == CAIRO_STATUS_SUCCESS;
    cairo_surface_destroy(s);
    *out = p.x, *bytes = p.n;
    return written ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for a picture of the face");
}

// ---- the voice ---------------------------------------------------------------------------------

static void put_number(unsigned char *at, int bytes, uint32_t x)
{
    for (int i = 0; i < bytes; i++) at[i] = (unsigned char)(x >> 8 * i);
}

// RIFF: one chunk of how samples are written, 16 bits of one channel, one of samples.
tk_status tk_evidence_voice(const tk_media *film, const tk_testimony *t, tk_arena *a,
                            const void **out, size_t *bytes)
{
    enum { HEAD = 44 };
    const double rate = (double)film->sample_rate;
    int64_t from = llround(t->begin[0] * rate), to = llround(t->end[TK_CHALLENGE_WORDS - 1] * rate);
    if (from < 0) from = 0;
    if (to > film->samples) to = film->samples;
    const uint32_t size = (uint32_t)(2 * (to - from));
    unsigned char *x;
    *bytes = HEAD + size;
    TK_ARENA_NEW(x, a, (int64_t)*bytes);
    memcpy(x, "RIFF____WAVEfmt ____\1\0\1\0________\2\0\20\0data", 40);
    put_number(x + 4, 4, HEAD - 8 + size);
    put_number(x + 16, 4, 16);
    put_number(x + 24, 4, (uint32_t)film->sample_rate);
    put_number(x + 28, 4, (uint32_t)(2 * film->sample_rate));
    put_number(x + 40, 4, size);
    for (int64_t i = from; i < to; i++) {
        const double v = fmin(fmax(film->pcm[i * film->channels], -1), 1);
        put_number(x + HEAD + 2 * (i - from), 2, (uint32_t)(int32_t)lrint(32767 * v));
    }
    *out = x;
    return TK_OK;
}
