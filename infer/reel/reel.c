// SPDX-License-Identifier: Apache-2.0
#include "infer/reel/reel.h"
#include <string.h>

int64_t tk_reel_begin(const tk_reel_shape *s, int64_t i, tk_codec_side side)
{
    return i > 0 ? s->part[i - 1].end[side] : 0;
}

int64_t tk_reel_most(const tk_reel_shape *s)
{
    int64_t most = 0;
    for (int64_t i = 0; i < s->n; i++) {
        int64_t n = 0;
        for (int k = 0; k < TK_CODEC_SIDES; k++)
            n += (s->part[i].end[k] - tk_reel_begin(s, i, k)) * s->numbers[k];
        if (n > most) most = n;
    }
    return most;
}

static bool memory_has(const tk_reel *r, int64_t part)
{
    (void)r, (void)part;
    return false; // each is made
}

static tk_status memory_put(tk_reel *r, int64_t part, const float *const rows[TK_CODEC_SIDES])
{
    const tk_reel_memory *m = (const tk_reel_memory *)r;
    for (int k = 0; k < TK_CODEC_SIDES && rows; k++) {
        const int64_t begin = tk_reel_begin(&r->shape, part, k), each = r->shape.numbers[k];
        memcpy(m->rows[k] + begin * each, rows[k],
               tk_array_bytes((r->shape.part[part].end[k] - begin) * each, sizeof(float)));
    }
    return TK_OK;
}

static tk_status memory_get(tk_reel *r, tk_codec_side side, int64_t first, int64_t n, float *to)
{
    const tk_reel_memory *m = (const tk_reel_memory *)r;
    const int64_t each = r->shape.numbers[side];
    if (to) memcpy(to, m->rows[side] + first * each, tk_array_bytes(n * each, sizeof *to));
    return TK_OK;
}

tk_status tk_reel_in_memory(const tk_reel_shape *s, bool holds, tk_arena *a, tk_reel_memory *out)
{
    *out = (tk_reel_memory){.reel = {*s, memory_has, memory_put, memory_get}};
    for (int k = 0; k < TK_CODEC_SIDES && holds; k++)
        TK_ARENA_NEW(out->rows[k], a, tk_reel_begin(s, s->n, k) * s->numbers[k]);
    return TK_OK;
}
