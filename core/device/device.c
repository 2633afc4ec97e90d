// SPDX-License-Identifier: Apache-2.0
// The functions of a device: what is checked before any device is called.
#include "core/device/device.h"
#include "core/device/ops/impl.h"
#include "core/device/recording.h"
#include "core/device/trace.h"
#include <stdio.h>
#include <string.h>

// Of the workspace of a call: cuBLASLt takes no other, and CUDA's own allocator gives it.
enum { WORKSPACE_ALIGN = 256 };

static tk_status check_built(const tk_device_ops *ops)
{
    if (ops) return TK_OK;
    return TK_FAIL(TK_INPUT, "device=cuda: this talkie was built without CUDA; build it where nvcc "
                             "is (make CUDA_HOME=...), or take device=cpu");
}

tk_status tk_device_open_card(tk_device *d, const tk_device_ops *ops, int card, int threads,
                              size_t bytes)
{
    *d = (tk_device){0};
    TK_TRY(check_built(ops));
    *d = (tk_device){
        .ops = ops, .kernels = ops->kernels, .card = card, .attention = {.by = TK_ATTENTION_OWN}};
    tk_status st = ops->open(d, threads);
    if (st != TK_OK) *d = (tk_device){0};
    TK_TRY(st);
    void *base = NULL;
    TK_TRY_TO(st, close, ops->reserve(d, &bytes, &base));
    TK_TRY_TO(st, release, tk_pool_init(&d->pool, base, bytes));
    return TK_OK;
release:
    ops->release(d, base, bytes);
close:
    ops->close(d);
    *d = (tk_device){0};
    return st;
}

tk_status tk_device_open(tk_device *d, const tk_device_ops *ops, int threads, size_t bytes)
{
    return tk_device_open_card(d, ops, 0, threads, bytes);
}

tk_status tk_device_open_dry(tk_device *d, const tk_device_ops *like, int threads, size_t bytes)
{
    TK_TRY(check_built(like));
    TK_TRY(tk_device_open(d, &tk_device_dry, threads, bytes));
    d->stands_for = like;
    d->kernels = like->kernels;
    return TK_OK;
}

void tk_device_close(tk_device *d)
{
    if (!d->ops) return;
    void *base = d->pool.base;
    size_t bytes = d->pool.bytes;
    (void)tk_device_sync(d);
    tk_device_unregister(d);
    tk_pool_done(&d->pool);
    d->ops->release(d, base, bytes);
    d->ops->close(d);
    *d = (tk_device){0};
}

bool tk_device_card(const tk_device *d, tk_card *out)
{
    if (d->ops->card && d->ops->card(d->card, out) == TK_OK) return true;
    if (d->ops->card) tk_status_clear();
    return false;
}

void tk_device_software(tk_device *d, char *out, size_t size)
{
    if (size) *out = 0;
    if (d->ops->software) d->ops->software(d, out, size);
}

// ---- memory -------------------------------------------------------------------------------------

tk_pool *tk_device_pool_of(tk_device *d, const void *x)
{
    return tk_pool_holds(&d->registered, x, 1) ? &d->registered : &d->pool;
}

static void give_back(tk_device *d, void *x)
{
    const size_t bytes = tk_pool_free(tk_device_pool_of(d, x), d->queue, x);
    if (bytes && d->ops->freed) d->ops->freed(d, x, bytes);
}

// Puts who wanted what for what, and who holds the rest, around the words of a failure.
static tk_status say_full(const tk_device *d, const tk_pool *p, tk_pool_purpose purpose,
                          size_t bytes, tk_status st)
{
    char why[512], who[256], plan[160] = "";
    if (st != TK_MEMORY) return st;
    snprintf(why, sizeof why, "%s", tk_status_message());
    tk_pool_print(p->held, who, sizeof who);
    if (p == &d->registered)
        snprintf(plan, sizeof plan,
                 "; that is all that was registered for messages: with "
                 "parallel.register_buffers=false they take what they need");
    else if (d->planned)
        snprintf(plan, sizeof plan, "; planned were %.1f MiB at most", (double)d->planned / 0x1p20);
    return TK_FAIL(TK_MEMORY, "%s%s%s%s%.1f MiB for %s do not fit: %s. In use: %s%s", d->during,
                   *d->during ? ", " : "", d->op ? d->op : "", d->op ? ": " : "",
                   (double)bytes / 0x1p20, tk_pool_purpose_name(purpose), why,
                   *who ? who : "nothing", plan);
}

