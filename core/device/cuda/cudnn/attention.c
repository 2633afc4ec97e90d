// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/cudnn/attention.h"
#include "core/base/list.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/device/cuda/cudnn/cut.h"
#include "core/device/cuda/table.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct tk_cudnn { // what a device keeps
    cudnnHandle_t handle;
    tk_cudnn_plan **plan; // one for each shape met
    int64_t n, cap;
    bool told; // that our own kernels do some calls
};

// ---- the library -------------------------------------------------------------------------------

tk_status tk_cuda_attends(tk_device *d, int64_t *version)
{
    tk_cuda *c = tk_cuda_of(d);
    *version = 0;
    TK_TRY(tk_cudnn_load());
    if (!c->cudnn) {
        TK_NEW(c->cudnn, 1);
        const tk_status st =
            tk_cudnn_check(d, tk_cudnn.cudnnCreate(&c->cudnn->handle), "opening it");
        if (st != TK_OK) tk_cudnn_close(c);
        TK_TRY(st);
    }
    *version = tk_cudnn_version();
    return TK_OK;
}

void tk_cudnn_close(tk_cuda *c)
{
    struct tk_cudnn *x = c->cudnn;
    if (!x) return;
    for (int64_t i = 0; i < x->n; i++) {
        tk_cudnn_plan_end(x->plan[i]);
        tk_free(x->plan[i]);
    }
    if (x->handle) (void)tk_cudnn.cudnnDestroy(x->handle);
    tk_free(x->plan);
    tk_free(x);
    c->cudnn = NULL;
}

// The plan for a shape, made when it is first met; it may be that there is none.
static tk_status plan_for(const tk_device *d, const tk_cudnn_shape *s, const tk_cudnn_plan **out)
{
    struct tk_cudnn *x = tk_cuda_of(d)->cudnn;
    for (int64_t i = 0; i < x->n; i++)
        if (!memcmp(&x->plan[i]->shape, s, sizeof *s)) {
            *out = x->plan[i];
            return TK_OK;
        }
    TK_ROOM_FOR_ONE(x->plan, x->n, x->cap, 16);
    tk_cudnn_plan *p;
    TK_NEW(p, 1);
    tk_cudnn_plan_make(&(tk_cudnn_target){.handle = x->handle}, s, p);
    *out = x->plan[x->n++] = p;
    return TK_OK;
}

// ---- whether it does a call --------------------------------------------------------------------

static tk_cudnn_shape run_shape(const tk_cudnn_cut *cut, int64_t documents)
{
    tk_cudnn_shape s = cut->largest;
    s.documents = documents;
    return s;
}

// Plans for all runs, on a device that is there.
static tk_status has_plans(const tk_device *d, const tk_cudnn_cut *cut, bool *has, char *why,
                           size_t room)
{
    *has = true;
    if (!d->impl) return TK_OK;
    for (int64_t left = cut->documents, n; left > 0 && *has; left -= n) {
        n = tk_cudnn_next(cut, left);
        const tk_cudnn_shape s = run_shape(cut, n);
        const tk_cudnn_plan *p;
        TK_TRY(plan_for(d, &s, &p));
        *has = p->plan != NULL;
        if (!*has)
            snprintf(why, room, "it has no plan for %lld documents of %lld rows: %s", (long long)n,
                     (long long)s.ask, p->why);
    }
    return TK_OK;
}

tk_status tk_cudnn_takes(const tk_device *d, const tk_call *c, bool back, bool *takes)
{
    char why[512] = "";
    tk_cudnn_cut cut;
    *takes = false;
    if (d->attention.by == TK_ATTENTION_OWN || !tk_cols(&c->in[0])) return TK_OK;
    *takes = tk_cudnn_cut_of(c, back, &d->attention, &cut, why, sizeof why);
    if (*takes) TK_TRY(has_plans(d, &cut, takes, why, sizeof why));
    if (*takes) return TK_OK;
    if (d->attention.by == TK_ATTENTION_CUDNN)
        return TK_FAIL(TK_INPUT,
                       "attention=cudnn: cuDNN does not take this attention: %s. "
                       "attention=auto lets our own kernels do what it does not take",
                       why);
    struct tk_cudnn *x = d->impl ? tk_cuda_of(d)->cudnn : NULL;
    if (x && !x->told)
        tk_log("attention that cuDNN does not take is done by our own kernels: %s", why);
    if (x) x->told = true;
    return TK_OK;
}

