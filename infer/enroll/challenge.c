// SPDX-License-Identifier: Apache-2.0
#include "infer/enroll/challenge.h"
#include "data/speech/speak.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *tk_challenge_say(const tk_challenge *c, char text[TK_CHALLENGE_TEXT])
{
    *text = 0;
    for (int k = 0; k < TK_CHALLENGE_WORDS; k++)
        snprintf(text + strlen(text), TK_CHALLENGE_TEXT - strlen(text), "%s%s", k ? " " : "",
                 tk_word_text(c->word[k]));
    return text;
}

// Words that not every voice is understood by (docs/speech.md) are left out.
static bool is_clear(int word)
{
    static const char *const unclear[] = {"yes", "no", "blue"};
    for (size_t i = 0; i < sizeof unclear / sizeof *unclear; i++)
        if (!strcmp(tk_word_text(word), unclear[i])) return false;
    return true;
}

// Each row of words that differ as likely as any other.
static void draw_challenge(tk_challenge *c)
{
    for (int k = 0; k < TK_CHALLENGE_WORDS;) {
        unsigned char x;
        bool again;
        tk_seal_random(&x, 1);
        c->word[k] = x % TK_WORDS;
        again = x >= 256 / TK_WORDS * TK_WORDS || !is_clear(c->word[k]);
        for (int i = 0; i < k; i++) again |= c->word[i] == c->word[k];
        k += !again;
    }
}

enum { FILE_NAME = TK_HANDLE + 8 };

// Beside the folder's lock, which no handle names: none has a dot in it.
static const char *file_of(const tk_handle *who, char name[FILE_NAME])
{
    snprintf(name, FILE_NAME, "%s.words", who->name);
    return name;
}

static tk_status write_challenge(const tk_cameo_store *s, const tk_folder *f, const tk_handle *who,
                                 const tk_challenge *c, tk_arena *a)
{
    char words[TK_CHALLENGE_TEXT], name[FILE_NAME], *paper,
        *text = tk_arena_printf(a, "talkie challenge: 1\nhandle: %s\nwords: %s\nuntil: %lld\n",
                                who->name, tk_challenge_say(c, words), (long long)c->until);
    if (!text) return TK_FAIL(TK_MEMORY, "out of memory for a challenge");
    TK_TRY(tk_paper_sign(text, s->server, a, &paper));
    return tk_folder_write(f, file_of(who, name), 0600, paper, strlen(paper));
}

tk_status tk_challenge_ask(const tk_cameo_store *s, const tk_handle *who, tk_challenge *out)
{
    tk_folder f;
    tk_arena a;
    draw_challenge(out);
    out->until = time(NULL) + TK_CHALLENGE_SECONDS;
    TK_TRY(tk_folder_make(&s->keys, "challenges", 0700, &f));
    tk_arena_init(&a, 0);
    tk_status st = tk_folder_lock(&f, true);
    if (st == TK_OK) st = write_challenge(s, &f, who, out, &a);
    tk_arena_free(&a);
    tk_folder_close(&f);
    return st;
}

static bool take_challenge(const tk_cameo_store *s, const char *text, const tk_handle *who,
                           tk_challenge *out)
{
    char value[TK_PAPER_VALUE];
    const char *at = text;
    int n = 0;
    return tk_paper_holds(text, s->server->open) && tk_paper_next(&at, "talkie challenge", value) &&
           tk_paper_next(&at, "handle", value) && !strcmp(value, who->name) &&
           tk_paper_next(&at, "words", value) &&
           tk_words_of(value, TK_CHALLENGE_WORDS, out->word, &n) == TK_OK &&
           n == TK_CHALLENGE_WORDS && tk_paper_number(&at, "until", &out->until);
}

static tk_status use_up(const tk_cameo_store *s, tk_folder *f, const tk_handle *who, tk_arena *a,
                        tk_challenge *out)
{
    char *text, name[FILE_NAME];
    size_t bytes;
    bool there;
    TK_TRY(tk_folder_lock(f, true));
    TK_TRY(tk_folder_read(f, file_of(who, name), TK_PAPER_BYTES, a, &text, &bytes, &there));
    if (!there)
        return TK_FAIL(TK_INPUT,
                       "@%s: no challenge was asked for, or it was tried: `talkie cameo challenge "
                       "@%s` gives one",
                       who->name, who->name);
    TK_TRY(tk_folder_destroy(f, name));
    if (!take_challenge(s, text, who, out))
        return TK_FAIL(TK_INPUT, "@%s: the challenge is not as the server gave it", who->name);
    if (time(NULL) < out->until) return TK_OK;
    return TK_FAIL(TK_INPUT, "@%s: the challenge was good for %d minutes, which are over",
                   who->name, TK_CHALLENGE_SECONDS / 60);
}

tk_status tk_challenge_take(const tk_cameo_store *s, const tk_handle *who, tk_challenge *out)
{
    tk_folder f;
    tk_arena a;
    TK_TRY(tk_folder_make(&s->keys, "challenges", 0700, &f));
    tk_arena_init(&a, 0);
    const tk_status st = use_up(s, &f, who, &a, out);
    tk_arena_free(&a);
    tk_folder_close(&f);
    return st;
}