// A block of a pool, with memory under it.
static tk_status take(tk_device *d, tk_pool *p, tk_pool_purpose purpose, size_t bytes, void **out)
{
    size_t peak = p->peak, at_peak[TK_POOL_PURPOSES];
    memcpy(at_peak, p->at_peak, sizeof at_peak);
    tk_status st = tk_pool_new(p, d->queue, purpose, bytes, out);
    if (st != TK_OK) return say_full(d, p, purpose, bytes, st);
    if (p == &d->pool) st = tk_device_expect(d, p->peak);
    if (st == TK_OK && d->recording) st = tk_recording_note(d->recording, *out, bytes);
    if (st != TK_OK) {
        tk_pool_free(p, d->queue, *out);
        p->peak = peak;
        memcpy(p->at_peak, at_peak, sizeof at_peak);
        *out = NULL;
        st = say_full(d, p, purpose, bytes, st);
    }
    TK_TRY(st);
    return TK_OK;
}

tk_status tk_device_expect(tk_device *d, size_t bytes)
{
    return d->ops->grow ? d->ops->grow(d, bytes) : TK_OK;
}

bool tk_device_maps(const tk_device *d)
{
    return d->ops->grow != NULL;
}

tk_status tk_device_new(tk_device *d, tk_dtype t, int64_t rows, int64_t cols, tk_tensor *out)
{
    return tk_device_new_for(d, TK_FOR_ACTIVATIONS, t, rows, cols, out);
}

static tk_status new_in(tk_device *d, tk_pool *p, tk_pool_purpose purpose, tk_dtype t, int64_t rows,
                        int64_t cols, tk_tensor *out)
{
    int64_t count, bytes;
    TK_TRY(tk_mul_size(rows, cols, &count));
    TK_TRY(tk_mul_size(count, (int64_t)tk_dtype_size(t), &bytes));
    void *data;
    TK_TRY(tk_trace_call(d, TK_TRACE_NEW, (size_t)bytes));
    TK_TRY(take(d, p, purpose, (size_t)bytes, &data));
    *out = tk_tensor_2d(data, t, rows, cols);
    return TK_OK;
}

static tk_pool *pool_of_sent(tk_device *d)
{
    return d->registered.bytes ? &d->registered : &d->pool;
}

tk_status tk_device_new_for(tk_device *d, tk_pool_purpose purpose, tk_dtype t, int64_t rows,
                            int64_t cols, tk_tensor *out)
{
    tk_pool *p = purpose == TK_FOR_MESSAGES ? pool_of_sent(d) : &d->pool;
    return new_in(d, p, purpose, t, rows, cols, out);
}

tk_status tk_device_new_sent(tk_device *d, tk_pool_purpose purpose, tk_dtype t, int64_t rows,
                             int64_t cols, tk_tensor *out)
{
    return new_in(d, pool_of_sent(d), purpose, t, rows, cols, out);
}

void tk_device_free(tk_device *d, tk_tensor *t)
{
    give_back(d, t->data);
    *t = (tk_tensor){0};
}

tk_status tk_device_memory(tk_device *d, size_t *available, size_t *total)
{
    return d->ops->memory(d, available, total);
}

// The last unit is nobody's, so that no block has one of the other pool for its neighbour, which a
// graph would take for a part of it (core/device/recording.h).
tk_status tk_device_register(tk_device *d, void *base, size_t bytes)
{
    enum { UNIT = 64 };
    tk_pool *p = &d->registered;
    if (p->bytes || bytes < UNIT)
        return TK_FAIL(TK_INTERNAL, "device %s: memory is registered twice, or there is none",
                       d->ops->name);
    TK_TRY(tk_pool_init(p, d->stands_for ? d->pool.base + d->pool.bytes : base, bytes - UNIT));
    memcpy(p->events, d->pool.events, sizeof p->events); // both are told of the same events
    memcpy(p->seen, d->pool.seen, sizeof p->seen);
    return TK_OK;
}

void tk_device_unregister(tk_device *d)
{
    tk_pool_done(&d->registered);
}

tk_status tk_device_host_new(tk_device *d, size_t bytes, void **out)
{
    *out = d->ops->host_new(d, bytes);
    if (*out) return TK_OK;
    return TK_FAIL(TK_MEMORY, "device %s: out of host memory for its copies (%zu bytes)",
                   d->ops->name, bytes);
}

void tk_device_host_free(tk_device *d, void *x)
{
    if (x) d->ops->host_free(d, x);
}

