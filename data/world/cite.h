// SPDX-License-Identifier: Apache-2.0
// Whom the world's clips cite: people whose faces, voices or both a clip may be given, by the share
// world.references. Captions then name them by tags alone, <face 1> <voice 1>, or go on naming them
// by their names, so that a model learns both: that a name means somebody it knows, and that a tag
// means whoever is given.
//
// A pure function of the config: of the cast there is one face each and TK_VOICE_SAMPLES samples of
// the voice, shared by all clips; strangers have their own, and no name but their tags.
#pragma once
#include "data/clip/clip.h"
#include "data/world/likeness.h"

enum { TK_VOICE_SAMPLES = 8 };

typedef struct tk_world_citing { // of a person in a clip
    int number;                  // of the tags; 0: is not cited
    bool named;                  // captions name the person by name
    int64_t face, voice;         // references of the file; -1: none
} tk_world_citing;

typedef struct tk_world_cited {
    const tk_config *config;
    tk_codec_info codec;
    tk_arena *arena;
    tk_world_citing (*clip)[TK_SCENE_PEOPLE]; // (clips)
    int64_t n, room;
    tk_clip_reference *reference; // (n) of the file
    tk_likeness *likeness;        // (n) what they show
    int64_t known[TK_CAST][1 + TK_VOICE_SAMPLES];
} tk_world_cited;

// All in `a`.
tk_status tk_world_cited_open(const tk_config *c, const tk_codec_info *k, tk_arena *a,
                              tk_world_cited *out);
// Clips in order: the citations of clip i, whose scene that is; `speaks`: voices can be heard.
tk_status tk_world_cite(tk_world_cited *all, const tk_scene *s, int64_t i, bool speaks,
                        tk_clip_info *clip);
