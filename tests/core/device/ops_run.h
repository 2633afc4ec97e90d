// SPDX-License-Identifier: Apache-2.0
// Running a case of ops_cases.h on a backend.
#pragma once
#include "core/device/ops/impl.h"
#include "tests/core/device/ops_cases.h"
#include "tests/support/tested.h"
#include <stdio.h>

// Two ways of running a backend give the same bits: threads of cpu, seeds of the order in which
// threads of an emulated GPU run (tests/cuda/standin/dialect.h).
typedef struct backend {
    const tk_device_ops *ops;
    int threads;
    const char *seed;
    bool dry; // in its place
    // Elements that tensors are moved from where the pool begins them, each of a call by `apart`
    // more than the one before.
    int moved, apart;
    bool walled; // on an emulated GPU kernels may not even read what lies behind a tensor
    // Of attention: tk_device_attend's, AUTO being our own kernels where a workspace of 0 is given.
    int64_t by, workspace;
    bool any_order;
} backend;
// ---- running a case on a device --------------------------------------------------------------

// A backward: gradients that are wanted, and those of them that are added to.
typedef struct way {
    unsigned wanted, add;
} way;

typedef struct result {
    way by;
    float *out[TK_OP_OUT], *din[TK_OP_IN]; // bf16 outputs are widened
    double flops;
    size_t peak; // of all backwards of the run
} result;

static void result_free(result *r)
{
    for (int k = 0; k < TK_OP_OUT; k++) tk_free(r->out[k]);
    for (int k = 0; k < TK_OP_IN; k++) tk_free(r->din[k]);
}

// Devices stay open from run to run, as opening them takes longer than most of what they do. What
// memory they hand out again is NaN on an emulated GPU, as a new one's is.
enum { DEVICES = 8 };
static struct {
    const tk_device_ops *ops;
    int threads;
    tk_device device;
} devices[DEVICES];

static tk_device *device_of(const backend *b)
{
    int i = 0;
    while (i < DEVICES && devices[i].ops &&
           (devices[i].ops != b->ops || devices[i].threads != b->threads))
        i++;
    assert_true(i < DEVICES);
    tk_device *d = &devices[i].device;
    if (devices[i].ops) return d;
    const bool cuda = b->ops == tk_device_find(TK_DEVICE_CUDA);
    setenv("TALKIE_POISON", "1", 1);
    assert_ok(tk_device_open(d, b->ops, b->threads, cuda ? 0 : 1 << 28)); // 0: as it grows
    devices[i].ops = b->ops;
    devices[i].threads = b->threads;
    return d;
}

static int close_devices(void **state)
{
    (void)state;
    for (int i = 0; i < DEVICES; i++) {
        if (devices[i].ops) tk_device_close(&devices[i].device);
        devices[i].ops = NULL;
    }
    return 0;
}

// Every tensor lies between two fences: who writes there is found. They are NaN (in bf16 and fp32;
// as an index out of all bounds), so that who reads beyond a tensor has NaN, of other bits for
// each: what is computed of a NaN keeps them. In orders with an even seed they are large numbers,
// as what is added to a NaN is that NaN.
enum { FENCE = 256, FENCES = 16, PAGE = 4096 }; // bytes; tensors of a run; bytes
static uint16_t fence_of(const backend *b, int tensor)
{
    return (uint16_t)(atoi(b->seed) % 2 ? 0x7ffe - tensor : 0x5500 + tensor);
}

typedef struct fences {
    int n;
    struct {
        tk_tensor all;        // fence, tensor, fence
        size_t before, bytes; // the tensor's begin after that of `all`, and its bytes
        uint16_t *host;       // what was put there
    } of[FENCES];
} fences;

// Where a tensor x, which lies within `fenced`, begins so that it ends before a page that is kept
// from kernels: at a multiple of 16 bytes, or what is an index right there.
static char *before_wall(const tk_device *d, const tk_tensor *fenced, const tk_tensor *x)
{
    const size_t bytes = tk_bytes(x), line = x->dtype == TK_I32 ? 4 : 16;
    char *const wall = (char *)(((uintptr_t)fenced->data + FENCE + bytes + PAGE) / PAGE * PAGE);
    if (tk_device_computes(d)) standin_wall(wall, PAGE);
    return wall - (bytes + line - 1) / line * line;
}

