// SPDX-License-Identifier: Apache-2.0
#include "infer/judges/sound/sphinx.h"
#include "core/base/library.h"
#include <ctype.h>
#include <pocketsphinx.h>
#include <pthread.h>
#include <sphinxbase/err.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "libpocketsphinx.so.3"
#define MODEL TK_SPHINX_MODEL // .../model/en-us, from pkg-config
#define ENGLISH MODEL "/en-us.lm.bin"
#define FRAME 0.01 // seconds

// ---- the library ----

#define CALLS(X)            \
    X(cmd_ln_init)          \
    X(cmd_ln_free_r)        \
    X(err_set_logfp)        \
    X(ps_args)              \
    X(ps_init)              \
    X(ps_free)              \
    X(ps_lookup_word)       \
    X(ps_set_jsgf_string)   \
    X(ps_set_allphone_file) \
    X(ps_set_lm_file)       \
    X(ps_set_search)        \
    X(ps_start_stream)      \
    X(ps_start_utt)         \
    X(ps_process_raw)       \
    X(ps_end_utt)           \
    X(ps_get_hyp)           \
    X(ps_seg_iter)          \
    X(ps_seg_next)          \
    X(ps_seg_word)          \
    X(ps_seg_frames)        \
    X(ps_seg_prob)

static struct {
#define ROW(name) __typeof__(name) *name;
    CALLS(ROW)
#undef ROW
} ps;
static char fault[256]; // why they are not there

static void load_recognizer(void)
{
    static const tk_library_call call[] = {
#define ROW(name) {#name, &ps.name},
        CALLS(ROW)
#undef ROW
    };
    tk_library_load(LIBRARY, sizeof call / sizeof *call, call, fault, sizeof fault);
    if (!*fault) ps.err_set_logfp(NULL);
}

// ---- opening ----

struct tk_sphinx {
    ps_decoder_t *decoder;
    cmd_ln_t *options;
    int words;
    char (*word)[32];
};

static tk_status look_for_model(bool english)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load_recognizer);
    if (*fault)
        return TK_FAIL(TK_INPUT, "no word can be heard: " LIBRARY " cannot be loaded (%s)", fault);
    static const char *const files[] = {MODEL "/en-us/mdef", MODEL "/cmudict-en-us.dict", ENGLISH};
    for (int k = 0; k < 2 + english; k++)
        if (access(files[k], R_OK) != 0)
            return TK_FAIL(TK_INPUT,
                           "no word can be heard: %s is missing (Debian's package "
                           "pocketsphinx-en-us)",
                           files[k]);
    return TK_OK;
}

// A grammar of one word out of the list, in `a`.
static tk_status write_grammar(const tk_sphinx *s, tk_arena *a, char **out)
{
    size_t used = 0, room = 64 + (size_t)s->words * (sizeof *s->word + 3);
    TK_ARENA_NEW(*out, a, (int64_t)room);
    used += (size_t)snprintf(*out, room, "#JSGF V1.0;\ngrammar words;\npublic <word> = ");
    for (int w = 0; w < s->words; w++)
        used += (size_t)snprintf(*out + used, room - used, "%s%s", w ? " | " : "", s->word[w]);
    snprintf(*out + used, room - used, ";\n");
    return TK_OK;
}

static tk_status take_words(tk_sphinx *s, const char *const *words, int n)
{
    TK_NEW(s->word, n);
    s->words = n;
    for (int w = 0; w < n; w++) {
        size_t len = 0;
        while (islower((unsigned char)words[w][len])) len++;
        if (words[w][len] || len == 0 || len >= sizeof *s->word)
            return TK_FAIL(TK_INPUT, "\"%.40s\" is no word of lower case letters", words[w]);
        strcpy(s->word[w], words[w]);
    }
    return n > 0 ? TK_OK : TK_FAIL(TK_INPUT, "no words to be heard are given");
}

static tk_status begin_decoder(tk_sphinx *s)
{
    s->options = ps.cmd_ln_init(NULL, ps.ps_args(), TRUE, "-hmm", MODEL "/en-us", "-dict",
                                MODEL "/cmudict-en-us.dict", "-logfn", "/dev/null", "-allphone_ci",
                                "yes", "-remove_silence", "no", NULL);
    s->decoder = s->options ? ps.ps_init(s->options) : NULL;
    return s->decoder ? TK_OK : TK_FAIL(TK_INPUT, "pocketsphinx cannot be opened on " MODEL);
}

static tk_status open_recognizer(tk_sphinx *s, const char *grammar)
{
    TK_TRY(begin_decoder(s));
    for (int w = 0; w < s->words; w++) {
        char *phones = ps.ps_lookup_word(s->decoder, s->word[w]);
        if (!phones)
            return TK_FAIL(TK_INPUT, "\"%s\" is not in pocketsphinx' dictionary", s->word[w]);
        free(phones); // style: allow (allocated by the library)
    }
    if (ps.ps_set_jsgf_string(s->decoder, "word", grammar) < 0 ||
        ps.ps_set_allphone_file(s->decoder, "phones", NULL) < 0)
        return TK_FAIL(TK_INTERNAL, "pocketsphinx refuses its grammar");
    return TK_OK;
}

