// SPDX-License-Identifier: Apache-2.0
// Streams, events, and the order in which work is done.
#include "tests/cuda/standin/cudart.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    struct CUstream_st *streams, *favourite;
    int n;
    cudart_ticket *tickets;
    const char *runs;
    uint64_t random;
    uint64_t rarely,
        stays; // one call in so many lets work be done; one piece in so many changes streams
    bool seeded, lazy;
    int idle; // the host has asked so often, with nothing new between
    int64_t left_out;
} state;

// ---- what is drawn -----------------------------------------------------------------------------

void standin_seed(uint64_t seed)
{
    const int64_t rank = cudart_number("OMPI_COMM_WORLD_RANK", 0);
    state.seeded = true;
    state.lazy = seed == 0;
    state.favourite = NULL;
    state.random = (seed + 1) * 0x9e3779b97f4a7c15ull + (uint64_t)rank * 0xbf58476d1ce4e5b9ull;
    state.rarely = 1 + standin_draw(8);
    state.stays = 2 << standin_draw(5);
}

static void seed_once(void)
{
    if (!state.seeded) standin_seed((uint64_t)cudart_number("TK_CUDA_SEED", 1));
}

uint64_t standin_draw(uint64_t n)
{
    seed_once();
    state.random = state.random * 6364136223846793005ull + 1442695040888963407ull;
    return (state.random >> 33) % n;
}

// ---- doing -------------------------------------------------------------------------------------

const char *cudart_runs(void)
{
    return state.runs;
}

void cudart_now_runs(const char *name)
{
    state.runs = name;
}

static void drop_all(void)
{
    for (struct CUstream_st *s = state.streams; s; s = s->next)
        while (s->head) {
            cudart_work *w = s->head;
            s->head = w->next;
            free(w);
        }
}

// What began then has taken some time: of a slow device it takes a multiple of it.
static void take_longer(const struct timespec *begin)
{
    int rank, times;
    const char *said = getenv("TK_CUDA_SLOW");
    struct timespec now;
    if (!said || sscanf(said, "%d:%d", &rank, &times) != 2) return;
    if (rank != (int)cudart_number("OMPI_COMM_WORLD_RANK", 0)) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t took =
        (int64_t)(now.tv_sec - begin->tv_sec) * 1000000000 + now.tv_nsec - begin->tv_nsec;
    const int64_t more = took * (times - 1);
    nanosleep(&(struct timespec){.tv_sec = more / 1000000000, .tv_nsec = more % 1000000000}, NULL);
}

static standin_turn run_first(struct CUstream_st *s)
{
    cudart_work *w = s->head;
    cudaError_t e = cudaSuccess;
    state.runs = w->name;
    if (!w->begun) e = cudart_enter("work");
    if (e != cudaSuccess) standin_fail(e);
    w->begun = true;
    struct timespec begin;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    const standin_turn turn = e == cudaSuccess ? w->run(w->what) : STANDIN_DONE;
    state.runs = NULL;
    if (turn != STANDIN_NOT_YET) take_longer(&begin);
    if (turn != STANDIN_DONE) return turn;
    s->head = w->next;
    free(w);
    return turn;
}

static struct CUstream_st *after(struct CUstream_st *s)
{
    return s && s->next ? s->next : state.streams;
}

// Each with work is as likely, however many have none.
static struct CUstream_st *any_with_work(void)
{
    uint64_t n = 0;
    for (const struct CUstream_st *s = state.streams; s; s = s->next) n += s->head != NULL;
    if (!n) return NULL;
    uint64_t k = standin_draw(n);
    for (struct CUstream_st *s = state.streams; s; s = s->next)
        if (s->head && k-- == 0) return s;
    return NULL;
}

// Does a piece of some stream's work, of a favourite's for a while; false if none may be done now.
// A device that has failed does nothing more.
static bool step(void)
{
    if (cudart_lasting() != cudaSuccess) drop_all();
    if (!state.favourite || standin_draw(state.stays) == 0) state.favourite = any_with_work();
    struct CUstream_st *s = state.favourite;
    for (int k = 0; k <= state.n; k++, s = after(s)) {
        if (!s || !s->head || run_first(s) == STANDIN_NOT_YET) continue;
        state.favourite = s;
        return true;
    }
    return false;
}

// As many pieces as that, or as there are; true if there was any.
static bool steps(uint64_t most)
{
    uint64_t n = 0;
    bool any = false;
    for (struct CUstream_st *s = state.streams; s; s = s->next) any |= s->head != NULL;
    if (!any || !most) return false;
    cudart_open_memory();
    while (n < most && step()) n++;
    cudart_close_memory();
    return n > 0;
}

static void (*beside)(void);

void standin_beside(void (*go_on)(void))
{
    beside = go_on;
}

void standin_go_on(void)
{
    if (state.runs) return;
    steps(64);
    if (beside) beside();
}

// The host asks and has nothing else to do: after a while the device has gone on.
static void asked(void)
{
    const uint64_t few = standin_draw(4);
    if (state.idle++ > 0)
        steps(state.idle < 100 ? 1 + few : 64);
    else if (!state.lazy)
        steps(few);
}

