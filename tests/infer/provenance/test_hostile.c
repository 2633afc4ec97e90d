// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Manifests that somebody made to do harm: each is answered, none is believed, and none takes long.
#include "tests/infer/provenance/signed.h"
#include <time.h>

static signed_file whole;

// A file with such a store in the place of a manifest's.
static void put_store(const char *name, const tk_blob *store)
{
    static const char uuid[16] = "\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81";
    tk_blob b = {0};
    put_box_of(&b, "ftyp", "isom0000");
    const size_t at = tk_box_begin(&b, "uuid");
    tk_blob_put(&b, uuid, sizeof uuid);
    tk_blob_number(&b, 0, 4);
    tk_blob_put(&b, "manifest", 9);
    tk_blob_number(&b, 0, 8);
    tk_blob_put(&b, store->x, store->n);
    tk_box_end(&b, at);
    put_box_of(&b, "mdat", "pictures and sound");
    assert_ok(tk_blob_check(&b));
    signed_write(name, b.x, b.n);
    tk_blob_free(&b);
}

static void is_refused(const char *name, const char *code)
{
    tk_proof *p;
    assert_ok(signed_prove(signed_path(name), signed_path("root.pem"), &p));
    assert_int_equal(p->state, TK_PROOF_INVALID);
    if (!signed_has(p, code)) fail_msg("%s: %s, not %s", name, p->fault[0].code, code);
}

static void refused_store(tk_blob *b, const char *code)
{
    put_store("hostile.mp4", b);
    tk_blob_free(b);
    is_refused("hostile.mp4", code);
}

static void put_cbor(tk_blob *b, const char *kind, const char *label, const void *x, size_t n)
{
    const size_t at = tk_superbox_begin(b, kind, label), in = tk_box_begin(b, "cbor");
    tk_blob_put(b, x, n);
    tk_box_end(b, in);
    tk_box_end(b, at);
}

// A store of one manifest whose claim, signature and only assertion are these bytes.
static tk_blob store_of(const void *claim, size_t n_claim, const void *cose, size_t n_cose,
                        const void *one, size_t n_one)
{
    tk_blob b = {0};
    const size_t store = tk_superbox_begin(&b, "c2pa", "c2pa");
    const size_t manifest = tk_superbox_begin(&b, "c2ma", "urn:x");
    const size_t all = tk_superbox_begin(&b, "c2as", "c2pa.assertions");
    put_cbor(&b, "cbor", "c2pa.actions.v2", one, n_one);
    tk_box_end(&b, all);
    put_cbor(&b, "c2cl", "c2pa.claim.v2", claim, n_claim);
    put_cbor(&b, "c2cs", "c2pa.signature", cose, n_cose);
    tk_box_end(&b, manifest);
    tk_box_end(&b, store);
    return b;
}

// ---- files -------------------------------------------------------------------------------------

static void no_file_is_too_short(void **state)
{
    (void)state;
    tk_proof *p;
    signed_make("a.mp4", NULL, NULL);
    signed_read("a.mp4", &whole);
    for (size_t n = 0; n < whole.n; n++) {
        signed_write("short.mp4", whole.x, n);
        const tk_status st = signed_prove(signed_path("short.mp4"), "", &p);
        if (st != TK_OK) {
            assert_status(st, TK_INPUT);
            assert_says("short.mp4");
        } else if (p->state == TK_PROOF_VALID) {
            fail_msg("the first %zu bytes of %zu are believed", n, whole.n);
        }
        tk_status_clear();
    }
}

static void no_mp4(const char *x, size_t n, const char *words)
{
    tk_proof *p;
    signed_write("none.mp4", x, n);
    assert_status(signed_prove(signed_path("none.mp4"), "", &p), TK_INPUT);
    assert_says("none.mp4");
    assert_says(words);
}

