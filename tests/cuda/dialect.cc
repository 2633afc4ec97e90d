// SPDX-License-Identifier: Apache-2.0
// Runs the blocks of a launch (see dialect.h).
//
// A warp runs until all its threads wait for the block or have ended, then the next one does: a
// thread that is not held back by a barrier is so far ahead of, or behind, those of other warps as
// can be, and likewise the lanes of a warp between two of its meetings. Which comes first is drawn
// anew each time.
#include "tests/cuda/dialect.h"
#include "tests/cuda/fiber.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(from, bytes) ((void)(from), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(from, bytes) ((void)(from), (void)(bytes))
#endif

enum { WARP = 32, THREADS_MOST = TK_FIBERS, GUARD = 1024 };
// NaN in fp32 and in bf16, far out of bounds as an index.
static const uint32_t poison = 0x7fff7fffu;

typedef struct lane {
    tk_fiber *fiber;
    tk_meeting *at; // NULL: may run
    bool ended;
} lane;

__thread tk_emulated_thread tk_emulated_now;
static __thread struct {
    const tk_emulated_launch *launch;
    int threads, now; // of a block; the one that runs
    lane lanes[THREADS_MOST];
    uint64_t random;
    unsigned char *memory; // guard, shared memory, guard
} here;
static __thread uint64_t launches; // of this host thread so far

// ---- words -----------------------------------------------------------------------------------

static uint3 place(int thread)
{
    const dim3 b = here.launch->block;
    const unsigned t = (unsigned)thread;
    return uint3{t % b.x, t / b.x % b.y, t / b.x / b.y};
}

