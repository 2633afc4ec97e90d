// SPDX-License-Identifier: Apache-2.0
// Clip files: HDF5 files of training samples. One dataset per bucket (frames, height, width) and
// modality, one sample per slot, contiguous, so that a sample's bytes are one pread; captions,
// shots and ground truth beside them; the codec inside. h5py reads all of it (strings:
// core/store/h5.h).
//
//   /                       format "talkie-clips", version, config (YAML), revision
//   /codec                  the codec, or a reference to it (data/codec/codec.h)
//   /index/{bucket,slot,first_shot,shots}   (clips) i64
//   /index/name             (clips) strings
//   /index/buckets          (buckets) strings: names of the groups below, in order
//   /shots/{start,seconds}  (shots of all clips) f64
//   /shots/{latent_frames,audio_rows}       (shots) i64
//   /shots/caption          (shots) strings
//   /buckets/<F>x<H>x<W>/video   (slots, latent_frames, rows_high, rows_wide, channels) f16
//   /buckets/<F>x<H>x<W>/audio   (slots, audio_rows, audio channels, channels) f16
//   /buckets/<F>x<H>x<W>/digest  (slots, 2) u64: XXH3 of the sample's video and audio bytes
//   /references/...         what clips may be given beside their own rows, where there is any:
//     name                  (references) strings
//     {latent_frames,high,wide,audio_rows}  (references) i64
//     {video,audio}         f16: rows of all of them, one after the other
//     digest                (references, 2) u64
//   /index/{first_citation,citations}   (clips) i64
//   /citations/reference    (citations of all clips) i64
//   /citations/{tag,word}   (citations) strings
//   /features/...           text features, where there are any: rows that an encoder outside made
//   of
//                           captions, one of each token
//     values                (rows, channels) f16 or f32: of all of them, one after the other
//     rows                  (features) i64
//     digest                (features) u64
//     empty                 attribute: which ones are of an empty caption; -1: none
//   /shots/features         (shots of all clips) i64: which ones; -1: none
//   /truth/...              of the world only (data/world/truth.c)
//
// Writing is parallel: rank 0 lays the file out under a temporary name, every rank writes its slots
// with pwrite, rank 0 writes the index and commits. The result does not depend on the number of
// ranks.
#pragma once
#include "data/codec/codec.h"

typedef struct tk_clip_shot {
    double start, seconds; // on the clip's clock
    int64_t latent_frames,
        audio_rows; // rows of the shot: the clip's rows cut at the shot boundaries
    char *caption;
    int64_t feature_rows, feature; // text features of the caption: rows, 0: none; and their number
} tk_clip_shot;

typedef struct tk_bucket {
    int64_t frames, height, width;      // pixels
    int64_t latent_frames, high, wide;  // rows
    int64_t audio_rows, audio_channels; // latents per channel, and channels (1 or 2)
    int64_t slots;
    int64_t video_bytes, audio_bytes;                     // of a sample
    int64_t video_address, audio_address, digest_address; // in the file
    uint64_t *digest;                                     // (slots, 2)
} tk_bucket;

// Rows of a sample's video and audio times channels: the numbers stored.
int64_t tk_bucket_video_count(const tk_bucket *b, const tk_codec_info *i);
int64_t tk_bucket_audio_count(const tk_bucket *b, const tk_codec_info *i);

// What clips may be given beside their own rows: a picture of a face, a sample of a voice, or both.
// It belongs to the file and is stored once, however many clips cite it.
typedef struct tk_clip_reference {
    char *name;                                    // for messages: "the face of Ada"
    int64_t latent_frames, high, wide, audio_rows; // rows, audio's of each channel; 0: none of it
    // Of video and audio in the file; filled in by whoever lays it out or reads it.
    int64_t bytes[2], address[2];
    uint64_t digest[2];
} tk_clip_reference;

typedef struct tk_clip_citation { // a reference as a clip has it
    int reference;                // its number in the file
    char *tag;                    // its name in captions, there between < and >: "face 1"
    char *word;                   // of the captions, that the tag stands for where the reference is
                                  // given: "Ada"; "": captions are as they are
} tk_clip_citation;

// Text features: rows of an encoder outside. They belong to the file and are stored once, however
// many shots have them.
typedef struct tk_clip_feature {
    int64_t rows, bytes, address; // the latter two filled in as a reference's
    uint64_t digest;
} tk_clip_feature;

typedef struct tk_clip_features {
    int64_t n, channels; // n 0: none
    bool half;           // numbers of sixteen bits, else of thirty-two
    int64_t empty;       // which ones are of an empty caption; -1: none
    tk_clip_feature *feature;
} tk_clip_features;

typedef struct tk_clip_info { // what is known of a sample without reading its rows
    char *name;               // for messages: "world 7/123", "clips/a.mp4 @ 2.0 s"
    int bucket;
    int64_t slot;
    int n_shots;
    tk_clip_shot *shot;
    int n_citations;
    tk_clip_citation *citation;
} tk_clip_info;

