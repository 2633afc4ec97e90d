// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// talkie gallery: which clips are admitted, what is taken down, what the page is told of them, and
// that a site is whole under its name or as it was before.
#include "infer/gallery/clips.h"
#include "infer/gallery/describe.h"
#include "tests/infer/cameo/lender.h"
#include "tests/infer/gallery/films.h"
#include <dirent.h>
#include <sys/file.h>

// Signs that end strings, scripts and lines; letters of several bytes; what turns writing around.
static const char hostile[] =
    "a \"ball\" </script><script>alert(1)</script> <!-- & ' \\ ${1} `\xe2\x80\xa8"
    "\xe2\x80\xa9 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xe2\x80\xae \xf0\x9f\x8e\xac";

static const film films[] = {
    {"clips/one.mp4", 1, NULL, 3, "noir", {"the red ball drops", "Ada says \"hello\""}},
    {"clips/two.mp4", 2, "clips/one.mp4", 2, NULL, {"the blue crate slides"}},
    {"clips/deep/three.mp4", 3, "clips/two.mp4", 1, NULL, {hostile}},
    {"clips/<img src=x>.mp4", 4, NULL, 0, NULL, {NULL}},
};
enum { FILMS = sizeof films / sizeof *films };

static char clips[200], site[200];

static void put_text(const char *name, const char *text)
{
    signed_write(name, text, strlen(text));
}

static int open_films(void **state)
{
    if (signed_open(state) != 0) return -1;
    snprintf(clips, sizeof clips, "%s", signed_path("clips"));
    snprintf(site, sizeof site, "%s", signed_path("site"));
    mkdir(clips, 0700);
    mkdir(signed_path("clips/deep"), 0700);
    for (int i = 0; i < FILMS; i++) film_make(&films[i]);
    return 0;
}

static json_t *built(const char *anchors, const char *takedown)
{
    assert_ok(gallery_by(clips, site, anchors, takedown));
    return gallery_told(site);
}

static void left_out_because(const json_t *told, const char *name, const char *words)
{
    const json_t *e = entry_of(told, "leftOut", name);
    if (!e) fail_msg("%s is not left out", name);
    if (strstr(text_in(e, "why"), signed_dir)) fail_msg("%s tells where it lay", name);
    if (!strstr(text_in(e, "why"), words))
        fail_msg("%s: \"%s\" is not \"%s\"", name, text_in(e, "why"), words);
}

static bool is_there(const char *name)
{
    return access(name, F_OK) == 0;
}

