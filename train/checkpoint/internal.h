// SPDX-License-Identifier: Apache-2.0
// What the files of the checkpoint share; nobody else includes this.
//   checkpoint.c  the collective protocols: save, open, load
//   pieces.c       a rank's pieces of the global tensors: device to file and back, digests
//   file.c           the HDF5 side, on rank 0 alone
//   seal.c           the seal over everything that is not tensor data
//   dir.c             which checkpoint of a directory: newest that verifies, pruning
#pragma once
#include "train/checkpoint/checkpoint.h"

#define TK_CHECKPOINT_FORMAT "talkie-checkpoint"
enum { TK_CHECKPOINT_VERSION = 1 };

typedef struct tk_ck_tensor { // a dataset of the file
    int64_t address, count;   // byte offset of its data, elements
    uint64_t digest;
} tk_ck_tensor;

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
    int fd;
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
// Digests elements [begin, begin + n) of a dataset, straight from the file.
tk_status tk_ck_digest_file(tk_ck_io *io, const tk_ck_tensor *t, int64_t begin, int64_t n,
                            uint64_t *sum);

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
// Finds the tensors of a model; TK_INPUT names what is missing, of another shape or too many.
tk_status tk_ck_find(const char *path, const tk_param_table *table, int n, const tk_flat *flat,
                     tk_ck_tensor *tensor);
// Every tensor of every group, with its name ("/model/...").
typedef struct tk_ck_list {
    int64_t n, cap;
    tk_ck_tensor *tensor;
    char **name;
    tk_arena *arena;
    tk_status status; // of the listing so far
} tk_ck_list;
tk_status tk_ck_list_all(const char *path, tk_arena *a, tk_ck_list *out);

// ---- the seal
// ------------------------------------------------------------------------------------

// Behind the end of HDF5's part of the file: where tensor data lies, and the XXH3 of everything
// else (this table included). HDF5 does not look there.
tk_status tk_ck_seal(const char *path, int64_t n, const tk_ck_tensor *tensor);
tk_status tk_ck_check_seal(const char *path);

// ---- the directory
// -------------------------------------------------------------------------------

// Collective: seal and every digest, each element read once by one rank.
tk_status tk_ck_verify(const char *path, tk_comm *world);
tk_status tk_ck_damaged(const char *path, const char *group, const char *name);