// ---- memory of a call --------------------------------------------------------------------------

// Where things lie in a call's scratch, in bytes.
typedef struct scratch_layout {
    size_t at[3], count[2]; // tk_cuda_documents
    size_t sums, dq_sums;   // of backward
    size_t fresh[3];        // gradients that are not written where they belong
    size_t workspace, room; // of cuDNN
    size_t bytes;           // of all
} scratch_layout;

static size_t place(scratch_layout *l, size_t bytes)
{
    enum { LINE = 256 };
    const size_t at = l->bytes;
    l->bytes += (bytes + LINE - 1) / LINE * LINE;
    return at;
}

// Whether cuDNN, which writes all gradients, writes this one where the caller wants it.
static bool is_in_place(const tk_call *c, int k)
{
    return tk_wants(c, k) && !c->add[k];
}

// What plans take: as planned, or what those that are there say where it is more.
static size_t workspace_of(const tk_device *d, const tk_cudnn_cut *cut)
{
    int64_t most = 0;
    for (int64_t left = cut->documents, n; left > 0; left -= n) {
        n = tk_cudnn_next(cut, left);
        const tk_cudnn_shape s = run_shape(cut, n);
        const tk_cudnn_plan *p = NULL;
        const int64_t planned = tk_cudnn_workspace(&s);
        if (planned > most) most = planned;
        if (d->impl && plan_for(d, &s, &p) == TK_OK && p->workspace > most) most = p->workspace;
    }
    return (size_t)most;
}

static scratch_layout lay_scratch(const tk_device *d, const tk_call *c, bool back,
                                  const tk_cudnn_cut *cut)
{
    scratch_layout l = {.bytes = 0};
    const size_t docs = (size_t)c->i[4], numbers = (size_t)tk_count(&c->in[0]);
    const size_t heads = numbers / (size_t)c->i[0];
    for (int i = 0; i < 3; i++) l.at[i] = place(&l, (docs + 1) * sizeof(int64_t));
    for (int i = 0; i < 2; i++) l.count[i] = place(&l, docs * sizeof(int32_t));
    if (back) l.sums = place(&l, heads * sizeof(float));
    if (cut->largest.way == TK_CUDNN_BACK_ANY_ORDER) l.dq_sums = place(&l, numbers * sizeof(float));
    for (int k = 0; back && k < 3; k++)
        if (!is_in_place(c, k)) l.fresh[k] = place(&l, tk_bytes(&c->in[k]));
    l.room = workspace_of(d, cut);
    l.workspace = place(&l, l.room);
    return l;
}

static void cut_again(const tk_device *d, const tk_call *c, bool back, tk_cudnn_cut *cut)
{
    char why[256];
    const bool takes = tk_cudnn_cut_of(c, back, &d->attention, cut, why, sizeof why);
    tk_assert(takes);
}

size_t tk_cudnn_scratch(const tk_device *d, const tk_call *c, bool back)
{
    tk_cudnn_cut cut;
    cut_again(d, c, back, &cut);
    return lay_scratch(d, c, back, &cut).bytes;
}

// ---- running plans -----------------------------------------------------------------------------

// The tensors of a call, by number; those of host memory are `number`'s.
typedef struct tensors {
    char *at[TK_CUDNN_TENSORS];
    float number[3];
} tensors;

static char *in_scratch(const tk_device *d, size_t at)
{
    return (char *)d->scratch + at;
}