// Nothing but what is named begins with "site" in the folder.
static void nothing_left(void)
{
    DIR *d = opendir(signed_dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (!strncmp(e->d_name, "site", 4) && strcmp(e->d_name, "site") &&
            strcmp(e->d_name, "site-link"))
            fail_msg("%s was left", e->d_name);
    closedir(d);
}

static void drop_site(void)
{
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", site);
    assert_int_equal(system(command), 0);
}

// ---- what is told ------------------------------------------------------------------------------

static void clips_are_told(void **state)
{
    char path[300];
    (void)state;
    json_t *told = built("", "");
    assert_int_equal(n_shown(told), FILMS);
    const json_t *one = entry_of(told, "clips", "one.mp4"),
                 *two = entry_of(told, "clips", "two.mp4");
    assert_string_equal(text_in(one, "style"), "noir");
    const json_t *shots = json_object_get(one, "shots");
    assert_int_equal(json_array_size(shots), 2);
    assert_string_equal(text_in(json_array_get(shots, 1), "prompt"), "Ada says \"hello\"");
    assert_int_equal(json_integer_value(json_object_get(one, "time")), 1790000000 - 3 * 86400);
    assert_near(json_number_value(json_object_get(one, "seconds")), 2, 0.1);
    assert_int_equal(json_integer_value(json_object_get(one, "width")), 256); // as it is written
    assert_true(json_is_false(json_object_get(one, "trusted")));
    // Two was made from one: its lineage has the label by which the page finds that clip.
    const json_t *lineage = json_object_get(two, "lineage");
    assert_int_equal(json_array_size(lineage), 2);
    const json_t *from = json_array_get(json_object_get(json_array_get(lineage, 0), "from"), 1);
    assert_string_equal(text_in(from, "title"), "one.mp4");
    assert_int_equal(json_integer_value(json_object_get(from, "manifest")), 1);
    assert_string_equal(text_in(json_array_get(lineage, 1), "label"),
                        text_in(json_array_get(json_object_get(one, "lineage"), 0), "label"));
    snprintf(path, sizeof path, "%s/clips/%s.mp4", site, text_in(one, "number"));
    struct stat a, b;
    char number[TK_GALLERY_NUMBER];
    snprintf(number, sizeof number, "%s", text_in(one, "number"));
    assert_int_equal(stat(path, &a), 0);
    assert_int_equal(stat(signed_path("clips/one.mp4"), &b), 0);
    assert_true(a.st_ino == b.st_ino); // one file with two names
    snprintf(path, sizeof path, "%s/posters/%s.jpg", site, text_in(one, "number"));
    assert_true(is_there(path));
    json_decref(told);
    // What others may write to is copied: it would change in the site.
    assert_int_equal(chmod(signed_path("clips/one.mp4"), 0664), 0);
    json_decref(built("", ""));
    snprintf(path, sizeof path, "%s/clips/%s.mp4", site, number);
    assert_int_equal(stat(path, &a), 0);
    assert_true(a.st_ino != b.st_ino && a.st_size == b.st_size);
    assert_int_equal(chmod(signed_path("clips/one.mp4"), 0644), 0);
    told = built(signed_path("root.pem"), "");
    assert_int_equal(n_shown(told), FILMS);
    assert_true(json_is_true(json_object_get(entry_of(told, "clips", "one.mp4"), "trusted")));
    json_decref(told);
}

// Whatever a clip says is a string: in ASCII, without a sign that could end it or a script.
static void hostile_words_stay_words(void **state)
{
    char path[300], *text;
    size_t bytes;
    tk_arena a;
    (void)state;
    json_t *told = built("", "");
    const json_t *shot =
        json_array_get(json_object_get(entry_of(told, "clips", "three.mp4"), "shots"), 0);
    assert_string_equal(text_in(shot, "prompt"), hostile);
    assert_non_null(entry_of(told, "clips", "<img src=x>.mp4"));
    json_decref(told);
    snprintf(path, sizeof path, "%s/clips.js", site);
    tk_arena_init(&a, 0);
    assert_ok(tk_file_read(path, 1 << 20, &a, &text, &bytes));
    assert_int_equal(strlen(text), bytes);
    for (size_t i = 0; i < bytes; i++)
        if (text[i] == '<' || text[i] == '>' || text[i] == '&' || (unsigned char)text[i] > '~')
            fail_msg("clips.js has the sign %d", text[i]);
    tk_arena_free(&a);
}

// What lies beside a clip counts if it is that clip's, and is whatever somebody put there.
static void other_descriptions_are_passed_by(void **state)
{
    static const char *const texts[] = {
        "",
        "[",
        "[]",
        "null",
        "{\"format\": \"talkie-clip\"}",
        "{\"format\": \"talkie-clip\", \"mp4\": {\"bytes\": 1, \"digest\": \"0\"}}",
        "{\"format\": \"talkie-clip\", \"mp4\": [], \"shots\": 3}"};
    signed_file kept;
    (void)state;
    signed_read("clips/one.json", &kept);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put_text("clips/one.json", texts[i]);
        json_t *told = built("", "");
        assert_null(json_object_get(entry_of(told, "clips", "one.mp4"), "shots"));
        json_decref(told);
    }
    char *text = strndup((char *)kept.x, kept.n), *shots = strstr(text, "\"shots\": [");
    assert_non_null(shots);
    memcpy(shots, "\"shot!\": [", 10); // its own, without shots
    signed_write("clips/one.json", text, kept.n);
    json_t *told = built("", "");
    assert_int_equal(json_array_size(json_object_get(entry_of(told, "clips", "one.mp4"), "shots")),
                     0);
    json_decref(told);
    free(text);
    signed_write("clips/one.json", kept.x, kept.n);
}

// ---- admission ---------------------------------------------------------------------------------

