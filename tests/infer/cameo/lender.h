// SPDX-License-Identifier: Apache-2.0
// For tests of cameos: a store in a folder of its own, with a registrar, and who lends in it.
#pragma once
#include "core/base/files.h"
#include "infer/cameo/person.h"
#include "infer/cameo/use.h"
#include "tests/support/test.h"
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LENDER_ADA = 1001, LENDER_BO = 1002, LENDER_CARL = 1003 };

static char lender_dir[64];
static tk_arena lender_arena;
static tk_cameo_store lender_store;
static tk_seal_pair lender_registrar;

static inline char *lender_path(const char *name)
{
    return tk_arena_printf(&lender_arena, "%s/%s", lender_dir, name);
}

static inline void lender_put(const char *name, const void *x, size_t bytes)
{
    FILE *f = fopen(lender_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(x, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

static inline char *lender_get(const char *name, size_t *bytes)
{
    char *text;
    assert_ok(tk_file_read(lender_path(name), 1 << 20, &lender_arena, &text, bytes));
    return text;
}

static inline int lender_run(const char *fmt, const char *name)
{
    char command[512];
    snprintf(command, sizeof command, fmt, lender_path(name));
    return system(command);
}

static inline void lender_open(void)
{
    static char none[] = "";
    tk_consent_config c = {none, none, none, none, none, NULL, 0, NULL, 0, none};
    c.store = lender_path("store");
    c.keys = lender_path("keys");
    c.registrar = lender_path("registrar.pub");
    assert_ok(tk_cameo_store_open(&c, TK_STORE_TO_MAKE, &lender_store));
}

static inline void lender_enroll(const char *handle, int64_t owner)
{
    tk_cameo_new x = {.owner = owner, .by = "registrar"};
    char face[100001], voice[] = "the voice of somebody";
    memset(face, 'f', sizeof face);
    assert_ok(tk_handle_read(handle, &x.who));
    x.reference[TK_CAMEO_FACE] = face, x.bytes[TK_CAMEO_FACE] = sizeof face;
    x.reference[TK_CAMEO_VOICE] = voice, x.bytes[TK_CAMEO_VOICE] = sizeof voice;
    assert_ok(tk_cameo_enroll(&lender_store, &x));
}

static inline tk_consent lender_consent(int64_t user, unsigned uses, int64_t until)
{
    const int64_t now = time(NULL);
    return (tk_consent){
        .user = {user}, .n = 1, .uses = uses, .from = now - 1000, .until = now + until};
}

static inline tk_status lender_grant(const char *handle, tk_consent x)
{
    tk_handle who;
    assert_ok(tk_handle_read(handle, &who));
    return tk_cameo_grant(&lender_store, &who, &x, &lender_registrar);
}

// A use by one user, at a time from now.
static tk_cameo lender_cameo[TK_CAMEOS];
static inline tk_status lender_ask_for(int n, char *const *names, int64_t user, int64_t in)
{
    const tk_cameo_ask x = {
        .n = n, .names = names, .user = {user}, .users = 1, .time = time(NULL) + in};
    return tk_cameos_ask(&lender_store, &x, &lender_arena, lender_cameo);
}
static inline tk_status lender_ask(const char *name, int64_t user)
{
    char *const names[] = {(char *)name};
    return lender_ask_for(1, names, user, 0);
}

static inline int lender_setup(void **state)
{
    (void)state;
    tk_arena_init(&lender_arena, 0);
    snprintf(lender_dir, sizeof lender_dir, "/tmp/talkie-lender-XXXXXX");
    if (!mkdtemp(lender_dir) || tk_seal_ready() != TK_OK) return -1;
    char command[512], *pem;
    size_t bytes;
    snprintf(
        command, sizeof command,
        "cd %s && openssl genpkey -algorithm ed25519 -out registrar.pem 2>/dev/null && openssl "
        "pkey -in registrar.pem -pubout -out registrar.pub",
        lender_dir);
    if (system(command)) return -1;
    pem = lender_get("registrar.pem", &bytes);
    if (!tk_seal_read_private(pem, &lender_registrar)) return -1;
    lender_open();
    return 0;
}

static inline int lender_teardown(void **state)
{
    (void)state;
    tk_cameo_store_close(&lender_store);
    const int code = lender_run("rm -rf '%s'", "");
    tk_arena_free(&lender_arena);
    return code;
}
