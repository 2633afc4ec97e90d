// SPDX-License-Identifier: Apache-2.0
#include "infer/filter/spelling.h"
#include <string.h>

typedef enum word_reading { // what signs and digits are
    READ_GAPS,              // gaps
    READ_WITHIN,            // letters within words, punctuation and digits at their ends are gaps
    READ_DIGITS,            // digits are letters, signs are gaps
    READ_LETTERS,           // letters
    READ_DIGRAPHS,          // letters, and pairs that look like one
    READINGS
} word_reading;

static const struct {
    char pair[3];
    char as;
} digraphs[] = {{"rn", 'm'},  {"vv", 'w'}, {"uu", 'w'}, {"()", 'o'}, {"[]", 'o'},
                {"<>", 'o'},  {"|3", 'b'}, {"|)", 'd'}, {"|<", 'k'}, {"/\\", 'a'},
                {"\\/", 'v'}, {"|_", 'l'}, {"><", 'x'}, {"ph", 'f'}};

// What stands at the ends of words by itself.
static bool is_punctuation(const tk_letter *l)
{
    return l->kind == TK_LETTER_DIGIT || (l->written < 128 && strchr("!([{<+#", (int)l->written));
}

static bool is_letter(const tk_letter *l, word_reading how, bool within)
{
    if (l->kind == TK_LETTER_PLAIN) return true;
    if (l->kind == TK_LETTER_GAP || how == READ_GAPS) return false;
    if (how == READ_DIGITS) return l->kind == TK_LETTER_DIGIT;
    return how != READ_WITHIN || within || !is_punctuation(l);
}

static bool stands_for_letter(const tk_letter *l)
{
    return l->kind == TK_LETTER_PLAIN || (l->kind == TK_LETTER_SIGN && !is_punctuation(l));
}

// Whether a letter stands before letter i, and one behind, with signs and digits between.
static void find_within(int n, const tk_letter *l, bool *within)
{
    bool before = false;
    for (int i = 0; i < n; i++) {
        if (stands_for_letter(&l[i])) before = true;
        if (l[i].kind == TK_LETTER_GAP) before = false;
        within[i] = before;
    }
    before = false;
    for (int i = n - 1; i >= 0; i--) {
        if (stands_for_letter(&l[i])) before = true;
        if (l[i].kind == TK_LETTER_GAP) before = false;
        within[i] = within[i] && before;
    }
}

// A masked letter ("b*mb"): a lone sign between two letters may be any one.
static bool is_mask(int n, const tk_letter *l, int i)
{
    return l[i].masks && i > 0 && i + 1 < n && l[i - 1].kind == TK_LETTER_PLAIN &&
           l[i + 1].kind == TK_LETTER_PLAIN;
}

static char digraph_at(int n, const tk_letter *l, int i)
{
    if (i + 1 >= n) return 0;
    for (size_t k = 0; k < sizeof digraphs / sizeof *digraphs; k++)
        if ((l[i].written | 32) == ((uint32_t)digraphs[k].pair[0] | 32) &&
            (l[i + 1].written | 32) == ((uint32_t)digraphs[k].pair[1] | 32))
            return digraphs[k].as;
    return 0;
}

static void put_place(tk_spelling *r, uint32_t same, uint64_t is, const tk_letter *from,
                      const tk_letter *to, bool gap)
{
    tk_spelling_letter *p = &r->letter[r->n];
    const bool begins = r->n == 0 || gap || from->alone || p[-1].alone;
    *p = (tk_spelling_letter){same,        is,     from->at, to->end,
                              from->alone, begins, false,    r->n > 0 && gap};
    if (r->n) p[-1].last = begins;
    if (r->n == 0 || p[-1].same != same) r->run[r->n_runs++] = r->n;
    r->n++;
}

// mask: the letter that masked ones are; 0: they are gaps.
static void read_row(const tk_spellings *t, word_reading how, char mask, tk_spelling *r)
{
    bool gap = false;
    r->n = r->n_runs = 0;
    for (int i = 0; i < t->n; i++) {
        const tk_letter *l = &t->letter[i];
        const char pair = how == READ_DIGRAPHS ? digraph_at(t->n, t->letter, i) : 0;
        if (pair) {
            put_place(r, tk_letter_same(pair), tk_letter_bit(pair), l, l + 1, gap);
            i++;
        } else if (mask && is_mask(t->n, t->letter, i))
            put_place(r, tk_letter_same(mask), tk_letter_bit(mask), l, l, gap);
        else if (is_letter(l, how, t->within[i]))
            put_place(r, l->same, l->is, l, l, gap);
        else {
            gap = true;
            continue;
        }
        gap = false;
    }
    if (r->n) r->letter[r->n - 1].last = true;
    r->run[r->n_runs] = r->n;
}

tk_status tk_spellings_begin(int n, const tk_letter *letter, tk_arena *a, tk_spellings *t)
{
    *t = (tk_spellings){.n = n, .letter = letter};
    TK_ARENA_NEW(t->one.letter, a, n + 1);
    TK_ARENA_NEW(t->one.run, a, n + 2);
    TK_ARENA_NEW(t->within, a, t->n + 1);
    find_within(t->n, t->letter, t->within);
    for (int i = 0; i < t->n; i++) {
        const tk_letter_kind kind = t->letter[i].kind;
        t->signs |= kind == TK_LETTER_SIGN || kind == TK_LETTER_DIGIT;
        t->masks |= is_mask(t->n, t->letter, i);
        t->pairs |= digraph_at(t->n, t->letter, i) != 0;
    }
    return TK_OK;
}

bool tk_spellings_next(tk_spellings *t)
{
    for (int way = t->next++; way < READINGS; way = t->next++) {
        if (way == READ_DIGRAPHS ? !t->pairs : way != READ_GAPS && !t->signs) continue;
        read_row(t, (word_reading)way, 0, &t->one);
        return true;
    }
    const int mask = 'a' + t->next - 1 - READINGS;
    if (!t->masks || mask > 'z') return false;
    read_row(t, READ_WITHIN, (char)mask, &t->one);
    return true;
}
