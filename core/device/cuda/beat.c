// SPDX-License-Identifier: Apache-2.0
#include "core/device/cuda/beat.h"
#include "core/device/cuda/cuda.h"
#include <string.h>

enum { EVERY = 4 }; // events of a queue from beat to beat

static volatile uint32_t *numbers; // (TK_QUEUES) of all devices of the process; NULL: none beats

tk_status tk_cuda_beats_start(void)
{
    void *x = NULL;
    if (numbers) return TK_OK;
    if (cudaHostAlloc(&x, TK_QUEUES * sizeof *numbers, cudaHostAllocDefault) != cudaSuccess)
        return TK_FAIL(TK_MEMORY, "device cuda: out of pinned memory for its beats");
    memset(x, 0, TK_QUEUES * sizeof *numbers);
    numbers = x;
    return TK_OK;
}

tk_status tk_cuda_beat(tk_device *d, tk_queue q)
{
    static uint32_t events[TK_QUEUES];
    if (!numbers || events[q]++ % EVERY) return TK_OK;
    const tk_queue was = tk_device_on(d, q);
    const tk_status st = tk_cuda_beat_once(d, &numbers[q]);
    tk_device_on(d, was);
    return st;
}

bool tk_cuda_comes_on(void)
{
    static uint32_t seen[TK_QUEUES];
    bool moved = false;
    for (int q = 0; q < TK_QUEUES && numbers; q++) {
        const uint32_t n = numbers[q];
        moved |= n != seen[q];
        seen[q] = n;
    }
    return moved;
}
