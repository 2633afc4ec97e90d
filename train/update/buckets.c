// SPDX-License-Identifier: Apache-2.0
#include "train/update/buckets.h"

// ---- which elements ----------------------------------------------------------------------------

static bool belongs(const tk_model *m, const tk_param_spec *s, tk_range_kind kind)
{
    const bool copied = s->axis < 0 && m->tensor->size > 1;
    const bool staged = s->where == TK_ON_ALL && m->n_stages > 1;
    switch (kind) {
    case TK_RANGE_ALL:
        return true;
    case TK_RANGE_COUNTED:
        return !(copied && m->tensor->rank > 0) && !(staged && m->stage > 0);
    case TK_RANGE_STAGED:
        return staged;
    case TK_RANGE_COPIED:
        return copied;
    }
    return false;
}

// Elements of the stretch. open: the last range may grow.
static void add_ranges(const tk_model *m, tk_range_kind kind, const tk_flat_part *x, bool open,
                       tk_ranges *out)
{
    for (int i = 0; i < m->n_weights; i++) {
        const tk_weight *k = &m->weight[i];
        const tk_param_spec *s = &m->table.spec[k->spec];
        int64_t from = k->offset, to = k->offset + k->share.rows * k->share.cols;
        if (from < x->begin) from = x->begin;
        if (to > x->begin + x->count) to = x->begin + x->count;
        open &= belongs(m, s, kind);
        if (from >= to || !belongs(m, s, kind)) continue;
        const bool decay = kind == TK_RANGE_ALL && s->decay;
        tk_range *last = out->n ? &out->range[out->n - 1] : NULL;
        if (open && last->decay == decay)
            last->count += to - from;
        else
            out->range[out->n++] = (tk_range){from, to - from, x->at + from - x->begin, decay};
        open = true;
    }
}

tk_status tk_ranges_make(const tk_model *m, tk_range_kind kind, const tk_flat_part *stretch, int n,
                         tk_arena *a, tk_ranges *out)
{
    *out = (tk_ranges){0};
    TK_ARENA_NEW(out->range, a, m->n_weights + n);
    for (int i = 0; i < n; i++) add_ranges(m, kind, &stretch[i], false, out);
    return TK_OK;
}

tk_tensor tk_flat_cut(const tk_tensor *flat, int64_t at, int64_t count)
{
    char *data = (char *)flat->data + (size_t)at * tk_dtype_size(flat->dtype);
    return tk_tensor_2d(data, flat->dtype, count, 1);
}

// ---- buckets -----------------------------------------------------------------------------------

enum { EVERY = 8, NO_RUN = -1 }; // elements between places where a share may begin

// The run of blocks that the section belongs to; of none: all runs compute it.
static int run_of_section(const tk_model *m, int section)
{
    if (section == TK_SECTION_TIME) return NO_RUN;
    if (section == TK_SECTION_INPUTS) return 0;
    if (section == tk_model_outputs(m)) return m->chunks - 1;
    for (int k = 0; k < m->chunks; k++) {
        const tk_model run = tk_model_chunk(m, k);
        const int64_t block = section - TK_SECTION_BLOCKS;
        if (block >= run.block_begin && block < run.block_end) return k;
    }
    return NO_RUN;
}

static void cut_layout(tk_buckets *b, const tk_model *m, int64_t most)
{
    int run = NO_RUN;
    for (int i = 0; i < m->n_weights; i++) {
        const tk_weight *w = &m->weight[i];
        const int section = tk_model_section(m, w);
        tk_flat_bucket *last = b->n ? &b->bucket[b->n - 1] : NULL;
        if (!last || section != last->last) {
            const int its = run_of_section(m, section);
            if (!last || its == NO_RUN || its != run || last->count >= most) {
                last = &b->bucket[b->n++];
                *last = (tk_flat_bucket){.begin = w->offset, .first = section};
            }
            last->passes += its == NO_RUN ? m->chunks : 1;
            run = its;
        }
        last->last = section;
        last->count += w->share.rows * w->share.cols;
    }
}

