// SPDX-License-Identifier: Apache-2.0
#include "infer/provenance/mp4.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "infer/provenance/cbor.h"
#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

enum { UUID = 16, BOXES = 1 << 16, PIECE = 1 << 18 };

static const uint8_t the_uuid[UUID] = {0xD8, 0xFE, 0xC3, 0xD6, 0x1B, 0x0E, 0x48, 0x3C,
                                       0x92, 0x97, 0x58, 0x28, 0x87, 0x7E, 0xC4, 0x81};
static const char purpose[] = "manifest";

typedef struct top_box { // of a file
    char type[5];
    int64_t at, bytes;
    bool whole; // it ends within the file
    bool ours;  // a uuid box of the standard's
} top_box;

static uint64_t big_endian(const uint8_t *x, int n)
{
    uint64_t y = 0;
    for (int i = 0; i < n; i++) y = y << 8 | x[i];
    return y;
}

static tk_status read_box(int fd, const char *path, int64_t size, int64_t at, top_box *b)
{
    uint8_t head[16 + UUID] = {0};
    const int64_t left = size - at;
    const int64_t n = left < (int64_t)sizeof head ? left : (int64_t)sizeof head;
    if (n >= 8) TK_TRY(tk_pread_all(fd, path, head, (size_t)n, at));
    uint64_t bytes = big_endian(head, 4);
    const int64_t header = bytes == 1 ? 16 : 8;
    if (bytes == 1) bytes = big_endian(head + 8, 8);
    if (bytes == 0) bytes = (uint64_t)left; // to the end of the file
    *b = (top_box){.at = at, .bytes = (int64_t)bytes};
    memcpy(b->type, head + 4, 4);
    b->whole = n >= header && bytes >= (uint64_t)header && bytes <= (uint64_t)left;
    b->ours = !strcmp(b->type, "uuid") && n >= header + UUID && b->bytes >= header + UUID &&
              !memcmp(head + header, the_uuid, UUID);
    return TK_OK;
}

static tk_status fail_torn(const char *path, int64_t at)
{
    return TK_FAIL(TK_INPUT,
                   "%s: no MP4 file: the box at byte %" PRId64 " does not end within the file",
                   path, at);
}

static tk_status look_at_store(int fd, const char *path, const top_box *b, tk_mp4 *out)
{
    static const uint8_t nothing[8]; // version and flags; where auxiliary boxes are
    uint8_t head[TK_MP4_HEAD] = {0};
    const uint8_t *at = head + 8 + UUID;
    const int64_t n = b->bytes < TK_MP4_HEAD ? b->bytes : TK_MP4_HEAD;
    TK_TRY(tk_pread_all(fd, path, head, (size_t)n, b->at));
    if (n < TK_MP4_HEAD || big_endian(head, 4) < TK_MP4_HEAD || memcmp(at, nothing, 4) ||
        memcmp(at + 4, purpose, sizeof purpose) || memcmp(at + 4 + sizeof purpose, nothing, 8)) {
        out->others++;
        return TK_OK;
    }
    if (out->stores++ == 0) {
        out->store_at = b->at + TK_MP4_HEAD;
        out->store = b->bytes - TK_MP4_HEAD;
    }
    return TK_OK;
}

static tk_status look_at_box(int fd, const char *path, const top_box *b, int i, tk_mp4 *out)
{
    if (i == 1 && !strcmp(b->type, "free") && b->bytes >= TK_MP4_HEAD) {
        out->room_at = b->at;
        out->room = b->bytes;
    }
    return b->ours ? look_at_store(fd, path, b, out) : TK_OK;
}

tk_status tk_mp4_look(int fd, const char *path, int64_t bytes, tk_mp4 *out)
{
    top_box b = {.bytes = 0};
    *out = (tk_mp4){.bytes = bytes};
    for (int i = 0; b.at + b.bytes < bytes; i++) {
        if (i == BOXES) return TK_FAIL(TK_INPUT, "%s: has more than %d boxes", path, BOXES);
        TK_TRY(read_box(fd, path, bytes, b.at + b.bytes, &b));
        if (i == 0 && b.whole && strcmp(b.type, "ftyp"))
            return TK_FAIL(TK_INPUT, "%s: no MP4 file: it does not begin with a box ftyp", path);
        out->torn = !b.whole;
        out->others += !b.whole && b.ours;
        if (out->torn && (out->stores || out->others)) return TK_OK;
        if (out->torn) return fail_torn(path, b.at);
        TK_TRY(look_at_box(fd, path, &b, i, out));
    }
    return bytes ? TK_OK : TK_FAIL(TK_INPUT, "%s: no MP4 file: empty", path);
}

