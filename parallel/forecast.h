// SPDX-License-Identifier: Apache-2.0
// The memory that a rank will need of its device, told before it takes any: what it will do, gone
// through on a device that computes nothing, over communicators that move nothing.
//
//     tk_dry_rank_open(&r, &parallel, rank, &device);
//     ... whatever takes memory, on r.mesh and r.device ...
//     tk_dry_rank_tell(&r, &forecast);
//     tk_dry_rank_close(&r);
//     tk_forecast_take(&forecast, "training", rank, &ways, &device);
#pragma once
#include "parallel/mesh.h"

typedef struct tk_forecast {
    size_t pool;                   // bytes: the peak of the device's pool,
    size_t held[TK_POOL_PURPOSES]; // ... who holds them then
    size_t registered;             // beside it, of what is sent, where that lies apart (mesh.h)
    size_t staging;                // of the host, in each place of transfers
} tk_forecast;

typedef struct tk_dry_rank {
    tk_mesh mesh;
    tk_device device;
} tk_dry_rank;

// World rank `rank` of layout *p, whose degrees are filled in, on a device in the place of `like`,
// which does attention and products as that one does.
tk_status tk_dry_rank_open(tk_dry_rank *r, const tk_parallel_config *p, int rank,
                           const tk_device *like);
void tk_dry_rank_tell(const tk_dry_rank *r, tk_forecast *out); // all but the staging
void tk_dry_rank_close(tk_dry_rank *r);                        // of one that is zero: fine

// Bytes to register for all that a device sends, of which it has sent the most that it will but for
// a little: there will not be more, and steps differ, so that what grows with their rows gets a
// quarter more. 0: it has nothing registered.
size_t tk_forecast_registered(const tk_device *d);

enum { TK_FORECAST_WORDS = 64 };
typedef struct tk_forecast_ways { // other options, each of which may need less
    void *ctx;
    int n;
    // Way k of n in words, and its bytes on the rank that needs most; 0: there is no such way.
    tk_status (*need)(void *ctx, int k, char words[TK_FORECAST_WORDS], size_t *bytes);
    const char *none; // what is said where no way is enough
} tk_forecast_ways;

// Takes the pool's peak at once, beyond what it has by now, so that what comes takes none.
// TK_MEMORY, with nothing taken and in words of `what`, where the device has less, or no room for
// what is registered beside it: what it needs, and which ways would fit.
tk_status tk_forecast_take(const tk_forecast *f, const char *what, int rank,
                           const tk_forecast_ways *ways, tk_device *d);