tk_queue tk_device_on(tk_device *d, tk_queue q)
{
    const tk_queue was = d->queue;
    tk_assert(q < TK_QUEUES);
    d->queue = q;
    return was;
}

bool tk_device_posts(const tk_device *d)
{
    return d->ops->post != NULL;
}

tk_status tk_device_post(tk_device *d, const tk_late_job *job)
{
    return d->ops->post(d, d->queue, job);
}

void tk_device_reach(tk_device *d, tk_queue q)
{
    if (d->ops->reach) d->ops->reach(d, q);
}

// ---- moving bytes ------------------------------------------------------------------------------

static tk_status check_device(const tk_device *d, const char *what, const void *x, size_t bytes)
{
    if (tk_pool_holds(&d->pool, x, bytes) || tk_pool_holds(&d->registered, x, bytes)) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s: %zu bytes at %p do not lie in the pool of device %s", what,
                   bytes, x, d->ops->name);
}

static tk_status check_host(const char *what, const void *x, size_t bytes)
{
    if (x) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "%s: %zu bytes of host memory at NULL", what, bytes);
}

tk_status tk_device_upload(tk_device *d, void *to, const void *host, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(tk_recording_forbids(d, "an upload"));
    TK_TRY(check_device(d, "upload", to, bytes));
    TK_TRY(check_host("upload", host, bytes));
    TK_TRY(tk_trace_call(d, TK_TRACE_UPLOAD, bytes));
    tk_device_reach(d, d->queue);
    return d->ops->upload(d, to, host, bytes);
}

tk_status tk_device_download(tk_device *d, void *host, const void *from, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(tk_recording_forbids(d, "a download"));
    TK_TRY(check_host("download", host, bytes));
    TK_TRY(check_device(d, "download", from, bytes));
    TK_TRY(tk_trace_call(d, TK_TRACE_DOWNLOAD, bytes));
    tk_device_reach(d, d->queue);
    return d->ops->download(d, host, from, bytes);
}

// Rows of `bytes` bytes at multiples of a stride: the bytes from the first to the last of them.
static tk_status extent(const char *what, size_t stride, size_t rows, size_t bytes, size_t *all)
{
    if (stride >= bytes && rows - 1 <= (SIZE_MAX - bytes) / stride) {
        *all = (rows - 1) * stride + bytes;
        return TK_OK;
    }
    return TK_FAIL(TK_INTERNAL, "%s: %zu rows of %zu bytes cannot lie %zu bytes apart", what, rows,
                   bytes, stride);
}

// Whether two sides share a byte. Those of one stride may lie between each other, as columns.
static bool overlap(const void *to, size_t to_stride, size_t to_all, const void *from,
                    size_t from_stride, size_t from_all, size_t bytes)
{
    const uintptr_t a = (uintptr_t)to, b = (uintptr_t)from;
    if (a >= b + from_all || b >= a + to_all) return false;
    if (to_stride != from_stride) return true;
    const size_t shift = (a > b ? a - b : b - a) % to_stride;
    return shift < bytes || to_stride - shift < bytes;
}

static tk_status check_copy(const tk_device *d, const void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes)
{
    size_t to_all = 0, from_all = 0;
    TK_TRY(extent("copy to", to_stride, rows, bytes, &to_all));
    TK_TRY(extent("copy from", from_stride, rows, bytes, &from_all));
    TK_TRY(check_device(d, "copy to", to, to_all));
    TK_TRY(check_device(d, "copy from", from, from_all));
    if (!overlap(to, to_stride, to_all, from, from_stride, from_all, bytes)) return TK_OK;
    return TK_FAIL(TK_INTERNAL, "copy: %zu bytes at %p and %zu bytes at %p overlap", to_all, to,
                   from_all, from);
}

tk_status tk_device_copy(tk_device *d, void *to, const void *from, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_copy(d, to, bytes, from, bytes, 1, bytes));
    TK_TRY(tk_trace_call(d, TK_TRACE_COPY, bytes));
    tk_device_reach(d, d->queue);
    return d->ops->copy(d, to, from, bytes);
}

tk_status tk_device_copy_2d(tk_device *d, void *to, size_t to_stride, const void *from,
                            size_t from_stride, size_t rows, size_t bytes)
{
    if (!rows || !bytes) return TK_OK;
    TK_TRY(check_copy(d, to, to_stride, from, from_stride, rows, bytes));
    TK_TRY(tk_trace_call(d, TK_TRACE_COPY, rows * bytes));
    tk_device_reach(d, d->queue);
    return d->ops->copy_2d(d, to, to_stride, from, from_stride, rows, bytes);
}

