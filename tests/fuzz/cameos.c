// SPDX-License-Identifier: Apache-2.0
#include "infer/cameo/person.h"
#include "infer/cameo/wish.h"
#include "tests/fuzz/files.h"
#include "tests/fuzz/targets.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const tk_seal_pair *a_pair(void)
{
    static const unsigned char seed[TK_SEAL_KEY] = "a key of tests";
    static tk_seal_pair pair;
    fuzz_must(tk_seal_ready(), "libsodium");
    tk_seal_pair_of(seed, &pair);
    return &pair;
}

// ---- wishes -------------------------------------------------------------------------------------

tk_status fuzz_seed_wish(const char *path)
{
    tk_handle who;
    tk_arena a;
    char *text;
    const tk_seal_pair *pair = a_pair();
    tk_arena_init(&a, 0);
    tk_status st = tk_handle_read("ada", &who);
    if (st == TK_OK) st = tk_wish_sign(&who, 1764200000, 1766792000, pair, &a, &text);
    if (st == TK_OK) fuzz_put_file(path, text, strlen(text));
    tk_arena_free(&a);
    return st;
}

void fuzz_read_wish(const char *path)
{
    static tk_lender lender;
    tk_wish w;
    tk_arena a;
    size_t bytes;
    tk_arena_init(&a, 0);
    const char *text = fuzz_read_all(path, &a, &bytes);
    lender.has_owner_key = true;
    memcpy(lender.owner_key, a_pair()->open, sizeof lender.owner_key);
    if (tk_wish_read(text, &w)) {
        lender.who = w.who;
        if (tk_wish_counts(&w, &lender) != TK_OK) tk_status_clear();
    }
    tk_arena_free(&a);
}

// ---- histories ----------------------------------------------------------------------------------

tk_status fuzz_seed_history(const char *path)
{
    static const char *const files[] = {"log", "log.end"};
    static const tk_cameo_event event[] = {TK_CAMEO_ENROLLED, TK_CAMEO_GRANTED, TK_CAMEO_MADE};
    tk_folder f;
    tk_arena a;
    size_t bytes;
    char folder[FUZZ_PATH];
    tk_arena_init(&a, 0);
    fuzz_in_folder(path, "log");
    snprintf(folder, sizeof folder, "%s.d", path);
    tk_status st = tk_folder_open(folder, false, 0, &f);
    for (int i = 0; i < 3 && st == TK_OK; i++) {
        tk_history h;
        const tk_cameo_line line = {event[i], 1764200000 + i, 1001, "/clips/a", "5f", "9c"};
        st = tk_history_read(&f, "ada", a_pair()->open, &a, &h);
        if (st == TK_OK) st = tk_history_add(&f, "ada", a_pair(), &h, &line, &a);
    }
    tk_folder_close(&f);
    if (st == TK_OK) {
        const char *text = fuzz_read_all(fuzz_in_folder(path, "log"), &a, &bytes);
        fuzz_put_file(path, text, bytes);
    }
    fuzz_remove_folder(path, 2, files);
    tk_arena_free(&a);
    return st;
}

// A log in a folder, and the end that a server would have signed of these very lines: each of them
// is read.
static void put_log(const char *folder, const char *text, size_t bytes, tk_arena *a)
{
    const char *last = text;
    char hash[TK_PAPER_HASH] = "", path[FUZZ_PATH + 16], *end, *paper;
    int64_t lines = 0;
    for (const char *at = text, *to; (to = memchr(at, '\n', bytes - (size_t)(at - text)));) {
        last = at;
        tk_paper_hash(last, (size_t)(to - last), hash);
        lines++;
        at = to + 1;
    }
    end = tk_arena_printf(a, "talkie log: 1\nhandle: ada\nlines: %lld\nhash: %s\n",
                          (long long)lines, hash);
    fuzz_must(tk_paper_sign(end, a_pair(), a, &paper), "an end");
    snprintf(path, sizeof path, "%s/log", folder);
    fuzz_put_file(path, text, bytes);
    snprintf(path, sizeof path, "%s/log.end", folder);
    fuzz_put_file(path, paper, strlen(paper));
}

void fuzz_read_history(const char *path)
{
    static const char *const files[] = {"log", "log.end"};
    tk_folder f;
    tk_history h;
    tk_arena a;
    size_t bytes;
    char folder[FUZZ_PATH];
    tk_arena_init(&a, 0);
    const char *text = fuzz_read_all(path, &a, &bytes);
    fuzz_in_folder(path, "log"); // is made
    snprintf(folder, sizeof folder, "%s.d", path);
    put_log(folder, text, bytes, &a);
    fuzz_must(tk_folder_open(folder, false, 0, &f), folder);
    fuzz_judge(tk_history_read(&f, "ada", a_pair()->open, &a, &h), "log");
    tk_folder_close(&f);
    fuzz_remove_folder(path, 2, files);
    tk_arena_free(&a);
}

