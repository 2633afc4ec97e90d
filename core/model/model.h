// SPDX-License-Identifier: Apache-2.0
// The model: a packed-stream diffusion transformer (MODEL.md), on this rank's share of the weights.
//
// One instance per rank. It holds the rank's flat buffers of weights and gradients and writes the
// mathematics once, in operators; tensor ranks and pipeline stages show only as collectives on
// `tensor` and as the range of blocks. Between blocks each tensor rank holds a contiguous share
// of the microbatch's rows.
//
//     const tk_model_part part = {.device = device, .tensor = comm, .grads = true};
//     tk_model_open(&m, &config, &part);
//     tk_model_init_weights(&m, seed);
//     tk_batch_open(&b, &m, &stream, inputs, &staging); // index tensors and inputs on the device
//     tk_model_forward(&m, &tape, &b, NULL, recompute, &out);
#pragma once
#include "core/device/transfer.h"
#include "core/model/params.h"
#include "core/model/stream.h"
#include "core/model/tape.h"

// Sections of the model, in the order of the flat layout: what a forward comes to, and a backward
// leaves, one after another. The outputs are the section behind the last block.
enum {
    TK_SECTION_INPUTS, // projections of media and text, and the refiner
    TK_SECTION_TIME,   // time embedding: of every run of blocks
    TK_SECTION_BLOCKS  // + number of the block
};

// Elements of the flat layout, and where they lie in a buffer.
typedef struct tk_flat_part {
    int64_t begin, count;
    int64_t at; // the first of them
} tk_flat_part;

typedef struct tk_weight { // one local weight: views into the flat buffers
    int spec;              // index into the table
    tk_share share;
    int64_t offset;        // elements into the flat buffers
    tk_tensor value, grad; // grad.data NULL when the model holds no gradients
} tk_weight;

// Indices of local weights; -1 where this rank does not hold it.
typedef struct tk_linear_weights {
    int weight, bias;
} tk_linear_weights;

typedef struct tk_block_weights { // of a block, or of a refiner block (which has no AdaLN)
    int norm1, to_q, to_k, to_v, norm_q, norm_k, to_out, norm2, ff_in, ff_out;
    tk_linear_weights adaln;
} tk_block_weights;

typedef struct tk_model_weights {
    int text_embed, shot_embed, refiner_norm, norm_out;
    tk_linear_weights proj_in, audio_proj_in, context_embedder, time_1, time_2;
    tk_linear_weights norm_out_table, proj_out, audio_proj_out;
    tk_block_weights *refiner; // (refiner_layers) on the first stage
    tk_block_weights *block;   // (layers), filled in for those of this stage
} tk_model_weights;

// Which part of the model a rank holds, where, and in which numbers.
typedef struct tk_model_part {
    tk_device *device;
    tk_device_comm *tensor;
    int stage, n_stages; // of the pipeline; 0 stages: 1
    // Runs of blocks on each stage (0: 1): the model is cut into n_stages * chunks runs, and run g
    // is chunk g / n_stages of stage g % n_stages.
    int chunks;
    bool grads;                      // with a buffer for gradients
    bool sends_weights, sends_grads; // these go between ranks as they lie
    // Of the weights and of the rows between operators: TK_F32 (0) or TK_BF16. Gradients of weights
    // are fp32 in both. Bf16 weights are copies to compute with: whoever trains them keeps fp32
    // masters (train/update/optimizer.h).
    tk_dtype compute;
} tk_model_part;

typedef struct tk_model {
    tk_model_config config;
    tk_param_table table;
    tk_arena arena;
    tk_device *device;
    tk_device_comm *tensor;
    int stage, n_stages;
    int chunks;                     // runs of blocks on this stage
    int64_t block_begin, block_end; // blocks that a forward runs: the stage's only or first run
    int64_t n_local;                // elements of the flat buffers
    tk_flat_part whole;             // all of them, in such a buffer
    tk_dtype compute;               // type of the weights and of the rows between operators
    tk_tensor values, grads;        // (n_local) of that type; f32
    tk_weight *weight;              // (n_weights) local weights, in table order
    int n_weights;
    tk_model_weights named; // the same by what they are to the forward pass
} tk_model;

// How many blocks each stage takes, by cost (the ends do the projections as well): begin of stage
// i.
int64_t tk_stage_begin(const tk_model_config *m, int stage, int n_stages);
tk_status tk_model_open(tk_model *m, const tk_model_config *c, const tk_model_part *part);
// One run of a part with several as a model of its own, stage g of n_stages * chunks, on the same
// weights: for batches and forwards. Not to be closed; `m` must outlive it.
tk_model tk_model_chunk(const tk_model *m, int chunk);
bool tk_model_holds(const tk_model *m, int64_t block); // is the block on this stage
int tk_model_section(const tk_model *m, const tk_weight *w);
int tk_model_outputs(const tk_model *m);      // the section
tk_status tk_model_name_weights(tk_model *m); // part of opening: fills in `named`
void tk_model_close(tk_model *m);
tk_status tk_model_init_weights(tk_model *m, uint64_t seed);
// The same into `x`, an fp32 buffer of elements [begin, begin + x's) of the flat layout.
tk_status tk_model_init_range(tk_model *m, const tk_tensor *x, int64_t begin, uint64_t seed);
tk_status tk_model_zero_grads(tk_model *m);

