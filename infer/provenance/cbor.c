// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/cbor.h"
#include <cbor.h>
#include <string.h>

enum { HEAD = 16 }; // bytes of the longest head and more

// ---- writing -----------------------------------------------------------------------------------

#define PUT_HEAD(b, encode)          \
    do {                             \
        unsigned char head[HEAD];    \
        const size_t bytes = encode; \
        tk_blob_put(b, head, bytes); \
    } while (0)

void tk_cbor_map(tk_blob *b, size_t pairs)
{
    PUT_HEAD(b, cbor_encode_map_start(pairs, head, sizeof head));
}

void tk_cbor_array(tk_blob *b, size_t items)
{
    PUT_HEAD(b, cbor_encode_array_start(items, head, sizeof head));
}

void tk_cbor_text(tk_blob *b, const char *text)
{
    PUT_HEAD(b, cbor_encode_string_start(strlen(text), head, sizeof head));
    tk_blob_put(b, text, strlen(text));
}

void tk_cbor_bytes(tk_blob *b, const void *x, size_t n)
{
    PUT_HEAD(b, cbor_encode_bytestring_start(n, head, sizeof head));
    tk_blob_put(b, x, n);
}

void tk_cbor_int(tk_blob *b, int64_t x)
{
    PUT_HEAD(b, x < 0 ? cbor_encode_negint((uint64_t)(-1 - x), head, sizeof head)
                      : cbor_encode_uint((uint64_t)x, head, sizeof head));
}

void tk_cbor_tag(tk_blob *b, uint64_t tag)
{
    PUT_HEAD(b, cbor_encode_tag(tag, head, sizeof head));
}

void tk_cbor_null(tk_blob *b)
{
    PUT_HEAD(b, cbor_encode_null(head, sizeof head));
}

// ---- reading -----------------------------------------------------------------------------------

static void set_item(void *ctx, tk_cbor_kind kind, uint64_t number)
{
    *(tk_cbor *)ctx = (tk_cbor){.kind = kind, .number = number};
}

#define UINT_CALLBACK(bits)                                    \
    static void take_uint##bits(void *ctx, uint##bits##_t x)   \
    {                                                          \
        set_item(ctx, TK_CBOR_UINT, x);                        \
    }                                                          \
    static void take_negint##bits(void *ctx, uint##bits##_t x) \
    {                                                          \
        set_item(ctx, TK_CBOR_NEGATIVE, x);                    \
    }
UINT_CALLBACK(8)
UINT_CALLBACK(16)
UINT_CALLBACK(32)
UINT_CALLBACK(64)

static void take_bytes(void *ctx, cbor_data x, size_t n)
{
    *(tk_cbor *)ctx = (tk_cbor){.kind = TK_CBOR_BYTES, .number = n, .string = {x, n}};
}

static void take_string(void *ctx, cbor_data x, size_t n)
{
    *(tk_cbor *)ctx = (tk_cbor){.kind = TK_CBOR_TEXT, .number = n, .string = {x, n}};
}

static void take_array(void *ctx, size_t n)
{
    set_item(ctx, TK_CBOR_ARRAY, n);
}

static void take_map(void *ctx, size_t n)
{
    set_item(ctx, TK_CBOR_MAP, n);
}

static void take_tag(void *ctx, uint64_t tag)
{
    set_item(ctx, TK_CBOR_TAG, tag);
}

static void take_null(void *ctx)
{
    set_item(ctx, TK_CBOR_NULL, 0);
}

static void take_float(void *ctx, float x)
{
    (void)x;
    set_item(ctx, TK_CBOR_OTHER, 0);
}

static void take_double(void *ctx, double x)
{
    (void)x;
    set_item(ctx, TK_CBOR_OTHER, 0);
}

static void take_bool(void *ctx, bool x)
{
    (void)x;
    set_item(ctx, TK_CBOR_OTHER, 0);
}

static void take_undefined(void *ctx)
{
    set_item(ctx, TK_CBOR_OTHER, 0);
}

static void refuse(void *ctx)
{
    ((tk_cbor *)ctx)->kind = -1;
}

