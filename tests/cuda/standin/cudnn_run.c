// SPDX-License-Identifier: Apache-2.0
// Of the stand-in for cuDNN: attention on device memory, as the graph says that it lies there.
// Weights and gradients of scores are rounded to bf16 before they are multiplied, as tensor cores
// take them.
#include "core/numbers/half.h"
#include "tests/cuda/standin/cudnn.h"
#include "tests/cuda/standin/standin.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LAST = DN_ASKED + 1, UNZEROED = 91800 };

// What of a tensor a run needs.
typedef struct place {
    char *at;
    const int64_t *begins; // of documents, in elements; NULL: a list
    int64_t by_head, by_row, by_channel;
} place;

typedef struct job {
    bool back, any_order, needs_zero;
    int64_t documents, heads, channels, ask, asked;
    place of[LAST];
    float scale, one;
    unsigned char *workspace;
    int64_t bytes;
} job;

// ---- workspace ---------------------------------------------------------------------------------

static int64_t up_to(int64_t n, int64_t unit)
{
    return (n + unit - 1) / unit * unit;
}

int64_t dn_workspace(const dn_attention *a)
{
    enum { EACH = 384, ASK = 64, ASKED = 128 };
    const int64_t scores = a->heads * up_to(a->ask, ASK) * up_to(a->asked, ASKED) * 2;
    return EACH * (a->documents + 2) + (a->back && !a->any_order ? a->documents * scores : 0);
}

// What is found there may be anything, and what is left there is.
static void use_workspace(const job *j)
{
    for (int64_t i = 0; j->needs_zero && i < j->bytes; i++)
        if (j->workspace[i]) standin_fault("cuDNN before 9.18 has a workspace that is not zero");
    memset(j->workspace, 0xff, (size_t)j->bytes);
}

// ---- elements ----------------------------------------------------------------------------------

static float rounded(float x)
{
    return tk_bf16_to_float(tk_bf16_from_float(x));
}

static int64_t index_of(const place *p, int64_t document, int64_t head, int64_t row,
                        int64_t channel)
{
    return p->begins[document] + head * p->by_head + row * p->by_row + channel * p->by_channel;
}

static float *number(const job *j, dn_role role, int64_t document, int64_t head, int64_t row)
{
    const place *p = &j->of[role];
    return (float *)(void *)p->at + index_of(p, document, head, row, 0);
}

// Rows of a document and head in fp32, (n, channels).
static void read_rows(const job *j, dn_role role, int64_t document, int64_t head, int64_t n,
                      float *to)
{
    const place *p = &j->of[role];
    const uint16_t *x = (const uint16_t *)(const void *)p->at;
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < j->channels; c++)
            to[r * j->channels + c] = tk_bf16_to_float(x[index_of(p, document, head, r, c)]);
}

static void write_rows(const job *j, dn_role role, int64_t document, int64_t head, int64_t n,
                       const float *from)
{
    const place *p = &j->of[role];
    uint16_t *x = (uint16_t *)(void *)p->at;
    for (int64_t r = 0; r < n; r++)
        for (int64_t c = 0; c < j->channels; c++)
            x[index_of(p, document, head, r, c)] = tk_bf16_from_float(from[r * j->channels + c]);
}

static float dot(const float *a, const float *b, int64_t n)
{
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void add_row(float *to, float times, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++) to[i] += times * from[i];
}

static float *fresh(int64_t n)
{
    float *x = calloc((size_t)n, sizeof *x);
    if (!x) dn_unmodelled("out of memory");
    return x;
}

// ---- a document and head -----------------------------------------------------------------------

