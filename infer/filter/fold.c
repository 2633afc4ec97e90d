// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/fold.h"
#include <string.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>
#include <unicode/utf16.h>
#include <unicode/utf8.h>

enum { UNITS = 64, CACHED = 1024, LETTERS = 4 };

typedef struct folded { // a code point
    UChar32 of;         // 0: none yet
    int n;              // letters that it stands for; 0: is not seen
    uint32_t same[LETTERS];
    uint64_t is[LETTERS];
    uint8_t kind; // tk_letter_kind of all of them
    bool alone, masks;
} folded;

struct tk_fold {
    USpoofChecker *spoof;
    const UNormalizer2 *casefold, *apart; // NFKC with case folding; NFD
    folded cache[CACHED];
};

// ---- tables ------------------------------------------------------------------------------------

// What is read as another, beyond what ICU's table of confusables has: the first of them stands for
// all.
static const char *const mistaken[] = {"il1", "o0", "e3", "a4", "s5", "t7", "b8", "g69", "z2"};

// In the place of letters.
static const struct {
    UChar32 sign;
    const char *letters; // that it may be
} signs[] = {
    {'@', "a"},    {'$', "s"},    {'!', "il"},   {'|', "il"},   {'+', "t"},    {'(', "c"},
    {'[', "c"},    {'<', "c"},    {'{', "c"},    {'#', "h"},    {0xa2, "c"},   {0xa3, "l"},
    {0xa5, "y"},   {0xa7, "s"},   {0xa9, "c"},   {0xae, "r"},   {0x20ac, "e"}, {0xa1, "il"},
    {0xd7, "x"},   {0x2020, "t"}, {0x2202, "d"}, {0x2206, "a"}, {0x2208, "e"}, {0x2211, "e"},
    {0x2229, "n"}, {0x222a, "u"}, {0x2282, "c"}, {0x221e, "o"}, {0x25cb, "o"}, {0x25cf, "o"},
    {0x25ef, "o"}, {0x2b55, "o"}, {0x26aa, "o"}, {0x26ab, "o"},
};

// Letters that are drawn like others of the Latin alphabet only in jest: no confusables of ICU's.
static const struct {
    UChar32 letter;
    char as;
} jests[] = {
    {0xdf, 'b'},  {0x3b2, 'b'}, {0x392, 'b'},  {0x3b5, 'e'},  {0x3b7, 'n'}, {0x3b8, 'o'},
    {0x3ba, 'k'}, {0x3bb, 'a'}, {0x3bc, 'u'},  {0xb5, 'u'},   {0x3c0, 'n'}, {0x3c4, 't'},
    {0x3c6, 'o'}, {0x3c7, 'x'}, {0x3c9, 'w'},  {0x3a3, 'e'},  {0x39e, 'e'}, {0x39b, 'a'},
    {0x394, 'a'}, {0x431, 'b'}, {0x432, 'b'},  {0x433, 'r'},  {0x434, 'a'}, {0x437, 'e'},
    {0x438, 'n'}, {0x439, 'n'}, {0x43a, 'k'},  {0x43c, 'm'},  {0x43d, 'h'}, {0x43f, 'n'},
    {0x442, 't'}, {0x446, 'u'}, {0x448, 'w'},  {0x449, 'w'},  {0x44a, 'b'}, {0x44c, 'b'},
    {0x44f, 'r'}, {0x454, 'e'}, {0x2c83, 'b'}, {0x3147, 'o'}, {0x451, 'e'}, {0x184, 'b'},
    {0x185, 'b'}, {0x3a9, 'o'},
};

uint64_t tk_letter_bit(char c)
{
    if (c >= 'a' && c <= 'z') return (uint64_t)1 << (c - 'a');
    return c >= '0' && c <= '9' ? (uint64_t)1 << (26 + c - '0') : 0;
}

