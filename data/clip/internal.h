// SPDX-License-Identifier: Apache-2.0
// What reading, writing and sharing of clip files have in common.
#pragma once
#include "data/clip/clip.h"

#define TK_CLIP_FORMAT "talkie-clips"
enum { TK_CLIP_VERSION = 2, TK_CLIP_SHOTS = 1024 }; // most shots of a clip

// One modality of a sample in the file.
typedef struct tk_clip_part {
    const char *what; // "video"
    int64_t address, bytes;
    uint64_t *digest; // in the bucket
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
// The HDF5 type of IEEE half precision, little endian; close with H5Tclose.
hid_t tk_clip_half_type(void);
