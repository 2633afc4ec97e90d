// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 60 */
// Nobody gets in: handles, papers and logs that are not what they should be, and keys that are
// gone.
#define _GNU_SOURCE // memmem
#include "tests/infer/cameo/lender.h"
#include "tests/support/core_dump.h"
#include <fcntl.h>
#include <sys/wait.h>

static void test_handles(void **state)
{
    (void)state;
    static const char *const none[] = {"",
                                       "@",
                                       "@.",
                                       "@..",
                                       "../ada",
                                       "@ada/x",
                                       "@Ada",
                                       "ada.",
                                       "@@ada",
                                       "@ad\xc3\xa4",
                                       "a da",
                                       "@ada\n",
                                       "/etc",
                                       "@a-b",
                                       "@ada:face",
                                       "%s",
                                       "@abcdefghijklmnopqrstuvwxyz0123456"};
    tk_handle h;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_status(tk_handle_read(none[i], &h), TK_INPUT);
        assert_says("is no handle");
    }
    assert_ok(tk_handle_read("@ada_7", &h));
    assert_string_equal(h.name, "ada_7");
    assert_ok(tk_handle_read("abcdefghijklmnopqrstuvwxyz012345", &h));
}

static void test_serves_its_owner_alone(void **state)
{
    (void)state;
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_string_equal(lender_cameo[0].who.name, "ada");
    assert_int_equal(lender_cameo[0].uses, TK_USE_FACE | TK_USE_VOICE);
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_says("@ada: serves its owner alone");
    assert_status(lender_ask("@nobody", LENDER_ADA), TK_INPUT);
    assert_says("nobody of that handle");
    // A handle stays whose it is.
    tk_cameo_new x = {.owner = LENDER_BO, .by = "registrar", .reference = {"f"}, .bytes = {1}};
    assert_ok(tk_handle_read("@ada", &x.who));
    assert_status(tk_cameo_enroll(&lender_store, &x), TK_INPUT);
    assert_says("is that of another user");
    x.owner = LENDER_ADA;
    assert_status(tk_cameo_enroll(&lender_store, &x), TK_INPUT);
    assert_says("is enrolled already");
}

static void test_consent(void **state)
{
    (void)state;
    char *both[] = {"@ada", "@bo"}, *voice[] = {"@ada:voice"};
    lender_enroll("@ada", LENDER_ADA);
    lender_enroll("@bo", LENDER_BO);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, TK_USE_VOICE, 1000)));
    // All that is missing, of both, at once.
    assert_status(lender_ask_for(2, both, LENDER_CARL, 0), TK_INPUT);
    assert_says("@ada: does not consent to face");
    assert_says("@bo: serves its owner alone");
    assert_ok(lender_ask_for(1, voice, LENDER_CARL, 0));
    assert_status(lender_ask_for(1, voice, LENDER_CARL, 1000), TK_INPUT);
    assert_says("@ada: consent ended on");
    assert_status(lender_ask_for(1, voice, LENDER_CARL, -2000), TK_INPUT);
    assert_says("@ada: consent begins on");
    assert_status(lender_ask_for(1, voice, 4711, 0), TK_INPUT);
    assert_says("does not consent to a use by 4711");
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, 7, 1000)));
    assert_ok(lender_grant("@bo", lender_consent(LENDER_CARL, 7, 1000)));
    assert_ok(lender_ask_for(2, both, LENDER_CARL, 0));
    both[1] = "ada";
    assert_status(lender_ask_for(2, both, LENDER_CARL, 0), TK_INPUT);
    assert_says("@ada: is named twice");
    // A remix takes more than being seen and heard.
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, 3, 1000)));
    const tk_cameo_ask remix = {.n = 1,
                                .names = (char *[]){"@ada"},
                                .also = TK_USE_REMIX,
                                .user = {LENDER_CARL},
                                .users = 1,
                                .time = time(NULL)};
    assert_status(tk_cameos_ask(&lender_store, &remix, &lender_arena, lender_cameo), TK_INPUT);
    assert_says("does not consent to remix");
    // Going on from a clip that they are in takes consent to that, and to no more.
    tk_cameo_ask inherited = remix;
    inherited.inherited = true;
    assert_status(tk_cameos_ask(&lender_store, &inherited, &lender_arena, lender_cameo), TK_INPUT);
    assert_says("does not consent to remix");
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, TK_USE_REMIX, 1000)));
    assert_ok(tk_cameos_ask(&lender_store, &inherited, &lender_arena, lender_cameo));
    assert_int_equal(lender_cameo[0].uses, 0);
    assert_status(tk_cameos_ask(&lender_store, &remix, &lender_arena, lender_cameo), TK_INPUT);
    assert_says("does not consent to face, voice");
}