static bool left_out(const top_box *b)
{
    return b->ours || !strcmp(b->type, "ftyp") || !strcmp(b->type, "mfra");
}

static tk_status add_stretch(EVP_MD_CTX *h, int fd, const char *path, int64_t begin, int64_t bytes,
                             uint8_t *piece)
{
    bool fine = true;
    for (int64_t at = 0; at < bytes && fine; at += PIECE) {
        const int64_t left = bytes - at, n = left < PIECE ? left : PIECE;
        TK_TRY(tk_pread_all(fd, path, piece, (size_t)n, begin + at));
        fine = EVP_DigestUpdate(h, piece, (size_t)n) == 1;
        tk_alive();
    }
    return fine ? TK_OK : TK_FAIL(TK_INTERNAL, "%s: SHA-256 failed", path);
}

static tk_status add_box(EVP_MD_CTX *h, int fd, const char *path, const top_box *b, uint8_t *piece)
{
    uint8_t place[8];
    for (int i = 0; i < 8; i++) place[i] = (uint8_t)((uint64_t)b->at >> (8 * (7 - i)));
    if (EVP_DigestUpdate(h, place, sizeof place) != 1)
        return TK_FAIL(TK_INTERNAL, "%s: SHA-256 failed", path);
    return add_stretch(h, fd, path, b->at, b->bytes, piece);
}

static tk_status add_whole(EVP_MD_CTX *h, int fd, const char *path, int64_t bytes, uint8_t *piece)
{
    return add_stretch(h, fd, path, 0, bytes, piece);
}

static tk_status add_boxes(EVP_MD_CTX *h, int fd, const char *path, int64_t bytes, uint8_t *piece)
{
    top_box b;
    for (int64_t at = 0; at < bytes; at += b.bytes) {
        TK_TRY(read_box(fd, path, bytes, at, &b));
        if (!b.whole) return fail_torn(path, at);
        if (!left_out(&b)) TK_TRY(add_box(h, fd, path, &b, piece));
    }
    return TK_OK;
}

typedef tk_status add_file(EVP_MD_CTX *h, int fd, const char *path, int64_t bytes, uint8_t *piece);

static tk_status hash_by(add_file *add, int fd, const char *path, int64_t bytes, uint8_t *hash)
{
    uint8_t *piece;
    TK_NEW(piece, PIECE);
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    tk_status st = h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1
                       ? TK_OK
                       : TK_FAIL(TK_MEMORY, "out of memory for a hash");
    if (st == TK_OK) st = add(h, fd, path, bytes, piece);
    if (st == TK_OK && EVP_DigestFinal_ex(h, hash, NULL) != 1)
        st = TK_FAIL(TK_INTERNAL, "%s: SHA-256 failed", path);
    EVP_MD_CTX_free(h);
    tk_free(piece);
    return st;
}

tk_status tk_mp4_hash(int fd, const char *path, int64_t bytes, uint8_t hash[TK_MP4_HASH])
{
    return hash_by(add_boxes, fd, path, bytes, hash);
}

tk_status tk_mp4_hash_whole(int fd, const char *path, int64_t bytes, uint8_t hash[TK_MP4_HASH])
{
    return hash_by(add_whole, fd, path, bytes, hash);
}

void tk_mp4_exclusions(tk_blob *b)
{
    tk_cbor_array(b, 3);
    tk_cbor_map(b, 2);
    tk_cbor_text(b, "xpath");
    tk_cbor_text(b, "/uuid");
    tk_cbor_text(b, "data");
    tk_cbor_array(b, 1);
    tk_cbor_map(b, 2);
    tk_cbor_text(b, "offset");
    tk_cbor_int(b, 8);
    tk_cbor_text(b, "value");
    tk_cbor_bytes(b, the_uuid, UUID);
    static const char *const whole[] = {"/ftyp", "/mfra"};
    for (int i = 0; i < 2; i++) {
        tk_cbor_map(b, 1);
        tk_cbor_text(b, "xpath");
        tk_cbor_text(b, whole[i]);
    }
}

void tk_mp4_head(tk_blob *b, size_t store)
{
    tk_blob_number(b, TK_MP4_HEAD + store, 4);
    tk_blob_put(b, "uuid", 4);
    tk_blob_put(b, the_uuid, UUID);
    tk_blob_number(b, 0, 4);
    tk_blob_put(b, purpose, sizeof purpose);
    tk_blob_number(b, 0, 8); // no auxiliary boxes
}