static void forward(const job *j, int64_t document, int64_t head, int64_t n, int64_t m)
{
    const int64_t c = j->channels;
    float *q = fresh(n * c), *k = fresh(m * c), *v = fresh(m * c), *o = fresh(n * c), *p = fresh(m);
    read_rows(j, DN_Q, document, head, n, q);
    read_rows(j, DN_K, document, head, m, k);
    read_rows(j, DN_V, document, head, m, v);
    for (int64_t r = 0; r < n; r++) {
        float most = -INFINITY, sum = 0;
        for (int64_t s = 0; s < m; s++) {
            p[s] = j->scale * dot(q + r * c, k + s * c, c);
            most = fmaxf(most, p[s]);
        }
        for (int64_t s = 0; s < m; s++) {
            p[s] = expf(p[s] - most);
            sum += p[s];
            add_row(o + r * c, rounded(p[s]), v + s * c, c);
        }
        for (int64_t i = 0; i < c; i++) o[r * c + i] /= sum;
        *number(j, DN_LSE, document, head, r) = most + logf(sum);
    }
    write_rows(j, DN_O, document, head, n, o);
    free(q), free(k), free(v), free(o), free(p);
}

// dq by the way of its sums, where these lie in memory. Of heads that are no multiple of 16
// channels it is wrong, as on Hopper in 9.19: their last 8 channels have none.
static void write_dq(const job *j, int64_t document, int64_t head, int64_t n, float *dq)
{
    const place *p = &j->of[DN_DQ_SUMS];
    for (int64_t r = 0; j->channels % 16 && r < n; r++)
        memset(dq + (r + 1) * j->channels - 8, 0, 8 * sizeof *dq);
    for (int64_t r = 0; j->any_order && r < n; r++)
        for (int64_t i = 0; i < j->channels; i++)
            ((float *)(void *)p->at)[index_of(p, document, head, r, i)] = dq[r * j->channels + i];
    write_rows(j, DN_DQ, document, head, n, dq);
}

static void backward(const job *j, int64_t document, int64_t head, int64_t n, int64_t m)
{
    const int64_t c = j->channels;
    float *x[8];
    for (int i = 0; i < 8; i++) x[i] = fresh((i < 4 ? n : m) * c);
    float *q = x[0], *o = x[1], *up = x[2], *dq = x[3], *k = x[4], *v = x[5], *dk = x[6],
          *dv = x[7];
    read_rows(j, DN_Q, document, head, n, q);
    read_rows(j, DN_O, document, head, n, o);
    read_rows(j, DN_DO, document, head, n, up);
    read_rows(j, DN_K, document, head, m, k);
    read_rows(j, DN_V, document, head, m, v);
    for (int64_t r = 0; r < n; r++) {
        float *sums = number(j, DN_SUMS, document, head, r);
        const float lse = *number(j, DN_LSE, document, head, r);
        *sums = dot(up + r * c, o + r * c, c) * j->one;
        for (int64_t s = 0; s < m; s++) {
            const float p = expf(j->scale * dot(q + r * c, k + s * c, c) - lse);
            const float ds = rounded((dot(up + r * c, v + s * c, c) - *sums) * p * j->scale);
            add_row(dv + s * c, rounded(p), up + r * c, c);
            add_row(dk + s * c, ds, q + r * c, c);
            add_row(dq + r * c, ds, k + s * c, c);
        }
    }
    write_dq(j, document, head, n, dq);
    write_rows(j, DN_DK, document, head, m, dk);
    write_rows(j, DN_DV, document, head, m, dv);
    for (int i = 0; i < 8; i++) free(x[i]);
}

static standin_turn run(void *what)
{
    const job *j = what;
    const int32_t *ask = (const int32_t *)(void *)j->of[DN_ASK].at;
    const int32_t *asked = (const int32_t *)(void *)j->of[DN_ASKED].at;
    use_workspace(j);
    for (int64_t d = 0; d < j->documents; d++) {
        if (ask[d] < 1 || asked[d] < 1)
            standin_fault("cuDNN before 9.25 gives NaN for a document without rows");
        if (ask[d] > j->ask || asked[d] > j->asked)
            standin_fault("a document of %d x %d rows for a plan of %lld x %lld", ask[d], asked[d],
                          (long long)j->ask, (long long)j->asked);
        for (int64_t h = 0; h < j->heads; h++)
            (j->back ? backward : forward)(j, d, h, ask[d], asked[d]);
    }
    return STANDIN_DONE;
}

// ---- what it is run on -------------------------------------------------------------------------