// A challenge says that somebody was there; who it is says the registrar, in whatever way.
static void test_vouched(void **state)
{
    (void)state;
    tk_cameo_new x = {
        .owner = LENDER_ADA, .by = "challenge", .reference = {"f", "v"}, .bytes = {1, 1}};
    assert_ok(tk_handle_read("@tom", &x.who));
    assert_ok(tk_cameo_enroll(&lender_store, &x));
    assert_ok(lender_ask("@tom", LENDER_ADA));
    assert_false(lender_cameo[0].vouched);
    assert_ok(lender_grant("@tom", lender_consent(LENDER_BO, 7, 1000)));
    assert_ok(lender_ask("@tom", LENDER_ADA));
    assert_true(lender_cameo[0].vouched);
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_true(lender_cameo[0].vouched);
}

static void test_forged(void **state)
{
    (void)state;
    static const unsigned char seed[TK_SEAL_KEY] = {7};
    tk_seal_pair other;
    tk_handle ada;
    size_t n;
    tk_seal_pair_of(seed, &other);
    assert_ok(tk_handle_read("@ada", &ada));
    lender_enroll("@ada", LENDER_ADA);
    tk_consent x = lender_consent(LENDER_BO, 7, 1000);
    assert_status(tk_cameo_grant(&lender_store, &ada, &x, &other), TK_INPUT);
    assert_says("is not the key of the registrar");
    assert_status(tk_cameo_grant(&lender_store, &ada, &x, lender_store.server), TK_INPUT);
    assert_ok(lender_grant("@ada", x));
    assert_ok(lender_ask("@ada", LENDER_BO));
    // Edited: every byte of it counts.
    char *paper = lender_get("store/people/ada/consent", &n);
    for (size_t i = 0; i < n; i += 7) {
        paper[i] ^= 1;
        lender_put("store/people/ada/consent", paper, n);
        assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
        assert_says("was changed");
        paper[i] ^= 1;
    }
    lender_put("store/people/ada/consent", paper, n);
    assert_ok(lender_ask("@ada", LENDER_BO));
    // Of another person; nobody's; another registrar counts.
    lender_enroll("@bo", LENDER_BO);
    assert_ok(lender_grant("@bo", x));
    assert_int_equal(lender_run("cd %s && cp bo/consent ada/consent", "store/people"), 0);
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    lender_put("store/people/ada/consent", paper, n);
    memcpy(lender_store.registrar, other.open, sizeof other.open);
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_says("is not signed by the registrar who counts");
    lender_store.has_registrar = false;
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_says("consent.registrar names none");
}

// Papers that were in force once and are put back.
static void test_replayed(void **state)
{
    (void)state;
    size_t n, m;
    tk_handle ada;
    assert_ok(tk_handle_read("@ada", &ada));
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    char *wide = lender_get("store/people/ada/consent", &n);
    char *card = lender_get("store/people/ada/card", &m);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_CARL, 7, 1000)));
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    lender_put("store/people/ada/consent", wide, n);
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    assert_says("is an earlier one");
    // Revoking works whatever else is wrong, and says what was.
    assert_status(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL), TK_INPUT);
    assert_says("is revoked, its key destroyed; but before that");
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
    lender_enroll("@ada", LENDER_ADA);
    lender_put("store/people/ada/consent", wide, n);
    assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    lender_put("store/people/ada/card", card, m);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("its card is not the one");
}

