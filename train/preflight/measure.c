// SPDX-License-Identifier: Apache-2.0
#include "train/preflight/measure.h"
#include "core/base/log.h"
#include "core/device/ops/ops.h"
#include "core/numbers/half.h"
#include "train/run/ceiling.h"
#include <stdlib.h>
#include <xxhash.h>

// ---- the gauge ---------------------------------------------------------------------------------

tk_status tk_flight_gauge_open(tk_flight_gauge *g, tk_mesh *m, tk_device *d, const tk_config *c)
{
    void *host = NULL;
    *g = (tk_flight_gauge){.mesh = m, .device = d, .config = c, .side = c->preflight.side};
    g->bytes = (size_t)c->preflight.mib << 20;
    if (!g->side) g->side = tk_square_side(d);
    TK_TRY(tk_device_host_new(d, g->bytes, &host));
    g->host = host;
    TK_TRY(tk_device_new(d, TK_F32, (int64_t)(g->bytes / sizeof(float)), 1, &g->a));
    return tk_device_new(d, TK_F32, (int64_t)(g->bytes / sizeof(float)), 1, &g->b);
}

void tk_flight_gauge_close(tk_flight_gauge *g)
{
    if (!g->device) return;
    (void)tk_device_sync(g->device); // it may still read what is freed here
    tk_device_free(g->device, &g->b);
    tk_device_free(g->device, &g->a);
    tk_device_host_free(g->device, g->host);
    *g = (tk_flight_gauge){0};
}

int tk_flight_shorter(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

tk_status tk_flight_time(tk_flight_gauge *g, tk_status (*work)(void *ctx), void *ctx, int times,
                         double *seconds)
{
    int n = 0;
    *seconds = 0;
    TK_TRY(work(ctx));
    TK_TRY(tk_device_sync(g->device));
    TK_TRY(tk_comm_barrier(&g->mesh->world));
    const double begin = tk_now();
    for (bool more = true; more; n++) {
        const double from = tk_now();
        TK_TRY(work(ctx));
        TK_TRY(tk_device_sync(g->device));
        const double now = tk_now();
        g->times[n] = now - from;
        const bool enough = n + 1 >= TK_FLIGHT_LEAST && now - begin > g->config->preflight.seconds;
        more = times ? n + 1 < times : !enough && n + 1 < TK_FLIGHT_MOST;
    }
    qsort(g->times, (size_t)n, sizeof *g->times, tk_flight_shorter);
    *seconds = g->times[n / 2];
    return TK_OK;
}

// ---- products ----------------------------------------------------------------------------------

// Number i of a matrix, in [-1/2, 1/2): the same on all ranks, exact in both types.
static float planted_number(uint64_t i)
{
    return (float)((i * 2654435761u >> 24) & 0xff) / 256 - 0.5f;
}

// Fills a tensor by pieces, counting from `from`.
static tk_status put_numbers(tk_flight_gauge *g, const tk_tensor *t, uint64_t from)
{
    const size_t bytes = tk_bytes(t), each = tk_dtype_size(t->dtype);
    for (size_t at = 0; at < bytes; at += g->bytes) {
        const size_t piece = bytes - at < g->bytes ? bytes - at : g->bytes;
        for (size_t i = 0; i < piece / each; i++) {
            const float x = planted_number(from + at / each + i);
            if (t->dtype == TK_F32)
                ((float *)g->host)[i] = x;
            else
                ((uint16_t *)g->host)[i] = tk_bf16_from_float(x);
        }
        TK_TRY(tk_device_upload(g->device, (char *)t->data + at, g->host, piece));
        TK_TRY(tk_device_sync(g->device));
        tk_alive();
    }
    return TK_OK;
}

static tk_status digest_tensor(tk_flight_gauge *g, const tk_tensor *t, uint64_t *out)
{
    const size_t bytes = tk_bytes(t);
    *out = 0;
    for (size_t at = 0; at < bytes; at += g->bytes) {
        const size_t piece = bytes - at < g->bytes ? bytes - at : g->bytes;
        TK_TRY(tk_device_download(g->device, g->host, (const char *)t->data + at, piece));
        TK_TRY(tk_device_sync(g->device));
        *out = XXH3_64bits_withSeed(g->host, piece, *out);
    }
    return TK_OK;
}

typedef struct timed_product {
    tk_device *device;
    tk_call call;
} timed_product;

static tk_status multiply_once(void *ctx)
{
    timed_product *p = ctx;
    return tk_op_forward(p->device, &p->call);
}

// The result of the first product and of the last, after the device has worked for a while.
static tk_status compare_products(tk_flight_gauge *g, timed_product *p, tk_flight_rank *own)
{
    const double flops = g->device->flops;
    uint64_t last;
    double seconds;
    TK_TRY(put_numbers(g, &p->call.in[0], 0));
    TK_TRY(put_numbers(g, &p->call.in[1], (uint64_t)(g->side * g->side)));
    TK_TRY(multiply_once(p));
    const double each = g->device->flops - flops;
    TK_TRY(digest_tensor(g, &p->call.out[0], &own->product));
    TK_TRY(tk_flight_time(g, multiply_once, p, 0, &seconds));
    own->figure[TK_FLIGHT_PRODUCT] = each / seconds;
    TK_TRY(digest_tensor(g, &p->call.out[0], &last));
    own->unsteady = last != own->product;
    return TK_OK;
}

static tk_status time_products(tk_flight_gauge *g, tk_flight_rank *own)
{
    tk_device *d = g->device;
    const tk_dtype t = tk_product_type(g->config);
    timed_product p = {.device = d, .call = {.op = TK_OP_LINEAR}};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_device_new(d, t, g->side, g->side, &p.call.in[0]));
    TK_TRY_TO(st, done, tk_device_new(d, t, g->side, g->side, &p.call.in[1]));
    TK_TRY_TO(st, done, tk_device_new(d, t, g->side, g->side, &p.call.out[0]));
    TK_TRY_TO(st, done, compare_products(g, &p, own));
done:
    tk_device_free(d, &p.call.out[0]);
    tk_device_free(d, &p.call.in[1]);
    tk_device_free(d, &p.call.in[0]);
    return st;
}

