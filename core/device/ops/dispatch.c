// SPDX-License-Identifier: Apache-2.0
// One operator on one device: its kernel, its parts, or its kernel on fp32 copies where that knows
// no bf16.
//
// "An operator in bf16 is the same in fp32 on widened inputs, each element rounded once" is done
// here to the letter, for every backend: the call is run on fp32 copies in scratch, made and taken
// back by the device's own CAST. A kernel that reads and writes bf16 itself (tk_kernel.bf16) must
// only come within the rounding of that.
#include "core/device/ledger.h"
#include "core/device/ops/impl.h"

// ---- fp32 copies -----------------------------------------------------------------------------

enum { LINE = 64 }; // bytes that copies are aligned to

// x (n) becomes fp32 tensors, those of bf16 at *at and after; only those in `used` get an address.
static void place_tensors(tk_tensor *x, int n, unsigned used, uintptr_t *at)
{
    for (int k = 0; k < n; k++) {
        if (x[k].dtype != TK_BF16) continue;
        x[k].dtype = TK_F32;
        if (!(used >> k & 1)) x[k].data = NULL;
        if (!x[k].data) continue;
        x[k].data = (void *)*at;
        *at += (tk_bytes(&x[k]) + LINE - 1) / LINE * LINE;
    }
}

// Bits of the inputs that the call reads.
static unsigned read_by(const tk_call *c, bool back)
{
    if (!back) return ~0u;
    if (c->op == TK_OP_LINEAR) // x for the gradient of w alone, w for that of x
        return (c->din[1].data ? 1u : 0) | (c->din[0].data ? 2u : 0);
    return tk_op_table[c->op].needs_in;
}

// The call on fp32 copies that lie from address `begin` on, and how many bytes they take.
static tk_call widened(const tk_call *c, bool back, uintptr_t begin, size_t *bytes)
{
    tk_call wide = *c;
    uintptr_t at = begin;
    place_tensors(wide.in, TK_OP_IN, read_by(c, back), &at);
    place_tensors(wide.out, TK_OP_OUT, back ? tk_op_table[c->op].needs_out : ~0u, &at);
    place_tensors(wide.dout, TK_OP_OUT, back ? ~0u : 0, &at);
    place_tensors(wide.din, TK_OP_IN, back ? ~0u : 0, &at);
    *bytes = at - begin;
    return wide;
}

static bool any_bf16(const tk_tensor *x, int n)
{
    for (int k = 0; k < n; k++)
        if (x[k].data && x[k].dtype == TK_BF16) return true;
    return false;
}

static bool has_bf16(const tk_call *c)
{
    return any_bf16(c->in, TK_OP_IN) || any_bf16(c->out, TK_OP_OUT) || any_bf16(c->din, TK_OP_IN) ||
           any_bf16(c->dout, TK_OP_OUT);
}

// Those tensors that are there as bf16 on one side and as fp32 on the other, but for those in
// `except`.
static tk_status cast(tk_device *d, const tk_tensor *from, const tk_tensor *to, int n,
                      unsigned except)
{
    for (int k = 0; k < n; k++) {
        if (from[k].dtype == to[k].dtype || !from[k].data || !to[k].data || except >> k & 1)
            continue;
        const tk_call c = {.op = TK_OP_CAST, .in = {from[k]}, .out = {to[k]}};
        TK_TRY(tk_device_run(d, &c, false));
    }
    return TK_OK;
}

static tk_status run_on_copies(tk_device *d, const tk_call *c, const tk_call *wide, bool back)
{
    TK_TRY(cast(d, c->in, wide->in, TK_OP_IN, 0));
    if (!back) {
        TK_TRY(tk_device_run(d, wide, false));
        return cast(d, wide->out, c->out, TK_OP_OUT, 0);
    }
    unsigned fresh = 0;
    for (int i = 0; i < TK_OP_IN; i++) fresh |= (unsigned)!c->add[i] << i;
    TK_TRY(cast(d, c->out, wide->out, TK_OP_OUT, 0));
    TK_TRY(cast(d, c->dout, wide->dout, TK_OP_OUT, 0));
    TK_TRY(cast(d, c->din, wide->din, TK_OP_IN, fresh));
    TK_TRY(tk_device_run(d, wide, true));
    return cast(d, wide->din, c->din, TK_OP_IN, 0);
}

// ---- block by block --------------------------------------------------------------------------
//
// An operator that works row by row runs on blocks of rows, cut by shape alone, so that copies are
// few and stay in the cache: what it reads as a whole is widened once.

enum {
    BLOCK_BYTES = 4 << 20, // of copies, if a block may be as small as that
    BLOCK_ROWS = 64,       // rows of a block at least,
    PRODUCT_ROWS = 1024,   // and of a matrix product, which packs its weights anew for each
};

// Rows [begin, begin + count) of x, which has `rows`.
static void cut(tk_tensor *x, int64_t rows, int64_t begin, int64_t count)
{
    if (!x->ndim) return;
    const int64_t width = tk_count(x) / rows;
    void *data = x->data;
    if (data) data = (char *)data + (size_t)(begin * width) * tk_dtype_size(x->dtype);
    *x = tk_tensor_2d(data, x->dtype, count, width);
}

