// SPDX-License-Identifier: Apache-2.0
// The voices of characters: four of flite's speakers, each at several pitches, paces and sizes, far
// enough apart that they are told apart by ear (docs/speech.md). A voice is its number in the
// table.
#pragma once

// The last TK_VOICES - TK_VOICES_TRAINED are for characters that nobody has been trained on. After
// them come the voices of strangers, who are of no cast: TK_VOICES .. TK_VOICES_ALL - 1, unlike
// those.
enum { TK_VOICES = 10, TK_VOICES_TRAINED = 8, TK_VOICES_ALL = 22 };

typedef struct tk_voice {
    const char *words;   // what it is like: "a woman's, low and slow"
    const char *speaker; // of flite's
    float pitch;         // mean f0, Hz; rms has one of its own, 87 Hz at size 1
    float spread;        // standard deviation of f0, Hz; 0: the speaker's own
    float stretch;       // of durations: 1 = the speaker's own pace
    float size;          // 1: the speaker; 1.2: resonances and pitch of a head a fifth smaller
} tk_voice;
const tk_voice *tk_voice_of(int voice);
