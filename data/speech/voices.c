// SPDX-License-Identifier: Apache-2.0
#include "data/speech/voices.h"
#include "core/base/status.h"

static const tk_voice voices[TK_VOICES_ALL] = {
    {"a woman's, low and slow", "slt", 165, 0, 1.05F, 1},
    {"a girl's, high and quick", "slt", 250, 0, 0.95F, 1},
    {"a man's, very deep and slow", "rms", 82, 0, 1.1F, 0.94F},
    {"a young man's, bright", "rms", 102, 0, 0.95F, 1.17F},
    {"a Scotsman's, calm", "awb", 105, 0, 1.1F, 1},
    {"a Scotsman's, high and lively", "awb", 175, 0, 1, 1},
    {"a machine's, deep and slow", "kal16", 90, 10, 1.15F, 1},
    {"a machine's, high and quick", "kal16", 150, 18, 1, 1},
    {"a woman's, clear", "slt", 205, 0, 1, 1},
    {"a man's, plain", "rms", 87, 0, 1, 1},
    {"a stranger's, a woman's, deep", "slt", 148, 0, 1.1F, 1},
    {"a stranger's, a woman's, calm", "slt", 184, 0, 1.05F, 1},
    {"a stranger's, a woman's, quick", "slt", 230, 0, 0.92F, 1},
    {"a stranger's, a girl's", "slt", 275, 0, 1, 1},
    {"a stranger's, a man's, light", "rms", 96, 0, 1.05F, 1.1F},
    {"a stranger's, a man's, lighter", "rms", 110, 0, 0.95F, 1.26F},
    {"a stranger's, a Scotsman's, deep", "awb", 88, 0, 1.05F, 1},
    {"a stranger's, a Scotsman's, plain", "awb", 124, 0, 1, 1},
    {"a stranger's, a Scotsman's, quick", "awb", 148, 0, 0.92F, 1},
    {"a stranger's, a machine's, very deep", "kal16", 74, 10, 1.08F, 1},
    {"a stranger's, a machine's, plain", "kal16", 108, 14, 1, 1},
    {"a stranger's, a machine's, quick", "kal16", 128, 16, 0.94F, 1},
};

const tk_voice *tk_voice_of(int voice)
{
    tk_assert(voice >= 0 && voice < TK_VOICES_ALL);
    return &voices[voice];
}
