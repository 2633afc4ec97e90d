// SPDX-License-Identifier: Apache-2.0
// What was changed on the way from a media file to our clocks and size, where a person may want to
// know: a table of facts. The reader fills it, the import prints it. That pictures are scaled and
// come at another rate is no news.
#pragma once
#include <stdbool.h>
#include <stddef.h>

// X(fact, words, %s = its detail), in the order they are told
#define TK_FACT_MAP(X)                                               \
    X(TK_FACT_RESTARTED, "clock restarted %s")                       \
    X(TK_FACT_STILL, "a still, held for %s s")                       \
    X(TK_FACT_DEINTERLACED, "deinterlaced")                          \
    X(TK_FACT_TONE_MAPPED, "tone-mapped from %s")                    \
    X(TK_FACT_GAMUT, "colours of %s brought to BT.709")              \
    X(TK_FACT_BLENDED, "transparent parts blended over black")       \
    X(TK_FACT_TURNED, "turned as the file says")                     \
    X(TK_FACT_CROPPED, "cropped from %s")                            \
    X(TK_FACT_DOWNMIXED, "sound downmixed from %s")                  \
    X(TK_FACT_RESAMPLED, "sound resampled from %s Hz")               \
    X(TK_FACT_LIMITED, "sound limited, by up to %s dB")              \
    X(TK_FACT_GAPS, "gaps of %s s in the sound filled with silence") \
    X(TK_FACT_SHORT, "silence in the last %s s, which have no sound")

typedef enum tk_fact {
#define X(fact, words) fact,
    TK_FACT_MAP(X)
#undef X
        TK_FACT_COUNT
} tk_fact;

typedef struct tk_facts {
    struct {
        bool is;
        char detail[40];
    } of[TK_FACT_COUNT];
} tk_facts;

// printf style detail; "" where the words have none.
void tk_facts_note(tk_facts *f, tk_fact fact, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// "deinterlaced, tone-mapped from PQ" into `to`; "" where nothing was changed.
void tk_facts_words(const tk_facts *f, char *to, size_t n);
