// SPDX-License-Identifier: Apache-2.0
// A microbatch on the device: which rows are this rank's, and the index tensors the forward pass
// reads.
#include "core/model/model.h"
#include <string.h>

static tk_arena *notes(tk_batch *b)
{
    return &b->transfer.host->arena;
}

static tk_status put_rows(tk_batch *b, const void *host, tk_dtype t, int64_t rows, int64_t cols,
                          tk_tensor *out)
{
    return tk_transfer_put(&b->transfer, host, t, rows, cols, out);
}

// Shares of the rows over tensor ranks, and which rows of each modality fall into this rank's.
static tk_status share_rows(tk_batch *b, const tk_model *m)
{
    const tk_stream *s = b->stream;
    const int ranks = m->tensor->size, rank = m->tensor->rank;
    TK_ARENA_NEW(b->row_counts, notes(b), ranks);
    TK_ARENA_NEW(b->text_counts, notes(b), ranks);
    for (int r = 0; r < ranks; r++) {
        b->row_counts[r] = tk_split_count(s->rows, ranks, r);
        b->text_counts[r] = tk_split_count(s->count[TK_TEXT], ranks, r);
    }
    b->row_begin = tk_split_begin(s->rows, ranks, rank);
    b->row_count = b->row_counts[rank];
    for (int k = 0; k < TK_MODALITIES; k++) {
        int64_t i = 0;
        while (i < s->count[k] && s->row[k][i] < b->row_begin) i++;
        b->own_first[k] = i;
        while (i < s->count[k] && s->row[k][i] < b->row_begin + b->row_count) i++;
        b->own_count[k] = i - b->own_first[k];
    }
    return TK_OK;
}

// Per own row: which row of the table of shots is added to it. Numbers come round again, so that
// a shot's differs from its neighbours' however many there are.
static tk_status put_shot_numbers(tk_batch *b)
{
    enum { ROUND = TK_SHOT_NUMBERS - 1 };
    int32_t *pick;
    TK_ARENA_NEW(pick, notes(b), 2 * b->row_count);
    for (int64_t i = 0; i < b->row_count; i++) {
        const int32_t number = b->stream->number[b->row_begin + i];
        pick[2 * i + 1] = number ? 1 + (number - 1) % ROUND : 0;
    }
    return put_rows(b, pick, TK_I32, b->row_count, 2, &b->number);
}

// Per own row: noise level and AdaLN table row; on the first stage where it comes from.
static tk_status put_row_indices(tk_batch *b, const tk_model *m)
{
    const tk_stream *s = b->stream;
    int32_t *level, *table_row, *pack;
    TK_ARENA_NEW(level, notes(b), b->row_count);
    TK_ARENA_NEW(table_row, notes(b), b->row_count);
    TK_ARENA_NEW(pack, notes(b), 2 * b->row_count);
    int64_t next[TK_MODALITIES] = {[TK_TEXT] = b->own_first[TK_TEXT]};
    for (int64_t i = 0; i < b->row_count; i++) {
        const int64_t row = b->row_begin + i;
        const int32_t k = s->modality[row];
        level[i] = s->level[row];
        table_row[i] = s->level[row] * TK_MODALITIES + k;
        pack[2 * i] = k;
        pack[2 * i + 1] = (int32_t)next[k]++; // text comes whole, video and audio as own rows
    }
    TK_TRY(put_rows(b, level, TK_I32, b->row_count, 1, &b->level));
    TK_TRY(put_rows(b, table_row, TK_I32, b->row_count, 1, &b->table_row));
    if (m->stage != 0) return TK_OK;
    TK_TRY(put_rows(b, pack, TK_I32, b->row_count, 2, &b->pack));
    return m->config.shots == TK_SHOTS_NUMBERED ? put_shot_numbers(b) : TK_OK;
}

static tk_status put_outputs(tk_batch *b)
{
    static const int heads[2] = {TK_VIDEO, TK_AUDIO};
    for (int h = 0; h < 2; h++) {
        const int k = heads[h];
        int32_t *pick;
        TK_ARENA_NEW(pick, notes(b), 2 * b->own_count[k]);
        for (int64_t i = 0; i < b->own_count[k]; i++)
            pick[2 * i + 1] = (int32_t)(b->stream->row[k][b->own_first[k] + i] - b->row_begin);
        TK_TRY(put_rows(b, pick, TK_I32, b->own_count[k], 2, &b->unpack[k]));
    }
    return TK_OK;
}

// Where given rows ask no text, nor may their place depend on how much of it there is: the clock
// begins with the media of each document, and text lies before them, as far as ever.
static void begin_with_media(const tk_stream *s, float *position)
{
    for (int64_t d = 0; d < s->n_documents; d++) {
        int64_t text = 0;
        for (int64_t i = s->document_start[d]; i < s->document_start[d + 1]; i++)
            text += s->modality[i] == TK_TEXT;
        for (int64_t i = s->document_start[d]; i < s->document_start[d + 1]; i++)
            position[3 * i] = (float)(s->position[i][0] - (double)text);
    }
}

