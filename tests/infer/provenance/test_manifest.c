// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Manifests: who may sign, what holds, and what every changed byte is found out by.
#include "tests/infer/provenance/signed.h"
#include "tests/support/core_dump.h"

static signed_file whole, changed;

// ---- who may sign ------------------------------------------------------------------------------

static void refused(const char *key, const char *chain, const char *words)
{
    tk_signer *s = signed_by(key, chain);
    tk_signer_close(s);
    assert_null(s);
    assert_says(words);
}

static void keys_are_checked(void **state)
{
    (void)state;
    tk_signer *s = signed_by("key.pem", "chain.pem");
    assert_non_null(s);
    tk_signer_close(s);
    refused("gone.pem", "chain.pem", "gone.pem");
    s = signed_by("old.pem", "chain.pem");
    assert_non_null(s);
    tk_signer_close(s);
    refused("oldlocked.pem", "chain.pem", "is encrypted");
    refused("key.pem", "gone.pem", "gone.pem");
    refused("chain.pem", "chain.pem", "others than its owner may read it; chmod 600 ");
    assert_int_equal(chmod(signed_path("chain.pem"), 0600), 0);
    refused("chain.pem", "chain.pem", "no private key in PEM");
    refused("locked.pem", "chain.pem", "is encrypted");
    refused("curve.pem", "chain.pem", "no key of the curve P-256");
    refused("other.pem", "chain.pem", "is not the key of the first certificate");
    refused("key.pem", "key.pem", "holds a private key");
    refused("key.pem", "turned.pem", "is not the key of the first certificate");
    refused("key.pem", "broken.pem", "certificate 2");
    refused("key.pem", "expired.pem", "has expired");
    refused("key.pem", "usage.pem", "without digitalSignature");
    refused("key.pem", "purpose.pem", "1.3.6.1.4.1.62558.2.1");
    refused("key.pem", "authority.pem", "CA:TRUE");
    refused("key.pem", "any.pem", "anyExtendedKeyUsage");
    refused("key.pem", "itself.pem", "signed by itself");
}

// Of the key's file: some of its text, over an end of line; and the number that it is, as it is
// written and as OpenSSL computes with it. All masked.
enum { TEXT = 40, TEXT_AT = 70, NUMBER = 32, NUMBER_AT = 7 };
typedef struct key_parts {
    uint8_t text[TEXT], number[NUMBER], turned[NUMBER];
} key_parts;

static void take_parts(key_parts *k)
{
    char command[256];
    uint8_t head[2];
    int fd = open(signed_path("key.pem"), O_RDONLY);
    assert_ok(tk_pread_all(fd, "key.pem", k->text, TEXT, TEXT_AT));
    close(fd);
    snprintf(command, sizeof command,
             "cd '%s' && openssl ec -in key.pem -outform DER -out key.der 2>/dev/null", signed_dir);
    assert_int_equal(system(command), 0);
    fd = open(signed_path("key.der"), O_RDONLY);
    assert_ok(tk_pread_all(fd, "key.der", head, 2, NUMBER_AT - 2));
    assert_ok(tk_pread_all(fd, "key.der", k->number, NUMBER, NUMBER_AT));
    close(fd);
    assert_true(head[0] == 4 && head[1] == NUMBER); // of DER: a string of so many bytes
    core_mask(k->text, TEXT);
    core_mask(k->number, NUMBER);
    for (int i = 0; i < NUMBER; i++) k->turned[i] = k->number[NUMBER - 1 - i];
}

static int count_parts(const key_parts *k, bool kept)
{
    return core_count(k->text, TEXT, kept) + core_count(k->number, NUMBER, kept) +
           core_count(k->turned, NUMBER, kept);
}

static void no_core_dump_has_the_key(void **state)
{
    (void)state;
    key_parts k;
    static const uint8_t claim[] = "a claim";
    tk_blob signature = {0};
    take_parts(&k);
    tk_signer *s = signed_by("key.pem", "chain.pem");
    assert_non_null(s);
    assert_int_equal(count_parts(&k, false), 0);
    assert_true(count_parts(&k, true) > 0); // it is somewhere
    assert_ok(tk_signer_sign(s, (tk_span){claim, sizeof claim}, true, &signature));
    tk_blob_free(&signature);
    assert_int_equal(count_parts(&k, false), 0);
    tk_signer_close(s);
    assert_int_equal(count_parts(&k, false) + count_parts(&k, true), 0);
}

// ---- what holds --------------------------------------------------------------------------------

static tk_proof_state state_of(const char *name, const char *anchors)
{
    tk_proof *p;
    assert_ok(signed_prove(signed_path(name), *anchors ? signed_path(anchors) : "", &p));
    return p->state;
}