tk_status tk_sphinx_open(const char *const *words, int n, tk_sphinx **out)
{
    *out = NULL;
    TK_TRY(look_for_model(false));
    tk_sphinx *s;
    TK_NEW(s, 1);
    tk_arena a;
    tk_arena_init(&a, 0);
    char *grammar = NULL;
    tk_status st = take_words(s, words, n);
    if (st == TK_OK) st = write_grammar(s, &a, &grammar);
    if (st == TK_OK) st = open_recognizer(s, grammar);
    tk_arena_free(&a);
    if (st == TK_OK)
        *out = s;
    else
        tk_sphinx_close(s);
    return st;
}

tk_status tk_sphinx_knows_english(void)
{
    return look_for_model(true);
}

tk_status tk_sphinx_open_english(tk_sphinx **out)
{
    *out = NULL;
    TK_TRY(look_for_model(true));
    tk_sphinx *s;
    TK_NEW(s, 1);
    tk_status st = begin_decoder(s);
    if (st == TK_OK && ps.ps_set_lm_file(s->decoder, "english", ENGLISH) < 0)
        st = TK_FAIL(TK_INPUT, "pocketsphinx cannot read " ENGLISH);
    if (st == TK_OK)
        *out = s;
    else
        tk_sphinx_close(s);
    return st;
}

void tk_sphinx_close(tk_sphinx *s)
{
    if (!s) return;
    if (s->decoder) ps.ps_free(s->decoder);
    if (s->options) ps.cmd_ln_free_r(s->options);
    tk_free(s->word);
    tk_free(s);
}

// ---- hearing ----

typedef struct path {
    double score; // of its acoustics
    int word, begin, end;
} path;

// The samples, searched.
static tk_status search_samples(tk_sphinx *s, const char *search, const int16_t *x, int64_t n)
{
    if (ps.ps_set_search(s->decoder, search) < 0 || ps.ps_start_stream(s->decoder) < 0 ||
        ps.ps_start_utt(s->decoder) < 0)
        return TK_FAIL(TK_INTERNAL, "pocketsphinx does not begin");
    const int read = ps.ps_process_raw(s->decoder, x, (size_t)n, FALSE, TRUE);
    if (ps.ps_end_utt(s->decoder) < 0 || read < 0)
        return TK_FAIL(TK_INTERNAL, "pocketsphinx does not read %lld samples", (long long)n);
    return TK_OK;
}

// The best path of one search through the samples.
static tk_status search_path(tk_sphinx *s, const char *search, const int16_t *x, int64_t n,
                             path *out)
{
    int32_t unused;
    *out = (path){0, -1, 0, 0};
    TK_TRY(search_samples(s, search, x, n));
    const char *hyp = ps.ps_get_hyp(s->decoder, &unused);
    for (int w = 0; hyp && w < s->words; w++)
        if (strcmp(hyp, s->word[w]) == 0) out->word = w;
    for (ps_seg_t *g = ps.ps_seg_iter(s->decoder); g; g = ps.ps_seg_next(g)) {
        int32_t acoustic, language, back;
        int from, to;
        ps.ps_seg_prob(g, &acoustic, &language, &back);
        ps.ps_seg_frames(g, &from, &to);
        out->score += acoustic;
        if (strchr("<+(", ps.ps_seg_word(g)[0])) continue; // silence and noises
        out->begin = from;
        out->end = to + 1;
    }
    return TK_OK;
}

tk_status tk_sphinx_hear(tk_sphinx *s, const int16_t *x, int64_t n, tk_sphinx_heard *out)
{
    path word, phones;
    *out = (tk_sphinx_heard){.word = -1};
    if (n < TK_SPHINX_RATE / 10) return TK_OK;
    TK_TRY(search_path(s, "word", x, n, &word));
    if (word.word < 0 || word.end <= word.begin) return TK_OK;
    TK_TRY(search_path(s, "phones", x, n, &phones));
    *out = (tk_sphinx_heard){word.word, word.begin * FRAME, word.end * FRAME,
                             (word.score - phones.score) / (word.end - word.begin)};
    return TK_OK;
}

tk_status tk_sphinx_write(tk_sphinx *s, const int16_t *x, int64_t n, tk_arena *a, char **said)
{
    int32_t unused;
    const char *hyp = NULL;
    if (n >= TK_SPHINX_RATE / 10) {
        TK_TRY(search_samples(s, "english", x, n));
        hyp = ps.ps_get_hyp(s->decoder, &unused);
    }
    *said = tk_arena_strdup(a, hyp ? hyp : "");
    return *said ? TK_OK : TK_FAIL(TK_MEMORY, "out of memory for what is said");
}
