// SPDX-License-Identifier: Apache-2.0
// A thread that does a small thing every so many seconds until it is ended: signs of life. Nobody
// who sets the clock keeps it from that.
#pragma once
#include "core/base/status.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct tk_ticker {
    void (*tick)(void *ctx);
    void *ctx;
    double seconds;
    bool runs, stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
} tk_ticker;

// The first tick comes at once, on the thread. *t stays where it is until the end.
tk_status tk_ticker_start(tk_ticker *t, double seconds, void (*tick)(void *ctx), void *ctx);
// After it no tick is under way and none comes; fine on a zeroed one.
void tk_ticker_stop(tk_ticker *t);
