// SPDX-License-Identifier: Apache-2.0
// Collectives: parts brought together by groups of sends and receives, and summed on the device in
// the order of ranks; gathers and broadcasts are NCCL's own.
#include "core/base/mem.h"
#include "core/device/cuda/kernels/fold.h"
#include "parallel/nccl/internal.h"

ncclDataType_t tk_nccl_type(tk_dtype t)
{
    return t == TK_F32 ? ncclFloat32 : t == TK_BF16 ? ncclBfloat16 : ncclInt32;
}

static cudaStream_t stream_of(const tk_device_comm *c)
{
    return tk_cuda_of(c->device)->stream[c->queue];
}

static void count_bytes(tk_device_comm *c, int64_t n, tk_dtype t)
{
    c->bytes_sent += n * (int64_t)tk_dtype_size(t);
}

static int64_t begin_of(const int64_t *counts, int rank)
{
    int64_t at = 0;
    for (int i = 0; i < rank; i++) at += counts[i];
    return at;
}

static bool are_equal(const tk_device_comm *c, const int64_t *counts)
{
    for (int i = 1; i < c->size; i++)
        if (counts[i] != counts[0]) return false;
    return true;
}

// ---- gathers -----------------------------------------------------------------------------------

// Shares of their own lengths: each rank's is a broadcast, all of them in one group.
static ncclResult_t gather_unequal(const tk_device_comm *c, const void *in, char *out,
                                   const int64_t *counts, size_t size, ncclDataType_t type)
{
    const tk_nccl_impl *m = tk_nccl_of(c);
    ncclResult_t r = tk_nccl.GroupStart();
    for (int i = 0; i < c->size && r == ncclSuccess; i++) {
        char *to = out + (size_t)begin_of(counts, i) * size;
        const size_t n = (size_t)counts[i] * (size / (type == ncclBfloat16 ? 2 : 4));
        if (n == 0) continue;
        r = tk_nccl.Broadcast(i == c->rank ? in : to, to, n, type, i, m->comm, stream_of(c));
        if (r == ncclInProgress) r = ncclSuccess; // in a group, which tells at its end
    }
    return r == ncclSuccess ? tk_nccl.GroupEnd() : r;
}

tk_status tk_nccl_all_gather(tk_device_comm *c, const void *in, void *out, const int64_t *counts,
                             int64_t width, tk_dtype t)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    const ncclDataType_t type = tk_nccl_type(t);
    const int64_t all = begin_of(counts, c->size) * width;
    if (all == 0) return TK_OK;
    tk_nccl_begin(m, "all_gather");
    count_bytes(c, (c->size - 1) * counts[c->rank] * width, t);
    if (are_equal(c, counts))
        return tk_nccl_check(m, tk_nccl.AllGather(in, out, (size_t)(counts[0] * width), type,
                                                  m->comm, stream_of(c)));
    return tk_nccl_check(
        m, gather_unequal(c, in, out, counts, (size_t)width * tk_dtype_size(t), type));
}

tk_status tk_nccl_broadcast(tk_device_comm *c, void *x, int64_t n, tk_dtype t, int root)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    if (n == 0) return TK_OK;
    tk_nccl_begin(m, "broadcast");
    if (c->rank == root) count_bytes(c, n, t);
    return tk_nccl_check(
        m, tk_nccl.Broadcast(x, x, (size_t)n, tk_nccl_type(t), root, m->comm, stream_of(c)));
}

// ---- sums --------------------------------------------------------------------------------------

typedef struct nccl_sum { // rank i holds counts[i] rows of `width` elements afterwards
    const int64_t *counts;
    int64_t width;
    tk_dtype t;
    tk_reduce how;
    int64_t block; // elements of each rank's share at a time
    char *parts;   // (size - 1, block)
} nccl_sum;

static int64_t begins(const nccl_sum *s, int rank) // elements before rank's share
{
    return begin_of(s->counts, rank) * s->width;
}

// Of rank's share, elements [at, at + block): how many there are.
static int64_t held(const nccl_sum *s, int rank, int64_t at)
{
    const int64_t left = s->counts[rank] * s->width - at;
    return left < 0 ? 0 : left < s->block ? left : s->block;
}