static void other_files_are_named(void **state)
{
    (void)state;
    tk_proof *p;
    no_mp4("", 0, "empty");
    no_mp4("\x89PNG\r\n\x1a\n        ", 16, "no MP4 file");
    no_mp4("\0\0\0\x08mdat\0\0\0\x08mdat", 16, "does not begin with a box ftyp");
    no_mp4("\0\0\0\x10"
           "ftypisom0000\0\0\0\x07"
           "free",
           24, "byte 16");
    no_mp4("\0\0\0\x10"
           "ftypisom0000\0\0\0\x01"
           "free\xff\xff\xff\xff\xff\xff\xff\xf0",
           32, "byte 16");
    no_mp4("\0\0\0\x10"
           "ftypisom0000\0\0\0\x01"
           "free\0\0\0\0\0\0\0\x08",
           32, "byte 16");
    tk_blob b = {0};
    put_box_of(&b, "ftyp", "isom0000");
    for (int i = 0; i < 70000; i++) put_box_of(&b, "free", "");
    signed_write("many.mp4", b.x, b.n);
    tk_blob_free(&b);
    assert_status(signed_prove(signed_path("many.mp4"), "", &p), TK_INPUT);
    assert_says("more than 65536 boxes");
    assert_status(signed_prove(signed_dir, "", &p), TK_INPUT);
}

static void one_store_is_enough(void **state)
{
    (void)state;
    tk_blob b = {0};
    signed_make("a.mp4", NULL, NULL);
    signed_read("a.mp4", &whole);
    const size_t at = signed_find(&whole, "uuid", false) - 4;
    const size_t end = signed_find(&whole, "moov", false) - 4;
    tk_blob_put(&b, whole.x, whole.n);
    tk_blob_put(&b, whole.x + at, end - at);
    signed_write("two.mp4", b.x, b.n);
    is_refused("two.mp4", "general.error");
    b.n = 0; // or one that is something else
    tk_blob_put(&b, whole.x, whole.n);
    memcpy(b.x + signed_find(&whole, "manifest", false), "original", 8);
    signed_write("two.mp4", b.x, b.n);
    is_refused("two.mp4", "general.error");
    tk_blob_free(&b);
}

// ---- boxes -------------------------------------------------------------------------------------

static void stores_that_are_none(void **state)
{
    (void)state;
    tk_blob b = {0};
    refused_store(&b, "general.error");
    tk_superbox_begin(&b, "c2pa", "c2pa"); // whose end nobody wrote
    refused_store(&b, "general.error");
    tk_box_end(&b, tk_superbox_begin(&b, "c2pa", "c2pa")); // of no manifest
    refused_store(&b, "general.error");
    size_t at = tk_superbox_begin(&b, "c2pa", "c2pa");
    for (int i = 0; i < 2; i++) tk_box_end(&b, tk_superbox_begin(&b, "c2ma", "twice"));
    tk_box_end(&b, at);
    refused_store(&b, "general.error");
    at = tk_superbox_begin(&b, "c2pa", "c2pa");
    tk_box_end(&b, tk_superbox_begin(&b, "c2ma", "a label/with a slash"));
    tk_box_end(&b, at);
    refused_store(&b, "general.error");
    at = tk_superbox_begin(&b, "c2pa", "c2pa");
    for (int i = 0; i < TK_MANIFESTS + 1; i++) {
        char label[16];
        snprintf(label, sizeof label, "%d", i);
        tk_box_end(&b, tk_superbox_begin(&b, "c2ma", label));
    }
    tk_box_end(&b, at);
    refused_store(&b, "general.error");
    at = tk_superbox_begin(&b, "c2pa", "c2pa");
    tk_box_end(&b, tk_superbox_begin(&b, "c2ma", "empty"));
    tk_box_end(&b, at);
    refused_store(&b, "claim.missing");
}

static void boxes_in_boxes(void **state)
{
    (void)state;
    enum { DEEP = 20000 };
    tk_blob b = {0};
    static size_t at[DEEP];
    for (int i = 0; i < DEEP; i++)
        at[i] = i ? tk_superbox_begin(&b, "c2ma", "deep") : tk_superbox_begin(&b, "c2pa", "c2pa");
    for (int i = DEEP; i > 0; i--) tk_box_end(&b, at[i - 1]);
    refused_store(&b, "claim.missing");
}

