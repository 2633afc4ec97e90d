// SPDX-License-Identifier: Apache-2.0
// A text is read in several ways (spelling.h). The automaton walks the row, runs of letters that
// may be the same as one step; where a word may end, the span is held against the word letter by
// letter: each letter of the text must be able to be the word's letter of its turn or, again, the
// one before.
#include "infer/filter/words.h"
#include "infer/filter/spelling.h"
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { NODE_NONE = -1, ENDING = 3 }; // letters of "ing"

typedef struct sought { // a word
    int n, runs;        // letters; runs of the same
    uint64_t is[TK_WORD_LETTERS];
    uint32_t same[TK_WORD_LETTERS];
    int pieces; // words that it is written in
    bool open_front, open_back;
    int next; // word that ends at the same node
} sought;

typedef struct node {
    int parent, depth;
    uint32_t letter; // that leads to it
    int fail, hit;   // longest other end of it that is a node; nearest of these at which words end
    int words;       // the first that ends here; -1: none
} node;

typedef struct edge {
    uint64_t key; // of node and letter, 0: free
    int to;
} edge;

struct tk_words {
    tk_fold *fold;
    tk_arena *arena;
    sought *word;
    int n, room;
    node *nodes;
    int n_nodes;
    edge *edges; // hash table
    uint64_t mask;
    uint64_t *common; // hash table of rows of letters
    uint64_t common_mask;
    int n_common;
};

// ---- tables ------------------------------------------------------------------------------------

static uint64_t edge_key(int from, uint32_t letter)
{
    return ((uint64_t)(from + 1) << 32) | letter;
}

static edge *edge_at(const tk_words *w, uint64_t key)
{
    uint64_t i = XXH3_64bits(&key, sizeof key) & w->mask;
    while (w->edges[i].key && w->edges[i].key != key) i = (i + 1) & w->mask;
    return &w->edges[i];
}

static int step(const tk_words *w, int from, uint32_t letter)
{
    const edge *e = edge_at(w, edge_key(from, letter));
    return e->key ? e->to : NODE_NONE;
}

static uint64_t *common_at(const tk_words *w, uint64_t hash)
{
    uint64_t i = hash & w->common_mask;
    while (w->common[i] && w->common[i] != hash) i = (i + 1) & w->common_mask;
    return &w->common[i];
}

static uint64_t hash_letter(uint64_t h, uint32_t same)
{
    return XXH3_64bits_withSeed(&same, sizeof same, h);
}

// ---- words -------------------------------------------------------------------------------------

tk_status tk_words_new(tk_fold *f, tk_arena *a, tk_words **out)
{
    TK_ARENA_NEW(*out, a, 1);
    (*out)->fold = f;
    (*out)->arena = a;
    (*out)->common_mask = 8191;
    TK_ARENA_NEW((*out)->common, a, 8192);
    return TK_OK;
}

static tk_status grow_words(tk_words *w)
{
    sought *more;
    if (w->n < w->room) return TK_OK;
    if (w->n >= TK_WORDS_MOST) return TK_FAIL(TK_INPUT, "more than %d words", TK_WORDS_MOST);
    w->room = w->room ? 2 * w->room : 64;
    TK_ARENA_NEW(more, w->arena, w->room);
    if (w->n) memcpy(more, w->word, (size_t)w->n * sizeof *more);
    w->word = more;
    return TK_OK;
}

static tk_status take_letters(sought *to, int n, const tk_letter *l)
{
    bool gap = true;
    for (int i = 0; i < n; i++) {
        if (l[i].kind == TK_LETTER_GAP || l[i].kind == TK_LETTER_SIGN) {
            gap = true;
            continue;
        }
        if (to->n == TK_WORD_LETTERS)
            return TK_FAIL(TK_INPUT, "has more than %d letters", TK_WORD_LETTERS);
        to->is[to->n] = l[i].is;
        if (l[i].written < 128) { // as it is written, no other
            const char c = (char)l[i].written;
            to->is[to->n] = tk_letter_bit(c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c);
        }
        to->same[to->n] = l[i].same;
        to->runs += to->n == 0 || to->same[to->n - 1] != l[i].same;
        to->pieces += gap;
        to->n++;
        gap = false;
    }
    return to->n ? TK_OK : TK_FAIL(TK_INPUT, "has no letter");
}

tk_status tk_words_add(tk_words *w, const char *text, int *number)
{
    tk_arena scratch;
    tk_letter *l;
    int n;
    size_t bytes = strlen(text);
    TK_TRY(grow_words(w));
    sought *to = &w->word[w->n];
    *to = (sought){.next = -1};
    while (bytes && text[bytes - 1] == '*') bytes--, to->open_back = true;
    while (bytes && *text == '*') text++, bytes--, to->open_front = true;
    if (memchr(text, '*', bytes))
        return TK_FAIL(TK_INPUT, "has a star within it; stars stand at its ends");
    tk_arena_init(&scratch, 0);
    tk_status st = tk_fold_text(w->fold, text, bytes, &scratch, &n, &l);
    if (st == TK_OK) st = take_letters(to, n, l);
    tk_arena_free(&scratch);
    TK_TRY(st);
    *number = w->n++;
    return TK_OK;
}