static void put(tk_device *d, const backend *b, const tk_tensor *host, int moved, tk_tensor *to,
                fences *f)
{
    *to = (tk_tensor){0};
    if (!host->data) return;
    const bool walled = b->walled && standin_wall;
    const size_t size = tk_dtype_size(host->dtype), bytes = tk_bytes(host);
    size_t before = FENCE + (size_t)moved * size;
    const size_t all = before + bytes + FENCE + (walled ? 3 * PAGE : 0);
    uint16_t *x = tk_alloc(all);
    assert_non_null(x);
    assert_true(f->n < FENCES);
    tk_tensor *fenced = &f->of[f->n].all;
    assert_ok(tk_device_new(d, TK_BF16, 1, (int64_t)(all / sizeof *x), fenced));
    if (walled) before = (size_t)(before_wall(d, fenced, host) - (char *)fenced->data);
    const uint16_t fence = fence_of(b, f->n);
    for (size_t i = 0; i < all / sizeof *x; i++) x[i] = fence;
    memcpy((char *)x + before, host->data, bytes);
    assert_ok(tk_device_upload(d, fenced->data, x, all));
    f->of[f->n].before = before;
    f->of[f->n].bytes = bytes;
    f->of[f->n++].host = x;
    *to = *host;
    to->data = (char *)fenced->data + before;
}

// What was put there, once more.
static void put_again(tk_device *d, const tk_tensor *t, const fences *f)
{
    for (int i = 0; t->data && i < f->n; i++) {
        char *const from = (char *)f->of[i].all.data + f->of[i].before;
        if (from == t->data)
            assert_ok(
                tk_device_upload(d, from, (char *)f->of[i].host + f->of[i].before, f->of[i].bytes));
    }
}

// After the device is done: looks at the fences and frees all.
static void take_away(const backend *b, const world *w, tk_device *d, fences *f)
{
    uint16_t fence[FENCES][2][FENCE / 2];
    if (standin_wall) standin_wall(NULL, 0);
    for (int i = 0; i < f->n; i++) {
        char *const from = (char *)f->of[i].all.data + f->of[i].before;
        assert_ok(tk_device_download(d, fence[i][0], from - FENCE, FENCE));
        assert_ok(tk_device_download(d, fence[i][1], from + f->of[i].bytes, FENCE));
    }
    assert_ok(tk_device_sync(d));
    for (int i = 0; i < f->n; i++) {
        const uint16_t was = fence_of(b, i);
        for (int k = 0; k < FENCE && tk_device_computes(d); k++)
            if (fence[i][k / (FENCE / 2)][k % (FENCE / 2)] != was)
                fail_msg("%s: something is written beyond tensor %d of the call", w->name, i);
        tk_free(f->of[i].host);
        tk_device_free(d, &f->of[i].all);
    }
}

static float *get(tk_device *d, const tk_tensor *t)
{
    int64_t n = tk_count(t);
    float *x = tk_alloc((size_t)n * sizeof *x + 64);
    assert_non_null(x);
    if (t->dtype == TK_F32) {
        assert_ok(tk_device_get(d, t, x));
        return x;
    }
    uint16_t *half = tk_alloc((size_t)n * sizeof *half + 64);
    assert_ok(tk_device_get(d, t, half));
    for (int64_t i = 0; i < n; i++) x[i] = tk_bf16_to_float(half[i]);
    tk_free(half);
    return x;
}

// What a backward reads of an output is what bf16 holds of it.
static void round_output(tk_device *d, const tk_tensor *out)
{
    float *x = get(d, out);
    for (int64_t i = 0; i < tk_count(out); i++) x[i] = tk_bf16_to_float(tk_bf16_from_float(x[i]));
    assert_ok(tk_device_upload(d, out->data, x, tk_bytes(out)));
    assert_ok(tk_device_sync(d));
    tk_free(x);
}

// What lies behind all that a call is given, so much of it, is 0xff, as memory given back is: what
// is written beyond scratch is found there.
enum { BEHIND = 1 << 20 }; // bytes
static void blank_behind(tk_device *d)
{
    tk_tensor rest;
    const size_t peak = d->pool.peak;
    if (d->ops != tk_device_find(TK_DEVICE_CUDA)) return;
    assert_ok(tk_device_new(d, TK_F32, 1, BEHIND / 4, &rest));
    tk_device_free(d, &rest);
    d->pool.peak = peak;
}

static void check_behind(const world *w, tk_device *d, size_t blank)
{
    uint16_t there[FENCE / 2];
    if (d->ops != tk_device_find(TK_DEVICE_CUDA) || d->pool.peak + FENCE > blank) return;
    assert_ok(tk_device_download(d, there, d->pool.base + d->pool.peak, FENCE));
    assert_ok(tk_device_sync(d));
    for (int i = 0; i < FENCE / 2; i++)
        if (there[i] != 0xffff)
            fail_msg("%s: something is written beyond the memory of the call", w->name);
}