static const struct cbor_callbacks callbacks = {.uint8 = take_uint8,
                                                .uint16 = take_uint16,
                                                .uint32 = take_uint32,
                                                .uint64 = take_uint64,
                                                .negint8 = take_negint8,
                                                .negint16 = take_negint16,
                                                .negint32 = take_negint32,
                                                .negint64 = take_negint64,
                                                .byte_string = take_bytes,
                                                .byte_string_start = refuse,
                                                .string = take_string,
                                                .string_start = refuse,
                                                .array_start = take_array,
                                                .indef_array_start = refuse,
                                                .map_start = take_map,
                                                .indef_map_start = refuse,
                                                .tag = take_tag,
                                                .float2 = take_float,
                                                .float4 = take_float,
                                                .float8 = take_double,
                                                .undefined = take_undefined,
                                                .null = take_null,
                                                .boolean = take_bool,
                                                .indef_break = refuse};

// Tags of one byte, of which libcbor does not decode all.
static bool take_short_tag(tk_span *from, tk_cbor *item)
{
    enum { FIRST = 0xc0, LAST = 0xd7 };
    if (*from->x < FIRST || *from->x > LAST) return false;
    set_item(item, TK_CBOR_TAG, *from->x - FIRST);
    from->x++;
    from->n--;
    return true;
}

bool tk_cbor_next(tk_span *from, tk_cbor *item)
{
    *item = (tk_cbor){.kind = -1};
    if (from->n == 0) return false;
    if (take_short_tag(from, item)) return true;
    const struct cbor_decoder_result r = cbor_stream_decode(from->x, from->n, &callbacks, item);
    if (r.status != CBOR_DECODER_FINISHED || (int)item->kind < 0) return false;
    from->x += r.read;
    from->n -= r.read;
    return true;
}

bool tk_cbor_whole(tk_span *from, tk_span *item)
{
    tk_cbor head;
    item->x = from->x;
    for (uint64_t left = 1; left; left--) { // items still to come; each has a byte at least
        if (!tk_cbor_next(from, &head)) return false;
        const bool holds = head.kind == TK_CBOR_ARRAY || head.kind == TK_CBOR_MAP;
        if (holds && head.number > from->n) return false;
        left += holds                      ? (head.kind == TK_CBOR_MAP ? 2 : 1) * head.number
                : head.kind == TK_CBOR_TAG ? 1
                                           : 0;
        if (left - 1 > from->n) return false;
    }
    item->n = (size_t)(from->x - item->x);
    return true;
}

bool tk_cbor_find(tk_span map, const char *key, tk_span *value)
{
    tk_cbor head;
    bool found = false;
    if (!tk_cbor_next(&map, &head) || head.kind != TK_CBOR_MAP) return false;
    for (uint64_t i = 0; i < head.number; i++) {
        tk_span k, v;
        if (!tk_cbor_whole(&map, &k) || !tk_cbor_whole(&map, &v)) return false;
        if (!tk_span_is(tk_cbor_get_text(k), key)) continue;
        if (found) return false;
        *value = v;
        found = true;
    }
    return found;
}

static tk_span get_string(tk_span item, tk_cbor_kind kind)
{
    tk_cbor head;
    if (!tk_cbor_next(&item, &head) || head.kind != kind) return (tk_span){0};
    return head.string;
}

tk_span tk_cbor_get_text(tk_span item)
{
    return get_string(item, TK_CBOR_TEXT);
}

tk_span tk_cbor_get_bytes(tk_span item)
{
    return get_string(item, TK_CBOR_BYTES);
}

tk_span tk_cbor_find_text(tk_span map, const char *key)
{
    tk_span value;
    return tk_cbor_find(map, key, &value) ? tk_cbor_get_text(value) : (tk_span){0};
}

tk_span tk_cbor_find_bytes(tk_span map, const char *key)
{
    tk_span value;
    return tk_cbor_find(map, key, &value) ? tk_cbor_get_bytes(value) : (tk_span){0};
}

uint64_t tk_cbor_items(tk_span array, tk_span *items)
{
    tk_cbor head;
    *items = (tk_span){0};
    if (!tk_cbor_next(&array, &head) || head.kind != TK_CBOR_ARRAY) return 0;
    *items = array;
    return head.number;
}
