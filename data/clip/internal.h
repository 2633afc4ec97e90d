// SPDX-License-Identifier: Apache-2.0
// What reading, writing and sharing of clip files have in common.
#pragma once
#include "data/clip/clip.h"

#define TK_CLIP_FORMAT "talkie-clips"
enum {
    TK_CLIP_VERSION = 2,
    TK_CLIP_SHOTS = 1024,         // most shots of a clip
    TK_CLIP_CITATIONS = 64,       // ... references
    TK_CLIP_TAG = 64,             // bytes of a tag, or of a word
    TK_CLIP_REFERENCES = 1 << 24, // of a file
    TK_CLIP_FEATURES = 1 << 26,   // ...
    TK_CLIP_TEXT_ROWS = 1 << 16   // rows of text features of a shot, and numbers of a row
};

// One modality of a sample in the file.
typedef struct tk_clip_part {
    const char *what; // "video"
    int64_t address, bytes;
    uint64_t *digest; // in the bucket
    bool wide;        // numbers of thirty-two bits, else of sixteen
} tk_clip_part;
tk_clip_part tk_clip_part_of(const tk_bucket *b, const tk_clip_info *s, bool sound);
// Fills in a bucket's byte counts; TK_INPUT when its shape is not one the codec makes.
tk_status tk_bucket_check(tk_bucket *b, const tk_codec_info *i, const char *where);
void tk_bucket_name(const tk_bucket *b, char out[80]);
// Descriptors come and go (files.c): c->path is opened and c->id noted; bytes are read, by any
// thread; what is kept open of c is closed.
tk_status tk_clip_identify(tk_clips *c);
tk_status tk_clip_pread(const tk_clips *c, void *x, int64_t bytes, int64_t address);
void tk_clip_forget(const tk_clips *c);
// Checks that a clip's bucket, slot and shots fit its bucket.
tk_status tk_clip_check(const tk_clip_info *c, int n_buckets, const tk_bucket *b, const char *path);
// Reads one modality of a sample or reference: bytes in, digest, widen. `name`: of whose.
tk_status tk_clip_part_read(const tk_clips *c, const char *name, const tk_clip_part *p, void *raw,
                            float *x);

// References (references.c). Fills in a reference's byte counts; TK_INPUT when it cannot be.
tk_status tk_reference_check(tk_clip_reference *r, const tk_codec_info *i, const char *path);
// Whether its tag and word are some that a clip may have.
bool tk_citation_is_named(const tk_clip_citation *c);
// Checks that a clip's citations name references of the file.
tk_status tk_citations_check(const tk_clip_info *c, int64_t n_references, const char *path);
// Modality m of theirs begins at that address; bytes of all of them.
int64_t tk_references_place(int64_t n, tk_clip_reference *r, int m, int64_t address);
// Room for their rows, and where it is.
tk_status tk_references_lay_out(hid_t file, int64_t n, tk_clip_reference *r);
// What is known of them beside their rows. Clips with left_out are not there.
// `at`: their group in the file.
tk_status tk_references_write(hid_t file, hid_t at, int64_t n, const tk_clip_reference *r,
                              int64_t n_clips, const tk_clip_info *clip, const uint64_t *left_out,
                              tk_arena *a);
// All of that into c, whose clips are known.
tk_status tk_references_read_index(hid_t file, tk_clips *c);
// Collective, comm of several: rank 0's to the others, whose clips are known.
tk_status tk_references_share(tk_comm *comm, tk_clips *c);

// Text features (features.c). Fills in byte counts; TK_INPUT where they cannot be.
tk_status tk_features_check(tk_clip_features *f, const char *path);
// Checks a clip's against the file's.
tk_status tk_clip_features_check(const tk_clip_info *c, const tk_clip_features *f,
                                 const char *path);
void tk_features_place(tk_clip_features *f, int64_t address);
// Room for their rows, and where it is.
tk_status tk_features_lay_out(hid_t file, tk_clip_features *f);
// What is known of them beside their rows. Clips with left_out are not there.
// `at`: their group in the file.
tk_status tk_features_write(hid_t file, hid_t at, const tk_clip_features *f, int64_t n_clips,
                            const tk_clip_info *clip, const uint64_t *left_out, tk_arena *a);
// All of that into c, whose clips are known.
tk_status tk_features_read_index(hid_t file, tk_clips *c);
// Collective, comm of several: rank 0's to the others, whose clips are known.
tk_status tk_features_share(tk_comm *comm, tk_clips *c);
tk_clip_part tk_feature_part(const tk_clip_features *f, int64_t k);

// Rank 0's bytes to all, however many.
tk_status tk_clip_broadcast(tk_comm *comm, void *x, int64_t bytes);

// A column of a table: dataset of one dimension with *n entries (-1: any, filled in).
tk_status tk_clip_column(hid_t at, const char *name, hid_t type, tk_arena *a, int64_t *n, void *x);
tk_status tk_clip_put_column(hid_t at, const char *name, int64_t n, const int64_t *x);
// The HDF5 type of IEEE half precision, little endian; close with H5Tclose.
hid_t tk_clip_half_type(void);
