// SPDX-License-Identifier: Apache-2.0
// Sums over rows, each into the entry that an index names: gradients of tables, and of weights,
// which are a table of one entry. In an order that shapes and the index decide; no atomics.
//
//     tk_segments s = tk_segments_lay(d->scratch, rows, entries, n, sums, teams, &bytes);
//     TK_TRY(tk_segments_sort(d, &s, index));   // rows of an entry side by side
//     ... a kernel with a block for each of s.chunks chunks of s.chunk rows writes, for each
//         entry that its chunk holds rows of, (sums, n) partial sums at tk_segments_part ...
//     TK_TRY(tk_segments_total(d, &s, which, to));
//
// Chunk b and entry e meet in row b + e of `part`: in sorted order every step to another pair
// raises b + e, so no two pairs share a row, and an entry's rows lie side by side.
#pragma once
#include "core/device/cuda/kernels/rows.cuh"

typedef struct tk_segments {
    int32_t *order; // (rows) sorted by entry, those of an entry ascending; NULL: as they are,
    int32_t *begin; // (entries + 1) where entries begin in `order`; NULL: one entry holds all
    float *part;    // (chunks + entries, sums, n)
    float *total;   // (entries, n), of the sum that is kept
    int64_t rows, entries, chunk, chunks, n;
    int sums;
} tk_segments;

// Where things lie in scratch (NULL: just how many bytes that is). entries 0: one, without an
// index. Chunks are multiples of `teams` rows.
tk_segments tk_segments_lay(void *scratch, int64_t rows, int64_t entries, int64_t n, int sums,
                            int teams, size_t *bytes);

// No sums: chunks of rows as they are.
tk_segments tk_segments_none(int64_t rows, int64_t chunk);

tk_status tk_segments_sort(tk_device *d, const tk_segments *s, const int32_t *index);

// Where sum `which` of every entry goes: to[entry * pitch + c] (+)= sum * times[c].
typedef struct tk_segment_to {
    float *to; // NULL: nowhere
    int64_t pitch;
    tk_vector times; // (n); absent: ones
    bool add, keep;  // keep: also in s->total, as it is
} tk_segment_to;
tk_status tk_segments_total(tk_device *d, const tk_segments *s, int which, tk_segment_to to);

// to[c] (+)= sum over entries e of s->total[e][c] * (1 + scale[e * pitch + c])
tk_status tk_segments_weigh(tk_device *d, const tk_segments *s, const float *scale, int64_t pitch,
                            float *to, bool add);

static __device__ inline float *tk_segments_part(const tk_segments *s, int64_t chunk, int64_t entry)
{
    return s->part + (chunk + entry) * s->sums * s->n;
}
static __device__ inline int64_t tk_segments_row(const tk_segments *s, int64_t at)
{
    return s->order ? s->order[at] : at;
}
// Rows at the places [first, first + n) that a chunk ends after: how many from `first` on are of
// `entry`, which the first is of.
static __device__ inline int tk_segments_run(const tk_segments *s, int64_t first, int n,
                                             int64_t entry)
{
    const int64_t run = s->begin ? s->begin[entry + 1] - first : n;
    return run < n ? (int)run : n;
}