static void test_links(void **state)
{
    (void)state;
    tk_handle h;
    lender_enroll("@ada", LENDER_ADA);
    assert_int_equal(lender_run("cd %s && ln -s ada eve && mv ada/card card && ln -s ../card "
                                "ada/card",
                                "store/people"),
                     0);
    assert_status(lender_ask("@eve", LENDER_ADA), TK_INPUT);
    assert_says("it is a link");
    assert_ok(tk_handle_read("@eve", &h));
    assert_status(tk_cameo_revoke(&lender_store, &h, LENDER_ADA, NULL), TK_INPUT);
    tk_cameo_new x = {.who = h, .owner = LENDER_BO, .by = "r", .reference = {"f"}, .bytes = {1}};
    assert_status(tk_cameo_enroll(&lender_store, &x), TK_INPUT);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("it is a link");
    assert_int_equal(
        lender_run("cd %s && mv card ada/card && ln ada/card ada/second", "store/people"), 0);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("no plain file of one name");
    assert_int_equal(
        lender_run("cd %s && rm ada/second && mv ada/log ada/l && mkfifo ada/log", "store/people"),
        0);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    // A server's key that others may read.
    static char none[] = "";
    tk_cameo_store again;
    const tk_consent_config c = {
        lender_path("store"), lender_path("keys"), none, none, none, NULL, 0, NULL, 0, none};
    assert_int_equal(chmod(lender_path("keys/server.key"), 0644), 0);
    assert_status(tk_cameo_store_open(&c, TK_STORE_TO_USE, &again), TK_INPUT);
    assert_says("server.key has mode 0644: others than its owner may read it; chmod 600 ");
}

static void test_whose_file(void **state)
{
    (void)state;
    int64_t uid;
    lender_put("story.yaml", "x", 1);
    char *path = lender_path("story.yaml");
    assert_int_equal(chmod(path, 0644), 0);
    assert_ok(tk_cameo_user_of(path, &uid));
    assert_int_equal(uid, getuid());
    assert_int_equal(chmod(path, 0664), 0);
    assert_status(tk_cameo_user_of(path, &uid), TK_INPUT);
    assert_says("others than its owner may write");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(symlink(path, lender_path("link.yaml")), 0);
    assert_status(tk_cameo_user_of(lender_path("link.yaml"), &uid), TK_INPUT);
    assert_int_equal(link(path, lender_path("hard.yaml")), 0);
    assert_status(tk_cameo_user_of(path, &uid), TK_INPUT);
    assert_says("several names");
}

// What was looked at is what is kept: bytes that are written to the file later are in no copy.
static void test_taken(void **state)
{
    (void)state;
    int64_t uid;
    int fd;
    char x[8] = "";
    lender_put("face.png", "before", 6);
    char *path = lender_path("face.png");
    assert_int_equal(chmod(path, 0644), 0);
    assert_ok(tk_cameo_take(path, 6, &uid, &fd));
    assert_int_equal(uid, getuid());
    lender_put("face.png", "after!", 6);
    assert_int_equal(pread(fd, x, sizeof x, 0), 6);
    assert_string_equal(x, "before");
    assert_int_equal(pwrite(fd, "again!", 6, 0), -1);
    close(fd);
    assert_status(tk_cameo_take(path, 5, &uid, &fd), TK_INPUT);
    assert_says("has 6 bytes; at most 5");
    assert_int_equal(symlink(path, lender_path("link.png")), 0);
    assert_status(tk_cameo_take(lender_path("link.png"), 6, &uid, &fd), TK_INPUT);
    assert_says("it is a link");
    assert_int_equal(mkfifo(lender_path("pipe.png"), 0644), 0);
    assert_status(tk_cameo_take(lender_path("pipe.png"), 6, &uid, &fd), TK_INPUT);
    assert_int_equal(chmod(path, 0666), 0);
    assert_status(tk_cameo_take(path, 6, &uid, &fd), TK_INPUT);
    assert_says("others than its owner may write");
}