static char *address_of(const dn_thing *pack, const dn_thing *tensor, int64_t *found)
{
    const dn_attribute *ids = dn_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const dn_attribute *at = dn_find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    const int64_t id = dn_number(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID);
    const int64_t align = dn_number(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT);
    for (int64_t i = 0; i < ids->n && i < at->n; i++) {
        if (((const int64_t *)ids->values)[i] != id) continue;
        char *x = ((char *const *)at->values)[i];
        ++*found;
        if (x && (uintptr_t)x % (uintptr_t)align == 0) return x;
        dn_refuse("tensor %lld lies at %p", (long long)id, (void *)x);
        return NULL;
    }
    dn_refuse("tensor %lld is not given", (long long)id);
    return NULL;
}

// The offsets' tensors count once each.
static bool find_places(job *j, const dn_attention *a, const dn_thing *pack, int64_t *found)
{
    const dn_thing *seen[4] = {NULL};
    for (int role = DN_Q; role < LAST; role++) {
        const dn_thing *t = a->tensor[role];
        if (!t) continue;
        place *p = &j->of[role];
        p->at = address_of(pack, t, found);
        if (!p->at) return false;
        const int64_t *stride = dn_find(t, CUDNN_ATTR_TENSOR_STRIDES)->values;
        const bool turned = j->back && (role == DN_K || role == DN_V);
        p->by_head = stride[1], p->by_row = stride[turned ? 3 : 2];
        p->by_channel = stride[turned ? 2 : 3];
        const dn_thing *begins = dn_part(t, CUDNN_ATTR_TENSOR_RAGGED_OFFSET_DESC);
        if (!begins) continue;
        int64_t again = 0;
        int i = 0;
        while (seen[i] && seen[i] != begins) i++;
        p->begins =
            (const int64_t *)(const void *)address_of(pack, begins, seen[i] ? &again : found);
        seen[i] = begins;
        if (!p->begins) return false;
    }
    return true;
}

static bool numbers_are_right(job *j)
{
    j->scale = *(const float *)(const void *)j->of[DN_SCALE].at;
    if (!j->back) return true;
    j->one = *(const float *)(const void *)j->of[DN_ONE].at;
    const float never = *(const float *)(const void *)j->of[DN_NEVER].at;
    return (j->one == 1 && never < 0 && isinf(never)) || dn_refuse("%g and %g", j->one, never);
}

static void check_memory(const job *j)
{
    standin_needs_device("cuDNN's workspace", j->workspace, (size_t)j->bytes);
    standin_needs_device("cuDNN's lengths", j->of[DN_ASK].at, (size_t)j->documents * 4);
    standin_needs_device("cuDNN's lengths", j->of[DN_ASKED].at, (size_t)j->documents * 4);
    standin_needs_device("cuDNN's offsets", j->of[DN_Q].begins, (size_t)(j->documents + 1) * 8);
    standin_needs_device("cuDNN's offsets", j->of[DN_K].begins, (size_t)(j->documents + 1) * 8);
    standin_needs_device("cuDNN's offsets", j->of[DN_LSE].begins, (size_t)(j->documents + 1) * 8);
}

cudnnStatus_t dn_run(const dn_attention *a, const dn_thing *pack, cudaStream_t stream)
{
    int64_t found = 0;
    job j = {.back = a->back,
             .any_order = a->any_order,
             .needs_zero = dn_version() < UNZEROED,
             .documents = a->documents,
             .heads = a->heads,
             .channels = a->channels,
             .ask = a->ask,
             .asked = a->asked,
             .bytes = dn_workspace(a)};
    j.workspace = *(unsigned char *const *)dn_find(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE)->values;
    if (!find_places(&j, a, pack, &found) || !numbers_are_right(&j)) return CUDNN_STATUS_BAD_PARAM;
    if (found != dn_find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)->n) {
        dn_refuse("tensors are given that the graph has not");
        return CUDNN_STATUS_BAD_PARAM;
    }
    check_memory(&j);
    const cudaError_t e = standin_enqueue(stream, "cudnnBackendExecute", run, &j, sizeof j);
    if (e == cudaErrorMemoryAllocation) return CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED;
    return e == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}