static tk_call block_of(const tk_call *c, int64_t rows, int64_t begin, int64_t count)
{
    tk_call block = *c;
    if (count == rows) return block;
    for (int k = 0; k < TK_OP_IN; k++) {
        const bool by_row = tk_op_table[c->op].rows >> k & 1;
        if (by_row) cut(&block.in[k], rows, begin, count), cut(&block.din[k], rows, begin, count);
        if (!by_row && begin > 0) block.add[k] = true; // sums over all rows
    }
    for (int k = 0; k < TK_OP_OUT; k++)
        cut(&block.out[k], rows, begin, count), cut(&block.dout[k], rows, begin, count);
    return block;
}

static int64_t blocks_of(const tk_call *c, int64_t rows, size_t bytes)
{
    const int64_t least = c->op == TK_OP_LINEAR ? PRODUCT_ROWS : BLOCK_ROWS;
    const int64_t wanted = tk_blocks((int64_t)bytes, BLOCK_BYTES), most = rows / least;
    if (!tk_op_table[c->op].rows || most < 2) return 1;
    return wanted < 1 ? 1 : wanted < most ? wanted : most;
}

// `c` has no bf16 but in what is cut by rows, if the operator works so.
static tk_status run_blocks(tk_device *d, const tk_call *c, bool back)
{
    const int64_t rows = tk_rows(back ? &c->dout[0] : &c->out[0]);
    size_t bytes;
    widened(c, back, LINE, &bytes);
    const int64_t blocks = blocks_of(c, rows, bytes);
    tk_call part = block_of(c, rows, 0, tk_split_count(rows, blocks, 0)); // the largest
    tk_tensor copies;
    tk_status st = TK_OK;
    widened(&part, back, LINE, &bytes);
    TK_TRY(tk_device_new_for(d, TK_FOR_WORKSPACE, TK_F32, (int64_t)(bytes / sizeof(float)), 1,
                             &copies));
    for (int64_t i = 0; i < blocks && st == TK_OK; i++) {
        const int64_t begin = tk_split_begin(rows, blocks, i);
        part = block_of(c, rows, begin, tk_split_count(rows, blocks, i));
        const tk_call wide = widened(&part, back, (uintptr_t)copies.data, &bytes);
        st = run_on_copies(d, &part, &wide, back);
    }
    tk_device_free(d, &copies);
    TK_TRY(st);
    return TK_OK;
}

// The call with what it reads as a whole in fp32, from address `begin` on.
static tk_call whole_widened(const tk_call *c, bool back, uintptr_t begin, size_t *bytes)
{
    tk_call whole = *c;
    uintptr_t at = begin;
    for (int k = 0; k < TK_OP_IN; k++)
        if (!(tk_op_table[c->op].rows >> k & 1))
            place_tensors(&whole.in[k], 1, read_by(c, back) >> k, &at);
    *bytes = at - begin;
    return whole;
}

static tk_status run_widened(tk_device *d, const tk_call *c, bool back)
{
    if (!tk_op_table[c->op].rows) return run_blocks(d, c, back);
    size_t bytes;
    tk_tensor copies;
    whole_widened(c, back, LINE, &bytes);
    TK_TRY(tk_device_new_for(d, TK_FOR_WORKSPACE, TK_F32, (int64_t)(bytes / sizeof(float)), 1,
                             &copies));
    const tk_call whole = whole_widened(c, back, (uintptr_t)copies.data, &bytes);
    tk_status st = cast(d, c->in, whole.in, TK_OP_IN, 0);
    if (st == TK_OK) st = run_blocks(d, &whole, back);
    tk_device_free(d, &copies);
    TK_TRY(st);
    return TK_OK;
}

// ---- running ---------------------------------------------------------------------------------

// One after the other, with what the first gives the second in between.
static tk_status run_parts(tk_device *d, const tk_call *c, bool back)
{
    tk_call part[TK_PARTS_MOST];
    tk_tensor between;
    TK_TRY(tk_device_new(d, c->in[0].dtype, tk_rows(&c->in[0]), tk_cols(&c->in[0]), &between));
    tk_op_parts(c, back, &between, part);
    tk_status st = TK_OK;
    for (int i = 0; i < TK_PARTS_MOST && st == TK_OK; i++) st = tk_op_run(d, &part[i], back);
    tk_device_free(d, &between);
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_op_run(tk_device *d, const tk_call *c, bool back)
{
    if (!tk_device_has(d, c, back) && tk_op_has_parts(c->op)) return run_parts(d, c, back);
    if (!tk_device_has(d, c, back))
        return TK_FAIL(TK_INTERNAL, "device %s has no %s %s", d->ops->name, tk_op_table[c->op].name,
                       back ? "backward" : "forward");
    bool (*const knows)(const tk_call *, bool) = d->kernels[c->op].bf16;
    if (!has_bf16(c) || c->op == TK_OP_CAST || (knows && knows(c, back))) // CAST makes the copies
        TK_TRY(tk_device_run(d, c, back));
    else
        TK_TRY(run_widened(d, c, back));
    d->flops += tk_op_flops(c, back);
    if (!d->ledger) return TK_OK;
    tk_work w = {.kind = TK_WORK_OPERATOR, .call = c, .back = back, .flops = tk_op_flops(c, back)};
    tk_op_traffic(c, back, &w.read, &w.written);
    tk_ledger_note(d, d->queue, &w);
    return TK_OK;
}
