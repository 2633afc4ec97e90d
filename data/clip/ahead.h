// SPDX-License-Identifier: Apache-2.0
// What the loader is made of: clips (loader.c), and threads that read documents in step order into
// a ring of steps (ahead.c). For these two alone.
#pragma once
#include "core/base/mem.h"
#include "data/clip/loader.h"
#include <pthread.h>

typedef struct tk_document_read { // of one step in the ring
    bool done;                    // set under the lock, released to a trainer that looks without it
    bool noted;                   // taken before, though it could not be read
    tk_status st;                 // of reading it; TK_INPUT: it is damaged
    int64_t index;
    float *video, *audio;
    float *cited[2]; // references
    float *text;     // text features
    char why[512];   // not TK_OK: the message
} tk_document_read;

typedef struct tk_reader {
    tk_loader *loader;
    pthread_t thread;
    void *raw; // one sample's bytes
} tk_reader;

struct tk_loader {
    bool described; // its clips are nowhere
    bool cites;     // references are read
    bool texts;     // ... text features
    float *empty;   // those of an empty caption, once they were read; NULL: zeros
    int64_t base;   // number of its first clip
    int64_t n_files, n, threads, prefetch, max_bad;
    tk_clips *file;
    int64_t *first; // (n_files + 1) sample number of each file's first clip
    bool *named;    // (n) bad samples already warned of
    int64_t skipped, bad_run, bytes;
    tk_arena arena;
    // the running stream; all below are under `lock` but what start() alone sets
    tk_arena ring_arena;
    pthread_mutex_t lock;
    pthread_cond_t room, ready;
    tk_reader *worker;
    int64_t text;    // most numbers of a clip's text features
    int64_t running; // threads started
    bool stop;
    uint64_t seed;
    int64_t start, batch, begin, docs, depth,
        run;                // first step, documents a step here, steps in the ring, most in a run
    int64_t next, released; // next document to read; steps given back
    tk_document_read *ring; // (depth, docs)
};

// Which of its files clip `index` is in.
int tk_loader_file_number(const tk_loader *l, int64_t index);
// Numbers of modality m (0 video, 1 audio) of a file's reference k.
static inline int64_t tk_reference_count(const tk_clips *c, int k, int m)
{
    return c->reference[k].bytes[m] / 2;
}
// Of a loader whose threads have ended, or never began.
void tk_loader_free(tk_loader *l);
