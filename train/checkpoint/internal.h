// SPDX-License-Identifier: Apache-2.0
// What the files of the checkpoint share; nobody else includes this.
//   checkpoint.c  the collective protocols: save, open, load
//   pieces.c       a rank's pieces of the global tensors: device to file and back, digests
//   file.c           the HDF5 side, on rank 0 alone
//   set.c             the files that tensors lie in, known to all ranks
//   seal.c           the seal over everything that is not tensor data
//   dir.c             which checkpoint of a directory: newest that verifies, pruning
//   weights.c        weights alone, in safetensors: ours, and a folder of diffusers'
//   diffusers.c      config.json of such a folder from and to the model section
//   export_files.c    their files as they are laid out and finished, on rank 0
//   export.c          weights written as safetensors: the collective protocol
#pragma once
#include "train/checkpoint/checkpoint.h"

#define TK_CHECKPOINT_FORMAT "talkie-checkpoint"
enum { TK_CHECKPOINT_VERSION = 1 };

typedef struct tk_ck_tensor { // a dataset of the file, or a tensor of safetensors
    int64_t address, count;   // byte offset of its data, elements
    uint64_t digest;          // 0 where the file does not tell it
    int32_t file, type;       // of tk_ck_files, or TK_CK_NONE; a tk_safe_type
} tk_ck_tensor;
enum { TK_CK_NONE = -1 }; // lies in no file: what the flat has of it stays

typedef struct tk_ck_files { // that tensors lie in
    int n;
    const char **path;
} tk_ck_files;

// Called on rank 0 between the phases of a save: "digest", "layout", "write", "verify", "rename",
// "done". NULL unless a program of the tests sets it.
extern void (*tk_ck_at)(const char *arrow);

// ---- pieces
// --------------------------------------------------------------------------------------

typedef enum tk_ck_mode {
    TK_CK_DIGEST, // device -> digest
    TK_CK_WRITE,  // device -> file
    TK_CK_CHECK,  // file -> digest
    TK_CK_LOAD    // file -> device and digest
} tk_ck_mode;

typedef struct tk_ck_tally { // of one tensor, summed over ranks later
    uint64_t digest, count;  // of the elements seen
} tk_ck_tally;

typedef struct tk_ck_io {
    const tk_ck_files *files; // to be read; opened when a tensor lies there
    int fd, file;             // the one that is open; -1: none
    const char *path;
    float *host; // staging between device and file
    float *span; // whole rows of a tensor whose columns are shared out
    size_t span_bytes;
} tk_ck_io;

tk_status tk_ck_io_open(tk_ck_io *io); // buffers only; fd = -1
void tk_ck_io_close(tk_ck_io *io);

// A stretch of a share that is contiguous in the global tensor as well.
typedef struct tk_ck_run {
    int64_t local, global, n; // element offsets in the share and in the tensor, length
} tk_ck_run;
// The run that begins at element `at` of the share, cut at `end` (at < end <= rows * cols).
tk_ck_run tk_ck_next_run(const tk_param_spec *s, const tk_share *h, int64_t at, int64_t end);

// Sum over elements i of mix(first + i, bits of x[i]), modulo 2^64.
uint64_t tk_ck_digest(const float *x, int64_t n, int64_t first);

// Takes every local weight of a flat through a mode.
typedef struct tk_ck_passing {
    tk_ck_io *io;
    tk_ck_mode mode;
    const tk_mesh *mesh;
    tk_model *model;
    const tk_flat *flat;
    const tk_ck_tensor *tensor; // (table.n) of this flat's group
    tk_ck_tally *tally;         // (table.n), added to
    bool mine_only;             // leave out pieces that another rank accounts for
} tk_ck_passing;
tk_status tk_ck_pass(const tk_ck_passing *p);
// Digests elements [begin, begin + n) of a dataset, straight from the file. *finite becomes false
// where one is not.
tk_status tk_ck_digest_file(tk_ck_io *io, const tk_ck_tensor *t, int64_t begin, int64_t n,
                            bool *finite, uint64_t *sum);
// What stands for a tensor that may be missing.
tk_ck_tensor tk_ck_none(const tk_param_spec *s);
// Elements [first, first + n) of a tensor, widened.
tk_status tk_ck_read(tk_ck_io *io, const tk_ck_tensor *t, int64_t first, int64_t n, float *to);
enum { TK_CK_STAGE = 1 << 20 }; // elements staged at a time: io.host has room for them

// ---- the file, on one rank
// -----------------------------------------------------------------------

// Creates the file with every group, dataset (address filled in) and attribute, seals it and
// claims its disk space. tensor: (n, table->n) with digests.
tk_status tk_ck_lay_out(const char *path, const tk_checkpoint_meta *meta,
                        const tk_param_table *table, int n, const tk_flat *flat,
                        tk_ck_tensor *tensor);
