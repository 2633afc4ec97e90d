// SPDX-License-Identifier: Apache-2.0
// Checkpoints: one HDF5 file that holds the model, not the layout.
//
//   /            format "talkie-checkpoint", version, step, config (resolved YAML), git
//   /model/<name>      weights, fp32, global shape, under their public names
//   /ema/<name>        averaged weights (if any);  /adam/m/<name>, /adam/v/<name>  optimizer state
//   (if any)
//   /codec       the codec of the training data, or a reference to it (data/codec/codec.h)
//   /progress    attributes: EMA updates, whatever resuming needs
//
// Any layout writes and reads it: rank 0 lays the datasets out, every rank writes its pieces with
// pwrite. Each tensor carries a digest (attribute) that does not depend on the layout: the sum over
// elements of a mix of (global index, bits), so that ranks can make and verify it from their
// pieces. Behind HDF5's end of file lies a seal: the XXH3 of every byte that is not tensor data. A
// flipped byte is thus found wherever it lies. Commit: temporary name, fsync, read back and verify,
// rename, fsync the directory.
#pragma once
#include "core/model/model.h"
#include "data/codec/codec.h"
#include "parallel/mesh.h"

// What a rank holds of a buffer laid out like the model's values: all of it (the model's `whole`),
// or some stretches (optimizer shards over data ranks). Pieces held by several ranks are written by
// one of them.
typedef struct tk_flat {
    const char *group;           // "model", "ema", "adam/m", "adam/v"
    tk_tensor x;                 // f32 on the device
    const tk_flat_part *stretch; // (n) of the model's flat layout, and where they lie in x
    int n;
    bool owner; // this rank writes what it holds (false: another rank holds the same and writes it)
} tk_flat;

typedef struct tk_checkpoint_meta {
    int64_t step;
    char *config;    // YAML
    tk_codec *codec; // owned by the reader's caller after a load
    bool refer;      // to the codec, and not carry it: a save; an open, on rank 0
    double ema_updates;
    const char *staging; // folder that a save writes its temporary file in; NULL: beside the file
} tk_checkpoint_meta;

// Collective over m->world. Never leaves a partial file under its final name.
tk_status tk_checkpoint_save(const char *path, tk_mesh *mesh, tk_model *model, int n,
                             const tk_flat *flat, const tk_checkpoint_meta *meta);
// Collective. Reads the header only (any rank count); checks format, version and seal. codec_file:
// see tk_codec_read; NULL: the codec is not wanted.
tk_status tk_checkpoint_open(const char *path, const char *codec_file, tk_comm *world, tk_arena *a,
                             tk_checkpoint_meta *out);
// Collective. Fills the flats (groups that the file lacks: TK_INPUT naming the group) and verifies
// digests.
tk_status tk_checkpoint_load(const char *path, tk_mesh *mesh, tk_model *model, int n,
                             tk_flat *flat);
tk_status tk_checkpoint_has(const char *path, const char *group, bool *has);
// The hash a checkpoint is sealed with: tells any two of them apart.
tk_status tk_checkpoint_seal(const char *path, uint64_t *hash);
// Collective. Newest checkpoint of a run directory ("step-00000100.h5") that verifies and opens, or
// the file itself if `where` is one; those that do not are named aloud. TK_INPUT if there is none.
// A run that goes on meanwhile and removes old ones is no hindrance. One that refers to a codec
// which codec_file does not give is no bad checkpoint: none before it is tried. *meta: as of
// tk_checkpoint_open.
tk_status tk_checkpoint_newest(const char *where, const char *codec_file, tk_comm *world,
                               tk_arena *a, char **path, tk_checkpoint_meta *meta);
// The step of a checkpoint's name in a run directory, "step-00000100.h5"; -1 for any other name.
int64_t tk_checkpoint_step(const char *name);
// Keeps the newest `keep` checkpoints of the directory.
tk_status tk_checkpoint_prune(const char *dir, int64_t keep);
