// SPDX-License-Identifier: Apache-2.0
// The dialect of kernels (core/device/cuda/kernels/kernel.cuh) on the host: given to g++ ahead of a
// .cu file
// (-include). Each thread of a block is a fiber, blocks run one after another.
//
// Threads are resumed in an order drawn from a seed (TK_CUDA_SEED in the environment, else 1), so
// that what only works in one order fails in another. A block's shared memory is NaN before it
// begins, exactly as large as the launch said, with guards around. Barriers, shuffles and votes are
// meetings: of the whole block, or of the lanes that the mask names. A meeting that cannot come
// about, or that a thread has ended without, ends the process: kernel, block and thread in words.
#pragma once
#define TK_DIALECT
#include "tests/cuda/standin/launch.h"
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <math.h>
#include <stdint.h>
#include <tuple>
#include <type_traits>

#undef __launch_bounds__
#define __launch_bounds__(...)

// ---- who runs --------------------------------------------------------------------------------

typedef struct tk_emulated_thread {
    uint3 thread, block, block_dim, grid_dim;
    void *shared;
} tk_emulated_thread;
extern __thread tk_emulated_thread tk_emulated_now;

#define threadIdx (tk_emulated_now.thread)
#define blockIdx (tk_emulated_now.block)
#define blockDim (tk_emulated_now.block_dim)
#define gridDim (tk_emulated_now.grid_dim)

template <class T> static inline T *tk_shared()
{
    return static_cast<T *>(tk_emulated_now.shared);
}

// ---- meetings --------------------------------------------------------------------------------

typedef enum tk_meeting_kind {
    TK_MEET_BLOCK,
    TK_MEET_WARP,
    TK_MEET_XOR,
    TK_MEET_UP,
    TK_MEET_DOWN,
    TK_MEET_FROM,
    TK_MEET_BALLOT,
} tk_meeting_kind;

// A thread's part in a meeting: what it brings, and what it takes away.
typedef struct tk_meeting {
    tk_meeting_kind kind;
    unsigned mask;
    int by, width;  // shuffles: distance or lane, lanes of a segment
    unsigned bytes; // of a value
    int line;
    const char *file;
    unsigned char value[8], taken[8];
    unsigned ballot; // one's own bit (0 or 1), then that of all
} tk_meeting;
void tk_emulated_meet(tk_meeting *m);

// An access of so many bytes at once: ends the process where it is not at a multiple of that.
void tk_emulated_misplaced(const void *at, size_t bytes);
static inline void tk_check_address(const void *at, size_t bytes)
{
    if ((uintptr_t)at % bytes) tk_emulated_misplaced(at, bytes);
}

#define TK_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(TK_HERE)
{
    tk_meeting m = {TK_MEET_BLOCK, 0, 0, 0, 0, line, file, {}, {}, 0};
    tk_emulated_meet(&m);
}

static inline void __syncwarp(unsigned mask = 0xffffffffu, TK_HERE)
{
    tk_meeting m = {TK_MEET_WARP, mask, 0, 0, 0, line, file, {}, {}, 0};
    tk_emulated_meet(&m);
}

template <class T>
static inline T tk_emulated_shuffle(tk_meeting_kind kind, unsigned mask, T x, int by, int width,
                                    const char *file, int line)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles are of 4 or 8 bytes");
    tk_meeting m = {kind, mask, by, width, sizeof(T), line, file, {}, {}, 0};
    T y;
    __builtin_memcpy(m.value, &x, sizeof x);
    tk_emulated_meet(&m);
    __builtin_memcpy(&y, m.taken, sizeof y);
    return y;
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T x, int by, int width = 32, TK_HERE)
{
    return tk_emulated_shuffle(TK_MEET_XOR, mask, x, by, width, file, line);
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T x, unsigned by, int width = 32, TK_HERE)
{
    return tk_emulated_shuffle(TK_MEET_UP, mask, x, (int)by, width, file, line);
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T x, unsigned by, int width = 32, TK_HERE)
{
    return tk_emulated_shuffle(TK_MEET_DOWN, mask, x, (int)by, width, file, line);
}
template <class T>
static inline T __shfl_sync(unsigned mask, T x, int lane, int width = 32, TK_HERE)
{
    return tk_emulated_shuffle(TK_MEET_FROM, mask, x, lane, width, file, line);
}

static inline unsigned __ballot_sync(unsigned mask, int yes, TK_HERE)
{
    tk_meeting m = {TK_MEET_BALLOT, mask, 0, 0, 0, line, file, {}, {}, yes != 0};
    tk_emulated_meet(&m);
    return m.ballot;
}
static inline int __any_sync(unsigned mask, int yes, TK_HERE)
{
    return __ballot_sync(mask, yes, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int yes, TK_HERE)
{
    return __ballot_sync(mask, yes, file, line) == mask;
}

// ---- numbers: products and sums that are not contracted into one rounding ----------------------

static inline float tk_emulated_rounded(float x)
{
    asm volatile("" : "+x"(x));
    return x;
}
static inline float __fmul_rn(float a, float b)
{
    return tk_emulated_rounded(a * b);
}
static inline float __fadd_rn(float a, float b)
{
    return tk_emulated_rounded(a + b);
}
static inline float __fsub_rn(float a, float b)
{
    return tk_emulated_rounded(a - b);
}
static inline float __fmaf_rn(float a, float b, float c)
{
    return fmaf(a, b, c);
}
static inline float __fdiv_rn(float a, float b)
{
    return tk_emulated_rounded(a / b);
}
static inline float __fsqrt_rn(float a)
{
    return sqrtf(a);
}
static inline float rsqrtf(float x)
{
    return 1 / sqrtf(x);
}

// ---- launches --------------------------------------------------------------------------------

template <class... P> struct tk_emulated_arguments {
    void (*kernel)(P...);
    std::tuple<P...> all;
};

template <class... P>
static cudaError_t tk_start(const char *name, void (*kernel)(P...), dim3 grid, dim3 block,
                            size_t shared, cudaStream_t stream, P... args)
{
    static_assert((std::is_trivially_copyable<P>::value && ...), "arguments are copied as bytes");
    const tk_emulated_arguments<P...> given = {kernel, std::tuple<P...>(args...)};
    const tk_emulated_launch l = {
        name,
        grid,
        block,
        shared,
        [](const void *all) {
            const auto *a = static_cast<const tk_emulated_arguments<P...> *>(all);
            std::apply(a->kernel, a->all);
        },
        &given,
        sizeof given,
    };
    return tk_emulated_start(&l, stream);
}

#include "tests/cuda/standin/mma.h"
