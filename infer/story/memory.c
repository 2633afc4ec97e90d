// SPDX-License-Identifier: Apache-2.0
#include "infer/story/memory.h"
#include <stdio.h>
#include <string.h>

enum { SHORTEST = 4 }; // bytes of a word that tells something
static const int64_t OF_A_NAME = (int64_t)1 << 40, OF_A_WORD = 1 << 20; // no 2^20 words a prompt

typedef struct recalling {
    const tk_prompts *words;
    const int64_t *latents;
    int shot; // that is to be made
    int64_t room;
    int n;
    tk_remembered *out;
} recalling;

// ---- words -------------------------------------------------------------------------------------

static int64_t word_weight(const tk_prompts *w, const tk_prompt_word *x)
{
    if (x->name) return OF_A_NAME;
    const bool tells = strlen(x->text) >= SHORTEST && 4 * (int64_t)x->n <= w->n_shots;
    return tells ? OF_A_WORD / x->n : 0;
}

// The k-th word of the shot's prompt; NULL behind the last.
static const tk_prompt_word *own_word(const recalling *c, int k)
{
    const tk_prompts *w = c->words;
    const int at = w->begin[c->shot] + k;
    return at < w->begin[c->shot + 1] ? &w->word[w->of[at]] : NULL;
}

// Of the shot's words that `shot` (-1: any) has, that which tells most, of those that tell less
// than `below` in turn: behind the last one of that weight, which is *k. NULL: there is none.
static const tk_prompt_word *next_telling(const recalling *c, int shot, int64_t below, int *k)
{
    const tk_prompt_word *most = NULL, *x;
    int at = *k;
    for (int i = 0; (x = own_word(c, i)); i++) {
        const int64_t w = word_weight(c->words, x);
        const bool later = w < below || (w == below && i > *k);
        if (!w || !later || (shot >= 0 && !tk_prompt_word_in(x, shot))) continue;
        if (most && w <= word_weight(c->words, most)) continue;
        most = x;
        at = i;
    }
    *k = at;
    return most;
}

// ---- choosing ----------------------------------------------------------------------------------

static bool is_chosen(const recalling *c, int shot)
{
    for (int k = 0; k < c->n; k++)
        if (c->out[k].shot == shot) return true;
    return false;
}

// Keeps them in order. False: it does not fit.
static bool add_shot(recalling *c, int shot, tk_memory_why why, const tk_prompt_word *word)
{
    int at = c->n;
    if (is_chosen(c, shot)) return true;
    if (c->latents[shot] > c->room) return false;
    c->room -= c->latents[shot];
    for (; at > 0 && c->out[at - 1].shot > shot; at--) c->out[at] = c->out[at - 1];
    c->out[at] = (tk_remembered){shot, why, word ? word->text : NULL};
    c->n++;
    return true;
}

static void choose_first_ones(recalling *c)
{
    int64_t below = OF_A_NAME;
    int k = -1;
    for (const tk_prompt_word *x; (x = next_telling(c, -1, below, &k));
         below = word_weight(c->words, x))
        if (x->shot[0] < c->shot) add_shot(c, x->shot[0], TK_MEMORY_FIRST, x);
}

static void score_earlier(const recalling *c, int64_t *score)
{
    memset(score, 0, (size_t)c->shot * sizeof *score);
    const tk_prompt_word *x;
    for (int k = 0; (x = own_word(c, k)); k++)
        for (int j = 0; j < x->n && x->shot[j] < c->shot; j++)
            score[x->shot[j]] += word_weight(c->words, x);
}

static void choose_alike(recalling *c, int64_t *score)
{
    score_earlier(c, score);
    while (c->room > 0) {
        int best = 0, k = -1;
        for (int j = 1; j < c->shot; j++)
            if (score[j] >= score[best]) best = j;
        if (!score[best]) return;
        add_shot(c, best, TK_MEMORY_SHARES, next_telling(c, best, OF_A_NAME, &k));
        score[best] = 0;
    }
}

int tk_memory_choose(const tk_prompts *w, const int64_t *latents, int i, int64_t room,
                     int64_t *score, tk_remembered *out)
{
    recalling c = {w, latents, i, room, 0, out};
    if (i == 0) return 0;
    add_shot(&c, i - 1, TK_MEMORY_LAST, NULL);
    choose_first_ones(&c);
    choose_alike(&c, score);
    for (int j = i - 1; j >= 0 && add_shot(&c, j, TK_MEMORY_LAST, NULL); j--) {
    }
    return c.n;
}

const char *tk_memory_say(const tk_remembered *m, char out[TK_MEMORY_WORDS])
{
    static const char *const words[] = {[TK_MEMORY_ASKED] = "asked for",
                                        [TK_MEMORY_LAST] = "one of the last",
                                        [TK_MEMORY_FIRST] = "first with ",
                                        [TK_MEMORY_SHARES] = "shares "};
    snprintf(out, TK_MEMORY_WORDS, "%s%s", words[m->why], m->word ? m->word : "");
    return out;
}
