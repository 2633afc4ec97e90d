// SPDX-License-Identifier: Apache-2.0
// Who asks whom in the attention of a batch, as ranges of rows for each document, and the keys and
// values of given rows that are kept.
#include "core/model/model.h"

static tk_arena *lists(tk_batch *b)
{
    return &b->transfer.host->arena;
}

// Rows of each document, (docs).
typedef struct row_counts {
    int64_t *all, *text, *given, *others;
} row_counts;

static bool is_given(const tk_stream *s, int64_t row)
{
    return s->modality[row] != TK_TEXT && !s->target[row];
}

static tk_status count_by_document(tk_batch *b, row_counts *n)
{
    const tk_stream *s = b->stream;
    TK_ARENA_NEW(n->all, lists(b), s->n_documents);
    TK_ARENA_NEW(n->text, lists(b), s->n_documents);
    TK_ARENA_NEW(n->given, lists(b), s->n_documents);
    TK_ARENA_NEW(n->others, lists(b), s->n_documents);
    for (int64_t d = 0; d < s->n_documents; d++) {
        for (int64_t i = s->document_start[d]; i < s->document_start[d + 1]; i++) {
            n->text[d] += s->modality[i] == TK_TEXT;
            n->given[d] += is_given(s, i);
        }
        n->all[d] = s->document_start[d + 1] - s->document_start[d];
        n->others[d] = n->all[d] - n->given[d];
    }
    return TK_OK;
}

static tk_status put_offsets(tk_batch *b, const int64_t *rows, tk_tensor *to)
{
    const int64_t n = b->stream->n_documents;
    int32_t *at;
    TK_ARENA_NEW(at, lists(b), n + 1);
    for (int64_t d = 0; d < n; d++) at[d + 1] = at[d] + (int32_t)rows[d];
    return tk_transfer_put(&b->transfer, at, TK_I32, n + 1, 1, to);
}

static tk_status put_ranges(tk_batch *b, const int64_t *ask, const int64_t *asked, tk_asking *r)
{
    for (int64_t d = 0; d < b->stream->n_documents; d++) {
        if (ask[d] > r->longest_ask) r->longest_ask = ask[d];
        if (asked[d] > r->longest_asked) r->longest_asked = asked[d];
        r->products += ask[d] * asked[d];
        r->filled += ask[d] > 0 && asked[d] > 0;
    }
    TK_TRY(put_offsets(b, ask, &r->ask));
    return ask == asked ? TK_OK : put_offsets(b, asked, &r->asked);
}

static tk_status put_picks(tk_batch *b, const int32_t *picks, int64_t n, tk_tensor *to)
{
    return tk_transfer_put(&b->transfer, picks, TK_I32, n, 2, to);
}

// Given rows ask each other, others all.
static tk_status put_apart(tk_batch *b, const row_counts *n)
{
    const tk_stream *s = b->stream;
    int32_t *rows[2], *together;
    int64_t count[2] = {0};
    for (int g = 0; g < 2; g++) TK_ARENA_NEW(rows[g], lists(b), 2 * s->rows);
    TK_ARENA_NEW(together, lists(b), 2 * s->rows);
    for (int64_t i = 0; i < s->rows; i++) {
        const int other = !is_given(s, i);
        together[2 * i] = other;
        together[2 * i + 1] = (int32_t)count[other];
        rows[other][2 * count[other]++ + 1] = (int32_t)i;
    }
    TK_TRY(put_picks(b, rows[0], count[0], &b->given_rows));
    TK_TRY(put_picks(b, rows[1], count[1], &b->other_rows));
    TK_TRY(put_picks(b, together, s->rows, &b->together));
    TK_TRY(put_ranges(b, n->given, n->given, &b->given_docs));
    return put_ranges(b, n->others, n->all, &b->other_docs);
}

// What is kept lies between each document's rows of the stream where it would lie among them.
static tk_status put_beside_kept(tk_batch *b, const row_counts *n)
{
    const tk_stream *s = b->stream;
    const int64_t kept = b->kept->rows, rows = s->rows + s->n_documents * kept;
    int32_t *picks;
    int64_t *asked, at = 0;
    TK_ARENA_NEW(asked, lists(b), s->n_documents);
    TK_ARENA_NEW(picks, lists(b), 2 * rows);
    for (int64_t d = 0; d < s->n_documents; d++) {
        asked[d] = kept + n->all[d];
        const int64_t media = s->document_start[d] + n->text[d];
        int64_t i = s->document_start[d];
        for (int64_t k = 0; k < kept; k++) {
            for (; i < media + b->kept->before[k]; i++) picks[2 * at++ + 1] = (int32_t)i;
            picks[2 * at] = 1;
            picks[2 * at++ + 1] = (int32_t)k;
        }
        for (; i < s->document_start[d + 1]; i++) picks[2 * at++ + 1] = (int32_t)i;
    }
    TK_TRY(put_picks(b, picks, rows, &b->asked_rows));
    return put_ranges(b, n->all, asked, &b->docs);
}

tk_status tk_batch_put_documents(tk_batch *b, const tk_model *m)
{
    row_counts n = {0};
    int64_t given = 0;
    TK_TRY(count_by_document(b, &n));
    for (int64_t d = 0; d < b->stream->n_documents; d++) given += n.given[d];
    TK_TRY(put_ranges(b, n.text, n.text, &b->text_docs));
    if (b->kept) return put_beside_kept(b, &n);
    TK_TRY(put_ranges(b, n.all, n.all, &b->docs));
    const bool mixed = given > 0 && given < b->stream->rows;
    return m->config.given == TK_GIVEN_OWN && mixed ? put_apart(b, &n) : TK_OK;
}

// ---- what is kept ------------------------------------------------------------------------------

tk_status tk_kept_open(tk_kept *kept, const tk_model *m, int64_t rows, tk_arena *a)
{
    const tk_block_weights *first = &m->named.block[m->block_begin];
    *kept = (tk_kept){.device = m->device, .rows = rows, .blocks = m->block_end - m->block_begin};
    TK_ARENA_NEW(kept->k, a, kept->blocks + 1);
    TK_ARENA_NEW(kept->v, a, kept->blocks + 1);
    for (int64_t i = 0; i < kept->blocks; i++) {
        const int64_t width = tk_rows(&m->weight[first->to_k].value); // of all blocks alike
        TK_TRY(tk_device_new(m->device, m->compute, rows, width, &kept->k[i]));
        TK_TRY(tk_device_new(m->device, m->compute, rows, width, &kept->v[i]));
    }
    return TK_OK;
}

void tk_kept_close(tk_kept *kept)
{
    for (int64_t i = 0; i < kept->blocks && kept->v; i++) {
        tk_device_free(kept->device, &kept->k[i]);
        tk_device_free(kept->device, &kept->v[i]);
    }
    *kept = (tk_kept){0};
}
