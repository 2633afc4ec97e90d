// SPDX-License-Identifier: Apache-2.0
// Clips of the world, true or broken on purpose: what a judge must tell from the scene that was
// asked for.
#pragma once
#include "data/codec/media.h"
#include "data/scene/scene.h"

// X(break, name in reports, what is wrong in such a clip)
#define TK_BREAK_MAP(X)                                                              \
    X(TK_BREAK_NONE, "truth", "nothing")                                             \
    X(TK_BREAK_STYLE, "style", "it is drawn in another style")                       \
    X(TK_BREAK_SET, "set", "it plays in another set")                                \
    X(TK_BREAK_PEOPLE, "people", "after the first cut other people stand there")     \
    X(TK_BREAK_CLOTHES, "clothes", "after the first cut they wear others' clothes")  \
    X(TK_BREAK_LIPS, "lips", "mouths say other words, later, than those that sound") \
    X(TK_BREAK_SOUND, "sound", "it sounds three frames late")                        \
    X(TK_BREAK_COLOURS, "colours", "after the first cut things have other colours")  \
    X(TK_BREAK_GRAVITY, "gravity", "things move as under half of gravity")           \
    X(TK_BREAK_WORDS, "words", "other words are said")                               \
    X(TK_BREAK_VOICE, "voice", "others' voices say what is said")                    \
    X(TK_BREAK_SCAPE, "scape", "it sounds as in another set")                        \
    X(TK_BREAK_SILENCE, "silence", "nothing sounds")

typedef enum tk_break {
#define X(kind, name, words) kind,
    TK_BREAK_MAP(X)
#undef X
        TK_BREAKS
} tk_break;
extern const char *const tk_break_name[TK_BREAKS], *const tk_break_words[TK_BREAKS];

// The scene as a clip of `frames` pictures and their samples, broken so. The caller frees it
// (tk_media_free) when it was made. `speech` as film wants it.
tk_status tk_break_film(tk_break b, const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                        int64_t frames, tk_media *out);
// Its sound alone: pcm (samples, channels).
tk_status tk_break_sound(tk_break b, const tk_scene *s, const tk_media_config *m, tk_speech *speech,
                         int64_t samples, float *pcm);