static void what_was_signed_holds(void **state)
{
    (void)state;
    tk_proof *p;
    signed_make("a.mp4", NULL, NULL);
    assert_ok(signed_prove(signed_path("a.mp4"), signed_path("root.pem"), &p));
    assert_int_equal(p->faults, 0);
    assert_int_equal(p->state, TK_PROOF_TRUSTED);
    assert_int_equal(p->n, 1);
    const tk_told_manifest *m = &p->manifest[0];
    assert_string_equal(m->title, "a.mp4");
    assert_string_equal(m->generator, "talkie");
    assert_string_equal(m->source, "trainedAlgorithmicMedia");
    assert_string_equal(m->signer, "signer of the tests");
    assert_string_equal(m->issuer, "authority of the tests");
    assert_int_equal(m->n, 1);
    assert_string_equal(m->ingredient[0].title, "step-1.h5");
    assert_string_equal(m->ingredient[0].type, "c2pa.types.model");
    assert_int_equal(m->ingredient[0].manifest, -1);
    // Whom to trust is said or not; authorities between are as good as roots.
    assert_int_equal(state_of("a.mp4", ""), TK_PROOF_VALID);
    assert_int_equal(state_of("a.mp4", "itself.pem"), TK_PROOF_VALID);
    assert_int_equal(state_of("a.mp4", "between.pem"), TK_PROOF_TRUSTED);
    assert_status(signed_prove(signed_path("a.mp4"), signed_path("key.pem"), &p), TK_INPUT);
    assert_says("holds a private key");
    assert_status(signed_prove(signed_path("gone.mp4"), "", &p), TK_INPUT);
    // The name is no part of it.
    assert_int_equal(rename(signed_path("a.mp4"), signed_path("b.mp4")), 0);
    assert_int_equal(state_of("b.mp4", "root.pem"), TK_PROOF_TRUSTED);
    // Without one.
    tk_blob b = {0};
    signed_boxes(&b, 100);
    signed_write("bare.mp4", b.x, b.n);
    tk_blob_free(&b);
    assert_int_equal(state_of("bare.mp4", "root.pem"), TK_PROOF_NONE);
}

static void lineage_goes_all_the_way(void **state)
{
    (void)state;
    tk_proof *p;
    signed_make("first.mp4", NULL, NULL);
    signed_make("second.mp4", "first.mp4", NULL);
    signed_make("third.mp4", "first.mp4", "second.mp4");
    assert_ok(signed_prove(signed_path("third.mp4"), signed_path("root.pem"), &p));
    assert_int_equal(p->state, TK_PROOF_TRUSTED);
    assert_int_equal(p->n, 3); // that of the first is there once
    const tk_told_manifest *third = &p->manifest[0];
    assert_int_equal(third->n, 3);
    assert_string_equal(third->ingredient[1].relation, "inputTo");
    assert_string_equal(third->ingredient[2].relation, "componentOf");
    const tk_told_manifest *second = &p->manifest[third->ingredient[2].manifest];
    assert_string_equal(second->title, "second.mp4");
    assert_true(second->trusted);
    assert_int_equal(second->ingredient[1].manifest, third->ingredient[1].manifest);
    assert_string_equal(p->manifest[second->ingredient[1].manifest].title, "first.mp4");
}

static void manifests_of_one_name_must_be_the_same(void **state)
{
    (void)state;
    signed_make("one.mp4", NULL, NULL);
    signed_read("one.mp4", &whole);
    changed = whole;
    changed.x[signed_find(&changed, "step 1", false)] ^= 1;
    const size_t at = signed_find(&whole, "jumb", false) - 4;
    const size_t n = signed_find(&whole, "moov", false) - 4 - at;
    tk_ingredient two[] = {{.title = "one", .store = {whole.x + at, n}},
                           {.title = "other", .store = {changed.x + at, n}}};
    const tk_manifest m = {.title = "t.mp4", .version = "1", .ingredient = two, .n = 2};
    tk_signer *by = signed_by("key.pem", "chain.pem");
    int64_t room;
    assert_status(tk_manifest_room(by, &m, &room), TK_INPUT);
    assert_says("that are not the same");
    two[1].store = two[0].store;
    assert_ok(tk_manifest_room(by, &m, &room));
    tk_signer_close(by);
}