static tensors common(const tk_device *d, const tk_call *c, const scratch_layout *l)
{
    tensors t = {.number = {(float)c->f[0], 1, -INFINITY}};
    t.at[TK_CUDNN_Q] = c->in[0].data;
    t.at[TK_CUDNN_K] = c->in[1].data;
    t.at[TK_CUDNN_V] = c->in[2].data;
    t.at[TK_CUDNN_O] = c->out[0].data;
    t.at[TK_CUDNN_LSE] = c->out[1].data;
    t.at[TK_CUDNN_ASK_AT] = in_scratch(d, l->at[0]);
    t.at[TK_CUDNN_ASKED_AT] = in_scratch(d, l->at[1]);
    t.at[TK_CUDNN_LSE_AT] = in_scratch(d, l->at[2]);
    t.at[TK_CUDNN_ASK] = in_scratch(d, l->count[0]);
    t.at[TK_CUDNN_ASKED] = in_scratch(d, l->count[1]);
    return t;
}

// Bytes from one head of a row to the next; of what is by document, 0.
static int64_t head_bytes(int tensor, int64_t channels)
{
    if (tensor <= TK_CUDNN_DV) return channels * 2;
    if (tensor <= TK_CUDNN_SUMS) return sizeof(float);
    return tensor == TK_CUDNN_DQ_SUMS ? channels * (int64_t)sizeof(float) : 0;
}

static int64_t document_bytes(int tensor)
{
    if (tensor >= TK_CUDNN_ASK_AT && tensor <= TK_CUDNN_LSE_AT) return sizeof(int64_t);
    return tensor == TK_CUDNN_ASK || tensor == TK_CUDNN_ASKED ? sizeof(int32_t) : 0;
}

// What a plan is run on: tensors from one document and head on.
static void give_tensors(tk_cudnn_parts *p, cudnnBackendDescriptor_t pack, const tk_cudnn_shape *s,
                         tensors *t, int64_t document, int64_t head)
{
    int64_t number[TK_CUDNN_TENSORS];
    void *at[TK_CUDNN_TENSORS];
    int64_t n = 0;
    for (int i = 1; i < TK_CUDNN_TENSORS; i++) {
        const bool on_host = i >= TK_CUDNN_SCALE;
        if (!t->at[i] && !on_host) continue;
        if (on_host && i > TK_CUDNN_SCALE && s->way == TK_CUDNN_FORE) continue;
        number[n] = i;
        at[n++] = on_host
                      ? (void *)&t->number[i - TK_CUDNN_SCALE]
                      : t->at[i] + document * document_bytes(i) + head * head_bytes(i, s->channels);
    }
    tk_cudnn_set(p, pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, n, number);
    tk_cudnn_set(p, pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, n, at);
}

