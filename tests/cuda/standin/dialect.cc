// SPDX-License-Identifier: Apache-2.0
// Runs the blocks of a launch (see dialect.h).
//
// A warp runs until all its threads wait for the block or have ended, then the next one does: a
// thread that is not held back by a barrier is so far ahead of, or behind, those of other warps as
// can be, and likewise the lanes of a warp between two of its meetings. Which comes first is drawn
// anew each time.
//
// A thread that has to wait goes to the next one itself, and one that has ended leaves its fiber to
// the next that begins: a block whose threads never meet runs on a single fiber.
#include "tests/cuda/standin/dialect.h"
#include "tests/cuda/standin/fiber.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(from, bytes) ((void)(from), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(from, bytes) ((void)(from), (void)(bytes))
#endif

enum { WARP = 32, THREADS_MOST = TK_FIBERS, WARPS_MOST = THREADS_MOST / WARP };
enum { GUARD = 1024, WALL = 4096, ROOM = 256 << 10 }; // bytes
// NaN in fp32 and in bf16, far out of bounds as an index.
static const uint32_t poison = 0x7fff7fffu;

typedef struct lane {
    tk_fiber *fiber; // NULL: has not begun, or has ended
    tk_meeting *at;  // NULL: may run
    uint3 place;
} lane;

typedef struct warp {
    unsigned may_run, waits; // a bit for each lane; waits: for other lanes
} warp;

// A permutation of n things in which any of two may come first: i becomes (i * step + from) mod n.
// `i` have been taken.
typedef struct order {
    uint64_t n, step, from, i;
} order;

__thread tk_emulated_thread tk_emulated_now;
static __thread struct {
    const tk_emulated_launch *launch;
    int threads, now;      // of a block; the one that runs
    order warps, lanes_in; // of the block, of the warp that runs: those still to come
    int first;             // thread of that warp
    lane lanes[THREADS_MOST];
    warp of[WARPS_MOST];
    tk_fiber *idle[TK_FIBERS]; // without a thread, the last left at the end
    int n_idle, n_fibers;
    uint64_t random;
    unsigned char *room; // of shared memory, between walls that nobody may touch; NULL: not yet
    unsigned char *shared, *from, *end; // the launch's; with its guards, within the room
} here;
static __thread uint64_t launches; // of this host thread so far

// ---- words -----------------------------------------------------------------------------------

__attribute__((noreturn, format(printf, 2, 3))) static void die(int thread, const char *format, ...)
{
    const uint3 b = tk_emulated_now.block, t = here.lanes[thread].place;
    va_list list;
    va_start(list, format);
    fprintf(stderr, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): ", here.launch->name, b.x,
            b.y, b.z, t.x, t.y, t.z);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

void tk_emulated_misplaced(const void *at, size_t bytes)
{
    die(here.now, "accesses %zu bytes at once at %p, which is no multiple of that", bytes, at);
}

// ---- order -----------------------------------------------------------------------------------

static uint64_t draw(void)
{
    here.random ^= here.random << 13;
    here.random ^= here.random >> 7;
    here.random ^= here.random << 17;
    return here.random * 0x2545f4914f6cdd1dULL >> 11;
}

static uint64_t common(uint64_t a, uint64_t b)
{
    return b ? common(b, a % b) : a;
}

static order draw_order(uint64_t n)
{
    order o = {n, 1, draw() % n, 0};
    const bool power_of_two = (n & (n - 1)) == 0;
    if (n < 2) return o;
    do o.step = 1 + draw() % (n - 1);
    while (power_of_two ? o.step % 2 == 0 : common(o.step, n) != 1);
    return o;
}

static uint64_t take_next(order *o)
{
    return (o->i++ * o->step + o->from) % o->n;
}

static order draw_lanes(void)
{
    const uint64_t x = draw();
    return order{WARP, x | 1, x >> 32, 0};
}