tk_status tk_device_zero(tk_device *d, void *to, size_t bytes)
{
    if (!bytes) return TK_OK;
    TK_TRY(check_device(d, "zero", to, bytes));
    TK_TRY(tk_trace_call(d, TK_TRACE_ZERO, bytes));
    tk_device_reach(d, d->queue);
    return d->ops->zero(d, to, bytes);
}

tk_status tk_device_sync(tk_device *d)
{
    TK_TRY(tk_recording_forbids(d, "a wait"));
    TK_TRY(d->ops->sync(d));
    tk_pool_sync(&d->pool);
    tk_pool_sync(&d->registered);
    return tk_trace_call(d, TK_TRACE_SYNC, 0);
}

// ---- operators ---------------------------------------------------------------------------------

bool tk_device_has(const tk_device *d, const tk_call *c, bool back)
{
    const tk_kernel *k = &d->kernels[c->op];
    return (back ? k->back : k->fore) != NULL;
}

static void *aligned(void *x)
{
    const uintptr_t off = (uintptr_t)x % WORKSPACE_ALIGN;
    return off ? (char *)x + (WORKSPACE_ALIGN - off) : x;
}

tk_status tk_device_run(tk_device *d, const tk_call *c, bool back)
{
    const tk_kernel *k = &d->kernels[c->op];
    if (k->check) TK_TRY(k->check(d, c, back));
    const size_t bytes = k->scratch ? k->scratch(d, c, back) : 0;
    void *scratch = NULL;
    tk_status st = TK_OK;
    d->op = tk_op_table[c->op].name;
    TK_TRY(tk_trace_call(d, TK_TRACE_OPERATOR, 0));
    if (bytes) TK_TRY(take(d, &d->pool, TK_FOR_WORKSPACE, bytes + WORKSPACE_ALIGN, &scratch));
    if (d->ops->computes) {
        tk_device_reach(d, d->queue);
        d->scratch = aligned(scratch);
        st = (back ? k->back : k->fore)(d, c);
        d->scratch = NULL;
    }
    d->op = NULL;
    give_back(d, scratch); // in the order of the queue: a device that runs behind is done by reuse
    TK_TRY(st);
    return TK_OK;
}

bool tk_device_computes(const tk_device *d)
{
    return d->ops->computes;
}

tk_status tk_device_put(tk_device *d, const void *host, tk_dtype t, int64_t rows, int64_t cols,
                        tk_tensor *out)
{
    tk_tensor x;
    TK_TRY(tk_device_new(d, t, rows, cols, &x));
    tk_status st = tk_device_upload(d, x.data, host, tk_bytes(&x));
    if (st != TK_OK) tk_device_free(d, &x);
    TK_TRY(st);
    *out = x;
    return TK_OK;
}

tk_status tk_device_get(tk_device *d, const tk_tensor *t, void *host)
{
    TK_TRY(tk_device_download(d, host, t->data, tk_bytes(t)));
    TK_TRY(tk_device_sync(d));
    return TK_OK;
}

tk_status tk_device_attend(tk_device *d, int64_t by, int64_t workspace)
{
    tk_attention_way way = {by, workspace, d->attention.any_order, 0};
    const tk_device_ops *like = d->stands_for ? d->stands_for : d->ops;
    tk_status st = TK_OK;
    if (by == TK_ATTENTION_CUDNN && !like->attends)
        return TK_FAIL(TK_INPUT,
                       "attention=cudnn: device %s does its own attention; cuDNN is for "
                       "device=cuda",
                       like->name);
    if (!like->attends) way.by = TK_ATTENTION_OWN;
    if (way.by != TK_ATTENTION_OWN && !d->stands_for) st = like->attends(d, &way.version);
    if (st == TK_INPUT && by == TK_ATTENTION_AUTO) st = TK_OK, way.by = TK_ATTENTION_OWN;
    TK_TRY(st);
    d->attention = way;
    return TK_OK;
}

// ---- ways to do an operator ---------------------------------------------------------------------

bool tk_device_learns(const tk_device *d)
{
    return d->ops->choices != NULL;
}

tk_status tk_device_learn(tk_device *d, bool on)
{
    return d->ops->choices->learn(d, on);
}

tk_status tk_device_learned(tk_device *d, tk_arena *a, char **text)
{
    return d->ops->choices->write(d, a, text);
}

tk_status tk_device_choose(tk_device *d, int n, const char *const text[], int64_t *own)
{
    return d->ops->choices->read(d, n, text, own);
}