static tk_status run_plan(tk_device *d, const tk_cudnn_shape *s, const scratch_layout *l,
                          tensors *t, int64_t document, int64_t head)
{
    struct tk_cudnn *x = tk_cuda_of(d)->cudnn;
    const tk_cudnn_plan *plan;
    tk_cudnn_parts p = {.n = 0};
    void *workspace = in_scratch(d, l->workspace);
    TK_TRY(plan_for(d, s, &plan));
    if (tk_cudnn_version() < TK_CUDNN_UNZEROED && plan->workspace)
        TK_TRY(tk_cuda_check(
            d, cudaMemsetAsync(workspace, 0, (size_t)plan->workspace, tk_cuda_stream(d)), "zero"));
    const cudnnBackendDescriptor_t pack = tk_cudnn_new(&p, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    give_tensors(&p, pack, s, t, document, head);
    tk_cudnn_set(&p, pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    tk_cudnn_finish(&p, pack);
    if (!p.status) p.status = tk_cudnn.cudnnBackendExecute(x->handle, plan->plan, pack);
    const tk_status st = tk_cudnn_check(d, p.status, "attention");
    tk_cudnn_end(&p);
    return st;
}

static tk_status run_plans(tk_device *d, const tk_cudnn_cut *cut, const scratch_layout *l,
                           tensors *t)
{
    const tk_cudnn_shape *s = &cut->largest;
    TK_TRY(tk_cudnn_check(
        d, tk_cudnn.cudnnSetStream(tk_cuda_of(d)->cudnn->handle, tk_cuda_stream(d)), "its stream"));
    for (int64_t document = 0, n; document < cut->documents; document += n) {
        n = tk_cudnn_next(cut, cut->documents - document);
        const tk_cudnn_shape run = run_shape(cut, n);
        for (int64_t head = 0; head < s->all_heads; head += s->heads)
            TK_TRY(run_plan(d, &run, l, t, document, head));
    }
    return TK_OK;
}

// ---- the operator ------------------------------------------------------------------------------

static tk_status find_documents(tk_device *d, const tk_call *c, tensors *t)
{
    const tk_cuda_documents x = {.ask = tk_i32(&c->in[3]),
                                 .asked = tk_i32(&c->in[4]),
                                 .docs = c->i[4],
                                 .width = tk_cols(&c->in[0]),
                                 .heads = tk_cols(&c->in[0]) / c->i[0],
                                 .at = {(int64_t *)(void *)t->at[TK_CUDNN_ASK_AT],
                                        (int64_t *)(void *)t->at[TK_CUDNN_ASKED_AT],
                                        (int64_t *)(void *)t->at[TK_CUDNN_LSE_AT]},
                                 .count = {(int32_t *)(void *)t->at[TK_CUDNN_ASK],
                                           (int32_t *)(void *)t->at[TK_CUDNN_ASKED]}};
    return tk_cuda_find_documents(d, &x);
}

// Rows of documents that have none opposite are zero: cuDNN is not shown them.
static tk_status zero_alone(tk_device *d, const tk_call *c, void *x, const tk_tensor *like,
                            bool asked)
{
    if (c->i[5] == c->i[4]) return TK_OK;
    return tk_cuda_zero_alone(d, x, like->dtype, tk_cols(like), tk_i32(&c->in[asked ? 4 : 3]),
                              tk_i32(&c->in[asked ? 3 : 4]), c->i[4]);
}

tk_status tk_cudnn_attention(tk_device *d, const tk_call *c)
{
    tk_cudnn_cut cut;
    cut_again(d, c, false, &cut);
    const scratch_layout l = lay_scratch(d, c, false, &cut);
    tensors t = common(d, c, &l);
    TK_TRY(find_documents(d, c, &t));
    TK_TRY(run_plans(d, &cut, &l, &t));
    TK_TRY(zero_alone(d, c, c->out[0].data, &c->out[0], false));
    return zero_alone(d, c, c->out[1].data, &c->out[1], false);
}

// din[k] += what was written beside it.
static tk_status add_fresh(tk_device *d, const tk_call *c, int k, void *fresh)
{
    tk_tensor x = c->in[k];
    x.data = fresh;
    const tk_call add = {.op = TK_OP_ADD, .in = {c->din[k], x}, .out = {c->din[k]}};
    return tk_cuda_add(d, &add);
}

tk_status tk_cudnn_attention_back(tk_device *d, const tk_call *c)
{
    tk_cudnn_cut cut;
    cut_again(d, c, true, &cut);
    const scratch_layout l = lay_scratch(d, c, true, &cut);
    tensors t = common(d, c, &l);
    t.at[TK_CUDNN_DO] = c->dout[0].data;
    t.at[TK_CUDNN_SUMS] = in_scratch(d, l.sums);
    if (cut.largest.way == TK_CUDNN_BACK_ANY_ORDER)
        t.at[TK_CUDNN_DQ_SUMS] = in_scratch(d, l.dq_sums);
    for (int k = 0; k < 3; k++)
        t.at[TK_CUDNN_DQ + k] = is_in_place(c, k) ? c->din[k].data : in_scratch(d, l.fresh[k]);
    TK_TRY(find_documents(d, c, &t));
    TK_TRY(run_plans(d, &cut, &l, &t));
    for (int k = 0; k < 3; k++) {
        if (!tk_wants(c, k)) continue;
        TK_TRY(zero_alone(d, c, t.at[TK_CUDNN_DQ + k], &c->in[k], k > 0));
        if (c->add[k]) TK_TRY(add_fresh(d, c, k, t.at[TK_CUDNN_DQ + k]));
    }
    return TK_OK;
}