__attribute__((noreturn, format(printf, 2, 3))) static void die(int thread, const char *format, ...)
{
    const uint3 b = tk_emulated_now.block, t = place(thread);
    va_list list;
    va_start(list, format);
    fprintf(stderr, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", here.launch->name, b.x,
            b.y, b.z, t.x, t.y, t.z);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

// ---- order -----------------------------------------------------------------------------------

static uint64_t draw(void)
{
    here.random ^= here.random << 13;
    here.random ^= here.random >> 7;
    here.random ^= here.random << 17;
    return here.random * 0x2545f4914f6cdd1dULL >> 11;
}

// A permutation of n things in which any of two may come first: i becomes (i * step + from) mod n.
typedef struct order {
    uint64_t n, step, from;
} order;

static uint64_t common(uint64_t a, uint64_t b)
{
    return b ? common(b, a % b) : a;
}

static order draw_order(uint64_t n)
{
    order o = {n, 1, draw() % n};
    if (n < 2) return o;
    do o.step = 1 + draw() % (n - 1);
    while (common(o.step, n) != 1);
    return o;
}

static uint64_t nth(const order *o, uint64_t i)
{
    return (uint64_t)(((unsigned __int128)i * o->step + o->from) % o->n);
}

static void seed(void)
{
    const char *said = getenv("TK_CUDA_SEED");
    here.random = (said ? strtoull(said, NULL, 10) : 1) * 0x9e3779b97f4a7c15ULL + ++launches;
    here.random = (here.random ^ here.random >> 29) * 0xbf58476d1ce4e5b9ULL | 1;
    for (int i = 0; i < 4; i++) draw();
}

// ---- meetings --------------------------------------------------------------------------------

static const char *name_of(tk_meeting_kind kind)
{
    static const char *const names[] = {"__syncthreads",  "__syncwarp",       "__shfl_xor_sync",
                                        "__shfl_up_sync", "__shfl_down_sync", "__shfl_sync",
                                        "__ballot_sync"};
    return names[kind];
}

// Two threads are at the same meeting.
static bool same(const tk_meeting *a, const tk_meeting *b)
{
    return b && a->kind == b->kind && a->mask == b->mask && a->line == b->line &&
           a->bytes == b->bytes && a->width == b->width && strcmp(a->file, b->file) == 0;
}

// The lane that lane `l` takes its value from.
static int source(const tk_meeting *m, int l)
{
    const int first = l & ~(m->width - 1), last = first + m->width - 1;
    const int64_t from = m->kind == TK_MEET_XOR    ? l ^ m->by
                         : m->kind == TK_MEET_UP   ? (int64_t)l - m->by
                         : m->kind == TK_MEET_DOWN ? (int64_t)l + m->by
                                                   : first + (m->by & (m->width - 1));
    if (m->kind == TK_MEET_UP) return from < first ? l : (int)from;
    return from > last ? l : (int)from;
}

static void take(const lane *warp, int first, int l)
{
    tk_meeting *m = warp[l].at;
    if (m->kind < TK_MEET_XOR || m->kind > TK_MEET_FROM) return;
    const int from = source(m, l);
    if (from < 0 || !(m->mask >> from & 1))
        die(first + l, "%s at %s:%d takes from lane %d, which its mask %08x does not name",
            name_of(m->kind), m->file, m->line, from, m->mask);
    memcpy(m->taken, warp[from].at->value, m->bytes);
}

// The meeting of thread t's warp that it just came to, if all are there.
static void meet_warp(int t)
{
    const int first = t / WARP * WARP;
    lane *warp = &here.lanes[first];
    tk_meeting *m = warp[t - first].at;
    const unsigned mask = m->mask;
    if (!(mask >> (t - first) & 1))
        die(t, "%s at %s:%d has a mask %08x that does not name this thread's lane %d",
            name_of(m->kind), m->file, m->line, mask, t - first);
    if (m->bytes && (m->width < 1 || m->width > WARP || (m->width & (m->width - 1))))
        die(t, "%s at %s:%d has segments of %d lanes", name_of(m->kind), m->file, m->line,
            m->width);
    unsigned ballot = 0;
    for (int l = 0; l < WARP; l++) {
        if (!(mask >> l & 1)) continue;
        if (!same(m, warp[l].at)) return; // still to come
        ballot |= warp[l].at->ballot << l;
    }
    for (int l = 0; l < WARP; l++)
        if (mask >> l & 1) take(warp, first, l);
    for (int l = 0; l < WARP; l++) {
        if (!(mask >> l & 1)) continue;
        warp[l].at->ballot = ballot;
        warp[l].at = NULL;
    }
}

void tk_emulated_meet(tk_meeting *m)
{
    const int t = here.now;
    lane *l = &here.lanes[t];
    l->at = m;
    if (m->kind != TK_MEET_BLOCK) meet_warp(t);
    tk_fiber_yield();
}

// A warp of which nobody can go on, but somebody waits for other lanes.
__attribute__((noreturn)) static void stuck(int t)
{
    const tk_meeting *m = here.lanes[t].at;
    const lane *warp = &here.lanes[t / WARP * WARP];
    for (int l = 0; l < WARP; l++) {
        if (!(m->mask >> l & 1) || same(m, warp[l].at)) continue;
        const tk_meeting *other = warp[l].at;
        if (!other)
            die(t, "%s at %s:%d waits for lane %d, which has ended", name_of(m->kind), m->file,
                m->line, l);
        die(t, "%s at %s:%d (mask %08x) waits for lane %d, which is at %s, %s:%d (mask %08x)",
            name_of(m->kind), m->file, m->line, m->mask, l, name_of(other->kind), other->file,
            other->line, other->mask);
    }
    die(t, "waits for nothing"); // not reached: a meeting with all there is over
}

// ---- a block ---------------------------------------------------------------------------------

static void thread_body(void)
{
    here.launch->body(here.launch->arguments);
}

static void run_thread(int t)
{
    here.now = t;
    tk_emulated_now.thread = place(t);
    here.lanes[t].ended = !tk_fiber_resume(here.lanes[t].fiber);
}

// Until all of its threads wait for the block or have ended.
static void run_warp(int first)
{
    lane *warp = &here.lanes[first];
    for (bool ran = true; ran;) {
        const order o = draw_order(WARP);
        ran = false;
        for (int i = 0; i < WARP; i++) {
            const int l = (int)nth(&o, (uint64_t)i);
            if (warp[l].ended || warp[l].at) continue;
            run_thread(first + l);
            ran = true;
        }
    }
    for (int l = 0; l < WARP; l++)
        if (warp[l].at && warp[l].at->kind != TK_MEET_BLOCK) stuck(first + l);
}

// All threads wait for the block, at one place, or all have ended (false).
static bool meet_block(void)
{
    int waits = -1, ended = -1;
    for (int t = 0; t < here.threads; t++) *(here.lanes[t].ended ? &ended : &waits) = t;
    if (waits < 0) return false;
    const tk_meeting *m = here.lanes[waits].at;
    if (ended >= 0)
        die(ended, "has ended, but thread %d waits for it at __syncthreads, %s:%d", waits, m->file,
            m->line);
    for (int t = 0; t < here.threads; t++) {
        const tk_meeting *other = here.lanes[t].at;
        if (!same(m, other))
            die(t, "waits at __syncthreads, %s:%d, but thread %d at %s:%d", other->file,
                other->line, waits, m->file, m->line);
    }
    for (int t = 0; t < here.threads; t++) here.lanes[t].at = NULL;
    return true;
}

// Shared memory lies at an odd multiple of 16.
static unsigned char *shared_memory(void)
{
    return here.memory + GUARD + 16;
}

static size_t memory_bytes(void)
{
    return GUARD + 16 + (here.launch->shared + 3) / 4 * 4 + GUARD;
}

static void poison_memory(void)
{
    ASAN_UNPOISON_MEMORY_REGION(here.memory, memory_bytes());
    for (size_t i = 0; i < memory_bytes(); i += sizeof poison)
        memcpy(here.memory + i, &poison, sizeof poison);
    unsigned char *end = shared_memory() + here.launch->shared;
    ASAN_POISON_MEMORY_REGION(here.memory, GUARD + 16);
    ASAN_POISON_MEMORY_REGION(end, (size_t)(here.memory + memory_bytes() - end));
}

static void check_guards(void)
{
    ASAN_UNPOISON_MEMORY_REGION(here.memory, memory_bytes());
    const unsigned char *shared = shared_memory(), *end = shared + here.launch->shared;
    for (size_t i = 0; i < memory_bytes(); i++) {
        const unsigned char *x = here.memory + i;
        if ((x >= shared && x < end) || *x == ((const unsigned char *)&poison)[i % 4]) continue;
        die(0, "its block has %zu bytes of shared memory, and wrote to byte %lld",
            here.launch->shared, (long long)(x - shared));
    }
}

static void run_block(void)
{
    poison_memory();
    for (int t = 0; t < here.threads; t++)
        here.lanes[t] = (lane){tk_fiber_new(t, thread_body), NULL, false};
    do {
        const uint64_t warps = (uint64_t)here.threads / WARP;
        const order o = draw_order(warps);
        for (uint64_t i = 0; i < warps; i++) run_warp((int)nth(&o, i) * WARP);
    } while (meet_block());
    check_guards();
}

void tk_emulated_run(const tk_emulated_launch *l)
{
    const dim3 grid = l->grid, block = l->block;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    here.launch = l;
    here.threads = (int)(block.x * block.y * block.z);
    seed();
    free(here.memory);
    here.memory = (unsigned char *)malloc(memory_bytes());
    if (!here.memory) abort();
    tk_emulated_now = {
        {}, {}, uint3{block.x, block.y, block.z}, uint3{grid.x, grid.y, grid.z}, shared_memory()};
    const order o = draw_order(blocks);
    for (uint64_t i = 0; i < blocks; i++) {
        const uint64_t b = nth(&o, i);
        tk_emulated_now.block = uint3{(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                                      (unsigned)(b / grid.x / grid.y)};
        run_block();
    }
    ASAN_UNPOISON_MEMORY_REGION(here.memory, memory_bytes());
    free(here.memory);
    here.memory = NULL;
}