static int next_lane(order *o)
{
    return (int)((o->i++ * o->step + o->from) % WARP);
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
           a->bytes == b->bytes && a->width == b->width &&
           (a->file == b->file || strcmp(a->file, b->file) == 0);
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

static void check_mask(const tk_meeting *m, int t)
{
    const int l = t % WARP;
    if (!(m->mask >> l & 1))
        die(t, "%s at %s:%d has a mask %08x that does not name this thread's lane %d",
            name_of(m->kind), m->file, m->line, m->mask, l);
    if (m->bytes && (m->width < 1 || m->width > WARP || (m->width & (m->width - 1))))
        die(t, "%s at %s:%d has segments of %d lanes", name_of(m->kind), m->file, m->line,
            m->width);
}

// The meeting of thread t's warp that it just came to, if all are there.
static void meet_warp(int t)
{
    const int first = t / WARP * WARP;
    lane *lanes = &here.lanes[first];
    warp *w = &here.of[t / WARP];
    const tk_meeting *m = lanes[t - first].at;
    const unsigned mask = m->mask;
    check_mask(m, t);
    w->waits |= 1u << (t - first);
    if ((w->waits & mask) != mask) return; // some are still to come
    unsigned ballot = 0;
    for (int l = 0; l < WARP; l++) {
        if (!(mask >> l & 1)) continue;
        if (!same(m, lanes[l].at)) return;
        ballot |= lanes[l].at->ballot << l;
    }
    for (int l = 0; l < WARP; l++)
        if (mask >> l & 1) take(lanes, first, l);
    for (int l = 0; l < WARP; l++) {
        if (!(mask >> l & 1)) continue;
        lanes[l].at->ballot = ballot;
        lanes[l].at = NULL;
    }
    w->waits &= ~mask;
    w->may_run |= mask;
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

// ---- who runs next ---------------------------------------------------------------------------

// All threads wait for the block, at one place, or all have ended (false).
static bool meet_block(void)
{
    int waits = -1, ended = -1;
    for (int t = 0; t < here.threads; t++) *(here.lanes[t].at ? &waits : &ended) = t;
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
    for (int w = 0; w < here.threads / WARP; w++) here.of[w].may_run = ~0u;
    return true;
}

// The warp has run until none of its lanes may.
static void check_stuck(void)
{
    const unsigned waits = here.of[here.first / WARP].waits;
    if (waits) stuck(here.first + __builtin_ctz(waits));
}

static bool next_warp(void)
{
    if (here.warps.i == here.warps.n) {
        if (!meet_block()) return false;
        here.warps = draw_order((uint64_t)here.threads / WARP);
    }
    here.first = (int)take_next(&here.warps) * WARP;
    here.lanes_in = draw_lanes();
    return true;
}

// The thread that runs next; NO_THREAD: the block is done.
enum { NO_THREAD = -1 };
static int next_thread(void)
{
    for (;;) {
        warp *w = &here.of[here.first / WARP];
        while (here.lanes_in.i < WARP && w->may_run) {
            const int l = next_lane(&here.lanes_in);
            if (!(w->may_run >> l & 1)) continue;
            w->may_run &= ~(1u << l);
            return here.first + l;
        }
        if (w->may_run) {
            here.lanes_in = draw_lanes();
            continue;
        }
        check_stuck();
        if (!next_warp()) return NO_THREAD;
    }
}

// The stack of the lane that is likely to run after the next one, so that it has come by then.
static void fetch_ahead(void)
{
    enum { LINE = 64, LINES = 6 };
    order o = here.lanes_in;
    const tk_fiber *f = here.lanes[here.first + next_lane(&o)].fiber;
    if (!f) return;
    for (int i = 0; i < LINES; i++) __builtin_prefetch((const char *)f->top + i * LINE, 1);
}

static void now_is(int t)
{
    fetch_ahead();
    here.now = t;
    tk_emulated_now.thread = here.lanes[t].place;
}

// What every fiber does, for ever: thread after thread, until others go on first.
static void run_threads(void)
{
    for (;;) {
        here.launch->body(here.launch->arguments);
        tk_fiber *mine = here.lanes[here.now].fiber;
        here.lanes[here.now].fiber = NULL;
        const int t = next_thread();
        if (t != NO_THREAD) now_is(t);
        if (t != NO_THREAD && !here.lanes[t].fiber) {
            here.lanes[t].fiber = mine;
            continue;
        }
        here.idle[here.n_idle++] = mine;
        tk_fiber_go(t == NO_THREAD ? tk_fiber_host() : here.lanes[t].fiber);
    }
}

static tk_fiber *take_fiber(void)
{
    if (here.n_idle) return here.idle[--here.n_idle];
    return tk_fiber_new(here.n_fibers++, run_threads);
}

static void go_to(int t)
{
    now_is(t);
    if (!here.lanes[t].fiber) here.lanes[t].fiber = take_fiber();
    tk_fiber_go(here.lanes[t].fiber);
}

void tk_emulated_meet(tk_meeting *m)
{
    const int t = here.now;
    here.lanes[t].at = m;
    if (m->kind != TK_MEET_BLOCK) meet_warp(t);
    const int next = next_thread(); // never none: this one waits or may run
    if (next != t) go_to(next);
}

// ---- a block ---------------------------------------------------------------------------------

static void make_room(void)
{
    void *x = mmap(NULL, ROOM + 2 * WALL, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    here.room = (unsigned char *)x + WALL;
    if (x == MAP_FAILED || mprotect(here.room, ROOM, PROT_READ | PROT_WRITE)) {
        fputs("out of memory for the shared memory of blocks\n", stderr);
        abort();
    }
}

// At one wall or the other, or at an odd multiple of 16.
static void place_shared(void)
{
    const size_t bytes = here.launch->shared;
    if (!here.room) make_room();
    unsigned char *const end = here.room + ROOM;
    const uint64_t which = draw() % 3;
    here.shared = here.room;
    if (which == 1) here.shared += (ROOM - bytes) / 16 * 16;
    if (which == 2) here.shared += (ROOM - bytes - 16) / 32 * 32 + 16;
    here.from = here.shared == here.room ? here.room : here.shared - GUARD;
    here.end = end - here.shared < (ptrdiff_t)bytes + GUARD ? end : here.shared + bytes + GUARD;
}

static void poison_memory(void)
{
    const size_t bytes = here.launch->shared, whole = (size_t)(here.end - here.from) / 4 * 4;
    ASAN_UNPOISON_MEMORY_REGION(here.from, whole);
    for (size_t i = 0; i < whole; i += sizeof poison) memcpy(here.from + i, &poison, sizeof poison);
    ASAN_POISON_MEMORY_REGION(here.from, (size_t)(here.shared - here.from));
    ASAN_POISON_MEMORY_REGION(here.shared + bytes, (size_t)(here.end - here.shared) - bytes);
}

__attribute__((noreturn)) static void die_beyond(const unsigned char *x)
{
    die(here.now, "its block has %zu bytes of shared memory, and touches byte %lld",
        here.launch->shared, (long long)(x - here.shared));
}

void tk_emulated_touched(const void *at)
{
    const unsigned char *x = (const unsigned char *)at;
    if (here.room && x >= here.room - WALL && x < here.room + ROOM + WALL) die_beyond(x);
}

static void check_guard(const unsigned char *from, const unsigned char *end)
{
    for (const unsigned char *x = from; x < end; x++)
        if (*x != ((const unsigned char *)&poison)[(x - here.from) % 4]) die_beyond(x);
}

static void check_guards(void)
{
    const size_t whole = (size_t)(here.end - here.from) / 4 * 4;
    ASAN_UNPOISON_MEMORY_REGION(here.from, whole);
    check_guard(here.from, here.shared);
    check_guard(here.shared + here.launch->shared, here.from + whole);
}

static void run_block(void)
{
    poison_memory();
    for (int w = 0; w < here.threads / WARP; w++) here.of[w] = warp{~0u, 0};
    here.warps = draw_order((uint64_t)here.threads / WARP);
    next_warp();
    go_to(next_thread());
    check_guards();
}

static void place_threads(dim3 block)
{
    for (int i = 0; i < here.threads; i++) {
        const unsigned t = (unsigned)i;
        here.lanes[i] =
            lane{NULL, NULL, uint3{t % block.x, t / block.x % block.y, t / block.x / block.y}};
    }
}

void tk_emulated_run(const tk_emulated_launch *l)
{
    const dim3 grid = l->grid, block = l->block;
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    here.launch = l;
    here.threads = (int)(block.x * block.y * block.z);
    place_threads(block);
    seed();
    place_shared();
    tk_emulated_now = {
        {}, {}, uint3{block.x, block.y, block.z}, uint3{grid.x, grid.y, grid.z}, here.shared};
    order o = draw_order(blocks);
    while (o.i < blocks) {
        const uint64_t b = take_next(&o);
        tk_emulated_now.block = uint3{(unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y),
                                      (unsigned)(b / grid.x / grid.y)};
        run_block();
    }
    if (tk_fiber_too_deep())
        die(here.now, "a thread needs more than the %d bytes of its stack", TK_FIBER_STACK);
}