static void too_many_assertions(void **state)
{
    (void)state;
    tk_blob b = {0};
    const size_t store = tk_superbox_begin(&b, "c2pa", "c2pa");
    const size_t manifest = tk_superbox_begin(&b, "c2ma", "urn:x");
    const size_t all = tk_superbox_begin(&b, "c2as", "c2pa.assertions");
    for (int i = 0; i <= TK_PROOF_ASSERTIONS; i++) put_cbor(&b, "cbor", "x", "\xa0", 1);
    tk_box_end(&b, all);
    tk_box_end(&b, manifest);
    tk_box_end(&b, store);
    refused_store(&b, "general.error");
}

// ---- CBOR --------------------------------------------------------------------------------------

static void claims_that_are_none(void **state)
{
    (void)state;
    static const struct {
        const char *x;
        size_t n;
    } claims[] = {
        {"", 0},
        {"\xa1", 1},                                 // a pair that is not there
        {"\xbf\xff", 2},                             // of no length
        {"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", 9}, // 2^64 - 1 items
        {"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", 9}, // pairs, so that twice as many wrap around
        {"\xbb\x80\x00\x00\x00\x00\x00\x00\x00", 9},
        {"\x7b\xff\xff\xff\xff\xff\xff\xff\xff", 9}, // letters
        {"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff"
         "x",
         10},            // bytes
        {"\xa0\xa0", 2}, // two of them
        {"\x1c", 1},     // of no meaning
        {"\xd2", 1},     // a tag of nothing
        {"\xff", 1},     // an end
    };
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        tk_blob b = store_of(claims[i].x, claims[i].n, "\xa0", 1, "\xa0", 1);
        refused_store(&b, "general.error");
    }
}

static void cbor_in_cbor(void **state)
{
    (void)state;
    enum { DEEP = 1 << 20 };
    char *deep = malloc(DEEP + 1);
    assert_non_null(deep);
    memset(deep, '\x81', DEEP);
    deep[DEEP] = '\xa0';
    tk_blob b = store_of(deep, DEEP + 1, "\xa0", 1, deep, DEEP + 1);
    refused_store(&b, "claimSignature.missing"); // it is CBOR, and names nothing
    memset(deep, '\xc1', DEEP);
    b = store_of(deep, DEEP + 1, deep, DEEP + 1, deep, DEEP + 1);
    refused_store(&b, "claimSignature.missing");
    free(deep);
}

static void refused_cose(const void *x, size_t n, const char *code)
{
    static const char claim[] = "\xa1\x69signature\x78\x19self#jumbf=c2pa.signature";
    tk_blob b = store_of(claim, sizeof claim - 1, x, n, "\xa0", 1);
    refused_store(&b, code);
}

static void signatures_that_are_none(void **state)
{
    (void)state;
    static const char short_one[] = "\x84\x43\xa1\x01\x26\xa0\xf6\x41x";
    static const char no_certificate[] = "\xd2\x84\x49\xa2\x01\x26\x18\x21\x43xyz\xa0\xf6\x41x";
    static const char other_way[] = "\xd2\x84\x44\xa1\x01\x38\x22\xa0\xf6\x41x";         // ES384
    static const char asks_more[] = "\xd2\x84\x46\xa2\x02\x81\x01\x01\x26\xa0\xf6\x41x"; // crit
    refused_cose(asks_more, sizeof asks_more - 1, "algorithm.unsupported");
    refused_cose("\xa0", 1, "claimSignature.mismatch");
    refused_cose("\xd2\x80", 2, "claimSignature.mismatch");
    refused_cose("\x84\xf6\xa0\xf6\xf6", 5, "claimSignature.mismatch");
    refused_cose(short_one, sizeof short_one - 1, "signingCredential.invalid");
    refused_cose(no_certificate, sizeof no_certificate - 1, "signingCredential.invalid");
    refused_cose(other_way, sizeof other_way - 1, "signingCredential.invalid");
}