tk_status tk_words_add_common(tk_words *w, const char *text)
{
    tk_arena scratch;
    tk_letter *l;
    int n;
    sought one = {0};
    uint64_t h = 0;
    tk_arena_init(&scratch, 0);
    tk_status st = tk_fold_text(w->fold, text, strlen(text), &scratch, &n, &l);
    if (st == TK_OK) st = take_letters(&one, n, l);
    tk_arena_free(&scratch);
    TK_TRY(st);
    for (int i = 0; i < one.n; i++) h = hash_letter(h, one.same[i]);
    uint64_t *at = common_at(w, h);
    if (!*at && ++w->n_common > 4000) return TK_FAIL(TK_INPUT, "more than 4000 common words");
    *at = h;
    return TK_OK;
}

// ---- the automaton -----------------------------------------------------------------------------

static void add_word_path(tk_words *w, int k)
{
    sought *x = &w->word[k];
    int at = 0;
    for (int i = 0; i < x->n; i++) {
        if (i && x->same[i] == x->same[i - 1]) continue;
        const uint64_t key = edge_key(at, x->same[i]);
        edge *e = edge_at(w, key);
        if (!e->key) {
            *e = (edge){key, w->n_nodes};
            w->nodes[w->n_nodes++] = (node){at, w->nodes[at].depth + 1, x->same[i], 0, 0, -1};
        }
        at = e->to;
    }
    x->next = w->nodes[at].words;
    w->nodes[at].words = k;
}

static void find_fail(tk_words *w, node *x)
{
    int f = w->nodes[x->parent].fail, to;
    while ((to = step(w, f, x->letter)) == NODE_NONE && f) f = w->nodes[f].fail;
    x->fail = to == NODE_NONE ? 0 : to;
    const node *shorter = &w->nodes[x->fail];
    x->hit = shorter->words >= 0 ? x->fail : shorter->hit;
}

tk_status tk_words_close(tk_words *w)
{
    int64_t letters = 1;
    int deepest = 0;
    uint64_t room = 64;
    for (int k = 0; k < w->n; k++) {
        letters += w->word[k].runs;
        if (w->word[k].runs > deepest) deepest = w->word[k].runs;
    }
    while (room < 2 * (uint64_t)letters) room *= 2;
    w->mask = room - 1;
    TK_ARENA_NEW(w->edges, w->arena, (int64_t)room);
    TK_ARENA_NEW(w->nodes, w->arena, letters);
    w->nodes[0].words = -1;
    w->n_nodes = 1;
    for (int k = 0; k < w->n; k++) add_word_path(w, k);
    for (int depth = 2; depth <= deepest; depth++)
        for (int k = 0; k < w->n_nodes; k++)
            if (w->nodes[k].depth == depth) find_fail(w, &w->nodes[k]);
    return TK_OK;
}

// ---- a word in a reading -----------------------------------------------------------------------

// Each letter from b to e is the word's of its turn, or that of the one before it again.
static bool spells(const sought *x, const tk_spelling *r, int b, int e)
{
    uint64_t state = 0;
    for (int i = b; i <= e; i++) {
        const tk_spelling_letter *p = &r->letter[i];
        uint64_t fits = 0;
        for (int k = 0; k < x->n; k++) {
            const bool same = p->is && x->is[k] ? (p->is & x->is[k]) != 0 : p->same == x->same[k];
            fits |= (uint64_t)same << k;
        }
        state = i == b ? fits & 1 : (state << 1 | state) & fits;
        if (!state) return false;
    }
    return state >> (x->n - 1) & 1;
}

// Whether a word spelled over several of the text is meant: not where each of them is common.
static bool is_meant(const tk_words *w, const sought *x, const tk_spelling *r, int b, int e)
{
    int pieces = 1, common = 0;
    uint64_t h = 0;
    for (int i = b; i <= e; i++) {
        h = hash_letter(h, r->letter[i].same);
        if (i < e && !r->letter[i + 1].gap) continue;
        common += *common_at(w, h) != 0;
        pieces += i < e;
        h = 0;
    }
    return pieces == 1 || pieces == x->pieces || (x->n > 2 && common < pieces);
}

// Words of the text that it is spelled over.
static int count_pieces(const tk_spelling *r, int b, int e)
{
    int n = 1;
    for (int i = b + 1; i <= e; i++) n += r->letter[i].gap;
    return n;
}

