// SPDX-License-Identifier: Apache-2.0
// The import's parts: looking at files (file.c), planning (plan.c), writing (import.c);
// what lies beside media: references (references.c), text features (features.c).
#pragma once
#include "core/base/log.h"
#include "core/config/wrong.h"
#include "data/clip/clip.h"
#include "data/media/facts.h"
#include "parallel/mpi/deal.h"

enum { TK_CAPTION_BYTES = 4096 }; // longest caption of an imported clip

typedef struct tk_import_text { // text features
    int64_t rows, channels;     // rows 0: none
    bool half;
    int64_t number; // among all
} tk_import_text;

typedef struct tk_import_file {
    const char *path;
    bool absent;      // there is no such file, or it may not be read
    tk_status status; // of what was found so far; not TK_OK = bad, with its words
    char words[640];
    char caption[TK_CAPTION_BYTES + 1];
    bool has_caption, has_audio;
    tk_import_text text;       // of the caption
    int64_t frames;            // on our clock
    int64_t first_clip, clips; // made of it
    bool left_out;             // bad as a whole, and told so
    int64_t lost;              // of its clips: those that hold damage
    double lost_seconds;
    char where[200]; // they do, for people
    tk_facts facts;  // of what was imported
} tk_import_file;

// Reads the caption beside f->path and what its packets say. Bad files are noted in f, not failed.
void tk_import_look(tk_import_file *f, const tk_media_config *m);
// The file of the same name with another suffix; NULL: out of memory.
char *tk_import_beside(const char *path, const char *suffix, tk_arena *a);
// The text features beside f->path.
tk_status tk_import_look_at_features(tk_import_file *f, tk_arena *a);
// Notes `st` and this thread's message in f (the first failure of a file counts).
void tk_import_blame(tk_import_file *f, tk_status st);

// Buffers for one clip of at most `frames` frames.
typedef struct tk_import_buffer {
    uint8_t *rgb;
    float *pcm;
} tk_import_buffer;
// What is done with clip i (number among all clips); NULL = it holds damage and is left out.
typedef tk_status (*tk_import_sink)(void *ctx, int64_t i, const tk_media *clip);
// What is to be decoded of files, and how. Arrays are of all clips, by number.
typedef struct tk_import_task {
    const tk_media_config *media;
    bool skip;                // damage is no failure: a clip that holds some is left out
    const int64_t *frames_of; // length of each clip
    const bool *wanted;       // NULL: all are
    tk_import_buffer *buffer;
    tk_import_sink sink;
    void *ctx; // the sink's
} tk_import_task;
// Decodes the clips of f in order and gives the wanted ones to the sink. Numbers count from
// f->first_clip. Clips that are left out are noted in f; what cannot be read at all loses the clips
// from there on.
tk_status tk_import_decode(tk_import_file *f, const tk_import_task *t);

typedef struct tk_import_cited { // what the clips of a file cite
    int n;
    tk_clip_citation *citation;
} tk_import_cited;

typedef struct tk_import {
    tk_comm *world;
    tk_config *c;
    tk_arena arena;
    int n_files;
    tk_import_file *file;
    tk_import_cited *cited; // (n_files)
    int64_t n_references;
    tk_clip_reference *reference; // its name: the file
    tk_clip_features features;
    tk_import_text empty; // text features of an empty caption
    tk_codec_info info;   // of the codec, as far as it is known before the fit
    int64_t clip_frames;  // of a whole clip
    int64_t n;            // clips
    tk_clip_info *clip;
    int64_t *frames_of; // (n)
    int n_buckets;
    tk_bucket *bucket; // one for each length of clip
    tk_codec *codec;
    tk_clip_writer *writer;
    tk_import_buffer buffer;
    float *video, *audio; // rows of a clip
    bool *wanted;         // (n) for the fit
    tk_media *fit;        // (fitted) copies
    int64_t fitted, fit_next;
    tk_deal *deal;   // of the phase
    uint64_t *owner; // (n_files) rank it was dealt to
    int *order;      // (n_files) those that give most clips first
} tk_import;

// Rank 0: what is wrong with the list of references of a media file, if it has one, and with what
// it names, are lines of w.
tk_status tk_import_ask_references(tk_wrong *w, const char *media);
// Collective (references.c). Finds what the files' clips cite; before the plan.
tk_status tk_import_cite(tk_import *im);
// Warns of captions that name references which their files do not cite, and of cited ones that no
// caption names; once it is planned. Rank 0.
void tk_import_tell_cited(const tk_import *im);
// Collective. Writes it.
tk_status tk_import_put_references(tk_import *im);
// Collective (features.c). Which text features there are; before the plan.
tk_status tk_import_number_features(tk_import *im);
// Collective. Writes them.
tk_status tk_import_put_features(tk_import *im);
// What clips the files make, where they lie in the output, and in which order files are decoded.
tk_status tk_import_plan(tk_import *im);
void tk_import_tell_plan(const tk_import *im); // what a person should know before the long part