// Where the share of a data rank begins in the layout.
static int64_t share_begins(const tk_flat_bucket *k, int ranks, int rank)
{
    const int64_t even = k->begin + tk_split_begin(k->count, ranks, rank);
    const int64_t at = even / EVERY * EVERY;
    if (rank == ranks) return k->begin + k->count;
    return rank == 0 || at < k->begin ? k->begin : at;
}

// Behind `used` elements, where a share that begins at `begin` in the layout lies in a buffer.
static int64_t place_after(int64_t used, int64_t begin)
{
    const int64_t shift = (begin - used) % EVERY;
    return used + (shift < 0 ? shift + EVERY : shift);
}

static tk_status deal_shares(tk_buckets *b, const tk_axis_row *data)
{
    int64_t *used; // of each rank's buffer
    TK_ARENA_NEW(used, &b->arena, data->degree);
    for (int i = 0; i < b->n; i++) {
        tk_flat_bucket *k = &b->bucket[i];
        TK_ARENA_NEW(k->counts, &b->arena, data->degree);
        for (int r = 0; r < data->degree; r++) {
            const int64_t begin = share_begins(k, data->degree, r);
            const int64_t at = place_after(used[r], begin);
            k->counts[r] = share_begins(k, data->degree, r + 1) - begin;
            used[r] = at + k->counts[r];
            if (used[r] > b->held) b->held = used[r];
            if (r == data->rank) k->own = (tk_flat_part){begin, k->counts[r], at};
        }
    }
    return TK_OK;
}

static tk_status join_shares(tk_buckets *b)
{
    TK_ARENA_NEW(b->shard, &b->arena, b->n);
    TK_ARENA_NEW(b->shard_in_flat, &b->arena, b->n);
    for (int i = 0; i < b->n; i++) {
        const tk_flat_part *own = &b->bucket[i].own;
        tk_flat_part *last = b->n_shard ? &b->shard[b->n_shard - 1] : NULL;
        if (last && last->begin + last->count == own->begin && last->at + last->count == own->at)
            last->count += own->count;
        else
            b->shard[b->n_shard++] = *own;
    }
    for (int i = 0; i < b->n_shard; i++)
        b->shard_in_flat[i] =
            (tk_flat_part){b->shard[i].begin, b->shard[i].count, b->shard[i].begin};
    return TK_OK;
}

static tk_status find_ranges(tk_buckets *b, const tk_model *m)
{
    for (int i = 0; i < b->n; i++) {
        tk_flat_bucket *k = &b->bucket[i];
        const tk_flat_part whole = {k->begin, k->count, k->begin};
        TK_TRY(tk_ranges_make(m, TK_RANGE_COPIED, &whole, 1, &b->arena, &k->copied));
        TK_TRY(tk_ranges_make(m, TK_RANGE_STAGED, &whole, 1, &b->arena, &k->staged));
    }
    TK_TRY(tk_ranges_make(m, TK_RANGE_COUNTED, b->shard, b->n_shard, &b->arena, &b->counted));
    return tk_ranges_make(m, TK_RANGE_ALL, b->shard, b->n_shard, &b->arena, &b->update);
}

tk_status tk_buckets_open(tk_buckets *b, const tk_model *m, const tk_axis_row *data, int64_t most)
{
    *b = (tk_buckets){0};
    tk_arena_init(&b->arena, 0);
    TK_ARENA_NEW(b->bucket, &b->arena, m->n_weights);
    cut_layout(b, m, most);
    TK_TRY(deal_shares(b, data));
    TK_TRY(join_shares(b));
    return find_ranges(b, m);
}

void tk_buckets_close(tk_buckets *b)
{
    if (b->bucket) tk_arena_free(&b->arena);
    *b = (tk_buckets){0};
}

int tk_buckets_find(const tk_buckets *b, int section)
{
    for (int i = 0; i < b->n; i++)
        if (section >= b->bucket[i].first && section <= b->bucket[i].last) return i;
    return -1;
}
