// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Who owns a cameo revokes it by a signed wish; nobody else does by anything that is dropped there.
#include "infer/cameo/wish.h"
#include "infer/cameo/wishes.h"
#include "tests/infer/cameo/lender.h"
#include <utime.h>

static tk_seal_pair own, other;
static int64_t now;
static int told; // of those revoked
static tk_status fails_next;

static tk_status tell_revoked(const tk_cameo_store *s, const tk_handle *who)
{
    (void)s;
    assert_string_equal(who->name, "ada");
    told++;
    return fails_next;
}

static void wishes_setup(void)
{
    static const unsigned char one[TK_SEAL_KEY] = {1}, two[TK_SEAL_KEY] = {2};
    tk_seal_pair_of(one, &own);
    tk_seal_pair_of(two, &other);
    told = 0;
    fails_next = TK_OK;
    lender_enroll("@ada", LENDER_ADA);
    now = time(NULL); // no earlier than the enrolment, however slow that was
}

static tk_status give(const unsigned char *key, int64_t owner)
{
    tk_handle ada;
    assert_ok(tk_handle_read("@ada", &ada));
    return tk_cameo_give_key(&lender_store, &ada, owner, key);
}

static char *wish(const char *handle, int64_t at, int64_t until, const tk_seal_pair *by)
{
    char *text;
    tk_handle who;
    assert_ok(tk_handle_read(handle, &who));
    assert_ok(tk_wish_sign(&who, at, until, by, &lender_arena, &text));
    return text;
}

static void drop(const char *text)
{
    lender_put("store/wishes/one", text, strlen(text));
}

static bool lies_there(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "store/wishes/%s", name);
    return access(lender_path(path), F_OK) == 0;
}

static void take(int want, bool stays)
{
    told = 0;
    assert_ok(tk_wishes_take(&lender_store, tell_revoked));
    assert_int_equal(told, want);
    assert_int_equal(lies_there("one"), stays);
    if (!want) assert_ok(lender_ask("@ada", LENDER_ADA));
}

static void test_revokes(void **state)
{
    (void)state;
    tk_lender p;
    wishes_setup();
    take(0, false);
    assert_ok(give(own.open, LENDER_ADA));
    const char *text = wish("@ada", now, now + 1000, &own);
    drop(text);
    take(1, false);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("@ada: was revoked");
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
    assert_int_equal(access(lender_path("store/people/ada/face"), F_OK), -1);
    // The log tells whose wish it was, once, whatever is done again.
    drop(text);
    take(1, false);
    const tk_handle ada = {"ada"};
    assert_ok(tk_lender_open(&lender_store, &ada, false, &lender_arena, &p));
    tk_lender_close(&p);
    assert_int_equal(p.history.n, 3);
    assert_int_equal(p.history.line[2].event, TK_CAMEO_REVOKED);
    assert_int_equal(p.history.line[2].user, LENDER_ADA);
    assert_string_equal(p.history.line[2].what, "as its owner wishes");
    // Of another enrolment it is none, whether it was taken up or not.
    const char *unused = wish("@ada", now - 1, now + 1000, &own);
    const char *ahead = wish("@ada", now + 200, now + 1000, &own);
    drop(ahead);
    take(1, false);
    lender_enroll("@ada", LENDER_ADA);
    drop(text);
    take(0, false);
    assert_ok(give(own.open, LENDER_ADA));
    for (int i = 0; i < 2; i++) {
        drop(i ? unused : text);
        take(0, false);
    }
}

// One that was taken up by a clock ahead of the store's is known by its hash.
static void test_replayed(void **state)
{
    (void)state;
    wishes_setup();
    assert_ok(give(own.open, LENDER_ADA));
    const char *text = wish("@ada", now + 250, now + 1000, &own);
    drop(text);
    take(1, false);
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(give(own.open, LENDER_ADA));
    drop(text);
    take(0, false);
    drop(wish("@ada", now + 251, now + 1000, &own));
    take(1, false);
}

// What the rest of a dead run did not do is done again: the wish is removed last.
static void test_done_again(void **state)
{
    (void)state;
    wishes_setup();
    assert_ok(give(own.open, LENDER_ADA));
    drop(wish("@ada", now, now + 1000, &own));
    fails_next = TK_FAIL(TK_IO, "a disk that is gone");
    assert_status(tk_wishes_take(&lender_store, tell_revoked), TK_IO);
    assert_true(lies_there("one"));
    fails_next = TK_OK;
    take(1, false);
}