static void what_does_not_hold_is_left_out(void **state)
{
    signed_file f;
    (void)state;
    signed_read("clips/one.mp4", &f);
    f.x[f.n - 50] ^= 1;
    signed_write("clips/turned.mp4", f.x, f.n);
    put_text("clips/text.mp4", "no film");
    put_text("clips/empty.mp4", "");
    put_text("clips/.hidden.mp4", "no film");
    put_text("clips/other.txt", "no film");
    signed_make("clips/words.mp4", NULL, NULL); // signed boxes without pictures
    tk_blob b = {0};
    signed_boxes(&b, 8);
    signed_write("clips/bare.mp4", b.x, b.n);
    tk_blob_free(&b);
    assert_int_equal(mkfifo(signed_path("clips/pipe.mp4"), 0600), 0);
    assert_int_equal(symlink("gone.mp4", signed_path("clips/dangling.mp4")), 0);
    assert_int_equal(symlink("two.mp4", signed_path("clips/again.mp4")), 0);
    assert_int_equal(symlink(".", signed_path("clips/circle")), 0);
    json_t *told = built("", "");
    assert_int_equal(n_shown(told), FILMS);
    left_out_because(told, "turned.mp4", "assertion.bmffHash.mismatch");
    left_out_because(told, "text.mp4", "no MP4 file");
    assert_ptr_equal(strstr(text_in(entry_of(told, "leftOut", "text.mp4"), "why"), "no MP4"),
                     text_in(entry_of(told, "leftOut", "text.mp4"), "why")); // its name comes once
    left_out_because(told, "empty.mp4", "");
    left_out_because(told, "bare.mp4", "no manifest");
    left_out_because(told, "words.mp4", "");
    left_out_because(told, "pipe.mp4", "regular file");
    left_out_because(told, "dangling.mp4", "No such file");
    left_out_because(told, "two.mp4", "its manifest is that of again.mp4"); // in order of names
    assert_int_equal(json_array_size(json_object_get(told, "leftOut")), 8);
    json_decref(told);
    static const char *const gone[] = {"turned", "text", "empty",    ".hidden", "words",
                                       "bare",   "pipe", "dangling", "again"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char name[64];
        snprintf(name, sizeof name, "clips/%s.mp4", gone[i]);
        assert_int_equal(unlink(signed_path(name)), 0);
    }
    unlink(signed_path("clips/circle"));
    // Anchors decide whose clips they are.
    told = built(signed_path("itself.pem"), "");
    assert_int_equal(n_shown(told), 0);
    left_out_because(told, "one.mp4", "not trusted");
    json_decref(told);
    assert_status(gallery_by(clips, site, signed_path("gone.pem"), ""), TK_INPUT);
    assert_says("gone.pem");
    assert_status(gallery_by(clips, site, signed_path("clips/one.json"), ""), TK_INPUT);
    assert_says("no certificate");
}

// With a key only clips that bear its mark are shown.
static void marks_are_asked_for(void **state)
{
    static const film marked = {"marked/yes.mp4", 8, NULL, 0, NULL, {NULL}};
    static const film bare = {"marked/no.mp4", 8, NULL, 0, NULL, {NULL}};
    char folder[200];
    (void)state;
    snprintf(folder, sizeof folder, "%s", signed_path("marked"));
    assert_int_equal(mkdir(folder, 0700), 0);
    put_text("mark.key", "0123456789abcdefghijklmnopqrstuv~+");
    assert_int_equal(chmod(signed_path("mark.key"), 0600), 0);
    film_make_marked(&marked, true);
    film_make(&bare);
    tk_invocation in = {.files = (char *[]){folder}, .n_files = 1};
    tk_config_init(&in.config);
    in.config.output = site;
    in.config.watermark.key = (char *)signed_path("mark.key");
    assert_ok(tk_gallery_command(tk_comm_self(), &in));
    json_t *told = gallery_told(site);
    assert_int_equal(n_shown(told), 1);
    assert_true(json_is_true(json_object_get(entry_of(told, "clips", "yes.mp4"), "marked")));
    left_out_because(told, "no.mp4", "no mark of this key");
    json_decref(told);
    in.config.watermark.key = (char *)signed_path("gone.key");
    assert_status(tk_gallery_command(tk_comm_self(), &in), TK_INPUT);
    assert_says("gone.key");
    tk_config_free(&in.config);
}

