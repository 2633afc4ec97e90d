// SPDX-License-Identifier: Apache-2.0
// Speech: a line of words of the vocabulary by one of the voices, as samples with the times of its
// words and phones.
//
//     tk_speech *speech;
//     TK_TRY(tk_speech_open(16000, &speech));
//     TK_TRY(tk_speak(speech, 3, "Why? Never!", arena, &line));
//     tk_speech_close(speech);
//
// A pure function of rate, voice and words: the same bits in each call, on each thread, in any
// order. Words are said one by one with a pause between, each as loud as the others: what is heard,
// what captions say and what a recognizer finds are then the same words (docs/speech.md).
//
// A word is made when it is first asked for and kept, which then costs nothing but a copy: at most
// TK_WORDS x TK_VOICES_ALL of them, about half a second each (28 MB at 16 kHz in all, and in
// proportion to the rate).
#pragma once
#include "data/speech/flite.h"
#include "data/speech/words.h"

enum { TK_LINE_WORDS = 16 };  // in a line, at most
#define TK_SPEECH_PAUSE 0.2   // seconds between two words
#define TK_SPEECH_LEVEL 0.1F  // root mean square of each word, full scale 1
#define TK_SPEECH_PEAK 0.891F // what no sample is beyond (-1 dB); such a word is quieter

typedef struct tk_spoken { // a word of a line
    int word;
    double begin, end; // seconds: of its first phone, of its last
} tk_spoken;

typedef struct tk_line {   // times from its first sample, which is its first word's
    int64_t samples, rate; // up to the end of the last word
    float *pcm;            // one channel
    int words, phones;
    tk_spoken *word; // (words)
    tk_phone *phone; // (phones) in order, with gaps between words
} tk_line;

typedef struct tk_speech tk_speech;

// TK_INPUT for a rate below 8000 samples a second and where this build has no speech.
tk_status tk_speech_open(int64_t rate, tk_speech **out);
// The words of `text` (tk_words_of), at most TK_LINE_WORDS, in `a`. Any thread.
tk_status tk_speak(tk_speech *s, int voice, const char *text, tk_arena *a, tk_line *out);
void tk_speech_close(tk_speech *s); // NULL is fine