// How many lines of ada's log a user reads who has no keys; 0: it is not theirs to read.
static int as_user(uid_t user, const tk_consent_config *c)
{
    const pid_t child = fork();
    if (child == 0) {
        tk_cameo_store s;
        tk_lender p;
        tk_handle ada, *all;
        int n;
        if (setgid(user) || setuid(user) || tk_handle_read("@ada", &ada) != TK_OK ||
            tk_cameo_store_open(c, TK_STORE_TO_LOOK, &s) != TK_OK ||
            tk_cameo_list(&s, &lender_arena, &all, &n) != TK_INPUT)
            _exit(100);
        const tk_status st = tk_lender_open(&s, &ada, false, &lender_arena, &p);
        _exit(st == TK_OK ? (int)p.history.n : st == TK_INPUT ? 0 : 101);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

// Who enrolled reads the log, also where the store is root's, and nobody finds who else is there.
static void test_owner_reads_the_log(void **state)
{
    (void)state;
    static char none[] = "";
    const tk_consent_config c = {
        lender_path("store"), none, none, none, none, NULL, 0, NULL, 0, none};
    if (getuid()) skip();
    lender_enroll("@ada", LENDER_ADA);
    assert_int_equal(chmod(lender_dir, 0755), 0);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, TK_USE_FACE, 1000)));
    assert_int_equal(as_user(LENDER_ADA, &c), 2);
    assert_int_equal(as_user(LENDER_BO, &c), 0);
    // As stores were once: the next line makes it so again.
    assert_int_equal(lender_run("chmod 644 %s/*", "store/people/ada"), 0);
    assert_int_equal(as_user(LENDER_BO, &c), 2);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, TK_USE_FACE, 2000)));
    assert_int_equal(as_user(LENDER_ADA, &c), 3);
    assert_int_equal(as_user(LENDER_BO, &c), 0);
}

static void test_references(void **state)
{
    (void)state;
    tk_handle ada;
    size_t n;
    int fd;
    char head[8];
    struct stat s;
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_ok(tk_cameo_reveal(&lender_store, &lender_cameo[0], TK_CAMEO_FACE, &fd));
    assert_int_equal(fstat(fd, &s), 0);
    assert_int_equal(s.st_size, 100001);
    assert_int_equal(pread(fd, head, 8, 99990), 8);
    assert_memory_equal(head, "ffffffff", 8);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    close(fd);
    // Nothing of it lies there to be read.
    char *sealed = lender_get("store/people/ada/face", &n);
    assert_null(memmem(sealed, n, "ffffff", 6));
    // The voice in the place of the face, with a hash that fits, is still no face.
    unsigned char *plain;
    const char *key = lender_get("keys/ada.key", &n);
    assert_int_equal(n, TK_SEAL_KEY);
    sealed = lender_get("store/people/ada/voice", &n);
    const unsigned char *k = (const unsigned char *)key, *x = (const unsigned char *)sealed;
    size_t m;
    assert_ok(tk_seal_open(k, "@ada: voice", x, n, &lender_arena, &plain, &m));
    assert_string_equal((char *)plain, "the voice of somebody");
    assert_status(tk_seal_open(k, "@ada: face", x, n, &lender_arena, &plain, &m), TK_INPUT);
    for (size_t cut = 0; cut < n; cut++)
        assert_status(tk_seal_open(k, "@ada: voice", x, cut, &lender_arena, &plain, &m), TK_INPUT);
    // The key is gone: what was copied before opens no more, here.
    assert_int_equal(lender_run("cd %s && cp -r people/ada copy", "store"), 0);
    assert_ok(tk_handle_read("@ada", &ada));
    assert_status(tk_cameo_revoke(&lender_store, &ada, LENDER_BO, NULL), TK_INPUT);
    assert_says("is not yours to revoke");
    assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
    assert_int_equal(access(lender_path("keys/ada.key"), F_OK), -1);
    assert_int_equal(access(lender_path("store/people/ada/face"), F_OK), -1);
    assert_status(tk_cameo_reveal(&lender_store, &lender_cameo[0], TK_CAMEO_FACE, &fd), TK_INPUT);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("was revoked");
    assert_int_equal(lender_run("cd %s && rm -r people/ada && mv copy people/ada", "store"), 0);
    assert_status(lender_ask("@ada", LENDER_ADA), TK_INPUT);
    assert_says("was revoked");
    assert_status(tk_cameo_reveal(&lender_store, &lender_cameo[0], TK_CAMEO_FACE, &fd), TK_INPUT);
    // And is gone where a run died after the key: the same again ends it.
    assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
    assert_int_equal(access(lender_path("store/people/ada/face"), F_OK), -1);
}

