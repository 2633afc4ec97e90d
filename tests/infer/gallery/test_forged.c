// SPDX-License-Identifier: Apache-2.0
/*TEST timeout: 120 */
// Clips that somebody signed so that they look like another's: of the same XXH3, under the same
// label. Neither keeps the other, or anybody's, out of a gallery.
#define OPENSSL_SUPPRESS_DEPRECATED // methods of random numbers
#define XXH_INLINE_ALL              // the secret of XXH3
#include "infer/gallery/clips.h"
#include "infer/gallery/describe.h"
#include "tests/infer/gallery/films.h"
#include <openssl/rand.h>
#include <xxhash.h>

static const film walk = {"clips/walk.mp4", 1, NULL, 0, NULL, {NULL}},
                  remade = {"clips/remade.mp4", 2, "clips/walk.mp4", 0, NULL, {NULL}},
                  other = {"clips/aaa.mp4", 3, NULL, 0, NULL, {NULL}};
static char clips[200], site[200];

// ---- what somebody makes -----------------------------------------------------------------------

static uint64_t word_at(const uint8_t *x)
{
    uint64_t w;
    memcpy(&w, x, sizeof w);
    return w;
}

static void add_stripe(uint64_t acc[8], const uint8_t *x, const uint8_t *secret)
{
    for (int i = 0; i < 8; i++) {
        const uint64_t v = word_at(x + 8 * i), q = v ^ word_at(secret + 8 * i);
        acc[i ^ 1] += v;
        acc[i] += (q & 0xffffffff) * (q >> 32);
    }
}

// What XXH3 holds behind the whole blocks of so many bytes.
static void add_blocks(uint64_t acc[8], const uint8_t *x, size_t n)
{
    const uint64_t begin[8] = XXH3_INIT_ACC;
    memcpy(acc, begin, sizeof begin);
    for (size_t at = 0; at + 1024 <= n; at += 1024) {
        for (size_t k = 0; k < 16; k++) add_stripe(acc, x + at + 64 * k, XXH3_kSecret + 8 * k);
        for (int i = 0; i < 8; i++)
            acc[i] = (acc[i] ^ acc[i] >> 47 ^ word_at(XXH3_kSecret + 128 + 8 * i)) * XXH_PRIME32_1;
    }
}

// What XXH3 must hold at the end of n bytes to give `want`: products that are 0, and one by 1.
static void end_for(uint64_t want, size_t n, uint64_t end[8])
{
    const uint64_t m = 0x165667919E3779F9;
    uint64_t inverse = m, x = want ^ want >> 32;
    for (int k = 0; k < 6; k++) inverse *= 2 - m * inverse;
    x *= inverse;
    x ^= x >> 37;
    for (int i = 0; i < 8; i++) end[i] = i % 2 ? 0 : word_at(XXH3_kSecret + 11 + 8 * i);
    end[6] ^= 1;
    end[7] = word_at(XXH3_kSecret + 11 + 56) ^ (x - n * XXH_PRIME64_1);
}

// A box behind the file, which no signature binds, so that its XXH3 is `want`. Its last half block
// adds to each sum what is missing; of the factors of every product one is 0.
static void forge(signed_file *f, uint64_t want)
{
    const size_t begin = (f->n + 8 + 1023) / 1024 * 1024, n = begin + 512, box = n - f->n;
    uint64_t acc[8], end[8], words[8][8], rest;
    assert_true(n <= sizeof f->x);
    memset(f->x + f->n, 0, box);
    for (int i = 0; i < 4; i++) f->x[f->n + (size_t)i] = (uint8_t)(box >> (24 - 8 * i));
    memcpy(f->x + f->n + 4, "mfra", 4);
    add_blocks(acc, f->x, begin);
    end_for(want, n, end);
    for (int i = 0; i < 8; i++) {
        rest = end[i ^ 1] - acc[i ^ 1];
        for (int k = 2; k < 8; k++)
            rest -= words[k][i] = word_at(XXH3_kSecret + (k < 7 ? 8 * k : 121) + 8 * i);
        const uint64_t high = word_at(XXH3_kSecret + 8 * i) >> 32 << 32,
                       low = word_at(XXH3_kSecret + 8 + 8 * i) & 0xffffffff;
        rest -= high + low;
        words[0][i] = high | (rest & 0xffffffff);
        words[1][i] = rest >> 32 << 32 | low;
    }
    memcpy(f->x + begin, words, sizeof words);
    f->n = n;
    assert_int_equal(XXH3_64bits(f->x, f->n), want);
}

static int same_bytes(unsigned char *x, int n)
{
    memset(x, 7, (size_t)n);
    return 1;
}

// With the label of all others that are made so.
static void make_labelled(const film *w)
{
    static const RAND_METHOD same = {.bytes = same_bytes, .pseudorand = same_bytes};
    const RAND_METHOD *before = RAND_get_rand_method();
    RAND_set_rand_method(&same);
    film_make(w);
    RAND_set_rand_method(before);
}