// A clip by that chain, and what is found.
static tk_proof *prove_signed_by(const char *chain, const tk_ingredient *from, int n)
{
    tk_proof *p;
    const tk_manifest m = {.title = "t.mp4", .version = "1", .ingredient = from, .n = n};
    tk_signer *by = signed_by("key.pem", chain);
    assert_non_null(by);
    assert_ok(signed_put("by.mp4", by, &m));
    tk_signer_close(by);
    assert_ok(signed_prove(signed_path("by.mp4"), signed_path("root.pem"), &p));
    return p;
}

static void weak_links_are_not_trusted(void **state)
{
    (void)state;
    const tk_ingredient model = {.title = "model"};
    assert_int_equal(prove_signed_by("sha1.pem", &model, 1)->state, TK_PROOF_VALID);
}

static void texts_are_fit_to_be_printed(void **state)
{
    (void)state;
    const tk_ingredient model = {.title = "a\x1b[31m",
                                 .words = "b\xc2\x9b"
                                          "31m\xc2\xa0"};
    const tk_proof *p = prove_signed_by("long.pem", &model, 1);
    assert_int_equal(p->state, TK_PROOF_TRUSTED);
    assert_string_equal(p->manifest[0].ingredient[0].title, "a?[31m");
    assert_string_equal(p->manifest[0].ingredient[0].words, "b??31m\xc2\xa0");
    assert_int_equal(strlen(p->manifest[0].signer), 127); // of 128, the last letter cut
    assert_int_equal(strspn(p->manifest[0].signer, "\xc3\xa9"), 126);
}

static void what_is_signed_can_be_read(void **state)
{
    (void)state;
    static tk_ingredient many[TK_PROOF_ASSERTIONS];
    int64_t room;
    for (int i = 0; i < TK_PROOF_ASSERTIONS; i++) many[i].title = "a picture";
    tk_manifest m = {
        .title = "t.mp4", .version = "1", .ingredient = many, .n = TK_PROOF_ASSERTIONS - 1};
    tk_signer *by = signed_by("key.pem", "chain.pem");
    assert_non_null(by);
    assert_status(tk_manifest_room(by, &m, &room), TK_INPUT);
    assert_says("at most 4094");
    m.n--;
    assert_ok(tk_manifest_room(by, &m, &room));
    tk_signer_close(by);
}

// ---- what is found out -------------------------------------------------------------------------

// The file with one bit of a byte turned.
static tk_proof *prove_turned(size_t at, int bit)
{
    tk_proof *p;
    changed = whole;
    changed.x[at] ^= (uint8_t)(1 << bit);
    signed_write("turned.mp4", changed.x, changed.n);
    const tk_status st = signed_prove(signed_path("turned.mp4"), signed_path("root.pem"), &p);
    if (st != TK_OK) assert_status(st, TK_INPUT);
    tk_status_clear();
    return st == TK_OK ? p : NULL;
}

static void found_by(const char *text, bool last, size_t more, const char *code)
{
    const tk_proof *p = prove_turned(signed_find(&whole, text, last) + more, 0);
    assert_non_null(p);
    assert_int_equal(p->state, TK_PROOF_INVALID);
    if (!signed_has(p, code))
        fail_msg("%s: %s, not %s", text, p->faults ? p->fault[0].code : "nothing", code);
}

static void each_part_has_its_fault(void **state)
{
    (void)state;
    signed_make("parent.mp4", NULL, NULL);
    signed_make("child.mp4", "parent.mp4", NULL);
    signed_read("child.mp4", &whole);
    found_by("pictures and sound", false, 0, "assertion.bmffHash.mismatch");
    found_by("what describes", false, 0, "assertion.bmffHash.mismatch");
    found_by("trainedAlgorithmicMedia", true, 0, "assertion.hashedURI.mismatch");
    found_by("xmp:iid:", true, 8, "claimSignature.mismatch");
    found_by("signer of the tests", true, 0, "claimSignature.mismatch");
    found_by("moov", false, (size_t)-5, "claimSignature.mismatch"); // the signature's last byte
    found_by("trainedAlgorithmicMedia", false, 0, "ingredient.manifest.mismatch");
    found_by("xmp:iid:", false, 8, "ingredient.manifest.mismatch");
    // A fault of the contents is of nothing else.
    const tk_proof *p = prove_turned(signed_find(&whole, "pictures", false), 3);
    assert_int_equal(p->faults, 1);
    assert_true(p->manifest[0].trusted);
}