// ---- consents ----------------------------------------------------------------------------------

static const char *const person_files[] = {"card", "consent", "log", "log.end", "lock"};

// Of somebody who enrolled once and for all, so that seeds are consents of it.
static const char *print_card(tk_arena *a, char hash[TK_PAPER_HASH])
{
    const tk_cameo_card card = {
        .owner = 1001, .enrolled = 1764200000, .by = "registrar", .reference = {"none", "none"}};
    char *text, *paper;
    fuzz_must(tk_card_print("ada", &card, a, &text), "a card");
    fuzz_must(tk_paper_sign(text, a_pair(), a, &paper), "a card");
    tk_paper_hash(paper, strlen(paper), hash);
    return paper;
}

tk_status fuzz_seed_consent(const char *path)
{
    const tk_consent x = {
        .user = {1002, 1003}, .n = 2, .uses = TK_USE_FACE, .from = 1764200000, .until = 1766792000};
    char card[TK_PAPER_HASH], *text, *paper;
    tk_arena a;
    tk_arena_init(&a, 0);
    print_card(&a, card);
    tk_status st = tk_consent_print("ada", card, &x, &a, &text);
    if (st == TK_OK) st = tk_paper_sign(text, a_pair(), &a, &paper);
    if (st == TK_OK) fuzz_put_file(path, paper, strlen(paper));
    tk_arena_free(&a);
    return st;
}

static const char *print_line(int n, const char *event, const char *paper, const char *before,
                              tk_arena *a)
{
    return tk_arena_printf(a,
                           "{\"n\":%d,\"time\":1764200000,\"event\":\"%s\",\"user\":1001,"
                           "\"what\":\"\",\"paper\":\"%s\",\"before\":\"%s\"}",
                           n, event, paper, before);
}

// A person's folder, whose log says that these very bytes are the consent in force.
static void lay_person(const char *folder, const char *text, size_t bytes, tk_arena *a)
{
    char hash[TK_PAPER_HASH], path[FUZZ_PATH + 16];
    const char *card = print_card(a, hash);
    snprintf(path, sizeof path, "%s/card", folder);
    fuzz_put_file(path, card, strlen(card));
    const char *first = print_line(1, "enrolled", hash, "", a);
    snprintf(path, sizeof path, "%s/consent", folder);
    fuzz_put_file(path, text, bytes);
    tk_paper_hash(first, strlen(first), hash);
    char *before = tk_arena_strdup(a, hash);
    tk_paper_hash(text, bytes, hash);
    const char *log =
        tk_arena_printf(a, "%s\n%s\n", first, print_line(2, "granted", hash, before, a));
    put_log(folder, log, strlen(log), a);
}

// One that was read lends something to somebody, and stands.
static void hold_consent(const tk_lender *p, const char *path)
{
    const tk_consent *x = &p->consent;
    if (!p->consents || (!x->everyone && x->n < 1) || !x->uses || x->from < 0 || x->until < 0 ||
        tk_lender_standing(p, x->hash) != TK_STANDING_NOW)
        fuzz_must(TK_FAIL(TK_INTERNAL, "no consent"), path);
}

void fuzz_read_consent(const char *path)
{
    static const tk_handle who = {"ada"};
    static tk_lender p;
    tk_cameo_store s = {.keys.fd = -1, .server = (tk_seal_pair *)a_pair(), .has_registrar = true};
    tk_arena a;
    size_t bytes;
    char people[FUZZ_PATH], folder[FUZZ_PATH], of[FUZZ_PATH + 16];
    tk_arena_init(&a, 0);
    const char *text = fuzz_read_all(path, &a, &bytes);
    snprintf(folder, sizeof folder, "%s", fuzz_in_folder(path, who.name));
    mkdir(folder, 0700);
    lay_person(folder, text, bytes, &a);
    memcpy(s.registrar, a_pair()->open, sizeof s.registrar);
    snprintf(people, sizeof people, "%s.d", path);
    fuzz_must(tk_folder_open(people, false, 0, &s.people), people);
    const tk_status st = tk_lender_open(&s, &who, false, &a, &p);
    if (st == TK_OK) hold_consent(&p, path);
    fuzz_judge(st, "@ada");
    tk_lender_close(&p);
    tk_folder_close(&s.people);
    for (size_t i = 0; i < sizeof person_files / sizeof *person_files; i++) {
        snprintf(of, sizeof of, "%s/%s", folder, person_files[i]);
        unlink(of);
    }
    rmdir(folder);
    rmdir(people);
    tk_arena_free(&a);
}