// Opens for reading: seal, format and version hold.
tk_status tk_ck_open(const char *path, hid_t *file);
tk_status tk_ck_read_meta(const char *path, const char *codec_file, tk_arena *a,
                          tk_checkpoint_meta *out);
// Whether text features of an empty caption, as a file has them, can be.
tk_status tk_ck_check_empty(const tk_text_form *f);
#define TK_EMPTY_FEATURES "empty_features" // dataset or tensor
// Finds the tensors of a model, one group of them a flat, and the files they lie in; TK_INPUT names
// what is missing, of another shape or too many. may_add: those that an option adds may be missing.
tk_status tk_ck_find(const char *path, const tk_param_table *table, int n, const tk_flat *flat,
                     bool may_add, tk_arena *a, tk_ck_tensor *tensor, tk_ck_files *files);
// Collective: rank 0's, for everybody.
tk_status tk_ck_share_files(tk_comm *world, tk_arena *a, tk_ck_files *files);
tk_status tk_ck_one_file(const char *path, tk_arena *a, tk_ck_files *files);
// Every tensor of every group, with its name ("/model/...").
typedef struct tk_ck_list {
    int64_t n, cap;
    tk_ck_tensor *tensor;
    char **name;
    tk_arena *arena;
    tk_status status; // of the listing so far
    tk_ck_files files;
    bool weights;     // weights alone: no tensor has a digest of its own,
    const char *told; // but all together may: hexadecimal
} tk_ck_list;
tk_status tk_ck_list_all(const char *path, tk_arena *a, tk_ck_list *out);

// ---- the seal
// ------------------------------------------------------------------------------------

// Behind the end of HDF5's part of the file: where tensor data lies, and the XXH3 of everything
// else (this table included). HDF5 does not look there.
tk_status tk_ck_seal(const char *path, int64_t n, const tk_ck_tensor *tensor);
tk_status tk_ck_check_seal(const char *path);
// The hash it holds: tells any two checkpoints apart.
tk_status tk_ck_seal_hash(const char *path, uint64_t *hash);

// ---- the directory
// -------------------------------------------------------------------------------

// Collective: seal and every digest, each element read once by one rank. Weights of others must be
// finite. *digest: as tk_checkpoint_meta's, on rank 0.
tk_status tk_ck_verify(const char *path, tk_comm *world, uint64_t *digest);
tk_status tk_ck_damaged(const char *path, const char *group, const char *name);

// ---- weights alone
// -----------------------------------------------------------------------------

#define TK_WEIGHTS_FORMAT "talkie-weights"
#define TK_DIFFUSERS_STEM "diffusion_pytorch_model"
#define TK_DIFFUSERS_CONFIG "config.json"
enum { TK_WEIGHTS_VERSION = 1 };

bool tk_ck_is_folder(const char *path); // in the layout of diffusers
// Whether it is such a folder, or a safetensors file.
tk_status tk_ck_is_weights(const char *path, bool *is);
tk_status tk_ck_weights_meta(const char *path, const char *codec_file, tk_arena *a,
                             tk_checkpoint_meta *out);
tk_status tk_ck_weights_find(const char *path, const tk_param_table *table, const char *group,
                             bool may_add, tk_arena *a, tk_ck_tensor *tensor, tk_ck_files *files);
tk_status tk_ck_weights_list(const char *path, tk_arena *a, tk_ck_list *out);
// The digest of weights from those of their tensors.
uint64_t tk_ck_digest_all(int64_t n, char *const *name, const uint64_t *sum);

// The options that the config.json of a folder says, as YAML; and such a file's text from a model's
// section.
tk_status tk_ck_diffusers_read(const char *folder, tk_arena *a, char **yaml);
tk_status tk_ck_diffusers_text(const tk_model_config *m, tk_arena *a, char **text);

typedef struct tk_ck_export { // weights on their way from one place to another
    const char *from, *to;
    const tk_checkpoint_meta *meta;
    const tk_model_config *config;
    const tk_weights_form *form;
    tk_arena arena;
    tk_param_table table;
    tk_ck_tensor *source, *target; // (table.n)
    tk_ck_files source_files, target_files;
    uint64_t *sum, *back; // (table.n) digests of what was written, and of what is there
    // On rank 0: a file for each of target_files, then those that tell of them.
    tk_file *file;
    int n_files;
    bool made_folder;
    struct tk_safe_tensor *tensor; // (n_tensors), behind the table's what goes with a model
    int n_tensors;
    char **head; // (target_files.n)
    int64_t *head_bytes;
} tk_ck_export;

// Begins the files, writes their heads and what goes with the numbers, fills in target and
// target_files. A checkpoint tells the digests of its tensors from the start: they are in x->sum.
tk_status tk_ck_export_lay_out(tk_ck_export *x);
// The numbers are there: heads that tell their digest, what tells of the files, all under their
// names.
tk_status tk_ck_export_finish(tk_ck_export *x);
void tk_ck_export_drop(tk_ck_export *x); // what was not finished; fine after it was