// A certificate is anybody's to show: whose signature does not hold has signed nothing.
static void nobody_signed_what_was_changed(void **state)
{
    (void)state;
    signed_make("parent.mp4", NULL, NULL);
    signed_make("child.mp4", "parent.mp4", NULL);
    signed_read("child.mp4", &whole);
    for (int last = 0; last < 2; last++) {
        const tk_proof *p = prove_turned(signed_find(&whole, "xmp:iid:", last) + 8, 0);
        assert_non_null(p);
        assert_true(signed_has(p, "claimSignature.mismatch"));
        const tk_told_manifest *m = &p->manifest[last ? 0 : 1], *other = &p->manifest[last];
        assert_false(m->trusted);
        assert_string_equal(m->signer, "");
        assert_true(other->trusted);
        assert_string_equal(other->signer, "signer of the tests");
    }
}

// Every step-th byte, but for the name of the brand, which the standard leaves out of the hash.
static void count_bytes(const char *name, size_t step)
{
    enum { BRAND = 8, AFTER = 16 };
    signed_read(name, &whole);
    for (size_t at = 0; at < whole.n; at += step) {
        if (at >= BRAND && at < AFTER) continue;
        const tk_proof *p = prove_turned(at, (int)(at / step % 8));
        if (p && p->state != TK_PROOF_INVALID && p->state != TK_PROOF_NONE)
            fail_msg("%s: byte %zu of %zu may be changed", name, at, whole.n);
    }
}

static void every_byte_counts(void **state)
{
    (void)state;
    signed_make("parent.mp4", NULL, NULL);
    signed_make("child.mp4", "parent.mp4", NULL);
    count_bytes("parent.mp4", 1);
    count_bytes("child.mp4", 13);
}

static void moved_and_added_boxes_are_found(void **state)
{
    (void)state;
    tk_proof *p;
    signed_make("a.mp4", NULL, NULL);
    signed_read("a.mp4", &whole);
    tk_blob b = {0};
    tk_blob_put(&b, whole.x, whole.n);
    put_box_of(&b, "free", "");
    signed_write("more.mp4", b.x, b.n);
    assert_ok(signed_prove(signed_path("more.mp4"), "", &p));
    assert_true(signed_has(p, "assertion.bmffHash.mismatch"));
    // The same boxes, a byte later.
    const size_t moov = signed_find(&whole, "moov", false) - 4;
    b.n = 0;
    tk_blob_put(&b, whole.x, moov);
    put_box_of(&b, "mfra", ""); // which is left out, but moves what follows
    tk_blob_put(&b, whole.x + moov, whole.n - moov);
    signed_write("moved.mp4", b.x, b.n);
    assert_ok(signed_prove(signed_path("moved.mp4"), "", &p));
    assert_true(signed_has(p, "assertion.bmffHash.mismatch"));
    tk_blob_free(&b);
}

// ---- memory ------------------------------------------------------------------------------------

static void no_allocation_is_taken_for_granted(void **state)
{
    (void)state;
    tk_ingredient model = {.title = "model"};
    const tk_manifest m = {.title = "m.mp4", .version = "1", .ingredient = &model, .n = 1};
    char key[256], chain[256], path[256];
    const tk_provenance_config c = {.key = key, .chain = chain};
    int failures = 0;
    signed_make("a.mp4", NULL, NULL);
    strcpy(key, signed_path("key.pem"));
    strcpy(chain, signed_path("chain.pem"));
    strcpy(path, signed_path("a.mp4"));
    for (int64_t n = 1;; n++) {
        tk_signer *by = NULL;
        tk_proof p;
        tk_arena a;
        int64_t room;
        tk_arena_init(&a, 0);
        tk_alloc_fail_at(n, false);
        tk_status st = tk_signer_open(&c, &by);
        if (st == TK_OK) st = tk_manifest_room(by, &m, &room);
        if (st == TK_OK) st = tk_proof_read(path, chain, &a, &p);
        tk_alloc_fail_at(0, false);
        tk_signer_close(by);
        tk_arena_free(&a);
        if (st == TK_OK) break;
        if (st != TK_MEMORY) fail_msg("allocation %d: %s", (int)n, tk_status_message());
        failures++;
    }
    assert_true(failures > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_checked),
        cmocka_unit_test(no_core_dump_has_the_key),
        cmocka_unit_test(what_was_signed_holds),
        cmocka_unit_test(lineage_goes_all_the_way),
        cmocka_unit_test(manifests_of_one_name_must_be_the_same),
        cmocka_unit_test(weak_links_are_not_trusted),
        cmocka_unit_test(texts_are_fit_to_be_printed),
        cmocka_unit_test(what_is_signed_can_be_read),
        cmocka_unit_test(each_part_has_its_fault),
        cmocka_unit_test(nobody_signed_what_was_changed),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(moved_and_added_boxes_are_found),
        cmocka_unit_test(no_allocation_is_taken_for_granted),
    };
    return cmocka_run_group_tests(tests, signed_open, signed_close);
}