static tk_status put_positions(tk_batch *b, const tk_model *m)
{
    const tk_stream *s = b->stream;
    float *p, *q;
    TK_ARENA_NEW(p, notes(b), 3 * s->rows);
    for (int64_t i = 0; i < s->rows; i++)
        for (int a = 0; a < 3; a++) p[3 * i + a] = (float)s->position[i][a];
    if (m->config.given == TK_GIVEN_OWN) begin_with_media(s, p);
    TK_TRY(put_rows(b, p, TK_F32, s->rows, 3, &b->position));
    if (m->stage != 0 || m->config.text != TK_TEXT_BYTES) return TK_OK;
    TK_ARENA_NEW(q, notes(b), 3 * s->count[TK_TEXT]);
    for (int64_t i = 0; i < s->count[TK_TEXT]; i++)
        for (int a = 0; a < 3; a++) q[3 * i + a] = (float)s->position[s->row[TK_TEXT][i]][a];
    return put_rows(b, q, TK_F32, s->count[TK_TEXT], 3, &b->text_position);
}

// This rank's rows of the first stage's inputs.
static tk_status put_inputs(tk_batch *b, const tk_model *m, const tk_host_rows *in)
{
    const tk_model_config *c = &m->config;
    const int r = m->tensor->rank, ranks = m->tensor->size;
    const int64_t text_begin = tk_split_begin(b->stream->count[TK_TEXT], ranks, r);
    if (in->video)
        TK_TRY(put_rows(b, in->video + b->own_first[TK_VIDEO] * c->video_channels, TK_F32,
                        b->own_count[TK_VIDEO], c->video_channels, &b->video));
    if (in->audio)
        TK_TRY(put_rows(b, in->audio + b->own_first[TK_AUDIO] * c->audio_channels, TK_F32,
                        b->own_count[TK_AUDIO], c->audio_channels, &b->audio));
    if (c->text == TK_TEXT_FEATURES)
        return put_rows(b, in->text + text_begin * c->text_channels, TK_F32, b->text_counts[r],
                        c->text_channels, &b->text);
    int32_t *pick;
    TK_ARENA_NEW(pick, notes(b), 2 * b->text_counts[r]);
    for (int64_t i = 0; i < b->text_counts[r]; i++) pick[2 * i + 1] = in->tokens[text_begin + i];
    return put_rows(b, pick, TK_I32, b->text_counts[r], 2, &b->text);
}

tk_status tk_batch_begin(tk_batch *b, const tk_model *m, const tk_stream *s, const tk_host_rows *in,
                         tk_staging *host)
{
    memset(b, 0, sizeof *b);
    b->stream = s;
    b->model = m;
    tk_transfer_begin(&b->transfer, host);
    TK_TRY(share_rows(b, m));
    TK_TRY(put_row_indices(b, m));
    b->kept = in->kept;
    TK_TRY(tk_batch_put_documents(b, m));
    TK_TRY(put_positions(b, m));
    TK_TRY(put_rows(b, s->timestep, TK_F32, s->n_levels, 1, &b->timestep));
    if (m->stage == m->n_stages - 1) TK_TRY(put_outputs(b));
    if (m->stage == 0) TK_TRY(put_inputs(b, m, in));
    return TK_OK;
}

// cos and sin of the positions on the device, (n, 3 * rope_freq_dim) each.
static tk_status make_rotary(tk_batch *b, tk_tensor position, tk_tensor *cos, tk_tensor *sin)
{
    tk_device *d = b->transfer.device;
    const int64_t F = b->model->config.rope_freq_dim, n = tk_rows(&position);
    TK_TRY(tk_device_new(d, TK_F32, n, 3 * F, cos));
    TK_TRY(tk_device_new(d, TK_F32, n, 3 * F, sin));
    const tk_call c = {.op = TK_OP_ROPE_TABLE,
                       .in = {position},
                       .out = {*cos, *sin},
                       .i = {F},
                       .f = {b->model->config.rope_theta}};
    return tk_op_forward(d, &c);
}

tk_status tk_batch_send(tk_batch *b)
{
    TK_TRY(tk_transfer_send(&b->transfer));
    TK_TRY(make_rotary(b, b->position, &b->cos, &b->sin));
    if (!b->text_position.data) return TK_OK;
    return make_rotary(b, b->text_position, &b->text_cos, &b->text_sin);
}

tk_status tk_batch_open(tk_batch *b, const tk_model *m, const tk_stream *s, const tk_host_rows *in,
                        tk_staging *host)
{
    TK_TRY(tk_batch_begin(b, m, s, in, host));
    return tk_batch_send(b);
}

void tk_batch_close(tk_batch *b)
{
    tk_tensor *const made[] = {&b->cos, &b->sin, &b->text_cos, &b->text_sin};
    for (int i = 0; i < 4 && b->model; i++) tk_device_free(b->model->device, made[i]);
    tk_transfer_free(&b->transfer);
    memset(b, 0, sizeof *b);
}
