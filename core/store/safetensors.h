// SPDX-License-Identifier: Apache-2.0
// safetensors: tensors by name in one file, or shared out over the files of a folder.
//
//   8 bytes           length of the header, little-endian
//   header            JSON: name -> {"dtype", "shape", "data_offsets": [begin, end)}, and
//                     "__metadata__": texts by key; blanks behind it
//   the rest          the tensors' numbers, row-major, end to end: no byte belongs to none or two
//
// A folder in the layout of diffusers holds NAME.safetensors, or shards and
// NAME.safetensors.index.json, which says in which file each tensor lies.
//
// Only headers are read here; numbers are asked for stretch by stretch, so that no tensor need lie
// in memory whole. Files come from others: every length is bounded before it is believed, and what
// is wrong is TK_INPUT, told once, with the file and the tensor.
#pragma once
#include "core/base/files.h"
#include <stdint.h>

typedef enum tk_safe_type {
    TK_SAFE_F32,
    TK_SAFE_BF16,
    TK_SAFE_F16,
    TK_SAFE_U8, // bytes: what is no number of a model
    TK_SAFE_TYPES
} tk_safe_type;

enum { TK_SAFE_DIM = 8, TK_SAFE_NAME = 200 }; // most dimensions; most bytes of a tensor's name

typedef struct tk_safe_tensor {
    const char *name;
    tk_safe_type type;
    int ndim;
    int64_t dim[TK_SAFE_DIM];
    int64_t count;   // elements
    int file;        // of tk_safetensors.path
    int64_t address; // of its first byte in that file
} tk_safe_tensor;

typedef struct tk_safe_note { // of __metadata__
    const char *key, *value;
} tk_safe_note;

typedef struct tk_safetensors { // all of it lives in the arena
    int n_files;
    const char **path;
    int n;
    tk_safe_tensor *tensor; // by name, ascending
    int n_notes;
    tk_safe_note *note; // of the only file
} tk_safetensors;

int64_t tk_safe_bytes(tk_safe_type t); // of an element
const char *tk_safe_type_name(tk_safe_type t);
// Whether the file begins as one of this format does, or is called *.safetensors. What is no
// regular file, or not there, is none; one that cannot be opened is a failure.
tk_status tk_safe_is(const char *path, bool *is);

// ---- reading -----------------------------------------------------------------------------------

tk_status tk_safe_open(const char *path, tk_arena *a, tk_safetensors *out);
// Whether a folder holds STEM.safetensors or STEM.safetensors.index.json; and what it holds.
bool tk_safe_in_folder(const char *folder, const char *stem);
tk_status tk_safe_open_folder(const char *folder, const char *stem, tk_arena *a,
                              tk_safetensors *out);
// NULL: there is none of that name, key.
const tk_safe_tensor *tk_safe_find(const tk_safetensors *s, const char *name);
const char *tk_safe_note_of(const tk_safetensors *s, const char *key);
// Elements [first, first + n) of a tensor of numbers, widened. `fd` is its file, `path` for words.
tk_status tk_safe_get(int fd, const char *path, const tk_safe_tensor *t, int64_t first, int64_t n,
                      float *x);

// ---- writing -----------------------------------------------------------------------------------

// A file's beginning, up to its first number: *head has *bytes. Tensors lie in the order given;
// their count and address are filled in, *total is what the file comes to.
tk_status tk_safe_head(int n_notes, const tk_safe_note *note, int n, tk_safe_tensor *tensor,
                       tk_arena *a, char **head, int64_t *bytes, int64_t *total);
// The same stretch, rounded to nearest even where the type is narrower. TK_INPUT, with the tensor's
// name, where one of the numbers is not finite or becomes so.
tk_status tk_safe_put(int fd, const char *path, const tk_safe_tensor *t, int64_t first, int64_t n,
                      const float *x);