// The server's key and a person's, while the store is open and after both were used.
static void test_core_dumps(void **state)
{
    (void)state;
    static const char *const name[] = {"keys/server.key", "keys/ada.key"};
    uint8_t key[2][TK_SEAL_KEY];
    int fd;
    lender_enroll("@ada", LENDER_ADA);
    for (int i = 0; i < 2; i++) {
        fd = open(lender_path(name[i]), O_RDONLY);
        assert_int_equal(pread(fd, key[i], TK_SEAL_KEY, 0), TK_SEAL_KEY);
        close(fd);
        core_mask(key[i], TK_SEAL_KEY);
    }
    tk_cameo_store_close(&lender_store);
    for (int i = 0; i < 2; i++) assert_int_equal(core_count(key[i], TK_SEAL_KEY, true), 0);
    lender_open();
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_ok(tk_cameo_reveal(&lender_store, &lender_cameo[0], TK_CAMEO_FACE, &fd));
    close(fd);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, TK_USE_FACE, 1000)));
    for (int i = 0; i < 2; i++) assert_int_equal(core_count(key[i], TK_SEAL_KEY, false), 0);
    assert_int_equal(core_count(key[0], TK_SEAL_KEY, true), 1); // it is somewhere
    assert_int_equal(core_count(key[1], TK_SEAL_KEY, true), 0);
}

// ---- logs --------------------------------------------------------------------------------------

static tk_status lender_log(tk_history *h)
{
    tk_handle ada;
    tk_lender p;
    assert_ok(tk_handle_read("@ada", &ada));
    const tk_status st = tk_lender_open(&lender_store, &ada, false, &lender_arena, &p);
    *h = p.history;
    tk_lender_close(&p);
    return st;
}

static char *lines[8];
static size_t lender_lines(void)
{
    size_t n, count = 0;
    char *text = lender_get("store/people/ada/log", &n);
    for (char *at = strtok(text, "\n"); at && count < 8; at = strtok(NULL, "\n"))
        lines[count++] = at;
    return count;
}

static void write_lines(int n, const int *order)
{
    char all[8192] = "";
    for (int i = 0; i < n; i++) {
        strcat(all, lines[order[i]]);
        strcat(all, "\n");
    }
    lender_put("store/people/ada/log", all, strlen(all));
}

static void test_log(void **state)
{
    (void)state;
    tk_history h;
    const tk_cameo_ask x = {.n = 1, .names = (char *[]){"@ada"}, .user = {LENDER_BO}, .users = 1};
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, 7, 1000)));
    assert_ok(lender_ask("@ada", LENDER_BO));
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_USED, "/clips/\"a\n\xff"));
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_MADE, "/clips/b"));
    assert_ok(lender_log(&h));
    assert_int_equal(h.n, 4);
    assert_int_equal(h.line[2].event, TK_CAMEO_USED);
    assert_int_equal(h.line[2].user, LENDER_BO);
    assert_string_equal(h.line[2].what, "/clips/\"a\n?");
    assert_string_equal(h.line[2].paper, lender_cameo[0].paper);
    assert_int_equal(lender_lines(), 4);
    // Removed: each of them, the last ones as well; moved; put in twice.
    static const struct {
        int n, order[6];
    } wrong[] = {{3, {1, 2, 3}},    {3, {0, 2, 3}},    {3, {0, 1, 3}},
                 {3, {0, 1, 2}},    {2, {0, 1}},       {0, {0}},
                 {4, {1, 0, 2, 3}}, {4, {0, 1, 3, 2}}, {5, {0, 1, 1, 2, 3}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        write_lines(wrong[i].n, wrong[i].order);
        assert_status(lender_log(&h), TK_INPUT);
        assert_says("log");
        assert_status(lender_ask("@ada", LENDER_BO), TK_INPUT);
    }
    // Changed: any byte of any line.
    static const int right[] = {0, 1, 2, 3};
    for (int k = 0; k < 4; k++)
        for (size_t i = 0; i < strlen(lines[k]); i += 5) {
            lines[k][i] ^= 2;
            write_lines(4, right);
            assert_status(lender_log(&h), TK_INPUT);
            lines[k][i] ^= 2;
        }
    write_lines(4, right);
    assert_ok(lender_log(&h));
    assert_int_equal(unlink(lender_path("store/people/ada/log.end")), 0);
    assert_status(lender_log(&h), TK_INPUT);
    assert_says("is gone");
}