static void test_forged(void **state)
{
    (void)state;
    wishes_setup();
    const char *text = wish("@ada", now, now + 1000, &own);
    drop(text);
    take(0, false); // no key was given
    assert_status(give(own.open, LENDER_BO), TK_INPUT);
    assert_says("who alone may give it a key");
    assert_status(give(lender_store.server->open, LENDER_ADA), TK_INPUT);
    assert_says("the server's own key");
    assert_ok(give(own.open, LENDER_ADA));
    const struct {
        int64_t at, until;
        const tk_seal_pair *by;
    } wrong[] = {{0, 1000, &other},
                 {0, 1000, &lender_registrar},
                 {0, 0, &own},
                 {-1000, -500, &own},
                 {400, 1000, &own},
                 {-100000, 1000, &own},
                 {0, 1000, lender_store.server}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        drop(wish("@ada", now + wrong[i].at, now + wrong[i].until, wrong[i].by));
        take(0, false);
    }
    drop(wish("@nobody", now, now + 1000, &own));
    take(0, false);
    lender_enroll("@bo", LENDER_BO); // by the key of another owner
    drop(wish("@bo", now, now + 1000, &own));
    take(0, false);
    assert_ok(lender_ask("@bo", LENDER_BO));
    // Every byte counts, also of the signature.
    char *all = wish("@ada", now, now + 1000, &own);
    for (size_t i = 0; i < strlen(all); i++) {
        all[i] ^= 1;
        drop(all);
        utime(lender_path("store/wishes/one"), &(struct utimbuf){now - 7200, now - 7200});
        take(0, false);
        all[i] ^= 1;
    }
    // Another key in the place of this one.
    assert_ok(give(other.open, LENDER_ADA));
    drop(all);
    take(0, false);
    drop(wish("@ada", now, now + 1000, &other));
    take(1, false);
}

// Half a wish is left for a while, what can be none is removed, and no folder, link or pipe is in
// the way.
static void test_hostile(void **state)
{
    (void)state;
    static char big[TK_PAPER_BYTES + 2];
    wishes_setup();
    assert_ok(give(own.open, LENDER_ADA));
    char *text = wish("@ada", now, now + 1000, &own);
    const size_t n = strlen(text);
    for (size_t cut = 0; cut < n; cut += 11) {
        lender_put("store/wishes/one", text, cut);
        take(0, true);
        utime(lender_path("store/wishes/one"), &(struct utimbuf){now - 7200, now - 7200});
        take(0, false);
    }
    char *twice = tk_arena_printf(&lender_arena, "%s%s", text, text);
    drop(twice);
    take(0, false);
    char *nul = tk_arena_printf(&lender_arena, "%s", text);
    nul[20] = 0;
    lender_put("store/wishes/one", nul, n);
    take(0, false);
    memset(big, 'x', sizeof big);
    lender_put("store/wishes/one", big, sizeof big);
    take(0, false);
    assert_int_equal(lender_run("cd %s && mkdir folder && mkfifo pipe && ln -s /etc/passwd link && "
                                "ln -s nowhere gone && mkdir full && touch full/x && echo x >.tmp",
                                "store/wishes"),
                     0);
    take(0, false);
    assert_false(lies_there("pipe") || lies_there("link") || lies_there("gone"));
    assert_true(lies_there("full/x") && lies_there(".tmp"));
    lender_put("outside", text, n);
    assert_int_equal(lender_run("cd %s && ln ../../outside one", "store/wishes"), 0);
    take(0, false);
    assert_int_equal(access(lender_path("outside"), F_OK), 0);
    // Amid all that, one that is right, of a person whose card is not.
    assert_int_equal(lender_run("cd %s && echo x >>card", "store/people/ada"), 0);
    drop(text);
    told = 0;
    assert_ok(tk_wishes_take(&lender_store, tell_revoked));
    assert_int_equal(told, 1);
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
}

// By a log that does not hold nobody can tell whether a wish counts: it waits for one that does, as
// long as it would count.
static void test_waits_for_the_log(void **state)
{
    (void)state;
    size_t n;
    wishes_setup();
    assert_ok(give(own.open, LENDER_ADA));
    const char *end = lender_get("store/people/ada/log.end", &n);
    assert_int_equal(unlink(lender_path("store/people/ada/log.end")), 0);
    drop(wish("@ada", now, now + 1000, &own));
    for (int i = 0; i < 2; i++) {
        assert_ok(tk_wishes_take(&lender_store, tell_revoked));
        assert_true(told == 0 && lies_there("one"));
    }
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), 0);
    lender_put("store/people/ada/log.end", end, n);
    take(1, false);
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
    assert_int_equal(unlink(lender_path("store/people/ada/log.end")), 0);
    drop(wish("@ada", now - 1000, now - 500, &own));
    assert_ok(tk_wishes_take(&lender_store, tell_revoked));
    assert_false(lies_there("one"));
}

// Who signs again within a second, having enrolled again in between, is heard.
static void test_no_two_are_the_same(void **state)
{
    (void)state;
    const char *first = wish("@ada", 1764200000, 1766792000, &own);
    assert_string_not_equal(first, wish("@ada", 1764200000, 1766792000, &own));
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, lender_setup, lender_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(test_revokes),
        FRESH(test_replayed),
        FRESH(test_done_again),
        FRESH(test_forged),
        FRESH(test_hostile),
        FRESH(test_waits_for_the_log),
        FRESH(test_no_two_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