// An ingredient whose manifest is the one that it is in: what is told ends.
static void manifests_in_circles(void **state)
{
    (void)state;
    static const char claim[] = "\xa2\x69signature\x78\x19self#jumbf=c2pa.signature"
                                "\x72"
                                "created_assertions\x81\xa2\x63url\x78\x2d"
                                "self#jumbf=c2pa.assertions/c2pa.ingredient.v3\x64hash\x41x";
    static const char one[] = "\xa1\x6e"
                              "activeManifest\xa2\x63url\x76self#jumbf=/c2pa/urn:x"
                              "\x64hash\x41x";
    tk_blob b = {0};
    const size_t store = tk_superbox_begin(&b, "c2pa", "c2pa");
    const size_t manifest = tk_superbox_begin(&b, "c2ma", "urn:x");
    const size_t all = tk_superbox_begin(&b, "c2as", "c2pa.assertions");
    put_cbor(&b, "cbor", "c2pa.ingredient.v3", one, sizeof one - 1);
    tk_box_end(&b, all);
    put_cbor(&b, "c2cl", "c2pa.claim.v2", claim, sizeof claim - 1);
    put_cbor(&b, "c2cs", "c2pa.signature", "\xa0", 1);
    tk_box_end(&b, manifest);
    tk_box_end(&b, store);
    refused_store(&b, "ingredient.manifest.mismatch");
    tk_proof *p;
    assert_ok(signed_prove(signed_path("hostile.mp4"), "", &p));
    assert_int_equal(p->n, 1);
    assert_int_equal(p->manifest[0].ingredient[0].manifest, 0);
}

// A manifest of megabytes that thousands refer to is hashed once.
static void a_large_manifest_asked_for_often(void **state)
{
    (void)state;
    enum { LARGE = 8 << 20, OFTEN = 4000, SECONDS = 5 };
    static const char one[] = "\xa2\x6e"
                              "activeManifest\xa2\x63url\x72self#jumbf=/c2pa/p"
                              "\x64hash\x41x"
                              "\x6e"
                              "claimSignature\xa1\x64hash\x41x";
    static uint8_t large[LARGE];
    tk_blob b = {0};
    const clock_t begin = clock();
    const size_t store = tk_superbox_begin(&b, "c2pa", "c2pa");
    size_t manifest = tk_superbox_begin(&b, "c2ma", "p");
    put_cbor(&b, "c2cs", "c2pa.signature", large, LARGE);
    tk_box_end(&b, manifest);
    manifest = tk_superbox_begin(&b, "c2ma", "q");
    const size_t all = tk_superbox_begin(&b, "c2as", "c2pa.assertions");
    for (int i = 0; i < OFTEN; i++) put_cbor(&b, "cbor", "c2pa.ingredient.v3", one, sizeof one - 1);
    tk_box_end(&b, all);
    put_cbor(&b, "c2cl", "c2pa.claim.v2", "\xa1\x69signature\x78\x19self#jumbf=c2pa.signature", 38);
    put_cbor(&b, "c2cs", "c2pa.signature", "\xa0", 1);
    tk_box_end(&b, manifest);
    tk_box_end(&b, store);
    refused_store(&b, "claimSignature.mismatch");
    tk_proof *p;
    assert_ok(signed_prove(signed_path("hostile.mp4"), "", &p));
    assert_int_equal(p->manifest[0].n, OFTEN);
    assert_int_equal(p->manifest[0].ingredient[OFTEN - 1].manifest, 1);
    assert_true((clock() - begin) / CLOCKS_PER_SEC < SECONDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_file_is_too_short),
        cmocka_unit_test(other_files_are_named),
        cmocka_unit_test(one_store_is_enough),
        cmocka_unit_test(stores_that_are_none),
        cmocka_unit_test(boxes_in_boxes),
        cmocka_unit_test(too_many_assertions),
        cmocka_unit_test(claims_that_are_none),
        cmocka_unit_test(cbor_in_cbor),
        cmocka_unit_test(signatures_that_are_none),
        cmocka_unit_test(manifests_in_circles),
        cmocka_unit_test(a_large_manifest_asked_for_often),
    };
    return cmocka_run_group_tests(tests, signed_open, signed_close);
}
