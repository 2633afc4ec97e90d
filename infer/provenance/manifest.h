// SPDX-License-Identifier: Apache-2.0
// A signed C2PA manifest (specification 2.1) in an MP4 file: who made it, by which model, from
// what, and a hash that binds all that to the file's bytes.
//
//     tk_signer_open(&by, &config.provenance);       // before any work
//     tk_manifest_room(by, &m, &room);               // how many bytes it will take
//     ... write the file with a free box of `room` bytes right behind ftyp ...
//     tk_manifest_put(by, &m, fd, path);             // fills it
#pragma once
#include "infer/provenance/mp4.h"
#include "infer/provenance/signer.h"

typedef enum tk_relation { // of what a clip was made from, to it
    TK_RELATION_INPUT,     // it was shown to the model: a reference, the model itself
    TK_RELATION_PART       // it is seen or heard in the clip
} tk_relation;

typedef struct tk_ingredient {
    const char *title; // a file's name, without its folders
    tk_relation relation;
    const char *type;  // of data, as the standard names it, "c2pa.types.model"; NULL: media
    const char *words; // about it; NULL: none
    tk_span store;     // manifest store of its own that holds, the last one being its; empty: none
} tk_ingredient;

// What was changed of an ingredient, where the clip is a remix of it, or taken of it, where shots
// of it are: in the assertion talkie.clip.
typedef struct tk_change {
    int ingredient;       // which, counted from 0
    const char *words;    // "shot 2 made anew from 0.6 of noise, sound kept"
    const char *strength; // "0.6"; NULL: shots are taken, none is made anew
    const int64_t *shots; // that were made; NULL: a part that is no whole shots; that were taken
    int64_t n_shots;
    char *const *kept;
    int64_t n_kept;
} tk_change;

typedef struct tk_manifest {
    const char *title;   // the file's name
    const char *version; // of talkie
    const tk_ingredient *ingredient;
    int n;                   // the first one is the model
    const tk_change *change; // (changes) one where a clip is remixed, one a clip of shots taken
    int changes;
    const uint8_t *latents; // (TK_MP4_HASH) of the clip's file of latents; NULL: they are not kept
} tk_manifest;

// Bytes of the box that will hold the manifest with those of its ingredients, at most INT32_MAX.
// TK_INPUT where they are more than a store holds, or two of one name are not the same.
tk_status tk_manifest_room(const tk_signer *by, const tk_manifest *m, int64_t *bytes);
// Over the free box of so many bytes right behind ftyp of a file that is otherwise finished. What
// the file holds is bound by place and bytes: it may be renamed afterwards and nothing else.
tk_status tk_manifest_put(const tk_signer *by, const tk_manifest *m, int fd, const char *path);
