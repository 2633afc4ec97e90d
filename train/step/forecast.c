// SPDX-License-Identifier: Apache-2.0
#include "train/step/forecast.h"
#include <stdio.h>

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
        st = tk_step_documents_make(t->loader, t->config, s, &a, &d);
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

static tk_status forecast_steps(const tk_config *c, tk_loader *l, tk_dry_rank *r, tk_forecast *out)
{
    tk_trainer t = {0};
    tk_status st = TK_OK;
    TK_TRY_TO(st, done, tk_trainer_open(&t, c, &r->mesh, &r->device, l));
    TK_TRY_TO(st, done, go_through_steps(&t));
    tk_dry_rank_tell(r, out);
    for (int k = 0; k < 2; k++)
        if (t.host[k].most > out->staging) out->staging = t.host[k].most;
    out->staging += out->staging / 4; // steps differ in more than the rows of a microbatch
done:
    tk_trainer_close(&t);
    return st;
}

tk_status tk_forecast_training(const tk_config *c, int rank, tk_loader *l, const tk_device *like,
                               tk_forecast *out)
{
    tk_dry_rank r;
    *out = (tk_forecast){0};
    TK_TRY(tk_dry_rank_open(&r, &c->parallel, rank, like));
    const tk_status st = forecast_steps(c, l, &r, out);
    tk_dry_rank_close(&r);
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

typedef struct other_ways {
    const tk_config *config;
    tk_loader *loader;
    const tk_device *device;
} other_ways;
enum { WAYS = 6 };

// The bytes of the first rank and of the last, whichever are more.
static tk_status forecast_ends(const tk_config *c, const other_ways *o, size_t *bytes)
{
    const tk_parallel_config *p = &c->parallel;
    const int last = (int)(p->tensor * p->pipeline * p->data) - 1;
    tk_forecast f;
    TK_TRY(tk_forecast_training(c, 0, o->loader, o->device, &f));
    *bytes = f.pool + f.registered;
    if (last) TK_TRY(tk_forecast_training(c, last, o->loader, o->device, &f));
    if (f.pool + f.registered > *bytes) *bytes = f.pool + f.registered;
    return TK_OK;
}

static tk_status need_of(void *ctx, int k, char words[TK_FORECAST_WORDS], size_t *bytes)
{
    const other_ways *o = ctx;
    tk_config other = *o->config;
    const char *said;
    if (!change(&other, k, &said)) return TK_OK;
    snprintf(words, TK_FORECAST_WORDS, "%s", said);
    return forecast_ends(&other, o, bytes);
}

// ---- taking it ---------------------------------------------------------------------------------

tk_status tk_forecast_take_pool(const tk_forecast *f, const tk_config *c, int rank, tk_loader *l,
                                tk_device *d)
{
    other_ways o = {c, l, d};
    const tk_forecast_ways ways = {
        .ctx = &o,
        .n = WAYS,
        .need = need_of,
        .none = "No single option makes it fit; talkie plan tells what several do"};
    return tk_forecast_take(f, "training", rank, &ways, d);
}

tk_status tk_forecast_take_staging(const tk_forecast *f, tk_trainer *t)
{
    for (int k = 0; k < 2; k++) TK_TRY(tk_staging_reserve(&t->host[k], f->staging));
    return TK_OK;
}