// By the card on which they serve their owners; NULL: nobody.
static void lend_to(const film *f, const char *handle, const char *paper, bool inherits)
{
    film_person = handle;
    film_paper = paper;
    film_inherits = inherits;
    film_make(f);
    film_person = NULL;
}

static const char *card_of(const char *handle, int64_t owner)
{
    assert_ok(lender_ask(handle, owner));
    return tk_arena_printf(&lender_arena, "%s", lender_cameo[0].paper);
}

// Who has revoked is in no clip that is shown, nor in what was made from it, whatever the time of
// the files is; who enrolled anew is in those of since.
static void people_are_asked_for(void **state)
{
    static const film of[] = {{"lent/ada.mp4", 8, NULL, 0, NULL, {NULL}},
                              {"lent/from-her.mp4", 9, "lent/ada.mp4", 0, NULL, {NULL}},
                              {"lent/bo.mp4", 10, NULL, 0, NULL, {NULL}},
                              {"lent/nobody.mp4", 11, NULL, 0, NULL, {NULL}},
                              {"lent/unknown.mp4", 12, NULL, 0, NULL, {NULL}},
                              {"lent/foreign.mp4", 13, NULL, 0, NULL, {NULL}}},
                      anew[] = {{"lent/new.mp4", 14, NULL, 0, NULL, {NULL}},
                                {"lent/allowed.mp4", 15, "lent/ada.mp4", 0, NULL, {NULL}}};
    static const int shown[] = {6, 4, 2, 4}; // nobody asks, asks, after she revoked, and enrolled
    char folder[200];
    const tk_handle ada = {"ada"};
    (void)state;
    snprintf(folder, sizeof folder, "%s", signed_path("lent"));
    assert_int_equal(mkdir(folder, 0700), 0);
    assert_int_equal(lender_setup(NULL), 0);
    lender_enroll("@ada", LENDER_ADA);
    lender_enroll("@bo", LENDER_BO);
    const char *once = card_of("@ada", LENDER_ADA), *bo = card_of("@bo", LENDER_BO);
    lend_to(&of[0], "@ada", once, false);
    lend_to(&of[1], NULL, NULL, false);
    lend_to(&of[2], "@bo", bo, false);
    lend_to(&of[3], NULL, NULL, false);
    lend_to(&of[4], "@cleo", once, false);
    lend_to(&of[5], "@bo", once, false);
    const char *store = lender_path("store");
    for (int asks = 0; asks < 4; asks++) {
        if (asks == 2) assert_ok(tk_cameo_revoke(&lender_store, &ada, LENDER_ADA, NULL));
        if (asks == 3) {
            lender_enroll("@ada", LENDER_ADA);
            for (size_t i = 0; i < 2; i++)
                lend_to(&anew[i], "@ada", card_of("@ada", LENDER_ADA), i == 1);
        }
        assert_ok(gallery_asking(folder, site, "", "", asks ? store : ""));
        json_t *told = gallery_told(site);
        assert_int_equal(n_shown(told), shown[asks]);
        if (asks) left_out_because(told, "unknown.mp4", "nobody of that handle has enrolled");
        if (asks) left_out_because(told, "foreign.mp4", "a consent that this store does not know");
        if (asks == 2) left_out_because(told, "ada.mp4", "@ada, who is in it, has revoked");
        if (asks == 2) left_out_because(told, "from-her.mp4", "@ada, who is in it, has revoked");
        if (asks == 3) left_out_because(told, "ada.mp4", "enrolled anew");
        if (asks == 3) left_out_because(told, "from-her.mp4", "enrolled anew");
        json_decref(told);
    }
    assert_status(gallery_asking(folder, site, "", "", lender_path("nowhere")), TK_INPUT);
    assert_says("nowhere");
    assert_int_equal(lender_teardown(NULL), 0);
}

// ---- takedown ----------------------------------------------------------------------------------

