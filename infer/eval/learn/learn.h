// SPDX-License-Identifier: Apache-2.0
// What judges are shown before they judge: clips of the world with labels, of a seed of their own,
// so that no clip that is judged was ever shown.
#pragma once
#include "data/codec/codec.h"
#include "data/scene/scene.h"
#include "infer/judges/people/clothes.h"
#include "infer/judges/people/lips.h"
#include "infer/judges/sight/settings.h"
#include "infer/judges/sound/voice.h"
#include "infer/judges/sound/words.h"

typedef struct tk_learned {
    tk_settings settings;
    tk_head_finder heads;
    tk_clothes clothes;
    tk_lips_reader lips;
    tk_classes things; // 0 none, then 1 + tk_kind (infer/judges/sight/things.h)
    tk_classes
        scapes; // tk_set of what is heard (infer/judges/sound/scapes.h); none learned: not asked
    tk_speakers *speakers; // characters; NULL with
    tk_ear *ear;           // words of the vocabulary; NULL where nobody speaks, or none could hear
} tk_learned;
void tk_learned_close(tk_learned *l); // what lies in no arena; zeroed is fine

// What prompts of c->world ask for of settings and heads, as they are and as the codec shows them
// (NULL: as they are alone), from clips of c->media's size, the more of them the more
// c->eval.shown; filmed by all threads in some seconds, the same on any number of threads. `speech`
// as film wants it; NULL: mouths stay shut.
tk_status tk_learn(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                   tk_learned *out);

// Clothes and lips, as they are and as the codec shows them (NULL: as they are alone), the more
// clips the more c->eval.shown.
tk_status tk_learn_people(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_learned *out);
// Things, as they are and as the codec shows them (NULL: as they are alone), from c->eval.shown
// clips.
tk_status tk_learn_things(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_classes *out);

// What is said, by whom, and soundscapes, as they are and as the codec lets them be heard (NULL: as
// they are alone): as far as prompts of c->world ask for them. Says so where sound has too low a
// rate for speech to be judged.
tk_status tk_learn_sounds(const tk_config *c, const tk_codec *codec, tk_speech *speech, tk_arena *a,
                          tk_learned *out);

// Of these the words of the vocabulary alone: an ear, NULL where none could hear.
tk_status tk_learn_words(tk_learned *out);

// The clip's pictures and samples, as far as it has any, encoded and decoded. g: the clip's grid.
tk_status tk_media_through_codec(const tk_codec *c, const tk_grid *g, tk_media *m);

// Labels of a scene's shot, and its frames in a clip.
tk_setting tk_setting_of(const tk_scene *s, int shot);
void tk_frames_of(const tk_scene *s, const tk_media *m, int shot, int64_t *first, int64_t *n);
// Heads that are wholly in the frame at time t, of any size: at most TK_HEADS; how many.
int tk_heads_of(const tk_scene *s, const tk_media *m, double t, tk_head *out);
