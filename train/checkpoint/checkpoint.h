// SPDX-License-Identifier: Apache-2.0
// Checkpoints: one HDF5 file that holds the model, not the layout.
//
//   /            format "talkie-checkpoint", version, step, config (resolved YAML), git
//   /model/<name>      weights, fp32, global shape, under their public names
//   /ema/<name>        averaged weights (if any);  /adam/m/<name>, /adam/v/<name>  optimizer state
//   (if any)
//   /codec       the codec of the training data, or a reference to it (data/codec/codec.h)
//   /empty_features  (rows, channels) f32: text features of an empty caption (if any)
//   attributes weights, averaged, bare: of weights alone (tk_checkpoint_meta)
//   /progress    attributes: EMA updates, the digest of the clips, whatever resuming needs
//
// Any layout writes and reads it: rank 0 lays the datasets out, every rank writes its pieces with
// pwrite. Each tensor carries a digest (attribute) that does not depend on the layout: the sum over
// elements of a mix of (global index, bits), so that ranks can make and verify it from their
// pieces. Behind HDF5's end of file lies a seal: the XXH3 of every byte that is not tensor data. A
// flipped byte is thus found wherever it lies. Commit: temporary name, fsync, read back and verify,
// rename, fsync the directory.
//
// Weights alone are a checkpoint that has no other group than /model. In safetensors they open and
// load as one: a file that tk_weights_write made, or a folder in the layout of diffusers that holds
// a model of the published family (config.json, diffusion_pytorch_model.safetensors or shards of
// it). Each rank reads of them what it holds, widened to fp32.
#pragma once
#include "core/model/model.h"
#include "data/clip/clip.h"
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
    uint64_t clips;    // digest of those trained on (tk_loader_digest); 0: not told
    tk_text_form text; // of text features: what an empty caption has, if that is not zeros
    uint64_t digest;   // of all its numbers; of an open: by tk_checkpoint_newest alone
    // Of an open: weights alone; which say nothing but the model they are of; which are averages.
    bool weights, bare, averaged;
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
// The same for the weights that a new run begins with, one flat: what an option of its model adds
// to those in the file stays as the flat has it.
tk_status tk_checkpoint_begin(const char *path, tk_mesh *mesh, tk_model *model, tk_flat *flat);
tk_status tk_checkpoint_has(const char *path, const char *group, bool *has);
// Collective. Newest checkpoint of a run directory ("step-00000100.h5") that verifies and opens, or
// the file itself if `where` is one; those that do not are named aloud. TK_INPUT if there is none.
// A run that goes on meanwhile and removes old ones is no hindrance. One that refers to a codec
// which codec_file does not give is no bad checkpoint: none before it is tried. *meta: as of
// tk_checkpoint_open.
tk_status tk_checkpoint_newest(const char *where, const char *codec_file, tk_comm *world,
                               tk_arena *a, char **path, tk_checkpoint_meta *meta);
// TK_INPUT where nothing is at `where`, with the folder in which it was looked for.
tk_status tk_checkpoint_exists(const char *where);
// Its header alone, of the newest by name, on one rank and without its codec.
tk_status tk_checkpoint_look(const char *where, tk_arena *a, char **path, tk_checkpoint_meta *meta);
// The step of a checkpoint's name in a run directory, "step-00000100.h5"; -1 for any other name.
int64_t tk_checkpoint_step(const char *name);

// ---- weights alone
// -----------------------------------------------------------------------------

typedef struct tk_weights_form { // as which weights are written
    bool folder;                 // in the layout of diffusers: a model of the published family
    bool checkpoint;             // HDF5, as a run writes them; always fp32
    bool bf16;                   // rounded to nearest even; else fp32
    bool average;                // the averaged ones
    int64_t shard;               // bytes of a file of a folder, at most, unless a tensor has more
} tk_weights_form;

// Collective over world. The weights of `from` (a file or folder that tk_checkpoint_newest named)
// of a model `m`, as safetensors or as a checkpoint: a file, with meta->config, step and codec
// (NULL: none), or a folder, which must not be there or be empty. Tensor by tensor: ranks share out
// the elements. Complete under its name or not there.
tk_status tk_weights_write(const char *from, const char *to, const tk_checkpoint_meta *meta,
                           const tk_model_config *m, const tk_weights_form *form, tk_comm *world);

// Of the directory's checkpoints up to step `saved`, the one just saved, the newest `keep` stay.
// Those of later steps are damaged, or the run would have gone on from them: they stay as well, and
// count for nothing.
tk_status tk_checkpoint_prune(const char *dir, int64_t saved, int64_t keep);
