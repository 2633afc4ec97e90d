// SPDX-License-Identifier: Apache-2.0
// What the kernels of ATTENTION share: the call as they read it, and which rows a block looks at.
//
// A block owns a tile of rows of one document and one head (queries forward; backward, keys in one
// launch and queries in another) and walks over the tiles of the rows opposite, of the same
// document, in their order: no sum is ever shared between blocks, so all have one order, and scores
// exist as tiles alone. Documents are known to the device alone. Tiles begin where documents do,
// and are found by a search of the offsets.
#pragma once
#include "core/device/cuda/kernels/kernel.cuh"

enum { ATTENTION_DIM = 256 }; // channels of a head, at most

// Bytes of shared memory that a block may have on every GPU (of compute capability 8.0 on: 8.6 has
// no more). Kernels whose tiles take more have an instance of smaller ones for those.
static constexpr size_t attention_shared = 99 << 10;

static inline bool attention_fits(const tk_device *d, size_t bytes)
{
    return bytes <= tk_cuda_of(d)->shared_most;
}

// Rows are `width` = heads * dim elements apart.
struct attention_shape {
    int docs, heads, dim;
    float scale; // of the scores
    bool wide;   // four neighbours of a row may be accessed as one
    bool packed; // rows begin at multiples of 16 bytes
};

template <class T> struct attention_fore {
    attention_shape s;
    const int32_t *ask, *asked; // offsets of documents (docs + 1)
    const T *q, *k, *v;
    T *o;
    float *lse;
};

// From the side of the rows that a block owns. Queries: own = {q, do}, other = {k, v}, to = {dq}.
// Keys: own = {k, v}, other = {q, do}, to = {dk, dv}. Always: score = own[0] . other[0], gradient
// of the probability = own[1] . other[1].
template <class T> struct attention_back {
    attention_shape s;
    const int32_t *own_at, *other_at; // offsets of documents
    const T *own[2], *other[2];
    const float *lse, *across; // (N, heads), of queries; across = sum of do * o
    T *to[2];                  // NULL: not wanted
    bool add[2];
};

// Rows [begin, begin + count) are the block's, [other, other + others) those opposite.
struct attention_tile {
    int begin, count, other, others;
};

// Blocks along x for `rows` rows in tiles of `tile` rows. Document d has those from
// offset[d] / tile + d on: at least one more than the tiles before it need, so that which document
// a block is in can be told from the offsets as they are; some blocks have nothing to do.
static inline unsigned attention_blocks(int64_t rows, int64_t docs, int tile)
{
    return (unsigned)(docs ? rows / tile + docs : 0);
}

static __device__ inline attention_tile attention_tile_of(const int32_t *own, const int32_t *other,
                                                          int docs, int tile)
{
    int low = 0, high = docs - 1;
    while (low < high) { // the last document that begins at this block or before it
        const int d = (low + high + 1) / 2;
        if (own[d] / tile + d <= (int)blockIdx.x)
            low = d;
        else
            high = d - 1;
    }
    const int first = ((int)blockIdx.x - own[low] / tile - low) * tile;
    const int left = own[low + 1] - own[low] - first;
    attention_tile t;
    t.begin = own[low] + first;
    t.count = left < tile ? left : tile; // none where <= 0
    t.other = other[low];
    t.others = other[low + 1] - other[low];
    return t;
}

// The exponential: powers of two of scores times this.
static constexpr float attention_log2e = 1.44269504088896341f,
                       attention_ln2 = 0.693147180559945309f;

// ---- a call as kernels read it ------------------------------------------------------------------

template <class T> static attention_shape attention_shape_of(const tk_call *c)
{
    const int64_t width = tk_cols(&c->in[0]);
    attention_shape s = {(int)c->i[4], (int)(width / c->i[0]), (int)c->i[0], (float)c->f[0], true,
                         true};
    const tk_tensor *all[] = {&c->in[0],   &c->in[1],  &c->in[2],  &c->out[0],
                              &c->dout[0], &c->din[0], &c->din[1], &c->din[2]};
    for (const tk_tensor *t : all) {
        if ((uintptr_t)t->data % (4 * sizeof(T)) || s.dim % 4) s.wide = false;
        if ((uintptr_t)t->data % 16 || s.dim * sizeof(T) % 16) s.packed = false;
    }
    return s;
}

template <class T> static attention_fore<T> attention_fore_of(const tk_call *c)
{
    attention_fore<T> a;
    a.s = attention_shape_of<T>(c);
    a.ask = tk_i32(&c->in[3]), a.asked = tk_i32(&c->in[4]);
    a.q = (const T *)c->in[0].data, a.k = (const T *)c->in[1].data;
    a.v = (const T *)c->in[2].data, a.o = (T *)c->out[0].data;
    a.lse = (float *)c->out[1].data;
    return a;
}

// `keys`: whether blocks own keys. d->scratch holds `across`.
template <class T>
static attention_back<T> attention_back_of(const tk_device *d, const tk_call *c, bool keys)
{
    const T *q[] = {(const T *)c->in[0].data, (const T *)c->dout[0].data};
    const T *k[] = {(const T *)c->in[1].data, (const T *)c->in[2].data};
    attention_back<T> a;
    a.s = attention_shape_of<T>(c);
    a.own_at = tk_i32(&c->in[keys ? 4 : 3]), a.other_at = tk_i32(&c->in[keys ? 3 : 4]);
    a.lse = (const float *)c->out[1].data, a.across = (const float *)d->scratch;
    for (int i = 0; i < 2; i++) {
        const int input = keys ? 1 + i : i ? -1 : 0; // dk and dv, or dq alone
        a.own[i] = keys ? k[i] : q[i], a.other[i] = keys ? q[i] : k[i];
        a.to[i] = input < 0 ? NULL : (T *)c->din[input].data;
        a.add[i] = input >= 0 && c->add[input];
    }
    return a;
}

// ---- the families -------------------------------------------------------------------------------

// Any head of at most ATTENTION_DIM channels, fp32 and bf16 (attention_plain.cu).
tk_status tk_cuda_attention_plain(tk_device *d, const tk_call *c);
tk_status tk_cuda_attention_plain_back(tk_device *d, const tk_call *c);

// On tensor cores (attention_tensor.cu), where that knows the call.
bool tk_cuda_attention_tensor_knows(const tk_call *c);
tk_status tk_cuda_attention_tensor(tk_device *d, const tk_call *c);
tk_status tk_cuda_attention_tensor_back(tk_device *d, const tk_call *c);
