// SPDX-License-Identifier: Apache-2.0
// What the files of the stand-in for the CUDA runtime share: cudart.c is the device and its errors,
// cudart_stream.c queues and events, cudart_memory.c memory, cudart_copy.c what moves it,
// cudart_graph.c captured streams.
#pragma once
#include "tests/cuda/standin/standin.h"

// The first line of each function of the runtime: counts, and returns the error that a test or an
// earlier failure wants.
#define CUDART_ENTER()                                  \
    do {                                                \
        const cudaError_t e_ = cudart_enter(__func__);  \
        if (e_ != cudaSuccess) return cudart_error(e_); \
    } while (0)
cudaError_t cudart_enter(const char *name);
cudaError_t cudart_error(cudaError_t e); // remembers it for cudaGetLastError; returns it
cudaError_t cudart_lasting(void);        // what the device has failed with, or cudaSuccess
int64_t cudart_number(const char *variable, int64_t otherwise); // of the environment
int cudart_device(void);                                        // the current one
extern standin_counts cudart_counts;
#define CUDART_REFUSE(...) standin_fault(__VA_ARGS__)

// ---- work --------------------------------------------------------------------------------------

typedef struct cudart_work {
    struct cudart_work *next;
    const char *name;
    standin_turn (*run)(void *what);
    void (*renew)(void *what); // NULL, or what is done when a graph that holds it is launched
    const void *host;          // memory of the host's that it reads or writes, NULL: none
    size_t host_bytes;
    bool begun;
    size_t bytes; // of what
    _Alignas(16) unsigned char what[];
} cudart_work;

cudart_work *cudart_new_work(const char *name, standin_turn (*run)(void *), const void *what,
                             size_t bytes);
cudart_work *cudart_copy_work(const cudart_work *w);
// Takes the work over, into the stream or into the graph that it is captured for.
cudaError_t cudart_push(cudaStream_t s, cudart_work *w);
bool cudart_touches(const void *host, size_t bytes); // work of any stream that is still to be done
const char *cudart_runs(void);                       // the name of the work that runs now, or NULL
void cudart_now_runs(const char *name);              // of a part of it

typedef struct cudart_ticket { // of an event; kept to the end of the process
    struct cudart_ticket *next;
    int64_t asked, done; // recordings: so many, and all up to this one are done
    int64_t *ahead;      // (n) done before others that were asked for earlier, on other streams
    int n;
    double at; // milliseconds, of the last that was done
} cudart_ticket;
typedef struct cudart_nodes { // of a graph
    int *at, n;
} cudart_nodes;

struct CUstream_st {
    struct CUstream_st *next;
    cudart_work *head, *tail;
    struct cudart_capture *capture; // NULL: none
    cudart_nodes last;              // nodes that the next one runs behind
};
struct CUevent_st {
    unsigned flags;
    cudart_ticket *ticket;
    struct cudart_capture *capture; // it was last recorded in one that is still going on
    cudart_nodes last;
};

// ---- memory ------------------------------------------------------------------------------------

void cudart_open_memory(void); // to the work that runs
void cudart_close_memory(void);
void cudart_raise_walls(bool up); // those of standin_wall, while a kernel runs
void cudart_watch(void); // from now on whoever touches memory that is not theirs is told of
bool cudart_is_device(const void *x, size_t bytes); // all of it
bool cudart_is_pinned(const void *x, size_t bytes);

// ---- capture -----------------------------------------------------------------------------------

// What a captured stream is asked for becomes part of a graph; NULL work: none.
cudaError_t cudart_capture_work(cudaStream_t s, cudart_work *w);
void cudart_capture_record(cudaEvent_t e, cudaStream_t s);
cudaError_t cudart_capture_wait(cudaStream_t s, cudaEvent_t e);
// An error if this call is not allowed while any stream is captured (and that capture is invalid
// from then on); `s` or `e`: what is asked of, NULL: whatever.
cudaError_t cudart_capture_forbids(cudaStream_t s, cudaEvent_t e);
void cudart_forget_nodes(cudart_nodes *n);
