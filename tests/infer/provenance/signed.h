// SPDX-License-Identifier: Apache-2.0
// For tests of manifests: a folder with an authority (tests/support/authority.sh), and small files
// of MP4's boxes that are signed by it.
#pragma once
#include "core/base/files.h"
#include "infer/provenance/manifest.h"
#include "infer/provenance/proof.h"
#include "tests/support/test.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIGNED_ROOM = 1 << 18 };

static char signed_dir[64];
static tk_arena signed_arena; // of the last proof

typedef struct signed_file {
    uint8_t x[SIGNED_ROOM];
    size_t n;
} signed_file;

static inline int signed_open(void **state)
{
    char command[128];
    (void)state;
    snprintf(signed_dir, sizeof signed_dir, "/tmp/talkie-signed-XXXXXX");
    if (!mkdtemp(signed_dir)) return -1;
    snprintf(command, sizeof command, "tests/support/authority.sh '%s'", signed_dir);
    return system(command);
}

static inline int signed_close(void **state)
{
    char command[128];
    (void)state;
    tk_arena_free(&signed_arena);
    snprintf(command, sizeof command, "rm -rf '%s'", signed_dir);
    return system(command);
}

// Path of a file in the folder; up to eight at a time.
static inline const char *signed_path(const char *name)
{
    static char path[8][256];
    static int k;
    k = (k + 1) % 8;
    snprintf(path[k], sizeof path[k], "%s/%s", signed_dir, name);
    return path[k];
}

static inline void signed_read(const char *name, signed_file *f)
{
    int64_t bytes;
    int fd;
    assert_ok(tk_file_open(signed_path(name), &fd, &bytes));
    assert_true(bytes <= SIGNED_ROOM);
    f->n = (size_t)bytes;
    assert_ok(tk_pread_all(fd, name, f->x, f->n, 0));
    close(fd);
}

static inline void signed_write(const char *name, const void *x, size_t n)
{
    const int fd = open(signed_path(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_ok(tk_pwrite_all(fd, name, x, n, 0));
    close(fd);
}

// Where the text is in the file, for the first time or the last; it must be there.
static inline size_t signed_find(const signed_file *f, const char *text, bool last)
{
    const size_t n = strlen(text);
    size_t at = f->n;
    for (size_t i = 0; i + n <= f->n && (last || at == f->n); i++)
        if (!memcmp(f->x + i, text, n)) at = i;
    if (at == f->n) fail_msg("\"%s\" is not in the file", text);
    return at;
}

// What talkie verify finds in it; until the next call.
static inline tk_status signed_prove(const char *path, const char *anchors, tk_proof **out)
{
    if (signed_arena.block_bytes) tk_arena_free(&signed_arena);
    tk_arena_init(&signed_arena, 0);
    *out = tk_arena_alloc(&signed_arena, sizeof **out);
    assert_non_null(*out);
    return tk_proof_read(path, anchors, &signed_arena, *out);
}

static inline bool signed_has(const tk_proof *p, const char *code)
{
    for (int i = 0; i < p->faults; i++)
        if (!strcmp(p->fault[i].code, code)) return true;
    return false;
}

// A signer by files of the folder; NULL where it is refused.
static inline tk_signer *signed_by(const char *key, const char *chain)
{
    tk_signer *s;
    const tk_provenance_config c = {.key = (char *)signed_path(key),
                                    .chain = (char *)signed_path(chain)};
    return tk_signer_open(&c, &s) == TK_OK ? s : NULL;
}

static inline void put_box_of(tk_blob *b, const char type[5], const char *content)
{
    const size_t at = tk_box_begin(b, type);
    tk_blob_put(b, content, strlen(content));
    tk_box_end(b, at);
}

// Boxes ftyp, free of `room` bytes, moov and mdat.
static inline void signed_boxes(tk_blob *b, int64_t room)
{
    put_box_of(b, "ftyp", "isom0000");
    const size_t at = tk_box_begin(b, "free");
    while ((int64_t)(b->n - at) < room) tk_blob_number(b, 0, 1);
    tk_box_end(b, at);
    put_box_of(b, "moov", "what describes them");
    put_box_of(b, "mdat", "pictures and sound");
}

// Such a file, signed, as `m` says it.
static inline tk_status signed_put(const char *name, const tk_signer *by, const tk_manifest *m)
{
    tk_blob b = {0};
    int64_t room;
    TK_TRY(tk_manifest_room(by, m, &room));
    signed_boxes(&b, room);
    assert_ok(tk_blob_check(&b));
    signed_write(name, b.x, b.n);
    tk_blob_free(&b);
    const int fd = open(signed_path(name), O_RDWR);
    assert_true(fd >= 0);
    const tk_status st = tk_manifest_put(by, m, fd, signed_path(name));
    close(fd);
    return st;
}

// The same with a model and the files named (NULL: fewer), whose manifests it carries.
static inline void signed_make(const char *name, const char *a, const char *b)
{
    const char *from[] = {a, b};
    tk_ingredient list[3] = {{.title = "step-1.h5",
                              .relation = TK_RELATION_INPUT,
                              .type = "c2pa.types.model",
                              .words = "step 1"}};
    tk_arena kept;
    tk_manifest m = {.title = name, .version = "of the tests", .ingredient = list, .n = 1};
    tk_signer *by = signed_by("key.pem", "chain.pem");
    assert_non_null(by);
    tk_arena_init(&kept, 0);
    for (int i = 0; i < 2 && from[i]; i++) {
        tk_proof *p = tk_arena_alloc(&kept, sizeof *p);
        assert_non_null(p);
        assert_ok(tk_proof_read(signed_path(from[i]), "", &kept, p));
        list[m.n++] = (tk_ingredient){.title = from[i],
                                      .relation = i ? TK_RELATION_PART : TK_RELATION_INPUT,
                                      .store = p->store};
    }
    assert_ok(signed_put(name, by, &m));
    tk_arena_free(&kept);
    tk_signer_close(by);
}