// Rows of each document that ask, and rows that are asked.
typedef struct tk_asking {
    tk_tensor ask, asked; // (docs+1) i32 offsets; one tensor twice where they are the same rows
    int64_t longest_ask, longest_asked;
    int64_t products, filled; // as in tk_documents (core/model/tape.h)
} tk_asking;

// Keys and values of given rows in each block, where model.given is own: they depend on nothing but
// the rows themselves, neither on captions nor on noise levels.
typedef struct tk_kept {
    tk_device *device;
    int64_t rows, blocks;
    const int64_t *before; // (rows) media rows of the stream's document that lie before this one,
                           // so that all are asked in the order that they have in one stream
    tk_tensor *k, *v;      // (blocks of the stage), (rows, own heads * head_dim)
} tk_kept;
// Room for them; `before` is the caller's to set. `a` must live until it is closed.
tk_status tk_kept_open(tk_kept *kept, const tk_model *m, int64_t rows, tk_arena *a);
void tk_kept_close(tk_kept *kept); // of one that is zero: fine

// A microbatch on the device: one transfer, and what is computed from it.
typedef struct tk_batch {
    const tk_stream *stream;
    const tk_model *model;
    tk_transfer transfer;             // of all tensors below but the rotary tables
    int64_t row_begin, row_count;     // this tensor rank's rows of the stream
    int64_t *row_counts;              // per tensor rank (for collectives)
    int64_t *text_counts;             // text rows per tensor rank, in the refiner
    int64_t own_count[TK_MODALITIES]; // rows of each modality among this rank's rows,
    int64_t own_first[TK_MODALITIES]; // ... consecutive in modality order, from this one
    tk_tensor video, audio; // (own_count, channels) inputs of this rank's rows; stage 0 only
    tk_tensor text; // stage 0: (text rows, text_channels) f32, or (text rows, 2) i32 picks of the
                    // byte table
    tk_tensor timestep;         // (levels)
    tk_tensor level, table_row; // (row_count) i32: noise level; level * 3 + modality
    tk_tensor pack;             // (row_count, 2) i32: source modality and row, to build the stream
    tk_tensor number;           // (row_count, 2) i32: picks of the table of shots, where the model
                                // has one
    tk_tensor unpack[TK_MODALITIES];   // (own_count, 2) i32: picks of video and audio rows out of
                                       // this rank's rows
    tk_tensor position, text_position; // (rows, 3), (text rows, 3) f32: t, h, w
    tk_tensor cos, sin, text_cos, text_sin; // rotary tables: (rows, 3F), (text rows, 3F)
    tk_asking docs, text_docs;              // of all rows, and of text rows in the refiner
    // Where model.given is own and there are given rows and others: picks (n, 2) i32 of both out of
    // all rows, of all rows out of both, and who asks whom: given rows each other, others all.
    tk_tensor given_rows, other_rows, together;
    tk_asking given_docs, other_docs;
    const tk_kept *kept;  // rows of every document beside those of the stream, asked and not asking
    tk_tensor asked_rows; // (asked, 2) i32: picks of what is asked, out of the stream and `kept`
    tk_kept *keeps;       // set by the caller before the forward: where keys and values go
} tk_batch;

// Host inputs of a whole microbatch, in modality order; NULL: b->video / b->audio are tensors of
// the caller's, set before the forward (training makes noisy rows on the device), or not this
// stage's business.
typedef struct tk_host_rows {
    const float *video, *audio; // (count[m], channels)
    const float *text;          // (count[TEXT], text_channels), features
    const int32_t *tokens;      // (count[TEXT]), bytes
    const tk_kept *kept;        // NULL: none; must outlive the batch
} tk_host_rows;
// `s` must outlive the batch, `in` the sending, and what is made in `host` the device's work on it.
// Closing frees device memory alone and waits for nothing. Between the two halves others may add to
// b->transfer what they need of the same rows.
tk_status tk_batch_begin(tk_batch *b, const tk_model *m, const tk_stream *s, const tk_host_rows *in,
                         tk_staging *host);
tk_status tk_batch_send(tk_batch *b);
tk_status tk_batch_put_documents(tk_batch *b, const tk_model *m); // part of beginning it
// Both halves.
tk_status tk_batch_open(tk_batch *b, const tk_model *m, const tk_stream *s, const tk_host_rows *in,
                        tk_staging *host);
void tk_batch_close(tk_batch *b);

// What a stage's forward gives: `rows` (row_count, hidden) on all stages but the last; there the
// velocities of this rank's video and audio rows, (own_count, channels).
typedef struct tk_forward {
    tk_value *rows, *video, *audio;
} tk_forward;
// x: NULL on the first stage, else the leaf with the rows received from the stage before.
// The batch must outlive the tape's backward. Marks the tape (core/model/tape.h) where it comes to
// a section, with the section's number.
tk_status tk_model_forward(tk_model *m, tk_tape *t, const tk_batch *b, tk_value *x, bool recompute,
                           tk_forward *out);

// Sets a local weight of an fp32 model from its share in host memory.
tk_status tk_model_set(tk_model *m, int weight, const float *host);
