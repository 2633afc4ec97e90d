// SPDX-License-Identifier: Apache-2.0
// A trained model, opened to be sampled from.
#pragma once
#include "infer/sampler/sampler.h"
#include "train/checkpoint/checkpoint.h"

typedef struct tk_trained { // what a checkpoint tells before its weights are read
    char *where, *path;     // as asked for; the file
    tk_checkpoint_meta meta;
    tk_config config; // it was trained with; parallel.* at their defaults
    bool has_ema;
} tk_trained;

// Collective. `where`: checkpoint file or run directory; codec_file: see tk_codec_read,
// "" where none is named.
tk_status tk_trained_open(const char *where, const char *codec_file, tk_comm *world, tk_arena *a,
                          tk_trained *out);
void tk_trained_close(tk_trained *t);

typedef struct tk_session {
    tk_mesh *mesh;
    const tk_trained *trained;
    tk_device device;
    tk_model model;
    tk_sampler sampler;
    bool ema;      // the run's averages are taken
    bool averaged; // the weights are averages: those, or a file's that has no others
} tk_session;

// Collective over the mesh's world. Opens the device; its memory may be taken now
// (infer/story/forecast.h). Then reads the weights. A session that failed is to be closed.
tk_status tk_session_open(tk_session *s, tk_mesh *mesh, const tk_trained *t,
                          const tk_parallel_config *p, bool ema);
tk_status tk_session_load(tk_session *s);
// Puts fresh random weights in place of the trained ones.
tk_status tk_session_untrained(tk_session *s, uint64_t seed);
// Collective over the mesh's world: says how many steps were replayed, where sample.graph is on,
// and how many rows were not computed again, where given ones are kept.
tk_status tk_session_describe(const tk_session *s);
void tk_session_close(tk_session *s); // of one that is zero: fine