uint32_t tk_letter_same(char c)
{
    for (size_t i = 0; i < sizeof mistaken / sizeof *mistaken; i++)
        if (strchr(mistaken[i], c)) return (uint32_t)mistaken[i][0];
    return (uint32_t)c;
}

// All that an ASCII letter or digit may be: what is a digit may be the letters that look like it,
// I and l may be each other.
static uint64_t may_be_read(char c)
{
    uint64_t is = tk_letter_bit(c);
    if (c == 'I' || c == 'l') return tk_letter_bit('i') | tk_letter_bit('l');
    if (c >= 'A' && c <= 'Z') return tk_letter_bit((char)(c - 'A' + 'a'));
    for (size_t i = 0; i < sizeof mistaken / sizeof *mistaken && c >= '0' && c <= '9'; i++)
        if (strchr(mistaken[i], c))
            for (const char *p = mistaken[i]; *p; p++)
                if (*p > '9') is |= tk_letter_bit(*p);
    return is;
}

// ---- a code point ------------------------------------------------------------------------------

static bool put_ascii(folded *f, char c)
{
    const char low = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    if (!tk_letter_bit(low) || f->n == LETTERS) return false;
    f->same[f->n] = tk_letter_same(low);
    f->is[f->n++] = may_be_read(c);
    f->kind = (uint8_t)(low <= '9' && f->n == 1 ? TK_LETTER_DIGIT : TK_LETTER_PLAIN);
    return true;
}

// Letters and digits of ASCII in a string, without marks; false where there is another letter.
static bool take_ascii(const tk_fold *t, folded *f, const UChar *s, int32_t n)
{
    UChar apart[UNITS];
    UErrorCode e = U_ZERO_ERROR;
    UChar32 each[UNITS];
    int32_t m = unorm2_normalize(t->apart, s, n, apart, UNITS, &e);
    u_strToUTF32(each, UNITS, &m, apart, m, &e);
    f->n = 0;
    if (U_FAILURE(e)) return false;
    for (int32_t i = 0; i < m; i++) {
        const UChar32 c = each[i];
        if (c < 128 && put_ascii(f, (char)c)) continue;
        if (u_isalnum(c)) {
            f->n = 0;
            return false;
        }
    }
    return f->n > 0;
}

// By its name: what is called LETTER B, however it is turned, boxed or barred.
static bool take_by_name(folded *f, UChar32 c)
{
    char name[128];
    UErrorCode e = U_ZERO_ERROR;
    const int32_t n = u_charName(c, U_UNICODE_CHAR_NAME, name, sizeof name, &e);
    if (U_FAILURE(e) || n <= 0) return false;
    const bool latin = strstr(name, "LATIN ") != NULL;
    if (!latin && strncmp(name, "REGIONAL INDICATOR SYMBOL LETTER ", 33)) return false;
    char *with = strstr(name, " WITH ");
    if (with) *with = 0;
    const char *last = strrchr(name, ' ');
    f->n = 0;
    return last && last[1] >= 'A' && last[1] <= 'Z' && !last[2] &&
           put_ascii(f, (char)(last[1] - 'A' + 'a'));
}

static UChar32 first_code(const UChar *s, int32_t n)
{
    UChar32 each[UNITS];
    UErrorCode e = U_ZERO_ERROR;
    u_strToUTF32(each, UNITS, NULL, s, n, &e);
    return U_SUCCESS(e) && n > 0 ? each[0] : 0;
}

// What looks like it, as ICU's table says.
static bool take_look_alike(const tk_fold *t, folded *f, const UChar *s, int32_t n, UChar32 *one)
{
    UChar like[UNITS];
    UErrorCode e = U_ZERO_ERROR;
    const int32_t m = uspoof_getSkeleton(t->spoof, 0, s, n, like, UNITS, &e);
    *one = 0;
    if (U_FAILURE(e) || m <= 0) return false;
    const uint64_t stroke = tk_letter_bit('i') | tk_letter_bit('l');
    if (take_ascii(t, f, like, m)) { // a stroke is both
        for (int k = 0; k < f->n; k++)
            if (f->is[k] & stroke) f->is[k] |= stroke;
        return true;
    }
    *one = first_code(like, m);
    return false;
}

