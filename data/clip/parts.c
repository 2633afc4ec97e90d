// SPDX-License-Identifier: Apache-2.0
// What clips and references are read and written by.
#define XXH_INLINE_ALL // compiled for this processor; the shared library's is for any, and slower
#include "core/numbers/half.h"
#include "data/clip/internal.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

hid_t tk_clip_half_type(void)
{
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(t, 15, 10, 5, 0, 10);
    H5Tset_size(t, 2);
    H5Tset_ebias(t, 15);
    return t;
}

tk_status tk_clip_column(hid_t at, const char *name, hid_t type, tk_arena *a, int64_t *n, void *x)
{
    return tk_h5_get(at, name, type, 1, n, a, x);
}

tk_status tk_clip_put_column(hid_t at, const char *name, int64_t n, const int64_t *x)
{
    return tk_h5_put(at, name, H5T_NATIVE_INT64, 1, &n, x);
}

static bool widen(const void *raw, const tk_clip_part *p, float *x)
{
    bool finite = true;
    if (!p->wide) return tk_fp16_widen(raw, p->bytes / 2, x);
    memcpy(x, raw, (size_t)p->bytes);
    for (int64_t i = 0; i < p->bytes / 4; i++) finite = finite && isfinite(x[i]);
    return finite;
}

tk_status tk_clip_part_read(const tk_clips *c, const char *name, const tk_clip_part *p, void *raw,
                            float *x)
{
    tk_status st = tk_clip_pread(c, raw, p->bytes, p->address);
    if (st != TK_OK) {
        char words[512];
        snprintf(words, sizeof words, "the %s of \"%s\": %s", p->what, name, tk_status_message());
        tk_status_set(st, words);
        return st;
    }
    if (XXH3_64bits(raw, (size_t)p->bytes) != *p->digest)
        return TK_FAIL(TK_INPUT, "%s: the %s of \"%s\" is damaged (its digest differs)", c->path,
                       p->what, name);
    if (!widen(raw, p, x))
        return TK_FAIL(TK_INPUT, "%s: the %s of \"%s\" holds numbers that are not finite", c->path,
                       p->what, name);
    return TK_OK;
}