// A run that died between a line and the signature over it: the line was never there.
static void test_log_half_written(void **state)
{
    (void)state;
    tk_history h;
    size_t n;
    const tk_cameo_ask x = {.n = 1, .names = (char *[]){"@ada"}, .user = {LENDER_ADA}, .users = 1};
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    char *end = lender_get("store/people/ada/log.end", &n);
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_USED, "/never"));
    lender_put("store/people/ada/log.end", end, n);
    assert_ok(lender_log(&h));
    assert_int_equal(h.n, 1);
    assert_true(h.beyond > 0);
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_USED, "/then"));
    assert_ok(lender_log(&h));
    assert_int_equal(h.n, 2);
    assert_int_equal(h.beyond, 0);
    assert_string_equal(h.line[1].what, "/then");
}

static void test_hook(void **state)
{
    (void)state;
    size_t n;
    const tk_cameo_ask x = {.n = 1, .names = (char *[]){"@ada"}, .user = {LENDER_ADA}, .users = 1};
    static const char script[] = "#!/bin/sh\nprintf '%s|' \"$@\" >>\"$0.told\"\n";
    tk_handle ada;
    assert_ok(tk_handle_read("@ada", &ada));
    lender_put("hook", script, strlen(script));
    assert_int_equal(chmod(lender_path("hook"), 0755), 0);
    snprintf(lender_store.hook, sizeof lender_store.hook, "%s", lender_path("hook"));
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    assert_ok(
        tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_USED, "/a; touch /tmp/x `id`"));
    assert_ok(lender_grant("@ada", lender_consent(LENDER_BO, TK_USE_FACE, 1000)));
    assert_ok(tk_cameo_revoke(&lender_store, &ada, 0, NULL));
    // Every line of the log, in its order.
    const char *told = lender_get("hook.told", &n), *at = told;
    static const char *const all[] = {
        "enrolled|@ada|1001|", "|registrar|", "used|@ada|1001|", "|/a; touch /tmp/x `id`|",
        "granted|@ada|0|",     "|face|",      "revoked|@ada|0|"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!(at = strstr(at, all[i]))) fail_msg("\"%s\" has no \"%s\" there", told, all[i]);
    }
    lender_enroll("@ada", LENDER_ADA);
    assert_ok(lender_ask("@ada", LENDER_ADA));
    // One that fails stops nothing.
    lender_put("hook", "#!/bin/sh\nexit 3\n", 17);
    assert_ok(tk_cameos_tell(&lender_store, &x, lender_cameo, TK_CAMEO_MADE, "/a"));
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, lender_setup, lender_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handles),
        FRESH(test_serves_its_owner_alone),
        FRESH(test_consent),
        FRESH(test_vouched),
        FRESH(test_forged),
        FRESH(test_replayed),
        FRESH(test_links),
        FRESH(test_whose_file),
        FRESH(test_references),
        FRESH(test_core_dumps),
        FRESH(test_log),
        FRESH(test_log_half_written),
        FRESH(test_hook),
        FRESH(test_taken),
        FRESH(test_owner_reads_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