// ---- copies and memory -------------------------------------------------------------------------

static tk_status copy_within(void *ctx)
{
    const tk_flight_gauge *g = ctx;
    return tk_device_copy(g->device, g->b.data, g->a.data, g->bytes);
}

static tk_status copy_up(void *ctx)
{
    const tk_flight_gauge *g = ctx;
    return tk_device_upload(g->device, g->a.data, g->host, g->bytes);
}

static tk_status copy_down(void *ctx)
{
    const tk_flight_gauge *g = ctx;
    return tk_device_download(g->device, g->host, g->a.data, g->bytes);
}

static tk_status time_copies(tk_flight_gauge *g, tk_flight_rank *own)
{
    double seconds;
    TK_TRY(tk_flight_time(g, copy_up, g, 0, &seconds));
    own->figure[TK_FLIGHT_UPLOAD] = (double)g->bytes / seconds;
    TK_TRY(tk_flight_time(g, copy_within, g, 0, &seconds));
    own->figure[TK_FLIGHT_COPY] = 2 * (double)g->bytes / seconds;
    TK_TRY(tk_flight_time(g, copy_down, g, 0, &seconds));
    own->figure[TK_FLIGHT_DOWNLOAD] = (double)g->bytes / seconds;
    return TK_OK;
}

// Word i of block `block`: each block's are others.
static uint32_t memory_word(int64_t block, size_t i)
{
    return (uint32_t)((i + 1) * 2654435761u) ^ (uint32_t)(block * 40503);
}

// All blocks are written before the first is read, so that one that lies over another shows.
static tk_status check_blocks(tk_flight_gauge *g, int64_t n, tk_tensor *block, tk_flight_rank *own)
{
    const size_t words = g->bytes / sizeof(uint32_t);
    for (int64_t k = 0; k < n; k++) {
        TK_TRY(tk_device_new(g->device, TK_I32, (int64_t)words, 1, &block[k]));
        for (size_t i = 0; i < words; i++) g->host[i] = memory_word(k, i);
        TK_TRY(tk_device_upload(g->device, block[k].data, g->host, g->bytes));
        TK_TRY(tk_device_sync(g->device));
        tk_alive();
    }
    for (int64_t k = 0; k < n; k++) {
        TK_TRY(tk_device_download(g->device, g->host, block[k].data, g->bytes));
        TK_TRY(tk_device_sync(g->device));
        tk_alive();
        for (size_t i = 0; i < words; i++)
            if (g->host[i] != memory_word(k, i)) own->bad_bytes += (int64_t)sizeof(uint32_t);
    }
    return TK_OK;
}

static tk_status check_memory(tk_flight_gauge *g, tk_flight_rank *own)
{
    const int64_t n = g->config->preflight.memory / g->config->preflight.mib;
    tk_tensor *block;
    if (!n) return TK_OK;
    TK_NEW(block, n);
    const tk_status st = check_blocks(g, n, block, own);
    for (int64_t k = n - 1; k >= 0; k--) tk_device_free(g->device, &block[k]);
    tk_free(block);
    return st;
}

// ---- all of it ---------------------------------------------------------------------------------

tk_status tk_flight_alone(tk_flight_gauge *g, tk_flight_rank *own)
{
    TK_TRY(time_products(g, own));
    TK_TRY(time_copies(g, own));
    return check_memory(g, own);
}