static bool take_sign(folded *f, UChar32 c)
{
    for (size_t i = 0; i < sizeof jests / sizeof *jests; i++)
        if (jests[i].letter == c) return put_ascii(f, jests[i].as);
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        if (signs[i].sign != c) continue;
        put_ascii(f, signs[i].letters[0]);
        for (const char *p = signs[i].letters; *p; p++) f->is[0] |= tk_letter_bit(*p);
        f->kind = TK_LETTER_SIGN;
        return true;
    }
    return false;
}

// A letter that is like none of the Latin ones stands for itself.
static void take_itself(folded *f, UChar32 c)
{
    const int32_t digit = u_charDigitValue(c);
    f->n = 0;
    if (digit >= 0 && digit <= 9) {
        put_ascii(f, (char)('0' + digit));
        return;
    }
    f->n = 1;
    f->is[0] = 0;
    f->same[0] = (uint32_t)u_foldCase(c, U_FOLD_CASE_DEFAULT);
    f->kind = u_isalnum(c) ? TK_LETTER_PLAIN : TK_LETTER_GAP;
}

static bool is_unseen(UChar32 c)
{
    const int8_t category = u_charType(c);
    return u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
           category == U_FORMAT_CHAR || (category == U_CONTROL_CHAR && !u_isUWhiteSpace(c));
}

static bool is_written_alone(UChar32 c)
{
    static const UScriptCode without_spaces[] = {USCRIPT_HAN,    USCRIPT_HIRAGANA, USCRIPT_KATAKANA,
                                                 USCRIPT_THAI,   USCRIPT_LAO,      USCRIPT_KHMER,
                                                 USCRIPT_MYANMAR};
    UErrorCode e = U_ZERO_ERROR;
    const UScriptCode of = uscript_getScript(c, &e);
    for (size_t i = 0; i < sizeof without_spaces / sizeof *without_spaces; i++)
        if (of == without_spaces[i]) return true;
    return false;
}

// What is put where a letter is left out: stars, and all that is neither letter nor written between
// words.
static bool may_mask(UChar32 c)
{
    enum { DOTS = 0x2026 };
    const uint32_t of = U_GET_GC_MASK(c);
    if (c < 128) return c == '*' || c == '#' || c == '_';
    return c != DOTS && (of & (U_GC_SO_MASK | U_GC_SM_MASK | U_GC_PO_MASK));
}

// Of a letter beyond ASCII: its compatibility form, then what it looks like, then its name.
static void take_letter(const tk_fold *t, folded *f, UChar32 c)
{
    UChar own[2], fold[UNITS];
    int32_t n = 0;
    UErrorCode e = U_ZERO_ERROR;
    UChar32 like, like_fold;
    U16_APPEND_UNSAFE(own, n, c);
    if (take_sign(f, c)) return;
    const int32_t m = unorm2_normalize(t->casefold, own, n, fold, UNITS, &e);
    if (U_SUCCESS(e) && m > 0 && take_ascii(t, f, fold, m)) return;
    if (take_look_alike(t, f, own, n, &like)) return;
    if (U_SUCCESS(e) && m > 0 && take_look_alike(t, f, fold, m, &like_fold)) return;
    if (take_by_name(f, c) || (like && take_by_name(f, like))) return;
    if (U_SUCCESS(e) && m > 0) c = first_code(fold, m);
    if (take_sign(f, c)) return;
    take_itself(f, c);
}