typedef struct tk_clips { // an open clip file
    char *path;
    tk_file_id id; // of the file read, found again whenever it is opened
    char *config;  // YAML it was made with
    tk_codec *codec;
    int n_buckets;
    tk_bucket *bucket;
    int64_t n;
    tk_clip_info *clip;
    int64_t n_references;
    tk_clip_reference *reference;
    tk_clip_features features;
    tk_arena arena;
} tk_clips;

// Reads index and addresses, checks all bounds against the file size. codec_file: see
// tk_codec_read.
tk_status tk_clips_open(const char *path, const char *codec_file, tk_clips *out);
// Collective: the same, but only rank 0 reads the index; the others receive it and open the file.
tk_status tk_clips_open_shared(tk_comm *comm, const char *path, const char *codec_file,
                               tk_clips *out);
void tk_clips_close(tk_clips *c);
// Reads, checks and widens a sample into video (rows, channels) and audio (rows, channels) fp32;
// NULL = not wanted. `raw`: scratch of at least video_bytes + audio_bytes. TK_INPUT naming file and
// sample for a wrong digest, a short file or non-finite numbers. Thread-safe.
tk_status tk_clips_read(const tk_clips *c, int64_t i, float *video, float *audio, void *raw);

// The same of reference r, whose rows are of its own size; raw: its bytes[0] or bytes[1], whichever
// is more.
tk_status tk_clips_read_reference(const tk_clips *c, int64_t r, float *video, float *audio,
                                  void *raw);

// The same of text features k, (rows, channels); raw: bytes of them.
tk_status tk_clips_read_feature(const tk_clips *c, int64_t k, float *x, void *raw);
// ... of all shots of clip i, in turn; of a shot that has none nothing. raw: bytes of the longest.
tk_status tk_clips_read_text(const tk_clips *c, int64_t i, float *x, void *raw);
int64_t tk_clip_text_rows(const tk_clip_info *c); // of all its shots

// How captions become rows: bytes, or text features.
typedef struct tk_text_form {
    int64_t channels;   // of a row of text features; 0: bytes
    int64_t empty_rows; // of an empty caption
    const float *empty; // (empty_rows, channels); NULL: zeros
} tk_text_form;
// What text features n files have, all of them: TK_INPUT where one has none, where their widths
// differ or what they have of an empty caption does. Without the rows of `empty`.
tk_status tk_clips_text_form(int64_t n, const tk_clips *c, tk_text_form *out);
// These, into an arena; where the file has none, *out is NULL.
tk_status tk_clips_read_empty(const tk_clips *c, tk_arena *a, float **out);

// Clips of which no file is there, all alike: one shot, words of `caption` bytes or,
// where `text_channels` is not 0, as many rows of text features.
typedef struct tk_clip_shape {
    tk_codec_info codec;
    int64_t frames, height, width; // pixels
    int64_t latents;               // latent frames; 0: as the codec's patches make them
    int64_t caption;
    int64_t text_channels;
} tk_clip_shape;
// One of them. Rows cannot be read. After a failure tk_clips_close all the same.
tk_status tk_clips_describe(const tk_clip_shape *s, tk_clips *out);

// Parallel writer. Collective over comm: every rank passes the same plan.
typedef struct tk_clip_writer tk_clip_writer;
typedef struct tk_clip_plan {  // all of it the caller's until the writer is gone
    const char *path, *config; // where to; YAML it is made with
    const tk_codec *codec;
    bool refer; // to the codec, and not carry it
    int n_buckets;
    const tk_bucket *buckets; // slots and shapes
    int64_t n;
    const tk_clip_info *clips;
    int64_t n_references;
    const tk_clip_reference *references; // names and rows
    const tk_clip_features *features;    // rows; NULL: there are none
} tk_clip_plan;
// Before any work, on one rank: see tk_file_check_output. Only a clip file may be there already.
tk_status tk_clips_check_output(const char *path, int n, char *const *inputs);
tk_status tk_clip_writer_open(tk_comm *comm, const tk_clip_plan *plan, tk_clip_writer **out);
tk_status tk_clip_writer_put(tk_clip_writer *w, int64_t i, const float *video,
                             const float *audio); // any rank, each clip once
tk_status tk_clip_writer_put_reference(tk_clip_writer *w, int64_t r, const float *video,
                                       const float *audio); // any rank, each once
tk_status tk_clip_writer_put_feature(tk_clip_writer *w, int64_t k,
                                     const float *x); // any rank, each once
// Instead of writing it: clip i will not be in the index, its slot stays empty.
void tk_clip_writer_skip(tk_clip_writer *w, int64_t i);
// Collective: gathers digests, rank 0 finishes the index, lets `extra` (may be NULL) write more
// into the file, commits. The writer is gone afterwards, whatever the outcome.
tk_status tk_clip_writer_commit(tk_clip_writer *w, tk_status (*extra)(void *ctx, hid_t file),
                                void *ctx);
void tk_clip_writer_abort(tk_clip_writer *w); // removes the temporary file; also frees