// ---- what becomes of it ------------------------------------------------------------------------

static int open_forged(void **state)
{
    if (signed_open(state) != 0) return -1;
    snprintf(clips, sizeof clips, "%s", signed_path("clips"));
    snprintf(site, sizeof site, "%s", signed_path("site"));
    return mkdir(clips, 0700);
}

static void without_film(const film *w)
{
    assert_int_equal(unlink(signed_path(w->name)), 0);
}

static json_t *built(size_t shown)
{
    assert_ok(gallery_by(clips, site, "", ""));
    json_t *told = gallery_told(site);
    assert_int_equal(n_shown(told), shown);
    return told;
}

// By a list of one entry; `left`: what is shown then, one name or none.
static void taken_down(const char *entry, size_t shown, const char *left)
{
    const char *list = signed_path("takedown.yaml");
    char text[600];
    snprintf(text, sizeof text, "takedown: [{%s}]\n", entry);
    signed_write("takedown.yaml", text, strlen(text));
    assert_ok(gallery_by(clips, site, "", list));
    json_t *told = gallery_told(site);
    assert_int_equal(n_shown(told), shown);
    if (left) assert_non_null(entry_of(told, "clips", left));
    json_decref(told);
}

static void shows_the_bytes_of(const json_t *told, const char *name)
{
    char path[300], file[300];
    signed_file a, b;
    snprintf(file, sizeof file, "clips/%s", name);
    snprintf(path, sizeof path, "site/clips/%s.mp4",
             text_in(entry_of(told, "clips", name), "number"));
    signed_read(file, &a);
    signed_read(path, &b);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.x, b.x, a.n);
}

static void numbers_are_of_one_clip(void **state)
{
    static signed_file f;
    uint64_t digest;
    char entry[100], hex[TK_HEX_DIGEST], number[TK_GALLERY_NUMBER];
    (void)state;
    film_make(&walk);
    film_make(&other);
    signed_read(other.name, &f);
    assert_ok(tk_file_digest(signed_path(walk.name), &digest, NULL));
    forge(&f, digest);
    signed_write(other.name, f.x, f.n);
    json_t *told = built(2);
    shows_the_bytes_of(told, "walk.mp4");
    shows_the_bytes_of(told, "aaa.mp4");
    snprintf(number, sizeof number, "%s", text_in(entry_of(told, "clips", "walk.mp4"), "number"));
    json_decref(told);
    snprintf(entry, sizeof entry, "clip: '%s'", number);
    taken_down(entry, 1, "aaa.mp4");
    // As numbers were once: both have it.
    snprintf(entry, sizeof entry, "clip: '%s'", tk_digest_hex(digest, hex));
    taken_down(entry, 0, NULL);
    without_film(&walk);
    without_film(&other);
}

// Who signs chooses the label; what is signed is another claim.
static void labels_are_anybodys(void **state)
{
    char label[TK_LABEL], claim[TK_GALLERY_NUMBER], entry[300];
    (void)state;
    make_labelled(&walk);
    make_labelled(&other);
    film_make(&remade);
    json_t *told = built(3);
    const json_t *own =
        json_array_get(json_object_get(entry_of(told, "clips", "walk.mp4"), "lineage"), 0);
    const json_t *its =
        json_array_get(json_object_get(entry_of(told, "clips", "aaa.mp4"), "lineage"), 0);
    snprintf(label, sizeof label, "%s", text_in(own, "label"));
    snprintf(claim, sizeof claim, "%s", text_in(own, "claim"));
    assert_string_equal(label, text_in(its, "label"));
    assert_string_not_equal(claim, text_in(its, "claim"));
    json_decref(told);
    // By its claim as well the one is meant, with what was made from it.
    snprintf(entry, sizeof entry, "clip: '%s', claim: '%s'", label, claim);
    taken_down(entry, 1, "aaa.mp4");
    snprintf(entry, sizeof entry, "clip: '%s'", label);
    taken_down(entry, 0, NULL);
    without_film(&other);
}

// A copy is one whatever lies behind it.
static void copies_are_left_out(void **state)
{
    static signed_file f;
    (void)state;
    signed_read(walk.name, &f);
    memcpy(f.x + f.n, "\0\0\0\x09mfra!", 9);
    signed_write("clips/copy.mp4", f.x, f.n + 9);
    json_t *told = built(2);
    assert_string_equal(text_in(entry_of(told, "leftOut", "walk.mp4"), "why"),
                        "its manifest is that of copy.mp4");
    json_decref(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_of_one_clip),
        cmocka_unit_test(labels_are_anybodys),
        cmocka_unit_test(copies_are_left_out),
    };
    return cmocka_run_group_tests(tests, open_forged, signed_close);
}