static void put_all(tk_device *d, const backend *b, const world *w, tk_call *c, fences *f)
{
    int moved = b->moved;
    for (int k = 0; k < TK_OP_IN; k++, moved += b->apart)
        put(d, b, &w->call.in[k], moved, &c->in[k], f);
    for (int k = 0; k < TK_OP_OUT; k++, moved += b->apart)
        put(d, b, &w->call.out[k], moved, &c->out[k], f);
    for (int k = 0; k < TK_OP_IN; k++, moved += b->apart)
        put(d, b, &w->call.din[k], moved, &c->din[k], f);
    put(d, b, &w->call.dout[0], moved, &c->dout[0], f);
    assert_ok(tk_device_sync(d));
}

// A backward after c's forward, of which inputs and outputs that it does not need are taken away.
static void run_back(tk_device *d, tk_call c, way by, result *r)
{
    const tk_op_info *info = &tk_op_table[c.op];
    tk_tensor din[TK_OP_IN];
    memcpy(din, c.din, sizeof din);
    for (int k = 0; k < TK_OP_IN; k++) {
        if (!(info->needs_in >> k & 1)) c.in[k].data = NULL;
        if (!(by.wanted >> k & 1)) c.din[k].data = NULL;
        c.add[k] = by.add >> k & 1;
    }
    for (int k = 0; k < TK_OP_OUT; k++)
        if (!(info->needs_out >> k & 1)) c.out[k].data = NULL;
    if (info->grads & by.wanted) assert_ok(tk_op_backward(d, &c));
    for (int k = 0; k < TK_OP_IN; k++)
        if (din[k].ndim && by.wanted >> k & 1) r->din[k] = get(d, &din[k]);
}

static void run_on(tk_device *d, const backend *b, const world *w, int n, const way ways[],
                   result r[])
{
    tk_call c = w->call;
    tk_device_comm comm;
    fences f = {0};
    tk_device_comm_self(&comm, tk_comm_self(), d);
    if (c.comm) c.comm = &comm;
    assert_ok(tk_device_attend(d, b->workspace ? b->by : TK_ATTENTION_OWN, b->workspace));
    d->attention.any_order = b->any_order;
    d->pool.peak = d->pool.in_use;
    put_all(d, b, w, &c, &f);
    const size_t blank = d->pool.peak + BEHIND;
    blank_behind(d);
    const double before = d->flops;
    assert_ok(tk_op_forward(d, &c));
    const double forward = d->flops - before;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < tk_op_table[c.op].n_out; k++) r[i].out[k] = get(d, &c.out[k]);
    if (w->rounds) round_output(d, &c.out[0]);
    for (int i = 0; i < n; i++) {
        const double so_far = d->flops;
        for (int k = 0; i && k < TK_OP_IN; k++) put_again(d, &c.din[k], &f);
        run_back(d, c, ways[i], &r[i]);
        r[i].flops = forward + d->flops - so_far;
    }
    check_behind(w, d, blank);
    take_away(b, w, d, &f);
    for (int i = 0; i < n; i++) r[i].peak = d->pool.peak;
}

// Forward, and where the operator has gradients n backwards, each from the same numbers.
static void run_ways(const backend *b, const world *w, int n, const way ways[], result r[])
{
    setenv("TK_CUDA_SEED", b->seed, 1);
    for (int i = 0; i < n; i++) r[i] = (result){.by = ways[i]};
    if (!b->dry) {
        run_on(device_of(b), b, w, n, ways, r);
        return;
    }
    tk_device d;
    assert_ok(tk_device_open_dry(&d, b->ops, b->threads,
                                 b->ops == tk_device_find(TK_DEVICE_CUDA) ? 0 : 1 << 28));
    run_on(&d, b, w, n, ways, r);
    tk_device_close(&d);
}

static result run(const backend *b, const world *w, unsigned wanted, unsigned add)
{
    result r;
    run_ways(b, w, 1, &(way){wanted, add}, &r);
    return r;
}

static const backend ref = {.ops = &tk_device_ref, .threads = 1, .seed = "1"};

static double square(const float *x, int64_t n)
{
    double s = 0;
    for (int64_t i = 0; i < n; i++) s += (double)x[i] * x[i];
    return s;
}