// ---- asking ------------------------------------------------------------------------------------

cudart_work *cudart_new_work(const char *name, standin_turn (*run)(void *), const void *what,
                             size_t bytes)
{
    cudart_work *w = aligned_alloc(16, (sizeof *w + bytes + 15) / 16 * 16);
    if (!w) standin_fault("out of memory for work");
    *w = (cudart_work){.name = name, .run = run, .bytes = bytes};
    if (what) memcpy(w->what, what, bytes);
    return w;
}

cudart_work *cudart_copy_work(const cudart_work *w)
{
    cudart_work *copy = cudart_new_work(w->name, w->run, w->what, w->bytes);
    copy->renew = w->renew;
    copy->host = w->host;
    copy->host_bytes = w->host_bytes;
    return copy;
}

static void check_stream(cudaStream_t s)
{
    for (struct CUstream_st *k = state.streams; k; k = k->next)
        if (k == s) return;
    standin_fault("%p is no stream (the default stream is not used)", (void *)s);
}

cudaError_t cudart_push(cudaStream_t s, cudart_work *w)
{
    check_stream(s);
    seed_once();
    if (s->capture) return cudart_capture_work(s, w);
    w->next = NULL;
    if (s->head)
        s->tail->next = w;
    else
        s->head = w;
    s->tail = w;
    state.idle = 0;
    const bool now = standin_draw(state.rarely) == 0;
    const uint64_t few = 1 + standin_draw(8);
    if (now && !state.lazy) steps(few);
    return cudart_error(cudart_lasting());
}

cudaError_t standin_enqueue_again(cudaStream_t s, const char *name, standin_turn (*run)(void *),
                                  void (*renew)(void *), const void *what, size_t bytes)
{
    const cudaError_t e = cudart_enter(name);
    if (e != cudaSuccess) return cudart_error(e);
    cudart_work *w = cudart_new_work(name, run, what, bytes);
    w->renew = renew;
    return cudart_push(s, w);
}

cudaError_t standin_enqueue(cudaStream_t s, const char *name, standin_turn (*run)(void *),
                            const void *what, size_t bytes)
{
    return standin_enqueue_again(s, name, run, NULL, what, bytes);
}

bool standin_captures(cudaStream_t s)
{
    check_stream(s);
    return s->capture != NULL;
}

typedef struct own_work {
    bool (*work)(void *item);
    void *item;
} own_work;

static standin_turn run_own(void *what)
{
    const own_work *o = what;
    return o->work(o->item) ? STANDIN_DONE : STANDIN_NOT_YET;
}

void standin_push(cudaStream_t s, bool (*work)(void *), void *item)
{
    const own_work o = {work, item};
    check_stream(s);
    if (s->capture) CUDART_REFUSE("this work is not known inside a capture");
    cudart_push(s, cudart_new_work("work of another library", run_own, &o, sizeof o));
}

bool cudart_touches(const void *host, size_t bytes)
{
    const uintptr_t from = (uintptr_t)host;
    for (const struct CUstream_st *s = state.streams; s; s = s->next)
        for (const cudart_work *w = s->head; w; w = w->next) {
            const uintptr_t at = (uintptr_t)w->host;
            if (w->host && at < from + bytes && from < at + w->host_bytes) return true;
        }
    return false;
}

// ---- streams -----------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    CUDART_ENTER();
    if (flags != cudaStreamNonBlocking)
        CUDART_REFUSE("streams are made with cudaStreamNonBlocking");
    *s = calloc(1, sizeof **s);
    if (!*s) return cudart_error(cudaErrorMemoryAllocation);
    (*s)->next = state.streams;
    state.streams = *s;
    state.n++;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int priority)
{
    (void)priority;
    return cudaStreamCreateWithFlags(s, flags);
}

static bool is_done(const cudart_ticket *t, int64_t recording)
{
    bool done = recording <= t->done;
    for (int i = 0; i < t->n; i++) done |= t->ahead[i] == recording;
    return done;
}

// Waits until all work is done, or the first piece of `s`, or the event. For what the host waits:
// other ranks may have to do their part.
static cudaError_t wait_for(const struct CUstream_st *s, const cudart_ticket *t, int64_t recording)
{
    for (;;) {
        bool left = false;
        for (const struct CUstream_st *k = state.streams; k; k = k->next)
            left |= k->head && (!s || s == k);
        if (t) left = !is_done(t, recording);
        if (!left || cudart_lasting() != cudaSuccess) return cudart_error(cudart_lasting());
        if (!steps(1 + standin_draw(8))) sched_yield();
    }
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    const cudaError_t e = cudart_enter(__func__);
    check_stream(s);
    wait_for(s, NULL, 0);
    struct CUstream_st **link = &state.streams;
    while (*link != s) link = &(*link)->next;
    *link = s->next;
    state.n--;
    state.favourite = NULL;
    state.rarely = 1 + standin_draw(8);
    state.stays = 2 << standin_draw(5);
    cudart_forget_nodes(&s->last);
    free(s);
    return cudart_error(e);
}

