// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/boxes.h"
#include <string.h>

enum { HEADER = 8, KIND = 16, LABELLED = 3, SALTED = 0x10 };

// The rest of the UUID of a kind of superbox.
static const uint8_t family[12] = {0x00, 0x11, 0x00, 0x10, 0x80, 0x00,
                                   0x00, 0xAA, 0x00, 0x38, 0x9B, 0x71};

bool tk_span_same(tk_span a, tk_span b)
{
    return a.n == b.n && (a.n == 0 || !memcmp(a.x, b.x, a.n));
}

bool tk_span_is(tk_span a, const char *text)
{
    return tk_span_same(a, (tk_span){(const uint8_t *)text, strlen(text)});
}

// ---- writing -----------------------------------------------------------------------------------

void tk_blob_put(tk_blob *b, const void *x, size_t n)
{
    if (b->full || n == 0) return;
    if (n > b->room - b->n) {
        const size_t room = 2 * (b->n + n) + 256;
        uint8_t *grown = tk_realloc(b->x, b->room, room);
        b->full = !grown;
        if (!grown) return;
        b->x = grown;
        b->room = room;
    }
    memcpy(b->x + b->n, x, n);
    b->n += n;
}

void tk_blob_number(tk_blob *b, uint64_t x, int bytes)
{
    uint8_t big[8];
    for (int i = 0; i < bytes; i++) big[i] = (uint8_t)(x >> (8 * (bytes - 1 - i)));
    tk_blob_put(b, big, (size_t)bytes);
}

tk_status tk_blob_check(const tk_blob *b)
{
    return b->full ? TK_FAIL(TK_MEMORY, "out of memory for a manifest") : TK_OK;
}

void tk_blob_free(tk_blob *b)
{
    tk_free(b->x);
    *b = (tk_blob){0};
}

size_t tk_box_begin(tk_blob *b, const char type[5])
{
    const size_t at = b->n;
    tk_blob_number(b, 0, 4);
    tk_blob_put(b, type, 4);
    return at;
}

void tk_box_end(tk_blob *b, size_t at)
{
    if (b->full) return;
    const size_t bytes = b->n - at;
    for (int i = 0; i < 4; i++) b->x[at + (size_t)i] = (uint8_t)(bytes >> (8 * (3 - i)));
}

size_t tk_superbox_begin(tk_blob *b, const char kind[5], const char *label)
{
    const size_t at = tk_box_begin(b, "jumb"), description = tk_box_begin(b, "jumd");
    tk_blob_put(b, kind, 4);
    tk_blob_put(b, family, sizeof family);
    tk_blob_number(b, LABELLED, 1);
    tk_blob_put(b, label, strlen(label) + 1);
    tk_box_end(b, description);
    return at;
}

// ---- reading -----------------------------------------------------------------------------------

// The description that begins a superbox.
static bool describe_superbox(tk_jumb *b)
{
    tk_span in = b->body;
    tk_jumb d;
    b->rest = in;
    if (!tk_box_next(&in, &d) || strcmp(d.type, "jumd") || d.body.n < KIND + 2) return false;
    const uint8_t *label = d.body.x + KIND + 1;
    const uint8_t *end = memchr(label, 0, d.body.n - KIND - 1);
    const bool bare = !memcmp(d.body.x, "c2", 2);
    const int toggles = d.body.x[KIND];
    if (!end || (toggles != LABELLED && (bare || toggles != (LABELLED | SALTED)))) return false;
    if (bare && end + 1 != d.body.x + d.body.n) return false;
    b->label = (tk_span){label, (size_t)(end - label)};
    b->rest = in;
    if (memcmp(d.body.x + 4, family, sizeof family))
        strcpy(b->kind, "?");
    else
        memcpy(b->kind, d.body.x, 4);
    return true;
}

bool tk_box_next(tk_span *from, tk_jumb *b)
{
    *b = (tk_jumb){0};
    if (from->n < HEADER) return false;
    size_t bytes = 0;
    for (int i = 0; i < 4; i++) bytes = bytes << 8 | from->x[i];
    if (bytes < HEADER || bytes > from->n) return false;
    memcpy(b->type, from->x + 4, 4);
    b->body = (tk_span){from->x + HEADER, bytes - HEADER};
    from->x += bytes;
    from->n -= bytes;
    return strcmp(b->type, "jumb") || describe_superbox(b);
}

bool tk_superbox_find(tk_span in, tk_span label, tk_jumb *b)
{
    tk_jumb next;
    bool found = false;
    while (tk_box_next(&in, &next)) {
        if (!*next.kind || !tk_span_same(next.label, label)) continue;
        if (found) return false;
        *b = next;
        found = true;
    }
    return found;
}