// All parts of this rank's share to here, and those of other shares to their ranks.
static tk_status exchange_block(tk_device_comm *c, const nccl_sum *s, const char *in, int64_t at)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    const size_t size = tk_dtype_size(s->t);
    const ncclDataType_t type = tk_nccl_type(s->t);
    const int64_t mine = held(s, c->rank, at);
    ncclResult_t r = tk_nccl.GroupStart();
    for (int k = 1; k < c->size && r == ncclSuccess; k++) {
        const int to = (c->rank + k) % c->size, from = (c->rank + c->size - k) % c->size;
        const int64_t theirs = held(s, to, at), place = from < c->rank ? from : from - 1;
        if (theirs)
            r = tk_nccl.Send(in + (size_t)(begins(s, to) + at) * size, (size_t)theirs, type, to,
                             m->comm, stream_of(c));
        if (r == ncclInProgress) r = ncclSuccess; // in a group, which tells at its end
        if (mine && r == ncclSuccess)
            r = tk_nccl.Recv(s->parts + (size_t)(place * s->block) * size, (size_t)mine, type, from,
                             m->comm, stream_of(c));
        if (r == ncclInProgress) r = ncclSuccess;
        count_bytes(c, theirs, s->t);
    }
    return tk_nccl_check(m, r == ncclSuccess ? tk_nccl.GroupEnd() : r);
}

// `out` may be this rank's share of `in`: it is written only after its block was read.
static tk_status sum_blocks(tk_device_comm *c, const nccl_sum *s, const char *in, char *out,
                            int64_t longest)
{
    const size_t size = tk_dtype_size(s->t);
    for (int64_t at = 0; at < longest; at += s->block) {
        TK_TRY(exchange_block(c, s, in, at));
        TK_TRY(tk_cuda_fold(c->device,
                            &(tk_cuda_parts){.out = out + (size_t)at * size,
                                             .own = in + (size_t)(begins(s, c->rank) + at) * size,
                                             .others = s->parts,
                                             .n = held(s, c->rank, at),
                                             .stride = s->block,
                                             .rank = c->rank,
                                             .size = c->size,
                                             .type = s->t,
                                             .sums = s->how == TK_SUM}));
    }
    return TK_OK;
}

static tk_status sum_shares(tk_device_comm *c, nccl_sum *s, const void *in, void *out)
{
    int64_t longest = 0;
    tk_tensor parts;
    for (int i = 0; i < c->size; i++) longest = s->counts[i] > longest ? s->counts[i] : longest;
    longest *= s->width;
    if (longest == 0) return TK_OK;
    s->block = tk_comm_parts(c, longest, s->t);
    TK_TRY(tk_device_new_for(c->device, TK_FOR_MESSAGES, s->t, c->size - 1, s->block, &parts));
    s->parts = parts.data;
    const tk_status st = sum_blocks(c, s, in, out, longest);
    tk_device_free(c->device, &parts);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_nccl_reduce_scatter(tk_device_comm *c, const void *in, void *out,
                                 const int64_t *counts, int64_t width, tk_dtype t)
{
    tk_nccl_begin(tk_nccl_of(c), "reduce_scatter");
    return sum_shares(c, &(nccl_sum){.counts = counts, .width = width, .t = t}, in, out);
}

// Few elements: one exchange instead of two.
static tk_status all_reduce_small(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce how)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    tk_tensor parts;
    TK_TRY(tk_device_new_for(c->device, TK_FOR_MESSAGES, t, c->size, n, &parts));
    tk_status st = tk_nccl_check(
        m, tk_nccl.AllGather(x, parts.data, (size_t)n, tk_nccl_type(t), m->comm, stream_of(c)));
    count_bytes(c, (c->size - 1) * n, t);
    if (st == TK_OK)
        st = tk_cuda_fold(c->device, &(tk_cuda_parts){.out = x,
                                                      .own = x,
                                                      .others = parts.data,
                                                      .n = n,
                                                      .stride = n,
                                                      .rank = c->size, // all lie in parts
                                                      .size = c->size,
                                                      .type = t,
                                                      .sums = how == TK_SUM});
    tk_device_free(c->device, &parts);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_nccl_all_reduce(tk_device_comm *c, void *x, int64_t n, tk_dtype t, tk_reduce how)
{
    tk_nccl_impl *m = tk_nccl_of(c);
    const int64_t size = (int64_t)tk_dtype_size(t);
    if (n == 0) return TK_OK;
    tk_nccl_begin(m, "all_reduce");
    if (n * size * c->size <= TK_COMM_SMALL) return all_reduce_small(c, x, n, t, how);
    for (int i = 0; i < c->size; i++) m->counts[i] = tk_split_count(n, c->size, i);
    char *own = (char *)x + begin_of(m->counts, c->rank) * size;
    TK_TRY(sum_shares(c, &(nccl_sum){.counts = m->counts, .width = 1, .t = t, .how = how}, x, own));
    return tk_nccl_all_gather(c, own, x, m->counts, 1, t);
}

tk_status tk_nccl_add_parts(tk_device_comm *c, const tk_parts *p)
{
    return tk_cuda_fold(c->device, &(tk_cuda_parts){.out = p->out,
                                                    .own = p->own,
                                                    .others = p->others,
                                                    .n = p->n,
                                                    .stride = p->stride,
                                                    .rank = c->rank,
                                                    .size = c->size,
                                                    .type = p->type,
                                                    .sums = true});
}