static void taken_down(const char *clip, const char *why, size_t left)
{
    char list[600];
    snprintf(list, sizeof list,
             "takedown:\n  - {clip: '%s', reason: she asked for it, from: x, date: today}\n", clip);
    put_text("takedown.yaml", list);
    json_t *told = built("", signed_path("takedown.yaml"));
    assert_int_equal(n_shown(told), left);
    left_out_because(told, why, "she asked for it");
    json_decref(told);
}

static void taken_down_clips_go_with_their_remixes(void **state)
{
    char label[TK_LABEL], number[TK_GALLERY_NUMBER];
    (void)state;
    json_t *told = built("", "");
    const json_t *one = entry_of(told, "clips", "one.mp4");
    snprintf(label, sizeof label, "%s",
             text_in(json_array_get(json_object_get(one, "lineage"), 0), "label"));
    snprintf(number, sizeof number, "%s", text_in(one, "number"));
    json_decref(told);
    taken_down(label, "one.mp4", FILMS - 3);
    taken_down(label, "three.mp4", FILMS - 3); // two generations on
    taken_down(number, "one.mp4", FILMS - 1);
    taken_down("one.mp4", "one.mp4", FILMS - 1);
    told = gallery_told(site);
    assert_null(entry_of(told, "clips", "one.mp4"));
    json_decref(told);
    char path[300];
    snprintf(path, sizeof path, "%s/clips/%s.mp4", site, number);
    assert_false(is_there(path));
}

static void lists_that_are_wrong_build_nothing(void **state)
{
    static const struct {
        const char *text, *words;
    } wrong[] = {{"takedown: [{klip: x}]\n", "clip"},
                 {"takedown:\n  - {clip: a}\n  - {reason: b}\n", "takedown.yaml:3"},
                 {"takedown: [", "takedown.yaml"},
                 {"takedown: yes\n", "takedown"},
                 {"clips: []\n", "clips"}};
    (void)state;
    json_decref(built("", ""));
    const tk_file_id before = tk_file_identity(site);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        put_text("takedown.yaml", wrong[i].text);
        assert_status(gallery_by(clips, site, "", signed_path("takedown.yaml")), TK_INPUT);
        assert_says(wrong[i].words);
    }
    assert_status(gallery_by(clips, site, "", signed_path("gone.yaml")), TK_INPUT);
    assert_says("gone.yaml");
    assert_true(tk_file_same(before, tk_file_identity(site)));
    nothing_left();
}

// ---- the folder --------------------------------------------------------------------------------

static void only_sites_are_replaced(void **state)
{
    char name[300];
    (void)state;
    drop_site();
    json_decref(built("", ""));
    const tk_file_id before = tk_file_identity(site);
    json_decref(built("", ""));
    assert_false(tk_file_same(before, tk_file_identity(site)));
    snprintf(name, sizeof name, "%s/clips/notes.txt", site);
    put_text("site/clips/notes.txt", "mine");
    assert_status(gallery_by(clips, site, "", ""), TK_INPUT);
    assert_says("clips/notes.txt");
    assert_true(is_there(name));
    unlink(name);
    put_text("site/clips/0123456789abcdef.mp4", "of an older talkie");
    json_decref(built("", ""));
    put_text("site/clips.js", "// somebody's");
    assert_status(gallery_by(clips, site, "", ""), TK_INPUT);
    assert_says("no site of talkie gallery");
    drop_site();
    assert_int_equal(mkdir(site, 0700), 0); // empty: nothing is lost
    json_decref(built("", ""));
    assert_status(gallery_by(clips, signed_path("key.pem"), "", ""), TK_INPUT);
    assert_says("no folder");
    assert_status(gallery_by(clips, clips, "", ""), TK_INPUT);
    assert_says("would be replaced");
    assert_status(gallery_by(clips, signed_dir, "", ""), TK_INPUT);
    assert_status(gallery_by(clips, "", "", ""), TK_INPUT);
    assert_says("-o FOLDER");
    assert_status(gallery_by(signed_path("gone"), site, "", ""), TK_INPUT);
    assert_status(gallery_by(signed_path("key.pem"), site, "", ""), TK_INPUT);
    assert_int_equal(mkdir(signed_path("none"), 0700), 0);
    assert_status(gallery_by(signed_path("none"), site, "", ""), TK_INPUT);
    assert_says("holds no MP4 file");
    nothing_left();
}

