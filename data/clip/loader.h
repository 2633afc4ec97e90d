// SPDX-License-Identifier: Apache-2.0
// The loader: streams samples ahead of the step with its own threads.
//
// Which sample is document j of step s is a pure function of (seed, s * batch + j):
// tk_loader_sample. Every rank can therefore know the whole step's documents without reading any
// rows, and reads only the documents it computes on. A damaged sample is named once, counted, and
// given as `ok = false` with rows of zeros, and the trainer gives it no weight; `max_bad` in a row
// fail the run. A read that fails, which may be so on one machine alone, fails it at once.
#pragma once
#include "core/config/wrong.h"
#include "data/clip/clip.h"

typedef struct tk_loader tk_loader;

typedef struct tk_sample {
    int64_t index; // global sample number over all files
    const tk_clip_info *info;
    const tk_bucket *bucket;
    bool ok;
    const float *video, *audio; // (rows, channels); valid until tk_loader_release of its step
    const float *cited[2]; // ... of all references that the clip cites, in turn: video and audio;
                           // NULL where they are not read
    const float *text;     // text features of all its shots, in turn; NULL where they are not read
} tk_sample;

// What can be told before any is opened: files that are not there, are named twice, or are both
// trained and checked on. A line of *w each.
tk_status tk_loader_ask(tk_wrong *w, const tk_data_config *c);
// Opens all files (rank 0 reads indexes and broadcasts); codec_file: see tk_codec_read. Codecs must
// agree; at least one clip. Its clips are all but the last c->hold_out.
tk_status tk_loader_open(const tk_data_config *c, const char *codec_file, tk_comm *world,
                         tk_loader **out);
// Of the clips at the end of the files that the loader above leaves out (data.hold_out) alone.
tk_status tk_loader_open_held_out(const tk_data_config *c, const char *codec_file, tk_comm *world,
                                  tk_loader **out);
// Of clips that are nowhere, for plans: it tells of them, and has no rows to read.
tk_status tk_loader_describe(const tk_clip_shape *s, tk_loader **out);
bool tk_loader_reads(const tk_loader *l); // false: of such clips
void tk_loader_close(tk_loader *l);
int64_t tk_loader_count(const tk_loader *l); // clips that samples are of
const tk_codec *tk_loader_codec(const tk_loader *l);
const tk_clip_info *tk_loader_info(const tk_loader *l, int64_t index, const tk_bucket **bucket);
const tk_clips *tk_loader_file(const tk_loader *l, int64_t index); // whose clip it is
// Of all that its clips give a training, in their order: rows, shots with their captions,
// references and text features. The same wherever their files lie and however many these are.
uint64_t tk_loader_digest(const tk_loader *l);
int64_t tk_loader_sample(const tk_loader *l, uint64_t seed, int64_t step, int64_t batch,
                         int64_t j); // sample number

// The most numbers of video and audio that a clip's references have.
void tk_loader_most_cited(const tk_loader *l, int64_t *video, int64_t *audio);
// Before tk_loader_start: whether rows of references are read as well. They are not, unless asked
// for.
void tk_loader_cites(tk_loader *l, bool yes);
// What text features all files have: as tk_clips_text_form; `empty` once they are read.
tk_status tk_loader_text_form(const tk_loader *l, tk_text_form *out);
// Before tk_loader_start: whether text features are read as well. They are not, unless asked for.
void tk_loader_texts(tk_loader *l, bool yes);
// From step `first` on, read documents [doc_begin, doc_end) of each step's batch (own range of this
// data rank).
tk_status tk_loader_start(tk_loader *l, uint64_t seed, int64_t first, int64_t batch,
                          int64_t doc_begin, int64_t doc_end);
// Waits for document j of `step` (doc_begin <= j < doc_end). Steps must be taken in order, a
// document as often as it is needed.
tk_status tk_loader_take(tk_loader *l, int64_t step, int64_t j, tk_sample *out);
void tk_loader_release(tk_loader *l,
                       int64_t step); // done with the step: its buffers are used again
// For measurements: reads a sample's bytes as they are stored and looks at none of them. `raw`:
// room for video_bytes or audio_bytes, whichever is more.
tk_status tk_loader_read_raw(const tk_loader *l, int64_t index, void *raw);
int64_t tk_loader_skipped(const tk_loader *l);
int64_t tk_loader_bytes(const tk_loader *l); // read so far