static const folded *fold_one(tk_fold *t, UChar32 c)
{
    folded *f = &t->cache[(uint32_t)c % CACHED];
    if (f->of == c && c) return f;
    *f = (folded){.of = c, .masks = may_mask(c)};
    if (c < 128) {
        if (put_ascii(f, (char)c) || take_sign(f, c)) return f;
        if (!is_unseen(c)) take_itself(f, c);
        return f;
    }
    const bool mark = (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0;
    if (mark || is_unseen(c)) { // a letter above another one is a letter
        if (!mark || !take_by_name(f, c)) f->n = 0;
        return f;
    }
    take_letter(t, f, c);
    f->alone = f->n == 1 && !f->is[0] && is_written_alone(c);
    return f;
}

// ---- text --------------------------------------------------------------------------------------

tk_status tk_fold_open(tk_fold **out)
{
    UErrorCode e = U_ZERO_ERROR;
    tk_fold *f;
    *out = NULL;
    TK_NEW(f, 1);
    f->spoof = uspoof_open(&e);
    f->casefold = unorm2_getNFKCCasefoldInstance(&e);
    f->apart = unorm2_getNFDInstance(&e);
    if (U_FAILURE(e)) {
        tk_fold_close(f);
        return TK_FAIL(TK_INPUT, "ICU's tables of characters cannot be opened: %s", u_errorName(e));
    }
    *out = f;
    return TK_OK;
}

void tk_fold_close(tk_fold *f)
{
    if (f && f->spoof) uspoof_close(f->spoof);
    tk_free(f);
}

tk_status tk_fold_text(tk_fold *f, const char *text, size_t bytes, tk_arena *a, int *n,
                       tk_letter **out)
{
    const uint8_t *s = (const uint8_t *)text;
    const int32_t length = (int32_t)bytes;
    if (bytes > INT32_MAX / 8)
        return TK_FAIL(TK_INPUT, "a text of %zu bytes is more than can be read", bytes);
    *n = 0;
    TK_ARENA_NEW(*out, a, 2 * (int64_t)bytes + LETTERS); // no code point is more letters than that
    for (int32_t i = 0; i < length;) {
        const int32_t at = i;
        UChar32 c;
        U8_NEXT(s, i, length, c);
        const folded *one = c < 0 ? fold_one(f, 0xfffd) : fold_one(f, c);
        for (int k = 0; k < one->n; k++)
            (*out)[(*n)++] = (tk_letter){.same = one->same[k],
                                         .is = one->is[k],
                                         .kind = one->kind,
                                         .alone = one->alone,
                                         .masks = one->masks && one->kind != TK_LETTER_PLAIN,
                                         .written = c < 0 ? 0xfffd : (uint32_t)c,
                                         .at = at,
                                         .end = i};
    }
    return TK_OK;
}

// The likeliest of what a letter may be.
static uint32_t likely(const tk_letter *l)
{
    const uint32_t c = l->written;
    if (c < 128) return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
    if (l->kind == TK_LETTER_SIGN) return c;
    for (char k = 'a'; k <= 'z' && l->kind != TK_LETTER_DIGIT; k++)
        if (l->is & tk_letter_bit(k)) return (uint32_t)k;
    for (char k = '0'; k <= '9'; k++)
        if (l->is & tk_letter_bit(k)) return (uint32_t)k;
    return l->same;
}

tk_status tk_fold_plain(size_t bytes, int n, const tk_letter *letter, tk_arena *a, char **plain,
                        int **at)
{
    int32_t used = 0;
    const int32_t room = 4 * n + 1;
    UBool failed = false;
    TK_ARENA_NEW(*plain, a, room);
    TK_ARENA_NEW(*at, a, room + 1);
    for (int i = 0; i < n; i++) {
        uint32_t c = likely(&letter[i]);
        const int32_t before = used;
        if (letter[i].kind == TK_LETTER_GAP && u_isUWhiteSpace((UChar32)c)) {
            if (used && (*plain)[used - 1] == ' ') continue;
            c = ' ';
        }
        U8_APPEND((uint8_t *)*plain, used, room, c, failed);
        if (failed) return TK_FAIL(TK_INTERNAL, "no room for a letter");
        for (int32_t k = before; k < used; k++) (*at)[k] = letter[i].at;
    }
    (*at)[used] = (int)bytes;
    return TK_OK;
}