cudaError_t cudaStreamQuery(cudaStream_t s)
{
    CUDART_ENTER();
    check_stream(s);
    const cudaError_t e = cudart_capture_forbids(s, NULL);
    if (e != cudaSuccess) return cudart_error(e);
    asked();
    if (cudart_lasting() != cudaSuccess) return cudart_error(cudart_lasting());
    cudart_counts.host_waits += s->head != NULL;
    return s->head ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    CUDART_ENTER();
    check_stream(s);
    const cudaError_t e = cudart_capture_forbids(s, NULL);
    if (e != cudaSuccess) return cudart_error(e);
    cudart_counts.host_waits++;
    return wait_for(s, NULL, 0);
}

cudaError_t cudaDeviceSynchronize(void)
{
    CUDART_ENTER();
    const cudaError_t e = cudart_capture_forbids(NULL, NULL);
    if (e != cudaSuccess) return cudart_error(e);
    cudart_counts.host_waits++;
    return wait_for(NULL, NULL, 0);
}

// ---- events ------------------------------------------------------------------------------------

typedef struct moment {
    cudart_ticket *ticket;
    int64_t recording;
} moment;

static void now_done(cudart_ticket *t, int64_t recording)
{
    t->ahead = realloc(t->ahead, (size_t)(t->n + 1) * sizeof *t->ahead);
    if (!t->ahead) standin_fault("out of memory for an event");
    t->ahead[t->n++] = recording;
    for (int i = 0; i < t->n; i++) {
        if (t->ahead[i] != t->done + 1) continue;
        t->ahead[i] = t->ahead[--t->n];
        t->done++;
        i = -1;
    }
}

static standin_turn run_record(void *what)
{
    const moment *m = what;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    m->ticket->at = 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
    now_done(m->ticket, m->recording);
    return STANDIN_DONE;
}

static standin_turn run_wait(void *what)
{
    const moment *m = what;
    return is_done(m->ticket, m->recording) ? STANDIN_DONE : STANDIN_NOT_YET;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    CUDART_ENTER();
    if (flags & ~(unsigned)(cudaEventDisableTiming | cudaEventBlockingSync))
        CUDART_REFUSE("events of flags %#x are not known", flags);
    *e = calloc(1, sizeof **e);
    if (*e) (*e)->ticket = calloc(1, sizeof *(*e)->ticket);
    if (!*e || !(*e)->ticket) return cudart_error(cudaErrorMemoryAllocation);
    (*e)->ticket->next = state.tickets;
    state.tickets = (*e)->ticket;
    (*e)->flags = flags;
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, cudaEventDefault);
}

// Work that waits for it keeps its ticket.
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    const cudaError_t error = cudart_enter(__func__);
    cudart_forget_nodes(&e->last);
    free(e);
    return cudart_error(error);
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    CUDART_ENTER();
    check_stream(s);
    if (s->capture) {
        cudart_capture_record(e, s);
        return cudaSuccess;
    }
    e->capture = NULL;
    const moment m = {e->ticket, ++e->ticket->asked};
    return cudart_push(s, cudart_new_work("event", run_record, &m, sizeof m));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags)
{
    CUDART_ENTER();
    check_stream(s);
    if (flags) CUDART_REFUSE("cudaStreamWaitEvent with flags %#x is not known", flags);
    cudart_counts.waits++;
    if (state.left_out && --state.left_out == 0) return cudaSuccess;
    if (s->capture || e->capture) return cudart_error(cudart_capture_wait(s, e));
    const moment m = {e->ticket, e->ticket->asked};
    if (!m.recording) return cudaSuccess;
    return cudart_push(s, cudart_new_work("wait", run_wait, &m, sizeof m));
}

void standin_leave_out_wait(int64_t nth)
{
    state.left_out = nth;
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    CUDART_ENTER();
    const cudaError_t error = cudart_capture_forbids(NULL, e);
    if (error != cudaSuccess) return cudart_error(error);
    asked();
    if (cudart_lasting() != cudaSuccess) return cudart_error(cudart_lasting());
    const bool done = is_done(e->ticket, e->ticket->asked);
    cudart_counts.host_waits += !done;
    return done ? cudaSuccess : cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    CUDART_ENTER();
    const cudaError_t error = cudart_capture_forbids(NULL, e);
    if (error != cudaSuccess) return cudart_error(error);
    cudart_counts.host_waits++;
    return wait_for(NULL, e->ticket, e->ticket->asked);
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to)
{
    CUDART_ENTER();
    const cudart_ticket *a = from->ticket, *b = to->ticket;
    if (!a->asked || !b->asked || (from->flags | to->flags) & cudaEventDisableTiming)
        return cudart_error(cudaErrorInvalidResourceHandle);
    if (!is_done(a, a->asked) || !is_done(b, b->asked)) return cudart_error(cudaErrorNotReady);
    *milliseconds = (float)(b->at - a->at);
    return cudaSuccess;
}
