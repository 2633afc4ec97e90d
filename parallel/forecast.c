// SPDX-License-Identifier: Apache-2.0
#include "parallel/forecast.h"
#include <stdio.h>
#include <string.h>

static const size_t ADDRESSES = (size_t)1 << 46; // of a device that computes nothing

// ---- a rank that is not there ------------------------------------------------------------------

tk_status tk_dry_rank_open(tk_dry_rank *r, const tk_parallel_config *p, int rank,
                           const tk_device *like)
{
    *r = (tk_dry_rank){0};
    tk_mesh_dry(&r->mesh, p, rank);
    tk_status st = tk_device_open_dry(&r->device, like->ops, 1, ADDRESSES);
    r->device.attention = like->attention;
    r->device.steady = like->steady;
    if (st == TK_OK) st = tk_mesh_attach(&r->mesh, &r->device);
    if (st == TK_OK && p->register_buffers) st = tk_mesh_register(&r->mesh, ADDRESSES);
    if (st != TK_OK) tk_dry_rank_close(r);
    TK_TRY(st);
    return TK_OK;
}

void tk_dry_rank_tell(const tk_dry_rank *r, tk_forecast *out)
{
    out->pool = r->device.pool.peak;
    memcpy(out->held, r->device.pool.at_peak, sizeof out->held);
    out->registered = tk_forecast_registered(&r->device);
}

size_t tk_forecast_registered(const tk_device *d)
{
    enum { UNIT = 2 << 20, UNUSED = 64 }; // bytes: what NCCL takes at least; tk_device_register's
    const tk_pool *p = &d->registered;
    const size_t fixed = p->at_peak[TK_FOR_WEIGHTS] + p->at_peak[TK_FOR_GRADIENTS];
    if (!p->bytes) return 0;
    return (p->peak + (p->peak - fixed) / 4 + UNUSED + UNIT - 1) / UNIT * UNIT;
}

void tk_dry_rank_close(tk_dry_rank *r)
{
    tk_mesh_close(&r->mesh);
    tk_device_close(&r->device);
}

// ---- taking it ---------------------------------------------------------------------------------

// "train.recompute=blocks (12.3 MiB), ...": each way that alone fits into so many bytes.
static tk_status list_ways(const tk_forecast_ways *w, size_t available, char *out, size_t size)
{
    size_t n = 0;
    *out = 0;
    for (int k = 0; k < w->n; k++) {
        char words[TK_FORECAST_WORDS];
        size_t bytes = 0;
        TK_TRY(w->need(w->ctx, k, words, &bytes));
        if (!bytes || bytes > available || n >= size) continue;
        n += (size_t)snprintf(out + n, size - n, "%s%s (%.1f MiB)", n ? ", " : "", words,
                              (double)bytes / 0x1p20);
    }
    return TK_OK;
}

tk_status tk_forecast_take(const tk_forecast *f, const char *what, int rank,
                           const tk_forecast_ways *ways, tk_device *d)
{
    const size_t needed = f->pool + f->registered;
    size_t available, total;
    char who[256], fits[384], sent[64] = "";
    if (f->pool > d->planned) d->planned = f->pool;
    TK_TRY(tk_device_memory(d, &available, &total));
    if (needed <= available + d->pool.peak) return tk_device_expect(d, f->pool);
    TK_TRY(list_ways(ways, available, fits, sizeof fits));
    tk_pool_print(f->held, who, sizeof who);
    if (f->registered)
        snprintf(sent, sizeof sent, ", and %.1f MiB registered for what is sent",
                 (double)f->registered / 0x1p20);
    return TK_FAIL(
        TK_MEMORY,
        "%s needs %.1f MiB of the device on rank %d (%s%s), and %.1f of its %.1f MiB are "
        "free. %s%s",
        what, (double)needed / 0x1p20, rank, who, sent, (double)available / 0x1p20,
        (double)total / 0x1p20, *fits ? "What would fit: " : "", *fits ? fits : ways->none);
}