// Letters of the text's word behind letter e.
static int count_behind(const tk_spelling *r, int e)
{
    int n = 0;
    while (!r->letter[e + n].last) n++;
    return n;
}

// A span that ends where it likes: within one word of the text, in as many as it is written in, or
// where only an ending follows.
static bool may_end_within(const tk_words *w, const sought *x, const tk_spelling *r, int b, int e)
{
    const int pieces = count_pieces(r, b, e);
    if (pieces == 1 || pieces == x->pieces) return true;
    return r->letter[b].first && count_behind(r, e) <= ENDING && is_meant(w, x, r, b, e);
}

// In runs [from, to] of a row: where it begins and ends. Words of the text that begin and end
// within a run of one letter may be more than one: the innermost are tried, then the outermost.
static bool find_span(const tk_words *w, const sought *x, const tk_spelling *r, int from, int to,
                      int *b, int *e)
{
    const int begin = r->run[from], begins = r->run[from + 1] - 1;
    const int end = r->run[to + 1] - 1, ends = r->run[to];
    for (int outer = 0; outer < 2; outer++) {
        *b = outer ? begin : begins;
        *e = outer ? end : ends;
        while (*b >= begin && *b <= begins && !r->letter[*b].first) *b += outer ? 1 : -1;
        while (*e >= ends && *e <= end && (!r->letter[*e].last || *e < *b)) *e += outer ? -1 : 1;
        if (*b >= begin && *b <= begins && *e >= ends && *e <= end && *e >= *b &&
            spells(x, r, *b, *e) && is_meant(w, x, r, *b, *e))
            return true;
    }
    if (!x->open_front && !x->open_back) return false;
    *b = begin;
    *e = end;
    while (!x->open_front && *b < begins && !r->letter[*b].first) ++*b;
    while (!x->open_back && *e > ends && !r->letter[*e].last) --*e;
    return (x->open_front || r->letter[*b].first) && (x->open_back || r->letter[*e].last) &&
           may_end_within(w, x, r, *b, *e) && spells(x, r, *b, *e);
}

// In as many words and letters as it has.
static bool is_as_written(const sought *x, const tk_spelling *r, int b, int e)
{
    return count_pieces(r, b, e) == x->pieces && e - b + 1 == x->n;
}

// ---- all words ---------------------------------------------------------------------------------

typedef struct finds {
    tk_found *found;
    int n, room;
    tk_arena *arena;
} finds;

static tk_status put_find(finds *f, tk_found one)
{
    if (f->n == f->room) {
        tk_found *more;
        f->room = f->room ? 2 * f->room : 16;
        TK_ARENA_NEW(more, f->arena, f->room);
        if (f->n) memcpy(more, f->found, (size_t)f->n * sizeof *more);
        f->found = more;
    }
    f->found[f->n++] = one;
    return TK_OK;
}

static tk_status search_row(const tk_words *w, const tk_spelling *r, finds *f)
{
    int at = 0, to;
    for (int j = 0; j < r->n_runs; j++) {
        const uint32_t same = r->letter[r->run[j]].same;
        while ((to = step(w, at, same)) == NODE_NONE && at) at = w->nodes[at].fail;
        at = to == NODE_NONE ? 0 : to;
        for (int k = at; k > 0; k = w->nodes[k].hit)
            for (int i = w->nodes[k].words; i >= 0; i = w->word[i].next) {
                int b, e;
                const sought *x = &w->word[i];
                if (find_span(w, x, r, j - x->runs + 1, j, &b, &e))
                    TK_TRY(put_find(f, (tk_found){i, r->letter[b].at, r->letter[e].end,
                                                  is_as_written(x, r, b, e)}));
            }
    }
    return TK_OK;
}

static int by_find_place(const void *x, const void *y)
{
    const tk_found *a = x, *b = y;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end) return a->end < b->end ? -1 : 1;
    if (a->word != b->word) return a->word < b->word ? -1 : 1;
    return b->as_written - a->as_written;
}

static void keep_finds_once(finds *f)
{
    int n = 0;
    if (f->n) qsort(f->found, (size_t)f->n, sizeof *f->found, by_find_place);
    for (int i = 0; i < f->n; i++)
        if (i == 0 || f->found[i].word != f->found[n - 1].word ||
            f->found[i].begin != f->found[n - 1].begin || f->found[i].end != f->found[n - 1].end)
            f->found[n++] = f->found[i];
    f->n = n;
}

tk_status tk_words_find(const tk_words *w, int n, const tk_letter *letter, tk_arena *a, int *found,
                        tk_found **out)
{
    tk_spellings t;
    finds f = {.arena = a};
    TK_TRY(tk_spellings_begin(n, letter, a, &t));
    while (tk_spellings_next(&t)) TK_TRY(search_row(w, &t.one, &f));
    keep_finds_once(&f);
    *found = f.n;
    *out = f.found;
    return TK_OK;
}
