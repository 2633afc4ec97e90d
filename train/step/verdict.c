// SPDX-License-Identifier: Apache-2.0
#include "train/step/verdict.h"
#include <math.h>
#include <string.h>

bool tk_step_finite(const tk_step_result *r)
{
    return isfinite(r->loss) && isfinite(r->grad_norm);
}

tk_status tk_verdict_open(tk_verdict *v, tk_device *d, int64_t n, tk_arena *a)
{
    *v = (tk_verdict){.device = d, .n = n};
    TK_ARENA_NEW(v->host, a, 1 + 2 * n);
    return TK_OK;
}

tk_status tk_verdict_ask(tk_verdict *v, const tk_tensor *losses, const tk_tensor *norm2)
{
    tk_device *d = v->device;
    memset(v->host, 0, (size_t)(1 + 2 * v->n) * sizeof *v->host);
    TK_TRY(tk_device_download(d, v->host, norm2->data, sizeof *v->host));
    TK_TRY(tk_device_download(d, v->host + 1, losses->data, losses->data ? tk_bytes(losses) : 0));
    v->open = true;
    return TK_OK;
}

tk_status tk_verdict_read(tk_verdict *v)
{
    tk_step_result *r = &v->now;
    v->open = false;
    TK_TRY(tk_device_sync(v->device));
    r->grad_norm = sqrt((double)v->host[0]);
    for (int64_t i = 0; i < v->n; i++) {
        r->loss_of[TK_VIDEO] += (double)v->host[1 + 2 * i];
        r->loss_of[TK_AUDIO] += (double)v->host[2 + 2 * i];
    }
    return TK_OK;
}
