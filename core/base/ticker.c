// SPDX-License-Identifier: Apache-2.0
#include "core/base/ticker.h"
#include <time.h>

static void until_next(tk_ticker *t)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const int64_t ns = until.tv_nsec + (int64_t)(t->seconds * 1e9);
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    while (!t->stop && pthread_cond_timedwait(&t->wake, &t->lock, &until) == 0) continue;
}

static void *keep_ticking(void *ctx)
{
    tk_ticker *t = ctx;
    pthread_mutex_lock(&t->lock);
    while (!t->stop) {
        pthread_mutex_unlock(&t->lock);
        t->tick(t->ctx);
        pthread_mutex_lock(&t->lock);
        until_next(t);
    }
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

tk_status tk_ticker_start(tk_ticker *t, double seconds, void (*tick)(void *ctx), void *ctx)
{
    pthread_condattr_t monotonic;
    *t = (tk_ticker){.tick = tick, .ctx = ctx, .seconds = seconds};
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    t->runs = pthread_create(&t->thread, NULL, keep_ticking, t) == 0;
    if (t->runs) return TK_OK;
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    return TK_FAIL(TK_MEMORY, "cannot start a thread");
}

void tk_ticker_stop(tk_ticker *t)
{
    if (!t->runs) return;
    pthread_mutex_lock(&t->lock);
    t->stop = true;
    pthread_cond_signal(&t->wake);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    pthread_mutex_destroy(&t->lock);
    pthread_cond_destroy(&t->wake);
    *t = (tk_ticker){0};
}
