// SPDX-License-Identifier: Apache-2.0
#include "train/step/forecast.h"
#include <stdio.h>
#include <string.h>

static const size_t ADDRESSES = (size_t)1 << 46; // of the device that computes nothing

// ---- steps -------------------------------------------------------------------------------------

static tk_status step_with_most_rows(tk_trainer *t, int64_t *step)
{
    enum { LOOKED_AT = 1024 };
    const int64_t steps = t->config->train.steps;
    int64_t most = -1;
    tk_arena a;
    tk_status st = TK_OK;
    tk_arena_init(&a, 0);
    for (int64_t k = 0; k < LOOKED_AT && k < steps && st == TK_OK; k++) {
        const int64_t s = steps > LOOKED_AT ? (int64_t)((double)k / LOOKED_AT * (double)steps) : k;
        tk_step_documents d;
        tk_arena_reset(&a);
        st = tk_step_documents_make(t->loader, &t->config->train, s, &a, &d);
        const int64_t rows = st == TK_OK ? tk_microbatch_most_rows(&t->micro, &d) : 0;
        if (rows > most) most = rows, *step = s;
    }
    tk_arena_free(&a);
    return st;
}

static tk_status go_through_steps(tk_trainer *t)
{
    int64_t largest = 0;
    TK_TRY(step_with_most_rows(t, &largest));
    const int64_t step[] = {0, 1, largest};
    for (int k = 0; k < 3; k++) TK_TRY(tk_trainer_step(t, step[k], false, TK_OK));
    return tk_trainer_drain(t, false, TK_OK);
}

tk_status tk_forecast_make(const tk_config *c, int rank, tk_loader *l, tk_forecast *out)
{
    tk_mesh mesh;
    tk_device d = {0};
    tk_trainer t = {0};
    tk_status st = TK_OK;
    *out = (tk_forecast){0};
    tk_mesh_dry(&mesh, &c->parallel, rank);
    TK_TRY_TO(st, done, tk_device_open_dry(&d, tk_device_find(c->parallel.device), 1, ADDRESSES));
    TK_TRY_TO(st, done, tk_mesh_attach(&mesh, &d));
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, &mesh, &d, l));
    TK_TRY_TO(st, done, go_through_steps(&t));
    out->pool = d.pool.peak;
    memcpy(out->held, d.pool.at_peak, sizeof out->held);
    for (int k = 0; k < 2; k++)
        if (t.host[k].most > out->staging) out->staging = t.host[k].most;
    out->staging += out->staging / 4; // steps differ in more than the rows of a microbatch
done:
    tk_trainer_close(&t);
    tk_mesh_close(&mesh);
    if (d.ops) tk_device_close(&d);
    return st;
}

// ---- other options -----------------------------------------------------------------------------

// Option k in another way, if there is one: false else.
static bool change(tk_config *c, int k, const char **words)
{
    tk_parallel_config *p = &c->parallel;
    switch (k) {
    case 0:
        *words = "train.precision=bf16";
        if (c->train.precision == TK_PRECISION_BF16) return false;
        c->train.precision = TK_PRECISION_BF16;
        return true;
    case 1:
        *words = "train.recompute=blocks";
        if (c->train.recompute) return false;
        c->train.recompute = 1;
        return true;
    case 2:
        *words = "train.microbatch=1";
        if (c->train.microbatch == 1) return false;
        c->train.microbatch = 1;
        return true;
    case 3:
        *words = "twice as many tensor ranks";
        p->tensor *= 2;
        return p->tensor <= c->model.heads;
    case 4:
        *words = "twice as many pipeline ranks";
        p->pipeline *= 2;
        return p->pipeline * p->chunks <= c->model.layers;
    default:
        *words = "twice as many data ranks";
        p->data *= 2;
        return p->data <= c->train.batch;
    }
}

// The bytes of the first rank and of the last, whichever are more.
static tk_status forecast_ends(const tk_config *c, tk_loader *l, size_t *bytes)
{
    const tk_parallel_config *p = &c->parallel;
    const int last = (int)(p->tensor * p->pipeline * p->data) - 1;
    tk_forecast f;
    TK_TRY(tk_forecast_make(c, 0, l, &f));
    *bytes = f.pool;
    if (last) TK_TRY(tk_forecast_make(c, last, l, &f));
    if (f.pool > *bytes) *bytes = f.pool;
    return TK_OK;
}

// "train.recompute=blocks (12.3 MiB), ...": each option that alone makes it fit into so many bytes.
static tk_status what_fits(const tk_config *c, tk_loader *l, size_t available, char *out,
                           size_t size)
{
    enum { WAYS = 6 };
    size_t n = 0;
    *out = 0;
    for (int k = 0; k < WAYS; k++) {
        tk_config other = *c;
        const char *words;
        size_t bytes = 0;
        if (!change(&other, k, &words)) continue;
        TK_TRY(forecast_ends(&other, l, &bytes));
        if (bytes > available || n >= size) continue;
        n += (size_t)snprintf(out + n, size - n, "%s%s (%.1f MiB)", n ? ", " : "", words,
                              (double)bytes / 0x1p20);
    }
    return TK_OK;
}

// ---- taking it ---------------------------------------------------------------------------------

tk_status tk_forecast_take_pool(const tk_forecast *f, const tk_config *c, int rank, tk_loader *l,
                                tk_device *d)
{
    size_t available, total;
    char who[256] = "", fits[384];
    d->planned = f->pool;
    TK_TRY(tk_device_memory(d, &available, &total));
    if (f->pool <= available) return tk_device_expect(d, f->pool);
    TK_TRY(what_fits(c, l, available, fits, sizeof fits));
    tk_pool_print(f->held, who, sizeof who);
    return TK_FAIL(
        TK_MEMORY,
        "training needs %.1f MiB of the device on rank %d (%s), and %.1f of its %.1f MiB "
        "are free. %s%s",
        (double)f->pool / 0x1p20, rank, who, (double)available / 0x1p20, (double)total / 0x1p20,
        *fits ? "What would fit: " : "",
        *fits ? fits : "No single option makes it fit; talkie plan tells what several do");
}

tk_status tk_forecast_take_staging(const tk_forecast *f, tk_trainer *t)
{
    for (int k = 0; k < 2; k++) TK_TRY(tk_staging_reserve(&t->host[k], f->staging));
    return TK_OK;
}
