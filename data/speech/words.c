// SPDX-License-Identifier: Apache-2.0
#include "data/speech/words.h"
#include "core/base/edits.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const vocabulary[TK_WORDS] = {
    // to somebody
    "hello", "goodbye", "yes", "no", "okay", "please", "thanks", "sorry",
    // questions and answers
    "why", "when", "ready", "today", "tonight", "tomorrow", "never", "again", "inside", "outside",
    "somebody", "nothing", "together",
    // bidding
    "watch", "listen", "stop", "careful",
    // things
    "water", "fire", "window", "table", "crate", "music", "captain",
    // what they are like
    "blue", "red", "green", "orange", "purple", "yellow", "happy", "beautiful"};

const char *tk_word_text(int word)
{
    tk_assert(word >= 0 && word < TK_WORDS);
    return vocabulary[word];
}

// The three nearest words to `text`, as "why, when or never", into `to`.
static void nearest_words(const char *text, char *to, size_t room)
{
    bool taken[TK_WORDS] = {false};
    size_t used = 0;
    for (int k = 0; k < 3; k++) {
        int best = -1, least = 0;
        for (int w = 0; w < TK_WORDS; w++) {
            const int d = taken[w] ? 0 : tk_edit_distance(text, vocabulary[w]);
            if (taken[w] || (best >= 0 && d >= least)) continue;
            best = w;
            least = d;
        }
        taken[best] = true;
        used += (size_t)snprintf(to + used, room - used, "%s\"%s\"",
                                 k == 0   ? ""
                                 : k == 1 ? ", "
                                          : " or ",
                                 vocabulary[best]);
    }
}

tk_status tk_word_find(const char *text, size_t n, int *word)
{
    char own[32], near[96];
    for (int w = 0; w < TK_WORDS; w++)
        if (strlen(vocabulary[w]) == n && strncasecmp(vocabulary[w], text, n) == 0) {
            *word = w;
            return TK_OK;
        }
    snprintf(own, sizeof own, "%.*s", (int)(n < sizeof own ? n : sizeof own - 1), text);
    for (char *p = own; *p; p++) *p = (char)tolower((unsigned char)*p);
    nearest_words(own, near, sizeof near);
    return TK_FAIL(TK_INPUT, "nobody can say \"%s\": it is none of the %d words; near it are %s",
                   own, TK_WORDS, near);
}

tk_status tk_words_of(const char *text, int room, int *word, int *n)
{
    *n = 0;
    for (const char *p = text; *p;) {
        size_t len = 0;
        while (isalpha((unsigned char)p[len]) || (unsigned char)p[len] >= 128) len++;
        if (len) {
            if (*n == room)
                return TK_FAIL(TK_INPUT, "\"%.60s\" has more than %d words", text, room);
            TK_TRY(tk_word_find(p, len, &word[*n]));
            ++*n;
        }
        p += len ? len : 1;
    }
    return *n ? TK_OK : TK_FAIL(TK_INPUT, "\"%.60s\" has no words to be spoken", text);
}
