// SPDX-License-Identifier: Apache-2.0
// The documents of a training step: pure functions of (seed, step), known to every rank without
// reading a row or sending a byte.
//
// Document j of step s is the clip tk_loader_sample(seed, s, batch, j): its captions as text, its
// shots on the clock, its noise level, which of its shots are given as memory, its task. Global row
// counts follow from clip infos alone, so losses are normalized by the same numbers on every
// layout.
#pragma once
#include "core/model/stream.h"
#include "data/clip/loader.h"
#include "train/step/tasks.h"

typedef struct tk_step_document {
    tk_document doc;                // doc.id is j, the place in the global batch: it keys the noise
    int64_t sample;                 // number of the clip
    bool dropped;                   // caption left out
    const tk_clip_shot *shot;       // the clip's shots, with the captions they have here
    tk_task task;                   // which rows are given
    bool unfit;                     // its clip cannot do the task chosen for it: text instead
    int64_t rows[TK_MODALITIES];    // all rows
    int64_t cited[TK_MODALITIES];   // of these the first: rows of references
    int64_t targets[TK_MODALITIES]; // rows to be predicted
} tk_step_document;

typedef struct tk_task_counts { // of a step, all ranks
    int64_t documents[TK_TASKS], targets[TK_TASKS];
    int64_t unfit; // documents of the task text for want of what theirs needs
} tk_task_counts;

typedef struct tk_step_documents {
    int64_t step, n;
    tk_step_document *document;     // (n), the whole global batch
    int64_t rows;                   // of all documents
    int64_t targets[TK_MODALITIES]; // of all documents
    tk_task_counts tasks;
    tk_text_form text;
} tk_step_documents;

// How many text rows a document has, and each of its shots, of which those before the last n_shots
// are references. Bytes: for every shot the mark, then the caption's bytes; dropped: marks only.
// Features: for every shot its own, or those of an empty caption where it has none or is dropped.
tk_status tk_captions_lay(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                          bool dropped, tk_arena *a, tk_document *d);
// Text features of the shots, in turn, to where a document's are: (text rows, channels); returns
// the end. own: of all shots that have some, in turn; NULL: zeros.
float *tk_caption_features(const tk_text_form *f, int n_shots, const tk_clip_shot *shot,
                           bool dropped, const float *own, float *to);
int32_t *tk_caption_tokens(int n_shots, const tk_clip_shot *shot, bool dropped,
                           int32_t *to); // returns the end
// A document but for its text, shots, noise levels and id: the grid and the clock of a codec.
tk_document tk_document_on_grid(const tk_codec_info *c, int64_t high, int64_t wide,
                                int64_t channels);

// Noise levels of the two modalities (t = 1 is clean) for a normal draw x: u = sigmoid(mean + std *
// x) is the level at shift 1; each modality shifts its sigma = 1 - t by s * sigma / (1 + (s - 1) *
// sigma).
void tk_noise_levels(const tk_train_config *c, double x, double *t_video, double *t_audio);

// Fills `out` with the documents of a step; everything lives in the arena.
tk_status tk_step_documents_make(const tk_loader *l, const tk_config *c, int64_t step, tk_arena *a,
                                 tk_step_documents *out);

// Documents [begin, end) as a stream, and their text tokens (rows of text, in order); NULL where
// text is of features.
tk_status tk_step_stream(const tk_loader *l, const tk_step_documents *d, int64_t begin, int64_t end,
                         tk_arena *a, tk_stream *s, const int32_t **tokens);

// The microbatches of a data rank: its share of the batch, cut evenly into pieces of at most
// `microbatch` documents.
typedef struct tk_microbatches {
    int64_t begin, count; // documents of this data rank
    int64_t n;            // microbatches
} tk_microbatches;
tk_microbatches tk_microbatches_of(const tk_train_config *c, int rank, int ranks);
int64_t tk_microbatch_begin(const tk_microbatches *m, int64_t i); // first document of microbatch i
// Rows of this rank's microbatch that has the most of them.
int64_t tk_microbatch_most_rows(const tk_microbatches *m, const tk_step_documents *d);
