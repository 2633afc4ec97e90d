// SPDX-License-Identifier: Apache-2.0
#include "infer/story/prompts.h"
#include "core/config/named.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// ---- one prompt --------------------------------------------------------------------------------

typedef struct token {
    const char *text;
    int shot, at; // which of its shot's tokens
    bool name;    // written as one
    int word;     // once they are sorted
} token;

static bool is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Bytes of a sign that parts words; 0: it is part of one. Beyond ASCII it is general punctuation,
// U+2000 to U+203F.
static int parting(const char *s)
{
    const unsigned char *u = (const unsigned char *)s;
    if (u[0] == 0xe2 && u[1] == 0x80) return 3;
    const bool letter = (u[0] | 32) >= 'a' && (u[0] | 32) <= 'z';
    return letter || is_digit(*s) || u[0] >= 0x80 ? 0 : 1;
}

bool tk_prompt_spoken(const char **at, const char **text, size_t *bytes)
{
    for (const char *s = *at; *s; s++) {
        const char *behind = tk_skip_spoken(s, text, bytes);
        *at = behind;
        if (behind > s) return true;
    }
    return false;
}

// The next word or tag from *at on, which is moved behind it; false: there is none.
static bool next_token(const char **at, const char **text, size_t *n, bool *name)
{
    const char *s = *at;
    while (*s) {
        const char *said, *behind = tk_skip_spoken(s, &said, n);
        const size_t tag = tk_tag_bytes(s);
        *text = s;
        *name = tag > 0;
        if (*name) {
            *text = s + 1, *n = tag;
            *at = s + tag + 2;
            if (tag <= TK_WORD_BYTES) return true;
            s = *at;
        } else if (behind > s) {
            s = behind;
        } else if (parting(s)) {
            s += parting(s);
        } else {
            while (*s && !parting(s)) s++;
            *at = s, *n = (size_t)(s - *text);
            *name = is_capital(**text);
            if (!is_digit(**text) && *n >= 2 && *n <= TK_WORD_BYTES) return true;
        }
    }
    *at = s;
    return false;
}

static tk_status tokens_of(int n, const char *const *prompt, tk_arena *a, token **out, int *count)
{
    *count = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (pass) TK_ARENA_NEW(*out, a, *count);
        int k = 0;
        for (int i = 0; i < n; i++) {
            const char *at = prompt[i], *text;
            char *copy = pass ? tk_arena_strdup(a, prompt[i]) : NULL;
            size_t bytes;
            bool name;
            if (pass && !copy) return TK_FAIL(TK_MEMORY, "out of memory for words");
            for (int j = 0; next_token(&at, &text, &bytes, &name); j++, k++) {
                if (!pass) continue;
                char *own = copy + (text - prompt[i]);
                own[bytes] = 0; // a sign that parts
                (*out)[k] = (token){.text = own, .shot = i, .at = j, .name = name};
            }
        }
        *count = k;
    }
    return TK_OK;
}

// ---- all of them -------------------------------------------------------------------------------

static int by_word(const void *x, const void *y)
{
    const token *a = x, *b = y;
    const int by_text = strcasecmp(a->text, b->text);
    if (by_text) return by_text;
    return a->shot != b->shot ? a->shot - b->shot : a->at - b->at;
}

static int by_shot(const void *x, const void *y)
{
    const token *a = x, *b = y;
    return a->shot != b->shot ? a->shot - b->shot : a->at - b->at;
}

// Sorted tokens to words, whose tokens of one shot but the first are dropped; returns how many
// stay.
static int gather_words(token *t, int n, tk_prompt_word *word, int *shots)
{
    int kept = 0, w = -1;
    for (int i = 0; i < n; i++) {
        const bool first = i == 0 || strcasecmp(t[kept - 1].text, t[i].text) != 0;
        if (first)
            word[++w] = (tk_prompt_word){.text = t[i].text, .name = true, .shot = shots + kept};
        word[w].name = word[w].name && t[i].name;
        if (!first && t[kept - 1].shot == t[i].shot) continue;
        t[kept] = t[i];
        t[kept].word = w;
        shots[kept++] = t[i].shot;
        word[w].n++;
    }
    return kept;
}

tk_status tk_prompts_read(int n, const char *const *prompt, tk_arena *a, tk_prompts *out)
{
    token *t = NULL;
    int count, *shots;
    *out = (tk_prompts){.n_shots = n};
    TK_TRY(tokens_of(n, prompt, a, &t, &count));
    TK_ARENA_NEW(out->word, a, count + 1);
    TK_ARENA_NEW(shots, a, count + 1);
    TK_ARENA_NEW(out->begin, a, n + 1);
    TK_ARENA_NEW(out->of, a, count + 1);
    if (count) qsort(t, (size_t)count, sizeof *t, by_word);
    count = gather_words(t, count, out->word, shots);
    if (count) qsort(t, (size_t)count, sizeof *t, by_shot);
    for (int k = 0; k < count; k++) {
        out->of[k] = t[k].word;
        out->begin[t[k].shot + 1] = k + 1;
    }
    for (int i = 0; i < n; i++)
        if (out->begin[i + 1] < out->begin[i]) out->begin[i + 1] = out->begin[i];
    return TK_OK;
}

static int compare_shots(const void *x, const void *y)
{
    return *(const int *)x - *(const int *)y;
}

bool tk_prompt_word_in(const tk_prompt_word *w, int shot)
{
    return bsearch(&shot, w->shot, (size_t)w->n, sizeof shot, compare_shots) != NULL;
}
