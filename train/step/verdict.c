// SPDX-License-Identifier: Apache-2.0
#include "train/step/verdict.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

bool tk_step_finite(const tk_step_result *r)
{
    return isfinite(r->loss) && isfinite(r->grad_norm);
}

tk_status tk_step_check_finite(const tk_step_result *r, const tk_train_config *c)
{
    if (tk_step_finite(r)) return TK_OK;
    const tk_status st =
        TK_FAIL(TK_NUMERIC,
                "step %lld: loss %g (video %g, audio %g), gradient norm %g: not finite. Nothing "
                "of this step is kept; the newest checkpoint is good. A lower train.lr (now %g) "
                "or train.clip (now %g) helps",
                (long long)r->step + 1, r->loss, r->loss_of[TK_VIDEO], r->loss_of[TK_AUDIO],
                r->grad_norm, r->lr, c->clip);
    tk_status_set_shared(true);
    return st;
}

tk_status tk_verdict_open(tk_verdict *v, tk_device *d, int64_t n, int64_t chunks, tk_arena *a)
{
    // Of a run of blocks: data and the ends of at most three actions and of what lies between.
    const int64_t marks = 7 * n * chunks + 8;
    void *host;
    *v = (tk_verdict){.device = d, .n = n};
    TK_TRY(tk_device_host_new(d, (size_t)(1 + 2 * n) * sizeof *v->host, &host));
    v->host = host;
    TK_TRY(tk_event_open(&v->done, d));
    return tk_times_open(&v->times, d, marks, a);
}

void tk_verdict_close(tk_verdict *v)
{
    tk_times_close(&v->times);
    tk_event_close(&v->done);
    if (v->device) tk_device_host_free(v->device, v->host);
    *v = (tk_verdict){0};
}

tk_status tk_verdict_ask(tk_verdict *v, const tk_tensor *losses, const tk_tensor *norm2)
{
    tk_device *d = v->device;
    memset(v->host, 0, (size_t)(1 + 2 * v->n) * sizeof *v->host);
    TK_TRY(tk_device_download(d, v->host, norm2->data, sizeof *v->host));
    TK_TRY(tk_device_download(d, v->host + 1, losses->data, losses->data ? tk_bytes(losses) : 0));
    TK_TRY(tk_times_mark(&v->times, TK_PART_OPTIMIZER));
    TK_TRY(tk_event_record(&v->done, d->queue));
    v->open = true;
    return TK_OK;
}

static tk_status read_times(tk_verdict *v)
{
    tk_step_result *r = &v->now;
    double part[TK_PARTS];
    TK_TRY(tk_times_read(&v->times, part));
    r->seconds.data = part[TK_PART_DATA];
    r->seconds.reduce = part[TK_PART_REDUCE];
    r->seconds.optimizer = part[TK_PART_OPTIMIZER];
    r->seconds.compute = part[TK_PART_BETWEEN];
    for (int k = 0; k < TK_ACT_KINDS; k++) {
        r->seconds.action[k] = part[TK_PART_ACTION + k];
        r->seconds.compute += r->seconds.action[k];
    }
    for (int k = 0; k < TK_PARTS; k++) r->seconds.total += part[k];
    return TK_OK;
}

// What failed in a graph tells no operator.
static tk_status say_graph(const tk_step_result *r, tk_status st)
{
    char words[1024];
    if (st == TK_OK || r->way == TK_STEP_ASKED) return st;
    snprintf(words, sizeof words, "step %lld, done as a graph: %s", (long long)r->step + 1,
             tk_status_message());
    tk_status_set(st, words);
    return st;
}

tk_status tk_verdict_read(tk_verdict *v)
{
    tk_step_result *r = &v->now;
    v->open = false;
    TK_TRY(say_graph(r, tk_event_sync(&v->done)));
    r->grad_norm = sqrt((double)v->host[0]);
    for (int64_t i = 0; i < v->n; i++) {
        r->loss_of[TK_VIDEO] += (double)v->host[1 + 2 * i];
        r->loss_of[TK_AUDIO] += (double)v->host[2 + 2 * i];
    }
    return say_graph(r, read_times(v));
}