static void links_and_sites_within(void **state)
{
    char inner[300];
    (void)state;
    // Through a link the folder that it leads to is replaced.
    assert_int_equal(symlink("site", signed_path("site-link")), 0);
    assert_ok(gallery_by(clips, signed_path("site-link"), "", ""));
    struct stat s;
    assert_int_equal(lstat(signed_path("site-link"), &s), 0);
    assert_true(S_ISLNK(s.st_mode));
    unlink(signed_path("site-link"));
    // A site in the folder is no folder of clips.
    snprintf(inner, sizeof inner, "%s/deep/site/", clips);
    for (int i = 0; i < 2; i++) assert_ok(gallery_by(clips, inner, "", ""));
    json_t *told = gallery_told(inner);
    assert_int_equal(n_shown(told), FILMS);
    assert_int_equal(json_array_size(json_object_get(told, "leftOut")), 0);
    json_decref(told);
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", inner);
    assert_int_equal(system(command), 0);
}

static void what_dead_runs_left_goes(void **state)
{
    char host[80], dead[300], alive[300];
    tk_site other;
    (void)state;
    assert_ok(tk_site_begin(&other, site)); // another run, still at it
    snprintf(alive, sizeof alive, "%s", other.tmp);
    snprintf(host, sizeof host, "%.*s", (int)(strrchr(alive, '-') - alive), alive);
    snprintf(dead, sizeof dead, "%s-0123456789abcdef", host);
    assert_int_equal(mkdir(dead, 0700), 0);
    json_decref(built("", ""));
    assert_false(is_there(dead));
    assert_true(is_there(alive));
    tk_site_abort(&other);
    assert_false(is_there(alive));
    nothing_left();
}

// Whichever allocation fails: the site is as it was, and nothing is left beside it.
static void without_memory_nothing_changes(void **state)
{
    (void)state;
    json_decref(built("", ""));
    tk_file_id before = tk_file_identity(site);
    int failed = 0;
    for (int64_t n = 1;; n += 1 + n / 6) {
        tk_alloc_fail_at(n, true);
        const tk_status st = gallery_by(clips, site, "", "");
        tk_alloc_fail_at(0, false);
        nothing_left();
        if (st == TK_OK) break;
        assert_int_equal(st, TK_MEMORY);
        assert_true(tk_file_same(before, tk_file_identity(site)));
        failed++;
    }
    assert_true(failed > 15);
}

// ---- many --------------------------------------------------------------------------------------

// Names of one file: each is looked at, one is shown.
static void thousands_of_files(void **state)
{
    enum { MANY = 1500 };
    char from[300], to[300];
    (void)state;
    assert_int_equal(mkdir(signed_path("many"), 0700), 0);
    snprintf(from, sizeof from, "%s", signed_path("clips/one.mp4"));
    for (int i = 0; i < MANY; i++) {
        snprintf(to, sizeof to, "%s/many/%04d.mp4", signed_dir, i);
        assert_int_equal(link(from, to), 0);
    }
    snprintf(from, sizeof from, "%s", signed_path("many"));
    assert_ok(gallery_by(from, site, "", ""));
    json_t *told = gallery_told(site);
    assert_int_equal(n_shown(told), 1);
    left_out_because(told, "1499.mp4", "its manifest is that of 0000.mp4");
    assert_int_equal(json_array_size(json_object_get(told, "leftOut")), MANY - 1);
    json_decref(told);
}

static int close_films(void **state)
{
    return signed_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clips_are_told),
        cmocka_unit_test(hostile_words_stay_words),
        cmocka_unit_test(other_descriptions_are_passed_by),
        cmocka_unit_test(what_does_not_hold_is_left_out),
        cmocka_unit_test(marks_are_asked_for),
        cmocka_unit_test(people_are_asked_for),
        cmocka_unit_test(taken_down_clips_go_with_their_remixes),
        cmocka_unit_test(lists_that_are_wrong_build_nothing),
        cmocka_unit_test(only_sites_are_replaced),
        cmocka_unit_test(links_and_sites_within),
        cmocka_unit_test(what_dead_runs_left_goes),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(thousands_of_files),
    };
    return cmocka_run_group_tests(tests, open_films, close_films);
}
